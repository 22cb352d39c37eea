//! From settings to the book: levels laid over each other, requests built, and every fault found at once.
//!
//! Whole or not at all: with one fault anywhere there is no book.

use crate::answers::{self, Said};
use crate::callback::{as_flow, callback_fault, callback_flow, name_fault_of_callback};
use crate::declared::field_faults;
use crate::duplicates::{DuplicateGuard, DuplicateSettings};
use crate::in_doubt::{in_doubt, in_doubt_fault};
use crate::layers::{Chain, Laid, endless_policies, policy_faults};
use crate::legs::LegScope;
use crate::look_up::LookUpPlan;
use crate::person::ContactFields;
use crate::place::{Fault, Place};
use crate::plan::{Book, FlowPlan, RecipientPlan, StepPlan};
use crate::recipe::says;
use crate::request::Request;
use crate::request_settings::{Auth, RequestSettings, auth_fault};
use crate::retention::{flow_fault, guard_faults as guard_faults_of_retention};
use crate::settings::{FlowSettings, InDoubtMode, InDoubtSettings, RecipientSettings, Settings, StepSettings};
use crate::source::source_list_faults;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use steadfast_lead::{AccountName, FlowName, RecipientName};
use steadfast_retry::policy::{Key, Level, Limits, MaxLeadAge, Reach};
use steadfast_retry::{Endpoint, LegEnds, Reading, not_found_rule};

/// What `limits.max_retries` may be.
pub const LIMIT_RETRIES: RangeInclusive<u32> = 0..=1_000;
/// Flows, recipients, accounts or policies, at most, each.
pub const NAMES_MAX: usize = 10_000;
/// Steps of a flow, at most.
pub const STEPS_MAX: usize = 100;

impl Settings {
    /// Checks everything and makes the book.
    ///
    /// # Errors
    /// Every [`Fault`] found, each once, in the order of the configuration's sections.
    pub fn compile(&self, version: u64) -> Result<Book, Vec<Fault>> {
        let Some(spread) = self.spread() else { return self.compile_spread(version, self.parallel_faults()) };
        spread.settings.compile_spread(version, self.parallel_faults()).map_err(|faults| each_once(spread.home(faults)))
    }

    /// Of settings without a step that sends to all of its endpoints.
    fn compile_spread(&self, version: u64, mut faults: Vec<Fault>) -> Result<Book, Vec<Fault>> {
        let endless = endless_policies(&self.policies);
        if !endless.is_empty() {
            return Err(endless);
        }
        faults.extend(self.count_faults());
        faults.extend(self.lookups.faults());
        faults.extend(policy_faults(&self.policies));
        faults.extend(self.chain(&[]).standing_faults());
        for name in self.accounts.keys() {
            faults.extend(self.chain(&self.account_level(Some(name))).standing_faults());
        }
        faults.extend(self.calendar_faults());
        faults.extend(self.erasure.fault());
        faults.extend(self.retention.faults());
        let mut book = Book { version, erasure: self.erasure, retention: self.retention, ..Book::default() };
        for (name, recipient) in &self.recipients {
            faults.extend(self.recipient_faults(name, recipient));
        }
        for (name, flow) in &self.flows {
            faults.extend(flow_fault(name, flow.retention));
            book.flow_retention.extend(flow.retention.map(|keep| (name.clone(), keep)));
            match self.callbacks_plan(name, flow) {
                Ok(plan) => drop(plan.map(|plan| book.callbacks.insert(name.clone(), Arc::new(plan)))),
                Err(found) => faults.extend(found),
            }
            match self.flow_plan(name, flow) {
                Ok(plan) => {
                    book.flows.insert(name.clone(), Arc::new(plan));
                    let sources = flow.sources.iter().map(|(name, source)| (name.clone(), Arc::new(source.clone())));
                    book.sources.insert(name.clone(), sources.collect());
                }
                Err(found) => faults.extend(found),
            }
        }
        faults.extend(self.plan_recipients(&mut book));
        faults.extend(self.plan_caps(&mut book));
        faults.extend(guard_faults_of_retention(&book));
        if faults.is_empty() { Ok(book) } else { Err(each_once(faults)) }
    }

    /// After the flows: how long a probe may take depends on the steps that send to a recipient.
    fn plan_recipients(&self, book: &mut Book) -> Vec<Fault> {
        let mut faults = Vec::new();
        let steps = book.steps_by_recipient();
        for (name, recipient) in &self.recipients {
            let place = recipient_place(name);
            let calendar = self.called_when(&place, recipient).map_err(|found| faults.extend(found));
            if !recipient.protection.faults(&place).is_empty() {
                continue;
            }
            let senders = steps.get(name).map_or(&[][..], Vec::as_slice);
            let plan = recipient.protection.plan(&place, senders);
            // Of a flow that has faults of its own, nobody knows whether it would go on.
            if book.flows.len() == self.flows.len() {
                faults.extend(recipient.protection.next_leg_fault(&place, senders));
            }
            match (plan, calendar) {
                (Ok(plan), Ok(calendar)) => {
                    book.recipients.insert(
                        name.clone(),
                        RecipientPlan { calendar, when_closed: recipient.called_when.when_closed, ..plan },
                    );
                }
                (Err(fault), _) => faults.push(fault),
                (Ok(_), Err(())) => {}
            }
        }
        faults
    }

    fn count_faults(&self) -> Vec<Fault> {
        let counts = [
            ("policies", self.policies.custom().count()),
            ("accounts", self.accounts.len()),
            ("calendars", self.calendars.len()),
            ("recipients", self.recipients.len()),
            ("flows", self.flows.len()),
        ];
        counts.into_iter().filter_map(|(table, count)| too_many(Place::of(table), count, NAMES_MAX)).collect()
    }

    /// The system's level and those given.
    fn chain<'a>(&'a self, nearer: &[Laid<'a>]) -> Chain<'a> {
        let mut levels = vec![Laid { level: Level::System, layer: &self.system, place: Place::of("retry") }];
        levels.extend_from_slice(nearer);
        Chain { levels, limits: None, policies: &self.policies }
    }

    fn account_level(&self, account: Option<&AccountName>) -> Vec<Laid<'_>> {
        let found = account.and_then(|name| self.accounts.get_key_value(name));
        let laid = found.map(|(name, account)| Laid {
            level: Level::Account(name.clone()),
            layer: &account.retry,
            place: account_place(name).key("retry"),
        });
        laid.into_iter().collect()
    }

    fn unknown_account(&self, place: &Place, account: Option<&AccountName>) -> Option<Fault> {
        let missing = account.filter(|name| !self.accounts.contains_key(*name))?;
        let known = names(self.accounts.keys().map(AccountName::as_str));
        Some(Fault::of(place.key("account"), &format!("{:?}", missing.as_str()), "is not an account", &known))
    }

    fn recipient_faults(&self, name: &RecipientName, recipient: &RecipientSettings) -> Vec<Fault> {
        let place = recipient_place(name);
        let mut levels = self.account_level(recipient.account.as_ref());
        levels.push(recipient_level(name, recipient));
        let mut faults = self.chain(&levels).standing_faults();
        faults.extend(name_fault_of_callback(&place, name.as_str(), false));
        faults.extend(self.unknown_account(&place, recipient.account.as_ref()));
        faults.extend(recipient.protection.faults(&place));
        faults.extend(limit_faults(&place.key("limits"), &recipient.limits));
        faults.extend(in_doubt_fault(&place, &recipient.in_doubt));
        faults.extend(guard_faults(&place, recipient.duplicates.as_ref()));
        faults.extend(recipient.returns.faults(&place));
        faults.extend(request_faults(&place, &recipient.request, recipient.auth.as_ref()));
        faults.extend(answers::recipient_faults(&place, recipient));
        faults
    }

    fn flow_plan(&self, name: &FlowName, flow: &FlowSettings) -> Result<FlowPlan, Vec<Fault>> {
        let place = flow_place(name);
        let mut levels = self.account_level(flow.account.as_ref());
        levels.push(flow_level(name, flow));
        let mut faults = self.chain(&levels).standing_faults();
        faults.extend(self.unknown_account(&place, flow.account.as_ref()));
        faults.extend(in_doubt_fault(&place, &flow.in_doubt));
        faults.extend(field_faults(&place.key("fields"), &flow.fields));
        faults.extend(source_list_faults(&place.key("sources"), &flow.sources));
        faults.extend(step_list_faults(&place, &flow.steps));
        faults.extend(flow.sale_faults(&place));
        faults.extend(flow.returns.faults(&place));
        let mut steps = Vec::with_capacity(flow.steps.len());
        for (index, step) in flow.steps.iter().enumerate() {
            let place = step_place(name, index);
            match (StepScope { settings: self, flow_name: name, flow, step, place, leg: None }).plan_legs() {
                Ok(plan) => steps.push(Arc::new(plan)),
                Err(found) => faults.extend(found),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let contacts = ContactFields::of(&flow.fields);
        let ties = flow.ties_of(&steps);
        Ok(FlowPlan { name: name.clone(), account: flow.account.clone(), steps, contacts, ties })
    }

    /// The flow that a flow's callbacks leave by, made and checked as any other; faults stand at the callbacks. `None` where
    /// no source has one.
    fn callbacks_plan(&self, name: &FlowName, flow: &FlowSettings) -> Result<Option<FlowPlan>, Vec<Fault>> {
        let place = flow_place(name);
        let Some((built_in, recipients)) = as_flow(flow) else {
            return name_fault_of_callback(&place, name.as_str(), false).map_or(Ok(None), |fault| Err(vec![fault]));
        };
        let own = name_fault_of_callback(&place, name.as_str(), true);
        let made = callback_flow(name).map_err(|_| own.clone().into_iter().collect::<Vec<_>>())?;
        let settings = Settings {
            policies: self.policies.clone(),
            system: self.system.clone(),
            accounts: self.accounts.clone(),
            recipients: recipients.into_iter().collect(),
            ..Settings::default()
        };
        let at = |index: usize| {
            let source = built_in.steps.get(index).map_or("", |step| step.id.as_str());
            place.key("sources").key(source).key("callback")
        };
        match settings.flow_plan(&made, &built_in) {
            Ok(plan) if own.is_none() => Ok(Some(plan)),
            Ok(_) => Err(own.into_iter().collect()),
            Err(found) => {
                Err(own.into_iter().chain(found.into_iter().map(|fault| callback_fault(fault, at))).collect())
            }
        }
    }

    /// The levels of a step, and its settings as they are laid over its recipient's; `None` for a step that is not there or
    /// whose recipient is not.
    pub(crate) fn step_scope<'a>(
        &'a self,
        flow_name: &'a FlowName,
        index: usize,
    ) -> Option<(StepScope<'a>, &'a RecipientSettings)> {
        let flow = self.flows.get(flow_name)?;
        let step = flow.steps.get(index)?;
        let recipient = self.recipients.get(&step.recipient)?;
        let place = step_place(flow_name, index);
        Some((StepScope { settings: self, flow_name, flow, step, place, leg: None }, recipient))
    }
}

/// One step with everything it is laid over.
pub(crate) struct StepScope<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) flow_name: &'a FlowName,
    pub(crate) flow: &'a FlowSettings,
    pub(crate) step: &'a StepSettings,
    pub(crate) place: Place,
    /// Which of its legs, where it is not about the step's own.
    pub(crate) leg: Option<LegScope<'a>>,
}

impl<'a> StepScope<'a> {
    /// System, account, flow, recipient, step, and the recipient's limits. The account is the flow's, else the recipient's.
    pub(crate) fn chain(&self, recipient: &'a RecipientSettings) -> Chain<'a> {
        let account = self.flow.account.as_ref().or(recipient.account.as_ref());
        let mut levels = self.settings.account_level(account);
        levels.push(flow_level(self.flow_name, self.flow));
        levels.push(recipient_level(&self.step.recipient, recipient));
        let level = Level::Step(self.step.id.clone());
        let place = self.steps_place().key("retry");
        levels.push(Laid { level, layer: &self.step.retry, place });
        levels.extend(self.leg.as_ref().and_then(LegScope::level));
        Chain { limits: Some((self.step.recipient.clone(), &recipient.limits)), ..self.settings.chain(&levels) }
    }

    /// What is wrong with what it says by itself.
    pub(crate) fn own_faults(&self) -> Vec<Fault> {
        let step = self.step;
        let mut faults = request_faults(&self.place, &step.request, step.auth.as_ref());
        faults.extend(in_doubt_fault(&self.place, &step.in_doubt));
        faults.extend(guard_faults(&self.place, step.duplicates.as_ref()));
        faults
    }

    pub(crate) fn plan(&self) -> Result<StepPlan, Vec<Fault>> {
        let step = self.step;
        let mut faults = self.own_faults();
        let Some(recipient) = self.settings.recipients.get(&step.recipient) else {
            let known = names(self.settings.recipients.keys().map(RecipientName::as_str));
            let given = format!("{:?}", step.recipient.as_str());
            faults.push(Fault::of(self.place.key("recipient"), &given, "is not a recipient", &known));
            return Err(faults);
        };
        faults.extend(self.foreign_recipient(recipient));
        let chain = self.chain(recipient);
        faults.extend(chain.standing_faults());
        let retry = chain.resolve().map_err(|found| faults.extend(found));
        let conditions = self.conditions_over(recipient, retry.as_ref().ok(), &mut faults);
        let request = self.request(recipient, &mut faults);
        let doubt = self.doubt(recipient);
        let look_up = self.look_up(&doubt, recipient).map_err(|found| faults.extend(found));
        let reading = self.reading(recipient).map_err(|found| faults.extend(found));
        match (retry, request, look_up, reading, conditions) {
            (Ok(retry), Some(request), Ok(look_up), Ok(reading), Some(conditions)) if faults.is_empty() => {
                Ok(StepPlan {
                    flow: self.flow_name.clone(),
                    step: step.id.clone(),
                    endpoint: Endpoint {
                        recipient: step.recipient.clone(),
                        origin: Arc::clone(request.address().origin()),
                    },
                    retry,
                    in_doubt: in_doubt(&doubt, self.flow.is_buyer(step)),
                    look_up,
                    request,
                    reading,
                    priority: step.priority.or(self.flow.priority).unwrap_or_default(),
                    duplicates: self.guard(recipient),
                    test_leads: step.test_leads.or(recipient.test_leads).unwrap_or_default(),
                    shadow: step.shadow,
                    tie: self.flow.tie(step),
                    price: step.sale.price.clone(),
                    returns: recipient.returns.over(&self.flow.returns),
                    place: self.flow.place_of_buyer(&step.id),
                    after: step.sale.after.clone(),
                    conditions,
                    balance: None,
                    leg: 0,
                    ends: LegEnds::default(),
                    next: None,
                    on_open: recipient.protection.breaker.on_open.unwrap_or_default(),
                    fallbacks: Vec::new(),
                })
            }
            _ => Err(faults),
        }
    }

    /// Only where the step verifies: the table may stand ready for another mode.
    fn look_up(
        &self,
        doubt: &InDoubtSettings,
        recipient: &RecipientSettings,
    ) -> Result<Option<LookUpPlan>, Vec<Fault>> {
        if doubt.mode != Some(InDoubtMode::Verify) {
            return Ok(None);
        }
        let auth = self.step.auth.as_ref().or(recipient.auth.as_ref());
        let (name, lookups) = (&self.step.recipient, &self.settings.lookups);
        let (reading, misfits) = match self.look_up_reading(&doubt.look_up.request, recipient) {
            Ok(reading) => (reading, Vec::new()),
            Err(misfits) => (Reading::default(), misfits),
        };
        let plan = LookUpPlan::build(&doubt.look_up, reading, name, auth, &self.flow.fields, lookups)
            .map_err(|found| found.into_iter().map(|fault| fault.under(&self.place)).collect::<Vec<_>>());
        match plan {
            Ok(plan) if misfits.is_empty() => Ok(Some(plan)),
            Ok(_) => Err(misfits),
            Err(found) => Err(found.into_iter().chain(misfits).collect()),
        }
    }

    /// What reads the answers to a step's leads.
    fn reading(&self, recipient: &RecipientSettings) -> Result<Reading, Vec<Fault>> {
        let (step, theirs) = (self.step, recipient_place(&self.step.recipient));
        let levels = [
            Said { response: &step.response, rules: &step.rules, place: self.place.clone() },
            Said { response: &recipient.response, rules: &recipient.rules, place: theirs },
        ];
        let format = step.request.over(&recipient.request).effective_format();
        answers::reading(&levels, answers::of_format(format))
    }

    /// What reads the answers to its look-ups.
    fn look_up_reading(&self, request: &RequestSettings, recipient: &RecipientSettings) -> Result<Reading, Vec<Fault>> {
        let levels = [
            said_of_look_ups(&self.step.in_doubt, &self.place),
            said_of_look_ups(&recipient.in_doubt, &recipient_place(&self.step.recipient)),
            said_of_look_ups(&self.flow.in_doubt, &flow_place(self.flow_name)),
        ];
        let mut last = answers::of_format(request.effective_format());
        last.push(not_found_rule());
        answers::reading(&levels, last)
    }

    /// What is done about doubt, from all levels that say something.
    pub(crate) fn doubt(&self, recipient: &RecipientSettings) -> InDoubtSettings {
        self.step.in_doubt.over(&recipient.in_doubt).over(&self.flow.in_doubt)
    }

    fn guard(&self, recipient: &RecipientSettings) -> Option<Arc<DuplicateGuard>> {
        let settings = self.step.duplicates.as_ref().or(recipient.duplicates.as_ref())?;
        Some(Arc::new(DuplicateGuard::new(settings.clone(), ContactFields::of(&self.flow.fields))))
    }

    fn foreign_recipient(&self, recipient: &RecipientSettings) -> Option<Fault> {
        let (ours, theirs) = (self.flow.account.as_ref()?, recipient.account.as_ref()?);
        let problem = format!("belongs to account {theirs}, the flow to account {ours}");
        let given = format!("{:?}", self.step.recipient.as_str());
        let place = self.place.key("recipient");
        (ours != theirs).then(|| Fault::of(place, &given, &problem, "a recipient of the flow's account, or of none"))
    }

    fn request(&self, recipient: &RecipientSettings, faults: &mut Vec<Fault>) -> Option<Request> {
        let settings = self.step.request.over(&recipient.request);
        let auth = self.step.auth.as_ref().or(recipient.auth.as_ref());
        let built = Request::build_with(&settings, auth, &self.flow.fields, &self.settings.lookups);
        built.map_err(|found| faults.extend(self.brought_home(found, recipient))).ok()
    }

    /// The faults of a step's request at the place where each was written: at the step, or at its recipient.
    fn brought_home(&self, found: Vec<Fault>, recipient: &RecipientSettings) -> Vec<Fault> {
        let told = request_faults(&Place::root(), &recipient.request, recipient.auth.as_ref());
        let theirs = recipient_place(&self.step.recipient);
        let inherited = |place: &Place| says(&recipient.request, place) && !says(&self.step.request, place);
        let home = |fault: Fault| if inherited(&fault.place) { fault.under(&theirs) } else { fault.under(&self.place) };
        // What the recipient has wrong by itself is told there already.
        found.into_iter().filter(|fault| !told.contains(fault)).map(home).collect()
    }
}

fn said_of_look_ups<'a>(doubt: &'a InDoubtSettings, place: &Place) -> Said<'a> {
    Said { response: &doubt.look_up.response, rules: &doubt.look_up.rules, place: place.key("verify") }
}

/// The place of an account.
pub(crate) fn account_place(name: &AccountName) -> Place {
    Place::of("accounts").key(name.as_str())
}

/// The place of a recipient.
pub(crate) fn recipient_place(name: &RecipientName) -> Place {
    Place::of("recipients").key(name.as_str())
}

/// The place of a flow.
pub(crate) fn flow_place(name: &FlowName) -> Place {
    Place::of("flows").key(name.as_str())
}

fn step_place(flow: &FlowName, index: usize) -> Place {
    flow_place(flow).key("steps").index(index)
}

fn recipient_level<'a>(name: &RecipientName, recipient: &'a RecipientSettings) -> Laid<'a> {
    let place = recipient_place(name).key("retry");
    Laid { level: Level::Recipient(name.clone()), layer: &recipient.retry, place }
}

fn flow_level<'a>(name: &FlowName, flow: &'a FlowSettings) -> Laid<'a> {
    Laid { level: Level::Flow(name.clone()), layer: &flow.retry, place: flow_place(name).key("retry") }
}

fn each_once(faults: Vec<Fault>) -> Vec<Fault> {
    let mut seen = HashSet::new();
    let mut first = |fault: &Fault| seen.insert((fault.place.clone(), fault.value.clone(), fault.problem.clone()));
    faults.into_iter().filter(|fault| first(fault)).collect()
}

pub(crate) fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 20;
    let mut names: Vec<&str> = names.take(SHOWN_MAX + 1).collect();
    if names.is_empty() {
        return "none is configured".to_owned();
    }
    if names.len() > SHOWN_MAX {
        names[SHOWN_MAX] = "...";
    }
    names.join(", ")
}

pub(crate) fn too_many(place: Place, count: usize, most: usize) -> Option<Fault> {
    (count > most).then(|| Fault::of(place, &format!("{count} entries"), "are too many", &format!("at most {most}")))
}

fn limit_faults(place: &Place, limits: &Limits) -> Vec<Fault> {
    let retries = limits.max_retries.filter(|value| !LIMIT_RETRIES.contains(value));
    let allowed = format!("{} to {}", LIMIT_RETRIES.start(), LIMIT_RETRIES.end());
    let retries =
        retries.map(|value| Fault::of(place.key("max_retries"), &value.to_string(), "is out of range", &allowed));
    let age = limits.max_lead_age.and_then(|age| MaxLeadAge::new(age, Reach::Standard).err());
    let age = age.map(|out| Fault::of(place.key(Key::MaxLeadAge.name()), &out.value, "is out of range", &out.allowed));
    retries.into_iter().chain(age).collect()
}

fn guard_faults(place: &Place, guard: Option<&DuplicateSettings>) -> Vec<Fault> {
    guard.map(|guard| guard.faults(&place.key("duplicates"))).unwrap_or_default()
}

/// What is wrong with a request's settings by themselves.
fn request_faults(place: &Place, settings: &RequestSettings, auth: Option<&Auth>) -> Vec<Fault> {
    let faults = settings.own_faults().into_iter().chain(auth.and_then(auth_fault));
    faults.map(|fault| fault.under(place)).collect()
}

fn step_list_faults(place: &Place, steps: &[StepSettings]) -> Vec<Fault> {
    let list = place.key("steps");
    if steps.is_empty() {
        return vec![Fault::unseen(list, "is empty: the flow would do nothing with its leads", "1 to 100 steps")];
    }
    let mut seen = HashSet::new();
    let repeated = steps.iter().enumerate().filter(|(_, step)| !seen.insert(&step.id));
    let repeated = repeated.map(|(index, step)| {
        let id = format!("{:?}", step.id.as_str());
        Fault::of(list.index(index).key("id"), &id, "stands twice in this flow", "an id of its own for each step")
    });
    repeated.chain(too_many(list.clone(), steps.len(), STEPS_MAX)).collect()
}
