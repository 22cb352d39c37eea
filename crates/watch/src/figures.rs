//! Counters and histograms, told of every event as it is committed.
//!
//! Called on the hot path: in the steady state an event costs one look into a small map and a few atomic additions, no
//! allocation. The number of series is bounded.

use crate::catalogue::{self as c, Metric, MetricKind};
use crate::per_recipient::{End, PerRecipient, RETRY_LABELS, ended_before, retry_place, verb_label};
use crate::snapshot::Snapshot;
use parking_lot::RwLock;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use steadfast_lead::{FlowName, RecipientName};
use steadfast_retry::{AttemptSettled, DecisionName, Event, EventKind};
use steadfast_store::CommitReport;

/// Recipients (and flows) with figures of their own; further ones are counted together as `other`.
pub const RECIPIENTS_MAX: usize = 1_000;

/// The content type of [`Figures::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const OTHER: &str = "other";

pub(crate) type Labels = Vec<(&'static str, String)>;
type HistogramFamily = Family<Labels, Histogram, fn() -> Histogram>;

/// The families whose members are resolved as they are needed.
pub(crate) struct Families {
    pub(crate) attempts: Family<Labels, Counter>,
    pub(crate) ended: Family<Labels, Counter>,
    pub(crate) delivery_seconds: HistogramFamily,
    pub(crate) attempt_seconds: HistogramFamily,
    leads: Family<Labels, Counter>,
    requests: Family<Labels, Counter>,
    verbs: Family<Labels, Counter>,
    pub(crate) transitions: Family<Labels, Counter>,
}

/// A flow's counters: real leads, and test leads.
#[derive(Clone)]
struct PerFlow {
    real: Counter,
    test: Counter,
}

/// Everything that is counted.
pub struct Figures {
    registry: Registry,
    families: Families,
    recipients: RwLock<HashMap<RecipientName, Arc<PerRecipient>>>,
    other_recipients: Arc<PerRecipient>,
    flows: RwLock<HashMap<FlowName, PerFlow>>,
    statuses: RwLock<HashMap<u16, Counter>>,
    retries: [Counter; RETRY_LABELS.len()],
    decisions: Vec<(DecisionName, Counter)>,
    lateness: Histogram,
    commit_seconds: Histogram,
    commit_changes: Histogram,
}

impl Default for Figures {
    fn default() -> Self {
        Figures::new()
    }
}

impl Figures {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let families = Families {
            attempts: Family::default(),
            ended: Family::default(),
            delivery_seconds: Family::new_with_constructor(long_times as fn() -> Histogram),
            attempt_seconds: Family::new_with_constructor(short_times as fn() -> Histogram),
            leads: Family::default(),
            requests: Family::default(),
            verbs: Family::default(),
            transitions: Family::default(),
        };
        let (retries, decisions) = (Family::<Labels, Counter>::default(), Family::<Labels, Counter>::default());
        let figures = Figures {
            registry: Registry::default(),
            recipients: RwLock::default(),
            other_recipients: Arc::new(PerRecipient::new(OTHER)),
            flows: RwLock::default(),
            statuses: RwLock::default(),
            retries: RETRY_LABELS.map(|retry| match retry {
                // A first attempt is no retry: counted nowhere.
                "0" => Counter::default(),
                retry => retries.get_or_create_owned(&vec![("retry", retry.to_owned())]),
            }),
            decisions: decision_counters(&decisions),
            lateness: short_times(),
            commit_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 14)),
            commit_changes: Histogram::new(exponential_buckets(1.0, 2.0, 14)),
            families,
        };
        figures.registered(retries, decisions)
    }

    fn registered(mut self, retries: Family<Labels, Counter>, decisions: Family<Labels, Counter>) -> Self {
        let (registry, families) = (&mut self.registry, &self.families);
        register(registry, &c::LEADS_ACCEPTED, families.leads.clone());
        register(registry, &c::INTAKE_REQUESTS, families.requests.clone());
        register(registry, &c::ATTEMPTS, families.attempts.clone());
        register(registry, &c::RETRIES, retries);
        register(registry, &c::DECISIONS, decisions);
        register(registry, &c::DELIVERIES_ENDED, families.ended.clone());
        register(registry, &c::VERBS, families.verbs.clone());
        register(registry, &c::BREAKER_TRANSITIONS, families.transitions.clone());
        register(registry, &c::DELIVERY_SECONDS, families.delivery_seconds.clone());
        register(registry, &c::ATTEMPT_SECONDS, families.attempt_seconds.clone());
        register(registry, &c::RETRY_LATENESS_SECONDS, self.lateness.clone());
        register(registry, &c::COMMIT_SECONDS, self.commit_seconds.clone());
        register(registry, &c::COMMIT_CHANGES, self.commit_changes.clone());
        self
    }

    /// Folds one committed event in. Of test leads only how many came is counted.
    pub fn record(&self, event: &Event) {
        match &event.kind {
            // A notice is no lead that somebody posted; its delivery counts as any other.
            EventKind::LeadAccepted { flow, .. } if flow.is_built_in() => {}
            EventKind::LeadAccepted { flow, test, .. } => self.lead_accepted(flow, *test),
            EventKind::AttemptSettled(settled) if settled.test => {}
            EventKind::AttemptSettled(settled) => self.attempt_settled(settled),
            EventKind::DeliveryChanged { test: true, .. } => {}
            EventKind::DeliveryChanged { recipient, state, cause, closed, verb, .. } => {
                let end = End::of_change(*state, *cause, *closed);
                if let Some(end) = end.filter(|_| !ended_before(*state, verb.as_ref())) {
                    self.of(recipient).ended(end, &self.families);
                }
                if let Some(verb) = verb_label(&event.kind) {
                    self.families.verbs.get_or_create_owned(&vec![("verb", verb.to_owned())]).inc();
                }
            }
            EventKind::LookUpSettled(settled) if settled.test => {}
            EventKind::LookUpSettled(settled) => {
                if let Some(end) = End::of_change(settled.state, settled.cause, None) {
                    self.of(&settled.recipient).ended(end, &self.families);
                }
            }
            EventKind::BreakerChanged { endpoint, transition } => {
                self.of(&endpoint.recipient).breaker_changed(transition.to, transition.reason, &self.families);
            }
            EventKind::EndpointPaused { .. }
            | EventKind::Stopped(_)
            | EventKind::Resumed { .. }
            | EventKind::ConfigApplied { .. } => {}
        }
    }

    /// Folds one commit of the store in.
    pub fn record_commit(&self, report: &CommitReport) {
        self.commit_seconds.observe(report.took.as_secs_f64());
        self.commit_changes.observe(f64::from(u32::try_from(report.changes).unwrap_or(u32::MAX)));
    }

    /// Counts a request to post a lead by the status it was answered with.
    pub fn record_intake(&self, status: u16) {
        if let Some(counter) = self.statuses.read().get(&status) {
            counter.inc();
            return;
        }
        let made = || self.families.requests.get_or_create_owned(&vec![("status", status.to_string())]);
        self.statuses.write().entry(status).or_insert_with(made).inc();
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode(&self, snapshot: &Snapshot) -> String {
        let mut text = String::with_capacity(16 * 1_024);
        // Writing to a string cannot fail, and our own label values encode without failing.
        let _written = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &snapshot.registry()))
            .and_then(|()| encode_eof(&mut text));
        text
    }

    fn lead_accepted(&self, flow: &FlowName, test: bool) {
        let count = |flow: &PerFlow| if test { flow.test.inc() } else { flow.real.inc() };
        if let Some(known) = self.flows.read().get(flow) {
            count(known);
            return;
        }
        let mut flows = self.flows.write();
        if flows.len() < RECIPIENTS_MAX || flows.contains_key(flow) {
            count(flows.entry(flow.clone()).or_insert_with(|| self.per_flow(flow.as_str())));
        } else {
            count(&self.per_flow(OTHER));
        }
    }

    fn per_flow(&self, flow: &str) -> PerFlow {
        let counter = |test: bool| {
            self.families.leads.get_or_create_owned(&vec![("flow", flow.to_owned()), ("test", test.to_string())])
        };
        PerFlow { real: counter(false), test: counter(true) }
    }

    fn attempt_settled(&self, settled: &AttemptSettled) {
        let recipient = self.of(&settled.recipient);
        recipient.attempt(settled, &self.families);
        if let Some(end) = End::of_attempt(settled) {
            recipient.ended(end, &self.families);
        }
        if let Some((_, counter)) = self.decisions.iter().find(|(name, _)| *name == settled.decision) {
            counter.inc();
        }
        if settled.retry > 0 {
            if let Some(counter) = self.retries.get(retry_place(settled.retry)) {
                counter.inc();
            }
            self.lateness.observe(settled.late.as_secs_f64());
        }
    }

    fn of(&self, recipient: &RecipientName) -> Arc<PerRecipient> {
        if let Some(known) = self.recipients.read().get(recipient) {
            return Arc::clone(known);
        }
        let mut recipients = self.recipients.write();
        if recipients.len() >= RECIPIENTS_MAX && !recipients.contains_key(recipient) {
            return Arc::clone(&self.other_recipients);
        }
        let made = || Arc::new(PerRecipient::new(recipient.as_str()));
        Arc::clone(recipients.entry(recipient.clone()).or_insert_with(made))
    }
}

fn decision_counters(family: &Family<Labels, Counter>) -> Vec<(DecisionName, Counter)> {
    let counter = |name: DecisionName| family.get_or_create_owned(&vec![("decision", name.name().to_owned())]);
    DecisionName::ALL.iter().map(|name| (*name, counter(*name))).collect()
}

/// 5 ms to 2.7 min.
fn short_times() -> Histogram {
    Histogram::new(exponential_buckets(0.005, 2.0, 16))
}

/// 5 ms to 5.8 h: a delivery may be retried for long.
fn long_times() -> Histogram {
    Histogram::new(exponential_buckets(0.005, 4.0, 12))
}

/// Registers a metric as the table describes it.
pub(crate) fn register<M: prometheus_client::registry::Metric>(registry: &mut Registry, metric: &Metric, with: M) {
    debug_assert!(metric.kind != MetricKind::Counter || !metric.family.ends_with("_total"));
    registry.register(metric.family, metric.meaning, with);
}

/// The name itself while there is room, else `other`.
pub(crate) fn bounded_name<'a>(known: &mut BTreeSet<String>, name: &'a str) -> &'a str {
    if known.contains(name) {
        return name;
    }
    if known.len() >= RECIPIENTS_MAX {
        return OTHER;
    }
    known.insert(name.to_owned());
    name
}

#[cfg(test)]
#[path = "figures_tests.rs"]
mod tests;
