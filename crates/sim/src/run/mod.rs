//! The run: leads arrive, come due, are admitted, answered and settled, in virtual time.
//!
//! Every decision is the server's own (`admit`, `settle`, `refer`); here is only what stands for the world: the clock, the
//! arrivals and the recipient. At one moment what ends comes before what is due, and that before what arrives, so that a
//! pause asked for binds whatever else happens at its moment.

mod choosing;

use crate::answer::Scripted;
use crate::guarded;
use crate::legs::{Leg, Way, WayState, place_of};
use crate::report::{PolicyReport, Report};
use crate::scenario::{Candidate, Scenario, TIMELINE_LEADS_MAX};
use crate::script::Asked;
use crate::tally::Tally;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use steadfast_lead::{IdSequence, NodeNumber, Priority, Timestamp};
use steadfast_retry::breaker::Wait;
use steadfast_retry::{
    Admission, Closing, Delivery, Epoch, Fence, HoldReason, Learned, LegProgress, LookedUp, Sent, Settlement, Shard,
    State, Terms, Tie, admit, assume_delivered, end_by_closing, end_leg, settle, settle_look_up,
};

/// Most attempts in the run of one policy.
pub const ATTEMPTS_MAX: u64 = 5_000_000;

/// A run that would have gone on too long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "policy {policy} came to {attempts} attempts, the most in one run: take fewer leads, fewer retries or a shorter outage"
)]
pub struct RunStopped {
    /// Under which policy.
    pub policy: String,
    /// After how many attempts.
    pub attempts: u64,
}

/// Runs a scenario: each policy on the same traffic.
///
/// # Errors
/// [`RunStopped`] beyond [`ATTEMPTS_MAX`] attempts under one policy.
pub fn run(scenario: &Scenario) -> Result<Report, RunStopped> {
    run_at_most(scenario, ATTEMPTS_MAX)
}

fn run_at_most(scenario: &Scenario, attempts_max: u64) -> Result<Report, RunStopped> {
    let mut policies = Vec::with_capacity(scenario.candidates.len());
    for candidate in &scenario.candidates {
        policies.push(match &scenario.protected {
            Some(protected) => guarded::run(scenario, protected, candidate, attempts_max)?,
            None => World::new(scenario, candidate, attempts_max).run()?,
        });
    }
    Ok(Report {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        seed: scenario.seed,
        start: scenario.start,
        policies,
    })
}

/// What happens next, and where. The order of fields is the order of happening.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Planned {
    at: Timestamp,
    what: What,
    sequence: u64,
    slot: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// An attempt ends.
    Ended,
    /// A look-up ends.
    LookedUp,
    /// A delivery is looked at.
    Due,
}

/// A delivery on its way.
struct Live {
    lead: u32,
    delivery: Delivery,
    /// When its attempt under way started, and how long that may take; meaningless between attempts.
    started: Timestamp,
    at_most: Duration,
    /// The retries used when the last attempt started, and of which leg.
    retry_counted: (u8, u32),
    /// Attempts at each way; empty where there is one, which has had them all.
    sent: Vec<u32>,
}

struct World<'a> {
    scenario: &'a Scenario,
    candidate: &'a Candidate,
    ids: IdSequence,
    planned: BinaryHeap<Reverse<Planned>>,
    sequence: u64,
    live: Vec<Option<Live>>,
    free: Vec<usize>,
    /// Each endpoint of each leg, in order.
    ways: Vec<WayState>,
    learned: Learned,
    attempts_max: u64,
    tally: Tally,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, candidate: &'a Candidate, attempts_max: u64) -> Self {
        let ways =
            scenario.legs.iter().enumerate().flat_map(|(leg, found)| found.ways.iter().map(move |way| (leg, way)));
        let scope = |(leg, way): (usize, &Way)| format!("share {leg} {}", way.endpoint).into();
        World {
            scenario,
            candidate,
            ids: IdSequence::resuming(NodeNumber(0), None),
            planned: BinaryHeap::new(),
            sequence: 0,
            live: Vec::new(),
            free: Vec::new(),
            ways: ways.map(|way| WayState { scope: scope(way), ..WayState::default() }).collect(),
            learned: Learned::default(),
            attempts_max,
            tally: Tally::new(scenario.start, scenario.traffic.leads <= TIMELINE_LEADS_MAX),
        }
    }

    fn run(mut self) -> Result<PolicyReport, RunStopped> {
        let last = self.scenario.until.map_or(Timestamp::MAX, |until| self.scenario.start.after(until));
        let mut next_lead = 0;
        while let Some(now) = self.next_at(next_lead).filter(|now| *now <= last) {
            match self.planned.peek() {
                Some(Reverse(planned)) if planned.at <= now => self.happen()?,
                _ => {
                    next_lead += 1;
                    self.arrive(next_lead, now)?;
                }
            }
        }
        let ways = self.way_reports();
        let report = self.tally.finish(self.candidate.name.clone());
        Ok(PolicyReport { ways, ..report })
    }

    /// When something happens next; `next_lead` counts from 0.
    fn next_at(&self, next_lead: u32) -> Option<Timestamp> {
        let traffic = &self.scenario.traffic;
        let arrival = (next_lead < traffic.leads).then(|| self.scenario.start.after(traffic.arrival(next_lead)));
        let planned = self.planned.peek().map(|Reverse(planned)| planned.at);
        arrival.into_iter().chain(planned).min()
    }

    fn happen(&mut self) -> Result<(), RunStopped> {
        let Some(Reverse(Planned { at, what, slot, .. })) = self.planned.pop() else { return Ok(()) };
        let Some(live) = self.live.get_mut(slot).and_then(Option::take) else { return Ok(()) };
        match what {
            What::Ended => {
                self.end(slot, live, at);
                Ok(())
            }
            What::LookedUp => {
                self.end_look_up(slot, live, at);
                Ok(())
            }
            What::Due => {
                let waited = self.place(&live.delivery);
                waited.waiting = waited.waiting.saturating_sub(1);
                self.look(slot, live, at)
            }
        }
    }

    fn arrive(&mut self, lead: u32, now: Timestamp) -> Result<(), RunStopped> {
        let mut delivery = self.delivery(now);
        if self.scenario.legs[0].balance.is_some() {
            self.choose_for(&mut delivery, None, now);
        }
        self.tally.arrived(now);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.live.push(None);
            self.live.len() - 1
        });
        let live =
            Live { lead, delivery, started: now, at_most: Duration::MAX, retry_counted: (0, 0), sent: Vec::new() };
        self.look(slot, live, now)
    }

    /// The lead's id, then its delivery's, in order of arrival: as the server makes them.
    fn delivery(&mut self, now: Timestamp) -> Delivery {
        let lead = self.ids.next(now);
        Delivery {
            id: self.ids.next(now),
            lead,
            flow: self.scenario.flow.clone(),
            step: self.scenario.step.clone(),
            endpoint: self.scenario.legs[0].ways[0].endpoint.clone(),
            accepted_at: now,
            priority: Priority::Normal,
            test: false,
            tie: Tie::default(),
            choice: None,
            booking: None,
            version: 1,
            attempts: 0,
            progress: LegProgress::default(),
            body: None,
            last_kind: None,
            state: State::Waiting { due: now },
        }
    }

    /// A delivery is due: it is sent, held, brought to its next leg, or referred to a person.
    fn look(&mut self, slot: usize, mut live: Live, now: Timestamp) -> Result<(), RunStopped> {
        if let Some(moved) = self.chosen_now(&mut live.delivery, now) {
            self.settled(slot, live, moved, now);
            return Ok(());
        }
        let (leg, way) = self.way(&live.delivery);
        let (terms, held) = (self.terms(&live.delivery, leg), self.held(&live.delivery, way, now));
        let instead = match admit(&live.delivery, terms.policy, terms.in_doubt, held, now) {
            Admission::LookUp { at_most } => {
                (live.started, live.at_most) = (now, at_most);
                let took = self.looked_up(&live).map_or(Duration::ZERO, |scripted| scripted.took.min(at_most));
                self.plan(now.after(took), What::LookedUp, slot);
                self.live[slot] = Some(live);
                return Ok(());
            }
            Admission::Send { at_most } => {
                let oldest = live.delivery.accepted_at.after(terms.policy.max_lead_age.get());
                let hours = self.scenario.retry_hours.as_ref();
                match hours.and_then(|hours| hours.hold(&live.delivery, oldest, terms.fence, now)) {
                    Some(held) => Some(held),
                    None => return self.start(slot, live, way, at_most, now),
                }
            }
            Admission::AssumeDelivered => assume_delivered(&live.delivery, terms.fence, now),
            Admission::Hold { until, .. } => match way.ends_by_closing(now) {
                Some(wait) => {
                    let closing = Closing {
                        when_closed: way.when_closed,
                        until: wait.until,
                        oldest: live.delivery.accepted_at.after(terms.policy.max_lead_age.get()),
                        next: leg.next.as_ref(),
                        next_buyer: false,
                    };
                    end_by_closing(&live.delivery, &closing, terms.fence, now)
                }
                None => {
                    self.wait(slot, live, until);
                    return Ok(());
                }
            },
            Admission::Review { cause, because } => {
                end_leg(&live.delivery, cause, because, leg.route(), terms.fence, now)
            }
        };
        if let Some(settlement) = instead {
            self.settled(slot, live, settlement, now);
        }
        Ok(())
    }

    fn start(
        &mut self,
        slot: usize,
        mut live: Live,
        way: &Way,
        at_most: Duration,
        now: Timestamp,
    ) -> Result<(), RunStopped> {
        if self.tally.attempts >= self.attempts_max {
            return Err(RunStopped { policy: self.candidate.name.clone(), attempts: self.attempts_max });
        }
        let (leg, used) = (live.delivery.progress.leg, live.delivery.progress.retries_used);
        let counted = if live.retry_counted.0 == leg { live.retry_counted.1 } else { 0 };
        self.tally.started((used > counted).then_some(used), now);
        (live.started, live.at_most, live.retry_counted) = (now, at_most, (leg, used));
        let took = way.script.answer(&self.asked(&live)).took.min(at_most);
        let place = self.place(&live.delivery);
        place.in_flight += 1;
        place.attempts += 1;
        self.plan(now.after(took), What::Ended, slot);
        self.live[slot] = Some(live);
        Ok(())
    }

    /// The leg that a delivery is on, and where it goes there.
    fn way(&self, delivery: &Delivery) -> (&'a Leg, &'a Way) {
        let (leg, way, _) = place_of(&self.scenario.legs, delivery);
        let leg = &self.scenario.legs[leg];
        (leg, &leg.ways[way])
    }

    fn place(&mut self, delivery: &Delivery) -> &mut WayState {
        let (_, _, place) = place_of(&self.scenario.legs, delivery);
        &mut self.ways[place]
    }

    fn terms(&self, delivery: &Delivery, leg: &'a Leg) -> Terms<'a> {
        Terms {
            policy: self.candidate.of_leg(usize::from(delivery.progress.leg)),
            seed: self.scenario.seed,
            in_doubt: self.scenario.in_doubt,
            config_version: 1,
            fence: fence(delivery),
            body_kept_bytes_max: 0,
            route: leg.route(),
        }
    }

    /// Why nothing may be sent, by the calendar or because the recipient asked to be left alone: what ends later.
    fn held(&self, delivery: &Delivery, way: &Way, now: Timestamp) -> Option<Wait> {
        let (_, _, place) = place_of(&self.scenario.legs, delivery);
        held_at(&self.ways[place], way, now)
    }

    fn asked(&self, live: &Live) -> Asked {
        let attempt = live.delivery.attempts.saturating_add(1);
        let (_, _, place) = place_of(&self.scenario.legs, &live.delivery);
        let before =
            if self.ways.len() == 1 { live.delivery.attempts } else { live.sent.get(place).copied().unwrap_or(0) };
        Asked {
            seed: self.scenario.seed,
            delivery: live.delivery.id,
            attempt,
            here: before.saturating_add(1),
            at: live.started.since(self.scenario.start),
        }
    }

    /// What a look-up is answered: scripted by its number since the doubt arose.
    fn looked_up(&self, live: &Live) -> Option<&'a Scripted> {
        let number = u32::from(live.delivery.progress.look_ups).saturating_add(1);
        let asked = Asked { attempt: number, here: number, ..self.asked(live) };
        self.scenario.look_ups.as_ref().map(|script| script.answer(&asked))
    }

    fn end_look_up(&mut self, slot: usize, live: Live, now: Timestamp) {
        let Some(scripted) = self.looked_up(&live) else { return };
        let cut = (scripted.took > live.at_most).then(|| scripted.cut_after(live.at_most));
        let scripted = cut.as_ref().unwrap_or(scripted);
        let looked = LookedUp {
            started: live.started,
            ended: now,
            endpoint: live.delivery.endpoint.clone(),
            evidence: scripted.evidence.clone(),
            verdict: scripted.verdict.clone(),
        };
        let (leg, _) = self.way(&live.delivery);
        let settlement = settle_look_up(&live.delivery, looked, &self.terms(&live.delivery, leg));
        let (_, _, place) = place_of(&self.scenario.legs, &live.delivery);
        self.paused(place, &settlement);
        self.settled(slot, live, settlement, now);
    }

    /// An attempt ends: what came of it is settled, and what goes on and was not taken chooses anew.
    fn end(&mut self, slot: usize, mut live: Live, now: Timestamp) {
        let (leg, way) = self.way(&live.delivery);
        let scripted = way.script.answer(&self.asked(&live));
        let cut = (scripted.took > live.at_most).then(|| scripted.cut_after(live.at_most));
        let scripted = cut.as_ref().unwrap_or(scripted);
        let sent = Sent {
            started: live.started,
            ended: now,
            held_until: None,
            body: None,
            endpoint: way.endpoint.clone(),
            evidence: scripted.evidence.clone(),
            verdict: scripted.verdict.clone(),
        };
        let mut settlement = settle(&live.delivery, sent, &self.terms(&live.delivery, leg));
        let (_, _, place) = place_of(&self.scenario.legs, &live.delivery);
        self.landed(place, &mut live, &settlement);
        self.paused(place, &settlement);
        self.choose_again(&mut settlement, now);
        self.settled(slot, live, settlement, now);
    }

    /// What an attempt at a way came to is counted there.
    fn landed(&mut self, place: usize, live: &mut Live, settlement: &Settlement) {
        let ways = self.ways.len();
        let state = &mut self.ways[place];
        state.in_flight = state.in_flight.saturating_sub(1);
        match settlement.delivery.state {
            State::Delivered { .. } => state.delivered += 1,
            State::Rejected { .. } => state.rejected += 1,
            State::Waiting { .. } | State::Held { .. } | State::InReview { .. } | State::Closed { .. } => {}
        }
        if ways > 1 {
            live.sent.resize(ways, 0);
            live.sent[place] = live.sent[place].saturating_add(1);
        }
    }

    /// The recipient asked to be left alone.
    fn paused(&mut self, place: usize, settlement: &Settlement) {
        if let Some(pause) = &settlement.pause {
            let state = &mut self.ways[place];
            state.paused_until = state.paused_until.max(Some(pause.until));
        }
    }

    fn settled(&mut self, slot: usize, mut live: Live, settlement: Settlement, now: Timestamp) {
        if self.scenario.legs.iter().any(|leg| leg.balance.is_some()) {
            let counted = self.share_counted(&settlement);
            self.learned.shares.settled(&settlement, counted.as_ref());
        }
        let Settlement { delivery, entry, .. } = settlement;
        self.tally.told(live.lead, entry);
        if let Some(next) = delivery.state.next_look() {
            live.delivery = delivery;
            self.wait(slot, live, next.max(now));
        } else {
            self.tally.ended(&delivery, now);
            self.free.push(slot);
        }
    }

    /// A delivery waits for its next look.
    fn wait(&mut self, slot: usize, live: Live, until: Timestamp) {
        self.place(&live.delivery).waiting += 1;
        self.plan(until, What::Due, slot);
        self.live[slot] = Some(live);
    }

    fn plan(&mut self, at: Timestamp, what: What, slot: usize) {
        self.sequence += 1;
        self.planned.push(Reverse(Planned { at, what, sequence: self.sequence, slot }));
    }
}

/// What keeps a way from being called now; of two what ends later.
fn held_at(state: &WayState, way: &Way, now: Timestamp) -> Option<Wait> {
    let paused = state.paused_until.filter(|until| *until > now);
    let paused = paused.map(|until| Wait { until: Some(until), why: HoldReason::RetryAfter });
    paused.into_iter().chain(way.closed(now)).max_by_key(|wait| (wait.until.is_none(), wait.until))
}

fn fence(delivery: &Delivery) -> Fence {
    Fence { shard: Shard::of(&delivery.endpoint.recipient), epoch: Epoch(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(text: &str) -> Scenario {
        toml::from_str::<crate::ScenarioFile>(text).unwrap().compile().unwrap()
    }

    #[test]
    fn a_run_ends_at_its_bound_and_says_how_to_stay_below() {
        let scenario = scenario("name = 'bound'\ntraffic.leads = 3\nrecipient.answers = ['503']");
        assert!(run_at_most(&scenario, 12).is_ok(), "three leads of four attempts each");
        let said = run_at_most(&scenario, 11).unwrap_err().to_string();
        assert!(said.contains("came to 11 attempts") && said.contains("fewer leads"), "{said}");
    }

    #[test]
    fn a_run_stopped_early_says_what_still_waits() {
        let text = "name = 'until'\ntraffic.leads = 3\nrecipient.answers = ['503']\nsettings.until = '5s'";
        let report = run(&scenario(text)).unwrap();
        assert_eq!((report.policies[0].still_waiting, report.policies[0].attempts), (3, 6));
        assert_eq!(report.policies[0].in_review_count(), 0);
    }

    #[test]
    fn slots_are_used_again_so_that_memory_follows_the_backlog() {
        let scenario = scenario("name = 'slots'\ntraffic = { rate = '10/s', for = '100s' }\nrecipient.answer = '200'");
        let candidate = &scenario.candidates[0];
        let mut world = World::new(&scenario, candidate, ATTEMPTS_MAX);
        for lead in 0..1_000 {
            while world.planned.peek().is_some_and(|Reverse(next)| next.at <= world.next_at(lead).unwrap()) {
                world.happen().unwrap();
            }
            world.arrive(lead + 1, scenario.start.after(scenario.traffic.arrival(lead))).unwrap();
        }
        assert!(world.live.len() <= 2, "{}", world.live.len());
    }
}
