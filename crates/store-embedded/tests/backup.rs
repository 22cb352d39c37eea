//! A copy of a store that is in use, and a store of an earlier format brought along.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use steadfast_lead::{NodeNumber, Timestamp};
use steadfast_retry::StateName;
use steadfast_store::conformance::{World, recounted, walk};
use steadfast_store::{
    Accepted, ConfigVersions, Cursor, Deliveries, Erasures, Filter, Journal, QueueKey, Queues, Store, Term, TermKey,
    Writes,
};
use steadfast_store_embedded::{BackupError, EmbeddedStore, Migrated, OpenError, Options, back_up, examine, migrate};
use tempfile::TempDir;

const FILE: &str = "steadfast.db";
const FORMAT_2: &str = include_str!("fixtures/format-2.sql");

fn open(folder: &Path) -> Result<Arc<EmbeddedStore>, OpenError> {
    let now = Arc::new(|| Timestamp::from_millis(1_795_000_000_000));
    EmbeddedStore::open(folder, Options::new(42, TermKey::new([7; 32]), NodeNumber(1), now))
}

fn of_format_2() -> TempDir {
    let folder = TempDir::new().unwrap();
    rusqlite::Connection::open(folder.path().join(FILE)).unwrap().execute_batch(FORMAT_2).unwrap();
    folder
}

#[tokio::test]
async fn a_copy_of_a_store_in_use_is_one_moment_of_it() {
    let (folder, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(folder.path()).unwrap();
    let mut world = World::of(&*store);
    let before = world.accepted(&*store, "auto", &["bigbank", "smallbank"]).await;
    store.take_durably(before[0].id).await.unwrap();
    let under_way: Vec<_> = (0..200).map(|_| store.accept(world.acceptance("auto", &["bigbank"]))).collect();
    let copy = to.path().join("copy");
    let made = back_up(folder.path(), &copy).unwrap();
    for answer in under_way {
        assert_eq!(answer.await, Ok(Accepted::New));
    }
    assert_eq!(examine(&copy).unwrap(), made);
    assert!((2..=202).contains(&made.deliveries) && made.open == made.deliveries, "{made:?}");
    let copied = open(&copy).unwrap();
    assert!(!copied.identity().clean, "it was in use");
    assert_eq!(copied.taken().await, Ok(vec![before[0].id]));
    assert_eq!(copied.counts().await.unwrap(), recounted(&*copied).await);
    assert_eq!(walk(&*copied, &Filter::default(), 100).await.len() as u64, made.deliveries);
    assert_eq!(walk(&*store, &Filter::default(), 100).await.len(), 202);
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_half_made_is_left() {
    let (folder, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    assert!(matches!(back_up(folder.path(), to.path()), Err(BackupError::Nothing { .. })));
    let store = open(folder.path()).unwrap();
    back_up(folder.path(), to.path()).unwrap();
    let before = fs::read(to.path().join(FILE)).unwrap();
    assert!(matches!(back_up(folder.path(), to.path()), Err(BackupError::There { .. })));
    assert_eq!(fs::read(to.path().join(FILE)).unwrap(), before);
    // Where the copy cannot be written, nothing stands under its name.
    let file = to.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert!(matches!(back_up(folder.path(), &file), Err(BackupError::Failed { .. })));
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_damaged_copy_is_found_out() {
    let (folder, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(folder.path()).unwrap();
    let mut world = World::of(&*store);
    for _ in 0..50 {
        world.accepted(&*store, "auto", &["bigbank"]).await;
    }
    back_up(folder.path(), to.path()).unwrap();
    let file = to.path().join(FILE);
    let mut opened = OpenOptions::new().read(true).write(true).open(&file).unwrap();
    // The head of some page in the middle.
    opened.seek(SeekFrom::Start(4_096 * 8)).unwrap();
    let mut head = [0; 64];
    opened.read_exact(&mut head).unwrap();
    opened.seek(SeekFrom::Start(4_096 * 8)).unwrap();
    opened.write_all(&head.map(|byte| !byte)).unwrap();
    assert!(matches!(examine(to.path()), Err(BackupError::Damaged { .. })));
    opened.set_len(4_096 * 9).unwrap();
    assert!(matches!(examine(to.path()), Err(BackupError::Damaged { .. })));
    fs::write(&file, "not a database at all, but long enough to look at").unwrap();
    assert!(matches!(examine(to.path()), Err(BackupError::Foreign { .. })));
}

#[tokio::test]
async fn an_earlier_format_is_refused_with_the_command_to_run_and_opens_after_it() {
    let folder = of_format_2();
    let said = open(folder.path()).err().expect("it must be refused").to_string();
    let command = format!("`steadfast migrate --data {}`", folder.path().display());
    assert!(said.contains(&command) && said.contains("format 2") && said.contains("format 8"), "{said}");
    let backup = folder.path().join("before-format-8");
    let done = migrate(folder.path(), None).unwrap();
    assert_eq!(done, Migrated { from: 2, to: 8, backup: Some(backup.clone()) });
    assert_eq!(examine(&backup).unwrap().format, 2);
    assert_eq!(migrate(folder.path(), None).unwrap(), Migrated { from: 8, to: 8, backup: None });
    let store = open(folder.path()).unwrap();
    assert!(!store.identity().clean);
    let deliveries = walk(&*store, &Filter::default(), 100).await;
    let states: Vec<StateName> = deliveries.iter().rev().map(|delivery| delivery.state.name()).collect();
    let expected = [
        StateName::Delivered,
        StateName::Held,
        StateName::Rejected,
        StateName::InReview,
        StateName::Waiting,
        StateName::Closed,
    ];
    assert_eq!(states, expected);
    for state in StateName::ALL {
        let listed = walk(&*store, &Filter { state: Some(*state), ..Filter::default() }, 100).await;
        assert_eq!(listed.len(), states.iter().filter(|other| *other == state).count(), "{state:?}");
    }
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
    assert_eq!(store.taken().await.unwrap().len(), 1);
    let waiting = deliveries.iter().filter(|delivery| delivery.state.next_look().is_some());
    let queues: BTreeSet<QueueKey> = waiting.map(QueueKey::of).collect();
    let heads: BTreeSet<QueueKey> = store.heads().await.unwrap().into_iter().map(|head| head.key).collect();
    assert_eq!(heads, queues, "each waits in the queue it would be put into now");
    assert_eq!(store.events(Cursor(0), 100).await.unwrap().len(), 11);
    assert_eq!(store.find(Term::from_bytes([1; 16]), None, 10).await.unwrap().len(), 1);
    assert_eq!(&*store.newest_config().await.unwrap().unwrap().text, "[flows.auto]\n");
    for delivery in &deliveries {
        assert!(!store.history(delivery.id, 0, 10).await.unwrap().is_empty());
        let (lead, _) = store.lead(delivery.lead).await.unwrap().unwrap();
        assert_eq!(lead.fields.is_empty(), store.tombstone(lead.id).await.unwrap().is_some());
    }
    World::of(&*store).accepted(&*store, "auto", &["bigbank", "new"]).await;
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
}

#[tokio::test]
async fn a_store_in_use_is_not_migrated() {
    let folder = TempDir::new().unwrap();
    let _store = open(folder.path()).unwrap();
    let said = migrate(folder.path(), None).unwrap_err().to_string();
    assert!(said.contains("in use"), "{said}");
    let nowhere = folder.path().join("nowhere");
    let said = migrate(&nowhere, None).unwrap_err().to_string();
    assert!(said.contains("there is no store in") && !nowhere.exists(), "{said}");
}
