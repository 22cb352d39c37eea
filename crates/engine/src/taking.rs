//! Marking a delivery as taken before it is sent, so that the next start knows what may have been sent without its mark.
//!
//! A mark that is not waited for may be missed by a crash. It is left to ride along only where the delivery was due by the last
//! commit this process knows of, or shortly after: so nothing that came due later than that after the last commit was ever sent
//! without a mark on disk, whatever the clock was set to meanwhile, and however long nothing was committed.

use crate::dispatch::Start;
use crate::run::Inner;
use crate::settling::AFTER_FULL;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use steadfast_flow::StepPlan;
use steadfast_lead::Timestamp;
use steadfast_retry::Delivery;
use steadfast_store::StoreError;

/// What came due this long after the last commit may go with a mark that is not waited for; what came due later waits for it.
/// Longer would put more in doubt after an unclean stop that was not sent: what was due to be tried again within it.
const RIDES_ALONG_WITHIN: Duration = Duration::from_millis(100);

/// Until when that is what was due, after this commit.
pub(crate) fn rides_along_until(last_commit: Timestamp) -> Timestamp {
    last_commit.after(RIDES_ALONG_WITHIN)
}

/// The latest time that a commit is known to have been made at or after, by the store's own record. Only ever moves on, as that
/// does.
pub(crate) struct LastCommit(AtomicI64);

impl LastCommit {
    pub(crate) fn of(known: Option<Timestamp>) -> Self {
        LastCommit(AtomicI64::new(known.map_or(i64::MIN, Timestamp::as_micros)))
    }

    /// A commit that was begun at one time is answered at another. The store's clock said something in between; where it was
    /// set back meanwhile, perhaps the earlier of them.
    pub(crate) fn saw(&self, begun: Timestamp, answered: Timestamp) {
        self.0.fetch_max(begun.min(answered).as_micros(), Ordering::SeqCst);
    }

    /// Whether the next start would look for what was due then, though it has no mark.
    fn covers(&self, due: Timestamp) -> bool {
        let last = self.0.load(Ordering::SeqCst);
        last != i64::MIN && due <= rides_along_until(Timestamp::from_micros(last))
    }
}

impl Inner {
    /// Marks the delivery as taken before anything is sent: with the next commit, or durably where its step asks for it, it passes
    /// others, a cap binds it, or the next start would not look for it otherwise.
    ///
    /// # Errors
    /// When a mark that is waited for could not be stored.
    pub(crate) async fn take(&self, delivery: &Delivery, plan: &StepPlan, passes: bool) -> Result<(), StoreError> {
        let exact = plan.in_doubt.wants_intent() || passes || self.caps.holds(delivery.id);
        let found = || delivery.state.next_look().is_some_and(|due| self.last_commit.covers(due));
        if !exact && found() {
            self.store.take(delivery.id);
            return Ok(());
        }
        self.store.take_durably(delivery.id).await
    }

    /// There was no room for a mark: gives back what was reserved, and waits a moment. What may be sent then is asked anew, since
    /// meanwhile it may have been stopped or paused.
    pub(crate) async fn wait_for_room(&self, start: &Start) -> Option<Box<Delivery>> {
        self.caps.release(start.delivery);
        self.clock.sleep_until(self.clock.now().after(AFTER_FULL)).await;
        match self.load(start).await {
            Ok((delivery, _)) => Some(Box::new(delivery)),
            Err(ended) => ended.unchanged(),
        }
    }
}
