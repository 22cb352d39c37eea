//! One change is one transaction, read from the log itself: whatever is told apart on disk could be torn apart by a crash.

#![allow(clippy::unwrap_used, reason = "a test's own functions may fail it")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{NodeNumber, Timestamp};
use steadfast_retry::{EndpointPause, State};
use steadfast_store::conformance::{World, settlement};
use steadfast_store::{Acceptance, Accepted, Dedupe, Settled, TermKey, Writes};
use steadfast_store_embedded::{EmbeddedStore, Options};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn open(folder: &Path) -> Arc<EmbeddedStore> {
    EmbeddedStore::open(folder, Options::new(42, TermKey::new([7; 32]), NodeNumber(1), Arc::new(|| NOW))).unwrap()
}

/// How many transactions the log holds: the frames that say how large the file is after them.
fn commits(folder: &Path) -> usize {
    const HEADER_BYTES: usize = 32;
    const FRAME_HEADER_BYTES: usize = 24;
    let log = std::fs::read(folder.join("steadfast.db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    if log.len() < HEADER_BYTES {
        return 0;
    }
    let frame_bytes = FRAME_HEADER_BYTES + usize::try_from(number(8)).unwrap();
    let frames = (log.len() - HEADER_BYTES) / frame_bytes;
    (0..frames).filter(|frame| number(HEADER_BYTES + frame * frame_bytes + 4) != 0).count()
}

#[tokio::test]
async fn an_acceptance_with_its_key_and_a_settlement_with_its_counts_are_one_transaction_each() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut world = World::of(&*store);
    let until = NOW.after(Duration::from_secs(3_600));
    let dedupe = Some(Dedupe { key: "k".into(), digest: [1; 32], until });
    let acceptance = Acceptance { dedupe, ..world.acceptance("auto", &["bigbank", "other"]) };
    let delivery = acceptance.deliveries[0].clone();
    let before = commits(folder.path());
    assert_eq!(store.accept(acceptance).await, Ok(Accepted::New));
    let between = commits(folder.path());
    assert_eq!(between, before + 1, "an acceptance");
    store.take_durably(delivery.id).await.unwrap();
    let taken = commits(folder.path());
    assert_eq!(taken, between + 1, "a mark");
    let delivered = State::Delivered { at: NOW, probable: false, by_hand: false };
    let mut settlement = settlement(&*store, &delivery, delivered, NOW);
    settlement.pause = Some(EndpointPause { endpoint: delivery.endpoint.clone(), until });
    assert_eq!(store.settle(settlement).await, Ok(Settled::Applied));
    assert_eq!(commits(folder.path()), taken + 1, "a settlement");
}
