//! One line of a delivery's history: an attempt with all it saw, or a change without one. Times are differences from the
//! attempt's start, or from the change.

use super::choice::ChoiceTwin;
use super::delivery::{EndpointTwin, StateTwin};
use super::time::{at, from_duration, offset, to_duration};
use super::{Code, Dictionary, RecordError, read, write};
use bytes::Bytes;
use minicbor::{Decode, Encode};
use steadfast_lead::Timestamp;
use steadfast_retry::{
    Answer, Attempt, Change, CloseReason, Decision, Entry, ErrorKind, Evidence, FailureKind, Fault, FaultKind,
    HoldReason, LookUp, Outcome, Phase, ReviewCause, Timings, Verdict, Window,
};

const WHAT: &str = "a line of a delivery's history";

#[derive(Encode, Decode)]
enum EntryTwin<'a> {
    #[n(0)]
    Attempt(#[b(0)] Box<AttemptTwin<'a>>),
    #[n(1)]
    Change(#[b(0)] ChangeTwin<'a>),
    #[n(2)]
    LookUp(#[b(0)] Box<LookUpTwin<'a>>),
}

#[derive(Encode, Decode)]
struct AttemptTwin<'a> {
    #[n(0)]
    number: u32,
    #[n(1)]
    leg: u8,
    #[n(2)]
    revision: u16,
    #[n(3)]
    retry: u32,
    #[n(4)]
    endpoint: EndpointTwin,
    #[n(5)]
    started: i64,
    #[n(6)]
    due: i64,
    #[n(7)]
    ended: i64,
    #[b(8)]
    evidence: EvidenceTwin<'a>,
    #[b(9)]
    verdict: VerdictTwin<'a>,
    #[n(10)]
    decision: DecisionTwin,
    #[b(11)]
    because: &'a str,
    #[n(12)]
    config_version: u64,
    /// `None` is one endpoint: lines that were written before this field, and most since.
    #[n(13)]
    choice: Option<ChoiceTwin>,
}

#[derive(Encode, Decode)]
struct LookUpTwin<'a> {
    #[n(0)]
    number: u8,
    #[n(1)]
    after_attempt: u32,
    #[n(2)]
    endpoint: EndpointTwin,
    #[n(3)]
    started: i64,
    #[n(4)]
    due: i64,
    #[n(5)]
    ended: i64,
    #[b(6)]
    evidence: EvidenceTwin<'a>,
    #[b(7)]
    verdict: VerdictTwin<'a>,
    #[n(8)]
    decision: DecisionTwin,
    #[b(9)]
    because: &'a str,
    #[n(10)]
    config_version: u64,
}

#[derive(Encode, Decode)]
struct ChangeTwin<'a> {
    #[n(0)]
    at: i64,
    #[b(1)]
    verb: Option<(&'a str, &'a str)>,
    #[n(2)]
    state: StateTwin,
    #[b(3)]
    because: &'a str,
    /// `None` is none: lines that were written before this field.
    #[n(4)]
    leg: Option<u8>,
}

#[derive(Encode, Decode)]
struct EvidenceTwin<'a> {
    #[n(0)]
    phase: u8,
    #[b(1)]
    fault: Option<(u8, &'a str)>,
    #[b(2)]
    answer: Option<AnswerTwin<'a>>,
    #[n(3)]
    timings: TimingsTwin,
    #[b(4)]
    remote: Option<&'a str>,
    /// Absent in records written before there were tokens, and where nothing was sent twice.
    #[n(5)]
    replayed_after: Option<u16>,
}

#[derive(Encode, Decode)]
struct AnswerTwin<'a> {
    #[n(0)]
    status: u16,
    #[b(1)]
    headers: Vec<(&'a str, &'a str)>,
    #[cbor(b(2), with = "minicbor::bytes")]
    body: &'a [u8],
    #[n(3)]
    body_bytes: u64,
}

#[derive(Encode, Decode)]
struct TimingsTwin {
    #[n(0)]
    total: u64,
    #[n(1)]
    first_byte: Option<u64>,
    #[n(2)]
    resolve: Option<u64>,
    #[n(3)]
    connect: Option<u64>,
    #[n(4)]
    secure: Option<u64>,
}

#[derive(Encode, Decode)]
struct VerdictTwin<'a> {
    #[n(0)]
    outcome: OutcomeTwin,
    #[n(1)]
    status: Option<u16>,
    #[n(2)]
    retryable: Option<bool>,
    #[n(3)]
    delay: Option<u64>,
    #[b(4)]
    reason: Option<&'a str>,
    #[b(5)]
    price: Option<&'a str>,
    #[b(6)]
    reference: Option<&'a str>,
    #[b(7)]
    decided_by: &'a str,
}

#[derive(Encode, Decode)]
pub(super) enum OutcomeTwin {
    #[n(0)]
    Success,
    #[n(1)]
    Failure(#[n(0)] u8),
    #[n(2)]
    Error(#[n(0)] u8),
}

#[derive(Encode, Decode)]
enum DecisionTwin {
    #[n(0)]
    Deliver(#[n(0)] bool),
    #[n(1)]
    Reject(#[n(0)] u8),
    /// Retry, due, the window's edges, not before.
    #[n(2)]
    Retry(#[n(0)] u32, #[n(1)] i64, #[n(2)] u64, #[n(3)] u64, #[n(4)] Option<i64>),
    #[n(3)]
    Hold(#[n(0)] i64, #[n(1)] i64, #[n(2)] u8),
    #[n(4)]
    Review(#[n(0)] u8),
    #[n(5)]
    LookUp(#[n(0)] i64),
    #[n(6)]
    NextLeg(#[n(0)] u8, #[n(1)] i64),
    #[n(7)]
    Close(#[n(0)] u8),
}

/// Writes a line of history.
pub fn encode_entry(entry: &Entry, names: &Dictionary) -> Vec<u8> {
    match entry {
        Entry::Attempt(attempt) => {
            let kept = attempt.evidence.answer.as_ref().map_or(0, |answer| answer.body.len());
            write(&EntryTwin::Attempt(Box::new(attempt_twin(attempt, names))), kept + 256)
        }
        Entry::Change(change) => write(&EntryTwin::Change(change_twin(change)), 128),
        Entry::LookUp(look_up) => {
            let kept = look_up.evidence.answer.as_ref().map_or(0, |answer| answer.body.len());
            write(&EntryTwin::LookUp(Box::new(look_up_twin(look_up, names))), kept + 256)
        }
    }
}

/// Reads a line of history.
///
/// # Errors
/// [`RecordError`] when the record cannot be understood.
pub fn decode_entry(record: &[u8], names: &Dictionary) -> Result<Entry, RecordError> {
    match read(WHAT, record)? {
        EntryTwin::Attempt(twin) => Ok(Entry::Attempt(Box::new(attempt(*twin, names)?))),
        EntryTwin::Change(twin) => change(&twin).map(Entry::Change),
        EntryTwin::LookUp(twin) => Ok(Entry::LookUp(Box::new(look_up(*twin, names)?))),
    }
}

fn look_up_twin<'a>(look_up: &'a LookUp, names: &Dictionary) -> LookUpTwin<'a> {
    let base = look_up.started;
    LookUpTwin {
        number: look_up.number,
        after_attempt: look_up.after_attempt,
        endpoint: EndpointTwin::of(&look_up.endpoint, names),
        started: base.as_micros(),
        due: offset(look_up.due, base),
        ended: offset(look_up.ended, base),
        evidence: evidence_twin(&look_up.evidence),
        verdict: verdict_twin(&look_up.verdict),
        decision: decision_twin(look_up.decision, base),
        because: &look_up.because,
        config_version: look_up.config_version,
    }
}

fn look_up(twin: LookUpTwin<'_>, names: &Dictionary) -> Result<LookUp, RecordError> {
    let base = Timestamp::from_micros(twin.started);
    Ok(LookUp {
        number: twin.number,
        after_attempt: twin.after_attempt,
        endpoint: twin.endpoint.value(names)?,
        due: at(twin.due, base),
        started: base,
        ended: at(twin.ended, base),
        evidence: evidence(twin.evidence)?,
        verdict: verdict(&twin.verdict)?,
        decision: decision(&twin.decision, base)?,
        because: twin.because.into(),
        config_version: twin.config_version,
    })
}

fn attempt_twin<'a>(attempt: &'a Attempt, names: &Dictionary) -> AttemptTwin<'a> {
    let base = attempt.started;
    AttemptTwin {
        number: attempt.number,
        leg: attempt.leg,
        revision: attempt.revision,
        retry: attempt.retry,
        endpoint: EndpointTwin::of(&attempt.endpoint, names),
        started: base.as_micros(),
        due: offset(attempt.due, base),
        ended: offset(attempt.ended, base),
        evidence: evidence_twin(&attempt.evidence),
        verdict: verdict_twin(&attempt.verdict),
        decision: decision_twin(attempt.decision, base),
        because: &attempt.because,
        config_version: attempt.config_version,
        choice: attempt.choice.as_deref().map(|choice| ChoiceTwin::of(choice, names)),
    }
}

fn attempt(twin: AttemptTwin<'_>, names: &Dictionary) -> Result<Attempt, RecordError> {
    let base = Timestamp::from_micros(twin.started);
    Ok(Attempt {
        number: twin.number,
        leg: twin.leg,
        revision: twin.revision,
        retry: twin.retry,
        endpoint: twin.endpoint.value(names)?,
        due: at(twin.due, base),
        started: base,
        ended: at(twin.ended, base),
        evidence: evidence(twin.evidence)?,
        verdict: verdict(&twin.verdict)?,
        decision: decision(&twin.decision, base)?,
        because: twin.because.into(),
        config_version: twin.config_version,
        choice: twin.choice.map(|choice| choice.value(names)).transpose()?,
    })
}

fn change_twin(change: &Change) -> ChangeTwin<'_> {
    ChangeTwin {
        at: change.at.as_micros(),
        verb: change.verb.as_ref().map(|(verb, by)| (&**verb, &**by)),
        state: StateTwin::of(&change.state, change.at),
        because: &change.because,
        leg: change.leg,
    }
}

fn change(twin: &ChangeTwin<'_>) -> Result<Change, RecordError> {
    let at = Timestamp::from_micros(twin.at);
    Ok(Change {
        at,
        verb: twin.verb.map(|(verb, by)| (verb.into(), by.into())),
        state: twin.state.value(at)?,
        leg: twin.leg,
        because: twin.because.into(),
    })
}

fn evidence_twin(evidence: &Evidence) -> EvidenceTwin<'_> {
    let Timings { resolve, connect, secure, first_byte, total } = evidence.timings;
    EvidenceTwin {
        phase: evidence.phase.code(),
        fault: evidence.fault.as_ref().map(|fault| (fault.kind.code(), &*fault.detail)),
        answer: evidence.answer.as_ref().map(|answer| AnswerTwin {
            status: answer.status,
            headers: answer.headers.iter().map(|(name, value)| (&**name, &**value)).collect(),
            body: &answer.body,
            body_bytes: answer.body_bytes,
        }),
        timings: TimingsTwin {
            total: from_duration(total),
            first_byte: first_byte.map(from_duration),
            resolve: resolve.map(from_duration),
            connect: connect.map(from_duration),
            secure: secure.map(from_duration),
        },
        remote: evidence.remote.as_deref(),
        replayed_after: evidence.replayed_after,
    }
}

fn evidence(twin: EvidenceTwin<'_>) -> Result<Evidence, RecordError> {
    let fault = twin.fault.map(|(kind, detail)| Ok(Fault { kind: FaultKind::of_code(kind)?, detail: detail.into() }));
    let answer = twin.answer.map(|answer| Answer {
        status: answer.status,
        headers: answer.headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        body: Bytes::copy_from_slice(answer.body),
        body_bytes: answer.body_bytes,
    });
    Ok(Evidence {
        phase: Phase::of_code(twin.phase)?,
        fault: fault.transpose()?,
        answer,
        timings: Timings {
            resolve: twin.timings.resolve.map(to_duration),
            connect: twin.timings.connect.map(to_duration),
            secure: twin.timings.secure.map(to_duration),
            first_byte: twin.timings.first_byte.map(to_duration),
            total: to_duration(twin.timings.total),
        },
        remote: twin.remote.map(Into::into),
        replayed_after: twin.replayed_after,
    })
}

fn verdict_twin(verdict: &Verdict) -> VerdictTwin<'_> {
    VerdictTwin {
        outcome: OutcomeTwin::of(verdict.outcome),
        status: verdict.status,
        retryable: verdict.retryable,
        delay: verdict.delay.map(from_duration),
        reason: verdict.reason.as_deref(),
        price: verdict.price.as_deref(),
        reference: verdict.reference.as_deref(),
        decided_by: &verdict.decided_by,
    }
}

fn verdict(twin: &VerdictTwin<'_>) -> Result<Verdict, RecordError> {
    Ok(Verdict {
        outcome: twin.outcome.value()?,
        status: twin.status,
        retryable: twin.retryable,
        delay: twin.delay.map(to_duration),
        reason: twin.reason.map(Into::into),
        price: twin.price.map(Into::into),
        reference: twin.reference.map(Into::into),
        decided_by: twin.decided_by.into(),
    })
}

impl OutcomeTwin {
    pub(super) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => OutcomeTwin::Success,
            Outcome::Failure(kind) => OutcomeTwin::Failure(kind.code()),
            Outcome::Error(kind) => OutcomeTwin::Error(kind.code()),
        }
    }

    pub(super) fn value(&self) -> Result<Outcome, RecordError> {
        match *self {
            OutcomeTwin::Success => Ok(Outcome::Success),
            OutcomeTwin::Failure(kind) => FailureKind::of_code(kind).map(Outcome::Failure),
            OutcomeTwin::Error(kind) => ErrorKind::of_code(kind).map(Outcome::Error),
        }
    }
}

fn decision_twin(decision: Decision, base: Timestamp) -> DecisionTwin {
    match decision {
        Decision::Deliver { probable } => DecisionTwin::Deliver(probable),
        Decision::Reject { kind } => DecisionTwin::Reject(kind.code()),
        Decision::Retry { retry, due, window, not_before } => DecisionTwin::Retry(
            retry,
            offset(due, base),
            from_duration(window.earliest),
            from_duration(window.latest),
            not_before.map(|time| offset(time, base)),
        ),
        Decision::Hold { due, until, why } => DecisionTwin::Hold(offset(due, base), offset(until, base), why.code()),
        Decision::Review { cause } => DecisionTwin::Review(cause.code()),
        Decision::LookUp { due } => DecisionTwin::LookUp(offset(due, base)),
        Decision::NextLeg { leg, due } => DecisionTwin::NextLeg(leg, offset(due, base)),
        Decision::Close { why } => DecisionTwin::Close(why.code()),
    }
}

fn decision(twin: &DecisionTwin, base: Timestamp) -> Result<Decision, RecordError> {
    Ok(match *twin {
        DecisionTwin::Deliver(probable) => Decision::Deliver { probable },
        DecisionTwin::Reject(kind) => Decision::Reject { kind: FailureKind::of_code(kind)? },
        DecisionTwin::Retry(retry, due, earliest, latest, not_before) => Decision::Retry {
            retry,
            due: at(due, base),
            window: Window { earliest: to_duration(earliest), latest: to_duration(latest) },
            not_before: not_before.map(|offset| at(offset, base)),
        },
        DecisionTwin::Hold(due, until, why) => {
            Decision::Hold { due: at(due, base), until: at(until, base), why: HoldReason::of_code(why)? }
        }
        DecisionTwin::Review(cause) => Decision::Review { cause: ReviewCause::of_code(cause)? },
        DecisionTwin::LookUp(due) => Decision::LookUp { due: at(due, base) },
        DecisionTwin::NextLeg(leg, due) => Decision::NextLeg { leg, due: at(due, base) },
        DecisionTwin::Close(why) => Decision::Close { why: CloseReason::of_code(why)? },
    })
}
