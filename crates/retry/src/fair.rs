//! Whose turn it is: which endpoint may start its next attempt when a slot is free.
//!
//! What is shared is *slot-time*, not attempts: an endpoint that answers in 30 s uses a slot as long as 600 attempts of one
//! that answers in 50 ms, and counting attempts would let it take them all. So each turn costs what the endpoint's attempts
//! are expected to take, and turns go round by deficit (deficit round robin; rounds in which nobody could go are skipped). An
//! expectation is wrong on the first day of an outage, so besides no endpoint may hold more than a quarter of the slots while
//! another one waits. More urgent classes go first; a less urgent one that has waited too long gets one start in four. And
//! within an endpoint what is fresh and what is old take turns, so that after an outage nobody waits behind the whole of it.
//!
//! Holds no deliveries, only that a queue has something due: the server keeps those in windows over a store, the simulator
//! in memory. Whoever is paused or stopped leaves the ring ([`Fair::park`]) and costs nothing.

use std::collections::BTreeSet;
use std::time::Duration;
use steadfast_lead::{Priority, Timestamp};

const CLASSES: usize = Priority::ALL.len();
/// What a round adds to each endpoint.
const QUANTUM_MICROS: i64 = 100_000;
/// What an attempt is expected to take before any has ended.
const EXPECTED_MICROS: i64 = 500_000;
/// The least and the most an attempt costs.
const COST_MICROS: (i64, i64) = (1_000, 600_000_000);
/// The weight of the newest attempt in what is expected: one in so many.
const MEMORY: i64 = 8;
/// A class that has waited for so long gets turns besides the more urgent ones:
const AGED_AFTER: Duration = Duration::from_secs(30);
/// one in so many.
const AGED_TURNS: u64 = 4;
/// The share of the slots no endpoint may exceed while another one waits.
pub const SHARE_PERCENT: usize = 25;
/// What became due within this is fresh.
pub const FRESH: Duration = Duration::from_secs(60);

/// Which of an endpoint's due deliveries goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The one that has been due longest.
    Oldest,
    /// The oldest of those that became due within [`FRESH`]; where there is none, as [`Lane::Oldest`].
    Fresh,
}

/// An endpoint, as this structure numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party(usize);

impl Party {
    /// Its number: the endpoints are counted from 0, in the order they were added.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which endpoint.
    pub party: Party,
    /// Which of its classes.
    pub class: Priority,
    /// Which of the deliveries there.
    pub lane: Lane,
}

#[derive(Clone, Debug, Default)]
struct Standing {
    /// Since when the first of each class has been due.
    due: [Option<Timestamp>; CLASSES],
    in_flight: usize,
    expected: i64,
    deficit: i64,
    round: u64,
    turn: u64,
    fresh_next: bool,
}

/// Whose turn it is. See the module's text.
#[derive(Clone, Debug)]
pub struct Fair {
    slots: usize,
    in_flight: usize,
    parties: Vec<Standing>,
    /// By class: who has something due, in order of rounds and turns.
    ring: [BTreeSet<(u64, u64, Party)>; CLASSES],
    /// By class: the same in order of waiting.
    waiting: [BTreeSet<(Timestamp, Party)>; CLASSES],
    /// Parties with something due in any class.
    active: usize,
    round: u64,
    turns: u64,
    starts: u64,
}

impl Fair {
    /// With so many slots (at least 1), all free.
    pub fn new(slots: usize) -> Self {
        Fair {
            slots: slots.max(1),
            in_flight: 0,
            parties: Vec::new(),
            ring: Default::default(),
            waiting: Default::default(),
            active: 0,
            round: 0,
            turns: 0,
            starts: 0,
        }
    }

    /// Takes another number of slots; what is under way goes on.
    pub fn handle_slots(&mut self, slots: usize) {
        self.slots = slots.max(1);
    }

    /// Adds an endpoint.
    pub fn add(&mut self) -> Party {
        self.parties.push(Standing { expected: EXPECTED_MICROS, ..Standing::default() });
        Party(self.parties.len() - 1)
    }

    /// Attempts under way, in all.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether a slot is free for anybody.
    pub const fn has_slot(&self) -> bool {
        self.in_flight < self.slots
    }

    /// Attempts of an endpoint under way.
    pub fn in_flight_of(&self, party: Party) -> usize {
        self.parties[party.0].in_flight
    }

    /// The most slots one endpoint may hold while another one waits.
    pub const fn share(&self) -> usize {
        let share = self.slots * SHARE_PERCENT / 100;
        if share == 0 { 1 } else { share }
    }

    /// The first delivery of a class has been due since then; `None` where none is due.
    pub fn set_due(&mut self, party: Party, class: Priority, since: Option<Timestamp>) {
        let place = place(class);
        let was_active = self.parties[party.0].is_active();
        if !was_active {
            // Time away is no credit: whoever comes back joins the round that is running.
            let running = self.round;
            let standing = &mut self.parties[party.0];
            standing.round = standing.round.max(running);
            standing.deficit = standing.deficit.min(0);
            self.turns += 1;
            standing.turn = self.turns;
        }
        let standing = &mut self.parties[party.0];
        let key = (standing.round, standing.turn, party);
        if let Some(before) = std::mem::replace(&mut standing.due[place], since) {
            self.waiting[place].remove(&(before, party));
            self.ring[place].remove(&key);
        }
        if let Some(since) = since {
            self.waiting[place].insert((since, party));
            self.ring[place].insert(key);
        }
        match (was_active, self.parties[party.0].is_active()) {
            (false, true) => self.active += 1,
            (true, false) => self.active -= 1,
            (false, false) | (true, true) => {}
        }
    }

    /// The endpoint may start nothing for now: it leaves the ring, until [`Fair::set_due`] brings it back.
    pub fn park(&mut self, party: Party) {
        Priority::ALL.iter().for_each(|class| self.set_due(party, *class, None));
    }

    /// Whose turn it is, if a slot is free for anybody. Changes nothing: [`Fair::start`] or [`Fair::park`] follows.
    pub fn next(&self, now: Timestamp) -> Option<Turn> {
        if !self.has_slot() {
            return None;
        }
        let aged = if self.starts % AGED_TURNS == AGED_TURNS - 1 { self.aged(now) } else { None };
        let (party, class) = aged.or_else(|| self.by_class())?;
        let lane = if self.parties[party.0].fresh_next { Lane::Fresh } else { Lane::Oldest };
        Some(Turn { party, class, lane })
    }

    fn by_class(&self) -> Option<(Party, Priority)> {
        Priority::ALL.into_iter().find_map(|class| {
            let turn = self.ring[place(class)].iter().find(|(_, _, party)| self.may_have_more(*party));
            turn.map(|(_, _, party)| (*party, class))
        })
    }

    /// Who has waited longest, and too long, in a class behind the most urgent one.
    fn aged(&self, now: Timestamp) -> Option<(Party, Priority)> {
        let since = now.before(AGED_AFTER);
        let most_urgent = self.waiting.iter().position(|class| !class.is_empty())?;
        let behind = Priority::ALL.into_iter().skip(most_urgent + 1);
        let aged = behind.filter_map(|class| {
            let old = self.waiting[place(class)].iter().take_while(|(due, _)| *due <= since);
            let (due, party) = old.into_iter().find(|(_, party)| self.may_have_more(*party))?;
            Some((*due, *party, class))
        });
        aged.min_by_key(|(due, _, _)| *due).map(|(_, party, class)| (party, class))
    }

    fn may_have_more(&self, party: Party) -> bool {
        let alone = self.active == 1;
        alone || self.parties[party.0].in_flight < self.share()
    }

    /// The endpoint whose turn it is starts an attempt. `due` is since when the next of that class has been due, if one is.
    pub fn start(&mut self, turn: Turn, due: Option<Timestamp>) {
        let Turn { party, class, .. } = turn;
        self.starts += 1;
        self.in_flight += 1;
        self.round = self.round.max(self.parties[party.0].round);
        let held = self.parties[party.0].due;
        let expected = self.parties[party.0].expected;
        self.leave_ring(party);
        self.turns += 1;
        let turns = self.turns;
        let standing = &mut self.parties[party.0];
        standing.in_flight += 1;
        standing.fresh_next = !standing.fresh_next;
        standing.pay(expected, turns);
        self.join_ring(party, held);
        self.set_due(party, class, due);
    }

    fn leave_ring(&mut self, party: Party) {
        let Standing { round, turn, .. } = self.parties[party.0];
        for class in &mut self.ring {
            class.remove(&(round, turn, party));
        }
    }

    fn join_ring(&mut self, party: Party, due: [Option<Timestamp>; CLASSES]) {
        let Standing { round, turn, .. } = self.parties[party.0];
        for (class, due) in self.ring.iter_mut().zip(due) {
            if due.is_some() {
                class.insert((round, turn, party));
            }
        }
    }

    /// An attempt of an endpoint has ended after so long; `None` where it never began.
    pub fn finish(&mut self, party: Party, took: Option<Duration>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let standing = &mut self.parties[party.0];
        standing.in_flight = standing.in_flight.saturating_sub(1);
        if let Some(took) = took {
            let took = i64::try_from(took.as_micros()).unwrap_or(i64::MAX).clamp(COST_MICROS.0, COST_MICROS.1);
            standing.expected += (took - standing.expected) / MEMORY;
        }
    }
}

impl Standing {
    fn is_active(&self) -> bool {
        self.due.iter().any(Option::is_some)
    }

    /// Pays for a start. What is left lets it go on in this round; a debt is paid by as many rounds as it takes.
    fn pay(&mut self, cost: i64, turn: u64) {
        self.deficit -= cost;
        if self.deficit > 0 {
            return;
        }
        let rounds = self.deficit.unsigned_abs() / QUANTUM_MICROS.unsigned_abs() + 1;
        self.deficit += QUANTUM_MICROS.saturating_mul(i64::try_from(rounds).unwrap_or(i64::MAX));
        self.round += rounds;
        self.turn = turn;
    }
}

fn place(class: Priority) -> usize {
    match class {
        Priority::Critical => 0,
        Priority::High => 1,
        Priority::Normal => 2,
        Priority::Low => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
    const NORMAL: Priority = Priority::Normal;

    fn party_with(fair: &mut Fair, took_millis: u64) -> Party {
        let party = fair.add();
        for _ in 0..100 {
            fair.finish(party, Some(Duration::from_millis(took_millis)));
        }
        fair.set_due(party, NORMAL, Some(NOW));
        party
    }

    /// Starts and ends one attempt after the other, and counts whose they were.
    fn serve(fair: &mut Fair, starts: usize, now: Timestamp) -> Vec<usize> {
        let mut counts = vec![0; fair.parties.len()];
        for _ in 0..starts {
            let turn = fair.next(now).unwrap();
            fair.start(turn, Some(NOW));
            fair.finish(turn.party, None);
            counts[turn.party.0] += 1;
        }
        counts
    }

    #[test]
    fn slot_time_is_shared_and_not_attempts() {
        let mut fair = Fair::new(16);
        let [_slow, _fast, _faster] = [1_000, 100, 50].map(|millis| party_with(&mut fair, millis));
        let counts = serve(&mut fair, 3_100, NOW);
        let [slow, fast, faster] = counts[..] else { panic!() };
        assert!(slow.abs_diff(100) <= 5 && fast.abs_diff(1_000) <= 30 && faster.abs_diff(2_000) <= 60, "{counts:?}");
    }

    #[test]
    fn nobody_holds_more_than_a_quarter_while_another_waits() {
        let mut fair = Fair::new(16);
        let [first, second] = [50, 50].map(|millis| party_with(&mut fair, millis));
        while let Some(turn) = fair.next(NOW) {
            fair.start(turn, Some(NOW));
        }
        assert_eq!((fair.in_flight_of(first), fair.in_flight_of(second)), (4, 4));
        fair.park(second);
        (0..4).for_each(|_| fair.finish(second, None));
        while let Some(turn) = fair.next(NOW) {
            fair.start(turn, Some(NOW));
        }
        assert_eq!((fair.in_flight_of(first), fair.in_flight()), (16, 16), "alone it may have all that is free");
        fair.set_due(second, NORMAL, Some(NOW));
        fair.finish(first, None);
        assert_eq!(fair.next(NOW).map(|turn| turn.party), Some(second));
    }

    #[test]
    fn urgent_goes_first_and_what_has_waited_too_long_gets_one_in_four() {
        let mut fair = Fair::new(4);
        let urgent = fair.add();
        let patient = party_with(&mut fair, 50);
        fair.set_due(urgent, Priority::Critical, Some(NOW));
        assert_eq!(serve(&mut fair, 100, NOW), [100, 0]);
        assert_eq!(serve(&mut fair, 100, NOW.after(AGED_AFTER)), [75, 25]);
        fair.park(urgent);
        assert_eq!(fair.next(NOW).map(|turn| turn.party), Some(patient));
    }

    #[test]
    fn fresh_and_old_take_turns() {
        let mut fair = Fair::new(4);
        party_with(&mut fair, 50);
        let lanes: Vec<Lane> = (0..4)
            .map(|_| {
                let turn = fair.next(NOW).unwrap();
                fair.start(turn, Some(NOW));
                fair.finish(turn.party, None);
                turn.lane
            })
            .collect();
        assert_eq!(lanes, [Lane::Oldest, Lane::Fresh, Lane::Oldest, Lane::Fresh]);
    }

    #[test]
    fn time_away_is_no_credit() {
        let mut fair = Fair::new(16);
        let [_steady, away] = [50, 50].map(|millis| party_with(&mut fair, millis));
        fair.park(away);
        serve(&mut fair, 10_000, NOW);
        fair.set_due(away, NORMAL, Some(NOW));
        let counts = serve(&mut fair, 100, NOW);
        assert!(counts[0].abs_diff(counts[1]) <= 4, "{counts:?}");
    }

    #[test]
    fn a_quiet_ring_gives_no_turn() {
        let mut fair = Fair::new(1);
        assert_eq!(fair.next(NOW), None);
        let party = party_with(&mut fair, 50);
        let turn = fair.next(NOW).unwrap();
        fair.start(turn, None);
        assert_eq!((fair.next(NOW), fair.active), (None, 0));
        fair.set_due(party, NORMAL, Some(NOW));
        assert_eq!(fair.next(NOW), None, "no slot");
        fair.finish(party, None);
        assert_eq!(fair.next(NOW).map(|turn| turn.party), Some(party));
    }
}
