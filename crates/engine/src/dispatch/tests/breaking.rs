//! Breakers, budgets and people: what stops an endpoint and what lets it go on.

use super::*;

pub(super) fn five_failures(dispatch: &mut Dispatch, ids: &mut Ids, name: &str, now: i64) {
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
