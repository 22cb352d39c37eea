//! Every crate takes the workspace's lints, so that none is written to a lower standard.

use crate::problem::Problem;
use toml::{Table, Value};

/// Checks one manifest.
pub(crate) fn check(file: &str, text: &str) -> Vec<Problem> {
    let Ok(manifest) = text.parse::<Table>() else {
        return vec![Problem::at(file, 0, "is not TOML", "correct it")];
    };
    let taken = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
    if taken == Some(true) {
        return Vec::new();
    }
    vec![Problem::at(file, 0, "does not take the workspace's lints", "add `[lints]` with `workspace = true`")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_without_the_lints_is_found() {
        assert_eq!(check("Cargo.toml", "[package]\nname = \"a\"\n[lints]\nworkspace = true\n"), []);
        for text in
            ["[package]\nname = \"a\"\n", "[lints]\nworkspace = false\n", "[lints.rust]\nunsafe_code = \"deny\"\n", "["]
        {
            assert_eq!(check("Cargo.toml", text).len(), 1, "{text}");
        }
    }
}
