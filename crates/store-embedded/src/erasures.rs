//! Forgetting as the engine sees it.

use crate::forget::WipeRows;
use crate::read;
use crate::rows::Change;
use crate::store::EmbeddedStore;
use steadfast_lead::{DeliveryId, LeadId, Timestamp};
use steadfast_retry::Delivery;
use steadfast_store::{Erasure, Erasures, LeadErasure, Pending, Term, Tombstone, Wiped};

impl Erasures for EmbeddedStore {
    fn begin_erasure(&self, erasure: Erasure) -> Pending<u64> {
        self.write(|reply| Change::BeginErasure(Box::new(erasure), reply))
    }

    fn wipe(&self, erasure: LeadErasure) -> Pending<Wiped> {
        let rows = Box::new(WipeRows::of(erasure, &self.names));
        self.write(|reply| Change::Wipe(rows, reply))
    }

    fn scrub(&self, from: u64) -> Pending<Option<u64>> {
        self.write(|reply| Change::Scrub(from, reply))
    }

    fn finish_erasure(&self, number: u64, at: Timestamp) -> Pending<()> {
        self.write(|reply| Change::FinishErasure(number, at, reply))
    }

    fn unfinished_erasures(&self) -> Pending<Vec<Erasure>> {
        self.ask(|connection, _| read::unfinished_erasures(connection))
    }

    fn tombstone(&self, lead: LeadId) -> Pending<Option<Tombstone>> {
        self.ask(move |connection, _| read::tombstone(connection, lead))
    }

    fn terms_of(&self, lead: LeadId) -> Pending<Vec<Term>> {
        self.ask(move |connection, _| read::terms_of(connection, lead))
    }

    fn find(&self, term: Term, before: Option<LeadId>, limit: usize) -> Pending<Vec<LeadId>> {
        self.ask(move |connection, _| read::find(connection, term, before, limit))
    }

    fn marked(&self, mark: Term, after: DeliveryId, limit: usize) -> Pending<Vec<Delivery>> {
        self.ask(move |connection, names| read::marked(connection, names, mark, after, limit))
    }
}
