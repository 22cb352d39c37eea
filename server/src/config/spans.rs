//! Where keys and values stand in the text of a config, so that what is wrong with a setting is told at its line.

use super::problem::{Problem, shown};
use std::collections::BTreeMap;
use std::ops::Range;
use steadfast_flow::{Fault, Place};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where keys and values stand in the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(BTreeMap<String, (Range<usize>, Range<usize>)>);

impl Spans {
    /// Of everything in a document.
    pub(crate) fn of(root: &DeTable<'_>) -> Self {
        let mut spans = Spans::default();
        spans.table(&Place::root(), root);
        spans
    }

    fn table(&mut self, place: &Place, table: &DeTable<'_>) {
        for (key, value) in table {
            self.value(&place.key(key.get_ref()), key.span(), value);
        }
    }

    /// As deep as the parser lets a document nest, which is bounded.
    fn value(&mut self, place: &Place, key: Range<usize>, value: &Spanned<DeValue<'_>>) {
        self.0.insert(place.as_str().to_owned(), (key, value.span()));
        if let DeValue::Table(table) = value.get_ref() {
            self.table(place, table);
        }
        if let DeValue::Array(values) = value.get_ref() {
            for (index, value) in values.iter().enumerate() {
                self.value(&place.index(index), value.span(), value);
            }
        }
    }

    /// The value of exactly this key; header names are compared without case.
    pub(crate) fn value_of(&self, place: &Place) -> Option<Range<usize>> {
        let (key, headers) = (place.as_str(), place.as_str().contains(".headers."));
        let alike = || self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, at)| at);
        let found = self.0.get(key).or_else(|| if headers { alike() } else { None });
        found.map(|(_, value)| value.clone())
    }

    /// The nearest thing there is: the value, else the key of the table it would stand in.
    pub(crate) fn nearest(&self, place: &Place) -> Option<Range<usize>> {
        // Dots within quoted names make prefixes that no key has.
        let ends = place.as_str().rmatch_indices(['.', '[']).map(|(end, _)| end);
        let mut tables = ends.filter_map(|end| self.0.get(&place.as_str()[..end]));
        self.value_of(place).or_else(|| tables.next().map(|(key, _)| key.clone()))
    }
}

/// A fault of the settings, brought to the text.
pub(crate) fn problem_of(fault: &Fault, spans: &Spans, text: &str) -> Problem {
    let exact = spans.value_of(&fault.place).and_then(|at| text.get(at));
    // What was written is shown rather than what it came to: it may have come from the environment.
    let written = exact.filter(|_| fault.value.is_some()).map(shown);
    Problem {
        span: spans.nearest(&fault.place),
        key: fault.place.as_str().to_owned(),
        value: written.or_else(|| fault.value.clone()),
        message: fault.problem.clone(),
        allowed: fault.allowed.clone(),
    }
}
