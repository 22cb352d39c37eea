//! How long to wait before a retry. Cap first, then jitter; from the retry's number, never from the delay before; never
//! early with the default jitter; the same for the same ids, so that it can be previewed and computed again.

use crate::policy::{Backoff, Jitter, RetryPolicy};
use std::time::Duration;
use steadfast_lead::DeliveryId;

/// What the dice are thrown with: drawn once when a store is made, then kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

/// The earliest and the latest a retry may start, as delays from the end of the failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Not before this.
    pub earliest: Duration,
    /// Not planned later than this.
    pub latest: Duration,
}

/// The delay before retry number `retry` (0 is the first) without jitter: `min(max_interval, initial * multiplier^retry)`,
/// saturating.
pub fn nominal(policy: &RetryPolicy, retry: u32) -> Duration {
    let cap = policy.max_interval.get();
    let initial = policy.initial_delay.get();
    if policy.backoff == Backoff::Fixed {
        return initial.min(cap);
    }
    let factor = u128::from(policy.multiplier.thousandths());
    let cap_nanos = cap.as_nanos();
    let mut nanos = initial.as_nanos();
    for _ in 0..retry {
        if nanos >= cap_nanos || factor == 1_000 {
            break;
        }
        nanos = nanos.saturating_mul(factor) / 1_000;
    }
    nanos_to_duration(nanos.min(cap_nanos))
}

/// The window a retry falls into.
pub fn window(policy: &RetryPolicy, retry: u32) -> Window {
    let nominal = nominal(policy, retry);
    match policy.jitter {
        Jitter::Later(share) => {
            let latest = nominal.saturating_add(share_of(nominal, share.thousandths()));
            Window { earliest: nominal, latest }
        }
        Jitter::None => Window { earliest: nominal, latest: nominal },
        Jitter::Equal => Window { earliest: share_of(nominal, 500), latest: nominal },
        Jitter::Full => Window { earliest: Duration::ZERO, latest: nominal },
        Jitter::Decorrelated => {
            let (initial, cap) = (policy.initial_delay.get(), policy.max_interval.get());
            let growth = 3_u32.saturating_pow(retry.saturating_add(1));
            Window { earliest: initial.min(cap), latest: initial.saturating_mul(growth).min(cap) }
        }
    }
}

/// The delay before a retry: a point in its window, chosen by the seed, the delivery, the leg and the retry's number.
pub fn delay(policy: &RetryPolicy, seed: Seed, delivery: DeliveryId, leg: u8, retry: u32) -> Duration {
    let dice = |retry| dice(seed, delivery, leg, retry);
    if policy.jitter == Jitter::Decorrelated {
        return decorrelated(policy, retry, dice);
    }
    let window = window(policy, retry);
    window.earliest.saturating_add(part_of(window.latest.saturating_sub(window.earliest), dice(retry)))
}

fn decorrelated(policy: &RetryPolicy, retry: u32, dice: impl Fn(u32) -> u64) -> Duration {
    let (initial, cap) = (policy.initial_delay.get(), policy.max_interval.get());
    // Beyond this many steps the walk has forgotten where it began; the bound keeps the cost constant.
    const STEPS_MAX: u32 = 64;
    let first = retry.saturating_sub(STEPS_MAX);
    (first..=retry).fold(initial, |before, step| {
        let most = before.saturating_mul(3).min(cap);
        initial.min(cap).saturating_add(part_of(most.saturating_sub(initial), dice(step)))
    })
}

/// `thousandths` thousandths of a duration, rounded down.
fn share_of(duration: Duration, thousandths: u32) -> Duration {
    nanos_to_duration(duration.as_nanos() * u128::from(thousandths) / 1_000)
}

/// A part of a duration: `dice / 2^64` of it, rounded down.
fn part_of(duration: Duration, dice: u64) -> Duration {
    nanos_to_duration(duration.as_nanos().saturating_mul(u128::from(dice)) >> 64)
}

/// Rounded down to the clock's microsecond: a due time cut there later would be before its window.
fn nanos_to_duration(nanos: u128) -> Duration {
    Duration::from_micros(u64::try_from(nanos / 1_000).unwrap_or(u64::MAX))
}

/// 64 bits that look random and are the same for the same arguments (`SplitMix64` over their mix).
pub(crate) fn dice(seed: Seed, delivery: DeliveryId, leg: u8, number: u32) -> u64 {
    let mixed = scramble(seed.0 ^ delivery.raw().unsigned_abs());
    scramble(mixed ^ (u64::from(leg) << 32) ^ u64::from(number))
}

pub(crate) fn scramble(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
