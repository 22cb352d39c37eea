//! The keys about sources: who posts leads into a flow, and what they are told.

use super::cap_keys::{CAPS_KEY, ON_CAP};
use super::keys::{Key, Table, key};

const KEY_HASH: Key = key(
    "key_hash",
    "text or list of texts",
    "sha256: and 64 hexadecimal digits, at most 10",
    "",
    "SHA-256 of a key of its own (`steadfast key new`), which opens this source and nothing else. Without, it needs a key of \
     [[server.keys]] with scope ingest, where there are any.",
);

/// `[flows.NAME.sources.SOURCE]`.
pub(crate) const SOURCE: Table = Table {
    header: "[flows.NAME.sources.SOURCE]",
    about: "One source of a flow. It posts to `/flows/NAME/sources/SOURCE/submit`; see sources.md.",
    keys: &[
        key(
            "answer",
            "text",
            "accepted, outcome",
            "\"accepted\"",
            "What it is told: that the lead is kept, at once; or what became of it, as far as that is known in time.",
        ),
        key("wait", "duration", "100ms to 60s", "\"10s\"", "How long it is kept waiting for the outcome."),
        key(
            "when_unknown",
            "text",
            "success, failure, error",
            "\"success\"",
            "What it is told while the outcome is in doubt, or when it is not known in time. The lead is kept all the same.",
        ),
        key("unknown_reason", "text", "at most 500 bytes", "", "The reason it is told with that."),
        key(
            "price",
            "text",
            "a decimal number such as \"12.50\"",
            "\"0\"",
            "The price it is told with a success where no recipient named one.",
        ),
        key(
            "bid",
            "text",
            "a decimal number such as \"12.50\"",
            "",
            "What a ping is answered: the price offered for a lead that is posted after it. Without, a ping hears `no bid`.",
        ),
        KEY_HASH,
        key(
            "open",
            "true or false",
            "true, false",
            "false",
            "Lets in whoever knows its address, without a key: choose a name that cannot be guessed.",
        ),
        key(
            "key_field",
            "text",
            "a field's name",
            "",
            "The field or query parameter it may send its key in, for partners that can send no header. It is never kept.",
        ),
        key("test", "true or false", "true, false", "false", "All its leads are test leads."),
        key(
            "dedupe",
            "table",
            "see dedupe",
            "",
            "Answers a repeated request with the lead the first one made. An Idempotency-Key takes its place.",
        ),
        CAPS_KEY,
        ON_CAP,
        key(
            "callback",
            "table",
            "see callback",
            "",
            "Tells it later what became of its leads, by a signed request to an address of its own.",
        ),
    ],
};

/// `callback` of a source.
pub(crate) const CALLBACK: Table = Table {
    header: "callback",
    about: "Stands on a source. What became of a lead is posted as JSON, signed after the Standard Webhooks scheme, with the \
            account's and the system's retries; see sources.md.",
    keys: &[
        key(
            "url",
            "text",
            "https://host[:port]/path[?query], http too, without user name and without #",
            "",
            "Where. Required.",
        ),
        key(
            "secret",
            "text",
            "whsec_ and the base64 of 24 to 64 bytes",
            "",
            "What it is signed with: `\"${NAME}\"` or `\"file:PATH\"`. Required.",
        ),
        key(
            "when",
            "text",
            "late, always",
            "\"late\"",
            "Only what the answer to its request did not tell, or every outcome.",
        ),
        key("timeout", "duration", "100ms to 5m", "\"30s\"", "How long one attempt may take."),
        key("retry", "table", "see [retry]", "", "What it says about retrying, over what system and account say."),
    ],
};

/// `dedupe` of a source.
pub(crate) const DEDUPE: Table = Table {
    header: "dedupe",
    about: "Stands on a source: when two of its requests are the same request.",
    keys: &[
        key(
            "fields",
            "list of texts",
            "names of fields, nested ones by dots, at most 50",
            "all fields",
            "What is compared, without regard to case and blanks. A request with none of them is never a repeated one.",
        ),
        key("window", "duration", "1s to 1d", "\"60s\"", "How long after the first one, which alone counts."),
    ],
};
