//! Caps in memory.

use super::{Data, MemoryStore};
use crate::{CAPS_PRUNED_MAX, Caps, Pending};
use std::collections::{BTreeMap, BTreeSet};
use steadfast_lead::{DeliveryId, Timestamp};
use steadfast_retry::{CapChange, CapPeriod};

/// What is kept of caps.
#[derive(Default)]
pub(super) struct KeptCaps {
    counts: BTreeMap<CapPeriod, u64>,
    places: BTreeSet<(DeliveryId, CapPeriod)>,
}

impl Data {
    pub(super) fn count_caps(&mut self, delivery: DeliveryId, change: CapChange) {
        let kept = &mut self.caps;
        for period in change.add {
            *kept.counts.entry(period).or_insert(0) += 1;
        }
        kept.places.retain(|(of, _)| *of != delivery);
        kept.places.extend(change.keep.into_iter().map(|period| (delivery, period)));
    }

    fn prune_caps(&mut self, before: Timestamp) -> u64 {
        let kept = &mut self.caps;
        let counts = kept.counts.keys().filter(|period| period.until < before);
        let counts: Vec<CapPeriod> = counts.take(CAPS_PRUNED_MAX).cloned().collect();
        let places = kept.places.iter().filter(|(_, period)| period.until < before);
        let places: Vec<_> = places.take(CAPS_PRUNED_MAX).cloned().collect();
        counts.iter().for_each(|period| _ = kept.counts.remove(period));
        places.iter().for_each(|place| _ = kept.places.remove(place));
        u64::try_from(counts.len() + places.len()).unwrap_or(u64::MAX)
    }
}

impl Caps for MemoryStore {
    fn cap_counts(&self, since: Timestamp) -> Pending<Vec<(CapPeriod, u64)>> {
        self.read(|data| {
            let counts = data.caps.counts.iter().filter(|(period, _)| period.until >= since);
            counts.map(|(period, used)| (period.clone(), *used)).collect()
        })
    }

    fn cap_places(&self, since: Timestamp) -> Pending<Vec<(DeliveryId, CapPeriod)>> {
        self.read(|data| data.caps.places.iter().filter(|(_, period)| period.until >= since).cloned().collect())
    }

    fn prune_caps(&self, before: Timestamp) -> Pending<u64> {
        self.write(|data| self.is_superseded(data).map(|()| data.prune_caps(before)))
    }
}
