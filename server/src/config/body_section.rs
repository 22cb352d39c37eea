//! Reading a body laid out under `request.body`, and what its templates may look up: `[tables]` and `[secrets]`.
//!
//! Knows nothing of formats: a path is kept as it is written, and read where the format is known.

use super::tree::{Found, Section};
use std::collections::BTreeMap;
use std::sync::Arc;
use steadfast_flow::{BodyEntry, BodySettings, Lookups, Segment};
use steadfast_lead::{Number, Value};

/// `request.body`: one text, or values by their paths.
pub(crate) fn body(found: &Found<'_>) -> Option<BodySettings> {
    if found.is_text() {
        return found.template().map(|text| BodySettings::Text(text.into()));
    }
    let mut entries = Vec::new();
    for (name, inner) in found.entries() {
        collect(vec![Segment::Key(name.into())], &inner, &mut entries);
    }
    Some(BodySettings::Mapped(entries))
}

/// As deep as the parser lets a document nest, which is bounded. An empty table takes away what is farther out.
fn collect(path: Vec<Segment>, found: &Found<'_>, entries: &mut Vec<BodyEntry>) {
    let below = |segment: Segment| path.iter().cloned().chain([segment]).collect::<Vec<Segment>>();
    if found.is_table() {
        let inner = found.entries();
        if inner.is_empty() {
            entries.push(BodyEntry { path, value: None });
            return;
        }
        inner.iter().for_each(|(name, found)| collect(below(Segment::Key(name.as_str().into())), found, entries));
        return;
    }
    if found.is_list() && !found.is_empty_list() {
        (0..).zip(found.list()).for_each(|(place, found)| collect(below(Segment::Place(place)), &found, entries));
        return;
    }
    if let Some(value) = plain(found) {
        entries.push(BodyEntry { path, value: Some(value) });
    }
}

fn plain(found: &Found<'_>) -> Option<Value> {
    if found.is_empty_list() {
        return Some(Value::List(Vec::new()));
    }
    if found.is_decimals() {
        return found.decimals().map(Value::Number);
    }
    scalar(found, Found::template)
}

/// True or false, a whole number, or a text read by `text`.
pub(crate) fn scalar<'a>(found: &Found<'a>, text: impl Fn(&Found<'a>) -> Option<String>) -> Option<Value> {
    if found.is_boolean() {
        return found.boolean().map(Value::Bool);
    }
    if found.is_whole() {
        let whole = i64::try_from(found.whole()?).map_err(|_| found.wrong("is out of range"));
        return Some(Value::Number(Number::from_integer(whole.ok()?)));
    }
    text(found).map(|text| Value::text(&text))
}

/// `[tables.NAME]` and `[secrets]`.
pub(crate) fn lookups(root: &Section<'_>) -> Arc<Lookups> {
    let rows = |found: &Found<'_>| {
        let row = |(key, found): (String, Found<'_>)| Some((key.into(), found.text()?.into()));
        found.entries().into_iter().filter_map(row).collect::<BTreeMap<Box<str>, Box<str>>>()
    };
    let tables = root.named("tables").into_iter().map(|(name, found)| (name.into(), rows(&found))).collect();
    let secrets = root.named("secrets").into_iter().filter_map(|(name, found)| Some((name.into(), found.secret()?)));
    Arc::new(Lookups { tables, secrets: secrets.collect() })
}
