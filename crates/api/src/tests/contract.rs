//! Holds answers against the document: status, media type, and every property of the body.

use super::harness::Answered;
use crate::openapi::document_text;
use crate::source::refusing::is_sources;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The document, and what was seen of it.
pub(crate) struct Contract {
    document: Value,
    /// Method, path template and status of every documented answer that came.
    pub(crate) seen: Mutex<BTreeSet<(String, String, String)>>,
}

impl Contract {
    pub(crate) fn of_the_document() -> Arc<Self> {
        let document = serde_json::from_str(document_text()).unwrap();
        Arc::new(Contract { document, seen: Mutex::default() })
    }

    /// Method, path template and status of every documented answer that is no refusal.
    pub(crate) fn promised(&self) -> BTreeSet<(String, String, String)> {
        let mut promised = BTreeSet::new();
        for (path, item) in self.document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let statuses = operation["responses"].as_object().unwrap().keys();
                let exact = statuses.filter(|status| !status.ends_with("XX"));
                promised.extend(exact.map(|status| (method.clone(), path.clone(), status.clone())));
            }
        }
        promised
    }

    /// Panics unless the answer is as promised.
    pub(crate) fn check(&self, method: &str, path: &str, answered: &Answered) {
        let status = answered.status.as_str();
        let class = format!("{}XX", &status[..1]);
        let (template, operation) = match self.operation(method, path) {
            Some(found) => found,
            None => {
                assert!(matches!(status, "404" | "405"), "{method} {path} is not in the document: {answered:?}");
                let kind = if is_sources(path) { "SubmissionRefusal" } else { "Problem" };
                let problem = serde_json::json!({ "$ref": format!("#/components/schemas/{kind}") });
                assert_eq!(answered.media_type(), "application/problem+json");
                return self.fits(&problem, &answered.json(), path).map(drop).unwrap();
            }
        };
        let responses = &operation["responses"];
        let found = [status, class.as_str()].into_iter().find(|status| responses.get(*status).is_some());
        let found = found.unwrap_or_else(|| panic!("{method} {template} does not promise {status}: {answered:?}"));
        let content = responses[found]["content"].as_object().unwrap();
        let media_type = answered.media_type();
        let promised = content.get(media_type);
        let promised = promised.unwrap_or_else(|| panic!("{method} {template} {status} does not promise {media_type}"));
        if media_type == "application/json" || media_type.ends_with("+json") {
            let place = format!("{method} {template} {status}");
            self.fits(&promised["schema"], &answered.json(), &place)
                .unwrap_or_else(|error| panic!("{error}: {answered:?}"));
        }
        self.seen.lock().insert((method.to_owned(), template, found.to_owned()));
    }

    fn operation(&self, method: &str, path: &str) -> Option<(String, &Value)> {
        let paths = self.document["paths"].as_object()?;
        let fits = |template: &str| {
            let (own, other): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
            own.len() == other.len() && own.iter().zip(&other).all(|(own, other)| own == other || own.starts_with('{'))
        };
        let exact = paths.get_key_value(path);
        let (template, item) = exact.or_else(|| paths.iter().find(|(template, _)| fits(template)))?;
        Some((template.clone(), item.get(method)?))
    }

    /// Whether a value is as a schema says, and nothing beside it; answers with the property names the schema knows.
    fn fits(&self, schema: &Value, value: &Value, place: &str) -> Result<BTreeSet<String>, String> {
        let known = self.known(schema, value, place)?;
        if let (Some(object), false) = (value.as_object(), known.is_empty())
            && let Some(stranger) = object.keys().find(|name| !known.contains(*name))
        {
            return Err(format!("{place}.{stranger} is not in the document"));
        }
        Ok(known)
    }

    fn known(&self, schema: &Value, value: &Value, place: &str) -> Result<BTreeSet<String>, String> {
        if let Some(name) = schema.get("$ref") {
            let name = name.as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
            let schema = &self.document["components"]["schemas"][name];
            assert!(schema.is_object(), "{name} is not in the document");
            return self.known(schema, value, place);
        }
        let mut known = BTreeSet::new();
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            known.extend(self.known(part, value, place)?);
        }
        let choices: Vec<&Value> =
            ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten().collect();
        if !choices.is_empty() {
            let tried: Vec<_> = choices.iter().map(|choice| self.known(choice, value, place)).collect();
            let errors: Vec<String> = tried.iter().filter_map(|tried| tried.clone().err()).collect();
            known.extend(tried.into_iter().find_map(Result::ok).ok_or_else(|| errors.join(" | "))?);
        }
        check_type(schema, value, place)?;
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            known.insert(name.clone());
            if let Some(value) = value.get(name) {
                self.fits(property, value, &format!("{place}.{name}"))?;
            }
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if value.get(name.as_str().unwrap()).is_none() {
                return Err(format!("{place} has no {name}"));
            }
        }
        if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
            for (index, value) in values.iter().enumerate() {
                self.fits(items, value, &format!("{place}[{index}]"))?;
            }
        }
        Ok(known)
    }
}

fn check_type(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        return Err(format!("{place} = {value} is none of {words:?}"));
    }
    let is = |kind: &str| match kind {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        other => panic!("{place}: type {other}"),
    };
    let fits = match schema.get("type") {
        None => true,
        Some(Value::String(kind)) => is(kind),
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| is(kind.as_str().unwrap())),
        Some(other) => panic!("{place}: type {other}"),
    };
    let date_time = schema.get("format").is_some_and(|format| format == "date-time");
    let is_time = || value.as_str().is_some_and(|text| steadfast_lead::Timestamp::parse(text).is_some());
    match fits && (!date_time || is_time()) {
        true => Ok(()),
        false => Err(format!("{place} = {value} is not {}", schema["type"])),
    }
}

#[cfg(test)]
mod tests {
    use super::Contract;
    use serde_json::json;

    /// The check itself, seen red.
    #[test]
    fn what_does_not_fit_is_found() {
        let contract = Contract::of_the_document();
        let fits = |value| contract.fits(&json!({ "$ref": "#/components/schemas/Problem" }), &value, "x").map(drop);
        let good = json!({ "type": "urn:x", "title": "t", "status": 404, "detail": "d" });
        assert_eq!(fits(good.clone()), Ok(()));
        let changed = |name: &str, value| {
            let mut changed = good.clone();
            changed[name] = value;
            fits(changed)
        };
        assert!(changed("status", json!("404")).is_err(), "a wrong type");
        assert!(changed("stranger", json!(1)).is_err(), "an undocumented property");
        assert!(fits(json!({ "type": "urn:x", "title": "t", "status": 404 })).is_err(), "a missing property");
        let time = json!({ "type": "string", "format": "date-time" });
        assert!(contract.fits(&time, &json!("yesterday"), "x").is_err());
    }
}
