//! Rules 9 and 15: a file fits a mind (500 lines before its tests), and begins by saying what it is for.

use crate::problem::Problem;

const LINES_MAX: usize = 500;
/// A doc shorter than this says nothing.
const DOC_LETTERS_MIN: usize = 15;

/// Both rules for one Rust file.
pub(crate) fn check(file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let lines = lines_before_tests(text);
    if lines > LINES_MAX && !is_tests(file) {
        let says = format!("{lines} lines before its tests, at most {LINES_MAX}");
        problems.push(Problem::at(file, LINES_MAX + 1, says, "cut it along its responsibilities"));
    }
    let doc = text.lines().next().and_then(|line| line.strip_prefix("//!"));
    if doc.is_none_or(|doc| doc.trim().len() < DOC_LETTERS_MIN) {
        let remedy = "begin with `//!`: what it is for, and what it must never do";
        problems.push(Problem::at(file, 1, "does not say what it is for", remedy));
    }
    problems
}

/// Whether a file holds tests only: a module of them kept beside its parent, or a crate's folder of them.
pub(crate) fn is_tests(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.split('/').any(|folder| folder == "tests")
}

/// Lines before the module of tests.
fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ");
    lines.windows(2).position(begins).unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = "//! What this is for, in full.\n";

    #[test]
    fn a_file_too_long_before_its_tests_is_found() {
        let longest = format!("{DOC}{}", "fn a() {}\n".repeat(LINES_MAX - 1));
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn b() {}\n".repeat(LINES_MAX));
        assert_eq!(check("f.rs", &format!("{longest}{tests}")), []);
        let too_long = format!("{longest}fn c() {{}}\n{tests}");
        assert_eq!(check("a/tests.rs", &too_long), []);
        let found = check("f.rs", &too_long);
        assert_eq!(found.len(), 1);
        assert!(found[0].says.starts_with("501 lines"), "{found:?}");
    }

    #[test]
    fn a_test_only_item_does_not_end_the_count() {
        let text = format!("{DOC}#[cfg(test)]\nfn one() {{}}\n{}", "fn a() {}\n".repeat(LINES_MAX));
        assert_eq!(check("f.rs", &text).len(), 1);
    }

    #[test]
    fn a_file_that_does_not_say_what_it_is_for_is_found() {
        for text in [
            "",
            "fn a() {}\n",
            "// A comment is no doc of the file.\n",
            "//! Stub.\n",
            "\n//! Too late, a line down.\n",
        ] {
            assert_eq!(check("f.rs", text).len(), 1, "{text:?}");
        }
        assert_eq!(check("f.rs", DOC), []);
    }
}
