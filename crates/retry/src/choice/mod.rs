//! Which of a leg's candidates a delivery goes to: state and candidates in, the chosen one with the rating of every one out.
//!
//! What a candidate must not take, and what may not be called now, is left out first; the rest are rated, and the highest
//! rating wins. Where several are rated alike they take smooth turns by their weights.
//!
//! Must never: choose a candidate that is held while another may take the lead, or one that is barred.

mod learned;
mod rate;
mod shares;
mod track;

pub use learned::{Learned, Offer, chooses_again};
pub use shares::{ShareLedger, ShareTally};
pub use track::TrackRecord;

use crate::backoff::{Seed, dice};
use crate::change::change;
use crate::decide::Because;
use crate::delivery::{Delivery, Endpoint, HoldReason};
use crate::evidence::named_enum;
use crate::settle::Settlement;
use crate::shard::Fence;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{CandidateName, DeliveryId, Timestamp};

named_enum! {
    /// How a leg chooses between its candidates.
    Balance {
        /// Each has its share of what a day brings.
        Weighted = "weighted",
        /// The one with the most room.
        LeastLoaded = "least_loaded",
        /// The one that does best by the criteria.
        Best = "best",
    }
}

named_enum! {
    /// What the best candidate is the best in.
    Criterion {
        /// How many of its last attempts were answered, and how far it has recovered.
        Health = "health",
        /// How soon it answers.
        Speed = "speed",
        /// How little it costs.
        Cost = "cost",
        /// Whether it names the lead's region.
        Region = "region",
    }
}

named_enum! {
    /// What counts for a candidate's share.
    ShareOf {
        /// Leads it took.
        Accepted = "accepted",
        /// Leads it took or refused.
        Answered = "answered",
    }
}

/// How a leg chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceRules {
    /// By what.
    pub by: Balance,
    /// What counts for a share.
    pub share_of: ShareOf,
    /// How many times its weight one counts that is behind its share, in thousandths; 1000 or more.
    pub catch_up_thousandths: u32,
    /// What is looked at, the most important first.
    pub criteria: Vec<Criterion>,
    /// How many of a hundred leads go to another candidate than the best, to learn how that does.
    pub explore_percent: u8,
}

/// How busy a candidate's endpoint is, and whether it may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointLoad {
    /// Why it may not be called now.
    pub hold: Option<HoldReason>,
    /// Attempts under way there.
    pub in_flight: u32,
    /// Deliveries that are due there, as far as they are known.
    pub waiting: u32,
    /// How many attempts there may be at once.
    pub limit: u32,
    /// The share of what it took before that may go now: less than 1000 in recovery only.
    pub share_thousandths: u16,
}

impl Default for EndpointLoad {
    fn default() -> Self {
        EndpointLoad { hold: None, in_flight: 0, waiting: 0, limit: 1, share_thousandths: 1_000 }
    }
}

/// One of a leg's candidates as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: CandidateName,
    /// Its part of what the weights come to.
    pub weight: u32,
    /// What a lead costs there, in millionths.
    pub cost_millionths: Option<u64>,
    /// Why it must not take this lead, in a word.
    pub barred: Option<&'static str>,
    /// It names the lead's region.
    pub near: bool,
    /// The attempt before this choice failed there.
    pub failed: bool,
    /// How busy its endpoint is.
    pub load: EndpointLoad,
    /// How its last attempts went.
    pub record: TrackRecord,
    /// What it has had of the day.
    pub tally: ShareTally,
    /// Its place in the turns.
    pub credit: i64,
}

/// What a candidate was rated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rating {
    /// The highest wins.
    Score(i64),
    /// It was left out, and why, in a word.
    Out(Box<str>),
}

/// A choice that was made: kept on the delivery, and on every attempt made under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which candidate.
    pub candidate: CandidateName,
    /// When.
    pub at: Timestamp,
    /// Every candidate and what it was rated, in the order they are configured.
    pub rated: Vec<(CandidateName, Rating)>,
    /// Why that one.
    pub because: Because,
}

/// What came of choosing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Which of those given.
    pub index: usize,
    /// What is kept of it.
    pub choice: Arc<Choice>,
    /// The places in the turns from now on, of each of those given.
    pub credits: Vec<i64>,
}

/// Chooses. `dice` decides which leads explore. `None` where no candidate may take this lead at all.
pub fn choose(rules: &BalanceRules, candidates: &[Candidate], dice: u64, at: Timestamp) -> Option<Chosen> {
    let (running, note) = running(candidates)?;
    let rated = rate::rate(rules, candidates, &running, dice)?;
    let rating = |index: usize, one: &Candidate| match rated.scores.iter().find(|(which, _)| *which == index) {
        Some((_, score)) => Rating::Score(*score),
        None => Rating::Out(left_out(one).into()),
    };
    let ratings = candidates.iter().enumerate().map(|(index, one)| (one.name.clone(), rating(index, one)));
    let choice = Choice {
        candidate: candidates.get(rated.winner)?.name.clone(),
        at,
        rated: ratings.collect(),
        because: format!("{}{note}", rated.because).into(),
    };
    Some(Chosen { index: rated.winner, choice: Arc::new(choice), credits: rated.credits })
}

/// Those that are rated: what may be called and did not just fail; else what may be called; else all that may take the lead,
/// and it waits there. `None` where none may.
fn running(candidates: &[Candidate]) -> Option<(Vec<usize>, &'static str)> {
    let those = |fits: fn(&Candidate) -> bool| {
        let found = candidates.iter().enumerate().filter(|(_, one)| one.barred.is_none() && fits(one));
        found.map(|(index, _)| index).collect::<Vec<_>>()
    };
    let well = those(|one| one.load.hold.is_none() && !one.failed);
    if !well.is_empty() {
        return Some((well, ""));
    }
    let open = those(|one| one.load.hold.is_none());
    if !open.is_empty() {
        return Some((open, "; no other may be called now"));
    }
    let all = those(|_| true);
    (!all.is_empty()).then_some((all, "; none may be called now"))
}

fn left_out(one: &Candidate) -> &'static str {
    let held = one.load.hold.map(HoldReason::name);
    one.barred.or(held).unwrap_or(if one.failed { "just_failed" } else { "left_out" })
}

/// What decides whether a delivery explores at a choice after so many attempts: the same for the same ids.
pub fn explore_dice(seed: Seed, delivery: DeliveryId, attempts: u32) -> u64 {
    // No leg has this number, so that no retry's jitter is thrown with the same dice.
    dice(seed, delivery, u8::MAX, attempts)
}

/// Where a chosen delivery goes from now on: another endpoint of the same recipient, which knows it by the same key, or another
/// recipient, which gets a key of its own. Only for one of which no attempt is in doubt.
pub fn go_to(delivery: &mut Delivery, choice: Arc<Choice>, endpoint: &Endpoint) {
    if delivery.endpoint.recipient != endpoint.recipient && delivery.body.is_some() {
        delivery.body = None;
        delivery.progress.revision = delivery.progress.revision.saturating_add(1);
    }
    delivery.endpoint = endpoint.clone();
    delivery.choice = Some(choice);
}

/// Has a delivery go to another endpoint of its leg. `None` where it has ended.
pub fn move_to(
    before: &Delivery,
    choice: Arc<Choice>,
    endpoint: &Endpoint,
    fence: Fence,
    now: Timestamp,
) -> Option<Settlement> {
    before.state.next_look()?;
    let because = format!("it goes to {} at {endpoint}: {}", choice.candidate, choice.because);
    let mut settlement = change(before, before.state.clone(), because.into(), None, fence, now);
    go_to(&mut settlement.delivery, choice, endpoint);
    Some(settlement)
}

/// How long in thousandths of another duration; as much as fits.
fn thousandths(part: Duration, whole: Duration) -> i64 {
    let (part, whole) = (part.as_micros(), whole.as_micros());
    if whole == 0 {
        return 1_000;
    }
    i64::try_from(part.saturating_mul(1_000) / whole).unwrap_or(i64::MAX)
}
