//! The suppression list: what waits of a person is closed, and what comes later is never sent.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, auto, bigbank, delivered, idle, reset, secs, settings};
use steadfast_engine::RefusedSuppression;
use steadfast_lead::{DeliveryId, RecipientName};
use steadfast_retry::{CloseReason, ReviewCause, State, Within};

async fn is_suppressed(stage: &Stage, id: DeliveryId) -> bool {
    matches!(stage.state(id).await, State::Closed { why: CloseReason::Suppressed, .. })
}

async fn suppress(stage: &Stage, within: Within) {
    let person = (Some(" ANN@example.com "), None);
    let kept = stage.engine.suppress(person, within, "bob", "consent withdrawn").await.unwrap();
    assert_eq!(kept.len(), 1);
    idle().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_closed_at_once_and_what_comes_later_before_it_is_sent() {
    let stage = Stage::new().await;
    stage.door.will([answered(503)]);
    let waiting = stage.lead().await;
    assert!(matches!(stage.state(waiting).await, State::Waiting { .. }));
    suppress(&stage, Within::Everything).await;
    assert!(is_suppressed(&stage, waiting).await, "no time has passed");
    let said = "nothing more is sent of this person, by the word of bob: consent withdrawn";
    assert_eq!(stage.last_because(waiting).await, said);
    let later = stage.lead().await;
    assert!(is_suppressed(&stage, later).await);
    stage.pass(secs(600)).await;
    assert_eq!(stage.door.sends(), 1);
    // The word is taken back.
    let (entry, _) = stage.engine.suppressions(None, 10).remove(0);
    assert_eq!(stage.engine.unsuppress(&entry, "bob", "asked again").await, Ok(true));
    assert_eq!(stage.engine.unsuppress(&entry, "bob", "asked again").await, Ok(false));
    stage.door.will([answered(201)]);
    let again = stage.lead().await;
    assert!(delivered(&stage.state(again).await));
    assert!(is_suppressed(&stage, later).await, "what was closed stays closed");
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_ends_as_it_would_and_no_other_attempt_follows() {
    let stage = Stage::new().await;
    let (taken, failed) = (stage.lead().await, stage.lead().await);
    suppress(&stage, Within::Everything).await;
    stage.door.answer(answered(201));
    stage.door.answer(answered(503));
    idle().await;
    assert!(delivered(&stage.state(taken).await));
    stage.pass(secs(10)).await;
    assert!(is_suppressed(&stage, failed).await);
    assert_eq!(stage.attempts(failed).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_survives_a_crash_and_what_a_crash_cut_off_is_gone_on_with() {
    let stage = Stage::new().await;
    stage.door.will([answered(503)]);
    let waiting = stage.lead().await;
    // Nothing was cancelled before the crash: the task that does it has not run.
    let person = (Some("ann@example.com"), None);
    stage.engine.suppress(person, Within::Everything, "bob", "x").await.unwrap();
    let stage = stage.crash(settings(), secs(1)).await;
    assert!(is_suppressed(&stage, waiting).await);
    let later = stage.lead().await;
    assert!(is_suppressed(&stage, later).await);
    assert_eq!(stage.door.sends(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_flow_or_a_recipient_may_be_meant_alone() {
    for (within, closes) in [
        (Within::Flow(auto()), true),
        (Within::Recipient(bigbank()), true),
        (Within::Recipient(RecipientName::new("other").unwrap()), false),
    ] {
        let stage = Stage::new().await;
        stage.door.will([answered(201)]);
        suppress(&stage, within).await;
        let id = stage.lead().await;
        assert_eq!(is_suppressed(&stage, id).await, closes);
        assert_eq!(delivered(&stage.state(id).await), !closes);
    }
}

#[tokio::test(start_paused = true)]
async fn while_an_attempt_is_in_doubt_a_person_looks() {
    let stage = Stage::new().await;
    stage.door.will([reset()]);
    let id = stage.lead().await;
    suppress(&stage, Within::Everything).await;
    assert_eq!(stage.review_cause(id).await, ReviewCause::InDoubt);
    stage.pass(secs(600)).await;
    assert_eq!(stage.door.sends(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_refused_by_name() {
    let stage = Stage::new().await;
    let refused =
        async |email, phone| stage.engine.suppress((email, phone), Within::Everything, "bob", "x").await.unwrap_err();
    assert_eq!(refused(None, None).await, RefusedSuppression::Nobody);
    assert_eq!(refused(Some("ann"), None).await, RefusedSuppression::BadEmail);
    assert_eq!(refused(Some("a@b.c"), Some("12")).await, RefusedSuppression::BadPhone);
    assert!(stage.engine.suppressions(None, 10).is_empty());
}
