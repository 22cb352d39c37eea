//! Reading conditions. Whether an expression is one, and may stand where it does, is found by the flow crate.

use super::condition_keys::{ADJUST, CONTACT_HOURS, CONTACT_ZONES, RETRY_HOURS};
use super::references::Surroundings;
use super::trade_sections::{priority, retry};
use super::tree::{Found, Section};
use std::sync::Arc;
use steadfast_flow::{
    AdjustSettings, ContactHoursSettings, ContactZones, RetryHoursSettings, TermsSettings, UnknownZone,
};

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

fn contact_hours(entry: &Section<'_>) -> ContactHoursSettings {
    let hours = entry.required("hours").and_then(|found| Found::text(&found)).unwrap_or_else(|| "24/7".to_owned());
    let words = UnknownZone::ALL.map(UnknownZone::name);
    let unknown = entry.get("unknown").and_then(|found| found.word(UnknownZone::from_name, &words));
    ContactHoursSettings { hours: hours.into(), unknown: unknown.unwrap_or_default() }
}

fn retry_hours(entry: &Section<'_>) -> RetryHoursSettings {
    let hours = entry.required("hours").and_then(|found| Found::text(&found)).unwrap_or_else(|| "24/7".to_owned());
    let (time_zone, after) = (entry.text("time_zone").map(Into::into), entry.count("after").unwrap_or_default());
    RetryHoursSettings { hours: hours.into(), time_zone, after }
}

/// `[contact_zones]`: the file it names, else the table compiled in. `None` where the file cannot be read, which is told.
pub(crate) fn contact_zones(root: &Section<'_>, around: &Surroundings<'_>) -> Option<Arc<ContactZones>> {
    let section = root.section("contact_zones", &CONTACT_ZONES);
    let Some(file) = section.get("file") else { return ContactZones::built_in().ok().map(Arc::new) };
    let read = |name: &str| {
        let text = (around.file)(name)?;
        ContactZones::read(&text).map_err(|bad| format!("names the file {name:?}, which is no table of zones: {bad}"))
    };
    file.parsed(read).map(Arc::new)
}

/// What a step says.
pub(crate) fn terms(step: &Section<'_>) -> TermsSettings {
    TermsSettings {
        when: step.text("when").map(Into::into),
        adjust: adjust(step),
        contact_hours: step.get("contact_hours").map(|found| contact_hours(&found.section(&CONTACT_HOURS))),
        retry_hours: step.get("retry_hours").map(|found| retry_hours(&found.section(&RETRY_HOURS))),
    }
}
