//! Every metric there is: what is registered and what is documented are this one table.

use std::fmt::Write as _;

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts observations by size.
    Histogram,
    /// Says something in its labels; its value is 1.
    Info,
}

impl MetricKind {
    /// The word of the exposition format.
    pub const fn name(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::Info => "info",
        }
    }
}

/// One metric as documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its family's name, without what a counter (`_total`) or an info (`_info`) adds.
    pub family: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says. One sentence, no full stop.
    pub meaning: &'static str,
}

impl Metric {
    /// The name of its samples, as one writes it in a query.
    pub fn name(&self) -> String {
        let suffix = match self.kind {
            MetricKind::Counter => "_total",
            MetricKind::Info => "_info",
            MetricKind::Gauge | MetricKind::Histogram => "",
        };
        format!("{}{suffix}", self.family)
    }
}

macro_rules! metrics {
    ($($constant:ident = $family:literal, $kind:ident, [$($label:literal),*], $meaning:literal;)+) => {
        $(pub(crate) const $constant: Metric = Metric {
            family: $family,
            kind: MetricKind::$kind,
            labels: &[$($label),*],
            meaning: $meaning,
        };)+

        /// Every metric there is, in the order of the documentation.
        pub const METRICS: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    LEADS_ACCEPTED = "steadfast_leads_accepted", Counter, ["flow", "test"],
        "Leads that were stored and acknowledged";
    INTAKE_REQUESTS = "steadfast_intake_requests", Counter, ["status"],
        "Requests to post a lead, by the status they were answered with";
    ATTEMPTS = "steadfast_attempts", Counter, ["recipient", "outcome", "kind", "retry"],
        "Settled attempts; `kind` is empty for success, `retry` is 0 for a first attempt and `11+` beyond ten";
    RETRIES = "steadfast_retries", Counter, ["retry"],
        "Settled retries by their number; `11+` beyond ten";
    DECISIONS = "steadfast_decisions", Counter, ["decision"],
        "What was decided after attempts";
    DELIVERIES_ENDED = "steadfast_deliveries_ended", Counter, ["recipient", "state", "cause"],
        "Deliveries that became delivered, rejected, in_review or closed; `cause` is the outcome's kind where an attempt led there, the review cause or close reason where none did, `by_hand` where a person said delivered, and empty for a plain delivery";
    VERBS = "steadfast_verbs", Counter, ["verb"],
        "What people did with single deliveries";
    DELIVERY_SECONDS = "steadfast_delivery_seconds", Histogram, ["recipient"],
        "From a lead's acceptance to the end of the attempt that delivered it";
    ATTEMPT_SECONDS = "steadfast_attempt_seconds", Histogram, ["recipient"],
        "How long attempts took";
    RETRY_LATENESS_SECONDS = "steadfast_retry_lateness_seconds", Histogram, [],
        "How long after their due time retries started";
    COMMIT_SECONDS = "steadfast_commit_seconds", Histogram, [],
        "How long the store's commits took, sync included";
    COMMIT_CHANGES = "steadfast_commit_changes", Histogram, [],
        "Changes written by one commit";
    DELIVERIES = "steadfast_deliveries", Gauge, ["recipient", "state"],
        "Deliveries in the store by where they stand, without those of test leads; those in flight count as waiting or held";
    IN_FLIGHT = "steadfast_in_flight_attempts", Gauge, [],
        "Attempts under way";
    QUEUE_DEPTH = "steadfast_queue_depth", Gauge, [],
        "Deliveries that wait or are held, without those in flight; with those of test leads, which take room as well";
    OLDEST_DUE_AGE = "steadfast_oldest_due_age_seconds", Gauge, [],
        "How long the delivery that is longest overdue has been due; 0 when none is";
    UNSAVED = "steadfast_unsaved_settlements", Gauge, [],
        "Settled attempts that the store has not taken yet";
    ENDPOINTS_PAUSED = "steadfast_endpoints_paused", Gauge, [],
        "Endpoints that asked to be left alone for a while";
    BREAKER_TRANSITIONS = "steadfast_breaker_transitions", Counter, ["recipient", "to", "reason"],
        "Changes of breakers' states, by the state that began and why";
    BREAKER_STATE = "steadfast_breaker_state", Gauge, ["recipient", "endpoint", "state"],
        "1 for the state an endpoint's breaker is in";
    ENDPOINT_HELD = "steadfast_endpoint_held", Gauge, ["recipient", "endpoint", "reason"],
        "1 while an endpoint starts nothing, and why; what waits for it is held";
    HELD_DELIVERIES = "steadfast_held_deliveries", Gauge, ["recipient", "reason"],
        "Deliveries that wait or are held while none of their recipient's endpoints starts anything, by why the first does not";
    RETRY_BUDGET_TOKENS = "steadfast_retry_budget_tokens", Gauge, ["recipient", "endpoint"],
        "Tokens in an endpoint's retry budget, of 100; a retry costs one";
    RECOVERY_SHARE = "steadfast_recovery_share_ratio", Gauge, ["recipient", "endpoint"],
        "The share of what an endpoint took before that may go now: 1, or less while it recovers";
    CONCURRENCY_LIMIT = "steadfast_concurrency_limit", Gauge, ["recipient"],
        "Attempts to a recipient at once, at most, now";
    RECIPIENT_IN_FLIGHT = "steadfast_recipient_in_flight_attempts", Gauge, ["recipient"],
        "Attempts to a recipient under way";
    CAP_MAX = "steadfast_cap_max", Gauge, ["scope", "per"],
        "How many deliveries a cap lets be accepted in one of its periods";
    CAP_USED = "steadfast_cap_used", Gauge, ["scope", "per"],
        "How many were accepted in a cap's present period";
    CAP_RESERVED = "steadfast_cap_reserved", Gauge, ["scope", "per"],
        "How many more may be accepted in it: they are on the way, or in doubt";
    STOPS = "steadfast_stops", Gauge, [],
        "Recipients, flows and sources that a person stopped";
    STORE_READY = "steadfast_store_ready", Gauge, [],
        "1 when the store takes writes";
    CONFIG_VERSION = "steadfast_config_version", Gauge, [],
        "The version of the configuration in force";
    PROCESS_START = "steadfast_process_start_time_seconds", Gauge, [],
        "When the process started, in seconds since 1970";
    BUILD = "steadfast_build", Info, ["version"],
        "The version that runs";
}

/// The documentation page made from [`METRICS`].
pub fn metrics_page() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         `GET /metrics` answers in the OpenMetrics text format, which Prometheus reads. With API keys configured it needs a key\n\
         with scope `read`.\n\n\
         Test leads are counted as accepted, with `test=\"true\"`, and nowhere else.\n\n\
         Beyond 1,000 recipients or flows, further ones are counted together under the label value `other`. Histograms have\n\
         `_bucket`, `_sum` and `_count` samples. This page is generated from the code.\n\n\
         | name | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind) = (metric.name(), metric.kind.name());
        // Writing to a string cannot fail.
        let _written = writeln!(page, "| `{name}` | {kind} | {} | {} |", labels.join(", "), metric.meaning);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::{METRICS, MetricKind, metrics_page};

    #[test]
    fn the_page_in_the_repository_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, metrics_page()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == metrics_page(), "docs/metrics.md is out of date: run the tests with UPDATE_DOCS=1");
    }

    #[test]
    fn names_are_unique_prefixed_and_carry_their_unit() {
        for (place, metric) in METRICS.iter().enumerate() {
            assert!(metric.family.starts_with("steadfast_"), "{}", metric.family);
            assert!(!metric.family.ends_with("_total"), "{}", metric.family);
            assert!(METRICS[..place].iter().all(|other| other.family != metric.family), "{}", metric.family);
            let speaks_of_time = metric.meaning.starts_with("How long") || metric.meaning.starts_with("From");
            assert!(!speaks_of_time || metric.family.ends_with("_seconds"), "{}", metric.family);
            assert!(metric.kind != MetricKind::Info || metric.family == "steadfast_build");
        }
    }
}
