//! What is over its time goes whole, what is not stays whole, and the counts say so.

use super::erasing::{order, term, wiping};
use super::{Rig, World, recounted, reopen_cleanly, reopen_uncleanly, settlement};
use crate::{Accepted, ConfigVersion, Count, Cursor, EXPIRED_MAX, Expired, Expiry, Pruned, Settled, Store, Wiped};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{DeliveryId, FlowName, LeadId};
use steadfast_retry::{CloseReason, Delivery, FailureKind, HoldReason, ReviewCause, State};

const DAY_MILLIS: u64 = 86_400_000;

/// Everything that came so far is over its time.
fn all_over(world: &World) -> Arc<Expiry> {
    let before = Some(world.now.after(Duration::from_millis(1)));
    Arc::new(Expiry { now: world.now, leads: before, journal: before, erasures: before, flows: BTreeMap::new() })
}

/// Every slice, deleted one after the other.
async fn prune_all(store: &dyn Store, expiry: &Arc<Expiry>) -> Pruned {
    let mut pruned = Pruned::default();
    let mut after = None;
    loop {
        let Expired { leads, next } = store.expired(Arc::clone(expiry), after).await.unwrap();
        assert!(leads.len() <= EXPIRED_MAX);
        assert!(leads.is_sorted_by_key(|lead| lead.id) && leads.iter().all(|lead| after.is_none_or(|at| lead.id > at)));
        pruned = pruned.and(store.prune_leads(leads, Arc::clone(expiry)).await.unwrap());
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    loop {
        let slice = store.prune_rest(Arc::clone(expiry)).await.unwrap();
        if slice.is_nothing() {
            return pruned;
        }
        pruned = pruned.and(slice);
    }
}

fn sum(counts: &[Count]) -> u64 {
    counts.iter().map(|count| count.deliveries).sum()
}

fn ends(world: &World) -> [State; 3] {
    [
        State::Delivered { at: world.now, probable: false, by_hand: false },
        State::Rejected { at: world.now, kind: FailureKind::Duplicate },
        State::Closed { at: world.now, why: CloseReason::Dismissed },
    ]
}

async fn with_terms(store: &dyn Store, world: &mut World, recipients: &[&str]) -> (LeadId, Vec<Delivery>) {
    let mut acceptance = world.acceptance("auto", recipients);
    acceptance.terms = vec![term(1)];
    acceptance.marks = acceptance.deliveries.iter().map(|delivery| (term(2), delivery.id)).collect();
    let (lead, deliveries) = (acceptance.lead.id, acceptance.deliveries.clone());
    assert_eq!(store.accept(acceptance).await, Ok(Accepted::New));
    (lead, deliveries)
}

pub async fn what_ended_goes_whole_and_stays_counted(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let (lead, deliveries) = with_terms(&*store, &mut world, &["a", "b", "c"]).await;
    let (young, _) = with_terms(&*store, &mut world, &["a"]).await;
    for (delivery, state) in deliveries.iter().zip(ends(&world)) {
        world.settled(&*store, delivery, state).await;
    }
    let without = world.acceptance("auto", &[]);
    let nothing_planned = without.lead.id;
    store.accept(without).await.unwrap();
    let before = store.counts().await.unwrap();
    world.advance(90 * DAY_MILLIS);
    let expiry = all_over(&world);
    let pruned = prune_all(&*store, &expiry).await;
    assert_eq!((pruned.leads, pruned.deliveries), (2, 3));
    let mut store = store;
    for _ in 0..2 {
        for gone in [lead, nothing_planned] {
            assert_eq!(store.lead(gone).await, Ok(None));
            assert_eq!(store.terms_of(gone).await, Ok(Vec::new()));
        }
        for delivery in &deliveries {
            assert_eq!(store.delivery(delivery.id).await, Ok(None));
            assert_eq!(store.history(delivery.id, 0, 10).await, Ok(Vec::new()));
        }
        assert_eq!(store.find(term(1), None, 10).await, Ok(vec![young]));
        assert_eq!(store.marked(term(2), DeliveryId::from_raw(0).unwrap(), 10).await, Ok(Vec::new()));
        let (counts, gone) = (store.counts().await.unwrap(), store.pruned().await.unwrap());
        assert_eq!(counts, recounted(&*store).await);
        assert!(gone.is_sorted() && sum(&counts) == 1 && sum(&counts) + sum(&gone) == sum(&before), "{gone:?}");
        assert_eq!(gone.iter().map(|count| count.recipient.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(prune_all(&*store, &expiry).await, Pruned::default());
        store = reopen_uncleanly(store, rig);
    }
}

pub async fn ids_of_what_is_gone_are_not_given_again(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let delivery = world.accepted(&*store, "auto", &["a"]).await.remove(0);
    world.settled(&*store, &delivery, ends(&world)[0].clone()).await;
    assert_eq!(prune_all(&*store, &all_over(&world)).await.leads, 1);
    let store = reopen_cleanly(store, rig).await;
    assert_eq!(store.identity().last_id, Some(delivery.id.raw()));
}

pub async fn what_has_not_ended_stays(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let goes_on = [
        State::Waiting { due: world.now },
        State::Held { due: world.now, until: world.now, why: HoldReason::RetryAfter },
        State::InReview { since: world.now, cause: ReviewCause::Exhausted },
    ];
    for state in goes_on {
        let deliveries = world.accepted(&*store, "auto", &["a", "b"]).await;
        world.settled(&*store, &deliveries[0], ends(&world)[0].clone()).await;
        world.settled(&*store, &deliveries[1], state).await;
    }
    world.accepted(&*store, "auto", &["untouched"]).await;
    let before = store.counts().await.unwrap();
    world.advance(9_999 * DAY_MILLIS);
    let pruned = prune_all(&*store, &all_over(&world)).await;
    assert_eq!((pruned.leads, pruned.deliveries), (0, 0));
    assert_eq!(store.counts().await.unwrap(), before);
    assert_eq!(store.pruned().await, Ok(Vec::new()));
    assert_eq!(store.heads().await.unwrap().len(), 2);
}

pub async fn what_changed_since_it_was_found_stays(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut deliveries = Vec::new();
    for _ in 0..3 {
        let delivery = world.accepted(&*store, "auto", &["a"]).await.remove(0);
        deliveries.push(world.settled(&*store, &delivery, ends(&world)[1].clone()).await);
    }
    let expiry = all_over(&world);
    let found = store.expired(Arc::clone(&expiry), None).await.unwrap();
    assert_eq!((found.leads.len(), found.next), (3, None));
    // A person takes one up again, and another ends anew, before they are deleted.
    world.settled(&*store, &deliveries[0], State::Waiting { due: world.now }).await;
    world.settled(&*store, &deliveries[1], ends(&world)[2].clone()).await;
    let pruned = store.prune_leads(found.leads.clone(), Arc::clone(&expiry)).await.unwrap();
    assert_eq!((pruned.leads, pruned.deliveries), (1, 1));
    assert_eq!(store.prune_leads(found.leads, expiry).await.unwrap(), Pruned::default());
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
    // What was made from a deleted delivery finds nothing.
    let late = settlement(&*store, &deliveries[2], ends(&world)[0].clone(), world.now);
    assert_eq!(store.settle(late).await, Ok(Settled::Stale { now: None }));
}

pub async fn a_lead_is_kept_for_its_time_from_its_end(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut accepted = Vec::new();
    for flow in ["auto", "home", "kept"] {
        accepted.push(world.accepted(&*store, flow, &["a"]).await.remove(0));
    }
    world.advance(DAY_MILLIS);
    let ended = world.now;
    for delivery in &accepted {
        world.settled(&*store, delivery, State::Delivered { at: ended, probable: false, by_hand: false }).await;
    }
    let (at_once, after) = (Some(ended), Some(ended.after(Duration::from_millis(1))));
    let flow = |name: &str| FlowName::new(name).unwrap();
    let cases = [
        (at_once, vec![], 0),
        (at_once, vec![("home", after)], 1),
        (after, vec![("kept", None)], 1),
        (None, vec![], 0),
        (None, vec![("kept", after)], 1),
    ];
    for (leads, flows, expected) in cases {
        let flows = flows.into_iter().map(|(name, before)| (flow(name), before)).collect();
        let expiry = Arc::new(Expiry { now: world.now, leads, flows, ..Expiry::default() });
        assert_eq!(prune_all(&*store, &expiry).await.leads, expected, "{expiry:?}");
    }
    assert_eq!(store.counts().await, Ok(Vec::new()));
}

pub async fn many_leads_go_in_slices(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    for number in 0..300_u64 {
        world.advance(10);
        let deliveries = world.accepted(&*store, "auto", &["a", "b"]).await;
        world.settled(&*store, &deliveries[0], ends(&world)[0].clone()).await;
        // Every third is still there afterwards.
        if !number.is_multiple_of(3) {
            world.settled(&*store, &deliveries[1], ends(&world)[2].clone()).await;
        }
    }
    let pruned = prune_all(&*store, &all_over(&world)).await;
    assert_eq!((pruned.leads, pruned.deliveries), (200, 400));
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
    assert_eq!(sum(&store.counts().await.unwrap()), 200);
}

pub async fn a_key_lasts_until_its_own_time(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let hour = Duration::from_secs(3_600);
    let (short, long) = (world.guarded("auto", "short", 1, hour), world.guarded("auto", "long", 1, 3 * hour));
    let kept = long.lead.id;
    for acceptance in [short, long] {
        let delivery = acceptance.deliveries[0].clone();
        assert_eq!(store.accept(acceptance).await, Ok(Accepted::New));
        world.settled(&*store, &delivery, ends(&world)[0].clone()).await;
    }
    world.advance(2 * 3_600_000);
    assert_eq!(prune_all(&*store, &all_over(&world)).await.leads, 2);
    let again = world.guarded("auto", "long", 1, hour);
    assert_eq!(store.accept(again).await, Ok(Accepted::Replay { lead: kept }));
    let again = world.guarded("auto", "short", 2, hour);
    assert_eq!(store.accept(again).await, Ok(Accepted::New));
}

pub async fn old_lines_of_the_journal_go_and_the_newest_stays(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    for _ in 0..40 {
        world.advance(1_000);
        world.accepted(&*store, "auto", &["a"]).await;
    }
    let all = store.events(Cursor(0), 100).await.unwrap();
    assert_eq!(store.journal_pruned_to().await, Ok(Cursor(0)));
    let before = Some(all[25].1.at);
    let expiry = Arc::new(Expiry { now: world.now, journal: before, ..Expiry::default() });
    assert_eq!(prune_all(&*store, &expiry).await.journal, 25);
    assert_eq!(store.journal_pruned_to().await, Ok(all[24].0));
    assert_eq!(store.events(Cursor(0), 100).await.unwrap(), all[25..]);
    assert_eq!(store.events(all[30].0, 100).await.unwrap(), all[31..]);
    world.advance(DAY_MILLIS);
    prune_all(&*store, &all_over(&world)).await;
    let store = reopen_uncleanly(store, rig);
    assert_eq!(store.events(Cursor(0), 100).await.unwrap(), all[39..]);
    assert_eq!(*store.tip().borrow(), all[39].0);
    assert_eq!(store.journal_pruned_to().await, Ok(all[38].0));
    // Lines that follow have later cursors than any before.
    World::of(&*store).accepted(&*store, "auto", &["b"]).await;
    let new = store.events(all[39].0, 100).await.unwrap();
    assert!(new.len() == 1 && new[0].0 > all[39].0, "{new:?}");
}

pub async fn configurations_go_once_they_gave_way(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    for number in 1..=4 {
        let config = ConfigVersion { version: 0, at: world.now, by: "file".into(), text: format!("# {number}").into() };
        store.save_config(config).await.unwrap();
        world.advance(DAY_MILLIS);
    }
    let versions = |configs: Vec<ConfigVersion>| configs.iter().map(|config| config.version).collect::<Vec<_>>();
    let at = |version: usize| {
        let configs = store.configs(10);
        async move { configs.await.unwrap().iter().rev().nth(version - 1).unwrap().at }
    };
    // What was in force at that time was saved before it.
    let before = Some(at(3).await.after(Duration::from_millis(1)));
    let expiry = Arc::new(Expiry { now: world.now, leads: before, ..Expiry::default() });
    assert_eq!(prune_all(&*store, &expiry).await.configs, 2);
    assert_eq!(versions(store.configs(10).await.unwrap()), [4, 3]);
    prune_all(&*store, &all_over(&world)).await;
    let store = reopen_uncleanly(store, rig);
    assert_eq!(versions(store.configs(10).await.unwrap()), [4]);
    let next = ConfigVersion { version: 0, at: world.now, by: "file".into(), text: "# 5".into() };
    assert_eq!(store.save_config(next).await, Ok(5));
}

pub async fn what_is_kept_of_the_erased_has_its_own_time(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let (lead, deliveries) = with_terms(&*store, &mut world, &["a"]).await;
    let at = world.now;
    let first = store.begin_erasure(order(&world, &[1])).await.unwrap();
    assert_eq!(store.wipe(wiping(&*store, lead, &deliveries, world.now)).await, Ok(Wiped::Applied));
    store.finish_erasure(first, world.now).await.unwrap();
    world.advance(100 * DAY_MILLIS);
    let unfinished = store.begin_erasure(order(&world, &[2])).await.unwrap();
    world.advance(DAY_MILLIS);
    let before = Some(world.now);
    let leads_only = Arc::new(Expiry { now: world.now, leads: before, erasures: Some(at), ..Expiry::default() });
    assert_eq!(prune_all(&*store, &leads_only).await, Pruned::default());
    assert!(store.tombstone(lead).await.unwrap().is_some());
    let mut barred = world.acceptance("auto", &["a"]);
    barred.terms = vec![term(1)];
    barred.refuse_erased_since = Some(at);
    assert_eq!(store.accept(barred.clone()).await, Ok(Accepted::Erased { at }));
    let expiry = Expiry { erasures: Some(at.after(Duration::from_millis(1))), ..Expiry::clone(&leads_only) };
    let pruned = prune_all(&*store, &Arc::new(expiry)).await;
    assert_eq!((pruned.leads, pruned.erasures), (1, 2), "the lead; its order and its term");
    assert_eq!(store.tombstone(lead).await, Ok(None));
    assert_eq!(store.accept(barred).await, Ok(Accepted::New));
    // The order that is not carried out stays, and numbers are not given again.
    prune_all(&*store, &all_over(&world)).await;
    assert_eq!(store.unfinished_erasures().await.unwrap()[0].number, unfinished);
    store.finish_erasure(unfinished, world.now).await.unwrap();
    prune_all(&*store, &all_over(&world)).await;
    assert!(store.begin_erasure(order(&world, &[3])).await.unwrap() > unfinished);
}
