//! A disk that fails under the real process: full for a while, read-only from some moment on, a sync that fails. `strace`
//! answers the server's calls in the system's place; what was acknowledged is judged by the recipient's log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use stage::{Answer, Recipient, Reply, Server};
use std::collections::BTreeSet;
use tempfile::TempDir;

/// More posts than it takes to meet the failure, and to get through it.
const POSTS_MAX: u64 = 2_000;

fn config(recipient: &Recipient) -> String {
    format!(
        "[server]\nallow_private_networks = [\"127.0.0.0/8\"]\n\
         [recipients.bank]\n[flows.auto]\n[[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bank\"\n\
         request = {{ type = \"http\", method = \"POST\", url = \"{}\", format = \"json\", timeout = \"5s\" }}\n",
        recipient.url()
    )
}

/// Starts a server whose calls fail as told, in strace's words.
async fn failing(folder: TempDir, calls: &str, how: &str) -> Server {
    let trace = folder.path().join("trace").display().to_string();
    let (traced, injected) = (format!("trace={calls}"), format!("inject={calls}:{how}"));
    let words = ["strace", "-D", "-f", "-q", "-e", &traced, "-e", &injected, "-o", &trace];
    Server::start_under(folder, &words.map(ToOwned::to_owned)).await.unwrap()
}

/// Posts leads one after the other until one is answered as `wanted`; that answer.
async fn post_until(server: &Server, acknowledged: &mut BTreeSet<u64>, number: &mut u64, wanted: u16) -> Answer {
    for _ in 0..POSTS_MAX {
        *number += 1;
        let answer = server.post("/v1/flows/auto/leads", format!("{{\"number\":{number}}}")).await;
        if answer.status == 202 {
            acknowledged.insert(*number);
        }
        if answer.status == wanted {
            return answer;
        }
        assert!(matches!(answer.status, 202 | 503), "{}", answer.json());
    }
    panic!("no answer was {wanted}");
}

/// Everything acknowledged arrives, over a restart on a disk that is well again.
async fn judge(folder: TempDir, recipient: &Recipient, acknowledged: &BTreeSet<u64>) {
    let server = Server::start_in(folder).await.unwrap();
    let number_of = |arrival: &stage::Arrival| {
        let body: serde_json::Value = serde_json::from_slice(&arrival.body).unwrap();
        body["number"].as_u64().unwrap()
    };
    let mut seen = 0;
    loop {
        let log = recipient.log();
        let arrived: BTreeSet<u64> = log.iter().map(number_of).collect();
        if acknowledged.is_subset(&arrived) {
            break;
        }
        // One that is lost never comes: this waits in vain then, and says so.
        seen = recipient.arrivals(seen.max(log.len()) + 1).await.len();
    }
    assert!(acknowledged.len() > 10, "too little to prove anything: {}", acknowledged.len());
    drop(server);
}

async fn folder(recipient: &Recipient) -> TempDir {
    let (_, folder) = Server::start(&config(recipient)).await.stop().await;
    folder
}

#[tokio::test]
async fn a_full_disk_refuses_with_a_clear_error_and_goes_on_when_there_is_room() {
    if !stage::may_record() {
        eprintln!("skipped: strace is not here, or may not trace");
        return;
    }
    let recipient = Recipient::start(|_| Reply::Status(200)).await;
    let server = failing(folder(&recipient).await, "pwrite64", "error=ENOSPC:when=400..420").await;
    let (mut acknowledged, mut number) = (BTreeSet::new(), 0);
    let refused = post_until(&server, &mut acknowledged, &mut number, 503).await;
    let said = refused.json();
    assert!(said["type"].as_str().unwrap().ends_with("store-full"), "{said:#}");
    assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    let before = acknowledged.len();
    post_until(&server, &mut acknowledged, &mut number, 202).await;
    assert_eq!(acknowledged.len(), before + 1, "it goes on without a restart");
    assert_eq!(server.get("/readyz").await.status, 200);
    let (code, folder) = server.stop().await;
    assert_eq!(code, Some(0));
    judge(folder, &recipient, &acknowledged).await;
}

/// After a failed write or sync nobody knows what is on disk: nothing more is taken, and what was acknowledged is there.
async fn stops_until_a_restart(calls: &str, how: &str) {
    if !stage::may_record() {
        eprintln!("skipped: strace is not here, or may not trace");
        return;
    }
    let recipient = Recipient::start(|_| Reply::Status(200)).await;
    let server = failing(folder(&recipient).await, calls, how).await;
    let (mut acknowledged, mut number) = (BTreeSet::new(), 0);
    post_until(&server, &mut acknowledged, &mut number, 503).await;
    let answer = server.post("/v1/flows/auto/leads", r#"{"number":0}"#).await;
    assert_eq!(answer.status, 503);
    assert!(answer.json()["type"].as_str().unwrap().ends_with("store-stopped"), "{:#}", answer.json());
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 503, "{}", ready.json());
    assert_eq!(server.get("/healthz").await.status, 200);
    let (_, folder) = server.kill().await;
    judge(folder, &recipient, &acknowledged).await;
}

#[tokio::test]
async fn a_failed_sync_stops_the_store_and_loses_nothing_acknowledged() {
    stops_until_a_restart("fdatasync,fsync", "error=EIO:when=40+").await;
}

#[tokio::test]
async fn a_disk_that_becomes_read_only_stops_the_store_and_loses_nothing_acknowledged() {
    stops_until_a_restart("pwrite64", "error=EROFS:when=400+").await;
}
