//! Callbacks: a source hears what became of its lead, once, whatever happens in between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, auto, flow, idle, mark_delivered, secs, settings};
use steadfast_engine::{EngineLimits, Posted, Whom};
use steadfast_flow::{Address, CallbackSettings, CallbackWhen, Secret, Settings, SourceAnswer, SourceSettings};
use steadfast_lead::{DeliveryId, Fields, FlowName, LeadId, SourceName, Value};
use steadfast_retry::policy::Layer;
use steadfast_retry::{CloseReason, Delivery, State, StateName};
use steadfast_store::{Deliveries as _, Filter};

const CALLBACK_URL: &str = "http://source.test/outcomes";

fn web() -> SourceName {
    SourceName::new("web").unwrap()
}

fn with_callback(answer: SourceAnswer, when: CallbackWhen) -> Settings {
    let callback = CallbackSettings {
        url: Address::parse(CALLBACK_URL).unwrap(),
        secret: Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        when,
        timeout: None,
        retry: Layer::default(),
    };
    let source = SourceSettings { answer, callback: Some(callback), ..SourceSettings::default() };
    let mut settings = settings();
    flow(&mut settings).sources.insert(web(), source);
    settings
}

async fn stage(answer: SourceAnswer, when: CallbackWhen) -> Stage {
    Stage::of(with_callback(answer, when), EngineLimits::default()).await
}

async fn lead(stage: &Stage, test: bool) -> (LeadId, DeliveryId) {
    let mut fields = Fields::new();
    fields.insert("email", Value::text("ann@example.com")).unwrap();
    let posted = Posted { flow: auto(), source: Some(web()), test, fields, idempotency: None };
    let receipt = stage.engine.accept(posted).await.unwrap();
    idle().await;
    (receipt.lead, receipt.deliveries[0].id)
}

/// What the source was sent.
fn told(stage: &Stage) -> Vec<String> {
    stage.door.seen().into_iter().filter(|seen| seen.url == CALLBACK_URL).map(|seen| seen.body).collect()
}

async fn callbacks(stage: &Stage) -> Vec<Delivery> {
    let flow = Some(FlowName::new("callbacks.auto").unwrap());
    stage.store.memory().list(Filter { flow, ..Filter::default() }, None, 100).await.unwrap().items
}

#[tokio::test(start_paused = true)]
async fn a_source_that_was_told_nothing_hears_the_outcome_with_retries() {
    let stage = stage(SourceAnswer::Accepted, CallbackWhen::Late).await;
    let (lead, _) = lead(&stage, false).await;
    assert_eq!(told(&stage).len(), 0);
    stage.door.will([answered(200), answered(503)]);
    idle().await;
    assert_eq!(told(&stage).len(), 1, "the first attempt met a 503");
    stage.door.will([answered(204)]);
    stage.pass(secs(2)).await;
    let bodies = told(&stage);
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1], "the same bytes on every attempt");
    let head = format!(r#"{{"lead_id":"{lead}","outcome":"success","reason":null,"price":0,"reference":null,"#);
    assert!(bodies[0].starts_with(&head), "{}", bodies[0]);
    let keys: Vec<String> =
        stage.door.seen().into_iter().filter(|seen| seen.url == CALLBACK_URL).map(|seen| seen.key).collect();
    assert_eq!(keys[0], keys[1]);
    stage.pass(secs(600)).await;
    assert_eq!(told(&stage).len(), 2, "a callback is not called back about");
    let sent = callbacks(&stage).await;
    assert_eq!((sent.len(), sent[0].state.name(), sent[0].attempts), (1, StateName::Delivered, 2));
    assert_eq!(stage.engine.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_answer_told_is_not_told_again_unless_asked_for() {
    for (when, expected) in [(CallbackWhen::Late, 0), (CallbackWhen::Always, 1)] {
        let stage = stage(SourceAnswer::Outcome, when).await;
        stage.door.will([answered(200), answered(200)]);
        let (lead, _) = lead(&stage, false).await;
        stage.engine.source_answered(lead, true);
        stage.pass(secs(60)).await;
        assert_eq!(told(&stage).len(), expected, "{when:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_the_outcome_or_none_at_all_is_made_up_for() {
    let stage = stage(SourceAnswer::Outcome, CallbackWhen::Late).await;
    let (first, _) = lead(&stage, false).await;
    stage.engine.source_answered(first, false);
    stage.door.will([answered(200), answered(200)]);
    idle().await;
    assert_eq!(told(&stage).len(), 1, "at once: the answer had gone without it");
    stage.door.will([answered(200), answered(200)]);
    lead(&stage, false).await;
    assert_eq!(told(&stage).len(), 1, "its answer may still tell it");
    stage.pass(secs(12)).await;
    assert_eq!(told(&stage).len(), 2, "nobody answered in time");
}

#[tokio::test(start_paused = true)]
async fn another_outcome_is_told_as_well_and_the_same_one_is_not() {
    let stage = stage(SourceAnswer::Accepted, CallbackWhen::Late).await;
    stage.door.will([answered(404), answered(200)]);
    let (_, delivery) = lead(&stage, false).await;
    assert!(told(&stage)[0].contains(r#""outcome":"error","reason":"HTTP 404""#), "{:?}", told(&stage));
    stage.door.will([answered(404)]);
    stage.act(delivery, steadfast_retry::Verb::Retry).await.unwrap();
    assert_eq!(told(&stage).len(), 1, "an error again");
    stage.door.will([answered(200)]);
    stage.act(delivery, mark_delivered()).await.unwrap();
    assert_eq!(told(&stage).len(), 2);
    assert!(told(&stage)[1].contains(r#""outcome":"success""#));
}

#[tokio::test(start_paused = true)]
async fn a_stop_at_any_moment_loses_no_callback_and_makes_none_twice() {
    let settings = with_callback(SourceAnswer::Outcome, CallbackWhen::Late);
    let stage = Stage::of(settings.clone(), EngineLimits::default()).await;
    stage.door.will([answered(200)]);
    lead(&stage, false).await;
    assert_eq!(callbacks(&stage).await.len(), 0, "decided, and its answer under way");
    let stage = stage.crash(settings.clone(), secs(1)).await;
    assert_eq!(callbacks(&stage).await.len(), 1, "nobody knows whether the answer arrived");
    assert_eq!(told(&stage).len(), 1);
    // Cut off during the callback's attempt: sent again, because it may not have arrived.
    let stage = stage.crash(settings.clone(), secs(1)).await;
    stage.door.will([answered(200)]);
    stage.pass(secs(10)).await;
    assert_eq!((callbacks(&stage).await.len(), told(&stage).len()), (1, 1));
    let stage = stage.crash(settings, secs(1)).await;
    stage.pass(secs(10)).await;
    assert_eq!((callbacks(&stage).await.len(), told(&stage).len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_happened_before_callbacks_were_configured_is_not_told() {
    let stage = Stage::new().await;
    stage.door.will([answered(200)]);
    lead(&stage, false).await;
    stage.follow(&with_callback(SourceAnswer::Accepted, CallbackWhen::Late), 2);
    stage.door.will([answered(200), answered(200)]);
    lead(&stage, true).await;
    lead(&stage, false).await;
    let told = told(&stage);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains(r#""test":true"#) && told[1].contains(r#""test":false"#), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn forgetting_a_lead_forgets_what_its_source_is_told() {
    let stage = stage(SourceAnswer::Accepted, CallbackWhen::Late).await;
    stage.door.will([answered(200), answered(503)]);
    let (lead, _) = lead(&stage, false).await;
    let waiting = callbacks(&stage).await.remove(0);
    assert_eq!(waiting.state.name(), StateName::Waiting);
    let erased = stage.engine.erase(Whom::Lead(lead), None, "ann", secs(5)).await.unwrap();
    assert_eq!((erased.finished, erased.leads), (true, 2));
    let (notice, deliveries) = stage.store.memory().lead(waiting.lead).await.unwrap().unwrap();
    assert!(notice.fields.is_empty());
    assert!(matches!(deliveries[0].state, State::Closed { why: CloseReason::Erased, .. }));
    stage.pass(secs(600)).await;
    assert_eq!((told(&stage).len(), callbacks(&stage).await.len()), (1, 1), "and nothing new is made of it");
}
