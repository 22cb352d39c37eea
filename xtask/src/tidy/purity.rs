//! Rule 2: pure crates stay pure. They stand on a short list of crates, and reach no runtime, file, socket, thread or clock.
//!
//! Looks at what ships: dev-dependencies and `#[cfg(test)]` items are free.

use super::{Need, line_naming};
use crate::problem::Problem;
use crate::source::{Token, stands_at};

/// A pure crate and what it may stand on beside our own.
#[derive(Debug)]
pub(crate) struct Pure {
    package: &'static str,
    may_need: &'static [&'static str],
}

/// The pure crates. Adding a name here is a decision about every deployment's core: say why in the change.
const PURE: [Pure; 4] = [
    Pure { package: "steadfast-lead", may_need: &["bytes", "jiff", "serde", "serde_json", "thiserror"] },
    Pure {
        package: "steadfast-retry",
        // Parsers of answers: none of them opens anything or keeps time. Of jiff, dates and the zones compiled in, which are
        // data (`TimeZoneDatabase::bundled`), and strsim for the zone that was meant.
        may_need: &[
            "bytes",
            "encoding_rs",
            "html5ever",
            "httpdate",
            "jiff",
            "regex",
            "regex-syntax",
            "roxmltree",
            "scraper",
            "strsim",
            "thiserror",
        ],
    },
    Pure {
        package: "steadfast-flow",
        may_need: &[
            "base64",
            "bytes",
            // Of cel, the parser: text to tree.
            "cel",
            "form_urlencoded",
            "http",
            "jiff",
            "md-5",
            "minijinja",
            "roxmltree",
            "serde_json",
            "sha2",
            "thiserror",
        ],
    },
    Pure { package: "steadfast-sim", may_need: &["bytes", "serde", "thiserror"] },
];

/// Modules of `std` that touch the world.
const WORLDLY: [&str; 5] = ["fs", "net", "thread", "process", "env"];
/// Where a clock is read.
const CLOCKS: [&str; 2] = ["SystemTime", "Instant"];

const REMEDY: &str = "take it as an argument, or move the code to the crate that may touch the world";

/// Whether a crate is one of the pure ones.
pub(crate) fn of(package: &str) -> Option<&'static Pure> {
    PURE.iter().find(|pure| pure.package == package)
}

/// Dependencies that are not on the crate's list.
pub(crate) fn check_needs(pure: &Pure, needs: &[Need], manifest: (&str, &str)) -> Vec<Problem> {
    let (file, text) = manifest;
    let strangers = needs.iter().filter(|need| !need.dev && !need.ours);
    let unlisted = strangers.filter(|need| !pure.may_need.contains(&need.package.as_str()));
    unlisted
        .map(|need| {
            let says = format!("{} is pure and must not stand on {}", pure.package, need.package);
            Problem::at(
                file,
                line_naming(text, &need.package),
                says,
                "do without, or argue for it in xtask's purity list",
            )
        })
        .collect()
}

/// Reaching for the world in what ships.
pub(crate) fn check_tokens(file: &str, shipped: &[Token]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (place, token) in shipped.iter().enumerate() {
        for says in found_at(shipped, place) {
            problems.push(Problem::at(file, token.line, format!("a pure crate has {says}"), REMEDY));
        }
    }
    problems
}

fn found_at(tokens: &[Token], place: usize) -> Vec<String> {
    let mut found = Vec::new();
    for after in ["fn", "move", "{"] {
        if stands_at(tokens, place, &["async", after]) {
            found.push(format!("`async {after}`"));
        }
    }
    for clock in CLOCKS {
        if stands_at(tokens, place, &[clock, ":", ":", "now"]) {
            found.push(format!("`{clock}::now`"));
        }
    }
    if stands_at(tokens, place, &["std", ":", ":"]) {
        found.extend(worldly(&tokens[place + 3..]).into_iter().map(|module| format!("`std::{module}`")));
    }
    found
}

/// Worldly modules named behind `std::`, alone or in braces.
fn worldly(behind: &[Token]) -> Vec<&str> {
    let names: Vec<&str> = match behind.first().map(|token| token.text.as_str()) {
        Some("{") => heads(behind),
        Some(name) => vec![name],
        None => Vec::new(),
    };
    names.into_iter().filter(|name| WORLDLY.contains(name)).collect()
}

/// The first name of every branch of `{a::b, c, d::{e, f}}`.
fn heads(behind: &[Token]) -> Vec<&str> {
    let mut heads = Vec::new();
    let mut depth = 0_usize;
    let mut begins = false;
    for token in behind {
        match token.text.as_str() {
            "{" => {
                depth += 1;
                begins = depth == 1;
            }
            "}" if depth <= 1 => break,
            "}" => depth -= 1,
            "," => begins = depth == 1,
            name if begins => {
                heads.push(name);
                begins = false;
            }
            _ => {}
        }
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::super::need;
    use super::*;
    use crate::source::tokens;

    fn said(text: &str) -> Vec<(usize, String)> {
        let found = check_tokens("f.rs", &tokens(text, false).unwrap());
        found.into_iter().map(|problem| (problem.line, problem.says.replace("a pure crate has ", ""))).collect()
    }

    fn one(text: &str) -> String {
        let found = said(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        found[0].1.clone()
    }

    #[test]
    fn every_way_out_is_found() {
        assert_eq!(said("fn a() {}\nasync fn b() {}"), [(2, "`async fn`".to_owned())]);
        assert_eq!(one("fn a() { async move { 1 }; }"), "`async move`");
        assert_eq!(one("fn a() { async { 1 }; }"), "`async {`");
        assert_eq!(one("fn a() { std::fs::read(\"x\"); }"), "`std::fs`");
        assert_eq!(one("use std::net::TcpStream;"), "`std::net`");
        assert_eq!(one("use std::{fmt::{Debug, Display}, thread::spawn};"), "`std::thread`");
        assert_eq!(one("fn a() { std::time::SystemTime::now(); }"), "`SystemTime::now`");
        assert_eq!(one("macro_rules! m { () => { Instant::now() } }"), "`Instant::now`");
    }

    #[test]
    fn words_in_comments_strings_and_tests_are_no_way_out() {
        let text = "//! no `async fn`, no std::fs\nuse std::time::{Duration, SystemTime};\nuse std::{fmt, sync::Arc};\n\
                    const A: &str = \"std::net\";\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert_eq!(said(text), []);
    }

    #[test]
    fn a_dependency_off_the_list_is_found_and_dev_ones_are_free() {
        let pure = of("steadfast-retry").unwrap();
        let manifest = ("M", "[dependencies]\nthiserror = { workspace = true }\ntokio = { workspace = true }\n");
        let needs = [need("thiserror", false, false), need("tokio", false, false), need("steadfast-lead", true, false)];
        let found = check_needs(pure, &needs, manifest);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, &*found[0].says), (3, "steadfast-retry is pure and must not stand on tokio"));
        assert!(check_needs(pure, &[need("tokio", false, true)], manifest).is_empty());
        assert!(of("steadfast-engine").is_none());
    }
}
