//! Batches: each line on its own, whatever stands around it.

use super::harness::{Answered, Server};
use crate::auth::ApiKeys;
use crate::state::RequestLimits;
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;
use steadfast_engine::EngineLimits;
use steadfast_store::StoreError;

const BATCH: &str = "/v1/flows/auto/leads/batch";

fn batch(media: &str, query: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(format!("{BATCH}{query}")).header("content-type", media).body(body.into()).unwrap()
}

fn lines(body: &str) -> Request<Body> {
    batch("application/x-ndjson", "", body.to_owned())
}

fn csv(query: &str, body: &[u8]) -> Request<Body> {
    batch("text/csv", query, body.to_vec())
}

fn keyed(mut request: Request<Body>, key: &str) -> Request<Body> {
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    request
}

/// Line, status and last part of the type of every result.
fn told(answered: &Answered) -> Vec<(u64, u64, String)> {
    let json = answered.json();
    let one = |result: &Value| {
        let kind = result["type"].as_str().map(|kind| kind.rsplit(':').next().unwrap().to_owned());
        assert_eq!(result["lead_id"].is_string(), kind.is_none(), "{result}");
        (result["line"].as_u64().unwrap(), result["status"].as_u64().unwrap(), kind.unwrap_or_default())
    };
    json["results"].as_array().map(|results| results.iter().map(one).collect()).unwrap_or_default()
}

fn is(line: u64, status: u64, kind: &str) -> (u64, u64, String) {
    (line, status, kind.to_owned())
}

async fn kept(server: &Server) -> u64 {
    let total = server.get("/v1/stats").await.json()["total"].clone();
    total.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

async fn fields_of(server: &Server, answered: &Answered, result: usize) -> Value {
    let id = answered.json()["results"][result]["lead_id"].as_str().unwrap().to_owned();
    server.get(&format!("/v1/leads/{id}")).await.json()["fields"].clone()
}

#[tokio::test]
async fn every_line_of_json_stands_alone() {
    let server = Server::start().await;
    let deep = format!("{}1{}", "{\"a\":".repeat(33), "}".repeat(33));
    let body = format!("{{\"n\":1}}\r\n\n[1]\n{{\"n\":\n{{\"n\":1,\"n\":2}}\n{deep}\n{{\"n\":1.10}}");
    let answered = server.send(lines(&body)).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let expected = [
        is(1, 202, ""),
        is(3, 422, "not-an-object"),
        is(4, 400, "malformed-json"),
        is(5, 422, "duplicate-field"),
        is(6, 422, "too-deep"),
        is(7, 202, ""),
    ];
    assert_eq!(told(&answered), expected);
    let json = answered.json();
    assert_eq!((&json["accepted"], &json["refused"]), (&json!(2), &json!(4)));
    server.settled(2).await;
    assert_eq!(kept(&server).await, 2);
}

#[tokio::test]
async fn csv_is_read_by_its_header() {
    let server = Server::start().await;
    let body = b"\xEF\xBB\xBFE-Mail;Note;Phone No\r\na@b.c;\"one\ntwo;\"\"x\"\"\";1\rc@d.e;;2\n\n;\n; ;\n1;2;3;4\n\"a\"b;2;3\n\xFF;2;3\nf@g.h;x;\"3";
    let answered = server.send(csv("?delimiter=;&map=E-Mail:email,Phone%20No:phone", body)).await;
    let expected = [
        is(2, 202, ""),
        is(4, 202, ""),
        is(6, 422, "columns-differ"),
        is(7, 400, "empty-body"),
        is(8, 422, "columns-differ"),
        is(9, 400, "malformed-csv"),
        is(10, 400, "not-utf8"),
        is(11, 400, "malformed-csv"),
    ];
    assert_eq!(told(&answered), expected, "{answered:?}");
    let first = json!({ "email": "a@b.c", "Note": "one\ntwo;\"x\"", "phone": "1" });
    assert_eq!(fields_of(&server, &answered, 0).await, first);
    let details: Vec<Value> =
        answered.json()["results"].as_array().unwrap().iter().map(|one| one["detail"].clone()).collect();
    assert_eq!(details[2], "the record has 2 columns, the header 3: column 3 (\"Phone No\") is missing");
    assert_eq!(details[4], "the record has 4 columns, the header 3: column 4 has no name");
    assert_eq!(details[7], "the quote of column 3 is not closed");
    let tabs = server.send(csv("?delimiter=tab&map=b:", b"a\tb\n1,1\t2\n")).await;
    assert_eq!(fields_of(&server, &tabs, 0).await, json!({ "a": "1,1" }));
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_at_all_keeps_nothing() {
    let server = Server::start().await;
    let table = [
        ("no type", Request::post(BATCH).body(Body::from("{}")).unwrap(), 415, "unsupported-media-type"),
        ("type", batch("application/json", "", "{}"), 415, "unsupported-media-type"),
        ("flow", Request::post("/v1/flows/nope/leads/batch").body(Body::empty()).unwrap(), 404, "unknown-flow"),
        ("column", csv("?map=x:y", b"a\n1\n"), 422, "bad-header"),
        ("twice", csv("", b"a,a\n1,2\n"), 422, "bad-header"),
        ("unnamed", csv("", b"a,\n1,2\n"), 422, "bad-header"),
        ("header's quote", csv("", b"\"a"), 400, "malformed-csv"),
        ("map", csv("?map=email", b"a\n1\n"), 400, "bad-parameter"),
        ("delimiter", csv("?delimiter=x", b"a\n1\n"), 400, "bad-parameter"),
        ("first line", csv("?first_line=0", b"a\n1\n"), 400, "bad-parameter"),
        ("parameter", csv("?wait=1s", b"a\n1\n"), 400, "unknown-parameter"),
    ];
    for (asked, request, status, slug) in table {
        let answered = server.send(request).await;
        assert_eq!(answered.status, status, "{asked}: {answered:?}");
        assert_eq!(answered.json()["type"], format!("urn:steadfast:problem:{slug}"), "{asked}");
        assert_eq!(told(&answered), [], "{asked}");
    }
    for nothing in [lines(""), lines("\n \n"), csv("", b""), csv("", b"a,b\n")] {
        let answered = server.send(nothing).await;
        assert_eq!((answered.status.as_u16(), &answered.json()["results"]), (200, &json!([])));
    }
    assert_eq!(kept(&server).await, 0);
}

#[tokio::test]
async fn what_was_taken_before_a_bound_is_told() {
    let limits =
        RequestLimits { batch_lines_max: 3, batch_bytes_max: 100, body_bytes_max: 20, ..RequestLimits::default() };
    let server = Server::with(ApiKeys::default(), limits, EngineLimits::default()).await;
    let long = format!("{{\"n\":1}}\n{{\"n\":\"{}\"}}\n{{\"n\":3}}\n", "x".repeat(20));
    let expected = [is(1, 202, ""), is(2, 413, "body-too-large"), is(3, 202, "")];
    assert_eq!(told(&server.send(lines(&long)).await), expected, "a line that is too long is refused alone");

    let many = server.send(lines("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n")).await;
    assert_eq!(
        (many.status.as_u16(), many.json()["type"].as_str().unwrap()),
        (413, "urn:steadfast:problem:body-too-large")
    );
    assert_eq!(told(&many), [is(1, 202, ""), is(2, 202, ""), is(3, 202, "")]);

    let pieces = [&b"{\"n\":1}\n"[..], &[b' '; 100], b"\n{\"n\":2}\n"]
        .map(|piece| Ok::<_, std::io::Error>(Bytes::from_static(piece)));
    let large = server.send(batch("application/jsonl", "", Body::from_stream(futures::stream::iter(pieces)))).await;
    assert_eq!((large.status.as_u16(), told(&large)), (413, vec![is(1, 202, "")]));
    assert_eq!(kept(&server).await, 6);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_stalls_tells_what_was_taken() {
    let limits = RequestLimits { body_timeout: Duration::from_millis(50), ..RequestLimits::default() };
    let server = Server::with(ApiKeys::default(), limits, EngineLimits::default()).await;
    let line = Ok(Bytes::from_static(b"{\"n\":1}\n{\"n\":"));
    let broken = futures::stream::iter([line, Err(std::io::Error::other("gone"))]);
    let answered = server.send(batch("application/x-ndjson", "", Body::from_stream(broken))).await;
    assert_eq!((answered.status.as_u16(), told(&answered)), (400, vec![is(1, 202, "")]));
    use futures::StreamExt as _;
    let line = Ok::<_, std::io::Error>(Bytes::from_static(b"{\"n\":2}\n"));
    let stalled = futures::stream::iter([line]).chain(futures::stream::once(async {
        // Longer than the server waits for a piece, and than it goes on reading afterwards.
        tokio::time::sleep(Duration::from_millis(200)).await;
        Err(std::io::Error::other("gone"))
    }));
    let answered = server.send(batch("application/x-ndjson", "", Body::from_stream(stalled))).await;
    assert_eq!((answered.status.as_u16(), told(&answered)), (408, vec![is(1, 202, "")]));
}

#[tokio::test]
async fn the_same_line_under_the_same_key_makes_one_lead() {
    let server = Server::start().await;
    let first = server.send(keyed(lines("{\"n\":1}\n{\"n\":2}\n"), "file-1")).await.json();
    let again = server.send(keyed(lines("{\"n\":1}\n{\"n\":9}\n{\"n\":3}\n"), "file-1")).await;
    assert_eq!(told(&again), [is(1, 202, ""), is(2, 422, "idempotency-key-reused"), is(3, 202, "")]);
    assert_eq!(again.json()["results"][0]["lead_id"], first["results"][0]["lead_id"]);
    assert_eq!(again.json()["results"][0]["replayed"], true);
    // A part of a file counts on from its place.
    let part = server.send(keyed(batch("application/jsonl", "?first_line=2", "{\"n\":2}\n"), "file-1")).await.json();
    assert_eq!(
        (&part["results"][0]["line"], &part["results"][0]["lead_id"]),
        (&json!(2), &first["results"][1]["lead_id"])
    );
    let single = keyed(super::harness::post("/v1/flows/auto/leads", "{\"n\":7}"), "file-1");
    assert_eq!(server.send(single).await.status, 202, "a single lead's key is another one");
}

#[tokio::test]
async fn lines_the_store_does_not_take_are_told_and_test_leads_marked() {
    let server = Server::start().await;
    server.store.fail_next_write(StoreError::Busy);
    let answered = server.send(batch("application/x-ndjson", "?test=true", "{\"n\":1}\n{\"n\":2}\n")).await;
    assert_eq!(told(&answered), [is(1, 429, "busy"), is(2, 202, "")]);
    let id = answered.json()["results"][1]["lead_id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/v1/leads/{id}")).await.json()["test"], true);
}

#[tokio::test]
async fn lines_are_answered_as_lines_to_those_who_prefer_it() {
    let server = Server::start().await;
    for accept in ["application/x-ndjson", "application/jsonl"] {
        let mut request = lines("{\"n\":1}\nx\n");
        request.headers_mut().insert("accept", accept.parse().unwrap());
        let answered = server.send(request).await;
        assert_eq!((answered.status.as_u16(), answered.media_type()), (200, accept));
        let text = String::from_utf8(answered.bytes.to_vec()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[0]["status"], &lines[1]["line"]), (2, &json!(202), &json!(2)));
    }
}

/// More lines than are taken at once come back in order, each with its own lead.
#[tokio::test]
async fn a_thousand_lines() {
    let server = Server::start().await;
    let body: String = (1..=1_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let answered = server.send(lines(&body)).await;
    assert_eq!(told(&answered), (1..=1_000).map(|line| is(line, 202, "")).collect::<Vec<_>>());
    for place in [0, 63, 64, 999] {
        assert_eq!(fields_of(&server, &answered, place).await, json!({ "n": place + 1 }));
    }
}
