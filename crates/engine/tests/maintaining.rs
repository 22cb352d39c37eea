//! Maintenance by a person's word: from one time until another a recipient is sent nothing, also over a restart.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{START, Stage, answered, at, bigbank, delivered, secs, settings};
use steadfast_engine::{Clock, EndpointHold, MAINTENANCE_BY_HAND_MAX, RefusedMaintenance};
use steadfast_retry::{EventKind, HoldReason, State};
use steadfast_store::{Cursor, Journal, Protection};

const DAY: u64 = 86_400;

#[tokio::test(start_paused = true)]
async fn what_comes_due_in_maintenance_waits_for_its_end_also_over_a_restart() {
    let stage = Stage::new().await;
    stage.door.will([answered(503)]);
    let id = stage.lead().await;
    let endpoint = stage.delivery(id).await.endpoint;
    stage.engine.maintain(&bigbank(), (at(1), at(600)), "ann", "new disks").await.unwrap();
    assert_eq!(stage.engine.hold_of(&endpoint), None, "it has not begun");
    stage.pass(secs(60)).await;
    let hold = EndpointHold { why: HoldReason::Maintenance, until: Some(at(600)) };
    assert_eq!(stage.engine.hold_of(&endpoint), Some(hold));
    let note = stage.engine.hold_note(&bigbank(), HoldReason::Maintenance);
    assert_eq!(note.as_deref(), Some("new disks, by ann"));
    assert_eq!(stage.state(id).await, State::Waiting { due: at(2) }, "nothing is written on it");
    let stage = stage.crash(settings(), secs(10)).await;
    stage.door.will([answered(201)]);
    assert_eq!(stage.engine.maintenance(&bigbank()).len(), 1);
    stage.pass(at(599).since(stage.clock.now())).await;
    assert_eq!(stage.attempts(id).await.len(), 1);
    stage.pass(secs(1)).await;
    let attempts = stage.attempts(id).await;
    assert_eq!((attempts.len(), attempts[1].started), (2, at(600)));
    assert!(delivered(&stage.state(id).await));
    assert_eq!(stage.delivery(id).await.progress.held, secs(598), "waiting used no time");
    assert!(stage.engine.maintenance(&bigbank()).is_empty(), "it is over");
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_lets_go_at_once_and_a_changed_configuration_does_not() {
    let stage = Stage::new().await;
    stage.engine.maintain(&bigbank(), (START, at(DAY)), "ann", "new disks").await.unwrap();
    stage.door.will([answered(201)]);
    let id = stage.lead().await;
    stage.follow(&settings(), 2);
    stage.pass(secs(60)).await;
    assert_eq!(stage.door.sends(), 0);
    assert!(!stage.engine.end_maintenance(&bigbank(), at(7), "bob", "done early").await.unwrap(), "no such window");
    assert!(stage.engine.end_maintenance(&bigbank(), START, "bob", "done early").await.unwrap());
    stage::idle().await;
    assert!(delivered(&stage.state(id).await));
    let told = stage.store.memory().events(Cursor(0), 1_000).await.unwrap();
    let told = told.iter().filter(|(_, event)| matches!(event.kind, EventKind::Stopped(_) | EventKind::Resumed { .. }));
    assert_eq!(told.count(), 2);
    assert!(stage.store.memory().stops().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn windows_that_make_no_sense_are_refused_and_those_over_are_let_go_of() {
    let stage = Stage::new().await;
    let say = async |from: u64, until: u64| stage.engine.maintain(&bigbank(), (at(from), at(until)), "ann", "x").await;
    say(100, 200).await.unwrap();
    say(200, 300).await.unwrap();
    let refused =
        |result: Result<_, RefusedMaintenance>| result.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused(say(300, 300).await).starts_with("until = "), "it ends before it begins");
    assert!(refused(say(250, 260).await).contains("overlaps with the maintenance from"));
    assert!(refused(say(50, 101).await).contains("which ann has said"));
    assert!(refused(say(0, 367 * DAY).await).contains("within a year"));
    assert!(refused(say(367 * DAY, 367 * DAY + 1).await).contains("within a year"));
    stage.pass(secs(250)).await;
    assert!(refused(say(10, 250).await).contains("has passed"));
    say(400, 500).await.unwrap();
    assert_eq!(stage.store.memory().stops().await.unwrap().len(), 2, "the first is over");
    for number in 0..(MAINTENANCE_BY_HAND_MAX as u64 - 2) {
        say(1_000 + number * 10, 1_005 + number * 10).await.unwrap();
    }
    assert!(refused(say(9_000, 9_001).await).contains("cancel some"));
}
