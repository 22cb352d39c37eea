//! Licences, expression by expression: one allowed branch of an OR is enough, every part of an AND must be allowed.

use super::rules::Licences;
use super::{LOCK, Lock, RULES};
use crate::problem::Problem;

/// Brackets nested deeper than this are no licence anybody wrote.
const DEPTH_MAX: usize = 16;

/// Checks one package's licence.
pub(super) fn check(name: &str, version: &str, licence: Option<&str>, rules: &Licences) -> Option<Problem> {
    let read = rules.read_by_hand.get(name).map(String::as_str);
    let Some(licence) = read.or(licence) else {
        let remedy = format!("read its licence and write it down in {RULES} under licences.read_by_hand");
        return Some(Problem::at(LOCK, 0, format!("{name} {version} names no licence"), remedy));
    };
    match is_allowed(licence, &rules.allowed) {
        Ok(true) => None,
        Ok(false) => {
            let says = format!("{name} {version} is under {licence}, which is not allowed");
            Some(Problem::at(LOCK, 0, says, format!("do without it, or argue for the licence in {RULES}")))
        }
        Err(why) => {
            let says = format!("{name} {version}: its licence {licence:?} cannot be read: {why}");
            Some(Problem::at(LOCK, 0, says, format!("read it by hand and write it down in {RULES}")))
        }
    }
}

/// Licences read by hand for packages that are gone.
pub(super) fn check_reviews(lock: &Lock, rules: &Licences) -> Vec<Problem> {
    let gone = rules.read_by_hand.keys().filter(|name| !lock.packages.iter().any(|package| package.name == **name));
    gone.map(|name| Problem::at(RULES, 0, format!("{name} was read by hand but is no dependency"), "remove it"))
        .collect()
}

/// Whether an SPDX expression can be met with allowed licences only.
fn is_allowed(expression: &str, allowed: &[String]) -> Result<bool, &'static str> {
    let mut words = Words { words: words_of(expression), at: 0, allowed };
    let met = words.any_of(0)?;
    if words.at == words.words.len() { Ok(met) } else { Err("more follows where it should end") }
}

/// Words and brackets. A slash is the old way to write OR.
fn words_of(expression: &str) -> Vec<String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Words<'a> {
    words: Vec<String>,
    at: usize,
    allowed: &'a [String],
}

impl Words<'_> {
    fn any_of(&mut self, depth: usize) -> Result<bool, &'static str> {
        let mut met = self.all_of(depth)?;
        while self.take("OR") {
            // Both sides are always read: what follows must be readable, whatever came before.
            let other = self.all_of(depth)?;
            met |= other;
        }
        Ok(met)
    }

    fn all_of(&mut self, depth: usize) -> Result<bool, &'static str> {
        let mut met = self.one(depth)?;
        while self.take("AND") {
            let other = self.one(depth)?;
            met &= other;
        }
        Ok(met)
    }

    fn one(&mut self, depth: usize) -> Result<bool, &'static str> {
        if depth >= DEPTH_MAX {
            return Err("too many brackets");
        }
        if self.take("(") {
            let met = self.any_of(depth + 1)?;
            return if self.take(")") { Ok(met) } else { Err("a bracket is not closed") };
        }
        let mut name = self.word()?;
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.word()?);
        }
        Ok(self.allowed.contains(&name))
    }

    fn word(&mut self) -> Result<String, &'static str> {
        let word = self.words.get(self.at).ok_or("it ends too early")?.clone();
        if ["OR", "AND", "WITH", "(", ")"].contains(&word.as_str()) {
            return Err("a licence's name is missing");
        }
        self.at += 1;
        Ok(word)
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.words.get(self.at).is_some_and(|word| word == wanted);
        self.at += usize::from(found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::locked;
    use super::*;

    fn rules() -> Licences {
        let allowed = ["MIT", "Apache-2.0", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).to_vec();
        Licences { allowed, read_by_hand: [("silent".to_owned(), "ISC".to_owned())].into() }
    }

    fn said(licence: &str) -> Option<String> {
        check("a", "1.0.0", Some(licence), &rules()).map(|problem| problem.says)
    }

    #[test]
    fn what_can_be_met_with_allowed_licences_passes() {
        let fine = [
            "MIT",
            "MIT OR GPL-3.0",
            "MIT/GPL-3.0",
            "Apache-2.0 / MIT",
            "ISC AND (GPL-3.0 OR ISC)",
            "GPL-3.0 AND BSL-1.0 OR MIT",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
            "((MIT))",
        ];
        for licence in fine {
            assert_eq!(said(licence), None, "{licence}");
        }
    }

    #[test]
    fn what_cannot_is_found() {
        let bad = [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "ISC AND (GPL-3.0 OR AGPL-3.0)",
            "MIT WITH Classpath-exception-2.0",
            "mit",
            "(MIT OR ISC) AND GPL-3.0",
        ];
        for licence in bad {
            assert_eq!(said(licence), Some(format!("a 1.0.0 is under {licence}, which is not allowed")));
        }
    }

    #[test]
    fn what_cannot_be_read_or_is_not_said_is_found() {
        let deep = format!("{}MIT{}", "(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX));
        for licence in ["", "MIT OR", "(MIT", "MIT)", "AND MIT", "MIT ISC", &"(".repeat(1_000), &deep] {
            assert!(said(licence).is_some_and(|says| says.contains("cannot be read")), "{licence}");
        }
        assert!(check("a", "1.0.0", None, &rules()).is_some_and(|problem| problem.says.contains("names no licence")));
        assert_eq!(check("silent", "1.0.0", None, &rules()), None);
    }

    #[test]
    fn a_reading_that_is_not_needed_any_more_is_found() {
        assert_eq!(check_reviews(&locked(&[("silent", "1.0.0")]), &rules()), []);
        assert_eq!(check_reviews(&locked(&[("other", "1.0.0")]), &rules()).len(), 1);
    }
}
