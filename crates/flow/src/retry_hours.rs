//! When a step is retried: off-peak windows, in the recipient's zone. First attempts go at any time; retries, or those after
//! the first few, wait for the window.
//!
//! A window is no closing: a lead that would grow too old in waiting for it is retried when it is due.

use crate::calendars::{hours, zone};
use crate::compile::{StepScope, flow_place};
use crate::place::{Fault, Place};
use crate::plan::{Book, StepPlan};
use crate::settings::{RecipientSettings, Settings};
use std::ops::RangeInclusive;
use std::sync::Arc;
use steadfast_lead::Timestamp;
use steadfast_retry::RetryHours;
use steadfast_retry::calendar::{Calendar, HORIZON};

/// How many retries may go at any time.
pub const RETRY_HOURS_AFTER: RangeInclusive<u32> = 0..=1_000;

/// What a step says about when it is retried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryHoursSettings {
    /// In OSM's `opening_hours` syntax.
    pub hours: Box<str>,
    /// The IANA name of the zone; `None` for the recipient's.
    pub time_zone: Option<Box<str>>,
    /// So many retries of a leg go at any time before.
    pub after: u32,
}

impl StepScope<'_> {
    /// When the step is retried; `None` for at any time.
    ///
    /// # Errors
    /// Hours that are none, a zone that is not known or that there is none.
    pub(crate) fn retry_hours(&self, recipient: &RecipientSettings) -> Result<Option<Arc<RetryHours>>, Vec<Fault>> {
        let Some(settings) = &self.step.terms.retry_hours else { return Ok(None) };
        let place = self.steps_place().key("retry_hours");
        let mut faults = Vec::new();
        let own = settings.time_zone.as_deref();
        let found = match own {
            Some(_) => zone(&place.key("time_zone"), own, &mut faults),
            None => self.settings.zone_for(recipient, self.flow.account.as_ref()),
        };
        if own.is_none() && found.is_none() {
            let allowed = "an IANA name, such as America/Chicago; here, at the recipient, its calendar or an account";
            faults.push(Fault::unseen(place.key("time_zone"), "is missing: hours are read in a zone", allowed));
        }
        let read = hours(&place.key("hours"), Some(&settings.hours), &mut faults);
        if !RETRY_HOURS_AFTER.contains(&settings.after) {
            let (least, most) = (RETRY_HOURS_AFTER.start(), RETRY_HOURS_AFTER.end());
            let allowed = format!("{least} to {most}");
            faults.push(Fault::of(place.key("after"), &settings.after.to_string(), "is out of range", &allowed));
        }
        match (found, read) {
            (Some(zone), Some(hours)) if faults.is_empty() => {
                Ok(Some(Arc::new(RetryHours { calendar: Calendar::new(zone).within(hours), after: settings.after })))
            }
            _ => Err(faults),
        }
    }
}

impl Settings {
    /// Retry hours that do not open again.
    pub fn never_retried(&self, book: &Book, now: Timestamp) -> Vec<Fault> {
        let steps = book.flows.values().flat_map(|flow| flow.steps.iter().enumerate());
        steps.filter_map(|(index, step)| never_retried(index, step, now)).collect()
    }
}

fn never_retried(index: usize, step: &StepPlan, now: Timestamp) -> Option<Fault> {
    let hours = step.conditions.retry_hours.as_ref()?;
    if hours.calendar.next_open(now).is_some() {
        return None;
    }
    let place: Place = flow_place(&step.flow).key("steps").index(index).key("retry_hours").key("hours");
    let problem = format!("never opens: no time of the next {} days is open", HORIZON.as_secs() / 86_400);
    Some(Fault::unseen(place, &problem, "hours that open"))
}
