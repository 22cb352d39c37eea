//! Many deliveries waiting in the store: start, memory, lists, retries on time, and throughput beside an empty store.

use super::Bench;
use crate::child::Child;
use crate::clock::now_us;
use crate::http1::Connection;
use crate::prepare::{Waiting, prepare};
use crate::quantiles::{Quantiles, median};
use crate::round::{Plan, Round, over};
use crate::servers::Setup;
use crate::table::Line;
use anyhow::{Result, ensure};
use std::time::Duration;
use tokio::time::sleep;

/// The first half of the recipients takes, the second refuses every first attempt.
const RECIPIENTS: usize = 200;
const RATE: u32 = 1_000;
const CONNECTIONS: usize = 64;
/// Retries come after exactly this, so that the recipient can tell how late they are.
const DELAY: Duration = Duration::from_secs(2);
const RETRY: &str = "backoff = \"fixed\"\ninitial_delay = \"2s\"\njitter = \"none\"\n";
/// Breaker and budget are off: every first attempt to half of the recipients is refused, which they exist to stop.
const UNGUARDED: &str = "retry_budget = false\nbreaker = { mode = \"off\" }\nconcurrency = 64\n";
const SETTLES: Duration = Duration::from_secs(3);
const MANY: u64 = 10_000_000;
const LATE_P50_MS_MAX: f64 = 3.0;
const LATE_P99_MS_MAX: f64 = 20.0;
const LIST_P95_MS_MAX: f64 = 50.0;
const SHARE_MIN: f64 = 0.9;

/// What a person looking at the desk asks for.
const QUESTIONS: [&str; 9] = [
    "/v1/deliveries",
    "/v1/deliveries?state=waiting",
    "/v1/deliveries?state=delivered&limit=200",
    "/v1/deliveries?state=waiting&recipient=recipient-7",
    "/v1/deliveries?flow=flow-3&limit=200",
    "/v1/deliveries?kind=server_error",
    "/v1/deliveries?q=nobody@example.com",
    "/v1/review",
    "/v1/stats",
];

/// Measures.
///
/// # Errors
/// When the store cannot be prepared, or a lead was lost on the way.
pub(crate) async fn run(bench: &Bench) -> Result<Vec<Line>> {
    let folder = bench.folder()?;
    let deliveries = bench.waiting;
    let origin = format!("http://{}", bench.sink.address()).into();
    // Each was refused once, and waits for its retry.
    let (answered, ago, waits, spread) = (Some(503), Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let waiting = Waiting { deliveries, recipients: RECIPIENTS, origin, waits, spread, answered, ago };
    prepare(folder.path(), &waiting).await?;
    let setup = setup(deliveries);
    let mut ready = Vec::new();
    for _ in 0..bench.rounds() {
        let began = now_us();
        let server = bench.programs.server(folder.path(), &setup, &bench.sink)?;
        ready.push((now_us() - began) as f64 / 1e6);
        server.stop().await?;
    }
    let server = bench.programs.server(folder.path(), &setup, &bench.sink)?;
    sleep(SETTLES).await;
    let fresh = server.usage()?.rss_bytes;
    let mut lines = beside_empty(bench, &setup, &server).await?;
    lines.push(lists(bench, &setup, &server).await?);
    lines.push(lateness(bench, &setup, &server).await?);
    let used = server.usage()?.rss_bytes;
    server.stop().await?;
    lines.insert(0, cold_start(deliveries, median(ready)));
    lines.insert(1, memory(deliveries, [fresh, used]));
    Ok(lines)
}

fn setup(deliveries: u64) -> Setup {
    let takes = (0..RECIPIENTS / 2).map(|_| "/ok");
    let refuses = (0..RECIPIENTS / 2).map(|_| "/fail-first");
    let paths = takes.chain(refuses).collect();
    Setup { paths, retry: RETRY, retention: "", recipient: UNGUARDED, queue_capacity: deliveries + 1_000_000 }
}

/// 100,000 as people write it.
pub(super) fn counted(number: u64) -> String {
    match number {
        1_000_000.. => format!("{} million", number as f64 / 1e6),
        _ => format!("{} thousand", number as f64 / 1e3),
    }
}

fn cold_start(deliveries: u64, ready_s: f64) -> Line {
    Line {
        row: "cold-start-waiting",
        what: format!("from start to ready, {} waiting", counted(deliveries)),
        target: "at most 1 s with 10 million",
        measured: format!("{ready_s:.3} s"),
        beside: String::new(),
        met: Some(ready_s <= 1.0),
    }
}

fn memory(deliveries: u64, rss: [u64; 2]) -> Line {
    let max_mib = if deliveries >= MANY { 300.0 } else { 150.0 };
    let [fresh, used] = rss.map(|bytes| bytes as f64 / f64::from(1 << 20));
    Line {
        row: "memory-waiting",
        what: format!("memory with {} waiting, after the start and after the load", counted(deliveries)),
        target: "at most 150 MiB with 1 million, 300 with 10 million",
        measured: format!("{fresh:.0} MiB, {used:.0} MiB"),
        beside: String::new(),
        met: Some(used <= max_mib),
    }
}

/// Throughput with everything stored, and over an empty store, in turn.
async fn beside_empty(bench: &Bench, setup: &Setup, full: &Child) -> Result<Vec<Line>> {
    let folder = bench.folder()?;
    let empty = bench.programs.server(folder.path(), setup, &bench.sink)?;
    let paths = setup.posts().iter().take(RECIPIENTS / 2).cloned().collect();
    let plan = Plan { paths, leads: bench.scaled(10_000, 40_000), connections: 32, rate: None };
    let (mut with, mut without): (Vec<Round>, Vec<Round>) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        without.push(plan.run(&bench.sink, &empty).await?);
        with.push(plan.run(&bench.sink, full).await?);
    }
    empty.stop().await?;
    let share = median(with.iter().zip(&without).map(|(with, without)| with.delivered_per_s / without.delivered_per_s));
    let rate = |rounds: &[Round]| over(rounds, |round| round.delivered_per_s);
    Ok(vec![Line {
        row: "throughput-waiting",
        what: format!("delivered a second, 32 connections, {} stored", counted(bench.waiting)),
        target: "at least 0.9 of an empty store's",
        measured: format!("{:.0}/s, share {share:.2}", rate(&with)),
        beside: format!("empty store {:.0}/s", rate(&without)),
        met: Some(share >= SHARE_MIN),
    }])
}

/// Lists and figures while leads flow.
async fn lists(bench: &Bench, setup: &Setup, server: &Child) -> Result<Line> {
    let paths = setup.posts().iter().take(RECIPIENTS / 2).cloned().collect();
    let leads = u64::from(RATE) * bench.scaled(5, 20);
    let plan = Plan { paths, leads, connections: CONNECTIONS, rate: Some(RATE) };
    let flowing = plan.run(&bench.sink, server);
    tokio::pin!(flowing);
    let mut connection = Connection::new(server.address());
    let mut took: Vec<Vec<u64>> = vec![Vec::new(); QUESTIONS.len()];
    let asking = async {
        loop {
            for (question, took) in QUESTIONS.iter().zip(&mut took) {
                let began = now_us();
                let (status, said) = connection.get(question).await?;
                ensure!(status.is_success(), "{question} was answered {status}: {}", String::from_utf8_lossy(&said));
                took.push(now_us() - began);
            }
        }
        #[allow(unreachable_code, reason = "says what the loop ends with")]
        Ok(())
    };
    tokio::select! {
        done = &mut flowing => drop(done?),
        asked = asking => asked?,
    }
    let all = Quantiles::of(took.iter().flatten().copied().collect());
    let each = took.into_iter().map(|took| Quantiles::of(took).at(0.95)).zip(QUESTIONS);
    let (worst, question) = each.max().unwrap_or_default();
    let [p95, worst] = [all.at(0.95), worst].map(|us| us as f64 / 1e3);
    Ok(Line {
        row: "lists-waiting",
        what: format!("lists, filters, search and figures while 1,000 leads/s flow, {} stored", counted(bench.waiting)),
        target: "p95 at most 50 ms",
        measured: format!(
            "p95 {p95:.1} ms over {} questions; of the slowest, `{question}`, {worst:.1} ms",
            all.count()
        ),
        beside: String::new(),
        met: Some(worst <= LIST_P95_MS_MAX),
    })
}

/// Every lead is refused once, and its retry timed by the recipient.
async fn lateness(bench: &Bench, setup: &Setup, server: &Child) -> Result<Line> {
    let paths = setup.posts().iter().skip(RECIPIENTS / 2).cloned().collect();
    let leads = u64::from(RATE) * bench.scaled(10, 30);
    let plan = Plan { paths, leads, connections: CONNECTIONS, rate: Some(RATE) };
    let round = plan.run(&bench.sink, server).await?;
    let gaps = &round.receipts.gaps;
    let late = |share| (gaps.at(share) as f64 - DELAY.as_secs_f64() * 1e6) / 1e3;
    let (earliest, p50, p99) = (late(0.0), late(0.5), late(0.99));
    Ok(Line {
        row: "lateness-1000",
        what: format!(
            "how late retries come, 1,000 retries/s beside 1,000 first attempts/s, {} recipients, {} waiting",
            RECIPIENTS / 2,
            counted(bench.waiting)
        ),
        target: "never early; p50 at most 3 ms, p99 at most 20 ms",
        measured: format!("earliest {earliest:.1} ms, p50 {p50:.1} ms, p99 {p99:.1} ms, of {} retries", gaps.count()),
        beside: String::new(),
        met: Some(earliest >= 0.0 && p50 <= LATE_P50_MS_MAX && p99 <= LATE_P99_MS_MAX),
    })
}
