//! Late binding: what waits follows the newest settings when it fires.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, at, delivered, flow, idle, recipient, reset, secs, settings, with_header};
use steadfast_engine::EngineLimits;
use steadfast_flow::{Address, Settings};
use steadfast_lead::{StepName, Value};
use steadfast_retry::pace::ConcurrencyLimit;
use steadfast_retry::{ReviewCause, State, Verb};

fn at_address(url: &str) -> Settings {
    let mut settings = settings();
    recipient(&mut settings).request.url = Some(Address::parse(url).unwrap());
    settings
}

/// The settings with a mapping that makes other bytes.
fn mapped_anew() -> Settings {
    let mut settings = settings();
    recipient(&mut settings).request.fields.push(("campaign".into(), Value::text("7")));
    settings
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_gone_asks_a_person() {
    let stage = Stage::new().await;
    stage.door.will([answered(503)]);
    let id = stage.lead().await;
    let mut other = settings();
    flow(&mut other).steps[0].id = StepName::new("other").unwrap();
    stage.follow(&other, 2);
    stage.pass(secs(2)).await;
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::StepGone, 1));
    assert!(stage.last_because(id).await.contains("no longer has step sell of flow auto"));
}

#[tokio::test(start_paused = true)]
async fn fewer_retries_than_were_used_ask_a_person() {
    let stage = Stage::new().await;
    stage.door.will([answered(503), answered(503), answered(503)]);
    let id = stage.lead().await;
    stage.pass(secs(7)).await;
    assert_eq!((stage.door.sends(), stage.delivery(id).await.progress.retries_used), (3, 3));
    let mut fewer = settings();
    recipient(&mut fewer).limits.max_retries = Some(1);
    stage.follow(&fewer, 2);
    stage.pass(secs(60)).await;
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::LimitLowered, 3));
}

#[tokio::test(start_paused = true)]
async fn a_longer_schedule_counts_from_the_last_attempt() {
    let stage = Stage::new().await;
    stage.door.will([answered(503), answered(503)]);
    let id = stage.lead().await;
    let mut longer = settings();
    longer.system.initial_delay = Some(secs(30));
    stage.follow(&longer, 2);
    stage.pass(secs(30)).await;
    assert_eq!(stage.state(id).await, State::Waiting { due: at(90) }, "30 s, then 60 s");
    let versions: Vec<u64> = stage.attempts(id).await.iter().map(|attempt| attempt.config_version).collect();
    assert_eq!(versions, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_follows_its_step_to_another_endpoint() {
    let stage = Stage::new().await;
    stage.door.will([answered(503), answered(200)]);
    let id = stage.lead().await;
    stage.follow(&at_address("http://other.test/leads"), 2);
    stage.pass(secs(2)).await;
    let seen = stage.door.seen();
    assert_eq!((&*seen[0].url, &*seen[1].url), ("http://bigbank.test/leads", "http://other.test/leads"));
    assert_eq!((&*stage.delivery(id).await.endpoint.origin, stage.door.sends()), ("http://other.test:80", 2));
    assert_eq!(&*stage.changes(id).await[0].because, "its step sends to bigbank at http://other.test:80 now");
    assert_ne!(seen[0].key, seen[1].key, "another address is another request");
    assert!(delivered(&stage.state(id).await));
}

#[tokio::test(start_paused = true)]
async fn what_is_in_doubt_does_not_follow_to_another_address() {
    let stage = Stage::new().await;
    stage.door.will([reset()]);
    let id = stage.lead().await;
    stage.follow(&at_address("http://other.test/leads"), 2);
    stage.pass(secs(2)).await;
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::InDoubt, 1));
}

#[tokio::test(start_paused = true)]
async fn the_old_endpoints_pause_does_not_hold_what_goes_elsewhere_and_the_new_ones_does() {
    let stage = Stage::new().await;
    stage.door.will([with_header(429, "retry-after", "600")]);
    stage.lead().await;
    let id = stage.lead().await;
    assert_eq!(stage.door.sends(), 1, "the endpoint is paused");
    stage.follow(&at_address("http://other.test/leads"), 2);
    idle().await;
    assert_eq!(stage.door.sends(), 2);
    stage.door.answer(with_header(429, "retry-after", "60"));
    idle().await;
    let fresh = stage.lead().await;
    stage.follow(&at_address("http://third.test/leads"), 3);
    stage.door.will([answered(200), answered(200)]);
    stage.pass(secs(1)).await;
    assert!(delivered(&stage.state(fresh).await));
    assert!(!delivered(&stage.state(id).await), "held itself until the recipient's time");
}

#[tokio::test(start_paused = true)]
async fn more_than_a_window_follows_to_a_paused_endpoint_without_loss() {
    let limits = EngineLimits { window: 8, slots: 4, ..EngineLimits::default() };
    let stage = Stage::of(settings(), limits).await;
    stage.door.will([with_header(429, "retry-after", "60")]);
    let mut ids = vec![stage.lead().await];
    for _ in 0..40 {
        ids.push(stage.lead().await);
    }
    stage.follow(&at_address("http://other.test/leads"), 2);
    stage.door.will([with_header(429, "retry-after", "600")]);
    idle().await;
    stage.pass(secs(30)).await;
    stage.door.will(std::iter::repeat_n(answered(200), 100));
    stage.pass(secs(900)).await;
    for id in ids {
        assert!(delivered(&stage.state(id).await), "{:?}", stage.delivery(id).await);
    }
}

#[tokio::test(start_paused = true)]
async fn another_mapping_makes_a_new_revision_with_a_key_of_its_own() {
    let stage = Stage::new().await;
    stage.door.will([answered(503), answered(503), answered(200)]);
    let id = stage.lead().await;
    stage.follow(&mapped_anew(), 2);
    stage.pass(secs(60)).await;
    let seen = stage.door.seen();
    assert_eq!(seen[0].key, id.to_string());
    assert_eq!((seen[1].key.clone(), seen[2].key.clone()), (format!("{id}-r1"), format!("{id}-r1")));
    assert!(seen[0].digest != seen[1].digest && seen[1].digest == seen[2].digest);
    let delivery = stage.delivery(id).await;
    assert_eq!((delivery.progress.revision, delivery.body.unwrap().digest), (1, seen[1].digest));
}

#[tokio::test(start_paused = true)]
async fn another_mapping_waits_for_a_person_while_an_attempt_is_in_doubt() {
    let stage = Stage::new().await;
    stage.door.will([reset(), answered(200)]);
    let id = stage.lead().await;
    stage.follow(&mapped_anew(), 2);
    stage.pass(secs(60)).await;
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::InDoubt, 1));
    stage.follow(&settings(), 3);
    assert!(stage.act(id, Verb::Retry).await.is_ok());
    assert!(delivered(&stage.state(id).await));
    assert_eq!(stage.door.seen()[0].digest, stage.door.seen()[1].digest);
}

#[tokio::test(start_paused = true)]
async fn a_recipients_concurrency_changes_at_once_in_both_directions() {
    let mut two = settings();
    recipient(&mut two).protection.concurrency = Some(ConcurrencyLimit::Fixed(2));
    let stage = Stage::of(two.clone(), EngineLimits::default()).await;
    for _ in 0..6 {
        stage.lead().await;
    }
    assert_eq!(stage.door.sends(), 2);
    let mut four = settings();
    recipient(&mut four).protection.concurrency = Some(ConcurrencyLimit::Fixed(4));
    stage.follow(&four, 2);
    idle().await;
    assert_eq!(stage.door.sends(), 4);
    stage.follow(&two, 3);
    stage.door.will([answered(200), answered(200)]);
    idle().await;
    assert_eq!((stage.door.sends(), stage.engine.in_flight()), (4, 2), "two are under way, as many as may be");
    stage.door.will([answered(200)]);
    idle().await;
    assert_eq!(stage.door.sends(), 5);
}

#[tokio::test(start_paused = true)]
async fn steps_of_different_ages_on_one_paused_endpoint_neither_spin_nor_send() {
    let mut settings = settings();
    flow(&mut settings).steps.extend(["copy", "note"].map(stage::step));
    for (step, age) in flow(&mut settings).steps.iter_mut().zip([60, 3_600, 60]) {
        step.retry.max_lead_age = Some(secs(age));
    }
    let stage = Stage::of(settings, EngineLimits::default()).await;
    stage.door.will([with_header(429, "retry-after", "900")]);
    let deliveries = stage.post().await.unwrap().deliveries;
    stage.pass(secs(899)).await;
    assert_eq!(stage.door.sends(), 1, "the endpoint is paused");
    stage.door.will([answered(200)]);
    stage.pass(secs(10)).await;
    assert_eq!(stage.review_cause(deliveries[0].id).await, ReviewCause::Expired, "the pause is longer than its age");
    assert!(delivered(&stage.state(deliveries[1].id).await));
    assert_eq!(stage.review_cause(deliveries[2].id).await, ReviewCause::Expired, "found when the pause ended");
    assert_eq!(stage.door.sends(), 2);
}
