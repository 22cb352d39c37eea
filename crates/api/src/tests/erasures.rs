//! Forgetting, and finding by person, as a client sees it.

use super::harness::{Act, Answered, Server, post};
use crate::auth::{ApiKey, ApiKeys, Scope};
use crate::state::RequestLimits;
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use steadfast_engine::EngineLimits;
use steadfast_lead::AccountName;

fn slug(answered: &Answered) -> String {
    let json = answered.json();
    json["type"].as_str().unwrap().trim_start_matches("urn:steadfast:problem:").to_owned()
}

async fn lead_of(server: &Server, flow: &str, body: &str) -> (String, String) {
    let answered = server.post(&format!("/v1/flows/{flow}/leads"), body).await;
    assert_eq!(answered.status, 202, "{answered:?}");
    let json = answered.json();
    let text = |pointer: &str| json.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    (text("/lead_id"), text("/deliveries/0/id"))
}

async fn found(server: &Server, query: &str) -> Vec<String> {
    let answered = server.get(&format!("/v1/deliveries?{query}")).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let items = answered.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn deliveries_are_found_by_person_page_by_page() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let body = format!(r#"{{"Email":"Ann@Example.com","phone":"(312) 555-0{number}00"}}"#);
        ids.push(lead_of(&server, "auto", &body).await.1);
    }
    lead_of(&server, "auto", r#"{"email":"bob@example.com"}"#).await;
    server.settled(6).await;
    ids.reverse();
    assert_eq!(found(&server, "q=ann%40EXAMPLE.com").await, ids);
    assert_eq!(found(&server, "q=%2B1-312-555-0200").await, [ids[2].as_str()]);
    assert_eq!(found(&server, "q=ann%40example.com&state=waiting").await, [""; 0]);
    assert_eq!(found(&server, "q=eve%40example.com").await, [""; 0]);
    let mut seen = Vec::new();
    let mut path = "/v1/deliveries?q=ann%40example.com&limit=2".to_owned();
    loop {
        let page = server.get(&path).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/deliveries?q=ann%40example.com&limit=2&after={next}");
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn an_erased_lead_is_gone_its_figures_stay_and_it_does_not_come_back() {
    let server = Server::start().await;
    server.recipient.will(Act::Answers(404));
    let (lead, delivery) = server.lead("auto").await;
    server.settled(1).await;
    let done = server.delete(&format!("/v1/leads/{lead}"), r#"{"reason":"case 7","by":"dana"}"#).await;
    assert_eq!(done.status, 200, "{done:?}");
    let told = done.json();
    assert_eq!((&told["state"], &told["leads_erased"]), (&json!("done"), &json!(1)));
    let expected = json!([{ "id": delivery, "was": "in_review", "state": "closed" }]);
    assert_eq!(told["leads"][0]["deliveries"], expected);

    let gone = server.get(&format!("/v1/leads/{lead}")).await;
    assert_eq!((gone.status.as_u16(), slug(&gone)), (410, "lead-erased".to_owned()));
    let detail = gone.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("by dana: case 7") && detail.contains("2026-11-24"), "{detail}");

    let page = server.get(&format!("/v1/deliveries/{delivery}")).await.json();
    assert_eq!((&page["state"], &page["why"], &page["attempts_sent"]), (&json!("closed"), &json!("erased"), &json!(1)));
    assert_eq!(page["attempts"][0]["because"], "erased");
    assert_eq!(page["changes"][0]["by"], "dana");
    assert!(!page.to_string().contains("grüße"), "what was answered is gone: {page:#}");

    for verb in ["retry", "mark-delivered", "dismiss"] {
        let refused = server.post(&format!("/v1/deliveries/{delivery}/{verb}"), r#"{"reason":"x"}"#).await;
        assert_eq!((refused.status.as_u16(), slug(&refused)), (409, "verb-refused".to_owned()), "{verb}");
        assert!(refused.json()["detail"].as_str().unwrap().contains("asked for deletion"));
    }
    let again = server.delete(&format!("/v1/leads/{lead}"), "").await;
    assert_eq!((again.status.as_u16(), slug(&again)), (410, "lead-erased".to_owned()));

    let returned = server.post("/v1/flows/auto/leads", r#"{"contact":{"E-Mail":" ANN@example.com "}}"#).await;
    assert_eq!((returned.status.as_u16(), slug(&returned)), (409, "erased".to_owned()));
    assert!(!String::from_utf8_lossy(&returned.bytes).to_lowercase().contains("ann@"), "no refusal repeats it");
    server.pass(Duration::from_secs(30 * 86_400 + 1)).await;
    server.lead("auto").await;
}

#[tokio::test]
async fn a_rejected_or_delivered_lead_that_was_erased_is_refused_to_the_desk_by_name() {
    let server = Server::start().await;
    let (lead, delivery) = server.lead("auto").await;
    server.settled(1).await;
    let done = server.post("/v1/erasures", r#"{"email":"ann@example.com"}"#).await.json();
    assert_eq!(done["leads"][0]["deliveries"], json!([{ "id": delivery, "was": "delivered", "state": "delivered" }]));
    assert_eq!(done["leads"][0]["id"], json!(lead));
    let refused = server.post(&format!("/v1/deliveries/{delivery}/retry"), "{}").await;
    assert_eq!(refused.status, 409);
    let stats = server.get("/v1/stats").await.json();
    assert_eq!(stats["total"]["delivered"], 1, "what was delivered stays delivered");
}

fn requests() -> [(&'static str, u16, &'static str); 9] {
    [
        ("{}", 422, "bad-request"),
        (r#"{"email":"","phone":" "}"#, 422, "bad-request"),
        (r#"{"email":"ann"}"#, 422, "bad-request"),
        (r#"{"phone":"12"}"#, 422, "bad-request"),
        (r#"{"mail":"ann@example.com"}"#, 422, "bad-request"),
        (r#"{"email":"ann@example.com","reason":"Ann@example.com asked"}"#, 422, "bad-request"),
        (r#"{"phone":"312 555 0142","reason":"call from 312-555-0142"}"#, 422, "bad-request"),
        ("[", 400, "malformed-json"),
        (r#"{"email":["a@b.c"]}"#, 422, "bad-request"),
    ]
}

#[tokio::test]
async fn what_names_nobody_or_names_too_much_is_refused() {
    let server = Server::start().await;
    for (body, status, kind) in requests() {
        let refused = server.post("/v1/erasures", body).await;
        assert_eq!((refused.status.as_u16(), slug(&refused).as_str()), (status, kind), "{body}");
    }
    for wait in ["61s", "x", "-1s"] {
        assert_eq!(server.post(&format!("/v1/erasures?wait={wait}"), "{}").await.status, 400, "{wait}");
    }
    let unknown = server.delete("/v1/leads/ld_01h8xq2m4c000", "").await;
    assert_eq!((unknown.status.as_u16(), slug(&unknown)), (404, "unknown-lead".to_owned()));
    assert_eq!(server.delete("/v1/leads/dl_01h8xq2m4c000", "").await.status, 400);
}

fn key(name: &str, scopes: &[Scope], account: Option<&str>) -> ApiKey {
    ApiKey {
        name: name.into(),
        hash: Sha256::digest(name.as_bytes()).into(),
        scopes: scopes.to_vec(),
        account: account.map(|name| AccountName::new(name).unwrap()),
    }
}

fn with(key: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

#[tokio::test]
async fn only_who_may_operate_erases_and_only_in_its_own_account() {
    let all = [Scope::Ingest, Scope::Read, Scope::Operate];
    let keys = ApiKeys::new(vec![
        key("reader", &[Scope::Ingest, Scope::Read], None),
        key("desk", &all, None),
        key("acme-desk", &all, Some("acme")),
    ]);
    let server = Server::with(keys, RequestLimits::default(), EngineLimits::default()).await;
    let body = r#"{"email":"ann@example.com"}"#;
    let mut leads = Vec::new();
    for flow in ["auto", "pair"] {
        let answered = server.send(with("desk", post(&format!("/v1/flows/{flow}/leads"), body))).await;
        leads.push(answered.json()["lead_id"].as_str().unwrap().to_owned());
    }
    server.settled(3).await;
    let erase = |lead: &str| Request::delete(format!("/v1/leads/{lead}")).body(Body::empty()).unwrap();
    let cases: [(&str, Request<Body>, u16); 6] = [
        ("reader", erase(&leads[0]), 403),
        ("reader", post("/v1/erasures", body), 403),
        ("acme-desk", post("/v1/erasures", body), 403),
        ("acme-desk", erase(&leads[1]), 404),
        ("acme-desk", erase(&leads[0]), 200),
        ("desk", post("/v1/erasures", body), 200),
    ];
    for (name, request, status) in cases {
        let path = request.uri().path().to_owned();
        let answered = server.send(with(name, request)).await;
        assert_eq!(answered.status.as_u16(), status, "{name} {path}: {answered:?}");
    }
    let gone: Vec<Value> = vec![];
    let left = server
        .send(with("desk", Request::get("/v1/deliveries?q=ann%40example.com").body(Body::empty()).unwrap()))
        .await;
    assert_eq!(left.json()["items"].as_array().unwrap(), &gone);
}
