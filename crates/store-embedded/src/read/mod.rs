//! Reading: a few threads, each with its own connection, so that a long list never holds up the writer or a short question.
//! Each question is answered from one snapshot.

mod deliveries;
mod forgetting;
mod list;
mod protection;
mod queues;
mod retention;

pub(crate) use deliveries::{configs, counts, delivery, history, lead, load};
pub(crate) use forgetting::{find, marked, terms_of, tombstone, unfinished_erasures};
pub(crate) use list::list;
pub(crate) use protection::{guards, stops};
pub(crate) use queues::{due, heads, pauses, taken};
pub(crate) use retention::{expired, journal_pruned_to, pruned, rest_over};

use crate::names::Names;
use crate::queue::closed;
use crate::schema::set_up_reader;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use steadfast_store::{Pending, StoreError};
use tokio::sync::oneshot;

/// Questions that may wait.
const QUESTIONS_MAX: usize = 4_096;

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The threads that read.
pub(crate) struct Readers {
    questions: Option<SyncSender<Question>>,
    threads: Vec<JoinHandle<()>>,
    names: Arc<Names>,
}

impl Readers {
    /// Opens `count` connections, each with its own cache, and a thread for each.
    pub(crate) fn open(file: &Path, names: Arc<Names>, count: usize, cache_bytes: usize) -> rusqlite::Result<Self> {
        let (questions, waiting) = sync_channel(QUESTIONS_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut readers = Readers { questions: Some(questions), threads: Vec::new(), names };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        for _ in 0..count.max(1) {
            let connection = Connection::open_with_flags(file, flags)?;
            set_up_reader(&connection, cache_bytes)?;
            let waiting = Arc::clone(&waiting);
            readers.threads.push(std::thread::spawn(move || answer_all(&connection, &waiting)));
        }
        Ok(readers)
    }

    /// Asks; the answer comes from one of the threads.
    pub(crate) fn ask<T, F>(&self, question: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Names) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let names = Arc::clone(&self.names);
        let question: Question = Box::new(move |connection| {
            if !reply.is_closed() {
                // Who no longer waits needs no answer.
                drop(reply.send(in_snapshot(connection, |connection| question(connection, &names))));
            }
        });
        let refusal = match self.questions.as_ref().map(|questions| questions.try_send(question)) {
            Some(Ok(())) => None,
            Some(Err(TrySendError::Full(_))) => Some(StoreError::Busy),
            Some(Err(TrySendError::Disconnected(_))) | None => Some(closed()),
        };
        Box::pin(async move {
            match refusal {
                Some(error) => Err(error),
                None => answer.await.unwrap_or_else(|_| Err(closed())),
            }
        })
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.questions = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to give back.
            drop(thread.join());
        }
    }
}

fn answer_all(connection: &Connection, waiting: &Mutex<Receiver<Question>>) {
    loop {
        let question = waiting.lock().recv();
        match question {
            Ok(question) => question(connection),
            Err(_) => return,
        }
    }
}

fn in_snapshot<T>(
    connection: &Connection,
    question: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.prepare_cached("BEGIN").and_then(|mut begin| begin.execute([])).map_err(unreadable)?;
    let answer = question(connection);
    connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).map_err(unreadable)?;
    answer
}

/// A read that failed.
#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn unreadable(error: rusqlite::Error) -> StoreError {
    StoreError::Unreadable { detail: error.to_string() }
}
