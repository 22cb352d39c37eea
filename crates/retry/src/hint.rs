//! When the recipient asked to be called again: `Retry-After` in seconds or as a date in any of HTTP's three forms.
//!
//! Bounded: a hostile value can neither cause an immediate call nor an endless wait. What cannot be read is ignored.

use crate::evidence::Answer;
use std::time::Duration;

/// The longest pause a recipient can ask for.
pub(crate) const HINT_MAX: Duration = Duration::from_secs(3_600);
/// More digits than this are not a number of seconds anybody means.
const DIGITS_MAX: usize = 18;

/// Which header said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintSource {
    /// `Retry-After: 120`.
    RetryAfterSeconds,
    /// `Retry-After: Fri, 31 Dec 1999 23:59:59 GMT`, counted from the answer's own `Date`.
    RetryAfterDate,
}

/// A pause the recipient asked for, counted from the end of the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// How long, at most an hour; never zero.
    pub pause: Duration,
    /// Where it was read.
    pub source: HintSource,
    /// Whether more than an hour was asked for.
    pub capped: bool,
}

/// Statuses whose `Retry-After` means "not before".
const STATUSES: [u16; 6] = [408, 425, 429, 502, 503, 504];

/// Reads the pause an answer asks for, if its status is one where that counts.
///
/// A date is measured from the answer's own `Date` header, so that a recipient's wrong clock does no harm; without one from
/// `now_unix_seconds`. Zero, negative, fractional, repeated and overlong values are no hint.
pub fn read_hint(answer: &Answer, now_unix_seconds: u64) -> Option<Hint> {
    if !STATUSES.contains(&answer.status) {
        return None;
    }
    let mut values = answer.headers.iter().filter(|(name, _)| &**name == "retry-after").map(|(_, value)| value.trim());
    let value = values.next()?;
    if values.any(|other| other != value) {
        return None;
    }
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits = value.trim_start_matches('0');
        let seconds = if digits.len() > DIGITS_MAX { u64::MAX } else { digits.parse().unwrap_or(0) };
        return bounded(seconds, HintSource::RetryAfterSeconds);
    }
    let date = unix_seconds(value)?;
    let from = answer.header("date").and_then(|own| unix_seconds(own.trim())).unwrap_or(now_unix_seconds);
    bounded(date.saturating_sub(from), HintSource::RetryAfterDate)
}

fn unix_seconds(date: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(date).ok()?;
    Some(date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
}

fn bounded(seconds: u64, source: HintSource) -> Option<Hint> {
    if seconds == 0 {
        return None;
    }
    let asked = Duration::from_secs(seconds);
    Some(Hint { pause: asked.min(HINT_MAX), source, capped: asked > HINT_MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_000_000;

    fn hint(status: u16, headers: &[(&str, &str)]) -> Option<Hint> {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        read_hint(&Answer { status, headers, body: bytes::Bytes::new(), body_bytes: 0 }, NOW)
    }

    fn seconds(value: &str) -> Option<u64> {
        hint(429, &[("retry-after", value)]).map(|hint| hint.pause.as_secs())
    }

    #[test]
    fn seconds_are_read_and_bounded() {
        assert_eq!(seconds("3"), Some(3));
        assert_eq!(seconds(" 0120 "), Some(120));
        assert_eq!(seconds("3600"), Some(3_600));
        for enormous in ["3601", "1000000000000000000", "99999999999999999999999999"] {
            let hint = hint(429, &[("retry-after", enormous)]).unwrap();
            assert_eq!((hint.pause, hint.capped), (HINT_MAX, true), "{enormous}");
        }
    }

    #[test]
    fn hostile_and_unreadable_values_are_no_hint() {
        for value in
            ["0", "000", "-5", "1.5", "1,2", "", " ", "soon", "0x10", "1e3", "٣", "Fri, 31 Dec 9999 99:99:99 GMT"]
        {
            assert_eq!(seconds(value), None, "{value:?}");
        }
        assert_eq!(hint(429, &[("retry-after", "3"), ("retry-after", "9")]), None);
        assert_eq!(hint(429, &[]), None);
    }

    #[test]
    fn dates_count_from_the_answers_own_date_in_all_three_forms() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for later in ["Sun, 06 Nov 1994 08:50:07 GMT", "Sunday, 06-Nov-94 08:50:07 GMT", "Sun Nov  6 08:50:07 1994"] {
            let hint = hint(503, &[date, ("retry-after", later)]).unwrap();
            assert_eq!((hint.pause.as_secs(), hint.source), (30, HintSource::RetryAfterDate), "{later}");
        }
        assert_eq!(hint(503, &[date, ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), None);
        assert_eq!(hint(503, &[date, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")]), None);
        let far = hint(503, &[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")]).unwrap();
        assert!(far.capped && far.pause == HINT_MAX);
        let now = hint(503, &[("retry-after", "Wed, 18 Nov 2026 11:06:55 GMT")]).unwrap();
        assert_eq!(now.pause.as_secs(), 15);
    }

    #[test]
    fn only_statuses_that_mean_later_carry_a_hint() {
        for status in [408, 425, 429, 502, 503, 504] {
            assert!(hint(status, &[("retry-after", "5")]).is_some(), "{status}");
        }
        for status in [200, 301, 400, 404, 500] {
            assert!(hint(status, &[("retry-after", "5")]).is_none(), "{status}");
        }
    }
}
