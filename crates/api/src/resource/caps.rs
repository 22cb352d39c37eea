//! How caps stand.

use crate::answer::json;
use crate::auth::Scope;
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use steadfast_engine::CapStanding;
use utoipa::ToSchema;

/// One cap in its present period.
#[derive(Serialize, ToSchema)]
pub(crate) struct CapView {
    /// What is counted: `recipient NAME`, `flow NAME`, `source FLOW.NAME` or `step FLOW.NAME`.
    scope: String,
    /// Over how long: hour, day, week or month.
    per: &'static str,
    /// Whose days and hours: an IANA name.
    time_zone: String,
    /// How many at most.
    max: u64,
    /// How many were accepted in the period.
    used: u64,
    /// How many more may be: they are on the way, or in doubt.
    reserved: u64,
    /// What becomes of a delivery that finds it full: hold, skip, next or reject.
    on_cap: &'static str,
    /// When the period began.
    since: String,
    /// When the next one begins, with nothing counted.
    resets_at: String,
}

impl CapView {
    fn of(standing: &CapStanding) -> Self {
        let CapStanding { cap, period, tally } = standing;
        CapView {
            scope: cap.scope.to_string(),
            per: cap.per.name(),
            time_zone: cap.zone.name().to_owned(),
            max: cap.max,
            used: tally.used,
            reserved: tally.reserved,
            on_cap: cap.on_cap.name(),
            since: period.from.to_string(),
            resets_at: period.until.to_string(),
        }
    }
}

/// Every cap.
#[derive(Serialize, ToSchema)]
pub(crate) struct CapsView {
    /// By what they count.
    items: Vec<CapView>,
}

/// Every cap with what is accepted and reserved in its present period.
#[utoipa::path(
    get, path = "/v1/caps", tag = "Figures", operation_id = "listCaps",
    responses((status = 200, description = "All of them", body = CapsView))
)]
pub(crate) async fn list_caps(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.authorize(&headers, Scope::Read)?.of_all_accounts()?;
    Query::read(query.as_deref(), &[])?;
    Ok(json(StatusCode::OK, &CapsView { items: state.engine().caps().iter().map(CapView::of).collect() }))
}
