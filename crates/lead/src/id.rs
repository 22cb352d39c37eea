//! Ids that sort by time: 41 bits of milliseconds, 8 bits of node, 14 bits of sequence, 63 bits in all so that they fit a
//! signed integer key. Text form: a prefix and 13 characters of Crockford base 32. Never random, never reads a clock.

use crate::Timestamp;
use std::fmt;
use std::str::FromStr;

/// Milliseconds of 2024-01-01T00:00:00Z, where ids begin; 41 bits from there last until 2093.
const EPOCH_MILLIS: i64 = 1_704_067_200_000;
const SEQUENCE_BITS: u32 = 14;
const NODE_BITS: u32 = 8;
const TIME_SHIFT: u32 = SEQUENCE_BITS + NODE_BITS;
const TIME_MAX: i64 = (1 << 41) - 1;
const TEXT_DIGITS: usize = 13;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Which node made an id, so that two nodes never make the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NodeNumber(pub u8);

/// The text is not an id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an id like {example}")]
pub struct UnreadableId {
    /// What a readable id looks like.
    pub example: &'static str,
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// From the integer a store keeps; `None` when negative.
            pub const fn from_raw(raw: i64) -> Option<Self> {
                if raw < 0 { None } else { Some($name(raw)) }
            }

            /// The integer a store keeps: never negative, larger for later ids.
            pub const fn raw(self) -> i64 {
                self.0
            }

            /// When it was made, to the millisecond.
            pub const fn made_at(self) -> Timestamp {
                Timestamp::from_millis((self.0 >> TIME_SHIFT) + EPOCH_MILLIS)
            }

            /// The smallest id made at `time` or later: the lower edge of a range by time.
            pub fn first_at(time: Timestamp) -> Self {
                let (millis, inexact) = (time.as_millis(), time.as_micros().rem_euclid(1_000) != 0);
                let since = millis.saturating_add(i64::from(inexact)).saturating_sub(EPOCH_MILLIS);
                $name(since.clamp(0, TIME_MAX) << TIME_SHIFT)
            }
        }

        impl From<RawId> for $name {
            fn from(raw: RawId) -> Self {
                $name(raw.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                write_base32(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = UnreadableId;

            fn from_str(text: &str) -> Result<Self, UnreadableId> {
                text.strip_prefix($prefix)
                    .and_then(read_base32)
                    .map($name)
                    .ok_or(UnreadableId { example: $example })
            }
        }
    };
}

id_type!(
    /// Names one lead; larger for later leads.
    LeadId, "ld_", "ld_01h8xq2m4c000"
);
id_type!(
    /// Names one delivery: one lead on its way to one recipient. Larger for later deliveries.
    DeliveryId, "dl_", "dl_01h8xq2m4c001"
);

/// An id before it is known what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RawId(i64);

/// Makes ids of one node: strictly rising, even when the clock it is told goes back.
#[derive(Clone, Debug)]
pub struct IdSequence {
    node: NodeNumber,
    last_tick: i64,
}

impl IdSequence {
    /// A sequence that begins after `last`, the largest id this node ever made (so that a clock set back across a restart
    /// repeats none).
    pub fn resuming(node: NodeNumber, last: Option<i64>) -> Self {
        let last_tick = last.map_or(0, |raw| {
            let millis = raw >> TIME_SHIFT;
            let sequence = raw & ((1 << SEQUENCE_BITS) - 1);
            (millis << SEQUENCE_BITS) | sequence
        });
        IdSequence { node, last_tick }
    }

    /// The next id at `now`. More than 16,384 in one millisecond borrow from the next one.
    pub fn next<T: From<RawId>>(&mut self, now: Timestamp) -> T {
        let millis = now.as_millis().saturating_sub(EPOCH_MILLIS).clamp(0, TIME_MAX);
        self.last_tick = (self.last_tick + 1).max(millis << SEQUENCE_BITS);
        let (millis, sequence) = (self.last_tick >> SEQUENCE_BITS, self.last_tick & ((1 << SEQUENCE_BITS) - 1));
        T::from(RawId((millis << TIME_SHIFT) | (i64::from(self.node.0) << SEQUENCE_BITS) | sequence))
    }
}

fn write_base32(raw: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0_u8; TEXT_DIGITS];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        *digit = ALPHABET[usize::try_from((raw >> (5 * place)) & 31).unwrap_or(0)];
    }
    f.write_str(std::str::from_utf8(&text).unwrap_or_default())
}

fn read_base32(text: &str) -> Option<i64> {
    if text.len() != TEXT_DIGITS {
        return None;
    }
    let mut raw: i64 = 0;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == byte.to_ascii_lowercase())?;
        raw = raw.checked_mul(32)?.checked_add(i64::try_from(digit).ok()?)?;
    }
    Some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn ids_rise_even_when_the_clock_goes_back_or_stands_still() {
        let mut sequence = IdSequence::resuming(NodeNumber(3), None);
        let mut last = -1;
        for millis in [1_800_000_000_000, 1_800_000_000_000, 1_799_999_999_000, 1_800_000_000_001] {
            for _ in 0..20_000 {
                let id: LeadId = sequence.next(at(millis));
                assert!(id.raw() > last);
                last = id.raw();
            }
        }
        let mut resumed = IdSequence::resuming(NodeNumber(3), Some(last));
        assert!(resumed.next::<LeadId>(at(0)).raw() > last);
    }

    #[test]
    fn text_form_reads_back_and_sorts_like_the_id() {
        let mut sequence = IdSequence::resuming(NodeNumber(0), None);
        let one: DeliveryId = sequence.next(at(1_800_000_000_000));
        let two: DeliveryId = sequence.next(at(1_800_000_000_001));
        assert_eq!(one.to_string().parse(), Ok(one));
        assert!(one.to_string() < two.to_string());
        assert_eq!(one.made_at(), at(1_800_000_000_000));
        assert!(DeliveryId::first_at(at(1_800_000_000_001)) <= two);
        assert!(DeliveryId::first_at(at(1_800_000_000_001)) > one);
        for bad in ["", "dl_", "dl_01", "ld_01h8xq2m4c000", "dl_01h8xq2m4c0u0", "dl_zzzzzzzzzzzzz"] {
            assert!(bad.parse::<DeliveryId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nodes_never_share_an_id() {
        let mut one = IdSequence::resuming(NodeNumber(1), None);
        let mut two = IdSequence::resuming(NodeNumber(2), None);
        let now = at(1_800_000_000_000);
        let left: Vec<LeadId> = (0..100).map(|_| one.next(now)).collect();
        assert!((0..100).map(|_| two.next::<LeadId>(now)).all(|id| !left.contains(&id)));
    }
}
