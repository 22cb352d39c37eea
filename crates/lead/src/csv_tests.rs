//! Hostile CSV: every cut of the input gives the same records.

use super::{CsvFault, CsvHeader, CsvReader, CsvRecord, CsvSettings, HeaderRefusal, RowRefusal, read_map};
use crate::write_object;

const SMALL: CsvSettings = CsvSettings { delimiter: b',', record_bytes_max: 20, columns_max: 4 };

/// Reads a text in pieces of a length; must not depend on it.
fn in_pieces(text: &[u8], length: usize, settings: CsvSettings) -> Vec<super::CsvRead> {
    let mut reader = CsvReader::new(settings);
    let mut found = Vec::new();
    for mut piece in text.chunks(length) {
        while let Some(read) = reader.next(&mut piece) {
            found.push(read);
        }
        assert!(piece.is_empty());
    }
    found.extend(reader.finish());
    assert_eq!(reader.finish(), None);
    found
}

fn read(text: &[u8]) -> Vec<super::CsvRead> {
    let whole = in_pieces(text, text.len().max(1), SMALL);
    for length in 1..=4 {
        assert_eq!(in_pieces(text, length, SMALL), whole, "in pieces of {length}");
    }
    whole
}

fn ok(line: u64, columns: &[&str]) -> super::CsvRead {
    Ok(CsvRecord { line, columns: columns.iter().map(|text| (*text).to_owned()).collect() })
}

#[test]
fn records_by_line() {
    assert_eq!(read(b"a,b\n1,2\n"), [ok(1, &["a", "b"]), ok(2, &["1", "2"])]);
    assert_eq!(
        read(b"\xEF\xBB\xBFa,b\r\n1,2\r3,4\n5,6"),
        [ok(1, &["a", "b"]), ok(2, &["1", "2"]), ok(3, &["3", "4"]), ok(4, &["5", "6"])]
    );
    assert_eq!(read(b"a\n\n\r\n1\n"), [ok(1, &["a"]), ok(4, &["1"])], "empty lines count as lines");
    assert_eq!(read(b",\n"), [ok(1, &["", ""])]);
    assert_eq!(read(b""), []);
    assert_eq!(read(b"a,"), [ok(1, &["a", ""])]);
    assert_eq!(read(b"\xEF\xBBx"), [Err((1, CsvFault::NotUtf8 { column: 1 }))], "half a mark is no mark");
    assert_eq!(read("！x\n".as_bytes()), [ok(1, &["！x"])], "nor is a character that begins like one");
    assert_eq!(read(b"\xEF\xBB\xBF\"a\",b\n"), [ok(1, &["a", "b"])]);
}

#[test]
fn quotes_span_lines_and_are_doubled() {
    assert_eq!(read(b"\"a\nb\",\"c\"\"d\"\n\"\",x\n"), [ok(1, &["a\nb", "c\"d"]), ok(3, &["", "x"])]);
    assert_eq!(read(b"a\"b,2\n"), [ok(1, &["a\"b", "2"])], "a quote within plain text is text");
    assert_eq!(read(b"\"a\"b,2\n3\n"), [Err((1, CsvFault::AfterQuote { column: 1 })), ok(2, &["3"])]);
    assert_eq!(read(b"1,\"2\n3"), [Err((1, CsvFault::Unclosed { column: 2 }))]);
}

#[test]
fn one_bad_record_does_not_take_the_next_with_it() {
    let long = b"1,\"aaaaaaaaaaaaaaaaaaaaaaaaaaaa\nb,c\nd,e\n";
    assert_eq!(read(long), [Err((1, CsvFault::TooLong { max: 20 })), ok(2, &["b", "c"]), ok(3, &["d", "e"])]);
    let at_the_end = b"\"aaaaaaaaaaaaaaaaaaaa\nb\n";
    assert_eq!(read(at_the_end), [Err((1, CsvFault::TooLong { max: 20 })), ok(2, &["b"])]);
    assert_eq!(read(b"1,2,3,4,5\n6\n"), [Err((1, CsvFault::TooManyColumns { max: 4 })), ok(2, &["6"])]);
    assert_eq!(read(b"a\xFF,b\nc\n"), [Err((1, CsvFault::NotUtf8 { column: 1 })), ok(2, &["c"])]);
}

#[test]
fn reading_goes_on_at_a_line() {
    let mut reader = CsvReader::resuming(SMALL, 7);
    assert_eq!(reader.next(&mut &b"x,y\n"[..]), Some(ok(7, &["x", "y"])));
    assert_eq!(reader.line(), 8);
}

fn record(columns: &[&str]) -> CsvRecord {
    CsvRecord { line: 1, columns: columns.iter().map(|text| (*text).to_owned()).collect() }
}

#[test]
fn headers_name_fields() {
    let map = read_map("E-Mail:email, Note:").unwrap();
    let header = CsvHeader::read(&record(&[" E-Mail ", "zip", "Note"]), &map).unwrap();
    let mut json = Vec::new();
    write_object(&header.fields(record(&["a@b.c", "01234", "x"])).unwrap(), &mut json);
    assert_eq!(String::from_utf8(json).unwrap(), r#"{"email":"a@b.c","zip":"01234"}"#);
    let missing = header.fields(record(&["a@b.c"])).unwrap_err();
    assert_eq!(missing.to_string(), "the record has 1 columns, the header 3: column 2 (\"zip\") is missing");
    let extra = header.fields(record(&["1", "2", "3", "4"])).unwrap_err();
    assert_eq!(extra, RowRefusal::Extra { found: 4, expected: 3 });
    assert_eq!(extra.to_string(), "the record has 4 columns, the header 3: column 4 has no name");
}

#[test]
fn headers_that_cannot_be_used() {
    let refused = |columns: &[&str], map: &str| CsvHeader::read(&record(columns), &read_map(map).unwrap()).unwrap_err();
    assert_eq!(refused(&["a", ""], ""), HeaderRefusal::Unnamed { column: 2 });
    assert_eq!(refused(&["a", "b", "a"], ""), HeaderRefusal::Twice { first: 1, second: 3, field: "a".to_owned() });
    assert_eq!(refused(&["a", "b"], "b:a"), HeaderRefusal::Twice { first: 1, second: 2, field: "a".to_owned() });
    assert_eq!(refused(&["a"], "b:c"), HeaderRefusal::NoColumn { column: "b".to_owned() });
    assert_eq!(refused(&["a"], "a:"), HeaderRefusal::Nothing);
    assert_eq!(refused(&[&"n".repeat(257)], ""), HeaderRefusal::LongName { column: 1, max: 256 });
    assert_eq!(read_map("email"), Err("email".to_owned()));
    assert_eq!(read_map(":email"), Err(":email".to_owned()));
    assert_eq!(read_map("a:b:c").unwrap(), [("a:b".to_owned(), "c".to_owned())], "the last colon divides");
}
