//! How a recipient is protected: pace, breaker and retry budget as written, what may not be so, and what it comes to.
//!
//! Stands on recipients only. A flow that could say more than the recipient takes would make every limit worthless.

use crate::place::{Fault, Place, Warning};
use crate::plan::{RecipientPlan, StepPlan};
use crate::request::Request;
use crate::token_settings::range_fault;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use steadfast_retry::GuardSettings;
use steadfast_retry::breaker::{BreakerMode, BreakerSettings};
use steadfast_retry::pace::{ConcurrencyLimit, LIMIT_MAX, PaceSettings, Rate};
use steadfast_retry::policy::show_duration;

/// Attempts under way at once that one recipient may be allowed.
pub const CONCURRENCY: RangeInclusive<u32> = 1..=LIMIT_MAX;
/// From when on an answer may count as slow.
pub const SLOW_CALL: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(300);
/// How long a probe may be given.
pub const PROBE_LEASE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// How long an open breaker may hold a delivery before a person looks.
pub const LONGEST_HOLD: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(90 * 86_400);
/// What a probe's lease is longer than its attempt can take, where nothing is written.
const LEASE_SLACK: Duration = Duration::from_secs(5);

/// What becomes of a delivery whose endpoint's breaker is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOpen {
    /// It is held, and uses no retry.
    #[default]
    Hold,
    /// It goes to the next leg of its step; held where there is none, or none of the next takes leads either.
    NextLeg,
    /// A person decides.
    Review,
}

impl OnOpen {
    /// All of them.
    pub const ALL: [OnOpen; 3] = [OnOpen::Hold, OnOpen::NextLeg, OnOpen::Review];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            OnOpen::Hold => "hold",
            OnOpen::NextLeg => "next_leg",
            OnOpen::Review => "review",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        OnOpen::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// How a recipient is protected, as written. `None` leaves a key to its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProtectionSettings {
    /// Attempts under way at once.
    pub concurrency: Option<ConcurrencyLimit>,
    /// Attempts in a span of time.
    pub rate_limit: Option<Rate>,
    /// Whether retries are budgeted.
    pub retry_budget: Option<bool>,
    /// The breaker of each of its endpoints.
    pub breaker: BreakerKeys,
    /// The most that `rate_limit` may be.
    pub max_rate: Option<Rate>,
    /// The most that `concurrency` may be.
    pub max_concurrency: Option<u32>,
}

/// What is written under `breaker`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakerKeys {
    /// What it may do.
    pub mode: Option<BreakerMode>,
    /// From when on an answer counts as a failure.
    pub slow_call: Option<Duration>,
    /// How long a probe may take before it counts as failed.
    pub probe_lease: Option<Duration>,
    /// How long it is open at first.
    pub open_for: Option<Duration>,
    /// How long it is open at most.
    pub longest_open: Option<Duration>,
    /// How long the way back takes.
    pub ramp: Option<Duration>,
    /// What becomes of deliveries while it is open.
    pub on_open: Option<OnOpen>,
    /// How long it may hold a delivery before a person looks.
    pub longest_hold: Option<Duration>,
}

impl ProtectionSettings {
    /// What is wrong with it by itself, at a recipient's place.
    pub(crate) fn faults(&self, place: &Place) -> Vec<Fault> {
        let (breaker, limits) = (place.key("breaker"), place.key("limits"));
        let keys = &self.breaker;
        let counts = [
            (self.concurrency.map(most), self.concurrency_place(place)),
            (self.max_concurrency, limits.key("max_concurrency")),
        ];
        let durations = [
            ("breaker.slow_call", keys.slow_call, SLOW_CALL),
            ("breaker.probe_lease", keys.probe_lease, PROBE_LEASE),
            ("breaker.open_for", keys.open_for, BreakerSettings::OPEN_FOR),
            ("breaker.longest_open", keys.longest_open, BreakerSettings::LONGEST_OPEN),
            ("breaker.ramp", keys.ramp, BreakerSettings::RAMP),
            ("breaker.longest_hold", keys.longest_hold, LONGEST_HOLD),
        ];
        let mut faults: Vec<Fault> =
            counts.into_iter().filter_map(|(count, place)| count_fault(place, count)).collect();
        let out = durations.into_iter().filter_map(|(key, value, range)| range_fault(key, value, range));
        faults.extend(out.map(|fault| fault.under(place)));
        faults.extend(self.rate_above_limit(place));
        if faults.is_empty() {
            faults.extend(self.concurrency_above_limit(place));
            faults.extend(keys.open_times_fault(&breaker));
        }
        if keys.on_open == Some(OnOpen::Review)
            && let Some(longest) = keys.longest_hold
        {
            let problem = "is how long a delivery is held at most, and on_open = \"review\" holds none";
            let allowed = "only with on_open = \"hold\" or \"next_leg\"";
            faults.push(Fault::of(breaker.key("longest_hold"), &show_duration(longest), problem, allowed));
        }
        faults
    }

    fn concurrency_place(&self, place: &Place) -> Place {
        let place = place.key("concurrency");
        match self.concurrency {
            Some(ConcurrencyLimit::Adaptive { .. }) => place.key("adaptive"),
            Some(ConcurrencyLimit::Fixed(_)) | None => place,
        }
    }

    fn rate_above_limit(&self, place: &Place) -> Option<Fault> {
        let (rate, limit) = (self.rate_limit?, self.max_rate?);
        let allowed = format!("at most {limit}");
        let fault = || Fault::of(place.key("rate_limit"), &rate.to_string(), "is above limits.max_rate", &allowed);
        (rate.interval() < limit.interval()).then(fault)
    }

    fn concurrency_above_limit(&self, place: &Place) -> Option<Fault> {
        let (count, limit) = (most(self.concurrency?), self.max_concurrency?);
        let (place, allowed) = (self.concurrency_place(place), format!("at most {limit}"));
        (count > limit).then(|| Fault::of(place, &count.to_string(), "is above limits.max_concurrency", &allowed))
    }

    /// What it comes to, with the steps that send to the recipient. A probe's lease is longer than any of their attempts.
    ///
    /// # Errors
    /// [`Fault`] where the lease written is not.
    pub(crate) fn plan(&self, place: &Place, steps: &[Arc<StepPlan>]) -> Result<RecipientPlan, Fault> {
        let keys = &self.breaker;
        let default = BreakerSettings::default();
        let breaker = BreakerSettings {
            mode: keys.mode.unwrap_or(default.mode),
            slow_call: keys.slow_call,
            probe_lease: self.probe_lease(place, steps, default.probe_lease)?,
            ..default.with_times(keys.open_for, keys.longest_open, keys.ramp)
        };
        let concurrency = self.concurrency.unwrap_or_default();
        let concurrency = match (concurrency, self.max_concurrency) {
            (ConcurrencyLimit::Adaptive { most }, Some(limit)) => ConcurrencyLimit::Adaptive { most: most.min(limit) },
            (ConcurrencyLimit::Adaptive { .. } | ConcurrencyLimit::Fixed(_), _) => concurrency,
        };
        Ok(RecipientPlan {
            guard: GuardSettings { breaker, budget: self.retry_budget.unwrap_or(true) },
            pace: PaceSettings { rate: self.rate_limit.or(self.max_rate), concurrency },
            on_open: keys.on_open.unwrap_or_default(),
            longest_hold: keys.longest_hold,
            calendar: None,
            when_closed: Default::default(),
        })
    }

    /// It says that deliveries go to the next leg, and no step that sends to the recipient has one.
    pub(crate) fn next_leg_fault(&self, place: &Place, steps: &[Arc<StepPlan>]) -> Option<Fault> {
        let place = place.key("breaker").key("on_open");
        let none = self.breaker.on_open == Some(OnOpen::NextLeg) && steps.iter().all(|step| step.next.is_none());
        let allowed = "hold or review, or a fallback after a step that sends to it";
        none.then(|| Fault::of(place, "\"next_leg\"", "has no leg to go on to", allowed))
    }

    fn probe_lease(&self, place: &Place, steps: &[Arc<StepPlan>], usual: Duration) -> Result<Duration, Fault> {
        let longest =
            steps.iter().map(|step| (longest_attempt(&step.request), step)).max_by_key(|(longest, _)| *longest);
        let needed = longest.map_or(Duration::ZERO, |(longest, _)| longest);
        let Some(lease) = self.breaker.probe_lease else {
            return Ok(usual.max(needed.saturating_add(LEASE_SLACK)));
        };
        match longest {
            Some((longest, step)) if lease <= longest => {
                let longest = show_duration(longest);
                let problem =
                    format!("is not longer than an attempt of {}/{} may take: {longest}", step.flow, step.step);
                let allowed = format!("more than {longest}");
                Err(Fault::of(place.key("breaker").key("probe_lease"), &show_duration(lease), &problem, &allowed))
            }
            Some(_) | None => Ok(lease),
        }
    }

    /// What works, but hardly as meant.
    pub(crate) fn warnings(&self, place: &Place, steps: &[Arc<StepPlan>]) -> Vec<Warning> {
        let breaker = place.key("breaker");
        let unused = self.unused().into_iter().map(|(key, mode)| Warning {
            place: breaker.key(key),
            text: format!("{key} is not used with mode = \"{}\"", mode.name()),
        });
        let odd = [
            self.slow_call_warning(&breaker, steps),
            self.hold_warning(&breaker, steps),
            self.next_leg_warning(&breaker, steps),
        ];
        unused.chain(odd.into_iter().flatten()).collect()
    }

    /// Some of what sends to it has no fallback at all: that is held.
    fn next_leg_warning(&self, breaker: &Place, steps: &[Arc<StepPlan>]) -> Option<Warning> {
        let alone = |step: &&Arc<StepPlan>| step.leg == 0 && step.next.is_none();
        let mut alone: Vec<String> =
            steps.iter().filter(alone).map(|step| format!("{}/{}", step.flow, step.step)).collect();
        if self.breaker.on_open != Some(OnOpen::NextLeg) || alone.is_empty() {
            return None;
        }
        alone.sort_unstable();
        let text = format!("without a fallback is held all the same: {}", alone.join(", "));
        Some(Warning { place: breaker.key("on_open"), text })
    }

    /// Keys that the breaker's mode leaves without use.
    fn unused(&self) -> Vec<(&'static str, BreakerMode)> {
        let keys = &self.breaker;
        let concluding = [
            ("slow_call", keys.slow_call.is_some()),
            ("probe_lease", keys.probe_lease.is_some()),
            ("open_for", keys.open_for.is_some()),
            ("longest_open", keys.longest_open.is_some()),
        ];
        let stopping = [
            ("ramp", keys.ramp.is_some()),
            ("on_open", keys.on_open.is_some()),
            ("longest_hold", keys.longest_hold.is_some()),
        ];
        let (mode, idle) = match keys.mode {
            None | Some(BreakerMode::On) => return Vec::new(),
            Some(BreakerMode::Observe) => (BreakerMode::Observe, stopping.to_vec()),
            Some(BreakerMode::Off) => (BreakerMode::Off, concluding.into_iter().chain(stopping).collect()),
        };
        idle.into_iter().filter(|(_, set)| *set).map(|(key, _)| (key, mode)).collect()
    }

    fn slow_call_warning(&self, breaker: &Place, steps: &[Arc<StepPlan>]) -> Option<Warning> {
        let slow = self.breaker.slow_call?;
        let longest = steps.iter().map(|step| step.request.timeouts().total).max()?;
        let (shown, longest_shown) = (show_duration(slow), show_duration(longest));
        let text = format!("no answer takes {shown}: the longest timeout of its steps is {longest_shown}");
        (slow >= longest).then(|| Warning { place: breaker.key("slow_call"), text })
    }

    fn hold_warning(&self, breaker: &Place, steps: &[Arc<StepPlan>]) -> Option<Warning> {
        let hold = self.breaker.longest_hold?;
        let oldest = steps.iter().map(|step| step.retry.policy.max_lead_age.get()).max()?;
        let (shown, oldest_shown) = (show_duration(hold), show_duration(oldest));
        let text = format!("never reached: its leads are too old after {oldest_shown}, before {shown} of being held");
        (hold >= oldest).then(|| Warning { place: breaker.key("longest_hold"), text })
    }
}

impl BreakerKeys {
    fn open_times_fault(&self, breaker: &Place) -> Option<Fault> {
        let (first, longest) = (self.open_for?, self.longest_open?);
        let allowed = format!("at most {}", show_duration(longest));
        let fault = || Fault::of(breaker.key("open_for"), &show_duration(first), "is above longest_open", &allowed);
        (first > longest).then(fault)
    }
}

const fn most(concurrency: ConcurrencyLimit) -> u32 {
    match concurrency {
        ConcurrencyLimit::Fixed(count) => count,
        ConcurrencyLimit::Adaptive { most } => most,
    }
}

/// A request with a token may ask for the token, be refused, ask again and be sent again: all of that is one attempt.
fn longest_attempt(request: &Request) -> Duration {
    let total = request.timeouts().total;
    request.token().map_or(total, |token| total.saturating_add(token.timeout).saturating_mul(2))
}

fn count_fault(place: Place, count: Option<u32>) -> Option<Fault> {
    let count = count.filter(|count| !CONCURRENCY.contains(count))?;
    let allowed = format!("{} to {}", CONCURRENCY.start(), CONCURRENCY.end());
    Some(Fault::of(place, &count.to_string(), "is out of range", &allowed))
}
