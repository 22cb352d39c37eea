//! The thread that copies the log into the main file while the writer goes on. What was committed meanwhile is little, and the
//! writer copies it itself: only then can the log begin anew.

use crate::schema::set_up_copier;
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// What the copying stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Copying {
    /// Nothing to do.
    Idle,
    /// Under way.
    UnderWay,
    /// Done up to what had been committed when it began, or as far as it could: the rest is the writer's.
    Done,
    /// Reading or writing failed.
    Failed(String),
}

/// The thread, from when it is first needed, and what it stands at.
pub(crate) struct Copier {
    file: PathBuf,
    thread: Option<(SyncSender<()>, JoinHandle<()>)>,
    state: Arc<Mutex<Copying>>,
}

impl Copier {
    /// Of this main file.
    pub(crate) fn of(file: PathBuf) -> Self {
        Copier { file, thread: None, state: Arc::new(Mutex::new(Copying::Idle)) }
    }

    /// What it stands at; what was done or failed is told once.
    pub(crate) fn look(&self) -> Copying {
        let mut state = self.state.lock();
        if *state == Copying::UnderWay { Copying::UnderWay } else { std::mem::replace(&mut *state, Copying::Idle) }
    }

    /// Has it copy. Only to be told while it is idle.
    ///
    /// # Errors
    /// When it has no connection, or its thread is gone.
    pub(crate) fn begin(&mut self) -> Result<(), String> {
        let (wake, _) = match &mut self.thread {
            Some(thread) => thread,
            none => none.insert(start(&self.file, Arc::clone(&self.state)).map_err(|error| error.to_string())?),
        };
        *self.state.lock() = Copying::UnderWay;
        // It is idle, so there is room.
        wake.try_send(()).map_err(|_| "the thread that copies the log failed".to_owned())
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        if let Some((wake, thread)) = self.thread.take() {
            drop(wake);
            // A thread that panicked has nothing left to give back.
            drop(thread.join());
        }
    }
}

fn start(file: &Path, state: Arc<Mutex<Copying>>) -> rusqlite::Result<(SyncSender<()>, JoinHandle<()>)> {
    let connection = Connection::open(file)?;
    set_up_copier(&connection)?;
    let (wake, woken) = sync_channel(1);
    Ok((wake, std::thread::spawn(move || copy_when_told(&connection, &woken, &state))))
}

fn copy_when_told(connection: &Connection, woken: &Receiver<()>, state: &Mutex<Copying>) {
    while woken.recv().is_ok() {
        let reached = match copy(connection) {
            Ok(()) => Copying::Done,
            Err(error) => Copying::Failed(error.to_string()),
        };
        *state.lock() = reached;
    }
}

fn copy(connection: &Connection) -> rusqlite::Result<()> {
    let copied = connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
        .and_then(|mut pragma| pragma.query_row([], |_| Ok(())));
    match copied {
        Err(error) if may_be_tried_again(&error) => Ok(()),
        other => other,
    }
}

/// Somebody reads or copies too, or there is no room: the log holds everything, and it is tried again soon.
pub(crate) fn may_be_tried_again(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull))
}
