//! What an attempt says about the recipient's health. The breaker counts nothing else.
//!
//! Goes by what the answer *means*: an outage page with status 200 that a rule reads as a server error is a failure, and a 500
//! that a rule reads as "we have this lead" is a healthy answer.

use crate::evidence::named_enum;
use crate::outcome::{ErrorKind, Outcome, Verdict};
use std::time::Duration;

named_enum! {
    /// What an attempt says about the recipient's health.
    Signal {
        /// The recipient answered: yes, no, or that the request was wrong.
        Healthy = "healthy",
        /// It could not be reached, broke, failed, or was too slow.
        Failed = "failed",
        /// It refused our credentials.
        Refused = "refused",
        /// Nothing about its health: it asked for a pause, or the attempt ended on our side.
        Neutral = "neutral",
    }
}

/// What an attempt leaves behind for those who protect its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symptom {
    /// About its health.
    pub signal: Signal,
    /// It showed strain (429, 503, a timeout): fewer at once.
    pub strained: bool,
    /// How long the attempt took.
    pub took: Duration,
    /// How long the recipient asked to be left alone.
    pub asked: Option<Duration>,
}

impl Symptom {
    /// Reads an attempt that ran to its end. `slow_call` is from when on an answer counts as a failure, if at all.
    pub fn of(verdict: &Verdict, took: Duration, asked: Option<Duration>, slow_call: Option<Duration>) -> Self {
        let mut signal = signal_of(verdict.outcome);
        if signal == Signal::Healthy && slow_call.is_some_and(|most| took > most) {
            signal = Signal::Failed;
        }
        Symptom { signal, strained: is_strained(verdict), took, asked }
    }

    /// An attempt that we ended ourselves, or that never began.
    pub const fn cancelled(took: Duration) -> Self {
        Symptom { signal: Signal::Neutral, strained: false, took, asked: None }
    }
}

fn signal_of(outcome: Outcome) -> Signal {
    match outcome {
        Outcome::Success | Outcome::Failure(_) => Signal::Healthy,
        Outcome::Error(kind) => match kind {
            ErrorKind::DnsNotFound
            | ErrorKind::DnsFailure
            | ErrorKind::DnsTimeout
            | ErrorKind::ConnectRefused
            | ErrorKind::ConnectTimeout
            | ErrorKind::Unreachable
            | ErrorKind::Tls
            | ErrorKind::TlsCertificate
            | ErrorKind::Reset
            | ErrorKind::Protocol
            | ErrorKind::TimeoutRead
            | ErrorKind::ServerError => Signal::Failed,
            ErrorKind::Auth => Signal::Refused,
            ErrorKind::ClientError
            | ErrorKind::Redirect
            | ErrorKind::Unrecognized
            | ErrorKind::ResponseTooLarge
            | ErrorKind::RequestTimeout => Signal::Healthy,
            // 429 pauses instead; the others happened on our side, or at a token endpoint.
            ErrorKind::RateLimited
            | ErrorKind::BlockedAddress
            | ErrorKind::RenderFailed
            | ErrorKind::Interrupted
            | ErrorKind::AuthTemporary => Signal::Neutral,
        },
    }
}

fn is_strained(verdict: &Verdict) -> bool {
    let timed_out = matches!(
        verdict.outcome,
        Outcome::Error(
            ErrorKind::RateLimited | ErrorKind::TimeoutRead | ErrorKind::ConnectTimeout | ErrorKind::RequestTimeout
        )
    );
    timed_out || verdict.status == Some(503)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Answer, Evidence, FaultKind, Phase};
    use crate::{FailureKind, classify_status};

    fn status(status: u16) -> Verdict {
        let answer = Answer { status, headers: Vec::new(), body: bytes::Bytes::new(), body_bytes: 0 };
        classify_status(&Evidence::of_answer(answer))
    }

    fn signal(verdict: &Verdict) -> Signal {
        Symptom::of(verdict, Duration::ZERO, None, None).signal
    }

    #[test]
    fn statuses_count_as_the_breakers_rules_say() {
        let healthy = [200, 204, 302, 400, 404, 408, 409, 422, 425];
        assert!(healthy.iter().all(|code| signal(&status(*code)) == Signal::Healthy));
        assert!([500, 502, 503, 504, 599].iter().all(|code| signal(&status(*code)) == Signal::Failed));
        assert!([401, 403].iter().all(|code| signal(&status(*code)) == Signal::Refused));
        assert_eq!(signal(&status(429)), Signal::Neutral);
    }

    #[test]
    fn faults_on_the_way_count_and_our_own_do_not() {
        let of = |kind| signal(&classify_status(&Evidence::of_fault(Phase::Connect, kind, "test")));
        let ours =
            [FaultKind::BlockedAddress, FaultKind::RenderFailed, FaultKind::Interrupted, FaultKind::TokenUnavailable];
        for kind in FaultKind::ALL {
            let special = [(FaultKind::TokenRefused, Signal::Refused), (FaultKind::ResponseTooLarge, Signal::Healthy)];
            let special = special.into_iter().chain(ours.map(|kind| (kind, Signal::Neutral)));
            let expected = special.into_iter().find(|(known, _)| known == kind).map_or(Signal::Failed, |(_, is)| is);
            assert_eq!(of(*kind), expected, "{kind}");
        }
    }

    #[test]
    fn meaning_counts_before_status_and_slowness_only_where_asked_for() {
        let rule = |outcome, code| Verdict { outcome, ..status(code) };
        assert_eq!(signal(&rule(Outcome::Failure(FailureKind::Duplicate), 500)), Signal::Healthy);
        assert_eq!(signal(&rule(Outcome::Error(ErrorKind::ServerError), 200)), Signal::Failed);
        let took = Duration::from_secs(9);
        let slow = |most| Symptom::of(&status(200), took, None, Some(Duration::from_secs(most))).signal;
        assert_eq!((slow(8), slow(9)), (Signal::Failed, Signal::Healthy));
    }

    #[test]
    fn strain_is_429_503_and_timeouts() {
        let strained = |verdict: &Verdict| Symptom::of(verdict, Duration::ZERO, None, None).strained;
        assert!([429, 503, 408].iter().all(|code| strained(&status(*code))));
        assert!([200, 500, 502, 404].iter().all(|code| !strained(&status(*code))));
        let fault = |kind| classify_status(&Evidence::of_fault(Phase::Sent, kind, "test"));
        assert!(strained(&fault(FaultKind::TimeoutRead)) && !strained(&fault(FaultKind::Reset)));
    }
}
