//! Taking the leads of a batch: a bounded number at once, answered in the order of their lines.
//!
//! Memory holds what is being taken and one short result a line, never the body.

use crate::batch::reading::{Line, Lines};
use crate::lead_body::refused;
use crate::problem::{Problem, ProblemKind};
use crate::state::ApiState;
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use http_body_util::BodyExt as _;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::time::Duration;
use steadfast_engine::{Engine, Idempotency, Posted};
use steadfast_lead::{Fields, FlowName, write_object};
use utoipa::ToSchema;

/// Leads of one batch on their way into the store at once: enough to share commits, few enough to bound memory.
const UNDER_WAY_MAX: usize = 64;
/// How much of a body that is too large is read and thrown away, so that its sender gets to read the answer.
const DISCARDED_BYTES_MAX: usize = 64 << 20;
/// How long that may take.
const DISCARDING_MAX: Duration = Duration::from_secs(10);

/// What became of one line.
#[derive(Serialize, ToSchema)]
pub(crate) struct LineView {
    /// Its number, from 1; of a record over several lines, the first.
    line: u64,
    /// 202 when the lead is kept, else the status its refusal would have alone.
    status: u16,
    /// The lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    lead_id: Option<String>,
    /// `true` when the line was accepted before under the same Idempotency-Key.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
    /// What kind of refusal, as in a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    /// What was wrong with this line.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl LineView {
    /// Whether the lead is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.lead_id.is_some()
    }

    fn refused(line: u64, problem: &Problem) -> Self {
        LineView {
            line,
            status: problem.kind().status(),
            lead_id: None,
            replayed: None,
            r#type: Some(problem.kind().urn()),
            detail: Some(problem.detail().to_owned()),
        }
    }
}

/// What is the same for every line.
pub(crate) struct Batch {
    pub(crate) flow: FlowName,
    pub(crate) test: bool,
    /// The request's Idempotency-Key.
    pub(crate) key: Option<Box<str>>,
    /// What the numbers of lines begin after.
    pub(crate) lines_before: u64,
    /// Bytes of the body, at most.
    pub(crate) bytes_max: usize,
    /// Lines, at most.
    pub(crate) lines_max: usize,
    /// How long to wait for the next piece of the body.
    pub(crate) patience: Duration,
}

impl Batch {
    fn posted(&self, line: u64, fields: Fields) -> Posted {
        let idempotency = self.key.as_ref().map(|key| {
            let mut said = Vec::new();
            write_object(&fields, &mut said);
            // Begins with a character that no key in a header can hold, and names the line.
            let key = format!("\u{1}batch\u{1}{line}\u{1}{key}");
            Idempotency { key: key.into(), digest: Sha256::digest(&said).into(), keep_for: None }
        });
        Posted { flow: self.flow.clone(), source: None, test: self.test, fields, idempotency }
    }
}

/// A batch being taken.
pub(crate) struct Taking<'a> {
    engine: &'a Engine,
    batch: Batch,
    under_way: FuturesOrdered<BoxFuture<'static, LineView>>,
    results: Vec<LineView>,
}

impl<'a> Taking<'a> {
    /// Before the first line.
    pub(crate) fn new(state: &'a ApiState, batch: Batch) -> Self {
        Taking { engine: state.engine(), batch, under_way: FuturesOrdered::new(), results: Vec::new() }
    }

    /// Takes every line of a body; what became of each, and what ended it before its end.
    pub(crate) async fn all(mut self, mut body: Body, mut lines: Lines) -> (Vec<LineView>, Option<Problem>) {
        let stopped = self.read(&mut body, &mut lines).await.err();
        while let Some(result) = self.under_way.next().await {
            self.results.push(result);
        }
        if stopped.is_some() {
            discard(body).await;
        }
        (self.results, stopped)
    }

    async fn read(&mut self, body: &mut Body, lines: &mut Lines) -> Result<(), Problem> {
        let mut bytes = 0_usize;
        while let Some(piece) = piece(body, self.batch.patience).await? {
            bytes = bytes.saturating_add(piece.len());
            if bytes > self.batch.bytes_max {
                let detail = format!("the body has more than {} bytes; send it in parts", self.batch.bytes_max);
                return Err(Problem::new(ProblemKind::BodyTooLarge, detail));
            }
            let mut input = &piece[..];
            while let Some(line) = lines.next(&mut input)? {
                self.take(line).await?;
            }
        }
        match lines.finish()? {
            Some(line) => self.take(line).await,
            None => Ok(()),
        }
    }

    async fn take(&mut self, (line, fields): Line) -> Result<(), Problem> {
        if self.results.len() + self.under_way.len() >= self.batch.lines_max {
            let detail = format!("the body has more than {} lines; send it in parts", self.batch.lines_max);
            return Err(Problem::new(ProblemKind::BodyTooLarge, detail));
        }
        if self.under_way.len() >= UNDER_WAY_MAX
            && let Some(result) = self.under_way.next().await
        {
            self.results.push(result);
        }
        let line = line + self.batch.lines_before;
        let engine = self.engine.clone();
        let posted = fields.map(|fields| self.batch.posted(line, fields));
        self.under_way.push_back(Box::pin(async move {
            let receipt = match posted {
                Ok(posted) => engine.accept(posted).await.map_err(refused),
                Err(problem) => Err(problem),
            };
            match receipt {
                Ok(receipt) => LineView {
                    line,
                    status: 202,
                    lead_id: Some(receipt.lead.to_string()),
                    replayed: receipt.replay.then_some(true),
                    r#type: None,
                    detail: None,
                },
                Err(problem) => LineView::refused(line, &problem),
            }
        }));
        Ok(())
    }
}

/// The next piece of a body that is not empty of data; `None` at its end.
async fn piece(body: &mut Body, patience: Duration) -> Result<Option<Bytes>, Problem> {
    loop {
        let Ok(frame) = tokio::time::timeout(patience, body.frame()).await else {
            let seconds = patience.as_secs();
            return Err(Problem::new(ProblemKind::BodyTooSlow, format!("nothing more came within {seconds} s")));
        };
        let frame = match frame {
            None => return Ok(None),
            Some(Ok(frame)) => frame,
            Some(Err(_)) => {
                return Err(Problem::new(ProblemKind::BodyBroken, "the connection broke off within the body"));
            }
        };
        // Trailers say nothing about leads.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

async fn discard(mut body: Body) {
    let reading = async {
        let mut left = DISCARDED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(bytes) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // Whether all was read or time ran out, the answer is given now.
    let _read = tokio::time::timeout(DISCARDING_MAX, reading).await;
}
