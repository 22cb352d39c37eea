//! What each buyer took on each day, and owes for it: read from the deliveries, summed without a float.

use crate::answer::{json, typed};
use crate::auth::{Caller, Scope};
use crate::problem::{Problem, ProblemKind};
use crate::query::{NAME, Query};
use crate::state::ApiState;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_flow::Amount;
use steadfast_lead::{RecipientName, Timestamp};
use steadfast_retry::{CloseReason, Delivery, State as Stands, StateName};
use steadfast_store::Filter;
use utoipa::ToSchema;

/// The longest time that is reconciled at once.
const SPAN_MAX: Duration = Duration::from_secs(92 * 86_400);
/// No lead is older than this when it is delivered.
const LEAD_AGE_MAX: Duration = Duration::from_secs(91 * 86_400);
/// Deliveries looked at, at most.
const LOOKED_AT_MAX: usize = 1_000_000;
const PAGE: usize = 500;
const HEADER: &str =
    "day,recipient,delivered,probable,revenue,returned,taken_back,net,conversions,conversion_revenue\n";

/// What each buyer took, by day.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReconciliationView {
    /// From.
    since: String,
    /// Until, not included.
    until: String,
    /// A row for each day (UTC) and recipient, in order.
    rows: Vec<ReconciliationRowView>,
}

/// What one buyer took on one day, and what came of that since.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReconciliationRowView {
    /// The day of delivery, in UTC.
    day: String,
    /// The buyer.
    recipient: String,
    /// Deliveries it took, those it returned since among them.
    delivered: u64,
    /// Of these, concluded after doubt: without revenue until they are confirmed.
    probable: u64,
    /// The prices of what it took.
    revenue: String,
    /// Of these, returned since.
    returned: u64,
    /// The prices of what it returned.
    taken_back: String,
    /// What is left.
    net: String,
    /// Of these, converted since.
    conversions: u64,
    /// What it made of them, by currency as it was named.
    conversion_revenue: BTreeMap<String, String>,
}

#[derive(Default)]
struct Sums {
    delivered: u64,
    probable: u64,
    revenue: Amount,
    returned: u64,
    taken_back: Amount,
    conversions: u64,
    conversion_revenue: BTreeMap<String, Amount>,
}

/// What each buyer took on each day.
///
/// Leads of test are not in it.
#[utoipa::path(
    get, path = "/v1/reconciliation", tag = "Figures", operation_id = "reconcile",
    params(
        ("since" = String, Query, description = "Delivered at this time or later (RFC 3339)"),
        ("until" = String, Query, description = "Delivered before this time (RFC 3339); at most 92 days later"),
        ("recipient" = Option<String>, Query, description = "Only this one"),
        ("format" = Option<String>, Query, description = "json or csv; json unless given"),
    ),
    responses(
        (status = 200, description = "A row for each day and recipient",
            content((ReconciliationView = "application/json"), (String = "text/csv"))),
    )
)]
pub(crate) async fn reconcile(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.authorize(&headers, Scope::Read)?;
    let query = Query::read(query.as_deref(), &["since", "until", "recipient", "format"])?;
    query.required("since")?;
    query.required("until")?;
    let (since, until) =
        (query.time("since")?.unwrap_or(Timestamp::MIN), query.time("until")?.unwrap_or(Timestamp::MIN));
    let recipient = query.read_as("recipient", NAME, |text| RecipientName::new(text).ok())?;
    let csv = query.read_as("format", "json or csv", |text| match text {
        "json" => Some(false),
        "csv" => Some(true),
        _ => None,
    })?;
    if until <= since || until.since(since) > SPAN_MAX {
        let detail = format!("until = {until} is not after since = {since}, or more than 92 days after it");
        return Err(Problem::new(ProblemKind::BadParameter, detail).naming("until"));
    }
    let rows = rows(&state, &caller, recipient, since, until).await?;
    Ok(if csv.unwrap_or(false) {
        typed(StatusCode::OK, "text/csv", Body::from(csv_of(&rows)))
    } else {
        json(StatusCode::OK, &ReconciliationView { since: since.to_string(), until: until.to_string(), rows })
    })
}

async fn rows(
    state: &ApiState,
    caller: &Caller,
    recipient: Option<RecipientName>,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<ReconciliationRowView>, Problem> {
    let mut sums: BTreeMap<(String, String), Sums> = BTreeMap::new();
    let mut looked_at = 0;
    for stands in [StateName::Delivered, StateName::Closed] {
        let filter = Filter {
            state: Some(stands),
            recipient: recipient.clone(),
            since: Some(since.before(LEAD_AGE_MAX)),
            until: Some(until),
            ..Filter::default()
        };
        let mut after = None;
        loop {
            let page = state.engine().store().list(filter.clone(), after, PAGE).await?;
            looked_at += page.items.len();
            if looked_at > LOOKED_AT_MAX {
                let detail = format!("more than {LOOKED_AT_MAX} deliveries are to be looked at; ask for less");
                return Err(Problem::new(ProblemKind::BadParameter, detail).naming("since"));
            }
            let book = state.engine().book();
            for delivery in page.items.iter().filter(|one| !one.test && caller.sees(&one.flow, &book)) {
                add(&mut sums, delivery, since, until);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(sums.into_iter().map(|((day, recipient), sums)| row(day, recipient, sums)).collect())
}

/// Of a delivery its buyer took, whether it kept it or not.
fn add(sums: &mut BTreeMap<(String, String), Sums>, delivery: &Delivery, since: Timestamp, until: Timestamp) {
    let booking = delivery.booking.as_deref();
    let (at, probable, returned) = match (&delivery.state, booking) {
        (Stands::Delivered { at, probable, .. }, _) => (*at, *probable, false),
        (Stands::Closed { why: CloseReason::Returned, .. }, Some(booking)) => (booking.delivered_at, false, true),
        (
            Stands::Closed { .. }
            | Stands::Waiting { .. }
            | Stands::Held { .. }
            | Stands::Rejected { .. }
            | Stands::InReview { .. },
            _,
        ) => return,
    };
    // The built-in flows tell sources; nobody owes anything for that.
    if at < since || at >= until || delivery.flow.is_built_in() {
        return;
    }
    let day = at.to_string().chars().take_while(|letter| *letter != 'T').collect();
    let row = sums.entry((day, delivery.endpoint.recipient.to_string())).or_default();
    let price = booking.and_then(|booking| Amount::parse(booking.price.as_deref()?)).unwrap_or_default();
    row.delivered += 1;
    if probable {
        row.probable += 1;
    } else {
        row.revenue += price;
    }
    if returned {
        row.returned += 1;
        row.taken_back += price;
    }
    if let Some(conversion) = booking.and_then(|booking| booking.conversion.as_ref()) {
        row.conversions += 1;
        let currency = conversion.currency.as_deref().unwrap_or_default().to_owned();
        *row.conversion_revenue.entry(currency).or_default() += Amount::parse(&conversion.revenue).unwrap_or_default();
    }
}

fn row(day: String, recipient: String, sums: Sums) -> ReconciliationRowView {
    let made = sums.conversion_revenue.into_iter().map(|(currency, made)| (currency, made.to_string()));
    ReconciliationRowView {
        day,
        recipient,
        delivered: sums.delivered,
        probable: sums.probable,
        revenue: sums.revenue.to_string(),
        returned: sums.returned,
        taken_back: sums.taken_back.to_string(),
        net: (sums.revenue - sums.taken_back).to_string(),
        conversions: sums.conversions,
        conversion_revenue: made.collect(),
    }
}

/// Names hold no comma and no quote; a currency may, and is therefore quoted.
fn csv_of(rows: &[ReconciliationRowView]) -> String {
    let one = |row: &ReconciliationRowView| {
        let made: Vec<String> = row
            .conversion_revenue
            .iter()
            .map(|(currency, made)| format!("{made} {currency}").trim().to_owned())
            .collect();
        let made = made.join("; ").replace('"', "\"\"");
        format!(
            "{},{},{},{},{},{},{},{},{},\"{made}\"\n",
            row.day,
            row.recipient,
            row.delivered,
            row.probable,
            row.revenue,
            row.returned,
            row.taken_back,
            row.net,
            row.conversions
        )
    };
    std::iter::once(HEADER.to_owned()).chain(rows.iter().map(one)).collect()
}
