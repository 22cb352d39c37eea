//! Opening a data folder: one process at a time, only a store, only of a format this version knows, only whole.

use crate::batch::Ledger;
use crate::header::{Found, inspect};
use crate::journal;
use crate::marks::from_bytes;
use crate::names::{KINDS, Names};
use crate::schema::{APPLICATION_ID, FORMAT, OLDEST_FORMAT, TABLES, set_up_writer};
use crate::standing::Known;
use rusqlite::types::Type;
use rusqlite::{Connection, params};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steadfast_lead::{NodeNumber, Timestamp};
use steadfast_retry::{Epoch, Seed};
use steadfast_store::record::Dictionary;
use steadfast_store::{Cursor, Identity, TermKey};

/// The store's main file.
pub(crate) const FILE: &str = "steadfast.db";
const LOCK: &str = "lock";

/// Why a data folder could not be opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is something else where the folder should be.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// Where.
        path: PathBuf,
    },
    /// The folder cannot be made, read or written.
    #[error("the data folder {} cannot be used: {source}", path.display())]
    Unusable {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("the data folder {} is in use by another process{}; one process at a time", path.display(), holder_text(*holder))]
    InUse {
        /// Which folder.
        path: PathBuf,
        /// The other process, where it said so.
        holder: Option<u32>,
    },
    /// The file there is something else.
    #[error("{} is not a Steadfast store", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error(
        "{} is in store format {found}, this version reads formats up to {known}: use the version that wrote it, or a \
         later one", path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest this version reads.
        known: u32,
    },
    /// An earlier version wrote it.
    #[error(
        "{} is in store format {found}, this version works with format {known}: run `steadfast migrate --data {}`, which \
         makes a backup first", folder.join(FILE).display(), folder.display()
    )]
    Older {
        /// Which folder.
        folder: PathBuf,
        /// Its format.
        found: u32,
        /// The one this version works with.
        known: u32,
    },
    /// It was written before the first release.
    #[error(
        "{} is in store format {found}, from before the first release; this version reads format {known}: begin with an \
         empty folder", path.display()
    )]
    TooOld {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The one this version reads.
        known: u32,
    },
    /// Part of it is missing.
    #[error(
        "{} is cut off: {found_bytes} bytes are there of {expected_bytes}; restore it from a backup", path.display()
    )]
    Truncated {
        /// Which file.
        path: PathBuf,
        /// How large it should be.
        expected_bytes: u64,
        /// How large it is.
        found_bytes: u64,
    },
    /// It is damaged, or reading or writing failed.
    #[error("{} cannot be opened: {detail}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        detail: String,
    },
}

fn holder_text(holder: Option<u32>) -> String {
    holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// An opened data folder, before its threads run.
pub(crate) struct Opened {
    pub(crate) lock: File,
    pub(crate) file: PathBuf,
    pub(crate) connection: Connection,
    /// The main file itself, to be kept open for as long as any connection is.
    pub(crate) main_file: File,
    pub(crate) names: Arc<Names>,
    pub(crate) ledger: Ledger,
    pub(crate) tip: Cursor,
    pub(crate) identity: Identity,
}

/// What a store is made with, if there is none yet.
#[derive(Clone, Copy)]
pub(crate) struct Birth {
    pub(crate) seed: u64,
    pub(crate) term_key: TermKey,
    pub(crate) node: NodeNumber,
}

/// Opens a data folder, and makes it and the store in it where there is none.
pub(crate) fn open(folder: &Path, birth: Birth, cache_bytes: usize) -> Result<Opened, OpenError> {
    let lock = lock(folder)?;
    let file = folder.join(FILE);
    check(folder, &file)?;
    let unreadable = |detail: String| OpenError::Unreadable { path: file.clone(), detail };
    let connection = Connection::open(&file).map_err(|error| unreadable(error.to_string()))?;
    prepare(&connection, &file, birth, cache_bytes)?;
    let identity = begin_epoch(&connection).map_err(|error| unreadable(error.to_string()))?;
    let (names, ledger) = load(&connection, identity.epoch).map_err(|error| unreadable(error.to_string()))?;
    let (journal_row, tip) = journal::end(&connection).map_err(|error| unreadable(error.to_string()))?;
    let ledger = Ledger { journal_row, ..ledger };
    let opened = File::options().read(true).write(true).open(&file);
    let main_file = opened.map_err(|source| OpenError::Unusable { path: folder.to_owned(), source })?;
    Ok(Opened { lock, file, connection, main_file, names: Arc::new(names), ledger, tip, identity })
}

/// Takes the folder for this process, until the lock is dropped. Makes it where there is none.
pub(crate) fn lock(folder: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Unusable { path: folder.to_owned(), source };
    if folder.exists() && !folder.is_dir() {
        return Err(OpenError::NotAFolder { path: folder.to_owned() });
    }
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let path = folder.join(LOCK);
    let mut options = File::options();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let holder = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(OpenError::InUse { path: folder.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(unusable)?;
    // The folder's own entry must outlast a power cut, or the store in it does not.
    let parent = folder.canonicalize().map_err(unusable)?;
    for folder in [Some(parent.as_path()), parent.parent()].into_iter().flatten() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(unusable)?;
    }
    Ok(file)
}

/// Whether what is in the folder may be opened at all.
pub(crate) fn check(folder: &Path, file: &Path) -> Result<(), OpenError> {
    let log = folder.join(format!("{FILE}-wal"));
    let found = inspect(file, &log).map_err(|source| OpenError::Unusable { path: folder.to_owned(), source })?;
    match found {
        Found::Nothing | Found::Readable => Ok(()),
        Found::Foreign => Err(OpenError::Foreign { path: file.to_owned() }),
        Found::Newer { format } => Err(OpenError::Newer { path: file.to_owned(), found: format, known: FORMAT }),
        Found::Truncated { expected_bytes, found_bytes } => {
            Err(OpenError::Truncated { path: file.to_owned(), expected_bytes, found_bytes })
        }
    }
}

/// Settings, then the tables if there are none, then the format once more as SQLite sees it.
fn prepare(connection: &Connection, file: &Path, birth: Birth, cache_bytes: usize) -> Result<(), OpenError> {
    let unreadable =
        |error: rusqlite::Error| OpenError::Unreadable { path: file.to_owned(), detail: error.to_string() };
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0)).map_err(unreadable);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(unreadable)?;
    let (application, format) = (number("application_id")?, number("user_version")?);
    if application != APPLICATION_ID && (application != 0 || tables > 0) {
        return Err(OpenError::Foreign { path: file.to_owned() });
    }
    if format > FORMAT {
        return Err(OpenError::Newer { path: file.to_owned(), found: format, known: FORMAT });
    }
    if format < FORMAT && application != 0 {
        let folder = file.parent().unwrap_or(file).to_owned();
        return Err(match format {
            OLDEST_FORMAT.. => OpenError::Older { folder, found: format, known: FORMAT },
            0..OLDEST_FORMAT => OpenError::TooOld { path: file.to_owned(), found: format, known: FORMAT },
        });
    }
    set_up_writer(connection, cache_bytes).map_err(unreadable)?;
    if application == 0 {
        make(connection, birth).map_err(unreadable)?;
    }
    Ok(())
}

/// Makes the tables, and has the file itself say what it is before anything is kept in it.
fn make(connection: &Connection, birth: Birth) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute(
        "INSERT INTO meta (one, seed, term_key, node, epoch, clean) VALUES (1, ?1, ?2, ?3, 0, 1)",
        params![birth.seed.cast_signed(), birth.term_key.as_bytes(), birth.node.0],
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Takes a new lease and marks the store as not cleanly stopped until it is closed.
fn begin_epoch(connection: &Connection) -> rusqlite::Result<Identity> {
    let transaction = connection.unchecked_transaction()?;
    let sql = "SELECT seed, node, epoch, clean, last_commit_at, term_key FROM meta";
    let (seed, node, epoch, clean, last, term_key): (i64, u8, i64, bool, Option<i64>, [u8; 32]) = transaction
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)))?;
    let last_id =
        "SELECT max(coalesce((SELECT max(id) FROM leads), -1), coalesce((SELECT max(id) FROM deliveries), -1),
                   coalesce((SELECT last_id FROM meta), -1))";
    let last_id: i64 = transaction.query_row(last_id, [], |row| row.get(0))?;
    let newest: Option<i64> = transaction.query_row("SELECT max(version) FROM configs", [], |row| row.get(0))?;
    let epoch = epoch + 1;
    transaction.execute("UPDATE meta SET epoch = ?1, clean = 0", [epoch])?;
    transaction.commit()?;
    Ok(Identity {
        seed: Seed(seed.cast_unsigned()),
        term_key: TermKey::new(term_key),
        node: NodeNumber(node),
        last_id: (last_id >= 0).then_some(last_id),
        epoch: Epoch(epoch.cast_unsigned()),
        clean,
        last_commit_at: last.map(Timestamp::from_micros),
        config_version: newest.map(i64::cast_unsigned),
    })
}

fn load(connection: &Connection, epoch: Epoch) -> rusqlite::Result<(Names, Ledger)> {
    let dictionary = |kind: i64| -> rusqlite::Result<Dictionary> {
        let mut statement = connection.prepare("SELECT text FROM names WHERE kind = ?1 ORDER BY number")?;
        let texts = statement.query_map([kind], |row| row.get::<_, Arc<str>>(0))?;
        Ok(Dictionary::of(texts.collect::<Result<_, _>>()?))
    };
    let [words, routes, endpoints] = KINDS;
    let names = Names { words: dictionary(words)?, routes: dictionary(routes)?, endpoints: dictionary(endpoints)? };
    let taken: Option<Vec<u8>> = connection.query_row("SELECT taken FROM meta", [], |row| row.get(0))?;
    let damaged = |error| rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error));
    let taken = from_bytes(&taken.unwrap_or_default()).map_err(damaged)?;
    let names_kept = names.all().map(Dictionary::len);
    let any_barred = connection.query_row("SELECT EXISTS (SELECT 1 FROM barred)", [], |row| row.get(0))?;
    let (known, swept_to) = (Known::default(), (-1, String::new()));
    Ok((names, Ledger { epoch, journal_row: 0, taken, known, names_kept, swept_to, any_barred }))
}
