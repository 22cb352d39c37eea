//! Several endpoints of one leg, its candidates: what is written about them, and what a leg needs to know to choose between
//! them. Each candidate is a plan of its own, made as a fallback's is.

use crate::amount::Amount;
use crate::calendars::zone;
use crate::compile::{StepScope, too_many};
use crate::legs::{LegScope, LegSettings, is_told};
use crate::place::{Fault, Place};
use crate::plan::StepPlan;
use crate::settings::StepSettings;
use crate::source::is_price;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use steadfast_lead::{CandidateName, Fields, Timestamp, Value};
use steadfast_retry::calendar::Zone;
use steadfast_retry::{Balance, BalanceRules, CapPer, CapPeriod, Criterion, ShareOf};

/// Candidates of a leg, at most.
pub const CANDIDATES_MAX: usize = 16;
/// What a candidate's weight may be.
pub const WEIGHT: RangeInclusive<u32> = 1..=1_000;
/// How many times its weight one counts that is behind, in thousandths.
pub const CATCH_UP_THOUSANDTHS: RangeInclusive<u32> = 1_000..=10_000;
/// How many of a hundred leads may go to another than the best.
pub const EXPLORE_PERCENT: RangeInclusive<u8> = 0..=5;
/// Regions or regulations of a candidate, at most.
pub const TAGS_MAX: usize = 200;

const CATCH_UP_DEFAULT: u32 = 2_000;
const EXPLORE_DEFAULT: u8 = 2;
const ZONE_DEFAULT: &str = "UTC";

/// How a leg chooses between its candidates, as written. `None` is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BalanceSettings {
    /// By what.
    pub by: Option<Balance>,
    /// Not at all: every one has a delivery of its own.
    pub all: bool,
    /// What counts for a share.
    pub share_of: Option<ShareOf>,
    /// How many times its weight one counts that is behind its share, in thousandths.
    pub catch_up_thousandths: Option<u32>,
    /// What the best is the best in, the most important first.
    pub criteria: Vec<Criterion>,
    /// How many of a hundred leads go to another than the best.
    pub explore_percent: Option<u8>,
    /// The lead's field that says its region.
    pub region_field: Option<Box<str>>,
    /// The lead's field that says under which regulations it stands.
    pub regulation_field: Option<Box<str>>,
    /// The IANA name of the zone whose days count; `None` for the account's.
    pub time_zone: Option<Box<str>>,
}

/// A candidate, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateSettings {
    /// Its name, unique in its leg.
    pub name: CandidateName,
    /// What it says about sending, as a fallback does; what follows the end of the leg is not its word.
    pub way: LegSettings,
    /// Its part of what the weights come to.
    pub weight: Option<u32>,
    /// What a lead costs there: a decimal number.
    pub cost: Option<Box<str>>,
    /// The regions it takes leads of; none for all.
    pub regions: Vec<Box<str>>,
    /// The regulations it may take leads under.
    pub regulations: Vec<Box<str>>,
}

/// What a leg with several endpoints needs to know to choose.
#[derive(Clone, Debug)]
pub struct BalancePlan {
    /// How it chooses.
    pub rules: BalanceRules,
    /// Whose days its shares are counted in.
    pub zone: Zone,
    /// The lead's field that says its region.
    pub region_field: Option<Box<str>>,
    /// The lead's field that says under which regulations it stands.
    pub regulation_field: Option<Box<str>>,
    /// Between these, in the order they are configured.
    pub candidates: Vec<CandidatePlan>,
}

/// One candidate.
#[derive(Clone, Debug)]
pub struct CandidatePlan {
    /// Its name.
    pub name: CandidateName,
    /// How a lead is sent there.
    pub plan: Arc<StepPlan>,
    /// Its part of what the weights come to.
    pub weight: u32,
    /// What a lead costs there, in millionths.
    pub cost_millionths: Option<u64>,
    /// The regions it takes leads of; none for all.
    pub regions: Vec<Box<str>>,
    /// The regulations it may take leads under.
    pub regulations: Vec<Box<str>>,
    /// What its share is counted under.
    pub scope: Arc<str>,
}

impl BalancePlan {
    /// What its candidates are called, in order.
    pub(crate) fn names(&self) -> Vec<CandidateName> {
        self.candidates.iter().map(|one| one.name.clone()).collect()
    }

    /// The candidate of that name.
    pub fn candidate(&self, name: &CandidateName) -> Option<&CandidatePlan> {
        self.candidates.iter().find(|one| one.name == *name)
    }

    /// The day of a candidate's share that a time falls into.
    pub fn day(&self, candidate: &CandidatePlan, at: Timestamp) -> CapPeriod {
        let (from, until) = CapPer::Day.period(&self.zone, at);
        CapPeriod { scope: Arc::clone(&candidate.scope), per: CapPer::Day, from, until }
    }

    /// Why a candidate must not take a lead, in a word; `None` where it may.
    pub fn barred(&self, candidate: &CandidatePlan, fields: &Fields) -> Option<&'static str> {
        let lacks = |tag: &str| !candidate.regulations.iter().any(|known| known.eq_ignore_ascii_case(tag));
        if let Some(field) = &self.regulation_field
            && tags(fields, field).iter().any(|tag| lacks(tag))
        {
            return Some("regulation");
        }
        let elsewhere = self.region_field.is_some() && !candidate.regions.is_empty() && !self.near(candidate, fields);
        elsewhere.then_some("region")
    }

    /// Whether a candidate names the lead's region.
    pub fn near(&self, candidate: &CandidatePlan, fields: &Fields) -> bool {
        let Some(field) = &self.region_field else { return false };
        let named = |tag: &&str| candidate.regions.iter().any(|region| region.eq_ignore_ascii_case(tag));
        tags(fields, field).iter().any(named)
    }
}

/// What a field holds: several values of a list, or of a text with commas.
fn tags<'a>(fields: &'a Fields, field: &str) -> Vec<&'a str> {
    let single = |value: &'a Value| {
        let parts = value.as_plain().unwrap_or_default().split(',').map(str::trim);
        parts.filter(|part| !part.is_empty()).take(TAGS_MAX).collect::<Vec<_>>()
    };
    match fields.get(field) {
        None => Vec::new(),
        Some(Value::List(values)) => values.iter().take(TAGS_MAX).flat_map(single).collect(),
        Some(value) => single(value),
    }
}

impl BalanceSettings {
    fn is_written(&self) -> bool {
        *self != BalanceSettings::default()
    }

    fn rules(&self) -> BalanceRules {
        BalanceRules {
            by: self.by.unwrap_or(Balance::Weighted),
            share_of: self.share_of.unwrap_or(ShareOf::Accepted),
            catch_up_thousandths: self.catch_up_thousandths.unwrap_or(CATCH_UP_DEFAULT),
            criteria: self.criteria.clone(),
            explore_percent: self.explore_percent.unwrap_or(EXPLORE_DEFAULT),
        }
    }

    fn faults(&self, place: &Place, candidates: &[CandidateSettings]) -> Vec<Fault> {
        let mut faults = Vec::new();
        let by = self.by.unwrap_or(Balance::Weighted);
        let words = Criterion::ALL.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ");
        let (best, weighted) = (by == Balance::Best, by == Balance::Weighted);
        if best && self.criteria.is_empty() {
            let problem = "is missing: the best is the best in something";
            faults.push(Fault::unseen(place.key("criteria"), problem, &words));
        }
        for (index, criterion) in self.criteria.iter().enumerate() {
            if self.criteria[..index].contains(criterion) {
                let given = format!("\"{criterion}\"");
                faults.push(Fault::of(place.key("criteria").index(index), &given, "stands twice", "each once"));
            }
        }
        let idle = |key: &str, written: bool, needs: &str| {
            let problem = format!("is never asked for: the leg chooses by {by}");
            written.then(|| Fault::unseen(place.key(key), &problem, needs))
        };
        faults.extend(idle("criteria", !best && !self.criteria.is_empty(), "by = \"best\""));
        faults.extend(idle("explore", !best && self.explore_percent.is_some(), "by = \"best\""));
        faults.extend(idle("share_of", !weighted && self.share_of.is_some(), "by = \"weighted\""));
        faults.extend(idle("catch_up", !weighted && self.catch_up_thousandths.is_some(), "by = \"weighted\""));
        faults.extend(self.tag_faults(place, candidates));
        faults
    }

    /// What is never asked for where every endpoint has a delivery of its own.
    pub(crate) fn faults_of_all(&self, place: &Place) -> Vec<Fault> {
        let written = [
            ("share_of", self.share_of.is_some()),
            ("catch_up", self.catch_up_thousandths.is_some()),
            ("criteria", !self.criteria.is_empty()),
            ("explore", self.explore_percent.is_some()),
            ("region_field", self.region_field.is_some()),
            ("regulation_field", self.regulation_field.is_some()),
            ("time_zone", self.time_zone.is_some()),
        ];
        let problem = "is never asked for: the step sends to all of its endpoints";
        let idle = written.into_iter().filter(|(_, written)| *written);
        idle.map(|(key, _)| Fault::unseen(place.key(key), problem, "another balance")).collect()
    }

    /// Criteria and tags that nothing answers.
    fn tag_faults(&self, place: &Place, candidates: &[CandidateSettings]) -> Vec<Fault> {
        let mut faults = Vec::new();
        let region = self.criteria.contains(&Criterion::Region);
        let tagged = |tags: fn(&CandidateSettings) -> &[Box<str>]| candidates.iter().any(|one| !tags(one).is_empty());
        let regions = tagged(|one| &one.regions);
        if (region || regions) && self.region_field.is_none() {
            let problem = "is missing: regions are compared with a field of the lead";
            faults.push(Fault::unseen(place.key("region_field"), problem, "the name of a field"));
        }
        if region && !regions {
            let problem = "names the region, and no endpoint has regions";
            faults.push(Fault::unseen(place.key("criteria"), problem, "regions on an endpoint, or another criterion"));
        }
        if tagged(|one| &one.regulations) && self.regulation_field.is_none() {
            let problem = "is missing: regulations are compared with a field of the lead";
            faults.push(Fault::unseen(place.key("regulation_field"), problem, "the name of a field"));
        }
        faults
    }
}

impl CandidateSettings {
    fn faults(&self, place: &Place, costs: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        let allowed = format!("{} to {}; leave the endpoint out to send nothing there", WEIGHT.start(), WEIGHT.end());
        let weight = self.weight.filter(|weight| !WEIGHT.contains(weight));
        faults.extend(
            weight.map(|weight| Fault::of(place.key("weight"), &weight.to_string(), "is out of range", &allowed)),
        );
        let cost = place.key("cost");
        let decimal = "a decimal number such as 0.05, up to 12 digits";
        match &self.cost {
            Some(given) if !is_price(given) => {
                faults.push(Fault::of(cost, &format!("{given:?}"), "is not a cost", decimal));
            }
            None if costs => faults.push(Fault::unseen(cost, "is missing: the leg chooses by cost", decimal)),
            Some(_) | None => {}
        }
        faults.extend(too_many(place.key("regions"), self.regions.len(), TAGS_MAX));
        faults.extend(too_many(place.key("regulations"), self.regulations.len(), TAGS_MAX));
        faults
    }

    fn cost_millionths(&self) -> Option<u64> {
        Amount::parse(self.cost.as_deref()?)?.millionths()
    }
}

impl StepScope<'_> {
    /// The plan of a leg: of its one endpoint, or of its candidates.
    pub(crate) fn plan_leg(&self) -> Result<StepPlan, Vec<Fault>> {
        let step = self.step;
        if step.candidates.is_empty() {
            let idle = step.balance.is_written().then(|| {
                let problem = "has nothing to choose between";
                Fault::unseen(
                    self.place.key("balance"),
                    problem,
                    "endpoints beside it: see [[flows.NAME.steps.endpoints]]",
                )
            });
            return match (self.plan(), idle) {
                (plan, None) => plan,
                (Ok(_), Some(idle)) => Err(vec![idle]),
                (Err(found), Some(idle)) => Err(found.into_iter().chain([idle]).collect()),
            };
        }
        let mut faults = self.balance_faults();
        let laid: Vec<StepSettings> = step.candidates.iter().map(|one| one.way.laid_over(step)).collect();
        // What the leg has wrong by itself is told there, not once more for each candidate.
        let told = self.own_faults();
        let mut plans = Vec::with_capacity(laid.len());
        for (index, laid) in laid.iter().enumerate() {
            let scope = self.candidate(index, laid);
            match scope.plan() {
                Ok(plan) => plans.push(plan),
                Err(found) => {
                    let new = found.into_iter().filter(|fault| !is_told(fault, &scope.place, &told, &self.place));
                    faults.extend(new);
                }
            }
        }
        faults.extend(told);
        faults.extend(self.same_candidates(&laid));
        let mut zone_faults = Vec::new();
        let zone = self.share_zone(&mut zone_faults);
        faults.extend(zone_faults);
        match zone {
            Some(zone) if faults.is_empty() && plans.len() == laid.len() => Ok(self.balanced(plans, zone)),
            _ => Err(faults),
        }
    }

    fn balance_faults(&self) -> Vec<Fault> {
        let (step, list) = (self.step, self.place.key("endpoints"));
        let mut faults: Vec<Fault> =
            too_many(list.clone(), step.candidates.len(), CANDIDATES_MAX).into_iter().collect();
        faults.extend(step.balance.faults(&self.place.key("balance"), &step.candidates));
        let costs = step.balance.criteria.contains(&Criterion::Cost);
        let mut seen = HashSet::new();
        for (index, one) in step.candidates.iter().enumerate() {
            let place = list.index(index);
            if !seen.insert(&one.name) {
                let given = format!("{:?}", one.name.as_str());
                let allowed = "a name of its own for each endpoint";
                faults.push(Fault::of(place.key("name"), &given, "stands twice in this leg", allowed));
            }
            faults.extend(one.faults(&place, costs));
        }
        faults
    }

    fn candidate<'s>(&'s self, index: usize, laid: &'s StepSettings) -> StepScope<'s> {
        let leg = match &self.leg {
            Some(LegScope { number, retry, retry_place, step_place }) => LegScope {
                number: *number,
                retry: *retry,
                retry_place: retry_place.clone(),
                step_place: step_place.clone(),
            },
            None => LegScope {
                number: 0,
                retry: None,
                retry_place: self.place.key("retry"),
                step_place: self.place.clone(),
            },
        };
        StepScope {
            settings: self.settings,
            flow_name: self.flow_name,
            flow: self.flow,
            step: laid,
            place: self.place.key("endpoints").index(index),
            leg: Some(leg),
        }
    }

    /// Two candidates that are one and the same address of one recipient.
    fn same_candidates(&self, laid: &[StepSettings]) -> Vec<Fault> {
        let mut seen = Vec::new();
        let mut faults = Vec::new();
        for (index, step) in laid.iter().enumerate() {
            let Some(recipient) = self.settings.recipients.get(&step.recipient) else { continue };
            let Some(url) = step.request.over(&recipient.request).url else { continue };
            let here = (&step.recipient, url);
            if seen.contains(&here) {
                let place = self.place.key("endpoints").index(index).key("request").key("url");
                let allowed = "another url or another recipient than the endpoints before it";
                faults.push(Fault::unseen(place, "is where an endpoint before it goes already", allowed));
            } else {
                seen.push(here);
            }
        }
        faults
    }

    /// The zone whose days shares are counted in: the leg's word, else the account's.
    fn share_zone(&self, faults: &mut Vec<Fault>) -> Option<Zone> {
        let written = self.step.balance.time_zone.as_deref();
        let own = zone(&self.place.key("balance").key("time_zone"), written, faults);
        let recipient = self.settings.recipients.get(&self.step.recipient);
        let account = self.flow.account.as_ref().or_else(|| recipient?.account.as_ref());
        let near = account.and_then(|name| self.settings.accounts.get(name)?.time_zone.as_deref());
        own.or_else(|| Zone::new(near?).ok()).or_else(|| Zone::new(ZONE_DEFAULT).ok())
    }

    /// The plan of the first candidate, which knows all of them.
    fn balanced(&self, plans: Vec<StepPlan>, zone: Zone) -> StepPlan {
        let (step, balance) = (self.step, &self.step.balance);
        let number = self.leg.as_ref().map_or(0, |leg| leg.number);
        let leg = if number == 0 { String::new() } else { format!(" leg {number}") };
        let planned = step.candidates.iter().zip(&plans).map(|(one, plan)| CandidatePlan {
            name: one.name.clone(),
            plan: Arc::new(plan.clone()),
            weight: one.weight.unwrap_or(1),
            cost_millionths: one.cost_millionths(),
            regions: one.regions.clone(),
            regulations: one.regulations.clone(),
            scope: format!("share {}.{}{leg} {}", self.flow_name, step.id, one.name).into(),
        });
        let candidates = planned.collect();
        let balance = BalancePlan {
            rules: balance.rules(),
            zone,
            region_field: balance.region_field.clone(),
            regulation_field: balance.regulation_field.clone(),
            candidates,
        };
        let mut plans = plans;
        StepPlan { balance: Some(Arc::new(balance)), ..plans.swap_remove(0) }
    }
}
