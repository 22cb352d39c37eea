//! Reading caps. Whether they make sense together is found by the flow crate.

use super::cap_keys::CAP;
use super::tree::{Found, Section};
use steadfast_flow::{CapSettings, CapsSettings};
use steadfast_retry::{CAP_MAX, CapPer, OnCap};

/// What stands on a flow, a source, a recipient or a step.
pub(crate) fn caps(owner: &Section<'_>) -> CapsSettings {
    let words: Vec<&str> = OnCap::ALL.iter().map(|on_cap| on_cap.name()).collect();
    let list = owner.get("caps").map(|found| {
        if found.is_empty_list() {
            found.wrong("is empty: leave it out where there is no cap");
        }
        found.list()
    });
    CapsSettings {
        caps: list.unwrap_or_default().iter().filter_map(cap).collect(),
        on_cap: owner.get("on_cap").and_then(|found| found.word(OnCap::from_name, &words)),
    }
}

fn cap(found: &Found<'_>) -> Option<CapSettings> {
    let cap = found.section(&CAP);
    let words: Vec<&str> = CapPer::ALL.iter().map(|per| per.name()).collect();
    let per = cap.required("per").and_then(|found| found.word(CapPer::from_name, &words));
    let time_zone = cap.text("time_zone").map(Into::into);
    let max = cap.required("max").and_then(|found| found.whole().map(|max| (found, max))).and_then(|(found, max)| {
        let fits = u64::try_from(max).ok().filter(|max| (1..=CAP_MAX).contains(max));
        if fits.is_none() {
            found.wrong("is out of range; to let nothing through, pause the recipient, the flow or the source");
        }
        fits
    });
    Some(CapSettings { per: per?, max: max?, time_zone })
}
