//! The shapes of answers. Serialised here and nowhere else; names and units are promised.
//!
//! Times are RFC 3339 in UTC; durations are milliseconds and their names end in `_ms`.

pub(crate) mod attempt;
pub(crate) mod calendar;
pub(crate) mod choice;
pub(crate) mod classify;
pub(crate) mod counts;
pub(crate) mod delivery;
pub(crate) mod event;
pub(crate) mod legs;
pub(crate) mod policy;
pub(crate) mod protection;
pub(crate) mod reading;
pub(crate) mod words;

use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// Part of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct PageView<T: ToSchema> {
    /// What is on this page.
    pub(crate) items: Vec<T>,
    /// Give it as `after` for the next page; absent on the last one. A page may be short, even empty, and still have a next
    /// one: how far one request looks is bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Whole milliseconds, rounded down.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds with microseconds after the point.
pub(crate) fn fine_millis(duration: Duration) -> f64 {
    Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
        .div_duration_f64(Duration::from_millis(1))
}

/// Two hexadecimal digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}
