//! Credentials: the recipient refuses ours, and only a person can help.
//!
//! Not an outage: the recipient is well, so there is nothing to probe, and knocking on with a wrong key gets an account
//! locked. Not the lead's fault either: what waits is held, not sent to review one by one. Ends by hand.

/// So many refusals in a row.
const REFUSALS: u8 = 5;

/// Refusals in a row, whatever the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusals(u8);

impl Refusals {
    /// Counts one and says whether it is one too many.
    pub(super) fn refused(&mut self) -> bool {
        self.0 = self.0.saturating_add(1);
        self.0 >= REFUSALS
    }

    pub(super) fn clear(&mut self) {
        self.0 = 0;
    }

    pub(super) fn in_a_row(self) -> u32 {
        u32::from(self.0)
    }
}
