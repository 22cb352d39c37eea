//! The log is synced before an acceptance is answered, and never grows without bound.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use steadfast_lead::{NodeNumber, Timestamp};
use steadfast_store::conformance::World;
use steadfast_store::{Accepted, Deliveries, Filter, TermKey, Writes};
use steadfast_store_embedded::{EmbeddedStore, Options};
use tempfile::TempDir;

const FOLDER: &str = "STEADFAST_SYNCED_FOLDER";
const LEADS: usize = 50;

fn open(folder: &Path) -> Arc<EmbeddedStore> {
    let now = Arc::new(|| Timestamp::from_millis(1_795_000_000_000));
    EmbeddedStore::open(folder, Options::new(42, TermKey::new([7; 32]), NodeNumber(1), now)).unwrap()
}

/// Does nothing unless started by the test below: accepts one lead after the other, and says so.
#[tokio::test]
async fn acceptor() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = open(Path::new(&folder));
    let mut world = World::of(&*store);
    for number in 0..LEADS {
        assert_eq!(store.accept(world.acceptance("auto", &["bigbank"])).await, Ok(Accepted::New));
        println!("acknowledged {number}");
    }
}

/// Looks at what the system is asked to do. A kill cannot show a missing sync, because the system keeps what was written.
#[test]
fn every_answer_comes_after_a_sync() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: there is no strace here");
        return;
    }
    let folder = TempDir::new().unwrap();
    let trace = folder.path().join("trace");
    let done = Command::new("strace")
        .args(["-f", "-e", "trace=fsync,fdatasync,write", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "acceptor", "--nocapture"])
        .env(FOLDER, folder.path().join("data"))
        .output()
        .unwrap();
    let text = std::fs::read_to_string(&trace).unwrap_or_default();
    if text.is_empty() {
        eprintln!("skipped: strace may not trace here: {}", String::from_utf8_lossy(&done.stderr));
        return;
    }
    let (mut synced, mut answers) = (false, 0);
    for line in text.lines() {
        if line.contains("sync") && line.ends_with("= 0") {
            synced = true;
        } else if line.contains("acknowledged") {
            assert!(synced, "answer {answers} came without a sync before it: {line}");
            (synced, answers) = (false, answers + 1);
        }
    }
    assert_eq!(answers, LEADS);
}

#[tokio::test]
async fn the_log_stays_short_under_load_with_readers() {
    const BYTES_MAX: u64 = 20 << 20;
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut world = World::of(&*store);
    let log = folder.path().join("steadfast.db-wal");
    let mut largest = 0;
    for _ in 0..120 {
        let answers: Vec<_> = (0..250).map(|_| store.accept(world.acceptance("auto", &["bigbank"]))).collect();
        let lists: Vec<_> = (0..20).map(|_| store.list(Filter::default(), None, 200)).collect();
        for answer in answers {
            assert_eq!(answer.await, Ok(Accepted::New));
        }
        for list in lists {
            assert!(list.await.is_ok());
        }
        largest = largest.max(std::fs::metadata(&log).unwrap().len());
    }
    assert!(largest < BYTES_MAX, "the log grew to {largest} bytes");
}
