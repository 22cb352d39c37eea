//! The run: leads arrive, come due, are admitted, answered and settled, in virtual time.
//!
//! Every decision is the server's own (`admit`, `settle`, `refer`); here is only what stands for the world: the clock, the
//! arrivals and the recipient. At one moment what ends comes before what is due, and that before what arrives, so that a
//! pause asked for binds whatever else happens at its moment.

use crate::answer::Scripted;
use crate::guarded;
use crate::report::{PolicyReport, Report};
use crate::scenario::{Candidate, Scenario, TIMELINE_LEADS_MAX};
use crate::script::Asked;
use crate::tally::Tally;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use steadfast_lead::{IdSequence, NodeNumber, Priority, Timestamp};
use steadfast_retry::breaker::Wait;
use steadfast_retry::policy::RetryPolicy;
use steadfast_retry::{
    Admission, Delivery, Epoch, Fence, HoldReason, LegProgress, LookedUp, Route, Sent, Settlement, Shard, State, Terms,
    Tie, admit, assume_delivered, refer, settle, settle_look_up,
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
    /// The retries used when the last attempt started.
    retry_counted: u32,
}

struct World<'a> {
    scenario: &'a Scenario,
    policy: &'a RetryPolicy,
    name: &'a str,
    terms: Terms<'a>,
    ids: IdSequence,
    planned: BinaryHeap<Reverse<Planned>>,
    sequence: u64,
    live: Vec<Option<Live>>,
    free: Vec<usize>,
    paused_until: Option<Timestamp>,
    attempts_max: u64,
    tally: Tally,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, candidate: &'a Candidate, attempts_max: u64) -> Self {
        let terms = Terms {
            policy: &candidate.policy,
            seed: scenario.seed,
            in_doubt: scenario.in_doubt,
            config_version: 1,
            fence: Fence { shard: Shard::of(&scenario.endpoint.recipient), epoch: Epoch(1) },
            body_kept_bytes_max: 0,
            route: Route::default(),
        };
        World {
            scenario,
            policy: &candidate.policy,
            name: &candidate.name,
            terms,
            ids: IdSequence::resuming(NodeNumber(0), None),
            planned: BinaryHeap::new(),
            sequence: 0,
            live: Vec::new(),
            free: Vec::new(),
            paused_until: None,
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
        Ok(self.tally.finish(self.name.to_owned()))
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
            What::Due => self.look(slot, live, at),
        }
    }

    fn arrive(&mut self, lead: u32, now: Timestamp) -> Result<(), RunStopped> {
        let delivery = self.delivery(now);
        self.tally.arrived(now);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.live.push(None);
            self.live.len() - 1
        });
        let live = Live { lead, delivery, started: now, at_most: Duration::MAX, retry_counted: 0 };
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
            endpoint: self.scenario.endpoint.clone(),
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

    /// A delivery is due: it is sent, held with its endpoint, or referred to a person.
    fn look(&mut self, slot: usize, mut live: Live, now: Timestamp) -> Result<(), RunStopped> {
        match admit(&live.delivery, self.policy, self.terms.in_doubt, self.held(now), now) {
            Admission::LookUp { at_most } => {
                (live.started, live.at_most) = (now, at_most);
                let took = self.looked_up(&live).map_or(Duration::ZERO, |scripted| scripted.took.min(at_most));
                self.plan(now.after(took), What::LookedUp, slot);
                self.live[slot] = Some(live);
            }
            Admission::AssumeDelivered => {
                if let Some(settlement) = assume_delivered(&live.delivery, self.terms.fence, now) {
                    self.settled(slot, live, settlement, now);
                }
            }
            Admission::Send { at_most } => {
                if self.tally.attempts >= self.attempts_max {
                    return Err(RunStopped { policy: self.name.to_owned(), attempts: self.attempts_max });
                }
                let used = live.delivery.progress.retries_used;
                self.tally.started((used > live.retry_counted).then_some(used), now);
                (live.started, live.at_most, live.retry_counted) = (now, at_most, used);
                let took = self.scenario.script.answer(&self.asked(&live)).took.min(at_most);
                self.plan(now.after(took), What::Ended, slot);
                self.live[slot] = Some(live);
            }
            Admission::Hold { until, .. } => {
                self.plan(until, What::Due, slot);
                self.live[slot] = Some(live);
            }
            Admission::Review { cause, because } => {
                if let Some(settlement) = refer(&live.delivery, cause, because, self.terms.fence, now) {
                    self.settled(slot, live, settlement, now);
                }
            }
        }
        Ok(())
    }

    /// Why nothing may be sent, by the calendar or because the recipient asked to be left alone: what ends later.
    fn held(&self, now: Timestamp) -> Option<Wait> {
        let paused = self.paused_until.filter(|until| *until > now);
        let paused = paused.map(|until| Wait { until: Some(until), why: HoldReason::RetryAfter });
        let closed = self.scenario.calendar.as_ref().and_then(|calendar| calendar.at(now).wait());
        paused.into_iter().chain(closed).max_by_key(|wait| (wait.until.is_none(), wait.until))
    }

    fn asked(&self, live: &Live) -> Asked {
        Asked {
            seed: self.scenario.seed,
            delivery: live.delivery.id,
            attempt: live.delivery.attempts.saturating_add(1),
            at: live.started.since(self.scenario.start),
        }
    }

    /// What a look-up is answered: scripted by its number since the doubt arose.
    fn looked_up(&self, live: &Live) -> Option<&'a Scripted> {
        let number = u32::from(live.delivery.progress.look_ups).saturating_add(1);
        let asked = Asked { attempt: number, ..self.asked(live) };
        self.scenario.look_ups.as_ref().map(|script| script.answer(&asked))
    }

    fn end_look_up(&mut self, slot: usize, live: Live, now: Timestamp) {
        let Some(scripted) = self.looked_up(&live) else { return };
        let cut = (scripted.took > live.at_most).then(|| scripted.cut_after(live.at_most));
        let scripted = cut.as_ref().unwrap_or(scripted);
        let looked = LookedUp {
            started: live.started,
            ended: now,
            endpoint: self.scenario.endpoint.clone(),
            evidence: scripted.evidence.clone(),
            verdict: scripted.verdict.clone(),
        };
        let settlement = settle_look_up(&live.delivery, looked, &self.terms);
        self.settled(slot, live, settlement, now);
    }

    /// An attempt ends: what came of it is settled.
    fn end(&mut self, slot: usize, live: Live, now: Timestamp) {
        let scripted = self.scenario.script.answer(&self.asked(&live));
        let cut = (scripted.took > live.at_most).then(|| scripted.cut_after(live.at_most));
        let scripted = cut.as_ref().unwrap_or(scripted);
        let sent = Sent {
            started: live.started,
            ended: now,
            held_until: None,
            body: None,
            endpoint: self.scenario.endpoint.clone(),
            evidence: scripted.evidence.clone(),
            verdict: scripted.verdict.clone(),
        };
        let settlement = settle(&live.delivery, sent, &self.terms);
        self.settled(slot, live, settlement, now);
    }

    fn settled(&mut self, slot: usize, mut live: Live, settlement: Settlement, now: Timestamp) {
        let Settlement { delivery, entry, pause, .. } = settlement;
        if let Some(pause) = pause {
            self.paused_until = self.paused_until.max(Some(pause.until));
        }
        self.tally.told(live.lead, entry);
        if let Some(next) = delivery.state.next_look() {
            live.delivery = delivery;
            self.plan(next.max(now), What::Due, slot);
            self.live[slot] = Some(live);
        } else {
            self.tally.ended(&delivery, now);
            self.free.push(slot);
        }
    }

    fn plan(&mut self, at: Timestamp, what: What, slot: usize) {
        self.sequence += 1;
        self.planned.push(Reverse(Planned { at, what, sequence: self.sequence, slot }));
    }
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
