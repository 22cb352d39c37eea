//! One write on its way to the disk: begun, done, answered; each a moment of its own, so that a crash can come in between.

use futures::executor::block_on;
use steadfast_lead::DeliveryId;
use steadfast_store::{Pending, Store, StoreError};
use tokio::sync::oneshot;

type Call<T> = Box<dyn FnOnce(&dyn Store) -> Pending<T> + Send>;

/// Waits for a store's answer with everything else standing still.
pub(crate) fn wait<T>(pending: Pending<T>) -> Result<T, StoreError> {
    // Unconstrained: the runtime's own share of time would never be given back to a thread that does not return to it.
    block_on(tokio::task::unconstrained(pending))
}

/// A write whose kind does not matter to the disk.
pub(crate) trait Write: Send {
    /// Hands it to the store, without waiting.
    fn begin(&mut self, store: &dyn Store);
    /// Waits until the store has it.
    fn finish(&mut self);
    /// Tells whoever waits what became of it.
    fn answer(&mut self);
    /// Tells whoever waits that nothing did.
    fn refuse(&mut self, error: &StoreError);
    /// Whether nobody waits for it: a mark that rides along.
    fn rides_along(&self) -> bool;
}

struct Waited<T> {
    call: Option<Call<T>>,
    pending: Option<Pending<T>>,
    became: Option<Result<T, StoreError>>,
    reply: Option<oneshot::Sender<Result<T, StoreError>>>,
}

/// A write that somebody waits for.
pub(crate) fn waited<T: Send + 'static>(
    call: impl FnOnce(&dyn Store) -> Pending<T> + Send + 'static,
) -> (Box<dyn Write>, Pending<T>) {
    let (reply, answer) = oneshot::channel();
    let write = Waited { call: Some(Box::new(call)), pending: None, became: None, reply: Some(reply) };
    let gone = || StoreError::Stopped { detail: "the storm ended the process".to_owned() };
    (Box::new(write), Box::pin(async move { answer.await.unwrap_or_else(|_| Err(gone())) }))
}

impl<T: Send + 'static> Write for Waited<T> {
    fn begin(&mut self, store: &dyn Store) {
        self.pending = self.call.take().map(|call| call(store));
    }

    fn finish(&mut self) {
        self.became = self.pending.take().map(wait);
    }

    fn answer(&mut self) {
        if let (Some(reply), Some(became)) = (self.reply.take(), self.became.take()) {
            // Who no longer waits needs no answer.
            drop(reply.send(became));
        }
    }

    fn refuse(&mut self, error: &StoreError) {
        if let Some(reply) = self.reply.take() {
            drop(reply.send(Err(error.clone())));
        }
    }

    fn rides_along(&self) -> bool {
        false
    }
}

/// A mark that the engine does not wait for. The storm does, so that what is on disk when it looks follows from the seed.
pub(crate) struct Mark {
    delivery: DeliveryId,
    pending: Option<Pending<()>>,
}

impl Mark {
    pub(crate) fn of(delivery: DeliveryId) -> Self {
        Mark { delivery, pending: None }
    }
}

impl Write for Mark {
    fn begin(&mut self, store: &dyn Store) {
        self.pending = Some(store.take_durably(self.delivery));
    }

    fn finish(&mut self) {
        // Nobody is told, whatever came of it.
        drop(self.pending.take().map(wait));
    }

    fn answer(&mut self) {}

    fn refuse(&mut self, _error: &StoreError) {}

    fn rides_along(&self) -> bool {
        true
    }
}
