//! The table of where a lead's clock is: by state, postal code and area code. As a text that may be edited, with its date;
//! what is compiled in is `contact_zones.txt`.
//!
//! Knows codes only. Never guesses: a code that is not there has no zones.

use std::collections::HashMap;
use std::sync::Arc;
use steadfast_retry::calendar::{Day, Zone};

/// The table compiled in.
const BUILT_IN: &str = include_str!("contact_zones.txt");
/// Name of the zones taken for a lead of whom nothing is known.
const UNKNOWN: &str = "unknown";
/// Zones of one name, at most.
const ZONES_MAX: usize = 12;

/// Zones that must all be within the hours.
pub(crate) type Zones = Arc<[Zone]>;

/// Where clocks are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactZones {
    as_of: Day,
    names: HashMap<Box<str>, Zones>,
    states: HashMap<Box<str>, Zones>,
    postal_codes: HashMap<Box<str>, Zones>,
    area_codes: HashMap<Box<str>, Zones>,
}

/// A line of a table that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadZones {
    /// Its number, from 1; 0 for the table as a whole.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

impl ContactZones {
    /// The table compiled in.
    ///
    /// # Errors
    /// Never, as its tests see; a table that cannot be read is no reason to panic.
    pub fn built_in() -> Result<Self, BadZones> {
        ContactZones::read(BUILT_IN)
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`BadZones`] at the first line that says nothing, or where `as_of` or the zones `unknown` are missing.
    pub fn read(text: &str) -> Result<Self, BadZones> {
        let mut reading = Reading::default();
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        for (index, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            reading.line(line).map_err(|problem| BadZones { line: index + 1, problem })?;
        }
        let whole = |problem: &str| BadZones { line: 0, problem: problem.to_owned() };
        if !reading.names.contains_key(UNKNOWN) {
            return Err(whole("lacks `zone unknown ...`: what is taken for a lead of whom nothing is known"));
        }
        let as_of = reading.as_of.ok_or_else(|| whole("lacks `as_of DATE`"))?;
        let Reading { names, states, postal_codes, area_codes, .. } = reading;
        Ok(ContactZones { as_of, names, states, postal_codes, area_codes })
    }

    /// When it was last compared with its sources.
    pub const fn as_of(&self) -> Day {
        self.as_of
    }

    /// Of a state or province, by its code.
    pub(crate) fn of_state(&self, code: &str) -> Option<&Zones> {
        self.states.get(code)
    }

    /// Of a postal code in its form: `12345`, `12345-6789`, `K1A 0B1`.
    pub(crate) fn of_postal_code(&self, code: &str) -> Option<&Zones> {
        let three = code.get(..3)?;
        self.postal_codes.get(three).or_else(|| self.postal_codes.get(code.get(..1)?))
    }

    /// Of a number in its form: `+13125550142`.
    pub(crate) fn of_phone(&self, number: &str) -> Option<&Zones> {
        self.area_codes.get(number.strip_prefix("+1")?.get(..3)?)
    }

    /// For a lead of whom nothing is known.
    pub(crate) fn of_nobody(&self) -> Option<&Zones> {
        self.names.get(UNKNOWN)
    }

    /// Every set of zones a code has, each name once.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Zones)> {
        self.names.iter().map(|(name, zones)| (&**name, zones))
    }
}

#[derive(Default)]
struct Reading {
    as_of: Option<Day>,
    names: HashMap<Box<str>, Zones>,
    states: HashMap<Box<str>, Zones>,
    postal_codes: HashMap<Box<str>, Zones>,
    area_codes: HashMap<Box<str>, Zones>,
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').ok_or("holds one word only")?;
        match word {
            "as_of" => {
                self.as_of = Some(Day::parse(rest.trim()).ok_or("as_of is not a date such as 2026-11-28")?);
                Ok(())
            }
            "zone" => self.zone(rest),
            "state" | "zip" | "area" => self.codes(word, rest),
            _ => Err(format!("begins with {word:?}: as_of, zone, state, zip and area are known")),
        }
    }

    fn zone(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split_whitespace();
        let name = words.next().ok_or("lacks a name")?;
        let zones = words.map(|word| Zone::new(word).map_err(|unknown| format!("{word:?} {unknown}")));
        let zones = zones.collect::<Result<Vec<Zone>, String>>()?;
        if zones.is_empty() || zones.len() > ZONES_MAX {
            return Err(format!("names {} zones: 1 to {ZONES_MAX} are possible", zones.len()));
        }
        self.names.insert(name.into(), zones.into());
        Ok(())
    }

    fn codes(&mut self, word: &str, rest: &str) -> Result<(), String> {
        let (codes, name) = rest.split_once('=').ok_or("lacks `= NAME`")?;
        let name = name.trim();
        let zones = self.names.get(name).cloned().ok_or_else(|| format!("{name:?} is no zone named before"))?;
        codes.split_whitespace().try_for_each(|code| self.code(word, code, &zones))
    }

    fn code(&mut self, word: &str, code: &str, zones: &Zones) -> Result<(), String> {
        let one = |code: &str| (Box::from(code), Arc::clone(zones));
        match word {
            "state" if is_letters(code, 2) => self.states.extend([one(code)]),
            "area" if is_digits(code) => self.area_codes.extend([one(code)]),
            "zip" if is_letters(code, 1) => self.postal_codes.extend([one(code)]),
            "zip" => self.postal_codes.extend(prefixes(code)?.iter().map(|prefix| one(prefix))),
            _ => return Err(format!("{code:?} is no code of a {word}")),
        }
        Ok(())
    }
}

/// `100-149` or `100`.
fn prefixes(code: &str) -> Result<Vec<String>, String> {
    let (first, last) = code.split_once('-').unwrap_or((code, code));
    let bad = || format!("{code:?} is neither three digits, nor a range of them, nor a letter");
    if !is_digits(first) || !is_digits(last) || first > last {
        return Err(bad());
    }
    let (first, last): (u16, u16) = (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
    Ok((first..=last).map(|prefix| format!("{prefix:03}")).collect())
}

fn is_digits(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_letters(code: &str, count: usize) -> bool {
    code.len() == count && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region;

    fn names(zones: Option<&Zones>) -> String {
        zones.map(|zones| zones.iter().map(Zone::name).collect::<Vec<_>>().join(" ")).unwrap_or_default()
    }

    #[test]
    fn the_table_compiled_in_knows_every_state_and_province() {
        let table = ContactZones::built_in().unwrap();
        assert_eq!(table.as_of(), Day::parse("2026-11-28").unwrap());
        for code in region::codes().filter(|code| !["AA", "AE", "AP", "FM", "MH", "PW", "UM"].contains(code)) {
            assert!(table.of_state(code).is_some(), "{code}");
        }
        assert_eq!(names(table.of_state("NY")), "America/New_York");
        assert_eq!(names(table.of_state("TX")), "America/Chicago America/Denver");
    }

    #[test]
    fn a_postal_code_is_nearer_than_its_state() {
        let table = ContactZones::built_in().unwrap();
        for (code, zones) in [
            ("10001", "America/New_York"),
            ("60601-1234", "America/Chicago"),
            ("79901", "America/Denver"),
            ("75201", "America/Chicago"),
            ("32501", "America/Chicago"),
            ("33101", "America/New_York"),
            ("99501", "America/Anchorage America/Adak"),
            ("96813", "Pacific/Honolulu"),
            ("K1A 0B1", "America/Toronto"),
            ("P9N 1A1", "America/Toronto America/Winnipeg"),
            ("32456", "America/New_York America/Chicago"),
            ("45999", "America/New_York"),
            ("79830", "America/Chicago America/Denver"),
            ("96799", "Pacific/Honolulu Pacific/Pago_Pago"),
            ("34001", ""),
            ("00000", ""),
        ] {
            assert_eq!(names(table.of_postal_code(code)), zones, "{code}");
        }
        for (number, zones) in [
            ("+13125550142", "America/Chicago"),
            ("+14485550142", "America/New_York America/Chicago"),
            ("+14025550142", "America/Chicago America/Denver"),
            ("+15035550142", "America/Los_Angeles"),
            ("+12355550142", "America/Chicago"),
            ("+18675550142", "America/Iqaluit America/Winnipeg America/Edmonton America/Whitehorse"),
        ] {
            assert_eq!(names(table.of_phone(number)), zones, "{number}");
        }
        assert_eq!(names(table.of_phone("+442079460958")), "");
    }

    #[test]
    fn each_code_of_the_table_compiled_in_stands_once() {
        let mut seen = std::collections::HashSet::new();
        let lines = BUILT_IN.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.filter_map(|line| line.split_once(" = ")).map(|(codes, _)| codes);
        for (word, codes) in lines.filter_map(|line| line.split_once(' ')) {
            let each = |code: &str| prefixes(code).unwrap_or_else(|_| vec![code.to_owned()]);
            for code in codes.split_whitespace().flat_map(each) {
                assert!(seen.insert((word, code.clone())), "{word} {code} stands twice");
            }
        }
        assert!(seen.len() > 1_300, "{}", seen.len());
    }

    #[test]
    fn what_says_nothing_is_refused_with_its_line() {
        let head = "as_of 2026-11-28\nzone unknown America/New_York\n";
        for (lines, said) in [
            ("zone x Mars/Base", "line 3: \"Mars/Base\" is not a time zone known here"),
            ("state NY = east", "line 3: \"east\" is no zone named before"),
            ("state New = unknown", "line 3: \"New\" is no code of a state"),
            ("zip 10-20 = unknown", "line 3: \"10-20\" is neither three digits"),
            ("\n# x\narea 31 = unknown", "line 5: \"31\" is no code of a area"),
            ("county 1 = unknown", "line 3: begins with \"county\""),
        ] {
            let told = ContactZones::read(&format!("{head}{lines}")).unwrap_err().to_string();
            assert!(told.starts_with(said), "{told}");
        }
        assert!(ContactZones::read("as_of 2026-11-28").unwrap_err().problem.starts_with("lacks `zone unknown"));
        assert!(ContactZones::read("zone unknown UTC").unwrap_err().problem.starts_with("lacks `as_of"));
    }
}
