//! Opening, closing, and stopping without closing.

use super::{Rig, World, reopen_cleanly, reopen_uncleanly};
use crate::{Cursor, Filter, Health, StoreError};
use steadfast_retry::State;

pub async fn a_close_is_clean(rig: &mut dyn Rig) {
    let store = rig.open();
    assert!(store.identity().clean, "a new store");
    assert_eq!(store.identity().last_id, None);
    assert_eq!(store.health(), Health::Ready);
    let mut world = World::of(&*store);
    let last = world.accepted(&*store, "auto", &["a", "b"]).await.pop().unwrap().id;
    let store = reopen_cleanly(store, rig).await;
    assert!(store.identity().clean);
    assert_eq!(store.identity().last_id, Some(last.raw()));
    assert!(store.identity().last_commit_at.is_some());
}

pub async fn a_drop_is_not(rig: &mut dyn Rig) {
    let store = rig.open();
    World::of(&*store).accepted(&*store, "auto", &["a"]).await;
    let store = reopen_uncleanly(store, rig);
    assert!(!store.identity().clean);
    let store = reopen_cleanly(store, rig).await;
    assert!(store.identity().clean);
    let store = reopen_uncleanly(store, rig);
    assert!(!store.identity().clean, "even if nothing was written");
}

pub async fn each_opening_has_a_larger_epoch(rig: &mut dyn Rig) {
    let mut store = rig.open();
    for round in 0..4 {
        let before = store.identity();
        store = if round % 2 == 0 { reopen_cleanly(store, rig).await } else { reopen_uncleanly(store, rig) };
        let after = store.identity();
        assert!(after.epoch > before.epoch);
        assert_eq!((after.seed, after.node), (before.seed, before.node));
    }
}

pub async fn a_closed_store_takes_nothing(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let pending = store.accept(world.acceptance("auto", &["a"]));
    store.close().await.unwrap();
    assert!(pending.await.is_ok(), "what was given before is written");
    assert!(matches!(store.health(), Health::Stopped { .. }));
    let late = world.acceptance("auto", &["a"]);
    let id = late.lead.id;
    assert!(matches!(store.accept(late).await, Err(StoreError::Stopped { .. })));
    drop(store);
    let store = rig.open();
    assert_eq!(store.lead(id).await, Ok(None));
    assert_eq!(super::walk(&*store, &Filter::default(), 10).await.len(), 1);
}

pub async fn everything_outlasts_an_unclean_stop(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let acceptance = world.acceptance("auto", &["a", "b"]);
    let (lead, mut deliveries) = (acceptance.lead.clone(), acceptance.deliveries.clone());
    store.accept(acceptance).await.unwrap();
    deliveries[0] = world.settled(&*store, &deliveries[0], State::Waiting { due: world.now }).await;
    let (counts, events) = (store.counts().await, store.events(Cursor(0), 10).await);
    let history = store.history(deliveries[0].id, 0, 10).await;
    let store = reopen_uncleanly(store, rig);
    assert_eq!(store.lead(lead.id).await, Ok(Some((lead, deliveries.clone()))));
    assert_eq!(store.history(deliveries[0].id, 0, 10).await, history);
    assert_eq!((store.counts().await, store.events(Cursor(0), 10).await), (counts, events));
    // Names that came with the last opening are known to this one.
    world.accepted(&*store, "auto", &["a", "new"]).await;
    assert_eq!(super::recounted(&*store).await, store.counts().await.unwrap());
}
