//! The stage for tests of the whole: a real server process, and recipients that keep a log of what arrived.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its own part of the stage"
)]

mod breaking;
mod hostile;
mod power;
mod recipient;
mod server;

pub use breaking::{Books, Break, BreakingRecipient};
pub use hostile::{Harm, HostileRecipient};
pub use power::{Cut, Recorder, may_record};
pub use recipient::{Arrival, Recipient, Reply};
pub use server::{Answer, Server, binary, call};

use std::time::Duration;

/// How long a test waits for something that must happen before it says that it did not.
pub const PATIENCE: Duration = Duration::from_secs(60);
