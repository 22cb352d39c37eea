//! `steadfast check FILE`: whether a config can be used, with everything that is wrong with it.

use crate::config::{Problems, load};
use std::io::Write;
use std::path::Path;

/// Checks a config. `terminal` shows the lines problems stand in, else there is one line each. True when there is none.
///
/// # Errors
/// When `out` cannot be written.
pub(crate) fn check(path: &Path, terminal: bool, out: &mut impl Write) -> anyhow::Result<bool> {
    match load(path) {
        Ok(loaded) => {
            show(&loaded.warnings, true, terminal, out)?;
            let (flows, recipients) = (loaded.settings.flows.len(), loaded.settings.recipients.len());
            let steps: usize = loaded.settings.flows.values().map(|flow| flow.steps.len()).sum();
            let counts = [count(flows, "flow"), count(steps, "step"), count(recipients, "recipient")].join(", ");
            let warnings = count(loaded.warnings.count(), "warning");
            writeln!(out, "{}: no problems, {warnings}; {counts}", path.display())?;
            Ok(true)
        }
        Err(problems) => {
            show(&problems, false, terminal, out)?;
            writeln!(out, "{}: {}", path.display(), count(problems.count(), "problem"))?;
            Ok(false)
        }
    }
}

fn show(problems: &Problems, warnings: bool, terminal: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if terminal {
        write!(out, "{}", problems.with_source(warnings))?;
        return Ok(());
    }
    let word = if warnings { "warning: " } else { "" };
    for line in problems.plain().lines() {
        writeln!(out, "{word}{line}")?;
    }
    Ok(())
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
