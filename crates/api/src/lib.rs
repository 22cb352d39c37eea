//! HTTP: what can be asked of the server, one file per resource, and the listener that serves it.
//!
//! Translates and refuses; decides nothing about deliveries. Everything serialised for clients is defined here and nowhere
//! else. No refusal, log line or figure holds what a lead holds, beyond a field's name.

mod answer;
mod archive;
mod auth;
mod batch;
mod body_room;
mod content;
mod encoded;
mod frame;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod idempotency_key;
mod lead_body;
mod masking;
mod nesting;
mod openapi;
mod path;
mod patience;
mod problem;
mod query;
mod resource;
mod resting;
mod router;
mod serve;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod wire;
mod xml;

pub use archive::archive_line;
pub use auth::{ApiKey, ApiKeys, Scope, new_key};
pub use router::router;
pub use serve::{ServeLimits, serve};
pub use state::{ApiState, RequestLimits};
