//! From settings to what reads answers: everything checked, every misfit found at once.

use super::media::Media;
use super::path::{Path, Purpose};
use super::rule::{Match, Meaning, Rule};
use super::settings::{Compat, MatchSettings, Misfit, OutcomeWord, PathSettings, ResponseSettings, RuleSettings};
use super::table::Table;
use super::term::{BadTerm, Term};
use super::weight::searched_bytes_max;
use super::{Reading, details};
use crate::evidence::FaultKind;
use crate::outcome::{ErrorKind, FailureKind};
use crate::policy::{Condition, Conditions};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Rules of one step, its recipient's included.
pub const RULES_MAX: usize = 100;
/// Entries of one list in a rule.
pub const MATCHES_MAX: usize = 50;
/// How long a name or a fixed reason may be, in bytes.
pub const RULE_TEXT_BYTES_MAX: usize = 500;
/// How long a rule may make a retry wait.
pub const RULE_DELAY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);

impl Reading {
    /// Checks a response table and rules, and makes what reads answers by them.
    ///
    /// # Errors
    /// Every [`Misfit`], in the order of the keys; keys begin with `response` or `rules[n]`.
    pub fn build(settings: &ResponseSettings, rules: &[RuleSettings]) -> Result<Reading, Vec<Misfit>> {
        let mut check = Check::default();
        let table = check.table(settings);
        if rules.len() > RULES_MAX {
            check.wrong(
                "rules",
                Some(&format!("{} rules", rules.len())),
                "are too many",
                &format!("at most {RULES_MAX}"),
            );
        }
        let media = table.media;
        let rules = rules.iter().take(RULES_MAX).enumerate();
        let rules: Vec<Rule> = rules.filter_map(|(index, rule)| check.rule(index, rule, media)).collect();
        if !check.misfits.is_empty() {
            return Err(check.misfits);
        }
        let says_something = *settings != ResponseSettings::default() || !rules.is_empty();
        Ok(if says_something {
            Reading::of(table, rules, searched_bytes_max(check.weight))
        } else {
            Reading::default()
        })
    }
}

#[derive(Default)]
struct Check {
    misfits: Vec<Misfit>,
    /// Of all patterns that bodies are searched with.
    weight: usize,
}

impl Check {
    fn wrong(&mut self, key: &str, value: Option<&str>, problem: &str, allowed: &str) {
        let value = value.map(str::to_owned);
        self.misfits.push(Misfit { key: key.into(), value, problem: problem.into(), allowed: allowed.into() });
    }

    fn wrong_text(&mut self, key: &str, text: &str, problem: &str, allowed: &str) {
        self.wrong(key, Some(&format!("{text:?}")), problem, allowed);
    }

    fn table(&mut self, settings: &ResponseSettings) -> Table {
        let media = settings.content_type.as_deref().and_then(|text| {
            let media = Media::of_content_type(text);
            if media.is_none() {
                self.wrong_text("response.content_type", text, "is not a content type known here", Media::ALLOWED);
            }
            media
        });
        self.contradictions(settings);
        let leadconduit = settings.compat == Some(Compat::LeadConduit);
        let price = settings.fallback_price.as_deref().and_then(|text| self.price("response.fallback_price", text));
        Table {
            media,
            path: self.path("response.outcome_search_path", &settings.outcome_search_path, media, Purpose::Search),
            term: self.term("response.outcome_search_term", &settings.outcome_search_term),
            on_match: settings.outcome_on_match,
            failure: self.term("response.failure_search_term", &settings.failure_search_term),
            duplicate: self.term("response.duplicate_search_term", &settings.duplicate_search_term),
            on_unrecognized: settings.on_unrecognized,
            reason_path: self.path("response.reason_path", &settings.reason_path, media, Purpose::Extract),
            default_reason: self.short("response.default_reason", settings.default_reason.as_deref()),
            price_path: self.path("response.price_path", &settings.price_path, media, Purpose::Extract),
            fallback_price: price,
            reference_path: self.path("response.reference_path", &settings.reference_path, media, Purpose::Extract),
            leadconduit,
        }
    }

    fn contradictions(&mut self, settings: &ResponseSettings) {
        if settings.outcome_search_path.is_some() && !settings.has_term() {
            let allowed = "outcome_search_term, failure_search_term or duplicate_search_term beside it";
            self.wrong("response.outcome_search_path", None, "has no term to search there", allowed);
        }
        if settings.compat.is_some() && settings.on_unrecognized.is_some() {
            let problem = "says nothing with compat = \"leadconduit\": nothing is unrecognized there";
            self.wrong("response.on_unrecognized", None, problem, "one of the two");
        }
    }

    fn term(&mut self, key: &str, text: &Option<Box<str>>) -> Option<Term> {
        let text = text.as_deref()?;
        let term =
            Term::parse(text).map_err(|bad| self.wrong_text(key, text, &bad.to_string(), BadTerm::ALLOWED)).ok()?;
        self.weight = self.weight.saturating_add(term.weight);
        Some(term)
    }

    fn path(&mut self, key: &str, text: &Option<Box<str>>, media: Option<Media>, purpose: Purpose) -> Option<Path> {
        let text = text.as_deref()?;
        let path = Path::parse(text, media, purpose);
        path.map_err(|problem| self.wrong_text(key, text, &problem, Path::allowed(media, purpose))).ok()
    }

    fn price(&mut self, key: &str, text: &str) -> Option<Box<str>> {
        let price = details::plain_price(text);
        if price.is_none() {
            self.wrong_text(key, text, "is not a price", "digits with a point, such as 12.50");
        }
        price.map(|price| price.as_ref().into())
    }

    fn short(&mut self, key: &str, text: Option<&str>) -> Option<Box<str>> {
        let text = text?;
        if text.trim().is_empty() || text.len() > RULE_TEXT_BYTES_MAX {
            self.wrong_text(key, text, "is empty or too long", &format!("1 to {RULE_TEXT_BYTES_MAX} bytes"));
        }
        Some(text.trim().into())
    }

    fn rule(&mut self, index: usize, settings: &RuleSettings, media: Option<Media>) -> Option<Rule> {
        let place = format!("rules[{index}]");
        let name = self.short(&format!("{place}.name"), settings.name.as_deref());
        let matches = self.matches(&format!("{place}.match"), &settings.matches, media);
        let meaning = self.meaning(&place, settings);
        self.beside_errors(&place, settings, meaning);
        let reason = self.short(&format!("{place}.reason"), settings.reason.as_deref());
        let delay = settings.delay.filter(|delay| !RULE_DELAY.contains(delay));
        if let Some(delay) = delay {
            self.wrong(
                &format!("{place}.delay"),
                Some(&crate::policy::show_duration(delay)),
                "is out of range",
                "1s to 1d",
            );
        }
        let (retryable, delay) = (settings.retryable, settings.delay);
        Some(Rule { name: name.unwrap_or_else(|| place.into()), matches, meaning: meaning?, reason, retryable, delay })
    }

    fn meaning(&mut self, place: &str, settings: &RuleSettings) -> Option<Meaning> {
        let key = format!("{place}.kind");
        let kind = settings.kind.as_deref();
        let failure = kind.and_then(FailureKind::from_name);
        let error = kind.and_then(ErrorKind::from_name);
        if let Some(text) = kind.filter(|_| failure.is_none() && error.is_none()) {
            self.wrong_text(&key, text, "is not a kind", &kinds_allowed(settings.outcome));
            return None;
        }
        match (settings.outcome, failure, error) {
            (None, None, None) => {
                self.wrong(&format!("{place}.outcome"), None, "is missing", "success, failure, error; or a kind");
                None
            }
            (Some(OutcomeWord::Success), None, None) => Some(Meaning::Success),
            (Some(OutcomeWord::Failure), None, None) => Some(Meaning::Failure(FailureKind::Rejected)),
            (Some(OutcomeWord::Failure) | None, Some(kind), _) => Some(Meaning::Failure(kind)),
            (Some(OutcomeWord::Error) | None, None, kind) => Some(Meaning::Error(kind)),
            (Some(outcome), _, _) => {
                let problem = format!("is not a kind of {}", outcome.name());
                self.wrong_text(&key, kind.unwrap_or_default(), &problem, &kinds_allowed(Some(outcome)));
                None
            }
        }
    }

    /// What only means something for errors, and what a fault can never mean.
    fn beside_errors(&mut self, place: &str, settings: &RuleSettings, meaning: Option<Meaning>) {
        let Some(meaning @ (Meaning::Success | Meaning::Failure(_))) = meaning else { return };
        let word = if meaning == Meaning::Success { "success" } else { "failure" };
        if settings.retryable.is_some() {
            let problem = format!("says nothing for outcome = \"{word}\", which is never retried");
            self.wrong(&format!("{place}.retryable"), None, &problem, "beside outcome = \"error\" only");
        }
        if settings.delay.is_some() {
            let problem = format!("says nothing for outcome = \"{word}\", which is never retried");
            self.wrong(&format!("{place}.delay"), None, &problem, "beside outcome = \"error\" only");
        }
        for (index, kind) in settings.matches.kind.iter().enumerate() {
            if is_fault(kind) {
                let problem = format!("was never answered, so that it cannot be a {word}");
                self.wrong_text(&format!("{place}.match.kind[{index}]"), kind, &problem, "outcome = \"error\" for it");
            }
        }
    }

    fn matches(&mut self, place: &str, settings: &MatchSettings, media: Option<Media>) -> Match {
        if *settings == MatchSettings::default() {
            self.wrong(
                place,
                None,
                "is empty: the rule would decide every answer",
                "status, header, body, path or kind",
            );
        }
        for (name, count) in
            [("status", settings.status.len()), ("header", settings.header.len()), ("kind", settings.kind.len())]
        {
            if count > MATCHES_MAX {
                let (value, allowed) = (format!("{count} entries"), format!("at most {MATCHES_MAX}"));
                self.wrong(&format!("{place}.{name}"), Some(&value), "are too many", &allowed);
            }
        }
        let by_status = |condition: &Condition| matches!(condition, Condition::Code(_) | Condition::Class(_));
        let by_kind = |condition: &Condition| matches!(condition, Condition::Kind(_) | Condition::Group(..));
        let kinds = kinds_allowed(Some(OutcomeWord::Error)) + ", timeout, dns, connect";
        Match {
            status: self.conditions(
                &format!("{place}.status"),
                &settings.status,
                by_status,
                "100 to 599, or 1xx to 5xx",
            ),
            header: settings.header.iter().take(MATCHES_MAX).filter_map(|pair| self.header(place, pair)).collect(),
            body: self.term(&format!("{place}.body"), &settings.body),
            path: settings.path.as_ref().and_then(|path| self.path_match(&format!("{place}.path"), path, media)),
            kind: self.conditions(&format!("{place}.kind"), &settings.kind, by_kind, &kinds),
        }
    }

    fn conditions(
        &mut self,
        key: &str,
        texts: &[Box<str>],
        fits: impl Fn(&Condition) -> bool,
        allowed: &str,
    ) -> Option<Conditions> {
        let mut conditions = Vec::new();
        for (index, text) in texts.iter().take(MATCHES_MAX).enumerate() {
            match Condition::parse(text).ok().filter(&fits) {
                Some(condition) => conditions.push(condition),
                None => self.wrong_text(&format!("{key}[{index}]"), text, "is not known here", allowed),
            }
        }
        (!texts.is_empty()).then(|| Conditions::new(conditions))
    }

    fn header(&mut self, place: &str, (name, pattern): &(Box<str>, Box<str>)) -> Option<(Box<str>, Term)> {
        let key = format!("{place}.header.{name}");
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !is_name {
            self.wrong(
                &format!("{place}.header"),
                Some(&format!("{name:?}")),
                "is not a header's name",
                "such as X-Status",
            );
        }
        let bodies = self.weight;
        let term = self.term(&key, &Some(pattern.clone()));
        self.weight = bodies;
        let term = term?;
        Some((name.to_ascii_lowercase().into(), term))
    }

    fn path_match(&mut self, key: &str, settings: &PathSettings, media: Option<Media>) -> Option<(Path, Option<Term>)> {
        let path = self.path(&format!("{key}.path"), &Some(settings.path.clone()), media, Purpose::Search);
        let term = self.term(&format!("{key}.term"), &settings.term);
        Some((path?, term))
    }
}

/// Whether a kind is a fault after which there is no whole answer to speak of.
fn is_fault(kind: &str) -> bool {
    let one = |known: FaultKind| known.name() == kind && !matches!(known, FaultKind::ResponseTooLarge);
    // What the token endpoint did shares its word with statuses.
    let shared = kind == FaultKind::TokenRefused.name();
    !shared && (FaultKind::ALL.iter().copied().any(one) || matches!(kind, "timeout" | "dns" | "connect"))
}

fn kinds_allowed(outcome: Option<OutcomeWord>) -> String {
    let failures = || FailureKind::ALL.iter().map(|kind| kind.name());
    let errors = || ErrorKind::ALL.iter().map(|kind| kind.name());
    let names: Vec<&str> = match outcome {
        Some(OutcomeWord::Success) => return "none for a success".to_owned(),
        Some(OutcomeWord::Failure) => failures().collect(),
        Some(OutcomeWord::Error) => errors().collect(),
        None => failures().chain(errors()).collect(),
    };
    names.join(", ")
}
