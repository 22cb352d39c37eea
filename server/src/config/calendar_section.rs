//! Reading calendars, named and a recipient's own. What they come to is found by the flow crate.

use super::calendar_keys::{CALENDAR_TABLE, MAINTENANCE};
use super::retry_section::name;
use super::trade_sections::by_name;
use super::tree::{Found, Section};
use std::collections::BTreeMap;
use steadfast_flow::{CalendarSettings, CalledWhen, MaintenanceSettings};
use steadfast_lead::CalendarName;
use steadfast_retry::WhenClosed;

/// `[calendars.NAME]`.
pub(crate) fn calendars(entries: Vec<(String, Found<'_>)>) -> BTreeMap<CalendarName, CalendarSettings> {
    by_name(entries, &CALENDAR_TABLE, CalendarName::new, calendar)
}

/// What stands on a recipient, and in its limits.
pub(crate) fn called_when(recipient: &Section<'_>, limits: &Section<'_>) -> CalledWhen {
    let when_closed = recipient.get("closed").and_then(|found| {
        let words = WhenClosed::ALL.map(WhenClosed::name);
        found.word(WhenClosed::from_name, &words)
    });
    CalledWhen {
        calendar: recipient.get("calendar").and_then(|found| name(&found, CalendarName::new)),
        own: calendar(recipient),
        limit: limits.text("hours").map(Into::into),
        when_closed: when_closed.unwrap_or_default(),
    }
}

fn calendar(owner: &Section<'_>) -> CalendarSettings {
    let list = |name: &'static str| owner.get(name).map(|found| found.list()).unwrap_or_default();
    CalendarSettings {
        time_zone: owner.text("time_zone").map(Into::into),
        hours: owner.text("hours").map(Into::into),
        holidays: list("holidays").iter().filter_map(Found::moment).map(Into::into).collect(),
        maintenance: list("maintenance").iter().map(|found| maintenance(&found.section(&MAINTENANCE))).collect(),
    }
}

fn maintenance(entry: &Section<'_>) -> MaintenanceSettings {
    let moment = |name: &'static str| entry.get(name).and_then(|found| found.moment()).map(Into::into);
    MaintenanceSettings {
        from: moment("from"),
        until: moment("until"),
        hours: entry.text("hours").map(Into::into),
        note: entry.text("note").unwrap_or_default().into(),
    }
}
