//! Reading `retry` at every level, and the named policies.
//!
//! Ranges are not checked here: whether a value is in range depends on `extended`, which may come from another level.

use super::retry_keys::POLICY_TABLE;
use super::tree::{Found, Section};
use std::collections::BTreeMap;
use steadfast_lead::PolicyName;
use steadfast_retry::policy::{Backoff, Condition, Conditions, CustomPolicy, Jitter, JitterShare, Layer, Policies};

/// What one level says about retrying.
pub(crate) fn layer(retry: &Section<'_>) -> Layer {
    let policy = retry.get("policy").and_then(|found| name(&found, PolicyName::new));
    Layer { policy, ..own_keys(retry) }
}

/// The named policies.
pub(crate) fn policies(entries: Vec<(String, Found<'_>)>) -> Policies {
    let mut policies = BTreeMap::new();
    for (text, found) in entries {
        let section = found.section(&POLICY_TABLE);
        let extends = section.get("extends").and_then(|found| name(&found, PolicyName::new));
        let custom = CustomPolicy { extends, layer: own_keys(&section) };
        if let Some(name) = table_name(&text, &found, PolicyName::new) {
            policies.insert(name, custom);
        }
    }
    Policies::new(policies)
}

fn own_keys(section: &Section<'_>) -> Layer {
    Layer {
        policy: None,
        enabled: section.boolean("enabled"),
        backoff: section.get("backoff").and_then(|found| found.word(Backoff::from_name, &["exponential", "fixed"])),
        max_retries: section.count("max_retries"),
        initial_delay: section.duration("initial_delay"),
        multiplier_thousandths: section.get("multiplier").and_then(|found| found.thousandths()),
        max_interval: section.duration("max_interval"),
        total_timeout: section.duration("total_timeout"),
        jitter: section.get("jitter").and_then(|found| jitter(&found)),
        retry_on: section.get("retry_on").map(|found| conditions(&found)),
        never_retry_on: section.get("never_retry_on").map(|found| conditions(&found)),
        max_lead_age: section.duration("max_lead_age"),
        count_holds: section.boolean("count_holds"),
        extended: section.boolean("extended"),
    }
}

fn jitter(found: &Found<'_>) -> Option<Jitter> {
    if found.is_text() {
        let word = |text: &str| match text {
            "none" => Some(Jitter::None),
            "equal" => Some(Jitter::Equal),
            "full" => Some(Jitter::Full),
            "decorrelated" => Some(Jitter::Decorrelated),
            _ => None,
        };
        return found.word(word, &["none", "equal", "full", "decorrelated"]);
    }
    let share = JitterShare::new(found.thousandths()?);
    share.map(Jitter::Later).map_err(|_| found.wrong("is out of range")).ok()
}

/// Conditions may be written as texts, and codes as numbers too.
pub(crate) fn conditions(found: &Found<'_>) -> Conditions {
    /// Kinds, classes and a hundred codes.
    const CONDITIONS_MAX: usize = 200;
    let values = found.list();
    if values.len() > CONDITIONS_MAX {
        found.wrong_unseen("has more than 200 conditions");
    }
    Conditions::new(values.iter().take(CONDITIONS_MAX).filter_map(condition).collect())
}

fn condition(found: &Found<'_>) -> Option<Condition> {
    const UNKNOWN: &str = "is not a retry condition";
    if found.is_whole() {
        let code = found.whole()?.to_string();
        return Condition::parse(&code).map_err(|_| found.wrong(UNKNOWN)).ok();
    }
    let kinds = steadfast_retry::ErrorKind::ALL.iter().map(|kind| kind.name());
    let words: Vec<&str> = kinds.chain(["timeout", "dns", "connect", "5xx", "4xx"]).collect();
    found.word(|text| Condition::parse(text).ok(), &words)
}

/// A name written as a value.
pub(crate) fn name<T, E: ToString>(found: &Found<'_>, new: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
    found.parsed(|text| new(text).map_err(|_| "is not a name (1 to 64 letters, digits, - _ .)"))
}

/// A name written as a key.
pub(crate) fn table_name<T, E: ToString>(
    text: &str,
    found: &Found<'_>,
    new: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    new(text).map_err(|error| found.wrong_name(&error.to_string())).ok()
}
