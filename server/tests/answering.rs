//! The table of recorded answers through live delivery: a recipient that gives each of them, a server that reads it. Means the
//! same as through `steadfast classify`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod answers;
mod stage;

use answers::{Answer, Group};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stage::Server;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A recipient that gives the recorded answer its path names: `/GROUP/ANSWER`, by number.
async fn recipient(groups: Arc<Vec<Group>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&groups)));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, groups: Arc<Vec<Group>>) -> std::io::Result<()> {
    let mut read = Vec::new();
    let body = loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
        let head_end = read.windows(4).position(|window| window == b"\r\n\r\n");
        let whole = head_end.and_then(|end| serde_json::from_slice::<serde_json::Value>(&read[end + 4..]).ok());
        if let Some(body) = whole {
            break body;
        }
    };
    let number = |name: &str| usize::try_from(body[name].as_u64().unwrap()).unwrap();
    let answer = &groups[number("group")].answers[number("answer")];
    stream.write_all(&bytes_of(answer)).await?;
    stream.shutdown().await
}

fn bytes_of(answer: &Answer) -> Vec<u8> {
    let encoded = answer.body_base64.as_ref().map(|text| STANDARD.decode(text).unwrap());
    let body = encoded.or_else(|| answer.body.clone().map(String::into_bytes)).unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} Recorded\r\nconnection: close\r\n", answer.status.unwrap_or(200));
    let content_type = answer.content_type.iter().map(|value| ("content-type", value));
    for (name, value) in answer.headers.iter().map(|(name, value)| (name.as_str(), value)).chain(content_type) {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    write!(head, "content-length: {}\r\n\r\n", body.len()).unwrap();
    let mut bytes = head.into_bytes();
    bytes.extend(body);
    bytes
}

/// A flow and a recipient for each answer, with its group's rules, so that no answer pauses another; one attempt each.
fn config(groups: &[Group], address: SocketAddr) -> String {
    let mut config = String::from("[server]\nallow_private_networks = [\"127.0.0.0/8\"]\n[retry]\nenabled = false\n");
    for (group_number, group) in groups.iter().enumerate() {
        for answer_number in 0..group.answers.len() {
            let name = format!("a{group_number}-{answer_number}");
            let rules = group
                .rules
                .replace("[response]", &format!("[recipients.{name}.response]"))
                .replace("[[rules]]", &format!("[[recipients.{name}.rules]]"));
            write!(
                config,
                "[recipients.{name}]\nrequest = {{ url = \"http://{address}/\" }}\n{rules}\n[flows.{name}]\n\
                 [[flows.{name}.steps]]\nid = \"s\"\nrecipient = \"{name}\"\n"
            )
            .unwrap();
        }
    }
    config
}

/// The verdict on a delivery's first attempt, once it is settled.
async fn verdict(server: &Server, id: &str) -> serde_json::Value {
    let started = tokio::time::Instant::now();
    loop {
        let delivery = server.get(&format!("/v1/deliveries/{id}")).await.json();
        if let Some(attempt) = delivery["attempts"].get(0) {
            return attempt["verdict"].clone();
        }
        assert!(started.elapsed() < stage::PATIENCE, "{id} was never sent: {delivery:#}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn every_recorded_answer_means_the_same_through_live_delivery() {
    let groups = Arc::new(answers::groups());
    let server = Server::start(&config(&groups, recipient(Arc::clone(&groups)).await)).await;
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (group_number, group) in groups.iter().enumerate() {
        // What stands for no answer at all is another test's.
        let answers = group.answers.iter().enumerate().filter(|(_, answer)| answer.error.is_none());
        for (answer_number, answer) in answers {
            let lead = format!("{{\"group\":{group_number},\"answer\":{answer_number}}}");
            let (_, id) = server.lead(&format!("a{group_number}-{answer_number}"), &lead).await;
            let mut said = verdict(&server, &id).await;
            // Whether it would be retried is told by the decision, which this flow makes never.
            said["retryable"] = answer.expect.retryable.map_or(serde_json::Value::Null, Into::into);
            let differences = answer.differences(&said).into_iter();
            wrong.extend(differences.map(|what| format!("{}: {}: {what}", group.title, answer.name)));
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 80, "only {count} recorded answers");
}

/// A quota that only the body speaks of: a rule calls it a rate limit and says how long, and then nothing goes there until it is
/// over, whichever lead it is; no retry is used.
#[tokio::test]
async fn a_quota_in_a_body_holds_the_endpoint_where_a_rule_says_so() {
    const DELAY: std::time::Duration = std::time::Duration::from_secs(1);
    let recipient = stage::Recipient::start(|arrival| {
        let body: serde_json::Value = serde_json::from_slice(&arrival.body).unwrap();
        let quota = body["lead"] == "first" && arrival.attempt == 1;
        let said = if quota { r#"{"state":"quota exceeded"}"# } else { r#"{"state":"sold"}"# };
        stage::Reply::Body(200, said.into())
    })
    .await;
    let server = Server::start(&format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[retry]
max_retries = 1
[recipients.bank]
request = {{ url = "{}" }}
response = {{ outcome_search_path = "state", outcome_search_term = "sold" }}
[[recipients.bank.rules]]
name = "their quota"
match = {{ path = {{ path = "state", term = "quota exceeded" }} }}
outcome = "error"
kind = "rate_limited"
delay = "1s"
[flows.auto]
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
"#,
        recipient.url()
    ))
    .await;
    let (_, first) = server.lead("auto", r#"{"lead":"first"}"#).await;
    assert_eq!(verdict(&server, &first).await["kind"], "rate_limited");
    let (_, second) = server.lead("auto", r#"{"lead":"second"}"#).await;
    let arrivals = recipient.arrivals(3).await;
    let waited = |number: usize| arrivals[number].at.duration_since(arrivals[0].at);
    assert!(waited(1) >= DELAY && waited(2) >= DELAY, "{:?} {:?}", waited(1), waited(2));
    for id in [first, second] {
        let delivery = delivered(&server, &id).await;
        let attempts = delivery["attempts"].as_array().unwrap();
        assert_eq!((&delivery["retries_used"], &attempts[attempts.len() - 1]["retry"]), (&0.into(), &0.into()));
        assert!(attempts.len() == 1 || attempts[0]["decision"]["name"] == "hold", "{delivery:#}");
    }
}

async fn delivered(server: &Server, id: &str) -> serde_json::Value {
    let started = tokio::time::Instant::now();
    loop {
        let delivery = server.get(&format!("/v1/deliveries/{id}")).await.json();
        if delivery["state"] == "delivered" {
            return delivery;
        }
        assert!(started.elapsed() < stage::PATIENCE, "{id} is not delivered: {delivery:#}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
