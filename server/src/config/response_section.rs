//! Reading `response` and `rules`, as they stand on a recipient or a step, or in a file of their own.

use super::response_keys::{MATCH, PATH, RESPONSE, RULE};
use super::tree::{Found, Section};
use steadfast_retry::reading::{Compat, MatchSettings, OutcomeWord, PathSettings, ResponseSettings, RuleSettings};
use steadfast_retry::{ErrorKind, FailureKind};

/// What a place says about answers.
pub(crate) fn response(owner: &Section<'_>) -> ResponseSettings {
    response_table(&owner.section("response", &RESPONSE))
}

/// A response table.
pub(crate) fn response_table(table: &Section<'_>) -> ResponseSettings {
    let text = |name| table.text(name).map(Into::into);
    ResponseSettings {
        content_type: text("content_type"),
        outcome_search_path: text("outcome_search_path"),
        outcome_search_term: text("outcome_search_term"),
        outcome_on_match: outcome(table, "outcome_on_match"),
        failure_search_term: text("failure_search_term"),
        duplicate_search_term: text("duplicate_search_term"),
        on_unrecognized: outcome(table, "on_unrecognized"),
        reason_path: text("reason_path"),
        default_reason: text("default_reason"),
        price_path: text("price_path"),
        fallback_price: price(table),
        reference_path: text("reference_path"),
        compat: table.get("compat").and_then(|found| found.word(Compat::from_name, &[Compat::LeadConduit.name()])),
    }
}

/// The rules a place has, in order.
pub(crate) fn rules(owner: &Section<'_>) -> Vec<RuleSettings> {
    let list = owner.get("rules").map(|found| found.list()).unwrap_or_default();
    list.iter().map(|found| rule(&found.section(&RULE))).collect()
}

fn rule(rule: &Section<'_>) -> RuleSettings {
    let errors = ErrorKind::ALL.iter().map(|kind| kind.name());
    let kinds: Vec<&str> = FailureKind::ALL.iter().map(|kind| kind.name()).chain(errors).collect();
    rule.required("match");
    RuleSettings {
        name: rule.text("name").map(Into::into),
        matches: matches(&rule.section("match", &MATCH)),
        outcome: outcome(rule, "outcome"),
        kind: rule.get("kind").and_then(|found| one_of(&found, &kinds)),
        reason: rule.text("reason").map(Into::into),
        retryable: rule.boolean("retryable"),
        delay: rule.duration("delay"),
    }
}

fn matches(section: &Section<'_>) -> MatchSettings {
    let errors = ErrorKind::ALL.iter().map(|kind| kind.name());
    let kinds: Vec<&str> = errors.chain(["timeout", "dns", "connect"]).collect();
    let header = section.named("header").into_iter();
    MatchSettings {
        status: section.get("status").map(|found| each(&found, status)).unwrap_or_default(),
        header: header.filter_map(|(name, found)| Some((name.into(), found.text()?.into()))).collect(),
        body: section.text("body").map(Into::into),
        path: section.get("path").and_then(|found| path(&found.section(&PATH))),
        kind: section.get("kind").map(|found| each(&found, |one| one_of(one, &kinds))).unwrap_or_default(),
    }
}

fn path(section: &Section<'_>) -> Option<PathSettings> {
    let path = section.required("path").and_then(|found| found.text());
    let term = section.text("term").map(Into::into);
    Some(PathSettings { path: path?.into(), term })
}

fn status(found: &Found<'_>) -> Option<Box<str>> {
    if found.is_whole() {
        return found.whole().map(|code| code.to_string().into());
    }
    found.text().map(Into::into)
}

/// A price may be written as a number.
fn price(table: &Section<'_>) -> Option<Box<str>> {
    let found = table.get("fallback_price")?;
    if found.is_whole() {
        return found.whole().map(|price| price.to_string().into());
    }
    if found.is_decimals() {
        return found.decimals().map(|price| price.as_str().into());
    }
    found.text().map(Into::into)
}

/// A value alone or each of a list.
fn each(found: &Found<'_>, one: impl Fn(&Found<'_>) -> Option<Box<str>>) -> Vec<Box<str>> {
    if found.is_list() { found.list().iter().filter_map(one).collect() } else { one(found).into_iter().collect() }
}

/// A misspelt word is told with the nearest one, and kept: the rule is judged with it all the same.
fn one_of(found: &Found<'_>, words: &[&str]) -> Option<Box<str>> {
    let known = |text: &str| words.contains(&text).then(|| text.into());
    if found.is_text() {
        found.word(known, words).or_else(|| Some("unreadable".into()))
    } else {
        found.text().map(Into::into)
    }
}

fn outcome(section: &Section<'_>, name: &'static str) -> Option<OutcomeWord> {
    let words = OutcomeWord::ALL.map(OutcomeWord::name);
    section.get(name).and_then(|found| found.word(OutcomeWord::from_name, &words))
}
