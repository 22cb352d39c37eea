//! Retry policies: what may be set, within which bounds, the named ones, and how levels lay over each other.

mod bounded;
mod conditions;
mod key;
mod layer;
mod named;
mod overlay;
mod resolve;

pub use bounded::{
    InitialDelay, Jitter, JitterShare, MaxInterval, MaxLeadAge, MaxRetries, Multiplier, OutOfRange, Reach,
    TotalTimeout, show as show_duration,
};
pub use conditions::{BadCondition, Condition, Conditions};
pub use key::Key;
pub use layer::{Backoff, Layer, Limits};
pub use named::{BUILT_IN_NAMES, CustomPolicy, Policies, UnknownPolicy};
pub use overlay::Overlay;
pub use resolve::{Fault, Level, Origin, Resolved, resolve};

use std::time::Duration;

/// A complete retry policy: every value set, every value within its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Whether there are retries at all.
    pub enabled: bool,
    /// How delays grow.
    pub backoff: Backoff,
    /// Retries after an immediate first attempt, per leg.
    pub max_retries: MaxRetries,
    /// The delay before the first retry.
    pub initial_delay: InitialDelay,
    /// By how much each delay grows, for exponential backoff.
    pub multiplier: Multiplier,
    /// The longest delay.
    pub max_interval: MaxInterval,
    /// How long after the leg's first attempt a retry may still start, not counting time held.
    pub total_timeout: TotalTimeout,
    /// How delays are spread.
    pub jitter: Jitter,
    /// Which errors are retried.
    pub retry_on: Conditions,
    /// Which errors are not, whatever `retry_on` says.
    pub never_retry_on: Conditions,
    /// How old a lead may be at the start of an attempt.
    pub max_lead_age: MaxLeadAge,
    /// Whether the total timeout also counts time held.
    pub count_holds: bool,
    /// Whether the wider bounds apply.
    pub extended: bool,
}

impl RetryPolicy {
    /// Retries allowed: none when retrying is off.
    pub fn retries_allowed(&self) -> u32 {
        if self.enabled { self.max_retries.get() } else { 0 }
    }

    /// The longest a leg's retries take under this policy when every attempt fails at once: the sum of the latest delays.
    pub fn latest_sum(&self) -> Duration {
        (0..self.retries_allowed())
            .fold(Duration::ZERO, |sum, retry| sum.saturating_add(crate::window(self, retry).latest))
    }
}
