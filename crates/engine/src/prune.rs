//! Deleting what is over its time: in the background, a small slice and then a rest, so that no delivery waits for it.
//!
//! A pass goes over leads oldest first and goes on where the last one ended; once a day it begins at the oldest, for those
//! that had not ended when they were passed. With an archive, a slice is deleted only after the archive has it.
//!
//! Must never: delete what the archive has not kept, or hold up a drain for longer than one slice.

use crate::clock::Clock;
use crate::run::{Engine, Inner};
use futures::future::BoxFuture;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use steadfast_flow::Book;
use steadfast_lead::{Lead, LeadId, Timestamp};
use steadfast_retry::{Delivery, Entry};
use steadfast_store::{ExpiredLead, Expiry, Pruned, StoreError, Tombstone};

/// From the end of one pass to the next.
const EVERY: Duration = Duration::from_secs(3_600);
/// From one pass over everything to the next.
const WHOLE_EVERY: Duration = Duration::from_secs(86_400);
/// After a slice, how many times as long as it took nothing is deleted: under load a slice waits for its commit, and so
/// the rest grows with the load.
const REST_FACTOR: u32 = 12;
const REST_MIN: Duration = Duration::from_millis(10);
const REST_MAX: Duration = Duration::from_secs(1);
/// How soon it is tried again after something failed.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// Lines of a history read at once.
const HISTORY_PAGE: usize = 1_000;

/// A lead on its way out, whole.
#[derive(Clone, Debug)]
pub struct ArchivedLead {
    /// What was accepted; without fields when it was erased.
    pub lead: Arc<Lead>,
    /// Its deliveries in the order of its steps, each with its history, oldest first.
    pub deliveries: Vec<(Delivery, Vec<Entry>)>,
    /// That it was erased, when and by whom.
    pub tombstone: Option<Tombstone>,
}

/// Why an archive did not keep what it was given; nothing of it is deleted then.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the archive could not be written: {0}")]
pub struct ArchiveError(pub String);

/// Where leads are kept before they are deleted.
pub trait Archive: Send + Sync + 'static {
    /// Whether it wants them now; otherwise they are deleted without.
    fn wants(&self) -> bool;

    /// Keeps leads, durably, at a time. After a stop in between the same ones may come again.
    fn keep(&self, leads: Vec<ArchivedLead>, now: Timestamp) -> BoxFuture<'static, Result<(), ArchiveError>>;
}

/// Why a slice was not deleted.
#[derive(Debug, thiserror::Error)]
enum PruneError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl Engine {
    /// Begins to delete what is over its time, as the configuration in force says, and goes on until the engine drains.
    pub fn start_pruning(&self, archive: Option<Arc<dyn Archive>>) {
        let clock = Arc::clone(&self.inner.clock);
        tokio::spawn(prune_loop(Arc::downgrade(&self.inner), clock, archive));
    }
}

/// Where a pass over the leads is.
#[derive(Default)]
struct Passes {
    /// The next slice begins after this; `None` at the oldest.
    after: Option<LeadId>,
    /// When the last pass over everything began.
    whole_at: Option<Timestamp>,
}

impl Passes {
    fn begin(&mut self, now: Timestamp) {
        if self.whole_at.is_none_or(|at| now >= at.after(WHOLE_EVERY)) {
            *self = Passes { after: None, whole_at: Some(now) };
        }
    }
}

/// Holds the engine only while it works, so that an engine that is done with can go.
async fn prune_loop(engine: Weak<Inner>, clock: Arc<dyn Clock>, archive: Option<Arc<dyn Archive>>) {
    let mut passes = Passes::default();
    while let Some(inner) = engine.upgrade().filter(|inner| !inner.draining.load(Ordering::SeqCst)) {
        passes.begin(clock.now());
        let pause = match inner.pass(&mut passes, archive.as_deref()).await {
            Ok(pruned) => {
                told(pruned);
                EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "what is over its time was not deleted; it is tried again");
                AFTER_FAILURE
            }
        };
        drop(inner);
        let until = clock.now().after(pause);
        while clock.now() < until && engine.strong_count() > 0 {
            clock.doze_until(until).await;
        }
    }
}

fn told(pruned: Pruned) {
    if !pruned.is_nothing() {
        let Pruned { leads, deliveries, journal, configs, erasures } = pruned;
        tracing::info!(leads, deliveries, journal, configs, erasures, "deleted what is over its time");
    }
}

impl Inner {
    async fn pass(&self, passes: &mut Passes, archive: Option<&dyn Archive>) -> Result<Pruned, PruneError> {
        self.prune_caps().await?;
        let leads = self.prune_leads(passes, archive).await?;
        Ok(leads.and(self.prune_rest().await?))
    }

    /// Slice after slice, from where the last pass ended.
    async fn prune_leads(&self, passes: &mut Passes, archive: Option<&dyn Archive>) -> Result<Pruned, PruneError> {
        let mut pruned = Pruned::default();
        loop {
            let expiry = Arc::new(expiry(&self.book(), self.clock.now()));
            let found = self.store.expired(Arc::clone(&expiry), passes.after).await?;
            let slice = match found.leads.is_empty() {
                true => self.look_on(found.next).await,
                false => self.paced(self.archive_and_prune(found.leads, expiry, archive)).await?,
            };
            let Some(slice) = slice else { return Ok(pruned) };
            pruned = pruned.and(slice);
            let Some(next) = found.next else { return Ok(pruned) };
            passes.after = Some(next);
        }
    }

    /// Nothing was found: where there is more to look at, after a short rest, so that others are answered as well.
    async fn look_on(&self, next: Option<LeadId>) -> Option<Pruned> {
        next?;
        self.rest(REST_MIN).await;
        Some(Pruned::default())
    }

    async fn archive_and_prune(
        &self,
        leads: Vec<ExpiredLead>,
        expiry: Arc<Expiry>,
        archive: Option<&dyn Archive>,
    ) -> Result<Pruned, PruneError> {
        if let Some(archive) = archive.filter(|archive| archive.wants()) {
            let whole = self.whole_leads(leads.iter().map(|lead| lead.id)).await?;
            archive.keep(whole, expiry.now).await?;
        }
        Ok(self.store.prune_leads(leads, expiry).await?)
    }

    async fn prune_rest(&self) -> Result<Pruned, PruneError> {
        let mut pruned = Pruned::default();
        loop {
            let expiry = Arc::new(expiry(&self.book(), self.clock.now()));
            let slice = async { Ok(self.store.prune_rest(expiry).await?) };
            match self.paced(slice).await? {
                Some(slice) if !slice.is_nothing() => pruned = pruned.and(slice),
                Some(_) | None => return Ok(pruned),
            }
        }
    }

    /// Does a slice and rests after it; `None` when the engine drains. A drain waits for a slice that has begun.
    async fn paced(
        &self,
        slice: impl Future<Output = Result<Pruned, PruneError>>,
    ) -> Result<Option<Pruned>, PruneError> {
        self.begin_work();
        if self.draining.load(Ordering::SeqCst) {
            self.end_work();
            return Ok(None);
        }
        let began = self.clock.now();
        let done = slice.await;
        let took = self.clock.now().since(began);
        self.end_work();
        let done = done?;
        if !done.is_nothing() {
            self.rest((took * REST_FACTOR).clamp(REST_MIN, REST_MAX)).await;
        }
        Ok(Some(done))
    }

    /// Ends early when the engine drains.
    pub(crate) async fn rest(&self, pause: Duration) {
        let until = self.clock.now().after(pause);
        while self.clock.now() < until && !self.draining.load(Ordering::SeqCst) {
            self.clock.sleep_until(until).await;
        }
    }

    async fn whole_leads(&self, ids: impl Iterator<Item = LeadId>) -> Result<Vec<ArchivedLead>, StoreError> {
        let mut leads = Vec::new();
        for id in ids {
            let Some((lead, deliveries)) = self.store.lead(id).await? else { continue };
            let mut with_history = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                let history = self.whole_history(&delivery).await?;
                with_history.push((delivery, history));
            }
            let tombstone = self.store.tombstone(id).await?;
            leads.push(ArchivedLead { lead, deliveries: with_history, tombstone });
        }
        Ok(leads)
    }

    async fn whole_history(&self, delivery: &Delivery) -> Result<Vec<Entry>, StoreError> {
        let mut history = Vec::new();
        loop {
            let page = self.store.history(delivery.id, history.len(), HISTORY_PAGE).await?;
            let last = page.len() < HISTORY_PAGE;
            history.extend(page);
            if last {
                return Ok(history);
            }
        }
    }
}

/// What is over its time now.
fn expiry(book: &Book, now: Timestamp) -> Expiry {
    let rules = &book.retention;
    Expiry {
        now,
        leads: rules.leads.before(now),
        flows: book.flow_retention.iter().map(|(flow, keep)| (flow.clone(), keep.before(now))).collect(),
        journal: rules.journal.before(now),
        erasures: rules.erasures.at_least(book.erasure.refuse_for).before(now),
    }
}
