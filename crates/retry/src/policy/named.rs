//! The named policies of the specification, and those an operator adds.

use super::{Backoff, Layer};
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_lead::PolicyName;

/// The built-in names; none of them can be redefined.
pub const BUILT_IN_NAMES: [&str; 4] = ["conservative", "standard", "aggressive", "outage"];

/// A policy an operator named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomPolicy {
    /// The policy it starts from.
    pub extends: Option<PolicyName>,
    /// Its own keys. `policy` is not used here.
    pub layer: Layer,
}

/// Why a policy name leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownPolicy {
    /// No policy of that name.
    #[error("there is no policy named {name:?}: known are {known}")]
    NotFound {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Policies that extend each other in a ring.
    #[error("policy {name:?} extends itself: {path}")]
    Ring {
        /// Where the ring was entered.
        name: String,
        /// The way round.
        path: String,
    },
}

/// All named policies: the built-in ones and an operator's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies(BTreeMap<PolicyName, CustomPolicy>);

impl Policies {
    /// With an operator's policies.
    pub fn new(custom: BTreeMap<PolicyName, CustomPolicy>) -> Self {
        Policies(custom)
    }

    /// The operator's policies.
    pub fn custom(&self) -> impl Iterator<Item = (&PolicyName, &CustomPolicy)> {
        self.0.iter()
    }

    /// The layers a name lays down, farthest ancestor first, each with the name it came from.
    ///
    /// # Errors
    /// [`UnknownPolicy`] when a name is not known or a ring of `extends` never ends.
    pub fn layers(&self, name: &PolicyName) -> Result<Vec<(PolicyName, Layer)>, UnknownPolicy> {
        let mut path: Vec<(PolicyName, Layer)> = Vec::new();
        let mut next = Some(name.clone());
        while let Some(name) = next {
            if path.iter().any(|(known, _)| *known == name) {
                return Err(ring(&name, &path));
            }
            let (layer, extends) = self.one(&name)?;
            path.push((name, layer));
            next = extends;
        }
        path.reverse();
        Ok(path)
    }

    fn one(&self, name: &PolicyName) -> Result<(Layer, Option<PolicyName>), UnknownPolicy> {
        if let Some(layer) = built_in(name.as_str()) {
            return Ok((layer, None));
        }
        let custom = self.0.get(name).ok_or_else(|| self.not_found(name))?;
        Ok((custom.layer.clone(), custom.extends.clone()))
    }

    fn not_found(&self, name: &PolicyName) -> UnknownPolicy {
        let custom = self.0.keys().map(PolicyName::as_str);
        let known: Vec<&str> = BUILT_IN_NAMES.into_iter().chain(custom).collect();
        UnknownPolicy::NotFound { name: name.to_string(), known: known.join(", ") }
    }
}

fn ring(name: &PolicyName, path: &[(PolicyName, Layer)]) -> UnknownPolicy {
    let names: Vec<&str> = path.iter().map(|(name, _)| name.as_str()).chain([name.as_str()]).collect();
    UnknownPolicy::Ring { name: name.to_string(), path: names.join(" -> ") }
}

fn built_in(name: &str) -> Option<Layer> {
    let secs = |secs| Some(Duration::from_secs(secs));
    let schedule = |retries, initial, max_interval, total| Layer {
        backoff: Some(Backoff::Exponential),
        max_retries: Some(retries),
        initial_delay: secs(initial),
        multiplier_thousandths: Some(2_000),
        max_interval: secs(max_interval),
        total_timeout: secs(total),
        extended: Some(false),
        ..Layer::default()
    };
    match name {
        "conservative" => Some(Layer { backoff: Some(Backoff::Fixed), ..schedule(2, 5, 60, 300) }),
        "standard" => Some(schedule(3, 2, 60, 300)),
        "aggressive" => Some(schedule(5, 1, 60, 300)),
        "outage" => Some(Layer { extended: Some(true), ..schedule(100, 10, 900, 86_400) }),
        _ => None,
    }
}
