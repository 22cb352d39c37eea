//! Answers read once more: given ones, stored ones, and all of a time.

use super::harness::{Act, Answered, Server, post, start};
use crate::auth::{ApiKey, ApiKeys, Scope};
use crate::state::RequestLimits;
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use steadfast_engine::{Clock as _, EngineLimits};
use steadfast_lead::{AccountName, DeliveryId, FlowName};
use steadfast_retry::reading::ResponseSettings;
use steadfast_retry::{
    Change, CloseReason, Entry, Event, EventKind, Fence, Reading, Settlement, Shard, State, StateName,
};
use steadfast_store::{Deliveries as _, Settled, Store as _, Writes as _};
use tokio::runtime::Builder;

const PATH: &str = "/v1/classify";

async fn ask(server: &Server, asked: &Value) -> Answered {
    server.post(PATH, &asked.to_string()).await
}

async fn told(server: &Server, asked: &Value) -> Value {
    let answered = ask(server, asked).await;
    assert_eq!(answered.status, StatusCode::OK, "{asked}: {answered:?}");
    answered.json()
}

fn all_day() -> Value {
    json!({ "since": "2026-11-24T00:00:00Z", "until": "2026-11-25T00:00:00Z" })
}

fn not_found_is_a_no() -> Value {
    json!([{ "name": "404 is no", "match": { "status": 404 }, "outcome": "failure", "reason": "unknown" }])
}

#[tokio::test]
async fn a_given_answer_by_what_is_tried() {
    let server = Server::start().await;
    let table = json!({
        "outcome_search_path": "result.status", "outcome_search_term": "accepted", "failure_search_term": "/^no$/",
        "reason_path": "why", "price_path": "price", "reference_path": "id", "fallback_price": 9.5,
    });
    let of = |status: u16, body: &str| json!({ "status": status, "headers": { "Content-Type": "application/json" }, "body": body });
    let rules = json!([
        { "match": { "status": [503, "52x"] }, "outcome": "error" },
        { "name": "busy", "match": { "status": ["5xx", 429], "header": { "x-load": "high" } }, "outcome": "error",
          "retryable": false, "delay": "90s" },
        { "name": "slow", "match": { "kind": "timeout" }, "kind": "timeout_read", "retryable": false },
    ]);
    let bad = ask(&server, &json!({ "answer": of(200, ""), "rules": rules.clone() })).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY, "52x is no class: {bad:?}");
    let mut rules = rules;
    rules[0]["match"]["status"] = json!([503]);
    let high = json!({ "status": 500, "headers": { "X-Load": "high" } });
    let late = json!({ "error": "timeout_read", "phase": "sent" });
    let reset = json!({ "error": "reset", "phase": "sending" });
    let accepted = r#"{"result":{"status":"Accepted"},"price":"12.50","id":"R-1"}"#;
    let table_cases = [
        (of(200, accepted), json!({ "outcome": "success", "retryable": false, "price": "12.50", "reference": "R-1" })),
        (
            of(422, r#"{"result":{"status":"no"},"why":"old"}"#),
            json!({ "outcome": "failure", "kind": "rejected", "reason": "old" }),
        ),
        (of(200, "<html>"), json!({ "outcome": "error", "kind": "unrecognized", "retryable": false })),
        (of(200, r#"{"result":{"status":"accepted"}}"#), json!({ "outcome": "success", "price": "9.5" })),
        (
            of(503, ""),
            json!({ "outcome": "error", "kind": "server_error", "decided_by": "rules[0]", "retryable": true }),
        ),
        (
            high,
            json!({ "outcome": "error", "kind": "server_error", "decided_by": "busy", "retryable": false, "delay_ms": 90_000 }),
        ),
        (late, json!({ "outcome": "error", "kind": "timeout_read", "decided_by": "slow", "retryable": false })),
        (reset, json!({ "outcome": "error", "kind": "reset", "retryable": true })),
    ];
    let bytes = json!({ "status": 200, "headers": { "X-A": ["1", "2"] }, "body_base64": "eyJyZXN1bHQiOnsic3RhdHVzIjoiYWNjZXB0ZWQifX0=" });
    let broke_off = json!({ "status": 200, "body": accepted, "error": "timeout_read" });
    let table_cases = table_cases.into_iter().chain([
        (bytes, json!({ "outcome": "success" })),
        (broke_off, json!({ "outcome": "error", "kind": "timeout_read", "decided_by": "slow" })),
    ]);
    for (answer, expected) in table_cases {
        let said = told(&server, &json!({ "answer": answer, "response": table, "rules": rules })).await;
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(said[name], *value, "{name} of {answer}: {said}");
        }
        assert!(said["decided_by"].is_string() && said.get("stored").is_none(), "{said}");
    }
}

/// The step's reading in force is the one that reads, from the moment it is.
#[tokio::test]
async fn a_given_answer_as_a_step_reads_now() {
    let server = Server::start().await;
    let asked = json!({ "answer": { "status": 200, "body": "no thanks" }, "step": { "flow": "auto", "step": "sell" } });
    assert_eq!(told(&server, &asked).await["outcome"], "success");
    let mut book = (*server.engine.book()).clone();
    let flow = book.flows.get_mut(&FlowName::new("auto").unwrap()).unwrap();
    let settings = ResponseSettings { failure_search_term: Some("no thanks".into()), ..ResponseSettings::default() };
    Arc::make_mut(&mut Arc::make_mut(flow).steps[0]).reading = Reading::build(&settings, &[]).unwrap();
    server.engine.replace_book(book);
    let said = told(&server, &asked).await;
    assert_eq!((&said["outcome"], &said["kind"]), (&json!("failure"), &json!("rejected")), "{said}");
}

#[tokio::test]
async fn a_stored_attempt_beside_what_it_was() {
    let server = Server::start().await;
    server.recipient.will(Act::Answers(404));
    server.recipient.will(Act::Cut(404));
    let (_, first) = server.lead("auto").await;
    server.settled(1).await;
    let (_, second) = server.lead("auto").await;
    server.settled(2).await;
    let of = |delivery: &str, number: u32| json!({ "attempt": { "delivery": delivery, "number": number }, "rules": not_found_is_a_no() });
    let said = told(&server, &of(&first, 1)).await;
    assert_eq!((&said["outcome"], &said["decided_by"]), (&json!("failure"), &json!("404 is no")), "{said}");
    assert_eq!((&said["stored"]["outcome"], &said["stored"]["kind"]), (&json!("error"), &json!("client_error")));
    assert!(said.get("body_cut").is_none(), "{said}");
    assert_eq!(told(&server, &of(&second, 1)).await["body_cut"], true);
    assert_refused(&ask(&server, &of(&first, 2)).await, 404, "unknown-attempt", "no attempt number 2");
    assert_refused(&ask(&server, &of(&first, 0)).await, 404, "unknown-attempt", "no attempt number 0");
    let none = DeliveryId::from_raw(77).unwrap().to_string();
    assert_refused(&ask(&server, &of(&none, 1)).await, 404, "unknown-delivery", &none);
    assert_refused(&ask(&server, &of("x", 1)).await, 422, "bad-request", "attempt.delivery");
    erase(&server, &first).await;
    assert_refused(&ask(&server, &of(&first, 1)).await, 410, "evidence-erased", &first);
}

/// Ends a delivery as an erasure does.
async fn erase(server: &Server, id: &str) {
    let mut delivery = server.store.delivery(id.parse().unwrap()).await.unwrap().unwrap();
    let at = server.clock.now();
    delivery.version += 1;
    delivery.state = State::Closed { at, why: CloseReason::Erased };
    let change = Change { at, verb: None, state: delivery.state.clone(), leg: None, because: "erased".into() };
    let kind = EventKind::DeliveryChanged {
        delivery: delivery.id,
        recipient: delivery.endpoint.recipient.clone(),
        state: StateName::Closed,
        cause: None,
        held: None,
        closed: Some(CloseReason::Erased),
        leg: None,
        verb: None,
        test: false,
    };
    let epoch = server.store.identity().epoch;
    let fence = Fence { shard: Shard::of(&delivery.endpoint.recipient), epoch };
    let (entry, event) = (Entry::Change(change), Event { at, kind });
    let settled =
        server.store.settle(Settlement { delivery, entry, pause: None, event, fence, tied: None, caps: None }).await;
    assert_eq!(settled, Ok(Settled::Applied));
}

fn assert_refused(answered: &Answered, status: u16, slug: &str, detail: &str) {
    assert_eq!(answered.status.as_u16(), status, "{answered:?}");
    assert_eq!(answered.json()["type"], format!("urn:steadfast:problem:{slug}"), "{answered:?}");
    assert!(answered.json().to_string().contains(detail), "{detail} not in {answered:?}");
}

#[tokio::test]
async fn refusals() {
    let server = Server::start().await;
    let answer = json!({ "status": 200 });
    let step = json!({ "flow": "auto", "step": "sell" });
    let range = |name: &str, value: Value| {
        let mut range = all_day();
        range[name] = value;
        json!({ "range": range, "response": {} })
    };
    let given = |answer: Value| json!({ "answer": answer, "response": {} });
    let with = |name: &str, value: Value| json!({ "answer": answer, name: value });
    let table = [
        (json!({}), 422, "bad-request", "step, or response and rules"),
        (json!({ "response": {} }), 422, "bad-request", "answer, attempt and range"),
        (json!({ "answer": answer }), 422, "bad-request", "step, or response and rules"),
        (json!({ "answer": answer, "range": all_day(), "rules": [] }), 422, "bad-request", "answer, attempt and range"),
        (json!({ "answer": answer, "step": step, "rules": [] }), 422, "bad-request", "step, or response and rules"),
        (json!({ "answer": answer, "step": step, "response": {} }), 422, "bad-request", "step, or response and rules"),
        (with("step", json!({ "flow": "nope", "step": "sell" })), 404, "unknown-flow", "nope"),
        (with("step", json!({ "flow": "auto", "step": "nope" })), 404, "unknown-step", "nope"),
        (with("stepp", json!({})), 422, "bad-request", "stepp"),
        (with("response", json!({ "outcome_term": "x" })), 422, "bad-request", "outcome_search_term"),
        (with("rules", json!([{ "outcome": "error" }])), 422, "bad-request", "match"),
        (given(json!({})), 422, "bad-request", "error with phase"),
        (given(json!({ "status": 99 })), 422, "bad-request", "100 to 999"),
        (given(json!({ "status": 200, "body": "", "body_base64": "" })), 422, "bad-request", "body or body_base64"),
        (given(json!({ "status": 200, "body_base64": "?" })), 422, "bad-request", "base 64"),
        (given(json!({ "error": "gone", "phase": "sent" })), 422, "bad-request", "connect_refused"),
        (given(json!({ "error": "reset", "phase": "later" })), 422, "bad-request", "responded"),
        (given(json!({ "error": "reset", "phase": "sent", "body": "" })), 422, "bad-request", "answer.status"),
        (range("since", json!("soon")), 422, "bad-request", "range.since"),
        (range("until", json!("2026-11-23T00:00:00Z")), 422, "bad-request", "after range.since"),
        (range("limit", json!(0)), 422, "bad-request", "1 to 1000000"),
        (range("limit", json!(1_000_001)), 422, "bad-request", "1 to 1000000"),
        (range("after", json!("dl_x")), 422, "bad-request", "range.after"),
        (range("flow", json!("-")), 422, "bad-request", "range.flow"),
        (range("recipient", json!("-")), 422, "bad-request", "range.recipient"),
        (json!({ "range": { "since": "2026-11-24T00:00:00Z" }, "rules": [] }), 422, "bad-request", "until"),
    ];
    for (asked, status, slug, detail) in table {
        assert_refused(&ask(&server, &asked).await, status, slug, detail);
    }
    assert_refused(&server.post(PATH, "{").await, 400, "malformed-json", "line 1");
    assert_refused(&server.post("/v1/classify?x=1", "{}").await, 400, "unknown-parameter", "x");
}

/// Every misfit at once, each with its key and what is allowed.
#[tokio::test]
async fn a_table_with_misfits() {
    let server = Server::start().await;
    let response = json!({
        "content_type": "yaml", "outcome_on_match": "sucess", "outcome_search_term": "/(/", "compat": "x",
        "fallback_price": true,
    });
    let rules = json!([
        { "match": { "status": [true, "6xx"], "kind": "late" }, "outcome": "no", "delay": "soon" },
        { "match": { "body": "x" }, "kind": "rejected", "delay": "2d" },
    ]);
    let answered = ask(&server, &json!({ "answer": { "status": 200 }, "response": response, "rules": rules })).await;
    assert_eq!(answered.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = answered.json()["errors"].as_array().unwrap().clone();
    let keys: BTreeSet<&str> =
        errors.iter().map(|error| error.as_str().unwrap().split([' ', ':']).next().unwrap()).collect();
    let expected = [
        "response.compat",
        "response.content_type",
        "response.fallback_price",
        "response.outcome_on_match",
        "response.outcome_search_term",
        "rules[0].delay",
        "rules[0].match.kind[0]",
        "rules[0].match.status",
        "rules[0].match.status[0]",
        "rules[0].outcome",
        "rules[1].delay",
    ];
    assert_eq!(keys, BTreeSet::from(expected), "{errors:#?}");
    assert!(errors.iter().all(|error| error.as_str().unwrap().contains("allowed: ")), "{errors:#?}");
}

/// 3,000 attempts: a third taken, a third answered 404, a third 410.
async fn seeded() -> Server {
    let server = Server::start().await;
    for number in 0..3_000 {
        server.recipient.will(Act::Answers([200, 404, 410][number % 3]));
    }
    for _ in 0..3_000 {
        server.lead("auto").await;
    }
    server.settled(3_000).await;
    server
}

#[tokio::test]
async fn a_changed_rule_over_a_stored_day() {
    let server = seeded().await;
    let asked = |range: Value| json!({ "range": range, "rules": not_found_is_a_no() });
    let whole = told(&server, &asked(all_day())).await;
    assert_eq!((&whole["attempts"], &whole["changed"], &whole["cut"]), (&json!(3_000), &json!(1_000), &json!(false)));
    assert!(whole.get("next").is_none(), "{whole}");
    assert_eq!(whole["unjudged"], json!({ "body_cut": 0, "erased": 0, "examples": [] }));
    let (taken, error) = (json!({ "outcome": "success" }), json!({ "outcome": "error", "kind": "client_error" }));
    let no = json!({ "outcome": "failure", "kind": "rejected" });
    let pairs = whole["pairs"].as_array().unwrap();
    let counted: Vec<_> =
        pairs.iter().map(|pair| (&pair["old"], &pair["new"], &pair["changed"], &pair["attempts"])).collect();
    let thousand = json!(1_000);
    let expected = [
        (&error, &no, &json!(true), &thousand),
        (&error, &error, &json!(false), &thousand),
        (&taken, &taken, &json!(false), &thousand),
    ];
    assert_eq!(counted, expected);
    assert_eq!((&pairs[1]["examples"], &pairs[2]["examples"]), (&json!([]), &json!([])));
    let examples = pairs[0]["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 20);
    for example in examples {
        assert_eq!((&example["attempt"], &example["old"], &example["new"]), (&json!(1), &error, &no));
        let attempt = json!({ "delivery": example["delivery"], "number": 1 });
        let said = told(&server, &json!({ "attempt": attempt, "rules": not_found_is_a_no() })).await;
        assert_eq!((&said["decided_by"], &example["decided_by"]), (&json!("404 is no"), &json!("404 is no")));
    }
    narrowed(&server, asked).await;
    in_parts(&server, asked).await;
}

async fn narrowed(server: &Server, asked: impl Fn(Value) -> Value) {
    let cases =
        [("flow", "pair", 0), ("flow", "auto", 3_000), ("recipient", "smallbank", 0), ("recipient", "bigbank", 3_000)];
    for (name, value, attempts) in cases {
        let mut range = all_day();
        range[name] = json!(value);
        assert_eq!(told(server, &asked(range)).await["attempts"], attempts, "{name} = {value}");
    }
    let earlier = json!({ "since": "2026-11-23T00:00:00Z", "until": start().to_string() });
    assert_eq!(told(server, &asked(earlier)).await["attempts"], 0);
}

/// In parts by cursor everything comes once; the last part says so.
async fn in_parts(server: &Server, asked: impl Fn(Value) -> Value) {
    for (limit, parts) in [(700_u64, 5), (1_000, 3), (2_999, 2), (3_000, 1)] {
        let (mut sums, mut attempts, mut next) = ([0, 0], Vec::new(), Value::Null);
        for _ in 0..parts {
            let mut range = all_day();
            range["limit"] = json!(limit);
            range["after"] = next;
            let part = told(server, &asked(range)).await;
            attempts.push(part["attempts"].as_u64().unwrap());
            sums = [sums[0] + attempts.last().unwrap(), sums[1] + part["changed"].as_u64().unwrap()];
            assert_eq!(part["cut"], part["next"].is_string());
            next = part["next"].clone();
        }
        assert_eq!((sums, next), ([3_000, 1_000], Value::Null), "{limit}");
        assert!(attempts[..parts - 1].iter().all(|attempts| *attempts == limit), "{attempts:?}");
    }
}

/// A delivery of many attempts is cut within its history, and goes on there.
#[tokio::test]
async fn a_limit_within_one_delivery() {
    let server = Server::start().await;
    let (_, delivery) = {
        server.recipient.will(Act::Answers(404));
        server.lead("auto").await
    };
    server.settled(1).await;
    for attempts in 2..=70 {
        server.recipient.will(Act::Answers(404));
        let retried = server.post(&format!("/v1/deliveries/{delivery}/retry"), r#"{"reason":"x"}"#).await;
        assert!(retried.status.is_success(), "{retried:?}");
        server.settled(attempts).await;
    }
    let (mut numbers, mut next) = (Vec::new(), Value::Null);
    for _ in 0..4 {
        let mut range = all_day();
        range["limit"] = json!(20);
        range["after"] = next;
        let part = told(&server, &json!({ "range": range, "rules": not_found_is_a_no() })).await;
        let examples = part["pairs"][0]["examples"].as_array().unwrap().clone();
        numbers.extend(examples.iter().map(|example| example["attempt"].as_u64().unwrap()));
        next = part["next"].clone();
    }
    assert_eq!((numbers, next), ((1..=70).collect(), Value::Null));
    let whole = told(&server, &json!({ "range": all_day(), "rules": not_found_is_a_no() })).await;
    assert_eq!((&whole["attempts"], &whole["changed"]), (&json!(70), &json!(70)));
    let last = json!({ "attempt": { "delivery": delivery, "number": 70 }, "rules": not_found_is_a_no() });
    assert_eq!(told(&server, &last).await["outcome"], "failure");
}

#[tokio::test]
async fn what_was_cut_or_erased_is_not_judged() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for (number, act) in [Act::Cut(404), Act::Answers(404), Act::Answers(404)].into_iter().enumerate() {
        server.recipient.will(act);
        ids.push(server.lead("auto").await.1);
        server.settled(number + 1).await;
    }
    erase(&server, &ids[1]).await;
    let said = told(&server, &json!({ "range": all_day(), "rules": not_found_is_a_no() })).await;
    assert_eq!((&said["attempts"], &said["changed"]), (&json!(3), &json!(1)), "{said}");
    let old = json!({ "outcome": "error", "kind": "client_error" });
    let examples = json!([
        { "delivery": ids[1], "attempt": 1, "old": old, "why": "erased" },
        { "delivery": ids[0], "attempt": 1, "old": old, "why": "body_cut" },
    ]);
    assert_eq!(said["unjudged"], json!({ "body_cut": 1, "erased": 1, "examples": examples }));
}

/// One range at a time; who goes away makes room. The only thread that reads is kept busy, so that the first waits for it.
#[test]
fn a_second_range_waits_until_the_first_is_done_or_given_up() {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let server = Server::start().await;
        server.lead("auto").await;
        server.settled(1).await;
        let asked = json!({ "range": all_day(), "rules": not_found_is_a_no() });
        let (free, kept_busy) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || kept_busy.recv());
        {
            let mut first = pin!(ask(&server, &asked));
            while server.state.classifications().available_permits() > 0 {
                assert!(futures::poll!(&mut first).is_pending(), "nothing can be read yet");
                tokio::task::yield_now().await;
            }
            let second = ask(&server, &asked).await;
            assert_refused(&second, 503, "too-many-readers", "another range");
            assert_eq!(second.headers["retry-after"], "5");
        }
        free.send(()).unwrap();
        busy.await.unwrap().unwrap();
        let room = Arc::clone(server.state.classifications()).acquire_owned().await.unwrap();
        let one = json!({ "answer": { "status": 404 }, "rules": not_found_is_a_no() });
        assert_eq!(told(&server, &one).await["outcome"], "failure", "one answer needs no room");
        drop(room);
        assert_eq!(told(&server, &asked).await["attempts"], 1);
    });
}

/// A key of one account reads that account's attempts by that account's steps.
#[tokio::test]
async fn a_key_of_one_account() {
    let key = |text: &str, account: Option<&str>| ApiKey {
        name: text.into(),
        hash: Sha256::digest(text).into(),
        scopes: vec![Scope::Ingest, Scope::Read],
        account: account.map(|name| AccountName::new(name).unwrap()),
    };
    let keys = ApiKeys::new(vec![key("all", None), key("acme", Some("acme"))]);
    let server = Server::with(keys, RequestLimits::default(), EngineLimits::default()).await;
    let send = async |key: &str, path: &str, asked: &Value| {
        let mut request = post(path, &asked.to_string());
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        server.send(request).await
    };
    send("all", "/v1/flows/auto/leads", &json!({ "a": 1 })).await;
    let other = send("all", "/v1/flows/pair/leads", &json!({ "a": 1 })).await.json();
    server.settled(3).await;
    let range = json!({ "range": all_day(), "rules": not_found_is_a_no() });
    assert_eq!(send("all", PATH, &range).await.json()["attempts"], 3);
    assert_eq!(send("acme", PATH, &range).await.json()["attempts"], 1);
    let step = json!({ "answer": { "status": 200 }, "step": { "flow": "pair", "step": "one" } });
    assert_refused(&send("acme", PATH, &step).await, 404, "unknown-flow", "pair");
    let attempt = json!({ "attempt": { "delivery": other["deliveries"][0]["id"], "number": 1 }, "rules": [] });
    assert_refused(&send("acme", PATH, &attempt).await, 404, "unknown-delivery", "no delivery");
    assert_refused(&ask(&server, &range).await, 401, "unauthenticated", "");
}
