//! Guards what deciding costs by counting instructions, which no other load on the machine changes: `xtask/counts.toml` says how
//! many each subject of the `decision_cost` example takes. More or fewer than the tolerance allows is a problem, so that a
//! saving is written down as well.

use crate::problem::Problem;
use crate::{Report, workspace::Workspace};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const BASELINE: &str = "xtask/counts.toml";
const REMEDY: &str =
    "if it is meant, run `cargo xtask counts --update` and say in the commit why it costs more or less";
/// Rounds of the two runs whose difference is counted: what the process costs to start falls out.
const ROUNDS: [u64; 2] = [100, 1_100];

/// What is written down.
#[derive(serde::Serialize, serde::Deserialize)]
struct Baseline {
    /// Where it was counted; elsewhere the compiler makes other instructions.
    arch: String,
    /// How far off is fine, in percent.
    tolerance_percent: f64,
    /// Instructions for one round, by subject.
    instructions: BTreeMap<String, u64>,
}

/// Counts, and holds it against the baseline, or writes that anew.
///
/// # Errors
/// When the example cannot be built or run.
pub(crate) fn check(workspace: &Workspace, update: bool) -> Result<Report> {
    let text = workspace.must_text(BASELINE)?;
    let mut baseline: Baseline = toml::from_str(&text).context(BASELINE)?;
    if let Some(why) = cannot(&baseline) {
        return Ok(Report { looked_at: format!("SKIPPED, nothing was counted: {why};"), problems: Vec::new() });
    }
    let example = build(workspace)?;
    let mut counted = BTreeMap::new();
    for subject in baseline.instructions.keys() {
        counted.insert(subject.clone(), count(&example, subject)?);
    }
    let looked_at = counted.iter().map(|(subject, count)| format!("{subject} {count}"));
    let looked_at = format!("instructions: {};", looked_at.collect::<Vec<_>>().join(", "));
    let problems = if update { Vec::new() } else { problems(&baseline, &counted) };
    if update {
        baseline.instructions = counted;
        std::fs::write(workspace.path(BASELINE), toml::to_string(&baseline)?)?;
    }
    Ok(Report { looked_at, problems })
}

/// Why nothing can be counted here.
fn cannot(baseline: &Baseline) -> Option<String> {
    if std::env::consts::ARCH != baseline.arch || std::env::consts::OS != "linux" {
        return Some(format!("the baseline is of {} on Linux", baseline.arch));
    }
    match Command::new("valgrind").arg("--version").output() {
        Ok(said) if said.status.success() => None,
        Ok(said) => Some(format!("valgrind ends with {}", said.status)),
        Err(error) => Some(format!("valgrind cannot be run: {error}")),
    }
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--quiet",
        "--profile",
        "counted",
        "--locked",
        "-p",
        "steadfast-retry",
        "--example",
        "decision_cost",
    ]);
    if !build.status().context("running cargo")?.success() {
        bail!("the build failed");
    }
    Ok(workspace.metadata.target_directory.join("counted/examples/decision_cost").into_std_path_buf())
}

/// Instructions of one round.
fn count(example: &Path, subject: &str) -> Result<u64> {
    let [few, many] = ROUNDS.map(|rounds| collected(example, subject, rounds));
    let (few, many) = (few?, many?);
    Ok(many.saturating_sub(few) / (ROUNDS[1] - ROUNDS[0]))
}

fn collected(example: &Path, subject: &str, rounds: u64) -> Result<u64> {
    let mut run = Command::new("valgrind");
    run.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(example).arg(subject).arg(rounds.to_string());
    let said = run.output().context("running valgrind")?;
    let text = String::from_utf8_lossy(&said.stderr);
    if !said.status.success() {
        bail!("{subject}: {}", text.lines().last().unwrap_or("it said nothing"));
    }
    let number =
        text.lines().find_map(|line| line.split("Collected :").nth(1)).context("callgrind collected nothing")?;
    Ok(number.trim().parse()?)
}

fn problems(baseline: &Baseline, counted: &BTreeMap<String, u64>) -> Vec<Problem> {
    let off = counted.iter().filter_map(|(subject, count)| {
        let known = *baseline.instructions.get(subject)?;
        let percent = (*count as f64 / known.max(1) as f64 - 1.0) * 100.0;
        let says = format!("{subject} takes {count} instructions, {percent:+.1} % from {known}");
        (percent.abs() > baseline.tolerance_percent).then(|| Problem::at(BASELINE, 0, says, REMEDY))
    });
    off.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(count: u64) -> Vec<String> {
        let instructions = BTreeMap::from([("turn".to_owned(), 1_000)]);
        let baseline = Baseline { arch: "x".into(), tolerance_percent: 5.0, instructions };
        let found = problems(&baseline, &BTreeMap::from([("turn".to_owned(), count)]));
        found.into_iter().map(|problem| problem.says).collect()
    }

    #[test]
    fn more_and_fewer_than_the_tolerance_are_found() {
        assert_eq!(found(1_051), ["turn takes 1051 instructions, +5.1 % from 1000"]);
        assert_eq!(found(940), ["turn takes 940 instructions, -6.0 % from 1000"]);
        assert!(found(1_049).is_empty() && found(951).is_empty());
    }

    #[test]
    fn another_machine_is_skipped_with_a_word() {
        let baseline = Baseline { arch: "abacus".into(), tolerance_percent: 5.0, instructions: BTreeMap::new() };
        assert_eq!(cannot(&baseline).unwrap(), "the baseline is of abacus on Linux");
    }
}
