//! Dispatch, step by step: turns, limits, pauses, windows and refills.

mod breaking;
mod closing;
mod leaving;

use super::*;
use std::sync::Arc;
use steadfast_lead::FlowName;
use steadfast_lead::{IdSequence, NodeNumber, Priority};
use steadfast_retry::breaker::{BreakerState, BreakerVerb, ByHand};
use steadfast_retry::calendar::{Calendar, Maintenance, Zone};
use steadfast_retry::pace::{ConcurrencyLimit, PaceSettings};
use steadfast_retry::{ErrorKind, Outcome, Verb};

const LIMITS: DispatchLimits = DispatchLimits { slots: 4, window: 8 };
const AGE: Duration = Duration::from_secs(86_400);

/// Two at once for each of these recipients, and their endpoints are sent to.
fn dispatch() -> Dispatch {
    following(LIMITS, &["a", "b"], RecipientProtection::default())
}

fn following(limits: DispatchLimits, names: &[&str], protection: RecipientProtection) -> Dispatch {
    let mut dispatch = Dispatch::new(limits, Seed(7));
    let pace = PaceSettings { concurrency: ConcurrencyLimit::Fixed(2), ..protection.pace };
    let protection = RecipientProtection { pace, ..protection };
    let recipients = names.iter().map(|name| (queue(name).endpoint.recipient, protection.clone())).collect();
    let used = names.iter().map(|name| (queue(name).endpoint, AGE)).collect();
    dispatch.follow(&Protected { recipients, used, ..Protected::default() }, at(0));
    dispatch
}

fn follow_only(dispatch: &mut Dispatch, names: &[&str], age: Duration, now: Timestamp) {
    let protection = RecipientProtection {
        pace: PaceSettings { rate: None, concurrency: ConcurrencyLimit::Fixed(2) },
        ..RecipientProtection::default()
    };
    let recipients = names.iter().map(|name| (queue(name).endpoint.recipient, protection.clone())).collect();
    let used = names.iter().map(|name| (queue(name).endpoint, age)).collect();
    dispatch.follow(&Protected { recipients, used, ..Protected::default() }, now);
}

fn verdict(outcome: Outcome) -> Verdict {
    Verdict {
        outcome,
        reason: None,
        price: None,
        reference: None,
        decided_by: "test".into(),
        retryable: None,
        delay: None,
        status: None,
    }
}

fn tell(dispatch: &mut Dispatch, delivery: DeliveryId, outcome: Outcome, now: Timestamp) {
    let verdict = verdict(outcome);
    let heard = Heard { verdict: &verdict, took: Duration::from_millis(50), asked: None };
    dispatch.answered(delivery, Some(heard), now);
}

fn done(dispatch: &mut Dispatch, delivery: DeliveryId, outcome: Outcome, now: Timestamp) {
    tell(dispatch, delivery, outcome, now);
    assert_eq!(dispatch.next_verb_or_finish(delivery, now), None);
}

fn next_look(dispatch: &mut Dispatch, now: i64) -> Option<Timestamp> {
    dispatch.refills(at(now));
    dispatch.next_look()
}

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

/// Those that may start now.
fn started(dispatch: &mut Dispatch, now: i64) -> Vec<Start> {
    std::iter::from_fn(|| dispatch.next(at(now))).collect()
}

#[test]
fn nothing_starts_early_and_endpoints_take_turns() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    for (name, due) in [("a", 10), ("a", 5), ("b", 7), ("b", 30)] {
        dispatch.offer(&queue(name), ids.due(due), at(0));
    }
    assert_eq!(next_look(&mut dispatch, 0), Some(at(5)));
    assert!(started(&mut dispatch, 4).is_empty());
    let names: Vec<String> =
        started(&mut dispatch, 20).iter().map(|start| start.queue.endpoint.recipient.to_string()).collect();
    assert_eq!(names, ["a", "b", "a"]);
    assert_eq!(next_look(&mut dispatch, 20), Some(at(30)));
}

#[test]
fn slots_bound_everything_and_a_recipients_own_bound_blocks_only_it() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    for _ in 0..5 {
        dispatch.offer(&queue("a"), ids.due(0), at(0));
    }
    let first = started(&mut dispatch, 0);
    assert_eq!(first.len(), 2, "two of one recipient");
    let too_old = Some(at(86_400_002));
    assert_eq!(next_look(&mut dispatch, 0), too_old, "it waits for an end, and does not ask for ever");
    for _ in 0..2 {
        dispatch.offer(&queue("b"), ids.due(0), at(0));
    }
    assert_eq!(started(&mut dispatch, 0).len(), 2, "four in all");
    tell(&mut dispatch, first[0].delivery, Outcome::Success, at(1));
    assert!(started(&mut dispatch, 1).is_empty(), "the slot is held until settled");
    assert_eq!(dispatch.next_verb_or_finish(first[0].delivery, at(1)), None);
    let next = started(&mut dispatch, 1);
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].queue, queue("a"));
}

#[test]
fn a_paused_endpoint_starts_nothing_and_its_neighbours_go_on() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    dispatch.offer(&queue("a"), ids.due(0), at(0));
    dispatch.offer(&queue("b"), ids.due(0), at(0));
    dispatch.pause(&queue("a").endpoint, at(3_000), at(0));
    dispatch.pause(&queue("a").endpoint, at(1_000), at(0));
    assert_eq!(started(&mut dispatch, 2_999).len(), 1);
    let hold = EndpointHold { why: HoldReason::RetryAfter, until: Some(at(3_000)) };
    assert_eq!(dispatch.hold(&queue("a").endpoint, at(2_999)), Some(hold));
    assert_eq!(next_look(&mut dispatch, 2_999), Some(at(3_000)));
    assert_eq!(started(&mut dispatch, 3_000).len(), 1);
    assert_eq!(dispatch.released_at(&queue("a").endpoint), Some(at(3_000)));
}

#[test]
fn a_window_overflows_to_the_store_and_is_read_back_without_loss() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    let key = queue("a");
    let mut stored: Vec<DuePosition> = (0..20).map(|n| ids.due(n)).collect();
    for position in &stored {
        dispatch.offer(&key, *position, at(0));
    }
    let mut seen = Vec::new();
    for _round in 0..50 {
        for refill in dispatch.refills(at(5_000)) {
            // A row committed while the range is read: offered now, not in what is read.
            let read: Vec<DuePosition> = stored.iter().copied().filter(|p| Some(*p) > refill.after).take(8).collect();
            if stored.len() == 20 {
                stored.push(ids.due(100));
                dispatch.offer(&key, stored[20], at(5_000));
            }
            dispatch.refilled(&refill, Some(read), at(5_000));
        }
        for start in started(&mut dispatch, 5_000) {
            seen.push(start.position.unwrap());
            done(&mut dispatch, start.delivery, Outcome::Success, at(5_000));
        }
    }
    // What was remembered as fresh and read back as well is started twice here: the second time its position is outdated,
    // which the attempt finds when it loads the delivery.
    let each: BTreeSet<DuePosition> = seen.iter().copied().collect();
    assert_eq!(each.into_iter().collect::<Vec<_>>(), stored);
}

#[test]
fn a_failed_read_is_asked_for_again() {
    let mut dispatch = dispatch();
    dispatch.known_in_store(&queue("a"), at(0), at(0));
    let first = dispatch.refills(at(0));
    assert_eq!(first.len(), 1);
    assert!(dispatch.refills(at(0)).is_empty(), "asked for once");
    dispatch.refilled(&first[0], None, at(0));
    assert_eq!(dispatch.refills(at(0)), first);
}

#[test]
fn a_queue_in_the_far_future_or_paused_loads_nothing() {
    let mut dispatch = dispatch();
    dispatch.known_in_store(&queue("a"), at(60_000), at(0));
    dispatch.known_in_store(&queue("b"), at(0), at(0));
    dispatch.pause(&queue("b").endpoint, at(60_000), at(0));
    assert!(dispatch.refills(at(10)).is_empty());
    assert!(started(&mut dispatch, 10).is_empty());
    assert_eq!(next_look(&mut dispatch, 10).map(|look| look.since(at(0))), Some(Duration::from_secs(59)), "read ahead");
}

#[test]
fn fresh_leads_pass_only_when_nothing_is_due_before_them() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    let key = queue("a");
    let fresh = ids.due(0).id;
    assert!(dispatch.take_fresh(&key, fresh, at(0)));
    assert!(!dispatch.take_fresh(&key, fresh, at(0)), "under way already");
    dispatch.offer(&key, ids.due(0), at(0));
    let second = ids.due(0).id;
    assert!(!dispatch.take_fresh(&key, second, at(1)), "one is due before it");
    assert!(!dispatch.take_fresh(&queue("b"), second, at(1)), "another endpoint waits for its turn");
    assert_eq!(started(&mut dispatch, 1).len(), 1);
    dispatch.pause(&queue("b").endpoint, at(100), at(1));
    assert!(!dispatch.take_fresh(&queue("b"), ids.due(0).id, at(1)), "paused");
    dispatch.shut();
    assert!(started(&mut dispatch, 200).is_empty(), "shut");
    assert!(!dispatch.take_fresh(&queue("b"), ids.due(0).id, at(200)), "shut");
}

#[test]
fn verbs_wait_for_the_attempt_under_way() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    let id = ids.due(0).id;
    assert!(!dispatch.leave_verb(id, (Verb::Retry, "ann".into())));
    assert!(dispatch.reserve(id));
    assert!(!dispatch.reserve(id));
    assert!(dispatch.leave_verb(id, (Verb::Retry, "ann".into())));
    assert_eq!(dispatch.next_verb_or_finish(id, at(0)), Some((Verb::Retry, "ann".into())));
    assert!(dispatch.leave_verb(id, (Verb::Retry, "bob".into())), "still under way");
    assert_eq!(dispatch.next_verb_or_finish(id, at(0)), Some((Verb::Retry, "bob".into())));
    assert_eq!(dispatch.next_verb_or_finish(id, at(0)), None);
    assert!(!dispatch.leave_verb(id, (Verb::Retry, "cat".into())), "the slot was given back in the same step");
    assert!(!dispatch.is_in_flight(id));
}

#[test]
fn what_becomes_too_old_while_held_is_referred_then() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    let key = queue("a");
    follow_only(&mut dispatch, &["a"], Duration::from_secs(20), at(0));
    dispatch.pause(&key.endpoint, at(60_000), at(0));
    dispatch.offer(&key, ids.due(500), at(0));
    assert_eq!(next_look(&mut dispatch, 0), Some(at(20_002)));
    assert!(started(&mut dispatch, 20_000).is_empty());
    let referred = started(&mut dispatch, 20_002);
    assert_eq!(referred.iter().map(|start| start.errand).collect::<Vec<_>>(), [Errand::Referral]);
    assert_eq!(next_look(&mut dispatch, 20_002), Some(at(60_000)));
}

#[test]
fn a_place_passed_over_while_a_delivery_is_under_way_is_not_lost() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    let position = ids.due(5);
    assert!(dispatch.reserve(position.id), "a verb is being stored");
    dispatch.offer(&queue("a"), position, at(0));
    assert!(started(&mut dispatch, 10).is_empty());
    assert_eq!(dispatch.next_verb_or_give_back(position.id, at(10)), None);
    assert_eq!(started(&mut dispatch, 10).len(), 1, "the verb failed and the delivery still waits");
}

#[test]
fn a_fresh_lead_does_not_pass_what_only_the_store_knows() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    dispatch.known_in_store(&queue("a"), at(0), at(0));
    assert!(!dispatch.take_fresh(&queue("a"), ids.due(0).id, at(10)));
    let refill = dispatch.refills(at(10)).remove(0);
    assert!(!dispatch.take_fresh(&queue("a"), ids.due(0).id, at(10)), "being read");
    dispatch.refilled(&refill, Some(Vec::new()), at(10));
    assert!(dispatch.take_fresh(&queue("a"), ids.due(0).id, at(10)));
}

#[test]
fn what_waits_where_no_step_sends_any_more_moves_on() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    for name in ["a", "b"] {
        dispatch.pause(&queue(name).endpoint, at(60_000), at(0));
        dispatch.offer(&queue(name), ids.due(0), at(0));
    }
    assert!(started(&mut dispatch, 10).is_empty());
    follow_only(&mut dispatch, &["b"], AGE, at(10));
    let moved = started(&mut dispatch, 10);
    assert_eq!(moved.len(), 1);
    assert_eq!((moved[0].queue.clone(), moved[0].errand), (queue("a"), Errand::Referral));
}
