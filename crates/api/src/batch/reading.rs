//! Leads out of lines: JSON objects, or the records of a CSV file under its header.

use crate::content::Media;
use crate::lead_body::refused_json;
use crate::problem::{Problem, ProblemKind};
use steadfast_lead::{
    CsvFault, CsvHeader, CsvRead, CsvReader, CsvRecord, CsvSettings, Fields, HeaderRefusal, JsonLimits, LineReader,
    RowRefusal, Value, parse_object,
};

/// One line: its number, and the lead or why it is none.
pub(crate) type Line = (u64, Result<Fields, Problem>);

/// How lines are written.
#[derive(Debug)]
pub(crate) enum Lines {
    /// One JSON object a line.
    Json { reader: LineReader, bytes_max: usize },
    /// A header and records.
    Csv { reader: CsvReader, header: Option<CsvHeader>, map: Vec<(String, String)> },
}

impl Lines {
    /// By media type; `line_bytes_max` bounds a line or record.
    pub(crate) fn new(media: Media, delimiter: u8, map: Vec<(String, String)>, line_bytes_max: usize) -> Self {
        match media {
            Media::Csv => {
                let settings = CsvSettings { delimiter, record_bytes_max: line_bytes_max, ..CsvSettings::LEADS };
                Lines::Csv { reader: CsvReader::new(settings), header: None, map }
            }
            Media::NdJson | Media::JsonLines | Media::Json | Media::Form | Media::Xml | Media::TextXml => {
                Lines::Json { reader: LineReader::new(line_bytes_max), bytes_max: line_bytes_max }
            }
        }
    }

    /// The next line that is whole in `input`.
    ///
    /// # Errors
    /// A header that cannot be used: no line can be read without it.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Line>, Problem> {
        loop {
            let line = match self {
                Lines::Json { reader, bytes_max } => {
                    return Ok(reader.next(input).map(|read| json_line(read, *bytes_max)));
                }
                Lines::Csv { reader, header, map } => match reader.next(input) {
                    Some(read) => csv_line(read, header, map)?,
                    None => return Ok(None),
                },
            };
            // A header is no lead.
            if line.is_some() {
                return Ok(line);
            }
        }
    }

    /// What remains at the end.
    ///
    /// # Errors
    /// As [`Lines::next`].
    pub(crate) fn finish(&mut self) -> Result<Option<Line>, Problem> {
        match self {
            Lines::Json { reader, bytes_max } => Ok(reader.finish().map(|read| json_line(read, *bytes_max))),
            Lines::Csv { reader, header, map } => match reader.finish() {
                Some(read) => csv_line(read, header, map),
                None => Ok(None),
            },
        }
    }
}

fn json_line(read: steadfast_lead::LineRead, bytes_max: usize) -> Line {
    match read {
        Ok((line, text)) => (line, parse_object(&text, JsonLimits::LEAD).map_err(|refused| refused_json(&refused))),
        Err(line) => {
            (line, Err(Problem::new(ProblemKind::BodyTooLarge, format!("the line has more than {bytes_max} bytes"))))
        }
    }
}

fn csv_line(read: CsvRead, header: &mut Option<CsvHeader>, map: &[(String, String)]) -> Result<Option<Line>, Problem> {
    match header {
        None => {
            *header = Some(csv_header(read, map)?);
            Ok(None)
        }
        Some(header) => Ok(Some(match read {
            Ok(record) => (record.line, row(header, record)),
            Err((line, fault)) => (line, Err(csv_problem(&fault))),
        })),
    }
}

fn row(header: &CsvHeader, record: CsvRecord) -> Result<Fields, Problem> {
    let fields = header.fields(record).map_err(|refused| match &refused {
        RowRefusal::Missing { .. } | RowRefusal::Extra { .. } => {
            Problem::new(ProblemKind::ColumnsDiffer, refused.to_string())
        }
    })?;
    // Spreadsheets end with rows of nothing but delimiters. Sold, they would be leads without a person.
    let blank = |value: &Value| value.as_plain().is_some_and(|text| text.trim().is_empty());
    if fields.iter().all(|(_, value)| blank(value)) {
        return Err(Problem::new(ProblemKind::EmptyBody, "every column of the record is blank"));
    }
    Ok(fields)
}

fn csv_header(read: CsvRead, map: &[(String, String)]) -> Result<CsvHeader, Problem> {
    let record = read.map_err(|(_, fault)| csv_problem(&fault))?;
    CsvHeader::read(&record, map).map_err(|refused| {
        let parameter = matches!(refused, HeaderRefusal::NoColumn { .. }).then_some("map");
        let problem = Problem::new(ProblemKind::BadHeader, refused.to_string());
        parameter.into_iter().fold(problem, Problem::naming)
    })
}

fn csv_problem(fault: &CsvFault) -> Problem {
    let kind = match fault {
        CsvFault::TooLong { .. } => ProblemKind::BodyTooLarge,
        CsvFault::TooManyColumns { .. } => ProblemKind::TooManyValues,
        CsvFault::AfterQuote { .. } | CsvFault::Unclosed { .. } => ProblemKind::MalformedCsv,
        CsvFault::NotUtf8 { .. } => ProblemKind::NotUtf8,
    };
    Problem::new(kind, fault.to_string())
}
