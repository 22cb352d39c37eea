//! A run with protection: guards, paces and fair turns between an attempt that is due and its start.
//!
//! As in `run`, every decision is the server's own; besides there are the server's `Guard`, `Pace` and `Fair`. What is due
//! waits in its recipient's queue until it is let go. A recipient that has to wait leaves the ring and is woken.

mod door;
mod figures;

use crate::report::PolicyReport;
use crate::run::RunStopped;
use crate::scenario::{Candidate, Protected, Scenario, TIMELINE_LEADS_MAX};
use crate::script::Asked;
use crate::tally::Tally;
use door::{Door, Flight, Waiting};
use figures::Figures;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use steadfast_lead::{IdSequence, NodeNumber, Timestamp};
use steadfast_retry::breaker::Symptom;
use steadfast_retry::fair::{Fair, Lane, Turn};
use steadfast_retry::{
    Admission, Delivery, Epoch, Fence, HoldReason, LegProgress, Route, Sent, Settlement, Shard, State, Terms, Tie,
    admit, assume_delivered, refer, settle,
};

/// What happens next, and where. The order of fields is the order of happening.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Planned {
    at: Timestamp,
    what: What,
    sequence: u64,
    place: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// An attempt ends.
    Ended,
    /// A recipient is looked at.
    Wake,
    /// A delivery is due.
    Due,
    /// A recipient's next lead arrives.
    Arrival,
}

/// A delivery on its way.
struct Live {
    lead: u32,
    door: usize,
    delivery: Delivery,
    /// The attempt under way.
    flight: Option<Flight>,
    retry_counted: u32,
}

struct World<'a> {
    scenario: &'a Scenario,
    candidate: &'a Candidate,
    ids: IdSequence,
    planned: BinaryHeap<Reverse<Planned>>,
    sequence: u64,
    live: Vec<Option<Live>>,
    free: Vec<usize>,
    doors: Vec<Door<'a>>,
    fair: Fair,
    leads: u32,
    attempts_max: u64,
    tally: Tally,
    figures: Figures,
}

/// Runs one policy of a protected scenario.
pub(crate) fn run(
    scenario: &Scenario,
    protected: &Protected,
    candidate: &Candidate,
    attempts_max: u64,
) -> Result<PolicyReport, RunStopped> {
    World::new(scenario, protected, candidate, attempts_max).run()
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, protected: &'a Protected, candidate: &'a Candidate, attempts_max: u64) -> Self {
        let mut fair = Fair::new(protected.slots);
        let doors: Vec<Door<'a>> =
            protected.recipients.iter().map(|one| Door::new(one, scenario, candidate, fair.add())).collect();
        let leads = protected.recipients.iter().map(|one| one.traffic.leads).fold(0, u32::saturating_add);
        let figures = Figures::new(scenario.start, &protected.recipients);
        World {
            scenario,
            candidate,
            ids: IdSequence::resuming(NodeNumber(0), None),
            planned: BinaryHeap::new(),
            sequence: 0,
            live: Vec::new(),
            free: Vec::new(),
            doors,
            fair,
            leads: 0,
            attempts_max,
            tally: Tally::new(scenario.start, leads <= TIMELINE_LEADS_MAX),
            figures,
        }
    }

    fn run(mut self) -> Result<PolicyReport, RunStopped> {
        let last = self.scenario.until.map_or(Timestamp::MAX, |until| self.scenario.start.after(until));
        (0..self.doors.len()).for_each(|door| self.plan_arrival(door));
        while let Some(Reverse(next)) = self.planned.pop().filter(|Reverse(next)| next.at <= last) {
            self.happen(next);
            self.serve(next.at)?;
            self.figures.held(self.doors.iter().map(Door::waiting).sum(), next.at);
        }
        let mut report = self.tally.finish(self.candidate.name.clone());
        report.protection = Some(self.figures.finish(report.lasted));
        Ok(report)
    }

    fn happen(&mut self, Planned { at, what, place, .. }: Planned) {
        match what {
            What::Arrival => self.arrive(place, at),
            What::Wake => self.wake(place, at),
            What::Due => self.enqueue(place, at),
            What::Ended => self.end(place, at),
        }
    }

    fn plan_arrival(&mut self, door: usize) {
        if let Some(at) = self.doors[door].next_arrival() {
            self.plan(self.scenario.start.after(at), What::Arrival, door);
        }
    }

    fn arrive(&mut self, door: usize, now: Timestamp) {
        self.plan_arrival(door);
        self.leads += 1;
        let delivery = self.delivery(door, now);
        self.tally.arrived(now);
        let place = self.free.pop().unwrap_or_else(|| {
            self.live.push(None);
            self.live.len() - 1
        });
        self.live[place] = Some(Live { lead: self.leads, door, delivery, flight: None, retry_counted: 0 });
        self.enqueue(place, now);
    }

    fn delivery(&mut self, door: usize, now: Timestamp) -> Delivery {
        let lead = self.ids.next(now);
        Delivery {
            id: self.ids.next(now),
            lead,
            flow: self.scenario.flow.clone(),
            step: self.scenario.step.clone(),
            endpoint: self.doors[door].plan.endpoint.clone(),
            accepted_at: now,
            priority: self.doors[door].plan.priority,
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

    /// A delivery is due: it waits for its turn.
    fn enqueue(&mut self, place: usize, now: Timestamp) {
        let Some(live) = self.live.get(place).and_then(Option::as_ref) else { return };
        let (door, sequence) = (live.door, live.delivery.id.raw());
        let first = live.delivery.progress.attempts == 0;
        self.doors[door].enqueue(Waiting { due: now, sequence, place }, first);
        if self.doors[door].may_be_served(first, now) {
            self.offer(door);
        }
    }

    /// Tells the ring what the recipient has due.
    fn offer(&mut self, door: usize) {
        let Door { plan, party, .. } = &self.doors[door];
        self.fair.set_due(*party, plan.priority, self.doors[door].due_since());
    }

    fn wake(&mut self, door: usize, now: Timestamp) {
        self.doors[door].woken(now);
        let transition = self.doors[door].guard.handle_time(now);
        self.figures.told(door, transition, now);
        self.offer(door);
        self.plan_wake(door, None, now);
    }

    /// Plans the next look at a recipient, if none is planned before it.
    fn plan_wake(&mut self, door: usize, until: Option<Timestamp>, now: Timestamp) {
        let look = [until, self.doors[door].guard.next_look()].into_iter().flatten().min();
        if let Some(at) = look.and_then(|at| self.doors[door].plan_wake(at.max(now))) {
            self.plan(at, What::Wake, door);
        }
    }

    /// Starts what may start now, in turns.
    fn serve(&mut self, now: Timestamp) -> Result<(), RunStopped> {
        while let Some(turn) = self.fair.next(now) {
            let Some(door) = self.doors.iter().position(|door| door.party == turn.party) else { break };
            self.turn(door, turn, now)?;
        }
        Ok(())
    }

    fn turn(&mut self, door: usize, turn: Turn, now: Timestamp) -> Result<(), RunStopped> {
        let transition = self.doors[door].guard.handle_time(now);
        self.figures.told(door, transition, now);
        let Some(waiting) = self.doors[door].pick(turn.lane == Lane::Fresh, now) else {
            self.offer(door);
            return Ok(());
        };
        let Some(live) = self.live.get(waiting.place).and_then(Option::as_ref) else { return Ok(()) };
        let delivery = &live.delivery;
        let settlement = match admit(delivery, &self.candidate.policy, self.scenario.in_doubt, None, now) {
            Admission::Send { at_most } => return self.start(door, turn, waiting, at_most, now),
            Admission::Review { cause, because } => refer(delivery, cause, because, self.fence(door), now),
            Admission::AssumeDelivered => assume_delivered(delivery, self.fence(door), now),
            // The file refuses look-ups together with protection, and pauses are asked about with the guard.
            Admission::LookUp { .. } | Admission::Hold { .. } => None,
        };
        self.doors[door].leave(waiting);
        self.offer(door);
        if let Some(settlement) = settlement {
            self.settled(waiting.place, settlement, now);
        }
        Ok(())
    }

    fn start(
        &mut self,
        door: usize,
        turn: Turn,
        waiting: Waiting,
        at_most: Duration,
        now: Timestamp,
    ) -> Result<(), RunStopped> {
        let permit = match self.doors[door].ask(waiting, now) {
            Ok(permit) => permit,
            Err(wait) => {
                self.figures.refused(wait.why);
                self.doors[door].park(wait);
                self.fair.park(turn.party);
                self.plan_wake(door, wait.until, now);
                return Ok(());
            }
        };
        if self.tally.attempts >= self.attempts_max {
            return Err(RunStopped { policy: self.candidate.name.clone(), attempts: self.attempts_max });
        }
        self.doors[door].leave(waiting);
        self.fair.start(turn, self.doors[door].due_since());
        let Some(mut live) = self.live.get_mut(waiting.place).and_then(Option::take) else { return Ok(()) };
        let used = live.delivery.progress.retries_used;
        self.tally.started((used > live.retry_counted).then_some(used), now);
        live.retry_counted = used;
        let asked = Asked {
            seed: self.scenario.seed,
            delivery: live.delivery.id,
            attempt: live.delivery.attempts.saturating_add(1),
            here: live.delivery.attempts.saturating_add(1),
            at: now.since(self.scenario.start),
        };
        let flight = self.doors[door].fly(permit, &asked, at_most, now);
        self.figures.started(door, flight.beyond, now);
        self.plan(now.after(flight.took), What::Ended, waiting.place);
        live.flight = Some(flight);
        self.live[waiting.place] = Some(live);
        self.plan_wake(door, None, now);
        Ok(())
    }

    /// An attempt ends: what came of it is told to all and settled.
    fn end(&mut self, place: usize, now: Timestamp) {
        let Some(live) = self.live.get_mut(place).and_then(Option::as_mut) else { return };
        let (Some(flight), number) = (live.flight.take(), live.door) else { return };
        let (door, before) = (&mut self.doors[number], live.delivery.clone());
        let sent = Sent {
            started: flight.started,
            ended: now,
            held_until: None,
            body: None,
            endpoint: door.plan.endpoint.clone(),
            evidence: flight.answer.evidence.clone(),
            verdict: flight.answer.verdict.clone(),
        };
        let fence = Fence { shard: Shard::of(&door.plan.endpoint.recipient), epoch: Epoch(1) };
        let terms = Terms {
            policy: &self.candidate.policy,
            seed: self.scenario.seed,
            in_doubt: self.scenario.in_doubt,
            config_version: 1,
            fence,
            body_kept_bytes_max: 0,
            route: Route::default(),
        };
        let settlement = settle(&before, sent, &terms);
        let asked = settlement.pause.as_ref().map(|pause| pause.until.since(now));
        let symptom = if flight.cut {
            Symptom::cancelled(flight.took)
        } else {
            Symptom::of(&flight.answer.verdict, flight.took, asked, door.guard.breaker().settings().slow_call)
        };
        let transition = door.land(&flight, &symptom, settlement.pause.as_ref().map(|pause| pause.until), now);
        self.figures.told(number, transition, now);
        self.fair.finish(self.doors[number].party, Some(flight.took));
        self.settled(place, settlement, now);
        self.offer(number);
        self.plan_wake(number, None, now);
    }

    fn settled(&mut self, place: usize, settlement: Settlement, now: Timestamp) {
        let Some(live) = self.live.get_mut(place).and_then(Option::as_mut) else { return };
        let Settlement { delivery, entry, .. } = settlement;
        self.tally.told(live.lead, entry);
        if let Some(next) = delivery.state.next_look() {
            live.delivery = delivery;
            self.plan(next.max(now), What::Due, place);
            return;
        }
        self.tally.ended(&delivery, now);
        self.figures.ended(&delivery);
        self.live[place] = None;
        self.free.push(place);
    }

    fn fence(&self, door: usize) -> Fence {
        Fence { shard: Shard::of(&self.doors[door].plan.endpoint.recipient), epoch: Epoch(1) }
    }

    fn plan(&mut self, at: Timestamp, what: What, place: usize) {
        self.sequence += 1;
        self.planned.push(Reverse(Planned { at, what, sequence: self.sequence, place }));
    }
}

/// Waits that only time ends, and not the end of another attempt.
const fn ends_by_time(why: HoldReason) -> bool {
    matches!(
        why,
        HoldReason::RetryAfter
            | HoldReason::Breaker
            | HoldReason::Credentials
            | HoldReason::Closed
            | HoldReason::Maintenance
    )
}
