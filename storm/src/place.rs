//! Where a run's store lies over all its restarts, and what a crash leaves of it.
//!
//! In a folder, a process that is killed leaves the files as they are: they are copied at that moment. A power cut leaves
//! what was synced, and of what was written since, any part: the log's sectors since the last answered commit are kept or
//! lost by the dice.

use crate::clock::StormClock;
use crate::dice::Dice;
use crate::disk::commit;
use crate::write::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steadfast_engine::Clock;
use steadfast_lead::NodeNumber;
use steadfast_retry::Seed;
use steadfast_store::{MemoryStore, Store, TermKey};
use steadfast_store_embedded::{EmbeddedStore, Options};
use tempfile::TempDir;

/// Which store a run stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The store in memory.
    Memory,
    /// The embedded store, in a folder of its own.
    Embedded,
}

impl Kind {
    /// Both.
    pub const ALL: [Kind; 2] = [Kind::Memory, Kind::Embedded];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Memory => "memory",
            Kind::Embedded => "embedded",
        }
    }

    /// From its word.
    pub fn from_name(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How a process ends without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// It is killed; what it had written stays.
    Killed,
    /// The power fails; what was not synced may be gone.
    PowerCut,
}

/// Where the store lies.
pub(crate) enum Place {
    Memory(Arc<MemoryStore>),
    Folder { root: TempDir, number: u32 },
}

const FILES: [&str; 2] = ["steadfast.db", "steadfast.db-wal"];
const LOG_HEADER_BYTES: usize = 32;
const SECTOR_BYTES: usize = 512;

impl Place {
    pub(crate) fn new(kind: Kind, seed: u64) -> Result<Self, String> {
        match kind {
            Kind::Memory => Ok(Place::Memory(MemoryStore::new(Seed(seed), NodeNumber(0)))),
            Kind::Embedded => {
                // Syncing costs nothing in memory; what is lost is decided here, not by a disk.
                let quick = Path::new("/dev/shm");
                let root = if quick.is_dir() { TempDir::new_in(quick) } else { TempDir::new() };
                Ok(Place::Folder { root: root.map_err(|error| error.to_string())?, number: 0 })
            }
        }
    }

    /// Opens it, as a start of the server does.
    pub(crate) fn open(&mut self, seed: u64, clock: &StormClock) -> Result<Arc<dyn Store>, String> {
        match self {
            Place::Memory(memory) => {
                *memory = memory.reopen();
                Ok(Arc::clone(memory) as _)
            }
            Place::Folder { root, number } => {
                let clock = clock.clone();
                let options = Options::new(seed, TermKey::new([7; 32]), NodeNumber(0), Arc::new(move || clock.now()));
                let options = Options { cache_bytes: 4 << 20, readers: 1, ..options };
                let store = EmbeddedStore::open(&folder(root, *number), options).map_err(|error| error.to_string())?;
                Ok(store as _)
            }
        }
    }

    /// What a crash leaves, with `left` still on its way to the disk: a beginning of it may have arrived. The next opening
    /// finds that.
    pub(crate) fn crash(
        &mut self,
        crash: Crash,
        store: &dyn Store,
        mut left: Vec<Box<dyn Write>>,
        dice: &mut Dice,
    ) -> Result<(), String> {
        let arrives = if dice.chance(40) { 0 } else { dice.place(left.len() + 1) };
        let left = left.get_mut(..arrives).unwrap_or_default();
        let Place::Folder { root, number } = self else {
            commit(store, left);
            return Ok(());
        };
        let (from, to) = (folder(root, *number), folder(root, *number + 1));
        *number += 1;
        let before = read(&from)?;
        // One after the other: how many share a transaction depends on threads, and what is torn should not.
        left.iter_mut().for_each(|write| commit(store, std::slice::from_mut(write)));
        let after = read(&from)?;
        let kept = match crash {
            Crash::Killed => after,
            Crash::PowerCut => torn(before, after, dice),
        };
        std::fs::create_dir(&to).map_err(|error| error.to_string())?;
        for (name, bytes) in FILES.iter().zip(kept) {
            std::fs::write(to.join(name), bytes).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn folder(root: &TempDir, number: u32) -> PathBuf {
    root.path().join(number.to_string())
}

/// The main file and its log, as they are on disk.
fn read(folder: &Path) -> Result<[Vec<u8>; 2], String> {
    let bytes = |name: &str| match std::fs::read(folder.join(name)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        bytes => bytes.map_err(|error| error.to_string()),
    };
    Ok([bytes(FILES[0])?, bytes(FILES[1])?])
}

/// Any part of what was written since. Where the log was begun anew in between, there was a sync in between as well, and it
/// is all or nothing.
fn torn(before: [Vec<u8>; 2], after: [Vec<u8>; 2], dice: &mut Dice) -> [Vec<u8>; 2] {
    let (whole, all, cut) = (dice.chance(20), dice.chance(50), dice.chance(50));
    let same_log = before[1].get(..LOG_HEADER_BYTES) == after[1].get(..LOG_HEADER_BYTES);
    if !same_log || whole {
        return if all { after } else { before };
    }
    let ([main, mut log], [_, written]) = (before, after);
    let synced = log.len();
    log.resize(written.len().max(log.len()), 0);
    let differ: Vec<usize> =
        (0..written.len()).step_by(SECTOR_BYTES).filter(|at| sector(&log, *at) != sector(&written, *at)).collect();
    for at in &differ {
        if dice.chance(70) {
            let length = sector(&written, *at).len();
            log[*at..*at + length].copy_from_slice(sector(&written, *at));
        }
    }
    // A file may have grown by less than was written.
    if let Some(end) = differ.get(dice.place(differ.len())).filter(|_| cut) {
        log.truncate(synced.max(*end));
    }
    [main, log]
}

fn sector(bytes: &[u8], at: usize) -> &[u8] {
    bytes.get(at..bytes.len().min(at + SECTOR_BYTES)).unwrap_or_default()
}
