//! What an operator wrote about reading answers: the response table and the rules, typed, not yet checked.

use std::time::Duration;

/// An outcome as it is written in a table or a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeWord {
    /// The recipient took the lead.
    Success,
    /// The recipient's business said no.
    Failure,
    /// It could not be processed or communicated.
    Error,
}

impl OutcomeWord {
    /// All of them.
    pub const ALL: [OutcomeWord; 3] = [OutcomeWord::Success, OutcomeWord::Failure, OutcomeWord::Error];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            OutcomeWord::Success => "success",
            OutcomeWord::Failure => "failure",
            OutcomeWord::Error => "error",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        OutcomeWord::ALL.into_iter().find(|known| known.name() == name)
    }

    /// What it means when its term is configured and not found.
    pub(crate) const fn inverse(self) -> Self {
        match self {
            OutcomeWord::Success => OutcomeWord::Failure,
            OutcomeWord::Failure | OutcomeWord::Error => OutcomeWord::Success,
        }
    }
}

/// Another product whose reading of answers is followed exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compat {
    /// LeadConduit: only 5xx is an error, and what is not found is never unrecognized.
    LeadConduit,
}

impl Compat {
    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            Compat::LeadConduit => "leadconduit",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        (name == Compat::LeadConduit.name()).then_some(Compat::LeadConduit)
    }
}

/// A `[response]` table. `None` leaves a key to the place farther out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseSettings {
    /// Read bodies as this, whatever they declare.
    pub content_type: Option<Box<str>>,
    /// Which part of a body is searched.
    pub outcome_search_path: Option<Box<str>>,
    /// What is searched there.
    pub outcome_search_term: Option<Box<str>>,
    /// What finding it means.
    pub outcome_on_match: Option<OutcomeWord>,
    /// What means the business said no.
    pub failure_search_term: Option<Box<str>>,
    /// What means the recipient has the lead already.
    pub duplicate_search_term: Option<Box<str>>,
    /// What an answer means that no term decides.
    pub on_unrecognized: Option<OutcomeWord>,
    /// Where the reason stands.
    pub reason_path: Option<Box<str>>,
    /// The reason where none stands there.
    pub default_reason: Option<Box<str>>,
    /// Where the price stands.
    pub price_path: Option<Box<str>>,
    /// The price of a success where none stands there.
    pub fallback_price: Option<Box<str>>,
    /// Where the recipient's own id of the lead stands.
    pub reference_path: Option<Box<str>>,
    /// Another product's reading.
    pub compat: Option<Compat>,
}

impl ResponseSettings {
    /// These settings laid over `farther`, key by key.
    #[must_use]
    pub fn over(&self, farther: &ResponseSettings) -> ResponseSettings {
        let text = |near: &Option<Box<str>>, far: &Option<Box<str>>| near.clone().or_else(|| far.clone());
        ResponseSettings {
            content_type: text(&self.content_type, &farther.content_type),
            outcome_search_path: text(&self.outcome_search_path, &farther.outcome_search_path),
            outcome_search_term: text(&self.outcome_search_term, &farther.outcome_search_term),
            outcome_on_match: self.outcome_on_match.or(farther.outcome_on_match),
            failure_search_term: text(&self.failure_search_term, &farther.failure_search_term),
            duplicate_search_term: text(&self.duplicate_search_term, &farther.duplicate_search_term),
            on_unrecognized: self.on_unrecognized.or(farther.on_unrecognized),
            reason_path: text(&self.reason_path, &farther.reason_path),
            default_reason: text(&self.default_reason, &farther.default_reason),
            price_path: text(&self.price_path, &farther.price_path),
            fallback_price: text(&self.fallback_price, &farther.fallback_price),
            reference_path: text(&self.reference_path, &farther.reference_path),
            compat: self.compat.or(farther.compat),
        }
    }

    /// Whether a body can decide: some term is configured.
    pub fn has_term(&self) -> bool {
        self.outcome_search_term.is_some() || self.failure_search_term.is_some() || self.duplicate_search_term.is_some()
    }
}

/// One of `[[rules]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSettings {
    /// What `decided_by` says; its place in the list where there is none.
    pub name: Option<Box<str>>,
    /// What an answer must be like.
    pub matches: MatchSettings,
    /// What it then means; may be left to `kind`.
    pub outcome: Option<OutcomeWord>,
    /// Of which kind.
    pub kind: Option<Box<str>>,
    /// Why, in place of the recipient's words.
    pub reason: Option<Box<str>>,
    /// Whether it is retried, whatever `retry_on` says.
    pub retryable: Option<bool>,
    /// How long a retry waits at least.
    pub delay: Option<Duration>,
}

/// What an answer must be like for a rule to decide: everything that is said here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchSettings {
    /// One of these codes (`503`) or classes (`5xx`).
    pub status: Vec<Box<str>>,
    /// Each of these headers holds its pattern.
    pub header: Vec<(Box<str>, Box<str>)>,
    /// The body holds this.
    pub body: Option<Box<str>>,
    /// A part of the body holds a term.
    pub path: Option<PathSettings>,
    /// The fault, or the kind the status has by the built-in table, is one of these.
    pub kind: Vec<Box<str>>,
}

/// A part of a body and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathSettings {
    /// Which part.
    pub path: Box<str>,
    /// What it holds; `None` where it only has to be there.
    pub term: Option<Box<str>>,
}

/// One thing wrong with a response table or a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Which key, from the step's own: `response.price_path`, `rules[0].match.status`.
    pub key: String,
    /// What was given; `None` where it is missing.
    pub value: Option<String>,
    /// What is wrong, continuing the sentence "this key ...".
    pub problem: String,
    /// What is allowed.
    pub allowed: String,
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, ": {} (allowed: {})", self.problem, self.allowed)
    }
}
