//! What is done about an attempt that was sent and not answered, from what the levels say about it.

use crate::place::{Fault, Place};
use crate::settings::{InDoubtMode, InDoubtSettings};
use std::ops::RangeInclusive;
use std::time::Duration;
use steadfast_retry::InDoubt;
use steadfast_retry::policy::show_duration;

/// How long an attempt in doubt may be made to wait.
pub const IN_DOUBT_DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3_600);

/// What is done, where nobody says otherwise: it is sent again, but a buyer of a sale keeps the lead until a person has spoken.
pub(crate) fn in_doubt(settings: &InDoubtSettings, of_a_buyer: bool) -> InDoubt {
    let floor = settings.delay.unwrap_or_default();
    let usual = if of_a_buyer { InDoubtMode::Hold } else { InDoubtMode::Retry };
    match settings.mode.unwrap_or(usual) {
        InDoubtMode::Retry => InDoubt::Retry { floor },
        InDoubtMode::Verify => InDoubt::Verify { floor },
        InDoubtMode::Hold => InDoubt::Hold,
        InDoubtMode::AssumeDelivered => InDoubt::AssumeDelivered,
    }
}

pub(crate) fn in_doubt_fault(place: &Place, settings: &InDoubtSettings) -> Option<Fault> {
    let delay = settings.delay.filter(|delay| !IN_DOUBT_DELAY.contains(delay))?;
    let allowed = format!("{} to {}", show_duration(*IN_DOUBT_DELAY.start()), show_duration(*IN_DOUBT_DELAY.end()));
    Some(Fault::of(place.key("in_doubt_delay"), &show_duration(delay), "is out of range", &allowed))
}
