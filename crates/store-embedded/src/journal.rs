//! The journal: one row for each commit, holding its lines. A cursor is the row and the line in it, so that a reader never
//! skips a line that was committed late: rows are written by one thread, in order.

use crate::names::Names;
use minicbor::{Decoder, Encoder};
use rusqlite::{Connection, OptionalExtension, params};
use steadfast_lead::Timestamp;
use steadfast_retry::Event;
use steadfast_store::record::{decode_event, event_time};
use steadfast_store::{Cursor, StoreError};

const LINE_BITS: u32 = 16;
/// More lines than this cannot stand in one row.
pub(crate) const LINES_MAX: usize = 1 << LINE_BITS;
/// How many lines one read answers with at most.
const READ_MAX: usize = 10_000;

/// The cursor of a line.
pub(crate) fn cursor(row: i64, line: u64) -> Cursor {
    Cursor((u64::try_from(row).unwrap_or(0) << LINE_BITS) | line)
}

/// Adds a line to a row.
pub(crate) fn push_line(lines: &mut Vec<u8>, record: &[u8]) {
    // Writing into a vector cannot fail.
    let _written = Encoder::new(lines).bytes(record).is_ok();
}

/// Where the journal ends: the last row, and the cursor of its last line.
pub(crate) fn end(connection: &Connection) -> Result<(i64, Cursor), StoreError> {
    let sql = "SELECT seq, lines FROM journal ORDER BY seq DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql).map_err(crate::read::unreadable)?;
    let mut rows = statement.query([]).map_err(crate::read::unreadable)?;
    let Some(row) = rows.next().map_err(crate::read::unreadable)? else { return Ok((0, Cursor(0))) };
    let (seq, lines): (i64, Vec<u8>) =
        (row.get(0).map_err(crate::read::unreadable)?, row.get(1).map_err(crate::read::unreadable)?);
    let count = records(&lines).collect::<Result<Vec<_>, _>>()?.len();
    Ok((seq, cursor(seq, u64::try_from(count.saturating_sub(1)).unwrap_or(0))))
}

/// The last line of a row: its cursor, and when it was written. `None` for a row without any.
pub(crate) fn last_line(row: i64, lines: &[u8]) -> Result<Option<(Cursor, Timestamp)>, StoreError> {
    let mut last = None;
    for (record, line) in records(lines).zip(0_u64..) {
        last = Some((record?, line));
    }
    last.map(|(record, line)| Ok((cursor(row, line), event_time(record)?))).transpose()
}

/// Lines after a cursor.
pub(crate) fn events(
    connection: &Connection,
    names: &Names,
    after: Cursor,
    limit: usize,
) -> Result<Vec<(Cursor, Event)>, StoreError> {
    let limit = limit.min(READ_MAX);
    let first = i64::try_from(after.0 >> LINE_BITS).unwrap_or(i64::MAX);
    let mut statement = connection
        .prepare_cached("SELECT seq, lines FROM journal WHERE seq >= ?1 ORDER BY seq")
        .map_err(crate::read::unreadable)?;
    let mut rows = statement.query(params![first]).map_err(crate::read::unreadable)?;
    let mut found = Vec::new();
    while found.len() < limit {
        let Some(row) = rows.next().map_err(crate::read::unreadable)? else { break };
        let seq: i64 = row.get(0).map_err(crate::read::unreadable)?;
        let lines = row.get_ref(1).map_err(crate::read::unreadable)?;
        let lines = lines.as_blob().map_err(|error| StoreError::Unreadable { detail: error.to_string() })?;
        for (record, line) in records(lines).zip(0_u64..) {
            let at = cursor(seq, line);
            if at > after && found.len() < limit {
                found.push((at, decode_event(record?, &names.words)?));
            }
        }
    }
    Ok(found)
}

/// How far a reader has come.
pub(crate) fn bookmark(connection: &Connection, reader: &str) -> Result<Option<Cursor>, StoreError> {
    let sql = "SELECT at FROM bookmarks WHERE reader = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(crate::read::unreadable)?;
    let at: Option<i64> =
        statement.query_row([reader], |row| row.get(0)).optional().map_err(crate::read::unreadable)?;
    Ok(at.map(|at| Cursor(at.cast_unsigned())))
}

fn records(lines: &[u8]) -> impl Iterator<Item = Result<&[u8], StoreError>> {
    let mut decoder = Decoder::new(lines);
    std::iter::from_fn(move || {
        if decoder.position() >= lines.len() {
            return None;
        }
        let record = decoder.bytes();
        if record.is_err() {
            // Nothing behind it can be told apart.
            decoder.set_position(lines.len());
        }
        Some(record.map_err(|error| StoreError::Unreadable { detail: format!("the journal is damaged: {error}") }))
    })
}
