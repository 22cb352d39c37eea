//! Reading: a few threads, each with its own connection, so that a long list never holds up the writer or a short question.
//! Each question is answered from one snapshot; short ones that wait together share one, since beginning one costs more than the
//! answer: SQLite forgets every page it has read when something was written meanwhile.

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

/// Short questions that share a snapshot, at most; another thread may take those beyond.
const TOGETHER_MAX: usize = 32;

/// Who asks is told, whether there is a snapshot or not.
type Answering = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;

/// Something to be answered.
struct Question {
    answer: Answering,
    /// Whether others may wait for the answer.
    is_short: bool,
}

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
        self.put(question, false)
    }

    /// Asks something that a few pages answer.
    pub(crate) fn ask_short<T, F>(&self, question: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Names) -> Result<T, StoreError> + Send + 'static,
    {
        self.put(question, true)
    }

    fn put<T, F>(&self, question: F, is_short: bool) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Names) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let names = Arc::clone(&self.names);
        let answering: Answering = Box::new(move |snapshot| {
            if !reply.is_closed() {
                // Who no longer waits needs no answer.
                drop(reply.send(snapshot.and_then(|connection| question(connection, &names))));
            }
        });
        let question = Question { answer: answering, is_short };
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
        let together = take(&waiting.lock());
        if together.is_empty() {
            return;
        }
        // They were asked before the snapshot begins, and so each sees what its asker knows to be written.
        match run(connection, "BEGIN") {
            Ok(()) => together.into_iter().for_each(|question| (question.answer)(Ok(connection))),
            Err(error) => together.into_iter().for_each(|question| (question.answer)(Err(error.clone()))),
        }
        if let Err(error) = run(connection, "COMMIT") {
            tracing::error!(%error, "a snapshot did not end");
        }
    }
}

/// The next question, and the short ones behind a short one, up to the first that is not; none when nothing more will be asked.
fn take(waiting: &Receiver<Question>) -> Vec<Question> {
    let mut together: Vec<Question> = waiting.recv().into_iter().collect();
    while together.len() < TOGETHER_MAX && together.last().is_some_and(|last| last.is_short) {
        let Ok(next) = waiting.try_recv() else { break };
        together.push(next);
    }
    together
}

fn run(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(drop).map_err(unreadable)
}

/// A read that failed.
#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn unreadable(error: rusqlite::Error) -> StoreError {
    StoreError::Unreadable { detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::{Question, TOGETHER_MAX, take};
    use std::sync::mpsc::sync_channel;

    #[test]
    fn short_questions_share_a_snapshot_and_wait_for_no_long_one() {
        let (ask, waiting) = sync_channel(200);
        let put = |is_short| ask.send(Question { answer: Box::new(|_| {}), is_short }).unwrap();
        [false, true, true, false, true].into_iter().for_each(put);
        let taken = |_| take(&waiting).iter().map(|question| question.is_short).collect::<Vec<_>>();
        let expected = [vec![false], vec![true, true, false], vec![true]];
        assert_eq!((0..3).map(taken).collect::<Vec<_>>(), expected);
        (0..TOGETHER_MAX + 1).for_each(|_| put(true));
        assert_eq!((take(&waiting).len(), take(&waiting).len()), (TOGETHER_MAX, 1));
        drop(ask);
        assert!(take(&waiting).is_empty(), "nobody will ask any more");
    }
}
