//! Intake: check, plan, store, answer; then send from memory without reading back.

use crate::callbacks::answer_bound;
use crate::dispatch::{Errand, Start};
use crate::run::{Engine, Inner, flow_of};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use steadfast_lead::{Fields, FlowName, Lead, LeadId, SourceName, Timestamp};
use steadfast_retry::{Delivery, Event, EventKind};
use steadfast_store::{Acceptance, Accepted, Dedupe, QueueKey, StoreError};

/// A lead as it was posted.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Into which flow.
    pub flow: FlowName,
    /// By which source.
    pub source: Option<SourceName>,
    /// A test lead.
    pub test: bool,
    /// What was said.
    pub fields: Fields,
    /// The request's own guard against being taken twice.
    pub idempotency: Option<Idempotency>,
}

/// An `Idempotency-Key` and what was posted under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The key.
    pub key: Box<str>,
    /// SHA-256 of the body.
    pub digest: [u8; 32],
    /// How long it is remembered; `None` leaves it to the engine's bound.
    pub keep_for: Option<Duration>,
}

/// What a client gets for a lead that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The lead.
    pub lead: LeadId,
    /// Its deliveries in the order of the steps.
    pub deliveries: Vec<Delivery>,
    /// The same request was accepted before; this is what it made then.
    pub replay: bool,
}

/// Why a lead was not taken. Nothing of it was kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No flow of that name.
    #[error("there is no flow named {0}")]
    UnknownFlow(FlowName),
    /// A flow without steps would lose the lead.
    #[error("flow {0} has no steps, so nothing would become of the lead")]
    NoSteps(FlowName),
    /// The key was used for another body.
    #[error("this Idempotency-Key was used with another body, for lead {0}")]
    KeyReused(LeadId),
    /// The person asked for deletion not long ago.
    #[error("the person asked for deletion on {at}; their leads are refused until {until}")]
    Erased {
        /// When.
        at: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// As many deliveries wait as may.
    #[error("{0} deliveries are waiting, as many as the queue takes (store.queue_capacity); try again later")]
    QueueFull(u64),
    /// The server is stopping.
    #[error("the server is stopping")]
    Draining,
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Accepts a lead: durable when this answers.
    ///
    /// # Errors
    /// [`Refusal`]; nothing of the lead was kept.
    pub async fn accept(&self, posted: Posted) -> Result<Receipt, Refusal> {
        // Whoever asked may go away at any moment, and what they waited on is dropped then. What is begun is finished all
        // the same: a lead that is stored must be known to dispatch.
        let inner = Arc::clone(&self.inner);
        match tokio::spawn(Box::pin(async move { inner.accept(posted).await })).await {
            Ok(accepted) => accepted,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that ends cancels it.
                Err(_) => Err(Refusal::Draining),
            },
        }
    }

    /// Waits until every delivery of a lead is done or needs a person, at most `patience`; answers with the deliveries as
    /// they stand then, `None` for an unknown lead.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub async fn wait_for(&self, lead: LeadId, patience: Duration) -> Result<Option<Vec<Delivery>>, StoreError> {
        self.wait_until(lead, patience, |deliveries| {
            deliveries.iter().all(|delivery| delivery.state.next_look().is_none())
        })
        .await
    }

    /// As [`Engine::wait_for`], until what is known of the deliveries is `enough`.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub async fn wait_until(
        &self,
        lead: LeadId,
        patience: Duration,
        enough: impl Fn(&[Delivery]) -> bool + Send,
    ) -> Result<Option<Vec<Delivery>>, StoreError> {
        let waiter = self.inner.waiters.begin(lead);
        let until = self.now().after(patience);
        loop {
            let Some((_, deliveries)) = self.inner.store.lead(lead).await? else { return Ok(None) };
            if enough(&deliveries) || self.now() >= until {
                return Ok(Some(deliveries));
            }
            tokio::select! {
                () = waiter.settled.notified() => {}
                () = self.inner.clock.sleep_until(until) => {}
            }
        }
    }
}

/// Room for a lead's deliveries among those that may wait; given back unless it is kept.
struct Room<'a> {
    inner: &'a Inner,
    deliveries: u64,
}

impl<'a> Room<'a> {
    /// Taken before anything is stored, so that leads arriving together do not take the same room.
    fn take(inner: &'a Inner, deliveries: usize) -> Result<Self, Refusal> {
        let most = inner.limits.open_max;
        let deliveries = u64::try_from(deliveries).unwrap_or(u64::MAX);
        let grown = |open: u64| open.checked_add(deliveries).filter(|open| *open <= most);
        match inner.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown) {
            Ok(_) => Ok(Room { inner, deliveries }),
            Err(_) => Err(Refusal::QueueFull(most)),
        }
    }

    fn keep(mut self) {
        self.deliveries = 0;
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.inner.open.fetch_sub(self.deliveries, Ordering::Relaxed);
    }
}

impl Inner {
    async fn accept(self: &Arc<Self>, posted: Posted) -> Result<Receipt, Refusal> {
        if self.draining.load(Ordering::SeqCst) {
            return Err(Refusal::Draining);
        }
        let book = self.book();
        let flow = flow_of(&book, &posted.flow).ok_or_else(|| Refusal::UnknownFlow(posted.flow.clone()))?;
        if flow.steps.is_empty() {
            return Err(Refusal::NoSteps(posted.flow));
        }
        let room = Room::take(self, flow.steps.len())?;
        let now = self.clock.now();
        let (lead, mut deliveries) = {
            let mut ids = self.ids.lock();
            let lead = Lead {
                id: ids.next(now),
                flow: posted.flow,
                source: posted.source,
                accepted_at: now,
                test: posted.test,
                fields: posted.fields,
            };
            let deliveries = flow.deliveries(&lead, &mut ids);
            (Arc::new(lead), deliveries)
        };
        self.urge_at_intake(&flow, &lead, &mut deliveries);
        self.choose_at_intake(&flow, &lead, &mut deliveries, now);
        let dedupe = posted.idempotency.map(|guard| {
            let until = now.after(guard.keep_for.unwrap_or(self.limits.dedupe_for));
            Dedupe { key: guard.key, digest: guard.digest, until }
        });
        let kind = EventKind::LeadAccepted {
            lead: lead.id,
            flow: lead.flow.clone(),
            deliveries: u32::try_from(deliveries.len()).unwrap_or(u32::MAX),
            test: lead.test,
        };
        let event = Event { at: now, kind };
        let acceptance = Acceptance {
            terms: self.terms_of(&flow, &lead),
            marks: self.marks_of(&flow, &lead, &deliveries),
            refuse_erased_since: book.erasure.bars_since(now),
            lead: Arc::clone(&lead),
            deliveries: deliveries.clone(),
            dedupe,
            event: event.clone(),
        };
        // Before anybody can see the lead: whoever changes it from then on forgets it here first.
        let at_once = deliveries.iter().filter(|delivery| delivery.state.next_look().is_some());
        at_once.for_each(|delivery| self.recent.lock().keep(delivery, &lead));
        if let Some(until) = answer_bound(&book, &lead) {
            self.answers.begin(lead.id, until);
        }
        let accepted = self.store.accept(acceptance).await;
        if accepted != Ok(Accepted::New) {
            deliveries.iter().for_each(|delivery| drop(self.recent.lock().take(delivery.id)));
            self.answers.end(lead.id, false);
        }
        match accepted? {
            Accepted::New => {
                room.keep();
                self.last_commit.saw(now, self.clock.now());
                self.observer.committed(&event);
                self.begin_deliveries(&lead, &deliveries);
                Ok(Receipt { lead: lead.id, deliveries, replay: false })
            }
            Accepted::Replay { lead } => self.replay(lead).await,
            Accepted::KeyReused { lead } => Err(Refusal::KeyReused(lead)),
            Accepted::Erased { at } => self.returned(&lead, deliveries, event, at, book.erasure).await,
        }
    }

    async fn replay(&self, lead: LeadId) -> Result<Receipt, Refusal> {
        let deliveries = self.store.lead(lead).await?.map(|(_, deliveries)| deliveries).unwrap_or_default();
        Ok(Receipt { lead, deliveries, replay: true })
    }

    /// Starts what can start at once, from memory; the rest waits its turn in the store.
    fn begin_deliveries(self: &Arc<Self>, lead: &Arc<Lead>, deliveries: &[Delivery]) {
        let now = self.clock.now();
        // What waits for another delivery of its lead is begun by that one's settlement.
        for delivery in deliveries.iter().filter(|delivery| delivery.state.next_look().is_some()) {
            let queue = QueueKey::of(delivery);
            let started = self.dispatch.lock().take_fresh(&queue, delivery.id, now);
            if started {
                self.recent.lock().take(delivery.id);
                let errand = Errand::Attempt { passes: false };
                let start = Start { delivery: delivery.id, position: None, queue, errand };
                self.spawn_attempt(start, Some((delivery.clone(), Arc::clone(lead))));
            } else {
                self.offer(delivery);
            }
        }
    }
}
