//! The schemas of our own words: text with the values it can have.

use crate::wire::protection::Health;
use steadfast_lead::Priority;
use steadfast_retry::breaker::BreakerState;
use steadfast_retry::{
    CloseReason, DecisionName, ErrorKind, FailureKind, FaultKind, HoldReason, Phase, ReviewCause, StateName,
};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// Where a delivery stands.
pub(crate) fn state() -> Object {
    one_of(StateName::ALL.iter().map(|state| state.name()))
}

/// How urgent.
pub(crate) fn priority() -> Object {
    one_of(Priority::ALL.map(Priority::name))
}

/// Why held, in review or closed, or how rejected.
pub(crate) fn why() -> Object {
    let held = HoldReason::ALL.iter().map(|why| why.name());
    let review = ReviewCause::ALL.iter().map(|why| why.name());
    let failed = FailureKind::ALL.iter().map(|why| why.name());
    let closed = CloseReason::ALL.iter().map(|why| why.name());
    let mut words: Vec<&str> = held.chain(review).chain(failed).chain(closed).collect();
    words.sort_unstable();
    words.dedup();
    one_of(words)
}

/// Why a person has to look.
pub(crate) fn cause() -> Object {
    one_of(ReviewCause::ALL.iter().map(|cause| cause.name()))
}

/// Why held.
pub(crate) fn held() -> Object {
    one_of(HoldReason::ALL.iter().map(|why| why.name()))
}

/// Where a breaker stands.
pub(crate) fn breaker() -> Object {
    one_of(BreakerState::ALL.iter().map(|state| state.name()))
}

/// How a recipient is.
pub(crate) fn health() -> Object {
    one_of(Health::ALL.map(Health::name))
}

/// Why closed.
pub(crate) fn closed() -> Object {
    one_of(CloseReason::ALL.iter().map(|why| why.name()))
}

/// success, failure or error.
pub(crate) fn outcome() -> Object {
    one_of(["success", "failure", "error"])
}

/// The kind of a failure or error.
pub(crate) fn kind() -> Object {
    let failures = FailureKind::ALL.iter().map(|kind| kind.name());
    one_of(failures.chain(ErrorKind::ALL.iter().map(|kind| kind.name())))
}

/// What was decided.
pub(crate) fn decision() -> Object {
    one_of(DecisionName::ALL.iter().map(|name| name.name()))
}

/// How far an attempt came.
pub(crate) fn phase() -> Object {
    one_of(Phase::ALL.map(Phase::name))
}

/// What went wrong on the way.
pub(crate) fn fault() -> Object {
    one_of(FaultKind::ALL.iter().map(|kind| kind.name()))
}

/// A time.
pub(crate) fn time() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
        .build()
}
