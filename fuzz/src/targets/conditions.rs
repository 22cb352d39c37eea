//! Conditions in CEL: what an operator writes, asked of what a lead holds.

use super::requests::lead_of;
use super::{parts, text};
use std::sync::{Arc, LazyLock};
use steadfast_flow::{Condition, Facts, FieldSettings, FieldType, Ground};
use steadfast_lead::{JsonLimits, Lead, Priority, RecipientName, Timestamp, Value, parse_object};
use steadfast_retry::calendar::{Calendar, Hours, Zone};

pub(super) const CONDITION: &[&str] = &[
    "lead.value",
    "lead[\"b c\"]",
    "lead.state",
    "lead.owner",
    "lead.note",
    "has(lead.value)",
    "\"b c\" in lead",
    "quality",
    "priority == 'high'",
    "source",
    "recipient",
    "attempt",
    "age",
    "local.hour",
    "local.weekday",
    "in_hours",
    "in_hours('office')",
    " && ",
    " || ",
    "!",
    " ? ",
    " : ",
    " == ",
    " >= ",
    " in ['a', 'b']",
    ".startsWith('a')",
    ".contains(lead.note)",
    ".lowerAscii()",
    "size(",
    "double(",
    " * 1e308",
    " - ",
    "(",
    ")",
    "[",
    "]",
    ".map(x, x)",
    "{\"note\":\"",
];

/// What no error may show: it is in every lead.
const PRIVATE: &str = "pr1vate-5h0wn";

struct Place {
    zone: Zone,
    office: Arc<Calendar>,
    fields: Vec<FieldSettings>,
    recipient: RecipientName,
}

static PLACE: LazyLock<Option<Place>> = LazyLock::new(|| {
    let zone = Zone::new("America/New_York").ok()?;
    let office = Arc::new(Calendar::new(zone.clone()).within(Hours::new("Mo-Fr 09:00-17:00").ok()?));
    let field = |name: &str, kind| FieldSettings { name: name.into(), kind, aliases: Vec::new() };
    let kinds = [
        ("value", FieldType::Number),
        ("owner", FieldType::Boolean),
        ("state", FieldType::State),
        ("zip", FieldType::PostalCode),
        ("phone", FieldType::Phone),
        ("email", FieldType::Email),
        ("dob", FieldType::Date),
        ("note", FieldType::Text),
        ("b c", FieldType::Sensitive),
    ];
    let fields = kinds.map(|(name, kind)| field(name, kind)).to_vec();
    Some(Place { zone, office, fields, recipient: RecipientName::new("bigbank").ok()? })
});

/// A lead in JSON, then the expression: checked where fields are declared and where they are not, and asked where it passed.
pub(super) fn condition(input: &[u8]) {
    let [lead, expression] = parts(input);
    let mut fields = parse_object(lead, JsonLimits::LEAD).unwrap_or_default();
    for name in ["note", "b c", "private"] {
        if fields.get(name).is_none() {
            fields.append(name, Value::text(PRIVATE));
        }
    }
    let (Some(place), Some(lead)) = (PLACE.as_ref(), lead_of(fields)) else { return };
    let expression = text(expression);
    for declared in [&place.fields[..], &[]] {
        asked(place, declared, &expression, &lead);
    }
}

fn asked(place: &Place, fields: &[FieldSettings], expression: &str, lead: &Lead) {
    let named = |name: &str| match name {
        "office" => Ok(Arc::clone(&place.office)),
        _ => Err("is not there".to_owned()),
    };
    let ground = Ground { fields, zone: Some(&place.zone), calendar: Some(&place.office), named: &named };
    let condition = match Condition::read(expression, &ground) {
        Ok(condition) => condition,
        Err(bad) => {
            assert!(!bad.problem.is_empty() && !bad.allowed.is_empty(), "refused without a word: {bad:?}");
            return;
        }
    };
    let again = Condition::read(condition.text(), &ground);
    assert!(again.is_ok(), "what was accepted is refused when it is read again: {again:?}");
    let facts = Facts {
        lead,
        priority: Priority::High,
        attempt: 2,
        recipient: &place.recipient,
        moment: Timestamp::from_millis(1_795_000_600_000).into(),
    };
    let (once, twice) = (condition.holds(&facts), condition.holds(&facts));
    assert_eq!(once, twice, "it is so, and it is not");
    if let Err(failed) = once {
        assert!(!failed.what.contains(PRIVATE), "an error shows what a lead holds: {}", failed.what);
    }
}
