//! Caps: periods by the clock of a zone, and counting held against a model that knows nothing of reservations.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod fixture;

use fixture::{FENCE, at, delivery};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_lead::{DeliveryId, Timestamp};
use steadfast_retry::calendar::Zone;
use steadfast_retry::{
    Cap, CapChange, CapLedger, CapPer, CapPeriod, CapTally, CloseReason, Delivery, FailureKind, HoldReason, OnCap,
    Settlement, State, Verb, capped, doubt, reject, verb,
};

fn zone(name: &str) -> Zone {
    Zone::new(name).unwrap()
}

/// How a time reads, and for how many hours its period lasts.
fn period(per: CapPer, name: &str, time: &str) -> (String, String, f64) {
    let (from, until) = per.period(&zone(name), Timestamp::parse(time).unwrap());
    (from.to_string(), until.to_string(), until.since(from).as_secs_f64() / 3_600.0)
}

#[test]
fn a_day_is_what_the_clocks_make_of_it() {
    for (time, hours) in [
        ("2027-03-13T12:00:00Z", 24.0),
        ("2027-03-14T12:00:00Z", 23.0),
        ("2027-11-07T12:00:00Z", 25.0),
        ("2027-11-08T12:00:00Z", 24.0),
    ] {
        assert_eq!(period(CapPer::Day, "America/Chicago", time).2, hours, "{time}");
    }
    let (from, until, _) = period(CapPer::Day, "America/Chicago", "2027-03-14T12:00:00Z");
    assert_eq!((from.as_str(), until.as_str()), ("2027-03-14T06:00:00.000Z", "2027-03-15T05:00:00.000Z"));
    // Midnight is left out there: the day begins at one.
    let (from, _, hours) = period(CapPer::Day, "Africa/Cairo", "2027-04-30T12:00:00Z");
    assert_eq!((from.as_str(), hours), ("2027-04-29T22:00:00.000Z", 23.0));
}

#[test]
fn weeks_begin_on_monday_months_on_the_first_and_hours_are_full_ones() {
    let (from, until, _) = period(CapPer::Week, "Europe/Berlin", "2027-01-17T22:59:59Z");
    assert_eq!((from.as_str(), until.as_str()), ("2027-01-10T23:00:00.000Z", "2027-01-17T23:00:00.000Z"));
    let (from, until, _) = period(CapPer::Month, "Europe/Berlin", "2027-03-31T22:00:00Z");
    assert_eq!((from.as_str(), until.as_str()), ("2027-03-31T22:00:00.000Z", "2027-04-30T22:00:00.000Z"));
    let (from, until, _) = period(CapPer::Hour, "Asia/Kolkata", "2027-01-15T08:00:00Z");
    assert_eq!((from.as_str(), until.as_str()), ("2027-01-15T07:30:00.000Z", "2027-01-15T08:30:00.000Z"));
    // An hour that comes twice is two.
    let twice =
        ["2027-11-07T06:30:00Z", "2027-11-07T07:30:00Z"].map(|time| period(CapPer::Hour, "America/Chicago", time));
    assert_ne!(twice[0], twice[1]);
}

proptest! {
    #[test]
    fn every_time_lies_in_its_period_and_the_next_begins_where_it_ends(
        seconds in 1_600_000_000i64..2_100_000_000, per in proptest::sample::select(CapPer::ALL),
        name in proptest::sample::select(&["America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"][..]),
    ) {
        let (zone, time) = (zone(name), Timestamp::from_millis(seconds * 1_000));
        let (from, until) = per.period(&zone, time);
        prop_assert!(from <= time && time < until);
        let next = per.period(&zone, until);
        prop_assert!(next.0 == until || per == CapPer::Hour, "{next:?} after {until}");
        prop_assert!(next.1 > until);
    }
}

fn cap_period(number: usize) -> CapPeriod {
    CapPeriod { scope: format!("flow f{number}").into(), per: CapPer::Day, from: at(0), until: at(86_400) }
}

fn numbered(number: i64) -> Delivery {
    Delivery { id: DeliveryId::from_raw(number + 1).unwrap(), ..delivery() }
}

fn taken(before: &Delivery) -> Settlement {
    verb(before, &Verb::MarkDelivered { reason: "yes".into() }, "ann", FENCE, at(1)).unwrap()
}

fn refused(before: &Delivery) -> Settlement {
    verb(before, &Verb::Dismiss { reason: "no".into() }, "ann", FENCE, at(1)).unwrap()
}

fn said_no(before: &Delivery) -> Settlement {
    reject(before, FailureKind::Rejected, "no".into(), FENCE, at(1)).unwrap()
}

/// Settles, as an engine and a store do; answers with what is stored.
fn settle(ledger: &mut CapLedger, mut settlement: Settlement) -> Option<CapChange> {
    settlement.caps = ledger.change(&settlement, &[]).map(Box::new);
    ledger.settled(&settlement);
    settlement.caps.map(|change| *change)
}

#[test]
fn a_place_is_counted_when_it_is_taken_free_when_not_and_kept_in_doubt() {
    let (mut ledger, day) = (CapLedger::default(), cap_period(0));
    let asked = [(day.clone(), 2)];
    let [one, two, three] = [1, 2, 3].map(numbered);
    ledger.reserve(one.id, &asked).unwrap();
    ledger.reserve(two.id, &asked).unwrap();
    assert_eq!(ledger.reserve(three.id, &asked).unwrap_err().tally, CapTally { used: 0, reserved: 2 });
    assert_eq!(settle(&mut ledger, said_no(&one)), None, "a no writes nothing");
    ledger.reserve(three.id, &asked).unwrap();
    let kept = settle(&mut ledger, doubt(&two, FENCE, at(1)).unwrap()).unwrap();
    assert_eq!(kept, CapChange { add: vec![], keep: vec![day.clone()] });
    ledger.release(two.id);
    assert_eq!(ledger.tally(&day), CapTally { used: 0, reserved: 2 }, "what is kept is not given back");
    assert_eq!(settle(&mut ledger, taken(&three)).unwrap().add, std::slice::from_ref(&day));
    assert_eq!(ledger.tally(&day), CapTally { used: 1, reserved: 1 });
    // After a restart everything is as it was, and who is in doubt may go.
    let mut again = CapLedger::restore(vec![(day.clone(), 1)], vec![(two.id, day.clone())]);
    assert_eq!(again.tally(&day), ledger.tally(&day));
    again.reserve(two.id, &asked).unwrap();
    assert!(again.reserve(one.id, &asked).is_err());
    // A lowered cap binds at once: also who has a place.
    assert!(again.reserve(two.id, &[(day.clone(), 1)]).is_err());
    let doubtful = doubt(&two, FENCE, at(1)).unwrap().delivery;
    assert_eq!(settle(&mut again, refused(&doubtful)), Some(CapChange::default()), "what was kept is to be deleted");
    assert_eq!(again.tally(&day), CapTally { used: 1, reserved: 0 });
    again.forget_before(at(86_401));
    assert_eq!(again.tally(&day), CapTally::default());
}

#[test]
fn several_caps_are_reserved_together_or_not_at_all() {
    let mut ledger = CapLedger::default();
    let [one, two] = [1, 2].map(numbered);
    let (near, far) = (cap_period(0), cap_period(1));
    ledger.reserve(one.id, &[(near.clone(), 9), (far.clone(), 1)]).unwrap();
    let full = ledger.reserve(two.id, &[(near.clone(), 9), (far.clone(), 1)]).unwrap_err();
    assert_eq!(full.which, 1);
    assert_eq!(ledger.tally(&near).reserved, 1);
    // In another period the place moves there.
    let later = CapPeriod { from: far.until, until: far.until.after(Duration::from_secs(86_400)), ..far.clone() };
    ledger.reserve(one.id, &[(near, 9), (later, 1)]).unwrap();
    assert_eq!(ledger.tally(&far), CapTally::default());
}

#[test]
fn who_finds_it_full_does_as_the_cap_says_unless_it_may_have_been_taken() {
    let cap = |on_cap| Cap { scope: "recipient bank".into(), per: CapPer::Day, zone: zone("UTC"), max: 2, on_cap };
    let tally = CapTally { used: 1, reserved: 1 };
    let end = |before: &Delivery, on_cap| {
        let settled = capped(before, (&cap(on_cap), tally), (at(60), at(9)), None, FENCE, at(5)).unwrap();
        (settled.delivery.state, settled.delivery.last_kind)
    };
    let (before, held) = (delivery(), |due| State::Held { due, until: at(9), why: HoldReason::Cap });
    let due = before.state.due().unwrap();
    let closed = State::Closed { at: at(5), why: CloseReason::Capped };
    assert_eq!(end(&before, OnCap::Hold), (held(due), None));
    assert_eq!(end(&before, OnCap::Skip), (closed.clone(), None));
    assert_eq!(end(&before, OnCap::Next), (closed, None));
    let rejected = State::Rejected { at: at(5), kind: FailureKind::Capped };
    assert_eq!(end(&before, OnCap::Reject), (rejected, Some("capped")));
    let doubtful = doubt(&before, FENCE, at(1)).unwrap().delivery;
    for on_cap in OnCap::ALL {
        assert_eq!(end(&doubtful, *on_cap).0, held(due), "{on_cap}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Course {
    /// Sent, if there is room.
    Send,
    /// The answer was no, or never came and a person says so.
    No,
    /// Taken.
    Yes,
    /// No answer came.
    Doubt,
    /// The process ends and starts again.
    Restart,
}

/// What the model knows: who was taken, and who may have been.
#[derive(Default)]
struct Model {
    taken: BTreeMap<usize, u64>,
    /// Sent and not known to be refused, with the caps it counts for; `true` once it is in doubt.
    open: BTreeMap<i64, (Vec<usize>, bool)>,
}

impl Model {
    fn at_most(&self, period: usize) -> u64 {
        let open = self.open.values().filter(|(periods, _)| periods.contains(&period)).count();
        self.taken.get(&period).copied().unwrap_or(0) + open as u64
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_course_of_events_takes_more_than_a_cap_or_loses_a_place(
        maxima in proptest::array::uniform3(1u64..5),
        courses in proptest::collection::vec((0i64..8, proptest::sample::subsequence(vec![0usize, 1, 2], 1..=3),
            proptest::sample::select(&[Course::Send, Course::Send, Course::No, Course::Yes, Course::Doubt, Course::Restart][..])), 0..80),
    ) {
        let (mut ledger, mut model) = (CapLedger::default(), Model::default());
        let mut store: (BTreeMap<CapPeriod, u64>, BTreeMap<DeliveryId, Vec<CapPeriod>>) = Default::default();
        for (number, periods, course) in courses {
            let before = numbered(number);
            let under_way = model.open.get(&number).cloned();
            let settlement = match (course, &under_way) {
                (Course::Send, None) => {
                    let asked: Vec<_> = periods.iter().map(|at| (cap_period(*at), maxima[*at])).collect();
                    let room = periods.iter().all(|at| model.at_most(*at) < maxima[*at]);
                    prop_assert_eq!(ledger.reserve(before.id, &asked).is_ok(), room);
                    if room {
                        model.open.insert(number, (periods, false));
                    }
                    continue;
                }
                (Course::Restart, _) => {
                    // Those under way were marked as taken: they are in doubt after it.
                    let kept = store.1.iter().flat_map(|(id, all)| all.iter().map(|one| (*id, one.clone())));
                    ledger = CapLedger::restore(store.0.clone().into_iter().collect(), kept.collect());
                    for (number, (periods, in_doubt)) in &mut model.open {
                        if !std::mem::replace(in_doubt, true) {
                            let before = numbered(*number);
                            ledger.hold(before.id, periods.iter().map(|at| cap_period(*at)).collect());
                            let change = settle(&mut ledger, doubt(&before, FENCE, at(1)).unwrap()).unwrap();
                            store.1.insert(before.id, change.keep);
                        }
                    }
                    continue;
                }
                (Course::No | Course::Yes | Course::Doubt, None) => continue,
                (Course::Send, Some(_)) => continue,
                (Course::Doubt, Some(_)) => {
                    model.open.entry(number).and_modify(|one| one.1 = true);
                    doubt(&before, FENCE, at(1)).unwrap()
                }
                (Course::No, Some(_)) => { model.open.remove(&number); refused(&before) }
                (Course::Yes, Some((periods, _))) => {
                    periods.iter().for_each(|at| *model.taken.entry(*at).or_default() += 1);
                    model.open.remove(&number);
                    taken(&before)
                }
            };
            if let Some(change) = settle(&mut ledger, settlement) {
                change.add.into_iter().for_each(|one| *store.0.entry(one).or_default() += 1);
                store.1.remove(&before.id);
                store.1.insert(before.id, change.keep);
            }
            for (at, max) in maxima.iter().enumerate() {
                let tally = ledger.tally(&cap_period(at));
                prop_assert_eq!(tally.used + tally.reserved, model.at_most(at));
                prop_assert!(model.at_most(at) <= *max);
            }
        }
    }
}
