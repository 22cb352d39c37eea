//! A waiting retry under changed settings: as if they had been in force when its last attempt ended.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod fixture;

use fixture::{answered, at, delivery, fault, policy, secs, sent, settle_at_due, terms};
use proptest::prelude::*;
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::policy::{Condition, Conditions, Jitter, Layer, RetryPolicy};
use steadfast_retry::{
    Attempt, Delivery, Entry, FaultKind, HoldReason, InDoubt, Phase, ReviewCause, Settlement, State, Terms, reschedule,
    settle,
};

fn every(seconds: u64) -> Layer {
    Layer {
        jitter: Some(Jitter::None),
        initial_delay: Some(secs(seconds)),
        max_interval: Some(secs(seconds.max(60))),
        total_timeout: Some(secs(3_600)),
        extended: Some(true),
        ..Layer::default()
    }
}

fn attempt_of(settlement: &Settlement) -> Attempt {
    match &settlement.entry {
        Entry::Attempt(attempt) => (**attempt).clone(),
        Entry::LookUp(_) | Entry::Change(_) => panic!("not an attempt"),
    }
}

/// Fails once, under a policy; the delivery and its attempt.
fn failed(policy: &RetryPolicy) -> (Delivery, Attempt) {
    let settlement = settle_at_due(&delivery(), answered(503, &[]), &terms(policy));
    let attempt = attempt_of(&settlement);
    (settlement.delivery, attempt)
}

fn anew(of: &(Delivery, Attempt), policy: &RetryPolicy, now: Timestamp) -> Option<State> {
    reschedule(&of.0, &of.1, &terms(policy), now).map(|settlement| settlement.delivery.state)
}

#[test]
fn a_retry_waits_from_the_end_of_the_failed_attempt_by_the_new_delay() {
    let (short, long) = (policy(&every(10)), policy(&every(100)));
    let waits = failed(&short);
    assert_eq!(waits.0.state, State::Waiting { due: at(10) });
    let settlement = reschedule(&waits.0, &waits.1, &terms(&long), at(1)).unwrap();
    assert_eq!(settlement.delivery.state, State::Waiting { due: at(100) });
    assert_eq!((settlement.delivery.version, settlement.delivery.progress.retries_used), (waits.0.version + 1, 1));
    let Entry::Change(change) = &settlement.entry else { panic!("a change") };
    let said = "planned anew under configuration version 5: server_error is retryable; retry 1 of 3";
    assert_eq!(&*change.because, said);
    let again = (settlement.delivery, waits.1.clone());
    assert_eq!(anew(&again, &long, at(2)), None, "nothing differs the second time");
    assert_eq!(anew(&again, &short, at(2)), Some(State::Waiting { due: at(10) }), "and back");
}

#[test]
fn what_would_have_gone_by_now_goes_now_and_in_time() {
    let waits = failed(&policy(&every(1_000)));
    let short = policy(&every(10));
    assert_eq!(anew(&waits, &short, at(500)), Some(State::Waiting { due: at(500) }));
    let strict = policy(&Layer { total_timeout: Some(secs(60)), ..every(10) });
    assert_eq!(anew(&waits, &strict, at(500)), Some(State::Waiting { due: at(60) }), "not after the total timeout");
    let due = (Delivery { state: State::Waiting { due: at(500) }, ..waits.0 }, waits.1);
    assert_eq!(anew(&due, &short, at(700)), None, "it is due, and stays so");
}

#[test]
fn what_the_new_settings_do_not_allow_goes_to_a_person() {
    let waits = failed(&policy(&every(10)));
    let cause = |policy: &RetryPolicy, now| match anew(&waits, policy, now) {
        Some(State::InReview { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    let none = policy(&Layer { enabled: Some(false), ..every(10) });
    assert_eq!(cause(&none, at(1)), ReviewCause::LimitLowered);
    let never =
        policy(&Layer { never_retry_on: Some(Conditions::new(vec![Condition::parse("503").unwrap()])), ..every(10) });
    assert_eq!(cause(&never, at(1)), ReviewCause::FinalError);
    let soon = policy(&Layer { total_timeout: Some(secs(60)), ..every(100) });
    assert_eq!(cause(&soon, at(1)), ReviewCause::Exhausted);
}

#[test]
fn a_pause_the_recipient_asked_for_and_a_floor_after_doubt_stay() {
    let short = policy(&every(10));
    let settlement = settle_at_due(&delivery(), answered(503, &[("retry-after", "60")]), &terms(&short));
    let waits = (settlement.delivery.clone(), attempt_of(&settlement));
    let State::Held { until: asked, .. } = waits.0.state else { panic!("held") };
    let long = policy(&every(30));
    let held = State::Held { due: at(30), until: asked, why: HoldReason::RetryAfter };
    assert_eq!(anew(&waits, &long, at(1)), Some(held));
    let floor = Terms { in_doubt: InDoubt::Retry { floor: secs(90) }, ..terms(&long) };
    let doubtful = settle_at_due(&delivery(), fault(Phase::Sent, FaultKind::TimeoutRead), &terms(&short));
    let attempt = attempt_of(&doubtful);
    let moved = reschedule(&doubtful.delivery, &attempt, &floor, at(1)).unwrap();
    assert_eq!(moved.delivery.state, State::Waiting { due: at(90) });
}

#[test]
fn what_waits_for_something_else_is_left_alone() {
    let (short, long) = (policy(&every(10)), policy(&every(100)));
    let (waits, attempt) = failed(&short);
    let mut fresh = waits.clone();
    fresh.progress = Default::default();
    let mut asked = waits.clone();
    asked.progress.look_ups = 1;
    let contact = State::Held { due: at(10), until: at(900), why: HoldReason::ContactTime };
    let done = State::InReview { since: at(1), cause: ReviewCause::Exhausted };
    let others =
        [Delivery { state: contact, ..waits.clone() }, Delivery { state: done, ..waits.clone() }, fresh, asked];
    for other in others {
        assert_eq!(anew(&(other.clone(), attempt.clone()), &long, at(1)), None, "{other:?}");
    }
    let of_earlier = (Delivery { attempts: 2, ..waits }, attempt);
    assert_eq!(anew(&of_earlier, &long, at(1)), None, "not its last attempt");
}

proptest! {
    /// Before either is due, planning anew gives what an attempt under the new policy would have given.
    #[test]
    fn planning_anew_is_deciding_again(old in 1_u64..3_000, new in 1_u64..3_000, took in 0_u64..100, jittered: bool) {
        let layer = |seconds| {
            let jitter = if jittered { None } else { Some(Jitter::None) };
            Layer { jitter, max_retries: Some(2), ..every(seconds) }
        };
        let (old, new) = (policy(&layer(old)), policy(&layer(new)));
        let under = |policy: &RetryPolicy| settle(&delivery(), sent(answered(503, &[]), at(0), at(took)), &terms(policy));
        let (was, would) = (under(&old), under(&new));
        let moved = reschedule(&was.delivery, &attempt_of(&was), &terms(&new), at(took).after(Duration::from_millis(1)));
        let stands = moved.map_or(was.delivery.state, |settlement| settlement.delivery.state);
        match (&would.delivery.state, &stands) {
            (State::InReview { cause: expected, .. }, State::InReview { cause, .. }) => prop_assert_eq!(expected, cause),
            (expected, stands) => prop_assert_eq!(expected, stands),
        }
    }
}
