//! Levels laid over each other: each lays down its policy, then its own keys; the nearest wins, key by key; a recipient's
//! limits cap the result. Remembers where every value came from.

use super::{
    Backoff, Conditions, InitialDelay, Jitter, JitterShare, Key, Layer, Limits, MaxInterval, MaxLeadAge, MaxRetries,
    Multiplier, OutOfRange, Policies, Reach, RetryPolicy, TotalTimeout, UnknownPolicy,
};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use steadfast_lead::{AccountName, FlowName, PolicyName, RecipientName, StepName};

/// Who said it. The order is the order of laying down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nobody: the built-in default.
    Default,
    /// `[retry]`.
    System,
    /// `[accounts.X.retry]`.
    Account(AccountName),
    /// `[flows.X.retry]`.
    Flow(FlowName),
    /// `[recipients.X.retry]`.
    Recipient(RecipientName),
    /// `[[flows.X.steps]] retry`.
    Step(StepName),
    /// An entry of an `adjust` list, by its place in the configuration.
    Adjust(Box<str>),
    /// `[[flows.X.steps.fallbacks]] retry`, by the number of its leg.
    Fallback(u8),
    /// `[recipients.X.limits]`.
    Limit(RecipientName),
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Default => f.write_str("built-in default"),
            Level::System => f.write_str("system"),
            Level::Account(name) => write!(f, "account {name}"),
            Level::Flow(name) => write!(f, "flow {name}"),
            Level::Recipient(name) => write!(f, "recipient {name}"),
            Level::Step(name) => write!(f, "step {name}"),
            Level::Adjust(place) => f.write_str(place),
            Level::Fallback(leg) => write!(f, "fallback {leg}"),
            Level::Limit(name) => write!(f, "limits of recipient {name}"),
        }
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Which level.
    pub level: Level,
    /// Through which named policy, where it was not the level's own key.
    pub policy: Option<PolicyName>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            Some(policy) => write!(f, "{} (policy {policy})", self.level),
            None => write!(f, "{}", self.level),
        }
    }
}

/// A policy with the origin of each of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The policy.
    pub policy: RetryPolicy,
    /// Where each value came from; `policy` itself is there when a named policy was laid down.
    pub origins: BTreeMap<Key, Origin>,
    /// The named policy laid down last.
    pub policy_name: Option<PolicyName>,
}

/// Why levels do not make a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A value outside its bounds, and who said it.
    OutOfRange(OutOfRange, Origin),
    /// A name that leads nowhere, and the level that used it.
    UnknownPolicy(UnknownPolicy, Level),
    /// The longest interval is shorter than the initial delay.
    Contradiction {
        /// The shorter.
        max_interval: Duration,
        /// The longer.
        initial_delay: Duration,
        /// Who set the interval.
        origin: Origin,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::OutOfRange(out, origin) => write!(f, "{out} (set by {origin})"),
            Fault::UnknownPolicy(unknown, level) => write!(f, "{unknown} (used by {level})"),
            Fault::Contradiction { max_interval, initial_delay, origin } => {
                let (longest, first) = (super::bounded::show(*max_interval), super::bounded::show(*initial_delay));
                write!(f, "max_interval = {longest} is shorter than initial_delay = {first} (set by {origin})")
            }
        }
    }
}

/// Lays the levels down in order, farthest first, and caps the result by the recipient's limits.
///
/// # Errors
/// Every [`Fault`] found, not only the first.
pub fn resolve(
    levels: &[(Level, &Layer)],
    limits: Option<(RecipientName, &Limits)>,
    policies: &Policies,
) -> Result<Resolved, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut laid = Laid::default();
    for (level, layer) in levels {
        if let Some(name) = &layer.policy {
            match policies.layers(name) {
                Ok(layers) => layers.iter().for_each(|(_, named)| laid.lay(named, level, Some(name))),
                Err(unknown) => faults.push(Fault::UnknownPolicy(unknown, level.clone())),
            }
            laid.name(name, level);
        }
        laid.lay(layer, level, None);
    }
    if let Some((recipient, limits)) = limits {
        laid.cap(&recipient, limits);
    }
    laid.finish(faults)
}

#[derive(Default)]
pub(super) struct Laid {
    pub(super) values: Layer,
    pub(super) origins: BTreeMap<Key, Origin>,
}

fn over<T: Clone>(
    origins: &mut BTreeMap<Key, Origin>,
    slot: &mut Option<T>,
    said: Option<&T>,
    key: Key,
    origin: &Origin,
) {
    if let Some(said) = said {
        *slot = Some(said.clone());
        origins.insert(key, origin.clone());
    }
}

impl Laid {
    pub(super) fn name(&mut self, name: &PolicyName, level: &Level) {
        self.values.policy = Some(name.clone());
        self.origins.insert(Key::Policy, Origin { level: level.clone(), policy: None });
    }

    pub(super) fn lay(&mut self, layer: &Layer, level: &Level, policy: Option<&PolicyName>) {
        let origin = &Origin { level: level.clone(), policy: policy.cloned() };
        let (own, origins) = (&mut self.values, &mut self.origins);
        over(origins, &mut own.enabled, layer.enabled.as_ref(), Key::Enabled, origin);
        over(origins, &mut own.backoff, layer.backoff.as_ref(), Key::Backoff, origin);
        over(origins, &mut own.max_retries, layer.max_retries.as_ref(), Key::MaxRetries, origin);
        over(origins, &mut own.initial_delay, layer.initial_delay.as_ref(), Key::InitialDelay, origin);
        let thousandths = layer.multiplier_thousandths.as_ref();
        over(origins, &mut own.multiplier_thousandths, thousandths, Key::Multiplier, origin);
        over(origins, &mut own.max_interval, layer.max_interval.as_ref(), Key::MaxInterval, origin);
        over(origins, &mut own.total_timeout, layer.total_timeout.as_ref(), Key::TotalTimeout, origin);
        over(origins, &mut own.jitter, layer.jitter.as_ref(), Key::Jitter, origin);
        over(origins, &mut own.retry_on, layer.retry_on.as_ref(), Key::RetryOn, origin);
        over(origins, &mut own.never_retry_on, layer.never_retry_on.as_ref(), Key::NeverRetryOn, origin);
        over(origins, &mut own.max_lead_age, layer.max_lead_age.as_ref(), Key::MaxLeadAge, origin);
        over(origins, &mut own.count_holds, layer.count_holds.as_ref(), Key::CountHolds, origin);
        over(origins, &mut own.extended, layer.extended.as_ref(), Key::Extended, origin);
    }

    pub(super) fn cap(&mut self, recipient: &RecipientName, limits: &Limits) {
        let origin = Origin { level: Level::Limit(recipient.clone()), policy: None };
        let retries = self.values.max_retries.unwrap_or(3);
        if let Some(most) = limits.max_retries.filter(|most| *most < retries) {
            // A limit of none means no retries, which is written as retrying turned off.
            let (key, off) = if most == 0 { (Key::Enabled, true) } else { (Key::MaxRetries, false) };
            self.values.max_retries = Some(most.max(1));
            self.values.enabled = if off { Some(false) } else { self.values.enabled };
            self.origins.insert(key, origin.clone());
        }
        let age = self.values.max_lead_age.unwrap_or(DEFAULT_LEAD_AGE);
        if let Some(oldest) = limits.max_lead_age.filter(|oldest| *oldest < age) {
            self.values.max_lead_age = Some(oldest);
            self.origins.insert(Key::MaxLeadAge, origin);
        }
    }

    pub(super) fn finish(mut self, mut faults: Vec<Fault>) -> Result<Resolved, Vec<Fault>> {
        for key in Key::ALL {
            let default = || Origin { level: Level::Default, policy: None };
            if *key != Key::Policy {
                self.origins.entry(*key).or_insert_with(default);
            }
        }
        let mut check = Check { origins: &self.origins, faults: &mut faults };
        let policy = self.values.build(&mut check);
        match policy {
            Some(policy) if faults.is_empty() => {
                Ok(Resolved { policy, origins: self.origins, policy_name: self.values.policy })
            }
            _ => Err(faults),
        }
    }
}

/// How old a lead may be unless a config says otherwise.
const DEFAULT_LEAD_AGE: Duration = Duration::from_secs(86_400);

struct Check<'a> {
    origins: &'a BTreeMap<Key, Origin>,
    faults: &'a mut Vec<Fault>,
}

impl Check<'_> {
    fn origin(&self, key: Key) -> Origin {
        self.origins.get(&key).cloned().unwrap_or(Origin { level: Level::Default, policy: None })
    }

    fn kept<T>(&mut self, value: Result<T, OutOfRange>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(out) => {
                let origin = self.origin(out.key);
                self.faults.push(Fault::OutOfRange(out, origin));
                None
            }
        }
    }
}

impl Layer {
    /// The complete policy, with the specification's defaults where nothing was said. Every fault goes to `check`.
    fn build(&self, check: &mut Check<'_>) -> Option<RetryPolicy> {
        let secs = Duration::from_secs;
        let extended = self.extended.unwrap_or(false);
        let reach = Reach::of(extended);
        let max_retries = check.kept(MaxRetries::new(self.max_retries.unwrap_or(3), reach));
        let initial_delay = check.kept(InitialDelay::new(self.initial_delay.unwrap_or(secs(2)), reach));
        let multiplier = check.kept(Multiplier::new(self.multiplier_thousandths.unwrap_or(2_000), reach));
        let max_interval = check.kept(MaxInterval::new(self.max_interval.unwrap_or(secs(60)), reach));
        let total_timeout = check.kept(TotalTimeout::new(self.total_timeout.unwrap_or(secs(300)), reach));
        let max_lead_age = check.kept(MaxLeadAge::new(self.max_lead_age.unwrap_or(DEFAULT_LEAD_AGE), reach));
        let (initial_delay, max_interval) = (initial_delay?, max_interval?);
        if max_interval.get() < initial_delay.get() {
            check.faults.push(Fault::Contradiction {
                max_interval: max_interval.get(),
                initial_delay: initial_delay.get(),
                origin: check.origin(Key::MaxInterval),
            });
        }
        Some(RetryPolicy {
            enabled: self.enabled.unwrap_or(true),
            backoff: self.backoff.unwrap_or(Backoff::Exponential),
            max_retries: max_retries?,
            initial_delay,
            multiplier: multiplier?,
            max_interval,
            total_timeout: total_timeout?,
            jitter: self.jitter.unwrap_or(Jitter::Later(JitterShare::DEFAULT)),
            retry_on: self.retry_on.clone().unwrap_or_else(Conditions::retryable_by_default),
            never_retry_on: self.never_retry_on.clone().unwrap_or_default(),
            max_lead_age: max_lead_age?,
            count_holds: self.count_holds.unwrap_or(false),
            extended,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::CustomPolicy;
    use super::*;

    fn secs(secs: u64) -> Option<Duration> {
        Some(Duration::from_secs(secs))
    }

    fn name(text: &str) -> PolicyName {
        PolicyName::new(text).unwrap()
    }

    #[test]
    fn with_nothing_said_the_specification_speaks() {
        let resolved = resolve(&[], None, &Policies::default()).unwrap();
        let standard = Layer { policy: Some(name("standard")), ..Layer::default() };
        let named = resolve(&[(Level::System, &standard)], None, &Policies::default()).unwrap();
        assert_eq!(resolved.policy, named.policy);
        assert_eq!(resolved.origins[&Key::MaxRetries].to_string(), "built-in default");
        assert_eq!(named.origins[&Key::MaxRetries].to_string(), "system (policy standard)");
    }

    #[test]
    fn the_nearest_level_wins_key_by_key() {
        let system = Layer { policy: Some(name("aggressive")), ..Layer::default() };
        let account = Layer { max_retries: Some(4), ..Layer::default() };
        let step = Layer { initial_delay: secs(7), ..Layer::default() };
        let levels = [
            (Level::System, &system),
            (Level::Account(AccountName::new("acme").unwrap()), &account),
            (Level::Step(StepName::new("sell").unwrap()), &step),
        ];
        let resolved = resolve(&levels, None, &Policies::default()).unwrap();
        assert_eq!(resolved.policy.max_retries.get(), 4);
        assert_eq!(resolved.origins[&Key::MaxRetries].to_string(), "account acme");
        assert_eq!(resolved.origins[&Key::InitialDelay].to_string(), "step sell");
        assert_eq!(resolved.origins[&Key::Backoff].to_string(), "system (policy aggressive)");
    }

    #[test]
    fn a_nearer_policy_lays_over_a_farther_levels_own_keys() {
        let flow = Layer { max_retries: Some(9), ..Layer::default() };
        let step = Layer { policy: Some(name("conservative")), ..Layer::default() };
        let levels =
            [(Level::Flow(FlowName::new("auto").unwrap()), &flow), (Level::Step(StepName::new("s").unwrap()), &step)];
        let resolved = resolve(&levels, None, &Policies::default()).unwrap();
        assert_eq!(resolved.policy.max_retries.get(), 2);
        assert_eq!(resolved.policy.backoff, Backoff::Fixed);
    }

    #[test]
    fn custom_policies_extend_others_and_rings_are_refused() {
        let patient = CustomPolicy {
            extends: Some(name("aggressive")),
            layer: Layer { max_interval: secs(300), ..Layer::default() },
        };
        let ring = CustomPolicy { extends: Some(name("ring")), layer: Layer::default() };
        let policies = Policies::new([(name("patient"), patient), (name("ring"), ring)].into());
        let use_of = |policy| Layer { policy: Some(name(policy)), ..Layer::default() };
        let resolved = resolve(&[(Level::System, &use_of("patient"))], None, &policies).unwrap();
        assert_eq!((resolved.policy.max_retries.get(), resolved.policy.max_interval.get().as_secs()), (5, 300));
        let said = |policy| resolve(&[(Level::System, &use_of(policy))], None, &policies).unwrap_err()[0].to_string();
        assert!(said("ring").contains("extends itself: ring -> ring"));
        assert!(said("patent").contains("known are conservative, standard, aggressive, outage, patient, ring"));
    }

    #[test]
    fn every_fault_is_found_at_once_with_its_origin() {
        let system = Layer { max_retries: Some(11), total_timeout: secs(7_200), ..Layer::default() };
        let faults = resolve(&[(Level::System, &system)], None, &Policies::default()).unwrap_err();
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said.iter().all(|line| line.ends_with("(set by system)")), "{said:?}");
        let extended = Layer { extended: Some(true), ..system };
        assert!(resolve(&[(Level::System, &extended)], None, &Policies::default()).is_ok());
        let contradiction = Layer { initial_delay: secs(30), max_interval: secs(10), ..Layer::default() };
        let faults = resolve(&[(Level::System, &contradiction)], None, &Policies::default()).unwrap_err();
        assert!(faults[0].to_string().contains("max_interval = 10s is shorter than initial_delay = 30s"));
    }

    #[test]
    fn a_recipients_limits_cap_whatever_results() {
        let recipient = RecipientName::new("bigbank").unwrap();
        let limits = Limits { max_retries: Some(1), max_lead_age: secs(60) };
        let resolved = resolve(&[], Some((recipient.clone(), &limits)), &Policies::default()).unwrap();
        assert_eq!((resolved.policy.max_retries.get(), resolved.policy.max_lead_age.get().as_secs()), (1, 60));
        assert_eq!(resolved.origins[&Key::MaxRetries].to_string(), "limits of recipient bigbank");
        let none = Limits { max_retries: Some(0), max_lead_age: None };
        let resolved = resolve(&[], Some((recipient, &none)), &Policies::default()).unwrap();
        assert_eq!(resolved.policy.retries_allowed(), 0);
    }
}
