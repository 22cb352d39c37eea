//! Reading the sources of a flow.

use super::cap_section::caps;
use super::literals;
use super::retry_keys::RETRY;
use super::retry_section::{layer, table_name};
use super::source_keys::{CALLBACK, DEDUPE, SOURCE};
use super::tree::{Found, Section};
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_flow::{
    Address, CallbackSettings, CallbackWhen, RequestWindow, SOURCE_WAIT_DEFAULT, SaidOutcome, SourceAnswer,
    SourceSettings,
};
use steadfast_lead::SourceName;

const WINDOW_DEFAULT: Duration = Duration::from_secs(60);

/// `[flows.NAME.sources.SOURCE]`.
pub(crate) fn sources(entries: Vec<(String, Found<'_>)>) -> BTreeMap<SourceName, SourceSettings> {
    let one = |(text, found): (String, Found<'_>)| {
        let settings = source(&found.section(&SOURCE));
        Some((table_name(&text, &found, SourceName::new)?, settings))
    };
    entries.into_iter().filter_map(one).collect()
}

fn source(source: &Section<'_>) -> SourceSettings {
    let (answers, words) = (SourceAnswer::ALL.map(SourceAnswer::name), SaidOutcome::ALL.map(SaidOutcome::name));
    let answer = source.get("answer").and_then(|found| found.word(SourceAnswer::from_name, &answers));
    let unknown = source.get("when_unknown").and_then(|found| found.word(SaidOutcome::from_name, &words));
    SourceSettings {
        answer: answer.unwrap_or_default(),
        wait: source.duration("wait").unwrap_or(SOURCE_WAIT_DEFAULT),
        when_unknown: unknown.unwrap_or_default(),
        unknown_reason: source.text("unknown_reason").map(Into::into),
        price: source.text("price").map(Into::into),
        bid: source.text("bid").map(Into::into),
        keys: source.get("key_hash").map(|found| keys(&found)).unwrap_or_default(),
        open: source.boolean("open").unwrap_or(false),
        key_field: source.text("key_field").map(Into::into),
        test: source.boolean("test").unwrap_or(false),
        dedupe: source.get("dedupe").map(|found| dedupe(&found.section(&DEDUPE))),
        caps: caps(source),
        callback: source.get("callback").and_then(|found| callback(&found.section(&CALLBACK))),
    }
}

fn callback(section: &Section<'_>) -> Option<CallbackSettings> {
    let url = section.required("url").and_then(|found| found.address(Address::parse));
    let secret = section.required("secret").and_then(|found| found.secret());
    let words = CallbackWhen::ALL.map(CallbackWhen::name);
    let when = section.get("when").and_then(|found| found.word(CallbackWhen::from_name, &words));
    let (timeout, retry) = (section.duration("timeout"), layer(&section.section("retry", &RETRY)));
    Some(CallbackSettings { url: url?, secret: secret?, when: when.unwrap_or_default(), timeout, retry })
}

fn keys(found: &Found<'_>) -> Vec<[u8; 32]> {
    if found.is_text() {
        return hash(found).into_iter().collect();
    }
    if found.is_empty_list() {
        found.wrong("is empty: leave it out where the source has no key of its own");
    }
    found.list().iter().filter_map(hash).collect()
}

fn hash(found: &Found<'_>) -> Option<[u8; 32]> {
    // A key pasted in place of its hash must not be shown.
    let hash = literals::sha256(found.secret()?.reveal());
    if hash.is_none() {
        found.wrong_unseen("is not the hash of a key; steadfast key new makes a key and its hash");
    }
    hash
}

fn dedupe(section: &Section<'_>) -> RequestWindow {
    let fields = section.get("fields");
    if let Some(found) = fields.as_ref().filter(|found| found.is_empty_list()) {
        found.wrong("is empty: leave it out to compare all fields");
    }
    let list = fields.map(|found| found.list()).unwrap_or_default();
    RequestWindow {
        fields: list.iter().filter_map(Found::text).map(Into::into).collect(),
        window: section.duration("window").unwrap_or(WINDOW_DEFAULT),
    }
}
