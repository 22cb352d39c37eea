//! The keys about persons: what happens after an erasure, and the duplicate guard of a buyer.

use super::keys::{Key, Table, key};

/// `[erasure]`.
pub(crate) const ERASURE: Table = Table {
    header: "[erasure]",
    about: "What happens when a person who asked for deletion comes in again. See docs/erasure.md.",
    keys: &[
        key(
            "refuse_for",
            "duration",
            "0s to 3660d",
            "\"30d\"",
            "How long after an erasure leads with the same email address or telephone number are turned away; 0s takes them at once.",
        ),
        key(
            "on_return",
            "text",
            "refuse, close",
            "\"refuse\"",
            "How: refused with the problem `erased`, or answered as accepted with every delivery closed and nothing of the lead kept.",
        ),
    ],
};

/// `duplicates` of a recipient or a step.
pub(crate) const DUPLICATES: Table = Table {
    header: "duplicates",
    about: "Stands on a recipient or a step. Keeps the same person from going to one recipient twice, across flows. Asked \
            before a first attempt, and before the first after a person asked for another. Test leads neither count nor are \
            kept back.",
    keys: &[
        key(
            "fields",
            "list of texts",
            "1 to 8 field names, dotted into objects",
            "",
            "Leads are the same when all of these are, each in one form: case, spaces and the ways of writing a number do not matter. Required.",
        ),
        key("window", "duration", "1s to 366d", "\"30d\"", "How far back an earlier delivery counts."),
        key(
            "on",
            "text",
            "delivered, sent",
            "\"delivered\"",
            "What makes an earlier one count: that the recipient took it, or that it may have been sent.",
        ),
        key(
            "action",
            "text",
            "reject, review, skip",
            "\"reject\"",
            "What becomes of the later one: rejected as duplicate, to a person, or closed as superseded.",
        ),
    ],
};

/// On a recipient.
pub(crate) const DUPLICATES_KEY: Key = key(
    "duplicates",
    "table",
    "see duplicates",
    "",
    "Keeps the same person from going to a recipient twice. A step's replaces its recipient's whole.",
);
