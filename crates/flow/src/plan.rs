//! The book: everything the engine needs to know, resolved and checked, one plan per step.

use crate::adjust::StepConditions;
use crate::balance::BalancePlan;
use crate::caps::CapBook;
use crate::duplicates::DuplicateGuard;
use crate::erasure::ErasureRules;
use crate::look_up::LookUpPlan;
use crate::person::ContactFields;
use crate::protection::OnOpen;
use crate::request::{RenderFailed, Rendered, Request};
use crate::retention::{Keep, RetentionRules};
use crate::returns::ReturnRules;
use crate::source::SourceSettings;
use crate::test_leads::TestLeads;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{
    AccountName, BUILT_IN_PREFIX, DeliveryId, FlowName, IdSequence, Lead, Priority, RecipientName, SourceName, StepName,
};
use steadfast_retry::breaker::{BreakerMode, BreakerSettings};
use steadfast_retry::calendar::Calendar;
use steadfast_retry::pace::{ConcurrencyLimit, LIMIT_MAX, PaceSettings};
use steadfast_retry::policy::Resolved;
use steadfast_retry::{
    Delivery, Endpoint, Follow, GuardSettings, HoldReason, InDoubt, LegEnds, LegProgress, NextLeg, Reading, Route,
    State, Tie, Ties, WhenClosed,
};

/// One step of a flow, ready to be followed. Each of its further legs is a plan as well, in `fallbacks`.
#[derive(Clone, Debug)]
pub struct StepPlan {
    /// The flow.
    pub flow: FlowName,
    /// The step.
    pub step: StepName,
    /// Whom it sends to, and where.
    pub endpoint: Endpoint,
    /// The retry policy, with the origin of each value.
    pub retry: Resolved,
    /// What to do about an attempt that was sent and not answered.
    pub in_doubt: InDoubt,
    /// How to ask whether the recipient has a lead; there wherever `in_doubt` is to verify.
    pub look_up: Option<LookUpPlan>,
    /// How the request is made.
    pub request: Request,
    /// How answers are read.
    pub reading: Reading,
    /// How urgent its deliveries are.
    pub priority: Priority,
    /// What keeps the same person from going to its recipient twice.
    pub duplicates: Option<Arc<DuplicateGuard>>,
    /// What becomes of test leads.
    pub test_leads: TestLeads,
    /// Everything is done but the send.
    pub shadow: bool,
    /// How its deliveries are bound to others of their lead.
    pub tie: Tie,
    /// What its recipient is expected to pay: a decimal number.
    pub price: Option<Box<str>>,
    /// How long its recipient may return a lead.
    pub returns: ReturnRules,
    /// As which of how many buyers it is tried, from 1; `None` for one that is no buyer.
    pub place: Option<(usize, usize)>,
    /// After which step it begins.
    pub after: Option<Follow>,
    /// Which leads it sends, and what is different about some.
    pub conditions: StepConditions,
    /// The candidates of a leg with several endpoints; `None` on those themselves. What else stands here is the first's.
    pub balance: Option<Arc<BalancePlan>>,
    /// Which leg of the step this is the plan of; 0 is the step's own.
    pub leg: u8,
    /// What follows the end of this leg.
    pub ends: LegEnds,
    /// The leg after this one.
    pub next: Option<NextLeg>,
    /// What becomes of its deliveries while its endpoint's breaker is open; never the next leg where there is none.
    pub on_open: OnOpen,
    /// The legs after the step's own, in order; empty on those themselves.
    pub fallbacks: Vec<Arc<StepPlan>>,
}

impl StepPlan {
    /// Makes the request for a lead. The same lead and the same mapping give the same bytes.
    ///
    /// # Errors
    /// [`RenderFailed`] when this lead does not fit the mapping.
    pub fn render(&self, lead: &Lead) -> Result<Rendered, RenderFailed> {
        self.request.render(lead)
    }

    /// All its legs, the step's own first.
    pub fn legs(self: &Arc<Self>) -> impl Iterator<Item = &Arc<StepPlan>> {
        std::iter::once(self).chain(&self.fallbacks)
    }

    /// Every plan by which its deliveries may go: of each leg, or of each of its candidates.
    pub fn ways(self: &Arc<Self>) -> impl Iterator<Item = &Arc<StepPlan>> {
        self.legs().flat_map(|leg| leg.ways_of_leg())
    }

    /// The plans by which deliveries on this leg may go: its own, or those of its candidates.
    pub fn ways_of_leg(self: &Arc<Self>) -> impl Iterator<Item = &Arc<StepPlan>> {
        let candidates = self.balance.iter().flat_map(|balance| &balance.candidates).map(|one| &one.plan);
        self.balance.is_none().then_some(self).into_iter().chain(candidates)
    }

    /// The plan of a delivery on this leg: of the candidate it goes to, or of the leg's one endpoint. `None` where the
    /// configuration no longer has that candidate, or none is chosen.
    pub fn way<'a>(self: &'a Arc<Self>, delivery: &Delivery) -> Option<&'a Arc<StepPlan>> {
        let Some(balance) = &self.balance else { return Some(self) };
        let choice = delivery.choice.as_ref()?;
        balance.candidate(&choice.candidate).map(|one| &one.plan)
    }

    /// Tells the candidates of a leg what was found of the leg.
    pub(crate) fn tell_candidates(&mut self) {
        let StepPlan { leg, ends, next, balance, .. } = self;
        let Some(balance) = balance else { return };
        for one in &mut Arc::make_mut(balance).candidates {
            let plan = Arc::make_mut(&mut one.plan);
            (plan.leg, plan.ends, plan.next) = (*leg, ends.clone(), next.clone());
        }
    }

    /// Whether another buyer comes after it.
    pub fn has_next_buyer(&self) -> bool {
        self.place.is_some_and(|(place, of)| place < of)
    }

    /// What may follow this leg.
    pub fn route(&self) -> Route<'_> {
        Route { ends: Some(&self.ends), next: self.next.as_ref() }
    }

    /// The delivery a lead makes at this step, due at once unless it follows another.
    pub fn delivery(&self, lead: &Lead, ids: &mut IdSequence) -> Delivery {
        let due = lead.accepted_at;
        let after = State::Held { due, until: due, why: HoldReason::After };
        Delivery {
            id: ids.next::<DeliveryId>(lead.accepted_at),
            lead: lead.id,
            flow: self.flow.clone(),
            step: self.step.clone(),
            endpoint: self.endpoint.clone(),
            accepted_at: lead.accepted_at,
            // What cannot be answered is found when it comes due.
            priority: self.in_force(lead, 1, lead.accepted_at).map_or(self.priority, |in_force| in_force.priority),
            test: lead.test,
            tie: self.tie,
            choice: None,
            booking: None,
            version: 0,
            attempts: 0,
            progress: LegProgress::default(),
            body: None,
            last_kind: None,
            state: if self.tie.follows { after } else { State::Waiting { due } },
        }
    }
}

/// A delivery's step, or its leg of the step, stands in the configuration no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegGone {
    flow: FlowName,
    step: StepName,
    /// The leg, where the step is there still.
    leg: Option<u8>,
}

impl fmt::Display for LegGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration no longer has ")?;
        if let Some(leg) = self.leg {
            write!(f, "leg {leg} of ")?;
        }
        write!(f, "step {} of flow {}", self.step, self.flow)
    }
}

/// One flow, ready to be followed.
#[derive(Clone, Debug)]
pub struct FlowPlan {
    /// Its name.
    pub name: FlowName,
    /// Whose it is.
    pub account: Option<AccountName>,
    /// What it does with a lead, in order; each step is a delivery of its own.
    pub steps: Vec<Arc<StepPlan>>,
    /// Where its leads say who they are about.
    pub contacts: ContactFields,
    /// What its steps have to do with each other.
    pub ties: Ties,
}

impl FlowPlan {
    /// The step of that name.
    pub fn step(&self, name: &StepName) -> Option<&Arc<StepPlan>> {
        self.steps.iter().find(|step| step.step == *name)
    }

    /// Every plan by which deliveries of its steps may go.
    pub fn ways(&self) -> impl Iterator<Item = &Arc<StepPlan>> {
        self.steps.iter().flat_map(|step| step.ways())
    }

    /// The deliveries a lead makes in this flow: due at once, but for buyers whose turn comes later and steps that follow
    /// another.
    pub fn deliveries(&self, lead: &Lead, ids: &mut IdSequence) -> Vec<Delivery> {
        let mut deliveries: Vec<Delivery> = self.steps.iter().map(|step| step.delivery(lead, ids)).collect();
        let due = lead.accepted_at;
        let later = deliveries.iter_mut().filter(|one| one.tie.buyer && Some(&one.step) != self.ties.order.first());
        later.for_each(|one| one.state = State::Held { due, until: due, why: HoldReason::Turn });
        deliveries
    }
}

/// What is known of a recipient beside its steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientPlan {
    /// Breaker and retry budget of each of its endpoints.
    pub guard: GuardSettings,
    /// How many attempts in a span of time, and how many at once, over all its endpoints.
    pub pace: PaceSettings,
    /// What becomes of deliveries while a breaker is open.
    pub on_open: OnOpen,
    /// How long an open breaker may hold a delivery before a person looks; `None` for as long as the lead keeps.
    pub longest_hold: Option<Duration>,
    /// When it may be called; `None` for always.
    pub calendar: Option<Arc<Calendar>>,
    /// What becomes of what comes due while it is closed.
    pub when_closed: WhenClosed,
}

impl RecipientPlan {
    /// Nothing is held back: no breaker, no budget, no rate, and as many at once as there can be.
    pub fn unprotected() -> Self {
        let breaker = BreakerSettings { mode: BreakerMode::Off, ..BreakerSettings::default() };
        RecipientPlan {
            guard: GuardSettings { breaker, budget: false },
            pace: PaceSettings { rate: None, concurrency: ConcurrencyLimit::Fixed(LIMIT_MAX) },
            ..RecipientPlan::default()
        }
    }
}

/// Everything configured, resolved and checked, under one version.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Which version of the configuration.
    pub version: u64,
    /// The flows by name.
    pub flows: HashMap<FlowName, Arc<FlowPlan>>,
    /// The recipients by name.
    pub recipients: HashMap<RecipientName, RecipientPlan>,
    /// The sources by flow and name.
    pub sources: HashMap<FlowName, HashMap<SourceName, Arc<SourceSettings>>>,
    /// How sources are called back, by the flow that their leads enter.
    pub callbacks: HashMap<FlowName, Arc<FlowPlan>>,
    /// What happens when a person who asked for deletion comes in again.
    pub erasure: ErasureRules,
    /// How long what has ended is kept.
    pub retention: RetentionRules,
    /// How long the leads of single flows are, in place of that.
    pub flow_retention: BTreeMap<FlowName, Keep>,
    /// How many may be accepted in a period.
    pub caps: CapBook,
}

impl Book {
    /// A source of a flow, with both names as the book has them; `None` for one that is not configured.
    pub fn source(&self, flow: &str, source: &str) -> Option<(&FlowName, &SourceName, &Arc<SourceSettings>)> {
        let (flow, sources) = self.sources.get_key_value(flow)?;
        let (source, settings) = sources.get_key_value(source)?;
        Some((flow, source, settings))
    }

    /// How a recipient is treated; one that callbacks go to is not configured by itself, and has the defaults. `None` for one
    /// that the configuration does not have.
    pub fn recipient(&self, name: &RecipientName) -> Option<Cow<'_, RecipientPlan>> {
        let is_told = || {
            let mut ways = self.callbacks.values().flat_map(|flow| flow.ways());
            ways.any(|way| way.endpoint.recipient == *name)
        };
        let configured = self.recipients.get(name).map(Cow::Borrowed);
        configured.or_else(|| is_told().then(|| Cow::Owned(RecipientPlan::default())))
    }

    /// When a recipient may be called; `None` for always, and for one that is not configured.
    pub fn calendar(&self, recipient: &RecipientName) -> Option<&Arc<Calendar>> {
        self.recipients.get(recipient)?.calendar.as_ref()
    }

    /// The steps that send to each recipient; a recipient of none is not there.
    pub(crate) fn steps_by_recipient(&self) -> HashMap<RecipientName, Vec<Arc<StepPlan>>> {
        let mut steps: HashMap<RecipientName, Vec<Arc<StepPlan>>> = HashMap::new();
        for leg in self.flows.values().flat_map(|flow| flow.ways()) {
            steps.entry(leg.endpoint.recipient.clone()).or_default().push(Arc::clone(leg));
        }
        steps
    }

    /// A flow, configured or built in.
    pub fn flow(&self, name: &str) -> Option<&Arc<FlowPlan>> {
        match name.strip_prefix(BUILT_IN_PREFIX) {
            Some(of) => self.callbacks.get(of),
            None => self.flows.get(name),
        }
    }

    /// Every flow, configured or built in.
    pub fn all_flows(&self) -> impl Iterator<Item = &Arc<FlowPlan>> + Clone {
        self.flows.values().chain(self.callbacks.values())
    }

    /// The plan by which a delivery goes: of the leg it is on, and there of its candidate. Where nobody has chosen one, or the
    /// configuration no longer has it, of the first.
    ///
    /// # Errors
    /// What the configuration no longer has: its step, or that leg of it.
    pub fn way(&self, delivery: &Delivery) -> Result<&Arc<StepPlan>, LegGone> {
        let leg = self.leg(delivery)?;
        Ok(leg.way(delivery).unwrap_or(leg))
    }

    /// The plan of the leg that a delivery is on.
    ///
    /// # Errors
    /// What the configuration no longer has: its step, or that leg of it.
    pub fn leg(&self, delivery: &Delivery) -> Result<&Arc<StepPlan>, LegGone> {
        let (flow, step, leg) = (&delivery.flow, &delivery.step, delivery.progress.leg);
        let gone = |leg| LegGone { flow: flow.clone(), step: step.clone(), leg };
        let plan = self.step(flow, step).ok_or_else(|| gone(None))?;
        plan.legs().nth(usize::from(leg)).ok_or_else(|| gone(Some(leg)))
    }

    /// The plan of a step; `None` when the configuration no longer has it.
    pub fn step(&self, flow: &FlowName, step: &StepName) -> Option<&Arc<StepPlan>> {
        self.flow(flow.as_str())?.step(step)
    }
}
