//! The keys of a step's fallbacks, and of what follows the end of a leg.

use super::balance_keys::{BALANCE_KEY, ENDPOINTS_KEY};
use super::keys::{AUTH_KEY, IN_DOUBT, IN_DOUBT_DELAY, Key, REQUEST_KEY, Table, VERIFY, key};
use super::response_keys::{RESPONSE_KEY, RULES_KEY};

const FOLLOW_UPS: &str = "review, next_leg, next_buyer, close";

/// `fallbacks` of a step.
pub(super) const FALLBACKS_KEY: Key = key(
    "fallbacks",
    "list of tables",
    "at most 8, see [[flows.NAME.steps.fallbacks]]",
    "[]",
    "Where a delivery goes, in order, when the step's own request came to nothing: leg 1, leg 2 and so on.",
);
/// `on_exhausted` of a step or a fallback.
pub(super) const ON_EXHAUSTED: Key = key(
    "on_exhausted",
    "text",
    FOLLOW_UPS,
    "next_leg, or review on the last leg",
    "What follows when every retry was used or the time for retries is over: a person looks, the next leg begins with a fresh budget, or the delivery ends.",
);
/// `on_final_error` of a step or a fallback.
pub(super) const ON_FINAL_ERROR: Key = key(
    "on_final_error",
    "text",
    FOLLOW_UPS,
    "next_leg, or review on the last leg",
    "What follows one of final_errors. A person looks at every other final error.",
);
/// `final_errors` of a step or a fallback.
pub(super) const FINAL_ERRORS: Key = key(
    "final_errors",
    "list",
    "kinds, codes, classes and groups, as in retry_on",
    "every kind but client_error, render_failed, interrupted and unrecognized; 404, 405, 410",
    "Which final errors on_final_error speaks of: those that say something of the endpoint and nothing of the lead.",
);
/// `on_unrecognized` of a step or a fallback.
pub(super) const ON_UNRECOGNIZED: Key = key(
    "on_unrecognized",
    "text",
    FOLLOW_UPS,
    "\"review\"",
    "What follows an answer that fits no term, where that is not retried.",
);
/// `on_held_too_long` of a step or a fallback.
pub(super) const ON_HELD_TOO_LONG: Key = key(
    "on_held_too_long",
    "text",
    FOLLOW_UPS,
    "next_leg, or review on the last leg",
    "What follows when an open breaker held it for longer than the recipient's breaker.longest_hold.",
);

/// `[[flows.NAME.steps.fallbacks]]`.
pub(crate) const FALLBACK: Table = Table {
    header: "[[flows.NAME.steps.fallbacks]]",
    about: "Another way to deliver, tried when the one before it came to nothing; see routes.md. To the step's own recipient it lies \
            over the step, key by key. To another recipient it starts from that recipient: the step's request, auth, response, \
            rules and verify do not go along. Nothing goes to another recipient while an attempt is in doubt.",
    keys: &[
        key("recipient", "text", "a recipient's name", "the step's", "Whom it sends to."),
        key("retry", "table", "see [retry]", "", "What it says about retrying: nearer than the step."),
        IN_DOUBT,
        IN_DOUBT_DELAY,
        VERIFY,
        REQUEST_KEY,
        AUTH_KEY,
        RESPONSE_KEY,
        RULES_KEY,
        ENDPOINTS_KEY,
        BALANCE_KEY,
        ON_EXHAUSTED,
        ON_FINAL_ERROR,
        FINAL_ERRORS,
        ON_UNRECOGNIZED,
        ON_HELD_TOO_LONG,
    ],
};
