//! A person sends a delivery another way: which ways there are, what doubt and the sale allow, and what goes along.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, at, bigbank, delivered, dismiss, flow, mark_delivered, refused, reset, secs, settings};
use steadfast_engine::{Acted, EngineLimits, RefusedAction};
use steadfast_flow::{Address, CandidateSettings, LegSettings, RequestSettings, SaleMode, Settings};
use steadfast_lead::{CandidateName, DeliveryId, RecipientName};
use steadfast_retry::{CloseReason, RefusedReroute, Reroute, ReviewCause, State, Verb};

fn leg(address: &str) -> LegSettings {
    let url = Some(Address::parse(address).unwrap());
    LegSettings { request: RequestSettings { url, ..RequestSettings::default() }, ..LegSettings::default() }
}

fn mill() -> RecipientName {
    RecipientName::new("mill").unwrap()
}

/// Leg 0 to the bank's east and west; leg 1 to its standby, leg 2 to the mill. No retries, and a person looks after each leg.
fn ways() -> Settings {
    let mut settings = settings();
    let other = settings.recipients[&bigbank()].clone();
    settings.recipients.insert(mill(), other);
    let step = &mut flow(&mut settings).steps[0];
    step.retry.enabled = Some(false);
    step.follow_ups.on_exhausted = Some(steadfast_retry::FollowUp::Review);
    step.follow_ups.on_final_error = Some(steadfast_retry::FollowUp::Review);
    let candidate = |name: &str| CandidateSettings {
        name: CandidateName::new(name).unwrap(),
        way: leg(&format!("http://{name}.test/leads")),
        weight: None,
        cost: None,
        regions: Vec::new(),
        regulations: Vec::new(),
    };
    step.candidates = vec![candidate("east"), candidate("west")];
    step.fallbacks =
        vec![leg("http://standby.test/leads"), LegSettings { recipient: Some(mill()), ..leg("http://mill.test/in") }];
    settings
}

async fn of(settings: Settings) -> Stage {
    Stage::of(settings, EngineLimits::default()).await
}

fn hosts(stage: &Stage) -> Vec<String> {
    let host = |url: &str| url.trim_start_matches("http://").split('.').next().unwrap_or_default().to_owned();
    stage.door.seen().iter().map(|seen| host(&seen.url)).collect()
}

fn to_leg(leg: u8) -> Reroute {
    Reroute { leg: Some(leg), reason: "they asked for it".into(), ..Reroute::default() }
}

fn to_endpoint(name: &str) -> Reroute {
    Reroute { leg: None, endpoint: Some(CandidateName::new(name).unwrap()), ..to_leg(0) }
}

fn to_recipient(name: RecipientName) -> Reroute {
    Reroute { leg: None, recipient: Some(name), ..to_leg(0) }
}

async fn reroute(stage: &Stage, id: DeliveryId, to: Reroute) -> Result<Acted, RefusedAction> {
    stage.act(id, Verb::Reroute(Box::new(to))).await
}

async fn refusal(stage: &Stage, id: DeliveryId, to: Reroute) -> RefusedReroute {
    match reroute(stage, id, to).await {
        Err(RefusedAction::Reroute(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn it_goes_to_another_endpoint_another_leg_and_back_under_one_key_for_one_recipient() {
    let stage = of(ways()).await;
    stage.door.will([answered(500), answered(500), answered(500), answered(500)]);
    let id = stage.lead().await;
    assert_eq!(stage.review_cause(id).await, ReviewCause::Exhausted);
    for to in [to_endpoint("west"), to_leg(1), to_endpoint("east")] {
        reroute(&stage, id, to).await.unwrap();
    }
    assert_eq!(hosts(&stage), ["east", "west", "standby", "east"]);
    let seen = stage.door.seen();
    assert!(seen.iter().all(|one| one.key == seen[0].key && one.body == seen[0].body), "one recipient, one key");
    let attempts = stage.attempts(id).await;
    assert_eq!(attempts.iter().map(|one| (one.leg, one.retry)).collect::<Vec<_>>(), [(0, 0), (0, 0), (1, 0), (0, 0)]);
    let changes = stage.changes(id).await;
    assert_eq!(changes[0].verb, Some(("reroute".into(), "ann".into())));
    assert_eq!(changes.iter().map(|change| change.leg).collect::<Vec<_>>(), [None, Some(1), Some(0)]);
    let because = "a person sends it to bigbank at http://west.test:80 on leg 0: they asked for it";
    assert_eq!(&*changes[0].because, because);
    assert_eq!(&*attempts[1].choice.as_ref().unwrap().because, "a person chose it");
    stage.door.will([answered(200)]);
    reroute(&stage, id, to_recipient(mill())).await.unwrap();
    assert!(delivered(&stage.state(id).await));
    assert_ne!(stage.door.seen()[4].key, seen[0].key, "the mill knows it by a key of its own");
}

#[tokio::test(start_paused = true)]
async fn a_way_that_is_not_there_and_the_one_it_is_on_are_refused_by_name() {
    let stage = of(ways()).await;
    stage.door.will([answered(500)]);
    let id = stage.lead().await;
    let known = "leg 0 endpoint east to bigbank at http://east.test:80, leg 0 endpoint west to bigbank at http://west.test:80, \
                 leg 1 to bigbank at http://standby.test:80, leg 2 to mill at http://mill.test:80";
    let cases = [
        (to_leg(7), "leg 7"),
        (to_endpoint("north"), "endpoint north"),
        (to_recipient(RecipientName::new("nobody").unwrap()), "way to nobody"),
        (Reroute { leg: Some(1), ..to_recipient(mill()) }, "way to mill on leg 1"),
    ];
    for (to, asked) in cases {
        let refused = refusal(&stage, id, to).await;
        assert_eq!(refused, RefusedReroute::NoWay { asked: asked.into(), known: known.into() });
    }
    assert!(matches!(refusal(&stage, id, to_endpoint("east")).await, RefusedReroute::SameWay(_)));
    // To its own recipient it is another of that recipient's ways.
    stage.door.will([answered(200)]);
    reroute(&stage, id, to_recipient(bigbank())).await.unwrap();
    assert_eq!((hosts(&stage), delivered(&stage.state(id).await)), (vec!["east".into(), "west".into()], true));
    let refused = refusal(&stage, id, to_leg(2)).await;
    assert_eq!(
        refused.to_string(),
        "reroute is not possible: the delivery is delivered; what was delivered stays delivered"
    );
    assert_eq!(stage.door.sends(), 2);
}

#[tokio::test(start_paused = true)]
async fn in_doubt_it_goes_to_nobody_else_unless_a_person_says_that_it_was_not_taken() {
    let stage = of(ways()).await;
    stage.door.will([reset()]);
    let id = stage.lead().await;
    let refused = refusal(&stage, id, to_leg(2)).await;
    assert_eq!(refused, RefusedReroute::InDoubt { at: bigbank(), to: mill() });
    assert_eq!(stage.door.sends(), 1, "nothing went anywhere");
    // The bank itself may be asked again elsewhere, under the same key; the doubt goes along.
    stage.door.will([refused_there()]);
    reroute(&stage, id, to_leg(1)).await.unwrap();
    let seen = stage.door.seen();
    assert!(hosts(&stage) == ["east", "standby"] && seen[0].key == seen[1].key && seen[0].body == seen[1].body);
    assert_eq!(refusal(&stage, id, to_leg(2)).await, RefusedReroute::InDoubt { at: bigbank(), to: mill() });
    stage.door.will([answered(200)]);
    reroute(&stage, id, Reroute { not_taken: true, ..to_leg(2) }).await.unwrap();
    assert!(delivered(&stage.state(id).await));
    let changes = stage.changes(id).await;
    let because =
        "a person sends it to mill at http://mill.test:80 on leg 2; bigbank does not have it: they asked for it";
    assert_eq!(&*changes.last().unwrap().because, because);
}

fn refused_there() -> steadfast_retry::Evidence {
    refused()
}

#[tokio::test(start_paused = true)]
async fn under_way_it_waits_for_the_answer_and_delivered_wins() {
    let stage = of(ways()).await;
    let (first, second) = (stage.lead().await, stage.lead().await);
    assert_eq!(reroute(&stage, first, to_leg(1)).await.unwrap(), Acted::Left);
    assert_eq!(reroute(&stage, second, to_leg(2)).await.unwrap(), Acted::Left);
    stage.door.answer(answered(200));
    stage.door.answer(reset());
    stage.pass(secs(5)).await;
    assert!(delivered(&stage.state(first).await));
    assert_eq!((stage.review_cause(second).await, stage.door.sends()), (ReviewCause::Exhausted, 2), "in doubt now");
}

/// Two buyers; the first has a standby at another recipient.
fn sold() -> Settings {
    let mut settings = ways();
    let flow = flow(&mut settings);
    flow.sale.mode = Some(SaleMode::FirstAccepted);
    let mut second = stage::step("second");
    second.request.url = Some(Address::parse("http://second.test/leads").unwrap());
    second.retry.enabled = Some(false);
    flow.steps.push(second);
    settings
}

#[tokio::test(start_paused = true)]
async fn a_lead_that_is_sold_is_sent_no_buyer_another_way() {
    let stage = of(sold()).await;
    stage.door.will([answered(500), answered(200)]);
    let receipt = stage.post().await.unwrap();
    let [first, second] = [0, 1].map(|index| receipt.deliveries[index].id);
    stage.pass(secs(1)).await;
    assert!(delivered(&stage.state(second).await), "{:?}", stage.state(second).await);
    let refused = reroute(&stage, first, to_leg(2)).await;
    assert!(matches!(refused, Err(RefusedAction::Sale(_))), "{refused:?}");
    assert_eq!(hosts(&stage), ["east", "second"]);
    // While the other is being offered it, it stands in line.
    let stage = of(sold()).await;
    stage.door.will([answered(500)]);
    let receipt = stage.post().await.unwrap();
    let [first, second] = [0, 1].map(|index| receipt.deliveries[index].id);
    stage.pass(secs(1)).await;
    assert_eq!(hosts(&stage), ["east", "second"]);
    reroute(&stage, first, to_leg(2)).await.unwrap();
    assert_eq!(stage.door.sends(), 2, "not yet its turn");
    stage.door.answer(answered(500));
    stage.door.will([answered(200)]);
    stage.pass(secs(1)).await;
    assert_eq!(hosts(&stage), ["east", "second", "mill"]);
    assert!(delivered(&stage.state(first).await) && !delivered(&stage.state(second).await));
}

#[tokio::test(start_paused = true)]
async fn what_is_dismissed_or_too_old_follows_the_rules_of_a_retry() {
    let stage = of(ways()).await;
    stage.door.will([answered(500)]);
    let id = stage.lead().await;
    stage.act(id, dismiss()).await.unwrap();
    stage.door.will([answered(200)]);
    reroute(&stage, id, to_leg(2)).await.unwrap();
    assert!(delivered(&stage.state(id).await), "what was dismissed may be taken up again");
    stage.door.will([answered(500)]);
    let old = stage.lead().await;
    stage.pass(secs(2 * 86_400)).await;
    reroute(&stage, old, to_leg(2)).await.unwrap();
    assert_eq!(stage.review_cause(old).await, ReviewCause::Expired, "max_lead_age binds the desk too");
    stage.act(old, mark_delivered()).await.unwrap();
    assert!(matches!(stage.state(old).await, State::Delivered { at: when, .. } if when > at(0)));
    let closed = State::Closed { at: at(0), why: CloseReason::Dismissed };
    assert_ne!(stage.state(old).await, closed);
}

#[tokio::test(start_paused = true)]
async fn another_try_chooses_anew_where_nothing_is_in_doubt() {
    let stage = of(ways()).await;
    stage.door.will([answered(500), answered(200)]);
    let id = stage.lead().await;
    stage.act(id, Verb::Retry).await.unwrap();
    assert!(delivered(&stage.state(id).await));
    assert_eq!(hosts(&stage), ["east", "west"]);
}
