//! A step that sends to all of its endpoints at once is as many steps: each has a delivery, a budget and an end of its own.
//!
//! They are named `STEP.ENDPOINT`. What is wrong with one is told where it is written: at the endpoint, or at the step.

use crate::compile::flow_place;
use crate::place::{Fault, Place, Warning};
use crate::settings::{FlowSettings, Settings, StepSettings};
use std::collections::BTreeMap;
use steadfast_lead::{FlowName, StepName};

/// What stands on an endpoint of such a step, and not on the step.
const ENDPOINTS_OWN: [&str; 7] = ["recipient", "request", "auth", "response", "rules", "in_doubt", "verify"];

/// Where each step of a flow was written: the step's place in the list, and the endpoint's in the step.
type Written = Vec<(usize, Option<usize>)>;

/// Settings with a step for each endpoint of a step that sends to all of them.
pub(crate) struct Spread {
    pub(crate) settings: Settings,
    written: BTreeMap<FlowName, Written>,
}

impl Settings {
    /// `None` where no step sends to all of its endpoints.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let spreads = |flow: &FlowSettings| flow.steps.iter().any(spreads);
        if !self.flows.values().any(spreads) {
            return None;
        }
        let mut spread = Spread { settings: self.clone(), written: BTreeMap::new() };
        for (name, flow) in &mut spread.settings.flows {
            if !spreads(flow) {
                continue;
            }
            let (steps, written) =
                flow.steps.iter().enumerate().flat_map(|(index, step)| one_by_one(index, step)).unzip();
            flow.steps = steps;
            spread.written.insert(name.clone(), written);
        }
        Some(spread)
    }

    /// What is wrong with steps that send to all of their endpoints.
    pub(crate) fn parallel_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (name, flow) in &self.flows {
            for (index, step) in flow.steps.iter().enumerate() {
                let place = flow_place(name).key("steps").index(index);
                faults.extend(fallback_faults(step, &place));
                let all = spreads(step).then(|| step_faults(flow, step, &place));
                faults.extend(all.into_iter().flatten());
            }
        }
        faults
    }
}

fn fallback_faults(step: &StepSettings, place: &Place) -> Vec<Fault> {
    let all = step.fallbacks.iter().enumerate().filter(|(_, leg)| leg.balance.all);
    let faults = all.map(|(index, _)| {
        let place = place.key("fallbacks").index(index).key("balance");
        let problem = "sends to all, but a fallback goes to one endpoint";
        Fault::of(place, "\"all\"", problem, "weighted, least_loaded, best")
    });
    faults.collect()
}

fn spreads(step: &StepSettings) -> bool {
    step.balance.all && !step.candidates.is_empty()
}

fn one_by_one(index: usize, step: &StepSettings) -> Vec<(StepSettings, (usize, Option<usize>))> {
    if !spreads(step) {
        return vec![(step.clone(), (index, None))];
    }
    let one = |(endpoint, one): (usize, &crate::balance::CandidateSettings)| {
        // A name that is too long is told by itself.
        let id = name_of(step, one.name.as_str()).unwrap_or_else(|| step.id.clone());
        (StepSettings { id, ..one.way.laid_over(step) }, (index, Some(endpoint)))
    };
    step.candidates.iter().enumerate().map(one).collect()
}

fn name_of(step: &StepSettings, endpoint: &str) -> Option<StepName> {
    StepName::new(&format!("{}.{endpoint}", step.id)).ok()
}

fn step_faults(flow: &FlowSettings, step: &StepSettings, place: &Place) -> Vec<Fault> {
    let mut faults = step.balance.faults_of_all(&place.key("balance"));
    if flow.is_buyer(step) {
        let problem = "sends to all, but a buyer is one of whom one gets the lead";
        let allowed = "weighted, least_loaded, best; or a step for each buyer";
        faults.push(Fault::of(place.key("balance"), "\"all\"", problem, allowed));
    }
    for (index, one) in step.candidates.iter().enumerate() {
        let place = place.key("endpoints").index(index);
        if name_of(step, one.name.as_str()).is_none() {
            let problem = format!("makes too long a name for a step, with {}.", step.id);
            let given = format!("{:?}", one.name.as_str());
            faults.push(Fault::of(place.key("name"), &given, &problem, "at most 64 letters in all"));
        }
        let written = [
            ("weight", one.weight.is_some()),
            ("cost", one.cost.is_some()),
            ("regions", !one.regions.is_empty()),
            ("regulations", !one.regulations.is_empty()),
        ];
        for (key, _) in written.into_iter().filter(|(_, written)| *written) {
            let problem = "is never asked for: the step sends to all of its endpoints";
            faults.push(Fault::unseen(place.key(key), problem, "another balance"));
        }
    }
    faults
}

impl Spread {
    /// The faults at the places where they are written.
    pub(crate) fn home(&self, faults: Vec<Fault>) -> Vec<Fault> {
        let home = |fault: Fault| match self.place(&fault.place) {
            Some(place) => Fault { place, ..fault },
            None => fault,
        };
        faults.into_iter().map(home).collect()
    }

    /// The same of warnings.
    pub(crate) fn warnings_home(&self, warnings: Vec<Warning>) -> Vec<Warning> {
        let home = |warning: Warning| match self.place(&warning.place) {
            Some(place) => Warning { place, ..warning },
            None => warning,
        };
        warnings.into_iter().map(home).collect()
    }

    fn place(&self, place: &Place) -> Option<Place> {
        for (name, written) in &self.written {
            let steps = flow_place(name).key("steps");
            let Some((index, rest)) = place.below(&steps) else { continue };
            let (step, endpoint) = *written.get(index)?;
            let step = steps.index(step);
            let own = ENDPOINTS_OWN.iter().any(|key| rest.as_str().starts_with(key));
            let home = match endpoint.filter(|_| own) {
                Some(endpoint) => step.key("endpoints").index(endpoint),
                None => step,
            };
            return Some(home.join(&rest));
        }
        None
    }
}
