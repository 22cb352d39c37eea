//! The mutations, as `xtask/mutations.toml` lists them, and how one is made of a text.

use anyhow::{Context, Result};
use serde::Deserialize;

/// Where they stand, from the repository's root.
pub(super) const FILE: &str = "xtask/mutations.toml";

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) mutations: Vec<Mutation>,
}

/// One way of breaking a promise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mutation {
    /// What it does, in a few words joined by dashes.
    pub(super) name: String,
    /// The promise, as a user would say it.
    pub(super) breaks: String,
    /// The file it changes, from the root.
    pub(super) file: String,
    /// The package whose tests must catch it.
    pub(super) package: String,
    /// The tests expected to, as `binary::name`: the file below the package's `tests` (or `lib`), and the test's own name.
    pub(super) tests: Vec<String>,
    /// What is changed.
    pub(super) edits: Vec<Edit>,
}

/// One place, whose text must be there exactly once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    pub(super) old: String,
    pub(super) new: String,
}

impl Table {
    /// Reads the file.
    ///
    /// # Errors
    /// When it does not have this shape.
    pub(super) fn read(text: &str) -> Result<Self> {
        toml::from_str(text).context(FILE)
    }
}

impl Mutation {
    /// The text with every edit made.
    ///
    /// # Errors
    /// Which text is not there, or not only once.
    pub(super) fn apply(&self, text: &str) -> Result<String, String> {
        let mut mutated = text.to_owned();
        for Edit { old, new } in &self.edits {
            match mutated.matches(old.as_str()).count() {
                1 => mutated = mutated.replacen(old, new, 1),
                found => return Err(format!("{}: found {found} times: {old}", self.file)),
            }
        }
        if mutated == text { Err(format!("{}: nothing is changed", self.file)) } else { Ok(mutated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// As many promises at least are held up so.
    const MUTATIONS_MIN: usize = 30;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    fn kept() -> Table {
        Table::read(&std::fs::read_to_string(root().join(FILE)).unwrap()).unwrap()
    }

    /// Code that moved on leaves its mutation behind; this says so long before the next long run does.
    #[test]
    fn every_mutation_still_applies() {
        let refused: Vec<String> = kept()
            .mutations
            .iter()
            .filter_map(|mutation| {
                let text = std::fs::read_to_string(root().join(&mutation.file));
                let applied = text.map_err(|error| format!("{}: {error}", mutation.file));
                applied.and_then(|text| mutation.apply(&text)).err().map(|why| format!("{}: {why}", mutation.name))
            })
            .collect();
        assert!(refused.is_empty(), "change their `old` text in {FILE}:\n{}", refused.join("\n"));
    }

    #[test]
    fn each_has_a_name_of_its_own_and_tests_that_exist() {
        let table = kept();
        let names: BTreeSet<&str> = table.mutations.iter().map(|mutation| &*mutation.name).collect();
        assert_eq!(names.len(), table.mutations.len());
        assert!(names.len() >= MUTATIONS_MIN, "{} mutations", names.len());
        for mutation in &table.mutations {
            assert!(!mutation.tests.is_empty() && !mutation.edits.is_empty(), "{}", mutation.name);
            for test in &mutation.tests {
                assert!(is_there(&mutation.package, test), "{}: there is no test {test}", mutation.name);
            }
        }
    }

    /// Whether a binary of tests is there, and some file that makes it or that it takes its tests from has the test.
    fn is_there(package: &str, test: &str) -> bool {
        let (binary, name) = test.split_once("::").unwrap();
        let folder = root().join("crates").join(package.trim_start_matches("steadfast-"));
        let file = folder.join("tests").join(format!("{binary}.rs"));
        let has = |text: String| text.contains(&format!("fn {name}("));
        match binary {
            "lib" => any_file(&folder.join("src"), &has),
            "conformance" => file.exists() && any_file(&root().join("crates/store/src/conformance"), &has),
            _ => std::fs::read_to_string(file).is_ok_and(has),
        }
    }

    fn any_file(folder: &Path, fits: &impl Fn(String) -> bool) -> bool {
        std::fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| {
            let path = entry.path();
            if path.is_dir() { any_file(&path, fits) } else { fits(std::fs::read_to_string(path).unwrap()) }
        })
    }

    #[test]
    fn a_text_that_is_gone_or_there_twice_is_refused() {
        let of = |old: &str, new: &str| Mutation {
            name: "m".to_owned(),
            breaks: String::new(),
            file: "f.rs".to_owned(),
            package: String::new(),
            tests: Vec::new(),
            edits: vec![Edit { old: old.to_owned(), new: new.to_owned() }],
        };
        assert_eq!(of("b", "c").apply("abd").unwrap(), "acd");
        assert_eq!(of("x", "c").apply("abd").unwrap_err(), "f.rs: found 0 times: x");
        assert_eq!(of("b", "c").apply("bb").unwrap_err(), "f.rs: found 2 times: b");
        assert_eq!(of("b", "b").apply("abd").unwrap_err(), "f.rs: nothing is changed");
    }
}
