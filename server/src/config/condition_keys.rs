//! The keys about conditions: which leads a step sends, and what is different about some.

use super::keys::{Key, Table, key};

const CEL: &str = "an expression in CEL, at most 1000 bytes; see conditions.md";

/// At every level of retrying.
pub(crate) const ADJUST_KEY: Key = key(
    "adjust",
    "list of tables",
    "see adjust; at most 16 that bear on one step",
    "[]",
    "What is different about some leads: entries whose condition holds are laid over the retry settings of all levels, system first and step last. See [conditions](conditions.md).",
);
/// On a step.
pub(crate) const WHEN_KEY: Key = key(
    "when",
    "text",
    CEL,
    "",
    "Which leads it sends. Asked before the first attempt; what is not so is closed with the reason `condition`.",
);

/// `adjust` at every level.
pub(crate) const ADJUST: Table = Table {
    header: "adjust",
    about: "One entry of the list, which may stand at the top of the file, on an account, a flow, a recipient and a step.",
    keys: &[
        key("when", "text", CEL, "", "When it counts: asked before each attempt. Required."),
        key(
            "retry",
            "table",
            "see [retry]",
            "",
            "What is different about retrying then, within the recipient's limits.",
        ),
        key("priority", "text", "critical, high, normal, low", "", "How urgent the delivery is then."),
    ],
};
