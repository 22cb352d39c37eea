//! Rule 1: imports go down only. The table on the architecture page is the rule; cargo says what is.
//!
//! Dev-dependencies may be looser: a test may stand on any floor, so they may name every crate except the server and the
//! tools. What ships is held to the table.

use super::{Need, line_naming};
use crate::problem::Problem;
use std::collections::BTreeMap;

const HEADING: &str = "| crate | may import |";
const PREFIX: &str = "steadfast-";
/// Nothing stands on these, not even in tests.
const TOP: [&str; 3] = ["server", "bench", "xtask"];

/// What one crate may import.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Everything,
    Only(Vec<String>),
}

/// The table, by the short names it uses (`lead` for `steadfast-lead`, `server` for the binary).
pub(crate) struct Table(BTreeMap<String, (usize, Allowed)>);

impl Table {
    /// Reads the table from the page; empty when it is not there.
    pub(crate) fn read(_page: &str, text: &str) -> Self {
        let lines = text.lines().enumerate().skip_while(|(_, line)| line.trim() != HEADING);
        let rows = lines.skip(2).take_while(|(_, line)| line.starts_with('|'));
        let rows = rows.filter_map(|(index, line)| {
            let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', ""));
            let (name, may) = (cells.next()?, cells.next()?);
            Some((name, (index + 1, allowed(&may))))
        });
        Table(rows.collect())
    }

    /// Rows without a crate, and crates without a row.
    pub(crate) fn check(&self, page: &str, crates: &[&str]) -> Vec<Problem> {
        let known: Vec<String> = crates.iter().map(|name| short(name)).collect();
        let rowless = known.iter().filter(|name| !self.0.contains_key(*name)).map(|name| {
            let remedy = format!("add a row for it under `{HEADING}`");
            Problem::at(page, 0, format!("the table of imports has no row for {name}"), remedy)
        });
        let gone = self.0.iter().filter(|(name, _)| !known.contains(name)).map(|(name, (line, _))| {
            Problem::at(page, *line, format!("the table of imports names {name}, which is no crate"), "remove the row")
        });
        rowless.chain(gone).collect()
    }
}

fn allowed(cell: &str) -> Allowed {
    match cell {
        "everything" => Allowed::Everything,
        "nothing of ours" => Allowed::Only(Vec::new()),
        names => Allowed::Only(names.split(',').map(|name| name.trim().to_owned()).collect()),
    }
}

/// The name the table uses.
fn short(package: &str) -> String {
    match package {
        "steadfast" => "server".to_owned(),
        other => other.strip_prefix(PREFIX).unwrap_or(other).to_owned(),
    }
}

/// Checks one crate's imports of ours against the table. `manifest` is its path and text.
pub(crate) fn check(table: &Table, package: &str, needs: &[Need], manifest: (&str, &str)) -> Vec<Problem> {
    let name = short(package);
    let Some((_, allowed)) = table.0.get(&name) else { return Vec::new() };
    let (file, text) = manifest;
    let ours = needs.iter().filter(|need| need.ours);
    let wrong = ours.filter(|need| !may(allowed, &short(&need.package), need.dev));
    wrong
        .map(|need| {
            let wanted = short(&need.package);
            let says = format!("{name} must not import {wanted}");
            let remedy =
                "move the code to where both may reach it, or change the table and say why in a decision record";
            Problem::at(file, line_naming(text, &need.package), says, remedy)
        })
        .collect()
}

fn may(allowed: &Allowed, wanted: &str, dev: bool) -> bool {
    if TOP.contains(&wanted) {
        return false;
    }
    match allowed {
        Allowed::Everything => true,
        Allowed::Only(names) => dev || names.iter().any(|name| name == wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::super::need;
    use super::*;

    const PAGE: &str = "x\n| crate | may import |\n|---|---|\n| `lead` | nothing of ours |\n| `retry` | `lead` |\n\
                        | `server` | everything |\n\n| other | table |\n";

    fn found(package: &str, needs: &[Need]) -> Vec<Problem> {
        let manifest = "[dependencies]\nsteadfast-store.workspace = true\nsteadfast-lead = { workspace = true }\n";
        check(&Table::read("P", PAGE), package, needs, ("M", manifest))
    }

    #[test]
    fn an_import_that_is_not_in_the_table_is_found_at_its_line() {
        let found =
            found("steadfast-retry", &[need("steadfast-lead", true, false), need("steadfast-store", true, false)]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, &*found[0].says), (2, "retry must not import store"));
    }

    #[test]
    fn nothing_of_ours_means_nothing_and_strangers_are_not_the_tables_business() {
        assert_eq!(found("steadfast-lead", &[need("steadfast-retry", true, false)]).len(), 1);
        assert!(found("steadfast-lead", &[need("serde", false, false)]).is_empty());
        assert!(found("steadfast", &[need("steadfast-store", true, false)]).is_empty());
    }

    #[test]
    fn a_test_may_stand_on_any_floor_but_not_on_the_server() {
        assert!(found("steadfast-lead", &[need("steadfast-store", true, true)]).is_empty());
        assert_eq!(found("steadfast-lead", &[need("steadfast", true, true)]).len(), 1);
        assert_eq!(found("steadfast", &[need("xtask", true, false)]).len(), 1);
    }

    #[test]
    fn crates_without_a_row_and_rows_without_a_crate_are_found() {
        let table = Table::read("P", PAGE);
        let said = table.check("P", &["steadfast-lead", "steadfast", "steadfast-sim"]);
        let said: Vec<(usize, &str)> = said.iter().map(|problem| (problem.line, &*problem.says)).collect();
        let gone = (5, "the table of imports names retry, which is no crate");
        assert_eq!(said, [(0, "the table of imports has no row for sim"), gone]);
        assert_eq!(Table::read("P", "no table").check("P", &["steadfast-lead"]).len(), 1);
    }
}
