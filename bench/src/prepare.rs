//! A store with many deliveries, made through the store itself: each waits for an attempt, or has had one and waits for its retry
//! or is delivered.

use crate::servers::{data, flow, recipient};
use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{
    DeliveryId, Fields, FlowName, IdSequence, Lead, LeadId, NodeNumber, Priority, RecipientName, StepName, Timestamp,
    Value,
};
use steadfast_retry::policy::{Backoff, Layer, Level, Policies, resolve};
use steadfast_retry::{
    Answer, Delivery, Endpoint, Event, EventKind, Evidence, Fence, InDoubt, LegProgress, Route, Sent, Shard, State,
    Terms, Tie, classify_status, settle,
};
use steadfast_store::{Acceptance, Accepted, Pending, Settled, Store as _, TermKey, Writes as _};
use steadfast_store_embedded::{EmbeddedStore, Options};

/// Given to the store before the first is waited for.
const AT_ONCE: u64 = 4_096;
/// What has failed once waits for this long, and up to a fifth more.
const RETRY_AFTER: Duration = Duration::from_secs(6 * 3_600);

/// How many, and for whom.
pub(crate) struct Waiting {
    /// Deliveries.
    pub(crate) deliveries: u64,
    /// Over so many flows, each with its own recipient.
    pub(crate) recipients: usize,
    /// `http://ADDRESS` of the sink.
    pub(crate) origin: Arc<str>,
    /// Each has had an attempt that was answered so.
    pub(crate) answered: Option<u16>,
    /// How long ago they were accepted.
    pub(crate) ago: Duration,
    /// How long from the beginning they wait, unless they have had an attempt.
    pub(crate) waits: Duration,
    /// Over how long they come due then.
    pub(crate) spread: Duration,
}

/// Makes the store in a server's folder.
///
/// # Errors
/// When the store does not take something.
pub(crate) async fn prepare(folder: &Path, waiting: &Waiting) -> Result<()> {
    let options = Options::new(42, TermKey::new([7; 32]), NodeNumber(0), Arc::new(now));
    let store = EmbeddedStore::open(&data(folder), options)?;
    let mut ids = IdSequence::resuming(NodeNumber(0), store.identity().last_id);
    let (mut given, began) = (0, now());
    while given < waiting.deliveries {
        let until = waiting.deliveries.min(given + AT_ONCE);
        let acceptances: Result<Vec<Acceptance>> =
            (given..until).map(|number| waiting.acceptance(number, began, &mut ids)).collect();
        let acceptances = acceptances?;
        let deliveries: Vec<Delivery> = acceptances.iter().flat_map(|one| one.deliveries.clone()).collect();
        let batch: Vec<Pending<Accepted>> = acceptances.into_iter().map(|one| store.accept(one)).collect();
        for pending in batch {
            ensure!(pending.await? == Accepted::New, "the store knows a lead that is new");
        }
        if let Some(status) = waiting.answered {
            answer(&store, &deliveries, status).await?;
        }
        given = until;
    }
    store.close().await?;
    Ok(())
}

/// One attempt of each is answered so; where it is to be retried, then six hours later.
async fn answer(store: &EmbeddedStore, deliveries: &[Delivery], status: u16) -> Result<()> {
    let layer = Layer {
        extended: Some(true),
        backoff: Some(Backoff::Fixed),
        initial_delay: Some(RETRY_AFTER),
        max_interval: Some(RETRY_AFTER),
        total_timeout: Some(RETRY_AFTER * 3),
        ..Layer::default()
    };
    let resolved = resolve(&[(Level::System, &layer)], None, &Policies::default());
    let policy = resolved.map_err(|faults| anyhow!("the policy has faults: {faults:?}"))?.policy;
    let settling: Vec<Pending<Settled>> = deliveries
        .iter()
        .map(|delivery| {
            let answer = Answer { status, headers: Vec::new(), body: Bytes::new(), body_bytes: 0 };
            let evidence = Evidence::of_answer(answer);
            let (started, endpoint) = (delivery.accepted_at, delivery.endpoint.clone());
            let verdict = classify_status(&evidence);
            let sent = Sent { started, ended: started, held_until: None, body: None, endpoint, evidence, verdict };
            let terms = Terms {
                policy: &policy,
                seed: store.identity().seed,
                in_doubt: InDoubt::Retry { floor: Duration::ZERO },
                config_version: 1,
                fence: Fence { shard: Shard::of(&delivery.endpoint.recipient), epoch: store.identity().epoch },
                body_kept_bytes_max: 0,
                route: Route::default(),
            };
            store.settle(settle(delivery, sent, &terms))
        })
        .collect();
    for pending in settling {
        ensure!(pending.await? == Settled::Applied, "the store takes the attempt");
    }
    Ok(())
}

impl Waiting {
    fn acceptance(&self, number: u64, began: Timestamp, ids: &mut IdSequence) -> Result<Acceptance> {
        let at = Timestamp::from_micros(now().as_micros() - i64::try_from(self.ago.as_micros())?);
        let (id, delivery): (LeadId, DeliveryId) = (ids.next(at), ids.next(at));
        let place = usize::try_from(number)? % self.recipients;
        let flow = FlowName::new(&flow(place))?;
        let share = number as f64 / self.deliveries as f64;
        let delivery = Delivery {
            id: delivery,
            lead: id,
            flow: flow.clone(),
            step: StepName::new("send")?,
            endpoint: Endpoint { recipient: RecipientName::new(&recipient(place))?, origin: Arc::clone(&self.origin) },
            accepted_at: at,
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
            state: State::Waiting { due: began.after(self.waits + self.spread.mul_f64(share)) },
        };
        let kind = EventKind::LeadAccepted { lead: id, flow: flow.clone(), deliveries: 1, test: false };
        let lead = Lead { id, flow, source: None, accepted_at: at, test: false, fields: fields(number) };
        Ok(Acceptance {
            lead: Arc::new(lead),
            deliveries: vec![delivery],
            terms: Vec::new(),
            marks: Vec::new(),
            refuse_erased_since: None,
            dedupe: None,
            event: Event { at, kind },
        })
    }
}

/// About 1 KB as JSON.
fn fields(number: u64) -> Fields {
    let mut fields = Fields::new();
    fields.append("waiting_number", Value::text(&number.to_string()));
    for place in 0..21 {
        fields.append(&format!("field_number_{place}"), Value::text("a value of twenty one"));
    }
    fields
}

/// The wall clock, as the server has it.
fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
