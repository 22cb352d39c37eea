//! Reading `[retention]`, and `retention` of a flow.

use super::literals;
use super::retention_keys::{FLOW_RETENTION, RETENTION};
use super::tree::Section;
use std::path::PathBuf;
use steadfast_flow::{Keep, RetentionRules};

/// `[retention]`, and the folder of the archive.
pub(crate) fn retention(root: &Section<'_>) -> (RetentionRules, Option<PathBuf>) {
    let section = root.section("retention", &RETENTION);
    let usual = RetentionRules::default();
    let rules = RetentionRules {
        leads: keep(&section, "leads").unwrap_or(usual.leads),
        journal: keep(&section, "journal").unwrap_or(usual.journal),
        erasures: keep(&section, "erasures").unwrap_or(usual.erasures),
    };
    let folder = |text: &str| if text.is_empty() { Err("is empty") } else { Ok(PathBuf::from(text)) };
    (rules, section.get("archive").and_then(|found| found.parsed(folder)))
}

/// `retention` of a flow.
pub(crate) fn flow_retention(flow: &Section<'_>) -> Option<Keep> {
    keep(&flow.section("retention", &FLOW_RETENTION), "leads")
}

fn keep(section: &Section<'_>, name: &'static str) -> Option<Keep> {
    section.get(name)?.parsed(|text| match text {
        "forever" => Ok(Keep::Forever),
        duration => literals::duration(duration).map(Keep::For),
    })
}
