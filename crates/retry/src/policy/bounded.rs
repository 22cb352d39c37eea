//! Values that cannot leave their bounds. The bounds are the specification's; `extended = true` is the explicit way past
//! them, to wider bounds that keep arithmetic and queues sane.

use super::Key;
use std::fmt;
use std::time::Duration;

/// Which bounds apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The specification's.
    Standard,
    /// Those of `extended = true`.
    Extended,
}

impl Reach {
    /// From the value of `extended`.
    pub const fn of(extended: bool) -> Self {
        if extended { Reach::Extended } else { Reach::Standard }
    }
}

/// A value outside its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value} is out of range: allowed is {allowed}")]
pub struct OutOfRange {
    /// Which setting.
    pub key: Key,
    /// What was given, as a user would write it.
    pub value: String,
    /// What is allowed, with a way out where there is one.
    pub allowed: String,
}

/// Writes a duration the way the config file does: the largest unit that divides it, `90s`, `5m`, `1500ms`.
pub fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    match () {
        () if millis == 0 && !duration.is_zero() => format!("{}us", duration.as_micros()),
        () if !millis.is_multiple_of(1_000) => format!("{millis}ms"),
        () if !millis.is_multiple_of(60_000) || millis == 0 => format!("{}s", millis / 1_000),
        () if !millis.is_multiple_of(3_600_000) => format!("{}m", millis / 60_000),
        () if !millis.is_multiple_of(86_400_000) => format!("{}h", millis / 3_600_000),
        () => format!("{}d", millis / 86_400_000),
    }
}

fn allowed(reach: Reach, standard: &str, extended: &str) -> String {
    match reach {
        Reach::Standard if standard == extended => standard.to_owned(),
        Reach::Standard => format!("{standard} ({extended} with extended = true)"),
        Reach::Extended => extended.to_owned(),
    }
}

macro_rules! bounded_duration {
    ($(#[$doc:meta])* $name:ident, $key:expr, $standard:expr, $extended:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub struct $name(Duration);

        impl $name {
            /// The bounds under a reach, both included.
            pub const fn bounds(reach: Reach) -> (Duration, Duration) {
                match reach {
                    Reach::Standard => $standard,
                    Reach::Extended => $extended,
                }
            }

            /// Checks the bounds.
            ///
            /// # Errors
            /// [`OutOfRange`] naming the key, the value and what is allowed.
            pub fn new(value: Duration, reach: Reach) -> Result<Self, OutOfRange> {
                let (least, most) = Self::bounds(reach);
                if (least..=most).contains(&value) {
                    return Ok($name(value));
                }
                let range = |reach| {
                    let (least, most) = Self::bounds(reach);
                    format!("{} to {}", show(least), show(most))
                };
                let allowed = allowed(reach, &range(Reach::Standard), &range(Reach::Extended));
                Err(OutOfRange { key: $key, value: show(value), allowed })
            }

            /// The duration.
            pub const fn get(self) -> Duration {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&show(self.0))
            }
        }
    };
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const DAY: u64 = 86_400;

bounded_duration!(
    /// The delay before the first retry.
    InitialDelay, Key::InitialDelay, (secs(1), secs(60)), (millis(1), secs(DAY))
);
bounded_duration!(
    /// The longest delay.
    MaxInterval, Key::MaxInterval, (secs(1), secs(300)), (millis(1), secs(DAY))
);
bounded_duration!(
    /// How long after the first attempt a retry may still start.
    TotalTimeout, Key::TotalTimeout, (secs(1), secs(3_600)), (secs(1), secs(30 * DAY))
);
bounded_duration!(
    /// How old a lead may be at the start of an attempt.
    MaxLeadAge, Key::MaxLeadAge, (secs(1), secs(90 * DAY)), (secs(1), secs(90 * DAY))
);

/// Retries after an immediate first attempt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MaxRetries(u32);

impl MaxRetries {
    /// The bounds under a reach, both included.
    pub const fn bounds(reach: Reach) -> (u32, u32) {
        match reach {
            Reach::Standard => (1, 10),
            Reach::Extended => (1, 1_000),
        }
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`OutOfRange`] naming the key, the value and what is allowed.
    pub fn new(value: u32, reach: Reach) -> Result<Self, OutOfRange> {
        let (least, most) = Self::bounds(reach);
        if (least..=most).contains(&value) {
            return Ok(MaxRetries(value));
        }
        let hint = if value == 0 { "; for none write enabled = false" } else { "" };
        let allowed = allowed(reach, "1 to 10", "1 to 1000") + hint;
        Err(OutOfRange { key: Key::MaxRetries, value: value.to_string(), allowed })
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for MaxRetries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// By how much each delay grows, in thousandths so that arithmetic is exact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Multiplier(u32);

impl Multiplier {
    /// The bounds under a reach in thousandths, both included.
    pub const fn bounds(reach: Reach) -> (u32, u32) {
        match reach {
            Reach::Standard => (1_500, 3_000),
            Reach::Extended => (1_000, 10_000),
        }
    }

    /// Checks the bounds. `thousandths` is 2000 for 2.0.
    ///
    /// # Errors
    /// [`OutOfRange`] naming the key, the value and what is allowed.
    pub fn new(thousandths: u32, reach: Reach) -> Result<Self, OutOfRange> {
        let (least, most) = Self::bounds(reach);
        if (least..=most).contains(&thousandths) {
            return Ok(Multiplier(thousandths));
        }
        let allowed = allowed(reach, "1.5 to 3.0", "1.0 to 10.0");
        Err(OutOfRange { key: Key::Multiplier, value: Multiplier(thousandths).to_string(), allowed })
    }

    /// In thousandths.
    pub const fn thousandths(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Multiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        let trimmed = text.trim_end_matches('0');
        if trimmed.ends_with('.') { write!(f, "{trimmed}0") } else { f.write_str(trimmed) }
    }
}

/// How much later than its nominal time a retry may start, in thousandths of the delay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct JitterShare(u32);

impl JitterShare {
    /// Up to 20 % later.
    pub const DEFAULT: JitterShare = JitterShare(200);

    /// Checks the bounds: 0 to 1000 thousandths.
    ///
    /// # Errors
    /// [`OutOfRange`] naming the key, the value and what is allowed.
    pub fn new(thousandths: u32) -> Result<Self, OutOfRange> {
        if thousandths <= 1_000 {
            return Ok(JitterShare(thousandths));
        }
        let allowed = "0.0 to 1.0, or one of none, equal, full, decorrelated".to_owned();
        Err(OutOfRange { key: Key::Jitter, value: Multiplier(thousandths).to_string(), allowed })
    }

    /// In thousandths.
    pub const fn thousandths(self) -> u32 {
        self.0
    }
}

/// How delays are spread, so that what failed together does not return together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Jitter {
    /// Never early, up to this share of the delay later. The default, with 20 %.
    Later(JitterShare),
    /// Exactly the delay.
    None,
    /// Between half the delay and the delay.
    Equal,
    /// Between nothing and the delay.
    Full,
    /// Between the initial delay and three times the one before, capped.
    Decorrelated,
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Jitter::Later(share) => write!(f, "{}", Multiplier(share.0)),
            Jitter::None => f.write_str("none"),
            Jitter::Equal => f.write_str("equal"),
            Jitter::Full => f.write_str("full"),
            Jitter::Decorrelated => f.write_str("decorrelated"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_of_the_specification_holds_and_is_named() {
        let said = |result: Result<(), OutOfRange>| result.unwrap_err().to_string();
        let retries = |n| MaxRetries::new(n, Reach::Standard).map(drop);
        assert!(retries(1).is_ok() && retries(10).is_ok());
        assert_eq!(
            said(retries(11)),
            "max_retries = 11 is out of range: allowed is 1 to 10 (1 to 1000 with extended = true)"
        );
        assert!(said(retries(0)).contains("enabled = false"));

        let initial = |d| InitialDelay::new(d, Reach::Standard).map(drop);
        assert!(initial(secs(1)).is_ok() && initial(secs(60)).is_ok());
        assert!(said(initial(millis(999))).starts_with("initial_delay = 999ms is out of range: allowed is 1s to 1m"));
        assert!(said(initial(secs(61))).contains("initial_delay = 61s"));

        let multiplier = |n| Multiplier::new(n, Reach::Standard).map(drop);
        assert!(multiplier(1_500).is_ok() && multiplier(3_000).is_ok());
        assert!(said(multiplier(3_100)).starts_with("multiplier = 3.1 is out of range: allowed is 1.5 to 3.0"));
        assert!(said(multiplier(1_499)).contains("multiplier = 1.499"));

        let interval = |d| MaxInterval::new(d, Reach::Standard).map(drop);
        assert!(interval(secs(1)).is_ok() && interval(secs(300)).is_ok());
        assert!(said(interval(secs(301))).contains("allowed is 1s to 5m"));

        let total = |d| TotalTimeout::new(d, Reach::Standard).map(drop);
        assert!(total(secs(1)).is_ok() && total(secs(3_600)).is_ok());
        assert!(said(total(secs(3_601))).contains("allowed is 1s to 1h"));
        assert!(said(total(Duration::ZERO)).contains("total_timeout = 0s"));
    }

    #[test]
    fn extended_reaches_further_and_still_ends() {
        assert!(MaxRetries::new(100, Reach::Extended).is_ok());
        assert!(MaxInterval::new(secs(900), Reach::Extended).is_ok());
        assert!(TotalTimeout::new(secs(DAY), Reach::Extended).is_ok());
        assert!(MaxRetries::new(1_001, Reach::Extended).is_err());
        assert!(TotalTimeout::new(secs(31 * DAY), Reach::Extended).is_err());
    }

    #[test]
    fn durations_read_as_users_write_them() {
        let cases =
            [(millis(1_500), "1500ms"), (secs(90), "90s"), (secs(300), "5m"), (secs(3_600), "1h"), (secs(DAY), "1d")];
        for (duration, text) in cases {
            assert_eq!(show(duration), text);
        }
        assert_eq!(show(Duration::ZERO), "0s");
    }
}
