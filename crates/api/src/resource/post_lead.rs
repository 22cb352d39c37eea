//! Posting a lead: the hot path. Durable before the answer.
//!
//! Nothing of a refused lead is kept, and no refusal repeats what a lead holds.

use crate::answer::json;
use crate::auth::{Caller, Scope};
use crate::content::{Media, media, whole};
use crate::idempotency_key::idempotency_key;
use crate::lead_body::{fields, refused};
use crate::path::{self, PathText};
use crate::problem::{Problem, ProblemKind};
use crate::query::{Query, read_duration};
use crate::resource::leads::{LeadDeliveryView, settled_view};
use crate::state::ApiState;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::time::Duration;
use steadfast_engine::{Idempotency, Posted, Receipt, Refusal};
use steadfast_lead::FlowName;
use utoipa::ToSchema;

/// Says that the request was accepted before.
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const STEADFAST_TEST: HeaderName = HeaderName::from_static("steadfast-test");

/// A lead that is kept, with the deliveries it makes.
#[derive(Serialize, ToSchema)]
pub(crate) struct AcceptedView {
    /// The lead.
    lead_id: String,
    /// Its deliveries in the order of the flow's steps.
    deliveries: Vec<LeadDeliveryView>,
}

/// Post a lead into a flow.
///
/// The lead is durable when this answers. A JSON object or a form; a repeated form field becomes a list.
#[utoipa::path(
    post, path = "/v1/flows/{flow}/leads", tag = "Leads", operation_id = "postLead",
    params(
        ("flow" = String, Path, description = "The flow's name"),
        ("wait" = Option<String>, Query, description = "Wait this long for the outcome, such as `10s`; at most `60s`"),
        ("test" = Option<bool>, Query, description = "Mark it as a test lead"),
        ("Steadfast-Test" = Option<bool>, Header, description = "Mark it as a test lead"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters, bare or as a quoted string. The same key with the same body is answered with the lead it made the first time, for 24 hours"),
    ),
    request_body(
        content((serde_json::Value = "application/json"), (serde_json::Value = "application/x-www-form-urlencoded")),
        description = "The lead's fields: at most 1 MiB, 32 levels and 5,000 values",
    ),
    responses(
        (status = 200, description = "Kept, and every delivery is settled (with `wait`)", body = AcceptedView),
        (status = 202, description = "Kept; it is being delivered", body = AcceptedView,
            headers(("Idempotent-Replayed" = String, description = "`true` when the key was used before"))),
    )
)]
pub(crate) async fn post_lead(State(state): State<ApiState>, flow: PathText, request: Request) -> Response {
    let response = match receive(&state, flow, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    state.figures().record_intake(response.status().as_u16());
    response
}

/// What the request says beside the lead.
struct Wishes {
    wait: Option<Duration>,
    test: bool,
}

async fn receive(state: &ApiState, flow: PathText, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Ingest)?;
    let flow = known_flow(state, &caller, path::text(flow)?)?;
    let wishes = wishes(state, parts.uri.query(), &parts.headers)?;
    let key = idempotency_key(&parts.headers)?;
    let media = media(&parts.headers, &[Media::Json, Media::Form])?;
    let body = whole(&parts.headers, body, state).await?;
    let fields = fields(media, &body)?;
    let idempotency = key.map(|key| Idempotency { key, digest: Sha256::digest(&body).into(), keep_for: None });
    drop(body);
    let posted = Posted { flow, source: None, test: wishes.test, fields, idempotency };
    let receipt = state.engine().accept(posted).await.map_err(refused)?;
    answer(state, receipt, wishes.wait).await
}

/// The flow's name as the book has it, so that nothing is allocated for a known one.
///
/// # Errors
/// 404 for an unknown flow, 403 for one outside the key's account.
pub(crate) fn known_flow(state: &ApiState, caller: &Caller, text: String) -> Result<FlowName, Problem> {
    let book = state.engine().book();
    if let Some((name, plan)) = book.flows.get_key_value(text.as_str()) {
        return match caller.account() {
            Some(own) if plan.account.as_ref() != Some(own) => Err(outside(own, &text)),
            Some(_) | None => Ok(name.clone()),
        };
    }
    let name = FlowName::new(&text).map_err(|_| {
        Problem::bad_parameter("flow", &text, "1 to 64 of A-Z a-z 0-9 - _ ., beginning with a letter or digit")
    })?;
    match caller.account() {
        Some(own) => Err(outside(own, &text)),
        None => Err(refused(Refusal::UnknownFlow(name))),
    }
}

fn outside(account: &steadfast_lead::AccountName, flow: &str) -> Problem {
    let detail = format!("this key is limited to account {account}, which has no flow {flow}");
    Problem::new(ProblemKind::Forbidden, detail).naming("flow")
}

fn wishes(state: &ApiState, query: Option<&str>, headers: &HeaderMap) -> Result<Wishes, Problem> {
    let Some(query) = query else { return Ok(Wishes { wait: None, test: marked(headers)? }) };
    let query = Query::read(Some(query), &["wait", "test"])?;
    let max = state.limits().wait_max;
    let allowed = format!("a duration like 10s, at most {}s", max.as_secs());
    let wait = query.read_as("wait", &allowed, |text| read_duration(text).filter(|wait| *wait <= max))?;
    let test = query.read_as("test", "true or false", |text| text.parse().ok())?;
    Ok(Wishes { wait, test: test.unwrap_or(false) | marked(headers)? })
}

/// Whether the headers mark a test lead.
///
/// # Errors
/// 400 for a mark that is neither true nor false.
pub(crate) fn marked(headers: &HeaderMap) -> Result<bool, Problem> {
    match headers.get(STEADFAST_TEST).map(HeaderValue::as_bytes) {
        None | Some(b"false") => Ok(false),
        Some(b"true") => Ok(true),
        Some(other) => Err(Problem::bad_parameter("Steadfast-Test", &String::from_utf8_lossy(other), "true or false")),
    }
}

async fn answer(state: &ApiState, receipt: Receipt, wait: Option<Duration>) -> Result<Response, Problem> {
    let lead_id = receipt.lead.to_string();
    let settled = match wait {
        Some(patience) => settled_view(state, receipt.lead, patience).await,
        None => None,
    };
    let (status, deliveries) = match settled {
        Some(settled) => settled,
        None => (StatusCode::ACCEPTED, receipt.deliveries.iter().map(LeadDeliveryView::of).collect()),
    };
    let mut response = json(status, &AcceptedView { lead_id, deliveries });
    if receipt.replay {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
