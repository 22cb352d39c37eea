//! The rows of the table, by the run they come from. Each run starts what it needs, in a folder of its own, and ends it.

mod bystanders;
mod fixed_rate;
mod held;
mod idle;
mod pure;
mod replan;
mod retention;
mod throughput;
mod turns;
mod waiting;

use crate::servers::Programs;
use crate::sink::Sink;
use crate::table::Line;
use anyhow::Result;
use std::path::PathBuf;
use tempfile::TempDir;

/// A run that fills rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Run {
    /// As fast as 32 connections go: end to end, processor time, disk.
    Wide32,
    /// As fast as 256 connections go.
    Wide256,
    /// 1,000 leads a second: acknowledgement, first attempt.
    FixedRate,
    /// Nothing to do: wakeups, memory, cold start.
    Idle,
    /// Many deliveries waiting: start, memory, lists, retries on time.
    Waiting,
    /// A changed policy reaches what waits.
    Replan,
    /// What is over its time is deleted under load.
    Retention,
    /// Many deliveries held behind an open breaker, and its recipient coming back.
    Held,
    /// Two of a hundred recipients sick.
    Bystanders,
    /// The pure core.
    Pure,
}

impl Run {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Run; 10] = [
        Run::Wide32,
        Run::Wide256,
        Run::FixedRate,
        Run::Idle,
        Run::Waiting,
        Run::Replan,
        Run::Retention,
        Run::Held,
        Run::Bystanders,
        Run::Pure,
    ];
}

/// What every run stands on.
pub(crate) struct Bench {
    /// What is measured.
    pub(crate) programs: Programs,
    /// The recipient.
    pub(crate) sink: Sink,
    /// Fewer and smaller rounds: for a look, not for the page.
    pub(crate) quick: bool,
    /// How many deliveries wait in the prepared store.
    pub(crate) waiting: u64,
    /// Another build of the server, to be measured beside this one where that is asked for.
    pub(crate) against: Option<PathBuf>,
    /// Where runs make their folders: on the disk that is asked about.
    pub(crate) scratch: PathBuf,
}

impl Bench {
    /// One of two figures.
    pub(crate) fn scaled<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// How many rounds each side has.
    pub(crate) fn rounds(&self) -> usize {
        self.scaled(3, 5)
    }

    /// A folder that goes when it is dropped.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn folder(&self) -> Result<TempDir> {
        Ok(TempDir::with_prefix_in("bench-", &self.scratch)?)
    }

    /// The programs with the other build as the server.
    pub(crate) fn other_programs(&self) -> Option<Programs> {
        self.against.clone().map(|steadfast| Programs { steadfast, ..self.programs.clone() })
    }

    /// Measures.
    ///
    /// # Errors
    /// When something did not work: nothing of the run counts then.
    pub(crate) async fn run(&self, run: Run) -> Result<Vec<Line>> {
        match run {
            Run::Wide32 => throughput::run(self, throughput::WIDE_32).await,
            Run::Wide256 => throughput::run(self, throughput::WIDE_256).await,
            Run::FixedRate => fixed_rate::run(self).await,
            Run::Idle => idle::run(self).await,
            Run::Waiting => waiting::run(self).await,
            Run::Replan => replan::run(self).await,
            Run::Retention => retention::run(self).await,
            Run::Held => held::run(self).await,
            Run::Bystanders => bystanders::run(self).await,
            Run::Pure => pure::run(self),
        }
    }
}
