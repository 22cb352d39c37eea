//! The keys of a declared field.

use super::keys::{Table, key};

/// `[flows.NAME.fields.FIELD]`.
pub(crate) const FIELD: Table = Table {
    header: "[flows.NAME.fields.FIELD]",
    about: "One field, sent under its name in the order the lead came. Short form: `FIELD = \"email\"`.",
    keys: &[
        key(
            "type",
            "text",
            "text, email, phone, postal_code, state, date, number, boolean, sensitive",
            "\"text\"",
            "What it holds: templates and bodies see it in one form, raw.NAME as it came. A sensitive field is sent only where a body names it.",
        ),
        key(
            "sensitive",
            "true or false",
            "true, false",
            "false",
            "The same as type = \"sensitive\", beside another type.",
        ),
        key("alias", "text or list of texts", "field names", "[]", "Other names it may come in under."),
    ],
};
