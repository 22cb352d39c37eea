//! Recipients protected, live: a breaker that opens and probes, people's stops and verbs, and all of it over a restart.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use serde_json::{Value, json};
use stage::{PATIENCE, Recipient, Reply, Server, binary};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Two flows to one recipient, and one to another.
fn config(bank: &Recipient, other: &Recipient) -> String {
    let flow = |name: &str, recipient: &str, url: String| {
        format!(
            "[flows.{name}]\n[flows.{name}.sources.web]\nopen = true\n[[flows.{name}.steps]]\nid = \"sell\"\nrecipient = \
             \"{recipient}\"\nrequest = {{ url = \"{url}\", timeout = \"2s\" }}\n"
        )
    };
    let flows =
        [flow("auto", "bank", bank.url()), flow("home", "bank", bank.url()), flow("solar", "other", other.url())];
    format!(
        "[server]\nallow_private_networks = [\"127.0.0.0/8\"]\n[retry]\npolicy = \"outage\"\n[recipients.bank]\n\
         [recipients.other]\n{}",
        flows.concat()
    )
}

async fn until(server: &Server, path: &str, what: impl Fn(&Value) -> bool) -> Value {
    let look = async {
        loop {
            let seen = server.get(path).await.json();
            if what(&seen) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{path} never became what was waited for"))
}

async fn events(server: &Server, kind: &str) -> Vec<Value> {
    let page = server.get("/v1/events?limit=200").await.json();
    page["items"].as_array().unwrap().iter().filter(|event| event["type"] == kind).cloned().collect()
}

/// Runs a command on the server, as a person would.
fn steadfast(server: &Server, arguments: &[&str]) -> String {
    let base = format!("http://{}", server.address);
    let mut command = Command::new(binary());
    command.arg(arguments[0]).args(["--server", &base]).args(&arguments[1..]);
    // The command waits for the server; the recipient of this test lives on the same runtime.
    let ran = tokio::task::block_in_place(|| command.output().unwrap());
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// A recipient that answers 503 until it is told to be well.
async fn failing() -> (Recipient, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&well);
    let recipient = Recipient::start(move |_| Reply::Status(if told.load(Ordering::SeqCst) { 200 } else { 503 })).await;
    (recipient, well)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_breaker_opens_within_five_failures_and_then_only_probes_go() {
    let (bank, well) = failing().await;
    let other = Recipient::start(|_| Reply::Status(200)).await;
    let server = Server::start(&config(&bank, &other)).await;
    let mut ids = Vec::new();
    // One after the other: what is under way already when a breaker opens cannot be called back.
    for number in 0..30 {
        let (_, id) = server.lead("auto", &format!("{{\"n\":{number}}}")).await;
        if number < 5 {
            bank.arrivals(number + 1).await;
            until(&server, &format!("/v1/deliveries/{id}"), |seen| seen["attempts_sent"] == 1).await;
        }
        ids.push(id);
    }
    let open = |seen: &Value| seen["endpoints"][0]["breaker"]["state"] == "open";
    let shown = until(&server, "/v1/recipients/bank", open).await;
    assert_eq!((&shown["health"], &shown["held_now"]), (&json!("failing"), &json!(30)), "{shown:#}");
    assert_eq!(bank.log().len(), 5, "the sixth never started");
    // The other recipient's leads go on, and one of the held shows why it waits.
    let (_, elsewhere) = server.lead("solar", "{}").await;
    server.delivery_in(&elsewhere, "delivered").await;
    let held = server.get(&format!("/v1/deliveries/{}", ids[29])).await.json();
    assert_eq!((&held["attempts_sent"], &held["hold"]["why"]), (&json!(0), &json!("breaker")));

    // A person has it probe: one attempt, which fails, and it opens again, for longer.
    let said = steadfast(&server, &["recipients", "breaker", "bank", "probe", "--reason", "they say they are back"]);
    assert!(said.contains("bank"), "{said}");
    bank.arrivals(6).await;
    until(&server, "/v1/recipients/bank", |seen| {
        open(seen) && seen["endpoints"][0]["breaker"]["openings_in_a_row"] == 2
    })
    .await;
    assert_eq!(bank.log().len(), 6, "one probe and nothing else");

    well.store(true, Ordering::SeqCst);
    steadfast(&server, &["recipients", "breaker", "bank", "probe", "--reason", "now they are"]);
    for id in &ids {
        server.delivery_in(id, "delivered").await;
    }
    let told = events(&server, "breaker_changed").await;
    let states: Vec<&str> = told.iter().map(|event| event["to"].as_str().unwrap()).collect();
    assert_eq!(states[..5], ["open", "half_open", "open", "half_open", "recovery"], "{told:#?}");
    assert!(told[0]["because"].as_str().unwrap().contains("5 failures in a row"));
    assert!(told[1]["because"].as_str().unwrap().contains("by local: they say they are back"), "{}", told[1]);
    // Held is not retried: the first five used one retry each at most, all others none.
    for id in &ids[5..] {
        let shown = server.get(&format!("/v1/deliveries/{id}")).await.json();
        assert_eq!(shown["leg"]["retries_used"], if shown["attempts_sent"] == 1 { 0 } else { 1 }, "{shown:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_stopped_stays_stopped_over_a_restart_until_they_let_it_go_on() {
    let (bank, other) =
        (Recipient::start(|_| Reply::Status(200)).await, Recipient::start(|_| Reply::Status(200)).await);
    let mut server = Server::start(&config(&bank, &other)).await;
    steadfast(&server, &["recipients", "pause", "other", "--reason", "contract ended"]);
    steadfast(&server, &["flows", "pause", "auto", "--reason", "wrong price"]);
    let said = steadfast(&server, &["flows", "pause", "home", "--source", "web", "--reason", "spam"]);
    assert!(said.contains("home") && said.contains("web") && said.contains("spam"), "{said}");
    let (_, by_recipient) = server.lead("solar", "{}").await;
    let (_, by_flow) = server.lead("auto", "{}").await;
    let by_source = server.post("/flows/home/sources/web/submit", r#"{"a":1}"#).await;
    assert_eq!(by_source.status, 201, "leads are taken all the same");
    let (_, direct) = server.lead("home", "{}").await;
    server.delivery_in(&direct, "delivered").await;

    for restarted in [false, true] {
        if restarted {
            server = server.kill_and_restart().await;
        }
        let stops = steadfast(&server, &["recipients", "stops"]);
        for said in ["contract ended", "wrong price", "spam"] {
            assert!(stops.contains(said), "{stops}");
        }
        for id in [&by_recipient, &by_flow] {
            let why = |seen: &Value| seen["hold"]["why"] == "paused";
            let shown = until(&server, &format!("/v1/deliveries/{id}"), why).await;
            assert_eq!(shown["attempts_sent"], 0);
        }
        assert_eq!((bank.log().len(), other.log().len()), (1, 0), "restarted: {restarted}");
    }
    let listed = steadfast(&server, &["recipients", "list"]);
    assert!(listed.lines().any(|line| line.contains("other") && line.contains("stopped")), "{listed}");
    let json: Value = serde_json::from_str(&steadfast(&server, &["recipients", "--json", "show", "other"])).unwrap();
    assert_eq!(json["stopped"]["reason"], "contract ended");

    steadfast(&server, &["recipients", "resume", "other", "--reason", "renewed"]);
    server.delivery_in(&by_recipient, "delivered").await;
    steadfast(&server, &["flows", "resume", "auto", "--reason", "price is right"]);
    server.delivery_in(&by_flow, "delivered").await;
    assert_eq!(steadfast(&server, &["flows", "resume", "home", "--source", "web", "--reason", "cleaned"]), "goes on\n");
    bank.arrivals(3).await;
    let ends = events(&server, "resumed").await;
    let reasons: Vec<&str> = ends.iter().map(|event| event["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["renewed", "price is right", "cleaned"]);
    assert_eq!(events(&server, "stopped").await.len(), 3);
    assert_eq!(server.get("/v1/stops").await.json(), json!({ "items": [] }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_opened_by_hand_stays_open_over_a_restart() {
    let (bank, other) =
        (Recipient::start(|_| Reply::Status(200)).await, Recipient::start(|_| Reply::Status(200)).await);
    let server = Server::start(&config(&bank, &other)).await;
    steadfast(&server, &["recipients", "breaker", "bank", "open", "--reason", "they asked us to"]);
    until(&server, "/v1/events?limit=200", |page| page["items"].to_string().contains("forced_open")).await;
    let server = server.kill_and_restart().await;
    let shown = steadfast(&server, &["recipients", "show", "bank"]);
    assert!(shown.contains("forced_open") && shown.contains("stopped"), "{shown}");
    let (_, id) = server.lead("auto", "{}").await;
    let (_, elsewhere) = server.lead("solar", "{}").await;
    server.delivery_in(&elsewhere, "delivered").await;
    assert_eq!(bank.log().len(), 0);
    steadfast(&server, &["recipients", "breaker", "bank", "close", "--reason", "they are done"]);
    server.delivery_in(&id, "delivered").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_during_a_probe_is_not_stuck_afterwards() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let bank = Recipient::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0..5 => Reply::Status(503),
        // The probe that the kill cuts off.
        5 => Reply::After(Duration::from_secs(600), 200),
        _ => Reply::Status(200),
    })
    .await;
    let other = Recipient::start(|_| Reply::Status(200)).await;
    let server = Server::start(&config(&bank, &other).replace("\"2s\"", "\"60s\"")).await;
    let mut ids = Vec::new();
    for number in 0..8 {
        let (_, id) = server.lead("auto", "{}").await;
        if number < 5 {
            until(&server, &format!("/v1/deliveries/{id}"), |seen| seen["attempts_sent"] == 1).await;
        }
        ids.push(id);
    }
    steadfast(&server, &["recipients", "breaker", "bank", "probe", "--reason", "they say they are back"]);
    bank.arrivals(6).await;
    let half_open = |seen: &Value| seen["endpoints"][0]["breaker"]["state"] == "half_open";
    until(&server, "/v1/recipients/bank", half_open).await;
    until(&server, "/v1/events?limit=200", |page| page["items"].to_string().contains("half_open")).await;
    let server = server.kill_and_restart().await;
    for id in &ids {
        server.delivery_in(id, "delivered").await;
    }
    let told = events(&server, "breaker_changed").await;
    let states: Vec<&str> = told.iter().map(|event| event["to"].as_str().unwrap()).collect();
    assert_eq!(states, ["open", "half_open", "recovery"], "the probe was not waited for: {told:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_queues_capacity_posts_are_refused_with_a_time_and_cost_no_memory() {
    const CAPACITY: usize = 1_000;
    const MEMORY_MAX: u64 = 12 << 20;
    let (bank, other) =
        (Recipient::start(|_| Reply::Status(200)).await, Recipient::start(|_| Reply::Status(200)).await);
    let text = format!("{}[store]\nqueue_capacity = {CAPACITY}\n", config(&bank, &other));
    let server = Server::start(&text).await;
    steadfast(&server, &["recipients", "pause", "other", "--reason", "nothing goes"]);
    for _ in 0..CAPACITY {
        server.lead("solar", "{}").await;
    }
    // Each is large enough that keeping them would show.
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(256 << 10));
    let mut before = 0;
    for number in 0..150 {
        let refused = server.post("/v1/flows/auto/leads", large.clone()).await;
        assert_eq!(refused.status, 429, "{:?}", refused.body);
        let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=3_600).contains(&wait));
        if number == 50 {
            before = server.rss_bytes();
        }
    }
    let grown = server.rss_bytes().saturating_sub(before);
    assert!(grown < MEMORY_MAX, "{grown} bytes for 25 MiB of refused posts");
    assert_eq!(bank.log().len(), 0, "nothing of what was refused was sent");
    steadfast(&server, &["recipients", "resume", "other", "--reason", "it goes on"]);
    other.arrivals(CAPACITY).await;
    let (_, id) = server.lead("auto", "{}").await;
    server.delivery_in(&id, "delivered").await;
    let mut taken: Vec<String> = other.log().into_iter().map(|arrival| arrival.delivery).collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!((taken.len(), other.log().len()), (CAPACITY, CAPACITY), "all that was taken, once each");
}
