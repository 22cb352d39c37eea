//! What can be asked for, one file each.

pub(crate) mod about;
pub(crate) mod caps;
pub(crate) mod classify;
pub(crate) mod configs;
pub(crate) mod deliveries;
pub(crate) mod erasures;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod health;
pub(crate) mod leads;
pub(crate) mod maintenance;
pub(crate) mod ping;
pub(crate) mod post_batch;
pub(crate) mod post_lead;
pub(crate) mod recipients;
pub(crate) mod reclassify;
pub(crate) mod reconciliation;
pub(crate) mod render;
pub(crate) mod returns;
pub(crate) mod review;
pub(crate) mod simulations;
pub(crate) mod stats;
pub(crate) mod stops;
pub(crate) mod submit;
pub(crate) mod suppressions;
pub(crate) mod verbs;
