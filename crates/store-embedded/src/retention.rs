//! Deleting what is over its time, on the writer's side. What to delete was found by a reader, so that the writer's thread
//! neither looks for it nor waits for the disk; here it is only held against what stands, and deleted.
//!
//! Everything is in the order of ids, oldest first: whole pages become free, and new rows take them.

use crate::batch::{Batch, Failure};
use crate::forget::{TermRow, period};
use crate::names::Names;
use crate::read;
use crate::rows::Change;
use crate::store::{EmbeddedStore, write_to};
use rusqlite::{OptionalExtension, params};
use std::sync::Arc;
use steadfast_lead::{DeliveryId, LeadId, Timestamp};
use steadfast_retry::StateName;
use steadfast_store::record::{Code, decode_delivery, outline_lead};
use steadfast_store::{Count, Cursor, Expired, ExpiredLead, Expiry, Pending, Pruned, Retention, Term};

/// What is to be deleted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PruneRows {
    /// Keys of these leads go if their time is over by now.
    pub(crate) now: Timestamp,
    pub(crate) leads: Vec<ExpiredLead>,
    /// The last row of the journal that goes, and its last line.
    pub(crate) journal_to: Option<(i64, Cursor)>,
    /// How many rows that are.
    pub(crate) journal_rows: u64,
    /// The last version of the configuration that goes, and how many that are.
    pub(crate) configs_to: Option<(i64, u64)>,
    pub(crate) orders: Vec<i64>,
    pub(crate) barred: Vec<Term>,
    /// Terms that were barred again meanwhile stay.
    pub(crate) barred_before: Option<Timestamp>,
}

impl Batch<'_> {
    pub(crate) fn prune(&mut self, rows: &PruneRows) -> Result<Pruned, Failure> {
        let mut pruned = Pruned::default();
        for lead in &rows.leads {
            if let Some(deliveries) = self.prune_lead(lead, rows.now)? {
                pruned.leads += 1;
                pruned.deliveries += deliveries;
            }
        }
        if let Some((row, cursor)) = rows.journal_to {
            self.statement("DELETE FROM journal WHERE seq <= ?1")?.execute([row])?;
            let cursor = cursor.0.cast_signed();
            self.statement("UPDATE meta SET journal_pruned = max(journal_pruned, ?1)")?.execute([cursor])?;
            pruned.journal = rows.journal_rows;
        }
        if let Some((version, count)) = rows.configs_to {
            self.statement("DELETE FROM configs WHERE version <= ?1")?.execute([version])?;
            pruned.configs = count;
        }
        pruned.erasures = self.prune_erasures(rows)?;
        self.dirty |= !pruned.is_nothing();
        Ok(pruned)
    }

    /// How many deliveries went with it; `None` when it stays. Every check comes before the first write.
    fn prune_lead(&mut self, lead: &ExpiredLead, now: Timestamp) -> Result<Option<u64>, Failure> {
        let mut places = Vec::with_capacity(lead.deliveries.len());
        for (id, version) in &lead.deliveries {
            match self.standing(id.raw())? {
                Some(standing) if standing.version == *version && has_ended(standing.state) => {
                    places.push((standing.route, self.is_test(*id)?, standing.state));
                }
                Some(_) | None => return Ok(None),
            }
        }
        if !self.drop_lead(lead.id, now)? {
            return Ok(None);
        }
        for ((id, _), place) in lead.deliveries.iter().zip(places) {
            self.statement("DELETE FROM history WHERE delivery = ?1")?.execute([id.raw()])?;
            self.statement("DELETE FROM deliveries WHERE id = ?1")?.execute([id.raw()])?;
            self.written.insert(id.raw(), None);
            self.count(place, -1);
            self.count_pruned(place);
        }
        let largest = lead.deliveries.iter().map(|(id, _)| id.raw()).chain([lead.id.raw()]).max();
        self.statement("UPDATE meta SET last_id = ?1 WHERE coalesce(last_id, -1) < ?1")?.execute([largest])?;
        Ok(Some(u64::try_from(lead.deliveries.len()).unwrap_or(u64::MAX)))
    }

    fn is_test(&self, id: DeliveryId) -> Result<bool, Failure> {
        let record: Vec<u8> =
            self.statement("SELECT record FROM deliveries WHERE id = ?1")?.query_row([id.raw()], |row| row.get(0))?;
        let delivery = decode_delivery(id, &record, &self.names.words);
        delivery.map(|delivery| delivery.test).map_err(|error| Failure::Record(error.into()))
    }

    /// The lead's own row, its terms, and its key if that is over; `false` when there is no such lead.
    fn drop_lead(&self, id: LeadId, now: Timestamp) -> Result<bool, Failure> {
        let sql = "DELETE FROM leads WHERE id = ?1 RETURNING record, terms, dedupe_key";
        type Row = (Vec<u8>, Option<Vec<u8>>, Option<String>);
        let row: Option<Row> =
            self.statement(sql)?.query_row([id.raw()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
        let Some((record, terms, key)) = row else { return Ok(false) };
        for row in TermRow::parted(terms.as_deref().unwrap_or_default()).map_err(Failure::Record)? {
            let sql = "DELETE FROM terms WHERE period = ?1 AND term = ?2 AND owner = ?3";
            self.statement(sql)?.execute(params![period(row.owner), row.term.as_bytes(), row.owner])?;
        }
        if let Some(key) = key {
            let outline =
                outline_lead(id, &record, &self.names.words).map_err(|error| Failure::Record(error.into()))?;
            let flow = self.names.words.number(outline.flow.as_str());
            let sql = "DELETE FROM idempotency WHERE flow = ?1 AND key = ?2 AND lead = ?3 AND until < ?4";
            self.statement(sql)?.execute(params![flow, key, id.raw(), now.as_micros()])?;
        }
        Ok(true)
    }

    fn prune_erasures(&self, rows: &PruneRows) -> Result<u64, Failure> {
        let mut gone = 0;
        for number in &rows.orders {
            let sql = "DELETE FROM erasures WHERE number = ?1 AND finished_at IS NOT NULL";
            gone += self.statement(sql)?.execute([number])?;
        }
        let before = rows.barred_before.unwrap_or(Timestamp::MIN).as_micros();
        for term in &rows.barred {
            let sql = "DELETE FROM barred WHERE term = ?1 AND at < ?2";
            gone += self.statement(sql)?.execute(params![term.as_bytes(), before])?;
        }
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }
}

/// Whether nothing more happens with what stands there, by itself or by a person it waits for.
fn has_ended(state: u8) -> bool {
    [StateName::Delivered, StateName::Rejected, StateName::Closed].iter().any(|ended| ended.code() == state)
}

impl EmbeddedStore {
    /// Finds on a reader, then deletes.
    fn find_and_prune<F>(&self, find: F) -> Pending<Pruned>
    where
        F: FnOnce(&rusqlite::Connection, &Names) -> Result<PruneRows, steadfast_store::StoreError> + Send + 'static,
    {
        let (found, queue) = (self.ask(find), self.queue());
        Box::pin(async move {
            let rows = found.await?;
            if rows == PruneRows::default() {
                return Ok(Pruned::default());
            }
            write_to(&queue, |reply| Change::Prune(Box::new(rows), reply)).await
        })
    }
}

impl Retention for EmbeddedStore {
    fn expired(&self, expiry: Arc<Expiry>, after: Option<LeadId>) -> Pending<Expired> {
        self.ask(move |connection, names| read::expired(connection, names, &expiry, after))
    }

    fn prune_leads(&self, leads: Vec<ExpiredLead>, expiry: Arc<Expiry>) -> Pending<Pruned> {
        let rows = PruneRows { now: expiry.now, leads, ..PruneRows::default() };
        self.write(|reply| Change::Prune(Box::new(rows), reply))
    }

    fn prune_rest(&self, expiry: Arc<Expiry>) -> Pending<Pruned> {
        self.find_and_prune(move |connection, _| read::rest_over(connection, &expiry))
    }

    fn pruned(&self) -> Pending<Vec<Count>> {
        self.ask(read::pruned)
    }

    fn journal_pruned_to(&self) -> Pending<Cursor> {
        self.ask(|connection, _| read::journal_pruned_to(connection))
    }
}
