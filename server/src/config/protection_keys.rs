//! The keys about protecting a recipient: pace, breaker, retry budget, and the limits nothing may exceed.

use super::keys::{Key, Table, key};

/// On a recipient.
pub(crate) const CONCURRENCY_KEY: Key = key(
    "concurrency",
    "whole number or table",
    "1 to 10000, or { adaptive = 1 to 10000 }",
    "{ adaptive = 50 }",
    "Attempts to it under way at once: always as many as the number, or what it takes well, at most so many.",
);
/// On a recipient.
pub(crate) const RATE_LIMIT: Key = key(
    "rate_limit",
    "text",
    "1 to 100000 and /s, /min or /h, such as 50/s or 300/min",
    "",
    "The most attempts in a span of time, spread evenly: no span ever holds more. What waits for it uses no retry.",
);
/// On a recipient.
pub(crate) const RETRY_BUDGET: Key = key(
    "retry_budget",
    "true or false",
    "true, false",
    "true",
    "Whether retries are paid for by successes, so that they never multiply an outage. An empty budget puts retries off.",
);
/// On a recipient.
pub(crate) const BREAKER_KEY: Key = key(
    "breaker",
    "table",
    "see [recipients.NAME.breaker]",
    "",
    "The breaker of each of its endpoints: stops attempts to one that fails, and tries with one at a time.",
);

/// `concurrency` as a table.
pub(crate) const CONCURRENCY: Table = Table {
    header: "concurrency",
    about: "As a table, on a recipient: `concurrency = { adaptive = 50 }`. Starts at 4, grows by one for each round that is \
            used in full, and shrinks where the recipient answers 429 or 503, times out or grows slow.",
    keys: &[key("adaptive", "whole number", "1 to 10000", "50", "The most it may grow to. Required.")],
};

/// `[recipients.NAME.breaker]`.
pub(crate) const BREAKER: Table = Table {
    header: "[recipients.NAME.breaker]",
    about: "Opens after five failures in a row, or when surely more than half fail; counted are failures of the way, \
            timeouts and 5xx answers, never 4xx. What waits behind an open one is held and uses no retry.",
    keys: &[
        key(
            "mode",
            "text",
            "on, observe, off",
            "\"on\"",
            "Whether it stops attempts, only tells what it would have done, or does nothing.",
        ),
        key(
            "slow_call",
            "duration",
            "10ms to 5m",
            "",
            "An answer that takes as long counts as a failure. Without, none does.",
        ),
        key(
            "probe_lease",
            "duration",
            "1s to 1h, and longer than an attempt of its steps may take",
            "\"60s\"",
            "How long a probe may take before it counts as failed. By default longer where its steps' timeouts ask for it.",
        ),
        key(
            "open_for",
            "duration",
            "100ms to 1h",
            "\"30s\"",
            "How long it is open before a probe: twice as long with every opening in a row, and always up to a fifth more.",
        ),
        key(
            "longest_open",
            "duration",
            "100ms to 1d, and not less than open_for",
            "\"15m\"",
            "How long it is open at most: the shorter, the sooner a recipient is found well again, and the more probes it gets.",
        ),
        key(
            "ramp",
            "duration",
            "500ms to 1h",
            "\"60s\"",
            "How long the way back takes after an outage: from a tenth to all of what the recipient took before, as fast as in the \
             busiest tenth of such a time.",
        ),
        key(
            "on_open",
            "text",
            "hold, next_leg, review",
            "\"hold\"",
            "What becomes of its deliveries while it is open: held until it closes, moved to the next leg of their step (see \
             [routes](routes.md)), or a person decides.",
        ),
        key(
            "longest_hold",
            "duration",
            "1s to 90d",
            "",
            "A delivery held longer by an open breaker goes where its step's `on_held_too_long` says: to review, where nothing is \
             said. Without, it is held as long as the lead keeps.",
        ),
    ],
};
