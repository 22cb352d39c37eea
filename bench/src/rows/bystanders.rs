//! Two of a hundred recipients are sick, one silent and one fifty times as slow: what the other ninety-eight notice of it.

use super::Bench;
use crate::child::Child;
use crate::load::{Load, next_number};
use crate::quantiles::median;
use crate::servers::Setup;
use crate::sink::Receipts;
use crate::table::Line;
use anyhow::Result;
use std::time::Duration;
use tokio::time::timeout;

const RECIPIENTS: usize = 100;
const SICK: usize = 2;
const RATE: u32 = 1_000;
const SHARE_MIN: f64 = 0.9;
const SLOWER_MAX: f64 = 1.1;
const GROWN_MIB_MAX: f64 = 16.0;
/// What the well are given to take everything after the last post.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures.
///
/// # Errors
/// When a lead of the ninety-eight was lost on the way.
pub(crate) async fn run(bench: &Bench) -> Result<Vec<Line>> {
    let well =
        Setup { recipient: "concurrency = 64", ..Setup { paths: vec!["/brisk"; RECIPIENTS], ..Setup::plain(1) } };
    let mut sick = well.clone();
    (sick.paths[0], sick.paths[1]) = ("/hole", "/slow");
    let folders = (bench.folder()?, bench.folder()?);
    let well_server = bench.programs.server(folders.0.path(), &well, &bench.sink)?;
    let sick_server = bench.programs.server(folders.1.path(), &sick, &bench.sink)?;
    let (mut shares, mut with, mut without) = (Vec::new(), Vec::new(), Vec::new());
    let mut memory = Vec::new();
    for _ in 0..bench.rounds() {
        let quiet = rates(bench, &well, &well_server).await?;
        let beside = rates(bench, &sick, &sick_server).await?;
        shares.push(beside.0 / quiet.0);
        without.push(quiet);
        with.push(beside);
        memory.push((mib(&sick_server)?, mib(&well_server)?));
    }
    let (first, last) = (memory.first().copied().unwrap_or_default(), memory.last().copied().unwrap_or_default());
    // The sick one's deliveries would keep it from ending for long: it is killed.
    drop(sick_server);
    well_server.stop().await?;
    let share = median(shares);
    let figures = |rounds: &[(f64, f64)]| {
        (median(rounds.iter().map(|round| round.0)), median(rounds.iter().map(|round| round.1)))
    };
    let ((rate, p99), (quiet_rate, quiet_p99)) = (figures(&with), figures(&without));
    let memory = Line {
        row: "bystanders-memory",
        what: "memory of the two servers, after the first round and after the last".to_owned(),
        target: "flat: no more than the well one's, and 16 MiB",
        measured: format!("{:.0} MiB, {:.0} MiB", first.0, last.0),
        beside: format!("all well {:.0} MiB, {:.0} MiB", first.1, last.1),
        met: Some(last.0 - first.0 <= (last.1 - first.1).max(0.0) + GROWN_MIB_MAX),
    };
    let throughput = Line {
        row: "bystanders",
        what: "98 recipients beside one that is silent and one 50 times as slow".to_owned(),
        target: "throughput at least 0.9, p99 within 10 %",
        measured: format!("{rate:.0}/s, share {share:.2}, p99 {p99:.1} ms at 1,000/s"),
        beside: format!("all well {quiet_rate:.0}/s, p99 {quiet_p99:.1} ms"),
        met: Some(share >= SHARE_MIN && p99 <= quiet_p99 * SLOWER_MAX),
    };
    Ok(vec![throughput, memory])
}

fn mib(server: &Child) -> Result<f64> {
    Ok(server.usage()?.rss_bytes as f64 / f64::from(1 << 20))
}

/// Of the ninety-eight: delivered a second as fast as it goes, and p99 in milliseconds from due to taken at a fixed rate.
async fn rates(bench: &Bench, setup: &Setup, server: &Child) -> Result<(f64, f64)> {
    let leads = bench.scaled(10_000, 40_000);
    let (began_us, fast) = one(bench, setup, server, (leads, None)).await?;
    let span_s = fast.last_taken_us.saturating_sub(began_us).max(1) as f64 / 1e6;
    let steady = u64::from(RATE) * bench.scaled(5, 15);
    let (_, paced) = one(bench, setup, server, (steady, Some(RATE))).await?;
    Ok((fast.delivered as f64 / span_s, paced.to_taken.at(0.99) as f64 / 1e3))
}

async fn one(
    bench: &Bench,
    setup: &Setup,
    server: &Child,
    (leads, rate): (u64, Option<u32>),
) -> Result<(u64, Receipts)> {
    bench.sink.begin(next_number());
    let load = Load { to: server.address(), paths: setup.posts(), leads, connections: 64, rate };
    let posted = load.post().await?;
    let is_well = |place: usize| place % RECIPIENTS >= SICK;
    let wanted = (0..usize::try_from(leads)?).filter(|place| is_well(*place)).count();
    timeout(PATIENCE, bench.sink.wait_for(wanted, is_well)).await?;
    Ok((posted.began_us, bench.sink.receipts(is_well)))
}
