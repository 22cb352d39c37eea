//! Changes without an attempt: each verb in each state, referrals and holds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod fixture;

use fixture::{ACCEPTED, FENCE, at, delivery, endpoint, secs};
use steadfast_retry::{
    BodyMark, Change, CloseReason, Delivery, Endpoint, Entry, EventKind, FailureKind, HoldReason, LegProgress,
    ReviewCause, Settlement, State, StateName, Verb, doubt, hold, refer, replan, verb,
};

/// Every state a delivery can be stored in, and every way of being closed.
fn states() -> Vec<State> {
    let mut states = vec![
        State::Waiting { due: at(50) },
        State::Held { due: at(5), until: at(60), why: HoldReason::Paused },
        State::Delivered { at: at(1), probable: false, by_hand: false },
        State::Delivered { at: at(1), probable: true, by_hand: false },
        State::Rejected { at: at(1), kind: FailureKind::Rejected },
        State::InReview { since: at(1), cause: ReviewCause::Exhausted },
    ];
    states.extend(CloseReason::ALL.iter().map(|why| State::Closed { at: at(1), why: *why }));
    states
}

fn verbs() -> [Verb; 3] {
    let reason = "they called";
    [Verb::Retry, Verb::MarkDelivered { reason: reason.into() }, Verb::Dismiss { reason: reason.into() }]
}

/// A delivery that has used something of everything.
fn used(state: State) -> Delivery {
    let progress = LegProgress {
        leg: 1,
        revision: 2,
        attempts: 4,
        retries_used: 3,
        first_attempt_at: Some(ACCEPTED),
        held: secs(9),
        interruptions: 1,
        in_doubt: true,
        cleared: false,
        look_ups: 2,
    };
    let body = Some(BodyMark { mapping_version: 1, digest: [3; 32] });
    Delivery { progress, body, attempts: 6, version: 8, state, ..delivery() }
}

fn change(settlement: &Settlement) -> &Change {
    match &settlement.entry {
        Entry::Change(change) => change,
        Entry::Attempt(_) | Entry::LookUp(_) => panic!("not a change: {:?}", settlement.entry),
    }
}

fn allowed(state: &State, verb: &Verb) -> bool {
    match state {
        State::Waiting { .. } | State::Held { .. } | State::Rejected { .. } | State::InReview { .. } => true,
        State::Delivered { probable, .. } => *probable && matches!(verb, Verb::MarkDelivered { .. }),
        State::Closed { why: CloseReason::Erased, .. } => false,
        State::Closed { why: CloseReason::Dismissed, .. } => !matches!(verb, Verb::Dismiss { .. }),
        State::Closed { why: CloseReason::Expired | CloseReason::Superseded | CloseReason::Test, .. } => true,
        State::Closed { why: CloseReason::Sold | CloseReason::NotReached, .. } => true,
        State::Closed { why: CloseReason::Condition | CloseReason::ClosedHours, .. } => true,
        State::Closed {
            why: CloseReason::Suppressed | CloseReason::Capped | CloseReason::Shadow | CloseReason::GivenUp,
            ..
        } => true,
        State::Closed { why: CloseReason::Returned, .. } => *verb == Verb::Erase,
    }
}

#[test]
fn each_verb_in_each_state_is_done_or_refused_with_the_reason() {
    for state in states() {
        for one in verbs() {
            let before = used(state.clone());
            match verb(&before, &one, "ann", FENCE, at(99)) {
                Ok(settlement) => {
                    assert!(allowed(&state, &one), "{} in {state:?}", one.name());
                    check(&before, &one, &settlement);
                }
                Err(refused) => {
                    assert!(!allowed(&state, &one), "{refused}");
                    let said = refused.to_string();
                    assert!(said.starts_with(one.name()) && said.contains(state.name().name()), "{said}");
                }
            }
        }
    }
}

fn check(before: &Delivery, one: &Verb, settlement: &Settlement) {
    let after = &settlement.delivery;
    let expected = match one {
        Verb::Retry | Verb::Reroute(_) => State::Waiting { due: at(99) },
        Verb::MarkDelivered { .. } => {
            // What was concluded after doubt is confirmed, and was delivered when it was.
            let when = if let State::Delivered { at, .. } = before.state { at } else { at(99) };
            State::Delivered { at: when, probable: false, by_hand: true }
        }
        Verb::Dismiss { .. } => State::Closed { at: at(99), why: CloseReason::Dismissed },
        Verb::Erase => State::Closed { at: at(99), why: CloseReason::Erased },
    };
    assert_eq!(after.state, expected);
    assert_eq!((after.version, after.attempts, after.body), (before.version + 1, before.attempts, before.body));
    let progress = if *one == Verb::Retry {
        LegProgress { leg: 1, revision: 2, in_doubt: true, cleared: true, ..LegProgress::default() }
    } else {
        before.progress.clone()
    };
    assert_eq!(after.progress, progress, "a retry starts with a fresh budget and keeps leg, revision and doubt");
    let change = change(settlement);
    assert_eq!((change.at, &change.state), (at(99), &after.state));
    let confirms = matches!(before.state, State::Delivered { .. });
    assert_eq!(change.verb, Some((if confirms { "confirm" } else { one.name() }.into(), "ann".into())));
    assert_eq!((settlement.fence, settlement.pause.is_none(), settlement.event.at), (FENCE, true, at(99)));
    let EventKind::DeliveryChanged { delivery, state, verb, .. } = &settlement.event.kind else { panic!() };
    assert_eq!((*delivery, *state, verb), (before.id, after.state.name(), &change.verb));
}

#[test]
fn a_persons_reason_is_kept() {
    let before = used(State::InReview { since: at(1), cause: ReviewCause::InDoubt });
    for one in verbs() {
        let settlement = verb(&before, &one, "ann", FENCE, at(99)).unwrap();
        let because = &*change(&settlement).because;
        assert_eq!(because == "they called", one != Verb::Retry, "{because}");
    }
}

#[test]
fn a_referral_says_why() {
    let before = used(State::Waiting { due: at(50) });
    let settlement = refer(&before, ReviewCause::StepGone, "the step is gone".into(), FENCE, at(99)).unwrap();
    assert_eq!(settlement.delivery.state, State::InReview { since: at(99), cause: ReviewCause::StepGone });
    assert_eq!((settlement.delivery.version, &settlement.delivery.progress), (9, &before.progress));
    let change = change(&settlement);
    assert_eq!((&*change.because, &change.verb), ("the step is gone", &None));
    let EventKind::DeliveryChanged { state, cause, held, closed, .. } = settlement.event.kind else { panic!() };
    assert_eq!((state, cause, held, closed), (StateName::InReview, Some(ReviewCause::StepGone), None, None));
}

#[test]
fn a_hold_remembers_when_the_delivery_would_have_gone() {
    let held = |state| hold(&used(state), at(200), HoldReason::Maintenance, FENCE, at(99)).unwrap();
    let first = held(State::Waiting { due: at(50) });
    let expected = State::Held { due: at(50), until: at(200), why: HoldReason::Maintenance };
    assert_eq!(first.delivery.state, expected);
    let longer = held(State::Held { due: at(5), until: at(60), why: HoldReason::Paused });
    assert_eq!(longer.delivery.state.due(), Some(at(5)), "held on, the time held still counts from when it was due");
    assert_eq!(longer.delivery.state.next_look(), Some(at(200)));
    let EventKind::DeliveryChanged { held, .. } = first.event.kind else { panic!() };
    assert_eq!(held, Some(HoldReason::Maintenance));
}

#[test]
fn what_has_ended_is_neither_referred_nor_held_nor_moved() {
    let ended = [
        State::Delivered { at: at(1), probable: false, by_hand: false },
        State::Rejected { at: at(1), kind: FailureKind::Rejected },
        State::InReview { since: at(1), cause: ReviewCause::Exhausted },
        State::Closed { at: at(1), why: CloseReason::Erased },
    ];
    for before in ended.map(used) {
        assert_eq!(refer(&before, ReviewCause::StepGone, "gone".into(), FENCE, at(99)), None);
        assert_eq!(hold(&before, at(200), HoldReason::Maintenance, FENCE, at(99)), None);
        assert_eq!(replan(&before, &endpoint(), FENCE, at(99)), None);
        assert_eq!(doubt(&before, FENCE, at(99)), None);
    }
}

#[test]
fn a_delivery_moves_with_its_step() {
    let before = used(State::Waiting { due: at(50) });
    let elsewhere = Endpoint { origin: "https://other.example:443".into(), ..endpoint() };
    let moved = replan(&before, &elsewhere, FENCE, at(40)).unwrap();
    assert_eq!(&*change(&moved).because, "its step sends to bigbank at https://other.example:443 now");
    assert_eq!(moved.delivery, Delivery { version: before.version + 1, endpoint: elsewhere, ..before });
}

#[test]
fn the_idempotency_key_is_the_deliverys_id_and_its_revision() {
    let mut delivery = delivery();
    let key = delivery.idempotency_key();
    assert_eq!(key, delivery.id.to_string());
    delivery.attempts = 3;
    assert_eq!(delivery.idempotency_key(), key, "the same on every attempt");
    delivery.progress.revision = 2;
    assert_eq!(delivery.idempotency_key(), format!("{key}-r2"));
}
