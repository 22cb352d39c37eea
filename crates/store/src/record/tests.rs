//! What is written reads back, what is not understood is named, and records stay small.

use super::time::{from_duration, to_duration};
use super::*;
use crate::conformance::{World, settlement};
use crate::{MemoryStore, StoreError};
use proptest::prelude::*;
use std::fmt::Debug;
use std::time::Duration;
use steadfast_lead::{LeadId, NodeNumber, Priority};
use steadfast_retry::breaker::{BreakerState, Reason};
use steadfast_retry::{
    CloseReason, DecisionName, Entry, ErrorKind, FailureKind, FaultKind, HoldReason, LookUpAnswer, Phase, ReviewCause,
    Seed, State, StateName,
};

proptest! {
    #[test]
    fn leads_read_back(lead in strategies::lead(), ids in prop::collection::vec(strategies::delivery_id(), 0..5)) {
        let names = Dictionary::default();
        let record = encode_lead(&lead, ids.iter().copied(), &names);
        prop_assert_eq!(decode_lead(lead.id, &record, &names), Ok((lead, ids)));
    }

    #[test]
    fn deliveries_read_back(delivery in strategies::delivery()) {
        let names = Dictionary::default();
        let record = encode_delivery(&delivery, &names);
        prop_assert_eq!(decode_delivery(delivery.id, &record, &names), Ok(delivery));
    }

    #[test]
    fn history_reads_back(entry in strategies::entry()) {
        let names = Dictionary::default();
        let record = encode_entry(&entry, &names);
        prop_assert_eq!(decode_entry(&record, &names), Ok(entry));
    }

    #[test]
    fn the_journal_reads_back(event in strategies::event()) {
        let names = Dictionary::default();
        let record = encode_event(&event, &names);
        prop_assert_eq!(decode_event(&record, &names), Ok(event));
    }

    #[test]
    fn guards_read_back(guard in strategies::guard()) {
        prop_assert_eq!(decode_guard(&encode_guard(&guard)), Ok(guard));
    }

    #[test]
    fn stops_read_back(stop in strategies::stop()) {
        prop_assert_eq!(decode_stop(&encode_stop(&stop)), Ok(stop));
    }

    #[test]
    fn durations_come_back(duration in strategies::duration()) {
        prop_assert_eq!(to_duration(from_duration(duration)), duration);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(
        delivery in strategies::delivery(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let names = Dictionary::default();
        let mut record = encode_delivery(&delivery, &names);
        let at = at.index(record.len());
        record[at] = byte;
        // Damage inside a number reads as another number; what matters is that everything is answered.
        let _read_or_refused = decode_delivery(delivery.id, &record, &names).is_ok();
        record.truncate(at);
        prop_assert!(decode_delivery(delivery.id, &record, &names).is_err());
    }
}

#[test]
fn the_longest_durations_saturate() {
    assert!(to_duration(from_duration(Duration::MAX)) > Duration::from_secs(86_400 * 365 * 100));
}

fn all_have_codes<T: Code + PartialEq + Debug>(all: &[T]) {
    for value in all {
        assert_eq!(T::of_code(value.code()), Ok(*value));
    }
    let codes: std::collections::BTreeSet<u8> = all.iter().map(|value| value.code()).collect();
    assert_eq!(codes.len(), all.len());
    assert!(matches!(T::of_code(255), Err(RecordError::UnknownCode { code: 255, .. })));
}

#[test]
fn every_value_of_every_enum_has_its_own_number() {
    all_have_codes(&Priority::ALL);
    all_have_codes(&Phase::ALL);
    all_have_codes(StateName::ALL);
    all_have_codes(HoldReason::ALL);
    all_have_codes(ReviewCause::ALL);
    all_have_codes(CloseReason::ALL);
    all_have_codes(DecisionName::ALL);
    all_have_codes(LookUpAnswer::ALL);
    all_have_codes(BreakerState::ALL);
    all_have_codes(Reason::ALL);
    all_have_codes(FaultKind::ALL);
    all_have_codes(ErrorKind::ALL);
    all_have_codes(FailureKind::ALL);
    let errors = ErrorKind::ALL.iter().map(|kind| (kind.code(), kind.name()));
    let failures = FailureKind::ALL.iter().map(|kind| (kind.code(), kind.name()));
    for (code, word) in errors.chain(failures) {
        assert_eq!((code_of_kind(word), kind_of_code(code)), (Some(code), Ok(word)));
        assert_ne!(code, 0, "0 is no kind in a store's columns");
    }
}

#[test]
fn what_is_not_understood_is_named() {
    let names = Dictionary::default();
    let id = LeadId::from_raw(5).unwrap();
    let newer = decode_lead(id, &[9, 0x80], &names).unwrap_err();
    assert_eq!(newer.to_string(), "a lead's record is in record format 9, this version reads format 1");
    assert!(matches!(decode_event(&[], &names), Err(RecordError::Damaged { what: "a line of the journal", .. })));
    assert_eq!(StoreError::from(newer.clone()), StoreError::Unreadable { detail: newer.to_string() });
    assert_eq!(names.text(3).unwrap_err().to_string(), "name number 3 is not in the dictionary");
}

/// `[flow, source, accepted at, test, [1, [key id, nonce, bytes]], []]`, as a later version will write it.
#[test]
fn a_sealed_body_is_an_error_that_names_its_key() {
    let names = Dictionary::default();
    names.number("auto");
    let mut record = vec![RECORD_FORMAT];
    let mut encoder = minicbor::Encoder::new(&mut record);
    encoder.array(6).unwrap().u32(0).unwrap().null().unwrap().i64(5).unwrap().bool(false).unwrap();
    encoder.array(2).unwrap().u32(1).unwrap().array(3).unwrap().u32(77).unwrap();
    encoder.bytes(&[1; 12]).unwrap().bytes(&[2; 40]).unwrap().array(0).unwrap();
    let read = decode_lead(LeadId::from_raw(5).unwrap(), &record, &names);
    assert_eq!(read, Err(RecordError::Sealed { key_id: 77 }));
}

/// A line of history as it was written before an attempt could be replayed within itself.
#[test]
fn a_line_without_later_fields_still_reads() {
    const WRITTEN: &str = "018200818d010000008200011b0006608b015f300000192ee08407f68418c881826c636f6e74656e742d747970657061\
        70706c69636174696f6e2f6a736f6e58207b22726573756c74223a7b22737461747573223a226163636570746564227d7d18208100888200\
        8018c8f6f6f66531322e3530f6736f7574636f6d655f7365617263685f7465726d820081f4781974686520726563697069656e7420616363\
        657074656420697401";
    let byte = |at: usize| u8::from_str_radix(&WRITTEN[at..at + 2], 16).unwrap();
    let record: Vec<u8> = (0..WRITTEN.len()).step_by(2).map(byte).collect();
    let names = Dictionary::default();
    assert_eq!((names.number("auto"), names.number("bank")), (0, 1));
    let Ok(Entry::Attempt(attempt)) = decode_entry(&record, &names) else { panic!("an attempt") };
    assert_eq!(attempt.evidence.answer.as_ref().unwrap().status, 200);
    assert_eq!((attempt.evidence.replayed_after, &*attempt.because), (None, "the recipient accepted it"));
}

/// The budget on disk: a delivered delivery's line of history beyond the body kept, a line of the journal, a delivery.
#[test]
fn records_are_small() {
    let store = MemoryStore::new(Seed(1), NodeNumber(1));
    let mut world = World::of(&*store);
    let acceptance = world.acceptance("auto-insurance-california", &["the-big-bank-of-the-west"]);
    let delivered = State::Delivered { at: world.now, probable: false, by_hand: false };
    let settled = settlement(&*store, &acceptance.deliveries[0], delivered, world.now);
    let names = Dictionary::default();
    let Entry::Attempt(attempt) = &settled.entry else { panic!("an attempt") };
    let kept = attempt.evidence.answer.as_ref().unwrap().body.len();
    let history = encode_entry(&settled.entry, &names).len() - kept;
    assert!(history <= 250, "{history}");
    for event in [&acceptance.event, &settled.event] {
        let line = encode_event(event, &names).len();
        assert!(line <= 120, "{line}");
    }
    let delivery = encode_delivery(&settled.delivery, &names).len();
    assert!(delivery <= 100, "{delivery}");
}

/// A delivery of a version before look-ups ends its progress with the doubt: `[.., [0, 0, 1, 0, null, 0, 0, true], ..]`.
#[test]
fn a_delivery_written_before_look_ups_reads_as_not_cleared() {
    let store = MemoryStore::new(Seed(1), NodeNumber(1));
    let mut world = World::of(&*store);
    let mut delivery = world.acceptance("auto", &["bank"]).deliveries[0].clone();
    delivery.progress.in_doubt = true;
    let names = Dictionary::default();
    let record = encode_delivery(&delivery, &names);
    let progress_of_eight = record.windows(2).any(|pair| pair == [0x88, 0x00]);
    assert!(progress_of_eight, "no cleared and no look-ups are not written at all: {record:02x?}");
    assert_eq!(decode_delivery(delivery.id, &record, &names), Ok(delivery));
}
