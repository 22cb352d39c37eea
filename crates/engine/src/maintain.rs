//! Maintenance by a person's word: a recipient is sent nothing from one time until another, as if its calendar said so.
//!
//! Kept like a stop, one row for each window; laid over the recipient's calendar in dispatch, so that what waits is held
//! with its endpoint, nothing is written on it, and what has waited is worked off on a ramp. What is over is let go of when
//! the next window is said, and at the start.

use crate::run::{Engine, Inner};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{RecipientName, Timestamp};
use steadfast_retry::calendar::{Calendar, Maintenance};
use steadfast_retry::{Event, EventKind, HoldReason, Stop, StopTarget};
use steadfast_store::StoreError;

/// Windows of one recipient that are not over, at most.
pub const MAINTENANCE_BY_HAND_MAX: usize = 100;
/// How long a window may last, and how far from now it may begin.
pub const MAINTENANCE_LASTS_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Why a window is not taken. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedMaintenance {
    /// It ends before it begins.
    #[error("until = {until} is not after from = {from}")]
    Backwards {
        /// Where it was to begin.
        from: Timestamp,
        /// Where it was to end.
        until: Timestamp,
    },
    /// It is over already.
    #[error("until = {0} has passed")]
    Over(Timestamp),
    /// It lasts too long, or begins too late.
    #[error("it may begin within a year from now, and last a year")]
    TooLong,
    /// Another window holds a part of it.
    #[error("it overlaps with the maintenance from {from} until {until}, which {by} has said")]
    Overlaps {
        /// Where that begins.
        from: Timestamp,
        /// Where it ends.
        until: Timestamp,
        /// Whose word it is.
        by: Box<str>,
    },
    /// There are enough.
    #[error("{recipient} has {MAINTENANCE_BY_HAND_MAX} windows of maintenance already; cancel some")]
    Full {
        /// Of whom.
        recipient: RecipientName,
    },
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Sends a recipient nothing from a time until another; durable when this answers.
    ///
    /// # Errors
    /// [`RefusedMaintenance`]; nothing was changed.
    pub async fn maintain(
        &self,
        recipient: &RecipientName,
        (from, until): (Timestamp, Timestamp),
        by: &str,
        reason: &str,
    ) -> Result<Stop, RefusedMaintenance> {
        let now = self.inner.clock.now();
        self.inner.refuse_maintenance(recipient, (from, until), now)?;
        self.inner.forget_what_is_over(now).await;
        let target = StopTarget::Maintenance(recipient.clone(), from, until);
        let stop = Stop { target: target.clone(), by: by.into(), reason: reason.into(), since: now };
        let event = Event { at: now, kind: EventKind::Stopped(Box::new(stop.clone())) };
        self.inner.store.keep_stop(stop.clone(), event.clone()).await?;
        self.inner.maintained.write().insert(target, stop.clone());
        self.inner.lay_maintenance(recipient);
        self.inner.observer.committed(&event);
        Ok(stop)
    }

    /// Ends a window, or takes it back before it has begun; durable when this answers. `false` where there is none.
    ///
    /// # Errors
    /// [`StoreError`]; the window stays.
    pub async fn end_maintenance(
        &self,
        recipient: &RecipientName,
        from: Timestamp,
        by: &str,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let found = self.maintenance(recipient).into_iter().find_map(|stop| match &stop.target {
            StopTarget::Maintenance(_, begins, _) if *begins == from => Some(stop.target),
            StopTarget::Maintenance(..) | StopTarget::Recipient(_) | StopTarget::Flow(_) => None,
            StopTarget::Source(..) | StopTarget::Person(_) => None,
        });
        let Some(target) = found else { return Ok(false) };
        self.inner.end_one(target, by, reason).await?;
        self.inner.lay_maintenance(recipient);
        Ok(true)
    }

    /// The windows of a recipient that are not over, in order.
    pub fn maintenance(&self, recipient: &RecipientName) -> Vec<Stop> {
        let now = self.inner.clock.now();
        let kept = self.inner.maintained.read();
        let open =
            kept.values().filter(|stop| window_of(stop).is_some_and(|(of, _, until)| of == recipient && until > now));
        open.cloned().collect()
    }

    /// What people said about what holds a recipient now: what its maintenance is for, or why they stopped it.
    pub fn hold_note(&self, recipient: &RecipientName, why: HoldReason) -> Option<String> {
        if why == HoldReason::Maintenance {
            return Some(self.calendar(recipient)?.maintenance_note(self.inner.clock.now())?.to_owned());
        }
        let stops = self.inner.stops.read();
        let stop = stops.get(&StopTarget::Recipient(recipient.clone())).filter(|_| why == HoldReason::Paused)?;
        Some(note(stop).into())
    }

    /// When a recipient may be called, maintenance by a person's word included; `None` for always.
    pub fn calendar(&self, recipient: &RecipientName) -> Option<Arc<Calendar>> {
        self.inner.dispatch.lock().calendar(recipient).cloned()
    }
}

/// Whose maintenance a stop is, from when until when.
fn window_of(stop: &Stop) -> Option<(&RecipientName, Timestamp, Timestamp)> {
    match &stop.target {
        StopTarget::Maintenance(recipient, from, until) => Some((recipient, *from, *until)),
        StopTarget::Recipient(_) | StopTarget::Flow(_) | StopTarget::Source(..) | StopTarget::Person(_) => None,
    }
}

impl Inner {
    fn refuse_maintenance(
        &self,
        recipient: &RecipientName,
        (from, until): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<(), RefusedMaintenance> {
        if until <= from {
            return Err(RefusedMaintenance::Backwards { from, until });
        }
        if until <= now {
            return Err(RefusedMaintenance::Over(until));
        }
        if until.since(from) > MAINTENANCE_LASTS_MAX || from.since(now) > MAINTENANCE_LASTS_MAX {
            return Err(RefusedMaintenance::TooLong);
        }
        let kept = self.maintained.read();
        let open = kept.values().filter_map(|stop| Some((stop, window_of(stop)?)));
        let open: Vec<_> = open.filter(|(_, (of, _, ends))| *of == recipient && *ends > now).collect();
        if let Some((stop, (_, from, until))) =
            open.iter().find(|(_, (_, begins, ends))| from < *ends && *begins < until)
        {
            return Err(RefusedMaintenance::Overlaps { from: *from, until: *until, by: stop.by.clone() });
        }
        if open.len() >= MAINTENANCE_BY_HAND_MAX {
            return Err(RefusedMaintenance::Full { recipient: recipient.clone() });
        }
        Ok(())
    }

    /// Tells dispatch about a recipient's windows as they are kept.
    fn lay_maintenance(&self, recipient: &RecipientName) {
        let kept = self.maintained.read();
        let windows = kept.values().filter_map(|stop| {
            let (of, from, until) = window_of(stop)?;
            (of == recipient).then(|| Maintenance { from, until, note: note(stop) })
        });
        self.dispatch.lock().set_maintenance(recipient, windows.collect());
        self.nudge.notify_one();
    }

    /// At the start, once the store's stops are read.
    pub(crate) fn restore_maintenance(&self) {
        let mut recipients: BTreeMap<RecipientName, ()> = BTreeMap::new();
        recipients.extend(self.maintained.read().values().filter_map(|stop| Some((window_of(stop)?.0.clone(), ()))));
        recipients.keys().for_each(|recipient| self.lay_maintenance(recipient));
    }

    /// What cannot be deleted now is tried again with the next window.
    async fn forget_what_is_over(&self, now: Timestamp) {
        let over = |stop: &&Stop| window_of(stop).is_some_and(|(_, _, until)| until <= now);
        let targets: Vec<StopTarget> =
            self.maintained.read().values().filter(over).map(|stop| stop.target.clone()).collect();
        for target in targets {
            if let Err(error) = self.end_one(target, "steadfast", "it is over").await {
                tracing::debug!(%error, "maintenance that is over is let go of later");
            }
        }
    }

    async fn end_one(&self, target: StopTarget, by: &str, reason: &str) -> Result<(), StoreError> {
        let kind = EventKind::Resumed { target: target.clone(), by: by.into(), reason: reason.into() };
        let event = Event { at: self.clock.now(), kind };
        self.store.end_stop(target.clone(), event.clone()).await?;
        self.maintained.write().remove(&target);
        self.observer.committed(&event);
        Ok(())
    }
}

/// What is said to whoever waits.
fn note(stop: &Stop) -> Box<str> {
    format!("{}, by {}", stop.reason, stop.by).into()
}
