//! Where a delivery begins that comes to a leg of several endpoints by another way than an attempt: at one that may be called, and
//! not at the first, whatever holds that.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, at, bigbank, delivered, flow, recipient, secs, settings, step};
use steadfast_engine::EngineLimits;
use steadfast_flow::{
    Address, CalendarSettings, CandidateSettings, LegSettings, OnOpen, RecipientSettings, RequestSettings, SaleMode,
    SaleSettings, Settings,
};
use steadfast_lead::{CandidateName, DeliveryId, RecipientName, StepName};
use steadfast_retry::breaker::{BreakerMode, BreakerVerb, ByHand};
use steadfast_retry::{Follow, StateName, StopTarget, WhenClosed};

/// What keeps the first endpoint from being called.
#[derive(Clone, Copy, Debug)]
enum Held {
    Breaker,
    Person,
    Hours,
}

const EACH: [Held; 3] = [Held::Breaker, Held::Person, Held::Hours];
const DAY: u64 = 86_400;

fn mill() -> RecipientName {
    RecipientName::new("mill").unwrap()
}

fn request(host: &str) -> RequestSettings {
    let url = Some(Address::parse(&format!("http://{host}.test/leads")).unwrap());
    RequestSettings { url, ..RequestSettings::default() }
}

/// `east` at the mill, and then `west` at the bank, which is always there.
fn two() -> Vec<CandidateSettings> {
    let candidate = |name: &str, recipient: RecipientName| CandidateSettings {
        name: CandidateName::new(name).unwrap(),
        way: LegSettings { recipient: Some(recipient), request: request(name), ..LegSettings::default() },
        weight: None,
        cost: None,
        regions: Vec::new(),
        regulations: Vec::new(),
    };
    vec![candidate("east", mill()), candidate("west", RecipientName::new("westbank").unwrap())]
}

/// With the recipients that [`two`] names.
fn with_two(held: Held) -> Settings {
    let mut settings = settings();
    settings.system.max_lead_age = Some(secs(2 * DAY));
    let plain = RecipientSettings { request: request("west"), ..settings.recipients[&bigbank()].clone() };
    settings.recipients.insert(RecipientName::new("westbank").unwrap(), plain.clone());
    let mut first = plain;
    first.protection.breaker.mode = Some(BreakerMode::On);
    if let Held::Hours = held {
        first.called_when.own = closed_for_a_day();
    }
    settings.recipients.insert(mill(), first);
    settings
}

/// The stage's clock begins on a Friday, at eight in the morning.
fn closed_for_a_day() -> CalendarSettings {
    CalendarSettings {
        time_zone: Some("UTC".into()),
        hours: Some("Sa-Su 00:00-24:00".into()),
        ..CalendarSettings::default()
    }
}

async fn of(settings: Settings, held: Held) -> Stage {
    let stage = Stage::of(settings, EngineLimits::default()).await;
    stage.door.always(|_| answered(200));
    match held {
        Held::Breaker => open(&stage, &mill()),
        Held::Person => drop(stage.engine.stop(StopTarget::Recipient(mill()), "ann", "stocktaking").await.unwrap()),
        Held::Hours => {}
    }
    stage
}

fn open(stage: &Stage, recipient: &RecipientName) {
    let ann = ByHand { by: "ann".into(), reason: "said so".into() };
    assert_eq!(stage.engine.act_on_breakers(recipient, None, BreakerVerb::Open, &ann).len(), 1);
}

fn hosts(stage: &Stage) -> Vec<String> {
    let host = |url: &str| url.trim_start_matches("http://").split('.').next().unwrap_or_default().to_owned();
    stage.door.seen().iter().map(|seen| host(&seen.url)).collect()
}

/// It went to west at this second, and the one line that brought it there says so.
async fn went_west(stage: &Stage, id: DeliveryId, second: u64, because: &str) {
    assert!(delivered(&stage.state(id).await), "{:?}", stage.delivery(id).await);
    assert_eq!(stage.attempts(id).await[0].started, at(second));
    let changes = stage.changes(id).await;
    let told: Vec<&str> = changes.iter().map(|change| &*change.because).collect();
    assert_eq!(told, [because]);
    assert_eq!(stage.delivery(id).await.choice.unwrap().candidate.as_str(), "west");
}

const THEN: &str = "; then west at westbank at http://west.test:80";

#[tokio::test(start_paused = true)]
async fn a_leg_that_begins_after_the_longest_hold_begins_where_it_may_be_called() {
    for held in EACH {
        let mut settings = with_two(held);
        let breaker = &mut recipient(&mut settings).protection.breaker;
        (breaker.mode, breaker.on_open, breaker.longest_hold) =
            (Some(BreakerMode::On), Some(OnOpen::Hold), Some(secs(10)));
        flow(&mut settings).steps[0].fallbacks = vec![LegSettings { candidates: two(), ..LegSettings::default() }];
        let stage = of(settings, held).await;
        open(&stage, &bigbank());
        let id = stage.lead().await;
        stage.pass(secs(9)).await;
        assert_eq!(stage.door.sends(), 0);
        stage.pass(secs(1)).await;
        assert_eq!(hosts(&stage), ["west"], "{held:?}");
        let because = "the breaker of bigbank at http://bigbank.test:80 is open, and it was held for longer than \
                       longest_hold = 10s; leg 1 begins, at mill at http://east.test:80 (on_held_too_long)";
        went_west(&stage, id, 10, &format!("{because}{THEN}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leg_that_begins_in_closed_hours_begins_where_it_may_be_called() {
    for held in EACH {
        let mut settings = with_two(held);
        recipient(&mut settings).called_when.own = closed_for_a_day();
        recipient(&mut settings).called_when.when_closed = WhenClosed::Next;
        flow(&mut settings).steps[0].fallbacks = vec![LegSettings { candidates: two(), ..LegSettings::default() }];
        let stage = of(settings, held).await;
        let id = stage.lead().await;
        assert_eq!(hosts(&stage), ["west"], "{held:?}");
        let because = "bigbank is closed, and closed = \"next\"; leg 1 begins, at mill at http://east.test:80";
        went_west(&stage, id, 0, &format!("{because}{THEN}")).await;
    }
}

/// A step before `sell`, to the bank; `sell` has the two endpoints.
fn after_another(held: Held) -> Settings {
    let mut settings = with_two(held);
    let mut second = step("sell");
    (second.recipient, second.candidates) = (mill(), two());
    flow(&mut settings).steps = vec![step("first"), second];
    settings
}

#[tokio::test(start_paused = true)]
async fn a_buyer_whose_turn_comes_begins_where_it_may_be_called() {
    for held in EACH {
        let mut settings = after_another(held);
        flow(&mut settings).sale = SaleSettings { mode: Some(SaleMode::FirstAccepted), order: None };
        flow(&mut settings).steps[0].retry.enabled = Some(false);
        let stage = of(settings, held).await;
        stage.door.will([answered(503)]);
        let ids = stage.post().await.unwrap().deliveries;
        assert_eq!(hosts(&stage), ["bigbank", "west"], "{held:?}");
        went_west(&stage, ids[1].id, 0, &format!("its turn: step first is in_review{THEN}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_follows_another_begins_where_it_may_be_called() {
    for held in EACH {
        let mut settings = after_another(held);
        let after = Follow { step: StepName::new("first").unwrap(), on: vec![StateName::Delivered] };
        flow(&mut settings).steps[1].sale.after = Some(after);
        let stage = of(settings, held).await;
        let ids = stage.post().await.unwrap().deliveries;
        assert_eq!(hosts(&stage), ["bigbank", "west"], "{held:?}");
        went_west(&stage, ids[1].id, 0, &format!("step first is delivered{THEN}")).await;
    }
}
