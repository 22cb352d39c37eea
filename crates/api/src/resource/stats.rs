//! How many deliveries stand where, from kept counters.

use crate::answer::json;
use crate::auth::Scope;
use crate::problem::Problem;
use crate::query::{NAME, Query};
use crate::state::ApiState;
use crate::wire::counts::CountsView;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use std::collections::BTreeMap;
use steadfast_lead::{FlowName, RecipientName};
use utoipa::ToSchema;

/// How many deliveries stand where.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatsView {
    /// Over everything asked for, without test leads.
    total: CountsView,
    /// The deliveries of test leads, which count nowhere else.
    tests: CountsView,
    /// Callbacks to sources, which count nowhere else.
    callbacks: CountsView,
    /// Attempts under way in the whole server.
    in_flight: usize,
    /// By flow and recipient, sorted; without test leads.
    rows: Vec<StatsRowView>,
}

/// One flow to one recipient.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatsRowView {
    /// The flow.
    flow: String,
    /// The recipient.
    recipient: String,
    /// How many stand where.
    deliveries: CountsView,
}

/// How many deliveries stand where, by flow and recipient.
#[utoipa::path(
    get, path = "/v1/stats", tag = "Figures", operation_id = "getStats",
    params(
        ("flow" = Option<String>, Query, description = "Of one flow"),
        ("recipient" = Option<String>, Query, description = "To one recipient"),
    ),
    responses(
        (status = 200, description = "The counts", body = StatsView),
    )
)]
pub(crate) async fn get_stats(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.authorize(&headers, Scope::Read)?;
    let query = Query::read(query.as_deref(), &["flow", "recipient"])?;
    let flow = query.read_as("flow", NAME, |text| FlowName::new(text).ok())?;
    let recipient = query.read_as("recipient", NAME, |text| RecipientName::new(text).ok())?;
    let book = state.engine().book();
    let (mut total, mut tests, mut callbacks) = (CountsView::default(), CountsView::default(), CountsView::default());
    let mut rows: BTreeMap<(FlowName, RecipientName), CountsView> = BTreeMap::new();
    for count in state.engine().store().counts().await? {
        let asked = flow.as_ref().is_none_or(|flow| *flow == count.flow)
            && recipient.as_ref().is_none_or(|recipient| *recipient == count.recipient);
        if !asked || !caller.sees(&count.flow, &book) {
            continue;
        }
        if count.flow.is_built_in() {
            callbacks.add(count.state, count.deliveries);
        } else if count.test {
            tests.add(count.state, count.deliveries);
        } else {
            total.add(count.state, count.deliveries);
            rows.entry((count.flow, count.recipient)).or_default().add(count.state, count.deliveries);
        }
    }
    let rows = rows.into_iter().map(|((flow, recipient), deliveries)| StatsRowView {
        flow: flow.to_string(),
        recipient: recipient.to_string(),
        deliveries,
    });
    let view = StatsView { total, tests, callbacks, in_flight: state.engine().in_flight(), rows: rows.collect() };
    Ok(json(StatusCode::OK, &view))
}
