//! A history as text: every attempt and change of a few leads, in order of time. The same function renders what the
//! simulator did and what a store remembers, so that the two can be compared line by line.
//!
//! Shows what was decided and when, never what differs from one machine to another (wording of faults, headers, addresses).

use crate::quantity::show;
use std::fmt::Write;
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::{Attempt, Change, Decision, Entry, Evidence, LookUp, State};

/// One line of one lead's history.
#[derive(Clone, Copy, Debug)]
pub struct TimelineEntry<'a> {
    /// The lead's number in order of arrival, from 1.
    pub lead: u32,
    /// What happened.
    pub entry: &'a Entry,
}

const MARGIN: &str = "            ";

/// Renders a history. Times are seconds since `start`, cut to the millisecond.
///
/// The order of `entries` does not matter beyond that of each lead's own: they are sorted by time, then by lead.
pub fn timeline(start: Timestamp, entries: &[TimelineEntry<'_>]) -> String {
    let mut sorted: Vec<&TimelineEntry<'_>> = entries.iter().collect();
    sorted.sort_by_key(|one| (happened(one.entry), one.lead));
    let mut text = String::new();
    for one in sorted {
        // Writing to a string cannot fail.
        let _ = match one.entry {
            Entry::Attempt(attempt) => write_attempt(&mut text, start, one.lead, attempt),
            Entry::Change(change) => write_change(&mut text, start, one.lead, change),
            Entry::LookUp(look_up) => write_look_up(&mut text, start, one.lead, look_up),
        };
    }
    text
}

fn happened(entry: &Entry) -> Timestamp {
    match entry {
        Entry::Attempt(attempt) => attempt.started,
        Entry::Change(change) => change.at,
        Entry::LookUp(look_up) => look_up.started,
    }
}

fn write_attempt(text: &mut String, start: Timestamp, lead: u32, attempt: &Attempt) -> std::fmt::Result {
    write!(text, "{:>10}  lead {lead} attempt {}", seconds(attempt.started.since(start)), attempt.number)?;
    if attempt.leg > 0 {
        write!(text, " on leg {}", attempt.leg)?;
    }
    if let Some(choice) = &attempt.choice {
        write!(text, " at {}", choice.candidate)?;
    }
    let held = attempt.started.since(attempt.due);
    if !held.is_zero() {
        write!(text, " (held {})", seconds(held))?;
    }
    write!(text, ": {}", seen(&attempt.evidence))?;
    write!(text, " in {}, {}", show(attempt.ended.since(attempt.started)), attempt.verdict.outcome.name())?;
    if let Some(kind) = attempt.verdict.outcome.kind_name() {
        write!(text, " {kind}")?;
    }
    writeln!(text, " by {}", attempt.verdict.decided_by)?;
    writeln!(text, "{MARGIN}{}: {}", decision(&attempt.decision, attempt.ended, start), attempt.because)
}

fn write_look_up(text: &mut String, start: Timestamp, lead: u32, look_up: &LookUp) -> std::fmt::Result {
    write!(text, "{:>10}  lead {lead} look-up {}", seconds(look_up.started.since(start)), look_up.number)?;
    write!(text, ": {}", seen(&look_up.evidence))?;
    write!(text, " in {}, {}", show(look_up.ended.since(look_up.started)), look_up.answer().name().replace('_', " "))?;
    writeln!(text, " by {}", look_up.verdict.decided_by)?;
    writeln!(text, "{MARGIN}{}: {}", decision(&look_up.decision, look_up.ended, start), look_up.because)
}

/// The status, or the fault and how far the attempt came.
fn seen(evidence: &Evidence) -> String {
    match (&evidence.fault, &evidence.answer) {
        (Some(fault), _) => format!("{} when {}", fault.kind, evidence.phase.name()),
        (None, Some(answer)) => answer.status.to_string(),
        (None, None) => format!("no answer when {}", evidence.phase.name()),
    }
}

fn decision(decision: &Decision, ended: Timestamp, start: Timestamp) -> String {
    let at = |time: Timestamp| seconds(time.since(start));
    match *decision {
        Decision::Deliver { probable: false } => "delivered".to_owned(),
        Decision::Deliver { probable: true } => "delivered (probable)".to_owned(),
        Decision::Reject { kind } => format!("rejected ({kind})"),
        Decision::Retry { retry, due, window, not_before } => {
            let (earliest, latest) = (ended.after(window.earliest), ended.after(window.latest));
            let planned = format!("retry {retry} at {} [{} to {}]", at(due), at(earliest), at(latest));
            not_before.map_or(planned.clone(), |until| format!("{planned}, not before {}", at(until)))
        }
        Decision::Hold { until, why, .. } => format!("held until {} ({why})", at(until)),
        Decision::Review { cause } => format!("in review ({cause})"),
        Decision::LookUp { due } => format!("look-up at {}", at(due)),
        Decision::NextLeg { leg, due } => format!("leg {leg} at {}", at(due)),
        Decision::Close { why } => format!("closed ({why})"),
    }
}

fn write_change(text: &mut String, start: Timestamp, lead: u32, change: &Change) -> std::fmt::Result {
    write!(text, "{:>10}  lead {lead}", seconds(change.at.since(start)))?;
    if let Some((verb, by)) = &change.verb {
        write!(text, " {verb} by {by}:")?;
    }
    let why = match &change.state {
        State::Waiting { .. } | State::Delivered { .. } => String::new(),
        State::Held { why, .. } => format!(" ({why})"),
        State::Rejected { kind, .. } => format!(" ({kind})"),
        State::InReview { cause, .. } => format!(" ({cause})"),
        State::Closed { why, .. } => format!(" ({why})"),
    };
    writeln!(text, " {}{why}: {}", change.state.name().name().replace('_', " "), change.because)
}

fn seconds(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_secs(), duration.subsec_millis())
}
