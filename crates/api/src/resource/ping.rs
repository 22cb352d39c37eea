//! Pings: a source asks what would be offered for a lead before it posts it. Read and refused as a submission is.
//!
//! Keeps nothing of what it was asked, and asks no recipient: what is offered is the source's own setting.

use crate::frame::{SOURCE_ANSWERS, preferred};
use crate::resource::submit::{self, Names, Received};
use crate::source::refusing;
use crate::source::saying::{BidView, SubmissionRefusalView, say_bid, say_refused};
use crate::state::ApiState;
use axum::extract::{Request, State};
use axum::response::Response;
use http::Method;
use steadfast_flow::Told;
use steadfast_retry::StopTarget;

/// Ask what would be offered for a lead.
///
/// For sources that ping before they post. Answers with the source's `bid`, or with the failure `no bid` where it has none or is
/// stopped. Nothing is kept, no recipient is asked. Read as a submission is.
#[utoipa::path(
    post, path = "/flows/{flow}/sources/{source}/ping", tag = "Sources", operation_id = "pingSource",
    params(
        ("flow" = String, Path, description = "The flow's name"),
        ("source" = String, Path, description = "The source's name"),
    ),
    request_body(
        content(
            (serde_json::Value = "application/x-www-form-urlencoded"), (serde_json::Value = "application/json"),
            (String = "application/xml"), (String = "text/xml"),
        ),
        description = "What is known of the lead: at most 1 MiB, 32 levels and 5,000 values",
    ),
    responses(
        (status = 200, description = "The bid, or that there is none",
            content((BidView = "application/json"), (String = "application/xml"), (String = "text/xml"))),
        (status = "4XX", description = "Refused",
            content((SubmissionRefusalView = "application/problem+json"), (String = "application/xml"), (String = "text/xml"))),
        (status = "5XX", description = "Not now, or failed",
            content((SubmissionRefusalView = "application/problem+json"), (String = "application/xml"), (String = "text/xml"))),
    )
)]
pub(crate) async fn post_ping(State(state): State<ApiState>, names: Names, request: Request) -> Response {
    ping(&state, names, request).await
}

/// Ask what would be offered for a lead, in the query.
///
/// As with POST; a body is not read.
#[utoipa::path(
    get, path = "/flows/{flow}/sources/{source}/ping", tag = "Sources", operation_id = "pingSourceInQuery",
    params(
        ("flow" = String, Path, description = "The flow's name"),
        ("source" = String, Path, description = "The source's name"),
    ),
    responses(
        (status = 200, description = "The bid, or that there is none",
            content((BidView = "application/json"), (String = "application/xml"), (String = "text/xml"))),
        (status = "4XX", description = "Refused",
            content((SubmissionRefusalView = "application/problem+json"), (String = "application/xml"), (String = "text/xml"))),
        (status = "5XX", description = "Not now, or failed",
            content((SubmissionRefusalView = "application/problem+json"), (String = "application/xml"), (String = "text/xml"))),
    )
)]
pub(crate) async fn get_ping(State(state): State<ApiState>, names: Names, request: Request) -> Response {
    if request.method() == Method::HEAD {
        return refusing::method_not_allowed(&request);
    }
    ping(&state, names, request).await
}

async fn ping(state: &ApiState, names: Names, request: Request) -> Response {
    let media = preferred(request.headers(), SOURCE_ANSWERS);
    match submit::received(state, names, request).await {
        Ok(received) => say_bid(media, bid(state, &received)),
        Err(problem) => say_refused(media, problem),
    }
}

/// What is stopped buys nothing now.
fn bid(state: &ApiState, received: &Received) -> Told {
    let known = &received.known;
    let stops = [StopTarget::Source(known.flow.clone(), known.source.clone()), StopTarget::Flow(known.flow.clone())];
    let stopped = state.engine().stops().iter().any(|stop| stops.contains(&stop.target));
    if stopped { Told::no_bid() } else { Told::bid(&known.settings) }
}
