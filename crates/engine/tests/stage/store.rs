//! The store in memory with moods: it answers settlements late, is full until told otherwise, or forgets marks as a process
//! does that is killed before its next commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use steadfast_lead::{DeliveryId, Lead, LeadId, Timestamp};
use steadfast_retry::{CapPeriod, Delivery, EndpointPause, Entry, Event, Settlement, Stop, StopTarget};
use steadfast_store::{
    Acceptance, Accepted, Caps, ConfigVersion, ConfigVersions, Count, Cursor, Deliveries, DuePosition, Erasure,
    Erasures, Expired, ExpiredLead, Expiry, Filter, Health, Identity, Journal, KeptGuard, LeadErasure, MemoryStore,
    Page, Pending, Protection, Pruned, QueueHead, QueueKey, Queues, Retention, Settled, Store, StoreError, Term,
    Tombstone, Wiped, Writes,
};
use tokio::sync::watch;

/// How it takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As a good disk does.
    Ready,
    /// Settlements are stored, and answered, only when the mood has changed.
    Late,
    /// Every write is refused.
    Full,
}

pub(crate) struct MoodyStore {
    memory: Arc<MemoryStore>,
    mood: watch::Sender<Mood>,
    forgets_marks: AtomicBool,
}

impl MoodyStore {
    pub(crate) fn over(memory: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(MoodyStore { memory, mood: watch::Sender::new(Mood::Ready), forgets_marks: AtomicBool::new(false) })
    }

    pub(crate) fn memory(&self) -> &Arc<MemoryStore> {
        &self.memory
    }

    pub(crate) fn be(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Marks that are not waited for never reach the disk.
    pub(crate) fn forget_marks(&self) {
        self.forgets_marks.store(true, Ordering::SeqCst);
    }

    fn full(&self) -> Option<StoreError> {
        (*self.mood.borrow() == Mood::Full).then(|| StoreError::Full { detail: "told so".to_owned() })
    }
}

impl Writes for MoodyStore {
    fn accept(&self, acceptance: Acceptance) -> Pending<Accepted> {
        match self.full() {
            Some(full) => Box::pin(std::future::ready(Err(full))),
            None => self.memory.accept(acceptance),
        }
    }

    fn settle(&self, settlement: Settlement) -> Pending<Settled> {
        if let Some(full) = self.full() {
            return Box::pin(std::future::ready(Err(full)));
        }
        let (memory, mut mood) = (Arc::clone(&self.memory), self.mood.subscribe());
        Box::pin(async move {
            let _store_is_gone = mood.wait_for(|mood| *mood != Mood::Late).await.is_err();
            memory.settle(settlement).await
        })
    }

    fn take(&self, delivery: DeliveryId) {
        if !self.forgets_marks.load(Ordering::SeqCst) {
            self.memory.take(delivery);
        }
    }

    fn take_durably(&self, delivery: DeliveryId) -> Pending<()> {
        match self.full() {
            Some(full) => Box::pin(std::future::ready(Err(full))),
            None => self.memory.take_durably(delivery),
        }
    }

    fn close(&self) -> Pending<()> {
        self.memory.close()
    }

    fn health(&self) -> Health {
        if self.full().is_some() { Health::Full } else { self.memory.health() }
    }
}

impl Queues for MoodyStore {
    fn heads(&self) -> Pending<Vec<QueueHead>> {
        self.memory.heads()
    }

    fn due(&self, queue: QueueKey, after: Option<DuePosition>, limit: usize) -> Pending<Vec<DuePosition>> {
        self.memory.due(queue, after, limit)
    }

    fn load(&self, delivery: DeliveryId) -> Pending<Option<(Delivery, Arc<Lead>)>> {
        self.memory.load(delivery)
    }

    fn taken(&self) -> Pending<Vec<DeliveryId>> {
        self.memory.taken()
    }

    fn pauses(&self, now: Timestamp) -> Pending<Vec<EndpointPause>> {
        self.memory.pauses(now)
    }
}

impl Deliveries for MoodyStore {
    fn delivery(&self, id: DeliveryId) -> Pending<Option<Delivery>> {
        self.memory.delivery(id)
    }

    fn lead(&self, id: LeadId) -> Pending<Option<(Arc<Lead>, Vec<Delivery>)>> {
        self.memory.lead(id)
    }

    fn history(&self, id: DeliveryId, skip: usize, limit: usize) -> Pending<Vec<Entry>> {
        self.memory.history(id, skip, limit)
    }

    fn list(&self, filter: Filter, after: Option<DeliveryId>, limit: usize) -> Pending<Page<Delivery>> {
        self.memory.list(filter, after, limit)
    }

    fn counts(&self) -> Pending<Vec<Count>> {
        self.memory.counts()
    }
}

impl Erasures for MoodyStore {
    fn begin_erasure(&self, erasure: Erasure) -> Pending<u64> {
        self.memory.begin_erasure(erasure)
    }

    fn wipe(&self, erasure: LeadErasure) -> Pending<Wiped> {
        match self.full() {
            Some(full) => Box::pin(std::future::ready(Err(full))),
            None => self.memory.wipe(erasure),
        }
    }

    fn scrub(&self, from: u64) -> Pending<Option<u64>> {
        self.memory.scrub(from)
    }

    fn finish_erasure(&self, number: u64, at: Timestamp) -> Pending<()> {
        self.memory.finish_erasure(number, at)
    }

    fn unfinished_erasures(&self) -> Pending<Vec<Erasure>> {
        self.memory.unfinished_erasures()
    }

    fn tombstone(&self, lead: LeadId) -> Pending<Option<Tombstone>> {
        self.memory.tombstone(lead)
    }

    fn terms_of(&self, lead: LeadId) -> Pending<Vec<Term>> {
        self.memory.terms_of(lead)
    }

    fn find(&self, term: Term, before: Option<LeadId>, limit: usize) -> Pending<Vec<LeadId>> {
        self.memory.find(term, before, limit)
    }

    fn marked(&self, mark: Term, after: DeliveryId, limit: usize) -> Pending<Vec<Delivery>> {
        self.memory.marked(mark, after, limit)
    }
}

impl Journal for MoodyStore {
    fn events(&self, after: Cursor, limit: usize) -> Pending<Vec<(Cursor, Event)>> {
        self.memory.events(after, limit)
    }

    fn bookmark(&self, reader: &'static str) -> Pending<Option<Cursor>> {
        self.memory.bookmark(reader)
    }

    fn keep_bookmark(&self, reader: &'static str, at: Cursor) -> Pending<()> {
        self.memory.keep_bookmark(reader, at)
    }

    fn tip(&self) -> watch::Receiver<Cursor> {
        self.memory.tip()
    }
}

impl ConfigVersions for MoodyStore {
    fn save_config(&self, config: ConfigVersion) -> Pending<u64> {
        self.memory.save_config(config)
    }

    fn newest_config(&self) -> Pending<Option<ConfigVersion>> {
        self.memory.newest_config()
    }

    fn configs(&self, limit: usize) -> Pending<Vec<ConfigVersion>> {
        self.memory.configs(limit)
    }
}

impl Protection for MoodyStore {
    fn keep_guard(&self, guard: KeptGuard, events: Vec<Event>) -> Pending<()> {
        match self.full() {
            Some(full) => Box::pin(std::future::ready(Err(full))),
            None => self.memory.keep_guard(guard, events),
        }
    }

    fn guards(&self) -> Pending<Vec<KeptGuard>> {
        self.memory.guards()
    }

    fn keep_stop(&self, stop: Stop, event: Event) -> Pending<()> {
        self.memory.keep_stop(stop, event)
    }

    fn end_stop(&self, target: StopTarget, event: Event) -> Pending<()> {
        self.memory.end_stop(target, event)
    }

    fn stops(&self) -> Pending<Vec<Stop>> {
        self.memory.stops()
    }
}

impl Caps for MoodyStore {
    fn cap_counts(&self, since: Timestamp) -> Pending<Vec<(CapPeriod, u64)>> {
        self.memory.cap_counts(since)
    }

    fn cap_places(&self, since: Timestamp) -> Pending<Vec<(DeliveryId, CapPeriod)>> {
        self.memory.cap_places(since)
    }

    fn prune_caps(&self, before: Timestamp) -> Pending<u64> {
        self.memory.prune_caps(before)
    }
}

impl Retention for MoodyStore {
    fn expired(&self, expiry: Arc<Expiry>, after: Option<LeadId>) -> Pending<Expired> {
        self.memory.expired(expiry, after)
    }

    fn prune_leads(&self, leads: Vec<ExpiredLead>, expiry: Arc<Expiry>) -> Pending<Pruned> {
        match self.full() {
            Some(full) => Box::pin(std::future::ready(Err(full))),
            None => self.memory.prune_leads(leads, expiry),
        }
    }

    fn prune_rest(&self, expiry: Arc<Expiry>) -> Pending<Pruned> {
        self.memory.prune_rest(expiry)
    }

    fn pruned(&self) -> Pending<Vec<Count>> {
        self.memory.pruned()
    }

    fn journal_pruned_to(&self) -> Pending<Cursor> {
        self.memory.journal_pruned_to()
    }
}

impl Store for MoodyStore {
    fn identity(&self) -> Identity {
        self.memory.identity()
    }
}
