//! The records of a file, one at a time, each with its place: CSV under its header, or one JSON object a line.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::Path;
use steadfast_lead::{CsvHeader, CsvRead, CsvReader, CsvSettings, LineReader, write_object};

/// A line or record, at most, in bytes: as much as the server takes of one lead.
const RECORD_BYTES_MAX: usize = 1 << 20;
const BLOCK_BYTES: usize = 64 << 10;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns between commas, under a header.
    Csv,
    /// Columns between tabs, under a header.
    Tsv,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    /// By the ending of a file's name.
    pub(crate) fn by_name(path: &Path) -> Self {
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase()).unwrap_or_default();
        match ending.to_str() {
            Some("jsonl" | "ndjson" | "json") => Format::Jsonl,
            Some("tsv" | "tab") => Format::Tsv,
            Some(_) | None => Format::Csv,
        }
    }
}

/// How a file is to be read.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) format: Format,
    pub(super) delimiter: u8,
    pub(super) map: Vec<(String, String)>,
}

/// One record.
#[derive(Debug)]
pub(super) struct Record {
    /// The line it begins on, from 1.
    pub(super) line: u64,
    /// As it stands in the file.
    pub(super) raw: Vec<u8>,
    /// As a JSON object on one line; or why it is none.
    pub(super) lead: Result<Vec<u8>, String>,
    /// Where the next one begins.
    pub(super) end: u64,
    /// The line that begins there.
    pub(super) next_line: u64,
}

enum Reader {
    Csv { reader: CsvReader, header: CsvHeader },
    Lines(LineReader),
}

/// The records of a file.
pub(super) struct Records {
    file: File,
    reader: Reader,
    block: Vec<u8>,
    /// What of the block was read.
    used: usize,
    /// Where the block's first unread byte stands in the file.
    offset: u64,
    /// The record being read, as it stands in the file.
    raw: Vec<u8>,
    ended: bool,
}

impl Records {
    /// From a place on. The header of a CSV file is read in any case.
    ///
    /// # Errors
    /// When the file cannot be read, or its header cannot be used.
    pub(super) fn open(path: &Path, layout: Layout, offset: u64, line: u64) -> Result<Self> {
        let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let (reader, begin) = match layout.format {
            Format::Jsonl => (Reader::Lines(LineReader::resuming(RECORD_BYTES_MAX, line)), 0),
            Format::Csv | Format::Tsv => {
                let settings = CsvSettings {
                    delimiter: layout.delimiter,
                    record_bytes_max: RECORD_BYTES_MAX,
                    ..CsvSettings::LEADS
                };
                let (header, begin, first) = header(&mut file, settings, &layout.map)?;
                let line = if offset == 0 { first } else { line };
                (Reader::Csv { reader: CsvReader::resuming(settings, line), header }, begin)
            }
        };
        let offset = offset.max(begin);
        file.seek(SeekFrom::Start(offset))?;
        Ok(Records { file, reader, block: Vec::new(), used: 0, offset, raw: Vec::new(), ended: false })
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Record>> {
        loop {
            let unread = self.block.get(self.used..).unwrap_or_default();
            let mut input = unread;
            let read = self.reader.next(&mut input);
            let taken = unread.len() - input.len();
            self.raw.extend(unread.get(..taken).unwrap_or_default());
            self.used += taken;
            self.offset += u64::try_from(taken)?;
            if self.raw.len() > 2 * RECORD_BYTES_MAX && read.is_none() {
                // It is refused for its length anyway; enough is kept to find it.
                self.raw.truncate(RECORD_BYTES_MAX);
            }
            if let Some((line, lead)) = read {
                return Ok(Some(self.record(line, lead)));
            }
            if self.ended {
                return Ok(None);
            }
            if !self.fill()? {
                self.ended = true;
                let last = self.reader.finish();
                return Ok(last.map(|(line, lead)| self.record(line, lead)));
            }
        }
    }

    fn record(&mut self, line: u64, lead: Result<Vec<u8>, String>) -> Record {
        let raw = std::mem::take(&mut self.raw);
        Record { line, raw, lead, end: self.offset, next_line: self.reader.line() }
    }

    fn fill(&mut self) -> Result<bool> {
        self.block.resize(BLOCK_BYTES, 0);
        let read = self.file.read(&mut self.block).context("reading the file")?;
        self.block.truncate(read);
        self.used = 0;
        Ok(read > 0)
    }
}

/// The header, where the first record after it begins, and that record's line.
fn header(file: &mut File, settings: CsvSettings, map: &[(String, String)]) -> Result<(CsvHeader, u64, u64)> {
    let mut head = Vec::new();
    file.by_ref().take(u64::try_from(RECORD_BYTES_MAX)? + 16).read_to_end(&mut head)?;
    let (mut reader, mut input) = (CsvReader::new(settings), &head[..]);
    let read = reader.next(&mut input);
    let begin = u64::try_from(head.len() - input.len())?;
    let Some(read) = read.or_else(|| reader.finish()) else {
        bail!("the file is empty: a CSV file begins with a header")
    };
    let record = read.map_err(|(line, fault)| anyhow::anyhow!("the header, line {line}: {fault}"))?;
    Ok((CsvHeader::read(&record, map)?, begin, reader.line()))
}

type LineAndLead = (u64, Result<Vec<u8>, String>);

impl Reader {
    fn line(&self) -> u64 {
        match self {
            Reader::Csv { reader, .. } => reader.line(),
            Reader::Lines(reader) => reader.line(),
        }
    }

    fn next(&mut self, input: &mut &[u8]) -> Option<LineAndLead> {
        match self {
            Reader::Csv { reader, header } => reader.next(input).map(|read| csv_lead(read, header)),
            Reader::Lines(reader) => reader.next(input).map(json_lead),
        }
    }

    fn finish(&mut self) -> Option<LineAndLead> {
        match self {
            Reader::Csv { reader, header } => reader.finish().map(|read| csv_lead(read, header)),
            Reader::Lines(reader) => reader.finish().map(json_lead),
        }
    }
}

fn csv_lead(read: CsvRead, header: &CsvHeader) -> LineAndLead {
    match read {
        Err((line, fault)) => (line, Err(fault.to_string())),
        Ok(record) => {
            let line = record.line;
            let fields = header.fields(record).map_err(|refused| refused.to_string());
            (
                line,
                fields.map(|fields| {
                    let mut json = Vec::new();
                    write_object(&fields, &mut json);
                    json
                }),
            )
        }
    }
}

/// What stands in a line is the server's to judge.
fn json_lead(read: steadfast_lead::LineRead) -> LineAndLead {
    match read {
        Ok((line, text)) => (line, Ok(text)),
        Err(line) => (line, Err(format!("the line has more than {RECORD_BYTES_MAX} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, Layout, Record, Records};
    use std::io::Write as _;
    use std::path::Path;

    fn all(path: &Path, layout: &Layout, offset: u64, line: u64) -> Vec<Record> {
        let mut records = Records::open(path, layout.clone(), offset, line).unwrap();
        std::iter::from_fn(|| records.next().unwrap()).collect()
    }

    fn shown(record: &Record) -> (u64, String) {
        let lead = record.lead.as_ref().map(|json| String::from_utf8(json.clone()).unwrap());
        (record.line, lead.unwrap_or_else(|why| format!("! {why}")))
    }

    /// From the end of every record on, the rest reads the same: that is what going on relies on.
    fn assert_resumable(text: &[u8], layout: &Layout) -> Vec<(u64, String)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let whole = all(file.path(), layout, 0, 1);
        for (place, record) in whole.iter().enumerate() {
            let rest = all(file.path(), layout, record.end, record.next_line);
            let expected: Vec<_> = whole.iter().skip(place + 1).map(shown).collect();
            assert_eq!(rest.iter().map(shown).collect::<Vec<_>>(), expected, "after line {}", record.line);
        }
        whole.iter().map(shown).collect()
    }

    fn said(line: u64, text: &str) -> (u64, String) {
        (line, text.to_owned())
    }

    #[test]
    fn csv_with_everything_in_it() {
        let layout = Layout { format: Format::Csv, delimiter: b',', map: vec![("E-Mail".into(), "email".into())] };
        let text = b"\xEF\xBB\xBF\r\nE-Mail,note\r\na,\"one\r\ntwo\"\r\n\r\nb,x\rc\n\"d\"e,1\ne,\"f";
        let expected = [
            said(3, r#"{"email":"a","note":"one\r\ntwo"}"#),
            said(6, r#"{"email":"b","note":"x"}"#),
            said(7, "! the record has 1 columns, the header 2: column 2 (\"note\") is missing"),
            said(8, "! column 1 goes on after its closing quote; a quote within quotes is written twice"),
            said(9, "! the quote of column 2 is not closed"),
        ];
        assert_eq!(assert_resumable(text, &layout), expected);
    }

    #[test]
    fn json_lines() {
        let layout = Layout { format: Format::Jsonl, delimiter: b',', map: Vec::new() };
        let long = format!("{{\"a\":1}}\n\n  {{\"b\":2}}\r\n{}\n{{\"c\":3}}", "x".repeat(3 << 20));
        let expected = [
            said(1, r#"{"a":1}"#),
            said(3, r#"{"b":2}"#),
            said(4, "! the line has more than 1048576 bytes"),
            said(5, r#"{"c":3}"#),
        ];
        assert_eq!(assert_resumable(long.as_bytes(), &layout), expected);
    }

    #[test]
    fn headers_that_cannot_be_used() {
        let open = |text: &[u8], map: &[(&str, &str)]| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text).unwrap();
            let map = map.iter().map(|(column, field)| ((*column).to_owned(), (*field).to_owned())).collect();
            let layout = Layout { format: Format::Csv, delimiter: b',', map };
            Records::open(file.path(), layout, 0, 1).map(drop).unwrap_err().to_string()
        };
        assert!(open(b"", &[]).contains("empty"));
        assert!(open(b"a,a\n", &[]).contains("both make field"));
        assert!(open(b"a,b\n", &[("x", "y")]).contains("no column \"x\""));
        assert!(open(b"\"a", &[]).contains("not closed"));
    }
}
