//! Forgetting survives what the server does not: killed in the middle of an erasure, and again in the middle of going on with it.
//! Afterwards nothing of the person is in any file, nothing more is sent, and nothing brings them back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use stage::{Answer, Arrival, PATIENCE, Recipient, Reply, Server, call};
use std::path::Path;

/// In every lead of the person who wants to be forgotten, and in what recipients answer about them.
const GOES: &str = "goes-away-4711";
/// In everybody else's.
const STAYS: &str = "stays-here-0815";
const LEADS: usize = 600;
/// Every so many leads is somebody else's.
const OTHERS: usize = 10;
/// So many more come by a source, which is called back about them.
const BY_SOURCE: usize = 20;
const ROUNDS: usize = 3;

fn config(recipient: &Recipient) -> String {
    format!(
        r#"
[server]
allow_private_networks = ["127.0.0.0/8"]
[retry]
policy = "outage"
initial_delay = "3s"
[recipients.bank]
retry_budget = false
breaker = {{ mode = "off" }}
[flows.auto.sources.web]
callback = {{ url = "{}", secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }}
[[flows.auto.steps]]
id = "sell"
recipient = "bank"
request = {{ url = "{0}", timeout = "5s" }}
[flows.auto.steps.response]
content_type = "application/json"
outcome_search_path = "result"
outcome_search_term = "/^accepted$/"
failure_search_term = "rejected"
reason_path = "why"
"#,
        recipient.url()
    )
}

/// Repeats what it got in every answer; a third of the leads is sold, a third refused or unclear, a third always fails.
fn echo(arrival: &Arrival) -> Reply {
    let lead: Value = serde_json::from_slice(&arrival.body).unwrap_or_default();
    let why = lead["note"].as_str().unwrap_or_default();
    let said = |result: &str| serde_json::json!({ "result": result, "why": why }).to_string();
    match lead["n"].as_u64().unwrap_or(0) % 6 {
        0 | 1 => Reply::Body(200, said("accepted")),
        2 => Reply::Body(200, said("rejected")),
        3 => Reply::Body(200, said("who knows")),
        _ => Reply::Body(503, said("down")),
    }
}

/// A line of a batch; the person's own address differs from round to round.
fn line(round: usize, number: usize) -> String {
    let (who, note) = if number.is_multiple_of(OTHERS) { ("bob", STAYS) } else { ("ann", GOES) };
    format!("{{\"n\":{number},\"email\":\"{who}{round}-{note}@example.com\",\"note\":\"{note} {number}\"}}\n")
}

async fn post_lines(server: &Server, lines: String) -> Vec<Value> {
    let request = Request::post("/v1/flows/auto/leads/batch").header("content-type", "application/x-ndjson");
    let answer = call(&server.address, request.body(Full::from(lines)).unwrap()).await.unwrap();
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.json()["results"].as_array().unwrap().clone()
}

/// Leads of the person by a source; their ids.
async fn post_by_source(server: &Server, round: usize) -> Vec<String> {
    let mut leads = Vec::new();
    for number in 1..=BY_SOURCE {
        let lead = line(round, number * OTHERS + 1);
        let answer = server.post("/flows/auto/sources/web/submit", lead).await;
        assert_eq!(answer.status, 201, "{:?}", answer.body);
        leads.push(answer.json()["lead"]["id"].as_str().unwrap().to_owned());
    }
    leads
}

/// How often a text stands in any file of the folder.
fn on_disk(folder: &Path, text: &str) -> usize {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file());
    let bytes = files.map(|path| std::fs::read(path).unwrap());
    bytes.map(|bytes| bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count()).sum()
}

/// How many requests spoke of the person.
fn spoke_of(recipient: &Recipient) -> usize {
    let log = recipient.log();
    log.iter().filter(|arrival| arrival.body.windows(GOES.len()).any(|window| window == GOES.as_bytes())).count()
}

/// Asks for the erasure without waiting for it, and kills the server once the lead is gone. Whether that was in the middle.
async fn killed_in_the_middle(server: Server, round: usize, watched: &str) -> (tempfile::TempDir, bool) {
    let order = format!(r#"{{"email":"ANN{round}-{}@example.com","reason":"case {round}"}}"#, GOES.to_uppercase());
    let address = server.address.clone();
    let request = Request::post("/v1/erasures").header("content-type", "application/json");
    let asked = request.body(Full::new(Bytes::from(order))).unwrap();
    let ordered = tokio::spawn(async move { call(&address, asked).await });
    let started = tokio::time::Instant::now();
    while server.get(&format!("/v1/leads/{watched}")).await.status != 410 {
        assert!(started.elapsed() < PATIENCE, "never erased");
    }
    let data = server.data();
    let (_, folder) = server.kill().await;
    ordered.abort();
    (folder, unfinished(&data) > 0)
}

fn unfinished(data: &Path) -> i64 {
    let store = rusqlite::Connection::open(data.join("steadfast.db")).unwrap();
    store.query_row("SELECT count(*) FROM erasures WHERE finished_at IS NULL", [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_is_killed_goes_on_and_leaves_nothing_of_the_person() {
    let recipient = Recipient::start(echo).await;
    let mut server = Server::start(&config(&recipient)).await;
    let mut in_the_middle = 0;
    for round in 0..ROUNDS {
        let before = recipient.log().len();
        let results = post_lines(&server, (0..LEADS).map(|number| line(round, number)).collect()).await;
        let leads: Vec<String> = results.iter().map(|result| result["lead_id"].as_str().unwrap().to_owned()).collect();
        let by_source = post_by_source(&server, round).await;
        // All have been tried once: some have ended, some are in review, some wait for a retry.
        recipient.arrivals(before + LEADS + BY_SOURCE).await;
        // A lead near the newest, one in the middle, and one of the oldest: leads are wiped from the newest on.
        let watched = &leads[LEADS - 1 - round * (LEADS - OTHERS) / (ROUNDS - 1)];
        let (folder, middle) = killed_in_the_middle(server, round, watched).await;
        in_the_middle += usize::from(middle);
        let folder = if middle { Server::killed_at(folder, "going on with an erasure").await } else { folder };
        let spoken = spoke_of(&recipient);
        server = Server::start_in(folder).await.unwrap();
        judge(&server, &recipient, round, &leads).await;
        for lead in by_source {
            assert_eq!(server.get(&format!("/v1/leads/{lead}")).await.status, 410);
        }
        assert_eq!(spoke_of(&recipient), spoken, "nothing of the person is sent after the restart");
    }
    println!("erasures killed in the middle: {in_the_middle} of {ROUNDS}");
    assert!(in_the_middle > 0, "every erasure was done before its kill: too little to do to prove anything");
}

async fn judge(server: &Server, recipient: &Recipient, round: usize, leads: &[String]) {
    assert_eq!(unfinished(&server.data()), 0, "nothing is left to do once it is ready");
    assert_eq!(on_disk(&server.data(), GOES), 0);
    assert!(on_disk(&server.data(), STAYS) > 0);
    for (number, lead) in leads.iter().enumerate() {
        let answer = server.get(&format!("/v1/leads/{lead}")).await;
        let stays = number.is_multiple_of(OTHERS);
        assert_eq!(answer.status, if stays { 200 } else { 410 }, "{number}: {:?}", answer.body);
    }
    // What everybody else's leads wait for goes on; of the person nothing waits, is held or in review.
    let (_, last) = server.lead("auto", r#"{"n":0,"email":"last@example.com"}"#).await;
    server.delivery_in(&last, "delivered").await;
    for state in ["waiting", "held", "in_review"] {
        for lead in leads_in(server, state).await {
            let place = leads.iter().position(|known| *known == lead);
            assert!(place.is_none_or(|place| place.is_multiple_of(OTHERS)), "{state}: {place:?}");
        }
    }
    cannot_come_back(server, round, leads).await;
    assert_eq!(on_disk(&server.data(), GOES), 0, "and still nothing, after more was written");
    assert!(recipient.log().len() > LEADS);
}

/// The leads of all deliveries that stand so.
async fn leads_in(server: &Server, state: &str) -> Vec<String> {
    let (mut leads, mut after) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/v1/deliveries?state={state}&flow=auto&limit=200{after}")).await.json();
        leads.extend(page["items"].as_array().unwrap().iter().map(|one| one["lead_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { return leads };
        after = format!("&after={next}");
    }
}

/// Neither a second import nor the desk brings the person back.
async fn cannot_come_back(server: &Server, round: usize, leads: &[String]) {
    let again = post_lines(server, (1..OTHERS).map(|number| line(round, number)).collect()).await;
    assert!(again.iter().all(|result| result["status"] == 409), "{again:?}");
    let stats = server.get("/v1/stats").await.json();
    let total = &stats["total"];
    let sum: u64 = ["waiting", "held", "delivered", "rejected", "in_review", "closed"]
        .iter()
        .map(|state| total[*state].as_u64().unwrap())
        .sum();
    assert_eq!(sum, u64::try_from((round + 1) * (LEADS + BY_SOURCE + 1)).unwrap(), "the ledger balances: {stats}");
    let page: Answer = server.get("/v1/deliveries?state=closed&flow=auto&limit=1").await;
    let delivery = page.json()["items"][0]["id"].as_str().unwrap().to_owned();
    for verb in ["retry", "mark-delivered", "dismiss"] {
        let refused = server.post(&format!("/v1/deliveries/{delivery}/{verb}"), r#"{"reason":"try"}"#).await;
        assert_eq!(refused.status, 409, "{verb}: {:?}", refused.body);
    }
    assert_eq!(server.get(&format!("/v1/leads/{}", leads[1])).await.json()["status"], 410);
}
