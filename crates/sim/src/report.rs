//! What a run showed, as plain figures. Text, chart and the serialised form are made from this.

use crate::series::Series;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::{ReviewCause, Seed};

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
