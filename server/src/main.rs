//! The binary: configuration, assembly, commands.
//!
//! The only place that names concrete stores and doors. Exit codes: 0 done, 1 the answer is no, 2 wrong usage.

mod command;
mod config;

use clap::{Parser, Subcommand};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Durable lead delivery with automated retry.
#[derive(Debug, Parser)]
#[command(name = "steadfast", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented config to start from.
    Init {
        /// Where to write it.
        #[arg(default_value = "steadfast.toml")]
        path: PathBuf,
    },
    /// Check a config whole: every problem with line, key, value and what is allowed.
    Check {
        /// The config file.
        file: PathBuf,
    },
    /// Show a step's retry values, the level each came from, and its schedule.
    Explain {
        /// The config file.
        file: PathBuf,
        /// The flow.
        #[arg(long)]
        flow: String,
        /// The step.
        #[arg(long)]
        step: String,
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write the reference page of the config file.
    #[command(hide = true)]
    ConfigReference,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    let terminal = out.is_terminal();
    let good = match Arguments::parse().command {
        Command::Init { path } => command::init(&path, &mut out)?,
        Command::Check { file } => command::check(&file, terminal, &mut out)?,
        Command::Explain { file, flow, step, json } => {
            let wanted = command::Wanted { flow: &flow, step: &step, terminal, json };
            command::explain(&file, wanted, &mut out)?
        }
        Command::ConfigReference => {
            use std::io::Write as _;
            write!(out, "{}", config::reference_page())?;
            true
        }
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
