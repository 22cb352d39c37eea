//! What is here: a page for people, a document for programs.

use crate::answer::{json, typed};
use crate::frame::accepts;
use crate::openapi::document_text;
use crate::state::ApiState;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// What is here.
#[derive(Serialize, ToSchema)]
pub(crate) struct AboutView {
    /// `steadfast`.
    name: &'static str,
    /// The version that runs.
    version: &'static str,
    /// The configuration in force.
    config_version: u64,
    /// Where the API is described.
    openapi: &'static str,
    /// Whether leads are taken.
    ready: &'static str,
    /// Figures.
    metrics: &'static str,
}

const PAGE: &str = include_str!("about.html");

/// A page that says where everything is; JSON for programs.
#[utoipa::path(
    get, path = "/", tag = "Server", operation_id = "getAbout", security(()),
    responses((status = 200, description = "What is here", content(
        (String = "text/html"), (AboutView = "application/json"),
    )))
)]
pub(crate) async fn about(State(state): State<ApiState>, headers: HeaderMap) -> Response {
    let html = headers.contains_key(http::header::ACCEPT) && accepts(&headers, "text/html");
    if html {
        return typed(StatusCode::OK, "text/html; charset=utf-8", Body::from(PAGE));
    }
    let view = AboutView {
        name: "steadfast",
        version: env!("CARGO_PKG_VERSION"),
        config_version: state.engine().book().version,
        openapi: "/openapi.json",
        ready: "/readyz",
        metrics: "/metrics",
    };
    json(StatusCode::OK, &view)
}

/// This API, described (OpenAPI 3.1).
#[utoipa::path(
    get, path = "/openapi.json", tag = "Server", operation_id = "getOpenApi", security(()),
    responses((status = 200, description = "The document", body = serde_json::Value))
)]
pub(crate) async fn openapi() -> Response {
    typed(StatusCode::OK, "application/json", Body::from(document_text()))
}
