//! Idempotency keys: the same request twice makes one lead.

use super::{Rig, World, reopen_cleanly};
use crate::{Accepted, Cursor, Filter};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

pub async fn a_repeated_request_is_a_replay(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let first = world.guarded("auto", "key-1", 1, HOUR);
    let (lead, mut again) = (first.lead.id, world.guarded("auto", "key-1", 1, HOUR));
    // Both are given before either is answered.
    let answers = (store.accept(first), store.accept(again.clone()));
    assert_eq!(answers.0.await, Ok(Accepted::New));
    assert_eq!(answers.1.await, Ok(Accepted::Replay { lead }));
    assert_eq!(store.lead(again.lead.id).await, Ok(None));
    assert_eq!(store.delivery(again.deliveries[0].id).await, Ok(None));
    assert_eq!(store.events(Cursor(0), 10).await.unwrap().len(), 1);
    assert_eq!(store.counts().await.unwrap()[0].deliveries, 1);
    let store = reopen_cleanly(store, rig).await;
    world.advance(1_000);
    again = world.guarded("auto", "key-1", 1, HOUR);
    assert_eq!(store.accept(again).await, Ok(Accepted::Replay { lead }));
}

pub async fn a_key_used_for_something_else_is_refused(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let first = world.guarded("auto", "key-1", 1, HOUR);
    let lead = first.lead.id;
    store.accept(first).await.unwrap();
    let other = world.guarded("auto", "key-1", 2, HOUR);
    let id = other.lead.id;
    assert_eq!(store.accept(other).await, Ok(Accepted::KeyReused { lead }));
    assert_eq!(store.lead(id).await, Ok(None));
    assert_eq!(super::walk(&*store, &Filter::default(), 10).await.len(), 1);
}

pub async fn a_key_is_forgotten_after_its_time(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let first = world.guarded("auto", "key-1", 1, HOUR);
    let lead = first.lead.id;
    store.accept(first).await.unwrap();
    world.advance(3_600_000);
    let at_its_end = world.guarded("auto", "key-1", 1, HOUR);
    assert_eq!(store.accept(at_its_end).await, Ok(Accepted::Replay { lead }));
    world.advance(1);
    let later = world.guarded("auto", "key-1", 1, HOUR);
    let lead = later.lead.id;
    assert_eq!(store.accept(later).await, Ok(Accepted::New));
    let again = world.guarded("auto", "key-1", 1, HOUR);
    assert_eq!(store.accept(again).await, Ok(Accepted::Replay { lead }));
}

pub async fn keys_belong_to_their_flow(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    for flow in ["auto", "home"] {
        let guarded = world.guarded(flow, "key-1", 1, HOUR);
        assert_eq!(store.accept(guarded).await, Ok(Accepted::New));
    }
}

/// Whatever a store does to forget what has expired, it never forgets what has not.
pub async fn many_keys_are_kept_and_forgotten(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut long = Vec::new();
    for number in 0..200 {
        let lasts = if number % 2 == 0 { Duration::from_secs(1) } else { HOUR };
        let guarded = world.guarded("auto", &format!("key-{number}"), 1, lasts);
        long.push((number, guarded.lead.id));
        assert_eq!(store.accept(guarded).await, Ok(Accepted::New));
        world.advance(100);
    }
    for (number, lead) in long.into_iter().filter(|(number, _)| number % 2 == 1) {
        let again = world.guarded("auto", &format!("key-{number}"), 1, HOUR);
        assert_eq!(store.accept(again).await, Ok(Accepted::Replay { lead }), "key-{number}");
    }
    world.advance(1_001);
    let again = world.guarded("auto", "key-198", 1, HOUR);
    assert_eq!(store.accept(again).await, Ok(Accepted::New));
}
