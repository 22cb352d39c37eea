//! What is in force for a step, and where each value came from.

use crate::answer::json;
use crate::auth::{Caller, Scope};
use crate::problem::{Problem, ProblemKind, shown};
use crate::query::Query;
use crate::state::ApiState;
use crate::wire::calendar::CalledWhenView;
use crate::wire::policy::ExplainView;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use steadfast_flow::{Book, Explained, ExplainedCalendar, FlowPlan, StepPlan};
use utoipa::ToSchema;

/// What is in force for a step, and when its recipient may be called.
#[derive(Serialize, ToSchema)]
pub(crate) struct StepExplainView {
    #[serde(flatten)]
    explained: ExplainView,
    /// When the recipient may be called, seen from now; missing where that is always.
    #[serde(skip_serializing_if = "Option::is_none")]
    called_when: Option<CalledWhenView>,
    /// When its retries would go at the earliest, if its first attempt came due now and all failed at once: by the calendar
    /// and the retry hours.
    example: Vec<String>,
}

/// Every retry setting of a step with its origin, and the schedule they make.
#[utoipa::path(
    get, path = "/v1/explain", tag = "Settings", operation_id = "explain",
    params(
        ("flow" = String, Query, description = "The flow's name"),
        ("step" = String, Query, description = "The step's name"),
    ),
    responses(
        (status = 200, description = "What is in force", body = StepExplainView),
    )
)]
pub(crate) async fn explain(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.authorize(&headers, Scope::Read)?;
    let query = Query::read(query.as_deref(), &["flow", "step"])?;
    let (flow, step) = (query.required("flow")?, query.required("step")?);
    let book = state.engine().book();
    let step = step_of(&book, &caller, flow, step)?;
    let engine = state.engine();
    let (calendar, now) = (engine.calendar(&step.endpoint.recipient), engine.now());
    let example = Explained::of(step).example(calendar.as_deref(), now).iter().map(ToString::to_string).collect();
    let called_when = calendar.map(|calendar| CalledWhenView::of(&ExplainedCalendar::of(&calendar, now)));
    Ok(json(StatusCode::OK, &StepExplainView { called_when, example, explained: ExplainView::of(step, book.version) }))
}

/// A flow by name that the caller may see.
///
/// # Errors
/// 404 where there is none.
pub(crate) fn flow_of<'b>(book: &'b Book, caller: &Caller, flow: &str) -> Result<&'b FlowPlan, Problem> {
    let plan = book.flows.get(flow).filter(|plan| caller.sees(&plan.name, book));
    plan.map(|plan| &**plan).ok_or_else(|| {
        Problem::new(ProblemKind::UnknownFlow, format!("there is no flow named {}", shown(flow))).naming("flow")
    })
}

/// A step by name, of a flow the caller may see.
///
/// # Errors
/// 404 where there is none.
pub(crate) fn step_of<'b>(book: &'b Book, caller: &Caller, flow: &str, step: &str) -> Result<&'b StepPlan, Problem> {
    let plan = flow_of(book, caller, flow)?;
    let found = plan.steps.iter().find(|known| known.step.as_str() == step);
    found.map(|step| &**step).ok_or_else(|| unknown_step(plan, step))
}

fn unknown_step(plan: &FlowPlan, step: &str) -> Problem {
    let known: Vec<&str> = plan.steps.iter().map(|step| step.step.as_str()).collect();
    let known = known.join(", ");
    let detail = format!("flow {} has no step named {}: known are {known}", plan.name, shown(step));
    Problem::new(ProblemKind::UnknownStep, detail).naming("step").allowing(&known)
}
