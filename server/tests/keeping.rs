//! A live server is backed up, the backup is restored, and a store of an earlier format is brought along, by the commands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use stage::{Recipient, Reply, Server};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

const FORMAT_2: &str = include_str!("../../crates/store-embedded/tests/fixtures/format-2.sql");

fn steadfast(arguments: &[&str], paths: &[&Path]) -> Output {
    Command::new(stage::binary()).args(arguments).args(paths).output().unwrap()
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn config(recipient: &Recipient) -> String {
    format!(
        "[server]\nallow_private_networks = [\"127.0.0.0/8\"]\n[retry]\ninitial_delay = \"2s\"\njitter = \"none\"\n\
         [recipients.bank]\n[[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bank\"\n\
         request = {{ url = \"{}\", format = \"json\" }}\n",
        recipient.url()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_a_restored_backup_is_sent_and_known_as_possibly_sent_before() {
    // The first lead is taken; the second only at its second attempt.
    let recipient = Recipient::start(|arrival| {
        let unlucky = String::from_utf8_lossy(&arrival.body).contains("second") && arrival.attempt == 1;
        Reply::Status(if unlucky { 503 } else { 200 })
    })
    .await;
    let server = Server::start(&config(&recipient)).await;
    let (_, first) = server.lead("auto", r#"{"name":"first"}"#).await;
    server.delivery_in(&first, "delivered").await;
    let (_, second) = server.lead("auto", r#"{"name":"second"}"#).await;
    recipient.arrivals(2).await;
    server.delivery_in(&second, "waiting").await;
    let backups = TempDir::new().unwrap();
    let backup = backups.path().join("monday");
    let told = out(&steadfast(&["backup", "--data", server.data().to_str().unwrap()], &[&backup]));
    assert!(told.contains("2 leads, 2 deliveries, 1 of them wait or are held"), "{told}");
    let again = steadfast(&["backup", "--data", server.data().to_str().unwrap()], &[&backup]);
    assert!(!again.status.success() && said(&again).contains("nothing is overwritten"), "{}", said(&again));
    // The old one sends it once more, and is lost.
    server.delivery_in(&second, "delivered").await;
    let refused = steadfast(&["restore", "--data", server.data().to_str().unwrap()], &[&backup]);
    assert!(!refused.status.success() && said(&refused).contains("holds something already"), "{}", said(&refused));
    drop(server);
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("steadfast.toml"), config(&recipient)).unwrap();
    let data = folder.path().join("data");
    let told = out(&steadfast(&["restore", "--data", data.to_str().unwrap()], &[&backup]));
    assert!(told.contains("1 that wait or are held are marked as possibly sent"), "{told}");
    let restored = Server::start_in(folder).await.unwrap();
    let delivery = restored.delivery_in(&second, "delivered").await;
    let because = delivery["changes"][0]["because"].as_str().unwrap();
    assert!(because.contains("restored from a backup"), "{delivery:#}");
    restored.delivery_in(&first, "delivered").await;
    // The recipient can tell that it is the same one.
    let log = recipient.log();
    let keys: std::collections::BTreeSet<&str> = log.iter().skip(1).map(|arrival| arrival.key.as_str()).collect();
    assert_eq!((log.len(), keys.len()), (4, 1), "{log:?}");
}

#[test]
fn a_backup_that_is_none_is_not_restored() {
    let folder = TempDir::new().unwrap();
    let (backup, data) = (folder.path().join("backup"), folder.path().join("data"));
    std::fs::create_dir(&backup).unwrap();
    for (content, expected) in [(None, "there is no store in"), (Some("not a store"), "is not a Steadfast store")] {
        if let Some(content) = content {
            std::fs::write(backup.join("steadfast.db"), content).unwrap();
        }
        let refused = steadfast(&["restore", "--data", data.to_str().unwrap()], &[&backup]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains(expected), "{}", said(&refused));
        assert!(!data.exists() && std::fs::read_dir(folder.path()).unwrap().count() == 1);
    }
}

#[test]
fn a_store_of_an_earlier_format_is_brought_along_by_the_command_its_refusal_names() {
    let folder = TempDir::new().unwrap();
    let store = rusqlite::Connection::open(folder.path().join("steadfast.db")).unwrap();
    store.execute_batch(FORMAT_2).unwrap();
    drop(store);
    let data = folder.path().to_str().unwrap();
    let told = out(&steadfast(&["migrate", "--data", data], &[]));
    assert!(told.contains("now, 2 before") && told.contains("before-format-"), "{told}");
    assert!(out(&steadfast(&["migrate", "--data", data], &[])).contains("already"));
    // A backup of the earlier format is brought along as it is restored; its data folder needs nothing more.
    let earlier = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let earlier = earlier.into_iter().find(|path| path.is_dir()).expect("the backup");
    let restored = folder.path().join("restored");
    let told = out(&steadfast(&["restore", "--data", restored.to_str().unwrap()], &[&earlier]));
    assert!(told.contains("2 that wait or are held are marked"), "{told}");
    assert!(out(&steadfast(&["migrate", "--data", restored.to_str().unwrap()], &[])).contains("already"));
}
