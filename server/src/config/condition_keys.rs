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

/// On a step.
pub(crate) const CONTACT_HOURS_KEY: Key = key(
    "contact_hours",
    "table",
    "see contact_hours",
    "",
    "When its leads may be contacted, by their own clocks; what comes due outside is held until then and uses no retry. See [calendars](calendars.md#contact-hours).",
);
/// On a step.
pub(crate) const RETRY_HOURS_KEY: Key = key(
    "retry_hours",
    "table",
    "see retry_hours",
    "",
    "When it is retried: an off-peak window that retries wait for, using none of them. See [calendars](calendars.md#retry-hours).",
);

/// `retry_hours` of a step.
pub(crate) const RETRY_HOURS: Table = Table {
    header: "retry_hours",
    about: "On a step. First attempts, and what a person asks for, go at any time; so does a retry whose lead would be too old by the next opening.",
    keys: &[
        key(
            "hours",
            "text",
            "OSM opening_hours, such as Mo-Fr 20:00-06:00; see calendars.md",
            "",
            "When retries go. Required.",
        ),
        key(
            "time_zone",
            "text",
            "an IANA name, such as America/Chicago",
            "that of the recipient, its calendar or an account",
            "The zone the hours are read in.",
        ),
        key(
            "after",
            "whole number",
            "0 to 1000",
            "0",
            "So many retries of a leg go on the schedule, whatever the hours.",
        ),
    ],
};
/// Of the whole file.
pub(crate) const CONTACT_ZONES_KEY: Key =
    key("contact_zones", "table", "see [contact_zones]", "", "Where the clocks of leads are, for contact_hours.");

/// `contact_hours` of a step.
pub(crate) const CONTACT_HOURS: Table = Table {
    header: "contact_hours",
    about: "On a step. The zone is that of the lead's postal code or state, else of its telephone number's area code; where several are possible, all must be within the hours.",
    keys: &[
        key(
            "hours",
            "text",
            "OSM opening_hours, such as Mo-Su 08:00-21:00; see calendars.md",
            "",
            "The hours, on the lead's own clock. Required.",
        ),
        key(
            "unknown",
            "text",
            "strictest, send",
            "\"strictest\"",
            "What is taken of a lead whose zone is not known: all zones the table calls unknown at once, or that it does not matter.",
        ),
    ],
};

/// `[contact_zones]`.
pub(crate) const CONTACT_ZONES: Table = Table {
    header: "[contact_zones]",
    about: "Without, the table compiled in is asked (crates/flow/src/contact_zones.txt, with its date).",
    keys: &[key(
        "file",
        "text",
        "a path, relative to the config file; at most 64 KiB",
        "",
        "A table of your own in its place.",
    )],
};

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
