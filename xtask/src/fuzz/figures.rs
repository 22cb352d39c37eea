//! What a run says of itself at its end, and the table it goes into.

use anyhow::{Context, Result};

/// Above the rows.
pub(super) const HEADING: &str = "| target | executions | time | edges reached | inputs found | memory peak | finds |\n|---|---|---|---|---|---|---|";

/// How the process ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Finished {
    /// After its last execution.
    InOrder,
    /// Before it.
    Stopped,
}

/// The figures of one target.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Figures {
    executions: u64,
    seconds: u64,
    edges: u64,
    inputs: u64,
    memory_mib: u64,
    /// What stopped it, as lines of a corpus.
    pub(super) finds: Vec<String>,
}

impl Figures {
    /// From what libFuzzer prints. A process that stopped without leaving an input behind is a find all the same.
    ///
    /// # Errors
    /// When there are no figures: it never ran.
    pub(super) fn read(said: &str, finished: Finished, mut finds: Vec<String>) -> Result<Self> {
        let stat = |name: &str| {
            let line = said.lines().rev().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
            line.and_then(|rest| rest.trim_start_matches(':').trim().parse().ok())
        };
        let executions = stat("number_of_executed_units");
        if finished == Finished::Stopped && finds.is_empty() {
            let last: Vec<&str> = said.lines().rev().take(10).collect();
            finds.push(format!("(it stopped without one: {})", last.into_iter().rev().collect::<Vec<_>>().join(" / ")));
        }
        let tail = || said.chars().rev().take(500).collect::<String>().chars().rev().collect::<String>();
        Ok(Figures {
            executions: executions.with_context(|| format!("no figures in what it said: {}", tail()))?,
            seconds: seconds(said).unwrap_or(0),
            edges: progress(said, "cov:").unwrap_or(0),
            inputs: stat("new_units_added").unwrap_or(0),
            memory_mib: stat("peak_rss_mb").unwrap_or(0),
            finds,
        })
    }

    /// One row of the table.
    pub(super) fn row(&self, name: &str) -> String {
        let Figures { executions, seconds, edges, inputs, memory_mib, finds } = self;
        format!("| `{name}` | {executions} | {seconds} s | {edges} | {inputs} | {memory_mib} MiB | {} |", finds.len())
    }
}

/// From `Done 1000 runs in 3 second(s)`; it says so only where it was not stopped.
fn seconds(said: &str) -> Option<u64> {
    said.lines()
        .rev()
        .find_map(|line| line.strip_prefix("Done ")?.split_once(" in ")?.1.split_whitespace().next()?.parse().ok())
}

/// The last number after a word in the lines of progress.
fn progress(said: &str, word: &str) -> Option<u64> {
    let after = |line: &str| line.split_once(word)?.1.split_whitespace().next()?.parse().ok();
    said.lines().rev().filter(|line| line.starts_with('#')).find_map(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "#2\tINITED cov: 7 ft: 7\n#409\tNEW    cov: 812 ft: 8 corp: 2/8b\n#10000000\tDONE   cov: 813 ft: 8\n\
                        Done 10000000 runs in 52 second(s)\n\
                        stat::number_of_executed_units: 10000000\nstat::new_units_added:          21\nstat::peak_rss_mb:              27\n";

    #[test]
    fn figures_are_read_from_what_it_prints_at_its_end() {
        let figures = Figures::read(SAID, Finished::InOrder, Vec::new()).unwrap();
        assert_eq!(figures.row("a"), "| `a` | 10000000 | 52 s | 813 | 21 | 27 MiB | 0 |");
        assert!(Figures::read("no such file", Finished::InOrder, Vec::new()).is_err());
    }

    #[test]
    fn a_run_that_stopped_is_a_find_even_without_an_input() {
        let figures = Figures::read(SAID, Finished::Stopped, Vec::new()).unwrap();
        assert_eq!(figures.finds.len(), 1);
        assert_eq!(Figures::read(SAID, Finished::Stopped, vec!["x".to_owned()]).unwrap().finds, ["x"]);
    }
}
