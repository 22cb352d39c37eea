//! The journal, by the page and as a stream.

use super::harness::Server;
use crate::auth::ApiKeys;
use crate::state::RequestLimits;
use axum::body::{Body, BodyDataStream};
use futures::StreamExt as _;
use http::{Request, StatusCode};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use std::sync::Arc;
use steadfast_engine::EngineLimits;
use steadfast_lead::Timestamp;
use steadfast_store::{Expiry, Retention as _};

async fn open(server: &Server, path: &str, last: Option<&str>) -> axum::response::Response {
    let mut request = Request::get(path).header("accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let service = TowerToHyperService::new(server.router.clone());
    hyper::service::Service::call(&service, request.body(Body::empty()).unwrap()).await.unwrap()
}

/// Reads until a line with this data field came; answers with ids and types so far.
async fn read_until(stream: &mut BodyDataStream, wanted: &str) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    while !events.iter().any(|(_, data): &(String, Value)| data["type"] == wanted) {
        let piece = stream.next().await.unwrap().unwrap();
        for block in std::str::from_utf8(&piece).unwrap().split("\n\n") {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                let data: Value = serde_json::from_str(data).unwrap();
                assert_eq!(field("event: ").unwrap(), data["type"]);
                assert_eq!(data["cursor"], id);
                events.push((id.to_owned(), data));
            }
        }
    }
    events
}

#[tokio::test]
async fn pages_follow_each_other() {
    let server = Server::start().await;
    server.lead("auto").await;
    server.settled(1).await;
    let all = server.get("/v1/events").await.json();
    let kinds: Vec<&Value> = all["items"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["lead_accepted", "attempt_settled"]);
    let first = server.get("/v1/events?limit=1").await.json();
    let rest = server.get(&format!("/v1/events?after={}", first["next"].as_str().unwrap())).await.json();
    assert_eq!(rest["items"][0], all["items"][1]);
    let end = server.get(&format!("/v1/events?after={}", all["next"].as_str().unwrap())).await.json();
    assert_eq!((end["items"].as_array().unwrap().len(), &end["next"]), (0, &all["next"]));
}

#[tokio::test]
async fn a_stream_follows_and_resumes() {
    let server = Server::start().await;
    server.lead("auto").await;
    server.settled(1).await;
    let response = open(&server, "/v1/events", None).await;
    assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    assert!(stream.next().await.unwrap().unwrap().starts_with(b"retry:"));
    let (lead, _) = server.lead("auto").await;
    let new = read_until(&mut stream, "attempt_settled").await;
    assert_eq!(new[0].1["type"], "lead_accepted", "what happened before is not told again");
    assert_eq!(new[0].1["lead_id"], lead);
    let mut again = open(&server, "/v1/events?after=0", Some(&new[0].0)).await.into_body().into_data_stream();
    assert_eq!(read_until(&mut again, "attempt_settled").await, new[1..], "the header wins over the parameter");
    let mut all = open(&server, "/v1/events?after=0", None).await.into_body().into_data_stream();
    assert_eq!(read_until(&mut all, "attempt_settled").await.len(), 4, "from the beginning, in one page");
}

#[tokio::test]
async fn streams_are_bounded_and_given_back() {
    let limits = RequestLimits { streams_max: 1, ..RequestLimits::default() };
    let server = Server::with(ApiKeys::default(), limits, EngineLimits::default()).await;
    let held = open(&server, "/v1/events", None).await;
    assert_eq!(held.status(), 200);
    let refused = open(&server, "/v1/events", None).await;
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
    drop(held);
    assert_eq!(open(&server, "/v1/events", None).await.status(), 200);
    assert_eq!(open(&server, "/v1/events", Some("x")).await.status(), 400);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_says_that_it_lives() {
    let server = Server::start().await;
    let mut stream = open(&server, "/v1/events", None).await.into_body().into_data_stream();
    stream.next().await.unwrap().unwrap();
    assert!(stream.next().await.unwrap().unwrap().starts_with(b":"));
}

#[tokio::test]
async fn a_reader_that_missed_deleted_lines_is_told() {
    let server = Server::start().await;
    for _ in 0..3 {
        server.lead("auto").await;
    }
    server.settled(3).await;
    let all = server.get("/v1/events").await.json();
    let cursor = |line: usize| all["items"][line]["cursor"].as_str().unwrap().to_owned();
    let expiry = Expiry { journal: Some(Timestamp::MAX), ..Expiry::default() };
    server.store.prune_rest(Arc::new(expiry)).await.unwrap();
    let refused = server.get(&format!("/v1/events?after={}", cursor(1))).await;
    assert_eq!(refused.status, StatusCode::GONE);
    assert!(refused.json()["type"].as_str().unwrap().ends_with("events-pruned"));
    assert_eq!(open(&server, "/v1/events", Some(&cursor(0))).await.status(), StatusCode::GONE);
    // Who has everything up to there, or begins anew, reads on.
    let last = all["items"].as_array().unwrap().len() - 1;
    for path in [format!("/v1/events?after={}", cursor(last - 1)), "/v1/events".to_owned()] {
        let page = server.get(&path).await.json();
        assert_eq!(page["items"].as_array().unwrap().len(), 1, "{path}");
        assert_eq!(page["items"][0]["cursor"], cursor(last));
    }
}
