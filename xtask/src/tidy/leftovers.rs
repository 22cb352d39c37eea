//! Nothing half-done is committed, and nothing that only holds on one machine: unfinished code, tests switched off, notes to
//! oneself, absolute paths.

use crate::problem::Problem;
use crate::source::{Token, stands_at};

/// Notes to oneself; put together here so that this file is in order itself.
const NOTES: [&str; 2] = [concat!("FIX", "ME"), concat!("X", "XX")];
/// Places that exist on one machine only.
const PLACES: [&str; 3] = [concat!("/wo", "rk/"), concat!("/tm", "p/t"), concat!("/ro", "ot/")];
const UNFINISHED: [&str; 2] = ["todo", "unimplemented"];
/// Made by tools, or not ours to word.
const NOT_READ: [&str; 2] = ["Cargo.lock", "LICENSE"];

/// Notes and absolute paths in any text file.
pub(crate) fn check_text(file: &str, text: &str) -> Vec<Problem> {
    if NOT_READ.contains(&file) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for note in NOTES.iter().filter(|note| has_word(line, note)) {
            let remedy = "do it now, or write an issue and say in a comment what is so";
            problems.push(Problem::at(file, index + 1, format!("a note to oneself: {note}"), remedy));
        }
        for place in PLACES.iter().filter(|place| has_path(line, place)) {
            let remedy = "name it from the repository's root, or take a temporary folder";
            problems.push(Problem::at(file, index + 1, format!("{place} exists on one machine only"), remedy));
        }
    }
    problems
}

/// Unfinished code and tests switched off.
pub(crate) fn check_tokens(file: &str, tokens: &[Token]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        for name in UNFINISHED.iter().filter(|name| stands_at(tokens, place, &[name, "!"])) {
            let says = format!("unfinished: {name}!");
            problems.push(Problem::at(file, token.line, says, "finish it, or leave it out"));
        }
        if stands_at(tokens, place, &["#", "[", "ignore"]) {
            let remedy = "make it pass, or delete it: a test that never runs proves nothing";
            problems.push(Problem::at(file, token.line, "a test switched off", remedy));
        }
    }
    problems
}

fn has_word(line: &str, word: &str) -> bool {
    let edge = |letter: Option<char>| !letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    line.match_indices(word)
        .any(|(at, _)| edge(line[..at].chars().next_back()) && edge(line[at + word.len()..].chars().next()))
}

/// Whether an absolute path begins here, and not the middle of another (`https://a.example/work/`).
fn has_path(line: &str, path: &str) -> bool {
    let inside = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_' | '}' | '~' | '/');
    line.match_indices(path).any(|(at, _)| !line[..at].chars().next_back().is_some_and(inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tokens;

    #[test]
    fn notes_to_oneself_are_found_as_words() {
        for note in NOTES {
            let found = check_text("a.toml", &format!("one\n# {note}: later\n"));
            assert_eq!(found.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2], "{note}");
            assert_eq!(check_text("a.toml", &format!("A{note} {note}B {note}_OF\n")), []);
        }
    }

    #[test]
    fn absolute_paths_of_one_machine_are_found() {
        for place in PLACES {
            for line in [format!("path = \"{place}x\""), format!("cd {place}"), format!("{place}a")] {
                assert_eq!(check_text("a.sh", &line).len(), 1, "{line}");
            }
            for fine in [format!("https://a.example{place}x"), format!("./a{place}"), format!("$HOME/b{place}")] {
                assert_eq!(check_text("a.sh", &fine), [], "{fine}");
            }
        }
    }

    #[test]
    fn unfinished_code_and_switched_off_tests_are_found() {
        let bad = [
            "fn a() { todo!() }",
            "fn a() { unimplemented!(\"x\") }",
            "#[ignore]\nfn a() {}",
            "#[ignore = \"slow\"]\nfn a() {}",
        ];
        for text in bad {
            assert_eq!(check_tokens("a.rs", &tokens(text, true).unwrap()).len(), 1, "{text}");
        }
        let in_tests = "#[cfg(test)]\nmod tests {\n#[test]\n#[ignore]\nfn a() {}\n}";
        assert_eq!(check_tokens("a.rs", &tokens(in_tests, true).unwrap())[0].line, 4);
        let fine = "/// Never `todo!()`.\nfn a() { ignore(\"todo!()\"); }";
        assert_eq!(check_tokens("a.rs", &tokens(fine, true).unwrap()), []);
    }
}
