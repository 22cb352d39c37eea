//! What is instrumented, and how. Cargo calls this tool in place of the compiler for every crate; our own crates and the parsers
//! below them get the instrumentation, the rest is compiled as it always is. libFuzzer looks at every counter of the binary for
//! each input, and each comparison is told to it: hashing, searching and the whole of TLS only make that slow and tell it nothing
//! of a parser.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// Set for the build of the fuzz targets: this tool is the compiler's wrapper then.
pub(super) const WRAPS: &str = "STEADFAST_FUZZ_WRAPS_RUSTC";

/// What coverage-guided fuzzing needs of the compiler: LLVM's own pass, which the stable compiler runs when told to.
const INSTRUMENTATION: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
/// How the names of our own crates begin.
const OURS: &str = "steadfast-";
/// Crates of others whose branches are about what is read.
const PARSERS: &[&str] = &[
    "cel",
    "cssparser",
    "form_urlencoded",
    "html5ever",
    "http",
    "httpdate",
    "ipnet",
    "jiff",
    "markup5ever",
    "mime",
    "minicbor",
    "minijinja",
    "percent-encoding",
    "quick-xml",
    "regex-syntax",
    "roxmltree",
    "scraper",
    "selectors",
    "serde_json",
    "serde_path_to_error",
    "serde_urlencoded",
    "toml",
    "toml_datetime",
    "toml_parser",
    "winnow",
];

/// What else depends on the list: with another one, Cargo must build anew. It looks at flags, and not at what a wrapper does.
pub(super) fn mark() -> String {
    let sum = PARSERS
        .iter()
        .flat_map(|name| name.bytes())
        .fold(PARSERS.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    format!("--cfg=steadfast_fuzz_{sum:x}")
}

/// Compiles one crate, where Cargo called this tool for that.
pub(crate) fn as_wrapper() -> Option<ExitCode> {
    std::env::var_os(WRAPS)?;
    let mut arguments = std::env::args_os().skip(1);
    let compiler = arguments.next()?;
    let arguments: Vec<OsString> = arguments.collect();
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let mut command = Command::new(compiler);
    command.args(&arguments);
    // Build scripts and macros run while building, and are compiled for no named target.
    if is_instrumented(&package, arguments.iter().any(|argument| argument == "--target")) {
        command.args(INSTRUMENTATION);
    }
    let code = match command.status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        Err(error) => {
            eprintln!("the compiler cannot be run: {error}");
            1
        }
    };
    Some(ExitCode::from(code))
}

fn is_instrumented(package: &str, for_target: bool) -> bool {
    for_target && (package.starts_with(OURS) || PARSERS.contains(&package))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_crates_and_parsers_are_instrumented_and_nothing_else() {
        for package in ["steadfast-flow", "steadfast-fuzz", "cel", "toml_parser"] {
            assert!(is_instrumented(package, true), "{package}");
            assert!(!is_instrumented(package, false), "{package} of a build script");
        }
        for package in ["", "rustls", "regex-automata", "sha2", "libfuzzer-sys", "tokio"] {
            assert!(!is_instrumented(package, true), "{package}");
        }
    }

    #[test]
    fn every_parser_on_the_list_is_in_the_lockfile() {
        let lockfile = include_str!("../../../Cargo.lock");
        for package in PARSERS {
            assert!(lockfile.contains(&format!("name = \"{package}\"\n")), "{package} is not used any more");
        }
    }
}
