//! What a run showed, as plain figures. Text, chart and the serialised form are made from this.

use crate::series::Series;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::breaker::BreakerState;
use steadfast_retry::{CloseReason, HoldReason, ReviewCause, Seed};

/// What a run showed, policy by policy on the same traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The scenario's name.
    pub name: String,
    /// The scenario's title.
    pub title: String,
    /// The seed it ran with.
    pub seed: Seed,
    /// When it started on the virtual clock.
    pub start: Timestamp,
    /// The scenario's own policy first, then those compared with it.
    pub policies: Vec<PolicyReport>,
}

/// What one policy made of the traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyReport {
    /// What the policy is called.
    pub policy: String,
    /// Leads that arrived.
    pub leads: u64,
    /// Delivered, those `probable` among them.
    pub delivered: u64,
    /// Delivered as concluded from a duplicate answer after an attempt in doubt.
    pub probable: u64,
    /// Delivered after an attempt in doubt: the recipient may have the lead twice.
    pub possibly_twice: u64,
    /// The recipient's business said no.
    pub rejected: u64,
    /// In review, by cause.
    pub in_review: BTreeMap<ReviewCause, u64>,
    /// Ended without having been sent, or without an answer, by why.
    pub closed: BTreeMap<CloseReason, u64>,
    /// Waiting or held when the run was stopped.
    pub still_waiting: u64,
    /// Attempts sent.
    pub attempts: u64,
    /// Retries by their number, the first at index 0.
    pub retries_by_number: Vec<u64>,
    /// Deliveries by the number of the attempt that delivered them, the first at index 0.
    pub delivered_by_attempt: Vec<u64>,
    /// From acceptance to delivery; `None` when nothing was delivered.
    pub delivery_time: Option<Quantiles>,
    /// From the start to the last thing that happened.
    pub lasted: Duration,
    /// Attempts and backlog over time.
    pub series: Series,
    /// Every attempt and change, where there are few leads.
    pub timeline: Option<String>,
    /// Each leg and endpoint, where the step has several.
    pub ways: Vec<WayReport>,
    /// What protecting the recipients showed; `None` where the scenario asks for none.
    pub protection: Option<ProtectionReport>,
}

/// What one leg, or one of its endpoints, had of the deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayReport {
    /// Which leg.
    pub leg: u8,
    /// Which of its endpoints; `None` where it has one.
    pub endpoint: Option<String>,
    /// Whom it goes to.
    pub recipient: String,
    /// Attempts sent there.
    pub attempts: u64,
    /// Delivered there.
    pub delivered: u64,
    /// Rejected there.
    pub rejected: u64,
}

impl WayReport {
    /// What it is called: `leg 0 east`.
    pub(crate) fn name(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("leg {} {endpoint}", self.leg),
            None => format!("leg {} to {}", self.leg, self.recipient),
        }
    }
}

/// What protecting the recipients showed. Its lines have the buckets of the report's series.
#[derive(Clone, Debug, PartialEq)]
pub struct ProtectionReport {
    /// In the order of the scenario.
    pub recipients: Vec<RecipientReport>,
    /// The most deliveries that were due and not let go, at a moment in each bucket.
    pub held: Vec<u32>,
    /// How often something had to wait, by why.
    pub waits: BTreeMap<HoldReason, u64>,
    /// Deliveries by how old their lead was.
    pub delivered_by_age: ByAge,
}

/// What one recipient saw.
#[derive(Clone, Debug, PartialEq)]
pub struct RecipientReport {
    /// Its name.
    pub name: String,
    /// Attempts started in each bucket.
    pub attempts: Vec<u32>,
    /// Attempts that were more than it could take.
    pub beyond_capacity: u64,
    /// Where its breaker stood at worst in each bucket: 0 closed, 1 recovery, 2 half-open, 3 open.
    pub breaker: Vec<u32>,
    /// What its breaker did.
    pub told: Vec<Told>,
    /// Transitions that are not told.
    pub untold: u64,
}

/// One transition of a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When, counted from the start.
    pub at: Duration,
    /// To which state.
    pub to: BreakerState,
    /// From where, to where and why.
    pub text: String,
}

/// Deliveries by how old their lead was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByAge {
    counts: [u64; ByAge::BOUNDS.len()],
}

impl ByAge {
    /// Upper ends, and their words; the last has none.
    pub const BOUNDS: [(&'static str, Duration); 7] = [
        ("1s", Duration::from_secs(1)),
        ("10s", Duration::from_secs(10)),
        ("1m", Duration::from_secs(60)),
        ("5m", Duration::from_secs(300)),
        ("15m", Duration::from_secs(900)),
        ("1h", Duration::from_secs(3_600)),
        ("later", Duration::MAX),
    ];

    pub(crate) fn count(&mut self, age: Duration) {
        let place = Self::BOUNDS.iter().position(|(_, most)| age <= *most).unwrap_or(Self::BOUNDS.len() - 1);
        self.counts[place] += 1;
    }

    /// Each part with its word.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Self::BOUNDS.iter().zip(self.counts).map(|((word, _), count)| (*word, count))
    }
}

impl PolicyReport {
    /// How many deliveries a person has to look at.
    pub fn in_review_count(&self) -> u64 {
        self.in_review.values().sum()
    }
}

/// How long something took, from shortest to longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// Half of them took at most this.
    pub p50: Duration,
    /// 95 of 100 took at most this.
    pub p95: Duration,
    /// 99 of 100 took at most this.
    pub p99: Duration,
    /// None took longer.
    pub longest: Duration,
}

impl Quantiles {
    /// By the nearest-rank method; `None` without any value.
    pub(crate) fn of(mut micros: Vec<u64>) -> Option<Self> {
        micros.sort_unstable();
        let longest = Duration::from_micros(*micros.last()?);
        let rank = |percent: usize| {
            let place = (micros.len() * percent).div_ceil(100).max(1) - 1;
            micros.get(place).copied().map_or(longest, Duration::from_micros)
        };
        Some(Quantiles { p50: rank(50), p95: rank(95), p99: rank(99), longest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_go_by_nearest_rank() {
        let quantiles = Quantiles::of((1..=200).rev().collect()).unwrap();
        let micros = [quantiles.p50, quantiles.p95, quantiles.p99, quantiles.longest].map(|time| time.as_micros());
        assert_eq!(micros, [100, 190, 198, 200]);
        assert_eq!(Quantiles::of(vec![7]).unwrap().p50.as_micros(), 7);
        assert_eq!(Quantiles::of(Vec::new()), None);
    }
}
