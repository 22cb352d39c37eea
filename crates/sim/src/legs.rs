//! The legs of a scenario's step, and the endpoints that a leg chooses between.

use crate::script::Script;
use std::sync::Arc;
use steadfast_lead::{CandidateName, Timestamp};
use steadfast_retry::breaker::Wait;
use steadfast_retry::calendar::{Calendar, Zone};
use steadfast_retry::{
    BalanceRules, CapPer, CapPeriod, Delivery, Endpoint, HoldReason, LegEnds, NextLeg, Route, WhenClosed,
};

/// Most fallbacks of a scenario's step.
pub const FALLBACKS_MAX: usize = 8;
/// Most endpoints of one leg.
pub const ENDPOINTS_MAX: usize = 16;

/// One leg of the step.
#[derive(Clone, Debug, PartialEq)]
pub struct Leg {
    /// Where it goes: one endpoint, or several of which each delivery chooses one; never empty.
    pub ways: Vec<Way>,
    /// How it chooses; `None` where it has one.
    pub balance: Option<LegBalance>,
    /// What follows its end.
    pub ends: LegEnds,
    /// The leg after it.
    pub next: Option<NextLeg>,
}

/// How a leg chooses between its endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct LegBalance {
    /// By what.
    pub rules: BalanceRules,
    /// Whose days its shares are counted in.
    pub zone: Zone,
}

/// One endpoint of a leg.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// Its name among several; `None` where its leg has no other.
    pub name: Option<CandidateName>,
    /// Where it is.
    pub endpoint: Endpoint,
    /// What it answers.
    pub script: Script,
    /// When it may be called; `None` for always.
    pub calendar: Option<Arc<Calendar>>,
    /// What becomes of what comes due while it is closed.
    pub when_closed: WhenClosed,
    /// Its part of what the weights come to.
    pub weight: u32,
    /// What a lead costs there, in millionths.
    pub cost_millionths: Option<u64>,
    /// How many attempts at once `least_loaded` takes it to have room for.
    pub concurrency: u32,
}

impl Leg {
    /// What may follow it.
    pub fn route(&self) -> Route<'_> {
        Route { ends: Some(&self.ends), next: self.next.as_ref() }
    }
}

impl LegBalance {
    /// The day of a way's share that a time falls into.
    pub(crate) fn day(&self, scope: &Arc<str>, at: Timestamp) -> CapPeriod {
        let (from, until) = CapPer::Day.period(&self.zone, at);
        CapPeriod { scope: Arc::clone(scope), per: CapPer::Day, from, until }
    }
}

impl Way {
    /// Why its calendar lets nothing go now; `None` while it is open.
    pub(crate) fn closed(&self, now: Timestamp) -> Option<Wait> {
        self.calendar.as_ref()?.at(now).wait()
    }

    /// Closed hours that end what comes due in them.
    pub(crate) fn ends_by_closing(&self, now: Timestamp) -> Option<Wait> {
        let wait = self.closed(now).filter(|wait| wait.why == HoldReason::Closed)?;
        (self.when_closed != WhenClosed::Hold).then_some(wait)
    }
}

/// Counts of one way, while a run goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct WayState {
    /// What its share is counted under.
    pub(crate) scope: Arc<str>,
    /// The recipient asked to be left alone.
    pub(crate) paused_until: Option<Timestamp>,
    /// Attempts under way.
    pub(crate) in_flight: u32,
    /// Deliveries that wait for it.
    pub(crate) waiting: u32,
    pub(crate) attempts: u64,
    pub(crate) delivered: u64,
    pub(crate) rejected: u64,
}

/// The place of a delivery's leg and endpoint among all ways of a scenario, in order.
pub(crate) fn place_of(legs: &[Leg], delivery: &Delivery) -> (usize, usize, usize) {
    let leg = usize::from(delivery.progress.leg).min(legs.len().saturating_sub(1));
    let before: usize = legs.iter().take(leg).map(|leg| leg.ways.len()).sum();
    let ways = legs.get(leg).map_or(&[][..], |leg| &leg.ways);
    let way = ways.iter().position(|way| way.endpoint == delivery.endpoint).unwrap_or(0);
    (leg, way, before + way)
}
