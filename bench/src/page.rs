//! Writes what was measured into the page, and the chart beside it.

use crate::chart;
use crate::table::{Line, merge};
use anyhow::{Context, Result};
use std::path::Path;

const PAGE: &str = "docs/performance.md";
const CHART: &str = "docs/images/performance.svg";

/// Writes both, from the repository's root.
///
/// # Errors
/// When the page cannot be read or has no marks, or a file cannot be written.
pub(crate) fn write(root: &Path, lines: &[Line], on: &str) -> Result<()> {
    let page = root.join(PAGE);
    let text = std::fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?;
    std::fs::write(&page, merge(&text, lines, on, &machine()?)?)?;
    if let Some(chart) = chart::draw(lines) {
        std::fs::write(root.join(CHART), chart)?;
    }
    Ok(())
}

/// What it was measured on, for the page.
fn machine() -> Result<String> {
    let read =
        |name: &str| std::fs::read_to_string(Path::new("/proc").join(name)).with_context(|| format!("/proc/{name}"));
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split(':').nth(1).unwrap_or_default().trim().to_owned()
    };
    let cores = std::thread::available_parallelism()?;
    let (memory, model) = (after(&read("meminfo")?, "MemTotal"), after(&read("cpuinfo")?, "model name"));
    let gib = memory.split(' ').next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / f64::from(1 << 20);
    let system = read("sys/kernel/osrelease")?;
    let system = system.trim().split('-').next().unwrap_or_default();
    let model = if model.is_empty() { String::new() } else { format!(" ({model})") };
    Ok(format!(
        "Measured by `cargo xtask bench` on {cores} cores{model} and {gib:.0} GiB, Linux {system}, on which generator, server and \
         recipient compete. Medians of rounds, each side in turn."
    ))
}

/// Today, as the page says it.
pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
