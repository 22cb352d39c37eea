//! Refusals at a source's own addresses that come before it is known: in the words sources look for, like all its answers.

use crate::frame::{SOURCE_ANSWERS, preferred};
use crate::problem::{Problem, ProblemKind, shown};
use crate::source::saying::say_refused;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::ALLOW;
use http::{HeaderMap, HeaderValue};

/// What a source's addresses allow. HEAD is not among it: answered like GET it would make a lead.
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, POST");

/// Whether a path is one that sources post to.
pub(crate) fn is_sources(path: &str) -> bool {
    path.starts_with("/flows/") && (path.ends_with("/submit") || path.ends_with("/ping"))
}

/// A refusal at a path, as whoever posts there reads refusals.
pub(crate) fn refusal(path: &str, headers: &HeaderMap, problem: Problem) -> Response {
    if is_sources(path) { say_refused(preferred(headers, SOURCE_ANSWERS), problem) } else { problem.into_response() }
}

/// A method that is not possible at a path.
pub(crate) fn method_not_allowed(request: &Request) -> Response {
    let path = request.uri().path();
    let detail = format!("{} is not possible at {}; see the Allow header", request.method(), shown(path));
    let mut response = refusal(path, request.headers(), Problem::new(ProblemKind::MethodNotAllowed, detail));
    if is_sources(path) {
        response.headers_mut().insert(ALLOW, ALLOWED);
    }
    response
}
