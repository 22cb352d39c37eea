//! What a settlement moves beside its own delivery: read as it stands, decided by the pure part, stored in one transaction.
//!
//! Exact without a lock: a settlement names the versions of the others it was made with, and a store refuses it when one has
//! changed. Then it is made again.

use crate::run::Inner;
use crate::settling::goes_on;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::Lead;
use steadfast_retry::{Delivery, RefusedBySale, Settlement, Standing, Ties, concerns_others, standing, tie};

/// How soon the other deliveries of a lead are read again after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

impl Inner {
    /// A settlement with what it moves of its lead; `None` where it concerns nobody else, as most.
    ///
    /// # Errors
    /// [`RefusedBySale`] for a person's verb.
    pub(crate) async fn tie(&self, settlement: &Settlement) -> Result<Option<Settlement>, RefusedBySale> {
        if !concerns_others(settlement) {
            return Ok(None);
        }
        let (lead, all) = self.lead_patiently(settlement).await.unzip();
        let all = all.unwrap_or_default();
        let none = Ties::default();
        let book = self.book();
        let ties = book.flow(settlement.delivery.flow.as_str()).map_or(&none, |flow| &flow.ties);
        let now = self.clock.now();
        let mut tied = tie(settlement.clone(), &all, ties, now)?;
        if let (Some(lead), Some(others)) = (lead, &mut tied.tied) {
            for moved in &mut others.moved {
                self.choose_at_beginning(&mut moved.delivery, &mut moved.entry, &lead, now);
            }
        }
        tell_of_a_second_buyer(&tied, &all);
        Ok(Some(tied))
    }

    async fn lead_patiently(&self, settlement: &Settlement) -> Option<(Arc<Lead>, Vec<Delivery>)> {
        loop {
            match self.store.lead(settlement.delivery.lead).await {
                Ok(found) => return found,
                Err(error) => {
                    tracing::error!(delivery = %settlement.delivery.id, %error, "a lead could not be read; trying again");
                    self.clock.sleep_until(self.clock.now().after(AFTER_FAILURE)).await;
                }
            }
        }
    }

    /// What was stored beside a settlement's own delivery is counted, told, and offered to dispatch where it waits now.
    pub(crate) fn moved(&self, settlement: &Settlement) {
        for moved in settlement.tied.iter().flat_map(|tied| &tied.moved) {
            self.count_open(moved.was_open, goes_on(&moved.delivery.state));
            self.observer.committed(&moved.event);
            self.offer(&moved.delivery);
        }
    }
}

/// It cannot come to this while turns are given one by one; should it, what a buyer said is kept, and a person is told.
fn tell_of_a_second_buyer(settlement: &Settlement, all: &[Delivery]) {
    let after = &settlement.delivery;
    if !after.tie.buyer || standing(after) != Standing::Has {
        return;
    }
    let before = all.iter().filter(|one| one.tie.buyer && one.id != after.id);
    if let Some(first) = before.into_iter().find(|one| standing(one) == Standing::Has) {
        tracing::error!(delivery = %after.id, sold_to = %first.id, "a second buyer has taken a lead that was sold");
    }
}
