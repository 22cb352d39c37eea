//! Deleting what is over its time, in slices so small that no delivery waits for one.
//!
//! What has not ended is never deleted: what waits, is held or in review stays, however old. A slice is found by reading,
//! and deleted only where nothing has changed since.

use crate::{Count, Cursor, Pending};
use std::collections::BTreeMap;
use std::sync::Arc;
use steadfast_lead::{DeliveryId, FlowName, LeadId, Timestamp};

/// How many leads one slice holds at most.
pub const EXPIRED_MAX: usize = 64;
/// How many deliveries the leads of one slice have together, at most, unless one lead alone has more.
pub const EXPIRED_DELIVERIES_MAX: usize = 256;

/// What is over its time. `None` keeps for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// The present time: idempotency keys last until their own.
    pub now: Timestamp,
    /// Leads of which every delivery ended before this; and versions of the configuration that gave way to the next before
    /// this.
    pub leads: Option<Timestamp>,
    /// The same for leads of one flow, in place of `leads`.
    pub flows: BTreeMap<FlowName, Option<Timestamp>>,
    /// Lines of the journal that came before this.
    pub journal: Option<Timestamp>,
    /// Orders to forget that were carried out before this, the terms they bar, and what is kept of leads erased before this.
    pub erasures: Option<Timestamp>,
}

impl Expiry {
    /// What ended before this is over, for a flow's leads.
    pub fn of_flow(&self, flow: &FlowName) -> Option<Timestamp> {
        self.flows.get(flow).copied().unwrap_or(self.leads)
    }

    /// No lead accepted at this time or later is over.
    pub fn latest(&self) -> Option<Timestamp> {
        self.flows.values().copied().chain([self.leads]).flatten().max()
    }
}

/// A lead that is over its time, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredLead {
    /// Which.
    pub id: LeadId,
    /// Its deliveries with their versions.
    pub deliveries: Vec<(DeliveryId, u32)>,
}

/// One slice of leads that are over their time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Oldest first; possibly none, even where there are more.
    pub leads: Vec<ExpiredLead>,
    /// Where the next slice begins; `None` after the last.
    pub next: Option<LeadId>,
}

/// How much was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Leads, with everything of theirs.
    pub leads: u64,
    /// Deliveries of those.
    pub deliveries: u64,
    /// Lines of the journal, or rows of them, as the store keeps them.
    pub journal: u64,
    /// Versions of the configuration.
    pub configs: u64,
    /// Orders to forget, and terms they barred.
    pub erasures: u64,
}

impl Pruned {
    /// Whether it was nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Pruned::default()
    }

    /// Together with another.
    #[must_use]
    pub fn and(self, other: Pruned) -> Pruned {
        Pruned {
            leads: self.leads + other.leads,
            deliveries: self.deliveries + other.deliveries,
            journal: self.journal + other.journal,
            configs: self.configs + other.configs,
            erasures: self.erasures + other.erasures,
        }
    }
}

/// Deleting what is over its time.
pub trait Retention {
    /// The next leads after a position that are over their time, at most [`EXPIRED_MAX`]. How far one call looks is bounded.
    fn expired(&self, expiry: Arc<Expiry>, after: Option<LeadId>) -> Pending<Expired>;

    /// Deletes leads with everything of theirs, each if it is as it was found and has ended: fields, deliveries, histories,
    /// terms, and its idempotency key if that is over. Counts go down; how many ended where is added to
    /// [`Retention::pruned`].
    fn prune_leads(&self, leads: Vec<ExpiredLead>, expiry: Arc<Expiry>) -> Pending<Pruned>;

    /// Deletes a bounded slice of everything else that is over its time. Nothing more is over when it answers with nothing.
    /// The newest line of the journal, version of the configuration and order always stay.
    fn prune_rest(&self, expiry: Arc<Expiry>) -> Pending<Pruned>;

    /// How many deliveries were deleted, by where they had ended, sorted. With [`crate::Deliveries::counts`] these are all
    /// that were ever accepted.
    fn pruned(&self) -> Pending<Vec<Count>>;

    /// The last line of the journal that was deleted: whoever reads on from an earlier one has missed lines.
    fn journal_pruned_to(&self) -> Pending<Cursor>;
}
