//! Open: nothing goes until the open time is over.
//!
//! The time doubles with every opening in a row, because a recipient that failed its probe is more likely down for an hour
//! than for half a minute, and ends at a quarter of an hour unless set otherwise, because a lead is worth little tomorrow. Up
//! to a fifth more, by the seed, keeps breakers that opened together from probing together. What the recipient asked for
//! binds as well.

use super::BreakerSettings;
use crate::backoff::{Seed, scramble};
use std::time::Duration;
use steadfast_lead::Timestamp;

/// A shift that is still a number; with the shortest time it is years.
const DOUBLINGS_MAX: u32 = 31;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) open_for: Duration,
}

impl Open {
    /// Opens for the `strikes`-th time in a row (from 1). `asked_until` is the end of the pause the recipient asked for.
    pub(super) fn new(
        strikes: u8,
        settings: &BreakerSettings,
        seed: Seed,
        generation: u64,
        asked_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let nominal = nominal(strikes, settings);
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

/// One opening in a row more; not more of them than make the time longer, so that none has to be forgiven for nothing.
pub(super) fn one_more(strikes: u8, settings: &BreakerSettings) -> u8 {
    let grows = strikes == 0 || nominal(strikes, settings) < settings.longest_open;
    if grows { strikes.saturating_add(1) } else { strikes }
}

/// `min(open_for * 2^(strikes - 1), longest_open)`: 30 s, 60 s, 2 min, 4 min, 8 min, 15 min.
fn nominal(strikes: u8, settings: &BreakerSettings) -> Duration {
    let doublings = u32::from(strikes.max(1) - 1).min(DOUBLINGS_MAX);
    settings.open_for.saturating_mul(1 << doublings).min(settings.longest_open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_doubles_up_to_a_quarter_of_an_hour() {
        let usual = BreakerSettings::default();
        let seconds: Vec<u64> = [0, 1, 2, 3, 4, 5, 6, 7, 255].map(|strikes| nominal(strikes, &usual).as_secs()).into();
        assert_eq!(seconds, [30, 30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn the_times_are_those_that_are_set_and_no_opening_is_counted_that_makes_nothing_longer() {
        let settings = |open_for: u64, longest_open: u64| BreakerSettings {
            open_for: Duration::from_millis(open_for),
            longest_open: Duration::from_millis(longest_open),
            ..BreakerSettings::default()
        };
        let most = |settings: &BreakerSettings| (0..300).fold(0, |strikes, _| one_more(strikes, settings));
        assert_eq!(most(&BreakerSettings::default()), 6);
        let short = settings(400, 12_000);
        let millis: Vec<u128> = (1..=7).map(|strikes| nominal(strikes, &short).as_millis()).collect();
        assert_eq!((most(&short), millis), (6, vec![400, 800, 1_600, 3_200, 6_400, 12_000, 12_000]));
        let even = settings(60_000, 60_000);
        assert_eq!((most(&even), nominal(1, &even), nominal(255, &even)), (1, even.open_for, even.open_for));
        let wide = settings(100, 86_400_000);
        assert_eq!((most(&wide), nominal(255, &wide)), (21, wide.longest_open));
    }

    #[test]
    fn up_to_a_fifth_more_and_at_least_what_was_asked_for() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let usual = BreakerSettings::default();
        let opened = |number, asked| Open::new(1, &usual, Seed(7), number, asked, now);
        let times: Vec<Duration> = (0..500).map(|number| opened(number, None).open_for).collect();
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!(*least >= usual.open_for && *least < Duration::from_millis(30_100), "{least:?}");
        assert!(*most <= Duration::from_secs(36) && *most > Duration::from_millis(35_900), "{most:?}");
        let asked = opened(3, Some(now.after(Duration::from_secs(300))));
        assert_eq!(asked.open_for, Duration::from_secs(300));
    }
}
