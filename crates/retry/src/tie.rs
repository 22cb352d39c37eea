//! What deliveries of one lead have to do with each other: the buyers of a sale, of whom one gets the lead, and steps that
//! begin when another has ended. One pure answer to whose turn it is, and what a settlement moves beside its own delivery.
//!
//! Must never: give a turn while another delivery of the sale is under way or in doubt.

use crate::change::change;
use crate::decide::Because;
use crate::delivery::{CloseReason, Delivery, HoldReason, State, StateName};
use crate::event::{Event, EventKind};
use crate::settle::{Change, Entry, Settlement};
use crate::shard::Fence;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_lead::{DeliveryId, RecipientName, StepName, Timestamp};

/// How a delivery is bound to others of its lead; fixed when the lead is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tie {
    /// It is one of the buyers of a sale: one of them gets the lead.
    pub buyer: bool,
    /// It begins when another has ended.
    pub follows: bool,
    /// Another begins when it has ended.
    pub followed: bool,
}

impl Tie {
    /// Nothing of its lead depends on it, and it on nothing.
    pub const fn is_alone(self) -> bool {
        !(self.buyer || self.follows || self.followed)
    }
}

/// When a step begins that follows another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// Which step it follows.
    pub step: StepName,
    /// The ends of that step it begins at: delivered, rejected, in review or closed.
    pub on: Vec<StateName>,
}

/// What a flow says about its steps and each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ties {
    /// The buyers of its sale, in the order they are tried.
    pub order: Vec<StepName>,
    /// The steps that follow another.
    pub follows: BTreeMap<StepName, Follow>,
    /// How old a lead may be that a buyer returned, to be offered to the next; by the buyer that returned it.
    pub resell: BTreeMap<StepName, Duration>,
}

/// Another delivery of the same lead as a settlement moves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The delivery after it; its version is one more.
    pub delivery: Delivery,
    /// Whether it was open before.
    pub was_open: bool,
    /// The line for its history.
    pub entry: Entry,
    /// The line for the journal.
    pub event: Event,
}

/// What a settlement has to do with the other deliveries of its lead: it holds only while they are as they were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tied {
    /// The others and their versions, as they were when this was made.
    pub seen: Vec<(DeliveryId, u32)>,
    /// Those that move with it; each is among the seen.
    pub moved: Vec<Moved>,
}

/// Where one buyer stands in a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The buyers before it have not ended.
    InLine,
    /// It is being offered the lead, or may have taken it.
    HasTurn,
    /// It took the lead.
    Has,
    /// It ended without it.
    Over,
}

/// Where a buyer stands. While it may have taken the lead it keeps its turn, wherever it ended, until a person or the buyer says
/// what is so; to dismiss it is to say that it does not have the lead.
pub const fn standing(delivery: &Delivery) -> Standing {
    let progress = &delivery.progress;
    match delivery.state {
        State::Held { why: HoldReason::Turn, .. } => Standing::InLine,
        State::Waiting { .. } | State::Held { .. } => Standing::HasTurn,
        State::Delivered { .. } => Standing::Has,
        State::Rejected { .. } if progress.is_unresolved() => Standing::HasTurn,
        State::Rejected { .. } => Standing::Over,
        State::Closed { why: CloseReason::Dismissed | CloseReason::Erased | CloseReason::Sold, .. } => Standing::Over,
        State::InReview { .. } | State::Closed { .. } if progress.may_be_taken() => Standing::HasTurn,
        State::InReview { .. } | State::Closed { .. } => Standing::Over,
    }
}

/// Whose turn it is in a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn<'a> {
    /// Nobody's any more: this one has the lead.
    Sold(&'a Delivery),
    /// This one's; it has not ended.
    Taken(&'a Delivery),
    /// It is to be given to this one.
    Next(&'a Delivery),
    /// Nobody's: all have ended.
    Over,
}

/// Whose turn it is among these buyers.
pub fn whose_turn<'a>(buyers: &[&'a Delivery], order: &[StepName]) -> Turn<'a> {
    let at = |wanted: Standing| buyers.iter().copied().filter(move |one| standing(one) == wanted);
    let place = |one: &&Delivery| (order.iter().position(|step| *step == one.step).unwrap_or(usize::MAX), one.id);
    if let Some(one) = at(Standing::Has).next() {
        return Turn::Sold(one);
    }
    if let Some(one) = at(Standing::HasTurn).next() {
        return Turn::Taken(one);
    }
    at(Standing::InLine).min_by_key(place).map_or(Turn::Over, Turn::Next)
}

/// A person's verb that does not fit how the sale of the lead stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedBySale {
    /// Another has it.
    #[error("the lead is sold: delivery {to} to {recipient} has it, and a sale has one buyer")]
    Sold {
        /// The delivery that has it.
        to: DeliveryId,
        /// Whose.
        recipient: RecipientName,
    },
    /// Another is being offered it.
    #[error(
        "another buyer has its turn: delivery {holder} to {recipient} is {state}; wait until it has ended, or end it first"
    )]
    NotItsTurn {
        /// The delivery whose turn it is.
        holder: DeliveryId,
        /// Whose.
        recipient: RecipientName,
        /// Where that stands.
        state: StateName,
    },
}

/// Whether a settlement has to be made with the other deliveries of its lead in view. Most have not: one that stands alone,
/// and any after which its delivery goes on as before.
pub fn concerns_others(settlement: &Settlement) -> bool {
    let after = &settlement.delivery;
    if after.tie.is_alone() {
        return false;
    }
    let by_a_person = is_by_a_person(settlement);
    let ended = !matches!(after.state, State::Waiting { .. } | State::Held { .. });
    (after.tie.buyer && (by_a_person || standing(after) != Standing::HasTurn)) || (after.tie.followed && ended)
}

/// A settlement with what it moves of the other deliveries of its lead. `all` are the lead's deliveries as they stand, its own
/// before the settlement among them.
///
/// # Errors
/// [`RefusedBySale`] for a person's verb that the sale does not allow. What an attempt brought is never refused.
pub fn tie(
    mut settlement: Settlement,
    all: &[Delivery],
    ties: &Ties,
    now: Timestamp,
) -> Result<Settlement, RefusedBySale> {
    let id = settlement.delivery.id;
    let others: Vec<&Delivery> = all.iter().filter(|one| one.id != id && !one.tie.is_alone()).collect();
    let seen = others.iter().map(|one| (one.id, one.version)).collect();
    if let State::Closed { why: CloseReason::Erased, .. } = settlement.delivery.state {
        return Ok(settlement);
    }
    let before = all.iter().find(|one| one.id == id);
    let mut moves = Moves { standing: Vec::new(), moved: Vec::new(), fence: settlement.fence, now };
    let sale = if settlement.delivery.tie.buyer { sell(&mut settlement, before, &others, ties)? } else { Vec::new() };
    moves.standing = others.into_iter().cloned().chain([settlement.delivery.clone()]).collect();
    for (delivery, state, because) in sale {
        moves.go(delivery, state(now), because);
    }
    moves.follow(ties, id);
    settlement.tied = Some(Box::new(Tied { seen, moved: moves.moved }));
    Ok(settlement)
}

type SaleMove = (DeliveryId, fn(Timestamp) -> State, Because);

/// What a settlement of one buyer does to the others, where the sale allows it.
fn sell(
    settlement: &mut Settlement,
    before: Option<&Delivery>,
    others: &[&Delivery],
    ties: &Ties,
) -> Result<Vec<SaleMove>, RefusedBySale> {
    let buyers: Vec<&Delivery> = others.iter().copied().filter(|one| one.tie.buyer).collect();
    let turn = whose_turn(&buyers, &ties.order);
    let (now, was) = (standing(&settlement.delivery), before.map(standing));
    let moves_up = is_by_a_person(settlement) && was != Some(Standing::HasTurn);
    let after = &settlement.delivery;
    match (now, turn) {
        (Standing::Has | Standing::HasTurn, Turn::Sold(one)) if moves_up => {
            Err(RefusedBySale::Sold { to: one.id, recipient: one.endpoint.recipient.clone() })
        }
        (Standing::Has, Turn::Taken(one)) if moves_up => Err(not_its_turn(one)),
        (Standing::HasTurn, Turn::Taken(one)) if moves_up => {
            if was == Some(Standing::InLine) {
                return Err(not_its_turn(one));
            }
            stand_in_line(settlement, one);
            Ok(Vec::new())
        }
        (Standing::Has, _) => {
            let because = format!("sold to {} by step {}", after.endpoint.recipient, after.step);
            let in_line = buyers.iter().filter(|one| standing(one) == Standing::InLine);
            Ok(in_line.map(|one| (one.id, sold as fn(Timestamp) -> State, because.clone().into())).collect())
        }
        (Standing::Over, Turn::Next(one)) => {
            let because = format!("its turn: step {} is {}", after.step, after.state.name());
            Ok(vec![(one.id, begun, because.into())])
        }
        (Standing::Over, Turn::Over) => Ok(resell(after, &buyers, ties, settlement.event.at)),
        (Standing::Over, Turn::Sold(_) | Turn::Taken(_)) => Ok(Vec::new()),
        (Standing::HasTurn | Standing::InLine, _) => Ok(Vec::new()),
    }
}

/// A returned lead that is young enough goes to the next of those that were never offered it: not back, and to none that refused.
fn resell(after: &Delivery, buyers: &[&Delivery], ties: &Ties, now: Timestamp) -> Vec<SaleMove> {
    let returned = matches!(after.state, State::Closed { why: CloseReason::Returned, .. });
    let young = ties.resell.get(&after.step).is_some_and(|within| now.since(after.accepted_at) <= *within);
    if !returned || !young {
        return Vec::new();
    }
    let place = |one: &&Delivery| (ties.order.iter().position(|step| *step == one.step).unwrap_or(usize::MAX), one.id);
    let never =
        |one: &&Delivery| one.attempts == 0 && matches!(one.state, State::Closed { why: CloseReason::Sold, .. });
    let mut again: Vec<&Delivery> = buyers.iter().copied().filter(never).collect();
    again.sort_by_key(place);
    let because = format!("step {} is returned by {}", after.step, after.endpoint.recipient);
    let states = std::iter::once(begun as fn(Timestamp) -> State).chain(std::iter::repeat(in_line as _));
    again.into_iter().zip(states).map(|(one, state)| (one.id, state, because.clone().into())).collect()
}

fn in_line(now: Timestamp) -> State {
    State::Held { due: now, until: now, why: HoldReason::Turn }
}

fn begun(now: Timestamp) -> State {
    State::Waiting { due: now }
}

fn sold(now: Timestamp) -> State {
    State::Closed { at: now, why: CloseReason::Sold }
}

fn not_its_turn(holder: &Delivery) -> RefusedBySale {
    RefusedBySale::NotItsTurn {
        holder: holder.id,
        recipient: holder.endpoint.recipient.clone(),
        state: holder.state.name(),
    }
}

/// A person asked for another try while somebody else has its turn: it is tried after that one.
fn stand_in_line(settlement: &mut Settlement, holder: &Delivery) {
    let at = settlement.event.at;
    let state = in_line(at);
    settlement.delivery.state = state.clone();
    if let Entry::Change(Change { state: told, because, .. }) = &mut settlement.entry {
        *told = state;
        *because = format!("a person asked for another try; it is tried after step {}", holder.step).into();
    }
    if let EventKind::DeliveryChanged { state, held, .. } = &mut settlement.event.kind {
        (*state, *held) = (StateName::Held, Some(HoldReason::Turn));
    }
}

fn is_by_a_person(settlement: &Settlement) -> bool {
    matches!(&settlement.entry, Entry::Change(Change { verb: Some(_), .. }))
}

/// The lead's deliveries while moves are made, and the moves.
struct Moves {
    standing: Vec<Delivery>,
    moved: Vec<Moved>,
    fence: Fence,
    now: Timestamp,
}

impl Moves {
    fn go(&mut self, id: DeliveryId, state: State, because: Because) {
        let Some(before) = self.standing.iter_mut().find(|one| one.id == id) else { return };
        let Settlement { delivery, entry, event, .. } = change(before, state, because, None, self.fence, self.now);
        let was_open = before.state.is_open();
        *before = delivery.clone();
        self.moved.push(Moved { delivery, was_open, entry, event });
    }

    /// Begins what follows a step that has ended, and closes what will not begin; each of those may be followed in turn.
    /// Every delivery moves once at most, so this ends.
    fn follow(&mut self, ties: &Ties, own: DeliveryId) {
        while let Some((id, state, because)) = self.next_follower(ties, own) {
            self.go(id, state, because);
        }
    }

    fn next_follower(&self, ties: &Ties, own: DeliveryId) -> Option<(DeliveryId, State, Because)> {
        let open = self.standing.iter().filter(|one| one.tie.follows && one.id != own && !self.has_moved(one.id));
        open.filter_map(|one| self.follower(one, ties)).next()
    }

    fn has_moved(&self, id: DeliveryId) -> bool {
        self.moved.iter().any(|moved| moved.delivery.id == id)
    }

    /// What becomes of one that follows another; `None` while that is not known, or it has begun.
    fn follower(&self, one: &Delivery, ties: &Ties) -> Option<(DeliveryId, State, Because)> {
        let waits = match one.state {
            State::Held { why: HoldReason::After, .. } => true,
            State::Closed { why: CloseReason::NotReached, .. } => false,
            State::Waiting { .. }
            | State::Held { .. }
            | State::Delivered { .. }
            | State::Rejected { .. }
            | State::InReview { .. }
            | State::Closed { .. } => return None,
        };
        let begins = |because: String| Some((one.id, begun(self.now), because.into()));
        let not_reached = State::Closed { at: self.now, why: CloseReason::NotReached };
        let Some(follow) = ties.follows.get(&one.step) else {
            return if waits { begins("its step follows no other any more".to_owned()) } else { None };
        };
        let Some(leader) = self.standing.iter().find(|leader| leader.step == follow.step) else {
            let because = format!("step {}, which it follows, is not there for this lead", follow.step);
            return waits.then(|| (one.id, not_reached, because.into()));
        };
        let state = leader.state.name();
        if follow.on.contains(&state) {
            return begins(format!("step {} is {state}", leader.step));
        }
        match state {
            // Where a person looks, the end is not known yet.
            StateName::Waiting | StateName::Held | StateName::InFlight | StateName::InReview => None,
            StateName::Delivered | StateName::Rejected | StateName::Closed => {
                let because = format!("step {} is {state}, and it begins at another end", leader.step);
                waits.then(|| (one.id, not_reached, because.into()))
            }
        }
    }
}
