//! What a step's conditions say of one delivery: not sent at all, for a person to look at, or sent under what is in force for
//! it.

use crate::run::Inner;
use steadfast_flow::{ConditionFailed, InForce, StepPlan};
use steadfast_lead::{Lead, Timestamp};
use steadfast_retry::{CloseReason, Delivery, Entry, ReviewCause, Settlement, close, refer};

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
    ) -> Result<InForce<'a>, Option<Settlement>> {
        let parked = |failed: ConditionFailed| {
            refer(delivery, ReviewCause::ConditionError, failed.to_string().into(), self.fence(delivery), now)
        };
        // What may have been sent without a trace of it is no more to be closed.
        let progress = &delivery.progress;
        let first = progress.attempts == 0 && progress.leg == 0 && !progress.is_unresolved();
        if first && !plan.sends(lead, now).map_err(parked)? {
            let when = plan.conditions.when.as_ref().map_or("", |when| when.text());
            let because = format!("not sent: the step's condition is not so: when = {when}");
            return Err(close(delivery, CloseReason::Condition, because.into(), self.fence(delivery), now));
        }
        plan.in_force(lead, delivery.attempts.saturating_add(1), now).map_err(parked)
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
