//! One line of the journal.

use super::delivery::{EndpointTwin, recipient_name, step_name};
use super::guard::TransitionTwin;
use super::history::OutcomeTwin;
use super::lead::flow_name;
use super::stop::{StopTwin, TargetTwin};
use super::time::{at, from_duration, offset, to_duration};
use super::{Code, Dictionary, RecordError, read, write};
use minicbor::{Decode, Encode};
use steadfast_lead::{DeliveryId, LeadId, Timestamp};
use steadfast_retry::{
    AttemptSettled, CloseReason, DecisionName, Event, EventKind, HoldReason, LookUpAnswer, LookUpSettled, ReviewCause,
    StateName,
};

const WHAT: &str = "a line of the journal";

#[derive(Encode, Decode)]
struct EventTwin<'a> {
    #[n(0)]
    at: i64,
    #[b(1)]
    kind: KindTwin<'a>,
}

#[derive(Encode, Decode)]
enum KindTwin<'a> {
    /// Lead, flow, deliveries, test.
    #[n(0)]
    LeadAccepted(#[n(0)] i64, #[n(1)] u32, #[n(2)] u32, #[n(3)] bool),
    #[n(1)]
    AttemptSettled(#[n(0)] SettledTwin),
    #[n(2)]
    DeliveryChanged(#[b(0)] ChangedTwin<'a>),
    #[n(3)]
    EndpointPaused(#[n(0)] EndpointTwin, #[n(1)] i64),
    #[n(4)]
    ConfigApplied(#[n(0)] u64, #[b(1)] &'a str),
    #[n(5)]
    LookUpSettled(#[n(0)] LookUpTwin),
    #[n(6)]
    BreakerChanged(#[n(0)] EndpointTwin, #[b(1)] TransitionTwin<'a>),
    #[n(7)]
    Stopped(#[b(0)] StopTwin<'a>),
    /// Target, by, reason.
    #[n(8)]
    Resumed(#[b(0)] TargetTwin<'a>, #[b(1)] &'a str, #[b(2)] &'a str),
}

#[derive(Encode, Decode)]
struct LookUpTwin {
    #[n(0)]
    delivery: i64,
    #[n(1)]
    recipient: u32,
    #[n(2)]
    number: u8,
    #[n(3)]
    answer: u8,
    #[n(4)]
    decision: u8,
    #[n(5)]
    state: u8,
    #[n(6)]
    cause: Option<u8>,
    #[n(7)]
    took: u64,
    #[n(8)]
    next_in: Option<u64>,
    /// `None` is no: lines that were written before this field.
    #[n(9)]
    test: Option<bool>,
}

#[derive(Encode, Decode)]
struct SettledTwin {
    #[n(0)]
    delivery: i64,
    /// Difference from the delivery's id.
    #[n(1)]
    lead: i64,
    #[n(2)]
    flow: u32,
    #[n(3)]
    step: u32,
    #[n(4)]
    recipient: u32,
    #[n(5)]
    attempt: u32,
    #[n(6)]
    retry: u32,
    #[n(7)]
    outcome: OutcomeTwin,
    #[n(8)]
    decision: u8,
    #[n(9)]
    state: u8,
    #[n(10)]
    late: u64,
    #[n(11)]
    took: u64,
    #[n(12)]
    since_accepted: u64,
    #[n(13)]
    test: bool,
    #[n(14)]
    next_in: Option<u64>,
    /// `None` is the primary leg.
    #[n(15)]
    leg: Option<u8>,
}

#[derive(Encode, Decode)]
struct ChangedTwin<'a> {
    #[n(0)]
    delivery: i64,
    #[n(1)]
    recipient: u32,
    #[n(2)]
    state: u8,
    #[n(3)]
    cause: Option<u8>,
    #[n(4)]
    held: Option<u8>,
    #[n(5)]
    closed: Option<u8>,
    #[b(6)]
    verb: Option<(&'a str, &'a str)>,
    /// `None` is no, as above.
    #[n(7)]
    test: Option<bool>,
    #[n(8)]
    leg: Option<u8>,
}

/// Writes a line of the journal.
pub fn encode_event(event: &Event, names: &Dictionary) -> Vec<u8> {
    let kind = match &event.kind {
        EventKind::LeadAccepted { lead, flow, deliveries, test } => {
            KindTwin::LeadAccepted(lead.raw(), names.number(flow.as_str()), *deliveries, *test)
        }
        EventKind::AttemptSettled(settled) => KindTwin::AttemptSettled(settled_twin(settled, names)),
        EventKind::DeliveryChanged { delivery, recipient, state, cause, held, closed, leg, verb, test } => {
            KindTwin::DeliveryChanged(ChangedTwin {
                delivery: delivery.raw(),
                recipient: names.number(recipient.as_str()),
                state: state.code(),
                cause: cause.map(Code::code),
                held: held.map(Code::code),
                closed: closed.map(Code::code),
                verb: verb.as_ref().map(|(verb, by)| (&**verb, &**by)),
                test: Some(*test),
                leg: *leg,
            })
        }
        EventKind::EndpointPaused { endpoint, until } => {
            KindTwin::EndpointPaused(EndpointTwin::of(endpoint, names), offset(*until, event.at))
        }
        EventKind::ConfigApplied { version, by } => KindTwin::ConfigApplied(*version, by),
        EventKind::BreakerChanged { endpoint, transition } => {
            KindTwin::BreakerChanged(EndpointTwin::of(endpoint, names), TransitionTwin::of(transition, event.at))
        }
        EventKind::Stopped(stop) => KindTwin::Stopped(StopTwin::of(stop)),
        EventKind::Resumed { target, by, reason } => KindTwin::Resumed(TargetTwin::of(target), by, reason),
        EventKind::LookUpSettled(settled) => KindTwin::LookUpSettled(look_up_twin(settled, names)),
    };
    write(&EventTwin { at: event.at.as_micros(), kind }, 96)
}

/// When a line was written, and nothing else of it.
///
/// # Errors
/// [`RecordError`] when the record cannot be understood.
pub fn event_time(record: &[u8]) -> Result<Timestamp, RecordError> {
    let twin: EventTwin<'_> = read(WHAT, record)?;
    Ok(Timestamp::from_micros(twin.at))
}

/// Reads a line of the journal.
///
/// # Errors
/// [`RecordError`] when the record cannot be understood.
pub fn decode_event(record: &[u8], names: &Dictionary) -> Result<Event, RecordError> {
    let twin: EventTwin<'_> = read(WHAT, record)?;
    let base = Timestamp::from_micros(twin.at);
    let kind = match twin.kind {
        KindTwin::LeadAccepted(lead, flow, deliveries, test) => {
            let lead = LeadId::from_raw(lead).ok_or_else(negative)?;
            EventKind::LeadAccepted { lead, flow: flow_name(flow, names)?, deliveries, test }
        }
        KindTwin::AttemptSettled(twin) => EventKind::AttemptSettled(Box::new(settled(&twin, names)?)),
        KindTwin::DeliveryChanged(twin) => EventKind::DeliveryChanged {
            delivery: DeliveryId::from_raw(twin.delivery).ok_or_else(negative)?,
            recipient: recipient_name(twin.recipient, names)?,
            state: StateName::of_code(twin.state)?,
            cause: twin.cause.map(ReviewCause::of_code).transpose()?,
            held: twin.held.map(HoldReason::of_code).transpose()?,
            closed: twin.closed.map(CloseReason::of_code).transpose()?,
            leg: twin.leg,
            verb: twin.verb.map(|(verb, by)| (verb.into(), by.into())),
            test: twin.test.unwrap_or(false),
        },
        KindTwin::EndpointPaused(endpoint, until) => {
            EventKind::EndpointPaused { endpoint: endpoint.value(names)?, until: at(until, base) }
        }
        KindTwin::BreakerChanged(endpoint, transition) => EventKind::BreakerChanged {
            endpoint: endpoint.value(names)?,
            transition: Box::new(transition.value(base)?),
        },
        KindTwin::Stopped(stop) => EventKind::Stopped(Box::new(stop.value()?)),
        KindTwin::Resumed(target, by, reason) => {
            EventKind::Resumed { target: target.value()?, by: by.into(), reason: reason.into() }
        }
        KindTwin::ConfigApplied(version, by) => EventKind::ConfigApplied { version, by: by.into() },
        KindTwin::LookUpSettled(twin) => EventKind::LookUpSettled(Box::new(look_up(&twin, names)?)),
    };
    Ok(Event { at: base, kind })
}

fn negative() -> RecordError {
    RecordError::Damaged { what: WHAT, detail: "an id is negative".to_owned() }
}

fn settled_twin(settled: &AttemptSettled, names: &Dictionary) -> SettledTwin {
    SettledTwin {
        delivery: settled.delivery.raw(),
        lead: settled.lead.raw().wrapping_sub(settled.delivery.raw()),
        flow: names.number(settled.flow.as_str()),
        step: names.number(settled.step.as_str()),
        recipient: names.number(settled.recipient.as_str()),
        attempt: settled.attempt,
        retry: settled.retry,
        outcome: OutcomeTwin::of(settled.outcome),
        decision: settled.decision.code(),
        state: settled.state.code(),
        late: from_duration(settled.late),
        took: from_duration(settled.took),
        since_accepted: from_duration(settled.since_accepted),
        test: settled.test,
        next_in: settled.next_in.map(from_duration),
        leg: (settled.leg > 0).then_some(settled.leg),
    }
}

fn settled(twin: &SettledTwin, names: &Dictionary) -> Result<AttemptSettled, RecordError> {
    Ok(AttemptSettled {
        delivery: DeliveryId::from_raw(twin.delivery).ok_or_else(negative)?,
        lead: LeadId::from_raw(twin.delivery.wrapping_add(twin.lead)).ok_or_else(negative)?,
        flow: flow_name(twin.flow, names)?,
        step: step_name(twin.step, names)?,
        recipient: recipient_name(twin.recipient, names)?,
        attempt: twin.attempt,
        leg: twin.leg.unwrap_or(0),
        retry: twin.retry,
        outcome: twin.outcome.value()?,
        decision: DecisionName::of_code(twin.decision)?,
        state: StateName::of_code(twin.state)?,
        late: to_duration(twin.late),
        took: to_duration(twin.took),
        since_accepted: to_duration(twin.since_accepted),
        test: twin.test,
        next_in: twin.next_in.map(to_duration),
    })
}

fn look_up_twin(settled: &LookUpSettled, names: &Dictionary) -> LookUpTwin {
    LookUpTwin {
        delivery: settled.delivery.raw(),
        recipient: names.number(settled.recipient.as_str()),
        number: settled.number,
        answer: settled.answer.code(),
        decision: settled.decision.code(),
        state: settled.state.code(),
        cause: settled.cause.map(Code::code),
        took: from_duration(settled.took),
        next_in: settled.next_in.map(from_duration),
        test: Some(settled.test),
    }
}

fn look_up(twin: &LookUpTwin, names: &Dictionary) -> Result<LookUpSettled, RecordError> {
    Ok(LookUpSettled {
        delivery: DeliveryId::from_raw(twin.delivery).ok_or_else(negative)?,
        recipient: recipient_name(twin.recipient, names)?,
        number: twin.number,
        answer: LookUpAnswer::of_code(twin.answer)?,
        decision: DecisionName::of_code(twin.decision)?,
        state: StateName::of_code(twin.state)?,
        cause: twin.cause.map(ReviewCause::of_code).transpose()?,
        took: to_duration(twin.took),
        next_in: twin.next_in.map(to_duration),
        test: twin.test.unwrap_or(false),
    })
}
