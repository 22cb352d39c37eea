//! The keys about selling: how the steps of a flow share a lead, and which begin after another; and whether test leads, which
//! are never sold, are sent.

use super::keys::{Key, Table, key};

const NUMBER: &str = "0 or more, such as 12.50, up to 12 digits";

/// On a flow.
pub(crate) const SALE_KEY: Key =
    key("sale", "table", "see [flows.NAME.sale]", "", "How its steps share a lead; see sale.md.");

/// On a recipient and on a flow.
pub(crate) const RETURNS_KEY: Key = key(
    "returns",
    "table",
    "see returns",
    "",
    "How long leads may be returned. A recipient's word goes before its flow's, key by key.",
);

/// `returns` of a recipient or a flow.
pub(crate) const RETURNS: Table = Table {
    header: "returns",
    about: "Stands on a recipient, a flow, or both; see sale.md.",
    keys: &[
        key("within", "duration", "0s to 366d", "\"30d\"", "How long after its delivery a lead may be returned."),
        key(
            "resell_within",
            "duration",
            "0s to 90d",
            "\"2h\"",
            "How old a lead may be, since it was accepted, that is returned in a sale and then offered to the next buyer.",
        ),
    ],
};

/// `sale` of a flow.
pub(crate) const SALE: Table = Table {
    header: "[flows.NAME.sale]",
    about: "How the steps of a flow share a lead. With `first_accepted` its buyers are offered it one after another, and the \
            first that takes it has it; see sale.md.",
    keys: &[
        key(
            "mode",
            "text",
            "each, first_accepted",
            "\"each\"",
            "Every step is sent the lead; or the steps are buyers, of whom one gets it.",
        ),
        key(
            "order",
            "text",
            "listed, price, score",
            "\"listed\"",
            "Which buyer is tried first: as the steps are listed, or the highest price or score first.",
        ),
    ],
};

/// On a step.
pub(crate) const SHADOW: Key = key(
    "shadow",
    "true or false",
    "true, false",
    "false",
    "Does everything but the send: the request is made for every lead and its delivery closed as `shadow`, with size and digest. No buyer.",
);
/// On a step.
pub(crate) const BUYER: Key = key(
    "buyer",
    "true or false",
    "true, false",
    "true without after",
    "Whether it is a buyer in its flow's sale. A step that is none is sent on its own.",
);
/// On a step.
pub(crate) const PRICE: Key = key(
    "price",
    "text or number",
    NUMBER,
    "",
    "What its recipient is expected to pay, where the answer names no price; and its place with sale.order = \"price\".",
);
/// On a step.
pub(crate) const SCORE: Key =
    key("score", "text or number", NUMBER, "", "How good its recipient is: its place with sale.order = \"score\".");
/// On a step.
pub(crate) const AFTER_KEY: Key = key(
    "after",
    "table",
    "see after",
    "",
    "After which other step it begins; without, at once or when its turn comes.",
);

/// On a recipient and a step.
pub(crate) const TEST_LEADS_KEY: Key = key(
    "test_leads",
    "text",
    "skip, send",
    "\"skip\"",
    "Whether test leads are sent to it, with the header Steadfast-Test: true, or closed in place of being sent. A step's word goes before its recipient's.",
);

/// `after` of a step.
pub(crate) const AFTER: Table = Table {
    header: "after",
    about: "Stands on a step that begins when another has ended; at another end than those named it is closed as not reached.",
    keys: &[
        key("step", "text", "another step's id", "", "Which step it begins after. Required."),
        key(
            "on",
            "text or list of texts",
            "delivered, rejected, in_review, closed",
            "\"delivered\"",
            "The ends it begins at.",
        ),
    ],
};
