//! Test leads are never sold: they are sent only to recipients that are set to take them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, at, auto, flow, idle, recipient, settings};
use steadfast_engine::{EngineLimits, Posted};
use steadfast_flow::TestLeads;
use steadfast_lead::{DeliveryId, Fields};
use steadfast_retry::{CloseReason, State, Verb};

async fn test_lead(stage: &Stage) -> DeliveryId {
    let posted = Posted { flow: auto(), source: None, test: true, fields: Fields::new(), idempotency: None };
    let id = stage.engine.accept(posted).await.unwrap().deliveries[0].id;
    idle().await;
    id
}

#[tokio::test(start_paused = true)]
async fn a_recipient_that_knows_no_tests_gets_none_whoever_asks() {
    let stage = Stage::new().await;
    let id = test_lead(&stage).await;
    assert_eq!(stage.state(id).await, State::Closed { at: at(0), why: CloseReason::Test });
    assert!(stage.last_because(id).await.contains("test_leads"));
    stage.act(id, Verb::Retry).await.unwrap();
    assert_eq!(stage.state(id).await, State::Closed { at: at(0), why: CloseReason::Test });
    assert_eq!((stage.door.sends(), stage.engine.open()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_recipient_that_takes_tests_gets_them_and_a_step_has_the_last_word() {
    let mut settings = settings();
    recipient(&mut settings).test_leads = Some(TestLeads::Send);
    let stage = Stage::of(settings.clone(), EngineLimits::default()).await;
    stage.door.will([answered(200)]);
    let id = test_lead(&stage).await;
    assert!(matches!(stage.state(id).await, State::Delivered { .. }));
    let counts = stage.engine.store().counts().await.unwrap();
    assert!(counts.iter().all(|count| count.test), "counted by themselves: {counts:?}");
    flow(&mut settings).steps[0].test_leads = Some(TestLeads::Skip);
    stage.follow(&settings, 2);
    let id = test_lead(&stage).await;
    assert_eq!(stage.state(id).await, State::Closed { at: at(0), why: CloseReason::Test });
    assert_eq!(stage.door.sends(), 1);
}
