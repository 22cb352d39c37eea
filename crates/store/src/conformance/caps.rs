//! What settlements count for caps is kept with them, and outlasts a restart.

use super::{Rig, World, reopen_uncleanly, settlement};
use crate::{CAPS_PRUNED_MAX, Settled};
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::{CapChange, CapPer, CapPeriod, HoldReason, Settlement, State};

const DAY: Duration = Duration::from_secs(86_400);

fn period(scope: &str, per: CapPer, from: Timestamp) -> CapPeriod {
    CapPeriod { scope: scope.into(), per, from, until: from.after(DAY) }
}

fn with(mut settlement: Settlement, add: &[CapPeriod], keep: &[CapPeriod]) -> Settlement {
    settlement.caps = Some(Box::new(CapChange { add: add.to_vec(), keep: keep.to_vec() }));
    settlement
}

pub async fn what_is_accepted_is_counted_with_its_settlement(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let (day, hour) =
        (period("recipient bank", CapPer::Day, world.now), period("recipient bank", CapPer::Hour, world.now));
    let deliveries = world.accepted(&*store, "auto", &["bank", "mill"]).await;
    let delivered = State::Delivered { at: world.now, probable: false, by_hand: false };
    for delivery in &deliveries {
        let settled = settlement(&*store, delivery, delivered.clone(), world.now);
        let settled =
            with(settled, &[day.clone(), hour.clone()][..if delivery == &deliveries[0] { 2 } else { 1 }], &[]);
        assert_eq!(store.settle(settled.clone()).await, Ok(Settled::Applied));
        // The same one again is stale, and counts nothing.
        assert!(matches!(store.settle(settled).await, Ok(Settled::Stale { .. })));
    }
    let counts = vec![(hour, 1), (day.clone(), 2)];
    let store = reopen_uncleanly(store, rig);
    assert_eq!(store.cap_counts(world.now).await, Ok(counts));
    assert_eq!(store.cap_counts(day.until.after(Duration::from_secs(1))).await, Ok(vec![]));
    assert_eq!(store.cap_places(world.now).await, Ok(vec![]));
}

pub async fn what_may_have_been_taken_keeps_its_place(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let (today, tomorrow) =
        (period("flow auto", CapPer::Day, world.now), period("flow auto", CapPer::Day, world.now.after(DAY)));
    let first = world.accepted(&*store, "auto", &["bank"]).await.remove(0);
    let held = State::Held { due: world.now, until: world.now.after(DAY), why: HoldReason::Cap };
    let doubtful = with(settlement(&*store, &first, held.clone(), world.now), &[], std::slice::from_ref(&today));
    let second = doubtful.delivery.clone();
    assert_eq!(store.settle(doubtful).await, Ok(Settled::Applied));
    let store = reopen_uncleanly(store, rig);
    assert_eq!(store.cap_places(world.now).await, Ok(vec![(first.id, today.clone())]));
    // Without a word about caps nothing changes; with one, what is kept is what it says.
    let third = settlement(&*store, &second, held.clone(), world.now);
    let fourth = with(settlement(&*store, &third.delivery, held, world.now), &[], std::slice::from_ref(&tomorrow));
    assert_eq!(store.settle(third).await, Ok(Settled::Applied));
    assert_eq!(store.cap_places(world.now).await, Ok(vec![(first.id, today)]));
    let delivered = State::Delivered { at: world.now, probable: false, by_hand: false };
    let last = settlement(&*store, &fourth.delivery, delivered, world.now);
    assert_eq!(store.settle(fourth).await, Ok(Settled::Applied));
    assert_eq!(store.cap_places(world.now).await, Ok(vec![(first.id, tomorrow.clone())]));
    assert_eq!(store.settle(with(last, std::slice::from_ref(&tomorrow), &[])).await, Ok(Settled::Applied));
    let store = reopen_uncleanly(store, rig);
    assert_eq!(store.cap_places(world.now).await, Ok(vec![]));
    assert_eq!(store.cap_counts(world.now).await, Ok(vec![(tomorrow, 1)]));
}

pub async fn periods_that_are_over_go_in_small_slices(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let before = world.accepted(&*store, "auto", &["bank"]).await.remove(0);
    let many = CAPS_PRUNED_MAX + 10;
    let old: Vec<CapPeriod> = (0..many).map(|n| period(&format!("flow f{n}"), CapPer::Hour, world.now)).collect();
    let new = period("flow auto", CapPer::Hour, world.now.after(DAY));
    let all: Vec<CapPeriod> = old.iter().chain([&new]).cloned().collect();
    let waiting = State::Waiting { due: world.now };
    let settled = with(settlement(&*store, &before, waiting, world.now), &all, &[old[0].clone(), new.clone()]);
    assert_eq!(store.settle(settled).await, Ok(Settled::Applied));
    let over = old[0].until.after(Duration::from_secs(1));
    let slices = [CAPS_PRUNED_MAX + 1, 10, 0];
    for slice in slices {
        assert_eq!(store.prune_caps(over).await, Ok(slice as u64));
    }
    assert_eq!(store.cap_counts(Timestamp::MIN).await, Ok(vec![(new.clone(), 1)]));
    assert_eq!(store.cap_places(Timestamp::MIN).await, Ok(vec![(before.id, new)]));
}
