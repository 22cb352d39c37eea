//! Shadow steps: everything but the send, beside a step that sends, in a sale, and where they came to be one later.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, at, auto, flow, reset, settings, step};
use steadfast_engine::EngineLimits;
use steadfast_flow::{BodySettings, SaleMode, SaleSettings, Settings, SourceSettings, Told};
use steadfast_lead::StepName;
use steadfast_retry::{CloseReason, ReviewCause, State, Verb};

fn closed() -> State {
    State::Closed { at: at(0), why: CloseReason::Shadow }
}

/// The usual step, and a shadow beside it.
fn beside() -> Settings {
    let mut settings = settings();
    let shadow = steadfast_flow::StepSettings { shadow: true, ..step("shadow") };
    flow(&mut settings).steps.push(shadow);
    settings
}

async fn on(settings: &Settings) -> Stage {
    Stage::of(settings.clone(), EngineLimits::default()).await
}

#[tokio::test(start_paused = true)]
async fn the_request_is_made_and_not_sent_whoever_asks_and_the_source_hears_nothing_of_it() {
    let stage = on(&beside()).await;
    stage.door.will([answered(200)]);
    let ids: Vec<_> = stage.post().await.unwrap().deliveries.iter().map(|delivery| delivery.id).collect();
    stage::idle().await;
    assert!(matches!(stage.state(ids[0]).await, State::Delivered { .. }));
    assert_eq!(stage.state(ids[1]).await, closed());
    let because = stage.last_because(ids[1]).await;
    assert!(because.starts_with("shadow: made and not sent: POST to http"), "{because}");
    stage.act(ids[1], Verb::Retry).await.unwrap();
    assert_eq!((stage.state(ids[1]).await, stage.door.sends()), (closed(), 1));
    // The step that sends alone says what became of the lead.
    stage.door.will([answered(404)]);
    let deliveries = stage.post().await.unwrap().deliveries;
    stage::idle().await;
    let mut known = Vec::new();
    for delivery in deliveries {
        known.push((stage.delivery(delivery.id).await, None));
    }
    let book = stage.engine.book();
    let told = Told::known(&SourceSettings::default(), book.flows.get(&auto()).map(|plan| &**plan), &known).unwrap();
    assert_eq!(told.reason.as_deref(), Some("final_error"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_made_is_for_a_person_and_nothing_is_sent() {
    let mut settings = beside();
    let body = BodySettings::Text("{{ email | required }}".into());
    flow(&mut settings).steps[1].request.body = Some(body);
    let stage = on(&settings).await;
    stage.door.will([answered(200)]);
    let ids: Vec<_> = stage.post().await.unwrap().deliveries.iter().map(|delivery| delivery.id).collect();
    stage::idle().await;
    assert_eq!(stage.review_cause(ids[1]).await, ReviewCause::FinalError);
    assert_eq!(stage.door.sends(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shadow_is_no_buyer() {
    let mut settings = beside();
    let steps = &mut flow(&mut settings).steps;
    steps.swap(0, 1);
    flow(&mut settings).sale = SaleSettings { mode: Some(SaleMode::FirstAccepted), order: None };
    let stage = on(&settings).await;
    stage.door.will([answered(200)]);
    let ids: Vec<_> = stage.post().await.unwrap().deliveries.iter().map(|delivery| delivery.id).collect();
    stage::idle().await;
    assert_eq!(stage.state(ids[0]).await, closed());
    assert!(matches!(stage.state(ids[1]).await, State::Delivered { .. }), "it waited for no turn of a shadow");
    let name = StepName::new("shadow").unwrap();
    assert_eq!(stage.engine.book().step(&auto(), &name).unwrap().place, None);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_becomes_a_shadow_leaves_what_is_in_doubt_to_a_person() {
    let mut settings = settings();
    let stage = on(&settings).await;
    stage.door.will([reset()]);
    let id = stage.lead().await;
    assert!(matches!(stage.state(id).await, State::Waiting { .. }));
    flow(&mut settings).steps[0].shadow = true;
    stage.follow(&settings, 2);
    stage.pass(stage::secs(100)).await;
    assert_eq!(stage.review_cause(id).await, ReviewCause::InDoubt);
    assert_eq!(stage.door.sends(), 1);
}
