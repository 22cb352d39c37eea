//! Guards and stops as they are kept.

use super::unreadable;
use crate::names::Names;
use rusqlite::Connection;
use steadfast_retry::Stop;
use steadfast_store::record::{decode_guard, decode_stop};
use steadfast_store::{KeptGuard, StoreError};

/// Every guard.
pub(crate) fn guards(connection: &Connection, names: &Names) -> Result<Vec<KeptGuard>, StoreError> {
    let sql = "SELECT endpoint, record FROM guards ORDER BY endpoint";
    let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
    let rows =
        statement.query_map([], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?))).map_err(unreadable)?;
    rows.map(|row| {
        let (endpoint, record) = row.map_err(unreadable)?;
        Ok(KeptGuard { endpoint: names.endpoint_of(endpoint)?, snapshot: decode_guard(&record)? })
    })
    .collect()
}

/// Every stop.
pub(crate) fn stops(connection: &Connection) -> Result<Vec<Stop>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT record FROM stops ORDER BY target").map_err(unreadable)?;
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).map_err(unreadable)?;
    rows.map(|record| Ok(decode_stop(&record.map_err(unreadable)?)?)).collect()
}
