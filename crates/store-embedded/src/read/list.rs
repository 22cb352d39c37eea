//! Lists, newest first. A filter becomes ranges of an index that are each in order already; they are merged by id. Never
//! scans everything for what is rare, and never looks further in one call than its bound.

use super::deliveries::delivery_id;
use super::unreadable;
use crate::names::Names;
use crate::rows::RETRIES;
use rusqlite::{Connection, params};
use std::collections::{BinaryHeap, VecDeque};
use steadfast_lead::DeliveryId;
use steadfast_retry::{Delivery, StateName};
use steadfast_store::record::{Code, code_of_kind, decode_delivery};
use steadfast_store::{Filter, Page, StoreError};

/// How many deliveries a page holds at most.
const PAGE_MAX: usize = 1_000;
/// How many deliveries one call looks at.
const LOOK_MAX: usize = 10_000;
/// More ranges than this are not merged; then the list is read from the top, within its bound.
const RANGES_MAX: usize = 2_048;

/// The second parameter is one of [`shelves`].
const BY_STATE: &str = "SELECT id FROM deliveries INDEXED BY listed
    WHERE state = ?2 & 15 AND class & 16 = ?2 & 16 AND route = ?1 AND id < ?3 AND id >= ?4 ORDER BY id DESC LIMIT ?5";
const BY_KIND: &str = "SELECT id FROM deliveries INDEXED BY kinds
    WHERE kind <> 0 AND route = ?1 AND kind = ?2 AND id < ?3 AND id >= ?4 ORDER BY id DESC LIMIT ?5";

/// One page of what a filter lets through.
pub(crate) fn list(
    connection: &Connection,
    names: &Names,
    filter: &Filter,
    after: Option<DeliveryId>,
    limit: usize,
) -> Result<Page<Delivery>, StoreError> {
    let Some(wanted) = Wanted::of(filter, names) else { return Ok(Page { items: Vec::new(), next: None }) };
    let until = filter.until.map_or(i64::MAX, |until| DeliveryId::first_at(until).raw());
    let below = after.map_or(until, |after| after.raw().min(until));
    let from = filter.since.map_or(0, |since| DeliveryId::first_at(since).raw());
    let span = Span { below, from };
    let limit = limit.clamp(1, PAGE_MAX);
    let page = Collect { connection, names, wanted: &wanted, limit, looked: 0, items: Vec::new() };
    match wanted.ranges(span, limit) {
        Some(ranges) => page.merge(ranges),
        None => page.scan(span),
    }
}

/// Ids from `from` to below `below`.
#[derive(Clone, Copy)]
struct Span {
    below: i64,
    from: i64,
}

/// A filter in numbers.
struct Wanted {
    /// `None` is any.
    routes: Option<Vec<u32>>,
    all_routes: Vec<u32>,
    state: Option<u8>,
    kind: Option<u8>,
}

impl Wanted {
    /// `None` when nothing can fit.
    fn of(filter: &Filter, names: &Names) -> Option<Self> {
        let kind = match filter.kind.as_deref() {
            Some(word) => Some(code_of_kind(word)?),
            None => None,
        };
        let narrowed = filter.flow.is_some() || filter.recipient.is_some();
        let all_routes = names.routes_of(filter.flow.as_ref(), filter.recipient.as_ref());
        let routes = narrowed.then(|| all_routes.clone());
        Some(Wanted { routes, all_routes, state: filter.state.map(Code::code), kind })
    }

    /// The ranges to merge; `None` when the list is to be read from the top.
    fn ranges(&self, span: Span, limit: usize) -> Option<Vec<Range>> {
        if self.kind.is_none() && self.state.is_none() && self.routes.is_none() {
            return None;
        }
        let (sql, seconds) = match (self.kind, self.state) {
            (Some(kind), _) => (BY_KIND, vec![kind]),
            (None, Some(state)) => (BY_STATE, shelves(state).collect()),
            (None, None) => (BY_STATE, StateName::ALL.iter().flat_map(|state| shelves(state.code())).collect()),
        };
        let count = self.all_routes.len() * seconds.len();
        if count > RANGES_MAX {
            return None;
        }
        let step = (2 * limit / count.max(1) + 2).min(limit + 1);
        let routes = self.all_routes.iter();
        let ranges = routes.flat_map(|route| seconds.iter().map(|second| Range::new(sql, *route, *second, span, step)));
        Some(ranges.collect())
    }

    fn fits(&self, route: u32, state: u8, kind: u8) -> bool {
        self.routes.as_ref().is_none_or(|routes| routes.contains(&route))
            && self.state.is_none_or(|wanted| wanted == state)
            && self.kind.is_none_or(|wanted| wanted == kind)
    }
}

/// Where in `listed` the deliveries in a state stand: what waits for a retry has a place of its own, behind those that wait for
/// their first attempt or for nothing.
fn shelves(state: u8) -> impl Iterator<Item = u8> {
    let waits = [StateName::Waiting, StateName::Held].iter().any(|waiting| waiting.code() == state);
    [Some(state), waits.then_some(state | RETRIES)].into_iter().flatten()
}

/// One range of an index, read in small steps.
struct Range {
    sql: &'static str,
    route: u32,
    second: u8,
    span: Span,
    step: usize,
    ids: VecDeque<i64>,
}

impl Range {
    fn new(sql: &'static str, route: u32, second: u8, span: Span, step: usize) -> Self {
        Range { sql, route, second, span, step, ids: VecDeque::new() }
    }

    fn next(&mut self, connection: &Connection) -> Result<Option<i64>, StoreError> {
        if self.ids.is_empty() && self.span.below > self.span.from {
            self.read_on(connection)?;
        }
        Ok(self.ids.pop_front())
    }

    fn read_on(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let step = i64::try_from(self.step).unwrap_or(i64::MAX);
        let mut statement = connection.prepare_cached(self.sql).map_err(unreadable)?;
        let rows = statement
            .query_map(params![self.route, self.second, self.span.below, self.span.from, step], |row| row.get(0))
            .map_err(unreadable)?;
        self.ids = rows.collect::<Result<_, _>>().map_err(unreadable)?;
        let whole = self.ids.len() == self.step;
        self.span.below = self.ids.back().copied().filter(|_| whole).unwrap_or(self.span.from);
        Ok(())
    }
}

/// A page being filled.
struct Collect<'a> {
    connection: &'a Connection,
    names: &'a Names,
    wanted: &'a Wanted,
    limit: usize,
    looked: usize,
    items: Vec<Delivery>,
}

impl Collect<'_> {
    fn merge(mut self, mut ranges: Vec<Range>) -> Result<Page<Delivery>, StoreError> {
        let mut heads = BinaryHeap::with_capacity(ranges.len());
        for (place, range) in ranges.iter_mut().enumerate() {
            heads.extend(range.next(self.connection)?.map(|id| (id, place)));
        }
        let sql = "SELECT state, record FROM deliveries WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(unreadable)?;
        while let Some((id, place)) = heads.pop() {
            let (state, record): (u8, Vec<u8>) =
                statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).map_err(unreadable)?;
            self.looked += 1;
            if self.wanted.state.is_none_or(|wanted| wanted == state) {
                self.add(id, &record)?;
            }
            heads.extend(ranges[place].next(self.connection)?.map(|id| (id, place)));
            if self.is_done() && !heads.is_empty() {
                return self.page(Some(id));
            }
        }
        self.page(None)
    }

    fn scan(mut self, span: Span) -> Result<Page<Delivery>, StoreError> {
        let sql = "SELECT id, route, state, kind, record FROM deliveries WHERE id < ?1 AND id >= ?2 ORDER BY id DESC";
        let mut statement = self.connection.prepare_cached(sql).map_err(unreadable)?;
        let mut rows = statement.query(params![span.below, span.from]).map_err(unreadable)?;
        let mut last = None;
        while let Some(row) = rows.next().map_err(unreadable)? {
            if self.is_done() {
                return self.page(last);
            }
            let id: i64 = row.get(0).map_err(unreadable)?;
            let (route, state, kind) = (row.get(1), row.get(2), row.get(3));
            self.looked += 1;
            last = Some(id);
            if self.wanted.fits(route.map_err(unreadable)?, state.map_err(unreadable)?, kind.map_err(unreadable)?) {
                let record: Vec<u8> = row.get(4).map_err(unreadable)?;
                self.add(id, &record)?;
            }
        }
        self.page(None)
    }

    fn add(&mut self, id: i64, record: &[u8]) -> Result<(), StoreError> {
        self.items.push(decode_delivery(delivery_id(id)?, record, &self.names.words)?);
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.items.len() >= self.limit || self.looked >= LOOK_MAX
    }

    fn page(self, last: Option<i64>) -> Result<Page<Delivery>, StoreError> {
        let next = last.map(delivery_id).transpose()?;
        Ok(Page { items: self.items, next })
    }
}

#[cfg(test)]
mod tests {
    use crate::schema::TABLES;
    use rusqlite::Connection;

    fn plan(sql: &str) -> String {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLES).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let missing = vec![rusqlite::types::Value::Null; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(missing), |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    /// Each is one range of one index, in order as it stands: nothing is scanned, nothing is sorted.
    #[test]
    fn every_range_is_a_search_of_its_index() {
        let expected = [
            (super::BY_STATE, "USING COVERING INDEX listed (state=? AND <expr>=? AND route=? AND rowid>? AND rowid<?)"),
            (super::BY_KIND, "USING COVERING INDEX kinds (kind=? AND route=? AND rowid>? AND rowid<?)"),
            (super::super::queues::HEADS, "USING COVERING INDEX due ((class,endpoint)>(?,?))"),
            (
                super::super::queues::DUE_SAME,
                "USING COVERING INDEX due (class=? AND endpoint=? AND next_look=? AND rowid>?)",
            ),
            (super::super::queues::DUE_LATER, "USING COVERING INDEX due (class=? AND endpoint=? AND next_look>?)"),
        ];
        for (sql, search) in expected {
            assert_eq!(plan(sql), format!("SEARCH deliveries {search}"), "{sql}");
        }
    }
}
