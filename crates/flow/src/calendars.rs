//! When recipients may be called, as written: named calendars, a recipient's own hours, and what they come to.
//!
//! What holds whenever it is asked is found when settings are compiled; what depends on the day (does it ever open again)
//! needs to be told the time.

use crate::compile::{account_place, names, recipient_place, too_many};
use crate::place::{Fault, Place, Warning};
use crate::plan::{Book, StepPlan};
use crate::settings::{RecipientSettings, Settings};
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{AccountName, CalendarName, Timestamp};
use steadfast_retry::WhenClosed;
use steadfast_retry::calendar::{
    Calendar, Day, HOLIDAYS_MAX, HORIZON, Hours, MAINTENANCE_MAX, Maintenance, RECURRING_MAX, RecurringMaintenance,
    Zone,
};
use steadfast_retry::policy::show_duration;

/// How long a note may be, in bytes.
pub const NOTE_BYTES_MAX: usize = 200;

const ZONES: &str = "an IANA name, such as America/Chicago";
const HOURS: &str = "OSM opening_hours, such as Mo-Fr 09:00-17:00; see calendars.md";
const DAYS: &str = "dates such as 2026-12-25";
const MOMENTS: &str = "a local time such as 2026-12-24T22:00, or one with an offset";

/// A calendar, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalendarSettings {
    /// The IANA name of its zone.
    pub time_zone: Option<Box<str>>,
    /// In OSM's `opening_hours` syntax.
    pub hours: Option<Box<str>>,
    /// Dates.
    pub holidays: Vec<Box<str>>,
    /// One-off and recurring.
    pub maintenance: Vec<MaintenanceSettings>,
}

/// One entry of maintenance, as written: either `from` and `until`, or `hours`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaintenanceSettings {
    /// The beginning of a one-off window.
    pub from: Option<Box<str>>,
    /// Its end.
    pub until: Option<Box<str>>,
    /// When it comes again and again, in OSM's `opening_hours` syntax.
    pub hours: Option<Box<str>>,
    /// What for.
    pub note: Box<str>,
}

/// What a recipient says about when it may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalledWhen {
    /// The calendar it stands on.
    pub calendar: Option<CalendarName>,
    /// Its own words: hours and zone in place of the calendar's, holidays and maintenance beside them.
    pub own: CalendarSettings,
    /// Hours that nothing may exceed.
    pub limit: Option<Box<str>>,
    /// What becomes of what comes due while it is closed.
    pub when_closed: WhenClosed,
}

/// What a calendar's settings come to in a zone.
#[derive(Debug, Default)]
struct Parts {
    hours: Option<Hours>,
    holidays: Vec<Day>,
    /// With where each stands.
    once: Vec<(Maintenance, Place)>,
    recurring: Vec<RecurringMaintenance>,
}

impl CalendarSettings {
    /// Reads everything; what cannot be read is left out and told.
    fn read(&self, place: &Place, zone: &Zone, faults: &mut Vec<Fault>) -> Parts {
        let list = place.key("maintenance");
        let recurring = self.maintenance.iter().filter(|entry| entry.hours.is_some()).count();
        faults.extend(too_many(place.key("holidays"), self.holidays.len(), HOLIDAYS_MAX));
        faults.extend(too_many(list.clone(), recurring, RECURRING_MAX));
        faults.extend(too_many(list.clone(), self.maintenance.len() - recurring, MAINTENANCE_MAX));
        let mut parts = Parts { hours: hours(&place.key("hours"), self.hours.as_deref(), faults), ..Parts::default() };
        for (index, day) in self.holidays.iter().enumerate() {
            let place = place.key("holidays").index(index);
            let fault = || Fault::of(place, &format!("{day:?}"), "is not a date", DAYS);
            parts.holidays.extend(Day::parse(day).or_else(|| told(faults, fault())));
        }
        for (index, entry) in self.maintenance.iter().enumerate() {
            let place = list.index(index);
            let note = entry.note.clone();
            faults.extend(entry.note_fault(&place));
            match (&entry.from, &entry.until, &entry.hours) {
                (Some(from), Some(until), None) => {
                    let window = window(&place, (from, until), zone, faults);
                    parts.once.extend(window.map(|(from, until)| (Maintenance { from, until, note }, place)));
                }
                (None, None, Some(text)) => {
                    let hours = hours(&place.key("hours"), Some(text), faults);
                    parts.recurring.extend(hours.map(|hours| RecurringMaintenance { hours, note }));
                }
                _ => faults.push(Fault::unseen(place, "is either from and until, or hours", "one of the two")),
            }
        }
        faults.extend(overlap(&parts.once));
        parts
    }
}

impl MaintenanceSettings {
    fn note_fault(&self, place: &Place) -> Option<Fault> {
        let allowed = format!("at most {NOTE_BYTES_MAX} bytes");
        let fault = || Fault::unseen(place.key("note"), "is too long", &allowed);
        (self.note.len() > NOTE_BYTES_MAX).then(fault)
    }
}

impl CalledWhen {
    /// Whether there is anything to ask a calendar about.
    fn says_anything(&self) -> bool {
        let own = &self.own;
        let listed = !own.holidays.is_empty() || !own.maintenance.is_empty();
        self.calendar.is_some() || self.limit.is_some() || own.hours.is_some() || listed
    }

    /// The key that says the hours, at a recipient's place.
    fn place(&self, place: &Place) -> Place {
        match (&self.own.hours, &self.limit, &self.calendar) {
            (Some(_), _, _) => place.key("hours"),
            (None, Some(_), _) => place.key("limits").key("hours"),
            (None, None, Some(_)) => place.key("calendar"),
            (None, None, None) => place.clone(),
        }
    }
}

impl Settings {
    /// What is wrong with the zones of accounts and with named calendars by themselves.
    pub(crate) fn calendar_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (name, account) in &self.accounts {
            zone(&account_place(name).key("time_zone"), account.time_zone.as_deref(), &mut faults);
        }
        for (name, calendar) in &self.calendars {
            let place = calendar_place(name);
            let zone = zone(&place.key("time_zone"), calendar.time_zone.as_deref(), &mut faults);
            // Without a zone of its own, local times are read where it is used; by themselves they must make sense anywhere.
            if let Some(zone) = zone.or_else(any_zone) {
                calendar.read(&place, &zone, &mut faults);
            }
        }
        faults
    }

    /// The zone of a recipient: its own, its calendar's, its account's, else that of the account given. `None` where there is
    /// none, or it is not known.
    pub(crate) fn zone_for(&self, recipient: &RecipientSettings, or_of: Option<&AccountName>) -> Option<Zone> {
        let named = recipient.called_when.calendar.as_ref().and_then(|name| self.calendars.get(name));
        let account = |name: &AccountName| self.accounts.get(name)?.time_zone.as_deref();
        let own = recipient.called_when.own.time_zone.as_deref();
        let own = own.or_else(|| named?.time_zone.as_deref()).or_else(|| account(recipient.account.as_ref()?));
        Zone::new(own.or_else(|| account(or_of?))?).ok()
    }

    /// A named calendar by itself, in its own zone, else in the one given. `None` where it has a fault, or no zone.
    pub(crate) fn calendar_alone(
        &self,
        name: &CalendarName,
        settings: &CalendarSettings,
        or_in: Option<&Zone>,
    ) -> Option<Arc<Calendar>> {
        let own = settings.time_zone.as_deref().map(Zone::new);
        let zone = own.map_or_else(|| or_in.cloned(), Result::ok)?;
        let mut faults = Vec::new();
        let parts = settings.read(&calendar_place(name), &zone, &mut faults);
        let calendar = parts.hours.into_iter().fold(Calendar::new(zone), Calendar::within);
        let calendar = calendar.with_holidays(parts.holidays).with_recurring(parts.recurring);
        let calendar = calendar.with_maintenance(parts.once.into_iter().map(|(window, _)| window));
        faults.is_empty().then(|| Arc::new(calendar))
    }

    /// When a recipient may be called; `None` for always.
    ///
    /// # Errors
    /// Every [`Fault`] in it, and in the calendar it stands on.
    pub(crate) fn called_when(
        &self,
        place: &Place,
        recipient: &RecipientSettings,
    ) -> Result<Option<Arc<Calendar>>, Vec<Fault>> {
        let mut faults = Vec::new();
        let (said, own) = (&recipient.called_when, &recipient.called_when.own);
        let named = said.calendar.as_ref().and_then(|name| self.calendars.get_key_value(name));
        if let Some(name) = said.calendar.as_ref().filter(|_| named.is_none()) {
            let known = names(self.calendars.keys().map(CalendarName::as_str));
            let given = format!("{:?}", name.as_str());
            faults.push(Fault::of(place.key("calendar"), &given, "is not a calendar", &known));
        }
        let account = recipient.account.as_ref().and_then(|name| self.accounts.get_key_value(name));
        let zones = [
            (place.clone(), &own.time_zone),
            named.map_or((Place::root(), &None), |(name, named)| (calendar_place(name), &named.time_zone)),
            account.map_or((Place::root(), &None), |(name, account)| (account_place(name), &account.time_zone)),
        ];
        let nearest = zones.iter().find_map(|(place, written)| Some((place.key("time_zone"), written.as_deref()?)));
        let zone = nearest.as_ref().and_then(|(place, written)| zone(place, Some(written), &mut faults));
        if !said.says_anything() {
            return if faults.is_empty() { Ok(None) } else { Err(faults) };
        }
        // Where an account or a calendar is not known, neither is the zone it may have.
        let known = named.is_some() == said.calendar.is_some() && account.is_some() == recipient.account.is_some();
        if nearest.is_none() && known {
            let allowed = format!("{ZONES}; here, at its calendar or at its account");
            faults.push(Fault::unseen(place.key("time_zone"), "is missing: hours are read in a zone", &allowed));
        }
        let limit = hours(&place.key("limits").key("hours"), said.limit.as_deref(), &mut faults);
        let Some(zone) = zone.or_else(any_zone) else { return Err(faults) };
        let near = own.read(place, &zone, &mut faults);
        let far = named.map(|(name, named)| named.read(&calendar_place(name), &zone, &mut faults)).unwrap_or_default();
        if !faults.is_empty() {
            return Err(faults);
        }
        let hours = near.hours.or(far.hours).into_iter().chain(limit);
        let calendar = hours.fold(Calendar::new(zone), Calendar::within);
        let calendar = calendar.with_holidays(near.holidays.into_iter().chain(far.holidays));
        let calendar = calendar.with_recurring(near.recurring.into_iter().chain(far.recurring));
        Ok(Some(Arc::new(calendar.with_maintenance(near.once.into_iter().chain(far.once).map(|(window, _)| window)))))
    }

    /// Calendars of a book made from these settings that do not open again within the horizon.
    pub fn never_open(&self, book: &Book, now: Timestamp) -> Vec<Fault> {
        let calendars = self.recipients.iter().filter_map(|(name, recipient)| {
            let calendar = book.recipients.get(name)?.calendar.as_ref()?;
            Some((recipient.called_when.place(&recipient_place(name)), calendar))
        });
        let never = calendars.filter(|(_, calendar)| calendar.next_open(now).is_none());
        let days = HORIZON.as_secs() / 86_400;
        let problem = format!("never opens: no time of the next {days} days is open");
        never
            .map(|(place, _)| Fault::unseen(place, &problem, "hours that open, less holidays and maintenance"))
            .collect()
    }

    /// What works, but hardly as meant, seen from now.
    pub fn calendar_warnings(&self, book: &Book, now: Timestamp) -> Vec<Warning> {
        let steps = book.steps_by_recipient();
        let one = |(name, recipient): (&_, &RecipientSettings)| {
            let plan = book.recipients.get(name)?;
            // Where closed hours end what comes due in them, nothing waits for the opening.
            let calendar = plan.calendar.as_ref().filter(|_| plan.when_closed == WhenClosed::Hold)?;
            let place = recipient.called_when.place(&recipient_place(name));
            let text = too_long_closed(calendar, steps.get(name)?, now)?;
            Some(Warning { place, text })
        };
        self.recipients.iter().filter_map(one).collect()
    }
}

/// Warns of leads that grow too old, or retries that run out of time, while it is closed.
fn too_long_closed(calendar: &Calendar, steps: &[Arc<StepPlan>], now: Timestamp) -> Option<String> {
    let longer = |most: Duration| calendar.closings(now).find(|(_, lasts)| *lasts > most);
    let said = |step: &StepPlan, (since, lasts): (Timestamp, Duration)| {
        let minutes = show_duration(Duration::from_secs(lasts.as_secs() / 60 * 60));
        (format!("closed for {minutes} from {since}"), format!("{}/{}", step.flow, step.step))
    };
    let age = steps.iter().min_by_key(|step| step.retry.policy.max_lead_age.get())?;
    let most = age.retry.policy.max_lead_age;
    if let Some(closing) = longer(most.get()) {
        let (closed, step) = said(age, closing);
        let end = "some grow too old before the opening";
        return Some(format!("{closed}, and leads of {step} keep for max_lead_age = {most}: {end}"));
    }
    let counting = |step: &&Arc<StepPlan>| step.retry.policy.count_holds && step.retry.policy.retries_allowed() > 0;
    let total = steps.iter().filter(counting).min_by_key(|step| step.retry.policy.total_timeout.get())?;
    let most = total.retry.policy.total_timeout;
    let (closed, step) = said(total, longer(most.get())?);
    Some(format!("{closed}, and with count_holds = true retries of {step} end {most} after the first attempt"))
}

/// The place of a named calendar.
fn calendar_place(name: &CalendarName) -> Place {
    Place::of("calendars").key(name.as_str())
}

/// A zone to find faults in, where none is known.
fn any_zone() -> Option<Zone> {
    Zone::new("UTC").ok()
}

fn told<T>(faults: &mut Vec<Fault>, fault: Fault) -> Option<T> {
    faults.push(fault);
    None
}

pub(crate) fn zone(place: &Place, text: Option<&str>, faults: &mut Vec<Fault>) -> Option<Zone> {
    let text = text?;
    let fault = |problem: String| Fault::of(place.clone(), &format!("{text:?}"), &problem, ZONES);
    Zone::new(text).map_err(|unknown| faults.push(fault(unknown.to_string()))).ok()
}

pub(crate) fn hours(place: &Place, text: Option<&str>, faults: &mut Vec<Fault>) -> Option<Hours> {
    let text = text?;
    let fault = |problem: String| Fault::of(place.clone(), &format!("{text:?}"), &problem, HOURS);
    Hours::new(text).map_err(|bad| faults.push(fault(format!("is not opening hours: {bad}")))).ok()
}

/// A one-off window. Of an hour that comes twice, all of it is maintenance.
fn window(
    place: &Place,
    (from, until): (&str, &str),
    zone: &Zone,
    faults: &mut Vec<Fault>,
) -> Option<(Timestamp, Timestamp)> {
    let mut read = |key: &str, text: &str| {
        let fault = || Fault::of(place.key(key), &format!("{text:?}"), "is not a date with a time", MOMENTS);
        zone.read(text).or_else(|| told(faults, fault()))
    };
    let (begins, ends) = (read("from", from), read("until", until));
    let ((begins, _), (_, ends)) = (begins?, ends?);
    let fault = || Fault::of(place.key("until"), &format!("{until:?}"), "is not after from", "a time after from");
    if begins < ends { Some((begins, ends)) } else { told(faults, fault()) }
}

/// The first window that begins before another has ended.
fn overlap(windows: &[(Maintenance, Place)]) -> Option<Fault> {
    let mut sorted: Vec<&(Maintenance, Place)> = windows.iter().collect();
    sorted.sort();
    let pair = sorted.windows(2).find(|pair| pair[1].0.from < pair[0].0.until)?;
    let problem = format!("overlaps with {}", pair[0].1);
    Some(Fault::unseen(pair[1].1.clone(), &problem, "windows that do not overlap"))
}
