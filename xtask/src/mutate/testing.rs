//! Running some tests of a package in the copy, and reading which of them went red.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How tests ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All passed.
    Green,
    /// These failed, or did not end in time.
    Red(Vec<String>),
    /// None ran: what it said.
    Unbuilt(String),
}

/// Where tests are run.
pub(super) struct Bench {
    tree: PathBuf,
    target: PathBuf,
    has_nextest: bool,
}

impl Bench {
    /// For a copy, built into a folder of its own.
    pub(super) fn new(tree: &Path, root: &Path) -> Self {
        let asked = Command::new("cargo").args(["nextest", "--version"]).output();
        let has_nextest = asked.is_ok_and(|output| output.status.success());
        Bench { tree: tree.to_owned(), target: root.join("target/mutate/build"), has_nextest }
    }

    /// Runs tests of a package. A test is `binary::name`: the file below `tests` it stands in, or `lib`. No other binary is
    /// built, since building is what takes the time.
    ///
    /// # Errors
    /// When cargo cannot be run.
    pub(super) fn run(&self, package: &str, tests: &[String]) -> Result<Outcome> {
        let tests: Vec<(&str, &str)> = tests.iter().filter_map(|test| test.split_once("::")).collect();
        let mut binaries: Vec<&str> = tests.iter().map(|(binary, _)| *binary).collect();
        binaries.sort_unstable();
        binaries.dedup();
        let selected = binaries.into_iter().flat_map(|binary| match binary {
            "lib" => vec!["--lib"],
            test => vec!["--test", test],
        });
        let mut command = Command::new("cargo");
        if self.has_nextest {
            let filter: Vec<String> = tests.iter().map(|(_, name)| format!("test({name})")).collect();
            command.args([
                "nextest",
                "run",
                "--status-level=fail",
                "--failure-output=never",
                "--final-status-level=none",
            ]);
            command.args(["--locked", "--no-fail-fast", "--package", package]).args(selected);
            command.args(["-E", &filter.join(" + ")]);
        } else {
            command.args(["test", "--locked", "--no-fail-fast", "--package", package]).args(selected);
            command.arg("--").args(tests.iter().map(|(_, name)| name));
        }
        let output = command
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_TERM_COLOR", "never")
            // Each build is of other code; what the last one kept would only fill the disk.
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "none")
            .output()
            .with_context(|| format!("testing {package}"))?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Ok(outcome(output.status.success(), &said))
    }
}

fn outcome(passed: bool, said: &str) -> Outcome {
    let mut red: Vec<String> = said.lines().filter_map(red_test).collect();
    red.sort();
    red.dedup();
    match (passed, red.is_empty()) {
        (true, _) => Outcome::Green,
        (false, false) => Outcome::Red(red),
        (false, true) => {
            let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error")).collect();
            Outcome::Unbuilt(if errors.is_empty() { "no test ran".to_owned() } else { errors.join("\n") })
        }
    }
}

/// The test a line says is red: nextest's `FAIL [ 0.1s] (1/2) package::binary test`, or cargo's `test name ... FAILED`.
fn red_test(line: &str) -> Option<String> {
    const RED: [&str; 4] = ["FAIL [", "TIMEOUT [", "ABORT [", "SIG"];
    let line = line.trim();
    if let Some(test) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
        return Some(test.to_owned());
    }
    let is_red = RED.iter().any(|word| line.starts_with(word)) && line.contains('[');
    is_red.then(|| line.split_whitespace().next_back().map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn red_tests_are_read_from_both_runners() {
        let nextest = "        FAIL [   2.701s] ( 2/26) steadfast-retry::decisions hints_hold\n\
                       \x20    TIMEOUT [ 120.001s] (3/26) steadfast-engine::doubt tests::a\n\
                       \x20    SIGABRT [   0.1s] (4/26) steadfast-engine::doubt b\nerror: test run failed\n";
        let red = ["b", "hints_hold", "tests::a"].map(str::to_owned).to_vec();
        assert_eq!(outcome(false, nextest), Outcome::Red(red));
        let cargo = "test a::b ... FAILED\ntest a::c ... ok\nerror: test failed\n";
        assert_eq!(outcome(false, cargo), Outcome::Red(vec!["a::b".to_owned()]));
        assert_eq!(outcome(true, "     Summary [ 1s] 1 test run: 1 passed"), Outcome::Green);
    }

    #[test]
    fn code_that_does_not_compile_is_no_red_test() {
        let said = "error[E0308]: mismatched types\nerror: could not compile `a`\n";
        assert_eq!(outcome(false, said), Outcome::Unbuilt(said.trim().to_owned()));
        assert_eq!(outcome(false, "nothing"), Outcome::Unbuilt("no test ran".to_owned()));
    }
}
