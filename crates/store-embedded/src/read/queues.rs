//! What waits, in ranges of the index of queues.

use super::deliveries::delivery_id;
use super::unreadable;
use crate::marks;
use crate::names::Names;
use crate::rows::{class_of, of_class};
use rusqlite::{Connection, OptionalExtension, params};
use steadfast_lead::{DeliveryId, Timestamp};
use steadfast_retry::EndpointPause;
use steadfast_store::{DuePosition, QueueHead, QueueKey, StoreError};

/// How much of a queue one read answers with at most.
const DUE_MAX: usize = 10_000;

/// The first delivery of the next queue.
pub(super) const HEADS: &str = "SELECT class, endpoint, next_look FROM deliveries INDEXED BY due
    WHERE next_look IS NOT NULL AND (class, endpoint) > (?1, ?2)
    ORDER BY class, endpoint, next_look LIMIT 1";
/// What is due at a time, after an id.
pub(super) const DUE_SAME: &str = "SELECT next_look, id FROM deliveries INDEXED BY due
    WHERE endpoint = ?1 AND class = ?2 AND next_look = ?3 AND id > ?4 ORDER BY id LIMIT ?5";
/// What is due after a time.
pub(super) const DUE_LATER: &str = "SELECT next_look, id FROM deliveries INDEXED BY due
    WHERE endpoint = ?1 AND class = ?2 AND next_look > ?3
    ORDER BY next_look, id LIMIT ?5";

/// The front of every queue: one step into the index for each, however long they are.
pub(crate) fn heads(connection: &Connection, names: &Names) -> Result<Vec<QueueHead>, StoreError> {
    let mut statement = connection.prepare_cached(HEADS).map_err(unreadable)?;
    let mut heads = Vec::new();
    let mut last: (i64, i64) = (-1, -1);
    loop {
        let next: Option<(u8, u32, i64)> = statement
            .query_row(params![last.0, last.1], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()
            .map_err(unreadable)?;
        let Some((class, endpoint, next)) = next else { return Ok(heads) };
        let (priority, retries) = of_class(class)?;
        let key = QueueKey { endpoint: names.endpoint_of(endpoint)?, priority, retries };
        heads.push(QueueHead { key, next: Timestamp::from_micros(next) });
        last = (i64::from(class), i64::from(endpoint));
    }
}

/// A range of one queue: first what is due at the position's own time, then what is due later.
pub(crate) fn due(
    connection: &Connection,
    names: &Names,
    queue: &QueueKey,
    after: Option<DuePosition>,
    limit: usize,
) -> Result<Vec<DuePosition>, StoreError> {
    let Some(endpoint) = names.known_endpoint(&queue.endpoint) else { return Ok(Vec::new()) };
    let class = class_of(queue.priority, queue.retries);
    let limit = limit.min(DUE_MAX);
    let mut found = Vec::with_capacity(limit.min(256));
    let read = |sql: &str, time: i64, id: i64, left: usize| -> Result<Vec<(i64, i64)>, StoreError> {
        let left = i64::try_from(left).unwrap_or(i64::MAX);
        let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
        let rows = statement
            .query_map(params![endpoint, class, time, id, left], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(unreadable)?;
        rows.collect::<Result<_, _>>().map_err(unreadable)
    };
    let after = after.map_or((i64::MIN, -1), |position| (position.due.as_micros(), position.id.raw()));
    found.extend(read(DUE_SAME, after.0, after.1, limit)?);
    let left = limit - found.len();
    if left > 0 {
        found.extend(read(DUE_LATER, after.0, after.1, left)?);
    }
    found
        .into_iter()
        .map(|(due, id)| Ok(DuePosition { due: Timestamp::from_micros(due), id: delivery_id(id)? }))
        .collect()
}

/// Deliveries that were taken and not settled.
pub(crate) fn taken(connection: &Connection) -> Result<Vec<DeliveryId>, StoreError> {
    let kept = connection.query_row("SELECT taken FROM meta", [], |row| row.get::<_, Option<Vec<u8>>>(0));
    marks::from_bytes(&kept.map_err(unreadable)?.unwrap_or_default())?.into_iter().map(delivery_id).collect()
}

/// Pauses that end after a time.
pub(crate) fn pauses(connection: &Connection, names: &Names, now: Timestamp) -> Result<Vec<EndpointPause>, StoreError> {
    let sql = "SELECT endpoint, until FROM pauses WHERE until > ?1 ORDER BY endpoint";
    let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
    let rows = statement
        .query_map([now.as_micros()], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?)))
        .map_err(unreadable)?;
    rows.map(|row| {
        let (endpoint, until) = row.map_err(unreadable)?;
        Ok(EndpointPause { endpoint: names.endpoint_of(endpoint)?, until: Timestamp::from_micros(until) })
    })
    .collect()
}
