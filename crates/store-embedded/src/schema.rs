//! The tables, and what every connection is set to.
//!
//! Kept narrow: columns are only what an index or a check needs, everything else is in the records. The format's number
//! rises with every change here, and the change comes with a migration in `migrate.rs`; a store is never opened by a version that
//! knows a lower one.

use rusqlite::Connection;

/// "Stdf": says that a SQLite file is a Steadfast store.
pub(crate) const APPLICATION_ID: u32 = 0x5374_6466;
/// The store format this version writes.
pub(crate) const FORMAT: u32 = 8;
/// The oldest format that can be brought to the present one; see `migrate.rs`.
pub(crate) const OLDEST_FORMAT: u32 = 2;

/// The write-ahead log is cut back to this after it was reset.
const LOG_BYTES_KEPT: u32 = 16 << 20;
/// How long a connection waits for another that locks it out.
pub(crate) const BUSY_MILLIS: u32 = 2_000;
/// Statements kept prepared per connection; there are fewer kinds than this.
const STATEMENTS_KEPT: usize = 64;

/// `listed` serves every filter by flow, recipient and state (a route is a flow and a recipient), `kinds` the filter by kind,
/// `due` the queues. All end in the row's id, which is how lists are ordered.
///
/// The class of a delivery is its priority, and whether its next attempt is a retry ([`crate::rows::class_of`]), which is bit 16.
/// In both `listed` and `due` what waits for its first attempt stands by itself, whomever it is for: it is little at any time,
/// comes and goes with every lead, and so shares a few pages, however much waits for its retry.
///
/// `counts` says how many deliveries of a route stand where, `pruned` how many that ended there were deleted since.
/// `meta.last_id` is the largest id that was ever deleted, `meta.journal_pruned` the cursor of the last line that was,
/// `meta.taken` which deliveries are taken and not settled ([`crate::marks`]).
///
/// A lead's row names its terms (each with the id it stands for) and its idempotency key, so that forgetting a lead finds
/// them without an index. `terms` is cut into periods by the time in the id: terms are random, and so what is written now
/// stays together on few pages, however large the table grows.
pub(crate) const TABLES: &str = "
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1), seed INTEGER NOT NULL, term_key BLOB NOT NULL, node INTEGER NOT NULL, epoch INTEGER NOT NULL,
    clean INTEGER NOT NULL, last_commit_at INTEGER, last_id INTEGER,
    journal_pruned INTEGER NOT NULL DEFAULT 0, taken BLOB);
CREATE TABLE names (kind INTEGER NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (kind, number))
    WITHOUT ROWID;
CREATE TABLE leads (id INTEGER PRIMARY KEY, record BLOB NOT NULL, terms BLOB, dedupe_key TEXT);
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY, route INTEGER NOT NULL, state INTEGER NOT NULL, endpoint INTEGER NOT NULL,
    class INTEGER NOT NULL, kind INTEGER NOT NULL, version INTEGER NOT NULL, next_look INTEGER, record BLOB NOT NULL);
CREATE INDEX listed ON deliveries (state, class & 16, route);
CREATE INDEX kinds ON deliveries (kind, route) WHERE kind <> 0;
CREATE INDEX due ON deliveries (class, endpoint, next_look) WHERE next_look IS NOT NULL;
CREATE TABLE history (delivery INTEGER NOT NULL, seq INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (delivery, seq))
    WITHOUT ROWID;
CREATE TABLE journal (seq INTEGER PRIMARY KEY, lines BLOB NOT NULL);
CREATE TABLE counts (
    route INTEGER NOT NULL, test INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (route, test, state)) WITHOUT ROWID;
CREATE TABLE pruned (
    route INTEGER NOT NULL, test INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (route, test, state)) WITHOUT ROWID;
CREATE TABLE bookmarks (reader TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE idempotency (
    flow INTEGER NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL, until INTEGER NOT NULL, lead INTEGER NOT NULL,
    PRIMARY KEY (flow, key)) WITHOUT ROWID;
CREATE TABLE terms (period INTEGER NOT NULL, term BLOB NOT NULL, owner INTEGER NOT NULL, PRIMARY KEY (period, term, owner))
    WITHOUT ROWID;
CREATE TABLE barred (term BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE erasures (
    number INTEGER PRIMARY KEY, at INTEGER NOT NULL, by TEXT NOT NULL, reason TEXT, terms BLOB NOT NULL, lead INTEGER,
    finished_at INTEGER);
CREATE INDEX unfinished ON erasures (number) WHERE finished_at IS NULL;
CREATE TABLE pauses (endpoint INTEGER PRIMARY KEY, until INTEGER NOT NULL);
CREATE TABLE guards (endpoint INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE stops (target TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE caps (
    scope TEXT NOT NULL, per INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (scope, per, since, until)) WITHOUT ROWID;
CREATE TABLE cap_places (
    delivery INTEGER NOT NULL, scope TEXT NOT NULL, per INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (delivery, scope, per, since, until)) WITHOUT ROWID;
CREATE TABLE configs (version INTEGER PRIMARY KEY, at INTEGER NOT NULL, by TEXT NOT NULL, text TEXT NOT NULL);
";

/// Sets up the connection that writes. Every commit is synced before it returns.
pub(crate) fn set_up_writer(connection: &Connection, cache_bytes: usize) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    sync_what_is_written(connection)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    secure_delete(connection, SecureDelete::WithinPages)?;
    set_up(connection, cache_bytes)
}

/// How thoroughly SQLite overwrites what it deletes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SecureDelete {
    /// Within pages that are written anyway: costs no writing, and leaves no copy behind when a row moves or shrinks.
    WithinPages,
    /// Pages that become free as well.
    Everywhere,
}

/// Sets how thoroughly this connection overwrites what it deletes.
pub(crate) fn secure_delete(connection: &Connection, how: SecureDelete) -> rusqlite::Result<()> {
    let pragma = match how {
        SecureDelete::WithinPages => "PRAGMA secure_delete = FAST",
        SecureDelete::Everywhere => "PRAGMA secure_delete = ON",
    };
    connection.query_row(pragma, [], |_| Ok(()))
}

/// Sets up a connection that copies the log into the main file, and syncs it.
pub(crate) fn set_up_copier(connection: &Connection) -> rusqlite::Result<()> {
    sync_what_is_written(connection)?;
    set_up(connection, 0)
}

/// The log before a commit is answered, and both files when the log is copied.
fn sync_what_is_written(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")
}

/// Sets up a connection that reads.
pub(crate) fn set_up_reader(connection: &Connection, cache_bytes: usize) -> rusqlite::Result<()> {
    connection.pragma_update(None, "query_only", true)?;
    set_up(connection, cache_bytes)
}

fn set_up(connection: &Connection, cache_bytes: usize) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    let cache_kib = i64::try_from(cache_bytes / 1_024).unwrap_or(i64::MAX);
    // A negative size is in KiB.
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "busy_timeout", BUSY_MILLIS)
}
