//! A scenario ready to run: every value checked, every bound kept.

use crate::answer::Scripted;
use crate::legs::Leg;
use crate::script::Script;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{FlowName, Priority, StepName, Timestamp};
use steadfast_retry::calendar::Calendar;
use steadfast_retry::pace::{PaceSettings, Rate};
use steadfast_retry::policy::RetryPolicy;
use steadfast_retry::{Endpoint, GuardSettings, InDoubt, RetryHours, Seed};

/// Most leads in one run.
pub const LEADS_MAX: u32 = 1_000_000;
/// Most policies compared with the scenario's own.
pub const COMPARED_MAX: usize = 7;
/// Most recipients of one scenario.
pub const RECIPIENTS_MAX: usize = 200;
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
    /// The step's legs: its own first, then its fallbacks; never empty.
    pub legs: Vec<Leg>,
    /// When the step is retried; `None` for at any time.
    pub retry_hours: Option<RetryHours>,
    /// What a look-up is answered, by its number since the doubt arose; the last repeats.
    pub look_ups: Option<Script>,
    /// What is done about an attempt that was sent and not answered.
    pub in_doubt: InDoubt,
    /// The flow every lead enters.
    pub flow: FlowName,
    /// The step that sends.
    pub step: StepName,
    /// How recipients are protected, and who they are; `None` sends everything that is due to the one above.
    pub protected: Option<Protected>,
}

/// One policy to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What a report calls it.
    pub name: String,
    /// The policy.
    pub policy: RetryPolicy,
    /// The policy of each fallback.
    pub fallbacks: Vec<RetryPolicy>,
    /// How it protects every recipient; `None` as the recipient's own plan says.
    pub protection: Option<Protection>,
}

impl Candidate {
    /// The policy of a leg.
    pub fn of_leg(&self, leg: usize) -> &RetryPolicy {
        leg.checked_sub(1).and_then(|fallback| self.fallbacks.get(fallback)).unwrap_or(&self.policy)
    }
}

/// How a recipient is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Breaker and budget.
    pub guard: GuardSettings,
    /// Rate and concurrency.
    pub pace: PaceSettings,
}

/// What a scenario with protection has besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Protected {
    /// Attempts at once, in all.
    pub slots: usize,
    /// Who is sent to; never empty, at most [`RECIPIENTS_MAX`].
    pub recipients: Vec<Recipient>,
}

/// A recipient of a scenario with protection.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipient {
    /// Its name and where it is.
    pub endpoint: Endpoint,
    /// How urgent its deliveries are.
    pub priority: Priority,
    /// When its leads arrive.
    pub traffic: Traffic,
    /// What it answers.
    pub script: Script,
    /// What it can take; `None` for everything.
    pub capacity: Option<Capacity>,
    /// How it is protected.
    pub protection: Protection,
    /// When it may be called; `None` for always.
    pub calendar: Option<Arc<Calendar>>,
}

/// What a recipient can take.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    /// Attempts at once.
    pub concurrent: u32,
    /// Attempts in a span.
    pub rate: Option<Rate>,
    /// What it does beyond.
    pub beyond: Beyond,
}

/// What a recipient does when there are too many.
#[derive(Clone, Debug, PartialEq)]
pub enum Beyond {
    /// It takes its time.
    Slower,
    /// It answers this.
    Answers(Box<Scripted>),
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
