//! What an operator can set about a breaker, its bounds, and what holds where nothing is set.

use crate::evidence::named_enum;
use std::ops::RangeInclusive;
use std::time::Duration;

named_enum! {
    /// What a breaker may do.
    BreakerMode {
        /// It stops what has to be stopped.
        On = "on",
        /// It concludes and stops nothing.
        Observe = "observe",
        /// It only counts.
        Off = "off",
    }
}

/// What an operator can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// What it may do.
    pub mode: BreakerMode,
    /// From when on an answer counts as a failure; `None` for never.
    pub slow_call: Option<Duration>,
    /// How long a probe may take before it counts as failed: more than the request's timeout.
    pub probe_lease: Duration,
    /// How long it is open at first; twice as long with every opening in a row,
    pub open_for: Duration,
    /// up to this.
    pub longest_open: Duration,
    /// How long the way back takes; what the recipient took is learned in spans of a tenth of it.
    pub ramp: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        BreakerSettings {
            mode: BreakerMode::On,
            slow_call: None,
            probe_lease: Duration::from_secs(60),
            open_for: Duration::from_secs(30),
            longest_open: Duration::from_secs(15 * 60),
            ramp: Duration::from_secs(60),
        }
    }
}

impl BreakerSettings {
    /// How long it may be open at first.
    pub const OPEN_FOR: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);
    /// How long it may be open at most.
    pub const LONGEST_OPEN: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);
    /// How long the way back may take.
    pub const RAMP: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(3_600);

    /// With those of the times that were written. Where one of the two of being open was, the other gives way to it.
    #[must_use]
    pub fn with_times(
        self,
        open_for: Option<Duration>,
        longest_open: Option<Duration>,
        ramp: Option<Duration>,
    ) -> Self {
        let first = open_for.unwrap_or_else(|| self.open_for.min(longest_open.unwrap_or(self.open_for)));
        let longest_open = longest_open.unwrap_or_else(|| self.longest_open.max(first));
        BreakerSettings { open_for: first, longest_open, ramp: ramp.unwrap_or(self.ramp), ..self }
    }
}
