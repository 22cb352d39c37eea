//! Returns and conversions: what a buyer says of a delivery it took; and what it pays, noted when it takes it.

use crate::desk::RefusedAction;
use crate::run::{Engine, Inner};
use crate::settling::{Saved, goes_on};
use std::sync::Arc;
use steadfast_flow::{ReturnRules, price_said};
use steadfast_lead::DeliveryId;
use steadfast_retry::{AfterSale, Booking, Delivery, Entry, Settlement, State, after_sale};
use steadfast_store::StoreError;

impl Engine {
    /// Notes what a buyer says of a delivery it took: once, and in time.
    ///
    /// # Errors
    /// [`RefusedAction`]; nothing was changed.
    pub async fn after_sale(&self, id: DeliveryId, said: AfterSale, by: &str) -> Result<Box<Delivery>, RefusedAction> {
        let (inner, by): (_, Box<str>) = (Arc::clone(&self.inner), by.into());
        // In a task of its own: a client that goes away must not leave a reserved delivery behind.
        let noted = tokio::spawn(async move { inner.note(id, &said, &by).await }).await;
        noted.unwrap_or(Err(RefusedAction::Contended(id)))
    }
}

impl Inner {
    async fn note(self: Arc<Self>, id: DeliveryId, said: &AfterSale, by: &str) -> Result<Box<Delivery>, RefusedAction> {
        if !self.dispatch.lock().reserve(id) {
            return Err(RefusedAction::Contended(id));
        }
        self.begin_work();
        let noted = self.note_reserved(id, said, by).await;
        self.obey_and_finish(id, noted.as_ref().ok().cloned()).await;
        self.end_work();
        noted
    }

    async fn note_reserved(&self, id: DeliveryId, said: &AfterSale, by: &str) -> Result<Box<Delivery>, RefusedAction> {
        let before = self.store.delivery(id).await?.ok_or(RefusedAction::Unknown(id))?;
        if self.store.tombstone(before.lead).await?.is_some() {
            return Err(RefusedAction::Erased(before.lead));
        }
        let book = self.book();
        let rules = book.step(&before.flow, &before.step).map_or(ReturnRules::default(), |plan| plan.returns);
        let settlement = after_sale(&before, said, by, rules.within, self.fence(&before), self.clock.now())?;
        match self.save(settlement, goes_on(&before.state)).await {
            Saved::Applied(delivery) => Ok(delivery),
            Saved::Refused(_) => Err(RefusedAction::Contended(id)),
            Saved::NotAllowed(refused) => Err(refused.into()),
            Saved::Lost => Err(StoreError::Stopped { detail: "the store takes no writes".to_owned() }.into()),
        }
    }

    /// Notes what the buyer pays with the settlement that says it has the lead: what its answer named, else what is expected.
    pub(crate) fn book_price(&self, settlement: &mut Settlement) {
        let State::Delivered { at, .. } = settlement.delivery.state else { return };
        if settlement.delivery.booking.is_some() {
            return;
        }
        let said = match &settlement.entry {
            Entry::Attempt(attempt) => price_said(&attempt.verdict),
            Entry::LookUp(_) | Entry::Change(_) => None,
        };
        let delivery = &settlement.delivery;
        let expected = || self.book().step(&delivery.flow, &delivery.step)?.price.clone();
        let price = said.or_else(expected);
        settlement.delivery.booking = price.map(|price| {
            Box::new(Booking { delivered_at: at, price: Some(price), returned_at: None, conversion: None })
        });
    }
}
