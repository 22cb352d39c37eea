//! Leads, deliveries and settlements to give a store, from counters and a fixed seed.

use crate::{Acceptance, Accepted, Count, Dedupe, Filter, Page, Settled, Store};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{
    DeliveryId, Fields, FlowName, IdSequence, JsonLimits, Lead, Priority, RecipientName, SourceName, StepName,
    Timestamp, parse_object,
};
use steadfast_retry::{
    Answer, Attempt, AttemptSettled, Decision, Delivery, Endpoint, Entry, ErrorKind, Event, EventKind, Evidence, Fence,
    LegProgress, Outcome, ReviewCause, Settlement, Shard, State, Tie, Verdict,
};

/// Makes what a store is given, at a time that only moves when told.
pub struct World {
    ids: IdSequence,
    /// What the time is.
    pub now: Timestamp,
    dice: u64,
}

impl World {
    /// Goes on after what was in the store when it was opened: make one for each opening.
    pub fn of(store: &dyn Store) -> Self {
        let identity = store.identity();
        let now = Timestamp::from_millis(1_795_000_000_000);
        World { ids: IdSequence::resuming(identity.node, identity.last_id), now, dice: 0x9e37_79b9_7f4a_7c15 }
    }

    /// Moves the clock.
    pub fn advance(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
    }

    /// The next throw, below `sides`.
    pub fn throw(&mut self, sides: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        usize::try_from(self.dice % sides as u64).unwrap()
    }

    /// A lead for a flow with one delivery to each recipient, due now.
    pub fn acceptance(&mut self, flow: &str, recipients: &[&str]) -> Acceptance {
        let flow = FlowName::new(flow).unwrap();
        let lead = Lead {
            id: self.ids.next(self.now),
            flow: flow.clone(),
            source: Some(SourceName::new("web").unwrap()),
            accepted_at: self.now,
            test: false,
            fields: fields(),
        };
        let deliveries: Vec<Delivery> =
            recipients.iter().zip(1..).map(|(recipient, step)| self.delivery(&lead, recipient, step)).collect();
        let count = u32::try_from(deliveries.len()).unwrap();
        let kind = EventKind::LeadAccepted { lead: lead.id, flow, deliveries: count, test: false };
        Acceptance {
            lead: Arc::new(lead),
            deliveries,
            terms: Vec::new(),
            marks: Vec::new(),
            refuse_erased_since: None,
            dedupe: None,
            event: Event { at: self.now, kind },
        }
    }

    /// The same as a test.
    pub fn test_acceptance(&mut self, flow: &str, recipients: &[&str]) -> Acceptance {
        let mut acceptance = self.acceptance(flow, recipients);
        acceptance.lead = Arc::new(Lead { test: true, ..Lead::clone(&acceptance.lead) });
        acceptance.deliveries.iter_mut().for_each(|delivery| delivery.test = true);
        if let EventKind::LeadAccepted { test, .. } = &mut acceptance.event.kind {
            *test = true;
        }
        acceptance
    }

    /// The same under an idempotency key.
    pub fn guarded(&mut self, flow: &str, key: &str, digest: u8, lasts: Duration) -> Acceptance {
        let dedupe = Dedupe { key: key.into(), digest: [digest; 32], until: self.now.after(lasts) };
        Acceptance { dedupe: Some(dedupe), ..self.acceptance(flow, &["bigbank"]) }
    }

    fn delivery(&mut self, lead: &Lead, recipient: &str, step: u32) -> Delivery {
        Delivery {
            id: self.ids.next(self.now),
            lead: lead.id,
            flow: lead.flow.clone(),
            step: StepName::new(&format!("step-{step}")).unwrap(),
            endpoint: Endpoint {
                recipient: RecipientName::new(recipient).unwrap(),
                origin: format!("https://{recipient}.example:443").into(),
            },
            accepted_at: lead.accepted_at,
            priority: Priority::Normal,
            test: false,
            tie: Tie::default(),
            choice: None,
            booking: None,
            version: 0,
            attempts: 0,
            progress: LegProgress::default(),
            body: None,
            last_kind: None,
            state: State::Waiting { due: self.now },
        }
    }

    /// Accepts a lead and gives its deliveries.
    pub async fn accepted(&mut self, store: &dyn Store, flow: &str, recipients: &[&str]) -> Vec<Delivery> {
        let acceptance = self.acceptance(flow, recipients);
        let deliveries = acceptance.deliveries.clone();
        assert_eq!(store.accept(acceptance).await, Ok(Accepted::New));
        deliveries
    }

    /// Settles into a state, and gives the delivery after it.
    pub async fn settled(&mut self, store: &dyn Store, before: &Delivery, state: State) -> Delivery {
        let settlement = settlement(store, before, state, self.now);
        let after = settlement.delivery.clone();
        assert_eq!(store.settle(settlement).await, Ok(Settled::Applied));
        after
    }
}

fn fields() -> Fields {
    let json = r#"{"first_name":"Ada","zip":"01234","income":1.10,"cars":[{"year":2019},null,true]}"#;
    parse_object(json.as_bytes(), JsonLimits::LEAD).unwrap()
}

/// A settlement of one attempt that leads into a state, under the store's own lease.
pub fn settlement(store: &dyn Store, before: &Delivery, state: State, now: Timestamp) -> Settlement {
    let (outcome, decision) = meaning(&state);
    let mut delivery = before.clone();
    delivery.version += 1;
    delivery.attempts += 1;
    delivery.last_kind = outcome.kind_name();
    delivery.progress.first_attempt_at.get_or_insert(now);
    delivery.state = state;
    let settled = AttemptSettled {
        delivery: delivery.id,
        lead: delivery.lead,
        flow: delivery.flow.clone(),
        step: delivery.step.clone(),
        recipient: delivery.endpoint.recipient.clone(),
        attempt: delivery.attempts,
        leg: 0,
        retry: 0,
        outcome,
        decision: decision.name(),
        state: delivery.state.name(),
        late: Duration::ZERO,
        took: Duration::from_millis(12),
        since_accepted: now.since(delivery.accepted_at),
        next_in: None,
        test: delivery.test,
    };
    let fence = Fence { shard: Shard::of(&delivery.endpoint.recipient), epoch: store.identity().epoch };
    let entry = Entry::Attempt(Box::new(attempt(before, &delivery, outcome, decision, now)));
    let event = Event { at: now, kind: EventKind::AttemptSettled(Box::new(settled)) };
    Settlement { delivery, entry, pause: None, event, fence, tied: None, caps: None }
}

fn attempt(before: &Delivery, after: &Delivery, outcome: Outcome, decision: Decision, now: Timestamp) -> Attempt {
    let body = Bytes::from_static(br#"{"result":{"status":"accepted"}}"#);
    let headers = vec![("content-type".into(), "application/json".into())];
    let answer = Answer { status: 200, headers, body_bytes: body.len() as u64, body };
    Attempt {
        number: after.attempts,
        leg: 0,
        revision: 0,
        retry: 0,
        endpoint: after.endpoint.clone(),
        choice: None,
        due: before.state.due().unwrap_or(now),
        started: now,
        ended: now.after(Duration::from_millis(12)),
        evidence: Evidence::of_answer(answer),
        verdict: Verdict {
            outcome,
            status: Some(200),
            retryable: None,
            delay: None,
            reason: None,
            price: Some("12.50".into()),
            reference: None,
            decided_by: "outcome_search_term".into(),
        },
        decision,
        because: "the recipient accepted it".into(),
        config_version: 1,
    }
}

fn meaning(state: &State) -> (Outcome, Decision) {
    match *state {
        State::Waiting { due } => {
            let window = steadfast_retry::Window { earliest: Duration::from_secs(2), latest: Duration::from_secs(3) };
            (Outcome::Error(ErrorKind::ServerError), Decision::Retry { retry: 1, due, window, not_before: None })
        }
        State::Held { due, until, why } => (Outcome::Error(ErrorKind::RateLimited), Decision::Hold { due, until, why }),
        State::Delivered { probable, .. } => (Outcome::Success, Decision::Deliver { probable }),
        State::Rejected { kind, .. } => (Outcome::Failure(kind), Decision::Reject { kind }),
        State::InReview { cause, .. } => (Outcome::Error(ErrorKind::ClientError), Decision::Review { cause }),
        State::Closed { .. } => {
            (Outcome::Error(ErrorKind::TimeoutRead), Decision::Review { cause: ReviewCause::Expired })
        }
    }
}

/// Every page of a list, checked to be strictly newest first and to end.
pub async fn walk(store: &dyn Store, filter: &Filter, limit: usize) -> Vec<Delivery> {
    let mut all: Vec<Delivery> = Vec::new();
    let mut after: Option<DeliveryId> = None;
    loop {
        let Page { items, next } = store.list(filter.clone(), after, limit).await.unwrap();
        assert!(items.len() <= limit);
        for item in items {
            assert!(all.last().is_none_or(|last| item.id < last.id), "{} after {:?}", item.id, all.last());
            all.push(item);
        }
        let Some(next) = next else { return all };
        assert!(after.is_none_or(|after| next < after), "a page's end must move");
        after = Some(next);
    }
}

/// Counts made from the whole list.
pub async fn recounted(store: &dyn Store) -> Vec<Count> {
    let mut counts = BTreeMap::new();
    for delivery in walk(store, &Filter::default(), 100).await {
        let key = (delivery.flow, delivery.endpoint.recipient, delivery.test, delivery.state.name());
        *counts.entry(key).or_insert(0) += 1;
    }
    let counts = counts.into_iter();
    counts
        .map(|((flow, recipient, test, state), deliveries)| Count { flow, recipient, test, state, deliveries })
        .collect()
}
