//! Recipients' health, and what people say about what is to go.

use super::harness::{Act, Server, post, start};
use crate::auth::{ApiKey, ApiKeys, Scope};
use crate::state::RequestLimits;
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use steadfast_engine::EngineLimits;
use steadfast_lead::AccountName;

const WHY: &str = r#"{"reason":"their call centre is down","by":"ann"}"#;

/// What is kept in the journal under a type, the newest first.
async fn events(server: &Server, kind: &str) -> Vec<Value> {
    let page = server.get("/v1/events?limit=200").await.json();
    page["items"].as_array().unwrap().iter().rev().filter(|event| event["type"] == kind).cloned().collect()
}

async fn recipient(server: &Server, name: &str) -> Value {
    let answered = server.get(&format!("/v1/recipients/{name}")).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    answered.json()
}

async fn metrics(server: &Server) -> String {
    String::from_utf8(server.get("/metrics").await.bytes.to_vec()).unwrap()
}

/// Five leads that fail at once and are held then, in a server whose breaker that opens.
async fn failing() -> Server {
    let server = Server::start().await;
    for _ in 0..5 {
        server.recipient.will(Act::Answers(503));
        server.lead("auto").await;
    }
    server.settled(5).await;
    while events(&server, "breaker_changed").await.is_empty() {
        tokio::task::yield_now().await;
    }
    server
}

#[tokio::test]
async fn a_recipient_in_trouble_is_shown_with_its_figures() {
    let server = failing().await;
    let shown = recipient(&server, "bigbank").await;
    let breaker = &shown["endpoints"][0]["breaker"];
    assert_eq!((&shown["health"], &breaker["state"]), (&json!("failing"), &json!("open")), "{shown:#}");
    assert_eq!((&breaker["totals"]["failed"], &breaker["openings_in_a_row"]), (&json!(5), &json!(1)));
    assert_eq!(shown["endpoints"][0]["hold"]["why"], "breaker");
    assert_eq!(shown["endpoints"][0]["hold"]["until"], breaker["changes_at"]);
    assert_eq!((&shown["deliveries"]["waiting"], &shown["held_now"]), (&json!(5), &json!(5)));
    assert_eq!(shown["pace"], json!({ "in_flight": 0, "concurrency": 2, "concurrency_max": 50, "adaptive": true }));
    assert_eq!(recipient(&server, "smallbank").await["health"], "well");
    assert_eq!(server.get("/v1/recipients").await.json()["items"][0], shown);

    let changed = &events(&server, "breaker_changed").await[0];
    assert_eq!(
        (&changed["from"], &changed["to"], &changed["generation"]),
        (&json!("closed"), &json!("open"), &json!(1))
    );
    assert!(changed["because"].as_str().unwrap().starts_with("closed to open: 5 failures in a row; open for "));
    let text = metrics(&server).await;
    let endpoint = shown["endpoints"][0]["endpoint"].as_str().unwrap();
    for line in [
        format!("steadfast_breaker_state{{recipient=\"bigbank\",endpoint=\"{endpoint}\",state=\"open\"}} 1"),
        format!("steadfast_endpoint_held{{recipient=\"bigbank\",endpoint=\"{endpoint}\",reason=\"breaker\"}} 1"),
        "steadfast_held_deliveries{recipient=\"bigbank\",reason=\"breaker\"} 5".to_owned(),
        "steadfast_breaker_transitions_total{recipient=\"bigbank\",to=\"open\",reason=\"failures_in_a_row\"} 1"
            .to_owned(),
        "steadfast_recipient_in_flight_attempts{recipient=\"bigbank\"} 0".to_owned(),
        "steadfast_stops 0".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn the_breakers_verbs_do_what_they_say_and_are_told_with_their_reason() {
    let server = failing().await;
    let act = |verb: &str| format!(r#"{{"verb":"{verb}","reason":"they called","by":"ann"}}"#);
    let steps = [
        ("probe", "half_open"),
        ("open", "forced_open"),
        ("close", "recovery"),
        ("disable", "disabled"),
        ("close", "closed"),
    ];
    for (verb, state) in steps {
        let answered = server.post("/v1/recipients/bigbank/breaker", &act(verb)).await;
        assert_eq!(answered.status, 200, "{answered:?}");
        let shown = answered.json();
        let states: Vec<&Value> = vec![&shown["endpoints"][0]["breaker"]["state"]];
        // A probe may be over by the time of the answer: then it succeeded.
        assert!(states[0] == state || verb == "probe", "{verb}: {shown:#}");
        while !events(&server, "breaker_changed").await.iter().any(|event| event["to"] == state && event["by"] == "ann")
        {
            tokio::task::yield_now().await;
        }
    }
    let told = events(&server, "breaker_changed").await;
    let forced = told.iter().find(|event| event["to"] == "forced_open").unwrap();
    assert_eq!((&forced["reason"], &forced["by"]), (&json!("by_hand"), &json!("ann")));
    assert!(forced["because"].as_str().unwrap().contains("by hand by ann: they called"), "{forced}");
}

#[tokio::test]
async fn a_stopped_recipient_is_sent_nothing_until_it_goes_on() {
    let server = Server::start().await;
    let stopped = server.post("/v1/recipients/bigbank/pause", WHY).await.json();
    assert_eq!((&stopped["health"], &stopped["stopped"]["by"]), (&json!("stopped"), &json!("ann")));
    assert_eq!(stopped["endpoints"][0]["hold"], json!({ "why": "paused" }));
    let (_, held) = server.lead("auto").await;
    let other = server.lead("pair").await;
    server.settled(1).await;
    server.pass(Duration::from_secs(600)).await;
    let shown = server.get(&format!("/v1/deliveries/{held}")).await.json();
    assert_eq!((&shown["attempts_sent"], &shown["hold"]["why"]), (&json!(0), &json!("paused")), "{shown:#} {other:?}");
    assert_eq!(recipient(&server, "bigbank").await["held_now"], 2);
    assert_eq!(server.get("/v1/stops").await.json()["items"][0]["recipient"], "bigbank");
    assert!(metrics(&server).await.contains("steadfast_stops 1"));

    let gone_on = server.post("/v1/recipients/bigbank/resume", r#"{"reason":"back"}"#).await.json();
    assert_eq!((&gone_on["health"], gone_on.get("stopped")), (&json!("well"), None));
    server.settled(3).await;
    assert_eq!(server.get(&format!("/v1/deliveries/{held}")).await.json()["state"], "delivered");
    let again = server.post("/v1/recipients/bigbank/resume", r#"{"reason":"back"}"#).await;
    assert_eq!(again.status, 200, "what goes on can be let go on");
    let (stops, ends) = (events(&server, "stopped").await, events(&server, "resumed").await);
    assert_eq!((stops.len(), ends.len()), (1, 1));
    assert_eq!((&stops[0]["reason"], &ends[0]["by"]), (&json!("their call centre is down"), &json!("local")));
}

#[tokio::test]
async fn maintenance_is_said_shown_and_cancelled_and_refused_where_it_makes_no_sense() {
    let server = Server::start().await;
    let path = "/v1/recipients/bigbank/maintenance";
    let (from, until) = (start(), start().after(Duration::from_secs(3_600)));
    let wish = json!({ "until": until.to_string(), "reason": "new disks", "by": "ann" }).to_string();
    let shown = server.post(path, &wish).await.json();
    assert_eq!(shown["maintenance"][0]["reason"], "new disks", "{shown:#}");
    let called_when = &shown["called_when"];
    assert_eq!((&called_when["now"], &called_when["closed_by"]), (&json!("closed"), &json!("maintenance")));
    assert_eq!((&called_when["until"], &called_when["note"]), (&json!(until.to_string()), &json!("new disks, by ann")));
    let (_, held) = server.lead("auto").await;
    server.settled(0).await;
    let hold = server.get(&format!("/v1/deliveries/{held}")).await.json()["hold"].clone();
    let told =
        json!({ "why": "maintenance", "until": until.to_string(), "note": "new disks, by ann", "endpoint": true });
    assert_eq!(hold, told);
    let explained = server.get("/v1/explain?flow=auto&step=sell").await.json();
    assert_eq!(explained["called_when"]["now"], "closed", "{explained:#}");

    let refused = async |body: Value| {
        let answered = server.post(path, &body.to_string()).await;
        (answered.status.as_u16(), answered.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    let in_it = until.before(Duration::from_secs(60)).to_string();
    for (body, said) in [
        (json!({ "until": until.to_string() }), "reason is missing"),
        (json!({ "reason": "x" }), "until is missing"),
        (json!({ "until": "tomorrow", "reason": "x" }), "until = \"tomorrow\" is no time"),
        (json!({ "from": until.to_string(), "until": from.to_string(), "reason": "x" }), "is not after from"),
        (json!({ "from": in_it, "until": "2027-06-01T00:00:00Z", "reason": "x" }), "overlaps with the maintenance"),
        (json!({ "until": "2031-01-01T00:00:00Z", "reason": "x" }), "within a year"),
    ] {
        let (status, detail) = refused(body).await;
        assert!(status == 422 && detail.contains(said), "{status} {detail}");
    }
    let nobody = server.post("/v1/recipients/nobody/maintenance", &wish).await;
    assert_eq!(
        (nobody.status.as_u16(), &nobody.json()["type"]),
        (404, &json!("urn:steadfast:problem:unknown-recipient"))
    );

    let id = shown["maintenance"][0]["id"].as_str().unwrap();
    let other = server.delete(&format!("{path}/77"), "").await;
    assert_eq!(
        (other.status.as_u16(), &other.json()["type"]),
        (404, &json!("urn:steadfast:problem:unknown-maintenance"))
    );
    let cancelled = server.delete(&format!("{path}/{id}"), "").await.json();
    assert_eq!((&cancelled["maintenance"], cancelled.get("called_when")), (&json!([]), None), "{cancelled:#}");
    server.settled(1).await;
    assert_eq!(server.get(&format!("/v1/deliveries/{held}")).await.json()["state"], "delivered");
    let stops = events(&server, "stopped").await;
    assert_eq!((&stops[0]["until"], &stops[0]["recipient"]), (&json!(until.to_string()), &json!("bigbank")));
}

#[tokio::test]
async fn a_stopped_flow_or_source_holds_its_own_and_nobody_elses() {
    let server = Server::start().await;
    let flow = server.post("/v1/flows/auto/pause", WHY).await.json();
    assert_eq!(
        (&flow["stopped"]["flow"], &flow["stopped"]["reason"]),
        (&json!("auto"), &json!("their call centre is down"))
    );
    let (_, held) = server.lead("auto").await;
    server.lead("pair").await;
    server.settled(2).await;
    let state = |shown: Value| (shown["attempts_sent"].clone(), shown["hold"]["why"].clone());
    let shown = state(server.get(&format!("/v1/deliveries/{held}")).await.json());
    assert_eq!(shown, (json!(0), json!("paused")));
    assert_eq!(server.post("/v1/flows/auto/resume", WHY).await.json(), json!({}));
    server.settled(3).await;

    server.post("/v1/flows/auto/sources/web/pause", WHY).await;
    assert_eq!(server.get("/v1/stops").await.json()["items"][0]["source"], "web");
    server.post("/flows/auto/sources/web/submit", r#"{"a":1}"#).await;
    let (_, direct) = server.lead("auto").await;
    server.settled(4).await;
    assert_eq!(server.get(&format!("/v1/deliveries/{direct}")).await.json()["state"], "delivered");
    server.post("/v1/flows/auto/sources/web/resume", WHY).await;
    server.settled(5).await;
}

#[tokio::test]
async fn what_cannot_be_said_is_refused() {
    let server = Server::start().await;
    let breaker = |body: &str| post("/v1/recipients/bigbank/breaker", body);
    let table = [
        (post("/v1/recipients/nobody/pause", WHY), 404, "unknown-recipient", "nobody"),
        (post("/v1/recipients/no%20body/pause", WHY), 400, "bad-parameter", "1 to 64"),
        (Request::get("/v1/recipients/nobody").body(Body::empty()).unwrap(), 404, "unknown-recipient", "nobody"),
        (post("/v1/flows/nope/pause", WHY), 404, "unknown-flow", "nope"),
        (post("/v1/flows/auto/sources/nope/pause", WHY), 404, "unknown-source", "auto"),
        (post("/v1/recipients/bigbank/pause", "{}"), 422, "bad-request", "reason is missing"),
        (post("/v1/flows/auto/resume", r#"{"reason":" "}"#), 422, "bad-request", "reason is missing"),
        (post("/v1/recipients/bigbank/pause?until=1h", WHY), 400, "unknown-parameter", "until"),
        (breaker(r#"{"reason":"x"}"#), 422, "bad-request", "open, probe, close or disable"),
        (breaker(r#"{"verb":"shut","reason":"x"}"#), 422, "bad-request", "open, probe, close or disable"),
        (breaker(r#"{"verb":"open"}"#), 422, "bad-request", "reason is missing"),
        (
            breaker(r#"{"verb":"open","reason":"x","endpoint":"https://x"}"#),
            422,
            "bad-request",
            "none of this recipient's",
        ),
    ];
    for (request, status, slug, detail) in table {
        let asked = format!("{} {}", request.method(), request.uri());
        let answered = server.send(request).await;
        let problem = answered.json();
        assert_eq!(answered.status.as_u16(), status, "{asked}: {problem}");
        assert_eq!(problem["type"], format!("urn:steadfast:problem:{slug}"), "{asked}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{asked}: {problem}");
    }
    assert!(server.get("/v1/stops").await.json()["items"].as_array().unwrap().is_empty(), "nothing was stopped");
}

#[tokio::test]
async fn only_who_may_operate_says_so_and_only_over_what_is_its_own() {
    let key = |name: &str, scope, account: Option<&str>| ApiKey {
        name: name.into(),
        hash: Sha256::digest(format!("sf_{name}")).into(),
        scopes: vec![scope],
        account: account.map(|account| AccountName::new(account).unwrap()),
    };
    let keys = vec![
        key("look", Scope::Read, None),
        key("acme", Scope::Operate, Some("acme")),
        key("other", Scope::Operate, Some("other")),
    ];
    let server = Server::with(ApiKeys::new(keys), RequestLimits::default(), EngineLimits::default()).await;
    // Both accounts send to bigbank, only one to smallbank.
    let table = [
        ("look", "/v1/recipients/bigbank/pause", 403),
        ("look", "/v1/flows/auto/pause", 403),
        ("acme", "/v1/recipients/bigbank/pause", 403),
        ("acme", "/v1/recipients/bigbank/breaker", 403),
        ("acme", "/v1/recipients/smallbank/pause", 403),
        ("acme", "/v1/flows/pair/pause", 403),
        ("other", "/v1/recipients/smallbank/pause", 200),
        ("acme", "/v1/flows/auto/pause", 200),
        ("acme", "/v1/flows/auto/sources/web/pause", 200),
    ];
    for (who, path, status) in table {
        let mut request = post(path, WHY);
        request.headers_mut().insert("authorization", format!("Bearer sf_{who}").parse().unwrap());
        let answered = server.send(request).await;
        assert_eq!(answered.status.as_u16(), status, "{who} {path}: {}", answered.json());
    }
    let mut request = post("/v1/recipients/bigbank/pause", WHY);
    request.headers_mut().remove("authorization");
    assert_eq!(server.send(request).await.status.as_u16(), 401);
}

#[tokio::test]
async fn where_callbacks_go_is_a_recipient_like_any_other_to_whose_flow_it_is() {
    let key = |name: &str, account: Option<&str>| ApiKey {
        name: name.into(),
        hash: Sha256::digest(format!("sf_{name}")).into(),
        scopes: vec![Scope::Operate],
        account: account.map(|account| AccountName::new(account).unwrap()),
    };
    let keys = vec![key("ann", None), key("acme", Some("acme")), key("other", Some("other"))];
    let server = Server::with(ApiKeys::new(keys), RequestLimits::default(), EngineLimits::default()).await;
    let act = async |who: &str, path: &str| {
        let mut request = post(&format!("/v1/recipients/{path}"), r#"{"reason":"their migration","verb":"open"}"#);
        request.headers_mut().insert("authorization", format!("Bearer sf_{who}").parse().unwrap());
        server.send(request).await
    };
    assert_eq!(act("ann", "callbacks.web/breaker").await.status, 404, "nobody is called back yet");
    server.call_back();
    for who in ["ann", "acme"] {
        let shown = act(who, "callbacks.web/breaker").await;
        assert_eq!(shown.status, 200, "{who}: {}", shown.json());
        let endpoint = &shown.json()["endpoints"][0];
        assert_eq!(endpoint["breaker"]["state"], "forced_open", "{who}: {endpoint}");
    }
    let refused = act("other", "callbacks.web/breaker").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["type"]), (403, &json!("urn:steadfast:problem:forbidden")));
    assert_eq!(act("ann", "callbacks.nobody/breaker").await.status, 404);
}
