//! The desk's verbs on one delivery.

use crate::answer::json;
use crate::auth::Scope;
use crate::content::asked;
use crate::path::{self, PathText};
use crate::problem::{Problem, ProblemKind};
use crate::query::Query;
use crate::resource::deliveries::{detail, unknown, visible};
use crate::state::ApiState;
use crate::wire::delivery::DeliveryDetail;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use steadfast_engine::{Acted, RefusedAction};
use steadfast_lead::DeliveryId;
use steadfast_retry::Verb;
use utoipa::ToSchema;

/// How long a reason or a name may be, in characters.
const TEXT_CHARS_MAX: usize = 500;

/// Why, and who.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerbRequest {
    /// Why; needed for mark-delivered and dismiss. At most 500 characters.
    reason: Option<String>,
    /// Who, for the history; the API key's name unless given. At most 500 characters.
    by: Option<String>,
}

/// Try a delivery again now, with a fresh budget of retries.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/retry", tag = "Deliveries", operation_id = "retryDelivery",
    params(("id" = String, Path, description = "The delivery's id")),
    request_body(content = Option<VerbRequest>, content_type = "application/json"),
    responses(
        (status = 200, description = "Done; the delivery now", body = DeliveryDetail),
        (status = 202, description = "An attempt is under way; done when it settles, unless the recipient takes the lead", body = DeliveryDetail),
    )
)]
pub(crate) async fn retry(State(state): State<ApiState>, id: PathText, request: Request) -> Result<Response, Problem> {
    act(&state, id, request, |asked| {
        bounded("reason", asked.reason.as_deref())?;
        Ok(Verb::Retry)
    })
    .await
}

/// Note that the recipient has it.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/mark-delivered", tag = "Deliveries", operation_id = "markDelivered",
    params(("id" = String, Path, description = "The delivery's id")),
    request_body(content = VerbRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "Done; the delivery now", body = DeliveryDetail),
        (status = 202, description = "An attempt is under way; done when it settles", body = DeliveryDetail),
    )
)]
pub(crate) async fn mark_delivered(
    State(state): State<ApiState>,
    id: PathText,
    request: Request,
) -> Result<Response, Problem> {
    act(&state, id, request, |asked| Ok(Verb::MarkDelivered { reason: reason(asked)? })).await
}

/// End a delivery without another try.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/dismiss", tag = "Deliveries", operation_id = "dismissDelivery",
    params(("id" = String, Path, description = "The delivery's id")),
    request_body(content = VerbRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "Done; the delivery now", body = DeliveryDetail),
        (status = 202, description = "An attempt is under way; done when it settles, unless the recipient takes the lead", body = DeliveryDetail),
    )
)]
pub(crate) async fn dismiss(
    State(state): State<ApiState>,
    id: PathText,
    request: Request,
) -> Result<Response, Problem> {
    act(&state, id, request, |asked| Ok(Verb::Dismiss { reason: reason(asked)? })).await
}

async fn act(
    state: &ApiState,
    id: PathText,
    request: Request,
    verb: impl FnOnce(&VerbRequest) -> Result<Verb, Problem>,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Operate)?;
    Query::read(parts.uri.query(), &[])?;
    let id: DeliveryId = path::id(id)?;
    let asked: VerbRequest = asked(&parts.headers, body, state).await?;
    let verb = verb(&asked)?;
    let by = bounded("by", asked.by.as_deref())?.unwrap_or(caller.name());
    visible(state, &caller, id).await?;
    let (status, delivery) = match state.engine().act(id, verb, by).await.map_err(refused)? {
        Acted::Done(delivery) => (StatusCode::OK, *delivery),
        Acted::Left => (StatusCode::ACCEPTED, visible(state, &caller, id).await?),
    };
    Ok(json(status, &detail(state, &delivery).await?))
}

fn reason(asked: &VerbRequest) -> Result<Box<str>, Problem> {
    needed_reason(asked.reason.as_deref(), "the delivery's history").map(Into::into)
}

/// Why, in a person's words; needed, because it is kept there.
pub(crate) fn needed_reason<'a>(reason: Option<&'a str>, kept_in: &str) -> Result<&'a str, Problem> {
    bounded("reason", reason)?.ok_or_else(|| {
        let detail = format!("reason is missing: say why, it is kept in {kept_in}");
        Problem::new(ProblemKind::BadRequest, detail).naming("reason")
    })
}

/// A text of at most so many characters; `None` where it is missing or blank.
pub(crate) fn bounded<'a>(name: &str, text: Option<&'a str>) -> Result<Option<&'a str>, Problem> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().nth(TEXT_CHARS_MAX).is_some() {
        let detail = format!("{name} has more than {TEXT_CHARS_MAX} characters");
        return Err(Problem::new(ProblemKind::BadRequest, detail).naming(name));
    }
    Ok(Some(text))
}

pub(crate) fn refused(refused: RefusedAction) -> Problem {
    let detail = refused.to_string();
    match refused {
        RefusedAction::Unknown(id) => unknown(id),
        RefusedAction::Verb(_) | RefusedAction::Sale(_) | RefusedAction::AfterSale(_) | RefusedAction::Erased(_) => {
            Problem::new(ProblemKind::VerbRefused, detail)
        }
        RefusedAction::Contended(_) => Problem::new(ProblemKind::Contended, detail),
        RefusedAction::Store(error) => Problem::from(error),
    }
}
