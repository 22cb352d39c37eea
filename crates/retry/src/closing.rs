//! What becomes of a delivery that comes due while its recipient is closed, and of a retry outside its step's hours for retries.
//!
//! Must never: end a lead that may have been taken, or bring it to another recipient.

use crate::calendar::Calendar;
use crate::change::{close, hold, hold_because, reject};
use crate::delivery::{CloseReason, Delivery, HoldReason};
use crate::outcome::FailureKind;
use crate::route::{NextLeg, leave_leg};
use crate::settle::Settlement;
use crate::shard::Fence;
use steadfast_lead::Timestamp;

/// What becomes of a delivery that comes due while its recipient is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenClosed {
    /// It waits for the opening.
    #[default]
    Hold,
    /// Its next leg begins; without one, in a sale the next buyer has its turn; without that it waits for the opening.
    Next,
    /// It is closed.
    Skip,
    /// It counts as rejected.
    Reject,
}

impl WhenClosed {
    /// All of them.
    pub const ALL: [WhenClosed; 4] = [WhenClosed::Hold, WhenClosed::Next, WhenClosed::Skip, WhenClosed::Reject];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            WhenClosed::Hold => "hold",
            WhenClosed::Next => "next",
            WhenClosed::Skip => "skip",
            WhenClosed::Reject => "reject",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        WhenClosed::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// Closed hours, as one delivery meets them.
#[derive(Clone, Copy, Debug)]
pub struct Closing<'a> {
    /// What becomes of it.
    pub when_closed: WhenClosed,
    /// The opening; `None` where there is none in sight.
    pub until: Option<Timestamp>,
    /// When the lead is too old.
    pub oldest: Timestamp,
    /// The leg after the present one.
    pub next: Option<&'a NextLeg>,
    /// In a sale, another buyer comes after it.
    pub next_buyer: bool,
}

/// What becomes of a delivery that came due in closed hours, where its recipient does not hold those: its next leg begins, or it
/// ends. While an attempt is in doubt it is held itself, and nothing is decided. `None` where it waits with its endpoint.
pub fn end_by_closing(before: &Delivery, closing: &Closing<'_>, fence: Fence, now: Timestamp) -> Option<Settlement> {
    let recipient = &before.endpoint.recipient;
    let until = closing.until.unwrap_or(closing.oldest).min(closing.oldest);
    let held = || hold(before, until, HoldReason::Closed, fence, now);
    if before.progress.is_unresolved() {
        return held();
    }
    let word = closing.when_closed.name();
    let said = format!("{recipient} is closed, and closed = {word:?}");
    match closing.when_closed {
        WhenClosed::Hold => None,
        WhenClosed::Next => {
            let leg = closing.next.and_then(|next| leave_leg(before, &said, next, fence, now));
            let buyer = || close(before, CloseReason::ClosedHours, said.as_str().into(), fence, now);
            leg.or_else(|| closing.next_buyer.then(buyer).flatten()).or_else(held)
        }
        WhenClosed::Skip => close(before, CloseReason::ClosedHours, said.into(), fence, now),
        WhenClosed::Reject => reject(before, FailureKind::Rejected, said.into(), fence, now),
    }
}

/// When a step is retried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryHours {
    /// When the window is open.
    pub calendar: Calendar,
    /// So many retries of a leg go at any time before.
    pub after: u32,
}

impl RetryHours {
    /// Until when a retry of that number, from 1, waits for the window; `None` where it goes now. One that would be too old by
    /// `oldest` does not wait.
    pub fn waits(&self, retry: u32, oldest: Timestamp, now: Timestamp) -> Option<Timestamp> {
        if retry <= self.after || self.calendar.is_open(now) {
            return None;
        }
        self.calendar.next_open(now).filter(|opens| *opens < oldest)
    }

    /// The hours, as written.
    pub fn hours(&self) -> String {
        self.calendar.hours().iter().map(ToString::to_string).collect()
    }

    /// Holds a retry outside the hours until they open; `None` where it may go.
    pub fn hold(&self, before: &Delivery, oldest: Timestamp, fence: Fence, now: Timestamp) -> Option<Settlement> {
        let retry = before.progress.retries_used;
        let opens = self.waits(retry, oldest, now)?;
        let because = format!("retry {retry} waits for the retry hours {} in {}", self.hours(), self.calendar.zone());
        hold_because(before, opens, HoldReason::RetryHours, because.into(), fence, now)
    }
}
