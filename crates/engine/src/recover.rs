//! At the start: settle what an unclean stop cut off, mark what may have been sent, learn what waits.

use crate::conditions::note;
use crate::run::Inner;
use crate::settling::Saved;
use crate::taking::rides_along_until;
use futures::{StreamExt, TryStreamExt, stream};
use std::sync::atomic::Ordering;
use steadfast_lead::{DeliveryId, Timestamp};
use steadfast_retry::{
    Delivery, Evidence, FaultKind, Phase, ReviewCause, Sent, Settlement, StateName, StopTarget, Terms, doubt, refer,
    settle,
};
use steadfast_store::{Cursor, Identity, QueueHead, StoreError};

/// Settlements of recovery under way at once.
const AT_ONCE: usize = 512;
/// The bookmark of the configuration that sends were last made under: it reads versions of it, not the journal.
const SENDS_UNDER: &str = "sends under";
/// More slots than this no configuration allows.
const SLOTS_EVER_MAX: usize = 10_000;

impl Inner {
    pub(crate) async fn recover(&self, identity: Identity) -> Result<(), StoreError> {
        let now = self.clock.now();
        let open = self
            .store
            .counts()
            .await?
            .into_iter()
            .filter(|count| matches!(count.state, StateName::Waiting | StateName::Held | StateName::InFlight));
        self.open.store(open.map(|count| count.deliveries).sum(), Ordering::Relaxed);
        for pause in self.store.pauses(now).await? {
            self.dispatch.lock().pause(&pause.endpoint, pause.until, now);
        }
        self.restore_protection().await?;
        if !identity.clean {
            self.settle_interrupted(identity).await?;
            self.mark_possibly_sent(identity, now).await?;
        }
        self.keep_sends_under().await?;
        for QueueHead { key, next } in self.store.heads().await? {
            self.dispatch.lock().known_in_store(&key, next, now);
        }
        self.nudge.notify_one();
        Ok(())
    }

    /// From now on what is sent is sent under the configuration in force. Kept only after a recovery: one that was cut off under
    /// another configuration has settled nothing yet.
    pub(crate) async fn keep_sends_under(&self) -> Result<(), StoreError> {
        let version = Cursor(self.book().version);
        if self.store.bookmark(SENDS_UNDER).await? != Some(version) {
            self.store.keep_bookmark(SENDS_UNDER, version).await?;
        }
        Ok(())
    }

    /// What was taken for sending was probably being sent: an attempt cut off, which uses a retry.
    async fn settle_interrupted(&self, identity: Identity) -> Result<(), StoreError> {
        let taken = self.store.taken().await?;
        if !taken.is_empty() {
            tracing::warn!(deliveries = taken.len(), "attempts were cut off by an unclean stop");
        }
        // Together, so that they share commits.
        let settling = taken.into_iter().map(|id| self.settle_one_interrupted(id, identity));
        stream::iter(settling).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn settle_one_interrupted(&self, id: DeliveryId, identity: Identity) -> Result<(), StoreError> {
        let Some((delivery, lead)) = self.store.load(id).await? else { return Ok(()) };
        if delivery.state.next_look().is_none() {
            return Ok(());
        }
        let now = self.clock.now();
        // Nothing was stored after the last commit, so the attempt was cut off then or later.
        let ended = identity.last_commit_at.unwrap_or(now).max(delivery.accepted_at).min(now);
        let book = self.book();
        let settlement = match book.way(&delivery) {
            Err(gone) => {
                self.keep_its_caps(&delivery, &lead, &book, ended);
                let because = format!("cut off by an unclean stop, and {gone}");
                let doubted = delivery.progress.clone().doubted();
                let delivery = Delivery { progress: doubted, ..delivery };
                refer(&delivery, ReviewCause::StepGone, because.into(), self.fence(&delivery), now)
            }
            Ok(plan) => {
                let detail = "the server stopped during this attempt; the recipient may have taken it";
                let evidence = Evidence::of_fault(Phase::Sent, FaultKind::Interrupted, detail);
                let verdict = plan.reading.read(&evidence);
                // Where it was sent, which may not be where its step sends by now.
                let (body, endpoint) = (delivery.body, delivery.endpoint.clone());
                let sent = Sent { started: ended, ended, held_until: None, body, endpoint, evidence, verdict };
                // What has no answer now is asked again before the next attempt.
                let in_force = plan.in_force(&lead, delivery.attempts.saturating_add(1), self.moment(plan, ended)).ok();
                let policy = in_force.as_ref().map_or(&plan.retry.policy, |in_force| &*in_force.policy);
                let terms = Terms { policy, ..self.terms(&delivery, plan, book.version) };
                let mut settlement = settle(&delivery, sent, &terms);
                in_force.iter().for_each(|in_force| note(&mut settlement, plan, in_force));
                Some(settlement)
            }
        };
        self.save_or_fail(settlement).await
    }

    /// The first of each queue that were due by the last commit, or shortly after, may have been taken without the mark reaching
    /// the disk; what came due later waited for its mark. No more than there are slots can have been taken: each slot is held
    /// until its settlement is stored.
    ///
    /// How many slots there were, and which steps had their marks on disk before anything was sent, is what the configuration
    /// said *then*: where it was changed over the stop, neither is known.
    async fn mark_possibly_sent(&self, identity: Identity, now: Timestamp) -> Result<(), StoreError> {
        let version = self.book().version;
        let same_config = identity.config_version.is_none_or(|kept| kept == version)
            && self.store.bookmark(SENDS_UNDER).await?.is_none_or(|kept| kept == Cursor(version));
        let slots = if same_config { self.limits.slots } else { self.limits.slots.max(SLOTS_EVER_MAX) };
        // What the clock says now tells nothing: it may have been set, and the process may have ended long ago.
        let latest = identity.last_commit_at.map_or(now, rides_along_until);
        let mut due = Vec::new();
        for QueueHead { key, next } in self.store.heads().await? {
            // From a lot nothing is ever sent.
            if next <= latest && StopTarget::of_lot(&key.endpoint).is_none() {
                let first = self.store.due(key, None, slots).await?;
                due.extend(first.into_iter().filter(|position| position.due <= latest));
            }
        }
        let marking = due.into_iter().map(|position| self.mark_one(position.id, same_config, now));
        stream::iter(marking).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn mark_one(&self, id: DeliveryId, same_config: bool, now: Timestamp) -> Result<(), StoreError> {
        let Some(delivery) = self.store.delivery(id).await? else { return Ok(()) };
        let book = self.book();
        // Where the step asks for it, or a cap binds it, the mark was durable before anything was sent: no mark, not sent.
        let intent = book.way(&delivery).is_ok_and(|plan| plan.in_doubt.wants_intent());
        let exact = same_config && (intent || book.caps.always_binds(&delivery));
        if delivery.progress.in_doubt || exact {
            return Ok(());
        }
        self.save_or_fail(doubt(&delivery, self.fence(&delivery), now)).await
    }

    async fn save_or_fail(&self, settlement: Option<Settlement>) -> Result<(), StoreError> {
        let Some(settlement) = settlement else { return Ok(()) };
        match self.save(settlement, true).await {
            Saved::Applied(_) | Saved::Refused(_) | Saved::NotAllowed(_) => Ok(()),
            Saved::Lost => Err(StoreError::Stopped { detail: "recovery could not be stored".to_owned() }),
        }
    }
}
