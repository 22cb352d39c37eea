//! The retry budget of one endpoint: how much retrying its successes can pay for.
//!
//! A retry is worth sending while most attempts succeed; when most fail, retries multiply the load of a recipient in trouble.
//! So each success earns a fifth of a retry, each retry costs one, and gets it back by succeeding. An empty budget defers,
//! never drops, and fills by itself, so that recovery stays possible. First attempts never pay.
//!
//! Exact: counted in thousandths of a token, and time in whole milliseconds.

use std::time::Duration;
use steadfast_lead::Timestamp;

const FULL: u32 = 100_000;
const RETRY: u32 = 1_000;
const SUCCESS: u32 = 200;
/// One thousandth of a token.
const REFILL: Duration = Duration::from_millis(1);

/// What a store keeps of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSnapshot {
    /// Thousandths of a token.
    pub tokens_thousandths: u32,
    /// Until when the refill is counted in.
    pub filled_at: Timestamp,
}

/// The retry budget of one endpoint. See the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    tokens: u32,
    filled_at: Timestamp,
}

impl Budget {
    /// A full one.
    pub const fn new(now: Timestamp) -> Self {
        Budget { tokens: FULL, filled_at: now }
    }

    /// As it was kept.
    pub fn restore(kept: &BudgetSnapshot, now: Timestamp) -> Self {
        Budget { tokens: kept.tokens_thousandths.min(FULL), filled_at: kept.filled_at.min(now) }
    }

    /// What a store keeps.
    pub const fn snapshot(&self) -> BudgetSnapshot {
        BudgetSnapshot { tokens_thousandths: self.tokens, filled_at: self.filled_at }
    }

    /// Thousandths of a token left at this moment.
    pub fn tokens_thousandths(&self, now: Timestamp) -> u32 {
        let mut filled = *self;
        filled.refill(now);
        filled.tokens
    }

    /// When there is a token for a retry: `now`, or later.
    pub fn ready_at(&self, now: Timestamp) -> Timestamp {
        let mut filled = *self;
        filled.refill(now);
        match RETRY.saturating_sub(filled.tokens) {
            0 => now,
            missing => filled.filled_at.after(REFILL.saturating_mul(missing)).max(now),
        }
    }

    /// Pays for a retry. `false`, and nothing is taken, where there is no token.
    pub fn take(&mut self, now: Timestamp) -> bool {
        self.refill(now);
        let paid = self.tokens >= RETRY;
        if paid {
            self.tokens -= RETRY;
        }
        paid
    }

    /// An attempt succeeded; `paid` where it was a retry that paid.
    pub fn succeeded(&mut self, paid: bool, now: Timestamp) {
        self.refill(now);
        self.add(SUCCESS + if paid { RETRY } else { 0 });
    }

    /// A retry that paid was not sent after all.
    pub fn refund(&mut self, now: Timestamp) {
        self.refill(now);
        self.add(RETRY);
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = now.since(self.filled_at).as_millis();
        // Where the clock went back, the refill counts from there.
        self.filled_at =
            self.filled_at.min(now).after(Duration::from_millis(u64::try_from(passed).unwrap_or(u64::MAX)));
        self.add(u32::try_from(passed).unwrap_or(u32::MAX));
    }

    fn add(&mut self, thousandths: u32) {
        self.tokens = self.tokens.saturating_add(thousandths).min(FULL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + millis)
    }

    fn empty() -> Budget {
        let mut budget = Budget::new(at(0));
        while budget.take(at(0)) {}
        budget
    }

    #[test]
    fn a_hundred_retries_then_one_a_second() {
        let mut budget = Budget::new(at(0));
        assert_eq!((0..200).filter(|_| budget.take(at(0))).count(), 100);
        assert_eq!(budget.ready_at(at(0)), at(1_000));
        assert!(!budget.take(at(999)) && budget.take(at(1_000)));
        assert_eq!(budget.ready_at(at(1_500)), at(2_000));
        assert_eq!(budget.tokens_thousandths(at(1_000_000)), FULL);
    }

    #[test]
    fn five_successes_earn_a_retry_and_a_retry_that_succeeds_costs_nothing() {
        let mut budget = empty();
        (0..4).for_each(|_| budget.succeeded(false, at(0)));
        assert!(!budget.take(at(0)));
        budget.succeeded(false, at(0));
        assert!(budget.take(at(0)));
        budget.succeeded(true, at(0));
        assert_eq!(budget.tokens_thousandths(at(0)), RETRY + SUCCESS);
        budget.take(at(0));
        budget.refund(at(0));
        assert_eq!(budget.tokens_thousandths(at(0)), RETRY + SUCCESS);
    }

    #[test]
    fn many_looks_fill_no_faster_than_one() {
        let (mut often, once) = (empty(), empty());
        (0..3_000).for_each(|tenth| {
            let now = Timestamp::from_micros(at(0).as_micros() + tenth * 100);
            often.refill(now);
        });
        assert_eq!(often.tokens_thousandths(at(300)), once.tokens_thousandths(at(300)));
        assert_eq!(once.tokens_thousandths(at(300)), 300);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_and_takes_nothing() {
        let mut budget = empty();
        budget.refill(at(-5_000));
        assert_eq!(budget.tokens_thousandths(at(-5_000)), 0);
        assert_eq!(budget.ready_at(at(-5_000)), at(-4_000));
    }
}
