//! Around every request: its id, the bounds on its headers, what may be answered, and a refusal in place of a panic.

use crate::problem::{Problem, ProblemKind};
use crate::source::refusing::{is_sources, refusal};
use crate::state::ApiState;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::panic::AssertUnwindSafe;
use tracing::Instrument as _;

/// The header that names a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("steadfast-request-id");

/// What a source can be answered in; the first is what it gets unless it prefers another.
pub(crate) const SOURCE_ANSWERS: &[&str] = &["application/json", "application/xml", "text/xml"];
/// What a source may say it accepts beside that, from habit; it is answered in JSON.
const SOURCE_HABIT: &str = "application/x-www-form-urlencoded";
/// What a batch can be answered in.
pub(crate) const BATCH_ANSWERS: &[&str] = &["application/json", "application/x-ndjson", "application/jsonl"];

/// Runs a request.
pub(crate) async fn frame(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let id = state.next_request_id();
    let span = tracing::debug_span!("request", %id, method = %request.method(), path = request.uri().path());
    let mut response = match check(&state, &request) {
        Err(problem) => refusal(request.uri().path(), request.headers(), problem),
        // What a handler shares is behind locks that do not poison and atomics, so nothing half-changed is seen later.
        Ok(()) => match AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await {
            Ok(response) => response,
            Err(_) => {
                tracing::error!(%id, "a request handler failed; please report this");
                Problem::new(ProblemKind::Internal, format!("see the server's log for request {id}")).into_response()
            }
        },
    };
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), "answered"));
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn check(state: &ApiState, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let max = state.limits().header_bytes_max;
    if bytes > max {
        let detail = format!("the request's headers have {bytes} bytes, at most {max} are read");
        return Err(Problem::new(ProblemKind::HeadersTooLarge, detail));
    }
    let (path, offered) = (request.uri().path(), offered(request.uri().path()));
    let habit = is_sources(path) && accepts(headers, SOURCE_HABIT);
    if !habit && !accepts_any(headers, offered) {
        let offered = offered.join(" or ");
        let detail = format!("the Accept header allows nothing that is offered here: {offered}");
        return Err(Problem::new(ProblemKind::NotAcceptable, detail).naming("Accept").allowing(&offered));
    }
    Ok(())
}

/// What can be answered at a path.
fn offered(path: &str) -> &'static [&'static str] {
    if is_sources(path) {
        return SOURCE_ANSWERS;
    }
    if path.starts_with("/v1/flows/") && path.ends_with("/batch") {
        return BATCH_ANSWERS;
    }
    match path {
        "/v1/events" => &["application/json", "text/event-stream"],
        "/metrics" => &["application/openmetrics-text", "text/plain"],
        "/" => &["text/html", "application/json"],
        _ => &["application/json"],
    }
}

fn accepts_any(headers: &HeaderMap, offered: &[&str]) -> bool {
    !headers.contains_key(ACCEPT) || offered.iter().any(|media| accepts(headers, media))
}

/// Whether the Accept headers allow a media type: the most specific range that fits it decides.
pub(crate) fn accepts(headers: &HeaderMap, media: &str) -> bool {
    weight(headers, media) > 0
}

/// What is offered and liked best by the Accept headers; the first of those liked alike.
pub(crate) fn preferred(headers: &HeaderMap, offered: &[&'static str]) -> &'static str {
    let mut best = (0, offered.first().copied().unwrap_or_default());
    for media in offered.iter().copied().filter(|_| headers.contains_key(ACCEPT)) {
        let weight = weight(headers, media);
        if weight > best.0 {
            best = (weight, media);
        }
    }
    best.1
}

/// How much a media type is liked, in thousandths: the most specific range that fits it decides.
fn weight(headers: &HeaderMap, media: &str) -> u16 {
    let mut best: Option<(u8, u16)> = None;
    let ranges =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let Some(specific) = parts.next().and_then(|range| fit(range, media)) else { continue };
        let weight = parts.find_map(quality).unwrap_or(1_000);
        if best.is_none_or(|(known, _)| specific > known) {
            best = Some((specific, weight));
        }
    }
    best.map_or(0, |(_, weight)| weight)
}

/// How closely a range fits a media type, if it does.
fn fit(range: &str, media: &str) -> Option<u8> {
    if range.eq_ignore_ascii_case(media) {
        return Some(2);
    }
    if range == "*/*" {
        return Some(0);
    }
    let (kind, _) = media.split_once('/')?;
    let own = range.strip_suffix("/*")?;
    own.eq_ignore_ascii_case(kind).then_some(1)
}

/// `q=0.5` in thousandths; what cannot be read counts as liked.
fn quality(part: &str) -> Option<u16> {
    let (_, weight) = part.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"))?;
    let (whole, decimals) = weight.trim().split_once('.').unwrap_or((weight.trim(), ""));
    let thousandths: String = decimals.chars().chain("000".chars()).take(3).collect();
    Some(if whole == "0" { thousandths.parse().unwrap_or(1_000) } else { 1_000 })
}

#[cfg(test)]
mod tests {
    use super::{SOURCE_ANSWERS, accepts, preferred};
    use http::HeaderMap;

    #[test]
    fn what_is_liked_best_is_given() {
        let best = |accept: &str| {
            let headers = HeaderMap::from_iter([("accept".parse().unwrap(), accept.parse().unwrap())]);
            preferred(&headers, SOURCE_ANSWERS)
        };
        assert_eq!(preferred(&HeaderMap::new(), SOURCE_ANSWERS), "application/json");
        for (accept, given) in [
            ("*/*", "application/json"),
            ("text/xml", "text/xml"),
            ("application/xml, application/json", "application/json"),
            ("application/json;q=0.8, text/xml;q=0.85", "text/xml"),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xml"),
            ("application/*;q=0.5, application/json;q=0", "application/xml"),
        ] {
            assert_eq!(best(accept), given, "{accept}");
        }
    }

    #[test]
    fn the_most_specific_range_decides() {
        let json = |accept: &str| {
            let headers = HeaderMap::from_iter([("accept".parse().unwrap(), accept.parse().unwrap())]);
            accepts(&headers, "application/json")
        };
        for yes in ["*/*", "application/*", "application/json", "text/html, application/json;q=0.1", "Application/JSON"]
        {
            assert!(json(yes), "{yes}");
        }
        for no in ["text/html", "text/*", "application/json;q=0", "*/*, application/json; q=0.0", "", "application/xml"]
        {
            assert!(!json(no), "{no}");
        }
        assert!(json("*/*;q=0, application/json"), "a specific range wins over a general one");
    }
}
