//! The pace of one recipient: how many attempts in a span of time, and how many at once.
//!
//! Both are the recipient's, whatever endpoints it is reached at. Pure: time is an argument.

mod concurrency;
mod rate;

pub use concurrency::{Concurrency, ConcurrencyLimit, LIMIT_MAX};
pub use rate::{BadRate, Gcra, Rate};

use crate::breaker::Symptom;
use steadfast_lead::Timestamp;

/// What an operator can set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaceSettings {
    /// How many in a span of time; `None` for no limit.
    pub rate: Option<Rate>,
    /// How many at once.
    pub concurrency: ConcurrencyLimit,
}

/// The pace of one recipient.
#[derive(Clone, Debug)]
pub struct Pace {
    rate: Option<Gcra>,
    concurrency: Concurrency,
}

/// Why an attempt cannot start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paced {
    /// Not before this.
    Rate(Timestamp),
    /// Not before another one ends.
    Full,
}

impl Pace {
    /// Nothing under way.
    pub fn new(settings: &PaceSettings) -> Self {
        Pace { rate: settings.rate.map(Gcra::new), concurrency: Concurrency::new(settings.concurrency) }
    }

    /// Takes new settings; what is under way and what was learned stays.
    pub fn handle_settings(&mut self, settings: &PaceSettings) {
        self.rate = match (settings.rate, &self.rate) {
            (Some(rate), Some(held)) => Some(held.at_rate(rate)),
            (rate, _) => rate.map(Gcra::new),
        };
        self.concurrency.handle_limit(settings.concurrency);
    }

    /// Why no attempt can start now; `None` where one can.
    pub fn stops(&self, now: Timestamp) -> Option<Paced> {
        if self.concurrency.is_full() {
            return Some(Paced::Full);
        }
        let ready = self.rate.as_ref().map_or(now, |rate| rate.ready_at(now));
        (ready > now).then_some(Paced::Rate(ready))
    }

    /// An attempt starts. Only where [`Pace::stops`] says nothing.
    pub fn start(&mut self, now: Timestamp) {
        if let Some(rate) = &mut self.rate {
            rate.take(now);
        }
        self.concurrency.start();
    }

    /// The attempt that started then has ended.
    pub fn handle_result(&mut self, started: Timestamp, symptom: &Symptom, now: Timestamp) {
        self.concurrency.handle_result(started, symptom, now);
    }

    /// Attempts under way.
    pub const fn in_flight(&self) -> u32 {
        self.concurrency.in_flight()
    }

    /// How many may be under way at once now.
    pub const fn limit(&self) -> u32 {
        self.concurrency.limit()
    }
}
