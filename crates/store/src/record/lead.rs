//! A lead as it is kept: an envelope in the clear and a body that may one day be sealed.

use super::{Dictionary, RecordError, read, write};
use crate::Tombstone;
use minicbor::{Decode, Encode};
use steadfast_lead::{
    DeliveryId, Fields, FlowName, JsonLimits, Lead, LeadId, SourceName, Timestamp, parse_object, write_object,
};

const WHAT: &str = "a lead's record";

/// What was accepted is read back whatever limits were in force at intake.
const LIMITS: JsonLimits = JsonLimits { depth_max: 128, values_max: 1 << 20, name_bytes_max: 1 << 20 };

/// The lead's id is the key it stands under.
#[derive(Encode, Decode)]
struct LeadTwin<'a> {
    #[n(0)]
    flow: u32,
    #[n(1)]
    source: Option<u32>,
    #[n(2)]
    accepted_at: i64,
    #[n(3)]
    test: bool,
    #[b(4)]
    body: BodyTwin<'a>,
    /// Ids of its deliveries in the order of its steps, as differences from the lead's.
    #[n(5)]
    deliveries: Vec<i64>,
}

#[derive(Encode, Decode)]
enum BodyTwin<'a> {
    /// Compact JSON.
    #[n(0)]
    Plain(#[cbor(b(0), with = "minicbor::bytes")] &'a [u8]),
    /// Nonce and bytes follow the key's id, unread here.
    #[n(1)]
    Sealed(#[n(0)] u32),
    /// Wiped: when, by whom, why.
    #[n(2)]
    Erased(#[n(0)] i64, #[b(1)] &'a str, #[b(2)] Option<&'a str>),
}

/// Writes a lead and the ids of its deliveries, in the order of its steps.
pub fn encode_lead(lead: &Lead, deliveries: impl Iterator<Item = DeliveryId>, names: &Dictionary) -> Vec<u8> {
    let mut json = Vec::with_capacity(1_024);
    write_object(&lead.fields, &mut json);
    let twin = LeadTwin {
        flow: names.number(lead.flow.as_str()),
        source: lead.source.as_ref().map(|source| names.number(source.as_str())),
        accepted_at: lead.accepted_at.as_micros(),
        test: lead.test,
        body: BodyTwin::Plain(&json),
        deliveries: deliveries.map(|id| id.raw().wrapping_sub(lead.id.raw())).collect(),
    };
    write(&twin, json.len() + 64)
}

/// The record of a lead that is wiped, made from the one it had: what it said gives way to the tombstone. A lead that is
/// wiped already keeps its first tombstone.
///
/// # Errors
/// [`RecordError`] when the record cannot be understood.
pub fn wipe_lead(record: &[u8], tombstone: &Tombstone) -> Result<Vec<u8>, RecordError> {
    let mut twin: LeadTwin<'_> = read(WHAT, record)?;
    let Tombstone { at, by, reason } = tombstone;
    match twin.body {
        BodyTwin::Erased(..) => {}
        BodyTwin::Plain(_) | BodyTwin::Sealed(_) => {
            twin.body = BodyTwin::Erased(at.as_micros(), by, reason.as_deref());
        }
    }
    Ok(write(&twin, 128))
}

/// What is kept of a wiped lead; `None` for a lead that is not.
///
/// # Errors
/// [`RecordError`] when the record cannot be understood.
pub fn decode_tombstone(record: &[u8]) -> Result<Option<Tombstone>, RecordError> {
    let twin: LeadTwin<'_> = read(WHAT, record)?;
    Ok(match twin.body {
        BodyTwin::Erased(at, by, reason) => {
            Some(Tombstone { at: Timestamp::from_micros(at), by: by.into(), reason: reason.map(Into::into) })
        }
        BodyTwin::Plain(_) | BodyTwin::Sealed(_) => None,
    })
}

/// Reads a lead and the ids of its deliveries. A wiped lead has no fields.
///
/// # Errors
/// [`RecordError`] when the record cannot be understood, or is sealed.
pub fn decode_lead(id: LeadId, record: &[u8], names: &Dictionary) -> Result<(Lead, Vec<DeliveryId>), RecordError> {
    let twin: LeadTwin<'_> = read(WHAT, record)?;
    let lead = Lead {
        id,
        flow: flow_name(twin.flow, names)?,
        source: twin.source.map(|number| source_name(number, names)).transpose()?,
        accepted_at: Timestamp::from_micros(twin.accepted_at),
        test: twin.test,
        fields: open(&twin.body)?,
    };
    Ok((lead, delivery_ids(id, &twin)?))
}

/// A lead without what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadOutline {
    /// Its flow.
    pub flow: FlowName,
    /// Its deliveries, in the order of its steps.
    pub deliveries: Vec<DeliveryId>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it was wiped, if it was.
    pub erased_at: Option<Timestamp>,
}

/// Reads what a lead is without what it says: much cheaper than the whole.
///
/// # Errors
/// [`RecordError`] when the record cannot be understood.
pub fn outline_lead(id: LeadId, record: &[u8], names: &Dictionary) -> Result<LeadOutline, RecordError> {
    let twin: LeadTwin<'_> = read(WHAT, record)?;
    Ok(LeadOutline {
        flow: flow_name(twin.flow, names)?,
        deliveries: delivery_ids(id, &twin)?,
        accepted_at: Timestamp::from_micros(twin.accepted_at),
        erased_at: match twin.body {
            BodyTwin::Erased(at, ..) => Some(Timestamp::from_micros(at)),
            BodyTwin::Plain(_) | BodyTwin::Sealed(_) => None,
        },
    })
}

fn delivery_ids(id: LeadId, twin: &LeadTwin<'_>) -> Result<Vec<DeliveryId>, RecordError> {
    let ids = twin.deliveries.iter().map(|offset| {
        let raw = id.raw().wrapping_add(*offset);
        DeliveryId::from_raw(raw).ok_or_else(|| damaged("a delivery's id is negative"))
    });
    ids.collect()
}

fn open(body: &BodyTwin<'_>) -> Result<Fields, RecordError> {
    match body {
        BodyTwin::Plain(json) => parse_object(json, LIMITS).map_err(|_| damaged("its fields are not readable JSON")),
        BodyTwin::Sealed(key_id) => Err(RecordError::Sealed { key_id: *key_id }),
        BodyTwin::Erased(..) => Ok(Fields::new()),
    }
}

pub(super) fn damaged(detail: &str) -> RecordError {
    RecordError::Damaged { what: WHAT, detail: detail.to_owned() }
}

pub(super) fn flow_name(number: u32, names: &Dictionary) -> Result<FlowName, RecordError> {
    FlowName::new(&names.text(number)?).map_err(|error| damaged(&error.to_string()))
}

fn source_name(number: u32, names: &Dictionary) -> Result<SourceName, RecordError> {
    SourceName::new(&names.text(number)?).map_err(|error| damaged(&error.to_string()))
}
