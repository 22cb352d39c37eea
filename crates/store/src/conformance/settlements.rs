//! Accepting and settling: whole or not at all.

use super::{Rig, World, recounted, settlement};
use crate::{Cursor, Filter, Settled, Store};
use std::time::Duration;
use steadfast_lead::{DeliveryId, LeadId};
use steadfast_retry::{
    CloseReason, Delivery, EndpointPause, Epoch, HoldReason, Moved, Settlement, State, StateName, Tied,
};

/// All a settlement could have touched, to be compared before and after.
async fn everything(store: &dyn Store, delivery: &Delivery) -> impl PartialEq + std::fmt::Debug {
    (
        store.delivery(delivery.id).await.unwrap(),
        store.history(delivery.id, 0, 100).await.unwrap(),
        store.counts().await.unwrap(),
        store.events(Cursor(0), 1_000).await.unwrap(),
        store.taken().await.unwrap(),
        store.pauses(steadfast_lead::Timestamp::MIN).await.unwrap(),
    )
}

fn with_pause(mut settlement: Settlement) -> Settlement {
    let until = settlement.event.at.after(Duration::from_secs(60));
    settlement.pause = Some(EndpointPause { endpoint: settlement.delivery.endpoint.clone(), until });
    settlement
}

pub async fn what_is_accepted_reads_back(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let acceptance = world.acceptance("auto", &["bigbank", "small.bank", "other"]);
    let (lead, deliveries) = (acceptance.lead.clone(), acceptance.deliveries.clone());
    let event = acceptance.event.clone();
    store.accept(acceptance).await.unwrap();
    assert_eq!(store.lead(lead.id).await, Ok(Some((lead.clone(), deliveries.clone()))));
    for delivery in &deliveries {
        assert_eq!(store.delivery(delivery.id).await, Ok(Some(delivery.clone())));
        assert_eq!(store.load(delivery.id).await, Ok(Some((delivery.clone(), lead.clone()))));
        assert_eq!(store.history(delivery.id, 0, 10).await, Ok(vec![]));
    }
    let events = store.events(Cursor(0), 10).await.unwrap();
    assert_eq!(events.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), [event]);
}

pub async fn a_settlement_is_applied_whole(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let before = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
    let until = world.now.after(Duration::from_secs(60));
    let held = State::Held { due: world.now, until, why: HoldReason::RetryAfter };
    let settlement = with_pause(settlement(&*store, &before, held, world.now));
    assert_eq!(store.settle(settlement.clone()).await, Ok(Settled::Applied));
    assert_eq!(settlement.delivery.version, before.version + 1);
    assert_eq!(store.delivery(before.id).await, Ok(Some(settlement.delivery.clone())));
    assert_eq!(store.history(before.id, 0, 10).await, Ok(vec![settlement.entry]));
    assert_eq!(store.pauses(world.now).await, Ok(settlement.pause.into_iter().collect()));
    assert_eq!(store.events(Cursor(0), 10).await.unwrap().pop().unwrap().1, settlement.event);
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
}

pub async fn a_stale_settlement_changes_nothing(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let before = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
    let delivered = State::Delivered { at: world.now, probable: false, by_hand: false };
    let stale = with_pause(settlement(&*store, &before, delivered.clone(), world.now));
    let now = world.settled(&*store, &before, State::Waiting { due: world.now }).await;
    store.take_durably(before.id).await.unwrap();
    let standing = everything(&*store, &before).await;
    let answer = store.settle(stale.clone()).await;
    assert_eq!(answer, Ok(Settled::Stale { now: Some(Box::new(now.clone())) }));
    assert_eq!(everything(&*store, &before).await, standing);

    let mut ahead = settlement(&*store, &now, delivered, world.now);
    ahead.delivery.version += 1;
    assert_eq!(store.settle(ahead).await, Ok(Settled::Stale { now: Some(Box::new(now)) }));
    let mut unknown = stale;
    unknown.delivery.id = DeliveryId::from_raw(before.id.raw() + 7).unwrap();
    assert_eq!(store.settle(unknown).await, Ok(Settled::Stale { now: None }));
    assert_eq!(everything(&*store, &before).await, standing);
}

pub async fn a_lost_lease_changes_nothing(rig: &mut dyn Rig) {
    let store = rig.open();
    let store = super::reopen_cleanly(store, rig).await;
    let mut world = World::of(&*store);
    let current = store.identity().epoch;
    let before = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
    store.take_durably(before.id).await.unwrap();
    let standing = everything(&*store, &before).await;
    let delivered = State::Delivered { at: world.now, probable: false, by_hand: false };
    let mut late = with_pause(settlement(&*store, &before, delivered, world.now));
    late.fence.epoch = Epoch(current.0 - 1);
    assert_eq!(store.settle(late.clone()).await, Ok(Settled::Fenced { current }));
    assert_eq!(everything(&*store, &before).await, standing);
    late.fence.epoch = current;
    assert_eq!(store.settle(late).await, Ok(Settled::Applied));
}

pub async fn neighbours_of_a_refused_settlement_are_kept(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut deliveries = Vec::new();
    for _ in 0..30 {
        deliveries.extend(world.accepted(&*store, "auto", &["bigbank"]).await);
    }
    // All are given before any is answered, so that they share transactions.
    let mut answers = Vec::new();
    for (place, before) in deliveries.iter().enumerate() {
        let delivered = State::Delivered { at: world.now, probable: false, by_hand: false };
        let mut settlement = settlement(&*store, before, delivered, world.now);
        match place % 3 {
            1 => settlement.fence.epoch = Epoch(settlement.fence.epoch.0 - 1),
            2 => settlement.delivery.version += 1,
            _ => {}
        }
        answers.push(store.settle(settlement));
    }
    for (place, answer) in answers.into_iter().enumerate() {
        let answer = answer.await.unwrap();
        let after = store.delivery(deliveries[place].id).await.unwrap().unwrap();
        assert_eq!(answer == Settled::Applied, place % 3 == 0, "{place}: {answer:?}");
        assert_eq!(after.state.name() == StateName::Delivered, place % 3 == 0, "{place}");
    }
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
    let delivered = Filter { state: Some(StateName::Delivered), ..Filter::default() };
    assert_eq!(super::walk(&*store, &delivered, 4).await.len(), 10);
}

pub async fn settlements_in_one_go_keep_their_order(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let acceptance = world.acceptance("auto", &["bigbank"]);
    let (lead, mut delivery): (LeadId, Delivery) = (acceptance.lead.id, acceptance.deliveries[0].clone());
    let mut answers = Vec::new();
    let accepted = store.accept(acceptance);
    for round in 0..20 {
        let due = world.now.after(Duration::from_secs(round));
        let settlement = settlement(&*store, &delivery, State::Waiting { due }, world.now);
        delivery = settlement.delivery.clone();
        store.take(delivery.id);
        answers.push(store.settle(settlement));
    }
    accepted.await.unwrap();
    for answer in answers {
        assert_eq!(answer.await, Ok(Settled::Applied));
    }
    assert_eq!(store.lead(lead).await.unwrap().unwrap().1, [delivery.clone()]);
    assert_eq!(store.history(delivery.id, 0, 100).await.unwrap().len(), 20);
    assert_eq!(store.taken().await, Ok(vec![]));
}

/// The engine never gives an id twice; a store that is given one keeps what it has, and everything beside it.
pub async fn an_id_is_never_taken_twice(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let first = world.acceptance("auto", &["bigbank"]);
    let (mut same_lead, mut same_delivery) = (world.acceptance("home", &["a"]), world.acceptance("home", &["a", "b"]));
    let mut lead = (*same_lead.lead).clone();
    lead.id = first.lead.id;
    same_lead.lead = lead.into();
    same_delivery.deliveries[1].id = first.deliveries[0].id;
    let (other, unseen) = (world.acceptance("auto", &["c"]), same_delivery.deliveries[0].id);
    let refused_lead = same_delivery.lead.id;
    let answers = [first.clone(), same_lead, same_delivery, other].map(|acceptance| store.accept(acceptance));
    let mut answered = Vec::new();
    for answer in answers {
        answered.push(answer.await.is_ok());
    }
    assert_eq!(answered, [true, false, false, true]);
    assert_eq!(store.lead(first.lead.id).await, Ok(Some((first.lead, first.deliveries))));
    assert_eq!(store.lead(refused_lead).await, Ok(None));
    assert_eq!(store.delivery(unseen).await, Ok(None));
    assert_eq!(store.events(Cursor(0), 10).await.unwrap().len(), 2);
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
}

/// `before` sold, and the others of its lead closed with it.
fn sale(store: &dyn Store, before: &Delivery, others: &[Delivery], now: steadfast_lead::Timestamp) -> Settlement {
    let closed = State::Closed { at: now, why: CloseReason::Sold };
    let moved = others.iter().map(|other| {
        let Settlement { delivery, entry, event, .. } = settlement(store, other, closed.clone(), now);
        Moved { delivery, was_open: true, entry, event }
    });
    let tied = Tied { seen: others.iter().map(|other| (other.id, other.version)).collect(), moved: moved.collect() };
    let delivered = State::Delivered { at: now, probable: false, by_hand: false };
    Settlement { tied: Some(Box::new(tied)), ..settlement(store, before, delivered, now) }
}

pub async fn what_moves_with_a_settlement_is_in_its_transaction(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let deliveries = world.accepted(&*store, "auto", &["bigbank", "small.bank", "other"]).await;
    let sale = sale(&*store, &deliveries[0], &deliveries[1..], world.now);
    assert_eq!(store.settle(sale.clone()).await, Ok(Settled::Applied));
    let tied = *sale.tied.unwrap();
    let mut events = vec![sale.event];
    for moved in tied.moved {
        assert_eq!(store.delivery(moved.delivery.id).await, Ok(Some(moved.delivery.clone())));
        assert_eq!(store.history(moved.delivery.id, 0, 10).await, Ok(vec![moved.entry]));
        events.push(moved.event);
    }
    let journal = store.events(Cursor(0), 10).await.unwrap();
    assert_eq!(journal.into_iter().skip(1).map(|(_, event)| event).collect::<Vec<_>>(), events);
    assert_eq!(store.heads().await, Ok(vec![]), "none of them waits any more");
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
}

pub async fn what_has_seen_others_otherwise_changes_nothing(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut deliveries = world.accepted(&*store, "auto", &["bigbank", "small.bank", "other"]).await;
    let late = sale(&*store, &deliveries[0], &deliveries[1..], world.now);
    deliveries[2] = world.settled(&*store, &deliveries[2], State::Waiting { due: world.now }).await;
    store.take_durably(deliveries[0].id).await.unwrap();
    let mut standing = Vec::new();
    for delivery in &deliveries {
        standing.push(everything(&*store, delivery).await);
    }
    assert_eq!(store.settle(late).await, Ok(Settled::OthersChanged));
    for (delivery, standing) in deliveries.iter().zip(standing) {
        assert_eq!(everything(&*store, delivery).await, standing);
    }
    let mut unknown = sale(&*store, &deliveries[0], &deliveries[1..], world.now);
    unknown.tied.as_mut().unwrap().seen.push((DeliveryId::from_raw(7).unwrap(), 0));
    assert_eq!(store.settle(unknown).await, Ok(Settled::OthersChanged));
    // Of two made from the same view, given together, one is applied.
    let first = sale(&*store, &deliveries[0], &deliveries[1..], world.now);
    let second = sale(&*store, &deliveries[1], &[deliveries[0].clone(), deliveries[2].clone()], world.now);
    let answers = [store.settle(first), store.settle(second)];
    let mut answered = Vec::new();
    for answer in answers {
        answered.push(answer.await.unwrap() == Settled::Applied);
    }
    assert_eq!(answered, [true, false]);
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
}

pub async fn what_waits_for_another_is_in_no_queue(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let before = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
    let held = State::Held { due: world.now, until: world.now, why: HoldReason::Turn };
    let waits = world.settled(&*store, &before, held).await;
    assert_eq!(store.heads().await, Ok(vec![]));
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
    world.settled(&*store, &waits, State::Waiting { due: world.now }).await;
    assert_eq!(store.heads().await.unwrap().len(), 1);
}
