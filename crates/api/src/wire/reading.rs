//! A response table and rules as they are written in JSON: the keys of the config.
//!
//! Takes down what was written, word by word, so that every misfit can be told at once; what is allowed is known by
//! [`Reading::build`] alone.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_retry::Reading;
use steadfast_retry::reading::{
    Compat, MatchSettings, Misfit, OutcomeWord, PathSettings, ResponseSettings, RuleSettings,
};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, Type};

/// `[response]`: what answers mean.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResponseTable {
    /// How bodies are read, whatever they declare.
    content_type: Option<Box<str>>,
    /// What is searched.
    outcome_search_path: Option<Box<str>>,
    /// What is searched for.
    outcome_search_term: Option<Box<str>>,
    /// What finding it means: success, failure or error.
    outcome_on_match: Option<Box<str>>,
    /// What means a business no.
    failure_search_term: Option<Box<str>>,
    /// What means that the recipient has the lead already.
    duplicate_search_term: Option<Box<str>>,
    /// What an answer means that no term decides: success, failure or error.
    on_unrecognized: Option<Box<str>>,
    /// Where the reason stands.
    reason_path: Option<Box<str>>,
    /// The reason of a failure where none stands there.
    default_reason: Option<Box<str>>,
    /// Where the price stands.
    price_path: Option<Box<str>>,
    /// The price of a success where none stands there, as text or a number.
    #[schema(schema_with = text_or_number, required = false)]
    fallback_price: Option<Value>,
    /// Where the recipient's own id of the lead stands.
    reference_path: Option<Box<str>>,
    /// `leadconduit`.
    compat: Option<Box<str>>,
}

/// One of `[[rules]]`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleTable {
    /// What `decided_by` says; its place in the list where there is none.
    name: Option<Box<str>>,
    /// What an answer must be like: everything it says.
    r#match: MatchTable,
    /// What it then means: success, failure or error; may be left to `kind`.
    outcome: Option<Box<str>>,
    /// Of which kind.
    kind: Option<Box<str>>,
    /// Why, in place of the recipient's words.
    reason: Option<Box<str>>,
    /// Whether it is retried, whatever `retry_on` says.
    retryable: Option<bool>,
    /// How long a retry waits at least, such as `90s`.
    delay: Option<Box<str>>,
}

/// What an answer must be like.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatchTable {
    /// A code (503), a class ("5xx"), or a list of them.
    #[schema(schema_with = one_or_list, required = false)]
    status: Option<Value>,
    /// Each of these headers holds its term.
    #[serde(default)]
    header: BTreeMap<Box<str>, Box<str>>,
    /// The body holds this term.
    body: Option<Box<str>>,
    /// A part of the body holds a term.
    path: Option<PathTable>,
    /// An error kind or a group (timeout, dns, connect), or a list of them.
    #[schema(schema_with = one_or_list, required = false)]
    kind: Option<Value>,
}

/// A part of a body.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathTable {
    /// Which part.
    path: Box<str>,
    /// What it holds; without one it only has to be there.
    term: Option<Box<str>>,
}

/// Checks a table and rules, and makes what reads answers by them.
///
/// # Errors
/// Every misfit, in the order found: words and types first.
pub(crate) fn build(table: ResponseTable, rules: Vec<RuleTable>) -> Result<Reading, Vec<Misfit>> {
    let mut taken = Taken::default();
    let response = taken.response(table);
    let rules: Vec<RuleSettings> = rules.into_iter().enumerate().map(|(index, rule)| taken.rule(index, rule)).collect();
    let mut misfits = taken.misfits;
    match Reading::build(&response, &rules) {
        Ok(reading) if misfits.is_empty() => Ok(reading),
        Ok(_) => Err(misfits),
        Err(found) => {
            // A word that could not be taken down is missing to the rest: told once.
            let told: Vec<String> = misfits.iter().map(|misfit| misfit.key.clone()).collect();
            misfits.extend(found.into_iter().filter(|misfit| !told.contains(&misfit.key)));
            Err(misfits)
        }
    }
}

#[derive(Default)]
struct Taken {
    misfits: Vec<Misfit>,
}

impl Taken {
    fn wrong(&mut self, key: String, value: String, problem: &str, allowed: &str) {
        self.misfits.push(Misfit { key, value: Some(value), problem: problem.into(), allowed: allowed.into() });
    }

    fn response(&mut self, table: ResponseTable) -> ResponseSettings {
        ResponseSettings {
            outcome_on_match: self.outcome("response.outcome_on_match", table.outcome_on_match.as_deref()),
            on_unrecognized: self.outcome("response.on_unrecognized", table.on_unrecognized.as_deref()),
            fallback_price: self.price(table.fallback_price),
            compat: self.word(
                "response.compat",
                table.compat.as_deref(),
                Compat::from_name,
                Compat::LeadConduit.name(),
            ),
            content_type: table.content_type,
            outcome_search_path: table.outcome_search_path,
            outcome_search_term: table.outcome_search_term,
            failure_search_term: table.failure_search_term,
            duplicate_search_term: table.duplicate_search_term,
            reason_path: table.reason_path,
            default_reason: table.default_reason,
            price_path: table.price_path,
            reference_path: table.reference_path,
        }
    }

    fn rule(&mut self, index: usize, rule: RuleTable) -> RuleSettings {
        let place = format!("rules[{index}]");
        let MatchTable { status, header, body, path, kind } = rule.r#match;
        let matches = MatchSettings {
            status: self.each(&format!("{place}.match.status"), status, "100 to 599, \"5xx\", or a list of them"),
            header: header.into_iter().collect(),
            body,
            path: path.map(|part| PathSettings { path: part.path, term: part.term }),
            kind: self.each(&format!("{place}.match.kind"), kind, "an error kind, timeout, dns, connect, or a list"),
        };
        RuleSettings {
            matches,
            outcome: self.outcome(&format!("{place}.outcome"), rule.outcome.as_deref()),
            delay: self.delay(format!("{place}.delay"), rule.delay.as_deref()),
            name: rule.name,
            kind: rule.kind,
            reason: rule.reason,
            retryable: rule.retryable,
        }
    }

    fn word<T>(&mut self, key: &str, text: Option<&str>, read: fn(&str) -> Option<T>, allowed: &str) -> Option<T> {
        let text = text?;
        let word = read(text);
        if word.is_none() {
            self.wrong(key.to_owned(), format!("{text:?}"), "is not one of its words", allowed);
        }
        word
    }

    fn outcome(&mut self, key: &str, text: Option<&str>) -> Option<OutcomeWord> {
        self.word(key, text, OutcomeWord::from_name, &OutcomeWord::ALL.map(OutcomeWord::name).join(", "))
    }

    fn delay(&mut self, key: String, text: Option<&str>) -> Option<Duration> {
        let text = text?;
        let delay = steadfast_sim::parse_duration(text);
        delay.map_err(|_| self.wrong(key, format!("{text:?}"), "is not a duration", "such as 90s; 1s to 1d")).ok()
    }

    fn price(&mut self, value: Option<Value>) -> Option<Box<str>> {
        let value = value?;
        let price = text(&value);
        if price.is_none() {
            let key = "response.fallback_price".to_owned();
            self.wrong(key, value.to_string(), "is not a price", "digits with a point, such as 12.50");
        }
        price
    }

    /// One value, or each of a list.
    fn each(&mut self, key: &str, value: Option<Value>, allowed: &str) -> Vec<Box<str>> {
        let values = match value {
            None => Vec::new(),
            Some(Value::Array(values)) => values,
            Some(value) => vec![value],
        };
        let one = |value: Value| {
            let one = text(&value);
            if one.is_none() {
                self.wrong(key.to_owned(), value.to_string(), "is neither text nor a number", allowed);
            }
            one
        };
        values.into_iter().filter_map(one).collect()
    }
}

fn text(value: &Value) -> Option<Box<str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn a(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

fn text_or_number() -> RefOr<Schema> {
    AnyOfBuilder::new().item(a(Type::String)).item(a(Type::Number)).into()
}

fn one_or_list() -> RefOr<Schema> {
    let one = || AnyOfBuilder::new().item(a(Type::String)).item(a(Type::Integer)).build();
    AnyOfBuilder::new()
        .item(a(Type::String))
        .item(a(Type::Integer))
        .item(ArrayBuilder::new().items(RefOr::T(Schema::AnyOf(one()))))
        .into()
}
