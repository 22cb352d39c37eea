//! Forgetting a person: the order is kept first, with what it bars; then one lead after the other is wiped, each when none of
//! its deliveries is under way; then copies in the store's files are overwritten.
//!
//! What is in flight is waited for, with a verb left so that no other attempt follows it: delivered wins, and is wiped all
//! the same. After a restart unfinished orders are carried out before anything is sent.

use crate::intake::{Receipt, Refusal};
use crate::run::{Engine, Inner};
use crate::settling::{AFTER_FULL, goes_on};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use steadfast_flow::{Contact, ContactKind, ErasureRules, OnReturn};
use steadfast_lead::{DeliveryId, Fields, Lead, LeadId, Timestamp};
use steadfast_retry::{CloseReason, Delivery, Event, State, StateName, Verb, erase};
use steadfast_store::{Acceptance, Accepted, Erasure, LeadErasure, Pending, StoreError, Term, Tombstone, Wiped};
use tokio::sync::watch;

/// Leads wiped at once.
const AT_ONCE: usize = 32;
/// Leads found at once.
const PAGE: usize = 256;
/// How many leads are told one by one.
const TOLD_MAX: usize = 1_000;
/// How soon a step that could not be taken is tried again.
const AFTER_BUSY: Duration = Duration::from_millis(50);
/// How soon copies are to be overwritten again where a reader was in the way: it may be a backup, and each try holds up writes
/// for a moment.
const AFTER_READER: Duration = Duration::from_secs(1);
/// How soon an erasure that failed is gone on with.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Whom to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// One lead.
    Lead(LeadId),
    /// Everything with this address, or with this number.
    Person {
        /// An email address.
        email: Option<Box<str>>,
        /// A telephone number.
        phone: Option<Box<str>>,
    },
}

/// Why nobody is forgotten. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedErasure {
    /// No lead of that id.
    #[error("there is no lead {0}")]
    Unknown(LeadId),
    /// It was done before.
    #[error("the lead {0} was erased already")]
    Already(LeadId),
    /// The text is no address.
    #[error("this is not an email address")]
    BadEmail,
    /// The text is no number.
    #[error("this is not a telephone number: 7 to 15 digits")]
    BadPhone,
    /// Neither was given.
    #[error("an email address or a telephone number is needed, or both")]
    Nobody,
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was done with one lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedLead {
    /// Which.
    pub lead: LeadId,
    /// Its deliveries, with where each stood and stands now.
    pub deliveries: Vec<(DeliveryId, StateName, StateName)>,
}

/// How far an erasure is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erasing {
    /// Its number.
    pub number: u64,
    /// Leads wiped so far.
    pub leads: u64,
    /// The first thousand of them.
    pub told: Vec<ErasedLead>,
    /// Deliveries whose attempt under way is waited for.
    pub waits_for: Vec<DeliveryId>,
    /// Everything is wiped, and copies in the store's files are overwritten.
    pub finished: bool,
}

/// What an order does, told to whoever waits for it.
struct Progress {
    state: Mutex<(Erasing, BTreeMap<LeadId, Vec<DeliveryId>>)>,
    finished: watch::Sender<bool>,
}

impl Progress {
    fn of(number: u64) -> Arc<Self> {
        let state = Mutex::new((Erasing { number, ..Erasing::default() }, BTreeMap::new()));
        Arc::new(Progress { state, finished: watch::Sender::new(false) })
    }

    fn waits(&self, lead: LeadId, deliveries: &[DeliveryId]) {
        self.state.lock().1.insert(lead, deliveries.to_vec());
    }

    fn wiped(&self, lead: LeadId, told: Option<ErasedLead>) {
        let (erasing, waiting) = &mut *self.state.lock();
        waiting.remove(&lead);
        if let Some(told) = told {
            erasing.leads += 1;
            if erasing.told.len() < TOLD_MAX {
                erasing.told.push(told);
            }
        }
    }

    fn told(&self) -> Erasing {
        let (erasing, waiting) = &*self.state.lock();
        let waits_for = waiting.values().flatten().copied().take(TOLD_MAX).collect();
        Erasing { waits_for, finished: *self.finished.borrow(), ..erasing.clone() }
    }
}

impl Engine {
    /// Forgets a person or a lead. Kept before anything is wiped, and carried out whatever happens; answers when it is done,
    /// or with how far it is after `patience`.
    ///
    /// # Errors
    /// [`RefusedErasure`]; nothing was changed.
    pub async fn erase(
        &self,
        whom: Whom,
        reason: Option<&str>,
        by: &str,
        patience: Duration,
    ) -> Result<Erasing, RefusedErasure> {
        let erasure = self.inner.order(whom, reason, by).await?;
        let number = self.inner.store.begin_erasure(erasure.clone()).await?;
        let erasure = Erasure { number, ..erasure };
        let progress = Progress::of(number);
        let mut finished = progress.finished.subscribe();
        let (inner, told) = (Arc::clone(&self.inner), Arc::clone(&progress));
        tokio::spawn(async move { inner.carry_out_at_last(&erasure, &told).await });
        let until = self.inner.clock.now().after(patience);
        // A clock may wake before its time.
        while !*finished.borrow() && self.inner.clock.now() < until {
            tokio::select! {
                _ = finished.wait_for(|finished| *finished) => {}
                () = self.inner.clock.sleep_until(until) => {}
            }
        }
        Ok(progress.told())
    }
}

impl Inner {
    async fn order(&self, whom: Whom, reason: Option<&str>, by: &str) -> Result<Erasure, RefusedErasure> {
        let (terms, lead) = match whom {
            Whom::Lead(lead) => {
                self.store.lead(lead).await?.ok_or(RefusedErasure::Unknown(lead))?;
                if self.store.tombstone(lead).await?.is_some() {
                    return Err(RefusedErasure::Already(lead));
                }
                let mut terms = self.store.terms_of(lead).await?;
                // What a source is told of it is forgotten with it.
                terms.push(self.term_about(lead));
                (terms, Some(lead))
            }
            Whom::Person { email, phone } => {
                let email = contact(ContactKind::Email, email.as_deref(), RefusedErasure::BadEmail)?;
                let phone = contact(ContactKind::Phone, phone.as_deref(), RefusedErasure::BadPhone)?;
                let contacts: Vec<Contact> = email.into_iter().chain(phone).collect();
                if contacts.is_empty() {
                    return Err(RefusedErasure::Nobody);
                }
                (contacts.iter().map(|contact| self.contact_term(contact)).collect(), None)
            }
        };
        let reason = reason.map(Into::into);
        Ok(Erasure { number: 0, at: self.clock.now(), by: by.into(), reason, terms, lead })
    }

    /// Carries out what an earlier process began. Nothing is sent before this is done.
    pub(crate) async fn resume_erasures(self: &Arc<Self>) -> Result<(), StoreError> {
        for erasure in self.store.unfinished_erasures().await? {
            tracing::info!(erasure = erasure.number, "going on with an erasure");
            self.carry_out(&erasure, &Progress::of(erasure.number)).await?;
        }
        Ok(())
    }

    /// Begins again where a read failed: whoever asked for it is not to wait for a restart.
    async fn carry_out_at_last(self: &Arc<Self>, erasure: &Erasure, progress: &Progress) {
        while let Err(error) = self.carry_out(erasure, progress).await {
            tracing::error!(erasure = erasure.number, %error, "an erasure could not go on");
            if matches!(error, StoreError::Stopped { .. }) || self.draining.load(Ordering::SeqCst) {
                // The next start goes on with it, before anything is sent.
                return;
            }
            self.rest(AFTER_FAILURE).await;
        }
    }

    async fn carry_out(self: &Arc<Self>, erasure: &Erasure, progress: &Progress) -> Result<(), StoreError> {
        match erasure.lead {
            Some(lead) => {
                self.wipe_lead(lead, erasure, progress).await?;
                self.wipe_found(self.term_about(lead), erasure, progress).await?;
            }
            None => self.wipe_person(erasure, progress).await?,
        }
        self.scrub().await?;
        self.patiently(|| self.store.finish_erasure(erasure.number, self.clock.now())).await?;
        progress.finished.send_replace(true);
        Ok(())
    }

    /// Every lead with one of the terms, newest first. What comes in meanwhile meets the bar.
    async fn wipe_person(self: &Arc<Self>, erasure: &Erasure, progress: &Progress) -> Result<(), StoreError> {
        for term in &erasure.terms {
            self.wipe_found(*term, erasure, progress).await?;
        }
        Ok(())
    }

    async fn wipe_found(
        self: &Arc<Self>,
        term: Term,
        erasure: &Erasure,
        progress: &Progress,
    ) -> Result<(), StoreError> {
        let mut before = None;
        while let Some(last) = self.wipe_page(term, before, erasure, progress).await? {
            before = Some(last);
        }
        Ok(())
    }

    /// Answers with the oldest lead of the page; `None` for an empty one.
    async fn wipe_page(
        &self,
        term: Term,
        before: Option<LeadId>,
        erasure: &Erasure,
        progress: &Progress,
    ) -> Result<Option<LeadId>, StoreError> {
        let found = self.patiently(|| self.store.find(term, before, PAGE)).await?;
        let last = found.last().copied();
        let wiping = found.into_iter().map(|lead| self.wipe_lead(lead, erasure, progress));
        // Each to its end, whatever becomes of the others: one that was let go of halfway would keep its deliveries for ever.
        let wiped: Vec<Result<(), StoreError>> = stream::iter(wiping).buffer_unordered(AT_ONCE).collect().await;
        wiped.into_iter().collect::<Result<(), StoreError>>()?;
        Ok(last)
    }

    /// Wipes one lead once none of its deliveries is under way.
    async fn wipe_lead(&self, lead: LeadId, erasure: &Erasure, progress: &Progress) -> Result<(), StoreError> {
        let mut under_way = self.under_way.subscribe();
        let mut left = Vec::new();
        loop {
            under_way.borrow_and_update();
            let Some((_, deliveries)) = self.patiently(|| self.store.lead(lead)).await? else { return Ok(()) };
            let ids: Vec<DeliveryId> = deliveries.iter().map(|delivery| delivery.id).collect();
            let reserved = self.dispatch.lock().reserve_all(&ids);
            let wiped = match reserved {
                Ok(()) => {
                    ids.iter().for_each(|id| drop(self.recent.lock().take(*id)));
                    self.wipe_reserved(lead, erasure, &ids).await?
                }
                Err(busy) => {
                    progress.waits(lead, &busy);
                    self.leave_erase(&busy, &erasure.by, &mut left);
                    // The engine outlives its own count.
                    let _changed = under_way.changed().await;
                    None
                }
            };
            if let Some(told) = wiped {
                progress.wiped(lead, told);
                return Ok(());
            }
        }
    }

    /// So that no other attempt follows the one under way; once for each delivery.
    fn leave_erase(&self, busy: &[DeliveryId], by: &str, left: &mut Vec<DeliveryId>) {
        for id in busy {
            if !left.contains(id) && self.dispatch.lock().leave_verb(*id, (Verb::Erase, by.into())) {
                left.push(*id);
            }
        }
    }

    /// `None` when something changed meanwhile and it is to be tried again.
    async fn wipe_reserved(
        &self,
        lead: LeadId,
        erasure: &Erasure,
        ids: &[DeliveryId],
    ) -> Result<Option<Option<ErasedLead>>, StoreError> {
        self.begin_work();
        let wiped = self.wipe_now(lead, erasure).await;
        for id in ids {
            let stands = self.store.delivery(*id).await.ok().flatten().map(Box::new);
            self.obey_and_finish(*id, stands).await;
        }
        self.end_work();
        wiped
    }

    async fn wipe_now(&self, lead: LeadId, erasure: &Erasure) -> Result<Option<Option<ErasedLead>>, StoreError> {
        let Some((_, before)) = self.patiently(|| self.store.lead(lead)).await? else { return Ok(Some(None)) };
        if self.patiently(|| self.store.tombstone(lead)).await?.is_some() {
            return Ok(Some(None));
        }
        let now = self.clock.now();
        let settlements: Vec<_> =
            before.iter().map(|delivery| erase(delivery, &erasure.by, self.fence(delivery), now)).collect();
        let tombstone = Tombstone { at: erasure.at, by: erasure.by.clone(), reason: erasure.reason.clone() };
        let wiping = LeadErasure { lead, tombstone, settlements };
        match self.patiently(|| self.store.wipe(wiping.clone())).await? {
            Wiped::Applied => {}
            Wiped::Stale => return Ok(None),
            Wiped::Unknown => return Ok(Some(None)),
            Wiped::Fenced { .. } => {
                return Err(StoreError::Stopped { detail: "the lease was lost during an erasure".to_owned() });
            }
        }
        for (delivery, settlement) in before.iter().zip(&wiping.settlements) {
            self.count_open(goes_on(&delivery.state), false);
            self.observer.committed(&settlement.event);
        }
        self.waiters.settled(lead);
        let after = wiping.settlements.iter().map(|settlement| settlement.delivery.state.name());
        let deliveries =
            before.iter().zip(after).map(|(delivery, after)| (delivery.id, delivery.state.name(), after)).collect();
        Ok(Some(Some(ErasedLead { lead, deliveries })))
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        let mut next = Some(0);
        while let Some(from) = next {
            next = self.pausing(AFTER_READER, || self.store.scrub(from)).await?;
        }
        Ok(())
    }

    /// Asks again while the store is full or busy.
    async fn patiently<T>(&self, ask: impl Fn() -> Pending<T>) -> Result<T, StoreError> {
        self.pausing(AFTER_BUSY, ask).await
    }

    async fn pausing<T>(&self, after_busy: Duration, ask: impl Fn() -> Pending<T>) -> Result<T, StoreError> {
        loop {
            let pause = match ask().await {
                Err(StoreError::Full { .. }) => AFTER_FULL,
                Err(StoreError::Busy) => after_busy,
                answered => return answered,
            };
            self.clock.sleep_until(self.clock.now().after(pause)).await;
        }
    }

    /// A lead of a person who asked for deletion: refused, or answered with nothing of it kept.
    pub(crate) async fn returned(
        &self,
        lead: &Lead,
        mut deliveries: Vec<Delivery>,
        event: Event,
        at: Timestamp,
        rules: ErasureRules,
    ) -> Result<Receipt, Refusal> {
        match rules.on_return {
            OnReturn::Refuse => return Err(Refusal::Erased { at, until: at.after(rules.refuse_for) }),
            OnReturn::Close => {}
        }
        for delivery in &mut deliveries {
            delivery.state = State::Closed { at: event.at, why: CloseReason::Erased };
        }
        let acceptance = Acceptance {
            lead: Arc::new(Lead { fields: Fields::new(), ..lead.clone() }),
            deliveries: deliveries.clone(),
            terms: Vec::new(),
            marks: Vec::new(),
            refuse_erased_since: None,
            dedupe: None,
            event: event.clone(),
        };
        match self.store.accept(acceptance).await? {
            Accepted::New => self.observer.committed(&event),
            Accepted::Replay { .. } | Accepted::KeyReused { .. } | Accepted::Erased { .. } => {}
        }
        Ok(Receipt { lead: lead.id, deliveries, replay: false })
    }
}

/// An address or a number in its form, where one is given.
pub(crate) fn contact<E>(kind: ContactKind, text: Option<&str>, bad: E) -> Result<Option<Contact>, E> {
    let Some(text) = text else { return Ok(None) };
    kind.normalise(text).map(|value| Some(Contact { kind, value })).ok_or(bad)
}
