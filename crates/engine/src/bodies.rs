//! Which body an attempt may carry: the one that is frozen, the same words at another leg's address, or a new revision.
//!
//! Must never: send other bytes under a key that a recipient may know already.

use std::sync::Arc;
use steadfast_flow::{Rendered, StepPlan};
use steadfast_lead::Lead;
use steadfast_retry::{BodyMark, Delivery};

/// Keeps the body's mark, or begins a new revision where the bytes changed and no attempt is in doubt, or one is and
/// sending again was cleared. `None` when they changed and that is not so.
pub(crate) fn keep_body(
    delivery: &mut Delivery,
    step: Option<&Arc<StepPlan>>,
    plan: &StepPlan,
    lead: &Lead,
    rendered: &Rendered,
) -> Option<BodyMark> {
    let mark = BodyMark { mapping_version: plan.request.mapping_version(), digest: rendered.digest };
    let Some(frozen) = delivery.body.filter(|frozen| frozen.digest != mark.digest) else { return Some(mark) };
    if step.is_some_and(|step| is_of_another_way(frozen, step, plan, lead, rendered)) {
        delivery.body = Some(mark);
        return Some(mark);
    }
    if delivery.progress.is_unresolved() {
        return None;
    }
    delivery.progress.revision = delivery.progress.revision.saturating_add(1);
    delivery.body = None;
    Some(mark)
}

/// Whether what is frozen went out another way to the same recipient, and says the same lead in the same bytes: only the
/// address is another.
fn is_of_another_way(
    frozen: BodyMark,
    step: &Arc<StepPlan>,
    plan: &StepPlan,
    lead: &Lead,
    rendered: &Rendered,
) -> bool {
    // The endpoints that a leg chooses between know each other's keys as legs do; and a person may have sent it back a leg.
    let several = step.ways().nth(1).is_some();
    let mut theirs = step.ways().filter(|way| several && way.endpoint.recipient == plan.endpoint.recipient);
    theirs.any(|way| {
        way.render(lead).is_ok_and(|before| before.digest == frozen.digest && says_the_same(&before, rendered))
    })
}

fn says_the_same(one: &Rendered, other: &Rendered) -> bool {
    let query = |rendered: &Rendered| rendered.url.split_once('?').map(|(_, query)| query.to_owned());
    one.method == other.method && one.body == other.body && query(one) == query(other)
}
