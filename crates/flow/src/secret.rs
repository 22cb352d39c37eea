//! Text that must not be seen: credentials, and what headers carry.
//!
//! Never prints itself; whoever needs the text says so with [`Secret::reveal`].

use std::fmt;
use std::sync::Arc;

/// A text whose `Debug` and `Display` say `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps a text from being printed.
    pub fn new(text: &str) -> Self {
        Secret(Arc::from(text))
    }

    /// The text itself. Never for logs, answers or messages.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
