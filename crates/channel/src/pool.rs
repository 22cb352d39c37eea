//! Connections kept open between attempts: last used first out, bounded for each origin and in all, closed when idle
//! for too long. Opens nothing itself.

use crate::connection::Link;
use crate::deadline::later;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The shortest time between two looks through the pool.
const SWEEP_INTERVAL_MIN: Duration = Duration::from_millis(50);

/// How much is kept, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolBounds {
    pub(crate) per_endpoint_max: usize,
    pub(crate) total_max: usize,
    pub(crate) idle_timeout: Duration,
}

/// Says under which settings a connection was opened; one opened under older settings is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u64);

struct Idle {
    link: Box<Link>,
    since: Instant,
}

struct Shelf {
    by_origin: HashMap<Arc<str>, VecDeque<Idle>>,
    total: usize,
    bounds: PoolBounds,
    generation: Generation,
    sweeping: bool,
}

pub(crate) struct Pool {
    shelf: Mutex<Shelf>,
}

impl Pool {
    pub(crate) fn new(bounds: PoolBounds) -> Arc<Self> {
        let shelf = Shelf { by_origin: HashMap::new(), total: 0, bounds, generation: Generation(0), sweeping: false };
        Arc::new(Pool { shelf: Mutex::new(shelf) })
    }

    /// The connection to this origin that was used last, if one is open, and the present generation.
    pub(crate) fn take(&self, origin: &str, now: Instant) -> (Option<Box<Link>>, Generation) {
        let mut expired = VecDeque::new();
        let mut guard = self.shelf.lock();
        let shelf = &mut *guard;
        let Some(idle) = shelf.by_origin.get_mut(origin) else { return (None, shelf.generation) };
        let mut taken = idle.pop_back();
        if taken.as_ref().is_some_and(|last| now.duration_since(last.since) >= shelf.bounds.idle_timeout) {
            // The last used one is too old: so are all.
            expired = std::mem::take(idle);
            expired.extend(taken.take());
        }
        shelf.total -= expired.len() + usize::from(taken.is_some());
        let generation = shelf.generation;
        drop(guard);
        // Closing sockets is not done under the lock.
        drop(expired);
        (taken.map(|idle| idle.link), generation)
    }

    /// Keeps a connection for the next attempt, or closes it where there is no room.
    pub(crate) fn put(self: &Arc<Self>, origin: &Arc<str>, link: Box<Link>, generation: Generation, now: Instant) {
        let mut dropped = None;
        let mut shelf = self.shelf.lock();
        if shelf.generation != generation || shelf.bounds.per_endpoint_max == 0 || shelf.total >= shelf.bounds.total_max
        {
            drop(shelf);
            return;
        }
        let max = shelf.bounds.per_endpoint_max;
        let idle = Idle { link, since: now };
        match shelf.by_origin.get_mut(&**origin) {
            Some(kept) => {
                dropped = if kept.len() >= max { kept.pop_front() } else { None };
                kept.push_back(idle);
            }
            None => {
                shelf.by_origin.insert(origin.clone(), VecDeque::from([idle]));
            }
        }
        shelf.total += usize::from(dropped.is_none());
        let sweeper = (!shelf.sweeping).then(|| shelf.bounds.idle_timeout);
        shelf.sweeping = true;
        drop(shelf);
        drop(dropped);
        if let Some(idle_timeout) = sweeper {
            tokio::spawn(sweep(Sweeper { pool: Arc::downgrade(self), is_done: false }, idle_timeout));
        }
    }

    /// Closes every unused connection.
    pub(crate) fn clear(&self) {
        let closed = {
            let mut shelf = self.shelf.lock();
            shelf.total = 0;
            std::mem::take(&mut shelf.by_origin)
        };
        drop(closed);
    }

    /// Follows new settings: what was opened under the old ones is closed, now or when its attempt ends.
    pub(crate) fn renew(&self, bounds: PoolBounds) {
        {
            let mut shelf = self.shelf.lock();
            shelf.bounds = bounds;
            shelf.generation.0 += 1;
        }
        self.clear();
    }

    /// How many unused connections are open.
    pub(crate) fn idle_count(&self) -> usize {
        self.shelf.lock().total
    }

    /// Closes what is too old; false when nothing is left to look after.
    fn close_expired(&self, now: Instant) -> bool {
        let mut closed = Vec::new();
        let mut guard = self.shelf.lock();
        let shelf = &mut *guard;
        let idle_timeout = shelf.bounds.idle_timeout;
        shelf.by_origin.retain(|_, kept| {
            let expired = kept.iter().take_while(|idle| now.duration_since(idle.since) >= idle_timeout).count();
            closed.extend(kept.drain(..expired));
            !kept.is_empty()
        });
        shelf.total -= closed.len();
        let more = shelf.total > 0;
        shelf.sweeping = more;
        drop(guard);
        drop(closed);
        more
    }
}

/// One task looks after the whole pool while anything is in it; none is left behind by a pool that is gone.
struct Sweeper {
    pool: Weak<Pool>,
    is_done: bool,
}

async fn sweep(mut sweeper: Sweeper, idle_timeout: Duration) {
    let interval = (idle_timeout / 2).max(SWEEP_INTERVAL_MIN);
    loop {
        sleep_until(later(Instant::now(), interval)).await;
        let Some(pool) = sweeper.pool.upgrade() else { return };
        if !pool.close_expired(Instant::now()) {
            sweeper.is_done = true;
            return;
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        // The runtime stopped it: the next connection kept starts another.
        if !self.is_done
            && let Some(pool) = self.pool.upgrade()
        {
            pool.shelf.lock().sweeping = false;
        }
    }
}
