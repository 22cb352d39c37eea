//! One thing that is not in order, with its place and what to do about it.

use std::fmt;

/// A problem in one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// The file, from the repository's root.
    pub(crate) file: String,
    /// The line, from 1; 0 where the whole file is meant.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) says: String,
    /// What to do.
    pub(crate) remedy: String,
}

impl Problem {
    pub(crate) fn at(file: &str, line: usize, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Problem { file: file.to_owned(), line, says: says.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { file, line, says, remedy } = self;
        match line {
            0 => write!(f, "{file}: {says}\n    {remedy}"),
            line => write!(f, "{file}:{line}: {says}\n    {remedy}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_a_compiler_so_that_editors_jump_to_it() {
        let problem = Problem::at("crates/lead/src/id.rs", 7, "too long", "cut it");
        assert_eq!(problem.to_string(), "crates/lead/src/id.rs:7: too long\n    cut it");
        assert_eq!(Problem::at("Cargo.toml", 0, "odd", "fix it").to_string(), "Cargo.toml: odd\n    fix it");
    }
}
