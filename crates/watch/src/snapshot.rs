//! What is so at the moment of asking: read when figures are asked for, never kept between.

use crate::catalogue as c;
use crate::figures::{Labels, RECIPIENTS_MAX, bounded_name, register};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use steadfast_lead::{RecipientName, Timestamp};
use steadfast_retry::breaker::BreakerState;
use steadfast_retry::{CapPer, HoldReason, StateName};
use steadfast_store::Count;

type Gauges = Family<Labels, Gauge>;

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
    /// How recipients are protected.
    pub recipients: Vec<RecipientGauges>,
    /// How caps stand.
    pub caps: Vec<CapGauges>,
    /// What people stopped.
    pub stops: usize,
    /// Whether the store takes writes.
    pub store_ready: bool,
    /// The configuration in force.
    pub config_version: u64,
    /// When the process started.
    pub process_start: Timestamp,
    /// The version that runs.
    pub version: &'static str,
}

/// How one cap stands in its present period.
#[derive(Clone, Debug)]
pub struct CapGauges {
    /// What it counts.
    pub scope: Arc<str>,
    /// Over how long.
    pub per: CapPer,
    /// How many at most.
    pub max: u64,
    /// How many were accepted.
    pub used: u64,
    /// How many more may be.
    pub reserved: u64,
}

/// How one recipient is protected, at the moment of asking.
#[derive(Clone, Debug)]
pub struct RecipientGauges {
    /// Which.
    pub recipient: RecipientName,
    /// Attempts at once, at most, now.
    pub concurrency: u32,
    /// Attempts under way.
    pub in_flight: u32,
    /// Where it is reached.
    pub endpoints: Vec<EndpointGauges>,
}

/// How one endpoint is protected, at the moment of asking.
#[derive(Clone, Debug)]
pub struct EndpointGauges {
    /// Scheme, host and port.
    pub origin: Arc<str>,
    /// Where its breaker stands.
    pub breaker: BreakerState,
    /// Why it starts nothing.
    pub held: Option<HoldReason>,
    /// Thousandths of a token in its retry budget.
    pub budget_thousandths: u32,
    /// Thousandths of what it took before that may go.
    pub share_thousandths: u16,
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
        self.protection(&mut registry);
        self.caps(&mut registry);
        register(&mut registry, &c::STOPS, whole(self.stops));
        register(&mut registry, &c::STORE_READY, whole(usize::from(self.store_ready)));
        register(&mut registry, &c::CONFIG_VERSION, whole(usize::try_from(self.config_version).unwrap_or(usize::MAX)));
        let start = self.process_start.since(Timestamp::from_micros(0));
        register(&mut registry, &c::PROCESS_START, seconds(start.as_secs_f64()));
        register(&mut registry, &c::BUILD, Info::new(vec![("version", self.version.to_owned())]));
        registry
    }

    /// Of as many recipients as have figures of their own: adding up the states of others would say nothing.
    fn protection(&self, registry: &mut Registry) {
        let (endpoints, deliveries) = (EndpointFamilies::default(), Gauges::default());
        let (limits, in_flight) = (Gauges::default(), Gauges::default());
        for one in self.recipients.iter().take(RECIPIENTS_MAX) {
            let own = vec![("recipient", one.recipient.to_string())];
            limits.get_or_create(&own).set(i64::from(one.concurrency));
            in_flight.get_or_create(&own).set(i64::from(one.in_flight));
            one.endpoints.iter().for_each(|endpoint| endpoints.add(&own, endpoint));
            if let Some(why) = one.held() {
                let labels = [own, vec![("reason", why.name().to_owned())]].concat();
                deliveries.get_or_create(&labels).set(self.open_of(&one.recipient));
            }
        }
        let EndpointFamilies { states, held, tokens, shares } = endpoints;
        register(registry, &c::BREAKER_STATE, states);
        register(registry, &c::ENDPOINT_HELD, held);
        register(registry, &c::HELD_DELIVERIES, deliveries);
        register(registry, &c::RETRY_BUDGET_TOKENS, tokens);
        register(registry, &c::RECOVERY_SHARE, shares);
        register(registry, &c::CONCURRENCY_LIMIT, limits);
        register(registry, &c::RECIPIENT_IN_FLIGHT, in_flight);
    }

    /// Of as many caps as recipients may have figures of their own.
    fn caps(&self, registry: &mut Registry) {
        let (most, used, reserved) = (Gauges::default(), Gauges::default(), Gauges::default());
        for cap in self.caps.iter().take(RECIPIENTS_MAX) {
            let labels = vec![("scope", cap.scope.to_string()), ("per", cap.per.name().to_owned())];
            for (family, value) in [(&most, cap.max), (&used, cap.used), (&reserved, cap.reserved)] {
                family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
            }
        }
        register(registry, &c::CAP_MAX, most);
        register(registry, &c::CAP_USED, used);
        register(registry, &c::CAP_RESERVED, reserved);
    }

    fn open_of(&self, recipient: &RecipientName) -> i64 {
        let own = self.counts.iter().filter(|count| count.recipient == *recipient && !count.test);
        let open: u64 = own.filter(waits).map(|count| count.deliveries).sum();
        i64::try_from(open).unwrap_or(i64::MAX)
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
        let waiting: u64 = self.counts.iter().filter(waits).map(|count| count.deliveries).sum();
        usize::try_from(waiting).unwrap_or(usize::MAX).saturating_sub(self.in_flight)
    }
}

/// The families of which every endpoint has a member.
#[derive(Default)]
struct EndpointFamilies {
    states: Gauges,
    held: Gauges,
    tokens: Family<Labels, Gauge<f64, AtomicU64>>,
    shares: Family<Labels, Gauge<f64, AtomicU64>>,
}

impl EndpointFamilies {
    fn add(&self, recipient: &Labels, endpoint: &EndpointGauges) {
        let at = [recipient.clone(), vec![("endpoint", endpoint.origin.to_string())]].concat();
        let with = |name, word: &str| [at.clone(), vec![(name, word.to_owned())]].concat();
        self.states.get_or_create(&with("state", endpoint.breaker.name())).set(1);
        if let Some(why) = endpoint.held {
            self.held.get_or_create(&with("reason", why.name())).set(1);
        }
        self.tokens.get_or_create(&at).set(f64::from(endpoint.budget_thousandths) / 1_000.0);
        self.shares.get_or_create(&at).set(f64::from(endpoint.share_thousandths) / 1_000.0);
    }
}

impl RecipientGauges {
    /// Why its first endpoint starts nothing, where none does.
    fn held(&self) -> Option<HoldReason> {
        let all = self.endpoints.iter().all(|endpoint| endpoint.held.is_some());
        self.endpoints.first().filter(|_| all)?.held
    }
}

fn waits(count: &&Count) -> bool {
    match count.state {
        StateName::Waiting | StateName::Held => true,
        StateName::InFlight | StateName::Delivered | StateName::Rejected | StateName::InReview | StateName::Closed => {
            false
        }
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
