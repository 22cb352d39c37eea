//! What follows the end of a leg: the next one with a fresh budget, a person, or nothing; and never another recipient while an
//! attempt is in doubt.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

mod fixture;

use fixture::{FENCE, answered, at, delivery, endpoint, fault, policy, secs, sent, settle_at_due, terms};
use steadfast_lead::RecipientName;
use steadfast_retry::policy::{Condition, Conditions, Layer};
use steadfast_retry::{
    BodyMark, CloseReason, Decision, Delivery, Endpoint, Entry, EventKind, Evidence, FaultKind, FollowUp, InDoubt,
    LegEnds, LegProgress, LookUpAnswer, NextLeg, Phase, ReviewCause, Route, Settlement, State, Terms, end_leg,
    leave_leg, settle, settle_look_up,
};

const BODY: BodyMark = BodyMark { mapping_version: 1, digest: [7; 32] };

fn next_to(recipient: &str) -> NextLeg {
    let recipient = RecipientName::new(recipient).unwrap();
    NextLeg { leg: 1, endpoint: Endpoint { recipient, origin: "https://standby.example:443".into() } }
}

fn ends(word: FollowUp) -> LegEnds {
    let final_errors = Conditions::new(["auth", "404"].map(|text| Condition::parse(text).unwrap()).to_vec());
    LegEnds { exhausted: word, final_error: word, final_errors, unrecognized: word, held_too_long: word }
}

fn because(settlement: &Settlement) -> &str {
    match &settlement.entry {
        Entry::Attempt(attempt) => &attempt.because,
        Entry::LookUp(look_up) => &look_up.because,
        Entry::Change(change) => &change.because,
    }
}

/// A delivery whose retries are used up, settled once more.
fn last_attempt(before: &Delivery, evidence: Evidence, route: Route<'_>) -> Settlement {
    let policy = policy(&Layer { max_retries: Some(1), ..Layer::default() });
    let progress =
        LegProgress { retries_used: 1, attempts: 1, first_attempt_at: Some(at(0)), ..before.progress.clone() };
    let before = Delivery { attempts: 1, progress, ..before.clone() };
    settle_at_due(&before, evidence, &Terms { route, ..terms(&policy) })
}

fn refused() -> Evidence {
    fault(Phase::Connect, FaultKind::ConnectRefused)
}

fn cut_off() -> Evidence {
    fault(Phase::Sent, FaultKind::Reset)
}

#[test]
fn an_exhausted_leg_is_followed_by_the_next_at_once_with_a_fresh_budget_and_attempts_counted_on() {
    let (ends, next) = (ends(FollowUp::NextLeg), next_to("bigbank"));
    let before = Delivery { body: Some(BODY), ..delivery() };
    let settlement = last_attempt(&before, refused(), Route { ends: Some(&ends), next: Some(&next) });
    let after = &settlement.delivery;
    assert_eq!(after.state, State::Waiting { due: at(0) });
    assert_eq!(after.progress, LegProgress { leg: 1, ..LegProgress::default() });
    assert_eq!((after.attempts, &after.endpoint, after.body), (2, &next.endpoint, Some(BODY)));
    assert_eq!(after.idempotency_key(), before.idempotency_key(), "the same recipient may know it by this");
    let Entry::Attempt(attempt) = &settlement.entry else { panic!("no attempt") };
    assert_eq!((attempt.leg, attempt.decision), (0, Decision::NextLeg { leg: 1, due: at(0) }));
    assert_eq!(attempt.endpoint, endpoint());
    assert!(
        attempt.because.ends_with("leg 1 begins, at bigbank at https://standby.example:443 (on_exhausted)"),
        "{attempt:?}"
    );
    let EventKind::AttemptSettled(settled) = &settlement.event.kind else { panic!("no attempt") };
    assert_eq!((settled.leg, settled.recipient.as_str(), settled.decision.name()), (0, "bigbank", "next_leg"));
}

#[test]
fn another_recipient_gets_a_key_of_its_own_and_bytes_of_its_own() {
    let (ends, next) = (ends(FollowUp::NextLeg), next_to("smallbank"));
    let before = Delivery { body: Some(BODY), ..delivery() };
    let settlement = last_attempt(&before, refused(), Route { ends: Some(&ends), next: Some(&next) });
    let after = settlement.delivery;
    assert_eq!((after.body, after.progress.revision), (None, 1));
    assert_ne!(after.idempotency_key(), before.idempotency_key());
    let EventKind::AttemptSettled(settled) = settlement.event.kind else { panic!("no attempt") };
    assert_eq!(settled.recipient.as_str(), "bigbank", "the attempt was theirs");
}

#[test]
fn in_doubt_nothing_goes_to_another_recipient_and_nothing_is_closed() {
    let next = next_to("smallbank");
    for word in [FollowUp::NextLeg, FollowUp::NextBuyer, FollowUp::Close] {
        let ends = ends(word);
        let route = Route { ends: Some(&ends), next: Some(&next) };
        let settlement = last_attempt(&delivery(), cut_off(), route);
        assert_eq!(
            settlement.delivery.state,
            State::InReview { since: at(0), cause: ReviewCause::Exhausted },
            "{word}"
        );
        assert!(because(&settlement).contains("an attempt is in doubt"), "{}", because(&settlement));
        assert_eq!(settlement.delivery.endpoint, endpoint());
        // A doubt from before weighs as much as one of the last attempt.
        let doubted = Delivery { progress: LegProgress { in_doubt: true, ..LegProgress::default() }, ..delivery() };
        let settlement = last_attempt(&doubted, refused(), route);
        assert_eq!(settlement.delivery.state.name().name(), "in_review", "{word}");
        let held = end_leg(&doubted, ReviewCause::HeldTooLong, "held".into(), route, FENCE, at(9)).unwrap();
        assert_eq!(held.delivery.state, State::InReview { since: at(9), cause: ReviewCause::HeldTooLong });
        assert_eq!(leave_leg(&doubted, "closed", &next, FENCE, at(9)), None);
    }
}

#[test]
fn in_doubt_the_same_recipient_is_asked_under_the_same_key_and_the_doubt_goes_along() {
    let (ends, next) = (ends(FollowUp::NextLeg), next_to("bigbank"));
    let before = Delivery { body: Some(BODY), ..delivery() };
    let settlement = last_attempt(&before, cut_off(), Route { ends: Some(&ends), next: Some(&next) });
    let after = settlement.delivery;
    assert_eq!(after.progress, LegProgress { leg: 1, in_doubt: true, ..LegProgress::default() });
    assert_eq!((after.body, after.idempotency_key()), (Some(BODY), before.idempotency_key()));
    // What it answers then is read as after any doubt.
    let due = after.state.next_look().unwrap();
    let policy = policy(&Layer::default());
    let duplicate = fixture::refused(steadfast_retry::FailureKind::Duplicate, due, due);
    let settled = settle(&after, duplicate, &terms(&policy));
    assert_eq!(settled.delivery.state, State::Delivered { at: due, probable: true, by_hand: false });
}

#[test]
fn each_end_is_followed_by_its_own_word() {
    let next = next_to("bigbank");
    let policy = policy(&Layer::default());
    let quiet = LegEnds::default();
    for (evidence, cause, set) in [
        (
            answered(401, &[]),
            ReviewCause::FinalError,
            LegEnds { final_error: FollowUp::Close, ..ends(FollowUp::Review) },
        ),
        (
            answered(404, &[]),
            ReviewCause::FinalError,
            LegEnds { final_error: FollowUp::Close, ..ends(FollowUp::Review) },
        ),
    ] {
        let route = Route { ends: Some(&set), next: Some(&next) };
        let closed = settle_at_due(&delivery(), evidence.clone(), &Terms { route, ..terms(&policy) });
        assert_eq!(closed.delivery.state, State::Closed { at: at(0), why: CloseReason::GivenUp });
        assert!(because(&closed).ends_with("it ends here (on_final_error = \"close\")"), "{}", because(&closed));
        let route = Route { ends: Some(&quiet), next: Some(&next) };
        let quiet = settle_at_due(&delivery(), evidence, &Terms { route, ..terms(&policy) });
        assert_eq!(quiet.delivery.state, State::InReview { since: at(0), cause });
    }
    // What says something of the lead is not cured by another endpoint.
    let on = ends(FollowUp::NextLeg);
    let route = Route { ends: Some(&on), next: Some(&next) };
    let bad_data = settle_at_due(&delivery(), answered(422, &[]), &Terms { route, ..terms(&policy) });
    assert_eq!(bad_data.delivery.state, State::InReview { since: at(0), cause: ReviewCause::FinalError });
    // On the last leg there is no next.
    let last = Route { ends: Some(&on), next: None };
    let last = last_attempt(&delivery(), refused(), last);
    assert_eq!(last.delivery.state, State::InReview { since: at(0), cause: ReviewCause::Exhausted });
}

#[test]
fn a_business_no_a_retry_and_a_success_never_leave_the_leg() {
    let (ends, next) = (ends(FollowUp::NextLeg), next_to("bigbank"));
    let policy = policy(&Layer::default());
    let terms = Terms { route: Route { ends: Some(&ends), next: Some(&next) }, ..terms(&policy) };
    for sent in [
        fixture::refused(steadfast_retry::FailureKind::Rejected, at(0), at(0)),
        sent(answered(200, &[]), at(0), at(0)),
        sent(answered(503, &[]), at(0), at(0)),
    ] {
        let settlement = settle(&delivery(), sent, &terms);
        assert_eq!((settlement.delivery.progress.leg, settlement.delivery.endpoint), (0, endpoint()));
    }
}

#[test]
fn a_leg_that_was_held_too_long_or_left_is_told_in_the_history_and_the_journal() {
    let (ends, next) = (ends(FollowUp::NextLeg), next_to("smallbank"));
    let route = Route { ends: Some(&ends), next: Some(&next) };
    let held = end_leg(&delivery(), ReviewCause::HeldTooLong, "held for 5m".into(), route, FENCE, at(300)).unwrap();
    let left = leave_leg(&delivery(), "its breaker is open", &next, FENCE, at(300)).unwrap();
    for settlement in [held, left] {
        let Entry::Change(change) = &settlement.entry else { panic!("no change") };
        assert_eq!((change.leg, &change.state), (Some(1), &State::Waiting { due: at(300) }));
        let EventKind::DeliveryChanged { leg, recipient, .. } = &settlement.event.kind else { panic!("no change") };
        assert_eq!((*leg, recipient.as_str()), (Some(1), "bigbank"));
        assert_eq!(settlement.delivery.endpoint, next.endpoint);
        assert_eq!(settlement.delivery.progress, LegProgress { leg: 1, revision: 1, ..LegProgress::default() });
        assert_eq!((settlement.delivery.version, settlement.delivery.attempts), (2, 0));
    }
    let done = Delivery { state: State::InReview { since: at(1), cause: ReviewCause::Expired }, ..delivery() };
    assert_eq!(leave_leg(&done, "x", &next, FENCE, at(300)), None);
    assert_eq!(end_leg(&done, ReviewCause::HeldTooLong, "x".into(), route, FENCE, at(300)), None);
}

#[test]
fn what_a_look_up_cleared_may_go_to_another_recipient() {
    let (ends, next) = (ends(FollowUp::NextLeg), next_to("smallbank"));
    let policy = policy(&Layer { max_retries: Some(1), ..Layer::default() });
    let route = Route { ends: Some(&ends), next: Some(&next) };
    let terms = Terms { route, in_doubt: InDoubt::Verify { floor: secs(0) }, ..terms(&policy) };
    let progress = LegProgress { in_doubt: true, retries_used: 1, attempts: 2, ..LegProgress::default() };
    let before = Delivery { progress, attempts: 2, ..delivery() };
    let looked = |status| {
        let one = fixture::refused(steadfast_retry::FailureKind::Rejected, at(5), at(5));
        let verdict = if status == 404 { one.verdict } else { sent(answered(status, &[]), at(5), at(5)).verdict };
        steadfast_retry::LookedUp {
            started: at(5),
            ended: at(5),
            endpoint: endpoint(),
            evidence: answered(status, &[]),
            verdict,
        }
    };
    let gone_on = settle_look_up(&before, looked(404), &terms);
    assert_eq!(gone_on.delivery.progress, LegProgress { leg: 1, revision: 1, ..LegProgress::default() });
    let EventKind::LookUpSettled(settled) = &gone_on.event.kind else { panic!("no look-up") };
    assert_eq!((settled.answer, settled.number, settled.recipient.as_str()), (LookUpAnswer::NotFound, 1, "bigbank"));
    let unknown = settle_look_up(&before, looked(503), &terms);
    assert_eq!(unknown.delivery.progress.leg, 0, "asked again: {}", because(&unknown));
}
