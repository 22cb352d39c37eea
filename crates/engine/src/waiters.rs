//! Who waits for a lead's outcome. Nothing here is needed for a lead to arrive.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use steadfast_lead::LeadId;
use tokio::sync::Notify;

/// Wakes those who wait for a lead whenever one of its deliveries is settled.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: AtomicUsize,
    leads: Mutex<HashMap<LeadId, (Arc<Notify>, usize)>>,
}

/// One who waits; leaving is dropping it.
pub(crate) struct Waiter<'a> {
    waiters: &'a Waiters,
    lead: LeadId,
    /// Told of every settlement since the waiter began.
    pub(crate) settled: Arc<Notify>,
}

impl Waiters {
    pub(crate) fn begin(&self, lead: LeadId) -> Waiter<'_> {
        let mut leads = self.leads.lock();
        let entry = leads.entry(lead).or_default();
        entry.1 += 1;
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiter { waiters: self, lead, settled: Arc::clone(&entry.0) }
    }

    pub(crate) fn settled(&self, lead: LeadId) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some((notify, _)) = self.leads.lock().get(&lead) {
            // One permit is kept even when nobody listens at this moment, so that no settlement is missed.
            notify.notify_waiters();
            notify.notify_one();
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut leads = self.waiters.leads.lock();
        self.waiters.waiting.fetch_sub(1, Ordering::SeqCst);
        if let Some(entry) = leads.get_mut(&self.lead) {
            entry.1 -= 1;
            if entry.1 == 0 {
                leads.remove(&self.lead);
            }
        }
    }
}
