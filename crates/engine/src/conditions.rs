//! What a step's conditions say of one delivery: not sent at all, for a person to look at, or sent under what is in force for
//! it.

use crate::run::Inner;
use steadfast_flow::{ConditionFailed, ContactTime, FlowPlan, InForce, Moment, StepPlan};
use steadfast_lead::{Lead, Timestamp};
use steadfast_retry::{
    CloseReason, Closing, Delivery, Entry, HoldReason, ReviewCause, Settlement, close, end_by_closing, hold_because,
    refer,
};

impl Inner {
    /// What is in force for the attempt that is to be made.
    ///
    /// # Errors
    /// What becomes of the delivery in place of it; nothing where it has ended.
    pub(crate) fn in_force<'a>(
        &self,
        delivery: &Delivery,
        lead: &Lead,
        plan: &'a StepPlan,
        now: Timestamp,
    ) -> Result<InForce<'a>, Option<Box<Settlement>>> {
        let parked = |failed: ConditionFailed| {
            refer(delivery, ReviewCause::ConditionError, failed.to_string().into(), self.fence(delivery), now)
                .map(Box::new)
        };
        // What may have been sent without a trace of it is no more to be closed.
        let progress = &delivery.progress;
        let first = progress.attempts == 0 && progress.leg == 0 && !progress.is_unresolved();
        let moment = self.moment(plan, now);
        if first && !plan.sends(lead, moment).map_err(parked)? {
            let when = plan.conditions.when.as_ref().map_or("", |when| when.text());
            let because = format!("not sent: the step's condition is not so: when = {when}");
            let closed = close(delivery, CloseReason::Condition, because.into(), self.fence(delivery), now);
            return Err(closed.map(Box::new));
        }
        plan.in_force(lead, delivery.attempts.saturating_add(1), moment).map_err(parked)
    }

    /// A time as conditions are asked about it: with what people said of the recipient's maintenance then.
    pub(crate) fn moment(&self, plan: &StepPlan, now: Timestamp) -> Moment {
        let recipient = &plan.endpoint.recipient;
        let in_maintenance = plan.asks_conditions() && self.dispatch.lock().is_maintained(recipient, now);
        Moment { now, in_maintenance }
    }

    /// A lead that comes while its recipient is in maintenance by a person's word is as urgent as its conditions say then.
    pub(crate) fn urge_at_intake(&self, flow: &FlowPlan, lead: &Lead, deliveries: &mut [Delivery]) {
        for (step, delivery) in flow.steps.iter().zip(deliveries).filter(|(step, _)| step.adjusts_priority()) {
            let in_force = step.in_force(lead, 1, self.moment(step, lead.accepted_at));
            // What cannot be answered is found when it comes due.
            delivery.priority = in_force.map_or(step.priority, |in_force| in_force.priority);
        }
    }
}

impl Inner {
    /// What becomes of a delivery that came due in closed hours, where its recipient does not hold those.
    pub(crate) fn ended_by_closing(&self, delivery: &Delivery, plan: &StepPlan, now: Timestamp) -> Option<Settlement> {
        let wait = self.dispatch.lock().ends_by_closing(&plan.endpoint, now)?;
        let recipient = self.book().recipients.get(&plan.endpoint.recipient).map(|recipient| recipient.when_closed);
        let closing = Closing {
            when_closed: recipient.unwrap_or_default(),
            until: wait.until,
            oldest: delivery.accepted_at.after(plan.longest_lead_age()),
            next: plan.next.as_ref(),
            next_buyer: plan.has_next_buyer(),
        };
        end_by_closing(delivery, &closing, self.fence(delivery), now)
    }

    /// Holds a delivery whose lead may not be contacted now, by its own clock, until it may; `None` where it may.
    pub(crate) fn outside_contact_hours(
        &self,
        delivery: &Delivery,
        lead: &Lead,
        plan: &StepPlan,
        in_force: &InForce<'_>,
        now: Timestamp,
    ) -> Option<Settlement> {
        let hours = plan.conditions.contact_hours.as_ref()?;
        let (opens, zones) = match hours.ask(&lead.fields, now) {
            ContactTime::Now => return None,
            ContactTime::NotBefore { opens, zones } => (opens, zones),
        };
        // Beyond the oldest age there is nothing to wait for; it is looked at again then, and referred.
        let oldest = delivery.accepted_at.after(in_force.policy.max_lead_age.get());
        let until = opens.unwrap_or(oldest).min(oldest);
        let because = format!("outside the contact hours {} in {zones}", hours.hours());
        hold_because(delivery, until, HoldReason::ContactTime, because.into(), self.fence(delivery), now)
    }
}

impl Inner {
    /// Holds a retry outside its step's hours for retries until they open; `None` where it may go.
    pub(crate) fn outside_retry_hours(
        &self,
        delivery: &Delivery,
        plan: &StepPlan,
        in_force: &InForce<'_>,
        now: Timestamp,
    ) -> Option<Settlement> {
        let hours = plan.conditions.retry_hours.as_ref()?;
        let oldest = delivery.accepted_at.after(in_force.policy.max_lead_age.get());
        hours.hold(delivery, oldest, self.fence(delivery), now)
    }
}

/// Writes into an attempt's line what it was adjusted by, and makes the delivery as urgent as is in force.
pub(crate) fn note(settlement: &mut Settlement, plan: &StepPlan, in_force: &InForce<'_>) {
    if plan.adjusts_priority() {
        settlement.delivery.priority = in_force.priority;
    }
    let (Some(note), Entry::Attempt(attempt)) = (in_force.note(), &mut settlement.entry) else { return };
    attempt.because = format!("{}; {note}", attempt.because).into();
}
