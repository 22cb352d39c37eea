//! Dates and times in templates: read in the forms leads have, shown in a format and a zone of the bundled time zone database.
//!
//! Never knows what time it is.

use super::refused::Refused;
use crate::normal;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

/// How long a format may be, in bytes.
const FORMAT_BYTES_MAX: usize = 256;

/// A date or time in another format, and in a zone.
///
/// # Errors
/// [`Refused`]: a zone or format there is none of, or a text that is no date.
pub(crate) fn show(text: &str, format: &str, zone: Option<&str>) -> Result<String, Refused> {
    if format.len() > FORMAT_BYTES_MAX {
        return Err(Refused::template(&format!("a date's format has at most {FORMAT_BYTES_MAX} bytes")));
    }
    let time_zone = zone.map(named_zone).transpose()?.unwrap_or(TimeZone::UTC);
    let time = read(text.trim(), &time_zone).ok_or_else(|| Refused::lead("date: a value is not a date or time"))?;
    let mut shown = String::new();
    strtime::BrokenDownTime::from(&time)
        .format(format, &mut shown)
        .map_err(|_| Refused::template(&format!("date: {format:?} is not a date's format")))?;
    Ok(shown)
}

fn named_zone(name: &str) -> Result<TimeZone, Refused> {
    TimeZone::get(name).map_err(|_| Refused::template(&format!("date: {name:?} is not a time zone's name")))
}

/// An instant is shown in the zone; a date or time without an offset is one of that zone.
fn read(text: &str, zone: &TimeZone) -> Option<ZonedDateTime> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant.to_zoned_datetime(zone.clone()));
    }
    let civil = match text.parse::<DateTime>() {
        Ok(civil) => civil,
        Err(_) => normal::date(text)?.parse().ok()?,
    };
    civil.to_zoned_datetime(zone.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_move_into_zones_and_dates_stay() {
        let cases = [
            ("2026-11-24T02:30:00Z", "%Y-%m-%d %H:%M", Some("America/Chicago"), "2026-11-23 20:30"),
            ("2026-07-01T00:00:00Z", "%m/%d/%Y %I:%M %p %Z", Some("America/New_York"), "06/30/2026 08:00 PM EDT"),
            ("2026-11-24T02:30:00.123Z", "%H:%M:%S", None, "02:30:00"),
            ("2026-11-24", "%d.%m.%Y", Some("America/Chicago"), "24.11.2026"),
            ("11/24/2026", "%Y%m%d", None, "20261124"),
            ("2026-11-24T10:00:00", "%Y-%m-%dT%H:%M:%S%:z", Some("Europe/Berlin"), "2026-11-24T10:00:00+01:00"),
        ];
        for (text, format, zone, expected) in cases {
            assert_eq!(show(text, format, zone).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_the_templates_or_the_leads() {
        for (text, format, zone) in [("2026-11-24", "%Y", Some("Mars/Base")), ("2026-11-24", "%!", None)] {
            let refused = show(text, format, zone).unwrap_err();
            assert!(matches!(refused, Refused::Template(_)), "{refused:?}");
        }
        let refused = show("s3cret", "%Y", None).unwrap_err();
        assert!(matches!(&refused, Refused::Lead(said) if !said.contains("s3cret")), "{refused:?}");
    }
}
