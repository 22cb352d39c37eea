//! Which path leads where.

use crate::frame::frame;
use crate::problem::{Problem, ProblemKind, shown};
use crate::resource::{
    about, caps, classify, configs, deliveries, erasures, events, explain, health, leads, maintenance, ping,
    post_batch, post_lead, recipients, reconciliation, render, returns, review, shares, simulations, stats, stops,
    submit, suppressions, verbs,
};
use crate::source::refusing;
use crate::state::ApiState;
use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{delete, get, post};

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path,)+) => {
        fn routes() -> Router<ApiState> {
            Router::new()$(.route($path, $method($handler)))+
        }

        /// Every method and path there is, to be held against the document.
        #[cfg(test)]
        pub(crate) const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),+];
    };
}

routes! {
    post "/v1/flows/{flow}/leads" => post_lead::post_lead,
    post "/v1/flows/{flow}/leads/batch" => post_batch::post_batch,
    post "/flows/{flow}/sources/{source}/submit" => submit::post_submission,
    get "/flows/{flow}/sources/{source}/submit" => submit::get_submission,
    post "/flows/{flow}/sources/{source}/ping" => ping::post_ping,
    get "/flows/{flow}/sources/{source}/ping" => ping::get_ping,
    get "/v1/leads/{id}" => leads::get_lead,
    delete "/v1/leads/{id}" => erasures::erase_lead,
    post "/v1/erasures" => erasures::erase_person,
    post "/v1/suppressions" => suppressions::suppress,
    get "/v1/suppressions" => suppressions::list_suppressions,
    delete "/v1/suppressions/{id}" => suppressions::unsuppress,
    get "/v1/deliveries" => deliveries::list_deliveries,
    get "/v1/deliveries/{id}" => deliveries::get_delivery,
    post "/v1/deliveries/{id}/retry" => verbs::retry,
    post "/v1/deliveries/{id}/reroute" => verbs::reroute,
    post "/v1/deliveries/{id}/mark-delivered" => verbs::mark_delivered,
    post "/v1/deliveries/{id}/dismiss" => verbs::dismiss,
    post "/v1/deliveries/{id}/return" => returns::return_delivery,
    post "/v1/deliveries/{id}/conversion" => returns::convert_delivery,
    post "/v1/returns" => returns::post_returns,
    post "/v1/conversions" => returns::post_conversions,
    get "/v1/reconciliation" => reconciliation::reconcile,
    get "/v1/review" => review::list_review,
    get "/v1/recipients" => recipients::list_recipients,
    get "/v1/recipients/{recipient}" => recipients::get_recipient,
    post "/v1/recipients/{recipient}/pause" => stops::pause_recipient,
    post "/v1/recipients/{recipient}/resume" => stops::resume_recipient,
    post "/v1/recipients/{recipient}/breaker" => stops::breaker,
    post "/v1/recipients/{recipient}/maintenance" => maintenance::maintain,
    delete "/v1/recipients/{recipient}/maintenance/{id}" => maintenance::cancel,
    post "/v1/flows/{flow}/pause" => stops::pause_flow,
    post "/v1/flows/{flow}/resume" => stops::resume_flow,
    post "/v1/flows/{flow}/sources/{source}/pause" => stops::pause_source,
    post "/v1/flows/{flow}/sources/{source}/resume" => stops::resume_source,
    get "/v1/stops" => stops::list_stops,
    get "/v1/caps" => caps::list_caps,
    get "/v1/flows/{flow}/shares" => shares::list_shares,
    get "/v1/explain" => explain::explain,
    post "/v1/render" => render::render,
    post "/v1/classify" => classify::classify,
    get "/v1/config" => configs::get_config,
    get "/v1/config/versions" => configs::list_config_versions,
    post "/v1/simulations" => simulations::simulate,
    get "/v1/events" => events::list_events,
    get "/v1/stats" => stats::get_stats,
    get "/healthz" => health::healthz,
    get "/readyz" => health::readyz,
    get "/metrics" => health::metrics,
    get "/openapi.json" => about::openapi,
    get "/" => about::about,
}

/// The whole API.
pub fn router(state: ApiState) -> Router {
    routes()
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.clone(), frame))
        .with_state(state)
}

async fn unknown_path(request: Request) -> Problem {
    let path = shown(request.uri().path());
    Problem::new(ProblemKind::UnknownPath, format!("there is nothing at {path}; /openapi.json lists what there is"))
}

async fn method_not_allowed(request: Request) -> Response {
    refusing::method_not_allowed(&request)
}
