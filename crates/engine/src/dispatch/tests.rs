//! Dispatch, step by step: turns, limits, pauses, windows and refills.

use super::*;
use std::time::Duration;
use steadfast_lead::{IdSequence, NodeNumber, Priority};

const LIMITS: DispatchLimits = DispatchLimits { slots: 4, recipient_slots: 2, window: 8 };

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

fn queue(recipient: &str) -> QueueKey {
    let recipient = RecipientName::new(recipient).unwrap();
    let endpoint = Endpoint { recipient, origin: "https://x:443".into() };
    QueueKey { endpoint, priority: Priority::Normal, retries: false }
}

struct Ids(IdSequence);

impl Ids {
    fn new() -> Self {
        Ids(IdSequence::resuming(NodeNumber(0), None))
    }

    fn due(&mut self, millis: i64) -> DuePosition {
        DuePosition { due: at(millis), id: self.0.next(at(0)) }
    }
}

fn started(dispatch: &mut Dispatch, now: i64) -> Vec<Start> {
    std::iter::from_fn(|| dispatch.next(at(now))).collect()
}

#[test]
fn nothing_starts_early_and_queues_take_turns() {
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    for (name, due) in [("a", 10), ("a", 5), ("b", 7), ("b", 30)] {
        dispatch.offer(&queue(name), ids.due(due));
    }
    assert_eq!(dispatch.next_look(), Some(at(5)));
    assert!(started(&mut dispatch, 4).is_empty());
    let names: Vec<String> =
        started(&mut dispatch, 20).iter().map(|start| start.queue.endpoint.recipient.to_string()).collect();
    assert_eq!(names, ["a", "b", "a"]);
    assert_eq!(dispatch.next_look(), Some(at(30)));
}

#[test]
fn slots_bound_everything_and_a_recipients_own_bound_blocks_only_it() {
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    for _ in 0..5 {
        dispatch.offer(&queue("a"), ids.due(0));
    }
    let first = started(&mut dispatch, 0);
    assert_eq!(first.len(), 2, "two of one recipient");
    for _ in 0..5 {
        dispatch.offer(&queue("b"), ids.due(0));
    }
    assert_eq!(started(&mut dispatch, 0).len(), 2, "four in all");
    dispatch.answered(&first[0].queue.endpoint.recipient);
    assert!(started(&mut dispatch, 0).is_empty(), "the slot is held until settled");
    assert_eq!(dispatch.next_verb_or_finish(first[0].delivery), None);
    let next = started(&mut dispatch, 0);
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].queue, queue("a"));
}

#[test]
fn a_paused_endpoint_starts_nothing_and_its_neighbours_go_on() {
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    dispatch.offer(&queue("a"), ids.due(0));
    dispatch.offer(&queue("b"), ids.due(0));
    dispatch.pause(&queue("a").endpoint, at(3_000));
    dispatch.pause(&queue("a").endpoint, at(1_000));
    assert_eq!(started(&mut dispatch, 2_999).len(), 1);
    assert_eq!(dispatch.next_look(), Some(at(3_000)));
    assert_eq!(started(&mut dispatch, 3_000).len(), 1);
}

#[test]
fn a_window_overflows_to_the_store_and_is_read_back_without_loss() {
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    let key = queue("a");
    let mut stored: Vec<DuePosition> = (0..20).map(|n| ids.due(n)).collect();
    for position in &stored {
        dispatch.offer(&key, *position);
    }
    let mut seen = Vec::new();
    for _round in 0..50 {
        for refill in dispatch.refills(at(5_000)) {
            // A row committed while the range is read: offered now, not in what is read.
            let read: Vec<DuePosition> = stored.iter().copied().filter(|p| Some(*p) > refill.after).take(8).collect();
            if stored.len() == 20 {
                stored.push(ids.due(100));
                dispatch.offer(&key, stored[20]);
            }
            dispatch.refilled(&refill, Some(read));
        }
        for start in started(&mut dispatch, 5_000) {
            seen.push(start.position.unwrap());
            dispatch.answered(&key.endpoint.recipient);
            assert_eq!(dispatch.next_verb_or_finish(start.delivery), None);
        }
    }
    assert_eq!(seen, stored);
}

#[test]
fn a_failed_read_is_asked_for_again() {
    let mut dispatch = Dispatch::new(LIMITS);
    dispatch.known_in_store(&queue("a"), at(0));
    let first = dispatch.refills(at(0));
    assert_eq!(first.len(), 1);
    assert!(dispatch.refills(at(0)).is_empty(), "asked for once");
    dispatch.refilled(&first[0], None);
    assert_eq!(dispatch.refills(at(0)), first);
}

#[test]
fn a_queue_in_the_far_future_or_paused_loads_nothing() {
    let mut dispatch = Dispatch::new(LIMITS);
    dispatch.known_in_store(&queue("a"), at(60_000));
    dispatch.known_in_store(&queue("b"), at(0));
    dispatch.pause(&queue("b").endpoint, at(60_000));
    assert!(dispatch.refills(at(10)).is_empty());
    assert!(started(&mut dispatch, 10).is_empty());
    assert_eq!(dispatch.next_look().map(|look| look.since(at(0))), Some(Duration::from_secs(59)), "read ahead");
}

#[test]
fn nothing_is_due_in_the_past_for_ever() {
    // Whatever has been looked at and could not start must not keep asking to be looked at.
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    for _ in 0..6 {
        dispatch.offer(&queue("a"), ids.due(0));
    }
    let running = started(&mut dispatch, 10);
    assert_eq!(running.len(), 2);
    assert_eq!(dispatch.next_look(), None, "blocked until the recipient answers");
    dispatch.answered(&queue("a").endpoint.recipient);
    assert!(dispatch.next_look().is_some_and(|look| look <= at(10)));
}

#[test]
fn fresh_leads_pass_only_when_nothing_is_due_before_them() {
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    let key = queue("a");
    let fresh = ids.due(0).id;
    assert!(dispatch.take_fresh(&key, fresh, at(0)));
    assert!(!dispatch.take_fresh(&key, fresh, at(0)), "under way already");
    dispatch.offer(&key, ids.due(0));
    let second = ids.due(0).id;
    assert!(!dispatch.take_fresh(&key, second, at(1)), "one is due before it");
    dispatch.pause(&key.endpoint, at(100));
    let third = ids.due(0).id;
    assert!(!dispatch.take_fresh(&key, third, at(1)), "paused");
    dispatch.shut();
    assert!(started(&mut dispatch, 200).is_empty(), "shut");
}

#[test]
fn verbs_wait_for_the_attempt_under_way() {
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    let id = ids.due(0).id;
    assert!(!dispatch.leave_verb(id, (Verb::Retry, "ann".into())));
    assert!(dispatch.reserve(id));
    assert!(!dispatch.reserve(id));
    assert!(dispatch.leave_verb(id, (Verb::Retry, "ann".into())));
    assert_eq!(dispatch.next_verb_or_finish(id), Some((Verb::Retry, "ann".into())));
    assert!(dispatch.leave_verb(id, (Verb::Retry, "bob".into())), "still under way");
    assert_eq!(dispatch.next_verb_or_finish(id), Some((Verb::Retry, "bob".into())));
    assert_eq!(dispatch.next_verb_or_finish(id), None);
    assert!(!dispatch.leave_verb(id, (Verb::Retry, "cat".into())), "the slot was given back in the same step");
    assert!(!dispatch.is_in_flight(id));
}

#[test]
fn what_becomes_too_old_during_a_pause_is_looked_at_then() {
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    let key = queue("a");
    dispatch.use_endpoints([(key.endpoint.clone(), Duration::from_secs(20))].into());
    dispatch.pause(&key.endpoint, at(60_000));
    dispatch.offer(&key, ids.due(500));
    assert_eq!(dispatch.next_look(), Some(at(20_002)));
    assert!(started(&mut dispatch, 20_000).is_empty());
    assert_eq!(started(&mut dispatch, 20_002).len(), 1);
    assert_eq!(dispatch.next_look(), None);
}

#[test]
fn a_place_passed_over_while_a_delivery_is_under_way_is_not_lost() {
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    let position = ids.due(5);
    assert!(dispatch.reserve(position.id), "a verb is being stored");
    dispatch.offer(&queue("a"), position);
    assert!(started(&mut dispatch, 10).is_empty());
    assert_eq!(dispatch.next_verb_or_give_back(position.id), None);
    assert_eq!(started(&mut dispatch, 10).len(), 1, "the verb failed and the delivery still waits");
}

#[test]
fn a_fresh_lead_does_not_pass_what_only_the_store_knows() {
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    dispatch.known_in_store(&queue("a"), at(0));
    assert!(!dispatch.take_fresh(&queue("a"), ids.due(0).id, at(10)));
    let refill = dispatch.refills(at(10)).remove(0);
    assert!(!dispatch.take_fresh(&queue("a"), ids.due(0).id, at(10)), "being read");
    dispatch.refilled(&refill, Some(Vec::new()));
    assert!(dispatch.take_fresh(&queue("a"), ids.due(0).id, at(10)));
}

#[test]
fn the_pause_of_an_endpoint_that_no_step_sends_to_holds_nothing() {
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    dispatch.use_endpoints([queue("a"), queue("b")].map(|key| (key.endpoint, Duration::from_secs(99))).into());
    for name in ["a", "b"] {
        dispatch.pause(&queue(name).endpoint, at(60_000));
        dispatch.offer(&queue(name), ids.due(0));
    }
    assert!(started(&mut dispatch, 10).is_empty());
    dispatch.use_endpoints([(queue("b").endpoint, Duration::from_secs(99))].into());
    assert_eq!(dispatch.next_look(), Some(at(0)));
    let names: Vec<String> =
        started(&mut dispatch, 10).iter().map(|start| start.queue.endpoint.recipient.to_string()).collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn too_old_during_a_pause_waits_for_its_recipients_slot_without_asking_for_ever() {
    let (mut dispatch, mut ids) = (Dispatch::new(LIMITS), Ids::new());
    let key = queue("a");
    dispatch.use_endpoints([(key.endpoint.clone(), Duration::from_secs(1))].into());
    for _ in 0..3 {
        dispatch.offer(&key, ids.due(0));
    }
    assert_eq!(started(&mut dispatch, 0).len(), 2);
    dispatch.pause(&key.endpoint, at(60_000));
    assert!(started(&mut dispatch, 5_000).is_empty());
    assert_eq!(dispatch.next_look(), None);
    dispatch.answered(&key.endpoint.recipient);
    assert_eq!(started(&mut dispatch, 5_000).len(), 1);
}
