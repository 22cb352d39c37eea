//! Everything one attempt, or one change without an attempt, does to a delivery: one value, for one transaction.

use crate::backoff::Seed;
use crate::cap::CapChange;
use crate::choice::Choice;
use crate::decide::{Because, Decided, Decision, InDoubt, Situation, decide};
use crate::delivery::{BodyMark, Delivery, Endpoint, HoldReason, State};
use crate::event::{AttemptSettled, Event, EventKind};
use crate::evidence::{Evidence, FaultKind};
use crate::hint::{Hint, asked_pause};
use crate::look_up::LookUp;
use crate::outcome::{ErrorKind, Outcome, Verdict};
use crate::policy::RetryPolicy;
use crate::route::Route;
use crate::shard::Fence;
use crate::tie::Tied;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::Timestamp;

/// What a settlement is made under.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The policy in force.
    pub policy: &'a RetryPolicy,
    /// What the dice are thrown with.
    pub seed: Seed,
    /// What to do about doubt.
    pub in_doubt: InDoubt,
    /// The configuration in force.
    pub config_version: u64,
    /// The lease it is made under.
    pub fence: Fence,
    /// How much of an answer's body is kept.
    pub body_kept_bytes_max: usize,
    /// What may follow the present leg.
    pub route: Route<'a>,
}

/// One attempt as it went out and came back.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// When the last pause of its endpoint ended, where there was one: waiting for that is being held, not being late.
    pub held_until: Option<Timestamp>,
    /// What it was made from; `None` when the request could not be made.
    pub body: Option<BodyMark>,
    /// Where it went.
    pub endpoint: Endpoint,
    /// What was seen.
    pub evidence: Evidence,
    /// What it meant.
    pub verdict: Verdict,
}

/// One attempt as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number over all legs, from 1.
    pub number: u32,
    /// Which leg.
    pub leg: u8,
    /// Which revision of the body.
    pub revision: u16,
    /// Which retry of its leg it was, from 1; 0 for the first attempt. After a hold, which uses no retry, an attempt has the
    /// number of the one before it.
    pub retry: u32,
    /// Where it went.
    pub endpoint: Endpoint,
    /// How that was chosen, where its leg had several endpoints.
    pub choice: Option<Arc<Choice>>,
    /// When it was due.
    pub due: Timestamp,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What was seen.
    pub evidence: Evidence,
    /// What it meant.
    pub verdict: Verdict,
    /// What was decided.
    pub decision: Decision,
    /// Why.
    pub because: Because,
    /// The configuration it was made under.
    pub config_version: u64,
}

/// A change without an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What a person did, and who; `None` when nobody did.
    pub verb: Option<(Box<str>, Box<str>)>,
    /// The state it led to.
    pub state: State,
    /// The leg that begins with it, if one does.
    pub leg: Option<u8>,
    /// Why.
    pub because: Because,
}

/// One line of a delivery's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A send.
    Attempt(Box<Attempt>),
    /// A look-up: the recipient was asked whether it has the lead.
    LookUp(Box<LookUp>),
    /// Anything else.
    Change(Change),
}

/// A pause of a whole endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPause {
    /// Which.
    pub endpoint: Endpoint,
    /// Until when; a store keeps the later of two.
    pub until: Timestamp,
}

/// Everything one attempt or change does. A store applies it whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The delivery after it. Its version is one more than that of the delivery it was made from.
    pub delivery: Delivery,
    /// The line for its history.
    pub entry: Entry,
    /// A pause the recipient asked for.
    pub pause: Option<EndpointPause>,
    /// The line for the journal.
    pub event: Event,
    /// The lease it was made under.
    pub fence: Fence,
    /// What it has to do with the other deliveries of its lead; `None` for most.
    pub tied: Option<Box<Tied>>,
    /// What it does to caps; `None` for most.
    pub caps: Option<Box<CapChange>>,
}

/// Settles an attempt.
pub fn settle(before: &Delivery, sent: Sent, terms: &Terms<'_>) -> Settlement {
    let due = before.state.due().unwrap_or(sent.started);
    let free_from = before.state.next_look().max(sent.held_until).unwrap_or(sent.started);
    let late = sent.started.since(free_from);
    let mut after = before.clone();
    count(&mut after, &sent, due);
    let hint = asked_pause(&sent.verdict, sent.evidence.answer.as_ref(), unix_seconds(sent.ended));
    let ambiguous = is_doubtful(&sent);
    let situation = Situation {
        delivery: &after,
        policy: terms.policy,
        seed: terms.seed,
        in_doubt: terms.in_doubt,
        verdict: &sent.verdict,
        ambiguous,
        doubt_before: before.progress.in_doubt,
        hint,
        ended: sent.ended,
    };
    let decided = decide(&situation);
    if ambiguous {
        after.progress = after.progress.doubted();
    }
    after.last_kind = sent.verdict.outcome.kind_name();
    let error = error_of(&sent.verdict);
    let Decided { decision, because } = terms.route.follow(decided, &after, error, sent.ended);
    apply(&mut after, decision, sent.ended);
    terms.route.begin(decision, &mut after);
    let pause = pause_of(&sent, hint);
    let event = attempt_event(before, &after, &sent, &decision, late);
    let attempt = Attempt {
        number: after.attempts,
        leg: before.progress.leg,
        revision: before.progress.revision,
        retry: before.progress.retries_used,
        endpoint: sent.endpoint,
        choice: before.choice.clone(),
        due,
        started: sent.started,
        ended: sent.ended,
        evidence: sent.evidence.trimmed(terms.body_kept_bytes_max),
        verdict: sent.verdict,
        decision,
        because,
        config_version: terms.config_version,
    };
    Settlement {
        delivery: after,
        entry: Entry::Attempt(Box::new(attempt)),
        pause,
        event,
        fence: terms.fence,
        tied: None,
        caps: None,
    }
}

/// The kind and status of an error; `None` for a success or a business no.
pub(crate) const fn error_of(verdict: &Verdict) -> Option<(ErrorKind, Option<u16>)> {
    match verdict.outcome {
        Outcome::Error(kind) => Some((kind, verdict.status)),
        Outcome::Success | Outcome::Failure(_) => None,
    }
}

/// An error after which the recipient may have the lead. A success or a business no leaves no doubt.
fn is_doubtful(sent: &Sent) -> bool {
    match sent.verdict.outcome {
        Outcome::Error(_) => sent.evidence.is_ambiguous(),
        Outcome::Success | Outcome::Failure(_) => false,
    }
}

/// Counts the attempt, whatever came of it.
fn count(after: &mut Delivery, sent: &Sent, due: Timestamp) {
    after.version += 1;
    after.attempts += 1;
    after.endpoint = sent.endpoint.clone();
    let progress = &mut after.progress;
    progress.attempts += 1;
    if progress.first_attempt_at.is_some() {
        progress.held = progress.held.saturating_add(sent.started.since(due));
    } else {
        progress.first_attempt_at = Some(sent.started);
    }
    if sent.evidence.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Interrupted) {
        progress.interruptions = progress.interruptions.saturating_add(1);
    }
    if sent.evidence.phase.possibly_sent() && after.body.is_none() {
        after.body = sent.body;
    }
}

/// Puts a delivery where a decision wants it.
pub(crate) fn apply(after: &mut Delivery, decision: Decision, at: Timestamp) {
    after.state = match decision {
        Decision::Deliver { probable } => State::Delivered { at, probable, by_hand: false },
        Decision::Reject { kind } => State::Rejected { at, kind },
        Decision::Retry { due, not_before: None, .. } => State::Waiting { due },
        Decision::Retry { due, not_before: Some(until), .. } => State::Held { due, until, why: HoldReason::RetryAfter },
        Decision::Hold { due, until, why } => State::Held { due, until, why },
        Decision::Review { cause } => State::InReview { since: at, cause },
        Decision::LookUp { due } | Decision::NextLeg { due, .. } => State::Waiting { due },
        Decision::Close { why } => State::Closed { at, why },
    };
    if let Decision::Retry { retry, .. } = decision {
        after.progress.retries_used = retry;
    }
}

fn pause_of(sent: &Sent, hint: Option<Hint>) -> Option<EndpointPause> {
    let until = sent.ended.after(hint?.pause);
    Some(EndpointPause { endpoint: sent.endpoint.clone(), until })
}

fn attempt_event(before: &Delivery, after: &Delivery, sent: &Sent, decision: &Decision, late: Duration) -> Event {
    let settled = AttemptSettled {
        delivery: after.id,
        lead: after.lead,
        flow: after.flow.clone(),
        step: after.step.clone(),
        recipient: sent.endpoint.recipient.clone(),
        attempt: after.attempts,
        leg: before.progress.leg,
        retry: before.progress.retries_used,
        outcome: sent.verdict.outcome,
        decision: decision.name(),
        state: after.state.name(),
        late,
        took: sent.ended.since(sent.started),
        since_accepted: sent.ended.since(after.accepted_at),
        next_in: after.state.next_look().map(|next| next.since(sent.ended)),
        test: after.test,
    };
    Event { at: sent.ended, kind: EventKind::AttemptSettled(Box::new(settled)) }
}

pub(crate) fn unix_seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_millis() / 1_000).unwrap_or(0)
}
