//! What is held for a cap is looked at again before its period ends, where a place that was in doubt came free. Oldest first, no
//! more at a time than there is room for, and only while there is some. What a changed configuration gives room to is
//! [`crate::replan`]'s.
//!
//! A hint lost costs lateness only: what is held looks again by itself when its period ends.

use crate::run::Inner;
use crate::settling::Saved;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use steadfast_flow::is_bound_by;
use steadfast_lead::{DeliveryId, Timestamp};
use steadfast_retry::{Delivery, HoldReason, State, StateName, look_again};
use steadfast_store::{Filter, StoreError};

/// Held deliveries read at once.
const PAGE: usize = 256;
/// The oldest that one search remembers; where there are more, another follows.
const FOUND_MAX: usize = 10_000;
/// Looked at before those before them have had time to be sent.
const AT_ONCE: usize = 64;
/// That time.
const PACE: Duration = Duration::from_millis(100);

/// Scopes of caps, as users name them.
pub(crate) type Scopes = BTreeSet<Arc<str>>;

/// Looks again whenever there is reason to. Ends when the engine drains.
pub(crate) async fn keep_looking_again(inner: Arc<Inner>) {
    while !inner.draining.load(Ordering::SeqCst) {
        inner.caps.roomier.notified().await;
        let scopes = inner.caps.take_roomier();
        if let Err(error) = inner.look_at_held(&scopes).await {
            tracing::warn!(%error, "what is held for a cap is looked at again when its period ends");
        }
    }
}

impl Inner {
    async fn look_at_held(self: &Arc<Self>, scopes: &Scopes) -> Result<(), StoreError> {
        let mut since = None;
        loop {
            let (found, more) = self.held_for_caps(scopes, since).await?;
            since = found.back().map(|last| last.made_at().after(Duration::from_millis(1)));
            let all = self.look_while_there_is_room(found, scopes).await;
            if !all || !more || since.is_none() {
                return Ok(());
            }
        }
    }

    /// Whether there was room to the end.
    async fn look_while_there_is_room(self: &Arc<Self>, mut found: VecDeque<DeliveryId>, scopes: &Scopes) -> bool {
        while !found.is_empty() {
            let room = self.room_of(scopes).min(AT_ONCE);
            if room == 0 || self.draining.load(Ordering::SeqCst) {
                return false;
            }
            for id in found.drain(..room.min(found.len())) {
                self.look_at(id).await;
            }
            self.clock.sleep_until(self.clock.now().after(PACE)).await;
        }
        true
    }

    /// The oldest that are held for one of these caps, oldest first, and whether there are more.
    async fn held_for_caps(
        &self,
        scopes: &Scopes,
        since: Option<Timestamp>,
    ) -> Result<(VecDeque<DeliveryId>, bool), StoreError> {
        let (mut found, mut after) = (VecDeque::new(), None);
        let mut seen = 0_usize;
        loop {
            let filter = Filter { state: Some(StateName::Held), since, ..Filter::default() };
            let page = self.store.list(filter, after, PAGE).await?;
            for one in page.items.iter().filter(|one| is_held_for(one, scopes)) {
                seen += 1;
                found.push_front(one.id);
            }
            found.truncate(FOUND_MAX);
            after = page.next;
            if after.is_none() || self.draining.load(Ordering::SeqCst) {
                return Ok((found, seen > FOUND_MAX));
            }
        }
    }

    /// How many more one of these caps may take now.
    fn room_of(&self, scopes: &Scopes) -> usize {
        let standings = self.cap_standings();
        let room = |scope: &Arc<str>| {
            let of_scope = standings.iter().filter(|standing| standing.cap.scope == *scope);
            of_scope.map(|one| one.cap.max.saturating_sub(one.tally.used.saturating_add(one.tally.reserved))).min()
        };
        usize::try_from(scopes.iter().filter_map(room).max().unwrap_or(0)).unwrap_or(usize::MAX)
    }

    /// Has one looked at now. Nothing where it is under way, or is not held for a cap any more.
    async fn look_at(self: &Arc<Self>, id: DeliveryId) {
        if !self.dispatch.lock().reserve(id) {
            return;
        }
        self.recent.lock().take(id);
        self.begin_work();
        let mut stands = self.store.delivery(id).await.ok().flatten().map(Box::new);
        let again = |held: &Delivery| look_again(held, self.fence(held), self.clock.now());
        if let Some(settlement) = stands.as_deref().and_then(again) {
            stands = match self.save(settlement, true).await {
                Saved::Applied(delivery) => Some(delivery),
                Saved::Refused(now) => now,
                Saved::NotAllowed(_) | Saved::Lost => None,
            };
        }
        self.obey_and_finish(id, stands).await;
        self.end_work();
    }
}

fn is_held_for(delivery: &Delivery, scopes: &Scopes) -> bool {
    let held = matches!(delivery.state, State::Held { why: HoldReason::Cap, .. });
    held && scopes.iter().any(|scope| is_bound_by(delivery, scope))
}
