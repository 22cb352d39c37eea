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

/// A delivery to start: it holds a slot until [`Dispatch::next_verb_or_finish`].
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
    /// Endpoints that some step sends to, with the age at which their deliveries are too old; `None` before it is known.
    used: Option<HashMap<Endpoint, Duration>>,
    in_flight: HashMap<DeliveryId, UnderWay>,
    recipients: HashMap<RecipientName, Recipient>,
    open: bool,
}

/// What waits for a delivery under way.
#[derive(Default)]
struct UnderWay {
    /// Verbs in the order they were given.
    verbs: VecDeque<PendingVerb>,
    /// Where it stood in its queue when that was passed over meanwhile.
    passed_over: Option<(QueueKey, DuePosition)>,
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
            used: None,
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

    /// Sets the endpoints that steps send to, each with the age at which its deliveries are to be looked at even while it is
    /// paused: they are too old then. What waits for another endpoint is not held by that endpoint's pause: its step sends
    /// somewhere else by now, or is gone.
    pub fn use_endpoints(&mut self, used: HashMap<Endpoint, Duration>) {
        self.used = Some(used);
        for number in 0..self.queues.len() {
            self.schedule(number);
        }
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
        let behind = self.queues[number].1.may_be_due(now);
        if behind || !self.has_slot() || self.paused(&key.endpoint, now).is_some() {
            return false;
        }
        self.take_slot(number, delivery)
    }

    /// Keeps a delivery from being started while a verb is stored. `false` when it is under way already.
    pub fn reserve(&mut self, delivery: DeliveryId) -> bool {
        let free = !self.in_flight.contains_key(&delivery);
        if free {
            self.in_flight.insert(delivery, UnderWay::default());
        }
        free
    }

    /// As [`Dispatch::reserve`] for several, all or none.
    ///
    /// # Errors
    /// Those that are under way already.
    pub fn reserve_all(&mut self, deliveries: &[DeliveryId]) -> Result<(), Vec<DeliveryId>> {
        let busy: Vec<DeliveryId> =
            deliveries.iter().copied().filter(|delivery| self.in_flight.contains_key(delivery)).collect();
        if !busy.is_empty() {
            return Err(busy);
        }
        self.in_flight.extend(deliveries.iter().map(|delivery| (*delivery, UnderWay::default())));
        Ok(())
    }

    /// Leaves a verb for when the attempt under way is settled. `false` when none is under way, or too many verbs wait.
    pub fn leave_verb(&mut self, delivery: DeliveryId, verb: PendingVerb) -> bool {
        const VERBS_MAX: usize = 8;
        match self.in_flight.get_mut(&delivery) {
            Some(under_way) if under_way.verbs.len() < VERBS_MAX => {
                under_way.verbs.push_back(verb);
                true
            }
            Some(_) | None => false,
        }
    }

    /// The verb left longest ago for a delivery under way. `None` when there is none: then its slot is free, in the same
    /// step, so that no verb can be left behind in between. Afterwards [`Dispatch::offer`] says where the delivery waits
    /// now, if it does.
    pub fn next_verb_or_finish(&mut self, delivery: DeliveryId) -> Option<PendingVerb> {
        let verb = self.next_verb(delivery);
        if verb.is_none() {
            self.in_flight.remove(&delivery);
        }
        verb
    }

    /// As [`Dispatch::next_verb_or_finish`], where nothing is known of where the delivery stands now: if its place in a
    /// queue was passed over while it was under way, it stands there again.
    pub fn next_verb_or_give_back(&mut self, delivery: DeliveryId) -> Option<PendingVerb> {
        let verb = self.next_verb(delivery);
        if verb.is_some() {
            return verb;
        }
        let under_way = self.in_flight.remove(&delivery);
        if let Some((key, position)) = under_way.and_then(|under_way| under_way.passed_over) {
            self.offer(&key, position);
        }
        None
    }

    fn next_verb(&mut self, delivery: DeliveryId) -> Option<PendingVerb> {
        self.in_flight.get_mut(&delivery)?.verbs.pop_front()
    }

    /// The recipient has answered: its own slot is free, though the attempt is not settled yet.
    pub fn answered(&mut self, recipient: &RecipientName) {
        if let Some(held) = self.recipients.get_mut(recipient) {
            held.in_flight = held.in_flight.saturating_sub(1);
        }
        self.unblock(recipient);
    }

    /// Pauses an endpoint; the later of two pauses counts.
    pub fn pause(&mut self, endpoint: &Endpoint, until: Timestamp) {
        let held = self.pauses.entry(endpoint.clone()).or_insert(until);
        *held = until.max(*held);
    }

    /// Until when an endpoint is paused.
    pub fn paused(&self, endpoint: &Endpoint, now: Timestamp) -> Option<Timestamp> {
        self.last_pause(endpoint).filter(|until| *until > now)
    }

    /// When the endpoint's last pause ends, or ended; nothing for an endpoint that no step sends to.
    pub fn last_pause(&self, endpoint: &Endpoint) -> Option<Timestamp> {
        let used = self.used.as_ref().is_none_or(|used| used.contains_key(endpoint));
        self.pauses.get(endpoint).copied().filter(|_| used)
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
            if let Some(start) = self.turn(number, now) {
                self.ring.push_back(number);
                return Some(start);
            }
            self.queues[number].1.in_ring = false;
            self.schedule(number);
        }
        None
    }

    /// One queue's turn: what it starts, or nothing if it has to leave the ring.
    fn turn(&mut self, number: usize, now: Timestamp) -> Option<Start> {
        let key = self.queues[number].0.clone();
        if self.is_recipient_full(&key.endpoint.recipient) {
            self.queues[number].1.blocked = true;
            self.recipients.entry(key.endpoint.recipient.clone()).or_default().blocked.insert(number);
            return None;
        }
        if self.paused(&key.endpoint, now).is_some() {
            return self.next_too_old(number, now);
        }
        while self.queues[number].1.is_due(now) {
            let position = self.queues[number].1.pop()?;
            if self.take_slot(number, position.id) {
                return Some(Start { delivery: position.id, position: Some(position), queue: key });
            }
            self.pass_over(key.clone(), position);
        }
        None
    }

    /// A delivery of a paused endpoint that has become too old to be sent.
    fn next_too_old(&mut self, number: usize, now: Timestamp) -> Option<Start> {
        let (key, queue) = &mut self.queues[number];
        let age = *self.used.as_ref()?.get(&key.endpoint)?;
        let position = queue.pop_older(now.before(age).before(ID_STEP))?;
        let key = key.clone();
        if self.take_slot(number, position.id) {
            return Some(Start { delivery: position.id, position: Some(position), queue: key });
        }
        self.pass_over(key, position);
        None
    }

    /// Remembers where a delivery stood that is under way already.
    fn pass_over(&mut self, key: QueueKey, position: DuePosition) {
        if let Some(under_way) = self.in_flight.get_mut(&position.id) {
            under_way.passed_over = Some((key, position));
        }
    }

    /// Ranges to read from the store now; each is told once, until [`Dispatch::refilled`].
    pub fn refills(&mut self, now: Timestamp) -> Vec<Refill> {
        let limit = self.limits.window;
        let mut wanted = Vec::new();
        let due: Vec<usize> = self.timers.iter().take_while(|(at, _)| *at <= now).map(|(_, number)| *number).collect();
        let active: Vec<usize> = self.ring.iter().copied().chain(due).collect();
        for number in active {
            if self.paused(&self.queues[number].0.endpoint, now).is_some() {
                continue;
            }
            let (key, queue) = &mut self.queues[number];
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
        let read = read.map(|read| {
            let last = read.last().copied().filter(|_| read.len() >= refill.limit);
            let (under_way, waiting): (Vec<_>, Vec<_>) =
                read.into_iter().partition(|position| self.in_flight.contains_key(&position.id));
            under_way.into_iter().for_each(|position| self.pass_over(refill.queue.clone(), position));
            (waiting, last)
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
        let paused = self.last_pause(&self.queues[number].0.endpoint).unwrap_or(Timestamp::MIN);
        let (key, queue) = &mut self.queues[number];
        let age = self.used.as_ref().and_then(|used| used.get(&key.endpoint));
        let age = age.map(|age| age.saturating_add(ID_STEP * 2));
        let too_old = queue.oldest().zip(age).map_or(Timestamp::MAX, |(oldest, age)| oldest.after(age));
        let wanted =
            if queue.in_ring || queue.blocked { None } else { queue.next_look().map(|at| at.max(paused.min(too_old))) };
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
        self.in_flight.insert(delivery, UnderWay::default());
        self.recipients.entry(recipient).or_default().in_flight += 1;
        true
    }

    fn unblock(&mut self, recipient: &RecipientName) {
        let blocked = self.recipients.get_mut(recipient).map(|held| std::mem::take(&mut held.blocked));
        for number in blocked.into_iter().flatten() {
            self.queues[number].1.blocked = false;
            self.schedule(number);
        }
    }
}

#[cfg(test)]
mod tests;
