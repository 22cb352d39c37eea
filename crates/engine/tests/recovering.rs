//! After an unclean stop: what was being sent, what may have been, what certainly was not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Mood, Stage, answered, at, delivered, in_doubt, recipient, secs, settings, with_header};
use std::time::Duration;
use steadfast_engine::EngineLimits;
use steadfast_flow::InDoubtMode;
use steadfast_lead::DeliveryId;
use steadfast_retry::pace::ConcurrencyLimit;
use steadfast_retry::{ErrorKind, Outcome, ReviewCause, State, StopTarget};
use steadfast_store::Writes;

async fn leads(stage: &Stage, count: usize) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(stage.lead().await);
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_is_an_interrupted_attempt_that_ended_with_the_last_commit() {
    let stage = Stage::new().await;
    stage.pass(secs(5)).await;
    let id = stage.lead().await;
    let key = stage.door.seen()[0].key.clone();
    let stage = stage.crash(settings(), secs(1)).await;
    stage.door.will([answered(200)]);
    let attempt = stage.attempts(id).await.remove(0);
    assert_eq!(attempt.verdict.outcome, Outcome::Error(ErrorKind::Interrupted));
    assert_eq!((attempt.started, attempt.ended, attempt.number, attempt.retry), (at(5), at(5), 1, 0));
    let delivery = stage.delivery(id).await;
    assert_eq!((delivery.progress.retries_used, delivery.progress.interruptions), (1, 1));
    assert!(delivery.progress.in_doubt);
    assert_eq!(delivery.state, State::Waiting { due: at(7) }, "the first delay runs from the last commit");
    stage.pass(secs(1)).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!((&stage.door.seen()[0].key, stage.door.seen()[0].attempt), (&key, 2));
}

#[tokio::test(start_paused = true)]
async fn the_first_of_each_queue_that_were_due_may_have_been_sent_and_no_others() {
    let limits = EngineLimits { slots: 3, ..EngineLimits::default() };
    let stage = Stage::of(settings(), limits).await;
    stage.store.forget_marks();
    let ids = leads(&stage, 8).await;
    assert_eq!(stage.door.sends(), 3, "the process dies with three under way and no mark of them on disk");
    let stage = stage.crash(settings(), secs(60)).await;
    for (place, id) in ids.iter().enumerate() {
        let delivery = stage.delivery(*id).await;
        assert_eq!(delivery.progress.in_doubt, place < 3, "delivery {place}");
        assert_eq!((delivery.progress.retries_used, delivery.attempts), (0, 0), "no retry is used");
    }
    let because = stage.last_because(ids[0]).await;
    assert_eq!(because, "may have been sent just before an unclean stop");
    stage.door.will(std::iter::repeat_n(answered(200), 8));
    stage.pass(secs(1)).await;
    for id in ids {
        assert!(delivered(&stage.state(id).await));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_due_was_not_sent() {
    let stage = Stage::new().await;
    stage.store.forget_marks();
    stage.door.will([answered(503)]);
    let id = stage.lead().await;
    let stage = stage.crash(settings(), secs(1)).await;
    assert!(!stage.delivery(id).await.progress.in_doubt);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_went_ahead_and_back_between_two_commits_hides_no_send() {
    let stage = Stage::new().await;
    stage.store.forget_marks();
    stage.door.will([with_header(503, "retry-after", "600")]);
    let id = stage.lead().await;
    stage.clock.set(at(3_600));
    stage::idle().await;
    assert_eq!(stage.door.sends(), 2, "an hour ahead it is due, and sent");
    stage.clock.set(at(10));
    let stage = stage.crash(settings(), secs(1)).await;
    let delivery = stage.delivery(id).await;
    assert!(delivery.progress.in_doubt, "its mark was on disk before it was sent");
    assert_eq!((delivery.attempts, delivery.progress.interruptions), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_comes_due_while_the_disk_is_full_is_not_sent_and_is_not_in_doubt_after_a_crash() {
    let stage = Stage::new().await;
    stage.door.will([with_header(503, "retry-after", "30")]);
    let id = stage.lead().await;
    stage.store.be(Mood::Full);
    stage.store.forget_marks();
    stage.pass(secs(60)).await;
    assert_eq!(stage.door.sends(), 1, "no room for the mark");
    let stage = stage.crash(settings(), secs(3_600)).await;
    assert!(!stage.delivery(id).await.progress.in_doubt, "due long after the last commit: certainly not sent");
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_room_is_asked_anew_whether_it_may_go() {
    let stage = Stage::new().await;
    stage.door.will([with_header(503, "retry-after", "10")]);
    let id = stage.lead().await;
    stage.store.be(Mood::Full);
    stage.pass(secs(30)).await;
    assert_eq!((stage.door.sends(), stage.engine.in_flight()), (1, 1), "it waits for room");
    let target = StopTarget::Recipient(stage::bigbank());
    stage.engine.stop(target.clone(), "ann", "a word with them").await.unwrap();
    stage.store.be(Mood::Ready);
    stage.pass(secs(600)).await;
    assert_eq!((stage.door.sends(), stage.engine.in_flight()), (1, 0), "it was stopped meanwhile");
    stage.engine.resume(&target, "ann", "all is well").await.unwrap();
    stage.door.will([answered(200)]);
    stage.pass(secs(60)).await;
    assert!(delivered(&stage.state(id).await));
}

#[tokio::test(start_paused = true)]
async fn what_comes_due_soon_after_a_commit_does_not_wait_for_its_mark() {
    let stage = Stage::new().await;
    stage.door.will([answered(503)]);
    let id = stage.lead().await;
    stage.pass(Duration::from_millis(1_900)).await;
    stage.lead().await;
    stage.store.be(Mood::Full);
    stage.store.forget_marks();
    stage.pass(Duration::from_millis(100)).await;
    assert_eq!(stage.door.sends(), 3, "due a tenth of a second after the last commit");
    let stage = stage.crash(settings(), secs(0)).await;
    assert!(stage.delivery(id).await.progress.in_doubt, "and so it may have been sent");
}

#[tokio::test(start_paused = true)]
async fn what_was_about_to_come_due_was_not_sent() {
    let stage = Stage::new().await;
    stage.door.will([answered(503)]);
    let id = stage.lead().await;
    stage.pass(Duration::from_millis(1_500)).await;
    stage.lead().await;
    stage.store.forget_marks();
    let stage = stage.crash(settings(), secs(0)).await;
    assert!(!stage.delivery(id).await.progress.in_doubt, "due half a second after the last commit");
}

#[tokio::test(start_paused = true)]
async fn a_clean_stop_marks_nothing() {
    let stage = Stage::of(settings(), EngineLimits { slots: 1, ..EngineLimits::default() }).await;
    let ids = leads(&stage, 3).await;
    let engine = stage.engine.clone();
    let draining = tokio::spawn(async move { engine.drain(secs(60)).await });
    stage::idle().await;
    stage.door.answer(answered(200));
    assert_eq!(draining.await.unwrap(), Ok(true));
    let stage = stage.crash(settings(), secs(60)).await;
    for id in &ids[1..] {
        assert!(!stage.delivery(*id).await.progress.in_doubt);
    }
}

#[tokio::test(start_paused = true)]
async fn where_doubt_is_for_a_person_recovery_is_exact() {
    let stage = Stage::of(in_doubt(InDoubtMode::Hold), EngineLimits { slots: 2, ..EngineLimits::default() }).await;
    stage.store.forget_marks();
    let ids = leads(&stage, 4).await;
    assert_eq!(stage.door.sends(), 2);
    let stage = stage.crash(in_doubt(InDoubtMode::Hold), secs(60)).await;
    for id in &ids[..2] {
        assert_eq!(stage.review_cause(*id).await, ReviewCause::InDoubt, "its mark was durable before it was sent");
    }
    for id in &ids[2..] {
        let delivery = stage.delivery(*id).await;
        assert!(!delivery.progress.in_doubt, "no mark: certainly not sent");
    }
    assert_eq!(stage.door.sends(), 2, "those are sent now");
}

#[tokio::test(start_paused = true)]
async fn the_third_interruption_asks_a_person() {
    let mut stage = Stage::new().await;
    let id = stage.lead().await;
    for interruptions in 1..=2 {
        stage = stage.crash(settings(), secs(0)).await;
        assert_eq!(stage.delivery(id).await.progress.interruptions, interruptions);
        stage.pass(secs(10)).await;
        assert_eq!(stage.door.sends(), 1, "sent again, and cut off again");
    }
    let stage = stage.crash(settings(), secs(0)).await;
    assert_eq!(stage.review_cause(id).await, ReviewCause::Interrupted);
    stage.pass(secs(60)).await;
    assert_eq!((stage.door.sends(), stage.engine.open()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_the_process() {
    let stage = Stage::new().await;
    stage.door.will([with_header(429, "retry-after", "60")]);
    stage.lead().await;
    let stage = stage.crash(settings(), secs(10)).await;
    let fresh = stage.lead().await;
    stage.pass(secs(49)).await;
    assert_eq!(stage.door.sends(), 0);
    stage.door.will([answered(200), answered(200)]);
    stage.pass(secs(5)).await;
    assert!(delivered(&stage.state(fresh).await));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_delivery_whose_step_is_gone_asks_a_person() {
    let stage = Stage::new().await;
    let id = stage.lead().await;
    let mut other = settings();
    stage::flow(&mut other).steps[0].id = steadfast_lead::StepName::new("other").unwrap();
    recipient(&mut other).protection.concurrency = Some(ConcurrencyLimit::Fixed(1));
    let stage = stage.crash(other, secs(0)).await;
    assert_eq!(stage.review_cause(id).await, ReviewCause::StepGone);
    assert!(stage.store.memory().health() == steadfast_store::Health::Ready);
}
