//! The keys of `auth`, and which of them belong to which way.

use super::keys::{Key, Table, key};

const TOKEN_URL: &str = "https://host[:port]/path[?query], http too, without user name and without #";

/// `auth` of a recipient or a step.
pub(crate) const AUTH: Table = Table {
    header: "auth",
    about: "Stands on a recipient or a step. Credentials may be `\"${NAME}\"` (environment) or `\"file:PATH\"` (relative to \
            the config file). With `oauth2` (client credentials) and `token` (an endpoint of the recipient's own kind) a \
            token is asked for, kept, and renewed before it expires; equal settings share one.",
    keys: &KEYS,
};

const KEYS: [Key; 25] = [
    key("type", "text", "basic, bearer, api_key, oauth2, token, signature", "", "Which way. Required."),
    key("username", "text", "a name without a colon", "", "For basic. Required there."),
    key("password", "text", "any text", "", "For basic. Required there."),
    key("token", "text", "1 to 16384 bytes", "", "For bearer. Required there."),
    key("key", "text", "1 to 16384 bytes", "", "For api_key. Required there."),
    key(
        "header",
        "text",
        "a header's name",
        "\"Authorization\"",
        "For api_key, oauth2 and token: the header it goes into. api_key has no default.",
    ),
    key(
        "query",
        "text",
        "a parameter's name",
        "",
        "For api_key, oauth2 and token: the parameter it goes into, in place of a header.",
    ),
    key(
        "prefix",
        "text",
        "at most 64 bytes",
        "\"Bearer \"",
        "For oauth2 and token: what stands before the token in its header, blank included. Nothing where header is said.",
    ),
    key("token_url", "text", TOKEN_URL, "", "For oauth2 and token: where a token is asked for. Required there."),
    key(
        "secret",
        "text",
        "whsec_ and the base64 of 24 to 64 bytes",
        "",
        "For signature (Standard Webhooks): what id, time and body of each attempt are signed with. Required there.",
    ),
    key("client_id", "text", "1 to 16384 bytes", "", "For oauth2. Required there."),
    key("client_secret", "text", "1 to 16384 bytes", "", "For oauth2. Required there."),
    key(
        "client_auth",
        "text",
        "basic, body",
        "\"basic\"",
        "For oauth2: whether both go into a header or into the form.",
    ),
    key("scope", "text", "names with blanks between", "", "For oauth2."),
    key("audience", "text", "as the provider says", "", "For oauth2."),
    key("resource", "text", "as the provider says", "", "For oauth2: RFC 8707."),
    key(
        "fields",
        "table",
        "name = text, at most 50",
        "{}",
        "For token: what is sent to its endpoint; for oauth2: beside the standard's own. May hold credentials.",
    ),
    key("method", "text", "POST, PUT, PATCH, GET, DELETE", "\"POST\"", "For token: how its endpoint is asked."),
    key("format", "text", "json, form, query", "\"json\"", "For token: how the fields are written."),
    key(
        "headers",
        "table",
        "header = \"value\", at most 50",
        "{}",
        "For token: further headers of the request for it.",
    ),
    key(
        "token_path",
        "text",
        "names joined by dots, such as data.items[0].token",
        "\"access_token\"",
        "For token: where it stands in the answer's JSON.",
    ),
    key(
        "token_header",
        "text",
        "a header's name",
        "",
        "For token: the answer's header it stands in, in place of a path.",
    ),
    key(
        "expires_in_path",
        "text",
        "names joined by dots, such as data.expires_in",
        "",
        "For token: where the seconds it is good for stand in the answer's JSON.",
    ),
    key(
        "expires_in",
        "duration",
        "1s to 1d",
        "\"5m\"",
        "For oauth2 and token: how long it is good where the answer does not say it.",
    ),
    key("timeout", "duration", "100ms to 1m", "\"10s\"", "For oauth2 and token: how long asking for one may take."),
];

/// One way, and what it has beside `type`.
#[derive(Debug)]
pub(crate) struct Way {
    /// The word.
    pub(crate) name: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [&'static str],
    /// What it has, for messages.
    pub(crate) has: &'static str,
}

/// Every way.
pub(crate) const WAYS: [Way; 6] = [
    Way { name: "basic", keys: &["username", "password"], has: "basic has username and password" },
    Way { name: "bearer", keys: &["token"], has: "bearer has token" },
    Way { name: "signature", keys: &["secret"], has: "signature has secret" },
    Way { name: "api_key", keys: &["key", "header", "query"], has: "api_key has key, and header or query" },
    Way {
        name: "oauth2",
        keys: &[
            "token_url",
            "client_id",
            "client_secret",
            "client_auth",
            "scope",
            "audience",
            "resource",
            "fields",
            "expires_in",
            "timeout",
            "header",
            "query",
            "prefix",
        ],
        has: "oauth2 has token_url, client_id, client_secret, client_auth, scope, audience, resource, fields, expires_in, \
              timeout, and header and prefix or query",
    },
    Way {
        name: "token",
        keys: &[
            "token_url",
            "method",
            "format",
            "headers",
            "fields",
            "token_path",
            "token_header",
            "expires_in_path",
            "expires_in",
            "timeout",
            "header",
            "query",
            "prefix",
        ],
        has: "token has token_url, method, format, headers, fields, token_path or token_header, expires_in_path, expires_in, \
              timeout, and header and prefix or query",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_belongs_to_a_way_and_every_way_has_known_keys() {
        for known in &KEYS {
            let ways = WAYS.iter().filter(|way| way.keys.contains(&known.name)).count();
            assert!(ways > 0 || known.name == "type", "{}", known.name);
        }
        for way in &WAYS {
            for name in way.keys {
                assert!(KEYS.iter().any(|known| known.name == *name), "{name}");
                assert!(way.has.contains(name), "{}: {name}", way.name);
            }
        }
    }
}
