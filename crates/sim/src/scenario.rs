//! A scenario ready to run: every value checked, every bound kept.

use crate::script::Script;
use std::time::Duration;
use steadfast_lead::{FlowName, StepName, Timestamp};
use steadfast_retry::policy::RetryPolicy;
use steadfast_retry::{Endpoint, InDoubt, Seed};

/// Most leads in one run.
pub const LEADS_MAX: u32 = 1_000_000;
/// Most policies compared with the scenario's own.
pub const COMPARED_MAX: usize = 7;
/// Up to so many leads a report tells every attempt.
pub const TIMELINE_LEADS_MAX: u32 = 20;
/// Up to so many attempts and changes are told.
pub const TIMELINE_ENTRIES_MAX: usize = 2_000;

/// A scenario ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its short name.
    pub name: String,
    /// The line of the specification it stands for, or what it shows.
    pub title: String,
    /// What all chance comes from: the answers of a mix and the jitter.
    pub seed: Seed,
    /// When the run starts, on the virtual wall clock.
    pub start: Timestamp,
    /// How long after the start the run is stopped; `None` runs until nothing is left to do.
    pub until: Option<Duration>,
    /// The policies to run, each on the same traffic. The first is the scenario's own.
    pub candidates: Vec<Candidate>,
    /// When leads arrive.
    pub traffic: Traffic,
    /// What the recipient answers.
    pub script: Script,
    /// What a look-up is answered, by its number since the doubt arose; the last repeats.
    pub look_ups: Option<Script>,
    /// What is done about an attempt that was sent and not answered.
    pub in_doubt: InDoubt,
    /// The flow every lead enters.
    pub flow: FlowName,
    /// The step that sends.
    pub step: StepName,
    /// Where everything is sent.
    pub endpoint: Endpoint,
}

/// One policy to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What a report calls it.
    pub name: String,
    /// The policy.
    pub policy: RetryPolicy,
}

/// When leads arrive: evenly, the first at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// How many in all; at most [`LEADS_MAX`].
    pub leads: u32,
    /// So many of them in each `per`; zero for all at once.
    pub count: u32,
    /// The span of `count` arrivals.
    pub per: Duration,
}

impl Traffic {
    /// When lead number `lead` (from 0) arrives, counted from the start.
    pub fn arrival(&self, lead: u32) -> Duration {
        if self.count == 0 {
            return Duration::ZERO;
        }
        let micros = self.per.as_micros() * u128::from(lead) / u128::from(self.count);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// What is wrong with a scenario, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ScenarioFault {
    /// The key it stands at, such as `recipient.phases[1].to`.
    pub place: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}
