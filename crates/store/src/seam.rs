//! The traits every store implements, and the values that cross them.

use crate::{Caps, Erasures, Protection, Retention, Term, TermKey};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{DeliveryId, FlowName, Lead, LeadId, NodeNumber, Priority, RecipientName, Timestamp};
use steadfast_retry::{Delivery, Endpoint, EndpointPause, Entry, Epoch, Event, Seed, Settlement, StateName};

/// An answer that comes once the store has it.
pub type Pending<T> = BoxFuture<'static, Result<T, StoreError>>;

/// Why a store could not do what was asked. Nothing of the request was kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk is full; may pass.
    #[error("the disk that holds the store is full: {detail}")]
    Full {
        /// What the system said.
        detail: String,
    },
    /// A write or sync failed: what is on disk is unknown, so nothing more is written until a restart.
    #[error("the store stopped after a failed write and takes nothing more until a restart: {detail}")]
    Stopped {
        /// What the system said.
        detail: String,
    },
    /// More is waiting to be written than the store's bound.
    #[error("the store has more to write than it can take now")]
    Busy,
    /// A read failed, or a record could not be understood.
    #[error("the store could not be read: {detail}")]
    Unreadable {
        /// What went wrong.
        detail: String,
    },
}

/// Guards a request against being accepted twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dedupe {
    /// The `Idempotency-Key`, unique within a flow.
    pub key: Box<str>,
    /// SHA-256 of what was posted under it.
    pub digest: [u8; 32],
    /// Forgotten after this.
    pub until: Timestamp,
}

/// How many terms a lead has at most.
pub const TERMS_MAX: usize = 8;
/// How many marks a lead's deliveries have at most: one for each.
pub const MARKS_MAX: usize = 100;

/// A lead to accept with everything planned for it: one transaction.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The lead.
    pub lead: Arc<Lead>,
    /// Its deliveries, each waiting; or each closed, for a lead of which nothing is kept.
    pub deliveries: Vec<Delivery>,
    /// What the lead is found by; at most [`TERMS_MAX`].
    pub terms: Vec<Term>,
    /// What deliveries are found by when another lead of the same person goes to the same recipient; at most [`MARKS_MAX`].
    pub marks: Vec<(Term, DeliveryId)>,
    /// Refused when a person with one of its terms was erased at this time or later.
    pub refuse_erased_since: Option<Timestamp>,
    /// The request's guard.
    pub dedupe: Option<Dedupe>,
    /// The line for the journal.
    pub event: Event,
}

/// What became of an acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable.
    New,
    /// The same request was accepted before; nothing was kept of this one.
    Replay {
        /// The lead it made then.
        lead: LeadId,
    },
    /// The key was used for another request; nothing was kept of this one.
    KeyReused {
        /// The lead it made then.
        lead: LeadId,
    },
    /// The person asked for deletion not long ago; nothing was kept of this one.
    Erased {
        /// When the latest erasure was asked for.
        at: Timestamp,
    },
}

/// What became of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is durable.
    Applied,
    /// The delivery has changed since the settlement was made, or is gone; nothing was kept of it.
    Stale {
        /// The delivery as it stands, if it is there.
        now: Option<Box<Delivery>>,
    },
    /// A delivery of the same lead is not as the settlement has seen it; nothing was kept.
    OthersChanged,
    /// The lease was lost; nothing was kept.
    Fenced {
        /// The epoch in force.
        current: Epoch,
    },
}

/// Writing. Answers come after the change is durable, in the order the changes were given.
pub trait Writes {
    /// Accepts a lead with its deliveries.
    fn accept(&self, acceptance: Acceptance) -> Pending<Accepted>;

    /// Applies a settlement, with what it moves of the same lead, whole or not at all. Ends the delivery's taken mark.
    fn settle(&self, settlement: Settlement) -> Pending<Settled>;

    /// Marks a delivery as taken for sending. Not waited for: written with the next commit, and soon in any case. After an
    /// unclean stop, [`Queues::taken`] names it.
    fn take(&self, delivery: DeliveryId);

    /// As [`Writes::take`], answered once durable: for steps that must know before sending.
    fn take_durably(&self, delivery: DeliveryId) -> Pending<()>;

    /// Writes what is pending, remembers that the stop was clean, and takes nothing more.
    fn close(&self) -> Pending<()>;

    /// Whether it takes writes.
    fn health(&self) -> Health;
}

/// Whether a store takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Ready,
    /// Not now: the disk is full. Tried again with every write.
    Full,
    /// Not until a restart.
    Stopped {
        /// Why.
        detail: String,
    },
}

/// One queue: what waits for an endpoint in one priority class, first attempts and retries apart, in order of due time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueKey {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// Which class.
    pub priority: Priority,
    /// Whether it holds retries by the schedule, which the endpoint's retry budget pays for.
    pub retries: bool,
}

impl QueueKey {
    /// The queue a delivery waits in, if it waits.
    pub fn of(delivery: &Delivery) -> Self {
        QueueKey { endpoint: delivery.endpoint.clone(), priority: delivery.priority, retries: delivery.is_retry() }
    }
}

/// The front of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueHead {
    /// Which queue.
    pub key: QueueKey,
    /// When its first delivery is to be looked at.
    pub next: Timestamp,
}

/// A place in a queue. Queues are ordered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DuePosition {
    /// When the delivery is to be looked at ([`steadfast_retry::State::next_look`]).
    pub due: Timestamp,
    /// Which delivery.
    pub id: DeliveryId,
}

/// What waits, read in ranges so that a million waiting costs no memory.
pub trait Queues {
    /// The front of every queue that is not empty.
    fn heads(&self) -> Pending<Vec<QueueHead>>;

    /// The next deliveries of a queue after a position, at most `limit`, in order.
    fn due(&self, queue: QueueKey, after: Option<DuePosition>, limit: usize) -> Pending<Vec<DuePosition>>;

    /// A delivery with its lead, to be sent; `None` when it is gone.
    fn load(&self, delivery: DeliveryId) -> Pending<Option<(Delivery, Arc<Lead>)>>;

    /// Deliveries marked as taken and not settled: after an unclean stop they were probably being sent.
    fn taken(&self) -> Pending<Vec<DeliveryId>>;

    /// Endpoints with a pause that ends after `now`.
    fn pauses(&self, now: Timestamp) -> Pending<Vec<EndpointPause>>;
}

/// Which deliveries to list. Everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Where they stand.
    pub state: Option<StateName>,
    /// Whose.
    pub recipient: Option<RecipientName>,
    /// Of which flow.
    pub flow: Option<FlowName>,
    /// Word of the last outcome's kind.
    pub kind: Option<Box<str>>,
    /// Accepted at this time or later, to the millisecond: by the time in the delivery's id.
    pub since: Option<Timestamp>,
    /// Accepted before this time, likewise.
    pub until: Option<Timestamp>,
}

/// Part of a list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins, if there may be more. A page may hold fewer than asked, even none, and still have a next
    /// one: how far one call looks is bounded.
    pub next: Option<DeliveryId>,
}

/// How many deliveries of a flow, to a recipient, stand where; those of test leads by themselves. Kept with every commit,
/// never counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    /// The flow.
    pub flow: FlowName,
    /// The recipient.
    pub recipient: RecipientName,
    /// Those of test leads.
    pub test: bool,
    /// Where they stand.
    pub state: StateName,
    /// How many.
    pub deliveries: u64,
}

/// Reading deliveries and leads.
pub trait Deliveries {
    /// One delivery.
    fn delivery(&self, id: DeliveryId) -> Pending<Option<Delivery>>;

    /// One lead with its deliveries, in the order of its steps.
    fn lead(&self, id: LeadId) -> Pending<Option<(Arc<Lead>, Vec<Delivery>)>>;

    /// What happened to a delivery, oldest first, at most `limit` lines after the first `skip`.
    fn history(&self, id: DeliveryId, skip: usize, limit: usize) -> Pending<Vec<Entry>>;

    /// Deliveries newest first, before the position `after`.
    fn list(&self, filter: Filter, after: Option<DeliveryId>, limit: usize) -> Pending<Page<Delivery>>;

    /// Every count that is not zero, sorted.
    fn counts(&self) -> Pending<Vec<Count>>;
}

/// A place in the journal. Opaque to readers; later lines have a larger one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(pub u64);

/// Reading the journal.
pub trait Journal {
    /// Lines after a cursor, oldest first, at most `limit`. A line is never skipped, however late it was committed.
    fn events(&self, after: Cursor, limit: usize) -> Pending<Vec<(Cursor, Event)>>;

    /// How far a reader has come, as it kept it last: in the journal, or in what it reads in place of that.
    fn bookmark(&self, reader: &'static str) -> Pending<Option<Cursor>>;

    /// Keeps how far a reader has come. Adds no line.
    fn keep_bookmark(&self, reader: &'static str, at: Cursor) -> Pending<()>;

    /// The cursor of the last line; changes with every commit that adds one.
    fn tip(&self) -> tokio::sync::watch::Receiver<Cursor>;
}

/// One version of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigVersion {
    /// Its number, from 1.
    pub version: u64,
    /// When it was saved.
    pub at: Timestamp,
    /// By whom.
    pub by: Box<str>,
    /// The text as written.
    pub text: Arc<str>,
}

/// Keeping configurations.
pub trait ConfigVersions {
    /// Saves a text as the next version and answers with its number. The `version` given is ignored.
    fn save_config(&self, config: ConfigVersion) -> Pending<u64>;

    /// The newest version.
    fn newest_config(&self) -> Pending<Option<ConfigVersion>>;

    /// Versions newest first, at most `limit`.
    fn configs(&self, limit: usize) -> Pending<Vec<ConfigVersion>>;
}

/// What a store is, known once it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What the dice are thrown with: drawn when the store was made.
    pub seed: Seed,
    /// What terms are made with: drawn when the store was made.
    pub term_key: TermKey,
    /// This node's number.
    pub node: NodeNumber,
    /// The largest lead or delivery id in it.
    pub last_id: Option<i64>,
    /// The lease of this opening; larger than that of every earlier one.
    pub epoch: Epoch,
    /// Whether the last stop was clean (true for a new store).
    pub clean: bool,
    /// When it last committed, as far as it knows: the latest of these times, though the clock was set back since.
    pub last_commit_at: Option<Timestamp>,
    /// The newest version of the configuration it held when it was opened; `None` where none was kept.
    pub config_version: Option<u64>,
}

/// What one commit was: handed to whoever measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitReport {
    /// Changes in it.
    pub changes: usize,
    /// How long it took, sync included.
    pub took: Duration,
}

/// All of it.
pub trait Store:
    Writes
    + Queues
    + Deliveries
    + Erasures
    + Journal
    + ConfigVersions
    + Protection
    + Retention
    + Caps
    + Send
    + Sync
    + 'static
{
    /// What it is.
    fn identity(&self) -> Identity;
}
