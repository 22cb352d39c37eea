//! The recipients' own log: every request that was begun, what the recipient did with it, and what of its answer arrived.
//!
//! Written by the recipients alone. Nothing the engine says of itself enters here.

use std::collections::{BTreeMap, BTreeSet};
use steadfast_engine::Purpose;

/// What a recipient did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    /// It never saw it.
    NotReached,
    /// It took the lead.
    Took,
    /// It had it already, under the same key, and took nothing.
    HadIt,
    /// Its business said no.
    SaidNo,
    /// It could not take it.
    Failed,
    /// Asked, it had the lead.
    Found,
    /// Asked, it did not.
    NotFound,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) purpose: Purpose,
    pub(crate) recipient: String,
    pub(crate) delivery: String,
    pub(crate) key: String,
    pub(crate) attempt: u32,
    /// In which life of the process.
    pub(crate) life: u64,
    /// When it was begun, in microseconds of the storm's own time.
    pub(crate) at: u64,
    /// The first delay it was sent under, in microseconds: it may have been begun under what was in force before.
    pub(crate) first_delay: u128,
    pub(crate) did: Did,
    /// Whether what the process saw, if it saw the end of it, leaves open whether the lead was taken.
    pub(crate) ambiguous: bool,
    /// When the process saw the end of it; `None` when it did not live to.
    pub(crate) seen: Option<u64>,
}

/// All of them in order.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) requests: Vec<Request>,
    by_delivery: BTreeMap<String, Vec<usize>>,
    keys_taken: BTreeSet<String>,
}

impl Log {
    /// Notes a request; its number.
    pub(crate) fn note(&mut self, request: Request) -> usize {
        let number = self.requests.len();
        self.by_delivery.entry(request.delivery.clone()).or_default().push(number);
        if request.did == Did::Took {
            self.keys_taken.insert(request.key.clone());
        }
        self.requests.push(request);
        number
    }

    /// The process saw the end of a request.
    pub(crate) fn saw(&mut self, number: usize, at: u64) {
        if let Some(request) = self.requests.get_mut(number) {
            request.seen = Some(at);
        }
    }

    /// The requests of a delivery, oldest first.
    pub(crate) fn of<'a>(&'a self, delivery: &str) -> impl DoubleEndedIterator<Item = &'a Request> + Clone + use<'a> {
        let numbers = self.by_delivery.get(delivery).map(Vec::as_slice).unwrap_or_default();
        numbers.iter().filter_map(|number| self.requests.get(*number))
    }

    /// Whether a lead was taken under this key.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.keys_taken.contains(key)
    }

    /// How often the recipient took a delivery.
    pub(crate) fn takings(&self, delivery: &str) -> usize {
        self.of(delivery).filter(|request| request.did == Did::Took).count()
    }

    /// Deliveries that were taken more than once.
    pub(crate) fn taken_twice(&self) -> usize {
        self.by_delivery.keys().filter(|delivery| self.takings(delivery) > 1).count()
    }
}
