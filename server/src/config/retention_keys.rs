//! The keys about how long what has ended is kept.

use super::keys::{Key, Table, key};

const ALLOWED: &str = "1d to 3660d, or forever";

/// `[retention]`.
pub(crate) const RETENTION: Table = Table {
    header: "[retention]",
    about: "How long what has ended is kept. Deleting runs in the background and delays no delivery. What waits, is held or \
            in review is never deleted.",
    keys: &[
        key(
            "leads",
            "duration or forever",
            ALLOWED,
            "\"90d\"",
            "Leads with their deliveries and histories, from the end of the last delivery; versions of the configuration, from the one after. Not shorter than the duplicate guards look back.",
        ),
        key(
            "journal",
            "duration or forever",
            ALLOWED,
            "\"30d\"",
            "Lines of the journal, which `GET /v1/events` reads.",
        ),
        key(
            "erasures",
            "duration or forever",
            ALLOWED,
            "\"1096d\"",
            "What is kept of an erasure: who did it when and why, and what turns the person away. Never shorter than `erasure.refuse_for`.",
        ),
        key(
            "archive",
            "text",
            "a folder",
            "",
            "Leads are written here before they are deleted: JSON lines, one file for each day. An erasure does not reach them.",
        ),
    ],
};

/// `retention` of a flow.
pub(crate) const FLOW_RETENTION: Table = Table {
    header: "[flows.NAME.retention]",
    about: "How long the leads of this flow are kept, in place of `[retention]`.",
    keys: &[key("leads", "duration or forever", ALLOWED, "retention.leads", "As in `[retention]`.")],
};

/// Of the file.
pub(crate) const RETENTION_KEY: Key =
    key("retention", "table", "see [retention]", "", "How long what has ended is kept.");

/// On a flow.
pub(crate) const FLOW_RETENTION_KEY: Key =
    key("retention", "table", "see [flows.NAME.retention]", "", "How long its leads are kept.");
