//! Computing a checked expression. Every part is computed at most once and none repeats, so what an expression costs is bounded
//! by its parts and by the texts they look at.

use super::{Comparison, Facts, Field, Known, LocalPart, Node, Search, Sum};
use crate::mapping::FieldType;
use crate::normal::{boolean, normalise, number};
use std::borrow::Cow;
use std::cmp::Ordering;
use steadfast_lead::Value;

/// What a part came to.
#[derive(Clone, Debug, PartialEq)]
enum Came<'a> {
    Truth(bool),
    Number(f64),
    Text(Cow<'a, str>),
}

/// Whether an expression is so.
///
/// # Errors
/// What went wrong, without anything of the lead.
pub(super) fn truth(node: &Node, facts: &Facts<'_>) -> Result<bool, String> {
    match came(node, facts)? {
        Came::Truth(is) => Ok(is),
        Came::Number(_) | Came::Text(_) => Err("is neither true nor false".to_owned()),
    }
}

/// `&&` and `||`: one side that decides is enough, also where the other gives no answer.
fn either(two: &[Node; 2], decides: bool, facts: &Facts<'_>) -> Result<bool, String> {
    let first = truth(&two[0], facts);
    if first == Ok(decides) {
        return first;
    }
    match truth(&two[1], facts) {
        Ok(second) if second == decides => Ok(second),
        second => first.and(second),
    }
}

fn came<'a>(node: &'a Node, facts: &Facts<'a>) -> Result<Came<'a>, String> {
    Ok(match node {
        Node::Truth(is) => Came::Truth(*is),
        Node::Number(number) => Came::Number(*number),
        Node::Text(text) => Came::Text(Cow::Borrowed(text)),
        Node::Known(known) => of_known(*known, facts),
        Node::Local(part, zone) => {
            let clock = zone.clock(facts.moment.now);
            Came::Number(f64::from(match part {
                LocalPart::Hour => clock.hour,
                LocalPart::Minute => clock.minute,
                LocalPart::Weekday => clock.weekday,
            }))
        }
        Node::InHours(calendar) => {
            let open = calendar.as_ref().is_none_or(|calendar| calendar.is_open(facts.moment.now));
            Came::Truth(open && !facts.moment.in_maintenance)
        }
        Node::Open(calendar) => Came::Truth(calendar.is_open(facts.moment.now)),
        Node::Field(field) => of_field(field, facts)?,
        Node::Has(field) => Came::Truth(present(field, facts).is_some()),
        Node::Not(inner) => Came::Truth(!truth(inner, facts)?),
        Node::And(two) => Came::Truth(either(two, false, facts)?),
        Node::Or(two) => Came::Truth(either(two, true, facts)?),
        Node::If(three) => came(if truth(&three[0], facts)? { &three[1] } else { &three[2] }, facts)?,
        Node::Compare(how, two) => Came::Truth(compare(*how, &came(&two[0], facts)?, &came(&two[1], facts)?)),
        Node::OneOf(one, list) => {
            let one = came(one, facts)?;
            let mut all = list.iter().map(|other| came(other, facts).map(|other| other == one));
            Came::Truth(all.try_fold(false, |any, same| same.map(|same| any || same))?)
        }
        Node::Math(how, two) => {
            let (one, other) = (as_number(&came(&two[0], facts)?)?, as_number(&came(&two[1], facts)?)?);
            Came::Number(match how {
                Sum::Plus => one + other,
                Sum::Minus => one - other,
                Sum::Times => one * other,
            })
        }
        Node::Negate(one) => Came::Number(-as_number(&came(one, facts)?)?),
        Node::Search(how, two) => {
            let (text, sought) = (as_text(came(&two[0], facts)?)?, as_text(came(&two[1], facts)?)?);
            Came::Truth(match how {
                Search::Begins => text.starts_with(&*sought),
                Search::Ends => text.ends_with(&*sought),
                Search::Contains => text.contains(&*sought),
            })
        }
        Node::Size(text) => {
            let characters = as_text(came(text, facts)?)?.chars().count();
            Came::Number(f64::from(u32::try_from(characters).unwrap_or(u32::MAX)))
        }
        Node::Lower(text) => Came::Text(Cow::Owned(as_text(came(text, facts)?)?.to_ascii_lowercase())),
        Node::ToNumber(text) => Came::Number(read_number(&as_text(came(text, facts)?)?, "the text given to double()")?),
    })
}

fn of_known<'a>(known: Known, facts: &Facts<'a>) -> Came<'a> {
    let text = |text: &'a str| Came::Text(Cow::Borrowed(text));
    match known {
        Known::Priority => text(facts.priority.name()),
        Known::Source => text(facts.lead.source.as_ref().map_or("", |source| source.as_str())),
        Known::Test => Came::Truth(facts.lead.test),
        Known::Attempt => Came::Number(f64::from(facts.attempt)),
        Known::Recipient => text(facts.recipient.as_str()),
        Known::Flow => text(facts.lead.flow.as_str()),
        Known::Age => {
            let seconds = facts.moment.now.since(facts.lead.accepted_at).as_secs();
            Came::Number(f64::from(u32::try_from(seconds).unwrap_or(u32::MAX)))
        }
    }
}

/// The value of a field that is there and says something.
fn present<'a>(field: &Field, facts: &Facts<'a>) -> Option<&'a Value> {
    let value = field.names.iter().find_map(|name| facts.lead.fields.get(name))?;
    let plain = value.as_plain();
    plain.is_none_or(|text| !text.trim().is_empty()).then_some(value).filter(|value| !matches!(value, Value::Null))
}

fn of_field<'a>(field: &Field, facts: &Facts<'a>) -> Result<Came<'a>, String> {
    let name = field.names.first().map_or("", |name| name);
    let value = present(field, facts).ok_or_else(|| format!("the lead has no {name}: ask has(lead.{name}) before"))?;
    let Some(text) = value.as_plain() else {
        return Err(format!("the lead's {name} is a list or an object"));
    };
    Ok(match field.kind {
        FieldType::Number => Came::Number(read_number(text, &format!("the lead's {name}"))?),
        FieldType::Boolean => {
            let read = boolean(text.trim());
            Came::Truth(read.ok_or_else(|| format!("the lead's {name} is neither true nor false"))?)
        }
        FieldType::Text | FieldType::Sensitive => Came::Text(Cow::Borrowed(text)),
        FieldType::Email | FieldType::Phone | FieldType::PostalCode | FieldType::State | FieldType::Date => {
            let normal = normalise(field.kind, value).value;
            Came::Text(Cow::Owned(normal.as_plain().unwrap_or(text).to_owned()))
        }
    })
}

fn read_number(text: &str, whose: &str) -> Result<f64, String> {
    let read = number(text).and_then(|number| number.as_str().parse::<f64>().ok());
    read.filter(|read| read.is_finite()).ok_or_else(|| format!("{whose} is not a number"))
}

fn compare(how: Comparison, one: &Came<'_>, other: &Came<'_>) -> bool {
    let order = match (one, other) {
        (Came::Number(one), Came::Number(other)) => one.partial_cmp(other),
        (Came::Text(one), Came::Text(other)) => Some(one.cmp(other)),
        (Came::Truth(one), Came::Truth(other)) => Some(one.cmp(other)),
        (Came::Number(_) | Came::Text(_) | Came::Truth(_), _) => None,
    };
    match how {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::Unequal => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn as_number(came: &Came<'_>) -> Result<f64, String> {
    match came {
        Came::Number(number) => Ok(*number),
        Came::Text(_) | Came::Truth(_) => Err("what is no number is counted with".to_owned()),
    }
}

fn as_text<'a>(came: Came<'a>) -> Result<Cow<'a, str>, String> {
    match came {
        Came::Text(text) => Ok(text),
        Came::Number(_) | Came::Truth(_) => Err("what is no text is searched".to_owned()),
    }
}
