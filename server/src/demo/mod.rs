//! The demo: a server, a recipient that fails in every usual way, and a stream of test leads. Shows what happens as it
//! happens.

mod recipient;
mod screen;
mod traffic;

pub(crate) use recipient::FlakyRecipient;
pub(crate) use screen::Screen;
pub(crate) use traffic::{Traffic, post_leads};

/// The demo's configuration. The recipient's port is filled in when it is known.
pub(crate) const CONFIG: &str = include_str!("../../../examples/demo.toml");

/// What stands in [`CONFIG`] where the recipient's address goes.
pub(crate) const RECIPIENT_ADDRESS: &str = "127.0.0.1:8199";
