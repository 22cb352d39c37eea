//! One attempt as it is shown: what was seen, what it meant, what was decided and why.

use crate::wire::choice::ChoiceView;
use crate::wire::{fine_millis, words};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::{Answer, Attempt, Change, Decision, Evidence, LookUp, State, Timings, Verdict};
use utoipa::ToSchema;

/// One attempt.
#[derive(Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// Its number over all legs, from 1.
    number: u32,
    /// Which leg; 0 is the primary.
    leg: u8,
    /// Which revision of the body.
    revision: u16,
    /// Which retry of its leg it was; 0 for the first attempt.
    retry: u32,
    /// Where it went.
    endpoint: String,
    /// How that was chosen, where its leg had several endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    choice: Option<ChoiceView>,
    /// When it was due.
    #[schema(schema_with = words::time)]
    due: String,
    /// When it started.
    #[schema(schema_with = words::time)]
    started: String,
    /// When it ended.
    #[schema(schema_with = words::time)]
    ended: String,
    /// How long it took.
    took_ms: f64,
    /// What was seen.
    evidence: EvidenceView,
    /// What it meant.
    verdict: VerdictView,
    /// What was decided.
    decision: DecisionView,
    /// Why.
    because: String,
    /// The configuration it was made under.
    config_version: u64,
}

/// What was seen during an attempt.
#[derive(Serialize, ToSchema)]
pub(crate) struct EvidenceView {
    /// How far it came.
    #[schema(schema_with = words::phase)]
    phase: &'static str,
    /// Whether the recipient may have seen any of it.
    possibly_sent: bool,
    /// Whether the recipient may have taken the lead without our knowing.
    in_doubt: bool,
    /// What went wrong on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FaultView>,
    /// What was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerView>,
    /// How long each part took.
    timings: TimingsView,
    /// The address that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<String>,
    /// The recipient first answered with this status (401 or 403), and the same request went out once more within the
    /// attempt, with a new token. Everything else here is of the second time.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed_after: Option<u16>,
}

/// What went wrong on the way.
#[derive(Serialize, ToSchema)]
pub(crate) struct FaultView {
    /// Which.
    #[schema(schema_with = words::fault)]
    kind: &'static str,
    /// For people.
    detail: String,
}

/// What was answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct AnswerView {
    /// The status code.
    status: u16,
    /// The headers that were kept, names in lower case.
    headers: Vec<HeaderView>,
    /// The head of the body, as text or in base 64.
    body: String,
    /// Whether `body` is in base 64, because it is not text.
    body_is_base64: bool,
    /// How many bytes of body came in all.
    body_bytes: u64,
    /// Whether only the head of the body was kept.
    body_truncated: bool,
}

/// One header.
#[derive(Serialize, ToSchema)]
pub(crate) struct HeaderView {
    /// In lower case.
    name: String,
    /// As it came.
    value: String,
}

/// How long each part took; absent where it was not reached or not needed.
#[derive(Serialize, ToSchema)]
pub(crate) struct TimingsView {
    /// Looking the host up.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolve_ms: Option<f64>,
    /// Opening the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ms: Option<f64>,
    /// TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    secure_ms: Option<f64>,
    /// From the start of the attempt to the first byte of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<f64>,
    /// The whole attempt.
    total_ms: f64,
}

/// What an attempt meant.
#[derive(Serialize, ToSchema)]
pub(crate) struct VerdictView {
    /// success, failure (the recipient's business said no) or error (could not be processed or communicated).
    #[schema(schema_with = words::outcome)]
    pub(crate) outcome: &'static str,
    /// The kind of a failure or error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::kind, required = false)]
    pub(crate) kind: Option<&'static str>,
    /// Why, in the recipient's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// What the recipient pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<String>,
    /// The recipient's own id for the lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reference: Option<String>,
    /// A rule's own word on retrying.
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    /// The rule, term or table row that decided.
    decided_by: String,
}

/// What was decided after an attempt.
#[derive(Serialize, ToSchema)]
pub(crate) struct DecisionView {
    /// Which.
    #[schema(schema_with = words::decision)]
    name: &'static str,
    /// Which retry comes next, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u32>,
    /// Which leg begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    leg: Option<u8>,
    /// When it goes by the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    due: Option<String>,
    /// The beginning of the window that was chosen from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    earliest: Option<String>,
    /// Its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    latest: Option<String>,
    /// Not before this: the recipient asked for it, or something holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    not_before: Option<String>,
    /// Why held, in review or rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::why, required = false)]
    why: Option<&'static str>,
    /// Delivered, concluded from a duplicate answer after an attempt in doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    probable: Option<bool>,
}

/// A change without an attempt.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangeView {
    /// When.
    #[schema(schema_with = words::time)]
    at: String,
    /// What a person did.
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<String>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Where the delivery stood then.
    #[schema(schema_with = words::state)]
    state: &'static str,
    /// The leg that begins with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    leg: Option<u8>,
    /// Why.
    because: String,
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
        AttemptView {
            number: attempt.number,
            leg: attempt.leg,
            revision: attempt.revision,
            retry: attempt.retry,
            endpoint: attempt.endpoint.origin.to_string(),
            choice: attempt.choice.as_deref().map(ChoiceView::from),
            due: attempt.due.to_string(),
            started: attempt.started.to_string(),
            ended: attempt.ended.to_string(),
            took_ms: fine_millis(attempt.ended.since(attempt.started)),
            evidence: EvidenceView::from(&attempt.evidence),
            verdict: VerdictView::from(&attempt.verdict),
            decision: DecisionView::of(&attempt.decision, attempt.ended),
            because: attempt.because.to_string(),
            config_version: attempt.config_version,
        }
    }
}

impl From<&Evidence> for EvidenceView {
    fn from(evidence: &Evidence) -> Self {
        let fault = evidence.fault.as_ref();
        EvidenceView {
            phase: evidence.phase.name(),
            possibly_sent: evidence.phase.possibly_sent(),
            in_doubt: evidence.is_ambiguous(),
            fault: fault.map(|fault| FaultView { kind: fault.kind.name(), detail: fault.detail.to_string() }),
            answer: evidence.answer.as_ref().map(AnswerView::from),
            timings: TimingsView::from(&evidence.timings),
            remote: evidence.remote.as_ref().map(ToString::to_string),
            replayed_after: evidence.replayed_after,
        }
    }
}

impl From<&Answer> for AnswerView {
    fn from(answer: &Answer) -> Self {
        let kept = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
        let truncated = kept < answer.body_bytes;
        let text = as_text(&answer.body, truncated);
        AnswerView {
            status: answer.status,
            headers: answer
                .headers
                .iter()
                .map(|(name, value)| HeaderView { name: name.to_string(), value: value.to_string() })
                .collect(),
            body_is_base64: text.is_none(),
            body: text.map_or_else(|| STANDARD.encode(&answer.body), str::to_owned),
            body_bytes: answer.body_bytes,
            body_truncated: truncated,
        }
    }
}

/// The body as text, if it is; a character cut in two at the end of a truncated body is left out.
fn as_text(body: &[u8], truncated: bool) -> Option<&str> {
    match std::str::from_utf8(body) {
        Ok(text) => Some(text),
        Err(error) if truncated && error.error_len().is_none() => {
            std::str::from_utf8(body.get(..error.valid_up_to())?).ok()
        }
        Err(_) => None,
    }
}

impl From<&Timings> for TimingsView {
    fn from(timings: &Timings) -> Self {
        let part = |part: Option<Duration>| part.map(fine_millis);
        TimingsView {
            resolve_ms: part(timings.resolve),
            connect_ms: part(timings.connect),
            secure_ms: part(timings.secure),
            first_byte_ms: part(timings.first_byte),
            total_ms: fine_millis(timings.total),
        }
    }
}

impl From<&Verdict> for VerdictView {
    fn from(verdict: &Verdict) -> Self {
        let text = |text: &Option<Box<str>>| text.as_ref().map(ToString::to_string);
        VerdictView {
            outcome: verdict.outcome.name(),
            kind: verdict.outcome.kind_name(),
            reason: text(&verdict.reason),
            price: text(&verdict.price),
            reference: text(&verdict.reference),
            retryable: verdict.retryable,
            decided_by: verdict.decided_by.to_string(),
        }
    }
}

impl DecisionView {
    fn of(decision: &Decision, ended: Timestamp) -> Self {
        let empty = DecisionView {
            name: decision.name().name(),
            retry: None,
            leg: None,
            due: None,
            earliest: None,
            latest: None,
            not_before: None,
            why: None,
            probable: None,
        };
        match decision {
            Decision::Deliver { probable } => DecisionView { probable: Some(*probable), ..empty },
            Decision::Reject { kind } => DecisionView { why: Some(kind.name()), ..empty },
            Decision::Retry { retry, due, window, not_before } => DecisionView {
                retry: Some(*retry),
                due: Some(due.to_string()),
                earliest: Some(ended.after(window.earliest).to_string()),
                latest: Some(ended.after(window.latest).to_string()),
                not_before: not_before.as_ref().map(ToString::to_string),
                ..empty
            },
            Decision::Hold { due, until, why } => DecisionView {
                due: Some(due.to_string()),
                not_before: Some(until.to_string()),
                why: Some(why.name()),
                ..empty
            },
            Decision::Review { cause } => DecisionView { why: Some(cause.name()), ..empty },
            Decision::LookUp { due } => DecisionView { due: Some(due.to_string()), ..empty },
            Decision::NextLeg { leg, due } => DecisionView { leg: Some(*leg), due: Some(due.to_string()), ..empty },
            Decision::Close { why } => DecisionView { why: Some(why.name()), ..empty },
        }
    }
}

/// One look-up: the recipient was asked whether it has the lead.
#[derive(Serialize, ToSchema)]
pub(crate) struct LookUpView {
    /// Its number since the doubt arose, from 1.
    number: u8,
    /// Attempts sent before it.
    after_attempt: u32,
    /// What it brought: `found`, `not_found` or `unknown`.
    answer: &'static str,
    /// Where it went.
    endpoint: String,
    /// When it was due.
    #[schema(schema_with = words::time)]
    due: String,
    /// When it started.
    #[schema(schema_with = words::time)]
    started: String,
    /// When it ended.
    #[schema(schema_with = words::time)]
    ended: String,
    /// What was seen.
    evidence: EvidenceView,
    /// What it meant, as an answer to the look-up.
    verdict: VerdictView,
    /// What was decided.
    decision: DecisionView,
    /// Why.
    because: String,
    /// The configuration it was made under.
    config_version: u64,
}

impl From<&LookUp> for LookUpView {
    fn from(look_up: &LookUp) -> Self {
        LookUpView {
            number: look_up.number,
            after_attempt: look_up.after_attempt,
            answer: look_up.answer().name(),
            endpoint: look_up.endpoint.origin.to_string(),
            due: look_up.due.to_string(),
            started: look_up.started.to_string(),
            ended: look_up.ended.to_string(),
            evidence: (&look_up.evidence).into(),
            verdict: (&look_up.verdict).into(),
            decision: DecisionView::of(&look_up.decision, look_up.ended),
            because: look_up.because.to_string(),
            config_version: look_up.config_version,
        }
    }
}

impl From<&Change> for ChangeView {
    fn from(change: &Change) -> Self {
        let (verb, by) = change.verb.as_ref().map(|(verb, by)| (verb.to_string(), by.to_string())).unzip();
        let state: &State = &change.state;
        ChangeView {
            at: change.at.to_string(),
            verb,
            by,
            state: state.name().name(),
            leg: change.leg,
            because: change.because.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::as_text;

    #[test]
    fn a_character_cut_by_storing_does_not_turn_text_into_bytes() {
        assert_eq!(as_text("größe".as_bytes(), false), Some("größe"));
        let cut = &"größe".as_bytes()[..3];
        assert_eq!(as_text(cut, true), Some("gr"));
        assert_eq!(as_text(cut, false), None, "whole, and still not text");
        assert_eq!(as_text(&[0xff, b'a'], true), None);
    }
}
