//! Which deliveries are taken and not settled, as one value: it is written with every commit that changes it, beside the
//! time of the commit, so that a mark costs no row of its own.

use crate::batch::{Batch, Failure};
use rusqlite::params;
use std::collections::BTreeSet;
use steadfast_lead::Timestamp;
use steadfast_store::StoreError;

const ID_BYTES: usize = size_of::<i64>();

/// As they are kept: eight bytes each, least first, in ascending order.
pub(crate) fn to_bytes(taken: &BTreeSet<i64>) -> Vec<u8> {
    taken.iter().flat_map(|id| id.to_le_bytes()).collect()
}

/// What was kept.
///
/// # Errors
/// When the value is cut off.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<BTreeSet<i64>, StoreError> {
    let (ids, []) = bytes.as_chunks::<ID_BYTES>() else {
        return Err(StoreError::Unreadable { detail: "the marks of taken deliveries are cut off".to_owned() });
    };
    Ok(ids.iter().map(|id| i64::from_le_bytes(*id)).collect())
}

impl Batch<'_> {
    /// The marks after this transaction, where it changed them. Those that were set and ended within it cost nothing.
    pub(crate) fn changed_marks(&mut self) -> Option<BTreeSet<i64>> {
        let marks = std::mem::take(&mut self.marks).into_iter();
        let mut taken = None;
        for (id, set) in marks.filter(|(id, set)| self.ledger.taken.contains(id) != *set) {
            let taken = taken.get_or_insert_with(|| self.ledger.taken.clone());
            if set {
                taken.insert(id)
            } else {
                taken.remove(&id)
            };
        }
        taken
    }

    /// Writes when the transaction ends, and which marks stand then.
    pub(crate) fn keep_end(&mut self, committed_at: Timestamp, taken: Option<&BTreeSet<i64>>) -> Result<(), Failure> {
        // The clock may have been set back: what was known stays known.
        let at = committed_at.as_micros();
        match taken {
            None => self
                .held("UPDATE meta SET last_commit_at = max(coalesce(last_commit_at, ?1), ?1)")?
                .execute(params![at])?,
            Some(taken) => self
                .held("UPDATE meta SET last_commit_at = max(coalesce(last_commit_at, ?1), ?1), taken = ?2")?
                .execute(params![at, to_bytes(taken)])?,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{from_bytes, to_bytes};

    #[test]
    fn what_is_kept_is_read_again() {
        for ids in [vec![], vec![7], vec![1, 2, i64::MAX]] {
            let taken = ids.into_iter().collect();
            assert_eq!(from_bytes(&to_bytes(&taken)).ok(), Some(taken));
        }
    }

    #[test]
    fn a_value_that_is_cut_off_is_refused() {
        assert!(from_bytes(&[0; 15]).is_err());
    }
}
