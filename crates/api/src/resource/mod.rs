//! What can be asked for, one file each.

pub(crate) mod deliveries;
pub(crate) mod health;
pub(crate) mod leads;
pub(crate) mod post_lead;
pub(crate) mod verbs;
