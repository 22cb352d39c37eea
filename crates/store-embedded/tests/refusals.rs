//! What a data folder may be that cannot be opened, and what happens when there is no room: said clearly, nothing lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use steadfast_lead::{NodeNumber, Timestamp};
use steadfast_retry::State;
use steadfast_store::conformance::{World, recounted, settlement};
use steadfast_store::{Accepted, Deliveries, Health, Queues, Settled, Store, StoreError, TermKey, Writes};
use steadfast_store_embedded::{EmbeddedStore, OpenError, Options};
use tempfile::TempDir;

const CRAMPED: &str = "STEADFAST_CRAMPED_FOLDER";

fn options() -> Options {
    Options::new(42, TermKey::new([7; 32]), NodeNumber(1), Arc::new(|| Timestamp::from_millis(1_795_000_000_000)))
}

fn open(folder: &Path) -> Result<Arc<EmbeddedStore>, OpenError> {
    EmbeddedStore::open(folder, options())
}

fn refusal(folder: &Path) -> OpenError {
    open(folder).err().expect("it must be refused")
}

async fn filled(folder: &Path, leads: usize) -> Arc<EmbeddedStore> {
    let store = open(folder).unwrap();
    let mut world = World::of(&*store);
    let answers: Vec<_> = (0..leads).map(|_| store.accept(world.acceptance("auto", &["bigbank"]))).collect();
    for answer in answers {
        assert_eq!(answer.await, Ok(Accepted::New));
    }
    store
}

fn cut(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    OpenOptions::new().write(true).open(file).unwrap().set_len(length / 2).unwrap();
}

#[tokio::test]
async fn a_truncated_file_is_refused_by_its_sizes() {
    let folder = TempDir::new().unwrap();
    filled(folder.path(), 200).await.close().await.unwrap();
    let file = folder.path().join("steadfast.db");
    let whole = fs::metadata(&file).unwrap().len();
    cut(&file);
    let said = refusal(folder.path());
    let OpenError::Truncated { expected_bytes, found_bytes, .. } = said else { panic!("{said}") };
    assert_eq!((expected_bytes, found_bytes), (whole, whole / 2));
    cut(&file);
    assert!(refusal(folder.path()).to_string().contains("is cut off"));
}

/// The files as a power cut would leave them: copied while the store is open.
#[tokio::test]
async fn a_log_that_was_not_copied_back_yet_counts_as_there() {
    let (folder, image) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    filled(folder.path(), 1_500).await.close().await.unwrap();
    let store = filled(folder.path(), 300).await;
    for name in ["steadfast.db", "steadfast.db-wal"] {
        fs::copy(folder.path().join(name), image.path().join(name)).unwrap();
    }
    let counts = store.counts().await.unwrap();
    assert_eq!(counts[0].deliveries, 1_800);
    let copy = open(image.path()).unwrap();
    assert_eq!(copy.counts().await.unwrap(), counts);
    drop(copy);
    for name in ["steadfast.db", "steadfast.db-wal"] {
        fs::copy(folder.path().join(name), image.path().join(name)).unwrap();
    }
    cut(&image.path().join("steadfast.db"));
    assert!(matches!(refusal(image.path()), OpenError::Truncated { .. }));
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("steadfast.db");
    let text = "this is somebody's novel, and it is longer than a hundred bytes so that nobody takes it for a stub: chapter one";
    fs::write(&file, text).unwrap();
    assert!(matches!(refusal(folder.path()), OpenError::Foreign { .. }));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    fs::remove_file(&file).unwrap();
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup')").unwrap();
    drop(other);
    let before = fs::read(&file).unwrap();
    let said = refusal(folder.path()).to_string();
    assert!(said.contains("is not a Steadfast store"), "{said}");
    let other = rusqlite::Connection::open(&file).unwrap();
    other.pragma_update(None, "application_id", 77).unwrap();
    drop(other);
    assert!(matches!(refusal(folder.path()), OpenError::Foreign { .. }));
    assert_eq!(fs::read(&file).unwrap().len(), before.len());
}

#[tokio::test]
async fn a_later_format_is_refused_with_both_numbers() {
    let folder = TempDir::new().unwrap();
    filled(folder.path(), 3).await.close().await.unwrap();
    let file = folder.path().join("steadfast.db");
    let later = rusqlite::Connection::open(&file).unwrap();
    later.pragma_update(None, "user_version", 9).unwrap();
    drop(later);
    let said = refusal(folder.path()).to_string();
    assert!(said.contains("format 9") && said.contains("up to 8"), "{said}");
}

#[tokio::test]
async fn a_format_from_before_the_first_release_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    filled(folder.path(), 3).await.close().await.unwrap();
    let earlier = rusqlite::Connection::open(folder.path().join("steadfast.db")).unwrap();
    earlier.pragma_update(None, "user_version", 1).unwrap();
    drop(earlier);
    assert!(matches!(refusal(folder.path()), OpenError::TooOld { found: 1, known: 8, .. }));
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_it() {
    let folder = TempDir::new().unwrap();
    let store = filled(folder.path(), 1).await;
    let said = refusal(folder.path()).to_string();
    assert!(said.contains(&folder.path().display().to_string()), "{said}");
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    drop(store);
    open(folder.path()).unwrap();
}

#[test]
fn a_folder_that_is_a_file_or_cannot_be_written_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("data");
    File::create(&file).unwrap();
    assert!(matches!(refusal(&file), OpenError::NotAFolder { .. }));
    assert!(matches!(refusal(&file.join("below")), OpenError::Unusable { .. }));

    // Where even root may not write, whoever runs this test.
    let said = refusal(Path::new("/proc/steadfast-data")).to_string();
    assert!(said.contains("the data folder /proc/steadfast-data cannot be used"), "{said}");
}

/// A store whose making was cut off before anything was kept in it is made again.
#[test]
fn an_empty_file_becomes_a_store() {
    let folder = TempDir::new().unwrap();
    File::create(folder.path().join("steadfast.db")).unwrap();
    assert!(open(folder.path()).unwrap().identity().clean);
}

#[tokio::test]
async fn a_full_disk_refuses_whole_batches_and_recovers() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).unwrap();
    let mut world = World::of(&*store);
    let waiting = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
    store.set_bytes_max(Some(0));
    let mut kept = 1_u64;
    let error = loop {
        let answers: Vec<_> = (0..20).map(|_| store.accept(world.acceptance("auto", &["bigbank"]))).collect();
        let mut refused = None;
        for answer in answers {
            match answer.await {
                Ok(_) => kept += 1,
                Err(error) => refused = Some(error),
            }
        }
        if let Some(error) = refused {
            break error;
        }
    };
    // A later, smaller batch may have found room again, so health is asked when nothing does.
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    // What is smaller may still find room, until nothing does.
    while store.accept(world.acceptance("auto", &["bigbank"])).await.is_ok() {
        kept += 1;
    }
    assert_eq!(store.health(), Health::Full);
    // They share a transaction, which finds no room.
    store.take(waiting.id);
    assert!(store.accept(world.acceptance("auto", &["bigbank"])).await.is_err());
    assert_eq!(store.counts().await.unwrap()[0].deliveries, kept);
    store.set_bytes_max(None);
    assert_eq!(store.accept(world.acceptance("auto", &["bigbank"])).await, Ok(Accepted::New));
    assert_eq!(store.health(), Health::Ready);
    assert_eq!(store.taken().await, Ok(vec![waiting.id]), "a mark is not lost for want of room");
    let delivered = State::Delivered { at: world.now, probable: false, by_hand: false };
    let settlement = settlement(&*store, &waiting, delivered, world.now);
    assert_eq!(store.settle(settlement).await, Ok(Settled::Applied));
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(store.counts().await.unwrap(), recounted(&*store).await);
    assert_eq!(store.counts().await.unwrap().iter().map(|count| count.deliveries).sum::<u64>(), kept + 1);
}

/// Does nothing unless started by the test below, where no file may grow beyond a bound: the system then fails the write.
#[tokio::test]
async fn cramped() {
    let Some(folder) = std::env::var_os(CRAMPED) else { return };
    let store = open(Path::new(&folder)).unwrap();
    let mut world = World::of(&*store);
    let mut kept = 0;
    let error = loop {
        match store.accept(world.acceptance("auto", &["bigbank"])).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Stopped { .. }), "{error}");
    assert!(matches!(store.health(), Health::Stopped { .. }));
    // Nothing is tried again, nothing hangs, and reading goes on.
    assert_eq!(store.accept(world.acceptance("auto", &["bigbank"])).await, Err(error.clone()));
    assert_eq!(store.close().await, Err(error));
    assert_eq!(store.counts().await.unwrap()[0].deliveries, kept);
    println!("\nkept {kept}");
}

#[tokio::test]
async fn a_failed_write_stops_the_store_for_good() {
    let folder = TempDir::new().unwrap();
    let output = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 600; exec "$0" --exact cramped --nocapture"#])
        .arg(std::env::current_exe().unwrap())
        .env(CRAMPED, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let kept = said.lines().find_map(|line| line.strip_prefix("kept ")).expect(&said);
    let store = open(folder.path()).unwrap();
    assert!(!store.identity().clean);
    let counts = store.counts().await.unwrap();
    assert_eq!(counts[0].deliveries.to_string(), kept);
    assert_eq!(counts, recounted(&*store).await);
}
