//! Choosing between the candidates of a leg: what is known of each is gathered, the pure part chooses, and what is learned is
//! kept. A lead whose legs have one endpoint each pays one look at a pointer for it.
//!
//! Must never: choose anew for a delivery of which an attempt may have been taken.

use crate::run::{Engine, Inner};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use steadfast_flow::{BalancePlan, Book, CandidatePlan, FlowPlan, StepPlan};
use steadfast_lead::{CandidateName, Lead, Timestamp};
use steadfast_retry::{
    CapPer, CapPeriod, Delivery, Endpoint, EndpointLoad, Entry, Learned, Offer, ReviewCause, Settlement, ShareTally,
    chooses_again, end_leg, move_to, refer,
};

/// What the periods of shares begin with among those of caps.
const SHARE_SCOPE: &str = "share ";

/// What choosing has learned, in this process.
#[derive(Default)]
pub(crate) struct Chooser {
    /// A leg has several endpoints, or had.
    active: AtomicBool,
    learned: Mutex<Learned>,
}

impl Chooser {
    /// A configuration comes into force.
    pub(crate) fn follow(&self, book: &Book) {
        let mut steps = book.all_flows().flat_map(|flow| &flow.steps);
        if steps.any(|step| step.legs().any(|leg| leg.balance.is_some())) {
            self.active.store(true, Ordering::Relaxed);
        }
    }

    /// Takes what was counted of shares out of what was counted in all.
    pub(crate) fn restore(&self, counts: &mut Vec<(CapPeriod, u64)>) {
        let shares = counts.extract_if(.., |(period, _)| period.scope.starts_with(SHARE_SCOPE));
        self.learned.lock().shares.restore(shares);
    }

    pub(crate) fn forget_before(&self, time: Timestamp) {
        self.learned.lock().shares.forget_before(time);
    }

    /// A settlement is stored, which counted in this period of a candidate's share.
    pub(crate) fn settled(&self, settlement: &Settlement, counted: Option<&CapPeriod>) {
        if self.active.load(Ordering::Relaxed) {
            self.learned.lock().shares.settled(settlement, counted);
        }
    }
}

/// One day of a leg's shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayShares {
    /// From midnight,
    pub from: Timestamp,
    /// until just before the next.
    pub until: Timestamp,
    /// What each candidate has had, in the order they are configured.
    pub tallies: Vec<ShareTally>,
}

impl Engine {
    /// What each candidate of a leg has had of today and of the days that are kept, the newest first.
    pub fn shares(&self, balance: &BalancePlan) -> Vec<DayShares> {
        let (now, learned) = (self.inner.clock.now(), self.inner.chooser.learned.lock());
        let kept = balance.candidates.iter().flat_map(|one| learned.shares.days(&one.scope));
        let today = balance.candidates.first().map(|one| balance.day(one, now));
        let days: BTreeSet<(Timestamp, Timestamp)> = kept.chain(&today).map(|day| (day.from, day.until)).collect();
        let of_day = |(from, until): (Timestamp, Timestamp)| {
            let tally = |one: &CandidatePlan| {
                let day = CapPeriod { scope: Arc::clone(&one.scope), per: CapPer::Day, from, until };
                let tally = learned.shares.tally(&day);
                let on_the_way = Some(tally.on_the_way).filter(|_| (from..until).contains(&now));
                ShareTally { on_the_way: on_the_way.unwrap_or_default(), ..tally }
            };
            DayShares { from, until, tallies: balance.candidates.iter().map(tally).collect() }
        };
        days.into_iter().rev().map(of_day).collect()
    }
}

impl Inner {
    /// Where the deliveries of a new lead go that begin at once. Others choose when their time comes.
    pub(crate) fn choose_at_intake(&self, flow: &FlowPlan, lead: &Lead, deliveries: &mut [Delivery], now: Timestamp) {
        for (step, delivery) in flow.steps.iter().zip(deliveries) {
            let Some(balance) = &step.balance else { continue };
            if delivery.state.next_look().is_some() {
                // One that none may take asks a person when it comes due.
                self.choose_for(delivery, lead, balance, None, now);
            }
        }
    }

    /// The plan by which a delivery goes.
    ///
    /// # Errors
    /// What becomes of it in place of that: it goes to another endpoint, or a person looks.
    pub(crate) fn way<'a>(
        &self,
        delivery: &mut Delivery,
        lead: &Lead,
        book: &'a Book,
        now: Timestamp,
    ) -> Result<&'a Arc<StepPlan>, Option<Box<Settlement>>> {
        let leg = book.leg(delivery).map_err(|gone| {
            let because = gone.to_string().into();
            refer(delivery, ReviewCause::StepGone, because, self.fence(delivery), now).map(Box::new)
        })?;
        match (leg.way(delivery), &leg.balance) {
            (Some(way), _) => Ok(way),
            (None, Some(balance)) => self.choose_way(delivery, lead, (leg, balance), now),
            (None, None) => Ok(leg),
        }
    }

    /// Chooses for a delivery that has come due without a choice, or whose candidate is gone.
    fn choose_way<'a>(
        &self,
        delivery: &mut Delivery,
        lead: &Lead,
        (leg, balance): (&'a Arc<StepPlan>, &BalancePlan),
        now: Timestamp,
    ) -> Result<&'a Arc<StepPlan>, Option<Box<Settlement>>> {
        let fence = self.fence(delivery);
        if let Some(gone) = delivery.choice.as_ref().filter(|_| delivery.progress.may_be_taken()) {
            let because = format!("an attempt is in doubt at {}, which its leg no longer has", gone.candidate);
            return Err(refer(delivery, ReviewCause::StepGone, because.into(), fence, now).map(Box::new));
        }
        let mut chosen = delivery.clone();
        if !self.choose_for(&mut chosen, lead, balance, None, now) {
            let because = "no endpoint of its leg may take this lead, by its region or its regulations";
            return Err(
                end_leg(delivery, ReviewCause::NoEndpoint, because.into(), leg.route(), fence, now).map(Box::new)
            );
        }
        if chosen.endpoint != delivery.endpoint {
            let moved = chosen.choice.and_then(|choice| move_to(delivery, choice, &chosen.endpoint, fence, now));
            return Err(moved.map(Box::new));
        }
        *delivery = chosen;
        Ok(leg.way(delivery).unwrap_or(leg))
    }

    /// After an attempt on a leg with several endpoints: what it says of its endpoint is learned, and what is to be sent again
    /// and was certainly not taken chooses anew. One in doubt stays where it is.
    pub(crate) fn choose_again(&self, settlement: &mut Settlement, lead: &Lead, book: &Book) {
        if settlement.delivery.choice.is_some() {
            self.chooser.learned.lock().heard(settlement);
        }
        let now = settlement.event.at;
        let after = &mut settlement.delivery;
        if !chooses_again(after) {
            return;
        }
        let Some(balance) = book.leg(after).ok().and_then(|leg| leg.balance.as_ref()) else { return };
        let before = after.endpoint.clone();
        let failed = after.choice.as_ref().map(|choice| choice.candidate.clone());
        self.choose_for(after, lead, balance, failed.as_ref(), now);
        tell_where(&mut settlement.entry, after, &before);
    }

    /// A delivery that comes to a leg with several endpoints by another way than an attempt (its leg begins, or its turn has come)
    /// stands at the first of them, which may be held: it chooses at once.
    pub(crate) fn choose_at_beginning(&self, after: &mut Delivery, entry: &mut Entry, lead: &Lead, now: Timestamp) {
        if !self.chooser.active.load(Ordering::Relaxed) || after.choice.is_some() || !chooses_again(after) {
            return;
        }
        let book = self.book();
        let Some(balance) = book.leg(after).ok().and_then(|leg| leg.balance.as_ref()) else { return };
        // One that a stop holds stands in a lot, and chooses when it goes on.
        if balance.candidates.iter().any(|one| one.plan.endpoint == after.endpoint) {
            let before = after.endpoint.clone();
            self.choose_for(after, lead, balance, None, now);
            tell_where(entry, after, &before);
        }
    }

    /// Chooses for a delivery, and has it go there. `false` where no candidate may take it.
    pub(crate) fn choose_for(
        &self,
        delivery: &mut Delivery,
        lead: &Lead,
        balance: &BalancePlan,
        failed: Option<&CandidateName>,
        now: Timestamp,
    ) -> bool {
        self.choose_among(delivery, lead, balance, failed, |_| None, now)
    }

    /// As [`Inner::choose_for`]. `takes` says by place which candidates take leads that leave another endpoint: of the others none
    /// is chosen, and one that is on its way back is not left out for having to be waited for. `None` leaves it to its load.
    pub(crate) fn choose_among(
        &self,
        delivery: &mut Delivery,
        lead: &Lead,
        balance: &BalancePlan,
        failed: Option<&CandidateName>,
        takes: impl Fn(usize) -> Option<bool>,
        now: Timestamp,
    ) -> bool {
        let loads: Vec<EndpointLoad> = {
            let dispatch = self.dispatch.lock();
            balance.candidates.iter().map(|one| dispatch.load_of(&one.plan.endpoint, now)).collect()
        };
        let offers = balance.candidates.iter().zip(loads).enumerate().map(|(place, (one, load))| Offer {
            name: &one.name,
            endpoint: &one.plan.endpoint,
            weight: one.weight,
            cost_millionths: one.cost_millionths,
            barred: balance.barred(one, &lead.fields).or((takes(place) == Some(false)).then_some("takes_no_leads")),
            near: balance.near(one, &lead.fields),
            load: if takes(place) == Some(true) { EndpointLoad { hold: None, ..load } } else { load },
            day: balance.day(one, now),
        });
        let offers: Vec<Offer<'_>> = offers.collect();
        let seed = self.store.identity().seed;
        self.chooser.learned.lock().choose_for(delivery, &balance.rules, &offers, failed, seed, now)
    }

    /// The period of a share that a settlement counts in; it is stored with it.
    pub(crate) fn count_share(&self, settlement: &mut Settlement) -> Option<CapPeriod> {
        let choice = settlement.delivery.choice.as_ref()?;
        let book = self.book();
        let balance = book.leg(&settlement.delivery).ok()?.balance.as_ref()?;
        let one = balance.candidate(&choice.candidate)?;
        if !balance.rules.share_of.counts(settlement) {
            return None;
        }
        let day = balance.day(one, settlement.event.at);
        settlement.caps.get_or_insert_default().add.push(day.clone());
        Some(day)
    }
}

/// The line that brought a choice says where it leads, if that is not where it said before.
fn tell_where(entry: &mut Entry, after: &Delivery, before: &Endpoint) {
    let Some(choice) = after.choice.as_ref().filter(|_| after.endpoint != *before) else { return };
    let because = match entry {
        Entry::Attempt(attempt) => &mut attempt.because,
        Entry::Change(change) => &mut change.because,
        Entry::LookUp(look_up) => &mut look_up.because,
    };
    *because = format!("{because}; then {} at {}", choice.candidate, after.endpoint).into();
}
