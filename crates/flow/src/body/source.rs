//! Where a mapped value comes from: fixed, one field as it is, one expression, or a text with values in it.
//!
//! One field keeps its type and its digits; it never goes through the template engine.

use super::BodyEntry;
use crate::place::Place;
use crate::request::RenderFailed;
use crate::template::values::{View, cast};
use crate::template::{Builder, Escape, Filled, Slot, scan};
use std::borrow::Cow;
use steadfast_lead::{JsonLimits, Value, parse_object, write_value};

/// A lead on its way into a request.
pub(crate) struct Filling<'a> {
    pub(crate) view: View<'a>,
    /// `None` where a request has no templates.
    pub(crate) filled: Option<Filled<'a>>,
    /// A lead that lacks a field fails.
    pub(crate) strict: bool,
}

impl Filling<'_> {
    /// What a template makes of the lead.
    ///
    /// # Errors
    /// [`RenderFailed`] where it fails for this lead.
    pub(crate) fn text(&self, slot: &Slot) -> Result<String, RenderFailed> {
        self.filled.as_ref().map_or_else(|| Ok(String::new()), |filled| filled.text(slot))
    }
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The config itself.
    Fixed(Value),
    /// One field.
    Field(scan::Reference, Place),
    /// One expression; its type is kept.
    Expression(Slot),
    /// Text with values in it.
    Text(Slot),
}

/// A value on its way out.
pub(crate) enum Made<'a> {
    /// One of a lead or the config.
    Value(Cow<'a, Value>),
    /// JSON a template made.
    Json(String),
}

impl Source {
    /// Compiles what an entry says; faults are kept by the builder. `None` for an entry that only takes away.
    pub(crate) fn new(entry: &BodyEntry, builder: &mut Builder) -> Option<Self> {
        let (value, place) = (entry.value.as_ref()?, entry.place());
        let Value::Text(text) = value else {
            return Some(Source::Fixed(value.clone()));
        };
        if !scan::is_template(text) {
            return Some(Source::Fixed(value.clone()));
        }
        if let Some(reference) = scan::sole_expression(text).and_then(scan::reference) {
            builder.refer(&place, &reference);
            return Some(Source::Field(reference, place));
        }
        let sole = scan::sole_expression(text).is_some();
        let escape = if sole { Escape::Value } else { Escape::Plain };
        let slot = builder.add(&place, text, escape);
        Some(if sole { Source::Expression(slot) } else { Source::Text(slot) })
    }

    /// The value for a lead; `None` where the lead has none.
    ///
    /// # Errors
    /// [`RenderFailed`] where a template or a cast fails for this lead.
    pub(crate) fn make<'a>(&'a self, filling: &Filling<'a>) -> Result<Option<Made<'a>>, RenderFailed> {
        match self {
            Source::Fixed(value) => Ok(Some(Made::Value(Cow::Borrowed(value)))),
            Source::Field(reference, place) => field(reference, place, filling),
            Source::Expression(slot) => {
                let json = filling.text(slot)?;
                Ok((!json.is_empty()).then_some(Made::Json(json)))
            }
            Source::Text(slot) => Ok(Some(Made::Value(Cow::Owned(Value::text(&filling.text(slot)?))))),
        }
    }

    /// Adds what shapes the bytes to a hash; templates are described with their request.
    pub(crate) fn describe(&self, out: &mut Vec<u8>) {
        match self {
            Source::Fixed(value) => {
                out.push(b'=');
                write_value(value, out);
            }
            Source::Field(reference, _) => out.extend_from_slice(format!("~{reference:?}").as_bytes()),
            Source::Expression(slot) | Source::Text(slot) => out.extend_from_slice(format!("${slot:?}").as_bytes()),
        }
    }
}

fn field<'a>(
    reference: &scan::Reference,
    place: &Place,
    filling: &Filling<'a>,
) -> Result<Option<Made<'a>>, RenderFailed> {
    let Some(value) = filling.view.follow(reference) else {
        let missing = || RenderFailed::template(place.as_str(), "names a field the lead does not have".to_owned());
        return if filling.strict { Err(missing()) } else { Ok(None) };
    };
    let unfit =
        || RenderFailed::template(place.as_str(), "a value cannot be turned into the type asked for".to_owned());
    Ok(Some(Made::Value(cast(value, reference.cast).ok_or_else(unfit)?)))
}

impl<'a> Made<'a> {
    /// At the end of a JSON text.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Made::Value(value) => write_value(value, out),
            Made::Json(json) => out.extend_from_slice(json.as_bytes()),
        }
    }

    /// As a lead's value.
    pub(crate) fn into_value(self) -> Cow<'a, Value> {
        match self {
            Made::Value(value) => value,
            Made::Json(json) => {
                let wrapped = format!("{{\"v\":{json}}}");
                let fields = parse_object(wrapped.as_bytes(), JsonLimits::LEAD);
                Cow::Owned(fields.ok().and_then(|fields| fields.get("v").cloned()).unwrap_or(Value::Null))
            }
        }
    }
}
