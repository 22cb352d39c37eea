//! Caps as they are configured: on a flow, a source of it, a recipient and a step; and which of them bind a delivery.

use crate::calendars::zone;
use crate::compile::{flow_place, recipient_place, too_many};
use crate::place::{Fault, Place, Warning};
use crate::plan::Book;
use crate::settings::{FlowSettings, Settings, StepSettings};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use steadfast_lead::{AccountName, FlowName, RecipientName, SourceName, StepName};
use steadfast_retry::calendar::Zone;
use steadfast_retry::{CAP_MAX, Cap, CapPer, Delivery, OnCap};

/// What a cap's zone is where neither it nor the account names one.
const ZONE_DEFAULT: &str = "UTC";

/// One cap, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapSettings {
    /// Over how long.
    pub per: CapPer,
    /// How many may be accepted in that time.
    pub max: u64,
    /// The IANA name of the zone whose days and hours count; `None` for the account's.
    pub time_zone: Option<Box<str>>,
}

/// What one level says about caps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapsSettings {
    /// The caps; one for each length of period at most.
    pub caps: Vec<CapSettings>,
    /// What becomes of a delivery that finds one full; held unless said otherwise.
    pub on_cap: Option<OnCap>,
}

/// The caps of a configuration, by what they bind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapBook {
    steps: HashMap<(FlowName, StepName), Vec<Cap>>,
    recipients: HashMap<RecipientName, Vec<Cap>>,
    sources: HashMap<FlowName, BTreeMap<SourceName, Vec<Cap>>>,
    flows: HashMap<FlowName, Vec<Cap>>,
}

impl CapBook {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.recipients.is_empty() && self.sources.is_empty() && self.flows.is_empty()
    }

    /// The caps that bind a delivery of a lead of this source, nearest first: of its step, its recipient, its source, its
    /// flow. Nothing binds a test lead.
    pub fn of(&self, delivery: &Delivery, source: Option<&SourceName>) -> Vec<&Cap> {
        if delivery.test {
            return Vec::new();
        }
        let Delivery { flow, step, endpoint, .. } = delivery;
        let sources = || self.sources.get(flow)?.get(source?);
        let step = (!self.steps.is_empty()).then(|| self.steps.get(&(flow.clone(), step.clone()))).flatten();
        let levels = [step, self.recipients.get(&endpoint.recipient), sources(), self.flows.get(flow)];
        levels.into_iter().flatten().flatten().collect()
    }

    /// Whether a cap binds it whatever its source.
    pub fn always_binds(&self, delivery: &Delivery) -> bool {
        !self.of(delivery, None).is_empty()
    }

    /// Whether a cap may bind it: that of its source is not known here.
    pub fn may_bind(&self, delivery: &Delivery) -> bool {
        !delivery.test && (self.sources.contains_key(&delivery.flow) || self.always_binds(delivery))
    }

    /// Every cap.
    pub fn all(&self) -> impl Iterator<Item = &Cap> {
        let sources = self.sources.values().flat_map(BTreeMap::values);
        self.flows.values().chain(sources).chain(self.recipients.values()).chain(self.steps.values()).flatten()
    }
}

/// Whether what a cap counts may be this delivery: of a source's it is not known here which of the flow's it is.
pub fn is_bound_by(delivery: &Delivery, scope: &str) -> bool {
    let Delivery { flow, step, endpoint, .. } = delivery;
    let Some((kind, name)) = scope.split_once(' ') else { return false };
    match kind {
        "recipient" => name == endpoint.recipient.as_str(),
        "flow" => name == flow.as_str(),
        "step" => name.strip_suffix(step.as_str()).and_then(|rest| rest.strip_suffix('.')) == Some(flow.as_str()),
        "source" => name.strip_prefix(flow.as_str()).is_some_and(|rest| rest.starts_with('.')),
        _ => false,
    }
}

impl Settings {
    /// Puts the caps into a book.
    pub(crate) fn plan_caps(&self, book: &mut Book) -> Vec<Fault> {
        let (mut faults, mut caps) = (Vec::new(), CapBook::default());
        for (name, recipient) in &self.recipients {
            let level = Level { place: recipient_place(name), scope: format!("recipient {name}") };
            let found = self.read(&recipient.caps, level, recipient.account.as_ref(), &mut faults);
            caps.recipients.extend(found.map(|found| (name.clone(), found)));
        }
        for (name, flow) in &self.flows {
            self.plan_flow(name, flow, &mut caps, &mut faults);
        }
        book.caps = caps;
        faults
    }

    /// The caps of a flow, its sources and its steps.
    fn plan_flow(&self, name: &FlowName, flow: &FlowSettings, caps: &mut CapBook, faults: &mut Vec<Fault>) {
        let (place, account) = (flow_place(name), flow.account.as_ref());
        let level = Level { place: place.clone(), scope: format!("flow {name}") };
        caps.flows.extend(self.read(&flow.caps, level, account, faults).map(|found| (name.clone(), found)));
        for (source, settings) in &flow.sources {
            let place = place.key("sources").key(source.as_str());
            let level = Level { place, scope: format!("source {name}.{source}") };
            if let Some(found) = self.read(&settings.caps, level, account, faults) {
                caps.sources.entry(name.clone()).or_default().insert(source.clone(), found);
            }
        }
        for (index, step) in flow.steps.iter().enumerate() {
            let account = account.or_else(|| self.recipients.get(&step.recipient)?.account.as_ref());
            let level = Level { place: place.key("steps").index(index), scope: format!("step {name}.{}", step.id) };
            let found = self.read(&step.caps, level, account, faults);
            caps.steps.extend(found.map(|found| ((name.clone(), step.id.clone()), found)));
        }
    }

    /// The caps of one level; `None` for none.
    fn read(
        &self,
        said: &CapsSettings,
        level: Level,
        account: Option<&AccountName>,
        faults: &mut Vec<Fault>,
    ) -> Option<Vec<Cap>> {
        let CapsSettings { caps, on_cap } = said;
        if caps.is_empty() {
            let problem = "says what becomes of a delivery that finds a cap full, and there is no cap";
            let fault =
                |on: &OnCap| Fault::of(level.place.key("on_cap"), &format!("\"{on}\""), problem, "caps beside it");
            faults.extend(on_cap.as_ref().map(fault));
            return None;
        }
        let list = level.place.key("caps");
        faults.extend(too_many(list.clone(), caps.len(), CapPer::ALL.len()));
        faults.extend(unreachable(&list, caps));
        let near = account.and_then(|name| self.accounts.get(name)?.time_zone.as_deref());
        // A zone of the account that is none is told there.
        let near = near.and_then(|name| Zone::new(name).ok()).or_else(|| Zone::new(ZONE_DEFAULT).ok());
        let scope: Arc<str> = level.scope.into();
        let read = caps.iter().enumerate().filter_map(|(index, cap)| {
            let place = list.index(index);
            faults.extend(cap_fault(&place, cap));
            let own = zone(&place.key("time_zone"), cap.time_zone.as_deref(), faults);
            let on_cap = on_cap.unwrap_or(OnCap::Hold);
            Some(Cap {
                scope: Arc::clone(&scope),
                per: cap.per,
                zone: own.or_else(|| near.clone())?,
                max: cap.max,
                on_cap,
            })
        });
        Some(read.collect())
    }
}

impl Settings {
    /// Caps of a sale that hold: with the buyer the whole sale waits.
    pub(crate) fn cap_warnings(&self) -> Vec<Warning> {
        let mut found = Vec::new();
        for (name, flow) in &self.flows {
            let buyers: Vec<(usize, &StepSettings)> =
                flow.steps.iter().enumerate().filter(|(_, step)| flow.is_buyer(step)).collect();
            if buyers.is_empty() {
                continue;
            }
            let place = flow_place(name);
            found.extend(holds_a_sale(&flow.caps, place.clone(), OnCap::Skip));
            for (source, settings) in &flow.sources {
                let place = place.key("sources").key(source.as_str());
                found.extend(holds_a_sale(&settings.caps, place, OnCap::Skip));
            }
            for (index, step) in buyers {
                found.extend(holds_a_sale(&step.caps, place.key("steps").index(index), OnCap::Next));
                found.extend(self.holding_recipients(step));
            }
        }
        found
    }

    /// Caps that hold, of the recipients a buyer's legs go to.
    fn holding_recipients(&self, step: &StepSettings) -> Vec<Warning> {
        let fallbacks = step.fallbacks.iter().filter_map(|leg| leg.recipient.as_ref());
        let named = fallbacks.chain([&step.recipient]);
        let known = named.filter_map(|name| Some((name, &self.recipients.get(name)?.caps)));
        known.filter_map(|(name, caps)| holds_a_sale(caps, recipient_place(name), OnCap::Next)).collect()
    }
}

fn holds_a_sale(said: &CapsSettings, place: Place, better: OnCap) -> Option<Warning> {
    if said.caps.is_empty() || said.on_cap.unwrap_or(OnCap::Hold) != OnCap::Hold {
        return None;
    }
    let then = match better {
        OnCap::Next => "offers it to the next buyer",
        OnCap::Skip | OnCap::Hold | OnCap::Reject => "ends it, for no other buyer has room either",
    };
    let text = format!(
        "a lead that finds this cap full is held, and its sale with it: nobody else is offered it until the period ends; \
         on_cap = \"{better}\" {then}"
    );
    Some(Warning { place: place.key(if said.on_cap.is_some() { "on_cap" } else { "caps" }), text })
}

/// Where caps stand, and what they count.
struct Level {
    place: Place,
    scope: String,
}

fn cap_fault(place: &Place, cap: &CapSettings) -> Option<Fault> {
    let allowed = format!("1 to {CAP_MAX}; to let nothing through, pause the recipient, the flow or the source");
    let out = !(1..=CAP_MAX).contains(&cap.max);
    out.then(|| Fault::of(place.key("max"), &cap.max.to_string(), "is out of range", &allowed))
}

/// Caps that stand twice, and caps that a longer period's never lets anything come to.
fn unreachable(list: &Place, caps: &[CapSettings]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, cap) in caps.iter().enumerate() {
        let place = list.index(index);
        if caps[..index].iter().any(|before| before.per == cap.per) {
            let given = format!("\"{}\"", cap.per);
            faults.push(Fault::of(
                place.key("per"),
                &given,
                "stands twice here",
                "one cap for each of hour, day, week, month",
            ));
        }
        if let Some(longer) = caps.iter().find(|other| other.per > cap.per && other.max < cap.max) {
            let problem = format!("is never reached: the cap of {} per {} is full before", longer.max, longer.per);
            faults.push(Fault::of(place.key("max"), &cap.max.to_string(), &problem, &format!("1 to {}", longer.max)));
        }
    }
    faults
}
