//! Finding by term, and what is kept of what was erased.
//!
//! The table of terms is cut into periods: a search goes from one period that holds anything to the next, one step in the
//! index for each.

use super::deliveries::delivery;
use super::unreadable;
use crate::forget::{TermRow, period};
use crate::names::Names;
use rusqlite::{Connection, OptionalExtension, params};
use steadfast_lead::{DeliveryId, LeadId, Timestamp};
use steadfast_retry::{Delivery, State};
use steadfast_store::record::decode_tombstone;
use steadfast_store::{Erasure, StoreError, TERM_BYTES, Term, Tombstone};

/// How many leads or deliveries one read answers with at most.
const FOUND_MAX: usize = 10_000;

/// Leads with a term, newest first.
pub(crate) fn find(
    connection: &Connection,
    term: Term,
    before: Option<LeadId>,
    limit: usize,
) -> Result<Vec<LeadId>, StoreError> {
    let before = before.map_or(i64::MAX, LeadId::raw);
    let limit = limit.min(FOUND_MAX);
    let mut found = Vec::new();
    let mut last = if before == i64::MAX { i64::MAX } else { period(before) };
    let sql = "SELECT owner FROM terms WHERE period = ?1 AND term = ?2 AND owner < ?3 ORDER BY owner DESC LIMIT ?4";
    while found.len() < limit {
        let next = "SELECT period FROM terms WHERE period <= ?1 ORDER BY period DESC LIMIT 1";
        let Some(period) = one_period(connection, next, last)? else { break };
        let wanted = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
        let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
        let rows = statement.query_map(params![period, term.as_bytes(), before, wanted], |row| row.get(0));
        for owner in rows.map_err(unreadable)? {
            found.push(lead_id(owner.map_err(unreadable)?)?);
        }
        last = period - 1;
    }
    Ok(found)
}

/// Deliveries that carry a mark and were tried, delivered or perhaps sent, oldest first.
pub(crate) fn marked(
    connection: &Connection,
    names: &Names,
    mark: Term,
    after: DeliveryId,
    limit: usize,
) -> Result<Vec<Delivery>, StoreError> {
    let limit = limit.min(FOUND_MAX);
    let mut found = Vec::new();
    let mut first = period(after.raw());
    let sql = "SELECT owner FROM terms WHERE period = ?1 AND term = ?2 AND owner > ?3 ORDER BY owner";
    while found.len() < limit {
        let next = "SELECT period FROM terms WHERE period >= ?1 ORDER BY period LIMIT 1";
        let Some(period) = one_period(connection, next, first)? else { break };
        let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
        let mut rows = statement.query(params![period, mark.as_bytes(), after.raw()]).map_err(unreadable)?;
        while found.len() < limit
            && let Some(row) = rows.next().map_err(unreadable)?
        {
            let id = super::deliveries::delivery_id(row.get(0).map_err(unreadable)?)?;
            let delivery = delivery(connection, names, id)?;
            found.extend(delivery.filter(|one| {
                one.attempts > 0 || one.progress.in_doubt || matches!(one.state, State::Delivered { .. })
            }));
        }
        first = period + 1;
    }
    Ok(found)
}

fn one_period(connection: &Connection, sql: &str, from: i64) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
    statement.query_row([from], |row| row.get(0)).optional().map_err(unreadable)
}

fn lead_id(raw: i64) -> Result<LeadId, StoreError> {
    LeadId::from_raw(raw)
        .ok_or_else(|| StoreError::Unreadable { detail: format!("a term has the negative owner {raw}") })
}

/// The search terms of a lead.
pub(crate) fn terms_of(connection: &Connection, lead: LeadId) -> Result<Vec<Term>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT terms FROM leads WHERE id = ?1").map_err(unreadable)?;
    let terms: Option<Option<Vec<u8>>> =
        statement.query_row([lead.raw()], |row| row.get(0)).optional().map_err(unreadable)?;
    let rows = TermRow::parted(&terms.flatten().unwrap_or_default())?;
    Ok(rows.into_iter().filter(|row| row.owner == lead.raw()).map(|row| row.term).collect())
}

/// What is kept of a lead that was erased.
pub(crate) fn tombstone(connection: &Connection, lead: LeadId) -> Result<Option<Tombstone>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT record FROM leads WHERE id = ?1").map_err(unreadable)?;
    let record: Option<Vec<u8>> = statement.query_row([lead.raw()], |row| row.get(0)).optional().map_err(unreadable)?;
    record.map_or(Ok(None), |record| Ok(decode_tombstone(&record)?))
}

/// Orders that are not carried out yet, oldest first.
pub(crate) fn unfinished_erasures(connection: &Connection) -> Result<Vec<Erasure>, StoreError> {
    let sql =
        "SELECT number, at, by, reason, terms, lead FROM erasures WHERE finished_at IS NULL ORDER BY number LIMIT ?1";
    let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
    let limit = i64::try_from(FOUND_MAX).unwrap_or(i64::MAX);
    let rows = statement.query_map([limit], |row| {
        let number: i64 = row.get(0)?;
        let terms: Vec<u8> = row.get(4)?;
        let (terms, _) = terms.as_chunks::<TERM_BYTES>();
        Ok(Erasure {
            number: u64::try_from(number).unwrap_or(0),
            at: Timestamp::from_micros(row.get(1)?),
            by: row.get::<_, String>(2)?.into(),
            reason: row.get::<_, Option<String>>(3)?.map(Into::into),
            terms: terms.iter().copied().map(Term::from_bytes).collect(),
            lead: row.get::<_, Option<i64>>(5)?.and_then(LeadId::from_raw),
        })
    });
    rows.map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}
