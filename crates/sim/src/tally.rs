//! Counts while a run goes on: constant work for each attempt, no text.

use crate::report::{PolicyReport, Quantiles};
use crate::scenario::TIMELINE_ENTRIES_MAX;
use crate::series::Filling;
use crate::timeline::{TimelineEntry, timeline};
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::{CloseReason, Delivery, Entry, ReviewCause, State};

pub(crate) struct Tally {
    start: Timestamp,
    now: Timestamp,
    leads: u64,
    delivered: u64,
    probable: u64,
    possibly_twice: u64,
    rejected: u64,
    in_review: BTreeMap<ReviewCause, u64>,
    closed: BTreeMap<CloseReason, u64>,
    pub(crate) attempts: u64,
    retries_by_number: Vec<u64>,
    delivered_by_attempt: Vec<u64>,
    delivery_micros: Vec<u64>,
    series: Filling,
    history: Option<Vec<(u32, Entry)>>,
    untold: u64,
}

impl Tally {
    pub(crate) fn new(start: Timestamp, told: bool) -> Self {
        Tally {
            start,
            now: start,
            leads: 0,
            delivered: 0,
            probable: 0,
            possibly_twice: 0,
            rejected: 0,
            in_review: BTreeMap::new(),
            closed: BTreeMap::new(),
            attempts: 0,
            retries_by_number: Vec::new(),
            delivered_by_attempt: Vec::new(),
            delivery_micros: Vec::new(),
            series: Filling::new(),
            history: told.then(Vec::new),
            untold: 0,
        }
    }

    fn since_start(&mut self, now: Timestamp) -> Duration {
        self.now = now;
        now.since(self.start)
    }

    pub(crate) fn arrived(&mut self, now: Timestamp) {
        let at = self.since_start(now);
        self.leads += 1;
        self.series.arrived(at);
    }

    /// An attempt starts. `planned_retry` is the retry it is: `Some` only on the first attempt of that retry, so that one
    /// sent again after a hold is not counted twice.
    pub(crate) fn started(&mut self, planned_retry: Option<u32>, now: Timestamp) {
        let at = self.since_start(now);
        self.attempts += 1;
        self.series.attempt(at);
        if let Some(place) = planned_retry.and_then(|retry| retry.checked_sub(1)) {
            count_at(&mut self.retries_by_number, place);
        }
    }

    pub(crate) fn told(&mut self, lead: u32, entry: Entry) {
        let Some(history) = &mut self.history else { return };
        if history.len() < TIMELINE_ENTRIES_MAX {
            history.push((lead, entry));
        } else {
            self.untold += 1;
        }
    }

    /// A delivery to which nothing more happens by itself.
    pub(crate) fn ended(&mut self, delivery: &Delivery, now: Timestamp) {
        let at = self.since_start(now);
        self.series.ended(at);
        match delivery.state {
            State::Delivered { at, probable, .. } => {
                self.delivered += 1;
                self.probable += u64::from(probable);
                self.possibly_twice += u64::from(delivery.progress.is_unresolved() && !probable);
                count_at(&mut self.delivered_by_attempt, delivery.attempts.saturating_sub(1));
                let took = at.since(delivery.accepted_at).as_micros();
                self.delivery_micros.push(u64::try_from(took).unwrap_or(u64::MAX));
            }
            State::Rejected { .. } => self.rejected += 1,
            State::InReview { cause, .. } => *self.in_review.entry(cause).or_default() += 1,
            State::Closed { why, .. } => *self.closed.entry(why).or_default() += 1,
            State::Waiting { .. } | State::Held { .. } => {}
        }
    }

    pub(crate) fn finish(self, policy: String) -> PolicyReport {
        let lasted = self.now.since(self.start);
        let ended =
            self.delivered + self.rejected + self.in_review.values().sum::<u64>() + self.closed.values().sum::<u64>();
        let told = self.history.as_ref().map(|history| {
            let entries: Vec<_> = history.iter().map(|(lead, entry)| TimelineEntry { lead: *lead, entry }).collect();
            let mut text = timeline(self.start, &entries);
            if self.untold > 0 {
                text.push_str(&format!("... and {} more\n", self.untold));
            }
            text
        });
        PolicyReport {
            policy,
            leads: self.leads,
            delivered: self.delivered,
            probable: self.probable,
            possibly_twice: self.possibly_twice,
            rejected: self.rejected,
            still_waiting: self.leads.saturating_sub(ended),
            in_review: self.in_review,
            closed: self.closed,
            attempts: self.attempts,
            retries_by_number: self.retries_by_number,
            delivered_by_attempt: self.delivered_by_attempt,
            delivery_time: Quantiles::of(self.delivery_micros),
            lasted,
            series: self.series.finish(lasted),
            timeline: told,
            ways: Vec::new(),
            protection: None,
        }
    }
}

/// Adds one at a place. Places are attempt and retry numbers, bounded by the attempts of a run.
fn count_at(counts: &mut Vec<u64>, place: u32) {
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    if counts.len() <= place {
        counts.resize(place + 1, 0);
    }
    counts[place] += 1;
}
