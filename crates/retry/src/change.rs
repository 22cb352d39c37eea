//! Changes without an attempt: a person's verbs, a referral to review, a hold of one delivery.

use crate::decide::Because;
use crate::delivery::{CloseReason, Delivery, Endpoint, HoldReason, LegProgress, ReviewCause, State, StateName};
use crate::erase::erase;
use crate::event::{Event, EventKind};
use crate::outcome::FailureKind;
use crate::reroute::Reroute;
use crate::settle::{Change, Entry, Settlement};
use crate::shard::Fence;
use crate::stop::StopTarget;
use steadfast_lead::Timestamp;

/// What a person can do with one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Try again now, with a fresh budget.
    Retry,
    /// Try again now, another way, with a fresh budget.
    Reroute(Box<Reroute>),
    /// The recipient has it: somebody knows from elsewhere.
    MarkDelivered {
        /// Why they know.
        reason: Box<str>,
    },
    /// Nothing more shall happen.
    Dismiss {
        /// Why.
        reason: Box<str>,
    },
    /// The person asked for deletion: close it, whatever it waits for. Left for an attempt under way, so that no other
    /// follows it.
    Erase,
}

impl Verb {
    /// The word used in paths and answers.
    pub const fn name(&self) -> &'static str {
        match self {
            Verb::Retry => "retry",
            Verb::Reroute(_) => "reroute",
            Verb::MarkDelivered { .. } => "mark-delivered",
            Verb::Dismiss { .. } => "dismiss",
            Verb::Erase => "erase",
        }
    }
}

/// A verb that does not fit where the delivery stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{verb} is not possible: the delivery is {state}{why}")]
pub struct RefusedVerb {
    /// Which verb.
    pub verb: &'static str,
    /// Where the delivery stands.
    pub state: StateName,
    /// More, beginning with `; `, or nothing.
    pub why: &'static str,
}

/// Applies a person's verb to a delivery that is not in flight.
///
/// # Errors
/// [`RefusedVerb`] when the delivery is delivered, erased, or where the verb wants it already; and for a reroute, which
/// [`crate::reroute`] is for.
pub fn verb(before: &Delivery, verb: &Verb, by: &str, fence: Fence, now: Timestamp) -> Result<Settlement, RefusedVerb> {
    let refused = |why| RefusedVerb { verb: verb.name(), state: before.state.name(), why };
    match &before.state {
        State::Delivered { at, probable: true, .. } if matches!(verb, Verb::MarkDelivered { .. }) => {
            return Ok(confirmed(before, *at, verb, by, fence, now));
        }
        State::Closed { why: CloseReason::Returned, .. } if *verb == Verb::Erase => {}
        State::Closed { why: CloseReason::Dismissed, .. } if matches!(verb, Verb::Dismiss { .. }) => {
            return Err(refused(" already"));
        }
        State::Delivered { .. } | State::Closed { .. } | State::Rejected { .. } | State::InReview { .. } => {
            refuse_ended(before, verb.name())?;
        }
        State::Waiting { .. } | State::Held { .. } => {}
    }
    let (state, because): (State, Because) = match verb {
        Verb::Erase => return Ok(erase(before, by, fence, now)),
        Verb::Reroute(_) => return Err(refused("; it is to be told which way")),
        Verb::Retry => (State::Waiting { due: now }, "a person asked for another try".into()),
        Verb::MarkDelivered { reason } => {
            (State::Delivered { at: now, probable: false, by_hand: true }, reason.clone())
        }
        Verb::Dismiss { reason } => (State::Closed { at: now, why: CloseReason::Dismissed }, reason.clone()),
    };
    let mut changed = change(before, state, because, Some((verb.name().into(), by.into())), fence, now);
    if *verb == Verb::Retry {
        let LegProgress { leg, revision, in_doubt, .. } = before.progress;
        // It is a person's word that sending again is right.
        let cleared = in_doubt;
        changed.delivery.progress = LegProgress { leg, revision, in_doubt, cleared, ..LegProgress::default() };
    }
    Ok(changed)
}

/// What has ended for good takes no verb.
pub(crate) fn refuse_ended(before: &Delivery, verb: &'static str) -> Result<(), RefusedVerb> {
    let why = match &before.state {
        State::Delivered { .. } => "; what was delivered stays delivered",
        State::Closed { why: CloseReason::Erased, .. } => "; the person asked for deletion",
        State::Closed { why: CloseReason::Returned, .. } => "; the buyer has returned it",
        State::Closed { .. } | State::Rejected { .. } | State::InReview { .. } => return Ok(()),
        State::Waiting { .. } | State::Held { .. } => return Ok(()),
    };
    Err(RefusedVerb { verb, state: before.state.name(), why })
}

/// What was concluded after doubt is known now: the recipient has it. When it was delivered stays as it was.
fn confirmed(before: &Delivery, at: Timestamp, verb: &Verb, by: &str, fence: Fence, now: Timestamp) -> Settlement {
    let because = match verb {
        Verb::MarkDelivered { reason } => reason.clone(),
        Verb::Retry | Verb::Reroute(_) | Verb::Dismiss { .. } | Verb::Erase => verb.name().into(),
    };
    let state = State::Delivered { at, probable: false, by_hand: true };
    change(before, state, because, Some(("confirm".into(), by.into())), fence, now)
}

/// Refers a delivery to a person without another attempt. `None` where it has ended: nothing is to change then.
pub fn refer(
    before: &Delivery,
    cause: ReviewCause,
    because: Because,
    fence: Fence,
    now: Timestamp,
) -> Option<Settlement> {
    before.state.next_look()?;
    Some(change(before, State::InReview { since: now, cause }, because, None, fence, now))
}

/// Ends a delivery without the recipient's answer. `None` where it has ended.
pub fn close(
    before: &Delivery,
    why: CloseReason,
    because: Because,
    fence: Fence,
    now: Timestamp,
) -> Option<Settlement> {
    before.state.next_look()?;
    Some(change(before, State::Closed { at: now, why }, because, None, fence, now))
}

/// Ends a delivery as if the recipient's business had said no. `None` where it has ended.
pub fn reject(
    before: &Delivery,
    kind: FailureKind,
    because: Because,
    fence: Fence,
    now: Timestamp,
) -> Option<Settlement> {
    before.state.next_look()?;
    Some(change(before, State::Rejected { at: now, kind }, because, None, fence, now))
}

/// Holds one delivery; for what holds a whole endpoint nothing is written on its deliveries. `None` where it has ended.
pub fn hold(before: &Delivery, until: Timestamp, why: HoldReason, fence: Fence, now: Timestamp) -> Option<Settlement> {
    hold_because(before, until, why, why.name().into(), fence, now)
}

/// As [`hold`], with more to say about it.
pub fn hold_because(
    before: &Delivery,
    until: Timestamp,
    why: HoldReason,
    because: Because,
    fence: Fence,
    now: Timestamp,
) -> Option<Settlement> {
    let due = before.state.due()?;
    Some(change(before, State::Held { due, until, why }, because, None, fence, now))
}

/// Moves a delivery to the endpoint its step sends to now, into that endpoint's queue. From the lot of a stop that has ended
/// it comes back to where its step sends. `None` where it has ended.
pub fn replan(before: &Delivery, endpoint: &Endpoint, fence: Fence, now: Timestamp) -> Option<Settlement> {
    before.state.next_look()?;
    let (state, because) = match (StopTarget::of_lot(&before.endpoint), &before.state) {
        (Some(stop), State::Held { due, .. }) => {
            (State::Waiting { due: *due }, format!("the {stop} goes on; its step sends to {endpoint}"))
        }
        (_, state) => (state.clone(), format!("its step sends to {endpoint} now")),
    };
    Some(moved(before, endpoint, state, because, fence, now))
}

/// Moves a delivery into the lot of a stop, where nothing is started while the stop lasts. It keeps its place in time. `None`
/// where it has ended.
pub fn park(before: &Delivery, lot: &Endpoint, stop: &StopTarget, fence: Fence, now: Timestamp) -> Option<Settlement> {
    let (due, until) = (before.state.due()?, before.state.next_look()?);
    let state = State::Held { due, until, why: HoldReason::Paused };
    Some(moved(before, lot, state, format!("the {stop} is paused by hand"), fence, now))
}

fn moved(
    before: &Delivery,
    endpoint: &Endpoint,
    state: State,
    because: String,
    fence: Fence,
    now: Timestamp,
) -> Settlement {
    let mut settlement = change(before, state, because.into(), None, fence, now);
    settlement.delivery.endpoint = endpoint.clone();
    settlement
}

/// Notes that an attempt may have been sent without a trace of it: before an unclean stop. Uses no retry. `None` where the
/// delivery has ended.
pub fn doubt(before: &Delivery, fence: Fence, now: Timestamp) -> Option<Settlement> {
    before.state.next_look()?;
    let because = "may have been sent just before an unclean stop";
    let mut settlement = change(before, before.state.clone(), because.into(), None, fence, now);
    let progress = &mut settlement.delivery.progress;
    *progress = std::mem::take(progress).doubted();
    Some(settlement)
}

/// Takes an attempt in doubt as delivered, probably: its step says so by now. `None` where the delivery has ended.
pub fn assume_delivered(before: &Delivery, fence: Fence, now: Timestamp) -> Option<Settlement> {
    before.state.next_look()?;
    let because = "an earlier attempt is in doubt, which the step takes as delivered (assume_delivered)";
    let state = State::Delivered { at: now, probable: true, by_hand: false };
    Some(change(before, state, because.into(), None, fence, now))
}

pub(crate) fn change(
    before: &Delivery,
    state: State,
    because: Because,
    verb: Option<(Box<str>, Box<str>)>,
    fence: Fence,
    now: Timestamp,
) -> Settlement {
    let mut delivery = before.clone();
    delivery.version += 1;
    delivery.state = state.clone();
    let kind = EventKind::DeliveryChanged {
        delivery: delivery.id,
        recipient: delivery.endpoint.recipient.clone(),
        state: state.name(),
        cause: if let State::InReview { cause, .. } = state { Some(cause) } else { None },
        held: if let State::Held { why, .. } = state { Some(why) } else { None },
        closed: if let State::Closed { why, .. } = state { Some(why) } else { None },
        leg: None,
        verb: verb.clone(),
        test: delivery.test,
    };
    let entry = Entry::Change(Change { at: now, verb, state, leg: None, because });
    Settlement { delivery, entry, pause: None, event: Event { at: now, kind }, fence, tied: None, caps: None }
}
