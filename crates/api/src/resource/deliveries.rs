//! Deliveries: the list, and one with everything that happened to it.

use crate::answer::json;
use crate::auth::{Caller, Scope};
use crate::path::{self, PathText};
use crate::problem::{Problem, ProblemKind};
use crate::query::{NAME, Query};
use crate::resource::leads::HISTORY_MAX;
use crate::state::ApiState;
use crate::wire::PageView;
use crate::wire::choice::ChoiceView;
use crate::wire::delivery::{BodyView, BookingView, DeliveryDetail, DeliveryView, HoldView, LegView, NextView};
use crate::wire::legs::legs;
use crate::wire::policy::ExplainView;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use steadfast_flow::ContactKind;
use steadfast_lead::{DeliveryId, FlowName, LeadId, RecipientName};
use steadfast_retry::{Attempt, Delivery, Entry, ErrorKind, FailureKind, StateName};
use steadfast_store::{Filter, Page};

/// List deliveries, newest first.
#[utoipa::path(
    get, path = "/v1/deliveries", tag = "Deliveries", operation_id = "listDeliveries",
    params(
        ("state" = Option<String>, Query, description = "Where they stand: waiting, held, in_flight, delivered, rejected, in_review or closed. Those in flight are also found by where they stood before"),
        ("recipient" = Option<String>, Query, description = "Whose"),
        ("flow" = Option<String>, Query, description = "Of which flow"),
        ("kind" = Option<String>, Query, description = "The kind of the last outcome that was not a success"),
        ("since" = Option<String>, Query, description = "Accepted at this time or later (RFC 3339)"),
        ("until" = Option<String>, Query, description = "Accepted before this time (RFC 3339)"),
        ("q" = Option<String>, Query, description = "The id of a delivery or a lead, an email address or a telephone number, exactly"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 unless given"),
    ),
    responses(
        (status = 200, description = "A page of deliveries", body = PageView<DeliveryView>),
    )
)]
pub(crate) async fn list_deliveries(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    const KNOWN: [&str; 9] = ["state", "recipient", "flow", "kind", "since", "until", "q", "after", "limit"];
    let caller = state.authorize(&headers, Scope::Read)?;
    let query = Query::read(query.as_deref(), &KNOWN)?;
    let (filter, after, limit) = (filter(&query)?, query.after()?, query.limit()?);
    let page = match (wanted(&query)?, filter.state) {
        (Some(wanted), _) => named(&state, wanted, &filter, after, limit).await?,
        (None, Some(StateName::InFlight)) => in_flight(&state, &filter, after, limit).await?,
        (None, _) => state.engine().store().list(filter, after, limit).await?,
    };
    Ok(json(StatusCode::OK, &page_view(&state, &caller, page)))
}

/// A page as this caller may see it.
pub(crate) fn page_view(state: &ApiState, caller: &Caller, page: Page<Delivery>) -> PageView<DeliveryView> {
    let book = state.engine().book();
    let seen = page.items.iter().filter(|delivery| caller.sees(&delivery.flow, &book));
    PageView {
        items: seen.map(|delivery| DeliveryView::of(delivery, state.engine().is_in_flight(delivery.id))).collect(),
        next: page.next.map(|id| id.to_string()),
    }
}

pub(crate) fn filter(query: &Query) -> Result<Filter, Problem> {
    Ok(Filter {
        state: query.word("state", StateName::ALL, StateName::name)?,
        recipient: query.read_as("recipient", NAME, |text| RecipientName::new(text).ok())?,
        flow: query.read_as("flow", NAME, |text| FlowName::new(text).ok())?,
        kind: query.read_as("kind", &kinds(), kind)?,
        since: query.time("since")?,
        until: query.time("until")?,
    })
}

fn kinds() -> String {
    let failures = FailureKind::ALL.iter().map(|kind| kind.name());
    let kinds: Vec<&str> = failures.chain(ErrorKind::ALL.iter().map(|kind| kind.name())).collect();
    format!("one of {}", kinds.join(", "))
}

fn kind(text: &str) -> Option<Box<str>> {
    let failure = FailureKind::from_name(text).map(FailureKind::name);
    failure.or_else(|| ErrorKind::from_name(text).map(ErrorKind::name)).map(Into::into)
}

/// What `q` names.
pub(crate) enum Wanted {
    Delivery(DeliveryId),
    Lead(LeadId),
    /// An email address or a telephone number.
    Person(String),
}

pub(crate) fn wanted(query: &Query) -> Result<Option<Wanted>, Problem> {
    const ALLOWED: &str =
        "the id of a delivery (dl_...) or a lead (ld_...), an email address, or a telephone number of 7 to 15 digits";
    query.read_as("q", ALLOWED, |text| {
        let delivery = text.parse().ok().map(Wanted::Delivery);
        let id = delivery.or_else(|| text.parse().ok().map(Wanted::Lead));
        id.or_else(|| is_contact(text).then(|| Wanted::Person(text.to_owned())))
    })
}

fn is_contact(text: &str) -> bool {
    [ContactKind::Email, ContactKind::Phone].iter().any(|kind| kind.normalise(text).is_some())
}

/// Deliveries of a person's leads that fit, newest first: as many as fill a page and one more, to tell that there is more.
async fn of_person(
    state: &ApiState,
    text: &str,
    filter: &Filter,
    after: Option<DeliveryId>,
    limit: usize,
) -> Result<Vec<Delivery>, Problem> {
    const LEADS_AT_ONCE: usize = 64;
    // A lead's id comes before those of its deliveries.
    let mut before = after.and_then(|after| LeadId::from_raw(after.raw()));
    let mut found = Vec::new();
    loop {
        let leads = state.engine().find_person(text, before, LEADS_AT_ONCE).await?.unwrap_or_default();
        for lead in &leads {
            let deliveries = state.engine().store().lead(*lead).await?.map(|(_, deliveries)| deliveries);
            let fitting = deliveries.unwrap_or_default().into_iter();
            found.extend(fitting.filter(|one| after.is_none_or(|after| one.id < after) && fits(state, one, filter)));
        }
        before = leads.last().copied();
        if found.len() > limit || leads.len() < LEADS_AT_ONCE {
            return Ok(found);
        }
    }
}

async fn named(
    state: &ApiState,
    wanted: Wanted,
    filter: &Filter,
    after: Option<DeliveryId>,
    limit: usize,
) -> Result<Page<Delivery>, Problem> {
    let store = state.engine().store();
    let found = match wanted {
        Wanted::Delivery(id) => store.delivery(id).await?.into_iter().collect(),
        Wanted::Lead(id) => store.lead(id).await?.map(|(_, deliveries)| deliveries).unwrap_or_default(),
        Wanted::Person(text) => of_person(state, &text, filter, after, limit).await?,
    };
    Ok(page(state, found, filter, after, limit))
}

async fn in_flight(
    state: &ApiState,
    filter: &Filter,
    after: Option<DeliveryId>,
    limit: usize,
) -> Result<Page<Delivery>, Problem> {
    let mut found = Vec::new();
    for id in state.engine().in_flight_ids() {
        // What has come to rest meanwhile is not in flight any more.
        let delivery = state.engine().store().delivery(id).await?;
        found.extend(delivery.filter(|delivery| delivery.state.next_look().is_some()));
    }
    Ok(page(state, found, filter, after, limit))
}

/// A page of deliveries that were found one by one.
fn page(
    state: &ApiState,
    mut found: Vec<Delivery>,
    filter: &Filter,
    after: Option<DeliveryId>,
    limit: usize,
) -> Page<Delivery> {
    found.sort_unstable_by_key(|delivery| std::cmp::Reverse(delivery.id));
    found.retain(|delivery| after.is_none_or(|after| delivery.id < after) && fits(state, delivery, filter));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = if more { found.last().map(|delivery| delivery.id) } else { None };
    Page { items: found, next }
}

fn fits(state: &ApiState, delivery: &Delivery, filter: &Filter) -> bool {
    let state_fits = match filter.state {
        None => true,
        Some(StateName::InFlight) => state.engine().is_in_flight(delivery.id),
        Some(wanted) => delivery.state.name() == wanted,
    };
    state_fits
        && filter.recipient.as_ref().is_none_or(|name| *name == delivery.endpoint.recipient)
        && filter.flow.as_ref().is_none_or(|name| *name == delivery.flow)
        && filter.kind.as_deref().is_none_or(|kind| delivery.last_kind == Some(kind))
        && filter.since.is_none_or(|since| delivery.accepted_at >= since)
        && filter.until.is_none_or(|until| delivery.accepted_at < until)
}

/// One delivery with every attempt.
#[utoipa::path(
    get, path = "/v1/deliveries/{id}", tag = "Deliveries", operation_id = "getDelivery",
    params(("id" = String, Path, description = "The delivery's id")),
    responses(
        (status = 200, description = "The delivery", body = DeliveryDetail),
    )
)]
pub(crate) async fn get_delivery(
    State(state): State<ApiState>,
    id: PathText,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.authorize(&headers, Scope::Read)?;
    Query::read(query.as_deref(), &[])?;
    let delivery = visible(&state, &caller, path::id(id)?).await?;
    Ok(json(StatusCode::OK, &detail(&state, &delivery).await?))
}

/// A delivery, if this caller may see it.
pub(crate) async fn visible(state: &ApiState, caller: &Caller, id: DeliveryId) -> Result<Delivery, Problem> {
    let found = state.engine().store().delivery(id).await?;
    found.filter(|delivery| caller.sees(&delivery.flow, &state.engine().book())).ok_or_else(|| unknown(id))
}

/// There is no such delivery.
pub(crate) fn unknown(id: DeliveryId) -> Problem {
    Problem::new(ProblemKind::UnknownDelivery, format!("there is no delivery {id}")).naming("id")
}

/// Everything about a delivery.
pub(crate) async fn detail(state: &ApiState, delivery: &Delivery) -> Result<DeliveryDetail, Problem> {
    let engine = state.engine();
    let entries = engine.store().history(delivery.id, 0, HISTORY_MAX + 1).await?;
    let history_cut = entries.len() > HISTORY_MAX;
    let book = engine.book();
    let plan = book.way(delivery).ok();
    let endpoint = plan.map_or(&delivery.endpoint, |plan| &plan.endpoint);
    let shown = entries.get(..HISTORY_MAX).unwrap_or(&entries);
    Ok(DeliveryDetail {
        delivery: DeliveryView::of(delivery, engine.is_in_flight(delivery.id)),
        leg: LegView::of(delivery),
        choice: delivery.choice.as_deref().map(ChoiceView::from),
        legs: legs(delivery, book.step(&delivery.flow, &delivery.step), shown),
        body: BodyView::of(delivery),
        booking: BookingView::of(delivery),
        next: NextView::of(delivery, last(&entries)),
        hold: HoldView::of(delivery, endpoint, engine),
        policy: plan.map(|plan| ExplainView::of(plan, book.version)),
        attempts: shown.iter().filter_map(|entry| Some(as_attempt(entry)?.into())).collect(),
        changes: shown
            .iter()
            .filter_map(|entry| match entry {
                Entry::Change(change) => Some(change.into()),
                Entry::Attempt(_) | Entry::LookUp(_) => None,
            })
            .collect(),
        look_ups: shown
            .iter()
            .filter_map(|entry| match entry {
                Entry::LookUp(look_up) => Some((&**look_up).into()),
                Entry::Attempt(_) | Entry::Change(_) => None,
            })
            .collect(),
        history_cut,
    })
}

fn last(entries: &[Entry]) -> Option<&Attempt> {
    entries.iter().rev().find_map(as_attempt)
}

fn as_attempt(entry: &Entry) -> Option<&Attempt> {
    match entry {
        Entry::Attempt(attempt) => Some(attempt),
        Entry::Change(_) | Entry::LookUp(_) => None,
    }
}
