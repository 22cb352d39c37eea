//! Asking the recipient whether it has a lead before anything is sent again.
//!
//! Must never: ask one recipient about what another may have taken.

use crate::door::Order;
use crate::run::Inner;
use std::sync::Arc;
use std::time::Duration;
use steadfast_flow::{InForce, StepPlan};
use steadfast_lead::{Lead, RecipientName};
use steadfast_retry::{
    Delivery, Evidence, FaultKind, LookedUp, Phase, ReviewCause, Settlement, Terms, in_doubt_elsewhere, refer,
    settle_look_up,
};
use steadfast_store::StoreError;

/// Lines of a history that are looked at.
const LINES_MAX: usize = 1_000;
const AFTER_FAILURE: Duration = Duration::from_secs(1);

impl Inner {
    /// Asks the recipient whether it has the lead. Needs no mark: a look-up that is cut off is simply asked again.
    pub(crate) async fn look_up(
        &self,
        delivery: &Delivery,
        lead: &Lead,
        (plan, in_force): (&Arc<StepPlan>, &InForce<'_>),
        config_version: u64,
        at_most: Duration,
    ) -> Option<Settlement> {
        let started = self.clock.now();
        let Some(look_up) = &plan.look_up else {
            let because = "in doubt, and the step has no look-up to ask the recipient with";
            return refer(delivery, ReviewCause::InDoubt, because.into(), self.fence(delivery), started);
        };
        if let Some(elsewhere) = self.elsewhere(delivery, &plan.endpoint.recipient).await {
            return refer(delivery, ReviewCause::InDoubt, elsewhere.into(), self.fence(delivery), started);
        }
        let evidence = match look_up.render(lead, delivery) {
            Ok(rendered) => self.door.send(Order::look_up(delivery, plan, rendered, at_most)).await,
            Err(failed) => Evidence::of_fault(Phase::Prepare, FaultKind::RenderFailed, &failed.to_string()),
        };
        let (ended, endpoint) = (self.clock.now().max(started), look_up.endpoint.clone());
        let verdict = self.apart.read(&look_up.reading, &evidence).await;
        let looked = LookedUp { started, ended, endpoint, evidence, verdict };
        let terms = Terms { policy: &in_force.policy, ..self.terms(delivery, plan, config_version) };
        let settlement = settle_look_up(delivery, looked, &terms);
        if look_up.endpoint == plan.endpoint {
            self.tell(&settlement);
        }
        Some(settlement)
    }

    /// Why nobody can be asked: its step sent to another recipient when the doubt arose.
    async fn elsewhere(&self, delivery: &Delivery, asked: &RecipientName) -> Option<String> {
        // Every change adds a line to a history, and raises its delivery's version.
        let lines = usize::try_from(delivery.version).unwrap_or(usize::MAX);
        loop {
            match self.store.history(delivery.id, lines.saturating_sub(LINES_MAX), LINES_MAX).await {
                Ok(history) => {
                    let other = in_doubt_elsewhere(&history, asked)?;
                    return Some(format!("an attempt is in doubt at {other}, and its step sends to {asked} now"));
                }
                // Nothing is stored of what is learned then, and nothing sent.
                Err(StoreError::Stopped { .. }) => return None,
                Err(error) => {
                    tracing::error!(delivery = %delivery.id, %error, "a history could not be read; trying again");
                    self.clock.sleep_until(self.clock.now().after(AFTER_FAILURE)).await;
                }
            }
        }
    }
}
