//! A stop as it is kept. Names stand as text: stops are few, and are read before any dictionary matters.

use super::{RecordError, read, write};
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use steadfast_lead::{BadName, FlowName, RecipientName, SourceName, Timestamp};
use steadfast_retry::{PersonMark, Stop, StopTarget, Suppressed, Within};

const WHAT: &str = "a stop's record";

#[derive(Encode, Decode)]
pub(super) enum TargetTwin<'a> {
    #[n(0)]
    Recipient(#[b(0)] &'a str),
    #[n(1)]
    Flow(#[b(0)] &'a str),
    #[n(2)]
    Source(#[b(0)] &'a str, #[b(1)] &'a str),
    /// The mark of a person, and a flow or a recipient where one is meant.
    #[n(3)]
    Person(#[n(0)] ByteArray<16>, #[b(1)] Option<&'a str>, #[b(2)] Option<&'a str>),
    /// Recipient, from, until.
    #[n(4)]
    Maintenance(#[b(0)] &'a str, #[n(1)] i64, #[n(2)] i64),
}

#[derive(Encode, Decode)]
pub(super) struct StopTwin<'a> {
    #[b(0)]
    target: TargetTwin<'a>,
    #[b(1)]
    by: &'a str,
    #[b(2)]
    reason: &'a str,
    #[n(3)]
    since: i64,
}

impl<'a> TargetTwin<'a> {
    pub(super) fn of(target: &'a StopTarget) -> Self {
        match target {
            StopTarget::Recipient(recipient) => TargetTwin::Recipient(recipient.as_str()),
            StopTarget::Flow(flow) => TargetTwin::Flow(flow.as_str()),
            StopTarget::Source(flow, source) => TargetTwin::Source(flow.as_str(), source.as_str()),
            StopTarget::Person(Suppressed { person, within }) => {
                let (flow, recipient) = match within {
                    Within::Everything => (None, None),
                    Within::Flow(flow) => (Some(flow.as_str()), None),
                    Within::Recipient(recipient) => (None, Some(recipient.as_str())),
                };
                TargetTwin::Person(ByteArray::from(person.0), flow, recipient)
            }
            StopTarget::Maintenance(recipient, from, until) => {
                TargetTwin::Maintenance(recipient.as_str(), from.as_micros(), until.as_micros())
            }
        }
    }

    pub(super) fn value(&self) -> Result<StopTarget, RecordError> {
        let damaged = |error: BadName| RecordError::Damaged { what: WHAT, detail: error.to_string() };
        match self {
            TargetTwin::Recipient(recipient) => {
                Ok(StopTarget::Recipient(RecipientName::new(recipient).map_err(damaged)?))
            }
            TargetTwin::Flow(flow) => Ok(StopTarget::Flow(FlowName::new(flow).map_err(damaged)?)),
            TargetTwin::Source(flow, source) => {
                Ok(StopTarget::Source(FlowName::new(flow).map_err(damaged)?, SourceName::new(source).map_err(damaged)?))
            }
            TargetTwin::Maintenance(recipient, from, until) => {
                let (from, until) = (Timestamp::from_micros(*from), Timestamp::from_micros(*until));
                Ok(StopTarget::Maintenance(RecipientName::new(recipient).map_err(damaged)?, from, until))
            }
            TargetTwin::Person(person, flow, recipient) => {
                let within = match (flow, recipient) {
                    (Some(flow), _) => Within::Flow(FlowName::new(flow).map_err(damaged)?),
                    (None, Some(recipient)) => Within::Recipient(RecipientName::new(recipient).map_err(damaged)?),
                    (None, None) => Within::Everything,
                };
                Ok(StopTarget::Person(Suppressed { person: PersonMark(**person), within }))
            }
        }
    }
}

impl<'a> StopTwin<'a> {
    pub(super) fn of(stop: &'a Stop) -> Self {
        let since = stop.since.as_micros();
        StopTwin { target: TargetTwin::of(&stop.target), by: &stop.by, reason: &stop.reason, since }
    }

    pub(super) fn value(&self) -> Result<Stop, RecordError> {
        Ok(Stop {
            target: self.target.value()?,
            by: self.by.into(),
            reason: self.reason.into(),
            since: Timestamp::from_micros(self.since),
        })
    }
}

/// Writes a stop.
pub fn encode_stop(stop: &Stop) -> Vec<u8> {
    write(&StopTwin::of(stop), 64)
}

/// Reads a stop.
///
/// # Errors
/// [`RecordError`] when the record cannot be understood.
pub fn decode_stop(record: &[u8]) -> Result<Stop, RecordError> {
    read::<StopTwin<'_>>(WHAT, record)?.value()
}
