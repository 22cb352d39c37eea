//! The two flows of `examples/` that are whole businesses, with their own hours and caps, under a clock of their own: an engine with
//! the example's book, a store in memory, and recipients that answer by their address. The real process is in
//! `server/tests/examples.rs`.

use super::read;
use super::references::Surroundings;
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::{Clock, Door, Engine, EngineLimits, ManualClock, NoObserver, Order, Parts, Posted};
use steadfast_lead::{DeliveryId, Fields, FlowName, NodeNumber, Timestamp, Value};
use steadfast_retry::{Answer, CloseReason, Evidence, HoldReason, Seed, State};
use steadfast_store::{Deliveries, MemoryStore};

/// Answers by host and attempt with a status and a JSON body.
struct ByHost {
    says: fn(&str, u32) -> (u16, &'static str),
    seen: Mutex<Vec<String>>,
}

impl Door for ByHost {
    fn send(&self, order: Order) -> BoxFuture<'static, Evidence> {
        let host = order.rendered.url.split('/').nth(2).unwrap_or_default().to_owned();
        let (status, body) = (self.says)(&host, order.attempt);
        self.seen.lock().push(host);
        let headers = vec![("content-type".into(), "application/json".into())];
        let (body, body_bytes) = (Bytes::from_static(body.as_bytes()), body.len() as u64);
        Box::pin(std::future::ready(Evidence::of_answer(Answer { status, headers, body, body_bytes })))
    }
}

struct Play {
    flow: FlowName,
    clock: ManualClock,
    store: Arc<MemoryStore>,
    door: Arc<ByHost>,
    engine: Engine,
}

impl Play {
    async fn of(example: &str, flow: &str, at: &str, says: fn(&str, u32) -> (u16, &'static str)) -> Play {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(example);
        let now = Timestamp::parse(at).unwrap();
        let around = Surroundings {
            variable: &|_| Some("from the environment".to_owned()),
            file: &|_| Err("is not there".to_owned()),
            now,
        };
        let loaded = read(example, std::fs::read_to_string(path).unwrap(), &around);
        let book = loaded.map_err(|problems| problems.plain()).unwrap().into_book(1);
        let clock = ManualClock::at(now);
        let store = MemoryStore::new(Seed(7), NodeNumber(0));
        let door = Arc::new(ByHost { says, seen: Mutex::default() });
        let parts = Parts {
            store: Arc::clone(&store) as _,
            door: Arc::clone(&door) as _,
            clock: Arc::new(clock.clone()),
            observer: Arc::new(NoObserver),
            book,
            limits: EngineLimits::default(),
        };
        let engine = Engine::start(parts).await.unwrap();
        Play { flow: FlowName::new(flow).unwrap(), clock, store, door, engine }
    }

    /// Moves the clock to a time, stopping wherever somebody wakes.
    async fn until(&self, at: &str) {
        let target = Timestamp::parse(at).unwrap();
        assert!(target >= self.clock.now(), "{at} is past");
        loop {
            idle().await;
            let wake = self.clock.next_wake().filter(|wake| *wake <= target);
            let Some(wake) = wake else { break };
            self.clock.set(wake);
        }
        self.clock.set(target);
        idle().await;
    }

    async fn post(&self, given: &[(&str, &str)]) -> Vec<DeliveryId> {
        let mut fields = Fields::new();
        given.iter().for_each(|(name, value)| fields.insert(name, Value::text(value)).unwrap());
        let posted = Posted { flow: self.flow.clone(), source: None, test: false, fields, idempotency: None };
        let receipt = self.engine.accept(posted).await.unwrap();
        idle().await;
        receipt.deliveries.iter().map(|delivery| delivery.id).collect()
    }

    async fn state(&self, id: DeliveryId) -> State {
        self.store.delivery(id).await.unwrap().unwrap().state
    }

    /// Who was sent something since the last time, shortly named.
    fn sent(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.door.seen.lock());
        seen.into_iter().map(|host| host.split('.').take(2).collect::<Vec<_>>().join(".")).collect()
    }
}

/// Everything that can happen without time passing has happened.
async fn idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

const LEE: [(&str, &str); 3] = [("last_name", "Lee"), ("state", "OH"), ("vehicle_year", "2019")];

fn buyers(host: &str, _: u32) -> (u16, &'static str) {
    match host {
        "api.carewell.example" => (503, "{}"),
        _ => (200, r#"{"result":"accepted"}"#),
    }
}

#[tokio::test(start_paused = true)]
async fn the_three_buyers_have_hours_caps_and_a_nightly_endpoint() {
    // A Friday in New York, five hours behind; a second before eighteen hundred.
    let play = Play::of("auto.toml", "auto", "2026-11-27T22:59:59Z", buyers).await;
    play.post(&LEE).await;
    assert_eq!(play.sent(), ["leads.acme-auto"]);
    play.until("2026-11-27T23:00:00Z").await;
    let ids = play.post(&LEE).await;
    assert_eq!(play.sent(), ["api.bestrate"]);
    let closed = play.state(ids[0]).await;
    assert!(matches!(closed, State::Closed { why: CloseReason::ClosedHours, .. }), "{closed:?}");

    // Night: the API of the third is tried, once more, and then its nightly endpoint has the lead.
    play.until("2026-11-28T04:30:00Z").await;
    let ids = play.post(&LEE).await;
    play.until("2026-11-28T04:31:00Z").await;
    assert_eq!(play.sent(), ["api.carewell", "api.carewell", "night.carewell"]);
    let third = play.store.delivery(ids[2]).await.unwrap().unwrap();
    assert!(matches!(third.state, State::Delivered { .. }) && third.progress.leg == 1, "{third:?}");

    // Morning: the first is open again. At the twenty-sixth of an hour its cap is full; the next hour has places of its own.
    play.until("2026-12-01T15:00:00Z").await;
    let mut last = Vec::new();
    for minute in 10..36 {
        play.until(&format!("2026-12-01T15:{minute}:00Z")).await;
        last = play.post(&LEE).await;
    }
    let sent = play.sent();
    assert_eq!((sent.len(), sent.iter().filter(|host| *host == "leads.acme-auto").count()), (26, 25), "{sent:?}");
    let full = play.state(last[0]).await;
    assert!(matches!(full, State::Closed { why: CloseReason::Capped, .. }), "{full:?}");
    play.until("2026-12-01T16:00:00Z").await;
    play.post(&LEE).await;
    assert_eq!(play.sent(), ["leads.acme-auto"]);

    // Christmas is a holiday of the first only.
    play.until("2026-12-25T15:00:00Z").await;
    play.post(&LEE).await;
    assert_eq!(play.sent(), ["api.bestrate"]);
}

fn college(host: &str, attempt: u32) -> (u16, &'static str) {
    match (host, attempt) {
        ("crm.college.example", 1) => (503, "{}"),
        ("crm.college.example", _) => (200, r#"{"status":"created","id":"003A"}"#),
        _ => (200, r#"{"received":true}"#),
    }
}

/// Until when a delivery is held for its lead's own clock.
async fn quiet_until(play: &Play, id: DeliveryId) -> String {
    match play.state(id).await {
        State::Held { until, why: HoldReason::ContactTime, .. } => until.to_string(),
        state @ (State::Waiting { .. }
        | State::Held { .. }
        | State::Delivered { .. }
        | State::Rejected { .. }
        | State::InReview { .. }
        | State::Closed { .. }) => panic!("{state:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn quiet_hours_go_by_the_students_state_and_a_retry_keeps_them_too() {
    // A Tuesday, 20:59:55 in New York, an hour less in Chicago, where the college is, and 17:59:55 in California.
    let play = Play::of("school.toml", "school", "2026-12-02T01:59:55Z", college).await;
    let east = play.post(&[("state", "NY"), ("program", "nursing")]).await;
    let west = play.post(&[("state", "CA"), ("program", "nursing")]).await;
    assert_eq!(play.sent(), ["crm.college", "crm.college"]);
    // Both are told to come again, ten seconds later: then it is too late in New York.
    play.until("2026-12-02T02:30:00Z").await;
    assert_eq!(play.sent(), ["crm.college", "office.college"]);
    assert!(matches!(play.state(west[1]).await, State::Delivered { .. }));
    assert_eq!(quiet_until(&play, east[0]).await, "2026-12-02T13:00:00.000Z");
    assert!(matches!(play.state(east[1]).await, State::Held { why: HoldReason::After, .. }));
    play.until("2026-12-02T12:59:59Z").await;
    assert_eq!(play.sent(), Vec::<String>::new());
    play.until("2026-12-02T13:00:00Z").await;
    assert_eq!(play.sent(), ["crm.college", "office.college"]);

    // Texas is in two zones, and both must be awake: eight in El Paso is nine in Dallas. On Sundays at noon.
    let texan = play.post(&[("state", "TX"), ("program", "law")]).await;
    assert_eq!(quiet_until(&play, texan[0]).await, "2026-12-02T15:00:00.000Z");
    play.until("2026-12-06T14:00:00Z").await;
    play.sent();
    let sunday = play.post(&[("state", "NY"), ("program", "law")]).await;
    assert_eq!(quiet_until(&play, sunday[0]).await, "2026-12-06T17:00:00.000Z");
}
