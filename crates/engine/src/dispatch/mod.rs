//! Which delivery goes next. Pure: state, an event and the time in; what to start, and when to look again, out.
//!
//! Holds a small window of each queue's near future; the rest stays in the store and is read in ranges as the window
//! empties. A queue whose endpoint is paused loads and starts nothing.

mod queue;

use queue::Queue;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;
use steadfast_lead::{DeliveryId, RecipientName, Timestamp};
use steadfast_retry::{Endpoint, Verb};
use steadfast_store::{DuePosition, QueueKey};

/// Ids tell when they were made to the millisecond.
const ID_STEP: Duration = Duration::from_millis(1);

/// Bounds of dispatch.
#[derive(Clone, Copy, Debug)]
pub struct DispatchLimits {
    /// Attempts under way at once, in all.
    pub slots: usize,
    /// Attempts under way at once per recipient, where its own setting says nothing.
    pub recipient_slots: usize,
    /// Positions of one queue held in memory.
    pub window: usize,
}

/// A delivery to start: it holds a slot until [`Dispatch::finish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which.
    pub delivery: DeliveryId,
    /// When it was to be looked at, to tell an outdated position; `None` when it comes straight from intake.
    pub position: Option<DuePosition>,
    /// The queue it came from.
    pub queue: QueueKey,
}

/// A range of a queue to read from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refill {
    /// Which queue.
    pub queue: QueueKey,
    /// After this position.
    pub after: Option<DuePosition>,
    /// At most so many.
    pub limit: usize,
}

/// A verb that waits for the attempt to settle, and who gave it.
pub type PendingVerb = (Verb, Box<str>);

/// The state of dispatch.
pub struct Dispatch {
    limits: DispatchLimits,
    numbers: HashMap<QueueKey, usize>,
    queues: Vec<(QueueKey, Queue)>,
    ring: VecDeque<usize>,
    timers: BTreeSet<(Timestamp, usize)>,
    pauses: HashMap<Endpoint, Timestamp>,
    ages: HashMap<Endpoint, Duration>,
    in_flight: HashMap<DeliveryId, Vec<PendingVerb>>,
    recipients: HashMap<RecipientName, Recipient>,
    open: bool,
}

#[derive(Default)]
struct Recipient {
    in_flight: usize,
    limit: Option<usize>,
    blocked: BTreeSet<usize>,
}

impl Dispatch {
    /// Nothing waits, nothing is under way, starting is allowed.
    pub fn new(limits: DispatchLimits) -> Self {
        Dispatch {
            limits,
            numbers: HashMap::new(),
            queues: Vec::new(),
            ring: VecDeque::new(),
            timers: BTreeSet::new(),
            pauses: HashMap::new(),
            ages: HashMap::new(),
            in_flight: HashMap::new(),
            recipients: HashMap::new(),
            open: true,
        }
    }

    /// Starts nothing more; what is under way goes on.
    pub fn shut(&mut self) {
        self.open = false;
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Deliveries with an attempt (or a verb) under way, in no order.
    pub fn in_flight_ids(&self) -> Vec<DeliveryId> {
        self.in_flight.keys().copied().collect()
    }

    /// Whether an attempt (or a verb) of this delivery is under way.
    pub fn is_in_flight(&self, delivery: DeliveryId) -> bool {
        self.in_flight.contains_key(&delivery)
    }

    /// Sets how many attempts a recipient may have under way.
    pub fn limit_recipient(&mut self, recipient: &RecipientName, limit: Option<u32>) {
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        self.recipients.entry(recipient.clone()).or_default().limit = limit;
        self.unblock(recipient);
    }

    /// Sets the age at which deliveries to an endpoint are to be looked at even while it is paused: they are too old then.
    pub fn look_at_age(&mut self, endpoint: &Endpoint, age: Duration) {
        self.ages.insert(endpoint.clone(), age);
    }

    /// Tells of a queue in the store whose first delivery is to be looked at `next`.
    pub fn known_in_store(&mut self, key: &QueueKey, next: Timestamp) {
        let number = self.number(key);
        self.queues[number].1.expect_in_store(next);
        self.schedule(number);
    }

    /// Tells of a delivery that waits: newly accepted, or settled to wait. The store has it already.
    pub fn offer(&mut self, key: &QueueKey, position: DuePosition) {
        let number = self.number(key);
        self.queues[number].1.offer(position);
        self.schedule(number);
    }

    /// Takes a slot for a delivery straight from intake, passing over its queue, if nothing stands in the way.
    pub fn take_fresh(&mut self, key: &QueueKey, delivery: DeliveryId, now: Timestamp) -> bool {
        let number = self.number(key);
        let behind = self.queues[number].1.is_due(now);
        if behind || !self.has_slot() || self.paused(&key.endpoint, now).is_some() {
            return false;
        }
        self.take_slot(number, delivery)
    }

    /// Keeps a delivery from being started while a verb is stored. `false` when it is under way already.
    pub fn reserve(&mut self, delivery: DeliveryId) -> bool {
        let free = !self.in_flight.contains_key(&delivery);
        if free {
            self.in_flight.insert(delivery, Vec::new());
        }
        free
    }

    /// Leaves a verb for when the attempt under way is settled. `false` when none is under way, or too many verbs wait.
    pub fn leave_verb(&mut self, delivery: DeliveryId, verb: PendingVerb) -> bool {
        const VERBS_MAX: usize = 8;
        match self.in_flight.get_mut(&delivery) {
            Some(verbs) if verbs.len() < VERBS_MAX => {
                verbs.push(verb);
                true
            }
            Some(_) | None => false,
        }
    }

    /// The verb left longest ago for a delivery under way.
    pub fn take_verb(&mut self, delivery: DeliveryId) -> Option<PendingVerb> {
        let verbs = self.in_flight.get_mut(&delivery)?;
        if verbs.is_empty() { None } else { Some(verbs.remove(0)) }
    }

    /// The recipient has answered: its own slot is free, though the attempt is not settled yet.
    pub fn answered(&mut self, recipient: &RecipientName) {
        if let Some(held) = self.recipients.get_mut(recipient) {
            held.in_flight = held.in_flight.saturating_sub(1);
        }
        self.unblock(recipient);
    }

    /// The attempt (or verb) is settled: its slot is free. Afterwards [`Dispatch::offer`] says where it waits now, if it does.
    pub fn finish(&mut self, delivery: DeliveryId) {
        self.in_flight.remove(&delivery);
    }

    /// Pauses an endpoint; the later of two pauses counts.
    pub fn pause(&mut self, endpoint: &Endpoint, until: Timestamp) {
        let held = self.pauses.entry(endpoint.clone()).or_insert(until);
        *held = until.max(*held);
    }

    /// Until when an endpoint is paused.
    pub fn paused(&self, endpoint: &Endpoint, now: Timestamp) -> Option<Timestamp> {
        self.pauses.get(endpoint).copied().filter(|until| *until > now)
    }

    /// Endpoints paused at `now`.
    pub fn pauses(&self, now: Timestamp) -> Vec<(Endpoint, Timestamp)> {
        self.pauses
            .iter()
            .filter(|(_, until)| **until > now)
            .map(|(endpoint, until)| (endpoint.clone(), *until))
            .collect()
    }

    /// The next delivery to start at `now`, if one may start. Queues take turns.
    pub fn next(&mut self, now: Timestamp) -> Option<Start> {
        self.wake(now);
        while self.has_slot() {
            let number = self.ring.pop_front()?;
            let key = self.queues[number].0.clone();
            if self.paused(&key.endpoint, now).is_some() {
                if let Some(start) = self.next_too_old(number, now) {
                    self.ring.push_back(number);
                    return Some(start);
                }
                self.queues[number].1.in_ring = false;
                self.schedule(number);
                continue;
            }
            if !self.queues[number].1.is_due(now) {
                self.queues[number].1.in_ring = false;
                self.schedule(number);
                continue;
            }
            if self.is_recipient_full(&key.endpoint.recipient) {
                self.queues[number].1.in_ring = false;
                self.recipients.entry(key.endpoint.recipient.clone()).or_default().blocked.insert(number);
                continue;
            }
            self.ring.push_back(number);
            let Some(position) = self.queues[number].1.pop() else { continue };
            if self.take_slot(number, position.id) {
                return Some(Start { delivery: position.id, position: Some(position), queue: key });
            }
        }
        None
    }

    /// A delivery of a paused endpoint that has become too old to be sent.
    fn next_too_old(&mut self, number: usize, now: Timestamp) -> Option<Start> {
        let (key, queue) = &mut self.queues[number];
        let age = *self.ages.get(&key.endpoint)?;
        let position = queue.pop_older(now.before(age).before(ID_STEP))?;
        let start = Start { delivery: position.id, position: Some(position), queue: key.clone() };
        self.take_slot(number, position.id).then_some(start)
    }

    /// Ranges to read from the store now; each is told once, until [`Dispatch::refilled`].
    pub fn refills(&mut self, now: Timestamp) -> Vec<Refill> {
        let limit = self.limits.window;
        let mut wanted = Vec::new();
        let due: Vec<usize> = self.timers.iter().take_while(|(at, _)| *at <= now).map(|(_, number)| *number).collect();
        let active: Vec<usize> = self.ring.iter().copied().chain(due).collect();
        for number in active {
            let (key, queue) = &mut self.queues[number];
            let paused = self.pauses.get(&key.endpoint).is_some_and(|until| *until > now);
            if paused {
                continue;
            }
            if let Some(after) = queue.begin_refill(now) {
                wanted.push(Refill { queue: key.clone(), after, limit });
                self.schedule(number);
            }
        }
        wanted
    }

    /// A range that was read. `None` when reading failed: it is asked for again.
    pub fn refilled(&mut self, refill: &Refill, read: Option<Vec<DuePosition>>) {
        let number = self.number(&refill.queue);
        let in_flight = &self.in_flight;
        let read = read.map(|read| {
            let whole = read.len() < refill.limit;
            let last = read.last().copied();
            (
                read.into_iter().filter(|position| !in_flight.contains_key(&position.id)).collect(),
                last.filter(|_| !whole),
            )
        });
        self.queues[number].1.end_refill(read);
        self.schedule(number);
    }

    /// When to look again, if nothing else happens first.
    pub fn next_look(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    fn wake(&mut self, now: Timestamp) {
        while let Some((at, number)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, number));
            let queue = &mut self.queues[number].1;
            queue.timer = None;
            if !queue.in_ring {
                queue.in_ring = true;
                self.ring.push_back(number);
            }
        }
    }

    fn number(&mut self, key: &QueueKey) -> usize {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = self.queues.len();
        self.queues.push((key.clone(), Queue::new(self.limits.window)));
        self.numbers.insert(key.clone(), number);
        number
    }

    /// Sets the queue's timer to when it next wants a look: its first due time, or the end of its endpoint's pause.
    fn schedule(&mut self, number: usize) {
        let (key, queue) = &mut self.queues[number];
        let paused = self.pauses.get(&key.endpoint).copied().unwrap_or(Timestamp::MIN);
        let age = self.ages.get(&key.endpoint).map(|age| age.saturating_add(ID_STEP * 2));
        let too_old = queue.oldest().zip(age).map_or(Timestamp::MAX, |(oldest, age)| oldest.after(age));
        let wanted = if queue.in_ring { None } else { queue.next_look().map(|at| at.max(paused.min(too_old))) };
        if queue.timer == wanted {
            return;
        }
        if let Some(at) = queue.timer {
            self.timers.remove(&(at, number));
        }
        queue.timer = wanted;
        if let Some(at) = wanted {
            self.timers.insert((at, number));
        }
    }

    fn has_slot(&self) -> bool {
        self.open && self.in_flight.len() < self.limits.slots
    }

    fn is_recipient_full(&self, recipient: &RecipientName) -> bool {
        let Some(held) = self.recipients.get(recipient) else { return false };
        held.in_flight >= held.limit.unwrap_or(self.limits.recipient_slots)
    }

    fn take_slot(&mut self, number: usize, delivery: DeliveryId) -> bool {
        let recipient = self.queues[number].0.endpoint.recipient.clone();
        if self.in_flight.contains_key(&delivery) || self.is_recipient_full(&recipient) {
            return false;
        }
        self.in_flight.insert(delivery, Vec::new());
        self.recipients.entry(recipient).or_default().in_flight += 1;
        true
    }

    fn unblock(&mut self, recipient: &RecipientName) {
        let blocked = self.recipients.get_mut(recipient).map(|held| std::mem::take(&mut held.blocked));
        for number in blocked.into_iter().flatten() {
            self.schedule(number);
        }
    }
}

#[cfg(test)]
mod tests;
