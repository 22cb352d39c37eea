//! What the endpoints of a flow's legs have had of their days.

use super::explain::flow_of;
use crate::answer::json;
use crate::auth::Scope;
use crate::path::{self, PathText};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;
use crate::wire::words;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use steadfast_engine::{DayShares, Engine};
use steadfast_flow::{BalancePlan, CandidatePlan, StepPlan};
use steadfast_retry::ShareTally;
use utoipa::ToSchema;

/// The legs of a flow that choose between several endpoints.
#[derive(Serialize, ToSchema)]
pub(crate) struct SharesView {
    /// The flow.
    flow: String,
    /// Each such leg, step by step.
    legs: Vec<LegSharesView>,
}

/// One leg.
#[derive(Serialize, ToSchema)]
pub(crate) struct LegSharesView {
    /// The step.
    step: String,
    /// The leg; 0 is the step's own.
    leg: u8,
    /// weighted, least_loaded or best.
    by: &'static str,
    /// What counts: accepted or answered.
    share_of: &'static str,
    /// The zone whose days are counted.
    time_zone: String,
    /// Today, and the days before it that are kept, the newest first.
    days: Vec<DaySharesView>,
}

/// One day.
#[derive(Serialize, ToSchema)]
pub(crate) struct DaySharesView {
    /// From midnight,
    #[schema(schema_with = words::time)]
    from: String,
    /// until the next.
    #[schema(schema_with = words::time)]
    until: String,
    /// What counted in all.
    counted: u64,
    /// Each endpoint, in the order of the configuration.
    endpoints: Vec<EndpointShareView>,
}

/// One endpoint on one day.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointShareView {
    /// Its name.
    name: String,
    /// Whom it sends to.
    recipient: String,
    /// Its weight.
    weight: u32,
    /// What it is to have by its weight, in percent.
    share_percent: f64,
    /// What counted for it.
    counted: u64,
    /// What that is of all, in percent; missing where nothing counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
    /// Chosen for it and not ended: counts as given when the next is chosen. Today only.
    on_the_way: u64,
}

impl LegSharesView {
    fn of(engine: &Engine, leg: &StepPlan) -> Option<Self> {
        let balance = leg.balance.as_ref()?;
        Some(LegSharesView {
            step: leg.step.to_string(),
            leg: leg.leg,
            by: balance.rules.by.name(),
            share_of: balance.rules.share_of.name(),
            time_zone: balance.zone.name().to_owned(),
            days: engine.shares(balance).iter().map(|day| DaySharesView::of(balance, day)).collect(),
        })
    }
}

impl DaySharesView {
    fn of(balance: &BalancePlan, day: &DayShares) -> Self {
        let weights = balance.candidates.iter().map(|one| u64::from(one.weight)).sum();
        let counted = day.tallies.iter().map(|tally| tally.counted).sum();
        let endpoint = |(one, tally): (&CandidatePlan, &ShareTally)| EndpointShareView {
            name: one.name.to_string(),
            recipient: one.plan.endpoint.recipient.to_string(),
            weight: one.weight,
            share_percent: percent(one.weight.into(), weights),
            counted: tally.counted,
            percent: (counted > 0).then(|| percent(tally.counted, counted)),
            on_the_way: tally.on_the_way,
        };
        DaySharesView {
            from: day.from.to_string(),
            until: day.until.to_string(),
            counted,
            endpoints: balance.candidates.iter().zip(&day.tallies).map(endpoint).collect(),
        }
    }
}

/// To the hundredth.
fn percent(part: u64, whole: u64) -> f64 {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
}

/// What the endpoints of a flow's legs have had of today and of the days before it that are kept: the daily ledger.
#[utoipa::path(
    get, path = "/v1/flows/{flow}/shares", tag = "Figures", operation_id = "listShares",
    params(("flow" = String, Path, description = "The flow's name")),
    responses((status = 200, description = "Every leg that chooses between endpoints", body = SharesView))
)]
pub(crate) async fn list_shares(
    State(state): State<ApiState>,
    flow: PathText,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.authorize(&headers, Scope::Read)?;
    let flow = path::text(flow)?;
    Query::read(query.as_deref(), &[])?;
    let engine = state.engine();
    let book = engine.book();
    let plan = flow_of(&book, &caller, &flow)?;
    let legs = plan.steps.iter().flat_map(|step| step.legs());
    let legs = legs.filter_map(|leg| LegSharesView::of(engine, leg)).collect();
    Ok(json(StatusCode::OK, &SharesView { flow: plan.name.to_string(), legs }))
}
