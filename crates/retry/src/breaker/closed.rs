//! Closed: everything goes, and failures are counted.
//!
//! Two ways to be sure that a recipient is in trouble. Five failures in a row is the quick one: at full failure it opens after
//! five attempts, whatever the traffic. But a recipient that fails four of five never fails five times in a row for long;
//! that is what the ratio is for. Asking for *certainty* (Wilson) and not for a ratio alone keeps two failures among three
//! calls at night from closing a door.

use super::transition::Reason;
use super::window::{Bar, Counted, Passed, Window};
use steadfast_lead::Timestamp;

const BAR: Bar = Bar { in_a_row: 5, ratio_thousandths: 500 };

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    window: Window,
}

impl Closed {
    pub(super) fn new(now: Timestamp) -> Self {
        Closed { window: Window::new(now) }
    }

    pub(super) fn healthy(&mut self, now: Timestamp) {
        self.window.healthy(now);
    }

    /// Counts a failure; why that is one too many, if it is.
    pub(super) fn failed(&mut self, now: Timestamp) -> Option<Reason> {
        self.window.failed(BAR, now).map(Reason::from)
    }

    pub(super) fn counted(&self) -> Counted {
        self.window.counted()
    }
}

impl From<Passed> for Reason {
    fn from(passed: Passed) -> Self {
        match passed {
            Passed::InARow => Reason::InARow,
            Passed::Ratio => Reason::Ratio,
        }
    }
}
