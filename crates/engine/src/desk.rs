//! The desk's verbs on one delivery.
//!
//! A verb on a delivery whose attempt is under way waits until the attempt is settled: delivered wins.

use crate::run::{Engine, Inner};
use crate::settling::{Saved, goes_on};
use std::sync::Arc;
use steadfast_lead::{DeliveryId, LeadId};
use steadfast_retry::{Delivery, RefusedAfterSale, RefusedBySale, RefusedReroute, RefusedVerb, Verb, verb};
use steadfast_store::StoreError;

/// Why a verb was not applied. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedAction {
    /// No delivery of that id.
    #[error("there is no delivery {0}")]
    Unknown(DeliveryId),
    /// It does not fit where the delivery stands.
    #[error(transparent)]
    Verb(#[from] RefusedVerb),
    /// It cannot go that way.
    #[error(transparent)]
    Reroute(#[from] RefusedReroute),
    /// It does not fit how the sale of the lead stands.
    #[error(transparent)]
    Sale(#[from] RefusedBySale),
    /// It cannot be returned or converted.
    #[error(transparent)]
    AfterSale(#[from] RefusedAfterSale),
    /// Nothing is left of the lead.
    #[error("the lead {0} was erased: the person asked for deletion")]
    Erased(LeadId),
    /// Somebody else changed the delivery at the same moment.
    #[error("the delivery {0} is being changed by somebody else; look again")]
    Contended(DeliveryId),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acted {
    /// It is done; this is the delivery now.
    Done(Box<Delivery>),
    /// An attempt is under way; the verb is applied when it settles, unless the recipient takes the lead.
    Left,
}

impl Engine {
    /// Applies a person's verb to a delivery.
    ///
    /// # Errors
    /// [`RefusedAction`]; nothing was changed.
    pub async fn act(&self, id: DeliveryId, verb: Verb, by: &str) -> Result<Acted, RefusedAction> {
        let inner = Arc::clone(&self.inner);
        let by: Box<str> = by.into();
        // In a task of its own: a client that goes away must not leave a reserved delivery behind.
        let acted = tokio::spawn(async move { inner.act(id, verb, by).await }).await;
        acted.unwrap_or(Err(RefusedAction::Contended(id)))
    }
}

impl Inner {
    async fn act(self: Arc<Self>, id: DeliveryId, verb: Verb, by: Box<str>) -> Result<Acted, RefusedAction> {
        if !self.dispatch.lock().reserve(id) {
            let left = self.dispatch.lock().leave_verb(id, (verb, by));
            return if left { Ok(Acted::Left) } else { Err(RefusedAction::Contended(id)) };
        }
        self.recent.lock().take(id);
        self.begin_work();
        let result = self.act_reserved(id, &verb, &by).await;
        self.obey_and_finish(id, result.as_ref().ok().cloned()).await;
        self.end_work();
        result.map(Acted::Done)
    }

    async fn act_reserved(&self, id: DeliveryId, verb: &Verb, by: &str) -> Result<Box<Delivery>, RefusedAction> {
        let delivery = self.store.delivery(id).await?.ok_or(RefusedAction::Unknown(id))?;
        self.apply_verb(&delivery, verb, by).await
    }

    pub(crate) async fn apply_verb(
        &self,
        before: &Delivery,
        given: &Verb,
        by: &str,
    ) -> Result<Box<Delivery>, RefusedAction> {
        let now = self.clock.now();
        let settlement = match given {
            Verb::Reroute(asked) => self.rerouted(before, asked, by, now).await?,
            Verb::Retry => self.retried(before, by, now).await?,
            Verb::MarkDelivered { .. } | Verb::Dismiss { .. } | Verb::Erase => {
                verb(before, given, by, self.fence(before), now)?
            }
        };
        if *given != Verb::Erase && self.store.tombstone(before.lead).await?.is_some() {
            return Err(RefusedAction::Erased(before.lead));
        }
        match self.save(settlement, goes_on(&before.state)).await {
            Saved::Applied(delivery) => Ok(delivery),
            Saved::Refused(_) => Err(RefusedAction::Contended(before.id)),
            Saved::NotAllowed(refused) => Err(refused.into()),
            Saved::Lost => Err(StoreError::Stopped { detail: "the store takes no writes".to_owned() }.into()),
        }
    }
}
