//! The pure core, on one core and without a server: what a decision costs, and how fast the simulator is.

use super::Bench;
use crate::clock::now_us;
use crate::quantiles::median;
use crate::table::Line;
use anyhow::{Context, Result, anyhow};
use std::process::Command;
use steadfast_sim::{ScenarioFile, run as simulate};

const TRICKLE: &str = r#"
name = "trickle"
traffic = { rate = "1000/s", for = "15m" }
recipient.mix = { "200" = 0.7, "503" = 0.2, "timeout_read took=30s" = 0.05, "429 retry-after=1" = 0.05 }
"#;
const ATTEMPTS_MIN: f64 = 500_000.0;
/// The line of `decision_cost` that says nanoseconds for reading an answer, deciding and settling.
const DECIDED: &str = "read-decide-settle: ";
const DECIDED_NANOS_MAX: f64 = 5_000.0;

/// Measures.
///
/// # Errors
/// When the scenario does not run, or the example beside this binary.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>> {
    Ok(vec![decision(bench)?, simulator(bench)?])
}

fn decision(bench: &Bench) -> Result<Line> {
    let mut nanos = Vec::new();
    for _ in 0..bench.rounds() {
        let mut example = Command::new(bench.programs.bench.with_file_name("examples").join("decision_cost"));
        let said = String::from_utf8(example.output().context("running the example decision_cost")?.stdout)?;
        let line = said.lines().find_map(|line| line.strip_prefix(DECIDED)?.strip_suffix(" ns"));
        nanos.push(line.with_context(|| format!("no line \"{DECIDED}… ns\" in: {said}"))?.parse()?);
    }
    let nanos = median(nanos);
    Ok(Line {
        row: "decision",
        what: "an answer of 1 KB of JSON read by a table with paths and a rule, decided and made a settlement"
            .to_owned(),
        target: "at most 5 µs",
        measured: format!("{:.2} µs", nanos / 1e3),
        beside: String::new(),
        met: Some(nanos <= DECIDED_NANOS_MAX),
    })
}

fn simulator(bench: &Bench) -> Result<Line> {
    let file: ScenarioFile = toml::from_str(TRICKLE).context("the scenario")?;
    let scenario = file.compile().map_err(|faults| anyhow!("the scenario: {faults:?}"))?;
    let mut rates = Vec::new();
    for _ in 0..bench.rounds() {
        let began = now_us();
        let report = simulate(&scenario).map_err(|stopped| anyhow!("{stopped}"))?;
        let attempts: u64 = report.policies.iter().map(|policy| policy.attempts).sum();
        rates.push(attempts as f64 * 1e6 / (now_us() - began).max(1) as f64);
    }
    let rate = median(rates);
    Ok(Line {
        row: "simulator",
        what: "simulated attempts a second, one core".to_owned(),
        target: "at least 500,000",
        measured: format!("{rate:.0}"),
        beside: String::new(),
        met: Some(rate >= ATTEMPTS_MIN),
    })
}
