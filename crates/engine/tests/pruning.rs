//! What is over its time is deleted in the background; what is not, and what the archive has not kept, is not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use stage::{Mood, Stage, answered, at, delivered, idle, secs, settings};
use std::sync::Arc;
use steadfast_engine::{Archive, ArchiveError, ArchivedLead, Clock, EngineLimits, ManualClock};
use steadfast_flow::{Keep, Settings};
use steadfast_lead::{DeliveryId, Timestamp};
use steadfast_store::{Cursor, Deliveries, Journal, Retention};

const DAY: u64 = 86_400;

/// Keeps what it is given, once it is told to.
#[derive(Default)]
struct Shelf {
    kept: Mutex<Vec<ArchivedLead>>,
    broken: Mutex<bool>,
}

impl Archive for Shelf {
    fn wants(&self) -> bool {
        true
    }

    fn keep(&self, leads: Vec<ArchivedLead>, _: Timestamp) -> BoxFuture<'static, Result<(), ArchiveError>> {
        let broken = *self.broken.lock();
        if !broken {
            self.kept.lock().extend(leads);
        }
        Box::pin(std::future::ready(if broken { Err(ArchiveError("told so".to_owned())) } else { Ok(()) }))
    }
}

fn kept_for(days: u64) -> Settings {
    let mut settings = settings();
    settings.retention.leads = Keep::For(secs(days * DAY));
    settings
}

async fn sold(stage: &Stage) -> DeliveryId {
    stage.door.will([answered(200)]);
    let id = stage.lead().await;
    idle().await;
    assert!(delivered(&stage.state(id).await));
    id
}

/// Moves the clock on, from one sleeper to the next, so that nothing is passed over.
async fn until(clock: &ManualClock, end: Timestamp) {
    idle().await;
    while let Some(wake) = clock.next_wake().filter(|wake| *wake <= end) {
        clock.set(wake.max(clock.now()));
        idle().await;
    }
    clock.set(end);
    idle().await;
}

#[tokio::test(start_paused = true)]
async fn what_ended_is_deleted_after_its_time_and_what_has_not_is_kept() {
    let stage = Stage::of(kept_for(10), EngineLimits::default()).await;
    let gone = sold(&stage).await;
    let stays = stage.lead().await;
    stage.engine.start_pruning(None);
    until(&stage.clock, at(9 * DAY)).await;
    assert!(stage.store.delivery(gone).await.unwrap().is_some());
    until(&stage.clock, at(11 * DAY + 7_200)).await;
    assert_eq!(stage.store.delivery(gone).await, Ok(None));
    // Its attempt is still under way, however old.
    assert!(stage.store.delivery(stays).await.unwrap().is_some());
    let (counts, pruned) = (stage.store.counts().await.unwrap(), stage.store.pruned().await.unwrap());
    assert_eq!(counts.iter().chain(&pruned).map(|count| count.deliveries).sum::<u64>(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lead_is_kept_for_its_time_from_its_end() {
    let stage = Stage::of(kept_for(10), EngineLimits::default()).await;
    let early = sold(&stage).await;
    let late = stage.lead().await;
    stage.engine.start_pruning(None);
    until(&stage.clock, at(20 * DAY)).await;
    assert_eq!(stage.store.delivery(early).await, Ok(None));
    stage.door.answer(answered(200));
    idle().await;
    let ended = stage.clock.now();
    until(&stage.clock, ended.after(secs(9 * DAY))).await;
    assert!(stage.store.delivery(late).await.unwrap().is_some());
    until(&stage.clock, ended.after(secs(12 * DAY))).await;
    assert_eq!(stage.store.delivery(late).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_before_the_archive_has_it() {
    let stage = Stage::of(kept_for(10), EngineLimits::default()).await;
    let id = sold(&stage).await;
    let shelf = Arc::new(Shelf::default());
    *shelf.broken.lock() = true;
    stage.engine.start_pruning(Some(Arc::clone(&shelf) as _));
    until(&stage.clock, at(12 * DAY)).await;
    let before = stage.store.delivery(id).await.unwrap().unwrap();
    *shelf.broken.lock() = false;
    until(&stage.clock, at(12 * DAY + 120)).await;
    assert_eq!(stage.store.delivery(id).await, Ok(None));
    let kept = shelf.kept.lock();
    let [lead] = &kept[..] else { panic!("{kept:?}") };
    assert!(!lead.lead.fields.is_empty() && lead.tombstone.is_none());
    let [(delivery, history)] = &lead.deliveries[..] else { panic!("{lead:?}") };
    assert_eq!((delivery, history.len()), (&before, 1));
}

#[tokio::test(start_paused = true)]
async fn a_flow_has_its_own_time_and_new_settings_hold_from_then_on() {
    let mut long = kept_for(10);
    stage::flow(&mut long).retention = Some(Keep::Forever);
    let stage = Stage::of(long, EngineLimits::default()).await;
    let id = sold(&stage).await;
    stage.engine.start_pruning(None);
    until(&stage.clock, at(400 * DAY)).await;
    assert!(stage.store.delivery(id).await.unwrap().is_some());
    stage.engine.replace_book(kept_for(10).compile(2).unwrap());
    until(&stage.clock, at(402 * DAY)).await;
    assert_eq!(stage.store.delivery(id).await, Ok(None));
    // The journal has its own 30 days; its newest line stays.
    assert_eq!(stage.store.events(Cursor(0), 10).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_store_is_asked_again() {
    let stage = Stage::of(kept_for(10), EngineLimits::default()).await;
    let id = sold(&stage).await;
    stage.store.be(Mood::Full);
    stage.engine.start_pruning(None);
    until(&stage.clock, at(12 * DAY)).await;
    assert!(stage.store.delivery(id).await.unwrap().is_some());
    stage.store.be(Mood::Ready);
    until(&stage.clock, at(12 * DAY + 120)).await;
    assert_eq!(stage.store.delivery(id).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_drained_deletes_nothing_more() {
    let stage = Stage::of(kept_for(10), EngineLimits::default()).await;
    let id = sold(&stage).await;
    stage.engine.start_pruning(None);
    assert_eq!(stage.engine.drain(secs(5)).await, Ok(true));
    until(&stage.clock, at(100 * DAY)).await;
    assert!(stage.store.memory().reopen().delivery(id).await.unwrap().is_some());
}
