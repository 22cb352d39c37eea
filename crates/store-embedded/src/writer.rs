//! The one thread that writes. Takes what arrived while the last commit was synced, makes one transaction of it, and answers
//! only after the sync. Never retries a failed write or sync: what is on disk is unknown then, so the store stops.

use crate::batch::{Answer, Batch, Committed, Failure, Ledger};
use crate::copier::{Copier, Copying, may_be_tried_again};
use crate::journal::LINES_MAX;
use crate::names::Names;
use crate::queue::{CLOSED, Company, Queue, closed};
use crate::rows::Change;
use crate::schema::{BUSY_MILLIS, SecureDelete, secure_delete};
use crate::scrub::{Step, step};
use parking_lot::Mutex;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use steadfast_lead::{DeliveryId, Timestamp};
use steadfast_store::{CommitReport, Cursor, Health, StoreError};
use tokio::sync::watch;

/// How many changes one transaction takes.
const BATCH_MAX: usize = 2_048;
/// From so many changes at once on, a transaction waits for others to share its sync with.
const COMPANY_MIN: usize = 8;
/// How long it does, at most.
const COMPANY_WAIT_MAX: Duration = Duration::from_millis(2);
/// Pages the log grows by before it is copied into the main file. Fewer would copy the same pages more often: those at the
/// ends of the tables change with every commit.
const CHECKPOINT_PAGES: u32 = 2_000;
/// The log begins anew only when all of it was copied and nobody reads from it at the next commit. Where somebody does, the
/// rest is copied each time it grew by so many pages, until it can.
const CHECKPOINT_AGAIN_PAGES: u32 = 250;
/// When readers kept the log from beginning anew until it grew by so many pages, the writer waits for them, once.
const LOG_PAGES_MAX: u32 = 16_384;
/// How long it does: enough for questions, but not for who reads the whole store, such as a backup.
const READERS_WAIT_MILLIS: u32 = 50;
const PAGE_BYTES: u64 = 4_096;

const _: () = assert!(BATCH_MAX <= LINES_MAX);

/// Told of every commit.
pub type OnCommit = Arc<dyn Fn(CommitReport) + Send + Sync>;

/// What the time is.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the writer shows to everybody.
pub(crate) struct Shared {
    pub(crate) health: Mutex<Health>,
    /// How large the main file may grow; `u64::MAX` is as large as the disk allows.
    pub(crate) bytes_max: AtomicU64,
}

/// The writer's own.
pub(crate) struct Writer {
    /// Copies the log meanwhile. Ends before the connection, which then is the last and leaves a whole main file behind.
    pub(crate) copier: Copier,
    pub(crate) connection: Connection,
    pub(crate) names: Arc<Names>,
    pub(crate) ledger: Ledger,
    pub(crate) queue: Arc<Queue>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tip: watch::Sender<Cursor>,
    pub(crate) now: Now,
    pub(crate) on_commit: Option<OnCommit>,
    /// Marks of transactions that found no room; they go with the next one.
    pub(crate) carried: Vec<DeliveryId>,
    /// How many pages the log has, as SQLite says at each commit.
    pub(crate) log_pages: Arc<AtomicU32>,
    /// How many it had when it was copied last.
    pub(crate) log_pages_copied: u32,
    /// How many it had when readers were waited for last.
    pub(crate) log_pages_waited: u32,
    pub(crate) bytes_max_set: u64,
    /// The main file itself. Closed only after the connection, whose locks on the file would end with it.
    pub(crate) file: File,
    /// Whether free pages are overwritten as well.
    pub(crate) deletes_everywhere: bool,
}

/// What to do after a transaction.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

/// Where a transaction failed, and how.
struct Trouble {
    /// Which change; `None` at the commit.
    at: Option<usize>,
    failure: Failure,
}

/// What to do about a failure.
enum Remedy {
    /// Leave this change out.
    Refuse(usize, StoreError),
    /// Wait for room.
    Full(String),
    /// Nothing; stop.
    Stop(String),
}

/// However the thread ends, even by a fault of its own, nobody is left waiting and nobody takes the store for well.
struct EndGuard {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        let mut health = self.shared.health.lock();
        if std::thread::panicking() {
            *health = Health::Stopped { detail: "the thread that writes failed".to_owned() };
        } else if !matches!(*health, Health::Stopped { .. }) {
            *health = Health::Stopped { detail: CLOSED.to_owned() };
        }
        drop(health);
        self.queue.end(&closed());
    }
}

impl Writer {
    /// Writes until the store is closed, abandoned or stopped.
    pub(crate) fn run(mut self) {
        let _guard = EndGuard { queue: Arc::clone(&self.queue), shared: Arc::clone(&self.shared) };
        if let Err(error) = self.watch_log() {
            self.stop(Vec::new(), error.to_string());
            return;
        }
        let mut company = Company::default();
        while let Some(changes) = self.queue.take(BATCH_MAX, company) {
            let (began, awaited) = (measure(), changes.iter().filter(|change| change.is_awaited()).count());
            let next = self.write(changes);
            company = company_for(awaited, began.elapsed());
            if next == Next::End {
                break;
            }
        }
    }

    /// Has SQLite say how long the log is. Takes the place of its own way of keeping the log short.
    fn watch_log(&mut self) -> rusqlite::Result<()> {
        let log_pages = Arc::clone(&self.log_pages);
        self.connection.wal_hook(Some(move |_log: &mut Wal, pages| {
            log_pages.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
    }

    fn write(&mut self, changes: Vec<Change>) -> Next {
        let closes = changes.iter().any(|change| matches!(change, Change::Close(_)));
        let next = self.write_all(changes, measure());
        if closes { Next::End } else { next }
    }

    fn write_all(&mut self, mut changes: Vec<Change>, started: Instant) -> Next {
        loop {
            let trouble = match self.transact(&changes) {
                Ok((answers, committed)) => return self.answer(changes, answers, committed, started),
                Err(trouble) => trouble,
            };
            let remedy = self.roll_back().map_or_else(|error| Remedy::Stop(error.to_string()), |()| remedy(trouble));
            match remedy {
                Remedy::Refuse(at, error) => changes.remove(at).refuse(error),
                Remedy::Full(detail) => return self.refuse_for_room(changes, &detail),
                Remedy::Stop(detail) => return self.stop(changes, detail),
            }
        }
    }

    fn transact(&mut self, changes: &[Change]) -> Result<(Vec<Answer>, Committed), Trouble> {
        let whole = |failure| Trouble { at: None, failure };
        self.apply_bytes_max().map_err(|error| whole(error.into()))?;
        let wipes = changes.iter().any(|change| matches!(change, Change::Wipe(..)));
        self.delete_securely(wipes).map_err(|error| whole(error.into()))?;
        let mut batch = Batch::begin(&self.connection, &self.names, &self.ledger).map_err(whole)?;
        batch.carry(&self.carried);
        let mut answers = Vec::with_capacity(changes.len());
        for (at, change) in changes.iter().enumerate() {
            answers.push(batch.apply(change).map_err(|failure| Trouble { at: Some(at), failure })?);
        }
        let committed = batch.commit((self.now)()).map_err(whole)?;
        Ok((answers, committed))
    }

    fn delete_securely(&mut self, wipes: bool) -> rusqlite::Result<()> {
        if wipes == self.deletes_everywhere {
            return Ok(());
        }
        let how = if wipes { SecureDelete::Everywhere } else { SecureDelete::WithinPages };
        secure_delete(&self.connection, how)?;
        self.deletes_everywhere = wipes;
        Ok(())
    }

    fn roll_back(&self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.execute_batch("ROLLBACK")
    }

    /// It is on disk: say so.
    fn answer(&mut self, changes: Vec<Change>, answers: Vec<Answer>, committed: Committed, started: Instant) -> Next {
        let report = CommitReport { changes: changes.len(), took: started.elapsed() };
        self.carried.clear();
        if let Some(tip) = self.ledger.take_over(committed) {
            self.tip.send_replace(tip);
        }
        *self.shared.health.lock() = Health::Ready;
        for (change, answer) in changes.into_iter().zip(answers) {
            if matches!(change, Change::Close(_)) {
                self.empty_log();
                *self.shared.health.lock() = Health::Stopped { detail: CLOSED.to_owned() };
            }
            if let Change::Scrub(from, reply) = change {
                // Nobody left to wait needs no answer.
                drop(reply.send(self.scrub(from)));
            } else {
                reply(change, answer);
            }
        }
        if let Some(on_commit) = &self.on_commit {
            on_commit(report);
        }
        self.keep_log_short()
    }

    /// The log is copied apart while commits go on, then the little that is left here, after the answers.
    fn keep_log_short(&mut self) -> Next {
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages < self.log_pages_copied {
            // It began anew.
            (self.log_pages_copied, self.log_pages_waited) = (0, 0);
        }
        match self.copier.look() {
            Copying::UnderWay => Next::GoOn,
            Copying::Failed(detail) => self.stop(Vec::new(), detail),
            Copying::Done => self.copy_the_rest(pages),
            Copying::Idle => {
                let step = if self.log_pages_copied == 0 { CHECKPOINT_PAGES } else { CHECKPOINT_AGAIN_PAGES };
                let begun = if pages - self.log_pages_copied >= step { self.copier.begin() } else { Ok(()) };
                begun.map_or_else(|detail| self.stop(Vec::new(), detail), |()| Next::GoOn)
            }
        }
    }

    fn copy_the_rest(&mut self, pages: u32) -> Next {
        self.log_pages_copied = pages;
        let waits = pages - self.log_pages_waited >= LOG_PAGES_MAX;
        let copied =
            if waits { self.wait_for_readers(pages) } else { self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)") };
        match copied {
            Err(error) if !may_be_tried_again(&error) => self.stop(Vec::new(), error.to_string()),
            _ => Next::GoOn,
        }
    }

    /// Questions end soon, but others follow: those that come while it waits no longer need the log.
    fn wait_for_readers(&mut self, pages: u32) -> rusqlite::Result<()> {
        self.log_pages_waited = pages;
        self.waiting_briefly(|connection| {
            connection.prepare_cached("PRAGMA wal_checkpoint(RESTART)")?.query_row([], |_| Ok(()))
        })
    }

    fn waiting_briefly<T>(&self, work: impl Fn(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        self.connection.pragma_update(None, "busy_timeout", READERS_WAIT_MILLIS)?;
        let done = work(&self.connection);
        self.connection.pragma_update(None, "busy_timeout", BUSY_MILLIS)?;
        done
    }

    /// Leaves one whole file behind, if nobody reads just then; the log that stays otherwise is as safe.
    fn empty_log(&self) {
        if let Err(error) = self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::info!(%error, "the write-ahead log was left in place");
        }
    }

    /// Cuts the log off, with the older states of pages in it, then overwrites some gaps of the main file.
    fn scrub(&mut self, from: u64) -> Result<Option<u64>, StoreError> {
        self.cut_log_off()?;
        let failed = |error: String| StoreError::Unreadable { detail: error };
        let Step { next, overwritten } = step(&mut self.file, from).map_err(|error| failed(error.to_string()))?;
        if overwritten > 0 {
            // Pages in the cache still have their gaps full, and would be written again with them.
            self.connection.execute_batch("PRAGMA shrink_memory").map_err(|error| failed(error.to_string()))?;
        }
        Ok(next)
    }

    /// Copies everything of the log into the main file and cuts the log off.
    fn cut_log_off(&mut self) -> Result<(), StoreError> {
        // A backup reads for minutes; whoever asked comes again.
        let busy = self.waiting_briefly(|connection| {
            connection.prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")?.query_row([], |row| row.get(0))
        });
        match busy {
            Ok(0) => {
                (self.log_pages_copied, self.log_pages_waited) = (0, 0);
                self.log_pages.store(0, Ordering::Relaxed);
                Ok(())
            }
            Ok(_) => Err(StoreError::Busy),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Err(StoreError::Busy),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                Err(StoreError::Full { detail: error.to_string() })
            }
            Err(error) => Err(StoreError::Unreadable { detail: error.to_string() }),
        }
    }

    fn checkpoint(&self, pragma: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(pragma)?.query_row([], |_| Ok(()))
    }

    fn refuse_for_room(&mut self, changes: Vec<Change>, detail: &str) -> Next {
        *self.shared.health.lock() = Health::Full;
        for change in changes {
            if let Change::Take(delivery, None) = change {
                self.carried.push(delivery);
            } else {
                change.refuse(StoreError::Full { detail: detail.to_owned() });
            }
        }
        Next::GoOn
    }

    fn stop(&mut self, changes: Vec<Change>, detail: String) -> Next {
        tracing::error!(detail, "the store stopped after a failed write");
        *self.shared.health.lock() = Health::Stopped { detail: detail.clone() };
        let error = StoreError::Stopped { detail };
        self.queue.end(&error);
        changes.into_iter().for_each(|change| change.refuse(error.clone()));
        Next::End
    }

    fn apply_bytes_max(&mut self) -> rusqlite::Result<()> {
        let bytes_max = self.shared.bytes_max.load(Ordering::Relaxed);
        if bytes_max == self.bytes_max_set {
            return Ok(());
        }
        let pages = (bytes_max / PAGE_BYTES).clamp(1, u64::from(u32::MAX) - 1);
        self.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
        self.bytes_max_set = bytes_max;
        Ok(())
    }
}

/// What the next transaction waits for, after one with so many changes that somebody waited for: for as many again, and no
/// longer than this one took. Where few come at once nothing is waited for.
fn company_for(awaited: usize, took: Duration) -> Company {
    if awaited < COMPANY_MIN {
        return Company::default();
    }
    Company { wanted: awaited, at_most: took.min(COMPANY_WAIT_MAX) }
}

#[allow(clippy::disallowed_methods, reason = "measuring how long a commit takes; nothing depends on it")]
fn measure() -> Instant {
    Instant::now()
}

/// Who no longer waits needs no answer.
fn reply(change: Change, answer: Answer) {
    match (change, answer) {
        (Change::Accept(_, reply), Answer::Accepted(accepted)) => drop(reply.send(Ok(accepted))),
        (Change::Settle(_, reply), Answer::Settled(settled)) => drop(reply.send(Ok(settled))),
        (
            Change::Config(_, reply) | Change::BeginErasure(_, reply) | Change::PruneCaps(_, reply),
            Answer::Saved(number),
        ) => drop(reply.send(Ok(number))),
        (Change::Wipe(_, reply), Answer::Wiped(wiped)) => drop(reply.send(Ok(wiped))),
        (Change::Prune(_, reply), Answer::Pruned(pruned)) => drop(reply.send(Ok(pruned))),
        (Change::FinishErasure(_, _, reply) | Change::Bookmark(_, _, reply), _) => drop(reply.send(Ok(()))),
        (Change::Take(_, reply), _) => drop(reply.map(|reply| reply.send(Ok(())))),
        (Change::Protect(_, reply) | Change::Close(reply), _) => drop(reply.send(Ok(()))),
        // `Batch::apply` answers each change with its own kind.
        (Change::Accept(..) | Change::Settle(..) | Change::Config(..), _) => {}
        // A step of scrubbing is answered where it is done.
        (
            Change::BeginErasure(..) | Change::PruneCaps(..) | Change::Wipe(..) | Change::Prune(..) | Change::Scrub(..),
            _,
        ) => {}
    }
}

fn remedy(trouble: Trouble) -> Remedy {
    match trouble.failure {
        Failure::Record(error) => match trouble.at {
            Some(at) => Remedy::Refuse(at, error),
            None => Remedy::Stop(error.to_string()),
        },
        Failure::Sqlite(error) => sqlite_remedy(trouble.at, &error),
    }
}

fn sqlite_remedy(at: Option<usize>, error: &rusqlite::Error) -> Remedy {
    let code = error.sqlite_error_code();
    if code == Some(ErrorCode::DiskFull) {
        return Remedy::Full(error.to_string());
    }
    // A row that does not fit (an id that is there already), or one that cannot be read.
    let of_the_row = matches!(code, None | Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig));
    match at {
        Some(at) if of_the_row => Remedy::Refuse(at, StoreError::Unreadable { detail: error.to_string() }),
        Some(_) | None => Remedy::Stop(error.to_string()),
    }
}
