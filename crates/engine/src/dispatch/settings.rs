//! What an operator and people said about recipients, taken over while everything goes on.

use super::Dispatch;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{RecipientName, Timestamp};
use steadfast_retry::breaker::{BreakerVerb, ByHand, Transition, Wait};
use steadfast_retry::calendar::{Calendar, Maintenance, Standing, Zone};
use steadfast_retry::pace::{ConcurrencyLimit, Pace, PaceSettings};
use steadfast_retry::{Endpoint, Guard, GuardSettings, HoldReason, StopTarget};
use steadfast_store::KeptGuard;

/// How one recipient is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientProtection {
    /// Its endpoints' breakers and retry budgets.
    pub guard: GuardSettings,
    /// How many in a span of time, and how many at once.
    pub pace: PaceSettings,
    /// How long a delivery may be held by an open breaker before a person looks at it; `None` for as long as it takes.
    pub longest_hold: Option<Duration>,
    /// When it may be called; `None` for always.
    pub calendar: Option<Arc<Calendar>>,
    /// What comes due in closed hours is looked at and not held: it ends then.
    pub ends_when_closed: bool,
}

impl Default for RecipientProtection {
    fn default() -> Self {
        let pace = PaceSettings { rate: None, concurrency: ConcurrencyLimit::default() };
        RecipientProtection {
            guard: GuardSettings::default(),
            pace,
            longest_hold: None,
            calendar: None,
            ends_when_closed: false,
        }
    }
}

/// What is protected, and how.
#[derive(Clone, Debug, Default)]
pub struct Protected {
    /// By recipient; one that is not named here is protected as by default.
    pub recipients: HashMap<RecipientName, RecipientProtection>,
    /// The endpoints that steps send to, each with the age at which its deliveries are too old. What waits for another
    /// endpoint moves on: its step sends somewhere else by now, or is gone.
    pub used: HashMap<Endpoint, Duration>,
    /// Where what waits for an endpoint may go while its breaker is open; only those are named that it may leave.
    pub next: HashMap<Endpoint, BTreeSet<Endpoint>>,
}

/// One recipient: what its endpoints share.
pub(super) struct Recipient {
    pub(super) name: RecipientName,
    pub(super) protection: RecipientProtection,
    pub(super) pace: Pace,
    /// Stations that wait for one of its attempts to end.
    pub(super) waiting: BTreeSet<usize>,
    /// What people said about its maintenance.
    maintenance: Vec<Maintenance>,
    /// When it may be called: its calendar less that. `None` for always.
    calendar: Option<Arc<Calendar>>,
    /// What its calendar said last.
    seen: Option<Seen>,
}

/// What a calendar said, and how long that holds. Asking it anew for every attempt would cost more than the attempt.
#[derive(Clone, Copy, Debug)]
struct Seen {
    from: Timestamp,
    until: Timestamp,
    standing: Standing,
}

/// A calendar that does not change within its horizon is asked again after this.
const SEEN_MAX: Duration = Duration::from_secs(86_400);

impl Recipient {
    pub(super) fn new(name: RecipientName, protection: RecipientProtection) -> Self {
        Recipient {
            name,
            pace: Pace::new(&protection.pace),
            calendar: protection.calendar.clone(),
            protection,
            waiting: BTreeSet::new(),
            maintenance: Vec::new(),
            seen: None,
        }
    }

    /// Lays maintenance over the calendar that is configured now.
    fn lay_calendar(&mut self) {
        self.seen = None;
        self.calendar = self.protection.calendar.clone();
        if !self.maintenance.is_empty() {
            let hours = self.calendar.as_deref().cloned().or_else(|| Zone::new("UTC").ok().map(Calendar::new));
            self.calendar = hours.map(|hours| Arc::new(hours.with_maintenance(self.maintenance.iter().cloned())));
        }
    }

    /// Asks the calendar where what it said last holds no longer.
    pub(super) fn look_at_calendar(&mut self, now: Timestamp) {
        let Some(calendar) = &self.calendar else { return };
        if self.seen.is_none_or(|seen| !(seen.from..seen.until).contains(&now)) {
            let standing = calendar.at(now);
            let until = standing.until().unwrap_or(now.after(SEEN_MAX));
            self.seen = Some(Seen { from: now, until, standing });
        }
    }

    /// How the calendar stands; `None` where there is none.
    pub(super) fn standing(&self, now: Timestamp) -> Option<Standing> {
        let calendar = self.calendar.as_ref()?;
        let seen = self.seen.filter(|seen| (seen.from..seen.until).contains(&now));
        Some(seen.map_or_else(|| calendar.at(now), |seen| seen.standing))
    }
}

impl Recipient {
    /// Closed hours, or a holiday, that end what comes due in them.
    pub(super) fn ends_by_closing(&self, now: Timestamp) -> Option<Wait> {
        let wait = self.standing(now).filter(|_| self.protection.ends_when_closed)?.wait()?;
        (wait.why == HoldReason::Closed).then_some(wait)
    }
}

impl Dispatch {
    /// Whether an endpoint is in closed hours that end what comes due in them, and until when.
    pub fn ends_by_closing(&self, endpoint: &Endpoint, now: Timestamp) -> Option<Wait> {
        let station = &self.stations[*self.numbers.get(endpoint)?];
        self.recipients[station.recipient].ends_by_closing(now)
    }

    /// Until when an endpoint's recipient is closed or in maintenance, `Some(None)` without an end in sight; `None` while it is open.
    pub fn closed_until(&self, endpoint: &Endpoint, now: Timestamp) -> Option<Option<Timestamp>> {
        let station = &self.stations[*self.numbers.get(endpoint)?];
        Some(self.recipients[station.recipient].standing(now)?.wait()?.until)
    }

    /// Takes over what is configured now. What was learned and what is under way stays.
    pub fn follow(&mut self, protected: &Protected, now: Timestamp) {
        self.follows = true;
        // In order, so that the same configuration gives the same numbers, and with them the same turns.
        let mut used: Vec<&Endpoint> = protected.used.keys().collect();
        used.sort();
        for endpoint in used {
            self.number(endpoint, now);
        }
        for recipient in &mut self.recipients {
            recipient.protection = protected.recipients.get(&recipient.name).cloned().unwrap_or_default();
            recipient.pace.handle_settings(&recipient.protection.pace);
            recipient.lay_calendar();
            recipient.waiting.clear();
        }
        self.oldest.clear();
        for (endpoint, age) in &protected.used {
            let most = self.oldest.entry(endpoint.recipient.clone()).or_default();
            *most = (*most).max(*age);
        }
        self.follow_ways(protected, now);
        for (number, station) in self.stations.iter_mut().enumerate() {
            let ages = if station.lot.is_some() { self.oldest.get(&station.endpoint.recipient) } else { None };
            station.age_max = ages.or_else(|| protected.used.get(&station.endpoint)).copied();
            station.guard.handle_settings(self.recipients[station.recipient].protection.guard);
            station.wait = None;
            station.budget_until = None;
            self.touched.insert(number);
        }
    }

    fn follow_ways(&mut self, protected: &Protected, now: Timestamp) {
        for station in &mut self.stations {
            (station.next, station.before, station.leaving) = Default::default();
        }
        let mut ways: Vec<(&Endpoint, &Endpoint)> =
            protected.next.iter().flat_map(|(from, next)| next.iter().map(move |to| (from, to))).collect();
        ways.sort_unstable();
        for (from, to) in ways {
            let (from, to) = (self.number(from, now), self.number(to, now));
            self.stations[from].next.push(to);
            self.stations[to].before.push(from);
        }
    }

    /// A guard as it was kept over a stop.
    pub fn restore_guard(&mut self, kept: &KeptGuard, now: Timestamp) {
        let number = self.number(&kept.endpoint, now);
        let settings = self.recipients[self.stations[number].recipient].protection.guard;
        self.stations[number].guard = Guard::restore(settings, self.seed, &kept.endpoint, &kept.snapshot, now);
        self.touched.insert(number);
    }

    /// What people say about a recipient's maintenance now, in place of what they said before.
    pub fn set_maintenance(&mut self, name: &RecipientName, windows: Vec<Maintenance>) {
        let number = self.recipient(name);
        self.recipients[number].maintenance = windows;
        self.recipients[number].lay_calendar();
        let stations = self.stations.iter().enumerate().filter(|(_, station)| station.recipient == number);
        self.touched.extend(stations.map(|(number, _)| number));
    }

    /// Whether a recipient is in maintenance by a person's word.
    pub fn is_maintained(&self, name: &RecipientName, at: Timestamp) -> bool {
        let recipient = self.recipient_numbers.get(name).map(|number| &self.recipients[*number]);
        recipient.is_some_and(|one| one.maintenance.iter().any(|window| (window.from..window.until).contains(&at)))
    }

    /// When a recipient may be called: its calendar less maintenance by a person's word. `None` for always.
    pub fn calendar(&self, name: &RecipientName) -> Option<&Arc<Calendar>> {
        self.recipients[*self.recipient_numbers.get(name)?].calendar.as_ref()
    }

    /// A person stopped something, or lets it go on.
    pub fn set_stop(&mut self, target: &StopTarget, stopped: bool) {
        if stopped {
            self.stops.insert(target.clone());
        } else {
            self.stops.remove(target);
        }
        self.touched.extend(0..self.stations.len());
    }

    /// How long a delivery may be held at an endpoint as things are now; `None` where there is no bound.
    pub fn longest_hold(&self, endpoint: &Endpoint, now: Timestamp) -> Option<Duration> {
        self.held_max(*self.numbers.get(endpoint)?, now)
    }

    /// A person says what is to be with the breakers of a recipient, all of them or that of one origin. Answers with what
    /// changed, endpoint by endpoint; nothing for a breaker that is there already.
    pub fn act_on_breakers(
        &mut self,
        recipient: &RecipientName,
        origin: Option<&str>,
        verb: BreakerVerb,
        by: &ByHand,
        now: Timestamp,
    ) -> Vec<(Endpoint, Transition)> {
        let mut changed = Vec::new();
        for number in 0..self.stations.len() {
            let station = &mut self.stations[number];
            let meant = station.endpoint.recipient == *recipient
                && station.lot.is_none()
                && origin.is_none_or(|origin| *origin == *station.endpoint.origin);
            if !meant {
                continue;
            }
            let passed = station.guard.handle_time(now);
            let transition = station.guard.handle_verb(verb, by.clone(), now);
            changed.extend(transition.clone().map(|transition| (station.endpoint.clone(), transition)));
            self.note(number, passed);
            self.note(number, transition);
        }
        changed
    }
}
