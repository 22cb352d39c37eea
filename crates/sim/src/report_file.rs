//! The serialised form of a report: names and units are promised here, and only here.

use crate::report::{PolicyReport, Quantiles, Report};
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
    pub still_waiting: u64,
    pub attempts: u64,
    pub retries_by_number: Vec<u64>,
    pub delivered_by_attempt: Vec<u64>,
    pub delivery_time_ms: Option<QuantilesFile>,
    pub lasted_ms: u64,
    pub series: SeriesFile,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Vec<String>>,
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
            still_waiting: report.still_waiting,
            attempts: report.attempts,
            retries_by_number: report.retries_by_number.clone(),
            delivered_by_attempt: report.delivered_by_attempt.clone(),
            delivery_time_ms: report.delivery_time.map(QuantilesFile::from),
            lasted_ms: millis(report.lasted),
            series: SeriesFile::from(&report.series),
            timeline: report.timeline.as_ref().map(|text| text.lines().map(str::to_owned).collect()),
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
