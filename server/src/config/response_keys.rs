//! The keys of `response` and of `rules`.

use super::keys::{Key, Table, key};

const PATHS: &str = "a dot path for JSON (`result.items[0].status`, `errors[*].message`), an XPath for XML (`//Status/text()`), a CSS selector for HTML (`#status`)";
const TERM: &str = "plain text, or `/regex/` with flags of i m s g u; at most 2000 bytes";
const OUTCOMES: &str = "success, failure, error";
const KINDS: &str = "a failure kind (rejected, duplicate, capped) or an error kind (docs/response-mapping.md)";

/// `response` on a recipient, a step, or both.
pub(crate) const RESPONSE_KEY: Key =
    key("response", "table", "see response", "", "What answers mean. A step's lies over its recipient's, key by key.");
/// `rules` on a recipient, a step, or both.
pub(crate) const RULES_KEY: Key = key(
    "rules",
    "list of tables",
    "at most 100 for one step, see [[rules]]",
    "[]",
    "Patterns that decide before the status and the body do. A step's come before its recipient's; the first that matches wins.",
);

/// `response` of a recipient or a step.
pub(crate) const RESPONSE: Table = Table {
    header: "response",
    about: "Stands on a recipient, a step, or both. docs/response-mapping.md shows it at work. With a term, 2xx, and 400, 409 \
            and 422 with JSON or XML, are decided by their body; without one every 2xx is a success. Terms are looked for \
            anywhere and without regard to case: `accepted` is also found in `not accepted`.",
    keys: &[
        key(
            "content_type",
            "text",
            "a content type, or json, xml, html, text",
            "what the answer declares",
            "How bodies are read, whatever they declare.",
        ),
        key(
            "outcome_search_path",
            "text",
            PATHS,
            "the whole body",
            "What is searched. Any node there may match. Ignored for text.",
        ),
        key("outcome_search_term", "text", TERM, "", "What is searched for."),
        key(
            "outcome_on_match",
            "text",
            OUTCOMES,
            "\"success\"",
            "What finding the term means; not finding it means the opposite.",
        ),
        key(
            "failure_search_term",
            "text",
            TERM,
            "",
            "What means a business no. With it, what holds no term is unrecognized.",
        ),
        key(
            "duplicate_search_term",
            "text",
            TERM,
            "",
            "What means that the recipient has the lead already. Looked for first.",
        ),
        key(
            "on_unrecognized",
            "text",
            OUTCOMES,
            "\"error\"",
            "What an answer means that no term decides, where the path selects nothing, or the body is not what the path needs. An error of kind unrecognized goes to review.",
        ),
        key(
            "reason_path",
            "text",
            "as outcome_search_path; for text a pattern with a group",
            "",
            "Where the reason stands. Several are sorted and joined.",
        ),
        key("default_reason", "text", "1 to 500 bytes", "", "The reason of a failure where none stands there."),
        key("price_path", "text", "as reason_path", "", "Where the price stands."),
        key("fallback_price", "text", "digits with a point", "", "The price of a success where none stands there."),
        key("reference_path", "text", "as reason_path", "", "Where the recipient's own id of the lead stands."),
        key(
            "compat",
            "text",
            "leadconduit",
            "",
            "Reads exactly as LeadConduit does: only 5xx is an error, nothing is unrecognized, 4xx is decided by its body.",
        ),
    ],
};

/// `[[rules]]` of a recipient or a step.
pub(crate) const RULE: Table = Table {
    header: "[[rules]]",
    about: "Stands on a recipient, a step, or both (`[[flows.NAME.steps.rules]]`). Everything `match` says must hold.",
    keys: &[
        key("name", "text", "1 to 500 bytes", "its place in the list", "What `decided_by` says."),
        key("match", "table", "see match", "", "What an answer must be like. Required."),
        key("outcome", "text", OUTCOMES, "", "What it means. Required, unless kind says it."),
        key("kind", "text", KINDS, "", "Of which kind; an error without one keeps the kind of its status or fault."),
        key("reason", "text", "1 to 500 bytes", "", "Why, in place of what reason_path selects."),
        key(
            "retryable",
            "true or false",
            "true, false",
            "",
            "For errors: whether it is retried, whatever retry_on says. never_retry_on still wins.",
        ),
        key(
            "delay",
            "duration",
            "1s to 1d",
            "",
            "For errors: a retry waits at least this long. With `kind = \"rate_limited\"` the whole endpoint is paused for it, and no retry is used.",
        ),
    ],
};

/// `match` of a rule.
pub(crate) const MATCH: Table = Table {
    header: "match",
    about: "What an answer must be like for a rule.",
    keys: &[
        key("status", "code, class, or list of them", "100 to 599, \"5xx\"", "", "One of these."),
        key("header", "table", "header = \"term\"", "", "Each of these headers holds its term."),
        key("body", "text", TERM, "", "The body holds it."),
        key("path", "table", "see path", "", "A part of the body holds a term."),
        key(
            "kind",
            "text or list of texts",
            "an error kind, or timeout, dns, connect",
            "",
            "The fault, or the kind the status has, is one of these. Only a rule with it decides what was never answered.",
        ),
    ],
};

/// `path` of a match.
pub(crate) const PATH: Table = Table {
    header: "path",
    about: "A part of a body and what it holds.",
    keys: &[
        key("path", "text", PATHS, "", "Which part. Required."),
        key("term", "text", TERM, "", "What it holds; without, it only has to be there."),
    ],
};

/// A file of rules for `classify`.
pub(crate) const RULES_FILE: Table = Table {
    header: "a file of rules",
    about: "What `steadfast classify --rules FILE` reads.",
    keys: &[RESPONSE_KEY, RULES_KEY],
};
