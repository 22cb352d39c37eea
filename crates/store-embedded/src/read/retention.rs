//! Finding what is over its time, in bounded slices and in the order of ids.

use super::deliveries::counts_of;
use super::unreadable;
use crate::journal::last_line;
use crate::names::Names;
use crate::retention::PruneRows;
use rusqlite::{Connection, OptionalExtension, params};
use steadfast_lead::{DeliveryId, LeadId, Timestamp};
use steadfast_store::record::outline_lead;
use steadfast_store::{
    Count, Cursor, EXPIRED_DELIVERIES_MAX, EXPIRED_MAX, Expired, ExpiredLead, Expiry, StoreError, TERM_BYTES, Term,
};

/// How many leads one call looks at.
const LOOK_MAX: i64 = 512;
/// How many rows of the journal one slice deletes, and how many bytes of lines, about.
const JOURNAL_ROWS_MAX: i64 = 256;
const JOURNAL_BYTES_MAX: usize = 256 << 10;
/// How many of everything else one slice deletes.
const OTHERS_MAX: i64 = 256;

/// The next leads that are over their time.
pub(crate) fn expired(
    connection: &Connection,
    names: &Names,
    expiry: &Expiry,
    after: Option<LeadId>,
) -> Result<Expired, StoreError> {
    let Some(latest) = expiry.latest() else { return Ok(Expired::default()) };
    let sql = "SELECT id, record FROM leads WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3";
    let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
    let bounds = params![after.map_or(-1, LeadId::raw), LeadId::first_at(latest).raw(), LOOK_MAX];
    let mut rows = statement.query(bounds).map_err(unreadable)?;
    let mut found = Expired::default();
    let (mut looked, mut deliveries) = (0, 0);
    while let Some(row) = rows.next().map_err(unreadable)? {
        let id = row.get(0).map_err(unreadable)?;
        let id = LeadId::from_raw(id).ok_or_else(|| damaged("a lead's id is negative"))?;
        let record = row.get_ref(1).map_err(unreadable)?;
        let record = record.as_blob().map_err(|error| damaged(&error.to_string()))?;
        if let Some(lead) = expired_lead(connection, names, expiry, id, record)? {
            deliveries += lead.deliveries.len();
            found.leads.push(lead);
        }
        looked += 1;
        if looked == LOOK_MAX || found.leads.len() == EXPIRED_MAX || deliveries >= EXPIRED_DELIVERIES_MAX {
            found.next = Some(id);
            break;
        }
    }
    Ok(found)
}

fn expired_lead(
    connection: &Connection,
    names: &Names,
    expiry: &Expiry,
    id: LeadId,
    record: &[u8],
) -> Result<Option<ExpiredLead>, StoreError> {
    let outline = outline_lead(id, record, &names.words)?;
    let Some(before) = expiry.of_flow(&outline.flow).filter(|before| outline.accepted_at < *before) else {
        return Ok(None);
    };
    if outline.erased_at.is_some_and(|erased| expiry.erasures.is_none_or(|before| erased >= before)) {
        return Ok(None);
    }
    let mut deliveries = Vec::with_capacity(outline.deliveries.len());
    for id in outline.deliveries {
        match ended_before(connection, names, id, before)? {
            Some(version) => deliveries.push((id, version)),
            None => return Ok(None),
        }
    }
    Ok(Some(ExpiredLead { id, deliveries }))
}

/// The version of a delivery that ended before a time.
fn ended_before(
    connection: &Connection,
    names: &Names,
    id: DeliveryId,
    before: Timestamp,
) -> Result<Option<u32>, StoreError> {
    let Some(delivery) = super::delivery(connection, names, id)? else { return Ok(None) };
    Ok(delivery.state.ended_at().filter(|at| *at < before).map(|_| delivery.version))
}

/// A slice of everything that is over its time and no lead.
pub(crate) fn rest_over(connection: &Connection, expiry: &Expiry) -> Result<PruneRows, StoreError> {
    let mut rows = PruneRows::default();
    if let Some(before) = expiry.journal {
        journal_over(connection, before, &mut rows)?;
    }
    if let Some(before) = expiry.leads {
        rows.configs_to = configs_over(connection, before).map_err(unreadable)?;
    }
    if let Some(before) = expiry.erasures {
        rows.orders = orders_over(connection, before).map_err(unreadable)?;
        rows.barred = barred_over(connection, before).map_err(unreadable)?;
        rows.barred_before = Some(before).filter(|_| !rows.barred.is_empty());
    }
    Ok(rows)
}

/// Rows go whole, when their last line is over. The newest stays: the next one's number follows from it.
fn journal_over(connection: &Connection, before: Timestamp, found: &mut PruneRows) -> Result<(), StoreError> {
    let sql = "SELECT seq, lines FROM journal WHERE seq < (SELECT max(seq) FROM journal) ORDER BY seq LIMIT ?1";
    let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
    let mut rows = statement.query([JOURNAL_ROWS_MAX]).map_err(unreadable)?;
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(unreadable)? {
        let seq: i64 = row.get(0).map_err(unreadable)?;
        let lines = row.get_ref(1).map_err(unreadable)?;
        let lines = lines.as_blob().map_err(|error| damaged(&error.to_string()))?;
        let Some((cursor, at)) = last_line(seq, lines)? else { continue };
        if at >= before {
            break;
        }
        found.journal_to = Some((seq, cursor));
        found.journal_rows += 1;
        bytes += lines.len();
        if bytes >= JOURNAL_BYTES_MAX {
            break;
        }
    }
    Ok(())
}

/// Versions that gave way to the next before a time.
fn configs_over(connection: &Connection, before: Timestamp) -> rusqlite::Result<Option<(i64, u64)>> {
    let sql = "SELECT max(version), count(*) FROM (
                   SELECT version FROM configs old
                   WHERE (SELECT at FROM configs next WHERE next.version > old.version ORDER BY version LIMIT 1) < ?1
                   ORDER BY version LIMIT ?2)";
    let over = connection.prepare_cached(sql)?.query_row(params![before.as_micros(), OTHERS_MAX], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, i64>(1)?))
    })?;
    Ok(over.0.map(|version| (version, u64::try_from(over.1).unwrap_or(0))))
}

/// Orders carried out before a time. The newest stays: the next one's number follows from it.
fn orders_over(connection: &Connection, before: Timestamp) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT number FROM erasures WHERE finished_at < ?1 AND number < (SELECT max(number) FROM erasures)
               ORDER BY number LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![before.as_micros(), OTHERS_MAX], |row| row.get(0))?;
    rows.collect()
}

fn barred_over(connection: &Connection, before: Timestamp) -> rusqlite::Result<Vec<Term>> {
    let mut statement = connection.prepare_cached("SELECT term FROM barred WHERE at < ?1 LIMIT ?2")?;
    let rows = statement.query_map(params![before.as_micros(), OTHERS_MAX], |row| row.get::<_, [u8; TERM_BYTES]>(0))?;
    rows.map(|term| term.map(Term::from_bytes)).collect()
}

/// How many deliveries were deleted, by where they had ended.
pub(crate) fn pruned(connection: &Connection, names: &Names) -> Result<Vec<Count>, StoreError> {
    counts_of(connection, names, "SELECT route, test, state, n FROM pruned")
}

/// The last line of the journal that was deleted.
pub(crate) fn journal_pruned_to(connection: &Connection) -> Result<Cursor, StoreError> {
    let mut statement = connection.prepare_cached("SELECT journal_pruned FROM meta").map_err(unreadable)?;
    let cursor: Option<i64> = statement.query_row([], |row| row.get(0)).optional().map_err(unreadable)?;
    Ok(Cursor(cursor.unwrap_or(0).cast_unsigned()))
}

fn damaged(detail: &str) -> StoreError {
    StoreError::Unreadable { detail: detail.to_owned() }
}
