//! Half-open: one attempt at a time finds out whether the recipient is back.
//!
//! The permit is a lease, not a flag: a flag whose holder was killed stays set for ever, and the recipient with it. A lease
//! that ends without a word is a failed probe, so the worst a lost probe can do is one more open time. Two successes, because
//! one may be luck behind a load balancer. A 429 says neither: the recipient is there, but has no room; the probe is given
//! back, and the next one waits a little.

use super::signal::Symptom;
use std::time::Duration;
use steadfast_lead::Timestamp;

/// So many probes have to succeed.
const SUCCESSES: u8 = 2;
/// How long to leave a recipient that answered a probe with "not now".
const REST: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lease {
    number: u64,
    ends: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HalfOpen {
    pub(super) successes: u8,
    /// Counts the leases, so that nobody answers for another's.
    leases: u64,
    lease: Option<Lease>,
    rest_until: Option<Timestamp>,
}

impl HalfOpen {
    pub(super) fn new(successes: u8) -> Self {
        HalfOpen { successes, ..HalfOpen::default() }
    }

    /// Until when no probe may start.
    pub(super) fn taken_until(&self, now: Timestamp) -> Option<Timestamp> {
        let taken = self.lease.map(|lease| lease.ends);
        taken.max(self.rest_until.filter(|until| *until > now))
    }

    /// Takes the permit: its number. Only where [`HalfOpen::taken_until`] says nothing.
    pub(super) fn take(&mut self, lease: Duration, now: Timestamp) -> u64 {
        self.leases += 1;
        self.lease = Some(Lease { number: self.leases, ends: now.after(lease) });
        self.leases
    }

    /// When the probe under way counts as failed.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.lease.map(|lease| lease.ends)
    }

    /// Where the clock went back, a lease lasts no longer than it would have.
    pub(super) fn rebase(&mut self, lease: Duration, now: Timestamp) {
        if let Some(held) = &mut self.lease {
            held.ends = held.ends.min(now.after(lease));
        }
        self.rest_until = self.rest_until.map(|until| until.min(now.after(lease)));
    }

    fn give_back(&mut self, probe: u64) -> bool {
        let own = self.lease.is_some_and(|lease| lease.number == probe);
        if own {
            self.lease = None;
        }
        own
    }

    /// A probe succeeded; whether that is enough now.
    pub(super) fn healthy(&mut self, probe: u64) -> bool {
        let own = self.give_back(probe);
        self.successes += u8::from(own);
        own && self.successes >= SUCCESSES
    }

    /// A probe failed; `false` where it was not the one under way.
    pub(super) fn failed(&mut self, probe: u64) -> bool {
        self.give_back(probe)
    }

    pub(super) fn neutral(&mut self, probe: u64, symptom: &Symptom, now: Timestamp) {
        if self.give_back(probe) && symptom.strained {
            self.rest_until = Some(now.after(symptom.asked.unwrap_or_default().max(REST)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(60);
    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    #[test]
    fn one_permit_at_a_time_and_two_successes_are_enough() {
        let mut half_open = HalfOpen::new(0);
        assert_eq!(half_open.taken_until(NOW), None);
        let first = half_open.take(LEASE, NOW);
        assert_eq!(half_open.taken_until(NOW), Some(NOW.after(LEASE)));
        assert!(!half_open.healthy(first));
        let second = half_open.take(LEASE, NOW);
        assert!(!half_open.healthy(first), "somebody else's");
        assert!(!half_open.failed(first), "somebody else's");
        assert!(half_open.healthy(second));
    }

    #[test]
    fn a_probe_without_an_opinion_is_given_back_and_a_429_asks_for_a_rest() {
        let mut half_open = HalfOpen::new(0);
        let probe = half_open.take(LEASE, NOW);
        half_open.neutral(probe, &Symptom::cancelled(Duration::ZERO), NOW);
        assert_eq!(half_open.taken_until(NOW), None);
        let probe = half_open.take(LEASE, NOW);
        let busy = Symptom { strained: true, ..Symptom::cancelled(Duration::ZERO) };
        half_open.neutral(probe, &busy, NOW);
        assert_eq!(half_open.taken_until(NOW), Some(NOW.after(REST)));
        assert_eq!(half_open.taken_until(NOW.after(REST)), None);
        assert_eq!(half_open.expires(), None, "a rest is no lease: its end is no failure");
    }
}
