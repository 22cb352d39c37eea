//! From what an attempt meant to what happens next, always with because.
//!
//! Knows the two clocks: the total timeout counts from the leg's first attempt and stands still while held; the maximum lead
//! age counts from acceptance and binds everything.

use crate::backoff::{Seed, Window, delay, dice, window};
use crate::delivery::{CloseReason, Delivery, HoldReason, ReviewCause};
use crate::event::DecisionName;
use crate::hint::{Hint, HintSource};
use crate::outcome::{ErrorKind, FailureKind, Outcome, Verdict};
use crate::policy::RetryPolicy;
use std::time::Duration;
use steadfast_lead::Timestamp;

/// So many attempts of a leg cut off by our own stopping go to a person.
const INTERRUPTIONS_MAX: u8 = 3;

/// A sentence that explains a decision.
pub type Because = Box<str>;

/// What a step does about an attempt that was sent and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubt {
    /// Send again on the schedule with the same key, not before `floor` has passed.
    Retry {
        /// A slow recipient may still be inserting.
        floor: Duration,
    },
    /// Ask the recipient first whether it has the lead, not before `floor` has passed.
    Verify {
        /// A slow recipient may still be inserting.
        floor: Duration,
    },
    /// A person decides.
    Hold,
    /// It counts as delivered, probably.
    AssumeDelivered,
}

impl InDoubt {
    /// Whether the mark of an attempt must be durable before anything is sent: then a missing mark proves that nothing was.
    pub const fn wants_intent(self) -> bool {
        match self {
            InDoubt::Retry { .. } => false,
            InDoubt::Verify { .. } | InDoubt::Hold | InDoubt::AssumeDelivered => true,
        }
    }

    /// How long a slow recipient is given before it is asked or sent to again.
    const fn floor(self) -> Duration {
        match self {
            InDoubt::Retry { floor } | InDoubt::Verify { floor } => floor,
            InDoubt::Hold | InDoubt::AssumeDelivered => Duration::ZERO,
        }
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The recipient took it.
    Deliver {
        /// Concluded from a duplicate answer after an attempt in doubt.
        probable: bool,
    },
    /// The recipient's business said no.
    Reject {
        /// How.
        kind: FailureKind,
    },
    /// Try again.
    Retry {
        /// Which retry this will be, from 1.
        retry: u32,
        /// When by the schedule.
        due: Timestamp,
        /// The window `due` was chosen from, counted from the end of the attempt.
        window: Window,
        /// Not before this, where the recipient asked for a later time than the schedule's.
        not_before: Option<Timestamp>,
    },
    /// Wait without using a retry.
    Hold {
        /// When it would go otherwise.
        due: Timestamp,
        /// When it is looked at again.
        until: Timestamp,
        /// Why.
        why: HoldReason,
    },
    /// A person has to look.
    Review {
        /// Why.
        cause: ReviewCause,
    },
    /// Ask the recipient whether it has the lead, before anything is sent again. Uses no retry.
    LookUp {
        /// When.
        due: Timestamp,
    },
    /// This leg has ended; the next one begins, with nothing used up.
    NextLeg {
        /// Its number.
        leg: u8,
        /// When its first attempt goes.
        due: Timestamp,
    },
    /// It ends here.
    Close {
        /// Why.
        why: CloseReason,
    },
}

impl Decision {
    /// Its word.
    pub const fn name(&self) -> DecisionName {
        match self {
            Decision::Deliver { .. } => DecisionName::Deliver,
            Decision::Reject { .. } => DecisionName::Reject,
            Decision::Retry { .. } => DecisionName::Retry,
            Decision::Hold { .. } => DecisionName::Hold,
            Decision::Review { .. } => DecisionName::Review,
            Decision::LookUp { .. } => DecisionName::LookUp,
            Decision::NextLeg { .. } => DecisionName::NextLeg,
            Decision::Close { .. } => DecisionName::Close,
        }
    }
}

/// A decision and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What happens next.
    pub decision: Decision,
    /// Why.
    pub because: Because,
}

/// All a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The delivery as it stands with this attempt counted (attempts, first attempt, time held, interruptions).
    pub delivery: &'a Delivery,
    /// The policy in force.
    pub policy: &'a RetryPolicy,
    /// What the dice are thrown with.
    pub seed: Seed,
    /// What to do about doubt.
    pub in_doubt: InDoubt,
    /// What the attempt meant.
    pub verdict: &'a Verdict,
    /// Whether this attempt may have been taken without our knowing.
    pub ambiguous: bool,
    /// Whether an earlier one may have been.
    pub doubt_before: bool,
    /// The pause the recipient asked for.
    pub hint: Option<Hint>,
    /// When the attempt ended.
    pub ended: Timestamp,
}

/// Decides what happens after an attempt.
pub fn decide(situation: &Situation<'_>) -> Decided {
    match situation.verdict.outcome {
        Outcome::Success => decided(Decision::Deliver { probable: false }, "the recipient accepted it"),
        Outcome::Failure(FailureKind::Duplicate) if situation.doubt_before => decided(
            Decision::Deliver { probable: true },
            "the recipient has it already, and an earlier attempt was sent without a known answer",
        ),
        Outcome::Failure(_) if situation.delivery.tie.buyer && situation.delivery.progress.is_unresolved() => review(
            ReviewCause::InDoubt,
            "the recipient said no, but an earlier attempt is in doubt, and a sale has one buyer",
        ),
        Outcome::Failure(kind) => {
            decided(Decision::Reject { kind }, &format!("the recipient's business said no ({kind}); never retried"))
        }
        Outcome::Error(kind) => situation.after_error(kind),
    }
}

fn decided(decision: Decision, because: &str) -> Decided {
    Decided { decision, because: because.into() }
}

fn review(cause: ReviewCause, because: &str) -> Decided {
    decided(Decision::Review { cause }, because)
}

impl Situation<'_> {
    fn after_error(&self, kind: ErrorKind) -> Decided {
        if self.delivery.progress.interruptions >= INTERRUPTIONS_MAX {
            return review(ReviewCause::Interrupted, "three attempts were cut off by the server stopping");
        }
        if let Some(why) = self.why_final(kind) {
            let cause =
                if kind == ErrorKind::Unrecognized { ReviewCause::Unrecognized } else { ReviewCause::FinalError };
            return review(cause, &why);
        }
        if let Some(decided) = self.about_doubt() {
            return decided;
        }
        match self.hint {
            Some(hint) if kind == ErrorKind::RateLimited => self.hold_for(hint),
            _ => self.retry(kind),
        }
    }

    /// What the step wants done about doubt, where that is not simply to send again.
    fn about_doubt(&self) -> Option<Decided> {
        match self.in_doubt {
            _ if !self.ambiguous => None,
            InDoubt::Retry { .. } => None,
            InDoubt::Verify { .. } => Some(self.look_up()),
            InDoubt::Hold => Some(review(
                ReviewCause::InDoubt,
                "sent without a known answer, and the step asks for a person's word then",
            )),
            InDoubt::AssumeDelivered => Some(decided(
                Decision::Deliver { probable: true },
                "sent without a known answer, which the step takes as delivered (assume_delivered)",
            )),
        }
    }

    /// A look-up in the place of the next retry: when that would go.
    fn look_up(&self) -> Decided {
        let wait = self.delay(self.delivery.progress.retries_used).max(self.floor());
        let hinted = self.hint.map(|hint| self.spread(hint)).unwrap_or_default();
        let due = self.ended.after(wait.max(hinted));
        if due >= self.oldest() {
            return self.expired("the look-up would start");
        }
        decided(
            Decision::LookUp { due },
            "sent without a known answer; the recipient is asked first whether it has the lead",
        )
    }

    /// Why this error is not retried; `None` when it is.
    fn why_final(&self, kind: ErrorKind) -> Option<String> {
        let status = self.verdict.status;
        if self.policy.never_retry_on.meets(kind, status) {
            return Some(format!("{kind} is in never_retry_on"));
        }
        match self.verdict.retryable {
            Some(true) => None,
            Some(false) => Some(format!("{} says it is not retryable", self.verdict.decided_by)),
            None if self.policy.retry_on.meets(kind, status) => None,
            None => Some(format!("{kind} is not retried (retry_on)")),
        }
    }

    /// A rate limit with a hint: the recipient or a rule said when, so no retry is used and the clock stands still. One that
    /// has run out stays so: what comes after the hold would start after the total timeout.
    fn hold_for(&self, hint: Hint) -> Decided {
        let wait = self.delay(self.delivery.progress.retries_used).max(self.floor());
        let until = self.ended.after(self.spread(hint).max(wait));
        let total = self.policy.total_timeout;
        if self.ended > self.retry_deadline() {
            return review(ReviewCause::Exhausted, &format!("the attempt ended after total_timeout = {total}"));
        }
        if self.is_held_too_long(until) {
            return self.held_too_long();
        }
        // An attempt needs some time before the lead is too old: `admit` sends nothing at that moment.
        if until >= self.oldest() {
            return self.expired("the recipient's pause ends");
        }
        let who = if hint.source == HintSource::Rule { "a rule asks" } else { "the recipient asked" };
        let because = format!("{who} for a pause of {} s{}; no retry used", hint.pause.as_secs(), hint.source.note());
        decided(Decision::Hold { due: self.ended, until, why: HoldReason::RetryAfter }, &because)
    }

    fn retry(&self, kind: ErrorKind) -> Decided {
        let used = self.delivery.progress.retries_used;
        let allowed = self.policy.retries_allowed();
        if used >= allowed {
            let because = match allowed {
                0 => "retrying is off (enabled = false)".to_owned(),
                1 => "the only retry is used (max_retries = 1)".to_owned(),
                _ => format!("all {allowed} retries are used (max_retries)"),
            };
            return review(ReviewCause::Exhausted, &because);
        }
        let wait = self.delay(used).max(self.floor());
        let due = self.ended.after(wait);
        if due > self.retry_deadline() {
            let total = self.policy.total_timeout;
            return review(
                ReviewCause::Exhausted,
                &format!("the next retry would start after total_timeout = {total}"),
            );
        }
        let not_before = self.hint.map(|hint| self.ended.after(self.spread(hint))).filter(|until| *until > due);
        if not_before.is_some_and(|until| self.is_held_too_long(until)) {
            return self.held_too_long();
        }
        if not_before.unwrap_or(due) >= self.oldest() {
            return self.expired("the next retry would start");
        }
        let retry = used + 1;
        let because = format!("{kind} is retryable; retry {retry} of {allowed}{}", self.floor_note(wait));
        decided(Decision::Retry { retry, due, window: window(self.policy, used), not_before }, &because)
    }

    fn held_too_long(&self) -> Decided {
        let total = self.policy.total_timeout;
        let because =
            format!("the pause asked for ends after total_timeout = {total}, and time held counts (count_holds)");
        review(ReviewCause::Exhausted, &because)
    }

    fn expired(&self, what: &str) -> Decided {
        let age = self.policy.max_lead_age;
        review(ReviewCause::Expired, &format!("{what} after max_lead_age = {age}"))
    }

    fn delay(&self, retry: u32) -> Duration {
        delay(self.policy, self.seed, self.delivery.id, self.delivery.progress.leg, retry)
    }

    /// A rule's own delay and the wait after a doubt: floors under the schedule.
    fn floor(&self) -> Duration {
        let doubt = if self.ambiguous { self.in_doubt.floor() } else { Duration::ZERO };
        doubt.max(self.verdict.delay.unwrap_or_default())
    }

    fn floor_note(&self, wait: Duration) -> &'static str {
        if wait > Duration::ZERO && wait == self.floor() {
            "; the schedule was stretched to the configured delay"
        } else {
            ""
        }
    }

    /// A hint and up to a tenth of it (at most 2 s) more, so that what was asked to come back does not come back at once.
    fn spread(&self, hint: Hint) -> Duration {
        const SPREAD_MAX: Duration = Duration::from_secs(2);
        let most = (hint.pause / 10).min(SPREAD_MAX).as_micros();
        let dice = dice(self.seed, self.delivery.id, u8::MAX, self.delivery.attempts);
        let more = u64::try_from((most * u128::from(dice)) >> 64).unwrap_or(0);
        hint.pause.saturating_add(Duration::from_micros(more))
    }

    /// The last moment a retry of this leg may start.
    fn retry_deadline(&self) -> Timestamp {
        retry_deadline(self.delivery, self.policy, self.ended)
    }

    /// Whether a hold ends after the total timeout, where that does not stand still.
    fn is_held_too_long(&self, until: Timestamp) -> bool {
        self.policy.count_holds && until > self.retry_deadline()
    }

    fn oldest(&self) -> Timestamp {
        self.delivery.accepted_at.after(self.policy.max_lead_age.get())
    }
}

/// The last moment a retry of the present leg may start: the total timeout after its first attempt, later by the time held.
pub(crate) fn retry_deadline(delivery: &Delivery, policy: &RetryPolicy, otherwise: Timestamp) -> Timestamp {
    let first = delivery.progress.first_attempt_at.unwrap_or(otherwise);
    let held = if policy.count_holds { Duration::ZERO } else { delivery.progress.held };
    first.after(policy.total_timeout.get()).after(held)
}
