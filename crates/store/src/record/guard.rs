//! A guard as it is kept, and a transition of its breaker as it stands in the journal.

use super::time::{at, from_duration, offset, to_duration};
use super::{Code, RecordError, read, write};
use minicbor::{Decode, Encode};
use steadfast_lead::Timestamp;
use steadfast_retry::breaker::{BreakerSnapshot, BreakerState, ByHand, Counted, Figures, Reason, Transition};
use steadfast_retry::{BudgetSnapshot, GuardSnapshot, Took};

const WHAT: &str = "a guard's record";

#[derive(Encode, Decode)]
struct GuardTwin {
    #[n(0)]
    state: u8,
    #[n(1)]
    since: i64,
    #[n(2)]
    generation: u64,
    #[n(3)]
    strikes: u8,
    #[n(4)]
    open_for: u64,
    #[n(5)]
    successes: u8,
    #[n(6)]
    tokens_thousandths: u32,
    /// Difference from `since`.
    #[n(7)]
    filled_at: i64,
    #[n(8)]
    answers: u32,
    #[n(9)]
    at_once: u32,
}

/// Writes a guard.
pub fn encode_guard(guard: &GuardSnapshot) -> Vec<u8> {
    let GuardSnapshot { breaker, budget, took } = guard;
    let twin = GuardTwin {
        state: breaker.state.code(),
        since: breaker.since.as_micros(),
        generation: breaker.generation,
        strikes: breaker.strikes,
        open_for: from_duration(breaker.open_for),
        successes: breaker.successes,
        tokens_thousandths: budget.tokens_thousandths,
        filled_at: offset(budget.filled_at, breaker.since),
        answers: took.answers,
        at_once: took.at_once,
    };
    write(&twin, 48)
}

/// Reads a guard.
///
/// # Errors
/// [`RecordError`] when the record cannot be understood.
pub fn decode_guard(record: &[u8]) -> Result<GuardSnapshot, RecordError> {
    let twin: GuardTwin = read(WHAT, record)?;
    let since = Timestamp::from_micros(twin.since);
    let breaker = BreakerSnapshot {
        state: BreakerState::of_code(twin.state)?,
        since,
        generation: twin.generation,
        strikes: twin.strikes,
        open_for: to_duration(twin.open_for),
        successes: twin.successes,
    };
    let budget = BudgetSnapshot { tokens_thousandths: twin.tokens_thousandths, filled_at: at(twin.filled_at, since) };
    Ok(GuardSnapshot { breaker, budget, took: Took { answers: twin.answers, at_once: twin.at_once } })
}

#[derive(Encode, Decode)]
pub(super) struct TransitionTwin<'a> {
    /// Difference from the event's time.
    #[n(0)]
    at: i64,
    #[n(1)]
    from: u8,
    #[n(2)]
    to: u8,
    #[n(3)]
    reason: u8,
    #[n(4)]
    generation: u64,
    #[n(5)]
    in_a_row: u32,
    #[n(6)]
    failures: u32,
    #[n(7)]
    calls: u32,
    #[n(8)]
    refusals: u32,
    #[n(9)]
    successes: u8,
    #[n(10)]
    open_for: Option<u64>,
    #[n(11)]
    strikes: u8,
    #[b(12)]
    by: Option<(&'a str, &'a str)>,
}

impl<'a> TransitionTwin<'a> {
    pub(super) fn of(transition: &'a Transition, base: Timestamp) -> Self {
        let Figures { counted, refusals, successes, open_for, strikes } = transition.figures;
        let Counted { in_a_row, failures, calls } = counted;
        TransitionTwin {
            at: offset(transition.at, base),
            from: transition.from.code(),
            to: transition.to.code(),
            reason: transition.reason.code(),
            generation: transition.generation,
            in_a_row,
            failures,
            calls,
            refusals,
            successes,
            open_for: open_for.map(from_duration),
            strikes,
            by: transition.by.as_ref().map(|by| (&*by.by, &*by.reason)),
        }
    }

    pub(super) fn value(&self, base: Timestamp) -> Result<Transition, RecordError> {
        let counted = Counted { in_a_row: self.in_a_row, failures: self.failures, calls: self.calls };
        Ok(Transition {
            at: at(self.at, base),
            from: BreakerState::of_code(self.from)?,
            to: BreakerState::of_code(self.to)?,
            reason: Reason::of_code(self.reason)?,
            figures: Figures {
                counted,
                refusals: self.refusals,
                successes: self.successes,
                open_for: self.open_for.map(to_duration),
                strikes: self.strikes,
            },
            generation: self.generation,
            by: self.by.map(|(by, reason)| ByHand { by: by.into(), reason: reason.into() }),
        })
    }
}
