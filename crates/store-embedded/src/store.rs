//! The store as the engine sees it: writes go to the writer's queue, questions to the readers.

use crate::copier::Copier;
use crate::open::{Birth, OpenError, Opened, open};
use crate::queue::{PATIENCE, Queue, closed};
use crate::read::{self, Readers};
use crate::rows::{AcceptRows, Change, Reply, SettleRows};
use crate::writer::{Now, OnCommit, Shared, Writer};
use crate::{journal, names::Names};
use parking_lot::Mutex;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use steadfast_lead::{DeliveryId, Lead, LeadId, NodeNumber, Timestamp};
use steadfast_retry::{Delivery, EndpointPause, Entry, Event, Settlement};
use steadfast_store::{
    Acceptance, Accepted, ConfigVersion, ConfigVersions, Count, Cursor, Deliveries, DuePosition, Filter, Health,
    Identity, Journal, Page, Pending, QueueHead, QueueKey, Queues, Settled, Store, StoreError, TermKey, Writes,
};
use tokio::sync::{oneshot, watch};

/// Each reader's page cache, as a share of the writer's.
const READER_CACHE_SHARE: usize = 8;

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// The writer's page cache. 64 MiB unless said otherwise.
    pub cache_bytes: usize,
    /// How many writes may wait before more are answered with [`StoreError::Busy`]. 16,384 unless said otherwise.
    pub queue_max: usize,
    /// How many threads read. 2 unless said otherwise.
    pub readers: usize,
    /// How large the main file may grow; `None` is as large as the disk allows. See [`EmbeddedStore::set_bytes_max`].
    pub bytes_max: Option<u64>,
    /// Told of every commit, on the writer's thread: must be quick.
    pub on_commit: Option<OnCommit>,
    /// What the time is, kept with every commit as `last_commit_at`.
    pub now: Now,
    /// What the dice of a new store are thrown with; drawn by the caller, kept for good.
    pub seed: u64,
    /// What a new store's search terms are made with; drawn by the caller, kept for good.
    pub term_key: TermKey,
    /// This node's number, kept for good in a new store.
    pub node: NodeNumber,
}

impl Options {
    /// The defaults.
    pub fn new(seed: u64, term_key: TermKey, node: NodeNumber, now: Now) -> Self {
        Options {
            cache_bytes: 64 << 20,
            queue_max: 16_384,
            readers: 2,
            bytes_max: None,
            on_commit: None,
            now,
            seed,
            term_key,
            node,
        }
    }
}

/// A data folder, open. Dropping it without [`Writes::close`] is an unclean stop; either way the folder is free again once
/// the last handle is gone.
pub struct EmbeddedStore {
    identity: Identity,
    pub(crate) names: Arc<Names>,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    tip: watch::Receiver<Cursor>,
    /// Ends before the writer, whose connection then is the last and leaves a whole main file behind.
    readers: Mutex<Option<Readers>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held to the end.
    _lock: File,
}

impl EmbeddedStore {
    /// Opens a data folder; makes it, and the store in it, where there is none. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`OpenError`] says why not; nothing in the folder was changed then.
    pub fn open(path: &Path, options: Options) -> Result<Arc<Self>, OpenError> {
        let birth = Birth { seed: options.seed, term_key: options.term_key, node: options.node };
        let opened = open(path, birth, options.cache_bytes)?;
        let reader_cache = options.cache_bytes / READER_CACHE_SHARE;
        let readers = Readers::open(&opened.file, Arc::clone(&opened.names), options.readers, reader_cache)
            .map_err(|error| OpenError::Unreadable { path: opened.file.clone(), detail: error.to_string() })?;
        Ok(Arc::new(EmbeddedStore::start(opened, readers, options)))
    }

    fn start(opened: Opened, readers: Readers, options: Options) -> Self {
        let Opened { lock, file, main_file, connection, names, ledger, tip, identity } = opened;
        let queue = Arc::new(Queue::new(options.queue_max, PATIENCE));
        let bytes_max = AtomicU64::new(options.bytes_max.unwrap_or(u64::MAX));
        let shared = Arc::new(Shared { health: Mutex::new(Health::Ready), bytes_max });
        let (tip_sender, tip) = watch::channel(tip);
        let writer = Writer {
            copier: Copier::of(file),
            connection,
            names: Arc::clone(&names),
            ledger,
            queue: Arc::clone(&queue),
            shared: Arc::clone(&shared),
            tip: tip_sender,
            now: options.now,
            on_commit: options.on_commit,
            carried: Vec::new(),
            log_pages: Arc::default(),
            log_pages_copied: 0,
            log_pages_waited: 0,
            bytes_max_set: u64::MAX,
            file: main_file,
            deletes_everywhere: false,
        };
        let writer = Mutex::new(Some(std::thread::spawn(move || writer.run())));
        EmbeddedStore { identity, names, queue, shared, tip, readers: Mutex::new(Some(readers)), writer, _lock: lock }
    }

    /// Changes how large the main file may grow, from the next commit on. What is there already stays; while it is larger,
    /// writes that need room are answered with [`StoreError::Full`].
    pub fn set_bytes_max(&self, bytes_max: Option<u64>) {
        self.shared.bytes_max.store(bytes_max.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn write<T: Send + 'static>(&self, change: impl FnOnce(Reply<T>) -> Change) -> Pending<T> {
        write_to(&self.queue, change)
    }

    /// Where changes go, for what is written only after something was read.
    pub(crate) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    pub(crate) fn ask<T, F>(&self, question: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Connection, &Names) -> Result<T, StoreError> + Send + 'static,
    {
        match &*self.readers.lock() {
            Some(readers) => readers.ask(question),
            None => Box::pin(std::future::ready(Err(closed()))),
        }
    }

    fn ask_short<T, F>(&self, question: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Connection, &Names) -> Result<T, StoreError> + Send + 'static,
    {
        match &*self.readers.lock() {
            Some(readers) => readers.ask_short(question),
            None => Box::pin(std::future::ready(Err(closed()))),
        }
    }
}

/// Gives a change to the writer, and its answer.
pub(crate) fn write_to<T: Send + 'static>(queue: &Queue, change: impl FnOnce(Reply<T>) -> Change) -> Pending<T> {
    let (reply, answer) = oneshot::channel();
    queue.push(change(reply));
    Box::pin(async move { answer.await.unwrap_or_else(|_| Err(closed())) })
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        drop(self.readers.lock().take());
        self.queue.abandon();
        if let Some(writer) = self.writer.lock().take().filter(|writer| writer.thread().id() != current_thread()) {
            // A thread that panicked has nothing left to give back.
            drop(writer.join());
        }
    }
}

fn current_thread() -> std::thread::ThreadId {
    std::thread::current().id()
}

impl Writes for EmbeddedStore {
    fn accept(&self, acceptance: Acceptance) -> Pending<Accepted> {
        let rows = Box::new(AcceptRows::of(acceptance, &self.names));
        self.write(|reply| Change::Accept(rows, reply))
    }

    fn settle(&self, settlement: Settlement) -> Pending<Settled> {
        let rows = Box::new(SettleRows::of(&settlement, &self.names));
        self.write(|reply| Change::Settle(rows, reply))
    }

    fn take(&self, delivery: DeliveryId) {
        self.queue.push(Change::Take(delivery, None));
    }

    fn take_durably(&self, delivery: DeliveryId) -> Pending<()> {
        self.write(|reply| Change::Take(delivery, Some(reply)))
    }

    fn close(&self) -> Pending<()> {
        self.write(Change::Close)
    }

    fn health(&self) -> Health {
        self.shared.health.lock().clone()
    }
}

impl Queues for EmbeddedStore {
    fn heads(&self) -> Pending<Vec<QueueHead>> {
        self.ask(read::heads)
    }

    fn due(&self, queue: QueueKey, after: Option<DuePosition>, limit: usize) -> Pending<Vec<DuePosition>> {
        self.ask(move |connection, names| read::due(connection, names, &queue, after, limit))
    }

    fn load(&self, delivery: DeliveryId) -> Pending<Option<(Delivery, Arc<Lead>)>> {
        self.ask_short(move |connection, names| read::load(connection, names, delivery))
    }

    fn taken(&self) -> Pending<Vec<DeliveryId>> {
        self.ask(|connection, _| read::taken(connection))
    }

    fn pauses(&self, now: Timestamp) -> Pending<Vec<EndpointPause>> {
        self.ask(move |connection, names| read::pauses(connection, names, now))
    }
}

impl Deliveries for EmbeddedStore {
    fn delivery(&self, id: DeliveryId) -> Pending<Option<Delivery>> {
        self.ask_short(move |connection, names| read::delivery(connection, names, id))
    }

    fn lead(&self, id: LeadId) -> Pending<Option<(Arc<Lead>, Vec<Delivery>)>> {
        self.ask_short(move |connection, names| read::lead(connection, names, id))
    }

    fn history(&self, id: DeliveryId, skip: usize, limit: usize) -> Pending<Vec<Entry>> {
        self.ask(move |connection, names| read::history(connection, names, id, skip, limit))
    }

    fn list(&self, filter: Filter, after: Option<DeliveryId>, limit: usize) -> Pending<Page<Delivery>> {
        self.ask(move |connection, names| read::list(connection, names, &filter, after, limit))
    }

    fn counts(&self) -> Pending<Vec<Count>> {
        self.ask(read::counts)
    }
}

impl Journal for EmbeddedStore {
    fn events(&self, after: Cursor, limit: usize) -> Pending<Vec<(Cursor, Event)>> {
        self.ask(move |connection, names| journal::events(connection, names, after, limit))
    }

    fn bookmark(&self, reader: &'static str) -> Pending<Option<Cursor>> {
        self.ask(move |connection, _| journal::bookmark(connection, reader))
    }

    fn keep_bookmark(&self, reader: &'static str, at: Cursor) -> Pending<()> {
        self.write(|reply| Change::Bookmark(reader, at, reply))
    }

    fn tip(&self) -> watch::Receiver<Cursor> {
        self.tip.clone()
    }
}

impl ConfigVersions for EmbeddedStore {
    fn save_config(&self, config: ConfigVersion) -> Pending<u64> {
        self.write(|reply| Change::Config(config, reply))
    }

    fn newest_config(&self) -> Pending<Option<ConfigVersion>> {
        self.ask(|connection, _| Ok(read::configs(connection, 1)?.pop()))
    }

    fn configs(&self, limit: usize) -> Pending<Vec<ConfigVersion>> {
        self.ask(move |connection, _| read::configs(connection, limit))
    }
}

impl Store for EmbeddedStore {
    fn identity(&self) -> Identity {
        self.identity
    }
}
