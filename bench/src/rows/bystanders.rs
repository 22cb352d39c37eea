//! Two of a hundred recipients are sick, one silent and one fifty times as slow: what the other ninety-eight notice of it.

use super::Bench;
use super::turns::{in_turns, noticed};
use crate::child::Child;
use crate::load::{Load, next_number};
use crate::quantiles::Quantiles;
use crate::servers::Setup;
use crate::sink::Receipts;
use crate::table::Line;
use anyhow::Result;
use std::time::Duration;
use tokio::time::timeout;

const RECIPIENTS: usize = 100;
const SICK: usize = 2;
const RATE: u32 = 1_000;
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
    let servers = [(&well, &well_server), (&sick, &sick_server)];
    let [without, with] = in_turns(
        bench,
        [&well_server, &sick_server],
        async |at| fast(bench, servers[at]).await,
        async |at| paced(bench, servers[at]).await,
    )
    .await?;
    // The sick one's deliveries would keep it from ending for long: it is killed.
    drop(sick_server);
    well_server.stop().await?;
    let what = "98 recipients beside one that is silent and one 50 times as slow".to_owned();
    let grown = grown(without.memory_bytes().map(mib), with.memory_bytes().map(mib));
    Ok(vec![noticed("bystanders", what, [&without, &with]), grown])
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Each after the first round and after the last.
fn grown(well: [f64; 2], sick: [f64; 2]) -> Line {
    Line {
        row: "bystanders-memory",
        what: "memory of the two servers, after the first round and after the last".to_owned(),
        target: "flat: no more than the well one's, and 16 MiB",
        measured: format!("{:.0} MiB, {:.0} MiB", sick[0], sick[1]),
        beside: format!("all well {:.0} MiB, {:.0} MiB", well[0], well[1]),
        met: Some(sick[1] - sick[0] <= (well[1] - well[0]).max(0.0) + GROWN_MIB_MAX),
    }
}

/// Of the ninety-eight: delivered a second as fast as it goes.
async fn fast(bench: &Bench, server: (&Setup, &Child)) -> Result<f64> {
    let (began_us, seen) = one(bench, server, bench.scaled(10_000, 40_000), None).await?;
    Ok(seen.delivered as f64 * 1e6 / seen.last_taken_us.saturating_sub(began_us).max(1) as f64)
}

/// Of the ninety-eight: from due to taken at a fixed rate, a turn.
async fn paced(bench: &Bench, server: (&Setup, &Child)) -> Result<Quantiles> {
    let leads = u64::from(RATE) * bench.scaled(2, 4);
    Ok(one(bench, server, leads, Some(RATE)).await?.1.to_taken)
}

async fn one(
    bench: &Bench,
    (setup, server): (&Setup, &Child),
    leads: u64,
    rate: Option<u32>,
) -> Result<(u64, Receipts)> {
    bench.sink.begin(next_number());
    let load = Load { to: server.address(), paths: setup.posts(), leads, connections: 64, rate };
    let posted = load.post().await?;
    let is_well = |place: usize| place % RECIPIENTS >= SICK;
    let wanted = (0..usize::try_from(leads)?).filter(|place| is_well(*place)).count();
    timeout(PATIENCE, bench.sink.wait_for(wanted, is_well)).await?;
    Ok((posted.began_us, bench.sink.receipts(is_well)))
}
