//! How many attempts at once: a fixed number, or one that finds itself.
//!
//! Additive increase, multiplicative decrease. One more for each round (as many ends as the limit), but only where the limit
//! was reached: otherwise it grows in quiet times and means nothing in the rush. Times 0.7 when the recipient shows strain,
//! once for all that were under way together. Times 0.9 when a round took longer than the usual mean and 2.5 deviations: a
//! queue is forming over there. A round and not a single answer, because one slow answer of a hundred is the nature of things.
//!
//! Strain that has nothing to do with how many there are must not cut: a recipient that answers every fifth attempt with 503
//! whatever comes would be kept at one or two at once for ever, and a backlog would grow. So what is
//! strained while there are two at most is remembered, and once it is known, a round cuts only where surely more than that was strained.

use crate::breaker::{Signal, Symptom, surely_above};
use std::time::Duration;
use steadfast_lead::Timestamp;

/// The most at once, however it is configured.
pub const LIMIT_MAX: u32 = 10_000;
const START: u32 = 4;
const WHOLE: u32 = 1_000;
const STRAINED: u32 = 700;
const SLOWER: u32 = 900;
/// Rounds before slowness means anything.
const ROUNDS_MIN: u32 = 8;
/// The weight of the newest answer in the mean: one in so many.
const MEMORY: i128 = 64;

/// What an operator can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConcurrencyLimit {
    /// Always so many; at least 1.
    Fixed(u32),
    /// What the recipient takes well, at most `most`.
    Adaptive {
        /// At most so many; at least 1.
        most: u32,
    },
}

impl Default for ConcurrencyLimit {
    fn default() -> Self {
        ConcurrencyLimit::Adaptive { most: 50 }
    }
}

/// The round under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Round {
    ends: u32,
    strained: u32,
    answers: u32,
    micros: u64,
    was_full: bool,
}

/// Ends while hardly any were allowed at once: what was strained then was not so by us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Alone {
    ends: u32,
    strained: u32,
    /// When there was strain last, whatever the limit.
    strained_at: Timestamp,
}

/// Mean and variance of answers, in microseconds, the newest weighing most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usual {
    answers: u32,
    mean: i128,
    variance: i128,
}

/// Attempts of one recipient under way, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    configured: ConcurrencyLimit,
    /// The adaptive limit in thousandths.
    limit: u32,
    in_flight: u32,
    round: Round,
    rounds: u32,
    usual: Usual,
    /// The same as it was before the round under way, which is compared with it.
    usual_before: Usual,
    alone: Alone,
    cut_at: Timestamp,
}

impl Concurrency {
    /// Nothing under way, nothing learned.
    pub fn new(configured: ConcurrencyLimit) -> Self {
        let mut concurrency = Concurrency {
            configured,
            limit: START * WHOLE,
            in_flight: 0,
            round: Round::default(),
            rounds: 0,
            usual: Usual::default(),
            usual_before: Usual::default(),
            alone: Alone::default(),
            cut_at: Timestamp::MIN,
        };
        concurrency.bound();
        concurrency
    }

    /// Takes a new limit; what is under way and what was learned stays.
    pub fn handle_limit(&mut self, configured: ConcurrencyLimit) {
        self.configured = configured;
        self.bound();
    }

    /// How many may be under way now.
    pub const fn limit(&self) -> u32 {
        match self.configured {
            ConcurrencyLimit::Fixed(0) => 1,
            ConcurrencyLimit::Fixed(limit) => limit,
            ConcurrencyLimit::Adaptive { .. } => self.limit / WHOLE,
        }
    }

    /// Attempts under way.
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Whether no more may start.
    pub const fn is_full(&self) -> bool {
        self.in_flight >= self.limit()
    }

    /// One starts.
    pub fn start(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
        self.round.was_full |= self.is_full();
    }

    /// The one that started then has ended.
    pub fn handle_result(&mut self, started: Timestamp, symptom: &Symptom, now: Timestamp) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let ConcurrencyLimit::Fixed(_) = self.configured {
            return;
        }
        self.round.ends += 1;
        if symptom.signal == Signal::Healthy {
            self.round.answers += 1;
            self.round.micros = self.round.micros.saturating_add(micros(symptom.took));
            self.usual.add(micros(symptom.took));
        }
        self.round.strained += u32::from(symptom.strained);
        self.alone.handle_result(symptom.strained, self.limit() <= Alone::AT_ONCE, now);
        if symptom.strained && self.alone.share_thousandths().is_none() {
            self.cut(STRAINED, started, now);
        }
        if self.round.ends >= self.limit() {
            self.end_round(started, now);
        }
    }

    fn end_round(&mut self, started: Timestamp, now: Timestamp) {
        let Round { ends, strained, answers, micros, was_full } = std::mem::take(&mut self.round);
        let usual_strain = self.alone.share_thousandths();
        if usual_strain.is_some_and(|usual| surely_above(strained, ends, usual)) {
            self.cut(STRAINED, started, now);
            return;
        }
        self.rounds = self.rounds.saturating_add(1);
        let usual = std::mem::replace(&mut self.usual_before, self.usual);
        let mean = micros.checked_div(u64::from(answers));
        if self.rounds > ROUNDS_MIN && mean.is_some_and(|mean| usual.is_slower(mean)) {
            self.cut(SLOWER, started, now);
        } else if was_full && started > self.cut_at {
            self.limit = self.limit.saturating_add(WHOLE);
            self.bound();
        }
    }

    /// Once for all that started before: they met the same trouble.
    fn cut(&mut self, to_thousandths: u32, started: Timestamp, now: Timestamp) {
        if started <= self.cut_at && self.cut_at <= now {
            return;
        }
        let limit = u64::from(self.limit) * u64::from(to_thousandths) / u64::from(WHOLE);
        self.limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.bound();
        self.cut_at = now;
        self.round = Round::default();
    }

    fn bound(&mut self) {
        let most = match self.configured {
            ConcurrencyLimit::Fixed(limit) => limit,
            ConcurrencyLimit::Adaptive { most } => most,
        };
        self.limit = self.limit.clamp(WHOLE, most.clamp(1, LIMIT_MAX) * WHOLE);
    }
}

impl Alone {
    /// So many ends before they mean anything, and so many that are remembered.
    const ENDS: (u32, u32) = (32, 256);
    /// So much more than usual is within what is usual.
    const MARGIN_THOUSANDTHS: u32 = 100;
    /// What was learned in a bad hour is forgotten after so long without strain.
    const KEPT: Duration = Duration::from_secs(300);
    /// Up to so many at once, strain is not of our making.
    const AT_ONCE: u32 = 2;

    fn handle_result(&mut self, strained: bool, alone: bool, now: Timestamp) {
        if strained && now.since(self.strained_at) > Self::KEPT {
            *self = Alone::default();
        }
        if strained {
            self.strained_at = now;
        }
        if alone {
            self.count(strained);
        }
    }

    fn count(&mut self, strained: bool) {
        if self.ends >= Self::ENDS.1 {
            (self.ends, self.strained) = (self.ends / 2, self.strained / 2);
        }
        self.ends += 1;
        self.strained += u32::from(strained);
    }

    /// From which share on it is more than usual; `None` while that is not known.
    fn share_thousandths(self) -> Option<u16> {
        let share = (self.strained * 1_000).checked_div(self.ends)? + Self::MARGIN_THOUSANDTHS;
        (self.ends >= Self::ENDS.0).then_some(u16::try_from(share).unwrap_or(1_000))
    }
}

impl Usual {
    fn add(&mut self, micros: u64) {
        let micros = i128::from(micros);
        self.answers = self.answers.saturating_add(1);
        let memory = MEMORY.min(i128::from(self.answers));
        let off = micros - self.mean;
        self.mean += off / memory;
        self.variance += (off * off - self.variance) / memory;
    }

    /// Beyond the mean and 2.5 deviations.
    fn is_slower(&self, micros: u64) -> bool {
        let over = i128::from(micros) - self.mean;
        // over > 2.5 sigma, without a root; a millisecond is no slowness.
        over > 1_000 && 4 * over * over > 25 * self.variance
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_AT: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn healthy(millis: u64) -> Symptom {
        let took = Duration::from_millis(millis);
        Symptom { signal: Signal::Healthy, strained: false, took, asked: None }
    }

    fn strained() -> Symptom {
        Symptom { signal: Signal::Failed, strained: true, took: Duration::from_millis(50), asked: None }
    }

    /// Rounds of as many attempts at once as allowed (or `at_once`), each answered so.
    fn rounds(one: &mut Concurrency, rounds: u32, at_once: u32, symptom: &Symptom, mut now: Timestamp) -> Timestamp {
        for _ in 0..rounds {
            let started = now;
            let count = at_once.min(one.limit());
            (0..count).for_each(|_| one.start());
            now = now.after(symptom.took);
            (0..count).for_each(|_| one.handle_result(started, symptom, now));
            now = now.after(Duration::from_millis(1));
        }
        now
    }

    #[test]
    fn one_more_for_each_full_round_up_to_the_most() {
        let mut one = Concurrency::new(ConcurrencyLimit::Adaptive { most: 50 });
        assert_eq!(one.limit(), 4);
        let now = rounds(&mut one, 6, u32::MAX, &healthy(50), START_AT);
        assert_eq!(one.limit(), 10);
        rounds(&mut one, 100, u32::MAX, &healthy(50), now);
        assert_eq!(one.limit(), 50);
    }

    #[test]
    fn what_is_never_reached_does_not_grow() {
        let mut one = Concurrency::new(ConcurrencyLimit::Adaptive { most: 50 });
        rounds(&mut one, 1_000, 3, &healthy(50), START_AT);
        assert_eq!(one.limit(), 4);
    }

    #[test]
    fn strain_cuts_once_for_all_that_met_it_and_never_below_one() {
        let mut one = Concurrency::new(ConcurrencyLimit::Adaptive { most: 50 });
        let now = rounds(&mut one, 16, u32::MAX, &healthy(50), START_AT);
        assert_eq!(one.limit(), 20);
        let now = rounds(&mut one, 1, u32::MAX, &strained(), now);
        assert_eq!(one.limit(), 14);
        let now = rounds(&mut one, 20, u32::MAX, &strained(), now);
        assert_eq!(one.limit(), 1);
        rounds(&mut one, 3, u32::MAX, &healthy(50), now);
        assert_eq!(one.limit(), 4);
    }

    #[test]
    fn a_slow_round_cuts_by_a_tenth_and_a_slow_answer_does_not() {
        let mut one = Concurrency::new(ConcurrencyLimit::Adaptive { most: 20 });
        let now = (0..40).fold(START_AT, |now, round| rounds(&mut one, 1, u32::MAX, &healthy(45 + round % 10), now));
        assert_eq!(one.limit(), 20);
        let started = now;
        (0..20).for_each(|_| one.start());
        (0..20).for_each(|number| one.handle_result(started, &healthy(if number == 3 { 70 } else { 50 }), now));
        assert_eq!(one.limit(), 20);
        rounds(&mut one, 1, u32::MAX, &healthy(500), now.after(Duration::from_secs(1)));
        assert_eq!(one.limit(), 18);
    }

    #[test]
    fn strain_that_does_not_come_from_us_is_found_out_and_tolerated() {
        let mut one = Concurrency::new(ConcurrencyLimit::Adaptive { most: 50 });
        // Every fifth is strained, however many there are; by a dice, so that rounds differ.
        let (mut now, mut dice) = (START_AT, 1_u64);
        for _ in 0..400 {
            let started = now;
            let count = one.limit();
            (0..count).for_each(|_| one.start());
            now = now.after(Duration::from_millis(50));
            for _ in 0..count {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let symptom = [strained(), healthy(50)][usize::from((dice >> 33) % 5 > 0)];
                one.handle_result(started, &symptom, now);
            }
            now = now.after(Duration::from_millis(1));
        }
        assert!(one.limit() >= 8, "{}", one.limit());
        // Twice as much of it is more than usual.
        let before = one.limit();
        rounds(&mut one, 1, u32::MAX, &strained(), now);
        assert!(one.limit() < before);
    }

    #[test]
    fn a_fixed_limit_stays_whatever_comes() {
        let mut one = Concurrency::new(ConcurrencyLimit::Fixed(8));
        rounds(&mut one, 30, u32::MAX, &strained(), START_AT);
        assert_eq!((one.limit(), one.in_flight()), (8, 0));
        assert_eq!(Concurrency::new(ConcurrencyLimit::Fixed(0)).limit(), 1);
        one.handle_limit(ConcurrencyLimit::Adaptive { most: 3 });
        assert_eq!(one.limit(), 3);
    }
}
