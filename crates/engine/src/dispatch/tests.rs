//! Dispatch, step by step: turns, limits, pauses, windows and refills.

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

fn five_failures(dispatch: &mut Dispatch, ids: &mut Ids, name: &str, now: i64) {
    for _ in 0..5 {
        let id = ids.due(0).id;
        assert!(dispatch.take_fresh(&queue(name), id, at(now)));
        done(dispatch, id, Outcome::Error(ErrorKind::ServerError), at(now));
    }
}

fn breaker_of(dispatch: &Dispatch, name: &str, now: i64) -> BreakerState {
    let standings = dispatch.standings(at(now));
    let standing = standings.iter().find(|standing| standing.recipient.as_str() == name).unwrap();
    standing.endpoints[0].breaker.state
}

#[test]
fn five_failures_open_the_breaker_and_only_probes_go_until_it_recovers() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    five_failures(&mut dispatch, &mut ids, "a", 0);
    assert_eq!(breaker_of(&dispatch, "a", 0), BreakerState::Open);
    assert!(!dispatch.take_fresh(&queue("a"), ids.due(0).id, at(1)));
    assert!(dispatch.take_fresh(&queue("b"), ids.due(0).id, at(1)), "its neighbour goes on");
    for _ in 0..3 {
        dispatch.offer(&queue("a"), ids.due(0), at(1));
    }
    let half_open = next_look(&mut dispatch, 1).unwrap();
    assert!(half_open >= at(30_000) && half_open <= at(36_000), "{half_open}");
    assert!(started(&mut dispatch, 29_999).is_empty());
    let opened = i64::try_from(half_open.since(at(0)).as_millis()).unwrap() + 1;
    let probe = started(&mut dispatch, opened);
    assert_eq!(probe.len(), 1, "one probe at a time");
    done(&mut dispatch, probe[0].delivery, Outcome::Success, at(opened));
    let second = started(&mut dispatch, opened);
    assert_eq!(second.len(), 1);
    done(&mut dispatch, second[0].delivery, Outcome::Success, at(opened));
    assert_eq!(breaker_of(&dispatch, "a", opened), BreakerState::Recovery);
    let lines: Vec<usize> = dispatch.take_changed().iter().map(|(_, lines)| lines.len()).collect();
    assert_eq!(lines, [3], "to open, half-open and recovery");
    assert!(!dispatch.has_changed());
}

#[test]
fn a_guard_that_was_kept_holds_after_a_restart_and_a_probe_that_was_lost_does_not_block() {
    let (mut before, mut ids) = (dispatch(), Ids::new());
    five_failures(&mut before, &mut ids, "a", 0);
    before.offer(&queue("a"), ids.due(0), at(0));
    assert_eq!(started(&mut before, 40_000).len(), 1, "the probe");
    let kept = before.kept_guards();
    let mut after = dispatch();
    kept.iter().for_each(|kept| after.restore_guard(kept, at(40_001)));
    assert_eq!(breaker_of(&after, "a", 40_001), BreakerState::HalfOpen);
    after.offer(&queue("a"), ids.due(0), at(40_001));
    assert_eq!(started(&mut after, 40_001).len(), 1, "another probe");
}

#[test]
fn what_an_open_breaker_holds_for_too_long_is_referred() {
    let longest = RecipientProtection { longest_hold: Some(Duration::from_secs(10)), ..RecipientProtection::default() };
    let (mut dispatch, mut ids) = (following(LIMITS, &["a"], longest), Ids::new());
    five_failures(&mut dispatch, &mut ids, "a", 0);
    dispatch.offer(&queue("a"), ids.due(5_000), at(0));
    dispatch.known_in_store(&QueueKey { priority: Priority::Low, ..queue("a") }, at(6_000), at(0));
    assert_eq!(next_look(&mut dispatch, 0), Some(at(15_000)));
    assert!(started(&mut dispatch, 14_999).is_empty() && dispatch.refills(at(14_999)).is_empty());
    assert_eq!(started(&mut dispatch, 15_000)[0].errand, Errand::Referral);
    assert_eq!(dispatch.refills(at(16_000)).len(), 1, "what only the store knows is read for it");
}

#[test]
fn an_empty_budget_holds_retries_and_no_first_attempts() {
    let limits = DispatchLimits { slots: 400, window: 256 };
    let (mut dispatch, mut ids) = (following(limits, &["a"], RecipientProtection::default()), Ids::new());
    let retries = QueueKey { retries: true, ..queue("a") };
    for _ in 0..150 {
        dispatch.offer(&retries, ids.due(0), at(0));
    }
    let mut sent = 0;
    while let Some(start) = dispatch.next(at(0)) {
        // What says nothing about the recipient's health earns no token.
        done(&mut dispatch, start.delivery, Outcome::Error(ErrorKind::RenderFailed), at(0));
        sent += 1;
    }
    assert_eq!(sent, 100, "the tokens of a full budget");
    assert!(dispatch.take_fresh(&queue("a"), ids.due(0).id, at(0)), "a first attempt needs none");
    assert_eq!(next_look(&mut dispatch, 0), Some(at(1_000)), "a token a second");
    assert_eq!(started(&mut dispatch, 1_000).len(), 1);
}

#[test]
fn fresh_and_old_take_turns_after_an_outage() {
    let limits = DispatchLimits { slots: 2, window: 8 };
    let (mut dispatch, mut ids) = (following(limits, &["a"], RecipientProtection::default()), Ids::new());
    let old: Vec<DuePosition> = (0..40).map(|n| ids.due(n)).collect();
    let fresh: Vec<DuePosition> = (0..5).map(|n| ids.due(200_000 + n)).collect();
    old.iter().chain(&fresh).for_each(|position| dispatch.offer(&queue("a"), *position, at(0)));
    let mut passing = Vec::new();
    for _ in 0..8 {
        let start = dispatch.next(at(201_000)).unwrap();
        passing.push(start.errand == Errand::Attempt { passes: true });
        assert_eq!(fresh.contains(&start.position.unwrap()), *passing.last().unwrap());
        done(&mut dispatch, start.delivery, Outcome::Success, at(201_000));
    }
    assert_eq!(passing, [false, true, false, true, false, true, false, true]);
}

#[test]
fn a_stopped_recipient_starts_nothing_and_a_flows_lot_waits_and_then_moves() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    let recipient = queue("a").endpoint.recipient;
    let flow = StopTarget::Flow(FlowName::new("auto").unwrap());
    let lot = QueueKey { endpoint: flow.lot(&recipient).unwrap(), ..queue("a") };
    dispatch.set_stop(&StopTarget::Recipient(recipient.clone()), true);
    dispatch.set_stop(&flow, true);
    dispatch.offer(&queue("a"), ids.due(0), at(0));
    dispatch.offer(&lot, ids.due(0), at(0));
    assert!(started(&mut dispatch, 10).is_empty());
    assert_eq!(next_look(&mut dispatch, 10), Some(at(86_400_002)), "only when it is too old");
    dispatch.set_stop(&StopTarget::Recipient(recipient), false);
    assert_eq!(started(&mut dispatch, 20).len(), 1);
    dispatch.set_stop(&flow, false);
    let moved = started(&mut dispatch, 30);
    assert_eq!((moved.len(), moved[0].errand), (1, Errand::Referral), "it is not sent from there");
    assert!(dispatch.standings(at(30)).iter().all(|standing| standing.endpoints.len() == 1), "a lot is not shown");
}

#[test]
fn referrals_take_a_quarter_of_the_slots_at_most() {
    let limits = DispatchLimits { slots: 8, window: 64 };
    let (mut dispatch, mut ids) = (following(limits, &["a"], RecipientProtection::default()), Ids::new());
    follow_only(&mut dispatch, &[], AGE, at(0));
    for _ in 0..10 {
        dispatch.offer(&queue("a"), ids.due(0), at(0));
    }
    let moved = started(&mut dispatch, 1);
    assert_eq!(moved.len(), 2);
    assert_eq!(dispatch.next_verb_or_finish(moved[0].delivery, at(1)), None);
    assert_eq!(started(&mut dispatch, 1).len(), 1);
}

#[test]
fn a_person_opens_and_closes_breakers_with_a_reason() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    let recipient = queue("a").endpoint.recipient;
    let ann = ByHand { by: "ann".into(), reason: "they called".into() };
    let act =
        |dispatch: &mut Dispatch, verb, now| dispatch.act_on_breakers(&recipient, None, verb, &ann, at(now)).len();
    assert_eq!(act(&mut dispatch, BreakerVerb::Open, 0), 1);
    assert_eq!(breaker_of(&dispatch, "a", 0), BreakerState::ForcedOpen);
    assert!(!dispatch.take_fresh(&queue("a"), ids.due(0).id, at(10)));
    assert_eq!(act(&mut dispatch, BreakerVerb::Open, 10), 0, "it is open already");
    assert_eq!(act(&mut dispatch, BreakerVerb::Disable, 20), 1);
    assert!(dispatch.take_fresh(&queue("a"), ids.due(0).id, at(20)));
    let elsewhere = dispatch.act_on_breakers(&recipient, Some("https://y:443"), BreakerVerb::Open, &ann, at(30));
    assert_eq!(elsewhere, []);
}

#[test]
fn an_attempt_that_was_dropped_gives_its_right_back() {
    let (mut dispatch, mut ids) = (dispatch(), Ids::new());
    for _ in 0..20 {
        let id = ids.due(0).id;
        assert!(dispatch.take_fresh(&queue("a"), id, at(0)));
        assert_eq!(dispatch.next_verb_or_finish(id, at(0)), None);
    }
    assert_eq!(dispatch.standings(at(0))[0].in_flight, 0);
}

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

/// What an open breaker stops at `a` may go on to `b` and `c`.
fn leaving_a(window: usize) -> (Dispatch, Ids) {
    let mut dispatch = Dispatch::new(DispatchLimits { slots: 4_000, window }, Seed(7));
    let names = ["a", "b", "c"];
    let used = names.iter().map(|name| (queue(name).endpoint, AGE)).collect();
    let next = [(queue("a").endpoint, ["b", "c"].map(|name| queue(name).endpoint).into())].into();
    dispatch.follow(&Protected { recipients: HashMap::new(), used, next }, at(0));
    let mut ids = Ids::new();
    five_failures(&mut dispatch, &mut ids, "a", 0);
    let refills = dispatch.refills(at(0));
    assert!(refills.len() == 1 && refills[0].leaving, "what waited before it opened: {refills:?}");
    dispatch.refilled(&refills[0], Some(Vec::new()), at(0));
    (dispatch, ids)
}

fn by_hand(dispatch: &mut Dispatch, name: &str, verb: BreakerVerb, now: i64) {
    let ann = ByHand { by: "ann".into(), reason: "said so".into() };
    assert_eq!(dispatch.act_on_breakers(&queue(name).endpoint.recipient, None, verb, &ann, at(now)).len(), 1);
}

/// It was moved: it waits at the other endpoint from then on.
fn moved(dispatch: &mut Dispatch, start: &Start, name: &str, now: i64) {
    assert_eq!((start.errand, &start.queue), (Errand::Referral, &queue("a")));
    assert_eq!(dispatch.next_verb_or_finish(start.delivery, at(now)), None);
    dispatch.offer(&queue(name), DuePosition { due: at(now), id: start.delivery }, at(now));
}

fn stays(dispatch: &mut Dispatch, start: &Start, now: i64) {
    assert_eq!(dispatch.next_verb_or_finish(start.delivery, at(now)), None);
    dispatch.put_back(&start.queue, start.position.unwrap(), at(now));
}

#[test]
fn what_an_open_breaker_stops_goes_on_as_fast_as_the_next_endpoint_starts_it() {
    let (mut dispatch, mut ids) = leaving_a(1_000);
    by_hand(&mut dispatch, "c", BreakerVerb::Open, 0);
    for _ in 0..600 {
        dispatch.offer(&queue("a"), ids.due(0), at(0));
    }
    let (mut referred, mut sent) = (0, Vec::new());
    loop {
        let starts = started(&mut dispatch, 1);
        if starts.is_empty() {
            break;
        }
        for start in starts {
            if start.errand == Errand::Referral {
                moved(&mut dispatch, &start, "b", 1);
                referred += 1;
            } else {
                assert_eq!(start.queue, queue("b"));
                sent.push(start.delivery);
            }
        }
    }
    // All that may be under way at b at once, and what waits there; the rest stays where its breaker holds it.
    assert!((128..600).contains(&referred), "{referred}");
    for id in sent {
        done(&mut dispatch, id, Outcome::Success, at(2));
    }
    assert!(!started(&mut dispatch, 2).is_empty(), "and goes on as b does");
    by_hand(&mut dispatch, "a", BreakerVerb::Close, 3);
    let starts = started(&mut dispatch, 3);
    assert!(starts.iter().all(|start| matches!(start.errand, Errand::Attempt { .. })), "nothing leaves any more");
    assert!(starts.iter().any(|start| start.queue == queue("a")), "what stayed goes as it would have");
}

#[test]
fn a_backlog_that_can_go_nowhere_is_neither_read_nor_looked_at() {
    let (mut dispatch, mut ids) = leaving_a(100);
    by_hand(&mut dispatch, "b", BreakerVerb::Open, 0);
    dispatch.pause(&queue("c").endpoint, at(5_000), at(0));
    dispatch.known_in_store(&queue("a"), at(0), at(0));
    for now in [0, 1, 1_000, 4_999] {
        assert!(started(&mut dispatch, now).is_empty() && dispatch.refills(at(now)).is_empty(), "{now}");
    }
    // One of the two takes leads again: a range is read for it, and no more than a range.
    let refills = dispatch.refills(at(5_000));
    assert!(refills.len() == 1 && refills[0].leaving && refills[0].after.is_none(), "{refills:?}");
    let read: Vec<DuePosition> = (0..100).map(|_| ids.due(0)).collect();
    dispatch.refilled(&refills[0], Some(read.clone()), at(5_000));
    let starts = started(&mut dispatch, 5_000);
    assert_eq!(
        starts.iter().map(|start| start.delivery).collect::<Vec<_>>(),
        read.iter().map(|p| p.id).collect::<Vec<_>>()
    );
    assert!(starts.len() == 100 && starts.iter().zip(&read).all(|(start, read)| start.position == Some(*read)));
    // A person stops the recipient: that holds everything, whatever the breaker says.
    starts.iter().for_each(|start| stays(&mut dispatch, start, 5_000));
    dispatch.set_stop(&StopTarget::Recipient(queue("a").endpoint.recipient), true);
    dispatch.offer(&queue("a"), ids.due(5_001), at(5_001));
    assert!(started(&mut dispatch, 60_000).is_empty());
}

#[test]
fn what_has_to_stay_is_looked_at_once_until_another_endpoint_takes_leads() {
    let (mut dispatch, mut ids) = leaving_a(5_000);
    by_hand(&mut dispatch, "b", BreakerVerb::Open, 0);
    for _ in 0..3 {
        dispatch.offer(&queue("a"), ids.due(0), at(0));
    }
    let starts = started(&mut dispatch, 1);
    assert_eq!(starts.len(), 3);
    starts.iter().for_each(|start| stays(&mut dispatch, start, 1));
    assert!(started(&mut dispatch, 10_000).is_empty(), "once");
    dispatch.offer(&queue("a"), ids.due(10_000), at(10_000));
    assert_eq!(started(&mut dispatch, 10_000).len(), 1, "what comes new has its turn");
    // The other endpoint comes back: everything is looked at again, half a minute after the beginning.
    by_hand(&mut dispatch, "b", BreakerVerb::Close, 11_000);
    assert!(started(&mut dispatch, 29_900).is_empty());
    let refills = dispatch.refills(at(29_999));
    assert!(refills.is_empty(), "{refills:?}");
    let refills = dispatch.refills(at(30_000));
    assert!(refills.len() == 1 && refills[0].leaving && refills[0].after.is_none(), "{refills:?}");
    let (busy, waiting) = (ids.due(10_000), starts.iter().map(|start| start.position.unwrap()).collect());
    dispatch.refilled(&Refill { after: Some(busy), ..refills[0].clone() }, Some(vec![busy]), at(30_000));
    assert!(started(&mut dispatch, 30_000).is_empty(), "a range that nobody waits for any more");
    dispatch.refilled(&refills[0], Some(waiting), at(30_000));
    assert_eq!(started(&mut dispatch, 30_000).len(), 3);
}

#[test]
fn looking_in_vain_has_a_bound_and_an_endpoint_that_is_probed_gets_one() {
    let (mut dispatch, mut ids) = leaving_a(5_000);
    by_hand(&mut dispatch, "b", BreakerVerb::Probe, 0);
    by_hand(&mut dispatch, "c", BreakerVerb::Open, 0);
    (0..1_500).for_each(|_| dispatch.offer(&queue("a"), ids.due(0), at(0)));
    let one = started(&mut dispatch, 0);
    assert_eq!(one.len(), 1, "one is enough to find out");
    moved(&mut dispatch, &one[0], "b", 0);
    let probe = started(&mut dispatch, 0);
    assert!(probe.len() == 1 && probe[0].queue == queue("b"), "{probe:?}");
    assert!(started(&mut dispatch, 1).is_empty(), "the others wait for what it says");
    done(&mut dispatch, probe[0].delivery, Outcome::Error(ErrorKind::ServerError), at(2));
    assert!(started(&mut dispatch, 2).is_empty());
    by_hand(&mut dispatch, "c", BreakerVerb::Close, 3);
    let mut looked = 0;
    while let Some(start) = dispatch.next(at(3)) {
        stays(&mut dispatch, &start, 3);
        looked += 1;
    }
    assert_eq!(looked, 1_000);
    assert_eq!(next_look(&mut dispatch, 3), Some(at(1_000)));
    assert!(dispatch.next(at(1_000)).is_some());
}
