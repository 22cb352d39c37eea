//! When the recipient asked to be called again: `Retry-After` in seconds or as a date in any of HTTP's three forms; else the
//! RateLimit fields, where they say that nothing remains. A rule that calls an answer a rate limit can say it in their place.
//!
//! Bounded: a hostile value can neither cause an immediate call nor an endless wait. What cannot be read is ignored.

use crate::evidence::Answer;
use crate::outcome::{ErrorKind, Outcome, Verdict};
use std::time::Duration;

/// The longest pause a recipient can ask for.
pub(crate) const HINT_MAX: Duration = Duration::from_secs(3_600);
/// More digits than this are not a number of seconds anybody means.
const DIGITS_MAX: usize = 18;

/// From here on a reset is a moment in seconds since 1970: as a delay it would be 31 years.
const MOMENT: u64 = 1_000_000_000;
/// From here on a moment in milliseconds.
const MOMENT_MILLIS: u64 = 1_000_000_000_000;

/// Which header said it, or that a rule did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintSource {
    /// `Retry-After: 120`.
    RetryAfterSeconds,
    /// `Retry-After: Fri, 31 Dec 1999 23:59:59 GMT`, counted from the answer's own `Date`.
    RetryAfterDate,
    /// `RateLimit: "default";r=0;t=30`, or with the window of `RateLimit-Policy` where `t` is not said.
    RateLimit,
    /// `RateLimit-Reset: 30` or `X-RateLimit-Reset: 30`, in seconds.
    ResetSeconds,
    /// The same as a moment, in seconds since 1970.
    ResetMoment,
    /// The same as a moment, in milliseconds since 1970.
    ResetMomentMillis,
    /// No header: the `delay` of a rule that reads the answer as a rate limit.
    Rule,
}

impl HintSource {
    /// What a decision says of it beside the pause; nothing for `Retry-After`.
    pub(crate) const fn note(self) -> &'static str {
        match self {
            HintSource::RetryAfterSeconds | HintSource::RetryAfterDate | HintSource::Rule => "",
            HintSource::RateLimit => " (RateLimit)",
            HintSource::ResetSeconds => " (RateLimit-Reset in seconds)",
            HintSource::ResetMoment => " (RateLimit-Reset as a moment)",
            HintSource::ResetMomentMillis => " (RateLimit-Reset as a moment in milliseconds)",
        }
    }
}

/// A pause the recipient asked for, counted from the end of the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// How long, at most an hour where the recipient said it; never zero.
    pub pause: Duration,
    /// Where it was read.
    pub source: HintSource,
    /// Whether more than an hour was asked for.
    pub capped: bool,
}

/// Statuses whose `Retry-After` means "not before".
const STATUSES: [u16; 6] = [408, 425, 429, 502, 503, 504];

/// Reads the pause an answer asks for: `Retry-After` where its status is one where that counts, else the RateLimit fields.
/// These count with every status: an accepted lead may have been the last one of the window.
///
/// Moments are measured from the answer's own `Date` header, so that a recipient's wrong clock does no harm; without one from
/// `now_unix_seconds`. Zero, negative, fractional, contradicting and overlong values are no hint.
pub fn read_hint(answer: &Answer, now_unix_seconds: u64) -> Option<Hint> {
    read(answer, answer.status == 429, now_unix_seconds)
}

/// The pause an attempt asks for: what its answer says, and the `delay` of a rule that reads it as a rate limit, the longer of
/// the two. Where a rule says that it is one, `Retry-After` counts whatever the status, as with 429.
pub fn asked_pause(verdict: &Verdict, answer: Option<&Answer>, now_unix_seconds: u64) -> Option<Hint> {
    let limited = verdict.outcome == Outcome::Error(ErrorKind::RateLimited);
    let said = answer.and_then(|answer| read(answer, limited || answer.status == 429, now_unix_seconds));
    let rule = verdict.delay.filter(|delay| limited && !delay.is_zero());
    let rule = rule.map(|pause| Hint { pause, source: HintSource::Rule, capped: false });
    // What the recipient says goes before a rule of the same length.
    said.into_iter().chain(rule).reduce(|one, other| if other.pause > one.pause { other } else { one })
}

fn read(answer: &Answer, limited: bool, now_unix_seconds: u64) -> Option<Hint> {
    let own_date = || answer.header("date").and_then(|own| unix_seconds(own.trim()));
    let from = || own_date().unwrap_or(now_unix_seconds);
    retry_after(answer, limited, from).or_else(|| rate_limit(answer, limited, from))
}

fn retry_after(answer: &Answer, limited: bool, from: impl Fn() -> u64) -> Option<Hint> {
    if !limited && !STATUSES.contains(&answer.status) {
        return None;
    }
    let value = only(answer, "retry-after")?;
    if let Some(seconds) = whole(value) {
        return bounded(seconds, HintSource::RetryAfterSeconds);
    }
    bounded(unix_seconds(value)?.saturating_sub(from()), HintSource::RetryAfterDate)
}

/// The value of a header; `None` where it stands twice and says two things.
fn only<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let mut values = answer.headers.iter().filter(|(known, _)| &**known == name).map(|(_, value)| value.trim());
    let value = values.next()?;
    values.all(|other| other == value).then_some(value)
}

/// A whole number of any length.
fn whole(value: &str) -> Option<u64> {
    let is_whole = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let digits = value.trim_start_matches('0');
    is_whole.then(|| if digits.len() > DIGITS_MAX { u64::MAX } else { digits.parse().unwrap_or(0) })
}

fn rate_limit(answer: &Answer, limited: bool, from: impl Fn() -> u64) -> Option<Hint> {
    structured(answer).or_else(|| {
        let forms = [("ratelimit-remaining", "ratelimit-reset"), ("x-ratelimit-remaining", "x-ratelimit-reset")];
        forms.into_iter().find_map(|(remaining, reset)| three_fields(answer, limited, (remaining, reset), &from))
    })
}

/// `RateLimit: "burst";r=0;t=2, "daily";r=9;t=7200`: of what has nothing left, the one that comes back last.
fn structured(answer: &Answer) -> Option<Hint> {
    let value = only(answer, "ratelimit")?;
    let policies = only(answer, "ratelimit-policy").unwrap_or_default();
    let parameter = |item: &str, name: &str| {
        let mut pairs = item.split([';', ',']).filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| known.trim() == name).and_then(|(_, value)| whole(value.trim()))
    };
    // An earlier draft had one limit: limit=10, remaining=0, reset=30.
    if let Some(remaining) = parameter(value, "remaining") {
        return parameter(value, "reset")
            .filter(|_| remaining == 0)
            .and_then(|reset| bounded(reset, HintSource::RateLimit));
    }
    let name = |item: &str| item.split(';').next().unwrap_or_default().trim().to_owned();
    let window = |item: &str| {
        policies.split(',').find(|policy| name(policy) == name(item)).and_then(|policy| parameter(policy, "w"))
    };
    let empty = value.split(',').filter(|item| parameter(item, "r") == Some(0));
    let resets = empty.filter_map(|item| parameter(item, "t").or_else(|| window(item)));
    bounded(resets.max()?, HintSource::RateLimit)
}

/// The older three fields. With a rate limit the reset alone is enough: nothing remains then.
fn three_fields(
    answer: &Answer,
    limited: bool,
    (remaining, reset): (&str, &str),
    from: &impl Fn() -> u64,
) -> Option<Hint> {
    // Some write the policy behind the number: 30, 100;w=60.
    let first = |name| only(answer, name).map(|value| value.split([',', ';']).next().unwrap_or_default().trim());
    let nothing_left = match first(remaining) {
        Some(value) => whole(value)? == 0,
        None => limited,
    };
    let reset = whole(first(reset)?).filter(|_| nothing_left)?;
    match reset {
        MOMENT_MILLIS.. => bounded((reset / 1_000).saturating_sub(from()), HintSource::ResetMomentMillis),
        MOMENT.. => bounded(reset.saturating_sub(from()), HintSource::ResetMoment),
        0.. => bounded(reset, HintSource::ResetSeconds),
    }
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

    #[test]
    fn a_rules_rate_limit_asks_for_its_delay_or_for_what_the_recipient_says_if_that_is_longer() {
        let asked = |outcome, delay: Option<u64>, headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let answer = Answer { status: 200, headers, body: bytes::Bytes::new(), body_bytes: 0 };
            let verdict = crate::classify_status(&crate::Evidence::of_answer(answer.clone()));
            let verdict = Verdict { outcome, delay: delay.map(Duration::from_secs), ..verdict };
            asked_pause(&verdict, Some(&answer), NOW).map(|hint| (hint.pause.as_secs(), hint.source))
        };
        let limited = Outcome::Error(ErrorKind::RateLimited);
        let says = |seconds| [("retry-after", seconds)];
        assert_eq!(
            asked(limited, Some(86_400), &[]),
            Some((86_400, HintSource::Rule)),
            "the operator's word has no cap"
        );
        assert_eq!(asked(limited, Some(30), &says("60")), Some((60, HintSource::RetryAfterSeconds)));
        assert_eq!(asked(limited, Some(60), &says("60")), Some((60, HintSource::RetryAfterSeconds)));
        assert_eq!(asked(limited, Some(90), &says("60")), Some((90, HintSource::Rule)));
        assert_eq!(asked(limited, None, &says("60")), Some((60, HintSource::RetryAfterSeconds)), "whatever the status");
        assert_eq!(asked(limited, None, &[("x-ratelimit-reset", "9")]), Some((9, HintSource::ResetSeconds)));
        assert_eq!(asked(limited, None, &[]), None);
        assert_eq!(
            asked(Outcome::Error(ErrorKind::ServerError), Some(30), &says("60")),
            None,
            "a delay of one delivery"
        );
    }

    #[test]
    fn rate_limit_fields_pause_where_nothing_remains() {
        const DATE: (&str, &str) = ("date", "Wed, 18 Nov 2026 11:06:40 GMT");
        type Case = (&'static [(&'static str, &'static str)], Option<(u64, HintSource)>);
        let cases: [Case; 22] = [
            (&[("ratelimit", "\"default\";r=0;t=30")], Some((30, HintSource::RateLimit))),
            (&[("ratelimit", "\"default\";r=1;t=30")], None),
            (&[("ratelimit", "\"a\";r=0;t=2, \"b\";r=0;t=9, \"c\";r=4;t=99")], Some((9, HintSource::RateLimit))),
            (
                &[("ratelimit", "\"a\";r=0"), ("ratelimit-policy", "\"b\";q=1;w=9, \"a\";q=5;w=60")],
                Some((60, HintSource::RateLimit)),
            ),
            (&[("ratelimit", "\"a\";r=0")], None),
            (&[("ratelimit", "limit=10, remaining=0, reset=40")], Some((40, HintSource::RateLimit))),
            (&[("ratelimit", "limit=10, remaining=3, reset=40")], None),
            (&[("ratelimit", "garbage;;=,")], None),
            (&[("ratelimit-remaining", "0"), ("ratelimit-reset", "12")], Some((12, HintSource::ResetSeconds))),
            (&[("ratelimit-remaining", "5"), ("ratelimit-reset", "12")], None),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "12")], Some((12, HintSource::ResetSeconds))),
            (
                &[DATE, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795000020")],
                Some((20, HintSource::ResetMoment)),
            ),
            (
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795000025000")],
                Some((25, HintSource::ResetMomentMillis)),
            ),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1794999999")], None),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "0")], None),
            (&[("x-ratelimit-remaining", "-1"), ("x-ratelimit-reset", "12")], None),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "soon")], None),
            (
                &[("x-ratelimit-remaining", "0, 10;w=60"), ("x-ratelimit-reset", "12")],
                Some((12, HintSource::ResetSeconds)),
            ),
            (
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "12")],
                Some((12, HintSource::ResetSeconds)),
            ),
            (&[("x-ratelimit-reset", "12")], Some((12, HintSource::ResetSeconds))),
            (&[("retry-after", "3"), ("ratelimit", "\"a\";r=0;t=30")], Some((3, HintSource::RetryAfterSeconds))),
            (&[("retry-after", "soon"), ("ratelimit", "\"a\";r=0;t=30")], Some((30, HintSource::RateLimit))),
        ];
        for (headers, expected) in cases {
            let read = hint(429, headers).map(|hint| (hint.pause.as_secs(), hint.source));
            assert_eq!(read, expected, "{headers:?}");
        }
        // Without 429 a reset alone says nothing; with it nothing remaining counts, whatever the status.
        assert_eq!(hint(200, &[("x-ratelimit-reset", "12")]), None);
        for status in [200, 403, 500] {
            let read = hint(status, &[("ratelimit", "\"a\";r=0;t=30"), ("retry-after", "3")]);
            assert_eq!(read.map(|hint| hint.pause.as_secs()), Some(30), "{status}");
        }
        let far = hint(429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9999999999")]).unwrap();
        assert!(far.capped && far.pause == HINT_MAX);
    }
}
