//! The embedded store: one SQLite file in a data folder, written by one thread with group commit.
//!
//! An answer to a write comes after the commit that holds it was synced to disk. What arrives during one sync is the next
//! transaction; nothing waits to make a batch larger. Readers have connections of their own and see committed snapshots.
//!
//! Must never: answer before the sync, retry a failed sync, write from two threads, or hold a decision of the engine.

mod backup;
mod batch;
mod caps;
mod copier;
mod erasures;
mod forget;
mod header;
mod journal;
mod marks;
mod migrate;
mod names;
mod open;
mod protection;
mod queue;
mod read;
mod retention;
mod rows;
mod schema;
mod scrub;
mod standing;
mod store;
mod writer;

pub use backup::{BackupError, Examined, back_up, examine};
pub use migrate::{MigrateError, Migrated, migrate};
pub use open::OpenError;
pub use store::{EmbeddedStore, Options};
pub use writer::{Now, OnCommit};
