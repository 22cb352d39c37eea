//! A lead with its deliveries.

use crate::answer::json;
use crate::auth::Scope;
use crate::path::{self, PathText};
use crate::problem::{Problem, ProblemKind};
use crate::query::Query;
use crate::state::ApiState;
use crate::wire::attempt::VerdictView;
use crate::wire::delivery::{DeliveryView, state_word};
use crate::wire::words;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;
use steadfast_lead::{LeadId, write_object};
use steadfast_retry::{Attempt, Delivery, Entry};
use steadfast_store::Tombstone;
use utoipa::ToSchema;

/// Lines of a delivery's history that are read to find its last attempt, or to show all of it.
pub(crate) const HISTORY_MAX: usize = 2_000;

/// One delivery of a lead that was just posted.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeadDeliveryView {
    /// Its id.
    id: String,
    /// The step that sends it.
    step: String,
    /// Where it stands.
    #[schema(schema_with = words::state)]
    state: &'static str,
    /// What its last attempt meant, with `wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::outcome, required = false)]
    outcome: Option<&'static str>,
    /// The kind of a failure or error, with `wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::kind, required = false)]
    kind: Option<&'static str>,
    /// Why, in the recipient's words, with `wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What the recipient pays, with `wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    /// The recipient's own id for the lead, with `wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

/// A lead with its deliveries.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeadView {
    /// Its id.
    id: String,
    /// The flow it entered.
    flow: String,
    /// The source it came by, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// When it was accepted.
    #[schema(schema_with = words::time)]
    accepted_at: String,
    /// A test lead.
    test: bool,
    /// What was said.
    #[schema(value_type = Object)]
    fields: Box<RawValue>,
    /// Its deliveries in the order of the flow's steps.
    deliveries: Vec<DeliveryView>,
}

impl LeadDeliveryView {
    /// As it was planned.
    pub(crate) fn of(delivery: &Delivery) -> Self {
        LeadDeliveryView {
            id: delivery.id.to_string(),
            step: delivery.step.to_string(),
            state: delivery.state.name().name(),
            outcome: None,
            kind: None,
            reason: None,
            price: None,
            reference: None,
        }
    }

    fn with_outcome(delivery: &Delivery, in_flight: bool, last: Option<&Attempt>) -> Self {
        let mut view = LeadDeliveryView::of(delivery);
        view.state = state_word(delivery, in_flight);
        if let Some(attempt) = last {
            let verdict = VerdictView::from(&attempt.verdict);
            view.outcome = Some(verdict.outcome);
            view.kind = verdict.kind;
            view.reason = verdict.reason;
            view.price = verdict.price;
            view.reference = verdict.reference;
        }
        view
    }
}

/// Waits for a lead's outcome: 200 with it when everything is settled in time, else 202 with what is known. `None` when it
/// could not be read: the lead is kept all the same, and must not be answered as if it were not.
pub(crate) async fn settled_view(
    state: &ApiState,
    lead: LeadId,
    patience: Duration,
) -> Option<(StatusCode, Vec<LeadDeliveryView>)> {
    let deliveries = match state.engine().wait_for(lead, patience).await {
        Ok(deliveries) => deliveries?,
        Err(error) => {
            tracing::error!(%lead, %error, "the outcome of a lead that is kept could not be read");
            return None;
        }
    };
    let settled = deliveries.iter().all(|delivery| delivery.state.next_look().is_none());
    let mut views = Vec::with_capacity(deliveries.len());
    for delivery in &deliveries {
        let last = last_attempt(state, delivery).await.ok()?;
        let in_flight = state.engine().is_in_flight(delivery.id);
        views.push(LeadDeliveryView::with_outcome(delivery, in_flight, last.as_ref()));
    }
    Some((if settled { StatusCode::OK } else { StatusCode::ACCEPTED }, views))
}

/// The newest attempt of a delivery.
pub(crate) async fn last_attempt(state: &ApiState, delivery: &Delivery) -> Result<Option<Attempt>, Problem> {
    if delivery.attempts == 0 {
        return Ok(None);
    }
    // A history holds at least its attempts, so none of the newest is left out.
    let skip = usize::try_from(delivery.attempts).unwrap_or(usize::MAX).saturating_sub(1);
    let entries = state.engine().store().history(delivery.id, skip, HISTORY_MAX).await?;
    let attempts = entries.into_iter().rev().filter_map(|entry| match entry {
        Entry::Attempt(attempt) => Some(*attempt),
        Entry::Change(_) | Entry::LookUp(_) => None,
    });
    Ok(attempts.into_iter().next())
}

/// A lead with its deliveries.
#[utoipa::path(
    get, path = "/v1/leads/{id}", tag = "Leads", operation_id = "getLead",
    params(("id" = String, Path, description = "The lead's id")),
    responses(
        (status = 200, description = "The lead", body = LeadView),
    )
)]
pub(crate) async fn get_lead(
    State(state): State<ApiState>,
    id: PathText,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.authorize(&headers, Scope::Read)?;
    Query::read(query.as_deref(), &[])?;
    let id: LeadId = path::id(id)?;
    let unknown = || Problem::new(ProblemKind::UnknownLead, format!("there is no lead {id}")).naming("id");
    let (lead, deliveries) = state.engine().store().lead(id).await?.ok_or_else(unknown)?;
    if !caller.sees(&lead.flow, &state.engine().book()) {
        return Err(unknown());
    }
    if let Some(tombstone) = state.engine().store().tombstone(id).await? {
        let Tombstone { at, by, reason } = tombstone;
        let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        return Err(Problem::new(ProblemKind::LeadErased, format!("the lead {id} was erased at {at} by {by}{why}")));
    }
    let mut fields = Vec::new();
    write_object(&lead.fields, &mut fields);
    let in_flight = |delivery: &Delivery| state.engine().is_in_flight(delivery.id);
    let view = LeadView {
        id: lead.id.to_string(),
        flow: lead.flow.to_string(),
        source: lead.source.as_ref().map(ToString::to_string),
        accepted_at: lead.accepted_at.to_string(),
        test: lead.test,
        fields: raw(fields)?,
        deliveries: deliveries.iter().map(|delivery| DeliveryView::of(delivery, in_flight(delivery))).collect(),
    };
    Ok(json(StatusCode::OK, &view))
}

/// JSON we wrote ourselves, digits of numbers and all.
fn raw(json: Vec<u8>) -> Result<Box<RawValue>, Problem> {
    let failed = || Problem::new(ProblemKind::Internal, "the lead's fields could not be written");
    RawValue::from_string(String::from_utf8(json).map_err(|_| failed())?).map_err(|_| failed())
}
