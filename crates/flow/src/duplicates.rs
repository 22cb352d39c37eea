//! The duplicate guard of a buyer: which fields make two leads the same to it, for how long, and what becomes of the second.

use crate::person::ContactFields;
use crate::place::{Fault, Place};
use std::ops::RangeInclusive;
use std::time::Duration;
use steadfast_lead::{Fields, RecipientName, Value, write_value};
use steadfast_retry::policy::show_duration;

/// How many fields a guard may compare.
pub const GUARD_FIELDS_MAX: usize = 8;
/// How far back a guard may look.
pub const GUARD_WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(366 * 86_400);
const GUARD_FIELD_BYTES_MAX: usize = 256;

/// What makes an earlier delivery count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicateOn {
    /// The recipient took it.
    #[default]
    Delivered,
    /// It may have been sent, whatever came of it.
    Sent,
}

/// What becomes of a delivery that is a duplicate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicateAction {
    /// Rejected, of the kind `duplicate`.
    #[default]
    Reject,
    /// A person has to look.
    Review,
    /// Closed: superseded by the earlier one.
    Skip,
}

impl DuplicateOn {
    /// All of them.
    pub const ALL: [DuplicateOn; 2] = [DuplicateOn::Delivered, DuplicateOn::Sent];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            DuplicateOn::Delivered => "delivered",
            DuplicateOn::Sent => "sent",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        DuplicateOn::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl DuplicateAction {
    /// All of them.
    pub const ALL: [DuplicateAction; 3] = [DuplicateAction::Reject, DuplicateAction::Review, DuplicateAction::Skip];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            DuplicateAction::Reject => "reject",
            DuplicateAction::Review => "review",
            DuplicateAction::Skip => "skip",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        DuplicateAction::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// A guard as an operator wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateSettings {
    /// The fields that make two leads the same; a field within an object by its dotted name.
    pub fields: Vec<Box<str>>,
    /// How far back an earlier delivery counts.
    pub window: Duration,
    /// What makes it count.
    pub on: DuplicateOn,
    /// What becomes of the later one.
    pub action: DuplicateAction,
}

impl DuplicateSettings {
    pub(crate) fn faults(&self, place: &Place) -> Vec<Fault> {
        let mut faults = Vec::new();
        let fields = place.key("fields");
        if self.fields.is_empty() || self.fields.len() > GUARD_FIELDS_MAX {
            let count = format!("{} fields", self.fields.len());
            faults.push(Fault::of(fields.clone(), &count, "is not possible", &format!("1 to {GUARD_FIELDS_MAX}")));
        }
        let fits = |name: &str| !name.is_empty() && name.len() <= GUARD_FIELD_BYTES_MAX;
        if self.fields.iter().any(|name| !fits(name)) {
            faults.push(Fault::unseen(fields, "holds what is not a field name", "1 to 256 bytes"));
        }
        if !GUARD_WINDOW.contains(&self.window) {
            let allowed = format!("{} to {}", show_duration(*GUARD_WINDOW.start()), show_duration(*GUARD_WINDOW.end()));
            let given = show_duration(self.window);
            faults.push(Fault::of(place.key("window"), &given, "is out of range", &allowed));
        }
        faults
    }
}

/// A guard, ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateGuard {
    settings: DuplicateSettings,
    contacts: ContactFields,
}

impl DuplicateGuard {
    pub(crate) fn new(settings: DuplicateSettings, contacts: ContactFields) -> Self {
        DuplicateGuard { settings, contacts }
    }

    /// How far back an earlier delivery counts.
    pub fn window(&self) -> Duration {
        self.settings.window
    }

    /// What makes it count.
    pub fn on(&self) -> DuplicateOn {
        self.settings.on
    }

    /// What becomes of the later one.
    pub fn action(&self) -> DuplicateAction {
        self.settings.action
    }

    /// The fields compared, for a sentence: `email and phone`.
    pub fn fields_told(&self) -> String {
        let names: Vec<&str> = self.settings.fields.iter().map(|name| &**name).collect();
        match names.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
            Some(_) | None => names.concat(),
        }
    }

    /// What two leads must share to be the same to a recipient: its name, then names and values, each value in its field's
    /// form. `None` for a lead that has none of the fields.
    pub fn likeness(&self, recipient: &RecipientName, fields: &Fields) -> Option<Vec<String>> {
        let mut likeness = vec![recipient.to_string()];
        let mut any = false;
        for name in &self.settings.fields {
            let value = field(fields, name).map(|value| self.form(name, value)).unwrap_or_default();
            any |= !value.is_empty();
            likeness.push(name.to_string());
            likeness.push(value);
        }
        any.then_some(likeness)
    }

    fn form(&self, name: &str, value: &Value) -> String {
        let Some(text) = value.as_plain() else {
            let mut json = Vec::new();
            write_value(value, &mut json);
            return String::from_utf8_lossy(&json).into_owned();
        };
        let last = name.rsplit('.').next().unwrap_or(name);
        let contact = self.contacts.kind_of(name).or_else(|| self.contacts.kind_of(last));
        let normal = contact.and_then(|kind| kind.normalise(text));
        normal.unwrap_or_else(|| text.trim().to_lowercase())
    }
}

/// A field by its name, or by a dotted name into objects.
fn field<'f>(fields: &'f Fields, name: &str) -> Option<&'f Value> {
    if let Some(value) = fields.get(name) {
        return Some(value);
    }
    let mut parts = name.split('.');
    let mut value = fields.get(parts.next()?)?;
    for part in parts {
        let Value::Object(inner) = value else { return None };
        value = inner.get(part)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_lead::{JsonLimits, parse_object};

    fn guard(fields: &[&str]) -> DuplicateGuard {
        let settings = DuplicateSettings {
            fields: fields.iter().map(|name| (*name).into()).collect(),
            window: Duration::from_secs(60),
            on: DuplicateOn::default(),
            action: DuplicateAction::default(),
        };
        DuplicateGuard::new(settings, ContactFields::default())
    }

    fn likeness(fields: &[&str], json: &str) -> Option<Vec<String>> {
        let lead = parse_object(json.as_bytes(), JsonLimits::LEAD).unwrap();
        guard(fields).likeness(&RecipientName::new("bigbank").unwrap(), &lead)
    }

    #[test]
    fn the_same_person_is_alike_however_written() {
        let one = likeness(&["email", "phone"], r#"{"email":"Ann@x.y","phone":"+1 312 555 0142"}"#);
        let other = likeness(&["email", "phone"], r#"{"zip":"1","phone":3125550142,"email":" ann@X.y "}"#);
        assert_eq!(one, other);
        assert_eq!(one.unwrap(), ["bigbank", "email", "ann@x.y", "phone", "3125550142"]);
    }

    #[test]
    fn every_field_counts_and_a_lead_with_none_is_like_no_other() {
        let with = |json| likeness(&["last_name", "home.zip"], json);
        assert_eq!(with(r#"{"last_name":" Doe","home":{"zip":"01234"}}"#).unwrap()[2..], ["doe", "home.zip", "01234"]);
        assert_ne!(with(r#"{"last_name":"Doe"}"#), with(r#"{"last_name":"Doe","home":{"zip":"01234"}}"#));
        for nobody in ["{}", r#"{"last_name":"","home":{"zip":null}}"#, r#"{"home":"01234"}"#] {
            assert_eq!(with(nobody), None, "{nobody}");
        }
        assert_eq!(with(r#"{"last_name":["a","B"]}"#).unwrap()[2], r#"["a","B"]"#);
    }

    #[test]
    fn settings_are_held_to_their_bounds() {
        let settings = |fields: usize, window| DuplicateSettings {
            fields: vec!["email".into(); fields],
            window,
            on: DuplicateOn::Sent,
            action: DuplicateAction::Skip,
        };
        let day = Duration::from_secs(86_400);
        for (settings, faults) in [
            (settings(1, day), 0),
            (settings(8, day * 366), 0),
            (settings(0, day), 1),
            (settings(9, day * 367), 2),
            (settings(1, Duration::ZERO), 1),
            (DuplicateSettings { fields: vec!["".into()], ..settings(1, day) }, 1),
        ] {
            assert_eq!(settings.faults(&Place::of("x")).len(), faults, "{settings:?}");
        }
    }

    #[test]
    fn fields_are_told_as_people_do() {
        assert_eq!(guard(&["email"]).fields_told(), "email");
        assert_eq!(guard(&["email", "phone", "zip"]).fields_told(), "email, phone and zip");
    }
}
