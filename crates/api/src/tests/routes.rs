//! Every route, driven for real.

use super::harness::{Act, Server, post, start};
use crate::openapi::document_text;
use crate::problem::problems_page;
use crate::router::ROUTES;
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::Clock as _;
use steadfast_store::{ConfigVersion, ConfigVersions as _};

pub(super) fn at<'a>(json: &'a Value, pointer: &str) -> &'a Value {
    json.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {json:#}"))
}

#[test]
fn the_routes_and_the_document_are_the_same() {
    let document: Value = serde_json::from_str(document_text()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        documented.extend(item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
    }
    let routes = ROUTES.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(documented, routes.collect());
}

#[test]
fn the_document_in_the_repository_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, document_text()).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == document_text(), "docs/openapi.json is out of date: run the tests with UPDATE_DOCS=1");
}

#[test]
fn the_page_of_refusals_in_the_repository_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/problems.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, problems_page()).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == problems_page(), "docs/problems.md is out of date: run the tests with UPDATE_DOCS=1");
}

/// A handler that panics: an answer all the same, and the next request is served.
#[tokio::test]
async fn a_panic_is_an_answer() {
    let server = Server::start().await;
    async fn boom() -> &'static str {
        panic!("on purpose")
    }
    let frame = axum::middleware::from_fn_with_state(server.state.clone(), crate::frame::frame);
    let router = axum::Router::<()>::new().route("/boom", axum::routing::get(boom)).layer(frame);
    for _ in 0..2 {
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        let request = Request::get("/boom").body(Body::empty()).unwrap();
        let response = hyper::service::Service::call(&service, request).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
        assert!(response.headers().contains_key("steadfast-request-id"));
    }
}

/// Two 503s, then 200, under `standard`: what the delivery's page says of it.
#[tokio::test]
async fn a_delivery_that_is_retried_shows_why_and_when() {
    let server = Server::start().await;
    server.recipient.will(Act::Answers(503));
    server.recipient.will(Act::Answers(503));
    let (lead, delivery) = server.lead("auto").await;
    server.settled(1).await;
    let page = server.get(&format!("/v1/deliveries/{delivery}")).await.json();
    assert_eq!((at(&page, "/state"), at(&page, "/kind")), (&json!("waiting"), &json!("server_error")));
    let window = [at(&page, "/next/earliest"), at(&page, "/next/latest")];
    assert_eq!(window, [&json!("2026-11-24T10:00:02.000Z"), &json!("2026-11-24T10:00:02.400Z")]);
    let due = at(&page, "/next/due").as_str().unwrap();
    assert!(("2026-11-24T10:00:02.000Z".."2026-11-24T10:00:02.401Z").contains(&due), "{due}");
    assert_eq!(at(&page, "/attempts/0/evidence/answer/status"), 503);
    assert_eq!(at(&page, "/attempts/0/evidence/answer/body"), "grüße");
    assert_eq!(at(&page, "/attempts/0/verdict/outcome"), "error");
    assert_eq!(at(&page, "/attempts/0/decision/name"), "retry");
    assert!(at(&page, "/attempts/0/because").as_str().unwrap().contains("retry 1 of 3"), "{page:#}");
    assert!(at(&page, "/policy/values").as_array().unwrap().len() > 10);
    server.pass(Duration::from_secs(3)).await;
    server.settled(2).await;
    server.pass(Duration::from_secs(5)).await;
    server.settled(3).await;
    let page = server.get(&format!("/v1/deliveries/{delivery}")).await.json();
    assert_eq!((at(&page, "/state"), at(&page, "/attempts_sent")), (&json!("delivered"), &json!(3)));
    assert_eq!(page.get("next"), None, "nothing comes next");
    let retries: Vec<&Value> = page["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["retry"]).collect();
    assert_eq!(retries, [0, 1, 2]);
    let lead = server.get(&format!("/v1/leads/{lead}")).await;
    assert!(String::from_utf8_lossy(&lead.bytes).contains("\"amount\":1.10"), "digits are kept");
    assert_eq!(at(&lead.json(), "/deliveries/0/state"), "delivered");
}

#[tokio::test]
async fn what_is_in_flight_is_said_so() {
    let server = Server::start().await;
    let open = server.recipient.gated();
    let (_, delivery) = server.lead("auto").await;
    assert_eq!(at(&server.get(&format!("/v1/deliveries/{delivery}")).await.json(), "/state"), "in_flight");
    let listed = server.get("/v1/deliveries?state=in_flight&limit=1").await.json();
    assert_eq!(at(&listed, "/items/0/id"), &json!(delivery));
    assert_eq!(server.get("/v1/deliveries?state=in_flight&recipient=smallbank").await.json()["items"], json!([]));
    assert_eq!(server.get("/v1/stats").await.json()["in_flight"], 1);
    open.send(503).unwrap();
    server.settled(1).await;
    assert_eq!(server.get("/v1/deliveries?state=in_flight").await.json()["items"], json!([]));
    let page = server.get(&format!("/v1/deliveries/{delivery}")).await.json();
    assert_eq!((at(&page, "/state"), page.get("hold")), (&json!("waiting"), None));
}

#[tokio::test]
async fn a_pause_the_recipient_asked_for_is_shown_as_what_holds() {
    let server = Server::start().await;
    server.recipient.will(Act::Pauses(120));
    let (_, first) = server.lead("auto").await;
    server.settled(1).await;
    let (_, second) = server.lead("auto").await;
    let page = server.get(&format!("/v1/deliveries/{first}")).await.json();
    assert_eq!((at(&page, "/state"), at(&page, "/why")), (&json!("held"), &json!("retry_after")));
    assert_eq!(at(&page, "/hold/why"), "retry_after");
    assert!(at(&page, "/hold/until").as_str().unwrap() >= "2026-11-24T10:02:00.000Z", "{page:#}");
    let page = server.get(&format!("/v1/deliveries/{second}")).await.json();
    assert_eq!((at(&page, "/state"), at(&page, "/attempts_sent")), (&json!("waiting"), &json!(0)));
    let held = json!({ "why": "retry_after", "until": "2026-11-24T10:02:00.000Z", "endpoint": true });
    assert_eq!(at(&page, "/hold"), &held, "it has a turn of its own, but its endpoint is paused");
    let recipients = server.get("/v1/recipients").await.json();
    assert_eq!(at(&recipients, "/items/0/endpoints/0/paused_until"), "2026-11-24T10:02:00.000Z");
    assert_eq!(recipients.pointer("/items/1/endpoints/0/paused_until"), None);
}

#[tokio::test]
async fn waiting_for_the_outcome() {
    let server = Server::start().await;
    let body = r#"{"email":"ann@example.com"}"#;
    let answered = server.post("/v1/flows/pair/leads?wait=10s", body).await;
    assert_eq!(answered.status, 200);
    for place in ["/deliveries/0", "/deliveries/1"] {
        assert_eq!(at(&answered.json(), &format!("{place}/state")), "delivered");
        assert_eq!(at(&answered.json(), &format!("{place}/outcome")), "success");
    }
    let open = server.recipient.gated();
    let waiting = server.post("/v1/flows/auto/leads?wait=10s", body);
    let patience = async {
        let until = start().after(Duration::from_secs(10));
        while server.clock.next_wake() != Some(until) {
            tokio::task::yield_now().await;
        }
        server.clock.set(until);
    };
    let (answered, ()) = tokio::join!(waiting, patience);
    assert_eq!((answered.status.as_u16(), at(&answered.json(), "/deliveries/0/state")), (202, &json!("in_flight")));
    open.send(200).unwrap();
    server.settled(3).await;
}

#[tokio::test]
async fn forms_and_test_leads() {
    let server = Server::start().await;
    let form = |uri: &str, test: Option<&str>| {
        let mut request = Request::post(uri).header("content-type", "application/x-www-form-urlencoded");
        if let Some(test) = test {
            request = request.header("Steadfast-Test", test);
        }
        request.body(Body::from("name=Ann+O%27Neil&tag=a&tag=b")).unwrap()
    };
    for (uri, header, test) in [
        ("/v1/flows/auto/leads", None, false),
        ("/v1/flows/auto/leads", Some("true"), true),
        ("/v1/flows/auto/leads?test=true", None, true),
        ("/v1/flows/auto/leads?test=false", Some("false"), false),
    ] {
        let answered = server.send(form(uri, header)).await.json();
        let lead = at(&answered, "/lead_id").as_str().unwrap();
        let lead = server.get(&format!("/v1/leads/{lead}")).await.json();
        assert_eq!(lead["fields"], json!({ "name": "Ann O'Neil", "tag": ["a", "b"] }));
        assert_eq!(lead["test"], test, "{uri} {header:?}");
    }
}

#[tokio::test]
async fn test_leads_count_by_themselves() {
    let server = Server::start().await;
    let real = server.send(post("/v1/flows/auto/leads", r#"{"a":1}"#)).await;
    let test = server.send(post("/v1/flows/auto/leads?test=true", r#"{"a":1}"#)).await;
    assert_eq!((real.status, test.status), (http::StatusCode::ACCEPTED, http::StatusCode::ACCEPTED));
    let told = at(&test.json(), "/lead_id").as_str().unwrap().to_owned();
    let waited = server.send(post("/v1/flows/auto/leads?test=true&wait=1s", r#"{"a":2}"#)).await;
    let delivery = at(&waited.json(), "/deliveries/0/state").clone();
    assert_eq!(delivery, "closed", "not sent: {waited:?}");
    let stats = server.get("/v1/stats").await.json();
    let sum = |counts: &Value| counts.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum(&stats["total"]), sum(&stats["tests"])), (1, 2), "{stats}");
    assert_eq!(stats["tests"]["closed"], 2, "{told}: {stats}");
    assert_eq!(sum(&stats["rows"][0]["deliveries"]), 1);
}

#[tokio::test]
async fn an_idempotency_key_makes_one_lead() {
    let server = Server::start().await;
    let request = |key: &str, body: &str| {
        let mut request = post("/v1/flows/auto/leads", body);
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        request
    };
    let first = server.send(request("order-1", r#"{"a":1}"#)).await;
    let again = server.send(request("\"order-1\"", r#"{"a":1}"#)).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (202, 202));
    assert!(!first.headers.contains_key("idempotent-replayed"));
    assert_eq!(again.headers.get("idempotent-replayed").unwrap(), "true");
    assert_eq!(first.json()["lead_id"], again.json()["lead_id"]);
    assert_eq!(first.json()["deliveries"][0]["id"], again.json()["deliveries"][0]["id"]);
    let other = server.send(request("order-1", r#"{"a":2}"#)).await;
    assert_eq!(
        (other.status.as_u16(), at(&other.json(), "/type")),
        (422, &json!("urn:steadfast:problem:idempotency-key-reused"))
    );
    let fresh = server.send(request("order-2", r#"{"a":1}"#)).await;
    assert_ne!(first.json()["lead_id"], fresh.json()["lead_id"]);
}

#[tokio::test]
async fn the_desk() {
    let server = Server::start().await;
    for _ in 0..3 {
        server.recipient.will(Act::Answers(404));
    }
    let ids = [server.lead("auto").await.1, server.lead("auto").await.1, server.lead("auto").await.1];
    server.settled(3).await;
    let review = server.get("/v1/review?cause=final_error&limit=2").await.json();
    assert_eq!(review["items"].as_array().unwrap().len(), 2);
    assert_eq!(at(&review, "/items/0/id"), &json!(ids[2]), "newest first");
    assert_eq!(at(&review, "/items/0/last_attempt/status"), 404);
    assert!(at(&review, "/items/0/suggestion").as_str().unwrap().contains("mapping"));
    let next = at(&review, "/next").as_str().unwrap();
    let rest = server.get(&format!("/v1/review?cause=final_error&limit=2&after={next}")).await.json();
    assert_eq!(at(&rest, "/items/0/id"), &json!(ids[0]));
    assert_eq!(server.get("/v1/review?cause=expired").await.json()["items"], json!([]));
    let verb = |id: &str, verb: &str| format!("/v1/deliveries/{id}/{verb}");
    let marked = server.post(&verb(&ids[0], "mark-delivered"), r#"{"reason":"they called","by":"ann"}"#).await;
    assert_eq!((marked.status.as_u16(), &marked.json()["by_hand"]), (200, &json!(true)));
    assert_eq!(at(&marked.json(), "/changes/0/by"), "ann");
    let dismissed = server.post(&verb(&ids[1], "dismiss"), r#"{"reason":"a test"}"#).await.json();
    assert_eq!((&dismissed["state"], &dismissed["why"]), (&json!("closed"), &json!("dismissed")));
    assert_eq!(at(&dismissed, "/changes/0/by"), "local", "without keys it is the local operator");
    let refused = server.post(&verb(&ids[0], "retry"), "{}").await;
    assert_eq!(
        (refused.status.as_u16(), at(&refused.json(), "/type")),
        (409, &json!("urn:steadfast:problem:verb-refused"))
    );
    let open = server.recipient.gated();
    let again = server.send(Request::post(verb(&ids[2], "retry")).body(Body::empty()).unwrap()).await;
    assert_eq!(again.status, 200, "a retry needs no body");
    while !server.engine.is_in_flight(ids[2].parse().unwrap()) {
        tokio::task::yield_now().await;
    }
    for (name, body) in
        [("dismiss", r#"{"reason":"enough"}"#), ("retry", "{}"), ("mark-delivered", r#"{"reason":"x"}"#)]
    {
        assert_eq!(
            server.post(&verb(&ids[2], name), body).await.status,
            202,
            "{name} is left for the attempt under way"
        );
    }
    open.send(200).unwrap();
    server.settled(4).await;
    let page = server.get(&format!("/v1/deliveries/{}", ids[2])).await.json();
    assert_eq!(page["state"], "delivered", "delivered wins");
}

#[tokio::test]
async fn a_delivery_says_how_its_endpoint_was_chosen_and_is_sent_another_way() {
    let server = Server::start().await;
    server.balance();
    server.recipient.will(Act::Answers(404));
    let (_, id) = server.lead("auto").await;
    server.settled(1).await;
    let page = server.get(&format!("/v1/deliveries/{id}")).await.json();
    assert_eq!((at(&page, "/state"), at(&page, "/choice/endpoint")), (&json!("in_review"), &json!("east")));
    assert_eq!(at(&page, "/choice/because"), "weighted: east has 0 of 0 of the day, for 1 of 2");
    let candidates = json!([{"name": "east", "score": 1_000}, {"name": "west", "score": 1_000}]);
    assert_eq!(at(&page, "/choice/candidates"), &candidates);
    assert_eq!(at(&page, "/attempts/0/choice"), at(&page, "/choice"));
    let path = format!("/v1/deliveries/{id}/reroute");
    for (body, status, told) in [
        (r#"{"reason":"x"}"#, 422, "nothing says which way: leg, endpoint or recipient is needed"),
        (r#"{"leg":"west","reason":"x"}"#, 422, "leg = \"west\" is no leg"),
        (r#"{"leg":300,"reason":"x"}"#, 422, "leg = 300 is no leg"),
        (r#"{"leg":-1,"reason":"x"}"#, 422, "leg = -1 is no leg"),
        (r#"{"leg":1.5,"reason":"x"}"#, 422, "leg = 1.5 is no leg"),
        (r#"{"leg":7,"reason":"x"}"#, 422, "the step has no leg 7: it has leg 0 endpoint east"),
        (r#"{"leg":0}"#, 422, "reason is missing: say why, it is kept in the delivery's history"),
        (r#"{"endpoint":"no name","reason":"x"}"#, 422, "endpoint: \"no name\" is not a name"),
        (
            r#"{"endpoint":"north","reason":"x"}"#,
            422,
            "the step has no endpoint north: it has leg 0 endpoint east to bigbank",
        ),
        (r#"{"recipient":"smallbank","reason":"x"}"#, 422, "the step has no way to smallbank"),
        (r#"{"endpoint":"east","reason":"x"}"#, 409, "it goes to bigbank at https://east.bigbank.example:443 already"),
    ] {
        let refused = server.post(&path, body).await;
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(refused.status == status && detail.starts_with(told), "{body}: {detail}");
    }
    let refused = server.post(&path, r#"{"leg":"west","reason":"x"}"#).await.json();
    let allowed = "a whole number from 0, the step's own, to 8, its last fallback";
    assert_eq!((at(&refused, "/parameter"), at(&refused, "/allowed")), (&json!("leg"), &json!(allowed)));
    let sent = server.post(&path, r#"{"endpoint":"west","reason":"east is slow","by":"ann"}"#).await;
    assert_eq!(sent.status, 200);
    server.settled(2).await;
    let page = server.get(&format!("/v1/deliveries/{id}")).await.json();
    assert_eq!((at(&page, "/state"), at(&page, "/choice/because")), (&json!("delivered"), &json!("a person chose it")));
    assert_eq!((at(&page, "/changes/0/verb"), at(&page, "/changes/0/by")), (&json!("reroute"), &json!("ann")));
    let shares = server.get("/v1/flows/auto/shares").await.json();
    let leg = at(&shares, "/legs/0");
    assert_eq!(
        (at(leg, "/step"), at(leg, "/leg"), at(leg, "/share_of")),
        (&json!("sell"), &json!(0), &json!("accepted"))
    );
    assert_eq!((at(leg, "/days/0/counted"), leg["days"].as_array().unwrap().len()), (&json!(1), 1));
    let east = json!({"name": "east", "recipient": "bigbank", "weight": 1, "share_percent": 50.0, "counted": 0, "percent": 0.0, "on_the_way": 0});
    let west = json!({"name": "west", "recipient": "bigbank", "weight": 1, "share_percent": 50.0, "counted": 1, "percent": 100.0, "on_the_way": 0});
    assert_eq!((at(leg, "/days/0/endpoints/0"), at(leg, "/days/0/endpoints/1")), (&east, &west));
    assert_eq!(server.get("/v1/flows/atuo/shares").await.status, 404);
    let explained = server.get("/v1/explain?flow=auto&step=sell").await.json();
    assert_eq!(at(&explained, "/balance/by"), "weighted");
    assert_eq!(at(&explained, "/balance/endpoints/1/name"), "west");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let server = Server::start().await;
    server.recipient.will(Act::Answers(404));
    let (lead, first) = server.lead("auto").await;
    server.settled(1).await;
    server.pass(Duration::from_secs(60)).await;
    let (_, second) = server.lead("pair").await;
    server.settled(3).await;
    let ids = |json: Value| -> Vec<String> {
        json["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids(server.get("/v1/deliveries").await.json());
    assert_eq!((all.len(), &all[2]), (3, &first));
    for (query, expected) in [
        ("state=in_review", vec![&first]),
        ("kind=client_error", vec![&first]),
        ("flow=pair&recipient=bigbank", vec![&second]),
        ("since=2026-11-24T10:01:00Z&recipient=bigbank", vec![&second]),
        ("until=2026-11-24T10:01:00Z", vec![&first]),
        (&format!("q={first}"), vec![&first]),
        (&format!("q={lead}"), vec![&first]),
        (&format!("q={lead}&state=delivered"), vec![]),
        (&format!("q={lead}&until=2026-11-24T10:00:00Z"), vec![]),
    ] {
        assert_eq!(
            ids(server.get(&format!("/v1/deliveries?{query}")).await.json()).iter().collect::<Vec<_>>(),
            expected,
            "{query}"
        );
    }
    let mut paged = Vec::new();
    let mut next = String::new();
    loop {
        let page = server.get(&format!("/v1/deliveries?limit=1&after={next}")).await.json();
        paged.extend(ids(page.clone()));
        match page.get("next") {
            Some(after) => next = after.as_str().unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn settings_figures_and_the_server_itself() {
    let server = Server::start().await;
    server.recipient.will(Act::Answers(404));
    server.lead("auto").await;
    server.settled(1).await;
    let explained = server.get("/v1/explain?flow=auto&step=sell").await.json();
    assert_eq!(at(&explained, "/schedule/1/earliest_ms"), 4_000);
    assert_eq!(at(&explained, "/schedule/1/latest_ms"), 4_800);
    assert_eq!(server.get("/v1/config").await.status, 404);
    let text: Arc<str> = "[recipients.x.auth]\ntype = \"bearer\"\ntoken = \"hunter2\"\n".into();
    for by in ["file", "ann"] {
        let config = ConfigVersion { version: 0, at: server.clock.now(), by: by.into(), text: Arc::clone(&text) };
        server.store.save_config(config).await.unwrap();
    }
    let config = server.get("/v1/config").await;
    assert_eq!(config.headers.get("etag").unwrap(), "\"2\"");
    let config = config.json();
    assert_eq!((&config["version"], &config["running_version"], &config["by"]), (&json!(2), &json!(3), &json!("ann")));
    assert_eq!(config["text"], "[recipients.x.auth]\ntype = \"bearer\"\ntoken = \"***\"\n");
    let versions = server.get("/v1/config/versions?limit=1").await.json();
    assert_eq!(versions["items"].as_array().unwrap().len(), 1);
    let stats = server.get("/v1/stats?flow=auto").await.json();
    assert_eq!((at(&stats, "/total/in_review"), at(&stats, "/rows/0/recipient")), (&json!(1), &json!("bigbank")));
    assert_eq!(server.get("/v1/stats?recipient=smallbank").await.json()["rows"], json!([]));
    let recipients = server.get("/v1/recipients").await.json();
    assert_eq!(at(&recipients, "/items/0/deliveries/in_review"), 1);
    assert_eq!(at(&recipients, "/items/1/endpoints/0/endpoint"), "https://smallbank.example:443");
    let metrics = server.get("/metrics").await;
    let metrics = String::from_utf8(metrics.bytes.to_vec()).unwrap();
    for sample in [
        "steadfast_deliveries{recipient=\"bigbank\",state=\"in_review\"} 1",
        "steadfast_config_version 3",
        "steadfast_store_ready 1",
        "steadfast_intake_requests_total{status=\"202\"} 1",
        "steadfast_leads_accepted_total{flow=\"auto\",test=\"false\"} 1",
    ] {
        assert!(metrics.contains(sample), "{sample} not in {metrics}");
    }
    assert_eq!(server.get("/healthz").await.json()["status"], "alive");
    assert_eq!(server.get("/readyz").await.status, 200);
    assert!(server.engine.drain(Duration::from_secs(1)).await.unwrap());
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), at(&ready.json(), "/reason")), (503, &json!("the server is stopping")));
    let refused = server.post("/v1/flows/auto/leads", "{}").await;
    assert_eq!(
        (refused.status.as_u16(), at(&refused.json(), "/type")),
        (503, &json!("urn:steadfast:problem:draining"))
    );
    assert_eq!(refused.headers.get("retry-after").unwrap(), "5");
}

pub(super) const SCENARIO: &str = r#"{"name":"short outage","traffic":{"leads":3},"retry":{"policy":"standard"},
    "recipient":{"answer":"200","phases":[{"from":"0s","to":"3s","answer":"503"}]}}"#;

#[tokio::test]
async fn simulations() {
    let server = Server::start().await;
    let report = server.post("/v1/simulations?seed=5", SCENARIO).await;
    assert_eq!(report.status, 200, "{report:?}");
    let report = report.json();
    assert_eq!((&report["seed"], at(&report, "/policies/0/leads")), (&json!(5), &json!(3)));
    let again = server.post("/v1/simulations?seed=5", SCENARIO).await.json();
    assert_eq!(report, again);
    let bad = server.post("/v1/simulations", &SCENARIO.replace("\"3s\"", "\"soon\"").replace(":3}", ":0}")).await;
    assert_eq!(bad.status, 422);
    assert!(bad.json()["errors"].as_array().unwrap().len() >= 2, "every problem at once: {bad:?}");
    assert_eq!(server.post("/v1/simulations", &SCENARIO.replace(":3}", ":200001}")).await.status, 422);
    assert_eq!(server.post("/v1/simulations", r#"{"nam":1}"#).await.status, 422);
}

pub(super) const RENDER: &str = r#"{"flow":"pair","step":"two","fields":{"a":"b c","n":[1,2]}}"#;

#[tokio::test]
async fn a_lead_is_rendered_and_not_sent() {
    let server = Server::start().await;
    let rendered = server.post("/v1/render", RENDER).await;
    assert_eq!(rendered.status, 200, "{rendered:?}");
    let rendered = rendered.json();
    assert_eq!((&rendered["method"], &rendered["body"]), (&json!("POST"), &json!("a=b+c&n=1&n=2")));
    assert_eq!(rendered["url"], "https://smallbank.example/leads");
    assert_eq!(rendered["digest"].as_str().unwrap().len(), 64);
    assert_eq!(rendered, server.post("/v1/render", RENDER).await.json());
    assert_eq!(server.get("/v1/deliveries").await.json()["items"], json!([]), "nothing was stored");
}

#[tokio::test]
async fn the_front_page_and_the_document() {
    let server = Server::start().await;
    let page =
        server.send(Request::get("/").header("accept", "text/html,*/*;q=0.8").body(Body::empty()).unwrap()).await;
    assert!(page.media_type() == "text/html" && page.bytes.starts_with(b"<!doctype html>"));
    assert_eq!(server.get("/").await.json()["config_version"], 3);
    let document = server.get("/openapi.json").await.json();
    assert_eq!(document["info"]["title"], "Steadfast");
    // Whatever the page points to is there.
    let html = String::from_utf8(page.bytes.to_vec()).unwrap();
    let links: Vec<&str> = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() >= 8);
    for link in links {
        assert!(matches!(server.get(link).await.status.as_u16(), 200) || link == "/v1/config", "{link}");
    }
}
