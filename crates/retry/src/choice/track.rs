//! How an endpoint's last attempts went, in two numbers that forget.

use std::time::Duration;

const ONE: i64 = 1_000_000;
/// Each attempt moves the numbers by one part in so many.
const SHARE: i64 = 8;

/// How an endpoint's last attempts went. Nothing known is as good as can be, so that it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackRecord {
    answered_millionths: i64,
    took_micros: Option<i64>,
}

impl Default for TrackRecord {
    fn default() -> Self {
        TrackRecord { answered_millionths: ONE, took_micros: None }
    }
}

impl TrackRecord {
    /// An attempt ended: answered with yes or no, or not.
    pub fn handle_attempt(&mut self, answered: bool, took: Duration) {
        let target = if answered { ONE } else { 0 };
        self.answered_millionths += (target - self.answered_millionths) / SHARE;
        if answered {
            let took = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
            self.took_micros = Some(match self.took_micros {
                None => took,
                Some(before) => before.saturating_add(took.saturating_sub(before) / SHARE),
            });
        }
    }

    /// The share of its last attempts that were answered, in thousandths.
    pub const fn answered_thousandths(&self) -> i64 {
        self.answered_millionths / 1_000
    }

    /// How long its last answers took; `None` where there was none.
    pub fn took(&self) -> Option<Duration> {
        self.took_micros.map(|micros| Duration::from_micros(micros.unsigned_abs()))
    }
}
