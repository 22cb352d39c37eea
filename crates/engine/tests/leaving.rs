//! Stopping, waiting for an outcome, and pauses of an endpoint.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Mood, Stage, answered, at, delivered, idle, secs, settings, with_header};
use steadfast_engine::{EngineLimits, Readiness, Refusal};
use steadfast_lead::LeadId;
use steadfast_retry::{EventKind, ReviewCause, State};
use steadfast_store::{Cursor, Journal, Store};

#[tokio::test(start_paused = true)]
async fn draining_starts_nothing_and_settles_what_is_under_way() {
    let stage = Stage::of(settings(), EngineLimits { slots: 1, ..EngineLimits::default() }).await;
    let (first, second) = (stage.lead().await, stage.lead().await);
    let engine = stage.engine.clone();
    let draining = tokio::spawn(async move { engine.drain(secs(60)).await });
    idle().await;
    assert_eq!(stage.engine.readiness(), Readiness::Draining);
    assert_eq!(stage.post().await, Err(Refusal::Draining));
    assert!(!draining.is_finished());
    stage.door.answer(answered(200));
    assert_eq!(draining.await.unwrap(), Ok(true));
    assert!(delivered(&stage.state(first).await));
    assert_eq!((stage.state(second).await, stage.door.sends()), (State::Waiting { due: at(0) }, 1));
    assert!(stage.store.memory().reopen().identity().clean);
}

#[tokio::test(start_paused = true)]
async fn draining_says_when_its_patience_ended_and_the_stop_is_unclean() {
    let stage = Stage::new().await;
    let id = stage.lead().await;
    assert_eq!(stage.engine.drain(secs(5)).await, Ok(false));
    assert!(stage.engine.is_in_flight(id));
    let stage = stage.crash(settings(), secs(0)).await;
    assert_eq!(stage.delivery(id).await.progress.interruptions, 1);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_the_store() {
    let stage = Stage::new().await;
    stage.store.be(Mood::Late);
    stage.door.will([answered(200)]);
    let id = stage.lead().await;
    assert_eq!(stage.engine.drain(secs(5)).await, Ok(false), "answered, not stored");
    stage.store.be(Mood::Ready);
    assert_eq!(stage.engine.drain(secs(5)).await, Ok(true));
    assert!(delivered(&stage.state(id).await));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_lead_answers_with_its_outcome_in_time_or_as_it_stands() {
    let stage = Stage::new().await;
    let receipt = stage.post().await.unwrap();
    let (engine, lead) = (stage.engine.clone(), receipt.lead);
    let waiting = tokio::spawn(async move { engine.wait_for(lead, secs(10)).await });
    idle().await;
    assert!(!waiting.is_finished());
    stage.door.answer(answered(503));
    idle().await;
    assert!(!waiting.is_finished(), "a retry is still to come");
    stage.door.will([answered(200)]);
    stage.pass(secs(2)).await;
    let deliveries = waiting.await.unwrap().unwrap().unwrap();
    assert!(delivered(&deliveries[0].state));
    let engine = stage.engine.clone();
    let receipt = stage.post().await.unwrap();
    let waiting = tokio::spawn(async move { engine.wait_for(receipt.lead, secs(10)).await });
    stage.pass(secs(9)).await;
    assert!(!waiting.is_finished());
    stage.pass(secs(1)).await;
    let deliveries = waiting.await.unwrap().unwrap().unwrap();
    assert_eq!(deliveries[0].state, State::Waiting { due: at(2) }, "in flight, as the store knows it");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_unknown_lead_answers_at_once() {
    let stage = Stage::new().await;
    assert_eq!(stage.engine.wait_for(LeadId::from_raw(5).unwrap(), secs(10)).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn fresh_leads_respect_an_endpoints_pause_and_are_not_called_late() {
    let stage = Stage::new().await;
    stage.door.will([with_header(429, "retry-after", "60")]);
    let first = stage.lead().await;
    let fresh = stage.lead().await;
    stage.pass(secs(59)).await;
    assert_eq!(stage.door.sends(), 1);
    assert_eq!(stage.state(fresh).await, State::Waiting { due: at(0) }, "nothing is written on what waits with it");
    assert_eq!(stage.engine.pauses().len(), 1);
    stage.door.will([answered(200), answered(200)]);
    stage.pass(secs(10)).await;
    assert!(delivered(&stage.state(first).await) && delivered(&stage.state(fresh).await));
    assert_eq!((stage.attempts(fresh).await[0].started, stage.engine.pauses().len()), (at(60), 0));
    for (_, event) in stage.store.memory().events(Cursor(0), 100).await.unwrap() {
        if let EventKind::AttemptSettled(settled) = event.kind {
            assert_eq!(settled.late, secs(0), "attempt {} of {}", settled.attempt, settled.delivery);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_book_with_another_age_is_followed_during_a_pause() {
    let stage = Stage::new().await;
    stage.door.will([with_header(429, "retry-after", "3000")]);
    stage.lead().await;
    let fresh = stage.lead().await;
    let mut younger = settings();
    younger.system.max_lead_age = Some(secs(120));
    stage.follow(&younger, 2);
    stage.pass(secs(119)).await;
    assert_eq!(stage.state(fresh).await, State::Waiting { due: at(0) });
    stage.pass(secs(2)).await;
    assert_eq!(stage.review_cause(fresh).await, ReviewCause::Expired, "looked at while its endpoint is paused");
    assert_eq!(stage.door.sends(), 1);
}
