//! Whether the server lives, whether it takes leads, and its figures.

use crate::answer::{json, typed};
use crate::auth::Scope;
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::{CapStanding, EndpointStanding, Readiness, RecipientStanding};
use steadfast_store::Health;
use steadfast_watch::{CONTENT_TYPE, CapGauges, EndpointGauges, RecipientGauges, Snapshot};
use utoipa::ToSchema;

/// Whether something is so.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthView {
    /// `alive`, `ready` or `not ready`.
    status: &'static str,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Whether the process lives.
#[utoipa::path(
    get, path = "/healthz", tag = "Server", operation_id = "getHealth", security(()),
    responses((status = 200, description = "It does", body = HealthView))
)]
pub(crate) async fn healthz() -> Response {
    json(StatusCode::OK, &HealthView { status: "alive", reason: None })
}

/// Whether leads are taken.
#[utoipa::path(
    get, path = "/readyz", tag = "Server", operation_id = "getReadiness", security(()),
    responses(
        (status = 200, description = "They are", body = HealthView),
        (status = 503, description = "They are not, and why", body = HealthView),
    )
)]
pub(crate) async fn readyz(State(state): State<ApiState>) -> Response {
    match reason(&state.engine().readiness()) {
        None => json(StatusCode::OK, &HealthView { status: "ready", reason: None }),
        reason => json(StatusCode::SERVICE_UNAVAILABLE, &HealthView { status: "not ready", reason }),
    }
}

fn reason(readiness: &Readiness) -> Option<String> {
    match readiness {
        Readiness::Ready | Readiness::Store(Health::Ready) => None,
        Readiness::Draining => Some("the server is stopping".to_owned()),
        Readiness::Store(Health::Full) => Some("the disk that holds the store is full".to_owned()),
        Readiness::Store(Health::Stopped { detail }) => {
            Some(format!("the store stopped after a failed write and takes nothing more until a restart: {detail}"))
        }
    }
}

/// Figures in the OpenMetrics text format, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "Server", operation_id = "getMetrics",
    responses(
        (status = 200, description = "Every figure", body = String, content_type = "application/openmetrics-text"),
    )
)]
pub(crate) async fn metrics(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    state.authorize(&headers, Scope::Read)?.of_all_accounts()?;
    Query::read(query.as_deref(), &[])?;
    let text = state.figures().encode(&snapshot(&state).await?);
    Ok(typed(StatusCode::OK, CONTENT_TYPE, Body::from(text)))
}

fn gauges(standing: RecipientStanding) -> RecipientGauges {
    let endpoint = |one: &EndpointStanding| EndpointGauges {
        origin: Arc::clone(&one.endpoint.origin),
        breaker: one.breaker.state,
        held: one.hold.map(|hold| hold.why),
        budget_thousandths: one.budget_thousandths,
        share_thousandths: one.share_thousandths,
    };
    let endpoints = standing.endpoints.iter().map(endpoint).collect();
    let (concurrency, in_flight) = (standing.concurrency, standing.in_flight);
    RecipientGauges { recipient: standing.recipient, concurrency, in_flight, endpoints }
}

async fn snapshot(state: &ApiState) -> Result<Snapshot, Problem> {
    let engine = state.engine();
    let now = engine.now();
    let heads = engine.store().heads().await?;
    let oldest = heads.iter().map(|head| head.next).min();
    Ok(Snapshot {
        counts: engine.store().counts().await?,
        in_flight: engine.in_flight(),
        oldest_due_age: oldest.map_or(Duration::ZERO, |due| now.since(due)),
        unsaved: engine.unsaved(),
        endpoints_paused: engine.pauses().len(),
        recipients: engine.recipients().into_iter().map(gauges).collect(),
        caps: engine.caps().iter().map(cap_gauges).collect(),
        stops: engine.stops().len(),
        store_ready: engine.store().health() == Health::Ready,
        config_version: engine.book().version,
        process_start: state.started_at(),
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn cap_gauges(standing: &CapStanding) -> CapGauges {
    let CapStanding { cap, tally, .. } = standing;
    CapGauges { scope: Arc::clone(&cap.scope), per: cap.per, max: cap.max, used: tally.used, reserved: tally.reserved }
}
