//! How a flow sells a lead: every step on its own, or one buyer after another until one takes it; and steps that begin after
//! another.

use crate::amount::Amount;
use crate::place::{Fault, Place};
use crate::plan::StepPlan;
use crate::settings::{FlowSettings, StepSettings};
use crate::source::is_price;
use std::cmp::Reverse;
use std::sync::Arc;
use steadfast_lead::StepName;
use steadfast_retry::{Follow, StateName, Tie, Ties};

/// How the steps of a flow share a lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaleMode {
    /// Every step is sent the lead, whatever becomes of the others.
    #[default]
    Each,
    /// The buyers are offered it one after another; the first that takes it has it.
    FirstAccepted,
}

impl SaleMode {
    /// All of them.
    pub const ALL: [SaleMode; 2] = [SaleMode::Each, SaleMode::FirstAccepted];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            SaleMode::Each => "each",
            SaleMode::FirstAccepted => "first_accepted",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        SaleMode::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// Which buyer is tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaleOrder {
    /// The one whose step stands first.
    #[default]
    Listed,
    /// The one with the highest price.
    Price,
    /// The one with the highest score.
    Score,
}

impl SaleOrder {
    /// All of them.
    pub const ALL: [SaleOrder; 3] = [SaleOrder::Listed, SaleOrder::Price, SaleOrder::Score];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            SaleOrder::Listed => "listed",
            SaleOrder::Price => "price",
            SaleOrder::Score => "score",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        SaleOrder::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// What a flow says about selling. `None` is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaleSettings {
    /// How its steps share a lead.
    pub mode: Option<SaleMode>,
    /// Which buyer is tried first.
    pub order: Option<SaleOrder>,
}

/// What a step says about selling, and about when it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepSaleSettings {
    /// Whether it is a buyer in its flow's sale; `None` for every step that does not begin after another.
    pub buyer: Option<bool>,
    /// What it is expected to pay: a decimal number.
    pub price: Option<Box<str>>,
    /// How good it is among the buyers: a decimal number.
    pub score: Option<Box<str>>,
    /// After which step it begins; `None` for at once, or when its turn comes.
    pub after: Option<Follow>,
}

/// The ends a step may begin at.
pub const AFTER_ENDS: [StateName; 4] =
    [StateName::Delivered, StateName::Rejected, StateName::InReview, StateName::Closed];

impl FlowSettings {
    fn is_sale(&self) -> bool {
        match self.sale.mode.unwrap_or_default() {
            SaleMode::Each => false,
            SaleMode::FirstAccepted => true,
        }
    }

    /// Whether a step is one of the buyers of the flow's sale.
    pub(crate) fn is_buyer(&self, step: &StepSettings) -> bool {
        self.is_sale() && !step.shadow && step.sale.buyer.unwrap_or(step.sale.after.is_none())
    }

    /// How a step's deliveries are bound to others of their lead.
    pub(crate) fn tie(&self, step: &StepSettings) -> Tie {
        let mut after = self.steps.iter().filter_map(|other| other.sale.after.as_ref());
        Tie {
            buyer: self.is_buyer(step),
            follows: step.sale.after.is_some(),
            followed: after.any(|after| after.step == step.id),
        }
    }

    /// As which of how many buyers a step is tried, from 1.
    pub(crate) fn place_of_buyer(&self, step: &StepName) -> Option<(usize, usize)> {
        let order = self.ties().order;
        Some((order.iter().position(|buyer| buyer == step)? + 1, order.len()))
    }

    /// What the steps have to do with each other.
    pub(crate) fn ties(&self) -> Ties {
        let mut buyers: Vec<&StepSettings> = self.steps.iter().filter(|step| self.is_buyer(step)).collect();
        // Equal ones stay in the order they are listed.
        buyers.sort_by_key(|step| match self.sale.order.unwrap_or_default() {
            SaleOrder::Listed => Reverse(None),
            SaleOrder::Price => Reverse(step.sale.price.as_deref().and_then(Amount::parse)),
            SaleOrder::Score => Reverse(step.sale.score.as_deref().and_then(Amount::parse)),
        });
        let follows = self.steps.iter().filter_map(|step| Some((step.id.clone(), step.sale.after.clone()?)));
        let order = buyers.into_iter().map(|step| step.id.clone()).collect();
        Ties { order, follows: follows.collect(), ..Ties::default() }
    }

    /// The same with what the plans of its steps say about returns.
    pub(crate) fn ties_of(&self, plans: &[Arc<StepPlan>]) -> Ties {
        let buyers = plans.iter().filter(|plan| plan.tie.buyer);
        let resell = buyers.map(|plan| (plan.step.clone(), plan.returns.resell_within)).collect();
        Ties { resell, ..self.ties() }
    }

    /// What is wrong with how its steps are sold, and with what they begin after.
    pub(crate) fn sale_faults(&self, flow: &Place) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.is_sale() && !self.steps.is_empty() && !self.steps.iter().any(|step| self.is_buyer(step)) {
            let problem = "is a sale without a buyer: every step begins after another, or says buyer = false";
            faults.push(Fault::unseen(flow.key("sale"), problem, "at least one step that is a buyer"));
        }
        if !self.is_sale() && self.sale.order.is_some() {
            let problem = "stands in a flow whose steps are not sold one after another";
            faults.push(Fault::unseen(flow.key("sale").key("order"), problem, "sale.mode = \"first_accepted\""));
        }
        for (index, step) in self.steps.iter().enumerate() {
            faults.extend(self.step_faults(step, &flow.key("steps").index(index)));
        }
        faults
    }

    fn step_faults(&self, step: &StepSettings, place: &Place) -> Vec<Fault> {
        let sale = &step.sale;
        let number = |key: &str, given: Option<&str>| {
            let given = given.filter(|given| !is_price(given))?;
            let allowed = "a decimal number such as 12.50, up to 12 digits";
            Some(Fault::of(place.key(key), &format!("{given:?}"), &format!("is not a {key}"), allowed))
        };
        let mut faults: Vec<Fault> = number("price", sale.price.as_deref()).into_iter().collect();
        faults.extend(number("score", sale.score.as_deref()));
        faults.extend(self.missing_rank(step, place));
        if sale.buyer == Some(true) && !self.is_sale() {
            let problem = "says buyer in a flow that sells to every step";
            let allowed = "sale.mode = \"first_accepted\" in its flow";
            faults.push(Fault::of(place.key("buyer"), "true", problem, allowed));
        }
        if sale.buyer == Some(true) && step.shadow {
            let problem = "is a shadow, which sends nothing, but a buyer is sold to";
            faults.push(Fault::unseen(place.key("shadow"), problem, "shadow, or buyer = true"));
        }
        if sale.buyer == Some(true) && sale.after.is_some() {
            let problem = "begins after another step, but a buyer begins when its turn comes";
            faults.push(Fault::unseen(place.key("after"), problem, "after, or buyer = true"));
        }
        faults.extend(sale.after.as_ref().and_then(|after| self.after_fault(step, after, &place.key("after"))));
        faults
    }

    fn missing_rank(&self, step: &StepSettings, place: &Place) -> Option<Fault> {
        let (key, given) = match self.sale.order.unwrap_or_default() {
            SaleOrder::Listed => return None,
            SaleOrder::Price => ("price", &step.sale.price),
            SaleOrder::Score => ("score", &step.sale.score),
        };
        let problem = format!("is missing, and the buyers are tried in the order of their {key}");
        let missing = given.is_none() && self.is_buyer(step);
        missing.then(|| Fault::unseen(place.key(key), &problem, "a decimal number such as 12.50"))
    }

    fn after_fault(&self, step: &StepSettings, after: &Follow, place: &Place) -> Option<Fault> {
        let ends = AFTER_ENDS.map(StateName::name).join(", ");
        if after.on.is_empty() {
            return Some(Fault::unseen(place.key("on"), "is empty: the step would never begin", &ends));
        }
        if let Some(word) = after.on.iter().find(|end| !AFTER_ENDS.contains(end)) {
            let given = format!("{:?}", word.name());
            return Some(Fault::of(place.key("on"), &given, "is not an end of a step", &ends));
        }
        let given = format!("{:?}", after.step.as_str());
        let steps = self.steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>().join(", ");
        if !self.steps.iter().any(|other| other.id == after.step) {
            return Some(Fault::of(place.key("step"), &given, "is not a step of this flow", &steps));
        }
        let circle = self.circle(&step.id)?;
        let problem = format!("goes in a circle, so that none of its steps ever begins: {circle}");
        Some(Fault::of(place.key("step"), &given, &problem, "a step that does not come after this one"))
    }

    /// The way from a step back to itself, if what it follows leads there.
    fn circle(&self, from: &StepName) -> Option<String> {
        let mut way = vec![from];
        while way.len() <= self.steps.len() {
            let last = *way.last()?;
            let step = self.steps.iter().find(|step| step.id == *last)?;
            let next = &step.sale.after.as_ref()?.step;
            way.push(next);
            if next == from {
                return Some(way.iter().map(|step| step.as_str()).collect::<Vec<_>>().join(" after "));
            }
        }
        None
    }
}
