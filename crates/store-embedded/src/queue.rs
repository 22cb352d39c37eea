//! What waits for the writer: bounded, in order, taken over whole while the last commit is synced.

use crate::rows::Change;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::time::Duration;
use steadfast_store::StoreError;

/// Marks nobody waits for ride along with the next commit; without one they are written after this.
const LINGER: Duration = Duration::from_millis(20);
/// Settlements wait so long for the next acceptance, to share its sync: who posts waits for an answer, and would otherwise
/// come upon a writer that is busy with them.
pub(crate) const PATIENCE: Duration = Duration::from_millis(2);

/// What waits for the writer.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    awaited_max: usize,
    patience: Duration,
}

/// What one transaction waits for before it begins: others to share its sync with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Company {
    /// Changes that somebody waits for, in all.
    pub(crate) wanted: usize,
    /// No longer than this.
    pub(crate) at_most: Duration,
}

#[derive(Default)]
struct Waiting {
    changes: Vec<Change>,
    /// How many of them somebody waits for.
    awaited: usize,
    /// How many of those that bear no waiting.
    urgent: usize,
    /// How many of those somebody waits for the writer sleeps for.
    wanted: usize,
    /// The writer sleeps until something urgent comes.
    is_patient: bool,
    /// Something urgent came since the writer waited for it in vain.
    urgent_came: bool,
    /// Set once nothing more is taken, and why.
    ended: Option<StoreError>,
    /// The writer is to stop without writing what waits.
    abandoned: bool,
}

impl Queue {
    /// Holds at most `awaited_max` changes that somebody waits for. Marks that nobody waits for are bounded by how many
    /// deliveries can be under way. `patience` is how long settlements alone wait for something urgent.
    pub(crate) fn new(awaited_max: usize, patience: Duration) -> Self {
        Queue { waiting: Mutex::default(), arrived: Condvar::new(), awaited_max, patience }
    }

    /// Adds a change, or refuses it at once.
    pub(crate) fn push(&self, change: Change) {
        let mut waiting = self.waiting.lock();
        let closes = matches!(change, Change::Close(_));
        let refusal = match &waiting.ended {
            Some(error) => Some(error.clone()),
            None if change.is_awaited() && !closes && waiting.awaited >= self.awaited_max => Some(StoreError::Busy),
            None => None,
        };
        if let Some(error) = refusal {
            drop(waiting);
            return change.refuse(error);
        }
        if closes {
            waiting.ended = Some(closed());
        }
        let awaited = waiting.awaited + usize::from(change.is_awaited());
        let enough = waiting.awaited < waiting.wanted && awaited >= waiting.wanted;
        let urgent = change.is_urgent();
        let wakes = waiting.changes.is_empty() || enough || closes || (urgent && waiting.is_patient);
        waiting.awaited = awaited;
        waiting.urgent += usize::from(urgent);
        waiting.urgent_came |= urgent;
        waiting.changes.push(change);
        drop(waiting);
        if wakes {
            self.arrived.notify_one();
        }
    }

    /// Waits for work and takes at most `batch_max` changes; `None` when the writer is to stop.
    pub(crate) fn take(&self, batch_max: usize, company: Company) -> Option<Vec<Change>> {
        let mut waiting = self.waiting.lock();
        waiting.wanted = 1;
        while waiting.awaited == 0 && !waiting.abandoned {
            if waiting.changes.is_empty() {
                self.arrived.wait(&mut waiting);
            } else if self.arrived.wait_for(&mut waiting, LINGER).timed_out() {
                break;
            }
        }
        self.wait_for_urgent(&mut waiting);
        waiting.wanted = company.wanted.min(batch_max);
        while (1..waiting.wanted).contains(&waiting.awaited) && !waiting.abandoned && waiting.ended.is_none() {
            if self.arrived.wait_for(&mut waiting, company.at_most).timed_out() {
                break;
            }
        }
        if waiting.abandoned {
            return None;
        }
        let batch: Vec<Change> = if waiting.changes.len() <= batch_max {
            std::mem::take(&mut waiting.changes)
        } else {
            waiting.changes.drain(..batch_max).collect()
        };
        waiting.awaited -= batch.iter().filter(|change| change.is_awaited()).count();
        waiting.urgent -= batch.iter().filter(|change| change.is_urgent()).count();
        Some(batch)
    }

    /// Where only settlements wait, and leads come. Once in vain, not again until one came: who only settles waits for nothing.
    fn wait_for_urgent(&self, waiting: &mut MutexGuard<'_, Waiting>) {
        if !waiting.urgent_came {
            return;
        }
        waiting.is_patient = true;
        let none_came = |waiting: &mut Waiting| waiting.urgent == 0 && !waiting.abandoned && waiting.ended.is_none();
        let in_vain = self.arrived.wait_while_for(waiting, none_came, self.patience).timed_out();
        waiting.is_patient = false;
        waiting.urgent_came &= !in_vain;
    }

    /// Takes nothing more, and refuses what waits. What was said first is what is said from then on.
    pub(crate) fn end(&self, error: &StoreError) {
        let mut waiting = self.waiting.lock();
        waiting.ended.get_or_insert_with(|| error.clone());
        (waiting.awaited, waiting.urgent) = (0, 0);
        let left = std::mem::take(&mut waiting.changes);
        drop(waiting);
        left.into_iter().for_each(|change| change.refuse(error.clone()));
    }

    /// Tells the writer to stop without writing what waits.
    pub(crate) fn abandon(&self) {
        self.waiting.lock().abandoned = true;
        self.arrived.notify_one();
    }
}

/// What is said after a close.
pub(crate) const CLOSED: &str = "the store was closed";

/// The same as an answer.
pub(crate) fn closed() -> StoreError {
    StoreError::Stopped { detail: CLOSED.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{SettleRows, config_of};
    use crate::{EmbeddedStore, Options};
    use std::sync::Arc;
    use steadfast_lead::{DeliveryId, NodeNumber, Timestamp};
    use steadfast_retry::{HoldReason, State};
    use steadfast_store::TermKey;
    use steadfast_store::conformance::{World, settlement};
    use tempfile::TempDir;
    use tokio::sync::oneshot;

    type Answer = oneshot::Receiver<Result<u64, StoreError>>;

    fn config() -> (Change, Answer) {
        let (reply, answer) = oneshot::channel();
        (Change::Config(config_of(0, 0, "me".to_owned(), String::new()), reply), answer)
    }

    fn push(queue: &Queue) -> Answer {
        let (change, answer) = config();
        queue.push(change);
        answer
    }

    fn mark(queue: &Queue, id: i64) {
        queue.push(Change::Take(DeliveryId::from_raw(id).unwrap(), None));
    }

    #[test]
    fn beyond_its_bound_it_is_busy_until_the_writer_takes() {
        let queue = Queue::new(2, PATIENCE);
        let (_one, _two, mut three) = (push(&queue), push(&queue), push(&queue));
        assert_eq!(three.try_recv(), Ok(Err(StoreError::Busy)));
        mark(&queue, 1);
        assert_eq!(queue.take(100, Company::default()).map(|batch| batch.len()), Some(3));
        let mut four = push(&queue);
        assert!(four.try_recv().is_err(), "it waits");
    }

    #[test]
    fn batches_are_bounded_and_in_order() {
        let queue = Queue::new(100, PATIENCE);
        mark(&queue, 1);
        let _answers: Vec<Answer> = (0..5).map(|_| push(&queue)).collect();
        assert!(matches!(
            queue.take(4, Company::default()).as_deref(),
            Some([Change::Take(..), Change::Config(..), _, _])
        ));
        assert_eq!(queue.take(4, Company::default()).map(|batch| batch.len()), Some(2));
    }

    #[test]
    fn marks_alone_are_taken_soon() {
        let queue = Queue::new(100, PATIENCE);
        mark(&queue, 1);
        mark(&queue, 2);
        assert_eq!(queue.take(100, Company::default()).map(|batch| batch.len()), Some(2));
    }

    /// Nobody waits so long: what comes in time is what ends it.
    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn company_is_waited_for_until_it_is_there() {
        let queue = Queue::new(100, PATIENCE);
        let _two = (push(&queue), push(&queue));
        std::thread::scope(|scope| {
            let taking = scope.spawn(|| queue.take(100, Company { wanted: 3, at_most: LONG }));
            let _three = push(&queue);
            assert_eq!(taking.join().unwrap().map(|batch| batch.len()), Some(3));
        });
    }

    #[test]
    fn company_that_does_not_come_is_gone_without() {
        let queue = Queue::new(100, PATIENCE);
        let _two = (push(&queue), push(&queue));
        let company = Company { wanted: 3, at_most: Duration::from_millis(1) };
        assert_eq!(queue.take(100, company).map(|batch| batch.len()), Some(2));
    }

    #[test]
    fn a_close_waits_for_no_company() {
        let queue = Queue::new(100, PATIENCE);
        let _one = push(&queue);
        std::thread::scope(|scope| {
            let taking = scope.spawn(|| queue.take(100, Company { wanted: 9, at_most: LONG }));
            let (reply, _answer) = oneshot::channel();
            queue.push(Change::Close(reply));
            assert_eq!(taking.join().unwrap().map(|batch| batch.len()), Some(2));
        });
    }

    /// What is learned of an attempt, as often as it is asked for.
    async fn settling() -> impl Fn() -> Change {
        let folder = TempDir::new().unwrap();
        let now = Arc::new(|| Timestamp::from_millis(1_795_000_000_000));
        let options = Options::new(42, TermKey::new([7; 32]), NodeNumber(1), now);
        let store = EmbeddedStore::open(folder.path(), options).unwrap();
        let mut world = World::of(&*store);
        let delivery = world.accepted(&*store, "auto", &["bigbank"]).await.remove(0);
        let held = State::Held { due: world.now, until: world.now, why: HoldReason::RetryAfter };
        let settlement = settlement(&*store, &delivery, held, world.now);
        move || {
            let _folder = &folder;
            Change::Settle(Box::new(SettleRows::of(&settlement, &store.names)), oneshot::channel().0)
        }
    }

    fn until(it_is: impl Fn() -> bool) {
        while !it_is() {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn settlements_wait_for_the_next_acceptance_while_leads_come() {
        let (queue, settle) = (Queue::new(100, LONG), settling().await);
        queue.push(settle());
        assert_eq!(queue.take(100, Company::default()).map(|batch| batch.len()), Some(1), "no lead came yet");
        let _one = push(&queue);
        assert_eq!(queue.take(100, Company::default()).map(|batch| batch.len()), Some(1), "it waits for nobody");
        queue.push(settle());
        std::thread::scope(|scope| {
            let taking = scope.spawn(|| queue.take(100, Company::default()));
            until(|| queue.waiting.lock().is_patient || taking.is_finished());
            queue.push(settle());
            let _two = push(&queue);
            assert_eq!(taking.join().unwrap().map(|batch| batch.len()), Some(3));
        });
    }

    #[tokio::test]
    async fn settlements_that_waited_in_vain_wait_no_more_until_a_lead_comes() {
        let (mut queue, settle) = (Queue::new(100, Duration::from_millis(1)), settling().await);
        let _one = push(&queue);
        assert_eq!(queue.take(100, Company::default()).map(|batch| batch.len()), Some(1));
        queue.push(settle());
        assert_eq!(queue.take(100, Company::default()).map(|batch| batch.len()), Some(1));
        queue.patience = LONG;
        queue.push(settle());
        assert_eq!(queue.take(100, Company::default()).map(|batch| batch.len()), Some(1));
    }

    #[test]
    fn an_end_answers_everybody() {
        let queue = Queue::new(100, PATIENCE);
        let mut waiting = push(&queue);
        let stopped = StoreError::Stopped { detail: "the disk is gone".to_owned() };
        queue.end(&stopped);
        queue.end(&closed());
        assert_eq!(waiting.try_recv(), Ok(Err(stopped.clone())));
        assert_eq!(push(&queue).try_recv(), Ok(Err(stopped)), "the first reason stays");
        queue.abandon();
        assert!(queue.take(1, Company::default()).is_none());
    }
}
