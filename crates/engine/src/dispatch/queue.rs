//! One queue: a window of its near future in memory, the rest in the store.
//!
//! Up to the horizon, everything the store has is in the window (or under way); beyond it, only the store knows. What is
//! offered while a range is being read is kept aside and offered again afterwards, so that a row committed during the read is
//! never missed.
//!
//! After an outage the window holds the oldest of a long backlog, and what has just come in lies far beyond it. The newest are
//! therefore remembered besides, so that fresh and old can take turns; forgetting one of them costs its turn only.

use std::collections::BTreeSet;
use std::time::Duration;
use steadfast_lead::{DeliveryId, Timestamp};
use steadfast_store::DuePosition;

/// How long before it is due a range is read.
const READ_AHEAD: Duration = Duration::from_secs(1);

/// How many of the newest beyond the window are remembered.
const FRESH_MAX: usize = 256;

/// Where knowledge ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Horizon {
    /// The store has nothing beyond the window.
    None,
    /// The store may have more after this position (`None`: from the start), to be read at `read_at`.
    At { after: Option<DuePosition>, read_at: Timestamp },
}

/// One queue's window. See the module's text.
#[derive(Debug)]
pub(super) struct Queue {
    /// Positions held at most.
    window_max: usize,
    window: BTreeSet<DuePosition>,
    /// No delivery in the window is older than this.
    oldest: Timestamp,
    horizon: Horizon,
    /// The newest beyond the horizon; the store has them too. `None` where nobody asks for them.
    fresh: Option<BTreeSet<DuePosition>>,
    /// What was offered during a refill; `Some` while one is under way.
    aside: Option<Vec<DuePosition>>,
}

impl Queue {
    /// An empty queue that holds at most `window_max` positions, and the newest besides where `fresh`.
    pub(super) fn new(window_max: usize, fresh: bool) -> Self {
        Queue {
            window_max,
            window: BTreeSet::new(),
            oldest: Timestamp::MAX,
            horizon: Horizon::None,
            fresh: fresh.then(BTreeSet::new),
            aside: None,
        }
    }

    /// The store has deliveries of this queue, the first to be looked at `next`; none of them is in the window.
    pub(super) fn expect_in_store(&mut self, next: Timestamp) {
        self.horizon = Horizon::At { after: None, read_at: next.before(READ_AHEAD) };
    }

    /// A delivery waits at this position; the store has it.
    pub(super) fn offer(&mut self, position: DuePosition) {
        if let Some(aside) = &mut self.aside {
            aside.push(position);
            return;
        }
        match &mut self.horizon {
            Horizon::At { after, read_at } if after.is_none_or(|after| position > after) => {
                *read_at = position.due.before(READ_AHEAD).min(*read_at);
                self.remember(position);
            }
            Horizon::At { .. } | Horizon::None => {
                self.insert(position);
                self.shrink();
            }
        }
    }

    fn remember(&mut self, position: DuePosition) {
        let Some(fresh) = &mut self.fresh else { return };
        fresh.insert(position);
        if fresh.len() > FRESH_MAX {
            fresh.pop_first();
        }
    }

    fn insert(&mut self, position: DuePosition) {
        self.oldest = self.oldest.min(position.id.made_at());
        self.window.insert(position);
    }

    /// Lets go of what is farthest away; the store has it.
    fn shrink(&mut self) {
        while self.window.len() > self.window_max {
            let Some(farthest) = self.window.pop_last() else { return };
            let read_at = farthest.due.before(READ_AHEAD);
            self.horizon = Horizon::At { after: self.window.last().copied(), read_at };
        }
    }

    /// Whether more of the store's rows fit into the window.
    fn runs_low(&self) -> bool {
        self.window.len() <= self.window_max / 4
    }

    /// How many of its deliveries are known.
    pub(super) fn known(&self) -> usize {
        self.window.len()
    }

    /// Since when its first has been due, if it is.
    pub(super) fn due_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.window.first().map(|position| position.due).filter(|due| *due <= now)
    }

    /// Whether something is due, or may be in the part that only the store knows.
    pub(super) fn may_be_due(&self, now: Timestamp) -> bool {
        let unread = matches!(self.horizon, Horizon::At { read_at, .. } if read_at <= now);
        unread || self.aside.is_some() || self.due_since(now).is_some()
    }

    /// The first that is due.
    pub(super) fn oldest_due(&self, now: Timestamp) -> Option<DuePosition> {
        self.window.first().copied().filter(|position| position.due <= now)
    }

    /// The first of those that became due within the last `within`.
    pub(super) fn fresh_due(&self, within: Duration, now: Timestamp) -> Option<DuePosition> {
        let least = DeliveryId::from_raw(0)?;
        let from = DuePosition { due: now.before(within), id: least };
        let first = |positions: &BTreeSet<DuePosition>| positions.range(from..).next().copied();
        let found = [first(&self.window), self.fresh.as_ref().and_then(first)];
        found.into_iter().flatten().min().filter(|position| position.due <= now)
    }

    /// Takes a position out, wherever it stands.
    pub(super) fn take(&mut self, position: DuePosition) {
        self.window.remove(&position);
        if let Some(fresh) = &mut self.fresh {
            fresh.remove(&position);
        }
    }

    /// Takes out what became due before this, the first first.
    pub(super) fn pop_due_before(&mut self, time: Timestamp) -> Option<DuePosition> {
        let first = self.window.first().copied().filter(|position| position.due <= time)?;
        self.take(first);
        Some(first)
    }

    /// No delivery in the window was accepted before this; may be earlier than the oldest there is.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        if self.window.is_empty() { None } else { Some(self.oldest) }
    }

    /// Takes out a delivery that was accepted before `than`, due or not.
    pub(super) fn pop_older(&mut self, than: Timestamp) -> Option<DuePosition> {
        if self.oldest >= than {
            return None;
        }
        let found = self.window.iter().find(|position| position.id.made_at() < than).copied();
        match found {
            Some(position) => self.take(position),
            None => {
                self.oldest = self.window.iter().map(|position| position.id.made_at()).min().unwrap_or(Timestamp::MAX)
            }
        }
        found
    }

    /// When its first is due, as far as it is known: of what only the store knows, not before this.
    pub(super) fn first_due(&self) -> Option<Timestamp> {
        let beyond = match self.horizon {
            Horizon::At { read_at, .. } if self.aside.is_none() => Some(read_at.after(READ_AHEAD)),
            Horizon::At { .. } | Horizon::None => None,
        };
        self.window.first().map(|position| position.due).into_iter().chain(beyond).min()
    }

    /// When something of it becomes due after `now`, or has to be read because it soon will be.
    pub(super) fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        let read_at = match self.horizon {
            Horizon::At { read_at, .. } if self.aside.is_none() && self.runs_low() => Some(read_at),
            Horizon::At { .. } | Horizon::None => None,
        };
        let due = self.window.first().map(|position| position.due);
        due.into_iter().chain(read_at).filter(|at| *at > now).min()
    }

    /// Where a refill begins, if one is wanted: the window runs low and the store may have more. Answers once, until
    /// [`Queue::end_refill`].
    pub(super) fn begin_refill(&mut self, now: Timestamp) -> Option<Option<DuePosition>> {
        let Horizon::At { after, read_at } = self.horizon else { return None };
        if self.aside.is_some() || !self.runs_low() || read_at > now {
            return None;
        }
        self.aside = Some(Vec::new());
        Some(after)
    }

    /// Whether a refill from there is under way.
    pub(super) fn awaits(&self, from: Option<DuePosition>) -> bool {
        self.aside.is_some() && matches!(self.horizon, Horizon::At { after, .. } if after == from)
    }

    /// How many are due, counted up to `most`.
    pub(super) fn due_up_to(&self, most: usize, now: Timestamp) -> usize {
        self.window.iter().take(most).take_while(|position| position.due <= now).count()
    }

    /// Ends a refill with what was read and the position up to which it was read (`None`: the store has no more); `None`
    /// when the read failed and nothing is known.
    pub(super) fn end_refill(&mut self, read: Option<(Vec<DuePosition>, Option<DuePosition>)>) {
        let aside = self.aside.take().unwrap_or_default();
        if let Some((read, last)) = read {
            read.into_iter().for_each(|position| self.insert(position));
            self.horizon = match last {
                Some(last) => Horizon::At { after: Some(last), read_at: last.due.before(READ_AHEAD) },
                None => Horizon::None,
            };
        }
        for position in aside {
            self.offer(position);
        }
        self.shrink();
    }
}
