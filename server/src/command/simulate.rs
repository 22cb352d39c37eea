//! `steadfast simulate SCENARIO`: policies against a scripted outage, in virtual time.

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::{Path, PathBuf};
use steadfast_sim::{ReportFile, ScenarioFile, chart_svg, run};

/// How large a scenario file may be.
const SCENARIO_BYTES_MAX: u64 = 1 << 20;

/// What to show.
pub(crate) struct Shown {
    /// JSON instead of text.
    pub(crate) json: bool,
    /// In place of the scenario's own seed.
    pub(crate) seed: Option<u64>,
    /// Where to write a chart.
    pub(crate) chart: Option<PathBuf>,
}

/// Runs a scenario and prints the report.
///
/// # Errors
/// When the file cannot be read, has problems (every one is named), or asks for more than a run may take.
pub(crate) fn simulate(path: &Path, shown: &Shown, out: &mut impl Write) -> Result<()> {
    let file = path.display();
    let bytes = std::fs::metadata(path).with_context(|| format!("{file} cannot be read"))?.len();
    if bytes > SCENARIO_BYTES_MAX {
        bail!("{file} has {bytes} bytes; a scenario has at most {SCENARIO_BYTES_MAX}");
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("{file} cannot be read"))?;
    let mut scenario: ScenarioFile = toml::from_str(&text).with_context(|| format!("{file} is not a scenario"))?;
    if let Some(seed) = shown.seed {
        scenario.seed = seed;
    }
    let scenario = scenario.compile().map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("{file}: {fault}")).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })?;
    let report = run(&scenario)?;
    if let Some(chart) = &shown.chart {
        std::fs::write(chart, chart_svg(&report)).with_context(|| format!("{} cannot be written", chart.display()))?;
    }
    if shown.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&ReportFile::from(&report))?)?;
    } else {
        write!(out, "{}", report.text())?;
    }
    Ok(())
}
