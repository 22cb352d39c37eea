//! Many runs, some at once, each on a thread of its own.

use crate::place::Kind;
use crate::run::{Report, run};
use crate::trade::Trade;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Runs all of these, so many at once, and tells of each as it ends.
pub fn run_all(runs: &[(u64, Kind)], trade: Trade, at_once: usize, mut tell: impl FnMut(Report)) {
    let next = AtomicUsize::new(0);
    let take = || runs.get(next.fetch_add(1, Ordering::Relaxed)).copied();
    let (told, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..at_once.max(1) {
            let (told, take) = (told.clone(), &take);
            // Nobody hangs up while there are runs.
            scope.spawn(move || while take().is_some_and(|(seed, kind)| told.send(run(seed, kind, trade)).is_ok()) {});
        }
        drop(told);
        reports.into_iter().for_each(&mut tell);
    });
}
