//! Choosing between the candidates of a leg: who is left out, what each is rated, whose turn it is, and what a day comes to.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set up ends the test")]

mod fixture;

use fixture::{FENCE, at, delivery, endpoint};
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{CandidateName, DeliveryId, RecipientName};
use steadfast_retry::{
    Balance, BalanceRules, BodyMark, Candidate, CapPer, CapPeriod, Choice, Criterion, Delivery, Endpoint, EndpointLoad,
    HoldReason, LegProgress, Rating, Seed, ShareLedger, ShareOf, ShareTally, State, TrackRecord, choose, explore_dice,
    move_to,
};

/// Dice that explore nothing.
const STILL: u64 = 9_999;

fn name(name: &str) -> CandidateName {
    CandidateName::new(name).unwrap()
}

fn by(by: Balance) -> BalanceRules {
    let (share_of, criteria) = (ShareOf::Accepted, Vec::new());
    BalanceRules { by, share_of, catch_up_thousandths: 2_000, criteria, explore_percent: 5 }
}

fn best(criteria: &[Criterion]) -> BalanceRules {
    BalanceRules { criteria: criteria.to_vec(), ..by(Balance::Best) }
}

fn candidate(named: &str, weight: u32) -> Candidate {
    Candidate {
        name: name(named),
        weight,
        cost_millionths: None,
        barred: None,
        near: false,
        failed: false,
        load: EndpointLoad { limit: 10, ..EndpointLoad::default() },
        record: TrackRecord::default(),
        tally: ShareTally::default(),
        credit: 0,
    }
}

fn held(candidate: Candidate, why: HoldReason) -> Candidate {
    Candidate { load: EndpointLoad { hold: Some(why), ..candidate.load }, ..candidate }
}

fn chosen(rules: &BalanceRules, candidates: &[Candidate]) -> Choice {
    Choice::clone(&choose(rules, candidates, STILL, at(0)).unwrap().choice)
}

/// What so many choices in a row come to, each delivered at once.
fn deal(rules: &BalanceRules, candidates: &mut [Candidate], count: usize) -> Vec<usize> {
    let one = |candidates: &mut [Candidate]| {
        let chosen = choose(rules, candidates, STILL, at(0)).unwrap();
        candidates.iter_mut().zip(&chosen.credits).for_each(|(one, credit)| one.credit = *credit);
        candidates[chosen.index].tally.counted += 1;
        chosen.index
    };
    (0..count).map(|_| one(candidates)).collect()
}

fn counted(candidates: &[Candidate]) -> Vec<u64> {
    candidates.iter().map(|one| one.tally.counted).collect()
}

#[test]
fn shares_are_dealt_in_smooth_turns() {
    let mut three = [candidate("a", 3), candidate("b", 1), candidate("c", 1)];
    let dealt = deal(&by(Balance::Weighted), &mut three, 10);
    assert_eq!(dealt, [0, 1, 0, 2, 0, 0, 1, 0, 2, 0], "never all of one, then all of the other");
    deal(&by(Balance::Weighted), &mut three, 990);
    assert_eq!(counted(&three), [600, 200, 200]);
}

#[test]
fn one_that_is_behind_catches_up_within_its_bound() {
    let mut two = [candidate("a", 60), candidate("b", 40)];
    two[0] = held(two[0].clone(), HoldReason::Breaker);
    assert!(deal(&by(Balance::Weighted), &mut two, 1_000).iter().all(|index| *index == 1), "a is not called");
    two[0].load.hold = None;
    let after = deal(&by(Balance::Weighted), &mut two, 1_000);
    let first = after.iter().filter(|index| **index == 0).count();
    assert_eq!(first, 750, "twice its weight, 120 of 160, and not all at once");
    deal(&by(Balance::Weighted), &mut two, 8_000);
    assert_eq!(counted(&two).iter().sum::<u64>(), 10_000);
    assert!(counted(&two)[0].abs_diff(6_000) <= 3, "{:?}", counted(&two));
    let without = BalanceRules { catch_up_thousandths: 1_000, ..by(Balance::Weighted) };
    let mut two =
        [candidate("a", 60), Candidate { tally: ShareTally { counted: 1_000, on_the_way: 0 }, ..candidate("b", 40) }];
    deal(&without, &mut two, 1_000);
    assert_eq!(counted(&two), [600, 1_400], "who does not catch up has its share of what comes");
}

#[test]
fn what_is_on_its_way_counts_as_given() {
    let waiting = Candidate { tally: ShareTally { counted: 0, on_the_way: 100 }, ..candidate("a", 1) };
    let choice = chosen(&by(Balance::Weighted), &[waiting, candidate("b", 1)]);
    assert_eq!(&*choice.because, "weighted: b has 0 of 100 of the day, for 1 of 2; behind, so it counts 2.000 times");
    assert_eq!(choice.rated, [(name("a"), Rating::Score(1_000)), (name("b"), Rating::Score(2_000))]);
}

#[test]
fn who_is_held_or_has_just_failed_is_chosen_only_where_nobody_else_may_take_it() {
    let rules = by(Balance::Weighted);
    let (a, b) = (candidate("a", 100), candidate("b", 1));
    for why in [HoldReason::Breaker, HoldReason::Paused, HoldReason::Closed, HoldReason::RetryAfter] {
        let choice = chosen(&rules, &[held(a.clone(), why), b.clone()]);
        assert_eq!(choice.candidate, name("b"), "{why}");
        assert_eq!(choice.rated[0].1, Rating::Out(why.name().into()));
    }
    let failed = Candidate { failed: true, ..a.clone() };
    assert_eq!(chosen(&rules, &[failed.clone(), b.clone()]).candidate, name("b"));
    let closed = held(b.clone(), HoldReason::Closed);
    let alone = chosen(&rules, &[failed, closed.clone()]);
    assert_eq!(alone.candidate, name("a"), "it failed, but it may be called");
    assert!(alone.because.ends_with("; no other may be called now"), "{}", alone.because);
    let none = chosen(&rules, &[held(a, HoldReason::Breaker), closed]);
    assert_eq!(none.candidate, name("a"), "it waits where it would go");
    assert!(none.because.ends_with("; none may be called now"), "{}", none.because);
}

#[test]
fn what_bars_a_candidate_bars_it_whatever_else_is_so() {
    let barred = Candidate { barred: Some("regulation"), ..candidate("a", 100) };
    let choice = chosen(&by(Balance::LeastLoaded), &[barred.clone(), held(candidate("b", 1), HoldReason::Breaker)]);
    assert_eq!(choice.candidate, name("b"));
    assert_eq!(choice.rated[0].1, Rating::Out("regulation".into()));
    assert_eq!(choose(&by(Balance::Weighted), &[barred], STILL, at(0)), None);
    assert_eq!(choose(&by(Balance::Weighted), &[], STILL, at(0)), None);
}

#[test]
fn the_one_with_the_most_room_is_chosen() {
    let load = |in_flight, waiting, limit| EndpointLoad { in_flight, waiting, limit, ..EndpointLoad::default() };
    let busy = Candidate { load: load(4, 0, 10), ..candidate("a", 1) };
    let small = Candidate { load: load(1, 0, 2), ..candidate("b", 1) };
    let choice = chosen(&by(Balance::LeastLoaded), &[small.clone(), busy.clone()]);
    assert_eq!((choice.candidate, &*choice.because), (name("a"), "least_loaded: a has 4 on it, of 10"));
    assert_eq!(choice.rated, [(name("b"), Rating::Score(500)), (name("a"), Rating::Score(600))]);
    let queued = Candidate { load: load(4, 30, 10), ..busy.clone() };
    assert_eq!(chosen(&by(Balance::LeastLoaded), &[small.clone(), queued]).candidate, name("b"));
    let on_its_way = Candidate { tally: ShareTally { counted: 0, on_the_way: 9 }, ..busy };
    assert_eq!(chosen(&by(Balance::LeastLoaded), &[small, on_its_way]).candidate, name("b"), "a burst is spread");
    let mut alike = [candidate("a", 1), candidate("b", 1)];
    assert_eq!(deal(&by(Balance::LeastLoaded), &mut alike, 4), [0, 1, 0, 1], "who are alike take turns");
}

fn recorded(attempts: &[(bool, u64)]) -> TrackRecord {
    let mut record = TrackRecord::default();
    attempts.iter().for_each(|(answered, millis)| record.handle_attempt(*answered, Duration::from_millis(*millis)));
    record
}

#[test]
fn the_best_is_the_best_by_the_criteria_in_their_order() {
    let cheap = Candidate { cost_millionths: Some(10_000), record: recorded(&[(true, 400)]), ..candidate("cheap", 1) };
    let fast = Candidate { cost_millionths: Some(40_000), record: recorded(&[(true, 100)]), ..candidate("fast", 1) };
    let both = [cheap.clone(), fast.clone()];
    let choice = chosen(&best(&[Criterion::Cost, Criterion::Speed]), &both);
    assert_eq!((choice.candidate, &*choice.because), (name("cheap"), "best: cheap by cost 1000, speed 250"));
    assert_eq!(choice.rated, [(name("cheap"), Rating::Score(750)), (name("fast"), Rating::Score(500))]);
    assert_eq!(chosen(&best(&[Criterion::Speed, Criterion::Cost]), &both).candidate, name("fast"));
    let ill = Candidate { record: recorded(&[(false, 5); 3]), ..fast.clone() };
    assert_eq!(ill.record.answered_thousandths(), 669);
    assert_eq!(chosen(&best(&[Criterion::Health]), &[ill, cheap.clone()]).candidate, name("cheap"));
    let recovering = Candidate { load: EndpointLoad { share_thousandths: 100, ..fast.load }, ..fast.clone() };
    assert_eq!(chosen(&best(&[Criterion::Health]), &[recovering, cheap]).candidate, name("cheap"));
    let near = Candidate { near: true, ..candidate("near", 1) };
    assert_eq!(chosen(&best(&[Criterion::Region]), &[fast, near]).candidate, name("near"));
}

#[test]
fn a_few_leads_explore_and_always_the_same() {
    let (good, bad) = (candidate("good", 1), Candidate { record: recorded(&[(false, 5); 9]), ..candidate("bad", 1) });
    let rules = best(&[Criterion::Health]);
    let explores = |id: i64| {
        let dice = explore_dice(Seed(7), DeliveryId::from_raw(id).unwrap(), 0);
        choose(&rules, &[good.clone(), bad.clone()], dice, at(0)).unwrap().index == 1
    };
    let explored = (1..=10_000).filter(|id| explores(*id)).count();
    assert!((400..=600).contains(&explored), "{explored} of 10000 at 5 of 100");
    assert!((1..=200).all(|id| explores(id) == explores(id)));
    let none = BalanceRules { explore_percent: 0, ..rules };
    assert_eq!(choose(&none, &[good.clone(), bad.clone()], 0, at(0)).unwrap().index, 0);
    let closed = held(bad, HoldReason::Breaker);
    let held = choose(&best(&[Criterion::Health]), &[good, closed], 0, at(0)).unwrap();
    assert_eq!(held.index, 0, "what may not be called is not explored");
}

fn day(scope: &str) -> CapPeriod {
    CapPeriod { scope: scope.into(), per: CapPer::Day, from: at(0), until: at(86_400) }
}

#[test]
fn the_ledger_counts_what_was_taken_and_forgets_what_went_elsewhere() {
    let (a, b): (Arc<str>, Arc<str>) = ("share a".into(), "share b".into());
    let mut ledger = ShareLedger::default();
    ledger.restore([(day("share a"), 5)]);
    let id = delivery().id;
    ledger.chose(id, &a);
    assert_eq!(ledger.tally(&day("share a")), ShareTally { counted: 5, on_the_way: 1 });
    ledger.chose(id, &b);
    assert_eq!(ledger.tally(&day("share a")).on_the_way, 0);
    assert_eq!(ledger.tally(&day("share b")).on_the_way, 1);
    let policy = fixture::policy(&Default::default());
    let settlement = steadfast_retry::settle(
        &delivery(),
        fixture::sent(fixture::answered(200, &[]), at(1), at(2)),
        &fixture::terms(&policy),
    );
    assert!(ShareOf::Accepted.counts(&settlement));
    ledger.settled(&settlement, Some(&day("share b")));
    assert_eq!(ledger.tally(&day("share b")), ShareTally { counted: 1, on_the_way: 0 });
    ledger.forget_before(at(86_401));
    assert_eq!(ledger.tally(&day("share b")), ShareTally::default());
}

#[test]
fn what_counts_is_what_the_contract_says() {
    let settled = |test: bool, state: State| {
        let policy = fixture::policy(&Default::default());
        let before = Delivery { test, ..delivery() };
        let sent = fixture::sent(fixture::answered(200, &[]), at(1), at(2));
        let mut settlement = steadfast_retry::settle(&before, sent, &fixture::terms(&policy));
        settlement.delivery.state = state;
        settlement
    };
    let taken = State::Delivered { at: at(2), probable: false, by_hand: false };
    let refused = State::Rejected { at: at(2), kind: steadfast_retry::FailureKind::Rejected };
    let counts = |test, state: &State| {
        let settlement = settled(test, state.clone());
        (ShareOf::Accepted.counts(&settlement), ShareOf::Answered.counts(&settlement))
    };
    assert_eq!(counts(false, &taken), (true, true));
    assert_eq!(counts(false, &refused), (false, true));
    assert_eq!(counts(false, &State::Waiting { due: at(4) }), (false, false));
    assert_eq!(counts(true, &taken), (false, false), "a test lead is nobody's share");
}

#[test]
fn another_recipient_gets_a_key_of_its_own() {
    let choice = Arc::new(chosen(&by(Balance::Weighted), &[candidate("a", 1)]));
    let frozen = BodyMark { mapping_version: 1, digest: [3; 32] };
    let progress = LegProgress { retries_used: 2, attempts: 2, ..LegProgress::default() };
    let before = Delivery { body: Some(frozen), progress: progress.clone(), ..delivery() };
    let sibling = Endpoint { origin: "https://west.bigbank.example:443".into(), ..endpoint() };
    let moved = move_to(&before, Arc::clone(&choice), &sibling, FENCE, at(5)).unwrap().delivery;
    assert_eq!((moved.body, moved.progress.clone(), moved.endpoint), (Some(frozen), progress.clone(), sibling));
    assert_eq!((moved.version, moved.choice), (before.version + 1, Some(Arc::clone(&choice))));
    let stranger = Endpoint { recipient: RecipientName::new("mill").unwrap(), ..endpoint() };
    let moved = move_to(&before, Arc::clone(&choice), &stranger, FENCE, at(5)).unwrap().delivery;
    assert_eq!(
        (moved.body, moved.progress),
        (None, LegProgress { revision: 1, ..progress }),
        "its retries are used all the same"
    );
    let done = Delivery { state: State::Delivered { at: at(1), probable: false, by_hand: false }, ..before };
    assert_eq!(move_to(&done, choice, &stranger, FENCE, at(5)), None);
}
