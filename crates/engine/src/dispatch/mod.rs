//! Which delivery goes next. Pure: state, an event and the time in; what to start, and when to look again, out.
//!
//! Every endpoint is a station: its queues, its guard (breaker, retry budget, way back), and what it waits for. Stations with
//! something due that may go take turns by [`Fair`], which the simulator runs as well. Of each queue only a window of the near
//! future is held; the rest stays in the store and is read in ranges as the window empties. A station that is held, by its
//! recipient's asking, its calendar, its breaker or a person, loads and starts nothing, however much waits behind it: no write, no memory.
//!
//! What is looked at without being sent (too old, held too long, to be moved to another endpoint) is a *referral*: it needs no
//! right to an attempt, and takes at most a quarter of the slots.

mod flights;
mod leaving;
mod queue;
mod settings;
mod standing;
mod station;
mod turns;

pub use flights::PendingVerb;
pub use settings::{Protected, RecipientProtection};
pub use standing::{EndpointStanding, RecipientStanding};
pub use station::EndpointHold;

use flights::{Flights, Holding};
use settings::Recipient;
use station::{Duty, Station};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use steadfast_lead::{DeliveryId, RecipientName, Timestamp};
use steadfast_retry::breaker::{Symptom, Transition, Wait};
use steadfast_retry::calendar::Standing;
use steadfast_retry::fair::Fair;
use steadfast_retry::{Endpoint, Event, EventKind, Guard, HoldReason, Seed, StopTarget, Verdict};
use steadfast_store::{DuePosition, KeptGuard, QueueKey};

/// The share of the slots that referrals may take.
const REFERRALS_SHARE: usize = 4;
/// Lines for the journal kept for one endpoint until they are stored; beyond it the oldest are let go of.
const LINES_MAX: usize = 64;

/// Bounds of dispatch.
#[derive(Clone, Copy, Debug)]
pub struct DispatchLimits {
    /// Attempts under way at once, in all.
    pub slots: usize,
    /// Positions of one queue held in memory.
    pub window: usize,
}

/// What is to be done with a delivery that is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// It holds the right to an attempt.
    Attempt {
        /// It passes others of its queue that have been due for longer: after an unclean stop nobody would look for it
        /// there, so its mark must be durable before anything is sent.
        passes: bool,
    },
    /// It is too old, was held too long, or has to move: nothing may be sent.
    Referral,
}

/// A delivery to start: it holds a slot until [`Dispatch::next_verb_or_finish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which.
    pub delivery: DeliveryId,
    /// When it was to be looked at, to tell an outdated position; `None` when it comes straight from intake.
    pub position: Option<DuePosition>,
    /// The queue it came from.
    pub queue: QueueKey,
    /// What is to be done.
    pub errand: Errand,
}

/// A range of a queue to read from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refill {
    /// To be looked at whether it may leave for the next leg.
    pub leaving: bool,
    /// Which queue.
    pub queue: QueueKey,
    /// After this position.
    pub after: Option<DuePosition>,
    /// At most so many.
    pub limit: usize,
}

/// What was heard of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// What it meant.
    pub verdict: &'a Verdict,
    /// How long it took.
    pub took: Duration,
    /// How long the recipient asked to be left alone.
    pub asked: Option<Duration>,
}

/// The state of dispatch.
pub struct Dispatch {
    limits: DispatchLimits,
    seed: Seed,
    fair: Fair,
    numbers: HashMap<Endpoint, usize>,
    stations: Vec<Station>,
    recipient_numbers: HashMap<RecipientName, usize>,
    recipients: Vec<Recipient>,
    /// Whether it is known which endpoints steps send to.
    follows: bool,
    stops: BTreeSet<StopTarget>,
    /// How old a delivery to a recipient gets at most: what the lots of its stops hold is referred then.
    oldest: HashMap<RecipientName, Duration>,
    timers: BTreeSet<(Timestamp, usize)>,
    /// Stations something happened to since they were looked at.
    touched: BTreeSet<usize>,
    /// Stations with something to refer.
    referring: BTreeSet<usize>,
    wanted: Vec<Refill>,
    flights: Flights,
    changed: BTreeMap<usize, Vec<Event>>,
    open: bool,
}

impl Dispatch {
    /// Nothing waits, nothing is under way, starting is allowed.
    pub fn new(limits: DispatchLimits, seed: Seed) -> Self {
        Dispatch {
            limits,
            seed,
            fair: Fair::new(limits.slots),
            numbers: HashMap::new(),
            stations: Vec::new(),
            recipient_numbers: HashMap::new(),
            recipients: Vec::new(),
            follows: false,
            stops: BTreeSet::new(),
            oldest: HashMap::new(),
            timers: BTreeSet::new(),
            touched: BTreeSet::new(),
            referring: BTreeSet::new(),
            wanted: Vec::new(),
            flights: Flights::default(),
            changed: BTreeMap::new(),
            open: true,
        }
    }

    /// Starts nothing more; what is under way goes on.
    pub fn shut(&mut self) {
        self.open = false;
    }

    /// Attempts under way, and verbs being stored.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Deliveries with an attempt (or a verb) under way, in no order.
    pub fn in_flight_ids(&self) -> Vec<DeliveryId> {
        self.flights.ids()
    }

    /// Whether an attempt (or a verb) of this delivery is under way.
    pub fn is_in_flight(&self, delivery: DeliveryId) -> bool {
        self.flights.contains(delivery)
    }

    /// Tells of a queue in the store whose first delivery is to be looked at `next`.
    pub fn known_in_store(&mut self, key: &QueueKey, next: Timestamp, now: Timestamp) {
        let number = self.number(&key.endpoint, now);
        let station = &mut self.stations[number];
        station.queue(key, self.limits.window).expect_in_store(next);
        if let Some(leaving) = &mut station.leaving {
            leaving.expect_in_store(key, next, self.limits.window);
        }
        self.touched.insert(number);
    }

    /// Tells of a delivery that waits: newly accepted, or settled to wait. The store has it already.
    pub fn offer(&mut self, key: &QueueKey, position: DuePosition, now: Timestamp) {
        let number = self.number(&key.endpoint, now);
        let station = &mut self.stations[number];
        station.queue(key, self.limits.window).offer(position);
        if let Some(leaving) = &mut station.leaving {
            leaving.offer(key, position, self.limits.window);
        }
        self.touched.insert(number);
    }

    /// Keeps a delivery from being started while a verb is stored. `false` when it is under way already.
    pub fn reserve(&mut self, delivery: DeliveryId) -> bool {
        self.flights.begin(delivery, Holding::Place)
    }

    /// As [`Dispatch::reserve`] for several, all or none.
    ///
    /// # Errors
    /// Those that are under way already.
    pub fn reserve_all(&mut self, deliveries: &[DeliveryId]) -> Result<(), Vec<DeliveryId>> {
        let busy: Vec<DeliveryId> =
            deliveries.iter().copied().filter(|delivery| self.flights.contains(*delivery)).collect();
        if !busy.is_empty() {
            return Err(busy);
        }
        for delivery in deliveries {
            self.flights.begin(*delivery, Holding::Place);
        }
        Ok(())
    }

    /// Leaves a verb for when the attempt under way is settled. `false` when none is under way, or too many verbs wait.
    pub fn leave_verb(&mut self, delivery: DeliveryId, verb: PendingVerb) -> bool {
        self.flights.leave_verb(delivery, verb)
    }

    /// The verb left longest ago for a delivery under way. `None` when there is none: then its slot is free, in the same
    /// step, so that no verb can be left behind in between. Afterwards [`Dispatch::offer`] says where the delivery waits
    /// now, if it does.
    pub fn next_verb_or_finish(&mut self, delivery: DeliveryId, now: Timestamp) -> Option<PendingVerb> {
        let verb = self.flights.next_verb(delivery);
        if verb.is_none() {
            self.finish(delivery, now);
        }
        verb
    }

    /// As [`Dispatch::next_verb_or_finish`], where nothing is known of where the delivery stands now: if its place in a
    /// queue was passed over while it was under way, it stands there again.
    pub fn next_verb_or_give_back(&mut self, delivery: DeliveryId, now: Timestamp) -> Option<PendingVerb> {
        let verb = self.flights.next_verb(delivery);
        if verb.is_some() {
            return verb;
        }
        if let Some((key, position)) = self.finish(delivery, now) {
            self.offer(&key, position, now);
        }
        None
    }

    fn finish(&mut self, delivery: DeliveryId, now: Timestamp) -> Option<(QueueKey, DuePosition)> {
        // An attempt that nobody answered for did not start.
        self.answered(delivery, None, now);
        let (holding, passed_over) = self.flights.end(delivery)?;
        match holding {
            Holding::Attempt { party, took, .. } => self.fair.finish(party, took),
            Holding::Referral { from } => {
                self.stations[from].referrals -= 1;
                if self.stations[from].leaving.is_some() {
                    self.touched.insert(from);
                }
            }
            Holding::Place => {}
        }
        passed_over
    }

    /// What came of an attempt: its recipient has a slot free, though the attempt is not settled yet. `None` where it did not
    /// start after all. Told once; a second time nothing happens.
    pub fn answered(&mut self, delivery: DeliveryId, heard: Option<Heard<'_>>, now: Timestamp) {
        let Some((party, permit, started)) = self.flights.answer(delivery, now) else { return };
        let number = party.index();
        let station = &mut self.stations[number];
        let slow_call = station.guard.breaker().settings().slow_call;
        let symptom = heard.map(|heard| Symptom::of(heard.verdict, heard.took, heard.asked, slow_call));
        let transition = match &symptom {
            Some(symptom) => station.guard.handle_result(permit, symptom, now),
            None => station.guard.handle_unused(permit, now),
        };
        let recipient = &mut self.recipients[station.recipient];
        let symptom = symptom.unwrap_or(Symptom::cancelled(Duration::ZERO));
        recipient.pace.handle_result(started, &symptom, now);
        let waiting = std::mem::take(&mut recipient.waiting);
        for number in waiting.into_iter().chain([number]) {
            self.stations[number].wait = None;
            self.touched.insert(number);
        }
        self.note(number, transition);
    }

    /// Pauses an endpoint; the later of two pauses counts.
    pub fn pause(&mut self, endpoint: &Endpoint, until: Timestamp, now: Timestamp) {
        let number = self.number(endpoint, now);
        let paused = &mut self.stations[number].paused_until;
        *paused = (*paused).max(Some(until));
        self.touched.insert(number);
    }

    /// Why an endpoint may not be called, by its calendar or because its recipient asked to be left alone; nothing for an
    /// endpoint that no step sends to.
    pub fn paused(&self, endpoint: &Endpoint, now: Timestamp) -> Option<Wait> {
        let station = self.stations.get(*self.numbers.get(endpoint)?)?;
        self.asked_or_closed(station, now).filter(|_| self.duty(station) == Duty::Send)
    }

    /// Of both, the one that ends later.
    fn asked_or_closed(&self, station: &Station, now: Timestamp) -> Option<Wait> {
        let asked = station.paused_until.filter(|until| *until > now);
        let asked = asked.map(|until| Wait { until: Some(until), why: HoldReason::RetryAfter });
        let closed = self.recipients[station.recipient].standing(now).and_then(Standing::wait);
        // Without an end in sight it is the calendar's.
        asked.into_iter().chain(closed).max_by_key(|wait| (wait.until.is_none(), wait.until))
    }

    /// Why an endpoint starts nothing at `now`; `None` where it does, and for one that no step sends to.
    pub fn hold(&self, endpoint: &Endpoint, now: Timestamp) -> Option<EndpointHold> {
        self.hold_of(*self.numbers.get(endpoint)?, now)
    }

    /// When an endpoint was let go last after a pause or another hold.
    pub fn released_at(&self, endpoint: &Endpoint) -> Option<Timestamp> {
        let station = self.stations.get(*self.numbers.get(endpoint)?)?;
        station.released_at.max(station.paused_until)
    }

    /// Endpoints paused at `now` by their recipients' asking.
    pub fn pauses(&self, now: Timestamp) -> Vec<(Endpoint, Timestamp)> {
        let paused = self.stations.iter().filter_map(|station| {
            let until = station.paused_until.filter(|until| *until > now)?;
            Some((station.endpoint.clone(), until))
        });
        paused.collect()
    }

    /// What changed of guards since this was asked last, with the lines for the journal: to be stored in this order.
    pub fn take_changed(&mut self) -> Vec<(KeptGuard, Vec<Event>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|(number, lines)| (self.kept(number), lines)).collect()
    }

    /// Whether [`Dispatch::take_changed`] has something.
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Every guard, as it is to be kept over a stop.
    pub fn kept_guards(&self) -> Vec<KeptGuard> {
        (0..self.stations.len()).filter(|number| self.stations[*number].lot.is_none()).map(|n| self.kept(n)).collect()
    }

    fn kept(&self, number: usize) -> KeptGuard {
        let station = &self.stations[number];
        KeptGuard { endpoint: station.endpoint.clone(), snapshot: station.guard.snapshot() }
    }

    fn note(&mut self, number: usize, transition: Option<Transition>) {
        let Some(transition) = transition else { return };
        let station = &mut self.stations[number];
        station.wait = None;
        self.touched.insert(number);
        let endpoint = station.endpoint.clone();
        let lines = self.changed.entry(number).or_default();
        if lines.len() == LINES_MAX {
            lines.remove(0);
        }
        let (at, transition) = (transition.at, Box::new(transition));
        lines.push(Event { at, kind: EventKind::BreakerChanged { endpoint, transition } });
    }

    /// Ranges to read from the store now; each is told once, until [`Dispatch::refilled`].
    pub fn refills(&mut self, now: Timestamp) -> Vec<Refill> {
        self.catch_up(now);
        std::mem::take(&mut self.wanted)
    }

    /// A range that was read. `None` when reading failed: it is asked for again.
    pub fn refilled(&mut self, refill: &Refill, read: Option<Vec<DuePosition>>, now: Timestamp) {
        let number = self.number(&refill.queue.endpoint, now);
        let read = read.map(|read| {
            let last = read.last().copied().filter(|_| read.len() >= refill.limit);
            let (under_way, waiting): (Vec<_>, Vec<_>) =
                read.into_iter().partition(|position| self.flights.contains(position.id));
            under_way.into_iter().for_each(|position| self.flights.pass_over(refill.queue.clone(), position));
            (waiting, last)
        });
        match &mut self.stations[number].leaving {
            Some(leaving) if refill.leaving => leaving.refilled(refill, read, self.limits.window),
            None if refill.leaving => {}
            Some(_) | None => self.stations[number].queue(&refill.queue, self.limits.window).end_refill(read),
        }
        self.touched.insert(number);
    }

    /// When to look again, if nothing else happens first.
    pub fn next_look(&self) -> Option<Timestamp> {
        if !self.touched.is_empty() {
            return Some(Timestamp::MIN);
        }
        self.timers.first().map(|(at, _)| *at)
    }

    /// Why a station starts nothing now.
    fn hold_of(&self, number: usize, now: Timestamp) -> Option<EndpointHold> {
        let station = &self.stations[number];
        let by_hand = station.lot.as_ref().is_some_and(|stop| self.stops.contains(stop))
            || self.stops.contains(&StopTarget::Recipient(station.endpoint.recipient.clone()));
        if by_hand {
            return Some(EndpointHold { why: HoldReason::Paused, until: None });
        }
        if self.duty(station) == Duty::Move {
            return None;
        }
        let asked = self.asked_or_closed(station, now).map(EndpointHold::from);
        asked.or_else(|| station.guard.breaker().stops(now).map(EndpointHold::from)).or(station.wait)
    }

    fn duty(&self, station: &Station) -> Duty {
        let used = !self.follows || station.age_max.is_some();
        if used && station.lot.is_none() { Duty::Send } else { Duty::Move }
    }

    fn number(&mut self, endpoint: &Endpoint, now: Timestamp) -> usize {
        if let Some(number) = self.numbers.get(endpoint) {
            return *number;
        }
        let number = self.stations.len();
        let recipient = self.recipient(&endpoint.recipient);
        let settings = self.recipients[recipient].protection.guard;
        let guard = Guard::new(settings, self.seed, endpoint, now);
        let party = self.fair.add();
        debug_assert_eq!(party.index(), number, "stations and parties are counted alike");
        let mut station = Station::new(endpoint.clone(), party, recipient, guard);
        if station.lot.is_some() {
            station.age_max = self.oldest.get(&endpoint.recipient).copied();
        }
        self.stations.push(station);
        self.numbers.insert(endpoint.clone(), number);
        number
    }

    fn recipient(&mut self, name: &RecipientName) -> usize {
        if let Some(number) = self.recipient_numbers.get(name) {
            return *number;
        }
        let number = self.recipients.len();
        self.recipients.push(Recipient::new(name.clone(), RecipientProtection::default()));
        self.recipient_numbers.insert(name.clone(), number);
        number
    }
}

#[cfg(test)]
mod tests;
