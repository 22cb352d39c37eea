//! How long a buyer may give a lead back, and how old one may be that is then offered to the next.

use crate::place::{Fault, Place};
use std::ops::RangeInclusive;
use std::time::Duration;
use steadfast_retry::policy::show_duration;

/// How long after its delivery a lead may be returned.
pub const RETURN_WITHIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(366 * 86_400);
/// How old a returned lead may be that is offered to the next buyer.
pub const RESELL_WITHIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(90 * 86_400);

/// What a recipient or a flow says about returns. `None` leaves a key to the flow, or to the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReturnSettings {
    /// How long after its delivery a lead may be returned.
    pub within: Option<Duration>,
    /// How old it may be to be offered to the next buyer, from when it was accepted.
    pub resell_within: Option<Duration>,
}

/// The rules in force for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnRules {
    /// How long after its delivery a lead may be returned.
    pub within: Duration,
    /// How old it may be to be offered to the next buyer, from when it was accepted.
    pub resell_within: Duration,
}

impl Default for ReturnRules {
    fn default() -> Self {
        ReturnRules { within: Duration::from_secs(30 * 86_400), resell_within: Duration::from_secs(2 * 3_600) }
    }
}

impl ReturnSettings {
    /// These settings over a flow's, over the defaults.
    pub(crate) fn over(&self, flow: &ReturnSettings) -> ReturnRules {
        let usual = ReturnRules::default();
        ReturnRules {
            within: self.within.or(flow.within).unwrap_or(usual.within),
            resell_within: self.resell_within.or(flow.resell_within).unwrap_or(usual.resell_within),
        }
    }

    pub(crate) fn faults(&self, owner: &Place) -> Vec<Fault> {
        let place = owner.key("returns");
        let fault = |key: &str, given: Option<Duration>, range: RangeInclusive<Duration>| {
            let given = given.filter(|given| !range.contains(given))?;
            let allowed = format!("{} to {}", show_duration(*range.start()), show_duration(*range.end()));
            Some(Fault::of(place.key(key), &show_duration(given), "is out of range", &allowed))
        };
        let within = fault("within", self.within, RETURN_WITHIN);
        within.into_iter().chain(fault("resell_within", self.resell_within, RESELL_WITHIN)).collect()
    }
}
