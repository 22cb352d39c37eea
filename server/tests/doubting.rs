//! Doubt, through live delivery. Ten thousand leads through a storm of resets: a recipient that takes each `Idempotency-Key`
//! once has taken exactly ten thousand in the end, each with the bytes it came with first. And a recipient that is asked first:
//! what its answers mean is read by the look-up's own table and rules.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use futures::{StreamExt, stream};
use http_body_util::Full;
use stage::{Arrival, BreakingRecipient, Recipient, Reply, Server};
use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
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

/// What the recipient says when it is asked about a lead, each time for the next look-up, and what becomes of it.
struct Case {
    name: &'static str,
    said: &'static [(u16, &'static str)],
    /// What the look-ups meant.
    meant: &'static [&'static str],
    /// How often the lead itself was sent.
    sent: usize,
    /// How it ended: the state, or the cause of its review.
    ended: &'static str,
    probable: bool,
}

const CASES: [Case; 6] = [
    Case {
        name: "found",
        said: &[(200, r#"{"lead":{"state":"stored","id":"B-1"}}"#)],
        meant: &["found"],
        sent: 1,
        ended: "delivered",
        probable: false,
    },
    Case {
        name: "not-found",
        said: &[(200, r#"{"lead":{"state":"unknown"}}"#)],
        meant: &["not_found"],
        sent: 2,
        ended: "delivered",
        probable: false,
    },
    Case {
        name: "outage",
        said: &[(200, "<html><title>Maintenance</title></html>"), (404, "{}")],
        meant: &["unknown", "not_found"],
        sent: 2,
        ended: "delivered",
        probable: false,
    },
    Case {
        name: "still-at-it",
        said: &[(404, r#"{"queue":"busy"}"#), (409, r#"{"lead":{"state":"unknown"},"seen":"today"}"#)],
        meant: &["unknown", "found"],
        sent: 1,
        ended: "delivered",
        probable: true,
    },
    Case {
        name: "quota",
        said: &[(200, r#"{"lead":{"state":"quota exceeded"}}"#), (200, r#"{"lead":{"state":"stored"}}"#)],
        meant: &["unknown", "found"],
        sent: 1,
        ended: "delivered",
        probable: true,
    },
    Case {
        name: "no-use",
        said: &[(403, r#"{"error":"no look-ups for you"}"#)],
        meant: &["unknown"],
        sent: 1,
        ended: "in_doubt",
        probable: false,
    },
];

fn verifying(recipient: &Recipient) -> String {
    format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[retry]
extended = true
initial_delay = "50ms"
multiplier = 1.0
[recipients.bank]
in_doubt = "verify"
[recipients.bank.verify]
url = "http://{0}/status/{{{{ case }}}}"
[recipients.bank.verify.response]
outcome_search_path = "lead.state"
outcome_search_term = "stored"
reference_path = "lead.id"
[[recipients.bank.verify.rules]]
name = "still in their queue"
match = {{ status = 404, path = {{ path = "queue" }} }}
outcome = "error"
kind = "request_timeout"
[flows.auto]
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
request = {{ url = "http://{0}/leads" }}
response = {{ outcome_search_path = "result", outcome_search_term = "/^sold$/" }}
[[flows.auto.steps.verify.rules]]
name = "not allowed to ask"
match = {{ status = 403 }}
outcome = "error"
retryable = false
[[flows.auto.steps.verify.rules]]
name = "seen today"
match = {{ path = {{ path = "seen" }} }}
kind = "duplicate"
"#,
        recipient.address
    )
}

/// The first attempt of each lead is cut off after it arrived; what is asked about it is answered in turn.
fn reply(arrival: &Arrival, asked: &mut HashMap<&'static str, usize>) -> Reply {
    let Some(name) = arrival.path.strip_prefix("/status/") else {
        let sold = Reply::Body(200, r#"{"result":"sold"}"#.into());
        return if arrival.attempt == 1 { Reply::Drop } else { sold };
    };
    let case = CASES.iter().find(|case| name.starts_with(case.name)).unwrap();
    let number = asked.entry(case.name).or_default();
    *number += 1;
    let (status, body) = case.said[*number - 1];
    Reply::Body(status, body.into())
}

#[tokio::test]
async fn what_a_look_up_is_answered_is_read_by_its_own_table_and_rules() {
    let asked = Mutex::default();
    let recipient = Recipient::start(move |arrival| reply(arrival, &mut asked.lock().unwrap())).await;
    let server = Server::start(&verifying(&recipient)).await;
    for case in &CASES {
        let (_, id) = server.lead("auto", &format!("{{\"case\":\"{}\"}}", case.name)).await;
        let delivery = settled(&server, &id).await;
        let look_ups = delivery["look_ups"].as_array().unwrap();
        let meant: Vec<&str> = look_ups.iter().map(|look_up| look_up["answer"].as_str().unwrap()).collect();
        assert_eq!(meant, case.meant, "{}: {delivery:#}", case.name);
        let ended = delivery["why"].as_str().or(delivery["state"].as_str());
        assert_eq!(ended, Some(case.ended), "{}: {delivery:#}", case.name);
        assert_eq!(delivery["probable"].as_bool().unwrap_or(false), case.probable, "{}: {delivery:#}", case.name);
        for ((status, body), meant) in case.said.iter().zip(case.meant) {
            let read = classified(&server, *status, body).await;
            assert_eq!(read["look_up"], **meant, "{}: tried, it means the same: {read}", case.name);
        }
        let mine = |arrival: &&Arrival| arrival.delivery == id && arrival.path == "/leads";
        assert_eq!(recipient.log().iter().filter(mine).count(), case.sent, "{}", case.name);
    }
}

/// What an answer to a look-up would mean.
async fn classified(server: &Server, status: u16, body: &str) -> serde_json::Value {
    let step = serde_json::json!({ "flow": "auto", "step": "sell", "look_up": true });
    let asked = serde_json::json!({ "step": step, "answer": { "status": status, "body": body } });
    let answer = server.post("/v1/classify", asked.to_string()).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.json()
}

/// A delivery that waits for nothing any more.
async fn settled(server: &Server, id: &str) -> serde_json::Value {
    let started = tokio::time::Instant::now();
    loop {
        let delivery = server.get(&format!("/v1/deliveries/{id}")).await.json();
        if !matches!(delivery["state"].as_str(), Some("waiting" | "held" | "in_flight")) {
            return delivery;
        }
        assert!(started.elapsed() < stage::PATIENCE, "{id} does not settle: {delivery:#}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
