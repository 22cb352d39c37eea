//! One request, ready to go. Nothing is rendered, signed or decided here any more.

use crate::target::Target;
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::fmt;
use std::time::Duration;

/// How many bytes of an answer's body are read where nothing else is configured.
pub const RESPONSE_BYTES_MAX: usize = 1024 * 1024;

/// One request, ready to go. The caller has put in every header that carries meaning (`Steadfast-Delivery-Id`,
/// `Steadfast-Attempt`, `Idempotency-Key`, credentials, `Content-Type`).
///
/// The door adds `Host` and `User-Agent` where they are absent, and owns what frames the message: `Content-Length`,
/// `Transfer-Encoding`, `Connection`, `Expect`, `Upgrade` and `Accept-Encoding` are its own whatever the caller put in.
#[derive(Clone)]
pub struct Parcel {
    /// Where to.
    pub target: Target,
    /// The method.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, sent as it is.
    pub body: Bytes,
    /// How long each part may take.
    pub timeouts: Timeouts,
    /// How many bytes of the answer's body are read at most.
    pub response_bytes_max: usize,
}

/// How long each part of an attempt may take. `total` binds all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Looking the host up.
    pub resolve: Duration,
    /// Opening the connection, over all of the host's addresses together.
    pub connect: Duration,
    /// The TLS handshake.
    pub secure: Duration,
    /// From the start of sending to the first byte of the answer.
    pub first_byte: Duration,
    /// The whole attempt.
    pub total: Duration,
}

impl Timeouts {
    /// The usual bounds, none longer than `total`.
    pub fn within(total: Duration) -> Self {
        let opening = total.min(Duration::from_secs(5));
        Timeouts { resolve: opening, connect: opening, secure: opening, first_byte: total, total }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts::within(Duration::from_secs(30))
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold credentials and the body is a person's data; debug output may end in a log.
        f.debug_struct("Parcel")
            .field("target", &self.target)
            .field("method", &self.method)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
