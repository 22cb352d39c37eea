//! One lead on its way to one recipient: where it stands, and what it has used up.

use crate::after_sale::Booking;
use crate::choice::Choice;
use crate::evidence::named_enum;
use crate::outcome::FailureKind;
use crate::tie::Tie;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{DeliveryId, FlowName, LeadId, Priority, RecipientName, StepName, Timestamp};

/// A recipient and the origin it is reached at (scheme, host and port; or another door's address). What pauses, breaks or
/// is budgeted together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Whose.
    pub recipient: RecipientName,
    /// Where, such as `https://api.bigbank.example:443`.
    pub origin: Arc<str>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.recipient, self.origin)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

named_enum! {
    /// Why a delivery is held: it could go, but must not yet. Waiting like this uses no retry.
    HoldReason {
        /// The recipient asked for a pause (Retry-After).
        RetryAfter = "retry_after",
        /// An operator paused the recipient, the flow or the source.
        Paused = "paused",
        /// The endpoint's circuit breaker is open.
        Breaker = "breaker",
        /// Outside the recipient's hours.
        Closed = "closed_hours",
        /// In a maintenance window.
        Maintenance = "maintenance",
        /// The endpoint's retry budget is empty.
        Budget = "budget",
        /// The recipient's rate limit is reached.
        Rate = "rate",
        /// The endpoint refuses our credentials.
        Credentials = "credentials",
        /// Another delivery of the same person to the recipient is under way.
        Duplicate = "duplicate",
        /// The buyers before it in the sale of its lead have not ended.
        Turn = "turn",
        /// The step it follows has not ended.
        After = "after",
        /// Outside the hours in which the lead may be contacted, by its own clock.
        ContactTime = "contact_time",
        /// A cap is full until its period is over.
        Cap = "cap",
        /// Outside the hours in which its step is retried.
        RetryHours = "retry_hours",
    }
}

impl HoldReason {
    /// Whether it lasts until another delivery of the same lead ends it, and not until a time.
    pub const fn is_for_another(self) -> bool {
        match self {
            HoldReason::Turn | HoldReason::After => true,
            HoldReason::RetryAfter | HoldReason::Paused | HoldReason::Breaker | HoldReason::Closed => false,
            HoldReason::Maintenance | HoldReason::Budget | HoldReason::Rate | HoldReason::Credentials => false,
            HoldReason::Duplicate | HoldReason::ContactTime | HoldReason::Cap => false,
            HoldReason::RetryHours => false,
        }
    }
}

named_enum! {
    /// Why a person has to look.
    ReviewCause {
        /// Every retry was used, or the time for retries is over.
        Exhausted = "exhausted",
        /// An error that is not retried.
        FinalError = "final_error",
        /// Older than the maximum lead age.
        Expired = "expired",
        /// The answer fits no term.
        Unrecognized = "unrecognized",
        /// The recipient may have taken it; sending again needs a person's word.
        InDoubt = "in_doubt",
        /// The configuration no longer has its step.
        StepGone = "step_gone",
        /// Three attempts were cut off by this process stopping.
        Interrupted = "interrupted",
        /// `max_retries` was lowered below what was used.
        LimitLowered = "limit_lowered",
        /// The same person went to the recipient before.
        Duplicate = "duplicate",
        /// Its endpoint's breaker was open for longer than the recipient's `longest_hold`.
        HeldTooLong = "held_too_long",
        /// A condition of its step has no answer for this lead.
        ConditionError = "condition_error",
        /// No endpoint of its leg may take this lead.
        NoEndpoint = "no_endpoint",
    }
}

named_enum! {
    /// Why a delivery ended without the recipient's answer.
    CloseReason {
        /// A person dismissed it.
        Dismissed = "dismissed",
        /// Older than the maximum lead age, where the step closes those.
        Expired = "expired",
        /// The person asked for deletion.
        Erased = "erased",
        /// Another delivery took its place.
        Superseded = "superseded",
        /// A test lead, which its recipient does not take.
        Test = "test",
        /// Another buyer has the lead.
        Sold = "sold",
        /// The step it follows ended in another way than it begins at.
        NotReached = "not_reached",
        /// The step's `when` is not so.
        Condition = "condition",
        /// It came due while the recipient was closed, which skips those.
        ClosedHours = "closed_hours",
        /// The person is on the suppression list, or has withdrawn consent.
        Suppressed = "suppressed",
        /// The buyer took it, and gave it back.
        Returned = "returned",
        /// Its step is a shadow: the request was made and not sent.
        Shadow = "shadow",
        /// Its last leg ended, and its step asks for nothing more then (`on_exhausted = "close"` and the like).
        GivenUp = "given_up",
        /// A cap is full, which its delivery does not wait for.
        Capped = "capped",
    }
}

/// Where a delivery stands. *In flight* is not stored: it follows from the running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The next attempt starts when due.
    Waiting {
        /// When.
        due: Timestamp,
    },
    /// It was or would be due, but must not go yet.
    Held {
        /// When it would have gone without the hold; the time held counts from here.
        due: Timestamp,
        /// When it is looked at again.
        until: Timestamp,
        /// Why.
        why: HoldReason,
    },
    /// The recipient took it.
    Delivered {
        /// When.
        at: Timestamp,
        /// Concluded from a duplicate answer after an attempt in doubt; not billed until confirmed.
        probable: bool,
        /// A person said so, not the recipient.
        by_hand: bool,
    },
    /// The recipient's business said no.
    Rejected {
        /// When.
        at: Timestamp,
        /// How.
        kind: FailureKind,
    },
    /// A person has to look.
    InReview {
        /// Since when.
        since: Timestamp,
        /// Why.
        cause: ReviewCause,
    },
    /// Ended without the recipient's answer.
    Closed {
        /// When.
        at: Timestamp,
        /// Why.
        why: CloseReason,
    },
}

named_enum! {
    /// The word for where a delivery stands.
    StateName {
        /// The next attempt starts when due.
        Waiting = "waiting",
        /// Must not go yet.
        Held = "held",
        /// An attempt is under way; never stored.
        InFlight = "in_flight",
        /// The recipient took it.
        Delivered = "delivered",
        /// The recipient said no.
        Rejected = "rejected",
        /// A person has to look.
        InReview = "in_review",
        /// Ended otherwise.
        Closed = "closed",
    }
}

impl State {
    /// Its word.
    pub const fn name(&self) -> StateName {
        match self {
            State::Waiting { .. } => StateName::Waiting,
            State::Held { .. } => StateName::Held,
            State::Delivered { .. } => StateName::Delivered,
            State::Rejected { .. } => StateName::Rejected,
            State::InReview { .. } => StateName::InReview,
            State::Closed { .. } => StateName::Closed,
        }
    }

    /// Whether it goes on, by itself or after another delivery of its lead.
    pub const fn is_open(&self) -> bool {
        matches!(self, State::Waiting { .. } | State::Held { .. })
    }

    /// When dispatch has to look at it; `None` where nothing more happens by itself.
    pub const fn next_look(&self) -> Option<Timestamp> {
        match self {
            State::Waiting { due } => Some(*due),
            State::Held { why, .. } if why.is_for_another() => None,
            State::Held { until, .. } => Some(*until),
            State::Delivered { .. } | State::Rejected { .. } | State::InReview { .. } | State::Closed { .. } => None,
        }
    }

    /// When it ended; `None` for what goes on, or waits for a person.
    pub const fn ended_at(&self) -> Option<Timestamp> {
        match self {
            State::Delivered { at, .. } | State::Rejected { at, .. } | State::Closed { at, .. } => Some(*at),
            State::Waiting { .. } | State::Held { .. } | State::InReview { .. } => None,
        }
    }

    /// When it would have gone if nothing had held it: `start - due` is the time held.
    pub const fn due(&self) -> Option<Timestamp> {
        match self {
            State::Waiting { due } | State::Held { due, .. } => Some(*due),
            State::Delivered { .. } | State::Rejected { .. } | State::InReview { .. } | State::Closed { .. } => None,
        }
    }
}

/// What the present leg has used up. A fresh leg starts from the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegProgress {
    /// Which leg of the chain; 0 is the primary.
    pub leg: u8,
    /// Raised when the body changes by an edit or a mapping fix; part of the idempotency key.
    pub revision: u16,
    /// Attempts sent on this leg.
    pub attempts: u32,
    /// Retries used on this leg.
    pub retries_used: u32,
    /// When the leg's first attempt started; the total timeout counts from here.
    pub first_attempt_at: Option<Timestamp>,
    /// Time spent held since then, which the total timeout does not count.
    pub held: Duration,
    /// Attempts of this leg cut off by this process stopping.
    pub interruptions: u8,
    /// An earlier attempt of this revision may have been taken without our knowing.
    pub in_doubt: bool,
    /// Sending again was cleared since the last attempt in doubt: a look-up did not find the lead, or a person said so.
    pub cleared: bool,
    /// Look-ups since the last attempt in doubt.
    pub look_ups: u8,
}

/// What a leg's body was made from, so that every attempt of a revision sends the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyMark {
    /// Version of the mapping it was rendered with.
    pub mapping_version: u64,
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
}

/// One lead on its way to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, sent with every attempt.
    pub id: DeliveryId,
    /// The lead.
    pub lead: LeadId,
    /// The flow the lead entered.
    pub flow: FlowName,
    /// The step that sends it.
    pub step: StepName,
    /// Where it goes, as of the last planning.
    pub endpoint: Endpoint,
    /// How its endpoint was chosen, where its leg has several; `None` where it has one, or is still to choose.
    pub choice: Option<Arc<Choice>>,
    /// When the lead was accepted.
    pub accepted_at: Timestamp,
    /// How urgent it is.
    pub priority: Priority,
    /// A test lead's delivery.
    pub test: bool,
    /// What it has to do with the other deliveries of its lead.
    pub tie: Tie,
    /// Raised by every committed change; a change made from an older one is refused.
    pub version: u32,
    /// Attempts sent in all, over all legs.
    pub attempts: u32,
    /// The present leg.
    pub progress: LegProgress,
    /// Set once an attempt may have been sent.
    pub body: Option<BodyMark>,
    /// The kind of the last outcome that was not a success, for lists.
    pub last_kind: Option<&'static str>,
    /// Where it stands.
    pub state: State,
    /// What its buyer owes for it; `None` while it has not taken it, or where nobody named a price.
    pub booking: Option<Box<Booking>>,
}

impl LegProgress {
    /// Whether an earlier attempt may have been taken and nobody has said since that sending again is right.
    pub const fn is_unresolved(&self) -> bool {
        self.in_doubt && !self.cleared
    }

    /// The same after an attempt that may have been taken without our knowing.
    #[must_use]
    pub fn doubted(self) -> Self {
        LegProgress { in_doubt: true, cleared: false, look_ups: 0, ..self }
    }

    /// Whether an earlier attempt may have been taken for all we know. A person's word that sending again is right does not say
    /// that it was not; the recipient's, that it has no such lead, does.
    pub const fn may_be_taken(&self) -> bool {
        let denied = self.cleared && self.look_ups > 0;
        self.in_doubt && !denied
    }
}

impl Delivery {
    /// The value of `Idempotency-Key` on every attempt of this revision.
    pub fn idempotency_key(&self) -> String {
        match self.progress.revision {
            0 => self.id.to_string(),
            revision => format!("{}-r{revision}", self.id),
        }
    }
}
