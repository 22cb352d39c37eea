//! Which path leads where.

use crate::frame::frame;
use crate::problem::{Problem, ProblemKind};
use crate::resource::{deliveries, health, leads, post_lead, verbs};
use crate::state::ApiState;
use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

/// The whole API.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/flows/{flow}/leads", post(post_lead::post_lead))
        .route("/v1/leads/{id}", get(leads::get_lead))
        .route("/v1/deliveries", get(deliveries::list_deliveries))
        .route("/v1/deliveries/{id}", get(deliveries::get_delivery))
        .route("/v1/deliveries/{id}/retry", post(verbs::retry))
        .route("/v1/deliveries/{id}/mark-delivered", post(verbs::mark_delivered))
        .route("/v1/deliveries/{id}/dismiss", post(verbs::dismiss))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.clone(), frame))
        .with_state(state)
}

async fn unknown_path(request: Request) -> Problem {
    let path = crate::problem::shown(request.uri().path());
    Problem::new(ProblemKind::UnknownPath, format!("there is nothing at {path}; /openapi.json lists what there is"))
}

async fn method_not_allowed(request: Request) -> Problem {
    let (method, path) = (request.method(), crate::problem::shown(request.uri().path()));
    Problem::new(ProblemKind::MethodNotAllowed, format!("{method} is not possible at {path}; see the Allow header"))
}
