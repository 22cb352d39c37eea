//! Walking a parsed config file table by table: known keys only, typed values, and every problem collected.
//!
//! A wrong value never stops the reading; what it would have held is left out and the problem is kept. Which keys a table
//! knows comes from the key tables, and each table is checked to have been asked for all of them.

use super::keys::{Key, Table};
use super::literals;
use super::problem::{Problem, shown};
use super::references::{Surroundings, credential, substitute};
use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;
use steadfast_flow::{Place, Secret};
use steadfast_lead::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Collects what is wrong while a document is read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    around: &'a Surroundings<'a>,
    problems: RefCell<Vec<Problem>>,
    masks: RefCell<Vec<Range<usize>>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str, around: &'a Surroundings<'a>) -> Self {
        Reader { text, around, problems: RefCell::default(), masks: RefCell::default() }
    }

    /// The whole document.
    pub(crate) fn root<'r>(&'r self, root: &'r DeTable<'r>, table: &'static Table) -> Section<'r> {
        Section::open(self, Place::root(), 0..0, Some(root), table)
    }

    /// What was found, and where credentials stand.
    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<Range<usize>>) {
        (self.problems.into_inner(), self.masks.into_inner())
    }

    fn report(&self, place: &Place, at: &Range<usize>, value: Option<String>, message: &str, allowed: &str) {
        self.problems.borrow_mut().push(Problem {
            span: Some(at.clone()),
            key: place.as_str().to_owned(),
            value,
            message: message.to_owned(),
            allowed: allowed.to_owned(),
        });
    }

    fn mask(&self, at: Range<usize>) {
        self.masks.borrow_mut().push(at);
    }
}

/// One value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Found<'a> {
    reader: &'a Reader<'a>,
    pub(crate) place: Place,
    value: &'a Spanned<DeValue<'a>>,
    allowed: &'a str,
}

impl<'a> Found<'a> {
    /// Says what is wrong with it, and shows it as it was written.
    pub(crate) fn wrong(&self, message: &str) {
        let piece = self.reader.text.get(self.value.span()).map(shown);
        self.reader.report(&self.place, &self.value.span(), piece, message, self.allowed);
    }

    /// Says what is wrong with it without showing it.
    pub(crate) fn wrong_unseen(&self, message: &str) {
        self.reader.report(&self.place, &self.value.span(), None, message, self.allowed);
    }

    /// Says what is wrong with the key's own name.
    pub(crate) fn wrong_name(&self, message: &str) {
        self.reader.report(&self.place, &self.value.span(), None, message, "");
    }

    /// A text that may hold a token: an address. It is not shown, whatever is wrong with it.
    pub(crate) fn address<T, E: ToString>(&self, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        self.reader.mask(self.value.span());
        let DeValue::String(text) = self.value.get_ref() else {
            self.wrong_unseen(&format!("is {}, not a text", type_name(self.value.get_ref())));
            return None;
        };
        let text = substitute(text, self.reader.around).map_err(|problem| self.wrong_unseen(&problem)).ok()?;
        read(&text).map_err(|problem| self.wrong_unseen(&problem.to_string())).ok()
    }

    fn wrong_type(&self, needed: &str) {
        self.wrong(&format!("is {}, not {needed}", type_name(self.value.get_ref())));
    }

    /// A text, with the environment put in.
    pub(crate) fn text(&self) -> Option<String> {
        let DeValue::String(text) = self.value.get_ref() else {
            self.wrong_type("a text");
            return None;
        };
        substitute(text, self.reader.around).map_err(|problem| self.wrong(&problem)).ok()
    }

    /// A text that must not be seen.
    pub(crate) fn secret(&self) -> Option<Secret> {
        self.reader.mask(self.value.span());
        let DeValue::String(text) = self.value.get_ref() else {
            self.wrong_unseen(&format!("is {}, not a text", type_name(self.value.get_ref())));
            return None;
        };
        let resolved = credential(text, self.reader.around).map_err(|problem| self.wrong_unseen(&problem));
        resolved.ok().map(|text| Secret::new(&text))
    }

    /// Shows nothing of it in any message.
    pub(crate) fn hide(&self) {
        self.reader.mask(self.value.span());
        hide_all(self.reader, self.value);
    }

    /// A date or time, as it was written: a value of its own kind, or a text.
    pub(crate) fn moment(&self) -> Option<String> {
        match self.value.get_ref() {
            DeValue::Datetime(moment) => Some(moment.to_string()),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => self.text(),
        }
    }

    /// True or false.
    pub(crate) fn boolean(&self) -> Option<bool> {
        if let DeValue::Boolean(value) = self.value.get_ref() {
            return Some(*value);
        }
        self.wrong_type("true or false");
        None
    }

    /// A whole number of any size.
    pub(crate) fn whole(&self) -> Option<i128> {
        let DeValue::Integer(number) = self.value.get_ref() else {
            self.wrong_type("a whole number");
            return None;
        };
        let parsed = i128::from_str_radix(number.as_str(), number.radix());
        parsed.map_err(|_| self.wrong("is out of range")).ok()
    }

    /// A whole number or one with decimals, in thousandths.
    pub(crate) fn thousandths(&self) -> Option<u32> {
        let read = match self.value.get_ref() {
            DeValue::Float(number) => literals::thousandths(number.as_str()),
            DeValue::Integer(number) if number.radix() == 10 => literals::thousandths(number.as_str()),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type("a number");
                return None;
            }
        };
        read.map_err(|problem| self.wrong(problem)).ok()
    }

    /// Whether it is written as a text.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::String(_))
    }

    /// Whether it is written as a table.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Table(_))
    }

    /// Whether it is written as a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Array(_))
    }

    /// Says so where a template holds a reference too: what comes from the environment must not be run as a template, and a
    /// secret must be known as one.
    pub(crate) fn holds_both_template_and_reference(&self) -> bool {
        let DeValue::String(text) = self.value.get_ref() else { return false };
        let template = ["{{", "{%", "{#"].iter().any(|begin| text.contains(begin));
        let referring = text.replace("$${", "").contains("${") || text.starts_with("file:");
        if template && referring {
            self.wrong_unseen(
                "is a template, which names secrets as {{ secret(\"name\") }} and not as ${NAME} or file:",
            );
        }
        template && referring
    }

    /// A text that may be a template.
    pub(crate) fn template(&self) -> Option<String> {
        if self.holds_both_template_and_reference() { None } else { self.text() }
    }

    /// A number with decimals, in the digits it is written with.
    pub(crate) fn decimals(&self) -> Option<Number> {
        let DeValue::Float(number) = self.value.get_ref() else { return None };
        let digits = number.as_str().replace('_', "");
        let parsed = Number::parse(digits.strip_prefix('+').unwrap_or(&digits));
        if parsed.is_none() {
            self.wrong("is not a number that can be sent");
        }
        parsed
    }

    /// Whether it is written as a number with decimals.
    pub(crate) fn is_decimals(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Float(_))
    }

    /// Whether it is written as true or false.
    pub(crate) fn is_boolean(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Boolean(_))
    }

    /// Whether it is written as a whole number.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Integer(_))
    }

    /// Whether it is a list without values.
    pub(crate) fn is_empty_list(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Array(values) if values.is_empty())
    }

    /// The values of a list.
    pub(crate) fn list(&self) -> Vec<Found<'a>> {
        let DeValue::Array(values) = self.value.get_ref() else {
            self.wrong_type("a list");
            return Vec::new();
        };
        let one = |(index, value)| Found { place: self.place.index(index), value, ..self.clone() };
        values.iter().enumerate().map(one).collect()
    }

    /// Its entries as a table with names of the user's own.
    pub(crate) fn entries(&self) -> Vec<(String, Found<'a>)> {
        let DeValue::Table(table) = self.value.get_ref() else {
            self.wrong_type("a table");
            return Vec::new();
        };
        let one = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &std::borrow::Cow<'a, str> = key.get_ref();
            (name.to_string(), Found { place: self.place.key(name), value, ..self.clone() })
        };
        table.iter().map(one).collect()
    }

    /// Its entries as a table with known keys. What is no table is a table that says nothing.
    pub(crate) fn section(&self, known: &'static Table) -> Section<'a> {
        let table = match self.value.get_ref() {
            DeValue::Table(table) => Some(table),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                self.no_table(known);
                None
            }
        };
        Section::open(self.reader, self.place.clone(), self.value.span(), table, known)
    }

    /// What stands where a table belongs is told with the keys that belong into it.
    fn no_table(&self, known: &Table) {
        const SHOWN_MAX: usize = 6;
        let keys: Vec<&str> = known.keys.iter().map(|key| key.name).take(SHOWN_MAX).collect();
        let more = if known.keys.len() > SHOWN_MAX { ", ..." } else { "" };
        let allowed = format!("a table {{ {} = ...{more} }}; {}", keys.join(" = ..., "), self.allowed);
        let found = Found { allowed: &allowed, ..self.clone() };
        found.wrong_type("a table");
    }

    /// Reads a text by `read`; its sentence about what is wrong is kept as a problem.
    pub(crate) fn parsed<T, E: AsRef<str>>(&self, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let text = self.text()?;
        read(&text).map_err(|problem| self.wrong(problem.as_ref())).ok()
    }

    /// One of a few words; the nearest is offered for a misspelt one.
    pub(crate) fn word<T>(&self, from_name: impl FnOnce(&str) -> Option<T>, words: &[&str]) -> Option<T> {
        self.parsed(|text| from_name(text).ok_or_else(|| format!("is not a word known here{}", nearest(text, words))))
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with decimals",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// `; did you mean "x"?` where one of the words is near.
fn nearest(given: &str, words: &[&str]) -> String {
    const NEAR: f64 = 0.6;
    let given = given.to_ascii_lowercase();
    let scored = words.iter().map(|word| (strsim::normalized_damerau_levenshtein(&given, word), *word));
    let best = scored.max_by(|one, two| one.0.total_cmp(&two.0));
    match best {
        Some((score, word)) if score >= NEAR => format!("; did you mean {word:?}?"),
        _ => String::new(),
    }
}

/// A table with known keys.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    reader: &'a Reader<'a>,
    pub(crate) place: Place,
    at: Range<usize>,
    table: Option<&'a DeTable<'a>>,
    known: &'static Table,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    fn open(
        reader: &'a Reader<'a>,
        place: Place,
        at: Range<usize>,
        table: Option<&'a DeTable<'a>>,
        known: &'static Table,
    ) -> Self {
        for (key, value) in table.into_iter().flatten() {
            if !known.keys.iter().any(|known| known.name == key.get_ref()) {
                unknown_key(reader, &place, key, value, known);
            }
        }
        Section { reader, place, at, table, known, asked: RefCell::default() }
    }

    fn key(&self, name: &'static str) -> Option<&'static Key> {
        let key = self.known.keys.iter().find(|key| key.name == name);
        debug_assert!(key.is_some(), "{} has no key {name}", self.known.header);
        self.asked.borrow_mut().push(name);
        key
    }

    /// The value of a key.
    pub(crate) fn get(&self, name: &'static str) -> Option<Found<'a>> {
        let key = self.key(name)?;
        let value = self.table?.get(name)?;
        Some(Found { reader: self.reader, place: self.place.key(name), value, allowed: key.allowed })
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, name: &'static str) -> Option<Found<'a>> {
        let found = self.get(name);
        if found.is_none() && self.table.is_some() {
            let allowed = self.key(name).map_or("", |key| key.allowed);
            self.reader.report(&self.place.key(name), &self.at, None, "is missing", allowed);
        }
        found
    }

    /// A key that has no business here.
    pub(crate) fn misplaced(&self, name: &'static str, message: &str) {
        if let Some(found) = self.get(name) {
            found.hide();
            found.reader.report(&found.place, &found.value.span(), None, message, "");
        }
    }

    /// Says what is wrong with the table as a whole.
    pub(crate) fn wrong(&self, message: &str, allowed: &str) {
        self.reader.report(&self.place, &self.at, None, message, allowed);
    }

    /// A text.
    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        self.get(name)?.text()
    }

    /// True or false.
    pub(crate) fn boolean(&self, name: &'static str) -> Option<bool> {
        self.get(name)?.boolean()
    }

    /// A duration; its range is checked where it is used.
    pub(crate) fn duration(&self, name: &'static str) -> Option<Duration> {
        let found = self.get(name)?;
        if found.is_text() {
            return found.parsed(literals::duration);
        }
        found.wrong("is not a duration; write it as a text with its unit, such as \"10s\"");
        None
    }

    /// A whole number; what does not fit becomes the nearest that does, and is refused by its range where it is used.
    pub(crate) fn count(&self, name: &'static str) -> Option<u32> {
        let whole = self.get(name)?.whole()?;
        Some(u32::try_from(whole.max(0)).unwrap_or(u32::MAX))
    }

    /// A size in bytes: a whole number, or a text with a unit.
    pub(crate) fn size(&self, name: &'static str) -> Option<u64> {
        let found = self.get(name)?;
        if found.is_text() {
            return found.parsed(literals::size);
        }
        let whole = found.whole()?;
        Some(u64::try_from(whole.max(0)).unwrap_or(u64::MAX))
    }

    /// A value within a range, the range's own keys being shown where it is not.
    pub(crate) fn within<T: PartialOrd + Copy>(
        &self,
        name: &'static str,
        value: Option<T>,
        least: T,
        most: T,
    ) -> Option<T> {
        let value = value?;
        if value >= least && value <= most {
            return Some(value);
        }
        if let Some(found) = self.get(name) {
            found.wrong("is out of range");
        }
        None
    }

    /// A table of known keys; one that is not there says nothing.
    pub(crate) fn section(&self, name: &'static str, known: &'static Table) -> Section<'a> {
        match self.get(name) {
            Some(found) => found.section(known),
            None => Section::open(self.reader, self.place.key(name), self.at.clone(), None, known),
        }
    }

    /// Whether the table is there at all.
    pub(crate) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Tables by names of the user's own.
    pub(crate) fn named(&self, name: &'static str) -> Vec<(String, Found<'a>)> {
        self.get(name).map(|found| found.entries()).unwrap_or_default()
    }
}

impl Drop for Section<'_> {
    /// A key in the table that nothing reads would be documented, accepted and ignored.
    fn drop(&mut self) {
        let asked = self.asked.borrow();
        let ignored = self.known.keys.iter().find(|key| !asked.contains(&key.name));
        debug_assert!(
            std::thread::panicking() || ignored.is_none(),
            "{}: nothing reads {ignored:?}",
            self.known.header
        );
    }
}

/// Its value is hidden: a misspelt key may hold a credential.
fn unknown_key(
    reader: &Reader<'_>,
    place: &Place,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    known: &'static Table,
) {
    reader.mask(value.span());
    hide_all(reader, value);
    let names: Vec<&str> = known.keys.iter().map(|key| key.name).collect();
    let message = format!("is not a key of {}{}", known.header, nearest(key.get_ref(), &names));
    reader.report(&place.key(key.get_ref()), &key.span(), None, &message, &names.join(", "));
}

/// A table under a header has no span around its values.
fn hide_all(reader: &Reader<'_>, value: &Spanned<DeValue<'_>>) {
    match value.get_ref() {
        DeValue::Table(table) => table.iter().for_each(|(_, value)| hide_all(reader, value)),
        DeValue::Array(values) => values.iter().for_each(|value| hide_all(reader, value)),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            reader.mask(value.span())
        }
    }
}
