//! Conditions: expressions in CEL about a lead and the moment, checked when they are saved and asked before an attempt.
//!
//! The text is parsed by the crate `cel`; what it may name, which type each part has and how much it may cost is checked
//! here, and what passed becomes a tree in which every part is computed at most once. Reads no clock: the time is an
//! argument. Shows no lead's values in its errors.

mod check;
mod ground;
mod holds;
#[cfg(test)]
mod laws;
mod parse;

pub use ground::{CalendarByName, Ground};
pub use parse::{CONDITION_BYTES_MAX, CONDITION_NESTING_MAX, CONDITION_PARTS_MAX, CONDITION_SIGNS_MAX};

use crate::mapping::FieldType;
use std::fmt;
use std::sync::Arc;
use steadfast_lead::{Lead, Priority, RecipientName, Timestamp};
use steadfast_retry::calendar::{Calendar, Zone};

/// A condition that passed its check.
#[derive(Clone)]
pub struct Condition {
    text: Arc<str>,
    root: Node,
}

/// What a condition is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The lead.
    pub lead: &'a Lead,
    /// How urgent the delivery is, as its step says.
    pub priority: Priority,
    /// The number of the attempt that is to be made, over all legs, from 1.
    pub attempt: u32,
    /// Whom it goes to.
    pub recipient: &'a RecipientName,
    /// When that is asked.
    pub moment: Moment,
}

/// A time, and what people said about it that stands in no configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: Timestamp,
    /// The recipient is in maintenance then, by a person's word.
    pub in_maintenance: bool,
}

impl From<Timestamp> for Moment {
    fn from(now: Timestamp) -> Self {
        Moment { now, in_maintenance: false }
    }
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; allowed: {allowed}")]
pub struct BadCondition {
    /// What is wrong, as a sentence without its subject.
    pub problem: String,
    /// What would be right.
    pub allowed: String,
}

/// A condition that this lead gives no answer to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} in {text}")]
pub struct ConditionFailed {
    /// What went wrong. Holds nothing of the lead.
    pub what: String,
    /// The expression, as written.
    pub text: Arc<str>,
}

impl Condition {
    /// Reads and checks an expression.
    ///
    /// # Errors
    /// [`BadCondition`]: not CEL, too long or too deep, an unknown name or function, a wrong type, or no yes and no.
    pub fn read(text: &str, ground: &Ground<'_>) -> Result<Self, BadCondition> {
        let root = check::checked(&parse::parse(text)?, ground)?;
        Ok(Condition { text: text.trim().into(), root })
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is so.
    ///
    /// # Errors
    /// [`ConditionFailed`] where the lead lacks a field that is asked for, or one holds what is not of its type.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, ConditionFailed> {
        holds::truth(&self.root, facts).map_err(|what| ConditionFailed { what, text: Arc::clone(&self.text) })
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({})", self.text)
    }
}

/// What a part of an expression comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Truth,
    Number,
    Text,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Truth => "true or false",
            Type::Number => "a number",
            Type::Text => "a text",
        })
    }
}

/// A checked part. Types fit by construction.
#[derive(Clone, Debug)]
enum Node {
    Truth(bool),
    Number(f64),
    Text(Box<str>),
    Known(Known),
    Local(LocalPart, Zone),
    /// Whether the recipient is open: its calendar, none for always, less maintenance by a person's word.
    InHours(Option<Arc<Calendar>>),
    /// Whether a named calendar is open.
    Open(Arc<Calendar>),
    Field(Arc<Field>),
    Has(Arc<Field>),
    Not(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    If(Box<[Node; 3]>),
    Compare(Comparison, Box<[Node; 2]>),
    OneOf(Box<Node>, Vec<Node>),
    Math(Sum, Box<[Node; 2]>),
    Negate(Box<Node>),
    Search(Search, Box<[Node; 2]>),
    Size(Box<Node>),
    Lower(Box<Node>),
    ToNumber(Box<Node>),
}

/// What is known of every delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Priority,
    Source,
    Test,
    Attempt,
    Recipient,
    Flow,
    Age,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LocalPart {
    Hour,
    Minute,
    Weekday,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sum {
    Plus,
    Minus,
    Times,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    Begins,
    Ends,
    Contains,
}

/// A field of the lead, with every name it may come in under.
#[derive(Clone, Debug)]
struct Field {
    names: Vec<Box<str>>,
    kind: FieldType,
}

impl Field {
    const fn gives(&self) -> Type {
        match self.kind {
            FieldType::Number => Type::Number,
            FieldType::Boolean => Type::Truth,
            FieldType::Text
            | FieldType::Email
            | FieldType::Phone
            | FieldType::PostalCode
            | FieldType::State
            | FieldType::Date
            | FieldType::Sensitive => Type::Text,
        }
    }
}
