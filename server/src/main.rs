//! The binary: configuration, assembly, commands.
//!
//! The only place that names concrete stores and doors. Exit codes: 0 done, 1 the answer is no, 2 wrong usage.

mod archive;
mod assemble;
mod client;
mod command;
mod config;
mod demo;
mod http_port;
mod import;
mod token_use;

use clap::{Parser, Subcommand};
use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use steadfast_api::Scope;
use steadfast_engine::{Clock as _, SystemClock};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Run the server. SIGTERM drains, SIGHUP reloads.
    Serve {
        /// The config file.
        #[arg(long)]
        config: PathBuf,
        /// The data folder, in place of the config's.
        #[arg(long)]
        data: Option<PathBuf>,
        /// Where to listen, in place of the config's.
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
    /// Watch retries happen: a server, a flaky recipient and a stream of test leads.
    Demo {
        /// End by itself after so many seconds.
        #[arg(long)]
        seconds: Option<u64>,
        /// Leads per second, 1 to 1000.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
        rate: u32,
        /// Where to listen; a free port is taken when this one is not.
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
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
    /// Show the request a step would send for a lead (JSON on stdin), without sending it.
    Render {
        /// The config file.
        file: PathBuf,
        /// The flow.
        #[arg(long)]
        flow: String,
        /// The step.
        #[arg(long)]
        step: String,
        /// When the lead would have been accepted, such as 2026-11-24T10:00:00Z; now, unless it is said.
        #[arg(long, value_parser = command::time)]
        at: Option<steadfast_lead::Timestamp>,
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what a stored response (JSON on stdin) means, and which rule or term decides. Exit code 0 for a success.
    Classify {
        #[command(flatten)]
        by: command::ReadBy,
    },
    /// Try policies against a scripted outage, in virtual time.
    Simulate {
        /// The scenario file.
        scenario: PathBuf,
        /// Write JSON.
        #[arg(long)]
        json: bool,
        /// In place of the scenario's own seed.
        #[arg(long)]
        seed: Option<u64>,
        /// Write an SVG chart here.
        #[arg(long)]
        chart: Option<PathBuf>,
    },
    /// Post leads from a file to a running server; exits 1 when a line was refused.
    Import(command::ImportArgs),
    /// Look at deliveries of a running server and act on them.
    Deliveries {
        #[command(flatten)]
        connection: command::Connection,
        #[command(subcommand)]
        action: command::Action,
    },
    /// Look at recipients of a running server: their health, pace and breakers; pause, resume, and act on breakers.
    Recipients {
        #[command(flatten)]
        connection: command::Connection,
        #[command(subcommand)]
        action: command::RecipientAction,
    },
    /// List the caps of a running server, and how many are accepted and reserved.
    Caps {
        #[command(flatten)]
        connection: command::Connection,
    },
    /// Pause and resume flows and sources of a running server; show the shares of a flow's endpoints.
    Flows {
        #[command(flatten)]
        connection: command::Connection,
        #[command(subcommand)]
        action: command::FlowAction,
    },
    /// Copy a store that may be in use into a new folder, and check the copy.
    Backup {
        /// Where to; made if need be.
        to: PathBuf,
        #[command(flatten)]
        folder: command::DataFolder,
    },
    /// Make a data folder of a backup. What waits in it is marked as possibly sent.
    Restore {
        /// The backup's folder.
        from: PathBuf,
        /// The data folder to make; must be empty or not there.
        #[arg(long)]
        data: PathBuf,
        /// Mark nothing: the server was stopped before the backup and has not run since.
        #[arg(long)]
        nothing_sent_since: bool,
    },
    /// Bring a stopped server's store to this version's format, after a backup.
    Migrate {
        #[command(flatten)]
        folder: command::DataFolder,
        /// Where to put the backup; beside the store unless it is said.
        #[arg(long)]
        backup: Option<PathBuf>,
    },
    /// Make API keys.
    Key {
        #[command(subcommand)]
        key: KeyCommand,
    },
    /// Write the reference page of the config file.
    #[command(hide = true)]
    ConfigReference,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Draw a key; print it and the lines for the config.
    New {
        /// Who will use it.
        name: String,
        /// What it may do.
        #[arg(long, value_delimiter = ',', default_value = "ingest")]
        scopes: Vec<ScopeName>,
    },
}

/// A scope by its name in the config.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ScopeName {
    Ingest,
    Read,
    Operate,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Ingest => Scope::Ingest,
            ScopeName::Read => Scope::Read,
            ScopeName::Operate => Scope::Operate,
        }
    }
}

fn main() -> ExitCode {
    let _as_it_was = small_pages();
    let command = Arguments::parse().command;
    log_to_stderr(matches!(command, Command::Demo { .. }));
    match run(command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // Nobody reading is no reason to fail otherwise.
            let _written = writeln!(std::io::stderr(), "steadfast: {error:#}");
            ExitCode::from(if error.is::<command::WrongUsage>() { 2 } else { 1 })
        }
    }
}

/// A quiet server holds small things here and there: in pages of 2 MB they would hold twice the memory.
#[cfg(target_os = "linux")]
fn small_pages() -> std::io::Result<()> {
    Ok(rustix::thread::disable_transparent_huge_pages(true)?)
}

/// Elsewhere the allocator's own way stands.
#[cfg(not(target_os = "linux"))]
fn small_pages() -> std::io::Result<()> {
    Ok(())
}

/// Logs go to stderr, as lines on a terminal and as JSON otherwise; `RUST_LOG` chooses what is said.
fn log_to_stderr(quiet: bool) {
    let usual = if quiet { "error" } else { "info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let to_stderr = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        to_stderr.init();
    } else {
        to_stderr.json().init();
    }
}

/// Runs a command; whether the answer is yes.
fn run(command: Command) -> anyhow::Result<bool> {
    let mut out = std::io::stdout();
    let terminal = out.is_terminal();
    match command {
        Command::Init { path } => return command::init(&path, &mut out),
        Command::Check { file } => return command::check(&file, terminal, &mut out),
        Command::Explain { file, flow, step, json } => {
            let wanted = command::Wanted { flow: &flow, step: &step, terminal, json };
            return command::explain(&file, wanted, &mut out);
        }
        Command::Render { file, flow, step, at, json } => {
            let accepted_at = at.unwrap_or_else(|| SystemClock.now());
            let wanted = command::Rendering { flow: &flow, step: &step, json, accepted_at };
            return command::render(&file, wanted, &mut std::io::stdin().lock(), &mut out);
        }
        Command::Classify { by } => return command::classify(&by, &mut std::io::stdin().lock(), &mut out),
        Command::Serve { config, data, listen } => {
            wait_for(command::serve(command::ServeArgs { config, data, listen }))?;
        }
        Command::Demo { seconds, rate, listen } => {
            let lasts = seconds.map(std::time::Duration::from_secs);
            wait_for(command::demo(command::DemoArgs { lasts, listen, rate }))?;
        }
        Command::Simulate { scenario, json, seed, chart } => {
            command::simulate(&scenario, &command::Shown { json, seed, chart }, &mut out)?;
        }
        Command::Import(args) => return wait_for(command::import(args, &mut out)),
        Command::Deliveries { connection, action } => wait_for(command::deliveries(&connection, action, &mut out))?,
        Command::Recipients { connection, action } => wait_for(command::recipients(&connection, action, &mut out))?,
        Command::Caps { connection } => wait_for(command::caps(&connection, &mut out))?,
        Command::Flows { connection, action } => wait_for(command::flows(&connection, action, &mut out))?,
        Command::Backup { to, folder } => command::backup(folder, &to, &mut out)?,
        Command::Restore { from, data, nothing_sent_since } => {
            wait_for(command::restore(&from, &data, nothing_sent_since, &mut out))?;
        }
        Command::Migrate { folder, backup } => command::migrate(folder, backup.as_deref(), &mut out)?,
        Command::Key { key: KeyCommand::New { name, scopes } } => {
            let scopes: Vec<Scope> = scopes.into_iter().map(Scope::from).collect();
            command::new_key(&name, &scopes, &mut out)?;
        }
        Command::ConfigReference => write!(out, "{}", config::reference_page())?,
    }
    Ok(true)
}

/// Runs what has to wait on a runtime of its own.
fn wait_for<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    /// What the parser of conditions needs within its bounds, and as much again: unoptimized, three megabytes did not suffice.
    const STACK_BYTES: usize = 8 << 20;
    tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK_BYTES).enable_all().build()?.block_on(work)
}
