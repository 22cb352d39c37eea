//! What sources send and what they are told, as they know it from LeadConduit.

pub(crate) mod door;
pub(crate) mod reading;
pub(crate) mod refusing;
pub(crate) mod repeated;
pub(crate) mod saying;
