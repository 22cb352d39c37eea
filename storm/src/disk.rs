//! The disk between the engine and a real store: slow, full, busy, failing its sync, and cut off at any moment.
//!
//! Writes wait in a queue until a sync takes them, and are answered a moment after it; reads see what was committed, and are
//! answered a moment later. What a crash keeps of the queue is a beginning of it. Everything is in the order the engine gave
//! it, so that what is kept is what a disk with one log would keep.

use crate::clock::StormClock;
use crate::dice::Dice;
use crate::write::{Mark, Write, wait, waited};
use parking_lot::Mutex;
use std::sync::Arc;
use steadfast_lead::{DeliveryId, Lead, LeadId, Timestamp};
use steadfast_retry::{CapPeriod, Delivery, EndpointPause, Entry, Event, Settlement, Stop, StopTarget};
use steadfast_store::{
    Acceptance, Accepted, Caps, ConfigVersion, ConfigVersions, Count, Cursor, Deliveries, DuePosition, Erasure,
    Erasures, Expired, ExpiredLead, Expiry, Filter, Health, Identity, Journal, KeptGuard, LeadErasure, Page, Pending,
    Protection, Pruned, QueueHead, QueueKey, Queues, Retention, Settled, Store, StoreError, Term, Tombstone, Wiped,
    Writes,
};
use tokio::sync::{Notify, watch};

/// How the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes what comes.
    Ready,
    /// No room.
    Full,
    /// Too much at once.
    Busy,
    /// The next sync fails.
    Failing,
    /// A sync failed: nothing more until a restart.
    Stopped,
}

/// Told after every commit, with the store as it stands.
pub(crate) type AfterCommit = Arc<dyn Fn(&dyn Store) + Send + Sync>;

/// One opening of a store, under weather.
pub(crate) struct Disk {
    store: Arc<dyn Store>,
    clock: StormClock,
    after_commit: AfterCommit,
    state: Mutex<DiskState>,
    wake: Notify,
}

struct DiskState {
    dice: Dice,
    mood: Mood,
    queue: Vec<Box<dyn Write>>,
    /// The batch whose sync failed: on disk or not, nobody knows.
    unknown: Vec<Box<dyn Write>>,
    dead: bool,
    /// Half of all reads fail.
    reads_fail: bool,
}

impl Disk {
    pub(crate) fn over(store: Arc<dyn Store>, clock: StormClock, dice: Dice, after_commit: AfterCommit) -> Arc<Self> {
        let state = DiskState {
            dice,
            mood: Mood::Ready,
            queue: Vec::new(),
            unknown: Vec::new(),
            dead: false,
            reads_fail: false,
        };
        Arc::new(Disk { store, clock, after_commit, state: Mutex::new(state), wake: Notify::new() })
    }

    /// The store itself, to look at.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Changes the weather. What has stopped stays so.
    pub(crate) fn be(&self, mood: Mood) {
        let mut state = self.state.lock();
        if state.mood != Mood::Stopped {
            state.mood = mood;
        }
    }

    /// From now on half of all reads fail, or none.
    pub(crate) fn reads_fail(&self, fail: bool) {
        self.state.lock().reads_fail = fail;
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.state.lock().mood == Mood::Stopped
    }

    /// Takes nothing more; what was under way, in order.
    pub(crate) fn die(&self) -> Vec<Box<dyn Write>> {
        let mut state = self.state.lock();
        state.dead = true;
        let mut left = std::mem::take(&mut state.unknown);
        left.append(&mut state.queue);
        left
    }

    /// Syncs whatever waits, for as long as the process lives.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            self.wake.notified().await;
            while !self.state.lock().queue.is_empty() {
                self.take_turn().await;
            }
        }
    }

    async fn take_turn(&self) {
        let (sync, say) = {
            let dice = &mut self.state.lock().dice;
            (if dice.chance(3) { 400_000 } else { dice.below(9_000) }, dice.below(3_000))
        };
        self.clock.nap(sync).await;
        let mut batch = self.sync();
        self.clock.nap(say).await;
        batch.iter_mut().for_each(|write| write.answer());
    }

    /// One transaction, or its refusal; what is to be answered.
    fn sync(&self) -> Vec<Box<dyn Write>> {
        let mut state = self.state.lock();
        let mut batch = std::mem::take(&mut state.queue);
        let refusal = match state.mood {
            Mood::Ready => None,
            Mood::Full => Some(StoreError::Full { detail: "no space left (storm)".to_owned() }),
            Mood::Busy => Some(StoreError::Busy),
            Mood::Failing | Mood::Stopped => Some(StoreError::Stopped { detail: "sync failed (storm)".to_owned() }),
        };
        let Some(error) = refusal else {
            drop(state);
            commit(&*self.store, &mut batch);
            (self.after_commit)(&*self.store);
            return batch;
        };
        batch.iter_mut().for_each(|write| write.refuse(&error));
        match state.mood {
            // Marks that found no room go with the next transaction.
            Mood::Full => state.queue.extend(batch.into_iter().filter(|write| write.rides_along())),
            Mood::Failing => {
                state.mood = Mood::Stopped;
                state.unknown = batch;
            }
            Mood::Ready | Mood::Busy | Mood::Stopped => {}
        }
        Vec::new()
    }

    fn push(&self, write: Box<dyn Write>) {
        let mut state = self.state.lock();
        if !state.dead {
            state.queue.push(write);
            self.wake.notify_one();
        }
    }

    fn write<T: Send + 'static>(&self, call: impl FnOnce(&dyn Store) -> Pending<T> + Send + 'static) -> Pending<T> {
        let (write, answer) = waited(call);
        self.push(write);
        answer
    }

    fn read<T: Send + 'static>(&self, ask: impl FnOnce(&dyn Store) -> Pending<T> + Send + 'static) -> Pending<T> {
        let (before, after, failure) = {
            let state = &mut *self.state.lock();
            let dice = &mut state.dice;
            let (before, after) = if dice.chance(70) { (0, 0) } else { (dice.below(4_000), dice.below(4_000)) };
            let fails = state.reads_fail && dice.chance(50);
            let unreadable = StoreError::Unreadable { detail: "read failed (storm)".to_owned() };
            let failure = fails.then(|| if dice.chance(30) { StoreError::Busy } else { unreadable });
            (before, after, failure)
        };
        let (store, clock) = (Arc::clone(&self.store), self.clock.clone());
        Box::pin(async move {
            clock.nap(before).await;
            let answer = failure.map_or_else(|| wait(ask(&*store)), Err);
            clock.nap(after).await;
            answer
        })
    }
}

/// Puts writes into the store, together.
pub(crate) fn commit(store: &dyn Store, batch: &mut [Box<dyn Write>]) {
    batch.iter_mut().for_each(|write| write.begin(store));
    batch.iter_mut().for_each(|write| write.finish());
}

impl Writes for Disk {
    fn accept(&self, acceptance: Acceptance) -> Pending<Accepted> {
        self.write(move |store| store.accept(acceptance))
    }

    fn settle(&self, settlement: Settlement) -> Pending<Settled> {
        self.write(move |store| store.settle(settlement))
    }

    fn take(&self, delivery: DeliveryId) {
        self.push(Box::new(Mark::of(delivery)));
    }

    fn take_durably(&self, delivery: DeliveryId) -> Pending<()> {
        self.write(move |store| store.take_durably(delivery))
    }

    fn close(&self) -> Pending<()> {
        self.write(|store| store.close())
    }

    fn health(&self) -> Health {
        match self.state.lock().mood {
            Mood::Ready | Mood::Busy | Mood::Failing => self.store.health(),
            Mood::Full => Health::Full,
            Mood::Stopped => Health::Stopped { detail: "sync failed (storm)".to_owned() },
        }
    }
}

impl Queues for Disk {
    fn heads(&self) -> Pending<Vec<QueueHead>> {
        self.read(|store| store.heads())
    }

    fn due(&self, queue: QueueKey, after: Option<DuePosition>, limit: usize) -> Pending<Vec<DuePosition>> {
        self.read(move |store| store.due(queue, after, limit))
    }

    fn load(&self, delivery: DeliveryId) -> Pending<Option<(Delivery, Arc<Lead>)>> {
        self.read(move |store| store.load(delivery))
    }

    fn taken(&self) -> Pending<Vec<DeliveryId>> {
        self.read(|store| store.taken())
    }

    fn pauses(&self, now: Timestamp) -> Pending<Vec<EndpointPause>> {
        self.read(move |store| store.pauses(now))
    }
}

impl Deliveries for Disk {
    fn delivery(&self, id: DeliveryId) -> Pending<Option<Delivery>> {
        self.read(move |store| store.delivery(id))
    }

    fn lead(&self, id: LeadId) -> Pending<Option<(Arc<Lead>, Vec<Delivery>)>> {
        self.read(move |store| store.lead(id))
    }

    fn history(&self, id: DeliveryId, skip: usize, limit: usize) -> Pending<Vec<Entry>> {
        self.read(move |store| store.history(id, skip, limit))
    }

    fn list(&self, filter: Filter, after: Option<DeliveryId>, limit: usize) -> Pending<Page<Delivery>> {
        self.read(move |store| store.list(filter, after, limit))
    }

    fn counts(&self) -> Pending<Vec<Count>> {
        self.read(|store| store.counts())
    }
}

impl Erasures for Disk {
    fn begin_erasure(&self, erasure: Erasure) -> Pending<u64> {
        self.write(move |store| store.begin_erasure(erasure))
    }

    fn wipe(&self, erasure: LeadErasure) -> Pending<Wiped> {
        self.write(move |store| store.wipe(erasure))
    }

    fn scrub(&self, from: u64) -> Pending<Option<u64>> {
        self.write(move |store| store.scrub(from))
    }

    fn finish_erasure(&self, number: u64, at: Timestamp) -> Pending<()> {
        self.write(move |store| store.finish_erasure(number, at))
    }

    fn unfinished_erasures(&self) -> Pending<Vec<Erasure>> {
        self.read(|store| store.unfinished_erasures())
    }

    fn tombstone(&self, lead: LeadId) -> Pending<Option<Tombstone>> {
        self.read(move |store| store.tombstone(lead))
    }

    fn terms_of(&self, lead: LeadId) -> Pending<Vec<Term>> {
        self.read(move |store| store.terms_of(lead))
    }

    fn find(&self, term: Term, before: Option<LeadId>, limit: usize) -> Pending<Vec<LeadId>> {
        self.read(move |store| store.find(term, before, limit))
    }

    fn marked(&self, mark: Term, after: DeliveryId, limit: usize) -> Pending<Vec<Delivery>> {
        self.read(move |store| store.marked(mark, after, limit))
    }
}

impl Protection for Disk {
    fn keep_guard(&self, guard: KeptGuard, events: Vec<Event>) -> Pending<()> {
        self.write(move |store| store.keep_guard(guard, events))
    }

    fn guards(&self) -> Pending<Vec<KeptGuard>> {
        self.read(|store| store.guards())
    }

    fn keep_stop(&self, stop: Stop, event: Event) -> Pending<()> {
        self.write(move |store| store.keep_stop(stop, event))
    }

    fn end_stop(&self, target: StopTarget, event: Event) -> Pending<()> {
        self.write(move |store| store.end_stop(target, event))
    }

    fn stops(&self) -> Pending<Vec<Stop>> {
        self.read(|store| store.stops())
    }
}

impl Caps for Disk {
    fn cap_counts(&self, since: Timestamp) -> Pending<Vec<(CapPeriod, u64)>> {
        self.read(move |store| store.cap_counts(since))
    }

    fn cap_places(&self, since: Timestamp) -> Pending<Vec<(DeliveryId, CapPeriod)>> {
        self.read(move |store| store.cap_places(since))
    }

    fn prune_caps(&self, before: Timestamp) -> Pending<u64> {
        self.write(move |store| store.prune_caps(before))
    }
}

impl Retention for Disk {
    fn expired(&self, expiry: Arc<Expiry>, after: Option<LeadId>) -> Pending<Expired> {
        self.read(move |store| store.expired(expiry, after))
    }

    fn prune_leads(&self, leads: Vec<ExpiredLead>, expiry: Arc<Expiry>) -> Pending<Pruned> {
        self.write(move |store| store.prune_leads(leads, expiry))
    }

    fn prune_rest(&self, expiry: Arc<Expiry>) -> Pending<Pruned> {
        self.write(move |store| store.prune_rest(expiry))
    }

    fn pruned(&self) -> Pending<Vec<Count>> {
        self.read(|store| store.pruned())
    }

    fn journal_pruned_to(&self) -> Pending<Cursor> {
        self.read(|store| store.journal_pruned_to())
    }
}

impl Journal for Disk {
    fn events(&self, after: Cursor, limit: usize) -> Pending<Vec<(Cursor, Event)>> {
        self.read(move |store| store.events(after, limit))
    }

    fn bookmark(&self, reader: &'static str) -> Pending<Option<Cursor>> {
        self.read(move |store| store.bookmark(reader))
    }

    fn keep_bookmark(&self, reader: &'static str, at: Cursor) -> Pending<()> {
        self.write(move |store| store.keep_bookmark(reader, at))
    }

    fn tip(&self) -> watch::Receiver<Cursor> {
        self.store.tip()
    }
}

impl ConfigVersions for Disk {
    fn save_config(&self, config: ConfigVersion) -> Pending<u64> {
        self.write(move |store| store.save_config(config))
    }

    fn newest_config(&self) -> Pending<Option<ConfigVersion>> {
        self.read(|store| store.newest_config())
    }

    fn configs(&self, limit: usize) -> Pending<Vec<ConfigVersion>> {
        self.read(move |store| store.configs(limit))
    }
}

impl Store for Disk {
    fn identity(&self) -> Identity {
        self.store.identity()
    }
}
