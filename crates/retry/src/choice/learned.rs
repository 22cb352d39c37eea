//! Choosing for one delivery: what each candidate is offered with, what was learned of it before, and where the delivery goes.
//!
//! Must never: choose anew for a delivery of which an attempt may have been taken.

use super::{BalanceRules, Candidate, EndpointLoad, ShareLedger, TrackRecord, choose, explore_dice, go_to};
use crate::backoff::Seed;
use crate::cap::CapPeriod;
use crate::delivery::{Delivery, Endpoint, State};
use crate::evidence::Phase;
use crate::outcome::Outcome;
use crate::settle::{Entry, Settlement};
use std::collections::BTreeMap;
use steadfast_lead::{CandidateName, Timestamp};

/// A candidate as it is offered to one delivery.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    /// Its name.
    pub name: &'a CandidateName,
    /// Where it is.
    pub endpoint: &'a Endpoint,
    /// Its part of what the weights come to.
    pub weight: u32,
    /// What a lead costs there, in millionths.
    pub cost_millionths: Option<u64>,
    /// Why it must not take this lead, in a word.
    pub barred: Option<&'static str>,
    /// It names the lead's region.
    pub near: bool,
    /// How busy its endpoint is.
    pub load: EndpointLoad,
    /// The day its share is counted in, under its own scope.
    pub day: CapPeriod,
}

/// What choosing has learned: what each had of its day, whose turn it is, and how its last attempts went.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    /// The daily ledger.
    pub shares: ShareLedger,
    records: BTreeMap<Endpoint, TrackRecord>,
}

impl Learned {
    /// How an attempt went is learned of its endpoint. What came to nothing before anything was sent says nothing of it.
    pub fn heard(&mut self, settlement: &Settlement) {
        let Entry::Attempt(attempt) = &settlement.entry else { return };
        let answered = match attempt.verdict.outcome {
            Outcome::Success | Outcome::Failure(_) => true,
            Outcome::Error(_) if attempt.evidence.phase == Phase::Prepare => return,
            Outcome::Error(_) => false,
        };
        let took = attempt.ended.since(attempt.started);
        self.records.entry(attempt.endpoint.clone()).or_default().handle_attempt(answered, took);
    }

    /// Chooses for a delivery, and has it go there. `failed` is the candidate where the attempt before has just failed.
    /// `false` where no candidate may take it.
    pub fn choose_for(
        &mut self,
        delivery: &mut Delivery,
        rules: &BalanceRules,
        offers: &[Offer<'_>],
        failed: Option<&CandidateName>,
        seed: Seed,
        now: Timestamp,
    ) -> bool {
        let candidates = offers.iter().map(|one| Candidate {
            name: one.name.clone(),
            weight: one.weight,
            cost_millionths: one.cost_millionths,
            barred: one.barred.or_else(|| doubtful_elsewhere(delivery, one.endpoint)),
            near: one.near,
            failed: failed == Some(one.name),
            load: one.load,
            record: self.records.get(one.endpoint).copied().unwrap_or_default(),
            tally: self.shares.tally(&one.day),
            credit: self.shares.credit(&one.day.scope),
        });
        let candidates: Vec<Candidate> = candidates.collect();
        let dice = explore_dice(seed, delivery.id, delivery.attempts);
        let Some(chosen) = choose(rules, &candidates, dice, now) else { return false };
        for (one, credit) in offers.iter().zip(&chosen.credits) {
            self.shares.set_credit(&one.day.scope, *credit);
        }
        let Some(one) = offers.get(chosen.index) else { return false };
        if !delivery.test {
            self.shares.chose(delivery.id, &one.day.scope);
        }
        go_to(delivery, chosen.choice, one.endpoint);
        true
    }
}

/// Whether a delivery that an attempt has left like this chooses anew: it is to be sent again, and was certainly not taken
/// where it went.
pub fn chooses_again(after: &Delivery) -> bool {
    let waits = matches!(after.state, State::Waiting { .. });
    let stays = after.choice.is_some() && after.progress.may_be_taken();
    waits && !stays
}

/// Where a leg begins in doubt it stays with the recipient that may have the lead.
fn doubtful_elsewhere(delivery: &Delivery, endpoint: &Endpoint) -> Option<&'static str> {
    let elsewhere = endpoint.recipient != delivery.endpoint.recipient;
    (delivery.progress.may_be_taken() && elsewhere).then_some("in_doubt")
}
