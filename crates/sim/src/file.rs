//! The scenario file: what may be written, and how it becomes a scenario. Finds every problem at once, each with its place
//! and what is allowed. Parses no TOML itself.

use crate::calendar_file::CalendarFile;
use crate::guard_table::{CapacityFile, GuardFile};
use crate::legs::FALLBACKS_MAX;
use crate::quantity::parse_rate;
use crate::retry_table::{Faults, RetryFile};
use crate::route_file::{FallbackFile, StepFile};
use crate::scenario::{COMPARED_MAX, Candidate, LEADS_MAX, Scenario, ScenarioFault, Traffic};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_lead::{AccountName, FlowName, PolicyName, RecipientName, StepName, Timestamp};
use steadfast_retry::policy::{CustomPolicy, Layer, Level, Limits, Policies, RetryPolicy, resolve};
use steadfast_retry::{InDoubt, Seed};

/// When a run starts unless said otherwise: 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// How long an answer takes unless said otherwise.
pub(crate) const LATENCY: Duration = Duration::from_millis(50);
/// Most custom policies.
const POLICIES_MAX: usize = 100;

/// A scenario as it is written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// Its short name.
    pub name: String,
    /// The line of the specification it stands for, or what it shows.
    #[serde(default)]
    pub title: String,
    /// What all chance comes from.
    #[serde(default)]
    pub seed: u64,
    /// When it starts, in RFC 3339; otherwise 2026-01-01T00:00:00Z.
    pub start: Option<String>,
    /// What the report's text must be, for tests.
    pub expect: Option<String>,
    /// The retry keys of the system level.
    #[serde(default)]
    pub retry: RetryFile,
    /// Retry keys of nearer levels.
    #[serde(default)]
    pub levels: LevelsFile,
    /// Named policies.
    #[serde(default)]
    pub policies: BTreeMap<String, RetryFile>,
    /// Other policies to run on the same traffic.
    #[serde(default)]
    pub compare: Vec<CompareFile>,
    /// When leads arrive.
    pub traffic: TrafficFile,
    /// What the recipient answers.
    #[serde(default)]
    pub recipient: RecipientFile,
    /// Or several recipients, each with a name.
    #[serde(default)]
    pub recipients: Vec<RecipientFile>,
    /// What the step says beside its recipient.
    #[serde(default)]
    pub step: StepFile,
    /// Its further legs.
    #[serde(default)]
    pub fallbacks: Vec<FallbackFile>,
    /// How recipients are protected; without it, and without `recipients` and capacities, everything that is due is sent.
    pub guard: Option<GuardFile>,
    /// The rest.
    #[serde(default)]
    pub settings: SettingsFile,
}

/// Retry keys of the levels nearer than the system's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelsFile {
    /// The account's.
    pub account: Option<RetryFile>,
    /// The flow's.
    pub flow: Option<RetryFile>,
    /// The recipient's.
    pub recipient: Option<RetryFile>,
    /// The step's.
    pub step: Option<RetryFile>,
    /// What the recipient allows at most.
    pub limits: Option<LimitsFile>,
}

/// What the recipient allows at most.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsFile {
    /// Most retries.
    pub max_retries: Option<u32>,
    /// Oldest lead.
    pub max_lead_age: Option<String>,
}

/// Another policy to run on the same traffic. Stands alone: takes nothing from the scenario's own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareFile {
    /// What the report calls it.
    pub name: String,
    /// Its retry keys.
    #[serde(default)]
    pub retry: RetryFile,
    /// How it protects every recipient; otherwise as the scenario says.
    pub guard: Option<GuardFile>,
}

/// When leads arrive: `leads` at once, or evenly at a `rate` `for` a time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficFile {
    /// So many at the start.
    pub leads: Option<u32>,
    /// So many in each second, minute or hour: `10/s`.
    pub rate: Option<String>,
    /// For how long: `5m`.
    #[serde(rename = "for")]
    pub lasting: Option<String>,
}

/// What the recipient answers: `answers` by attempt, or `answer` or `mix` with `phases` over it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientFile {
    /// Its name, among several.
    pub name: Option<String>,
    /// When its own leads arrive, among several; otherwise as the scenario's.
    pub traffic: Option<TrafficFile>,
    /// How urgent its deliveries are: `critical`, `high`, `normal` (the default) or `low`.
    pub priority: Option<String>,
    /// What it can take, and what it does beyond.
    pub capacity: Option<CapacityFile>,
    /// How it is protected; otherwise as the scenario says.
    pub guard: Option<GuardFile>,
    /// When it may be called; otherwise always.
    pub calendar: Option<CalendarFile>,
    /// What becomes of what comes due while it is closed: `hold` (the default), `next`, `skip` or `reject`.
    pub closed: Option<String>,
    /// The n-th for the n-th attempt of each delivery; the last repeats.
    pub answers: Option<Vec<String>>,
    /// The same always, except in a phase.
    pub answer: Option<String>,
    /// Answers with their shares, except in a phase.
    pub mix: Option<BTreeMap<String, f64>>,
    /// How long an answer takes unless it says otherwise.
    pub latency: Option<String>,
    /// Times with answers of their own.
    #[serde(default)]
    pub phases: Vec<PhaseFile>,
    /// What look-ups are answered, with `in_doubt = "verify"`: the n-th for the n-th since the doubt arose; the last repeats.
    pub look_ups: Option<Vec<String>>,
}

/// A time with answers of its own, from `from` up to and not including `to`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseFile {
    /// From when, counted from the start.
    pub from: String,
    /// Until when, counted from the start.
    pub to: String,
    /// The answer.
    pub answer: Option<String>,
    /// Or answers with their shares.
    pub mix: Option<BTreeMap<String, f64>>,
    /// How long an answer takes; otherwise the recipient's.
    pub latency: Option<String>,
}

/// The rest.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsFile {
    /// What is done about an attempt sent and not answered: `retry` (the default), `verify`, `hold` or `assume_delivered`.
    pub in_doubt: Option<String>,
    /// With `retry` and `verify`: not before this has passed.
    pub in_doubt_delay: Option<String>,
    /// When the run is stopped; otherwise when nothing is left to do.
    pub until: Option<String>,
    /// With protection: attempts at once, in all; 256 unless said.
    pub concurrency: Option<u32>,
}

impl ScenarioFile {
    /// The scenario, ready to run.
    ///
    /// # Errors
    /// Every [`ScenarioFault`] found, not only the first.
    pub fn compile(&self) -> Result<Scenario, Vec<ScenarioFault>> {
        let mut faults = Faults::default();
        let scenario = self.read(&mut faults);
        match scenario {
            Some(scenario) if faults.0.is_empty() => Ok(scenario),
            _ => Err(faults.0),
        }
    }

    fn read(&self, faults: &mut Faults) -> Option<Scenario> {
        let start = self.start(faults);
        let candidates = self.candidates(faults);
        let traffic = self.traffic.read(faults);
        let recipient = faults.kept("recipient", RecipientName::new("recipient"))?;
        let in_doubt = self.settings.in_doubt(faults);
        let look_ups = self.recipient.look_ups(in_doubt, faults);
        let legs = self.legs(&recipient, in_doubt, faults);
        let retry_hours = self.retry_hours(faults);
        let until = faults.duration("settings.until", self.settings.until.as_ref());
        if self.recipients.is_empty() && self.recipient == RecipientFile::default() {
            faults.add("recipient", "missing: allowed is [recipient] or [[recipients]]");
        }
        Some(Scenario {
            name: self.name.clone(),
            title: self.title.clone(),
            seed: Seed(self.seed),
            start: start?,
            until,
            candidates,
            traffic: traffic?,
            legs: legs?,
            retry_hours,
            look_ups,
            in_doubt,
            flow: faults.kept("flow", FlowName::new("scenario"))?,
            step: faults.kept("step", StepName::new("send"))?,
            protected: self.protected(faults),
        })
    }

    fn start(&self, faults: &mut Faults) -> Option<Timestamp> {
        let Some(text) = &self.start else { return Some(START) };
        let problem = || format!("{text:?} is not a time: allowed is RFC 3339, such as 2026-01-01T00:00:00Z");
        faults.kept("start", Timestamp::parse(text).ok_or_else(problem))
    }

    fn candidates(&self, faults: &mut Faults) -> Vec<Candidate> {
        let policies = self.named(faults);
        let own = self.retry.layer("retry", faults);
        self.retry.refuse_extends("retry", faults);
        let levels = self.levels.layers(faults);
        let mut laid = vec![(Level::System, &own)];
        laid.extend(levels.iter().map(|(level, layer)| (level.clone(), layer)));
        let limits = self.levels.limits(faults);
        let limits = limits.as_ref().map(|(name, limits)| (name.clone(), limits));
        let legs = self.leg_layers(faults);
        let mut candidates = Vec::new();
        let own_name = self.retry.policy.as_deref().unwrap_or("as configured");
        candidates.extend(candidate(
            own_name,
            "retry",
            &Levels { levels: &laid, legs: &legs },
            limits,
            &policies,
            faults,
        ));
        if self.compare.len() > COMPARED_MAX {
            faults.add("compare", format!("{} policies: at most {COMPARED_MAX}", self.compare.len()));
            return candidates;
        }
        for (number, compare) in self.compare.iter().enumerate() {
            let place = format!("compare[{number}].retry");
            let layer = compare.retry.layer(&place, faults);
            compare.retry.refuse_extends(&place, faults);
            let laid = [(Level::System, &layer)];
            let guard = compare.guard.as_ref().map(|guard| guard.read(&format!("compare[{number}].guard"), faults));
            let found =
                candidate(&compare.name, &place, &Levels { levels: &laid, legs: &legs }, None, &policies, faults);
            candidates.extend(found.map(|found| Candidate { protection: guard, ..found }));
        }
        candidates
    }

    /// What each fallback says about retrying, and whether it goes to another recipient.
    fn leg_layers(&self, faults: &mut Faults) -> Vec<(Layer, bool)> {
        let each = self.fallbacks.iter().enumerate().take(FALLBACKS_MAX);
        let layer = |(index, file): (usize, &FallbackFile)| {
            let place = format!("fallbacks[{index}].retry");
            file.retry.refuse_extends(&place, faults);
            (file.retry.layer(&place, faults), file.recipient.is_some())
        };
        each.map(layer).collect()
    }

    fn named(&self, faults: &mut Faults) -> Policies {
        if self.policies.len() > POLICIES_MAX {
            faults.add("policies", format!("{} policies: at most {POLICIES_MAX}", self.policies.len()));
            return Policies::default();
        }
        let mut custom = BTreeMap::new();
        for (name, file) in &self.policies {
            let place = format!("policies.{name}");
            let layer = file.layer(&place, faults);
            if layer.policy.is_some() {
                faults.add(&place, "a policy starts from another by extends, not by policy");
            }
            let extends = file.extends.as_ref();
            let extends = extends.and_then(|name| faults.kept(&format!("{place}.extends"), PolicyName::new(name)));
            if let Some(name) = faults.kept(&place, PolicyName::new(name)) {
                custom.insert(name, CustomPolicy { extends, layer });
            }
        }
        Policies::new(custom)
    }
}

/// What a policy is laid together from: its levels, and what each fallback says nearest of all, with whether it goes to another
/// recipient.
struct Levels<'a> {
    levels: &'a [(Level, &'a Layer)],
    legs: &'a [(Layer, bool)],
}

fn candidate(
    name: &str,
    place: &str,
    levels: &Levels<'_>,
    limits: Option<(RecipientName, &Limits)>,
    policies: &Policies,
    faults: &mut Faults,
) -> Option<Candidate> {
    let mut policy = |place: &str, levels: &[(Level, &Layer)], limits| match resolve(levels, limits, policies) {
        Ok(resolved) => Some(resolved.policy),
        Err(found) => {
            found.iter().for_each(|fault| faults.add(place, fault));
            None
        }
    };
    let Levels { levels, legs } = *levels;
    let own: RetryPolicy = policy(place, levels, limits.clone())?;
    let mut fallbacks = Vec::with_capacity(legs.len());
    for (number, (layer, elsewhere)) in (1_u8..).zip(legs) {
        let laid: Vec<(Level, &Layer)> = levels.iter().cloned().chain([(Level::Fallback(number), layer)]).collect();
        let limits = limits.clone().filter(|_| !elsewhere);
        fallbacks.push(policy(&format!("fallbacks[{}].retry", number - 1), &laid, limits)?);
    }
    Some(Candidate { name: name.to_owned(), policy: own, fallbacks, protection: None })
}

impl RetryFile {
    fn refuse_extends(&self, place: &str, faults: &mut Faults) {
        if self.extends.is_some() {
            faults.add(&format!("{place}.extends"), "only a policy under [policies.X] extends another");
        }
    }
}

impl LevelsFile {
    fn layers(&self, faults: &mut Faults) -> Vec<(Level, Layer)> {
        let levels = [
            ("account", &self.account, AccountName::new("account").ok().map(Level::Account)),
            ("flow", &self.flow, FlowName::new("scenario").ok().map(Level::Flow)),
            ("recipient", &self.recipient, RecipientName::new("recipient").ok().map(Level::Recipient)),
            ("step", &self.step, StepName::new("send").ok().map(Level::Step)),
        ];
        let mut layers = Vec::new();
        for (name, file, level) in levels {
            let (Some(file), Some(level)) = (file, level) else { continue };
            let place = format!("levels.{name}");
            file.refuse_extends(&place, faults);
            layers.push((level, file.layer(&place, faults)));
        }
        layers
    }

    fn limits(&self, faults: &mut Faults) -> Option<(RecipientName, Limits)> {
        let limits = self.limits.as_ref()?;
        let max_lead_age = faults.duration("levels.limits.max_lead_age", limits.max_lead_age.as_ref());
        Some((RecipientName::new("recipient").ok()?, Limits { max_retries: limits.max_retries, max_lead_age }))
    }
}

impl TrafficFile {
    pub(crate) fn read(&self, faults: &mut Faults) -> Option<Traffic> {
        let traffic = match (self.leads, &self.rate, &self.lasting) {
            (Some(leads), None, None) => Traffic { leads, count: 0, per: Duration::ZERO },
            (None, Some(rate), Some(lasting)) => {
                let rate = faults.kept("traffic.rate", parse_rate(rate));
                let lasting = faults.duration("traffic.for", Some(lasting))?;
                let rate = rate?;
                let leads = lasting.as_micros() * u128::from(rate.count) / rate.per.as_micros();
                Traffic { leads: u32::try_from(leads).unwrap_or(u32::MAX), count: rate.count, per: rate.per }
            }
            _ => {
                faults.add("traffic", "allowed is either leads, or rate together with for");
                return None;
            }
        };
        if !(1..=LEADS_MAX).contains(&traffic.leads) {
            faults.add("traffic", format!("{} leads: allowed is 1 to {LEADS_MAX} in one run", traffic.leads));
            return None;
        }
        Some(traffic)
    }
}

impl SettingsFile {
    fn in_doubt(&self, faults: &mut Faults) -> InDoubt {
        let floor = faults.duration("settings.in_doubt_delay", self.in_doubt_delay.as_ref());
        let Some(mode) = self.in_doubt.as_deref() else {
            return InDoubt::Retry { floor: floor.unwrap_or_default() };
        };
        if floor.is_some() && matches!(mode, "hold" | "assume_delivered") {
            faults.add("settings.in_doubt_delay", "belongs to in_doubt = \"retry\" or \"verify\"");
        }
        match mode {
            "retry" => InDoubt::Retry { floor: floor.unwrap_or_default() },
            "verify" => InDoubt::Verify { floor: floor.unwrap_or_default() },
            "hold" => InDoubt::Hold,
            "assume_delivered" => InDoubt::AssumeDelivered,
            other => {
                let known = "allowed are retry, verify, hold, assume_delivered";
                faults.add("settings.in_doubt", format!("{other:?} is not known: {known}"));
                InDoubt::Hold
            }
        }
    }
}
