//! Reading conditions. Whether an expression is one, and may stand where it does, is found by the flow crate.

use super::condition_keys::ADJUST;
use super::trade_sections::{priority, retry};
use super::tree::{Found, Section};
use steadfast_flow::{AdjustSettings, TermsSettings};

/// `adjust` of one level.
pub(crate) fn adjust(owner: &Section<'_>) -> Vec<AdjustSettings> {
    let list = owner.get("adjust").map(|found| found.list()).unwrap_or_default();
    list.iter().map(|found| entry(&found.section(&ADJUST))).collect()
}

fn entry(entry: &Section<'_>) -> AdjustSettings {
    // One that cannot be read is told; what stands in for it is never asked.
    let when = entry.required("when").and_then(|found| Found::text(&found)).unwrap_or_else(|| "false".to_owned());
    AdjustSettings { when: when.into(), retry: retry(entry), priority: priority(entry) }
}

/// What a step says.
pub(crate) fn terms(step: &Section<'_>) -> TermsSettings {
    TermsSettings { when: step.text("when").map(Into::into), adjust: adjust(step) }
}
