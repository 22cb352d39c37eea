//! Forgetting: the settlement that ends a delivery because the person asked for deletion, and what stays of its history.
//!
//! Ids, states, times, counts and kinds stay, so that the ledger still balances; every word a recipient or a person wrote
//! goes.

use crate::change::change;
use crate::delivery::{CloseReason, Delivery, State};
use crate::evidence::{Answer, Evidence, Fault};
use crate::look_up::LookUp;
use crate::outcome::Verdict;
use crate::settle::{Attempt, Change, Entry, Settlement};
use crate::shard::Fence;
use bytes::Bytes;
use steadfast_lead::Timestamp;

/// What stands in place of words that were wiped.
const WIPED: &str = "erased";

/// Erases a delivery that is not in flight: what waits, is held or in review is closed; what has ended stays as it ended.
pub fn erase(before: &Delivery, by: &str, fence: Fence, now: Timestamp) -> Settlement {
    let state = match &before.state {
        State::Waiting { .. } | State::Held { .. } | State::InReview { .. } => {
            State::Closed { at: now, why: CloseReason::Erased }
        }
        State::Delivered { .. } | State::Rejected { .. } | State::Closed { .. } => before.state.clone(),
    };
    let because = "the person asked for deletion";
    let mut settlement = change(before, state, because.into(), Some(("erase".into(), by.into())), fence, now);
    // A digest of what a person said tells whoever guesses it that the guess is right.
    settlement.delivery.body = None;
    settlement
}

/// A line of history without what a recipient or a person wrote.
pub fn wiped(entry: Entry) -> Entry {
    match entry {
        Entry::Attempt(attempt) => Entry::Attempt(Box::new(wiped_attempt(*attempt))),
        Entry::LookUp(look_up) => Entry::LookUp(Box::new(wiped_look_up(*look_up))),
        Entry::Change(change) => Entry::Change(Change { because: WIPED.into(), ..change }),
    }
}

fn wiped_attempt(attempt: Attempt) -> Attempt {
    Attempt {
        evidence: wiped_evidence(attempt.evidence),
        verdict: wiped_verdict(attempt.verdict),
        because: WIPED.into(),
        ..attempt
    }
}

fn wiped_look_up(look_up: LookUp) -> LookUp {
    LookUp {
        evidence: wiped_evidence(look_up.evidence),
        verdict: wiped_verdict(look_up.verdict),
        because: WIPED.into(),
        ..look_up
    }
}

fn wiped_evidence(evidence: Evidence) -> Evidence {
    let fault = evidence.fault.map(|fault| Fault { detail: WIPED.into(), ..fault });
    let answer = evidence.answer.map(|answer| Answer { headers: Vec::new(), body: Bytes::new(), ..answer });
    Evidence { fault, answer, ..evidence }
}

fn wiped_verdict(verdict: Verdict) -> Verdict {
    Verdict { reason: None, reference: None, ..verdict }
}
