//! Reading a leg's endpoints, and how it chooses between them.

use super::auth_section::auth;
use super::balance_keys::{BALANCE, ENDPOINT};
use super::request_section::request;
use super::response_section::{response, rules};
use super::retry_section::name;
use super::sale_section::decimal;
use super::trade_sections::in_doubt;
use super::tree::{Found, Section};
use std::ops::RangeInclusive;
use steadfast_flow::{
    BalanceSettings, CANDIDATES_MAX, CATCH_UP_THOUSANDTHS, CandidateSettings, EXPLORE_PERCENT, LegSettings, TAGS_MAX,
    WEIGHT,
};
use steadfast_lead::{CandidateName, RecipientName};
use steadfast_retry::{Balance, Criterion, ShareOf};

const ALL: &str = "all";

/// The endpoints of a step or a fallback; those beyond the bound are only counted.
pub(crate) fn endpoints(leg: &Section<'_>) -> Vec<CandidateSettings> {
    let Some(found) = leg.get("endpoints") else { return Vec::new() };
    let list = found.list();
    if found.is_empty_list() {
        found.wrong_unseen("is empty: leave the key out where there is one endpoint");
    }
    let read = list.iter().enumerate().take(CANDIDATES_MAX + 1);
    read.filter_map(|(index, found)| endpoint(&found.section(&ENDPOINT), index)).collect()
}

/// One whose name cannot be read gets a stand-in, so that those after it keep their places.
fn endpoint(endpoint: &Section<'_>, index: usize) -> Option<CandidateSettings> {
    let read = endpoint.required("name").and_then(|found| name(&found, CandidateName::new));
    let way = LegSettings {
        recipient: endpoint.get("recipient").and_then(|found| name(&found, RecipientName::new)),
        in_doubt: in_doubt(endpoint),
        request: request(endpoint),
        auth: auth(endpoint),
        response: response(endpoint),
        rules: rules(endpoint),
        ..LegSettings::default()
    };
    let weight = endpoint.get("weight").and_then(|found| within(&found, WEIGHT));
    let cost = decimal(endpoint, "cost");
    let (regions, regulations) = (texts(endpoint, "regions"), texts(endpoint, "regulations"));
    let name = read.or_else(|| CandidateName::new(&format!("unreadable-{index}")).ok())?;
    Some(CandidateSettings { name, way, weight, cost, regions, regulations })
}

fn texts(owner: &Section<'_>, key: &'static str) -> Vec<Box<str>> {
    let list = owner.get(key).map(|found| found.list()).unwrap_or_default();
    list.iter().take(TAGS_MAX + 1).filter_map(Found::text).map(|text| text.trim().into()).collect()
}

/// A whole number in bounds; the key says which.
fn within<T: TryFrom<i128> + PartialOrd>(found: &Found<'_>, bounds: RangeInclusive<T>) -> Option<T> {
    let fits = T::try_from(found.whole()?).ok().filter(|number| bounds.contains(number));
    if fits.is_none() {
        found.wrong("is out of range");
    }
    fits
}

/// How a step or a fallback chooses, as a word or as a table.
pub(crate) fn balance(leg: &Section<'_>) -> BalanceSettings {
    let Some(found) = leg.get("balance") else { return BalanceSettings::default() };
    if found.is_text() {
        return by(&found);
    }
    let section = found.section(&BALANCE);
    let shares: Vec<&str> = ShareOf::ALL.iter().map(|word| word.name()).collect();
    let words: Vec<&str> = Criterion::ALL.iter().map(|word| word.name()).collect();
    let list = section.get("criteria").map(|found| found.list()).unwrap_or_default();
    let mut criteria: Vec<_> = list.iter().filter_map(|found| found.word(Criterion::from_name, &words)).collect();
    if criteria.is_empty() && !list.is_empty() {
        // A stand-in: what cannot be read is told, and not that nothing was written.
        criteria.push(Criterion::Health);
    }
    let catch_up = section.get("catch_up").and_then(|found| {
        let read = found.thousandths()?;
        if !CATCH_UP_THOUSANDTHS.contains(&read) {
            found.wrong("is out of range");
        }
        Some(read)
    });
    BalanceSettings {
        share_of: section.get("share_of").and_then(|found| found.word(ShareOf::from_name, &shares)),
        catch_up_thousandths: catch_up,
        criteria,
        explore_percent: section.get("explore").and_then(|found| within(&found, EXPLORE_PERCENT)),
        region_field: section.text("region_field").map(Into::into),
        regulation_field: section.text("regulation_field").map(Into::into),
        time_zone: section.text("time_zone").map(Into::into),
        ..section.get("by").map(|found| by(&found)).unwrap_or_default()
    }
}

fn by(found: &Found<'_>) -> BalanceSettings {
    let words: Vec<&str> = Balance::ALL.iter().map(|word| word.name()).chain([ALL]).collect();
    let read = found.word(|word| if word == ALL { Some(None) } else { Balance::from_name(word).map(Some) }, &words);
    BalanceSettings { by: read.flatten(), all: read == Some(None), ..BalanceSettings::default() }
}
