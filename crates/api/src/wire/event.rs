//! Lines of the journal as they are shown.

use crate::wire::protection::StopTargetView;
use crate::wire::{fine_millis, words};
use serde::Serialize;
use steadfast_retry::{AttemptSettled, Event, EventKind, StopTarget};
use steadfast_store::Cursor;
use utoipa::ToSchema;

/// One line of the journal.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventView {
    /// Its place; give it as `after` for what comes later.
    pub(crate) cursor: String,
    /// When it happened.
    #[schema(schema_with = words::time)]
    at: String,
    /// What happened.
    #[serde(flatten)]
    what: WhatView,
}

/// What happened.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WhatView {
    /// A lead was accepted.
    LeadAccepted {
        /// Which.
        lead_id: String,
        /// Into which flow.
        flow: String,
        /// How many deliveries it makes.
        deliveries: u32,
        /// A test lead.
        test: bool,
    },
    /// An attempt was settled.
    AttemptSettled(Box<AttemptSettledView>),
    /// A look-up was settled.
    LookUpSettled(Box<LookUpSettledView>),
    /// A delivery changed without an attempt.
    DeliveryChanged(Box<DeliveryChangedView>),
    /// An endpoint is to be left alone for a while.
    EndpointPaused {
        /// Whose.
        recipient: String,
        /// Where.
        endpoint: String,
        /// Until when.
        #[schema(schema_with = words::time)]
        until: String,
    },
    /// The breaker of an endpoint changed its state.
    BreakerChanged(Box<BreakerChangedView>),
    /// A person stopped a recipient, a flow or a source.
    Stopped(StopChangedView),
    /// A person ended a stop.
    Resumed(StopChangedView),
    /// A configuration took effect.
    ConfigApplied {
        /// Its version.
        version: u64,
        /// Who applied it.
        by: String,
    },
}

/// One settled attempt.
#[derive(Serialize, ToSchema)]
struct AttemptSettledView {
    /// The delivery.
    delivery_id: String,
    /// The lead.
    lead_id: String,
    /// The flow.
    flow: String,
    /// The step.
    step: String,
    /// The recipient.
    recipient: String,
    /// The attempt's number, from 1.
    attempt: u32,
    /// Which leg it was of; 0 is the step's own.
    leg: u8,
    /// Which retry it was; 0 for a first attempt.
    retry: u32,
    /// What it meant.
    #[schema(schema_with = words::outcome)]
    outcome: &'static str,
    /// The kind of a failure or error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::kind, required = false)]
    kind: Option<&'static str>,
    /// What was decided.
    #[schema(schema_with = words::decision)]
    decision: &'static str,
    /// Where the delivery stands now.
    #[schema(schema_with = words::state)]
    state: &'static str,
    /// How long after its due time it started.
    late_ms: f64,
    /// How long it took.
    took_ms: f64,
    /// From the lead's acceptance to the end of the attempt.
    since_accepted_ms: f64,
    /// From the end of the attempt to when the delivery is looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_in_ms: Option<f64>,
    /// A test lead's.
    test: bool,
}

/// One settled look-up: the recipient was asked whether it has the lead.
#[derive(Serialize, ToSchema)]
struct LookUpSettledView {
    /// The delivery.
    delivery_id: String,
    /// The recipient.
    recipient: String,
    /// Its number since the doubt arose, from 1.
    number: u8,
    /// What it brought: `found`, `not_found` or `unknown`.
    answer: &'static str,
    /// What was decided.
    #[schema(schema_with = words::decision)]
    decision: &'static str,
    /// Where the delivery stands now.
    #[schema(schema_with = words::state)]
    state: &'static str,
    /// Why, when it went to review.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::cause, required = false)]
    cause: Option<&'static str>,
    /// How long it took.
    took_ms: f64,
    /// From the end of the look-up to when the delivery is looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_in_ms: Option<f64>,
    /// A test lead's.
    test: bool,
}

/// A delivery that changed without an attempt.
#[derive(Serialize, ToSchema)]
struct DeliveryChangedView {
    /// Which.
    delivery_id: String,
    /// Of which recipient.
    recipient: String,
    /// Where it stands now.
    #[schema(schema_with = words::state)]
    state: &'static str,
    /// Why, when it went to review.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::cause, required = false)]
    cause: Option<&'static str>,
    /// Why, when it was held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::held, required = false)]
    held: Option<&'static str>,
    /// Why, when it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::closed, required = false)]
    closed: Option<&'static str>,
    /// The leg that begins with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    leg: Option<u8>,
    /// What a person did.
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<String>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// A test lead's.
    test: bool,
}

/// A breaker that changed its state.
#[derive(Serialize, ToSchema)]
struct BreakerChangedView {
    /// Whose.
    recipient: String,
    /// Where.
    endpoint: String,
    /// The state it left.
    #[schema(schema_with = words::breaker)]
    from: &'static str,
    /// The state it is in now.
    #[schema(schema_with = words::breaker)]
    to: &'static str,
    /// Why, in one word.
    reason: &'static str,
    /// Why, with the figures.
    because: String,
    /// Counts its changes.
    generation: u64,
    /// Who did it, where a person did.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

/// What a person stopped or let go on, who, and why.
#[derive(Serialize, ToSchema)]
struct StopChangedView {
    /// What.
    #[serde(flatten)]
    target: StopTargetView,
    /// Who did it.
    by: String,
    /// Why, in their words.
    reason: String,
}

impl StopChangedView {
    fn of(target: &StopTarget, by: &str, reason: &str) -> Self {
        StopChangedView { target: target.into(), by: by.to_owned(), reason: reason.to_owned() }
    }
}

impl EventView {
    /// A line at its place.
    pub(crate) fn of(cursor: Cursor, event: &Event) -> Self {
        EventView { cursor: cursor.0.to_string(), at: event.at.to_string(), what: what(&event.kind) }
    }
}

fn what(kind: &EventKind) -> WhatView {
    match kind {
        EventKind::LeadAccepted { lead, flow, deliveries, test } => WhatView::LeadAccepted {
            lead_id: lead.to_string(),
            flow: flow.to_string(),
            deliveries: *deliveries,
            test: *test,
        },
        EventKind::AttemptSettled(settled) => WhatView::AttemptSettled(Box::new(attempt(settled))),
        EventKind::LookUpSettled(settled) => WhatView::LookUpSettled(Box::new(LookUpSettledView {
            delivery_id: settled.delivery.to_string(),
            recipient: settled.recipient.to_string(),
            number: settled.number,
            answer: settled.answer.name(),
            decision: settled.decision.name(),
            state: settled.state.name(),
            cause: settled.cause.map(|cause| cause.name()),
            took_ms: fine_millis(settled.took),
            next_in_ms: settled.next_in.map(fine_millis),
            test: settled.test,
        })),
        EventKind::DeliveryChanged { delivery, recipient, state, cause, held, closed, leg, verb, test } => {
            let (verb, by) = verb.as_ref().map(|(verb, by)| (verb.to_string(), by.to_string())).unzip();
            WhatView::DeliveryChanged(Box::new(DeliveryChangedView {
                delivery_id: delivery.to_string(),
                recipient: recipient.to_string(),
                state: state.name(),
                cause: cause.map(|cause| cause.name()),
                held: held.map(|why| why.name()),
                closed: closed.map(|why| why.name()),
                leg: *leg,
                verb,
                by,
                test: *test,
            }))
        }
        EventKind::EndpointPaused { endpoint, until } => WhatView::EndpointPaused {
            recipient: endpoint.recipient.to_string(),
            endpoint: endpoint.origin.to_string(),
            until: until.to_string(),
        },
        EventKind::BreakerChanged { endpoint, transition } => WhatView::BreakerChanged(Box::new(BreakerChangedView {
            recipient: endpoint.recipient.to_string(),
            endpoint: endpoint.origin.to_string(),
            from: transition.from.name(),
            to: transition.to.name(),
            reason: transition.reason.name(),
            because: transition.to_string(),
            generation: transition.generation,
            by: transition.by.as_ref().map(|by| by.by.to_string()),
        })),
        EventKind::Stopped(stop) => WhatView::Stopped(StopChangedView::of(&stop.target, &stop.by, &stop.reason)),
        EventKind::Resumed { target, by, reason } => WhatView::Resumed(StopChangedView::of(target, by, reason)),
        EventKind::ConfigApplied { version, by } => WhatView::ConfigApplied { version: *version, by: by.to_string() },
    }
}

fn attempt(settled: &AttemptSettled) -> AttemptSettledView {
    AttemptSettledView {
        delivery_id: settled.delivery.to_string(),
        lead_id: settled.lead.to_string(),
        flow: settled.flow.to_string(),
        step: settled.step.to_string(),
        recipient: settled.recipient.to_string(),
        attempt: settled.attempt,
        leg: settled.leg,
        retry: settled.retry,
        outcome: settled.outcome.name(),
        kind: settled.outcome.kind_name(),
        decision: settled.decision.name(),
        state: settled.state.name(),
        late_ms: fine_millis(settled.late),
        took_ms: fine_millis(settled.took),
        since_accepted_ms: fine_millis(settled.since_accepted),
        next_in_ms: settled.next_in.map(fine_millis),
        test: settled.test,
    }
}
