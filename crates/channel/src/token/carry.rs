//! Sends with a token. A recipient that answers 401 or 403 to a kept one is sent the same request once more with a new one.
//!
//! The only place where a request may reach a recipient twice within an attempt: because it answered, whole, that it did
//! not let the first one in. What is in doubt is never sent again here.

use super::ask::TokenRequest;
use super::entry::Token;
use super::source::{Now, TokenSource};
use crate::door::HttpDoor;
use crate::parcel::Parcel;
use http::{HeaderName, HeaderValue};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use steadfast_retry::{Evidence, Fault, FaultKind, Phase, Timings};
use tokio::time::Instant;

/// Makes the request for a token, only when one is asked for; or says why none can be made, without a secret.
pub type AskFor = Arc<dyn Fn() -> Result<TokenRequest, String> + Send + Sync>;

/// Where a request carries its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// In a header, after a prefix such as `Bearer `.
    Header {
        /// Which.
        name: HeaderName,
        /// What stands before the token, blank included.
        prefix: Box<str>,
    },
    /// In the query under this name.
    Query(Box<str>),
}

/// Which token a request carries, and where.
#[derive(Clone)]
pub struct TokenUse {
    /// Names the way of asking: who has the same key shares the token.
    pub key: [u8; 32],
    /// Where it goes.
    pub carrier: Carrier,
    /// How it is asked for.
    pub ask: AskFor,
}

impl fmt::Debug for TokenUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenUse").field("carrier", &self.carrier).finish_non_exhaustive()
    }
}

/// A door for recipients that want a token. Clones share connections and tokens.
#[derive(Clone)]
pub struct TokenDoor {
    door: HttpDoor,
    source: TokenSource,
}

impl TokenDoor {
    /// Sends and asks through `door`; `now` tells when tokens are to be renewed.
    pub fn new(door: HttpDoor, now: Now) -> Self {
        TokenDoor { source: TokenSource::new(door.clone(), now), door }
    }

    /// Sends a parcel with a token and reports what was seen. Takes at most the parcel's `timeouts.total`, waiting for a
    /// token and a second time included. Without a token nothing is sent: phase `prepare`.
    pub async fn send(&self, parcel: Parcel, carried: &TokenUse) -> Evidence {
        let course = Course { started: Instant::now(), total: parcel.timeouts.total };
        let obtained = match self.source.obtain(carried, course.left()).await {
            Ok(obtained) => obtained,
            Err(fault) => return course.unsent(fault),
        };
        // What was asked for just now cannot be too old: a refusal of it stands.
        let again = (!obtained.is_new).then(|| parcel.clone());
        let evidence = self.send_with(parcel, &obtained.token, &carried.carrier, &course).await;
        match (again, refusal(&evidence)) {
            (Some(parcel), Some(status)) => {
                self.again(parcel, carried, &obtained.token, (status, evidence), &course).await
            }
            (Some(_) | None, _) => evidence,
        }
    }

    async fn again(
        &self,
        parcel: Parcel,
        carried: &TokenUse,
        rejected: &Token,
        (status, first): (u16, Evidence),
        course: &Course,
    ) -> Evidence {
        let token = match self.source.another(carried, rejected, status, course.left()).await {
            None => return first,
            Some(Err(Fault { kind, detail })) => {
                let detail = format!("The recipient answered {status} to the token at hand. {detail}").into();
                return Evidence { remote: first.remote, ..course.unsent(Fault { kind, detail }) };
            }
            Some(Ok(token)) => token,
        };
        let second = self.send_with(parcel, &token, &carried.carrier, course).await;
        if refusal(&second).is_some() {
            self.source.believe_refusals(carried);
        }
        Evidence { replayed_after: Some(status), ..second }
    }

    async fn send_with(&self, mut parcel: Parcel, token: &Token, carrier: &Carrier, course: &Course) -> Evidence {
        match carrier {
            Carrier::Header { name, prefix } => match header(prefix, token) {
                Some(value) => _ = parcel.headers.insert(name, value),
                None => return course.unsent(unfit()),
            },
            Carrier::Query(name) => match parcel.target.with_pair(name, token.reveal()) {
                Some(target) => parcel.target = target,
                None => return course.unsent(unfit()),
            },
        }
        let before = course.started.elapsed();
        parcel.timeouts.total = course.left();
        parcel.timeouts.first_byte = parcel.timeouts.first_byte.min(parcel.timeouts.total);
        let evidence = self.door.send(parcel).await;
        let Timings { first_byte, total, .. } = evidence.timings;
        let first_byte = first_byte.map(|first_byte| before + first_byte);
        Evidence { timings: Timings { first_byte, total: before + total, ..evidence.timings }, ..evidence }
    }
}

/// How long an attempt runs, and may.
struct Course {
    started: Instant,
    total: Duration,
}

impl Course {
    fn left(&self) -> Duration {
        self.total.saturating_sub(self.started.elapsed())
    }

    fn unsent(&self, fault: Fault) -> Evidence {
        let evidence = Evidence::of_fault(Phase::Prepare, fault.kind, &fault.detail);
        Evidence { timings: Timings { total: self.started.elapsed(), ..Timings::default() }, ..evidence }
    }
}

/// The status of a whole answer that says "not with this token".
fn refusal(evidence: &Evidence) -> Option<u16> {
    let answer = evidence.answer.as_ref().filter(|_| evidence.fault.is_none() && evidence.phase == Phase::Responded)?;
    matches!(answer.status, 401 | 403).then_some(answer.status)
}

fn header(prefix: &str, token: &Token) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("{prefix}{}", token.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn unfit() -> Fault {
    let detail = "The token cannot stand where the configuration puts it.".into();
    Fault { kind: FaultKind::TokenRefused, detail }
}
