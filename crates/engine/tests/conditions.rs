//! Conditions on steps and on retry settings: what is not sent, what is retried otherwise, and what has no answer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, auto, delivered, flow, recipient, secs, settings};
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::{Clock, EngineLimits, Posted};
use steadfast_flow::{AdjustSettings, ContactHoursSettings, ContactZones, Settings};
use steadfast_lead::{DeliveryId, Fields, Number, Priority, Timestamp, Value};
use steadfast_retry::policy::{Layer, Limits};
use steadfast_retry::{CloseReason, HoldReason, ReviewCause, State, Verb};

fn adjust(when: &str, retry: Layer) -> AdjustSettings {
    AdjustSettings { when: when.into(), retry, priority: None }
}

fn retries(max_retries: u32) -> Layer {
    Layer { max_retries: Some(max_retries), ..Layer::default() }
}

async fn stage(settings: Settings) -> Stage {
    Stage::of(settings, EngineLimits::default()).await
}

async fn post(stage: &Stage, value: Option<&str>) -> DeliveryId {
    let mut fields = Fields::new();
    fields.insert("email", Value::text("ann@example.com")).unwrap();
    if let Some(value) = value {
        fields.insert("value", Number::parse(value).map_or_else(|| Value::text(value), Value::Number)).unwrap();
    }
    let posted = Posted { flow: auto(), source: None, test: false, fields, idempotency: None };
    let receipt = stage.engine.accept(posted).await.unwrap();
    stage::idle().await;
    receipt.deliveries[0].id
}

fn conditional(when: &str) -> Settings {
    let mut settings = settings();
    flow(&mut settings).steps[0].terms.when = Some(when.into());
    settings
}

#[tokio::test(start_paused = true)]
async fn a_step_sends_only_the_leads_its_condition_names() {
    let stage = stage(conditional("lead.value > 100")).await;
    stage.door.will([answered(201)]);
    let (high, low) = (post(&stage, Some("150.5")).await, post(&stage, Some("99.9")).await);
    assert!(delivered(&stage.state(high).await));
    let State::Closed { why, .. } = stage.state(low).await else { panic!("closed") };
    assert_eq!(why, CloseReason::Condition);
    assert!(stage.attempts(low).await.is_empty());
    let because = stage.last_because(low).await;
    assert_eq!(because, "not sent: the step's condition is not so: when = lead.value > 100");
}

#[tokio::test(start_paused = true)]
async fn a_condition_is_asked_before_the_first_attempt_and_not_again() {
    let stage = stage(conditional("attempt == 1 && age < 1")).await;
    stage.door.will([answered(503), answered(201)]);
    let id = post(&stage, None).await;
    stage.pass(secs(3)).await;
    assert!(delivered(&stage.state(id).await), "the second attempt is not asked");
}

#[tokio::test(start_paused = true)]
async fn what_has_no_answer_is_parked_with_its_expression_and_others_go_on() {
    let stage = stage(conditional("lead.value > 100")).await;
    stage.door.will([answered(201), answered(201)]);
    let (silent, odd) = (post(&stage, None).await, post(&stage, Some("lots")).await);
    let good = post(&stage, Some("500")).await;
    assert!(delivered(&stage.state(good).await));
    for (id, said) in [
        (silent, "the lead has no value: ask has(lead.value) before in lead.value > 100"),
        (odd, "the lead's value is not a number in lead.value > 100"),
    ] {
        assert_eq!(stage.review_cause(id).await, ReviewCause::ConditionError);
        assert_eq!(stage.last_because(id).await, said);
    }
    // The condition is corrected, and a person lets it go.
    stage.follow(&conditional("!has(lead.value) || lead.value > 100"), 2);
    stage.act(silent, Verb::Retry).await.unwrap();
    assert!(delivered(&stage.state(silent).await));
}

#[tokio::test(start_paused = true)]
async fn high_value_leads_get_more_retries_and_the_attempt_says_by_what() {
    let mut settings = settings();
    flow(&mut settings).adjust = vec![adjust("has(lead.value) && lead.value >= 500", retries(5))];
    let stage = stage(settings).await;
    stage.door.will(vec![answered(503); 10]);
    let high = post(&stage, Some("500")).await;
    stage.pass(secs(300)).await;
    assert_eq!(stage.attempts(high).await.len(), 6, "five retries in place of three");
    let first = &stage.attempts(high).await[0];
    assert!(first.because.ends_with("; adjusted by flows.auto.adjust[0]"), "{}", first.because);
    let low = post(&stage, Some("499.99")).await;
    stage.pass(secs(300)).await;
    assert_eq!(stage.attempts(low).await.len(), 4);
    assert!(!stage.attempts(low).await[0].because.contains("adjusted"));
    assert_eq!(stage.review_cause(low).await, ReviewCause::Exhausted);
}

#[tokio::test(start_paused = true)]
async fn adjustments_of_all_levels_lie_over_each_other_within_the_recipients_limits() {
    let mut settings = settings();
    settings.adjust = vec![adjust("true", retries(9))];
    flow(&mut settings).steps[0].terms.adjust =
        vec![adjust("true", Layer { initial_delay: Some(secs(5)), ..Layer::default() })];
    recipient(&mut settings).limits = Limits { max_retries: Some(4), max_lead_age: None };
    let stage = stage(settings).await;
    stage.door.will(vec![answered(503); 10]);
    let id = post(&stage, None).await;
    stage.pass(secs(600)).await;
    let attempts = stage.attempts(id).await;
    assert_eq!(attempts.len(), 5, "nine were asked for, four are allowed");
    assert_eq!(attempts[1].started.since(attempts[0].ended), secs(5));
    let said = "; adjusted by adjust[0], flows.auto.steps[0].adjust[0]";
    assert!(attempts[0].because.ends_with(said), "{}", attempts[0].because);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_attempt_decides_by_the_recipients_clock() {
    let mut settings = settings();
    recipient(&mut settings).called_when.own.time_zone = Some("America/New_York".into());
    let slow = Layer { initial_delay: Some(secs(60)), ..Layer::default() };
    recipient(&mut settings).adjust = vec![adjust("local.hour < 8 || local.hour >= 20 || local.weekday > 5", slow)];
    let stage = stage(settings).await;
    let delay = async |text: &str| {
        stage.clock.set(Timestamp::parse(text).unwrap());
        stage.pass(Duration::ZERO).await;
        stage.door.will([answered(503), answered(201)]);
        let id = post(&stage, None).await;
        stage.pass(secs(61)).await;
        let attempts = stage.attempts(id).await;
        attempts[1].started.since(attempts[0].ended)
    };
    assert_eq!(delay("2027-11-05T15:00:00Z").await, secs(2), "Friday at eleven");
    assert_eq!(delay("2027-11-06T02:00:00Z").await, secs(60), "Friday at ten in the evening");
    assert_eq!(delay("2027-11-07T15:00:00Z").await, secs(60), "Sunday");
}

#[tokio::test(start_paused = true)]
async fn an_adjusted_delivery_is_as_urgent_as_its_condition_says_from_the_start() {
    let mut settings = settings();
    let entry = AdjustSettings { priority: Some(Priority::Critical), ..adjust("attempt == 1", Layer::default()) };
    flow(&mut settings).adjust = vec![entry];
    let stage = stage(settings).await;
    stage.door.will([answered(503), answered(201)]);
    let id = post(&stage, None).await;
    let after = stage.delivery(id).await;
    assert_eq!(after.priority, Priority::Critical, "as the attempt was made under");
    stage.pass(secs(3)).await;
    assert_eq!(stage.delivery(id).await.priority, Priority::Normal, "the second was not");
    assert!(delivered(&stage.state(id).await));
}

#[tokio::test(start_paused = true)]
async fn in_hours_knows_maintenance_by_a_persons_word() {
    let mut settings = settings();
    let later = AdjustSettings { priority: Some(Priority::Low), ..adjust("!in_hours", Layer::default()) };
    flow(&mut settings).adjust = vec![later];
    let stage = stage(settings).await;
    let (from, until) = (stage.clock.now().after(secs(10)), stage.clock.now().after(secs(60)));
    stage.engine.maintain(&stage::bigbank(), (from, until), "ann", "new disks").await.unwrap();
    stage.door.will([answered(201), answered(503), answered(201)]);
    let before = post(&stage, None).await;
    assert_eq!(stage.delivery(before).await.priority, Priority::Normal, "it has not begun");
    stage.pass(secs(10)).await;
    let during = post(&stage, None).await;
    assert_eq!((stage.delivery(during).await.priority, stage.door.sends()), (Priority::Low, 1));
    stage.pass(secs(50)).await;
    assert_eq!(stage.delivery(during).await.priority, Priority::Normal, "asked anew at its attempt, when it is over");
    // What waited is worked off as slowly as the endpoint took leads before.
    stage.pass(secs(120)).await;
    assert!(delivered(&stage.state(during).await));
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_off_is_settled_under_what_was_in_force_for_it() {
    let extended = || {
        let mut settings = settings();
        flow(&mut settings).adjust = vec![adjust("true", retries(8))];
        settings
    };
    let before = stage(extended()).await;
    before.door.will(vec![answered(503); 4]);
    let id = post(&before, None).await;
    before.pass(secs(14)).await;
    assert_eq!(before.attempts(id).await.len(), 4, "the fifth is due in two seconds");
    before.pass(secs(30)).await;
    let after = before.crash(extended(), secs(1)).await;
    after.door.will([answered(201)]);
    after.pass(secs(120)).await;
    assert!(delivered(&after.state(id).await), "{}", after.last_because(id).await);
}

#[test]
fn adjustments_that_fit_alone_and_not_together_are_refused_with_their_places() {
    let mut settings = settings();
    let first = Layer { initial_delay: Some(secs(50)), ..Layer::default() };
    let second = Layer { max_interval: Some(secs(40)), ..Layer::default() };
    flow(&mut settings).adjust = vec![adjust("true", first), adjust("false", second)];
    let said: Vec<String> = settings.compile(1).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("flows.auto.adjust[1].retry: leads to max_interval = 40s"), "{said:?}");
    assert!(said[0].contains("when flows.auto.adjust[0] counts too"), "{said:?}");
}

/// A step that contacts people from eight to nine on their own clocks.
fn contacting() -> Settings {
    let mut settings = settings();
    settings.contact_zones = ContactZones::built_in().ok().map(Arc::new);
    settings.system = Layer { max_lead_age: Some(secs(3 * 86_400)), ..settings.system };
    let hours = ContactHoursSettings { hours: "Mo-Su 08:00-21:00".into(), ..Default::default() };
    flow(&mut settings).steps[0].terms.contact_hours = Some(hours);
    settings
}

async fn post_from(stage: &Stage, fields: &[(&str, &str)]) -> DeliveryId {
    let mut held = Fields::new();
    fields.iter().for_each(|(name, value)| held.insert(name, Value::text(value)).unwrap());
    let posted = Posted { flow: auto(), source: None, test: false, fields: held, idempotency: None };
    let receipt = stage.engine.accept(posted).await.unwrap();
    stage::idle().await;
    receipt.deliveries[0].id
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_falls_into_the_leads_night_is_held_itself_until_its_morning() {
    let stage = stage(contacting()).await;
    // The evening before clocks go back: one second before nine in New York.
    stage.clock.set(Timestamp::parse("2027-11-07T00:59:59Z").unwrap());
    stage.pass(Duration::ZERO).await;
    stage.door.will([answered(503), answered(201), answered(201)]);
    let new_york = post_from(&stage, &[("state", "NY")]).await;
    let california = post_from(&stage, &[("zip", "94103")]).await;
    assert!(delivered(&stage.state(california).await), "it is six in the evening there");
    stage.pass(secs(3)).await;
    let morning = Timestamp::parse("2027-11-07T13:00:00Z").unwrap();
    let State::Held { until, why, .. } = stage.state(new_york).await else { panic!("held") };
    assert_eq!((until, why), (morning, HoldReason::ContactTime));
    let because = stage.last_because(new_york).await;
    assert_eq!(because, "outside the contact hours Mo-Su 08:00-21:00 in America/New_York");
    stage.pass(morning.since(stage.clock.now()).saturating_sub(secs(1))).await;
    assert_eq!(stage.attempts(new_york).await.len(), 1);
    stage.pass(secs(1)).await;
    assert!(delivered(&stage.state(new_york).await));
    let attempts = stage.attempts(new_york).await;
    assert_eq!((attempts[1].started, attempts[1].retry), (morning, 1), "the hold used no retry");
    assert_eq!(stage.changes(new_york).await.len(), 1, "one write");
}

#[tokio::test(start_paused = true)]
async fn held_over_the_night_survives_a_crash_and_whom_nothing_is_known_of_waits_for_all_zones() {
    let before = stage(contacting()).await;
    before.clock.set(Timestamp::parse("2027-11-03T12:30:00Z").unwrap());
    before.pass(Duration::ZERO).await;
    let id = post_from(&before, &[("email", "ann@example.com")]).await;
    let after = before.crash(contacting(), secs(60)).await;
    after.door.will([answered(201)]);
    after.pass(secs(2 * 3_600)).await;
    assert!(matches!(after.state(id).await, State::Held { why: HoldReason::ContactTime, .. }));
    after.pass(secs(3_600)).await;
    assert!(delivered(&after.state(id).await), "eight in Los Angeles");
    let opened = Timestamp::parse("2027-11-03T15:00:00Z").unwrap();
    assert_eq!(after.attempts(id).await[0].started, opened);
}
