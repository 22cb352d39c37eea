//! What is searched in an answer: a plain text or `/regex/flags`, without regard to case, anywhere.
//!
//! Searching takes time linear in the text, whatever the pattern: there is no looking around and no back-reference. How much of
//! it for each letter, a pattern's weight says.

use super::weight::weight;
use regex::{Regex, RegexBuilder};

/// How long a term may be, in bytes.
pub(crate) const TERM_BYTES_MAX: usize = 2_000;
/// How much memory a compiled pattern may take, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A text that no pattern means: one that is found here and in nothing is found everywhere.
const UNLIKELY: &str = "\u{e000}\u{e001}";

/// A term as it was checked.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    regex: Regex,
    /// Its places that take many letters.
    pub(crate) weight: usize,
}

/// Why a text is no term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTerm {
    #[error("is empty: everything holds it")]
    Empty,
    #[error("is longer than {TERM_BYTES_MAX} bytes")]
    TooLong,
    #[error("has the flag {0:?}")]
    Flag(char),
    #[error("is not a pattern: {0}")]
    Pattern(String),
    #[error("is found in every answer")]
    Everything,
}

impl BadTerm {
    /// What would be right.
    pub(crate) const ALLOWED: &'static str =
        "plain text, or /regex/ with flags of i m s g u; at most 2000 bytes; no look-around, no back-references";
}

impl Term {
    /// Reads a term.
    pub(crate) fn parse(text: &str) -> Result<Self, BadTerm> {
        let text = text.trim();
        let (regex, weight) = match slashed(text) {
            Some((pattern, flags)) => (compile(pattern, flags)?, weight(pattern)),
            None => (compile(&regex::escape(text), "")?, 0),
        };
        if text.is_empty() {
            return Err(BadTerm::Empty);
        }
        if regex.is_match("") && regex.is_match(UNLIKELY) {
            return Err(BadTerm::Everything);
        }
        Ok(Term { regex, weight })
    }

    /// Whether a text holds it.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// Reads a pattern whose first group is what is wanted, with or without slashes; `None` where it is none.
pub(crate) fn capturing(text: &str) -> Option<Regex> {
    let (pattern, flags) = slashed(text.trim()).unwrap_or((text.trim(), ""));
    compile(pattern, flags).ok().filter(|regex| regex.captures_len() > 1)
}

/// The pattern and the flags of `/pattern/flags`.
pub(crate) fn slashed(text: &str) -> Option<(&str, &str)> {
    let (pattern, flags) = text.strip_prefix('/')?.rsplit_once('/')?;
    let are_flags = flags.bytes().all(|byte| byte.is_ascii_lowercase());
    (!pattern.is_empty() && are_flags).then_some((pattern, flags))
}

fn compile(pattern: &str, flags: &str) -> Result<Regex, BadTerm> {
    if pattern.len() > TERM_BYTES_MAX {
        return Err(BadTerm::TooLong);
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.case_insensitive(true).size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX);
    for flag in flags.chars() {
        match flag {
            'm' => drop(builder.multi_line(true)),
            's' => drop(builder.dot_matches_new_line(true)),
            // Case never counts; every occurrence is looked for; texts are Unicode.
            'i' | 'g' | 'u' => {}
            other => return Err(BadTerm::Flag(other)),
        }
    }
    builder.build().map_err(|error| BadTerm::Pattern(sentence(&error.to_string())))
}

/// The last line of what the engine says is the reason; those before it draw the pattern.
fn sentence(error: &str) -> String {
    let last = error.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or(error);
    last.trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(term: &str, text: &str) -> bool {
        Term::parse(term).unwrap().is_in(text)
    }

    #[test]
    fn terms_are_found_anywhere_whatever_their_case() {
        for (term, text) in [
            ("accepted", "Lead ACCEPTED."),
            (" accepted ", "accepted"),
            ("accepted", "not accepted"),
            ("über", "ÜBER"),
            ("a.c", "A.C"),
            ("/a.c/", "xABCx"),
            ("/^ok$/m", "first\nOK\nlast"),
            ("/a.b/sgiu", "a\nB"),
            ("/(?-i)OK/", "OK"),
            ("/a\\/b/", "a/b"),
            ("a/b", "A/B"),
            ("/", "a/b"),
            ("/^\\s*$/", " "),
        ] {
            assert!(is_in(term, text), "{term} in {text}");
        }
        for (term, text) in [
            ("a.c", "abc"),
            ("/^ok$/", "first\nOK"),
            ("/(?-i)OK/", "ok"),
            ("/\\bsold\\b/", "unsold"),
            ("/^\\s*$/", "x"),
        ] {
            assert!(!is_in(term, text), "{term} in {text}");
        }
    }

    #[test]
    fn what_is_no_term_is_refused_with_the_reason() {
        assert_eq!(Term::parse("").unwrap_err(), BadTerm::Empty);
        assert_eq!(Term::parse(" \n").unwrap_err(), BadTerm::Empty);
        assert_eq!(Term::parse("/a/y").unwrap_err(), BadTerm::Flag('y'));
        assert_eq!(Term::parse("/a*/").unwrap_err(), BadTerm::Everything);
        assert_eq!(Term::parse(&"a".repeat(TERM_BYTES_MAX + 1)).unwrap_err(), BadTerm::TooLong);
        for bad in ["/(/", "/a(?=b)/", "/(a)\\1/", "/[z-a]/", "/(a{1000}){1000}/"] {
            let said = Term::parse(bad).unwrap_err().to_string();
            assert!(said.starts_with("is not a pattern: ") && !said.contains('\n'), "{bad}: {said}");
        }
    }

    #[test]
    fn first_groups_are_told_from_paths() {
        assert!(capturing("/reason: (.*)/").is_some() && capturing("reason=(\\w+)").is_some());
        assert!(capturing("/reason/").is_none() && capturing("result.status").is_none() && capturing("(").is_none());
    }
}
