//! The figures of one recipient, resolved once so that an event costs no search by label and no allocation.

use crate::figures::{Families, Labels};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use std::sync::OnceLock;
use steadfast_retry::breaker::{BreakerState, Reason};
use steadfast_retry::{
    AttemptSettled, CloseReason, ErrorKind, EventKind, FailureKind, Outcome, ReviewCause, StateName,
};

/// Label values for the number of a retry; everything beyond ten is one.
pub(crate) const RETRY_LABELS: [&str; 12] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11+"];

/// The place of a retry's number in [`RETRY_LABELS`].
pub(crate) fn retry_place(retry: u32) -> usize {
    usize::try_from(retry).unwrap_or(usize::MAX).min(RETRY_LABELS.len() - 1)
}

/// Every outcome with its kind, in the order of [`outcome_place`].
fn outcome_count() -> usize {
    1 + FailureKind::ALL.len() + ErrorKind::ALL.len()
}

fn outcome_place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Success => 0,
        Outcome::Failure(kind) => 1 + kind as usize,
        Outcome::Error(kind) => 1 + FailureKind::ALL.len() + kind as usize,
    }
}

/// How a delivery came to rest, as label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) state: StateName,
    pub(crate) cause: &'static str,
}

impl End {
    /// Where an attempt led, if it led to an end.
    pub(crate) fn of_attempt(settled: &AttemptSettled) -> Option<End> {
        let cause = settled.outcome.kind_name().unwrap_or("");
        match settled.state {
            StateName::Delivered | StateName::Rejected | StateName::InReview | StateName::Closed => {
                Some(End { state: settled.state, cause })
            }
            StateName::Waiting | StateName::Held | StateName::InFlight => None,
        }
    }

    /// Where a change without an attempt led.
    pub(crate) fn of_change(state: StateName, cause: Option<ReviewCause>, closed: Option<CloseReason>) -> Option<End> {
        let cause = match state {
            StateName::Delivered => "by_hand",
            StateName::Rejected => "",
            StateName::InReview => cause.map_or("", ReviewCause::name),
            StateName::Closed => closed.map_or("", CloseReason::name),
            StateName::Waiting | StateName::Held | StateName::InFlight => return None,
        };
        Some(End { state, cause })
    }
}

/// One recipient's figures.
pub(crate) struct PerRecipient {
    name: String,
    attempts: Box<[OnceLock<Counter>]>,
    /// Plain deliveries, by far the most; other ends are looked up by label.
    delivered: OnceLock<Counter>,
    delivery_seconds: OnceLock<Histogram>,
    attempt_seconds: OnceLock<Histogram>,
}

impl PerRecipient {
    pub(crate) fn new(name: &str) -> Self {
        let places = outcome_count() * RETRY_LABELS.len();
        PerRecipient {
            name: name.to_owned(),
            attempts: (0..places).map(|_| OnceLock::new()).collect(),
            delivered: OnceLock::new(),
            delivery_seconds: OnceLock::new(),
            attempt_seconds: OnceLock::new(),
        }
    }

    pub(crate) fn attempt(&self, settled: &AttemptSettled, families: &Families) {
        let retry = retry_place(settled.retry);
        let place = outcome_place(settled.outcome) * RETRY_LABELS.len() + retry;
        if let Some(slot) = self.attempts.get(place) {
            slot.get_or_init(|| families.attempts.get_or_create_owned(&self.attempt_labels(settled.outcome, retry)))
                .inc();
        }
        let own = || self.labels();
        let took = self.attempt_seconds.get_or_init(|| families.attempt_seconds.get_or_create_owned(&own()));
        took.observe(settled.took.as_secs_f64());
        if settled.state == StateName::Delivered {
            let latency = self.delivery_seconds.get_or_init(|| families.delivery_seconds.get_or_create_owned(&own()));
            latency.observe(settled.since_accepted.as_secs_f64());
        }
    }

    pub(crate) fn ended(&self, end: End, families: &Families) {
        if end == (End { state: StateName::Delivered, cause: "" }) {
            self.delivered.get_or_init(|| families.ended.get_or_create_owned(&self.end_labels(end))).inc();
            return;
        }
        families.ended.get_or_create_owned(&self.end_labels(end)).inc();
    }

    /// Rare: looked up by label each time.
    pub(crate) fn breaker_changed(&self, to: BreakerState, reason: Reason, families: &Families) {
        let (to, reason) = (to.name().to_owned(), reason.name().to_owned());
        let labels = vec![("recipient", self.name.clone()), ("to", to), ("reason", reason)];
        families.transitions.get_or_create_owned(&labels).inc();
    }

    fn labels(&self) -> Labels {
        vec![("recipient", self.name.clone())]
    }

    fn attempt_labels(&self, outcome: Outcome, retry: usize) -> Labels {
        vec![
            ("recipient", self.name.clone()),
            ("outcome", outcome.name().to_owned()),
            ("kind", outcome.kind_name().unwrap_or("").to_owned()),
            ("retry", RETRY_LABELS.get(retry).copied().unwrap_or("11+").to_owned()),
        ]
    }

    fn end_labels(&self, end: End) -> Labels {
        vec![("recipient", self.name.clone()), ("state", end.state.name().to_owned()), ("cause", end.cause.to_owned())]
    }
}

/// What an event says about a person's verb: one of the known words, so that the label stays bounded.
pub(crate) fn verb_label(kind: &EventKind) -> Option<&'static str> {
    let EventKind::DeliveryChanged { verb: Some((verb, _)), .. } = kind else { return None };
    Some(match &**verb {
        "retry" => "retry",
        "mark-delivered" => "mark-delivered",
        "dismiss" => "dismiss",
        "return" => "return",
        "conversion" => "conversion",
        "confirm" => "confirm",
        _ => "other",
    })
}

/// Whether a change left a delivery where it had ended before, and was counted then: an erasure does, and a conversion.
pub(crate) fn ended_before(state: StateName, verb: Option<&(Box<str>, Box<str>)>) -> bool {
    state == StateName::Delivered && verb.is_some_and(|(verb, _)| &**verb != "mark-delivered")
}

#[cfg(test)]
mod tests {
    use super::{outcome_count, outcome_place, retry_place};
    use std::collections::BTreeSet;
    use steadfast_retry::{ErrorKind, FailureKind, Outcome};

    #[test]
    fn every_outcome_has_a_place_of_its_own() {
        let failures = FailureKind::ALL.iter().copied().map(Outcome::Failure);
        let errors = ErrorKind::ALL.iter().copied().map(Outcome::Error);
        let places: BTreeSet<usize> =
            [Outcome::Success].into_iter().chain(failures).chain(errors).map(outcome_place).collect();
        assert_eq!(places.len(), outcome_count());
        assert_eq!(places.last().copied(), Some(outcome_count() - 1));
    }

    #[test]
    fn retries_beyond_ten_are_one() {
        assert_eq!((retry_place(0), retry_place(10), retry_place(11), retry_place(u32::MAX)), (0, 10, 11, 11));
    }
}
