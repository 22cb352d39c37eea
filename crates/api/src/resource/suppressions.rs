//! The suppression list: people of whom nothing more is sent.
//!
//! No answer repeats the address or number that was given. Not for keys that are limited to an account: the list reaches every
//! account.

use crate::answer::json;
use crate::auth::{Caller, Scope};
use crate::content::asked;
use crate::path::{self, PathText};
use crate::problem::{Problem, ProblemKind};
use crate::query::Query;
use crate::resource::erasures::nameless;
use crate::resource::verbs::{bounded, needed_reason};
use crate::state::ApiState;
use crate::wire::protection::StopView;
use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use steadfast_engine::RefusedSuppression;
use steadfast_retry::{Suppressed, Within};
use utoipa::ToSchema;

/// Of whom nothing more is sent, where, and why.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuppressionRequest {
    /// An email address, in any case.
    email: Option<String>,
    /// A telephone number, however written.
    phone: Option<String>,
    /// Only in this flow.
    flow: Option<String>,
    /// Only to this recipient.
    recipient: Option<String>,
    /// Why, such as `consent withdrawn`. Kept, so it must name no person; at most 500 characters.
    #[schema(required)]
    reason: Option<String>,
    /// Who, for the journal; the API key's name unless given. At most 500 characters.
    by: Option<String>,
}

/// Entries of the list.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuppressionsView {
    /// In the order of their ids.
    items: Vec<StopView>,
    /// Where the next page begins; missing on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Whether an entry was there.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuppressionEnded {
    /// It was, and is no more.
    ended: bool,
}

/// Send nothing more of a person.
///
/// Durable before the answer, with an entry for the address and one for the number. What waits of the person is closed
/// (`suppressed`), and so is what comes later; what is under way ends as it would.
#[utoipa::path(
    post, path = "/v1/suppressions", tag = "Leads", operation_id = "suppress",
    request_body(content = SuppressionRequest, content_type = "application/json"),
    responses((status = 200, description = "The entries", body = SuppressionsView))
)]
pub(crate) async fn suppress(State(state): State<ApiState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = everywhere(state.authorize(&parts.headers, Scope::Operate)?)?;
    Query::read(parts.uri.query(), &[])?;
    let wish: SuppressionRequest = asked(&parts.headers, body, &state).await?;
    let reason = nameless(wish.reason.as_deref(), wish.phone.as_deref())?;
    let reason = needed_reason(reason, "the list")?;
    let by = bounded("by", wish.by.as_deref())?.unwrap_or(caller.name());
    let within = within(&state, &wish)?;
    let person = (given(&wish.email), given(&wish.phone));
    let kept = state.engine().suppress(person, within, by, reason).await.map_err(refused)?;
    let items = kept.iter().map(StopView::of).collect();
    Ok(json(StatusCode::OK, &SuppressionsView { items, next: None }))
}

/// Of whom nothing more is sent.
#[utoipa::path(
    get, path = "/v1/suppressions", tag = "Leads", operation_id = "listSuppressions",
    params(
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, description = "How many at most"),
    ),
    responses((status = 200, description = "A page of the list", body = SuppressionsView))
)]
pub(crate) async fn list_suppressions(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    everywhere(state.authorize(&headers, Scope::Read)?)?;
    let query = Query::read(query.as_deref(), &["after", "limit"])?;
    let limit = query.limit()?;
    let after = query.read_as("after", "the `next` of the page before", Suppressed::parse)?;
    let found = state.engine().suppressions(after.as_ref(), limit);
    let next = found.last().filter(|_| found.len() == limit).map(|(suppressed, _)| suppressed.to_string());
    let items = found.iter().map(|(_, stop)| StopView::of(stop)).collect();
    Ok(json(StatusCode::OK, &SuppressionsView { items, next }))
}

/// End an entry of the list. What was closed stays closed.
#[utoipa::path(
    delete, path = "/v1/suppressions/{id}", tag = "Leads", operation_id = "endSuppression",
    params(("id" = String, Path, description = "The entry's id, as `suppression` of the list")),
    responses((status = 200, description = "Whether it was there", body = SuppressionEnded))
)]
pub(crate) async fn unsuppress(
    State(state): State<ApiState>,
    id: PathText,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = everywhere(state.authorize(&headers, Scope::Operate)?)?;
    let id = path::text(id)?;
    let suppressed = Suppressed::parse(&id)
        .ok_or_else(|| Problem::bad_parameter("id", &id, "the `suppression` of an entry of the list"))?;
    let ended = state.engine().unsuppress(&suppressed, caller.name(), "ended").await?;
    Ok(json(StatusCode::OK, &SuppressionEnded { ended }))
}

fn everywhere(caller: Caller) -> Result<Caller, Problem> {
    caller.of_all_accounts()
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

fn within(state: &ApiState, wish: &SuppressionRequest) -> Result<Within, Problem> {
    let book = state.engine().book();
    let unknown = |what: &'static str| {
        let detail = format!("there is no {what} of that name");
        Problem::new(ProblemKind::BadRequest, detail).naming(what)
    };
    match (given(&wish.flow), given(&wish.recipient)) {
        (None, None) => Ok(Within::Everything),
        (Some(flow), None) => {
            book.flows.get_key_value(flow).map(|(name, _)| Within::Flow(name.clone())).ok_or_else(|| unknown("flow"))
        }
        (None, Some(recipient)) => {
            let known = book.recipients.get_key_value(recipient);
            known.map(|(name, _)| Within::Recipient(name.clone())).ok_or_else(|| unknown("recipient"))
        }
        (Some(_), Some(_)) => {
            let detail = "an entry is for one flow or for one recipient: post two";
            Err(Problem::new(ProblemKind::BadRequest, detail).naming("recipient"))
        }
    }
}

fn refused(refused: RefusedSuppression) -> Problem {
    let detail = refused.to_string();
    match refused {
        RefusedSuppression::BadEmail | RefusedSuppression::Nobody => {
            Problem::new(ProblemKind::BadRequest, detail).naming("email")
        }
        RefusedSuppression::BadPhone => Problem::new(ProblemKind::BadRequest, detail).naming("phone"),
        RefusedSuppression::Full => Problem::new(ProblemKind::BadRequest, detail),
        RefusedSuppression::Store(error) => Problem::from(error),
    }
}
