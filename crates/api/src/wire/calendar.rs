//! When a recipient may be called, as it is shown.

use crate::wire::words;
use serde::Serialize;
use steadfast_flow::ExplainedCalendar;
use steadfast_lead::Timestamp;
use steadfast_retry::calendar::Standing;
use steadfast_retry::{Stop, StopTarget};
use utoipa::ToSchema;

/// When a recipient may be called, and how that stands now.
#[derive(Serialize, ToSchema)]
pub(crate) struct CalledWhenView {
    /// The IANA name of the zone.
    time_zone: String,
    /// Hours in OSM's `opening_hours` syntax; all must be open. None is always.
    hours: Vec<String>,
    /// How many holidays there are.
    holidays: usize,
    /// How many maintenance windows, one-off and recurring, configured and said by people.
    maintenance: usize,
    /// `open` or `closed`.
    now: &'static str,
    /// What closes it now: `hours`, `holiday` or `maintenance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by: Option<&'static str>,
    /// What the maintenance is for that closes it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// When it closes or opens next; missing where that is not within 400 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    until: Option<String>,
    /// The next times it is open.
    openings: Vec<OpeningView>,
}

/// A time it is open.
#[derive(Serialize, ToSchema)]
struct OpeningView {
    /// From.
    #[schema(schema_with = words::time)]
    from: String,
    /// Until just before.
    #[schema(schema_with = words::time)]
    until: String,
}

impl CalledWhenView {
    /// As it stands.
    pub(crate) fn of(explained: &ExplainedCalendar) -> Self {
        let (now, closed_by) = match explained.standing {
            Standing::Open { .. } => ("open", None),
            Standing::Closed { why, .. } => ("closed", Some(why.name())),
        };
        let opening =
            |(from, until): &(Timestamp, Timestamp)| OpeningView { from: from.to_string(), until: until.to_string() };
        CalledWhenView {
            time_zone: explained.time_zone.clone(),
            hours: explained.hours.clone(),
            holidays: explained.holidays,
            maintenance: explained.maintenance,
            now,
            closed_by,
            note: explained.note.clone(),
            until: explained.standing.until().map(|at| at.to_string()),
            openings: explained.openings.iter().map(opening).collect(),
        }
    }
}

/// Maintenance by a person's word.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct MaintenanceView {
    /// What it is cancelled by.
    id: String,
    /// From when the recipient is sent nothing.
    #[schema(schema_with = words::time)]
    from: String,
    /// Until just before when.
    #[schema(schema_with = words::time)]
    until: String,
    /// What for.
    reason: String,
    /// Whose word it is.
    by: String,
    /// When they said so.
    #[schema(schema_with = words::time)]
    said_at: String,
}

impl MaintenanceView {
    /// Of a stop that is maintenance; `None` for any other.
    pub(crate) fn of(stop: &Stop) -> Option<Self> {
        let StopTarget::Maintenance(_, from, until) = &stop.target else { return None };
        Some(MaintenanceView {
            id: id_of(*from),
            from: from.to_string(),
            until: until.to_string(),
            reason: stop.reason.to_string(),
            by: stop.by.to_string(),
            said_at: stop.since.to_string(),
        })
    }
}

/// Windows of a recipient do not overlap: where one begins says which it is.
fn id_of(from: Timestamp) -> String {
    from.as_micros().to_string()
}

/// Which window is meant by an id: where it begins.
pub(crate) fn begins(id: &str) -> Option<Timestamp> {
    id.parse().ok().map(Timestamp::from_micros)
}
