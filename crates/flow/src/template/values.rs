//! What a template sees of a lead: declared fields in their type's form, what came in raw, and the lead's own id and time.
//!
//! Only what a template names is turned into values. Never sees a clock: the one time there is, is when the lead was accepted.

use super::scan::{Cast, Reference, Stride};
use crate::mapping::FieldSettings;
use crate::normal::{boolean, normalise, number};
use minijinja::Value as Seen;
use std::borrow::Cow;
use std::collections::HashMap;
use steadfast_lead::{Fields, Lead, Number, Value};

/// Names with a meaning of their own: every field, fields as they came, and the lead.
pub(crate) const RESERVED: [&str; 3] = ["fields", "raw", "lead"];
/// What `lead` holds.
pub(crate) const LEAD_KEYS: [&str; 5] = ["id", "accepted_at", "flow", "source", "test"];

/// The fields a flow declares, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    fields: HashMap<Box<str>, FieldSettings>,
    order: Vec<Box<str>>,
}

impl Declared {
    /// From what a flow declares.
    pub(crate) fn new(fields: &[FieldSettings]) -> Self {
        let order = fields.iter().map(|field| field.name.clone()).collect();
        Declared { fields: fields.iter().map(|field| (field.name.clone(), field.clone())).collect(), order }
    }

    /// Whether the flow declares any.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether a template may name it.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.fields.is_empty() || self.fields.contains_key(name)
    }

    /// Their names, in the order they stand.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(|name| &**name)
    }

    /// What a field is declared to be.
    pub(crate) fn get(&self, name: &str) -> Option<&FieldSettings> {
        self.fields.get(name)
    }
}

/// A lead as templates see it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    lead: &'a Lead,
    declared: &'a Declared,
}

impl<'a> View<'a> {
    pub(crate) fn new(lead: &'a Lead, declared: &'a Declared) -> Self {
        View { lead, declared }
    }

    /// A field as it came; under its own name, else under the alias that came first.
    fn raw(&self, name: &str) -> Option<&'a Value> {
        let fields = &self.lead.fields;
        let own = fields.get(name);
        let Some(field) = self.declared.get(name).filter(|_| own.is_none()) else {
            return own;
        };
        let alias = |incoming: &str| field.aliases.iter().any(|alias| **alias == *incoming);
        fields.iter().find(|(incoming, _)| alias(incoming)).map(|(_, value)| value)
    }

    /// A field in its type's form.
    fn field(&self, name: &str) -> Option<Cow<'a, Value>> {
        let raw = self.raw(name)?;
        match self.declared.get(name) {
            Some(field) => Some(Cow::Owned(normalise(field.kind, raw).value)),
            None => self.declared.is_empty().then_some(Cow::Borrowed(raw)),
        }
    }

    /// Every declared field the lead has; all it has where nothing is declared.
    fn all(&self, get: impl Fn(&str) -> Option<Cow<'a, Value>>) -> Fields {
        let mut fields = Fields::new();
        let declared: Vec<&str> = self.declared.names().collect();
        let names =
            if declared.is_empty() { self.lead.fields.iter().map(|(name, _)| name).collect() } else { declared };
        for name in names {
            if let Some(value) = get(name) {
                // Names are unique: either side of the choice above has each once.
                let _kept = fields.insert(name, value.into_owned());
            }
        }
        fields
    }

    fn own(&self, key: &str) -> Option<Value> {
        match key {
            "id" => Some(Value::text(&self.lead.id.to_string())),
            "accepted_at" => Some(Value::text(&self.lead.accepted_at.to_string())),
            "flow" => Some(Value::text(self.lead.flow.as_str())),
            "source" => self.lead.source.as_ref().map(|source| Value::text(source.as_str())),
            "test" => Some(Value::Bool(self.lead.test)),
            _ => None,
        }
    }

    /// The value of a way; `None` where the lead does not have it.
    pub(crate) fn follow(&self, reference: &Reference) -> Option<Cow<'a, Value>> {
        let [Stride::Name(first), rest @ ..] = reference.strides.as_slice() else {
            return None;
        };
        let (value, rest) = match (&**first, rest) {
            ("lead", [Stride::Name(key), rest @ ..]) => (Cow::Owned(self.own(key)?), rest),
            ("raw", [Stride::Name(name), rest @ ..]) => (Cow::Borrowed(self.raw(name)?), rest),
            ("fields", [Stride::Name(name), rest @ ..]) => (self.field(name)?, rest),
            ("fields", []) => (Cow::Owned(Value::Object(self.all(|name| self.field(name)))), rest),
            ("raw", []) => (Cow::Owned(Value::Object(self.all(|name| self.raw(name).map(Cow::Borrowed)))), rest),
            ("lead" | "raw" | "fields", _) => return None,
            (name, rest) => (self.field(name)?, rest),
        };
        walk(value, rest)
    }

    /// What a template sees, of the names it needs.
    pub(crate) fn context(&self, needed: &[Box<str>]) -> Seen {
        let names = needed.iter().map(|name| &**name);
        names
            .filter_map(|name| Some((name.to_owned(), self.seen(name)?)))
            .collect::<std::collections::BTreeMap<String, Seen>>()
            .into()
    }

    fn seen(&self, name: &str) -> Option<Seen> {
        match name {
            "lead" => Some(Seen::from_pairs(LEAD_KEYS.iter().filter_map(|key| Some((*key, seen(&self.own(key)?)))))),
            "fields" => Some(seen_fields(&self.all(|name| self.field(name)))),
            "raw" => Some(seen_fields(&self.all(|name| self.raw(name).map(Cow::Borrowed)))),
            _ => self.field(name).map(|value| seen(&value)),
        }
    }
}

fn walk<'a>(value: Cow<'a, Value>, strides: &[Stride]) -> Option<Cow<'a, Value>> {
    let Some((stride, rest)) = strides.split_first() else {
        return Some(value);
    };
    let inner = match value {
        Cow::Borrowed(value) => Cow::Borrowed(below(value, stride)?),
        Cow::Owned(value) => Cow::Owned(below(&value, stride)?.clone()),
    };
    walk(inner, rest)
}

fn below<'v>(value: &'v Value, stride: &Stride) -> Option<&'v Value> {
    match (value, stride) {
        (Value::Object(fields), Stride::Name(name)) => fields.get(name),
        (Value::List(values), Stride::Place(place)) => values.get(*place),
        (
            Value::Object(_) | Value::List(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_),
            Stride::Name(_) | Stride::Place(_),
        ) => None,
    }
}

/// A value turned into another type; `None` where it cannot be. Nothing stays nothing.
pub(crate) fn cast<'v>(value: Cow<'v, Value>, cast: Option<Cast>) -> Option<Cow<'v, Value>> {
    let Some(wanted) = cast else {
        return Some(value);
    };
    let text = value.as_plain()?;
    if text.trim().is_empty() {
        return Some(Cow::Owned(Value::Null));
    }
    let turned = match wanted {
        Cast::Number => Value::Number(number(text)?),
        Cast::Boolean => Value::Bool(boolean(text.trim())?),
        Cast::Text => Value::text(text),
    };
    Some(Cow::Owned(turned))
}

/// A lead's value as a template computes with it. A number with decimals is its digits, so that none is lost; the filter
/// `number` makes one to compute with.
fn seen(value: &Value) -> Seen {
    match value {
        Value::Null => Seen::from(()),
        Value::Bool(yes) => Seen::from(*yes),
        Value::Number(number) => whole(number).map_or_else(|| Seen::from(number.as_str()), Seen::from),
        Value::Text(text) => Seen::from(&**text),
        Value::List(values) => values.iter().map(seen).collect::<Vec<Seen>>().into(),
        Value::Object(fields) => seen_fields(fields),
    }
}

fn seen_fields(fields: &Fields) -> Seen {
    Seen::from_pairs(fields.iter().map(|(name, value)| (name.to_owned(), seen(value))))
}

fn whole(number: &Number) -> Option<i64> {
    let whole: i64 = number.as_str().parse().ok()?;
    (whole.to_string() == number.as_str()).then_some(whole)
}
