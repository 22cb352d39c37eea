//! What an endpoint took while it was well, and how it is brought back to that after an outage.
//!
//! Learned: the most answers in one span, a tenth of what the way back takes (six seconds of a minute), and the most attempts at
//! once, over the last one to two hours in which it was well. In recovery a growing share of both may go, one start after the
//! other in even steps. That alone would end after that minute, with most of the backlog still there to fall on the recipient; so the learned rate stays the ceiling while
//! work still presses against it. After half an hour of that the ceiling rises: a backlog must not outlive the leads in it
//! only because traffic never pauses. Where nothing was learned, there is no ceiling, and the ramp takes one at a time.

use std::time::Duration;
use steadfast_lead::Timestamp;

/// What was learned is told for so long, whatever the span it was learned in.
const TOLD: Duration = Duration::from_secs(6);
/// Of the time the way back takes, a span is one in so many.
const SPANS: u32 = 10;
/// What was learned is kept for one to two of these.
const KEPT: Duration = Duration::from_secs(3_600);
const WHOLE: u64 = 1_000;
/// So long the ceiling stays where it was learned,
const HELD: Duration = Duration::from_secs(30 * 60);
/// then it doubles in each of these.
const DOUBLED_IN: Duration = Duration::from_secs(5 * 60);
const DOUBLINGS_MAX: u64 = 20;
/// The longest wait told, or one part in sixty of the way back: the share grows meanwhile, so a later look finds an earlier time.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 60;

/// What an endpoint took while it was well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// Answers in six seconds, as fast as in the busiest span.
    pub answers: u32,
    /// Attempts at once.
    pub at_once: u32,
}

impl Took {
    fn most(self, other: Took) -> Took {
        Took { answers: self.answers.max(other.answers), at_once: self.at_once.max(other.at_once) }
    }
}

/// Learns what an endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Learned {
    before: Took,
    current: Took,
    current_since: Timestamp,
    span: i64,
    answers: u32,
}

impl Learned {
    fn healthy(&mut self, at_once: u32, span: Duration, now: Timestamp) {
        if now.since(self.current_since) >= KEPT || now < self.current_since {
            (self.before, self.current, self.current_since) = (self.current, Took::default(), now);
        }
        let number = now.as_micros().div_euclid(i64::try_from(span.as_micros()).unwrap_or(i64::MAX).max(1));
        if number != self.span {
            (self.span, self.answers) = (number, 0);
        }
        self.answers = self.answers.saturating_add(1);
        let told = u128::from(self.answers) * TOLD.as_micros() / span.as_micros().max(1);
        let answers = u32::try_from(told).unwrap_or(u32::MAX).max(1);
        self.current = self.current.most(Took { answers, at_once });
    }

    fn took(&self) -> Took {
        self.before.most(self.current)
    }
}

/// The way back after an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    since: Timestamp,
    started: Option<Timestamp>,
    under_way: u32,
    pressed_at: Timestamp,
    generation: u64,
}

/// Paces one endpoint after an outage. See the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp {
    /// How long the way back takes.
    length: Duration,
    learned: Learned,
    in_flight: u32,
    way: Option<Way>,
}

impl Ramp {
    /// Nothing learned, nothing to come back from.
    pub fn new(length: Duration, now: Timestamp) -> Self {
        let none = Took::default();
        let learned = Learned { before: none, current: none, current_since: now, span: i64::MIN, answers: 0 };
        Ramp { length, learned, in_flight: 0, way: None }
    }

    /// As it was kept.
    pub fn restore(length: Duration, took: Took, now: Timestamp) -> Self {
        let mut ramp = Ramp::new(length, now);
        ramp.learned.before = took;
        ramp
    }

    /// The way back takes another time from now on.
    pub fn handle_length(&mut self, length: Duration) {
        self.length = length;
    }

    /// What the endpoint took while it was well; zeros where that is not known.
    pub fn took(&self) -> Took {
        self.learned.took()
    }

    /// Whether a way back is paced, be it in recovery or while what waited is worked off.
    pub const fn is_pacing(&self) -> bool {
        self.way.is_some()
    }

    /// Recovery begins.
    pub fn begin(&mut self, generation: u64, now: Timestamp) {
        self.way = Some(Way { since: now, started: None, under_way: 0, pressed_at: now, generation });
    }

    /// The endpoint is no longer on its way back: it opened again, or a person said so.
    pub fn end(&mut self) {
        self.way = None;
    }

    /// When the next attempt may start, `now` or later, at this share of what the endpoint took (1000 for all of it).
    /// `recovering` while the breaker is in recovery: only then the attempts at once are limited too.
    pub fn ready_at(&mut self, share_thousandths: u16, recovering: bool, now: Timestamp) -> Timestamp {
        let took = self.learned.took();
        let Some(way) = &mut self.way else { return now };
        way.since = way.since.min(now);
        way.pressed_at = way.pressed_at.min(now);
        // The ceiling is lifted when nothing had to wait for it for as long as the way back takes.
        if !recovering && now.since(way.pressed_at) > self.length {
            self.way = None;
            return now;
        }
        let share = u64::from(share_thousandths);
        let at_once = (u64::from(took.at_once) * share / WHOLE).max(1);
        let full = recovering && u64::from(way.under_way) >= at_once;
        let earliest = way.started.map_or(now, |started| started.min(now).after(way.interval(took, share, now)));
        if earliest > now || full {
            way.pressed_at = now;
            let look = now.after(LOOK.min(self.length / LOOKS));
            return if full { look } else { earliest.min(look) };
        }
        now
    }

    /// An attempt starts, under this generation of the breaker.
    pub fn start(&mut self, generation: u64, now: Timestamp) {
        self.in_flight = self.in_flight.saturating_add(1);
        if let Some(way) = &mut self.way {
            way.started = Some(now);
            way.under_way += u32::from(way.generation == generation);
        }
    }

    /// An attempt of that generation ends. `well` where the breaker is closed and the answer was healthy.
    pub fn handle_result(&mut self, generation: u64, well: bool, now: Timestamp) {
        if well {
            self.learned.healthy(self.in_flight, self.length / SPANS, now);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(way) = self.way.as_mut().filter(|way| way.generation == generation) {
            way.under_way = way.under_way.saturating_sub(1);
        }
    }
}

impl Way {
    /// Between two starts at this share, once the ceiling has risen as far as it has.
    fn interval(&self, took: Took, share: u64, now: Timestamp) -> Duration {
        if took.answers == 0 {
            return Duration::ZERO;
        }
        let beyond = now.since(self.since).saturating_sub(HELD).as_secs();
        let doublings = (beyond / DOUBLED_IN.as_secs()).min(DOUBLINGS_MAX);
        // In even steps from one doubling to the next.
        let part = WHOLE + beyond % DOUBLED_IN.as_secs() * WHOLE / DOUBLED_IN.as_secs();
        let share = u128::from(share.max(1) * part) << doublings;
        let micros = (TOLD.as_micros() * u128::from(WHOLE * WHOLE)).div_ceil(u128::from(took.answers) * share);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}
