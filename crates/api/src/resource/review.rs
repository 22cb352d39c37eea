//! The review queue: deliveries a person has to look at, with what happened last and what usually helps.

use crate::answer::json;
use crate::auth::{Caller, Scope};
use crate::problem::Problem;
use crate::query::{NAME, Query};
use crate::resource::leads::last_attempt;
use crate::state::ApiState;
use crate::wire::PageView;
use crate::wire::delivery::DeliveryView;
use crate::wire::words;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use steadfast_lead::{DeliveryId, FlowName, RecipientName};
use steadfast_retry::{Attempt, Delivery, ErrorKind, Outcome, ReviewCause, State as DeliveryState, StateName};
use steadfast_store::Filter;
use utoipa::ToSchema;

/// Pages of the store read for one answer, where a cause is asked for that is rare.
const PAGES_MAX: usize = 10;

/// A delivery a person has to look at.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReviewView {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// Why it is here.
    #[schema(schema_with = words::cause)]
    cause: &'static str,
    /// Its newest attempt, if any was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_attempt: Option<LastAttemptView>,
    /// What usually helps.
    suggestion: &'static str,
}

/// The newest attempt, in short.
#[derive(Serialize, ToSchema)]
pub(crate) struct LastAttemptView {
    /// Its number.
    number: u32,
    /// When it ended.
    #[schema(schema_with = words::time)]
    ended: String,
    /// What it meant.
    #[schema(schema_with = words::outcome)]
    outcome: &'static str,
    /// The kind of a failure or error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::kind, required = false)]
    kind: Option<&'static str>,
    /// The status code, where there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Why, in the recipient's words or the fault's.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Why it was decided as it was.
    because: String,
}

/// List what a person has to look at, newest first.
#[utoipa::path(
    get, path = "/v1/review", tag = "Deliveries", operation_id = "listReview",
    params(
        ("recipient" = Option<String>, Query, description = "Whose"),
        ("flow" = Option<String>, Query, description = "Of which flow"),
        ("cause" = Option<String>, Query, description = "Why: exhausted, final_error, expired, unrecognized, in_doubt, step_gone, interrupted or limit_lowered"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 unless given"),
    ),
    responses(
        (status = 200, description = "A page of deliveries", body = PageView<ReviewView>),
    )
)]
pub(crate) async fn list_review(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.authorize(&headers, Scope::Read)?;
    let query = Query::read(query.as_deref(), &["recipient", "flow", "cause", "after", "limit"])?;
    let filter = Filter {
        state: Some(StateName::InReview),
        recipient: query.read_as("recipient", NAME, |text| RecipientName::new(text).ok())?,
        flow: query.read_as("flow", NAME, |text| FlowName::new(text).ok())?,
        ..Filter::default()
    };
    let cause = query.word("cause", ReviewCause::ALL, ReviewCause::name)?;
    let (found, next) = find(&state, &caller, filter, cause, query.after()?, query.limit()?).await?;
    let mut items = Vec::with_capacity(found.len());
    for (delivery, cause) in found {
        let last = last_attempt(&state, &delivery).await?;
        let in_flight = state.engine().is_in_flight(delivery.id);
        items.push(ReviewView {
            delivery: DeliveryView::of(&delivery, in_flight),
            cause: cause.name(),
            suggestion: suggestion(cause, last.as_ref().map(|attempt| attempt.verdict.outcome)),
            last_attempt: last.as_ref().map(LastAttemptView::from),
        });
    }
    Ok(json(StatusCode::OK, &PageView { items, next: next.map(|id| id.to_string()) }))
}

type Found = (Vec<(Delivery, ReviewCause)>, Option<DeliveryId>);

async fn find(
    state: &ApiState,
    caller: &Caller,
    filter: Filter,
    cause: Option<ReviewCause>,
    mut after: Option<DeliveryId>,
    limit: usize,
) -> Result<Found, Problem> {
    let book = state.engine().book();
    let mut found = Vec::new();
    for _ in 0..PAGES_MAX {
        // Never more than there is room for, so that nothing that was read is left out.
        let page = state.engine().store().list(filter.clone(), after, limit - found.len()).await?;
        let seen = page.items.into_iter().filter(|delivery| caller.sees(&delivery.flow, &book));
        found.extend(seen.filter_map(|delivery| {
            let of = cause_of(&delivery)?;
            (cause.is_none_or(|cause| cause == of)).then_some((delivery, of))
        }));
        after = page.next;
        if after.is_none() || found.len() >= limit {
            break;
        }
    }
    Ok((found, after))
}

fn cause_of(delivery: &Delivery) -> Option<ReviewCause> {
    match delivery.state {
        DeliveryState::InReview { cause, .. } => Some(cause),
        DeliveryState::Waiting { .. }
        | DeliveryState::Held { .. }
        | DeliveryState::Delivered { .. }
        | DeliveryState::Rejected { .. }
        | DeliveryState::Closed { .. } => None,
    }
}

impl From<&Attempt> for LastAttemptView {
    fn from(attempt: &Attempt) -> Self {
        let verdict = &attempt.verdict;
        let fault = attempt.evidence.fault.as_ref().map(|fault| &fault.detail);
        LastAttemptView {
            number: attempt.number,
            ended: attempt.ended.to_string(),
            outcome: verdict.outcome.name(),
            kind: verdict.outcome.kind_name(),
            status: verdict.status,
            reason: verdict.reason.as_ref().or(fault).map(ToString::to_string),
            because: attempt.because.to_string(),
        }
    }
}

/// What usually helps.
fn suggestion(cause: ReviewCause, last: Option<Outcome>) -> &'static str {
    match cause {
        ReviewCause::Exhausted => {
            "Every retry was used. Look whether the recipient is back, then retry; if this happens often, a policy with longer retries (outage) helps."
        }
        ReviewCause::FinalError => after_final_error(last),
        ReviewCause::Expired => {
            "The lead is older than max_lead_age. Dismiss it, or raise max_lead_age if the recipient still wants it, and then retry."
        }
        ReviewCause::Unrecognized => {
            "The answer fits no configured term. Read it in the last attempt, add a term or rule for it, then retry or mark as delivered."
        }
        ReviewCause::InDoubt => {
            "The recipient may have this lead. Ask before sending again: mark as delivered if they have it, retry if not."
        }
        ReviewCause::StepGone => {
            "The configuration no longer has this step. Bring the step back and retry, or dismiss it."
        }
        ReviewCause::Interrupted => {
            "Three attempts were cut off by this server stopping. Find out why it stops, ask the recipient whether they have the lead, then retry or mark as delivered."
        }
        ReviewCause::Duplicate => {
            "The same person went to this recipient before. Dismiss it, or mark it as delivered if the recipient has it; a retry is held against the guard again."
        }
        ReviewCause::ConditionError => {
            "A condition of its step has no answer for this lead; the last line of its history names the expression and what is missing. Correct the lead or the condition, then retry, or dismiss it."
        }
        ReviewCause::HeldTooLong => {
            "The recipient's breaker was open for longer than longest_hold. Look whether the recipient is back, then retry, or dismiss it."
        }
        ReviewCause::NoEndpoint => {
            "No endpoint of its leg takes leads of this region or under these regulations. Correct the lead, or give an endpoint the region or regulation, then retry; or reroute it."
        }
        ReviewCause::LimitLowered => {
            "max_retries was lowered below what was used already. Retry for a fresh budget, or dismiss it."
        }
    }
}

fn after_final_error(last: Option<Outcome>) -> &'static str {
    let Some(Outcome::Error(kind)) = last else {
        return "This error is not retried. Look at the last attempt, put right what it names, then retry.";
    };
    match kind {
        ErrorKind::Auth | ErrorKind::AuthTemporary => {
            "The recipient refuses the credentials. Check the step's auth and the recipient's account, then retry."
        }
        ErrorKind::RenderFailed => {
            "The request could not be made from this lead. Look at the named field and the step's mapping, then retry."
        }
        ErrorKind::TlsCertificate => {
            "The recipient's certificate was not accepted. Ask the recipient to renew it, then retry."
        }
        ErrorKind::BlockedAddress => {
            "The recipient's address is private. Allow its network under [server] allow_private_networks if that is meant, then retry."
        }
        ErrorKind::Redirect => "The recipient's address has moved. Put the new one into the step's url, then retry.",
        ErrorKind::ClientError => {
            "The recipient does not take this request as it is. Read its answer in the last attempt, put the mapping right, then retry."
        }
        ErrorKind::DnsNotFound
        | ErrorKind::DnsFailure
        | ErrorKind::DnsTimeout
        | ErrorKind::ConnectRefused
        | ErrorKind::ConnectTimeout
        | ErrorKind::Unreachable
        | ErrorKind::Tls
        | ErrorKind::Reset
        | ErrorKind::Protocol
        | ErrorKind::TimeoutRead
        | ErrorKind::ResponseTooLarge
        | ErrorKind::Interrupted
        | ErrorKind::ServerError
        | ErrorKind::RateLimited
        | ErrorKind::RequestTimeout
        | ErrorKind::Unrecognized => {
            "The policy does not retry this error. Retry by hand once the recipient is well, or widen retry_on."
        }
    }
}
