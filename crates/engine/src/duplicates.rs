//! What keeps a delivery from being sent: that it is a test lead's, which its recipient does not take; and the duplicate
//! guard: before a first attempt, and before the first after a person asked for another, whether the same
//! person went to the recipient before.
//!
//! Exact: a delivery holds its mark in memory from before it looks into the store until its settlement is stored. Another
//! with the same mark meets either the mark or the settlement; then it waits until the first one's fate is known.

use crate::run::Inner;
use std::collections::HashMap;
use std::time::Duration;
use steadfast_flow::{DuplicateAction, DuplicateGuard, DuplicateOn, StepPlan, TestLeads};
use steadfast_lead::{DeliveryId, Lead, Timestamp};
use steadfast_retry::{Delivery, DuplicateFate, Entry, HoldReason, Settlement, State, close_test, duplicate, hold};
use steadfast_store::{StoreError, Term};

/// Marked deliveries read at once.
const PAGE: usize = 256;
/// No lead is older than this when it is delivered; earlier ones cannot have been delivered within the window.
const LEAD_AGE_MAX: Duration = Duration::from_secs(91 * 86_400);
/// How soon a delivery that waits for another is looked at again: at first, and at the latest.
const LOOK_SOON: Duration = Duration::from_secs(1);
const LOOK_LATE: Duration = Duration::from_secs(60);

/// Marks of the deliveries that are being sent for the first time.
#[derive(Default)]
pub(crate) struct Reservations {
    holders: HashMap<Term, DeliveryId>,
    marks: HashMap<DeliveryId, Term>,
}

impl Reservations {
    /// Takes a mark, if nobody else has it.
    ///
    /// # Errors
    /// Who has it.
    fn take(&mut self, mark: Term, delivery: DeliveryId) -> Result<(), DeliveryId> {
        let holder = *self.holders.entry(mark).or_insert(delivery);
        if holder != delivery {
            return Err(holder);
        }
        self.marks.insert(delivery, mark);
        Ok(())
    }

    /// Its settlement is stored.
    pub(crate) fn release(&mut self, delivery: DeliveryId) {
        if let Some(mark) = self.marks.remove(&delivery) {
            self.holders.remove(&mark);
        }
    }
}

/// What stands in a delivery's way.
enum Earlier {
    /// The person went to the recipient.
    Went { delivery: DeliveryId, at: Timestamp },
    /// It is on its way there.
    OnItsWay { delivery: DeliveryId, next_look: Option<Timestamp> },
}

impl Inner {
    /// What becomes of a delivery in place of sending it; `None` where it may be sent. Then it holds its mark until
    /// [`Reservations::release`].
    pub(crate) async fn guard(
        &self,
        delivery: &Delivery,
        lead: &Lead,
        plan: &StepPlan,
        now: Timestamp,
    ) -> Option<Settlement> {
        if delivery.test && plan.test_leads == TestLeads::Skip {
            return close_test(delivery, self.fence(delivery), now);
        }
        let guard = plan.duplicates.as_deref()?;
        if delivery.test || delivery.progress.attempts > 0 {
            return None;
        }
        let mark = self.mark(guard, &plan.endpoint.recipient, &lead.fields)?;
        let taken = self.reserved.lock().take(mark, delivery.id);
        let earlier = match taken {
            Err(holder) => Some(Earlier::OnItsWay { delivery: holder, next_look: None }),
            Ok(()) => self.earlier_patiently(guard, mark, delivery, now).await,
        };
        match earlier? {
            Earlier::Went { delivery: other, at } => self.settle_duplicate(delivery, guard, other, at, now),
            Earlier::OnItsWay { delivery: other, next_look } => self.wait_for_other(delivery, other, next_look, now),
        }
    }

    fn settle_duplicate(
        &self,
        delivery: &Delivery,
        guard: &DuplicateGuard,
        other: DeliveryId,
        at: Timestamp,
        now: Timestamp,
    ) -> Option<Settlement> {
        let fate = match guard.action() {
            // What may have been taken has not ended: a person says which it is.
            _ if delivery.progress.may_be_taken() => DuplicateFate::Review,
            DuplicateAction::Reject => DuplicateFate::Reject,
            DuplicateAction::Review => DuplicateFate::Review,
            DuplicateAction::Skip => DuplicateFate::Skip,
        };
        let (fields, recipient) = (guard.fields_told(), &delivery.endpoint.recipient);
        let went = match guard.on() {
            DuplicateOn::Delivered => "was delivered",
            DuplicateOn::Sent => "was sent",
        };
        let because = format!("not sent: {other}, of the same {fields}, {went} to {recipient} at {at}");
        duplicate(delivery, fate, because.into(), self.fence(delivery), now)
    }

    fn wait_for_other(
        &self,
        delivery: &Delivery,
        other: DeliveryId,
        next_look: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Settlement> {
        let waited = delivery.state.due().map_or(Duration::ZERO, |due| now.since(due));
        let soon = now.after(waited.clamp(LOOK_SOON, LOOK_LATE));
        let until = next_look.map_or(soon, |next| next.after(LOOK_SOON).max(soon));
        tracing::debug!(delivery = %delivery.id, %other, %until, "waits for another of the same person");
        hold(delivery, until, HoldReason::Duplicate, self.fence(delivery), now)
    }

    async fn earlier_patiently(
        &self,
        guard: &DuplicateGuard,
        mark: Term,
        own: &Delivery,
        now: Timestamp,
    ) -> Option<Earlier> {
        const AFTER_FAILURE: Duration = Duration::from_secs(1);
        loop {
            match self.earlier(guard, mark, own, now).await {
                Ok(earlier) => return earlier,
                Err(error) => {
                    tracing::error!(delivery = %own.id, %error, "duplicates could not be looked for; trying again");
                    self.clock.sleep_until(self.clock.now().after(AFTER_FAILURE)).await;
                }
            }
        }
    }

    /// The first delivery with a mark that went within the guard's window; else one that is on its way.
    async fn earlier(
        &self,
        guard: &DuplicateGuard,
        mark: Term,
        own: &Delivery,
        now: Timestamp,
    ) -> Result<Option<Earlier>, StoreError> {
        let since = now.before(guard.window());
        let mut after = DeliveryId::first_at(since.before(LEAD_AGE_MAX));
        let mut on_its_way = None;
        loop {
            let found = self.store.marked(mark, after, PAGE).await?;
            // Its mark tells of every recipient its legs may lead to; where it went is where it stands.
            let mut others =
                found.iter().filter(|other| other.id != own.id && other.endpoint.recipient == own.endpoint.recipient);
            let went = others.clone().find_map(|other| went(other, guard.on(), since));
            if went.is_some() {
                return Ok(went);
            }
            let moved = self.went_before_it_moved(&found, own, guard.on(), since).await?;
            if moved.is_some() {
                return Ok(moved);
            }
            on_its_way = on_its_way.or_else(|| others.find_map(|other| on_its_way_there(other, own)));
            match found.last() {
                Some(last) if found.len() == PAGE => after = last.id,
                Some(_) | None => return Ok(on_its_way),
            }
        }
    }
}

impl Inner {
    /// One that was sent to the recipient by an earlier leg, and stands at another by now: where it went is in its history.
    async fn went_before_it_moved(
        &self,
        found: &[Delivery],
        own: &Delivery,
        on: DuplicateOn,
        since: Timestamp,
    ) -> Result<Option<Earlier>, StoreError> {
        const LINES: usize = 256;
        let recipient = &own.endpoint.recipient;
        let moved = |other: &&Delivery| other.progress.leg > 0 && other.endpoint.recipient != *recipient;
        if on != DuplicateOn::Sent {
            return Ok(None);
        }
        for other in found.iter().filter(moved) {
            let history = self.store.history(other.id, 0, LINES).await?;
            let first = history.iter().find_map(|entry| match entry {
                Entry::Attempt(attempt) if attempt.endpoint.recipient == *recipient => {
                    attempt.evidence.phase.possibly_sent().then_some(attempt.started)
                }
                Entry::Attempt(_) | Entry::LookUp(_) | Entry::Change(_) => None,
            });
            if let Some(at) = first.filter(|at| *at >= since) {
                return Ok(Some(Earlier::Went { delivery: other.id, at }));
            }
        }
        Ok(None)
    }
}

fn went(other: &Delivery, on: DuplicateOn, since: Timestamp) -> Option<Earlier> {
    let at = went_at(other, on).filter(|at| *at >= since)?;
    Some(Earlier::Went { delivery: other.id, at })
}

/// It was tried, or may have been just before an unclean stop or before a person asked for another try, and goes on. Of two of
/// which neither is known to have gone, the older goes first.
fn on_its_way_there(other: &Delivery, own: &Delivery) -> Option<Earlier> {
    let next_look = other.state.next_look()?;
    let first_of_two = !own.progress.may_be_taken() || other.id < own.id;
    let on_its_way = other.progress.attempts > 0 || (other.progress.may_be_taken() && first_of_two);
    on_its_way.then_some(Earlier::OnItsWay { delivery: other.id, next_look: Some(next_look) })
}

/// When a delivery went to its recipient, as the guard means it; `None` where it did not.
fn went_at(delivery: &Delivery, on: DuplicateOn) -> Option<Timestamp> {
    if let State::Delivered { at, .. } = delivery.state {
        return Some(at);
    }
    match on {
        DuplicateOn::Delivered => None,
        DuplicateOn::Sent => {
            let first = delivery.progress.first_attempt_at.unwrap_or(delivery.accepted_at);
            delivery.body.is_some().then_some(first)
        }
    }
}
