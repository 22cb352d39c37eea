//! Leads over their time are deleted while others are delivered: what those notice.

use super::Bench;
use super::waiting::counted;
use crate::child::Child;
use crate::clock::now_us;
use crate::http1::Connection;
use crate::prepare::{Waiting, prepare};
use crate::quantiles::median;
use crate::round::{Plan, ms, over};
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

/// What the others noticed.
struct Noticed {
    delivered_per_s: f64,
    p99_ms: f64,
}

/// Measures.
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
    let setup = |retention| Setup { retention, ..Setup::plain(RECIPIENTS) };
    let server = bench.programs.server(folder.path(), &setup(KEEPS), &bench.sink)?;
    let quiet = others(bench, &server).await?;
    server.stop().await?;
    let server = bench.programs.server(folder.path(), &setup(DELETES), &bench.sink)?;
    let (began, before) = (now_us(), delivered(&server).await?);
    let beside = others(bench, &server).await?;
    let (took_us, after) = (now_us() - began, delivered(&server).await?);
    // What the others delivered meanwhile came on top.
    let deleted = (before + 3 * (fast(bench).leads + paced(bench).leads)).saturating_sub(after);
    ensure!(deleted > 0, "nothing was deleted");
    ensure!(deleted < bench.waiting, "all was deleted before the end: it takes more leads (--waiting)");
    server.stop().await?;
    Ok(vec![line(bench, &quiet, &beside, deleted as f64 * 1e6 / took_us.max(1) as f64)])
}

fn line(bench: &Bench, quiet: &Noticed, beside: &Noticed, deleted_per_s: f64) -> Line {
    let share = beside.delivered_per_s / quiet.delivered_per_s;
    Line {
        row: "retention",
        what: format!("leads delivered while {} of three days ago are deleted", counted(bench.waiting)),
        target: "throughput at least 0.9, p99 within 1.5 times",
        measured: format!(
            "{:.0}/s, share {share:.2}, p99 {:.1} ms at 1,000/s; {deleted_per_s:.0} deleted a second",
            beside.delivered_per_s, beside.p99_ms
        ),
        beside: format!("nothing deleted: {:.0}/s, p99 {:.1} ms", quiet.delivered_per_s, quiet.p99_ms),
        met: Some(share >= SHARE_MIN && beside.p99_ms <= quiet.p99_ms * SLOWER_MAX),
    }
}

fn fast(bench: &Bench) -> Plan {
    let paths = Setup::plain(RECIPIENTS).posts();
    Plan { paths, leads: bench.scaled(10_000, 40_000), connections: 32, rate: None }
}

fn paced(bench: &Bench) -> Plan {
    Plan { leads: u64::from(RATE) * bench.scaled(5, 15), rate: Some(RATE), ..fast(bench) }
}

async fn others(bench: &Bench, server: &Child) -> Result<Noticed> {
    sleep(SETTLES).await;
    let (mut fasts, mut p99s) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        fasts.push(fast(bench).run(&bench.sink, server).await?);
        let paced = paced(bench).run(&bench.sink, server).await?;
        p99s.push(ms(&[paced], |round| &round.receipts.to_taken, 0.99));
    }
    Ok(Noticed { delivered_per_s: over(&fasts, |round| round.delivered_per_s), p99_ms: median(p99s) })
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
