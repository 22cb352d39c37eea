//! The keys of a leg's endpoints, and of how it chooses between them.

use super::keys::{AUTH_KEY, IN_DOUBT, IN_DOUBT_DELAY, Key, NAME, REQUEST_KEY, Table, VERIFY, key};
use super::response_keys::{RESPONSE_KEY, RULES_KEY};

/// `endpoints` of a step or a fallback.
pub(super) const ENDPOINTS_KEY: Key = key(
    "endpoints",
    "list of tables",
    "at most 16, see [[flows.NAME.steps.endpoints]]",
    "[]",
    "Several endpoints that take the same leads: each delivery chooses one; see balance.md. Then its own request is only what \
     they have in common.",
);
/// `balance` of a step or a fallback.
pub(super) const BALANCE_KEY: Key = key(
    "balance",
    "text or table",
    "weighted, least_loaded, best, all; or a table, see balance",
    "\"weighted\"",
    "How an endpoint is chosen: each has its share of the day; the one with the most room; the best by criteria. With all, \
     each has a delivery of its own, named STEP.ENDPOINT.",
);

/// `[[flows.NAME.steps.endpoints]]`.
pub(crate) const ENDPOINT: Table = Table {
    header: "[[flows.NAME.steps.endpoints]]",
    about: "One of several endpoints of a step, or of a fallback ([[flows.NAME.steps.fallbacks.endpoints]]); see balance.md. To the \
            leg's own recipient it lies over the leg, key by key. To another recipient it starts from that recipient, as a \
            fallback does.",
    keys: &[
        key("name", "text", NAME, "", "Its name, unique in its leg. Required."),
        key("recipient", "text", "a recipient's name", "the leg's", "Whom it sends to."),
        key("weight", "whole number", "1 to 1000", "1", "Its share: of what the weights of all endpoints come to."),
        key(
            "cost",
            "decimal number",
            "up to 12 digits, such as 0.05",
            "",
            "What a lead costs there: for balance by cost.",
        ),
        key(
            "regions",
            "list of texts",
            "at most 200",
            "[]",
            "It takes only leads whose balance.region_field is one of these. None: of every region.",
        ),
        key(
            "regulations",
            "list of texts",
            "at most 200",
            "[]",
            "It takes a lead whose balance.regulation_field names regulations only where all of them stand here.",
        ),
        IN_DOUBT,
        IN_DOUBT_DELAY,
        VERIFY,
        REQUEST_KEY,
        AUTH_KEY,
        RESPONSE_KEY,
        RULES_KEY,
    ],
};

/// `balance` as a table.
pub(crate) const BALANCE: Table = Table {
    header: "balance",
    about: "Stands on a step or a fallback with endpoints: how a delivery chooses one of them; see balance.md. As a text it is `by` \
            alone.",
    keys: &[
        key(
            "by",
            "text",
            "weighted, least_loaded, best, all",
            "\"weighted\"",
            "How an endpoint is chosen; all sends to every one.",
        ),
        key(
            "share_of",
            "text",
            "accepted, answered",
            "\"accepted\"",
            "What counts for a share: leads that were taken, or refused as well.",
        ),
        key(
            "catch_up",
            "number",
            "1 to 10",
            "2",
            "How many times its weight an endpoint counts that is behind its share of the day, until it has caught up.",
        ),
        key(
            "criteria",
            "list of texts",
            "health, speed, cost, region",
            "",
            "What the best is the best in, the most important first. Required by = \"best\".",
        ),
        key(
            "explore",
            "whole number",
            "0 to 5",
            "2",
            "How many of a hundred leads go to another endpoint than the best, to learn how that does.",
        ),
        key("region_field", "text", "a field of the lead", "", "What says the lead's region."),
        key(
            "regulation_field",
            "text",
            "a field of the lead",
            "",
            "What says under which regulations the lead stands: one, several with commas, or a list.",
        ),
        key(
            "time_zone",
            "text",
            "an IANA name, such as America/Chicago",
            "the account's, else UTC",
            "Whose days shares are counted in.",
        ),
    ],
};
