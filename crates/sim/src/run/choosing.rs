//! Choosing between the endpoints of a leg: as the engine does, with what stands for the world here.

use super::{World, fence, held_at};
use crate::legs::{LegBalance, Way, WayState, place_of};
use crate::report::WayReport;
use std::sync::Arc;
use steadfast_lead::{CandidateName, Timestamp};
use steadfast_retry::{
    CapPeriod, Delivery, EndpointLoad, Entry, Offer, ReviewCause, Settlement, chooses_again, end_leg, move_to,
};

impl World<'_> {
    /// A delivery that has come due on a leg with several endpoints, and without a choice, chooses; `Some` where that moves it.
    pub(super) fn chosen_now(&mut self, delivery: &mut Delivery, now: Timestamp) -> Option<Settlement> {
        self.way(delivery).0.balance.as_ref().filter(|_| delivery.choice.is_none())?;
        let mut chosen = delivery.clone();
        if !self.choose_for(&mut chosen, None, now) {
            let because = "no endpoint of its leg may take this lead, by its region or its regulations";
            let (cause, route) = (ReviewCause::NoEndpoint, self.way(delivery).0.route());
            return end_leg(delivery, cause, because.into(), route, fence(delivery), now);
        }
        if chosen.endpoint != delivery.endpoint {
            let choice = chosen.choice.as_ref().map(Arc::clone)?;
            return move_to(delivery, choice, &chosen.endpoint, fence(delivery), now);
        }
        *delivery = chosen;
        None
    }

    pub(super) fn choose_again(&mut self, settlement: &mut Settlement, now: Timestamp) {
        if settlement.delivery.choice.is_some() {
            self.learned.heard(settlement);
        }
        let after = &mut settlement.delivery;
        if !chooses_again(after) || self.way(after).0.balance.is_none() {
            return;
        }
        let before = after.endpoint.clone();
        let failed = after.choice.as_ref().map(|choice| choice.candidate.clone());
        self.choose_for(after, failed.as_ref(), now);
        if let (Entry::Attempt(attempt), Some(choice)) = (&mut settlement.entry, &after.choice)
            && after.endpoint != before
        {
            attempt.because = format!("{}; then {} at {}", attempt.because, choice.candidate, after.endpoint).into();
        }
    }

    /// Chooses for a delivery, and has it go there. `false` where no endpoint of its leg may take it.
    pub(super) fn choose_for(
        &mut self,
        delivery: &mut Delivery,
        failed: Option<&CandidateName>,
        now: Timestamp,
    ) -> bool {
        let (number, _, _) = place_of(&self.scenario.legs, delivery);
        let first: usize = self.scenario.legs.iter().take(number).map(|leg| leg.ways.len()).sum();
        let leg = &self.scenario.legs[number];
        let Some(balance) = &leg.balance else { return false };
        let offers: Vec<Offer<'_>> = leg
            .ways
            .iter()
            .zip(&self.ways[first..])
            .filter_map(|(way, state)| offer(balance, way, state, now))
            .collect();
        self.learned.choose_for(delivery, &balance.rules, &offers, failed, self.scenario.seed, now)
    }

    /// The day that a settlement counts in for the share of its endpoint.
    pub(super) fn share_counted(&self, settlement: &Settlement) -> Option<CapPeriod> {
        settlement.delivery.choice.as_ref()?;
        let (leg, _, place) = place_of(&self.scenario.legs, &settlement.delivery);
        let balance = self.scenario.legs[leg].balance.as_ref()?;
        let counts = balance.rules.share_of.counts(settlement);
        counts.then(|| balance.day(&self.ways[place].scope, settlement.event.at))
    }

    /// Each leg and endpoint, where there are several.
    pub(super) fn way_reports(&self) -> Vec<WayReport> {
        if self.ways.len() < 2 {
            return Vec::new();
        }
        let ways =
            (0_u8..).zip(&self.scenario.legs).flat_map(|(leg, found)| found.ways.iter().map(move |way| (leg, way)));
        let report = |((leg, way), state): ((u8, &Way), &WayState)| WayReport {
            leg,
            endpoint: way.name.as_ref().map(ToString::to_string),
            recipient: way.endpoint.recipient.to_string(),
            attempts: state.attempts,
            delivered: state.delivered,
            rejected: state.rejected,
        };
        ways.zip(&self.ways).map(report).collect()
    }
}

fn offer<'a>(balance: &LegBalance, way: &'a Way, state: &WayState, now: Timestamp) -> Option<Offer<'a>> {
    let hold = held_at(state, way, now).map(|wait| wait.why);
    Some(Offer {
        name: way.name.as_ref()?,
        endpoint: &way.endpoint,
        weight: way.weight,
        cost_millionths: way.cost_millionths,
        barred: None,
        near: false,
        load: EndpointLoad {
            hold,
            in_flight: state.in_flight,
            waiting: state.waiting,
            limit: way.concurrency,
            share_thousandths: 1_000,
        },
        day: balance.day(&state.scope, now),
    })
}
