//! Where something stands in a configuration, written as a user would: `flows.auto.steps[0].retry.max_retries`.

use std::fmt;

/// A key's path. Names that are not bare TOML keys are quoted, so that two different keys never read alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(String);

impl Place {
    /// The whole configuration.
    pub const fn root() -> Self {
        Place(String::new())
    }

    /// From bare keys joined by dots, such as `request.timeout`.
    pub fn of(keys: &str) -> Self {
        Place(keys.to_owned())
    }

    /// A key below this place.
    #[must_use]
    pub fn key(&self, name: &str) -> Self {
        let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let dot = if self.0.is_empty() { "" } else { "." };
        if bare { Place(format!("{}{dot}{name}", self.0)) } else { Place(format!("{}{dot}{name:?}", self.0)) }
    }

    /// An element of the list at this place, from 0.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Place(format!("{}[{index}]", self.0))
    }

    /// A place below this one, given relative to it.
    #[must_use]
    pub fn join(&self, below: &Place) -> Self {
        match (self.0.is_empty(), below.0.is_empty()) {
            (true, _) => below.clone(),
            (_, true) => self.clone(),
            (false, false) => Place(format!("{}.{}", self.0, below.0)),
        }
    }

    /// Of a place below an entry of a list: which entry, and the place below that.
    pub(crate) fn below(&self, list: &Place) -> Option<(usize, Place)> {
        let (index, rest) = self.0.strip_prefix(&list.0)?.strip_prefix('[')?.split_once(']')?;
        Some((index.parse().ok()?, Place(rest.trim_start_matches('.').to_owned())))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which key, or the table that lacks one.
    pub place: Place,
    /// What was given; `None` where it is missing or must not be shown.
    pub value: Option<String>,
    /// What is wrong, continuing the sentence "this key ...".
    pub problem: String,
    /// What is allowed; empty where the problem says it all.
    pub allowed: String,
}

impl Fault {
    /// Of a value.
    pub fn of(place: Place, value: &str, problem: &str, allowed: &str) -> Self {
        let (problem, allowed) = (problem.to_owned(), allowed.to_owned());
        Fault { place, value: Some(value.to_owned()), problem, allowed }
    }

    /// Of a key that is missing, or whose value must not be shown.
    pub fn unseen(place: Place, problem: &str, allowed: &str) -> Self {
        Fault { place, value: None, problem: problem.to_owned(), allowed: allowed.to_owned() }
    }

    /// The same fault, with what stood at the table `from` at the table `to`.
    #[must_use]
    pub(crate) fn moved(mut self, from: &str, to: &str) -> Self {
        if let Some(rest) = self.place.0.strip_prefix(from) {
            self.place = Place(format!("{to}{rest}"));
        }
        self
    }

    /// The same fault below another place.
    #[must_use]
    pub fn under(mut self, place: &Place) -> Self {
        self.place = place.join(&self.place);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.place.as_str())?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, ": {}", self.problem)?;
        if self.allowed.is_empty() { Ok(()) } else { write!(f, " (allowed: {})", self.allowed) }
    }
}

/// Something that works, but hardly as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which key or table.
    pub place: Place,
    /// What will happen.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_as_keys_do() {
        let step = Place::root().key("flows").key("a.b").key("steps").index(2);
        assert_eq!(step.join(&Place::of("request.url")).as_str(), "flows.\"a.b\".steps[2].request.url");
        assert_eq!(Place::root().join(&step), step);
        assert_eq!(step.join(&Place::root()), step);
    }
}
