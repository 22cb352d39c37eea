//! What the engine does while the store is slow, full or has stopped: nothing acknowledged is lost, and no more attempts than
//! there are slots are ever unsettled.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Mood, Stage, answered, delivered, idle, secs, settings};
use steadfast_engine::{EngineLimits, Readiness, Refusal};
use steadfast_lead::DeliveryId;
use steadfast_store::{Health, StoreError};

fn slots(slots: usize) -> EngineLimits {
    EngineLimits { slots, ..EngineLimits::default() }
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_held_until_its_settlement_is_stored() {
    let stage = Stage::of(settings(), slots(4)).await;
    stage.store.be(Mood::Late);
    stage.door.will(std::iter::repeat_n(answered(200), 20));
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(stage.lead().await);
        assert!(stage.door.sends() <= 4, "sent and not settled: {}", stage.door.sends());
    }
    assert_eq!((stage.door.sends(), stage.engine.in_flight(), stage.engine.unsaved()), (4, 4, 4));
    stage.pass(secs(600)).await;
    assert_eq!(stage.door.sends(), 4, "answered, and still holding their slots");
    stage.store.be(Mood::Ready);
    idle().await;
    assert_eq!((stage.door.sends(), stage.engine.in_flight(), stage.engine.unsaved()), (10, 0, 0));
    for id in ids {
        assert!(delivered(&stage.state(id).await));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_store_takes_no_leads_and_keeps_no_settlement_from_being_stored_later() {
    let stage = Stage::new().await;
    let id = stage.lead().await;
    stage.store.be(Mood::Full);
    stage.door.answer(answered(200));
    stage.pass(secs(30)).await;
    assert!(matches!(stage.post().await, Err(Refusal::Store(StoreError::Full { .. }))));
    assert_eq!(stage.engine.readiness(), Readiness::Store(Health::Full));
    assert_eq!((stage.engine.unsaved(), stage.engine.in_flight(), stage.engine.open()), (1, 1, 1));
    assert!(!delivered(&stage.state(id).await));
    stage.store.be(Mood::Ready);
    stage.pass(secs(1)).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!((stage.engine.unsaved(), stage.engine.in_flight(), stage.engine.open()), (0, 0, 0));
    stage.door.will([answered(200)]);
    let next = stage.lead().await;
    assert!(delivered(&stage.state(next).await));
    assert_eq!((stage.engine.readiness(), stage.door.sends()), (Readiness::Ready, 2));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_store_refuses_everything_and_what_was_acknowledged_is_there_after_it() {
    let stage = Stage::of(settings(), slots(3)).await;
    stage.door.will([answered(503)]);
    let mut ids: Vec<DeliveryId> = Vec::new();
    for _ in 0..6 {
        ids.push(stage.lead().await);
    }
    assert_eq!((stage.door.sends(), stage.engine.in_flight()), (4, 3), "one waits for its retry, three are under way");
    stage.door.answer(answered(200));
    idle().await;
    stage.door.answer(answered(200));
    idle().await;
    stage.door.answer(answered(200));
    idle().await;
    assert_eq!((stage.door.sends(), stage.engine.in_flight()), (6, 2), "a slot is free");
    stage.store.memory().fail_next_write(StoreError::Stopped { detail: "told so".to_owned() });
    stage.door.answer(answered(200));
    stage.door.answer(answered(200));
    stage.pass(secs(600)).await;
    assert_eq!(stage.door.sends(), 6, "what would be sent now could not be remembered");
    assert!(matches!(stage.post().await, Err(Refusal::Store(StoreError::Stopped { .. }))));
    assert!(matches!(stage.engine.readiness(), Readiness::Store(Health::Stopped { .. })));
    assert_eq!((stage.engine.in_flight(), stage.engine.open()), (2, 3), "unsettled ones keep their slots");
    let after = stage.crash(settings(), secs(1)).await;
    after.door.will(std::iter::repeat_n(answered(200), 10));
    after.pass(secs(60)).await;
    for id in ids {
        assert!(delivered(&after.state(id).await));
    }
    assert_eq!((after.engine.open(), after.engine.readiness()), (0, Readiness::Ready));
}

#[tokio::test(start_paused = true)]
async fn the_queue_takes_exactly_as_many_as_it_says() {
    let limits = EngineLimits { open_max: 3, ..EngineLimits::default() };
    let stage = Stage::of(settings(), limits).await;
    stage.door.will([answered(503), answered(404)]);
    let waits = stage.lead().await;
    let reviewed = stage.lead().await;
    assert_eq!(stage.engine.open(), 1, "what is in review takes no room");
    stage.lead().await;
    stage.lead().await;
    assert_eq!(stage.post().await, Err(Refusal::QueueFull(3)));
    assert_eq!(stage.engine.open(), 3);
    // In flight, one more is delivered: exactly one more fits.
    stage.door.answer(answered(200));
    idle().await;
    stage.lead().await;
    assert_eq!(stage.post().await, Err(Refusal::QueueFull(3)));
    // A lead of two deliveries needs room for both.
    stage.door.answer(answered(200));
    idle().await;
    let mut two = settings();
    stage::flow(&mut two).steps.push(stage::step("copy"));
    stage.follow(&two, 2);
    assert_eq!(stage.post().await, Err(Refusal::QueueFull(3)), "one place is free, two are needed");
    stage.follow(&settings(), 3);
    // The same count after a restart, kept by the store.
    stage.lead().await;
    let after = stage.crash(settings(), secs(1)).await;
    assert_eq!(after.engine.open(), 3);
    assert_eq!(after.post().await, Err(Refusal::QueueFull(3)));
    after.door.will(std::iter::repeat_n(answered(200), 4));
    after.pass(secs(60)).await;
    assert_eq!(after.engine.open(), 0);
    assert!(delivered(&after.state(waits).await) && !delivered(&after.state(reviewed).await));
}

#[tokio::test(start_paused = true)]
async fn leads_arriving_together_do_not_take_the_same_room() {
    let limits = EngineLimits { open_max: 5, ..EngineLimits::default() };
    let stage = Stage::of(settings(), limits).await;
    let posts = (0..20).map(|_| stage.post());
    let taken = futures::future::join_all(posts).await.into_iter().filter(Result::is_ok).count();
    assert_eq!((taken, stage.engine.open()), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn room_is_given_back_when_the_store_takes_nothing() {
    let limits = EngineLimits { open_max: 1, ..EngineLimits::default() };
    let stage = Stage::of(settings(), limits).await;
    stage.store.be(Mood::Full);
    assert!(matches!(stage.post().await, Err(Refusal::Store(_))));
    stage.store.be(Mood::Ready);
    assert!(stage.post().await.is_ok());
}
