//! The engine: its parts, its bounds, and the loop that starts what is due.

use crate::apart::Apart;
use crate::callbacks::{Answers, begin_reading, follow_journal};
use crate::caps::{CapKeeper, CapStanding};
use crate::choosing::Chooser;
use crate::clock::Clock;
use crate::dispatch::{Dispatch, DispatchLimits, Refill, Start};
use crate::door::Door;
use crate::duplicates::Reservations;
use crate::look_again::keep_looking_again;
use crate::observe::Observer;
use crate::protect::{keep_guards, protected_by};
use crate::recent::Recent;
use crate::replan::{Replanner, replan_loop};
use crate::taking::LastCommit;
use crate::waiters::Waiters;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use steadfast_flow::{Book, Changed, FlowPlan, StepPlan};
use steadfast_lead::{DeliveryId, IdSequence, LeadId, Timestamp};
use steadfast_retry::{Delivery, Endpoint, Fence, Shard, Stop, StopTarget, Suppressed, Terms};
use steadfast_store::{DuePosition, Health, QueueKey, Store, StoreError};
use tokio::sync::{Notify, watch};

/// The engine's bounds.
#[derive(Clone, Copy, Debug)]
pub struct EngineLimits {
    /// Attempts under way at once, in all.
    pub slots: usize,
    /// Positions of one queue held in memory.
    pub window: usize,
    /// Deliveries that wait or are held, at most: beyond it no lead is taken.
    pub open_max: u64,
    /// How much of an answer's body is stored with its attempt, in bytes.
    pub body_kept_bytes_max: usize,
    /// How long an `Idempotency-Key` is remembered.
    pub dedupe_for: Duration,
}

impl Default for EngineLimits {
    fn default() -> Self {
        EngineLimits {
            slots: 512,
            window: 1_024,
            open_max: 10_000_000,
            body_kept_bytes_max: 4_096,
            dedupe_for: Duration::from_secs(86_400),
        }
    }
}

/// What an engine is made of.
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The way out.
    pub door: Arc<dyn Door>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who is told what was committed.
    pub observer: Arc<dyn Observer>,
    /// The configuration in force.
    pub book: Book,
    /// Bounds.
    pub limits: EngineLimits,
}

/// Whether the engine takes leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It is stopping.
    Draining,
    /// The store takes no writes.
    Store(Health),
}

/// The engine. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) door: Arc<dyn Door>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) limits: EngineLimits,
    pub(crate) book: RwLock<Arc<Book>>,
    pub(crate) dispatch: Mutex<Dispatch>,
    pub(crate) ids: Mutex<IdSequence>,
    pub(crate) waiters: Waiters,
    pub(crate) reserved: Mutex<Reservations>,
    pub(crate) recent: Mutex<Recent>,
    /// The last commit that is known of.
    pub(crate) last_commit: LastCommit,
    /// What is counted and reserved of caps.
    pub(crate) caps: CapKeeper,
    /// What is learned of endpoints that a leg chooses between.
    pub(crate) chooser: Chooser,
    /// What sources were told, as far as it bears on calling them back.
    pub(crate) answers: Answers,
    /// Something changed that dispatch must look at.
    pub(crate) nudge: Notify,
    /// A guard changed, and is to be stored.
    pub(crate) guards_changed: Notify,
    /// What waits and is to be planned anew.
    pub(crate) replanner: Replanner,
    /// Turns at reading an answer that may take long.
    pub(crate) apart: Apart,
    /// What people stopped.
    pub(crate) stops: RwLock<BTreeMap<StopTarget, Stop>>,
    /// When recipients are in maintenance by a person's word.
    pub(crate) maintained: RwLock<BTreeMap<StopTarget, Stop>>,
    /// Of whom nothing more is sent.
    pub(crate) suppressed: RwLock<BTreeMap<Suppressed, Stop>>,
    /// Attempts and verbs under way: raised before one starts, lowered after it is settled.
    pub(crate) under_way: watch::Sender<usize>,
    pub(crate) draining: AtomicBool,
    /// Settlements the store could not take yet.
    pub(crate) unsaved: AtomicUsize,
    /// Deliveries that will go on by themselves.
    pub(crate) open: AtomicU64,
}

impl Engine {
    /// Starts an engine: settles what an unclean stop cut off, learns what waits, and begins to dispatch.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or written.
    pub async fn start(parts: Parts) -> Result<Engine, StoreError> {
        let identity = parts.store.identity();
        let limits = parts.limits;
        let dispatch = DispatchLimits { slots: limits.slots, window: limits.window };
        let inner = Arc::new(Inner {
            store: parts.store,
            door: parts.door,
            clock: parts.clock,
            observer: parts.observer,
            limits,
            book: RwLock::new(Arc::new(Book::default())),
            dispatch: Mutex::new(Dispatch::new(dispatch, identity.seed)),
            ids: Mutex::new(IdSequence::resuming(identity.node, identity.last_id)),
            waiters: Waiters::default(),
            reserved: Mutex::default(),
            recent: Mutex::default(),
            last_commit: LastCommit::of(identity.last_commit_at),
            caps: CapKeeper::default(),
            chooser: Chooser::default(),
            answers: Answers::default(),
            nudge: Notify::new(),
            guards_changed: Notify::new(),
            replanner: Replanner::default(),
            apart: Apart::default(),
            stops: RwLock::default(),
            maintained: RwLock::default(),
            suppressed: RwLock::default(),
            under_way: watch::Sender::new(0),
            draining: AtomicBool::new(false),
            unsaved: AtomicUsize::new(0),
            open: AtomicU64::new(0),
        });
        let engine = Engine { inner };
        engine.inner.put_in_force(parts.book);
        // Before anything is settled: what recovery ends is to be told as well.
        let read_to = begin_reading(&engine.inner.store).await?;
        engine.inner.restore_caps().await?;
        engine.inner.recover(identity).await?;
        engine.inner.restore_maintenance();
        engine.inner.resume_erasures().await?;
        engine.inner.resume_replanning().await?;
        tokio::spawn(dispatch_loop(Arc::clone(&engine.inner)));
        tokio::spawn(keep_guards(Arc::clone(&engine.inner)));
        tokio::spawn(replan_loop(Arc::clone(&engine.inner)));
        tokio::spawn(keep_looking_again(Arc::clone(&engine.inner)));
        tokio::spawn(Arc::clone(&engine.inner).resume_suppressions());
        tokio::spawn(follow_journal(Arc::clone(&engine.inner), read_to));
        Ok(engine)
    }

    /// The configuration in force.
    pub fn book(&self) -> Arc<Book> {
        self.inner.book()
    }

    /// Puts another configuration in force. What is held with its endpoint follows at once, what comes due when it fires, and
    /// what waits is planned anew in the background.
    pub fn replace_book(&self, book: Book) {
        let (before, version) = (self.book(), book.version);
        let changed = Changed::between(&before, &book);
        self.inner.put_in_force(book);
        // Asked afterwards: what begins from now on is made under the new one.
        let under_way = self.in_flight_ids();
        self.inner.replanner.wants(changed, version, under_way, self.inner.clock.now());
    }

    /// Where everything is kept.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Whether leads are taken.
    pub fn readiness(&self) -> Readiness {
        if self.inner.draining.load(Ordering::SeqCst) {
            return Readiness::Draining;
        }
        match self.inner.store.health() {
            Health::Ready => Readiness::Ready,
            health @ (Health::Full | Health::Stopped { .. }) => Readiness::Store(health),
        }
    }

    /// Whether an attempt of this delivery is under way.
    pub fn is_in_flight(&self, delivery: DeliveryId) -> bool {
        self.inner.dispatch.lock().is_in_flight(delivery)
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> usize {
        self.inner.dispatch.lock().in_flight()
    }

    /// Deliveries whose attempt is under way; bounded by the slots, and by verbs being applied.
    pub fn in_flight_ids(&self) -> Vec<DeliveryId> {
        self.inner.dispatch.lock().in_flight_ids()
    }

    /// Settlements that the store could not take yet; they are tried again.
    pub fn unsaved(&self) -> usize {
        self.inner.unsaved.load(Ordering::SeqCst)
    }

    /// Deliveries that wait, are held or under way.
    pub fn open(&self) -> u64 {
        self.inner.open.load(Ordering::Relaxed)
    }

    /// The answer to a source's request for a lead has gone, and held the lead's outcome or did not. Where it did, the source
    /// is not called back about it, unless it asks for every outcome.
    pub fn source_answered(&self, lead: LeadId, told_outcome: bool) {
        self.inner.answers.end(lead, told_outcome);
    }

    /// Endpoints that asked for a pause, and until when.
    pub fn pauses(&self) -> Vec<(Endpoint, Timestamp)> {
        self.inner.dispatch.lock().pauses(self.inner.clock.now())
    }

    /// How every cap stands in its present period, by what it counts.
    pub fn caps(&self) -> Vec<CapStanding> {
        self.inner.cap_standings()
    }

    /// Takes no more leads, starts nothing more, and waits until everything under way is settled; then closes the store.
    /// `true` when everything was settled within `patience`; otherwise what is under way counts as cut off at the next start.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be closed cleanly.
    pub async fn drain(&self, patience: Duration) -> Result<bool, StoreError> {
        self.inner.draining.store(true, Ordering::SeqCst);
        self.inner.dispatch.lock().shut();
        self.inner.answers.wake();
        self.inner.replanner.wake();
        let mut under_way = self.inner.under_way.subscribe();
        // What is read is let go of at once: it is a lock on the count.
        let idle = async { under_way.wait_for(|count| *count == 0).await.is_ok() };
        let settled = tokio::time::timeout(patience, idle).await.unwrap_or(false);
        if settled {
            self.inner.keep_all_guards().await?;
            self.inner.store.close().await?;
        }
        Ok(settled)
    }
}

impl Inner {
    fn put_in_force(&self, book: Book) {
        self.dispatch.lock().follow(&protected_by(&book), self.clock.now());
        self.caps.follow(&book);
        self.chooser.follow(&book);
        *self.book.write() = Arc::new(book);
        self.nudge.notify_one();
    }

    pub(crate) fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book.read())
    }

    pub(crate) fn fence(&self, delivery: &Delivery) -> Fence {
        Fence { shard: Shard::of(&delivery.endpoint.recipient), epoch: self.store.identity().epoch }
    }

    /// What a settlement of this step's delivery is made under.
    pub(crate) fn terms<'a>(&self, delivery: &Delivery, plan: &'a StepPlan, config_version: u64) -> Terms<'a> {
        Terms {
            policy: &plan.retry.policy,
            seed: self.store.identity().seed,
            in_doubt: plan.in_doubt,
            config_version,
            fence: self.fence(delivery),
            body_kept_bytes_max: self.limits.body_kept_bytes_max,
            route: plan.route(),
        }
    }

    pub(crate) fn begin_work(&self) {
        self.under_way.send_modify(|count| *count += 1);
    }

    pub(crate) fn end_work(&self) {
        self.under_way.send_modify(|count| *count = count.saturating_sub(1));
    }

    /// Tells dispatch where a delivery waits now, if it does.
    pub(crate) fn offer(&self, delivery: &Delivery) {
        if let Some(due) = delivery.state.next_look() {
            let now = self.clock.now();
            self.dispatch.lock().offer(&QueueKey::of(delivery), DuePosition { due, id: delivery.id }, now);
            self.nudge.notify_one();
        }
    }
}

/// The flow of that name in a book.
pub(crate) fn flow_of(book: &Book, name: &steadfast_lead::FlowName) -> Option<Arc<FlowPlan>> {
    book.flows.get(name).cloned()
}

/// Starts what is due, reads what will be, sleeps until the next look or a nudge. Ends when the engine drains.
async fn dispatch_loop(inner: Arc<Inner>) {
    loop {
        let now = inner.clock.now();
        let (refills, starts, next_look) = plan_round(&inner, now);
        for refill in refills {
            tokio::spawn(read_range(Arc::clone(&inner), refill));
        }
        for start in starts {
            inner.spawn_attempt(start, None);
        }
        if inner.draining.load(Ordering::SeqCst) {
            inner.guards_changed.notify_one();
            inner.caps.roomier.notify_one();
            return;
        }
        let wake = inner.clock.sleep_until(next_look.unwrap_or(Timestamp::MAX));
        tokio::select! {
            () = inner.nudge.notified() => {}
            () = wake => {}
        }
    }
}

fn plan_round(inner: &Inner, now: Timestamp) -> (Vec<Refill>, Vec<Start>, Option<Timestamp>) {
    /// Starts per round, so that the lock is never held for long.
    const STARTS_MAX: usize = 256;
    let mut dispatch = inner.dispatch.lock();
    let mut starts = Vec::new();
    while starts.len() < STARTS_MAX {
        let Some(start) = dispatch.next(now) else { break };
        starts.push(start);
    }
    let refills = dispatch.refills(now);
    if dispatch.has_changed() {
        inner.guards_changed.notify_one();
    }
    let next_look = if starts.len() == STARTS_MAX { Some(now) } else { dispatch.next_look() };
    (refills, starts, next_look)
}

async fn read_range(inner: Arc<Inner>, refill: Refill) {
    const AFTER_FAILURE: Duration = Duration::from_secs(1);
    let read = match inner.store.due(refill.queue.clone(), refill.after, refill.limit).await {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::error!(%error, endpoint = %refill.queue.endpoint, "what is due could not be read; trying again");
            inner.clock.sleep_until(inner.clock.now().after(AFTER_FAILURE)).await;
            None
        }
    };
    let now = inner.clock.now();
    inner.dispatch.lock().refilled(&refill, read, now);
    inner.nudge.notify_one();
}
