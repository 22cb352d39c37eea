//! What deciding costs: reading an answer, the same with decide and settle, admitting, backing off, and whose turn it is.
//!
//! `cargo run --release -p steadfast-retry --example decision_cost` says nanoseconds each on this machine. With a subject and a
//! number of rounds it only does that so often, for whoever counts instructions (`cargo xtask counts`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures"
)]

use bytes::Bytes;
use std::hint::black_box;
use std::time::{Duration, Instant};
use steadfast_lead::{DeliveryId, FlowName, LeadId, Priority, RecipientName, StepName, Timestamp};
use steadfast_retry::fair::{Fair, Party};
use steadfast_retry::policy::{Layer, Level, Policies, RetryPolicy, resolve};
use steadfast_retry::reading::{MatchSettings, PathSettings, ResponseSettings, RuleSettings};
use steadfast_retry::{
    Answer, Delivery, Endpoint, Epoch, Evidence, Fence, InDoubt, LegProgress, Reading, Route, Seed, Sent, Shard, State,
    Terms, Tie, admit, delay, settle,
};

const ROUNDS: u32 = 200_000;
const SLOTS: usize = 512;
const ENDPOINTS: usize = 100;

/// What can be measured, each by one round of it.
type Subject = (&'static str, Box<dyn FnMut()>);

fn main() {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next().and_then(|rounds| rounds.parse().ok())) {
        (Some(wanted), Some(rounds)) => {
            let (_, mut once) = subjects().into_iter().find(|(name, _)| *name == wanted).expect("no such subject");
            (0..rounds).for_each(|_: u32| once());
        }
        _ => subjects().into_iter().for_each(|(name, once)| println!("{name}: {} ns", nanos(once))),
    }
}

fn subjects() -> Vec<Subject> {
    let (answer, plain, mapped) = (evidence(), Reading::default(), reading());
    let (told, seen, known) = (answer.clone(), answer.clone(), delivery());
    let (table, waiting, standard) = (reading(), delivery(), policy());
    let own = policy();
    let mut turns = Turns::new();
    vec![
        ("read-by-status", Box::new(move || drop(black_box(plain.read(black_box(&answer)))))),
        ("read-by-table", Box::new(move || drop(black_box(mapped.read(black_box(&told)))))),
        ("read-decide-settle", Box::new(move || whole(&table, &known, &standard, seen.clone()))),
        ("admit-and-back-off", Box::new(move || admitted(&waiting, &own))),
        ("turn", Box::new(move || turns.take())),
    ]
}

fn whole(reading: &Reading, delivery: &Delivery, policy: &RetryPolicy, evidence: Evidence) {
    let terms = Terms {
        policy,
        seed: Seed(1),
        in_doubt: InDoubt::Retry { floor: Duration::ZERO },
        config_version: 1,
        fence: Fence { shard: Shard(1), epoch: Epoch(1) },
        body_kept_bytes_max: 4_096,
        route: Route::default(),
    };
    let verdict = reading.read(&evidence);
    let (started, ended) = (Timestamp::from_millis(1_000), Timestamp::from_millis(1_050));
    let endpoint = delivery.endpoint.clone();
    let sent = Sent { started, held_until: None, ended, body: None, endpoint, evidence, verdict };
    drop(black_box(settle(delivery, sent, &terms)));
}

fn admitted(delivery: &Delivery, policy: &RetryPolicy) {
    let (in_doubt, now) = (InDoubt::Retry { floor: Duration::ZERO }, Timestamp::from_millis(1_000));
    drop(black_box(admit(black_box(delivery), policy, in_doubt, None, now)));
    for retry in 1..=3 {
        black_box(delay(policy, Seed(1), black_box(delivery.id), 0, retry));
    }
}

/// All endpoints have something due; each round starts one attempt and ends it.
struct Turns {
    fair: Fair,
    parties: Vec<Party>,
    round: i64,
}

impl Turns {
    fn new() -> Self {
        let mut fair = Fair::new(SLOTS);
        let parties: Vec<Party> = (0..ENDPOINTS).map(|_| fair.add()).collect();
        for party in &parties {
            fair.set_due(*party, Priority::Normal, Some(Timestamp::from_millis(0)));
        }
        Turns { fair, parties, round: 0 }
    }

    fn take(&mut self) {
        self.round += 1;
        let now = Timestamp::from_millis(self.round);
        let turn = self.fair.next(now).expect("all are due");
        self.fair.start(turn, Some(now));
        self.fair.finish(turn.party, Some(Duration::from_millis(20)));
        black_box(self.parties.len());
    }
}

fn policy() -> RetryPolicy {
    resolve(&[(Level::System, &Layer::default())], None, &Policies::default()).unwrap().policy
}

fn nanos(mut once: impl FnMut()) -> u128 {
    let mut best = u128::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        (0..ROUNDS / 5).for_each(|_| once());
        best = best.min(start.elapsed().as_nanos() / u128::from(ROUNDS / 5));
    }
    best
}

fn reading() -> Reading {
    let text = |text: &str| Some(text.into());
    let table = ResponseSettings {
        outcome_search_path: text("result.status"),
        outcome_search_term: text("/^accepted$/"),
        reason_path: text("result.errors[*].message"),
        price_path: text("result.price"),
        reference_path: text("result.id"),
        ..ResponseSettings::default()
    };
    let path = PathSettings { path: "result.code".into(), term: text("/^9\\d{3}$/") };
    let matches = MatchSettings { path: Some(path), ..MatchSettings::default() };
    let rule = RuleSettings { matches, kind: text("server_error"), ..RuleSettings::default() };
    Reading::build(&table, &[rule]).unwrap()
}

fn evidence() -> Evidence {
    let rest: String = (0..24).map(|n| format!(",\"field_{n}\":\"some value of it {n}\"")).collect();
    let body = format!("{{\"result\":{{\"status\":\"accepted\",\"code\":0,\"price\":12.5,\"id\":\"A-1\"}}{rest}}}");
    let headers = vec![("content-type".into(), "application/json".into()), ("server".into(), "x".into())];
    let body_bytes = u64::try_from(body.len()).unwrap();
    Evidence::of_answer(Answer { status: 200, headers, body: Bytes::from(body), body_bytes })
}

fn delivery() -> Delivery {
    Delivery {
        id: DeliveryId::from_raw(42).unwrap(),
        lead: LeadId::from_raw(41).unwrap(),
        flow: FlowName::new("auto").unwrap(),
        step: StepName::new("sell").unwrap(),
        endpoint: Endpoint {
            recipient: RecipientName::new("bank").unwrap(),
            origin: "https://bank.example:443".into(),
        },
        accepted_at: Timestamp::from_millis(900),
        priority: Priority::Normal,
        test: false,
        tie: Tie::default(),
        choice: None,
        booking: None,
        version: 1,
        attempts: 0,
        progress: LegProgress::default(),
        body: None,
        last_kind: None,
        state: State::Waiting { due: Timestamp::from_millis(900) },
    }
}
