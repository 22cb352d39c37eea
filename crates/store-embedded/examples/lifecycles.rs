//! Measures the store: leads accepted, taken and settled, so many at once, each wave waited for until it is on disk.
//!
//! `cargo run --release -p steadfast-store-embedded --example lifecycles [FOLDER] [SECONDS]`; the folder is to be on the disk
//! that is asked about. Each measurement is made without search terms and with two of them. Prints lifecycles a second, processor time for each (client and store together), acknowledgement
//! times, and bytes kept and written for each lead.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "an example; it stops where something fails")]
#![allow(clippy::disallowed_methods, reason = "measures time")]

use bytes::Bytes;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use steadfast_lead::{
    DeliveryId, Fields, FlowName, IdSequence, Lead, LeadId, NodeNumber, Priority, RecipientName, SourceName, StepName,
    Timestamp, Value,
};
use steadfast_retry::{
    Answer, Attempt, AttemptSettled, Decision, Delivery, Endpoint, Entry, ErrorKind, Event, EventKind, Evidence, Fence,
    LegProgress, Outcome, Settlement, Shard, State, Tie, Verdict, Window,
};
use steadfast_store::{Acceptance, Accepted, Settled, Store, Term, TermKey, Writes};
use steadfast_store_embedded::{EmbeddedStore, Options};

/// Every so many leads are retried once.
const RETRIED_EVERY: u64 = 5;
const RECIPIENTS: u64 = 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(5);
    println!("in flight  terms  lifecycles/s  cpu us each  ack p50 ms  ack p99 ms  batch  bytes kept  bytes written");
    for (in_flight, terms_each) in [1, 32, 256, 2_048].into_iter().flat_map(|wide| [(wide, 0), (wide, 2)]) {
        let folder = tempfile::TempDir::with_prefix_in("lifecycles-", &folder).unwrap();
        measure(folder.path(), in_flight, terms_each, Duration::from_secs(seconds));
    }
}

fn measure(folder: &Path, in_flight: usize, terms_each: usize, lasts: Duration) {
    let (commits, changes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut options = Options::new(42, TermKey::new([7; 32]), NodeNumber(1), Arc::new(now));
    let (counted, summed) = (Arc::clone(&commits), Arc::clone(&changes));
    options.on_commit = Some(Arc::new(move |report| {
        counted.fetch_add(1, Ordering::Relaxed);
        summed.fetch_add(report.changes as u64, Ordering::Relaxed);
    }));
    let store = EmbeddedStore::open(folder, options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let maker = Arc::new(Maker::new(&*store, terms_each));
    let (cpu, written, started) = (cpu_time(), bytes_written(), Instant::now());
    let acks = runtime.block_on(async {
        let one = || tokio::spawn(live(Arc::clone(&store), Arc::clone(&maker), started + lasts));
        let tasks: Vec<_> = (0..in_flight).map(|_| one()).collect();
        let mut acks = Vec::new();
        for task in tasks {
            acks.extend(task.await.unwrap());
        }
        acks
    });
    let (took, cpu, written) = (started.elapsed(), cpu_time() - cpu, bytes_written() - written);
    runtime.block_on(store.close()).unwrap();
    drop(store);
    let kept = std::fs::metadata(folder.join("steadfast.db")).unwrap().len();
    report([in_flight, terms_each], acks, took, cpu, [kept, written], per(&changes, &commits));
}

fn per(sum: &AtomicU64, count: &AtomicU64) -> f64 {
    sum.load(Ordering::Relaxed) as f64 / count.load(Ordering::Relaxed) as f64
}

fn report(
    [in_flight, terms]: [usize; 2],
    mut acks: Vec<Duration>,
    took: Duration,
    cpu: Duration,
    bytes: [u64; 2],
    batch: f64,
) {
    acks.sort();
    let leads = acks.len() as f64;
    let at = |share: f64| acks[((leads - 1.0) * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{in_flight:>9}  {terms:>5}  {:>12.0}  {:>11.1}  {:>10.2}  {:>10.2}  {batch:>5.0}  {:>10.0}  {:>13.0}",
        leads / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / leads,
        at(0.5),
        at(0.99),
        bytes[0] as f64 / leads,
        bytes[1] as f64 / leads,
    );
}

/// Lifecycles one after the other; gives how long each acceptance took.
async fn live(store: Arc<EmbeddedStore>, maker: Arc<Maker>, until: Instant) -> Vec<Duration> {
    let mut acks = Vec::new();
    while Instant::now() < until {
        let acceptance = maker.acceptance();
        let mut delivery = acceptance.deliveries[0].clone();
        let given = Instant::now();
        assert_eq!(store.accept(acceptance).await, Ok(Accepted::New));
        acks.push(given.elapsed());
        store.take(delivery.id);
        if (delivery.id.raw() as u64).is_multiple_of(RETRIED_EVERY) {
            let retried = settlement(&*store, &delivery, State::Waiting { due: now() });
            delivery = retried.delivery.clone();
            assert_eq!(store.settle(retried).await, Ok(Settled::Applied));
            store.take(delivery.id);
        }
        let delivered = State::Delivered { at: now(), probable: false, by_hand: false };
        let delivered = settlement(&*store, &delivery, delivered);
        assert_eq!(store.settle(delivered).await, Ok(Settled::Applied));
    }
    acks
}

struct Maker {
    ids: Mutex<IdSequence>,
    fields: Fields,
    key: TermKey,
    terms_each: usize,
}

impl Maker {
    /// Fields of about 1 KB as JSON.
    fn new(store: &dyn Store, terms_each: usize) -> Self {
        let mut fields = Fields::new();
        for number in 0..25 {
            let name = format!("field_number_{number}");
            fields.insert(&name, Value::text("a value of twenty one")).unwrap();
        }
        let identity = store.identity();
        Maker {
            ids: Mutex::new(IdSequence::resuming(identity.node, identity.last_id)),
            fields,
            key: identity.term_key,
            terms_each,
        }
    }

    /// As many search terms as asked for, an email and a phone by default, and a mark where there are any.
    fn terms(&self, lead: LeadId, delivery: DeliveryId) -> (Vec<Term>, Vec<(Term, DeliveryId)>) {
        let value = lead.to_string();
        let kinds = ["email", "phone", "email-2", "phone-2"].into_iter().take(self.terms_each);
        let terms: Vec<Term> = kinds.map(|kind| self.key.term(kind, [value.as_str()])).collect();
        let mark = (terms.len() > 2).then(|| (self.key.term("mark", [value.as_str()]), delivery));
        (terms, mark.into_iter().collect())
    }

    fn acceptance(&self) -> Acceptance {
        let now = now();
        let mut ids = self.ids.lock();
        let (lead, delivery): (LeadId, DeliveryId) = (ids.next(now), ids.next(now));
        drop(ids);
        let flow = FlowName::new("auto").unwrap();
        let deliveries = vec![first_delivery(delivery, lead, &flow, now)];
        let kind = EventKind::LeadAccepted { lead, flow: flow.clone(), deliveries: 1, test: false };
        let source = Some(SourceName::new("web").unwrap());
        let lead = Lead { id: lead, flow, source, accepted_at: now, test: false, fields: self.fields.clone() };
        let (terms, marks) = self.terms(lead.id, deliveries[0].id);
        Acceptance {
            lead: Arc::new(lead),
            deliveries,
            terms,
            marks,
            refuse_erased_since: Some(Timestamp::MIN),
            dedupe: None,
            event: Event { at: now, kind },
        }
    }
}

fn first_delivery(id: DeliveryId, lead: LeadId, flow: &FlowName, now: Timestamp) -> Delivery {
    let recipient = format!("recipient-{}", id.raw() as u64 % RECIPIENTS);
    Delivery {
        id,
        lead,
        flow: flow.clone(),
        step: StepName::new("sell").unwrap(),
        endpoint: Endpoint {
            origin: format!("https://{recipient}.example:443").into(),
            recipient: RecipientName::new(&recipient).unwrap(),
        },
        accepted_at: now,
        priority: Priority::Normal,
        test: false,
        tie: Tie::default(),
        choice: None,
        booking: None,
        version: 0,
        attempts: 0,
        progress: LegProgress::default(),
        body: None,
        last_kind: None,
        state: State::Waiting { due: now },
    }
}

fn settlement(store: &dyn Store, before: &Delivery, state: State) -> Settlement {
    let now = now();
    let (outcome, decision) = if let State::Waiting { due } = state {
        let window = Window { earliest: Duration::from_secs(2), latest: Duration::from_millis(2_400) };
        (Outcome::Error(ErrorKind::ServerError), Decision::Retry { retry: 1, due, window, not_before: None })
    } else {
        (Outcome::Success, Decision::Deliver { probable: false })
    };
    let mut delivery = before.clone();
    delivery.version += 1;
    delivery.attempts += 1;
    delivery.last_kind = outcome.kind_name();
    delivery.state = state;
    let settled = AttemptSettled {
        delivery: delivery.id,
        lead: delivery.lead,
        flow: delivery.flow.clone(),
        step: delivery.step.clone(),
        recipient: delivery.endpoint.recipient.clone(),
        attempt: delivery.attempts,
        leg: 0,
        retry: 0,
        outcome,
        decision: decision.name(),
        state: delivery.state.name(),
        late: Duration::from_millis(3),
        took: Duration::from_millis(120),
        since_accepted: now.since(delivery.accepted_at),
        next_in: None,
        test: false,
    };
    let fence = Fence { shard: Shard::of(&delivery.endpoint.recipient), epoch: store.identity().epoch };
    let entry = Entry::Attempt(Box::new(attempt(before, &delivery, outcome, decision, now)));
    let event = Event { at: now, kind: EventKind::AttemptSettled(Box::new(settled)) };
    Settlement { delivery, entry, pause: None, event, fence, tied: None, caps: None }
}

fn attempt(before: &Delivery, after: &Delivery, outcome: Outcome, decision: Decision, now: Timestamp) -> Attempt {
    let body = Bytes::from_static(br#"{"result":{"status":"accepted","id":"4711"},"price":12.50}"#);
    let headers = vec![("content-type".into(), "application/json".into())];
    Attempt {
        number: after.attempts,
        leg: 0,
        revision: 0,
        retry: 0,
        endpoint: after.endpoint.clone(),
        choice: None,
        due: before.state.due().unwrap_or(now),
        started: now,
        ended: now.after(Duration::from_millis(120)),
        evidence: Evidence::of_answer(Answer { status: 200, headers, body_bytes: body.len() as u64, body }),
        verdict: Verdict {
            outcome,
            status: Some(200),
            retryable: None,
            delay: None,
            reason: None,
            price: Some("12.50".into()),
            reference: Some("4711".into()),
            decided_by: "outcome_search_term".into(),
        },
        decision,
        because: "the recipient accepted it".into(),
        config_version: 1,
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

/// User and system time of this process, in ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    Duration::from_millis(ticks.map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum())
}

/// Bytes this process has caused to be written to disk.
fn bytes_written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
}
