//! Leads over their time are deleted while others are delivered: what those notice.

use super::Bench;
use super::waiting::counted;
use crate::child::Child;
use crate::clock::now_us;
use crate::http1::Connection;
use crate::prepare::{Waiting, prepare};
use crate::quantiles::median;
use crate::round::Plan;
use crate::servers::Setup;
use crate::table::Line;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::time::sleep;

const RECIPIENTS: usize = 20;
const KEEPS: &str = "leads = \"forever\"\njournal = \"forever\"\n";
const DELETES: &str = "leads = \"1d\"\njournal = \"1d\"\n";
/// What is stored was accepted and delivered so long ago.
const AGO: Duration = Duration::from_secs(3 * 86_400);
const SETTLES: Duration = Duration::from_secs(3);
const RATE: u32 = 1_000;
const SHARE_MIN: f64 = 0.9;
const SLOWER_MAX: f64 = 1.5;

/// What the others noticed, a figure a round.
#[derive(Default)]
struct Noticed {
    delivered_per_s: Vec<f64>,
    p99_ms: Vec<f64>,
}

/// Measures: the server is started with and without anything to delete, in turn.
///
/// # Errors
/// When the store cannot be prepared, nothing is deleted, all of it is before the end, or a lead was lost on the way.
pub(crate) async fn run(bench: &Bench) -> Result<Vec<Line>> {
    let folder = bench.folder()?;
    let origin = format!("http://{}", bench.sink.address()).into();
    let (waits, spread) = (Duration::ZERO, Duration::ZERO);
    let (deliveries, recipients) = (bench.waiting, RECIPIENTS);
    prepare(folder.path(), &Waiting { deliveries, recipients, origin, answered: Some(200), ago: AGO, waits, spread })
        .await?;
    let (mut quiet, mut beside) = (Noticed::default(), Noticed::default());
    let (mut deleted_per_s, mut ours) = (Vec::new(), 0);
    for round in 0..bench.rounds() {
        // Each first as often as the other, so that what the machine does besides meets both.
        for deletes in [round % 2 == 1, round % 2 == 0] {
            let retention = if deletes { DELETES } else { KEEPS };
            let setup = Setup { retention, ..Setup::plain(RECIPIENTS) };
            let server = bench.programs.server(folder.path(), &setup, &bench.sink)?;
            let (began, before) = (now_us(), delivered(&server).await?);
            let noticed = if deletes { &mut beside } else { &mut quiet };
            noticed.look(bench, &server).await?;
            let (took_us, after) = (now_us() - began, delivered(&server).await?);
            server.stop().await?;
            let posted = fast(bench).leads + paced(bench).leads;
            ours += posted;
            if deletes {
                // What the others delivered meanwhile came on top.
                let deleted = (before + posted).saturating_sub(after);
                ensure!(deleted > 0, "nothing was deleted");
                ensure!(after > ours, "all was deleted before the end: it takes more leads (--waiting)");
                deleted_per_s.push(deleted as f64 * 1e6 / took_us.max(1) as f64);
            }
        }
    }
    Ok(vec![line(bench, &quiet, &beside, median(deleted_per_s))])
}

impl Noticed {
    async fn look(&mut self, bench: &Bench, server: &Child) -> Result<()> {
        sleep(SETTLES).await;
        self.delivered_per_s.push(fast(bench).run(&bench.sink, server).await?.delivered_per_s);
        let paced = paced(bench).run(&bench.sink, server).await?;
        self.p99_ms.push(paced.receipts.to_taken.at(0.99) as f64 / 1e3);
        Ok(())
    }
}

fn line(bench: &Bench, quiet: &Noticed, beside: &Noticed, deleted_per_s: f64) -> Line {
    let times = |beside: &[f64], quiet: &[f64]| median(beside.iter().zip(quiet).map(|(beside, quiet)| beside / quiet));
    let share = times(&beside.delivered_per_s, &quiet.delivered_per_s);
    let slower = times(&beside.p99_ms, &quiet.p99_ms);
    let middle = |figures: &[f64]| median(figures.iter().copied());
    Line {
        row: "retention",
        what: format!("leads delivered while {} of three days ago are deleted", counted(bench.waiting)),
        target: "throughput at least 0.9, p99 within 1.5 times",
        measured: format!(
            "{:.0}/s, share {share:.2}, p99 {:.1} ms at 1,000/s ({slower:.2} times); {deleted_per_s:.0} deleted a second",
            middle(&beside.delivered_per_s),
            middle(&beside.p99_ms)
        ),
        beside: format!(
            "nothing deleted: {:.0}/s, p99 {:.1} ms",
            middle(&quiet.delivered_per_s),
            middle(&quiet.p99_ms)
        ),
        met: Some(share >= SHARE_MIN && slower <= SLOWER_MAX),
    }
}

fn fast(bench: &Bench) -> Plan {
    let paths = Setup::plain(RECIPIENTS).posts();
    Plan { paths, leads: bench.scaled(10_000, 40_000), connections: 32, rate: None }
}

fn paced(bench: &Bench) -> Plan {
    Plan { leads: u64::from(RATE) * bench.scaled(5, 15), rate: Some(RATE), ..fast(bench) }
}

/// How many delivered ones the server counts.
async fn delivered(server: &Child) -> Result<u64> {
    let (status, said) = Connection::new(server.address()).get("/v1/stats").await?;
    ensure!(status.is_success(), "the counts were answered {status}");
    let said = String::from_utf8_lossy(&said).into_owned();
    let digits = said.split("\"delivered\":").nth(1).with_context(|| format!("no count of delivered ones: {said}"))?;
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}
