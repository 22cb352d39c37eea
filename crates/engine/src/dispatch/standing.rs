//! How recipients and their endpoints stand, for people to look at.

use super::Dispatch;
use super::station::{Duty, EndpointHold};
use steadfast_lead::{RecipientName, Timestamp};
use steadfast_retry::breaker::{BreakerSnapshot, Counted, Totals};
use steadfast_retry::{Endpoint, EndpointLoad, HoldReason, StopTarget, Took};

/// How one recipient stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientStanding {
    /// Which.
    pub recipient: RecipientName,
    /// Attempts under way.
    pub in_flight: u32,
    /// How many there may be at once now.
    pub concurrency: u32,
    /// A person stopped it.
    pub stopped: bool,
    /// Its endpoints that steps send to.
    pub endpoints: Vec<EndpointStanding>,
}

/// How one endpoint stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStanding {
    /// Which.
    pub endpoint: Endpoint,
    /// Why it starts nothing now.
    pub hold: Option<EndpointHold>,
    /// Its breaker.
    pub breaker: BreakerSnapshot,
    /// When the breaker changes by itself, at the latest.
    pub breaker_next: Option<Timestamp>,
    /// What the breaker has counted in its present state.
    pub counted: Counted,
    /// Attempts by what they said, since this process began.
    pub totals: Totals,
    /// Thousandths of a token left in the retry budget.
    pub budget_thousandths: u32,
    /// The share of what it took before that may go now, in thousandths: less than 1000 in recovery only.
    pub share_thousandths: u16,
    /// What it took while it was well.
    pub took: Took,
    /// Until when its recipient asked to be left alone.
    pub paused_until: Option<Timestamp>,
}

impl Dispatch {
    /// Every recipient, by name; endpoints that no step sends to are left out.
    pub fn standings(&self, now: Timestamp) -> Vec<RecipientStanding> {
        let mut standings: Vec<RecipientStanding> = self
            .recipients
            .iter()
            .enumerate()
            .map(|(number, recipient)| RecipientStanding {
                recipient: recipient.name.clone(),
                in_flight: recipient.pace.in_flight(),
                concurrency: recipient.pace.limit(),
                stopped: self.stops.contains(&StopTarget::Recipient(recipient.name.clone())),
                endpoints: self.endpoint_standings(number, now),
            })
            .collect();
        standings.sort_by(|one, two| one.recipient.as_str().cmp(two.recipient.as_str()));
        standings
    }

    /// How busy an endpoint is, and whether it may be called; one that nothing was ever planned for is idle.
    pub fn load_of(&self, endpoint: &Endpoint, now: Timestamp) -> EndpointLoad {
        let Some(number) = self.numbers.get(endpoint).copied() else { return EndpointLoad::default() };
        let station = &self.stations[number];
        // What waits for its turn only may still be called.
        let hold = self.hold_of(number, now).filter(|hold| !matches!(hold.why, HoldReason::Rate | HoldReason::Budget));
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        EndpointLoad {
            hold: hold.map(|hold| hold.why),
            in_flight: count(self.fair.in_flight_of(station.party)),
            waiting: count(station.known()),
            limit: self.recipients[station.recipient].pace.limit(),
            share_thousandths: station.guard.breaker().share_thousandths(now),
        }
    }

    fn endpoint_standings(&self, recipient: usize, now: Timestamp) -> Vec<EndpointStanding> {
        let stations = self.stations.iter().enumerate();
        let stations =
            stations.filter(|(_, station)| station.recipient == recipient && self.duty(station) == Duty::Send);
        let standings = stations.map(|(number, station)| {
            let breaker = station.guard.breaker();
            EndpointStanding {
                endpoint: station.endpoint.clone(),
                hold: self.hold_of(number, now),
                breaker: breaker.snapshot(),
                breaker_next: breaker.next_look(),
                counted: breaker.counted(),
                totals: breaker.totals(),
                budget_thousandths: station.guard.budget().tokens_thousandths(now),
                share_thousandths: breaker.share_thousandths(now),
                took: station.guard.ramp().took(),
                paused_until: station.paused_until.filter(|until| *until > now),
            }
        });
        standings.collect()
    }
}
