//! As fast as so many connections go: the server and the yardsticks in turn, in the same minutes.

use super::Bench;
use crate::child::Child;
use crate::round::{Plan, Round, ms, over};
use crate::servers::{Setup, bytes_in, data};
use crate::table::Line;
use anyhow::Result;
use std::sync::Arc;

/// How wide, and what is asked of it.
pub(crate) struct Wide {
    connections: usize,
    row: &'static str,
    ack_row: &'static str,
    target: &'static str,
    share_min: f64,
    /// Whether it also fills the rows of processor time and disk.
    costs: bool,
}

pub(crate) const WIDE_32: Wide = Wide {
    connections: 32,
    row: "end-to-end-32",
    ack_row: "ack-closed-32",
    target: "at least 0.5 of the relay with log",
    share_min: 0.5,
    costs: true,
};

pub(crate) const WIDE_256: Wide = Wide {
    connections: 256,
    row: "end-to-end-256",
    ack_row: "ack-closed-256",
    target: "at least 0.4 of the relay with log",
    share_min: 0.4,
    costs: false,
};

const CPU_US_MAX: f64 = 60.0;
const KEPT_KIB_MAX: f64 = 2.5;
const WRITTEN_KIB_MAX: f64 = 8.0;

/// Rounds of each side.
#[derive(Default)]
struct Sides {
    steadfast: Vec<Round>,
    logged: Vec<Round>,
    bare: Vec<Round>,
    other: Vec<Round>,
}

/// Measures.
///
/// # Errors
/// When a lead was lost on the way.
pub(crate) async fn run(bench: &Bench, wide: Wide) -> Result<Vec<Line>> {
    let (folder, other_folder) = (bench.folder()?, bench.folder()?);
    let setup = Setup::plain(1);
    let server = bench.programs.server(folder.path(), &setup, &bench.sink)?;
    let other = bench.other_programs();
    let other = other.map(|other| other.server(other_folder.path(), &setup, &bench.sink)).transpose()?;
    let logged = bench.programs.relay(Some(&folder.path().join("relay.log")), folder.path(), &bench.sink)?;
    let bare = bench.programs.relay(None, folder.path(), &bench.sink)?;
    let leads = bench.scaled(20_000, 60_000);
    let plan = Plan { paths: setup.posts(), leads, connections: wide.connections, rate: None };
    let relayed = Plan { paths: Arc::from(["/".to_owned()]), ..plan.clone() };
    warm_up(bench, [(&plan, &server), (&relayed, &logged), (&relayed, &bare)]).await?;
    let mut sides = Sides::default();
    for _ in 0..bench.rounds() {
        sides.logged.push(relayed.run(&bench.sink, &logged).await?);
        sides.steadfast.push(plan.run(&bench.sink, &server).await?);
        if let Some(other) = &other {
            sides.other.push(plan.run(&bench.sink, other).await?);
        }
        sides.bare.push(relayed.run(&bench.sink, &bare).await?);
    }
    server.stop().await?;
    let delivered = leads * bench.rounds() as u64 + WARM_UP;
    let kept_kib = bytes_in(&data(folder.path()))? as f64 / delivered as f64 / 1_024.0;
    let mut lines = rates(&wide, &sides);
    lines.extend(beside_other(&sides));
    if wide.costs {
        lines.extend(costs(&sides, kept_kib));
    }
    Ok(lines)
}

/// Leads before the first round, so that connections stand and files have grown.
const WARM_UP: u64 = 2_000;

async fn warm_up(bench: &Bench, sides: [(&Plan, &Child); 3]) -> Result<()> {
    for (plan, server) in sides {
        Plan { leads: WARM_UP, ..plan.clone() }.run(&bench.sink, server).await?;
    }
    Ok(())
}

fn rates(wide: &Wide, sides: &Sides) -> Vec<Line> {
    let rate = |rounds: &[Round]| over(rounds, |round| round.delivered_per_s);
    let pairs = sides.steadfast.iter().zip(&sides.logged);
    let shares: Vec<f64> = pairs.map(|(ours, theirs)| ours.delivered_per_s / theirs.delivered_per_s).collect();
    let (least, most) =
        shares.iter().fold((f64::MAX, 0.0_f64), |(least, most), share| (least.min(*share), most.max(*share)));
    let share = crate::quantiles::median(shares);
    let connections = wide.connections;
    let acked = |rounds: &[Round]| over(rounds, |round| round.acknowledged_per_s);
    let acks = |rounds: &[Round]| {
        let at = |share| ms(rounds, |round| &round.posted.acks, share);
        format!("{:.0}/s, p50 {:.1} ms, p99 {:.1} ms", acked(rounds), at(0.5), at(0.99))
    };
    vec![
        Line {
            row: wide.row,
            what: format!("delivered a second, {connections} connections, closed loop"),
            target: wide.target,
            measured: format!("{:.0}/s, share {share:.2} ({least:.2} to {most:.2})", rate(&sides.steadfast)),
            beside: format!("relay with log {:.0}/s, without {:.0}/s", rate(&sides.logged), rate(&sides.bare)),
            met: Some(share >= wide.share_min),
        },
        Line {
            row: wide.ack_row,
            what: format!("acknowledged, {connections} connections, closed loop"),
            target: "",
            measured: acks(&sides.steadfast),
            beside: format!("relay with log {}", acks(&sides.logged)),
            met: None,
        },
    ]
}

/// What the other build has, round for round.
fn beside_other(sides: &Sides) -> Option<Line> {
    let pairs = || sides.steadfast.iter().zip(&sides.other);
    pairs().next()?;
    let times = |of: fn(&Round) -> f64| crate::quantiles::median(pairs().map(|(ours, theirs)| of(ours) / of(theirs)));
    let (rate, cpu, written) =
        (times(|round| round.delivered_per_s), times(|round| round.cpu_us), times(|round| round.written_bytes));
    let figures = |rounds: &[Round]| {
        let of = |figure: fn(&Round) -> f64| over(rounds, figure);
        let (rate, cpu) = (of(|round| round.delivered_per_s), of(|round| round.cpu_us));
        format!("{rate:.0}/s, {cpu:.1} µs, {:.2} KiB written", of(|round| round.written_bytes) / 1_024.0)
    };
    Some(Line {
        row: "against",
        what: format!("{rate:.2} times as fast, {cpu:.2} times the processor time, {written:.2} times written"),
        target: "",
        measured: figures(&sides.steadfast),
        beside: figures(&sides.other),
        met: None,
    })
}

fn costs(sides: &Sides, kept_kib: f64) -> Vec<Line> {
    let cpu = |rounds: &[Round]| over(rounds, |round| round.cpu_us);
    let ours = cpu(&sides.steadfast);
    let written = |rounds: &[Round]| over(rounds, |round| round.written_bytes / 1_024.0);
    let written_kib = written(&sides.steadfast);
    vec![
        Line {
            row: "cpu-per-lead",
            what: "processor time of the server for a lead delivered at the first attempt".to_owned(),
            target: "at most 60 µs",
            measured: format!("{ours:.0} µs"),
            beside: format!("relay with log {:.0} µs, without {:.0} µs", cpu(&sides.logged), cpu(&sides.bare)),
            met: Some(ours <= CPU_US_MAX),
        },
        Line {
            row: "disk-kept",
            what: "on disk for a lead of 1 KB delivered, journal included".to_owned(),
            target: "at most 2.5 KiB",
            measured: format!("{kept_kib:.2} KiB"),
            beside: String::new(),
            met: Some(kept_kib <= KEPT_KIB_MAX),
        },
        Line {
            row: "disk-written",
            what: "written to disk for it, 32 connections".to_owned(),
            target: "at most 8 KiB",
            measured: format!("{written_kib:.2} KiB"),
            beside: format!("relay with log {:.2} KiB", written(&sides.logged)),
            met: Some(written_kib <= WRITTEN_KIB_MAX),
        },
    ]
}
