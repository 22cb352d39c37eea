//! The suppression list: nothing more is sent of a person, from the moment it is said. The word is kept first; then what waits of
//! the person is closed in the background, and whatever comes due later is closed before it is sent, after a crash too.
//!
//! What is under way ends as it would: delivered wins. Holds people by keyed hashes only.

use crate::erase::contact;
use crate::run::{Engine, Inner};
use crate::settling::Saved;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;
use steadfast_flow::{Contact, ContactKind};
use steadfast_lead::{BUILT_IN_PREFIX, DeliveryId, Lead, LeadId, Timestamp};
use steadfast_retry::{
    CloseReason, Delivery, Event, EventKind, PersonMark, ReviewCause, Settlement, Stop, StopTarget, Suppressed, Within,
    close, refer,
};
use steadfast_store::{StoreError, Term};

/// Suppressions kept, at most: all of them stand in memory.
pub const SUPPRESSIONS_MAX: usize = 200_000;
/// Leads found at once.
const PAGE: usize = 256;
/// After a start, what waits of people suppressed within this long is looked for again: a stop may have come between.
const AGAIN_WITHIN: Duration = Duration::from_secs(86_400);

/// Why nobody is suppressed. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedSuppression {
    /// The text is no address.
    #[error("this is not an email address")]
    BadEmail,
    /// The text is no number.
    #[error("this is not a telephone number: 7 to 15 digits")]
    BadPhone,
    /// Neither was given.
    #[error("an email address or a telephone number is needed, or both")]
    Nobody,
    /// The list is full.
    #[error("the list holds {SUPPRESSIONS_MAX} entries already; end some that are no longer needed")]
    Full,
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Sends nothing more of a person; durable when this answers, with one entry for the address and one for the number. An
    /// entry that is there already takes the new reason.
    ///
    /// # Errors
    /// [`RefusedSuppression`]; where the store fails between two entries, the first stays.
    pub async fn suppress(
        &self,
        (email, phone): (Option<&str>, Option<&str>),
        within: Within,
        by: &str,
        reason: &str,
    ) -> Result<Vec<Stop>, RefusedSuppression> {
        let email = contact(ContactKind::Email, email, RefusedSuppression::BadEmail)?;
        let phone = contact(ContactKind::Phone, phone, RefusedSuppression::BadPhone)?;
        let contacts: Vec<Contact> = email.into_iter().chain(phone).collect();
        if contacts.is_empty() {
            return Err(RefusedSuppression::Nobody);
        }
        if self.inner.suppressed.read().len() + contacts.len() > SUPPRESSIONS_MAX {
            return Err(RefusedSuppression::Full);
        }
        let mut kept = Vec::new();
        for contact in &contacts {
            let person = PersonMark(*self.inner.contact_term(contact).as_bytes());
            let suppressed = Suppressed { person, within: within.clone() };
            let since = self.inner.clock.now();
            let target = StopTarget::Person(suppressed.clone());
            let stop = Stop { target, by: by.into(), reason: reason.into(), since };
            let event = Event { at: since, kind: EventKind::Stopped(Box::new(stop.clone())) };
            self.inner.store.keep_stop(stop.clone(), event.clone()).await?;
            self.inner.suppressed.write().insert(suppressed.clone(), stop.clone());
            self.inner.observer.committed(&event);
            kept.push(stop);
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move { inner.cancel_of(suppressed).await });
        }
        Ok(kept)
    }

    /// Ends a suppression; durable when this answers. `false` where there is none. What was closed stays closed.
    ///
    /// # Errors
    /// [`StoreError`]; the suppression stays.
    pub async fn unsuppress(&self, suppressed: &Suppressed, by: &str, reason: &str) -> Result<bool, StoreError> {
        if !self.inner.suppressed.read().contains_key(suppressed) {
            return Ok(false);
        }
        let target = StopTarget::Person(suppressed.clone());
        let kind = EventKind::Resumed { target: target.clone(), by: by.into(), reason: reason.into() };
        let event = Event { at: self.inner.clock.now(), kind };
        self.inner.store.end_stop(target, event.clone()).await?;
        self.inner.suppressed.write().remove(suppressed);
        self.inner.observer.committed(&event);
        Ok(true)
    }

    /// The suppressions, in the order of their ids, after one, at most `limit`.
    pub fn suppressions(&self, after: Option<&Suppressed>, limit: usize) -> Vec<(Suppressed, Stop)> {
        let kept = self.inner.suppressed.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = kept.range::<Suppressed, _>((from, Bound::Unbounded)).take(limit);
        found.map(|(suppressed, stop)| (suppressed.clone(), stop.clone())).collect()
    }
}

impl Inner {
    /// What becomes of a delivery of which nothing may be sent; `None` where it may.
    pub(crate) fn suppressed(&self, delivery: &Delivery, lead: &Lead, now: Timestamp) -> Option<Settlement> {
        // A callback goes to a source, not to the person.
        if self.suppressed.read().is_empty() || delivery.flow.as_str().starts_with(BUILT_IN_PREFIX) {
            return None;
        }
        let book = self.book();
        let terms = self.terms_of(book.flow(delivery.flow.as_str())?, lead);
        let stop = terms.iter().find_map(|term| self.suppression_of(*term, delivery))?;
        let because = format!("nothing more is sent of this person, by the word of {}: {}", stop.by, stop.reason);
        let fence = self.fence(delivery);
        if delivery.progress.is_unresolved() {
            let because = format!("{because}; an earlier attempt is in doubt");
            return refer(delivery, ReviewCause::InDoubt, because.into(), fence, now);
        }
        close(delivery, CloseReason::Suppressed, because.into(), fence, now)
    }

    fn suppression_of(&self, term: Term, delivery: &Delivery) -> Option<Stop> {
        let person = PersonMark(*term.as_bytes());
        let recipient = delivery.endpoint.recipient.clone();
        let places = [Within::Everything, Within::Flow(delivery.flow.clone()), Within::Recipient(recipient)];
        let kept = self.suppressed.read();
        places.into_iter().find_map(|within| kept.get(&Suppressed { person, within }).cloned())
    }

    /// Looks again for what waits of people who were suppressed shortly before this start.
    pub(crate) async fn resume_suppressions(self: Arc<Self>) {
        let since = self.clock.now().before(AGAIN_WITHIN);
        let recent: Vec<Suppressed> = {
            let kept = self.suppressed.read();
            kept.iter().filter(|(_, stop)| stop.since >= since).map(|(suppressed, _)| suppressed.clone()).collect()
        };
        for suppressed in recent {
            self.cancel_of(suppressed).await;
        }
    }

    /// Closes what waits of a person. What cannot be read now is closed when it comes due.
    async fn cancel_of(self: &Arc<Self>, suppressed: Suppressed) {
        let term = Term::from_bytes(suppressed.person.0);
        let mut before = None;
        loop {
            let found = match self.store.find(term, before, PAGE).await {
                Ok(found) => found,
                Err(error) => return tracing::warn!(%error, "what waits of a person is closed when it comes due"),
            };
            for lead in &found {
                self.cancel_lead(*lead).await;
            }
            match found.last() {
                Some(last) => before = Some(*last),
                None => return,
            }
        }
    }

    async fn cancel_lead(self: &Arc<Self>, lead: LeadId) {
        let Ok(Some((lead, deliveries))) = self.store.lead(lead).await else { return };
        for delivery in deliveries.iter().filter(|delivery| delivery.state.next_look().is_some()) {
            self.cancel_one(delivery.id, &lead).await;
        }
    }

    /// Nothing where an attempt is under way: another does not follow it.
    async fn cancel_one(self: &Arc<Self>, id: DeliveryId, lead: &Lead) {
        if !self.dispatch.lock().reserve(id) {
            return;
        }
        self.recent.lock().take(id);
        self.begin_work();
        let mut stands = self.store.delivery(id).await.ok().flatten().map(Box::new);
        let closing = stands.as_ref().and_then(|delivery| self.suppressed(delivery, lead, self.clock.now()));
        if let Some(settlement) = closing {
            stands = match self.save(settlement, true).await {
                Saved::Applied(delivery) => Some(delivery),
                Saved::Refused(now) => now,
                Saved::NotAllowed(_) | Saved::Lost => None,
            };
        }
        self.obey_and_finish(id, stands).await;
        self.end_work();
    }
}
