//! Selling through the front door: a real process, buyers with logs of their own, and `kill -9` in the middle of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod stage;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use stage::{Answer, Arrival, Recipient, Reply, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Three buyers behind one address, by path: `/a`, `/b`, `/c`.
fn config(buyers: &Recipient, more: &str) -> String {
    let names = ["a", "b", "c"];
    let step = |name: &&str| {
        format!(
            "[recipients.{name}]\nretry_budget = false\nbreaker = {{ mode = \"off\" }}\n\
             request = {{ url = \"http://{}/{name}\", timeout = \"5s\" }}\n\
             response = {{ outcome_search_term = \"yes\", failure_search_term = \"no\", price_path = \"price\" }}\n\
             [[flows.auto.steps]]\nid = \"{name}\"\nrecipient = \"{name}\"\nprice = 10\n",
            buyers.address
        )
    };
    let steps: String = names.iter().map(step).collect();
    format!(
        "[server]\nallow_private_networks = [\"127.0.0.0/8\"]\n[retry]\ninitial_delay = \"1s\"\n\
         [flows.auto]\nsale = {{ mode = \"first_accepted\" }}\n\
         [flows.auto.sources.web]\nanswer = \"outcome\"\nwait = \"10s\"\n{more}{steps}"
    )
}

fn yes(price: &str) -> Reply {
    Reply::Body(200, format!("{{\"says\":\"yes\",\"price\":\"{price}\"}}"))
}

fn no() -> Reply {
    Reply::Body(200, r#"{"says":"no"}"#.to_owned())
}

async fn post(server: &Server, path: &str, kind: &str, body: String) -> Answer {
    let request = Request::post(path).header("content-type", kind).body(Full::new(Bytes::from(body))).unwrap();
    stage::call(&server.address, request).await.unwrap()
}

fn states(lead: &Value) -> Vec<String> {
    let all = lead["deliveries"].as_array().unwrap().iter();
    all.map(|one| one["why"].as_str().unwrap_or_else(|| one["state"].as_str().unwrap()).to_owned()).collect()
}

#[tokio::test]
async fn a_source_waits_for_the_sale_and_a_return_goes_to_the_next_buyer() {
    let buyers = Recipient::start(|arrival: &Arrival| match arrival.path.as_str() {
        "/a" => no(),
        "/b" => yes("12.50"),
        _ => Reply::Body(200, r#"{"says":"yes"}"#.to_owned()),
    })
    .await;
    let server = Server::start(&config(&buyers, "")).await;
    let form = "application/x-www-form-urlencoded";
    let said = post(&server, "/flows/auto/sources/web/submit", form, "email=ann@example.com".to_owned()).await.json();
    assert_eq!((&said["outcome"], &said["price"].to_string()), (&"success".into(), &"12.5".to_owned()), "{said}");
    let lead = said["lead"]["id"].as_str().unwrap().to_owned();
    let shown = server.get(&format!("/v1/leads/{lead}")).await.json();
    assert_eq!(states(&shown), ["rejected", "delivered", "sold"]);
    let ids: Vec<&str> =
        shown["deliveries"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();

    let refused = server.post(&format!("/v1/deliveries/{}/retry", ids[2]), "{}").await;
    assert_eq!(refused.status, 409);
    assert!(refused.json()["detail"].as_str().unwrap().starts_with("the lead is sold"), "{:?}", refused.body);
    let converted =
        server.post(&format!("/v1/deliveries/{}/conversion", ids[1]), r#"{"revenue":99.5,"currency":"USD"}"#).await;
    assert_eq!(converted.json()["booking"]["conversion"]["revenue"], "99.5", "{:?}", converted.body);

    let csv = format!(
        "delivery_id,reason,recipient\n{},wrong number,c\n{},wrong number,b\n{},again,\ndl_0000000000001,who,\n",
        ids[1], ids[1], ids[1]
    );
    let noted = post(&server, "/v1/returns", "text/csv", csv).await.json();
    let statuses: Vec<u64> =
        noted["results"].as_array().unwrap().iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!((statuses, &noted["applied"]), (vec![409, 200, 409, 404], &1.into()), "{noted:#}");
    let third = server.delivery_in(ids[2], "delivered").await;
    assert_eq!(third["booking"]["price"], "10", "what the step expects, where the answer names none: {third:#}");
    let paths: Vec<String> = buyers.log().into_iter().map(|arrival| arrival.path).collect();
    assert_eq!(paths, ["/a", "/b", "/c"], "each once");

    let span = "/v1/reconciliation?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z";
    assert_eq!(server.get(span).await.json()["rows"], serde_json::json!([]));
    let day = third["booking"]["delivered_at"].as_str().unwrap().split('T').next().unwrap().to_owned();
    let span = format!("/v1/reconciliation?since={day}T00:00:00Z&until={day}T23:59:59Z&format=csv");
    let text = String::from_utf8(server.get(&span).await.body.to_vec()).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(
        rows[1..],
        [format!("{day},b,1,0,12.5,1,12.5,0,1,\"99.5 USD\""), format!("{day},c,1,0,10,0,0,10,0,\"\"")]
    );
    assert_eq!(
        server.get("/v1/reconciliation?since=2020-01-01T00:00:00Z&until=2020-06-01T00:00:00Z").await.status,
        400
    );
}

#[tokio::test]
async fn while_a_buyer_may_have_it_the_source_hears_its_own_setting_and_nobody_else_is_asked() {
    let buyers = Recipient::start(|_| Reply::Drop).await;
    let config = config(&buyers, "")
        .replace("wait = \"10s\"", "wait = \"10s\"\nwhen_unknown = \"error\"\nunknown_reason = \"pending\"");
    let server = Server::start(&config).await;
    let form = "application/x-www-form-urlencoded";
    let said = post(&server, "/flows/auto/sources/web/submit", form, "email=ann@example.com".to_owned()).await.json();
    assert_eq!((&said["outcome"], &said["reason"]), (&"error".into(), &"pending".into()), "{said}");
    let lead = server.get(&format!("/v1/leads/{}", said["lead"]["id"].as_str().unwrap())).await.json();
    assert_eq!((states(&lead), buyers.log().len()), (vec!["in_doubt".into(), "turn".into(), "turn".into()], 1));
    let held = lead["deliveries"][1]["id"].as_str().unwrap();
    let held = server.get(&format!("/v1/deliveries/{held}")).await.json();
    assert_eq!((&held["hold"]["why"], held.get("next")), (&"turn".into(), None), "{held:#}");
    assert_eq!(held["policy"]["begins"], "when its turn comes: buyer 2 of 3");
}

/// By the delivery's own letters: no, fail once, take and break off, or take.
fn buyer(arrival: &Arrival) -> Reply {
    match arrival.delivery.bytes().map(u32::from).sum::<u32>() % 8 {
        0..=2 => no(),
        3 if arrival.attempt == 1 => Reply::Status(503),
        // The lead is in its log: taken, and nobody hears of it.
        4 => Reply::Drop,
        _ => yes("7"),
    }
}

/// What a buyer did with a lead is in its log, whoever was killed meanwhile.
fn took(arrival: &Arrival) -> bool {
    matches!(buyer(arrival), Reply::Drop) || matches!(buyer(arrival), Reply::Body(_, said) if said.contains("yes"))
}

async fn post_until_gone(address: String, first: u64) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    for number in first.. {
        let request = Request::post("/v1/flows/auto/leads").header("content-type", "application/json");
        let body = Full::new(Bytes::from(format!("{{\"number\":{number}}}")));
        match stage::call(&address, request.body(body).unwrap()).await {
            Ok(answer) if answer.status == 202 => acknowledged.push(number),
            Ok(_) | Err(_) => return acknowledged,
        }
    }
    acknowledged
}

/// The numbers of the leads of which a delivery is in review.
async fn in_review(server: &Server) -> BTreeSet<u64> {
    let (mut numbers, mut after) = (BTreeSet::new(), String::new());
    loop {
        let page = server.get(&format!("/v1/deliveries?state=in_review&limit=200{after}")).await.json();
        for delivery in page["items"].as_array().unwrap() {
            let lead = server.get(&format!("/v1/leads/{}", delivery["lead_id"].as_str().unwrap())).await.json();
            numbers.insert(lead["fields"]["number"].as_u64().unwrap());
        }
        let Some(next) = page["next"].as_str() else { return numbers };
        after = format!("&after={next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_the_middle_of_sales_never_sells_twice_and_loses_nothing() {
    const ROUNDS: u64 = 6;
    const CLIENTS: u64 = 4;
    let buyers = Arc::new(Recipient::start(buyer).await);
    let mut server = Server::start(&config(&buyers, "")).await;
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let before = buyers.log().len();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| tokio::spawn(post_until_gone(server.address.clone(), (round * CLIENTS + client) * 1_000_000)))
            .collect();
        buyers.arrivals(before + 40 + usize::try_from(round * 37 % 100).unwrap()).await;
        server = server.kill_and_restart().await;
        for client in clients {
            acknowledged.extend(client.await.unwrap());
        }
    }
    let started = tokio::time::Instant::now();
    loop {
        let stats = server.get("/v1/stats").await.json();
        if stats["total"]["waiting"] == 0 && stats["in_flight"] == 0 {
            break;
        }
        assert!(started.elapsed() < stage::PATIENCE, "still open: {stats}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut takers: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for arrival in buyers.log() {
        let number = serde_json::from_slice::<Value>(&arrival.body).unwrap()["number"].as_u64().unwrap();
        asked.insert(number);
        if took(&arrival) {
            takers.entry(number).or_default().insert(arrival.path.clone());
        }
    }
    let twice: Vec<_> = takers.iter().filter(|(_, buyers)| buyers.len() > 1).collect();
    println!("leads: {}; taken: {}; sold twice: {}", acknowledged.len(), takers.len(), twice.len());
    assert!(twice.is_empty(), "sold twice: {twice:?}");
    // Cut off between its mark and its request, a delivery may have been sent for all the server knows: a person looks.
    let seen = in_review(&server).await;
    let lost: Vec<&u64> = acknowledged.difference(&asked).filter(|number| !seen.contains(number)).collect();
    assert!(lost.is_empty(), "nobody was ever asked about {lost:?}");
    assert!(acknowledged.len() > 100 && takers.len() > 50, "too little load: {}", acknowledged.len());
}
