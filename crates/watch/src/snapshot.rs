//! What is so at the moment of asking: read when figures are asked for, never kept between.

use crate::catalogue as c;
use crate::figures::{Labels, bounded_name, register};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::StateName;
use steadfast_store::Count;

/// What is so at the moment of asking.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Kept counts; those in flight stand as waiting or held in them.
    pub counts: Vec<Count>,
    /// Attempts under way.
    pub in_flight: usize,
    /// How long the longest overdue delivery has been due.
    pub oldest_due_age: Duration,
    /// Settlements the store has not taken yet.
    pub unsaved: usize,
    /// Endpoints that are paused.
    pub endpoints_paused: usize,
    /// Whether the store takes writes.
    pub store_ready: bool,
    /// The configuration in force.
    pub config_version: u64,
    /// When the process started.
    pub process_start: Timestamp,
    /// The version that runs.
    pub version: &'static str,
}

impl Snapshot {
    /// Everything in a registry of its own, so that what has gone leaves no stale sample behind.
    pub(crate) fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        let deliveries = Family::<Labels, Gauge>::default();
        self.count_deliveries(&deliveries);
        register(&mut registry, &c::DELIVERIES, deliveries);
        register(&mut registry, &c::IN_FLIGHT, whole(self.in_flight));
        register(&mut registry, &c::QUEUE_DEPTH, whole(self.queue_depth()));
        register(&mut registry, &c::OLDEST_DUE_AGE, seconds(self.oldest_due_age.as_secs_f64()));
        register(&mut registry, &c::UNSAVED, whole(self.unsaved));
        register(&mut registry, &c::ENDPOINTS_PAUSED, whole(self.endpoints_paused));
        register(&mut registry, &c::STORE_READY, whole(usize::from(self.store_ready)));
        register(&mut registry, &c::CONFIG_VERSION, whole(usize::try_from(self.config_version).unwrap_or(usize::MAX)));
        let start = self.process_start.since(Timestamp::from_micros(0));
        register(&mut registry, &c::PROCESS_START, seconds(start.as_secs_f64()));
        register(&mut registry, &c::BUILD, Info::new(vec![("version", self.version.to_owned())]));
        registry
    }

    fn count_deliveries(&self, deliveries: &Family<Labels, Gauge>) {
        let mut known = BTreeSet::new();
        for count in self.counts.iter().filter(|count| !count.test) {
            let recipient = bounded_name(&mut known, count.recipient.as_str()).to_owned();
            let labels = vec![("recipient", recipient), ("state", count.state.name().to_owned())];
            deliveries.get_or_create(&labels).inc_by(i64::try_from(count.deliveries).unwrap_or(i64::MAX));
        }
    }

    fn queue_depth(&self) -> usize {
        let waits = |count: &&Count| match count.state {
            StateName::Waiting | StateName::Held => true,
            StateName::InFlight
            | StateName::Delivered
            | StateName::Rejected
            | StateName::InReview
            | StateName::Closed => false,
        };
        let waiting: u64 = self.counts.iter().filter(waits).map(|count| count.deliveries).sum();
        usize::try_from(waiting).unwrap_or(usize::MAX).saturating_sub(self.in_flight)
    }
}

fn whole(number: usize) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
    gauge
}

fn seconds(seconds: f64) -> Gauge<f64, AtomicU64> {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(seconds);
    gauge
}
