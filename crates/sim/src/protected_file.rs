//! From a scenario file to who is protected and how.

use crate::file::{LATENCY, RecipientFile, ScenarioFile};
use crate::quantity::shown;
use crate::retry_table::Faults;
use crate::scenario::{LEADS_MAX, Protected, Protection, RECIPIENTS_MAX, Recipient};
use steadfast_lead::{Priority, RecipientName};
use steadfast_retry::breaker::{BreakerMode, BreakerSettings};
use steadfast_retry::pace::{ConcurrencyLimit, LIMIT_MAX, PaceSettings};
use steadfast_retry::{Endpoint, GuardSettings};

/// Attempts at once, in all, unless said otherwise.
const SLOTS: u32 = 256;
const SLOTS_MAX: u32 = 100_000;

impl ScenarioFile {
    /// `None` where nothing asks for it.
    pub(crate) fn protected(&self, faults: &mut Faults) -> Option<Protected> {
        if self.recipients.is_empty() {
            self.recipient.refuse_of_several("recipient", faults);
        }
        if !self.asks_protection() {
            return None;
        }
        if self.settings.in_doubt.as_deref() == Some("verify") {
            faults.add("settings.in_doubt", "verify is not simulated together with protection: allowed are the others");
        }
        let slots = self.settings.concurrency.unwrap_or(SLOTS);
        if !(1..=SLOTS_MAX).contains(&slots) {
            faults.add("settings.concurrency", format!("{slots} at once: allowed is 1 to {SLOTS_MAX}"));
        }
        let common = self.guard.as_ref().map_or_else(unprotected, |guard| guard.read("guard", faults));
        let recipients = self.all_recipients(common, faults);
        let leads: u64 = recipients.iter().map(|one| u64::from(one.traffic.leads)).sum();
        if leads > u64::from(LEADS_MAX) {
            faults.add("recipients", format!("{leads} leads: allowed is 1 to {LEADS_MAX} in one run"));
        }
        Some(Protected { slots: usize::try_from(slots).unwrap_or(usize::MAX), recipients })
    }

    /// Whether anything in it is about protection.
    pub(crate) fn asks_protection(&self) -> bool {
        let one = &self.recipient;
        let compared = self.compare.iter().any(|compare| compare.guard.is_some());
        self.guard.is_some() || one.guard.is_some() || one.capacity.is_some() || compared || !self.recipients.is_empty()
    }

    fn all_recipients(&self, common: Protection, faults: &mut Faults) -> Vec<Recipient> {
        if self.recipients.is_empty() {
            return self.recipient_plan(&self.recipient, "recipient", common, faults).into_iter().collect();
        }
        if self.recipient != RecipientFile::default() {
            faults.add("recipient", "stands alone: allowed is either [recipient] or [[recipients]]");
        }
        if self.recipients.len() > RECIPIENTS_MAX {
            faults.add("recipients", format!("{} recipients: at most {RECIPIENTS_MAX}", self.recipients.len()));
            return Vec::new();
        }
        let mut plans: Vec<Recipient> = Vec::new();
        for (number, file) in self.recipients.iter().enumerate() {
            let place = format!("recipients[{number}]");
            let plan = self.recipient_plan(file, &place, common, faults);
            if plan.as_ref().is_some_and(|plan| plans.iter().any(|other| other.endpoint == plan.endpoint)) {
                faults.add(&format!("{place}.name"), "another recipient has the same name");
            }
            plans.extend(plan);
        }
        plans
    }

    fn recipient_plan(
        &self,
        file: &RecipientFile,
        place: &str,
        common: Protection,
        faults: &mut Faults,
    ) -> Option<Recipient> {
        let name = match &file.name {
            Some(name) => name.as_str(),
            None if place == "recipient" => "recipient",
            None => {
                faults.add(&format!("{place}.name"), "is needed among several");
                return None;
            }
        };
        let name = faults.kept(&format!("{place}.name"), RecipientName::new(name));
        let priority = file.priority(place, faults);
        let latency = faults.duration(&format!("{place}.latency"), file.latency.as_ref()).unwrap_or(LATENCY);
        let capacity = file.capacity.as_ref();
        let capacity = capacity.map(|capacity| capacity.read(&format!("{place}.capacity"), latency, faults));
        let protection = file.guard.as_ref().map_or(common, |guard| guard.read(&format!("{place}.guard"), faults));
        // What the scenario itself says has been read, and refused, already.
        let traffic = match &file.traffic {
            Some(traffic) => placed(place, faults, |faults| traffic.read(faults)),
            None => self.traffic.read(&mut Faults::default()),
        };
        let script = match place {
            "recipient" => file.read(&mut Faults::default()),
            _ => placed(place, faults, |faults| file.read(faults)),
        };
        if file.closed.is_some() && place != "recipient" {
            faults.add(&format!("{place}.closed"), "is not simulated together with protection");
        }
        Some(Recipient {
            endpoint: endpoint(name?),
            priority: priority?,
            traffic: traffic?,
            script: script?,
            capacity: capacity.flatten(),
            protection,
            calendar: file.calendar.as_ref().and_then(|calendar| calendar.read(&format!("{place}.calendar"), faults)),
        })
    }
}

impl RecipientFile {
    fn refuse_of_several(&self, place: &str, faults: &mut Faults) {
        if self.name.is_some() || self.traffic.is_some() {
            faults.add(place, "name and traffic belong to [[recipients]]");
        }
    }

    fn priority(&self, place: &str, faults: &mut Faults) -> Option<Priority> {
        let Some(word) = &self.priority else { return Some(Priority::Normal) };
        let known = Priority::ALL.into_iter().find(|priority| priority.name() == word);
        if known.is_none() {
            let problem = format!("{:?} is not known: allowed are critical, high, normal, low", shown(word));
            faults.add(&format!("{place}.priority"), problem);
        }
        known
    }
}

/// Where a recipient of a scenario is.
fn endpoint(recipient: RecipientName) -> Endpoint {
    let origin = format!("https://{recipient}.example:443");
    Endpoint { recipient, origin: origin.into() }
}

/// Reads with places that begin at `place` instead of at the file's own recipient.
pub(crate) fn placed<T>(place: &str, faults: &mut Faults, read: impl FnOnce(&mut Faults) -> T) -> T {
    let mut found = Faults::default();
    let read = read(&mut found);
    for fault in found.0 {
        let rest = fault.place.strip_prefix("recipient").map_or_else(|| format!(".{}", fault.place), str::to_owned);
        faults.add(&format!("{place}{rest}"), fault.problem);
    }
    read
}

/// Where a scenario has several recipients or a capacity and asks for no protection: everything that is due goes.
fn unprotected() -> Protection {
    let breaker = BreakerSettings { mode: BreakerMode::Off, ..BreakerSettings::default() };
    let pace = PaceSettings { rate: None, concurrency: ConcurrencyLimit::Fixed(LIMIT_MAX) };
    Protection { guard: GuardSettings { breaker, budget: false }, pace }
}
