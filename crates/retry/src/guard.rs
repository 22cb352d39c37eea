//! One value for each endpoint that is asked before an attempt starts and told what came of it: breaker, retry budget and
//! the way back after an outage. [`ask`] puts it together with the pace of the recipient.
//!
//! Never waits, and keeps no list of what waits: whoever is refused is told when to ask again and keeps its place.

use crate::backoff::{Seed, scramble};
use crate::breaker::{
    Breaker, BreakerMode, BreakerSettings, BreakerSnapshot, BreakerState, BreakerVerb, ByHand, Pass, Signal, Symptom,
    Transition, Wait,
};
use crate::budget::{Budget, BudgetSnapshot};
use crate::delivery::{Endpoint, HoldReason};
use crate::pace::{Pace, Paced};
use crate::ramp::{Ramp, Took};
use std::time::Duration;
use steadfast_lead::Timestamp;

/// What an operator can set for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardSettings {
    /// The breaker.
    pub breaker: BreakerSettings,
    /// Whether retries are budgeted.
    pub budget: bool,
}

impl Default for GuardSettings {
    fn default() -> Self {
        GuardSettings { breaker: BreakerSettings::default(), budget: true }
    }
}

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// The first attempt of a leg.
    First,
    /// A retry by the schedule: the budget pays for it.
    Retry,
    /// A retry a person asked for, alone or in bulk; paced by the ramp, free of the budget.
    ByHand,
}

/// The right to start one attempt, to be answered for once with [`Guard::handle_result`]; where it is not started after all,
/// with [`Guard::handle_unused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    pass: Pass,
    paid: bool,
}

impl Permit {
    /// Whether it is a probe of a half-open breaker.
    pub const fn is_probe(self) -> bool {
        self.pass.is_probe()
    }
}

/// What a store keeps of a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardSnapshot {
    /// The breaker.
    pub breaker: BreakerSnapshot,
    /// The budget.
    pub budget: BudgetSnapshot,
    /// What the endpoint took while it was well.
    pub took: Took,
}

/// The guard of one endpoint. See the module's text.
#[derive(Clone, Debug)]
pub struct Guard {
    settings: GuardSettings,
    breaker: Breaker,
    budget: Budget,
    ramp: Ramp,
}

impl Guard {
    /// Everything goes, nothing is known. The store's seed is mixed with the endpoint, so that no two guards throw the same
    /// dice.
    pub fn new(settings: GuardSettings, seed: Seed, endpoint: &Endpoint, now: Timestamp) -> Self {
        let breaker = Breaker::new(settings.breaker, seed_of(seed, endpoint), now);
        Guard { settings, breaker, budget: Budget::new(now), ramp: Ramp::new(settings.breaker.ramp, now) }
    }

    /// As it was kept.
    pub fn restore(
        settings: GuardSettings,
        seed: Seed,
        endpoint: &Endpoint,
        kept: &GuardSnapshot,
        now: Timestamp,
    ) -> Self {
        let breaker = Breaker::restore(settings.breaker, seed_of(seed, endpoint), &kept.breaker, now);
        let mut ramp = Ramp::restore(settings.breaker.ramp, kept.took, now);
        if breaker.state() == BreakerState::Recovery {
            ramp.begin(breaker.generation(), now);
        }
        Guard { settings, breaker, budget: Budget::restore(&kept.budget, now), ramp }
    }

    /// What a store keeps. Worth keeping with each transition; between two, only the budget and what was learned move.
    pub fn snapshot(&self) -> GuardSnapshot {
        GuardSnapshot { breaker: self.breaker.snapshot(), budget: self.budget.snapshot(), took: self.ramp.took() }
    }

    /// Takes new settings; where it stands stays.
    pub fn handle_settings(&mut self, settings: GuardSettings) {
        self.settings = settings;
        self.breaker.handle_settings(settings.breaker);
        self.ramp.handle_length(settings.breaker.ramp);
    }

    /// The breaker, to look at.
    pub const fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// The retry budget, to look at.
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The way back, to look at.
    pub const fn ramp(&self) -> &Ramp {
        &self.ramp
    }

    /// When [`Guard::handle_time`] has something to do, if nothing else happens first.
    pub fn next_look(&self) -> Option<Timestamp> {
        self.breaker.next_look()
    }

    /// Time has passed. Comes before asking.
    pub fn handle_time(&mut self, now: Timestamp) -> Option<Transition> {
        let transition = self.breaker.handle_time(now);
        self.follow(transition, now)
    }

    /// Why nothing of this kind may start now; `None` where it may. Takes nothing.
    pub fn stops(&mut self, sending: Sending, now: Timestamp) -> Option<Wait> {
        if let Some(wait) = self.breaker.stops(now) {
            return Some(wait);
        }
        let recovering = self.is_recovering();
        let share = self.breaker.share_thousandths(now);
        let ready = self.ramp.ready_at(share, recovering, now);
        if ready > now {
            return Some(Wait { until: Some(ready), why: HoldReason::Breaker });
        }
        let ready = if self.is_paid(sending) { self.budget.ready_at(now) } else { now };
        (ready > now).then_some(Wait { until: Some(ready), why: HoldReason::Budget })
    }

    /// Starts one attempt. Only where [`Guard::stops`] says nothing; otherwise it is refused all the same.
    ///
    /// # Errors
    /// [`Wait`] where nothing of this kind may start now.
    pub fn start(&mut self, sending: Sending, now: Timestamp) -> Result<Permit, Wait> {
        if let Some(wait) = self.stops(sending, now) {
            return Err(wait);
        }
        let pass = self.breaker.ask(now)?;
        let paid = self.is_paid(sending) && !pass.is_probe() && self.budget.take(now);
        self.ramp.start(pass.generation(), now);
        Ok(Permit { pass, paid })
    }

    /// The attempt did not start after all.
    pub fn handle_unused(&mut self, permit: Permit, now: Timestamp) -> Option<Transition> {
        if permit.paid {
            self.budget.refund(now);
        }
        self.handle_result(permit, &Symptom::cancelled(Duration::ZERO), now)
    }

    /// What came of an attempt.
    pub fn handle_result(&mut self, permit: Permit, symptom: &Symptom, now: Timestamp) -> Option<Transition> {
        let healthy = symptom.signal == Signal::Healthy;
        let well = healthy && self.breaker.state() == BreakerState::Closed && !self.ramp.is_pacing();
        self.ramp.handle_result(permit.pass.generation(), well, now);
        if healthy {
            self.budget.succeeded(permit.paid, now);
        }
        let transition = self.breaker.handle_result(permit.pass, symptom, now);
        self.follow(transition, now)
    }

    /// A time in which nothing was allowed to start is over: what waited is worked off on the ramp. Where the breaker is on
    /// its own way back, that goes on.
    pub fn handle_opening(&mut self, now: Timestamp) {
        if self.breaker.state() == BreakerState::Closed && !self.ramp.is_pacing() {
            self.ramp.begin(self.breaker.generation(), now);
        }
    }

    /// A person says so.
    pub fn handle_verb(&mut self, verb: BreakerVerb, by: ByHand, now: Timestamp) -> Option<Transition> {
        let transition = self.breaker.handle_verb(verb, by, now);
        self.follow(transition, now)
    }

    fn follow(&mut self, transition: Option<Transition>, now: Timestamp) -> Option<Transition> {
        let transition = transition?;
        let on = self.settings.breaker.mode == BreakerMode::On;
        match transition.to {
            BreakerState::Recovery if on => self.ramp.begin(transition.generation, now),
            BreakerState::Closed if transition.from == BreakerState::Recovery => {}
            BreakerState::Closed
            | BreakerState::Open
            | BreakerState::HalfOpen
            | BreakerState::Recovery
            | BreakerState::Credentials
            | BreakerState::ForcedOpen
            | BreakerState::Disabled => self.ramp.end(),
        }
        Some(transition)
    }

    fn is_recovering(&self) -> bool {
        self.breaker.state() == BreakerState::Recovery && self.settings.breaker.mode == BreakerMode::On
    }

    /// Probes and the recovery are free: the breaker paces them already.
    fn is_paid(&self, sending: Sending) -> bool {
        let free = matches!(self.breaker.state(), BreakerState::HalfOpen | BreakerState::Recovery);
        let paced = free && self.settings.breaker.mode == BreakerMode::On;
        self.settings.budget && sending == Sending::Retry && !paced
    }
}

/// Asks guard and pace together: takes from both or from neither.
///
/// # Errors
/// [`Wait`] with the reason; `until` is `None` where an end (of another attempt, or by hand) has to come first.
pub fn ask(guard: &mut Guard, pace: &mut Pace, sending: Sending, now: Timestamp) -> Result<Permit, Wait> {
    match pace.stops(now) {
        Some(Paced::Full) => return Err(Wait { until: None, why: HoldReason::Rate }),
        Some(Paced::Rate(until)) => return Err(Wait { until: Some(until), why: HoldReason::Rate }),
        None => {}
    }
    let permit = guard.start(sending, now)?;
    pace.start(now);
    Ok(permit)
}

/// FNV-1a over the endpoint's name and origin, mixed with the seed.
fn seed_of(seed: Seed, endpoint: &Endpoint) -> Seed {
    let bytes = endpoint.recipient.as_str().bytes().chain([0]).chain(endpoint.origin.bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    Seed(scramble(seed.0 ^ scramble(hash)))
}
