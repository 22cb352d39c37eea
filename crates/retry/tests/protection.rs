//! What holds for every course of events: guards, budgets, rates and turns.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

mod fixture;

use fixture::{at, endpoint};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_lead::{Priority, Timestamp};
use steadfast_retry::breaker::{BreakerSettings, BreakerState, BreakerVerb, ByHand, Signal, Symptom, Transition};
use steadfast_retry::fair::{Fair, Party};
use steadfast_retry::pace::{ConcurrencyLimit, Gcra, Pace, PaceSettings, Rate};
use steadfast_retry::{Budget, Guard, GuardSettings, Permit, Seed, Sending, ask};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Ask(Sending),
    End(usize, Signal),
    Lose(usize),
    Restart,
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        3 => Just(Signal::Healthy),
        6 => Just(Signal::Failed),
        1 => Just(Signal::Refused),
        1 => Just(Signal::Neutral),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let sending = prop_oneof![Just(Sending::First), Just(Sending::Retry), Just(Sending::ByHand)];
    prop_oneof![
        2 => (0_u64..=40_000).prop_map(Step::Pass),
        6 => sending.prop_map(Step::Ask),
        6 => (any::<usize>(), signal()).prop_map(|(which, signal)| Step::End(which, signal)),
        1 => any::<usize>().prop_map(Step::Lose),
        1 => Just(Step::Restart),
    ]
}

/// A guard with what is under way: when it started, and its permit.
struct World {
    guard: Guard,
    now: Timestamp,
    under_way: Vec<(Timestamp, Permit)>,
    told: Vec<Transition>,
}

impl World {
    fn new(seed: u64) -> Self {
        let guard = Guard::new(GuardSettings::default(), Seed(seed), &endpoint(), at(0));
        World { guard, now: at(0), under_way: Vec::new(), told: Vec::new() }
    }

    fn step(&mut self, step: &Step) {
        self.told.extend(self.guard.handle_time(self.now));
        match step {
            Step::Pass(millis) => self.now = self.now.after(Duration::from_millis(*millis)),
            Step::Ask(sending) => self.ask(*sending),
            Step::End(which, signal) if !self.under_way.is_empty() => {
                let (started, permit) = self.under_way.swap_remove(which % self.under_way.len());
                let took = self.now.since(started);
                let symptom = Symptom { signal: *signal, strained: false, took, asked: None };
                self.told.extend(self.guard.handle_result(permit, &symptom, self.now));
            }
            Step::Lose(which) if !self.under_way.is_empty() => {
                self.under_way.swap_remove(which % self.under_way.len());
            }
            Step::End(..) | Step::Lose(_) => {}
            Step::Restart => {
                self.under_way.clear();
                let kept = self.guard.snapshot();
                self.guard = Guard::restore(GuardSettings::default(), Seed(1), &endpoint(), &kept, self.now);
                assert_eq!(self.guard.snapshot(), kept);
            }
        }
    }

    fn ask(&mut self, sending: Sending) {
        let state = self.guard.breaker().state();
        let Ok(permit) = self.guard.start(sending, self.now) else { return };
        let stopped = [BreakerState::Open, BreakerState::Credentials, BreakerState::ForcedOpen];
        assert!(!stopped.contains(&state), "through {state}");
        assert_eq!(permit.is_probe(), state == BreakerState::HalfOpen);
        let lease = BreakerSettings::default().probe_lease;
        let now = self.now;
        let probes = self.under_way.iter().filter(|(at, other)| other.is_probe() && now.since(*at) < lease).count();
        assert!(!permit.is_probe() || probes == 0, "a second probe");
        self.under_way.push((self.now, permit));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_two_probes_never_through_an_open_breaker_and_generations_rise(
        seed in any::<u64>(), steps in prop::collection::vec(step(), 1..300)
    ) {
        let mut world = World::new(seed);
        for step in &steps {
            world.step(step);
            prop_assert!(world.guard.budget().tokens_thousandths(world.now) <= 100_000);
        }
        let generations: Vec<u64> = world.told.iter().map(|transition| transition.generation).collect();
        prop_assert!(generations.windows(2).all(|pair| pair[1] == pair[0] + 1), "{generations:?}");
        prop_assert!(world.told.windows(2).all(|pair| pair[0].to == pair[1].from));
    }

    /// Whatever has happened, and whatever was lost: if the recipient is well from now on, everything goes in the end.
    #[test]
    fn nothing_is_ever_stuck(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..300)) {
        let mut world = World::new(seed);
        steps.iter().for_each(|step| world.step(step));
        prop_assume!(world.guard.breaker().state() != BreakerState::Credentials);
        world.under_way.clear();
        let mut looks = 0;
        while world.guard.breaker().state() != BreakerState::Closed || world.guard.ramp().is_pacing() {
            looks += 1;
            prop_assert!(looks < 5_000, "stuck in {}", world.guard.breaker().state());
            world.step(&Step::Pass(6_000));
            world.step(&Step::Ask(Sending::Retry));
            if !world.under_way.is_empty() {
                world.step(&Step::End(0, Signal::Healthy));
            }
        }
        prop_assert!(world.guard.start(Sending::First, world.now).is_ok());
    }

    /// An older generation's result makes no transition, whatever it says.
    #[test]
    fn older_generations_change_nothing(
        seed in any::<u64>(), steps in prop::collection::vec(step(), 1..200), late in prop::collection::vec(signal(), 1..50)
    ) {
        let mut world = World::new(seed);
        let old: Vec<Permit> = late.iter().map(|_| world.guard.start(Sending::First, world.now).unwrap()).collect();
        steps.iter().for_each(|step| world.step(step));
        let by = ByHand { by: "ann".into(), reason: "to begin another generation".into() };
        world.guard.handle_time(world.now);
        world.guard.handle_verb(BreakerVerb::Probe, by, world.now);
        let before = (world.guard.breaker().snapshot(), world.guard.breaker().counted());
        for (permit, signal) in old.into_iter().zip(late) {
            let symptom = Symptom { signal, strained: false, took: Duration::ZERO, asked: None };
            prop_assert_eq!(world.guard.handle_result(permit, &symptom, world.now), None);
        }
        prop_assert_eq!((world.guard.breaker().snapshot(), world.guard.breaker().counted()), before);
    }

    #[test]
    fn a_rate_holds_over_every_window(
        count in 1_u32..=2_000, unit in 0_usize..3, waits in prop::collection::vec(0_u64..=3_000_000, 1..400)
    ) {
        let rate = Rate::parse(&format!("{count}/{}", ["s", "min", "h"][unit])).unwrap();
        let mut gcra = Gcra::new(rate);
        let (mut now, mut taken) = (at(0), Vec::new());
        for wait in waits {
            // Eager as often as idle: from the moment it is allowed, or some time later.
            now = if wait % 2 == 0 { gcra.ready_at(now) } else { now.after(Duration::from_micros(wait)) };
            if gcra.take(now) {
                taken.push(now);
            }
        }
        for (place, first) in taken.iter().enumerate() {
            let within = taken[place..].iter().take_while(|other| other.since(*first) < rate.per()).count();
            prop_assert!(within <= count as usize, "{within} in one window of {rate}");
        }
    }

    #[test]
    fn a_budget_is_never_overdrawn_and_never_more_than_full(
        steps in prop::collection::vec((0_u64..=2_000, 0_u8..4), 1..600)
    ) {
        let (mut budget, mut now, mut paid, mut back) = (Budget::new(at(0)), at(0), 0_u64, 0_u64);
        for (wait, what) in steps {
            now = now.after(Duration::from_millis(wait));
            match what {
                0 => budget.succeeded(false, now),
                1 => paid += u64::from(budget.take(now)),
                2 if paid > back => { budget.succeeded(true, now); back += 1; }
                _ => paid += u64::from(budget.take(now)),
            }
            let ready = budget.ready_at(now);
            prop_assert!(ready == now || budget.tokens_thousandths(now) < 1_000);
            prop_assert!(budget.tokens_thousandths(ready) >= 1_000);
            // Never more than it began with, earned and got back: 200 for each of at most 600 successes, 1 for each ms.
            let earned = 100_000 + 600 * 200 + back * 1_000 + u64::try_from(now.since(at(0)).as_millis()).unwrap();
            prop_assert!(paid * 1_000 <= earned);
        }
    }

    /// While others wait nobody holds more than the share; no turn goes to anybody without something due; nobody starves.
    #[test]
    fn turns_are_fair_whatever_comes(
        slots in 1_usize..=64, tooks in prop::collection::vec(1_u64..=30_000, 2..12), dice in any::<u64>()
    ) {
        let mut fair = Fair::new(slots);
        let parties: Vec<Party> = tooks.iter().map(|_| fair.add()).collect();
        parties.iter().for_each(|party| fair.set_due(*party, Priority::Normal, Some(at(0))));
        let mut ends: BTreeMap<(Timestamp, u64), (Party, u64)> = BTreeMap::new();
        let (mut now, mut served, mut dice) = (at(0), BTreeMap::<Party, u64>::new(), dice | 1);
        for number in 0..2_000_u64 {
            while let Some(turn) = fair.next(now) {
                prop_assert!(fair.in_flight_of(turn.party) < fair.share());
                fair.start(turn, Some(at(0)));
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let place = parties.iter().position(|party| *party == turn.party).unwrap();
                let took = tooks[place] * (50 + (dice >> 33) % 100) / 100 + 1;
                ends.insert((now.after(Duration::from_millis(took)), dice), (turn.party, took));
                *served.entry(turn.party).or_default() += took;
            }
            let ((at, _), (party, took)) = ends.pop_first().unwrap();
            now = at;
            fair.finish(party, Some(Duration::from_millis(took)));
            prop_assert!(number < 500 || served.len() == parties.len(), "somebody starves: {served:?}");
        }
    }
}

#[test]
fn the_way_back_takes_a_growing_share_and_never_more_than_before() {
    let mut guard = Guard::new(GuardSettings::default(), Seed(3), &endpoint(), at(0));
    let told = |guard: &mut Guard, signal, now: Timestamp| {
        guard.handle_time(now);
        let permit = guard.start(Sending::First, now).unwrap();
        let symptom = Symptom { signal, strained: false, took: Duration::ZERO, asked: None };
        guard.handle_result(permit, &symptom, now)
    };
    // Ten a second for a minute.
    for tenth in 0..600 {
        told(&mut guard, Signal::Healthy, at(0).after(Duration::from_millis(tenth * 100)));
    }
    assert_eq!((guard.ramp().took().answers, guard.ramp().took().at_once), (60, 1));
    (0..5).for_each(|_| drop(told(&mut guard, Signal::Failed, at(60))));
    let back = guard.next_look().unwrap();
    (0..2).for_each(|_| drop(told(&mut guard, Signal::Healthy, back)));
    assert_eq!(guard.breaker().state(), BreakerState::Recovery);
    // As much as it lets, for two minutes of recovery and after.
    let mut starts = Vec::new();
    for millis in 0..120_000 {
        let now = back.after(Duration::from_millis(millis));
        guard.handle_time(now);
        if let Ok(permit) = guard.start(Sending::Retry, now) {
            starts.push(millis / 10_000);
            let symptom = Symptom { signal: Signal::Healthy, strained: false, took: Duration::ZERO, asked: None };
            guard.handle_result(permit, &symptom, now);
        }
    }
    let in_ten_seconds: Vec<usize> = (0..12).map(|span| starts.iter().filter(|at| **at == span).count()).collect();
    assert!(in_ten_seconds.is_sorted() && in_ten_seconds[0] >= 9 && in_ten_seconds[0] <= 13, "{in_ten_seconds:?}");
    assert!(in_ten_seconds[6..].iter().all(|count| *count == 100), "{in_ten_seconds:?}");
    assert!(guard.ramp().is_pacing(), "while work presses, what it took before is the ceiling");
    // Half an hour later it rises, until it is no ceiling any more.
    let pressed = |guard: &mut Guard, minute: u64| {
        let from = back.after(Duration::from_secs(minute * 60));
        let starts = (0..60_000).filter(|millis| {
            let now = from.after(Duration::from_millis(*millis));
            let permit = guard.start(Sending::First, now);
            let healthy = Symptom { signal: Signal::Healthy, strained: false, took: Duration::ZERO, asked: None };
            permit.is_ok_and(|permit| guard.handle_result(permit, &healthy, now).is_none())
        });
        starts.count()
    };
    let mut later = guard.clone();
    let minutes: Vec<usize> = (2..45).map(|minute| pressed(&mut later, minute)).collect();
    assert!(minutes[..28].iter().all(|count| *count <= 600), "{minutes:?}");
    assert!(minutes[28..].is_sorted() && (4_000..=5_000).contains(&minutes[42]), "{minutes:?}");
    // A minute in which nothing has to wait, and it is lifted.
    for second in 121..190 {
        let _ = told(&mut guard, Signal::Healthy, back.after(Duration::from_secs(second)));
    }
    assert!(!guard.ramp().is_pacing());
}

#[test]
fn a_steady_fifth_of_failures_never_empties_the_budget_and_a_whole_one_does() {
    let run = |fails: fn(u64) -> bool| {
        let mut budget = Budget::new(at(0));
        let mut deferred = 0;
        for number in 0..180_000_u64 {
            let now = at(number / 50);
            let paid = fails(number) && budget.take(now);
            deferred += u64::from(fails(number) && !paid);
            let retried_well = paid && !fails(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
            if retried_well || !fails(number) {
                budget.succeeded(retried_well, now);
            }
        }
        deferred
    };
    assert_eq!(run(|number| number % 5 == 0), 0);
    assert!(run(|_| true) > 170_000);
}

#[test]
fn guard_and_pace_take_both_or_neither() {
    let settings = PaceSettings { rate: Some(Rate::parse("1/s").unwrap()), concurrency: ConcurrencyLimit::Fixed(1) };
    let (mut pace, mut guard) =
        (Pace::new(&settings), Guard::new(GuardSettings::default(), Seed(1), &endpoint(), at(0)));
    let healthy = Symptom { signal: Signal::Healthy, strained: false, took: Duration::ZERO, asked: None };
    let permit = ask(&mut guard, &mut pace, Sending::Retry, at(0)).unwrap();
    let left = guard.budget().tokens_thousandths(at(0));
    assert_eq!(ask(&mut guard, &mut pace, Sending::Retry, at(0)).unwrap_err().until, None, "full");
    pace.handle_result(at(0), &healthy, at(0));
    assert_eq!(ask(&mut guard, &mut pace, Sending::Retry, at(0)).unwrap_err().until, Some(at(1)));
    assert_eq!(guard.budget().tokens_thousandths(at(0)), left, "refused by the pace, not paid");
    assert_eq!(guard.handle_unused(permit, at(0)), None);
    assert_eq!(guard.budget().tokens_thousandths(at(0)), 100_000);
}
