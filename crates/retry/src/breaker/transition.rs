//! From one state to another, and why: with the figures that led there, so that a person can check the reasoning.

use super::window::{Counted, lower_bound_thousandths};
use crate::evidence::named_enum;
use crate::policy::show_duration;
use std::fmt;
use std::time::Duration;
use steadfast_lead::Timestamp;

named_enum! {
    /// Where a breaker stands.
    BreakerState {
        /// Everything goes, failures are counted.
        Closed = "closed",
        /// Nothing goes until a time.
        Open = "open",
        /// One probe at a time goes.
        HalfOpen = "half_open",
        /// A growing share goes.
        Recovery = "recovery",
        /// The recipient refuses our credentials; nothing goes until a person says so.
        Credentials = "credentials",
        /// A person opened it; nothing goes until a person says so.
        ForcedOpen = "forced_open",
        /// A person switched it off; everything goes, nothing is concluded.
        Disabled = "disabled",
    }
}

named_enum! {
    /// Why a breaker changed its state.
    Reason {
        /// So many failures in a row.
        InARow = "failures_in_a_row",
        /// The failure ratio is surely too high.
        Ratio = "failure_ratio",
        /// The open time is over.
        OpenTimeOver = "open_time_over",
        /// A probe failed.
        ProbeFailed = "probe_failed",
        /// A probe did not come back in time.
        ProbeExpired = "probe_expired",
        /// Enough probes succeeded.
        ProbesSucceeded = "probes_succeeded",
        /// The ramp is over.
        RampOver = "ramp_over",
        /// So many refusals of our credentials in a row.
        Refused = "credentials_refused",
        /// A person said so.
        ByHand = "by_hand",
    }
}

/// What a transition was concluded from, and what it leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Counts of the state that was left.
    pub counted: Counted,
    /// Refusals of our credentials in a row.
    pub refusals: u32,
    /// Probes that succeeded.
    pub successes: u8,
    /// How long it is open, where it opens.
    pub open_for: Option<Duration>,
    /// The how-manieth opening in a row that is.
    pub strikes: u8,
}

/// Who did it by hand, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHand {
    /// Who.
    pub by: Box<str>,
    /// Why, in their words.
    pub reason: Box<str>,
}

/// From one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub from: BreakerState,
    /// To where.
    pub to: BreakerState,
    /// Why.
    pub reason: Reason,
    /// From which figures.
    pub figures: Figures,
    /// The generation that begins with it.
    pub generation: u64,
    /// Who did it, where a person did.
    pub by: Option<ByHand>,
}

/// The sentence that explains it: `closed to open: 5 failures in a row; open for 33s`.
impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { counted, refusals, successes, open_for, strikes } = self.figures;
        let Counted { in_a_row, failures, calls } = counted;
        write!(f, "{} to {}: ", self.from, self.to)?;
        match self.reason {
            Reason::InARow => write!(f, "{in_a_row} failures in a row")?,
            Reason::Ratio => {
                let bound = lower_bound_thousandths(failures, calls);
                write!(
                    f,
                    "{failures} of {calls} failed within a minute, surely more than {}.{} %",
                    bound / 10,
                    bound % 10
                )?;
            }
            Reason::OpenTimeOver => f.write_str("the open time is over")?,
            Reason::ProbeFailed => f.write_str("a probe failed")?,
            Reason::ProbeExpired => f.write_str("a probe did not come back")?,
            Reason::ProbesSucceeded => write!(f, "{successes} probes succeeded")?,
            Reason::RampOver => f.write_str("the ramp is over")?,
            Reason::Refused => write!(f, "{refusals} refusals of our credentials in a row")?,
            Reason::ByHand => f.write_str("by hand")?,
        }
        if let Some(by) = &self.by {
            write!(f, " by {}: {}", by.by, by.reason)?;
        }
        match open_for {
            Some(open_for) => {
                let whole = Duration::from_secs(open_for.as_secs());
                write!(f, "; open for {}, opening {strikes} in a row", show_duration(whole))
            }
            None => Ok(()),
        }
    }
}
