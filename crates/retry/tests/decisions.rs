//! Case by case: what is decided after which attempt, what a settlement carries, and what is admitted when it is due.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod fixture;

use fixture::{
    ACCEPTED, FENCE, answered, at, delivery, endpoint, fault, policy, refused, secs, sent, settle_at_due, terms,
};
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::breaker::Wait;
use steadfast_retry::policy::{Condition, Conditions, Jitter, Layer, RetryPolicy};
use steadfast_retry::{
    Admission, Attempt, BodyMark, Decision, DecisionName, Delivery, Entry, ErrorKind, EventKind, Evidence, FailureKind,
    FaultKind, HoldReason, InDoubt, LegProgress, Outcome, Phase, ReviewCause, Sent, Settlement, State, StateName,
    Terms, Verdict, admit, classify_status, settle,
};

const RETRY: InDoubt = InDoubt::Retry { floor: Duration::ZERO };

fn exact() -> RetryPolicy {
    policy(&Layer { jitter: Some(Jitter::None), ..Layer::default() })
}

fn attempt(settlement: &Settlement) -> &Attempt {
    match &settlement.entry {
        Entry::Attempt(attempt) => attempt,
        Entry::Change(_) | Entry::LookUp(_) => panic!("not an attempt: {:?}", settlement.entry),
    }
}

fn cause(settlement: &Settlement) -> Option<ReviewCause> {
    match settlement.delivery.state {
        State::InReview { cause, .. } => Some(cause),
        State::Waiting { .. }
        | State::Held { .. }
        | State::Delivered { .. }
        | State::Rejected { .. }
        | State::Closed { .. } => None,
    }
}

/// The table of A1 to A4, written again from the requirement.
#[test]
fn each_error_kind_is_retried_or_final_as_required() {
    use ErrorKind as E;
    let retried = [
        E::DnsNotFound,
        E::DnsFailure,
        E::DnsTimeout,
        E::ConnectRefused,
        E::ConnectTimeout,
        E::Unreachable,
        E::Tls,
        E::Reset,
        E::Protocol,
        E::TimeoutRead,
        E::ResponseTooLarge,
        E::Interrupted,
        E::ServerError,
        E::RateLimited,
        E::RequestTimeout,
        E::AuthTemporary,
    ];
    let final_at_once =
        [E::TlsCertificate, E::BlockedAddress, E::RenderFailed, E::Auth, E::ClientError, E::Redirect, E::Unrecognized];
    assert_eq!(retried.len() + final_at_once.len(), ErrorKind::ALL.len(), "every kind is in one of the lists");
    let policy = exact();
    for kind in retried.iter().chain(&final_at_once) {
        let sent = sent(answered(500, &[]), ACCEPTED, ACCEPTED);
        let verdict = Verdict { outcome: Outcome::Error(*kind), status: None, ..sent.verdict.clone() };
        let settlement = settle(&delivery(), Sent { verdict, ..sent }, &terms(&policy));
        let last = if *kind == E::Unrecognized { ReviewCause::Unrecognized } else { ReviewCause::FinalError };
        let expected = final_at_once.contains(kind).then_some(last);
        assert_eq!(cause(&settlement), expected, "{kind}");
        assert_eq!(settlement.delivery.state.next_look(), expected.is_none().then(|| at(2)), "{kind}");
    }
}

#[test]
fn every_status_means_what_the_table_says() {
    let outcome = |status| classify_status(&answered(status, &[])).outcome;
    for status in 100..=999 {
        let expected = match status {
            200..=299 => Outcome::Success,
            300..=399 => Outcome::Error(ErrorKind::Redirect),
            401 | 403 | 407 => Outcome::Error(ErrorKind::Auth),
            408 | 425 => Outcome::Error(ErrorKind::RequestTimeout),
            429 => Outcome::Error(ErrorKind::RateLimited),
            400..=499 => Outcome::Error(ErrorKind::ClientError),
            500..=599 => Outcome::Error(ErrorKind::ServerError),
            _ => Outcome::Error(ErrorKind::Protocol),
        };
        assert_eq!(outcome(status), expected, "{status}");
    }
    for kind in FaultKind::ALL {
        let verdict = classify_status(&fault(Phase::Connect, *kind));
        assert_eq!(verdict.outcome, Outcome::Error(ErrorKind::from(*kind)));
        assert_eq!(ErrorKind::from(*kind).name(), kind.name(), "a fault keeps its name");
    }
    let broken_off = Evidence { fault: fault(Phase::Receiving, FaultKind::Reset).fault, ..answered(200, &[]) };
    assert_eq!(classify_status(&broken_off).outcome, Outcome::Error(ErrorKind::Reset), "half a 200 is no success");
}

#[test]
fn two_failures_then_success_under_standard() {
    let policy = policy(&Layer::default());
    let terms = terms(&policy);
    let first = settle_at_due(&delivery(), answered(503, &[]), &terms);
    let gap = first.delivery.state.due().unwrap().since(ACCEPTED);
    assert!(gap >= secs(2) && gap <= Duration::from_millis(2_400), "{gap:?}");
    let second = settle_at_due(&first.delivery, answered(503, &[]), &terms);
    let gap = second.delivery.state.due().unwrap().since(first.delivery.state.due().unwrap());
    assert!(gap >= secs(4) && gap <= Duration::from_millis(4_800), "{gap:?}");
    let third = settle_at_due(&second.delivery, answered(200, &[]), &terms);
    assert!(matches!(third.delivery.state, State::Delivered { probable: false, by_hand: false, .. }));
    assert_eq!((third.delivery.attempts, third.delivery.progress.retries_used, third.delivery.version), (3, 2, 4));
    let numbers = [&first, &second, &third].map(|one| (attempt(one).number, attempt(one).retry));
    assert_eq!(numbers, [(1, 0), (2, 1), (3, 2)]);
}

#[test]
fn a_settlement_carries_all_an_attempt_changes() {
    let policy = exact();
    let body = Some(BodyMark { mapping_version: 9, digest: [7; 32] });
    let sent = Sent { body, ..sent(answered(429, &[("retry-after", "60")]), at(3), at(4)) };
    let settlement = settle(&delivery(), sent, &terms(&policy));
    let (after, entry) = (&settlement.delivery, attempt(&settlement));
    assert_eq!((after.body, after.last_kind, settlement.fence), (body, Some("rate_limited"), FENCE));
    assert_eq!((entry.due, entry.started, entry.ended, entry.config_version), (ACCEPTED, at(3), at(4), 5));
    assert_eq!(&*entry.evidence.answer.as_ref().unwrap().body, b"body", "cut to what is kept");
    assert_eq!(entry.evidence.answer.as_ref().unwrap().body_bytes, 10, "how long it was is kept");
    let pause = settlement.pause.unwrap();
    assert_eq!((pause.endpoint, pause.until), (endpoint(), at(64)), "the endpoint's pause has no spread");
    let EventKind::AttemptSettled(event) = &settlement.event.kind else { panic!("{:?}", settlement.event) };
    assert_eq!((event.attempt, event.retry, event.decision, event.state), (1, 0, DecisionName::Hold, StateName::Held));
    assert_eq!((event.late, event.took, event.since_accepted), (secs(3), secs(1), secs(4)));
    assert_eq!(after.progress.first_attempt_at, Some(at(3)), "the clock starts with the first attempt");
    assert_eq!(after.progress.held, Duration::ZERO, "waiting for the first attempt is not held");
}

#[test]
fn the_body_freezes_with_the_first_attempt_that_may_have_been_sent() {
    let policy = exact();
    let mark = |version| Some(BodyMark { mapping_version: version, digest: [1; 32] });
    let with = |before: &Delivery, evidence, version| {
        let start = before.state.next_look().unwrap();
        settle(before, Sent { body: mark(version), ..sent(evidence, start, start) }, &terms(&policy)).delivery
    };
    let unsent = with(&delivery(), fault(Phase::Connect, FaultKind::ConnectRefused), 1);
    assert_eq!(unsent.body, None);
    let maybe = with(&unsent, fault(Phase::Sending, FaultKind::Reset), 2);
    assert_eq!(maybe.body, mark(2));
    assert_eq!(with(&maybe, answered(500, &[]), 3).body, mark(2));
}

#[test]
fn ambiguity_goes_by_the_phase_and_by_gateways() {
    let policy = exact();
    let doubt = |evidence| settle_at_due(&delivery(), evidence, &terms(&policy)).delivery.progress.in_doubt;
    for phase in Phase::ALL {
        assert_eq!(doubt(fault(phase, FaultKind::Reset)), phase >= Phase::Sending, "{}", phase.name());
    }
    for (status, expected) in [(500, false), (502, true), (503, false), (504, true), (429, false), (200, false)] {
        assert_eq!(doubt(answered(status, &[])), expected, "{status}");
    }
    let broken_off = Evidence {
        phase: Phase::Receiving,
        fault: fault(Phase::Receiving, FaultKind::Reset).fault,
        ..answered(200, &[])
    };
    assert!(doubt(broken_off), "half an answer");
}

#[test]
fn doubt_is_retried_with_a_floor_or_held_for_a_person() {
    let policy = exact();
    let unanswered = || fault(Phase::Sent, FaultKind::TimeoutRead);
    let with = |in_doubt, evidence| settle_at_due(&delivery(), evidence, &Terms { in_doubt, ..terms(&policy) });
    let floor = InDoubt::Retry { floor: secs(60) };
    assert_eq!(with(floor, unanswered()).delivery.state.due(), Some(at(60)));
    assert_eq!(with(floor, answered(503, &[])).delivery.state.due(), Some(at(2)), "no doubt, no floor");
    let short = InDoubt::Retry { floor: secs(1) };
    assert_eq!(with(short, unanswered()).delivery.state.due(), Some(at(2)), "a floor, never a shortcut");
    assert_eq!(cause(&with(InDoubt::Hold, unanswered())), Some(ReviewCause::InDoubt));
    assert_eq!(cause(&with(InDoubt::Hold, answered(503, &[]))), None);
    assert_eq!(cause(&with(InDoubt::Hold, answered(404, &[]))), Some(ReviewCause::FinalError));
}

#[test]
fn a_business_no_is_final_and_a_duplicate_after_doubt_is_probably_ours() {
    let policy = exact();
    for kind in FailureKind::ALL {
        let first = settle(&delivery(), refused(*kind, ACCEPTED, at(1)), &terms(&policy));
        assert_eq!(first.delivery.state, State::Rejected { at: at(1), kind: *kind });
        let mut doubtful = delivery();
        doubtful.progress.in_doubt = true;
        let after = settle(&doubtful, refused(*kind, ACCEPTED, at(1)), &terms(&policy)).delivery.state;
        let expected = match kind {
            FailureKind::Duplicate => State::Delivered { at: at(1), probable: true, by_hand: false },
            FailureKind::Rejected | FailureKind::Capped => State::Rejected { at: at(1), kind: *kind },
        };
        assert_eq!(after, expected);
    }
}

#[test]
fn rules_decide_on_retrying_and_their_delay_is_a_floor() {
    let policy = exact();
    let ruled = |retryable, delay| {
        let sent = sent(answered(401, &[]), ACCEPTED, ACCEPTED);
        let verdict = Verdict { retryable, delay, ..sent.verdict.clone() };
        settle(&delivery(), Sent { verdict, ..sent }, &terms(&policy))
    };
    assert_eq!(cause(&ruled(None, None)), Some(ReviewCause::FinalError));
    assert_eq!(cause(&ruled(Some(false), Some(secs(9)))), Some(ReviewCause::FinalError));
    assert_eq!(ruled(Some(true), Some(secs(9))).delivery.state.due(), Some(at(9)));
    assert_eq!(ruled(Some(true), Some(secs(1))).delivery.state.due(), Some(at(2)), "never below the schedule");
}

#[test]
fn never_retry_on_wins_over_everything() {
    let list = |text: &str| Some(Conditions::new(vec![Condition::parse(text).unwrap()]));
    let policy = policy(&Layer { retry_on: list("5xx"), never_retry_on: list("503"), ..Layer::default() });
    let settled = |status, retryable| {
        let sent = sent(answered(status, &[]), ACCEPTED, ACCEPTED);
        let verdict = Verdict { retryable, ..sent.verdict.clone() };
        cause(&settle(&delivery(), Sent { verdict, ..sent }, &terms(&policy)))
    };
    assert_eq!(settled(500, None), None);
    assert_eq!(settled(503, None), Some(ReviewCause::FinalError));
    assert_eq!(settled(503, Some(true)), Some(ReviewCause::FinalError), "even over a rule");
    assert_eq!(settled(429, None), Some(ReviewCause::FinalError), "retry_on replaces the built-in list");
}

#[test]
fn hints_hold_or_postpone_but_never_hurry() {
    let policy = exact();
    let hinted = |status, seconds: &str| {
        settle_at_due(&delivery(), answered(status, &[("retry-after", seconds)]), &terms(&policy))
    };
    let limited = hinted(429, "60").delivery;
    let State::Held { due, until, why } = limited.state else { panic!("{:?}", limited.state) };
    assert_eq!((due, why, limited.progress.retries_used), (ACCEPTED, HoldReason::RetryAfter, 0));
    assert!(until >= at(60) && until <= at(62), "{until}");
    let postponed = hinted(503, "60").delivery;
    let State::Held { due, until, .. } = postponed.state else { panic!("{:?}", postponed.state) };
    assert_eq!((due, postponed.progress.retries_used), (at(2), 1));
    assert!(until >= at(60) && until <= at(62), "{until}");
    let later = hinted(503, "1").delivery;
    assert_eq!(later.state, State::Waiting { due: at(2) });
    let State::Held { until, .. } = hinted(429, "1").delivery.state else { panic!() };
    assert_eq!(until, at(2), "the schedule is the floor of a hold too");
    let ignored = hinted(500, "60").delivery;
    assert_eq!(ignored.state, State::Waiting { due: at(2) }, "500 carries no hint");
}

#[test]
fn the_retry_clock_stands_still_while_held_and_counts_otherwise() {
    let layer = Layer { jitter: Some(Jitter::None), total_timeout: Some(secs(10)), ..Layer::default() };
    let strict = policy(&Layer { count_holds: Some(true), ..layer.clone() });
    let lenient = policy(&layer);
    let outcome = |policy: &RetryPolicy| {
        let first = settle_at_due(&delivery(), answered(503, &[]), &terms(policy)).delivery;
        // Due at 2 s, kept back by its endpoint until 100 s.
        let second = settle(&first, sent(answered(503, &[]), at(100), at(100)), &terms(policy));
        assert_eq!(second.delivery.progress.held, secs(98));
        (cause(&second), second.delivery.state.due())
    };
    assert_eq!(outcome(&lenient), (None, Some(at(104))));
    assert_eq!(outcome(&strict), (Some(ReviewCause::Exhausted), None));
}

#[test]
fn a_pause_asked_for_after_the_total_timeout_is_not_waited_for() {
    let policy = policy(&Layer { total_timeout: Some(secs(10)), ..Layer::default() });
    let limited = || answered(429, &[("retry-after", "60")]);
    let in_time = settle(&delivery(), sent(limited(), ACCEPTED, at(10)), &terms(&policy));
    assert_eq!(cause(&in_time), None);
    let late = settle(&delivery(), sent(limited(), ACCEPTED, at(11)), &terms(&policy));
    assert_eq!(cause(&late), Some(ReviewCause::Exhausted));
}

#[test]
fn interruptions_use_retries_and_the_third_goes_to_a_person() {
    let policy = policy(&Layer { max_retries: Some(10), ..Layer::default() });
    let mut now = delivery();
    for expected in [None, None, Some(ReviewCause::Interrupted)] {
        let settlement = settle_at_due(&now, fault(Phase::Sent, FaultKind::Interrupted), &terms(&policy));
        assert_eq!(cause(&settlement), expected);
        now = settlement.delivery;
    }
    assert_eq!((now.progress.interruptions, now.progress.retries_used), (3, 2));
}

#[test]
fn a_decision_says_why_in_a_sentence() {
    let policy = exact();
    let because = |evidence| attempt(&settle_at_due(&delivery(), evidence, &terms(&policy))).because.to_string();
    assert_eq!(because(answered(503, &[])), "server_error is retryable; retry 1 of 3");
    assert_eq!(because(answered(404, &[])), "client_error is not retried (retry_on)");
    assert_eq!(because(answered(200, &[])), "the recipient accepted it");
    let off = RetryPolicy { enabled: false, ..policy.clone() };
    let settlement = settle_at_due(&delivery(), answered(503, &[]), &terms(&off));
    assert_eq!(&*attempt(&settlement).because, "retrying is off (enabled = false)");
    assert!(matches!(attempt(&settlement).decision, Decision::Review { cause: ReviewCause::Exhausted }));
}

fn waiting(due: Timestamp, retries_used: u32) -> Delivery {
    let progress = LegProgress {
        attempts: retries_used,
        retries_used,
        first_attempt_at: Some(ACCEPTED),
        ..LegProgress::default()
    };
    Delivery { progress, state: State::Waiting { due }, ..delivery() }
}

fn paused(until: u64) -> Option<Wait> {
    Some(Wait { until: Some(at(until)), why: HoldReason::RetryAfter })
}

#[test]
fn a_closed_endpoint_holds_until_it_opens_and_says_why() {
    let policy = policy(&Layer { max_lead_age: Some(secs(100)), ..Layer::default() });
    let hold = |until| admit(&delivery(), &policy, RETRY, Some(Wait { until, why: HoldReason::Closed }), at(10));
    assert_eq!(hold(Some(at(50))), Admission::Hold { until: at(50), why: HoldReason::Closed });
    assert_eq!(hold(None), Admission::Hold { until: at(100), why: HoldReason::Closed });
    assert!(matches!(hold(Some(at(10))), Admission::Send { .. }), "it opens just now");
}

#[test]
fn admission_sends_what_is_young_and_within_its_limits() {
    let policy = exact();
    let day = secs(86_400);
    assert_eq!(admit(&delivery(), &policy, RETRY, None, at(0)), Admission::Send { at_most: day });
    assert_eq!(admit(&waiting(at(2), 1), &policy, RETRY, None, at(2)), Admission::Send { at_most: day - secs(2) });
    assert_eq!(admit(&waiting(at(2), 1), &policy, RETRY, paused(2), at(2)), Admission::Send { at_most: day - secs(2) });
}

#[test]
fn admission_holds_with_the_endpoint_but_not_beyond_the_oldest_age() {
    let policy = policy(&Layer { max_lead_age: Some(secs(100)), ..Layer::default() });
    let hold = |until| admit(&delivery(), &policy, RETRY, paused(until), at(10));
    assert_eq!(hold(50), Admission::Hold { until: at(50), why: HoldReason::RetryAfter });
    assert_eq!(hold(500), Admission::Hold { until: at(100), why: HoldReason::RetryAfter });
    let review = admit(&delivery(), &policy, RETRY, paused(500), at(100));
    assert!(matches!(review, Admission::Review { cause: ReviewCause::Expired, .. }), "{review:?}");
}

#[test]
fn admission_follows_the_newest_settings() {
    let lowered = policy(&Layer { max_retries: Some(2), ..Layer::default() });
    let cause = |delivery: &Delivery, policy: &RetryPolicy| match admit(delivery, policy, RETRY, None, at(20)) {
        Admission::Review { cause, .. } => Some(cause),
        Admission::Send { .. } | Admission::LookUp { .. } | Admission::AssumeDelivered | Admission::Hold { .. } => None,
    };
    assert_eq!(cause(&waiting(at(14), 3), &lowered), Some(ReviewCause::LimitLowered));
    assert_eq!(cause(&waiting(at(14), 2), &lowered), None);
    let off = RetryPolicy { enabled: false, ..exact() };
    assert_eq!(cause(&waiting(at(14), 1), &off), Some(ReviewCause::LimitLowered));
    assert_eq!(cause(&delivery(), &off), None, "a first attempt is no retry");
    let shorter = policy(&Layer { total_timeout: Some(secs(10)), ..Layer::default() });
    assert_eq!(cause(&waiting(at(14), 2), &shorter), Some(ReviewCause::Exhausted));
    let mut held = waiting(at(14), 2);
    held.progress.held = secs(5);
    assert_eq!(cause(&held, &shorter), None, "the clock stood still for 5 s");
}
