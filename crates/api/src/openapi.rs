//! The API, described: made from the handlers and the wire types, never written by hand.

use crate::problem::MEDIA_TYPE;
use crate::resource::{
    about, caps, classify, configs, deliveries, erasures, events, explain, health, leads, maintenance, ping,
    post_batch, post_lead, recipients, reconciliation, render, returns, review, shares, simulations, stats, stops,
    submit, suppressions, verbs,
};
use std::sync::LazyLock;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Steadfast",
        description = "Lead delivery with automated retries. Times are RFC 3339 in UTC; names ending in `_ms` are milliseconds. Every refusal is a problem (RFC 9457) whose `type` never changes. Every answer carries `Steadfast-Request-Id`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        post_lead::post_lead, post_batch::post_batch, submit::post_submission, submit::get_submission, ping::post_ping, ping::get_ping, leads::get_lead,
        erasures::erase_lead, erasures::erase_person,
        suppressions::suppress, suppressions::list_suppressions, suppressions::unsuppress,
        deliveries::list_deliveries, deliveries::get_delivery, verbs::retry, verbs::reroute, verbs::mark_delivered, verbs::dismiss,
        returns::return_delivery, returns::convert_delivery, returns::post_returns, returns::post_conversions,
        reconciliation::reconcile,
        review::list_review, recipients::list_recipients, recipients::get_recipient, stops::pause_recipient,
        stops::resume_recipient, stops::breaker, maintenance::maintain, maintenance::cancel, stops::pause_flow, stops::resume_flow, stops::pause_source,
        stops::resume_source, stops::list_stops, caps::list_caps, shares::list_shares, explain::explain, render::render, classify::classify, configs::get_config,
        configs::list_config_versions, simulations::simulate, events::list_events, stats::get_stats,
        health::healthz, health::readyz, health::metrics, about::openapi, about::about,
    ),
    tags(
        (name = "Leads", description = "What comes in"),
        (name = "Sources", description = "What comes in from those who post elsewhere today"),
        (name = "Deliveries", description = "One lead on its way to one recipient, and what a person can do with it"),
        (name = "Recipients", description = "Partner systems"),
        (name = "Settings", description = "What is configured, and what it leads to"),
        (name = "Figures", description = "What happened and how much"),
        (name = "Server", description = "The server itself"),
    ),
    components(schemas(crate::problem::ProblemView)),
    modifiers(&ApiKeyScheme, &RefusalsEverywhere),
    security(("api_key" = []))
)]
struct Document;

struct ApiKeyScheme;

impl Modify for ApiKeyScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(
            "An API key with the scope the call needs: ingest, read or operate. Not needed while no key is configured."
                .to_owned(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// Every call can be refused, and can fail.
struct RefusalsEverywhere;

impl Modify for RefusalsEverywhere {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let items = document.paths.paths.values_mut();
        let operations = items.flat_map(|item| [&mut item.get, &mut item.post, &mut item.delete]).flatten();
        for operation in operations {
            let responses = &mut operation.responses.responses;
            for (status, description) in [("4XX", "Refused"), ("5XX", "Not now, or failed")] {
                responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(refusal(description)));
            }
        }
    }
}

fn refusal(description: &str) -> Response {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(description).content(MEDIA_TYPE, problem).build()
}

/// The document as JSON.
pub(crate) fn document_text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        // Made of plain structs with text keys: writing it cannot fail.
        let text = Document::openapi().to_pretty_json().unwrap_or_default();
        // Our types are named for being views; their readers know no other kind.
        text.replace("PageView_", "PageOf").replace("View\"", "\"") + "\n"
    });
    &TEXT
}
