//! What protects recipients, over a restart: guards of endpoints, and what people stopped.

use crate::Pending;
use steadfast_retry::{Endpoint, Event, GuardSnapshot, Stop, StopTarget};

/// A guard as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptGuard {
    /// Whose.
    pub endpoint: Endpoint,
    /// As it stood.
    pub snapshot: GuardSnapshot,
}

/// Keeping guards and stops: few rows, written when something changes, never for each delivery.
pub trait Protection {
    /// Keeps a guard in place of an earlier one of its endpoint, with the lines for the journal: one transaction.
    fn keep_guard(&self, guard: KeptGuard, events: Vec<Event>) -> Pending<()>;

    /// Every guard that was kept, by endpoint.
    fn guards(&self) -> Pending<Vec<KeptGuard>>;

    /// Keeps a stop in place of an earlier one of its target, with the line for the journal.
    fn keep_stop(&self, stop: Stop, event: Event) -> Pending<()>;

    /// Ends a stop, with the line for the journal. Without such a stop only the line is kept.
    fn end_stop(&self, target: StopTarget, event: Event) -> Pending<()>;

    /// The stops in force, by target.
    fn stops(&self) -> Pending<Vec<Stop>>;
}
