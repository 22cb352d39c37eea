//! Durations and rates the way people write them: `500ms`, `2s`, `10m`, `1h`, `10/s`. Never guesses a unit.

use std::time::Duration;

/// The longest duration a scenario may name: more than any policy allows.
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);

/// The text is not a quantity of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: allowed is {allowed}")]
pub struct BadQuantity {
    /// What was given.
    pub text: String,
    /// What was expected.
    pub what: &'static str,
    /// What is allowed.
    pub allowed: &'static str,
}

/// So many in each span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; never zero.
    pub count: u32,
    /// In which span: a second, a minute or an hour.
    pub per: Duration,
}

/// Reads a whole number with its unit: `us`, `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// [`BadQuantity`] for anything else, and for more than 366 days.
pub fn parse_duration(text: &str) -> Result<Duration, BadQuantity> {
    let allowed = "a whole number and one of us, ms, s, m, h, d, such as 500ms or 10m, at most 366d";
    let bad = || BadQuantity { text: shown(text), what: "duration", allowed };
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let micros: u64 = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(bad()),
    };
    let duration = Duration::from_micros(number.checked_mul(micros).ok_or_else(bad)?);
    if duration > DURATION_MAX { Err(bad()) } else { Ok(duration) }
}

/// Reads a rate: `10/s`, `90/m` or `3/h`.
///
/// # Errors
/// [`BadQuantity`] for anything else, and for zero.
pub fn parse_rate(text: &str) -> Result<Rate, BadQuantity> {
    let bad = || BadQuantity { text: shown(text), what: "rate", allowed: "a whole number from 1 and /s, /m or /h" };
    let (count, per) = text.split_once('/').ok_or_else(bad)?;
    let seconds = match per {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(bad()),
    };
    let digits = count.bytes().all(|byte| byte.is_ascii_digit());
    let count = count.parse().ok().filter(|count| *count > 0 && digits).ok_or_else(bad)?;
    Ok(Rate { count, per: Duration::from_secs(seconds) })
}

/// The head of what was given: an error message is no place for a megabyte.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Writes a duration for reading: `50ms`, `2.050s`, `5m03s`, `1h03m20s`.
pub(crate) fn show(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match seconds {
        0 if millis > 0 => format!("{millis}ms"),
        0..60 if millis > 0 => format!("{seconds}.{millis:03}s"),
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m{:02}s", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_stay_bounded() {
        let read = |text| parse_duration(text).ok();
        assert_eq!(read("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(read("0s"), Some(Duration::ZERO));
        assert_eq!(read("10m"), Some(Duration::from_secs(600)));
        assert_eq!(read("366d"), Some(DURATION_MAX));
        for bad in ["", "5", "s", "-1s", "1.5s", " 1s", "1 s", "1w", "367d", "99999999999999999999s", "9999999999999d"]
        {
            assert!(parse_duration(bad).unwrap_err().to_string().contains("such as 500ms"), "{bad}");
        }
    }

    #[test]
    fn rates_are_positive() {
        assert_eq!(parse_rate("10/s"), Ok(Rate { count: 10, per: Duration::from_secs(1) }));
        assert_eq!(parse_rate("3/h").map(|rate| rate.per.as_secs()), Ok(3_600));
        for bad in ["", "10", "0/s", "-1/s", "+1/s", "1/d", "1.5/s", "/s", "5000000000/s"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_read_well() {
        let cases = [(50, "50ms"), (2_050, "2.050s"), (2_000, "2s"), (303_000, "5m03s"), (3_800_999, "1h03m20s")];
        for (millis, text) in cases {
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
        assert_eq!(show(Duration::ZERO), "0s");
    }
}
