//! Caps in the engine: exact at once, over retries, in doubt, and over a crash; judged by what the door saw.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{
    Stage, answered, auto, bigbank, delivered, dismiss, flow, mark_delivered, recipient, reset, secs, settings,
};
use std::collections::BTreeSet;
use steadfast_engine::{EngineLimits, Posted};
use steadfast_flow::{
    Address, CapSettings, CapsSettings, InDoubtMode, LegSettings, RecipientSettings, RequestSettings, SaleMode,
    SaleSettings, Settings, StepSettings,
};
use steadfast_lead::{DeliveryId, Fields, RecipientName, SourceName, StepName, Value};
use steadfast_retry::reading::{MatchSettings, OutcomeWord, RuleSettings};
use steadfast_retry::{
    AfterSale, CapPer, CapTally, CloseReason, Conversion, Evidence, FailureKind, HoldReason, OnCap, State,
};
use steadfast_store::Caps;

fn caps(per: CapPer, max: u64, on_cap: OnCap) -> CapsSettings {
    CapsSettings { caps: vec![CapSettings { per, max, time_zone: None }], on_cap: Some(on_cap) }
}

/// So many a day to the recipient; 422 is a business no.
fn capped(max: u64, on_cap: OnCap) -> Settings {
    let mut settings = settings();
    let matches = MatchSettings { status: vec!["422".into()], ..MatchSettings::default() };
    recipient(&mut settings).rules =
        vec![RuleSettings { matches, outcome: Some(OutcomeWord::Failure), ..RuleSettings::default() }];
    recipient(&mut settings).caps = caps(CapPer::Day, max, on_cap);
    settings
}

async fn on(settings: &Settings) -> Stage {
    Stage::of(settings.clone(), EngineLimits::default()).await
}

async fn post(stage: &Stage, leads: usize) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for _ in 0..leads {
        ids.push(stage.lead().await);
    }
    ids
}

async fn states(stage: &Stage, ids: &[DeliveryId]) -> Vec<State> {
    let mut states = Vec::new();
    for id in ids {
        states.push(stage.state(*id).await);
    }
    states
}

async fn accepted(stage: &Stage, ids: &[DeliveryId]) -> usize {
    states(stage, ids).await.iter().filter(|state| delivered(state)).count()
}

/// Everything was told: what is counted is what was accepted, and nothing is reserved.
fn tally(stage: &Stage) -> CapTally {
    stage.engine.caps()[0].tally
}

#[tokio::test(start_paused = true)]
async fn fifty_at_once_get_the_ten_places_there_are() {
    for (on_cap, expected) in [
        (OnCap::Skip, State::Closed { at: stage::START, why: CloseReason::Capped }),
        (OnCap::Next, State::Closed { at: stage::START, why: CloseReason::Capped }),
        (OnCap::Reject, State::Rejected { at: stage::START, kind: FailureKind::Capped }),
    ] {
        let stage = on(&capped(10, on_cap)).await;
        let ids = post(&stage, 50).await;
        assert_eq!((stage.door.sends(), tally(&stage)), (10, CapTally { used: 0, reserved: 10 }));
        stage.door.will((0..10).map(|_| answered(200)));
        stage.pass(secs(86_400)).await;
        assert_eq!((accepted(&stage, &ids).await, stage.door.sends(), stage.engine.open()), (10, 10, 0));
        assert_eq!(stage.state(ids[49]).await, expected);
        let because = "not sent: the cap of 10 per day of recipient bigbank is full, with 0 accepted and 10 on the way, until \
                       2027-01-16T00:00:00.000Z";
        assert_eq!(stage.last_because(ids[49]).await, because);
        let kept = stage.store.memory().cap_counts(stage::START).await.unwrap();
        assert_eq!(
            kept.iter().map(|(period, used)| (&*period.scope, *used)).collect::<Vec<_>>(),
            [("recipient bigbank", 10)]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_no_gives_its_place_to_one_that_waits_until_the_cap_is_met_exactly() {
    let mut settings = capped(10, OnCap::Hold);
    settings.system.max_lead_age = Some(secs(5 * 86_400));
    let stage = on(&settings).await;
    let ids = post(&stage, 50).await;
    stage.door.will((0..50).map(|at| answered(if at % 2 == 0 { 422 } else { 200 })));
    stage.pass(secs(10 * 3_600)).await;
    assert_eq!((accepted(&stage, &ids).await, tally(&stage)), (10, CapTally { used: 10, reserved: 0 }));
    let sends = stage.door.sends();
    assert!((20..=21).contains(&sends), "{sends}");
    let waiting = states(&stage, &ids).await.into_iter().filter(|state| state.is_open()).collect::<Vec<_>>();
    assert!(waiting.iter().all(|state| matches!(state, State::Held { why: HoldReason::Cap, .. })), "{waiting:?}");
    assert_eq!(waiting.len(), 50 - sends);
    // The next day has places of its own.
    stage.pass(secs(86_400 - 10 * 3_600)).await;
    assert_eq!(accepted(&stage, &ids).await, 20);
    stage.pass(secs(86_400)).await;
    assert_eq!((accepted(&stage, &ids).await, stage.engine.open()), (25, 0), "half of fifty said yes");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_retry_has_no_place_and_asks_again() {
    let stage = on(&capped(1, OnCap::Skip)).await;
    stage.door.will([answered(503), answered(200)]);
    let first = stage.lead().await;
    assert_eq!(tally(&stage), CapTally::default());
    let second = stage.lead().await;
    stage.pass(secs(60)).await;
    assert!(delivered(&stage.state(second).await));
    assert!(matches!(stage.state(first).await, State::Closed { why: CloseReason::Capped, .. }));
    assert_eq!(stage.door.sends(), 2);
}

#[tokio::test(start_paused = true)]
async fn doubt_keeps_a_place_until_it_is_resolved() {
    let mut settings = capped(2, OnCap::Skip);
    flow(&mut settings).in_doubt.mode = Some(InDoubtMode::Hold);
    let stage = on(&settings).await;
    stage.door.will([reset(), reset(), answered(200)]);
    let ids = post(&stage, 3).await;
    assert_eq!((stage.door.sends(), tally(&stage)), (2, CapTally { used: 0, reserved: 2 }));
    assert!(matches!(stage.state(ids[2]).await, State::Closed { why: CloseReason::Capped, .. }));
    // One has it, says a person; the other has not.
    stage.act(ids[0], mark_delivered()).await.unwrap();
    stage.act(ids[1], dismiss()).await.unwrap();
    assert_eq!(tally(&stage), CapTally { used: 1, reserved: 0 });
    stage.lead().await;
    assert_eq!(tally(&stage), CapTally { used: 2, reserved: 0 });
    // A person's word is counted, and may exceed.
    stage.act(ids[2], mark_delivered()).await.unwrap();
    assert_eq!(tally(&stage), CapTally { used: 3, reserved: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_crash_and_a_burst_of_retries_never_exceed_by_one() {
    let mut settings = capped(5, OnCap::Hold);
    flow(&mut settings).in_doubt.mode = Some(InDoubtMode::Retry);
    settings.system.max_retries = Some(9);
    let stage = on(&settings).await;
    stage.door.will([answered(200), reset(), answered(503)]);
    let ids = post(&stage, 30).await;
    // One has it, one may, one has not, and three were cut off.
    let before = stage.door.seen();
    assert_eq!(before.len(), 6);
    let may_have = before.iter().enumerate().filter(|(at, _)| *at != 2).map(|(_, seen)| seen.delivery.clone());
    let mut has: BTreeSet<String> = may_have.collect();
    let stage = stage.crash(settings, secs(5)).await;
    assert_eq!(stage.engine.caps()[0].tally, CapTally { used: 1, reserved: 4 });
    stage.door.will((0..100).map(|_| answered(200)));
    stage.pass(secs(8 * 3_600)).await;
    has.extend(stage.door.seen().iter().map(|seen| seen.delivery.clone()));
    assert_eq!((has.len(), accepted(&stage, &ids).await), (5, 5));
    assert_eq!(stage.engine.caps()[0].tally, CapTally { used: 5, reserved: 0 });
    // And the next day goes on.
    stage.pass(secs(86_400)).await;
    assert_eq!(accepted(&stage, &ids).await, 10);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_under_a_cap_is_marked_on_disk_before_it_goes() {
    let mut settings = capped(1, OnCap::Hold);
    flow(&mut settings).in_doubt.mode = Some(InDoubtMode::Retry);
    settings.system.max_lead_age = Some(secs(60));
    let stage = on(&settings).await;
    // A mark that only rides along with a later commit never reaches the disk.
    stage.store.forget_marks();
    let first = stage.lead().await;
    assert_eq!(stage.door.sends(), 1);
    let stage = stage.crash(settings, secs(120)).await;
    // It is too old to be sent again, and its recipient may have it: its place is taken.
    assert_eq!(stage.review_cause(first).await, steadfast_retry::ReviewCause::Expired);
    assert_eq!(tally(&stage), CapTally { used: 0, reserved: 1 });
    let second = stage.lead().await;
    assert_eq!(stage.door.sends(), 0);
    assert!(matches!(stage.state(second).await, State::Held { why: HoldReason::Cap, .. }));
}

#[tokio::test(start_paused = true)]
async fn what_a_cap_holds_grows_too_old_when_its_time_has_come_and_not_when_the_period_ends() {
    let mut settings = capped(1, OnCap::Hold);
    recipient(&mut settings).caps = caps(CapPer::Month, 1, OnCap::Hold);
    settings.system.max_lead_age = Some(secs(3_600));
    let stage = on(&settings).await;
    stage.door.will([answered(200)]);
    let ids = post(&stage, 2).await;
    stage.pass(secs(3_599)).await;
    assert!(matches!(stage.state(ids[1]).await, State::Held { why: HoldReason::Cap, .. }));
    stage.pass(secs(2)).await;
    assert_eq!(stage.review_cause(ids[1]).await, steadfast_retry::ReviewCause::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_changed_cap_applies_at_once() {
    let stage = on(&capped(1, OnCap::Skip)).await;
    stage.door.will((0..9).map(|_| answered(200)));
    post(&stage, 2).await;
    assert_eq!(stage.door.sends(), 1);
    stage.follow(&capped(3, OnCap::Skip), 2);
    post(&stage, 5).await;
    assert_eq!((stage.door.sends(), tally(&stage).used), (3, 3), "what was counted stays counted");
    stage.follow(&capped(2, OnCap::Skip), 3);
    post(&stage, 1).await;
    assert_eq!(stage.door.sends(), 3);
    stage.follow(&settings(), 4);
    post(&stage, 1).await;
    assert_eq!((stage.door.sends(), stage.engine.caps().len()), (4, 0));
}

/// Found by the storm: a person's word that sending again is right does not say that it was not taken.
#[tokio::test(start_paused = true)]
async fn only_a_word_on_what_became_of_it_frees_the_place_of_what_may_have_been_taken() {
    let mut settings = capped(1, OnCap::Skip);
    flow(&mut settings).in_doubt.mode = Some(InDoubtMode::Hold);
    let stage = on(&settings).await;
    stage.door.will([reset()]);
    let first = stage.lead().await;
    stage.door.will([answered(503)]);
    stage.act(first, steadfast_retry::Verb::Retry).await.unwrap();
    assert_eq!((stage.door.sends(), tally(&stage)), (2, CapTally { used: 0, reserved: 1 }));
    let second = stage.lead().await;
    assert!(matches!(stage.state(second).await, State::Closed { why: CloseReason::Capped, .. }));
    stage.act(first, dismiss()).await.unwrap();
    // Said while it is under way, it says nothing of the doubt that arises then.
    let third = stage.lead().await;
    stage.act(third, dismiss()).await.unwrap();
    stage.door.answer(reset());
    stage::idle().await;
    assert_eq!(stage.review_cause(third).await, steadfast_retry::ReviewCause::InDoubt);
    assert_eq!((stage.door.sends(), tally(&stage)), (3, CapTally { used: 0, reserved: 1 }));
    stage.act(third, dismiss()).await.unwrap();
    assert_eq!(tally(&stage), CapTally::default());
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_taken_keeps_its_place_where_it_went_though_its_step_sends_elsewhere_now() {
    let mut settings = capped(1, OnCap::Hold);
    flow(&mut settings).in_doubt.mode = Some(InDoubtMode::Retry);
    let mill = RecipientName::new("mill").unwrap();
    let usual = settings.recipients[&bigbank()].clone();
    settings.recipients.insert(mill.clone(), usual);
    let stage = on(&settings).await;
    stage.door.will([reset(), answered(200)]);
    stage.lead().await;
    flow(&mut settings).steps[0].recipient = mill;
    stage.follow(&settings, 2);
    stage.pass(secs(5)).await;
    let tallies: Vec<_> = stage.engine.caps().iter().map(|one| (one.cap.scope.to_string(), one.tally.used)).collect();
    assert_eq!(tallies, [("recipient bigbank".to_owned(), 1), ("recipient mill".to_owned(), 1)]);
}

/// Found by the storm: an hour of looks every second, each of them written.
#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_makes_nobody_look_more_often() {
    let stage = on(&capped(1, OnCap::Hold)).await;
    let ids = post(&stage, 2).await;
    stage.pass(secs(10)).await;
    stage.clock.set(stage::START.before(secs(3_600)));
    stage.pass(secs(3_000)).await;
    let looks = stage.changes(ids[1]).await.len();
    assert!((2..12).contains(&looks), "{looks} looks");
}

/// Who was delivered, by their numbers.
async fn who(stage: &Stage, ids: &[DeliveryId]) -> Vec<usize> {
    let all = states(stage, ids).await.into_iter().enumerate();
    all.filter(|(_, state)| delivered(state)).map(|(number, _)| number).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_held_looks_again_when_a_cap_is_raised_oldest_first() {
    let stage = on(&capped(1, OnCap::Hold)).await;
    stage.door.will((0..99).map(|_| answered(200)));
    let ids = post(&stage, 200).await;
    assert_eq!(who(&stage, &ids).await, [0]);
    stage.follow(&capped(3, OnCap::Hold), 2);
    stage.pass(secs(2)).await;
    assert_eq!((who(&stage, &ids).await, tally(&stage).used), (vec![0, 1, 2], 3));
    // Lowered, nothing goes; taken away, all do.
    stage.follow(&capped(2, OnCap::Hold), 3);
    stage.pass(secs(2)).await;
    assert_eq!(stage.door.sends(), 3);
    stage.door.will((0..200).map(|_| answered(200)));
    stage.follow(&settings(), 4);
    stage.pass(secs(2)).await;
    assert_eq!((accepted(&stage, &ids).await, stage.engine.open()), (200, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_looks_again_when_a_place_in_doubt_comes_free() {
    let mut settings = capped(1, OnCap::Hold);
    flow(&mut settings).in_doubt.mode = Some(InDoubtMode::Hold);
    let stage = on(&settings).await;
    stage.door.will([reset()]);
    let ids = post(&stage, 3).await;
    // It has looked in vain for an hour, later and later.
    stage.pass(secs(3_600)).await;
    assert_eq!(stage.door.sends(), 1);
    stage.door.will([answered(200)]);
    stage.act(ids[0], dismiss()).await.unwrap();
    stage.pass(secs(1)).await;
    assert_eq!((who(&stage, &ids).await, stage.door.sends()), (vec![1], 2));
}

#[tokio::test(start_paused = true)]
async fn test_leads_take_no_place_and_a_source_has_its_own() {
    let mut settings = settings();
    let web = SourceName::new("web").unwrap();
    let source = steadfast_flow::SourceSettings { caps: caps(CapPer::Hour, 1, OnCap::Skip), ..Default::default() };
    flow(&mut settings).sources.insert(web.clone(), source);
    recipient(&mut settings).test_leads = Some(steadfast_flow::TestLeads::Send);
    let stage = on(&settings).await;
    stage.door.will((0..9).map(|_| answered(200)));
    let mut fields = Fields::new();
    fields.insert("email", Value::text("ann@example.com")).unwrap();
    let lead = |source: Option<&SourceName>, test| Posted {
        flow: auto(),
        source: source.cloned(),
        test,
        fields: fields.clone(),
        idempotency: None,
    };
    for (posted, sends) in [
        (lead(Some(&web), true), 1),
        (lead(None, false), 2),
        (lead(Some(&web), false), 3),
        (lead(Some(&web), false), 3),
        (lead(None, false), 4),
        (lead(Some(&web), true), 5),
    ] {
        stage.engine.accept(posted).await.unwrap();
        stage::idle().await;
        assert_eq!(stage.door.sends(), sends);
    }
    assert_eq!(
        (tally(&stage).used, stage.engine.caps()[0].cap.to_string().as_str()),
        (1, "1 per hour of source auto.web")
    );
}

#[tokio::test(start_paused = true)]
async fn in_a_sale_the_next_buyer_has_its_turn() {
    let mut settings = capped(1, OnCap::Next);
    let mill = RecipientName::new("mill").unwrap();
    let mut usual = settings.recipients[&bigbank()].clone();
    usual.caps = CapsSettings::default();
    settings.recipients.insert(mill.clone(), usual);
    let second = StepSettings { recipient: mill, ..stage::step("mill") };
    flow(&mut settings).steps.push(second);
    flow(&mut settings).sale = SaleSettings { mode: Some(SaleMode::FirstAccepted), order: None };
    let stage = on(&settings).await;
    stage.door.will((0..9).map(|_: u8| -> Evidence { answered(200) }));
    stage.post().await.unwrap();
    let second = stage.post().await.unwrap();
    let ids: Vec<DeliveryId> = second.deliveries.iter().map(|delivery| delivery.id).collect();
    let states = states(&stage, &ids).await;
    assert!(matches!(states[0], State::Closed { why: CloseReason::Capped, .. }) && delivered(&states[1]), "{states:?}");
    assert_eq!(second.deliveries[1].step, StepName::new("mill").unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_was_concluded_after_doubt_is_confirmed_once_by_a_person_or_a_conversion_and_counts_once() {
    let mut settings = capped(9, OnCap::Skip);
    flow(&mut settings).in_doubt.mode = Some(InDoubtMode::AssumeDelivered);
    let stage = on(&settings).await;
    stage.door.will([reset(), reset()]);
    let ids = post(&stage, 2).await;
    let probably = State::Delivered { at: stage::START, probable: true, by_hand: false };
    assert_eq!(states(&stage, &ids).await, [probably.clone(), probably]);
    stage.pass(secs(60)).await;
    stage.act(ids[0], mark_delivered()).await.unwrap();
    let conversion = Conversion { at: stage.engine.now(), revenue: "99.50".into(), currency: None };
    stage.engine.after_sale(ids[1], AfterSale::Converted(conversion), "ann").await.unwrap();
    let known = |by_hand| State::Delivered { at: stage::START, probable: false, by_hand };
    assert_eq!(states(&stage, &ids).await, [known(true), known(false)]);
    assert_eq!(tally(&stage), CapTally { used: 2, reserved: 0 });
    for id in ids {
        let again = stage.act(id, mark_delivered()).await.unwrap_err().to_string();
        assert!(again.ends_with("what was delivered stays delivered"), "{again}");
    }
}

/// `sell` to bigbank, then its standby, then another recipient.
fn with_legs(mut settings: Settings) -> Settings {
    let mill = RecipientName::new("mill").unwrap();
    let mut other = settings.recipients[&bigbank()].clone();
    other.caps = CapsSettings::default();
    settings.recipients.insert(mill.clone(), other);
    let leg = |recipient: Option<RecipientName>, address: &str| {
        let request = RequestSettings { url: Some(Address::parse(address).unwrap()), ..RequestSettings::default() };
        LegSettings { recipient, request, ..LegSettings::default() }
    };
    flow(&mut settings).steps[0].fallbacks =
        vec![leg(None, "http://standby.test/in"), leg(Some(mill), "http://mill.test/in")];
    settings
}

#[tokio::test(start_paused = true)]
async fn a_full_recipient_gives_way_to_the_first_leg_that_its_cap_does_not_count() {
    let stage = on(&with_legs(capped(1, OnCap::Next))).await;
    stage.door.will([answered(200), answered(200)]);
    let ids = post(&stage, 2).await;
    stage.pass(secs(1)).await;
    assert_eq!((accepted(&stage, &ids).await, tally(&stage)), (2, CapTally { used: 1, reserved: 0 }));
    let urls: Vec<String> = stage.door.seen().into_iter().map(|seen| seen.url).collect();
    assert_eq!(urls, ["http://bigbank.test/leads", "http://mill.test/in"], "the standby is the same bank");
    let second = stage.delivery(ids[1]).await;
    assert_eq!((second.progress.leg, second.progress.retries_used), (2, 0));
    let because = &stage.changes(ids[1]).await[0].because;
    assert!(because.starts_with("not sent: the cap of 1 per day of recipient bigbank is full"), "{because}");
    assert!(because.ends_with("leg 2 begins, at mill at http://mill.test:80"), "{because}");
}

#[tokio::test(start_paused = true)]
async fn no_leg_helps_where_the_step_is_full_or_the_lead_may_be_taken() {
    let mut settings = with_legs(capped(1, OnCap::Next));
    recipient(&mut settings).caps = CapsSettings::default();
    flow(&mut settings).steps[0].caps = caps(CapPer::Day, 1, OnCap::Next);
    let stage = on(&settings).await;
    stage.door.will([answered(200)]);
    let ids = post(&stage, 2).await;
    stage.pass(secs(1)).await;
    assert!(matches!(stage.state(ids[1]).await, State::Closed { why: CloseReason::Capped, .. }));
    assert_eq!(stage.door.sends(), 1);

    // The first is in doubt and keeps its place; the other, in doubt as well, finds the cap lowered and goes nowhere.
    let stage = on(&with_legs(capped(2, OnCap::Next))).await;
    stage.door.will([reset(), reset()]);
    let ids = post(&stage, 2).await;
    stage.follow(&with_legs(capped(1, OnCap::Next)), 2);
    stage.door.will([answered(200)]);
    stage.pass(secs(60)).await;
    assert!(stage.door.seen().iter().all(|seen| seen.url == "http://bigbank.test/leads"));
    assert_eq!(stage.delivery(ids[1]).await.progress.leg, 0);
}

/// Steps of the flow, and where each sends.
fn sending(settings: &Settings, steps: &[(&str, &str)]) -> Settings {
    let mut settings = settings.clone();
    let theirs = recipient(&mut settings).clone();
    settings
        .recipients
        .insert(RecipientName::new("other").unwrap(), RecipientSettings { caps: CapsSettings::default(), ..theirs });
    let step = |(id, to): &(&str, &str)| StepSettings { recipient: RecipientName::new(to).unwrap(), ..stage::step(id) };
    flow(&mut settings).steps = steps.iter().map(step).collect();
    settings
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_cut_off_keeps_its_place_though_its_step_is_gone_or_sends_elsewhere_by_then() {
    for changed in [&[("copy", "bigbank")][..], &[("sell", "other"), ("copy", "bigbank")]] {
        let settings = capped(1, OnCap::Skip);
        let stage = on(&settings).await;
        let id = stage.lead().await;
        assert_eq!(stage.door.sends(), 1, "the process dies while it is under way");
        let stage = stage.crash_to(sending(&settings, changed), 2, secs(1)).await;
        assert!(stage.delivery(id).await.progress.in_doubt);
        assert_eq!(tally(&stage), CapTally { used: 0, reserved: 1 });
        let later = stage.post().await.unwrap().deliveries;
        let copy = later.iter().find(|delivery| delivery.step.as_str() == "copy").unwrap().id;
        assert!(matches!(stage.state(copy).await, State::Closed { why: CloseReason::Capped, .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_place_on_the_way_is_planned_anew_once_and_then_waits_as_it_did() {
    let stage = on(&capped(1, OnCap::Hold)).await;
    let ids = post(&stage, 2).await;
    assert_eq!((stage.door.sends(), tally(&stage)), (1, CapTally { used: 0, reserved: 1 }));
    stage.pass(secs(10)).await;
    let before = stage.delivery(ids[1]).await;
    let mut changed = capped(1, OnCap::Hold);
    changed.system.max_retries = Some(5);
    stage.follow(&changed, 2);
    stage.pass(secs(1)).await;
    assert_eq!(stage.delivery(ids[1]).await.version, before.version, "nothing is written");
    stage.door.answer(answered(422));
    stage.door.will([answered(200)]);
    stage.pass(secs(60)).await;
    assert!(delivered(&stage.state(ids[1]).await));
}
