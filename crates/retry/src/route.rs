//! Where a delivery goes when a leg has ended without the recipient's yes or no: to a person, to the next leg, or nowhere.
//!
//! Must never: send a lead that may have been taken to another recipient, or end it without a person's look.

use crate::change::change;
use crate::decide::{Because, Decided, Decision};
use crate::delivery::{CloseReason, Delivery, Endpoint, LegProgress, ReviewCause};
use crate::event::EventKind;
use crate::evidence::named_enum;
use crate::outcome::ErrorKind;
use crate::policy::{Condition, Conditions};
use crate::settle::{Entry, Settlement};
use crate::shard::Fence;
use steadfast_lead::Timestamp;

named_enum! {
    /// What follows the end of a leg.
    FollowUp {
        /// A person looks.
        Review = "review",
        /// The next leg begins; a person looks where there is none.
        NextLeg = "next_leg",
        /// The delivery ends, and the sale goes on to the next buyer.
        NextBuyer = "next_buyer",
        /// The delivery ends.
        Close = "close",
    }
}

/// What follows each way in which a leg may end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegEnds {
    /// Every retry was used, or the time for retries is over.
    pub exhausted: FollowUp,
    /// An error of [`LegEnds::final_errors`] that is not retried.
    pub final_error: FollowUp,
    /// Which final errors that speaks of; a person looks at the others.
    pub final_errors: Conditions,
    /// The answer fits no term.
    pub unrecognized: FollowUp,
    /// Held by an open breaker for too long.
    pub held_too_long: FollowUp,
}

impl Default for LegEnds {
    fn default() -> Self {
        LegEnds {
            exhausted: FollowUp::Review,
            final_error: FollowUp::Review,
            final_errors: Conditions::default(),
            unrecognized: FollowUp::Review,
            held_too_long: FollowUp::Review,
        }
    }
}

/// Final errors that say something of the endpoint and nothing of the lead: another endpoint may well take it.
fn cured_elsewhere() -> Conditions {
    let kinds = ErrorKind::ALL.iter().copied().filter(|kind| speaks_of_endpoint(*kind)).map(Condition::Kind);
    Conditions::new(kinds.chain([404, 405, 410].map(Condition::Code)).collect())
}

const fn speaks_of_endpoint(kind: ErrorKind) -> bool {
    match kind {
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
        | ErrorKind::ResponseTooLarge
        | ErrorKind::BlockedAddress
        | ErrorKind::ServerError
        | ErrorKind::RateLimited
        | ErrorKind::RequestTimeout
        | ErrorKind::Auth
        | ErrorKind::AuthTemporary
        | ErrorKind::Redirect => true,
        ErrorKind::RenderFailed | ErrorKind::Interrupted | ErrorKind::ClientError | ErrorKind::Unrecognized => false,
    }
}

/// The leg after the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextLeg {
    /// Its number.
    pub leg: u8,
    /// Where it goes.
    pub endpoint: Endpoint,
}

/// What may follow the present leg. The default leaves every end to a person.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route<'a> {
    /// What follows each end; a person where nothing is said.
    pub ends: Option<&'a LegEnds>,
    /// The leg after the present one, if there is one.
    pub next: Option<&'a NextLeg>,
}

impl LegEnds {
    /// What follows each end where nothing is said: with a leg to go on to, what another endpoint may cure goes there; otherwise
    /// a person looks.
    pub fn usual(has_next: bool) -> Self {
        let usual = if has_next { FollowUp::NextLeg } else { FollowUp::Review };
        LegEnds {
            exhausted: usual,
            final_error: usual,
            final_errors: cured_elsewhere(),
            unrecognized: FollowUp::Review,
            held_too_long: usual,
        }
    }

    /// What follows an end of this cause, after an error of this kind and status where it was one.
    fn after(&self, cause: ReviewCause, error: Option<(ErrorKind, Option<u16>)>) -> FollowUp {
        match cause {
            ReviewCause::Exhausted => self.exhausted,
            ReviewCause::FinalError if error.is_some_and(|(kind, status)| self.final_errors.meets(kind, status)) => {
                self.final_error
            }
            ReviewCause::Unrecognized => self.unrecognized,
            ReviewCause::HeldTooLong => self.held_too_long,
            // Another leg may well have one.
            ReviewCause::NoEndpoint => FollowUp::NextLeg,
            ReviewCause::FinalError
            | ReviewCause::Expired
            | ReviewCause::InDoubt
            | ReviewCause::StepGone
            | ReviewCause::Interrupted
            | ReviewCause::LimitLowered
            | ReviewCause::ConditionError
            | ReviewCause::Duplicate => FollowUp::Review,
        }
    }

    /// The key that says what follows an end of this cause.
    const fn key(cause: ReviewCause) -> &'static str {
        match cause {
            ReviewCause::FinalError => "on_final_error",
            ReviewCause::Unrecognized => "on_unrecognized",
            ReviewCause::HeldTooLong => "on_held_too_long",
            ReviewCause::NoEndpoint => "no endpoint may take it",
            ReviewCause::Exhausted
            | ReviewCause::Expired
            | ReviewCause::InDoubt
            | ReviewCause::StepGone
            | ReviewCause::Interrupted
            | ReviewCause::LimitLowered
            | ReviewCause::ConditionError
            | ReviewCause::Duplicate => "on_exhausted",
        }
    }
}

impl Route<'_> {
    /// A decision as it is where more legs may follow: a review may become the next leg, or an end. `delivery` says whether
    /// an attempt is in doubt, `at` when the leg ended.
    pub(crate) fn follow(
        self,
        decided: Decided,
        delivery: &Delivery,
        error: Option<(ErrorKind, Option<u16>)>,
        at: Timestamp,
    ) -> Decided {
        let (Some(ends), Decision::Review { cause }) = (self.ends, decided.decision) else { return decided };
        self.step_on(ends.after(cause, error), LegEnds::key(cause), decided, delivery, at)
    }

    fn step_on(self, follow_up: FollowUp, key: &str, decided: Decided, delivery: &Delivery, at: Timestamp) -> Decided {
        let because = &decided.because;
        let doubtful = delivery.progress.may_be_taken();
        let went_on = |decision, then: &str| Decided { decision, because: format!("{because}; {then}").into() };
        match (follow_up, self.next) {
            (FollowUp::Review, _) | (FollowUp::NextLeg, None) => decided,
            (FollowUp::NextLeg, Some(next)) if doubtful && next.endpoint.recipient != delivery.endpoint.recipient => {
                let then = format!(
                    "an attempt is in doubt, and leg {} goes to {}: a person decides",
                    next.leg, next.endpoint.recipient
                );
                went_on(decided.decision, &then)
            }
            (FollowUp::NextLeg, Some(next)) => {
                let then = format!("leg {} begins, at {} ({key})", next.leg, next.endpoint);
                went_on(Decision::NextLeg { leg: next.leg, due: at }, &then)
            }
            (FollowUp::NextBuyer | FollowUp::Close, _) if doubtful => {
                went_on(decided.decision, "an attempt is in doubt: a person decides")
            }
            (FollowUp::NextBuyer, _) => went_on(
                Decision::Close { why: CloseReason::GivenUp },
                &format!("it ends here ({key} = \"next_buyer\")"),
            ),
            (FollowUp::Close, _) => {
                went_on(Decision::Close { why: CloseReason::GivenUp }, &format!("it ends here ({key} = \"close\")"))
            }
        }
    }

    /// Puts a delivery at the beginning of the next leg, where a decision says so.
    pub(crate) fn begin(self, decision: Decision, delivery: &mut Delivery) {
        if let (Decision::NextLeg { .. }, Some(next)) = (decision, self.next) {
            begin_leg(delivery, next);
        }
    }
}

/// A fresh leg has used up nothing. At the same recipient body, revision and doubt stay: what was sent there may be the same
/// lead in the same bytes, under the same key. Another recipient knows nothing of it, and gets a key of its own.
fn begin_leg(delivery: &mut Delivery, next: &NextLeg) {
    let LegProgress { revision, in_doubt, cleared, look_ups, .. } = delivery.progress;
    let fresh = LegProgress { leg: next.leg, ..LegProgress::default() };
    delivery.progress = if next.endpoint.recipient == delivery.endpoint.recipient {
        LegProgress { revision, in_doubt, cleared, look_ups, ..fresh }
    } else {
        delivery.body = None;
        LegProgress { revision: revision.saturating_add(1), ..fresh }
    };
    delivery.endpoint = next.endpoint.clone();
    delivery.choice = None;
}

/// As [`crate::refer`], where more may follow: the end of a leg that no attempt brought. `None` where the delivery has ended.
pub fn end_leg(
    before: &Delivery,
    cause: ReviewCause,
    because: Because,
    route: Route<'_>,
    fence: Fence,
    now: Timestamp,
) -> Option<Settlement> {
    before.state.next_look()?;
    let decided = route.follow(Decided { decision: Decision::Review { cause }, because }, before, None, now);
    Some(settled(before, decided, route, fence, now))
}

/// Leaves a leg whose endpoint may not be called now, for one that may. `None` where the delivery has ended, or an attempt in
/// doubt keeps it from another recipient: then it is held like any other.
pub fn leave_leg(before: &Delivery, because: &str, next: &NextLeg, fence: Fence, now: Timestamp) -> Option<Settlement> {
    before.state.next_look()?;
    if before.progress.may_be_taken() && next.endpoint.recipient != before.endpoint.recipient {
        return None;
    }
    let because = format!("{because}; leg {} begins, at {}", next.leg, next.endpoint).into();
    let decided = Decided { decision: Decision::NextLeg { leg: next.leg, due: now }, because };
    Some(settled(before, decided, Route { ends: None, next: Some(next) }, fence, now))
}

pub(crate) fn settled(
    before: &Delivery,
    decided: Decided,
    route: Route<'_>,
    fence: Fence,
    now: Timestamp,
) -> Settlement {
    let mut after = before.clone();
    crate::settle::apply(&mut after, decided.decision, now);
    let mut settlement = change(before, after.state, decided.because, None, fence, now);
    if let Decision::NextLeg { leg: begun, .. } = decided.decision {
        route.begin(decided.decision, &mut settlement.delivery);
        match (&mut settlement.entry, &mut settlement.event.kind) {
            (Entry::Change(change), EventKind::DeliveryChanged { leg, .. }) => {
                change.leg = Some(begun);
                *leg = Some(begun);
            }
            _ => debug_assert!(false, "a change is told as one"),
        }
    }
    settlement
}
