//! A store with many deliveries waiting, made through the store itself: each waits for a retry a day from now.

use crate::servers::{data, flow, recipient};
use anyhow::{Result, ensure};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use steadfast_lead::{
    DeliveryId, Fields, FlowName, IdSequence, Lead, LeadId, NodeNumber, Priority, RecipientName, StepName, Timestamp,
    Value,
};
use steadfast_retry::{Delivery, Endpoint, Event, EventKind, LegProgress, State, Tie};
use steadfast_store::{Acceptance, Accepted, Pending, Store as _, TermKey, Writes as _};
use steadfast_store_embedded::{EmbeddedStore, Options};

/// Given to the store before the first is waited for.
const AT_ONCE: u64 = 4_096;
/// They wait until a day from now, spread over an hour.
const WAITS: Duration = Duration::from_secs(86_400);
const SPREAD: Duration = Duration::from_secs(3_600);

/// How many, and for whom.
pub(crate) struct Waiting {
    /// Deliveries.
    pub(crate) deliveries: u64,
    /// Over so many flows, each with its own recipient.
    pub(crate) recipients: usize,
    /// `http://ADDRESS` of the sink.
    pub(crate) origin: Arc<str>,
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
        let batch: Result<Vec<Pending<Accepted>>> =
            (given..until).map(|number| Ok(store.accept(waiting.acceptance(number, began, &mut ids)?))).collect();
        for pending in batch? {
            ensure!(pending.await? == Accepted::New, "the store knows a lead that is new");
        }
        given = until;
    }
    store.close().await?;
    Ok(())
}

impl Waiting {
    fn acceptance(&self, number: u64, began: Timestamp, ids: &mut IdSequence) -> Result<Acceptance> {
        let at = now();
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
            booking: None,
            version: 0,
            attempts: 0,
            progress: LegProgress::default(),
            body: None,
            last_kind: None,
            state: State::Waiting { due: began.after(WAITS + SPREAD.mul_f64(share)) },
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
