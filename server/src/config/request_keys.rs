//! The keys of `request`, as it stands on a recipient, a step or a fallback.

use super::keys::{Table, key};

/// `request` of a recipient or a step.
pub(crate) const REQUEST: Table = Table {
    header: "request",
    about: "Stands on a recipient, a step, or both.",
    keys: &[
        key("type", "text", "http", "\"http\"", "Which door."),
        key(
            "method",
            "text",
            "POST, PUT, PATCH, GET, DELETE",
            "\"POST\"",
            "The method. GET and DELETE carry the fields in the query.",
        ),
        key(
            "url",
            "text",
            "https://host[:port]/path[?query], http too, without user name and without #",
            "",
            "Where it goes; path and query may hold templates. Required, here or at the recipient.",
        ),
        key(
            "format",
            "text",
            "json, form, query, xml, soap, text",
            "\"json\"",
            "How the fields or the body are written. Form and query: objects flattened by dots, lists as repeated names. soap and text need a body.",
        ),
        key(
            "headers",
            "table",
            "header = \"value\", at most 50",
            "{}",
            "Headers; a value may be a template. Not those the server writes itself: Host, Content-Length, Transfer-Encoding, Connection, Idempotency-Key, Steadfast-*.",
        ),
        key(
            "fields",
            "table",
            "name = text, whole number, true or false; at most 50",
            "{}",
            "Fields sent with every lead that has no body laid out, in place of a lead's field of that name.",
        ),
        key(
            "body",
            "text or table",
            "a template, or values by path; see mapping.md",
            "the lead's fields",
            "What the body is made of. A step's table lies over its recipient's path by path; an empty table {} takes a path away.",
        ),
        key("content_type", "text", "visible ASCII and spaces", "that of the format", "The body's type."),
        key(
            "strict",
            "true or false",
            "true, false",
            "false",
            "A lead that lacks a field a template prints goes to review; else the field is left out, or empty inside a text.",
        ),
        key("soap_version", "text", "1.1, 1.2", "\"1.1\"", "For format = \"soap\": which envelope and content type."),
        key(
            "soap_action",
            "text",
            "visible ASCII and spaces, no quotes",
            "",
            "For format = \"soap\": the header SOAPAction (1.1), or the action of the content type (1.2).",
        ),
        key("soap_header", "text", "a template", "", "For format = \"soap\": what stands in the SOAP header."),
        key("xml_declaration", "true or false", "true, false", "true", "Whether XML begins with its declaration."),
        key("timeout", "duration", "100ms to 5m", "\"30s\"", "How long the whole attempt may take."),
        key(
            "connect_timeout",
            "duration",
            "100ms to 5m",
            "\"10s\"",
            "How long lookup, connection and TLS may take, each.",
        ),
        key(
            "response_bytes_max",
            "size",
            "1KiB to 16MiB",
            "\"1MiB\"",
            "How much of an answer is read; a larger one is an error.",
        ),
    ],
};
