//! Recipients: how much waits for each, where they are reached, and which of their endpoints are paused.

use crate::answer::json;
use crate::auth::{Caller, Scope};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;
use crate::wire::counts::CountsView;
use crate::wire::words;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use steadfast_flow::Book;
use steadfast_lead::RecipientName;
use steadfast_retry::Endpoint;
use steadfast_retry::pace::ConcurrencyLimit;
use steadfast_store::Count;
use utoipa::ToSchema;

/// Every recipient.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecipientsView {
    /// Sorted by name.
    items: Vec<RecipientView>,
}

/// One recipient.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecipientView {
    /// Its name.
    name: String,
    /// Whether the configuration in force has it.
    configured: bool,
    /// Attempts under way at once, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    /// How many of its deliveries stand where.
    deliveries: CountsView,
    /// Where it is reached.
    endpoints: Vec<EndpointView>,
}

/// Where a recipient is reached.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointView {
    /// Scheme, host and port.
    endpoint: String,
    /// Until when it asked to be left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    paused_until: Option<String>,
}

/// What is known of a recipient while the list is made.
#[derive(Default)]
struct Known {
    deliveries: CountsView,
    origins: BTreeSet<Arc<str>>,
}

/// Every recipient with its counts, endpoints and pauses.
#[utoipa::path(
    get, path = "/v1/recipients", tag = "Recipients", operation_id = "listRecipients",
    responses(
        (status = 200, description = "Every recipient", body = RecipientsView),
    )
)]
pub(crate) async fn list_recipients(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.authorize(&headers, Scope::Read)?;
    Query::read(query.as_deref(), &[])?;
    let book = state.engine().book();
    let counts = state.engine().store().counts().await?;
    let pauses = state.engine().pauses();
    let paused = |recipient: &RecipientName, origin: &Arc<str>| {
        let is_it = |endpoint: &Endpoint| endpoint.recipient == *recipient && endpoint.origin == *origin;
        pauses.iter().find(|(endpoint, _)| is_it(endpoint)).map(|(_, until)| until.to_string())
    };
    let items = known(&caller, &book, counts).into_iter().map(|(name, known)| RecipientView {
        configured: book.recipients.contains_key(&name),
        concurrency: book.recipients.get(&name).map(|plan| most_at_once(plan.pace.concurrency)),
        deliveries: known.deliveries,
        endpoints: known
            .origins
            .iter()
            .map(|origin| EndpointView { endpoint: origin.to_string(), paused_until: paused(&name, origin) })
            .collect(),
        name: name.to_string(),
    });
    Ok(json(StatusCode::OK, &RecipientsView { items: items.collect() }))
}

fn most_at_once(limit: ConcurrencyLimit) -> u32 {
    match limit {
        ConcurrencyLimit::Fixed(most) | ConcurrencyLimit::Adaptive { most } => most,
    }
}

/// Recipients of the configuration and of what is stored, as far as the caller sees their flows.
fn known(caller: &Caller, book: &Book, counts: Vec<Count>) -> BTreeMap<RecipientName, Known> {
    let mut known: BTreeMap<RecipientName, Known> = BTreeMap::new();
    if caller.account().is_none() {
        known.extend(book.recipients.keys().map(|name| (name.clone(), Known::default())));
    }
    let flows = book.flows.values().filter(|flow| caller.sees(&flow.name, book));
    for step in flows.flat_map(|flow| &flow.steps) {
        let of = known.entry(step.endpoint.recipient.clone()).or_default();
        of.origins.insert(Arc::clone(&step.endpoint.origin));
    }
    for count in counts.into_iter().filter(|count| caller.sees(&count.flow, book)) {
        let of = known.entry(count.recipient).or_default();
        if !count.test {
            of.deliveries.add(count.state, count.deliveries);
        }
    }
    known
}
