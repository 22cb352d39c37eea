//! Reading accounts, recipients and flows.

use super::auth_section::auth;
use super::balance_section::{balance, endpoints};
use super::calendar_section::called_when;
use super::cap_section::caps;
use super::condition_section::{adjust, terms};
use super::field_keys::FIELD;
use super::forgetting_section::duplicates;
use super::keys::{ACCOUNT, FLOW, LIMITS, RECIPIENT, STEP, Table};
use super::protection_section::protection;
use super::request_section::{request, request_table};
use super::response_section::{response, rules};
use super::retention_section::flow_retention;
use super::retry_keys::RETRY;
use super::retry_section::{layer, name, table_name};
use super::route_section::{fallbacks, follow_ups};
use super::sale_section::{returns, sale, step_sale};
use super::source_section::sources;
use super::tree::{Found, Section};
use super::verify_keys::VERIFY;
use std::collections::BTreeMap;
use steadfast_flow::{
    AccountSettings, FieldSettings, FieldType, FlowSettings, InDoubtMode, InDoubtSettings, LookUpSettings,
    RecipientSettings, StepSettings, TestLeads,
};
use steadfast_lead::{AccountName, BadName, FlowName, Priority, RecipientName, StepName};
use steadfast_retry::policy::{Layer, Limits};

/// Tables by name, each read by `read`. What is wrong with one is found even when its name is wrong too.
pub(crate) fn by_name<N: Ord, T>(
    entries: Vec<(String, Found<'_>)>,
    known: &'static Table,
    new: impl Fn(&str) -> Result<N, BadName>,
    read: impl Fn(&Section<'_>) -> T,
) -> BTreeMap<N, T> {
    let one = |(text, found): (String, Found<'_>)| {
        let settings = read(&found.section(known));
        Some((table_name(&text, &found, &new)?, settings))
    };
    entries.into_iter().filter_map(one).collect()
}

/// `[accounts.NAME]`.
pub(crate) fn accounts(entries: Vec<(String, Found<'_>)>) -> BTreeMap<AccountName, AccountSettings> {
    by_name(entries, &ACCOUNT, AccountName::new, |account| AccountSettings {
        time_zone: account.text("time_zone").map(Into::into),
        retry: retry(account),
        adjust: adjust(account),
    })
}

/// `[recipients.NAME]`.
pub(crate) fn recipients(entries: Vec<(String, Found<'_>)>) -> BTreeMap<RecipientName, RecipientSettings> {
    by_name(entries, &RECIPIENT, RecipientName::new, recipient)
}

fn recipient(recipient: &Section<'_>) -> RecipientSettings {
    let capped = recipient.section("limits", &LIMITS);
    RecipientSettings {
        account: account_name(recipient),
        protection: protection(recipient, &capped),
        called_when: called_when(recipient, &capped),
        retry: retry(recipient),
        adjust: adjust(recipient),
        limits: limits(&capped),
        in_doubt: in_doubt(recipient),
        request: request(recipient),
        auth: auth(recipient),
        response: response(recipient),
        rules: rules(recipient),
        duplicates: duplicates(recipient),
        test_leads: test_leads(recipient),
        returns: returns(recipient),
        caps: caps(recipient),
    }
}

/// `[flows.NAME]`.
pub(crate) fn flows(entries: Vec<(String, Found<'_>)>) -> BTreeMap<FlowName, FlowSettings> {
    by_name(entries, &FLOW, FlowName::new, |flow| FlowSettings {
        account: account_name(flow),
        retry: retry(flow),
        in_doubt: in_doubt(flow),
        priority: priority(flow),
        fields: flow.named("fields").iter().filter_map(|(name, found)| field(name, found)).collect(),
        sources: sources(flow.named("sources")),
        steps: steps(flow),
        retention: flow_retention(flow),
        sale: sale(flow),
        adjust: adjust(flow),
        returns: returns(flow),
        caps: caps(flow),
    })
}

fn steps(flow: &Section<'_>) -> Vec<StepSettings> {
    let list = flow.get("steps").map(|found| found.list()).unwrap_or_default();
    list.iter().enumerate().filter_map(|(index, found)| step(&found.section(&STEP), index)).collect()
}

/// A step whose name or recipient cannot be read gets a stand-in, so that the steps after it keep their places; the
/// problem is told, and a config with a problem is never used.
fn step(step: &Section<'_>, index: usize) -> Option<StepSettings> {
    let id = step.required("id").and_then(|found| name(&found, StepName::new));
    let recipient = step.required("recipient").and_then(|found| name(&found, RecipientName::new));
    let (retry, in_doubt, priority) = (retry(step), in_doubt(step), priority(step));
    let (request, auth) = (request(step), auth(step));
    let (response, rules, duplicates) = (response(step), rules(step), duplicates(step));
    let (test_leads, sale, terms) = (test_leads(step), step_sale(step), terms(step));
    let (fallbacks, follow_ups, caps) = (fallbacks(step), follow_ups(step), caps(step));
    let (candidates, balance) = (endpoints(step), balance(step));
    let id = id.or_else(|| StepName::new(&format!("unreadable-{index}")).ok())?;
    let recipient = recipient.or_else(|| RecipientName::new("unreadable").ok())?;
    Some(StepSettings {
        id,
        recipient,
        retry,
        in_doubt,
        priority,
        request,
        auth,
        response,
        rules,
        duplicates,
        test_leads,
        shadow: step.boolean("shadow").unwrap_or(false),
        sale,
        terms,
        candidates,
        balance,
        fallbacks,
        follow_ups,
        caps,
    })
}

fn test_leads(owner: &Section<'_>) -> Option<TestLeads> {
    let words = TestLeads::ALL.map(TestLeads::name);
    owner.get("test_leads").and_then(|found| found.word(TestLeads::from_name, &words))
}

pub(crate) fn retry(owner: &Section<'_>) -> Layer {
    layer(&owner.section("retry", &RETRY))
}

fn account_name(owner: &Section<'_>) -> Option<AccountName> {
    owner.get("account").and_then(|found| name(&found, AccountName::new))
}

fn limits(limits: &Section<'_>) -> Limits {
    Limits { max_retries: limits.count("max_retries"), max_lead_age: limits.duration("max_lead_age") }
}

pub(crate) fn in_doubt(owner: &Section<'_>) -> InDoubtSettings {
    let words = InDoubtMode::ALL.map(InDoubtMode::name);
    let verify = owner.section("verify", &VERIFY);
    InDoubtSettings {
        mode: owner.get("in_doubt").and_then(|found| found.word(InDoubtMode::from_name, &words)),
        delay: owner.duration("in_doubt_delay"),
        look_up: LookUpSettings { request: request_table(&verify), response: response(&verify), rules: rules(&verify) },
    }
}

pub(crate) fn priority(owner: &Section<'_>) -> Option<Priority> {
    let words = Priority::ALL.map(Priority::name);
    owner.get("priority").and_then(|found| found.word(Priority::from_name, &words))
}

/// A field by its short form (its type) or as a table.
fn field(name: &str, found: &Found<'_>) -> Option<FieldSettings> {
    let words = FieldType::ALL.map(FieldType::name);
    if found.is_text() {
        let kind = found.word(FieldType::from_name, &words)?;
        return Some(FieldSettings { name: name.into(), kind, aliases: Vec::new() });
    }
    let section = found.section(&FIELD);
    let kind = section.get("type").map(|found| found.word(FieldType::from_name, &words));
    let sensitive = section.boolean("sensitive").unwrap_or(false);
    let aliases = section.get("alias").map(|found| aliases(&found)).unwrap_or_default();
    let kind = if sensitive { FieldType::Sensitive } else { kind.unwrap_or(Some(FieldType::Text))? };
    Some(FieldSettings { name: name.into(), kind, aliases })
}

fn aliases(found: &Found<'_>) -> Vec<Box<str>> {
    if found.is_text() {
        return found.text().into_iter().map(Into::into).collect();
    }
    found.list().iter().filter_map(Found::text).map(Into::into).collect()
}
