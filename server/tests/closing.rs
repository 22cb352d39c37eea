//! A recipient that is closed now, through the real process: it opens with a reloaded configuration; maintenance by the command
//! outlives a kill -9 and is cancelled; and what waits follows a changed delay.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use stage::{Recipient, Reply, Server};
use std::process::Command;

/// Open for two minutes of the year.
const CLOSED: &str = "Jan 01 00:00-00:01, Jul 01 00:00-00:01";

fn config(url: &str, hours: &str, delay: &str) -> String {
    format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[retry]
initial_delay = "{delay}"
[recipients.bank]
time_zone = "America/New_York"
hours = "{hours}"
breaker = {{ mode = "off" }}
request.url = "{url}"
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
"#
    )
}

fn reload(server: &Server, text: &str) {
    std::fs::write(server.config(), text).unwrap();
    server.signal("HUP");
}

fn command(server: &Server, words: &[&str]) -> String {
    let base = format!("http://{}", server.address);
    let done = Command::new(stage::binary()).args([words[0], "--server", &base]).args(&words[1..]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_closed_recipient_goes_when_it_opens_and_maintenance_outlives_a_kill() {
    let bank = Recipient::start(|_| Reply::Status(200)).await;
    let server = Server::start(&config(&bank.url(), CLOSED, "1s")).await;
    let (_, held) = server.lead("auto", r#"{"number":1}"#).await;
    let shown = server.get(&format!("/v1/deliveries/{held}")).await.json();
    assert_eq!((&shown["state"], &shown["hold"]["why"]), (&"waiting".into(), &"closed_hours".into()), "{shown:#}");
    let explained = server.get("/v1/explain?flow=auto&step=sell").await.json();
    assert_eq!(explained["called_when"]["now"], "closed", "{explained:#}");
    assert!(explained["example"].as_array().unwrap().len() == 3, "{explained:#}");
    reload(&server, &config(&bank.url(), "24/7", "1s"));
    server.delivery_in(&held, "delivered").await;

    let until = "2099-01-01T00:00:00Z";
    let refused =
        server.post("/v1/recipients/bank/maintenance", format!(r#"{{"until":"{until}","reason":"x"}}"#)).await;
    assert_eq!(refused.status, 422, "{:?}", refused.json());
    let now = server.get("/v1/config").await.json()["at"].as_str().unwrap().to_owned();
    let until = format!("{}-12-31T23:59:59Z", now[..4].parse::<u32>().unwrap());
    let said = command(&server, &["recipients", "maintenance", "bank", "--until", &until, "--reason", "new disks"]);
    assert!(said.contains("new disks") && said.contains("closed (maintenance)"), "{said}");
    let (_, waits) = server.lead("auto", r#"{"number":2}"#).await;
    let server = server.kill_and_restart().await;
    let shown = server.get(&format!("/v1/deliveries/{waits}")).await.json();
    assert_eq!(shown["hold"]["why"], "maintenance", "{shown:#}");
    assert!(shown["hold"]["note"].as_str().unwrap().starts_with("new disks, by "), "{shown:#}");
    let windows = server.get("/v1/recipients/bank").await.json()["maintenance"].clone();
    let id = windows[0]["id"].as_str().unwrap();
    let said = command(&server, &["recipients", "cancel-maintenance", "bank", id]);
    assert!(!said.contains("new disks"), "{said}");
    server.delivery_in(&waits, "delivered").await;
    assert_eq!(bank.log().len(), 2, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_waits_follows_a_shorter_delay_at_once() {
    let bank =
        Recipient::start(|arrival| if arrival.attempt == 1 { Reply::Status(503) } else { Reply::Status(200) }).await;
    let server = Server::start(&config(&bank.url(), "24/7", "60s")).await;
    let (_, waits) = server.lead("auto", r#"{"number":1}"#).await;
    bank.arrivals(1).await;
    server.delivery_in(&waits, "waiting").await;
    reload(&server, &config(&bank.url(), "24/7", "1s"));
    let began = tokio::time::Instant::now();
    let shown = server.delivery_in(&waits, "delivered").await;
    assert!(began.elapsed() < std::time::Duration::from_secs(50), "not after its old delay");
    let because = shown["changes"][0]["because"].as_str().unwrap();
    assert!(because.starts_with("planned anew under configuration version 2: server_error is retryable"), "{because}");
    assert_eq!(server.get("/v1/config").await.json()["replanning"]["changed"], 1);
}
