//! The serialised form of a report: names and units are promised here, and only here.

use crate::report::{PolicyReport, ProtectionReport, Quantiles, RecipientReport, Report, Told, WayReport};
use crate::series::Series;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A report as it is written to JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportFile {
    /// The scenario's name.
    pub name: String,
    /// The scenario's title.
    pub title: String,
    /// The seed it ran with.
    pub seed: u64,
    /// When it started on the virtual clock, in RFC 3339.
    pub start: String,
    /// The scenario's own policy first.
    pub policies: Vec<PolicyReportFile>,
}

/// What one policy made of the traffic.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the report, with units")]
pub struct PolicyReportFile {
    pub policy: String,
    pub leads: u64,
    pub delivered: u64,
    pub probable: u64,
    pub possibly_twice: u64,
    pub rejected: u64,
    pub in_review: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub closed: BTreeMap<&'static str, u64>,
    pub still_waiting: u64,
    pub attempts: u64,
    pub retries_by_number: Vec<u64>,
    pub delivered_by_attempt: Vec<u64>,
    pub delivery_time_ms: Option<QuantilesFile>,
    pub lasted_ms: u64,
    pub series: SeriesFile,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<WayFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protection: Option<ProtectionFile>,
}

/// What one leg, or one of its endpoints, had of the deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the report")]
pub struct WayFile {
    pub leg: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    pub recipient: String,
    pub attempts: u64,
    pub delivered: u64,
    pub rejected: u64,
}

/// What protecting the recipients showed; lines have the buckets of the series.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the report, with units")]
pub struct ProtectionFile {
    pub recipients: Vec<RecipientReportFile>,
    pub held: Vec<u32>,
    pub waits: BTreeMap<&'static str, u64>,
    pub delivered_by_age: Vec<AgeFile>,
}

/// Deliveries of leads up to this age (`1s`, ... `later`), and older than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct AgeFile {
    pub within: &'static str,
    pub delivered: u64,
}

/// What one recipient saw. `breaker` is 0 for closed, 1 for recovery, 2 for half-open, 3 for open.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the report, with units")]
pub struct RecipientReportFile {
    pub name: String,
    pub attempts: Vec<u32>,
    pub beyond_capacity: u64,
    pub breaker: Vec<u32>,
    pub transitions: Vec<TransitionFile>,
}

/// One transition of a breaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct TransitionFile {
    pub at_ms: u64,
    pub to: &'static str,
    pub because: String,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the report")]
pub struct QuantilesFile {
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
    pub longest: u64,
}

/// Attempts and backlog, bucket by bucket.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names are those of the report, with units")]
pub struct SeriesFile {
    pub bucket_ms: u64,
    pub attempts: Vec<u32>,
    pub backlog: Vec<u32>,
}

impl From<&Report> for ReportFile {
    fn from(report: &Report) -> Self {
        ReportFile {
            name: report.name.clone(),
            title: report.title.clone(),
            seed: report.seed.0,
            start: report.start.to_string(),
            policies: report.policies.iter().map(PolicyReportFile::from).collect(),
        }
    }
}

impl From<&PolicyReport> for PolicyReportFile {
    fn from(report: &PolicyReport) -> Self {
        PolicyReportFile {
            policy: report.policy.clone(),
            leads: report.leads,
            delivered: report.delivered,
            probable: report.probable,
            possibly_twice: report.possibly_twice,
            rejected: report.rejected,
            in_review: report.in_review.iter().map(|(cause, count)| (cause.name(), *count)).collect(),
            closed: report.closed.iter().map(|(why, count)| (why.name(), *count)).collect(),
            still_waiting: report.still_waiting,
            attempts: report.attempts,
            retries_by_number: report.retries_by_number.clone(),
            delivered_by_attempt: report.delivered_by_attempt.clone(),
            delivery_time_ms: report.delivery_time.map(QuantilesFile::from),
            lasted_ms: millis(report.lasted),
            series: SeriesFile::from(&report.series),
            ways: report.ways.iter().map(WayFile::from).collect(),
            protection: report.protection.as_ref().map(ProtectionFile::from),
            timeline: report.timeline.as_ref().map(|text| text.lines().map(str::to_owned).collect()),
        }
    }
}

impl From<&WayReport> for WayFile {
    fn from(way: &WayReport) -> Self {
        WayFile {
            leg: way.leg,
            endpoint: way.endpoint.clone(),
            recipient: way.recipient.clone(),
            attempts: way.attempts,
            delivered: way.delivered,
            rejected: way.rejected,
        }
    }
}

impl From<Quantiles> for QuantilesFile {
    fn from(time: Quantiles) -> Self {
        let [p50, p95, p99, longest] = [time.p50, time.p95, time.p99, time.longest].map(millis);
        QuantilesFile { p50, p95, p99, longest }
    }
}

impl From<&Series> for SeriesFile {
    fn from(series: &Series) -> Self {
        let (attempts, backlog) = (series.attempts.clone(), series.backlog.clone());
        SeriesFile { bucket_ms: millis(series.width), attempts, backlog }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<&ProtectionReport> for ProtectionFile {
    fn from(report: &ProtectionReport) -> Self {
        let age = |(within, delivered)| AgeFile { within, delivered };
        ProtectionFile {
            recipients: report.recipients.iter().map(RecipientReportFile::from).collect(),
            held: report.held.clone(),
            waits: report.waits.iter().map(|(why, count)| (why.name(), *count)).collect(),
            delivered_by_age: report.delivered_by_age.parts().map(age).collect(),
        }
    }
}

impl From<&RecipientReport> for RecipientReportFile {
    fn from(report: &RecipientReport) -> Self {
        RecipientReportFile {
            name: report.name.clone(),
            attempts: report.attempts.clone(),
            beyond_capacity: report.beyond_capacity,
            breaker: report.breaker.clone(),
            transitions: report.told.iter().map(TransitionFile::from).collect(),
        }
    }
}

impl From<&Told> for TransitionFile {
    fn from(told: &Told) -> Self {
        let at_ms = u64::try_from(told.at.as_millis()).unwrap_or(u64::MAX);
        TransitionFile { at_ms, to: told.to.name(), because: told.text.clone() }
    }
}
