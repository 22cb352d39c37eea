//! The table of recorded answers in `examples/responses`: each group's rules, and what each answer means by them.

#![allow(dead_code, reason = "each test binary uses its part")]

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One file of the table.
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) about: String,
    /// The `[response]` table and the rules, as written.
    pub(crate) rules: String,
    pub(crate) answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct GroupFile {
    title: String,
    about: String,
    answers: Vec<Answer>,
}

/// One recorded answer, or what happened in its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) name: String,
    /// Without one and without an error, 200.
    pub(crate) status: Option<u16>,
    /// The header Content-Type.
    #[serde(rename = "type")]
    pub(crate) content_type: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<String>,
    pub(crate) body_base64: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) phase: Option<String>,
    pub(crate) expect: Expected,
}

/// What it means. Price and reference are compared also where they are not there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) outcome: String,
    pub(crate) kind: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) price: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) retryable: Option<bool>,
    pub(crate) decided_by: Option<String>,
}

impl Answer {
    /// As `steadfast classify` takes it.
    pub(crate) fn stored(&self) -> serde_json::Value {
        let mut headers = self.headers.clone();
        headers.extend(self.content_type.iter().map(|value| ("Content-Type".to_owned(), value.clone())));
        let mut stored = serde_json::Map::new();
        let status = self.status.or_else(|| self.error.is_none().then_some(200));
        stored.extend(status.map(|status| ("status".to_owned(), status.into())));
        stored.insert("headers".to_owned(), serde_json::to_value(headers).unwrap());
        let texts =
            [("body", &self.body), ("body_base64", &self.body_base64), ("error", &self.error), ("phase", &self.phase)];
        let texts = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text.clone()?.into())));
        stored.extend(texts);
        stored.into()
    }

    /// What differs between what was said of it, in the words of `classify`, and what is expected.
    pub(crate) fn differences(&self, said: &serde_json::Value) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().map_or(serde_json::Value::Null, Into::into);
        let expected = &self.expect;
        let mut wanted = vec![
            ("outcome", expected.outcome.clone().into()),
            ("kind", text(&expected.kind)),
            ("price", text(&expected.price)),
            ("reference", text(&expected.reference)),
        ];
        // Why an answer is unrecognized is told in words of our own.
        if expected.kind.as_deref() != Some("unrecognized") && expected.outcome != "error" || expected.reason.is_some()
        {
            wanted.push(("reason", text(&expected.reason)));
        }
        wanted.extend(expected.retryable.map(|retryable| ("retryable", retryable.into())));
        wanted.extend(expected.decided_by.clone().map(|name| ("decided_by", name.into())));
        let differs = wanted.into_iter().filter(|(key, value)| said[*key] != *value);
        differs.map(|(key, value)| format!("{key} is {}, expected {value}", said[key])).collect()
    }
}

/// Every group, in the order of the files' names.
pub(crate) fn groups() -> Vec<Group> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/responses");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| group(path)).collect()
}

fn group(path: &Path) -> Group {
    let text = std::fs::read_to_string(path).unwrap();
    let file: GroupFile = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let head = text.split_once("[[answers]]").unwrap().0;
    let rules = ["[response]", "[[rules]]"].into_iter().filter_map(|table| head.find(table)).min();
    let rules = rules.map_or("", |start| head[start..].trim_end()).to_owned();
    Group { title: file.title, about: file.about, rules, answers: file.answers }
}
