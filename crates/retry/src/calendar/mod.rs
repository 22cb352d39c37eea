//! Calendars: when a recipient may be called. Hours less holidays less maintenance, in a time zone.
//!
//! A clock on a wall in the zone decides: an instant is open where the date and time shown there are open. So what would open
//! within the hour that a change of clocks leaves out opens at its end, and an hour that comes twice is open both times.
//! Nothing here looks farther ahead than [`HORIZON`], which bounds what any question costs.

mod days;
mod hours;
mod parse;
mod spans;
mod walk;
mod zone;

pub use hours::{HOURS_BYTES_MAX, HOURS_RULES_MAX, Hours};
pub use parse::BadHours;
pub use zone::{Clock, UnknownZone, Zone};

use crate::breaker::Wait;
use crate::delivery::HoldReason;
use jiff::civil::Date;
use spans::Spans;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use steadfast_lead::Timestamp;

/// How far ahead a calendar is asked: 400 days. What does not open within it counts as never opening.
pub const HORIZON: Duration = Duration::from_secs(400 * 86_400);
/// Holidays a calendar may have.
pub const HOLIDAYS_MAX: usize = 1_000;
/// One-off maintenance windows a calendar may have.
pub const MAINTENANCE_MAX: usize = 100;
/// Recurring maintenance windows a calendar may have.
pub const RECURRING_MAX: usize = 20;

/// A date, such as a holiday.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

impl Day {
    /// From a date as in `2026-12-25`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        plain.then(|| text.parse().ok().map(Day)).flatten()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A one-off maintenance window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Maintenance {
    /// Closed from here,
    pub from: Timestamp,
    /// until just before here.
    pub until: Timestamp,
    /// What for; empty where nothing was said.
    pub note: Box<str>,
}

/// Maintenance that comes again and again: closed where its hours are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecurringMaintenance {
    /// When.
    pub hours: Hours,
    /// What for; empty where nothing was said.
    pub note: Box<str>,
}

/// What closes a calendar at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClosedBy {
    /// It is outside the hours.
    Hours,
    /// It is a public holiday.
    Holiday,
    /// It is maintenance, one-off or recurring.
    Maintenance,
}

impl ClosedBy {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            ClosedBy::Hours => "hours",
            ClosedBy::Holiday => "holiday",
            ClosedBy::Maintenance => "maintenance",
        }
    }
}

impl From<ClosedBy> for HoldReason {
    fn from(why: ClosedBy) -> Self {
        match why {
            ClosedBy::Hours | ClosedBy::Holiday => HoldReason::Closed,
            ClosedBy::Maintenance => HoldReason::Maintenance,
        }
    }
}

/// How a calendar stands at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Open.
    Open {
        /// When it closes next; `None` when not within [`HORIZON`].
        until: Option<Timestamp>,
    },
    /// Closed.
    Closed {
        /// When it opens next; `None` when not within [`HORIZON`].
        until: Option<Timestamp>,
        /// What closes it now; something else may before it opens.
        why: ClosedBy,
    },
}

impl Standing {
    /// The wait for the opening; `None` while it is open.
    pub fn wait(self) -> Option<Wait> {
        match self {
            Standing::Open { .. } => None,
            Standing::Closed { until, why } => Some(Wait { until, why: why.into() }),
        }
    }

    /// When it changes by itself; `None` when not within [`HORIZON`].
    pub const fn until(self) -> Option<Timestamp> {
        match self {
            Standing::Open { until } | Standing::Closed { until, .. } => until,
        }
    }
}

/// When something is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: Zone,
    /// All of them must be open.
    hours: Vec<Hours>,
    holidays: BTreeSet<Day>,
    recurring: Vec<RecurringMaintenance>,
    /// Sorted.
    maintenance: Vec<Maintenance>,
}

impl Calendar {
    /// Always open, but on holidays and in maintenance.
    pub fn new(zone: Zone) -> Self {
        let (holidays, recurring, maintenance) = (BTreeSet::new(), Vec::new(), Vec::new());
        Calendar { zone, hours: Vec::new(), holidays, recurring, maintenance }
    }

    /// Open within these hours only; asked several times, only where all are open.
    #[must_use]
    pub fn within(mut self, hours: Hours) -> Self {
        self.hours.push(hours.closed_on_holidays());
        self
    }

    /// These dates are public holidays: closed, unless the hours speak of holidays.
    #[must_use]
    pub fn with_holidays(mut self, days: impl IntoIterator<Item = Day>) -> Self {
        self.holidays.extend(days);
        self
    }

    /// Closed where these are open.
    #[must_use]
    pub fn with_recurring(mut self, windows: impl IntoIterator<Item = RecurringMaintenance>) -> Self {
        self.recurring.extend(windows);
        self
    }

    /// Closed within these.
    #[must_use]
    pub fn with_maintenance(mut self, windows: impl IntoIterator<Item = Maintenance>) -> Self {
        self.maintenance.extend(windows);
        self.maintenance.sort();
        self
    }

    /// Its zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Its hours; all must be open. None is always.
    pub fn hours(&self) -> &[Hours] {
        &self.hours
    }

    /// Its holidays, in order.
    pub fn holidays(&self) -> impl ExactSizeIterator<Item = Day> + '_ {
        self.holidays.iter().copied()
    }

    /// Its recurring maintenance.
    pub fn recurring(&self) -> &[RecurringMaintenance] {
        &self.recurring
    }

    /// Its one-off maintenance, in order.
    pub fn maintenance(&self) -> &[Maintenance] {
        &self.maintenance
    }

    /// Whether it is open at a time.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.closed_by(at).is_none()
    }

    /// Whether the hours are open at a time and it is no holiday, whatever maintenance there is.
    pub fn in_hours(&self, at: Timestamp) -> bool {
        let (date, minute) = self.zone.shown(at);
        self.hours_on(date).hold(minute)
    }

    /// How it stands at a time, and until when.
    pub fn at(&self, at: Timestamp) -> Standing {
        match self.closed_by(at) {
            None => Standing::Open { until: self.next_closed(at) },
            Some(why) => Standing::Closed { until: self.next_open(at), why },
        }
    }

    /// The first time from `from` on at which it is open; `None` when that is not within [`HORIZON`].
    pub fn next_open(&self, from: Timestamp) -> Option<Timestamp> {
        self.openings(from).next().map(|(opens, _)| opens)
    }

    /// The first time from `from` on at which it is closed; `None` when that is not within [`HORIZON`].
    pub fn next_closed(&self, from: Timestamp) -> Option<Timestamp> {
        match self.openings(from).next() {
            Some((opens, closes)) if opens == from => (closes < from.after(HORIZON)).then_some(closes),
            Some(_) | None => Some(from),
        }
    }

    /// The times it is open, from and until, beginning at `from` and ending with [`HORIZON`].
    pub fn openings(&self, from: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        walk::openings(self, from)
    }

    /// The times it is closed, since when and how long, beginning at `from` and ending with [`HORIZON`].
    pub fn closings(&self, from: Timestamp) -> impl Iterator<Item = (Timestamp, Duration)> + '_ {
        let end = from.after(HORIZON);
        let mut closed_at = from;
        let closings = self.openings(from).chain([(end, end)]).map(move |(opens, closes)| {
            let since = std::mem::replace(&mut closed_at, closes);
            (since, opens.since(since))
        });
        closings.filter(|(_, lasts)| !lasts.is_zero())
    }

    /// What the maintenance is for that closes it at a time; `None` where none does, or nothing was said.
    pub fn maintenance_note(&self, at: Timestamp) -> Option<&str> {
        let (date, minute) = self.zone.shown(at);
        let once = self.maintenance.iter().filter(|window| (window.from..window.until).contains(&at));
        let again = self.recurring.iter().filter(|window| self.spans_of(&window.hours, date).hold(minute));
        let mut notes = once.map(|window| &window.note).chain(again.map(|window| &window.note));
        notes.find(|note| !note.is_empty()).map(|note| &**note)
    }

    fn closed_by(&self, at: Timestamp) -> Option<ClosedBy> {
        let (date, minute) = self.zone.shown(at);
        let is_maintained = self.maintenance.iter().any(|window| (window.from..window.until).contains(&at))
            || self.recurring.iter().any(|window| self.spans_of(&window.hours, date).hold(minute));
        if is_maintained {
            return Some(ClosedBy::Maintenance);
        }
        let closed = if self.is_holiday(date) { ClosedBy::Holiday } else { ClosedBy::Hours };
        (!self.hours_on(date).hold(minute)).then_some(closed)
    }

    fn is_holiday(&self, date: Date) -> bool {
        self.holidays.contains(&Day(date))
    }

    fn spans_of(&self, hours: &Hours, date: Date) -> Spans {
        hours.on(date, |date| self.is_holiday(date))
    }

    /// What the hours leave open on a date.
    fn hours_on(&self, date: Date) -> Spans {
        if self.hours.is_empty() {
            return if self.is_holiday(date) { Spans::default() } else { Spans::whole() };
        }
        self.hours.iter().fold(Spans::whole(), |open, hours| open.within(&self.spans_of(hours, date)))
    }

    /// What is open on a date, but for one-off maintenance.
    fn open_on(&self, date: Date) -> Spans {
        let hours = self.hours_on(date);
        self.recurring.iter().fold(hours, |open, window| open.without(&self.spans_of(&window.hours, date)))
    }
}
