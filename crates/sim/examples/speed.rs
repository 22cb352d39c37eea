//! How fast a run is: attempts a second on one core, for a steady trickle of failures and for a long outage with a backlog.
//!
//! `cargo run --release -p steadfast-sim --example speed`

use steadfast_sim::{ScenarioFile, run};

const TRICKLE: &str = r#"
name = "trickle"
traffic = { rate = "1000/s", for = "15m" }
recipient.mix = { "200" = 0.7, "503" = 0.2, "timeout_read took=30s" = 0.05, "429 retry-after=1" = 0.05 }
"#;

const OUTAGE: &str = r#"
name = "outage"
retry.policy = "outage"
traffic = { rate = "50/s", for = "2h" }
recipient.phases = [{ from = "10m", to = "90m", answer = "connect_refused" }]
"#;

#[allow(clippy::disallowed_methods, reason = "measures how long the run takes; nothing in the run sees it")]
fn main() {
    for text in [TRICKLE, OUTAGE] {
        let file: ScenarioFile = match toml::from_str(text) {
            Ok(file) => file,
            Err(problem) => return eprintln!("{problem}"),
        };
        let scenario = match file.compile() {
            Ok(scenario) => scenario,
            Err(faults) => return eprintln!("{faults:?}"),
        };
        let started = std::time::Instant::now();
        let report = match run(&scenario) {
            Ok(report) => report,
            Err(stopped) => return eprintln!("{stopped}"),
        };
        let took = started.elapsed();
        let attempts: u64 = report.policies.iter().map(|policy| policy.attempts).sum();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let rate = attempts.saturating_mul(1_000_000) / micros;
        println!("{}: {attempts} attempts in {} ms, {rate} attempts/s", scenario.name, micros / 1_000);
    }
}
