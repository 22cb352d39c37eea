//! Guards and stops: one small row each.

use crate::batch::{Batch, Failure};
use crate::names::Names;
use crate::read;
use crate::rows::Change;
use crate::store::EmbeddedStore;
use rusqlite::params;
use steadfast_retry::{Event, Stop, StopTarget};
use steadfast_store::record::{encode_event, encode_guard, encode_stop};
use steadfast_store::{KeptGuard, Pending, Protection};

/// What becomes of the row.
pub(crate) enum ProtectionRow {
    Guard { endpoint: u32, record: Vec<u8> },
    Stop { target: String, record: Vec<u8> },
    StopEnded { target: String },
}

/// One row with its lines for the journal.
pub(crate) struct ProtectionRows {
    row: ProtectionRow,
    lines: Vec<Vec<u8>>,
}

impl ProtectionRows {
    fn of(row: ProtectionRow, events: &[Event], names: &Names) -> Box<Self> {
        let lines = events.iter().map(|event| encode_event(event, &names.words)).collect();
        Box::new(ProtectionRows { row, lines })
    }
}

impl Batch<'_> {
    pub(crate) fn protect(&mut self, rows: &ProtectionRows) -> Result<(), Failure> {
        match &rows.row {
            ProtectionRow::Guard { endpoint, record } => {
                let sql = "INSERT OR REPLACE INTO guards (endpoint, record) VALUES (?1, ?2)";
                self.statement(sql)?.execute(params![endpoint, record])?;
            }
            ProtectionRow::Stop { target, record } => {
                let sql = "INSERT OR REPLACE INTO stops (target, record) VALUES (?1, ?2)";
                self.statement(sql)?.execute(params![target, record])?;
            }
            ProtectionRow::StopEnded { target } => {
                self.statement("DELETE FROM stops WHERE target = ?1")?.execute([target])?;
            }
        }
        rows.lines.iter().for_each(|line| self.line(line));
        self.dirty = true;
        Ok(())
    }
}

impl Protection for EmbeddedStore {
    fn keep_guard(&self, guard: KeptGuard, events: Vec<Event>) -> Pending<()> {
        let endpoint = self.names.endpoint(&guard.endpoint);
        let row = ProtectionRow::Guard { endpoint, record: encode_guard(&guard.snapshot) };
        let rows = ProtectionRows::of(row, &events, &self.names);
        self.write(|reply| Change::Protect(rows, reply))
    }

    fn guards(&self) -> Pending<Vec<KeptGuard>> {
        self.ask(read::guards)
    }

    fn keep_stop(&self, stop: Stop, event: Event) -> Pending<()> {
        let row = ProtectionRow::Stop { target: stop.target.to_string(), record: encode_stop(&stop) };
        let rows = ProtectionRows::of(row, &[event], &self.names);
        self.write(|reply| Change::Protect(rows, reply))
    }

    fn end_stop(&self, target: StopTarget, event: Event) -> Pending<()> {
        let row = ProtectionRow::StopEnded { target: target.to_string() };
        let rows = ProtectionRows::of(row, &[event], &self.names);
        self.write(|reply| Change::Protect(rows, reply))
    }

    fn stops(&self) -> Pending<Vec<Stop>> {
        self.ask(|connection, _| read::stops(connection))
    }
}
