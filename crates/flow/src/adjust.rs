//! A step's conditions: whether its leads are sent at all (`when`), and what is different about retrying some of them
//! (`adjust`). From settings to the plan, and what is in force for one attempt.

use crate::compile::{StepScope, account_place, flow_place, names, recipient_place, too_many};
use crate::condition::{Condition, ConditionFailed, Facts, Ground, Moment};
use crate::contact_hours::{ContactHours, ContactHoursSettings};
use crate::place::{Fault, Place};
use crate::plan::StepPlan;
use crate::retry_hours::RetryHoursSettings;
use crate::settings::{RecipientSettings, Settings};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{CalendarName, Lead, Priority, RecipientName};
use steadfast_retry::RetryHours;
use steadfast_retry::calendar::{Calendar, Zone};
use steadfast_retry::policy::{
    Fault as RetryFault, Layer, Level, Limits, Overlay, Resolved, RetryPolicy, UnknownPolicy, show_duration,
};

/// Adjustments that bear on one step, over all levels, at most.
pub const ADJUSTMENTS_MAX: usize = 16;

/// One entry of `adjust`, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdjustSettings {
    /// The condition, in CEL.
    pub when: Box<str>,
    /// What it says about retrying.
    pub retry: Layer,
    /// How urgent the delivery is then.
    pub priority: Option<Priority>,
}

/// What a step says about when and whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermsSettings {
    /// Which leads it sends, in CEL.
    pub when: Option<Box<str>>,
    /// What is different for some.
    pub adjust: Vec<AdjustSettings>,
    /// When its leads may be contacted, by their own clocks.
    pub contact_hours: Option<ContactHoursSettings>,
    /// When it is retried.
    pub retry_hours: Option<RetryHoursSettings>,
}

/// A step's conditions, checked.
#[derive(Clone, Debug, Default)]
pub struct StepConditions {
    /// Which leads it sends; `None` for all.
    pub when: Option<Condition>,
    /// What is different for some, farthest level first.
    pub adjustments: Vec<Adjustment>,
    /// When its leads may be contacted; `None` for always.
    pub contact_hours: Option<Arc<ContactHours>>,
    /// When it is retried; `None` for at any time.
    pub retry_hours: Option<Arc<RetryHours>>,
    limits: Option<(RecipientName, Limits)>,
}

/// One entry of `adjust`, checked.
#[derive(Clone, Debug)]
pub struct Adjustment {
    /// Where it stands in the configuration.
    pub place: Place,
    /// When it counts.
    pub when: Condition,
    /// How urgent the delivery is then.
    pub priority: Option<Priority>,
    /// What it makes of the step's policy, laid over it alone.
    pub alone: Resolved,
    overlay: Overlay,
}

/// What is in force for one attempt.
#[derive(Clone, Debug)]
pub struct InForce<'a> {
    /// The retry policy.
    pub policy: Cow<'a, RetryPolicy>,
    /// How urgent the delivery is.
    pub priority: Priority,
    /// Which adjustments count, in the order they were laid down.
    pub adjusted: Vec<&'a Adjustment>,
}

impl InForce<'_> {
    /// `adjusted by flows.auto.adjust[0]`; `None` where nothing is.
    pub fn note(&self) -> Option<String> {
        let places: Vec<&str> = self.adjusted.iter().map(|adjustment| adjustment.place.as_str()).collect();
        (!places.is_empty()).then(|| format!("adjusted by {}", places.join(", ")))
    }
}

impl StepPlan {
    /// Whether the step sends this lead: asked before the first attempt.
    ///
    /// # Errors
    /// [`ConditionFailed`] where the lead gives no answer to it.
    pub fn sends(&self, lead: &Lead, moment: impl Into<Moment>) -> Result<bool, ConditionFailed> {
        self.conditions.when.as_ref().map_or(Ok(true), |when| when.holds(&self.facts(lead, 1, moment.into())))
    }

    /// What is in force for an attempt, by its number over all legs.
    ///
    /// # Errors
    /// [`ConditionFailed`] where the lead gives no answer to an adjustment's condition.
    pub fn in_force(
        &self,
        lead: &Lead,
        attempt: u32,
        moment: impl Into<Moment>,
    ) -> Result<InForce<'_>, ConditionFailed> {
        let facts = self.facts(lead, attempt, moment.into());
        let mut adjusted = Vec::new();
        for adjustment in &self.conditions.adjustments {
            if adjustment.when.holds(&facts)? {
                adjusted.push(adjustment);
            }
        }
        let policy = match adjusted.as_slice() {
            [] => Cow::Borrowed(&self.retry.policy),
            [one] => Cow::Borrowed(&one.alone.policy),
            [.., last] => {
                let made = self.conditions.laid_over(&self.retry, &adjusted);
                let failed = |_| ConditionFailed {
                    what: "the adjustments that count together make no policy".to_owned(),
                    text: last.when.text().into(),
                };
                Cow::Owned(made.map_err(failed)?.policy)
            }
        };
        let priority = adjusted.iter().rev().find_map(|adjustment| adjustment.priority).unwrap_or(self.priority);
        Ok(InForce { policy, priority, adjusted })
    }

    /// Whether an adjustment may change how urgent a delivery is.
    pub fn adjusts_priority(&self) -> bool {
        self.conditions.adjustments.iter().any(|adjustment| adjustment.priority.is_some())
    }

    /// How old a lead may grow here, whatever adjustments count.
    pub fn longest_lead_age(&self) -> Duration {
        let adjusted = self.conditions.adjustments.iter().map(|adjustment| &adjustment.alone.policy);
        let ages = adjusted.chain([&self.retry.policy]).map(|policy| policy.max_lead_age.get());
        ages.max().unwrap_or_default()
    }

    /// Whether anything is asked of a lead, so that it matters when.
    pub fn asks_conditions(&self) -> bool {
        self.conditions.when.is_some() || !self.conditions.adjustments.is_empty()
    }

    fn facts<'a>(&'a self, lead: &'a Lead, attempt: u32, moment: Moment) -> Facts<'a> {
        Facts { lead, priority: self.priority, attempt, recipient: &self.endpoint.recipient, moment }
    }
}

impl StepConditions {
    fn laid_over(&self, retry: &Resolved, adjusted: &[&Adjustment]) -> Result<Resolved, Vec<RetryFault>> {
        retry.overlaid(adjusted.iter().map(|adjustment| &adjustment.overlay), self.limits.as_ref())
    }

    /// What adjustments make of a policy, two by two: what two make is within bounds for any number of them. A value is held
    /// against one other at most: a key against `extended`, an initial delay against the longest interval. So a set that
    /// makes no policy has two that make none.
    fn pair_faults(&self, retry: &Resolved) -> Vec<Fault> {
        let all = &self.adjustments;
        let pairs = (0..all.len()).flat_map(|one| (one + 1..all.len()).map(move |other| (one, other)));
        let faults = pairs.flat_map(|(one, other)| {
            let (one, other) = (&all[one], &all[other]);
            let found = self.laid_over(retry, &[one, other]).err().unwrap_or_default();
            found.into_iter().map(move |fault| {
                let fault = placed(&fault, &other.place);
                Fault { problem: format!("{}, when {} counts too", fault.problem, one.place), ..fault }
            })
        });
        faults.collect()
    }
}

/// Lists of entries with their places, farthest level first.
type Lists<'a> = Vec<(Place, &'a [AdjustSettings])>;

impl<'a> StepScope<'a> {
    /// The step's conditions over its policy; `None` where one of the two has a fault.
    pub(crate) fn conditions_over(
        &self,
        recipient: &'a RecipientSettings,
        retry: Option<&Resolved>,
        faults: &mut Vec<Fault>,
    ) -> Option<StepConditions> {
        let contact_hours = self.contact_hours().map_err(|found| faults.push(found));
        let retry_hours = self.retry_hours(recipient).map_err(|found| faults.extend(found));
        let conditions = self.conditions(recipient, retry?).map_err(|found| faults.extend(found)).ok()?;
        Some(StepConditions { contact_hours: contact_hours.ok()?, retry_hours: retry_hours.ok()?, ..conditions })
    }

    /// The step's conditions, over the policy it has without them.
    ///
    /// # Errors
    /// Every [`Fault`] in them.
    fn conditions(&self, recipient: &'a RecipientSettings, retry: &Resolved) -> Result<StepConditions, Vec<Fault>> {
        let lists = self.adjust_lists(recipient);
        let count: usize = lists.iter().map(|(_, list)| list.len()).sum();
        if count == 0 && self.step.terms.when.is_none() {
            return Ok(StepConditions::default());
        }
        if let Some(fault) = too_many(self.steps_place().key("adjust"), count, ADJUSTMENTS_MAX) {
            let problem = format!("{} on this step, over all levels", fault.problem);
            return Err(vec![Fault { problem, ..fault }]);
        }
        let zone = self.settings.zone_for(recipient, self.flow.account.as_ref());
        let theirs = recipient_place(&self.step.recipient);
        let calendar = self.settings.called_when(&theirs, recipient).ok().flatten();
        let named = |name: &str| self.settings.named_calendar(name, zone.as_ref());
        let fields = &self.flow.fields;
        let ground = Ground { fields, zone: zone.as_ref(), calendar: calendar.as_ref(), named: &named };
        let mut faults = Vec::new();
        let when = self.step.terms.when.as_deref();
        let when = when.and_then(|when| condition(self.steps_place().key("when"), when, &ground, &mut faults));
        let limits = Some((self.step.recipient.clone(), recipient.limits.clone()));
        let mut conditions = StepConditions { when, limits, ..StepConditions::default() };
        for (list, entries) in lists {
            for (index, entry) in entries.iter().enumerate() {
                match self.adjustment(list.index(index), entry, &ground, retry, conditions.limits.as_ref()) {
                    Ok(adjustment) => conditions.adjustments.push(adjustment),
                    Err(found) => faults.extend(found),
                }
            }
        }
        faults.extend(conditions.pair_faults(retry));
        if faults.is_empty() { Ok(conditions) } else { Err(faults) }
    }

    fn adjust_lists(&self, recipient: &'a RecipientSettings) -> Lists<'a> {
        let account = self.flow.account.as_ref().or(recipient.account.as_ref());
        let account = account.and_then(|name| self.settings.accounts.get_key_value(name));
        let lists = [
            Some((Place::of("adjust"), self.settings.adjust.as_slice())),
            account.map(|(name, account)| (account_place(name).key("adjust"), account.adjust.as_slice())),
            Some((flow_place(self.flow_name).key("adjust"), self.flow.adjust.as_slice())),
            Some((recipient_place(&self.step.recipient).key("adjust"), recipient.adjust.as_slice())),
            Some((self.steps_place().key("adjust"), self.step.terms.adjust.as_slice())),
        ];
        lists.into_iter().flatten().filter(|(_, list)| !list.is_empty()).collect()
    }

    fn adjustment(
        &self,
        place: Place,
        entry: &AdjustSettings,
        ground: &Ground<'_>,
        retry: &Resolved,
        limits: Option<&(RecipientName, Limits)>,
    ) -> Result<Adjustment, Vec<Fault>> {
        let mut faults = Vec::new();
        let when = condition(place.key("when"), &entry.when, ground, &mut faults);
        let level = Level::Adjust(place.as_str().into());
        let overlay = Overlay::new(level, &entry.retry, &self.settings.policies)
            .map_err(|unknown| faults.extend(unknown_policy(&place, &unknown)));
        if let (true, None) = (overlay.as_ref().is_ok_and(Overlay::is_empty), entry.priority) {
            faults.push(Fault::unseen(place.clone(), "changes nothing", "retry = { ... } or priority"));
        }
        let alone = overlay.as_ref().ok().map(|overlay| retry.overlaid([overlay], limits));
        let alone = alone
            .and_then(|made| made.map_err(|found| faults.extend(found.iter().map(|fault| placed(fault, &place)))).ok());
        match (when, overlay, alone) {
            (Some(when), Ok(overlay), Some(alone)) if faults.is_empty() => {
                Ok(Adjustment { place, when, priority: entry.priority, alone, overlay })
            }
            _ => Err(faults),
        }
    }
}

fn condition(place: Place, text: &str, ground: &Ground<'_>, faults: &mut Vec<Fault>) -> Option<Condition> {
    let fault =
        |bad: crate::condition::BadCondition| Fault::of(place, &format!("{text:?}"), &bad.problem, &bad.allowed);
    Condition::read(text, ground).map_err(|bad| faults.push(fault(bad))).ok()
}

/// A fault of what an adjustment makes, at the key that set the value.
fn placed(fault: &RetryFault, entry: &Place) -> Fault {
    match fault {
        RetryFault::OutOfRange(out, origin) => {
            let own = matches!(&origin.level, Level::Adjust(_)) && origin.policy.is_none();
            let set_by = match &origin.level {
                Level::Adjust(place) => Place::of(place),
                Level::Default
                | Level::System
                | Level::Account(_)
                | Level::Flow(_)
                | Level::Recipient(_)
                | Level::Step(_)
                | Level::Fallback(_)
                | Level::Limit(_) => entry.clone(),
            };
            let retry = set_by.key("retry");
            if own {
                return Fault::of(retry.key(out.key.name()), &out.value, "is out of range", &out.allowed);
            }
            let problem = format!("leads to {} = {} (set by {origin}), which is out of range", out.key, out.value);
            Fault::unseen(retry, &problem, &out.allowed)
        }
        RetryFault::Contradiction { max_interval, initial_delay, .. } => {
            let (most, first) = (show_duration(*max_interval), show_duration(*initial_delay));
            let problem = format!("leads to max_interval = {most}, shorter than initial_delay = {first}");
            Fault::unseen(entry.key("retry"), &problem, "max_interval of initial_delay or longer")
        }
        RetryFault::UnknownPolicy(unknown, _) => Fault::unseen(entry.key("retry"), &unknown.to_string(), "a policy"),
    }
}

fn unknown_policy(place: &Place, unknown: &UnknownPolicy) -> Option<Fault> {
    match unknown {
        UnknownPolicy::NotFound { name, known } => {
            let place = place.key("retry").key("policy");
            Some(Fault::of(place, &format!("{name:?}"), "is not a policy", known))
        }
        // Told at the policies.
        UnknownPolicy::Ring { .. } => None,
    }
}

impl Settings {
    /// A calendar by its name, in its own zone or, without one, in the zone of the place it is named at.
    fn named_calendar(&self, name: &str, zone: Option<&Zone>) -> Result<Arc<Calendar>, String> {
        let known = || names(self.calendars.keys().map(CalendarName::as_str));
        let found = self.calendars.get_key_value(name);
        let (name, calendar) =
            found.ok_or_else(|| format!("names the calendar {name:?}, which is not there (known: {})", known()))?;
        self.calendar_alone(name, calendar, zone)
            .ok_or_else(|| format!("names the calendar {:?}, which has a fault or no time_zone", name.as_str()))
    }
}
