//! Reading a step's fallbacks, and what follows the end of a leg.

use super::auth_section::auth;
use super::balance_section::{balance, endpoints};
use super::request_section::request;
use super::response_section::{response, rules};
use super::retry_section::{conditions, name};
use super::route_keys::FALLBACK;
use super::trade_sections::{in_doubt, retry};
use super::tree::Section;
use steadfast_flow::{FALLBACKS_MAX, FollowUpSettings, LegSettings};
use steadfast_lead::RecipientName;
use steadfast_retry::FollowUp;

/// The fallbacks of a step; those beyond the bound are only counted.
pub(crate) fn fallbacks(step: &Section<'_>) -> Vec<LegSettings> {
    let Some(found) = step.get("fallbacks") else { return Vec::new() };
    let list = found.list();
    if list.is_empty() && found.is_list() {
        found.wrong_unseen("is empty: leave the key out where there is no fallback");
    }
    list.iter().take(FALLBACKS_MAX + 1).map(|found| leg(&found.section(&FALLBACK))).collect()
}

fn leg(leg: &Section<'_>) -> LegSettings {
    LegSettings {
        recipient: leg.get("recipient").and_then(|found| name(&found, RecipientName::new)),
        retry: retry(leg),
        in_doubt: in_doubt(leg),
        request: request(leg),
        auth: auth(leg),
        response: response(leg),
        rules: rules(leg),
        follow_ups: follow_ups(leg),
        candidates: endpoints(leg),
        balance: balance(leg),
    }
}

/// What stands on a step or a fallback about the ends of a leg.
pub(crate) fn follow_ups(owner: &Section<'_>) -> FollowUpSettings {
    FollowUpSettings {
        on_exhausted: follow_up(owner, "on_exhausted"),
        on_final_error: follow_up(owner, "on_final_error"),
        final_errors: owner.get("final_errors").map(|found| conditions(&found)),
        on_unrecognized: follow_up(owner, "on_unrecognized"),
        on_held_too_long: follow_up(owner, "on_held_too_long"),
    }
}

fn follow_up(owner: &Section<'_>, key: &'static str) -> Option<FollowUp> {
    let words: Vec<&str> = FollowUp::ALL.iter().map(|word| word.name()).collect();
    owner.get(key).and_then(|found| found.word(FollowUp::from_name, &words))
}
