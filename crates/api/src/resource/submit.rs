//! Sources' own door: the address, the formats and the answers that sources know from LeadConduit.
//!
//! Durable before the answer, like every intake. Nothing of a refused lead is kept.

use crate::content::whole;
use crate::frame::{SOURCE_ANSWERS, preferred};
use crate::idempotency_key::idempotency_key;
use crate::lead_body::refused;
use crate::problem::{Problem, ProblemKind};
use crate::resource::leads::last_attempt;
use crate::resource::post_lead::{IDEMPOTENT_REPLAYED, marked};
use crate::source::door::{may_post, presented};
use crate::source::reading::{SourceQuery, Submission, submission};
use crate::source::refusing;
use crate::source::repeated::{by_fields, by_key};
use crate::source::saying::{SubmissionRefusalView, SubmissionView, say, say_refused};
use crate::state::ApiState;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::Arc;
use steadfast_engine::{Idempotency, Posted, Receipt};
use steadfast_flow::{FlowPlan, SourceAnswer, SourceSettings, Told, is_decided};
use steadfast_lead::{FlowName, SourceName};

/// Flow and source in the path.
pub(crate) type Names = Result<Path<(String, String)>, PathRejection>;

/// Submit a lead by a source.
///
/// For sources that post to LeadConduit today: only the host name changes. A form, JSON, XML, or a query; names with dots
/// are nested, the query lies over the body. With `redir_url` in the query the browser is sent on.
#[utoipa::path(
    post, path = "/flows/{flow}/sources/{source}/submit", tag = "Sources", operation_id = "submitLead",
    params(
        ("flow" = String, Path, description = "The flow's name"),
        ("source" = String, Path, description = "The source's name"),
        ("redir_url" = Option<String>, Query, description = "Answer 303 and send the browser there"),
        ("Idempotency-Key" = Option<String>, Header, description = "As for posting a lead, within this source"),
        ("Steadfast-Test" = Option<bool>, Header, description = "Mark it as a test lead; a field `xxTest` does the same"),
    ),
    request_body(
        content(
            (serde_json::Value = "application/x-www-form-urlencoded"), (serde_json::Value = "application/json"),
            (String = "application/xml"), (String = "text/xml"),
        ),
        description = "The lead's fields: at most 1 MiB, 32 levels and 5,000 values",
    ),
    responses(
        (status = 201, description = "Kept; what the source's setting tells of it",
            content((SubmissionView = "application/json"), (String = "application/xml"), (String = "text/xml"))),
        (status = 303, description = "Kept; the browser is sent to `redir_url`",
            content((SubmissionView = "application/json"), (String = "application/xml"), (String = "text/xml"))),
        (status = "4XX", description = "Refused",
            content((SubmissionRefusalView = "application/problem+json"), (String = "application/xml"), (String = "text/xml"))),
        (status = "5XX", description = "Not now, or failed",
            content((SubmissionRefusalView = "application/problem+json"), (String = "application/xml"), (String = "text/xml"))),
    )
)]
pub(crate) async fn post_submission(State(state): State<ApiState>, names: Names, request: Request) -> Response {
    submit(&state, names, request).await
}

/// Submit a lead by a source, in the query.
///
/// As with POST; a body is not read.
#[utoipa::path(
    get, path = "/flows/{flow}/sources/{source}/submit", tag = "Sources", operation_id = "submitLeadInQuery",
    params(
        ("flow" = String, Path, description = "The flow's name"),
        ("source" = String, Path, description = "The source's name"),
        ("redir_url" = Option<String>, Query, description = "Answer 303 and send the browser there"),
    ),
    responses(
        (status = 201, description = "Kept; what the source's setting tells of it",
            content((SubmissionView = "application/json"), (String = "application/xml"), (String = "text/xml"))),
        (status = 303, description = "Kept; the browser is sent to `redir_url`",
            content((SubmissionView = "application/json"), (String = "application/xml"), (String = "text/xml"))),
        (status = "4XX", description = "Refused",
            content((SubmissionRefusalView = "application/problem+json"), (String = "application/xml"), (String = "text/xml"))),
        (status = "5XX", description = "Not now, or failed",
            content((SubmissionRefusalView = "application/problem+json"), (String = "application/xml"), (String = "text/xml"))),
    )
)]
pub(crate) async fn get_submission(State(state): State<ApiState>, names: Names, request: Request) -> Response {
    if request.method() == Method::HEAD {
        return refusing::method_not_allowed(&request);
    }
    submit(&state, names, request).await
}

async fn submit(state: &ApiState, names: Names, request: Request) -> Response {
    let media = preferred(request.headers(), SOURCE_ANSWERS);
    let response = match receive(state, names, request, media).await {
        Ok(response) => response,
        Err(problem) => say_refused(media, problem),
    };
    state.figures().record_intake(response.status().as_u16());
    response
}

/// A source as it is configured now.
pub(crate) struct Known {
    pub(crate) flow: FlowName,
    plan: Arc<FlowPlan>,
    pub(crate) source: SourceName,
    pub(crate) settings: Arc<SourceSettings>,
}

/// What a source that may do so sent.
pub(crate) struct Received {
    pub(crate) known: Known,
    read: Submission,
    headers: HeaderMap,
    redirect: Option<HeaderValue>,
}

fn known(state: &ApiState, names: Names) -> Result<Known, Problem> {
    let unknown = || Problem::new(ProblemKind::UnknownSource, "there is no such source of such a flow");
    let Ok(Path((flow, source))) = names else { return Err(unknown()) };
    let book = state.engine().book();
    let (flow, source, settings) = book.source(&flow, &source).ok_or_else(unknown)?;
    let plan = book.flows.get(flow).ok_or_else(unknown)?;
    let (flow, source) = (flow.clone(), source.clone());
    Ok(Known { flow, plan: Arc::clone(plan), source, settings: Arc::clone(settings) })
}

/// Reads what a source sent, once it may.
///
/// # Errors
/// A [`Problem`]; nothing was kept.
pub(crate) async fn received(state: &ApiState, names: Names, request: Request) -> Result<Received, Problem> {
    let known = known(state, names)?;
    let (parts, body) = request.into_parts();
    let mut keys = presented(&parts.headers);
    let entry = may_post(state, &known.plan, &known.settings, &keys);
    if known.settings.key_field.is_none() {
        entry.clone()?;
    }
    let query = SourceQuery::read(parts.uri.query())?;
    let redirect = query.redirect.clone();
    let body = if parts.method == Method::GET { Bytes::new() } else { whole(&parts.headers, body, state).await? };
    let read = submission(&parts.headers, &body, query, known.settings.key_field.as_deref())?;
    drop(body);
    if entry.is_err() {
        keys.extend(read.key.clone());
        may_post(state, &known.plan, &known.settings, &keys)?;
    }
    Ok(Received { known, read, headers: parts.headers, redirect })
}

async fn receive(state: &ApiState, names: Names, request: Request, media: &'static str) -> Result<Response, Problem> {
    let Received { known, read, headers, redirect } = received(state, names, request).await?;
    let posted = posted(&known, read, &headers)?;
    let receipt = state.engine().accept(posted).await.map_err(refused)?;
    let told = told(state, &known.settings, &receipt).await;
    let mut response = say(media, receipt.lead, told);
    if receipt.replay {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(redirect) = redirect {
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(LOCATION, redirect);
    }
    Ok(response)
}

fn posted(known: &Known, read: Submission, headers: &HeaderMap) -> Result<Posted, Problem> {
    if read.fields.is_empty() {
        return Err(Problem::new(ProblemKind::EmptyBody, "there is no lead in the request"));
    }
    let test = known.settings.test | read.test | marked(headers)?;
    let idempotency = guard(known, &read, headers)?;
    let (flow, source) = (known.flow.clone(), Some(known.source.clone()));
    Ok(Posted { flow, source, test, fields: read.fields, idempotency })
}

/// The request's own key, else what it says.
fn guard(known: &Known, read: &Submission, headers: &HeaderMap) -> Result<Option<Idempotency>, Problem> {
    if let Some(key) = idempotency_key(headers)? {
        return Ok(Some(by_key(&known.source, &key, &read.fields)));
    }
    let window = known.settings.dedupe.as_ref();
    Ok(window.and_then(|window| by_fields(&known.source, window, &read.fields)))
}

/// What the source is told of a lead that is kept. Whatever cannot be read now is not known: the lead is kept all the same.
async fn told(state: &ApiState, source: &SourceSettings, receipt: &Receipt) -> Told {
    match source.answer {
        SourceAnswer::Accepted => Told::accepted(source),
        SourceAnswer::Outcome => {
            let known = outcome(state, source, receipt).await;
            state.engine().source_answered(receipt.lead, known.is_some());
            known.unwrap_or_else(|| Told::unknown(source))
        }
    }
}

async fn outcome(state: &ApiState, source: &SourceSettings, receipt: &Receipt) -> Option<Told> {
    let lead = receipt.lead;
    let deliveries = match state.engine().wait_until(lead, source.wait, is_decided).await {
        Ok(deliveries) => deliveries?,
        Err(error) => {
            tracing::error!(%lead, %error, "the outcome of a lead that is kept could not be read");
            return None;
        }
    };
    let entered = deliveries.first().map(|delivery| delivery.flow.clone());
    let mut known = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let last = last_attempt(state, &delivery).await.ok()?;
        known.push((delivery, last.map(|attempt| attempt.verdict)));
    }
    let book = state.engine().book();
    let flow = entered.and_then(|flow| book.flow(flow.as_str()));
    Told::known(source, flow.map(|flow| &**flow), &known)
}
