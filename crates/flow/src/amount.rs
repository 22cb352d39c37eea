//! Sums of decimal numbers, exact: no float.

use crate::source::is_price;
use std::fmt;
use std::ops::{AddAssign, Sub};

const PLACES: usize = 12;
const ONE: i128 = 10_i128.pow(12);

/// A sum, in millionths of a millionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i128);

impl Amount {
    /// From a decimal number as prices are written ([`is_price`]); `None` for anything else.
    pub fn parse(number: &str) -> Option<Self> {
        if !is_price(number) {
            return None;
        }
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        format!("{whole}{part:0<PLACES$}").parse().ok().map(Amount)
    }
}

impl Amount {
    /// In millionths, cut there; `None` where it does not fit.
    pub(crate) fn millionths(self) -> Option<u64> {
        u64::try_from(self.0 / (ONE / 1_000_000)).ok()
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Amount(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (self.0.unsigned_abs() / ONE.unsigned_abs(), self.0.unsigned_abs() % ONE.unsigned_abs());
        let part = format!("{part:0PLACES$}");
        let part = part.trim_end_matches('0');
        let dot = if part.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{dot}{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::Amount;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let ascending =
            ["0", "0.05", "9.99", "10", "10.01", "99999999999"].map(|number| Amount::parse(number).unwrap());
        assert!(ascending.windows(2).all(|pair| pair[0] < pair[1]), "{ascending:?}");
        assert_eq!(Amount::parse("10.50"), Amount::parse("10.5"));
        assert!(Amount::parse("ten").is_none() && Amount::parse("-1").is_none());
    }

    #[test]
    fn sums_are_exact() {
        let mut sum = Amount::default();
        (0..1_000).for_each(|_| sum += Amount::parse("0.1").unwrap());
        assert_eq!(sum.to_string(), "100");
        assert_eq!((sum - Amount::parse("100.05").unwrap()).to_string(), "-0.05");
        assert_eq!(Amount::parse("12.50").unwrap().to_string(), "12.5");
    }
}
