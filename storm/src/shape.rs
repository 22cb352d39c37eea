//! What is configured in a run: recipients, flows, policies and ways with doubt, drawn from the seed, and changed between
//! restarts and reloads as an operator would.

use crate::bars::{KEPT_FOR, ONCE_IN};
use crate::dice::Dice;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_engine::EngineLimits;
use steadfast_flow::{
    Address, Book, BreakerKeys, CapSettings, CapsSettings, DuplicateAction, DuplicateOn, DuplicateSettings,
    FlowSettings, InDoubtMode, InDoubtSettings, Keep, LookUpSettings, ProtectionSettings, RecipientSettings,
    RequestSettings, RetentionRules, SaleMode, SaleSettings, Settings, StepSettings,
};
use steadfast_lead::{FlowName, Priority, RecipientName, StepName, Value};
use steadfast_retry::breaker::BreakerMode;
use steadfast_retry::pace::{ConcurrencyLimit, Rate};
use steadfast_retry::policy::{Jitter, Layer};
use steadfast_retry::reading::{MatchSettings, OutcomeWord, ResponseSettings, RuleSettings};
use steadfast_retry::{CapPer, OnCap};

/// Everything configured.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) recipients: Vec<RecipientShape>,
    pub(crate) flows: Vec<FlowShape>,
    pub(crate) limits: EngineLimits,
    pub(crate) version: u64,
    /// What has ended is deleted after a while.
    pub(crate) prunes: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct RecipientShape {
    mode: InDoubtMode,
    delay: Duration,
    protection: ProtectionSettings,
    /// Which of its machines it is reached at.
    host: u64,
    /// Which mapping its body is made with.
    mapping: u64,
    retry: Layer,
    cap: Option<CapShape>,
    /// What it does about people who come again.
    guard: Option<(DuplicateOn, DuplicateAction)>,
}

/// How many may be accepted in all: a run is within one month.
#[derive(Clone, Copy, Debug)]
struct CapShape {
    max: u64,
    on_cap: OnCap,
}

#[derive(Clone, Debug)]
pub(crate) struct FlowShape {
    /// Each step's recipient; `None` for one that was removed.
    steps: Vec<Option<usize>>,
    priority: Priority,
    /// Whether its steps are buyers of whom one gets the lead.
    sells: bool,
    cap: Option<CapShape>,
}

const SECOND: Duration = Duration::from_secs(1);

impl Shape {
    /// The first configuration.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let recipients: Vec<RecipientShape> = (0..dice.between(1, 4)).map(|_| RecipientShape::draw(dice)).collect();
        let flows = (0..dice.between(1, 3)).map(|_| FlowShape::draw(dice, recipients.len())).collect();
        Shape { recipients, flows, limits: draw_limits(dice), version: 1, prunes: false }
    }

    /// Every flow sells to the first of three buyers that takes the lead.
    pub(crate) fn sell(&mut self) {
        const BUYERS: usize = 3;
        let recipients = self.recipients.len().max(1);
        for flow in &mut self.flows {
            let more = (flow.steps.len()..BUYERS).map(|number| Some(number % recipients));
            flow.steps.extend(more);
            flow.sells = true;
        }
    }

    /// Every recipient takes a few leads and no more, and so do some flows.
    pub(crate) fn cap(&mut self, dice: &mut Dice) {
        self.recipients.iter_mut().for_each(|recipient| recipient.cap = Some(CapShape::draw(dice)));
        let flows = self.flows.iter_mut();
        flows.for_each(|flow| flow.cap = dice.chance(40).then(|| CapShape::draw(dice)));
    }

    /// Some recipients take a person once, and what has ended is deleted.
    pub(crate) fn mind_people(&mut self, dice: &mut Dice) {
        self.prunes = true;
        for recipient in &mut self.recipients {
            let on = [DuplicateOn::Delivered, DuplicateOn::Sent][dice.place(2)];
            let action = DuplicateAction::ALL[dice.place(DuplicateAction::ALL.len())];
            recipient.guard = dice.chance(60).then_some((on, action));
        }
    }

    /// What is capped, by name, and how many it may take: the recipients, and the flows.
    pub(crate) fn caps(&self) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
        let named = |of: &str, caps: Vec<Option<CapShape>>| {
            let known = caps.into_iter().enumerate();
            known.filter_map(|(number, cap)| Some((format!("{of}{number}"), cap?.max))).collect()
        };
        let recipients = self.recipients.iter().map(|recipient| recipient.cap).collect();
        (named("r", recipients), named("f", self.flows.iter().map(|flow| flow.cap).collect()))
    }

    /// Changes one thing, or a few.
    pub(crate) fn change(&mut self, dice: &mut Dice) {
        for _ in 0..dice.between(1, 3) {
            let place = dice.place(self.recipients.len());
            let fresh = RecipientShape::draw(dice);
            let Some(recipient) = self.recipients.get_mut(place) else { continue };
            match dice.below(7) {
                0 => recipient.mode = fresh.mode,
                1 => recipient.host = fresh.host,
                2 => recipient.mapping += 1,
                3 => recipient.protection = fresh.protection,
                4 => recipient.delay = fresh.delay,
                5 => recipient.retry = fresh.retry,
                _ => self.change_step(dice),
            }
        }
    }

    fn change_step(&mut self, dice: &mut Dice) {
        let (flow, recipients) = (dice.place(self.flows.len()), self.recipients.len());
        let Some(flow) = self.flows.get_mut(flow) else { return };
        let step = dice.place(flow.steps.len());
        // A flow has a step at least.
        let may_go = flow.steps.iter().flatten().count() > 1;
        let Some(step) = flow.steps.get_mut(step) else { return };
        // Taken out, or brought back, perhaps to somebody else.
        *step = if may_go && step.is_some() && dice.chance(40) { None } else { Some(dice.place(recipients)) };
    }

    /// Changes the bounds a process runs with: only possible at a restart.
    pub(crate) fn change_limits(&mut self, dice: &mut Dice) {
        self.limits = draw_limits(dice);
    }

    /// The book it makes.
    ///
    /// # Errors
    /// What is wrong with it: a fault of the storm's own.
    pub(crate) fn book(&self) -> Result<Book, String> {
        self.settings()?.compile(self.version).map_err(|faults| format!("the storm's own settings: {faults:?}"))
    }

    fn settings(&self) -> Result<Settings, String> {
        let mut settings = Settings::default();
        if self.prunes {
            let kept = Keep::For(KEPT_FOR);
            settings.retention = RetentionRules { leads: kept, journal: kept, ..RetentionRules::default() };
        }
        for (number, recipient) in self.recipients.iter().enumerate() {
            settings.recipients.insert(recipient_name(number)?, recipient.settings(number)?);
        }
        for (number, flow) in self.flows.iter().enumerate() {
            settings.flows.insert(flow_name(number)?, flow.settings()?);
        }
        Ok(settings)
    }
}

fn draw_limits(dice: &mut Dice) -> EngineLimits {
    let most = [1, 2, 3, 8, 64];
    EngineLimits {
        slots: most[dice.place(most.len())],
        window: [1, 2, 4, 64][dice.place(4)],
        open_max: if dice.chance(10) { dice.between(3, 20) } else { 1_000_000 },
        ..EngineLimits::default()
    }
}

impl RecipientShape {
    fn draw(dice: &mut Dice) -> Self {
        let modes = [
            (5, InDoubtMode::Retry),
            (2, InDoubtMode::Verify),
            (1, InDoubtMode::Hold),
            (1, InDoubtMode::AssumeDelivered),
        ];
        RecipientShape {
            mode: dice.weighed(&modes, InDoubtMode::Retry),
            delay: SECOND * [0, 5, 60][dice.place(3)],
            protection: draw_protection(dice),
            host: dice.below(3),
            mapping: 0,
            retry: draw_retry(dice),
            cap: None,
            guard: None,
        }
    }

    fn settings(&self, number: usize) -> Result<RecipientSettings, String> {
        let address = |text: String| Address::parse(&text).map_err(|error| error.to_string());
        let host = format!("r{number}-{}.test", self.host);
        let asked =
            RequestSettings { url: Some(address(format!("http://{host}/status"))?), ..RequestSettings::default() };
        let look_up = LookUpSettings { request: asked, ..LookUpSettings::default() };
        let request = RequestSettings {
            url: Some(address(format!("http://{host}/leads"))?),
            fields: vec![("mapping".into(), Value::text(&self.mapping.to_string()))],
            ..RequestSettings::default()
        };
        Ok(RecipientSettings {
            protection: self.protection.clone(),
            retry: self.retry.clone(),
            in_doubt: InDoubtSettings { mode: Some(self.mode), delay: Some(self.delay), look_up },
            request,
            rules: vec![says_no("409", "duplicate"), says_no("422", "rejected")],
            caps: settings_of(self.cap),
            duplicates: self.guard.map(|(on, action)| DuplicateSettings {
                fields: vec!["email".into()],
                window: ONCE_IN,
                on,
                action,
            }),
            ..RecipientSettings::default()
        })
    }
}

impl CapShape {
    fn draw(dice: &mut Dice) -> Self {
        let on_cap = [OnCap::Hold, OnCap::Skip, OnCap::Reject][dice.place(3)];
        CapShape { max: dice.between(1, 8), on_cap }
    }
}

fn settings_of(cap: Option<CapShape>) -> CapsSettings {
    let caps = cap.iter().map(|cap| CapSettings { per: CapPer::Month, max: cap.max, time_zone: None }).collect();
    CapsSettings { caps, on_cap: cap.map(|cap| cap.on_cap) }
}

fn draw_protection(dice: &mut Dice) -> ProtectionSettings {
    let modes = [(3, None), (4, Some(BreakerMode::Off)), (1, Some(BreakerMode::Observe))];
    let rates = ["1/s", "30/min", "20/s"];
    ProtectionSettings {
        concurrency: if dice.chance(30) { Some(ConcurrencyLimit::Fixed([1, 2, 5][dice.place(3)])) } else { None },
        rate_limit: if dice.chance(15) { Rate::parse(rates[dice.place(rates.len())]).ok() } else { None },
        retry_budget: Some(dice.chance(50)),
        breaker: BreakerKeys { mode: dice.weighed(&modes, None), ..BreakerKeys::default() },
        ..ProtectionSettings::default()
    }
}

fn draw_retry(dice: &mut Dice) -> Layer {
    let initial = dice.between(1, 30);
    Layer {
        enabled: Some(!dice.chance(5)),
        max_retries: Some(u32::try_from(dice.between(1, 8)).unwrap_or(1)),
        initial_delay: Some(SECOND * u32::try_from(initial).unwrap_or(1)),
        multiplier_thousandths: Some([1_500, 2_000, 3_000][dice.place(3)]),
        max_interval: Some(Duration::from_secs(dice.between(initial, 300))),
        total_timeout: Some(Duration::from_secs([60, 900, 3_600][dice.place(3)])),
        jitter: if dice.chance(50) { Some(Jitter::None) } else { None },
        max_lead_age: Some(Duration::from_secs([600, 7_200, 86_400][dice.place(3)])),
        ..Layer::default()
    }
}

/// A status that is the business's no.
fn says_no(status: &str, kind: &str) -> RuleSettings {
    let matches = MatchSettings { status: vec![status.into()], ..MatchSettings::default() };
    RuleSettings { matches, outcome: Some(OutcomeWord::Failure), kind: Some(kind.into()), ..RuleSettings::default() }
}

impl FlowShape {
    fn draw(dice: &mut Dice, recipients: usize) -> Self {
        let steps = (0..dice.between(1, 3)).map(|_| Some(dice.place(recipients))).collect();
        let priority = *[Priority::default(), Priority::High].get(dice.place(2)).unwrap_or(&Priority::High);
        FlowShape { steps, priority, sells: false, cap: None }
    }

    fn settings(&self) -> Result<FlowSettings, String> {
        let mut steps = Vec::new();
        for (number, recipient) in self.steps.iter().enumerate() {
            let Some(recipient) = recipient else { continue };
            steps.push(StepSettings {
                id: StepName::new(&format!("s{number}")).map_err(|error| error.to_string())?,
                recipient: recipient_name(*recipient)?,
                retry: Layer::default(),
                in_doubt: InDoubtSettings::default(),
                priority: None,
                request: RequestSettings::default(),
                auth: None,
                response: ResponseSettings::default(),
                rules: Vec::new(),
                duplicates: None,
                test_leads: None,
                shadow: false,
                sale: Default::default(),
                terms: Default::default(),
                fallbacks: Vec::new(),
                candidates: Vec::new(),
                balance: Default::default(),
                follow_ups: Default::default(),
                caps: Default::default(),
            });
        }
        let mode = self.sells.then_some(SaleMode::FirstAccepted);
        let sale = SaleSettings { mode, order: None };
        let caps = settings_of(self.cap);
        Ok(FlowSettings { steps, priority: Some(self.priority), sale, caps, ..FlowSettings::default() })
    }
}

fn recipient_name(number: usize) -> Result<RecipientName, String> {
    RecipientName::new(&format!("r{number}")).map_err(|error| error.to_string())
}

/// The name of a flow by its number.
pub(crate) fn flow_name(number: usize) -> Result<FlowName, String> {
    FlowName::new(&format!("f{number}")).map_err(|error| error.to_string())
}
