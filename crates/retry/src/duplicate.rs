//! A delivery that its buyer's duplicate guard keeps from being sent.

use crate::change::change;
use crate::decide::Because;
use crate::delivery::{CloseReason, Delivery, ReviewCause, State};
use crate::outcome::FailureKind;
use crate::settle::Settlement;
use crate::shard::Fence;
use steadfast_lead::Timestamp;

/// Where a duplicate goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateFate {
    /// Rejected, of the kind `duplicate`.
    Reject,
    /// To a person.
    Review,
    /// Closed: superseded.
    Skip,
}

/// Settles a delivery without sending it: another of the same person went to the same recipient. `None` where it has ended.
pub fn duplicate(
    before: &Delivery,
    fate: DuplicateFate,
    because: Because,
    fence: Fence,
    now: Timestamp,
) -> Option<Settlement> {
    before.state.next_look()?;
    let state = match fate {
        DuplicateFate::Reject => State::Rejected { at: now, kind: FailureKind::Duplicate },
        DuplicateFate::Review => State::InReview { since: now, cause: ReviewCause::Duplicate },
        DuplicateFate::Skip => State::Closed { at: now, why: CloseReason::Superseded },
    };
    let mut settlement = change(before, state, because, None, fence, now);
    settlement.delivery.last_kind = Some(FailureKind::Duplicate.name());
    Some(settlement)
}
