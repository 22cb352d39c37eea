//! What an answer means: one that is given, one that was stored, or all of a time, by a step's reading or by one that is tried.
//!
//! Reads and changes nothing: no delivery is decided anew. What an attempt meant is compared with what it would mean, before
//! the decision: that a duplicate after an attempt in doubt counts as delivered, or how many retries are left, is decided from
//! that later.

use super::explain::step_of;
use super::reclassify::{Span, reclassify};
use crate::answer::json;
use crate::auth::{Caller, Scope};
use crate::content::{Media, media, read_json, whole};
use crate::problem::{Problem, ProblemKind};
use crate::query::Query;
use crate::resource::deliveries::visible;
use crate::state::ApiState;
use crate::wire::classify::{
    AskedAnswer, AskedAttempt, AskedStep, ClassifiedView, ClassifyRequest, ClassifyView, HeaderValues,
};
use crate::wire::reading;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use std::sync::Arc;
use steadfast_lead::DeliveryId;
use steadfast_retry::policy::Conditions;
use steadfast_retry::{
    Answer, Attempt, CloseReason, Delivery, Entry, Evidence, FaultKind, LookUpAnswer, Outcome, Phase, Reading, State,
    Verdict,
};

/// Lines of a delivery's history read at once.
const LINES: usize = 100;
/// What a status may be.
const STATUSES: std::ops::RangeInclusive<u16> = 100..=999;

/// Read answers: a given one, a stored one, or all of a time, by a step's reading or by one that is tried.
///
/// A range shows what its attempts were and what they would be. What is compared is what an attempt meant, not what was
/// decided: a duplicate that counted as delivered, because an earlier attempt was in doubt, stands here as a duplicate.
#[utoipa::path(
    post, path = "/v1/classify", tag = "Settings", operation_id = "classify",
    request_body = ClassifyRequest,
    responses(
        (status = 200, description = "What it means, or what changes. One range is read at a time; others are told to come back (503)", body = ClassifyView),
    )
)]
pub(crate) async fn classify(Shared(state): Shared<ApiState>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = state.authorize(&parts.headers, Scope::Read)?;
    Query::read(parts.uri.query(), &[])?;
    media(&parts.headers, &[Media::Json])?;
    let body = whole(&parts.headers, body, &state).await?;
    let asked: ClassifyRequest = read_json(&body)?;
    let ClassifyRequest { answer, attempt, range, step, response, rules } = asked;
    let reader = match (step, response, rules) {
        (Some(step), None, None) => Reader::of_step(&state, &caller, &step)?,
        (None, None, None) | (Some(_), _, _) => return Err(one_of("step, or response and rules")),
        (None, response, rules) => Reader::tried(response.unwrap_or_default(), rules.unwrap_or_default())?,
    };
    if reader.look_up && answer.is_none() {
        let detail =
            "step.look_up reads what a look-up is answered, and attempts and ranges are what leads were answered";
        return Err(Problem::new(ProblemKind::BadRequest, detail).naming("step.look_up").allowing("with answer only"));
    }
    let view = match (answer, attempt, range) {
        (Some(answer), None, None) => ClassifyView::One(Box::new(reader.view(&evidence(answer)?).await?)),
        (None, Some(asked), None) => ClassifyView::One(Box::new(of_attempt(&state, &caller, &reader, &asked).await?)),
        (None, None, Some(range)) => {
            let span = Span::read(&range)?;
            let permit = Arc::clone(state.classifications()).try_acquire_owned().map_err(|_| {
                let detail = "another range is being read; try again when it is done";
                Problem::new(ProblemKind::TooManyReaders, detail).after_seconds(5)
            })?;
            ClassifyView::Range(reclassify(&state, &caller, reader.reading, span, Arc::new(permit)).await?)
        }
        (_, _, _) => return Err(one_of("answer, attempt and range")),
    };
    Ok(json(StatusCode::OK, &view))
}

fn one_of(allowed: &str) -> Problem {
    Problem::new(ProblemKind::BadRequest, format!("exactly one is to be given of {allowed}")).allowing(allowed)
}

/// What answers are read by, and which errors are retried.
struct Reader {
    reading: Reading,
    retry_on: Conditions,
    never_retry_on: Conditions,
    /// They answer a look-up, no lead.
    look_up: bool,
}

impl Reader {
    fn of_step(state: &ApiState, caller: &Caller, asked: &AskedStep) -> Result<Self, Problem> {
        let book = state.engine().book();
        let step = step_of(&book, caller, &asked.flow, &asked.step)?;
        let policy = &step.retry.policy;
        let (retry_on, never_retry_on) = (policy.retry_on.clone(), policy.never_retry_on.clone());
        let reading = match (&step.look_up, asked.look_up) {
            (_, false) => &step.reading,
            (Some(look_up), true) => &look_up.reading,
            (None, true) => {
                let detail =
                    format!("step {} of flow {} asks nobody: it has no in_doubt = \"verify\"", asked.step, asked.flow);
                return Err(Problem::new(ProblemKind::BadRequest, detail).naming("step.look_up"));
            }
        };
        Ok(Reader { reading: reading.clone(), retry_on, never_retry_on, look_up: asked.look_up })
    }

    fn tried(response: reading::ResponseTable, rules: Vec<reading::RuleTable>) -> Result<Self, Problem> {
        let reading = reading::build(response, rules).map_err(|misfits| {
            let detail = format!("response and rules have {} problem(s)", misfits.len());
            let errors = misfits.iter().map(ToString::to_string).collect();
            Problem::new(ProblemKind::BadRequest, detail).listing(errors)
        })?;
        let (retry_on, never_retry_on) = (Conditions::retryable_by_default(), Conditions::default());
        Ok(Reader { reading, retry_on, never_retry_on, look_up: false })
    }

    /// Reads away from the threads that serve: a body can be large.
    async fn view(&self, evidence: &Evidence) -> Result<ClassifiedView, Problem> {
        let (reading, evidence) = (self.reading.clone(), evidence.clone());
        let verdict = tokio::task::spawn_blocking(move || reading.read(&evidence)).await;
        let verdict = verdict.map_err(|_| failed())?;
        let view = ClassifiedView::of(&verdict, self.retries(&verdict));
        Ok(if self.look_up { view.answering(LookUpAnswer::of(&verdict)) } else { view })
    }

    fn retries(&self, verdict: &Verdict) -> bool {
        if self.look_up {
            return LookUpAnswer::of(verdict) == LookUpAnswer::Unknown && verdict.retryable != Some(false);
        }
        match verdict.outcome {
            Outcome::Success | Outcome::Failure(_) => false,
            Outcome::Error(kind) => {
                !self.never_retry_on.meets(kind, verdict.status)
                    && verdict.retryable.unwrap_or_else(|| self.retry_on.meets(kind, verdict.status))
            }
        }
    }
}

/// Reading failed.
pub(crate) fn failed() -> Problem {
    Problem::new(ProblemKind::Internal, "reading the answer failed; please report this")
}

fn refused(name: &str, detail: &str, allowed: &str) -> Problem {
    Problem::new(ProblemKind::BadRequest, format!("{name} {detail}: allowed is {allowed}"))
        .naming(name)
        .allowing(allowed)
}

pub(crate) fn evidence(asked: AskedAnswer) -> Result<Evidence, Problem> {
    let fault = asked.error.as_deref().map(|name| {
        let kinds: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        let kind = FaultKind::from_name(name);
        kind.ok_or_else(|| refused("answer.error", "is not what can go wrong", &kinds.join(", ")))
    });
    let phase = asked.phase.as_deref().map(|name| {
        let phase = Phase::from_name(name);
        phase.ok_or_else(|| refused("answer.phase", "is not a phase", &Phase::ALL.map(Phase::name).join(", ")))
    });
    let (fault, phase) = (fault.transpose()?, phase.transpose()?);
    let answer = match asked.status {
        Some(status) => Some(answer(status, asked)?),
        None if asked.headers.is_empty() && asked.body.is_none() && asked.body_base64.is_none() => None,
        None => return Err(refused("answer.status", "is missing", "100 to 999 beside headers or a body")),
    };
    match (answer, fault) {
        (None, None) => Err(refused("answer", "says nothing", "status with headers and body, or error with phase")),
        (Some(answer), None) => {
            Ok(Evidence { phase: phase.unwrap_or(Phase::Responded), ..Evidence::of_answer(answer) })
        }
        (answer, Some(kind)) => {
            Ok(Evidence { answer, ..Evidence::of_fault(phase.unwrap_or(Phase::Sent), kind, kind.name()) })
        }
    }
}

fn answer(status: u16, asked: AskedAnswer) -> Result<Answer, Problem> {
    if !STATUSES.contains(&status) {
        return Err(refused("answer.status", "is not a status", "100 to 999"));
    }
    let mut headers = Vec::new();
    for (name, values) in asked.headers {
        let values = match values {
            HeaderValues::One(value) => vec![value],
            HeaderValues::Several(values) => values,
        };
        headers.extend(values.into_iter().map(|value| (name.to_ascii_lowercase().into(), value.into())));
    }
    let body: Bytes = match (asked.body, asked.body_base64) {
        (Some(_), Some(_)) => return Err(refused("answer.body", "stands twice", "body or body_base64")),
        (Some(text), None) => text.into(),
        (None, Some(coded)) => {
            let bytes = STANDARD.decode(coded);
            bytes.map_err(|_| refused("answer.body_base64", "cannot be read", "bytes in base 64"))?.into()
        }
        (None, None) => Bytes::new(),
    };
    let body_bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
    Ok(Answer { status, headers, body, body_bytes })
}

async fn of_attempt(
    state: &ApiState,
    caller: &Caller,
    reader: &Reader,
    asked: &AskedAttempt,
) -> Result<ClassifiedView, Problem> {
    let id: DeliveryId = asked.delivery.parse().map_err(|_| {
        let allowed = "the id of a delivery (dl_...)";
        let detail = format!("attempt.delivery is not allowed: allowed is {allowed}");
        Problem::new(ProblemKind::BadRequest, detail).naming("attempt.delivery").allowing(allowed)
    })?;
    let delivery = visible(state, caller, id).await?;
    let attempt = attempt(state, id, asked.number).await?;
    if is_erased(&delivery, &attempt) {
        let detail = format!("the lead of delivery {id} was erased, and what was answered with it");
        return Err(Problem::new(ProblemKind::EvidenceErased, detail).naming("attempt.delivery"));
    }
    let view = reader.view(&attempt.evidence).await?;
    Ok(view.beside(&attempt.verdict, is_cut(&attempt.evidence)))
}

async fn attempt(state: &ApiState, id: DeliveryId, number: u32) -> Result<Attempt, Problem> {
    // Each attempt is a line of its own, and numbers are given in order: none stands before its own number.
    let mut skip = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    loop {
        let entries = state.engine().store().history(id, skip, LINES).await?;
        let read = entries.len();
        for entry in entries {
            if let Entry::Attempt(attempt) = entry
                && attempt.number == number
            {
                return Ok(*attempt);
            }
        }
        if read < LINES {
            let detail = format!("delivery {id} has no attempt number {number}");
            return Err(Problem::new(ProblemKind::UnknownAttempt, detail).naming("attempt.number"));
        }
        skip = skip.saturating_add(read);
    }
}

/// Whether what was answered is gone with the lead. A delivery that was delivered stays so; its attempts say it.
pub(crate) fn is_erased(delivery: &Delivery, attempt: &Attempt) -> bool {
    matches!(delivery.state, State::Closed { why: CloseReason::Erased, .. }) || &*attempt.because == "erased"
}

/// Whether only the head of the body was stored.
pub(crate) fn is_cut(evidence: &Evidence) -> bool {
    let kept = |answer: &Answer| u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
    evidence.answer.as_ref().is_some_and(|answer| kept(answer) < answer.body_bytes)
}
