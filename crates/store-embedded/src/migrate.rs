//! From an older store format to the present one: one migration for each format, all of them in one transaction, after a backup.
//!
//! Must never: change a store that is in use, one that a later version wrote, or one that no backup was made of; or leave a
//! store between two formats.

use crate::backup::{BackupError, back_up};
use crate::marks::to_bytes;
use crate::open::{FILE, OpenError, check, lock};
use crate::rows::class_of;
use crate::schema::{APPLICATION_ID, FORMAT, OLDEST_FORMAT, SecureDelete, secure_delete};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steadfast_lead::DeliveryId;
use steadfast_store::record::{Dictionary, decode_delivery};

/// What leads from one format to the next.
struct Migration {
    /// The format it starts from.
    from: u32,
    /// Run within the transaction of all of them.
    run: fn(&Connection) -> Result<(), String>,
}

/// Every migration since the oldest format that can be brought along, in order and without a gap. What one makes of a store
/// is never changed once a version with it was released: stores were made by it. A new format comes with a new one, and with
/// what its tables are in `schema.rs`; the tests hold the two together.
const MIGRATIONS: &[Migration] = &[
    Migration { from: 2, run: keep_guards_and_stops },
    Migration { from: 3, run: keep_what_was_pruned },
    Migration { from: 4, run: count_tests_apart },
    Migration { from: 5, run: count_caps },
    Migration { from: 6, run: keep_marks_together },
    Migration { from: 7, run: keep_first_attempts_together },
];

/// Guards and stops have tables; and what waits for a retry is in a queue of its own.
fn keep_guards_and_stops(connection: &Connection) -> Result<(), String> {
    statements(
        connection,
        "CREATE TABLE guards (endpoint INTEGER PRIMARY KEY, record BLOB NOT NULL);
         CREATE TABLE stops (target TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;",
    )?;
    let words = words(connection)?;
    let mut after = -1;
    loop {
        let rows = some_after(connection, "next_look IS NOT NULL", after).map_err(|error| error.to_string())?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = *last;
        for (id, record) in rows {
            let known = DeliveryId::from_raw(id).ok_or("a delivery's id is negative")?;
            let delivery = decode_delivery(known, &record, &words).map_err(|error| error.to_string())?;
            let class = class_of(delivery.priority, delivery.is_retry());
            let set = connection.prepare_cached("UPDATE deliveries SET class = ?2 WHERE id = ?1 AND class <> ?2");
            set.and_then(|mut set| set.execute(params![id, class])).map_err(|error| error.to_string())?;
        }
    }
}

/// What is deleted when its time is over is still counted, and its ids are not given again.
fn keep_what_was_pruned(connection: &Connection) -> Result<(), String> {
    statements(
        connection,
        "ALTER TABLE meta ADD COLUMN last_id INTEGER;
         ALTER TABLE meta ADD COLUMN journal_pruned INTEGER NOT NULL DEFAULT 0;
         CREATE TABLE pruned (route INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (route, state))
             WITHOUT ROWID;",
    )
}

/// Deliveries of test leads are counted by themselves, and readers of the journal keep their places.
fn count_tests_apart(connection: &Connection) -> Result<(), String> {
    statements(
        connection,
        "ALTER TABLE counts RENAME TO counts_before;
         CREATE TABLE counts (
             route INTEGER NOT NULL, test INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL,
             PRIMARY KEY (route, test, state)) WITHOUT ROWID;
         INSERT INTO counts SELECT route, 0, state, n FROM counts_before;
         DROP TABLE counts_before;
         ALTER TABLE pruned RENAME TO pruned_before;
         CREATE TABLE pruned (
             route INTEGER NOT NULL, test INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL,
             PRIMARY KEY (route, test, state)) WITHOUT ROWID;
         INSERT INTO pruned SELECT route, 0, state, n FROM pruned_before;
         DROP TABLE pruned_before;
         CREATE TABLE bookmarks (reader TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;",
    )?;
    let words = words(connection)?;
    let mut after = -1;
    loop {
        let rows = some_after(connection, "TRUE", after).map_err(|error| error.to_string())?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = *last;
        for (id, record) in rows {
            let known = DeliveryId::from_raw(id).ok_or("a delivery's id is negative")?;
            let delivery = decode_delivery(known, &record, &words).map_err(|error| error.to_string())?;
            if delivery.test {
                count_as_test(connection, id).map_err(|error| error.to_string())?;
            }
        }
    }
}

/// What caps have counted has a table, and so have places that are kept. Counting begins with the first cap.
fn count_caps(connection: &Connection) -> Result<(), String> {
    statements(
        connection,
        "CREATE TABLE caps (
             scope TEXT NOT NULL, per INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, n INTEGER NOT NULL,
             PRIMARY KEY (scope, per, since, until)) WITHOUT ROWID;
         CREATE TABLE cap_places (
             delivery INTEGER NOT NULL, scope TEXT NOT NULL, per INTEGER NOT NULL, since INTEGER NOT NULL,
             until INTEGER NOT NULL, PRIMARY KEY (delivery, scope, per, since, until)) WITHOUT ROWID;",
    )
}

/// Which deliveries are taken is one value.
fn keep_marks_together(connection: &Connection) -> Result<(), String> {
    statements(connection, "ALTER TABLE meta ADD COLUMN taken BLOB")?;
    let read = || -> rusqlite::Result<BTreeSet<i64>> {
        connection.prepare("SELECT delivery FROM taken")?.query_map([], |row| row.get(0))?.collect()
    };
    let taken = read().map_err(|error| error.to_string())?;
    connection.execute("UPDATE meta SET taken = ?1", [to_bytes(&taken)]).map_err(|error| error.to_string())?;
    statements(connection, "DROP TABLE taken")
}

/// What waits for its first attempt stands by itself in the indexes.
fn keep_first_attempts_together(connection: &Connection) -> Result<(), String> {
    statements(
        connection,
        "DROP INDEX listed;
         DROP INDEX due;
         UPDATE deliveries SET class = class & 15 WHERE next_look IS NULL AND class & 16;
         CREATE INDEX listed ON deliveries (state, class & 16, route);
         CREATE INDEX due ON deliveries (class, endpoint, next_look) WHERE next_look IS NOT NULL;",
    )
}

fn count_as_test(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    let place = "SELECT route, state FROM deliveries WHERE id = ?1";
    let (route, state): (i64, i64) =
        connection.prepare_cached(place)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let sql = "INSERT INTO counts (route, test, state, n) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO UPDATE SET n = n + excluded.n";
    let mut count = connection.prepare_cached(sql)?;
    count.execute(params![route, false, state, -1])?;
    count.execute(params![route, true, state, 1])?;
    Ok(())
}

fn statements(connection: &Connection, sql: &str) -> Result<(), String> {
    connection.execute_batch(sql).map_err(|error| error.to_string())
}

/// The names that records are written with.
fn words(connection: &Connection) -> Result<Dictionary, String> {
    let read = || {
        let mut statement = connection.prepare("SELECT text FROM names WHERE kind = 0 ORDER BY number")?;
        let texts = statement.query_map([], |row| row.get::<_, Arc<str>>(0))?;
        texts.collect::<rusqlite::Result<_>>()
    };
    read().map(Dictionary::of).map_err(|error| error.to_string())
}

/// Some deliveries of a kind with their records, in the order of ids.
fn some_after(connection: &Connection, kind: &'static str, after: i64) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
    const AT_ONCE: i64 = 1_000;
    let sql = format!("SELECT id, record FROM deliveries WHERE id > ?1 AND {kind} ORDER BY id LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([after, AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The format it was in.
    pub from: u32,
    /// The format it is in now.
    pub to: u32,
    /// The folder of the backup that was made before; `None` when nothing was to be done.
    pub backup: Option<PathBuf>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// There is no store.
    #[error("there is no store in {}", path.display())]
    Nothing {
        /// Which folder.
        path: PathBuf,
    },
    /// It cannot be opened: in use, written by a later version, damaged.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The backup before it failed.
    #[error("no backup could be made, and so nothing was changed: {0}")]
    Backup(#[from] BackupError),
    /// A statement failed.
    #[error("{} could not be brought from store format {from} to {to}; it is as it was: {detail}", path.display())]
    Failed {
        /// Which file.
        path: PathBuf,
        /// The format it is in.
        from: u32,
        /// The format it was to be in.
        to: u32,
        /// What SQLite said.
        detail: String,
    },
}

/// Brings the store in a folder to the present format. A backup is made first, in `backup`, or in a folder
/// `before-format-N` beside the store. A store that is in the present format already is left as it is.
///
/// # Errors
/// [`MigrateError`]; the store is as it was.
pub fn migrate(folder: &Path, backup: Option<&Path>) -> Result<Migrated, MigrateError> {
    migrate_by(MIGRATIONS, FORMAT, folder, backup)
}

fn migrate_by(
    migrations: &[Migration],
    to: u32,
    folder: &Path,
    backup: Option<&Path>,
) -> Result<Migrated, MigrateError> {
    let file = folder.join(FILE);
    if !file.exists() {
        return Err(MigrateError::Nothing { path: folder.to_owned() });
    }
    let _lock = lock(folder)?;
    check(folder, &file)?;
    let unreadable = |error: rusqlite::Error| OpenError::Unreadable { path: file.clone(), detail: error.to_string() };
    let mut connection = Connection::open(&file).map_err(unreadable)?;
    let from = format_of(&connection, &file, to)?;
    if from == to {
        return Ok(Migrated { from, to, backup: None });
    }
    let backup = backup.map_or_else(|| folder.join(format!("before-format-{to}")), Path::to_owned);
    back_up(folder, &backup)?;
    let pending = migrations.iter().filter(|migration| migration.from >= from);
    run(&mut connection, pending, to).map_err(|detail| MigrateError::Failed {
        path: file.clone(),
        from,
        to,
        detail,
    })?;
    Ok(Migrated { from, to, backup: Some(backup) })
}

fn format_of(connection: &Connection, file: &Path, to: u32) -> Result<u32, OpenError> {
    let unreadable =
        |error: rusqlite::Error| OpenError::Unreadable { path: file.to_owned(), detail: error.to_string() };
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0)).map_err(unreadable);
    if number("application_id")? != APPLICATION_ID {
        return Err(OpenError::Foreign { path: file.to_owned() });
    }
    let found = number("user_version")?;
    if found > to {
        return Err(OpenError::Newer { path: file.to_owned(), found, known: to });
    }
    if found < OLDEST_FORMAT {
        return Err(OpenError::TooOld { path: file.to_owned(), found, known: to });
    }
    Ok(found)
}

fn run<'m>(
    connection: &mut Connection,
    migrations: impl Iterator<Item = &'m Migration>,
    to: u32,
) -> Result<(), String> {
    let sqlite = |error: rusqlite::Error| error.to_string();
    connection.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
    secure_delete(connection, SecureDelete::WithinPages).map_err(sqlite)?;
    let transaction = connection.transaction().map_err(sqlite)?;
    for migration in migrations {
        (migration.run)(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", to).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)?;
    // The format stands in the file itself, where whoever opens it looks first.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(sqlite)
}

#[cfg(test)]
mod tests {
    use super::{MIGRATIONS, MigrateError, Migration, migrate, migrate_by, statements};
    use crate::open::{FILE, OpenError};
    use crate::schema::{FORMAT, OLDEST_FORMAT, TABLES};
    use rusqlite::Connection;
    use std::path::Path;
    use tempfile::TempDir;

    const FORMAT_2: &str = include_str!("../tests/fixtures/format-2.sql");

    fn of_format_2() -> TempDir {
        let folder = TempDir::new().unwrap();
        Connection::open(folder.path().join(FILE)).unwrap().execute_batch(FORMAT_2).unwrap();
        folder
    }

    /// Tables and indexes with their columns, whatever the wording.
    fn layout(connection: &Connection) -> Vec<String> {
        let sql = "SELECT s.type, s.name, s.tbl_name, x.name, x.type, x.\"notnull\", x.pk, i.partial
                   FROM sqlite_schema s LEFT JOIN pragma_table_xinfo(s.name) x
                   LEFT JOIN pragma_index_list(s.tbl_name) i ON i.name = s.name ORDER BY 1, 2, x.cid";
        let text = |row: &rusqlite::Row<'_>| {
            let values = (0..8).map(|at| row.get::<_, rusqlite::types::Value>(at)).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("{values:?}"))
        };
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], text).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn format(folder: &Path) -> u32 {
        let connection = Connection::open(folder.join(FILE)).unwrap();
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn the_migrations_lead_from_the_oldest_format_to_the_present_one() {
        assert!(MIGRATIONS.iter().map(|migration| migration.from).eq(OLDEST_FORMAT..FORMAT));
    }

    #[test]
    fn a_migrated_store_has_the_tables_of_a_new_one() {
        let folder = of_format_2();
        migrate(folder.path(), None).unwrap();
        let new = Connection::open_in_memory().unwrap();
        new.execute_batch(TABLES).unwrap();
        let migrated = Connection::open(folder.path().join(FILE)).unwrap();
        assert_eq!(layout(&migrated), layout(&new));
    }

    #[test]
    fn deliveries_of_test_leads_are_counted_apart() {
        let folder = of_format_2();
        let file = folder.path().join(FILE);
        // The field `test` of the first delivery's record, raised.
        let raise = "UPDATE deliveries SET record = CAST(replace(hex(record), '0002F401', '0002F501') AS BLOB)
                     WHERE id = 381399806771216385";
        let connection = Connection::open(&file).unwrap();
        connection.execute(raise, []).unwrap();
        let bytes: Vec<u8> = connection
            .query_row("SELECT record FROM deliveries WHERE id = 381399806771216385", [], |row| row.get(0))
            .unwrap();
        let digits = String::from_utf8(bytes).unwrap();
        let record: Vec<u8> =
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
        connection.execute("UPDATE deliveries SET record = ?1 WHERE id = 381399806771216385", [record]).unwrap();
        drop(connection);
        migrate(folder.path(), None).unwrap();
        let migrated = Connection::open(&file).unwrap();
        let mut statement = migrated.prepare("SELECT route, test, state, n FROM counts WHERE n <> 0").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
        let counts: Vec<(i64, bool, i64, i64)> = rows.map(Result::unwrap).collect();
        assert!(counts.contains(&(0, true, 3, 1)), "{counts:?}");
        assert_eq!(counts.iter().filter(|count| count.1).count(), 1);
        assert_eq!(counts.iter().map(|count| count.3).sum::<i64>(), 6);
    }

    #[test]
    fn a_migration_that_fails_leaves_everything_as_it_was() {
        let folder = of_format_2();
        let migrations = [
            Migration { from: 2, run: |c| statements(c, "CREATE TABLE halfway (one INTEGER PRIMARY KEY)") },
            Migration { from: 3, run: |c| statements(c, "DROP TABLE nowhere") },
        ];
        let before = layout(&Connection::open(folder.path().join(FILE)).unwrap());
        let error = migrate_by(&migrations, 4, folder.path(), None).unwrap_err();
        assert!(matches!(error, MigrateError::Failed { from: 2, to: 4, .. }), "{error}");
        assert_eq!(layout(&Connection::open(folder.path().join(FILE)).unwrap()), before);
        assert_eq!(format(folder.path()), 2);
        assert_eq!(format(&folder.path().join("before-format-4")), 2);
    }

    #[test]
    fn what_is_newer_is_not_touched() {
        let folder = of_format_2();
        let error = migrate_by(&[], 1, folder.path(), None).unwrap_err();
        assert!(matches!(error, MigrateError::Open(OpenError::Newer { found: 2, known: 1, .. })), "{error}");
    }

    #[test]
    fn without_a_backup_nothing_is_changed() {
        let folder = of_format_2();
        let backup = folder.path().join(format!("before-format-{FORMAT}"));
        std::fs::create_dir(&backup).unwrap();
        std::fs::write(backup.join(FILE), "mine").unwrap();
        let error = migrate_by(MIGRATIONS, FORMAT, folder.path(), None).unwrap_err();
        assert!(matches!(error, MigrateError::Backup(_)), "{error}");
        assert_eq!(format(folder.path()), 2);
        assert_eq!(std::fs::read_to_string(backup.join(FILE)).unwrap(), "mine");
    }
}
