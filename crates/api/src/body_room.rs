//! How much of all bodies that are coming in may be in memory at once, whoever sends them.
//!
//! Knows nothing of what a body says. One that finds no room is refused, not kept waiting: its sender comes again.

use crate::problem::{Problem, ProblemKind};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counted in units of this, in bytes: a semaphore holds no more than 2^29 of them.
const UNIT_BYTES: usize = 1_024;

/// Room for bodies, in all.
#[derive(Clone, Debug)]
pub(crate) struct BodyRoom(Arc<Semaphore>);

/// The part of it that one body has; given back when dropped.
#[derive(Debug)]
pub(crate) struct BodyPart {
    room: BodyRoom,
    held: Option<OwnedSemaphorePermit>,
    units: usize,
}

impl BodyRoom {
    /// For so many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        BodyRoom(Arc::new(Semaphore::new((bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS))))
    }

    /// A part that has nothing yet.
    pub(crate) fn part(&self) -> BodyPart {
        BodyPart { room: self.clone(), held: None, units: 0 }
    }
}

impl BodyPart {
    /// Has room for so many bytes from now on.
    ///
    /// # Errors
    /// 429 where others have it; the part stays as it was.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Problem> {
        let more = bytes.div_ceil(UNIT_BYTES).saturating_sub(self.units);
        if more == 0 {
            return Ok(());
        }
        let asked = u32::try_from(more).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.room.0).try_acquire_many_owned(asked).map_err(|_| {
            Problem::new(ProblemKind::Busy, "as many bodies are coming in as fit into memory").after_seconds(1)
        })?;
        // One permit, however many pieces a body comes in.
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        self.units += more;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_had_again() {
        let room = BodyRoom::of(4 * UNIT_BYTES);
        let (mut one, mut two) = (room.part(), room.part());
        one.grow_to(1).unwrap();
        one.grow_to(UNIT_BYTES).unwrap();
        two.grow_to(3 * UNIT_BYTES).unwrap();
        assert_eq!(one.grow_to(UNIT_BYTES + 1).unwrap_err().kind(), ProblemKind::Busy);
        drop(two);
        one.grow_to(4 * UNIT_BYTES).unwrap();
        assert!(room.part().grow_to(1).is_err());
    }
}
