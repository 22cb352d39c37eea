//! Records: the bytes a store keeps of a lead, a delivery, a line of history and a line of the journal.
//!
//! The first byte of every record is its format; the rest is CBOR with numbered fields, so that a later version can add
//! fields and still read what stands here. Names stand as numbers of a [`Dictionary`], times as differences. A number once
//! given is never given another meaning. The twins live here because the pure crates know no serialisation.
//!
//! Reserved: variant 1 of a lead's body is the sealed body, `[key id, nonce, bytes]`, written once leads are encrypted at
//! rest; until then reading one is an error that names its key. Variant 2 is the tombstone of a lead that was erased. Search
//! terms stand in a table of their own (keyed digest of the normalised term, lead), never in these records.
//!
//! Must never: guess at a record it does not know, or print what a record holds.

mod choice;
mod code;
mod delivery;
mod dictionary;
mod event;
mod guard;
mod history;
mod lead;
mod stop;
#[cfg(test)]
mod strategies;
#[cfg(test)]
mod tests;
mod time;

pub use code::{Code, code_of_kind, kind_of_code};
pub use delivery::{decode_delivery, encode_delivery};
pub use dictionary::Dictionary;
pub use event::{decode_event, encode_event, event_time};
pub use guard::{decode_guard, encode_guard};
pub use history::{decode_entry, encode_entry};
pub use lead::{LeadOutline, decode_lead, decode_tombstone, encode_lead, outline_lead, wipe_lead};
pub use stop::{decode_stop, encode_stop};

use crate::StoreError;
use minicbor::{Decode, Encode};

/// The record format this version writes, and the only one it reads.
pub const RECORD_FORMAT: u8 = 1;

/// Why a record could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a version with another format.
    #[error("{what} is in record format {found}, this version reads format {RECORD_FORMAT}")]
    UnknownFormat {
        /// Which record.
        what: &'static str,
        /// The format found.
        found: u8,
    },
    /// The bytes do not fit the format.
    #[error("{what} is damaged: {detail}")]
    Damaged {
        /// Which record.
        what: &'static str,
        /// What does not fit; never holds lead data.
        detail: String,
    },
    /// A code this version does not know.
    #[error("{what} number {code} is not known to this version")]
    UnknownCode {
        /// Of what.
        what: &'static str,
        /// The number found.
        code: u8,
    },
    /// A name's number that is not in the dictionary.
    #[error("name number {number} is not in the dictionary")]
    UnknownName {
        /// The number found.
        number: u32,
    },
    /// The lead is encrypted, and this version has no keys.
    #[error("the lead's fields are sealed with key {key_id}, and this version cannot open sealed leads")]
    Sealed {
        /// Which key.
        key_id: u32,
    },
}

impl From<RecordError> for StoreError {
    fn from(error: RecordError) -> Self {
        StoreError::Unreadable { detail: error.to_string() }
    }
}

/// Writes one twin behind the format byte.
fn write<T: Encode<()>>(twin: &T, bytes_expected: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes_expected);
    out.push(RECORD_FORMAT);
    // Writing into a vector cannot fail.
    let _written = minicbor::encode(twin, &mut out);
    out
}

/// Reads one twin behind the format byte.
fn read<'b, T: Decode<'b, ()>>(what: &'static str, record: &'b [u8]) -> Result<T, RecordError> {
    match record.split_first() {
        None => Err(RecordError::Damaged { what, detail: "it is empty".to_owned() }),
        Some((&RECORD_FORMAT, twin)) => {
            minicbor::decode(twin).map_err(|error| RecordError::Damaged { what, detail: error.to_string() })
        }
        Some((&found, _)) => Err(RecordError::UnknownFormat { what, found }),
    }
}
