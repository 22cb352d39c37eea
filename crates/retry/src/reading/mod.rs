//! How a step reads answers: rules first, then the built-in table by status, then the body by the response table.
//!
//! Pure and bounded: bytes, depth, nodes and time, whatever an answer holds. Nothing an answer says makes it panic, and
//! nothing that is not an answer (a page of an outage, say) becomes a rejection where a path says what an answer is.

mod body;
mod build;
mod charset;
mod details;
mod json;
mod json_path;
mod media;
mod page;
mod path;
mod rule;
mod settings;
mod table;
mod term;
mod weight;
mod xml;
mod xpath;

pub use build::{MATCHES_MAX, RULE_DELAY, RULE_TEXT_BYTES_MAX, RULES_MAX};
pub use settings::{Compat, MatchSettings, Misfit, OutcomeWord, PathSettings, ResponseSettings, RuleSettings};

use crate::classify::classify_status;
use crate::evidence::{Answer, Evidence, Fault};
use crate::outcome::{Outcome, Verdict};
use body::Body;
use media::Media;
use rule::Rule;
use std::sync::Arc;
use table::Table;

/// Longer bodies may take long.
const QUICK_BYTES_MAX: usize = 16 * 1_024;
/// The same for XML and pages: two kilobytes of them, made for it, keep a path or a parser busy for tens of milliseconds.
const QUICK_MARKUP_BYTES_MAX: usize = 512;
/// Of the work that patterns may make, the part that is quick.
const QUICK_SHARE: usize = 64;

/// How a step reads answers. Without a table or rules of its own, by the built-in table alone.
#[derive(Clone, Debug, Default)]
pub struct Reading(Option<Arc<Checked>>);

#[derive(Debug)]
struct Checked {
    table: Table,
    rules: Vec<Rule>,
    /// Longer texts are not searched: it could take too long.
    searched_bytes_max: usize,
}

impl Reading {
    fn of(table: Table, rules: Vec<Rule>, searched_bytes_max: usize) -> Self {
        Reading(Some(Arc::new(Checked { table, rules, searched_bytes_max })))
    }

    /// Whether reading this may take longer than others should wait for it: a long body, one of XML or HTML that is not short, or
    /// one that heavy patterns are searched in. Everything else takes microseconds, and a few milliseconds at worst.
    pub fn may_take_long(&self, evidence: &Evidence) -> bool {
        let (Some(checked), Some(answer)) = (&self.0, &evidence.answer) else { return false };
        let most = if checked.may_be_markup(answer) { QUICK_MARKUP_BYTES_MAX } else { QUICK_BYTES_MAX };
        answer.body.len() > most.min(checked.searched_bytes_max / QUICK_SHARE)
    }

    /// What an attempt meant.
    pub fn read(&self, evidence: &Evidence) -> Verdict {
        let built_in = classify_status(evidence);
        let Some(checked) = &self.0 else { return built_in };
        match (&evidence.fault, &evidence.answer) {
            (Some(fault), answer) => checked.read_fault(fault, answer.as_ref(), built_in),
            (None, Some(answer)) => checked.read_answer(answer, built_in),
            (None, None) => built_in,
        }
    }
}

impl Checked {
    /// Whether it may come to be read as XML or as a page; told from its bytes as they came.
    fn may_be_markup(&self, answer: &Answer) -> bool {
        let is_markup = |media: Media| matches!(media, Media::Xml | Media::Html);
        if let Some(media) = self.table.media {
            return is_markup(media);
        }
        match answer.body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            None | Some(b'{' | b'[') => false,
            Some(byte) if byte.is_ascii_graphic() && *byte != b'<' => {
                answer.header("content-type").and_then(Media::of_content_type).is_some_and(is_markup)
            }
            // Or in a charset that was not looked at yet.
            Some(_) => true,
        }
    }

    fn read_fault(&self, fault: &Fault, answer: Option<&Answer>, built_in: Verdict) -> Verdict {
        match self.rules.iter().find(|rule| rule.decides_fault(fault.kind, answer)) {
            Some(rule) => by_rule(rule, built_in),
            None => built_in,
        }
    }

    fn read_answer(&self, answer: &Answer, built_in: Verdict) -> Verdict {
        let content_type = answer.header("content-type");
        let text = charset::decode(&answer.body, content_type);
        let body = Body::new(&text, self.table.media, content_type, self.searched_bytes_max);
        let rule = self.rules.iter().find(|rule| rule.decides_answer(answer, &body, built_in.outcome));
        let mut verdict = match rule {
            Some(rule) => by_rule(rule, built_in),
            None => self.by_table(answer.status, &body, built_in),
        };
        let fixed = rule.is_some_and(|rule| rule.reason.is_some());
        self.add_details(&body, fixed, &mut verdict);
        verdict
    }

    fn by_table(&self, status: u16, body: &Body<'_>, built_in: Verdict) -> Verdict {
        let Some(said) = self.table.decide(status, body) else { return built_in };
        let reason = said.trouble.map(Into::into);
        Verdict { outcome: said.outcome, reason, decided_by: said.decided_by.into(), ..built_in }
    }

    /// Reason, price and reference, whatever the outcome. A rule's own reason stands.
    fn add_details(&self, body: &Body<'_>, reason_fixed: bool, verdict: &mut Verdict) {
        let table = &self.table;
        if !reason_fixed {
            let default = || table.default_reason.clone().filter(|_| matches!(verdict.outcome, Outcome::Failure(_)));
            let found = details::reason(body, table.reason_path.as_ref()).or_else(default);
            verdict.reason = found.or_else(|| verdict.reason.take());
        }
        let fallback = || table.fallback_price.clone().filter(|_| verdict.outcome == Outcome::Success);
        verdict.price = details::price(body, table.price_path.as_ref()).or_else(fallback);
        verdict.reference = details::reference(body, table.reference_path.as_ref());
    }
}

fn by_rule(rule: &Rule, built_in: Verdict) -> Verdict {
    let outcome = rule.meaning.outcome(built_in.outcome);
    // Why it is an error by the built-in table says nothing about a success or a no.
    let kept = built_in.reason.filter(|_| matches!(outcome, Outcome::Error(_)));
    let reason = rule.reason.clone().or(kept);
    let (retryable, delay) = (rule.retryable, rule.delay);
    Verdict { outcome, reason, retryable, delay, decided_by: rule.name.clone(), ..built_in }
}
