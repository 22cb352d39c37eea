//! Retry keys laid over a finished policy for one attempt: what an adjustment says when its condition holds. The recipient's
//! limits cap the result again.

use super::resolve::Laid;
use super::{Fault, Layer, Level, Limits, Policies, Resolved, RetryPolicy, UnknownPolicy};
use steadfast_lead::{PolicyName, RecipientName};

/// One adjustment's retry keys, with the layers of the policy it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    level: Level,
    policy: Option<PolicyName>,
    named: Vec<Layer>,
    own: Layer,
}

impl Overlay {
    /// Of what an adjustment says.
    ///
    /// # Errors
    /// [`UnknownPolicy`] where it names none that is known.
    pub fn new(level: Level, layer: &Layer, policies: &Policies) -> Result<Self, UnknownPolicy> {
        let named = layer.policy.as_ref().map(|name| policies.layers(name)).transpose()?.unwrap_or_default();
        let named = named.into_iter().map(|(_, layer)| layer).collect();
        Ok(Overlay { level, policy: layer.policy.clone(), named, own: layer.clone() })
    }

    /// Whether it says nothing about retrying.
    pub fn is_empty(&self) -> bool {
        self.own == Layer::default()
    }
}

impl Resolved {
    /// With adjustments laid over it, in their order: the later wins, key by key.
    ///
    /// # Errors
    /// Every [`Fault`] of what they make together.
    pub fn overlaid<'a>(
        &self,
        overlays: impl IntoIterator<Item = &'a Overlay>,
        limits: Option<&(RecipientName, Limits)>,
    ) -> Result<Resolved, Vec<Fault>> {
        let values = Layer { policy: self.policy_name.clone(), ..Layer::from(&self.policy) };
        let mut laid = Laid { values, origins: self.origins.clone() };
        for overlay in overlays {
            overlay.named.iter().for_each(|layer| laid.lay(layer, &overlay.level, overlay.policy.as_ref()));
            if let Some(name) = &overlay.policy {
                laid.name(name, &overlay.level);
            }
            laid.lay(&overlay.own, &overlay.level, None);
        }
        if let Some((recipient, limits)) = limits {
            laid.cap(recipient, limits);
        }
        laid.finish(Vec::new())
    }
}

impl From<&RetryPolicy> for Layer {
    /// Every key of a policy, as one level would say it.
    fn from(policy: &RetryPolicy) -> Self {
        Layer {
            policy: None,
            enabled: Some(policy.enabled),
            backoff: Some(policy.backoff),
            max_retries: Some(policy.max_retries.get()),
            initial_delay: Some(policy.initial_delay.get()),
            multiplier_thousandths: Some(policy.multiplier.thousandths()),
            max_interval: Some(policy.max_interval.get()),
            total_timeout: Some(policy.total_timeout.get()),
            jitter: Some(policy.jitter),
            retry_on: Some(policy.retry_on.clone()),
            never_retry_on: Some(policy.never_retry_on.clone()),
            max_lead_age: Some(policy.max_lead_age.get()),
            count_holds: Some(policy.count_holds),
            extended: Some(policy.extended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Key, resolve};
    use super::*;
    use std::time::Duration;

    fn overlay(place: &str, layer: Layer) -> Overlay {
        Overlay::new(Level::Adjust(place.into()), &layer, &Policies::default()).unwrap()
    }

    fn base() -> Resolved {
        let system = Layer { max_retries: Some(4), initial_delay: Some(Duration::from_secs(7)), ..Layer::default() };
        resolve(&[(Level::System, &system)], None, &Policies::default()).unwrap()
    }

    #[test]
    fn nothing_laid_over_a_policy_leaves_it_as_it_is() {
        assert_eq!(base().overlaid([], None), Ok(base()));
    }

    #[test]
    fn the_later_wins_key_by_key_and_each_value_says_who_set_it() {
        let outage = Layer { policy: Some(PolicyName::new("outage").unwrap()), ..Layer::default() };
        let first = overlay("adjust[0]", outage);
        let second = overlay("flows.auto.adjust[0]", Layer { max_retries: Some(20), ..Layer::default() });
        let made = base().overlaid([&first, &second], None).unwrap();
        assert_eq!((made.policy.max_retries.get(), made.policy.extended), (20, true));
        assert_eq!(made.origins[&Key::MaxRetries].to_string(), "flows.auto.adjust[0]");
        assert_eq!(made.origins[&Key::InitialDelay].to_string(), "adjust[0] (policy outage)");
        assert_eq!(made.origins[&Key::RetryOn].to_string(), "built-in default");
        let alone = base().overlaid([&second], None).unwrap_err();
        assert!(alone[0].to_string().ends_with("(set by flows.auto.adjust[0])"), "20 retries need extended: {alone:?}");
    }

    #[test]
    fn limits_cap_what_an_adjustment_asks_for() {
        let limits = (RecipientName::new("bigbank").unwrap(), Limits { max_retries: Some(5), max_lead_age: None });
        let more = overlay("adjust[0]", Layer { max_retries: Some(9), ..Layer::default() });
        let made = base().overlaid([&more], Some(&limits)).unwrap();
        assert_eq!(made.policy.max_retries.get(), 5);
        assert_eq!(made.origins[&Key::MaxRetries].to_string(), "limits of recipient bigbank");
        let none = (limits.0, Limits { max_retries: Some(0), max_lead_age: None });
        let on = overlay("adjust[0]", Layer { enabled: Some(true), max_retries: Some(9), ..Layer::default() });
        assert_eq!(base().overlaid([&on], Some(&none)).unwrap().policy.retries_allowed(), 0);
    }
}
