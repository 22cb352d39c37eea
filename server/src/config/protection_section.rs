//! Reading how a recipient is protected. Ranges and contradictions are found by the flow crate.

use super::protection_keys::{BREAKER, CONCURRENCY};
use super::tree::{Found, Section};
use steadfast_flow::{BreakerKeys, OnOpen, ProtectionSettings};
use steadfast_retry::breaker::BreakerMode;
use steadfast_retry::pace::{ConcurrencyLimit, Rate};

/// What stands on a recipient, and in its limits.
pub(crate) fn protection(recipient: &Section<'_>, limits: &Section<'_>) -> ProtectionSettings {
    ProtectionSettings {
        concurrency: concurrency(recipient),
        rate_limit: rate(recipient, "rate_limit"),
        retry_budget: recipient.boolean("retry_budget"),
        breaker: breaker(&recipient.section("breaker", &BREAKER)),
        max_rate: rate(limits, "max_rate"),
        max_concurrency: limits.count("max_concurrency"),
    }
}

/// A number that stays, or a table with the most of one that finds itself.
fn concurrency(recipient: &Section<'_>) -> Option<ConcurrencyLimit> {
    let found = recipient.get("concurrency")?;
    if !found.is_table() {
        return recipient.count("concurrency").map(ConcurrencyLimit::Fixed);
    }
    let table = found.section(&CONCURRENCY);
    table.required("adaptive")?;
    table.count("adaptive").map(|most| ConcurrencyLimit::Adaptive { most })
}

fn rate(section: &Section<'_>, key: &'static str) -> Option<Rate> {
    let read = |found: &Found<'_>| found.parsed(|text| Rate::parse(text).map_err(|_| "is not a rate"));
    section.get(key).and_then(|found| read(&found))
}

fn breaker(breaker: &Section<'_>) -> BreakerKeys {
    let modes: Vec<&str> = BreakerMode::ALL.iter().map(|mode| mode.name()).collect();
    let fates = OnOpen::ALL.map(OnOpen::name);
    BreakerKeys {
        mode: breaker.get("mode").and_then(|found| found.word(BreakerMode::from_name, &modes)),
        slow_call: breaker.duration("slow_call"),
        probe_lease: breaker.duration("probe_lease"),
        open_for: breaker.duration("open_for"),
        longest_open: breaker.duration("longest_open"),
        ramp: breaker.duration("ramp"),
        on_open: breaker.get("on_open").and_then(|found| found.word(OnOpen::from_name, &fates)),
        longest_hold: breaker.duration("longest_hold"),
    }
}
