//! A stop: a person says that nothing goes to a recipient, or of a flow or a source, until a person says otherwise; or, in
//! maintenance, from one time until another.
//!
//! What a stop holds loses nothing: leads are still taken, no retry is used, and the total timeout stands still. A stopped
//! recipient's endpoints start nothing, and nothing is written on what waits for them. A stopped flow or source shares its
//! endpoints with others that go on; so what comes due of it moves, with one write, to a *lot*: an endpoint of the recipient
//! that starts nothing while the stop lasts. From there it moves back.

use crate::delivery::{Delivery, Endpoint};
use crate::suppression::Suppressed;
use std::fmt;
use std::sync::Arc;
use steadfast_lead::{FlowName, Lead, RecipientName, SourceName, Timestamp};

const FLOW: &str = "flow:";
const SOURCE: &str = "source:";
/// Between a flow and its source: in no name of either.
const BETWEEN: char = '/';

/// What is stopped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopTarget {
    /// Everything that goes to a recipient.
    Recipient(RecipientName),
    /// Everything of a flow.
    Flow(FlowName),
    /// Everything that came by a source of a flow.
    Source(FlowName, SourceName),
    /// Everything of a person: closed, and not held.
    Person(Suppressed),
    /// Everything that goes to a recipient, from a time until just before another.
    Maintenance(RecipientName, Timestamp, Timestamp),
}

impl fmt::Display for StopTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopTarget::Recipient(recipient) => write!(f, "recipient {recipient}"),
            StopTarget::Flow(flow) => write!(f, "flow {flow}"),
            StopTarget::Source(flow, source) => write!(f, "source {source} of flow {flow}"),
            StopTarget::Person(suppressed) => write!(f, "person {suppressed}"),
            StopTarget::Maintenance(recipient, from, until) => {
                write!(f, "maintenance of {recipient} from {from} until {until}")
            }
        }
    }
}

/// A stop as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// What is stopped.
    pub target: StopTarget,
    /// Who did it.
    pub by: Box<str>,
    /// Why, in their words.
    pub reason: Box<str>,
    /// Since when.
    pub since: Timestamp,
}

impl StopTarget {
    /// The stops that hold a delivery beside its recipient's: its source's, then its flow's.
    pub fn holding(lead: &Lead) -> impl Iterator<Item = StopTarget> {
        let source = lead.source.clone().map(|source| StopTarget::Source(lead.flow.clone(), source));
        source.into_iter().chain([StopTarget::Flow(lead.flow.clone())])
    }

    /// Where a recipient's deliveries wait while this stop lasts; `None` for a recipient's own, whose deliveries wait where
    /// they are, and for a person's, whose do not wait.
    pub fn lot(&self, recipient: &RecipientName) -> Option<Endpoint> {
        let origin: Arc<str> = match self {
            StopTarget::Recipient(_) | StopTarget::Person(_) | StopTarget::Maintenance(..) => return None,
            StopTarget::Flow(flow) => format!("{FLOW}{flow}").into(),
            StopTarget::Source(flow, source) => format!("{SOURCE}{flow}{BETWEEN}{source}").into(),
        };
        Some(Endpoint { recipient: recipient.clone(), origin })
    }

    /// The stop whose lot an endpoint is; `None` for one that is somewhere.
    pub fn of_lot(endpoint: &Endpoint) -> Option<StopTarget> {
        if let Some(flow) = endpoint.origin.strip_prefix(FLOW) {
            return Some(StopTarget::Flow(FlowName::new(flow).ok()?));
        }
        let (flow, source) = endpoint.origin.strip_prefix(SOURCE)?.split_once(BETWEEN)?;
        Some(StopTarget::Source(FlowName::new(flow).ok()?, SourceName::new(source).ok()?))
    }
}

impl Delivery {
    /// Whether its next attempt is a retry by the schedule, which the retry budget pays for. First attempts, and those a
    /// person asked for, are free.
    pub const fn is_retry(&self) -> bool {
        self.progress.attempts > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lot_tells_its_stop_and_an_origin_is_no_lot() {
        let (flow, source) = (FlowName::new("auto").unwrap(), SourceName::new("web.site-1").unwrap());
        let recipient = RecipientName::new("bank").unwrap();
        for stop in [StopTarget::Flow(flow.clone()), StopTarget::Source(flow, source)] {
            let lot = stop.lot(&recipient).unwrap();
            assert_eq!(StopTarget::of_lot(&lot), Some(stop));
        }
        assert_eq!(StopTarget::Recipient(recipient.clone()).lot(&recipient), None);
        let somewhere = Endpoint { recipient, origin: "https://x:443".into() };
        assert_eq!(StopTarget::of_lot(&somewhere), None);
    }
}
