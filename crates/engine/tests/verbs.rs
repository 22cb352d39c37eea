//! The desk's verbs, on what waits, on what has ended and on what is under way.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Mood, Stage, answered, at, delivered, dismiss, idle, mark_delivered, reset, secs, settings};
use steadfast_engine::{Acted, EngineLimits, RefusedAction};
use steadfast_lead::DeliveryId;
use steadfast_retry::{CloseReason, ReviewCause, State, StateName, Verb};
use steadfast_store::StoreError;

#[tokio::test(start_paused = true)]
async fn delivered_wins_over_a_verb_left_meanwhile() {
    for verb in [Verb::Retry, dismiss(), mark_delivered()] {
        let stage = Stage::new().await;
        let id = stage.lead().await;
        assert_eq!(stage.act(id, verb).await, Ok(Acted::Left));
        assert_eq!(stage.state(id).await, State::Waiting { due: at(0) }, "nothing happens while it is under way");
        stage.door.answer(answered(200));
        idle().await;
        assert_eq!(stage.state(id).await, State::Delivered { at: at(0), probable: false, by_hand: false });
        assert_eq!((stage.changes(id).await.len(), stage.door.sends()), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn otherwise_the_verb_applies_when_the_attempt_settles() {
    let stage = Stage::new().await;
    let id = stage.lead().await;
    assert_eq!(stage.act(id, dismiss()).await, Ok(Acted::Left));
    stage.door.answer(answered(503));
    idle().await;
    assert_eq!(stage.state(id).await, State::Closed { at: at(0), why: CloseReason::Dismissed });
    stage.pass(secs(60)).await;
    assert_eq!((stage.door.sends(), stage.engine.open(), stage.engine.in_flight()), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn several_verbs_apply_in_their_order_and_what_does_not_fit_is_passed_over() {
    let stage = Stage::new().await;
    let id = stage.lead().await;
    for verb in [dismiss(), dismiss(), Verb::Retry] {
        assert_eq!(stage.act(id, verb).await, Ok(Acted::Left));
    }
    stage.door.answer(answered(503));
    idle().await;
    let verbs: Vec<String> = stage.changes(id).await.into_iter().map(|change| change.verb.unwrap().0.into()).collect();
    assert_eq!(verbs, ["dismiss", "retry"], "dismissed once, then sent again");
    assert_eq!(stage.door.sends(), 2, "at once");
    assert_eq!(stage.engine.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn more_verbs_than_are_kept_are_refused() {
    let stage = Stage::new().await;
    let id = stage.lead().await;
    for _ in 0..8 {
        assert_eq!(stage.act(id, Verb::Retry).await, Ok(Acted::Left));
    }
    assert_eq!(stage.act(id, Verb::Retry).await, Err(RefusedAction::Contended(id)));
}

#[tokio::test(start_paused = true)]
async fn a_verb_left_while_another_is_being_stored_is_applied_too() {
    let stage = Stage::new().await;
    stage.door.will([answered(404)]);
    let id = stage.lead().await;
    stage.store.be(Mood::Late);
    let (first, engine) = (stage.engine.clone(), stage.engine.clone());
    let first = tokio::spawn(async move { first.act(id, Verb::Retry, "ann").await });
    idle().await;
    assert_eq!(engine.act(id, dismiss(), "bob").await, Ok(Acted::Left));
    stage.store.be(Mood::Ready);
    idle().await;
    assert!(matches!(first.await.unwrap(), Ok(Acted::Done(_))));
    assert_eq!(stage.state(id).await, State::Closed { at: at(0), why: CloseReason::Dismissed });
    assert_eq!(stage.door.sends(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_verb_left_for_an_attempt_that_was_not_begun_is_applied() {
    // The step asks for a durable mark, which a full store does not take: nothing is sent meanwhile.
    let settings = stage::in_doubt(steadfast_flow::InDoubtMode::Hold);
    let stage = Stage::of(settings, EngineLimits::default()).await;
    stage.door.will([answered(503)]);
    let id = stage.lead().await;
    stage.store.be(Mood::Full);
    stage.pass(secs(2)).await;
    assert!(stage.engine.is_in_flight(id));
    assert_eq!(stage.act(id, dismiss()).await, Ok(Acted::Left));
    stage.store.be(Mood::Ready);
    stage.pass(secs(1)).await;
    assert_eq!(stage.state(id).await, State::Closed { at: at(3), why: CloseReason::Dismissed });
    assert_eq!(stage.door.sends(), 1, "never without its mark");
}

#[tokio::test(start_paused = true)]
async fn a_verb_is_refused_where_it_does_not_fit() {
    let stage = Stage::new().await;
    let unknown = DeliveryId::from_raw(5).unwrap();
    assert_eq!(stage.act(unknown, Verb::Retry).await, Err(RefusedAction::Unknown(unknown)));
    assert!(!stage.engine.is_in_flight(unknown));
    stage.door.will([answered(200)]);
    let id = stage.lead().await;
    for verb in [Verb::Retry, dismiss(), mark_delivered()] {
        let Err(RefusedAction::Verb(refused)) = stage.act(id, verb).await else { panic!() };
        assert_eq!(refused.state, StateName::Delivered);
    }
    assert!(delivered(&stage.state(id).await));
    assert_eq!(stage.engine.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_verb_leaves_a_waiting_delivery_where_it_waits() {
    let stage = Stage::new().await;
    stage.door.will([answered(503)]);
    let id = stage.lead().await;
    let unreadable = StoreError::Unreadable { detail: "told so".to_owned() };
    stage.store.memory().fail_next_write(unreadable);
    assert!(matches!(stage.act(id, Verb::Retry).await, Err(RefusedAction::Store(_))));
    stage.pass(secs(2)).await;
    assert_eq!(stage.door.sends(), 2, "its retry goes out as planned");
}

#[tokio::test(start_paused = true)]
async fn a_desk_retry_has_a_fresh_budget() {
    let stage = Stage::new().await;
    stage.door.will(std::iter::repeat_n(answered(503), 8));
    let id = stage.lead().await;
    stage.pass(secs(60)).await;
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::Exhausted, 4));
    assert!(matches!(stage.act(id, Verb::Retry).await, Ok(Acted::Done(_))));
    stage.pass(secs(60)).await;
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::Exhausted, 8));
    let retries: Vec<u32> = stage.attempts(id).await.iter().map(|attempt| attempt.retry).collect();
    assert_eq!(retries, [0, 1, 2, 3, 0, 1, 2, 3]);
    let numbers: Vec<u32> = stage.door.seen().iter().map(|seen| seen.attempt).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    let first = &stage.door.seen()[0];
    assert!(stage.door.seen().iter().all(|seen| (&seen.key, seen.digest) == (&first.key, first.digest)));
}

#[tokio::test(start_paused = true)]
async fn the_maximum_lead_age_binds_the_desk_too() {
    let mut settings = settings();
    settings.system.max_lead_age = Some(secs(3_600));
    let stage = Stage::of(settings, EngineLimits::default()).await;
    stage.door.will([answered(404), answered(404)]);
    let id = stage.lead().await;
    stage.pass(secs(3_599)).await;
    assert!(matches!(stage.act(id, Verb::Retry).await, Ok(Acted::Done(_))));
    assert_eq!((stage.door.sends(), stage.door.seen()[1].at_most), (2, secs(1)), "the rest of its age is all it has");
    stage.pass(secs(1)).await;
    assert!(matches!(stage.act(id, Verb::Retry).await, Ok(Acted::Done(_))));
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::Expired, 2));
}

#[tokio::test(start_paused = true)]
async fn a_persons_word_sends_again_what_is_in_doubt_with_the_same_key() {
    let stage = Stage::of(stage::in_doubt(steadfast_flow::InDoubtMode::Hold), EngineLimits::default()).await;
    stage.door.will([reset(), answered(200)]);
    let id = stage.lead().await;
    assert_eq!(stage.review_cause(id).await, ReviewCause::InDoubt);
    assert!(matches!(stage.act(id, Verb::Retry).await, Ok(Acted::Done(_))));
    assert!(delivered(&stage.state(id).await));
    let seen = stage.door.seen();
    assert_eq!((&seen[0].key, seen[0].digest), (&seen[1].key, seen[1].digest));
}
