//! Several endpoints of one leg while the engine runs: where a lead goes first, where a retry goes, what a doubt, a crash and a
//! changed configuration do, and what a day's shares come to.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, auto, bigbank, delivered, flow, recipient, refused, reset, secs, settings};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use steadfast_engine::{EngineLimits, Posted};
use steadfast_flow::{Address, BalanceSettings, CandidateSettings, LegSettings, RequestSettings, Settings};
use steadfast_lead::{CandidateName, DeliveryId, Fields, RecipientName, Value};
use steadfast_retry::breaker::BreakerMode;
use steadfast_retry::{Balance, Criterion, Entry, Rating, ReviewCause, State, Verb};
use steadfast_store::Caps;

fn leg(address: &str) -> LegSettings {
    let url = Some(Address::parse(address).unwrap());
    LegSettings { request: RequestSettings { url, ..RequestSettings::default() }, ..LegSettings::default() }
}

fn candidate(name: &str, weight: u32) -> CandidateSettings {
    CandidateSettings {
        name: CandidateName::new(name).unwrap(),
        way: leg(&format!("http://{name}.test/leads")),
        weight: Some(weight),
        cost: None,
        regions: Vec::new(),
        regulations: Vec::new(),
    }
}

/// `sell` to bigbank, at its endpoints east and west.
fn two(balance: BalanceSettings) -> Settings {
    let mut settings = settings();
    let step = &mut flow(&mut settings).steps[0];
    step.candidates = vec![candidate("east", 60), candidate("west", 40)];
    step.balance = balance;
    settings
}

fn weighted() -> BalanceSettings {
    // At the start of the stage's clock a day begins there.
    BalanceSettings { time_zone: Some("America/Los_Angeles".into()), ..BalanceSettings::default() }
}

async fn of(settings: Settings) -> Stage {
    Stage::of(settings, EngineLimits::default()).await
}

fn host(url: &str) -> String {
    url.trim_start_matches("http://").split('.').next().unwrap_or_default().to_owned()
}

fn hosts(stage: &Stage) -> Vec<String> {
    stage.door.seen().iter().map(|seen| host(&seen.url)).collect()
}

async fn post_in(stage: &Stage, state: &str) -> DeliveryId {
    let mut fields = Fields::new();
    fields.insert("state", Value::text(state)).unwrap();
    let posted = Posted { flow: auto(), source: None, test: false, fields, idempotency: None };
    let id = stage.engine.accept(posted).await.unwrap().deliveries[0].id;
    stage::idle().await;
    id
}

#[tokio::test(start_paused = true)]
async fn a_choice_is_kept_with_every_rating_on_the_delivery_and_on_its_attempt() {
    let stage = of(two(weighted())).await;
    stage.door.will([answered(200), answered(200), answered(200)]);
    let ids = [stage.lead().await, stage.lead().await, stage.lead().await];
    assert_eq!(hosts(&stage), ["east", "west", "east"]);
    let kept = stage.delivery(ids[1]).await;
    let choice = kept.choice.unwrap();
    assert_eq!((choice.candidate.as_str(), &*kept.endpoint.origin), ("west", "http://west.test:80"));
    assert_eq!(&*choice.because, "weighted: west has 0 of 1 of the day, for 40 of 100");
    let rated: Vec<_> = choice.rated.iter().map(|(name, rating)| (name.as_str(), rating.clone())).collect();
    assert_eq!(rated, [("east", Rating::Score(20_000)), ("west", Rating::Score(80_000))]);
    assert_eq!(stage.attempts(ids[1]).await[0].choice.as_ref(), Some(&choice));
}

#[tokio::test(start_paused = true)]
async fn what_was_certainly_not_taken_goes_to_another_endpoint_under_the_same_key() {
    let stage = of(two(weighted())).await;
    stage.door.will([answered(500), answered(200)]);
    let id = stage.lead().await;
    stage.pass(secs(2)).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(hosts(&stage), ["east", "west"]);
    let seen = stage.door.seen();
    assert!(seen[0].key == seen[1].key && seen[0].body == seen[1].body, "one recipient, one key");
    let attempts = stage.attempts(id).await;
    assert!(attempts[0].because.ends_with("; then west at bigbank at http://west.test:80"), "{}", attempts[0].because);
    assert_eq!((attempts[0].leg, attempts[1].leg, attempts[1].retry), (0, 0, 1), "one leg, one budget");
    let east = attempts[1].choice.as_ref().unwrap().rated[0].1.clone();
    assert_eq!(east, Rating::Out("just_failed".into()));
}

#[tokio::test(start_paused = true)]
async fn what_is_in_doubt_stays_where_it_went() {
    let stage = of(two(weighted())).await;
    stage.door.will([reset(), answered(503), answered(200)]);
    let id = stage.lead().await;
    stage.pass(secs(6)).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(hosts(&stage), ["east", "east", "east"]);
    // A person's word that sending again is right does not say that it was not taken.
    let mut once = two(weighted());
    flow(&mut once).steps[0].retry.enabled = Some(false);
    let stage = of(once).await;
    stage.door.will([reset(), answered(200)]);
    let id = stage.lead().await;
    stage.act(id, Verb::Retry).await.unwrap();
    assert!(delivered(&stage.state(id).await));
    assert_eq!(hosts(&stage), ["east", "east"]);
}

#[tokio::test(start_paused = true)]
async fn another_recipient_among_the_endpoints_gets_a_key_of_its_own() {
    let mut settings = two(weighted());
    let mill = RecipientName::new("mill").unwrap();
    let other = settings.recipients[&bigbank()].clone();
    settings.recipients.insert(mill.clone(), other);
    flow(&mut settings).steps[0].candidates[1].way.recipient = Some(mill.clone());
    let stage = of(settings).await;
    stage.door.will([answered(500), answered(200)]);
    let id = stage.lead().await;
    stage.pass(secs(2)).await;
    assert_eq!((hosts(&stage), delivered(&stage.state(id).await)), (vec!["east".into(), "west".into()], true));
    let seen = stage.door.seen();
    assert_ne!(seen[0].key, seen[1].key);
    assert_eq!(stage.delivery(id).await.endpoint.recipient, mill);
}

#[tokio::test(start_paused = true)]
async fn who_is_open_is_not_chosen_while_another_may_take_it() {
    let mut settings = two(weighted());
    recipient(&mut settings).protection.breaker.mode = Some(BreakerMode::On);
    let stage = of(settings).await;
    stage.door.always(|url| if host(url) == "east" { refused() } else { answered(200) });
    for _ in 0..40 {
        stage.lead().await;
        stage.pass(secs(1)).await;
    }
    stage.pass(secs(10)).await;
    let seen = hosts(&stage);
    let failed = seen.iter().filter(|host| *host == "east").count();
    assert!((5..=7).contains(&failed), "five in a row open its breaker, and a probe or two look: {failed}");
    assert_eq!(seen.iter().filter(|host| *host == "west").count(), 40, "every lead was taken");
}

#[tokio::test(start_paused = true)]
async fn regions_and_regulations_decide_before_anything_else() {
    let mut settings = two(BalanceSettings {
        by: Some(Balance::Best),
        criteria: vec![Criterion::Region, Criterion::Health],
        region_field: Some("state".into()),
        explore_percent: Some(0),
        ..BalanceSettings::default()
    });
    let step = &mut flow(&mut settings).steps[0];
    step.candidates[0].regions = vec!["TX".into(), "OK".into()];
    step.candidates[1].regions = vec!["CA".into()];
    let stage = of(settings.clone()).await;
    stage.door.always(|_| answered(200));
    for state in ["ca", "TX", "CA"] {
        let id = post_in(&stage, state).await;
        assert!(delivered(&stage.state(id).await));
    }
    assert_eq!(hosts(&stage), ["west", "east", "west"]);
    let id = post_in(&stage, "NY").await;
    assert_eq!(stage.review_cause(id).await, ReviewCause::NoEndpoint);
    assert_eq!(stage.door.sends(), 3, "nobody may take it");
    // Another leg may.
    flow(&mut settings).steps[0].fallbacks = vec![leg("http://rest.test/leads")];
    let stage = of(settings).await;
    stage.door.always(|_| answered(200));
    let id = post_in(&stage, "NY").await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(hosts(&stage), ["rest"]);
}

#[tokio::test(start_paused = true)]
async fn a_next_leg_chooses_too_and_in_doubt_only_where_the_same_recipient_is() {
    let mut settings = settings();
    let mill = RecipientName::new("mill").unwrap();
    let other = settings.recipients[&bigbank()].clone();
    settings.recipients.insert(mill.clone(), other);
    let step = &mut flow(&mut settings).steps[0];
    step.retry.enabled = Some(false);
    let stranger = CandidateSettings {
        way: LegSettings { recipient: Some(mill), ..leg("http://west.test/leads") },
        ..candidate("west", 90)
    };
    step.fallbacks = vec![LegSettings { candidates: vec![candidate("east", 10), stranger], ..LegSettings::default() }];
    let stage = of(settings).await;
    stage.door.will([refused(), answered(200)]);
    let id = stage.lead().await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(hosts(&stage), ["bigbank", "west"]);
    stage.door.will([reset(), answered(200)]);
    let id = stage.lead().await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(hosts(&stage)[2..], ["bigbank", "east"], "the mill must not get what the bank may have");
    let choice = stage.delivery(id).await.choice.unwrap();
    assert_eq!(choice.rated[1].1, Rating::Out("in_doubt".into()));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_gone_is_left_unless_an_attempt_is_in_doubt_there() {
    let stage = of(two(weighted())).await;
    stage.door.will([refused(), reset()]);
    let certain = stage.lead().await;
    let doubtful = stage.lead().await;
    assert_eq!(hosts(&stage), ["east", "west"]);
    // The certain one waits for west now, as the doubtful one does; west goes.
    let mut changed = two(weighted());
    flow(&mut changed).steps[0].candidates.pop();
    stage.follow(&changed, 2);
    stage.door.always(|_| answered(200));
    stage.pass(secs(2)).await;
    assert!(delivered(&stage.state(certain).await));
    assert_eq!(hosts(&stage)[2..], ["east"]);
    assert_eq!(stage.review_cause(doubtful).await, ReviewCause::StepGone);
    let because = stage.last_because(doubtful).await;
    assert_eq!(because, "an attempt is in doubt at west, which its leg no longer has");
}

/// Ten thousand leads over a day, 60 to 40; east answers nobody for two hours, and the process is killed once.
#[tokio::test(start_paused = true)]
async fn shares_of_ten_thousand_leads_are_as_agreed_by_the_end_of_the_day() {
    let mut settings = two(weighted());
    recipient(&mut settings).protection.breaker.mode = Some(BreakerMode::On);
    let down = Arc::new(AtomicBool::new(false));
    let answer = |down: &Arc<AtomicBool>| {
        let down = Arc::clone(down);
        move |url: &str| if host(url) == "east" && down.load(Ordering::SeqCst) { answered(500) } else { answered(200) }
    };
    let mut stage = of(settings.clone()).await;
    stage.door.always(answer(&down));
    let mut taken: BTreeMap<String, u64> = BTreeMap::new();
    let mut after_outage = BTreeMap::new();
    for lead in 0..10_000_u64 {
        // Two of twenty-two hours.
        down.store((2_000..2_900).contains(&lead), Ordering::SeqCst);
        let id = stage.lead().await;
        stage.pass(secs(8)).await;
        let place = host(&stage.delivery(id).await.endpoint.origin);
        if let State::Delivered { .. } = stage.state(id).await {
            *taken.entry(place).or_default() += 1;
        }
        if lead == 2_999 {
            after_outage.clone_from(&taken);
        }
        if lead == 6_000 {
            stage = stage.crash(settings.clone(), secs(1)).await;
            stage.door.always(answer(&down));
        }
    }
    assert_eq!(taken.values().sum::<u64>(), 10_000, "every lead was taken: {taken:?}");
    assert!(after_outage["east"] < 1_500, "it is behind after its outage: {after_outage:?}");
    assert!(taken["east"].abs_diff(6_000) <= 100, "{taken:?}");
    let counts = stage.store.memory().cap_counts(stage::START).await.unwrap();
    let counts: Vec<_> = counts.iter().map(|(period, used)| (&*period.scope, *used)).collect();
    assert_eq!(counts, [("share auto.sell east", taken["east"]), ("share auto.sell west", taken["west"])]);
    println!("after the outage {after_outage:?}, at the end of the day {taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_test_lead_is_nobodys_share() {
    let stage = of(two(weighted())).await;
    stage.door.always(|_| answered(200));
    let posted = Posted { flow: auto(), source: None, test: true, fields: Fields::new(), idempotency: None };
    stage.engine.accept(posted).await.unwrap();
    stage::idle().await;
    assert_eq!(stage.store.memory().cap_counts(stage::START).await.unwrap(), []);
    let id = stage.lead().await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(stage.store.memory().cap_counts(stage::START).await.unwrap().len(), 1);
    let history = stage.history(id).await;
    assert!(matches!(&history[..], [Entry::Attempt(_)]), "no line but the attempt's: {history:?}");
}
