//! One rule: what an answer must be like, and what it then means.

use super::body::{Body, Selected};
use super::path::Path;
use super::term::Term;
use crate::evidence::{Answer, FaultKind};
use crate::outcome::{ErrorKind, FailureKind, Outcome};
use crate::policy::Conditions;
use std::time::Duration;

/// A rule as it was checked.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: Box<str>,
    pub(crate) matches: Match,
    pub(crate) meaning: Meaning,
    pub(crate) reason: Option<Box<str>>,
    pub(crate) retryable: Option<bool>,
    pub(crate) delay: Option<Duration>,
}

/// What an answer must be like: everything that is said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Match {
    pub(crate) status: Option<Conditions>,
    /// Names in lower case.
    pub(crate) header: Vec<(Box<str>, Term)>,
    pub(crate) body: Option<Term>,
    pub(crate) path: Option<(Path, Option<Term>)>,
    pub(crate) kind: Option<Conditions>,
}

/// What a rule says an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Success,
    Failure(FailureKind),
    /// An error of this kind; `None` keeps the kind the built-in table gives, where it gives one.
    Error(Option<ErrorKind>),
}

impl Meaning {
    /// The outcome, over what the built-in table says.
    pub(crate) fn outcome(self, table: Outcome) -> Outcome {
        match (self, table) {
            (Meaning::Success, _) => Outcome::Success,
            (Meaning::Failure(kind), _) => Outcome::Failure(kind),
            (Meaning::Error(Some(kind)), _) | (Meaning::Error(None), Outcome::Error(kind)) => Outcome::Error(kind),
            (Meaning::Error(None), Outcome::Success | Outcome::Failure(_)) => Outcome::Error(ErrorKind::Unrecognized),
        }
    }
}

impl Rule {
    /// Whether it decides a fault. Only a rule that names kinds does; and what was never answered is neither sold nor
    /// refused, so that only an answer that was too large may be.
    pub(crate) fn decides_fault(&self, fault: FaultKind, answer: Option<&Answer>) -> bool {
        let allowed = matches!(self.meaning, Meaning::Error(_)) || fault == FaultKind::ResponseTooLarge;
        let status = answer.map(|answer| answer.status);
        let of_kind = self.matches.kind.as_ref().is_some_and(|kinds| kinds.meets(fault.into(), status));
        let rest = &self.matches;
        let whole_answer = rest.body.is_some() || rest.path.is_some();
        allowed && of_kind && !whole_answer && self.fits_head(answer)
    }

    /// Whether it decides an answer that the built-in table reads as `table`.
    pub(crate) fn decides_answer(&self, answer: &Answer, body: &Body<'_>, table: Outcome) -> bool {
        let of_kind = self.matches.kind.as_ref().is_none_or(|kinds| match table {
            Outcome::Error(kind) => kinds.meets(kind, Some(answer.status)),
            Outcome::Success | Outcome::Failure(_) => false,
        });
        of_kind && self.fits_head(Some(answer)) && self.fits_body(body)
    }

    fn fits_head(&self, answer: Option<&Answer>) -> bool {
        let status = self.matches.status.as_ref();
        let Some(answer) = answer else { return status.is_none() && self.matches.header.is_empty() };
        // Codes and classes look at the status alone.
        let by_status = status.is_none_or(|codes| codes.meets(ErrorKind::Unrecognized, Some(answer.status)));
        let holds = |(name, term): &(Box<str>, Term)| {
            answer.headers.iter().any(|(known, value)| known.eq_ignore_ascii_case(name) && term.is_in(value))
        };
        by_status && self.matches.header.iter().all(holds)
    }

    fn fits_body(&self, body: &Body<'_>) -> bool {
        let by_text = self.matches.body.as_ref().is_none_or(|term| !body.is_unread() && term.is_in(body.text()));
        by_text && self.matches.path.as_ref().is_none_or(|(path, term)| holds_at(body, path, term.as_ref()))
    }
}

fn holds_at(body: &Body<'_>, path: &Path, term: Option<&Term>) -> bool {
    match body.select(path) {
        Selected::Texts(texts) => term.is_none_or(|term| texts.iter().any(|text| term.is_in(text))),
        Selected::Whole => term.is_some_and(|term| term.is_in(body.text())),
        Selected::Nothing | Selected::Unreadable => false,
    }
}
