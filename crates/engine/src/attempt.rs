//! One attempt, as a page to frame: load, admit, render, send, read, settle, store.

use crate::bodies::keep_body;
use crate::conditions;
use crate::desk::RefusedAction;
use crate::dispatch::{Errand, Heard, Start};
use crate::door::Order;
use crate::run::Inner;
use crate::settling::Saved;
use std::sync::Arc;
use std::time::Duration;
use steadfast_flow::{Book, InForce, StepPlan};
use steadfast_lead::{DeliveryId, Lead, Timestamp};
use steadfast_retry::policy::show_duration;
use steadfast_retry::{
    Admission, BodyMark, Delivery, Entry, Evidence, FaultKind, HoldReason, Phase, ReviewCause, Sent, Settlement, Terms,
    Verb, admit, assume_delivered, end_leg, park, refer, replan, settle,
};
use steadfast_store::{QueueKey, StoreError};

/// A delivery with its lead.
pub(crate) type Loaded = (Delivery, Arc<Lead>);

/// How an attempt ended.
pub(crate) enum Ended {
    /// With something to store.
    Settled(Box<Settlement>),
    /// Not begun: its endpoint is paused or closed, or it waits at another place or time by now.
    NotYet(Box<Delivery>),
    /// Not begun: there was no room for its mark.
    NoRoom,
    /// Not begun: there was nothing to do.
    Nothing,
}

impl Ended {
    /// The delivery as it stands, where nothing was done with it.
    pub(crate) fn unchanged(self) -> Option<Box<Delivery>> {
        match self {
            Ended::NotYet(delivery) => Some(delivery),
            Ended::Settled(_) | Ended::NoRoom | Ended::Nothing => None,
        }
    }
}

/// What may be done with a delivery now.
enum Go {
    /// Send it.
    Send {
        /// Within this.
        at_most: Duration,
        /// Before others that were due earlier.
        passes: bool,
    },
    /// Ask the recipient first whether it has the lead.
    LookUp {
        /// Within this.
        at_most: Duration,
    },
    /// Neither.
    Not(Ended),
}

impl Inner {
    /// Runs an attempt that holds a slot. `loaded` spares reading what intake has just stored.
    pub(crate) fn spawn_attempt(self: &Arc<Self>, start: Start, loaded: Option<Loaded>) {
        self.begin_work();
        let inner = Arc::clone(self);
        // Boxed: a task of this size is copied several times before it runs.
        tokio::spawn(Box::pin(async move {
            inner.attempt(start, loaded).await;
            inner.end_work();
        }));
    }

    async fn attempt(self: &Arc<Self>, start: Start, loaded: Option<Loaded>) {
        let loaded = match loaded {
            Some(loaded) => Ok(loaded),
            None => self.load(&start).await,
        };
        let ended = match loaded {
            Ok((delivery, lead)) => self.chosen(self.frame(delivery, &lead, start.errand).await, &lead),
            Err(ended) => ended,
        };
        // What sent nothing gives its right to an attempt back before it is stored.
        self.dispatch.lock().answered(start.delivery, None, self.clock.now());
        let stands = match ended {
            Ended::Settled(settlement) => match self.save(*settlement, true).await {
                Saved::Applied(delivery) => Some(delivery),
                Saved::Refused(now) => now,
                // Only a person's verb is not allowed.
                Saved::NotAllowed(_) => None,
                // Sent and not stored: the slot stays taken, so that no more than the slots are ever unsettled.
                Saved::Lost => return,
            },
            Ended::NotYet(delivery) => Some(delivery),
            Ended::NoRoom => self.wait_for_room(&start).await,
            Ended::Nothing => {
                self.caps.release(start.delivery);
                None
            }
        };
        self.reserved.lock().release(start.delivery);
        if let Some(delivery) = self.obey_all(start.delivery, stands).await {
            self.offer_after(&start, &delivery);
        }
        self.nudge.notify_one();
    }

    /// What begins a leg of several endpoints without an attempt begins where it may be called.
    fn chosen(&self, mut ended: Ended, lead: &Lead) -> Ended {
        if let Ended::Settled(settlement) = &mut ended {
            let at = settlement.event.at;
            self.choose_at_beginning(&mut settlement.delivery, &mut settlement.entry, lead, at);
        }
        ended
    }

    /// Reads the delivery and its lead.
    ///
    /// # Errors
    /// When its position is outdated (a verb or a settlement moved it). Where it stands now is offered again: its place there may
    /// have been passed over while this one was under way.
    pub(crate) async fn load(&self, start: &Start) -> Result<Loaded, Ended> {
        const AFTER_FAILURE: Duration = Duration::from_secs(1);
        let recent = self.recent.lock().take(start.delivery);
        if let Some(loaded) = recent.filter(|(delivery, _)| is_current(delivery, start)) {
            return Ok(loaded);
        }
        loop {
            match self.store.load(start.delivery).await {
                Ok(Some(loaded)) if is_current(&loaded.0, start) => return Ok(loaded),
                Ok(Some((delivery, _))) => return Err(Ended::NotYet(Box::new(delivery))),
                Ok(None) => return Err(Ended::Nothing),
                Err(error) => {
                    tracing::error!(delivery = %start.delivery, %error, "a delivery could not be read; trying again");
                    self.clock.sleep_until(self.clock.now().after(AFTER_FAILURE)).await;
                }
            }
        }
    }

    /// What an attempt is made under, asked in this order: what the configuration, a stop or a policy says about sending now,
    /// then whether this person may be sent at all, and whether a cap has room; then it is sent, and settled.
    async fn frame(&self, mut delivery: Delivery, lead: &Lead, errand: Errand) -> Ended {
        let now = self.clock.now();
        let book = self.book();
        let plan = match self.way(&mut delivery, lead, &book, now) {
            Ok(plan) => plan,
            Err(instead) => return settled(instead.map(|instead| *instead)),
        };
        if let Some(elsewhere) = self.belongs_elsewhere(&delivery, lead, plan, now) {
            return elsewhere;
        }
        if let Some(closed) = self.suppressed(&delivery, lead, now) {
            return settled(Some(closed));
        }
        let in_force = match self.in_force(&delivery, lead, plan, now) {
            Ok(in_force) => in_force,
            Err(instead) => return settled(instead.map(|instead| *instead)),
        };
        if plan.shadow {
            return settled(self.shadow(&delivery, lead, (plan, &in_force), book.version, now).await);
        }
        let (at_most, passes) = match self.admitted(&delivery, (lead, &book), plan, &in_force, errand, now) {
            Go::Send { at_most, passes } => (at_most, passes),
            Go::LookUp { at_most } => {
                return settled(self.look_up(&delivery, lead, (plan, &in_force), book.version, at_most).await);
            }
            Go::Not(ended) => return ended,
        };
        if let Some(held) = self.outside_contact_hours(&delivery, lead, plan, &in_force, now) {
            return settled(Some(held));
        }
        if let Some(held) = self.outside_retry_hours(&delivery, plan, &in_force, now) {
            return settled(Some(held));
        }
        if let Some(kept) = self.guard(&delivery, lead, plan, now).await {
            return settled(Some(kept));
        }
        if let Some(full) = self.capped(&delivery, lead, &book, &in_force.policy, now) {
            return settled(Some(full));
        }
        let sent = match plan.render(lead) {
            Err(failed) => {
                let evidence = Evidence::of_fault(Phase::Prepare, FaultKind::RenderFailed, &failed.to_string());
                self.sent(now, plan, None, evidence).await
            }
            Ok(rendered) => {
                let step = book.step(&delivery.flow, &delivery.step);
                let Some(mark) = keep_body(&mut delivery, step, plan, lead, &rendered) else {
                    let because =
                        "the mapping changed while an attempt is in doubt; sending other bytes may sell twice";
                    let fence = self.fence(&delivery);
                    return settled(refer(&delivery, ReviewCause::InDoubt, because.into(), fence, now));
                };
                match self.take(&delivery, plan, passes).await {
                    Ok(()) => {}
                    Err(StoreError::Full { .. } | StoreError::Busy) => return Ended::NoRoom,
                    Err(StoreError::Stopped { .. } | StoreError::Unreadable { .. }) => return Ended::Nothing,
                }
                let order = Order::new(&delivery, plan, rendered, at_most);
                let evidence = self.door.send(order).await;
                self.sent(now, plan, Some(mark), evidence).await
            }
        };
        let terms = Terms { policy: &in_force.policy, ..self.terms(&delivery, plan, book.version) };
        let mut settlement = settle(&delivery, sent, &terms);
        conditions::note(&mut settlement, plan, &in_force);
        self.tell(&settlement);
        self.choose_again(&mut settlement, lead, &book);
        settled(Some(settlement))
    }

    /// A delivery that waits in another place than its own: one that a stop holds, or whose step sends elsewhere now.
    fn belongs_elsewhere(&self, delivery: &Delivery, lead: &Lead, plan: &StepPlan, now: Timestamp) -> Option<Ended> {
        let fence = self.fence(delivery);
        if let Some((lot, stop)) = self.lot_of(lead, &plan.endpoint.recipient) {
            if delivery.endpoint != lot {
                return Some(settled(park(delivery, &lot, &stop, fence, now)));
            }
            // It is looked at while it is stopped because it became too old for any policy of its step.
            let age = plan.longest_lead_age();
            if now >= delivery.accepted_at.after(age) {
                let because = format!("older than max_lead_age = {}", show_duration(age));
                return Some(settled(end_leg(
                    delivery,
                    ReviewCause::Expired,
                    because.into(),
                    plan.route(),
                    fence,
                    now,
                )));
            }
            return Some(Ended::NotYet(Box::new(delivery.clone())));
        }
        // It joins the queue of its new endpoint, whose pause and whose recipient's slots bind it there.
        (plan.endpoint != delivery.endpoint).then(|| settled(replan(delivery, &plan.endpoint, fence, now)))
    }

    /// Whether policy and endpoint let it go now.
    fn admitted(
        &self,
        delivery: &Delivery,
        of: (&Lead, &Book),
        plan: &StepPlan,
        in_force: &InForce<'_>,
        errand: Errand,
        now: Timestamp,
    ) -> Go {
        let paused = self.dispatch.lock().paused(&plan.endpoint, now);
        let fence = self.fence(delivery);
        let at_most = match admit(delivery, &in_force.policy, plan.in_doubt, paused, now) {
            Admission::Send { at_most } => at_most,
            // It holds no right to ask the recipient anything either.
            Admission::LookUp { .. } if errand == Errand::Referral => {
                return Go::Not(self.refer_held(delivery.clone(), of, plan, now));
            }
            Admission::LookUp { at_most } => return Go::LookUp { at_most },
            Admission::AssumeDelivered => return Go::Not(settled(assume_delivered(delivery, fence, now))),
            // It holds no right to an attempt, and was looked at because it was held for too long.
            Admission::Hold { .. } if errand == Errand::Referral => {
                return Go::Not(self.refer_held(delivery.clone(), of, plan, now));
            }
            Admission::Hold { until, why } => return Go::Not(not_yet(delivery.clone(), until, why)),
            Admission::Review { cause, because } => {
                return Go::Not(settled(end_leg(delivery, cause, because, plan.route(), fence, now)));
            }
        };
        match errand {
            Errand::Attempt { passes } => Go::Send { at_most, passes },
            Errand::Referral => Go::Not(self.refer_held(delivery.clone(), of, plan, now)),
        }
    }

    /// What came of a send is told before it is stored: the recipient's slot is free, and its guard knows.
    pub(crate) fn tell(&self, settlement: &Settlement) {
        let mut dispatch = self.dispatch.lock();
        let (verdict, started, ended) = match &settlement.entry {
            Entry::Attempt(attempt) => (&attempt.verdict, attempt.started, attempt.ended),
            Entry::LookUp(look_up) => (&look_up.verdict, look_up.started, look_up.ended),
            Entry::Change(_) => return,
        };
        if let Some(pause) = &settlement.pause {
            dispatch.pause(&pause.endpoint, pause.until, ended);
        }
        let asked = settlement.pause.as_ref().map(|pause| pause.until.since(ended));
        let heard = Heard { verdict, took: ended.since(started), asked };
        dispatch.answered(settlement.delivery.id, Some(heard), ended);
    }

    /// A delivery that may not be sent now and was looked at all the same: held too long, or not yet.
    fn refer_held(&self, delivery: Delivery, of: (&Lead, &Book), plan: &StepPlan, now: Timestamp) -> Ended {
        if let Some(ended) = self.ended_by_closing(&delivery, plan, now) {
            return settled(Some(ended));
        }
        if let Some(left) = self.leave(&delivery, of, plan, now) {
            return settled(Some(left));
        }
        let held_max = self.dispatch.lock().longest_hold(&plan.endpoint, now);
        let due = delivery.state.due().unwrap_or(now);
        match held_max.filter(|most| now.since(due) >= *most) {
            None => Ended::NotYet(Box::new(delivery)),
            Some(most) => {
                let because = format!(
                    "the breaker of {} is open, and it was held for longer than longest_hold = {}",
                    plan.endpoint,
                    show_duration(most)
                );
                let fence = self.fence(&delivery);
                settled(end_leg(&delivery, ReviewCause::HeldTooLong, because.into(), plan.route(), fence, now))
            }
        }
    }

    pub(crate) async fn sent(
        &self,
        started: Timestamp,
        plan: &StepPlan,
        body: Option<BodyMark>,
        evidence: Evidence,
    ) -> Sent {
        let ended = self.clock.now().max(started);
        let verdict = self.apart.read(&plan.reading, &evidence).await;
        let held_until = self.dispatch.lock().released_at(&plan.endpoint).filter(|at| *at <= started);
        Sent { started, ended, held_until, body, endpoint: plan.endpoint.clone(), evidence, verdict }
    }

    /// Tells dispatch where a delivery waits after it was looked at.
    fn offer_after(&self, start: &Start, delivery: &Delivery) {
        let (key, due) = (QueueKey::of(delivery), delivery.state.next_look());
        let stays =
            start.errand == Errand::Referral && start.position.is_some_and(|position| Some(position.due) == due);
        match start.position.filter(|_| stays && key == start.queue) {
            Some(position) => self.dispatch.lock().put_back(&key, position, self.clock.now()),
            None => self.offer(delivery),
        }
    }

    /// Applies the verbs that were left while a delivery was under way, gives its slot back, and says where it waits now.
    /// `stands` is the delivery as it is stored, `None` where that is not known.
    pub(crate) async fn obey_and_finish(&self, id: DeliveryId, stands: Option<Box<Delivery>>) {
        if let Some(delivery) = self.obey_all(id, stands).await {
            self.offer(&delivery);
        }
        self.nudge.notify_one();
    }

    /// Applies those verbs and gives its slot back; answers with the delivery as it is stored.
    async fn obey_all(&self, id: DeliveryId, mut stands: Option<Box<Delivery>>) -> Option<Box<Delivery>> {
        loop {
            let now = self.clock.now();
            let left = match &stands {
                Some(_) => self.dispatch.lock().next_verb_or_finish(id, now),
                None => self.dispatch.lock().next_verb_or_give_back(id, now),
            };
            let Some((verb, by)) = left else { return stands };
            stands = self.obey(id, stands, &verb, &by).await;
        }
    }

    async fn obey(
        &self,
        id: DeliveryId,
        stands: Option<Box<Delivery>>,
        verb: &Verb,
        by: &str,
    ) -> Option<Box<Delivery>> {
        let before = match stands {
            Some(before) => before,
            None => Box::new(self.store.delivery(id).await.ok()??),
        };
        if matches!(verb, Verb::Dismiss { .. }) && self.is_unseen_doubt(&before) {
            return Some(before);
        }
        match self.apply_verb(&before, verb, by).await {
            Ok(after) => Some(after),
            // Nothing was changed: delivered wins.
            Err(
                RefusedAction::Verb(_)
                | RefusedAction::Reroute(_)
                | RefusedAction::Sale(_)
                | RefusedAction::AfterSale(_)
                | RefusedAction::Erased(_),
            ) => Some(before),
            Err(RefusedAction::Unknown(_) | RefusedAction::Contended(_) | RefusedAction::Store(_)) => None,
        }
    }
}

impl Inner {
    /// Of a buyer in doubt, and of what has a place of a cap, to dismiss it is to say that the recipient does not have the lead. Who
    /// said so before the doubt arose did not say that.
    fn is_unseen_doubt(&self, delivery: &Delivery) -> bool {
        delivery.progress.may_be_taken() && (delivery.tie.buyer || self.caps.holds(delivery.id))
    }
}

/// `None` where there is nothing to change: the delivery has ended meanwhile.
fn settled(settlement: Option<Settlement>) -> Ended {
    settlement.map_or(Ended::Nothing, |settlement| Ended::Settled(Box::new(settlement)))
}

fn not_yet(delivery: Delivery, until: Timestamp, why: HoldReason) -> Ended {
    tracing::debug!(delivery = %delivery.id, %until, %why, "held with its endpoint");
    Ended::NotYet(Box::new(delivery))
}

/// Whether a position read earlier still says where and when this delivery is to be looked at. One that was moved meanwhile
/// goes when its new endpoint lets it, and keeps its place in time.
fn is_current(delivery: &Delivery, start: &Start) -> bool {
    start.position.is_none_or(|position| {
        delivery.state.next_look() == Some(position.due) && delivery.endpoint == start.queue.endpoint
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;
    use crate::stage::{Stage, answered, auto, delivered, idle};
    use steadfast_lead::{Fields, IdSequence, NodeNumber};
    use steadfast_retry::{Event, EventKind};
    use steadfast_store::{Acceptance, DuePosition, Writes};

    /// Found by the storm: its place was passed over while it was under way, and what was remembered of it was outdated by then.
    #[tokio::test(start_paused = true)]
    async fn what_is_found_at_an_outdated_place_is_offered_where_it_stands() {
        let stage = Stage::new().await;
        let now = stage.clock.now();
        let mut ids = IdSequence::resuming(NodeNumber(1), None);
        let (id, fields) = (ids.next(now), Fields::new());
        let lead = Lead { id, flow: auto(), source: None, accepted_at: now, test: false, fields };
        let deliveries = stage.engine.book().flows[&auto()].deliveries(&lead, &mut ids);
        let kind = EventKind::LeadAccepted { lead: id, flow: auto(), deliveries: 1, test: false };
        let acceptance = Acceptance {
            lead: Arc::new(lead),
            deliveries: deliveries.clone(),
            terms: Vec::new(),
            marks: Vec::new(),
            refuse_erased_since: None,
            dedupe: None,
            event: Event { at: now, kind },
        };
        // Stored, and dispatch does not know of it.
        stage.store.accept(acceptance).await.unwrap();
        stage.door.will([answered(200)]);
        let delivery = &deliveries[0];
        let position = Some(DuePosition { due: now.before(Duration::from_secs(1)), id: delivery.id });
        let errand = Errand::Attempt { passes: false };
        let start = Start { delivery: delivery.id, position, queue: QueueKey::of(delivery), errand };
        stage.engine.inner.spawn_attempt(start, None);
        idle().await;
        assert!(delivered(&stage.state(delivery.id).await));
    }
}
