//! The legs a delivery has been on, told from its history.

use crate::wire::words;
use serde::Serialize;
use std::sync::Arc;
use steadfast_flow::StepPlan;
use steadfast_lead::Timestamp;
use steadfast_retry::{Decision, Delivery, Endpoint, Entry};
use utoipa::ToSchema;

/// One leg of a delivery: one way of reaching a recipient.
#[derive(Serialize, ToSchema)]
pub(crate) struct LegLine {
    /// Which; 0 is the step's own.
    leg: u8,
    /// Whom it went to.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    /// Where it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// When it began.
    #[schema(schema_with = words::time)]
    began_at: String,
    /// When it ended; missing on the present one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    ended_at: Option<String>,
    /// Attempts sent on it.
    attempts: u32,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
}

/// Every leg in the order they were on, from as much of the history as is given.
pub(crate) fn legs(delivery: &Delivery, plan: Option<&Arc<StepPlan>>, entries: &[Entry]) -> Vec<LegLine> {
    let mut lines = vec![LegLine::begun(0, delivery.accepted_at)];
    for entry in entries {
        let (sent_to, next) = told(entry);
        let Some(present) = lines.last_mut() else { break };
        if let Some(endpoint) = sent_to {
            present.attempts += 1;
            present.at(endpoint);
        }
        if let Some((leg, at, because)) = next {
            present.ended_at = Some(at.to_string());
            present.because = Some(because.to_owned());
            lines.push(LegLine::begun(leg, at));
        }
    }
    if let Some(present) = lines.last_mut().filter(|line| line.leg == delivery.progress.leg) {
        present.at(&delivery.endpoint);
    }
    for line in lines.iter_mut().filter(|line| line.endpoint.is_none()) {
        // It was left before anything was sent: what its endpoint was then is not kept.
        if let Some(leg) = plan.and_then(|plan| plan.legs().nth(usize::from(line.leg))) {
            line.at(&leg.endpoint);
        }
    }
    lines
}

/// Where an entry was sent to, if it was, and the leg that begins with it: its number, when, and why.
fn told(entry: &Entry) -> (Option<&Endpoint>, Option<(u8, Timestamp, &str)>) {
    match entry {
        Entry::Attempt(attempt) => {
            let next = next_leg(&attempt.decision).map(|leg| (leg, attempt.ended, &*attempt.because));
            (Some(&attempt.endpoint), next)
        }
        Entry::LookUp(look_up) => {
            (None, next_leg(&look_up.decision).map(|leg| (leg, look_up.ended, &*look_up.because)))
        }
        Entry::Change(change) => (None, change.leg.map(|leg| (leg, change.at, &*change.because))),
    }
}

const fn next_leg(decision: &Decision) -> Option<u8> {
    match decision {
        Decision::NextLeg { leg, .. } => Some(*leg),
        Decision::Deliver { .. }
        | Decision::Reject { .. }
        | Decision::Retry { .. }
        | Decision::Hold { .. }
        | Decision::Review { .. }
        | Decision::LookUp { .. }
        | Decision::Close { .. } => None,
    }
}

impl LegLine {
    fn begun(leg: u8, at: Timestamp) -> Self {
        LegLine {
            leg,
            recipient: None,
            endpoint: None,
            began_at: at.to_string(),
            ended_at: None,
            attempts: 0,
            because: None,
        }
    }

    fn at(&mut self, endpoint: &Endpoint) {
        self.recipient = Some(endpoint.recipient.to_string());
        self.endpoint = Some(endpoint.origin.to_string());
    }
}
