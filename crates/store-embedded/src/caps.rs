//! What caps have counted, and places that are kept: one small row for each period, written with the settlement.

use crate::batch::{Batch, Failure};
use crate::read::unreadable;
use crate::rows::Change;
use crate::store::EmbeddedStore;
use rusqlite::{Connection, Row, params};
use steadfast_lead::{DeliveryId, Timestamp};
use steadfast_retry::{CapChange, CapPer, CapPeriod};
use steadfast_store::record::Code;
use steadfast_store::{CAPS_PRUNED_MAX, Caps, Pending, StoreError};

impl Batch<'_> {
    pub(crate) fn count_caps(&self, delivery: i64, change: &CapChange) -> Result<(), Failure> {
        let count = "INSERT INTO caps (scope, per, since, until, n) VALUES (?1, ?2, ?3, ?4, 1)
                     ON CONFLICT DO UPDATE SET n = n + 1";
        for CapPeriod { scope, per, from, until } in &change.add {
            self.statement(count)?.execute(params![scope, per.code(), from.as_micros(), until.as_micros()])?;
        }
        self.statement("DELETE FROM cap_places WHERE delivery = ?1")?.execute([delivery])?;
        let keep = "INSERT INTO cap_places (delivery, scope, per, since, until) VALUES (?1, ?2, ?3, ?4, ?5)";
        for CapPeriod { scope, per, from, until } in &change.keep {
            let (from, until) = (from.as_micros(), until.as_micros());
            self.statement(keep)?.execute(params![delivery, scope, per.code(), from, until])?;
        }
        Ok(())
    }

    pub(crate) fn prune_caps(&mut self, before: Timestamp) -> Result<u64, Failure> {
        let over = params![before.as_micros(), i64::try_from(CAPS_PRUNED_MAX).unwrap_or(i64::MAX)];
        let counts = "DELETE FROM caps WHERE (scope, per, since, until) IN (
                          SELECT scope, per, since, until FROM caps WHERE until < ?1 LIMIT ?2)";
        let places = "DELETE FROM cap_places WHERE (delivery, scope, per, since, until) IN (
                          SELECT delivery, scope, per, since, until FROM cap_places WHERE until < ?1 LIMIT ?2)";
        let gone = self.statement(counts)?.execute(over)? + self.statement(places)?.execute(over)?;
        self.dirty |= gone > 0;
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }
}

/// A period from four columns, the first of them given.
fn period(row: &Row<'_>, first: usize) -> rusqlite::Result<(String, u8, i64, i64)> {
    Ok((row.get(first)?, row.get(first + 1)?, row.get(first + 2)?, row.get(first + 3)?))
}

fn period_of((scope, per, from, until): (String, u8, i64, i64)) -> Result<CapPeriod, StoreError> {
    let (from, until) = (Timestamp::from_micros(from), Timestamp::from_micros(until));
    Ok(CapPeriod { scope: scope.into(), per: CapPer::of_code(per)?, from, until })
}

fn counts(connection: &Connection, since: Timestamp) -> Result<Vec<(CapPeriod, u64)>, StoreError> {
    let sql = "SELECT scope, per, since, until, n FROM caps WHERE until >= ?1 ORDER BY scope, per, since, until";
    let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
    let row = |row: &Row<'_>| Ok((period(row, 0)?, row.get::<_, i64>(4)?));
    let rows = statement.query_map([since.as_micros()], row).map_err(unreadable)?;
    let count = |(period, used): (_, i64)| Ok((period_of(period)?, u64::try_from(used).unwrap_or(0)));
    rows.map(|row| row.map_err(unreadable).and_then(count)).collect()
}

fn places(connection: &Connection, since: Timestamp) -> Result<Vec<(DeliveryId, CapPeriod)>, StoreError> {
    let sql = "SELECT delivery, scope, per, since, until FROM cap_places WHERE until >= ?1
               ORDER BY delivery, scope, per, since, until";
    let mut statement = connection.prepare_cached(sql).map_err(unreadable)?;
    let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, period(row, 1)?));
    let rows = statement.query_map([since.as_micros()], row).map_err(unreadable)?;
    let place = |(delivery, period)| {
        let negative = || StoreError::Unreadable { detail: "a delivery's id is negative".to_owned() };
        Ok((DeliveryId::from_raw(delivery).ok_or_else(negative)?, period_of(period)?))
    };
    rows.map(|row| row.map_err(unreadable).and_then(place)).collect()
}

impl Caps for EmbeddedStore {
    fn cap_counts(&self, since: Timestamp) -> Pending<Vec<(CapPeriod, u64)>> {
        self.ask(move |connection, _| counts(connection, since))
    }

    fn cap_places(&self, since: Timestamp) -> Pending<Vec<(DeliveryId, CapPeriod)>> {
        self.ask(move |connection, _| places(connection, since))
    }

    fn prune_caps(&self, before: Timestamp) -> Pending<u64> {
        self.write(|reply| Change::PruneCaps(before, reply))
    }
}
