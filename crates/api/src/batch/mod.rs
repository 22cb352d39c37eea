//! Many leads in one body, each line on its own: read as it comes, accepted whole or refused whole, told by line.

pub(crate) mod reading;
pub(crate) mod taking;
