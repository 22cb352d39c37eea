//! Sources' own door, field by field as a source written for LeadConduit meets it.

use super::harness::{Act, Answered, Server, start};
use crate::auth::{ApiKey, ApiKeys, Scope};
use crate::state::RequestLimits;
use axum::body::Body;
use http::{Method, Request};
use sha2::{Digest, Sha256};
use std::time::Duration;
use steadfast_engine::{Clock as _, EngineLimits};
use steadfast_lead::AccountName;
use steadfast_retry::State;

const FORM: &str = "application/x-www-form-urlencoded";
const XML: &str = "<lead><first_name>Joe</first_name><contact><phone>5125551234</phone></contact></lead>";

fn to(source: &str) -> String {
    format!("/flows/auto/sources/{source}/submit")
}

fn request(path: &str, media: &str, accept: &str, body: &str) -> Request<Body> {
    let request = Request::post(path).header("content-type", media).header("accept", accept);
    request.body(Body::from(body.to_owned())).unwrap()
}

fn form(path: &str, body: &str) -> Request<Body> {
    request(path, FORM, "application/json", body)
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

fn lead_of(answered: &Answered) -> String {
    answered.json()["lead"]["id"].as_str().unwrap_or_else(|| panic!("{answered:?}")).to_owned()
}

fn text(answered: &Answered) -> String {
    String::from_utf8(answered.bytes.to_vec()).unwrap()
}

async fn fields_of(server: &Server, lead: &str) -> String {
    let page = text(&server.get(&format!("/v1/leads/{lead}")).await);
    let begin = page.find("\"fields\":").unwrap() + 9;
    page[begin..page.find(",\"deliveries\"").unwrap()].to_owned()
}

#[tokio::test]
async fn form_json_xml_and_query_make_the_same_lead() {
    let server = Server::start().await;
    let expected = r#"{"first_name":"Joe","contact":{"phone":"5125551234"}}"#;
    let pairs = "first_name=Joe&contact.phone=5125551234";
    let asked = [
        form(&to("web"), pairs),
        request(&to("web"), "application/json", "*/*", expected),
        request(&to("web"), "application/xml", "application/json", XML),
        request(&to("web"), "text/xml; charset=UTF-8", "application/json", XML),
        Request::get(format!("{}?{pairs}", to("web"))).body(Body::from("never read")).unwrap(),
        form(&format!("{}?contact.phone=5125551234", to("web")), "first_name=Joe&contact.phone=1"),
    ];
    for request in asked {
        let asked = format!("{request:?}");
        let answered = server.send(request).await;
        assert_eq!(answered.status, 201, "{asked}: {answered:?}");
        let lead = lead_of(&answered);
        assert_eq!(text(&answered), format!(r#"{{"outcome":"success","lead":{{"id":"{lead}"}},"price":0}}"#));
        assert_eq!(answered.media_type(), "application/json");
        assert_eq!(fields_of(&server, &lead).await, expected, "{asked}");
        assert_eq!(server.get(&format!("/v1/leads/{lead}")).await.json()["source"], "web");
    }
}

#[tokio::test]
async fn xml_is_answered_to_those_who_prefer_it() {
    let server = Server::start().await;
    for accept in ["text/xml", "application/xml"] {
        let answered = server.send(request(&to("web"), FORM, accept, "a=1")).await;
        assert_eq!((answered.status.as_u16(), answered.media_type()), (201, accept));
        let said = text(&answered);
        let id = said.split("<id>").nth(1).and_then(|rest| rest.split("</id>").next()).unwrap();
        let expected = format!(
            "<?xml version=\"1.0\"?>\n<result>\n  <outcome>success</outcome>\n  <reason/>\n  <lead>\n    <id>{id}</id>\n  \
             </lead>\n  <price>0</price>\n</result>"
        );
        assert_eq!(said, expected);
        let refused = server.send(request(&to("web"), FORM, accept, "a=%zz")).await;
        assert_eq!((refused.status.as_u16(), refused.media_type()), (400, accept));
        assert!(text(&refused).contains("<outcome>error</outcome>\n  <reason>the % at byte 2"), "{refused:?}");
    }
}

#[tokio::test]
async fn the_browser_is_sent_on() {
    let server = Server::start().await;
    let path = format!("{}?redir_url=https%3A%2F%2Fweb.example%2Fthanks%3Fx%3D1", to("web"));
    let answered = server.send(form(&path, "a=1")).await;
    assert_eq!(answered.status, 303);
    assert_eq!(answered.headers.get("location").unwrap(), "https://web.example/thanks?x=1");
    assert_eq!(fields_of(&server, &lead_of(&answered)).await, r#"{"a":"1"}"#);
}

#[tokio::test]
async fn refusals_have_the_status_a_source_expects_and_keep_nothing() {
    let server = Server::start().await;
    let path = to("web");
    let other =
        |method: Method| Request::builder().method(method).uri(format!("{path}?a=1")).body(Body::empty()).unwrap();
    let doctype = "<!DOCTYPE l [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><l><x>&a;</x></l>";
    let table = [
        ("no such source", form(&to("nope"), "a=1"), 404, "unknown-source"),
        ("no such flow", form("/flows/nope/sources/web/submit", "a=1"), 404, "unknown-source"),
        ("of another flow", form("/flows/pair/sources/web/submit", "a=1"), 404, "unknown-source"),
        ("accept", request(&path, FORM, "text/html", "a=1"), 406, "not-acceptable"),
        ("accept at a ping", request("/flows/auto/sources/web/ping", FORM, "text/html", "a=1"), 406, "not-acceptable"),
        ("no type", Request::post(&path).body(Body::from("a=1")).unwrap(), 415, "unsupported-media-type"),
        ("type", request(&path, "Monkies", "*/*", "a=1"), 406, "foreign-media-type"),
        ("charset", request(&path, "text/xml; charset=latin1", "*/*", XML), 415, "unsupported-media-type"),
        ("JSON", request(&path, "application/json", "*/*", "{\"a\":Kvothe"), 400, "malformed-json"),
        ("XML", request(&path, "text/xml", "*/*", "<l><a>Kvothe</l>"), 400, "malformed-xml"),
        ("document type", request(&path, "text/xml", "*/*", doctype), 400, "malformed-xml"),
        ("form", form(&path, "utility=SCE&utility.company=SCE"), 400, "malformed-form"),
        ("query", form(&format!("{path}?%"), "a=1"), 400, "bad-parameter"),
        ("redirect", form(&format!("{path}?redir_url=scooby.doo"), "a=1"), 400, "bad-parameter"),
        ("nothing", form(&path, ""), 400, "empty-body"),
        ("no field", form(&path, "xxTest=true"), 400, "empty-body"),
        ("too large", form(&path, &"a".repeat((1 << 20) + 1)), 413, "body-too-large"),
        ("deep", form(&path, &format!("a{}=1", ".b".repeat(32))), 422, "too-deep"),
        ("many", form(&path, &vec!["a=1"; 5_001].join("&")), 422, "too-many-values"),
        ("key", with(form(&path, "a=1"), "idempotency-key", "\"x"), 400, "bad-idempotency-key"),
    ];
    for (asked, request, status, slug) in table {
        let answered = server.send(request).await;
        assert_eq!(answered.status, status, "{asked}: {answered:?}");
        let json = answered.json();
        assert_eq!(json["type"], format!("urn:steadfast:problem:{slug}"), "{asked}");
        assert_eq!((&json["outcome"], &json["reason"]), (&"error".into(), &json["detail"]), "{asked}");
        assert!(!json.to_string().contains("Kvothe"), "{asked}: {json}");
    }
    // An answer to HEAD has no body that could be held against the document.
    let service = hyper_util::service::TowerToHyperService::new(server.router.clone());
    let answered = hyper::service::Service::call(&service, other(Method::HEAD)).await.unwrap();
    assert_eq!(
        (answered.status().as_u16(), answered.headers().get("allow").unwrap().as_bytes()),
        (405, &b"GET, POST"[..])
    );
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let answered = server.send(other(method.clone())).await;
        assert_eq!(answered.status, 405, "{method}");
        assert_eq!(answered.headers.get("allow").unwrap(), "GET, POST", "{method}");
        assert_eq!((&answered.json()["outcome"], answered.json()["reason"].is_string()), (&"error".into(), true));
    }
    assert_eq!(server.get("/v1/stats").await.json()["rows"], serde_json::json!([]), "nothing was kept");
}

#[tokio::test]
async fn a_ping_hears_a_bid_or_none_and_leaves_nothing() {
    let server = Server::start().await;
    let ping = |source: &str| format!("/flows/auto/sources/{source}/ping");
    let none = r#"{"outcome":"failure","reason":"no bid","price":0}"#;
    let some = r#"{"outcome":"success","price":3.25}"#;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    for (asked, request, expected) in [
        ("without a bid", form(&ping("web"), "zip=12345"), none),
        ("a form", form(&ping("bidding"), "zip=12345"), some),
        ("JSON", request(&ping("bidding"), "application/json", "*/*", r#"{"zip":"12345"}"#), some),
        ("XML", request(&ping("bidding"), "text/xml", "application/json", "<lead><zip>1</zip></lead>"), some),
        ("a query", get(&format!("{}?zip=12345", ping("bidding"))), some),
        ("a habit", request(&ping("bidding"), FORM, FORM, "zip=12345"), some),
    ] {
        let answered = server.send(request).await;
        assert_eq!((answered.status.as_u16(), text(&answered).as_str()), (200, expected), "{asked}");
    }
    let xml = server.send(request(&ping("bidding"), FORM, "text/xml", "zip=1")).await;
    let expected = "<?xml version=\"1.0\"?>\n<result>\n  <outcome>success</outcome>\n  <reason/>\n  <price>3.25</price>\n</result>";
    assert_eq!((xml.media_type(), text(&xml).as_str()), ("text/xml", expected));
    for (asked, request, status) in [
        ("no such source", form(&ping("nope"), "a=1"), 404),
        ("no key", form(&ping("keyed"), "a=1"), 401),
        ("type", request(&ping("web"), "Monkies", "*/*", "a=1"), 406),
        ("body", request(&ping("web"), "application/json", "*/*", "{"), 400),
    ] {
        let answered = server.send(request).await;
        assert_eq!((answered.status.as_u16(), &answered.json()["outcome"]), (status, &"error".into()), "{asked}");
    }
    // What is stopped buys nothing now.
    let stop = server.send(super::harness::post("/v1/flows/auto/sources/bidding/pause", r#"{"reason":"full"}"#)).await;
    assert_eq!(stop.status, 200, "{stop:?}");
    assert_eq!(text(&server.send(form(&ping("bidding"), "zip=12345")).await), none);
    assert_eq!(server.get("/v1/stats").await.json()["rows"], serde_json::json!([]), "nothing was kept");
}

#[tokio::test]
async fn who_accepts_a_form_is_answered_in_json() {
    let server = Server::start().await;
    let answered = server.send(request(&to("web"), FORM, FORM, "a=1")).await;
    assert_eq!((answered.status.as_u16(), answered.media_type()), (201, "application/json"));
}

#[tokio::test]
async fn a_source_can_wait_for_the_outcome() {
    let server = Server::start().await;
    let sold = server.send(form(&to("outcome"), "a=1")).await.json();
    assert_eq!((&sold["outcome"], &sold["price"]), (&"success".into(), &2.5.into()));

    // A final error is for a person to look at: the lead is kept, the source is told.
    server.recipient.will(Act::Answers(404));
    let failed = server.send(form(&to("outcome"), "a=2")).await.json();
    assert_eq!(
        (&failed["outcome"], &failed["reason"], &failed["price"]),
        (&"error".into(), &"HTTP 404".into(), &0.into())
    );
}

#[tokio::test]
async fn what_is_not_known_in_time_is_the_sources_setting() {
    let server = Server::start().await;
    let gate = server.recipient.gated();
    let (store, clock) = (&server.store, &server.clock);
    let waiting = server.send(form(&to("outcome"), "a=1"));
    let pass = async {
        // Whenever the waiting begins, the clock goes past its end.
        loop {
            tokio::task::yield_now().await;
            clock.set(clock.now().after(Duration::from_secs(1)));
        }
    };
    let told = tokio::select! {
        told = waiting => told,
        () = pass => unreachable!("it never ends"),
    };
    assert_eq!(told.status, 201);
    let json = told.json();
    assert_eq!((&json["outcome"], &json["reason"]), (&"error".into(), &"still trying".into()));
    // The lead goes on all the same.
    gate.send(200).unwrap();
    server.settled(1).await;
    let lead = lead_of(&told).parse().unwrap();
    let (_, deliveries) = steadfast_store::Deliveries::lead(&**store, lead).await.unwrap().unwrap();
    assert!(matches!(deliveries[0].state, State::Delivered { .. }));
}

#[tokio::test]
async fn a_repeated_request_is_answered_with_the_first_ones_outcome() {
    let server = Server::start().await;
    let first = server.send(form(&to("once"), "email=Ann@Example.com&n=1")).await;
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let again =
        server.send(request(&to("once"), "application/json", "*/*", r#"{"email":" ann@example.com","n":2}"#)).await;
    assert_eq!(again.status, 201);
    assert_eq!(again.headers.get("idempotent-replayed").unwrap(), "true");
    assert_eq!(again.json(), first.json());
    // Another person, another source, and no address at all are other requests.
    for (source, body) in
        [("once", "email=bob@example.com"), ("web", "email=ann@example.com"), ("once", "n=1"), ("once", "n=1")]
    {
        let other = server.send(form(&to(source), body)).await;
        assert!(!other.headers.contains_key("idempotent-replayed"), "{source} {body}");
    }
    // The window runs from the first one.
    server.pass(Duration::from_secs(59)).await;
    assert_eq!(lead_of(&server.send(form(&to("once"), "email=ann@example.com")).await), lead_of(&first));
    server.pass(Duration::from_secs(2)).await;
    let later = server.send(form(&to("once"), "email=ann@example.com")).await;
    assert_ne!(lead_of(&later), lead_of(&first));
    assert_eq!(server.clock.now(), start().after(Duration::from_secs(61)));
}

#[tokio::test]
async fn an_idempotency_key_is_a_sources_own() {
    let server = Server::start().await;
    let keyed = |source: &str, body: &str| with(form(&to(source), body), "idempotency-key", "order-1");
    let first = server.send(keyed("web", "a=1")).await;
    let again = server.send(keyed("web", "a=1")).await;
    assert_eq!(
        (again.headers.get("idempotent-replayed").unwrap(), lead_of(&again)),
        (&"true".parse().unwrap(), lead_of(&first))
    );
    assert_eq!(server.send(keyed("web", "a=2")).await.json()["type"], "urn:steadfast:problem:idempotency-key-reused");
    let other = server.send(keyed("open", "a=2")).await;
    assert_ne!(lead_of(&other), lead_of(&first), "another source's key is another key");
    let api = with(super::harness::post("/v1/flows/auto/leads", "{\"a\":3}"), "idempotency-key", "order-1");
    assert_eq!(server.send(api).await.status, 202, "and so is one given to the API");
}

#[tokio::test]
async fn test_leads_are_marked() {
    let server = Server::start().await;
    for (source, path, body, test) in [
        ("tests", "", "a=1", true),
        ("web", "", "a=1&xxTest=true", true),
        ("web", "?XXTEST=1", "a=1", true),
        ("web", "", "a=1&xxTest=false", false),
        ("web", "", "a=1&test=true", false),
    ] {
        let answered = server.send(form(&format!("{}{path}", to(source)), body)).await;
        let page = server.get(&format!("/v1/leads/{}", lead_of(&answered))).await.json();
        assert_eq!(page["test"], test, "{source} {path} {body}");
        assert!(page["fields"].get("xxTest").is_none());
    }
    let headed = server.send(with(form(&to("web"), "a=1"), "steadfast-test", "true")).await;
    assert_eq!(server.get(&format!("/v1/leads/{}", lead_of(&headed))).await.json()["test"], true);
}

fn server_key(name: &str, scopes: &[Scope], account: Option<&str>) -> ApiKey {
    ApiKey {
        name: name.into(),
        hash: Sha256::digest(format!("sf_{name}")).into(),
        scopes: scopes.to_vec(),
        account: account.map(|account| AccountName::new(account).unwrap()),
    }
}

#[tokio::test]
async fn keys_of_sources_and_of_the_server() {
    let keys = ApiKeys::new(vec![
        server_key("in", &[Scope::Ingest], None),
        server_key("look", &[Scope::Read], None),
        server_key("acme", &[Scope::Ingest], Some("acme")),
        server_key("other", &[Scope::Ingest], Some("other")),
    ]);
    let server = Server::with(keys, RequestLimits::default(), EngineLimits::default()).await;
    let bearing = |source: &str, key: &str| with(form(&to(source), "a=1"), "authorization", &format!("Bearer {key}"));
    let table = [
        ("nobody", form(&to("web"), "a=1"), 401),
        ("nobody, open", form(&to("open"), "a=1"), 201),
        ("the server's", bearing("web", "sf_in"), 201),
        ("the account's", bearing("web", "sf_acme"), 201),
        ("another account's", bearing("web", "sf_other"), 403),
        ("may only read", bearing("web", "sf_look"), 403),
        ("unknown", bearing("web", "sf_x"), 401),
        ("the source's", bearing("keyed", "sf_partner"), 201),
        ("the server's at a keyed one", bearing("keyed", "sf_in"), 201),
        ("another source's", bearing("web", "sf_partner"), 401),
        ("basic", with(form(&to("keyed"), "a=1"), "authorization", "Basic QVBJOnNmX3BhcnRuZXI="), 201),
        ("header", with(form(&to("keyed"), "a=1"), "x-api-key", "sf_partner"), 201),
        ("field", form(&to("keyed"), "a=1&partner_key=sf_partner"), 201),
        ("parameter", form(&format!("{}?partner_key=sf_partner", to("keyed")), "a=1"), 201),
        ("wrong field", form(&to("keyed"), "a=1&partner_key=sf_x"), 401),
        ("field of another name", form(&to("keyed"), "a=1&key=sf_partner"), 401),
    ];
    for (asked, request, status) in table {
        let answered = server.send(request).await;
        assert_eq!(answered.status, status, "{asked}: {answered:?}");
        assert_eq!(answered.headers.contains_key("www-authenticate"), status == 401, "{asked}");
        assert!(!text(&answered).contains("sf_partner"), "{asked}");
    }
    // Where the server has no keys, a source's own key is still needed.
    let server = Server::start().await;
    assert_eq!(server.send(form(&to("keyed"), "a=1")).await.status, 401);
    let posted = server.send(form(&to("keyed"), "a=1&partner_key=sf_partner")).await;
    assert_eq!(fields_of(&server, &lead_of(&posted)).await, r#"{"a":"1"}"#, "the key is not kept");
}
