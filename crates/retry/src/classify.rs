//! Evidence to outcome by the built-in table: faults by kind, answers by status.

use crate::evidence::{Answer, Evidence};
use crate::outcome::{ErrorKind, Outcome, Verdict};

/// What an attempt meant by the built-in table: a fault is an error of its kind; 2xx is success; everything else an error.
pub fn classify_status(evidence: &Evidence) -> Verdict {
    if let Some(fault) = &evidence.fault {
        let status = evidence.answer.as_ref().map(|answer| answer.status);
        let decided_by = format!("fault {}", fault.kind);
        return verdict(Outcome::Error(ErrorKind::from(fault.kind)), status, &decided_by, Some(&fault.detail));
    }
    let Some(answer) = &evidence.answer else {
        return verdict(Outcome::Error(ErrorKind::Protocol), None, "no answer", None);
    };
    by_status(answer)
}

fn by_status(answer: &Answer) -> Verdict {
    let status = answer.status;
    let (outcome, decided_by) = match status {
        200..=299 => (Outcome::Success, "status 2xx"),
        300..=399 => (Outcome::Error(ErrorKind::Redirect), "status 3xx"),
        401 | 403 | 407 => (Outcome::Error(ErrorKind::Auth), "status 401, 403, 407"),
        408 | 425 => (Outcome::Error(ErrorKind::RequestTimeout), "status 408, 425"),
        429 => (Outcome::Error(ErrorKind::RateLimited), "status 429"),
        400..=499 => (Outcome::Error(ErrorKind::ClientError), "status 4xx"),
        500..=599 => (Outcome::Error(ErrorKind::ServerError), "status 5xx"),
        _ => (Outcome::Error(ErrorKind::Protocol), "status outside 200 to 599"),
    };
    let reason = (outcome != Outcome::Success).then(|| format!("HTTP {status}"));
    verdict(outcome, Some(status), decided_by, reason.as_deref())
}

fn verdict(outcome: Outcome, status: Option<u16>, decided_by: &str, reason: Option<&str>) -> Verdict {
    let reason = reason.map(Into::into);
    Verdict {
        outcome,
        status,
        retryable: None,
        delay: None,
        reason,
        price: None,
        reference: None,
        decided_by: decided_by.into(),
    }
}
