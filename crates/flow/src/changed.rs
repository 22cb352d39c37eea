//! What another book means for what waits: which deliveries may be planned otherwise by it.
//!
//! May name too many, whose plan then comes out as it was; never too few.

use crate::plan::{Book, StepPlan};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use steadfast_lead::{FlowName, RecipientName, StepName};
use steadfast_retry::calendar::Calendar;
use steadfast_retry::{Delivery, Endpoint, WhenClosed};

type Steps<'a> = HashMap<(&'a FlowName, &'a StepName), &'a Arc<StepPlan>>;

/// Which deliveries are to be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    all: bool,
    steps: HashSet<(FlowName, StepName)>,
    /// Where deliveries of those steps wait.
    endpoints: HashSet<Endpoint>,
    /// Whose calendar is another.
    recipients: HashSet<RecipientName>,
}

impl Changed {
    /// All of them: what was in force before is not known.
    pub fn all() -> Self {
        Changed { all: true, ..Changed::default() }
    }

    /// Those that one book may plan otherwise than another.
    pub fn between(before: &Book, after: &Book) -> Self {
        // A cap may bind any delivery by its source, which a queue does not tell.
        let mut changed = Changed { all: before.caps != after.caps, ..Changed::default() };
        let (old, new) = (steps(before), steps(after));
        for (key, plan) in &old {
            if new.get(key).is_none_or(|other| !plans_alike(plan, other)) {
                changed.step(plan, new.get(key).copied());
            }
        }
        let names = before.recipients.keys().chain(after.recipients.keys());
        let changes = |name: &&RecipientName| called_when(before, name) != called_when(after, name);
        changed.recipients = names.filter(changes).cloned().collect();
        changed
    }

    fn step(&mut self, plan: &Arc<StepPlan>, now: Option<&Arc<StepPlan>>) {
        self.steps.insert((plan.flow.clone(), plan.step.clone()));
        let ways = plan.ways().chain(now.into_iter().flat_map(|now| now.ways()));
        self.endpoints.extend(ways.map(|way| way.endpoint.clone()));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        !self.all && self.steps.is_empty() && self.recipients.is_empty()
    }

    /// These and others.
    pub fn extend(&mut self, other: Changed) {
        self.all |= other.all;
        self.steps.extend(other.steps);
        self.endpoints.extend(other.endpoints);
        self.recipients.extend(other.recipients);
    }

    /// Whether one of them may wait at an endpoint.
    pub fn may_wait_at(&self, endpoint: &Endpoint) -> bool {
        self.all || self.endpoints.contains(endpoint) || self.recipients.contains(&endpoint.recipient)
    }

    /// Whether a delivery is one of them.
    pub fn concerns(&self, delivery: &Delivery) -> bool {
        let step = || self.steps.contains(&(delivery.flow.clone(), delivery.step.clone()));
        self.all || self.recipients.contains(&delivery.endpoint.recipient) || step()
    }
}

fn steps(book: &Book) -> Steps<'_> {
    let steps = book.all_flows().flat_map(|flow| &flow.steps);
    steps.map(|plan| ((&plan.flow, &plan.step), plan)).collect()
}

/// When a recipient may be called, and what becomes of what comes due while it may not.
fn called_when<'a>(book: &'a Book, name: &RecipientName) -> Option<(Option<&'a Arc<Calendar>>, WhenClosed)> {
    book.recipients.get(name).map(|plan| (plan.calendar.as_ref(), plan.when_closed))
}

fn plans_alike(one: &Arc<StepPlan>, other: &Arc<StepPlan>) -> bool {
    let names = |plan: &Arc<StepPlan>| {
        let candidates = |leg: &Arc<StepPlan>| leg.balance.as_ref().map(|balance| balance.names());
        plan.legs().map(candidates).collect::<Vec<_>>()
    };
    // Names and places of candidates alike, so that the same ways stand beside each other.
    names(one) == names(other) && one.ways().zip(other.ways()).all(|(one, other)| leg_alike(one, other))
}

/// Whether a leg's waiting deliveries have the same place and time by both.
fn leg_alike(one: &StepPlan, other: &StepPlan) -> bool {
    // What an adjustment's condition asks for (fields, calendars) may have changed though its text has not.
    let adjusts = |plan: &StepPlan| !plan.conditions.adjustments.is_empty();
    one.endpoint == other.endpoint
        && one.retry.policy == other.retry.policy
        && one.in_doubt == other.in_doubt
        && one.conditions.contact_hours == other.conditions.contact_hours
        && one.conditions.retry_hours == other.conditions.retry_hours
        && !adjusts(one)
        && !adjusts(other)
}
