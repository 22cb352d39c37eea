//! The journal's lines: what happened, in the order it was committed. What the journal says, figures are folded from.

use crate::breaker::Transition;
use crate::delivery::{CloseReason, Endpoint, HoldReason, ReviewCause, StateName};
use crate::evidence::named_enum;
use crate::look_up::LookUpAnswer;
use crate::outcome::Outcome;
use crate::stop::{Stop, StopTarget};
use std::time::Duration;
use steadfast_lead::{DeliveryId, FlowName, LeadId, RecipientName, StepName, Timestamp};

named_enum! {
    /// What was decided after an attempt, in one word.
    DecisionName {
        /// The recipient took it.
        Deliver = "deliver",
        /// The recipient said no.
        Reject = "reject",
        /// Try again later.
        Retry = "retry",
        /// Wait without using a retry.
        Hold = "hold",
        /// A person has to look.
        Review = "review",
        /// End it.
        Close = "close",
        /// Ask the recipient whether it has the lead.
        LookUp = "look_up",
        /// Begin the next leg.
        NextLeg = "next_leg",
    }
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A lead was accepted.
    LeadAccepted {
        /// Which.
        lead: LeadId,
        /// Into which flow.
        flow: FlowName,
        /// How many deliveries it makes.
        deliveries: u32,
        /// A test lead.
        test: bool,
    },
    /// An attempt was settled.
    AttemptSettled(Box<AttemptSettled>),
    /// A look-up was settled.
    LookUpSettled(Box<LookUpSettled>),
    /// A delivery changed without an attempt: a person's verb, an expiry, a hold.
    DeliveryChanged {
        /// Which.
        delivery: DeliveryId,
        /// Of which recipient.
        recipient: RecipientName,
        /// Where it stands now.
        state: StateName,
        /// Why, when it went to review.
        cause: Option<ReviewCause>,
        /// Why, when it was held.
        held: Option<HoldReason>,
        /// Why, when it was closed.
        closed: Option<CloseReason>,
        /// The leg that begins with it, if one does.
        leg: Option<u8>,
        /// What a person did, and who; `None` when nobody did.
        verb: Option<(Box<str>, Box<str>)>,
        /// A test lead's.
        test: bool,
    },
    /// An endpoint asked for, or was given, a pause.
    EndpointPaused {
        /// Which.
        endpoint: Endpoint,
        /// Until when.
        until: Timestamp,
    },
    /// The breaker of an endpoint changed its state.
    BreakerChanged {
        /// Whose breaker.
        endpoint: Endpoint,
        /// From where to where, and why.
        transition: Box<Transition>,
    },
    /// A person stopped a recipient, a flow or a source.
    Stopped(Box<Stop>),
    /// A person ended a stop.
    Resumed {
        /// What goes on.
        target: StopTarget,
        /// Who did it.
        by: Box<str>,
        /// Why, in their words.
        reason: Box<str>,
    },
    /// A configuration took effect.
    ConfigApplied {
        /// Its version.
        version: u64,
        /// Who applied it.
        by: Box<str>,
    },
}

/// One settled attempt, in short; the attempt itself is in the delivery's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptSettled {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The lead.
    pub lead: LeadId,
    /// The flow.
    pub flow: FlowName,
    /// The step.
    pub step: StepName,
    /// The recipient.
    pub recipient: RecipientName,
    /// The attempt's number over all legs, from 1.
    pub attempt: u32,
    /// Which leg it was of.
    pub leg: u8,
    /// Which retry of its leg it was, from 1; 0 for the first attempt. After a hold, which uses no retry, an attempt has the
    /// number of the one before it.
    pub retry: u32,
    /// What it meant.
    pub outcome: Outcome,
    /// What was decided.
    pub decision: DecisionName,
    /// Where the delivery stands now.
    pub state: StateName,
    /// How long after its due time, or after the end of its endpoint's pause, it started.
    pub late: Duration,
    /// How long it took.
    pub took: Duration,
    /// From the lead's acceptance to the end of the attempt.
    pub since_accepted: Duration,
    /// From the end of the attempt to when the delivery is looked at again; `None` where nothing more happens by itself.
    pub next_in: Option<Duration>,
    /// A test lead's.
    pub test: bool,
}

/// One settled look-up, in short; the look-up itself is in the delivery's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUpSettled {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The recipient.
    pub recipient: RecipientName,
    /// Its number since the doubt arose, from 1.
    pub number: u8,
    /// What it brought.
    pub answer: LookUpAnswer,
    /// What was decided.
    pub decision: DecisionName,
    /// Where the delivery stands now.
    pub state: StateName,
    /// Why, when it went to review.
    pub cause: Option<ReviewCause>,
    /// How long it took.
    pub took: Duration,
    /// From the end of the look-up to when the delivery is looked at again; `None` where nothing more happens by itself.
    pub next_in: Option<Duration>,
    /// A test lead's.
    pub test: bool,
}

impl EventKind {
    /// The word used in answers.
    pub const fn name(&self) -> &'static str {
        match self {
            EventKind::LeadAccepted { .. } => "lead_accepted",
            EventKind::AttemptSettled(_) => "attempt_settled",
            EventKind::LookUpSettled(_) => "look_up_settled",
            EventKind::DeliveryChanged { .. } => "delivery_changed",
            EventKind::EndpointPaused { .. } => "endpoint_paused",
            EventKind::BreakerChanged { .. } => "breaker_changed",
            EventKind::Stopped(_) => "stopped",
            EventKind::Resumed { .. } => "resumed",
            EventKind::ConfigApplied { .. } => "config_applied",
        }
    }
}
