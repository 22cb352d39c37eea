//! Single deliveries, lists and counts in memory.

use super::{Data, MemoryStore};
use crate::{Count, Deliveries, Filter, Page, Pending};
use std::sync::Arc;
use steadfast_lead::{DeliveryId, Lead, LeadId};
use steadfast_retry::{Delivery, Entry};

impl Data {
    fn list(&self, filter: &Filter, after: Option<DeliveryId>, limit: usize) -> Page<Delivery> {
        let below = after.or(DeliveryId::from_raw(i64::MAX)).into_iter();
        let below = below.chain(filter.until.map(DeliveryId::first_at)).min();
        let from = filter.since.map(DeliveryId::first_at);
        let newest_first = self.deliveries.iter().rev().map(|(_, (delivery, _))| delivery);
        let mut fitting = newest_first.filter(|delivery| {
            below.is_none_or(|below| delivery.id < below)
                && from.is_none_or(|from| delivery.id >= from)
                && fits(filter, delivery)
        });
        let limit = limit.max(1);
        let items: Vec<Delivery> = fitting.by_ref().take(limit).cloned().collect();
        let next = fitting.next().and_then(|_| items.last().map(|last| last.id));
        Page { items, next }
    }
}

fn fits(filter: &Filter, delivery: &Delivery) -> bool {
    filter.state.is_none_or(|state| state == delivery.state.name())
        && filter.recipient.as_ref().is_none_or(|recipient| *recipient == delivery.endpoint.recipient)
        && filter.flow.as_ref().is_none_or(|flow| *flow == delivery.flow)
        && filter.kind.as_deref().is_none_or(|kind| Some(kind) == delivery.last_kind)
}

impl Deliveries for MemoryStore {
    fn delivery(&self, id: DeliveryId) -> Pending<Option<Delivery>> {
        self.read(|data| data.deliveries.get(&id).map(|(delivery, _)| delivery.clone()))
    }

    fn lead(&self, id: LeadId) -> Pending<Option<(Arc<Lead>, Vec<Delivery>)>> {
        self.read(|data| {
            let (lead, ids) = data.leads.get(&id)?;
            let deliveries = ids.iter().filter_map(|id| Some(data.deliveries.get(id)?.0.clone()));
            Some((Arc::clone(lead), deliveries.collect()))
        })
    }

    fn history(&self, id: DeliveryId, skip: usize, limit: usize) -> Pending<Vec<Entry>> {
        self.read(|data| {
            let history = data.deliveries.get(&id).map(|(_, history)| history.as_slice()).unwrap_or_default();
            history.iter().skip(skip).take(limit).cloned().collect()
        })
    }

    fn list(&self, filter: Filter, after: Option<DeliveryId>, limit: usize) -> Pending<Page<Delivery>> {
        self.read(|data| data.list(&filter, after, limit))
    }

    fn counts(&self) -> Pending<Vec<Count>> {
        self.read(|data| {
            let counts = data.counts.iter().map(|((flow, recipient, test, state), deliveries)| Count {
                flow: flow.clone(),
                recipient: recipient.clone(),
                test: *test,
                state: *state,
                deliveries: *deliveries,
            });
            counts.collect()
        })
    }
}
