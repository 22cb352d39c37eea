//! What comes in from those who post elsewhere today: sources with their own answers, batches, and files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stage::{Answer, Arrival, PATIENCE, Recipient, Reply, Server, binary, call};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// One flow to one buyer that says `accepted`, `rejected` with a reason, or something else; and sources of each kind.
fn config(recipient: &Recipient) -> String {
    let hash: String = Sha256::digest("sf_partner").iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[retry]
policy = "standard"
[recipients.bank]
[flows.auto]
[flows.auto.sources.web]
answer = "outcome"
wait = "20s"
[flows.auto.sources.hasty]
answer = "outcome"
wait = "300ms"
when_unknown = "failure"
unknown_reason = "not sold yet"
dedupe = {{ fields = ["email"], window = "60s" }}
[flows.auto.sources.atonce]
price = "4.00"
[flows.auto.sources.partner]
key_hash = "sha256:{hash}"
key_field = "api_key"
test = true
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
request = {{ url = "{}", timeout = "10s" }}
[flows.auto.steps.response]
content_type = "application/json"
outcome_search_path = "result"
outcome_search_term = "accepted"
failure_search_term = "rejected"
reason_path = "why"
price_path = "price"
"#,
        recipient.url()
    )
}

/// A buyer that does as the lead's field `do` says.
fn buyer(arrival: &Arrival) -> Reply {
    let lead: Value = serde_json::from_slice(&arrival.body).unwrap_or_default();
    match lead["do"].as_str().unwrap_or_default() {
        "reject" => Reply::Body(200, r#"{"result":"rejected","why":"bad phone"}"#.to_owned()),
        "outage" => Reply::Body(200, r#"{"result":"we are down"}"#.to_owned()),
        "slow" => Reply::After(Duration::from_secs(2), 503),
        _ => Reply::Body(200, r#"{"result":"accepted","price":"12.50"}"#.to_owned()),
    }
}

async fn submit(server: &Server, source: &str, media: &str, accept: &str, body: &str) -> Answer {
    let request = Request::post(format!("/flows/auto/sources/{source}/submit"))
        .header("content-type", media)
        .header("accept", accept)
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    call(&server.address, request).await.unwrap()
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The answers that LeadConduit's own documentation shows, name by name and in the same order.
#[tokio::test]
async fn a_source_written_for_leadconduit_changes_its_host_name_only() {
    let recipient = Recipient::start(buyer).await;
    let server = Server::start(&config(&recipient)).await;
    let sold = submit(&server, "web", FORM, "application/json", "first_name=Joe&contact.phone=512").await;
    assert_eq!((sold.status, &sold.headers["content-type"]), (201, &"application/json".parse().unwrap()));
    let id = sold.json()["lead"]["id"].as_str().unwrap().to_owned();
    assert_eq!(sold.body, format!(r#"{{"outcome":"success","lead":{{"id":"{id}"}},"price":12.50}}"#));
    assert_eq!(recipient.arrivals(1).await[0].body, r#"{"first_name":"Joe","contact":{"phone":"512"}}"#);

    let lead = "<lead><first_name>Joe</first_name><contact><phone>512</phone></contact><do>reject</do></lead>";
    let failed = submit(&server, "web", "text/xml", "text/xml", lead).await;
    assert_eq!((failed.status, &failed.headers["content-type"]), (201, &"text/xml".parse().unwrap()));
    let said = String::from_utf8(failed.body.to_vec()).unwrap();
    let id = said.split("<id>").nth(1).unwrap().split("</id>").next().unwrap();
    assert_eq!(
        said,
        format!(
            "<?xml version=\"1.0\"?>\n<result>\n  <outcome>failure</outcome>\n  <reason>bad phone</reason>\n  <lead>\n    \
             <id>{id}</id>\n  </lead>\n  <price>0</price>\n</result>"
        )
    );
    let failed = submit(&server, "web", "application/json", "*/*", r#"{"do":"reject"}"#).await.json();
    let id = failed["lead"]["id"].clone();
    assert_eq!(failed, json!({ "outcome": "failure", "reason": "bad phone", "lead": { "id": id }, "price": 0 }));

    // What nobody understands is for a person; the source hears an error, not a no.
    let unclear = submit(&server, "web", FORM, "application/json", "do=outage").await.json();
    assert_eq!(unclear["outcome"], "error", "{unclear}");
    let query = server.get("/flows/auto/sources/web/submit?do=reject").await;
    assert_eq!((query.status, &query.json()["reason"]), (201, &json!("bad phone")));
    assert_eq!(submit(&server, "atonce", FORM, "*/*", "do=reject").await.json()["price"], 4.0);
}

#[tokio::test]
async fn what_is_not_known_in_time_is_told_as_configured_and_a_double_click_is_one_lead() {
    let recipient = Recipient::start(buyer).await;
    let server = Server::start(&config(&recipient)).await;
    let first = submit(&server, "hasty", FORM, "*/*", "email=ann%40example.com&do=slow&n=1").await.json();
    assert_eq!(
        (&first["outcome"], &first["reason"], &first["price"]),
        (&json!("failure"), &json!("not sold yet"), &json!(0))
    );
    let again = submit(&server, "hasty", "application/json", "*/*", r#"{"email":"ANN@example.com","n":2}"#).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.json()["lead"], first["lead"]);
    // It survives the process, as leads do.
    let server = server.kill_and_restart().await;
    let later = submit(&server, "hasty", FORM, "*/*", "email=ann%40example.com").await.json();
    assert_eq!(later["lead"], first["lead"]);
}

#[tokio::test]
async fn a_partner_posts_with_its_own_key_and_only_tests() {
    let recipient = Recipient::start(buyer).await;
    let server = Server::start(&config(&recipient)).await;
    let nobody = submit(&server, "partner", FORM, "application/json", "n=1").await;
    assert_eq!((nobody.status, &nobody.json()["outcome"]), (401, &json!("error")));
    let posted = submit(&server, "partner", FORM, "application/json", "n=1&api_key=sf_partner").await;
    let lead = posted.json()["lead"]["id"].as_str().unwrap().to_owned();
    let page = server.get(&format!("/v1/leads/{lead}")).await.json();
    assert_eq!(
        (&page["test"], &page["source"], &page["fields"]),
        (&json!(true), &json!("partner"), &json!({ "n": "1" }))
    );
}

/// A folder with a file to import.
struct File {
    folder: TempDir,
    path: PathBuf,
}

fn file(name: &str, text: &str) -> File {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    File { folder, path }
}

fn import(address: &str, file: &Path, more: &[&str]) -> Child {
    Command::new(binary())
        .args(["import", file.to_str().unwrap(), "--flow", "auto", "--to", &format!("http://{address}")])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn done(child: Child) -> (Option<i32>, String, String) {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// How often each lead arrived, by its number.
fn arrivals_by_number(log: &[Arrival]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for arrival in log {
        let lead: Value = serde_json::from_slice(&arrival.body).unwrap();
        *counts.entry(lead["n"].as_str().unwrap_or("?").to_owned()).or_insert(0) += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_imported_and_what_was_refused_is_told_with_its_line() {
    let recipient = Recipient::start(buyer).await;
    let server = Server::start(&config(&recipient)).await;
    let mut text = "\u{feff}No;E-Mail;Internal\r\n".to_owned();
    for n in 1..=450 {
        match n {
            100 => text.push_str("100;a@example.com\r\n"),
            200 => text.push_str("200;\"two\r\nlines\";x\r\n"),
            300 => text.push_str("\"300\"x;a@example.com;x\r\n"),
            n => text.push_str(&format!("{n};a@example.com;x\r\n")),
        }
    }
    let file = file("leads.csv", &text);
    let more = ["--delimiter", ";", "--map", "No:n,E-Mail:email,Internal:"];
    let (code, out, errors) = done(import(&server.address, &file.path, &more)).await;
    assert_eq!(code, Some(1), "{out}{errors}");
    assert!(out.starts_with("448 accepted, 2 refused\n"), "{out}");
    let log = recipient.arrivals(448).await;
    let counts = arrivals_by_number(&log);
    assert_eq!((counts.len(), counts.values().sum::<usize>()), (448, 448));
    assert!(!counts.contains_key("100") && !counts.contains_key("300"));
    assert!(
        log.iter().any(|arrival| arrival.body == r#"{"n":"200","email":"two\r\nlines"}"#),
        "what was left out is not sent"
    );
    let rejects = std::fs::read_to_string(file.folder.path().join("leads.csv.rejects")).unwrap();
    let rejects: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&rejects[0]["line"], &rejects[0]["record"]), (&json!(101), &json!("100;a@example.com")));
    assert_eq!(rejects[0]["reason"], "the record has 2 columns, the header 3: column 3 (\"Internal\") is missing");
    // The record over two lines has moved what follows by one.
    assert_eq!((&rejects[1]["line"], rejects.len()), (&json!(302), 2));
    assert!(!file.folder.path().join("leads.csv.import").exists());

    // Once more: every line is known.
    let (code, out, _) = done(import(&server.address, &file.path, &more)).await;
    assert_eq!((code, out.lines().next()), (Some(1), Some("448 accepted, 2 refused")));
    let (_, last) = server.lead("auto", r#"{"n":"last"}"#).await;
    let log = recipient.arrivals(449).await;
    assert_eq!(log[448].delivery, last, "nothing was sent twice");
}

/// The line an import has settled, once it is beyond this one; nothing when it ended first.
async fn line_beyond(child: &mut Child, state: &Path, beyond: u64) -> Option<u64> {
    while child.try_wait().unwrap().is_none() {
        let said = std::fs::read(state).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let line = said.and_then(|said| said["line"].as_u64()).unwrap_or(0);
        if line > beyond {
            return Some(line);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_goes_on_where_it_was_and_every_line_arrives_once() {
    const LINES: usize = 6_000;
    let recipient = Recipient::start(buyer).await;
    let server = Server::start(&config(&recipient)).await;
    let text: String = (1..=LINES).map(|n| format!("{{\"n\":\"{n}\"}}\n")).collect();
    let file = file("leads.jsonl", &text);
    let state = file.folder.path().join("leads.jsonl.import");
    let mut kills = 0;
    let mut come_to = 0;
    loop {
        let more: &[&str] = if kills == 0 { &[] } else { &["--resume"] };
        let mut child = import(&server.address, &file.path, more);
        // Killed once it has settled something more.
        let beyond = if kills < 5 { come_to } else { u64::MAX };
        if let Some(line) = line_beyond(&mut child, &state, beyond).await {
            come_to = line;
            child.kill().await.unwrap();
            kills += 1;
            continue;
        }
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let expected = format!("{LINES} accepted, 0 refused\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
        break;
    }
    assert!(kills >= 2, "the import was too fast to be killed: {kills}");
    recipient.arrivals(LINES).await;
    let (_, last) = server.lead("auto", r#"{"n":"last"}"#).await;
    let log = recipient.arrivals(LINES + 1).await;
    assert!(log.iter().any(|arrival| arrival.delivery == last));
    let counts = arrivals_by_number(&log);
    assert_eq!(counts.len(), LINES + 1);
    assert!(counts.values().all(|count| *count == 1), "every line exactly once");
}

#[tokio::test]
async fn an_import_says_when_it_cannot_go_on() {
    let recipient = Recipient::start(buyer).await;
    let server = Server::start(&config(&recipient)).await;
    let file = file("leads.jsonl", "{\"n\":\"1\"}\n");
    let state = file.folder.path().join("leads.jsonl.import");
    let left = |fingerprint: &str| {
        let what = json!({ "fingerprint": fingerprint, "bytes": 10, "flow": "auto" });
        let left = json!({ "version": 1, "what": what, "offset": 0, "line": 1, "accepted": 0, "refused": 0, "rejects_bytes": 0 });
        std::fs::write(&state, left.to_string()).unwrap();
    };
    left("other");
    let (code, _, errors) = done(import(&server.address, &file.path, &["--resume"])).await;
    assert!(code == Some(1) && errors.contains("was changed since"), "{errors}");
    let own: String = Sha256::digest("{\"n\":\"1\"}\n").iter().map(|byte| format!("{byte:02x}")).collect();
    left(&own);
    let (code, _, errors) = done(import(&server.address, &file.path, &[])).await;
    assert!(code == Some(1) && errors.contains("go on with --resume"), "{errors}");
    std::fs::remove_file(&state).unwrap();
    let nowhere =
        ["import", file.path.to_str().unwrap(), "--flow", "nope", "--to", &format!("http://{}", server.address)];
    let child = Command::new(binary()).args(nowhere).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (code, _, errors) = done(child).await;
    assert!(code == Some(1) && errors.contains("refuses the import: 404"), "{errors}");
    let (code, _, _) = done(import(&server.address, &file.path, &["--map", "x"])).await;
    assert_eq!(code, Some(2), "wrong usage");
}

/// A server that has no room now, told by the whole answer, by one line, and by a connection that breaks.
#[tokio::test]
async fn an_import_waits_when_it_is_asked_to() {
    let busy = std::sync::atomic::AtomicUsize::new(0);
    let server = Recipient::start(move |arrival| {
        let lines = arrival.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        let first: u64 = arrival.path.rsplit('=').next().unwrap().parse().unwrap();
        let results = |statuses: &[u16]| {
            let one = |(place, status): (u64, &u16)| json!({ "line": first + place, "status": status });
            json!({ "results": (0_u64..).zip(statuses).map(one).collect::<Vec<_>>() }).to_string()
        };
        match busy.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Reply::StatusWith(429, "retry-after", "1".to_owned()),
            1 => Reply::Body(200, results(&[202, 429, 202])),
            2 => Reply::Drop,
            _ => Reply::Body(200, results(&vec![202; lines])),
        }
    })
    .await;
    let file = file("leads.jsonl", "{\"n\":\"1\"}\n{\"n\":\"2\"}\n{\"n\":\"3\"}\n");
    let (code, out, errors) = done(import(&server.address.to_string(), &file.path, &[])).await;
    assert_eq!((code, out.as_str()), (Some(0), "3 accepted, 0 refused\n"), "{errors}");
    let log = server.log();
    assert_eq!(log.len(), 4);
    assert!(log[1].at - log[0].at >= Duration::from_secs(1), "as long as it was asked to");
    assert_eq!(
        (&log[2].body[..], &log[3].body[..]),
        (&b"{\"n\":\"2\"}\n"[..], &b"{\"n\":\"2\"}\n"[..]),
        "only what was not taken"
    );
    assert!(log.iter().all(|arrival| arrival.key == log[0].key && arrival.key.starts_with("import-")));
    assert!(log[3].path.ends_with("first_line=2"), "{}", log[3].path);
}
