//! Forgetting in each state, what stays of a history, and where a duplicate goes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod fixture;

use bytes::Bytes;
use fixture::{FENCE, at, delivery, endpoint};
use steadfast_retry::{
    Answer, Attempt, BodyMark, Change, CloseReason, Decision, Delivery, DuplicateFate, Entry, EventKind, Evidence,
    FailureKind, FaultKind, HoldReason, Outcome, Phase, ReviewCause, State, Verb, Verdict, duplicate, erase, verb,
    wiped,
};

const WORDS: &str = "ann@example.com";

fn states() -> Vec<(State, bool)> {
    let mut states = vec![
        (State::Waiting { due: at(50) }, true),
        (State::Held { due: at(5), until: at(60), why: HoldReason::Paused }, true),
        (State::InReview { since: at(1), cause: ReviewCause::Exhausted }, true),
        (State::Delivered { at: at(1), probable: true, by_hand: false }, false),
        (State::Rejected { at: at(1), kind: FailureKind::Rejected }, false),
    ];
    states.extend(CloseReason::ALL.iter().map(|why| (State::Closed { at: at(1), why: *why }, false)));
    states
}

fn used(state: State) -> Delivery {
    let body = Some(BodyMark { mapping_version: 1, digest: [3; 32] });
    Delivery { body, attempts: 6, version: 8, state, ..delivery() }
}

#[test]
fn what_is_open_is_closed_and_what_has_ended_stays_as_it_ended() {
    for (state, open) in states() {
        let before = used(state.clone());
        let settlement = erase(&before, "ann", FENCE, at(99));
        let erased = State::Closed { at: at(99), why: CloseReason::Erased };
        let expected = if open { erased } else { state.clone() };
        assert_eq!(settlement.delivery, Delivery { version: 9, body: None, state: expected, ..before.clone() });
        let Entry::Change(Change { verb: Some((word, by)), .. }) = &settlement.entry else { panic!("no change") };
        assert_eq!((&**word, &**by), ("erase", "ann"));
        let EventKind::DeliveryChanged { closed, .. } = settlement.event.kind else { panic!("no change") };
        assert_eq!(
            closed == Some(CloseReason::Erased),
            open || matches!(state, State::Closed { why: CloseReason::Erased, .. })
        );
        let by_verb = verb(&before, &Verb::Erase, "ann", FENCE, at(99));
        let delivered = matches!(state, State::Delivered { .. } | State::Closed { why: CloseReason::Erased, .. });
        assert_eq!(by_verb.ok(), (!delivered).then_some(settlement), "left for an attempt: delivered wins");
    }
}

fn attempt() -> Attempt {
    let said: Box<str> = WORDS.into();
    let answer = Answer {
        status: 422,
        headers: vec![("x-said".into(), said.clone())],
        body: Bytes::from_static(WORDS.as_bytes()),
        body_bytes: 15,
    };
    let mut evidence = Evidence::of_fault(Phase::Responded, FaultKind::Reset, WORDS);
    evidence.answer = Some(answer);
    Attempt {
        number: 3,
        leg: 1,
        revision: 2,
        retry: 1,
        endpoint: endpoint(),
        choice: None,
        due: at(1),
        started: at(2),
        ended: at(3),
        evidence,
        verdict: Verdict {
            outcome: Outcome::Failure(FailureKind::Rejected),
            status: Some(422),
            retryable: None,
            delay: None,
            reason: Some(said.clone()),
            price: Some("12.50".into()),
            reference: Some(said.clone()),
            decided_by: "failure_search_term".into(),
        },
        decision: Decision::Reject { kind: FailureKind::Rejected },
        because: said,
        config_version: 7,
    }
}

#[test]
fn no_word_of_a_recipient_or_a_person_stays_and_every_figure_does() {
    let change = Change {
        at: at(4),
        verb: Some(("dismiss".into(), "bob".into())),
        state: State::Waiting { due: at(5) },
        leg: None,
        because: WORDS.into(),
    };
    let after = wiped(Entry::Change(change.clone()));
    assert_eq!(after, Entry::Change(Change { because: "erased".into(), ..change }));
    let before = attempt();
    let Entry::Attempt(after) = wiped(Entry::Attempt(Box::new(before.clone()))) else { panic!("an attempt") };
    let answer = after.evidence.answer.as_ref().unwrap();
    assert!(!format!("{after:?}{:?}{:?}", answer.headers, answer.body).contains(WORDS));
    assert_eq!((answer.status, answer.body_bytes, after.verdict.price.as_deref()), (422, 15, Some("12.50")));
    // Twice is as once.
    assert_eq!(wiped(Entry::Attempt(after.clone())), Entry::Attempt(after.clone()));
    let Attempt { number, started, ended, decision, verdict, .. } = *after;
    assert_eq!((number, started, ended, decision), (before.number, before.started, before.ended, before.decision));
    assert_eq!((verdict.outcome, verdict.decided_by), (before.verdict.outcome, before.verdict.decided_by));
}

#[test]
fn a_duplicate_goes_where_the_guard_says_unless_it_has_ended() {
    let fates = [
        (DuplicateFate::Reject, State::Rejected { at: at(99), kind: FailureKind::Duplicate }),
        (DuplicateFate::Review, State::InReview { since: at(99), cause: ReviewCause::Duplicate }),
        (DuplicateFate::Skip, State::Closed { at: at(99), why: CloseReason::Superseded }),
    ];
    for (fate, expected) in fates {
        for (state, _) in states() {
            let ends = state.next_look().is_none();
            match duplicate(&used(state), fate, "it went before".into(), FENCE, at(99)) {
                None => assert!(ends),
                Some(settlement) => {
                    assert!(!ends);
                    assert_eq!(
                        (settlement.delivery.state, settlement.delivery.last_kind),
                        (expected.clone(), Some("duplicate"))
                    );
                }
            }
        }
    }
}
