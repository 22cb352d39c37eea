//! Doubt through the engine, mode by mode: what is sent, what is asked, and what is on disk before.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{
    Mood, Stage, answered, at, delivered, flow, idle, in_doubt, recipient, reset, secs, settings, with_header,
};
use steadfast_engine::{EngineLimits, Purpose};
use steadfast_flow::{Address, BreakerKeys, InDoubtMode, Settings};
use steadfast_lead::RecipientName;
use steadfast_retry::{EventKind, LookUpAnswer, ReviewCause, State, Verb};
use steadfast_store::{Cursor, Journal};

/// The recipient is asked at another address.
fn verifying() -> Settings {
    let mut settings = in_doubt(InDoubtMode::Verify);
    let url = "http://status.test/of/{{ delivery_id }}?key={{ idempotency_key }}&mail={{ email }}";
    recipient(&mut settings).in_doubt.look_up.request.url = Some(Address::parse(url).unwrap());
    settings
}

async fn stage(settings: Settings) -> Stage {
    Stage::of(settings, EngineLimits::default()).await
}

#[tokio::test(start_paused = true)]
async fn the_recipient_is_asked_before_anything_is_sent_again() {
    let stage = stage(verifying()).await;
    stage.door.will([reset(), answered(404), answered(200)]);
    let id = stage.lead().await;
    stage.pass(secs(2)).await;
    let seen = stage.door.seen();
    let purposes: Vec<Purpose> = seen.iter().map(|seen| seen.purpose).collect();
    assert_eq!(purposes, [Purpose::Lead, Purpose::LookUp, Purpose::Lead]);
    assert_eq!(seen[1].url, format!("http://status.test/of/{id}?key={id}&mail=ann%40example.com"));
    assert_eq!((&seen[0].key, seen[0].digest), (&seen[2].key, seen[2].digest), "the same request");
    assert_eq!((seen[0].attempt, seen[2].attempt), (1, 2), "a look-up is no attempt");
    assert!(delivered(&stage.state(id).await));
    let look_up = stage.look_ups(id).await.remove(0);
    assert_eq!(
        (look_up.answer(), look_up.started, &*look_up.endpoint.origin),
        (LookUpAnswer::NotFound, at(2), "http://status.test:80")
    );
    let told = stage.store.memory().events(Cursor(0), 100).await.unwrap();
    assert_eq!(told.iter().filter(|(_, event)| matches!(event.kind, EventKind::LookUpSettled(_))).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn found_is_delivered_and_never_sent_again() {
    let stage = stage(verifying()).await;
    stage.door.will([reset(), answered(200)]);
    let id = stage.lead().await;
    stage.pass(secs(600)).await;
    assert_eq!(stage.state(id).await, State::Delivered { at: at(2), probable: true, by_hand: false });
    assert_eq!((stage.door.sends(), stage.engine.open()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn look_ups_without_an_answer_end_with_a_person_whose_word_sends_at_once() {
    let stage = stage(verifying()).await;
    stage.door.will([reset(), answered(503), answered(503), reset(), answered(401), answered(503)]);
    let id = stage.lead().await;
    stage.pass(secs(600)).await;
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::InDoubt, 6));
    assert_eq!((stage.look_ups(id).await.len(), stage.delivery(id).await.progress.retries_used), (5, 0));
    stage.door.will([answered(200)]);
    assert!(stage.act(id, Verb::Retry).await.is_ok());
    assert!(delivered(&stage.state(id).await));
    assert_eq!(stage.door.seen()[6].purpose, Purpose::Lead);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_is_cut_off_is_asked_again() {
    let stage = stage(verifying()).await;
    stage.door.will([reset()]);
    let id = stage.lead().await;
    stage.pass(secs(2)).await;
    assert_eq!(stage.door.sends(), 2, "the process dies while it asks");
    let stage = stage.crash(verifying(), secs(0)).await;
    assert_eq!((stage.door.sends(), stage.door.seen()[0].purpose), (1, Purpose::LookUp));
    assert_eq!(stage.delivery(id).await.progress.interruptions, 0);
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_attempt_is_asked_about_too() {
    let stage = stage(verifying()).await;
    let id = stage.lead().await;
    let stage = stage.crash(verifying(), secs(0)).await;
    stage.door.will([answered(200)]);
    stage.pass(secs(2)).await;
    assert_eq!((stage.door.sends(), stage.door.seen()[0].purpose), (1, Purpose::LookUp));
    assert!(delivered(&stage.state(id).await));
}

#[tokio::test(start_paused = true)]
async fn the_endpoints_pause_holds_look_ups() {
    let stage = stage(verifying()).await;
    stage.door.will([reset(), with_header(429, "retry-after", "60")]);
    stage.lead().await;
    stage.lead().await;
    stage.pass(secs(59)).await;
    assert_eq!(stage.door.sends(), 2, "paused: neither sent nor asked");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_a_recipient_whose_breaker_is_open_not_even_about_what_was_held_too_long() {
    let mut settings = verifying();
    recipient(&mut settings).protection.breaker =
        BreakerKeys { longest_hold: Some(secs(10)), ..BreakerKeys::default() };
    let stage = stage(settings).await;
    stage.door.will(std::iter::repeat_n(reset(), 5));
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(stage.lead().await);
    }
    stage.pass(secs(20)).await;
    assert_eq!(stage.door.sends(), 5, "no look-up either");
    for id in ids {
        assert_eq!(stage.review_cause(id).await, ReviewCause::HeldTooLong);
    }
}

#[tokio::test(start_paused = true)]
async fn assumed_delivered_is_probable_and_sent_once() {
    let stage = stage(in_doubt(InDoubtMode::AssumeDelivered)).await;
    stage.door.will([reset()]);
    let id = stage.lead().await;
    stage.pass(secs(60)).await;
    assert_eq!(stage.state(id).await, State::Delivered { at: at(0), probable: true, by_hand: false });
    assert_eq!(stage.door.sends(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_doubt_is_dear_nothing_is_sent_before_its_mark_is_durable() {
    for settings in [verifying(), in_doubt(InDoubtMode::Hold), in_doubt(InDoubtMode::AssumeDelivered)] {
        let stage = stage(settings.clone()).await;
        stage.door.will([answered(503)]);
        let id = stage.lead().await;
        stage.pass(secs(1)).await;
        stage.lead().await;
        stage.store.be(Mood::Full);
        stage.pass(secs(3)).await;
        assert_eq!(stage.door.sends(), 2, "no room for the mark, though something was committed just before");
        let stage = stage.crash(settings, secs(60)).await;
        let delivery = stage.delivery(id).await;
        assert_eq!((delivery.progress.in_doubt, delivery.attempts), (false, 1), "no mark: certainly not sent");
        let leads = stage.door.seen().iter().filter(|seen| seen.purpose == Purpose::Lead).count();
        assert_eq!(leads, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_doubt_follows_a_changed_mode() {
    let modes = [(verifying(), 2), (in_doubt(InDoubtMode::Hold), 1), (in_doubt(InDoubtMode::AssumeDelivered), 1)];
    for (changed, sends) in modes {
        let stage = stage(settings()).await;
        stage.door.will([reset(), answered(200)]);
        let id = stage.lead().await;
        stage.follow(&changed, 2);
        stage.pass(secs(2)).await;
        idle().await;
        assert_eq!(stage.door.sends(), sends);
        let probable = matches!(stage.state(id).await, State::Delivered { probable: true, .. });
        let held = matches!(stage.state(id).await, State::InReview { cause: ReviewCause::InDoubt, .. });
        assert!(probable != held);
    }
}

/// The same step, sending to another recipient, which can be asked as well.
fn moved() -> Settings {
    let mut settings = verifying();
    let other = RecipientName::new("other").unwrap();
    let theirs = recipient(&mut settings).clone();
    settings.recipients.insert(other.clone(), theirs);
    flow(&mut settings).steps[0].recipient = other;
    settings
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_about_what_another_recipient_may_have_taken() {
    let stage = stage(verifying()).await;
    stage.door.will([reset()]);
    let id = stage.lead().await;
    stage.follow(&moved(), 2);
    stage.door.always(|_| answered(404));
    stage.pass(secs(60)).await;
    assert_eq!((stage.review_cause(id).await, stage.door.sends()), (ReviewCause::InDoubt, 1));
    let because = stage.last_because(id).await;
    assert_eq!(because, "an attempt is in doubt at bigbank, and its step sends to other now");
}

#[tokio::test(start_paused = true)]
async fn what_the_one_before_denied_is_asked_of_the_next_one_when_it_is_in_doubt_there() {
    let stage = stage(verifying()).await;
    stage.door.will([reset(), answered(404), answered(503)]);
    let id = stage.lead().await;
    stage.pass(secs(2)).await;
    assert_eq!(stage.door.sends(), 3, "denied, sent again, and not taken");
    stage.follow(&moved(), 2);
    stage.door.will([reset(), answered(200)]);
    stage.pass(secs(60)).await;
    let purposes: Vec<Purpose> = stage.door.seen().iter().skip(3).map(|seen| seen.purpose).collect();
    assert_eq!(purposes, [Purpose::Lead, Purpose::LookUp]);
    assert!(delivered(&stage.state(id).await));
}
