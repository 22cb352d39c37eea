//! Which fields of a lead go out as they came, under which names, and how they are written: JSON, form or query.
//!
//! Deterministic: the same lead and the same mapping give the same bytes. Never copies a value; never reads anything but its
//! arguments.

use crate::body::write_pair;
use crate::normal::normalise;
use crate::request::RenderFailed;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use steadfast_lead::{Fields, Value, write_object, write_value};

/// What a declared field holds: the form templates and mapped bodies see it in. Sent as it came where no body is laid out,
/// but for [`FieldType::Sensitive`], which is not sent then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Any text.
    #[default]
    Text,
    /// An email address.
    Email,
    /// A telephone number.
    Phone,
    /// A postal code.
    PostalCode,
    /// A state or province.
    State,
    /// A date.
    Date,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// Something that is never sent unless a body names it.
    Sensitive,
}

impl FieldType {
    /// All of them.
    pub const ALL: [FieldType; 9] = [
        FieldType::Text,
        FieldType::Email,
        FieldType::Phone,
        FieldType::PostalCode,
        FieldType::State,
        FieldType::Date,
        FieldType::Number,
        FieldType::Boolean,
        FieldType::Sensitive,
    ];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            FieldType::Text => "text",
            FieldType::Email => "email",
            FieldType::Phone => "phone",
            FieldType::PostalCode => "postal_code",
            FieldType::State => "state",
            FieldType::Date => "date",
            FieldType::Number => "number",
            FieldType::Boolean => "boolean",
            FieldType::Sensitive => "sensitive",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        FieldType::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// One field a flow declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSettings {
    /// The name it is sent under.
    pub name: Box<str>,
    /// What it holds.
    pub kind: FieldType,
    /// Other names it may come in under.
    pub aliases: Vec<Box<str>>,
}

/// Which fields go out under which names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mapping {
    /// By incoming name; `None` lets everything through.
    rules: Option<HashMap<Box<str>, Rule>>,
    /// Sent with every lead, in place of a lead's field of that name.
    fixed: Vec<(Box<str>, Value)>,
}

#[derive(Clone, Debug)]
struct Rule {
    name: Arc<str>,
    kind: FieldType,
    alias: bool,
    sensitive: bool,
}

impl Mapping {
    /// From what a flow declares (nothing declared lets every field through) and what a step adds.
    pub(crate) fn new(declared: &[FieldSettings], fixed: &[(Box<str>, Value)]) -> Self {
        let rules = (!declared.is_empty()).then(|| declared.iter().flat_map(rules_of).collect());
        Mapping { rules, fixed: fixed.to_vec() }
    }

    /// Adds what shapes the bytes to a hash.
    pub(crate) fn describe(&self, hash: &mut Sha256) {
        let mut rules: Vec<(&str, &Rule)> = self.rules.iter().flatten().map(|(name, rule)| (&**name, rule)).collect();
        rules.sort_unstable_by_key(|(name, _)| *name);
        let count = u64::try_from(rules.len()).unwrap_or(u64::MAX);
        hash.update([u8::from(self.rules.is_some())]);
        hash.update(count.to_be_bytes());
        for (incoming, rule) in rules {
            for part in [incoming.as_bytes(), rule.name.as_bytes(), &[u8::from(rule.alias), u8::from(rule.sensitive)]] {
                describe_part(part, hash);
            }
        }
        for (name, value) in &self.fixed {
            let mut text = Vec::new();
            write_value(value, &mut text);
            describe_part(name.as_bytes(), hash);
            describe_part(&text, hash);
        }
    }

    /// Every field that goes out with the name it goes out under.
    pub(crate) fn outgoing_fields<'a>(&'a self, fields: &'a Fields) -> Result<Vec<(&'a str, &'a Value)>, RenderFailed> {
        let mut out = Vec::with_capacity(fields.len());
        self.walk(fields, |name, value| {
            out.push((name, value));
            Ok(())
        })?;
        Ok(out)
    }

    /// Calls `each` for every field that goes out, in the order the lead came, fixed ones last.
    fn walk<'a>(
        &'a self,
        fields: &'a Fields,
        mut each: impl FnMut(&'a str, &'a Value) -> Result<(), RenderFailed>,
    ) -> Result<(), RenderFailed> {
        let mut from_alias: HashSet<&str> = HashSet::new();
        for (incoming, value) in fields.iter() {
            let Some(name) = self.outgoing(incoming, fields, &mut from_alias) else {
                continue;
            };
            if !self.fixed.iter().any(|(fixed, _)| **fixed == *name) {
                each(name, value)?;
            }
        }
        self.fixed.iter().try_for_each(|(name, value)| each(name, value))
    }

    /// The name a field goes out under; `None` where it stays. A field under its own name goes before one under an alias, and
    /// of two aliases the one that came first.
    fn outgoing<'a>(&'a self, incoming: &'a str, fields: &Fields, taken: &mut HashSet<&'a str>) -> Option<&'a str> {
        let Some(rules) = &self.rules else {
            return Some(incoming);
        };
        let rule = rules.get(incoming).filter(|rule| !rule.sensitive)?;
        if rule.alias && (fields.get(&rule.name).is_some() || !taken.insert(&rule.name)) {
            return None;
        }
        Some(&rule.name)
    }

    /// Fields whose value is not of the type they are declared with.
    pub(crate) fn unfit(&self, fields: &Fields) -> Vec<(Box<str>, FieldType)> {
        let rule = |incoming: &str| self.rules.as_ref()?.get(incoming);
        let declared = fields.iter().filter_map(|(incoming, value)| Some((incoming, value, rule(incoming)?.kind)));
        let unfit = declared.filter(|(_, value, kind)| !normalise(*kind, value).fits);
        unfit.map(|(incoming, _, kind)| (incoming.into(), kind)).collect()
    }

    /// Writes the fields as one compact JSON object.
    pub(crate) fn write_json(&self, fields: &Fields, out: &mut Vec<u8>) -> Result<(), RenderFailed> {
        if self.rules.is_none() && self.fixed.is_empty() {
            write_object(fields, out);
            return Ok(());
        }
        out.push(b'{');
        let begin = out.len();
        self.walk(fields, |name, value| {
            if out.len() > begin {
                out.push(b',');
            }
            // Writing text into a vector cannot fail.
            let _written = serde_json::to_writer(&mut *out, name);
            out.push(b':');
            write_value(value, out);
            Ok(())
        })?;
        out.push(b'}');
        Ok(())
    }

    /// Writes the fields as `name=value` pairs joined with `&`, percent-encoded: objects flattened by dots, lists as
    /// repeated names.
    pub(crate) fn write_pairs(&self, fields: &Fields) -> Result<String, RenderFailed> {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        self.walk(fields, |name, value| write_pair(name, value, &mut pairs))?;
        Ok(pairs.finish())
    }
}

fn rules_of(field: &FieldSettings) -> impl Iterator<Item = (Box<str>, Rule)> {
    let name: Arc<str> = Arc::from(&*field.name);
    let sensitive = field.kind == FieldType::Sensitive;
    let own = (field.name.clone(), Rule { name: Arc::clone(&name), kind: field.kind, alias: false, sensitive });
    let aliases = field.aliases.iter();
    let aliases = aliases
        .map(move |alias| (alias.clone(), Rule { name: Arc::clone(&name), kind: field.kind, alias: true, sensitive }));
    std::iter::once(own).chain(aliases)
}

/// Parts are length-prefixed, so that no two descriptions read alike.
pub(crate) fn describe_part(part: &[u8], hash: &mut Sha256) {
    hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(part);
}
