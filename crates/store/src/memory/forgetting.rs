//! Forgetting in memory: terms, marks, tombstones and orders.

use super::{Data, MemoryStore};
use crate::{Acceptance, Erasure, Erasures, LeadErasure, Pending, Settled, StoreError, Term, Tombstone, Wiped};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use steadfast_lead::{DeliveryId, Fields, Lead, LeadId, Timestamp};
use steadfast_retry::{Delivery, Epoch, State, wiped};

/// What is found by term, and what was erased.
#[derive(Default)]
pub(super) struct Forgetting {
    terms: BTreeSet<(Term, LeadId)>,
    marks: BTreeSet<(Term, DeliveryId)>,
    barred: BTreeMap<Term, Timestamp>,
    orders: Vec<(Erasure, Option<Timestamp>)>,
    tombstones: BTreeMap<LeadId, Tombstone>,
}

impl Forgetting {
    /// When a person with one of these terms was erased last, if that is to refuse the acceptance.
    pub(super) fn barred(&self, acceptance: &Acceptance) -> Option<Timestamp> {
        let since = acceptance.refuse_erased_since?;
        let erased = acceptance.terms.iter().filter_map(|term| self.barred.get(term).copied());
        erased.filter(|at| *at >= since).max()
    }

    pub(super) fn keep(&mut self, lead: LeadId, terms: Vec<Term>, marks: Vec<(Term, DeliveryId)>) {
        self.terms.extend(terms.into_iter().map(|term| (term, lead)));
        self.marks.extend(marks);
    }

    /// Whether what is kept of an erased lead is to stay: what was erased before `before` need not.
    pub(super) fn keeps(&self, lead: LeadId, before: Option<Timestamp>) -> bool {
        self.tombstones.get(&lead).is_some_and(|tombstone| before.is_none_or(|before| tombstone.at >= before))
    }

    /// Drops everything about a lead that is deleted.
    pub(super) fn drop_lead(&mut self, lead: LeadId, deliveries: &[DeliveryId]) {
        self.terms.retain(|(_, owner)| *owner != lead);
        self.marks.retain(|(_, owner)| !deliveries.contains(owner));
        self.tombstones.remove(&lead);
    }

    /// Drops orders carried out before a time, all but the newest, and what they bar.
    pub(super) fn prune(&mut self, before: Timestamp) -> u64 {
        let there = self.orders.len() + self.barred.len();
        let newest = self.orders.last().map(|(order, _)| order.number);
        self.orders.retain(|(order, finished)| {
            Some(order.number) == newest || finished.is_none_or(|finished| finished >= before)
        });
        self.barred.retain(|_, at| *at >= before);
        u64::try_from(there - self.orders.len() - self.barred.len()).unwrap_or(u64::MAX)
    }

    fn begin(&mut self, erasure: Erasure) -> u64 {
        for term in &erasure.terms {
            let at = self.barred.entry(*term).or_insert(erasure.at);
            *at = erasure.at.max(*at);
        }
        let number = self.orders.last().map_or(1, |(last, _)| last.number + 1);
        self.orders.push((Erasure { number, ..erasure }, None));
        number
    }
}

impl Data {
    fn wipe(&mut self, erasure: LeadErasure) -> Wiped {
        let LeadErasure { lead: id, tombstone, settlements } = erasure;
        let current = Epoch(self.epoch);
        if settlements.iter().any(|settlement| settlement.fence.epoch != current) {
            return Wiped::Fenced { current };
        }
        let Some((lead, ids)) = self.leads.get(&id) else { return Wiped::Unknown };
        let wiped_lead = Arc::new(Lead { fields: Fields::new(), ..Lead::clone(lead) });
        let ids = ids.clone();
        let of_all = ids.len() == settlements.len()
            && ids.iter().all(|id| settlements.iter().any(|settlement| settlement.delivery.id == *id));
        let current = |delivery: &Delivery| {
            let standing = self.deliveries.get(&delivery.id);
            standing.is_some_and(|(standing, _)| standing.version.checked_add(1) == Some(delivery.version))
        };
        if !of_all || !settlements.iter().all(|settlement| current(&settlement.delivery)) {
            return Wiped::Stale;
        }
        for settlement in settlements {
            let delivery = settlement.delivery.id;
            if let Some((_, history)) = self.deliveries.get_mut(&delivery) {
                *history = std::mem::take(history).into_iter().map(wiped).collect();
            }
            let settled = self.settle(settlement);
            debug_assert_eq!(settled, Settled::Applied);
        }
        self.leads.insert(id, (wiped_lead, ids.clone()));
        self.guards.retain(|_, (_, lead)| *lead != id);
        self.forgetting.terms.retain(|(_, lead)| *lead != id);
        self.forgetting.marks.retain(|(_, delivery)| !ids.contains(delivery));
        self.forgetting.tombstones.entry(id).or_insert(tombstone);
        Wiped::Applied
    }
}

/// Tried, delivered by hand without a try, or perhaps sent just before an unclean stop.
fn counts_for_marks(delivery: &Delivery) -> bool {
    delivery.attempts > 0 || delivery.progress.in_doubt || matches!(delivery.state, State::Delivered { .. })
}

impl Erasures for MemoryStore {
    fn begin_erasure(&self, erasure: Erasure) -> Pending<u64> {
        self.write(|data| self.is_superseded(data).map(|()| data.forgetting.begin(erasure)))
    }

    fn wipe(&self, erasure: LeadErasure) -> Pending<Wiped> {
        self.write(|data| Ok(data.wipe(erasure)))
    }

    fn scrub(&self, _: u64) -> Pending<Option<u64>> {
        self.write(|data| self.is_superseded(data).map(|()| None))
    }

    fn finish_erasure(&self, number: u64, at: Timestamp) -> Pending<()> {
        self.write(|data| {
            self.is_superseded(data)?;
            let order = data.forgetting.orders.iter_mut().find(|(order, _)| order.number == number);
            let (_, finished) =
                order.ok_or_else(|| StoreError::Unreadable { detail: format!("there is no erasure {number}") })?;
            finished.get_or_insert(at);
            Ok(())
        })
    }

    fn unfinished_erasures(&self) -> Pending<Vec<Erasure>> {
        self.read(|data| {
            let unfinished = data.forgetting.orders.iter().filter(|(_, finished)| finished.is_none());
            unfinished.map(|(order, _)| order.clone()).collect()
        })
    }

    fn tombstone(&self, lead: LeadId) -> Pending<Option<Tombstone>> {
        self.read(|data| data.forgetting.tombstones.get(&lead).cloned())
    }

    fn terms_of(&self, lead: LeadId) -> Pending<Vec<Term>> {
        self.read(|data| {
            data.forgetting.terms.iter().filter(|(_, owner)| *owner == lead).map(|(term, _)| *term).collect()
        })
    }

    fn find(&self, term: Term, before: Option<LeadId>, limit: usize) -> Pending<Vec<LeadId>> {
        self.read(|data| {
            let newest_first = data.forgetting.terms.iter().rev().filter(|(known, _)| *known == term);
            let ids = newest_first.map(|(_, lead)| *lead);
            ids.filter(|lead| before.is_none_or(|before| *lead < before)).take(limit).collect()
        })
    }

    fn marked(&self, mark: Term, after: DeliveryId, limit: usize) -> Pending<Vec<Delivery>> {
        self.read(|data| {
            let marked = data.forgetting.marks.iter().filter(|(known, id)| *known == mark && *id > after);
            let deliveries = marked.filter_map(|(_, id)| Some(data.deliveries.get(id)?.0.clone()));
            deliveries.filter(counts_for_marks).take(limit).collect()
        })
    }
}
