//! 1,000 leads a second, whatever the server does: how soon each is acknowledged, and how soon its first attempt comes.

use super::Bench;
use crate::round::{Plan, Round, ms, over};
use crate::servers::Setup;
use crate::table::Line;
use anyhow::Result;
use std::sync::Arc;

const RATE: u32 = 1_000;
const CONNECTIONS: usize = 64;
/// How much slower than the yardstick an acknowledgement may be.
const SLOWER_MAX: f64 = 1.5;
const FIRST_P50_MS_MAX: f64 = 2.0;
const FIRST_P99_MS_MAX: f64 = 10.0;

/// Measures.
///
/// # Errors
/// When a lead was lost on the way.
pub(crate) async fn run(bench: &Bench) -> Result<Vec<Line>> {
    let folder = bench.folder()?;
    let setup = Setup::plain(1);
    let server = bench.programs.server(folder.path(), &setup, &bench.sink)?;
    let relay = bench.programs.relay(Some(&folder.path().join("relay.log")), folder.path(), &bench.sink)?;
    let seconds = bench.scaled(5, 15);
    let leads = u64::from(RATE) * seconds;
    let plan = Plan { paths: setup.posts(), leads, connections: CONNECTIONS, rate: Some(RATE) };
    let relayed = Plan { paths: Arc::from(["/".to_owned()]), ..plan.clone() };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        theirs.push(relayed.run(&bench.sink, &relay).await?);
        ours.push(plan.run(&bench.sink, &server).await?);
    }
    server.stop().await?;
    Ok(lines(&ours, &theirs))
}

fn lines(ours: &[Round], theirs: &[Round]) -> Vec<Line> {
    let ack = |rounds: &[Round], share| ms(rounds, |round| &round.posted.acks, share);
    // Measured from the lead's due time, so less the acknowledgement: what the server adds after it has answered.
    let first = |rounds: &[Round], share| ms(rounds, |round| &round.receipts.to_first, share);
    let after_ack = |rounds: &[Round], share| (first(rounds, share) - ack(rounds, share)).max(0.0);
    let [p50, p99] = [0.5, 0.99].map(|share| ack(ours, share) / ack(theirs, share).max(0.001));
    let figures = |rounds: &[Round], of: &dyn Fn(&[Round], f64) -> f64| {
        format!("p50 {:.2} ms, p99 {:.2} ms", of(rounds, 0.5), of(rounds, 0.99))
    };
    let written = over(ours, |round| round.written_bytes / 1_024.0);
    vec![
        Line {
            row: "ack-1000",
            what: "acknowledged, 1,000 leads/s, open loop".to_owned(),
            target: "p50 and p99 at most 1.5 times the relay's with log",
            measured: format!("{}; {p50:.2} and {p99:.2} times", figures(ours, &ack)),
            beside: figures(theirs, &ack),
            met: Some(p50 <= SLOWER_MAX && p99 <= SLOWER_MAX),
        },
        Line {
            row: "first-attempt-1000",
            what: "from due at the generator to the first attempt at the recipient, 1,000 leads/s".to_owned(),
            target: "after the acknowledgement p50 at most 2 ms, p99 at most 10 ms",
            measured: figures(ours, &first),
            beside: figures(theirs, &first),
            met: Some(after_ack(ours, 0.5) <= FIRST_P50_MS_MAX && after_ack(ours, 0.99) <= FIRST_P99_MS_MAX),
        },
        Line {
            row: "cpu-per-lead-1000",
            what: "processor time of the server for a lead, 1,000 leads/s".to_owned(),
            target: "",
            measured: format!("{:.0} µs, {written:.1} KiB written", over(ours, |round| round.cpu_us)),
            beside: format!("relay with log {:.0} µs", over(theirs, |round| round.cpu_us)),
            met: None,
        },
    ]
}
