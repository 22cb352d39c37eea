//! Look-ups: asking the recipient whether it has a lead before anything is sent again after doubt.
//!
//! A look-up sends no lead and uses no retry. Found ends the delivery; not found clears the way for the retry whose place the
//! look-up took; no answer is asked again on the policy's own schedule, a bounded number of times, and then a person decides.

use crate::backoff::{Window, delay};
use crate::decide::{Because, Decided, Decision, retry_deadline};
use crate::delivery::{Delivery, Endpoint, ReviewCause};
use crate::event::{Event, EventKind, LookUpSettled};
use crate::evidence::{Evidence, named_enum};
use crate::hint::{Hint, asked_pause};
use crate::outcome::{FailureKind, Outcome, Verdict};
use crate::reading::{MatchSettings, OutcomeWord, RuleSettings};
use crate::settle::{Entry, Settlement, Terms, apply, unix_seconds};
use std::time::Duration;
use steadfast_lead::{RecipientName, Timestamp};

/// So many look-ups without an answer go to a person.
pub const LOOK_UPS_MAX: u8 = 5;

named_enum! {
    /// What a look-up brought.
    LookUpAnswer {
        /// The recipient has the lead.
        Found = "found",
        /// The recipient does not have it.
        NotFound = "not_found",
        /// It did not say.
        Unknown = "unknown",
    }
}

impl LookUpAnswer {
    /// Reads a look-up's verdict: a success is found, and so is a duplicate; a business no is not found. A cap says that the
    /// recipient answers no more today, and nothing of the lead: that and every error is no answer.
    pub fn of(verdict: &Verdict) -> Self {
        match verdict.outcome {
            Outcome::Success | Outcome::Failure(FailureKind::Duplicate) => LookUpAnswer::Found,
            Outcome::Failure(FailureKind::Rejected) => LookUpAnswer::NotFound,
            Outcome::Failure(FailureKind::Capped) | Outcome::Error(_) => LookUpAnswer::Unknown,
        }
    }
}

/// The rule after all others of a look-up's reading: 404 and 410 say that the recipient does not have the lead.
pub fn not_found_rule() -> RuleSettings {
    let matches = MatchSettings { status: vec!["404".into(), "410".into()], ..MatchSettings::default() };
    let name = Some("status 404, 410".into());
    RuleSettings { name, matches, outcome: Some(OutcomeWord::Failure), ..RuleSettings::default() }
}

/// Who else than `asked` may have taken a lead, by the end of its delivery's history, oldest first: its step sent to them, and
/// sends elsewhere now. Nothing that `asked` says tells of that. What a recipient denied since, or a person sent another way, is settled.
pub fn in_doubt_elsewhere<'a>(history: &'a [Entry], asked: &RecipientName) -> Option<&'a RecipientName> {
    let is_settled = |entry: &&Entry| match entry {
        Entry::LookUp(look_up) => look_up.answer() == LookUpAnswer::NotFound,
        Entry::Change(change) => change.verb.as_ref().is_some_and(|(verb, _)| &**verb == "reroute"),
        Entry::Attempt(_) => false,
    };
    let sent = |entry: &'a Entry| match entry {
        Entry::Attempt(attempt) if attempt.evidence.is_ambiguous() => Some(&attempt.endpoint.recipient),
        Entry::Attempt(_) | Entry::LookUp(_) | Entry::Change(_) => None,
    };
    let since = history.iter().rev().take_while(|entry| !is_settled(entry));
    since.filter_map(sent).find(|recipient| *recipient != asked)
}

/// One look-up as it went out and came back.
#[derive(Clone, Debug)]
pub struct LookedUp {
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Where it went.
    pub endpoint: Endpoint,
    /// What was seen.
    pub evidence: Evidence,
    /// What it meant.
    pub verdict: Verdict,
}

/// One look-up as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// Its number since the doubt arose, from 1.
    pub number: u8,
    /// Attempts sent before it, over all legs.
    pub after_attempt: u32,
    /// Where it went.
    pub endpoint: Endpoint,
    /// When it was due.
    pub due: Timestamp,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What was seen.
    pub evidence: Evidence,
    /// What it meant.
    pub verdict: Verdict,
    /// What was decided.
    pub decision: Decision,
    /// Why.
    pub because: Because,
    /// The configuration it was made under.
    pub config_version: u64,
}

impl LookUp {
    /// What it brought.
    pub fn answer(&self) -> LookUpAnswer {
        LookUpAnswer::of(&self.verdict)
    }
}

/// Settles a look-up.
pub fn settle_look_up(before: &Delivery, looked: LookedUp, terms: &Terms<'_>) -> Settlement {
    let due = before.state.due().unwrap_or(looked.started);
    let answer = LookUpAnswer::of(&looked.verdict);
    let mut after = before.clone();
    after.version += 1;
    let number = before.progress.look_ups.saturating_add(1);
    after.progress.look_ups = number;
    after.progress.cleared = answer == LookUpAnswer::NotFound;
    let hint = asked_pause(&looked.verdict, looked.evidence.answer.as_ref(), unix_seconds(looked.ended));
    let Decided { decision, because } = decide(&after, &looked, answer, hint, terms);
    let Decided { decision, because } = terms.route.follow(Decided { decision, because }, &after, None, looked.ended);
    apply(&mut after, decision, looked.ended);
    terms.route.begin(decision, &mut after);
    let event = event(before, &after, &looked, answer, &decision);
    let look_up = LookUp {
        number,
        after_attempt: after.attempts,
        endpoint: looked.endpoint,
        due,
        started: looked.started,
        ended: looked.ended,
        evidence: looked.evidence.trimmed(terms.body_kept_bytes_max),
        verdict: looked.verdict,
        decision,
        because,
        config_version: terms.config_version,
    };
    Settlement {
        delivery: after,
        entry: Entry::LookUp(Box::new(look_up)),
        pause: None,
        event,
        fence: terms.fence,
        tied: None,
        caps: None,
    }
}

fn decide(
    delivery: &Delivery,
    looked: &LookedUp,
    answer: LookUpAnswer,
    hint: Option<Hint>,
    terms: &Terms<'_>,
) -> Decided {
    match answer {
        LookUpAnswer::Found => {
            let probable = looked.verdict.reference.is_none();
            let because = if probable { "the recipient has it" } else { "the recipient has it, under its reference" };
            Decided { decision: Decision::Deliver { probable }, because: because.into() }
        }
        LookUpAnswer::NotFound => send_again(delivery, looked.ended, terms),
        LookUpAnswer::Unknown => ask_again(delivery, looked, hint, terms),
    }
}

/// The retry whose place the look-up took, at once: its delay has passed.
fn send_again(delivery: &Delivery, ended: Timestamp, terms: &Terms<'_>) -> Decided {
    let (used, allowed) = (delivery.progress.retries_used, terms.policy.retries_allowed());
    if used >= allowed {
        let because = format!("the recipient does not have it, and no retry is left ({used} of {allowed} used)");
        return review(ReviewCause::Exhausted, because);
    }
    if ended > retry_deadline(delivery, terms.policy, ended) {
        let total = terms.policy.total_timeout;
        return review(
            ReviewCause::Exhausted,
            format!("the recipient does not have it, and total_timeout = {total} is over"),
        );
    }
    if ended >= oldest(delivery, terms) {
        return expired(terms);
    }
    let retry = used + 1;
    let window = Window { earliest: Duration::ZERO, latest: Duration::ZERO };
    let because = format!("the recipient does not have it; retry {retry} of {allowed}");
    Decided { decision: Decision::Retry { retry, due: ended, window, not_before: None }, because: because.into() }
}

/// Another look-up, on the policy's schedule, or later where the recipient or a rule asks for it.
fn ask_again(delivery: &Delivery, looked: &LookedUp, hint: Option<Hint>, terms: &Terms<'_>) -> Decided {
    let asked = delivery.progress.look_ups;
    if looked.verdict.retryable == Some(false) {
        let because =
            format!("{} says that asking again is no use, and sending again may sell twice", looked.verdict.decided_by);
        return review(ReviewCause::InDoubt, because);
    }
    if asked >= LOOK_UPS_MAX {
        let because = format!("{asked} look-ups brought no answer, and sending again may sell twice");
        return review(ReviewCause::InDoubt, because);
    }
    let wait = delay(terms.policy, terms.seed, delivery.id, delivery.progress.leg, u32::from(asked));
    let floor = looked.verdict.delay.max(hint.map(|hint| hint.pause)).unwrap_or_default();
    let due = looked.ended.after(wait.max(floor));
    if due >= oldest(delivery, terms) {
        return expired(terms);
    }
    let kind = looked.verdict.outcome.kind_name().unwrap_or_default();
    let because = format!("look-up {asked} of {LOOK_UPS_MAX} brought no answer ({kind}); asked again, no retry used");
    Decided { decision: Decision::LookUp { due }, because: because.into() }
}

fn oldest(delivery: &Delivery, terms: &Terms<'_>) -> Timestamp {
    delivery.accepted_at.after(terms.policy.max_lead_age.get())
}

fn expired(terms: &Terms<'_>) -> Decided {
    let age = terms.policy.max_lead_age;
    review(ReviewCause::Expired, format!("in doubt still, and the next step would come after max_lead_age = {age}"))
}

fn review(cause: ReviewCause, because: String) -> Decided {
    Decided { decision: Decision::Review { cause }, because: because.into() }
}

fn event(before: &Delivery, after: &Delivery, looked: &LookedUp, answer: LookUpAnswer, decision: &Decision) -> Event {
    let settled = LookUpSettled {
        delivery: after.id,
        recipient: looked.endpoint.recipient.clone(),
        number: before.progress.look_ups.saturating_add(1),
        answer,
        decision: decision.name(),
        state: after.state.name(),
        cause: if let Decision::Review { cause } = decision { Some(*cause) } else { None },
        took: looked.ended.since(looked.started),
        next_in: after.state.next_look().map(|next| next.since(looked.ended)),
        test: after.test,
    };
    Event { at: looked.ended, kind: EventKind::LookUpSettled(Box::new(settled)) }
}
