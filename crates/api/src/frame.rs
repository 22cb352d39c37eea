//! Around every request: its id, the bounds on its headers, what may be answered, and a refusal in place of a panic.

use crate::problem::{Problem, ProblemKind};
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

/// Runs a request.
pub(crate) async fn frame(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let id = state.next_request_id();
    let span = tracing::debug_span!("request", %id, method = %request.method(), path = request.uri().path());
    let mut response = match check(&state, &request) {
        Err(problem) => problem.into_response(),
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
    let offered = offered(request.uri().path());
    if !accepts_any(headers, offered) {
        let offered = offered.join(" or ");
        let detail = format!("the Accept header allows nothing that is offered here: {offered}");
        return Err(Problem::new(ProblemKind::NotAcceptable, detail).naming("Accept").allowing(&offered));
    }
    Ok(())
}

/// What can be answered at a path.
fn offered(path: &str) -> &'static [&'static str] {
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
    let mut best: Option<(u8, bool)> = None;
    let ranges =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let Some(specific) = parts.next().and_then(|range| fit(range, media)) else { continue };
        let wanted = !parts.any(is_zero_weight);
        if best.is_none_or(|(known, _)| specific > known) {
            best = Some((specific, wanted));
        }
    }
    best.is_some_and(|(_, wanted)| wanted)
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

fn is_zero_weight(part: &str) -> bool {
    let Some((name, weight)) = part.split_once('=') else { return false };
    let digits = weight.trim();
    name.trim().eq_ignore_ascii_case("q") && digits.starts_with('0') && digits.bytes().all(|b| matches!(b, b'0' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::accepts;
    use http::HeaderMap;

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
