//! How what a template prints is written for the place it stands in: an address, XML, a text inside JSON, or plain.
//!
//! No value can end the text, the element or the address part it is put into. Only what a template marks `safe`, and what
//! the filters made for a place, goes out as it is.

use super::refused::Refused;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Error, Output, State, Value};
use std::sync::Arc;

/// The place a template's text goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Headers and plain text: as it is.
    Plain,
    /// XML text and attributes.
    Xml,
    /// Part of an address or form: percent-encoded but for letters, digits and `-._~`.
    Url,
    /// Inside a JSON text, between quotes the template writes.
    Json,
    /// A whole JSON value, keeping its type: what a mapped value is.
    Value,
}

impl Escape {
    /// The word in the engine's own table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Escape::Plain => "plain",
            Escape::Xml => "xml",
            Escape::Url => "url",
            Escape::Json => "json",
            Escape::Value => "value",
        }
    }

    fn of(auto_escape: &AutoEscape) -> Self {
        const ALL: [Escape; 5] = [Escape::Plain, Escape::Xml, Escape::Url, Escape::Json, Escape::Value];
        if let AutoEscape::Custom(name) = auto_escape {
            return ALL.into_iter().find(|known| known.name() == *name).unwrap_or(Escape::Xml);
        }
        // What a template's own `autoescape` block asks for.
        if matches!(auto_escape, AutoEscape::None) { Escape::Plain } else { Escape::Xml }
    }
}

/// Writes a value; the engine calls it for everything printed.
pub(crate) fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let escape = Escape::of(state.auto_escape());
    if escape == Escape::Value {
        let json = if value.is_undefined() { String::new() } else { json_text(value)? };
        return out.write_str(&json).map_err(Error::from);
    }
    if value.is_undefined() || value.is_none() {
        return Ok(());
    }
    let said = "a list or an object cannot be printed; join it, or use the filter json";
    let text = plain(value).ok_or_else(|| Refused::lead(said))?;
    let text = match escape {
        _ if value.is_safe() => text.to_string(),
        Escape::Plain | Escape::Value => text.to_string(),
        Escape::Xml => xml_text(&text),
        Escape::Url => percent_encoded(&text),
        Escape::Json => json_inside(&text),
    };
    out.write_str(&text).map_err(Error::from)
}

/// What a single value is as text; `None` of lists, maps and nothing.
pub(crate) fn plain(value: &Value) -> Option<Arc<str>> {
    if value.kind() == ValueKind::Bool {
        return Some(if value.is_true() { "true" } else { "false" }.into());
    }
    value.to_str().or_else(|| value.is_number().then(|| value.to_string().into()))
}

/// Escaped for XML text and for attributes in either quotes. What XML cannot carry at all is refused where the whole is checked.
pub(crate) fn xml_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\r' => out.push_str("&#13;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            other => out.push(other),
        }
    }
    out
}

/// Whether XML 1.0 can carry every character.
pub(crate) fn is_xml(text: &str) -> bool {
    let fits = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().all(fits)
}

/// Everything but letters, digits and `-._~` as `%XX`.
pub(crate) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

fn json_inside(text: &str) -> String {
    let quoted = quoted(text);
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    // Writing text into a vector cannot fail.
    let _written = serde_json::to_writer(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

/// A field of a CSV line: in quotes where it must be.
pub(crate) fn csv_field(text: &str) -> String {
    if text.contains(['"', ',', ';', '\n', '\r']) || text.trim() != text {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

/// A value as JSON.
///
/// # Errors
/// [`Refused`] for what JSON has no word for.
pub(crate) fn json_text(value: &Value) -> Result<String, Refused> {
    let unfit = || Refused::lead("a value cannot be written as JSON");
    if value.is_undefined() || value.is_none() {
        return Ok("null".to_owned());
    }
    if value.is_number() {
        return json_number(value).ok_or_else(unfit);
    }
    if let Some(text) = plain(value) {
        return Ok(if value.kind() == ValueKind::Bool { text.to_string() } else { quoted(&text) });
    }
    if value.kind() == ValueKind::Map {
        return json_object(value);
    }
    let items = value.try_iter().map_err(|_| unfit())?.map(|item| json_text(&item));
    Ok(format!("[{}]", items.collect::<Result<Vec<_>, _>>()?.join(",")))
}

fn json_number(value: &Value) -> Option<String> {
    if value.is_integer() {
        return Some(value.to_string());
    }
    let number = f64::try_from(value.clone()).ok()?;
    serde_json::Number::from_f64(number).map(|number| number.to_string())
}

fn json_object(value: &Value) -> Result<String, Refused> {
    let unfit = || Refused::lead("a value cannot be written as JSON");
    let mut members = Vec::new();
    for key in value.try_iter().map_err(|_| unfit())? {
        let member = value.get_item(&key).map_err(|_| unfit())?;
        let name = key.as_str().ok_or_else(unfit)?;
        members.push(format!("{}:{}", quoted(name), json_text(&member)?));
    }
    Ok(format!("{{{}}}", members.join(",")))
}
