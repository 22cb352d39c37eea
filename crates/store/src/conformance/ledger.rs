//! The ledger law: what was accepted is somewhere, and the counts say where.

use super::{Rig, World, recounted, reopen_cleanly, reopen_uncleanly, settlement};
use crate::{Accepted, Settled, Store};
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{RecipientName, Timestamp};
use steadfast_retry::{CloseReason, Delivery, FailureKind, HoldReason, ReviewCause, State, StateName};

async fn balanced(store: &dyn Store, accepted: usize) {
    let counts = store.counts().await.unwrap();
    assert!(counts.is_sorted());
    assert!(counts.iter().all(|count| count.deliveries > 0));
    assert_eq!(counts.iter().map(|count| count.deliveries).sum::<u64>(), accepted as u64);
    assert_eq!(counts, recounted(store).await);
}

fn any_state(world: &mut World) -> State {
    let (now, soon) = (world.now, world.now.after(Duration::from_secs(30)));
    match world.throw(7) {
        0 | 1 => State::Waiting { due: soon },
        2 => State::Held { due: now, until: soon, why: HoldReason::RetryAfter },
        3 => State::Delivered { at: now, probable: false, by_hand: false },
        4 => State::Rejected { at: now, kind: FailureKind::Duplicate },
        5 => State::InReview { since: now, cause: ReviewCause::Exhausted },
        _ => State::Closed { at: now, why: CloseReason::Dismissed },
    }
}

async fn one_step(store: &dyn Store, world: &mut World, deliveries: &mut Vec<Delivery>) {
    world.advance(250);
    if deliveries.is_empty() || world.throw(4) == 0 {
        let flow = ["auto", "home"][world.throw(2)];
        let recipients: &[&str] = [&["bigbank"][..], &["bigbank", "smallbank"], &[]][world.throw(3)];
        if world.throw(3) == 0 {
            let acceptance = world.test_acceptance(flow, recipients);
            deliveries.extend(acceptance.deliveries.clone());
            assert_eq!(store.accept(acceptance).await, Ok(Accepted::New));
            return;
        }
        deliveries.extend(world.accepted(store, flow, recipients).await);
        return;
    }
    let place = world.throw(deliveries.len());
    let state = any_state(world);
    let mut settlement = settlement(store, &deliveries[place], state, world.now);
    if world.throw(5) == 0 {
        settlement.delivery.version += 1;
        assert!(matches!(store.settle(settlement).await, Ok(Settled::Stale { now: Some(_) })));
        return;
    }
    let after = settlement.delivery.clone();
    assert_eq!(store.settle(settlement).await, Ok(Settled::Applied));
    deliveries[place] = after;
}

pub async fn counts_always_equal_a_recount(rig: &mut dyn Rig) {
    let mut store: Arc<dyn Store> = rig.open();
    let mut world = World::of(&*store);
    let mut deliveries = Vec::new();
    for step in 0..150 {
        one_step(&*store, &mut world, &mut deliveries).await;
        balanced(&*store, deliveries.len()).await;
        if step % 50 == 20 {
            store = reopen_cleanly(store, rig).await;
        }
        if step % 50 == 40 {
            store = reopen_uncleanly(store, rig);
        }
    }
    for delivery in deliveries {
        assert_eq!(store.delivery(delivery.id).await, Ok(Some(delivery)));
    }
}

pub async fn a_delivery_that_moves_is_counted_where_it_is(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let before = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
    let mut moved = settlement(&*store, &before, State::Waiting { due: world.now }, world.now);
    moved.delivery.endpoint.recipient = RecipientName::new("otherbank").unwrap();
    assert_eq!(store.settle(moved).await, Ok(Settled::Applied));
    balanced(&*store, 1).await;
    assert_eq!(store.counts().await.unwrap()[0].recipient.as_str(), "otherbank");
}

pub async fn test_leads_are_counted_by_themselves(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let real = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
    let acceptance = world.test_acceptance("auto", &["bigbank"]);
    let test = acceptance.deliveries[0].clone();
    assert_eq!(store.accept(acceptance).await, Ok(Accepted::New));
    world.settled(&*store, &test, delivered_at(world.now)).await;
    let told: Vec<_> = store.counts().await.unwrap().iter().map(|count| (count.test, count.state)).collect();
    assert_eq!(told, [(false, StateName::Waiting), (true, StateName::Delivered)]);
    balanced(&*store, 2).await;
    world.settled(&*store, &real, delivered_at(world.now)).await;
    let store = reopen_cleanly(store, rig).await;
    balanced(&*store, 2).await;
}

fn delivered_at(at: Timestamp) -> State {
    State::Delivered { at, probable: false, by_hand: false }
}
