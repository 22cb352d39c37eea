//! The judge: holds every request against what is stored at that moment, and every commit against the ledger law.
//!
//! Stands on the recipients' log, the clients' acknowledgements and the store. Never asks the engine what it thinks.

use crate::bars::People;
use crate::clock::StormClock;
use crate::log::{Did, Log, Request};
use crate::write::wait;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use steadfast_engine::{Clock, Order, Purpose};
use steadfast_lead::{DeliveryId, LeadId, Timestamp};
use steadfast_retry::{Delivery, Event, EventKind, InDoubt};
use steadfast_store::{Cursor, Store};

/// Findings kept of one run; one is enough to fail it.
const FINDINGS_MAX: usize = 20;
/// How long after the wall clock was set back something begun before may still be under way.
const JUMP_ECHO: u64 = 900_000_000;

/// Watches one run.
pub(crate) struct Judge {
    clock: StormClock,
    log: Mutex<Log>,
    books: Mutex<Books>,
    /// Whether anything is deleted in this run.
    deletes: bool,
}

/// What the judge knows beside the recipients' log.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) findings: Vec<String>,
    pub(crate) life: u64,
    store: Option<Arc<dyn Store>>,
    /// By key: what was sent under it, and in which life.
    digests: HashMap<String, ([u8; 32], u64)>,
    /// When the wall clock was last set back, and the latest it said before that, a little while ago.
    set_back: Option<(u64, Timestamp)>,
    /// When the clock or the configuration was last changed: what was begun before need not keep to the present schedule.
    pub(crate) unsteady_at: u64,
    /// Deliveries that a person asked to be tried again.
    pub(crate) nudged: BTreeSet<String>,
    /// The journal as a reader followed it, over every restart.
    pub(crate) followed: Vec<(Cursor, Event)>,
    accepted: u64,
    /// What clients were told is kept: their own number of the post, the lead, and its deliveries.
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Verbs that were said to be done: the delivery, and its version after.
    pub(crate) verbs: Vec<(DeliveryId, u32)>,
    /// The most retries any configuration so far allowed.
    pub(crate) retries_max: u32,
    pub(crate) commits: u64,
    /// Whose leads these are, and what people said.
    pub(crate) people: People,
    /// The latest the wall clock ever said before it was set.
    latest_wall: Option<Timestamp>,
}

/// One acknowledgement.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) post: u64,
    pub(crate) lead: LeadId,
    pub(crate) deliveries: Vec<DeliveryId>,
}

impl Books {
    /// The leads that clients know of.
    pub(crate) fn known_leads(&self) -> Vec<LeadId> {
        self.acknowledged.iter().map(|told| told.lead).collect()
    }
}

impl Judge {
    pub(crate) fn new(clock: StormClock, deletes: bool) -> Arc<Self> {
        Arc::new(Judge { clock, log: Mutex::default(), books: Mutex::default(), deletes })
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock()
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock()
    }

    pub(crate) fn life(&self) -> u64 {
        self.books.lock().life
    }

    /// A process begins on this store.
    pub(crate) fn begin_life(&self, store: &Arc<dyn Store>) {
        let mut books = self.books.lock();
        books.life += 1;
        books.people.begin_life();
        books.store = Some(Arc::clone(store));
    }

    /// The process is gone; lets go of its store.
    pub(crate) fn end_life(&self) {
        self.books.lock().store = None;
    }

    /// Says that something is wrong.
    pub(crate) fn find(&self, what: String) {
        let mut books = self.books.lock();
        if books.findings.len() < FINDINGS_MAX {
            let line = format!("at {:.3} s, life {}: {what}", self.clock.elapsed() as f64 / 1e6, books.life);
            books.findings.push(line);
        }
    }

    /// The wall clock is about to be set.
    pub(crate) fn clock_is_set(&self, back: bool) {
        let mut books = self.books.lock();
        books.unsteady_at = self.clock.elapsed();
        books.latest_wall = books.latest_wall.max(Some(self.clock.now()));
        if back {
            let elapsed = self.clock.elapsed();
            let echoes = books.set_back.filter(|(at, _)| elapsed.saturating_sub(*at) < JUMP_ECHO);
            let before = echoes.map_or(self.clock.now(), |(_, before)| self.clock.now().max(before));
            books.set_back = Some((elapsed, before));
        }
    }

    /// Before a request goes out: may it, by what is stored and what the recipient saw before?
    pub(crate) fn before(&self, order: &Order) {
        let Some(delivery) = self.stored(order) else { return };
        self.is_due(&delivery);
        self.is_free_to_go(order, &delivery);
        match order.purpose {
            Purpose::Lead => self.before_lead(order, &delivery),
            Purpose::LookUp if !delivery.progress.in_doubt => {
                self.find(format!("{} was asked about without a doubt", delivery.id));
            }
            Purpose::LookUp => {}
        }
    }

    /// A lead reached its recipient. The bytes of a revision are kept once an attempt of it is settled. Those of an attempt
    /// that was cut off are known to nobody: where the mapping changed before the restart, the next attempt has others under
    /// the same key.
    pub(crate) fn reached(&self, order: &Order) {
        let Some(delivery) = self.stored(order) else { return };
        let mut books = self.books.lock();
        let now = (order.rendered.digest, books.life);
        let first = *books.digests.entry(order.idempotency_key.clone()).or_insert(now);
        if first.0 == now.0 {
            return;
        }
        books.digests.insert(order.idempotency_key.clone(), now);
        drop(books);
        // What is stored may be of the revision before, when the attempt that began this one was cut off.
        let kept = delivery.body.is_some() && delivery.idempotency_key() == order.idempotency_key;
        if kept || first.1 == now.1 {
            self.find(format!("other bytes under the same key {}", order.idempotency_key));
        }
    }

    /// The delivery of an order, as it is stored now.
    fn stored(&self, order: &Order) -> Option<Delivery> {
        let (store, id) = (self.books.lock().store.clone(), order.delivery_id.parse::<DeliveryId>().ok());
        let read = store.zip(id).map(|(store, id)| wait(store.delivery(id)));
        match read {
            Some(Ok(Some(delivery))) => return Some(delivery),
            Some(Ok(None)) => self.find(format!("{} was sent and is not stored", order.delivery_id)),
            Some(Err(error)) => self.find(format!("{} cannot be read: {error}", order.delivery_id)),
            None => self.find(format!("a request without a process or an id: {}", order.delivery_id)),
        }
        None
    }

    fn is_due(&self, delivery: &Delivery) {
        let now = self.latest_wall();
        match delivery.state.next_look() {
            None => self.find(format!("{} was sent though it stands in {:?}", delivery.id, delivery.state)),
            Some(next) if next > now => {
                self.find(format!("{} was sent early: at {now}, to be looked at {next}", delivery.id));
            }
            Some(_) => {}
        }
    }

    /// The wall clock, or what it said before it was set back a little while ago.
    fn latest_wall(&self) -> Timestamp {
        let now = self.clock.now();
        let set_back = self.books.lock().set_back;
        let recent = set_back.filter(|(at, _)| self.clock.elapsed().saturating_sub(*at) < JUMP_ECHO);
        recent.map_or(now, |(_, before)| now.max(before))
    }

    /// The latest the wall clock has ever said.
    pub(crate) fn latest_wall_ever(&self) -> Timestamp {
        let now = self.clock.now();
        self.books.lock().latest_wall.map_or(now, |before| now.max(before))
    }

    /// Microseconds since the start, whatever the wall clock was set to.
    pub(crate) fn elapsed(&self) -> u64 {
        self.clock.elapsed()
    }

    /// The store of the process that runs.
    pub(crate) fn store(&self) -> Option<Arc<dyn Store>> {
        self.books.lock().store.clone()
    }

    fn before_lead(&self, order: &Order, delivery: &Delivery) {
        let id = delivery.id;
        let before: Vec<Request> = self.log().of(&order.delivery_id).cloned().collect();
        let sends: Vec<&Request> = before.iter().filter(|request| request.purpose == Purpose::Lead).collect();
        let open = sends.iter().find(|request| leaves_doubt(request));
        if let Some(open) = open.filter(|_| !delivery.progress.in_doubt) {
            self.find(format!("{id} is sent again without a doubt on it after {open:?}"));
        }
        let careful = !matches!(order.plan.in_doubt, InDoubt::Retry { .. });
        if careful && delivery.progress.is_unresolved() {
            self.find(format!("{id} is sent under {:?} with an attempt in doubt", order.plan.in_doubt));
        }
        self.has_its_turn(delivery);
        self.is_not_early(order, &sends);
        let (used, allowed) = (delivery.progress.retries_used, order.plan.retry.policy.retries_allowed());
        if used > allowed {
            self.find(format!("{id}: retry {used} of {allowed}"));
        }
    }

    /// Independent of what the sale says of itself: no other buyer of the lead has ever taken it, or is being sent it.
    fn has_its_turn(&self, delivery: &Delivery) {
        let store = self.books.lock().store.clone();
        let Some(Ok(Some((_, all)))) = store.map(|store| wait(store.lead(delivery.lead))) else { return };
        let life = self.life();
        let others = all.iter().filter(|other| delivery.tie.buyer && other.tie.buyer && other.id != delivery.id);
        for other in others.map(|other| other.id.to_string()) {
            let log = self.log();
            let taken = log.takings(&other) > 0;
            let under_way = log.of(&other).any(|request| request.life == life && request.seen.is_none());
            drop(log);
            if taken || under_way {
                self.find(format!("SOLD TWICE: {} is sent while {other} has or may have the lead", delivery.id));
            }
        }
    }

    /// Independent of what is stored: at least the first delay passed since the answer, where nothing else came between.
    fn is_not_early(&self, order: &Order, sends: &[&Request]) {
        let books = self.books.lock();
        let Some(last) = sends.last().filter(|last| last.life == books.life) else { return };
        let Some(seen) = last.seen.filter(|_| last.at > books.unsteady_at) else { return };
        if books.nudged.contains(&order.delivery_id) {
            return;
        }
        let waited = u128::from(self.clock.elapsed() - seen);
        // The one before was planned under what was in force when it was begun, unless it was planned anew since.
        let least = first_delay_of(order).min(last.first_delay);
        drop(books);
        if waited < least && matches!(order.plan.in_doubt, InDoubt::Retry { .. }) {
            self.find(format!("{}: sent again after {waited} us, the first delay is {least} us", order.delivery_id));
        }
    }

    /// After a commit: the counts are those of what was accepted, and the journal goes on where it was read to.
    pub(crate) fn after_commit(&self, store: &dyn Store) {
        self.follow(store);
        let pruned = if self.deletes { self.look_at_pruned(store) } else { 0 };
        let counts = match wait(store.counts()) {
            Ok(counts) => counts.iter().map(|count| count.deliveries).sum::<u64>(),
            Err(error) => return self.find(format!("the counts cannot be read: {error}")),
        };
        let accepted = {
            let mut books = self.books.lock();
            books.commits += 1;
            books.accepted
        };
        if counts + pruned != accepted {
            self.find(format!("the ledger law: {accepted} deliveries accepted, {counts} counted, {pruned} deleted"));
        }
    }

    fn follow(&self, store: &dyn Store) {
        const PAGE: usize = 7;
        loop {
            let after = self.books.lock().followed.last().map_or(Cursor(0), |(cursor, _)| *cursor);
            let read = match wait(store.events(after, PAGE)) {
                Ok(read) => read,
                Err(error) => return self.find(format!("the journal cannot be read: {error}")),
            };
            let more = read.len() == PAGE;
            self.follow_people(store, &read);
            let mut books = self.books.lock();
            books.accepted += read.iter().map(|(_, event)| deliveries_of(event)).sum::<u64>();
            books.followed.extend(read);
            if !more {
                return;
            }
        }
    }
}

/// The first delay that an order is sent under, in microseconds.
pub(crate) fn first_delay_of(order: &Order) -> u128 {
    order.plan.retry.policy.initial_delay.get().as_micros()
}

/// How many deliveries an event adds to the ledger.
fn deliveries_of(event: &Event) -> u64 {
    if let EventKind::LeadAccepted { deliveries, .. } = &event.kind { u64::from(*deliveries) } else { 0 }
}

/// Whether a request leaves open that the recipient has the lead without our knowing: it saw it, and the process either did
/// not live to see a clear answer, or saw none.
pub(crate) fn leaves_doubt(request: &Request) -> bool {
    match request.did {
        Did::NotReached | Did::Found | Did::NotFound => false,
        Did::Took | Did::HadIt => true,
        Did::SaidNo | Did::Failed => request.seen.is_none() || request.ambiguous,
    }
}

#[cfg(test)]
mod tests {
    use super::{JUMP_ECHO, Judge};
    use crate::clock::StormClock;
    use steadfast_engine::Clock;

    #[test]
    fn what_was_due_before_the_clock_was_set_back_twice_is_not_early() {
        let clock = StormClock::new();
        let judge = Judge::new(clock.clone(), false);
        clock.advance_to(60_000_000);
        let latest = clock.now();
        for elapsed in [61_000_000, 70_000_000] {
            judge.clock_is_set(true);
            clock.jump(-3_600_000_000);
            assert_eq!(judge.latest_wall(), latest);
            clock.advance_to(elapsed);
        }
        clock.advance_to(60_000_000 + 2 * JUMP_ECHO);
        assert_eq!(judge.latest_wall(), clock.now(), "nothing is under way for so long");
    }
}
