//! From a scenario file to the legs of its step: fallbacks, several endpoints, balance, retry hours.

use crate::calendar_file::CalendarFile;
use crate::file::{PhaseFile, RecipientFile, ScenarioFile};
use crate::legs::{ENDPOINTS_MAX, FALLBACKS_MAX, Leg, LegBalance, Way};
use crate::protected_file::placed;
use crate::quantity::shown;
use crate::retry_table::{Faults, RetryFile};
use crate::script::Script;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use steadfast_lead::{CandidateName, RecipientName};
use steadfast_retry::calendar::{Calendar, Hours, Zone};
use steadfast_retry::{
    Balance, BalanceRules, Criterion, Endpoint, FollowUp, InDoubt, LegEnds, NextLeg, RetryHours, ShareOf, WhenClosed,
};

const CONCURRENCY: u32 = 50;
const CONCURRENCY_MAX: u32 = 10_000;
const WEIGHT_MAX: u32 = 1_000;
const COST_MAX: f64 = 1_000_000.0;
const RETRY_HOURS_AFTER_MAX: u32 = 1_000;

/// What the step says beside its recipient.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the keys of a step in the configuration")]
pub struct StepFile {
    pub on_exhausted: Option<String>,
    pub on_final_error: Option<String>,
    pub on_unrecognized: Option<String>,
    pub retry_hours: Option<RetryHoursFile>,
    pub balance: Option<BalanceFile>,
    #[serde(default)]
    pub endpoints: Vec<EndpointFile>,
}

/// A further leg. Without a `recipient` it goes to the step's own, at another address.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the keys of a fallback, and those of a scenario's recipient")]
pub struct FallbackFile {
    pub recipient: Option<String>,
    #[serde(default)]
    pub retry: RetryFile,
    pub on_exhausted: Option<String>,
    pub on_final_error: Option<String>,
    pub on_unrecognized: Option<String>,
    pub balance: Option<BalanceFile>,
    #[serde(default)]
    pub endpoints: Vec<EndpointFile>,
    pub answers: Option<Vec<String>>,
    pub answer: Option<String>,
    pub mix: Option<BTreeMap<String, f64>>,
    pub latency: Option<String>,
    #[serde(default)]
    pub phases: Vec<PhaseFile>,
    pub calendar: Option<CalendarFile>,
    pub closed: Option<String>,
}

/// One of several endpoints of a leg. Without answers it answers as its leg does.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the keys of an endpoint, and those of a scenario's recipient")]
pub struct EndpointFile {
    pub name: String,
    pub recipient: Option<String>,
    pub weight: Option<u32>,
    pub cost: Option<f64>,
    /// How many at once `least_loaded` takes it to have room for.
    pub concurrency: Option<u32>,
    pub answers: Option<Vec<String>>,
    pub answer: Option<String>,
    pub mix: Option<BTreeMap<String, f64>>,
    pub latency: Option<String>,
    #[serde(default)]
    pub phases: Vec<PhaseFile>,
    pub calendar: Option<CalendarFile>,
    pub closed: Option<String>,
}

/// An off-peak window that retries wait for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryHoursFile {
    /// In OSM's `opening_hours` syntax.
    pub hours: String,
    /// The IANA name of the zone.
    pub time_zone: String,
    /// So many retries of a leg go at any time before.
    #[serde(default)]
    pub after: u32,
}

/// How a leg chooses: a word, or a table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "weighted, least_loaded or best, or a table with by")]
pub enum BalanceFile {
    /// By this, and otherwise as usual.
    Word(String),
    /// In more words.
    Table(BalanceTable),
}

/// How a leg chooses, in more words.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the keys of a balance in the configuration")]
pub struct BalanceTable {
    pub by: Option<String>,
    pub share_of: Option<String>,
    pub catch_up: Option<f64>,
    #[serde(default)]
    pub criteria: Vec<String>,
    pub explore: Option<u8>,
    pub time_zone: Option<String>,
}

/// What a leg says, whichever it is.
struct LegFile<'a> {
    place: String,
    recipient: RecipientName,
    own: RecipientFile,
    script: Script,
    calendar: Option<Arc<Calendar>>,
    when_closed: WhenClosed,
    ends: [Option<&'a String>; 3],
    balance: Option<&'a BalanceFile>,
    endpoints: &'a [EndpointFile],
    number: usize,
}

impl ScenarioFile {
    /// The legs of the step; the first is where everything is sent that has no other way.
    pub(crate) fn legs(&self, recipient: &RecipientName, in_doubt: InDoubt, faults: &mut Faults) -> Option<Vec<Leg>> {
        self.refuse_together(in_doubt, faults);
        if self.fallbacks.len() > FALLBACKS_MAX {
            faults.add("fallbacks", format!("{} legs: at most {FALLBACKS_MAX}", self.fallbacks.len()));
            return None;
        }
        let script = self.recipient.read(faults)?;
        let calendar = self.recipient.calendar.as_ref().and_then(|file| file.read("recipient.calendar", faults));
        let when_closed = when_closed(self.recipient.closed.as_ref(), "recipient", faults);
        let own = LegFile {
            place: "step".to_owned(),
            recipient: recipient.clone(),
            own: self.recipient.clone(),
            script,
            calendar,
            when_closed,
            ends: [&self.step.on_exhausted, &self.step.on_final_error, &self.step.on_unrecognized].map(Option::as_ref),
            balance: self.step.balance.as_ref(),
            endpoints: &self.step.endpoints,
            number: 0,
        };
        let fallbacks = self.fallbacks.iter().enumerate();
        let fallbacks: Vec<LegFile<'_>> =
            fallbacks.filter_map(|(index, file)| self.fallback(index, file, &own, faults)).collect();
        let last = self.fallbacks.len();
        let files: Vec<LegFile<'_>> = [own].into_iter().chain(fallbacks).collect();
        let mut legs = Vec::with_capacity(files.len());
        for file in &files {
            legs.push(file.read(file.number < last, faults)?);
        }
        let begins: Vec<Endpoint> = legs.iter().filter_map(|leg| Some(leg.ways.first()?.endpoint.clone())).collect();
        for (number, (leg, next)) in (1_u8..).zip(legs.iter_mut().zip(begins.into_iter().skip(1))) {
            leg.next = Some(NextLeg { leg: number, endpoint: next });
        }
        Some(legs)
    }

    fn fallback<'a>(
        &'a self,
        index: usize,
        file: &'a FallbackFile,
        first: &LegFile<'_>,
        faults: &mut Faults,
    ) -> Option<LegFile<'a>> {
        let place = format!("fallbacks[{index}]");
        let said = file.recipient.as_ref();
        let said = said.and_then(|name| faults.kept(&format!("{place}.recipient"), RecipientName::new(name)));
        let recipient = said.clone().unwrap_or_else(|| first.recipient.clone());
        let own = file.answers();
        let script = placed(&place, faults, |faults| own.read(faults));
        let (calendar, when_closed) = hours(&own, said.is_some(), (&first.calendar, first.when_closed), &place, faults);
        let step = &self.step;
        let ends = [
            file.on_exhausted.as_ref().or(step.on_exhausted.as_ref()),
            file.on_final_error.as_ref().or(step.on_final_error.as_ref()),
            file.on_unrecognized.as_ref().or(step.on_unrecognized.as_ref()),
        ];
        Some(LegFile {
            place,
            recipient,
            own,
            script: script?,
            calendar,
            when_closed,
            ends,
            balance: file.balance.as_ref(),
            endpoints: &file.endpoints,
            number: index + 1,
        })
    }

    /// What is not simulated together with what.
    fn refuse_together(&self, in_doubt: InDoubt, faults: &mut Faults) {
        let several = !self.fallbacks.is_empty() || !self.step.endpoints.is_empty();
        let routed = several || self.step != StepFile::default() || self.recipient.closed.is_some();
        if routed && self.asks_protection() {
            let place = if self.fallbacks.is_empty() { "step" } else { "fallbacks" };
            let problem = "legs, endpoints, retry_hours and closed are not simulated together with protection: leave out \
                           guard, capacity and [[recipients]]";
            faults.add(place, problem);
        }
        if several && matches!(in_doubt, InDoubt::Verify { .. }) {
            let problem = "verify is not simulated together with fallbacks or endpoints: allowed are the others";
            faults.add("settings.in_doubt", problem);
        }
    }

    /// When the step is retried.
    pub(crate) fn retry_hours(&self, faults: &mut Faults) -> Option<RetryHours> {
        let file = self.step.retry_hours.as_ref()?;
        let zone = Zone::new(&file.time_zone).map_err(|unknown| format!("{:?} {unknown}", file.time_zone));
        let zone = faults.kept("step.retry_hours.time_zone", zone);
        let hours = faults.kept("step.retry_hours.hours", Hours::new(&file.hours));
        if file.after > RETRY_HOURS_AFTER_MAX {
            let problem = format!("{} retries: allowed is 0 to {RETRY_HOURS_AFTER_MAX}", file.after);
            faults.add("step.retry_hours.after", problem);
        }
        Some(RetryHours { calendar: Calendar::new(zone?).within(hours?), after: file.after })
    }
}

impl FallbackFile {
    fn answers(&self) -> RecipientFile {
        RecipientFile {
            answers: self.answers.clone(),
            answer: self.answer.clone(),
            mix: self.mix.clone(),
            latency: self.latency.clone(),
            phases: self.phases.clone(),
            calendar: self.calendar.clone(),
            closed: self.closed.clone(),
            ..RecipientFile::default()
        }
    }
}

impl EndpointFile {
    fn answers(&self) -> RecipientFile {
        RecipientFile {
            answers: self.answers.clone(),
            answer: self.answer.clone(),
            mix: self.mix.clone(),
            latency: self.latency.clone(),
            phases: self.phases.clone(),
            calendar: self.calendar.clone(),
            closed: self.closed.clone(),
            ..RecipientFile::default()
        }
    }
}

impl LegFile<'_> {
    fn read(&self, has_next: bool, faults: &mut Faults) -> Option<Leg> {
        let ends = self.ends(has_next, faults);
        if self.endpoints.is_empty() {
            if self.balance.is_some() {
                faults.add(&format!("{}.balance", self.place), "has nothing to choose between: endpoints are missing");
            }
            return Some(Leg { ways: vec![self.only()], balance: None, ends, next: None });
        }
        let list = format!("{}.endpoints", self.place);
        if self.endpoints.len() > ENDPOINTS_MAX {
            faults.add(&list, format!("{} endpoints: at most {ENDPOINTS_MAX}", self.endpoints.len()));
            return None;
        }
        let balance = self.balance(faults)?;
        let costs = balance.rules.criteria.contains(&Criterion::Cost);
        let mut ways: Vec<Way> = Vec::new();
        for (index, file) in self.endpoints.iter().enumerate() {
            let place = format!("{list}[{index}]");
            if costs && file.cost.is_none() {
                faults.add(&format!("{place}.cost"), "is missing: the leg chooses by cost");
            }
            let Some(way) = self.way(file, &place, faults) else { continue };
            if ways.iter().any(|other| other.name == way.name) {
                faults.add(&format!("{place}.name"), "stands twice in this leg");
            }
            ways.push(way);
        }
        (!ways.is_empty()).then_some(Leg { ways, balance: Some(balance), ends, next: None })
    }

    /// The leg's one endpoint. The step's own is where everything goes in a scenario without legs.
    fn only(&self) -> Way {
        let host = if self.number == 0 { String::new() } else { format!("leg-{}.", self.number) };
        Way {
            name: None,
            endpoint: self.endpoint(&self.recipient, &host),
            script: self.script.clone(),
            calendar: self.calendar.clone(),
            when_closed: self.when_closed,
            weight: 1,
            cost_millionths: None,
            concurrency: CONCURRENCY,
        }
    }

    fn endpoint(&self, recipient: &RecipientName, host: &str) -> Endpoint {
        Endpoint { recipient: recipient.clone(), origin: format!("https://{host}{recipient}.example:443").into() }
    }

    fn way(&self, file: &EndpointFile, place: &str, faults: &mut Faults) -> Option<Way> {
        let name = faults.kept(&format!("{place}.name"), CandidateName::new(&file.name));
        let said = file.recipient.as_ref();
        let said = said.and_then(|name| faults.kept(&format!("{place}.recipient"), RecipientName::new(name)));
        let recipient = said.clone().unwrap_or_else(|| self.recipient.clone());
        let own = file.answers();
        let silent =
            RecipientFile { calendar: None, closed: None, latency: None, ..own.clone() } == RecipientFile::default();
        let script = if silent { Some(self.with_latency(&own)) } else { Some(own.clone()) };
        let script = script.and_then(|file| placed(place, faults, |faults| file.read(faults)));
        let (calendar, when_closed) = hours(&own, said.is_some(), (&self.calendar, self.when_closed), place, faults);
        let weight = file.weight.unwrap_or(1);
        if !(1..=WEIGHT_MAX).contains(&weight) {
            faults.add(&format!("{place}.weight"), format!("{weight}: allowed is 1 to {WEIGHT_MAX}"));
        }
        let concurrency = file.concurrency.unwrap_or(CONCURRENCY);
        if !(1..=CONCURRENCY_MAX).contains(&concurrency) {
            faults.add(&format!("{place}.concurrency"), format!("{concurrency}: allowed is 1 to {CONCURRENCY_MAX}"));
        }
        let name = name?;
        let leg = if self.number == 0 { String::new() } else { format!("leg-{}.", self.number) };
        Some(Way {
            endpoint: self.endpoint(&recipient, &format!("{name}.{leg}").to_lowercase()),
            name: Some(name),
            script: script?,
            calendar,
            when_closed,
            weight,
            cost_millionths: file.cost.and_then(|cost| millionths(cost, place, faults)),
            concurrency,
        })
    }

    /// What the leg answers, as soon as an endpoint says.
    fn with_latency(&self, own: &RecipientFile) -> RecipientFile {
        let latency = own.latency.clone().or_else(|| self.own.latency.clone());
        RecipientFile { latency, calendar: None, closed: None, look_ups: None, ..self.own.clone() }
    }

    fn ends(&self, has_next: bool, faults: &mut Faults) -> LegEnds {
        let usual = LegEnds::usual(has_next);
        let keys = ["on_exhausted", "on_final_error", "on_unrecognized"];
        let [exhausted, final_error, unrecognized] = [0, 1, 2].map(|index: usize| {
            let word = self.ends[index]?;
            let place = format!("{}.{}", self.place, keys[index]);
            match FollowUp::from_name(word) {
                Some(FollowUp::NextBuyer) => {
                    faults.add(&place, "next_buyer needs a sale, which is not simulated: review, next_leg, close");
                    None
                }
                // What the step says holds for all its legs; on the last one a person looks.
                Some(FollowUp::NextLeg) if !has_next => Some(FollowUp::Review),
                Some(known) => Some(known),
                None => {
                    faults.add(&place, format!("{:?} is not known: allowed are review, next_leg, close", shown(word)));
                    None
                }
            }
        });
        LegEnds {
            exhausted: exhausted.unwrap_or(usual.exhausted),
            final_error: final_error.unwrap_or(usual.final_error),
            unrecognized: unrecognized.unwrap_or(usual.unrecognized),
            ..usual
        }
    }

    fn balance(&self, faults: &mut Faults) -> Option<LegBalance> {
        let place = format!("{}.balance", self.place);
        let table = match self.balance {
            None => BalanceTable::default(),
            Some(BalanceFile::Word(word)) => BalanceTable { by: Some(word.clone()), ..BalanceTable::default() },
            Some(BalanceFile::Table(table)) => table.clone(),
        };
        table.read(&place, faults)
    }
}

impl BalanceTable {
    fn read(&self, place: &str, faults: &mut Faults) -> Option<LegBalance> {
        let by = known(self.by.as_ref(), &format!("{place}.by"), Balance::from_name, Balance::ALL, faults);
        let by = by.unwrap_or(Balance::Weighted);
        let share_place = format!("{place}.share_of");
        let share_of = known(self.share_of.as_ref(), &share_place, ShareOf::from_name, ShareOf::ALL, faults);
        let mut criteria = Vec::new();
        for (index, word) in self.criteria.iter().enumerate().take(Criterion::ALL.len() + 1) {
            let place = format!("{place}.criteria[{index}]");
            match Criterion::from_name(word) {
                Some(Criterion::Region) => faults.add(&place, "region: the leads of a scenario have no fields"),
                Some(one) if criteria.contains(&one) => faults.add(&place, format!("{one} stands twice")),
                Some(one) => criteria.push(one),
                None => faults.add(&place, format!("{:?} is not known: health, speed, cost", shown(word))),
            }
        }
        if by == Balance::Best && self.criteria.is_empty() {
            faults.add(&format!("{place}.criteria"), "is missing: allowed are health, speed, cost");
        }
        let catch_up = self.catch_up.unwrap_or(2.0);
        if !(1.0..=10.0).contains(&catch_up) {
            faults.add(&format!("{place}.catch_up"), format!("{catch_up}: allowed is 1 to 10"));
        }
        let explore = self.explore.unwrap_or(2);
        if explore > 5 {
            faults.add(&format!("{place}.explore"), format!("{explore}: allowed is 0 to 5"));
        }
        let zone = self.time_zone.as_deref().unwrap_or("UTC");
        let zone = Zone::new(zone).map_err(|unknown| format!("{zone:?} {unknown}"));
        let zone = faults.kept(&format!("{place}.time_zone"), zone);
        // In bounds, so that the cast is exact to the thousandth.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let catch_up_thousandths = (catch_up * 1_000.0).round() as u32;
        let share_of = share_of.unwrap_or(ShareOf::Accepted);
        let rules = BalanceRules { by, share_of, catch_up_thousandths, criteria, explore_percent: explore };
        Some(LegBalance { rules, zone: zone? })
    }
}

fn known<T: Copy + std::fmt::Display>(
    word: Option<&String>,
    place: &str,
    read: impl Fn(&str) -> Option<T>,
    all: &[T],
    faults: &mut Faults,
) -> Option<T> {
    let word = word?;
    let found = read(word);
    if found.is_none() {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        faults.add(place, format!("{:?} is not simulated: allowed are {}", shown(word), all.join(", ")));
    }
    found
}

/// When an endpoint may be called: the recipient's hours, which only a recipient of its own says anew.
fn hours(
    own: &RecipientFile,
    elsewhere: bool,
    (calendar, when_closed): (&Option<Arc<Calendar>>, WhenClosed),
    place: &str,
    faults: &mut Faults,
) -> (Option<Arc<Calendar>>, WhenClosed) {
    if elsewhere {
        let calendar = own.calendar.as_ref().and_then(|file| file.read(&format!("{place}.calendar"), faults));
        return (calendar, self::when_closed(own.closed.as_ref(), place, faults));
    }
    if own.calendar.is_some() || own.closed.is_some() {
        faults.add(place, "calendar and closed belong to the recipient: allowed here beside a recipient of its own");
    }
    (calendar.clone(), when_closed)
}

fn when_closed(word: Option<&String>, place: &str, faults: &mut Faults) -> WhenClosed {
    let Some(word) = word else { return WhenClosed::Hold };
    let known = WhenClosed::from_name(word);
    if known.is_none() {
        let problem = format!("{:?} is not known: allowed are hold, next, skip, reject", shown(word));
        faults.add(&format!("{place}.closed"), problem);
    }
    known.unwrap_or_default()
}

fn millionths(cost: f64, place: &str, faults: &mut Faults) -> Option<u64> {
    if !(0.0..=COST_MAX).contains(&cost) {
        faults.add(&format!("{place}.cost"), format!("{cost}: allowed is 0 to {COST_MAX}"));
        return None;
    }
    // In bounds: the cast keeps the whole.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some((cost * 1_000_000.0).round() as u64)
}
