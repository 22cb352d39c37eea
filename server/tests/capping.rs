//! Caps through the front door: a real process, a recipient with a log of its own, and `kill -9` when the cap is nearly full and
//! retries come in a burst.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use stage::{Arrival, Recipient, Reply, Server};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const MAX: usize = 60;
/// The server is killed when the recipient has taken so many: on the way, nearly full, and one before.
const KILLED_AT: [usize; 6] = [20, 40, 52, 56, 58, 59];

/// A month does not end in the middle of a test.
fn config(recipient: &Recipient) -> String {
    format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[retry]
max_retries = 8
initial_delay = "1s"
backoff = "fixed"
total_timeout = "10m"
[recipients.bank]
retry_budget = false
breaker = {{ mode = "off" }}
caps = [{{ per = "month", max = {MAX} }}]
in_doubt = "retry"
request = {{ url = "{}", timeout = "5s" }}
response = {{ outcome_search_term = "yes", failure_search_term = "no" }}
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
"#,
        recipient.url()
    )
}

/// By the delivery's own letters: half are refused, and their places come free; some fail twice, so that many retries come at
/// once; some are taken and break off, and are told at the retry.
fn answer(arrival: &Arrival) -> Reply {
    let body = |text: &str| Reply::Body(200, format!("{{\"says\":\"{text}\"}}"));
    match (arrival.delivery.bytes().map(u32::from).sum::<u32>() % 8, arrival.attempt) {
        (0..=3, _) => body("no"),
        (4, 1..=2) => Reply::Status(503),
        (5, 1) => Reply::Drop,
        _ => body("yes"),
    }
}

/// Which deliveries the recipient took: what breaks off was taken and nobody heard of it.
fn taken(recipient: &Recipient) -> BTreeSet<String> {
    let took = |reply: Reply| match reply {
        Reply::Drop => true,
        Reply::Body(_, said) => said.contains("yes"),
        Reply::Status(_) | Reply::StatusWith(..) | Reply::After(..) => false,
    };
    recipient.log().into_iter().filter(|arrival| took(answer(arrival))).map(|arrival| arrival.delivery).collect()
}

async fn post_until_gone(address: String) -> usize {
    for number in 0.. {
        let request = Request::post("/v1/flows/auto/leads").header("content-type", "application/json");
        let body = Full::new(Bytes::from(format!("{{\"number\":{number}}}")));
        match stage::call(&address, request.body(body).unwrap()).await {
            Ok(answer) if answer.status == 202 => {}
            Ok(_) | Err(_) => return number,
        }
    }
    0
}

async fn cap(server: &Server) -> (u64, u64) {
    let caps = server.get("/v1/caps").await.json();
    let one = &caps["items"][0];
    (one["used"].as_u64().unwrap(), one["reserved"].as_u64().unwrap())
}

/// Waits until nothing is due and nothing is under way; how the deliveries stand then.
async fn calm(server: &Server) -> Value {
    let started = tokio::time::Instant::now();
    loop {
        let stats = server.get("/v1/stats").await.json();
        let (used, reserved) = cap(server).await;
        let in_review = stats["total"]["in_review"].as_u64().unwrap();
        // Only what a person has to look at may keep a place now; all others have come free, and were used.
        let met = used + reserved == MAX as u64 && reserved <= in_review;
        if stats["total"]["waiting"] == 0 && stats["in_flight"] == 0 && met {
            return stats["total"].clone();
        }
        assert!(started.elapsed() < stage::PATIENCE, "used {used}, reserved {reserved}: {stats}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_with_a_cap_nearly_full_never_exceeds_it_and_every_unused_place_comes_free() {
    const CLIENTS: usize = 3;
    let recipient = Arc::new(Recipient::start(answer).await);
    let mut server = Server::start(&config(&recipient)).await;
    let mut acknowledged = 0;
    for at in KILLED_AT {
        let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(post_until_gone(server.address.clone()))).collect();
        let started = tokio::time::Instant::now();
        while taken(&recipient).len() < at {
            assert!(started.elapsed() < stage::PATIENCE, "{} taken, not {at}", taken(&recipient).len());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server = server.kill_and_restart().await;
        for client in clients {
            acknowledged += client.await.unwrap();
        }
    }
    let total = calm(&server).await;
    let (used, reserved) = cap(&server).await;
    let taken = taken(&recipient);
    println!(
        "leads: {acknowledged}; requests: {}; taken: {} of {MAX}; counted {used}, in doubt {reserved}; {total}",
        recipient.log().len(),
        taken.len()
    );
    assert!(taken.len() <= MAX, "{} were taken, and {MAX} is the cap", taken.len());
    assert!(taken.len() as u64 >= used, "{used} are counted, {} were taken", taken.len());
    assert_eq!(total["delivered"], used, "what is counted is what is delivered");
    assert!(total["held"].as_u64().unwrap() > 0, "too few leads to fill the cap: {total}");
}
