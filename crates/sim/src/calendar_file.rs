//! When a recipient of a scenario may be called: hours in a zone, less holidays.

use crate::retry_table::Faults;
use serde::Deserialize;
use std::sync::Arc;
use steadfast_retry::calendar::{Calendar, Day, HOLIDAYS_MAX, Hours, Zone};

/// Hours in a zone, less holidays.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarFile {
    /// The IANA name of the zone.
    pub time_zone: String,
    /// In OSM's `opening_hours` syntax.
    pub hours: String,
    /// Dates such as `2026-12-25`.
    #[serde(default)]
    pub holidays: Vec<String>,
}

impl CalendarFile {
    pub(crate) fn read(&self, place: &str, faults: &mut Faults) -> Option<Arc<Calendar>> {
        let zone = Zone::new(&self.time_zone).map_err(|unknown| format!("{:?} {unknown}", self.time_zone));
        let zone = faults.kept(&format!("{place}.time_zone"), zone);
        let hours = faults.kept(&format!("{place}.hours"), Hours::new(&self.hours));
        if self.holidays.len() > HOLIDAYS_MAX {
            faults.add(&format!("{place}.holidays"), format!("{} dates: at most {HOLIDAYS_MAX}", self.holidays.len()));
        }
        let day = |text: &String| {
            let day = Day::parse(text).ok_or_else(|| format!("{text:?} is not a date, such as 2026-12-25"));
            faults.kept(&format!("{place}.holidays"), day)
        };
        let days: Vec<Day> = self.holidays.iter().filter_map(day).collect();
        Some(Arc::new(Calendar::new(zone?).within(hours?).with_holidays(days)))
    }
}
