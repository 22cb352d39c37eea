//! Closed hours: what comes due in them waits for the opening, and uses no retry for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod stage;

use stage::{Stage, answered, bigbank, delivered, flow, recipient, reset, secs, settings, unprotected};
use std::time::Duration;
use steadfast_engine::{Clock, EndpointHold, EngineLimits};
use steadfast_flow::{
    Address, CalendarSettings, CalledWhen, LegSettings, MaintenanceSettings, RecipientSettings, RequestSettings,
    RetryHoursSettings, Settings,
};
use steadfast_lead::{RecipientName, Timestamp};
use steadfast_retry::policy::Layer;
use steadfast_retry::{CloseReason, FailureKind, HoldReason, ReviewCause, State, WhenClosed};

const DAY: u64 = 86_400;

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Open on weekdays from nine to five in New York, but on Monday the 8th of November 2027.
fn office() -> Settings {
    let mut settings = settings();
    settings.system = Layer { max_lead_age: Some(secs(7 * DAY)), ..settings.system };
    recipient(&mut settings).called_when = CalledWhen {
        own: CalendarSettings {
            time_zone: Some("America/New_York".into()),
            hours: Some("Mo-Fr 09:00-17:00".into()),
            holidays: vec!["2027-11-08".into()],
            maintenance: Vec::new(),
        },
        ..CalledWhen::default()
    };
    settings
}

/// On Friday the 5th of November 2027, two days before clocks go back.
async fn friday(settings: Settings, text: &str) -> Stage {
    let stage = Stage::of(settings, EngineLimits::default()).await;
    stage.clock.set(time(text));
    stage.pass(Duration::ZERO).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn a_failure_just_before_closing_is_tried_again_at_the_next_opening() {
    let stage = friday(office(), "2027-11-05T20:59:59Z").await;
    stage.door.will([answered(503), answered(503), answered(201)]);
    let id = stage.lead().await;
    let State::Waiting { due } = stage.state(id).await else { panic!("one attempt has failed") };
    assert_eq!(due, time("2027-11-05T21:00:01Z"));
    stage.pass(secs(2)).await;
    let endpoint = stage.delivery(id).await.endpoint;
    let opens = time("2027-11-09T14:00:00Z");
    let hold = EndpointHold { why: HoldReason::Closed, until: Some(opens) };
    assert_eq!(stage.engine.hold_of(&endpoint), Some(hold));
    assert_eq!(stage.state(id).await, State::Waiting { due }, "nothing is written on it");
    stage.pass(opens.since(stage.clock.now()).saturating_sub(secs(1))).await;
    assert_eq!(stage.attempts(id).await.len(), 1);
    stage.pass(secs(1)).await;
    let attempts = stage.attempts(id).await;
    assert_eq!((attempts.len(), attempts[1].started), (2, opens));
    // Two of three retries and two seconds of five minutes are used: waiting for the opening used none.
    stage.pass(secs(4)).await;
    assert!(delivered(&stage.state(id).await), "{:?}", stage.last_because(id).await);
    let progress = stage.delivery(id).await.progress;
    assert_eq!((progress.retries_used, progress.held), (2, opens.since(due)));
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_after_hours_waits_and_what_grows_too_old_asks_a_person() {
    let mut settings = office();
    settings.system = Layer { max_lead_age: Some(secs(DAY)), ..settings.system };
    let stage = friday(settings, "2027-11-05T22:00:00Z").await;
    stage.door.will([answered(201)]);
    let id = stage.lead().await;
    stage.pass(secs(DAY + 1)).await;
    assert_eq!(stage.review_cause(id).await, ReviewCause::Expired);
    assert!(stage.attempts(id).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_waits_follows_a_changed_calendar_and_maintenance_says_so() {
    let stage = friday(office(), "2027-11-05T22:00:00Z").await;
    stage.door.will([answered(201)]);
    let id = stage.lead().await;
    let endpoint = stage.delivery(id).await.endpoint;
    let mut longer = office();
    let own = &mut recipient(&mut longer).called_when.own;
    own.hours = Some("24/7".into());
    let window = ("2027-11-05T18:00".into(), "2027-11-05T18:10".into());
    let maintenance = MaintenanceSettings { from: Some(window.0), until: Some(window.1), ..Default::default() };
    own.maintenance = vec![maintenance];
    stage.follow(&longer, 2);
    stage.pass(secs(1)).await;
    let hold = EndpointHold { why: HoldReason::Maintenance, until: Some(time("2027-11-05T22:10:00Z")) };
    assert_eq!(stage.engine.hold_of(&endpoint), Some(hold));
    stage.pass(secs(600)).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(stage.attempts(id).await[0].started, time("2027-11-05T22:10:00Z"));
    assert_eq!(endpoint.recipient, bigbank());
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_closed_hours_sends_nothing_before_the_opening() {
    let stage = friday(office(), "2027-11-05T22:00:00Z").await;
    let id = stage.lead().await;
    let stage = stage.crash(office(), secs(3_600)).await;
    stage.door.will([answered(201)]);
    stage.pass(secs(2 * DAY)).await;
    assert!(stage.attempts(id).await.is_empty());
    stage.pass(secs(2 * DAY)).await;
    assert_eq!(stage.attempts(id).await[0].started, time("2027-11-09T14:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn closed_hours_may_end_what_comes_due_in_them_and_maintenance_never_does() {
    for (when_closed, rejected) in [(WhenClosed::Skip, false), (WhenClosed::Reject, true)] {
        let mut settings = office();
        recipient(&mut settings).called_when.when_closed = when_closed;
        let window = ("2027-11-05T16:00".into(), "2027-11-05T16:10".into());
        let maintenance = MaintenanceSettings { from: Some(window.0), until: Some(window.1), ..Default::default() };
        recipient(&mut settings).called_when.own.maintenance = vec![maintenance];
        let stage = friday(settings, "2027-11-05T20:05:00Z").await;
        stage.door.will([answered(201), answered(503)]);
        let maintained = stage.lead().await;
        stage.pass(secs(4 * 60)).await;
        assert!(matches!(stage.state(maintained).await, State::Waiting { .. }), "in maintenance it waits");
        stage.pass(secs(60)).await;
        assert!(delivered(&stage.state(maintained).await));
        // Fails a second before closing, and is due after it.
        stage.pass(time("2027-11-05T20:59:59Z").since(stage.clock.now())).await;
        let failed = stage.lead().await;
        stage.pass(secs(3)).await;
        let late = stage.lead().await;
        for (id, attempts) in [(failed, 1), (late, 0)] {
            let state = stage.state(id).await;
            let was_rejected = matches!(state, State::Rejected { kind: FailureKind::Rejected, .. });
            let was_closed = matches!(state, State::Closed { why: CloseReason::ClosedHours, .. });
            assert_eq!((was_rejected, was_closed), (rejected, !rejected), "{state:?}");
            assert_eq!(stage.attempts(id).await.len(), attempts);
            let said = format!("bigbank is closed, and closed = \"{}\"", when_closed.name());
            assert_eq!(stage.last_because(id).await, said);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn closed_hours_may_begin_the_next_leg_and_where_nothing_follows_it_waits() {
    let mut settings = office();
    recipient(&mut settings).called_when.when_closed = WhenClosed::Next;
    let opens = time("2027-11-09T14:00:00Z");
    let alone = friday(settings.clone(), "2027-11-05T22:00:00Z").await;
    let id = alone.lead().await;
    let State::Held { until, why, .. } = alone.state(id).await else { panic!("it waits") };
    assert_eq!((until, why), (opens, HoldReason::Closed));

    let night = RecipientName::new("nightbank").unwrap();
    let url = Some(Address::parse("http://night.test/leads").unwrap());
    let request = RequestSettings { url, ..RequestSettings::default() };
    let plain = RecipientSettings { request, protection: unprotected(), ..RecipientSettings::default() };
    settings.recipients.insert(night.clone(), plain);
    flow(&mut settings).steps[0].fallbacks = vec![LegSettings { recipient: Some(night), ..LegSettings::default() }];
    let stage = friday(settings, "2027-11-05T20:59:59Z").await;
    stage.door.will([answered(503), answered(201)]);
    let failed = stage.lead().await;
    stage.pass(secs(3)).await;
    assert!(delivered(&stage.state(failed).await), "{}", stage.last_because(failed).await);
    let changes = stage.changes(failed).await;
    let said = "bigbank is closed, and closed = \"next\"; leg 1 begins, at nightbank at http://night.test:80";
    assert_eq!((&*changes[0].because, changes[0].leg), (said, Some(1)));
    assert_eq!(stage.door.seen()[1].url, "http://night.test/leads");
}

#[tokio::test(start_paused = true)]
async fn retries_wait_for_the_off_peak_window_and_first_attempts_do_not() {
    let mut settings = settings();
    settings.system = Layer { max_lead_age: Some(secs(7 * DAY)), ..settings.system };
    let zone = Some("America/New_York".into());
    let hours = RetryHoursSettings { hours: "Mo-Su 20:00-06:00".into(), time_zone: zone, after: 1 };
    flow(&mut settings).steps[0].terms.retry_hours = Some(hours);
    // Noon in New York.
    let stage = friday(settings.clone(), "2027-11-05T16:00:00Z").await;
    stage.door.will([answered(503), answered(503), answered(201)]);
    let id = stage.lead().await;
    stage.pass(secs(10)).await;
    let evening = time("2027-11-06T00:00:00Z");
    let State::Held { until, why, .. } = stage.state(id).await else { panic!("the second retry waits") };
    assert_eq!((until, why, stage.attempts(id).await.len()), (evening, HoldReason::RetryHours, 2));
    assert_eq!(stage.last_because(id).await, "retry 2 waits for the retry hours Mo-Su 20:00-06:00 in America/New_York");
    stage.pass(evening.since(stage.clock.now())).await;
    assert!(delivered(&stage.state(id).await));
    assert_eq!(stage.delivery(id).await.progress.retries_used, 2, "waiting used none");

    settings.system.max_lead_age = Some(secs(3_600));
    let stage = friday(settings, "2027-11-05T16:00:00Z").await;
    stage.door.will([answered(503), answered(503), answered(201)]);
    let old = stage.lead().await;
    stage.pass(secs(10)).await;
    assert!(delivered(&stage.state(old).await), "it would be too old by the evening");
}

#[tokio::test(start_paused = true)]
async fn while_an_attempt_is_in_doubt_closed_hours_end_nothing() {
    let mut settings = office();
    recipient(&mut settings).called_when.when_closed = WhenClosed::Skip;
    let stage = friday(settings, "2027-11-05T20:59:59Z").await;
    stage.door.will([reset(), answered(201)]);
    let id = stage.lead().await;
    stage.pass(secs(10)).await;
    let opens = time("2027-11-09T14:00:00Z");
    let State::Held { until, why, .. } = stage.state(id).await else { panic!("held itself") };
    assert_eq!((until, why), (opens, HoldReason::Closed));
    stage.pass(opens.since(stage.clock.now())).await;
    assert!(delivered(&stage.state(id).await));
}
