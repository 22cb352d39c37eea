//! Sources hear what became of their leads, whatever happens to the server in between: `kill -9` in a loop while leads come in,
//! are sold, and callbacks about them are made, fail and are sent again. The judge is what arrived at the source.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use stage::{Arrival, PATIENCE, Recipient, Reply, Server, call};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const ROUNDS: usize = 8;
const CLIENTS: u64 = 6;

fn config(buyer: &Recipient, source: &Recipient) -> String {
    format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[policies.quick]
extended = true
max_retries = 50
initial_delay = "100ms"
multiplier = 1.5
max_interval = "1s"
total_timeout = "10m"
[retry]
policy = "quick"
[recipients.bank]
retry_budget = false
breaker = {{ mode = "off" }}
[flows.auto.sources.web]
answer = "accepted"
callback = {{ url = "{}", secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }}
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
request = {{ url = "{}", timeout = "5s" }}
[flows.auto.steps.response]
content_type = "application/json"
outcome_search_path = "result"
outcome_search_term = "sold"
reason_path = "why"
"#,
        source.url(),
        buyer.url()
    )
}

/// Takes most leads, refuses some, and is down for some at first.
fn buyer(arrival: &Arrival) -> Reply {
    let lead: Value = serde_json::from_slice(&arrival.body).unwrap_or_default();
    match lead["n"].as_u64().unwrap_or(0) % 5 {
        0 if arrival.attempt < 2 => Reply::Status(503),
        1 => Reply::Body(200, r#"{"result":"no","why":"bad phone"}"#.to_owned()),
        _ => Reply::Body(200, r#"{"result":"sold"}"#.to_owned()),
    }
}

/// Whether the source takes a callback at this attempt: some fail, some are taken without an answer that arrives.
fn takes(arrival: &Arrival) -> Reply {
    let luck = arrival.headers["webhook-id"].bytes().map(u32::from).sum::<u32>() % 10;
    match (luck, arrival.attempt) {
        (0, 1) => Reply::Status(503),
        (1, 1) => Reply::Drop,
        _ => Reply::Status(200),
    }
}

/// Posts leads by the source until the server is gone; the ids that were acknowledged, with what each was to become.
async fn post_until_gone(address: String, first: u64) -> Vec<(String, &'static str)> {
    let mut acknowledged = Vec::new();
    for number in first.. {
        let request = Request::post("/flows/auto/sources/web/submit")
            .header("content-type", "application/json")
            .body(Full::from(format!("{{\"n\":{number}}}")))
            .unwrap();
        match call(&address, request).await {
            Ok(answer) if answer.status == 201 => {
                let lead = answer.json()["lead"]["id"].as_str().unwrap().to_owned();
                acknowledged.push((lead, if number % 5 == 1 { "failure" } else { "success" }));
            }
            Ok(_) | Err(_) => return acknowledged,
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_a_loop_leaves_no_source_untold() {
    let (buyer, source) = (Recipient::start(buyer).await, Recipient::start(takes).await);
    let mut server = Server::start(&config(&buyer, &source)).await;
    switch_breaker_off(&server).await;
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        let told = source.log().len();
        let first = |client: u64| (u64::try_from(round).unwrap() * CLIENTS + client) * 1_000_000;
        let clients: Vec<_> =
            (0..CLIENTS).map(|client| tokio::spawn(post_until_gone(server.address.clone(), first(client)))).collect();
        // Killed while callbacks are under way, after a different number of them each round.
        source.arrivals(told + 5 + round * 23 % 60).await;
        server = server.kill_and_restart().await;
        switch_breaker_off(&server).await;
        for client in clients {
            acknowledged.extend(client.await.unwrap());
        }
    }
    wait_until_settled(&server).await;
    judge(&source, &acknowledged);
}

/// The source fails on purpose: its open breaker would only make the test wait.
async fn switch_breaker_off(server: &Server) {
    let wish = r#"{"verb":"disable","reason":"the source fails on purpose"}"#;
    let answer = server.post("/v1/recipients/callbacks.web/breaker", wish).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.json()["endpoints"][0]["breaker"]["state"], "disabled", "{}", answer.json());
}

/// Waits until no lead and no callback waits, is held or in flight. What three kills cut off, a person sends again; nothing
/// else may be in review.
async fn wait_until_settled(server: &Server) {
    let started = tokio::time::Instant::now();
    loop {
        let stats = server.get("/v1/stats").await.json();
        let count = |part: &str, states: &[&str]| -> u64 {
            states.iter().map(|state| stats[part][*state].as_u64().expect("a count of each state")).sum()
        };
        let open = ["total", "callbacks"].map(|part| count(part, &["waiting", "held", "in_review"]));
        let ended = |part: &str| count(part, &["delivered", "rejected"]);
        // Each lead that ended makes one callback, by a reader that comes a moment after.
        if open == [0, 0] && stats["in_flight"] == 0 && ended("total") == ended("callbacks") {
            assert_eq!(stats["callbacks"]["rejected"], 0, "{stats}");
            return;
        }
        send_again_what_was_cut_off(server).await;
        assert!(started.elapsed() < PATIENCE, "still open: {stats}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A person's part: what was in flight at three kills is not sent by the server itself any more, since it may be why it dies.
async fn send_again_what_was_cut_off(server: &Server) {
    for item in server.get("/v1/review").await.json()["items"].as_array().expect("a list") {
        let id = item["id"].as_str().expect("an id");
        let delivery = server.get(&format!("/v1/deliveries/{id}")).await.json();
        let attempts = delivery["attempts"].as_array().expect("a history");
        let cut_off = attempts.iter().filter(|attempt| attempt["verdict"]["kind"] == "interrupted").count();
        assert!(item["cause"] == "interrupted" && cut_off == 3, "in review: {delivery:#}");
        let sent = server.post(&format!("/v1/deliveries/{id}/retry"), r#"{"reason":"it was the test"}"#).await;
        assert_eq!(sent.status, 200, "{}", sent.json());
    }
}

/// Every acknowledged lead was told of, with its own outcome, under one id, in the same bytes each time, signed.
fn judge(source: &Recipient, acknowledged: &BTreeMap<String, &'static str>) {
    let mut told: BTreeMap<String, BTreeSet<(String, Vec<u8>)>> = BTreeMap::new();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let log = source.log();
    for arrival in &log {
        let body: Value = serde_json::from_slice(&arrival.body).unwrap();
        let (lead, id) = (body["lead_id"].as_str().unwrap().to_owned(), arrival.headers["webhook-id"].clone());
        assert!(arrival.headers["webhook-signature"].starts_with("v1,"));
        if matches!(takes(arrival), Reply::Status(200)) {
            *taken.entry(lead.clone()).or_default() += 1;
            assert!(acknowledged.get(&lead).is_none_or(|outcome| body["outcome"] == **outcome), "{body}");
        }
        told.entry(lead).or_default().insert((id, arrival.body.to_vec()));
    }
    let untold: Vec<&String> = acknowledged.keys().filter(|lead| !taken.contains_key(*lead)).collect();
    let again: usize = taken.values().map(|times| times - 1).sum();
    println!(
        "kills: {ROUNDS}; leads acknowledged: {}; told of: {}; untold: {}; told again under the same id: {again}; requests: {}",
        acknowledged.len(),
        taken.len(),
        untold.len(),
        log.len()
    );
    assert!(untold.is_empty(), "{untold:?}");
    let several: Vec<_> = told.iter().filter(|(_, ways)| ways.len() > 1).collect();
    assert!(several.is_empty(), "told under two ids or in other bytes, so that nobody could tell: {several:?}");
    assert!(acknowledged.len() > 100, "too little load to prove anything: {}", acknowledged.len());
}

#[tokio::test]
async fn callbacks_are_held_by_a_persons_word_over_a_kill() {
    let (buyer, source) = (Recipient::start(buyer).await, Recipient::start(|_| Reply::Status(200)).await);
    let server = Server::start(&config(&buyer, &source)).await;
    let why = r#"{"reason":"their migration"}"#;
    assert_eq!(server.post("/v1/recipients/callbacks.web/pause", why).await.status, 200);
    let (_, sold) = (server.post("/flows/auto/sources/web/submit", r#"{"n":2}"#).await, buyer.arrivals(1).await);
    assert_eq!(sold.len(), 1);
    let server = server.kill_and_restart().await;
    let callback = first_callback(&server).await;
    assert_eq!((&callback["hold"]["why"], source.log().len()), (&Value::from("paused"), 0), "{callback:#}");

    let until = "2027-06-01T00:00:00Z";
    let wish = format!(r#"{{"until":"{until}","reason":"their migration"}}"#);
    assert_eq!(server.post("/v1/recipients/callbacks.web/maintenance", wish).await.status, 200);
    assert_eq!(server.post("/v1/recipients/callbacks.web/resume", why).await.status, 200);
    let shown = server.get("/v1/recipients/callbacks.web").await.json();
    let callback = first_callback(&server).await;
    assert_eq!((&callback["hold"]["why"], source.log().len()), (&Value::from("maintenance"), 0), "{shown:#}");

    assert_eq!((&shown["configured"], &shown["pace"]["in_flight"]), (&Value::from(true), &Value::from(0)), "{shown:#}");
    let window = shown["maintenance"][0]["id"].as_str().unwrap();
    let path = format!("/v1/recipients/callbacks.web/maintenance/{window}");
    let ended = call(&server.address, Request::delete(path).body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(ended.status, 200, "{:?}", ended.body);
    source.arrivals(1).await;
}

/// The first callback there is, as soon as there is one.
async fn first_callback(server: &Server) -> Value {
    let started = tokio::time::Instant::now();
    loop {
        let list = server.get("/v1/deliveries?flow=callbacks.auto").await.json();
        if let Some(callback) = list["items"].as_array().unwrap().first() {
            return server.get(&format!("/v1/deliveries/{}", callback["id"].as_str().unwrap())).await.json();
        }
        assert!(started.elapsed() < PATIENCE, "no callback was made");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
