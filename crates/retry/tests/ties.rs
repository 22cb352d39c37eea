//! Whose turn it is, and what a settlement moves beside its own delivery: by example, and over any course of events.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod fixture;

use fixture::{FENCE, at, delivery};
use proptest::prelude::*;
use steadfast_lead::{DeliveryId, RecipientName, StepName};
use steadfast_retry::{
    CloseReason, Delivery, Entry, FailureKind, Follow, HoldReason, Moved, RefusedBySale, ReviewCause, Settlement,
    Standing, State, StateName, Tie, Ties, Turn, Verb, concerns_others, standing, tie, verb, whose_turn,
};

const BUYERS: usize = 4;

fn step(name: &str) -> StepName {
    StepName::new(name).unwrap()
}

/// Buyers `b0`, `b1` and so on; the first has its turn.
fn sale(buyers: usize) -> Vec<Delivery> {
    let held = State::Held { due: at(0), until: at(0), why: HoldReason::Turn };
    let one = |number: usize| {
        let mut one = delivery();
        one.id = DeliveryId::from_raw(100 + number as i64).unwrap();
        one.step = step(&format!("b{number}"));
        one.endpoint.recipient = RecipientName::new(&format!("bank{number}")).unwrap();
        one.tie = Tie { buyer: true, ..Tie::default() };
        one.state = if number == 0 { State::Waiting { due: at(0) } } else { held.clone() };
        one
    };
    (0..buyers).map(one).collect()
}

/// The buyers, tried in the order of their numbers.
fn ties(buyers: usize) -> Ties {
    Ties { order: (0..buyers).map(|number| step(&format!("b{number}"))).collect(), ..Ties::default() }
}

/// A change as an attempt or a referral makes it: nobody's verb.
fn becomes(before: &Delivery, state: State) -> Settlement {
    let mut settlement = verb(before, &Verb::Dismiss { reason: "x".into() }, "x", FENCE, at(1)).unwrap();
    settlement.delivery.state = state.clone();
    let Entry::Change(change) = &mut settlement.entry else { panic!("a change") };
    (change.verb, change.state) = (None, state);
    settlement
}

/// Applies a settlement as a store does.
fn apply(all: &mut [Delivery], settlement: &Settlement) {
    let tied = settlement.tied.as_deref();
    let moved = tied.into_iter().flat_map(|tied| &tied.moved).map(|moved| &moved.delivery);
    for after in moved.chain([&settlement.delivery]) {
        let standing = all.iter_mut().find(|one| one.id == after.id).unwrap();
        assert_eq!(after.version, standing.version + 1, "each delivery moves once in a settlement");
        *standing = after.clone();
    }
}

fn go(all: &mut [Delivery], ties: &Ties, settlement: Settlement) -> Result<Vec<Moved>, RefusedBySale> {
    let settlement = if concerns_others(&settlement) { tie(settlement, all, ties, at(1))? } else { settlement };
    apply(all, &settlement);
    Ok(settlement.tied.map(|tied| tied.moved).unwrap_or_default())
}

fn delivered() -> State {
    State::Delivered { at: at(1), probable: false, by_hand: false }
}

fn rejected() -> State {
    State::Rejected { at: at(1), kind: FailureKind::Rejected }
}

fn words(all: &[Delivery]) -> Vec<String> {
    let word = |one: &Delivery| match &one.state {
        State::Held { why, .. } => why.name().to_owned(),
        State::Closed { why, .. } => why.name().to_owned(),
        state @ (State::Waiting { .. } | State::Delivered { .. } | State::Rejected { .. } | State::InReview { .. }) => {
            state.name().name().to_owned()
        }
    };
    all.iter().map(word).collect()
}

#[test]
fn the_next_begins_when_the_one_before_ended_and_the_rest_are_closed_by_the_sale() {
    let (mut all, ties) = (sale(3), ties(3));
    let first = becomes(&all[0], rejected());
    let moved = go(&mut all, &ties, first).unwrap();
    assert_eq!(words(&all), ["rejected", "waiting", "turn"]);
    let Entry::Change(change) = &moved[0].entry else { panic!("a change") };
    assert_eq!(&*change.because, "its turn: step b0 is rejected");
    let second = becomes(&all[1], delivered());
    let moved = go(&mut all, &ties, second).unwrap();
    assert_eq!(words(&all), ["rejected", "delivered", "sold"]);
    let Entry::Change(change) = &moved[0].entry else { panic!("a change") };
    assert_eq!(&*change.because, "sold to bank1 by step b1");
}

#[test]
fn the_order_is_the_ties_and_not_the_steps() {
    let mut all = sale(3);
    let ties = Ties { order: vec![step("b0"), step("b2"), step("b1")], ..Ties::default() };
    let first = becomes(&all[0], State::InReview { since: at(1), cause: ReviewCause::Exhausted });
    go(&mut all, &ties, first).unwrap();
    assert_eq!(words(&all), ["in_review", "turn", "waiting"]);
}

#[test]
fn nobody_follows_one_in_doubt_until_a_person_has_spoken() {
    let (mut all, ties) = (sale(2), ties(2));
    for state in [
        State::InReview { since: at(1), cause: ReviewCause::InDoubt },
        State::InReview { since: at(1), cause: ReviewCause::Exhausted },
        State::Closed { at: at(1), why: CloseReason::Expired },
    ] {
        let mut doubtful = becomes(&all[0], state);
        doubtful.delivery.progress.in_doubt = true;
        assert_eq!(go(&mut all, &ties, doubtful), Ok(vec![]));
        assert_eq!(words(&all)[1], "turn");
    }
    let retried = verb(&all[1], &Verb::Retry, "ann", FENCE, at(2)).unwrap();
    let refused = go(&mut all, &ties, retried).unwrap_err();
    assert!(matches!(&refused, RefusedBySale::NotItsTurn { holder, .. } if *holder == all[0].id), "{refused}");
    let known = verb(&all[1], &Verb::MarkDelivered { reason: "x".into() }, "ann", FENCE, at(2)).unwrap();
    assert!(matches!(go(&mut all, &ties, known), Err(RefusedBySale::NotItsTurn { .. })));
    let dismissed = verb(&all[0], &Verb::Dismiss { reason: "they never got it".into() }, "ann", FENCE, at(2)).unwrap();
    go(&mut all, &ties, dismissed).unwrap();
    assert_eq!(words(&all), ["dismissed", "waiting"]);
}

#[test]
fn what_is_sold_is_not_sold_again_by_hand() {
    let (mut all, ties) = (sale(3), ties(3));
    let first = becomes(&all[0], rejected());
    go(&mut all, &ties, first).unwrap();
    let second = becomes(&all[1], delivered());
    go(&mut all, &ties, second).unwrap();
    for number in [0, 2] {
        for one in [Verb::Retry, Verb::MarkDelivered { reason: "x".into() }] {
            let asked = verb(&all[number], &one, "ann", FENCE, at(3)).unwrap();
            let refused = go(&mut all, &ties, asked).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("the lead is sold: delivery {} to bank1", all[1].id)), "{refused}");
        }
    }
}

#[test]
fn another_try_by_hand_waits_for_its_turn() {
    let (mut all, ties) = (sale(2), ties(2));
    let first = becomes(&all[0], rejected());
    go(&mut all, &ties, first).unwrap();
    let again = verb(&all[0], &Verb::Retry, "ann", FENCE, at(2)).unwrap();
    go(&mut all, &ties, again).unwrap();
    assert_eq!(words(&all), ["turn", "waiting"]);
    let second = becomes(&all[1], rejected());
    go(&mut all, &ties, second).unwrap();
    assert_eq!(words(&all), ["waiting", "rejected"]);
}

#[test]
fn an_erased_lead_goes_to_nobody() {
    let (mut all, ties) = (sale(2), ties(2));
    let erased = verb(&all[0], &Verb::Erase, "ann", FENCE, at(2)).unwrap();
    go(&mut all, &ties, erased).unwrap();
    assert_eq!(words(&all), ["erased", "turn"], "the other is erased by its own settlement");
}

/// `sell`, a copy that follows it, and a note that follows the copy.
fn followed(on: &[StateName]) -> (Vec<Delivery>, Ties) {
    let mut all = sale(3);
    let after = State::Held { due: at(0), until: at(0), why: HoldReason::After };
    all[0].tie = Tie { followed: true, ..Tie::default() };
    all[1].tie = Tie { follows: true, followed: true, ..Tie::default() };
    all[2].tie = Tie { follows: true, ..Tie::default() };
    (all[1].state, all[2].state) = (after.clone(), after);
    let follow = |of: &str, on: &[StateName]| Follow { step: step(of), on: on.to_vec() };
    let follows =
        [(step("b1"), follow("b0", on)), (step("b2"), follow("b1", &[StateName::Delivered, StateName::Closed]))];
    (all, Ties { follows: follows.into(), ..Ties::default() })
}

#[test]
fn a_step_begins_after_the_end_it_waits_for() {
    let (mut all, ties) = followed(&[StateName::Delivered]);
    let first = becomes(&all[0], delivered());
    go(&mut all, &ties, first).unwrap();
    assert_eq!(words(&all), ["delivered", "waiting", "after"]);
    let copied = becomes(&all[1], delivered());
    go(&mut all, &ties, copied).unwrap();
    assert_eq!(words(&all), ["delivered", "delivered", "waiting"]);
}

#[test]
fn another_end_closes_what_follows_and_what_follows_that() {
    let (mut all, ties) = followed(&[StateName::Delivered]);
    let first = becomes(&all[0], rejected());
    go(&mut all, &ties, first).unwrap();
    assert_eq!(words(&all), ["rejected", "not_reached", "waiting"], "the note begins at the copy being closed");
}

#[test]
fn while_a_person_looks_nothing_is_decided_and_a_later_success_still_begins_it() {
    let (mut all, ties) = followed(&[StateName::Delivered]);
    let failed = becomes(&all[0], State::InReview { since: at(1), cause: ReviewCause::FinalError });
    go(&mut all, &ties, failed).unwrap();
    assert_eq!(words(&all), ["in_review", "after", "after"]);
    let dismissed = verb(&all[0], &Verb::Dismiss { reason: "x".into() }, "ann", FENCE, at(2)).unwrap();
    go(&mut all, &ties, dismissed).unwrap();
    assert_eq!(words(&all)[1], "not_reached");
    let known = verb(&all[0], &Verb::MarkDelivered { reason: "x".into() }, "ann", FENCE, at(3)).unwrap();
    go(&mut all, &ties, known).unwrap();
    assert_eq!(words(&all)[1], "waiting", "they had it after all");
}

#[test]
fn what_a_changed_configuration_no_longer_ties_begins() {
    let (mut all, _) = followed(&[StateName::Delivered]);
    let first = becomes(&all[0], rejected());
    go(&mut all, &Ties::default(), first).unwrap();
    assert_eq!(words(&all), ["rejected", "waiting", "waiting"]);
}

#[test]
fn most_settlements_concern_nobody_else() {
    let mut alone = delivery();
    assert!(!concerns_others(&becomes(&alone, delivered())));
    alone.tie.buyer = true;
    assert!(!concerns_others(&becomes(&alone, State::Waiting { due: at(9) })), "it keeps its turn");
    assert!(concerns_others(&becomes(&alone, rejected())));
}

/// What may happen to a sale next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Ends(usize),
    Doubts(usize),
    TakenBy,
    Retry(usize),
    Dismiss(usize),
    Mark(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_usize).prop_map(Step::Ends),
        2 => (0..2_usize).prop_map(Step::Doubts),
        1 => Just(Step::TakenBy),
        1 => (0..BUYERS).prop_map(Step::Retry),
        1 => (0..BUYERS).prop_map(Step::Dismiss),
        1 => (0..BUYERS).prop_map(Step::Mark),
    ]
}

/// The settlement a step makes, if it can be made.
fn made(all: &[Delivery], step: Step) -> Option<Settlement> {
    let holder = all.iter().find(|one| standing(one) == Standing::HasTurn && one.state.is_open());
    let by_hand = |number: usize, asked: &Verb| verb(&all[number], asked, "ann", FENCE, at(1)).ok();
    let ends = [
        rejected(),
        State::Closed { at: at(1), why: CloseReason::Expired },
        State::InReview { since: at(1), cause: ReviewCause::Exhausted },
        State::Waiting { due: at(5) },
    ];
    match step {
        Step::Ends(end) => holder.map(|one| becomes(one, ends[end].clone())),
        Step::Doubts(end) => holder.map(|one| {
            let doubtful =
                [State::InReview { since: at(1), cause: ReviewCause::InDoubt }, State::Waiting { due: at(3) }];
            let mut settlement = becomes(one, doubtful[end].clone());
            (settlement.delivery.progress.in_doubt, settlement.delivery.progress.cleared) = (true, false);
            settlement
        }),
        Step::TakenBy => holder.map(|one| becomes(one, delivered())),
        Step::Retry(number) => by_hand(number, &Verb::Retry),
        Step::Dismiss(number) => by_hand(number, &Verb::Dismiss { reason: "x".into() }),
        Step::Mark(number) => by_hand(number, &Verb::MarkDelivered { reason: "x".into() }),
    }
}

proptest! {
    /// Whatever happens: one buyer at most is under way or in doubt, one at most has the lead, none is left in line once it
    /// is sold, and while somebody is in line somebody has the turn.
    #[test]
    fn a_sale_has_one_turn_and_one_buyer(steps in prop::collection::vec(any_step(), 1..40)) {
        let (mut all, ties) = (sale(BUYERS), ties(BUYERS));
        for step in steps {
            let Some(settlement) = made(&all, step) else { continue };
            let _moved_or_refused = go(&mut all, &ties, settlement);
            let count = |wanted: Standing| all.iter().filter(|one| standing(one) == wanted).count();
            let (has, turns, in_line) = (count(Standing::Has), count(Standing::HasTurn), count(Standing::InLine));
            prop_assert!(has + turns <= 1, "{step:?}: {:?}", words(&all));
            prop_assert!(in_line == 0 || turns == 1, "{step:?}: {:?}", words(&all));
            let buyers: Vec<&Delivery> = all.iter().collect();
            let turn = whose_turn(&buyers, &ties.order);
            prop_assert_eq!(matches!(turn, Turn::Sold(_)), has == 1);
            prop_assert!(!matches!(turn, Turn::Next(_)), "a turn is given in the settlement that ended the one before");
        }
    }
}
