//! Forgetting a person: what an erasure is, what it leaves behind, and finding what belongs to a person.
//!
//! An erasure is kept before anything is wiped, with the terms it bars, so that a stop in between leaves it to be gone on
//! with. Each lead is then wiped in a transaction of its own.

use crate::{Pending, Term};
use steadfast_lead::{DeliveryId, LeadId, Timestamp};
use steadfast_retry::{Delivery, Epoch, Settlement};

/// An order to forget a person, or one lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its number, from 1, given by the store.
    pub number: u64,
    /// When it was asked for.
    pub at: Timestamp,
    /// Who carries it out.
    pub by: Box<str>,
    /// Why; kept for good, so it must name no person.
    pub reason: Option<Box<str>>,
    /// Leads with any of these are wiped, where no single lead was named; and what comes with any of them is barred.
    pub terms: Vec<Term>,
    /// The only lead to wipe.
    pub lead: Option<LeadId>,
}

/// What wipes one lead: one transaction.
#[derive(Clone, Debug)]
pub struct LeadErasure {
    /// Which lead.
    pub lead: LeadId,
    /// What is kept in place of what it said.
    pub tombstone: Tombstone,
    /// One for each of its deliveries, made from the delivery as it stands.
    pub settlements: Vec<Settlement>,
}

/// What is kept of an erased lead beside its ids, states, times and counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: Box<str>,
    /// Why.
    pub reason: Option<Box<str>>,
}

/// What became of wiping a lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wiped {
    /// It is durable.
    Applied,
    /// A delivery has changed since, or the settlements are not those of all deliveries; nothing was changed.
    Stale,
    /// The lease was lost; nothing was changed.
    Fenced {
        /// The epoch in force.
        current: Epoch,
    },
    /// There is no such lead.
    Unknown,
}

/// Forgetting, and what it needs to find.
pub trait Erasures {
    /// Keeps an order, and bars its terms, before anything is wiped. The `number` given is ignored; answers with its own.
    fn begin_erasure(&self, erasure: Erasure) -> Pending<u64>;

    /// Wipes one lead whole or not at all: what it said, its terms, its idempotency key, and what its deliveries' histories
    /// say beyond [`steadfast_retry::wiped`]. Applies the settlements with it. Wiping it twice is harmless: the first
    /// tombstone stays.
    fn wipe(&self, erasure: LeadErasure) -> Pending<Wiped>;

    /// Removes copies that the store's own files may still hold of what was wiped, one step of it: begins at 0, and answers
    /// with where the next step begins, `None` when it is through. [`crate::StoreError::Busy`] when a reader is in the way;
    /// then the step is to be tried again.
    fn scrub(&self, from: u64) -> Pending<Option<u64>>;

    /// An order is carried out.
    fn finish_erasure(&self, number: u64, at: Timestamp) -> Pending<()>;

    /// Orders that are not carried out yet, oldest first.
    fn unfinished_erasures(&self) -> Pending<Vec<Erasure>>;

    /// What is kept of a lead that was erased; `None` for every other.
    fn tombstone(&self, lead: LeadId) -> Pending<Option<Tombstone>>;

    /// The search terms of a lead.
    fn terms_of(&self, lead: LeadId) -> Pending<Vec<Term>>;

    /// Leads with a term, newest first, made before the lead `before`, at most `limit`.
    fn find(&self, term: Term, before: Option<LeadId>, limit: usize) -> Pending<Vec<LeadId>>;

    /// Deliveries that carry a mark and were tried or delivered, or are in doubt, oldest first, made after `after`, at most `limit`.
    fn marked(&self, mark: Term, after: DeliveryId, limit: usize) -> Pending<Vec<Delivery>>;
}
