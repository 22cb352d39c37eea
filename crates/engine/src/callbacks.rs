//! Callbacks: reads the journal behind everything else, and makes a delivery of what a source waits to hear.
//!
//! Exact without a write of its own in any settlement: what decided a lead is in the journal, how far this reader has come
//! is kept, and a callback's idempotency key (lead and outcome) makes the second making of one a replay. So a stop at any
//! moment loses none and makes none twice. Must never hold anything up: nobody waits for it.

use crate::run::Inner;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use steadfast_flow::{Book, CallbackWhen, SourceAnswer, SourceSettings, Told, callback_fields, callback_flow, is_news};
use steadfast_lead::{DeliveryId, Lead, LeadId, Timestamp};
use steadfast_retry::{Delivery, Entry, Event, EventKind, StateName, Verdict};
use steadfast_store::{Acceptance, Accepted, Cursor, Dedupe, Store, StoreError, TERMS_MAX, Term};
use tokio::sync::Notify;

/// Under which name the store keeps how far this reader has come.
const READER: &str = "callbacks";
/// Lines read at once.
const PAGE: usize = 256;
/// Callbacks made at once, so that they share commits.
const AT_ONCE: usize = 64;
/// Lines read without a callback after which the place is kept all the same.
const KEEP_AFTER: usize = 10_000;
/// Answers that are known to be under way, at most; sources beyond them are called back even if the answer told them.
const ANSWERS_MAX: usize = 100_000;
/// Leads whose answer is waited for, at most, before the next lines are read.
const WAITING_MAX: usize = 10_000;
/// How long after its bound an answer is taken as not given.
const GRACE: Duration = Duration::from_secs(1);
/// How long it is remembered which callbacks were made: longer than any lead is delivered.
const REMEMBERED: Duration = Duration::from_secs(400 * 86_400);
/// How soon a step that could not be taken is tried again.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Lines of history read to find a delivery's last attempt.
const HISTORY_MAX: usize = 2_000;

/// What is known of the answer to a source's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It will be known by then.
    UnderWay { until: Timestamp },
    /// It held the outcome.
    ToldOutcome,
}

/// The answers to sources that may make a callback needless. Only in memory: after a stop nobody knows whether an answer
/// arrived, and the source is called back.
#[derive(Default)]
pub(crate) struct Answers {
    by_lead: Mutex<HashMap<LeadId, Answer>>,
    changed: Notify,
}

impl Answers {
    /// Before a lead is stored whose answer may hold the outcome.
    pub(crate) fn begin(&self, lead: LeadId, until: Timestamp) {
        let mut answers = self.by_lead.lock();
        if answers.len() < ANSWERS_MAX {
            answers.insert(lead, Answer::UnderWay { until });
        }
    }

    pub(crate) fn end(&self, lead: LeadId, told_outcome: bool) {
        let mut answers = self.by_lead.lock();
        if told_outcome && answers.contains_key(&lead) {
            answers.insert(lead, Answer::ToldOutcome);
        } else {
            answers.remove(&lead);
        }
        drop(answers);
        self.changed.notify_one();
    }

    /// Whether an answer told the outcome; `Err` with when to ask again. What is known is forgotten with being asked.
    fn told(&self, lead: LeadId, now: Timestamp) -> Result<bool, Timestamp> {
        let mut answers = self.by_lead.lock();
        match answers.get(&lead) {
            Some(Answer::UnderWay { until }) if *until > now => Err(*until),
            Some(Answer::UnderWay { .. }) | None => {
                answers.remove(&lead);
                Ok(false)
            }
            Some(Answer::ToldOutcome) => {
                answers.remove(&lead);
                Ok(true)
            }
        }
    }

    /// Wakes the reader, whatever for.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }
}

/// When the answer to this lead's source will be known, where that may make a callback needless.
pub(crate) fn answer_bound(book: &Book, lead: &Lead) -> Option<Timestamp> {
    let (_, _, source) = book.source(lead.flow.as_str(), lead.source.as_ref()?.as_str())?;
    let late = source.callback.as_ref()?.when == CallbackWhen::Late;
    (late && source.answer == SourceAnswer::Outcome).then(|| lead.accepted_at.after(source.wait).after(GRACE))
}

/// A line that may have decided a lead.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// The reader's place before this line.
    before: Cursor,
    at: Timestamp,
    delivery: DeliveryId,
    lead: Option<LeadId>,
}

/// Where the reader is.
struct Reader {
    /// Up to here lines were read.
    at: Cursor,
    kept: Cursor,
    since_kept: usize,
    /// Lines whose answer is under way, by the line's own cursor.
    waiting: BTreeMap<Cursor, (Candidate, Timestamp)>,
}

impl Reader {
    /// Nothing before this is to be read again.
    fn safe(&self) -> Cursor {
        self.waiting.values().next().map_or(self.at, |(candidate, _)| candidate.before)
    }
}

/// The place this reader starts from, kept before anything new is accepted: what happened before callbacks were there is not
/// called back.
pub(crate) async fn begin_reading(store: &Arc<dyn Store>) -> Result<Cursor, StoreError> {
    if let Some(kept) = store.bookmark(READER).await? {
        return Ok(kept);
    }
    let tip = *store.tip().borrow();
    store.keep_bookmark(READER, tip).await?;
    Ok(tip)
}

/// Reads on until the engine drains.
pub(crate) async fn follow_journal(inner: Arc<Inner>, from: Cursor) {
    let mut tip = inner.store.tip();
    let mut reader = Reader { at: from, kept: from, since_kept: 0, waiting: BTreeMap::new() };
    while !inner.draining.load(Ordering::SeqCst) {
        tip.borrow_and_update();
        inner.begin_work();
        let more = inner.read_on(&mut reader).await;
        inner.end_work();
        let pause = match more {
            Ok(true) => continue,
            Ok(false) => reader.waiting.values().map(|(_, until)| *until).min().unwrap_or(Timestamp::MAX),
            Err(error) => {
                tracing::error!(%error, "callbacks wait for the store");
                inner.clock.sleep_until(inner.clock.now().after(AFTER_FAILURE)).await;
                continue;
            }
        };
        tokio::select! {
            changed = tip.changed() => if changed.is_err() { return },
            () = inner.answers.changed.notified() => {}
            () = inner.clock.sleep_until(pause) => {}
        }
    }
    // A clean stop leaves nothing to be read again; where the store is closed already, a page is.
    let kept = inner.keep_place(&mut reader).await;
    tracing::debug!(?kept, "callbacks stop");
}

impl Inner {
    /// One page; answers whether there may be more.
    async fn read_on(&self, reader: &mut Reader) -> Result<bool, StoreError> {
        let book = self.book();
        if book.callbacks.is_empty() && reader.waiting.is_empty() {
            // Nobody is to be told anything: lines are passed over without being read.
            reader.at = *self.store.tip().borrow();
            return Ok(false);
        }
        let lines =
            if reader.waiting.len() < WAITING_MAX { self.store.events(reader.at, PAGE).await? } else { Vec::new() };
        let mut found: Vec<(Cursor, Candidate)> =
            reader.waiting.iter().map(|(cursor, (candidate, _))| (*cursor, *candidate)).collect();
        let mut before = reader.at;
        for (cursor, event) in &lines {
            found.extend(candidate(event, before, &book).map(|candidate| (*cursor, candidate)));
            before = *cursor;
        }
        let book = &book;
        let calling = found.into_iter().map(|(cursor, candidate)| async move {
            let called = self.call_back(&candidate, book).await?;
            Ok::<_, StoreError>((cursor, candidate, called))
        });
        let called: Vec<_> = stream::iter(calling).buffer_unordered(AT_ONCE).try_collect().await?;
        reader.waiting.clear();
        let mut made = 0;
        for (cursor, candidate, called) in called {
            match called {
                Called::Made => made += 1,
                Called::Nothing => {}
                Called::NotYet { until } => drop(reader.waiting.insert(cursor, (candidate, until))),
            }
        }
        reader.at = before;
        reader.since_kept += lines.len();
        if made > 0 || reader.since_kept >= KEEP_AFTER {
            self.keep_place(reader).await?;
        }
        Ok(lines.len() == PAGE)
    }

    async fn keep_place(&self, reader: &mut Reader) -> Result<(), StoreError> {
        let safe = reader.safe();
        if safe != reader.kept {
            self.store.keep_bookmark(READER, safe).await?;
            (reader.kept, reader.since_kept) = (safe, 0);
        }
        Ok(())
    }

    async fn call_back(&self, candidate: &Candidate, book: &Book) -> Result<Called, StoreError> {
        let lead = match candidate.lead {
            Some(lead) => lead,
            None => match self.store.delivery(candidate.delivery).await? {
                Some(delivery) => delivery.lead,
                None => return Ok(Called::Nothing),
            },
        };
        // Terms first: who is wiped in between is barred by them when the callback is accepted.
        let terms = self.store.terms_of(lead).await?;
        let Some((lead, deliveries)) = self.store.lead(lead).await? else { return Ok(Called::Nothing) };
        let Some(source) = source_of(book, &lead) else { return Ok(Called::Nothing) };
        if !is_news(&deliveries, candidate.delivery) || self.store.tombstone(lead.id).await?.is_some() {
            return Ok(Called::Nothing);
        }
        if source.callback.as_ref().is_some_and(|callback| callback.when == CallbackWhen::Late) {
            match self.answers.told(lead.id, self.clock.now()) {
                Err(until) => return Ok(Called::NotYet { until }),
                Ok(true) => return Ok(Called::Nothing),
                Ok(false) => {}
            }
        }
        let mut known = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let last = self.last_verdict(&delivery).await?;
            known.push((delivery, last));
        }
        let flow = book.flow(lead.flow.as_str()).map(|flow| &**flow);
        match Told::known(source, flow, &known) {
            Some(told) => self.make_callback(&lead, &told, terms, candidate.at, book).await,
            None => Ok(Called::Nothing),
        }
    }

    /// What the last attempt of a delivery meant; `None` where there was none.
    async fn last_verdict(&self, delivery: &Delivery) -> Result<Option<Verdict>, StoreError> {
        if delivery.attempts == 0 {
            return Ok(None);
        }
        // A history holds at least its attempts, so none of the newest is left out.
        let skip = usize::try_from(delivery.attempts).unwrap_or(usize::MAX).saturating_sub(1);
        let entries = self.store.history(delivery.id, skip, HISTORY_MAX).await?;
        let verdicts = entries.into_iter().rev().filter_map(|entry| match entry {
            Entry::Attempt(attempt) => Some(attempt.verdict),
            Entry::Change(_) | Entry::LookUp(_) => None,
        });
        Ok(verdicts.into_iter().next())
    }

    async fn make_callback(
        &self,
        about: &Lead,
        told: &Told,
        terms: Vec<Term>,
        decided_at: Timestamp,
        book: &Book,
    ) -> Result<Called, StoreError> {
        let Some(acceptance) = self.callback_of(about, told, terms, decided_at, book) else {
            return Ok(Called::Nothing);
        };
        let (lead, deliveries, event) =
            (Arc::clone(&acceptance.lead), acceptance.deliveries.clone(), acceptance.event.clone());
        match self.store.accept(acceptance).await? {
            Accepted::New => {
                self.count_open(false, true);
                self.observer.committed(&event);
                deliveries.iter().for_each(|delivery| self.offer(delivery));
                tracing::debug!(lead = %about.id, callback = %lead.id, "a source is called back");
                Ok(Called::Made)
            }
            Accepted::Replay { .. } | Accepted::KeyReused { .. } | Accepted::Erased { .. } => Ok(Called::Nothing),
        }
    }

    fn callback_of(
        &self,
        about: &Lead,
        told: &Told,
        mut terms: Vec<Term>,
        decided_at: Timestamp,
        book: &Book,
    ) -> Option<Acceptance> {
        let flow = callback_flow(&about.flow).ok()?;
        let plan = book.callbacks.get(&about.flow)?;
        let name = about.source.as_ref()?;
        let step = plan.steps.iter().find(|step| step.step.as_str() == name.as_str())?;
        let now = self.clock.now();
        let mut ids = self.ids.lock();
        let lead = Lead {
            id: ids.next(now),
            flow,
            source: Some(name.clone()),
            accepted_at: now,
            test: about.test,
            fields: callback_fields(about, told, decided_at),
        };
        let delivery = step.delivery(&lead, &mut ids);
        drop(ids);
        terms.truncate(TERMS_MAX - 1);
        terms.push(self.term_about(about.id));
        let kind = EventKind::LeadAccepted { lead: lead.id, flow: lead.flow.clone(), deliveries: 1, test: lead.test };
        Some(Acceptance {
            lead: Arc::new(lead),
            deliveries: vec![delivery],
            terms,
            marks: Vec::new(),
            refuse_erased_since: Some(about.accepted_at),
            dedupe: Some(Dedupe {
                key: format!("{} {}", about.id, told.outcome.name()).into(),
                digest: [0; 32],
                until: now.after(REMEMBERED),
            }),
            event: Event { at: now, kind },
        })
    }

    /// What callbacks about a lead are found by, to be forgotten with it.
    pub(crate) fn term_about(&self, lead: LeadId) -> Term {
        self.store.identity().term_key.term("about", [lead.to_string().as_str()])
    }
}

/// What became of a line.
enum Called {
    Made,
    Nothing,
    NotYet { until: Timestamp },
}

fn source_of<'b>(book: &'b Book, lead: &Lead) -> Option<&'b SourceSettings> {
    let (_, _, source) = book.source(lead.flow.as_str(), lead.source.as_ref()?.as_str())?;
    source.callback.as_ref().map(|_| &**source)
}

/// A line that ended a delivery of a flow whose sources are called back.
fn candidate(event: &Event, before: Cursor, book: &Book) -> Option<Candidate> {
    if book.callbacks.is_empty() {
        return None;
    }
    let (delivery, lead, state) = match &event.kind {
        EventKind::AttemptSettled(settled) => {
            book.callbacks.get(&settled.flow)?;
            (settled.delivery, Some(settled.lead), settled.state)
        }
        EventKind::LookUpSettled(settled) => (settled.delivery, None, settled.state),
        // What a buyer says afterwards is between it and the operator.
        EventKind::DeliveryChanged { verb: Some((verb, _)), .. }
            if matches!(&**verb, "return" | "conversion" | "confirm") =>
        {
            return None;
        }
        EventKind::DeliveryChanged { delivery, state, .. } => (*delivery, None, *state),
        EventKind::LeadAccepted { .. }
        | EventKind::EndpointPaused { .. }
        | EventKind::BreakerChanged { .. }
        | EventKind::Stopped(_)
        | EventKind::Resumed { .. }
        | EventKind::ConfigApplied { .. } => return None,
    };
    match state {
        StateName::Delivered | StateName::Rejected | StateName::InReview | StateName::Closed => {
            Some(Candidate { before, at: event.at, delivery, lead })
        }
        StateName::Waiting | StateName::Held | StateName::InFlight => None,
    }
}
