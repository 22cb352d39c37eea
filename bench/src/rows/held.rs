//! Many deliveries held behind one open breaker: what they cost, what the others notice, and how they come out again.

use super::Bench;
use super::turns::{in_turns, noticed};
use super::waiting::counted;
use crate::child::Child;
use crate::clock::now_us;
use crate::http1::Connection;
use crate::load::Load;
use crate::prepare::{Waiting, prepare};
use crate::round::Plan;
use crate::servers::{Setup, recipient};
use crate::table::Line;
use anyhow::{Result, ensure};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The first is the one that fails.
const RECIPIENTS: usize = 21;
const SETUP: Setup =
    Setup { paths: Vec::new(), retry: "", retention: "", recipient: "concurrency = 64", queue_capacity: 0 };
/// What the first takes while it is well, leads a second.
const TAKES: u32 = 100;
const RATE: u32 = 1_000;
const CONNECTIONS: usize = 64;
const SETTLES: Duration = Duration::from_secs(5);
/// Nothing comes and nothing goes: what is written then is written for what is held.
const IDLE: Duration = Duration::from_secs(10);
const WATCHED: Duration = Duration::from_secs(80);
const BUCKET: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

const RSS_MIB_MAX: f64 = 150.0;
/// A probe or two, each some pages of the store: far less than a byte for each that is held.
const WRITTEN_MAX: u64 = 256 * 1_024;
/// Of what it took before: a bucket's edge may fall between two.
const MORE_MAX: f64 = 1.1;

/// Measures.
///
/// # Errors
/// When the store cannot be prepared, the breaker does not open, or a lead was lost on the way.
pub(crate) async fn run(bench: &Bench) -> Result<Vec<Line>> {
    let folder = bench.folder()?;
    let mut paths = vec!["/ok"; RECIPIENTS];
    paths[0] = "/down";
    let setup = Setup { paths, queue_capacity: bench.waiting + 1_000_000, ..SETUP };
    let posts = setup.posts();
    bench.sink.set_down(false);
    let server = bench.programs.server(folder.path(), &setup, &bench.sink)?;
    let well = well(bench, &server, &posts[..1]).await?;
    open(bench, &server, &posts[0]).await?;
    server.stop().await?;
    // They came while it was down, and have been due since.
    let origin = format!("http://{}", bench.sink.address()).into();
    let (waits, spread) = (Duration::ZERO, Duration::ZERO);
    let (deliveries, recipients) = (bench.waiting, 1);
    prepare(
        folder.path(),
        &Waiting { deliveries, recipients, origin, waits, spread, answered: None, ago: Duration::ZERO },
    )
    .await?;
    let server = bench.programs.server(folder.path(), &setup, &bench.sink)?;
    sleep(SETTLES).await;
    let idle = server.usage()?;
    sleep(IDLE).await;
    let written = server.usage()?.written_bytes - idle.written_bytes;
    let none_held = bench.folder()?;
    let other = bench.programs.server(none_held.path(), &setup, &bench.sink)?;
    let servers = [&other, &server];
    let fast =
        Plan { paths: posts[1..].into(), leads: bench.scaled(10_000, 40_000), connections: CONNECTIONS, rate: None };
    let paced = Plan { leads: u64::from(RATE) * bench.scaled(2, 4), rate: Some(RATE), ..fast.clone() };
    let [without, with] = in_turns(
        bench,
        servers,
        async |at| Ok(fast.run(&bench.sink, servers[at]).await?.delivered_per_s),
        async |at| Ok(paced.run(&bench.sink, servers[at]).await?.receipts.to_taken),
    )
    .await?;
    other.stop().await?;
    let drained = drain(bench, &server).await?;
    // Most of it waits still.
    drop(server);
    let what = |of: &str| format!("{of}, {} held behind one open breaker", counted(bench.waiting));
    let used = [&without, &with].map(|side| side.memory_bytes()[1]);
    let cost = cost(what("what they cost"), [idle.rss_bytes, used[1]], used[0], written);
    Ok(vec![cost, noticed("held-bystanders", what("20 others"), [&without, &with]), ramp(well, &drained)])
}

fn cost(what: String, [fresh, used]: [u64; 2], without: u64, written: u64) -> Line {
    let [fresh, used, without] = [fresh, used, without].map(|bytes| bytes as f64 / f64::from(1 << 20));
    Line {
        row: "held-cost",
        what,
        target: "no write for what is held; memory as with as many waiting, at most 150 MiB",
        measured: format!(
            "{written} bytes written in {} s without load; {fresh:.0} MiB after the start, {used:.0} MiB after the others' load",
            IDLE.as_secs()
        ),
        beside: format!("{without:.0} MiB after the same load with none held"),
        met: Some(written <= WRITTEN_MAX && used <= RSS_MIB_MAX),
    }
}

fn ramp(well: f64, drained: &[f64]) -> Line {
    let most = drained.iter().copied().fold(0.0, f64::max);
    let rises = drained.len() > 2 && drained[0] < most / 2.0;
    let shown: Vec<String> = drained.iter().map(|per_s| format!("{per_s:.0}")).collect();
    Line {
        row: "held-ramp",
        what: format!("attempts a second once it is well again, {} s each", BUCKET.as_secs()),
        target: "a ramp, never above what it took before",
        measured: shown.join(", "),
        beside: format!("before {well:.0}/s"),
        met: Some(rises && most <= well * MORE_MAX),
    }
}

/// What the first takes while it is well.
async fn well(bench: &Bench, server: &Child, post: &[String]) -> Result<f64> {
    let leads = u64::from(TAKES) * bench.scaled(10, 20);
    let load = Load { to: server.address(), paths: post.into(), leads, connections: 4, rate: Some(TAKES) };
    bench.sink.begin(1);
    load.post().await?;
    let all = usize::try_from(leads)?;
    timeout(PATIENCE, bench.sink.wait_for_arrivals(all)).await?;
    let arrivals = bench.sink.arrivals();
    let span_us = arrivals[all - 1].saturating_sub(arrivals[0]).max(1);
    Ok(leads as f64 * 1e6 / span_us as f64)
}

/// The first fails from now on; a few leads, and its breaker is open.
async fn open(bench: &Bench, server: &Child, post: &str) -> Result<()> {
    bench.sink.set_down(true);
    let load =
        Load { to: server.address(), paths: [post.to_owned()].into(), leads: 20, connections: 1, rate: Some(20) };
    load.post().await?;
    let mut connection = Connection::new(server.address());
    let is_open = async {
        loop {
            let (_, said) = connection.get(&format!("/v1/recipients/{}", recipient(0))).await?;
            if String::from_utf8_lossy(&said).contains(r#""state":"open""#) {
                return Ok::<_, anyhow::Error>(());
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, is_open).await?
}

/// It is well again, and a person has it probed: what arrives a second.
async fn drain(bench: &Bench, server: &Child) -> Result<Vec<f64>> {
    bench.sink.begin(1);
    bench.sink.set_down(false);
    let said = Bytes::from_static(br#"{"verb":"probe","reason":"it is well again"}"#);
    let path = format!("/v1/recipients/{}/breaker", recipient(0));
    let (status, _) = Connection::new(server.address()).post(&path, said).await?;
    ensure!(status.is_success(), "the breaker cannot be told to probe: {status}");
    let from = now_us();
    sleep(WATCHED).await;
    let arrivals = bench.sink.arrivals();
    let bucket_us = u64::try_from(BUCKET.as_micros())?;
    let buckets = WATCHED.as_micros() / BUCKET.as_micros();
    let count = |bucket: u64| {
        let from = from + bucket * bucket_us;
        arrivals.iter().filter(|at| (from..from + bucket_us).contains(*at)).count() as f64 / BUCKET.as_secs_f64()
    };
    Ok((0..u64::try_from(buckets)?).map(count).collect())
}
