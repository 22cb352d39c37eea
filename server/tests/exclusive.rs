//! An exclusive sale through the front door: three buyers with a log of their own, answers that are cut off, and `kill -9` in a loop.
//! The judge is the buyers' log: no lead is taken by two of them, and no buyer takes more than its cap.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use stage::{Arrival, Recipient, Reply, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const BUYERS: [&str; 3] = ["first", "second", "third"];
const CLIENTS: usize = 8;
const KILLS: u64 = 10;

/// The first two have a cap that some of the leads fill; a month does not end in the middle of a test.
fn config(recipient: &Recipient, cap: u64) -> String {
    let mut text = r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[retry]
extended = true
max_retries = 20
backoff = "fixed"
initial_delay = "200ms"
max_interval = "200ms"
total_timeout = "10m"
[flows.auto]
sale = { mode = "first_accepted", order = "listed" }
"#
    .to_owned();
    for buyer in BUYERS {
        let caps = if buyer == "third" {
            String::new()
        } else {
            format!("caps = [{{ per = \"month\", max = {cap} }}]\non_cap = \"next\"")
        };
        text += &format!(
            r#"
[recipients.{buyer}]
retry_budget = false
breaker = {{ mode = "off" }}
{caps}
in_doubt = "retry"
request = {{ url = "http://{}/{buyer}", timeout = "5s" }}
response = {{ outcome_search_term = "yes", failure_search_term = "no" }}
[[flows.auto.steps]]
id = "{buyer}"
recipient = "{buyer}"
"#,
            recipient.address
        );
    }
    text
}

/// What a buyer does with a delivery, by its own letters.
#[derive(PartialEq, Eq)]
enum Mind {
    Refuses,
    TakesLate,
    TakesAndBreaksOff,
    /// As who takes a repeat for a second lead of the same person.
    TakesAndDenies,
    BreaksOffAndRefuses,
    Takes,
}

fn mind(delivery: &str) -> Mind {
    match delivery.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 16 {
        0..=5 => Mind::Refuses,
        6..=7 => Mind::TakesLate,
        8..=9 => Mind::TakesAndBreaksOff,
        10 => Mind::TakesAndDenies,
        11 => Mind::BreaksOffAndRefuses,
        _ => Mind::Takes,
    }
}

fn answer(arrival: &Arrival) -> Reply {
    let body = |text: &str| Reply::Body(200, format!("{{\"says\":\"{text}\"}}"));
    match (mind(&arrival.delivery), arrival.attempt) {
        (Mind::Refuses, _) => body("no"),
        (Mind::TakesLate, 1..=2) => Reply::Status(503),
        (Mind::TakesAndBreaksOff | Mind::TakesAndDenies | Mind::BreaksOffAndRefuses, 1) => Reply::Drop,
        (Mind::TakesAndDenies | Mind::BreaksOffAndRefuses, _) => body("no"),
        _ => body("yes"),
    }
}

/// Whether the buyer took the lead then: what breaks off after it was taken is known to the buyer only.
fn takes(arrival: &Arrival) -> bool {
    match answer(arrival) {
        Reply::Drop => mind(&arrival.delivery) != Mind::BreaksOffAndRefuses,
        Reply::Body(_, said) => said.contains("yes"),
        Reply::Status(_) | Reply::StatusWith(..) | Reply::After(..) => false,
    }
}

fn number(arrival: &Arrival) -> u64 {
    let body: Value = serde_json::from_slice(&arrival.body).unwrap();
    body["number"].as_u64().unwrap()
}

/// Posts while the server lives and there is something to post; what was acknowledged.
async fn post(address: String, next: Arc<AtomicU64>, until: u64) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= until {
            return acknowledged;
        }
        let request = Request::post("/v1/flows/auto/leads").header("content-type", "application/json");
        let body = Full::new(Bytes::from(format!("{{\"number\":{number}}}")));
        match stage::call(&address, request.body(body).unwrap()).await {
            Ok(answer) if answer.status == 202 => acknowledged.push(number),
            Ok(_) | Err(_) => return acknowledged,
        }
    }
}

/// Waits until nothing is due and nothing under way: what is held then waits for its turn behind one in doubt.
async fn calm(server: &Server) -> Value {
    let (mut moved, mut seen) = (tokio::time::Instant::now(), Value::Null);
    loop {
        let stats = server.get("/v1/stats").await.json();
        if stats["total"]["waiting"] == 0 && stats["in_flight"] == 0 {
            return stats["total"].clone();
        }
        if stats["total"] != seen {
            (moved, seen) = (tokio::time::Instant::now(), stats["total"].clone());
        }
        assert!(moved.elapsed() < stage::PATIENCE, "nothing goes on: {stats}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_under_an_exclusive_sale_sells_no_lead_twice() {
    let leads: u64 = std::env::var("STEADFAST_SALE_LEADS").map_or(800, |leads| leads.parse().unwrap());
    let cap = leads / 4;
    let recipient = Arc::new(Recipient::start(answer).await);
    let mut server = Server::start(&config(&recipient, cap)).await;
    let (next, mut acknowledged) = (Arc::new(AtomicU64::new(0)), BTreeSet::new());
    for round in 1..=KILLS {
        let until = leads * round / KILLS;
        let before = recipient.log().len();
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| tokio::spawn(post(server.address.clone(), Arc::clone(&next), until))).collect();
        // About half of what this round brings is under way then.
        recipient.arrivals(before + usize::try_from(leads / KILLS).unwrap()).await;
        server = server.kill_and_restart().await;
        for client in clients {
            acknowledged.extend(client.await.unwrap());
        }
        next.fetch_max(until, Ordering::Relaxed);
    }
    let total = calm(&server).await;
    judge(&recipient.log(), &acknowledged, cap, &total);
    let sold = total["delivered"].as_u64().unwrap();
    assert!(sold > leads / 4, "too few were sold to prove anything: {total}");
}

fn judge(log: &[Arrival], acknowledged: &BTreeSet<u64>, cap: u64, total: &Value) {
    let mut took: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    let mut by_buyer: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for arrival in log.iter().filter(|arrival| takes(arrival)) {
        took.entry(number(arrival)).or_default().insert(&arrival.path);
        by_buyer.entry(&arrival.path).or_default().insert(number(arrival));
    }
    let counts: Vec<(&str, usize)> = by_buyer.iter().map(|(buyer, leads)| (*buyer, leads.len())).collect();
    println!(
        "kills: {KILLS}; leads acknowledged: {}; requests: {}; taken: {}, by buyer {counts:?}, cap {cap}; {total}",
        acknowledged.len(),
        log.len(),
        took.len()
    );
    let twice: Vec<_> = took.iter().filter(|(_, buyers)| buyers.len() > 1).collect();
    assert!(twice.is_empty(), "sold twice: {twice:?}");
    let seen: BTreeSet<u64> = log.iter().map(number).collect();
    let lost: Vec<&u64> = acknowledged.difference(&seen).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    for (buyer, leads) in counts.into_iter().filter(|(buyer, _)| *buyer != "/third") {
        assert!(leads as u64 <= cap, "{buyer} took {leads}, and {cap} is its cap");
    }
}
