//! Single deliveries and leads, their history, the counts, and the configurations.

use super::unreadable;
use crate::names::Names;
use crate::rows::config_of;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use steadfast_lead::{DeliveryId, Lead, LeadId};
use steadfast_retry::{Delivery, Entry, StateName};
use steadfast_store::record::{Code, decode_delivery, decode_entry, decode_lead};
use steadfast_store::{ConfigVersion, Count, StoreError};

/// How many lines of history, or configurations, one read answers with at most.
const LINES_MAX: usize = 10_000;

/// One delivery.
pub(crate) fn delivery(connection: &Connection, names: &Names, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT record FROM deliveries WHERE id = ?1").map_err(unreadable)?;
    let record: Option<Vec<u8>> = statement.query_row([id.raw()], |row| row.get(0)).optional().map_err(unreadable)?;
    record.map(|record| Ok(decode_delivery(id, &record, &names.words)?)).transpose()
}

type LeadWithIds = (Arc<Lead>, Vec<DeliveryId>);
type LeadWithDeliveries = (Arc<Lead>, Vec<Delivery>);

fn lead_with_ids(connection: &Connection, names: &Names, id: LeadId) -> Result<Option<LeadWithIds>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT record FROM leads WHERE id = ?1").map_err(unreadable)?;
    let record: Option<Vec<u8>> = statement.query_row([id.raw()], |row| row.get(0)).optional().map_err(unreadable)?;
    let Some(record) = record else { return Ok(None) };
    let (lead, deliveries) = decode_lead(id, &record, &names.words)?;
    Ok(Some((Arc::new(lead), deliveries)))
}

/// One lead with its deliveries.
pub(crate) fn lead(
    connection: &Connection,
    names: &Names,
    id: LeadId,
) -> Result<Option<LeadWithDeliveries>, StoreError> {
    let Some((lead, ids)) = lead_with_ids(connection, names, id)? else { return Ok(None) };
    let mut deliveries = Vec::with_capacity(ids.len());
    for id in ids {
        deliveries.extend(delivery(connection, names, id)?);
    }
    Ok(Some((lead, deliveries)))
}

/// A delivery with its lead.
pub(crate) fn load(
    connection: &Connection,
    names: &Names,
    id: DeliveryId,
) -> Result<Option<(Delivery, Arc<Lead>)>, StoreError> {
    let Some(delivery) = delivery(connection, names, id)? else { return Ok(None) };
    let lead = lead_with_ids(connection, names, delivery.lead)?;
    Ok(lead.map(|(lead, _)| (delivery, lead)))
}

/// Part of a delivery's history.
pub(crate) fn history(
    connection: &Connection,
    names: &Names,
    id: DeliveryId,
    skip: usize,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let sql = "SELECT record FROM history WHERE delivery = ?1 ORDER BY seq LIMIT ?2 OFFSET ?3";
    let limit = i64::try_from(limit.min(LINES_MAX)).unwrap_or(i64::MAX);
    let skip = i64::try_from(skip).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
    let rows =
        statement.query_map(params![id.raw(), limit, skip], |row| row.get::<_, Vec<u8>>(0)).map_err(unreadable)?;
    rows.map(|record| Ok(decode_entry(&record.map_err(unreadable)?, &names.words)?)).collect()
}

/// Every count that is not zero.
pub(crate) fn counts(connection: &Connection, names: &Names) -> Result<Vec<Count>, StoreError> {
    counts_of(connection, names, "SELECT route, test, state, n FROM counts WHERE n <> 0")
}

/// What a statement selects of a table of counts, sorted.
pub(super) fn counts_of(connection: &Connection, names: &Names, sql: &str) -> Result<Vec<Count>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, u32>(0)?, row.get(1)?, row.get::<_, u8>(2)?, row.get::<_, i64>(3)?)))
        .map_err(unreadable)?;
    let counts = rows.map(|row| {
        let (route, test, state, deliveries) = row.map_err(unreadable)?;
        let (flow, recipient) = names.route_of(route)?;
        let deliveries = u64::try_from(deliveries).unwrap_or(0);
        Ok(Count { flow, recipient, test, state: StateName::of_code(state)?, deliveries })
    });
    let mut counts = counts.collect::<Result<Vec<_>, StoreError>>()?;
    counts.sort();
    Ok(counts)
}

/// Configurations, newest first.
pub(crate) fn configs(connection: &Connection, limit: usize) -> Result<Vec<ConfigVersion>, StoreError> {
    let sql = "SELECT version, at, by, text FROM configs ORDER BY version DESC LIMIT ?1";
    let limit = i64::try_from(limit.min(LINES_MAX)).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
    let rows = statement
        .query_map([limit], |row| Ok(config_of(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .map_err(unreadable)?;
    rows.collect::<Result<_, _>>().map_err(unreadable)
}

pub(super) fn delivery_id(raw: i64) -> Result<DeliveryId, StoreError> {
    DeliveryId::from_raw(raw)
        .ok_or_else(|| StoreError::Unreadable { detail: format!("a delivery has the negative id {raw}") })
}
