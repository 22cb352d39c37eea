//! Guards and stops in memory.

use super::MemoryStore;
use crate::{KeptGuard, Pending, Protection};
use steadfast_retry::{Event, Stop, StopTarget};

impl Protection for MemoryStore {
    fn keep_guard(&self, guard: KeptGuard, events: Vec<Event>) -> Pending<()> {
        self.write(|data| {
            self.is_superseded(data)?;
            data.protected.insert(guard.endpoint, guard.snapshot);
            data.journal.extend(events);
            Ok(())
        })
    }

    fn guards(&self) -> Pending<Vec<KeptGuard>> {
        self.read(|data| {
            let kept = data.protected.iter();
            kept.map(|(endpoint, snapshot)| KeptGuard { endpoint: endpoint.clone(), snapshot: *snapshot }).collect()
        })
    }

    fn keep_stop(&self, stop: Stop, event: Event) -> Pending<()> {
        self.write(|data| {
            self.is_superseded(data)?;
            data.stops.insert(stop.target.clone(), stop);
            data.journal.push(event);
            Ok(())
        })
    }

    fn end_stop(&self, target: StopTarget, event: Event) -> Pending<()> {
        self.write(|data| {
            self.is_superseded(data)?;
            data.stops.remove(&target);
            data.journal.push(event);
            Ok(())
        })
    }

    fn stops(&self) -> Pending<Vec<Stop>> {
        self.read(|data| data.stops.values().cloned().collect())
    }
}
