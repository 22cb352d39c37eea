//! Query parameters: known by name or refused, each at most once.

use crate::encoded::decode_pairs;
use crate::problem::{Problem, ProblemKind, shown};
use std::time::Duration;
use steadfast_lead::{DeliveryId, Timestamp};

/// Items on a page unless asked otherwise.
const LIMIT_DEFAULT: usize = 50;
/// Most items on a page.
const LIMIT_MAX: usize = 200;

/// What a name may be, for refusals.
pub(crate) const NAME: &str = "a name: 1 to 64 of A-Z a-z 0-9 - _ ., beginning with a letter or digit";

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query. An empty value counts as not given.
    ///
    /// # Errors
    /// A [`Problem`] naming the parameter that is unknown or stands twice, or what cannot be decoded.
    pub(crate) fn read(raw: Option<&str>, allowed: &[&str]) -> Result<Self, Problem> {
        let pairs = decode_pairs(raw.unwrap_or("").as_bytes())
            .map_err(|bad| Problem::new(ProblemKind::BadParameter, format!("the query cannot be read: {bad}")))?;
        for (place, (name, _)) in pairs.iter().enumerate() {
            if !allowed.contains(&name.as_str()) {
                return Err(unknown(name, allowed));
            }
            if pairs.iter().take(place).any(|(other, _)| other == name) {
                let detail = format!("parameter {name} stands more than once");
                return Err(Problem::new(ProblemKind::BadParameter, detail).naming(name));
            }
        }
        Ok(Query(pairs))
    }

    /// The value of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        if value.is_empty() { None } else { Some(value) }
    }

    /// The value of a parameter, read.
    ///
    /// # Errors
    /// A [`Problem`] naming the parameter, its value and what is `allowed`.
    pub(crate) fn read_as<T>(
        &self,
        name: &str,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.text(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| Problem::bad_parameter(name, value, allowed))
    }

    /// One of our own words.
    pub(crate) fn word<T: Copy>(
        &self,
        name: &str,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<Option<T>, Problem> {
        let words: Vec<&str> = all.iter().map(|one| word(*one)).collect();
        self.read_as(name, &format!("one of {}", words.join(", ")), |text| {
            all.iter().copied().find(|one| word(*one) == text)
        })
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.text(name)
            .ok_or_else(|| Problem::new(ProblemKind::BadParameter, format!("parameter {name} is missing")).naming(name))
    }

    /// How many items a page has.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let read = |text: &str| text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        Ok(self.read_as("limit", &format!("1 to {LIMIT_MAX}"), read)?.unwrap_or(LIMIT_DEFAULT))
    }

    /// Where a page begins.
    pub(crate) fn after(&self) -> Result<Option<DeliveryId>, Problem> {
        self.read_as("after", "the `next` of the page before", |text| text.parse().ok())
    }

    /// A time.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.read_as(name, "a time like 2026-11-24T10:00:00Z", Timestamp::parse)
    }
}

fn unknown(name: &str, allowed: &[&str]) -> Problem {
    let known = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
    let detail = format!("there is no parameter {} here: known are {known}", shown(name));
    Problem::new(ProblemKind::UnknownParameter, detail).naming(name).allowing(&known)
}

/// Reads `250ms`, `10s` or `2m`.
pub(crate) fn read_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Query, read_duration};
    use std::time::Duration;

    #[test]
    fn durations() {
        assert_eq!(read_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read_duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(read_duration("2m"), Some(Duration::from_secs(120)));
        for bad in ["", "10", "s", "-1s", "1.5s", "10 s", "1h", "99999999999999999999s", "18446744073709551615m"] {
            assert_eq!(read_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn known_once_and_in_bounds() {
        let query = Query::read(Some("limit=200&after="), &["limit", "after"]).unwrap();
        assert_eq!((query.limit().unwrap(), query.after().unwrap()), (200, None));
        assert_eq!(Query::read(None, &[]).unwrap().limit().unwrap(), 50);
        for bad in ["limit=0", "limit=201", "limit=x", "limit=-1"] {
            assert!(Query::read(Some(bad), &["limit"]).unwrap().limit().is_err(), "{bad}");
        }
        assert!(Query::read(Some("limt=5"), &["limit"]).is_err());
        assert!(Query::read(Some("limit=5&limit=5"), &["limit"]).is_err());
    }
}
