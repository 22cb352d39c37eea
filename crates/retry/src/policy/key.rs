//! The retry keys, by the names users write.

use crate::evidence::named_enum;

named_enum! {
    /// One retry setting.
    Key {
        /// Whether there are retries at all.
        Enabled = "enabled",
        /// A named policy laid down first.
        Policy = "policy",
        /// How delays grow.
        Backoff = "backoff",
        /// Retries after an immediate first attempt.
        MaxRetries = "max_retries",
        /// The delay before the first retry.
        InitialDelay = "initial_delay",
        /// By how much each delay grows.
        Multiplier = "multiplier",
        /// The longest delay.
        MaxInterval = "max_interval",
        /// How long retries go on.
        TotalTimeout = "total_timeout",
        /// How delays are spread.
        Jitter = "jitter",
        /// Which errors are retried.
        RetryOn = "retry_on",
        /// Which never are.
        NeverRetryOn = "never_retry_on",
        /// How old a lead may be.
        MaxLeadAge = "max_lead_age",
        /// Whether time held counts towards the total timeout.
        CountHolds = "count_holds",
        /// Whether the wider bounds apply.
        Extended = "extended",
    }
}
