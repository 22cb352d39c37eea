//! What an attempt means, in the lead trade's three words: success, failure (the business said no), error (could not be
//! processed or communicated).

use crate::evidence::{FaultKind, named_enum};
use std::time::Duration;

named_enum! {
    /// Why an attempt is an error. Faults seen on the way keep their names.
    ErrorKind {
        /// The name does not exist.
        DnsNotFound = "dns_not_found",
        /// The name server failed.
        DnsFailure = "dns_failure",
        /// The name server did not answer in time.
        DnsTimeout = "dns_timeout",
        /// The connection was refused.
        ConnectRefused = "connect_refused",
        /// The connection did not open in time.
        ConnectTimeout = "connect_timeout",
        /// No way there.
        Unreachable = "unreachable",
        /// TLS failed.
        Tls = "tls",
        /// The certificate was not accepted.
        TlsCertificate = "tls_certificate",
        /// The connection broke.
        Reset = "reset",
        /// Not HTTP.
        Protocol = "protocol",
        /// No answer in time.
        TimeoutRead = "timeout_read",
        /// The answer was too large.
        ResponseTooLarge = "response_too_large",
        /// An address that must not be called.
        BlockedAddress = "blocked_address",
        /// The request could not be made from this lead.
        RenderFailed = "render_failed",
        /// This process stopped meanwhile.
        Interrupted = "interrupted",
        /// 5xx.
        ServerError = "server_error",
        /// 429.
        RateLimited = "rate_limited",
        /// 408 and 425.
        RequestTimeout = "request_timeout",
        /// 401, 403 and 407; or the token endpoint refused.
        Auth = "auth",
        /// The token endpoint is down, slow or busy, or answers nonsense.
        AuthTemporary = "auth_temporary",
        /// The other 4xx, and statuses below 200 or beyond 599.
        ClientError = "client_error",
        /// 3xx; never followed.
        Redirect = "redirect",
        /// An answer none of the configured terms decides.
        Unrecognized = "unrecognized",
    }
}

named_enum! {
    /// How the recipient's business said no. Always final.
    FailureKind {
        /// No, for its own reason.
        Rejected = "rejected",
        /// It has this lead already.
        Duplicate = "duplicate",
        /// It has had enough for now.
        Capped = "capped",
    }
}

impl From<FaultKind> for ErrorKind {
    fn from(kind: FaultKind) -> Self {
        match kind {
            FaultKind::DnsNotFound => ErrorKind::DnsNotFound,
            FaultKind::DnsFailure => ErrorKind::DnsFailure,
            FaultKind::DnsTimeout => ErrorKind::DnsTimeout,
            FaultKind::ConnectRefused => ErrorKind::ConnectRefused,
            FaultKind::ConnectTimeout => ErrorKind::ConnectTimeout,
            FaultKind::Unreachable => ErrorKind::Unreachable,
            FaultKind::Tls => ErrorKind::Tls,
            FaultKind::TlsCertificate => ErrorKind::TlsCertificate,
            FaultKind::Reset => ErrorKind::Reset,
            FaultKind::Protocol => ErrorKind::Protocol,
            FaultKind::TimeoutRead => ErrorKind::TimeoutRead,
            FaultKind::ResponseTooLarge => ErrorKind::ResponseTooLarge,
            FaultKind::BlockedAddress => ErrorKind::BlockedAddress,
            FaultKind::RenderFailed => ErrorKind::RenderFailed,
            FaultKind::Interrupted => ErrorKind::Interrupted,
            FaultKind::TokenUnavailable => ErrorKind::AuthTemporary,
            FaultKind::TokenRefused => ErrorKind::Auth,
        }
    }
}

/// What an attempt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The recipient took the lead.
    Success,
    /// The recipient's business said no.
    Failure(FailureKind),
    /// It could not be processed or communicated.
    Error(ErrorKind),
}

impl Outcome {
    /// `success`, `failure` or `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure(_) => "failure",
            Outcome::Error(_) => "error",
        }
    }

    /// The kind's word; `None` for success.
    pub const fn kind_name(self) -> Option<&'static str> {
        match self {
            Outcome::Success => None,
            Outcome::Failure(kind) => Some(kind.name()),
            Outcome::Error(kind) => Some(kind.name()),
        }
    }
}

/// An outcome with what was read beside it, and what decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the attempt means.
    pub outcome: Outcome,
    /// The status code, where there was an answer: retry conditions may name codes.
    pub status: Option<u16>,
    /// A rule's own word on retrying; `None` leaves it to the policy's conditions.
    pub retryable: Option<bool>,
    /// A rule's own delay before the next retry; a floor, never below the schedule.
    pub delay: Option<Duration>,
    /// Why, in the recipient's words.
    pub reason: Option<Box<str>>,
    /// What the recipient pays.
    pub price: Option<Box<str>>,
    /// The recipient's own id for the lead.
    pub reference: Option<Box<str>>,
    /// The rule, term or table row that decided.
    pub decided_by: Box<str>,
}
