//! Caps: a place is reserved before a lead is sent, counted when it is taken, and free again when it is not.
//!
//! Exact: one process sends, and this is its one count. What is counted is stored in the transaction that delivers; what may
//! have been taken keeps its place there over a restart; and what is sent under a cap is marked as taken, durably, before
//! anything is sent, so that a start finds every place there was. Where nothing is capped this is one flag, read and left.

use crate::look_again::Scopes;
use crate::run::Inner;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast_flow::Book;
use steadfast_lead::{DeliveryId, Lead, Timestamp};
use steadfast_retry::policy::RetryPolicy;
use steadfast_retry::{Cap, CapLedger, CapPeriod, CapTally, Delivery, Entry, NextLeg, OnCap, Settlement, capped};
use steadfast_store::StoreError;
use tokio::sync::Notify;

/// How long a period is kept after its end: clocks may be set back.
const KEEP: Duration = Duration::from_secs(2 * 86_400);
/// How soon a delivery is looked at again that waits for a place somebody else has reserved; twice as late each time.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// How soon a read is tried again after it failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What is counted and reserved, in this process.
#[derive(Default)]
pub(crate) struct CapKeeper {
    /// There is a cap, or a place that is kept.
    active: AtomicBool,
    ledger: Mutex<CapLedger>,
    /// Caps that may have room for what is held, since somebody last looked.
    roomy: Mutex<Scopes>,
    pub(crate) roomier: Notify,
}

/// How one cap stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapStanding {
    /// The cap.
    pub cap: Cap,
    /// Its present period.
    pub period: CapPeriod,
    /// What is counted and reserved in it.
    pub tally: CapTally,
}

impl CapKeeper {
    /// A configuration comes into force.
    pub(crate) fn follow(&self, book: &Book) {
        if !book.caps.is_empty() {
            self.active.store(true, Ordering::Relaxed);
        }
    }

    /// What is held for these is to be looked at again.
    fn may_have_room(&self, scopes: impl IntoIterator<Item = Arc<str>>) {
        let mut roomy = self.roomy.lock();
        roomy.extend(scopes);
        if !roomy.is_empty() {
            self.roomier.notify_one();
        }
    }

    /// The caps that may have room.
    pub(crate) fn take_roomier(&self) -> Scopes {
        std::mem::take(&mut *self.roomy.lock())
    }

    /// The count, where there is something to count.
    fn ledger(&self) -> Option<MutexGuard<'_, CapLedger>> {
        self.active.load(Ordering::Relaxed).then(|| self.ledger.lock())
    }

    /// Whether a delivery has a place reserved.
    pub(crate) fn holds(&self, delivery: DeliveryId) -> bool {
        self.ledger().is_some_and(|ledger| !ledger.holds(delivery).is_empty())
    }

    /// It was not sent after all.
    pub(crate) fn release(&self, delivery: DeliveryId) {
        if let Some(mut ledger) = self.ledger() {
            ledger.release(delivery);
        }
    }

    /// A settlement is stored.
    pub(crate) fn settled(&self, settlement: &Settlement) {
        let Some(mut ledger) = self.ledger() else { return };
        let freed = ledger.settled(settlement);
        drop(ledger);
        if !freed.is_empty() {
            self.may_have_room(freed.into_iter().map(|period| period.scope));
        }
    }
}

impl Inner {
    /// What becomes of a delivery in place of sending it, because a cap is full; `None` where it may be sent. Then it has a
    /// place in each of its caps.
    pub(crate) fn capped(
        &self,
        delivery: &Delivery,
        lead: &Lead,
        book: &Book,
        policy: &RetryPolicy,
        now: Timestamp,
    ) -> Option<Settlement> {
        if book.caps.is_empty() {
            return None;
        }
        let caps = book.caps.of(delivery, lead.source.as_ref());
        if caps.is_empty() {
            return None;
        }
        let asked: Vec<(CapPeriod, u64)> = caps.iter().map(|cap| (cap.period(now), cap.max)).collect();
        let full = self.caps.ledger.lock().reserve(delivery.id, &asked).err()?;
        let (cap, (period, max)) = (*caps.get(full.which)?, asked.get(full.which)?);
        // Somebody else's place may come free before the period is over. Where the clock was set back, it has waited all the same.
        let waited = delivery.state.due().map_or(Duration::ZERO, |due| now.since(due).max(due.since(now)));
        let soon = now.after(waited.max(LOOK_SOON));
        let look = if full.tally.used >= *max { period.until } else { period.until.min(soon) };
        // Beyond the oldest age there is nothing to wait for; it is looked at again then, and referred.
        let look = look.min(delivery.accepted_at.after(policy.max_lead_age.get()));
        let next = match cap.on_cap {
            OnCap::Next => not_counted(delivery, lead, book, cap),
            OnCap::Hold | OnCap::Skip | OnCap::Reject => None,
        };
        capped(delivery, (cap, full.tally), (period.until, look), next.as_ref(), self.fence(delivery), now)
    }

    /// Until when a delivery that is held for a cap until `until` has to wait, as counts stand now; `None` where there is room.
    /// Where only places on the way keep it from room it waits as it did: looked at now it would be held again.
    pub(crate) fn cap_full_until(
        &self,
        delivery: &Delivery,
        lead: &Lead,
        book: &Book,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let caps = book.caps.of(delivery, lead.source.as_ref());
        let asked: Vec<(CapPeriod, u64)> = caps.iter().map(|cap| (cap.period(now), cap.max)).collect();
        let ledger = self.caps.ledger.lock();
        let used = asked.iter().filter(|(period, max)| ledger.tally(period).used >= *max);
        let on_the_way = || ledger.full(delivery.id, &asked).map(|_| until);
        used.map(|(period, _)| period.until).max().or_else(on_the_way)
    }

    /// A settlement with what it does to caps.
    pub(crate) async fn with_caps(&self, mut settlement: Settlement) -> Settlement {
        let asks = match self.caps.ledger() {
            None => return settlement,
            Some(ledger) => ledger.asks(&settlement),
        };
        let periods = if asks { self.periods_patiently(&settlement).await } else { Vec::new() };
        settlement.caps = self.caps.ledger().and_then(|ledger| ledger.change(&settlement, &periods)).map(Box::new);
        settlement
    }

    /// The periods in which a delivery counts that has no place: a person says that it was delivered, or it was sent before a
    /// restart.
    async fn periods_patiently(&self, settlement: &Settlement) -> Vec<CapPeriod> {
        let book = self.book();
        if !book.caps.may_bind(&settlement.delivery) {
            return Vec::new();
        }
        let at = match &settlement.entry {
            Entry::Attempt(attempt) => attempt.started,
            Entry::LookUp(_) | Entry::Change(_) => settlement.event.at,
        };
        loop {
            match self.store.load(settlement.delivery.id).await {
                Ok(found) => {
                    let source = found.and_then(|(_, lead)| lead.source.clone());
                    let caps = book.caps.of(&settlement.delivery, source.as_ref());
                    return caps.into_iter().map(|cap| cap.period(at)).collect();
                }
                // It will not be stored either, and says so itself.
                Err(StoreError::Stopped { .. }) => return Vec::new(),
                Err(error) => {
                    tracing::error!(delivery = %settlement.delivery.id, %error, "a lead could not be read; trying again");
                    self.clock.sleep_until(self.clock.now().after(AFTER_FAILURE)).await;
                }
            }
        }
    }

    /// At the start: what was cut off, and goes nowhere any more, keeps its places. Where it goes on, the settlement asks for them.
    pub(crate) fn keep_its_caps(&self, delivery: &Delivery, lead: &Lead, book: &Book, sent: Timestamp) {
        let caps = book.caps.of(delivery, lead.source.as_ref());
        if let (Some(mut ledger), false) = (self.caps.ledger(), caps.is_empty())
            && ledger.holds(delivery.id).is_empty()
        {
            ledger.hold(delivery.id, caps.into_iter().map(|cap| cap.period(sent)).collect());
        }
    }

    /// At the start: what was counted, and who has a place. Before anything is settled.
    pub(crate) async fn restore_caps(&self) -> Result<(), StoreError> {
        let since = self.clock.now().before(KEEP);
        let (mut counts, kept) = (self.store.cap_counts(since).await?, self.store.cap_places(since).await?);
        self.chooser.restore(&mut counts);
        if !kept.is_empty() {
            self.caps.active.store(true, Ordering::Relaxed);
        }
        *self.caps.ledger.lock() = CapLedger::restore(counts, kept);
        Ok(())
    }

    /// Deletes periods that are long over, a small slice at a time.
    pub(crate) async fn prune_caps(&self) -> Result<(), StoreError> {
        let before = self.clock.now().before(KEEP);
        if let Some(mut ledger) = self.caps.ledger() {
            ledger.forget_before(before);
        }
        self.chooser.forget_before(before);
        while self.store.prune_caps(before).await? > 0 {}
        Ok(())
    }

    pub(crate) fn cap_standings(&self) -> Vec<CapStanding> {
        let (book, now) = (self.book(), self.clock.now());
        let mut caps: Vec<&Cap> = book.caps.all().collect();
        caps.sort_by(|one, two| (&one.scope, one.per).cmp(&(&two.scope, two.per)));
        let ledger = self.caps.ledger.lock();
        let standing = |cap: &Cap| {
            let period = cap.period(now);
            CapStanding { cap: cap.clone(), tally: ledger.tally(&period), period }
        };
        caps.into_iter().map(standing).collect()
    }
}

/// The first later leg of a step of its own that a cap does not count: it goes to another recipient than the cap's. A cap of a
/// step, a flow or a source counts every leg. In a sale a full buyer gives its turn to the next one, and its own legs are its own.
fn not_counted(delivery: &Delivery, lead: &Lead, book: &Book, cap: &Cap) -> Option<NextLeg> {
    if delivery.tie.buyer {
        return None;
    }
    let later = book.step(&delivery.flow, &delivery.step)?.legs().skip(usize::from(delivery.progress.leg) + 1);
    let mut moved = delivery.clone();
    later.map(|leg| NextLeg { leg: leg.leg, endpoint: leg.endpoint.clone() }).find(|next| {
        moved.endpoint = next.endpoint.clone();
        book.caps.of(&moved, lead.source.as_ref()).iter().all(|other| other.scope != cap.scope)
    })
}
