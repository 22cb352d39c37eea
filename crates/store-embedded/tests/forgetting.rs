//! What was wiped is on the disk no more: not in the main file, its free pages, the gaps of its pages, nor in the log.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{NodeNumber, Timestamp, Value};
use steadfast_retry::{Delivery, Entry, Fence, Shard, State, erase};
use steadfast_store::conformance::{World, recounted, settlement};
use steadfast_store::{
    Accepted, Dedupe, Deliveries, Erasures, LeadErasure, Settled, Store, StoreError, Term, TermKey, Tombstone, Wiped,
    Writes,
};
use steadfast_store_embedded::{EmbeddedStore, Options};

const GOES: &str = "goes-away-4711";
const STAYS: &str = "stays-here-0815";
const LEADS: usize = 240;

fn open(folder: &Path) -> Arc<EmbeddedStore> {
    let now = Arc::new(|| Timestamp::from_millis(1_795_000_000_000));
    // A small cache, so that pages go to disk and come back in between.
    let options = Options { cache_bytes: 1 << 20, ..Options::new(42, TermKey::new([7; 32]), NodeNumber(1), now) };
    EmbeddedStore::open(folder, options).unwrap()
}

/// How often a text stands in any file of the folder.
fn on_disk(folder: &Path, text: &str) -> usize {
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    files.map(|bytes| bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count()).sum()
}

fn word(number: usize) -> &'static str {
    if number.is_multiple_of(3) { STAYS } else { GOES }
}

/// Of all sizes: within a page, and over several.
fn text(number: usize, round: usize) -> String {
    word(number).repeat(1 + (number * 7 + round * 131) % 400)
}

async fn accept(store: &EmbeddedStore, world: &mut World, number: usize) -> Vec<Delivery> {
    let mut acceptance = world.acceptance("auto", &["bigbank", "smallbank"]);
    let lead = Arc::get_mut(&mut acceptance.lead).unwrap();
    lead.fields.insert("note", Value::text(&text(number, 5))).unwrap();
    acceptance.terms = vec![Term::from_bytes([u8::try_from(number).unwrap(); 16])];
    let key = format!("{number}-{}", word(number)).into();
    acceptance.dedupe = Some(Dedupe { key, digest: [1; 32], until: world.now.after(Duration::from_secs(9_999)) });
    let deliveries = acceptance.deliveries.clone();
    assert_eq!(store.accept(acceptance).await, Ok(Accepted::New));
    deliveries
}

async fn settle(store: &EmbeddedStore, world: &World, before: &Delivery, said: &str) -> Delivery {
    let mut settlement = settlement(store, before, State::Waiting { due: world.now }, world.now);
    let Entry::Attempt(attempt) = &mut settlement.entry else { panic!("an attempt") };
    attempt.evidence.answer.as_mut().unwrap().body = Bytes::from(said.to_owned());
    attempt.evidence.answer.as_mut().unwrap().headers.push(("x-said".into(), said[..word(0).len() - 1].into()));
    attempt.verdict.reason = Some(said.into());
    let after = settlement.delivery.clone();
    assert_eq!(store.settle(settlement).await, Ok(Settled::Applied));
    after
}

fn erasure(store: &EmbeddedStore, deliveries: &[Delivery], now: Timestamp) -> LeadErasure {
    let epoch = store.identity().epoch;
    let settlements = deliveries
        .iter()
        .map(|before| erase(before, "ann", Fence { shard: Shard::of(&before.endpoint.recipient), epoch }, now))
        .collect();
    let tombstone = Tombstone { at: now, by: "ann".into(), reason: None };
    LeadErasure { lead: deliveries[0].lead, tombstone, settlements }
}

async fn scrub(store: &EmbeddedStore) {
    let mut next = Some(0);
    while let Some(from) = next {
        match store.scrub(from).await {
            Ok(after) => next = after,
            Err(error) => assert_eq!(error, StoreError::Busy),
        }
    }
}

#[tokio::test]
async fn nothing_of_what_was_wiped_is_left_in_any_file() {
    let folder = tempfile::TempDir::new().unwrap();
    let store = open(folder.path());
    let mut world = World::of(&*store);
    let mut leads = Vec::new();
    for number in 0..LEADS {
        world.advance(1);
        leads.push(accept(&store, &mut world, number).await);
    }
    // Histories grow here and there, so that pages are split and rows move.
    for (round, step) in (0..4).flat_map(|round| (0..LEADS).map(move |step| (round, step))) {
        let number = (step * 89 + round * 17) % LEADS;
        for delivery in &mut leads[number] {
            *delivery = settle(&store, &world, delivery, &text(number, round)).await;
        }
    }
    assert!(on_disk(folder.path(), GOES) > LEADS && on_disk(folder.path(), STAYS) > LEADS);
    for (_, deliveries) in leads.iter().enumerate().filter(|(number, _)| word(*number) == GOES) {
        assert_eq!(store.wipe(erasure(&store, deliveries, world.now)).await, Ok(Wiped::Applied));
    }
    scrub(&store).await;
    assert_eq!(on_disk(folder.path(), GOES), 0, "while it runs");
    assert!(on_disk(folder.path(), STAYS) > LEADS);
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
    // Pages that were in memory meanwhile are written again.
    for number in (0..LEADS).filter(|number| word(*number) == STAYS) {
        let before = leads[number][0].clone();
        leads[number][0] = settle(&store, &world, &before, &text(number, 9)).await;
    }
    assert_eq!(on_disk(folder.path(), GOES), 0, "after more was written");
    drop(store);
    let store = open(folder.path());
    assert_eq!(on_disk(folder.path(), GOES), 0, "after a restart");
    for (number, deliveries) in leads.iter().enumerate().filter(|(number, _)| word(*number) == STAYS) {
        let (lead, _) = store.lead(deliveries[0].lead).await.unwrap().unwrap();
        assert_eq!(lead.fields.get("note"), Some(&Value::text(&text(number, 5))));
        assert_eq!(store.history(deliveries[0].id, 0, 10).await.unwrap().len(), 5);
    }
    let checked = rusqlite::Connection::open(folder.path().join("steadfast.db")).unwrap();
    let sound: String = checked.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    assert!(store.tombstone(leads[1][0].lead).await.unwrap().is_some());
    assert!(store.tombstone(leads[0][0].lead).await.unwrap().is_none());
}
