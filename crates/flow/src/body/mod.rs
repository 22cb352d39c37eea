//! Bodies an operator lays out: what stands where, as it is configured, and what it makes of a lead.
//!
//! A path that cannot be written in the format chosen is told when the config is saved. What a lead lacks is left out.

mod json;
mod pairs;
mod path;
pub(crate) mod soap_fault;
mod source;
mod xml;

pub(crate) use json::JsonBody;
pub(crate) use pairs::{PairsBody, write_pair};
pub(crate) use source::Filling;
pub use xml::SoapVersion;
pub(crate) use xml::{XmlBody, XmlShape, write_lead};

use crate::place::{Fault, Place};
use steadfast_lead::Value;

/// Places one body may name.
pub const BODY_ENTRIES_MAX: usize = 500;
/// How deep a body may nest.
pub const BODY_DEPTH_MAX: usize = 32;
/// The highest place in a list a body may name, counted from 0.
pub const BODY_INDEX_MAX: usize = 999;

/// One part of a path, as it is written in config: a key, or a place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A key. What it says (`applicant.name`, `lead/contact/@type`) is read in the format chosen.
    Key(Box<str>),
    /// A place in a list, from 0.
    Place(usize),
}

/// One value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyEntry {
    /// Where.
    pub path: Vec<Segment>,
    /// What: a text may be a template. `None` takes away what a farther level put there.
    pub value: Option<Value>,
}

impl BodyEntry {
    /// One path, however it was split into keys.
    fn canonical(&self) -> String {
        let part = |segment: &Segment| match segment {
            Segment::Key(key) => format!(".{key}"),
            Segment::Place(place) => format!("[{place}]"),
        };
        self.path.iter().map(part).collect()
    }

    pub(crate) fn place(&self) -> Place {
        self.path.iter().fold(Place::of("request.body"), |place, segment| match segment {
            Segment::Key(key) => place.key(key),
            Segment::Place(index) => place.index(*index),
        })
    }

    pub(crate) fn fault(&self, problem: &str, allowed: &str) -> Fault {
        Fault::unseen(self.place(), problem, allowed)
    }
}

/// What a body is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodySettings {
    /// One template for the whole.
    Text(Box<str>),
    /// Values by their paths, in the order they are written.
    Mapped(Vec<BodyEntry>),
}

impl BodySettings {
    /// These laid over `farther`: path by path where both are mapped, else in its place.
    #[must_use]
    pub fn over(&self, farther: &BodySettings) -> BodySettings {
        let (BodySettings::Mapped(own), BodySettings::Mapped(theirs)) = (self, farther) else {
            return self.clone();
        };
        let own_paths: Vec<String> = own.iter().map(BodyEntry::canonical).collect();
        let mut taken = vec![false; own.len()];
        let mut laid = Vec::with_capacity(own.len() + theirs.len());
        for entry in theirs {
            let path = entry.canonical();
            match own_paths.iter().position(|known| *known == path) {
                Some(at) => {
                    taken[at] = true;
                    laid.push(own[at].clone());
                }
                None => laid.push(entry.clone()),
            }
        }
        laid.extend(own.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(entry, _)| entry.clone()));
        BodySettings::Mapped(laid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, value: Option<&str>) -> BodyEntry {
        BodyEntry { path: vec![Segment::Key(path.into())], value: value.map(Value::text) }
    }

    #[test]
    fn a_nearer_body_lies_over_a_farther_one_path_by_path() {
        let farther = BodySettings::Mapped(vec![entry("a", Some("1")), entry("b.c", Some("2")), entry("d", Some("3"))]);
        let split =
            BodyEntry { path: vec![Segment::Key("b".into()), Segment::Key("c".into())], value: Some(Value::Null) };
        let nearer = BodySettings::Mapped(vec![entry("e", Some("5")), split.clone(), entry("d", None)]);
        let expected = vec![entry("a", Some("1")), split, entry("d", None), entry("e", Some("5"))];
        assert_eq!(nearer.over(&farther), BodySettings::Mapped(expected));
        let text = BodySettings::Text("x".into());
        assert_eq!(text.over(&farther), text);
        assert_eq!(farther.over(&text), farther);
    }
}
