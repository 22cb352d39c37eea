//! Failures and calls of the last minute, and when there are too many of them.
//!
//! The question is not "is the failure ratio above a half" but "are we sure that it is": the lower end of Wilson's 95 %
//! interval has to be above the bar. It asks for five failures of five, 15 of 20, 109 of 190, and so is right at three calls
//! an hour and at 300 a second, without a knob for the least volume. Exact: Wilson's bound is above `t` if and only if
//! `n (p - t)^2 > z^2 t (1 - t)`, which needs integers only.
//!
//! Failures in a row are asked the same question: where a fifth fails anyway, five in a row come by chance every minute at 50
//! calls a second, and mean nothing. So a row counts only if what else is in the window does not explain it. After a healthy
//! minute nothing does, and the fifth failure is enough.

use std::time::Duration;
use steadfast_lead::Timestamp;

/// How wide a bucket is; the window is [`BUCKETS`] of them.
const BUCKET: Duration = Duration::from_secs(6);
/// A minute in all.
const BUCKETS: usize = 10;
/// Fewer calls say nothing.
const CALLS_MIN: u32 = 5;
/// The square of 1.959964, the 97.5 % point of the normal distribution, in millionths.
const Z_SQUARED_MILLIONTHS: i128 = 3_841_459;

/// When it is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// So many failures in a row,
    pub(super) in_a_row: u32,
    /// or a failure ratio surely above this.
    pub(super) ratio_thousandths: u16,
}

/// What made it enough, or what was seen until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Failures in a row, up to now.
    pub in_a_row: u32,
    /// Failures in the window.
    pub failures: u32,
    /// Calls in the window, neutral ones left out.
    pub calls: u32,
}

/// Which bar was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    InARow,
    Ratio,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    failures: u32,
    calls: u32,
}

/// Counts of one generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    buckets: [Bucket; BUCKETS],
    /// The number of the newest bucket, counted from the epoch.
    newest: i64,
    in_a_row: u32,
}

impl Window {
    /// Nothing counted yet.
    pub(super) fn new(now: Timestamp) -> Self {
        Window { newest: number(now), ..Window::default() }
    }

    pub(super) fn healthy(&mut self, now: Timestamp) {
        self.in_a_row = 0;
        let bucket = self.reach(now);
        bucket.calls = bucket.calls.saturating_add(1);
    }

    /// Counts a failure and says whether it passes the bar.
    pub(super) fn failed(&mut self, bar: Bar, now: Timestamp) -> Option<Passed> {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let bucket = self.reach(now);
        bucket.calls = bucket.calls.saturating_add(1);
        bucket.failures = bucket.failures.saturating_add(1);
        let Counted { failures, calls, in_a_row } = self.counted();
        let (others, other_failures) = (calls.saturating_sub(in_a_row), failures.saturating_sub(in_a_row));
        if in_a_row >= bar.in_a_row && is_no_chance(in_a_row, other_failures, others) {
            return Some(Passed::InARow);
        }
        let enough = calls >= CALLS_MIN && surely_above(failures, calls, bar.ratio_thousandths);
        enough.then_some(Passed::Ratio)
    }

    pub(super) fn counted(&self) -> Counted {
        let sum = |of: fn(&Bucket) -> u32| self.buckets.iter().map(of).fold(0, u32::saturating_add);
        Counted { in_a_row: self.in_a_row, failures: sum(|one| one.failures), calls: sum(|one| one.calls) }
    }

    /// The bucket of this moment; those that went by since are emptied. Where the clock went back, the newest stands in.
    fn reach(&mut self, now: Timestamp) -> &mut Bucket {
        let number = number(now);
        let went_by = usize::try_from(number.saturating_sub(self.newest)).unwrap_or(0);
        for step in 1..=went_by.min(BUCKETS) {
            let step = i64::try_from(step).unwrap_or(0);
            self.buckets[place(number.saturating_sub(step - 1))] = Bucket::default();
        }
        if number < self.newest {
            // What was counted keeps its order: the newest bucket becomes that of now.
            self.buckets.rotate_left((place(self.newest) + BUCKETS - place(number)) % BUCKETS);
        }
        self.newest = number;
        &mut self.buckets[place(number)]
    }
}

fn number(now: Timestamp) -> i64 {
    now.as_micros().div_euclid(i64::try_from(BUCKET.as_micros()).unwrap_or(i64::MAX))
}

fn place(number: i64) -> usize {
    usize::try_from(number.rem_euclid(i64::try_from(BUCKETS).unwrap_or(1))).unwrap_or(0)
}

/// Whether so many failures in a row are no accident where `failures` of `calls` fail anyway: fewer than one such row would be
/// expected in a thousand windows. Where nothing else has failed, any row tells.
fn is_no_chance(in_a_row: u32, failures: u32, calls: u32) -> bool {
    const ONE: u128 = 1_000_000_000_000;
    const ROW_MAX: u32 = 64;
    let (failures, calls) = (u128::from(failures), u128::from(calls.max(1)));
    let expected = (0..in_a_row.min(ROW_MAX)).fold(calls * ONE, |expected, _| expected * failures / calls);
    expected < ONE / 1_000
}

/// Whether the lower end of Wilson's 95 % interval for `failures` of `calls` is above `thousandths`.
pub(crate) fn surely_above(failures: u32, calls: u32, thousandths: u16) -> bool {
    let (failures, calls, bar) = (i128::from(failures), i128::from(calls), i128::from(thousandths));
    let over = 1_000 * failures - bar * calls;
    over > 0 && over * over * 1_000_000 > Z_SQUARED_MILLIONTHS * bar * (1_000 - bar) * calls
}

/// The lower end of Wilson's 95 % interval in whole thousandths, rounded down.
pub fn lower_bound_thousandths(failures: u32, calls: u32) -> u16 {
    let (mut least, mut most) = (0_u16, 1_000_u16);
    while least + 1 < most {
        let middle = least.midpoint(most);
        if surely_above(failures, calls, middle) { least = middle } else { most = middle }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAR: Bar = Bar { in_a_row: 1_000, ratio_thousandths: 500 };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_794_999_996_000).after(Duration::from_secs(seconds))
    }

    #[test]
    fn fifteen_of_twenty_is_enough_and_fourteen_is_not() {
        for (failures, calls, enough) in
            [(15, 20, true), (14, 20, false), (5, 5, true), (109, 190, true), (108, 190, false), (0, 9, false)]
        {
            assert_eq!(surely_above(failures, calls, 500), enough, "{failures} of {calls}");
        }
        assert!(surely_above(7, 12, 300) && !surely_above(6, 12, 300));
    }

    #[test]
    fn a_row_tells_only_where_it_is_no_accident() {
        assert!(is_no_chance(5, 0, 0) && is_no_chance(5, 0, 3_000) && is_no_chance(3, 0, 7));
        assert!(!is_no_chance(5, 600, 3_000) && !is_no_chance(9, 600, 3_000) && is_no_chance(10, 600, 3_000));
        assert!(is_no_chance(5, 1, 30) && !is_no_chance(5, 9, 27) && is_no_chance(10, 9, 27));
        assert!(!is_no_chance(u32::MAX, 1, 1) && is_no_chance(u32::MAX, 1, 2));
    }

    #[test]
    fn the_bound_is_wilsons() {
        // By the usual formula: 0.5313 for 15 of 20, 0.4810 for 14 of 20, 0.5655 for 5 of 5.
        assert_eq!([(15, 20), (14, 20), (5, 5)].map(|(f, n)| lower_bound_thousandths(f, n)), [531, 481, 565]);
        assert_eq!((lower_bound_thousandths(0, 0), lower_bound_thousandths(0, 9)), (0, 0));
    }

    #[test]
    fn what_is_older_than_a_minute_is_forgotten() {
        let mut window = Window::new(at(0));
        (0..10).for_each(|second| assert_eq!(window.failed(Bar { ratio_thousandths: 999, ..BAR }, at(second)), None));
        assert_eq!(window.counted().calls, 10);
        window.healthy(at(59));
        assert_eq!(window.counted(), Counted { in_a_row: 0, failures: 10, calls: 11 });
        window.healthy(at(66));
        assert!(window.counted().failures < 10, "the first bucket is gone");
        window.healthy(at(500));
        assert_eq!(window.counted().calls, 1);
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing_and_the_window_still_ends() {
        let mut window = Window::new(at(3_600));
        let bar = Bar { ratio_thousandths: 999, ..BAR };
        assert_eq!(window.failed(bar, at(3_600)), None);
        assert_eq!(window.failed(bar, at(0)), None);
        assert_eq!(window.counted().failures, 2);
        window.healthy(at(61));
        assert_eq!(window.counted().failures, 0);
    }
}
