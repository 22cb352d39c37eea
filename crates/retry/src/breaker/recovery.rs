//! Recovery: back, and handled with care.
//!
//! The classic breaker closes here and lets a backlog of hours fall on a server that has just come up. So for a minute, unless
//! set otherwise, only a growing share goes, of what the recipient took before: a tenth at first, all of it in the end. The bar is lower, because a
//! recipient that has just been down deserves no benefit of doubt.

use super::transition::Reason;
use super::window::{Bar, Counted, Window};
use std::time::Duration;
use steadfast_lead::Timestamp;

const BAR: Bar = Bar { in_a_row: 3, ratio_thousandths: 300 };
const LEAST_THOUSANDTHS: u16 = 100;
/// The whole.
pub(super) const WHOLE_THOUSANDTHS: u16 = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    window: Window,
}

impl Recovery {
    pub(super) fn new(now: Timestamp) -> Self {
        Recovery { window: Window::new(now) }
    }

    pub(super) fn healthy(&mut self, now: Timestamp) {
        self.window.healthy(now);
    }

    /// Counts a failure; why that is one too many, if it is.
    pub(super) fn failed(&mut self, now: Timestamp) -> Option<Reason> {
        self.window.failed(BAR, now).map(Reason::from)
    }

    pub(super) fn counted(&self) -> Counted {
        self.window.counted()
    }
}

/// The share that may go at this age: `max(0.1, age / ramp)`, at most all.
pub(super) fn share_thousandths(age: Duration, ramp: Duration) -> u16 {
    let share = age.as_micros().saturating_mul(u128::from(WHOLE_THOUSANDTHS)) / ramp.as_micros().max(1);
    u16::try_from(share).unwrap_or(WHOLE_THOUSANDTHS).clamp(LEAST_THOUSANDTHS, WHOLE_THOUSANDTHS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_starts_at_a_tenth_and_never_falls() {
        let share = |ms| share_thousandths(Duration::from_millis(ms), Duration::from_secs(60));
        let shares: Vec<u16> = (0..=70_000).map(share).collect();
        assert!(shares.is_sorted());
        assert_eq!([0, 6_000, 6_060, 30_000, 60_000, 70_000].map(|ms| shares[ms]), [100, 100, 101, 500, 1_000, 1_000]);
        assert_eq!(share_thousandths(Duration::MAX, Duration::from_secs(60)), 1_000);
        let short =
            [0, 80, 400, 800].map(|ms| share_thousandths(Duration::from_millis(ms), Duration::from_millis(800)));
        assert_eq!(short, [100, 100, 500, 1_000]);
    }

    #[test]
    fn three_failures_in_a_row_are_enough_here() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let mut recovery = Recovery::new(now);
        assert_eq!((recovery.failed(now), recovery.failed(now)), (None, None));
        assert_eq!(recovery.failed(now), Some(Reason::InARow));
        let mut recovery = Recovery::new(now);
        let mut seen = Vec::new();
        for _ in 0..6 {
            recovery.healthy(now);
            seen.extend([recovery.failed(now), recovery.failed(now)]);
        }
        assert!(seen.contains(&Some(Reason::Ratio)), "two of three is surely above 30 % before long: {seen:?}");
    }
}
