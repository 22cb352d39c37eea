//! Measures the table of performance targets on this machine: server and yardsticks in turn, on loopback, in the same minutes.
//! `cargo xtask bench` builds what it needs and runs it.
//!
//! Whatever happens, nothing it started outlives it.

mod chart;
mod child;
mod clock;
mod http1;
mod load;
mod log;
mod page;
mod prepare;
mod quantiles;
mod relay;
mod round;
mod rows;
mod servers;
mod sink;
mod table;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use rows::{Bench, Run};
use servers::Programs;
use sink::Sink;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// The table of performance targets.
#[derive(Parser)]
#[command(name = "steadfast-bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, and write the page.
    Run(RunArgs),
    /// Be a yardstick.
    #[command(hide = true)]
    Relay(relay::RelayArgs),
}

#[derive(Args)]
struct RunArgs {
    /// What to measure; everything unless said.
    #[arg(value_enum)]
    names: Vec<Run>,
    /// Smaller rounds, for a look; the page is left alone.
    #[arg(long)]
    quick: bool,
    /// How many deliveries wait in the prepared store: a million unless said, 100,000 with --quick.
    #[arg(long)]
    waiting: Option<u64>,
    /// Another build of the server, measured in turn with this one: what a change is worth. The page is left alone.
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// Print only.
    #[arg(long)]
    no_page: bool,
    /// The repository's root.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Where data is written meanwhile: on the disk that is asked about. Beside the binary unless said.
    #[arg(long)]
    scratch: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(args) => generator().and_then(|runtime| runtime.block_on(run(args))),
        Command::Relay(args) => server().and_then(|runtime| runtime.block_on(relay::relay(args))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread for the generator; the recipient has its own.
fn generator() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// As many threads as a server has.
fn server() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn run(args: RunArgs) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = measure(args) => done,
        // Leaving here drops, and so ends, whatever was started.
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("interrupted"),
    }
}

async fn measure(args: RunArgs) -> Result<()> {
    let programs = Programs::beside_this()?;
    let scratch = match args.scratch {
        Some(scratch) => scratch,
        None => programs.bench.parent().context("no folder of its own")?.to_owned(),
    };
    let waiting = args.waiting.unwrap_or(if args.quick { 100_000 } else { 1_000_000 });
    let bench = Bench { programs, sink: Sink::start()?, quick: args.quick, waiting, against: args.against, scratch };
    let runs = if args.names.is_empty() { Run::ALL.to_vec() } else { args.names };
    let mut lines = Vec::new();
    for run in runs {
        let measured = bench.run(run).await.with_context(|| format!("{run:?}"))?;
        measured.iter().for_each(|line| println!("{}", line.screen()));
        lines.extend(measured);
    }
    if args.quick || args.no_page || bench.against.is_some() {
        return Ok(());
    }
    page::write(&args.root, &lines, &page::today())
}
