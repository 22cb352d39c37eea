//! Forgetting: found by term, wiped whole, barred afterwards, and never half done.

use super::{Rig, World, recounted, reopen_cleanly, reopen_uncleanly, settlement};
use crate::{Acceptance, Accepted, Cursor, Erasure, LeadErasure, Settled, Store, StoreError, Term, Tombstone, Wiped};
use std::time::Duration;
use steadfast_lead::{DeliveryId, LeadId, Timestamp};
use steadfast_retry::{CloseReason, Delivery, Entry, Epoch, EventKind, Fence, ReviewCause, Shard, State, erase};

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) fn term(byte: u8) -> Term {
    Term::from_bytes([byte; 16])
}

async fn accepted(store: &dyn Store, world: &mut World, recipients: &[&str], terms: &[u8]) -> (LeadId, Vec<Delivery>) {
    let mut acceptance = world.acceptance("auto", recipients);
    acceptance.terms = terms.iter().copied().map(term).collect();
    let known = (acceptance.lead.id, acceptance.deliveries.clone());
    assert_eq!(store.accept(acceptance).await, Ok(Accepted::New));
    known
}

fn tombstone(at: Timestamp) -> Tombstone {
    Tombstone { at, by: "ann".into(), reason: Some("ticket 7".into()) }
}

pub(super) fn wiping(store: &dyn Store, lead: LeadId, deliveries: &[Delivery], at: Timestamp) -> LeadErasure {
    let epoch = store.identity().epoch;
    let one =
        |before: &Delivery| erase(before, "ann", Fence { shard: Shard::of(&before.endpoint.recipient), epoch }, at);
    LeadErasure { lead, tombstone: tombstone(at), settlements: deliveries.iter().map(one).collect() }
}

pub(super) fn order(world: &World, terms: &[u8]) -> Erasure {
    let terms = terms.iter().copied().map(term).collect();
    Erasure { number: 0, at: world.now, by: "ann".into(), reason: None, terms, lead: None }
}

pub async fn terms_find_leads_newest_first(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut ids = Vec::new();
    for number in 0..6 {
        // Over several days: however a store cuts its index, the order is by time.
        world.advance(30 * 3_600_000);
        let terms: &[u8] = if number % 2 == 0 { &[1, 2] } else { &[1] };
        ids.push(accepted(&*store, &mut world, &["bigbank"], terms).await.0);
    }
    ids.reverse();
    let store = reopen_cleanly(store, rig).await;
    assert_eq!(store.find(term(1), None, 10).await, Ok(ids.clone()));
    assert_eq!(store.find(term(2), None, 10).await, Ok(vec![ids[1], ids[3], ids[5]]));
    assert_eq!(store.find(term(1), None, 2).await, Ok(ids[..2].to_vec()));
    assert_eq!(store.find(term(1), Some(ids[1]), 3).await, Ok(ids[2..5].to_vec()));
    assert_eq!(store.find(term(1), Some(ids[5]), 3).await, Ok(Vec::new()));
    assert_eq!(store.find(term(3), None, 10).await, Ok(Vec::new()));
    let mut terms = store.terms_of(ids[1]).await.unwrap();
    terms.sort();
    assert_eq!(terms, [term(1), term(2)]);
}

pub async fn a_wiped_lead_keeps_ids_states_times_and_counts_only(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let recipients = ["waits", "reviewed", "delivered", "untouched"];
    let (lead, mut deliveries) = accepted(&*store, &mut world, &recipients, &[1]).await;
    let states = [
        State::Waiting { due: world.now },
        State::InReview { since: world.now, cause: ReviewCause::Exhausted },
        State::Delivered { at: world.now, probable: false, by_hand: false },
    ];
    for (delivery, state) in deliveries.iter_mut().zip(states.clone()) {
        *delivery = world.settled(&*store, delivery, state).await;
    }
    world.advance(5);
    let before = store.lead(lead).await.unwrap().unwrap().0;
    let erasure = wiping(&*store, lead, &deliveries, world.now);
    let events = store.events(Cursor(0), 100).await.unwrap().len();
    assert_eq!(store.wipe(erasure.clone()).await, Ok(Wiped::Applied));
    let store = reopen_uncleanly(store, rig);
    let (after, now) = store.lead(lead).await.unwrap().unwrap();
    assert!(after.fields.is_empty() && !before.fields.is_empty());
    assert_eq!((after.id, after.accepted_at, &after.source), (before.id, before.accepted_at, &before.source));
    let closed = State::Closed { at: world.now, why: CloseReason::Erased };
    let expected = [closed.clone(), closed.clone(), states[2].clone(), closed];
    assert_eq!(now.iter().map(|delivery| delivery.state.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(now, erasure.settlements.iter().map(|one| one.delivery.clone()).collect::<Vec<_>>());
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
    assert_eq!(store.heads().await, Ok(Vec::new()));
    assert_eq!(store.find(term(1), None, 10).await, Ok(Vec::new()));
    assert_eq!(store.terms_of(lead).await, Ok(Vec::new()));
    assert_eq!(store.tombstone(lead).await, Ok(Some(tombstone(world.now))));
    let events = store.events(Cursor(0), 100).await.unwrap().split_off(events);
    assert_eq!(events.len(), 4);
    for (_, event) in events {
        assert!(
            matches!(event.kind, EventKind::DeliveryChanged { verb: Some((verb, by)), .. } if &*verb == "erase" && &*by == "ann")
        );
    }
    let history = store.history(now[0].id, 0, 10).await.unwrap();
    let [Entry::Attempt(attempt), Entry::Change(change)] = &history[..] else { panic!("{history:?}") };
    let answer = attempt.evidence.answer.as_ref().unwrap();
    assert!(answer.body.is_empty() && answer.headers.is_empty() && answer.body_bytes > 0);
    assert_eq!((answer.status, &*attempt.because), (200, "erased"));
    assert_eq!((change.at, &*change.verb.as_ref().unwrap().1), (world.now, "ann"));
}

pub async fn a_change_in_between_keeps_everything(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let (lead, deliveries) = accepted(&*store, &mut world, &["bigbank", "smallbank"], &[1]).await;
    let outdated = wiping(&*store, lead, &deliveries, world.now);
    world.settled(&*store, &deliveries[1], State::Waiting { due: world.now }).await;
    let some = LeadErasure { settlements: outdated.settlements[..1].to_vec(), ..outdated.clone() };
    let stranger = LeadErasure { lead: LeadId::from_raw(5).unwrap(), ..outdated.clone() };
    assert_eq!(store.wipe(outdated).await, Ok(Wiped::Stale));
    assert_eq!(store.wipe(some).await, Ok(Wiped::Stale));
    assert_eq!(store.wipe(stranger).await, Ok(Wiped::Unknown));
    assert_eq!(store.delivery(deliveries[0].id).await, Ok(Some(deliveries[0].clone())));
    assert!(!store.lead(lead).await.unwrap().unwrap().0.fields.is_empty());
    assert_eq!(store.tombstone(lead).await, Ok(None));
    assert_eq!(store.find(term(1), None, 10).await, Ok(vec![lead]));
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
}

pub async fn a_lease_that_was_lost_wipes_nothing(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let (lead, deliveries) = accepted(&*store, &mut world, &["bigbank"], &[1]).await;
    let mut erasure = wiping(&*store, lead, &deliveries, world.now);
    let current = store.identity().epoch;
    erasure.settlements[0].fence.epoch = Epoch(current.0 - 1);
    assert_eq!(store.wipe(erasure).await, Ok(Wiped::Fenced { current }));
    assert_eq!(store.tombstone(lead).await, Ok(None));
    assert_eq!(store.delivery(deliveries[0].id).await, Ok(Some(deliveries[0].clone())));
}

fn asks(acceptance: Acceptance, terms: &[u8], since: Option<Timestamp>) -> Acceptance {
    let terms = terms.iter().copied().map(term).collect();
    Acceptance { terms, refuse_erased_since: since, ..acceptance }
}

pub async fn what_was_erased_is_barred_for_its_time(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let at = world.now;
    // All are given before one is answered: an acceptance right behind an order meets it.
    let ordered = store.begin_erasure(order(&world, &[1, 2]));
    let refused = asks(world.acceptance("auto", &["bigbank"]), &[9, 2], Some(at));
    let lead = refused.lead.id;
    let answered = store.accept(refused);
    assert!(ordered.await.is_ok());
    assert_eq!(answered.await, Ok(Accepted::Erased { at }));
    assert_eq!(store.lead(lead).await, Ok(None));
    let store = reopen_uncleanly(store, rig);
    let mut world = World::of(&*store);
    world.advance(10);
    let cases = [
        (&[1_u8][..], Some(at), Accepted::Erased { at }),
        (&[1], Some(at.after(Duration::from_millis(1))), Accepted::New),
        (&[1], None, Accepted::New),
        (&[3], Some(at), Accepted::New),
        (&[], Some(at), Accepted::New),
    ];
    for (terms, since, expected) in cases {
        let acceptance = asks(world.acceptance("auto", &["bigbank"]), terms, since);
        assert_eq!(store.accept(acceptance).await, Ok(expected), "{terms:?} since {since:?}");
    }
    // A refused one leaves its key free.
    let guarded = asks(world.guarded("auto", "key-1", 1, HOUR), &[1], Some(at));
    assert_eq!(store.accept(guarded).await, Ok(Accepted::Erased { at }));
    let guarded = world.guarded("auto", "key-1", 1, HOUR);
    assert_eq!(store.accept(guarded).await, Ok(Accepted::New));
    // A later erasure moves the bar, an earlier one does not.
    let later = world.now;
    store.begin_erasure(order(&world, &[1])).await.unwrap();
    store.begin_erasure(Erasure { at, ..order(&world, &[1]) }).await.unwrap();
    let acceptance = asks(world.acceptance("auto", &["bigbank"]), &[1], Some(later));
    assert_eq!(store.accept(acceptance).await, Ok(Accepted::Erased { at: later }));
}

pub async fn an_order_outlasts_an_unclean_stop(rig: &mut dyn Rig) {
    let store = rig.open();
    let world = World::of(&*store);
    let lead = LeadId::from_raw(77);
    let first = Erasure { reason: Some("ticket 7".into()), lead, ..order(&world, &[1, 2]) };
    let number = store.begin_erasure(first.clone()).await.unwrap();
    let second = store.begin_erasure(order(&world, &[3])).await.unwrap();
    assert!(second > number);
    let store = reopen_uncleanly(store, rig);
    let kept = Erasure { number, ..first };
    assert_eq!(store.unfinished_erasures().await.unwrap(), [kept, Erasure { number: second, ..order(&world, &[3]) }]);
    assert_eq!(store.finish_erasure(number, world.now).await, Ok(()));
    assert!(matches!(store.finish_erasure(99, world.now).await, Err(StoreError::Unreadable { .. })));
    let store = reopen_cleanly(store, rig).await;
    let numbers: Vec<u64> = store.unfinished_erasures().await.unwrap().iter().map(|order| order.number).collect();
    assert_eq!(numbers, [second]);
    assert!(store.begin_erasure(order(&world, &[])).await.unwrap() > second);
}

pub async fn keys_of_a_wiped_lead_are_forgotten(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let (first, other) = (world.guarded("auto", "key-1", 1, HOUR), world.guarded("auto", "key-2", 1, HOUR));
    let (lead, deliveries, kept) = (first.lead.id, first.deliveries.clone(), other.lead.id);
    for acceptance in [first, other] {
        assert_eq!(store.accept(acceptance).await, Ok(Accepted::New));
    }
    assert_eq!(store.wipe(wiping(&*store, lead, &deliveries, world.now)).await, Ok(Wiped::Applied));
    let again = world.guarded("auto", "key-1", 2, HOUR);
    assert_eq!(store.accept(again).await, Ok(Accepted::New));
    let replay = world.guarded("auto", "key-2", 1, HOUR);
    assert_eq!(store.accept(replay).await, Ok(Accepted::Replay { lead: kept }));
}

pub async fn marks_find_what_was_tried_or_delivered(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut deliveries = Vec::new();
    for number in 0..5 {
        world.advance(40 * 3_600_000);
        let mut acceptance = world.acceptance("auto", &["bigbank", "smallbank"]);
        let mark = if number == 4 { 8 } else { 7 };
        acceptance.marks = vec![(term(mark), acceptance.deliveries[0].id), (term(9), acceptance.deliveries[1].id)];
        let delivery = acceptance.deliveries[0].clone();
        store.accept(acceptance).await.unwrap();
        deliveries.push(delivery);
    }
    let waiting = world.settled(&*store, &deliveries[1], State::Waiting { due: world.now }).await;
    let delivered = State::Delivered { at: world.now, probable: false, by_hand: true };
    let mut by_hand = settlement(&*store, &deliveries[2], delivered, world.now);
    by_hand.delivery.attempts = 0;
    let by_hand_after = by_hand.delivery.clone();
    assert_eq!(store.settle(by_hand).await, Ok(Settled::Applied));
    let first = DeliveryId::from_raw(0).unwrap();
    assert_eq!(store.marked(term(7), first, 10).await, Ok(vec![waiting.clone(), by_hand_after.clone()]));
    assert_eq!(store.marked(term(7), first, 1).await, Ok(vec![waiting.clone()]));
    assert_eq!(store.marked(term(7), waiting.id, 10).await, Ok(vec![by_hand_after]));
    assert_eq!(store.marked(term(8), first, 10).await, Ok(Vec::new()));
    let mut doubted = settlement(&*store, &deliveries[4], deliveries[4].state.clone(), world.now);
    (doubted.delivery.attempts, doubted.delivery.progress.attempts) = (0, 0);
    doubted.delivery.progress.in_doubt = true;
    let in_doubt = doubted.delivery.clone();
    assert_eq!(store.settle(doubted).await, Ok(Settled::Applied));
    assert_eq!(store.marked(term(8), first, 10).await, Ok(vec![in_doubt]), "it may have been sent");
    let both = store.lead(waiting.lead).await.unwrap().unwrap().1;
    assert_eq!(store.wipe(wiping(&*store, waiting.lead, &both, world.now)).await, Ok(Wiped::Applied));
    assert_eq!(store.marked(term(7), first, 10).await.unwrap().len(), 1);
}

pub async fn a_second_wiping_is_harmless(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let (lead, deliveries) = accepted(&*store, &mut world, &["bigbank"], &[1]).await;
    let first = world.now;
    store.wipe(wiping(&*store, lead, &deliveries, first)).await.unwrap();
    world.advance(10);
    let deliveries = store.lead(lead).await.unwrap().unwrap().1;
    assert_eq!(store.wipe(wiping(&*store, lead, &deliveries, world.now)).await, Ok(Wiped::Applied));
    assert_eq!(store.tombstone(lead).await, Ok(Some(tombstone(first))));
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
    let mut from = Some(0);
    while let Some(step) = from {
        from = store.scrub(step).await.unwrap();
    }
    assert_eq!(store.lead(lead).await.unwrap().unwrap().1.len(), 1);
}
