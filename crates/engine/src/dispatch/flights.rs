//! Deliveries under way: with an attempt, a referral or a verb. Each holds a slot until it is settled, and verbs given
//! meanwhile wait with it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use steadfast_lead::{DeliveryId, Timestamp};
use steadfast_retry::fair::Party;
use steadfast_retry::{Permit, Verb};
use steadfast_store::{DuePosition, QueueKey};

/// Verbs that may wait for one delivery.
const VERBS_MAX: usize = 8;

/// A verb that waits for the attempt to settle, and who gave it.
pub type PendingVerb = (Verb, Box<str>);

/// What a delivery under way holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    /// Nothing but its place: a verb is being stored.
    Place,
    /// A place among the referrals, which send nothing; `from` the station of that number.
    Referral { from: usize },
    /// The right to an attempt; `permit` until what came of it was told.
    Attempt { party: Party, permit: Option<Permit>, started: Timestamp, took: Option<Duration> },
}

impl Holding {
    const fn is_referral(self) -> bool {
        matches!(self, Holding::Referral { .. })
    }
}

struct UnderWay {
    holding: Holding,
    /// Verbs in the order they were given.
    verbs: VecDeque<PendingVerb>,
    /// Where it stood in its queue when that was passed over meanwhile.
    passed_over: Option<(QueueKey, DuePosition)>,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Flights {
    under_way: HashMap<DeliveryId, UnderWay>,
    referrals: usize,
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Referrals under way.
    pub(super) const fn referrals(&self) -> usize {
        self.referrals
    }

    pub(super) fn ids(&self) -> Vec<DeliveryId> {
        self.under_way.keys().copied().collect()
    }

    pub(super) fn contains(&self, delivery: DeliveryId) -> bool {
        self.under_way.contains_key(&delivery)
    }

    /// Begins one that is not under way. `false`, and nothing happens, where it is.
    pub(super) fn begin(&mut self, delivery: DeliveryId, holding: Holding) -> bool {
        if self.contains(delivery) {
            return false;
        }
        self.referrals += usize::from(holding.is_referral());
        self.under_way.insert(delivery, UnderWay { holding, verbs: VecDeque::new(), passed_over: None });
        true
    }

    /// What came of an attempt is known: gives the permit, once, with its party and when it started.
    pub(super) fn answer(&mut self, delivery: DeliveryId, now: Timestamp) -> Option<(Party, Permit, Timestamp)> {
        match &mut self.under_way.get_mut(&delivery)?.holding {
            Holding::Place | Holding::Referral { .. } => None,
            Holding::Attempt { party, permit, started, took } => {
                *took = Some(now.since(*started));
                Some((*party, permit.take()?, *started))
            }
        }
    }

    /// Ends one; answers with what it held, and where it stood if that was passed over.
    pub(super) fn end(&mut self, delivery: DeliveryId) -> Option<(Holding, Option<(QueueKey, DuePosition)>)> {
        let UnderWay { holding, passed_over, .. } = self.under_way.remove(&delivery)?;
        self.referrals -= usize::from(holding.is_referral());
        Some((holding, passed_over))
    }

    /// Remembers where a delivery stood that is under way already.
    pub(super) fn pass_over(&mut self, key: QueueKey, position: DuePosition) {
        if let Some(under_way) = self.under_way.get_mut(&position.id) {
            under_way.passed_over = Some((key, position));
        }
    }

    /// Leaves a verb for when the attempt under way is settled. `false` when none is under way, or too many verbs wait.
    pub(super) fn leave_verb(&mut self, delivery: DeliveryId, verb: PendingVerb) -> bool {
        match self.under_way.get_mut(&delivery) {
            Some(under_way) if under_way.verbs.len() < VERBS_MAX => {
                under_way.verbs.push_back(verb);
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn next_verb(&mut self, delivery: DeliveryId) -> Option<PendingVerb> {
        self.under_way.get_mut(&delivery)?.verbs.pop_front()
    }
}
