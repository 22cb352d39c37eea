//! Closed hours, and what waits for the opening.

use super::*;

/// Recipient `a` is open in its first second, and again from its eleventh.
fn closing() -> Dispatch {
    let maintenance = Maintenance { from: at(1_000), until: at(10_000), note: "".into() };
    let calendar = Calendar::new(Zone::new("UTC").unwrap()).with_maintenance([maintenance]);
    let protection = RecipientProtection { calendar: Some(Arc::new(calendar)), ..RecipientProtection::default() };
    following(LIMITS, &["a"], protection)
}

#[test]
fn a_closed_endpoint_starts_loads_and_writes_nothing_until_it_opens() {
    let (mut dispatch, mut ids) = (closing(), Ids::new());
    dispatch.known_in_store(&queue("a"), at(0), at(1_000));
    assert!(dispatch.refills(at(1_000)).is_empty(), "nothing is read for it");
    dispatch.offer(&queue("a"), ids.due(1_000), at(1_000));
    let fresh = ids.due(1_500).id;
    assert!(!dispatch.take_fresh(&queue("a"), fresh, at(1_500)), "nor is what has just come in sent");
    assert!(started(&mut dispatch, 9_999).is_empty());
    let hold = EndpointHold { why: HoldReason::Maintenance, until: Some(at(10_000)) };
    assert_eq!(dispatch.hold(&queue("a").endpoint, at(9_999)), Some(hold));
    assert_eq!(next_look(&mut dispatch, 9_999), Some(at(10_000)));
    assert_eq!(dispatch.refills(at(10_000)).len(), 1, "it opens");
    assert_eq!(dispatch.released_at(&queue("a").endpoint), Some(at(10_000)));
}

#[test]
fn what_was_due_before_the_closing_and_had_no_turn_does_not_start_after_it() {
    let (mut dispatch, mut ids) = (closing(), Ids::new());
    for _ in 0..3 {
        dispatch.offer(&queue("a"), ids.due(0), at(0));
    }
    let first = started(&mut dispatch, 0);
    assert_eq!(first.len(), 2, "two at once");
    done(&mut dispatch, first[0].delivery, Outcome::Success, at(1_000));
    assert!(started(&mut dispatch, 1_000).is_empty());
    done(&mut dispatch, first[1].delivery, Outcome::Success, at(1_500));
    assert_eq!(started(&mut dispatch, 10_000).len(), 1);
}

#[test]
fn a_closing_binds_what_waits_for_a_slot_though_nothing_happens_to_its_endpoint() {
    let limits = DispatchLimits { slots: 1, ..LIMITS };
    let (mut dispatch, mut ids) = (following(limits, &["b"], RecipientProtection::default()), Ids::new());
    let maintenance = Maintenance { from: at(1_000), until: at(10_000), note: "".into() };
    let calendar = Some(Arc::new(Calendar::new(Zone::new("UTC").unwrap()).with_maintenance([maintenance])));
    let closing = RecipientProtection { calendar, ..RecipientProtection::default() };
    let used = ["a", "b"].map(|name| (queue(name).endpoint, AGE)).into();
    let recipients = [(queue("a").endpoint.recipient, closing)].into();
    dispatch.follow(&Protected { recipients, used, ..Protected::default() }, at(0));
    dispatch.offer(&queue("b"), ids.due(0), at(0));
    let other = started(&mut dispatch, 0).remove(0);
    dispatch.offer(&queue("a"), ids.due(1), at(0));
    assert!(started(&mut dispatch, 500).is_empty(), "no slot is free");
    done(&mut dispatch, other.delivery, Outcome::Success, at(1_500));
    assert!(started(&mut dispatch, 1_500).is_empty());
    assert_eq!(started(&mut dispatch, 10_000).len(), 1);
}

#[test]
fn a_later_pause_and_a_changed_calendar_count() {
    let (mut dispatch, mut ids) = (closing(), Ids::new());
    dispatch.offer(&queue("a"), ids.due(2_000), at(2_000));
    dispatch.pause(&queue("a").endpoint, at(12_000), at(2_000));
    let hold = EndpointHold { why: HoldReason::RetryAfter, until: Some(at(12_000)) };
    assert_eq!(dispatch.hold(&queue("a").endpoint, at(2_000)), Some(hold));
    assert!(started(&mut dispatch, 11_999).is_empty());
    assert_eq!(started(&mut dispatch, 12_000).len(), 1);

    let (mut dispatch, mut ids) = (closing(), Ids::new());
    dispatch.offer(&queue("a"), ids.due(2_000), at(2_000));
    assert!(started(&mut dispatch, 2_000).is_empty());
    follow_only(&mut dispatch, &["a"], AGE, at(2_001));
    assert_eq!(started(&mut dispatch, 2_001).len(), 1, "what waits follows the newest calendar");
}

#[test]
fn what_waited_for_an_opening_is_worked_off_as_fast_as_it_was_taken_before() {
    let (mut dispatch, mut ids) = (closing(), Ids::new());
    // Healthy answers in the first second teach what it takes.
    dispatch.offer(&queue("a"), ids.due(0), at(0));
    let start = started(&mut dispatch, 0).remove(0);
    done(&mut dispatch, start.delivery, Outcome::Success, at(50));
    for _ in 0..2 {
        dispatch.offer(&queue("a"), ids.due(5_000), at(5_000));
    }
    assert!(started(&mut dispatch, 5_000).is_empty());
    assert_eq!(started(&mut dispatch, 10_000).len(), 1, "not all at once");
    let hold = dispatch.hold(&queue("a").endpoint, at(10_000)).unwrap();
    assert!(hold.until.is_some_and(|until| until > at(10_000)), "{hold:?}");
}
