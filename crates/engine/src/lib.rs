//! The only place that waits: intake, dispatch, attempts, the desk's verbs, recovery and draining.
//!
//! The engine owns the clock. It decides nothing itself: what to do after an attempt, whether something may be sent, and
//! which delivery goes next are pure functions and values of other crates and of [`dispatch`]; the engine frames them with
//! storing and sending. It never holds a waiting retry as a sleeping future: what waits is a stored row.

mod after_sale;
mod apart;
mod asking;
mod attempt;
mod bodies;
mod callbacks;
mod caps;
mod choosing;
mod clock;
mod conditions;
mod desk;
pub mod dispatch;
mod door;
mod duplicates;
mod erase;
mod intake;
mod leave;
mod look_again;
mod maintain;
mod observe;
mod protect;
mod prune;
mod recent;
mod recover;
mod replan;
mod rerouting;
mod run;
mod settling;
mod shadow;
mod suppress;
mod taking;
mod terms;
mod ties;
mod waiters;

pub use caps::CapStanding;
pub use choosing::DayShares;
pub use clock::{Clock, ManualClock, SystemClock};
pub use desk::{Acted, RefusedAction};
pub use dispatch::{EndpointHold, EndpointStanding, RecipientStanding};
pub use door::{Door, Order, Purpose};
pub use erase::{ErasedLead, Erasing, RefusedErasure, Whom};
pub use intake::{Idempotency, Posted, Receipt, Refusal};
pub use maintain::{MAINTENANCE_BY_HAND_MAX, MAINTENANCE_LASTS_MAX, RefusedMaintenance};
pub use observe::{NoObserver, Observer};
pub use prune::{Archive, ArchiveError, ArchivedLead};
pub use replan::Replanning;
pub use run::{Engine, EngineLimits, Parts, Readiness};
pub use suppress::{RefusedSuppression, SUPPRESSIONS_MAX};

// What the tests of this crate play on, inside and outside of it.
#[cfg(test)]
extern crate self as steadfast_engine;
#[cfg(test)]
#[path = "../tests/stage/mod.rs"]
mod stage;
