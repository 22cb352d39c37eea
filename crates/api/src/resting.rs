//! Connections that wait for a request, in the order they began to: when there is no room for a new one, the one that has
//! rested longest makes room.
//!
//! Who sends a head without end, or nothing at all, rests. A connection within a request never has to leave.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// All connections that rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resting(Arc<Mutex<Waiting>>, Arc<Notify>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, Arc<Notify>>,
}

/// One connection among them. Rests from the beginning.
#[derive(Debug)]
pub(crate) struct Seat {
    resting: Resting,
    leave: Arc<Notify>,
    number: Mutex<Option<u64>>,
}

/// A request on a connection; when dropped, the connection rests again.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Seat>);

impl Resting {
    /// A new connection.
    pub(crate) fn seat(&self) -> Arc<Seat> {
        let seat = Seat { resting: self.clone(), leave: Arc::default(), number: Mutex::new(None) };
        seat.rest();
        Arc::new(seat)
    }

    /// Ends when another connection begins to rest.
    pub(crate) async fn one_more(&self) {
        self.1.notified().await;
    }

    /// Tells the one that has rested longest to leave; `false` where none rests.
    pub(crate) fn send_off_oldest(&self) -> bool {
        let oldest = self.0.lock().by_age.pop_first();
        if let Some((_, leave)) = &oldest {
            leave.notify_one();
        }
        oldest.is_some()
    }
}

impl Seat {
    /// Ends when the connection has to leave.
    pub(crate) async fn sent_off(&self) {
        self.leave.notified().await;
    }

    /// A request begins. `None` where the connection has to leave: the request must not be looked at.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Busy> {
        self.stand_up().then(|| Busy(Arc::clone(self)))
    }

    fn rest(&self) {
        let mut waiting = self.resting.0.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.by_age.insert(number, Arc::clone(&self.leave));
        *self.number.lock() = Some(number);
        self.resting.1.notify_one();
    }

    fn stand_up(&self) -> bool {
        let number = self.number.lock().take();
        number.is_some_and(|number| self.resting.0.lock().by_age.remove(&number).is_some())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.stand_up();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_one_that_rested_longest_leaves_and_none_within_a_request() {
        let resting = Resting::default();
        let (one, two, three) = (resting.seat(), resting.seat(), resting.seat());
        let busy = one.begin().unwrap();
        assert!(resting.send_off_oldest());
        two.sent_off().await;
        assert!(two.begin().is_none(), "what it asks now is not looked at");
        drop(busy);
        assert!(resting.send_off_oldest());
        three.sent_off().await;
        drop((two, three));
        assert!(resting.send_off_oldest(), "the one that was busy rests again");
        assert!(!resting.send_off_oldest());
        drop(one);
        assert!(resting.0.lock().by_age.is_empty());
    }
}
