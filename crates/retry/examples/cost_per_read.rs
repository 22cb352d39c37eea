//! What reading an answer costs: classify alone, and with decide and settle, in nanoseconds each, on this machine.
//!
//! `cargo run --release -p steadfast-retry --example cost_per_read`

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, reason = "it measures")]

use bytes::Bytes;
use std::hint::black_box;
use std::time::{Duration, Instant};
use steadfast_lead::{DeliveryId, FlowName, LeadId, Priority, RecipientName, StepName, Timestamp};
use steadfast_retry::policy::{Layer, Level, Policies, resolve};
use steadfast_retry::reading::{MatchSettings, PathSettings, ResponseSettings, RuleSettings};
use steadfast_retry::{
    Answer, Delivery, Endpoint, Epoch, Evidence, Fence, InDoubt, LegProgress, Reading, Seed, Sent, Shard, State, Terms,
    settle,
};

const ROUNDS: u32 = 200_000;

fn main() {
    let evidence = evidence();
    let bytes = evidence.answer.as_ref().unwrap().body.len();
    println!("body: {bytes} bytes of JSON, one rule with a path, a table with four paths; {ROUNDS} rounds");
    let (reading, plain) = (reading(), Reading::default());
    println!("built-in table alone: {} ns", nanos(|| drop(black_box(plain.read(black_box(&evidence))))));
    println!("rule and table: {} ns", nanos(|| drop(black_box(reading.read(black_box(&evidence))))));
    let delivery = delivery();
    let policy = resolve(&[(Level::System, &Layer::default())], None, &Policies::default()).unwrap().policy;
    let terms = Terms {
        policy: &policy,
        seed: Seed(1),
        in_doubt: InDoubt::Retry { floor: Duration::ZERO },
        config_version: 1,
        fence: Fence { shard: Shard(1), epoch: Epoch(1) },
        body_kept_bytes_max: 4_096,
    };
    let whole = nanos(|| {
        let evidence = evidence.clone();
        let verdict = reading.read(&evidence);
        let (started, ended) = (Timestamp::from_millis(1_000), Timestamp::from_millis(1_050));
        let endpoint = delivery.endpoint.clone();
        let sent = Sent { started, held_until: None, ended, body: None, endpoint, evidence, verdict };
        drop(black_box(settle(&delivery, sent, &terms)));
    });
    println!("rule and table, decide, settle: {whole} ns");
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
        version: 1,
        attempts: 0,
        progress: LegProgress::default(),
        body: None,
        last_kind: None,
        state: State::Waiting { due: Timestamp::from_millis(900) },
    }
}
