//! How many deliveries stand where.

use serde::Serialize;
use steadfast_retry::StateName;
use utoipa::ToSchema;

/// How many deliveries stand where. Those in flight count where they stood before: waiting or held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CountsView {
    /// The next attempt starts when due.
    waiting: u64,
    /// Must not go yet.
    held: u64,
    /// The recipient took it.
    delivered: u64,
    /// The recipient said no.
    rejected: u64,
    /// A person has to look.
    in_review: u64,
    /// Ended otherwise.
    closed: u64,
}

impl CountsView {
    /// How many wait or are held.
    pub(crate) const fn open(&self) -> u64 {
        self.waiting.saturating_add(self.held)
    }

    /// How many are held by themselves.
    pub(crate) const fn held(&self) -> u64 {
        self.held
    }

    /// Adds so many in one state.
    pub(crate) fn add(&mut self, state: StateName, deliveries: u64) {
        let place = match state {
            // Never stored; if a store kept it, it waits.
            StateName::Waiting | StateName::InFlight => &mut self.waiting,
            StateName::Held => &mut self.held,
            StateName::Delivered => &mut self.delivered,
            StateName::Rejected => &mut self.rejected,
            StateName::InReview => &mut self.in_review,
            StateName::Closed => &mut self.closed,
        };
        *place = place.saturating_add(deliveries);
    }
}
