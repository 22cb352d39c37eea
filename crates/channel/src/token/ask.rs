//! One request for a token: sent through the door, and read as granted, not for now, or refused.

use super::read::{Grant, TokenShape, read};
use crate::door::HttpDoor;
use crate::fault::fault;
use crate::parcel::Parcel;
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use steadfast_retry::{Answer, Fault, FaultKind, read_hint};

/// How much of a token endpoint's answer is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long an endpoint is left alone that gave no token for now, where it does not say how long.
const PAUSE: Duration = Duration::from_secs(1);
/// How long at most, whatever it says.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long one is left alone that refused: nothing changes unless a person acts.
const PAUSE_REFUSED: Duration = Duration::from_secs(10);

/// How a token is asked for, and how the answer is read.
pub struct TokenRequest {
    /// What goes out; holds credentials. Its own bound on the answer is not used.
    pub parcel: Parcel,
    /// How the answer is read.
    pub shape: TokenShape,
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest").field("parcel", &self.parcel).finish_non_exhaustive()
    }
}

/// No token, and how long nobody asks again.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) fault: Fault,
    pub(super) pause: Duration,
}

impl Refusal {
    fn for_now(detail: String) -> Self {
        Refusal { fault: fault(FaultKind::TokenUnavailable, detail), pause: PAUSE }
    }

    /// Until somebody changes something.
    pub(super) fn for_good(detail: String) -> Self {
        Refusal { fault: fault(FaultKind::TokenRefused, detail), pause: PAUSE_REFUSED }
    }
}

/// Asks once.
pub(super) async fn ask(door: &HttpDoor, request: TokenRequest) -> Result<Grant, Refusal> {
    let TokenRequest { mut parcel, shape } = request;
    parcel.response_bytes_max = ANSWER_BYTES_MAX;
    let origin = parcel.target.origin().clone();
    let evidence = door.send(parcel).await;
    if let Some(seen) = &evidence.fault {
        return Err(of_fault(&origin, seen));
    }
    match &evidence.answer {
        Some(answer) => of_answer(&origin, answer, &shape),
        None => Err(Refusal::for_now(format!("The token endpoint {origin} did not answer."))),
    }
}

fn of_fault(origin: &str, seen: &Fault) -> Refusal {
    let detail = format!("No token came from {origin}: {}", seen.detail);
    match seen.kind {
        // As for recipients: these do not pass by themselves.
        FaultKind::TlsCertificate | FaultKind::BlockedAddress => Refusal::for_good(detail),
        FaultKind::DnsNotFound
        | FaultKind::DnsFailure
        | FaultKind::DnsTimeout
        | FaultKind::ConnectRefused
        | FaultKind::ConnectTimeout
        | FaultKind::Unreachable
        | FaultKind::Tls
        | FaultKind::Reset
        | FaultKind::Protocol
        | FaultKind::TimeoutRead
        | FaultKind::ResponseTooLarge
        | FaultKind::RenderFailed
        | FaultKind::Interrupted
        | FaultKind::TokenUnavailable
        | FaultKind::TokenRefused => Refusal::for_now(detail),
    }
}

fn of_answer(origin: &str, answer: &Answer, shape: &TokenShape) -> Result<Grant, Refusal> {
    let status = answer.status;
    if (200..=299).contains(&status) {
        return read(answer, shape)
            .map_err(|wrong| Refusal::for_now(format!("No token came from {origin}: its answer {wrong}.")));
    }
    let code = error_code(answer);
    let said = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let detail = format!("The token endpoint {origin} answered {status}{said}.");
    let is_refusal = (400..=499).contains(&status)
        && !matches!(status, 408 | 425 | 429)
        && !matches!(code, Some("temporarily_unavailable" | "server_error"));
    if is_refusal {
        return Err(Refusal::for_good(detail));
    }
    let pause = read_hint(answer, 0).map_or(PAUSE, |hint| hint.pause.clamp(PAUSE, PAUSE_MAX));
    Err(Refusal { pause, ..Refusal::for_now(detail) })
}

/// The standard's word for what is wrong. Any other text is not repeated: it may hold what was sent.
fn error_code(answer: &Answer) -> Option<&'static str> {
    const CODES: [&str; 10] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "access_denied",
        "server_error",
        "temporarily_unavailable",
    ];
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let code = body.get("error")?.as_str()?;
    CODES.into_iter().find(|known| *known == code)
}
