//! A retry that waits is decided again after its settings changed: as if they had been in force when its last attempt ended.
//!
//! What does not depend on that attempt, or waits for something else, is left as it is.

use crate::admit::limit_lowered;
use crate::change::change;
use crate::decide::{Decided, Decision, Situation, decide, retry_deadline};
use crate::delivery::{Delivery, HoldReason, ReviewCause, State};
use crate::hint::asked_pause;
use crate::route::settled;
use crate::settle::{Attempt, Settlement, Terms, error_of, unix_seconds};
use steadfast_lead::Timestamp;

/// Plans a waiting retry anew, from the last attempt of its delivery. `None` where nothing comes out that differs, where the
/// delivery does not wait for a retry of that attempt, and where another settlement than a later or earlier start or an end
/// of its leg would be due: that is found when it fires.
pub fn reschedule(before: &Delivery, attempt: &Attempt, terms: &Terms<'_>, now: Timestamp) -> Option<Settlement> {
    let retry = waits_for_retry_after(before, attempt)?;
    let under = |because: &str| -> Box<str> {
        format!("planned anew under configuration version {}: {because}", terms.config_version).into()
    };
    if let Some(because) = limit_lowered(before, terms.policy) {
        let decision = Decision::Review { cause: ReviewCause::LimitLowered };
        return Some(ended(before, Decided { decision, because: under(&because) }, attempt, terms, now));
    }
    let mut then = before.clone();
    then.progress.retries_used = retry.saturating_sub(1);
    let Decided { decision, because } = decide(&Situation {
        delivery: &then,
        policy: terms.policy,
        seed: terms.seed,
        in_doubt: terms.in_doubt,
        verdict: &attempt.verdict,
        ambiguous: attempt.evidence.is_ambiguous(),
        doubt_before: before.progress.in_doubt,
        hint: asked_pause(&attempt.verdict, attempt.evidence.answer.as_ref(), unix_seconds(attempt.ended)),
        ended: attempt.ended,
    });
    let (due, not_before) = match decision {
        Decision::Retry { due, not_before, .. } => (due, not_before),
        Decision::LookUp { due } => (due, None),
        Decision::Review { .. } => {
            let decided = Decided { decision, because: under(&because) };
            return Some(ended(before, decided, attempt, terms, now));
        }
        Decision::Deliver { .. } | Decision::Reject { .. } | Decision::Hold { .. } => return None,
        Decision::NextLeg { .. } | Decision::Close { .. } => return None,
    };
    let looks = not_before.unwrap_or(due);
    if looks <= now && before.state.next_look().is_some_and(|look| look <= now) {
        return None;
    }
    // What would have gone by now goes now, and is not late. Time that has passed so is no hold: but it does not end a
    // leg either that was in time by the new settings.
    let due = due.max(now.min(retry_deadline(&then, terms.policy, attempt.ended)));
    let state = match not_before.filter(|until| *until > due) {
        Some(until) => State::Held { due, until, why: HoldReason::RetryAfter },
        None => State::Waiting { due },
    };
    (state != before.state).then(|| change(before, state, under(&because), None, terms.fence, now))
}

/// Which retry a delivery waits for after its last attempt; `None` where it does not wait for one: a look-up or a person's
/// word came in between, or something else holds it.
fn waits_for_retry_after(before: &Delivery, attempt: &Attempt) -> Option<u32> {
    let Decision::Retry { retry, .. } = attempt.decision else { return None };
    let progress = &before.progress;
    let waits = match before.state {
        State::Waiting { .. } => true,
        State::Held { why, .. } => why == HoldReason::RetryAfter,
        State::Delivered { .. } | State::Rejected { .. } | State::InReview { .. } | State::Closed { .. } => false,
    };
    let of_it = attempt.number == before.attempts && attempt.leg == progress.leg && progress.attempts > 0;
    (waits && of_it && progress.retries_used == retry && progress.look_ups == 0).then_some(retry)
}

fn ended(before: &Delivery, decided: Decided, attempt: &Attempt, terms: &Terms<'_>, now: Timestamp) -> Settlement {
    let decided = terms.route.follow(decided, before, error_of(&attempt.verdict), now);
    settled(before, decided, terms.route, terms.fence, now)
}
