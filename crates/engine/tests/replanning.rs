//! What waits follows a changed configuration, in batches, while delivery goes on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, at, bigbank, delivered, flow, recipient, reset, secs, settings, step};
use std::sync::Arc;
use steadfast_engine::{Clock, EngineLimits};
use steadfast_flow::{Address, CapSettings, CapsSettings, ContactHoursSettings, ContactZones, Settings};
use steadfast_lead::{DeliveryId, RecipientName};
use steadfast_retry::policy::Layer;
use steadfast_retry::reading::{MatchSettings, OutcomeWord, RuleSettings};
use steadfast_retry::{CapPer, HoldReason, ReviewCause, State, StopTarget};

/// Retries after so many seconds, and so many of them.
fn every(seconds: u64, retries: u32) -> Settings {
    let mut settings = settings();
    settings.system = Layer {
        initial_delay: Some(secs(seconds)),
        max_interval: Some(secs(seconds.max(60))),
        total_timeout: Some(secs(86_000)),
        max_retries: Some(retries),
        extended: Some(true),
        ..settings.system
    };
    settings
}

async fn stage_of(settings: Settings) -> Stage {
    Stage::of(settings, EngineLimits::default()).await
}

/// A lead whose first attempt failed.
async fn waiting(stage: &Stage) -> DeliveryId {
    stage.door.will([answered(503)]);
    stage.lead().await
}

fn finished(stage: &Stage) -> bool {
    stage.engine.replanning().unwrap().finished.is_some()
}

#[tokio::test(start_paused = true)]
async fn a_changed_policy_reaches_what_waits_from_the_end_of_its_last_attempt() {
    let stage = stage_of(every(3_600, 3)).await;
    let id = waiting(&stage).await;
    assert_eq!(stage.state(id).await, State::Waiting { due: at(3_600) });
    assert_eq!(stage.engine.replanning(), None);
    stage.pass(secs(5)).await;
    stage.follow(&every(20, 3), 2);
    stage.pass(secs(1)).await;
    assert_eq!(stage.state(id).await, State::Waiting { due: at(20) });
    let told = stage.engine.replanning().unwrap();
    assert_eq!((told.version, told.looked_at, told.changed), (2, 1, 1));
    assert!(told.finished.is_some());
    stage.follow(&every(20, 3), 3);
    stage.pass(secs(1)).await;
    let told = stage.engine.replanning().unwrap();
    assert_eq!((told.version, told.looked_at, told.changed), (3, 0, 0), "nothing of it changed");
    stage.door.will([answered(201)]);
    stage.pass(secs(13)).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(stage.attempts(id).await[1].started, at(20));
}

#[tokio::test(start_paused = true)]
async fn what_is_longer_waits_longer_and_what_is_over_asks_a_person() {
    let stage = stage_of(every(100, 3)).await;
    let id = waiting(&stage).await;
    stage.follow(&every(5_000, 3), 2);
    stage.pass(secs(200)).await;
    assert_eq!((stage.state(id).await, stage.door.sends()), (State::Waiting { due: at(5_000) }, 1));
    let mut none = every(5_000, 3);
    none.system.enabled = Some(false);
    stage.follow(&none, 3);
    stage.pass(secs(1)).await;
    assert_eq!(stage.review_cause(id).await, ReviewCause::LimitLowered);
    let gone = waiting_under(&stage, 4).await;
    let mut without = every(5_000, 3);
    flow(&mut without).steps[0].id = steadfast_lead::StepName::new("other").unwrap();
    stage.follow(&without, 5);
    stage.pass(secs(1)).await;
    assert_eq!(stage.review_cause(gone).await, ReviewCause::StepGone);
}

async fn waiting_under(stage: &Stage, version: u64) -> DeliveryId {
    stage.follow(&every(5_000, 3), version);
    stage.pass(secs(1)).await;
    waiting(stage).await
}

#[tokio::test(start_paused = true)]
async fn what_waits_moves_to_where_its_step_sends_now_before_it_is_due() {
    let stage = stage_of(every(3_600, 3)).await;
    let id = waiting(&stage).await;
    let mut elsewhere = every(60, 3);
    recipient(&mut elsewhere).request.url = Some(Address::parse("http://other.test/leads").unwrap());
    stage.follow(&elsewhere, 2);
    stage.pass(secs(1)).await;
    let delivery = stage.delivery(id).await;
    assert_eq!(
        (&*delivery.endpoint.origin, &delivery.state),
        ("http://other.test:80", &State::Waiting { due: at(60) })
    );
    stage.door.will([answered(201)]);
    stage.pass(secs(59)).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(stage.door.seen()[1].url, "http://other.test/leads");
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_when_it_changes_is_planned_by_the_new_one_once_it_has_settled() {
    let stage = stage_of(every(3_600, 3)).await;
    let id = stage.lead().await;
    stage.follow(&every(60, 3), 2);
    stage.pass(secs(2)).await;
    assert!(!finished(&stage), "it waits for the attempt");
    stage.door.answer(answered(503));
    stage.pass(secs(1)).await;
    assert_eq!(stage.state(id).await, State::Waiting { due: at(62) });
    assert!(finished(&stage));
    let attempts = stage.attempts(id).await;
    assert_eq!((attempts.len(), attempts[0].config_version), (1, 1));
}

/// A change while everything is in flight: each settles under what it was sent with (its reading, its policy, its endpoint), what
/// then waits goes by the new settings, and none is lost or sent under two of them at once.
#[tokio::test(start_paused = true)]
async fn all_that_is_in_flight_settles_under_what_it_was_sent_with_and_waits_by_what_came_since() {
    let no = |status: &str, outcome| {
        let matches = MatchSettings { status: vec![status.into()], ..MatchSettings::default() };
        RuleSettings { matches, outcome: Some(outcome), ..RuleSettings::default() }
    };
    let mut old = every(3_600, 3);
    recipient(&mut old).rules = vec![no("409", OutcomeWord::Failure)];
    let mut new = every(60, 3);
    recipient(&mut new).request.url = Some(Address::parse("http://other.test/leads").unwrap());
    recipient(&mut new).rules = vec![no("409", OutcomeWord::Success), no("503", OutcomeWord::Failure)];
    let stage = stage_of(old).await;
    let answers: Vec<_> = [answered(201), answered(409), answered(503), reset(), answered(404)].into_iter().collect();
    let (rounds, mut ids) = (20, Vec::new());
    for _ in 0..rounds * answers.len() {
        ids.push(stage.lead().await);
    }
    assert_eq!((stage.engine.in_flight(), stage.door.sends()), (ids.len(), ids.len()), "all under way");
    stage.follow(&new, 2);
    // Some answer in the moment of the change, before anything else had a turn, and the rest after it.
    for answer in answers.iter().cycle().take(ids.len()) {
        stage.door.answer(answer.clone());
    }
    stage.pass(secs(1)).await;
    assert!(finished(&stage));
    assert_eq!((stage.engine.in_flight(), stage.door.sends()), (0, ids.len()), "nothing is sent before it is due");
    for (id, which) in ids.iter().zip((0..answers.len()).cycle()) {
        let (state, attempts) = (stage.state(*id).await, stage.attempts(*id).await);
        assert_eq!((attempts.len(), attempts[0].config_version), (1, 1));
        assert_eq!(&*attempts[0].endpoint.origin, "http://bigbank.test:80");
        match which {
            0 => assert!(delivered(&state)),
            1 => assert!(matches!(state, State::Rejected { .. }), "409 was a no when it was sent: {state:?}"),
            2 | 3 => {
                assert_eq!(
                    state,
                    State::Waiting { due: at(60) },
                    "503 was an error then, and is retried as is said now"
                );
                assert_eq!(&*stage.delivery(*id).await.endpoint.origin, "http://other.test:80");
            }
            _ => assert_eq!(stage.review_cause(*id).await, ReviewCause::FinalError),
        }
    }
    stage.door.always(|_| answered(409));
    stage.pass(secs(60)).await;
    let again: Vec<_> = stage.door.seen().split_off(ids.len());
    assert_eq!(again.len(), rounds);
    for seen in &again {
        assert_eq!((&*seen.url, seen.attempt), ("http://other.test/leads", 2));
        let id = seen.delivery.parse().unwrap();
        assert!(delivered(&stage.state(id).await), "409 is a yes now");
        assert_eq!(stage.attempts(id).await[1].config_version, 2);
    }
    for id in ids.iter().skip(3).step_by(answers.len()) {
        assert_eq!(
            stage.review_cause(*id).await,
            ReviewCause::InDoubt,
            "another address is no retry of what is in doubt"
        );
    }
    let states = states_of(&stage, &ids).await;
    let count = |which: fn(&State) -> bool| states.iter().filter(|state| which(state)).count();
    let counts = [
        count(delivered),
        count(|state| matches!(state, State::Rejected { .. })),
        count(|state| matches!(state, State::InReview { .. })),
    ];
    assert_eq!((counts, stage.engine.open()), ([2 * rounds, rounds, 2 * rounds], 0), "nothing is lost");
}

async fn states_of(stage: &Stage, ids: &[DeliveryId]) -> Vec<State> {
    let mut states = Vec::with_capacity(ids.len());
    for id in ids {
        states.push(stage.state(*id).await);
    }
    states
}

#[tokio::test(start_paused = true)]
async fn contact_hours_and_caps_that_change_let_go_of_what_they_hold() {
    let mut strict = every(60, 3);
    strict.contact_zones = ContactZones::built_in().ok().map(Arc::new);
    let hours = |text: &str| ContactHoursSettings { hours: text.into(), ..ContactHoursSettings::default() };
    // It is half past three in the morning in New York.
    flow(&mut strict).steps[0].terms.contact_hours = Some(hours("Mo-Su 08:00-20:00"));
    let stage = stage_of(strict.clone()).await;
    let id = stage.lead().await;
    let State::Held { until, why: HoldReason::ContactTime, .. } = stage.state(id).await else { panic!("held") };
    let mut later = strict.clone();
    flow(&mut later).steps[0].terms.contact_hours = Some(hours("Mo-Su 09:00-20:00"));
    stage.follow(&later, 2);
    stage.pass(secs(1)).await;
    let State::Held { until: other, .. } = stage.state(id).await else { panic!("held still") };
    assert_ne!(other, until);
    let mut capped = every(60, 3);
    capped.system.max_lead_age = Some(secs(86_400));
    flow(&mut capped).caps =
        CapsSettings { caps: vec![CapSettings { per: CapPer::Day, max: 1, time_zone: None }], on_cap: None };
    stage.door.will([answered(201)]);
    stage.follow(&capped, 3);
    stage.pass(secs(1)).await;
    assert!(delivered(&stage.state(id).await), "{:?}", stage.last_because(id).await);
    let second = stage.lead().await;
    let State::Held { why: HoldReason::Cap, .. } = stage.state(second).await else { panic!("held by the cap") };
    let mut more = capped.clone();
    flow(&mut more).caps.caps[0].max = 2;
    stage.door.will([answered(201)]);
    stage.follow(&more, 4);
    stage.pass(secs(1)).await;
    assert!(delivered(&stage.state(second).await));
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_what_waits_is_planned_by_what_is_in_force_then() {
    let stage = stage_of(every(3_600, 3)).await;
    let id = waiting(&stage).await;
    let stage = stage.crash_to(every(600, 3), 2, secs(10)).await;
    stage.pass(secs(1)).await;
    assert_eq!(stage.state(id).await, State::Waiting { due: at(600) });
    let stage = stage.crash_to(every(600, 3), 2, secs(10)).await;
    assert_eq!(stage.engine.replanning(), None, "everything was planned by it");
}

#[tokio::test(start_paused = true)]
async fn in_batches_with_delivery_in_between_and_a_newer_change_begins_anew() {
    const MANY: u64 = 600;
    let stage = stage_of(every(3_600, 3)).await;
    let mut ids = Vec::new();
    for _ in 0..MANY {
        ids.push(waiting(&stage).await);
    }
    stage.follow(&every(1_800, 3), 2);
    stage::idle().await;
    let told = stage.engine.replanning().unwrap();
    assert_eq!((told.looked_at, told.changed, told.finished), (256, 256, None), "one batch, and then a rest");
    stage.door.will([answered(201)]);
    let between = stage.lead().await;
    assert!(delivered(&stage.state(between).await));
    assert!(!finished(&stage), "no time has passed");
    stage.follow(&every(900, 3), 3);
    stage.pass(secs(30)).await;
    let told = stage.engine.replanning().unwrap();
    assert_eq!((told.version, told.changed), (3, MANY));
    assert!(told.finished.is_some());
    for id in ids {
        assert_eq!(stage.state(id).await, State::Waiting { due: at(900) });
    }
    assert_eq!(stage.clock.now(), at(30));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_full_is_waited_for_and_a_drain_does_not_wait_for_the_pass() {
    let stage = stage_of(every(3_600, 3)).await;
    let id = waiting(&stage).await;
    stage.store.be(stage::Mood::Full);
    stage.follow(&every(60, 3), 2);
    stage.pass(secs(3)).await;
    assert!(!finished(&stage));
    stage.store.be(stage::Mood::Ready);
    stage.pass(secs(3)).await;
    assert_eq!(stage.state(id).await, State::Waiting { due: at(60) });
    for _ in 0..300 {
        waiting(&stage).await;
    }
    stage.follow(&every(7_200, 3), 3);
    stage::idle().await;
    assert!(!finished(&stage));
    assert!(stage.engine.drain(secs(1)).await.unwrap());
}

/// What is moved leaves its place in the old queue behind, which others still go from, and does not go from there: its new
/// recipient is stopped.
#[tokio::test(start_paused = true)]
async fn what_was_moved_does_not_go_from_where_it_stood_before() {
    let mut both = every(20, 3);
    flow(&mut both).steps.push(step("copy"));
    let stage = stage_of(both.clone()).await;
    stage.door.will([answered(503), answered(200)]);
    let id = stage.lead().await;
    stage.pass(secs(5)).await;
    let mill = RecipientName::new("mill").unwrap();
    let mut elsewhere = both;
    elsewhere.recipients.insert(mill.clone(), elsewhere.recipients[&bigbank()].clone());
    flow(&mut elsewhere).steps[0].recipient = mill.clone();
    let target = StopTarget::Recipient(mill.clone());
    stage.engine.stop(target.clone(), "ann", "not yet").await.unwrap();
    stage.follow(&elsewhere, 2);
    stage.pass(secs(60)).await;
    let delivery = stage.delivery(id).await;
    assert_eq!((delivery.endpoint.recipient.clone(), stage.door.sends()), (mill, 2), "moved, and held");
    stage.door.will([answered(200)]);
    stage.engine.resume(&target, "ann", "now").await.unwrap();
    stage.pass(secs(1)).await;
    assert!(delivered(&stage.state(id).await));
}
