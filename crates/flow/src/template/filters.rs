//! The trade's helpers in templates: case, digits, substrings, hashes with salt, tables, dates, and writing a value for a
//! place it is put into.
//!
//! Pure functions of their arguments. What is missing stays missing through every one of them, so that `default` can stand
//! last. Messages never hold a value.

use super::dates;
use super::escape::{self, csv_field, json_text, percent_encoded, xml_text};
use super::refused::Refused;
use crate::lookups::Lookups;
use crate::normal;
use md5::Md5;
use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, Value};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The filters there are, as they are documented; [`register`] makes exactly these.
pub(crate) const FILTERS: [&str; 33] = [
    "abs",
    "boolean",
    "capitalize",
    "csv",
    "date",
    "default",
    "digits",
    "first",
    "float",
    "int",
    "join",
    "json",
    "last",
    "length",
    "lookup",
    "lower",
    "md5",
    "number",
    "printable",
    "replace",
    "required",
    "reverse",
    "round",
    "safe",
    "sha256",
    "sort",
    "split",
    "substring",
    "text",
    "title",
    "trim",
    "upper",
    "url",
];
/// One more, apart for its name in the language.
pub(crate) const XML_FILTER: &str = "xml";
/// The functions there are.
pub(crate) const FUNCTIONS: [&str; 5] = ["boolean", "number", "range", "secret", "text"];
/// What stands for a secret where it must not be seen.
pub(crate) const MASK: &str = "***";

/// Whether a template may use it.
pub(crate) fn is_known(filter: &str) -> bool {
    FILTERS.contains(&filter) || filter == XML_FILTER
}

/// Adds the helpers, and takes away what has no place here.
pub(crate) fn register(environment: &mut Environment<'static>, lookups: &Arc<Lookups>) {
    for unwanted in ["debug", "namespace", "dict"] {
        environment.remove_global(unwanted);
    }
    for unwanted in ["escape", "e"] {
        environment.remove_filter(unwanted);
    }
    cases(environment);
    places(environment);
    hashes(environment, lookups);
    casts(environment);
    environment.add_filter("date", |value: &Value, format: &str, zone: Option<&str>| {
        mapped(value, |text| dates::show(text, format, zone))
    });
    let tables = Arc::clone(lookups);
    environment.add_filter("lookup", move |value: &Value, table: &str, otherwise: Option<Value>| {
        lookup(&tables, value, table, otherwise)
    });
    let secrets = Arc::clone(lookups);
    environment.add_function("secret", move |name: &str| Ok::<_, Error>(Value::from(secret(&secrets, name)?)));
}

/// The same helpers with secrets that are not shown: for digests and for looking.
pub(crate) fn mask_secrets(environment: &mut Environment<'static>, lookups: &Arc<Lookups>) {
    let secrets = Arc::clone(lookups);
    environment.add_function("secret", move |name: &str| {
        secret(&secrets, name)?;
        Ok::<_, Error>(Value::from(MASK))
    });
}

fn cases(environment: &mut Environment<'static>) {
    environment.add_filter("upper", |value: &Value| changed(value, str::to_uppercase));
    environment.add_filter("lower", |value: &Value| changed(value, str::to_lowercase));
    environment.add_filter("trim", |value: &Value| changed(value, |text| text.trim().to_owned()));
    environment.add_filter("title", |value: &Value| changed(value, title));
    environment.add_filter("capitalize", |value: &Value| changed(value, |text| capital(&text.to_lowercase())));
    environment.add_filter("digits", |value: &Value| changed(value, normal::digits));
    environment.add_filter("printable", |value: &Value| changed(value, printable));
    environment.add_filter("substring", |value: &Value, begin: usize, length: Option<usize>| {
        changed(value, |text| text.chars().skip(begin).take(length.unwrap_or(usize::MAX)).collect())
    });
}

/// Written for the place it is put into; none is escaped a second time.
fn places(environment: &mut Environment<'static>) {
    environment.add_filter("json", |value: &Value| json_text(value).map(Value::from_safe_string).map_err(Error::from));
    environment.add_filter(XML_FILTER, |value: &Value| written(value, xml_text));
    environment.add_filter("url", |value: &Value| written(value, percent_encoded));
    environment.add_filter("csv", |value: &Value| written(value, csv_field));
}

fn hashes(environment: &mut Environment<'static>, lookups: &Arc<Lookups>) {
    let salts = Arc::clone(lookups);
    environment.add_filter("sha256", move |value: &Value, named: Kwargs| {
        let salt = salt(&salts, &named)?;
        changed(value, |text| hex(&Sha256::new().chain_update(&salt).chain_update(text).finalize()))
    });
    let salts = Arc::clone(lookups);
    environment.add_filter("md5", move |value: &Value, named: Kwargs| {
        let salt = salt(&salts, &named)?;
        changed(value, |text| hex(&Md5::new().chain_update(&salt).chain_update(text).finalize()))
    });
}

fn casts(environment: &mut Environment<'static>) {
    environment.add_filter("number", |value: &Value| as_number(value));
    environment.add_function("number", |value: &Value| as_number(value));
    environment.add_filter("boolean", |value: &Value| as_boolean(value));
    environment.add_function("boolean", |value: &Value| as_boolean(value));
    environment.add_filter("text", |value: &Value| changed(value, str::to_owned));
    environment.add_function("text", |value: &Value| changed(value, str::to_owned));
    environment.add_filter("required", |value: &Value, _unused: Rest<Value>| {
        let blank = value.as_str().is_some_and(|text| text.trim().is_empty());
        if is_nothing(value) || blank {
            return Err(Error::from(Refused::lead("a required value is missing")));
        }
        Ok(value.clone())
    });
}

fn is_nothing(value: &Value) -> bool {
    value.is_undefined() || value.is_none()
}

/// What a value is as text; lists and maps are none.
fn plain(value: &Value) -> Result<Arc<str>, Refused> {
    escape::plain(value).ok_or_else(|| Refused::lead("a list or an object stands where a single value is needed"))
}

fn mapped(value: &Value, change: impl FnOnce(&str) -> Result<String, Refused>) -> Result<Value, Error> {
    if is_nothing(value) {
        return Ok(value.clone());
    }
    let text = plain(value)?;
    if text.is_empty() {
        return Ok(value.clone());
    }
    Ok(Value::from(change(&text)?))
}

fn changed(value: &Value, change: impl FnOnce(&str) -> String) -> Result<Value, Error> {
    mapped(value, |text| Ok(change(text)))
}

fn written(value: &Value, write: impl FnOnce(&str) -> String) -> Result<Value, Error> {
    if is_nothing(value) {
        return Ok(value.clone());
    }
    Ok(Value::from_safe_string(write(&plain(value)?)))
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !c.is_alphanumeric() && c != '\'') {
        out.push_str(&capital(&word.to_lowercase()));
    }
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

fn lookup(lookups: &Lookups, value: &Value, table: &str, otherwise: Option<Value>) -> Result<Value, Error> {
    let Some(rows) = lookups.tables.get(table) else {
        let known: Vec<&str> = lookups.tables.keys().map(|name| &**name).take(20).collect();
        let said = format!("lookup: there is no table {table:?} (tables: {})", known.join(", "));
        return Err(Refused::Template(said).into());
    };
    let found = if is_nothing(value) { None } else { rows.get(plain(value)?.trim()) };
    Ok(found.map(|text| Value::from(&**text)).or(otherwise).unwrap_or(Value::UNDEFINED))
}

fn secret(lookups: &Lookups, name: &str) -> Result<String, Refused> {
    let known = lookups.secrets.get(name).map(|secret| secret.reveal().to_owned());
    known.ok_or_else(|| Refused::Template(format!("there is no secret {name:?} under [secrets]")))
}

fn salt(lookups: &Lookups, named: &Kwargs) -> Result<String, Error> {
    let name: Option<&str> = named.get("salt")?;
    named.assert_all_used()?;
    Ok(name.map(|name| secret(lookups, name)).transpose()?.unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn as_number(value: &Value) -> Result<Value, Error> {
    if is_nothing(value) || value.is_number() {
        return Ok(value.clone());
    }
    let text = plain(value)?;
    if text.trim().is_empty() {
        return Ok(Value::UNDEFINED);
    }
    let unfit = || Error::from(Refused::lead("number: a value is not a number"));
    let number = normal::number(&text).ok_or_else(unfit)?;
    if let Ok(whole) = number.as_str().parse::<i64>() {
        return Ok(Value::from(whole));
    }
    number.as_str().parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from).ok_or_else(unfit)
}

fn as_boolean(value: &Value) -> Result<Value, Error> {
    if is_nothing(value) {
        return Ok(value.clone());
    }
    let text = plain(value)?;
    if text.trim().is_empty() {
        return Ok(Value::UNDEFINED);
    }
    let said = || Error::from(Refused::lead("boolean: a value is neither yes nor no"));
    normal::boolean(text.trim()).map(Value::from).ok_or_else(said)
}
