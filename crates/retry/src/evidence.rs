//! What a channel saw during one attempt: how far it came, what went wrong on the way, what was answered, how long it took.
//!
//! Evidence holds no opinion. It is stored, so that an edited rule can be tried on last week's attempts.

use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// How far an attempt came. The order is the order in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Nothing was tried yet: rendering, address checks, waiting for a connection.
    Prepare,
    /// Looking the host up.
    Resolve,
    /// Opening the connection.
    Connect,
    /// Shaking hands over TLS.
    Secure,
    /// At least one byte of the request was written, not all of it.
    Sending,
    /// The request was written whole; no byte of the answer came.
    Sent,
    /// Some of the answer came.
    Receiving,
    /// The answer came whole.
    Responded,
}

impl Phase {
    /// All of them in order.
    pub const ALL: [Phase; 8] = [
        Phase::Prepare,
        Phase::Resolve,
        Phase::Connect,
        Phase::Secure,
        Phase::Sending,
        Phase::Sent,
        Phase::Receiving,
        Phase::Responded,
    ];

    /// The word used in answers and stored responses.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Prepare => "prepare",
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Secure => "secure",
            Phase::Sending => "sending",
            Phase::Sent => "sent",
            Phase::Receiving => "receiving",
            Phase::Responded => "responded",
        }
    }

    /// From the word used in answers and stored responses.
    pub fn from_name(name: &str) -> Option<Self> {
        Phase::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// Whether the recipient may have seen any of the request. Before that, sending again is always safe.
    pub fn possibly_sent(self) -> bool {
        self >= Phase::Sending
    }
}

macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word used in config, answers and figures.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }

            /// From the word used in config, answers and figures.
            pub fn from_name(name: &str) -> Option<Self> {
                $name::ALL.iter().copied().find(|known| known.name() == name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use named_enum;

named_enum! {
    /// What went wrong on the way: seen by a channel, never judged by it.
    FaultKind {
        /// The name does not exist (NXDOMAIN, or no address under it).
        DnsNotFound = "dns_not_found",
        /// The name server failed (SERVFAIL, refused, nonsense).
        DnsFailure = "dns_failure",
        /// The name server did not answer in time.
        DnsTimeout = "dns_timeout",
        /// The recipient's machine refused the connection.
        ConnectRefused = "connect_refused",
        /// The connection did not open in time.
        ConnectTimeout = "connect_timeout",
        /// No way to the recipient's network or machine.
        Unreachable = "unreachable",
        /// The TLS handshake failed for another reason than the certificate.
        Tls = "tls",
        /// The recipient's certificate was not accepted.
        TlsCertificate = "tls_certificate",
        /// The connection was reset or closed before the answer was whole.
        Reset = "reset",
        /// What came was not HTTP, or not allowed by it.
        Protocol = "protocol",
        /// The answer did not come in time.
        TimeoutRead = "timeout_read",
        /// The answer was larger than allowed.
        ResponseTooLarge = "response_too_large",
        /// The resolved address is one that must not be called.
        BlockedAddress = "blocked_address",
        /// The request could not be made from this lead.
        RenderFailed = "render_failed",
        /// This process stopped during the attempt.
        Interrupted = "interrupted",
        /// The recipient's token endpoint gave no token for now: down, slow, busy, or answering nonsense.
        TokenUnavailable = "auth_temporary",
        /// It will give none until somebody changes something: it refused, or must not be called.
        TokenRefused = "auth",
    }
}

/// What went wrong and a sentence about it. The sentence never holds lead data or secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which.
    pub kind: FaultKind,
    /// For people.
    pub detail: Box<str>,
}

/// What was answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, and values; only what is kept (bounded in number and size).
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// The body, or its head where it was cut for storing.
    pub body: Bytes,
    /// How many bytes of body came in all.
    pub body_bytes: u64,
}

impl Answer {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| &**known == name).map(|(_, value)| &**value)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body may hold lead data; debug output may end in a log.
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body_bytes)
            .finish_non_exhaustive()
    }
}

/// How long each part took; `None` where it was not reached or not needed (a connection used again).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Looking the host up.
    pub resolve: Option<Duration>,
    /// Opening the connection.
    pub connect: Option<Duration>,
    /// TLS.
    pub secure: Option<Duration>,
    /// From the start of the attempt to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// The whole attempt.
    pub total: Duration,
}

/// What a channel saw during one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// How far it came.
    pub phase: Phase,
    /// What went wrong on the way, if anything did.
    pub fault: Option<Fault>,
    /// What was answered; may stand beside a fault when the answer broke off.
    pub answer: Option<Answer>,
    /// How long it took.
    pub timings: Timings,
    /// The address that was called.
    pub remote: Option<Box<str>>,
    /// The recipient first answered with this status (401 or 403), and the same request went out once more within the
    /// attempt, with a new token. Everything else here is of the second time.
    pub replayed_after: Option<u16>,
}

impl Evidence {
    /// Evidence of an attempt that ended in a fault without an answer.
    pub fn of_fault(phase: Phase, kind: FaultKind, detail: &str) -> Self {
        let fault = Some(Fault { kind, detail: detail.into() });
        Evidence { phase, fault, answer: None, timings: Timings::default(), remote: None, replayed_after: None }
    }

    /// Evidence of a whole answer.
    pub fn of_answer(answer: Answer) -> Self {
        let timings = Timings::default();
        let (phase, answer) = (Phase::Responded, Some(answer));
        Evidence { phase, fault: None, answer, timings, remote: None, replayed_after: None }
    }

    /// Whether the recipient may have taken the lead without our knowing its answer: sent and unanswered, an answer that
    /// broke off, or a gateway's 502 or 504, which says that *it* got no answer.
    pub fn is_ambiguous(&self) -> bool {
        if !self.phase.possibly_sent() {
            return false;
        }
        match (&self.fault, &self.answer) {
            (Some(_), _) | (None, None) => true,
            (None, Some(answer)) => matches!(answer.status, 502 | 504),
        }
    }

    /// The same evidence with at most `body_bytes_max` of the answer's body, as it is stored.
    #[must_use]
    pub fn trimmed(mut self, body_bytes_max: usize) -> Self {
        if let Some(answer) = &mut self.answer {
            answer.body.truncate(body_bytes_max);
        }
        self
    }
}
