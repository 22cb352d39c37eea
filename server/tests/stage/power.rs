//! Power cuts: what a real process wrote and synced is recorded from the system's side, and what was not synced is dropped.
//!
//! `strace` writes down every write to the store's files with its bytes, and every sync. After the process was killed the files
//! are made anew: what was synced stands; of each write that was not, any sector of 512 bytes may be there or not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const FILES: [&str; 2] = ["steadfast.db", "steadfast.db-wal"];
const SECTOR_BYTES: usize = 512;

/// Whether calls can be recorded on this machine.
pub fn may_record() -> bool {
    Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success())
}

/// Something done to a file.
enum Op {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

/// One file: what is on disk for certain, and what was done to it since.
#[derive(Default)]
struct Recorded {
    synced: Vec<u8>,
    pending: Vec<Op>,
    /// How many were synced before those.
    settled: usize,
}

impl Recorded {
    fn sync(&mut self, up_to: usize) {
        let done = up_to.saturating_sub(self.settled).min(self.pending.len());
        for op in self.pending.drain(..done) {
            apply(&mut self.synced, &op, |_| true);
        }
        self.settled += done;
    }
}

fn apply(content: &mut Vec<u8>, op: &Op, mut keeps: impl FnMut(usize) -> bool) {
    match op {
        Op::Truncate(length) if keeps(0) => content.resize(*length, 0),
        Op::Truncate(_) => {}
        Op::Write { offset, bytes } => {
            for (place, sector) in bytes.chunks(SECTOR_BYTES).enumerate().filter(|(place, _)| keeps(*place)) {
                let at = offset + place * SECTOR_BYTES;
                content.resize(content.len().max(at + sector.len()), 0);
                content[at..at + sector.len()].copy_from_slice(sector);
            }
        }
    }
}

/// What a power cut fell into.
#[derive(Debug)]
pub struct Cut {
    /// Writes and truncations that were not synced, of either file.
    pub unsynced: usize,
    /// Writes to the main file before it, synced or not: only copying the log makes any.
    pub copied: usize,
    /// Of those, the ones not synced: more than none in the middle of a copy.
    pub copied_unsynced: usize,
}

/// Records one process.
pub struct Recorder {
    trace: PathBuf,
    data: PathBuf,
    files: BTreeMap<String, Recorded>,
    /// Syncs under way, by thread: the file, and how many operations it covers.
    syncing: BTreeMap<String, (String, usize)>,
}

impl Recorder {
    /// Before a process starts on this folder's data. What is there is on disk.
    pub fn before(folder: &TempDir) -> Self {
        let data = folder.path().join("data");
        let recorded = |name: &&str| {
            let synced = std::fs::read(data.join(name)).unwrap_or_default();
            ((*name).to_owned(), Recorded { synced, ..Recorded::default() })
        };
        let files = FILES.iter().map(recorded).collect();
        Recorder { trace: folder.path().join("trace"), data, files, syncing: BTreeMap::new() }
    }

    /// What the process is started by.
    pub fn wrapper(&self) -> Vec<String> {
        let calls = "trace=pwrite64,ftruncate,fsync,fdatasync";
        let words = ["strace", "-D", "-f", "-q", "-y", "-xx", "-s", "1048576", "-e", calls, "-o"];
        words.iter().map(|word| (*word).to_owned()).chain([self.trace.display().to_string()]).collect()
    }

    /// When the main file was written last.
    pub fn main_written_at(&self) -> Option<SystemTime> {
        std::fs::metadata(self.data.join(FILES[0])).and_then(|file| file.modified()).ok()
    }

    /// Waits until the main file was written after `before`: the log is being copied into it.
    pub async fn copying_begins(&self, before: Option<SystemTime>) {
        let started = tokio::time::Instant::now();
        while self.main_written_at() == before {
            assert!(started.elapsed() < super::PATIENCE, "the log is never copied");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Drops what was not synced when the process `id` was killed. What the cut fell into.
    pub async fn cut_power(mut self, id: u32, seed: u64) -> Cut {
        let text = self.whole_trace(id).await;
        for line in text.lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            self.follow(thread, call.trim_start());
        }
        let mut dice = seed | 1;
        let mut throw = move || {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice.is_multiple_of(2)
        };
        let main = &self.files[FILES[0]];
        let copied_unsynced = main.pending.len();
        let mut cut = Cut { unsynced: 0, copied: main.settled + copied_unsynced, copied_unsynced };
        for (name, recorded) in self.files {
            let mut content = recorded.synced;
            cut.unsynced += recorded.pending.len();
            recorded.pending.iter().for_each(|op| apply(&mut content, op, |_| throw()));
            std::fs::write(self.data.join(name), content).unwrap();
        }
        let _none_left = std::fs::remove_file(self.data.join("steadfast.db-shm"));
        std::fs::remove_file(&self.trace).unwrap();
        cut
    }

    /// The recorder is a process of its own and may be a moment behind.
    async fn whole_trace(&self, id: u32) -> String {
        let started = tokio::time::Instant::now();
        loop {
            let text = std::fs::read_to_string(&self.trace).unwrap_or_default();
            let last = text.lines().rev().find(|line| line.starts_with(&format!("{id} ")));
            if last.is_some_and(|line| line.contains("+++ killed by SIGKILL +++")) {
                return text;
            }
            assert!(started.elapsed() < super::PATIENCE, "the trace of {id} has no end: {last:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn follow(&mut self, thread: &str, call: &str) {
        if call.contains("resumed>") {
            if let Some((name, up_to)) = self.syncing.remove(thread).filter(|_| call.ends_with("= 0")) {
                self.files.get_mut(&name).unwrap().sync(up_to);
            }
            return;
        }
        let Some((kind, rest)) = call.split_once('(') else { return };
        let path = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let Some((path, rest)) = path.and_then(|(path, rest)| Some((unhex(path)?, rest))) else { return };
        let name = Path::new(std::str::from_utf8(&path).unwrap_or_default()).file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let Some(file) = self.files.get_mut(&name) else { return };
        match kind {
            "pwrite64" => file.pending.extend(written(rest)),
            "ftruncate" => file.pending.extend(first_number(rest).map(Op::Truncate)),
            "fsync" | "fdatasync" if call.ends_with("= 0") => file.sync(file.settled + file.pending.len()),
            "fsync" | "fdatasync" => {
                self.syncing.insert(thread.to_owned(), (name, file.settled + file.pending.len()));
            }
            other => panic!("not recorded: {other}"),
        }
    }
}

/// From `, "\x00...", 4096, 8192) = 4096`.
fn written(rest: &str) -> Option<Op> {
    let (_, rest) = rest.split_once('"')?;
    let (bytes, rest) = rest.split_once('"')?;
    let bytes = unhex(bytes)?;
    let mut numbers = rest.split([',', ')', ' ']).filter(|word| !word.is_empty());
    let (length, offset): (usize, usize) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    assert_eq!(length, bytes.len(), "the trace cut bytes short");
    Some(Op::Write { offset, bytes })
}

fn first_number(rest: &str) -> Option<usize> {
    rest.split(|letter: char| !letter.is_ascii_digit()).find(|word| !word.is_empty())?.parse().ok()
}

/// Bytes from `\x2f\x74`.
fn unhex(text: &str) -> Option<Vec<u8>> {
    text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}
