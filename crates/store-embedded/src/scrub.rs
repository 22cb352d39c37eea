//! Copies that SQLite leaves behind: when it divides a page, rows move away and their old bytes stay in the page's gap, where
//! no deleting reaches them. Here the gaps are overwritten, some pages at a time, in the main file itself.
//!
//! Only ever called by the writer's thread, right after the whole log was copied into the main file: then nobody else
//! changes that file. A gap holds nothing that SQLite reads, so a reader, or a crash in between, meets nothing wrong.
//!
//! Must never: touch a page that is not certainly a page of a table or index.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

/// Pages looked at in one step: short enough that writes hardly wait.
const PAGES_PER_STEP: u64 = 2_048;
const PAGE_BYTES: usize = 4_096;
/// Beyond this many pages (128 GiB) the first byte of a page no longer tells a page of a table from one that carries on a
/// long row; then nothing is touched.
const PAGES_MAX: u64 = 0x0200_0000;
/// The header of the file, on its first page.
const FILE_HEADER_BYTES: usize = 100;

/// What one step did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The page the next step begins with; `None` after the last.
    pub(crate) next: Option<u64>,
    /// Gaps that were overwritten.
    pub(crate) overwritten: usize,
}

/// Overwrites gaps from a page on (the first is 0).
pub(crate) fn step(file: &mut File, from: u64) -> io::Result<Step> {
    let pages = file.metadata()?.len() / PAGE_BYTES as u64;
    if from >= pages || pages >= PAGES_MAX {
        return Ok(Step { next: None, overwritten: 0 });
    }
    let until = pages.min(from + PAGES_PER_STEP);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from * PAGE_BYTES as u64))?;
    Read::by_ref(file).take((until - from) * PAGE_BYTES as u64).read_to_end(&mut bytes)?;
    let mut overwritten = 0;
    for (page, number) in bytes.chunks_exact(PAGE_BYTES).zip(from..) {
        let header = if number == 0 { FILE_HEADER_BYTES } else { 0 };
        let Some(gap) = gap(page, header) else { continue };
        if page[gap.clone()].iter().all(|byte| *byte == 0) {
            continue;
        }
        file.seek(SeekFrom::Start(number * PAGE_BYTES as u64 + gap.start as u64))?;
        file.write_all(&[0; PAGE_BYTES][..gap.len()])?;
        overwritten += 1;
    }
    if overwritten > 0 {
        file.sync_data()?;
    }
    Ok(Step { next: (until < pages).then_some(until), overwritten })
}

/// The gap of a page between the places of its rows and the rows; `None` for a page that is not one of a table or index, or
/// does not add up.
fn gap(page: &[u8], header: usize) -> Option<Range<usize>> {
    let number = |at: usize| Some(usize::from(u16::from_be_bytes([*page.get(at)?, *page.get(at + 1)?])));
    let own = match page.get(header)? {
        2 | 5 => 12,
        10 | 13 => 8,
        _ => return None,
    };
    let (rows, content) = (number(header + 3)?, number(header + 5)?);
    let start = header + own + 2 * rows;
    if start > content || content > PAGE_BYTES {
        return None;
    }
    for row in 0..rows {
        number(header + own + 2 * row).filter(|place| *place >= content)?;
    }
    Some(start..content)
}

#[cfg(test)]
mod tests {
    use super::{PAGE_BYTES, Step, gap, step};
    use std::io::{Read, Seek, SeekFrom, Write};

    /// A page of a table with rows at these places, full of 7s.
    fn page(kind: u8, header: usize, places: &[u16], content: u16) -> Vec<u8> {
        let mut page = vec![7; PAGE_BYTES];
        page[header] = kind;
        page[header + 3..header + 5].copy_from_slice(&u16::try_from(places.len()).unwrap().to_be_bytes());
        page[header + 5..header + 7].copy_from_slice(&content.to_be_bytes());
        let own = if kind < 10 { 12 } else { 8 };
        for (place, at) in places.iter().zip(0..) {
            page[header + own + 2 * at..header + own + 2 * at + 2].copy_from_slice(&place.to_be_bytes());
        }
        page
    }

    #[test]
    fn a_gap_is_between_the_places_and_the_rows() {
        assert_eq!(gap(&page(13, 0, &[4_000, 3_900], 3_900), 0), Some(12..3_900));
        assert_eq!(gap(&page(5, 100, &[4_000], 3_800), 100), Some(114..3_800));
        assert_eq!(gap(&page(10, 0, &[], 4_096), 0), Some(8..4_096));
    }

    #[test]
    fn what_is_no_page_of_a_table_or_does_not_add_up_has_none() {
        for kind in [0, 1, 3, 12, 14, 255] {
            assert_eq!(gap(&page(kind, 0, &[4_000], 3_900), 0), None, "{kind}");
        }
        assert_eq!(gap(&page(13, 0, &[3_000], 3_900), 0), None, "a row before the rows begin");
        assert_eq!(gap(&page(13, 0, &[], 4), 0), None, "rows where the header is");
        assert_eq!(gap(&page(13, 0, &[], 5_000), 0), None, "rows beyond the page");
        assert_eq!(gap(&page(13, 0, &[], 0), 0), None, "no room");
    }

    #[test]
    fn a_file_is_gone_through_in_steps_and_only_gaps_change() {
        let mut file = tempfile::tempfile().unwrap();
        for number in 0..3_000 {
            let kind = if number % 2 == 0 { 13 } else { 0 };
            let header = if number == 0 { 100 } else { 0 };
            file.write_all(&page(kind, header, &[4_000], 3_000)).unwrap();
        }
        assert_eq!(step(&mut file, 0).unwrap(), Step { next: Some(2_048), overwritten: 1_024 });
        assert_eq!(step(&mut file, 2_048).unwrap(), Step { next: None, overwritten: 476 });
        assert_eq!(step(&mut file, 0).unwrap(), Step { next: Some(2_048), overwritten: 0 });
        assert_eq!(step(&mut file, 9_999).unwrap(), Step { next: None, overwritten: 0 });
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        let mut clean = page(13, 0, &[4_000], 3_000);
        clean[10..3_000].fill(0);
        assert_eq!(bytes[2 * PAGE_BYTES..3 * PAGE_BYTES], clean);
        assert_eq!(bytes[PAGE_BYTES..2 * PAGE_BYTES], page(0, 0, &[4_000], 3_000));
        assert_eq!(bytes[..100], [7; 100]);
    }
}
