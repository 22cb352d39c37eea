//! Every key a config file may hold: its type, what is allowed, its default, and what it does.
//!
//! The reader takes known keys from here and the reference page is written from here, so that neither can know a key the
//! other does not.

use super::auth_keys::AUTH;
use super::balance_keys::{BALANCE, BALANCE_KEY, ENDPOINT, ENDPOINTS_KEY};
use super::calendar_keys::{
    ACCOUNT_ZONE, CALENDAR, CALENDAR_TABLE, CALENDARS, CLOSED, HOLIDAYS, HOURS, HOURS_LIMIT, MAINTENANCE,
    MAINTENANCE_LIST, TIME_ZONE,
};
use super::cap_keys::{CAP, CAPS_KEY, ON_CAP};
use super::condition_keys::{
    ADJUST, ADJUST_KEY, CONTACT_HOURS, CONTACT_HOURS_KEY, CONTACT_ZONES, CONTACT_ZONES_KEY, RETRY_HOURS,
    RETRY_HOURS_KEY, WHEN_KEY,
};
use super::field_keys::FIELD;
use super::forgetting_keys::{DUPLICATES, DUPLICATES_KEY, ERASURE};
use super::protection_keys::{BREAKER, BREAKER_KEY, CONCURRENCY, CONCURRENCY_KEY, RATE_LIMIT, RETRY_BUDGET};
use super::request_keys::REQUEST;
use super::response_keys::{MATCH, PATH, RESPONSE, RESPONSE_KEY, RULE, RULES_KEY};
use super::retention_keys::{FLOW_RETENTION, FLOW_RETENTION_KEY, RETENTION, RETENTION_KEY};
use super::retry_keys::{POLICY_TABLE, RETRY};
use super::route_keys::{
    FALLBACK, FALLBACKS_KEY, FINAL_ERRORS, ON_EXHAUSTED, ON_FINAL_ERROR, ON_HELD_TOO_LONG, ON_UNRECOGNIZED,
};
use super::sale_keys::{
    AFTER, AFTER_KEY, BUYER, PRICE, RETURNS, RETURNS_KEY, SALE, SALE_KEY, SCORE, SHADOW, TEST_LEADS_KEY,
};
use super::source_keys::{CALLBACK, DEDUPE, SOURCE};
use super::verify_keys::VERIFY_PAGE;

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// As written.
    pub(crate) name: &'static str,
    /// What kind of value: text, duration, table.
    pub(crate) kind: &'static str,
    /// Which values.
    pub(crate) allowed: &'static str,
    /// What holds where nothing is said; empty where a key is required or has no default.
    pub(crate) default: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
}

/// One table of keys.
#[derive(Debug)]
pub(crate) struct Table {
    /// As its header is written.
    pub(crate) header: &'static str,
    /// What it is for.
    pub(crate) about: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
}

/// Shorter to read in the tables than the fields' names each time.
pub(crate) const fn key(
    name: &'static str,
    kind: &'static str,
    allowed: &'static str,
    default: &'static str,
    about: &'static str,
) -> Key {
    Key { name, kind, allowed, default, about }
}

pub(super) const NAME: &str = "1 to 64 of A-Z a-z 0-9 - _ . and beginning with a letter or a digit";
const PRIORITIES: &str = "critical, high, normal, low";

/// The whole file.
pub(crate) const ROOT: Table = Table {
    header: "the file",
    about: "Tables of the file; every one may be left out.",
    keys: &[
        key("server", "table", "see [server]", "", "How the server listens and what it may call."),
        key("store", "table", "see [store]", "", "Where leads are kept."),
        key(
            "retry",
            "table",
            "see [retry]",
            "",
            "The system level of retrying: holds for everything that says nothing nearer.",
        ),
        ADJUST_KEY,
        key("policies", "tables by name", "see [policies.NAME]", "", "Named retry policies of your own."),
        key(
            "accounts",
            "tables by name",
            "see [accounts.NAME]",
            "",
            "Customers: flows and recipients may belong to one.",
        ),
        CALENDARS,
        CONTACT_ZONES_KEY,
        key("recipients", "tables by name", "see [recipients.NAME]", "", "Partner systems leads are delivered to."),
        key(
            "flows",
            "tables by name",
            "see [flows.NAME]",
            "",
            "Paths for leads: what happens with a lead that comes in.",
        ),
        key(
            "tables",
            "tables by name",
            "[tables.NAME] with \"what comes in\" = \"what goes out\"; at most 200, of 10000 rows",
            "",
            "Lookup tables for templates: `{{ state | lookup(\"NAME\", \"otherwise\") }}`.",
        ),
        key(
            "secrets",
            "table",
            "name = \"${NAME}\" or \"file:PATH\"; at most 200",
            "",
            "Secrets for templates: salts of `sha256` and `md5`, and `{{ secret(\"name\") }}`.",
        ),
        key(
            "erasure",
            "table",
            "see [erasure]",
            "",
            "What happens when a person who asked for deletion comes in again.",
        ),
        RETENTION_KEY,
    ],
};

/// `[server]`.
pub(crate) const SERVER: Table = Table {
    header: "[server]",
    about: "How the server listens, and what it may call.",
    keys: &[
        key(
            "listen",
            "text",
            "address:port, such as 127.0.0.1:8080",
            "\"127.0.0.1:8080\"",
            "Where the API listens. Beyond loopback only with [[server.keys]].",
        ),
        key(
            "allow_private_networks",
            "list or true",
            "networks such as \"10.0.0.0/8\", or true for all",
            "[]",
            "Private and loopback networks deliveries may go to. All others are refused, by the resolved address.",
        ),
        key("concurrency", "whole number", "1 to 10000", "512", "Attempts under way at once, over all recipients."),
        key(
            "drain_timeout",
            "duration",
            "1s to 10m",
            "\"30s\"",
            "How long a stopping server waits for attempts under way.",
        ),
        key(
            "keys",
            "list of tables",
            "see [[server.keys]]",
            "[]",
            "API keys. With none, the API is open to whoever reaches it, and listens on loopback only.",
        ),
    ],
};

/// `[[server.keys]]`.
pub(crate) const API_KEY: Table = Table {
    header: "[[server.keys]]",
    about: "One API key; `steadfast key new` makes it. Only the hash is kept.",
    keys: &[
        key("name", "text", NAME, "", "Who uses it; shown in the history of what was done with it. Required."),
        key("hash", "text", "sha256: and 64 hexadecimal digits", "", "SHA-256 of the key. Required."),
        key(
            "scopes",
            "list of texts",
            "ingest, read, operate",
            "",
            "What it may do: send leads, read, use the desk. Required, at least one.",
        ),
        key("account", "text", "an account's name", "all accounts", "Limits it to one account."),
    ],
};

/// `[store]`.
pub(crate) const STORE: Table = Table {
    header: "[store]",
    about: "Where leads are kept.",
    keys: &[
        key(
            "path",
            "text",
            "a folder's path",
            "\"steadfast-data\"",
            "The folder, made when missing. Relative to the folder the server is started in.",
        ),
        key(
            "queue_capacity",
            "whole number",
            "1000 to 100000000",
            "1000000",
            "Deliveries waiting, at most; beyond it leads are refused and told to come back.",
        ),
        key("cache_bytes", "size", "1MiB to 16GiB", "\"64MiB\"", "Memory for pages of the database."),
    ],
};

/// `[accounts.NAME]`.
pub(crate) const ACCOUNT: Table = Table {
    header: "[accounts.NAME]",
    about: "A customer.",
    keys: &[ACCOUNT_ZONE, key("retry", "table", "see [retry]", "", "What it says about retrying."), ADJUST_KEY],
};

pub(super) const IN_DOUBT: Key = key(
    "in_doubt",
    "text",
    "retry, verify, hold, assume_delivered",
    "\"retry\"",
    "What follows an attempt that was sent and not answered: sent again on the schedule with the same key; the recipient is asked first (verify); a person decides; or it counts as delivered, probably.",
);
pub(super) const IN_DOUBT_DELAY: Key = key(
    "in_doubt_delay",
    "duration",
    "0s to 1h",
    "\"0s\"",
    "A retry or look-up after such an attempt starts no earlier than this: a slow recipient may still be storing the lead.",
);
pub(super) const VERIFY: Key = key(
    "verify",
    "table",
    "see verify",
    "",
    "How the recipient is asked whether it has the lead, with in_doubt = \"verify\", and what its answers mean.",
);
pub(super) const REQUEST_KEY: Key = key(
    "request",
    "table",
    "see request",
    "",
    "How the request is made. A step's lies over its recipient's, key by key.",
);
pub(super) const AUTH_KEY: Key = key(
    "auth",
    "table",
    "see auth",
    "",
    "How the request says who it is from. A step's replaces its recipient's whole.",
);
const PRIORITY: Key =
    key("priority", "text", PRIORITIES, "\"normal\"", "How urgent deliveries are among those that are due.");

/// `[recipients.NAME]`.
pub(crate) const RECIPIENT: Table = Table {
    header: "[recipients.NAME]",
    about: "A partner system.",
    keys: &[
        key("account", "text", "an account's name", "", "Whose it is; without, flows of every account may use it."),
        CONCURRENCY_KEY,
        RATE_LIMIT,
        RETRY_BUDGET,
        BREAKER_KEY,
        CALENDAR,
        HOURS,
        TIME_ZONE,
        HOLIDAYS,
        MAINTENANCE_LIST,
        CLOSED,
        key("retry", "table", "see [retry]", "", "What it says about retrying, over what the flow says."),
        ADJUST_KEY,
        key("limits", "table", "see [recipients.NAME.limits]", "", "What no flow or step may exceed."),
        IN_DOUBT,
        IN_DOUBT_DELAY,
        VERIFY,
        REQUEST_KEY,
        AUTH_KEY,
        RESPONSE_KEY,
        RULES_KEY,
        DUPLICATES_KEY,
        TEST_LEADS_KEY,
        RETURNS_KEY,
        CAPS_KEY,
        ON_CAP,
    ],
};

/// `[recipients.NAME.limits]`.
pub(crate) const LIMITS: Table = Table {
    header: "[recipients.NAME.limits]",
    about: "What no flow and no step may exceed. Caps on whatever the levels make together; what the recipient itself says may \
            not be above them.",
    keys: &[
        HOURS_LIMIT,
        key("max_retries", "whole number", "0 to 1000", "", "Most retries; 0 turns retrying off."),
        key("max_lead_age", "duration", "1s to 90d", "", "Oldest lead."),
        key(
            "max_rate",
            "text",
            "1 to 100000 and /s, /min or /h, such as 50/s or 300/min",
            "",
            "The most that rate_limit may be, and the rate where there is no rate_limit.",
        ),
        key("max_concurrency", "whole number", "1 to 10000", "", "The most that concurrency may be or grow to."),
    ],
};

/// `[flows.NAME]`.
pub(crate) const FLOW: Table = Table {
    header: "[flows.NAME]",
    about: "A path for leads. Leads enter at `POST /v1/flows/NAME/leads`.",
    keys: &[
        key("account", "text", "an account's name", "", "Whose it is."),
        key("retry", "table", "see [retry]", "", "What it says about retrying."),
        ADJUST_KEY,
        IN_DOUBT,
        IN_DOUBT_DELAY,
        VERIFY,
        PRIORITY,
        key(
            "fields",
            "tables by name",
            "see [flows.NAME.fields.FIELD]",
            "",
            "Declares fields, and is then the list of what is sent. Without, every field is sent as it came.",
        ),
        key(
            "sources",
            "tables by name",
            "at most 1000, see [flows.NAME.sources.SOURCE]",
            "",
            "Who posts leads into it at `/flows/NAME/sources/SOURCE/submit`, and what they are told.",
        ),
        FLOW_RETENTION_KEY,
        SALE_KEY,
        RETURNS_KEY,
        CAPS_KEY,
        ON_CAP,
        key(
            "steps",
            "list of tables",
            "1 to 100, see [[flows.NAME.steps]]",
            "",
            "What it does with a lead; each step is a delivery of its own. Required.",
        ),
    ],
};

/// `[[flows.NAME.steps]]`.
pub(crate) const STEP: Table = Table {
    header: "[[flows.NAME.steps]]",
    about: "One delivery of each lead.",
    keys: &[
        key("id", "text", NAME, "", "Its name, unique in the flow. Required."),
        key("recipient", "text", "a recipient's name", "", "Whom it sends to. Required."),
        key("retry", "table", "see [retry]", "", "What it says about retrying: the nearest level."),
        ADJUST_KEY,
        WHEN_KEY,
        CONTACT_HOURS_KEY,
        RETRY_HOURS_KEY,
        IN_DOUBT,
        IN_DOUBT_DELAY,
        VERIFY,
        PRIORITY,
        REQUEST_KEY,
        AUTH_KEY,
        RESPONSE_KEY,
        RULES_KEY,
        DUPLICATES_KEY,
        TEST_LEADS_KEY,
        SHADOW,
        BUYER,
        PRICE,
        SCORE,
        AFTER_KEY,
        ENDPOINTS_KEY,
        BALANCE_KEY,
        FALLBACKS_KEY,
        ON_EXHAUSTED,
        ON_FINAL_ERROR,
        FINAL_ERRORS,
        ON_UNRECOGNIZED,
        ON_HELD_TOO_LONG,
        CAPS_KEY,
        ON_CAP,
    ],
};

/// Every table, in the order of the page.
pub(crate) const TABLES: [&Table; 41] = [
    &ROOT,
    &SERVER,
    &API_KEY,
    &STORE,
    &RETRY,
    &ADJUST,
    &POLICY_TABLE,
    &ACCOUNT,
    &CALENDAR_TABLE,
    &MAINTENANCE,
    &CONTACT_HOURS,
    &RETRY_HOURS,
    &CONTACT_ZONES,
    &RECIPIENT,
    &CONCURRENCY,
    &BREAKER,
    &LIMITS,
    &FLOW,
    &FIELD,
    &SOURCE,
    &CALLBACK,
    &DEDUPE,
    &SALE,
    &STEP,
    &AFTER,
    &RETURNS,
    &ENDPOINT,
    &BALANCE,
    &FALLBACK,
    &CAP,
    &REQUEST,
    &AUTH,
    &RESPONSE,
    &RULE,
    &MATCH,
    &PATH,
    &VERIFY_PAGE,
    &DUPLICATES,
    &ERASURE,
    &RETENTION,
    &FLOW_RETENTION,
];
