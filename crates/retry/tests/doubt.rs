//! Doubt, mode by mode: what follows an attempt that was sent without a known answer, and what a look-up changes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod fixture;

use fixture::{answered, at, delivery, endpoint, fault, policy, secs, settle_at_due, terms};
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::breaker::Wait;
use steadfast_retry::policy::{Jitter, Layer, RetryPolicy};
use steadfast_retry::reading::ResponseSettings;
use steadfast_retry::{
    Admission, Delivery, Entry, ErrorKind, EventKind, Evidence, FailureKind, FaultKind, HoldReason, InDoubt,
    LOOK_UPS_MAX, LookUp, LookUpAnswer, LookedUp, Outcome, Phase, Reading, ReviewCause, Settlement, State, Terms, Verb,
    Verdict, admit, assume_delivered, classify_status, not_found_rule, settle_look_up, verb,
};

const VERIFY: InDoubt = InDoubt::Verify { floor: Duration::ZERO };

fn exact(layer: Layer) -> RetryPolicy {
    policy(&Layer { jitter: Some(Jitter::None), ..layer })
}

fn verifying(policy: &RetryPolicy) -> Terms<'_> {
    Terms { in_doubt: VERIFY, ..terms(policy) }
}

fn reset() -> Evidence {
    fault(Phase::Sent, FaultKind::Reset)
}

/// A delivery whose only attempt is in doubt.
fn doubtful(terms: &Terms<'_>) -> Delivery {
    settle_at_due(&delivery(), reset(), terms).delivery
}

fn look(before: &Delivery, evidence: Evidence, terms: &Terms<'_>) -> Settlement {
    let verdict = read(&evidence);
    look_and_read(before, evidence, verdict, terms)
}

/// As a look-up without a table of its own is read.
fn read(evidence: &Evidence) -> Verdict {
    Reading::build(&ResponseSettings::default(), &[not_found_rule()]).unwrap().read(evidence)
}

fn look_and_read(before: &Delivery, evidence: Evidence, verdict: Verdict, terms: &Terms<'_>) -> Settlement {
    let started = before.state.next_look().unwrap();
    let looked = LookedUp { started, ended: started.after(secs(1)), endpoint: endpoint(), evidence, verdict };
    settle_look_up(before, looked, terms)
}

fn entry(settlement: &Settlement) -> &LookUp {
    let Entry::LookUp(look_up) = &settlement.entry else { panic!("not a look-up: {:?}", settlement.entry) };
    look_up
}

fn due(delivery: &Delivery) -> Option<Timestamp> {
    delivery.state.next_look()
}

#[test]
fn a_look_up_takes_the_place_of_the_retry_and_waits_as_long() {
    let policy = exact(Layer::default());
    let delivery = doubtful(&verifying(&policy));
    assert_eq!((due(&delivery), delivery.progress.retries_used), (Some(at(2)), 0));
    assert!(delivery.progress.is_unresolved());
    let floor = Terms { in_doubt: InDoubt::Verify { floor: secs(60) }, ..verifying(&policy) };
    assert_eq!(due(&doubtful(&floor)), Some(at(60)), "a slow recipient may still be inserting");
    assert_eq!(admit(&delivery, &policy, VERIFY, None, at(2)), Admission::LookUp { at_most: secs(86_398) });
    let held =
        admit(&delivery, &policy, VERIFY, Some(Wait { until: Some(at(50)), why: HoldReason::RetryAfter }), at(2));
    assert!(matches!(held, Admission::Hold { .. }), "a look-up respects the endpoint's pause");
}

#[test]
fn what_was_certainly_not_sent_needs_no_look_up() {
    let policy = exact(Layer::default());
    let safe = settle_at_due(&delivery(), fault(Phase::Connect, FaultKind::ConnectRefused), &verifying(&policy));
    assert_eq!(safe.delivery.progress.retries_used, 1);
    assert!(matches!(admit(&safe.delivery, &policy, VERIFY, None, at(2)), Admission::Send { .. }));
}

#[test]
fn found_is_delivered_and_sure_only_with_the_recipients_reference() {
    let policy = exact(Layer::default());
    let (terms, before) = (verifying(&policy), doubtful(&verifying(&policy)));
    let settlement = look(&before, answered(200, &[]), &terms);
    assert_eq!(settlement.delivery.state, State::Delivered { at: at(3), probable: true, by_hand: false });
    let verdict = classify_status(&answered(200, &[]));
    let verdict = Verdict { reference: Some("B-7".into()), ..verdict };
    let settlement = look_and_read(&before, answered(200, &[]), verdict, &terms);
    assert_eq!(settlement.delivery.state, State::Delivered { at: at(3), probable: false, by_hand: false });
    let EventKind::LookUpSettled(event) = settlement.event.kind else { panic!() };
    assert_eq!((event.number, event.answer, event.took), (1, LookUpAnswer::Found, secs(1)));
}

#[test]
fn not_found_sends_again_at_once_as_a_retry() {
    let policy = exact(Layer::default());
    let (terms, before) = (verifying(&policy), doubtful(&verifying(&policy)));
    let settlement = look(&before, answered(404, &[]), &terms);
    let after = &settlement.delivery;
    assert_eq!(
        (after.state.clone(), after.progress.retries_used, after.attempts),
        (State::Waiting { due: at(3) }, 1, 1)
    );
    assert!(matches!(admit(after, &policy, VERIFY, None, at(3)), Admission::Send { .. }));
    assert!(after.progress.in_doubt, "a duplicate answer is understood all the same");
    assert_eq!(&*entry(&settlement).because, "the recipient does not have it; retry 1 of 3");
    // The retry is in doubt again: asked again, counted anew.
    let again = settle_at_due(after, reset(), &terms).delivery;
    assert!(again.progress.is_unresolved());
    assert_eq!((due(&again), again.progress.look_ups), (Some(at(7)), 0));
    // A clear error after it needs no look-up: nothing is in doubt that was not cleared.
    let clear = settle_at_due(after, answered(503, &[]), &terms).delivery;
    assert!(matches!(admit(&clear, &policy, VERIFY, None, due(&clear).unwrap()), Admission::Send { .. }));
}

#[test]
fn answers_are_read_as_found_not_found_or_no_answer() {
    let meant = |outcome| {
        let verdict = classify_status(&answered(200, &[]));
        LookUpAnswer::of(&Verdict { outcome, ..verdict })
    };
    assert_eq!(meant(Outcome::Failure(FailureKind::Rejected)), LookUpAnswer::NotFound);
    assert_eq!(meant(Outcome::Failure(FailureKind::Duplicate)), LookUpAnswer::Found, "it has it already");
    assert_eq!(meant(Outcome::Failure(FailureKind::Capped)), LookUpAnswer::Unknown, "no more answers today");
    assert_eq!(meant(Outcome::Error(ErrorKind::Unrecognized)), LookUpAnswer::Unknown, "an outage page is no word");
    assert_eq!(meant(Outcome::Error(ErrorKind::ClientError)), LookUpAnswer::Unknown);
    for (status, answer) in [
        (200, LookUpAnswer::Found),
        (204, LookUpAnswer::Found),
        (404, LookUpAnswer::NotFound),
        (410, LookUpAnswer::NotFound),
        (400, LookUpAnswer::Unknown),
        (401, LookUpAnswer::Unknown),
        (302, LookUpAnswer::Unknown),
        (429, LookUpAnswer::Unknown),
        (503, LookUpAnswer::Unknown),
    ] {
        assert_eq!(LookUpAnswer::of(&read(&answered(status, &[]))), answer, "{status}");
    }
    assert_eq!(LookUpAnswer::of(&read(&reset())), LookUpAnswer::Unknown);
    assert_eq!(&*read(&answered(404, &[])).decided_by, "status 404, 410");
}

#[test]
fn a_rule_can_say_when_to_ask_again_or_that_it_is_no_use() {
    let policy = exact(Layer::default());
    let terms = verifying(&policy);
    let verdict = classify_status(&answered(404, &[]));
    let later = Verdict { delay: Some(secs(600)), ..verdict.clone() };
    let settlement = look_and_read(&doubtful(&terms), answered(404, &[]), later, &terms);
    assert_eq!(due(&settlement.delivery), Some(at(603)));
    let never = Verdict { retryable: Some(false), decided_by: "no look-ups here".into(), ..verdict };
    let settlement = look_and_read(&doubtful(&terms), answered(404, &[]), never, &terms);
    assert!(matches!(settlement.delivery.state, State::InReview { cause: ReviewCause::InDoubt, .. }));
    let because = "no look-ups here says that asking again is no use, and sending again may sell twice";
    assert_eq!(&*entry(&settlement).because, because);
}

#[test]
fn no_answer_is_asked_again_on_the_schedule_without_using_retries_until_a_person_decides() {
    let policy = exact(Layer::default());
    let terms = verifying(&policy);
    let mut now = doubtful(&terms);
    let mut waits = Vec::new();
    loop {
        let settlement = look(&now, answered(503, &[]), &terms);
        assert_eq!((settlement.delivery.progress.retries_used, settlement.delivery.attempts), (0, 1));
        now = settlement.delivery.clone();
        match due(&now) {
            Some(due) => waits.push(due.since(entry(&settlement).ended).as_secs()),
            None => {
                assert!(entry(&settlement).because.contains("5 look-ups brought no answer"));
                break;
            }
        }
    }
    assert_eq!(waits, [4, 8, 16, 32]);
    assert_eq!(now.progress.look_ups, LOOK_UPS_MAX);
    assert!(matches!(now.state, State::InReview { cause: ReviewCause::InDoubt, .. }));
}

#[test]
fn a_look_up_comes_back_when_the_recipient_asked_for_it() {
    let policy = exact(Layer::default());
    let terms = verifying(&policy);
    let settlement = look(&doubtful(&terms), answered(429, &[("retry-after", "90")]), &terms);
    assert_eq!(due(&settlement.delivery), Some(at(93)));
}

#[test]
fn not_found_and_no_retry_left_asks_a_person_as_exhausted() {
    let policy = exact(Layer { max_retries: Some(1), ..Layer::default() });
    let terms = verifying(&policy);
    let first = settle_at_due(&delivery(), answered(503, &[]), &terms).delivery;
    let doubtful = settle_at_due(&first, reset(), &terms).delivery;
    assert!(
        matches!(admit(&doubtful, &policy, VERIFY, None, at(99)), Admission::LookUp { .. }),
        "asking uses no retry"
    );
    let settlement = look(&doubtful, answered(404, &[]), &terms);
    assert!(matches!(settlement.delivery.state, State::InReview { cause: ReviewCause::Exhausted, .. }));
    let found = look(&doubtful, answered(200, &[]), &terms);
    assert!(matches!(found.delivery.state, State::Delivered { .. }));
}

#[test]
fn no_look_up_and_no_retry_after_one_is_planned_past_the_clocks() {
    let policy = exact(Layer { max_lead_age: Some(secs(10)), ..Layer::default() });
    let terms = verifying(&policy);
    let slow = Terms { in_doubt: InDoubt::Verify { floor: secs(10) }, ..terms };
    assert!(matches!(doubtful(&slow).state, State::InReview { cause: ReviewCause::Expired, .. }));
    let mut now = doubtful(&terms);
    now = look(&now, answered(503, &[]), &terms).delivery;
    assert_eq!(due(&now), Some(at(7)));
    now = look(&now, answered(503, &[]), &terms).delivery;
    assert!(matches!(now.state, State::InReview { cause: ReviewCause::Expired, .. }), "8 s more is too late");
    let short = exact(Layer { total_timeout: Some(secs(2)), ..Layer::default() });
    let terms = verifying(&short);
    let settlement = look(&doubtful(&terms), answered(404, &[]), &terms);
    assert!(matches!(settlement.delivery.state, State::InReview { cause: ReviewCause::Exhausted, .. }));
    assert!(entry(&settlement).because.contains("total_timeout = 2s is over"));
}

#[test]
fn assumed_delivered_is_probable_and_only_for_what_may_have_been_sent() {
    let policy = exact(Layer::default());
    let terms = Terms { in_doubt: InDoubt::AssumeDelivered, ..terms(&policy) };
    let assumed = settle_at_due(&delivery(), reset(), &terms).delivery;
    assert_eq!(assumed.state, State::Delivered { at: at(0), probable: true, by_hand: false });
    let safe = settle_at_due(&delivery(), fault(Phase::Secure, FaultKind::Tls), &terms).delivery;
    assert_eq!(safe.state, State::Waiting { due: at(2) });
    let clear = settle_at_due(&delivery(), answered(503, &[]), &terms).delivery;
    assert_eq!(clear.state, State::Waiting { due: at(2) });
}

#[test]
fn what_waits_in_doubt_follows_the_mode_in_force_when_it_fires() {
    let policy = exact(Layer::default());
    let waiting = doubtful(&terms(&policy));
    assert_eq!(waiting.progress.retries_used, 1);
    let admitted = |in_doubt| admit(&waiting, &policy, in_doubt, None, at(2));
    assert!(matches!(admitted(InDoubt::Retry { floor: secs(9) }), Admission::Send { .. }));
    assert!(matches!(admitted(VERIFY), Admission::LookUp { .. }));
    assert!(matches!(admitted(InDoubt::Hold), Admission::Review { cause: ReviewCause::InDoubt, .. }));
    assert_eq!(admitted(InDoubt::AssumeDelivered), Admission::AssumeDelivered);
    let assumed = assume_delivered(&waiting, fixture::FENCE, at(2)).unwrap().delivery;
    assert_eq!(assumed.state, State::Delivered { at: at(2), probable: true, by_hand: false });
    assert_eq!(assume_delivered(&assumed, fixture::FENCE, at(3)), None);
}

#[test]
fn a_persons_word_clears_sending_again_in_every_mode() {
    let policy = exact(Layer::default());
    let held = settle_at_due(&delivery(), reset(), &Terms { in_doubt: InDoubt::Hold, ..terms(&policy) }).delivery;
    let again = verb(&held, &Verb::Retry, "ann", fixture::FENCE, at(9)).unwrap().delivery;
    assert!(again.progress.in_doubt && again.progress.cleared);
    for in_doubt in [InDoubt::Hold, VERIFY, InDoubt::AssumeDelivered] {
        assert!(matches!(admit(&again, &policy, in_doubt, None, at(9)), Admission::Send { .. }), "{in_doubt:?}");
    }
}

#[test]
fn only_simply_sending_again_needs_no_durable_intent() {
    let modes = [InDoubt::Retry { floor: secs(60) }, VERIFY, InDoubt::Hold, InDoubt::AssumeDelivered];
    assert_eq!(modes.map(InDoubt::wants_intent), [false, true, true, true]);
}
