//! What waits follows a changed configuration: planned anew in the background, a batch and then a rest, while delivery goes on.
//!
//! A pass goes over the queues of what may have changed, in order of time. It keeps nothing but how far it is: what was
//! planned anew comes out as it is the second time, so that a pass may begin again wherever it was cut off. A newer
//! configuration begins it anew, with what the last one left. Up to which version everything is planned is kept as a bookmark.
//!
//! Must never: touch what is under way (it is looked at once it has settled), or write where nothing differs.

use crate::run::{Engine, Inner};
use crate::settling::Saved;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use steadfast_flow::{Book, Changed, ContactTime, StepPlan};
use steadfast_lead::{DeliveryId, Lead, Timestamp};
use steadfast_retry::{
    Attempt, Delivery, Entry, HoldReason, ReviewCause, Settlement, State, StopTarget, Terms, hold_because, refer,
    replan, reschedule,
};
use steadfast_store::{Cursor, DuePosition, QueueHead, QueueKey, StoreError};
use tokio::sync::Notify;

/// The bookmark: it reads versions of the configuration, not the journal.
const READER: &str = "replanned";
/// Positions read at once.
const BATCH: usize = 256;
/// Of them, how many are looked at together, so that they share commits.
const AT_ONCE: usize = 256;
/// After a batch that wrote, how many times as long as it took nothing is done: under load a batch takes longer, and so the
/// rest grows with the load.
const REST_FACTOR: u32 = 2;
const REST_MIN: Duration = Duration::from_millis(2);
const REST_MAX: Duration = Duration::from_secs(1);
/// How soon what was under way is looked at again.
const AFTER_BUSY: Duration = Duration::from_millis(250);
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Settlements of one delivery in one look: it moves, then it is due at another time.
const STEPS_MAX: usize = 3;
/// Lines of a history read at first: the last attempt is nearly always among the last few.
const LINES: usize = 4;
const LINES_MORE: usize = 1_000;

/// How far planning anew is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replanning {
    /// Which version of the configuration it brings to what waits.
    pub version: u64,
    /// When it began.
    pub began: Timestamp,
    /// Deliveries it has looked at.
    pub looked_at: u64,
    /// Of them, those that were planned otherwise.
    pub changed: u64,
    /// When everything followed; `None` while it is at work.
    pub finished: Option<Timestamp>,
}

/// What is to be planned anew.
#[derive(Default)]
pub(crate) struct Replanner {
    work: Mutex<Work>,
    wanted: Notify,
}

#[derive(Default)]
struct Work {
    /// Counts changes: a pass that began before the last one is outdated.
    generation: u64,
    changed: Changed,
    /// Under way when it changed: what they settle to may be planned by what was in force before.
    under_way: Vec<DeliveryId>,
    told: Option<Replanning>,
}

/// One pass.
struct Pass {
    generation: u64,
    changed: Changed,
    under_way: Vec<DeliveryId>,
}

/// What came of looking at one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    Same,
    Changed,
    /// It is under way.
    Busy,
}

/// The pass does not go on: the engine drains, or a newer configuration came.
struct Outdated;

enum Stopped {
    Outdated,
    Failed(StoreError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Stopped::Failed(error)
    }
}

impl From<Outdated> for Stopped {
    fn from(_: Outdated) -> Self {
        Stopped::Outdated
    }
}

impl Engine {
    /// How far what waits follows the configuration in force; `None` where nothing changed since the start.
    pub fn replanning(&self) -> Option<Replanning> {
        self.inner.replanner.work.lock().told.clone()
    }
}

impl Replanner {
    /// Another configuration is in force; `under_way` was begun before it was, or may have been.
    pub(crate) fn wants(&self, changed: Changed, version: u64, under_way: Vec<DeliveryId>, now: Timestamp) {
        let mut work = self.work.lock();
        work.generation += 1;
        work.changed.extend(changed);
        work.under_way.extend(under_way);
        work.under_way.sort_unstable();
        work.under_way.dedup();
        work.told = Some(Replanning { version, began: now, looked_at: 0, changed: 0, finished: None });
        drop(work);
        self.wanted.notify_one();
    }

    /// Lets the loop look whether it is to end.
    pub(crate) fn wake(&self) {
        self.wanted.notify_one();
    }

    fn next(&self) -> Option<Pass> {
        let work = self.work.lock();
        work.told.as_ref().filter(|told| told.finished.is_none())?;
        let (changed, under_way) = (work.changed.clone(), work.under_way.clone());
        Some(Pass { generation: work.generation, changed, under_way })
    }

    fn is_outdated(&self, pass: &Pass) -> bool {
        self.work.lock().generation != pass.generation
    }

    fn count(&self, pass: &Pass, looked_at: u64, changed: u64) {
        let mut work = self.work.lock();
        if let (true, Some(told)) = (work.generation == pass.generation, &mut work.told) {
            told.looked_at += looked_at;
            told.changed += changed;
        }
    }

    /// Ends a pass. `None` where a newer configuration came meanwhile.
    fn finish(&self, pass: &Pass, now: Timestamp) -> Option<Replanning> {
        let mut work = self.work.lock();
        if work.generation != pass.generation {
            return None;
        }
        (work.changed, work.under_way) = (Changed::default(), Vec::new());
        let told = work.told.as_mut()?;
        told.finished = Some(now);
        Some(told.clone())
    }
}

/// Plans anew whenever that is wanted. Ends when the engine drains.
pub(crate) async fn replan_loop(inner: Arc<Inner>) {
    while !inner.draining.load(Ordering::SeqCst) {
        let Some(pass) = inner.replanner.next() else {
            inner.replanner.wanted.notified().await;
            continue;
        };
        match inner.replan_all(&pass).await {
            Ok(()) => inner.end_pass(&pass).await,
            Err(Stopped::Outdated) => {}
            // Until a restart, which begins it again.
            Err(Stopped::Failed(StoreError::Stopped { .. })) => return,
            Err(Stopped::Failed(error)) => {
                tracing::warn!(%error, "what waits could not be planned anew; it is tried again");
                inner.sleep(AFTER_FAILURE).await;
            }
        }
    }
}

impl Inner {
    /// At the start: whether everything that waits was planned by what is in force now.
    pub(crate) async fn resume_replanning(&self) -> Result<(), StoreError> {
        let version = self.book().version;
        match self.store.bookmark(READER).await? {
            Some(Cursor(planned)) if planned == version => {}
            Some(_) => self.replanner.wants(Changed::all(), version, Vec::new(), self.clock.now()),
            // Nothing has waited here, or under a server that kept no such bookmark: it follows when it fires.
            None => self.store.keep_bookmark(READER, Cursor(version)).await?,
        }
        Ok(())
    }

    async fn end_pass(&self, pass: &Pass) {
        let Some(told) = self.replanner.finish(pass, self.clock.now()) else { return };
        let Replanning { version, looked_at, changed, .. } = told;
        if looked_at > 0 {
            tracing::info!(version, looked_at, changed, "what waits follows the configuration");
        }
        if let Err(error) = self.store.keep_bookmark(READER, Cursor(version)).await {
            tracing::warn!(%error, "what waits is looked at again after the next start");
        }
    }

    async fn replan_all(self: &Arc<Self>, pass: &Pass) -> Result<(), Stopped> {
        self.keep_sends_under().await?;
        let mut busy = pass.under_way.clone();
        let heads = if pass.changed.is_empty() { Vec::new() } else { self.store.heads().await? };
        // From the lot of a stop it comes back by itself, to where its step sends then.
        let here =
            |key: &QueueKey| pass.changed.may_wait_at(&key.endpoint) && StopTarget::of_lot(&key.endpoint).is_none();
        for QueueHead { key, .. } in heads.into_iter().filter(|head| here(&head.key)) {
            busy.extend(self.replan_queue(key, pass).await?);
        }
        while !busy.is_empty() {
            busy = self.replan_batch(busy, pass).await?;
            if !busy.is_empty() {
                self.sleep(AFTER_BUSY).await;
            }
        }
        Ok(())
    }

    /// Goes over one queue. Answers with those that are under way.
    async fn replan_queue(self: &Arc<Self>, key: QueueKey, pass: &Pass) -> Result<Vec<DeliveryId>, Stopped> {
        let (mut busy, mut after) = (Vec::new(), None);
        loop {
            let positions = self.store.due(key.clone(), after, BATCH).await?;
            let Some(last) = positions.last().copied() else { return Ok(busy) };
            after = Some(last);
            busy.extend(self.replan_batch(ids_of(&positions), pass).await?);
        }
    }

    /// Looks at some, and rests. Answers with those that are under way.
    async fn replan_batch(self: &Arc<Self>, ids: Vec<DeliveryId>, pass: &Pass) -> Result<Vec<DeliveryId>, Stopped> {
        self.begin_work();
        if self.draining.load(Ordering::SeqCst) || self.replanner.is_outdated(pass) {
            self.end_work();
            return Err(Outdated.into());
        }
        let began = self.clock.now();
        let looks = ids.into_iter().map(|id| async move { (id, self.replan_one(id, &pass.changed).await) });
        let looked: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        let took = self.clock.now().since(began);
        self.end_work();
        let mut busy = Vec::new();
        let mut changed = 0;
        let all = looked.len() as u64;
        for (id, looked) in looked {
            match looked? {
                Looked::Same => {}
                Looked::Changed => changed += 1,
                Looked::Busy => busy.push(id),
            }
        }
        self.replanner.count(pass, all - busy.len() as u64, changed);
        let rest = if changed > 0 { took * REST_FACTOR } else { took };
        self.sleep(rest.clamp(REST_MIN, REST_MAX)).await;
        Ok(busy)
    }

    async fn sleep(&self, pause: Duration) {
        let until = self.clock.now().after(pause);
        self.clock.sleep_until(until).await;
    }

    async fn replan_one(self: &Arc<Self>, id: DeliveryId, changed: &Changed) -> Result<Looked, StoreError> {
        if self.is_under_way(id) {
            return Ok(Looked::Busy);
        }
        let Some(delivery) = self.store.delivery(id).await?.filter(|delivery| changed.concerns(delivery)) else {
            return Ok(Looked::Same);
        };
        let Some(settlement) = self.planned_anew(&delivery).await? else { return Ok(Looked::Same) };
        // Made from what was read; where it has changed since, the store refuses it.
        if !self.dispatch.lock().reserve(id) {
            return Ok(Looked::Busy);
        }
        self.recent.lock().take(id);
        let mut looked = Looked::Busy;
        let (mut settlement, mut steps) = (Some(settlement), 0);
        let mut stands = None;
        while let Some(made) = settlement.take() {
            stands = match self.save(made, true).await {
                Saved::Applied(delivery) => {
                    looked = Looked::Changed;
                    Some(delivery)
                }
                Saved::Refused(now) => now,
                // Only a person's verb is not allowed.
                Saved::NotAllowed(_) => None,
                Saved::Lost => return Err(lost()),
            };
            steps += 1;
            if let Some(delivery) = stands.as_ref().filter(|_| looked == Looked::Changed && steps < STEPS_MAX) {
                settlement = self.planned_anew(delivery).await.unwrap_or_default();
            }
        }
        self.obey_and_finish(id, stands).await;
        Ok(looked)
    }

    fn is_under_way(&self, id: DeliveryId) -> bool {
        self.dispatch.lock().is_in_flight(id)
    }

    /// What becomes of a waiting delivery by the book in force; `None` where it waits for the right moment at the right place.
    async fn planned_anew(&self, delivery: &Delivery) -> Result<Option<Settlement>, StoreError> {
        if delivery.state.next_look().is_none() || StopTarget::of_lot(&delivery.endpoint).is_some() {
            return Ok(None);
        }
        let (book, fence, now) = (self.book(), self.fence(delivery), self.clock.now());
        let leg = match book.leg(delivery) {
            Ok(leg) => leg,
            Err(gone) => return Ok(refer(delivery, ReviewCause::StepGone, gone.to_string().into(), fence, now)),
        };
        // One whose candidate is gone chooses anew when it fires.
        let Some(plan) = leg.way(delivery) else { return Ok(None) };
        if plan.endpoint != delivery.endpoint {
            return Ok(replan(delivery, &plan.endpoint, fence, now));
        }
        match delivery.state {
            State::Held {
                why: HoldReason::ContactTime | HoldReason::RetryHours | HoldReason::Cap | HoldReason::Closed,
                ..
            } => self.held_anew(delivery, plan, &book, now).await,
            State::Held { why: HoldReason::RetryAfter, .. } | State::Waiting { .. } if delivery.is_retry() => {
                self.rescheduled(delivery, plan, book.version, now).await
            }
            State::Waiting { .. } | State::Held { .. } => Ok(None),
            State::Delivered { .. } | State::Rejected { .. } | State::InReview { .. } | State::Closed { .. } => {
                Ok(None)
            }
        }
    }

    async fn rescheduled(
        &self,
        delivery: &Delivery,
        plan: &StepPlan,
        version: u64,
        now: Timestamp,
    ) -> Result<Option<Settlement>, StoreError> {
        let Some(attempt) = self.last_attempt(delivery).await? else { return Ok(None) };
        let lead = if plan.conditions.adjustments.is_empty() { None } else { self.lead_of(delivery).await? };
        let in_force =
            lead.as_ref().map(|lead| plan.in_force(lead, attempt.number, self.moment(plan, attempt.started)));
        let policy = match &in_force {
            None => &plan.retry.policy,
            Some(Ok(in_force)) => &*in_force.policy,
            // Found when it fires.
            Some(Err(_)) => return Ok(None),
        };
        let terms = Terms { policy, ..self.terms(delivery, plan, version) };
        Ok(reschedule(delivery, &attempt, &terms, now))
    }

    /// One that is held itself: until when, as what holds it stands now.
    async fn held_anew(
        &self,
        delivery: &Delivery,
        plan: &StepPlan,
        book: &Book,
        now: Timestamp,
    ) -> Result<Option<Settlement>, StoreError> {
        let State::Held { until, why, .. } = delivery.state else { return Ok(None) };
        let Some(lead) = self.lead_of(delivery).await? else { return Ok(None) };
        let oldest = delivery.accepted_at.after(plan.longest_lead_age());
        let looks = if why == HoldReason::Cap {
            self.cap_full_until(delivery, &lead, book, until, now)
        } else if why == HoldReason::ContactTime {
            plan.conditions.contact_hours.as_ref().and_then(|hours| match hours.ask(&lead.fields, now) {
                ContactTime::Now => None,
                ContactTime::NotBefore { opens, .. } => Some(opens.unwrap_or(oldest)),
            })
        } else if why == HoldReason::RetryHours {
            let hours = plan.conditions.retry_hours.as_ref();
            hours.and_then(|hours| hours.waits(delivery.progress.retries_used, oldest, now))
        } else {
            self.dispatch.lock().closed_until(&plan.endpoint, now).map(|until| until.unwrap_or(oldest))
        };
        let looks = looks.unwrap_or(now).min(oldest);
        // What is looked at now, or as late as before, needs nothing written.
        if until <= now || looks == until {
            return Ok(None);
        }
        let because = format!("{why}, until another time by configuration version {}", book.version);
        Ok(hold_because(delivery, looks, why, because.into(), self.fence(delivery), now))
    }

    async fn lead_of(&self, delivery: &Delivery) -> Result<Option<Arc<Lead>>, StoreError> {
        Ok(self.store.load(delivery.id).await?.map(|(_, lead)| lead))
    }

    /// The last attempt of a delivery. Every change adds a line to its history, and raises its version.
    async fn last_attempt(&self, delivery: &Delivery) -> Result<Option<Attempt>, StoreError> {
        let lines = usize::try_from(delivery.version).unwrap_or(usize::MAX);
        for most in [LINES, LINES_MORE] {
            let read = self.store.history(delivery.id, lines.saturating_sub(most), most).await?;
            let found = read.into_iter().rev().find_map(|entry| match entry {
                Entry::Attempt(attempt) => Some(*attempt),
                Entry::LookUp(_) | Entry::Change(_) => None,
            });
            if found.is_some() || lines <= most {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

fn ids_of(positions: &[DuePosition]) -> Vec<DeliveryId> {
    positions.iter().map(|position| position.id).collect()
}

fn lost() -> StoreError {
    StoreError::Stopped { detail: "what was planned anew could not be stored".to_owned() }
}
