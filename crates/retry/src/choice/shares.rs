//! What each candidate has had of its day, and whose turn it is: the daily ledger of shares by contract.
//!
//! What counts is written by the settlement that brings it, in the same transaction, as the periods of caps are; after a
//! restart it is all there. What is on its way is known in this process only: after a restart a delivery counts when it is
//! taken.

use crate::cap::{CapPeriod, newly_taken};
use crate::choice::ShareOf;
use crate::delivery::State;
use crate::settle::{Entry, Settlement};
use std::collections::BTreeMap;
use std::sync::Arc;
use steadfast_lead::{DeliveryId, Timestamp};

/// How many deliveries are known to be on their way, at most; beyond it one counts when it is taken.
const ON_THE_WAY_MAX: usize = 100_000;

/// What a candidate has had of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShareTally {
    /// What counts for its share.
    pub counted: u64,
    /// Chosen for it, and not ended.
    pub on_the_way: u64,
}

impl ShareTally {
    /// Both together.
    pub const fn given(&self) -> u64 {
        self.counted.saturating_add(self.on_the_way)
    }
}

/// The ledger: one for a process, since one process sends. Candidates are known by their scope.
#[derive(Clone, Debug, Default)]
pub struct ShareLedger {
    counted: BTreeMap<CapPeriod, u64>,
    on_the_way: BTreeMap<Arc<str>, u64>,
    chosen: BTreeMap<DeliveryId, Arc<str>>,
    credits: BTreeMap<Arc<str>, i64>,
}

impl ShareLedger {
    /// What a store kept.
    pub fn restore(&mut self, counts: impl IntoIterator<Item = (CapPeriod, u64)>) {
        self.counted.extend(counts);
    }

    /// How a candidate stands in a period of its own.
    pub fn tally(&self, period: &CapPeriod) -> ShareTally {
        let counted = self.counted.get(period).copied().unwrap_or_default();
        ShareTally { counted, on_the_way: self.on_the_way.get(&period.scope).copied().unwrap_or_default() }
    }

    /// The days in which something counted for a candidate, as far as they are kept, oldest first.
    pub fn days<'a>(&'a self, scope: &'a str) -> impl Iterator<Item = &'a CapPeriod> {
        self.counted.keys().filter(move |period| *period.scope == *scope)
    }

    /// A candidate's place in the turns.
    pub fn credit(&self, scope: &str) -> i64 {
        self.credits.get(scope).copied().unwrap_or_default()
    }

    /// A candidate's place in the turns from now on.
    pub fn set_credit(&mut self, scope: &Arc<str>, credit: i64) {
        self.credits.insert(Arc::clone(scope), credit);
    }

    /// A delivery goes to this candidate, wherever it went before.
    pub fn chose(&mut self, delivery: DeliveryId, scope: &Arc<str>) {
        self.end(delivery);
        if self.chosen.len() < ON_THE_WAY_MAX {
            self.chosen.insert(delivery, Arc::clone(scope));
            *self.on_the_way.entry(Arc::clone(scope)).or_default() += 1;
        }
    }

    /// A delivery is no longer on its way.
    pub fn end(&mut self, delivery: DeliveryId) {
        let Some(scope) = self.chosen.remove(&delivery) else { return };
        if let Some(count) = self.on_the_way.get_mut(&scope) {
            *count = count.saturating_sub(1);
        }
    }

    /// A settlement is stored that counted in this period of a candidate, or in none.
    pub fn settled(&mut self, settlement: &Settlement, counted: Option<&CapPeriod>) {
        if !settlement.delivery.state.is_open() {
            self.end(settlement.delivery.id);
        }
        if let Some(period) = counted {
            *self.counted.entry(period.clone()).or_default() += 1;
        }
    }

    /// Forgets periods that ended before a time.
    pub fn forget_before(&mut self, time: Timestamp) {
        self.counted.retain(|period, _| period.until >= time);
    }
}

impl ShareOf {
    /// Whether a settlement counts for its candidate's share. What a test lead brings does not.
    pub fn counts(self, settlement: &Settlement) -> bool {
        if settlement.delivery.test {
            return false;
        }
        let refused = match (&settlement.entry, &settlement.delivery.state) {
            (Entry::Attempt(_) | Entry::LookUp(_), State::Rejected { .. }) => true,
            (Entry::Attempt(_) | Entry::LookUp(_) | Entry::Change(_), _) => false,
        };
        newly_taken(settlement) || (self == ShareOf::Answered && refused)
    }
}
