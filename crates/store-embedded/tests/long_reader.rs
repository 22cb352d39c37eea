//! Somebody reads for long (a backup of a large store does), and nobody waits for it.

#![allow(clippy::unwrap_used, reason = "a test's own functions may fail it")]
#![allow(clippy::disallowed_methods, reason = "what is tested is that nobody waits, by bounds far from both")]

use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast_lead::{Fields, Lead, NodeNumber, Timestamp, Value};
use steadfast_store::conformance::World;
use steadfast_store::{Acceptance, Accepted, Erasures, StoreError, TermKey, Writes};
use steadfast_store_embedded::{EmbeddedStore, Options};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
/// From here on the log is longer than the writer likes.
const LONG_LOG: u64 = 64 * MIB;

fn open(folder: &Path) -> Arc<EmbeddedStore> {
    let now = Arc::new(|| Timestamp::from_millis(1_795_000_000_000));
    EmbeddedStore::open(folder, Options::new(42, TermKey::new([7; 32]), NodeNumber(1), now)).unwrap()
}

fn log_bytes(folder: &Path) -> u64 {
    std::fs::metadata(folder.join("steadfast.db-wal")).unwrap().len()
}

/// A connection of another process's, as a backup has it, within its snapshot.
fn reader(folder: &Path) -> Connection {
    let connection =
        Connection::open_with_flags(folder.join("steadfast.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    let _leads: i64 = connection.query_row("SELECT count(*) FROM leads", [], |row| row.get(0)).unwrap();
    connection
}

/// A lead of two megabytes, stored.
async fn write(store: &EmbeddedStore, world: &mut World) {
    let acceptance = world.acceptance("auto", &["bigbank"]);
    let mut fields = Fields::new();
    fields.insert("text", Value::text(&"x".repeat(2 << 20))).unwrap();
    let lead = Arc::new(Lead { fields, ..Lead::clone(&acceptance.lead) });
    assert_eq!(store.accept(Acceptance { lead, ..acceptance }).await, Ok(Accepted::New));
}

#[tokio::test]
async fn writes_go_on_at_their_pace_while_somebody_reads_for_long() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut world = World::of(&*store);
    write(&store, &mut world).await;
    let long = reader(folder.path());
    while log_bytes(folder.path()) < LONG_LOG {
        write(&store, &mut world).await;
    }
    // Each of these used to wait two seconds for the reader.
    let began = Instant::now();
    for _ in 0..12 {
        write(&store, &mut world).await;
    }
    let took = began.elapsed();
    assert!(log_bytes(folder.path()) >= LONG_LOG + 24 * MIB, "the reader kept the log from beginning anew");
    assert!(took < Duration::from_secs(15), "12 writes took {took:?}");
    // An erasure is told to come again, and does not hold writes up either.
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(store.scrub(0).await, Err(StoreError::Busy));
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "5 steps of scrubbing took {took:?}");
    drop(long);
    // Without the reader it begins anew, as soon as it was copied.
    for left in (0..100).rev() {
        write(&store, &mut world).await;
        if log_bytes(folder.path()) < LONG_LOG {
            break;
        }
        assert!(left > 0, "it does not begin anew");
    }
    store.close().await.unwrap();
}
