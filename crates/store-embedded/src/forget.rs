//! Forgetting, on the writer's side: terms kept with a lead, orders, the bar against what was erased, and wiping one lead.

use crate::batch::{Batch, Failure, damaged};
use crate::names::Names;
use crate::rows::{AcceptRows, SettleRows};
use rusqlite::{OptionalExtension, params};
use steadfast_lead::{DeliveryId, Lead, LeadId, Timestamp};
use steadfast_retry::wiped;
use steadfast_store::record::{decode_entry, decode_lead, encode_entry, wipe_lead};
use steadfast_store::{Erasure, LeadErasure, StoreError, TERM_BYTES, Term, Tombstone, Wiped};

/// A period of the table of terms, by the time in an id: one day.
const PERIOD_MILLIS: i64 = 86_400_000;
const OWNER_BYTES: usize = 8;
const ROW_BYTES: usize = TERM_BYTES + OWNER_BYTES;

/// The period an id falls into.
pub(crate) fn period(id: i64) -> i64 {
    DeliveryId::from_raw(id).map_or(0, |id| id.made_at().as_millis().div_euclid(PERIOD_MILLIS))
}

/// A term with the id it stands for: a lead's, or for a mark a delivery's.
#[derive(Clone, Copy)]
pub(crate) struct TermRow {
    pub(crate) term: Term,
    pub(crate) owner: i64,
}

impl TermRow {
    pub(crate) fn of(lead: LeadId, terms: &[Term], marks: &[(Term, DeliveryId)]) -> Vec<TermRow> {
        let terms = terms.iter().map(|term| TermRow { term: *term, owner: lead.raw() });
        terms.chain(marks.iter().map(|(term, delivery)| TermRow { term: *term, owner: delivery.raw() })).collect()
    }

    /// As they stand in the lead's row; `None` for none.
    pub(crate) fn joined(rows: &[TermRow]) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(rows.len() * ROW_BYTES);
        for row in rows {
            bytes.extend_from_slice(row.term.as_bytes());
            bytes.extend_from_slice(&row.owner.to_be_bytes());
        }
        (!bytes.is_empty()).then_some(bytes)
    }

    /// From how they stand in a lead's row.
    pub(crate) fn parted(bytes: &[u8]) -> Result<Vec<TermRow>, StoreError> {
        let damaged = || StoreError::Unreadable { detail: "a lead's terms are damaged".to_owned() };
        let (rows, rest) = bytes.as_chunks::<ROW_BYTES>();
        let row = |row: &[u8; ROW_BYTES]| {
            let (term, owner) = (row.first_chunk()?, row.last_chunk()?);
            Some(TermRow { term: Term::from_bytes(*term), owner: i64::from_be_bytes(*owner) })
        };
        let rows: Option<Vec<TermRow>> = rows.iter().map(row).collect();
        rows.filter(|_| rest.is_empty()).ok_or_else(damaged)
    }
}

/// Terms one after the other, as they stand with an order.
pub(crate) fn joined_terms(terms: &[Term]) -> Vec<u8> {
    terms.iter().flat_map(|term| *term.as_bytes()).collect()
}

/// Everything that wipes one lead.
pub(crate) struct WipeRows {
    lead: LeadId,
    tombstone: Tombstone,
    settlements: Vec<SettleRows>,
}

impl WipeRows {
    pub(crate) fn of(erasure: LeadErasure, names: &Names) -> Self {
        let LeadErasure { lead, tombstone, settlements } = erasure;
        let settlements = settlements.iter().map(|settlement| SettleRows::of(settlement, names)).collect();
        WipeRows { lead, tombstone, settlements }
    }
}

/// What stands of a lead that is to be wiped.
struct Standing {
    record: Vec<u8>,
    terms: Option<Vec<u8>>,
    dedupe_key: Option<String>,
}

impl Batch<'_> {
    /// When a person with one of an acceptance's terms was erased last, if that is to refuse it.
    pub(crate) fn barred(&self, rows: &AcceptRows) -> Result<Option<Timestamp>, Failure> {
        let Some(since) = rows.refuse_erased_since.filter(|_| self.any_barred) else { return Ok(None) };
        let mut latest = None;
        for row in rows.terms.iter().filter(|row| row.owner == rows.lead) {
            let sql = "SELECT at FROM barred WHERE term = ?1";
            let at: Option<i64> = self.statement(sql)?.query_row([row.term.as_bytes()], |row| row.get(0)).optional()?;
            latest = latest.max(at);
        }
        Ok(latest.map(Timestamp::from_micros).filter(|at| *at >= since))
    }

    pub(crate) fn keep_terms(&self, rows: &[TermRow]) -> Result<(), Failure> {
        let sql = "INSERT OR IGNORE INTO terms (period, term, owner) VALUES (?1, ?2, ?3)";
        for row in rows {
            self.statement(sql)?.execute(params![period(row.owner), row.term.as_bytes(), row.owner])?;
        }
        Ok(())
    }

    pub(crate) fn begin_erasure(&mut self, erasure: &Erasure) -> Result<u64, Failure> {
        let sql = "INSERT INTO erasures (number, at, by, reason, terms, lead)
                   VALUES ((SELECT coalesce(max(number), 0) + 1 FROM erasures), ?1, ?2, ?3, ?4, ?5) RETURNING number";
        let Erasure { at, by, reason, terms, lead, .. } = erasure;
        let (at, lead) = (at.as_micros(), lead.map(LeadId::raw));
        let number: i64 =
            self.statement(sql)?.query_row(params![at, by, reason, joined_terms(terms), lead], |row| row.get(0))?;
        for term in terms {
            let sql =
                "INSERT INTO barred (term, at) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)";
            self.statement(sql)?.execute(params![term.as_bytes(), at])?;
            self.any_barred = true;
        }
        self.dirty = true;
        Ok(u64::try_from(number).unwrap_or(0))
    }

    pub(crate) fn finish_erasure(&mut self, number: u64, at: Timestamp) -> Result<(), Failure> {
        let sql = "UPDATE erasures SET finished_at = coalesce(finished_at, ?2) WHERE number = ?1";
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.dirty = true;
        match self.statement(sql)?.execute(params![number, at.as_micros()])? {
            0 => Err(damaged(&format!("there is no erasure {number}"))),
            _ => Ok(()),
        }
    }

    /// Every check comes before the first write.
    pub(crate) fn wipe(&mut self, rows: &WipeRows) -> Result<Wiped, Failure> {
        let current = self.ledger.epoch;
        if rows.settlements.iter().any(|settlement| settlement.epoch != current) {
            return Ok(Wiped::Fenced { current });
        }
        let Some(standing) = self.standing_lead(rows.lead)? else { return Ok(Wiped::Unknown) };
        let (lead, ids) = decode_lead(rows.lead, &standing.record, &self.names.words).map_err(unreadable)?;
        if !self.are_current(rows, &ids)? {
            return Ok(Wiped::Stale);
        }
        for settlement in &rows.settlements {
            self.wipe_history(settlement.delivery.id)?;
            self.settle(settlement)?;
        }
        self.wipe_lead(&lead, &standing, &rows.tombstone)?;
        Ok(Wiped::Applied)
    }

    fn standing_lead(&self, id: LeadId) -> Result<Option<Standing>, Failure> {
        let sql = "SELECT record, terms, dedupe_key FROM leads WHERE id = ?1";
        let standing = self.statement(sql)?.query_row([id.raw()], |row| {
            Ok(Standing { record: row.get(0)?, terms: row.get(1)?, dedupe_key: row.get(2)? })
        });
        Ok(standing.optional()?)
    }

    fn are_current(&mut self, rows: &WipeRows, ids: &[DeliveryId]) -> Result<bool, Failure> {
        let given = |id: &DeliveryId| rows.settlements.iter().any(|settlement| settlement.delivery.id == id.raw());
        if ids.len() != rows.settlements.len() || !ids.iter().all(given) {
            return Ok(false);
        }
        for settlement in &rows.settlements {
            let before = self.standing(settlement.delivery.id)?;
            if before.and_then(|before| before.version.checked_add(1)) != Some(settlement.delivery.version) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn wipe_history(&self, delivery: i64) -> Result<(), Failure> {
        let lines: Vec<(u32, Vec<u8>)> = self
            .statement("SELECT seq, record FROM history WHERE delivery = ?1")?
            .query_map([delivery], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (seq, record) in lines {
            let entry = decode_entry(&record, &self.names.words).map_err(unreadable)?;
            let record = encode_entry(&wiped(entry), &self.names.words);
            self.statement("UPDATE history SET record = ?3 WHERE delivery = ?1 AND seq = ?2")?
                .execute(params![delivery, seq, record])?;
        }
        Ok(())
    }

    fn wipe_lead(&self, lead: &Lead, standing: &Standing, tombstone: &Tombstone) -> Result<(), Failure> {
        let record = wipe_lead(&standing.record, tombstone).map_err(unreadable)?;
        self.statement("UPDATE leads SET record = ?2, terms = NULL, dedupe_key = NULL WHERE id = ?1")?
            .execute(params![lead.id.raw(), record])?;
        let terms = TermRow::parted(standing.terms.as_deref().unwrap_or_default()).map_err(Failure::Record)?;
        for row in terms {
            self.statement("DELETE FROM terms WHERE period = ?1 AND term = ?2 AND owner = ?3")?.execute(params![
                period(row.owner),
                row.term.as_bytes(),
                row.owner
            ])?;
        }
        if let Some(key) = &standing.dedupe_key {
            let flow = self.names.words.number(lead.flow.as_str());
            self.statement("DELETE FROM idempotency WHERE flow = ?1 AND key = ?2 AND lead = ?3")?.execute(params![
                flow,
                key,
                lead.id.raw()
            ])?;
        }
        Ok(())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unreadable(error: steadfast_store::record::RecordError) -> Failure {
    Failure::Record(error.into())
}
