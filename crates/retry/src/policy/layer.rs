//! What one level of configuration says about retrying: any of the keys, none of them checked against the others yet.

use super::{Conditions, Jitter};
use crate::evidence::named_enum;
use std::time::Duration;
use steadfast_lead::PolicyName;

named_enum! {
    /// How delays grow.
    Backoff {
        /// Each is the one before times the multiplier, up to the longest interval.
        Exponential = "exponential",
        /// All are the initial delay.
        Fixed = "fixed",
    }
}

/// What one level says. `None` leaves a key to the levels above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// A named policy, laid down before the level's own keys.
    pub policy: Option<PolicyName>,
    /// Whether there are retries at all.
    pub enabled: Option<bool>,
    /// How delays grow.
    pub backoff: Option<Backoff>,
    /// Retries after an immediate first attempt.
    pub max_retries: Option<u32>,
    /// The delay before the first retry.
    pub initial_delay: Option<Duration>,
    /// By how much each delay grows, in thousandths.
    pub multiplier_thousandths: Option<u32>,
    /// The longest delay.
    pub max_interval: Option<Duration>,
    /// How long retries go on.
    pub total_timeout: Option<Duration>,
    /// How delays are spread.
    pub jitter: Option<Jitter>,
    /// Which errors are retried; replaces the list of the levels above.
    pub retry_on: Option<Conditions>,
    /// Which never are; replaces the list of the levels above.
    pub never_retry_on: Option<Conditions>,
    /// How old a lead may be.
    pub max_lead_age: Option<Duration>,
    /// Whether time held counts towards the total timeout.
    pub count_holds: Option<bool>,
    /// Whether the wider bounds apply.
    pub extended: Option<bool>,
}

/// What a recipient allows at most, whatever any level says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most retries.
    pub max_retries: Option<u32>,
    /// Oldest lead.
    pub max_lead_age: Option<Duration>,
}
