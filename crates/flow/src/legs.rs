//! The legs of a step: its own request first, then its fallbacks in order, and what follows the end of each.
//!
//! A fallback to the step's own recipient lies over the step. One to another recipient starts from that recipient: nothing
//! that says how to reach or to read one recipient, and no credential, goes along to another.

use crate::balance::{BalanceSettings, CandidateSettings};
use crate::compile::{StepScope, too_many};
use crate::layers::Laid;
use crate::place::{Fault, Place};
use crate::plan::StepPlan;
use crate::protection::OnOpen;
use crate::request_settings::{Auth, RequestSettings};
use crate::settings::{InDoubtSettings, StepSettings};
use std::sync::Arc;
use steadfast_lead::RecipientName;
use steadfast_retry::policy::{Conditions, Layer, Level};
use steadfast_retry::reading::{ResponseSettings, RuleSettings};
use steadfast_retry::{FollowUp, LegEnds, NextLeg};

/// Fallbacks of a step, at most.
pub const FALLBACKS_MAX: usize = 8;

/// What is written about the ends of a leg. `None` leaves a key to the step, or to its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowUpSettings {
    /// Every retry was used, or the time for retries is over.
    pub on_exhausted: Option<FollowUp>,
    /// A final error of `final_errors`.
    pub on_final_error: Option<FollowUp>,
    /// Which final errors that speaks of.
    pub final_errors: Option<Conditions>,
    /// The answer fits no term.
    pub on_unrecognized: Option<FollowUp>,
    /// Held by an open breaker for longer than `longest_hold`.
    pub on_held_too_long: Option<FollowUp>,
}

/// A fallback, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegSettings {
    /// Whom it sends to; the step's recipient where nothing is said.
    pub recipient: Option<RecipientName>,
    /// What it says about retrying: nearer than the step.
    pub retry: Layer,
    /// What it says about doubt.
    pub in_doubt: InDoubtSettings,
    /// What it says about the request.
    pub request: RequestSettings,
    /// How it says who it is.
    pub auth: Option<Auth>,
    /// How it reads answers.
    pub response: ResponseSettings,
    /// Rules about answers, before the others.
    pub rules: Vec<RuleSettings>,
    /// What follows its end.
    pub follow_ups: FollowUpSettings,
    /// Several endpoints it chooses between; none for its own alone.
    pub candidates: Vec<CandidateSettings>,
    /// How it chooses.
    pub balance: BalanceSettings,
}

/// Which leg a scope is about, beside the primary.
pub(crate) struct LegScope<'a> {
    pub(crate) number: u8,
    /// What it says about retrying, nearest of all; a candidate of the step's own leg says nothing.
    pub(crate) retry: Option<&'a Layer>,
    /// Where that stands.
    pub(crate) retry_place: Place,
    /// Where its step stands.
    pub(crate) step_place: Place,
}

impl<'a> LegScope<'a> {
    /// What it says about retrying, nearest of all.
    pub(crate) fn level(&self) -> Option<Laid<'a>> {
        Some(Laid { level: Level::Fallback(self.number), layer: self.retry?, place: self.retry_place.clone() })
    }
}

impl FollowUpSettings {
    /// These settings laid over `farther`, key by key.
    #[must_use]
    fn over(&self, farther: &FollowUpSettings) -> FollowUpSettings {
        FollowUpSettings {
            on_exhausted: self.on_exhausted.or(farther.on_exhausted),
            on_final_error: self.on_final_error.or(farther.on_final_error),
            final_errors: self.final_errors.clone().or_else(|| farther.final_errors.clone()),
            on_unrecognized: self.on_unrecognized.or(farther.on_unrecognized),
            on_held_too_long: self.on_held_too_long.or(farther.on_held_too_long),
        }
    }

    fn words(&self) -> [(&'static str, Option<FollowUp>); 4] {
        [
            ("on_exhausted", self.on_exhausted),
            ("on_final_error", self.on_final_error),
            ("on_unrecognized", self.on_unrecognized),
            ("on_held_too_long", self.on_held_too_long),
        ]
    }

    /// What cannot be followed where it is written: there is no next leg, or no next buyer.
    fn faults(&self, place: &Place, has_next: bool, sells: bool) -> Vec<Fault> {
        let words = self.words().into_iter().filter_map(|(key, word)| Some((key, word?)));
        let faults = words.filter_map(|(key, word)| match word {
            FollowUp::NextLeg if !has_next => {
                let (problem, allowed) = ("has no leg to go on to", "review or close, or a fallback after it");
                Some(Fault::of(place.key(key), "\"next_leg\"", problem, allowed))
            }
            FollowUp::NextBuyer if !sells => {
                let (problem, allowed) = ("needs a step that is a buyer of a sale", "review, next_leg, close");
                Some(Fault::of(place.key(key), "\"next_buyer\"", problem, allowed))
            }
            FollowUp::Review | FollowUp::NextLeg | FollowUp::NextBuyer | FollowUp::Close => None,
        });
        faults.collect()
    }

    /// What follows each end. With a leg to go on to, what another endpoint may cure goes there; otherwise a person looks.
    fn ends(&self, has_next: bool) -> LegEnds {
        let usual = LegEnds::usual(has_next);
        LegEnds {
            exhausted: self.on_exhausted.unwrap_or(usual.exhausted),
            final_error: self.on_final_error.unwrap_or(usual.final_error),
            final_errors: self.final_errors.clone().unwrap_or(usual.final_errors),
            unrecognized: self.on_unrecognized.unwrap_or(usual.unrecognized),
            held_too_long: self.on_held_too_long.unwrap_or(usual.held_too_long),
        }
    }
}

impl LegSettings {
    /// The fallback as a step of its own.
    pub(crate) fn laid_over(&self, step: &StepSettings) -> StepSettings {
        let elsewhere = self.recipient.as_ref().is_some_and(|recipient| *recipient != step.recipient);
        let own = StepSettings {
            recipient: self.recipient.clone().unwrap_or_else(|| step.recipient.clone()),
            request: self.request.clone(),
            auth: self.auth.clone(),
            response: self.response.clone(),
            rules: self.rules.clone(),
            in_doubt: InDoubtSettings {
                mode: self.in_doubt.mode.or(step.in_doubt.mode),
                delay: self.in_doubt.delay.or(step.in_doubt.delay),
                look_up: self.in_doubt.look_up.clone(),
            },
            candidates: self.candidates.clone(),
            balance: self.balance.clone(),
            ..step.clone()
        };
        if elsewhere {
            return own;
        }
        StepSettings {
            request: self.request.over(&step.request),
            auth: self.auth.clone().or_else(|| step.auth.clone()),
            response: self.response.over(&step.response),
            rules: self.rules.iter().chain(&step.rules).cloned().collect(),
            in_doubt: self.in_doubt.over(&step.in_doubt),
            ..own
        }
    }
}

impl StepScope<'_> {
    /// The plan of a step with all its legs.
    pub(crate) fn plan_legs(&self) -> Result<StepPlan, Vec<Fault>> {
        let step = self.step;
        let primary = self.plan_leg();
        let mut faults = self.follow_up_faults();
        let laid: Vec<StepSettings> = step.fallbacks.iter().map(|leg| leg.laid_over(step)).collect();
        let mut legs = Vec::with_capacity(laid.len() + 1);
        let mut told = Vec::new();
        match primary {
            Ok(plan) => legs.push(plan),
            Err(found) => told = found,
        }
        for (number, (leg, laid)) in (1_u8..).zip(step.fallbacks.iter().zip(&laid)) {
            let scope = self.fallback(number, leg, laid);
            faults.extend(self.same_as_before(&scope, number, &laid_before(step, &step.fallbacks, number)));
            match scope.plan_leg() {
                Ok(plan) => legs.push(plan),
                Err(found) => {
                    faults.extend(found.into_iter().filter(|fault| !is_told(fault, &scope.place, &told, &self.place)));
                }
            }
        }
        told.extend(faults);
        // A plan may fail with nothing new to tell: its fault is told where it is written, at its recipient.
        let whole = legs.len() == laid.len() + 1;
        if told.is_empty() && whole { Ok(self.chained(legs)) } else { Err(told) }
    }

    /// A fallback as it is read.
    pub(crate) fn fallback<'s>(&'s self, number: u8, leg: &'s LegSettings, laid: &'s StepSettings) -> StepScope<'s> {
        StepScope {
            settings: self.settings,
            flow_name: self.flow_name,
            flow: self.flow,
            step: laid,
            place: self.fallback_place(number),
            leg: Some(LegScope {
                number,
                retry: Some(&leg.retry),
                retry_place: self.fallback_place(number).key("retry"),
                step_place: self.place.clone(),
            }),
        }
    }

    /// Where the step stands, whichever leg this is about.
    pub(crate) fn steps_place(&self) -> &Place {
        self.leg.as_ref().map_or(&self.place, |leg| &leg.step_place)
    }

    fn fallback_place(&self, number: u8) -> Place {
        self.place.key("fallbacks").index(usize::from(number.saturating_sub(1)))
    }

    fn follow_up_faults(&self) -> Vec<Fault> {
        let (fallbacks, sells) = (&self.step.fallbacks, self.flow.tie(self.step).buyer);
        let mut faults: Vec<Fault> =
            too_many(self.place.key("fallbacks"), fallbacks.len(), FALLBACKS_MAX).into_iter().collect();
        faults.extend(self.step.follow_ups.faults(&self.place, !fallbacks.is_empty(), sells));
        for (number, leg) in (1_u8..).zip(fallbacks) {
            let has_next = usize::from(number) < fallbacks.len();
            faults.extend(leg.follow_ups.faults(&self.fallback_place(number), has_next, sells));
        }
        faults
    }

    /// A leg that is the one before it once more.
    fn same_as_before(&self, scope: &StepScope<'_>, number: u8, before: &StepSettings) -> Option<Fault> {
        let url = |step: &StepSettings| {
            let recipient = self.settings.recipients.get(&step.recipient)?;
            step.request.over(&recipient.request).url
        };
        if !scope.step.candidates.is_empty() || !before.candidates.is_empty() {
            return None;
        }
        let (here, there) = (url(scope.step)?, url(before)?);
        (scope.step.recipient == before.recipient && here == there).then(|| {
            let problem = format!("is where leg {} goes already", number.saturating_sub(1));
            let allowed = "another url or another recipient than the leg before it";
            Fault::unseen(scope.place.key("request").key("url"), &problem, allowed)
        })
    }

    /// Numbers the legs, and tells each what follows it.
    fn chained(&self, mut legs: Vec<StepPlan>) -> StepPlan {
        let endpoints: Vec<_> = legs.iter().map(|leg| leg.endpoint.clone()).collect();
        for (number, plan) in (0_u8..).zip(&mut legs) {
            let next = endpoints.get(usize::from(number) + 1).cloned();
            let own = usize::from(number).checked_sub(1).and_then(|index| self.step.fallbacks.get(index));
            let follow_ups = own.map(|leg| leg.follow_ups.over(&self.step.follow_ups));
            plan.ends = follow_ups.as_ref().unwrap_or(&self.step.follow_ups).ends(next.is_some());
            plan.leg = number;
            if plan.on_open == OnOpen::NextLeg && next.is_none() {
                plan.on_open = OnOpen::Hold;
            }
            plan.next = next.map(|endpoint| NextLeg { leg: number.saturating_add(1), endpoint });
            plan.tell_candidates();
        }
        let fallbacks = legs.split_off(1).into_iter().map(Arc::new).collect();
        let primary = legs.remove(0);
        StepPlan { fallbacks, ..primary }
    }
}

fn laid_before(step: &StepSettings, fallbacks: &[LegSettings], number: u8) -> StepSettings {
    let before = usize::from(number).checked_sub(2).and_then(|index| fallbacks.get(index));
    before.map_or_else(|| step.clone(), |leg| leg.laid_over(step))
}

/// Whether a fault of a leg is only what its step has wrong as well.
pub(crate) fn is_told(fault: &Fault, leg: &Place, told: &[Fault], step: &Place) -> bool {
    let below = |fault: &Fault, place: &Place| fault.place.as_str().strip_prefix(place.as_str()).map(str::to_owned);
    let here = below(fault, leg);
    told.iter().any(|known| {
        let same = known.value == fault.value && known.problem == fault.problem;
        same && (known.place == fault.place || (here.is_some() && below(known, step) == here))
    })
}
