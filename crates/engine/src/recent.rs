//! Leads accepted a moment ago whose turn had not come: kept for a while, so that starting them soon reads nothing back.
//!
//! Only a shortcut: whatever is not here is read from the store. What a verb or an erasure is about to change is forgotten
//! first, so nothing is ever sent from here that the store would no longer send.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{DeliveryId, Lead};
use steadfast_retry::Delivery;

/// Deliveries kept at most.
const COUNT_MAX: usize = 16_384;
/// What their leads may hold together, about; each is counted once for each of its deliveries.
const BYTES_MAX: usize = 32 << 20;
/// Whose turn has not come after this is held up, and makes room. Until then the oldest stay, whose turn comes first: were they to
/// make room, nothing would be found here any more as soon as more comes in than is kept.
const SOON: Duration = Duration::from_secs(5);

struct Kept {
    delivery: Delivery,
    lead: Arc<Lead>,
    bytes: usize,
}

/// See the module's text.
#[derive(Default)]
pub(crate) struct Recent {
    kept: HashMap<DeliveryId, Kept>,
    /// In the order they came; those no longer kept are passed over.
    order: VecDeque<DeliveryId>,
    bytes: usize,
}

impl Recent {
    /// Keeps one, where there is room or what is kept is held up.
    pub(crate) fn keep(&mut self, delivery: &Delivery, lead: &Arc<Lead>) {
        let bytes = lead.fields.held_bytes();
        if bytes > BYTES_MAX / 32 {
            return;
        }
        while self.kept.len() >= COUNT_MAX || self.bytes + bytes > BYTES_MAX {
            let Some(oldest) = self.order.front().copied() else { return };
            let is_soon = |kept: &Kept| delivery.accepted_at.since(kept.delivery.accepted_at) < SOON;
            if self.kept.get(&oldest).is_some_and(is_soon) {
                return;
            }
            self.order.pop_front();
            self.take(oldest);
        }
        if self.order.len() >= 2 * COUNT_MAX {
            self.order.retain(|id| self.kept.contains_key(id));
        }
        self.order.push_back(delivery.id);
        self.bytes += bytes;
        self.kept.insert(delivery.id, Kept { delivery: delivery.clone(), lead: Arc::clone(lead), bytes });
    }

    /// Gives one out, and keeps it no longer.
    pub(crate) fn take(&mut self, delivery: DeliveryId) -> Option<(Delivery, Arc<Lead>)> {
        let Kept { delivery, lead, bytes } = self.kept.remove(&delivery)?;
        self.bytes -= bytes;
        if self.kept.is_empty() {
            self.order.clear();
        }
        Some((delivery, lead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_lead::{
        Fields, FlowName, IdSequence, NodeNumber, Priority, RecipientName, StepName, Timestamp, Value,
    };
    use steadfast_retry::{Endpoint, LegProgress, State, Tie};

    fn accepted(ids: &mut IdSequence, text: &str) -> (Delivery, Arc<Lead>) {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let mut fields = Fields::new();
        fields.insert("note", Value::text(text)).unwrap();
        let flow = FlowName::new("auto").unwrap();
        let lead = Lead { id: ids.next(now), flow: flow.clone(), source: None, accepted_at: now, test: false, fields };
        let delivery = Delivery {
            id: ids.next(now),
            lead: lead.id,
            flow,
            step: StepName::new("sell").unwrap(),
            endpoint: Endpoint { recipient: RecipientName::new("bank").unwrap(), origin: "https://x:443".into() },
            accepted_at: now,
            priority: Priority::Normal,
            test: false,
            tie: Tie::default(),
            choice: None,
            booking: None,
            version: 0,
            attempts: 0,
            progress: LegProgress::default(),
            body: None,
            last_kind: None,
            state: State::Waiting { due: now },
        };
        (delivery, Arc::new(lead))
    }

    #[test]
    fn what_was_kept_is_given_once_and_the_oldest_stay_while_their_turn_may_come() {
        let (mut recent, mut ids) = (Recent::default(), IdSequence::resuming(NodeNumber(0), None));
        let all: Vec<_> = (0..COUNT_MAX + 10).map(|_| accepted(&mut ids, "x")).collect();
        all.iter().for_each(|(delivery, lead)| recent.keep(delivery, lead));
        assert_eq!((recent.kept.len(), recent.order.len()), (COUNT_MAX, COUNT_MAX));
        assert!(recent.take(all[COUNT_MAX].0.id).is_none(), "there was no room for it");
        let given = recent.take(all[0].0.id).unwrap();
        assert_eq!(given.0, all[0].0);
        assert!(recent.take(all[0].0.id).is_none());
    }

    #[test]
    fn what_is_held_up_makes_room() {
        let (mut recent, mut ids) = (Recent::default(), IdSequence::resuming(NodeNumber(0), None));
        let held: Vec<_> = (0..COUNT_MAX).map(|_| accepted(&mut ids, "x")).collect();
        held.iter().for_each(|(delivery, lead)| recent.keep(delivery, lead));
        let (mut later, lead) = accepted(&mut ids, "x");
        later.accepted_at = held[0].0.accepted_at.after(SOON);
        recent.keep(&later, &lead);
        assert!(recent.take(held[0].0.id).is_none() && recent.take(later.id).is_some());
    }

    #[test]
    fn the_order_of_what_was_given_out_is_forgotten() {
        let (mut recent, mut ids) = (Recent::default(), IdSequence::resuming(NodeNumber(0), None));
        let (held, lead) = accepted(&mut ids, "x");
        recent.keep(&held, &lead);
        for _ in 0..5 * COUNT_MAX {
            let (delivery, lead) = accepted(&mut ids, "x");
            recent.keep(&delivery, &lead);
            assert!(recent.take(delivery.id).is_some() && recent.order.len() <= 2 * COUNT_MAX);
        }
        assert!(recent.take(held.id).is_some());
    }

    #[test]
    fn large_leads_are_bounded_by_what_they_hold() {
        let (mut recent, mut ids) = (Recent::default(), IdSequence::resuming(NodeNumber(0), None));
        let text = "x".repeat(1_000_000);
        for _ in 0..100 {
            let (delivery, lead) = accepted(&mut ids, &text);
            recent.keep(&delivery, &lead);
            assert!(recent.bytes <= BYTES_MAX);
        }
        assert_eq!(recent.kept.len(), 33);
        let (delivery, lead) = accepted(&mut ids, &"x".repeat(BYTES_MAX / 16));
        recent.keep(&delivery, &lead);
        assert!(recent.take(delivery.id).is_none(), "one that would push out all others is not kept");
    }
}
