//! Times as differences and durations in as few digits as they need.

use std::time::Duration;
use steadfast_lead::Timestamp;

/// How much later `time` is than `base`, in microseconds. Wraps, so that any two times come back exactly.
pub(super) fn offset(time: Timestamp, base: Timestamp) -> i64 {
    time.as_micros().wrapping_sub(base.as_micros())
}

/// The time that is `offset` later than `base`.
pub(super) fn at(offset: i64, base: Timestamp) -> Timestamp {
    Timestamp::from_micros(base.as_micros().wrapping_add(offset))
}

/// Whole microseconds doubled, or nanoseconds doubled plus one: exact, and short for what is usual. Beyond 292 years it
/// saturates.
pub(super) fn from_duration(duration: Duration) -> u64 {
    let (nanos, micros) = (duration.as_nanos(), duration.as_micros());
    let whole = nanos.is_multiple_of(1_000);
    let packed = if whole { micros << 1 } else { (nanos << 1) | 1 };
    u64::try_from(packed).unwrap_or(u64::MAX - 1 + u64::from(!whole))
}

/// The duration of what [`from_duration`] made.
pub(super) fn to_duration(packed: u64) -> Duration {
    if packed & 1 == 0 { Duration::from_micros(packed >> 1) } else { Duration::from_nanos(packed >> 1) }
}
