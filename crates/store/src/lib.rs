//! The storage seam: what the engine needs of a store, in small traits, with the values that cross it.
//!
//! Shaped for one process and for several nodes alike: a settlement carries the lease it was made under, reads are ranges
//! with positions, and nothing here assumes that the writer is the only reader. Holds no engine logic: a store keeps what it
//! is given and refuses what is stale.

mod caps;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod erasure;
mod memory;
mod protection;
pub mod record;
mod retention;
mod seam;
mod term;

pub use caps::{CAPS_PRUNED_MAX, Caps};
pub use erasure::{Erasure, Erasures, LeadErasure, Tombstone, Wiped};
pub use memory::MemoryStore;
pub use protection::{KeptGuard, Protection};
pub use retention::{EXPIRED_DELIVERIES_MAX, EXPIRED_MAX, Expired, ExpiredLead, Expiry, Pruned, Retention};
pub use seam::{
    Acceptance, Accepted, CommitReport, ConfigVersion, ConfigVersions, Count, Cursor, Dedupe, Deliveries, DuePosition,
    Filter, Health, Identity, Journal, MARKS_MAX, Page, Pending, QueueHead, QueueKey, Queues, Settled, Store,
    StoreError, TERMS_MAX, Writes,
};
pub use term::{TERM_BYTES, Term, TermKey};
