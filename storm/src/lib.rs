//! The engine in bad weather: the real engine on a real store, with scripted recipients under a clock of its own, everything
//! from one seed.
//!
//! Crashes before a commit, after it and before its answer, in the middle of it; power cuts that keep any part of what was
//! not synced; full, busy and failing disks; lost and late answers; clocks set forward and back; changed configurations,
//! people and restarts. The judge stands on the recipients' own log, the clients' acknowledgements and the store.
//!
//! Must never ask the engine whether it did well.

mod bars;
mod clock;
mod dice;
mod disk;
mod judge;
mod log;
mod many;
mod people;
mod place;
mod recipient;
mod run;
mod shape;
mod trade;
mod verdict;
mod weather;
mod write;

pub use many::run_all;
pub use place::Kind;
pub use run::{Report, run};
pub use trade::Trade;
