//! Open: nothing goes until the open time is over.
//!
//! The time doubles with every opening in a row, because a recipient that failed its probe is more likely down for an hour
//! than for half a minute, and ends at a quarter of an hour, because a lead is worth little tomorrow. Up to a fifth more,
//! by the seed, keeps breakers that opened together from probing together. What the recipient asked for binds as well.

use crate::backoff::{Seed, scramble};
use std::time::Duration;
use steadfast_lead::Timestamp;

const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// From here on the time no longer grows: 30 s, 60 s, 2 min, 4 min, 8 min, 15 min.
pub(super) const STRIKES_MAX: u8 = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) open_for: Duration,
}

impl Open {
    /// Opens for the `strikes`-th time in a row (from 1). `asked_until` is the end of the pause the recipient asked for.
    pub(super) fn new(
        strikes: u8,
        seed: Seed,
        generation: u64,
        asked_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let nominal = nominal(strikes);
        let dice = u128::from(scramble(seed.0 ^ scramble(generation)));
        let fifth = nominal.as_micros() / 5;
        let more = u64::try_from((fifth * dice) >> 64).unwrap_or(0);
        let chosen = nominal.saturating_add(Duration::from_micros(more));
        let asked = asked_until.map_or(Duration::ZERO, |until| until.since(now));
        Open { open_for: chosen.max(asked) }
    }

    pub(super) fn until(self, since: Timestamp) -> Timestamp {
        since.after(self.open_for)
    }
}

/// `min(30 s * 2^(strikes - 1), 15 min)`.
pub(super) fn nominal(strikes: u8) -> Duration {
    let doublings = u32::from(strikes.clamp(1, STRIKES_MAX) - 1);
    FIRST.saturating_mul(1 << doublings).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_doubles_up_to_a_quarter_of_an_hour() {
        let seconds: Vec<u64> = [0, 1, 2, 3, 4, 5, 6, 7, 255].map(|strikes| nominal(strikes).as_secs()).into();
        assert_eq!(seconds, [30, 30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn up_to_a_fifth_more_and_at_least_what_was_asked_for() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let times: Vec<Duration> = (0..500).map(|number| Open::new(1, Seed(7), number, None, now).open_for).collect();
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!(*least >= FIRST && *least < Duration::from_millis(30_100), "{least:?}");
        assert!(*most <= Duration::from_secs(36) && *most > Duration::from_millis(35_900), "{most:?}");
        let asked = Open::new(1, Seed(7), 3, Some(now.after(Duration::from_secs(300))), now);
        assert_eq!(asked.open_for, Duration::from_secs(300));
    }
}
