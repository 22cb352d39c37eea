//! Whether a delivery that has come due may be sent now, under the settings in force now (they may have changed since it was
//! planned).

use crate::breaker::Wait;
use crate::decide::{Because, InDoubt, retry_deadline};
use crate::delivery::{Delivery, HoldReason, ReviewCause};
use crate::policy::RetryPolicy;
use std::time::Duration;
use steadfast_lead::Timestamp;

/// What to do with a delivery that has come due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Send it.
    Send {
        /// The attempt must end within this: the lead would be too old afterwards.
        at_most: Duration,
    },
    /// Ask the recipient first whether it has the lead: an earlier attempt is in doubt.
    LookUp {
        /// The look-up must end within this: the lead would be too old afterwards.
        at_most: Duration,
    },
    /// Not at all: an earlier attempt is in doubt, and the step takes that as delivered.
    AssumeDelivered,
    /// Not yet. Nothing is written: the hold is the endpoint's.
    Hold {
        /// When to look again.
        until: Timestamp,
        /// Why.
        why: HoldReason,
    },
    /// Not at all; a person has to look.
    Review {
        /// Why, in one word.
        cause: ReviewCause,
        /// Why.
        because: Because,
    },
}

/// Decides about a delivery that has come due. `held` is why its endpoint starts nothing, if it is paused or closed.
pub fn admit(
    delivery: &Delivery,
    policy: &RetryPolicy,
    in_doubt: InDoubt,
    held: Option<Wait>,
    now: Timestamp,
) -> Admission {
    let oldest = delivery.accepted_at.after(policy.max_lead_age.get());
    if now >= oldest {
        let because = format!("older than max_lead_age = {}", policy.max_lead_age);
        return Admission::Review { cause: ReviewCause::Expired, because: because.into() };
    }
    let unresolved = delivery.progress.is_unresolved();
    match in_doubt {
        InDoubt::Hold if unresolved => {
            let because = "an earlier attempt is in doubt, and the step asks for a person's word then";
            return Admission::Review { cause: ReviewCause::InDoubt, because: because.into() };
        }
        InDoubt::AssumeDelivered if unresolved => return Admission::AssumeDelivered,
        InDoubt::Hold | InDoubt::AssumeDelivered | InDoubt::Verify { .. } | InDoubt::Retry { .. } => {}
    }
    let asks_first = unresolved && matches!(in_doubt, InDoubt::Verify { .. });
    if let Some(because) = limit_lowered(delivery, policy) {
        return Admission::Review { cause: ReviewCause::LimitLowered, because };
    }
    // Where time held counts, this start must be in time itself, and not only the time it was planned for.
    let planned = if policy.count_holds { Some(now) } else { delivery.state.due() };
    if delivery.progress.retries_used > 0
        && !asks_first
        && planned.is_some_and(|planned| planned > retry_deadline(delivery, policy, now))
    {
        let because = format!("this retry was planned after what is now total_timeout = {}", policy.total_timeout);
        return Admission::Review { cause: ReviewCause::Exhausted, because: because.into() };
    }
    if let Some(wait) = held.filter(|wait| wait.until.is_none_or(|until| until > now)) {
        // Beyond the oldest age there is nothing to wait for; look again then, and refer it.
        return Admission::Hold { until: wait.until.map_or(oldest, |until| until.min(oldest)), why: wait.why };
    }
    let at_most = oldest.since(now);
    if asks_first { Admission::LookUp { at_most } } else { Admission::Send { at_most } }
}

/// Why a delivery waits for a retry that it has no longer; `None` where it still has it.
pub(crate) fn limit_lowered(delivery: &Delivery, policy: &RetryPolicy) -> Option<Because> {
    let (used, allowed) = (delivery.progress.retries_used, policy.retries_allowed());
    (used > allowed).then(|| format!("this would be retry {used}, and max_retries was lowered to {allowed}").into())
}
