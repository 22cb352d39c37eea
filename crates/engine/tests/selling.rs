//! A lead to one of several buyers: turns, doubt, verbs and crashes; and steps that begin after another.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, at, bigbank, dismiss, flow, idle, mark_delivered, reset, secs, settings, step};
use steadfast_engine::{EngineLimits, RefusedAction};
use steadfast_flow::{InDoubtMode, SaleMode, SaleSettings, Settings};
use steadfast_lead::{DeliveryId, RecipientName, StepName, Timestamp};
use steadfast_retry::reading::{MatchSettings, OutcomeWord, RuleSettings};
use steadfast_retry::{
    AfterSale, CloseReason, Conversion, Delivery, Evidence, Follow, RefusedAfterSale, RefusedBySale, ReviewCause,
    State, StateName, Verb,
};
use steadfast_store::Deliveries;

/// The business says no.
fn no() -> Evidence {
    answered(422)
}

/// A flow with these steps, each to a recipient of its name; 422 is a business no.
fn steps(names: &[&str]) -> Settings {
    let mut settings = settings();
    let mut usual = settings.recipients[&bigbank()].clone();
    let matches = MatchSettings { status: vec!["422".into()], ..MatchSettings::default() };
    usual.rules = vec![RuleSettings { matches, outcome: Some(OutcomeWord::Failure), ..RuleSettings::default() }];
    let own = |name: &&str| {
        let recipient = RecipientName::new(name).unwrap();
        steadfast_flow::StepSettings { recipient, ..step(name) }
    };
    flow(&mut settings).steps = names.iter().map(own).collect();
    settings.recipients = names.iter().map(|name| (RecipientName::new(name).unwrap(), usual.clone())).collect();
    settings
}

fn sale() -> Settings {
    let mut settings = steps(&["a", "b", "c"]);
    flow(&mut settings).sale = SaleSettings { mode: Some(SaleMode::FirstAccepted), order: None };
    settings
}

async fn on(settings: &Settings) -> Stage {
    Stage::of(settings.clone(), EngineLimits::default()).await
}

async fn post(stage: &Stage) -> Vec<DeliveryId> {
    stage.post().await.unwrap().deliveries.iter().map(|delivery| delivery.id).collect()
}

/// Where each stands, with why where there is a why.
async fn words(stage: &Stage, ids: &[DeliveryId]) -> Vec<String> {
    let mut words = Vec::new();
    for id in ids {
        words.push(match stage.state(*id).await {
            State::Held { why, .. } => why.name().to_owned(),
            State::Closed { why, .. } => why.name().to_owned(),
            State::InReview { cause, .. } => cause.name().to_owned(),
            state @ (State::Waiting { .. } | State::Delivered { .. } | State::Rejected { .. }) => {
                state.name().name().to_owned()
            }
        });
    }
    words
}

/// The ledger holds: every count is what there is, and what is open is what waits or is held.
async fn balanced(stage: &Stage) {
    let counts = stage.store.memory().counts().await.unwrap();
    assert_eq!(counts, steadfast_store::conformance::recounted(&**stage.store.memory()).await);
    let open = counts.iter().filter(|count| matches!(count.state, StateName::Waiting | StateName::Held));
    assert_eq!(stage.engine.open(), open.map(|count| count.deliveries).sum::<u64>());
}

#[tokio::test(start_paused = true)]
async fn one_buyer_after_another_until_one_takes_it() {
    let stage = on(&sale()).await;
    let ids = post(&stage).await;
    assert_eq!(
        (words(&stage, &ids).await, stage.door.sends()),
        (vec!["waiting".into(), "turn".into(), "turn".into()], 1)
    );
    stage.door.answer(no());
    idle().await;
    assert_eq!(words(&stage, &ids).await, ["rejected", "waiting", "turn"]);
    assert_eq!(stage.door.sends(), 2, "at once");
    balanced(&stage).await;
    stage.door.answer(answered(200));
    idle().await;
    assert_eq!(words(&stage, &ids).await, ["rejected", "delivered", "sold"]);
    stage.pass(secs(3_600)).await;
    assert_eq!((stage.door.sends(), stage.engine.open()), (2, 0));
    assert_eq!(stage.last_because(ids[2]).await, "sold to b by step b");
    balanced(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn a_buyer_that_fails_is_tried_again_before_the_next_is() {
    let mut settings = sale();
    settings.system.max_retries = Some(2);
    let stage = on(&settings).await;
    let ids = post(&stage).await;
    for _ in 0..2 {
        stage.door.answer(answered(503));
        stage.pass(secs(5)).await;
        assert_eq!(words(&stage, &ids).await[1], "turn");
    }
    stage.door.answer(answered(503));
    idle().await;
    assert_eq!(words(&stage, &ids).await, ["exhausted", "waiting", "turn"]);
    balanced(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_offered_what_another_may_have() {
    let stage = on(&sale()).await;
    let ids = post(&stage).await;
    stage.door.answer(reset());
    stage.pass(secs(3_600)).await;
    assert_eq!(
        (words(&stage, &ids).await, stage.door.sends()),
        (vec!["in_doubt".into(), "turn".into(), "turn".into()], 1)
    );
    for verb in [Verb::Retry, mark_delivered()] {
        let refused = stage.act(ids[1], verb).await.unwrap_err();
        assert!(matches!(refused, RefusedAction::Sale(RefusedBySale::NotItsTurn { holder, .. }) if holder == ids[0]));
    }
    // They called: they do not have it.
    stage.act(ids[0], dismiss()).await.unwrap();
    assert_eq!(words(&stage, &ids).await, ["dismissed", "waiting", "turn"]);
    balanced(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_sold_is_sold_for_good() {
    let stage = on(&sale()).await;
    stage.door.will([no(), answered(200)]);
    let ids = post(&stage).await;
    assert_eq!(words(&stage, &ids).await, ["rejected", "delivered", "sold"]);
    for id in [ids[0], ids[2]] {
        for verb in [Verb::Retry, mark_delivered()] {
            let refused = stage.act(id, verb).await.unwrap_err();
            assert!(
                matches!(&refused, RefusedAction::Sale(RefusedBySale::Sold { to, .. }) if *to == ids[1]),
                "{refused}"
            );
        }
    }
    assert_eq!(
        (words(&stage, &ids).await, stage.door.sends()),
        (vec!["rejected".into(), "delivered".into(), "sold".into()], 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_verb_left_for_an_attempt_respects_what_became_of_it() {
    let stage = on(&sale()).await;
    let ids = post(&stage).await;
    stage.act(ids[0], Verb::Retry).await.unwrap();
    stage.door.answer(no());
    idle().await;
    assert_eq!(words(&stage, &ids).await, ["turn", "waiting", "turn"], "its next try comes after the others");
    stage.door.will([no(), no(), no()]);
    stage.pass(secs(1)).await;
    assert_eq!(words(&stage, &ids).await, ["rejected", "rejected", "rejected"]);
    assert_eq!(stage.door.seen().iter().filter(|seen| seen.delivery == ids[0].to_string()).count(), 2);
    balanced(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_leaves_the_turn_where_it_was() {
    let stage = on(&sale()).await;
    let ids = post(&stage).await;
    let stage = stage.crash(sale(), secs(5)).await;
    assert_eq!(words(&stage, &ids).await, ["in_doubt", "turn", "turn"], "it was being sent");
    stage.act(ids[0], dismiss()).await.unwrap();
    stage.door.answer(no());
    idle().await;
    let stage = stage.crash(sale(), secs(5)).await;
    assert_eq!(words(&stage, &ids).await, ["dismissed", "rejected", "in_doubt"]);
    balanced(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_leaves_the_turn_with_one_that_may_have_the_lead_also_where_its_step_is_gone() {
    let stage = on(&sale()).await;
    let ids = post(&stage).await;
    let mut without = sale();
    flow(&mut without).steps.remove(0);
    let stage = stage.crash(without, secs(5)).await;
    stage.pass(secs(60)).await;
    assert_eq!(
        (words(&stage, &ids).await, stage.door.sends()),
        (vec!["step_gone".into(), "turn".into(), "turn".into()], 0)
    );
    stage.act(ids[0], dismiss()).await.unwrap();
    assert_eq!(words(&stage, &ids).await, ["dismissed", "waiting", "turn"]);
}

#[tokio::test(start_paused = true)]
async fn a_dismissal_from_before_the_doubt_does_not_end_it() {
    let stage = on(&sale()).await;
    let ids = post(&stage).await;
    stage.act(ids[0], dismiss()).await.unwrap();
    stage.door.answer(reset());
    idle().await;
    assert_eq!(words(&stage, &ids).await, ["in_doubt", "turn", "turn"], "whoever dismissed it did not know");
}

#[tokio::test(start_paused = true)]
async fn a_no_after_doubt_is_no_word_about_the_attempt_before() {
    let mut retrying = sale();
    flow(&mut retrying).in_doubt.mode = Some(InDoubtMode::Retry);
    let stage = on(&retrying).await;
    stage.door.will([reset(), no()]);
    let ids = post(&stage).await;
    stage.pass(secs(5)).await;
    assert_eq!(
        (words(&stage, &ids).await, stage.door.sends()),
        (vec!["in_doubt".into(), "turn".into(), "turn".into()], 2)
    );
    // Asked again by a person who knows of the doubt, a no is a no; an error leaves it open.
    stage.door.will([answered(404)]);
    stage.act(ids[0], Verb::Retry).await.unwrap();
    assert_eq!(words(&stage, &ids).await, ["final_error", "turn", "turn"]);
    stage.door.will([no()]);
    stage.act(ids[0], Verb::Retry).await.unwrap();
    assert_eq!(words(&stage, &ids).await, ["rejected", "waiting", "turn"]);
    balanced(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn a_sale_that_began_ends_as_one_whatever_the_flow_says_by_then() {
    let stage = on(&sale()).await;
    let ids = post(&stage).await;
    stage.follow(&steps(&["a", "b", "c"]), 2);
    stage.door.answer(no());
    idle().await;
    assert_eq!(words(&stage, &ids).await, ["rejected", "waiting", "turn"]);
    // Its step is gone: a person looks, and the next has its turn.
    stage.follow(&steps(&["a", "c"]), 3);
    stage.door.answer(answered(503));
    stage.pass(secs(5)).await;
    assert_eq!(words(&stage, &ids).await, ["rejected", "step_gone", "waiting"]);
    balanced(&stage).await;
}

/// A sale in which everybody is expected to pay, each another price.
fn priced() -> Settings {
    let mut settings = sale();
    for (step, price) in flow(&mut settings).steps.iter_mut().zip(["30", "20.50", "10"]) {
        step.sale.price = Some(price.into());
    }
    settings
}

fn gives_back(at: Timestamp) -> AfterSale {
    AfterSale::Return { reason: "no such number".into(), at }
}

async fn note(stage: &Stage, id: DeliveryId, said: AfterSale) -> Result<Box<Delivery>, RefusedAfterSale> {
    let noted = stage.engine.after_sale(id, said, "ann").await;
    idle().await;
    noted.map_err(|refused| {
        let RefusedAction::AfterSale(refused) = refused else { panic!("{refused}") };
        refused
    })
}

#[tokio::test(start_paused = true)]
async fn a_returned_lead_goes_on_to_the_next_and_is_never_offered_again_to_who_had_it() {
    let stage = on(&priced()).await;
    stage.door.will([no(), answered(200)]);
    let ids = post(&stage).await;
    let price = |delivery: &Delivery| delivery.booking.as_ref().unwrap().price.as_deref().map(str::to_owned);
    assert_eq!(price(&stage.delivery(ids[1]).await).as_deref(), Some("20.50"));
    stage.pass(secs(600)).await;
    let returned = note(&stage, ids[1], gives_back(at(300))).await.unwrap();
    assert_eq!(returned.booking.as_ref().unwrap().returned_at, Some(at(300)));
    assert_eq!(words(&stage, &ids).await, ["rejected", "returned", "waiting"]);
    assert_eq!(stage.last_because(ids[2]).await, "step b is returned by b");
    balanced(&stage).await;
    for verb in [Verb::Retry, mark_delivered(), dismiss()] {
        assert!(stage.act(ids[1], verb).await.unwrap_err().to_string().ends_with("the buyer has returned it"));
    }
    stage.door.answer(answered(200));
    idle().await;
    assert_eq!(words(&stage, &ids).await, ["rejected", "returned", "delivered"]);
    assert_eq!(price(&stage.delivery(ids[2]).await).as_deref(), Some("10"));
    assert_eq!(stage.door.sends(), 3);
    balanced(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn a_returned_lead_that_is_too_old_goes_to_nobody() {
    let stage = on(&priced()).await;
    stage.door.will([answered(200)]);
    let ids = post(&stage).await;
    stage.pass(secs(2 * 3_600 + 1)).await;
    note(&stage, ids[0], gives_back(stage.engine.now())).await.unwrap();
    assert_eq!(
        (words(&stage, &ids).await, stage.door.sends()),
        (vec!["returned".into(), "sold".into(), "sold".into()], 1)
    );
    balanced(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn with_several_left_they_take_turns_again() {
    let stage = on(&priced()).await;
    stage.door.will([answered(200)]);
    let ids = post(&stage).await;
    note(&stage, ids[0], gives_back(at(0))).await.unwrap();
    assert_eq!(words(&stage, &ids).await, ["returned", "waiting", "turn"]);
    stage.door.answer(no());
    idle().await;
    assert_eq!(words(&stage, &ids).await, ["returned", "rejected", "waiting"]);
    balanced(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_returned_or_converted_is_refused_by_name() {
    let mut settings = priced();
    flow(&mut settings).returns.within = Some(secs(3_600));
    let stage = on(&settings).await;
    stage.pass(secs(10)).await;
    let ids = post(&stage).await;
    let converted = |at| AfterSale::Converted(Conversion { at, revenue: "99.50".into(), currency: Some("USD".into()) });
    assert!(matches!(
        stage.engine.after_sale(ids[0], gives_back(at(10)), "ann").await,
        Err(RefusedAction::Contended(_))
    ));
    stage.door.answer(answered(200));
    idle().await;
    let refused = note(&stage, ids[1], gives_back(at(10))).await.unwrap_err();
    assert_eq!(refused, RefusedAfterSale::NotDelivered { id: ids[1], state: StateName::Closed });
    stage.pass(secs(7_200)).await;
    for impossible in [at(9), at(7_211)] {
        assert!(matches!(note(&stage, ids[0], gives_back(impossible)).await, Err(RefusedAfterSale::NotThen { .. })));
    }
    let late = note(&stage, ids[0], gives_back(at(3_611))).await.unwrap_err();
    assert_eq!(late, RefusedAfterSale::TooLate { id: ids[0], until: at(3_610) });
    note(&stage, ids[0], converted(at(100))).await.unwrap();
    assert_eq!(stage.last_because(ids[0]).await, "converted for 99.50 USD");
    let twice = note(&stage, ids[0], converted(at(200))).await.unwrap_err();
    assert_eq!(twice, RefusedAfterSale::Converted { id: ids[0], at: at(100) });
    // Given back in time, told of late.
    note(&stage, ids[0], gives_back(at(3_610))).await.unwrap();
    for again in [gives_back(at(3_610)), converted(at(100))] {
        let refused = note(&stage, ids[0], again).await.unwrap_err();
        assert_eq!(refused, RefusedAfterSale::Returned { id: ids[0], at: at(3_610) });
    }
    let unknown = DeliveryId::from_raw(7).unwrap();
    let refused = stage.engine.after_sale(unknown, gives_back(at(10)), "ann").await;
    assert_eq!(refused, Err(RefusedAction::Unknown(unknown)));
    balanced(&stage).await;
}

fn copied(on: &[StateName]) -> Settings {
    let mut settings = steps(&["crm", "copy"]);
    let after = Follow { step: StepName::new("crm").unwrap(), on: on.to_vec() };
    flow(&mut settings).steps[1].sale.after = Some(after);
    settings
}

#[tokio::test(start_paused = true)]
async fn a_copy_begins_once_it_was_taken() {
    let stage = on(&copied(&[StateName::Delivered])).await;
    let ids = post(&stage).await;
    assert_eq!(words(&stage, &ids).await, ["waiting", "after"]);
    stage.door.answer(answered(503));
    idle().await;
    assert_eq!(words(&stage, &ids).await, ["waiting", "after"]);
    stage.door.will([answered(200)]);
    stage.pass(secs(2)).await;
    assert_eq!((words(&stage, &ids).await, stage.door.sends()), (vec!["delivered".into(), "waiting".into()], 3));
    stage.door.answer(answered(200));
    idle().await;
    assert_eq!(words(&stage, &ids).await, ["delivered", "delivered"]);
    balanced(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn at_another_end_it_is_not_reached_and_a_person_may_still_send_it() {
    let stage = on(&copied(&[StateName::Delivered])).await;
    stage.door.will([no()]);
    let ids = post(&stage).await;
    assert_eq!(stage.state(ids[1]).await, State::Closed { at: at(0), why: CloseReason::NotReached });
    assert_eq!(stage.last_because(ids[1]).await, "step crm is rejected, and it begins at another end");
    stage.act(ids[1], Verb::Retry).await.unwrap();
    assert_eq!((words(&stage, &ids).await, stage.door.sends()), (vec!["rejected".into(), "waiting".into()], 2));
    balanced(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn an_alarm_begins_when_a_person_has_to_look() {
    let stage = on(&copied(&[StateName::InReview])).await;
    stage.door.will([answered(404), answered(200)]);
    let ids = post(&stage).await;
    assert_eq!(stage.review_cause(ids[0]).await, ReviewCause::FinalError);
    assert_eq!(words(&stage, &ids).await[1], "delivered");
    balanced(&stage).await;
}
