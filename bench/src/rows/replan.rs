//! A changed policy reaches many waiting retries, in paced batches while leads are delivered.

use super::Bench;
use crate::child::Child;
use crate::clock::now_us;
use crate::http1::Connection;
use crate::prepare::{Waiting, prepare};
use crate::quantiles::median;
use crate::round::{Plan, Round};
use crate::servers::Setup;
use crate::table::Line;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::time::sleep;

const RECIPIENTS: usize = 50;
/// What the prepared retries were planned by, and what they are to follow.
const BEFORE: &str =
    "extended = true\nbackoff = \"fixed\"\ninitial_delay = \"6h\"\nmax_interval = \"6h\"\ntotal_timeout = \"20h\"\n";
const AFTER: &str =
    "extended = true\nbackoff = \"fixed\"\ninitial_delay = \"9h\"\nmax_interval = \"9h\"\ntotal_timeout = \"20h\"\n";
const SETTLES: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const SHARE_MIN: f64 = 0.5;
const RSS_MIB_MAX: f64 = 150.0;

/// Measures.
///
/// # Errors
/// When the store cannot be prepared, the change does not reach what waits, or a lead was lost on the way.
pub(crate) async fn run(bench: &Bench) -> Result<Vec<Line>> {
    let folder = bench.folder()?;
    let origin = format!("http://{}", bench.sink.address()).into();
    let (waits, spread) = (Duration::ZERO, Duration::ZERO);
    let (deliveries, recipients) = (bench.waiting, RECIPIENTS);
    let waiting = Waiting { deliveries, recipients, origin, waits, spread, answered: Some(503), ago: Duration::ZERO };
    prepare(folder.path(), &waiting).await?;
    let server = bench.programs.server(folder.path(), &setup(bench, BEFORE), &bench.sink)?;
    sleep(SETTLES).await;
    let paths = setup(bench, BEFORE).posts();
    let plan = Plan { paths, leads: bench.scaled(5_000, 20_000), connections: 32, rate: None };
    let mut quiet = Vec::new();
    for _ in 0..bench.rounds() {
        quiet.push(plan.run(&bench.sink, &server).await?.delivered_per_s);
    }
    bench.programs.reconfigure(folder.path(), &setup(bench, AFTER), &bench.sink)?;
    let (took, meanwhile, rss) = until_followed(bench, &plan, &server).await?;
    server.stop().await?;
    let (quiet, rate) = (median(quiet), median(meanwhile.iter().map(|round| round.delivered_per_s)));
    let rss = rss as f64 / f64::from(1 << 20);
    Ok(vec![Line {
        row: "replan-waiting",
        what: format!(
            "a changed delay reaches {} waiting retries while 32 connections post; delivered a second meanwhile, and memory",
            bench.waiting
        ),
        target: "at least half of the throughput without it, at most 150 MiB",
        measured: format!(
            "{:.0} s ({:.0} a second), delivered {rate:.0}/s, share {:.2}, {rss:.0} MiB",
            took.as_secs_f64(),
            bench.waiting as f64 / took.as_secs_f64(),
            rate / quiet
        ),
        beside: format!("before the change {quiet:.0}/s"),
        met: Some(rate / quiet >= SHARE_MIN && rss <= RSS_MIB_MAX),
    }])
}

fn setup(bench: &Bench, retry: &'static str) -> Setup {
    Setup { retry, queue_capacity: bench.waiting + 1_000_000, ..Setup::plain(RECIPIENTS) }
}

/// Rounds of leads until everything that waits follows; how long that took, and the most memory held.
async fn until_followed(bench: &Bench, plan: &Plan, server: &Child) -> Result<(Duration, Vec<Round>, u64)> {
    let mut connection = Connection::new(server.address());
    while !told(&mut connection).await?.contains("\"replanning\"") {
        sleep(LOOK_EVERY).await;
    }
    let began = now_us();
    let (mut rounds, mut most) = (Vec::new(), 0);
    let mut finished = None;
    while finished.is_none() {
        rounds.push(plan.run(&bench.sink, server).await?);
        most = most.max(server.usage()?.rss_bytes);
        finished = Some(told(&mut connection).await?).filter(|told| told.contains("\"finished\""));
    }
    let told = finished.context("it is told when everything follows")?;
    ensure!(told.contains(&format!("\"changed\":{}", bench.waiting)), "not all that waited was planned anew: {told}");
    Ok((Duration::from_micros(now_us() - began), rounds, most))
}

/// What the server says about its configuration, without the text.
async fn told(connection: &mut Connection) -> Result<String> {
    let (status, said) = connection.get("/v1/config").await?;
    ensure!(status.is_success(), "/v1/config was answered {status}");
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok(said.split("\"text\"").next().unwrap_or_default().to_owned())
}
