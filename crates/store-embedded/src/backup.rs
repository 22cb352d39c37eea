//! A consistent copy of a store, made while it serves: SQLite writes what one snapshot holds into a new file.
//!
//! Read through a connection of its own, which takes no lock that a server needs. Free pages are left out, so nothing that
//! was deleted goes along. While a copy is made the write-ahead log of a busy store grows by what is written meanwhile.
//!
//! Must never: overwrite a file, or leave a copy under its name before it was synced and checked.

use crate::header::{Found, inspect};
use crate::open::FILE;
use crate::schema::{APPLICATION_ID, FORMAT};
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a copy waits for a moment when the store can be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why no copy was made, or why it is not to be trusted. Nothing of it stands under the copy's name.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no store to copy.
    #[error("there is no store in {}", path.display())]
    Nothing {
        /// Which folder.
        path: PathBuf,
    },
    /// The file there is something else.
    #[error("{} is not a Steadfast store", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error("{} is in store format {found}, this version knows formats up to {FORMAT}: use a later version", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A copy of that name is there already.
    #[error("{} is there already; nothing is overwritten", path.display())]
    There {
        /// Which file.
        path: PathBuf,
    },
    /// Its pages do not fit together.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// Reading or writing failed.
    #[error("{}: {detail}", path.display())]
    Failed {
        /// Which file or folder.
        path: PathBuf,
        /// What went wrong.
        detail: String,
    },
}

/// A store's file that was looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The file.
    pub file: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its store format.
    pub format: u32,
    /// Leads in it.
    pub leads: u64,
    /// Deliveries in it.
    pub deliveries: u64,
    /// Deliveries of them that go on by themselves: they wait or are held.
    pub open: u64,
}

/// Copies the store in the folder `data` into a new file of the same name in the folder `to`, which is made if need be.
/// The store may be open in a server meanwhile. The copy is checked and synced before it has its name.
///
/// # Errors
/// [`BackupError`]; no copy stands under its name then.
pub fn back_up(data: &Path, to: &Path) -> Result<Examined, BackupError> {
    let source = data.join(FILE);
    recognise(data, &source)?;
    let (target, partial) = (to.join(FILE), to.join(format!("{FILE}.partial")));
    std::fs::create_dir_all(to).map_err(|error| failed(to, &error))?;
    for path in [&target, &partial] {
        if path.exists() {
            return Err(BackupError::There { path: path.clone() });
        }
    }
    let made = copy(&source, &partial).and_then(|()| examine_file(&partial));
    let named = made.and_then(|made| name_copy(made, &partial, &target, to));
    if named.is_err() && partial.exists() {
        // What is left of it would only be in the way of the next try.
        drop(std::fs::remove_file(&partial));
    }
    named
}

/// Looks through the store's file in a folder nobody has open: that it is one, of a format this version knows, and whole.
///
/// # Errors
/// [`BackupError`] says what is wrong with it.
pub fn examine(folder: &Path) -> Result<Examined, BackupError> {
    let file = folder.join(FILE);
    recognise(folder, &file)?;
    examine_file(&file)
}

/// Whether a file is ours and of a format this version knows, from its first bytes.
fn recognise(folder: &Path, file: &Path) -> Result<(), BackupError> {
    let log = folder.join(format!("{FILE}-wal"));
    match inspect(file, &log).map_err(|error| failed(file, &error))? {
        Found::Readable => Ok(()),
        Found::Nothing => Err(BackupError::Nothing { path: folder.to_owned() }),
        Found::Foreign => Err(BackupError::Foreign { path: file.to_owned() }),
        Found::Newer { format } => Err(BackupError::Newer { path: file.to_owned(), found: format }),
        Found::Truncated { expected_bytes, found_bytes } => {
            let detail = format!("it is cut off, {found_bytes} bytes are there of {expected_bytes}");
            Err(BackupError::Damaged { path: file.to_owned(), detail })
        }
    }
}

fn copy(source: &Path, target: &Path) -> Result<(), BackupError> {
    let unreadable = |error: rusqlite::Error| failed(source, &error);
    let connection = Connection::open_with_flags(source, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unreadable)?;
    connection.busy_timeout(PATIENCE).map_err(unreadable)?;
    let name = target.to_str().ok_or_else(|| failed(target, &"the path is not UTF-8"))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(|error| failed(target, &error))?;
    Ok(())
}

fn name_copy(made: Examined, partial: &Path, target: &Path, folder: &Path) -> Result<Examined, BackupError> {
    let synced = File::open(partial).and_then(|file| file.sync_all());
    synced.and_then(|()| std::fs::rename(partial, target)).map_err(|error| failed(target, &error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(folder, &error))?;
    Ok(Examined { file: target.to_owned(), ..made })
}

fn examine_file(file: &Path) -> Result<Examined, BackupError> {
    let unreadable = |error: rusqlite::Error| failed(file, &error);
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unreadable)?;
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    if pragma("application_id").map_err(unreadable)? != APPLICATION_ID {
        return Err(BackupError::Foreign { path: file.to_owned() });
    }
    let format = pragma("user_version").map_err(unreadable)?;
    let found: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| BackupError::Damaged { path: file.to_owned(), detail: error.to_string() })?;
    if found != "ok" {
        return Err(BackupError::Damaged { path: file.to_owned(), detail: found });
    }
    let count = |sql: &str| -> Result<u64, BackupError> {
        let count: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(unreadable)?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    Ok(Examined {
        file: file.to_owned(),
        bytes: std::fs::metadata(file).map_err(|error| failed(file, &error))?.len(),
        format,
        leads: count("SELECT count(*) FROM leads")?,
        deliveries: count("SELECT count(*) FROM deliveries")?,
        open: count("SELECT count(*) FROM deliveries WHERE next_look IS NOT NULL")?,
    })
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> BackupError {
    BackupError::Failed { path: path.to_owned(), detail: error.to_string() }
}
