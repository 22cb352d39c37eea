//! The short storm: a stretch of seeds on both stores, every seed that ever found something, and that a seed is a whole run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::ops::RangeInclusive;
use steadfast_storm::{Kind, Report, run, run_all};

/// Seeds on each store, in two parts that run beside one another: as many as a minute of CI allows.
const SEEDS: u64 = 250;
const HALF: u64 = SEEDS / 2;
const AT_ONCE: usize = 1;

fn reports_of(runs: &[(u64, Kind)]) -> Vec<Report> {
    let mut reports = Vec::new();
    run_all(runs, AT_ONCE, |report| reports.push(report));
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

fn stretch(kind: Kind, seeds: RangeInclusive<u64>) {
    let runs: Vec<(u64, Kind)> = seeds.map(|seed| (seed, kind)).collect();
    let reports = reports_of(&runs);
    assert_well(&reports);
    let acknowledged: usize = reports.iter().map(|report| report.acknowledged).sum();
    let lives: u64 = reports.iter().map(|report| report.lives).sum();
    assert!(acknowledged > 1_000 && lives > 2 * HALF, "too calm a storm: {acknowledged} leads, {lives} lives");
}

#[test]
fn a_stretch_of_seeds_in_memory() {
    stretch(Kind::Memory, 1..=HALF);
}

#[test]
fn another_stretch_of_seeds_in_memory() {
    stretch(Kind::Memory, HALF + 1..=SEEDS);
}

#[test]
fn a_stretch_of_seeds_on_the_embedded_store() {
    stretch(Kind::Embedded, 1..=HALF);
}

#[test]
fn another_stretch_of_seeds_on_the_embedded_store() {
    stretch(Kind::Embedded, HALF + 1..=SEEDS);
}

/// `seeds.txt`: a store, a seed, and what it found.
#[test]
fn every_seed_that_found_something_is_well() {
    let kept = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let runs: Vec<(u64, Kind)> = kept
        .map(|line| {
            let mut words = line.split_whitespace();
            let kind = words.next().and_then(Kind::from_name).expect(line);
            (words.next().and_then(|seed| seed.parse().ok()).expect(line), kind)
        })
        .collect();
    assert_well(&reports_of(&runs));
}

#[test]
fn a_seed_is_a_whole_run() {
    for seed in 1..=10 {
        for kind in Kind::ALL {
            assert_eq!(run(seed, kind).digest, run(seed, kind).digest, "seed {seed} on {}", kind.name());
        }
    }
}
