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
use serde::de::DeserializeOwned;
use steadfast_engine::{Acted, RefusedAction};
use steadfast_flow::FALLBACKS_MAX;
use steadfast_lead::{BadName, CandidateName, DeliveryId, RecipientName};
use steadfast_retry::{RefusedReroute, Reroute, Verb};
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
    act(&state, id, request, |asked: &VerbRequest| {
        bounded("reason", asked.reason.as_deref())?;
        Ok(Verb::Retry)
    })
    .await
}

/// Which way a delivery is to go. One of `leg`, `endpoint` and `recipient` is needed; of several ways that fit, the one on its
/// present leg.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RerouteRequest {
    /// On this leg; 0 is the step's own. Of several endpoints there one is chosen as ever.
    #[serde(default)]
    #[schema(value_type = Option<u8>)]
    leg: Option<serde_json::Value>,
    /// To the endpoint of this name.
    endpoint: Option<String>,
    /// To this recipient, one that its step sends to.
    recipient: Option<String>,
    /// Where an attempt is in doubt: its recipient says that it does not have the lead. Without it a lead in doubt goes to no other.
    #[serde(default)]
    not_taken: bool,
    /// Why. At most 500 characters.
    reason: Option<String>,
    /// Who, for the history; the API key's name unless given. At most 500 characters.
    by: Option<String>,
}

/// Send a delivery another way: on another leg, to another endpoint, or to another recipient of its step, with a fresh budget.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/reroute", tag = "Deliveries", operation_id = "rerouteDelivery",
    params(("id" = String, Path, description = "The delivery's id")),
    request_body(content = RerouteRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "Done; the delivery now", body = DeliveryDetail),
        (status = 202, description = "An attempt is under way; done when it settles, unless the recipient takes the lead or leaves it in doubt", body = DeliveryDetail),
    )
)]
pub(crate) async fn reroute(
    State(state): State<ApiState>,
    id: PathText,
    request: Request,
) -> Result<Response, Problem> {
    act(&state, id, request, |asked: &RerouteRequest| {
        if asked.leg.is_none() && asked.endpoint.is_none() && asked.recipient.is_none() {
            let detail = "nothing says which way: leg, endpoint or recipient is needed";
            return Err(Problem::new(ProblemKind::BadRequest, detail).naming("leg"));
        }
        Ok(Verb::Reroute(Box::new(Reroute {
            leg: asked.leg.as_ref().map(leg).transpose()?,
            endpoint: asked.endpoint.as_deref().map(|text| named("endpoint", CandidateName::new(text))).transpose()?,
            recipient: asked
                .recipient
                .as_deref()
                .map(|text| named("recipient", RecipientName::new(text)))
                .transpose()?,
            not_taken: asked.not_taken,
            reason: needed_reason(asked.reason.as_deref(), "the delivery's history")?.into(),
        })))
    })
    .await
}

/// A leg by its number. What is none is told with what was given: a key of another type would be told by its type alone.
fn leg(given: &serde_json::Value) -> Result<u8, Problem> {
    let number = given.as_u64().and_then(|number| u8::try_from(number).ok());
    number.filter(|number| usize::from(*number) <= FALLBACKS_MAX).ok_or_else(|| {
        let shown: String = given.to_string().chars().take(80).collect();
        let allowed = format!("a whole number from 0, the step's own, to {FALLBACKS_MAX}, its last fallback");
        Problem::new(ProblemKind::BadRequest, format!("leg = {shown} is no leg")).naming("leg").allowing(&allowed)
    })
}

fn named<T>(key: &str, read: Result<T, BadName>) -> Result<T, Problem> {
    read.map_err(|bad| Problem::new(ProblemKind::BadRequest, format!("{key}: {bad}")).naming(key))
}

/// What a person's request says beside the verb itself.
trait Asked: DeserializeOwned {
    /// Who, for the history.
    fn by(&self) -> Option<&str>;
}

impl Asked for VerbRequest {
    fn by(&self) -> Option<&str> {
        self.by.as_deref()
    }
}

impl Asked for RerouteRequest {
    fn by(&self) -> Option<&str> {
        self.by.as_deref()
    }
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
    act(&state, id, request, |asked: &VerbRequest| Ok(Verb::MarkDelivered { reason: reason(asked)? })).await
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
    act(&state, id, request, |asked: &VerbRequest| Ok(Verb::Dismiss { reason: reason(asked)? })).await
}

async fn act<T: Asked>(
    state: &ApiState,
    id: PathText,
    request: Request,
    verb: impl FnOnce(&T) -> Result<Verb, Problem>,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Operate)?;
    Query::read(parts.uri.query(), &[])?;
    let id: DeliveryId = path::id(id)?;
    let asked: T = asked(&parts.headers, body, state).await?;
    let verb = verb(&asked)?;
    let by = bounded("by", asked.by())?.unwrap_or(caller.name());
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
        RefusedAction::Reroute(RefusedReroute::NoWay { known, .. }) => {
            Problem::new(ProblemKind::BadRequest, detail).allowing(&known)
        }
        RefusedAction::Reroute(
            RefusedReroute::State(_) | RefusedReroute::SameWay(_) | RefusedReroute::InDoubt { .. },
        ) => Problem::new(ProblemKind::VerbRefused, detail),
        RefusedAction::Verb(_) | RefusedAction::Sale(_) | RefusedAction::AfterSale(_) | RefusedAction::Erased(_) => {
            Problem::new(ProblemKind::VerbRefused, detail)
        }
        RefusedAction::Contended(_) => Problem::new(ProblemKind::Contended, detail),
        RefusedAction::Store(error) => Problem::from(error),
    }
}
