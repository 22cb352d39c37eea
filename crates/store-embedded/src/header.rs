//! What a file is, from its first bytes, before SQLite may touch it: ours, of which format, and whole.

use crate::schema::{APPLICATION_ID, FORMAT};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;
const LOG_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is none, or none that anything was written to.
    Nothing,
    /// A store of a format this version reads, as far as the header says.
    Readable,
    /// Not a Steadfast store.
    Foreign,
    /// Written by a later version.
    Newer { format: u32 },
    /// Shorter than it says it is.
    Truncated { expected_bytes: u64, found_bytes: u64 },
}

/// Looks at a store's file and its write-ahead log.
pub(crate) fn inspect(file: &Path, log: &Path) -> io::Result<Found> {
    let mut opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let found_bytes = opened.metadata()?.len();
    if found_bytes == 0 {
        return Ok(Found::Nothing);
    }
    let mut header = [0; HEADER_BYTES];
    if opened.read_exact(&mut header).is_err() || !header.starts_with(MAGIC) {
        return Ok(Found::Foreign);
    }
    let (application, format) = (number(&header, 68), number(&header, 60));
    // Zero is what a store has whose making was cut off: SQLite looks into its log.
    if application != APPLICATION_ID && application != 0 {
        return Ok(Found::Foreign);
    }
    if application == APPLICATION_ID && format > FORMAT {
        return Ok(Found::Newer { format });
    }
    missing(&header, found_bytes, log)
}

/// Whether pages are missing that are not in the log either.
fn missing(header: &[u8; HEADER_BYTES], found_bytes: u64, log: &Path) -> io::Result<Found> {
    let page_bytes = match u64::from(number(header, 16) >> 16) {
        1 => 65_536,
        bytes => bytes,
    };
    let frames = Frames::read(log, page_bytes)?;
    let pages = frames.database_pages.unwrap_or(number(header, 28));
    let present = found_bytes.checked_div(page_bytes).unwrap_or(0);
    let first_absent = u32::try_from(present + 1).unwrap_or(u32::MAX);
    if (first_absent..=pages).all(|page| frames.pages.contains(&page)) {
        return Ok(Found::Readable);
    }
    Ok(Found::Truncated { expected_bytes: u64::from(pages) * page_bytes, found_bytes })
}

/// The pages a write-ahead log holds.
#[derive(Default)]
struct Frames {
    pages: HashSet<u32>,
    /// How large the last commit in it says the database is.
    database_pages: Option<u32>,
}

impl Frames {
    fn read(log: &Path, page_bytes: u64) -> io::Result<Self> {
        let mut log = match File::open(log) {
            Ok(log) => BufReader::new(log),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Frames::default()),
            Err(error) => return Err(error),
        };
        let mut header = [0; LOG_HEADER_BYTES];
        let mut frames = Frames::default();
        if log.read_exact(&mut header).is_err() {
            return Ok(frames);
        }
        let mut frame = [0; FRAME_HEADER_BYTES];
        let step = i64::try_from(page_bytes).unwrap_or(i64::MAX);
        // Frames left over from before the log was last reset carry other salts.
        while log.read_exact(&mut frame).is_ok() && frame[8..16] == header[16..24] {
            frames.pages.insert(number(&frame, 0));
            if number(&frame, 4) != 0 {
                frames.database_pages = Some(number(&frame, 4));
            }
            log.seek_relative(step)?;
        }
        Ok(frames)
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(four)
}
