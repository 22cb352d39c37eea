//! What comes after a sale: the buyer gives a lead back, or says what it made of it. Each once, while there is time.

use crate::change::change;
use crate::delivery::{CloseReason, Delivery, State, StateName};
use crate::settle::Settlement;
use crate::shard::Fence;
use std::time::Duration;
use steadfast_lead::{DeliveryId, Timestamp};

/// What a buyer owes for a delivery it took, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// When it took it.
    pub delivered_at: Timestamp,
    /// What it pays: a decimal number; `None` where nobody named a price.
    pub price: Option<Box<str>>,
    /// When it gave it back: then it owes nothing.
    pub returned_at: Option<Timestamp>,
    /// What it made of it.
    pub conversion: Option<Conversion>,
}

/// What a buyer made of a lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// When.
    pub at: Timestamp,
    /// How much: a decimal number.
    pub revenue: Box<str>,
    /// In which currency, as the buyer named it.
    pub currency: Option<Box<str>>,
}

/// What a buyer says after it took a lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterSale {
    /// It gives it back.
    Return {
        /// Why.
        reason: Box<str>,
        /// When it did.
        at: Timestamp,
    },
    /// It made something of it.
    Converted(Conversion),
}

/// Why a return or a conversion is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedAfterSale {
    /// Its buyer does not have it.
    #[error("the delivery {id} is {state}: only what was delivered can be returned or converted")]
    NotDelivered {
        /// Which.
        id: DeliveryId,
        /// Where it stands.
        state: StateName,
    },
    /// It was given back.
    #[error("the delivery {id} was returned already, on {at}")]
    Returned {
        /// Which.
        id: DeliveryId,
        /// When.
        at: Timestamp,
    },
    /// Its conversion is known.
    #[error("the delivery {id} was converted already, on {at}")]
    Converted {
        /// Which.
        id: DeliveryId,
        /// When.
        at: Timestamp,
    },
    /// Not a time at which it can have been.
    #[error("{at} is no time for it: the delivery {id} was delivered on {delivered}, and now is {now}")]
    NotThen {
        /// Which.
        id: DeliveryId,
        /// The time given.
        at: Timestamp,
        /// When it was delivered.
        delivered: Timestamp,
        /// The time now.
        now: Timestamp,
    },
    /// After the time for returns.
    #[error("the time for returning the delivery {id} ended on {until}")]
    TooLate {
        /// Which.
        id: DeliveryId,
        /// When.
        until: Timestamp,
    },
}

/// Notes what a buyer says of a delivery it took. A return is in time when it was made within `within` of the delivery.
///
/// # Errors
/// [`RefusedAfterSale`].
pub fn after_sale(
    before: &Delivery,
    said: &AfterSale,
    by: &str,
    within: Duration,
    fence: Fence,
    now: Timestamp,
) -> Result<Settlement, RefusedAfterSale> {
    let id = before.id;
    let known = before.booking.as_deref();
    let delivered = match before.state {
        State::Delivered { at, .. } => at,
        State::Closed { why: CloseReason::Returned, at } => {
            let at = known.and_then(|booking| booking.returned_at).unwrap_or(at);
            return Err(RefusedAfterSale::Returned { id, at });
        }
        State::Waiting { .. }
        | State::Held { .. }
        | State::Rejected { .. }
        | State::InReview { .. }
        | State::Closed { .. } => return Err(RefusedAfterSale::NotDelivered { id, state: before.state.name() }),
    };
    let mut booking =
        known.cloned().unwrap_or(Booking { delivered_at: delivered, price: None, returned_at: None, conversion: None });
    let in_time = |at: Timestamp| {
        let fits = at >= delivered && at <= now;
        if fits { Ok(()) } else { Err(RefusedAfterSale::NotThen { id, at, delivered, now }) }
    };
    let (state, verb, because) = match said {
        AfterSale::Return { reason, at } => {
            in_time(*at)?;
            if at.since(delivered) > within {
                return Err(RefusedAfterSale::TooLate { id, until: delivered.after(within) });
            }
            booking.returned_at = Some(*at);
            (State::Closed { at: now, why: CloseReason::Returned }, "return", reason.clone())
        }
        AfterSale::Converted(conversion) => {
            in_time(conversion.at)?;
            if let Some(Conversion { at, .. }) = booking.conversion {
                return Err(RefusedAfterSale::Converted { id, at });
            }
            let currency = conversion.currency.as_deref().map(|currency| format!(" {currency}")).unwrap_or_default();
            booking.conversion = Some(conversion.clone());
            // Who made something of it has it.
            let by_hand = matches!(before.state, State::Delivered { by_hand: true, .. });
            let state = State::Delivered { at: delivered, probable: false, by_hand };
            (state, "conversion", format!("converted for {}{currency}", conversion.revenue).into())
        }
    };
    let mut settlement = change(before, state, because, Some((verb.into(), by.into())), fence, now);
    settlement.delivery.booking = Some(Box::new(booking));
    Ok(settlement)
}
