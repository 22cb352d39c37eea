//! The short storm: a stretch of seeds on both stores, every seed that ever found something, and that a seed is a whole run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::ops::RangeInclusive;
use steadfast_storm::{Kind, Report, Trade, run, run_all};

/// Seeds on each store, in two parts that run beside one another: as many as a minute of CI allows.
const SEEDS: u64 = 250;
const HALF: u64 = SEEDS / 2;
const AT_ONCE: usize = 1;
/// Seeds of each of the runs in which everything comes together.
const TOGETHER: u64 = 30;

const PLAIN: Trade = Trade { sales: false, caps: false, people: false };
const SALES: Trade = Trade { sales: true, ..PLAIN };
const CAPS: Trade = Trade { caps: true, ..PLAIN };
const PEOPLE: Trade = Trade { people: true, ..PLAIN };
const ALL: Trade = Trade { sales: true, caps: true, people: true };

fn reports_of(runs: &[(u64, Kind)], trade: Trade) -> Vec<Report> {
    let mut reports = Vec::new();
    run_all(runs, trade, AT_ONCE, |report| reports.push(report));
    reports
}

fn assert_well(reports: &[Report]) {
    let failed: Vec<String> = reports
        .iter()
        .filter(|report| !report.findings.is_empty())
        .map(|report| format!("seed {} on {}: {:#?}", report.seed, report.kind.name(), report.findings))
        .collect();
    assert!(failed.is_empty(), "{} of {} runs failed:\n{}", failed.len(), reports.len(), failed.join("\n"));
}

fn stretch(kind: Kind, trade: Trade, seeds: RangeInclusive<u64>) {
    let runs: Vec<(u64, Kind)> = seeds.map(|seed| (seed, kind)).collect();
    let reports = reports_of(&runs, trade);
    assert_well(&reports);
    let acknowledged: usize = reports.iter().map(|report| report.acknowledged).sum();
    let lives: u64 = reports.iter().map(|report| report.lives).sum();
    let runs = u64::try_from(reports.len()).unwrap();
    assert!(
        acknowledged > 10 * reports.len() && lives > 2 * runs,
        "too calm a storm: {acknowledged} leads, {lives} lives"
    );
}

#[test]
fn a_stretch_of_seeds_in_memory() {
    stretch(Kind::Memory, PLAIN, 1..=HALF);
}

#[test]
fn another_stretch_of_seeds_in_memory() {
    stretch(Kind::Memory, PLAIN, HALF + 1..=SEEDS);
}

#[test]
fn a_stretch_of_seeds_on_the_embedded_store() {
    stretch(Kind::Embedded, PLAIN, 1..=HALF);
}

#[test]
fn another_stretch_of_seeds_on_the_embedded_store() {
    stretch(Kind::Embedded, PLAIN, HALF + 1..=SEEDS);
}

/// Three buyers, one of whom gets the lead: never two, whatever is in doubt.
#[test]
fn a_stretch_of_sales_in_memory() {
    stretch(Kind::Memory, SALES, 1..=HALF);
}

#[test]
fn a_stretch_of_sales_on_the_embedded_store() {
    stretch(Kind::Embedded, SALES, HALF + 1..=SEEDS);
}

/// A cap is a cap: never one more, by the recipients' own logs, whatever crashes and whatever is in doubt.
#[test]
fn a_stretch_of_caps_in_memory() {
    stretch(Kind::Memory, CAPS, 1..=HALF);
}

#[test]
fn a_stretch_of_caps_on_the_embedded_store() {
    stretch(Kind::Embedded, CAPS, HALF + 1..=SEEDS);
}

/// Who is forgotten is sent nowhere, what is stopped goes nowhere until it goes on, nobody goes twice to a recipient that takes
/// each person once, and nothing is deleted before its time.
#[test]
fn a_stretch_of_people_in_memory() {
    stretch(Kind::Memory, PEOPLE, 1..=HALF);
}

#[test]
fn another_stretch_of_people_in_memory() {
    stretch(Kind::Memory, PEOPLE, HALF + 1..=SEEDS);
}

#[test]
fn a_stretch_of_people_on_the_embedded_store() {
    stretch(Kind::Embedded, PEOPLE, HALF + 1..=HALF + HALF / 2);
}

/// All the laws at once: an erasure in the middle of a sale, a stop of a buyer whose turn it is, a person who came before, a sold
/// lead that is deleted, a place of a cap that is kept while reads fail.
#[test]
fn a_stretch_of_everything_in_memory() {
    stretch(Kind::Memory, ALL, 1..=TOGETHER);
}

#[test]
fn a_stretch_of_everything_on_the_embedded_store() {
    stretch(Kind::Embedded, ALL, TOGETHER + 1..=2 * TOGETHER);
}

/// People beside one of the others, and the others without people.
#[test]
fn a_stretch_of_every_pair_in_memory() {
    let pairs = [Trade { people: false, ..ALL }, Trade { caps: false, ..ALL }, Trade { sales: false, ..ALL }];
    for pair in pairs {
        stretch(Kind::Memory, pair, 1..=TOGETHER);
    }
}

/// `seeds.txt`: of each what it runs with, a store, a seed, and what it found.
#[test]
fn every_seed_that_found_something_is_well() {
    let kept = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    for line in kept {
        let mut words = line.split_whitespace();
        let trade = words.next().and_then(Trade::from_name).expect(line);
        let kinds = match words.next().expect(line) {
            "both" => Kind::ALL.to_vec(),
            word => vec![Kind::from_name(word).expect(line)],
        };
        let seed = words.next().and_then(|seed| seed.parse().ok()).expect(line);
        let runs: Vec<(u64, Kind)> = kinds.into_iter().map(|kind| (seed, kind)).collect();
        assert_well(&reports_of(&runs, trade));
    }
}

#[test]
fn a_seed_is_a_whole_run() {
    for seed in 1..=10 {
        for kind in Kind::ALL {
            for trade in [PLAIN, SALES, CAPS, PEOPLE, ALL] {
                let digest = || run(seed, kind, trade).digest;
                assert_eq!(digest(), digest(), "seed {seed} on {}, {}", kind.name(), trade.name());
            }
        }
    }
}
