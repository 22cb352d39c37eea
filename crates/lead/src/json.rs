//! Reading and writing a lead's fields as JSON, with bounds, and with numbers kept digit for digit.
//!
//! Parsing goes level by level over raw values, because the usual value types turn `1.10` into `1.1` and drop the first of
//! two fields of one name. Never recurses deeper than the limit it is given.

use crate::{Fields, Number, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// How large a JSON document may be.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimits {
    /// How deep objects and lists may nest; the outermost object counts as one.
    pub depth_max: usize,
    /// How many values there may be in all.
    pub values_max: usize,
    /// How long a field's name may be, in bytes.
    pub name_bytes_max: usize,
}

impl JsonLimits {
    /// What a lead may have.
    pub const LEAD: JsonLimits = JsonLimits { depth_max: 32, values_max: 5_000, name_bytes_max: 256 };
}

/// Why a JSON document was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonRefusal {
    /// Not UTF-8.
    #[error("the body is not valid UTF-8 (first bad byte at {at})")]
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// Not JSON.
    #[error("the body is not valid JSON: {detail}")]
    Malformed {
        /// What the parser said; never holds lead data.
        detail: String,
    },
    /// Valid JSON, but not an object.
    #[error("a lead is a JSON object of fields, this is {found}")]
    NotAnObject {
        /// What was found instead.
        found: &'static str,
    },
    /// Nested deeper than allowed.
    #[error("nested deeper than {max} levels, at field {field:?}")]
    TooDeep {
        /// Levels allowed.
        max: usize,
        /// The outermost field that is too deep.
        field: String,
    },
    /// More values than allowed.
    #[error("more than {max} values")]
    TooManyValues {
        /// Values allowed.
        max: usize,
    },
    /// One name twice in one object.
    #[error("field {name:?} stands twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// An empty or overlong field name.
    #[error("a field name must have 1 to {max} bytes, {length} found")]
    BadNameLength {
        /// Bytes allowed.
        max: usize,
        /// Bytes found.
        length: usize,
    },
}

/// Reads a JSON object into fields.
///
/// # Errors
/// [`JsonRefusal`] names what is wrong; nothing of the document is kept.
pub fn parse_object(body: &[u8], limits: JsonLimits) -> Result<Fields, JsonRefusal> {
    let text = std::str::from_utf8(body).map_err(|error| JsonRefusal::NotUtf8 { at: error.valid_up_to() })?;
    let pairs = serde_json::from_str(text).map_err(|error| not_read(text, &error))?;
    let mut reader = Reader { limits, values: 0, field: None };
    reader.object(pairs, 1)
}

/// Why a document is no object: it is something else, or no JSON. Looked at again only to say so.
fn not_read(text: &str, error: &serde_json::Error) -> JsonRefusal {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if !raw.get().starts_with('{') => JsonRefusal::NotAnObject { found: shape(raw) },
        Ok(_) => malformed(error),
        Err(error) => malformed(&error),
    }
}

fn malformed(error: &serde_json::Error) -> JsonRefusal {
    let category = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "syntax error",
        serde_json::error::Category::Data | serde_json::error::Category::Io => "not readable",
    };
    JsonRefusal::Malformed { detail: format!("{category} at line {} column {}", error.line(), error.column()) }
}

fn shape(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    }
}

struct Reader {
    limits: JsonLimits,
    values: usize,
    field: Option<String>,
}

impl Reader {
    fn object(&mut self, Pairs(pairs): Pairs<'_>, depth: usize) -> Result<Fields, JsonRefusal> {
        check_unique(&pairs)?;
        let mut fields = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            if name.is_empty() || name.len() > self.limits.name_bytes_max {
                return Err(JsonRefusal::BadNameLength { max: self.limits.name_bytes_max, length: name.len() });
            }
            // Named only where something inside may be too deep.
            if depth == 1 && value.get().starts_with(['{', '[']) {
                self.field = Some(name.clone().into_owned());
            }
            let value = self.value(value, depth)?;
            fields.push((name.into(), value));
        }
        Ok(Fields::from_unique(fields))
    }

    fn value(&mut self, raw: &RawValue, depth: usize) -> Result<Value, JsonRefusal> {
        self.values += 1;
        if self.values > self.limits.values_max {
            return Err(JsonRefusal::TooManyValues { max: self.limits.values_max });
        }
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                self.check_depth(depth + 1)?;
                let pairs = serde_json::from_str(text).map_err(|error| malformed(&error))?;
                Value::Object(self.object(pairs, depth + 1)?)
            }
            Some(b'[') => Value::List(self.list(raw, depth + 1)?),
            Some(b'"') => Value::Text(match unescaped(text) {
                Some(plain) => plain.into(),
                None => serde_json::from_str(text).map_err(|error| malformed(&error))?,
            }),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => Value::Number(Number::from_json(text)),
        })
    }

    fn list(&mut self, raw: &RawValue, depth: usize) -> Result<Vec<Value>, JsonRefusal> {
        self.check_depth(depth)?;
        let Items(items) = serde_json::from_str(raw.get()).map_err(|error| malformed(&error))?;
        items.into_iter().map(|item| self.value(item, depth)).collect()
    }

    fn check_depth(&self, depth: usize) -> Result<(), JsonRefusal> {
        if depth <= self.limits.depth_max {
            return Ok(());
        }
        Err(JsonRefusal::TooDeep { max: self.limits.depth_max, field: self.field.clone().unwrap_or_default() })
    }
}

/// What stands between the quotes of a valid JSON text that holds no escapes.
fn unescaped(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inside.as_bytes().contains(&b'\\')).then_some(inside)
}

/// Sorted rather than hashed: cheaper for the few fields of a lead, and as bounded for many.
fn check_unique(pairs: &[(Cow<'_, str>, &RawValue)]) -> Result<(), JsonRefusal> {
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    if names.windows(2).all(|two| two[0] != two[1]) {
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(pairs.len());
    match pairs.iter().find(|(name, _)| !seen.insert(name.as_ref())) {
        Some((name, _)) => Err(JsonRefusal::DuplicateName { name: name.clone().into_owned() }),
        None => Ok(()),
    }
}

/// One object's names and raw values, in order, duplicates included.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CollectPairs)
    }
}

struct CollectPairs;

impl<'de> Visitor<'de> for CollectPairs {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            pairs.push((name, value));
        }
        Ok(Pairs(pairs))
    }
}

/// A name, borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// One list's raw values.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CollectItems)
    }
}

struct CollectItems;

impl<'de> Visitor<'de> for CollectItems {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Items(values))
    }
}

/// Writes fields as compact JSON at the end of `out`.
pub fn write_object(fields: &Fields, out: &mut Vec<u8>) {
    out.push(b'{');
    for (place, (name, value)) in fields.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_text(name, out);
        out.push(b':');
        write_value(value, out);
    }
    out.push(b'}');
}

/// Writes one value as compact JSON at the end of `out`.
pub fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.as_str().as_bytes()),
        Value::Text(text) => write_text(text, out),
        Value::List(values) => write_list(values, out),
        Value::Object(fields) => write_object(fields, out),
    }
}

fn write_list(values: &[Value], out: &mut Vec<u8>) {
    out.push(b'[');
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_value(value, out);
    }
    out.push(b']');
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    if is_plain(text) {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    // Writing text into a vector cannot fail.
    let _written = serde_json::to_writer(out, text);
}

/// Whether a text stands in JSON as it is: no control characters, quotes or backslashes. Looks at eight bytes at once, because
/// every byte of a lead is looked at each time it is written.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    // The last eight overlap the words before them.
    let Some(last) = bytes.last_chunk::<8>() else { return bytes.iter().all(|byte| is_plain_byte(*byte)) };
    bytes.as_chunks::<8>().0.iter().chain([last]).all(is_plain_word)
}

fn is_plain_byte(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

fn is_plain_word(word: &[u8; 8]) -> bool {
    let word = u64::from_ne_bytes(*word);
    below(word, 0x20) | below(word ^ repeated(b'"'), 1) | below(word ^ repeated(b'\\'), 1) == 0
}

/// Not 0 when a byte of the word is below the limit (at most 128).
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(repeated(limit)) & !word & repeated(0x80)
}

fn repeated(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Fields, JsonRefusal> {
        parse_object(text.as_bytes(), JsonLimits::LEAD)
    }

    fn round_trip(text: &str) -> String {
        let mut out = Vec::new();
        write_object(&parse(text).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_leave_as_they_came() {
        let text =
            r#"{"b":1.10,"a":12345678901234567890123,"z":-0e5,"n":null,"t":[true,false,{"x":"é\n\u0000"}],"e":{}}"#;
        assert_eq!(round_trip(text), text);
        assert_eq!(round_trip(" { \"a\" : [ 1 , 2 ] } "), r#"{"a":[1,2]}"#);
    }

    #[test]
    fn every_text_is_written_as_the_library_writes_it() {
        let letters = (0..=0x2ff_u32).chain([0x2028, 0xfffd, 0x1_f600]).filter_map(char::from_u32);
        for letter in letters {
            let place = letter as usize % 17;
            let text = format!("{}{letter}{}", "a".repeat(place), "z".repeat(17 - place));
            let mut out = Vec::new();
            write_value(&Value::text(&text), &mut out);
            assert_eq!(out, serde_json::to_vec(&text).unwrap(), "{letter:?}");
            let object = format!("{{{0}:{0}}}", String::from_utf8(out).unwrap());
            assert_eq!(round_trip(&object), object);
        }
    }

    #[test]
    fn refusals_name_what_is_wrong() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32));
        let cases: [(&str, &str); 14] = [
            ("", "ends too early"),
            ("{\"a\":1", "ends too early at line 1 column 6"),
            ("[1]", "this is a list"),
            ("3", "this is a number"),
            ("{\"a\":1,\"a\":2}", "field \"a\" stands twice"),
            ("{\"\":1}", "1 to 256 bytes, 0 found"),
            ("{\"a\":\"\\ud800\"}", "not valid JSON"),
            ("{\"a\":01}", "syntax error"),
            ("{\"a\":\"x\ty\"}", "syntax error at line 1 column 7"),
            ("{\"a\":{\"b\":\"\\x\"}}", "syntax error"),
            ("\"text\"", "this is a text"),
            ("{\"b\":0,\"a\":1,\"c\":{},\"a\":2}", "field \"a\" stands twice"),
            ("{\"a\":1} 2", "syntax error at line 1 column 9"),
            (&deep, "deeper than 32 levels, at field \"a\""),
        ];
        for (text, expected) in cases {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(expected), "{text}: {said}");
        }
        assert!(matches!(parse_object(b"{\"a\":\"\xff\"}", JsonLimits::LEAD), Err(JsonRefusal::NotUtf8 { at: 6 })));
        let many = format!("{{\"a\":[{}1]}}", "1,".repeat(5_000));
        assert!(matches!(parse(&many), Err(JsonRefusal::TooManyValues { .. })));
    }

    #[test]
    fn a_hostile_depth_is_refused_without_recursing() {
        let text = format!("{{\"a\":{}", "[".repeat(500_000));
        assert!(parse(&text).is_err());
    }
}
