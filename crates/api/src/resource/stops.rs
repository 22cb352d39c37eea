//! What people say about what is to go: recipients, flows and sources stopped and let go on, breakers opened and closed.
//!
//! Stopping something that is stopped already takes the new reason; letting something go on that goes on changes nothing.

use crate::answer::json;
use crate::auth::{Caller, Scope};
use crate::content::asked;
use crate::path::{self, PathText, TwoTexts};
use crate::problem::{Problem, ProblemKind};
use crate::query::Query;
use crate::resource::post_lead::known_flow;
use crate::resource::recipients::{RecipientView, one, recipient_name, unknown};
use crate::resource::verbs::{bounded, needed_reason};
use crate::state::ApiState;
use crate::wire::protection::StopView;
use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use steadfast_lead::{RecipientName, SourceName};
use steadfast_retry::StopTarget;
use steadfast_retry::breaker::{BreakerVerb, ByHand};
use utoipa::ToSchema;

/// Where the reason is kept.
pub(crate) const JOURNAL: &str = "the journal";

/// Why, and who.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopRequest {
    /// Why, for the journal. At most 500 characters.
    #[schema(required)]
    reason: Option<String>,
    /// Who, for the journal; the API key's name unless given. At most 500 characters.
    by: Option<String>,
}

/// What is to be with a breaker, why, and who says so.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BreakerRequest {
    /// `open` (nothing goes until a person says so), `probe` (try with one now), `close` (it is well again; recovers by the
    /// ramp) or `disable` (nothing is concluded until a person says so).
    #[schema(required)]
    verb: Option<String>,
    /// Which endpoint's, as an answer showed it; all of the recipient's unless given.
    endpoint: Option<String>,
    /// Why, for the journal. At most 500 characters.
    #[schema(required)]
    reason: Option<String>,
    /// Who, for the journal; the API key's name unless given. At most 500 characters.
    by: Option<String>,
}

/// Whether a person stopped it.
#[derive(Serialize, ToSchema)]
pub(crate) struct StoppedView {
    /// Who, why and since when; missing where it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<StopView>,
}

/// What people stopped.
#[derive(Serialize, ToSchema)]
pub(crate) struct StopsView {
    /// Recipients, flows and sources.
    items: Vec<StopView>,
}

/// What people stopped, and not yet let go on.
#[utoipa::path(
    get, path = "/v1/stops", tag = "Recipients", operation_id = "listStops",
    responses((status = 200, description = "All of it", body = StopsView))
)]
pub(crate) async fn list_stops(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.authorize(&headers, Scope::Read)?.of_all_accounts()?;
    Query::read(query.as_deref(), &[])?;
    let mut stops = state.engine().stops();
    stops.sort_by(|one, two| one.target.cmp(&two.target));
    Ok(json(StatusCode::OK, &StopsView { items: stops.iter().map(StopView::of).collect() }))
}

/// Send nothing to a recipient until a person says so. What comes for it is held, and uses no retry.
#[utoipa::path(
    post, path = "/v1/recipients/{recipient}/pause", tag = "Recipients", operation_id = "pauseRecipient",
    params(("recipient" = String, Path, description = "The recipient's name")),
    request_body(content = StopRequest, content_type = "application/json"),
    responses((status = 200, description = "The recipient now", body = RecipientView))
)]
pub(crate) async fn pause_recipient(
    State(state): State<ApiState>,
    recipient: PathText,
    request: Request,
) -> Result<Response, Problem> {
    on_recipient(&state, recipient, request, true).await
}

/// Let a recipient go on.
#[utoipa::path(
    post, path = "/v1/recipients/{recipient}/resume", tag = "Recipients", operation_id = "resumeRecipient",
    params(("recipient" = String, Path, description = "The recipient's name")),
    request_body(content = StopRequest, content_type = "application/json"),
    responses((status = 200, description = "The recipient now", body = RecipientView))
)]
pub(crate) async fn resume_recipient(
    State(state): State<ApiState>,
    recipient: PathText,
    request: Request,
) -> Result<Response, Problem> {
    on_recipient(&state, recipient, request, false).await
}

/// Open, probe, close or disable the breakers of a recipient.
#[utoipa::path(
    post, path = "/v1/recipients/{recipient}/breaker", tag = "Recipients", operation_id = "actOnBreaker",
    params(("recipient" = String, Path, description = "The recipient's name")),
    request_body(content = BreakerRequest, content_type = "application/json"),
    responses((status = 200, description = "The recipient now", body = RecipientView))
)]
pub(crate) async fn breaker(
    State(state): State<ApiState>,
    recipient: PathText,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Operate)?;
    Query::read(parts.uri.query(), &[])?;
    let name = operated(&state, &caller, &path::text(recipient)?)?;
    let wish: BreakerRequest = asked(&parts.headers, body, &state).await?;
    let verb = breaker_verb(wish.verb.as_deref())?;
    let reason = needed_reason(wish.reason.as_deref(), JOURNAL)?;
    let by = bounded("by", wish.by.as_deref())?.unwrap_or(caller.name());
    let origin = wish.endpoint.as_deref();
    if let Some(origin) = origin {
        known_origin(&state, &name, origin)?;
    }
    let by = ByHand { by: by.into(), reason: reason.into() };
    state.engine().act_on_breakers(&name, origin, verb, &by);
    Ok(json(StatusCode::OK, &one(&state, &caller, &name).await?))
}

/// Send nothing of a flow until a person says so. Leads are taken, their deliveries held.
#[utoipa::path(
    post, path = "/v1/flows/{flow}/pause", tag = "Recipients", operation_id = "pauseFlow",
    params(("flow" = String, Path, description = "The flow's name")),
    request_body(content = StopRequest, content_type = "application/json"),
    responses((status = 200, description = "Done", body = StoppedView))
)]
pub(crate) async fn pause_flow(
    State(state): State<ApiState>,
    flow: PathText,
    request: Request,
) -> Result<Response, Problem> {
    on_flow(&state, path::text(flow)?, None, request, true).await
}

/// Let a flow go on.
#[utoipa::path(
    post, path = "/v1/flows/{flow}/resume", tag = "Recipients", operation_id = "resumeFlow",
    params(("flow" = String, Path, description = "The flow's name")),
    request_body(content = StopRequest, content_type = "application/json"),
    responses((status = 200, description = "Done", body = StoppedView))
)]
pub(crate) async fn resume_flow(
    State(state): State<ApiState>,
    flow: PathText,
    request: Request,
) -> Result<Response, Problem> {
    on_flow(&state, path::text(flow)?, None, request, false).await
}

/// Send nothing that came by a source until a person says so. Leads are taken, their deliveries held.
#[utoipa::path(
    post, path = "/v1/flows/{flow}/sources/{source}/pause", tag = "Recipients", operation_id = "pauseSource",
    params(
        ("flow" = String, Path, description = "The flow's name"),
        ("source" = String, Path, description = "The source's name"),
    ),
    request_body(content = StopRequest, content_type = "application/json"),
    responses((status = 200, description = "Done", body = StoppedView))
)]
pub(crate) async fn pause_source(
    State(state): State<ApiState>,
    names: TwoTexts,
    request: Request,
) -> Result<Response, Problem> {
    let (flow, source) = path::two(names)?;
    on_flow(&state, flow, Some(source), request, true).await
}

/// Let a source go on.
#[utoipa::path(
    post, path = "/v1/flows/{flow}/sources/{source}/resume", tag = "Recipients", operation_id = "resumeSource",
    params(
        ("flow" = String, Path, description = "The flow's name"),
        ("source" = String, Path, description = "The source's name"),
    ),
    request_body(content = StopRequest, content_type = "application/json"),
    responses((status = 200, description = "Done", body = StoppedView))
)]
pub(crate) async fn resume_source(
    State(state): State<ApiState>,
    names: TwoTexts,
    request: Request,
) -> Result<Response, Problem> {
    let (flow, source) = path::two(names)?;
    on_flow(&state, flow, Some(source), request, false).await
}

async fn on_recipient(
    state: &ApiState,
    recipient: PathText,
    request: Request,
    stop: bool,
) -> Result<Response, Problem> {
    let caller = state.authorize(request.headers(), Scope::Operate)?;
    let name = operated(state, &caller, &path::text(recipient)?)?;
    act(state, &caller, StopTarget::Recipient(name.clone()), request, stop).await?;
    Ok(json(StatusCode::OK, &one(state, &caller, &name).await?))
}

async fn on_flow(
    state: &ApiState,
    flow: String,
    source: Option<String>,
    request: Request,
    stop: bool,
) -> Result<Response, Problem> {
    let caller = state.authorize(request.headers(), Scope::Operate)?;
    let target = target(state, &caller, flow, source)?;
    act(state, &caller, target.clone(), request, stop).await?;
    let stopped = state.engine().stops().iter().find(|stop| stop.target == target).map(StopView::of);
    Ok(json(StatusCode::OK, &StoppedView { stopped }))
}

async fn act(
    state: &ApiState,
    caller: &Caller,
    target: StopTarget,
    request: Request,
    stop: bool,
) -> Result<(), Problem> {
    let (parts, body) = request.into_parts();
    Query::read(parts.uri.query(), &[])?;
    let wish: StopRequest = asked(&parts.headers, body, state).await?;
    let reason = needed_reason(wish.reason.as_deref(), JOURNAL)?;
    let by = bounded("by", wish.by.as_deref())?.unwrap_or(caller.name());
    if stop {
        state.engine().stop(target, by, reason).await?;
    } else {
        state.engine().resume(&target, by, reason).await?;
    }
    Ok(())
}

/// A flow or source that is configured, or that is stopped and no more configured: a stop must not outlive its end.
fn target(state: &ApiState, caller: &Caller, flow: String, source: Option<String>) -> Result<StopTarget, Problem> {
    let left = state.engine().stops().into_iter().map(|stop| stop.target).find(|target| match target {
        StopTarget::Recipient(_) | StopTarget::Person(_) | StopTarget::Maintenance(..) => false,
        StopTarget::Flow(known) => source.is_none() && known.as_str() == flow,
        StopTarget::Source(known, by) => known.as_str() == flow && source.as_deref() == Some(by.as_str()),
    });
    if let (Some(left), None) = (left, caller.account()) {
        return Ok(left);
    }
    let flow = known_flow(state, caller, flow)?;
    let Some(source) = source else { return Ok(StopTarget::Flow(flow)) };
    let known =
        SourceName::new(&source).ok().filter(|_| state.engine().book().source(flow.as_str(), &source).is_some());
    let unknown = || Problem::new(ProblemKind::UnknownSource, format!("flow {flow} has no source of that name"));
    Ok(StopTarget::Source(flow.clone(), known.ok_or_else(unknown)?))
}

/// A recipient the caller may act on: it is there, and nobody else's leads go to it. That callbacks go to is one like any other.
pub(crate) fn operated(state: &ApiState, caller: &Caller, recipient: &str) -> Result<RecipientName, Problem> {
    let name = recipient_name(recipient)?;
    let (engine, book) = (state.engine(), state.engine().book());
    let is_left = || engine.stops().iter().any(|stop| stop.target == StopTarget::Recipient(name.clone()));
    let mut flows = book.all_flows().filter(|flow| flow.ways().any(|leg| leg.endpoint.recipient == name));
    if !book.recipients.contains_key(&name) && flows.clone().next().is_none() && !is_left() {
        return Err(unknown(&name));
    }
    let Some(account) = caller.account() else { return Ok(name) };
    let foreign = flows.clone().any(|flow| !caller.sees(&flow.name, &book));
    if foreign || flows.next().is_none() {
        let detail =
            format!("recipient {name} takes leads of others than account {account}, which this key is limited to");
        return Err(Problem::new(ProblemKind::Forbidden, detail).naming("recipient"));
    }
    Ok(name)
}

fn breaker_verb(text: Option<&str>) -> Result<BreakerVerb, Problem> {
    match text {
        Some("open") => Ok(BreakerVerb::Open),
        Some("probe") => Ok(BreakerVerb::Probe),
        Some("close") => Ok(BreakerVerb::Close),
        Some("disable") => Ok(BreakerVerb::Disable),
        Some(_) | None => {
            let detail = "verb is missing or not known: open, probe, close or disable";
            Err(Problem::new(ProblemKind::BadRequest, detail).naming("verb"))
        }
    }
}

fn known_origin(state: &ApiState, name: &RecipientName, origin: &str) -> Result<(), Problem> {
    let standings = state.engine().recipients();
    let endpoints = standings.iter().filter(|standing| standing.recipient == *name).flat_map(|one| &one.endpoints);
    let origins: Vec<&str> = endpoints.map(|endpoint| &*endpoint.endpoint.origin).collect();
    if origins.contains(&origin) {
        return Ok(());
    }
    let detail = format!("endpoint is none of this recipient's: {}", origins.join(", "));
    Err(Problem::new(ProblemKind::BadRequest, detail).naming("endpoint"))
}
