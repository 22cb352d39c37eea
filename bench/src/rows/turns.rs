//! Two servers measured in turns, each first as often as the other, so that what the machine does besides meets both.

use super::Bench;
use crate::child::Child;
use crate::quantiles::{Quantiles, median};
use crate::table::Line;
use anyhow::Result;

/// At the fixed rate, of each server, a round: an even number.
const TURNS: usize = 4;
const SHARE_MIN: f64 = 0.9;
const SLOWER_MAX: f64 = 1.1;

/// What is noticed of a trouble, at most.
const TARGET: &str = "throughput at least 0.9, p99 within 10 %";

/// What one of the two servers showed.
#[derive(Default)]
pub(super) struct Side {
    /// Delivered a second as fast as it goes, a figure a round.
    rates: Vec<f64>,
    /// From due to taken at a fixed rate, of each turn.
    paced: Vec<Quantiles>,
    /// After each round.
    memory_bytes: Vec<u64>,
}

impl Side {
    fn rate(&self) -> f64 {
        median(self.rates.iter().copied())
    }

    fn p99_ms(&self) -> f64 {
        p99_ms(&self.paced)
    }

    /// The same of every other turn, and of the turns between: how far two measurements of one thing are apart.
    fn halves_ms(&self) -> [f64; 2] {
        [0, 1].map(|first| p99_ms(self.paced.iter().skip(first).step_by(2)))
    }

    /// After the first round and after the last.
    pub(super) fn memory_bytes(&self) -> [u64; 2] {
        [self.memory_bytes.first(), self.memory_bytes.last()].map(|bytes| bytes.copied().unwrap_or_default())
    }
}

fn p99_ms<'a>(turns: impl IntoIterator<Item = &'a Quantiles>) -> f64 {
    Quantiles::together(turns).at(0.99) as f64 / 1e3
}

/// Measures two servers; what is asked of each is told by its place.
///
/// # Errors
/// What measuring says.
pub(super) async fn in_turns(
    bench: &Bench,
    servers: [&Child; 2],
    fast: impl AsyncFn(usize) -> Result<f64>,
    paced: impl AsyncFn(usize) -> Result<Quantiles>,
) -> Result<[Side; 2]> {
    let mut sides = [Side::default(), Side::default()];
    for round in 0..bench.rounds() {
        for at in [round % 2, (round + 1) % 2] {
            sides[at].rates.push(fast(at).await?);
        }
        for turn in 0..TURNS {
            for at in [turn % 2, (turn + 1) % 2] {
                sides[at].paced.push(paced(at).await?);
            }
        }
        for (side, server) in sides.iter_mut().zip(servers) {
            side.memory_bytes.push(server.usage()?.rss_bytes);
        }
    }
    Ok(sides)
}

/// What is noticed of a trouble, beside a server without it.
pub(super) fn noticed(row: &'static str, what: String, [without, with]: [&Side; 2]) -> Line {
    let share = median(with.rates.iter().zip(&without.rates).map(|(with, without)| with / without));
    let (p99, quiet_p99, halves) = (with.p99_ms(), without.p99_ms(), without.halves_ms());
    Line {
        row,
        what,
        target: TARGET,
        measured: format!("{:.0}/s, share {share:.2}, p99 {p99:.2} ms at 1,000/s", with.rate()),
        beside: format!(
            "without {:.0}/s, p99 {quiet_p99:.2} ms (its halves {:.2} and {:.2})",
            without.rate(),
            halves[0],
            halves[1]
        ),
        met: Some(share >= SHARE_MIN && p99 <= quiet_p99 * SLOWER_MAX),
    }
}
