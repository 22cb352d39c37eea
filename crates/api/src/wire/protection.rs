//! How recipients are protected, as it is shown: health, pace, breakers, budgets, and what people stopped.

use crate::wire::words;
use serde::Serialize;
use steadfast_engine::{EndpointStanding, RecipientStanding};
use steadfast_flow::RecipientPlan;
use steadfast_retry::breaker::{BreakerMode, BreakerState};
use steadfast_retry::pace::ConcurrencyLimit;
use steadfast_retry::{Stop, StopTarget, Within};
use utoipa::ToSchema;

/// How a recipient is, in one word; the gravest of what is so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    /// Everything goes.
    #[default]
    Well,
    /// It asked to be left alone for a while.
    Paused,
    /// It is back, and gets a growing share.
    Recovering,
    /// A breaker is open, or probes.
    Failing,
    /// It refuses our credentials.
    Credentials,
    /// A person stopped it, or opened a breaker.
    Stopped,
}

impl Health {
    /// All of them.
    pub(crate) const ALL: [Health; 6] =
        [Health::Well, Health::Paused, Health::Recovering, Health::Failing, Health::Credentials, Health::Stopped];

    /// The word in answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Health::Well => "well",
            Health::Paused => "paused",
            Health::Recovering => "recovering",
            Health::Failing => "failing",
            Health::Credentials => "credentials",
            Health::Stopped => "stopped",
        }
    }

    /// Of a recipient whose breakers may do so much.
    pub(crate) fn of(standing: &RecipientStanding, mode: BreakerMode) -> Self {
        let stopped = if standing.stopped { Health::Stopped } else { Health::Well };
        standing.endpoints.iter().map(|endpoint| of_endpoint(endpoint, mode)).fold(stopped, Health::max)
    }
}

fn of_endpoint(standing: &EndpointStanding, mode: BreakerMode) -> Health {
    let asked = if standing.paused_until.is_some() { Health::Paused } else { Health::Well };
    // One that only observes holds nothing, whatever it concludes.
    let breaker = match mode {
        BreakerMode::On => of_breaker(standing.breaker.state),
        BreakerMode::Observe | BreakerMode::Off => Health::Well,
    };
    asked.max(breaker)
}

const fn of_breaker(state: BreakerState) -> Health {
    match state {
        BreakerState::Closed | BreakerState::Disabled => Health::Well,
        BreakerState::Recovery => Health::Recovering,
        BreakerState::Open | BreakerState::HalfOpen => Health::Failing,
        BreakerState::Credentials => Health::Credentials,
        BreakerState::ForcedOpen => Health::Stopped,
    }
}

/// What a person stopped or let go on: one of the three names, with `flow` beside a source.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct StopTargetView {
    /// The recipient, where one is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    /// The flow, where one or a source of it is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    /// The source, where one is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// The id of the suppression, where a person is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    suppression: Option<String>,
    /// Where it is maintenance: from when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    from: Option<String>,
    /// Where it is maintenance: until just before when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    until: Option<String>,
}

impl From<&StopTarget> for StopTargetView {
    fn from(target: &StopTarget) -> Self {
        let (recipient, flow, source) = match target {
            StopTarget::Recipient(recipient) => (Some(recipient.to_string()), None, None),
            StopTarget::Flow(flow) => (None, Some(flow.to_string()), None),
            StopTarget::Source(flow, source) => (None, Some(flow.to_string()), Some(source.to_string())),
            StopTarget::Person(suppressed) => match &suppressed.within {
                Within::Everything => (None, None, None),
                Within::Flow(flow) => (None, Some(flow.to_string()), None),
                Within::Recipient(recipient) => (Some(recipient.to_string()), None, None),
            },
            StopTarget::Maintenance(recipient, ..) => (Some(recipient.to_string()), None, None),
        };
        let suppression = match target {
            StopTarget::Person(suppressed) => Some(suppressed.to_string()),
            StopTarget::Recipient(_) | StopTarget::Flow(_) | StopTarget::Source(..) => None,
            StopTarget::Maintenance(..) => None,
        };
        let (from, until) = match target {
            StopTarget::Maintenance(_, from, until) => (Some(from.to_string()), Some(until.to_string())),
            StopTarget::Recipient(_) | StopTarget::Flow(_) | StopTarget::Source(..) => (None, None),
            StopTarget::Person(_) => (None, None),
        };
        StopTargetView { recipient, flow, source, suppression, from, until }
    }
}

/// A stop by a person.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct StopView {
    /// What is stopped.
    #[serde(flatten)]
    target: StopTargetView,
    /// Who did it.
    by: String,
    /// Why, in their words.
    reason: String,
    /// Since when.
    #[schema(schema_with = words::time)]
    since: String,
}

impl StopView {
    /// As it is kept.
    pub(crate) fn of(stop: &Stop) -> Self {
        let (by, reason) = (stop.by.to_string(), stop.reason.to_string());
        StopView { target: (&stop.target).into(), by, reason, since: stop.since.to_string() }
    }
}

/// How many attempts there may be.
#[derive(Serialize, ToSchema)]
pub(crate) struct PaceView {
    /// Attempts under way.
    in_flight: u32,
    /// Attempts at once, at most, now.
    concurrency: u32,
    /// Attempts at once, at most, however well it does.
    concurrency_max: u32,
    /// Whether `concurrency` finds itself within `concurrency_max`.
    adaptive: bool,
    /// Attempts in a span of time, at most, such as `50/s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<String>,
}

impl PaceView {
    /// Of a recipient that is configured.
    pub(crate) fn of(plan: &RecipientPlan, standing: Option<&RecipientStanding>) -> Self {
        let (most, adaptive) = match plan.pace.concurrency {
            ConcurrencyLimit::Fixed(most) => (most, false),
            ConcurrencyLimit::Adaptive { most } => (most, true),
        };
        PaceView {
            in_flight: standing.map_or(0, |standing| standing.in_flight),
            concurrency: standing.map_or(most, |standing| standing.concurrency),
            concurrency_max: most,
            adaptive,
            rate_limit: plan.pace.rate.map(|rate| rate.to_string()),
        }
    }
}

/// Why an endpoint starts nothing now.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointHoldView {
    /// Why.
    #[schema(schema_with = words::held)]
    why: &'static str,
    /// Until when, at the latest; missing where another event has to come first, such as a person's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    until: Option<String>,
}

/// How an endpoint's breaker stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct BreakerView {
    /// Where it stands.
    #[schema(schema_with = words::breaker)]
    state: &'static str,
    /// What it may do: `on`, `observe` or `off`.
    mode: &'static str,
    /// Since when it stands there.
    #[schema(schema_with = words::time)]
    since: String,
    /// When it changes by itself, at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    changes_at: Option<String>,
    /// Counts its changes.
    generation: u64,
    /// Openings in a row that no five closed minutes have forgiven; each doubles the open time.
    openings_in_a_row: u8,
    /// Failures in a row, up to now.
    failures_in_a_row: u32,
    /// Failures in the last minute of its present state.
    failures: u32,
    /// Attempts in the last minute of its present state that say something about its health.
    calls: u32,
    /// Attempts since the server started, by what they said.
    totals: TotalsView,
}

/// Attempts by what they said about an endpoint's health.
#[derive(Serialize, ToSchema)]
struct TotalsView {
    /// It answered as one that is well.
    healthy: u64,
    /// It failed.
    failed: u64,
    /// It refused our credentials.
    refused: u64,
    /// Nothing.
    neutral: u64,
}

/// Where a recipient is reached.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointView {
    /// Scheme, host and port.
    pub(crate) endpoint: String,
    /// Why it starts nothing now.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<EndpointHoldView>,
    /// Until when it asked to be left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    paused_until: Option<String>,
    /// Its breaker.
    breaker: BreakerView,
    /// Tokens in its retry budget, of 100; a retry costs one.
    retry_budget: f64,
    /// The share of what it took before that may go now: 1, or less while it recovers.
    share: f64,
}

impl EndpointView {
    /// As it stands.
    pub(crate) fn of(standing: &EndpointStanding, mode: BreakerMode) -> Self {
        EndpointView {
            endpoint: standing.endpoint.origin.to_string(),
            hold: standing.hold.map(|hold| EndpointHoldView {
                why: hold.why.name(),
                until: hold.until.map(|until| until.to_string()),
            }),
            paused_until: standing.paused_until.map(|until| until.to_string()),
            breaker: BreakerView::of(standing, mode),
            retry_budget: f64::from(standing.budget_thousandths) / 1_000.0,
            share: f64::from(standing.share_thousandths) / 1_000.0,
        }
    }
}

impl BreakerView {
    fn of(standing: &EndpointStanding, mode: BreakerMode) -> Self {
        let (breaker, counted, totals) = (&standing.breaker, standing.counted, standing.totals);
        BreakerView {
            state: breaker.state.name(),
            mode: mode.name(),
            since: breaker.since.to_string(),
            changes_at: standing.breaker_next.map(|at| at.to_string()),
            generation: breaker.generation,
            openings_in_a_row: breaker.strikes,
            failures_in_a_row: counted.in_a_row,
            failures: counted.failures,
            calls: counted.calls,
            totals: TotalsView {
                healthy: totals.healthy,
                failed: totals.failed,
                refused: totals.refused,
                neutral: totals.neutral,
            },
        }
    }
}
