//! Looking at stations whose time has come, and starting what may start, in turns.

use super::flights::Holding;
use super::station::{Duty, Picked};
use super::{Dispatch, EndpointHold, Errand, REFERRALS_SHARE, Refill, Start};
use std::time::Duration;
use steadfast_lead::{DeliveryId, Priority, Timestamp};
use steadfast_retry::breaker::Wait;
use steadfast_retry::calendar::Standing;
use steadfast_retry::fair::{Lane, Turn};
use steadfast_retry::{HoldReason, Permit, Sending, ask};
use steadfast_store::{DuePosition, QueueKey};

impl Dispatch {
    /// Takes a slot for a delivery straight from intake, passing over its queue, if nothing stands in the way.
    pub fn take_fresh(&mut self, key: &QueueKey, delivery: DeliveryId, now: Timestamp) -> bool {
        self.catch_up(now);
        let number = self.number(&key.endpoint, now);
        let held = self.hold_of(number, now).is_some() || self.duty(&self.stations[number]) == Duty::Move;
        let behind = self.stations[number].queue(key, self.limits.window).may_be_due(now);
        let others_wait = self.fair.next(now).is_some();
        let no_slot = !self.open || !self.fair.has_slot() || self.flights.contains(delivery);
        if held || behind || others_wait || no_slot {
            return false;
        }
        let Some(permit) = self.permit(number, Sending::First, now) else { return false };
        let party = self.stations[number].party;
        self.fair.set_due(party, key.priority, Some(now));
        self.fly(Turn { party, class: key.priority, lane: Lane::Oldest }, delivery, permit, now)
    }

    /// The next delivery to start at `now`, if one may start.
    pub fn next(&mut self, now: Timestamp) -> Option<Start> {
        self.catch_up(now);
        if !self.open {
            return None;
        }
        if let Some(start) = self.next_referral(now) {
            return Some(start);
        }
        while let Some(turn) = self.fair.next(now) {
            if let Some(start) = self.turn(turn, now) {
                return Some(start);
            }
        }
        None
    }

    /// Looks at every station whose time has come, or to which something happened.
    pub(super) fn catch_up(&mut self, now: Timestamp) {
        while let Some((at, number)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, number));
            self.stations[number].timer = None;
            self.touched.insert(number);
        }
        while let Some(number) = self.touched.pop_first() {
            self.look(number, now);
        }
    }

    fn look(&mut self, number: usize, now: Timestamp) {
        let transition = self.stations[number].guard.handle_time(now);
        if transition.is_some() {
            self.note(number, transition);
            self.touched.remove(&number);
        }
        self.stations[number].pass_time(now);
        let recipient = self.stations[number].recipient;
        self.recipients[recipient].look_at_calendar(now);
        let hold = self.hold_of(number, now);
        self.stations[number].note_hold(hold, now);
        self.look_at_ways(number, now);
        let due = match hold {
            Some(hold) => self.hold_back(number, hold, now),
            None => self.let_go(number, now),
        };
        let looks = due.into_iter().chain(self.stations[number].guard.next_look());
        self.set_timer(number, looks.filter(|at| *at > now).min());
    }

    /// A station that is held leaves the ring; what has waited too long, or has another way, is referred all the same. Answers with when to look.
    fn hold_back(&mut self, number: usize, hold: EndpointHold, now: Timestamp) -> Option<Timestamp> {
        self.fair.park(self.stations[number].party);
        let held_max = self.held_max(number, now);
        let overdue = self.stations[number].overdue_at(held_max);
        if overdue.is_some_and(|at| at <= now) {
            self.read_ahead(number, now);
            self.referring.insert(number);
        }
        let leaves = self.leave(number, now);
        overdue.filter(|at| *at > now).into_iter().chain(leaves).chain(hold.until).min()
    }

    /// A station that is not held: what is due joins the ring, or is moved.
    fn let_go(&mut self, number: usize, now: Timestamp) -> Option<Timestamp> {
        self.read_ahead(number, now);
        let duty = self.duty(&self.stations[number]);
        let station = &self.stations[number];
        let next = station.next_due(now);
        let due = Priority::ALL.map(|class| (class, station.due_since(class, now)));
        // What is in the ring must not start after the closing; an endpoint that has nothing is not looked at for it.
        let waits = due.iter().any(|(_, since)| since.is_some());
        let closing = self.recipients[station.recipient].standing(now).filter(|_| waits).and_then(Standing::until);
        match duty {
            Duty::Send => due.into_iter().for_each(|(class, since)| self.fair.set_due(station.party, class, since)),
            Duty::Move => {
                self.fair.park(station.party);
                if waits {
                    self.referring.insert(number);
                }
            }
        }
        next.into_iter().chain(closing).min()
    }

    fn read_ahead(&mut self, number: usize, now: Timestamp) {
        let limit = self.limits.window;
        for (queue, window) in self.stations[number].queues() {
            if let Some(after) = window.begin_refill(now) {
                self.wanted.push(Refill { queue, after, limit, leaving: false });
            }
        }
    }

    /// How long a delivery may be held as things are: bounded only while the breaker is open, and in closed hours that end what
    /// comes due in them.
    pub(super) fn held_max(&self, number: usize, now: Timestamp) -> Option<Duration> {
        let station = &self.stations[number];
        if self.recipients[station.recipient].ends_by_closing(now).is_some() {
            return Some(Duration::ZERO);
        }
        station.guard.breaker().stops(now)?;
        self.recipients[station.recipient].protection.longest_hold
    }

    fn set_timer(&mut self, number: usize, wanted: Option<Timestamp>) {
        let held = std::mem::replace(&mut self.stations[number].timer, wanted);
        if held == wanted {
            return;
        }
        if let Some(at) = held {
            self.timers.remove(&(at, number));
        }
        if let Some(at) = wanted {
            self.timers.insert((at, number));
        }
    }

    fn next_referral(&mut self, now: Timestamp) -> Option<Start> {
        let most = (self.limits.slots / REFERRALS_SHARE).max(1);
        while let Some(number) = self.referring.first().copied() {
            if self.flights.referrals() >= most {
                return None;
            }
            let found = match self.hold_of(number, now) {
                Some(_) => {
                    let held_max = self.held_max(number, now);
                    let overdue = self.stations[number].pop_overdue(held_max, now);
                    overdue.or_else(|| self.pop_leaving(number, now))
                }
                None if self.duty(&self.stations[number]) == Duty::Move => self.stations[number].pop_due(now),
                None => None,
            };
            let Some((queue, position)) = found else {
                self.referring.remove(&number);
                self.look(number, now);
                // What is overdue and not there is being read; its coming touches the station again.
                self.referring.remove(&number);
                continue;
            };
            if self.flights.begin(position.id, Holding::Referral { from: number }) {
                self.stations[number].referrals += 1;
                let (delivery, position) = (position.id, Some(position));
                return Some(Start { delivery, position, queue, errand: Errand::Referral });
            }
            self.flights.pass_over(queue, position);
        }
        None
    }

    /// The turn of one endpoint: what it starts, or nothing if it has to leave the ring.
    fn turn(&mut self, turn: Turn, now: Timestamp) -> Option<Start> {
        let number = turn.party.index();
        let Some(picked) = self.stations[number].pick(turn.class, turn.lane, now) else {
            self.look(number, now);
            return None;
        };
        let Picked { retries, position, passes } = picked;
        let queue = QueueKey { endpoint: self.stations[number].endpoint.clone(), priority: turn.class, retries };
        if self.flights.contains(position.id) {
            self.take_out(number, &queue, position);
            self.flights.pass_over(queue, position);
            self.look(number, now);
            return None;
        }
        let sending = if retries { Sending::Retry } else { Sending::First };
        let permit = self.permit(number, sending, now)?;
        self.take_out(number, &queue, position);
        self.fly(turn, position.id, permit, now);
        let (delivery, position) = (position.id, Some(position));
        Some(Start { delivery, position, queue, errand: Errand::Attempt { passes } })
    }

    fn take_out(&mut self, number: usize, queue: &QueueKey, position: DuePosition) {
        self.stations[number].queue(queue, self.limits.window).take(position);
    }

    /// Asks guard and pace for the right to an attempt. Where they refuse, the station waits for what they name.
    fn permit(&mut self, number: usize, sending: Sending, now: Timestamp) -> Option<Permit> {
        let station = &mut self.stations[number];
        let recipient = &mut self.recipients[station.recipient];
        let refused = match ask(&mut station.guard, &mut recipient.pace, sending, now) {
            Ok(permit) => return Some(permit),
            Err(refused) => refused,
        };
        match refused {
            Wait { why: HoldReason::Budget, until } => station.budget_until = until,
            Wait { until: None, why: HoldReason::Rate } => {
                recipient.waiting.insert(number);
                station.wait = Some(refused.into());
            }
            Wait { .. } => station.wait = Some(refused.into()),
        }
        self.look(number, now);
        None
    }

    fn fly(&mut self, turn: Turn, delivery: DeliveryId, permit: Permit, now: Timestamp) -> bool {
        let number = turn.party.index();
        let holding = Holding::Attempt { party: turn.party, permit: Some(permit), started: now, took: None };
        let flies = self.flights.begin(delivery, holding);
        self.fair.start(turn, self.stations[number].due_since(turn.class, now));
        self.touched.insert(number);
        flies
    }
}
