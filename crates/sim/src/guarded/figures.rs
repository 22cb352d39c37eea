//! Counts what a protected run shows beyond the tally: what was held, where breakers stood, how old leads were.

use crate::report::{ByAge, ProtectionReport, RecipientReport, Told};
use crate::scenario::Recipient;
use crate::series::Track;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::breaker::{BreakerState, Transition};
use steadfast_retry::{Delivery, HoldReason, State};

/// Most transitions told of one recipient.
const TOLD_MAX: usize = 200;

pub(super) struct Figures {
    start: Timestamp,
    recipients: Vec<OfRecipient>,
    held: Track,
    waits: BTreeMap<HoldReason, u64>,
    ages: ByAge,
}

struct OfRecipient {
    name: String,
    attempts: Track,
    beyond: u64,
    states: Track,
    told: Vec<Told>,
    untold: u64,
}

impl Figures {
    pub(super) fn new(start: Timestamp, recipients: &[Recipient]) -> Self {
        let of = |one: &Recipient| OfRecipient {
            name: one.endpoint.recipient.to_string(),
            attempts: Track::summing(),
            beyond: 0,
            states: Track::highest(),
            told: Vec::new(),
            untold: 0,
        };
        let recipients = recipients.iter().map(of).collect();
        Figures { start, recipients, held: Track::highest(), waits: BTreeMap::new(), ages: ByAge::default() }
    }

    pub(super) fn held(&mut self, count: usize, now: Timestamp) {
        self.held.stands_at(u32::try_from(count).unwrap_or(u32::MAX), now.since(self.start));
    }

    pub(super) fn refused(&mut self, why: HoldReason) {
        *self.waits.entry(why).or_default() += 1;
    }

    pub(super) fn started(&mut self, door: usize, beyond: bool, now: Timestamp) {
        let one = &mut self.recipients[door];
        one.attempts.add(now.since(self.start));
        one.beyond += u64::from(beyond);
    }

    pub(super) fn told(&mut self, door: usize, transition: Option<Transition>, now: Timestamp) {
        let Some(transition) = transition else { return };
        let (one, at) = (&mut self.recipients[door], now.since(self.start));
        one.states.stands_at(height(transition.to), at);
        if one.told.len() < TOLD_MAX {
            one.told.push(Told { at, to: transition.to, text: transition.to_string() });
        } else {
            one.untold += 1;
        }
    }

    pub(super) fn ended(&mut self, delivery: &Delivery) {
        if let State::Delivered { at, .. } = delivery.state {
            self.ages.count(at.since(delivery.accepted_at));
        }
    }

    pub(super) fn finish(self, lasted: Duration) -> ProtectionReport {
        let of = |one: OfRecipient| RecipientReport {
            name: one.name,
            attempts: one.attempts.finish(lasted),
            beyond_capacity: one.beyond,
            breaker: one.states.finish(lasted),
            told: one.told,
            untold: one.untold,
        };
        ProtectionReport {
            recipients: self.recipients.into_iter().map(of).collect(),
            held: self.held.finish(lasted),
            waits: self.waits,
            delivered_by_age: self.ages,
        }
    }
}

/// How far from well a state is, for drawing.
fn height(state: BreakerState) -> u32 {
    match state {
        BreakerState::Closed | BreakerState::Disabled => 0,
        BreakerState::Recovery => 1,
        BreakerState::HalfOpen => 2,
        BreakerState::Open | BreakerState::Credentials | BreakerState::ForcedOpen => 3,
    }
}
