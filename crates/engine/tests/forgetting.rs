//! Forgetting and the duplicate guard, as the engine frames them: whatever a delivery is doing at that moment, and over a stop
//! in the middle.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Mood, Stage, answered, at, auto, idle, recipient, refused, reset, secs, settings, with_header};
use std::time::Duration;
use steadfast_engine::{EngineLimits, Erasing, Posted, Receipt, Refusal, RefusedAction, RefusedErasure, Whom};
use steadfast_flow::{DuplicateAction, DuplicateOn, DuplicateSettings, InDoubtMode, Settings};
use steadfast_lead::{Fields, SourceName, Value};
use steadfast_retry::{CloseReason, FailureKind, HoldReason, ReviewCause, State, StateName, StopTarget, Verb};
use steadfast_store::{Deliveries as _, Erasures as _};

async fn post(stage: &Stage, email: &str) -> Result<Receipt, Refusal> {
    let mut fields = Fields::new();
    fields.insert("email", Value::text(email)).unwrap();
    let posted = Posted { flow: auto(), source: None, test: false, fields, idempotency: None };
    let receipt = stage.engine.accept(posted).await;
    idle().await;
    receipt
}

fn ann() -> Whom {
    Whom::Person { email: Some("Ann@Example.COM".into()), phone: None }
}

async fn erase(stage: &Stage, whom: Whom, patience: Duration) -> Result<Erasing, RefusedErasure> {
    let erasing = stage.engine.erase(whom, None, "ann", patience).await;
    idle().await;
    erasing
}

fn guarded(on: DuplicateOn) -> Settings {
    let mut settings = settings();
    recipient(&mut settings).duplicates = Some(DuplicateSettings {
        fields: vec!["email".into()],
        window: secs(3_600),
        on,
        action: DuplicateAction::Reject,
    });
    settings
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_held_or_in_review_is_closed_and_what_has_ended_stays() {
    let stage = Stage::new().await;
    stage.door.will([answered(200), answered(404), answered(503), with_header(429, "retry-after", "60")]);
    let mut leads = Vec::new();
    for _ in 0..4 {
        leads.push(post(&stage, "ann@example.com").await.unwrap());
    }
    let other = post(&stage, "bob@example.com").await.unwrap();
    let erased = erase(&stage, ann(), secs(5)).await.unwrap();
    assert_eq!((erased.finished, erased.leads), (true, 4));
    for (receipt, was) in leads.iter().zip(["delivered", "closed", "closed", "closed"]) {
        let (lead, deliveries) = stage.store.memory().lead(receipt.lead).await.unwrap().unwrap();
        assert!(lead.fields.is_empty());
        assert_eq!(deliveries[0].state.name().name(), was);
        let verb = stage.act(deliveries[0].id, Verb::Retry).await;
        assert!(matches!(verb, Err(RefusedAction::Verb(_) | RefusedAction::Erased(_))), "{verb:?}");
    }
    assert_eq!(stage.store.memory().lead(other.lead).await.unwrap().unwrap().0.fields.len(), 1);
    assert_eq!(stage.engine.open(), 1, "the other one waits for its endpoint");
    assert!(matches!(post(&stage, "ann@example.com").await, Err(Refusal::Erased { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_under_way_is_waited_for_and_no_other_follows() {
    for (answer, state) in [(answered(200), StateName::Delivered), (answered(503), StateName::Closed)] {
        let stage = Stage::new().await;
        let receipt = post(&stage, "ann@example.com").await.unwrap();
        let delivery = receipt.deliveries[0].id;
        let engine = stage.engine.clone();
        let erasing = tokio::spawn(async move { engine.erase(ann(), None, "ann", secs(2)).await });
        idle().await;
        assert_eq!(stage.store.memory().lead(receipt.lead).await.unwrap().unwrap().0.fields.len(), 1);
        stage.pass(secs(2)).await;
        let told = erasing.await.unwrap().unwrap();
        assert_eq!((told.finished, told.waits_for), (false, vec![delivery]));
        stage.door.answer(answer);
        idle().await;
        assert_eq!(stage.state(delivery).await.name(), state);
        assert!(stage.store.memory().lead(receipt.lead).await.unwrap().unwrap().0.fields.is_empty());
        assert!(stage.store.memory().tombstone(receipt.lead).await.unwrap().is_some());
        stage.pass(secs(600)).await;
        assert_eq!((stage.door.sends(), stage.engine.open(), stage.engine.in_flight()), (1, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_is_gone_on_with_before_anything_is_sent() {
    let stage = Stage::new().await;
    stage.door.will([answered(503)]);
    let receipt = post(&stage, "ann@example.com").await.unwrap();
    stage.store.be(Mood::Full);
    let told = erase(&stage, ann(), Duration::ZERO).await.unwrap();
    assert!(!told.finished, "ordered, and no room to wipe");
    assert_eq!(stage.store.memory().unfinished_erasures().await.unwrap().len(), 1);
    let stage = stage.crash(settings(), secs(60)).await;
    let (lead, deliveries) = stage.store.memory().lead(receipt.lead).await.unwrap().unwrap();
    assert!(lead.fields.is_empty());
    assert!(matches!(deliveries[0].state, State::Closed { why: CloseReason::Erased, .. }));
    assert_eq!(stage.store.memory().unfinished_erasures().await, Ok(Vec::new()));
    stage.pass(secs(600)).await;
    assert_eq!(stage.door.sends(), 0, "it had come due meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_person_is_found_however_written_until_forgotten() {
    let stage = Stage::new().await;
    stage.door.will([answered(200), answered(200)]);
    let first = post(&stage, "Ann@Example.com").await.unwrap().lead;
    let second = post(&stage, " ann@example.com").await.unwrap().lead;
    let found = |text: &'static str| stage.engine.find_person(text, None, 10);
    assert_eq!(found("ANN@example.com").await, Ok(Some(vec![second, first])), "newest first");
    assert_eq!(found("bob@example.com").await, Ok(Some(Vec::new())));
    assert_eq!(found("nobody").await, Ok(None), "neither an address nor a number");
    erase(&stage, Whom::Lead(second), secs(5)).await.unwrap();
    assert_eq!(found("ann@example.com").await, Ok(Some(vec![first])));
    assert_eq!(erase(&stage, Whom::Lead(second), secs(5)).await, Err(RefusedErasure::Already(second)));
}

#[tokio::test(start_paused = true)]
async fn of_two_that_arrive_together_one_is_sold() {
    let stage = Stage::of(guarded(DuplicateOn::Delivered), EngineLimits::default()).await;
    let first = post(&stage, "ann@example.com").await.unwrap().deliveries[0].id;
    let second = post(&stage, "Ann@example.com").await.unwrap().deliveries[0].id;
    assert_eq!(stage.door.sends(), 1, "the second waits for the first one's fate");
    assert!(matches!(stage.state(second).await, State::Held { why: HoldReason::Duplicate, .. }));
    stage.door.answer(answered(200));
    stage.pass(secs(5)).await;
    assert_eq!(stage.state(first).await.name(), StateName::Delivered);
    assert!(matches!(stage.state(second).await, State::Rejected { kind: FailureKind::Duplicate, .. }));
    assert_eq!(stage.door.sends(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_first_that_was_not_taken_lets_the_second_go() {
    let stage = Stage::of(guarded(DuplicateOn::Delivered), EngineLimits::default()).await;
    stage.door.will([answered(404), answered(200)]);
    post(&stage, "ann@example.com").await.unwrap();
    let second = post(&stage, "ann@example.com").await.unwrap().deliveries[0].id;
    assert_eq!(stage.state(second).await, State::Delivered { at: at(0), probable: false, by_hand: false });
    let stage = Stage::of(guarded(DuplicateOn::Sent), EngineLimits::default()).await;
    stage.door.will([refused(), answered(404)]);
    let first = post(&stage, "ann@example.com").await.unwrap().deliveries[0].id;
    let second = post(&stage, "ann@example.com").await.unwrap().deliveries[0].id;
    assert!(matches!(stage.state(second).await, State::Held { why: HoldReason::Duplicate, .. }), "it is on its way");
    stage.pass(secs(10)).await;
    assert_eq!(stage.state(first).await.name(), StateName::InReview);
    assert!(matches!(stage.state(second).await, State::Rejected { kind: FailureKind::Duplicate, .. }), "it was sent");
}

#[tokio::test(start_paused = true)]
async fn the_guard_outlasts_a_stop() {
    let settings = guarded(DuplicateOn::Delivered);
    let stage = Stage::of(settings.clone(), EngineLimits::default()).await;
    stage.door.will([answered(200)]);
    post(&stage, "ann@example.com").await.unwrap();
    let stage = stage.crash(settings, secs(60)).await;
    let second = post(&stage, "ann@example.com").await.unwrap().deliveries[0].id;
    assert!(matches!(stage.state(second).await, State::Rejected { kind: FailureKind::Duplicate, .. }));
    stage.pass(secs(3_700)).await;
    stage.door.will([answered(200)]);
    let third = post(&stage, "ann@example.com").await.unwrap().deliveries[0].id;
    assert_eq!(stage.state(third).await.name(), StateName::Delivered, "beyond the window");
}

/// The recipient may have it from us: it is neither sent beside another of the person nor told as rejected.
#[tokio::test(start_paused = true)]
async fn what_is_in_doubt_is_no_rejected_duplicate() {
    let mut settings = guarded(DuplicateOn::Delivered);
    recipient(&mut settings).in_doubt.mode = Some(InDoubtMode::Hold);
    let stage = Stage::of(settings, EngineLimits::default()).await;
    stage.door.will([reset(), answered(200)]);
    let first = post(&stage, "ann@example.com").await.unwrap().deliveries[0].id;
    assert_eq!(stage.review_cause(first).await, ReviewCause::InDoubt);
    let second = post(&stage, "ann@example.com").await.unwrap().deliveries[0].id;
    assert_eq!(stage.state(second).await.name(), StateName::Delivered);
    stage.act(first, Verb::Retry).await.unwrap();
    stage.pass(secs(1)).await;
    assert_eq!((stage.review_cause(first).await, stage.door.sends()), (ReviewCause::Duplicate, 2));
}

/// What may have been sent just before an unclean stop is on its way, though no attempt of it is told: another waits for it.
#[tokio::test(start_paused = true)]
async fn what_may_have_been_sent_before_a_stop_is_on_its_way() {
    let settings = guarded(DuplicateOn::Delivered);
    let stage = Stage::of(settings.clone(), EngineLimits::default()).await;
    stage.store.forget_marks();
    let source = SourceName::new("site").unwrap();
    let mut fields = Fields::new();
    fields.insert("email", Value::text("ann@example.com")).unwrap();
    let posted = Posted { flow: auto(), source: Some(source.clone()), test: false, fields, idempotency: None };
    let first = stage.engine.accept(posted).await.unwrap().deliveries[0].id;
    idle().await;
    let target = StopTarget::Source(auto(), source);
    stage.engine.stop(target.clone(), "ann", "doubtful").await.unwrap();
    let stage = stage.crash(settings, secs(5)).await;
    stage.pass(secs(1)).await;
    let stands = stage.delivery(first).await;
    assert!(stands.progress.in_doubt && stands.progress.attempts == 0, "{stands:?}");
    assert!(matches!(stands.state, State::Held { why: HoldReason::Paused, .. }), "{stands:?}");
    let sends = stage.door.sends();
    let second = post(&stage, "ann@example.com").await.unwrap().deliveries[0].id;
    assert!(matches!(stage.state(second).await, State::Held { why: HoldReason::Duplicate, .. }));
    assert_eq!(stage.door.sends(), sends);
    stage.door.will([answered(200)]);
    stage.engine.resume(&target, "ann", "they are good").await.unwrap();
    stage.pass(secs(120)).await;
    assert_eq!(stage.state(first).await.name(), StateName::Delivered);
    assert!(matches!(stage.state(second).await, State::Rejected { kind: FailureKind::Duplicate, .. }));
}
