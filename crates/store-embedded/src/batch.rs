//! One transaction: many changes, each applied whole or answered with why not.
//!
//! Every check comes before the first write of its change, so that a refused change leaves nothing behind. What cannot be
//! foreseen fails the whole transaction and is sorted out by the writer.

use crate::forget::TermRow;
use crate::names::{KINDS, Names};
use crate::rows::{AcceptRows, Change, DeliveryRow, MovedRows, SettleRows, TiedRows};
use crate::standing::{Known, Standing, Written, learn};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use steadfast_lead::{DeliveryId, LeadId, Timestamp};
use steadfast_retry::Epoch;
use steadfast_store::record::decode_delivery;
use steadfast_store::{Accepted, ConfigVersion, Cursor, Pruned, Settled, StoreError, Wiped};

/// Guards looked at for every one written, so that forgotten ones go in small steps and never pile up.
const GUARDS_SWEPT_PER_NEW: i64 = 4;

/// What became of one change.
pub(crate) enum Answer {
    Accepted(Accepted),
    Settled(Settled),
    Saved(u64),
    Wiped(Wiped),
    Pruned(Pruned),
    Done,
}

/// Why a transaction cannot go on.
pub(crate) enum Failure {
    /// SQLite said so.
    Sqlite(rusqlite::Error),
    /// What stands in the store cannot be understood.
    Record(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

/// What the writer knows between transactions; changed only after a commit.
pub(crate) struct Ledger {
    pub(crate) epoch: Epoch,
    /// The last row of the journal.
    pub(crate) journal_row: i64,
    /// Marks that stand in the store.
    pub(crate) taken: BTreeSet<i64>,
    /// How deliveries stand that will change soon.
    pub(crate) known: Known,
    /// How many names of each dictionary stand in the table.
    pub(crate) names_kept: [usize; 3],
    /// Where the sweep for forgotten guards goes on.
    pub(crate) swept_to: (i64, String),
    /// Whether anybody was ever erased: while nobody was, nobody is looked for.
    pub(crate) any_barred: bool,
}

/// Where a delivery is counted: its route, whether it is a test lead's, and its state.
pub(crate) type Place = (u32, bool, u8);

/// One transaction under way.
pub(crate) struct Batch<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) names: &'a Names,
    pub(crate) ledger: &'a Ledger,
    lines: Vec<u8>,
    line_count: u64,
    counts: BTreeMap<Place, i64>,
    pruned: BTreeMap<Place, i64>,
    pub(crate) marks: HashMap<i64, bool>,
    pub(crate) written: Written,
    names_kept: [usize; 3],
    guards_new: i64,
    now: Timestamp,
    swept_to: Option<(i64, String)>,
    pub(crate) any_barred: bool,
    pub(crate) dirty: bool,
    held: Vec<(&'static str, CachedStatement<'a>)>,
}

impl<'a> Batch<'a> {
    pub(crate) fn begin(connection: &'a Connection, names: &'a Names, ledger: &'a Ledger) -> Result<Self, Failure> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Batch {
            connection,
            names,
            ledger,
            lines: Vec::new(),
            line_count: 0,
            counts: BTreeMap::new(),
            pruned: BTreeMap::new(),
            marks: HashMap::new(),
            written: Written::default(),
            names_kept: ledger.names_kept,
            guards_new: 0,
            now: Timestamp::MIN,
            swept_to: None,
            any_barred: ledger.any_barred,
            dirty: false,
            held: Vec::new(),
        })
    }

    /// Takes marks along that an earlier transaction had no room for.
    pub(crate) fn carry(&mut self, marks: &[DeliveryId]) {
        self.marks.extend(marks.iter().map(|delivery| (delivery.raw(), true)));
    }

    /// Applies one change.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<Answer, Failure> {
        match change {
            Change::Accept(rows, _) => self.accept(rows).map(Answer::Accepted),
            Change::Settle(rows, _) => self.settle(rows).map(Answer::Settled),
            Change::Take(delivery, _) => {
                self.marks.insert(delivery.raw(), true);
                Ok(Answer::Done)
            }
            Change::Config(config, _) => self.save_config(config).map(Answer::Saved),
            Change::BeginErasure(erasure, _) => self.begin_erasure(erasure).map(Answer::Saved),
            Change::Wipe(rows, _) => self.wipe(rows).map(Answer::Wiped),
            Change::FinishErasure(number, at, _) => self.finish_erasure(*number, *at).map(|()| Answer::Done),
            Change::Protect(rows, _) => self.protect(rows).map(|()| Answer::Done),
            Change::Prune(rows, _) => self.prune(rows).map(Answer::Pruned),
            Change::Bookmark(reader, at, _) => {
                let sql = "INSERT OR REPLACE INTO bookmarks (reader, at) VALUES (?1, ?2)";
                self.statement(sql)?.execute(params![reader, at.0.cast_signed()])?;
                Ok(Answer::Done)
            }
            Change::PruneCaps(before, _) => self.prune_caps(*before).map(Answer::Saved),
            Change::Scrub(..) => Ok(Answer::Done),
            Change::Close(_) => {
                self.statement("UPDATE meta SET clean = 1")?.execute([])?;
                Ok(Answer::Done)
            }
        }
    }

    pub(crate) fn statement(&self, sql: &str) -> Result<CachedStatement<'a>, Failure> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    /// A statement that change after change needs, kept for the whole transaction: taking one from the connection's cache and
    /// giving it back costs as much as a short one itself. Told by where its text stands.
    pub(crate) fn held(&mut self, sql: &'static str) -> Result<&mut CachedStatement<'a>, Failure> {
        let known = self.held.iter().position(|(text, _)| std::ptr::eq(*text, sql));
        let place = match known {
            Some(place) => place,
            None => {
                self.held.push((sql, self.connection.prepare_cached(sql)?));
                self.held.len() - 1
            }
        };
        Ok(&mut self.held[place].1)
    }

    fn accept(&mut self, rows: &AcceptRows) -> Result<Accepted, Failure> {
        if let Some(at) = self.barred(rows)? {
            return Ok(Accepted::Erased { at });
        }
        if let Some(before) = self.guarded(rows)? {
            return Ok(before);
        }
        let key = rows.dedupe.as_ref().map(|row| &row.guard.key);
        self.held("INSERT INTO leads (id, record, terms, dedupe_key) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            rows.lead,
            rows.record,
            TermRow::joined(&rows.terms),
            key
        ])?;
        self.keep_terms(&rows.terms)?;
        for row in &rows.deliveries {
            self.insert(row)?;
        }
        self.line(&rows.event);
        self.now = self.now.max(rows.accepted_at);
        Ok(Accepted::New)
    }

    /// What an acceptance under the same key made before; otherwise keeps the guard.
    fn guarded(&mut self, rows: &AcceptRows) -> Result<Option<Accepted>, Failure> {
        let Some(row) = &rows.dedupe else { return Ok(None) };
        let known: Option<([u8; 32], i64, i64)> = self
            .statement("SELECT digest, until, lead FROM idempotency WHERE flow = ?1 AND key = ?2")?
            .query_row(params![row.flow, row.guard.key], |known| Ok((known.get(0)?, known.get(1)?, known.get(2)?)))
            .optional()?;
        if let Some((digest, until, lead)) = known
            && until >= rows.accepted_at.as_micros()
        {
            let lead = LeadId::from_raw(lead).ok_or_else(|| damaged("a guard names no lead"))?;
            let same = digest == row.guard.digest;
            return Ok(Some(if same { Accepted::Replay { lead } } else { Accepted::KeyReused { lead } }));
        }
        let until = row.guard.until.as_micros();
        self.statement(
            "INSERT OR REPLACE INTO idempotency (flow, key, digest, until, lead) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![row.flow, row.guard.key, row.guard.digest, until, rows.lead])?;
        self.guards_new += 1;
        Ok(None)
    }

    fn insert(&mut self, row: &DeliveryRow) -> Result<(), Failure> {
        let sql = "INSERT INTO deliveries (id, route, state, endpoint, class, kind, version, next_look, record)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.held(sql)?.execute(params![
            row.id,
            row.route,
            row.state,
            row.endpoint,
            row.class,
            row.kind,
            row.version,
            row.next_look,
            row.record
        ])?;
        self.wrote(row);
        self.count((row.route, row.test, row.state), 1);
        Ok(())
    }

    pub(crate) fn settle(&mut self, rows: &SettleRows) -> Result<Settled, Failure> {
        let row = &rows.delivery;
        if rows.epoch != self.ledger.epoch {
            return Ok(Settled::Fenced { current: self.ledger.epoch });
        }
        let Some(before) = self.standing(row.id)? else { return Ok(Settled::Stale { now: None }) };
        if before.version.checked_add(1) != Some(row.version) {
            return self.stale(row.id);
        }
        let others = match rows.tied.as_deref().map(|tied| self.others(tied)) {
            None => Vec::new(),
            Some(others) => match others? {
                Some(others) => others,
                None => return Ok(Settled::OthersChanged),
            },
        };
        self.change(row, &before, &rows.entry)?;
        if let Some((endpoint, until)) = rows.pause {
            let sql = "INSERT INTO pauses (endpoint, until) VALUES (?1, ?2)
                       ON CONFLICT DO UPDATE SET until = max(until, excluded.until)";
            self.statement(sql)?.execute(params![endpoint, until])?;
        }
        if let Some(change) = &rows.caps {
            self.count_caps(row.id, change)?;
        }
        self.marks.insert(row.id, false);
        self.line(&rows.event);
        for (moved, before) in others {
            self.change(&moved.delivery, &before, &moved.entry)?;
            self.line(&moved.event);
        }
        Ok(Settled::Applied)
    }

    /// The deliveries that move with a settlement, each with how it stands; `None` where one of those seen has changed.
    fn others<'r>(&mut self, tied: &'r TiedRows) -> Result<Option<Vec<(&'r MovedRows, Standing)>>, Failure> {
        let mut moving = Vec::with_capacity(tied.moved.len());
        for (id, version) in &tied.seen {
            let Some(standing) = self.standing(*id)?.filter(|standing| standing.version == *version) else {
                return Ok(None);
            };
            moving.extend(tied.moved.iter().find(|moved| moved.delivery.id == *id).map(|moved| (moved, standing)));
        }
        Ok(Some(moving))
    }

    /// Writes a delivery as it is after a change, and the line for its history.
    fn change(&mut self, row: &DeliveryRow, before: &Standing, entry: &[u8]) -> Result<(), Failure> {
        self.update(row, before)?;
        self.wrote(row);
        let sql = "INSERT INTO history (delivery, seq, record) VALUES (?1, ?2, ?3)";
        self.held(sql)?.execute(params![row.id, row.version, entry])?;
        // A delivery is of a test lead, or is not, for ever.
        self.count((before.route, row.test, before.state), -1);
        self.count((row.route, row.test, row.state), 1);
        Ok(())
    }

    fn stale(&self, id: i64) -> Result<Settled, Failure> {
        let record: Vec<u8> =
            self.statement("SELECT record FROM deliveries WHERE id = ?1")?.query_row([id], |row| row.get(0))?;
        let id = DeliveryId::from_raw(id).ok_or_else(|| damaged("a delivery's id is negative"))?;
        let now = decode_delivery(id, &record, &self.names.words).map_err(|error| Failure::Record(error.into()))?;
        Ok(Settled::Stale { now: Some(Box::new(now)) })
    }

    /// Writes the row anew; what is not changed is not named, because SQLite rewrites an index whose columns are.
    fn update(&mut self, row: &DeliveryRow, before: &Standing) -> Result<(), Failure> {
        let same_place = (row.route, row.endpoint, row.kind) == (before.route, before.endpoint, before.kind);
        if same_place && row.class != before.class {
            self.statement(
                "UPDATE deliveries SET state = ?2, version = ?3, next_look = ?4, record = ?5, class = ?6 WHERE id = ?1",
            )?
            .execute(params![row.id, row.state, row.version, row.next_look, row.record, row.class])?;
            return Ok(());
        }
        if same_place {
            self.held("UPDATE deliveries SET state = ?2, version = ?3, next_look = ?4, record = ?5 WHERE id = ?1")?
                .execute(params![row.id, row.state, row.version, row.next_look, row.record])?;
            return Ok(());
        }
        let sql = "UPDATE deliveries SET state = ?2, version = ?3, next_look = ?4, record = ?5,
                   route = ?6, endpoint = ?7, class = ?8, kind = ?9 WHERE id = ?1";
        self.statement(sql)?.execute(params![
            row.id,
            row.state,
            row.version,
            row.next_look,
            row.record,
            row.route,
            row.endpoint,
            row.class,
            row.kind
        ])?;
        Ok(())
    }

    fn save_config(&mut self, config: &ConfigVersion) -> Result<u64, Failure> {
        let sql = "INSERT INTO configs (version, at, by, text)
                   VALUES ((SELECT coalesce(max(version), 0) + 1 FROM configs), ?1, ?2, ?3) RETURNING version";
        let at = config.at.as_micros();
        let version: i64 = self.statement(sql)?.query_row(params![at, config.by, config.text], |row| row.get(0))?;
        self.dirty = true;
        Ok(u64::try_from(version).unwrap_or(0))
    }

    pub(crate) fn count(&mut self, place: Place, by: i64) {
        *self.counts.entry(place).or_insert(0) += by;
    }

    /// One that had ended there is deleted.
    pub(crate) fn count_pruned(&mut self, place: Place) {
        *self.pruned.entry(place).or_insert(0) += 1;
    }

    pub(crate) fn line(&mut self, record: &[u8]) {
        crate::journal::push_line(&mut self.lines, record);
        self.line_count += 1;
    }

    /// Writes what was gathered, and commits. After this it is on disk.
    pub(crate) fn commit(mut self, committed_at: Timestamp) -> Result<Committed, Failure> {
        self.keep_names()?;
        self.keep_counts()?;
        let taken = self.changed_marks();
        self.sweep_guards()?;
        let journal_row = self.keep_lines()?;
        if self.dirty || taken.is_some() {
            self.keep_end(committed_at, taken.as_ref())?;
        }
        self.statement("COMMIT")?.execute([])?;
        let Batch { names_kept, swept_to, line_count, any_barred, written, .. } = self;
        Ok(Committed { journal_row, line_count, names_kept, taken, written, swept_to, any_barred })
    }

    fn keep_names(&mut self) -> Result<(), Failure> {
        let dictionaries = self.names.all();
        for ((kind, dictionary), kept) in KINDS.into_iter().zip(dictionaries).zip(&mut self.names_kept) {
            for text in dictionary.since(*kept) {
                let number = i64::try_from(*kept).unwrap_or(i64::MAX);
                self.connection
                    .prepare_cached("INSERT INTO names (kind, number, text) VALUES (?1, ?2, ?3)")?
                    .execute(params![kind, number, text])?;
                *kept += 1;
                self.dirty = true;
            }
        }
        Ok(())
    }

    fn keep_counts(&mut self) -> Result<(), Failure> {
        let sql = "INSERT INTO counts (route, test, state, n) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET n = n + excluded.n";
        for ((route, test, state), by) in std::mem::take(&mut self.counts).into_iter().filter(|(_, by)| *by != 0) {
            self.held(sql)?.execute(params![route, test, state, by])?;
        }
        let sql = "INSERT INTO pruned (route, test, state, n) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET n = n + excluded.n";
        for ((route, test, state), by) in &self.pruned {
            self.statement(sql)?.execute(params![route, test, state, by])?;
        }
        Ok(())
    }

    fn sweep_guards(&mut self) -> Result<(), Failure> {
        if self.guards_new == 0 {
            return Ok(());
        }
        let steps = self.guards_new * GUARDS_SWEPT_PER_NEW;
        let sql = "SELECT flow, key, until FROM idempotency WHERE (flow, key) > (?1, ?2) ORDER BY flow, key LIMIT ?3";
        let (flow, key) = &self.ledger.swept_to;
        let seen: Vec<(i64, String, i64)> = self
            .statement(sql)?
            .query_map(params![flow, key, steps], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (flow, key, _) in seen.iter().filter(|(_, _, until)| *until < self.now.as_micros()) {
            self.statement("DELETE FROM idempotency WHERE flow = ?1 AND key = ?2")?.execute(params![flow, key])?;
        }
        let last = seen.into_iter().last().map(|(flow, key, _)| (flow, key));
        self.swept_to = Some(last.unwrap_or((-1, String::new())));
        Ok(())
    }

    fn keep_lines(&mut self) -> Result<i64, Failure> {
        if self.line_count == 0 {
            return Ok(self.ledger.journal_row);
        }
        let row = self.ledger.journal_row + 1;
        let lines = std::mem::take(&mut self.lines);
        self.held("INSERT INTO journal (seq, lines) VALUES (?1, ?2)")?.execute(params![row, lines])?;
        self.dirty = true;
        Ok(row)
    }
}

/// What a commit changed of the [`Ledger`].
pub(crate) struct Committed {
    journal_row: i64,
    line_count: u64,
    names_kept: [usize; 3],
    taken: Option<BTreeSet<i64>>,
    written: Written,
    swept_to: Option<(i64, String)>,
    any_barred: bool,
}

impl Ledger {
    /// Takes over what was committed; answers with the journal's new end, if it has one.
    pub(crate) fn take_over(&mut self, committed: Committed) -> Option<Cursor> {
        let Committed { journal_row, line_count, names_kept, taken, written, swept_to, any_barred } = committed;
        self.journal_row = journal_row;
        self.any_barred = any_barred;
        self.names_kept = names_kept;
        self.swept_to = swept_to.unwrap_or_else(|| std::mem::take(&mut self.swept_to));
        learn(&mut self.known, written);
        if let Some(taken) = taken {
            self.taken = taken;
        }
        line_count.checked_sub(1).map(|last| crate::journal::cursor(journal_row, last))
    }
}

pub(crate) fn damaged(detail: &str) -> Failure {
    Failure::Record(StoreError::Unreadable { detail: detail.to_owned() })
}
