//! Ten thousand leads through a storm of resets: a recipient that takes each `Idempotency-Key` once has taken exactly ten
//! thousand in the end, each with the bytes it came with first.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use futures::{StreamExt, stream};
use http_body_util::Full;
use stage::{BreakingRecipient, Server};
use std::collections::BTreeSet;
use std::time::Duration;

const LEADS: u64 = 10_000;
const CLIENTS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_leads_through_a_storm_of_resets_are_ten_thousand_acceptances() {
    let recipient = BreakingRecipient::start().await;
    let server = Server::start(&format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[retry]
extended = true
max_retries = 20
initial_delay = "50ms"
multiplier = 1.5
max_interval = "1s"
total_timeout = "10m"
[recipients.bank]
retry_budget = false
breaker = {{ mode = "off" }}
[flows.auto]
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
request = {{ url = "http://{}/leads", timeout = "20s" }}
"#,
        recipient.address
    ))
    .await;
    stream::iter(0..LEADS).for_each_concurrent(CLIENTS, |number| post(&server, number)).await;
    let started = tokio::time::Instant::now();
    loop {
        let stats = server.get("/v1/stats").await.json();
        if stats["total"]["delivered"] == LEADS {
            break;
        }
        assert!(started.elapsed() < stage::PATIENCE, "{stats}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let books = recipient.books.lock().unwrap();
    let numbers: BTreeSet<u64> = books
        .taken
        .values()
        .map(|body| serde_json::from_slice::<serde_json::Value>(body).unwrap()["number"].as_u64().unwrap())
        .collect();
    assert_eq!((books.taken.len() as u64, numbers.len() as u64), (LEADS, LEADS), "one key a lead, one lead a key");
    assert!(books.changed.is_empty(), "other bytes under the same key: {:?}", books.changed);
    assert_eq!(books.broken.len(), 4, "connections broke at every stage: {:?}", books.broken);
    assert!(books.repeats > 500, "too few repeats to prove anything: {}", books.repeats);
    println!("taken {}, came again after it was taken {}, broken {:?}", books.taken.len(), books.repeats, books.broken);
}

async fn post(server: &Server, number: u64) {
    let request = hyper::Request::post("/v1/flows/auto/leads")
        .header("content-type", "application/json")
        .body(Full::from(format!("{{\"number\":{number}}}")))
        .unwrap();
    let answer = stage::call(&server.address, request).await.unwrap();
    assert_eq!(answer.status, 202, "{:?}", answer.body);
}
