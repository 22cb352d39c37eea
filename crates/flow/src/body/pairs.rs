//! A mapped form or query: names and values, percent-encoded, with a name once for each value of a list.
//!
//! Names go out as they are configured; nothing of a lead ever becomes a name, but below a field that is an object.

use super::source::{Filling, Source};
use super::{BodyEntry, Segment};
use crate::request::RenderFailed;
use crate::template::Builder;
use steadfast_lead::Value;

/// A mapped form or query.
#[derive(Clone, Debug)]
pub(crate) struct PairsBody(Vec<(Box<str>, Source)>);

impl PairsBody {
    /// From entries; what does not fit is added to the builder's faults.
    pub(crate) fn new(entries: &[BodyEntry], builder: &mut Builder) -> Self {
        let one = |entry: &BodyEntry| Some((name(&entry.path), Source::new(entry, builder)?));
        PairsBody(entries.iter().filter_map(one).collect())
    }

    /// `name=value` pairs joined with `&`.
    ///
    /// # Errors
    /// [`RenderFailed`] where a template fails, or for a list that no form can carry.
    pub(crate) fn write(&self, filling: &Filling<'_>) -> Result<String, RenderFailed> {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (name, source) in &self.0 {
            if let Some(made) = source.make(filling)? {
                write_pair(name, &made.into_value(), &mut pairs)?;
            }
        }
        Ok(pairs.finish())
    }

    /// What shapes the bytes.
    pub(crate) fn describe(&self, out: &mut Vec<u8>) {
        for (name, source) in &self.0 {
            out.extend_from_slice(format!("{name:?}").as_bytes());
            source.describe(out);
        }
    }
}

/// Keys joined by dots; a list at the end repeats its name, one farther in is part of it.
fn name(path: &[Segment]) -> Box<str> {
    let mut name = String::new();
    for (at, segment) in path.iter().enumerate() {
        match segment {
            Segment::Key(key) => {
                name.push_str(if name.is_empty() { "" } else { "." });
                name.push_str(key);
            }
            Segment::Place(_) if at + 1 == path.len() => {}
            Segment::Place(place) => name.push_str(&format!("[{place}]")),
        }
    }
    name.into()
}

/// A value under a name: objects flattened by dots, lists as repeated names. Depth is bounded by the reader of leads.
pub(crate) fn write_pair(
    name: &str,
    value: &Value,
    pairs: &mut form_urlencoded::Serializer<'_, String>,
) -> Result<(), RenderFailed> {
    match value {
        Value::Object(fields) => {
            fields.iter().try_for_each(|(inner, value)| write_pair(&format!("{name}.{inner}"), value, pairs))
        }
        Value::List(values) => values.iter().try_for_each(|value| {
            let plain = value.as_plain().ok_or_else(|| RenderFailed::nested(name))?;
            pairs.append_pair(name, plain);
            Ok(())
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
            pairs.append_pair(name, value.as_plain().unwrap_or_default());
            Ok(())
        }
    }
}
