//! Caps: how many deliveries of a flow, a source, a recipient or a step may be accepted in a period.
//!
//! A place is reserved before a lead is sent. It is counted when the lead is taken, and free again when it is not; while an
//! attempt is in doubt it stays reserved. Pure counting: who asks when, and what is kept where, is the engine's.
//!
//! Must never: let counted and reserved places together exceed a cap that was asked about.

use crate::calendar::Zone;
use crate::change::change;
use crate::decide::Because;
use crate::delivery::{CloseReason, Delivery, HoldReason, State};
use crate::evidence::named_enum;
use crate::outcome::FailureKind;
use crate::route::{NextLeg, leave_leg};
use crate::settle::{Change, Entry, Settlement};
use crate::shard::Fence;
use jiff::Timestamp as Instant;
use jiff::ToSpan;
use jiff::civil::{Date, Time};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use steadfast_lead::{DeliveryId, Timestamp};

/// The largest cap.
pub const CAP_MAX: u64 = 1_000_000_000;

named_enum! {
    /// How long a cap's period is: by the clock and the calendar of its zone.
    CapPer {
        /// From one full hour to the next.
        Hour = "hour",
        /// From midnight to midnight: 23 or 25 hours where the clocks change.
        Day = "day",
        /// From Monday to Monday.
        Week = "week",
        /// From the first to the first.
        Month = "month",
    }
}

impl CapPer {
    /// The period a time falls into: from here, until just before there.
    pub fn period(self, zone: &Zone, at: Timestamp) -> (Timestamp, Timestamp) {
        let found = match self {
            CapPer::Hour => hour(zone, at),
            CapPer::Day | CapPer::Week | CapPer::Month => self.days(zone, at),
        };
        // No calendar reaches there: one period without an end.
        found.unwrap_or((Timestamp::MIN, Timestamp::MAX))
    }

    fn days(self, zone: &Zone, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let date = zone.rules().to_datetime(Instant::from_microsecond(at.as_micros()).ok()?).date();
        let (first, next) = match self {
            CapPer::Hour | CapPer::Day => (date, date.tomorrow().ok()?),
            CapPer::Week => {
                let monday = date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()).ok()?;
                (monday, monday.checked_add(1.week()).ok()?)
            }
            CapPer::Month => (date.first_of_month(), date.last_of_month().tomorrow().ok()?),
        };
        Some((midnight(zone, first)?, midnight(zone, next)?))
    }
}

/// When a day begins; where the clocks leave midnight out, at the end of what they leave out.
fn midnight(zone: &Zone, date: Date) -> Option<Timestamp> {
    let begin = zone.rules().to_timestamp(date.to_datetime(Time::midnight())).ok()?;
    Some(Timestamp::from_micros(begin.as_microsecond()))
}

/// An hour that comes twice is two periods.
fn hour(zone: &Zone, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    const HOUR_MICROS: i64 = 3_600_000_000;
    let instant = Instant::from_microsecond(at.as_micros()).ok()?;
    let ahead = i64::from(zone.rules().to_offset(instant).seconds()).checked_mul(1_000_000)?;
    let shown = at.as_micros().checked_add(ahead)?;
    let from = shown.div_euclid(HOUR_MICROS).checked_mul(HOUR_MICROS)?.checked_sub(ahead)?;
    Some((Timestamp::from_micros(from), Timestamp::from_micros(from.checked_add(HOUR_MICROS)?)))
}

named_enum! {
    /// What becomes of a delivery that finds a cap full.
    OnCap {
        /// It waits until the period is over.
        Hold = "hold",
        /// It ends without being sent; in a sale the next buyer has its turn.
        Skip = "skip",
        /// In a sale the next buyer has its turn. On a step of its own the next leg begins that the cap does not count;
        /// without one it ends as with skip.
        Next = "next",
        /// It ends as rejected, of the kind `capped`.
        Reject = "reject",
    }
}

/// One cap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// What is counted, as users name it: `recipient bank`, `step auto.sell`.
    pub scope: Arc<str>,
    /// Over how long.
    pub per: CapPer,
    /// Whose days and hours.
    pub zone: Zone,
    /// How many at most; 1 to [`CAP_MAX`].
    pub max: u64,
    /// What becomes of a delivery that finds it full.
    pub on_cap: OnCap,
}

impl Cap {
    /// The period of a time.
    pub fn period(&self, at: Timestamp) -> CapPeriod {
        let (from, until) = self.per.period(&self.zone, at);
        CapPeriod { scope: Arc::clone(&self.scope), per: self.per, from, until }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {} of {}", self.max, self.per, self.scope)
    }
}

/// One period of one cap. What it counts does not depend on how large the cap is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CapPeriod {
    /// What is counted.
    pub scope: Arc<str>,
    /// Over how long.
    pub per: CapPer,
    /// From here,
    pub from: Timestamp,
    /// until just before here.
    pub until: Timestamp,
}

impl CapPeriod {
    /// Whether both are periods of one cap.
    fn is_of(&self, other: &CapPeriod) -> bool {
        (&self.scope, self.per) == (&other.scope, other.per)
    }
}

/// What a settlement does to caps; `None` on a settlement for most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapChange {
    /// In each of these periods one more was accepted.
    pub add: Vec<CapPeriod>,
    /// What the delivery keeps reserved, in place of what a store kept for it before: it may have been taken.
    pub keep: Vec<CapPeriod>,
}

/// How a period stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapTally {
    /// Accepted.
    pub used: u64,
    /// On the way, or in doubt.
    pub reserved: u64,
}

/// A cap has no place left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapFull {
    /// Which of those asked about.
    pub which: usize,
    /// How it stands, without what the delivery that asked has itself.
    pub tally: CapTally,
}

#[derive(Clone, Debug, Default)]
struct Held {
    periods: Vec<CapPeriod>,
    /// What a store keeps of it.
    kept: Vec<CapPeriod>,
}

/// What is counted and reserved: one for a process, since one process sends.
#[derive(Clone, Debug, Default)]
pub struct CapLedger {
    tallies: BTreeMap<CapPeriod, CapTally>,
    held: BTreeMap<DeliveryId, Held>,
}

impl CapLedger {
    /// What a store kept.
    pub fn restore(counts: Vec<(CapPeriod, u64)>, kept: Vec<(DeliveryId, CapPeriod)>) -> Self {
        let mut ledger = CapLedger::default();
        for (period, used) in counts {
            ledger.tallies.entry(period).or_default().used += used;
        }
        for (delivery, period) in kept {
            ledger.reserved(&period, 1);
            let held = ledger.held.entry(delivery).or_default();
            held.periods.push(period.clone());
            held.kept.push(period);
        }
        ledger
    }

    /// Reserves a place in every one of these periods for a delivery, in place of what it has reserved of the same caps; each with
    /// its cap. A delivery that has a place keeps it only where the cap, as it is now, has room for all.
    ///
    /// # Errors
    /// The first that is full; then the delivery keeps what it had.
    pub fn reserve(&mut self, delivery: DeliveryId, asked: &[(CapPeriod, u64)]) -> Result<(), CapFull> {
        if let Some(full) = self.full(delivery, asked) {
            return Err(full);
        }
        // What may have been taken under another cap, before its step sent elsewhere, keeps that place too.
        let elsewhere = |kept: &&CapPeriod| !asked.iter().any(|(period, _)| period.is_of(kept));
        let kept = self.held.get(&delivery).map(|held| held.kept.as_slice()).unwrap_or_default();
        let kept: Vec<CapPeriod> = kept.iter().filter(elsewhere).cloned().collect();
        self.hold(delivery, asked.iter().map(|(period, _)| period.clone()).chain(kept).collect());
        Ok(())
    }

    /// The first of these periods, each with its cap, that has no place for a delivery now.
    pub fn full(&self, delivery: DeliveryId, asked: &[(CapPeriod, u64)]) -> Option<CapFull> {
        let own = self.holds(delivery);
        asked.iter().enumerate().find_map(|(which, (period, max))| {
            let mut tally = self.tally(period);
            tally.reserved = tally.reserved.saturating_sub(u64::from(own.contains(period)));
            (tally.used.saturating_add(tally.reserved) >= *max).then_some(CapFull { which, tally })
        })
    }

    /// Has a delivery hold these, asked or not: it may have been taken under a reservation that is forgotten.
    pub fn hold(&mut self, delivery: DeliveryId, periods: Vec<CapPeriod>) {
        let kept = self.let_go(delivery);
        for period in &periods {
            self.reserved(period, 1);
        }
        if !periods.is_empty() || !kept.is_empty() {
            self.held.insert(delivery, Held { periods, kept });
        }
    }

    /// What a delivery holds.
    pub fn holds(&self, delivery: DeliveryId) -> &[CapPeriod] {
        self.held.get(&delivery).map(|held| held.periods.as_slice()).unwrap_or_default()
    }

    /// How a period stands.
    pub fn tally(&self, period: &CapPeriod) -> CapTally {
        self.tallies.get(period).copied().unwrap_or_default()
    }

    /// Whether a settlement counts, or keeps a place, for a delivery that has none: then [`CapLedger::change`] is to be told in
    /// which periods.
    pub fn asks(&self, settlement: &Settlement) -> bool {
        let sent = match settlement.entry {
            Entry::Attempt(_) => true,
            Entry::LookUp(_) | Entry::Change(_) => false,
        };
        let may_count = match fate(settlement) {
            Fate::Taken => true,
            Fate::InDoubt => sent,
            Fate::Free => false,
        };
        may_count && self.holds(settlement.delivery.id).is_empty()
    }

    /// What a settlement of a delivery does to caps; `None` for nothing that is to be stored. `without` are the periods it
    /// counts in where it holds none.
    pub fn change(&self, settlement: &Settlement, without: &[CapPeriod]) -> Option<CapChange> {
        let nothing = Held::default();
        let held = self.held.get(&settlement.delivery.id).unwrap_or(&nothing);
        let periods = if held.periods.is_empty() { without } else { &held.periods };
        match fate(settlement) {
            Fate::Taken if periods.is_empty() && held.kept.is_empty() => None,
            Fate::Taken => Some(CapChange { add: periods.to_vec(), keep: Vec::new() }),
            Fate::InDoubt if periods == held.kept => None,
            Fate::InDoubt => Some(CapChange { add: Vec::new(), keep: periods.to_vec() }),
            Fate::Free => (!held.kept.is_empty()).then(CapChange::default),
        }
    }

    /// A settlement is stored, with what [`CapLedger::change`] said of it. Answers with places that came free after they were in
    /// doubt.
    pub fn settled(&mut self, settlement: &Settlement) -> Vec<CapPeriod> {
        let id = settlement.delivery.id;
        let fate = fate(settlement);
        let freed = match fate {
            Fate::Free => self.held.get(&id).map(|held| held.kept.clone()).unwrap_or_default(),
            Fate::Taken | Fate::InDoubt => Vec::new(),
        };
        match (&settlement.caps, fate) {
            (None, Fate::InDoubt) => {}
            (None, Fate::Taken | Fate::Free) => drop(self.let_go(id)),
            (Some(change), _) => {
                drop(self.let_go(id));
                for period in &change.add {
                    self.tallies.entry(period.clone()).or_default().used += 1;
                }
                self.hold(id, change.keep.clone());
                if let Some(held) = self.held.get_mut(&id) {
                    held.kept.clone_from(&change.keep);
                }
            }
        }
        freed
    }

    /// A delivery has no place any more, unless a store keeps it: then as much as that.
    pub fn release(&mut self, delivery: DeliveryId) {
        let kept = self.let_go(delivery);
        self.hold(delivery, kept.clone());
        if let Some(held) = self.held.get_mut(&delivery) {
            held.kept = kept;
        }
    }

    /// Forgets periods that ended before a time, and places in them.
    pub fn forget_before(&mut self, time: Timestamp) {
        self.tallies.retain(|period, _| period.until >= time);
        for held in self.held.values_mut() {
            held.periods.retain(|period| period.until >= time);
            held.kept.retain(|period| period.until >= time);
        }
        self.held.retain(|_, held| !held.periods.is_empty() || !held.kept.is_empty());
    }

    /// Gives back what a delivery holds; answers with what a store keeps of it.
    fn let_go(&mut self, delivery: DeliveryId) -> Vec<CapPeriod> {
        let Some(held) = self.held.remove(&delivery) else { return Vec::new() };
        for period in &held.periods {
            self.reserved(period, -1);
        }
        held.kept
    }

    fn reserved(&mut self, period: &CapPeriod, by: i64) {
        let tally = self.tallies.entry(period.clone()).or_default();
        tally.reserved = tally.reserved.saturating_add_signed(by);
        if *tally == CapTally::default() {
            self.tallies.remove(period);
        }
    }
}

/// What a settlement means for a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The lead was taken.
    Taken,
    /// It may have been.
    InDoubt,
    /// It was not.
    Free,
}

/// Who may have the lead keeps its place wherever it ended, forgotten or not: a person's word that sending again is right does not
/// say that it was not taken. To dismiss it does.
fn fate(settlement: &Settlement) -> Fate {
    let after = &settlement.delivery;
    match after.state {
        State::Delivered { .. } if was_counted(&settlement.entry) => Fate::Free,
        State::Delivered { .. } => Fate::Taken,
        State::Rejected { .. } => Fate::Free,
        State::Closed { why: CloseReason::Dismissed | CloseReason::Returned, .. } => Fate::Free,
        State::Waiting { .. } | State::Held { .. } | State::InReview { .. } | State::Closed { .. } => {
            if after.progress.may_be_taken() { Fate::InDoubt } else { Fate::Free }
        }
    }
}

/// Whether a settlement brings that a lead was taken, which no earlier one did.
pub(crate) fn newly_taken(settlement: &Settlement) -> bool {
    fate(settlement) == Fate::Taken
}

/// A person's word on what was delivered long ago, such as to erase it: it stays delivered, and was counted then.
fn was_counted(entry: &Entry) -> bool {
    match entry {
        Entry::Change(Change { verb: Some((verb, _)), .. }) => &**verb != "mark-delivered",
        Entry::Change(_) | Entry::Attempt(_) | Entry::LookUp(_) => false,
    }
}

/// Settles a delivery that found a cap full until its period ends, in place of sending it. One that may have been taken is
/// held, whatever the cap says; what is held is looked at again at `look`. `next` is a later leg of its step that the cap does
/// not count. `None` where it has ended.
pub fn capped(
    before: &Delivery,
    (cap, tally): (&Cap, CapTally),
    (until, look): (Timestamp, Timestamp),
    next: Option<&NextLeg>,
    fence: Fence,
    now: Timestamp,
) -> Option<Settlement> {
    let due = before.state.due()?;
    let on_cap = if before.progress.may_be_taken() { OnCap::Hold } else { cap.on_cap };
    if let (OnCap::Next, Some(next)) = (on_cap, next) {
        return leave_leg(before, &told(cap, tally, until), next, fence, now);
    }
    let state = match on_cap {
        OnCap::Hold => State::Held { due, until: look, why: HoldReason::Cap },
        OnCap::Skip | OnCap::Next => State::Closed { at: now, why: CloseReason::Capped },
        OnCap::Reject => State::Rejected { at: now, kind: FailureKind::Capped },
    };
    let mut settlement = change(before, state, told(cap, tally, until), None, fence, now);
    match on_cap {
        OnCap::Reject => settlement.delivery.last_kind = Some(FailureKind::Capped.name()),
        OnCap::Hold | OnCap::Skip | OnCap::Next => {}
    }
    Some(settlement)
}

/// Has a delivery that is held for a cap looked at now. `None` where it is not, or not any more.
pub fn look_again(before: &Delivery, fence: Fence, now: Timestamp) -> Option<Settlement> {
    let State::Held { due, why: HoldReason::Cap, .. } = before.state else { return None };
    let state = State::Held { due, until: now, why: HoldReason::Cap };
    Some(change(before, state, "a cap may have room again".into(), None, fence, now))
}

fn told(cap: &Cap, tally: CapTally, until: Timestamp) -> Because {
    let CapTally { used, reserved } = tally;
    let on_the_way = if reserved == 0 { String::new() } else { format!(" and {reserved} on the way") };
    format!("not sent: the cap of {cap} is full, with {used} accepted{on_the_way}, until {until}").into()
}
