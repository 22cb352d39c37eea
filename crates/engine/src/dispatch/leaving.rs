//! Leaving an endpoint whose breaker lets nothing go: what is due there goes to the next leg of its step, as referrals.
//!
//! Only while one of the next endpoints takes leads, and only as fast as it starts them: what cannot go anywhere is neither read
//! nor written, however much it is. What was looked at and has to stay (its next endpoint takes nothing, an attempt is in
//! doubt) is not looked at again until an endpoint takes leads that did not before.

use super::queue::Queue;
use super::station::{Duty, QUEUES, place};
use super::{Dispatch, Refill};
use std::time::Duration;
use steadfast_lead::{Priority, Timestamp};
use steadfast_retry::breaker::BreakerState;
use steadfast_retry::{Endpoint, StopTarget};
use steadfast_store::{DuePosition, QueueKey};

/// Nothing more goes to an endpoint where so many are due.
const AHEAD_MAX: usize = 128;
/// Deliveries of one endpoint that are looked at in a second though they have to stay.
const STAYS_MAX: u32 = 1_000;
const STAYS_IN: Duration = Duration::from_secs(1);
/// What stayed is looked at again no sooner.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How far an endpoint's deliveries have been looked at. They stand in its queues as well: there they are held.
pub(super) struct Leaving {
    queues: [Option<Box<Queue>>; QUEUES],
    began: Timestamp,
    /// Some were looked at and have to stay.
    stayed: bool,
    /// Since it began, a next endpoint has come to take leads.
    turned: bool,
    /// How many had to stay since then.
    stays: (Timestamp, u32),
}

/// How an endpoint takes what leaves another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taking {
    takes: bool,
    /// And has not enough to do as it is.
    has_room: bool,
}

impl Leaving {
    /// Of these queues, everything the store has is still to be looked at.
    fn of(queues: impl Iterator<Item = QueueKey>, window_max: usize, now: Timestamp) -> Self {
        let mut leaving =
            Leaving { queues: Default::default(), began: now, stayed: false, turned: false, stays: (now, 0) };
        queues.for_each(|key| leaving.queue(&key, window_max).expect_in_store(now));
        leaving
    }

    fn queue(&mut self, key: &QueueKey, window_max: usize) -> &mut Queue {
        let queue = &mut self.queues[place(key.priority, key.retries)];
        queue.get_or_insert_with(|| Box::new(Queue::new(window_max, false)))
    }

    fn with_keys<'a>(&'a mut self, endpoint: &'a Endpoint) -> impl Iterator<Item = (QueueKey, &'a mut Queue)> {
        let keys = Priority::ALL.into_iter().flat_map(|priority| [(priority, false), (priority, true)]);
        keys.zip(&mut self.queues).filter_map(|((priority, retries), queue)| {
            Some((QueueKey { endpoint: endpoint.clone(), priority, retries }, queue.as_deref_mut()?))
        })
    }

    /// Until when nothing is looked at, because too many had to stay.
    fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        let (since, stays) = self.stays;
        let until = since.after(STAYS_IN);
        (stays >= STAYS_MAX && (since..until).contains(&now)).then_some(until)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.queues.iter().flatten().any(|queue| queue.due_since(now).is_some())
    }

    fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        self.queues.iter().flatten().filter_map(|queue| queue.next_look(now)).min()
    }

    /// One was looked at and has to stay.
    fn stay(&mut self, now: Timestamp) {
        self.stayed = true;
        let (since, stays) = self.stays;
        let goes_on = (since..since.after(STAYS_IN)).contains(&now);
        self.stays = if goes_on { (since, stays.saturating_add(1)) } else { (now, 1) };
    }

    /// Tells of a delivery that has come to wait here; the store has it.
    pub(super) fn offer(&mut self, key: &QueueKey, position: DuePosition, window_max: usize) {
        self.queue(key, window_max).offer(position);
    }

    /// Tells of a queue in the store.
    pub(super) fn expect_in_store(&mut self, key: &QueueKey, next: Timestamp, window_max: usize) {
        self.queue(key, window_max).expect_in_store(next);
    }

    /// A range that was read; of no use where another one is waited for by now.
    pub(super) fn refilled(
        &mut self,
        refill: &Refill,
        read: Option<(Vec<DuePosition>, Option<DuePosition>)>,
        window_max: usize,
    ) {
        let queue = self.queue(&refill.queue, window_max);
        if queue.awaits(refill.after) {
            queue.end_refill(read);
        }
    }
}

impl Dispatch {
    /// Whether a delivery may leave an endpoint for the next one now; answers with how the breaker of the one it leaves stands.
    pub fn leaves(&self, endpoint: &Endpoint, next: &Endpoint, now: Timestamp) -> Option<BreakerState> {
        let (here, there) = (*self.numbers.get(endpoint)?, *self.numbers.get(next)?);
        let goes = self.is_left(here, now) && self.stations[here].next.contains(&there) && self.takes(there, now);
        goes.then(|| self.stations[here].guard.breaker().state())
    }

    /// A delivery that was looked at stays where it stood.
    pub fn put_back(&mut self, key: &QueueKey, position: DuePosition, now: Timestamp) {
        let number = self.number(&key.endpoint, now);
        let station = &mut self.stations[number];
        station.queue(key, self.limits.window).offer(position);
        if let Some(leaving) = &mut station.leaving {
            leaving.stay(now);
        }
        self.touched.insert(number);
    }

    /// Its breaker lets nothing go, what waits may go elsewhere, and nothing else holds it.
    fn is_left(&self, number: usize, now: Timestamp) -> bool {
        let station = &self.stations[number];
        let may_go = !station.next.is_empty() && self.is_called(number, now);
        may_go && station.guard.breaker().stops(now).is_some()
    }

    fn takes(&self, number: usize, now: Timestamp) -> bool {
        let station = &self.stations[number];
        let asked = station.paused_until.is_some_and(|until| until > now);
        self.is_called(number, now) && !asked && station.guard.breaker().stops(now).is_none()
    }

    /// Neither a person nor its calendar keeps it from being called.
    fn is_called(&self, number: usize, now: Timestamp) -> bool {
        let station = &self.stations[number];
        let stopped = self.stops.contains(&StopTarget::Recipient(station.endpoint.recipient.clone()));
        let closed = self.recipients[station.recipient].standing(now).and_then(|standing| standing.wait());
        !stopped && closed.is_none() && self.duty(station) == Duty::Send
    }

    /// How many more an endpoint has room for.
    fn room(&self, number: usize, now: Timestamp) -> usize {
        if !self.takes(number, now) {
            return 0;
        }
        let station = &self.stations[number];
        // One is enough to find out how it is.
        let most = if station.guard.breaker().state() == BreakerState::HalfOpen { 1 } else { AHEAD_MAX };
        most - station.due_up_to(most, now)
    }

    /// Whether one more may go from an endpoint to one of the next, beside those that are under way.
    fn has_way(&self, number: usize, now: Timestamp) -> bool {
        let station = &self.stations[number];
        station.next.iter().any(|next| station.referrals < self.room(*next, now))
    }

    /// Begins and ends leaving as things are now, and tells those before it where it takes leads now.
    pub(super) fn look_at_ways(&mut self, number: usize, now: Timestamp) {
        let is_left = self.is_left(number, now);
        let station = &mut self.stations[number];
        let again = |leaving: &Leaving| leaving.stayed && leaving.turned && now >= leaving.began.after(AGAIN_AFTER);
        if !is_left {
            station.leaving = None;
        } else if station.leaving.as_ref().is_none_or(again) {
            let keys: Vec<QueueKey> = station.queues().map(|(key, _)| key).collect();
            station.leaving = Some(Leaving::of(keys.into_iter(), self.limits.window, now));
        }
        if self.stations[number].before.is_empty() {
            return;
        }
        let taking = Taking { takes: self.takes(number, now), has_room: self.room(number, now) > 0 };
        let seen = std::mem::replace(&mut self.stations[number].taking, taking);
        if seen == taking {
            return;
        }
        for before in self.stations[number].before.clone() {
            if let Some(leaving) = &mut self.stations[before].leaving {
                leaving.turned |= taking.takes && !seen.takes;
                self.touched.insert(before);
            }
        }
    }

    /// What is due at a held endpoint is referred where it has a way. Answers with when to look again.
    pub(super) fn leave(&mut self, number: usize, now: Timestamp) -> Option<Timestamp> {
        let leaving = self.stations[number].leaving.as_ref()?;
        if let Some(until) = leaving.rests_until(now) {
            return Some(until);
        }
        let again = (leaving.stayed && leaving.turned).then(|| leaving.began.after(AGAIN_AFTER));
        if !self.has_way(number, now) {
            return again;
        }
        let station = &mut self.stations[number];
        let leaving = station.leaving.as_mut()?;
        let limit = self.limits.window;
        for (queue, window) in leaving.with_keys(&station.endpoint) {
            if let Some(after) = window.begin_refill(now) {
                self.wanted.push(Refill { queue, after, limit, leaving: true });
            }
        }
        if leaving.is_due(now) {
            self.referring.insert(number);
        }
        leaving.next_look(now).into_iter().chain(again).min()
    }

    /// Takes out one that is due and has not been looked at yet, where there is a way.
    pub(super) fn pop_leaving(&mut self, number: usize, now: Timestamp) -> Option<(QueueKey, DuePosition)> {
        let rests = self.stations[number].leaving.as_ref()?.rests_until(now);
        if rests.is_some() || !self.has_way(number, now) {
            return None;
        }
        let station = &mut self.stations[number];
        let leaving = station.leaving.as_mut()?;
        let mut queues = leaving.with_keys(&station.endpoint);
        let found = queues.find_map(|(key, queue)| Some((key, queue.pop_due_before(now)?)));
        drop(queues);
        let (key, position) = found?;
        station.queue(&key, self.limits.window).take(position);
        Some((key, position))
    }
}
