//! The numbers of enums in records. Part of the store format: a number is never given another meaning, and a new variant
//! does not compile until it has one here.

use super::RecordError;
use steadfast_lead::Priority;
use steadfast_retry::breaker::{BreakerState, Reason};
use steadfast_retry::{
    CapPer, CloseReason, DecisionName, ErrorKind, FailureKind, FaultKind, HoldReason, LookUpAnswer, Phase, ReviewCause,
    StateName,
};

/// A value that stands in records as a number.
pub trait Code: Sized + Copy {
    /// Its number.
    fn code(self) -> u8;

    /// The value of a number.
    ///
    /// # Errors
    /// [`RecordError::UnknownCode`] when this version knows none.
    fn of_code(code: u8) -> Result<Self, RecordError>;
}

macro_rules! codes {
    ($name:ident, $what:literal, { $($variant:ident = $code:literal,)+ }) => {
        impl Code for $name {
            fn code(self) -> u8 {
                match self {
                    $($name::$variant => $code,)+
                }
            }

            fn of_code(code: u8) -> Result<Self, RecordError> {
                match code {
                    $($code => Ok($name::$variant),)+
                    _ => Err(RecordError::UnknownCode { what: $what, code }),
                }
            }
        }
    };
}

codes!(Priority, "priority", { Critical = 0, High = 1, Normal = 2, Low = 3, });
codes!(StateName, "state", {
    Waiting = 0, Held = 1, InFlight = 2, Delivered = 3, Rejected = 4, InReview = 5, Closed = 6,
});
codes!(HoldReason, "hold reason", {
    RetryAfter = 0, Paused = 1, Breaker = 2, Closed = 3, Maintenance = 4, Budget = 5, Rate = 6, Credentials = 7, Duplicate = 8,
    Turn = 9, After = 10, ContactTime = 11, Cap = 12, RetryHours = 13,
});
codes!(ReviewCause, "review cause", {
    Exhausted = 0, FinalError = 1, Expired = 2, Unrecognized = 3, InDoubt = 4, StepGone = 5, Interrupted = 6,
    LimitLowered = 7, Duplicate = 8, HeldTooLong = 9, ConditionError = 10, NoEndpoint = 11,
});
codes!(BreakerState, "breaker state", {
    Closed = 0, Open = 1, HalfOpen = 2, Recovery = 3, Credentials = 4, ForcedOpen = 5, Disabled = 6,
});
codes!(Reason, "reason of a breaker", {
    InARow = 0, Ratio = 1, OpenTimeOver = 2, ProbeFailed = 3, ProbeExpired = 4, ProbesSucceeded = 5, RampOver = 6,
    Refused = 7, ByHand = 8,
});
codes!(CloseReason, "close reason", {
    Dismissed = 0, Expired = 1, Erased = 2, Superseded = 3, Test = 4,
    Sold = 5, NotReached = 6, Condition = 7, ClosedHours = 8, Suppressed = 9, Returned = 10,
    Shadow = 11, GivenUp = 20, Capped = 12,
});
codes!(DecisionName, "decision", { Deliver = 0, Reject = 1, Retry = 2, Hold = 3, Review = 4, Close = 5, LookUp = 6, NextLeg = 7, });
codes!(LookUpAnswer, "look-up's answer", { Found = 0, NotFound = 1, Unknown = 2, });
codes!(Phase, "phase", {
    Prepare = 0, Resolve = 1, Connect = 2, Secure = 3, Sending = 4, Sent = 5, Receiving = 6, Responded = 7,
});
codes!(FaultKind, "fault", {
    DnsNotFound = 1, DnsFailure = 2, DnsTimeout = 3, ConnectRefused = 4, ConnectTimeout = 5, Unreachable = 6, Tls = 7,
    TlsCertificate = 8, Reset = 9, Protocol = 10, TimeoutRead = 11, ResponseTooLarge = 12, BlockedAddress = 13,
    RenderFailed = 14, Interrupted = 15, TokenUnavailable = 16, TokenRefused = 17,
});
codes!(ErrorKind, "error kind", {
    DnsNotFound = 1, DnsFailure = 2, DnsTimeout = 3, ConnectRefused = 4, ConnectTimeout = 5, Unreachable = 6, Tls = 7,
    TlsCertificate = 8, Reset = 9, Protocol = 10, TimeoutRead = 11, ResponseTooLarge = 12, BlockedAddress = 13,
    RenderFailed = 14, Interrupted = 15, ServerError = 32, RateLimited = 33, RequestTimeout = 34, Auth = 35,
    AuthTemporary = 36, ClientError = 37, Redirect = 38, Unrecognized = 39,
});
codes!(CapPer, "period of a cap", { Hour = 0, Day = 1, Week = 2, Month = 3, });
codes!(FailureKind, "failure kind", { Rejected = 200, Duplicate = 201, Capped = 202, });

/// The number of an outcome kind's word: error kinds and failure kinds share one space. `None` for a word that is no kind.
pub fn code_of_kind(word: &str) -> Option<u8> {
    let error = ErrorKind::from_name(word).map(Code::code);
    error.or_else(|| FailureKind::from_name(word).map(Code::code))
}

/// The word of a kind's number.
///
/// # Errors
/// [`RecordError::UnknownCode`] when this version knows none.
pub fn kind_of_code(code: u8) -> Result<&'static str, RecordError> {
    ErrorKind::of_code(code).map(ErrorKind::name).or_else(|_| FailureKind::of_code(code).map(FailureKind::name))
}
