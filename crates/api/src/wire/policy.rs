//! Retry settings as they are shown: value, origin, schedule.

use crate::wire::choice::BalanceView;
use crate::wire::millis;
use serde::Serialize;
use steadfast_flow::{Explained, ExplainedAdjustment, ExplainedValue, OnOpen, PlannedRetry, ReadBy, StepPlan};
use steadfast_lead::Priority;
use steadfast_retry::{InDoubt, LegEnds, RetryHours};
use utoipa::ToSchema;

/// What is in force for a step, and where each value came from.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExplainView {
    /// The flow.
    flow: String,
    /// The step.
    step: String,
    /// Whom it sends to.
    recipient: String,
    /// The configuration in force.
    config_version: u64,
    /// When it begins, in words: at once, when its turn as a buyer comes, or after another step.
    begins: String,
    /// What an attempt in doubt leads to: `retry` on the schedule, `verify` with the recipient first, `hold` for a person, or
    /// `assume_delivered`.
    in_doubt: &'static str,
    /// Not before this long after an attempt in doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_doubt_delay_ms: Option<u64>,
    /// How the recipient is asked, with `verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    look_up: Option<LookUpPlanView>,
    /// Which leads the step sends: a condition in CEL.
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    /// The hours its retries wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_hours: Option<RetryHoursView>,
    /// Which leg of the step; 0 is its own.
    leg: u8,
    /// Where it goes: scheme, host and port.
    origin: String,
    /// What it chooses between, where it has several endpoints; then what else stands here is of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<BalanceView>,
    /// What follows its ends.
    follow_ups: FollowUpsView,
    /// Every retry setting.
    values: Vec<ValueView>,
    /// Every retry that is allowed.
    schedule: Vec<PlannedRetryView>,
    /// What is different about some leads, in the order it is laid down.
    adjust: Vec<AdjustmentView>,
    /// The legs after it, in order.
    #[schema(no_recursion)]
    fallbacks: Vec<ExplainView>,
}

/// The hours a step's retries wait for.
#[derive(Serialize, ToSchema)]
pub(crate) struct RetryHoursView {
    /// In OSM's `opening_hours` syntax.
    hours: String,
    /// The IANA name of the zone they are read in.
    time_zone: String,
    /// So many retries of a leg go at any time before.
    after: u32,
}

impl From<&RetryHours> for RetryHoursView {
    fn from(hours: &RetryHours) -> Self {
        let time_zone = hours.calendar.zone().name().to_owned();
        RetryHoursView { hours: hours.hours(), time_zone, after: hours.after }
    }
}

/// An entry of `adjust`, and what it changes alone.
#[derive(Serialize, ToSchema)]
pub(crate) struct AdjustmentView {
    /// Where it stands in the configuration.
    place: String,
    /// When it counts: a condition in CEL.
    when: String,
    /// How urgent a delivery is then.
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'static str>,
    /// The retry settings that are other ones then.
    values: Vec<ValueView>,
    /// Every retry that is allowed then.
    schedule: Vec<PlannedRetryView>,
}

/// What follows the ends of a leg: review, next_leg, next_buyer or close.
#[derive(Serialize, ToSchema)]
pub(crate) struct FollowUpsView {
    /// Every retry was used, or the time for retries is over.
    on_exhausted: &'static str,
    /// A final error of `final_errors`.
    on_final_error: &'static str,
    /// Which final errors that speaks of.
    final_errors: Vec<String>,
    /// The answer fits no term.
    on_unrecognized: &'static str,
    /// Held by an open breaker for too long.
    on_held_too_long: &'static str,
    /// While its endpoint's breaker is open: hold, next_leg or review.
    on_open: &'static str,
}

impl FollowUpsView {
    fn of(ends: &LegEnds, on_open: OnOpen) -> Self {
        FollowUpsView {
            on_exhausted: ends.exhausted.name(),
            on_final_error: ends.final_error.name(),
            final_errors: ends.final_errors.to_texts(),
            on_unrecognized: ends.unrecognized.name(),
            on_held_too_long: ends.held_too_long.name(),
            on_open: on_open.name(),
        }
    }
}

/// How a recipient is asked whether it has a lead.
#[derive(Serialize, ToSchema)]
pub(crate) struct LookUpPlanView {
    /// The method.
    method: String,
    /// Where: scheme, host and port.
    origin: String,
    /// What its answers are read by, in the order it is asked: rules, status, response.
    read_by: Vec<&'static str>,
}

/// One setting.
#[derive(Serialize, ToSchema)]
pub(crate) struct ValueView {
    /// Its key.
    key: &'static str,
    /// Its value as a configuration would write it.
    value: String,
    /// Who said it, such as `account acme` or `system (policy patient)`.
    origin: String,
}

/// When one retry starts, if every attempt fails at once and nothing is held.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlannedRetryView {
    /// Its number, from 1.
    retry: u32,
    /// At the earliest, after the end of the failed attempt.
    earliest_ms: u64,
    /// At the latest, after the end of the failed attempt.
    latest_ms: u64,
    /// At the earliest, after the start of the first attempt.
    since_first_earliest_ms: u64,
    /// At the latest, after the start of the first attempt.
    since_first_latest_ms: u64,
    /// Whether it starts within `total_timeout`: always, sometimes (only when jitter is kind) or never.
    fits: &'static str,
}

impl ExplainView {
    /// Of a step.
    pub(crate) fn of(plan: &StepPlan, config_version: u64) -> Self {
        ExplainView::told(Explained::of(plan), config_version)
    }

    fn told(explained: Explained, config_version: u64) -> Self {
        let (in_doubt, delay) = match explained.in_doubt {
            InDoubt::Retry { floor } => ("retry", Some(millis(floor))),
            InDoubt::Verify { floor } => ("verify", Some(millis(floor))),
            InDoubt::Hold => ("hold", None),
            InDoubt::AssumeDelivered => ("assume_delivered", None),
        };
        ExplainView {
            flow: explained.flow.to_string(),
            step: explained.step.to_string(),
            recipient: explained.recipient.to_string(),
            config_version,
            begins: explained.begins,
            in_doubt,
            in_doubt_delay_ms: delay,
            look_up: explained.look_up.map(|look_up| LookUpPlanView {
                method: look_up.method.to_string(),
                origin: look_up.origin.to_string(),
                read_by: look_up.read_by.into_iter().map(ReadBy::name).collect(),
            }),
            when: explained.when,
            retry_hours: explained.retry_hours.as_deref().map(RetryHoursView::from),
            leg: explained.leg,
            origin: explained.origin.to_string(),
            balance: explained.balance.map(BalanceView::from),
            follow_ups: FollowUpsView::of(&explained.ends, explained.on_open),
            fallbacks: explained.fallbacks.into_iter().map(|leg| ExplainView::told(leg, config_version)).collect(),
            values: explained.values.into_iter().map(ValueView::from).collect(),
            schedule: explained.schedule.into_iter().map(PlannedRetryView::from).collect(),
            adjust: explained.adjustments.into_iter().map(AdjustmentView::from).collect(),
        }
    }
}

impl From<ExplainedAdjustment> for AdjustmentView {
    fn from(one: ExplainedAdjustment) -> Self {
        AdjustmentView {
            place: one.place,
            when: one.when,
            priority: one.priority.map(Priority::name),
            values: one.values.into_iter().map(ValueView::from).collect(),
            schedule: one.schedule.into_iter().map(PlannedRetryView::from).collect(),
        }
    }
}

impl From<ExplainedValue> for ValueView {
    fn from(value: ExplainedValue) -> Self {
        ValueView { key: value.key.name(), value: value.value, origin: value.origin }
    }
}

impl From<PlannedRetry> for PlannedRetryView {
    fn from(planned: PlannedRetry) -> Self {
        PlannedRetryView {
            retry: planned.retry,
            earliest_ms: millis(planned.after_failure.earliest),
            latest_ms: millis(planned.after_failure.latest),
            since_first_earliest_ms: millis(planned.since_first.earliest),
            since_first_latest_ms: millis(planned.since_first.latest),
            fits: planned.fits.name(),
        }
    }
}
