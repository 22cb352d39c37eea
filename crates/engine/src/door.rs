//! What the engine asks of a door: take an order, say what was seen.

use bytes::Bytes;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use steadfast_flow::{Rendered, Request, StepPlan};
use steadfast_retry::{Delivery, Evidence};

/// What an order is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Sends the lead.
    Lead,
    /// Asks whether the recipient has it. Carries no `Idempotency-Key`: it is another request than the attempt it asks about.
    LookUp,
}

/// One send, ready to go.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is sent.
    pub purpose: Purpose,
    /// The request, the same on every attempt of a revision.
    pub rendered: Rendered,
    /// The step's plan, for its bounds.
    pub plan: Arc<StepPlan>,
    /// `Steadfast-Delivery-Id`.
    pub delivery_id: String,
    /// `Idempotency-Key`, before quoting.
    pub idempotency_key: String,
    /// `Steadfast-Attempt`, from 1; of a look-up, the attempts before it.
    pub attempt: u32,
    /// It is a test lead: the recipient is told.
    pub test: bool,
    /// The attempt must end within this, whatever the step's own timeout.
    pub at_most: Duration,
}

impl Order {
    /// The order for the next attempt of a delivery.
    pub(crate) fn new(delivery: &Delivery, plan: &Arc<StepPlan>, rendered: Rendered, at_most: Duration) -> Self {
        Order {
            purpose: Purpose::Lead,
            rendered,
            plan: Arc::clone(plan),
            delivery_id: delivery.id.to_string(),
            idempotency_key: delivery.idempotency_key(),
            attempt: delivery.attempts + 1,
            test: delivery.test,
            at_most,
        }
    }

    /// The order for a look-up.
    pub(crate) fn look_up(delivery: &Delivery, plan: &Arc<StepPlan>, rendered: Rendered, at_most: Duration) -> Self {
        let order = Order::new(delivery, plan, rendered, at_most);
        Order { purpose: Purpose::LookUp, attempt: delivery.attempts, ..order }
    }

    /// How the request was made: its bounds, and the token it carries.
    pub fn request(&self) -> &Request {
        match (self.purpose, &self.plan.look_up) {
            (Purpose::LookUp, Some(look_up)) => &look_up.request,
            (Purpose::Lead | Purpose::LookUp, _) => &self.plan.request,
        }
    }

    /// The body's bytes.
    pub fn body(&self) -> &Bytes {
        &self.rendered.body
    }
}

/// A way out. Never fails and never sends twice: it reports what it saw.
pub trait Door: Send + Sync + 'static {
    /// Sends and reports.
    fn send(&self, order: Order) -> BoxFuture<'static, Evidence>;
}
