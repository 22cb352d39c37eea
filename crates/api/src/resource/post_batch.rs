//! Posting many leads at once: JSON lines or CSV, a result per line.

use crate::answer::{json, typed};
use crate::auth::Scope;
use crate::batch::reading::Lines;
use crate::batch::taking::{Batch, LineView, Taking};
use crate::content::{Media, media};
use crate::frame::{BATCH_ANSWERS, preferred};
use crate::idempotency_key::idempotency_key;
use crate::path::{self, PathText};
use crate::problem::{MEDIA_TYPE, Problem, ProblemView};
use crate::query::Query;
use crate::resource::post_lead::{known_flow, marked};
use crate::state::ApiState;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use steadfast_lead::read_csv_map;
use utoipa::ToSchema;

/// What became of every line.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchView {
    /// Lines whose lead is kept.
    accepted: usize,
    /// Lines that were refused.
    refused: usize,
    /// Every line that is not blank, in order.
    results: Vec<LineView>,
}

/// A batch that ended before its end, with what became of the lines before.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchRefusalView<'a> {
    #[serde(flatten)]
    problem: &'a ProblemView<'a>,
    /// What became of the lines before, where there were any: those with a lead are kept.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    results: &'a [LineView],
}

/// Post many leads into a flow.
///
/// Each line stands alone: accepted whole or refused whole, and told so. One JSON object a line, or CSV with a header. With
/// an `Idempotency-Key`, the same line under the same key makes one lead, so that a batch can be sent again.
#[utoipa::path(
    post, path = "/v1/flows/{flow}/leads/batch", tag = "Leads", operation_id = "postBatch",
    params(
        ("flow" = String, Path, description = "The flow's name"),
        ("test" = Option<bool>, Query, description = "Mark all as test leads"),
        ("map" = Option<String>, Query, description = "CSV: other names for columns, such as `E-Mail:email,Phone No:phone`; an empty name leaves the column out"),
        ("delimiter" = Option<String>, Query, description = "CSV: what stands between columns, one of `,` `;` `|` or `tab`; `,` unless said otherwise"),
        ("first_line" = Option<u64>, Query, description = "The number of the first line, for a part of a larger file; 1 unless said otherwise"),
        ("Steadfast-Test" = Option<bool>, Header, description = "Mark all as test leads"),
        ("Idempotency-Key" = Option<String>, Header, description = "Counts for each line by its number"),
    ),
    request_body(
        content((String = "application/x-ndjson"), (String = "application/jsonl"), (String = "text/csv")),
        description = "At most 64 MiB and 20,000 lines; each line as a single lead",
    ),
    responses(
        (status = 200, description = "What became of every line",
            content((BatchView = "application/json"), (String = "application/x-ndjson"), (String = "application/jsonl"))),
        (status = "4XX", description = "Refused, or ended early; the lines before are told", content_type = "application/problem+json", body = BatchRefusalView),
    )
)]
pub(crate) async fn post_batch(State(state): State<ApiState>, flow: PathText, request: Request) -> Response {
    let response = match receive(&state, flow, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    state.figures().record_intake(response.status().as_u16());
    response
}

async fn receive(state: &ApiState, flow: PathText, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Ingest)?;
    let flow = known_flow(state, &caller, path::text(flow)?)?;
    let query = Query::read(parts.uri.query(), &["test", "map", "delimiter", "first_line"])?;
    let media = media(&parts.headers, &[Media::NdJson, Media::JsonLines, Media::Csv])?;
    let limits = state.limits();
    let lines = Lines::new(media, delimiter(&query)?, map(&query)?, limits.body_bytes_max);
    let test = query.read_as("test", "true or false", |text| text.parse().ok())?.unwrap_or(false);
    let first = query.read_as("first_line", "a whole number from 1", |text| text.parse().ok().filter(|line| *line > 0));
    let batch = Batch {
        flow,
        test: test | marked(&parts.headers)?,
        key: idempotency_key(&parts.headers)?,
        lines_before: first?.unwrap_or(1_u64).saturating_sub(1).min(u64::MAX / 2),
        bytes_max: limits.batch_bytes_max,
        lines_max: limits.batch_lines_max,
        patience: limits.body_timeout,
    };
    let mut line = state.bodies().part();
    line.grow_to(limits.body_bytes_max)?;
    let (results, stopped) = Taking::new(state, batch).all(body, lines).await;
    Ok(match stopped {
        Some(problem) => problem.written(MEDIA_TYPE, |problem| {
            // Plain text in plain structs: writing it cannot fail.
            serde_json::to_vec(&BatchRefusalView { problem, results: &results }).unwrap_or_default()
        }),
        None => answer(preferred(&parts.headers, BATCH_ANSWERS), results),
    })
}

fn map(query: &Query) -> Result<Vec<(String, String)>, Problem> {
    let allowed = "columns and fields, such as E-Mail:email,Phone No:phone";
    Ok(query.read_as("map", allowed, |text| read_csv_map(text).ok())?.unwrap_or_default())
}

fn delimiter(query: &Query) -> Result<u8, Problem> {
    let read = |text: &str| match text {
        "tab" | "\t" => Some(b'\t'),
        "," => Some(b','),
        ";" => Some(b';'),
        "|" => Some(b'|'),
        _ => None,
    };
    Ok(query.read_as("delimiter", "one of , ; | tab", read)?.unwrap_or(b','))
}

fn answer(media: &'static str, results: Vec<LineView>) -> Response {
    if media != "application/json" {
        let mut text = Vec::new();
        for result in &results {
            text.extend(serde_json::to_vec(result).unwrap_or_default());
            text.push(b'\n');
        }
        return typed(StatusCode::OK, media, Body::from(text));
    }
    let accepted = results.iter().filter(|result| result.is_kept()).count();
    json(StatusCode::OK, &BatchView { accepted, refused: results.len() - accepted, results })
}
