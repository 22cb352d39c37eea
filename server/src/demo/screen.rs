//! What the demo shows: a line for each thing that happens, and now and then the figures.

use anstyle::{AnsiColor, Color, Style};
use parking_lot::Mutex;
use std::io::{IsTerminal, Write};
use steadfast_engine::Observer;
use steadfast_lead::Timestamp;
use steadfast_retry::{AttemptSettled, DecisionName, Event, EventKind, Outcome};

/// Counts of what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Leads accepted.
    pub(crate) accepted: u64,
    /// Attempts settled.
    pub(crate) attempts: u64,
    /// Attempts that were retries.
    pub(crate) retries: u64,
    /// Deliveries delivered.
    pub(crate) delivered: u64,
    /// Deliveries delivered by a retry.
    pub(crate) saved: u64,
    /// Deliveries a person has to look at.
    pub(crate) review: u64,
}

/// Prints what is committed, as it is.
pub(crate) struct Screen {
    colour: bool,
    tally: Mutex<Tally>,
}

impl Screen {
    /// Colours on a terminal, plain text otherwise.
    pub(crate) fn new() -> Self {
        Screen { colour: std::io::stdout().is_terminal(), tally: Mutex::new(Tally::default()) }
    }

    /// What happened so far.
    pub(crate) fn tally(&self) -> Tally {
        *self.tally.lock()
    }

    /// Prints a line, in a colour on a terminal.
    pub(crate) fn say(&self, colour: AnsiColor, line: &str) {
        let style = if self.colour { Style::new().fg_color(Some(Color::Ansi(colour))) } else { Style::new() };
        // Nobody reading is no reason to stop.
        let _printed = writeln!(std::io::stdout().lock(), "{style}{line}{style:#}");
    }

    fn attempt(&self, at: Timestamp, settled: &AttemptSettled) {
        let mut tally = self.tally.lock();
        tally.attempts += 1;
        tally.retries += u64::from(settled.retry > 0);
        match settled.decision {
            DecisionName::Deliver => {
                tally.delivered += 1;
                tally.saved += u64::from(settled.attempt > 1);
            }
            DecisionName::Review => tally.review += 1,
            DecisionName::Reject
            | DecisionName::Retry
            | DecisionName::Hold
            | DecisionName::LookUp
            | DecisionName::NextLeg
            | DecisionName::Close => {}
        }
        drop(tally);
        if settled.attempt == 1 && settled.outcome == Outcome::Success {
            return;
        }
        let retry = match settled.retry {
            0 => String::new(),
            retry => format!(" (retry {retry})"),
        };
        let kind = settled.outcome.kind_name().unwrap_or("accepted");
        let next = settled.next_in.unwrap_or_default().as_secs_f64();
        let then = match settled.decision {
            DecisionName::Deliver => {
                format!("delivered {:.1} s after it came in", settled.since_accepted.as_secs_f64())
            }
            DecisionName::Retry => format!("retry {} in {next:.1} s", settled.retry + 1),
            DecisionName::Hold => format!("held {next:.1} s as the recipient asked, no retry used"),
            DecisionName::Review => "needs a person: in review".to_owned(),
            DecisionName::Reject => "rejected by the recipient".to_owned(),
            DecisionName::Close => "closed".to_owned(),
            DecisionName::LookUp => format!("in doubt: the recipient is asked in {next:.1} s"),
            DecisionName::NextLeg => "the next leg begins".to_owned(),
        };
        let colour = match settled.outcome {
            Outcome::Success => AnsiColor::Green,
            Outcome::Failure(_) => AnsiColor::Magenta,
            Outcome::Error(_) => AnsiColor::Yellow,
        };
        let line =
            format!("{}  {}  attempt {}{retry}: {kind} -> {then}", clock_of(at), settled.delivery, settled.attempt);
        self.say(colour, &line);
    }
}

impl Observer for Screen {
    fn committed(&self, event: &Event) {
        match &event.kind {
            EventKind::LeadAccepted { .. } => self.tally.lock().accepted += 1,
            EventKind::AttemptSettled(settled) => self.attempt(event.at, settled),
            EventKind::LookUpSettled(_)
            | EventKind::DeliveryChanged { .. }
            | EventKind::EndpointPaused { .. }
            | EventKind::BreakerChanged { .. }
            | EventKind::Stopped(_)
            | EventKind::Resumed { .. }
            | EventKind::ConfigApplied { .. } => {}
        }
    }
}

/// The time of day, to the millisecond.
fn clock_of(at: Timestamp) -> String {
    at.to_string().get(11..23).unwrap_or_default().to_owned()
}
