//! The journal and the configurations.

use super::{Rig, World, reopen_cleanly, reopen_uncleanly, settlement};
use crate::{ConfigVersion, Cursor, Settled, Store};
use std::sync::Arc;
use steadfast_retry::{Epoch, Event, State};

async fn all_lines(store: &dyn Store, limit: usize) -> Vec<(Cursor, Event)> {
    let mut all: Vec<(Cursor, Event)> = Vec::new();
    loop {
        let after = all.last().map_or(Cursor(0), |(cursor, _)| *cursor);
        let lines = store.events(after, limit).await.unwrap();
        assert!(lines.len() <= limit);
        if lines.is_empty() {
            return all;
        }
        for line in lines {
            assert!(all.last().is_none_or(|last| last.0 < line.0));
            all.push(line);
        }
    }
}

pub async fn no_line_is_skipped(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let (mut expected, mut answers) = (Vec::new(), Vec::new());
    let mut followed = Vec::new();
    for round in 0..60 {
        let acceptance = world.acceptance("auto", &["bigbank"]);
        let before = acceptance.deliveries[0].clone();
        expected.push(acceptance.event.clone());
        let accepted = store.accept(acceptance);
        let due = world.now;
        let mut settlement = settlement(&*store, &before, State::Waiting { due }, world.now);
        if round % 5 == 4 {
            settlement.fence.epoch = Epoch(0);
        } else {
            expected.push(settlement.event.clone());
        }
        answers.push(store.settle(settlement));
        if round % 7 == 0 {
            accepted.await.unwrap();
            let after = followed.last().map_or(Cursor(0), |(cursor, _): &(Cursor, Event)| *cursor);
            followed.extend(store.events(after, 1_000).await.unwrap());
        }
        world.advance(3);
    }
    for (round, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap() == Settled::Applied, round % 5 != 4);
    }
    let after = followed.last().map_or(Cursor(0), |(cursor, _)| *cursor);
    followed.extend(store.events(after, 1_000).await.unwrap());
    for limit in [1, 7, 1_000] {
        assert_eq!(all_lines(&*store, limit).await, followed);
    }
    assert_eq!(followed.iter().map(|(_, event)| event.clone()).collect::<Vec<_>>(), expected);
    let store = reopen_cleanly(store, rig).await;
    assert_eq!(all_lines(&*store, 50).await, followed);
    world.accepted(&*store, "auto", &["bigbank"]).await;
    let store = reopen_uncleanly(store, rig);
    let lines = all_lines(&*store, 50).await;
    assert_eq!(lines[..followed.len()], followed);
    assert_eq!(lines.len(), followed.len() + 1);
}

pub async fn the_tip_moves_with_every_line(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    let mut tip = store.tip();
    assert_eq!(*tip.borrow_and_update(), Cursor(0));
    let delivery = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
    assert!(tip.has_changed().unwrap());
    let first = *tip.borrow_and_update();
    assert_eq!(store.events(Cursor(0), 10).await.unwrap()[0].0, first);
    world.settled(&*store, &delivery, State::Waiting { due: world.now }).await;
    assert!(*tip.borrow_and_update() > first);
    let last = *tip.borrow();
    assert_eq!(store.events(first, 10).await.unwrap().pop().unwrap().0, last);
    assert_eq!(store.events(last, 10).await, Ok(vec![]));
    drop(tip);
    let store = reopen_uncleanly(store, rig);
    assert_eq!(*store.tip().borrow(), last);
}

pub async fn configurations_are_kept(rig: &mut dyn Rig) {
    let mut store = rig.open();
    let world = World::of(&*store);
    let mut expected = Vec::new();
    for number in 1..=5_u64 {
        let text = Arc::from(format!("[server]\n# {number}"));
        let config = ConfigVersion { version: number, at: world.now, by: "file".into(), text };
        assert_eq!(store.save_config(ConfigVersion { version: 99, ..config.clone() }).await, Ok(number));
        assert_eq!(store.newest_config().await, Ok(Some(config.clone())));
        expected.insert(0, config);
        store = reopen_uncleanly(store, rig);
    }
    assert_eq!(store.configs(10).await, Ok(expected.clone()));
    assert_eq!(store.configs(2).await, Ok(expected[..2].to_vec()));
}

pub async fn a_readers_place_is_kept(rig: &mut dyn Rig) {
    let store = rig.open();
    let mut world = World::of(&*store);
    assert_eq!(store.bookmark("one").await, Ok(None));
    world.accepted(&*store, "auto", &["bigbank"]).await;
    let tip = *store.tip().borrow();
    assert_eq!(store.keep_bookmark("one", Cursor(0)).await, Ok(()));
    assert_eq!(store.keep_bookmark("one", tip).await, Ok(()));
    assert_eq!(*store.tip().borrow(), tip, "no line");
    let store = reopen_uncleanly(store, rig);
    assert_eq!((store.bookmark("one").await, store.bookmark("other").await), (Ok(Some(tip)), Ok(None)));
}
