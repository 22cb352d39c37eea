//! What sources and clients send: leads in every form, and the values in them.

use super::{parts, text};
use steadfast_api::fuzzing;
use steadfast_lead::{
    CsvReader, CsvSettings, DeliveryId, Fields, FlowName, JsonLimits, LeadId, LineReader, Number, Timestamp,
    parse_object, read_csv_map, write_object,
};

pub(super) const JSON: &[&str] =
    &["{\"a\":", "[", "]", "}", "null", "true", "1e9", "-0.0", "\\ud800", "\\u0000", "\"", "\u{feff}", "\n", "{}"];
pub(super) const XML: &[&str] =
    &["<!DOCTYPE", "<![CDATA[", "]]>", "&#x10ffff;", "&amp;", "<a ", "</a>", "/>", "<?xml ", "<!--", "xmlns:", "="];
pub(super) const FORM: &[&str] = &[
    "application/json",
    "text/xml",
    "application/x-www-form-urlencoded",
    "; charset=utf-8",
    "&",
    "=",
    "%",
    "+",
    "redir_url=",
    "xxTest=",
    "xxTrustedFormCertUrl",
    ".",
    "[0]",
    "[]",
    "\n",
];
pub(super) const CSV: &[&str] = &["\"", "\"\"", ",", "\r\n", "\r", "\n", ";", "\u{feff}", ":"];
pub(super) const VALUES: &[&str] = &["ld_", "dl_", "2026-11-24T10:00:00Z", "+00:00", "-262144", "e", "[", "Z", "zzzz"];

pub(super) fn json(input: &[u8]) {
    if let Ok(fields) = parse_object(input, JsonLimits::LEAD) {
        reads_back(&fields);
    }
    let Some(fields) = fuzzing::lead(false, input) else { return };
    reads_back(&fields);
}

pub(super) fn xml(input: &[u8]) {
    if let Some(fields) = fuzzing::lead(true, input) {
        reads_back(&fields);
    }
}

/// The media type, the query, the body.
pub(super) fn submission(input: &[u8]) {
    let [content_type, query, body] = parts(input);
    if let Some((fields, _)) = fuzzing::submission(content_type, &text(query), body) {
        reads_back(&fields);
    }
}

/// The map, and a body that comes in two pieces, cut where the map's length says.
pub(super) fn csv(input: &[u8]) {
    let [map, body] = parts(input);
    let map_read = read_csv_map(&text(map)).unwrap_or_default();
    let cut = map.len().min(body.len());
    let whole = fuzzing::batch(true, map_read.clone(), [body, b""]);
    assert_eq!(
        whole,
        fuzzing::batch(true, map_read, body.split_at(cut).into()),
        "where a piece ends changed what is read"
    );
    every_line_is_told(whole.as_deref());
    csv_line_numbers_rise(body);
}

pub(super) fn lines(input: &[u8]) {
    let cut = input.first().map_or(0, |first| usize::from(*first).min(input.len()));
    let whole = fuzzing::batch(false, Vec::new(), [input, b""]);
    assert_eq!(
        whole,
        fuzzing::batch(false, Vec::new(), input.split_at(cut).into()),
        "where a piece ends changed what is read"
    );
    every_line_is_told(whole.as_deref());
    let mut reader = LineReader::new(64);
    let mut rest = input;
    while reader.next(&mut rest).is_some() {}
}

fn csv_line_numbers_rise(body: &[u8]) {
    let mut reader = CsvReader::new(CsvSettings { delimiter: b';', ..CsvSettings::LEADS });
    let (mut rest, mut last) = (body, 0);
    while let Some(read) = reader.next(&mut rest) {
        let line = read.map_or_else(|(line, _)| line, |record| record.line);
        assert!(line > last, "a record on line {line} after one on line {last}");
        last = line;
    }
}

fn every_line_is_told(lines: Option<&[(u64, Option<Fields>)]>) {
    let lines = lines.unwrap_or_default();
    assert!(lines.windows(2).all(|pair| pair[0].0 < pair[1].0), "line numbers do not rise");
    lines.iter().filter_map(|(_, fields)| fields.as_ref()).for_each(reads_back);
}

pub(super) fn values(input: &[u8]) {
    let text = text(input);
    if let Ok(id) = text.parse::<LeadId>() {
        assert_eq!(id.to_string().parse(), Ok(id), "an id does not read back");
        assert_eq!(LeadId::from_raw(id.raw()), Some(id));
    }
    if let Ok(id) = text.parse::<DeliveryId>() {
        assert_eq!(id.to_string().parse(), Ok(id), "an id does not read back");
    }
    if let Some(time) = Timestamp::parse(&text) {
        // A time is shown to the millisecond.
        let again = Timestamp::parse(&time.to_string()).map(Timestamp::as_millis);
        assert_eq!(again, Some(time.as_millis()), "{time} does not read back");
        assert!(LeadId::first_at(time).raw() >= 0);
    }
    if let Some(number) = Number::parse(&text) {
        assert_eq!(Number::parse(number.as_str()).as_ref(), Some(&number), "a number does not read back");
    }
    if let Ok(name) = FlowName::new(&text) {
        assert!(name.as_str().len() <= 256, "a name is long");
    }
}

/// What was read is written, and what was written reads as the same.
fn reads_back(fields: &Fields) {
    const LIMITS: JsonLimits = JsonLimits { depth_max: 128, values_max: 1 << 20, name_bytes_max: 1 << 20 };
    let mut out = Vec::new();
    write_object(fields, &mut out);
    assert_eq!(parse_object(&out, LIMITS).as_ref(), Ok(fields), "fields do not read back");
}
