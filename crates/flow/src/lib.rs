//! What an operator configured: settings laid out by level, and from them a plan per step that can be followed without
//! looking anything up.
//!
//! Pure. Reads no file, clock or environment: the text is parsed, and secrets are fetched, by the server.

mod address;
mod mapping;
mod plan;
mod request;
mod request_settings;
mod secret;

pub use address::{ADDRESS_BYTES_MAX, Address, BadAddress};
pub use mapping::{FieldSettings, FieldType};
pub use plan::{Book, FlowPlan, RecipientPlan, StepPlan};
pub use request::{RenderFailed, Rendered, Request, RequestTimeouts, URL_BYTES_MAX};
pub use request_settings::{
    Auth, CONNECT_TIMEOUT, CONNECT_TIMEOUT_DEFAULT, FIXED_FIELDS_MAX, Format, HEADERS_MAX, Header, KeyPlace, METHODS,
    Misfit, RESPONSE_BYTES_MAX, RESPONSE_BYTES_MAX_DEFAULT, RequestSettings, TIMEOUT, TIMEOUT_DEFAULT,
};
pub use secret::Secret;
