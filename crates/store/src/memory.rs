//! A store in memory, for tests: keeps what it is given, answers at once, and fails when told to.
//!
//! Behaves as the durable stores do, which the conformance suite holds it to. Reopening stands for a restart: the data stays,
//! the lease is a new one, and the stop was clean only after a close.

mod caps;
mod deliveries;
mod forgetting;
mod protection;
mod retention;

use crate::{
    Acceptance, Accepted, ConfigVersion, ConfigVersions, Cursor, Dedupe, DuePosition, Health, Identity, Journal,
    Pending, QueueHead, QueueKey, Queues, Settled, Store, StoreError, TermKey, Writes,
};
use caps::KeptCaps;
use forgetting::Forgetting;
use parking_lot::Mutex;
use retention::Gone;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use steadfast_lead::{DeliveryId, FlowName, Lead, LeadId, NodeNumber, RecipientName, Timestamp};
use steadfast_retry::{
    Delivery, Endpoint, EndpointPause, Entry, Epoch, Event, GuardSnapshot, Moved, Seed, Settlement, StateName, Stop,
    StopTarget,
};
use tokio::sync::watch;

/// Nothing in memory needs a secret.
const TERM_KEY: TermKey = TermKey::new([0x5f; 32]);

/// One opening of a store in memory.
pub struct MemoryStore {
    data: Arc<Mutex<Data>>,
    identity: Identity,
    condition: Mutex<Condition>,
    tip: watch::Sender<Cursor>,
}

/// Whether this opening takes writes.
#[derive(Default)]
struct Condition {
    /// What the next write is answered with.
    fail_next: Option<StoreError>,
    /// What every write is answered with from now on.
    ended: Option<StoreError>,
    full: bool,
}

/// Flow, recipient, whether of test leads, and state.
type CountKey = (FlowName, RecipientName, bool, StateName);

/// What stays over a restart.
struct Data {
    seed: Seed,
    node: NodeNumber,
    epoch: u64,
    clean: bool,
    last_commit_at: Option<Timestamp>,
    leads: BTreeMap<LeadId, (Arc<Lead>, Vec<DeliveryId>)>,
    deliveries: BTreeMap<DeliveryId, (Delivery, Vec<Entry>)>,
    queues: BTreeMap<QueueKey, BTreeSet<DuePosition>>,
    counts: BTreeMap<CountKey, u64>,
    taken: BTreeSet<DeliveryId>,
    guards: HashMap<(FlowName, Box<str>), (Dedupe, LeadId)>,
    pauses: BTreeMap<Endpoint, Timestamp>,
    protected: BTreeMap<Endpoint, GuardSnapshot>,
    stops: BTreeMap<StopTarget, Stop>,
    journal: Vec<Event>,
    bookmarks: BTreeMap<&'static str, Cursor>,
    configs: Vec<ConfigVersion>,
    forgetting: Forgetting,
    gone: Gone,
    caps: KeptCaps,
}

impl MemoryStore {
    /// A new store.
    pub fn new(seed: Seed, node: NodeNumber) -> Arc<Self> {
        let data = Data {
            seed,
            node,
            epoch: 0,
            clean: true,
            last_commit_at: None,
            leads: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            queues: BTreeMap::new(),
            counts: BTreeMap::new(),
            taken: BTreeSet::new(),
            guards: HashMap::new(),
            pauses: BTreeMap::new(),
            protected: BTreeMap::new(),
            stops: BTreeMap::new(),
            journal: Vec::new(),
            bookmarks: BTreeMap::new(),
            configs: Vec::new(),
            forgetting: Forgetting::default(),
            gone: Gone::default(),
            caps: KeptCaps::default(),
        };
        MemoryStore::open(Arc::new(Mutex::new(data)))
    }

    /// The same data under the next lease, as after a restart. This opening takes nothing more.
    pub fn reopen(&self) -> Arc<Self> {
        MemoryStore::open(Arc::clone(&self.data))
    }

    /// The next write is answered with this, and nothing of it is kept. After [`StoreError::Stopped`] every write is, until
    /// the store is reopened.
    pub fn fail_next_write(&self, error: StoreError) {
        self.condition.lock().fail_next = Some(error);
    }

    fn open(data: Arc<Mutex<Data>>) -> Arc<Self> {
        let mut held = data.lock();
        held.epoch += 1;
        let last_lead = held.leads.last_key_value().map(|(id, _)| id.raw());
        let last_delivery = held.deliveries.last_key_value().map(|(id, _)| id.raw());
        let identity = Identity {
            seed: held.seed,
            term_key: TERM_KEY,
            node: held.node,
            last_id: last_lead.max(last_delivery).max(held.gone.last_id),
            epoch: Epoch(held.epoch),
            clean: std::mem::replace(&mut held.clean, false),
            last_commit_at: held.last_commit_at,
            config_version: held.configs.last().map(|newest| newest.version),
        };
        let (tip, _) = watch::channel(held.tip());
        drop(held);
        Arc::new(MemoryStore { data, identity, condition: Mutex::default(), tip })
    }

    fn write<T: Send + 'static>(&self, write: impl FnOnce(&mut Data) -> Result<T, StoreError>) -> Pending<T> {
        ready(self.try_write(write))
    }

    fn try_write<T>(&self, write: impl FnOnce(&mut Data) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut condition = self.condition.lock();
        if let Some(error) = &condition.ended {
            return Err(error.clone());
        }
        if let Some(error) = condition.fail_next.take() {
            condition.full = matches!(error, StoreError::Full { .. });
            condition.ended = Some(error.clone()).filter(|error| matches!(error, StoreError::Stopped { .. }));
            return Err(error);
        }
        condition.full = false;
        let mut data = self.data.lock();
        let written = write(&mut data);
        let tip = data.tip();
        drop(data);
        self.tip.send_if_modified(|known| std::mem::replace(known, tip) != tip);
        written
    }

    fn is_superseded(&self, data: &Data) -> Result<(), StoreError> {
        if Epoch(data.epoch) == self.identity.epoch {
            return Ok(());
        }
        Err(StoreError::Stopped { detail: "the store was opened again elsewhere".to_owned() })
    }

    fn read<T: Send + 'static>(&self, read: impl FnOnce(&Data) -> T) -> Pending<T> {
        ready(Ok(read(&self.data.lock())))
    }
}

fn ready<T: Send + 'static>(answer: Result<T, StoreError>) -> Pending<T> {
    Box::pin(std::future::ready(answer))
}

impl Data {
    fn tip(&self) -> Cursor {
        Cursor(self.gone.lines + u64::try_from(self.journal.len()).unwrap_or(u64::MAX))
    }

    fn accept(&mut self, acceptance: Acceptance) -> Result<Accepted, StoreError> {
        if let Some(at) = self.forgetting.barred(&acceptance) {
            return Ok(Accepted::Erased { at });
        }
        let Acceptance { lead, deliveries, terms, marks, dedupe, event, .. } = acceptance;
        if let Some(before) = dedupe.as_ref().and_then(|guard| self.guarded(&lead, guard)) {
            return Ok(before);
        }
        self.check_new(&lead, &deliveries)?;
        self.forgetting.keep(lead.id, terms, marks);
        if let Some(guard) = dedupe {
            self.guards.insert((lead.flow.clone(), guard.key.clone()), (guard, lead.id));
        }
        self.last_commit_at = self.last_commit_at.max(Some(lead.accepted_at));
        let ids = deliveries.iter().map(|delivery| delivery.id).collect();
        self.leads.insert(lead.id, (lead, ids));
        for delivery in deliveries {
            self.place(&delivery);
            self.deliveries.insert(delivery.id, (delivery, Vec::new()));
        }
        self.journal.push(event);
        Ok(Accepted::New)
    }

    /// What an acceptance under the same key made before.
    fn guarded(&self, lead: &Lead, guard: &Dedupe) -> Option<Accepted> {
        let (known, lead_then) = self.guards.get(&(lead.flow.clone(), guard.key.clone()))?;
        if known.until < lead.accepted_at {
            return None;
        }
        let (same, lead) = (known.digest == guard.digest, *lead_then);
        Some(if same { Accepted::Replay { lead } } else { Accepted::KeyReused { lead } })
    }

    fn check_new(&self, lead: &Lead, deliveries: &[Delivery]) -> Result<(), StoreError> {
        let known = deliveries.iter().any(|delivery| self.deliveries.contains_key(&delivery.id));
        if known || self.leads.contains_key(&lead.id) {
            return Err(StoreError::Unreadable { detail: "an id is there already".to_owned() });
        }
        Ok(())
    }

    fn settle(&mut self, settlement: Settlement) -> Settled {
        let current = Epoch(self.epoch);
        if settlement.fence.epoch != current {
            return Settled::Fenced { current };
        }
        let id = settlement.delivery.id;
        let Some((before, _)) = self.deliveries.get(&id) else { return Settled::Stale { now: None } };
        if before.version.checked_add(1) != Some(settlement.delivery.version) {
            return Settled::Stale { now: Some(Box::new(before.clone())) };
        }
        let tied = settlement.tied.map(|tied| *tied).unwrap_or_default();
        if tied.seen.iter().any(|(id, version)| self.deliveries.get(id).map(|(one, _)| one.version) != Some(*version)) {
            return Settled::OthersChanged;
        }
        self.change(settlement.delivery, settlement.entry);
        if let Some(EndpointPause { endpoint, until }) = settlement.pause {
            let kept = self.pauses.entry(endpoint).or_insert(until);
            *kept = until.max(*kept);
        }
        if let Some(change) = settlement.caps {
            self.count_caps(id, *change);
        }
        self.taken.remove(&id);
        self.last_commit_at = self.last_commit_at.max(Some(settlement.event.at));
        self.journal.push(settlement.event);
        for Moved { delivery, was_open: _, entry, event } in tied.moved {
            self.change(delivery, entry);
            self.journal.push(event);
        }
        Settled::Applied
    }

    fn change(&mut self, after: Delivery, entry: Entry) {
        let Some(before) = self.deliveries.get(&after.id).map(|(before, _)| before.clone()) else { return };
        self.displace(&before);
        self.place(&after);
        if let Some((standing, history)) = self.deliveries.get_mut(&after.id) {
            *standing = after;
            history.push(entry);
        }
    }

    /// Counts a delivery where it stands, and puts it into its queue.
    fn place(&mut self, delivery: &Delivery) {
        *self.counts.entry(count_key(delivery)).or_insert(0) += 1;
        if let Some(due) = delivery.state.next_look() {
            self.queues.entry(QueueKey::of(delivery)).or_default().insert(DuePosition { due, id: delivery.id });
        }
    }

    fn displace(&mut self, delivery: &Delivery) {
        if let Some(count) = self.counts.get_mut(&count_key(delivery)) {
            *count -= 1;
        }
        self.counts.retain(|_, count| *count > 0);
        if let (Some(due), Some(queue)) = (delivery.state.next_look(), self.queues.get_mut(&QueueKey::of(delivery))) {
            queue.remove(&DuePosition { due, id: delivery.id });
        }
        self.queues.retain(|_, queue| !queue.is_empty());
    }

    fn save_config(&mut self, config: ConfigVersion) -> u64 {
        let version = self.configs.last().map_or(1, |last| last.version + 1);
        self.configs.push(ConfigVersion { version, ..config });
        version
    }
}

fn count_key(delivery: &Delivery) -> CountKey {
    (delivery.flow.clone(), delivery.endpoint.recipient.clone(), delivery.test, delivery.state.name())
}

impl Writes for MemoryStore {
    fn accept(&self, acceptance: Acceptance) -> Pending<Accepted> {
        self.write(|data| self.is_superseded(data).and_then(|()| data.accept(acceptance)))
    }

    fn settle(&self, settlement: Settlement) -> Pending<Settled> {
        self.write(|data| Ok(data.settle(settlement)))
    }

    fn take(&self, delivery: DeliveryId) {
        let mut data = self.data.lock();
        if self.condition.lock().ended.is_none() && self.is_superseded(&data).is_ok() {
            data.taken.insert(delivery);
        }
    }

    fn take_durably(&self, delivery: DeliveryId) -> Pending<()> {
        self.write(|data| {
            self.is_superseded(data)?;
            data.taken.insert(delivery);
            Ok(())
        })
    }

    fn close(&self) -> Pending<()> {
        let closed = self.try_write(|data| {
            self.is_superseded(data)?;
            data.clean = true;
            Ok(())
        });
        let ended = StoreError::Stopped { detail: "the store was closed".to_owned() };
        self.condition.lock().ended.get_or_insert(ended);
        ready(closed)
    }

    fn health(&self) -> Health {
        let condition = self.condition.lock();
        match &condition.ended {
            Some(StoreError::Stopped { detail }) => Health::Stopped { detail: detail.clone() },
            Some(_) | None if condition.full => Health::Full,
            Some(_) | None => Health::Ready,
        }
    }
}

impl Queues for MemoryStore {
    fn heads(&self) -> Pending<Vec<QueueHead>> {
        self.read(|data| {
            let fronts = data.queues.iter().filter_map(|(key, queue)| Some((key, queue.first()?)));
            fronts.map(|(key, front)| QueueHead { key: key.clone(), next: front.due }).collect()
        })
    }

    fn due(&self, queue: QueueKey, after: Option<DuePosition>, limit: usize) -> Pending<Vec<DuePosition>> {
        self.read(|data| {
            let waiting = data.queues.get(&queue).into_iter().flatten();
            waiting.filter(|position| after.is_none_or(|after| **position > after)).take(limit).copied().collect()
        })
    }

    fn load(&self, delivery: DeliveryId) -> Pending<Option<(Delivery, Arc<Lead>)>> {
        self.read(|data| {
            let (delivery, _) = data.deliveries.get(&delivery)?;
            let (lead, _) = data.leads.get(&delivery.lead)?;
            Some((delivery.clone(), Arc::clone(lead)))
        })
    }

    fn taken(&self) -> Pending<Vec<DeliveryId>> {
        self.read(|data| data.taken.iter().copied().collect())
    }

    fn pauses(&self, now: Timestamp) -> Pending<Vec<EndpointPause>> {
        self.read(|data| {
            let lasting = data.pauses.iter().filter(|(_, until)| **until > now);
            lasting.map(|(endpoint, until)| EndpointPause { endpoint: endpoint.clone(), until: *until }).collect()
        })
    }
}

impl Journal for MemoryStore {
    fn events(&self, after: Cursor, limit: usize) -> Pending<Vec<(Cursor, Event)>> {
        self.read(|data| {
            let first = data.gone.lines + 1;
            let lines = data.journal.iter().zip(first..).map(|(event, line)| (Cursor(line), event.clone()));
            lines.skip_while(|(line, _)| *line <= after).take(limit).collect()
        })
    }

    fn bookmark(&self, reader: &'static str) -> Pending<Option<Cursor>> {
        self.read(|data| data.bookmarks.get(reader).copied())
    }

    fn keep_bookmark(&self, reader: &'static str, at: Cursor) -> Pending<()> {
        self.write(|data| {
            self.is_superseded(data)?;
            data.bookmarks.insert(reader, at);
            Ok(())
        })
    }

    fn tip(&self) -> watch::Receiver<Cursor> {
        self.tip.subscribe()
    }
}

impl ConfigVersions for MemoryStore {
    fn save_config(&self, config: ConfigVersion) -> Pending<u64> {
        self.write(|data| self.is_superseded(data).map(|()| data.save_config(config)))
    }

    fn newest_config(&self) -> Pending<Option<ConfigVersion>> {
        self.read(|data| data.configs.last().cloned())
    }

    fn configs(&self, limit: usize) -> Pending<Vec<ConfigVersion>> {
        self.read(|data| data.configs.iter().rev().take(limit).cloned().collect())
    }
}

impl Store for MemoryStore {
    fn identity(&self) -> Identity {
        self.identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Deliveries as _;
    use crate::conformance::{Rig, World, recounted};
    use crate::conformance_suite;

    /// Keeps one handle only to reopen from it.
    struct Memory(Option<Arc<MemoryStore>>);

    impl Rig for Memory {
        fn open(&mut self) -> Arc<dyn Store> {
            let next = match &self.0 {
                Some(last) => last.reopen(),
                None => MemoryStore::new(Seed(42), NodeNumber(1)),
            };
            self.0 = Some(Arc::clone(&next));
            next
        }
    }

    conformance_suite!(Memory(None));

    #[tokio::test]
    async fn fails_when_told_and_keeps_nothing_of_it() {
        let store = MemoryStore::new(Seed(42), NodeNumber(1));
        let mut world = World::of(&*store);
        let full = StoreError::Full { detail: "told so".to_owned() };
        store.fail_next_write(full.clone());
        assert_eq!(store.accept(world.acceptance("auto", &["a"])).await, Err(full));
        assert_eq!(store.health(), Health::Full);
        let before = world.accepted(&*store, "auto", &["a"]).await.remove(0);
        assert_eq!(store.health(), Health::Ready);
        let stopped = StoreError::Stopped { detail: "told so".to_owned() };
        store.fail_next_write(stopped.clone());
        let state = steadfast_retry::State::Waiting { due: world.now };
        let settlement = crate::conformance::settlement(&*store, &before, state, world.now);
        assert_eq!(store.settle(settlement.clone()).await, Err(stopped.clone()));
        assert_eq!(store.accept(world.acceptance("auto", &["a"])).await, Err(stopped));
        assert_eq!(store.delivery(before.id).await, Ok(Some(before)));
        let again = store.reopen();
        assert!(!again.identity().clean);
        assert_eq!(again.health(), Health::Ready);
        assert!(matches!(again.settle(settlement).await, Ok(Settled::Fenced { .. })));
        assert_eq!(recounted(&*again).await, again.counts().await.unwrap());
    }

    #[tokio::test]
    async fn an_opening_that_was_superseded_takes_nothing() {
        let store = MemoryStore::new(Seed(42), NodeNumber(1));
        let mut world = World::of(&*store);
        let _next = store.reopen();
        assert!(matches!(store.accept(world.acceptance("auto", &["a"])).await, Err(StoreError::Stopped { .. })));
    }
}
