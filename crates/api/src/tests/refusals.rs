//! Every refusal, in a table: what is asked, what comes back.

use super::harness::{Answered, Server, post};
use crate::auth::{ApiKey, ApiKeys, Scope};
use crate::state::RequestLimits;
use axum::body::Body;
use http::Request;
use sha2::{Digest, Sha256};
use steadfast_engine::EngineLimits;
use steadfast_lead::AccountName;
use steadfast_store::StoreError;

const LEADS: &str = "/v1/flows/auto/leads";
/// Stands for what a lead holds: never to be repeated.
const PRIVATE: &str = "Kvothe";

fn assert_refused(asked: &str, answered: &Answered, status: u16, slug: &str, detail: &str) {
    assert_eq!(answered.status.as_u16(), status, "{asked}: {answered:?}");
    assert_eq!(answered.media_type(), "application/problem+json", "{asked}");
    let json = answered.json();
    assert_eq!(json["type"], format!("urn:steadfast:problem:{slug}"), "{asked}: {json}");
    assert_eq!(json["status"], status, "{asked}");
    let said = json.to_string();
    assert!(said.contains(detail), "{asked}: {detail:?} not in {said}");
    assert!(!said.contains(PRIVATE), "{asked}: a lead's data in {said}");
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

fn form(body: &[u8]) -> Request<Body> {
    Request::post(LEADS)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body.to_vec()))
        .unwrap()
}

fn raw(body: &[u8]) -> Request<Body> {
    Request::post(LEADS).header("content-type", "application/json").body(Body::from(body.to_vec())).unwrap()
}

#[tokio::test]
async fn leads_that_cannot_be_read() {
    let server = Server::start().await;
    let deep = format!("{}\"{PRIVATE}\"{}", "{\"outer\":".repeat(33), "}".repeat(33));
    let many = format!("{{\"list\":[{}]}}", vec!["1"; 5_001].join(","));
    let many_fields = vec!["a=1"; 5_001].join("&");
    let long_name = format!("{{\"{}\":\"{PRIVATE}\"}}", "n".repeat(300));
    let table = [
        ("unknown flow", post("/v1/flows/nope/leads", "{}"), 404, "unknown-flow", "no flow named nope"),
        ("no name", post("/v1/flows/-x/leads", "{}"), 400, "bad-parameter", "beginning with a letter"),
        ("path not UTF-8", post("/v1/flows/%ff/leads", "{}"), 400, "bad-parameter", "not UTF-8"),
        ("no steps", post("/v1/flows/empty/leads", "{\"a\":1}"), 409, "flow-has-no-steps", "flow empty has no steps"),
        ("empty", raw(b""), 400, "empty-body", "no lead"),
        ("blank", raw(b" \r\n"), 400, "empty-body", "no lead"),
        ("not JSON", raw(format!("{{\"name\": {PRIVATE}}}").as_bytes()), 400, "malformed-json", "line 1 column"),
        ("cut off", raw(format!("{{\"name\":\"{PRIVATE}").as_bytes()), 400, "malformed-json", "ends too early"),
        ("not UTF-8", raw(b"{\"a\":\"\xff\"}"), 400, "not-utf8", "first bad byte at 6"),
        ("a list", raw(format!("[\"{PRIVATE}\"]").as_bytes()), 422, "not-an-object", "this is a list"),
        ("too deep", raw(deep.as_bytes()), 422, "too-deep", "32 levels"),
        ("too many values", raw(many.as_bytes()), 422, "too-many-values", "5000"),
        (
            "a field twice",
            raw(format!("{{\"a\":\"{PRIVATE}\",\"a\":2}}").as_bytes()),
            422,
            "duplicate-field",
            "\\\"a\\\" stands twice",
        ),
        ("long name", raw(long_name.as_bytes()), 422, "bad-field-name", "300 found"),
        ("half a percent", form(b"a=1&name=Kvothe%4"), 400, "malformed-form", "byte 15"),
        ("form not UTF-8", form(b"a=1&name=Kvothe%ff"), 400, "malformed-form", "pair number 2"),
        ("field without name", form(b"=Kvothe"), 422, "bad-field-name", "0 found"),
        ("many fields", form(many_fields.as_bytes()), 422, "too-many-values", "5000"),
    ];
    for (asked, request, status, slug, detail) in table {
        assert_refused(asked, &server.send(request).await, status, slug, detail);
    }
    let counts = server.get("/v1/stats").await.json();
    assert_eq!(counts["rows"], serde_json::json!([]), "nothing was kept");
}

#[tokio::test]
async fn requests_to_post_that_are_not_allowed() {
    let server = Server::start().await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    let none = || Request::post(LEADS).body(Body::from("{}")).unwrap();
    let table = [
        ("too large", raw(large.as_bytes()), 413, "body-too-large", "1048576"),
        ("too large by its length", with(raw(b"{}"), "content-length", "1048577"), 413, "body-too-large", "1048576"),
        ("no media type", none(), 415, "unsupported-media-type", "application/x-www-form-urlencoded"),
        ("XML", with(raw(b"<a/>"), "content-type", "text/xml"), 415, "unsupported-media-type", "text/xml"),
        (
            "latin1",
            with(raw(b"{}"), "content-type", "application/json; charset=latin1"),
            415,
            "unsupported-media-type",
            "latin1",
        ),
        ("gzip", with(raw(b"{}"), "content-encoding", "gzip"), 415, "unsupported-media-type", "gzip"),
        (
            "key too long",
            with(raw(b"{}"), "idempotency-key", &"k".repeat(256)),
            400,
            "bad-idempotency-key",
            "256 characters",
        ),
        ("key unquoted", with(raw(b"{}"), "idempotency-key", "\"abc"), 400, "bad-idempotency-key", "quotes"),
        ("wait too long", post(&format!("{LEADS}?wait=61s"), "{}"), 400, "bad-parameter", "at most 60s"),
        ("wait nonsense", post(&format!("{LEADS}?wait=soon"), "{}"), 400, "bad-parameter", "wait = \\\"soon\\\""),
        ("test nonsense", post(&format!("{LEADS}?test=maybe"), "{}"), 400, "bad-parameter", "true or false"),
        ("test header nonsense", with(raw(b"{}"), "steadfast-test", "1"), 400, "bad-parameter", "Steadfast-Test"),
        (
            "unknown parameter",
            post(&format!("{LEADS}?wiat=1s"), "{}"),
            400,
            "unknown-parameter",
            "known are wait, test",
        ),
        (
            "parameter twice",
            post(&format!("{LEADS}?test=true&test=true"), "{}"),
            400,
            "bad-parameter",
            "more than once",
        ),
        (
            "query not readable",
            post(&format!("{LEADS}?test=%zz"), "{}"),
            400,
            "bad-parameter",
            "two hexadecimal digits",
        ),
        ("not acceptable", with(raw(b"{}"), "accept", "application/xml"), 406, "not-acceptable", "application/json"),
        ("large headers", with(raw(b"{}"), "x-large", &"x".repeat(17_000)), 431, "headers-too-large", "16384"),
    ];
    for (asked, request, status, slug, detail) in table {
        assert_refused(asked, &server.send(request).await, status, slug, detail);
    }
    let counts = server.get("/v1/stats").await.json();
    assert_eq!(counts["rows"], serde_json::json!([]), "nothing was kept");
}

#[tokio::test]
async fn everything_else() {
    let server = Server::start().await;
    let dismiss = |id: &str, body: &str| post(&format!("/v1/deliveries/{id}/dismiss"), body);
    let id = "dl_0000000000001";
    let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(501));
    let table = [
        ("unknown path", get("/v2/leads"), 404, "unknown-path", "/v2/leads"),
        ("trailing slash", get("/v1/deliveries/"), 404, "unknown-path", "openapi.json"),
        ("method", Request::delete("/v1/deliveries").body(Body::empty()).unwrap(), 405, "method-not-allowed", "DELETE"),
        ("method of intake", get(LEADS), 405, "method-not-allowed", "GET"),
        ("no lead id", get("/v1/leads/7"), 400, "bad-parameter", "id = \\\"7\\\""),
        ("a delivery's id", get("/v1/leads/dl_0000000000001"), 400, "bad-parameter", "ld_"),
        ("unknown lead", get("/v1/leads/ld_0000000000001"), 404, "unknown-lead", "ld_0000000000001"),
        ("unknown delivery", get(&format!("/v1/deliveries/{id}")), 404, "unknown-delivery", id),
        ("state", get("/v1/deliveries?state=done"), 400, "bad-parameter", "in_review"),
        ("recipient", get("/v1/deliveries?recipient=a%20b"), 400, "bad-parameter", "recipient"),
        ("kind", get("/v1/deliveries?kind=timeout"), 400, "bad-parameter", "timeout_read"),
        ("since", get("/v1/deliveries?since=yesterday"), 400, "bad-parameter", "2026-11-24T10:00:00Z"),
        ("q", get("/v1/deliveries?q=ann"), 400, "bad-parameter", "ld_..."),
        ("after", get("/v1/deliveries?after=5"), 400, "bad-parameter", "`next`"),
        ("limit", get("/v1/deliveries?limit=201"), 400, "bad-parameter", "1 to 200"),
        ("cause", get("/v1/review?cause=bad"), 400, "bad-parameter", "limit_lowered"),
        ("unknown parameter", get("/v1/deliveries?page=2"), 400, "unknown-parameter", "known are state, recipient"),
        ("none known", get("/v1/recipients?x=1"), 400, "unknown-parameter", "known are none"),
        ("flow missing", get("/v1/explain?step=sell"), 400, "bad-parameter", "flow is missing"),
        ("unknown flow", get("/v1/explain?flow=x&step=sell"), 404, "unknown-flow", "\\\"x\\\""),
        ("unknown step", get("/v1/explain?flow=auto&step=x"), 404, "unknown-step", "known are sell"),
        ("cursor", get("/v1/events?after=-1"), 400, "bad-parameter", "cursor"),
        ("no config", get("/v1/config"), 404, "no-config", "stored"),
        ("metrics as JSON", with(get("/metrics"), "accept", "application/json"), 406, "not-acceptable", "openmetrics"),
        ("reason missing", dismiss(id, "{}"), 422, "bad-request", "reason is missing"),
        ("reason blank", dismiss(id, "{\"reason\":\" \"}"), 422, "bad-request", "reason is missing"),
        ("reason long", dismiss(id, &long), 422, "bad-request", "500 characters"),
        ("reason's type", dismiss(id, "{\"reason\":5}"), 422, "bad-request", "line 1 column"),
        ("misspelt key", dismiss(id, "{\"reasn\":\"x\"}"), 422, "bad-request", "reasn"),
        ("not JSON", dismiss(id, "reason"), 400, "malformed-json", "line 1 column"),
        (
            "not said as JSON",
            with(dismiss(id, "{}"), "content-type", "text/plain"),
            415,
            "unsupported-media-type",
            "text/plain",
        ),
        ("dismiss the unknown", dismiss(id, "{\"reason\":\"x\"}"), 404, "unknown-delivery", id),
        ("retry the unknown", post(&format!("/v1/deliveries/{id}/retry"), ""), 404, "unknown-delivery", id),
        ("seed", post("/v1/simulations?seed=-1", "{}"), 400, "bad-parameter", "seed"),
        ("no scenario", post("/v1/simulations", "{}"), 422, "bad-request", "name"),
        ("nothing to render", post("/v1/render", "{}"), 422, "bad-request", "flow"),
        ("rendered by none", post("/v1/render", &render("nope", "{}")), 404, "unknown-flow", "nope"),
        ("no object of fields", post("/v1/render", &render("pair", "[]")), 422, "bad-request", "a list"),
        (
            "no time",
            post("/v1/render", &render("pair", "{},\"accepted_at\":\"soon\"")),
            422,
            "bad-request",
            "accepted_at",
        ),
        ("no form", post("/v1/render", &render("pair", "{\"a\":[[\"s3cret\"]]}")), 422, "render-failed", "\\\"a\\\""),
    ];
    for (asked, request, status, slug, detail) in table {
        assert_refused(asked, &server.send(request).await, status, slug, detail);
    }
    let allowed = server.send(Request::delete("/v1/deliveries").body(Body::empty()).unwrap()).await;
    assert_eq!(allowed.headers.get("allow").unwrap(), "GET,HEAD");
}

#[tokio::test]
async fn a_store_that_does_not_take_it() {
    let detail = || "no space left".to_owned();
    for (error, status, slug, retry_after) in [
        (StoreError::Full { detail: detail() }, 503, "store-full", Some("30")),
        (StoreError::Busy, 429, "busy", Some("1")),
        (StoreError::Unreadable { detail: detail() }, 500, "store-unreadable", None),
        (StoreError::Stopped { detail: detail() }, 503, "store-stopped", None),
    ] {
        let server = Server::start().await;
        server.store.fail_next_write(error);
        let answered = server.post(LEADS, "{\"a\":1}").await;
        assert_refused(slug, &answered, status, slug, "");
        let said = answered.headers.get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(said, retry_after, "{slug}");
        let metrics = server.get("/metrics").await;
        let counted = format!("steadfast_intake_requests_total{{status=\"{status}\"}} 1");
        assert!(String::from_utf8_lossy(&metrics.bytes).contains(&counted), "{slug}");
    }
}

#[tokio::test]
async fn beyond_the_queues_capacity_nothing_is_half_accepted() {
    let limits = EngineLimits { open_max: 1, ..EngineLimits::default() };
    let server = Server::with(ApiKeys::default(), RequestLimits::default(), limits).await;
    for _ in 0..3 {
        // Two deliveries where there is room for one.
        let answered = server.post("/v1/flows/pair/leads", "{\"a\":1}").await;
        assert_refused("full", &answered, 429, "queue-full", "store.queue_capacity");
        assert_eq!(answered.headers.get("retry-after").unwrap(), "5");
        let again = with(post("/v1/flows/pair/leads", "{\"a\":1}"), "idempotency-key", "k1");
        assert_refused("full with a key", &server.send(again).await, 429, "queue-full", "");
    }
    assert_eq!(server.get("/v1/stats").await.json()["rows"], serde_json::json!([]), "nothing was kept");
    assert_eq!(server.get("/v1/deliveries").await.json()["items"], serde_json::json!([]));
    // What fits is taken, and a key that was refused is no key that was used.
    let once = with(post(LEADS, "{\"a\":1}"), "idempotency-key", "k1");
    assert_eq!(server.send(once).await.status, 202);
}

fn key(name: &str, scopes: &[Scope], account: Option<&str>) -> ApiKey {
    ApiKey {
        name: name.into(),
        hash: Sha256::digest(format!("sf_{name}")).into(),
        scopes: scopes.to_vec(),
        account: account.map(|account| AccountName::new(account).unwrap()),
    }
}

async fn guarded() -> Server {
    let keys = ApiKeys::new(vec![
        key("in", &[Scope::Ingest], None),
        key("look", &[Scope::Read], None),
        key("desk", &[Scope::Operate], None),
        key("acme", &Scope::ALL, Some("acme")),
    ]);
    Server::with(keys, RequestLimits::default(), EngineLimits::default()).await
}

fn bearing(key: &str, request: Request<Body>) -> Request<Body> {
    with(request, "authorization", &format!("Bearer {key}"))
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn lead(flow: &str) -> Request<Body> {
    post(&format!("/v1/flows/{flow}/leads"), "{\"a\":1}")
}

fn retry(id: &str) -> Request<Body> {
    post(&format!("/v1/deliveries/{id}/retry"), "")
}

async fn assert_all_refused(server: &Server, table: Vec<(&str, Request<Body>, u16, &str, &str)>) {
    for (asked, request, status, slug, detail) in table {
        let answered = server.send(request).await;
        assert_refused(asked, &answered, status, slug, detail);
        assert_eq!(answered.headers.contains_key("www-authenticate"), status == 401, "{asked}");
    }
}

#[tokio::test]
async fn keys_and_scopes() {
    let server = guarded().await;
    let acme = server.send(bearing("sf_in", lead("auto"))).await.json();
    let delivery = acme["deliveries"][0]["id"].as_str().unwrap();
    server.settled(1).await;
    let table = vec![
        ("no key", lead("auto"), 401, "unauthenticated", "Bearer sf_"),
        ("unknown key", bearing("sf_x", lead("auto")), 401, "unauthenticated", "not known"),
        ("other scheme", with(lead("auto"), "authorization", "Basic abc"), 401, "unauthenticated", "Bearer"),
        ("read may not post", bearing("sf_look", lead("auto")), 403, "forbidden", "scope ingest"),
        ("ingest may not read", bearing("sf_in", get("/v1/deliveries")), 403, "forbidden", "scope read"),
        ("read may not act", bearing("sf_look", retry(delivery)), 403, "forbidden", "scope operate"),
        ("metrics need read", bearing("sf_in", get("/metrics")), 403, "forbidden", "scope read"),
        ("no key for metrics", get("/metrics"), 401, "unauthenticated", "Bearer"),
    ];
    assert_all_refused(&server, table).await;
    for path in ["/healthz", "/readyz", "/openapi.json", "/"] {
        assert_eq!(server.get(path).await.status, 200, "{path} is open");
    }
    let refused = server.send(bearing("sf_desk", retry(delivery))).await;
    assert_eq!(refused.status, 409, "the desk may act; this one is delivered");
    server.state.replace_keys(ApiKeys::new(vec![key("new", &[Scope::Read], None)]));
    assert_eq!(server.send(bearing("sf_look", get("/v1/stats"))).await.status, 401);
    assert_eq!(server.send(bearing("sf_new", get("/v1/stats"))).await.status, 200);
}

#[tokio::test]
async fn a_key_limited_to_an_account_sees_only_that() {
    let server = guarded().await;
    let other = server.send(bearing("sf_in", lead("pair"))).await.json();
    let delivery = other["deliveries"][0]["id"].as_str().unwrap();
    let lead_path = format!("/v1/leads/{}", other["lead_id"].as_str().unwrap());
    server.settled(2).await;
    let own = |request| bearing("sf_acme", request);
    let page = own(get(&format!("/v1/deliveries/{delivery}")));
    let step = own(get("/v1/explain?flow=pair&step=one"));
    let table = vec![
        ("another account's flow", own(lead("pair")), 403, "forbidden", "account acme"),
        ("no flow of it", own(lead("nope")), 403, "forbidden", "account acme"),
        ("another account's delivery", page, 404, "unknown-delivery", "no delivery"),
        ("acting on it", own(retry(delivery)), 404, "unknown-delivery", "no delivery"),
        ("another account's lead", own(get(&lead_path)), 404, "unknown-lead", "no lead"),
        ("another account's step", step, 404, "unknown-flow", "pair"),
        ("rendering it", own(post("/v1/render", &render("pair", "{}"))), 404, "unknown-flow", "pair"),
        ("everybody's config", own(get("/v1/config")), 403, "forbidden", "limited to"),
        ("everybody's versions", own(get("/v1/config/versions")), 403, "forbidden", "limited to"),
        ("everybody's events", own(get("/v1/events")), 403, "forbidden", "limited to"),
        ("everybody's figures", own(get("/metrics")), 403, "forbidden", "limited to"),
    ];
    assert_all_refused(&server, table).await;
    assert_eq!(server.send(own(lead("auto"))).await.status, 202);
    server.settled(3).await;
    for path in ["/v1/deliveries", "/v1/stats", "/v1/recipients"] {
        let seen = server.send(own(get(path))).await;
        let text = String::from_utf8_lossy(&seen.bytes).into_owned();
        assert!(text.contains("bigbank") && !text.contains("smallbank") && !text.contains("pair"), "{path}: {text}");
        let all = server.send(bearing("sf_look", get(path))).await;
        assert!(String::from_utf8_lossy(&all.bytes).contains("smallbank"), "{path}");
    }
}

fn render(flow: &str, fields: &str) -> String {
    format!("{{\"flow\":\"{flow}\",\"step\":\"two\",\"fields\":{fields}}}")
}
