//! The response table at work: which answers are decided by their body, and what the body says.

use super::body::{Body, Selected};
use super::media::Media;
use super::path::Path;
use super::settings::OutcomeWord;
use super::term::Term;
use crate::outcome::{ErrorKind, FailureKind, Outcome};
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// A response table as it was checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) media: Option<Media>,
    pub(crate) path: Option<Path>,
    pub(crate) term: Option<Term>,
    /// `None` where nothing is said, which means success.
    pub(crate) on_match: Option<OutcomeWord>,
    pub(crate) failure: Option<Term>,
    pub(crate) duplicate: Option<Term>,
    pub(crate) on_unrecognized: Option<OutcomeWord>,
    pub(crate) reason_path: Option<Path>,
    pub(crate) default_reason: Option<Box<str>>,
    pub(crate) price_path: Option<Path>,
    pub(crate) fallback_price: Option<Box<str>>,
    pub(crate) reference_path: Option<Path>,
    pub(crate) leadconduit: bool,
}

/// What a body says, and what decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) outcome: Outcome,
    pub(crate) decided_by: Cow<'static, str>,
    /// Why nothing is recognized, for people.
    pub(crate) trouble: Option<Cow<'static, str>>,
}

impl Table {
    /// What an answer means by its body; `None` where the built-in table has the word.
    pub(crate) fn decide(&self, status: u16, body: &Body<'_>) -> Option<Said> {
        let is_2xx = (200..=299).contains(&status);
        if self.term.is_none() && self.failure.is_none() && self.duplicate.is_none() {
            let word = self.on_match.filter(|_| is_2xx)?;
            return Some(said(self.outcome_of(word, &[]), "outcome_on_match"));
        }
        if body.is_unread() {
            let trouble = "the body is too long to be searched with these patterns";
            let by_body = is_2xx || matches!(status, 400 | 409 | 422) || (self.leadconduit && status < 500);
            return by_body.then(|| self.unrecognized("body too long", trouble.into()));
        }
        if self.leadconduit {
            return (status < 500).then(|| self.as_leadconduit(body));
        }
        let by_body = is_2xx || (matches!(status, 400 | 409 | 422) && body.is_structured());
        if by_body { self.by_body(is_2xx, body) } else { None }
    }

    fn by_body(&self, is_2xx: bool, body: &Body<'_>) -> Option<Said> {
        let Some(path) = &self.path else {
            let texts = [Cow::Borrowed(body.text())];
            return self.by_terms(&texts).or_else(|| self.not_found(is_2xx, &texts));
        };
        let texts = match body.select(path) {
            Selected::Texts(texts) => texts,
            Selected::Whole => vec![Cow::Borrowed(body.text())],
            Selected::Nothing => {
                return Some(self.unrecognized(
                    "outcome_search_path selects nothing",
                    "outcome_search_path selects nothing in the answer".into(),
                ));
            }
            Selected::Unreadable => {
                let trouble = format!("the body cannot be read as {} with outcome_search_path", body.media().name());
                return Some(self.unrecognized("body unreadable", trouble.into()));
            }
        };
        let found = self.by_terms(&texts).or_else(|| self.not_found(is_2xx, &texts))?;
        if body.is_doubtful(path) && matches!(found.outcome, Outcome::Failure(_)) {
            let trouble = "the answer is a page, and outcome_search_path may be meant for JSON; content_type = \"text/html\" says otherwise";
            return Some(self.unrecognized("page in place of an answer", trouble.into()));
        }
        Some(found)
    }

    /// The first term that some text holds: duplicate, failure, outcome.
    fn by_terms(&self, texts: &[Cow<'_, str>]) -> Option<Said> {
        let found = |term: &Option<Term>| term.as_ref().is_some_and(|term| texts.iter().any(|text| term.is_in(text)));
        if found(&self.duplicate) {
            return Some(said(Outcome::Failure(FailureKind::Duplicate), "duplicate_search_term"));
        }
        if found(&self.failure) {
            return Some(said(self.outcome_of(OutcomeWord::Failure, texts), "failure_search_term"));
        }
        let word = self.on_match.unwrap_or(OutcomeWord::Success);
        found(&self.term).then(|| said(self.outcome_of(word, texts), "outcome_search_term"))
    }

    /// A duplicate term alone says nothing about the other answers: they are read as if there were none.
    fn not_found(&self, is_2xx: bool, texts: &[Cow<'_, str>]) -> Option<Said> {
        if self.failure.is_some() {
            return Some(self.unrecognized("no term found", "the answer holds none of the configured terms".into()));
        }
        if self.term.is_none() {
            let word = self.on_match.filter(|_| is_2xx)?;
            return Some(said(self.outcome_of(word, texts), "outcome_on_match"));
        }
        let word = self.on_match.unwrap_or(OutcomeWord::Success).inverse();
        Some(said(self.outcome_of(word, texts), "outcome_search_term not found"))
    }

    /// What is not found is not found, whatever the reason, and always decides.
    fn as_leadconduit(&self, body: &Body<'_>) -> Said {
        let texts = match self.path.as_ref().map(|path| body.select(path)) {
            Some(Selected::Texts(texts)) => texts,
            Some(Selected::Nothing) => Vec::new(),
            None | Some(Selected::Whole | Selected::Unreadable) => vec![Cow::Borrowed(body.text())],
        };
        self.by_terms(&texts).unwrap_or_else(|| {
            let word = self.on_match.unwrap_or(OutcomeWord::Success);
            let word = if self.term.is_some() { word.inverse() } else { word };
            said(self.outcome_of(word, &texts), "outcome_search_term not found")
        })
    }

    fn unrecognized(&self, decided_by: &'static str, trouble: Cow<'static, str>) -> Said {
        let outcome = match self.on_unrecognized.unwrap_or(OutcomeWord::Error) {
            OutcomeWord::Error => Outcome::Error(ErrorKind::Unrecognized),
            OutcomeWord::Success => Outcome::Success,
            OutcomeWord::Failure => Outcome::Failure(FailureKind::Rejected),
        };
        let trouble = matches!(outcome, Outcome::Error(_)).then_some(trouble);
        Said { outcome, decided_by: decided_by.into(), trouble }
    }

    /// An error a body speaks of is the recipient's own trouble; a no for want of room is a cap.
    fn outcome_of(&self, word: OutcomeWord, texts: &[Cow<'_, str>]) -> Outcome {
        match word {
            OutcomeWord::Success => Outcome::Success,
            OutcomeWord::Error => Outcome::Error(ErrorKind::ServerError),
            OutcomeWord::Failure if texts.iter().any(|text| CAP.is_match(text)) => {
                Outcome::Failure(FailureKind::Capped)
            }
            OutcomeWord::Failure => Outcome::Failure(FailureKind::Rejected),
        }
    }
}

fn said(outcome: Outcome, decided_by: &'static str) -> Said {
    Said { outcome, decided_by: decided_by.into(), trouble: None }
}

/// The ways buyers say that they have had enough. Never decides that it is a no, only which.
#[allow(clippy::expect_used, reason = "a constant pattern, compiled by every test")]
static CAP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(quota|cap|daily limit|weekly limit|monthly limit|lead limit|volume limit)\s+(is |was |has been |already )*(exceeded|reached|met|full|filled|hit)\b|\bover\s*-?(daily |monthly )?cap\b|\bcapped\b",
    )
    .expect("a constant pattern")
});
