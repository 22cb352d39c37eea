//! The keys of `verify`: those of `request`, and how the answers to look-ups are read.

use super::keys::{Key, Table, key};
use super::request_keys::REQUEST;

const OWN: [Key; 2] = [
    key(
        "response",
        "table",
        "see response",
        "",
        "What its answers mean: success is found, failure is not found, error is no answer. The nearest level wins, key by key.",
    ),
    key(
        "rules",
        "list of tables",
        "at most 99 for one step, see [[rules]]",
        "[]",
        "Patterns that decide before the status and the body do, the nearest level's first. `delay` says when to ask again at the earliest; `retryable = false` leaves it to a person at once.",
    ),
];

const ALL: [Key; REQUEST.keys.len() + OWN.len()] = {
    let mut all = [OWN[0]; REQUEST.keys.len() + OWN.len()];
    let mut place = 0;
    while place < all.len() {
        all[place] = if place < OWN.len() { OWN[place] } else { REQUEST.keys[place - OWN.len()] };
        place += 1;
    }
    all
};

/// `verify` of a flow, a recipient or a step.
pub(crate) const VERIFY: Table = Table { keys: &ALL, ..VERIFY_PAGE };

/// The same for the page, where the keys of `request` stand already.
pub(crate) const VERIFY_PAGE: Table = Table {
    header: "verify",
    about: "Stands on a flow, a recipient, a step, or several, and takes every key of `request` as well. `{{ delivery_id }}` and \
            `{{ idempotency_key }}` are known beside the lead's fields; it is a GET that sends these two unless it says otherwise. \
            What is found is delivered; what is not found is sent again; after anything else the recipient is asked again, five \
            times at most, and then a person decides. Without a table of its own 2xx is found; 404 and 410 are not found unless a \
            rule says otherwise. A `duplicate` is found; what says that a quota or cap is used up is no answer. The step's own \
            `response` and `rules` are never used for look-ups.",
    keys: &OWN,
};
