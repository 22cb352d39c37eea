//! Protecting recipients: what is configured about it, what people say, and keeping guards over a restart.
//!
//! Decides nothing: breakers, budgets and paces are [`crate::dispatch`]'s. Storing a guard is never waited for by an attempt:
//! losing the last one costs a recipient a few attempts after a crash, and no lead.

use crate::dispatch::{EndpointHold, Protected, RecipientProtection, RecipientStanding};
use crate::run::{Engine, Inner};
use crate::settling::AFTER_FULL;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use steadfast_flow::{Book, OnOpen, RecipientPlan, StepPlan};
use steadfast_lead::{Lead, RecipientName};
use steadfast_retry::breaker::{BreakerVerb, ByHand, Transition};
use steadfast_retry::{Endpoint, Event, EventKind, Stop, StopTarget, WhenClosed};
use steadfast_store::{KeptGuard, StoreError};

impl Engine {
    /// How every recipient stands: its pace, and the breakers and budgets of its endpoints.
    pub fn recipients(&self) -> Vec<RecipientStanding> {
        self.inner.dispatch.lock().standings(self.inner.clock.now())
    }

    /// Why an endpoint starts nothing now; `None` where it does.
    pub fn hold_of(&self, endpoint: &Endpoint) -> Option<EndpointHold> {
        self.inner.dispatch.lock().hold(endpoint, self.inner.clock.now())
    }

    /// A person says what is to be with the breakers of a recipient: all of them, or that of one origin. Answers with what
    /// changed; a breaker that stands there already does not.
    pub fn act_on_breakers(
        &self,
        recipient: &RecipientName,
        origin: Option<&str>,
        verb: BreakerVerb,
        by: &ByHand,
    ) -> Vec<(Endpoint, Transition)> {
        let now = self.inner.clock.now();
        let changed = self.inner.dispatch.lock().act_on_breakers(recipient, origin, verb, by, now);
        self.inner.nudge.notify_one();
        changed
    }

    /// A person stops something; durable when this answers. A stop that is there already takes the new reason.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was stopped.
    pub async fn stop(&self, target: StopTarget, by: &str, reason: &str) -> Result<Stop, StoreError> {
        let since = self.inner.clock.now();
        let stop = Stop { target, by: by.into(), reason: reason.into(), since };
        let event = Event { at: since, kind: EventKind::Stopped(Box::new(stop.clone())) };
        self.inner.store.keep_stop(stop.clone(), event.clone()).await?;
        self.inner.stops.write().insert(stop.target.clone(), stop.clone());
        self.inner.dispatch.lock().set_stop(&stop.target, true);
        self.inner.observer.committed(&event);
        self.inner.nudge.notify_one();
        Ok(stop)
    }

    /// A person lets something go on; durable when this answers. `false` where it was not stopped.
    ///
    /// # Errors
    /// [`StoreError`]; the stop stays.
    pub async fn resume(&self, target: &StopTarget, by: &str, reason: &str) -> Result<bool, StoreError> {
        if !self.inner.stops.read().contains_key(target) {
            return Ok(false);
        }
        let kind = EventKind::Resumed { target: target.clone(), by: by.into(), reason: reason.into() };
        let event = Event { at: self.inner.clock.now(), kind };
        self.inner.store.end_stop(target.clone(), event.clone()).await?;
        self.inner.stops.write().remove(target);
        self.inner.dispatch.lock().set_stop(target, false);
        self.inner.observer.committed(&event);
        self.inner.nudge.notify_one();
        Ok(true)
    }

    /// What people stopped, by target.
    pub fn stops(&self) -> Vec<Stop> {
        self.inner.stops.read().values().cloned().collect()
    }
}

impl Inner {
    /// Where a lead's delivery waits because its flow or its source is stopped.
    pub(crate) fn lot_of(&self, lead: &Lead, recipient: &RecipientName) -> Option<(Endpoint, StopTarget)> {
        let stops = self.stops.read();
        if stops.is_empty() {
            return None;
        }
        let stop = StopTarget::holding(lead).find(|target| stops.contains_key(target))?;
        Some((stop.lot(recipient)?, stop))
    }

    /// What the store has of guards and stops.
    pub(crate) async fn restore_protection(&self) -> Result<(), StoreError> {
        let (guards, stops) = (self.store.guards().await?, self.store.stops().await?);
        let now = self.clock.now();
        let mut dispatch = self.dispatch.lock();
        guards.iter().for_each(|kept| dispatch.restore_guard(kept, now));
        for stop in stops {
            if let StopTarget::Person(suppressed) = &stop.target {
                self.suppressed.write().insert(suppressed.clone(), stop);
                continue;
            }
            if matches!(stop.target, StopTarget::Maintenance(..)) {
                self.maintained.write().insert(stop.target.clone(), stop);
                continue;
            }
            dispatch.set_stop(&stop.target, true);
            self.stops.write().insert(stop.target.clone(), stop);
        }
        Ok(())
    }

    /// Before an orderly stop: budgets and what was learned move without transitions.
    pub(crate) async fn keep_all_guards(&self) -> Result<(), StoreError> {
        self.keep_changed().await;
        let guards = self.dispatch.lock().kept_guards();
        let keeping = guards.into_iter().map(|guard| self.store.keep_guard(guard, Vec::new()));
        futures::future::try_join_all(keeping).await?;
        Ok(())
    }

    async fn keep_changed(&self) {
        let changed = self.dispatch.lock().take_changed();
        for (guard, events) in changed {
            if self.keep_patiently(guard, &events).await.is_err() {
                return;
            }
            events.iter().for_each(|event| self.observer.committed(event));
        }
    }

    /// Fails only when the store has stopped for good.
    async fn keep_patiently(&self, guard: KeptGuard, events: &[Event]) -> Result<(), StoreError> {
        loop {
            match self.store.keep_guard(guard.clone(), events.to_vec()).await {
                Err(StoreError::Full { .. } | StoreError::Busy) => {
                    self.clock.sleep_until(self.clock.now().after(AFTER_FULL)).await;
                }
                kept => return kept,
            }
        }
    }
}

/// Stores guards as they change. Ends when the engine drains, which stores them all.
pub(crate) async fn keep_guards(inner: Arc<Inner>) {
    while !inner.draining.load(Ordering::SeqCst) {
        inner.guards_changed.notified().await;
        inner.keep_changed().await;
    }
}

/// What a book says about protecting. Endpoints have the longest age a lead may reach there: where steps differ, what is too
/// old for the shorter one is found when it is let go.
pub(crate) fn protected_by(book: &Book) -> Protected {
    let mut used: HashMap<Endpoint, Duration> = HashMap::new();
    for leg in book.all_flows().flat_map(|flow| flow.ways()) {
        let age = used.entry(leg.endpoint.clone()).or_default();
        *age = leg.longest_lead_age().max(*age);
    }
    let recipients = book.recipients.iter();
    let recipients = recipients.map(|(name, plan)| (name.clone(), protection_of(plan))).collect();
    Protected { recipients, used, next: next_by(book) }
}

/// Where an open breaker lets deliveries go on to, endpoint by endpoint: to the others of their leg, and to those of the next one.
fn next_by(book: &Book) -> HashMap<Endpoint, BTreeSet<Endpoint>> {
    let mut found: HashMap<Endpoint, BTreeSet<Endpoint>> = HashMap::new();
    for step in book.all_flows().flat_map(|flow| &flow.steps) {
        for (leg, next) in step.legs().zip(step.legs().skip(1).map(Some).chain([None])) {
            leg.ways_of_leg()
                .for_each(|way| found.entry(way.endpoint.clone()).or_default().extend(ways_on(way, leg, next)));
        }
    }
    found
}

fn ways_on<'a>(
    way: &'a StepPlan,
    leg: &'a Arc<StepPlan>,
    next: Option<&'a Arc<StepPlan>>,
) -> impl Iterator<Item = Endpoint> + 'a {
    let next = next.filter(|_| way.on_open == OnOpen::NextLeg);
    let there = leg.ways_of_leg().chain(next.into_iter().flat_map(|next| next.ways_of_leg()));
    there.filter(|one| one.endpoint != way.endpoint).map(|one| one.endpoint.clone())
}

fn protection_of(plan: &RecipientPlan) -> RecipientProtection {
    let longest_hold = match plan.on_open {
        OnOpen::Hold | OnOpen::NextLeg => plan.longest_hold,
        OnOpen::Review => Some(Duration::ZERO),
    };
    RecipientProtection {
        guard: plan.guard,
        pace: plan.pace,
        longest_hold,
        calendar: plan.calendar.clone(),
        ends_when_closed: plan.when_closed != WhenClosed::Hold,
    }
}
