//! The circuit breaker of one endpoint: whether its recipient is well enough to be called.
//!
//! ```text
//!            5 in a row, or surely more than half
//!   closed ─────────────────────────────────────▶ open ◀──┐ probe failed or lost
//!     ▲                                             │      │
//!     │ ramp over          2 probes succeeded       ▼      │
//!   recovery ◀───────────────────────────────── half-open ─┘
//!     └────── 3 in a row, or surely more than 30 %: open ──────
//! ```
//! and from anywhere five refusals of our credentials in a row lead to *credentials*, and a person to wherever they say.
//!
//! Every transition begins a new generation. An attempt carries the generation it started under; what comes of an older one is
//! counted and changes nothing: a hundred timeouts of the outage that end during the recovery are no new outage.
//!
//! Pure: time is an argument, chance comes from the seed. One file for each state says why it is as it is.

mod closed;
mod credentials;
mod half_open;
mod open;
mod recovery;
mod settings;
mod signal;
mod transition;
mod window;

pub use settings::{BreakerMode, BreakerSettings};
pub use signal::{Signal, Symptom};
pub use transition::{BreakerState, ByHand, Figures, Reason, Transition};
pub(crate) use window::surely_above;
pub use window::{Counted, lower_bound_thousandths};

use crate::backoff::Seed;
use crate::delivery::HoldReason;
use closed::Closed;
use credentials::Refusals;
use half_open::HalfOpen;
use open::Open;
use recovery::{Recovery, WHOLE_THOUSANDTHS};
use std::time::Duration;
use steadfast_lead::Timestamp;

/// One opening in a row is forgiven for so long a time closed.
const FORGIVEN_AFTER: Duration = Duration::from_secs(5 * 60);

/// What a person can do with a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerVerb {
    /// Open until a person says otherwise.
    Open,
    /// Probe now.
    Probe,
    /// It is well again: recover by the ramp. From disabled: closed at once.
    Close,
    /// Switched off until a person says otherwise.
    Disable,
}

/// The right to start one attempt. Whoever holds it says what came of it, once, to [`Breaker::handle_result`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    generation: u64,
    kind: PassKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PassKind {
    Ordinary,
    Probe(u64),
    /// Would not have gone if the breaker were not only observing.
    Observed,
}

impl Pass {
    /// The breaker's generation it was given under.
    pub const fn generation(self) -> u64 {
        self.generation
    }

    /// Whether it is a probe.
    pub const fn is_probe(self) -> bool {
        matches!(self.kind, PassKind::Probe(_))
    }

    /// Whether it goes only because the breaker observes and stops nothing.
    pub const fn is_observed(self) -> bool {
        matches!(self.kind, PassKind::Observed)
    }
}

/// Why an attempt cannot start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// When to ask again; `None` where only a person can end it.
    pub until: Option<Timestamp>,
    /// Why.
    pub why: HoldReason,
}

/// Attempts by what they said, since this value was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the signals")]
pub struct Totals {
    pub healthy: u64,
    pub failed: u64,
    pub refused: u64,
    pub neutral: u64,
    /// Of all of them: started under an older generation, or only observed.
    pub without_effect: u64,
}

/// What a store keeps of a breaker. Windows are not kept: after a restart they begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSnapshot {
    /// Where it stood.
    pub state: BreakerState,
    /// Since when.
    pub since: Timestamp,
    /// Its generation.
    pub generation: u64,
    /// Openings in a row that are not forgiven yet.
    pub strikes: u8,
    /// How long it is open from `since`, where it is open.
    pub open_for: Duration,
    /// Probes that succeeded, where it is half-open.
    pub successes: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Closed(Closed),
    Open(Open),
    HalfOpen(HalfOpen),
    Recovery(Recovery),
    Credentials,
    ForcedOpen,
    Disabled,
}

impl State {
    const fn name(&self) -> BreakerState {
        match self {
            State::Closed(_) => BreakerState::Closed,
            State::Open(_) => BreakerState::Open,
            State::HalfOpen(_) => BreakerState::HalfOpen,
            State::Recovery(_) => BreakerState::Recovery,
            State::Credentials => BreakerState::Credentials,
            State::ForcedOpen => BreakerState::ForcedOpen,
            State::Disabled => BreakerState::Disabled,
        }
    }
}

/// The circuit breaker of one endpoint. See the module's text.
#[derive(Clone, Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    seed: Seed,
    state: State,
    since: Timestamp,
    generation: u64,
    strikes: u8,
    refusals: Refusals,
    asked_until: Option<Timestamp>,
    totals: Totals,
}

impl Breaker {
    /// Closed, with nothing counted. `seed` should differ from endpoint to endpoint.
    pub fn new(settings: BreakerSettings, seed: Seed, now: Timestamp) -> Self {
        Breaker {
            settings,
            seed,
            state: State::Closed(Closed::new(now)),
            since: now,
            generation: 0,
            strikes: 0,
            refusals: Refusals::default(),
            asked_until: None,
            totals: Totals::default(),
        }
    }

    /// As it was kept. A probe that was under way when the process ended is not waited for.
    pub fn restore(settings: BreakerSettings, seed: Seed, kept: &BreakerSnapshot, now: Timestamp) -> Self {
        let state = match kept.state {
            BreakerState::Closed => State::Closed(Closed::new(now)),
            BreakerState::Open => State::Open(Open { open_for: kept.open_for }),
            BreakerState::HalfOpen => State::HalfOpen(HalfOpen::new(kept.successes)),
            BreakerState::Recovery => State::Recovery(Recovery::new(now)),
            BreakerState::Credentials => State::Credentials,
            BreakerState::ForcedOpen => State::ForcedOpen,
            BreakerState::Disabled => State::Disabled,
        };
        let BreakerSnapshot { since, generation, strikes, .. } = *kept;
        Breaker { state, since, generation, strikes, ..Breaker::new(settings, seed, now) }
    }

    /// What a store keeps; it changes with every transition and with every successful probe.
    pub fn snapshot(&self) -> BreakerSnapshot {
        let (open_for, successes) = match &self.state {
            State::Open(open) => (open.open_for, 0),
            State::HalfOpen(half_open) => (Duration::ZERO, half_open.successes),
            State::Closed(_) | State::Recovery(_) | State::Credentials | State::ForcedOpen | State::Disabled => {
                (Duration::ZERO, 0)
            }
        };
        let Breaker { since, generation, strikes, .. } = *self;
        BreakerSnapshot { state: self.state.name(), since, generation, strikes, open_for, successes }
    }

    /// Takes new settings; the state stays.
    pub fn handle_settings(&mut self, settings: BreakerSettings) {
        self.settings = settings;
    }

    /// The settings in force.
    pub const fn settings(&self) -> &BreakerSettings {
        &self.settings
    }

    /// Where it stands.
    pub const fn state(&self) -> BreakerState {
        self.state.name()
    }

    /// Since when.
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// Counts transitions.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Attempts by what they said.
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// What the present state has counted.
    pub fn counted(&self) -> Counted {
        match &self.state {
            State::Closed(closed) => closed.counted(),
            State::Recovery(recovery) => recovery.counted(),
            State::Open(_) | State::HalfOpen(_) | State::Credentials | State::ForcedOpen | State::Disabled => {
                Counted::default()
            }
        }
    }

    /// The share of what the recipient took before that may go now, in thousandths: less than 1000 in recovery only.
    pub fn share_thousandths(&self, now: Timestamp) -> u16 {
        if self.settings.mode == BreakerMode::On && self.state() == BreakerState::Recovery {
            return recovery::share_thousandths(now.since(self.since), self.settings.ramp);
        }
        WHOLE_THOUSANDTHS
    }

    /// What would be answered to [`Breaker::ask`]: `None` for a pass. Changes nothing.
    pub fn stops(&self, now: Timestamp) -> Option<Wait> {
        if self.settings.mode == BreakerMode::On { self.concludes(now) } else { None }
    }

    fn concludes(&self, now: Timestamp) -> Option<Wait> {
        let wait = |until, why| Some(Wait { until, why });
        match &self.state {
            State::Closed(_) | State::Recovery(_) | State::Disabled => None,
            State::Open(open) => wait(Some(open.until(self.since)), HoldReason::Breaker),
            State::HalfOpen(half_open) => {
                let until = half_open.taken_until(now)?;
                wait(Some(until), HoldReason::Breaker)
            }
            State::Credentials => wait(None, HoldReason::Credentials),
            State::ForcedOpen => wait(None, HoldReason::Breaker),
        }
    }

    /// Asks to start one attempt. [`Breaker::handle_time`] comes first: asking makes no transition.
    ///
    /// # Errors
    /// [`Wait`] where nothing may start now.
    pub fn ask(&mut self, now: Timestamp) -> Result<Pass, Wait> {
        let generation = self.generation;
        if let Some(wait) = self.concludes(now) {
            if self.settings.mode == BreakerMode::On {
                return Err(wait);
            }
            return Ok(Pass { generation, kind: PassKind::Observed });
        }
        let kind = if let State::HalfOpen(half_open) = &mut self.state {
            PassKind::Probe(half_open.take(self.settings.probe_lease, now))
        } else {
            PassKind::Ordinary
        };
        Ok(Pass { generation, kind })
    }

    /// When [`Breaker::handle_time`] has something to do, if nothing else happens first.
    pub fn next_look(&self) -> Option<Timestamp> {
        match &self.state {
            State::Open(open) => Some(open.until(self.since)),
            State::HalfOpen(half_open) => half_open.expires(),
            State::Recovery(_) => Some(self.since.after(self.settings.ramp)),
            State::Closed(_) | State::Credentials | State::ForcedOpen | State::Disabled => None,
        }
    }

    /// Time has passed.
    pub fn handle_time(&mut self, now: Timestamp) -> Option<Transition> {
        self.rebase(now);
        if self.next_look()? > now {
            return None;
        }
        match &self.state {
            State::Open(_) => Some(self.go(State::HalfOpen(HalfOpen::new(0)), Reason::OpenTimeOver, now)),
            State::HalfOpen(_) => Some(self.open(Reason::ProbeExpired, now)),
            State::Recovery(_) => Some(self.go(State::Closed(Closed::new(now)), Reason::RampOver, now)),
            State::Closed(_) | State::Credentials | State::ForcedOpen | State::Disabled => None,
        }
    }

    /// What came of an attempt.
    pub fn handle_result(&mut self, pass: Pass, symptom: &Symptom, now: Timestamp) -> Option<Transition> {
        let passed = self.handle_time(now);
        self.count(symptom.signal);
        let of_now = pass.generation == self.generation && !pass.is_observed();
        if !of_now || self.settings.mode == BreakerMode::Off {
            self.totals.without_effect += 1;
            return passed;
        }
        if let Some(asked) = symptom.asked {
            self.asked_until = self.asked_until.max(Some(now.after(asked)));
        }
        // Of the generation in force, so time has changed nothing just now.
        self.conclude(pass, symptom, now)
    }

    fn count(&mut self, signal: Signal) {
        let total = match signal {
            Signal::Healthy => &mut self.totals.healthy,
            Signal::Failed => &mut self.totals.failed,
            Signal::Refused => &mut self.totals.refused,
            Signal::Neutral => &mut self.totals.neutral,
        };
        *total += 1;
    }

    fn conclude(&mut self, pass: Pass, symptom: &Symptom, now: Timestamp) -> Option<Transition> {
        if self.state == State::Disabled {
            return None;
        }
        match symptom.signal {
            Signal::Refused if self.refusals.refused() => {
                return Some(self.go(State::Credentials, Reason::Refused, now));
            }
            Signal::Healthy | Signal::Failed => self.refusals.clear(),
            Signal::Refused | Signal::Neutral => {}
        }
        match symptom.signal {
            // Who refuses is there.
            Signal::Healthy | Signal::Refused => self.healthy(pass, now),
            Signal::Failed => self.failed(pass, now),
            Signal::Neutral => {
                if let (State::HalfOpen(half_open), PassKind::Probe(probe)) = (&mut self.state, pass.kind) {
                    half_open.neutral(probe, symptom, now);
                }
                None
            }
        }
    }

    fn healthy(&mut self, pass: Pass, now: Timestamp) -> Option<Transition> {
        let enough = match (&mut self.state, pass.kind) {
            (State::HalfOpen(half_open), PassKind::Probe(probe)) => half_open.healthy(probe),
            (State::Closed(closed), _) => {
                closed.healthy(now);
                false
            }
            (State::Recovery(recovery), _) => {
                recovery.healthy(now);
                false
            }
            _ => false,
        };
        enough.then(|| self.go(State::Recovery(Recovery::new(now)), Reason::ProbesSucceeded, now))
    }

    fn failed(&mut self, pass: Pass, now: Timestamp) -> Option<Transition> {
        let reason = match (&mut self.state, pass.kind) {
            (State::Closed(closed), _) => closed.failed(now)?,
            (State::Recovery(recovery), _) => recovery.failed(now)?,
            (State::HalfOpen(half_open), PassKind::Probe(probe)) => {
                half_open.failed(probe).then_some(Reason::ProbeFailed)?
            }
            _ => return None,
        };
        Some(self.open(reason, now))
    }

    /// A person says so.
    pub fn handle_verb(&mut self, verb: BreakerVerb, by: ByHand, now: Timestamp) -> Option<Transition> {
        let state = match (verb, self.state.name()) {
            (BreakerVerb::Open, BreakerState::ForcedOpen) | (BreakerVerb::Disable, BreakerState::Disabled) => {
                return None;
            }
            (BreakerVerb::Close, BreakerState::Closed | BreakerState::Recovery) => return None,
            (BreakerVerb::Open, _) => State::ForcedOpen,
            (BreakerVerb::Disable, _) => State::Disabled,
            (BreakerVerb::Probe, _) => State::HalfOpen(HalfOpen::new(0)),
            (BreakerVerb::Close, BreakerState::Disabled) => State::Closed(Closed::new(now)),
            (BreakerVerb::Close, _) => State::Recovery(Recovery::new(now)),
        };
        self.refusals.clear();
        let mut transition = self.go(state, Reason::ByHand, now);
        transition.by = Some(by);
        Some(transition)
    }

    fn open(&mut self, reason: Reason, now: Timestamp) -> Transition {
        self.strikes = open::one_more(self.strikes_left(now), &self.settings);
        let open = Open::new(self.strikes, &self.settings, self.seed, self.generation, self.asked_until, now);
        let mut transition = self.go(State::Open(open), reason, now);
        transition.figures.open_for = Some(open.open_for);
        transition
    }

    /// Openings in a row that are not forgiven: one less for each five minutes closed.
    fn strikes_left(&self, now: Timestamp) -> u8 {
        let State::Closed(_) = self.state else { return self.strikes };
        let forgiven = now.since(self.since).as_secs() / FORGIVEN_AFTER.as_secs();
        self.strikes.saturating_sub(u8::try_from(forgiven).unwrap_or(u8::MAX))
    }

    /// The only place that changes the state.
    fn go(&mut self, state: State, reason: Reason, now: Timestamp) -> Transition {
        let strikes = if matches!(state, State::Open(_)) { self.strikes } else { self.strikes_left(now) };
        self.strikes = strikes;
        let successes = if reason == Reason::ProbesSucceeded {
            if let State::HalfOpen(half_open) = &self.state { half_open.successes } else { 0 }
        } else {
            0
        };
        let refusals = self.refusals.in_a_row();
        let figures = Figures { counted: self.counted(), refusals, successes, open_for: None, strikes };
        let from = self.state.name();
        self.state = state;
        self.since = now;
        self.generation += 1;
        let (to, generation) = (self.state.name(), self.generation);
        Transition { at: now, from, to, reason, figures, generation, by: None }
    }

    /// Where the clock went back, what was to last a minute still lasts a minute.
    fn rebase(&mut self, now: Timestamp) {
        self.since = self.since.min(now);
        if let State::HalfOpen(half_open) = &mut self.state {
            half_open.rebase(self.settings.probe_lease, now);
        }
    }
}
