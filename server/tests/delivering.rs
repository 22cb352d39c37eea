//! The main job through the front door: a real process, real sockets, a recipient that keeps a log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use serde_json::Value;
use stage::{Arrival, Recipient, Reply, Server};
use std::time::Duration;

/// A configuration with one flow to one recipient, and more keys for its retry table.
fn config(recipient: &Recipient, retry: &str) -> String {
    format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[retry]
policy = "standard"
[recipients.bank]
[flows.auto]
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
request = {{ type = "http", method = "POST", url = "{}", format = "json", timeout = "2s" }}
retry = {{ {retry} }}
"#,
        recipient.url()
    )
}

/// Answers by the attempt's number, the last answer for all that follow.
fn by_attempt(answers: &'static [u16]) -> impl Fn(&Arrival) -> Reply + Send + Sync {
    move |arrival| {
        let place = usize::try_from(arrival.attempt).unwrap().saturating_sub(1).min(answers.len() - 1);
        Reply::Status(answers[place])
    }
}

fn texts(delivery: &Value, pointer: &str) -> Vec<String> {
    let attempts = delivery["attempts"].as_array().unwrap();
    attempts.iter().map(|attempt| attempt.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn two_503_then_200_under_standard_is_three_attempts_on_the_documented_schedule() {
    let recipient = Recipient::start(by_attempt(&[503, 503, 200])).await;
    let server = Server::start(&config(&recipient, "")).await;
    let lead = r#"{"name":"Ada Example","amount":1.10,"tags":["a","b"]}"#;
    let (lead_id, id) = server.lead("auto", lead).await;
    let log = recipient.arrivals(3).await;
    let delivery = server.delivery_in(&id, "delivered").await;

    let gaps: Vec<f64> = log.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs_f64()).collect();
    // A delay counts from the end of the failed attempt; an answer on loopback takes a few milliseconds at most.
    assert!((2.0..2.45).contains(&gaps[0]) && (4.0..4.85).contains(&gaps[1]), "{gaps:?}");
    for (place, arrival) in log.iter().enumerate() {
        assert_eq!(arrival.body, lead.as_bytes(), "the same body, digit for digit");
        assert_eq!((arrival.delivery.as_str(), arrival.attempt), (id.as_str(), u32::try_from(place).unwrap() + 1));
        assert_eq!(arrival.key, format!("\"{id}\""));
        assert_eq!(arrival.headers["content-type"], "application/json");
    }
    assert_eq!(texts(&delivery, "/verdict/outcome"), ["error", "error", "success"]);
    assert_eq!(texts(&delivery, "/decision/name"), ["retry", "retry", "deliver"]);
    assert!(texts(&delivery, "/because")[0].contains("retry 1 of 3"), "{delivery:#}");
    assert_eq!(delivery["attempts"][0]["evidence"]["answer"]["status"], 503);
    assert_eq!(delivery["attempts"][0]["evidence"]["phase"], "responded");
    assert_eq!(delivery["lead_id"], lead_id.as_str());
}

#[tokio::test]
async fn a_hinted_429_pauses_the_endpoint_and_uses_no_retry() {
    let recipient = Recipient::start(|arrival| match arrival.attempt {
        1 => Reply::StatusWith(429, "retry-after", "3".to_owned()),
        _ => Reply::Status(200),
    })
    .await;
    let server = Server::start(&config(&recipient, "")).await;
    let (_, first) = server.lead("auto", r#"{"n":1}"#).await;
    recipient.arrivals(1).await;
    server.delivery_in(&first, "held").await;
    // A lead that comes during the pause waits as well.
    let (_, second) = server.lead("auto", r#"{"n":2}"#).await;
    let log = recipient.arrivals(2).await;
    let pause = (log[1].at - log[0].at).as_secs_f64();
    assert!((3.0..3.6).contains(&pause), "{pause}");
    let delivery = server.delivery_in(&first, "delivered").await;
    assert_eq!(texts(&delivery, "/decision/name"), ["hold", "deliver"]);
    assert_eq!(delivery["attempts"][1]["retry"], 0, "no retry was used");
    server.delivery_in(&second, "delivered").await;
}

#[tokio::test]
async fn what_is_final_goes_to_review_and_a_person_can_act_on_it() {
    let recipient = Recipient::start(by_attempt(&[404, 404, 200])).await;
    let server = Server::start(&config(&recipient, "")).await;
    let (_, id) = server.lead("auto", r#"{"n":1}"#).await;
    let delivery = server.delivery_in(&id, "in_review").await;
    assert_eq!(texts(&delivery, "/verdict/kind"), ["client_error"]);
    let review = server.get("/v1/review").await.json();
    assert_eq!(review["items"][0]["id"], id.as_str());
    assert_eq!(review["items"][0]["why"], "final_error");

    // Again by hand: still 404, then taken.
    for state in ["in_review", "delivered"] {
        assert_eq!(server.post(&format!("/v1/deliveries/{id}/retry"), "{}").await.status, 200);
        recipient.arrivals(if state == "in_review" { 2 } else { 3 }).await;
        server.delivery_in(&id, state).await;
    }
    let refused = server.post(&format!("/v1/deliveries/{id}/dismiss"), r#"{"reason":"no longer wanted"}"#).await;
    assert_eq!(refused.status, 409, "{:?}", refused.body);
}

#[tokio::test]
async fn dismissed_and_marked_deliveries_are_never_sent_again() {
    let recipient = Recipient::start(by_attempt(&[503])).await;
    let server = Server::start(&config(&recipient, "policy = \"conservative\"")).await;
    let (_, one) = server.lead("auto", r#"{"n":1}"#).await;
    let (_, two) = server.lead("auto", r#"{"n":2}"#).await;
    recipient.arrivals(2).await;
    server.delivery_in(&one, "waiting").await;
    server.delivery_in(&two, "waiting").await;
    let reason = r#"{"reason":"called them instead"}"#;
    assert_eq!(server.post(&format!("/v1/deliveries/{one}/dismiss"), reason).await.status, 200);
    assert_eq!(server.post(&format!("/v1/deliveries/{two}/mark-delivered"), reason).await.status, 200);
    assert_eq!(server.delivery_in(&one, "closed").await["why"], "dismissed");
    assert_eq!(server.delivery_in(&two, "delivered").await["by_hand"], true);
    // Both would have been due five seconds after their first attempt; a third lead's first retry comes later still.
    let (_, three) = server.lead("auto", r#"{"n":3}"#).await;
    let log = recipient.arrivals(4).await;
    assert_eq!(log[2].delivery, three);
    assert_eq!(log[3].delivery, three, "nothing of the other two was sent meanwhile");
}

#[tokio::test]
async fn timeouts_resets_and_refusals_are_told_apart() {
    let silent = Recipient::start(|arrival| match arrival.attempt {
        1 => Reply::After(Duration::from_secs(30), 200),
        2 => Reply::Drop,
        _ => Reply::Status(200),
    })
    .await;
    let server = Server::start(&config(&silent, "policy = \"aggressive\"")).await;
    let (_, id) = server.lead("auto", r#"{"n":1}"#).await;
    silent.arrivals(3).await;
    let delivery = server.delivery_in(&id, "delivered").await;
    let kinds: Vec<&Value> =
        delivery["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["verdict"]["kind"]).collect();
    assert_eq!(kinds[..2], ["timeout_read", "reset"]);
    assert_eq!(texts(&delivery, "/evidence/phase")[0], "sent");
}

#[tokio::test]
async fn wait_answers_with_the_outcome() {
    let recipient = Recipient::start(by_attempt(&[200])).await;
    let server = Server::start(&config(&recipient, "")).await;
    let answer = server.post("/v1/flows/auto/leads?wait=10s", r#"{"n":1}"#).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.json()["deliveries"][0]["state"], "delivered");
}

#[tokio::test]
async fn an_idempotency_key_makes_one_lead() {
    let recipient = Recipient::start(by_attempt(&[200])).await;
    let server = Server::start(&config(&recipient, "")).await;
    let post = |key: &'static str, body: &'static str| {
        let request = hyper::Request::post("/v1/flows/auto/leads")
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(http_body_util::Full::from(body))
            .unwrap();
        let address = server.address.clone();
        async move { stage::call(&address, request).await.unwrap() }
    };
    let first = post("order-1", r#"{"n":1}"#).await;
    let again = post("order-1", r#"{"n":1}"#).await;
    let other = post("order-1", r#"{"n":2}"#).await;
    assert_eq!((first.status, again.status, other.status), (202, 202, 422));
    assert_eq!(first.json()["lead_id"], again.json()["lead_id"]);
    recipient.arrivals(1).await;
    let (_, last) = server.lead("auto", r#"{"n":3}"#).await;
    let log = recipient.arrivals(2).await;
    assert_eq!(log[1].delivery, last, "the repeated request was not sent again");
}
