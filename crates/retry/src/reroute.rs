//! A person sends a delivery another way: on another leg, to another endpoint of it, or to another recipient of its step.
//!
//! Must never: send a lead to another recipient while an attempt may have been taken, unless a person says that it was not.

use crate::change::{RefusedVerb, change, refuse_ended};
use crate::choice::Choice;
use crate::delivery::{Delivery, Endpoint, LegProgress, State};
use crate::event::EventKind;
use crate::settle::{Change, Entry, Settlement};
use crate::shard::Fence;
use std::sync::Arc;
use steadfast_lead::{CandidateName, RecipientName, Timestamp};

/// Where a person wants it to go. What is not said is left to what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reroute {
    /// Which leg.
    pub leg: Option<u8>,
    /// Which of that leg's endpoints.
    pub endpoint: Option<CandidateName>,
    /// Which recipient.
    pub recipient: Option<RecipientName>,
    /// The person says that the recipient of an attempt in doubt does not have the lead.
    pub not_taken: bool,
    /// Why.
    pub reason: Box<str>,
}

/// A way that a configuration has for a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// On which leg.
    pub leg: u8,
    /// Where it goes.
    pub endpoint: Endpoint,
    /// How that was chosen, where the leg has several endpoints.
    pub choice: Option<Arc<Choice>>,
}

/// Why a delivery is not sent another way. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedReroute {
    /// It does not fit where the delivery stands.
    #[error(transparent)]
    State(#[from] RefusedVerb),
    /// The configuration has no such way.
    #[error("the step has no {asked}: it has {known}")]
    NoWay {
        /// What was asked for.
        asked: Box<str>,
        /// What there is.
        known: Box<str>,
    },
    /// It goes there already.
    #[error("it goes to {0} already; retry sends it there again")]
    SameWay(Endpoint),
    /// Somebody may have it.
    #[error(
        "an attempt is in doubt at {at}, and it would go to {to}: mark it as delivered if {at} has it, or say not_taken if \
         {at} says that it does not"
    )]
    InDoubt {
        /// Who may have it.
        at: RecipientName,
        /// Whom it would go to.
        to: RecipientName,
    },
}

/// Sends a delivery that is not in flight another way, with a fresh budget.
///
/// # Errors
/// [`RefusedReroute`].
pub fn reroute(
    before: &Delivery,
    asked: &Reroute,
    way: &Way,
    by: &str,
    fence: Fence,
    now: Timestamp,
) -> Result<Settlement, RefusedReroute> {
    refuse_ended(before, "reroute")?;
    let candidate = |choice: &Option<Arc<Choice>>| choice.as_ref().map(|choice| choice.candidate.clone());
    let same_leg = way.leg == before.progress.leg && way.endpoint == before.endpoint;
    if same_leg && candidate(&way.choice) == candidate(&before.choice) {
        return Err(RefusedReroute::SameWay(way.endpoint.clone()));
    }
    let doubtful = before.progress.may_be_taken() && !asked.not_taken;
    let (at, to) = (&before.endpoint.recipient, &way.endpoint.recipient);
    if doubtful && at != to {
        return Err(RefusedReroute::InDoubt { at: at.clone(), to: to.clone() });
    }
    let denied = if before.progress.may_be_taken() && asked.not_taken {
        format!("; {at} does not have it")
    } else {
        String::new()
    };
    let because = format!("a person sends it to {} on leg {}{denied}: {}", way.endpoint, way.leg, asked.reason);
    let state = State::Waiting { due: now };
    let mut settlement = change(before, state, because.into(), Some(("reroute".into(), by.into())), fence, now);
    go(&mut settlement.delivery, way, doubtful);
    if way.leg != before.progress.leg
        && let (Entry::Change(Change { leg, .. }), EventKind::DeliveryChanged { leg: told, .. }) =
            (&mut settlement.entry, &mut settlement.event.kind)
    {
        (*leg, *told) = (Some(way.leg), Some(way.leg));
    }
    Ok(settlement)
}

/// To the same recipient body, revision and doubt stay: what was sent there may be the same lead in the same bytes, under the
/// same key, and it is a person's word that sending again is right. Another recipient gets a key of its own.
fn go(delivery: &mut Delivery, way: &Way, doubtful: bool) {
    let revision = delivery.progress.revision;
    let fresh = LegProgress { leg: way.leg, ..LegProgress::default() };
    delivery.progress = if delivery.endpoint.recipient == way.endpoint.recipient {
        LegProgress { revision, in_doubt: doubtful, cleared: doubtful, ..fresh }
    } else {
        delivery.body = None;
        LegProgress { revision: revision.saturating_add(1), ..fresh }
    };
    delivery.endpoint = way.endpoint.clone();
    delivery.choice.clone_from(&way.choice);
}
