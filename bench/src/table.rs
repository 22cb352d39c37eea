//! What was measured, as lines of a table: on the screen at once, and in the page between its marks. A line that was not
//! measured this time stays as it was, with the day it was measured.

use anyhow::{Context, Result};

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";
const HEAD: &str = "| row | what | target | measured | beside it | verdict | on |\n|---|---|---|---|---|---|---|\n";

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its name: lowercase and dashes, the same in every run.
    pub(crate) row: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// What it should be.
    pub(crate) target: &'static str,
    /// What it was.
    pub(crate) measured: String,
    /// What the yardstick had, or the quiet run.
    pub(crate) beside: String,
    /// Whether the target was met; without a target none.
    pub(crate) met: Option<bool>,
}

impl Line {
    /// The line as it stands in the page.
    fn row(&self, on: &str) -> String {
        let verdict = match self.met {
            Some(true) => "met",
            Some(false) => "**not met**",
            None => "",
        };
        let Line { row, what, target, measured, beside, .. } = self;
        format!("| `{row}` | {what} | {target} | {measured} | {beside} | {verdict} | {on} |")
    }

    /// The line as it stands on the screen.
    pub(crate) fn screen(&self) -> String {
        let verdict = match self.met {
            Some(true) => "  met",
            Some(false) => "  NOT MET",
            None => "",
        };
        let beside = if self.beside.is_empty() { String::new() } else { format!("  beside {}", self.beside) };
        let target = if self.target.is_empty() { String::new() } else { format!("  (target {})", self.target) };
        format!("{:<22} {}: {}{beside}{target}{verdict}", self.row, self.what, self.measured)
    }
}

/// The page with these lines in place of those of the same row, or after all others.
///
/// # Errors
/// When the page has no marks.
pub(crate) fn merge(page: &str, lines: &[Line], on: &str, about: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("the page has no `{BEGIN}`"))?;
    let (known, after) = rest.split_once(END).with_context(|| format!("the page has no `{END}`"))?;
    let mut rows: Vec<(String, String)> =
        known.lines().filter_map(|line| Some((name_of(line)?, line.to_owned()))).collect();
    for line in lines {
        let row = line.row(on);
        match rows.iter_mut().find(|(name, _)| name == line.row) {
            Some((_, old)) => *old = row,
            None => rows.push((line.row.to_owned(), row)),
        }
    }
    let rows: String = rows.into_iter().map(|(_, row)| row + "\n").collect();
    Ok(format!("{before}{BEGIN}\n{about}\n\n{HEAD}{rows}{END}{after}"))
}

fn name_of(line: &str) -> Option<String> {
    Some(line.strip_prefix("| `")?.split('`').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(row: &'static str, measured: &str) -> Line {
        Line { row, what: "w".into(), target: "", measured: measured.into(), beside: String::new(), met: Some(true) }
    }

    #[test]
    fn lines_replace_their_own_row_and_leave_the_rest() {
        let page = format!("above\n{BEGIN}\n{END}\nbelow\n");
        let first = merge(&page, &[line("a", "1"), line("b", "2")], "monday", "about").unwrap();
        let second = merge(&first, &[line("b", "3")], "tuesday", "about").unwrap();
        assert!(second.starts_with("above\n") && second.ends_with("\nbelow\n"));
        assert!(second.contains("| `a` | w |  | 1 |  | met | monday |"), "{second}");
        assert!(second.contains("| `b` | w |  | 3 |  | met | tuesday |") && !second.contains("| 2 |"), "{second}");
        assert_eq!(merge(&second, &[], "later", "about").unwrap(), second);
    }

    #[test]
    fn a_page_without_marks_is_refused() {
        assert!(merge("nothing", &[], "x", "y").is_err());
    }
}
