//! The keys about retrying, as they stand at every level and in named policies.

use super::keys::{Key, Table, key};

const POLICY_NAME: &str = "conservative, standard, aggressive, outage, or a name under [policies]";

const ENABLED: Key = key("enabled", "true or false", "true, false", "true", "Whether there are retries at all.");
const POLICY: Key = key("policy", "text", POLICY_NAME, "", "A named policy, laid down before this level's own keys.");
const BACKOFF: Key = key(
    "backoff",
    "text",
    "exponential, fixed",
    "\"exponential\"",
    "How delays grow: each the one before times the multiplier, or all the same.",
);
const MAX_RETRIES: Key = key(
    "max_retries",
    "whole number",
    "1 to 10 (1 to 1000 with extended = true)",
    "3",
    "Retries after an immediate first attempt. For none write enabled = false.",
);
const INITIAL_DELAY: Key = key(
    "initial_delay",
    "duration",
    "1s to 1m (1ms to 1d with extended = true)",
    "\"2s\"",
    "Delay before the first retry, from the end of the failed attempt.",
);
const MULTIPLIER: Key = key(
    "multiplier",
    "number",
    "1.5 to 3.0 (1.0 to 10.0 with extended = true)",
    "2.0",
    "By how much each delay grows; at most three decimals.",
);
const MAX_INTERVAL: Key =
    key("max_interval", "duration", "1s to 5m (1ms to 1d with extended = true)", "\"1m\"", "The longest delay.");
const TOTAL_TIMEOUT: Key = key(
    "total_timeout",
    "duration",
    "1s to 1h (1s to 30d with extended = true)",
    "\"5m\"",
    "How long after the first attempt a retry may still start. Stands still while the delivery is held.",
);
const JITTER: Key = key(
    "jitter",
    "number or text",
    "0.0 to 1.0, or one of none, equal, full, decorrelated",
    "0.2",
    "How delays are spread. A number: never early, up to that share of the delay later.",
);
const RETRY_ON: Key = key(
    "retry_on",
    "list of texts",
    "codes (503), classes (5xx), groups (timeout, dns, connect), error kinds",
    "everything temporary",
    "Which errors are retried; replaces the list of the levels farther out.",
);
const NEVER_RETRY_ON: Key = key(
    "never_retry_on",
    "list of texts",
    "codes (503), classes (5xx), groups (timeout, dns, connect), error kinds",
    "[]",
    "Which errors are not, whatever retry_on says.",
);
const MAX_LEAD_AGE: Key = key(
    "max_lead_age",
    "duration",
    "1s to 90d",
    "\"1d\"",
    "How old a lead may be at the start of an attempt; counted from acceptance, always running.",
);
const COUNT_HOLDS: Key =
    key("count_holds", "true or false", "true, false", "false", "Whether time held also counts towards total_timeout.");
const EXTENDED: Key = key(
    "extended",
    "true or false",
    "true, false",
    "false",
    "The explicit way past the usual ranges, for long outages.",
);

/// `retry` at every level.
pub(crate) const RETRY: Table = Table {
    header: "[retry]",
    about: "The same keys stand under `retry` of an account, a flow, a recipient and a step. The nearest level wins, key by \
            key: system, account, flow, recipient, step.",
    keys: &[
        ENABLED,
        POLICY,
        BACKOFF,
        MAX_RETRIES,
        INITIAL_DELAY,
        MULTIPLIER,
        MAX_INTERVAL,
        TOTAL_TIMEOUT,
        JITTER,
        RETRY_ON,
        NEVER_RETRY_ON,
        MAX_LEAD_AGE,
        COUNT_HOLDS,
        EXTENDED,
    ],
};

/// `[policies.NAME]`.
pub(crate) const POLICY_TABLE: Table = Table {
    header: "[policies.NAME]",
    about: "A named policy. Built in are conservative (2 retries, 5 s apart), standard (3: 2, 4, 8 s), aggressive (5: 1, 2, \
            4, 8, 16 s) and outage (extended: from 10 s doubling to 15 min, 100 retries, 24 h).",
    keys: &[
        key("extends", "text", POLICY_NAME, "", "The policy it starts from; at most 16 in a row."),
        ENABLED,
        BACKOFF,
        MAX_RETRIES,
        INITIAL_DELAY,
        MULTIPLIER,
        MAX_INTERVAL,
        TOTAL_TIMEOUT,
        JITTER,
        RETRY_ON,
        NEVER_RETRY_ON,
        MAX_LEAD_AGE,
        COUNT_HOLDS,
        EXTENDED,
    ],
};
