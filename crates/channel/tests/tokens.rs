//! Tokens, against real endpoints and recipients on loopback: asked for once, renewed in time, replayed once, and every way
//! an endpoint can fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

#[path = "support/site.rs"]
mod site;
mod support;

use site::{Does, Site};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use steadfast_channel::{
    Bytes, Carrier, DoorSettings, HeaderMap, HttpDoor, Method, Parcel, RESPONSE_BYTES_MAX, Target, Timeouts, TokenAt,
    TokenDoor, TokenRequest, TokenShape, TokenUse,
};
use steadfast_retry::{Evidence, FaultKind, Phase};
use tokio::time::Instant;

/// A clock that stands still but for what a test moves it.
#[derive(Clone)]
struct Clock {
    start: Instant,
    moved_ms: Arc<AtomicU64>,
}

impl Clock {
    fn new() -> Self {
        Clock { start: Instant::now(), moved_ms: Arc::default() }
    }

    /// Moves to this many seconds after the start.
    fn set(&self, seconds: f64) {
        self.moved_ms.store(Duration::from_secs_f64(seconds).as_millis() as u64, Ordering::SeqCst);
    }

    fn door(&self) -> TokenDoor {
        self.door_through(support::door())
    }

    fn door_through(&self, door: HttpDoor) -> TokenDoor {
        let clock = self.clone();
        let now = move || clock.start + Duration::from_millis(clock.moved_ms.load(Ordering::SeqCst));
        TokenDoor::new(door, Arc::new(now))
    }
}

/// A token endpoint that gives t1, t2, ... each good for 1000 seconds.
async fn giving() -> Site {
    Site::start(|number, _| Does::Says("200 OK", grant(number))).await
}

fn grant(number: usize) -> String {
    format!(r#"{{"access_token":"s3cret-t{number}","token_type":"Bearer","expires_in":1000}}"#)
}

/// A recipient that takes everything.
async fn taking() -> Site {
    Site::start(|_, _| Does::Says("200 OK", String::new())).await
}

/// Asks at this endpoint with client credentials; `key` names the settings.
fn asking_as(key: u8, address: SocketAddr, timeout: Duration) -> TokenUse {
    let ask = move || {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Basic s3cret-client".parse().unwrap());
        let parcel = Parcel {
            target: Target::parse(&format!("http://{address}/token?s3cret-url")).unwrap(),
            method: Method::POST,
            headers,
            body: Bytes::from_static(b"grant_type=client_credentials&x=s3cret-body"),
            timeouts: Timeouts::within(timeout),
            response_bytes_max: RESPONSE_BYTES_MAX,
        };
        let shape = TokenShape {
            token: TokenAt::Path("access_token".into()),
            expires_in_path: Some("expires_in".into()),
            expires_in: Duration::from_secs(300),
            any_type: false,
        };
        Ok(TokenRequest { parcel, shape })
    };
    let name = "authorization".parse().unwrap();
    TokenUse { key: [key; 32], carrier: Carrier::Header { name, prefix: "Bearer ".into() }, ask: Arc::new(ask) }
}

fn asking(endpoint: &Site) -> TokenUse {
    asking_as(1, endpoint.address, support::PATIENCE / 2)
}

fn lead_to(recipient: &Site) -> Parcel {
    support::parcel(&format!("http://{}/leads", recipient.address))
}

/// The tokens that reached a recipient, in order.
fn tokens(recipient: &Site) -> Vec<String> {
    const CARRIED: &str = "authorization: Bearer s3cret-";
    fn token(request: &str) -> &str {
        request.lines().find_map(|line| line.strip_prefix(CARRIED)).unwrap_or("none")
    }
    recipient.log().iter().map(|request| token(request).to_owned()).collect()
}

#[track_caller]
fn assert_status(evidence: &Evidence, status: u16, replayed_after: Option<u16>) {
    assert_eq!(evidence.answer.as_ref().map(|answer| answer.status), Some(status), "{evidence:?}");
    assert_eq!((evidence.phase, evidence.replayed_after), (Phase::Responded, replayed_after), "{evidence:?}");
    assert!(evidence.timings.first_byte.unwrap() <= evidence.timings.total, "{evidence:?}");
}

#[track_caller]
fn assert_no_token(evidence: &Evidence, kind: FaultKind, says: &str) {
    let fault = evidence.fault.as_ref().unwrap_or_else(|| panic!("no fault in {evidence:?}"));
    assert_eq!((evidence.phase, fault.kind), (Phase::Prepare, kind), "{evidence:?}");
    assert!(fault.detail.contains(says), "{} does not say {says}", fault.detail);
    assert!(!evidence.is_ambiguous() && !format!("{evidence:?}").contains("s3cret"), "{evidence:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_sends_at_once_ask_for_one_token() {
    let endpoint = Site::start(|number, _| Does::OnCue("200 OK", grant(number))).await;
    let (recipient, door, carried) = (taking().await, Clock::new().door(), asking(&endpoint));
    let mut sends = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (door, carried, parcel) = (door.clone(), carried.clone(), lead_to(&recipient));
        sends.spawn(async move { door.send(parcel, &carried).await });
    }
    endpoint.came(1).await;
    endpoint.give_cue();
    for evidence in sends.join_all().await {
        assert_status(&evidence, 200, None);
    }
    assert_eq!((endpoint.count(), tokens(&recipient)), (1, vec!["t1".to_owned(); 100]));
    let asked = &endpoint.log()[0];
    assert!(asked.starts_with("POST /token?s3cret-url HTTP/1.1") && asked.contains("authorization: Basic"), "{asked}");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_while_others_go_on_with_it() {
    let endpoint = Site::start(|number, _| match number {
        1 => Does::Says("200 OK", grant(1)),
        _ => Does::OnCue("200 OK", grant(number)),
    })
    .await;
    let (recipient, clock) = (taking().await, Clock::new());
    let (door, carried) = (clock.door(), asking(&endpoint));
    for seconds in [0.0, 500.0, 939.9] {
        clock.set(seconds);
        assert_status(&door.send(lead_to(&recipient), &carried).await, 200, None);
    }
    assert_eq!(endpoint.count(), 1);
    // A minute before its end; the endpoint is slow, and nobody waits for it.
    clock.set(940.0);
    for _ in 0..5 {
        assert_status(&door.send(lead_to(&recipient), &carried).await, 200, None);
    }
    endpoint.came(2).await;
    assert_eq!((endpoint.count(), tokens(&recipient)), (2, vec!["t1".to_owned(); 8]));
    // Past its end there is nothing to go on with: whoever comes waits for the one who asks.
    clock.set(1_000.0);
    let waiting = tokio::spawn({
        let (door, carried, parcel) = (door.clone(), carried.clone(), lead_to(&recipient));
        async move { door.send(parcel, &carried).await }
    });
    endpoint.give_cue();
    assert_status(&waiting.await.unwrap(), 200, None);
    assert_eq!((endpoint.count(), tokens(&recipient).last().unwrap().as_str()), (2, "t2"));
    // It counts from when it was asked for, at 940: expired at 1940.
    clock.set(1_879.9);
    assert_status(&door.send(lead_to(&recipient), &carried).await, 200, None);
    assert_eq!(endpoint.count(), 2);
    clock.set(1_940.0);
    assert_status(&door.send(lead_to(&recipient), &carried).await, 200, None);
    assert_eq!((endpoint.count(), tokens(&recipient).last().unwrap().as_str()), (3, "t3"));
}

#[tokio::test]
async fn renewing_that_fails_is_not_repeated_at_once_and_the_old_token_serves_to_its_end() {
    let endpoint = Site::start(|number, _| match number {
        1 => Does::Says("200 OK", grant(1)),
        _ => Does::Says("503 Unavailable", String::new()),
    })
    .await;
    let (recipient, clock) = (taking().await, Clock::new());
    let (door, carried) = (clock.door(), asking(&endpoint));
    assert_status(&door.send(lead_to(&recipient), &carried).await, 200, None);
    clock.set(950.0);
    assert_status(&door.send(lead_to(&recipient), &carried).await, 200, None);
    endpoint.came(2).await;
    // Whether the failure is settled yet or not, nobody asks again within its second.
    for _ in 0..5 {
        assert_status(&door.send(lead_to(&recipient), &carried).await, 200, None);
    }
    assert_eq!(endpoint.count(), 2);
    clock.set(1_000.0);
    let evidence = door.send(lead_to(&recipient), &carried).await;
    assert_no_token(&evidence, FaultKind::TokenUnavailable, "answered 503");
    assert_eq!(recipient.count(), 7);
}

/// A recipient that knows only this token.
async fn knowing(token: &'static str, otherwise: &'static str) -> Site {
    Site::start(move |_, request| match request.contains(token) {
        true => Does::Says("200 OK", String::new()),
        false => Does::Says(otherwise, String::new()),
    })
    .await
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_renewed_and_the_request_sent_once_more() {
    for (otherwise, status) in [("401 Unauthorized", 401), ("403 Forbidden", 403)] {
        let (endpoint, first, second) = (giving().await, taking().await, knowing("t2", otherwise).await);
        let (door, carried) = (Clock::new().door(), asking(&endpoint));
        assert_status(&door.send(lead_to(&first), &carried).await, 200, None);
        assert_status(&door.send(lead_to(&second), &carried).await, 200, Some(status));
        assert_eq!((endpoint.count(), tokens(&second)), (2, vec!["t1".to_owned(), "t2".to_owned()]));
        let log = second.log();
        assert_eq!(log[0].replace("t1", "t2"), log[1], "the same request but for the token");
        // The new one is kept, and who held the old one takes it without asking.
        assert_status(&door.send(lead_to(&second), &carried).await, 200, None);
        assert_eq!((endpoint.count(), second.count()), (2, 3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_refused_at_once_renew_once() {
    let (endpoint, first, second) = (giving().await, taking().await, knowing("t2", "401 Unauthorized").await);
    let (door, carried) = (Clock::new().door(), asking(&endpoint));
    assert_status(&door.send(lead_to(&first), &carried).await, 200, None);
    let mut sends = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (door, carried, parcel) = (door.clone(), carried.clone(), lead_to(&second));
        sends.spawn(async move { door.send(parcel, &carried).await });
    }
    for evidence in sends.join_all().await {
        assert_eq!(evidence.answer.map(|answer| answer.status), Some(200));
    }
    assert_eq!(endpoint.count(), 2);
}

#[tokio::test]
async fn a_refusal_that_a_new_token_does_not_change_stands_and_is_believed_for_a_while() {
    let (endpoint, recipient, clock) = (giving().await, knowing("none", "403 Forbidden").await, Clock::new());
    let (door, carried) = (clock.door(), asking(&endpoint));
    // Asked for just now: it cannot be its age.
    assert_status(&door.send(lead_to(&recipient), &carried).await, 403, None);
    assert_eq!((endpoint.count(), recipient.count()), (1, 1));
    // Kept since: once more, with a new one, and no third time.
    assert_status(&door.send(lead_to(&recipient), &carried).await, 403, Some(403));
    assert_eq!((endpoint.count(), recipient.count()), (2, 3));
    for seconds in [0.0, 9.9] {
        clock.set(seconds);
        assert_status(&door.send(lead_to(&recipient), &carried).await, 403, None);
    }
    assert_eq!((endpoint.count(), recipient.count()), (2, 5));
    clock.set(10.0);
    assert_status(&door.send(lead_to(&recipient), &carried).await, 403, Some(403));
    assert_eq!((endpoint.count(), recipient.count()), (3, 7));
}

#[tokio::test]
async fn what_is_in_doubt_is_never_sent_again() {
    for said in
        ["", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 10\r\n\r\nhalf", "HTTP/1.1 403 Forb", "nonsense\r\n\r\n"]
    {
        let (endpoint, first) = (giving().await, taking().await);
        let second = Site::start(move |_, _| Does::BreaksOff(said)).await;
        let (door, carried) = (Clock::new().door(), asking(&endpoint));
        assert_status(&door.send(lead_to(&first), &carried).await, 200, None);
        let evidence = door.send(lead_to(&second), &carried).await;
        assert!(
            evidence.fault.is_some() && evidence.is_ambiguous() && evidence.replayed_after.is_none(),
            "{evidence:?}"
        );
        assert_eq!((endpoint.count(), second.count()), (1, 1), "{said}");
    }
    // Other answers are not about the token.
    for said in ["500 Broken", "404 Not Found", "407 Proxy", "429 Slow", "302 Found"] {
        let (endpoint, first) = (giving().await, taking().await);
        let second = Site::start(move |_, _| Does::Says(said, String::new())).await;
        let (door, carried) = (Clock::new().door(), asking(&endpoint));
        assert_status(&door.send(lead_to(&first), &carried).await, 200, None);
        let status = said[..3].parse().unwrap();
        assert_status(&door.send(lead_to(&second), &carried).await, status, None);
        assert_eq!((endpoint.count(), second.count()), (1, 1), "{said}");
    }
}

#[tokio::test]
async fn a_refused_token_without_a_new_one_ends_the_attempt_before_a_second_send() {
    for (then, kind) in
        [("503 Unavailable", FaultKind::TokenUnavailable), ("401 Unauthorized", FaultKind::TokenRefused)]
    {
        let endpoint = Site::start(move |number, _| match number {
            1 => Does::Says("200 OK", grant(1)),
            _ => Does::Says(then, String::new()),
        })
        .await;
        let (first, second) = (taking().await, knowing("t2", "401 Unauthorized").await);
        let (door, carried) = (Clock::new().door(), asking(&endpoint));
        assert_status(&door.send(lead_to(&first), &carried).await, 200, None);
        let evidence = door.send(lead_to(&second), &carried).await;
        assert_no_token(&evidence, kind, "The recipient answered 401 to the token at hand.");
        assert_eq!((second.count(), evidence.replayed_after), (1, None));
        // The recipient does not know the token: nobody tries it again.
        let evidence = door.send(lead_to(&second), &carried).await;
        assert_no_token(&evidence, kind, "answered");
        assert_eq!((second.count(), endpoint.count()), (1, 2));
    }
}

#[tokio::test]
async fn every_way_an_endpoint_can_fail_is_named_and_nothing_is_sent() {
    use FaultKind::{TokenRefused as Refused, TokenUnavailable as Unavailable};
    let huge = || "s3cret".repeat(10 * 1024 * 1024 / 6);
    let code = |code: &str| format!(r#"{{"error":"{code}","error_description":"s3cret"}}"#);
    let cases: Vec<(&'static str, String, FaultKind, &str)> = vec![
        ("500 Broken", String::new(), Unavailable, "answered 500."),
        ("503 Unavailable", "s3cret".into(), Unavailable, "answered 503."),
        ("429 Slow", String::new(), Unavailable, "answered 429."),
        ("408 Late", String::new(), Unavailable, "answered 408."),
        ("302 Found\r\nLocation: /s3cret", String::new(), Unavailable, "answered 302."),
        ("400 Bad", code("temporarily_unavailable"), Unavailable, "answered 400 (temporarily_unavailable)."),
        ("400 Bad", code("invalid_client"), Refused, "answered 400 (invalid_client)."),
        ("401 No", code("s3cret"), Refused, "answered 401."),
        ("403 No", "<html>s3cret".into(), Refused, "answered 403."),
        ("404 Gone", String::new(), Refused, "answered 404."),
        ("200 OK", "<html>s3cret</html>".into(), Unavailable, "its answer is not JSON."),
        ("200 OK", "{}".into(), Unavailable, "its answer holds no token."),
        ("200 OK", r#"{"access_token":"s3cret\u0000"}"#.into(), Unavailable, "characters no token has."),
        ("200 OK", r#"{"access_token":"s3cret","expires_in":-1}"#.into(), Unavailable, "an absurd time"),
        ("200 OK", huge(), Unavailable, "The answer's body is larger than the 65536 bytes allowed."),
    ];
    for (head, body, kind, says) in cases {
        let endpoint = Site::start(move |_, _| Does::Says(head, body.clone())).await;
        let (recipient, door) = (taking().await, Clock::new().door());
        assert_no_token(&door.send(lead_to(&recipient), &asking(&endpoint)).await, kind, says);
        assert_eq!(recipient.count(), 0, "{head}");
    }
    for said in ["", "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"access_token\":\"s3cret\"", "s3cret\r\n\r\n"] {
        let endpoint = Site::start(move |_, _| Does::BreaksOff(said)).await;
        let (recipient, door) = (taking().await, Clock::new().door());
        let evidence = door.send(lead_to(&recipient), &asking(&endpoint)).await;
        assert_no_token(&evidence, Unavailable, &format!("No token came from http://{}: ", endpoint.address));
    }
    // Nobody listens; somebody listens and is silent; the address must not be called.
    let recipient = taking().await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let evidence = Clock::new().door().send(lead_to(&recipient), &asking_as(1, nobody, support::PATIENCE)).await;
    assert_no_token(&evidence, Unavailable, "refused");
    let silent = Site::start(|_, _| Does::Hangs).await;
    let carried = asking_as(1, silent.address, Duration::from_millis(200));
    let evidence = Clock::new().door().send(lead_to(&recipient), &carried).await;
    assert_no_token(&evidence, Unavailable, "no answer came in time");
    let guarded = HttpDoor::new(DoorSettings { trust_system_roots: false, ..DoorSettings::default() }).unwrap();
    let evidence = Clock::new().door_through(guarded).send(lead_to(&recipient), &carried).await;
    assert_no_token(&evidence, Refused, "No token came from");
    assert_eq!((recipient.count(), silent.count()), (0, 1));
}

#[tokio::test]
async fn a_broken_endpoint_is_left_alone_for_a_while_and_then_asked_again() {
    for (head, pause) in [
        ("503 Unavailable", 1.0),
        ("429 Slow\r\nRetry-After: 30", 30.0),
        ("503 Unavailable\r\nRetry-After: 7200", 60.0),
        ("400 Bad", 10.0),
    ] {
        let endpoint = Site::start(move |number, _| match number {
            1 => Does::Says(head, String::new()),
            _ => Does::Says("200 OK", grant(number)),
        })
        .await;
        let (recipient, clock) = (taking().await, Clock::new());
        let (door, carried) = (clock.door(), asking(&endpoint));
        for seconds in [0.0, pause - 0.1] {
            clock.set(seconds);
            let evidence = door.send(lead_to(&recipient), &carried).await;
            assert!(evidence.fault.is_some(), "{head} at {seconds}");
        }
        assert_eq!((endpoint.count(), recipient.count()), (1, 0), "{head}");
        clock.set(pause);
        assert_status(&door.send(lead_to(&recipient), &carried).await, 200, None);
        assert_eq!(endpoint.count(), 2, "{head}");
    }
}

#[tokio::test]
async fn an_attempt_waits_no_longer_than_it_may_and_what_it_asked_for_is_kept() {
    let endpoint = Site::start(|number, _| Does::OnCue("200 OK", grant(number))).await;
    let (recipient, door, carried) = (taking().await, Clock::new().door(), asking(&endpoint));
    let mut hasty = lead_to(&recipient);
    hasty.timeouts = Timeouts::within(Duration::from_millis(150));
    let evidence = door.send(hasty, &carried).await;
    assert_no_token(&evidence, FaultKind::TokenUnavailable, "within the time this attempt may take");
    assert!(evidence.timings.total >= Duration::from_millis(150) && evidence.timings.total < support::PATIENCE / 2);
    // Its own asking goes on; the next waits for that one.
    let next = tokio::spawn({
        let (door, carried, parcel) = (door.clone(), carried.clone(), lead_to(&recipient));
        async move { door.send(parcel, &carried).await }
    });
    endpoint.give_cue();
    assert_status(&next.await.unwrap(), 200, None);
    assert_eq!((endpoint.count(), recipient.count()), (1, 1));
}

#[tokio::test]
async fn settings_that_change_ask_anew_and_those_that_do_not_keep_their_token() {
    let (endpoint, recipient) = (giving().await, taking().await);
    let door = Clock::new().door();
    for key in [1, 2, 1, 2, 1] {
        let carried = asking_as(key, endpoint.address, support::PATIENCE);
        assert_status(&door.send(lead_to(&recipient), &carried).await, 200, None);
    }
    assert_eq!((endpoint.count(), tokens(&recipient)), (2, ["t1", "t2", "t1", "t2", "t1"].map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn a_token_may_go_into_the_query() {
    let (endpoint, recipient) = (giving().await, taking().await);
    let carried = TokenUse { carrier: Carrier::Query("ses sion".into()), ..asking(&endpoint) };
    let door = Clock::new().door();
    assert_status(&door.send(lead_to(&recipient), &carried).await, 200, None);
    let log = recipient.log();
    assert!(
        log[0].starts_with("POST /leads?ses+sion=s3cret-t1 HTTP/1.1\r\n") && !log[0].contains("authorization"),
        "{log:?}"
    );
}

/// Writes down every event and span, at every level, of everybody.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<String>>);

impl Listener {
    fn note(&self, record: impl FnOnce(&mut dyn tracing::field::Visit)) {
        struct Writer<'a>(&'a mut String);
        impl tracing::field::Visit for Writer<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                write!(self.0, "{}={value:?} ", field.name()).unwrap();
            }
        }
        record(&mut Writer(&mut self.0.lock().unwrap()));
    }
}

impl tracing::Subscriber for Listener {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.note(|visit| span.record(visit));
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        self.note(|visit| values.record(visit));
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        self.note(|visit| event.record(visit));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn nothing_secret_is_printed_logged_or_kept_as_evidence() {
    let heard = Listener::default();
    let _listening = tracing::subscriber::set_default(heard.clone());
    let endpoint = Site::start(|number, _| match number {
        1 | 2 => Does::Says("200 OK", grant(number)),
        3 => Does::Says("400 Bad", r#"{"error":"invalid_client","error_description":"s3cret"}"#.into()),
        _ => Does::Says("200 OK", r#"{"access_token":"s3cret\n"}"#.into()),
    })
    .await;
    let (first, second, clock) = (taking().await, knowing("t2", "401 Unauthorized").await, Clock::new());
    let (door, carried) = (clock.door(), asking(&endpoint));
    let mut shown = format!("{carried:?} {:?} {:?}", (carried.ask)().unwrap(), (carried.ask)().unwrap().shape);
    for (recipient, seconds) in [(&first, 0.0), (&second, 0.0), (&second, 2_000.0), (&second, 2_011.0)] {
        clock.set(seconds);
        write!(shown, "{:?}", door.send(lead_to(recipient), &carried).await).unwrap();
    }
    assert_eq!(endpoint.count(), 4);
    let log = heard.0.lock().unwrap().clone();
    assert!(log.contains("a token for a recipient was obtained") && log.contains("invalid_client"), "{log}");
    assert!(log.contains("characters no token has"), "{log}");
    for text in [&shown, &log] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}
