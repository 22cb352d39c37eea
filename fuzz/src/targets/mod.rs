//! The list of targets, and how they take their inputs apart. A target that needs several texts takes one line for each and
//! the rest for the last.

mod answers;
mod conditions;
mod leads;
mod records;
mod requests;
mod settings;

use crate::Target;
use std::borrow::Cow;

/// Memory for what is compiled or set up whatever the input.
const USUAL: Target = Target {
    name: "",
    reads: "",
    run: |_| {},
    words: &[],
    short_run: 2_000,
    bytes_base: 1 << 20,
    bytes_per_byte: 256,
    allocations_per_byte: 64,
};

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "lead_json", reads: "a lead in JSON", run: leads::json, words: leads::JSON, ..USUAL },
    Target { name: "lead_xml", reads: "a lead in XML", run: leads::xml, words: leads::XML, ..USUAL },
    Target { name: "submission", reads: "a source's post", run: leads::submission, words: leads::FORM, ..USUAL },
    Target { name: "batch_csv", reads: "leads in CSV", run: leads::csv, words: leads::CSV, ..USUAL },
    Target { name: "batch_lines", reads: "leads in JSON lines", run: leads::lines, words: leads::JSON, ..USUAL },
    Target { name: "values", reads: "ids, times, names, numbers", run: leads::values, words: leads::VALUES, ..USUAL },
    Target { name: "normal", reads: "typed fields", run: requests::normal, words: requests::NORMAL, ..USUAL },
    Target { name: "query", reads: "queries of the API", run: requests::query, words: requests::QUERY, ..USUAL },
    Target { name: "key", reads: "Idempotency-Key", run: requests::key, words: &["\"", "\\\""], ..USUAL },
    Target { name: "classify", reads: "POST /v1/classify", run: requests::classify, words: answers::WORDS, ..HEAVY },
    Target { name: "answer", reads: "an answer by a table", run: answers::answer, words: answers::WORDS, ..HEAVY },
    Target { name: "hint", reads: "Retry-After and RateLimit", run: answers::hint, words: answers::HINTS, ..USUAL },
    Target { name: "token", reads: "a token endpoint's answer", run: answers::token, words: answers::TOKENS, ..USUAL },
    Target { name: "config", reads: "the config file", run: settings::config, words: settings::CONFIG, ..HEAVY },
    Target { name: "masked", reads: "a config to be shown", run: settings::masked, words: settings::CONFIG, ..USUAL },
    Target { name: "scenario", reads: "a scenario", run: settings::scenario, words: settings::SCENARIO, ..USUAL },
    Target {
        name: "template",
        reads: "a template and a lead",
        run: settings::template,
        words: settings::TEMPLATE,
        ..WIDE
    },
    Target {
        name: "condition",
        reads: "an expression in CEL, and a lead",
        run: conditions::condition,
        words: conditions::CONDITION,
        ..HEAVY
    },
    Target { name: "body_path", reads: "paths of bodies", run: settings::body_path, words: settings::PATHS, ..HEAVY },
    Target {
        name: "address",
        reads: "addresses and networks",
        run: settings::address,
        words: settings::ADDRESS,
        ..USUAL
    },
    Target { name: "record_lead", reads: "a stored lead", run: records::lead, ..USUAL },
    Target { name: "record_delivery", reads: "a stored delivery", run: records::delivery, ..USUAL },
    Target { name: "record_entry", reads: "a stored line of history", run: records::entry, ..USUAL },
    Target { name: "record_event", reads: "a stored line of the journal", run: records::event, ..USUAL },
];

/// Compiles expressions or pages, which hold much for each byte.
const HEAVY: Target =
    Target { short_run: 400, bytes_base: 16 << 20, bytes_per_byte: 2_048, allocations_per_byte: 512, ..USUAL };
/// A template may make 8 MiB by itself, however short it is, and its fuel bounds its work.
const WIDE: Target =
    Target { short_run: 400, bytes_base: 64 << 20, bytes_per_byte: 2_048, allocations_per_byte: 1 << 20, ..USUAL };

/// The first lines and the rest.
fn parts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut pieces = input.splitn(N, |byte| *byte == b'\n');
    std::array::from_fn(|_| pieces.next().unwrap_or_default())
}

/// As text, whatever it is.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
