//! A step's fallbacks while the engine runs: the chain, its queue, a crash in between, a changed chain, a person's verb.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, at, bigbank, delivered, flow, recipient, refused, reset, secs, settings};
use steadfast_engine::EngineLimits;
use steadfast_flow::{
    Address, BreakerKeys, DuplicateAction, DuplicateOn, DuplicateSettings, InDoubtMode, LegSettings, OnOpen,
    ProtectionSettings, RequestSettings, Settings,
};
use steadfast_lead::{DeliveryId, RecipientName};
use steadfast_retry::breaker::{BreakerVerb, ByHand};
use steadfast_retry::pace::ConcurrencyLimit;
use steadfast_retry::{Entry, FollowUp, HoldReason, ReviewCause, State, StopTarget, Verb};
use steadfast_store::{Cursor, Journal};

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
async fn who_was_sent_a_person_by_an_earlier_leg_is_not_sent_them_again() {
    let mut settings = chain(to_mill());
    recipient(&mut settings).duplicates = Some(DuplicateSettings {
        fields: vec!["email".into()],
        window: secs(3_600),
        on: DuplicateOn::Sent,
        action: DuplicateAction::Skip,
    });
    let stage = of(settings).await;
    stage.door.will([answered(503), answered(503), answered(200)]);
    let first = stage.lead().await;
    stage.pass(secs(2)).await;
    assert_eq!((stage.delivery(first).await.endpoint.recipient, stage.door.sends()), (mill(), 3));
    let second = stage.lead().await;
    assert_eq!(stage.door.sends(), 3);
    let because = stage.last_because(second).await;
    assert!(because.contains(&format!("{first}, of the same email, was sent to bigbank")), "{because}");
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

/// As [`chain`], and what an open breaker of bigbank stops goes to the next leg.
fn moving_on(fallbacks: Vec<LegSettings>) -> Settings {
    let mut settings = chain(fallbacks);
    let protection = ProtectionSettings {
        concurrency: Some(ConcurrencyLimit::Fixed(256)),
        retry_budget: Some(false),
        breaker: BreakerKeys { on_open: Some(OnOpen::NextLeg), ..BreakerKeys::default() },
        ..ProtectionSettings::default()
    };
    recipient(&mut settings).protection = protection.clone();
    let breaker = BreakerKeys::default();
    settings.recipients.get_mut(&mill()).unwrap().protection = ProtectionSettings { breaker, ..protection };
    settings
}

async fn leads(stage: &Stage, count: usize) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(stage.lead().await);
    }
    ids
}

fn breaker(stage: &Stage, recipient: &RecipientName, verb: BreakerVerb) {
    let ann = ByHand { by: "ann".into(), reason: "said so".into() };
    assert_eq!(stage.engine.act_on_breakers(recipient, None, verb, &ann).len(), 1);
}

async fn lines(stage: &Stage) -> usize {
    stage.store.memory().events(Cursor(0), 100_000).await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn what_an_open_breaker_would_hold_goes_to_the_next_leg_at_once_and_uses_no_retry() {
    let stage = of(moving_on(to_mill())).await;
    stage.door.will(std::iter::repeat_n(answered(500), 5));
    let first = leads(&stage, 5).await;
    stage.door.will(std::iter::repeat_n(answered(200), 25));
    let later = leads(&stage, 20).await;
    assert_eq!(stage.door.sends(), 25, "at once: no time has passed");
    stage.pass(secs(2)).await;
    assert_eq!(stage.door.sends(), 30, "and what failed, when its retry is due");
    for id in first.iter().chain(&later) {
        let delivery = stage.delivery(*id).await;
        assert!(delivered(&delivery.state) && delivery.endpoint.recipient == mill());
        assert_eq!((delivery.progress.leg, delivery.progress.retries_used), (1, 0));
        let changes = stage.changes(*id).await;
        assert_eq!((changes.len(), changes[0].leg), (1, Some(1)));
        assert_eq!(
            &*changes[0].because,
            "the breaker of bigbank at http://bigbank.test:80 is open (on_open = \"next_leg\"); leg 1 begins, at mill at \
             http://mill.test:80"
        );
    }
    // Its next lead is the probe, once it is time for one; nothing else is asked of it.
    stage.pass(secs(60)).await;
    assert_eq!(stage.door.sends(), 30);
    let probe = stage.lead().await;
    assert_eq!(stage.door.seen().last().unwrap().url, "http://bigbank.test/leads");
    let beside = stage.lead().await;
    assert_eq!(stage.door.seen().last().unwrap().url, "http://mill.test/in");
    stage.door.will([answered(200), answered(200)]);
    stage.pass(secs(1)).await;
    assert!(delivered(&stage.state(probe).await) && delivered(&stage.state(beside).await));
    assert!(stage.changes(beside).await[0].because.contains("is half-open, its probe is under way"));
}

#[tokio::test(start_paused = true)]
async fn with_nowhere_to_go_it_is_held_without_a_write_and_goes_where_leads_are_taken_first() {
    for first in [mill(), bigbank()] {
        let stage = of(moving_on(to_mill())).await;
        breaker(&stage, &bigbank(), BreakerVerb::Open);
        breaker(&stage, &mill(), BreakerVerb::Open);
        let ids = leads(&stage, 500).await;
        let before = lines(&stage).await;
        stage.pass(secs(3_600)).await;
        assert_eq!((lines(&stage).await, stage.door.sends()), (before, 0));
        let hold = stage.engine.hold_of(&stage.delivery(ids[9]).await.endpoint).unwrap();
        assert_eq!((hold.why, hold.until), (HoldReason::Breaker, None));
        stage.door.will(std::iter::repeat_n(answered(200), 500));
        breaker(&stage, &first, BreakerVerb::Close);
        stage.pass(secs(3_600)).await;
        for id in &ids {
            let delivery = stage.delivery(*id).await;
            assert!(delivered(&delivery.state) && delivery.endpoint.recipient == first, "{delivery:?}");
            assert_eq!(stage.changes(*id).await.len(), usize::from(first == mill()), "moved once, or never");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_taken_stays_and_is_asked_for_only_when_the_breaker_lets_it() {
    let mut settings = moving_on(to_mill());
    recipient(&mut settings).protection.breaker.longest_hold = Some(secs(20));
    let stage = of(settings).await;
    stage.door.will(std::iter::repeat_n(reset(), 5));
    let doubtful = leads(&stage, 5).await;
    stage.door.will(std::iter::repeat_n(answered(200), 10));
    let fresh = leads(&stage, 10).await;
    for id in &fresh {
        assert_eq!(stage.delivery(*id).await.endpoint.recipient, mill());
    }
    let before = lines(&stage).await;
    stage.pass(secs(20)).await;
    assert_eq!((lines(&stage).await, stage.door.sends()), (before, 15), "held, and nothing written");
    stage.pass(secs(3)).await;
    for id in &doubtful {
        assert_eq!(stage.review_cause(*id).await, ReviewCause::HeldTooLong);
        let because = stage.last_because(*id).await;
        assert!(because.ends_with("an attempt is in doubt, and leg 1 goes to mill: a person decides"), "{because}");
    }
    assert_eq!(stage.door.sends(), 15);
    // To the same recipient it goes on, with the same bytes under the same key.
    let stage = of(moving_on(standby())).await;
    stage.door.will(std::iter::repeat_n(reset(), 5));
    leads(&stage, 5).await;
    stage.door.will(std::iter::repeat_n(answered(200), 5));
    stage.pass(secs(2)).await;
    let seen = stage.door.seen();
    let mut keys: Vec<&str> = seen[..5].iter().map(|one| one.key.as_str()).collect();
    let mut again: Vec<&str> = seen[5..].iter().map(|one| one.key.as_str()).collect();
    keys.sort_unstable();
    again.sort_unstable();
    assert_eq!(keys, again);
    assert!(seen[5..].iter().all(|one| one.url == "http://standby.test/leads"));
}

#[tokio::test(start_paused = true)]
async fn a_person_s_stop_and_a_pause_that_was_asked_for_hold_and_do_not_move() {
    let stage = of(moving_on(to_mill())).await;
    stage.engine.stop(StopTarget::Recipient(bigbank()), "ann", "contract").await.unwrap();
    breaker(&stage, &bigbank(), BreakerVerb::Open);
    let id = stage.lead().await;
    stage.pass(secs(600)).await;
    assert_eq!((stage.door.sends(), stage.changes(id).await.len()), (0, 0));
    stage.engine.resume(&StopTarget::Recipient(bigbank()), "ann", "renewed").await.unwrap();
    stage.door.will([answered(200)]);
    stage.pass(secs(1)).await;
    assert!(delivered(&stage.state(id).await));
    let because = stage.changes(id).await[0].because.clone();
    assert!(because.starts_with("the breaker of bigbank at http://bigbank.test:80 was opened by hand"), "{because}");
}

#[tokio::test(start_paused = true)]
async fn over_a_crash_what_waits_goes_on_but_for_what_may_have_been_sent_just_before_it() {
    let limits = EngineLimits { slots: 8, ..EngineLimits::default() };
    let stage = Stage::of(moving_on(to_mill()), limits).await;
    breaker(&stage, &bigbank(), BreakerVerb::Open);
    breaker(&stage, &mill(), BreakerVerb::Open);
    let ids = leads(&stage, 50).await;
    let stage = stage.crash(moving_on(to_mill()), secs(5)).await;
    assert_eq!(stage.door.sends(), 0);
    stage.door.will(std::iter::repeat_n(answered(200), 42));
    breaker(&stage, &mill(), BreakerVerb::Close);
    stage.pass(secs(600)).await;
    for (place, id) in ids.iter().enumerate() {
        let delivery = stage.delivery(*id).await;
        // As many as there are slots may have been under way, for all that is known.
        let stays = place < limits.slots;
        assert_eq!((delivery.progress.in_doubt, delivered(&delivery.state)), (stays, !stays));
        assert_eq!(delivery.endpoint.recipient, if stays { bigbank() } else { mill() });
    }
    stage.door.will(std::iter::repeat_n(answered(200), 8));
    breaker(&stage, &bigbank(), BreakerVerb::Close);
    stage.pass(secs(600)).await;
    for id in &ids {
        assert!(delivered(&stage.state(*id).await));
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
