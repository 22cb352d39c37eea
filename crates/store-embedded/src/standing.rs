//! How deliveries stand that will change soon: only the one who writes changes them, and so what it wrote last need not be
//! read again.

use crate::batch::{Batch, Failure};
use crate::rows::DeliveryRow;
use foldhash::quality::RandomState;
use rusqlite::OptionalExtension;
use std::collections::HashMap;

/// How many are remembered, at most.
const KNOWN_MAX: usize = 8_192;

/// What a settlement is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) version: u32,
    pub(crate) route: u32,
    pub(crate) state: u8,
    pub(crate) endpoint: u32,
    pub(crate) class: u8,
    pub(crate) kind: u8,
}

/// Deliveries by id, with how they stand.
pub(crate) type Known = HashMap<i64, Standing, RandomState>;

/// What a transaction wrote: how a delivery stands then, `None` where it is better read again.
pub(crate) type Written = HashMap<i64, Option<Standing>, RandomState>;

/// Remembers what was committed.
pub(crate) fn learn(known: &mut Known, written: Written) {
    for (id, standing) in written {
        match standing {
            Some(standing) => known.insert(id, standing),
            None => known.remove(&id),
        };
    }
    if known.len() > KNOWN_MAX {
        known.clear();
    }
}

impl Batch<'_> {
    /// How a delivery stands within this transaction.
    pub(crate) fn standing(&mut self, id: i64) -> Result<Option<Standing>, Failure> {
        let known = match self.written.get(&id) {
            Some(written) => *written,
            None => self.ledger.known.get(&id).copied(),
        };
        if known.is_some() {
            return Ok(known);
        }
        let sql = "SELECT version, route, state, endpoint, class, kind FROM deliveries WHERE id = ?1";
        let standing = self.held(sql)?.query_row([id], |row| {
            Ok(Standing {
                version: row.get(0)?,
                route: row.get(1)?,
                state: row.get(2)?,
                endpoint: row.get(3)?,
                class: row.get(4)?,
                kind: row.get(5)?,
            })
        });
        Ok(standing.optional()?)
    }

    /// One that goes on will be asked about again.
    pub(crate) fn wrote(&mut self, row: &DeliveryRow) {
        let DeliveryRow { version, route, state, endpoint, class, kind, .. } = *row;
        let standing = Standing { version, route, state, endpoint, class, kind };
        self.written.insert(row.id, row.next_look.map(|_| standing));
    }
}

#[cfg(test)]
mod tests {
    use super::{KNOWN_MAX, Known, Standing, learn};

    #[test]
    fn what_is_remembered_has_a_bound() {
        let one = Standing { version: 1, route: 0, state: 0, endpoint: 0, class: 0, kind: 0 };
        let mut known = Known::default();
        for id in 0..i64::try_from(3 * KNOWN_MAX).unwrap() {
            learn(&mut known, [(id, Some(one))].into_iter().collect());
            assert!(known.len() <= KNOWN_MAX);
        }
        learn(&mut known, [(1, Some(one)), (2, Some(one))].into_iter().collect());
        learn(&mut known, [(1, None)].into_iter().collect());
        assert!(!known.contains_key(&1) && known.contains_key(&2));
    }
}
