//! Attempts and backlog over time, in a bounded number of buckets: when a run outlasts them, they become twice as wide.

use std::time::Duration;

/// Most buckets of a series.
pub const BUCKETS_MAX: usize = 1_024;
const FIRST_WIDTH_MICROS: u64 = 1_000_000;

/// What happened in each span of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// How wide each bucket is.
    pub width: Duration,
    /// Attempts started in each.
    pub attempts: Vec<u32>,
    /// The most deliveries accepted and not yet ended at a moment in each.
    pub backlog: Vec<u32>,
}

/// A series being filled, in order of time.
pub(crate) struct Filling {
    width_micros: u64,
    attempts: Vec<u32>,
    backlog: Vec<u32>,
    waiting: u32,
}

impl Filling {
    pub(crate) fn new() -> Self {
        Filling { width_micros: FIRST_WIDTH_MICROS, attempts: Vec::new(), backlog: Vec::new(), waiting: 0 }
    }

    pub(crate) fn attempt(&mut self, at: Duration) {
        let place = self.reach(at);
        self.attempts[place] = self.attempts[place].saturating_add(1);
    }

    pub(crate) fn arrived(&mut self, at: Duration) {
        let place = self.reach(at);
        self.waiting = self.waiting.saturating_add(1);
        self.backlog[place] = self.backlog[place].max(self.waiting);
    }

    pub(crate) fn ended(&mut self, at: Duration) {
        self.reach(at);
        self.waiting = self.waiting.saturating_sub(1);
    }

    pub(crate) fn finish(mut self, at: Duration) -> Series {
        self.reach(at);
        Series { width: Duration::from_micros(self.width_micros), attempts: self.attempts, backlog: self.backlog }
    }

    /// The bucket of a moment; those skipped on the way there hold what waited all along.
    fn reach(&mut self, at: Duration) -> usize {
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        let most = u64::try_from(BUCKETS_MAX).unwrap_or(u64::MAX);
        while micros / self.width_micros >= most {
            self.widen();
        }
        let place = usize::try_from(micros / self.width_micros).unwrap_or(BUCKETS_MAX - 1);
        if place >= self.attempts.len() {
            self.attempts.resize(place + 1, 0);
            self.backlog.resize(place + 1, self.waiting);
        }
        place
    }

    fn widen(&mut self) {
        self.width_micros = self.width_micros.saturating_mul(2);
        let attempts = self.attempts.chunks(2).map(|pair| pair.iter().copied().fold(0, u32::saturating_add));
        self.attempts = attempts.collect();
        self.backlog = self.backlog.chunks(2).map(|pair| pair.iter().copied().max().unwrap_or(0)).collect();
    }
}

/// One more line beside a series, in buckets of the same width.
pub(crate) struct Track {
    width_micros: u64,
    values: Vec<u32>,
    /// What stands until something else is said; zero for sums.
    level: u32,
    sums: bool,
}

impl Track {
    /// Counts what happens in each bucket.
    pub(crate) fn summing() -> Self {
        Track { width_micros: FIRST_WIDTH_MICROS, values: Vec::new(), level: 0, sums: true }
    }

    /// The highest value that stood in each bucket.
    pub(crate) fn highest() -> Self {
        Track { sums: false, ..Track::summing() }
    }

    pub(crate) fn add(&mut self, at: Duration) {
        let place = self.reach(at);
        self.values[place] = self.values[place].saturating_add(1);
    }

    pub(crate) fn stands_at(&mut self, level: u32, at: Duration) {
        let place = self.reach(at);
        self.level = level;
        self.values[place] = self.values[place].max(level);
    }

    pub(crate) fn finish(mut self, at: Duration) -> Vec<u32> {
        self.reach(at);
        self.values
    }

    fn reach(&mut self, at: Duration) -> usize {
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        let most = u64::try_from(BUCKETS_MAX).unwrap_or(u64::MAX);
        while micros / self.width_micros >= most {
            self.width_micros = self.width_micros.saturating_mul(2);
            let joined = if self.sums { sum } else { highest };
            self.values = self.values.chunks(2).map(joined).collect();
        }
        let place = usize::try_from(micros / self.width_micros).unwrap_or(BUCKETS_MAX - 1);
        if place >= self.values.len() {
            self.values.resize(place + 1, if self.sums { 0 } else { self.level });
        }
        place
    }
}

fn sum(values: &[u32]) -> u32 {
    values.iter().copied().fold(0, u32::saturating_add)
}

fn highest(values: &[u32]) -> u32 {
    values.iter().copied().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_carried_through_quiet_spans() {
        let mut filling = Filling::new();
        let secs = Duration::from_secs;
        filling.arrived(secs(0));
        filling.arrived(secs(0));
        filling.attempt(secs(0));
        filling.ended(secs(3));
        filling.ended(secs(5));
        let series = filling.finish(secs(6));
        assert_eq!(series.backlog, [2, 2, 2, 2, 1, 1, 0]);
        assert_eq!(series.attempts, [1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_long_run_widens_its_buckets_and_loses_nothing() {
        let mut filling = Filling::new();
        filling.arrived(Duration::ZERO);
        for second in 0..10_000 {
            filling.attempt(Duration::from_secs(second));
        }
        let series = filling.finish(Duration::from_secs(10_000));
        assert_eq!(series.width, Duration::from_secs(16));
        assert!(series.attempts.len() <= BUCKETS_MAX);
        assert_eq!(series.attempts.iter().sum::<u32>(), 10_000);
        assert!(series.backlog.iter().all(|waiting| *waiting == 1));
    }
}
