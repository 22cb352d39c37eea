//! A time zone by its IANA name, from the database compiled in: nothing of the machine's is read.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::fmt;

/// How near a name must be to be offered in place of an unknown one.
const NEAR: f64 = 0.75;

/// A time zone.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: Box<str>,
    zone: TimeZone,
}

/// What a clock on the wall shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 1, Monday, to 7, Sunday.
    pub weekday: u8,
}

/// Why a text names no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a time zone known here{}", near.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
pub struct UnknownZone {
    /// A name that is near.
    pub near: Option<Box<str>>,
}

impl Zone {
    /// The zone of an IANA name, such as `America/Chicago`; its case does not matter.
    ///
    /// # Errors
    /// [`UnknownZone`], with a near name where there is one.
    pub fn new(name: &str) -> Result<Self, UnknownZone> {
        let found = TimeZoneDatabase::bundled().get(name).ok();
        let found = found.and_then(|zone| Some(Zone { name: zone.iana_name()?.into(), zone: zone.clone() }));
        found.ok_or_else(|| UnknownZone { near: nearest(name) })
    }

    /// Its name, as the database has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn rules(&self) -> &TimeZone {
        &self.zone
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

/// The name that is nearest, or whose city is: `Chicago` is near `America/Chicago`.
fn nearest(given: &str) -> Option<Box<str>> {
    let given = given.to_ascii_lowercase().replace([' ', '-'], "_");
    let near = |name: &str| {
        let name = name.to_ascii_lowercase();
        let city = name.rsplit('/').next().unwrap_or(&name);
        let whole = strsim::normalized_damerau_levenshtein(&given, &name);
        // Of a whole name and a city that are alike, the whole name is meant.
        whole.max(strsim::normalized_damerau_levenshtein(&given, city) - 0.01)
    };
    let database = TimeZoneDatabase::bundled();
    let scored = database.available().map(|name| (near(name.as_str()), name));
    let best = scored.max_by(|one, two| one.0.total_cmp(&two.0));
    best.filter(|(score, _)| *score >= NEAR).map(|(_, name)| name.as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_known_by_its_name_and_a_near_one_is_offered() {
        assert_eq!(Zone::new("america/chicago").unwrap().name(), "America/Chicago");
        let near = |name: &str| Zone::new(name).unwrap_err().near.map(|near| near.to_string()).unwrap_or_default();
        assert_eq!(near("Chicago"), "America/Chicago");
        assert_eq!(near("America/New York"), "America/New_York");
        assert_eq!(near("Europe/Berln"), "Europe/Berlin");
        assert_eq!(near("Mars/Olympus_Base"), "");
        assert_eq!(near("../../etc/passwd"), "");
        assert_eq!(Zone::new("Nowhere").unwrap_err().to_string(), "is not a time zone known here");
    }
}
