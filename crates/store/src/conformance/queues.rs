//! What waits, where, and in which order; and the marks of what was taken.

use super::{Rig, World, reopen_cleanly, reopen_uncleanly, settlement};
use crate::{DuePosition, QueueHead, QueueKey, Settled, Store};
use std::time::Duration;
use steadfast_lead::{Priority, Timestamp};
use steadfast_retry::{Delivery, EndpointPause, HoldReason, State};

fn position(delivery: &Delivery) -> DuePosition {
    DuePosition { due: delivery.state.next_look().unwrap(), id: delivery.id }
}

async fn whole(store: &dyn Store, key: &QueueKey, limit: usize) -> Vec<DuePosition> {
    let mut all: Vec<DuePosition> = Vec::new();
    loop {
        let range = store.due(key.clone(), all.last().copied(), limit).await.unwrap();
        assert!(range.len() <= limit);
        if range.is_empty() {
            return all;
        }
        all.extend(range);
    }
}

pub async fn what_waits_is_found_in_order_of_due_time(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut waiting = Vec::new();
    for number in 0..40 {
        let before = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
        // Several are due at the same time, and ids do not rise with due times.
        let due = world.now.after(Duration::from_secs((7 * number) % 10));
        waiting.push(world.settled(&*store, &before, State::Waiting { due }).await);
    }
    let key = QueueKey::of(&waiting[0]);
    let mut expected: Vec<DuePosition> = waiting.iter().map(position).collect();
    expected.sort();
    for limit in [1, 3, 100] {
        assert_eq!(whole(&*store, &key, limit).await, expected);
    }
    let other = QueueKey { priority: Priority::Low, ..key };
    assert_eq!(store.due(other, None, 10).await, Ok(vec![]));
}

pub async fn a_delivery_moves_between_queues(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut delivery = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
    let mut left = Vec::new();
    let (due, until) = (world.now.after(Duration::from_secs(5)), world.now.after(Duration::from_secs(90)));
    let mut moves = vec![State::Waiting { due }, State::Held { due, until, why: HoldReason::RetryAfter }];
    for priority in [Priority::High, Priority::Critical] {
        let mut moved = settlement(&*store, &delivery, moves.pop().unwrap(), world.now);
        moved.delivery.priority = priority;
        moved.delivery.endpoint.origin = format!("https://{}.example:443", priority.name()).into();
        left.push(QueueKey::of(&delivery));
        delivery = moved.delivery.clone();
        assert_eq!(store.settle(moved).await, Ok(Settled::Applied));
        let head = QueueHead { key: QueueKey::of(&delivery), next: position(&delivery).due };
        assert_eq!(store.heads().await, Ok(vec![head]));
        assert_eq!(whole(&*store, &QueueKey::of(&delivery), 10).await, [position(&delivery)]);
        for key in &left {
            assert_eq!(store.due(key.clone(), None, 10).await, Ok(vec![]));
        }
    }
    let key = QueueKey::of(&delivery);
    let delivered = State::Delivered { at: world.now, probable: false, by_hand: false };
    world.settled(&*store, &delivery, delivered).await;
    assert_eq!(store.heads().await, Ok(vec![]));
    assert_eq!(store.due(key, None, 10).await, Ok(vec![]));
}

pub async fn heads_are_the_fronts(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    assert_eq!(store.heads().await, Ok(vec![]));
    let mut expected: Vec<QueueHead> = Vec::new();
    for recipient in ["a", "b", "c"] {
        for (number, priority) in Priority::ALL.into_iter().enumerate() {
            let before = world.accepted(&*store, "auto", &[recipient]).await.remove(0);
            let due = world.now.after(Duration::from_secs(10 + number as u64));
            let mut settlement = settlement(&*store, &before, State::Waiting { due }, world.now);
            settlement.delivery.priority = priority;
            expected.push(QueueHead { key: QueueKey::of(&settlement.delivery), next: due });
            store.settle(settlement).await.unwrap();
            let later = world.accepted(&*store, "auto", &[recipient]).await.remove(0);
            let due = due.after(Duration::from_secs(60));
            let mut settlement = super::settlement(&*store, &later, State::Waiting { due }, world.now);
            settlement.delivery.priority = priority;
            store.settle(settlement).await.unwrap();
        }
    }
    expected.sort_by(|one, two| one.key.cmp(&two.key));
    let mut heads = store.heads().await.unwrap();
    heads.sort_by(|one, two| one.key.cmp(&two.key));
    assert_eq!(heads, expected);
}

pub async fn marks_last_until_settled(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let deliveries = world.accepted(&*store, "auto", &["a", "b", "c"]).await;
    assert_eq!(store.taken().await, Ok(vec![]));
    store.take(deliveries[0].id);
    store.take_durably(deliveries[2].id).await.unwrap();
    assert_eq!(store.taken().await, Ok(vec![deliveries[0].id, deliveries[2].id]));
    store.take_durably(deliveries[2].id).await.unwrap();
    let again = world.settled(&*store, &deliveries[0], State::Waiting { due: world.now }).await;
    assert_eq!(store.taken().await, Ok(vec![deliveries[2].id]));
    store.take(again.id);
    world.settled(&*store, &again, State::Waiting { due: world.now }).await;
    assert_eq!(store.taken().await, Ok(vec![deliveries[2].id]));
}

pub async fn marks_outlast_an_unclean_stop(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let deliveries = world.accepted(&*store, "auto", &["a", "b"]).await;
    store.take_durably(deliveries[1].id).await.unwrap();
    let store = reopen_uncleanly(store, rig);
    assert_eq!(store.taken().await, Ok(vec![deliveries[1].id]));
    let after = store.delivery(deliveries[1].id).await.unwrap().unwrap();
    world.settled(&*store, &after, State::Waiting { due: world.now }).await;
    let store = reopen_uncleanly(store, rig);
    assert_eq!(store.taken().await, Ok(vec![]));
    store.take(deliveries[0].id);
    let store = reopen_cleanly(store, rig).await;
    assert_eq!(store.taken().await, Ok(vec![deliveries[0].id]));
}

pub async fn a_pause_only_grows(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut delivery = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
    let at = |seconds| Timestamp::from_millis(1_795_000_000_000).after(Duration::from_secs(seconds));
    for (asked, kept) in [(60, 60), (30, 60), (90, 90)] {
        let mut settlement = settlement(&*store, &delivery, State::Waiting { due: world.now }, world.now);
        settlement.pause = Some(EndpointPause { endpoint: delivery.endpoint.clone(), until: at(asked) });
        delivery = settlement.delivery.clone();
        store.settle(settlement).await.unwrap();
        let pause = EndpointPause { endpoint: delivery.endpoint.clone(), until: at(kept) };
        assert_eq!(store.pauses(world.now).await, Ok(vec![pause]));
    }
    let store = reopen_cleanly(store, rig).await;
    assert_eq!(store.pauses(at(89)).await.unwrap().len(), 1);
    assert_eq!(store.pauses(at(90)).await, Ok(vec![]));
}
