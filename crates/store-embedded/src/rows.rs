//! What is to be written, made into rows by whoever asks for it, so that the writer's thread only writes.

use crate::forget::{TermRow, WipeRows};
use crate::names::Names;
use crate::protection::ProtectionRows;
use crate::retention::PruneRows;
use std::sync::Arc;
use steadfast_lead::{DeliveryId, Priority, Timestamp};
use steadfast_retry::{CapChange, Delivery, Epoch, Settlement, Tied};
use steadfast_store::record::{
    Code, RecordError, code_of_kind, encode_delivery, encode_entry, encode_event, encode_lead,
};
use steadfast_store::{
    Acceptance, Accepted, ConfigVersion, Cursor, Dedupe, Erasure, Pruned, Settled, StoreError, Wiped,
};
use tokio::sync::oneshot;

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One thing to write.
pub(crate) enum Change {
    Accept(Box<AcceptRows>, Reply<Accepted>),
    Settle(Box<SettleRows>, Reply<Settled>),
    Take(DeliveryId, Option<Reply<()>>),
    Config(ConfigVersion, Reply<u64>),
    Bookmark(&'static str, Cursor, Reply<()>),
    BeginErasure(Box<Erasure>, Reply<u64>),
    Wipe(Box<WipeRows>, Reply<Wiped>),
    FinishErasure(u64, Timestamp, Reply<()>),
    Scrub(u64, Reply<Option<u64>>),
    Prune(Box<PruneRows>, Reply<Pruned>),
    Protect(Box<ProtectionRows>, Reply<()>),
    PruneCaps(Timestamp, Reply<u64>),
    Close(Reply<()>),
}

impl Change {
    /// Whether somebody waits for it.
    pub(crate) fn is_awaited(&self) -> bool {
        match self {
            Change::Take(_, None) => false,
            Change::Accept(..) | Change::Settle(..) | Change::Take(_, Some(_)) | Change::Config(..) => true,
            Change::BeginErasure(..) | Change::Wipe(..) | Change::FinishErasure(..) | Change::Bookmark(..) => true,
            Change::Scrub(..) | Change::Prune(..) | Change::Protect(..) | Change::PruneCaps(..) | Change::Close(_) => {
                true
            }
        }
    }

    /// Whether it is written as soon as it can be. What is learned of an attempt may wait a moment.
    pub(crate) fn is_urgent(&self) -> bool {
        !matches!(self, Change::Settle(..) | Change::Take(_, None))
    }

    /// Answers that it was not done. Who no longer waits needs no answer.
    pub(crate) fn refuse(self, error: StoreError) {
        match self {
            Change::Accept(_, reply) => drop(reply.send(Err(error))),
            Change::Settle(_, reply) => drop(reply.send(Err(error))),
            Change::Take(_, reply) => drop(reply.map(|reply| reply.send(Err(error)))),
            Change::Config(_, reply) | Change::BeginErasure(_, reply) => drop(reply.send(Err(error))),
            Change::PruneCaps(_, reply) => drop(reply.send(Err(error))),
            Change::Wipe(_, reply) => drop(reply.send(Err(error))),
            Change::Bookmark(_, _, reply) => drop(reply.send(Err(error))),
            Change::FinishErasure(_, _, reply) => drop(reply.send(Err(error))),
            Change::Scrub(_, reply) => drop(reply.send(Err(error))),
            Change::Prune(_, reply) => drop(reply.send(Err(error))),
            Change::Protect(_, reply) | Change::Close(reply) => drop(reply.send(Err(error))),
        }
    }
}

/// Set in the class of a delivery whose next attempt is a retry.
pub(crate) const RETRIES: u8 = 0x10;

/// The class of a queue as a number.
pub(crate) fn class_of(priority: Priority, retries: bool) -> u8 {
    priority.code() | if retries { RETRIES } else { 0 }
}

/// The priority of a class, and whether it is one of retries.
pub(crate) fn of_class(class: u8) -> Result<(Priority, bool), RecordError> {
    Ok((Priority::of_code(class & !RETRIES)?, class & RETRIES != 0))
}

/// One row of `deliveries`.
pub(crate) struct DeliveryRow {
    pub(crate) id: i64,
    pub(crate) route: u32,
    pub(crate) state: u8,
    pub(crate) test: bool,
    pub(crate) endpoint: u32,
    pub(crate) class: u8,
    pub(crate) kind: u8,
    pub(crate) version: u32,
    pub(crate) next_look: Option<i64>,
    pub(crate) record: Vec<u8>,
}

impl DeliveryRow {
    fn of(delivery: &Delivery, names: &Names) -> Self {
        let next_look = delivery.state.next_look().map(Timestamp::as_micros);
        DeliveryRow {
            id: delivery.id.raw(),
            route: names.route(&delivery.flow, &delivery.endpoint.recipient),
            state: delivery.state.name().code(),
            test: delivery.test,
            endpoint: names.endpoint(&delivery.endpoint),
            // Of what waits for nothing the class means nothing: left alone, the row's indexes are.
            class: class_of(delivery.priority, delivery.is_retry() && next_look.is_some()),
            kind: delivery.last_kind.and_then(code_of_kind).unwrap_or(0),
            version: delivery.version,
            next_look,
            record: encode_delivery(delivery, &names.words),
        }
    }
}

/// A guard against accepting twice.
pub(crate) struct DedupeRow {
    pub(crate) flow: u32,
    pub(crate) guard: Dedupe,
}

/// Everything one acceptance writes.
pub(crate) struct AcceptRows {
    pub(crate) lead: i64,
    pub(crate) accepted_at: Timestamp,
    pub(crate) record: Vec<u8>,
    pub(crate) deliveries: Vec<DeliveryRow>,
    pub(crate) terms: Vec<TermRow>,
    pub(crate) refuse_erased_since: Option<Timestamp>,
    pub(crate) dedupe: Option<DedupeRow>,
    pub(crate) event: Vec<u8>,
}

impl AcceptRows {
    pub(crate) fn of(acceptance: Acceptance, names: &Names) -> Self {
        let Acceptance { lead, deliveries, terms, marks, refuse_erased_since, dedupe, event } = acceptance;
        let flow = names.words.number(lead.flow.as_str());
        AcceptRows {
            lead: lead.id.raw(),
            accepted_at: lead.accepted_at,
            record: encode_lead(&lead, deliveries.iter().map(|delivery| delivery.id), &names.words),
            deliveries: deliveries.iter().map(|delivery| DeliveryRow::of(delivery, names)).collect(),
            terms: TermRow::of(lead.id, &terms, &marks),
            refuse_erased_since,
            dedupe: dedupe.map(|guard| DedupeRow { flow, guard }),
            event: encode_event(&event, &names.words),
        }
    }
}

/// Everything one settlement writes.
pub(crate) struct SettleRows {
    pub(crate) delivery: DeliveryRow,
    pub(crate) entry: Vec<u8>,
    pub(crate) pause: Option<(u32, i64)>,
    pub(crate) event: Vec<u8>,
    pub(crate) epoch: Epoch,
    pub(crate) tied: Option<Box<TiedRows>>,
    pub(crate) caps: Option<Box<CapChange>>,
}

/// What a settlement writes of other deliveries of its lead, and as what versions it has seen them.
pub(crate) struct TiedRows {
    pub(crate) seen: Vec<(i64, u32)>,
    pub(crate) moved: Vec<MovedRows>,
}

/// One of them.
pub(crate) struct MovedRows {
    pub(crate) delivery: DeliveryRow,
    pub(crate) entry: Vec<u8>,
    pub(crate) event: Vec<u8>,
}

impl TiedRows {
    fn of(tied: &Tied, names: &Names) -> Self {
        let moved = tied.moved.iter().map(|moved| MovedRows {
            delivery: DeliveryRow::of(&moved.delivery, names),
            entry: encode_entry(&moved.entry, &names.words),
            event: encode_event(&moved.event, &names.words),
        });
        TiedRows { seen: tied.seen.iter().map(|(id, version)| (id.raw(), *version)).collect(), moved: moved.collect() }
    }
}

impl SettleRows {
    pub(crate) fn of(settlement: &Settlement, names: &Names) -> Self {
        let pause = settlement.pause.as_ref();
        SettleRows {
            delivery: DeliveryRow::of(&settlement.delivery, names),
            entry: encode_entry(&settlement.entry, &names.words),
            pause: pause.map(|pause| (names.endpoint(&pause.endpoint), pause.until.as_micros())),
            event: encode_event(&settlement.event, &names.words),
            epoch: settlement.fence.epoch,
            tied: settlement.tied.as_deref().map(|tied| Box::new(TiedRows::of(tied, names))),
            caps: settlement.caps.clone(),
        }
    }
}

/// A saved configuration.
pub(crate) fn config_of(version: i64, at: i64, by: String, text: String) -> ConfigVersion {
    ConfigVersion {
        version: u64::try_from(version).unwrap_or(0),
        at: Timestamp::from_micros(at),
        by: by.into(),
        text: Arc::from(text),
    }
}
