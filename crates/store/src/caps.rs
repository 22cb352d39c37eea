//! What was accepted in the periods of caps, and what is reserved there over a restart. Both change only with settlements.

use crate::Pending;
use steadfast_lead::{DeliveryId, Timestamp};
use steadfast_retry::CapPeriod;

/// How many periods one call of [`Caps::prune_caps`] deletes at most.
pub const CAPS_PRUNED_MAX: usize = 256;

/// Reading what settlements have counted ([`steadfast_retry::Settlement::caps`]), and deleting it when its time is over.
pub trait Caps {
    /// How many were accepted in each period that ends at this time or later, sorted.
    fn cap_counts(&self, since: Timestamp) -> Pending<Vec<(CapPeriod, u64)>>;

    /// What deliveries that may have been taken keep reserved, in periods that end at this time or later, sorted.
    fn cap_places(&self, since: Timestamp) -> Pending<Vec<(DeliveryId, CapPeriod)>>;

    /// Deletes periods that ended before this, counts and places, at most [`CAPS_PRUNED_MAX`] of each. Answers with how
    /// many.
    fn prune_caps(&self, before: Timestamp) -> Pending<u64>;
}
