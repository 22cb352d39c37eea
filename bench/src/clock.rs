//! The one clock of a measurement: microseconds since the tool began, the same for generator and recipient, which live in one
//! process. Never jumps.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

static BEGAN: LazyLock<Instant> = LazyLock::new(measure);

/// Microseconds since the first call.
pub(crate) fn now_us() -> u64 {
    micros(BEGAN.elapsed())
}

/// A duration in whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[allow(clippy::disallowed_methods, reason = "measuring is what this crate is for")]
fn measure() -> Instant {
    Instant::now()
}
