//! The keys about protecting recipients as a scenario file writes them, and the settings they say.

use crate::answer::Scripted;
use crate::quantity::shown;
use crate::retry_table::Faults;
use crate::scenario::{Beyond, Capacity, Protection};
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::time::Duration;
use steadfast_retry::GuardSettings;
use steadfast_retry::breaker::{BreakerMode, BreakerSettings};
use steadfast_retry::pace::{ConcurrencyLimit, LIMIT_MAX, PaceSettings, Rate};
use steadfast_retry::policy::show_duration;

/// How recipients are protected; every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardFile {
    /// `on` (the default), `observe` or `off`.
    pub breaker: Option<String>,
    /// From when on an answer counts as a failure; never unless said.
    pub slow_call: Option<String>,
    /// How long the breaker is open at first; 30 s unless said.
    pub open_for: Option<String>,
    /// How long it is open at most; a quarter of an hour unless said.
    pub longest_open: Option<String>,
    /// How long the way back takes; a minute unless said.
    pub ramp: Option<String>,
    /// Whether retries are budgeted; they are unless said otherwise.
    pub budget: Option<bool>,
    /// The most attempts in a span: `50/s`, `300/min`; no limit unless said.
    pub rate: Option<String>,
    /// Attempts at once, fixed. Unless said, a number that finds itself.
    pub concurrency: Option<u32>,
    /// The most that number may become; 50 unless said.
    pub concurrency_max: Option<u32>,
}

/// What a recipient can take, and what it does beyond.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityFile {
    /// Attempts at once.
    pub concurrent: Option<u32>,
    /// Attempts in a span: `20/s`.
    pub rate: Option<String>,
    /// What it answers beyond: `slower`, or an answer such as `503` or `429 retry-after=2`; 503 unless said.
    pub beyond: Option<String>,
}

impl GuardFile {
    /// The settings it says; what cannot be goes to `faults` with `place` before it.
    pub(crate) fn read(&self, place: &str, faults: &mut Faults) -> Protection {
        let at = |key: &str| format!("{place}.{key}");
        let mode = self.breaker.as_ref().and_then(|word| mode(word, &at("breaker"), faults));
        let slow_call = faults.duration(&at("slow_call"), self.slow_call.as_ref());
        let rate = self.rate.as_ref().and_then(|text| faults.kept(&at("rate"), Rate::parse(text)));
        let breaker = self.times(place, faults);
        let breaker = BreakerSettings { mode: mode.unwrap_or(BreakerMode::On), slow_call, ..breaker };
        let pace = PaceSettings { rate, concurrency: self.concurrency(place, faults) };
        Protection { guard: GuardSettings { breaker, budget: self.budget.unwrap_or(true) }, pace }
    }

    fn times(&self, place: &str, faults: &mut Faults) -> BreakerSettings {
        let mut read = |key: &str, text: Option<&String>, range: RangeInclusive<Duration>| {
            let value = faults.duration(&format!("{place}.{key}"), text)?;
            if !range.contains(&value) {
                let [least, most] = [*range.start(), *range.end()].map(show_duration);
                let problem = format!("{} is out of range: allowed is {least} to {most}", show_duration(value));
                faults.add(&format!("{place}.{key}"), problem);
            }
            Some(value)
        };
        let open_for = read("open_for", self.open_for.as_ref(), BreakerSettings::OPEN_FOR);
        let longest = read("longest_open", self.longest_open.as_ref(), BreakerSettings::LONGEST_OPEN);
        let ramp = read("ramp", self.ramp.as_ref(), BreakerSettings::RAMP);
        if let (Some(first), Some(longest)) = (open_for, longest)
            && first > longest
        {
            let (first, longest) = (show_duration(first), show_duration(longest));
            faults.add(
                &format!("{place}.open_for"),
                format!("{first} is above longest_open: allowed is at most {longest}"),
            );
        }
        BreakerSettings::default().with_times(open_for, longest, ramp)
    }

    fn concurrency(&self, place: &str, faults: &mut Faults) -> ConcurrencyLimit {
        let mut bounded = |key: &str, value: u32| {
            if !(1..=LIMIT_MAX).contains(&value) {
                faults.add(&format!("{place}.{key}"), format!("{value} at once: allowed is 1 to {LIMIT_MAX}"));
            }
            value
        };
        match (self.concurrency, self.concurrency_max) {
            (Some(fixed), None) => ConcurrencyLimit::Fixed(bounded("concurrency", fixed)),
            (None, Some(most)) => ConcurrencyLimit::Adaptive { most: bounded("concurrency_max", most) },
            (None, None) => ConcurrencyLimit::default(),
            (Some(_), Some(_)) => {
                let problem = "concurrency is fixed, concurrency_max bounds one that is not: allowed is either";
                faults.add(&format!("{place}.concurrency_max"), problem);
                ConcurrencyLimit::default()
            }
        }
    }
}

fn mode(word: &str, place: &str, faults: &mut Faults) -> Option<BreakerMode> {
    let mode = BreakerMode::from_name(word);
    if mode.is_none() {
        faults.add(place, format!("{:?} is not known: allowed are on, observe, off", shown(word)));
    }
    mode
}

impl CapacityFile {
    /// What it says. `latency` is how long an answer takes unless it says otherwise.
    pub(crate) fn read(&self, place: &str, latency: Duration, faults: &mut Faults) -> Option<Capacity> {
        let at = |key: &str| format!("{place}.{key}");
        if self.concurrent.is_none() && self.rate.is_none() {
            faults.add(place, "allowed is concurrent, rate, or both");
        }
        if self.concurrent == Some(0) {
            faults.add(&at("concurrent"), "0 at once: allowed is 1 or more");
        }
        let rate = match &self.rate {
            Some(text) => Some(faults.kept(&at("rate"), Rate::parse(text))?),
            None => None,
        };
        let beyond = match self.beyond.as_deref() {
            Some("slower") => Beyond::Slower,
            other => {
                let answer = Scripted::parse(other.unwrap_or("503"), latency);
                Beyond::Answers(Box::new(faults.kept(&at("beyond"), answer)?))
            }
        };
        Some(Capacity { concurrent: self.concurrent.unwrap_or(u32::MAX), rate, beyond })
    }
}
