//! Quantiles of what was measured, by sorting all of it.

/// Measurements, sorted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quantiles(Vec<u64>);

impl Quantiles {
    /// Sorts them.
    pub(crate) fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        Quantiles(values)
    }

    /// Those of several rounds as one.
    pub(crate) fn together<'a>(rounds: impl IntoIterator<Item = &'a Quantiles>) -> Self {
        Quantiles::of(rounds.into_iter().flat_map(|round| round.0.iter().copied()).collect())
    }

    /// The value that a share (0 to 1) of all do not exceed; 0 when there is none.
    pub(crate) fn at(&self, share: f64) -> u64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).ceil() as usize).copied().unwrap_or(0)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// The middle of a few figures; 0 when there is none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => 0.0,
        count if count % 2 == 1 => figures[count / 2],
        count => (figures[count / 2 - 1] + figures[count / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Quantiles, median};

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let hundred = Quantiles::of((1..=100).rev().collect());
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| hundred.at(share)), [1, 51, 100, 100]);
        let halves = [(1..=50).collect(), (51..=100).collect()].map(Quantiles::of);
        assert_eq!(Quantiles::together(&halves).0, hundred.0);
        assert_eq!((Quantiles::of(vec![]).at(0.5), Quantiles::of(vec![7]).at(0.99)), (0, 7));
    }

    #[test]
    fn medians_stand_in_the_middle() {
        assert_eq!([median([]), median([3.0, 1.0, 2.0]), median([4.0, 1.0])], [0.0, 2.0, 2.5]);
    }
}
