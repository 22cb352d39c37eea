//! What stands in a store: arbitrary bytes are a value or an error, and a value written again reads as the same.

use std::sync::{Arc, LazyLock};
use steadfast_lead::{DeliveryId, LeadId, Timestamp};
use steadfast_store::Tombstone;
use steadfast_store::record::{
    Dictionary, decode_delivery, decode_entry, decode_event, decode_lead, decode_tombstone, encode_delivery,
    encode_entry, encode_event, encode_lead, wipe_lead,
};

static NAMES: LazyLock<Dictionary> = LazyLock::new(|| {
    Dictionary::of(["auto", "acme", "web", "https://acme.example", "standard", "send"].map(Arc::from).to_vec())
});

fn lead_id() -> LeadId {
    LeadId::first_at(Timestamp::from_millis(1_795_000_000_000))
}

fn delivery_id() -> DeliveryId {
    DeliveryId::first_at(Timestamp::from_millis(1_795_000_000_001))
}

pub(super) fn lead(input: &[u8]) {
    let id = lead_id();
    if let Ok((lead, deliveries)) = decode_lead(id, input, &NAMES) {
        let again = encode_lead(&lead, deliveries.iter().copied(), &NAMES);
        assert_eq!(decode_lead(id, &again, &NAMES), Ok((lead, deliveries)), "a lead does not read back");
    }
    let tombstone = Tombstone { at: Timestamp::from_millis(1_795_000_000_000), by: "a".into(), reason: None };
    if let Ok(wiped) = wipe_lead(input, &tombstone) {
        assert!(decode_tombstone(&wiped).is_ok_and(|kept| kept.is_some()), "a wiped lead has no tombstone");
    }
}

pub(super) fn delivery(input: &[u8]) {
    let id = delivery_id();
    if let Ok(delivery) = decode_delivery(id, input, &NAMES) {
        let again = encode_delivery(&delivery, &NAMES);
        assert_eq!(decode_delivery(id, &again, &NAMES), Ok(delivery), "a delivery does not read back");
    }
}

pub(super) fn entry(input: &[u8]) {
    if let Ok(entry) = decode_entry(input, &NAMES) {
        let again = encode_entry(&entry, &NAMES);
        assert_eq!(decode_entry(&again, &NAMES), Ok(entry), "a line of history does not read back");
    }
}

pub(super) fn event(input: &[u8]) {
    if let Ok(event) = decode_event(input, &NAMES) {
        let again = encode_event(&event, &NAMES);
        assert_eq!(decode_event(&again, &NAMES), Ok(event), "a line of the journal does not read back");
    }
}
