//! Reading CSV piece by piece: records out of bytes as they come, and fields out of records.
//!
//! Every record stands alone: what is wrong with one is told by line and column, and the next one is read all the same. Ends
//! of lines may be mixed, quotes may span lines, and memory is bounded by the longest record allowed.

use crate::{Fields, Value};

/// How CSV is written, and how much of it is read.
#[derive(Clone, Copy, Debug)]
pub struct CsvSettings {
    /// What stands between columns.
    pub delimiter: u8,
    /// A record, at most, in bytes.
    pub record_bytes_max: usize,
    /// Columns of a record, at most.
    pub columns_max: usize,
}

impl CsvSettings {
    /// Commas, records of a mebibyte, a thousand columns.
    pub const LEADS: CsvSettings = CsvSettings { delimiter: b',', record_bytes_max: 1 << 20, columns_max: 1_000 };
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvRecord {
    /// The line it begins on, from 1.
    pub line: u64,
    /// Its columns.
    pub columns: Vec<String>,
}

/// What is wrong with a record. Holds no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvFault {
    /// Longer than a record may be.
    #[error("the record has more than {max} bytes; is a quote not closed?")]
    TooLong {
        /// Bytes allowed.
        max: usize,
    },
    /// More columns than a record may have.
    #[error("the record has more than {max} columns")]
    TooManyColumns {
        /// Columns allowed.
        max: usize,
    },
    /// Something after a closing quote.
    #[error("column {column} goes on after its closing quote; a quote within quotes is written twice")]
    AfterQuote {
        /// Which column, from 1.
        column: usize,
    },
    /// The end came within quotes.
    #[error("the quote of column {column} is not closed")]
    Unclosed {
        /// Which column, from 1.
        column: usize,
    },
    /// Not UTF-8.
    #[error("column {column} is not UTF-8")]
    NotUtf8 {
        /// Which column, from 1.
        column: usize,
    },
}

/// A record, or the line of one that could not be read and why.
pub type CsvRead = Result<CsvRecord, (u64, CsvFault)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first byte of a record.
    Start,
    /// Before the first byte of a column.
    Column,
    Plain,
    Quoted,
    /// After a quote within quotes: the first of two, or the closing one.
    Quote,
    /// After `\r`, which ends a record as `\r\n` does.
    Return,
    /// The rest of a line that cannot be read.
    Lost,
}

/// Cuts bytes into records.
#[derive(Clone, Debug)]
pub struct CsvReader {
    settings: CsvSettings,
    at: At,
    /// Bytes of a byte order mark seen so far; three once there can be none.
    mark: usize,
    line: u64,
    begun: u64,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    fault: Option<CsvFault>,
}

const MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

impl CsvReader {
    /// Before the first byte.
    pub fn new(settings: CsvSettings) -> Self {
        CsvReader::resuming(settings, 1)
    }

    /// At the beginning of a line that is not the first one.
    pub fn resuming(settings: CsvSettings, line: u64) -> Self {
        let mark = if line == 1 { 0 } else { MARK.len() };
        let (bytes, ends) = (Vec::new(), Vec::new());
        CsvReader { settings, at: At::Start, mark, line, begun: line, bytes, ends, fault: None }
    }

    /// The line it has come to, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next record, once its end is in `input`; what was read is taken off the front. Empty lines are left out. `None`
    /// when more input is needed.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<CsvRead> {
        loop {
            let (byte, rest) = input.split_first()?;
            let returned = self.at == At::Return;
            if !returned || *byte == b'\n' {
                *input = rest;
            }
            if returned || (!self.is_of_mark(*byte) && self.take(*byte)) {
                return Some(self.end_line());
            }
        }
    }

    /// What remains when no more comes.
    pub fn finish(&mut self) -> Option<CsvRead> {
        if self.at == At::Start {
            return None;
        }
        if self.at == At::Quoted {
            self.fault = Some(CsvFault::Unclosed { column: self.ends.len() + 1 });
        }
        Some(self.end_line())
    }

    fn is_of_mark(&mut self, byte: u8) -> bool {
        if MARK.get(self.mark) == Some(&byte) {
            self.mark += 1;
            return true;
        }
        let begun = std::mem::replace(&mut self.mark, MARK.len());
        if let Some(other @ [_, ..]) = MARK.get(..begun).filter(|_| begun < MARK.len()) {
            // A character that begins as the mark does.
            self.bytes.extend_from_slice(other);
            self.at = At::Plain;
        }
        false
    }

    /// Takes one byte; whether the record has ended with it.
    fn take(&mut self, byte: u8) -> bool {
        match (self.at, byte) {
            (At::Start, b'\n' | b'\r') => {
                // One of the two of `\r\n` is counted; an empty line makes no record.
                self.empty_line(byte);
                false
            }
            (At::Column | At::Plain | At::Quote | At::Lost, b'\n') => true,
            (At::Column | At::Plain | At::Quote | At::Lost, b'\r') => {
                self.at = At::Return;
                false
            }
            (At::Lost, _) => false,
            (At::Quoted, b'"') => self.go(At::Quote),
            (At::Quote, b'"') => self.keep(At::Quoted, byte),
            (At::Start | At::Column, b'"') => self.go(At::Quoted),
            (At::Start | At::Column | At::Plain | At::Quote, _) if byte == self.settings.delimiter => self.end_column(),
            (At::Quote, _) => self.lose(CsvFault::AfterQuote { column: self.ends.len() + 1 }),
            (At::Quoted, _) => {
                self.line += u64::from(byte == b'\n');
                self.keep(At::Quoted, byte)
            }
            (At::Start | At::Column | At::Plain, _) => self.keep(At::Plain, byte),
            // Handled before a byte is taken.
            (At::Return, _) => true,
        }
    }

    fn empty_line(&mut self, byte: u8) {
        if byte == b'\n' {
            self.line += 1;
            self.begun = self.line;
        }
    }

    fn go(&mut self, at: At) -> bool {
        self.at = at;
        false
    }

    fn keep(&mut self, at: At, byte: u8) -> bool {
        if self.bytes.len() >= self.settings.record_bytes_max {
            // Reading goes on with the next line, whatever the quotes say: the rest of the file must not be lost to one.
            let ended = byte == b'\n';
            self.line -= u64::from(ended);
            self.lose(CsvFault::TooLong { max: self.settings.record_bytes_max });
            return ended;
        }
        self.bytes.push(byte);
        self.go(at)
    }

    fn lose(&mut self, fault: CsvFault) -> bool {
        self.bytes.clear();
        self.fault = Some(fault);
        self.go(At::Lost)
    }

    fn end_column(&mut self) -> bool {
        if self.ends.len() + 1 >= self.settings.columns_max {
            return self.lose(CsvFault::TooManyColumns { max: self.settings.columns_max });
        }
        self.ends.push(self.bytes.len());
        self.go(At::Column)
    }

    fn end_line(&mut self) -> CsvRead {
        self.ends.push(self.bytes.len());
        let line = self.begun;
        self.line += 1;
        self.begun = self.line;
        self.at = At::Start;
        let (bytes, ends) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.ends));
        if let Some(fault) = self.fault.take() {
            return Err((line, fault));
        }
        let mut begin = 0;
        let mut columns = Vec::with_capacity(ends.len());
        for (index, end) in ends.into_iter().enumerate() {
            let text = bytes.get(begin..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
            columns.push(text.ok_or((line, CsvFault::NotUtf8 { column: index + 1 }))?.to_owned());
            begin = end;
        }
        Ok(CsvRecord { line, columns })
    }
}

/// Which columns become which fields: the header, with some names changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvHeader {
    /// The field of each column; `None` for one that is left out.
    fields: Vec<Option<Box<str>>>,
    names: Vec<String>,
}

/// Why a header cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderRefusal {
    /// A column without a name.
    #[error("column {column} of the header has no name")]
    Unnamed {
        /// Which column, from 1.
        column: usize,
    },
    /// A name that is too long.
    #[error("the name of column {column} has more than {max} bytes")]
    LongName {
        /// Which column, from 1.
        column: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Two columns make the same field.
    #[error("columns {first} and {second} both make field {field:?}")]
    Twice {
        /// From 1.
        first: usize,
        /// From 1.
        second: usize,
        /// The field.
        field: String,
    },
    /// The mapping names a column that is not there.
    #[error("there is no column {column:?} in the header")]
    NoColumn {
        /// The column.
        column: String,
    },
    /// Every column is left out.
    #[error("no column makes a field")]
    Nothing,
}

/// Why a record does not fit its header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowRefusal {
    /// Columns are missing.
    #[error("the record has {found} columns, the header {expected}: column {} ({name:?}) is missing", .found + 1)]
    Missing {
        /// Columns found.
        found: usize,
        /// Columns of the header.
        expected: usize,
        /// The first one missing.
        name: String,
    },
    /// There are more than the header has.
    #[error("the record has {found} columns, the header {expected}: column {} has no name", .expected + 1)]
    Extra {
        /// Columns found.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
}

impl CsvHeader {
    /// Reads a header. `map` gives columns other names; an empty one leaves the column out.
    ///
    /// # Errors
    /// [`HeaderRefusal`] names the column.
    pub fn read(header: &CsvRecord, map: &[(String, String)]) -> Result<Self, HeaderRefusal> {
        const NAME_BYTES_MAX: usize = 256;
        let names: Vec<String> = header.columns.iter().map(|name| name.trim().to_owned()).collect();
        if let Some((column, _)) = map.iter().find(|(column, _)| !names.contains(column)) {
            return Err(HeaderRefusal::NoColumn { column: column.clone() });
        }
        let mut fields: Vec<Option<Box<str>>> = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let mapped = map.iter().find(|(column, _)| column == name).map(|(_, field)| field.trim());
            let field = mapped.unwrap_or(name);
            if field.is_empty() && mapped.is_none() {
                return Err(HeaderRefusal::Unnamed { column: index + 1 });
            }
            if field.len() > NAME_BYTES_MAX {
                return Err(HeaderRefusal::LongName { column: index + 1, max: NAME_BYTES_MAX });
            }
            if let Some(first) = fields.iter().position(|known| known.as_deref() == Some(field)) {
                return Err(HeaderRefusal::Twice { first: first + 1, second: index + 1, field: field.to_owned() });
            }
            fields.push((!field.is_empty()).then(|| field.into()));
        }
        if fields.iter().all(Option::is_none) {
            return Err(HeaderRefusal::Nothing);
        }
        Ok(CsvHeader { fields, names })
    }

    /// A record's fields, as text.
    ///
    /// # Errors
    /// [`RowRefusal`] when it has not as many columns as the header.
    pub fn fields(&self, record: CsvRecord) -> Result<Fields, RowRefusal> {
        let (found, expected) = (record.columns.len(), self.fields.len());
        if let Some(name) = self.names.get(found) {
            return Err(RowRefusal::Missing { found, expected, name: name.clone() });
        }
        if found > expected {
            return Err(RowRefusal::Extra { found, expected });
        }
        let named = self.fields.iter().zip(record.columns);
        let pairs = named.filter_map(|(field, text)| Some((field.clone()?, Value::Text(text.into()))));
        Ok(Fields::from_unique(pairs.collect()))
    }
}

/// Reads `Email:email,Phone No:phone` as pairs of column and field.
///
/// # Errors
/// The part that has no colon, or no column before it.
pub fn read_map(text: &str) -> Result<Vec<(String, String)>, String> {
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    let read = |part: &str| match part.rsplit_once(':') {
        Some((column, field)) if !column.trim().is_empty() => Ok((column.trim().to_owned(), field.trim().to_owned())),
        Some(_) | None => Err(part.to_owned()),
    };
    parts.map(read).collect()
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
