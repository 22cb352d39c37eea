//! Every answer that the document promises is given, in one server's life.

use super::harness::{Act, Server, start};
use super::routes::{RENDER, SCENARIO, at};
use axum::body::Body;
use http::Request;
use serde_json::json;
use std::time::Duration;
use steadfast_store::{ConfigVersion, ConfigVersions as _, Queues as _};

async fn stop_and_go_on(server: &Server) {
    for path in ["recipients/smallbank", "flows/auto", "flows/auto/sources/web"] {
        server.post(&format!("/v1/{path}/pause"), r#"{"reason":"x"}"#).await;
        server.post(&format!("/v1/{path}/resume"), r#"{"reason":"x"}"#).await;
    }
    server.post("/v1/recipients/smallbank/breaker", r#"{"verb":"probe","reason":"x"}"#).await;
    for path in ["/v1/recipients/bigbank", "/v1/stops", "/v1/caps", "/v1/flows/auto/shares"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
}

/// A delivered delivery is converted and returned; a line for each is told what was wrong with it.
async fn after_sale(server: &Server, id: &str) {
    let path = |verb: &str| format!("/v1/deliveries/{id}/{verb}");
    server.post(&path("mark-delivered"), r#"{"reason":"x"}"#).await;
    assert_eq!(server.post(&path("conversion"), r#"{"revenue":"1.50"}"#).await.status, 200);
    assert_eq!(server.post(&path("return"), r#"{"reason":"x","recipient":"nobody"}"#).await.status, 409);
    assert_eq!(server.post(&path("return"), r#"{"reason":"x"}"#).await.status, 200);
    for (bad, parameter) in
        [(r#"{"revenue":"a lot"}"#, "revenue"), (r#"{"revenue":1,"at":"soon"}"#, "at"), ("{}", "revenue")]
    {
        let refused = server.post(&path("conversion"), bad).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["parameter"]), (422, &json!(parameter)), "{bad}");
    }
    let csv = |path: &str, body: String| {
        let request = Request::post(path).header("content-type", "text/csv");
        server.send(request.body(Body::from(body)).unwrap())
    };
    let told =
        csv("/v1/returns", format!("delivery_id,reason\n{id},x\ndl_0000000000001,x\nwhich,x\n{id},\n")).await.json();
    let statuses: Vec<u64> =
        told["results"].as_array().unwrap().iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!((statuses, &told["refused"]), (vec![409, 404, 422, 422], &json!(4)), "{told:#}");
    let told = csv("/v1/conversions", format!("delivery_id,revenue,color\n{id},2,red\n")).await.json();
    assert_eq!(told["results"][0]["status"], 422, "{told:#}");
    let span = "/v1/reconciliation?since=2026-01-01T00:00:00Z&until=2026-03-01T00:00:00Z";
    assert_eq!(server.get(span).await.status, 200);
    assert_eq!(server.get(&format!("{span}&format=xlsx")).await.status, 400);
}

/// Every promised answer is given by one of these, in one server's life.
/// Nothing of an answer repeats the address that was given.
async fn suppressions_are_kept_listed_and_ended(server: &Server) {
    let word = r#"{"email":"zoe@example.com","recipient":"bigbank","reason":"consent withdrawn","by":"ann"}"#;
    let kept = server.post("/v1/suppressions", word).await.json();
    let listed = server.get("/v1/suppressions?limit=10").await.json();
    assert_eq!(listed["items"], kept["items"]);
    assert!(!kept.to_string().contains("zoe"), "{kept}");
    assert_eq!((&kept["items"][0]["recipient"], &kept["items"][0]["by"]), (&json!("bigbank"), &json!("ann")));
    let path = format!("/v1/suppressions/{}", kept["items"][0]["suppression"].as_str().unwrap());
    for ended in [true, false] {
        assert_eq!(server.delete(&path, "").await.json(), json!({ "ended": ended }));
    }
    for (body, names) in [
        (r#"{"email":"a@b.c"}"#, "reason"),
        (r#"{"reason":"x"}"#, "email"),
        (r#"{"email":"a","reason":"x"}"#, "email"),
        (r#"{"phone":"12","reason":"x"}"#, "phone"),
        (r#"{"email":"a@b.c","reason":"told by zoe@example.com"}"#, "reason"),
        (r#"{"email":"a@b.c","flow":"nowhere","reason":"x"}"#, "flow"),
        (r#"{"email":"a@b.c","flow":"auto","recipient":"bigbank","reason":"x"}"#, "recipient"),
    ] {
        let refused = server.post("/v1/suppressions", body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.json()["parameter"].as_str()),
            (422, Some(names)),
            "{body} {refused:?}"
        );
    }
    assert_eq!(server.delete("/v1/suppressions/nobody", "").await.status, 400);
}

/// What is only looked at.
const READ: [&str; 13] = [
    "/v1/deliveries",
    "/v1/review",
    "/v1/recipients",
    "/v1/explain?flow=auto&step=sell",
    "/v1/config",
    "/v1/config/versions",
    "/v1/events",
    "/v1/stats",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/",
];

async fn maintenance_is_said_and_cancelled(server: &Server) {
    let (path, until) = ("/v1/recipients/bigbank/maintenance", start().after(Duration::from_secs(30 * 86_400)));
    let wish = serde_json::json!({ "until": until.to_string(), "reason": "new disks" }).to_string();
    let said = server.post(path, &wish).await.json();
    server.delete(&format!("{path}/{}", at(&said, "/maintenance/0/id").as_str().unwrap()), "").await;
}

#[tokio::test]
async fn every_promised_answer_comes() {
    let server = Server::start().await;
    server.recipient.will(Act::Answers(404));
    server.recipient.will(Act::Answers(404));
    let (lead, first) = server.lead("auto").await;
    let (_, second) = server.lead("auto").await;
    server.settled(2).await;
    server.post("/v1/flows/auto/leads?wait=5s", "{\"a\":1}").await;
    let lines = Request::post("/v1/flows/auto/leads/batch").header("content-type", "application/jsonl");
    server.send(lines.body(Body::from("not a lead")).unwrap()).await;
    for asked in ["submit?a=1", "submit?a=1&redir_url=https://web.example/thanks", "ping?zip=1"] {
        let path = format!("/flows/auto/sources/web/{asked}");
        server.get(&path).await;
        server.post(&path, "{}").await;
    }
    server.settled(7).await;
    let config = ConfigVersion { version: 0, at: start(), by: "file".into(), text: "".into() };
    server.store.save_config(config).await.unwrap();
    for path in READ {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    server.get(&format!("/v1/leads/{lead}")).await;
    server.get(&format!("/v1/deliveries/{first}")).await;
    server.post("/v1/simulations", SCENARIO).await;
    server.post("/v1/render", RENDER).await;
    server.post("/v1/classify", r#"{"answer":{"status":200},"step":{"flow":"auto","step":"sell"}}"#).await;
    stop_and_go_on(&server).await;
    let open = server.recipient.gated();
    server.post(&format!("/v1/deliveries/{first}/retry"), "{}").await;
    while !server.engine.is_in_flight(first.parse().unwrap()) {
        tokio::task::yield_now().await;
    }
    for verb in ["retry", "mark-delivered", "dismiss"] {
        server.post(&format!("/v1/deliveries/{first}/{verb}"), r#"{"reason":"x"}"#).await;
    }
    server.post(&format!("/v1/deliveries/{first}/reroute"), r#"{"leg":0,"reason":"x"}"#).await;
    open.send(200).unwrap();
    server.settled(8).await;
    server.recipient.will(Act::Answers(404));
    let (_, other) = server.lead("auto").await;
    server.settled(9).await;
    server.balance();
    server.post(&format!("/v1/deliveries/{other}/reroute"), r#"{"endpoint":"west","reason":"x"}"#).await;
    server.settled(10).await;
    server.post(&format!("/v1/deliveries/{second}/dismiss"), r#"{"reason":"x"}"#).await;
    after_sale(&server, &second).await;
    let open = server.recipient.gated();
    let (third, in_flight) = server.lead("auto").await;
    while !server.engine.is_in_flight(in_flight.parse().unwrap()) {
        tokio::task::yield_now().await;
    }
    server.delete(&format!("/v1/leads/{third}?wait=0ms"), "").await;
    server.post("/v1/erasures?wait=0ms", r#"{"email":"ann@example.com"}"#).await;
    open.send(503).unwrap();
    server.settled(5).await;
    server.post("/v1/erasures", r#"{"phone":"312 555 0142"}"#).await;
    suppressions_are_kept_listed_and_ended(&server).await;
    maintenance_is_said_and_cancelled(&server).await;
    let nobody = server.post("/v1/flows/auto/leads?wait=5s", r#"{"a":1}"#).await.json();
    server.delete(&format!("/v1/leads/{}", nobody["lead_id"].as_str().unwrap()), "").await;
    assert_eq!(server.store.taken().await.unwrap(), []);
    server.engine.drain(Duration::from_secs(1)).await.unwrap();
    server.get("/readyz").await;
    let seen = server.contract.seen.lock().clone();
    let missing: Vec<_> = server.contract.promised().difference(&seen).cloned().collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}
