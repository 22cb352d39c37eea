//! Lists and single questions: nothing missing, nothing twice, newest first.

use super::{Rig, World, walk};
use crate::{Filter, Store};
use std::time::Duration;
use steadfast_lead::{DeliveryId, FlowName, LeadId, RecipientName, Timestamp};
use steadfast_retry::{Delivery, Entry, FailureKind, HoldReason, ReviewCause, State, StateName};

fn state(number: usize, now: Timestamp) -> Option<State> {
    let soon = now.after(Duration::from_secs(30));
    match number % 7 {
        0 => None,
        1 => Some(State::Held { due: now, until: soon, why: HoldReason::RetryAfter }),
        2 | 3 => Some(State::Delivered { at: now, probable: false, by_hand: false }),
        4 => Some(State::Rejected { at: now, kind: FailureKind::Rejected }),
        5 => Some(State::InReview { since: now, cause: ReviewCause::FinalError }),
        _ => Some(State::Waiting { due: soon }),
    }
}

async fn filled(store: &dyn Store, world: &mut World) -> Vec<Delivery> {
    let mut all = Vec::new();
    for number in 0..60 {
        let flow = ["auto", "home", "auto"][number % 3];
        let recipients: &[&str] = [&["a"][..], &["b", "a"], &["a", "b", "c"]][number % 3];
        for (place, before) in world.accepted(store, flow, recipients).await.into_iter().enumerate() {
            all.push(match state(number + 3 * place, world.now) {
                Some(state) => world.settled(store, &before, state).await,
                None => before,
            });
        }
        if number % 4 == 0 {
            world.advance(1);
        }
    }
    all.reverse();
    all
}

fn fits(filter: &Filter, delivery: &Delivery) -> bool {
    filter.state.is_none_or(|state| state == delivery.state.name())
        && filter.recipient.as_ref().is_none_or(|recipient| *recipient == delivery.endpoint.recipient)
        && filter.flow.as_ref().is_none_or(|flow| *flow == delivery.flow)
        && filter.kind.as_deref().is_none_or(|kind| Some(kind) == delivery.last_kind)
        && filter.since.is_none_or(|since| delivery.accepted_at >= since)
        && filter.until.is_none_or(|until| delivery.accepted_at < until)
}

fn filters(start: Timestamp) -> Vec<Filter> {
    let name = |text| Some(RecipientName::new(text).unwrap());
    let flow = |text| Some(FlowName::new(text).unwrap());
    let at = |millis| Some(start.after(Duration::from_millis(millis)));
    let states = || [None].into_iter().chain(StateName::ALL.iter().copied().map(Some));
    let mut filters: Vec<Filter> = states().map(|state| Filter { state, ..Filter::default() }).collect();
    let names = [None, name("a"), name("c"), name("nobody")];
    filters = vary(filters, &names, |filter, recipient| Filter { recipient, ..filter });
    let flows = [None, flow("auto"), flow("home"), flow("nothing")];
    filters = vary(filters, &flows, |filter, flow| Filter { flow, ..filter });
    let kinds = [None, Some("rejected".into()), Some("rate_limited".into()), Some("nonsense".into())];
    filters = vary(filters, &kinds, |filter, kind| Filter { kind, ..filter });
    let spans = [(None, None), (at(3), None), (at(2), at(9))];
    vary(filters, &spans, |filter, (since, until)| Filter { since, until, ..filter })
}

/// Every filter with every value.
fn vary<T: Clone>(filters: Vec<Filter>, values: &[T], with: impl Fn(Filter, T) -> Filter) -> Vec<Filter> {
    let pairs = filters.iter().flat_map(|filter| values.iter().map(move |value| (filter.clone(), value.clone())));
    pairs.map(|(filter, value)| with(filter, value)).collect()
}

pub async fn every_filter_gives_what_fits_newest_first(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let start = world.now;
    let all = filled(&*store, &mut world).await;
    let mut met = 0;
    for filter in filters(start) {
        let expected: Vec<Delivery> = all.iter().filter(|delivery| fits(&filter, delivery)).cloned().collect();
        met += usize::from(!expected.is_empty());
        for limit in [7, 1_000] {
            assert_eq!(walk(&*store, &filter, limit).await, expected, "{filter:?} by {limit}");
        }
    }
    assert!(met > 50, "too few filters let anything through: {met}");
    assert_eq!(walk(&*store, &Filter::default(), 1).await, all);
}

/// Most of a page may come from one recipient.
pub async fn a_long_run_of_one_recipient_is_listed_whole(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut all = Vec::new();
    for number in 0..120 {
        let recipient = if number % 40 < 30 { "busy" } else { ["a", "b", "c", "d"][number % 4] };
        all.extend(world.accepted(&*store, "auto", &[recipient]).await);
    }
    all.reverse();
    let filter = Filter { flow: Some(FlowName::new("auto").unwrap()), ..Filter::default() };
    for limit in [1, 10, 50, 500] {
        assert_eq!(walk(&*store, &filter, limit).await, all, "by {limit}");
    }
}

pub async fn time_bounds_cut_at_the_millisecond(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut all = Vec::new();
    for _ in 0..5 {
        all.extend(world.accepted(&*store, "auto", &["a", "b"]).await);
        world.advance(1);
    }
    let start = all[0].accepted_at;
    let at = |millis| Some(start.after(Duration::from_millis(millis)));
    for (since, until) in [(0, 5), (1, 4), (2, 3), (3, 3), (4, 9), (5, 9)] {
        let filter = Filter { since: at(since), until: at(until), ..Filter::default() };
        let expected: Vec<DeliveryId> =
            all.iter().rev().filter(|delivery| fits(&filter, delivery)).map(|delivery| delivery.id).collect();
        let listed: Vec<DeliveryId> = walk(&*store, &filter, 3).await.iter().map(|delivery| delivery.id).collect();
        assert_eq!(listed, expected, "{since} to {until}");
    }
    for bound in [Timestamp::MIN, Timestamp::MAX] {
        let before = Filter { until: Some(bound), ..Filter::default() };
        assert_eq!(walk(&*store, &before, 100).await.len(), if bound == Timestamp::MAX { 10 } else { 0 });
        let after = Filter { since: Some(bound), ..Filter::default() };
        assert_eq!(walk(&*store, &after, 100).await.len(), if bound == Timestamp::MIN { 10 } else { 0 });
    }
}

pub async fn history_is_in_order(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut deliveries = world.accepted(&*store, "auto", &["a", "b"]).await;
    let mut entries = vec![Vec::new(), Vec::new()];
    for round in 0..12 {
        world.advance(1_000);
        let place = usize::from(round % 3 == 0);
        let state = State::Waiting { due: world.now };
        let settlement = super::settlement(&*store, &deliveries[place], state, world.now);
        entries[place].push(settlement.entry.clone());
        deliveries[place] = settlement.delivery.clone();
        store.settle(settlement).await.unwrap();
    }
    for (delivery, entries) in deliveries.iter().zip(&entries) {
        for (skip, limit) in [(0, 100), (0, 2), (1, 3), (3, 100), (50, 1), (0, 0)] {
            let expected: Vec<Entry> = entries.iter().skip(skip).take(limit).cloned().collect();
            assert_eq!(store.history(delivery.id, skip, limit).await, Ok(expected), "{skip} {limit}");
        }
    }
}

pub async fn unknown_things_are_not_there(rig: &mut dyn Rig) {
    let store = rig.open();
    let (delivery, lead) = (DeliveryId::from_raw(77).unwrap(), LeadId::from_raw(77).unwrap());
    assert_eq!(store.delivery(delivery).await, Ok(None));
    assert_eq!(store.load(delivery).await, Ok(None));
    assert_eq!(store.lead(lead).await, Ok(None));
    assert_eq!(store.history(delivery, 0, 10).await, Ok(vec![]));
    assert_eq!(store.counts().await, Ok(vec![]));
    assert_eq!(walk(&*store, &Filter::default(), 10).await, []);
    assert_eq!(store.newest_config().await, Ok(None));
}
