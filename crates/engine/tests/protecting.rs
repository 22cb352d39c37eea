//! Recipients are protected while the engine runs: pauses they ask for, breakers over a restart, what people stop.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, at, auto, bigbank, delivered, flow, recipient, secs, settings, step, with_header};
use std::time::Duration;
use steadfast_engine::EngineLimits;
use steadfast_flow::{BreakerKeys, OnOpen, ProtectionSettings, Settings, SourceSettings};
use steadfast_lead::{DeliveryId, Fields, SourceName, Timestamp};
use steadfast_retry::breaker::{BreakerState, BreakerVerb, ByHand};
use steadfast_retry::pace::{ConcurrencyLimit, Rate};
use steadfast_retry::{EventKind, HoldReason, ReviewCause, State, StopTarget};
use steadfast_store::{Cursor, Journal};

/// The breaker on, nothing else in the way.
fn guarded() -> Settings {
    let mut settings = settings();
    recipient(&mut settings).protection = ProtectionSettings {
        concurrency: Some(ConcurrencyLimit::Fixed(256)),
        retry_budget: Some(false),
        ..ProtectionSettings::default()
    };
    settings
}

fn breaker(stage: &Stage) -> BreakerState {
    stage.engine.recipients()[0].endpoints[0].breaker.state
}

async fn leads(stage: &Stage, count: usize) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(stage.lead().await);
    }
    ids
}

/// Five leads that fail at once: the breaker is open, and each of them waits for its first retry.
async fn opened(settings: Settings) -> (Stage, Vec<DeliveryId>) {
    let stage = Stage::of(settings, EngineLimits::default()).await;
    stage.door.will(std::iter::repeat_n(answered(500), 5));
    let ids = leads(&stage, 5).await;
    assert_eq!(breaker(&stage), BreakerState::Open);
    (stage, ids)
}

async fn lines(stage: &Stage) -> usize {
    stage.store.memory().events(Cursor(0), 100_000).await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn one_429_of_500_holds_the_endpoint_uses_no_retry_and_loses_nothing() {
    let stage = Stage::new().await;
    let unlucky = 200;
    stage.door.will(std::iter::repeat_n(answered(200), unlucky));
    stage.door.will([with_header(429, "retry-after", "3")]);
    stage.door.will(std::iter::repeat_n(answered(200), 300));
    let ids = leads(&stage, 500).await;
    assert_eq!(stage.door.sends(), unlucky + 1, "what came after it is held");
    stage.pass(Duration::from_millis(2_999)).await;
    assert_eq!(stage.door.sends(), unlucky + 1);
    stage.pass(secs(3)).await;
    assert_eq!(stage.door.sends(), 501);
    for id in &ids {
        let delivery = stage.delivery(*id).await;
        assert!(delivered(&delivery.state));
        assert_eq!(delivery.progress.retries_used, 0, "{id}");
    }
    let pause_ends = at(3);
    for id in &ids[unlucky..] {
        let started: Vec<Timestamp> = stage.attempts(*id).await.iter().map(|attempt| attempt.started).collect();
        assert!(started.iter().skip(usize::from(*id == ids[unlucky])).all(|started| *started >= pause_ends));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_for_what_an_open_breaker_holds_and_no_retry_is_used() {
    let (stage, mut ids) = opened(guarded()).await;
    ids.extend(leads(&stage, 2_000).await);
    let told = lines(&stage).await;
    stage.pass(secs(29)).await;
    assert_eq!((lines(&stage).await, stage.door.sends()), (told, 5), "24 s after the retries were due");
    let hold = stage.engine.hold_of(&stage.delivery(ids[9]).await.endpoint).unwrap();
    assert_eq!(hold.why, HoldReason::Breaker);
    assert!(hold.until.is_some_and(|until| until >= at(30) && until <= at(36)));
    stage.door.will(std::iter::repeat_n(answered(200), 2_005));
    stage.pass(secs(3_000)).await;
    for id in &ids {
        let delivery = stage.delivery(*id).await;
        assert!(delivered(&delivery.state), "{:?}", delivery.state);
        assert!(delivery.progress.retries_used <= 1 && delivery.attempts <= 2);
    }
    assert_eq!(breaker(&stage), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_during_a_probe_is_not_stuck_and_an_open_breaker_stays_open_over_a_restart() {
    let (stage, ids) = opened(guarded()).await;
    let stage = stage.crash(guarded(), secs(10)).await;
    assert_eq!((breaker(&stage), stage.door.sends()), (BreakerState::Open, 0));
    stage.pass(secs(30)).await;
    assert_eq!((breaker(&stage), stage.door.sends()), (BreakerState::HalfOpen, 1), "the probe");
    let stage = stage.crash(guarded(), secs(1)).await;
    assert_eq!((breaker(&stage), stage.door.sends()), (BreakerState::HalfOpen, 1), "another one");
    stage.door.will(std::iter::repeat_n(answered(200), 20));
    stage.pass(secs(120)).await;
    for id in ids {
        assert!(delivered(&stage.state(id).await));
    }
    let told = stage.store.memory().events(Cursor(0), 1_000).await.unwrap();
    let states: Vec<BreakerState> = told
        .iter()
        .filter_map(|(_, event)| {
            if let EventKind::BreakerChanged { transition, .. } = &event.kind { Some(transition.to) } else { None }
        })
        .collect();
    let expected = [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Recovery, BreakerState::Closed];
    assert_eq!(states, expected, "each once, whatever was restarted");
}

#[tokio::test(start_paused = true)]
async fn what_an_open_breaker_holds_goes_to_review_at_once_or_after_its_longest_hold_where_it_is_set() {
    let with = |on_open, longest_hold| {
        let mut settings = guarded();
        let keys = BreakerKeys { on_open, longest_hold, ..BreakerKeys::default() };
        recipient(&mut settings).protection.breaker = keys;
        settings
    };
    let (stage, ids) = opened(with(None, Some(secs(10)))).await;
    stage.pass(Duration::from_millis(11_999)).await;
    assert!(matches!(stage.state(ids[0]).await, State::Waiting { .. }));
    stage.pass(Duration::from_millis(2)).await;
    assert_eq!(stage.review_cause(ids[0]).await, ReviewCause::HeldTooLong);
    let because = stage.last_because(ids[0]).await;
    assert!(because.ends_with("it was held for longer than longest_hold = 10s"), "{because}");

    let (stage, ids) = opened(with(Some(OnOpen::Review), None)).await;
    stage.pass(secs(3)).await;
    assert_eq!(stage.review_cause(ids[0]).await, ReviewCause::HeldTooLong);
    let late = stage.lead().await;
    stage.pass(Duration::ZERO).await;
    assert_eq!((stage.review_cause(late).await, stage.door.sends()), (ReviewCause::HeldTooLong, 5));
}

#[tokio::test(start_paused = true)]
async fn a_run_of_refused_credentials_stops_the_endpoint_and_holds_its_leads_until_a_person_says() {
    let stage = Stage::of(guarded(), EngineLimits::default()).await;
    stage.door.will(std::iter::repeat_n(answered(401), 5));
    let refused = leads(&stage, 5).await;
    assert_eq!(breaker(&stage), BreakerState::Credentials);
    let held = leads(&stage, 3).await;
    stage.pass(secs(3_600)).await;
    assert_eq!(stage.door.sends(), 5, "no probing");
    assert_eq!(stage.review_cause(refused[4]).await, ReviewCause::FinalError);
    stage.door.will(std::iter::repeat_n(answered(200), 3));
    let ann = ByHand { by: "ann".into(), reason: "a new password".into() };
    assert_eq!(stage.engine.act_on_breakers(&bigbank(), None, BreakerVerb::Close, &ann).len(), 1);
    stage.pass(secs(60)).await;
    for id in held {
        assert!(delivered(&stage.state(id).await));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_whatever_comes_and_waiting_for_it_is_not_being_late() {
    let mut settings = settings();
    recipient(&mut settings).protection.rate_limit = Some(Rate::parse("2/s").unwrap());
    let stage = Stage::of(settings, EngineLimits::default()).await;
    stage.door.will(std::iter::repeat_n(answered(200), 20));
    let ids = leads(&stage, 20).await;
    stage.pass(secs(10)).await;
    let mut starts: Vec<Timestamp> = Vec::new();
    for id in ids {
        starts.push(stage.attempts(id).await[0].started);
    }
    starts.sort();
    assert!(starts.windows(2).all(|pair| pair[1].since(pair[0]) >= Duration::from_millis(500)));
    let told = stage.store.memory().events(Cursor(0), 100).await.unwrap();
    for (_, event) in told {
        if let EventKind::AttemptSettled(settled) = event.kind {
            assert_eq!(settled.late, Duration::ZERO);
        }
    }
}

/// Two recipients of one flow, and a source.
fn two_steps() -> Settings {
    let mut settings = settings();
    let other = settings.recipients[&bigbank()].clone();
    let mill = steadfast_lead::RecipientName::new("mill").unwrap();
    settings.recipients.insert(mill.clone(), other);
    let mut second = step("copy");
    second.recipient = mill;
    flow(&mut settings).steps.push(second);
    flow(&mut settings).sources.insert(source(), SourceSettings::default());
    settings
}

fn source() -> SourceName {
    SourceName::new("site").unwrap()
}

async fn post_by(stage: &Stage, source: Option<SourceName>) -> Vec<DeliveryId> {
    let posted =
        steadfast_engine::Posted { flow: auto(), source, test: false, fields: Fields::new(), idempotency: None };
    let receipt = stage.engine.accept(posted).await.unwrap();
    stage.pass(Duration::ZERO).await;
    receipt.deliveries.iter().map(|delivery| delivery.id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_stopped_recipient_is_sent_nothing_and_others_go_on_also_after_a_restart() {
    let stage = Stage::of(two_steps(), EngineLimits::default()).await;
    stage.door.will(std::iter::repeat_n(answered(200), 10));
    let target = StopTarget::Recipient(bigbank());
    stage.engine.stop(target.clone(), "ann", "their contract ended").await.unwrap();
    let first = post_by(&stage, None).await;
    assert_eq!(stage.door.sends(), 1, "the other one");
    let stage = stage.crash(two_steps(), secs(5)).await;
    stage.pass(secs(600)).await;
    assert_eq!(stage.door.sends(), 0);
    assert_eq!(stage.engine.stops()[0].reason.as_ref(), "their contract ended");
    let hold = stage.engine.hold_of(&stage.delivery(first[0]).await.endpoint).unwrap();
    assert_eq!((hold.why, hold.until), (HoldReason::Paused, None));
    stage.door.will(std::iter::repeat_n(answered(200), 10));
    assert!(stage.engine.resume(&target, "ann", "signed again").await.unwrap());
    assert!(!stage.engine.resume(&target, "ann", "twice").await.unwrap());
    stage.pass(Duration::ZERO).await;
    assert!(delivered(&stage.state(first[0]).await));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_source_or_flow_is_held_and_the_rest_goes_on() {
    for target in [StopTarget::Source(auto(), source()), StopTarget::Flow(auto())] {
        let stage = Stage::of(two_steps(), EngineLimits::default()).await;
        stage.door.will(std::iter::repeat_n(answered(200), 10));
        stage.engine.stop(target.clone(), "ann", "doubtful leads").await.unwrap();
        let held = post_by(&stage, Some(source())).await;
        let other = post_by(&stage, None).await;
        let others_go = matches!(target, StopTarget::Source(..));
        assert_eq!(stage.door.sends(), if others_go { 2 } else { 0 });
        assert_eq!(delivered(&stage.state(other[0]).await), others_go);
        for id in &held {
            assert!(matches!(stage.state(*id).await, State::Held { why: HoldReason::Paused, .. }));
        }
        let told = lines(&stage).await;
        let stage = stage.crash(two_steps(), secs(1)).await;
        stage.pass(secs(3_600)).await;
        assert_eq!((stage.door.sends(), lines(&stage).await), (0, told), "one write each, and no more");
        stage.door.will(std::iter::repeat_n(answered(503), 2));
        stage.door.will(std::iter::repeat_n(answered(200), 10));
        stage.engine.resume(&target, "ann", "they are good").await.unwrap();
        stage.pass(secs(10)).await;
        for id in held.iter().chain(&other) {
            let delivery = stage.delivery(*id).await;
            assert!(delivered(&delivery.state), "{target}: {:?}", delivery.state);
        }
        let attempts = stage.attempts(held[0]).await;
        assert!(attempts.last().unwrap().started > at(3_600), "held for an hour, and the total timeout stood still");
    }
}

/// What waits behind a stop becomes too old there as anywhere: a person looks then, and the engine comes to rest.
#[tokio::test(start_paused = true)]
async fn what_a_stopped_source_holds_for_too_long_is_referred_as_expired() {
    const DAY: u64 = 86_400;
    let stage = Stage::of(two_steps(), EngineLimits::default()).await;
    stage.engine.stop(StopTarget::Source(auto(), source()), "ann", "doubtful leads").await.unwrap();
    let held = post_by(&stage, Some(source())).await;
    stage.pass(secs(DAY - 60)).await;
    assert!(matches!(stage.state(held[0]).await, State::Held { why: HoldReason::Paused, .. }));
    stage.pass(secs(120)).await;
    for id in &held {
        let state = stage.state(*id).await;
        assert!(matches!(state, State::InReview { cause: ReviewCause::Expired, .. }), "{state:?}");
    }
    assert_eq!(stage.door.sends(), 0);
}
