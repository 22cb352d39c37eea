//! Retention in memory.

use super::{CountKey, Data, MemoryStore, count_key};
use crate::{
    Count, Cursor, EXPIRED_DELIVERIES_MAX, EXPIRED_MAX, Expired, ExpiredLead, Expiry, Pending, Pruned, Retention,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use steadfast_lead::{Lead, LeadId, Timestamp};
use steadfast_retry::Delivery;

/// How many lines of the journal one slice deletes.
const LINES: usize = 1_000;

/// What stays of what was deleted.
#[derive(Default)]
pub(super) struct Gone {
    counts: BTreeMap<CountKey, u64>,
    /// Lines of the journal.
    pub(super) lines: u64,
    /// The largest id.
    pub(super) last_id: Option<i64>,
}

impl Data {
    fn expired(&self, expiry: &Expiry, after: Option<LeadId>) -> Expired {
        let Some(latest) = expiry.latest() else { return Expired::default() };
        let mut expired = Expired::default();
        let mut deliveries = 0;
        for (id, (lead, _)) in &self.leads {
            if after.is_some_and(|after| *id <= after) || lead.accepted_at >= latest {
                continue;
            }
            if expired.leads.len() >= EXPIRED_MAX || deliveries >= EXPIRED_DELIVERIES_MAX {
                expired.next = expired.leads.last().map(|last| last.id);
                break;
            }
            let found = self.expired_lead(lead, expiry);
            deliveries += found.as_ref().map_or(0, |lead| lead.deliveries.len());
            expired.leads.extend(found);
        }
        expired
    }

    fn expired_lead(&self, lead: &Lead, expiry: &Expiry) -> Option<ExpiredLead> {
        let before = expiry.of_flow(&lead.flow)?;
        let ended = |delivery: &&Delivery| delivery.state.ended_at().is_some_and(|at| at < before);
        let (_, ids) = self.leads.get(&lead.id)?;
        let deliveries: Vec<&Delivery> =
            ids.iter().filter_map(|id| Some(&self.deliveries.get(id)?.0)).filter(ended).collect();
        let kept = self.forgetting.keeps(lead.id, expiry.erasures);
        (deliveries.len() == ids.len() && lead.accepted_at < before && !kept).then(|| ExpiredLead {
            id: lead.id,
            deliveries: deliveries.iter().map(|delivery| (delivery.id, delivery.version)).collect(),
        })
    }

    fn prune_lead(&mut self, lead: &ExpiredLead, now: Timestamp) -> Pruned {
        let is_current = |(id, version): &(_, u32)| {
            let standing = self.deliveries.get(id);
            standing.is_some_and(|(now, _)| now.version == *version && now.state.ended_at().is_some())
        };
        let same = self.leads.get(&lead.id).is_some_and(|(_, ids)| ids.len() == lead.deliveries.len());
        if !same || !lead.deliveries.iter().all(is_current) {
            return Pruned::default();
        }
        for (id, _) in &lead.deliveries {
            if let Some((delivery, _)) = self.deliveries.remove(id) {
                self.displace(&delivery);
                *self.gone.counts.entry(count_key(&delivery)).or_insert(0) += 1;
            }
        }
        let ids: Vec<_> = lead.deliveries.iter().map(|(id, _)| *id).collect();
        let largest = ids.iter().map(|id| id.raw()).chain([lead.id.raw()]).max();
        self.gone.last_id = largest.max(self.gone.last_id);
        self.leads.remove(&lead.id);
        self.guards.retain(|_, (guard, of)| *of != lead.id || guard.until >= now);
        self.forgetting.drop_lead(lead.id, &ids);
        Pruned { leads: 1, deliveries: u64::try_from(ids.len()).unwrap_or(u64::MAX), ..Pruned::default() }
    }

    fn prune_rest(&mut self, expiry: &Expiry) -> Pruned {
        let before = expiry.journal.unwrap_or(Timestamp::MIN);
        // The newest line stays.
        let there = self.journal.len().saturating_sub(1);
        let lines = self.journal.iter().take(there.min(LINES)).take_while(|event| event.at < before).count();
        self.journal.drain(..lines);
        let lines = u64::try_from(lines).unwrap_or(u64::MAX);
        self.gone.lines += lines;
        let before = expiry.leads.unwrap_or(Timestamp::MIN);
        let replaced = self.configs.iter().skip(1).take_while(|next| next.at < before).count();
        self.configs.drain(..replaced);
        let configs = u64::try_from(replaced).unwrap_or(u64::MAX);
        let erasures = self.forgetting.prune(expiry.erasures.unwrap_or(Timestamp::MIN));
        Pruned { journal: lines, configs, erasures, ..Pruned::default() }
    }
}

impl Retention for MemoryStore {
    fn expired(&self, expiry: Arc<Expiry>, after: Option<LeadId>) -> Pending<Expired> {
        self.read(|data| data.expired(&expiry, after))
    }

    fn prune_leads(&self, leads: Vec<ExpiredLead>, expiry: Arc<Expiry>) -> Pending<Pruned> {
        self.write(|data| {
            self.is_superseded(data)?;
            let pruned = leads.iter().map(|lead| data.prune_lead(lead, expiry.now));
            Ok(pruned.fold(Pruned::default(), Pruned::and))
        })
    }

    fn prune_rest(&self, expiry: Arc<Expiry>) -> Pending<Pruned> {
        self.write(|data| self.is_superseded(data).map(|()| data.prune_rest(&expiry)))
    }

    fn pruned(&self) -> Pending<Vec<Count>> {
        self.read(|data| {
            let counts = data.gone.counts.iter().map(|((flow, recipient, test, state), deliveries)| Count {
                flow: flow.clone(),
                recipient: recipient.clone(),
                test: *test,
                state: *state,
                deliveries: *deliveries,
            });
            counts.collect()
        })
    }

    fn journal_pruned_to(&self) -> Pending<Cursor> {
        self.read(|data| Cursor(data.gone.lines))
    }
}
