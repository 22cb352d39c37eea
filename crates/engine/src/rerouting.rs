//! A person's word on which way a delivery goes: found among the ways of its step, as the configuration is now.

use crate::desk::RefusedAction;
use crate::run::Inner;
use std::sync::Arc;
use steadfast_flow::{Book, CandidatePlan, StepPlan};
use steadfast_lead::Timestamp;
use steadfast_retry::{
    Choice, Delivery, LegProgress, RefusedReroute, Reroute, Settlement, State, Verb, Way, reroute, verb,
};

/// One way of a step: a leg, and one of its candidates where it has several endpoints.
type Found<'a> = (&'a Arc<StepPlan>, Option<&'a CandidatePlan>);

impl Inner {
    /// What a reroute makes of a delivery.
    ///
    /// # Errors
    /// [`RefusedAction`]; nothing is changed.
    pub(crate) async fn rerouted(
        &self,
        before: &Delivery,
        asked: &Reroute,
        by: &str,
        now: Timestamp,
    ) -> Result<Settlement, RefusedAction> {
        let book = self.book();
        let (leg, candidate) = find(&book, before, asked)?;
        let way = match (&leg.balance, candidate) {
            (Some(_), None) => self.chosen_way(before, leg, asked, now).await?,
            (_, Some(one)) => by_hand(leg, one, now),
            (None, None) => Way { leg: leg.leg, endpoint: leg.endpoint.clone(), choice: None },
        };
        Ok(reroute(before, asked, &way, by, self.fence(before), now)?)
    }

    /// What another try makes of a delivery. One that was certainly not taken chooses anew between the endpoints of its leg.
    ///
    /// # Errors
    /// [`RefusedAction`]; nothing is changed.
    pub(crate) async fn retried(
        &self,
        before: &Delivery,
        by: &str,
        now: Timestamp,
    ) -> Result<Settlement, RefusedAction> {
        let mut settlement = verb(before, &Verb::Retry, by, self.fence(before), now)?;
        let book = self.book();
        let several = book.leg(before).ok().and_then(|leg| leg.balance.as_ref());
        if let Some(balance) = several.filter(|_| !before.progress.may_be_taken())
            && let Some((_, lead)) = self.store.load(before.id).await?
        {
            let failed = before.choice.as_ref().filter(|_| before.attempts > 0).map(|choice| choice.candidate.clone());
            self.choose_for(&mut settlement.delivery, &lead, balance, failed.as_ref(), now);
        }
        Ok(settlement)
    }

    /// Where the leg's own choice sends it.
    async fn chosen_way(
        &self,
        before: &Delivery,
        leg: &Arc<StepPlan>,
        asked: &Reroute,
        now: Timestamp,
    ) -> Result<Way, RefusedAction> {
        let mut trial = before.clone();
        trial.state = State::Waiting { due: now };
        if asked.not_taken {
            trial.progress = LegProgress::default();
        }
        let lead = self.store.load(before.id).await?.map(|(_, lead)| lead);
        let chosen = match (&leg.balance, lead) {
            (Some(balance), Some(lead)) => self.choose_for(&mut trial, &lead, balance, None, now),
            (Some(_) | None, _) => false,
        };
        if !chosen {
            let asked = format!("endpoint on leg {} that may take this lead now", leg.leg).into();
            return Err(RefusedReroute::NoWay { asked, known: told(of_leg(leg)).into() }.into());
        }
        Ok(Way { leg: leg.leg, endpoint: trial.endpoint, choice: trial.choice })
    }
}

fn by_hand(leg: &StepPlan, one: &CandidatePlan, now: Timestamp) -> Way {
    let because = "a person chose it".into();
    let choice = Choice { candidate: one.name.clone(), at: now, rated: Vec::new(), because };
    Way { leg: leg.leg, endpoint: one.plan.endpoint.clone(), choice: Some(Arc::new(choice)) }
}

/// The way a person asks for. The nearest to where it is now comes first; the one it is on comes last.
fn find<'a>(book: &'a Book, before: &Delivery, asked: &Reroute) -> Result<Found<'a>, RefusedReroute> {
    let no_way = |known: String| RefusedReroute::NoWay { asked: what(asked).into(), known: known.into() };
    let Some(step) = book.step(&before.flow, &before.step) else {
        return Err(no_way(format!("nothing: the configuration no longer has step {}", before.step)));
    };
    if let (Some(number), None, None) = (asked.leg, &asked.endpoint, &asked.recipient) {
        let leg = step.legs().nth(usize::from(number));
        return leg.map(|leg| (leg, None)).ok_or_else(|| no_way(told(all(step))));
    }
    let fits = |(leg, one): &Found<'_>| {
        let endpoint = one.map_or(&leg.endpoint, |one| &one.plan.endpoint);
        asked.leg.is_none_or(|number| leg.leg == number)
            && asked.endpoint.as_ref().is_none_or(|name| one.is_some_and(|one| one.name == *name))
            && asked.recipient.as_ref().is_none_or(|name| endpoint.recipient == *name)
    };
    let far = |(leg, one): &Found<'_>| {
        let named = one.map(|one| &one.name) == before.choice.as_ref().map(|choice| &choice.candidate);
        let here = leg.leg == before.progress.leg;
        (here && named, !here)
    };
    all(step).filter(fits).min_by_key(far).ok_or_else(|| no_way(told(all(step))))
}

fn all(step: &Arc<StepPlan>) -> impl Iterator<Item = Found<'_>> {
    step.legs().flat_map(of_leg)
}

fn of_leg(leg: &Arc<StepPlan>) -> impl Iterator<Item = Found<'_>> {
    let several = leg.balance.iter().flat_map(|balance| &balance.candidates).map(Some);
    let one = leg.balance.is_none().then_some(None);
    one.into_iter().chain(several).map(move |candidate| (leg, candidate))
}

fn what(asked: &Reroute) -> String {
    let leg = asked.leg.map(|leg| format!("leg {leg}"));
    let endpoint = asked.endpoint.as_ref().map(|name| format!("endpoint {name}"));
    let recipient = asked.recipient.as_ref().map(|name| format!("way to {name}"));
    let said: Vec<String> = [endpoint, recipient, leg].into_iter().flatten().collect();
    said.join(" on ")
}

fn told<'a>(ways: impl Iterator<Item = Found<'a>>) -> String {
    let one = |(leg, candidate): Found<'_>| match candidate {
        None => format!("leg {} to {}", leg.leg, leg.endpoint),
        Some(one) => format!("leg {} endpoint {} to {}", leg.leg, one.name, one.plan.endpoint),
    };
    ways.map(one).collect::<Vec<_>>().join(", ")
}
