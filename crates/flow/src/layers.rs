//! The retry levels of one place in a configuration: laid over each other, and every fault brought back to the key that
//! set it.
//!
//! Each level must hold by itself: what stands at a level is checked against the levels farther out before anything nearer
//! may cover it, so that a wrong value never hides behind a right one.

use crate::place::{Fault, Place};
use std::collections::BTreeMap;
use steadfast_lead::{PolicyName, RecipientName};
use steadfast_retry::policy::{
    Fault as RetryFault, Key, Layer, Level, Limits, Policies, Resolved, UnknownPolicy, resolve, show_duration,
};

/// One level with where it stands.
#[derive(Clone)]
pub(crate) struct Laid<'a> {
    pub(crate) level: Level,
    pub(crate) layer: &'a Layer,
    /// The place of its `retry` table.
    pub(crate) place: Place,
}

/// The levels of one place, farthest first.
pub(crate) struct Chain<'a> {
    pub(crate) levels: Vec<Laid<'a>>,
    pub(crate) limits: Option<(RecipientName, &'a Limits)>,
    pub(crate) policies: &'a Policies,
}

impl Chain<'_> {
    /// The policy they make together.
    pub(crate) fn resolve(&self) -> Result<Resolved, Vec<Fault>> {
        let levels: Vec<(Level, &Layer)> = self.levels.iter().map(|laid| (laid.level.clone(), laid.layer)).collect();
        resolve(&levels, self.limits.clone(), self.policies)
            .map_err(|faults| faults.iter().flat_map(|fault| self.placed(fault)).collect())
    }

    /// What is wrong at the nearest level, whatever may come over it. Contradictions between two levels are left to the
    /// complete chain.
    pub(crate) fn standing_faults(&self) -> Vec<Fault> {
        let levels: Vec<(Level, &Layer)> = self.levels.iter().map(|laid| (laid.level.clone(), laid.layer)).collect();
        let faults = resolve(&levels, None, self.policies).err().unwrap_or_default();
        let own = |key| self.levels.last().is_some_and(|laid| self.sets(laid.layer, key));
        let both = own(Key::MaxInterval) && own(Key::InitialDelay);
        let kept = faults.iter().filter(|fault| both || !matches!(fault, RetryFault::Contradiction { .. }));
        kept.flat_map(|fault| self.placed(fault)).collect()
    }

    /// Whether a level sets a key, itself or through its policy.
    fn sets(&self, layer: &Layer, key: Key) -> bool {
        let through = |name| self.policies.layers(name).is_ok_and(|chain| chain.iter().any(|(_, own)| says(own, key)));
        says(layer, key) || layer.policy.as_ref().is_some_and(through)
    }

    /// The key that set a value: at the level, in the operator's policy it names, or the level's `policy` key where that is
    /// a built-in one. `None` for a default.
    pub(crate) fn place_of(&self, key: Key) -> Option<Place> {
        let nearest = self.levels.iter().rev().find(|laid| self.sets(laid.layer, key))?;
        if says(nearest.layer, key) {
            return Some(nearest.place.key(key.name()));
        }
        let policy = self.policy_setting(nearest.layer.policy.as_ref()?, key);
        let table = |name: PolicyName| Place::of("policies").key(name.as_str()).key(key.name());
        Some(policy.map_or_else(|| nearest.place.key("policy"), table))
    }

    /// Which of an operator's policies in the chain of a name sets a key.
    fn policy_setting(&self, name: &PolicyName, key: Key) -> Option<PolicyName> {
        let chain = self.policies.layers(name).ok()?;
        let (name, _) = chain.into_iter().rev().find(|(_, layer)| says(layer, key))?;
        self.policies.custom().any(|(known, _)| *known == name).then_some(name)
    }

    fn placed(&self, fault: &RetryFault) -> Option<Fault> {
        match fault {
            RetryFault::OutOfRange(out, _) => {
                let place = self.place_of(out.key).unwrap_or_default();
                if !place.as_str().ends_with(out.key.name()) {
                    let problem = format!("brings {} = {}, which is out of range", out.key, out.value);
                    return Some(Fault::unseen(place, &problem, &out.allowed));
                }
                Some(Fault::of(place, &out.value, "is out of range", &out.allowed))
            }
            RetryFault::UnknownPolicy(unknown, level) => self.unknown_policy(unknown, level),
            RetryFault::Contradiction { max_interval, initial_delay, .. } => {
                let place = self.place_of(Key::MaxInterval).or_else(|| self.place_of(Key::InitialDelay));
                let (most, first) = (show_duration(*max_interval), show_duration(*initial_delay));
                let problem = format!("max_interval = {most} is shorter than initial_delay = {first}");
                Some(Fault::unseen(place.unwrap_or_default(), &problem, "max_interval of initial_delay or longer"))
            }
        }
    }

    /// Faults within the policies themselves are told at the policies.
    fn unknown_policy(&self, unknown: &UnknownPolicy, level: &Level) -> Option<Fault> {
        let laid = self.levels.iter().find(|laid| laid.level == *level)?;
        match unknown {
            UnknownPolicy::NotFound { name, known } => {
                let here = laid.layer.policy.as_ref().is_some_and(|policy| policy.as_str() == name);
                here.then(|| Fault::of(laid.place.key("policy"), &format!("{name:?}"), "is not a policy", known))
            }
            UnknownPolicy::Ring { .. } => None,
        }
    }
}

/// Policies that extend one another in a row, at most.
pub const EXTENDS_MAX: usize = 16;

/// Policies whose row of ancestors is too long to be followed. While there is one, no level may be resolved.
pub(crate) fn endless_policies(policies: &Policies) -> Vec<Fault> {
    let parents: BTreeMap<&PolicyName, Option<&PolicyName>> =
        policies.custom().map(|(name, custom)| (name, custom.extends.as_ref())).collect();
    let endless = parents.keys().filter(|name| is_endless(name, &parents));
    let fault = |name: &&PolicyName| {
        let place = Place::of("policies").key(name.as_str()).key("extends");
        let problem = format!("has more than {EXTENDS_MAX} policies above it");
        Fault::unseen(place, &problem, &format!("at most {EXTENDS_MAX} in a row"))
    };
    endless.map(fault).collect()
}

/// A short ring is not endless: it is told as a ring.
fn is_endless(name: &PolicyName, parents: &BTreeMap<&PolicyName, Option<&PolicyName>>) -> bool {
    let mut path = vec![name];
    while let Some(Some(parent)) = path.last().and_then(|last| parents.get(last)) {
        if path.contains(parent) {
            return false;
        }
        if path.len() > EXTENDS_MAX {
            return true;
        }
        path.push(parent);
    }
    false
}

/// What is wrong within an operator's policies: names taken, unknown ancestors, rings, values out of range.
pub(crate) fn policy_faults(policies: &Policies) -> Vec<Fault> {
    policies.custom().flat_map(|(name, custom)| policy_fault(policies, name, custom.extends.as_ref())).collect()
}

fn policy_fault(policies: &Policies, name: &PolicyName, extends: Option<&PolicyName>) -> Vec<Fault> {
    let place = Place::of("policies").key(name.as_str());
    if steadfast_retry::policy::BUILT_IN_NAMES.contains(&name.as_str()) {
        return vec![Fault::unseen(place, "is a built-in policy and cannot be redefined", "another name")];
    }
    match policies.layers(name) {
        Err(UnknownPolicy::NotFound { name: missing, known }) => {
            let here = extends.is_some_and(|parent| parent.as_str() == missing);
            let fault = || Fault::of(place.key("extends"), &format!("{missing:?}"), "is not a policy", &known);
            here.then(fault).into_iter().collect()
        }
        Err(UnknownPolicy::Ring { path, .. }) => {
            vec![Fault::unseen(
                place.key("extends"),
                &format!("leads back to itself: {path}"),
                "policies without a ring",
            )]
        }
        Ok(_) => {
            let layer = Layer { policy: Some(name.clone()), ..Layer::default() };
            let levels = vec![Laid { level: Level::System, layer: &layer, place }];
            Chain { levels, limits: None, policies }.standing_faults()
        }
    }
}

/// Whether a layer itself says something about a key.
fn says(layer: &Layer, key: Key) -> bool {
    match key {
        Key::Enabled => layer.enabled.is_some(),
        Key::Policy => layer.policy.is_some(),
        Key::Backoff => layer.backoff.is_some(),
        Key::MaxRetries => layer.max_retries.is_some(),
        Key::InitialDelay => layer.initial_delay.is_some(),
        Key::Multiplier => layer.multiplier_thousandths.is_some(),
        Key::MaxInterval => layer.max_interval.is_some(),
        Key::TotalTimeout => layer.total_timeout.is_some(),
        Key::Jitter => layer.jitter.is_some(),
        Key::RetryOn => layer.retry_on.is_some(),
        Key::NeverRetryOn => layer.never_retry_on.is_some(),
        Key::MaxLeadAge => layer.max_lead_age.is_some(),
        Key::CountHolds => layer.count_holds.is_some(),
        Key::Extended => layer.extended.is_some(),
    }
}
