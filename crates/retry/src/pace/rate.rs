//! A rate limit: GCRA with room for one, so that starts are spread evenly and *no* window of the configured span ever holds
//! more than the configured count. A bucket that lets a burst through allows twice the count around its edge, and a
//! recipient that counts by its own windows answers 429 for it.

use std::fmt;
use std::time::Duration;
use steadfast_lead::Timestamp;

/// The largest count in one span: one start in ten microseconds, where the span is a second.
const COUNT_MAX: u32 = 100_000;

/// So many in each span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    per: Duration,
}

/// The text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a rate: allowed is a whole number from 1 to 100000 and /s, /min or /h, such as 50/s or 300/min")]
pub struct BadRate(pub String);

impl Rate {
    /// Reads `50/s`, `300/min` (or `/m`), `5/h`.
    ///
    /// # Errors
    /// [`BadRate`] for anything else, and for counts outside 1 to 100000.
    pub fn parse(text: &str) -> Result<Self, BadRate> {
        let bad = || BadRate(text.chars().take(80).collect());
        let (count, per) = text.split_once('/').ok_or_else(bad)?;
        let seconds = match per {
            "s" => 1,
            "min" | "m" => 60,
            "h" => 3_600,
            _ => return Err(bad()),
        };
        let digits = count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse().ok().filter(|count| digits && (1..=COUNT_MAX).contains(count)).ok_or_else(bad)?;
        Ok(Rate { count, per: Duration::from_secs(seconds) })
    }

    /// How many.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// In which span: a second, a minute or an hour.
    pub const fn per(self) -> Duration {
        self.per
    }

    /// Between two starts, rounded up to the clock's microsecond.
    pub fn interval(self) -> Duration {
        let micros = self.per.as_micros().div_ceil(u128::from(self.count));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            1 => "s",
            60 => "min",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// A rate in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    interval: Duration,
    next: Timestamp,
}

impl Gcra {
    /// Nothing started yet.
    pub fn new(rate: Rate) -> Self {
        Gcra { interval: rate.interval(), next: Timestamp::MIN }
    }

    /// The same history under another rate: what was taken last counts for an interval of the new one.
    #[must_use]
    pub fn at_rate(&self, rate: Rate) -> Self {
        let interval = rate.interval();
        let next =
            if self.next == Timestamp::MIN { self.next } else { self.next.before(self.interval).after(interval) };
        Gcra { interval, next }
    }

    /// When the next may start: `now`, or later. Never later than an interval, whatever the clock did.
    pub fn ready_at(&self, now: Timestamp) -> Timestamp {
        self.next.max(now).min(now.after(self.interval))
    }

    /// One starts. `false`, and nothing is taken, where it may not.
    pub fn take(&mut self, now: Timestamp) -> bool {
        let ready = self.ready_at(now) <= now;
        if ready {
            self.next = now.after(self.interval);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    #[test]
    fn rates_are_read_and_absurd_ones_refused() {
        assert_eq!(rate("50/s").interval(), Duration::from_millis(20));
        assert_eq!((rate("300/min"), rate("300/m").interval()), (rate("300/m"), Duration::from_millis(200)));
        assert_eq!(rate("7/s").interval(), Duration::from_micros(142_858), "rounded up: never too many");
        assert_eq!(rate("5/h").to_string(), "5/h");
        for bad in ["", "50", "0/s", "-1/s", "+1/s", "1.5/s", "50/day", "/s", "100001/s", "99999999999/s", "5 /s"] {
            assert!(Rate::parse(bad).unwrap_err().to_string().contains("such as 50/s"), "{bad}");
        }
        assert!(Rate::parse(&"9".repeat(1_000_000)).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn one_at_a_time_and_none_saved_up() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let ms = |millis| now.after(Duration::from_millis(millis));
        let mut gcra = Gcra::new(rate("50/s"));
        assert!(gcra.take(now) && !gcra.take(now) && !gcra.take(ms(19)) && gcra.take(ms(20)));
        assert!(gcra.take(ms(5_000)) && !gcra.take(ms(5_001)), "a quiet time is no credit");
        assert_eq!(gcra.ready_at(ms(5_001)), ms(5_020));
        assert_eq!(gcra.ready_at(now), ms(20), "a clock that goes back stops nothing for long");
        let mut slower = gcra.at_rate(rate("1/s"));
        assert!(!slower.take(ms(5_999)) && slower.take(ms(6_000)));
    }
}
