//! Hides credentials in the text of a configuration. What the text only refers to (`${NAME}`, `file:PATH`) stays readable.
//!
//! Errs on the side of hiding.

use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const MASK: &str = "\"***\"";

/// The text with credentials replaced by `***`; `None` when it is not TOML, for then they cannot be found.
pub(crate) fn masked(text: &str) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    let mut hidden = Hidden::default();
    hidden.table(root.get_ref(), Within::Plain);
    let shown = hidden.cut(text);
    Some(shown.split_inclusive('\n').map(without_commented_out).collect())
}

/// A line of comment that sets a credential, such as one that was commented out, without what follows its name.
fn without_commented_out(line: &str) -> String {
    if !line.trim_start().starts_with('#') {
        return line.to_owned();
    }
    let ends = line.match_indices('=').map(|(at, _)| at);
    let first = ends.into_iter().find(|at| {
        let before = line.get(..*at).unwrap_or("").trim_end().trim_end_matches(['"', '\'']);
        let name = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').next().unwrap_or("");
        hides(name, Within::Plain)
    });
    match first {
        Some(at) => format!("{}= ***{}", line.get(..at).unwrap_or(""), if line.ends_with('\n') { "\n" } else { "" }),
        None => line.to_owned(),
    }
}

/// What surrounds a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Plain,
    /// `auth`: only what is known to be harmless is shown.
    Auth,
    /// `headers`: every value is hidden.
    Headers,
}

#[derive(Default)]
struct Hidden(Vec<(Range<usize>, String)>);

impl Hidden {
    fn table(&mut self, table: &DeTable<'_>, within: Within) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let inner = match name {
                "auth" => Within::Auth,
                "headers" => Within::Headers,
                // Of a token's request: names of the user's own.
                "fields" if within == Within::Auth => Within::Headers,
                _ => within,
            };
            self.value(name, value, inner);
        }
    }

    fn value(&mut self, name: &str, value: &Spanned<DeValue<'_>>, within: Within) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, within),
            DeValue::Array(array) => array.iter().for_each(|item| self.value(name, item, within)),
            DeValue::String(text) => {
                if hides(name, within) && !refers(text) {
                    self.0.push((value.span(), MASK.to_owned()));
                } else if let Some(shown) = without_query(text) {
                    self.0.push((value.span(), format!("{shown:?}")));
                }
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                if hides(name, within) {
                    self.0.push((value.span(), MASK.to_owned()));
                }
            }
        }
    }

    fn cut(mut self, text: &str) -> String {
        self.0.sort_by_key(|(span, _)| span.start);
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (span, shown) in self.0 {
            out.push_str(text.get(at..span.start).unwrap_or(""));
            out.push_str(&shown);
            at = span.end;
        }
        out.push_str(text.get(at..).unwrap_or(""));
        out
    }
}

fn hides(name: &str, within: Within) -> bool {
    const HARMLESS: [&str; 18] = [
        "type",
        "username",
        "header",
        "query",
        "prefix",
        "token_url",
        "client_auth",
        "scope",
        "audience",
        "resource",
        "method",
        "format",
        "token_path",
        "token_header",
        "expires_in_path",
        "expires_in",
        "timeout",
        "client_id",
    ];
    const TELLING: [&str; 7] = ["password", "passwd", "passphrase", "secret", "token", "credential", "authorization"];
    let lower = name.to_ascii_lowercase();
    match within {
        Within::Headers => true,
        Within::Auth => !HARMLESS.contains(&lower.as_str()),
        Within::Plain => {
            lower == "key"
                || lower.ends_with("_key")
                || lower.ends_with("apikey")
                || TELLING.iter().any(|word| lower.contains(word))
        }
    }
}

/// Only a reference, nothing beside it.
fn refers(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| !name.contains(['{', '}', '$'])) || text.starts_with("file:")
}

/// An address that holds a query or a user: without the query's values, and without the user.
fn without_query(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let authority_end = place.find('/').unwrap_or(place.len());
    let host_begin = place.get(..authority_end)?.rfind('@').map(|at| at + 1);
    if query.is_none() && host_begin.is_none() {
        return None;
    }
    let mut shown = format!("{scheme}://");
    if let Some(begin) = host_begin {
        shown.push_str("***@");
        shown.push_str(place.get(begin..)?);
    } else {
        shown.push_str(place);
    }
    let hide = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if !refers(value) => format!("{name}=***"),
        Some(_) | None => pair.to_owned(),
    };
    if let Some(query) = query {
        shown.push('?');
        shown.push_str(&query.split('&').map(hide).collect::<Vec<_>>().join("&"));
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn credentials_are_hidden_and_references_are_not() {
        let text = r#"
[server]
listen = "127.0.0.1:8080"
[[server.keys]]
name = "crm"
hash = "sha256:00"
[recipients.bigbank]
auth = { type = "basic", username = "us", password = "hunter2" }
# auth = { type = "basic", password = "old-hunter" }
# just a remark, a = b
[recipients.other.auth]
type = "bearer"
token = "${OTHER_TOKEN}"
[[flows.auto.steps]]
id = "sell"
auth = { type = "api_key", header = "X-Key", key = """multi
line""" }
request = { url = "https://user:pw@x.example/a?key=abc&b=${B}", headers = { "X-Any" = "literal", X-Ref = "file:secret.txt" } }
fields = { api_key = "literal2", campaign = "spring", pin_secret = 1234 }
"#;
        let shown = masked(text).unwrap();
        for gone in ["hunter2", "old-hunter", "multi", "literal", "literal2", "abc", "user:pw", "1234"] {
            assert!(!shown.contains(gone), "{gone} in {shown}");
        }
        for kept in [
            "\"us\"",
            "${OTHER_TOKEN}",
            "file:secret.txt",
            "X-Key",
            "spring",
            "sha256:00",
            "b=${B}",
            "https://***@x.example/a?key=***",
        ] {
            assert!(shown.contains(kept), "{kept} not in {shown}");
        }
        assert_eq!(shown.lines().count(), text.lines().count() - 1, "nothing else changes");
    }

    #[test]
    fn how_a_token_is_asked_for_is_shown_without_what_proves_who_asks() {
        let text = r#"
[recipients.bank.auth]
type = "oauth2"
token_url = "https://login.example/token?key=hunter1"
client_id = "us"
client_secret = "hunter2"
scope = "leads.write"
fields = { scope = "hunter3", tenant = "${TENANT}", type = "hunter4" }
[recipients.old]
auth = { type = "token", token_url = "https://old.example/login", headers = { type = "hunter5" }, token_path = "a.b", prefix = "T " }
"#;
        let shown = masked(text).unwrap();
        assert!(!shown.contains("hunter"), "{shown}");
        for kept in ["https://login.example/token?key=***", "\"us\"", "leads.write", "${TENANT}", "a.b", "\"T \""] {
            assert!(shown.contains(kept), "{kept} not in {shown}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_shown() {
        assert_eq!(masked("token = \"hunter2"), None);
    }
}
