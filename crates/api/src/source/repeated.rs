//! Telling a repeated request: by its key, or by what it says.
//!
//! Guards live in one name space per flow. Those made here begin with a character that no key in a header can hold, so that
//! no source can meet the guards of another, or of the API.

use crate::wire::hex;
use sha2::{Digest, Sha256};
use steadfast_engine::Idempotency;
use steadfast_flow::RequestWindow;
use steadfast_lead::{Fields, SourceName, Value};

const MARK: char = '\u{1}';

/// The guard of a request that brought its own key.
pub(crate) fn by_key(source: &SourceName, key: &str, fields: &Fields) -> Idempotency {
    let mut said = Vec::new();
    steadfast_lead::write_object(fields, &mut said);
    let key = format!("{MARK}source{MARK}{source}{MARK}key{MARK}{key}");
    Idempotency { key: key.into(), digest: Sha256::digest(&said).into(), keep_for: None }
}

/// The guard of a request by what it says; `None` when it has none of the fields that are compared.
pub(crate) fn by_fields(source: &SourceName, window: &RequestWindow, fields: &Fields) -> Option<Idempotency> {
    let mut said = Sha256::new();
    let mut any = false;
    if window.fields.is_empty() {
        any = !fields.is_empty();
        object(fields, &mut said);
    }
    for name in &window.fields {
        let value = at(fields, name).filter(|value| **value != Value::Null && !is_blank(value));
        any |= value.is_some();
        part(b'F', name, &mut said);
        match value {
            Some(value) => normal(value, &mut said),
            None => part(b'-', "", &mut said),
        }
    }
    let digest: [u8; 32] = said.finalize().into();
    let key = format!("{MARK}source{MARK}{source}{MARK}said{MARK}{}", hex(&digest));
    any.then(|| Idempotency { key: key.into(), digest, keep_for: Some(window.window) })
}

fn is_blank(value: &Value) -> bool {
    value.as_plain().is_some_and(|text| text.trim().is_empty())
}

/// A field by its name, or nested by dots.
fn at<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    if let Some(value) = fields.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    match fields.get(first)? {
        Value::Object(inner) => at(inner, rest),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => None,
    }
}

/// A kind, a length and a text: two different things never write the same.
fn part(kind: u8, text: &str, said: &mut Sha256) {
    said.update([kind]);
    said.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
    said.update(text);
}

/// Without regard to case, blanks, the order of names, and whether a number was written as text.
fn normal(value: &Value, said: &mut Sha256) {
    match value {
        Value::List(values) => {
            part(b'L', &values.len().to_string(), said);
            values.iter().for_each(|value| normal(value, said));
        }
        Value::Object(fields) => object(fields, said),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
            let words: Vec<&str> = value.as_plain().unwrap_or_default().split_whitespace().collect();
            part(b'T', &words.join(" ").to_lowercase(), said);
        }
    }
}

fn object(fields: &Fields, said: &mut Sha256) {
    let mut named: Vec<(&str, &Value)> = fields.iter().collect();
    named.sort_unstable_by_key(|(name, _)| *name);
    part(b'O', &named.len().to_string(), said);
    for (name, value) in named {
        part(b'N', name, said);
        normal(value, said);
    }
}

#[cfg(test)]
mod tests {
    use super::{by_fields, by_key};
    use std::time::Duration;
    use steadfast_flow::RequestWindow;
    use steadfast_lead::{JsonLimits, SourceName, parse_object};

    fn key(source: &str, compared: &[&str], body: &str) -> Option<Box<str>> {
        let fields = compared.iter().map(|name| (*name).into()).collect();
        let window = RequestWindow { fields, window: Duration::from_secs(60) };
        let fields = parse_object(body.as_bytes(), JsonLimits::LEAD).unwrap();
        let guard = by_fields(&SourceName::new(source).unwrap(), &window, &fields);
        guard.map(|guard| guard.key)
    }

    #[test]
    fn the_same_said_twice_is_told() {
        let one = key("web", &[], r#"{"email":"Ann@Example.com ","n":1,"o":{"a":"x","b":"y"}}"#);
        assert_eq!(one, key("web", &[], r#"{"n":"1","email":" ann@example.com","o":{"b":"Y","a":"x"}}"#));
        for other in [r#"{"email":"ann@example.com","n":2,"o":{"a":"x","b":"y"}}"#, r#"{"email":"ann@example.com"}"#] {
            assert_ne!(one, key("web", &[], other));
        }
        assert_ne!(key("web", &[], r#"{"a":"1"}"#), key("other", &[], r#"{"a":"1"}"#), "by another source");
        assert_ne!(key("web", &[], r#"{"a":["1","2"]}"#), key("web", &[], r#"{"a":["12"]}"#));
    }

    #[test]
    fn only_the_chosen_fields_are_compared() {
        let compared = ["email", "home.phone"];
        let one = key("web", &compared, r#"{"email":"a@b.c","home":{"phone":"1"},"note":"x"}"#);
        assert!(one.is_some());
        assert_eq!(one, key("web", &compared, r#"{"note":"y","home":{"phone":1},"email":"A@B.C"}"#));
        assert_eq!(one, key("web", &compared, r#"{"home.phone":"1","email":"A@B.C"}"#));
        assert_ne!(one, key("web", &compared, r#"{"email":"a@b.c"}"#));
        assert_ne!(key("web", &compared, r#"{"email":"x"}"#), key("web", &compared, r#"{"home":{"phone":"x"}}"#));
        for none in [r#"{"note":"x"}"#, r#"{"email":" ","home":"x"}"#, r#"{"email":null}"#, "{}"] {
            assert_eq!(key("web", &compared, none), None, "{none}");
        }
    }

    #[test]
    fn guards_of_sources_are_apart_from_all_others() {
        let fields = parse_object(b"{}", JsonLimits::LEAD).unwrap();
        let guard = by_key(&SourceName::new("web").unwrap(), "order-1", &fields);
        assert!(guard.key.starts_with('\u{1}') && guard.key.ends_with("order-1"));
    }
}
