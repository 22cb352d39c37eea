//! What a shadow step does with a lead: its request is made, and not sent.
//!
//! So a buyer can be prepared on real leads. Must never send, and must never change what becomes of the lead elsewhere.

use crate::run::Inner;
use std::fmt::Write as _;
use steadfast_flow::{InForce, Rendered, StepPlan};
use steadfast_lead::{Lead, Timestamp};
use steadfast_retry::{
    CloseReason, Delivery, Evidence, FaultKind, Phase, ReviewCause, Settlement, Terms, close, refer, settle,
};

impl Inner {
    /// `None` where the delivery has ended.
    pub(crate) async fn shadow(
        &self,
        delivery: &Delivery,
        lead: &Lead,
        (plan, in_force): (&StepPlan, &InForce<'_>),
        config_version: u64,
        now: Timestamp,
    ) -> Option<Settlement> {
        let fence = self.fence(delivery);
        if delivery.progress.is_unresolved() {
            let because = "its step is a shadow now and sends nothing, while an earlier attempt is in doubt";
            return refer(delivery, ReviewCause::InDoubt, because.into(), fence, now);
        }
        match plan.render(lead) {
            Ok(rendered) => close(delivery, CloseReason::Shadow, made(&rendered, plan).into(), fence, now),
            Err(failed) => {
                let evidence = Evidence::of_fault(Phase::Prepare, FaultKind::RenderFailed, &failed.to_string());
                let sent = self.sent(now, plan, None, evidence).await;
                let terms = Terms { policy: &in_force.policy, ..self.terms(delivery, plan, config_version) };
                Some(settle(delivery, sent, &terms))
            }
        }
    }
}

/// Without a word of the lead: how much, where to, and the digest that `steadfast render` shows too.
fn made(rendered: &Rendered, plan: &StepPlan) -> String {
    let mut because = format!(
        "shadow: made and not sent: {} to {}, {} bytes of body, digest ",
        rendered.method,
        plan.endpoint.origin,
        rendered.body.len()
    );
    for byte in rendered.digest {
        // Writing to a text cannot fail.
        let _ = write!(because, "{byte:02x}");
    }
    because
}
