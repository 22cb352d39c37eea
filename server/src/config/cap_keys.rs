//! The keys about caps: how many may be accepted in a period.

use super::keys::{Key, Table, key};

/// On a flow, a source, a recipient and a step.
pub(crate) const CAPS_KEY: Key = key(
    "caps",
    "list of tables",
    "see caps",
    "",
    "How many of its deliveries may be accepted in an hour, a day, a week or a month; see caps.md.",
);
/// On a flow, a source, a recipient and a step.
pub(crate) const ON_CAP: Key = key(
    "on_cap",
    "text",
    "hold, skip, next, reject",
    "\"hold\"",
    "What becomes of a delivery that finds one of these caps full: it waits for the next period; it is closed, so that in a \
     sale the next buyer has its turn (skip, next); it is rejected.",
);

/// One entry of `caps`.
pub(crate) const CAP: Table = Table {
    header: "caps",
    about: "Stands on a flow, a source, a recipient or a step: at most so many of its deliveries are accepted in one period. A \
            place is reserved before a lead is sent, and is free again when the answer is no; see caps.md.",
    keys: &[
        key(
            "per",
            "text",
            "hour, day, week, month",
            "",
            "The period, by the clock and the calendar of the zone; a week begins on Monday. Required.",
        ),
        key("max", "whole number", "1 to 1000000000", "", "How many may be accepted in it. Required."),
        key(
            "time_zone",
            "text",
            "an IANA name, such as America/Chicago",
            "the account's, else UTC",
            "Whose days and hours.",
        ),
    ],
};
