//! Recipients that want a token, through the front door: a real process, a token endpoint and a recipient that keep logs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use serde_json::Value;
use stage::{Arrival, Recipient, Reply, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One flow to one recipient that wants a token.
fn config(recipient: &Recipient, endpoint: &Recipient, secret: &str) -> String {
    format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[recipients.bank]
request = {{ url = "{}", timeout = "5s" }}
[recipients.bank.auth]
type = "oauth2"
token_url = "http://{}/token"
client_id = "us"
client_secret = "{secret}"
client_auth = "body"
scope = "leads.write"
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
retry = {{ policy = "aggressive" }}
"#,
        recipient.url(),
        endpoint.address
    )
}

/// Gives s3cret-1, s3cret-2, ... to whoever asks.
async fn giving() -> Recipient {
    let given = AtomicUsize::new(0);
    Recipient::start(move |_| grant(given.fetch_add(1, Ordering::SeqCst) + 1)).await
}

fn grant(number: usize) -> Reply {
    Reply::Body(200, format!(r#"{{"access_token":"s3cret-{number}","token_type":"bearer","expires_in":3600}}"#))
}

/// A recipient that accepts one token, which a test may change.
async fn knowing(token: &Arc<AtomicUsize>) -> Recipient {
    let token = Arc::clone(token);
    Recipient::start(move |arrival: &Arrival| {
        let known = format!("Bearer s3cret-{}", token.load(Ordering::SeqCst));
        Reply::Status(if arrival.headers.get("authorization") == Some(&known) { 200 } else { 401 })
    })
    .await
}

fn attempts(delivery: &Value) -> &Vec<Value> {
    delivery["attempts"].as_array().unwrap()
}

#[tokio::test]
async fn a_token_the_recipient_no_longer_knows_is_renewed_within_one_attempt() {
    let known = Arc::new(AtomicUsize::new(1));
    let (endpoint, recipient) = (giving().await, knowing(&known).await);
    let server = Server::start(&config(&recipient, &endpoint, "s3cret-client")).await;
    let (_, first) = server.lead("auto", r#"{"n":1}"#).await;
    let delivery = server.delivery_in(&first, "delivered").await;
    assert!(attempts(&delivery)[0]["evidence"].get("replayed_after").is_none(), "{delivery:#}");
    let asked = String::from_utf8(endpoint.log()[0].body.to_vec()).unwrap();
    assert_eq!(asked, "grant_type=client_credentials&client_id=us&client_secret=s3cret-client&scope=leads.write");

    known.store(2, Ordering::SeqCst);
    let (_, second) = server.lead("auto", r#"{"n":2}"#).await;
    let delivery = server.delivery_in(&second, "delivered").await;
    let attempt = &attempts(&delivery)[0];
    assert_eq!((attempts(&delivery).len(), &attempt["retry"]), (1, &Value::from(0)), "{delivery:#}");
    assert_eq!(attempt["evidence"]["replayed_after"], 401);
    assert_eq!(attempt["evidence"]["answer"]["status"], 200);
    // Twice at the recipient, as one attempt with one key.
    let log = recipient.log();
    assert_eq!((log.len(), endpoint.log().len()), (3, 2));
    assert_eq!((&log[1].key, log[1].attempt, &log[1].body), (&log[2].key, 1, &log[2].body));

    // One that nobody gives: refused twice, and a person looks.
    known.store(0, Ordering::SeqCst);
    let (_, third) = server.lead("auto", r#"{"n":3}"#).await;
    let delivery = server.delivery_in(&third, "in_review").await;
    assert_eq!((attempts(&delivery).len(), recipient.log().len()), (1, 5));
    assert_eq!(attempts(&delivery)[0]["verdict"]["kind"], "auth");
    for path in [format!("/v1/deliveries/{second}"), "/v1/config".to_owned(), "/v1/events".to_owned()] {
        let answer = server.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("s3cret"), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_down_for_a_while_costs_retries_and_no_lead() {
    let asked = AtomicUsize::new(0);
    let endpoint = Recipient::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Status(503),
        1 => Reply::Drop,
        number => grant(number - 1),
    })
    .await;
    let recipient = knowing(&Arc::new(AtomicUsize::new(1))).await;
    let server = Server::start(&config(&recipient, &endpoint, "s3cret-client")).await;
    let (_, id) = server.lead("auto", r#"{"n":1}"#).await;
    let delivery = server.delivery_in(&id, "delivered").await;
    let seen: Vec<_> = attempts(&delivery)
        .iter()
        .map(|attempt| {
            let evidence = &attempt["evidence"];
            (attempt["verdict"]["kind"].as_str(), evidence["phase"].as_str().unwrap(), evidence["in_doubt"] == true)
        })
        .collect();
    let unsent = (Some("auth_temporary"), "prepare", false);
    assert_eq!(seen, [unsent, unsent, (None, "responded", false)], "{delivery:#}");
    assert_eq!((recipient.log().len(), recipient.log()[0].attempt), (1, 3));
}

#[tokio::test]
async fn a_changed_secret_counts_at_once_and_an_unchanged_one_keeps_its_token() {
    let known = Arc::new(AtomicUsize::new(1));
    let (endpoint, recipient) = (giving().await, knowing(&known).await);
    let server = Server::start(&config(&recipient, &endpoint, "s3cret-old")).await;
    let (_, id) = server.lead("auto", r#"{"n":1}"#).await;
    server.delivery_in(&id, "delivered").await;

    for (secret, version, token) in [("s3cret-old", 2, 1), ("s3cret-new", 3, 2)] {
        // Something else changes with it, so that there is a version to wait for.
        let text = format!("{}# version {version}\n", config(&recipient, &endpoint, secret));
        std::fs::write(server.config(), text).unwrap();
        server.signal("HUP");
        known.store(token, Ordering::SeqCst);
        let delivery = delivered_under(&server, version).await;
        let evidence = &attempts(&delivery)[0]["evidence"];
        assert!(evidence.get("replayed_after").is_none(), "{delivery:#}");
    }
    let secrets: Vec<String> = endpoint.log().iter().map(|asked| String::from_utf8_lossy(&asked.body).into()).collect();
    assert_eq!(secrets.len(), 2, "{secrets:?}");
    assert!(secrets[0].contains("client_secret=s3cret-old") && secrets[1].contains("client_secret=s3cret-new"));
}

/// Waits until a version of the configuration is in force, and gives the first delivery made under it.
async fn delivered_under(server: &Server, version: u64) -> Value {
    let started = tokio::time::Instant::now();
    loop {
        let config = server.get("/v1/config").await.json();
        if config["running_version"] == version {
            break;
        }
        assert!(started.elapsed() < stage::PATIENCE, "{config:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (_, id) = server.lead("auto", r#"{"n":1}"#).await;
    server.delivery_in(&id, "delivered").await
}
