//! Leaving an endpoint whose breaker lets nothing go, for one that takes leads: another of the same leg, else one of the next.
//!
//! Dispatch says when a delivery is looked at for it, and how many may go; here it is found whether this one may, and where to.
//! Must never: take a delivery of which an attempt may have been taken to another candidate, or to another recipient.

use crate::run::Inner;
use steadfast_flow::{BalancePlan, Book, OnOpen, StepPlan};
use steadfast_lead::{Lead, Timestamp};
use steadfast_retry::breaker::BreakerState;
use steadfast_retry::{Delivery, NextLeg, Settlement, leave_leg, move_to};

impl Inner {
    /// `None` where it has to stay.
    pub(crate) fn leave(
        &self,
        delivery: &Delivery,
        (lead, book): (&Lead, &Book),
        plan: &StepPlan,
        now: Timestamp,
    ) -> Option<Settlement> {
        let leg = book.leg(delivery).ok()?;
        let beside = leg.balance.as_ref().filter(|_| !delivery.progress.may_be_taken());
        if let Some((_, moved)) = beside.and_then(|balance| self.chosen_elsewhere(delivery, lead, balance, now)) {
            return moved
                .choice
                .and_then(|choice| move_to(delivery, choice, &moved.endpoint, self.fence(delivery), now));
        }
        let next = plan.next.as_ref().filter(|_| plan.on_open == OnOpen::NextLeg)?;
        let after = book.step(&delivery.flow, &delivery.step)?.legs().nth(usize::from(next.leg))?;
        let (state, there) = match &after.balance {
            None => (self.dispatch.lock().leaves(&delivery.endpoint, &next.endpoint, now)?, None),
            Some(balance) => {
                let (state, moved) = self.chosen_elsewhere(delivery, lead, balance, now)?;
                (state, Some(moved))
            }
        };
        let endpoint = there.as_ref().map_or(&next.endpoint, |moved| &moved.endpoint).clone();
        let next = NextLeg { leg: next.leg, endpoint };
        let because = format!("the breaker of {} {} (on_open = \"next_leg\")", plan.endpoint, stands(state));
        let mut left = leave_leg(delivery, &because, &next, self.fence(delivery), now)?;
        left.delivery.choice = there.and_then(|moved| moved.choice);
        Some(left)
    }

    /// One of a leg's candidates that may take this delivery and takes leads now, chosen as the leg chooses; with how the breaker of
    /// the endpoint stands that it leaves. `None` where there is none.
    fn chosen_elsewhere(
        &self,
        delivery: &Delivery,
        lead: &Lead,
        balance: &BalancePlan,
        now: Timestamp,
    ) -> Option<(BreakerState, Delivery)> {
        let states: Vec<Option<BreakerState>> = {
            let dispatch = self.dispatch.lock();
            balance.candidates.iter().map(|one| dispatch.leaves(&delivery.endpoint, &one.plan.endpoint, now)).collect()
        };
        let state = states.iter().flatten().next().copied()?;
        let takes = |place: usize| Some(states.get(place).is_some_and(Option::is_some));
        let mut moved = delivery.clone();
        self.choose_among(&mut moved, lead, balance, None, takes, now).then_some((state, moved))
    }
}

const fn stands(state: BreakerState) -> &'static str {
    match state {
        BreakerState::HalfOpen => "is half-open, its probe is under way",
        BreakerState::Credentials => "is open, its credentials were refused",
        BreakerState::ForcedOpen => "was opened by hand",
        BreakerState::Open | BreakerState::Closed | BreakerState::Recovery | BreakerState::Disabled => "is open",
    }
}
