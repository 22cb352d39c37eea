//! Who is told what was committed.

use steadfast_retry::Event;

/// Is told of everything that was committed, after it was. Must be quick: it is called on the hot path.
pub trait Observer: Send + Sync + 'static {
    /// This was committed.
    fn committed(&self, event: &Event);
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn committed(&self, _event: &Event) {}
}
