//! Reading how a flow sells its leads.

use super::retry_section::name;
use super::sale_keys::{AFTER, RETURNS, SALE};
use super::tree::{Found, Section};
use steadfast_flow::{AFTER_ENDS, ReturnSettings, SaleMode, SaleOrder, SaleSettings, StepSaleSettings};
use steadfast_lead::StepName;
use steadfast_retry::{Follow, StateName};

/// `sale` of a flow.
pub(crate) fn sale(flow: &Section<'_>) -> SaleSettings {
    let sale = flow.section("sale", &SALE);
    let (modes, orders) = (SaleMode::ALL.map(SaleMode::name), SaleOrder::ALL.map(SaleOrder::name));
    SaleSettings {
        mode: sale.get("mode").and_then(|found| found.word(SaleMode::from_name, &modes)),
        order: sale.get("order").and_then(|found| found.word(SaleOrder::from_name, &orders)),
    }
}

/// `returns` of a recipient or a flow.
pub(crate) fn returns(owner: &Section<'_>) -> ReturnSettings {
    let returns = owner.section("returns", &RETURNS);
    ReturnSettings { within: returns.duration("within"), resell_within: returns.duration("resell_within") }
}

/// What a step says about selling, and about when it begins.
pub(crate) fn step_sale(step: &Section<'_>) -> StepSaleSettings {
    StepSaleSettings {
        buyer: step.boolean("buyer"),
        price: decimal(step, "price"),
        score: decimal(step, "score"),
        after: after(step),
    }
}

/// A number as it is written, or a text that holds one.
pub(crate) fn decimal(step: &Section<'_>, key: &'static str) -> Option<Box<str>> {
    let found = step.get(key)?;
    if found.is_decimals() {
        return found.decimals().map(|number| number.as_str().into());
    }
    if found.is_whole() { found.whole().map(|number| number.to_string().into()) } else { found.text().map(Into::into) }
}

fn after(step: &Section<'_>) -> Option<Follow> {
    let after = step.get("after")?.section(&AFTER);
    let on = after.get("on").map(|found| ends(&found));
    let step = after.required("step").and_then(|found| name(&found, StepName::new))?;
    Some(Follow { step, on: on.unwrap_or_else(|| vec![StateName::Delivered]) })
}

fn ends(found: &Found<'_>) -> Vec<StateName> {
    let words = AFTER_ENDS.map(StateName::name);
    let end = |found: &Found<'_>| found.word(|word| AFTER_ENDS.into_iter().find(|end| end.name() == word), &words);
    if found.is_text() { end(found).into_iter().collect() } else { found.list().iter().filter_map(end).collect() }
}
