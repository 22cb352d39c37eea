//! A delivery as it is kept. Its id is the key it stands under.

use super::choice::ChoiceTwin;
use super::lead::flow_name;
use super::time::{at, from_duration, offset, to_duration};
use super::{Code, Dictionary, RecordError, code_of_kind, kind_of_code, read, write};
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use std::sync::Arc;
use steadfast_lead::{DeliveryId, LeadId, Priority, RecipientName, StepName, Timestamp};
use steadfast_retry::{
    BodyMark, Booking, CloseReason, Conversion, Delivery, Endpoint, FailureKind, HoldReason, LegProgress, ReviewCause,
    State, Tie,
};

const WHAT: &str = "a delivery's record";

/// Times are differences from `accepted_at`.
#[derive(Encode, Decode)]
struct DeliveryTwin {
    /// Difference from the delivery's id.
    #[n(0)]
    lead: i64,
    #[n(1)]
    flow: u32,
    #[n(2)]
    step: u32,
    #[n(3)]
    endpoint: EndpointTwin,
    #[n(4)]
    accepted_at: i64,
    #[n(5)]
    priority: u8,
    #[n(6)]
    test: bool,
    #[n(7)]
    version: u32,
    #[n(8)]
    attempts: u32,
    #[n(9)]
    progress: ProgressTwin,
    #[n(10)]
    body: Option<BodyMarkTwin>,
    #[n(11)]
    last_kind: Option<u8>,
    #[n(12)]
    state: StateTwin,
    /// `None` is alone: records that were written before this field, and most since.
    #[n(13)]
    tie: Option<u8>,
    #[n(14)]
    booking: Option<BookingTwin>,
    /// `None` is one endpoint: records that were written before this field, and most since.
    #[n(15)]
    choice: Option<ChoiceTwin>,
}

/// Times are differences from the lead's acceptance.
#[derive(Encode, Decode)]
struct BookingTwin {
    #[n(0)]
    delivered_at: i64,
    #[n(1)]
    price: Option<String>,
    #[n(2)]
    returned_at: Option<i64>,
    #[n(3)]
    conversion: Option<ConversionTwin>,
}

#[derive(Encode, Decode)]
struct ConversionTwin {
    #[n(0)]
    at: i64,
    #[n(1)]
    revenue: String,
    #[n(2)]
    currency: Option<String>,
}

#[derive(Encode, Decode)]
pub(super) struct EndpointTwin {
    #[n(0)]
    recipient: u32,
    #[n(1)]
    origin: u32,
}

#[derive(Encode, Decode)]
struct ProgressTwin {
    #[n(0)]
    leg: u8,
    #[n(1)]
    revision: u16,
    #[n(2)]
    attempts: u32,
    #[n(3)]
    retries_used: u32,
    #[n(4)]
    first_attempt_at: Option<i64>,
    #[n(5)]
    held: u64,
    #[n(6)]
    interruptions: u8,
    #[n(7)]
    in_doubt: bool,
    /// `None` is no, and none: records that were written before these fields.
    #[n(8)]
    cleared: Option<bool>,
    #[n(9)]
    look_ups: Option<u8>,
}

#[derive(Encode, Decode)]
struct BodyMarkTwin {
    #[n(0)]
    mapping_version: u64,
    #[n(1)]
    digest: ByteArray<32>,
}

#[derive(Encode, Decode)]
pub(super) enum StateTwin {
    #[n(0)]
    Waiting(#[n(0)] i64),
    #[n(1)]
    Held(#[n(0)] i64, #[n(1)] i64, #[n(2)] u8),
    #[n(2)]
    Delivered(#[n(0)] i64, #[n(1)] bool, #[n(2)] bool),
    #[n(3)]
    Rejected(#[n(0)] i64, #[n(1)] u8),
    #[n(4)]
    InReview(#[n(0)] i64, #[n(1)] u8),
    #[n(5)]
    Closed(#[n(0)] i64, #[n(1)] u8),
}

/// Writes a delivery.
pub fn encode_delivery(delivery: &Delivery, names: &Dictionary) -> Vec<u8> {
    let base = delivery.accepted_at;
    let twin = DeliveryTwin {
        lead: delivery.lead.raw().wrapping_sub(delivery.id.raw()),
        flow: names.number(delivery.flow.as_str()),
        step: names.number(delivery.step.as_str()),
        endpoint: EndpointTwin::of(&delivery.endpoint, names),
        accepted_at: base.as_micros(),
        priority: delivery.priority.code(),
        test: delivery.test,
        version: delivery.version,
        attempts: delivery.attempts,
        progress: ProgressTwin::of(&delivery.progress, base),
        body: delivery
            .body
            .map(|mark| BodyMarkTwin { mapping_version: mark.mapping_version, digest: ByteArray::from(mark.digest) }),
        last_kind: delivery.last_kind.and_then(code_of_kind),
        state: StateTwin::of(&delivery.state, base),
        tie: code_of_tie(delivery.tie),
        booking: delivery.booking.as_deref().map(|booking| BookingTwin::of(booking, base)),
        choice: delivery.choice.as_deref().map(|choice| ChoiceTwin::of(choice, names)),
    };
    write(&twin, 128)
}

/// Reads a delivery.
///
/// # Errors
/// [`RecordError`] when the record cannot be understood.
pub fn decode_delivery(id: DeliveryId, record: &[u8], names: &Dictionary) -> Result<Delivery, RecordError> {
    let twin: DeliveryTwin = read(WHAT, record)?;
    let base = Timestamp::from_micros(twin.accepted_at);
    Ok(Delivery {
        id,
        lead: LeadId::from_raw(id.raw().wrapping_add(twin.lead)).ok_or_else(|| damaged("its lead's id is negative"))?,
        flow: flow_name(twin.flow, names)?,
        step: step_name(twin.step, names)?,
        endpoint: twin.endpoint.value(names)?,
        accepted_at: base,
        priority: Priority::of_code(twin.priority)?,
        test: twin.test,
        version: twin.version,
        attempts: twin.attempts,
        progress: twin.progress.value(base),
        body: twin.body.map(|mark| BodyMark { mapping_version: mark.mapping_version, digest: mark.digest.into() }),
        last_kind: twin.last_kind.map(kind_of_code).transpose()?,
        state: twin.state.value(base)?,
        tie: twin.tie.map(tie_of_code).transpose()?.unwrap_or_default(),
        booking: twin.booking.map(|booking| Box::new(booking.value(base))),
        choice: twin.choice.map(|choice| choice.value(names)).transpose()?,
    })
}

impl BookingTwin {
    fn of(booking: &Booking, base: Timestamp) -> Self {
        let text = |text: &str| text.to_owned();
        BookingTwin {
            delivered_at: offset(booking.delivered_at, base),
            price: booking.price.as_deref().map(text),
            returned_at: booking.returned_at.map(|time| offset(time, base)),
            conversion: booking.conversion.as_ref().map(|conversion| ConversionTwin {
                at: offset(conversion.at, base),
                revenue: text(&conversion.revenue),
                currency: conversion.currency.as_deref().map(text),
            }),
        }
    }

    fn value(self, base: Timestamp) -> Booking {
        Booking {
            delivered_at: at(self.delivered_at, base),
            price: self.price.map(Into::into),
            returned_at: self.returned_at.map(|offset| at(offset, base)),
            conversion: self.conversion.map(|conversion| Conversion {
                at: at(conversion.at, base),
                revenue: conversion.revenue.into(),
                currency: conversion.currency.map(Into::into),
            }),
        }
    }
}

const BUYER: u8 = 1;
const FOLLOWS: u8 = 2;
const FOLLOWED: u8 = 4;

fn code_of_tie(tie: Tie) -> Option<u8> {
    let bit = |is: bool, bit: u8| if is { bit } else { 0 };
    let code = bit(tie.buyer, BUYER) | bit(tie.follows, FOLLOWS) | bit(tie.followed, FOLLOWED);
    (code != 0).then_some(code)
}

fn tie_of_code(code: u8) -> Result<Tie, RecordError> {
    if code & !(BUYER | FOLLOWS | FOLLOWED) != 0 {
        return Err(RecordError::UnknownCode { what: "tie", code });
    }
    let is = |bit: u8| code & bit != 0;
    Ok(Tie { buyer: is(BUYER), follows: is(FOLLOWS), followed: is(FOLLOWED) })
}

fn damaged(detail: &str) -> RecordError {
    RecordError::Damaged { what: WHAT, detail: detail.to_owned() }
}

pub(super) fn step_name(number: u32, names: &Dictionary) -> Result<StepName, RecordError> {
    StepName::new(&names.text(number)?).map_err(|error| damaged(&error.to_string()))
}

pub(super) fn recipient_name(number: u32, names: &Dictionary) -> Result<RecipientName, RecordError> {
    RecipientName::new(&names.text(number)?).map_err(|error| damaged(&error.to_string()))
}

impl EndpointTwin {
    pub(super) fn of(endpoint: &Endpoint, names: &Dictionary) -> Self {
        EndpointTwin { recipient: names.number(endpoint.recipient.as_str()), origin: names.number(&endpoint.origin) }
    }

    pub(super) fn value(&self, names: &Dictionary) -> Result<Endpoint, RecordError> {
        let origin: Arc<str> = names.text(self.origin)?;
        Ok(Endpoint { recipient: recipient_name(self.recipient, names)?, origin })
    }
}

impl ProgressTwin {
    fn of(progress: &LegProgress, base: Timestamp) -> Self {
        ProgressTwin {
            leg: progress.leg,
            revision: progress.revision,
            attempts: progress.attempts,
            retries_used: progress.retries_used,
            first_attempt_at: progress.first_attempt_at.map(|time| offset(time, base)),
            held: from_duration(progress.held),
            interruptions: progress.interruptions,
            in_doubt: progress.in_doubt,
            cleared: progress.cleared.then_some(true),
            look_ups: (progress.look_ups > 0).then_some(progress.look_ups),
        }
    }

    fn value(&self, base: Timestamp) -> LegProgress {
        LegProgress {
            leg: self.leg,
            revision: self.revision,
            attempts: self.attempts,
            retries_used: self.retries_used,
            first_attempt_at: self.first_attempt_at.map(|offset| at(offset, base)),
            held: to_duration(self.held),
            interruptions: self.interruptions,
            in_doubt: self.in_doubt,
            cleared: self.cleared.unwrap_or(false),
            look_ups: self.look_ups.unwrap_or(0),
        }
    }
}

impl StateTwin {
    pub(super) fn of(state: &State, base: Timestamp) -> Self {
        let from = |time| offset(time, base);
        match *state {
            State::Waiting { due } => StateTwin::Waiting(from(due)),
            State::Held { due, until, why } => StateTwin::Held(from(due), from(until), why.code()),
            State::Delivered { at, probable, by_hand } => StateTwin::Delivered(from(at), probable, by_hand),
            State::Rejected { at, kind } => StateTwin::Rejected(from(at), kind.code()),
            State::InReview { since, cause } => StateTwin::InReview(from(since), cause.code()),
            State::Closed { at, why } => StateTwin::Closed(from(at), why.code()),
        }
    }

    pub(super) fn value(&self, base: Timestamp) -> Result<State, RecordError> {
        Ok(match *self {
            StateTwin::Waiting(due) => State::Waiting { due: at(due, base) },
            StateTwin::Held(due, until, why) => {
                State::Held { due: at(due, base), until: at(until, base), why: HoldReason::of_code(why)? }
            }
            StateTwin::Delivered(when, probable, by_hand) => State::Delivered { at: at(when, base), probable, by_hand },
            StateTwin::Rejected(when, kind) => {
                State::Rejected { at: at(when, base), kind: FailureKind::of_code(kind)? }
            }
            StateTwin::InReview(since, cause) => {
                State::InReview { since: at(since, base), cause: ReviewCause::of_code(cause)? }
            }
            StateTwin::Closed(when, why) => State::Closed { at: at(when, base), why: CloseReason::of_code(why)? },
        })
    }
}
