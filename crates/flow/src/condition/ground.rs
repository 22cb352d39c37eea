//! What an expression may name where it stands: the flow's fields, and the calendars and the zone of the place.

use super::Field;
use crate::mapping::{FieldSettings, FieldType};
use std::fmt;
use std::sync::Arc;
use steadfast_retry::calendar::{Calendar, Zone};

/// Fields that are numbers in every flow which does not declare them.
const NUMBERS: [&str; 2] = ["value", "quality"];
/// Names shown where one is unknown, at most.
const SHOWN_MAX: usize = 20;

/// Finds a named calendar, or says what is wrong with it.
pub type CalendarByName<'a> = &'a dyn Fn(&str) -> Result<Arc<Calendar>, String>;

/// What an expression may name.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// What the flow declares; nothing declared lets every name through, as a text.
    pub fields: &'a [FieldSettings],
    /// The recipient's zone, else its account's, else the flow's account's.
    pub zone: Option<&'a Zone>,
    /// The recipient's calendar; `None` for always open.
    pub calendar: Option<&'a Arc<Calendar>>,
    /// A calendar by name.
    pub named: CalendarByName<'a>,
}

impl fmt::Debug for Ground<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground").field("fields", &self.fields).field("zone", &self.zone).finish_non_exhaustive()
    }
}

impl Ground<'_> {
    /// A field by its name or by one it may come in under.
    ///
    /// # Errors
    /// The names there are.
    pub(super) fn field(&self, name: &str) -> Result<Arc<Field>, String> {
        let is_named =
            |field: &&FieldSettings| *field.name == *name || field.aliases.iter().any(|alias| **alias == *name);
        if let Some(declared) = self.fields.iter().find(is_named) {
            let names = std::iter::once(&declared.name).chain(&declared.aliases).cloned().collect();
            return Ok(Arc::new(Field { names, kind: declared.kind }));
        }
        let number = NUMBERS.contains(&name);
        if number || self.fields.is_empty() {
            let kind = if number { FieldType::Number } else { FieldType::Text };
            return Ok(Arc::new(Field { names: vec![name.into()], kind }));
        }
        let known = self.fields.iter().map(|field| &*field.name).chain(NUMBERS).take(SHOWN_MAX);
        Err(known.map(|name| format!("lead.{name}")).collect::<Vec<_>>().join(", "))
    }
}
