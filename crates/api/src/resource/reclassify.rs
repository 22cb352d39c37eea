//! All attempts of a time, read once more: what they were, what they would be.
//!
//! Goes through the store page by page and reads in pieces away from the threads that serve, so that deliveries go on beside
//! it; ends within one piece when nobody waits for the answer any more. Keeps counts and few examples, no attempts.

use super::classify::{failed, is_cut, is_erased};
use crate::auth::Caller;
use crate::problem::{Problem, ProblemKind};
use crate::query::NAME;
use crate::state::ApiState;
use crate::wire::classify::{AskedRange, ChangedExample, PairView, RangeView, UnjudgedExample, UnjudgedView};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::HashMap;
use std::sync::Arc;
use steadfast_lead::{DeliveryId, FlowName, RecipientName, Timestamp};
use steadfast_retry::{Attempt, Delivery, Entry, Outcome, Reading};
use steadfast_store::Filter;
use tokio::sync::OwnedSemaphorePermit;

/// Attempts of one answer, at most.
const LIMIT_MAX: u32 = 1_000_000;
/// Attempts of one answer unless asked otherwise.
const LIMIT_DEFAULT: u32 = 100_000;
/// Deliveries one answer looks at: most may have no attempt yet.
const DELIVERIES_MAX: usize = 1_000_000;
/// Deliveries of one page.
const PAGE: usize = 256;
/// Histories asked for at once.
const AHEAD: usize = 8;
/// Lines of one history read at once.
const LINES: usize = 32;
/// More lines than a history has.
const LINES_MAX: usize = 1_000_000_000;
/// Examples of one kind.
const EXAMPLES_MAX: usize = 20;

/// Where a range goes on: at a line of a delivery's history, and then with the deliveries before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    delivery: DeliveryId,
    line: usize,
}

impl Place {
    fn read(text: &str) -> Option<Self> {
        let (delivery, line) = text.split_once('.')?;
        Some(Place { delivery: delivery.parse().ok()?, line: line.parse().ok()? })
    }

    fn text(self) -> String {
        format!("{}.{}", self.delivery, self.line)
    }
}

/// What is to be read.
pub(crate) struct Span {
    filter: Filter,
    limit: u64,
    after: Option<Place>,
}

impl Span {
    /// From what was asked.
    ///
    /// # Errors
    /// A [`Problem`] naming what is not allowed.
    pub(crate) fn read(asked: &AskedRange) -> Result<Self, Problem> {
        let refused = |name: &str, allowed: &str| {
            Problem::new(ProblemKind::BadRequest, format!("{name} is not allowed: allowed is {allowed}"))
                .naming(name)
                .allowing(allowed)
        };
        let time = |name: &str, text: &str| {
            Timestamp::parse(text).ok_or_else(|| refused(name, "a time like 2026-11-24T10:00:00Z"))
        };
        let (since, until) = (time("range.since", &asked.since)?, time("range.until", &asked.until)?);
        if since >= until {
            return Err(refused("range.until", "a time after range.since"));
        }
        let flow = asked.flow.as_deref().map(|name| FlowName::new(name).map_err(|_| refused("range.flow", NAME)));
        let recipient = asked.recipient.as_deref();
        let recipient = recipient.map(|name| RecipientName::new(name).map_err(|_| refused("range.recipient", NAME)));
        let limit = asked.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(refused("range.limit", "1 to 1000000"));
        }
        let after = asked.after.as_deref();
        let after = after.map(|text| Place::read(text).ok_or_else(|| refused("range.after", "the next of an answer")));
        let (since, until) = (Some(since), Some(until));
        let filter =
            Filter { since, until, flow: flow.transpose()?, recipient: recipient.transpose()?, ..Filter::default() };
        Ok(Span { filter, limit: limit.into(), after: after.transpose()? })
    }
}

/// Reads a range. The permit is kept until the last piece is done, also when nobody waits any more.
///
/// # Errors
/// A [`Problem`] when the store cannot be read.
pub(crate) async fn reclassify(
    state: &ApiState,
    caller: &Caller,
    reading: Reading,
    span: Span,
    permit: Arc<OwnedSemaphorePermit>,
) -> Result<RangeView, Problem> {
    let mut run = Run { state, caller, reading, permit, left: span.limit, tally: Tally::default() };
    let ended = run.all(&span).await?;
    Ok(run.tally.view(ended))
}

/// A range being read.
struct Run<'a> {
    state: &'a ApiState,
    caller: &'a Caller,
    reading: Reading,
    permit: Arc<OwnedSemaphorePermit>,
    left: u64,
    tally: Tally,
}

impl Run<'_> {
    /// Reads until the range or the limit ends; answers with where to go on.
    async fn all(&mut self, span: &Span) -> Result<Option<Place>, Problem> {
        if let Some(place) = span.after {
            let begun = self.state.engine().store().delivery(place.delivery).await?;
            let begun = begun.filter(|delivery| fits(delivery, &span.filter)).into_iter();
            let ended = self.page(begun.map(|delivery| (delivery, place.line)).collect()).await?;
            if ended.is_some() {
                return Ok(ended);
            }
        }
        let (mut after, mut looked) = (span.after.map(|place| place.delivery), 0);
        loop {
            let page = self.state.engine().store().list(span.filter.clone(), after, PAGE).await?;
            looked += page.items.len();
            let ended = self.page(page.items.into_iter().map(|delivery| (delivery, 0)).collect()).await?;
            if ended.is_some() {
                return Ok(ended);
            }
            let Some(next) = page.next else { return Ok(None) };
            if looked >= DELIVERIES_MAX {
                return Ok(Some(Place { delivery: next, line: LINES_MAX }));
            }
            after = Some(next);
        }
    }

    /// Reads deliveries, each from a line of its history on.
    async fn page(&mut self, deliveries: Vec<(Delivery, usize)>) -> Result<Option<Place>, Problem> {
        let book = self.state.engine().book();
        let seen = |delivery: &Delivery| self.caller.sees(&delivery.flow, &book);
        let seen: Vec<_> = deliveries.into_iter().filter(|(delivery, _)| seen(delivery)).collect();
        let store = Arc::clone(self.state.engine().store());
        let histories = seen.into_iter().map(move |(delivery, first)| {
            let entries = store.history(delivery.id, first, LINES);
            async move { Ok::<_, Problem>((delivery, first, entries.await?)) }
        });
        let mut histories = stream::iter(histories).buffered(AHEAD);
        let mut piece = Vec::new();
        let mut ended = None;
        while let Some((delivery, first, entries)) = histories.try_next().await? {
            ended = self.history(&delivery, first, entries, &mut piece).await?;
            if ended.is_some() {
                break;
            }
        }
        self.judge(piece).await?;
        Ok(ended)
    }

    /// Takes the attempts of one delivery, and reads on where its history is long.
    async fn history(
        &mut self,
        delivery: &Delivery,
        mut first: usize,
        mut entries: Vec<Entry>,
        piece: &mut Vec<Taken>,
    ) -> Result<Option<Place>, Problem> {
        loop {
            let read = entries.len();
            let ended = self.take(delivery, first, entries, piece);
            if ended.is_some() || read < LINES {
                return Ok(ended);
            }
            first += read;
            self.judge(std::mem::take(piece)).await?;
            entries = self.state.engine().store().history(delivery.id, first, LINES).await?;
        }
    }

    fn take(
        &mut self,
        delivery: &Delivery,
        first: usize,
        entries: Vec<Entry>,
        piece: &mut Vec<Taken>,
    ) -> Option<Place> {
        for (line, entry) in (first..).zip(entries) {
            let Entry::Attempt(attempt) = entry else { continue };
            if self.left == 0 {
                return Some(Place { delivery: delivery.id, line });
            }
            self.left -= 1;
            let unjudged = match (is_erased(delivery, &attempt), is_cut(&attempt.evidence)) {
                (true, _) => Some(Unjudged::Erased),
                (false, true) => Some(Unjudged::BodyCut),
                (false, false) => None,
            };
            piece.push(Taken { delivery: delivery.id, attempt, unjudged });
        }
        None
    }

    /// Judges what was taken, away from the threads that serve.
    async fn judge(&mut self, piece: Vec<Taken>) -> Result<(), Problem> {
        if piece.is_empty() {
            return Ok(());
        }
        let (reading, permit) = (self.reading.clone(), Arc::clone(&self.permit));
        let judged = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            piece.into_iter().map(|taken| Judged::of(&taken, &reading)).collect::<Vec<_>>()
        });
        for judged in judged.await.map_err(|_| failed())? {
            self.tally.add(judged);
        }
        Ok(())
    }
}

fn fits(delivery: &Delivery, filter: &Filter) -> bool {
    let own = |edge: Option<Timestamp>| edge.map(DeliveryId::first_at);
    filter.flow.as_ref().is_none_or(|flow| *flow == delivery.flow)
        && filter.recipient.as_ref().is_none_or(|recipient| *recipient == delivery.endpoint.recipient)
        && own(filter.since).is_none_or(|since| delivery.id >= since)
        && own(filter.until).is_none_or(|until| delivery.id < until)
}

/// Why an attempt cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unjudged {
    BodyCut,
    Erased,
}

impl Unjudged {
    const fn name(self) -> &'static str {
        match self {
            Unjudged::BodyCut => "body_cut",
            Unjudged::Erased => "erased",
        }
    }
}

/// An attempt to be judged.
struct Taken {
    delivery: DeliveryId,
    attempt: Box<Attempt>,
    unjudged: Option<Unjudged>,
}

/// An attempt that was judged, or cannot be.
struct Judged {
    delivery: DeliveryId,
    attempt: u32,
    old: Outcome,
    new: Result<(Outcome, Box<str>), Unjudged>,
}

impl Judged {
    fn of(taken: &Taken, reading: &Reading) -> Self {
        let new = match taken.unjudged {
            Some(why) => Err(why),
            None => {
                let verdict = reading.read(&taken.attempt.evidence);
                Ok((verdict.outcome, verdict.decided_by))
            }
        };
        let (attempt, old) = (taken.attempt.number, taken.attempt.verdict.outcome);
        Judged { delivery: taken.delivery, attempt, old, new }
    }
}

/// What was found so far.
#[derive(Default)]
struct Tally {
    pairs: HashMap<(Outcome, Outcome), (u64, Vec<ChangedExample>)>,
    unjudged: UnjudgedView,
}

impl Tally {
    fn add(&mut self, judged: Judged) {
        let Judged { delivery, attempt, old, new } = judged;
        match new {
            Ok((new, decided_by)) => {
                let (attempts, examples) = self.pairs.entry((old, new)).or_default();
                *attempts += 1;
                if old != new && examples.len() < EXAMPLES_MAX {
                    let (delivery, decided_by) = (delivery.to_string(), decided_by.to_string());
                    examples.push(ChangedExample { delivery, attempt, old: old.into(), new: new.into(), decided_by });
                }
            }
            Err(why) => {
                match why {
                    Unjudged::BodyCut => self.unjudged.body_cut += 1,
                    Unjudged::Erased => self.unjudged.erased += 1,
                }
                if self.unjudged.examples.len() < EXAMPLES_MAX {
                    let (delivery, why) = (delivery.to_string(), why.name());
                    self.unjudged.examples.push(UnjudgedExample { delivery, attempt, old: old.into(), why });
                }
            }
        }
    }

    fn view(self, ended: Option<Place>) -> RangeView {
        let pairs = self.pairs.into_iter().map(|((old, new), (attempts, examples))| {
            let changed = old != new;
            PairView { old: old.into(), new: new.into(), changed, attempts, examples }
        });
        let mut pairs: Vec<PairView> = pairs.collect();
        pairs.sort_by_key(|pair| (!pair.changed, std::cmp::Reverse(pair.attempts), pair.old, pair.new));
        let judged: u64 = pairs.iter().map(|pair| pair.attempts).sum();
        RangeView {
            attempts: judged + self.unjudged.body_cut + self.unjudged.erased,
            changed: pairs.iter().filter(|pair| pair.changed).map(|pair| pair.attempts).sum(),
            unjudged: self.unjudged,
            pairs,
            cut: ended.is_some(),
            next: ended.map(Place::text),
        }
    }
}
