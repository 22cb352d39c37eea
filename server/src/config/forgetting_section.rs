//! Reading `[erasure]` and `duplicates`.

use super::forgetting_keys::{DUPLICATES, ERASURE};
use super::tree::{Found, Section};
use std::time::Duration;
use steadfast_flow::{DuplicateAction, DuplicateOn, DuplicateSettings, ErasureRules, OnReturn};

/// How far back a guard looks unless said otherwise.
const WINDOW_DEFAULT: Duration = Duration::from_secs(30 * 86_400);

/// `[erasure]`.
pub(crate) fn erasure(root: &Section<'_>) -> ErasureRules {
    let section = root.section("erasure", &ERASURE);
    let words = OnReturn::ALL.map(OnReturn::name);
    let rules = ErasureRules::default();
    ErasureRules {
        refuse_for: section.duration("refuse_for").unwrap_or(rules.refuse_for),
        on_return: section
            .get("on_return")
            .and_then(|found| found.word(OnReturn::from_name, &words))
            .unwrap_or(rules.on_return),
    }
}

/// `duplicates` of a recipient or a step.
pub(crate) fn duplicates(owner: &Section<'_>) -> Option<DuplicateSettings> {
    let section = owner.get("duplicates")?.section(&DUPLICATES);
    let fields = section.required("fields").map(|found| found.list()).unwrap_or_default();
    let on = DuplicateOn::ALL.map(DuplicateOn::name);
    let action = DuplicateAction::ALL.map(DuplicateAction::name);
    Some(DuplicateSettings {
        fields: fields.iter().filter_map(Found::text).map(Into::into).collect(),
        window: section.duration("window").unwrap_or(WINDOW_DEFAULT),
        on: section.get("on").and_then(|found| found.word(DuplicateOn::from_name, &on)).unwrap_or_default(),
        action: section
            .get("action")
            .and_then(|found| found.word(DuplicateAction::from_name, &action))
            .unwrap_or_default(),
    })
}
