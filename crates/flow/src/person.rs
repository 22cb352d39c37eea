//! Who a lead is about: the email addresses and telephone numbers in it, each in one form, so that the same person is found
//! again however the form was filled in.
//!
//! Only for finding: nothing of this is sent. Never refuses: what is no address and no number is nobody.

use crate::mapping::{FieldSettings, FieldType};
use steadfast_lead::{Fields, Value};

/// How many addresses and numbers of one lead are told, together.
pub const CONTACTS_MAX: usize = 8;
/// How deep objects within a lead are looked into.
const DEPTH_MAX: usize = 4;
/// The longest name known.
const NAME_BYTES_MAX: usize = "emailaddress".len();
const EMAIL_BYTES_MAX: usize = 254;
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Ways to reach a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContactKind {
    /// An email address.
    Email,
    /// A telephone number.
    Phone,
}

impl ContactKind {
    /// Its word; part of how a search term is made, so it never changes.
    pub const fn name(self) -> &'static str {
        match self {
            ContactKind::Email => "email",
            ContactKind::Phone => "phone",
        }
    }

    /// A text in this kind's form; `None` where it is none of the kind.
    pub fn normalise(self, text: &str) -> Option<String> {
        match self {
            ContactKind::Email => email(text),
            ContactKind::Phone => phone(text),
        }
    }

    /// What a field of this name holds where nothing is declared, whatever its case and separators.
    fn of_name(name: &str) -> Option<Self> {
        let mut plain = [0; NAME_BYTES_MAX];
        let mut length = 0;
        // But for case and separators.
        for byte in name.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b' ' | b'.')) {
            *plain.get_mut(length)? = byte.to_ascii_lowercase();
            length += 1;
        }
        match &plain[..length] {
            b"email" | b"emailaddress" | b"mail" | b"contactemail" => Some(ContactKind::Email),
            b"phone" | b"phonenumber" | b"phone1" | b"phone2" | b"phone3" | b"telephone" | b"tel" | b"mobile"
            | b"mobilephone" | b"mobilenumber" | b"cell" | b"cellphone" | b"homephone" | b"workphone" => {
                Some(ContactKind::Phone)
            }
            _ => None,
        }
    }
}

/// Trimmed and in lower case, with something on either side of the last `@`. How long it may be goes by that form, since some
/// letters are longer in lower case, some shorter: an address is somebody's in either case, or in none.
fn email(text: &str) -> Option<String> {
    const SHORTENED_AT_MOST: usize = 3;
    let text = text.trim();
    if text.len() > EMAIL_BYTES_MAX * SHORTENED_AT_MOST {
        return None;
    }
    let form = text.to_lowercase();
    let (local, host) = form.rsplit_once('@')?;
    let fits = !local.is_empty() && !host.is_empty() && form.len() <= EMAIL_BYTES_MAX;
    (fits && !form.contains(char::is_whitespace)).then_some(form)
}

/// The digits, without the country code of the United States and Canada.
fn phone(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if text.contains('@') || !PHONE_DIGITS.contains(&digits.len()) {
        return None;
    }
    match digits.strip_prefix('1') {
        Some(national) if national.len() == 10 => Some(national.to_owned()),
        Some(_) | None => Some(digits),
    }
}

/// One address or number of a lead, in its form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact {
    /// Which it is.
    pub kind: ContactKind,
    /// In its form.
    pub value: String,
}

/// Where a flow's leads say who they are about: in fields declared as email or phone, and in those whose names say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactFields(Vec<(Box<str>, ContactKind)>);

impl ContactFields {
    /// Of a flow's declared fields.
    pub(crate) fn of(declared: &[FieldSettings]) -> Self {
        let of_field = |field: &FieldSettings| {
            let kind = contact_kind(field.kind)?;
            let names = std::iter::once(&field.name).chain(&field.aliases).cloned();
            Some(names.map(move |name| (name, kind)).collect::<Vec<_>>())
        };
        ContactFields(declared.iter().filter_map(of_field).flatten().collect())
    }

    /// What a field holds.
    pub(crate) fn kind_of(&self, name: &str) -> Option<ContactKind> {
        let declared = self.0.iter().find(|(known, _)| **known == *name).map(|(_, kind)| *kind);
        declared.or_else(|| ContactKind::of_name(name))
    }

    /// The addresses and numbers in a lead, each once, at most [`CONTACTS_MAX`].
    pub fn contacts(&self, fields: &Fields) -> Vec<Contact> {
        let mut found = Vec::new();
        self.look_into(fields, 0, &mut found);
        found
    }

    fn look_into(&self, fields: &Fields, depth: usize, found: &mut Vec<Contact>) {
        for (name, value) in fields.iter() {
            self.look_at(self.kind_of(name), value, depth, found);
        }
    }

    fn look_at(&self, kind: Option<ContactKind>, value: &Value, depth: usize, found: &mut Vec<Contact>) {
        match value {
            Value::Object(fields) if depth < DEPTH_MAX => self.look_into(fields, depth + 1, found),
            Value::List(values) if depth < DEPTH_MAX => {
                values.iter().for_each(|value| self.look_at(kind, value, depth + 1, found));
            }
            Value::Object(_) | Value::List(_) | Value::Null | Value::Bool(_) => {}
            Value::Number(_) | Value::Text(_) => {
                let contact = kind.and_then(|kind| {
                    Some(Contact { kind, value: kind.normalise(value.as_plain().unwrap_or_default())? })
                });
                let new = contact.filter(|contact| found.len() < CONTACTS_MAX && !found.contains(contact));
                found.extend(new);
            }
        }
    }
}

fn contact_kind(kind: FieldType) -> Option<ContactKind> {
    match kind {
        FieldType::Email => Some(ContactKind::Email),
        FieldType::Phone => Some(ContactKind::Phone),
        FieldType::Text
        | FieldType::PostalCode
        | FieldType::State
        | FieldType::Date
        | FieldType::Number
        | FieldType::Boolean
        | FieldType::Sensitive => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_lead::{JsonLimits, parse_object};

    fn lead(json: &str) -> Fields {
        parse_object(json.as_bytes(), JsonLimits::LEAD).unwrap()
    }

    fn found(declared: &[FieldSettings], json: &str) -> Vec<String> {
        let contacts = ContactFields::of(declared).contacts(&lead(json));
        contacts.into_iter().map(|contact| format!("{} {}", contact.kind.name(), contact.value)).collect()
    }

    #[test]
    fn one_person_has_one_form() {
        for text in ["Ann@Example.COM", " ann@example.com\t"] {
            assert_eq!(ContactKind::Email.normalise(text).as_deref(), Some("ann@example.com"));
        }
        for text in ["+1 (312) 555-0142", "13125550142", "312.555.0142", "3125550142"] {
            assert_eq!(ContactKind::Phone.normalise(text).as_deref(), Some("3125550142"), "{text}");
        }
        assert_eq!(ContactKind::Phone.normalise("+44 20 7946 0958").as_deref(), Some("442079460958"));
    }

    #[test]
    fn how_long_an_address_may_be_goes_by_its_form() {
        // Two bytes, and three in lower case; three bytes, and one.
        for (letter, bytes) in [('\u{130}', 3), ('\u{212a}', 1)] {
            for (others, fits) in [(249 - bytes, true), (250 - bytes, false)] {
                let text = format!("{letter}{}@ab.c", "x".repeat(others));
                let form = ContactKind::Email.normalise(&text);
                assert_eq!(form.is_some(), fits, "{text}");
                assert_eq!(form, ContactKind::Email.normalise(&text.to_lowercase()), "in either case, or in none");
            }
        }
    }

    #[test]
    fn what_is_no_address_and_no_number_is_nobody() {
        let long = format!("{}@example.com", "x".repeat(250));
        for text in ["", "none", "@", "a@", "@b", "a b@c", &long] {
            assert_eq!(ContactKind::Email.normalise(text), None, "{text}");
        }
        for text in ["", "n/a", "123456", "1234567890123456", "3125550142@x"] {
            assert_eq!(ContactKind::Phone.normalise(text), None, "{text}");
        }
    }

    #[test]
    fn fields_are_known_by_declaration_and_by_name_wherever_they_stand() {
        let json = r#"{"Email_Address":"A@b.c","reach":"d@e.f","phone-1":3125550142,"zip":"60601",
            "contact":{"Mobile Phone":["312-555-0143","312 555 0143","x"]},"emails_sent":"z@z.z"}"#;
        let declared = [FieldSettings { name: "via".into(), kind: FieldType::Email, aliases: vec!["reach".into()] }];
        let by_name = ["email a@b.c", "phone 3125550142", "phone 3125550143"];
        assert_eq!(found(&[], json), by_name);
        assert_eq!(found(&declared, json), [by_name[0], "email d@e.f", by_name[1], by_name[2]]);
    }

    #[test]
    fn how_many_are_told_is_bounded() {
        let many: Vec<String> = (0..50).map(|number| format!("\"a{number}@b.c\"")).collect();
        assert_eq!(found(&[], &format!("{{\"email\":[{}]}}", many.join(","))).len(), CONTACTS_MAX);
    }
}
