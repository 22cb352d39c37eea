//! The house's own tools, run as `cargo xtask NAME`: checks that no compiler does, measuring, and looking for inputs that break
//! something. Checks read the repository and never change it; nothing goes out to the network.

mod audit;
mod bench;
mod counts;
mod fuzz;
mod mutate;
mod problem;
mod source;
mod storm;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use problem::Problem;
use std::process::ExitCode;
use workspace::Workspace;

/// Tools for working on Steadfast.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Checks the rules of the house (CONTRIBUTING.md); every problem at once.
    Tidy,
    /// Checks every dependency: source, licence, bans, single versions, known advisories. Offline.
    Audit,
    /// Counts the instructions of deciding, and holds them against `xtask/counts.toml`.
    Counts {
        /// Write what was counted as the new baseline.
        #[arg(long)]
        update: bool,
    },
    /// Measures the table of performance targets and writes docs/performance.md. Builds a release first.
    Bench {
        /// What to measure, and how: see `cargo xtask bench -- --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs the fuzz targets, guided by what they reach, and prints what each reached and found.
    Fuzz(fuzz::FuzzArgs),
    /// Runs the engine in bad weather; `cargo xtask storm --help` says how.
    #[command(disable_help_flag = true)]
    Storm {
        /// What the storm is told.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Breaks the code on purpose, one promise at a time, in a copy, and prints which test caught it.
    Mutate(mutate::MutateArgs),
}

fn main() -> ExitCode {
    if let Some(code) = fuzz::as_wrapper() {
        return code;
    }
    let arguments = Arguments::parse();
    let (name, ran) = match arguments.tool {
        Tool::Tidy => ("tidy", told("tidy", tidy::check)),
        Tool::Audit => ("audit", told("audit", audit::check)),
        Tool::Counts { update } => ("counts", told("counts", |workspace| counts::check(workspace, update))),
        Tool::Bench { arguments } => return bench::run(&arguments),
        Tool::Fuzz(args) => ("fuzz", fuzz::run(&args)),
        Tool::Storm { arguments } => return storm::run(&arguments),
        Tool::Mutate(args) => ("mutate", mutate::run(&args)),
    };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: could not run: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// What a tool looked at, and what it found.
struct Report {
    /// Such as `212 files, 13 crates`.
    looked_at: String,
    problems: Vec<Problem>,
}

/// Runs a check of the repository and tells what it found; true when everything is in order.
fn told(name: &str, check: impl Fn(&Workspace) -> anyhow::Result<Report>) -> anyhow::Result<bool> {
    let report = Workspace::load().and_then(|workspace| check(&workspace))?;
    for problem in &report.problems {
        println!("{problem}");
    }
    if report.problems.is_empty() {
        println!("{name}: {} in order", report.looked_at);
    } else {
        println!("{name}: {} looked at, problems: {}", report.looked_at, report.problems.len());
    }
    Ok(report.problems.is_empty())
}
