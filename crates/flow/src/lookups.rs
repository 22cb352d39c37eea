//! What templates may look up beside the lead: an operator's tables, and secrets by name.
//!
//! Never prints a secret.

use crate::place::{Fault, Place};
use crate::secret::Secret;
use std::collections::BTreeMap;

/// Tables, at most.
pub const TABLES_MAX: usize = 200;
/// Rows of a table, at most.
pub const ROWS_MAX: usize = 10_000;
/// Secrets, at most.
pub const SECRETS_MAX: usize = 200;

/// Everything a template may name that is not the lead's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// `[tables.NAME]`: what a text becomes.
    pub tables: BTreeMap<Box<str>, BTreeMap<Box<str>, Box<str>>>,
    /// `[secrets]`: salts, and passwords a body must hold.
    pub secrets: BTreeMap<Box<str>, Secret>,
}

impl Lookups {
    /// What there is too much of.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let many = |place: Place, count: usize, most: usize| {
            let given = format!("{count} entries");
            (count > most).then(|| Fault::of(place, &given, "are too many", &format!("at most {most}")))
        };
        let counts = [many(Place::of("tables"), self.tables.len(), TABLES_MAX)];
        let secrets = many(Place::of("secrets"), self.secrets.len(), SECRETS_MAX);
        let rows =
            self.tables.iter().filter_map(|(name, rows)| many(Place::of("tables").key(name), rows.len(), ROWS_MAX));
        counts.into_iter().flatten().chain(secrets).chain(rows).collect()
    }
}
