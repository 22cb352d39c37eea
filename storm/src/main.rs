//! `cargo xtask storm`: runs seeds, and prints those that fail with what was wrong. Never leaves anything behind.

use clap::Parser;
use std::process::ExitCode;
use steadfast_storm::{Kind, Report, Trade, run_all};

/// Runs the engine in bad weather and judges it by the recipients' own log.
#[derive(Parser)]
#[command(name = "cargo xtask storm")]
struct Arguments {
    /// How many seeds to run on each store.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this store: memory or embedded.
    #[arg(long, value_parser = kind)]
    store: Option<Kind>,
    /// Tells the story of seeds that fail: every request, every line of the journal.
    #[arg(long)]
    tell: bool,
    /// Flows that sell to the first buyer that takes a lead, in place of steps on their own.
    #[arg(long)]
    sales: bool,
    /// Recipients and flows with caps, in place of steps without.
    #[arg(long)]
    caps: bool,
    /// People who come again and ask to be forgotten, stops, deletion of what has ended, and reads that fail besides.
    #[arg(long)]
    people: bool,
    /// How many runs at once.
    #[arg(long, default_value_t = 2)]
    at_once: usize,
}

fn kind(word: &str) -> Result<Kind, String> {
    Kind::from_name(word).ok_or_else(|| "memory or embedded".to_owned())
}

#[derive(Default)]
struct Sum {
    runs: u64,
    failed: u64,
    acknowledged: usize,
    requests: usize,
    twice: usize,
    lives: u64,
    commits: u64,
}

impl Sum {
    fn add(&mut self, report: &Report, tell: bool) {
        self.runs += 1;
        self.acknowledged += report.acknowledged;
        self.requests += report.requests;
        self.twice += report.twice;
        self.lives += report.lives;
        self.commits += report.commits;
        if !report.findings.is_empty() {
            self.failed += 1;
            println!("seed {} on {} fails:", report.seed, report.kind.name());
            report.findings.iter().for_each(|finding| println!("    {finding}"));
            report.story.iter().filter(|_| tell).for_each(|line| println!("        {line}"));
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let kinds = arguments.store.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
    let seeds = arguments.seed..arguments.seed.saturating_add(arguments.seeds);
    let runs: Vec<(u64, Kind)> = seeds.flat_map(|seed| kinds.iter().map(move |kind| (seed, *kind))).collect();
    let mut sum = Sum::default();
    let trade = Trade { sales: arguments.sales, caps: arguments.caps, people: arguments.people };
    run_all(&runs, trade, arguments.at_once, |report| sum.add(&report, arguments.tell));
    println!(
        "storm ({}): {} runs from seed {}, {} failed; {} leads acknowledged, {} requests, {} starts, {} commits; taken twice \
         after doubt: {}",
        trade.name(),
        sum.runs,
        arguments.seed,
        sum.failed,
        sum.acknowledged,
        sum.requests,
        sum.lives,
        sum.commits,
        sum.twice
    );
    if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
