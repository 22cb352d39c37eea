//! What the binary can be told to do, one file per command.

mod check;
mod explain;
mod init;

pub(crate) use check::check;
pub(crate) use explain::{Wanted, explain};
pub(crate) use init::init;
