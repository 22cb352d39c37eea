//! Storing a settlement, with patience: a full disk may pass, a failed one does not.

use crate::run::Inner;
use std::sync::atomic::Ordering;
use std::time::Duration;
use steadfast_retry::{Delivery, RefusedBySale, Settlement, State};
use steadfast_store::{Settled, StoreError};

/// How long to wait before a store that was full is tried again.
pub(crate) const AFTER_FULL: Duration = Duration::from_secs(1);

/// What became of a settlement.
pub(crate) enum Saved {
    /// It is durable; this is the delivery as it stands.
    Applied(Box<Delivery>),
    /// It was refused; this is the delivery as it stands, if it is there.
    Refused(Option<Box<Delivery>>),
    /// The sale of its lead does not allow it; nothing was changed.
    NotAllowed(RefusedBySale),
    /// The store has stopped for good. What was taken is found at the next start.
    Lost,
}

impl Inner {
    /// Stores a settlement. While the store is full or busy it is kept and tried again: it holds its slot meanwhile, which
    /// bounds how many are kept.
    ///
    /// `went_on` says whether the delivery would have gone on by itself before, for the count of what is open.
    pub(crate) async fn save(&self, settlement: Settlement, went_on: bool) -> Saved {
        const AFTER_BUSY: Duration = Duration::from_millis(20);
        let _counted = Unsaved::begin(self);
        let mut settlement = self.with_caps(settlement).await;
        self.book_price(&mut settlement);
        let share = self.count_share(&mut settlement);
        loop {
            let tied = match self.tie(&settlement).await {
                Ok(tied) => tied,
                Err(refused) => return Saved::NotAllowed(refused),
            };
            let settlement = tied.as_ref().unwrap_or(&settlement);
            let pause = match self.store.settle(settlement.clone()).await {
                Ok(Settled::Applied) => {
                    self.last_commit.saw(settlement.event.at, self.clock.now());
                    self.count_open(went_on, goes_on(&settlement.delivery.state));
                    self.observer.committed(&settlement.event);
                    self.caps.settled(settlement);
                    self.chooser.settled(settlement, share.as_ref());
                    self.moved(settlement);
                    self.waiters.settled(settlement.delivery.lead);
                    return Saved::Applied(Box::new(settlement.delivery.clone()));
                }
                // Another of its lead was settled in between: it is made again with that in view.
                Ok(Settled::OthersChanged) => continue,
                Ok(Settled::Stale { now }) => {
                    tracing::warn!(delivery = %settlement.delivery.id, "a settlement came too late and was refused");
                    self.caps.release(settlement.delivery.id);
                    return Saved::Refused(now);
                }
                Ok(Settled::Fenced { current }) => {
                    tracing::warn!(delivery = %settlement.delivery.id, ?current, "a settlement's lease was lost");
                    return Saved::Refused(None);
                }
                Err(StoreError::Full { .. }) => AFTER_FULL,
                Err(StoreError::Busy) => AFTER_BUSY,
                Err(error @ (StoreError::Stopped { .. } | StoreError::Unreadable { .. })) => {
                    return self.lost(settlement, &error);
                }
            };
            self.clock.sleep_until(self.clock.now().after(pause)).await;
        }
    }
}

impl Inner {
    fn lost(&self, settlement: &Settlement, error: &StoreError) -> Saved {
        tracing::error!(delivery = %settlement.delivery.id, %error, "a settlement could not be stored");
        if matches!(error, StoreError::Stopped { .. }) {
            // What would be sent now could not be remembered either.
            self.dispatch.lock().shut();
        }
        Saved::Lost
    }

    pub(crate) fn count_open(&self, went_on: bool, goes_on: bool) {
        match (went_on, goes_on) {
            (true, false) => self.open.fetch_sub(1, Ordering::Relaxed),
            (false, true) => self.open.fetch_add(1, Ordering::Relaxed),
            (true, true) | (false, false) => 0,
        };
    }
}

/// Whether a delivery in this state will go on, by itself or after another of its lead.
pub(crate) fn goes_on(state: &State) -> bool {
    state.is_open()
}

/// Counts settlements that are not stored yet.
struct Unsaved<'a>(&'a Inner);

impl<'a> Unsaved<'a> {
    fn begin(inner: &'a Inner) -> Self {
        inner.unsaved.fetch_add(1, Ordering::SeqCst);
        Unsaved(inner)
    }
}

impl Drop for Unsaved<'_> {
    fn drop(&mut self) {
        self.0.unsaved.fetch_sub(1, Ordering::SeqCst);
    }
}
