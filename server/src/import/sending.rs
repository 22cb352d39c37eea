//! Settling one part of a file: sent until every line of it is taken or refused for good.
//!
//! What may pass is tried again, when the server asks for it and never in a hurry; what will not is an end.

use super::records::Record;
use crate::client::{ApiClient, Reply};
use anyhow::{Result, bail};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The first wait after a failure; doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait the server or the doubling may ask for.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How long nothing may get through before the import stops.
const GIVE_UP_AFTER: Duration = Duration::from_secs(600);

/// Lines from the first to the last of one request: blank lines stand for those between.
const LINES_SPANNED_MAX: usize = 100_000;

/// Consecutive records of a file.
pub(super) struct Part {
    pub(super) records: Vec<Record>,
    /// Where the next part begins.
    pub(super) end: u64,
    pub(super) next_line: u64,
}

/// Why one line was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: String,
    pub(super) reason: String,
}

/// A part of which every line is settled.
pub(super) struct Settled {
    pub(super) accepted: u64,
    pub(super) refused: Vec<(Record, Refusal)>,
    pub(super) end: u64,
    pub(super) next_line: u64,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<LineResult>,
    #[serde(default)]
    detail: String,
}

#[derive(Deserialize)]
struct LineResult {
    line: u64,
    status: u16,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    detail: String,
}

/// Sends parts to a flow. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sender {
    client: Arc<ApiClient>,
    path: Arc<str>,
    key: Arc<str>,
}

impl Sender {
    /// To a flow, under keys made of the file's fingerprint.
    ///
    /// # Errors
    /// When the flow's name cannot be one.
    pub(super) fn new(client: ApiClient, flow: &str, fingerprint: &str, test: bool) -> Result<Self> {
        let flow = steadfast_lead::FlowName::new(flow)?;
        let path = format!("/v1/flows/{flow}/leads/batch?test={test}");
        Ok(Sender { client: Arc::new(client), path: path.into(), key: format!("import-{fingerprint}").into() })
    }

    /// Sends a part until every line of it is settled.
    ///
    /// # Errors
    /// When the server refuses the import as a whole, or nothing got through for too long.
    pub(super) async fn settle(self, part: Part) -> Result<Settled> {
        let mut settled = Settled { accepted: 0, refused: Vec::new(), end: part.end, next_line: part.next_line };
        let mut left = Vec::with_capacity(part.records.len());
        for mut record in part.records {
            match std::mem::replace(&mut record.lead, Ok(Vec::new())) {
                Ok(lead) => left.push((record, lead)),
                Err(reason) => settled.refused.push((record, Refusal { kind: "unreadable".to_owned(), reason })),
            }
        }
        let (mut wait, mut progress_at) = (FIRST_WAIT, Instant::now());
        while !left.is_empty() {
            let before = left.len();
            let asked = self.send(&mut left, &mut settled).await?;
            if left.len() < before {
                (wait, progress_at) = (FIRST_WAIT, Instant::now());
            }
            let Some(asked) = asked else { continue };
            if progress_at.elapsed() > GIVE_UP_AFTER {
                bail!("nothing got through for {} minutes: {}", GIVE_UP_AFTER.as_secs() / 60, asked.why);
            }
            tracing::warn!("{}; trying again", asked.why);
            tokio::time::sleep(asked.after.unwrap_or(wait).min(WAIT_MAX)).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
        settled.refused.sort_by_key(|(record, _)| record.line);
        Ok(settled)
    }

    /// Sends what is left once; what remains left is to be sent again after a wait.
    async fn send(&self, left: &mut Vec<(Record, Vec<u8>)>, settled: &mut Settled) -> Result<Option<Again>> {
        let Some(first) = left.first().map(|(record, _)| record.line) else { return Ok(None) };
        let path = format!("{}&first_line={first}", self.path);
        let beyond = first.saturating_add(u64::try_from(LINES_SPANNED_MAX)?);
        let later = left.split_off(left.partition_point(|(record, _)| record.line < beyond));
        let again = self.send_all(&path, first, left, settled).await;
        left.extend(later);
        again
    }

    async fn send_all(
        &self,
        path: &str,
        first: u64,
        left: &mut Vec<(Record, Vec<u8>)>,
        settled: &mut Settled,
    ) -> Result<Option<Again>> {
        let reply = match self.client.post_lines(path, &self.key, body(first, left)).await {
            Ok(reply) => reply,
            Err(error) => return Ok(Some(Again { after: None, why: format!("{error:#}") })),
        };
        let Reply { status, retry_after, body } = reply;
        let answer: Answer =
            serde_json::from_value(body).unwrap_or(Answer { results: Vec::new(), detail: String::new() });
        sort_out(answer.results, left, settled);
        let passing = matches!(status, 408 | 429 | 500 | 502 | 503 | 504);
        if status != 200 && !passing {
            bail!("the server refuses the import: {status} {}", answer.detail);
        }
        let why =
            if status == 200 { "the server has no room now".to_owned() } else { format!("{status} {}", answer.detail) };
        Ok((!left.is_empty()).then_some(Again { after: retry_after, why }))
    }
}

/// Why to send again, and when.
struct Again {
    after: Option<Duration>,
    why: String,
}

/// One JSON object a line, with blank lines between so that every line keeps its number in the file.
fn body(first: u64, left: &[(Record, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut at = first;
    for (record, lead) in left {
        let blank = usize::try_from(record.line.saturating_sub(at)).unwrap_or(usize::MAX).min(LINES_SPANNED_MAX);
        body.extend(std::iter::repeat_n(b'\n', blank));
        body.extend_from_slice(lead);
        body.push(b'\n');
        at = record.line + 1;
    }
    body
}

/// Takes out what is taken or refused for good; what may pass, or was not told, stays.
fn sort_out(results: Vec<LineResult>, left: &mut Vec<(Record, Vec<u8>)>, settled: &mut Settled) {
    let mut results = results.into_iter().peekable();
    let mut open = Vec::new();
    for (record, lead) in left.drain(..) {
        while results.next_if(|result| result.line < record.line).is_some() {}
        match results.next_if(|result| result.line == record.line) {
            Some(LineResult { status: 200..=299, .. }) => settled.accepted += 1,
            Some(LineResult { status: 429 | 500..=599, .. }) | None => open.push((record, lead)),
            Some(LineResult { kind, detail, .. }) => settled.refused.push((record, Refusal { kind, reason: detail })),
        }
    }
    *left = open;
}

#[cfg(test)]
mod tests {
    use super::{LineResult, Record, Settled, body, sort_out};

    fn record(line: u64) -> (Record, Vec<u8>) {
        let record = Record { line, raw: Vec::new(), lead: Ok(Vec::new()), end: 0, next_line: 0 };
        (record, format!("{{\"n\":{line}}}").into_bytes())
    }

    #[test]
    fn lines_keep_their_numbers() {
        let left = [record(7), record(8), record(11)];
        assert_eq!(body(7, &left), b"{\"n\":7}\n{\"n\":8}\n\n\n{\"n\":11}\n");
    }

    #[test]
    fn what_may_pass_stays() {
        let mut left: Vec<_> = [1, 2, 4, 5, 6].map(record).into();
        let mut settled = Settled { accepted: 0, refused: Vec::new(), end: 0, next_line: 0 };
        let result = |line, status| LineResult { line, status, kind: "k".to_owned(), detail: "d".to_owned() };
        let results = vec![result(1, 202), result(2, 429), result(3, 202), result(4, 422), result(5, 503)];
        sort_out(results, &mut left, &mut settled);
        assert_eq!(left.iter().map(|(record, _)| record.line).collect::<Vec<_>>(), [2, 5, 6]);
        assert_eq!((settled.accepted, settled.refused[0].0.line), (1, 4));
    }
}
