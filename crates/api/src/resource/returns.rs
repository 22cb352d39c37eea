//! Returns and conversions: what a buyer says of a delivery it took, one by one or a line for each.

use crate::answer::json;
use crate::auth::{Caller, Scope};
use crate::batch::reading::{Line, Lines};
use crate::content::{Media, asked, media, whole};
use crate::path::{self, PathText};
use crate::problem::{Problem, ProblemKind, shown};
use crate::query::Query;
use crate::resource::deliveries::{detail, visible};
use crate::resource::verbs::{bounded, needed_reason, refused};
use crate::state::ApiState;
use crate::wire::delivery::DeliveryDetail;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use steadfast_flow::is_price;
use steadfast_lead::{DeliveryId, Fields, Timestamp};
use steadfast_retry::{AfterSale, Conversion, Delivery};
use utoipa::ToSchema;

/// Longest name of a currency, in characters.
const CURRENCY_CHARS_MAX: usize = 10;
const REVENUE: &str = "a decimal number such as 12.50, up to 12 digits";

/// A buyer gives a lead back.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReturnRequest {
    /// Why; needed. At most 500 characters.
    reason: Option<String>,
    /// When the buyer did; now, unless given (RFC 3339).
    at: Option<String>,
    /// Whose delivery it must be, where that is to be checked.
    recipient: Option<String>,
    /// Who says so, for the history; the API key's name unless given.
    by: Option<String>,
}

/// A buyer made something of a lead.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConversionRequest {
    /// How much: a decimal number, as text or number; needed.
    #[schema(value_type = Option<String>)]
    revenue: Option<serde_json::Value>,
    /// In which currency, at most 10 characters.
    currency: Option<String>,
    /// When; now, unless given (RFC 3339).
    at: Option<String>,
    /// Whose delivery it must be, where that is to be checked.
    recipient: Option<String>,
    /// Who says so, for the history; the API key's name unless given.
    by: Option<String>,
}

/// What became of every line.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotedView {
    /// Lines that were noted.
    applied: usize,
    /// Lines that were refused.
    refused: usize,
    /// Every line that is not blank, in order.
    results: Vec<NotedLineView>,
}

/// What became of one line.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotedLineView {
    /// Its number, from 1.
    line: u64,
    /// 200 when it was noted, else the status its refusal would have alone.
    status: u16,
    /// The delivery it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_id: Option<String>,
    /// What kind of refusal, as in a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    /// What was wrong with this line.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Note that a buyer returned a lead.
///
/// Once, within the time its recipient's or flow's `returns.within` allows. In a sale a lead that is young enough goes to the next
/// buyer that was never offered it.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/return", tag = "Deliveries", operation_id = "returnDelivery",
    params(("id" = String, Path, description = "The delivery's id")),
    request_body(content = ReturnRequest, content_type = "application/json"),
    responses((status = 200, description = "Noted; the delivery now", body = DeliveryDetail))
)]
pub(crate) async fn return_delivery(
    State(state): State<ApiState>,
    id: PathText,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Operate)?;
    Query::read(parts.uri.query(), &[])?;
    let id: DeliveryId = path::id(id)?;
    let asked: ReturnRequest = asked(&parts.headers, body, &state).await?;
    let note = Note {
        id,
        said: returned(&state, asked.reason.as_deref(), asked.at.as_deref())?,
        recipient: asked.recipient,
        by: bounded("by", asked.by.as_deref())?.unwrap_or(caller.name()).into(),
    };
    let delivery = apply(&state, &caller, note).await?;
    Ok(json(StatusCode::OK, &detail(&state, &delivery).await?))
}

/// Note what a buyer made of a lead.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/conversion", tag = "Deliveries", operation_id = "convertDelivery",
    params(("id" = String, Path, description = "The delivery's id")),
    request_body(content = ConversionRequest, content_type = "application/json"),
    responses((status = 200, description = "Noted; the delivery now", body = DeliveryDetail))
)]
pub(crate) async fn convert_delivery(
    State(state): State<ApiState>,
    id: PathText,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Operate)?;
    Query::read(parts.uri.query(), &[])?;
    let id: DeliveryId = path::id(id)?;
    let asked: ConversionRequest = asked(&parts.headers, body, &state).await?;
    let revenue = asked.revenue.map(|revenue| revenue.as_str().map_or_else(|| revenue.to_string(), str::to_owned));
    let note = Note {
        id,
        said: converted(&state, revenue.as_deref(), asked.currency.as_deref(), asked.at.as_deref())?,
        recipient: asked.recipient,
        by: bounded("by", asked.by.as_deref())?.unwrap_or(caller.name()).into(),
    };
    let delivery = apply(&state, &caller, note).await?;
    Ok(json(StatusCode::OK, &detail(&state, &delivery).await?))
}

/// Note many returns.
///
/// Each line stands alone: `delivery_id`, `reason`, and perhaps `at` and `recipient`.
#[utoipa::path(
    post, path = "/v1/returns", tag = "Deliveries", operation_id = "postReturns",
    request_body(
        content((String = "text/csv"), (String = "application/x-ndjson"), (String = "application/jsonl")),
        description = "CSV with a header, or one JSON object a line; at most 1 MiB",
    ),
    responses((status = 200, description = "What became of every line", body = NotedView))
)]
pub(crate) async fn post_returns(State(state): State<ApiState>, request: Request) -> Result<Response, Problem> {
    lines(&state, request, &["delivery_id", "reason", "at", "recipient"], |state, fields| {
        returned(state, plain(fields, "reason"), plain(fields, "at"))
    })
    .await
}

/// Note many conversions.
///
/// Each line stands alone: `delivery_id`, `revenue`, and perhaps `currency`, `at` and `recipient`.
#[utoipa::path(
    post, path = "/v1/conversions", tag = "Deliveries", operation_id = "postConversions",
    request_body(
        content((String = "text/csv"), (String = "application/x-ndjson"), (String = "application/jsonl")),
        description = "CSV with a header, or one JSON object a line; at most 1 MiB",
    ),
    responses((status = 200, description = "What became of every line", body = NotedView))
)]
pub(crate) async fn post_conversions(State(state): State<ApiState>, request: Request) -> Result<Response, Problem> {
    lines(&state, request, &["delivery_id", "revenue", "currency", "at", "recipient"], |state, fields| {
        converted(state, plain(fields, "revenue"), plain(fields, "currency"), plain(fields, "at"))
    })
    .await
}

/// One thing to note.
struct Note {
    id: DeliveryId,
    said: AfterSale,
    recipient: Option<String>,
    by: Box<str>,
}

async fn apply(state: &ApiState, caller: &Caller, note: Note) -> Result<Box<Delivery>, Problem> {
    let delivery = visible(state, caller, note.id).await?;
    let owner = delivery.endpoint.recipient.as_str();
    if let Some(named) = note.recipient.as_deref().filter(|named| !named.is_empty() && *named != owner) {
        let detail = format!("the delivery {} went to {owner}, not to {}", note.id, shown(named));
        return Err(Problem::new(ProblemKind::VerbRefused, detail).naming("recipient"));
    }
    state.engine().after_sale(note.id, note.said, &note.by).await.map_err(refused)
}

fn returned(state: &ApiState, reason: Option<&str>, at: Option<&str>) -> Result<AfterSale, Problem> {
    let reason = needed_reason(reason, "the delivery's history")?.into();
    Ok(AfterSale::Return { reason, at: time(state, at)? })
}

fn converted(
    state: &ApiState,
    revenue: Option<&str>,
    currency: Option<&str>,
    at: Option<&str>,
) -> Result<AfterSale, Problem> {
    let given = revenue.map(str::trim).unwrap_or_default();
    if !is_price(given) {
        let detail = format!("revenue = {} is not {REVENUE}", shown(given));
        return Err(Problem::new(ProblemKind::BadRequest, detail).naming("revenue").allowing(REVENUE));
    }
    let currency = currency.map(str::trim).filter(|currency| !currency.is_empty());
    if currency.is_some_and(|currency| currency.chars().nth(CURRENCY_CHARS_MAX).is_some()) {
        let detail = format!("currency has more than {CURRENCY_CHARS_MAX} characters");
        return Err(Problem::new(ProblemKind::BadRequest, detail).naming("currency"));
    }
    let (revenue, currency) = (given.into(), currency.map(Into::into));
    Ok(AfterSale::Converted(Conversion { at: time(state, at)?, revenue, currency }))
}

fn time(state: &ApiState, given: Option<&str>) -> Result<Timestamp, Problem> {
    let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) else { return Ok(state.engine().now()) };
    Timestamp::parse(given).ok_or_else(|| {
        let allowed = "a time like 2026-11-24T10:00:00Z";
        let detail = format!("at = {} is not {allowed}", shown(given));
        Problem::new(ProblemKind::BadRequest, detail).naming("at").allowing(allowed)
    })
}

type Reader = fn(&ApiState, &Fields) -> Result<AfterSale, Problem>;

async fn lines(
    state: &ApiState,
    request: Request,
    columns: &'static [&'static str],
    read: Reader,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Operate)?;
    Query::read(parts.uri.query(), &[])?;
    let media = media(&parts.headers, &[Media::Csv, Media::NdJson, Media::JsonLines])?;
    let body = whole(&parts.headers, body, state).await?;
    let mut reader = Lines::new(media, b',', Vec::new(), state.limits().body_bytes_max);
    let mut results = Vec::new();
    let mut input = &body[..];
    while let Some(line) = reader.next(&mut input)? {
        results.push(one_line(state, &caller, line, columns, read).await);
    }
    if let Some(line) = reader.finish()? {
        results.push(one_line(state, &caller, line, columns, read).await);
    }
    let applied = results.iter().filter(|result| result.status == StatusCode::OK.as_u16()).count();
    Ok(json(StatusCode::OK, &NotedView { applied, refused: results.len() - applied, results }))
}

async fn one_line(
    state: &ApiState,
    caller: &Caller,
    (line, fields): Line,
    columns: &[&str],
    read: Reader,
) -> NotedLineView {
    let delivery_id = fields.as_ref().ok().and_then(|fields| plain(fields, "delivery_id")).map(str::to_owned);
    let noted = match fields.and_then(|fields| note(state, caller, &fields, columns, read)) {
        Ok(note) => apply(state, caller, note).await,
        Err(problem) => Err(problem),
    };
    match noted {
        Ok(_) => NotedLineView { line, status: StatusCode::OK.as_u16(), delivery_id, r#type: None, detail: None },
        Err(problem) => NotedLineView {
            line,
            status: problem.kind().status(),
            delivery_id,
            r#type: Some(problem.kind().urn()),
            detail: Some(problem.detail().to_owned()),
        },
    }
}

fn note(state: &ApiState, caller: &Caller, fields: &Fields, columns: &[&str], read: Reader) -> Result<Note, Problem> {
    if let Some((unknown, _)) = fields.iter().find(|(name, _)| !columns.contains(name)) {
        let known = columns.join(", ");
        let detail = format!("{} is not known here: known are {known}", shown(unknown));
        return Err(Problem::new(ProblemKind::BadRequest, detail).naming(unknown).allowing(&known));
    }
    let id = plain(fields, "delivery_id").unwrap_or_default();
    let id = id.trim().parse().map_err(|_| {
        let detail = format!("delivery_id = {} is not the id of a delivery (dl_...)", shown(id));
        Problem::new(ProblemKind::BadRequest, detail).naming("delivery_id")
    })?;
    let recipient = plain(fields, "recipient").map(|name| name.trim().to_owned());
    Ok(Note { id, said: read(state, fields)?, recipient, by: caller.name().into() })
}

fn plain<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.get(name)?.as_plain()
}
