//! A lead as it is kept in an archive: what the API shows of it, whole, on one line.

use crate::wire::attempt::{AttemptView, ChangeView, LookUpView};
use crate::wire::delivery::DeliveryView;
use serde::Serialize;
use serde_json::value::RawValue;
use steadfast_engine::ArchivedLead;
use steadfast_lead::write_object;
use steadfast_retry::{Delivery, Entry};

#[derive(Serialize)]
struct LineView {
    id: String,
    flow: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    accepted_at: String,
    test: bool,
    fields: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<ErasedView>,
    deliveries: Vec<HistoryView>,
}

#[derive(Serialize)]
struct ErasedView {
    at: String,
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct HistoryView {
    #[serde(flatten)]
    delivery: DeliveryView,
    attempts: Vec<AttemptView>,
    changes: Vec<ChangeView>,
    look_ups: Vec<LookUpView>,
}

impl HistoryView {
    fn of(delivery: &Delivery, history: &[Entry]) -> Self {
        let mut view = HistoryView {
            delivery: DeliveryView::of(delivery, false),
            attempts: Vec::new(),
            changes: Vec::new(),
            look_ups: Vec::new(),
        };
        for entry in history {
            match entry {
                Entry::Attempt(attempt) => view.attempts.push((&**attempt).into()),
                Entry::Change(change) => view.changes.push(change.into()),
                Entry::LookUp(look_up) => view.look_ups.push((&**look_up).into()),
            }
        }
        view
    }
}

/// A lead with its deliveries and their histories as one line of JSON, with its line break.
///
/// # Errors
/// [`serde_json::Error`] when its fields are no JSON, which fields that were accepted cannot be.
pub fn archive_line(archived: &ArchivedLead) -> Result<String, serde_json::Error> {
    let lead = &archived.lead;
    let mut fields = Vec::new();
    write_object(&lead.fields, &mut fields);
    let view = LineView {
        id: lead.id.to_string(),
        flow: lead.flow.to_string(),
        source: lead.source.as_ref().map(ToString::to_string),
        accepted_at: lead.accepted_at.to_string(),
        test: lead.test,
        fields: serde_json::from_slice(&fields)?,
        erased: archived.tombstone.as_ref().map(|tombstone| ErasedView {
            at: tombstone.at.to_string(),
            by: tombstone.by.to_string(),
            reason: tombstone.reason.as_ref().map(ToString::to_string),
        }),
        deliveries: archived.deliveries.iter().map(|(delivery, history)| HistoryView::of(delivery, history)).collect(),
    };
    Ok(serde_json::to_string(&view)? + "\n")
}
