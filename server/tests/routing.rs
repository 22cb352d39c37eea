//! A dead primary and a living standby, through the real process, and a kill -9 between the two legs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use serde_json::Value;
use stage::{Recipient, Reply, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LEADS: usize = 20;

/// An address nobody listens at: taken once and let go.
fn nobody() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn config(primary: &str, standby: &str, mill: &str) -> String {
    format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[retry]
max_retries = 1
initial_delay = "1s"
[recipients.bank]
breaker = {{ mode = "off" }}
[recipients.mill]
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
request = {{ url = "{primary}" }}
[[flows.auto.steps.fallbacks]]
request = {{ url = "{standby}" }}
[[flows.auto.steps.fallbacks]]
recipient = "mill"
request = {{ url = "{mill}", format = "form" }}
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leads_of_a_dead_primary_reach_the_standby_and_the_third_leg_over_a_kill_in_between() {
    let open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&open);
    let standby =
        Recipient::start(move |_| if opened.load(Ordering::SeqCst) { Reply::Status(503) } else { Reply::Status(500) })
            .await;
    let mill = Recipient::start(|_| Reply::Status(200)).await;
    let primary = format!("http://{}/leads", nobody());
    let server = Server::start(&config(&primary, &standby.url(), &mill.url())).await;
    let mut ids = Vec::new();
    for number in 0..LEADS {
        ids.push(server.lead("auto", &format!("{{\"number\":{number}}}")).await.1);
    }
    // Every lead has been at the standby: the first leg is over for all of them.
    standby.arrivals(LEADS).await;
    let server = server.kill_and_restart().await;
    open.store(true, Ordering::SeqCst);
    for id in &ids {
        let delivery = settled(&server, id).await;
        // What the kill cut off is in doubt, and stays with the bank; all else goes on to the mill.
        if delivery["state"] == "in_review" {
            assert!(delivery["leg"]["in_doubt"] == true && delivery["leg"]["leg"] == 1, "{delivery:#}");
            continue;
        }
        assert_eq!((&delivery["state"], &delivery["recipient"]), (&"delivered".into(), &"mill".into()), "{delivery:#}");
        let legs = delivery["legs"].as_array().unwrap();
        assert_eq!(legs.len(), 3, "{delivery:#}");
        assert_eq!((&legs[0]["leg"], &legs[0]["attempts"]), (&0.into(), &2.into()), "{delivery:#}");
        assert_eq!((&legs[1]["recipient"], &legs[2]["recipient"]), (&"bank".into(), &"mill".into()));
        assert!(legs[0]["because"].as_str().unwrap().contains("leg 1 begins"), "{delivery:#}");
        assert!(legs[2].get("ended_at").is_none());
    }
    let reviewed = server.get("/v1/review").await.json()["items"].as_array().map_or(0, Vec::len);
    let taken = mill.log();
    assert_eq!(taken.len() + reviewed, LEADS, "each once, or a person's");
    assert!(taken.len() >= LEADS / 2, "{} at the third leg", taken.len());
    for arrival in &taken {
        let earlier: Vec<_> = standby.log().into_iter().filter(|one| one.delivery == arrival.delivery).collect();
        assert!(!earlier.is_empty() && earlier.iter().all(|one| one.key == earlier[0].key));
        assert_ne!(arrival.key, earlier[0].key, "another recipient, another key");
        assert_eq!(arrival.attempt, u32::try_from(2 + earlier.len()).unwrap() + 1);
    }
}

/// Two recipients, each with its breaker; what the bank's stops goes to the mill.
fn moving_on(bank: &str, mill: &str) -> String {
    format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[recipients.bank]
breaker = {{ on_open = "next_leg" }}
[recipients.mill]
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
request = {{ url = "{bank}" }}
retry = {{ initial_delay = "1s" }}
[[flows.auto.steps.fallbacks]]
recipient = "mill"
request = {{ url = "{mill}" }}
"#
    )
}

async fn until(server: &Server, path: &str, what: impl Fn(&Value) -> bool) -> Value {
    let started = tokio::time::Instant::now();
    loop {
        let seen = server.get(path).await.json();
        if what(&seen) {
            return seen;
        }
        assert!(started.elapsed() < stage::PATIENCE, "{path} never became what was waited for: {seen:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leads_of_a_recipient_that_is_down_go_to_the_next_leg_until_its_breaker_lets_it_be_asked() {
    let well = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&well);
    let bank = Recipient::start(move |_| Reply::Status(if told.load(Ordering::SeqCst) { 200 } else { 503 })).await;
    let mill = Recipient::start(|_| Reply::Status(200)).await;
    let server = Server::start(&moving_on(&bank.url(), &mill.url())).await;
    let mut ids = Vec::new();
    for number in 0..LEADS {
        let id = server.lead("auto", &format!("{{\"number\":{number}}}")).await.1;
        if number < 5 {
            // One after the other: what is under way when a breaker opens cannot be called back.
            until(&server, &format!("/v1/deliveries/{id}"), |seen| seen["attempts_sent"] == 1).await;
        }
        ids.push(id);
    }
    for id in &ids {
        let shown = server.delivery_in(id, "delivered").await;
        assert_eq!((&shown["recipient"], &shown["leg"]["leg"]), (&"mill".into(), &1.into()), "{shown:#}");
        assert_eq!(shown["leg"]["retries_used"], 0);
        let because = shown["legs"][0]["because"].as_str().unwrap();
        assert!(because.contains("is open (on_open = \"next_leg\"); leg 1 begins, at mill"), "{because}");
    }
    assert_eq!((bank.log().len(), mill.log().len()), (5, LEADS), "nothing more was asked of the bank");
    let events = server.get("/v1/events?limit=200").await.json();
    let moved = |event: &&Value| event["type"] == "delivery_changed" && event["leg"] == 1;
    assert_eq!(events["items"].as_array().unwrap().iter().filter(moved).count(), LEADS, "one line each");

    // Nobody takes leads: they are held, and go when and where somebody does.
    let by_hand = r#"{"verb":"open","reason":"maintenance"}"#;
    assert_eq!(server.post("/v1/recipients/mill/breaker", by_hand).await.status, 200);
    let held = server.lead("auto", "{}").await.1;
    let why = |seen: &Value| seen["hold"]["why"] == "breaker" && seen["recipient"] == "bank";
    until(&server, &format!("/v1/deliveries/{held}"), why).await;
    well.store(true, Ordering::SeqCst);
    let by_hand = r#"{"verb":"probe","reason":"they say they are back"}"#;
    assert_eq!(server.post("/v1/recipients/bank/breaker", by_hand).await.status, 200);
    let shown = server.delivery_in(&held, "delivered").await;
    assert_eq!((&shown["recipient"], bank.log().len()), (&"bank".into(), 6), "{shown:#}");
}

async fn settled(server: &Server, id: &str) -> Value {
    let started = tokio::time::Instant::now();
    loop {
        let delivery = server.get(&format!("/v1/deliveries/{id}")).await.json();
        if delivery["state"] == "delivered" || delivery["state"] == "in_review" {
            return delivery;
        }
        assert!(started.elapsed() < stage::PATIENCE, "{id} never ended: {delivery:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
