//! Figures folded from what happened.
//!
//! Reads the journal's lines and what a store reports about its commits; never asks the engine, never changes anything, and
//! never holds a value of a lead: labels are names an operator gave and words of our own.

mod catalogue;
mod figures;
mod per_recipient;
mod snapshot;

pub use catalogue::{METRICS, Metric, MetricKind, metrics_page};
pub use figures::{CONTENT_TYPE, Figures, RECIPIENTS_MAX};
pub use snapshot::{CapGauges, EndpointGauges, RecipientGauges, Snapshot};
