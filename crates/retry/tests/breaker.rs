//! The breaker from state to state, as its diagram says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod fixture;

use fixture::at;
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::breaker::{
    Breaker, BreakerMode, BreakerSettings, BreakerState, BreakerVerb, ByHand, Pass, Reason, Signal, Symptom, Transition,
};
use steadfast_retry::{HoldReason, Seed};

fn symptom(signal: Signal) -> Symptom {
    Symptom { signal, strained: false, took: Duration::from_millis(50), asked: None }
}

fn fresh() -> Breaker {
    Breaker::new(BreakerSettings::default(), Seed(7), at(0))
}

/// One attempt that starts and ends at this moment.
fn tell(breaker: &mut Breaker, signal: Signal, now: Timestamp) -> Option<Transition> {
    let passed = breaker.handle_time(now);
    let pass = breaker.ask(now).unwrap();
    breaker.handle_result(pass, &symptom(signal), now).or(passed)
}

fn fail_until_open(breaker: &mut Breaker, now: Timestamp) -> Transition {
    (0..100).find_map(|_| tell(breaker, Signal::Failed, now)).unwrap()
}

fn open_until(breaker: &Breaker) -> Timestamp {
    assert_eq!(breaker.state(), BreakerState::Open);
    breaker.next_look().unwrap()
}

fn probe(breaker: &mut Breaker, now: Timestamp) -> Pass {
    breaker.handle_time(now);
    let pass = breaker.ask(now).unwrap();
    assert!(pass.is_probe());
    pass
}

/// From open through two probes to recovery; answers with when that was.
fn recover(breaker: &mut Breaker) -> Timestamp {
    let now = open_until(breaker);
    tell(breaker, Signal::Healthy, now);
    let transition = tell(breaker, Signal::Healthy, now).unwrap();
    assert_eq!((transition.to, transition.reason), (BreakerState::Recovery, Reason::ProbesSucceeded));
    now
}

fn by() -> ByHand {
    ByHand { by: "ann".into(), reason: "they called".into() }
}

#[test]
fn five_failures_in_a_row_open_it_and_nothing_goes() {
    let mut breaker = fresh();
    let said: Vec<_> = (0..4).map(|_| tell(&mut breaker, Signal::Failed, at(1))).collect();
    assert_eq!(said, [None, None, None, None]);
    let opened = tell(&mut breaker, Signal::Failed, at(1)).unwrap();
    assert_eq!((opened.from, opened.to, opened.reason), (BreakerState::Closed, BreakerState::Open, Reason::InARow));
    assert_eq!((opened.figures.counted.in_a_row, opened.figures.strikes, opened.generation), (5, 1, 1));
    let open_for = opened.figures.open_for.unwrap();
    assert!(open_for >= Duration::from_secs(30) && open_for <= Duration::from_secs(36), "{open_for:?}");
    let wait = breaker.ask(at(1)).unwrap_err();
    assert_eq!((wait.until, wait.why), (Some(at(1).after(open_for)), HoldReason::Breaker));
    let text = opened.to_string();
    assert!(
        text.starts_with("closed to open: 5 failures in a row; open for 3") && text.ends_with("opening 1 in a row"),
        "{text}"
    );
}

#[test]
fn fifteen_of_twenty_trip_and_fourteen_do_not() {
    // Never five in a row; the last is the one that may trip.
    let run = |pattern: &str| {
        let mut breaker = fresh();
        let signals = pattern.chars().map(|one| if one == 'x' { Signal::Failed } else { Signal::Healthy });
        signals.map(|signal| tell(&mut breaker, signal, at(1))).last().unwrap()
    };
    // 14 of 19 are sure already, so that 15 of 20 always are.
    let tripped = run("..xxx.xxxx.xxxx.xxx").unwrap();
    let counted = tripped.figures.counted;
    assert_eq!((tripped.reason, counted.failures, counted.calls), (Reason::Ratio, 14, 19));
    assert!(tripped.to_string().contains("14 of 19 failed within a minute, surely more than 51.2 %"), "{tripped}");
    assert_eq!(run("...xxx.xxx.xxxx.xxxx"), None);
}

#[test]
fn a_success_breaks_the_row_and_neutral_signals_do_not() {
    let mut breaker = fresh();
    (0..3).for_each(|_| assert_eq!(tell(&mut breaker, Signal::Failed, at(1)), None));
    (0..200).for_each(|_| assert_eq!(tell(&mut breaker, Signal::Healthy, at(1)), None));
    (0..4).for_each(|_| assert_eq!(tell(&mut breaker, Signal::Failed, at(1)), None));
    assert_eq!(tell(&mut breaker, Signal::Neutral, at(1)), None);
    assert_eq!(tell(&mut breaker, Signal::Failed, at(1)).unwrap().reason, Reason::InARow);
}

#[test]
fn the_open_time_grows_with_each_failed_probe_and_is_forgiven_by_healthy_minutes() {
    let mut breaker = fresh();
    fail_until_open(&mut breaker, at(0));
    for (strikes, nominal) in [(2, 60), (3, 120), (4, 240), (5, 480), (6, 900), (6, 900)] {
        let now = open_until(&breaker);
        let reopened = tell(&mut breaker, Signal::Failed, now).unwrap();
        assert_eq!((reopened.reason, reopened.figures.strikes), (Reason::ProbeFailed, strikes));
        let open_for = reopened.figures.open_for.unwrap().as_secs();
        assert!((nominal..=nominal + nominal / 5).contains(&open_for), "{strikes}: {open_for}");
    }
    let recovered = recover(&mut breaker);
    let closed = breaker.handle_time(recovered.after(Duration::from_secs(60))).unwrap();
    assert_eq!((closed.to, closed.reason, closed.figures.strikes), (BreakerState::Closed, Reason::RampOver, 6));
    let healthy = closed.at.after(Duration::from_secs(4 * 300));
    assert_eq!(fail_until_open(&mut breaker, healthy).figures.strikes, 3, "four of six forgiven, and one more");
}

#[test]
fn it_stays_open_for_as_long_as_the_recipient_asked() {
    let mut breaker = fresh();
    let asked = Symptom { asked: Some(Duration::from_secs(600)), ..symptom(Signal::Failed) };
    let passes: Vec<Pass> = (0..5).map(|_| breaker.ask(at(0)).unwrap()).collect();
    let opened = passes.into_iter().find_map(|pass| breaker.handle_result(pass, &asked, at(0))).unwrap();
    assert_eq!(opened.figures.open_for, Some(Duration::from_secs(600)));
}

#[test]
fn only_one_probe_at_a_time_and_one_that_does_not_come_back_has_failed() {
    let mut breaker = fresh();
    fail_until_open(&mut breaker, at(0));
    let half_open = open_until(&breaker);
    let first = probe(&mut breaker, half_open);
    let lease_ends = half_open.after(Duration::from_secs(60));
    assert_eq!(breaker.ask(half_open).unwrap_err().until, Some(lease_ends));
    assert_eq!(breaker.next_look(), Some(lease_ends));
    let expired = breaker.handle_time(lease_ends).unwrap();
    assert_eq!((expired.reason, expired.figures.strikes), (Reason::ProbeExpired, 2));
    let late = breaker.handle_result(first, &symptom(Signal::Healthy), lease_ends);
    assert_eq!((late, breaker.state()), (None, BreakerState::Open));
    assert_eq!(breaker.totals().without_effect, 1);
}

#[test]
fn a_restart_in_the_middle_of_a_probe_leaves_nothing_stuck() {
    let mut breaker = fresh();
    fail_until_open(&mut breaker, at(0));
    let half_open = open_until(&breaker);
    let first = probe(&mut breaker, half_open);
    breaker.handle_result(first, &symptom(Signal::Healthy), half_open);
    probe(&mut breaker, half_open);
    let kept = breaker.snapshot();
    let mut restored = Breaker::restore(BreakerSettings::default(), Seed(7), &kept, half_open);
    assert_eq!(restored.snapshot(), kept);
    let transition = tell(&mut restored, Signal::Healthy, half_open).unwrap();
    assert_eq!(transition.to, BreakerState::Recovery, "the first success is not forgotten");
    let mut open = fresh();
    let opened = fail_until_open(&mut open, at(0));
    let restored = Breaker::restore(BreakerSettings::default(), Seed(9), &open.snapshot(), at(5));
    assert_eq!(restored.next_look(), Some(opened.at.after(opened.figures.open_for.unwrap())));
}

#[test]
fn recovery_ramps_closes_after_a_minute_and_opens_sooner() {
    let mut breaker = fresh();
    fail_until_open(&mut breaker, at(0));
    let since = recover(&mut breaker);
    let share = |breaker: &Breaker, seconds| breaker.share_thousandths(since.after(Duration::from_secs(seconds)));
    assert_eq!([0, 3, 30, 59].map(|seconds| share(&breaker, seconds)), [100, 100, 500, 983]);
    let mut sick = breaker.clone();
    let reopened = (0..3).filter_map(|_| tell(&mut sick, Signal::Failed, since)).last().unwrap();
    assert_eq!((reopened.from, reopened.reason, reopened.figures.strikes), (BreakerState::Recovery, Reason::InARow, 2));
    assert_eq!(breaker.handle_time(since.after(Duration::from_secs(60))).unwrap().to, BreakerState::Closed);
    assert_eq!(share(&breaker, 60), 1_000);
}

#[test]
fn what_started_before_a_transition_changes_nothing_after_it() {
    let mut breaker = fresh();
    let old: Vec<Pass> = (0..50).map(|_| breaker.ask(at(0)).unwrap()).collect();
    fail_until_open(&mut breaker, at(0));
    let since = recover(&mut breaker);
    for pass in old {
        assert_eq!(breaker.handle_result(pass, &symptom(Signal::Failed), since), None);
    }
    assert_eq!((breaker.state(), breaker.counted().failures), (BreakerState::Recovery, 0));
    assert_eq!((breaker.totals().failed, breaker.totals().without_effect), (55, 50));
}

#[test]
fn five_refusals_in_a_row_stop_everything_until_a_person_says_so() {
    let mut breaker = fresh();
    (0..4).for_each(|_| assert_eq!(tell(&mut breaker, Signal::Refused, at(0)), None));
    assert_eq!(tell(&mut breaker, Signal::Healthy, at(0)), None);
    (0..4).for_each(|_| assert_eq!(tell(&mut breaker, Signal::Refused, at(0)), None));
    let stopped = tell(&mut breaker, Signal::Refused, at(0)).unwrap();
    assert_eq!((stopped.to, stopped.reason, stopped.figures.refusals), (BreakerState::Credentials, Reason::Refused, 5));
    let wait = breaker.ask(at(1_000_000)).unwrap_err();
    assert_eq!((wait.until, wait.why, breaker.next_look()), (None, HoldReason::Credentials, None));
    let transition = breaker.handle_verb(BreakerVerb::Close, by(), at(9)).unwrap();
    assert_eq!((transition.to, transition.by), (BreakerState::Recovery, Some(by())));
    assert_eq!(tell(&mut breaker, Signal::Refused, at(9)), None, "counted anew");
}

#[test]
fn a_person_can_open_probe_close_and_disable() {
    let mut breaker = fresh();
    assert_eq!(breaker.handle_verb(BreakerVerb::Close, by(), at(0)), None, "closed already");
    let opened = breaker.handle_verb(BreakerVerb::Open, by(), at(0)).unwrap();
    assert!(opened.to_string().ends_with("by hand by ann: they called"), "{opened}");
    assert_eq!(breaker.handle_verb(BreakerVerb::Open, by(), at(0)), None);
    assert_eq!((breaker.ask(at(99_999)).unwrap_err().until, breaker.next_look()), (None, None));
    breaker.handle_verb(BreakerVerb::Probe, by(), at(1)).unwrap();
    assert!(breaker.ask(at(1)).unwrap().is_probe() && breaker.ask(at(1)).is_err());
    breaker.handle_verb(BreakerVerb::Disable, by(), at(2)).unwrap();
    (0..100).for_each(|_| assert_eq!(tell(&mut breaker, Signal::Failed, at(2)), None));
    assert_eq!(breaker.handle_verb(BreakerVerb::Close, by(), at(3)).unwrap().to, BreakerState::Closed);
}

#[test]
fn observing_concludes_the_same_and_stops_nothing() {
    let settings = BreakerSettings { mode: BreakerMode::Observe, ..BreakerSettings::default() };
    let mut breaker = Breaker::new(settings, Seed(7), at(0));
    fail_until_open(&mut breaker, at(0));
    assert_eq!(breaker.stops(at(0)), None);
    let observed = breaker.ask(at(0)).unwrap();
    assert!(observed.is_observed());
    assert_eq!(breaker.handle_result(observed, &symptom(Signal::Healthy), at(0)), None);
    let half_open = open_until(&breaker);
    let probe = probe(&mut breaker, half_open);
    assert!(breaker.ask(half_open).unwrap().is_observed(), "a second one would have waited");
    breaker.handle_result(probe, &symptom(Signal::Failed), half_open).unwrap();
    assert_eq!((breaker.state(), breaker.share_thousandths(half_open)), (BreakerState::Open, 1_000));
}

#[test]
fn switched_off_it_only_counts() {
    let settings = BreakerSettings { mode: BreakerMode::Off, ..BreakerSettings::default() };
    let mut breaker = Breaker::new(settings, Seed(7), at(0));
    (0..100).for_each(|_| assert_eq!(tell(&mut breaker, Signal::Failed, at(0)), None));
    assert_eq!((breaker.state(), breaker.totals().failed), (BreakerState::Closed, 100));
}

#[test]
fn a_clock_that_goes_back_keeps_nothing_open_for_longer() {
    let mut breaker = fresh();
    let opened = fail_until_open(&mut breaker, at(86_400));
    assert_eq!(breaker.handle_time(at(0)), None);
    assert_eq!(breaker.next_look(), Some(at(0).after(opened.figures.open_for.unwrap())));
    let half_open = open_until(&breaker);
    probe(&mut breaker, half_open.after(Duration::from_secs(3_600)));
    assert_eq!(breaker.handle_time(half_open), None);
    assert!(breaker.handle_time(half_open.after(Duration::from_secs(60))).is_some());
}
