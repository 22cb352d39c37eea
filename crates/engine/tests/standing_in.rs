//! An open breaker of one of several endpoints while the engine runs: what waits there goes to another of its leg, and to whichever
//! endpoint of the next leg takes leads.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, bigbank, delivered, flow, recipient, reset, secs, settings};
use steadfast_engine::EngineLimits;
use steadfast_flow::{Address, CandidateSettings, LegSettings, OnOpen, RequestSettings, Settings};
use steadfast_lead::{CandidateName, RecipientName};
use steadfast_retry::ReviewCause;
use steadfast_retry::breaker::{BreakerMode, BreakerVerb, ByHand};

fn leg(name: &str) -> LegSettings {
    let url = Some(Address::parse(&format!("http://{name}.test/leads")).unwrap());
    LegSettings { request: RequestSettings { url, ..RequestSettings::default() }, ..LegSettings::default() }
}

fn candidate(name: &str) -> CandidateSettings {
    CandidateSettings {
        name: CandidateName::new(name).unwrap(),
        way: leg(name),
        weight: None,
        cost: None,
        regions: Vec::new(),
        regulations: Vec::new(),
    }
}

fn two() -> Vec<CandidateSettings> {
    vec![candidate("east"), candidate("west")]
}

async fn of(settings: Settings) -> Stage {
    let stage = Stage::of(settings, EngineLimits::default()).await;
    stage.door.always(|_| answered(200));
    stage
}

fn say(stage: &Stage, recipient: &RecipientName, host: &str, verb: BreakerVerb) {
    let (ann, origin) = (ByHand { by: "ann".into(), reason: "said so".into() }, format!("http://{host}.test:80"));
    assert_eq!(stage.engine.act_on_breakers(recipient, Some(&origin), verb, &ann).len(), 1, "{host}");
}

fn hosts(stage: &Stage) -> Vec<String> {
    let host = |url: &str| url.trim_start_matches("http://").split('.').next().unwrap_or_default().to_owned();
    stage.door.seen().iter().map(|seen| host(&seen.url)).collect()
}

/// `sell` to bigbank at east and west, with breakers.
fn side_by_side() -> Settings {
    let mut settings = settings();
    recipient(&mut settings).protection.breaker.mode = Some(BreakerMode::On);
    flow(&mut settings).steps[0].candidates = two();
    settings
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_an_open_breaker_goes_to_another_endpoint_of_its_leg_that_takes_leads() {
    let stage = of(side_by_side()).await;
    say(&stage, &bigbank(), "east", BreakerVerb::Open);
    say(&stage, &bigbank(), "west", BreakerVerb::Open);
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(stage.lead().await);
    }
    stage.pass(secs(60)).await;
    assert_eq!(stage.door.sends(), 0, "none may be called");
    let mut at_east = Vec::new();
    for id in &ids {
        assert_eq!(stage.changes(*id).await.len(), 0, "and nothing is written");
        at_east.push(stage.delivery(*id).await.endpoint.origin.contains("east"));
    }
    assert_eq!(at_east.iter().filter(|east| **east).count(), 3);
    say(&stage, &bigbank(), "west", BreakerVerb::Close);
    stage.pass(secs(120)).await;
    assert_eq!(hosts(&stage), ["west"; 6]);
    for (id, was_at_east) in ids.iter().zip(at_east) {
        let delivery = stage.delivery(*id).await;
        assert!(delivered(&delivery.state) && delivery.progress.retries_used == 0);
        let changes = stage.changes(*id).await;
        assert_eq!(changes.len(), usize::from(was_at_east));
        let told = |because: &str| because.starts_with("it goes to west at bigbank at http://west.test:80: weighted");
        assert!(changes.iter().all(|change| told(&change.because)), "{changes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_doubt_stays_behind_the_open_breaker_of_the_endpoint_that_may_have_it() {
    let stage = Stage::of(side_by_side(), EngineLimits::default()).await;
    stage.door.will([reset(), answered(200)]);
    let id = stage.lead().await;
    assert_eq!(hosts(&stage), ["east"]);
    say(&stage, &bigbank(), "east", BreakerVerb::Open);
    stage.pass(secs(120)).await;
    assert_eq!((stage.door.sends(), stage.changes(id).await.len()), (1, 0), "west would take it");
    say(&stage, &bigbank(), "east", BreakerVerb::Close);
    stage.pass(secs(60)).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(hosts(&stage), ["east", "east"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_the_open_breaker_of_an_endpoint_that_is_taken_away_goes_to_another() {
    let stage = of(side_by_side()).await;
    say(&stage, &bigbank(), "east", BreakerVerb::Open);
    say(&stage, &bigbank(), "west", BreakerVerb::Open);
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(stage.lead().await);
    }
    let mut changed = side_by_side();
    flow(&mut changed).steps[0].candidates.remove(0);
    stage.follow(&changed, 2);
    stage.pass(secs(60)).await;
    assert_eq!(stage.door.sends(), 0, "nothing takes leads");
    say(&stage, &bigbank(), "west", BreakerVerb::Close);
    stage.pass(secs(60)).await;
    assert_eq!(hosts(&stage), ["west"; 6]);
    for id in &ids {
        assert!(delivered(&stage.state(*id).await));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_doubt_at_an_endpoint_that_is_taken_away_is_a_persons_to_decide() {
    let stage = Stage::of(side_by_side(), EngineLimits::default()).await;
    stage.door.will([reset()]);
    let id = stage.lead().await;
    assert_eq!(hosts(&stage), ["east"]);
    say(&stage, &bigbank(), "east", BreakerVerb::Open);
    let mut changed = side_by_side();
    flow(&mut changed).steps[0].candidates.remove(0);
    stage.follow(&changed, 2);
    stage.pass(secs(60)).await;
    assert_eq!(stage.review_cause(id).await, ReviewCause::StepGone);
    assert_eq!(stage.last_because(id).await, "an attempt is in doubt at east, which its leg no longer has");
    assert_eq!(stage.door.sends(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_next_leg_takes_leads_when_any_of_its_endpoints_does() {
    let mut settings = settings();
    let mill = RecipientName::new("mill").unwrap();
    let other = settings.recipients[&bigbank()].clone();
    settings.recipients.insert(mill.clone(), other);
    settings.recipients.get_mut(&mill).unwrap().protection.breaker.mode = Some(BreakerMode::On);
    let breaker = &mut recipient(&mut settings).protection.breaker;
    (breaker.mode, breaker.on_open) = (Some(BreakerMode::On), Some(OnOpen::NextLeg));
    let fallback = LegSettings { recipient: Some(mill.clone()), candidates: two(), ..LegSettings::default() };
    flow(&mut settings).steps[0].fallbacks = vec![fallback];
    let stage = of(settings).await;
    say(&stage, &bigbank(), "bigbank", BreakerVerb::Open);
    say(&stage, &mill, "east", BreakerVerb::Open);
    say(&stage, &mill, "west", BreakerVerb::Open);
    let id = stage.lead().await;
    stage.pass(secs(60)).await;
    assert_eq!((stage.door.sends(), stage.changes(id).await.len()), (0, 0), "none of them takes leads");
    say(&stage, &mill, "west", BreakerVerb::Close);
    stage.pass(secs(60)).await;
    assert_eq!(hosts(&stage), ["west"]);
    let delivery = stage.delivery(id).await;
    assert!(delivered(&delivery.state));
    assert_eq!((delivery.progress.leg, delivery.choice.unwrap().candidate.as_str()), (1, "west"));
    let because = stage.changes(id).await[0].because.clone();
    assert!(because.ends_with("leg 1 begins, at mill at http://west.test:80"), "{because}");
}
