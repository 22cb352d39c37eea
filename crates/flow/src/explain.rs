//! What is in force for a step, where each value came from, and when its retries would start.

use crate::adjust::Adjustment;
use crate::balance::{BalancePlan, CandidatePlan};
use crate::look_up::ReadBy;
use crate::plan::StepPlan;
use crate::protection::OnOpen;
use http::Method;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{CandidateName, FlowName, Priority, RecipientName, StepName, Timestamp};
use steadfast_retry::calendar::{Calendar, Standing};
use steadfast_retry::policy::{Conditions, Key, Resolved, RetryPolicy};
use steadfast_retry::{Balance, Criterion, Follow, InDoubt, LegEnds, RetryHours, ShareOf, Window, window};

/// A step's retry settings and schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The flow.
    pub flow: FlowName,
    /// The step.
    pub step: StepName,
    /// Whom it sends to.
    pub recipient: RecipientName,
    /// What an attempt in doubt leads to.
    pub in_doubt: InDoubt,
    /// How the recipient is asked, with `in_doubt = "verify"`.
    pub look_up: Option<ExplainedLookUp>,
    /// Which leads it sends, as written; `None` for all.
    pub when: Option<String>,
    /// Which leg of the step; 0 is its own.
    pub leg: u8,
    /// Where it goes: scheme, host and port.
    pub origin: Arc<str>,
    /// What it chooses between; then what else stands here is of the first. `None` for one endpoint.
    pub balance: Option<ExplainedBalance>,
    /// What follows its ends.
    pub ends: LegEnds,
    /// What becomes of its deliveries while its endpoint's breaker is open.
    pub on_open: OnOpen,
    /// The legs after it, in order.
    pub fallbacks: Vec<Explained>,
    /// Every key with its value and origin, in the order of [`Key::ALL`].
    pub values: Vec<ExplainedValue>,
    /// Every retry that is allowed, from 1.
    pub schedule: Vec<PlannedRetry>,
    /// How old a lead may grow.
    pub max_lead_age: Duration,
    /// When it begins, in words.
    pub begins: String,
    /// The hours its retries wait for.
    pub retry_hours: Option<Arc<RetryHours>>,
    /// What is different about some leads, in the order it is laid down.
    pub adjustments: Vec<ExplainedAdjustment>,
}

/// How a leg chooses between several endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedBalance {
    /// By what.
    pub by: Balance,
    /// What counts for a share, where each has one.
    pub share_of: Option<ShareOf>,
    /// The zone whose days shares are counted in.
    pub time_zone: String,
    /// What the best is the best in, the most important first.
    pub criteria: Vec<Criterion>,
    /// Between these.
    pub candidates: Vec<ExplainedCandidate>,
}

/// One of several endpoints of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedCandidate {
    /// Its name.
    pub name: CandidateName,
    /// Whom it sends to.
    pub recipient: RecipientName,
    /// Where it goes: scheme, host and port.
    pub origin: Arc<str>,
    /// Its part of what the weights come to.
    pub weight: u32,
    /// What a lead costs there, in millionths.
    pub cost_millionths: Option<u64>,
    /// The regions it takes leads of; none for all.
    pub regions: Vec<Box<str>>,
    /// The regulations it may take leads under.
    pub regulations: Vec<Box<str>>,
}

impl ExplainedBalance {
    fn of(plan: &BalancePlan) -> Self {
        let rules = &plan.rules;
        ExplainedBalance {
            by: rules.by,
            share_of: (rules.by == Balance::Weighted).then_some(rules.share_of),
            time_zone: plan.zone.name().to_owned(),
            criteria: rules.criteria.clone(),
            candidates: plan.candidates.iter().map(ExplainedCandidate::of).collect(),
        }
    }
}

impl ExplainedCandidate {
    fn of(one: &CandidatePlan) -> Self {
        ExplainedCandidate {
            name: one.name.clone(),
            recipient: one.plan.endpoint.recipient.clone(),
            origin: Arc::clone(&one.plan.endpoint.origin),
            weight: one.weight,
            cost_millionths: one.cost_millionths,
            regions: one.regions.clone(),
            regulations: one.regulations.clone(),
        }
    }
}

/// An entry of `adjust`, and what it changes alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedAdjustment {
    /// Where it stands in the configuration.
    pub place: String,
    /// When it counts, as written.
    pub when: String,
    /// How urgent the delivery is then, where it says so.
    pub priority: Option<Priority>,
    /// The values that are other ones then, with their origins.
    pub values: Vec<ExplainedValue>,
    /// Every retry that is allowed then, from 1.
    pub schedule: Vec<PlannedRetry>,
}

/// How a recipient is asked whether it has a lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedLookUp {
    /// The method.
    pub method: Method,
    /// Where: scheme, host and port.
    pub origin: Arc<str>,
    /// What its answers are read by, in the order it is asked.
    pub read_by: Vec<ReadBy>,
}

/// A recipient's calendar, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedCalendar {
    /// The IANA name of its zone.
    pub time_zone: String,
    /// Its hours, as written; all of them must be open. None is always.
    pub hours: Vec<String>,
    /// How many holidays it has.
    pub holidays: usize,
    /// How many maintenance windows, one-off and recurring.
    pub maintenance: usize,
    /// How it stands now.
    pub standing: Standing,
    /// What the maintenance is for that closes it now.
    pub note: Option<String>,
    /// The next times it is open, from and until.
    pub openings: Vec<(Timestamp, Timestamp)>,
}

/// How many openings are shown.
const OPENINGS_SHOWN: usize = 3;

impl ExplainedCalendar {
    /// Of a calendar, seen from now.
    pub fn of(calendar: &Calendar, now: Timestamp) -> Self {
        ExplainedCalendar {
            time_zone: calendar.zone().name().to_owned(),
            hours: calendar.hours().iter().map(ToString::to_string).collect(),
            holidays: calendar.holidays().len(),
            maintenance: calendar.maintenance().len() + calendar.recurring().len(),
            standing: calendar.at(now),
            note: calendar.maintenance_note(now).map(str::to_owned),
            openings: calendar.openings(now).take(OPENINGS_SHOWN).collect(),
        }
    }
}

/// One value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedValue {
    /// The key.
    pub key: Key,
    /// The value as a config would write it.
    pub value: String,
    /// Who said it, such as `account acme` or `system (policy patient)`.
    pub origin: String,
}

/// When one retry starts, if every attempt fails at once and nothing is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedRetry {
    /// Its number, from 1.
    pub retry: u32,
    /// After the end of the failed attempt.
    pub after_failure: Window,
    /// After the start of the first attempt.
    pub since_first: Window,
    /// Whether it starts within the total timeout.
    pub fits: Fits,
}

/// Whether a retry starts within the total timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fits {
    /// Even when all are as late as they may be.
    Always,
    /// Only when jitter is kind.
    Sometimes,
    /// Not even then: it is never sent.
    Never,
}

impl Fits {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Fits::Always => "always",
            Fits::Sometimes => "sometimes",
            Fits::Never => "never",
        }
    }
}

impl Explained {
    /// Of a step.
    pub fn of(plan: &StepPlan) -> Self {
        Explained {
            flow: plan.flow.clone(),
            step: plan.step.clone(),
            recipient: plan.endpoint.recipient.clone(),
            in_doubt: plan.in_doubt,
            look_up: plan.look_up.as_ref().map(|look_up| ExplainedLookUp {
                method: look_up.request.method().clone(),
                origin: Arc::clone(&look_up.endpoint.origin),
                read_by: look_up.read_by.clone(),
            }),
            when: plan.conditions.when.as_ref().map(|when| when.text().to_owned()),
            leg: plan.leg,
            origin: Arc::clone(&plan.endpoint.origin),
            balance: plan.balance.as_deref().map(ExplainedBalance::of),
            ends: plan.ends.clone(),
            on_open: plan.on_open,
            fallbacks: plan.fallbacks.iter().map(|leg| Explained::of(leg)).collect(),
            values: values(&plan.retry),
            schedule: schedule(&plan.retry.policy),
            max_lead_age: plan.retry.policy.max_lead_age.get(),
            begins: begins(plan),
            retry_hours: plan.conditions.retry_hours.clone(),
            adjustments: plan.conditions.adjustments.iter().map(|one| adjustment(one, &plan.retry)).collect(),
        }
    }
}

impl Explained {
    /// When its retries would go at the earliest, by its recipient's calendar and its own retry hours, if its first attempt
    /// were made now and every attempt failed at once. Ends with the first that has no time.
    pub fn example(&self, calendar: Option<&Calendar>, now: Timestamp) -> Vec<Timestamp> {
        let opens = |calendar: Option<&Calendar>, at| calendar.map_or(Some(at), |calendar| calendar.next_open(at));
        let age = self.max_lead_age;
        let mut times = Vec::new();
        let Some(mut at) = opens(calendar, now) else { return times };
        for retry in &self.schedule {
            at = at.after(retry.after_failure.earliest);
            let hours = self.retry_hours.as_ref();
            let waits = |at| hours.and_then(|hours| hours.waits(retry.retry, now.after(age), at)).unwrap_or(at);
            let Some(open) = opens(calendar, at).and_then(|at| opens(calendar, waits(at))) else { break };
            at = open;
            times.push(at);
        }
        times
    }
}

/// When a step begins, in words.
fn begins(plan: &StepPlan) -> String {
    if let Some(Follow { step, on }) = &plan.after {
        let ends: Vec<&str> = on.iter().map(|end| end.name()).collect();
        return format!("when step {step} is {}", ends.join(" or "));
    }
    match plan.place {
        Some((place, buyers)) => format!("when its turn comes: buyer {place} of {buyers}"),
        None => "at once".to_owned(),
    }
}

fn adjustment(one: &Adjustment, without: &Resolved) -> ExplainedAdjustment {
    let before = values(without);
    ExplainedAdjustment {
        place: one.place.as_str().to_owned(),
        when: one.when.text().to_owned(),
        priority: one.priority,
        values: values(&one.alone).into_iter().filter(|value| !before.contains(value)).collect(),
        schedule: schedule(&one.alone.policy),
    }
}

fn values(resolved: &Resolved) -> Vec<ExplainedValue> {
    let one = |key: &Key| {
        let value = value(*key, resolved)?;
        let origin = resolved.origins.get(key).map_or_else(|| "built-in default".to_owned(), ToString::to_string);
        Some(ExplainedValue { key: *key, value, origin })
    };
    Key::ALL.iter().filter_map(one).collect()
}

/// `None` for `policy` where none was named.
fn value(key: Key, resolved: &Resolved) -> Option<String> {
    let policy = &resolved.policy;
    Some(match key {
        Key::Policy => resolved.policy_name.as_ref()?.to_string(),
        Key::Enabled => policy.enabled.to_string(),
        Key::Backoff => policy.backoff.to_string(),
        Key::MaxRetries => policy.max_retries.to_string(),
        Key::InitialDelay => policy.initial_delay.to_string(),
        Key::Multiplier => policy.multiplier.to_string(),
        Key::MaxInterval => policy.max_interval.to_string(),
        Key::TotalTimeout => policy.total_timeout.to_string(),
        Key::Jitter => policy.jitter.to_string(),
        Key::RetryOn => list(&policy.retry_on),
        Key::NeverRetryOn => list(&policy.never_retry_on),
        Key::MaxLeadAge => policy.max_lead_age.to_string(),
        Key::CountHolds => policy.count_holds.to_string(),
        Key::Extended => policy.extended.to_string(),
    })
}

fn list(conditions: &Conditions) -> String {
    format!("[{}]", conditions.to_texts().join(", "))
}

fn schedule(policy: &RetryPolicy) -> Vec<PlannedRetry> {
    let total = policy.total_timeout.get();
    let mut sum = Window { earliest: Duration::ZERO, latest: Duration::ZERO };
    let retries = 0..policy.retries_allowed();
    let planned = retries.map(|retry| {
        let after_failure = window(policy, retry);
        sum.earliest = sum.earliest.saturating_add(after_failure.earliest);
        sum.latest = sum.latest.saturating_add(after_failure.latest);
        PlannedRetry { retry: retry + 1, after_failure, since_first: sum, fits: fits(sum, total) }
    });
    planned.collect()
}

fn fits(since_first: Window, total: Duration) -> Fits {
    match (since_first.earliest <= total, since_first.latest <= total) {
        (_, true) => Fits::Always,
        (true, false) => Fits::Sometimes,
        (false, false) => Fits::Never,
    }
}
