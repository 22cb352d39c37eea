//! One recipient of a protected run: what waits for it, what protects it, and what it can take.

use super::ends_by_time;
use crate::answer::Scripted;
use crate::scenario::{Beyond, Candidate, Recipient, Scenario};
use crate::script::Asked;
use std::collections::BTreeSet;
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::breaker::{Symptom, Transition, Wait};
use steadfast_retry::fair::{FRESH, Party};
use steadfast_retry::pace::{Gcra, Pace};
use steadfast_retry::{Guard, HoldReason, Permit, Sending, ask};

/// A delivery that is due. The order is that of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiting {
    pub(super) due: Timestamp,
    pub(super) sequence: i64,
    pub(super) place: usize,
}

/// An attempt under way.
pub(super) struct Flight {
    pub(super) started: Timestamp,
    pub(super) took: Duration,
    pub(super) answer: Scripted,
    /// It was given up, because the lead became too old.
    pub(super) cut: bool,
    /// It was more than the recipient can take.
    pub(super) beyond: bool,
    permit: Permit,
}

pub(super) struct Door<'a> {
    pub(super) plan: &'a Recipient,
    pub(super) party: Party,
    pub(super) guard: Guard,
    pace: Pace,
    arrived: u32,
    firsts: BTreeSet<Waiting>,
    again: BTreeSet<Waiting>,
    paused_until: Option<Timestamp>,
    /// Closed by its calendar when it was asked last.
    closed: bool,
    parked: Option<Wait>,
    wake_at: Option<Timestamp>,
    in_flight: u32,
    takes: Option<Gcra>,
}

impl<'a> Door<'a> {
    pub(super) fn new(plan: &'a Recipient, scenario: &Scenario, candidate: &Candidate, party: Party) -> Self {
        let protection = candidate.protection.unwrap_or(plan.protection);
        Door {
            plan,
            party,
            guard: Guard::new(protection.guard, scenario.seed, &plan.endpoint, scenario.start),
            pace: Pace::new(&protection.pace),
            arrived: 0,
            firsts: BTreeSet::new(),
            again: BTreeSet::new(),
            paused_until: None,
            closed: false,
            parked: None,
            wake_at: None,
            in_flight: 0,
            takes: plan.capacity.as_ref().and_then(|capacity| capacity.rate).map(Gcra::new),
        }
    }

    /// When the next lead arrives, counted from the start.
    pub(super) fn next_arrival(&mut self) -> Option<Duration> {
        let next = (self.arrived < self.plan.traffic.leads).then(|| self.plan.traffic.arrival(self.arrived));
        self.arrived += 1;
        next
    }

    pub(super) fn enqueue(&mut self, waiting: Waiting, first: bool) {
        if first {
            self.firsts.insert(waiting)
        } else {
            self.again.insert(waiting)
        };
    }

    pub(super) fn leave(&mut self, waiting: Waiting) {
        if !self.firsts.remove(&waiting) {
            self.again.remove(&waiting);
        }
    }

    /// Deliveries that are due and not let go.
    pub(super) fn waiting(&self) -> usize {
        self.firsts.len() + self.again.len()
    }

    /// Since when the first of them has been due; `None` where none is, or where the recipient has to wait.
    pub(super) fn due_since(&self) -> Option<Timestamp> {
        self.oldest().map(|waiting| waiting.due)
    }

    fn oldest(&self) -> Option<Waiting> {
        self.firsts.first().into_iter().chain(self.again.first()).min().copied()
    }

    /// The next to go: the oldest, or the oldest of the fresh ones.
    pub(super) fn pick(&self, fresh: bool, now: Timestamp) -> Option<Waiting> {
        let from = Waiting { due: now.before(FRESH), sequence: i64::MIN, place: 0 };
        let fresh = if fresh { self.firsts.range(from..).next().copied() } else { None };
        let picked = fresh.or_else(|| self.oldest())?;
        // A retry without budget lets first attempts pass.
        let without_budget = self.again.contains(&picked) && self.guard.budget().ready_at(now) > now;
        if without_budget { self.firsts.first().copied().or(Some(picked)) } else { Some(picked) }
    }

    /// Whether something newly due can change that the recipient has to wait.
    pub(super) fn may_be_served(&self, first: bool, now: Timestamp) -> bool {
        match self.parked {
            None => true,
            Some(Wait { why: HoldReason::Budget, .. }) => first,
            Some(Wait { until, .. }) => until.is_some_and(|until| until <= now),
        }
    }

    pub(super) fn park(&mut self, wait: Wait) {
        self.parked = Some(wait);
    }

    pub(super) fn woken(&mut self, now: Timestamp) {
        self.wake_at = self.wake_at.filter(|at| *at > now);
        self.parked = None;
    }

    /// Whether a wake has to be planned then: `None` where an earlier one is planned already.
    pub(super) fn plan_wake(&mut self, at: Timestamp) -> Option<Timestamp> {
        if self.wake_at.is_some_and(|planned| planned <= at) {
            return None;
        }
        self.wake_at = Some(at);
        Some(at)
    }

    pub(super) fn ask(&mut self, waiting: Waiting, now: Timestamp) -> Result<Permit, Wait> {
        let paused = self.paused_until.filter(|until| *until > now);
        let paused = paused.map(|until| Wait { until: Some(until), why: HoldReason::RetryAfter });
        let closed = self.plan.calendar.as_ref().and_then(|calendar| calendar.at(now).wait());
        let was_closed = std::mem::replace(&mut self.closed, closed.is_some());
        let held = paused.into_iter().chain(closed).max_by_key(|wait| (wait.until.is_none(), wait.until));
        if let Some(wait) = held {
            return Err(wait);
        }
        if was_closed {
            self.guard.handle_opening(now);
        }
        let sending = if self.firsts.contains(&waiting) { Sending::First } else { Sending::Retry };
        ask(&mut self.guard, &mut self.pace, sending, now)
    }

    /// The attempt starts: what will come of it, and when.
    pub(super) fn fly(&mut self, permit: Permit, asked: &Asked, at_most: Duration, now: Timestamp) -> Flight {
        self.in_flight += 1;
        let mut answer = self.plan.script.answer(asked).clone();
        let beyond = self.takes_too_much(now);
        if let Some(capacity) = self.plan.capacity.as_ref().filter(|_| beyond) {
            match &capacity.beyond {
                Beyond::Answers(instead) => answer = (**instead).clone(),
                Beyond::Slower => answer.took = slower(answer.took, self.in_flight, capacity.concurrent),
            }
        }
        let cut = answer.took > at_most;
        if cut {
            answer = answer.cut_after(at_most);
        }
        Flight { started: now, took: answer.took, answer, cut, beyond, permit }
    }

    fn takes_too_much(&mut self, now: Timestamp) -> bool {
        let Some(capacity) = &self.plan.capacity else { return false };
        let too_many = self.in_flight > capacity.concurrent;
        let too_fast = self.takes.as_mut().is_some_and(|takes| !takes.take(now));
        too_many || too_fast
    }

    /// The attempt has ended. `paused_until` is the end of a pause asked for.
    pub(super) fn land(
        &mut self,
        flight: &Flight,
        symptom: &Symptom,
        paused_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Transition> {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.paused_until = self.paused_until.max(paused_until);
        self.pace.handle_result(flight.started, symptom, now);
        let transition = self.guard.handle_result(flight.permit, symptom, now);
        if transition.is_some() || self.parked.is_some_and(|wait| !ends_by_time(wait.why) || flight.permit.is_probe()) {
            self.parked = None;
        }
        transition
    }
}

/// So many times slower as there are too many at once; twice where only the rate is too high.
fn slower(took: Duration, in_flight: u32, concurrent: u32) -> Duration {
    took.saturating_mul(in_flight.div_ceil(concurrent.max(1)).max(2))
}
