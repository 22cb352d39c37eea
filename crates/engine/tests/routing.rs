//! A step's fallbacks while the engine runs: the chain, its queue, a crash in between, a changed chain, a person's verb.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, at, bigbank, delivered, flow, recipient, refused, reset, secs, settings};
use steadfast_engine::EngineLimits;
use steadfast_flow::{Address, BreakerKeys, InDoubtMode, LegSettings, ProtectionSettings, RequestSettings, Settings};
use steadfast_lead::{DeliveryId, RecipientName};
use steadfast_retry::pace::ConcurrencyLimit;
use steadfast_retry::{Entry, FollowUp, ReviewCause, State, Verb};

fn leg(address: &str) -> LegSettings {
    let url = Some(Address::parse(address).unwrap());
    LegSettings { request: RequestSettings { url, ..RequestSettings::default() }, ..LegSettings::default() }
}

fn mill() -> RecipientName {
    RecipientName::new("mill").unwrap()
}

/// `sell` to bigbank with one retry, then these legs.
fn chain(fallbacks: Vec<LegSettings>) -> Settings {
    let mut settings = settings();
    let other = settings.recipients[&bigbank()].clone();
    settings.recipients.insert(mill(), other);
    let step = &mut flow(&mut settings).steps[0];
    step.retry.max_retries = Some(1);
    step.fallbacks = fallbacks;
    settings
}

fn standby() -> Vec<LegSettings> {
    vec![leg("http://standby.test/leads")]
}

fn to_mill() -> Vec<LegSettings> {
    vec![LegSettings { recipient: Some(mill()), ..leg("http://mill.test/in") }]
}

async fn of(settings: Settings) -> Stage {
    Stage::of(settings, EngineLimits::default()).await
}

fn urls(stage: &Stage) -> Vec<String> {
    stage.door.seen().into_iter().map(|seen| seen.url).collect()
}

async fn legs_of(stage: &Stage, id: DeliveryId) -> Vec<(u8, u32)> {
    stage.attempts(id).await.iter().map(|attempt| (attempt.leg, attempt.retry)).collect()
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_primary_is_followed_by_the_standby_at_once_with_a_fresh_budget() {
    let stage = of(chain(standby())).await;
    stage.door.will([refused(), refused(), answered(503), answered(200)]);
    let id = stage.lead().await;
    stage.pass(secs(2)).await;
    assert_eq!(urls(&stage), ["http://bigbank.test/leads", "http://bigbank.test/leads", "http://standby.test/leads"]);
    stage.pass(secs(2)).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(legs_of(&stage, id).await, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    let seen = stage.door.seen();
    assert_eq!(seen.iter().map(|seen| seen.attempt).collect::<Vec<_>>(), [1, 2, 3, 4], "counted on over the legs");
    assert!(seen.iter().all(|one| one.key == seen[0].key && one.body == seen[0].body), "one recipient, one key");
    let attempts = stage.attempts(id).await;
    assert_eq!((attempts[2].due, attempts[2].started), (at(2), at(2)));
    assert_eq!(&*attempts[2].endpoint.origin, "http://standby.test:80");
}

#[tokio::test(start_paused = true)]
async fn another_recipient_gets_another_key_and_nothing_at_all_while_an_attempt_is_in_doubt() {
    let stage = of(chain(to_mill())).await;
    stage.door.will([refused(), refused(), answered(200)]);
    let id = stage.lead().await;
    stage.pass(secs(2)).await;
    assert!(delivered(&stage.state(id).await));
    let seen = stage.door.seen();
    assert_ne!(seen[0].key, seen[2].key);
    assert_eq!(stage.delivery(id).await.endpoint.recipient, mill());

    let stage = of(chain(to_mill())).await;
    stage.door.will([reset(), refused()]);
    let id = stage.lead().await;
    stage.pass(secs(3_600)).await;
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::Exhausted, 2));
    let because = stage.last_because(id).await;
    assert!(because.ends_with("an attempt is in doubt, and leg 1 goes to mill: a person decides"), "{because}");
    // A person's word that sending again is right does not say that the bank never took it.
    stage.door.will([refused(), refused()]);
    stage.act(id, Verb::Retry).await.unwrap();
    stage.pass(secs(3_600)).await;
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::Exhausted, 4));
    assert_eq!(legs_of(&stage, id).await, [(0, 0), (0, 1), (0, 0), (0, 1)]);
}

#[tokio::test(start_paused = true)]
async fn where_the_step_holds_what_is_in_doubt_not_even_the_standby_is_tried() {
    let mut settings = chain(standby());
    flow(&mut settings).in_doubt.mode = Some(InDoubtMode::Hold);
    let stage = of(settings).await;
    stage.door.will([refused(), reset()]);
    let id = stage.lead().await;
    stage.pass(secs(3_600)).await;
    assert_eq!(
        (stage.review_cause(id).await, stage.door.sends()),
        (ReviewCause::InDoubt, 2),
        "not even to the standby"
    );
}

#[tokio::test(start_paused = true)]
async fn in_doubt_the_same_words_go_to_the_standby_under_the_same_key_and_other_words_wait_for_a_person() {
    let stage = of(chain(standby())).await;
    stage.door.will([reset(), reset(), reset(), answered(200)]);
    let id = stage.lead().await;
    stage.pass(secs(4)).await;
    assert!(delivered(&stage.state(id).await));
    let seen = stage.door.seen();
    assert!(seen.len() == 4 && seen.iter().all(|one| one.key == seen[0].key && one.body == seen[0].body));

    let mut other = standby();
    other[0].request.format = Some(steadfast_flow::Format::Form);
    let stage = of(chain(other.clone())).await;
    stage.door.will([reset(), reset()]);
    let id = stage.lead().await;
    stage.pass(secs(3_600)).await;
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::InDoubt, 2));
    // Where nothing is in doubt other words go out under another key.
    let stage = of(chain(other)).await;
    stage.door.will([answered(503), answered(503), answered(200)]);
    let id = stage.lead().await;
    stage.pass(secs(2)).await;
    assert!(delivered(&stage.state(id).await));
    let seen = stage.door.seen();
    assert!(seen[0].key == seen[1].key && seen[1].key != seen[2].key);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_two_legs_loses_nothing_and_repeats_nothing() {
    let limits = EngineLimits { slots: 1, ..EngineLimits::default() };
    let stage = Stage::of(chain(standby()), limits).await;
    stage.door.will([refused(), refused()]);
    let id = stage.lead().await;
    stage.pass(secs(2)).await;
    assert_eq!(urls(&stage).last().map(String::as_str), Some("http://standby.test/leads"), "under way there");
    let stage = stage.crash(chain(standby()), secs(1)).await;
    let attempts = stage.attempts(id).await;
    assert_eq!((attempts.len(), attempts[2].leg), (3, 1), "what was cut off was the standby's");
    assert!(stage.delivery(id).await.progress.in_doubt);
    stage.door.will([answered(200)]);
    stage.pass(secs(2)).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(urls(&stage), ["http://standby.test/leads"], "never the dead one again");
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_shrank_asks_a_person_and_one_that_grew_is_followed() {
    let stage = of(chain(standby())).await;
    stage.door.will([refused(), refused(), answered(503)]);
    let id = stage.lead().await;
    stage.pass(secs(2)).await;
    stage.follow(&chain(Vec::new()), 2);
    stage.pass(secs(60)).await;
    assert_eq!(stage.review_cause(id).await, ReviewCause::StepGone);
    let because = stage.last_because(id).await;
    assert_eq!(because, "the configuration no longer has leg 1 of step sell of flow auto");
    let mut longer = standby();
    longer.extend(to_mill());
    stage.follow(&chain(longer), 3);
    stage.door.will([answered(503), answered(503), answered(200)]);
    stage.act(id, Verb::Retry).await.unwrap();
    stage.pass(secs(60)).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(legs_of(&stage, id).await[3..], [(1, 0), (1, 1), (2, 0)]);
}

#[tokio::test(start_paused = true)]
async fn what_an_open_breaker_held_for_too_long_goes_to_the_next_leg_by_one_write_each() {
    let mut settings = chain(to_mill());
    recipient(&mut settings).protection = ProtectionSettings {
        concurrency: Some(ConcurrencyLimit::Fixed(256)),
        retry_budget: Some(false),
        breaker: BreakerKeys { longest_hold: Some(secs(10)), ..BreakerKeys::default() },
        ..ProtectionSettings::default()
    };
    let stage = of(settings).await;
    stage.door.will(std::iter::repeat_n(answered(500), 5));
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(stage.lead().await);
    }
    assert_eq!(stage.door.sends(), 5, "the breaker opens");
    stage.door.will(std::iter::repeat_n(answered(200), 20));
    stage.pass(secs(13)).await;
    assert_eq!(stage.door.sends(), 25);
    for id in &ids {
        assert!(delivered(&stage.state(*id).await));
        assert_eq!(stage.delivery(*id).await.endpoint.recipient, mill());
        let changes = stage.changes(*id).await;
        assert_eq!(changes.len(), 1);
        assert!(changes[0].leg == Some(1) && changes[0].because.contains("longest_hold = 10s; leg 1 begins"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_can_end_a_delivery_in_place_of_asking_a_person() {
    let mut settings = chain(Vec::new());
    flow(&mut settings).steps[0].follow_ups.on_exhausted = Some(FollowUp::Close);
    let stage = of(settings).await;
    stage.door.will([refused(), refused()]);
    let id = stage.lead().await;
    stage.pass(secs(60)).await;
    let State::Closed { why, .. } = stage.state(id).await else { panic!("not closed") };
    assert_eq!(why.name(), "given_up");
    let Some(Entry::Attempt(last)) = stage.history(id).await.pop() else { panic!("no attempt") };
    assert_eq!(last.decision.name().name(), "close");
    // A person may still want it.
    stage.door.will([answered(200)]);
    stage.act(id, Verb::Retry).await.unwrap();
    stage.pass(secs(1)).await;
    assert!(delivered(&stage.state(id).await));
}
