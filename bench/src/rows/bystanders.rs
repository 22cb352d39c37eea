//! Two of a hundred recipients are sick, one silent and one fifty times as slow: what the other ninety-eight notice of it.

use super::Bench;
use crate::child::Child;
use crate::load::{Load, next_number};
use crate::quantiles::{Quantiles, median};
use crate::servers::Setup;
use crate::sink::Receipts;
use crate::table::Line;
use anyhow::Result;
use std::time::Duration;
use tokio::time::timeout;

const RECIPIENTS: usize = 100;
const SICK: usize = 2;
const RATE: u32 = 1_000;
/// At the fixed rate, of each server, a round: an even number.
const TURNS: usize = 4;
const SHARE_MIN: f64 = 0.9;
const SLOWER_MAX: f64 = 1.1;
const GROWN_MIB_MAX: f64 = 16.0;
/// What the well are given to take everything after the last post.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one of the two servers showed.
#[derive(Default)]
struct Side {
    /// Of the ninety-eight: delivered a second as fast as it goes, a figure a round.
    rates: Vec<f64>,
    /// From due to taken at a fixed rate, of each turn.
    paced: Vec<Quantiles>,
    memory_mib: Vec<f64>,
}

impl Side {
    fn p99_ms(&self) -> f64 {
        p99_ms(&self.paced)
    }

    /// The same of every other turn, and of the turns between: how far two measurements of one thing are apart.
    fn halves_ms(&self) -> [f64; 2] {
        [0, 1].map(|first| p99_ms(self.paced.iter().skip(first).step_by(2)))
    }

    fn grown_mib(&self) -> f64 {
        self.last_mib() - self.first_mib()
    }

    fn first_mib(&self) -> f64 {
        self.memory_mib.first().copied().unwrap_or_default()
    }

    fn last_mib(&self) -> f64 {
        self.memory_mib.last().copied().unwrap_or_default()
    }
}

fn p99_ms<'a>(turns: impl IntoIterator<Item = &'a Quantiles>) -> f64 {
    Quantiles::together(turns).at(0.99) as f64 / 1e3
}

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
    let mut sides = [Side::default(), Side::default()];
    for _ in 0..bench.rounds() {
        for at in [0, 1] {
            sides[at].rates.push(fast(bench, servers[at]).await?);
        }
        // In short turns, and each first as often as the other, so that what the machine does besides meets both.
        for turn in 0..TURNS {
            for at in [turn % 2, (turn + 1) % 2] {
                sides[at].paced.push(paced(bench, servers[at]).await?);
            }
        }
        for at in [0, 1] {
            sides[at].memory_mib.push(servers[at].1.usage()?.rss_bytes as f64 / f64::from(1 << 20));
        }
    }
    // The sick one's deliveries would keep it from ending for long: it is killed.
    drop(sick_server);
    well_server.stop().await?;
    let [well, sick] = sides;
    Ok(vec![noticed(&well, &sick), grown(&well, &sick)])
}

fn noticed(well: &Side, sick: &Side) -> Line {
    let share = median(sick.rates.iter().zip(&well.rates).map(|(sick, well)| sick / well));
    let rate = |side: &Side| median(side.rates.iter().copied());
    let halves = well.halves_ms();
    Line {
        row: "bystanders",
        what: "98 recipients beside one that is silent and one 50 times as slow".to_owned(),
        target: "throughput at least 0.9, p99 within 10 %",
        measured: format!("{:.0}/s, share {share:.2}, p99 {:.2} ms at 1,000/s", rate(sick), sick.p99_ms()),
        beside: format!(
            "all well {:.0}/s, p99 {:.2} ms (its halves {:.2} and {:.2})",
            rate(well),
            well.p99_ms(),
            halves[0],
            halves[1]
        ),
        met: Some(share >= SHARE_MIN && sick.p99_ms() <= well.p99_ms() * SLOWER_MAX),
    }
}

fn grown(well: &Side, sick: &Side) -> Line {
    Line {
        row: "bystanders-memory",
        what: "memory of the two servers, after the first round and after the last".to_owned(),
        target: "flat: no more than the well one's, and 16 MiB",
        measured: format!("{:.0} MiB, {:.0} MiB", sick.first_mib(), sick.last_mib()),
        beside: format!("all well {:.0} MiB, {:.0} MiB", well.first_mib(), well.last_mib()),
        met: Some(sick.grown_mib() <= well.grown_mib().max(0.0) + GROWN_MIB_MAX),
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
