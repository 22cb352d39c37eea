//! A delivery as it is shown: short in lists, whole on its own page.

use crate::wire::attempt::{AttemptView, ChangeView, LookUpView};
use crate::wire::choice::ChoiceView;
use crate::wire::legs::LegLine;
use crate::wire::policy::ExplainView;
use crate::wire::{hex, millis, words};
use serde::Serialize;
use steadfast_engine::Engine;
use steadfast_lead::Timestamp;
use steadfast_retry::{Attempt, Decision, Delivery, Endpoint, State, StateName};
use utoipa::ToSchema;

/// One delivery, in short.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// Its id, sent with every attempt.
    id: String,
    /// The lead.
    lead_id: String,
    /// The flow the lead entered.
    flow: String,
    /// The step that sends it.
    step: String,
    /// Whom it goes to.
    recipient: String,
    /// Where it goes.
    endpoint: String,
    /// When the lead was accepted.
    #[schema(schema_with = words::time)]
    accepted_at: String,
    /// How urgent it is.
    #[schema(schema_with = words::priority)]
    priority: &'static str,
    /// A test lead's.
    test: bool,
    /// Where it stands.
    #[schema(schema_with = words::state)]
    state: &'static str,
    /// Why it is held, in review or closed, or how it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::why, required = false)]
    why: Option<&'static str>,
    /// When the next attempt would start if nothing holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    due: Option<String>,
    /// Until when it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    until: Option<String>,
    /// When it came to rest: delivered, rejected, in review or closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    since: Option<String>,
    /// Delivered, concluded from a duplicate answer after an attempt in doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    probable: Option<bool>,
    /// Delivered because a person said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_hand: Option<bool>,
    /// Attempts sent in all.
    attempts_sent: u32,
    /// Retries used on the present leg.
    retries_used: u32,
    /// The kind of the last outcome that was not a success.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::kind, required = false)]
    kind: Option<&'static str>,
}

/// One delivery with everything that happened to it.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryDetail {
    #[serde(flatten)]
    pub(crate) delivery: DeliveryView,
    /// The present leg.
    pub(crate) leg: LegView,
    /// How its present endpoint was chosen, where its leg has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) choice: Option<ChoiceView>,
    /// Every leg it has been on, in order.
    pub(crate) legs: Vec<LegLine>,
    /// What its body was made from, once an attempt may have been sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<BodyView>,
    /// What its buyer owes for it, once it took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) booking: Option<BookingView>,
    /// When the next attempt starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<NextView>,
    /// What holds it, if anything does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<HoldView>,
    /// What is in force for its step; absent when the configuration no longer has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<ExplainView>,
    /// Every attempt, oldest first.
    pub(crate) attempts: Vec<AttemptView>,
    /// Every change without an attempt, oldest first.
    pub(crate) changes: Vec<ChangeView>,
    /// Every look-up: the recipient was asked whether it has the lead, oldest first.
    pub(crate) look_ups: Vec<LookUpView>,
    /// Whether there is more history than is shown.
    pub(crate) history_cut: bool,
}

/// What the present leg has used up.
#[derive(Serialize, ToSchema)]
pub(crate) struct LegView {
    /// Which leg; 0 is the primary.
    leg: u8,
    /// Which revision of the body.
    revision: u16,
    /// Attempts sent on it.
    attempts: u32,
    /// Retries used on it.
    retries_used: u32,
    /// When its first attempt started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    first_attempt_at: Option<String>,
    /// How long it was held since then.
    held_ms: u64,
    /// Attempts cut off by this server stopping.
    interruptions: u8,
    /// Whether an earlier attempt may have been taken without our knowing.
    in_doubt: bool,
}

/// What a buyer owes for a delivery it took, and what came of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct BookingView {
    /// When it took it.
    #[schema(schema_with = words::time)]
    delivered_at: String,
    /// What it pays: a decimal number.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    /// When it gave it back: then it owes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    returned_at: Option<String>,
    /// What it made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversion: Option<ConversionView>,
}

/// What a buyer made of a lead.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConversionView {
    /// When.
    #[schema(schema_with = words::time)]
    at: String,
    /// How much: a decimal number.
    revenue: String,
    /// In which currency, as it was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
}

/// What a body was made from.
#[derive(Serialize, ToSchema)]
pub(crate) struct BodyView {
    /// The mapping's version.
    mapping_version: String,
    /// SHA-256 of the request.
    digest: String,
}

/// When the next attempt starts.
#[derive(Serialize, ToSchema)]
pub(crate) struct NextView {
    /// Exactly, if nothing holds it.
    #[schema(schema_with = words::time)]
    due: String,
    /// The beginning of the window it was chosen from.
    #[schema(schema_with = words::time)]
    earliest: String,
    /// The end of it.
    #[schema(schema_with = words::time)]
    latest: String,
}

/// What holds a delivery.
#[derive(Serialize, ToSchema)]
pub(crate) struct HoldView {
    /// Why.
    #[schema(schema_with = words::held)]
    why: &'static str,
    /// Until when, at the latest; missing where another event has to come first, such as a person's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::time, required = false)]
    until: Option<String>,
    /// What people said about it: what maintenance is for, or why they stopped the recipient, and who.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Whether it holds the whole endpoint, not only this delivery.
    endpoint: bool,
}

impl DeliveryView {
    /// As it stands; `in_flight` when an attempt is under way.
    pub(crate) fn of(delivery: &Delivery, in_flight: bool) -> Self {
        let mut view = DeliveryView {
            id: delivery.id.to_string(),
            lead_id: delivery.lead.to_string(),
            flow: delivery.flow.to_string(),
            step: delivery.step.to_string(),
            recipient: delivery.endpoint.recipient.to_string(),
            endpoint: delivery.endpoint.origin.to_string(),
            accepted_at: delivery.accepted_at.to_string(),
            priority: delivery.priority.name(),
            test: delivery.test,
            state: state_word(delivery, in_flight),
            why: None,
            due: None,
            until: None,
            since: None,
            probable: None,
            by_hand: None,
            attempts_sent: delivery.attempts,
            retries_used: delivery.progress.retries_used,
            kind: delivery.last_kind,
        };
        view.tell(&delivery.state);
        view
    }

    fn tell(&mut self, state: &State) {
        match state {
            State::Waiting { due } => self.due = Some(due.to_string()),
            State::Held { why, .. } if why.is_for_another() => self.why = Some(why.name()),
            State::Held { due, until, why } => {
                self.due = Some(due.to_string());
                self.until = Some(until.to_string());
                self.why = Some(why.name());
            }
            State::Delivered { at, probable, by_hand } => {
                self.since = Some(at.to_string());
                self.probable = Some(*probable);
                self.by_hand = Some(*by_hand);
            }
            State::Rejected { at, kind } => self.rested(*at, kind.name()),
            State::InReview { since, cause } => self.rested(*since, cause.name()),
            State::Closed { at, why } => self.rested(*at, why.name()),
        }
    }

    fn rested(&mut self, at: Timestamp, why: &'static str) {
        self.since = Some(at.to_string());
        self.why = Some(why);
    }
}

/// The word for where a delivery stands. What is done is done, also while its last attempt is being put away.
pub(crate) fn state_word(delivery: &Delivery, in_flight: bool) -> &'static str {
    if in_flight && delivery.state.next_look().is_some() {
        return StateName::InFlight.name();
    }
    delivery.state.name().name()
}

impl LegView {
    /// Of a delivery.
    pub(crate) fn of(delivery: &Delivery) -> Self {
        let progress = &delivery.progress;
        LegView {
            leg: progress.leg,
            revision: progress.revision,
            attempts: progress.attempts,
            retries_used: progress.retries_used,
            first_attempt_at: progress.first_attempt_at.as_ref().map(ToString::to_string),
            held_ms: millis(progress.held),
            interruptions: progress.interruptions,
            in_doubt: progress.in_doubt,
        }
    }
}

impl BodyView {
    /// Of a delivery.
    pub(crate) fn of(delivery: &Delivery) -> Option<Self> {
        let mark = delivery.body?;
        // As text: not every reader of JSON keeps 64 bits.
        Some(BodyView { mapping_version: format!("{:016x}", mark.mapping_version), digest: hex(&mark.digest) })
    }
}

impl BookingView {
    /// Of a delivery.
    pub(crate) fn of(delivery: &Delivery) -> Option<Self> {
        let booking = delivery.booking.as_deref()?;
        Some(BookingView {
            delivered_at: booking.delivered_at.to_string(),
            price: booking.price.as_deref().map(str::to_owned),
            returned_at: booking.returned_at.as_ref().map(ToString::to_string),
            conversion: booking.conversion.as_ref().map(|conversion| ConversionView {
                at: conversion.at.to_string(),
                revenue: conversion.revenue.to_string(),
                currency: conversion.currency.as_deref().map(str::to_owned),
            }),
        })
    }
}

impl NextView {
    /// Of a delivery that waits or is held, from the decision that planned it.
    pub(crate) fn of(delivery: &Delivery, last: Option<&Attempt>) -> Option<Self> {
        let due = delivery.state.due().filter(|_| delivery.state.next_look().is_some())?;
        let (earliest, latest) = last.and_then(|attempt| planned(attempt, due)).unwrap_or((due, due));
        Some(NextView {
            due: due.to_string(),
            earliest: earliest.min(due).to_string(),
            latest: latest.max(due).to_string(),
        })
    }
}

/// The window an attempt's decision chose `due` from; `None` when something else moved it since.
fn planned(attempt: &Attempt, due: Timestamp) -> Option<(Timestamp, Timestamp)> {
    match attempt.decision {
        Decision::Retry { due: chosen, window, .. } if chosen == due => {
            Some((attempt.ended.after(window.earliest), attempt.ended.after(window.latest)))
        }
        Decision::Retry { .. }
        | Decision::Deliver { .. }
        | Decision::Reject { .. }
        | Decision::Hold { .. }
        | Decision::LookUp { .. }
        | Decision::NextLeg { .. }
        | Decision::Close { .. }
        | Decision::Review { .. } => None,
    }
}

impl HoldView {
    /// What holds a delivery: its own hold, or its endpoint's where that lasts beyond its due time.
    pub(crate) fn of(delivery: &Delivery, at: &Endpoint, engine: &Engine) -> Option<Self> {
        let endpoint = engine.hold_of(at);
        if let State::Held { why, .. } = &delivery.state
            && why.is_for_another()
        {
            return Some(HoldView { why: why.name(), until: None, note: None, endpoint: false });
        }
        let look = delivery.state.next_look()?;
        if let Some(hold) = endpoint.filter(|hold| hold.until.is_none_or(|until| until > look)) {
            let until = hold.until.map(|until| until.to_string());
            let note = engine.hold_note(&at.recipient, hold.why);
            return Some(HoldView { why: hold.why.name(), until, note, endpoint: true });
        }
        match &delivery.state {
            State::Held { until, why, .. } => {
                Some(HoldView { why: why.name(), until: Some(until.to_string()), note: None, endpoint: false })
            }
            State::Waiting { .. }
            | State::Delivered { .. }
            | State::Rejected { .. }
            | State::InReview { .. }
            | State::Closed { .. } => None,
        }
    }
}
