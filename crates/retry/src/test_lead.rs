//! A test lead's delivery that its recipient would take for a real one.

use crate::change::change;
use crate::delivery::{CloseReason, Delivery, State};
use crate::settle::Settlement;
use crate::shard::Fence;
use steadfast_lead::Timestamp;

/// Closes a test lead's delivery in place of sending it. `None` where it has ended.
pub fn close_test(before: &Delivery, fence: Fence, now: Timestamp) -> Option<Settlement> {
    before.state.next_look()?;
    let because = "not sent: a test lead, and the recipient is not set to take them (test_leads)";
    let state = State::Closed { at: now, why: CloseReason::Test };
    Some(change(before, state, because.into(), None, fence, now))
}
