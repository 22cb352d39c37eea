//! One endpoint as dispatch sees it: its queues, its guard, and what it waits for.

use super::leaving::{Leaving, Taking};
use super::queue::Queue;
use std::time::Duration;
use steadfast_lead::{Priority, Timestamp};
use steadfast_retry::breaker::Wait;
use steadfast_retry::fair::{FRESH, Lane, Party};
use steadfast_retry::{Endpoint, Guard, HoldReason, StopTarget};
use steadfast_store::{DuePosition, QueueKey};

/// Queues of an endpoint: first attempts and retries of each class.
pub(super) const QUEUES: usize = Priority::ALL.len() * 2;

/// Why an endpoint starts nothing now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointHold {
    /// Why.
    pub why: HoldReason,
    /// Until when; `None` where another event has to come first: an end of another attempt, or a person.
    pub until: Option<Timestamp>,
}

impl From<Wait> for EndpointHold {
    fn from(wait: Wait) -> Self {
        EndpointHold { why: wait.why, until: wait.until }
    }
}

/// What an endpoint does with what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// It is sent.
    Send,
    /// It moves elsewhere: no step sends here any more, or it is the lot of a stop that has ended.
    Move,
}

/// See the module's text.
pub(super) struct Station {
    pub(super) endpoint: Endpoint,
    pub(super) party: Party,
    /// Where its recipient stands.
    pub(super) recipient: usize,
    queues: [Option<Box<Queue>>; QUEUES],
    pub(super) guard: Guard,
    /// The stop whose lot it is.
    pub(super) lot: Option<StopTarget>,
    /// How old a delivery gets here; `None` where no step sends to it.
    pub(super) age_max: Option<Duration>,
    /// Until when the recipient asked to be left alone; may have passed.
    pub(super) paused_until: Option<Timestamp>,
    /// What the guard or the recipient's pace answered last, as long as it holds.
    pub(super) wait: Option<EndpointHold>,
    /// Until when retries wait for the budget.
    pub(super) budget_until: Option<Timestamp>,
    /// What held it when it was looked at last.
    held: Option<EndpointHold>,
    /// When it was let go last after a hold.
    pub(super) released_at: Option<Timestamp>,
    /// Where its deliveries go on to while its breaker is open; nowhere where that is not wanted.
    pub(super) next: Vec<usize>,
    /// Those that go on to it.
    pub(super) before: Vec<usize>,
    /// How it took what goes on to it when it was looked at last.
    pub(super) taking: Taking,
    /// How far that has come; `None` where nothing leaves.
    pub(super) leaving: Option<Leaving>,
    /// Referrals of it under way.
    pub(super) referrals: usize,
    /// Its timer in the set of timers.
    pub(super) timer: Option<Timestamp>,
}

/// Where a queue stands among those of an endpoint.
pub(super) const fn place(priority: Priority, retries: bool) -> usize {
    let class = match priority {
        Priority::Critical => 0,
        Priority::High => 1,
        Priority::Normal => 2,
        Priority::Low => 3,
    };
    class * 2 + if retries { 1 } else { 0 }
}

impl Station {
    pub(super) fn new(endpoint: Endpoint, party: Party, recipient: usize, guard: Guard) -> Self {
        Station {
            lot: StopTarget::of_lot(&endpoint),
            endpoint,
            party,
            recipient,
            queues: Default::default(),
            guard,
            age_max: None,
            paused_until: None,
            wait: None,
            budget_until: None,
            held: None,
            released_at: None,
            next: Vec::new(),
            before: Vec::new(),
            taking: Taking::default(),
            leaving: None,
            referrals: 0,
            timer: None,
        }
    }

    /// The queue of a key of this endpoint, made where it is not there yet.
    pub(super) fn queue(&mut self, key: &QueueKey, window_max: usize) -> &mut Queue {
        let queue = &mut self.queues[place(key.priority, key.retries)];
        queue.get_or_insert_with(|| Box::new(Queue::new(window_max, !key.retries)))
    }

    /// Every queue that is there, with its key.
    pub(super) fn queues(&mut self) -> impl Iterator<Item = (QueueKey, &mut Queue)> {
        let endpoint = self.endpoint.clone();
        let keys = Priority::ALL.into_iter().flat_map(|priority| [(priority, false), (priority, true)]);
        keys.zip(&mut self.queues).filter_map(move |((priority, retries), queue)| {
            let key = QueueKey { endpoint: endpoint.clone(), priority, retries };
            Some((key, queue.as_deref_mut()?))
        })
    }

    /// How many deliveries wait here, as far as they are known.
    pub(super) fn known(&self) -> usize {
        self.queues.iter().flatten().map(|queue| queue.known()).sum()
    }

    /// The queues of a class that may start something: while the budget is empty, those of first attempts only.
    fn open_queues(&self, class: Priority, now: Timestamp) -> impl Iterator<Item = (bool, &Queue)> {
        let retries_wait = self.budget_until.is_some_and(|until| until > now);
        [false, true]
            .into_iter()
            .filter(move |retries| !(*retries && retries_wait))
            .filter_map(move |retries| Some((retries, self.queues[place(class, retries)].as_deref()?)))
    }

    /// Since when the first of a class has been due, if anything of it may start.
    pub(super) fn due_since(&self, class: Priority, now: Timestamp) -> Option<Timestamp> {
        self.open_queues(class, now).filter_map(|(_, queue)| queue.due_since(now)).min()
    }

    /// Which delivery of a class goes, and whether it passes others that have been due for longer.
    pub(super) fn pick(&self, class: Priority, lane: Lane, now: Timestamp) -> Option<Picked> {
        let oldest = self
            .open_queues(class, now)
            .filter_map(|(retries, queue)| Some(Picked { retries, position: queue.oldest_due(now)?, passes: false }));
        let oldest = oldest.min_by_key(|picked| picked.position)?;
        let fresh = match lane {
            Lane::Oldest => None,
            // Of what was tried before nothing is fresh.
            Lane::Fresh => self
                .open_queues(class, now)
                .filter(|(retries, _)| !retries)
                .filter_map(|(retries, queue)| {
                    let position = queue.fresh_due(FRESH, now)?;
                    Some(Picked { retries, position, passes: queue.oldest_due(now) != Some(position) })
                })
                .min_by_key(|picked| picked.position),
        };
        Some(fresh.unwrap_or(oldest))
    }

    /// How many are due, counted up to `most`.
    pub(super) fn due_up_to(&self, most: usize, now: Timestamp) -> usize {
        let counts = self.queues.iter().flatten().map(|queue| queue.due_up_to(most, now));
        counts.sum::<usize>().min(most)
    }

    /// When something of it becomes due after `now`, or has to be read.
    pub(super) fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let due = self.queues.iter().flatten().filter_map(|queue| queue.next_look(now));
        due.chain(self.budget_until.filter(|until| *until > now)).min()
    }

    /// When something that waits here has waited too long, or is too old, though nothing is sent.
    pub(super) fn overdue_at(&self, held_max: Option<Duration>) -> Option<Timestamp> {
        let queues = self.queues.iter().flatten();
        let times = queues.flat_map(|queue| {
            let old = queue.oldest().zip(self.age_max).map(|(oldest, age)| oldest.after(age).after(ID_STEP * 2));
            let due = queue.first_due();
            // What was accepted was due then or later.
            let surely_old = due.zip(self.age_max).map(|(due, age)| due.after(age).after(ID_STEP * 2));
            let held = due.zip(held_max).map(|(due, most)| due.after(most));
            [old, surely_old, held]
        });
        times.flatten().min()
    }

    /// Takes out one that has waited too long, or is too old.
    pub(super) fn pop_overdue(
        &mut self,
        held_max: Option<Duration>,
        now: Timestamp,
    ) -> Option<(QueueKey, DuePosition)> {
        let age_max = self.age_max;
        self.queues().find_map(|(key, queue)| {
            let old = age_max.and_then(|age| queue.pop_older(now.before(age).before(ID_STEP)));
            let found = old.or_else(|| queue.pop_due_before(now.before(held_max?)))?;
            Some((key, found))
        })
    }

    /// Takes out one that is due, whichever.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(QueueKey, DuePosition)> {
        self.queues().find_map(|(key, queue)| Some((key, queue.pop_due_before(now)?)))
    }

    /// Ends a wait that is over.
    pub(super) fn pass_time(&mut self, now: Timestamp) {
        if self.wait.and_then(|wait| wait.until).is_some_and(|until| until <= now) {
            self.wait = None;
        }
        if let Some(until) = self.budget_until.filter(|until| *until <= now) {
            self.budget_until = None;
            self.released_at = self.released_at.max(Some(until));
        }
    }

    /// Notes what holds it now, and when that ended. After closed hours and maintenance what waited is worked off on a ramp.
    pub(super) fn note_hold(&mut self, hold: Option<EndpointHold>, now: Timestamp) {
        let before = std::mem::replace(&mut self.held, hold);
        if let (Some(before), None) = (before, hold) {
            self.released_at = Some(before.until.filter(|until| *until <= now).unwrap_or(now));
            if matches!(before.why, HoldReason::Closed | HoldReason::Maintenance) {
                self.guard.handle_opening(now);
            }
        }
    }
}

/// Ids tell when they were made to the millisecond.
const ID_STEP: Duration = Duration::from_millis(1);

/// A delivery that may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picked {
    pub(super) retries: bool,
    pub(super) position: DuePosition,
    /// It passes others of its queue that have been due for longer.
    pub(super) passes: bool,
}
