//! Recipients: how well they are, how much waits for each, where they are reached, and what holds them.

use crate::answer::json;
use crate::auth::{Caller, Scope};
use crate::path::{self, PathText};
use crate::problem::{Problem, ProblemKind};
use crate::query::Query;
use crate::state::ApiState;
use crate::wire::calendar::{CalledWhenView, MaintenanceView};
use crate::wire::counts::CountsView;
use crate::wire::protection::{EndpointView, Health, PaceView, StopView};
use crate::wire::words;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use steadfast_engine::{Engine, RecipientStanding};
use steadfast_flow::{Book, ExplainedCalendar};
use steadfast_lead::{RecipientName, Timestamp};
use steadfast_retry::StopTarget;
use steadfast_retry::breaker::BreakerMode;
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
    /// How it is: the gravest of what is so.
    #[schema(schema_with = words::health)]
    health: &'static str,
    /// How many attempts there may be; missing for one that is configured no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pace: Option<PaceView>,
    /// How many of its deliveries stand where.
    deliveries: CountsView,
    /// How many of those that wait or are held go nowhere now: held by themselves, or all of them where none of its endpoints
    /// starts anything.
    held_now: u64,
    /// A person stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<StopView>,
    /// When it may be called; missing where that is always.
    #[serde(skip_serializing_if = "Option::is_none")]
    called_when: Option<CalledWhenView>,
    /// Maintenance by people's word that is not over, in order.
    maintenance: Vec<MaintenanceView>,
    /// Where it is reached.
    endpoints: Vec<EndpointView>,
}

/// Every recipient with its health, counts and endpoints.
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
    Ok(json(StatusCode::OK, &RecipientsView { items: Standing::read(&state, &caller).await?.views() }))
}

/// One recipient with its health, counts and endpoints.
#[utoipa::path(
    get, path = "/v1/recipients/{recipient}", tag = "Recipients", operation_id = "getRecipient",
    params(("recipient" = String, Path, description = "The recipient's name")),
    responses(
        (status = 200, description = "The recipient", body = RecipientView),
    )
)]
pub(crate) async fn get_recipient(
    State(state): State<ApiState>,
    recipient: PathText,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.authorize(&headers, Scope::Read)?;
    Query::read(query.as_deref(), &[])?;
    let name = recipient_name(&path::text(recipient)?)?;
    Ok(json(StatusCode::OK, &one(&state, &caller, &name).await?))
}

/// One recipient as a caller sees it.
///
/// # Errors
/// 404 for one that is not there for this caller.
pub(crate) async fn one(state: &ApiState, caller: &Caller, name: &RecipientName) -> Result<RecipientView, Problem> {
    Standing::read(state, caller).await?.view(name).ok_or_else(|| unknown(name))
}

/// The refusal of one that is not there.
pub(crate) fn unknown(name: &RecipientName) -> Problem {
    Problem::new(ProblemKind::UnknownRecipient, format!("there is no recipient {name}")).naming("recipient")
}

/// A recipient's name from a path.
pub(crate) fn recipient_name(text: &str) -> Result<RecipientName, Problem> {
    RecipientName::new(text).map_err(|_| {
        Problem::bad_parameter("recipient", text, "1 to 64 of A-Z a-z 0-9 - _ ., beginning with a letter or digit")
    })
}

/// Everything that is shown of recipients, read at one moment.
struct Standing {
    engine: Engine,
    now: Timestamp,
    book: Arc<Book>,
    known: BTreeMap<RecipientName, CountsView>,
    standings: Vec<RecipientStanding>,
    stops: BTreeMap<StopTarget, StopView>,
}

impl Standing {
    async fn read(state: &ApiState, caller: &Caller) -> Result<Self, Problem> {
        let engine = state.engine();
        let (book, counts) = (engine.book(), engine.store().counts().await?);
        let stops = engine.stops().iter().map(|stop| (stop.target.clone(), StopView::of(stop))).collect();
        let (known, standings) = (known(caller, &book, counts), engine.recipients());
        let (engine, now) = (engine.clone(), engine.now());
        Ok(Standing { engine, now, known, standings, stops, book })
    }

    fn views(&self) -> Vec<RecipientView> {
        self.known.keys().filter_map(|name| self.view(name)).collect()
    }

    fn view(&self, name: &RecipientName) -> Option<RecipientView> {
        let deliveries = *self.known.get(name)?;
        let plan = self.book.recipient(name);
        let mode = plan.as_ref().map_or(BreakerMode::On, |plan| plan.guard.breaker.mode);
        let standing = self.standings.iter().find(|standing| standing.recipient == *name);
        let endpoints = standing.map(|standing| &standing.endpoints[..]).unwrap_or_default();
        let calendar = self.engine.calendar(name);
        let is_held = !endpoints.is_empty() && endpoints.iter().all(|endpoint| endpoint.hold.is_some());
        Some(RecipientView {
            name: name.to_string(),
            configured: plan.is_some(),
            health: standing.map(|standing| Health::of(standing, mode)).unwrap_or_default().name(),
            pace: plan.map(|plan| PaceView::of(&plan, standing)),
            deliveries,
            held_now: if is_held { deliveries.open() } else { deliveries.held() },
            called_when: calendar.map(|calendar| CalledWhenView::of(&ExplainedCalendar::of(&calendar, self.now))),
            maintenance: self.engine.maintenance(name).iter().filter_map(MaintenanceView::of).collect(),
            stopped: self.stops.get(&StopTarget::Recipient(name.clone())).cloned(),
            endpoints: endpoints.iter().map(|endpoint| EndpointView::of(endpoint, mode)).collect(),
        })
    }
}

/// Recipients of the configuration and of what is stored, as far as the caller sees their flows, and their counts.
fn known(caller: &Caller, book: &Book, counts: Vec<Count>) -> BTreeMap<RecipientName, CountsView> {
    let mut known: BTreeMap<RecipientName, CountsView> = BTreeMap::new();
    if caller.account().is_none() {
        known.extend(book.recipients.keys().map(|name| (name.clone(), CountsView::default())));
    }
    let flows = book.all_flows().filter(|flow| caller.sees(&flow.name, book));
    for step in flows.flat_map(|flow| flow.ways()) {
        known.entry(step.endpoint.recipient.clone()).or_default();
    }
    for count in counts.into_iter().filter(|count| caller.sees(&count.flow, book)) {
        let of = known.entry(count.recipient).or_default();
        if !count.test {
            of.add(count.state, count.deliveries);
        }
    }
    known
}
