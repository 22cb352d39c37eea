//! The kept inputs of a target, one a line: printable ASCII as it is, all else escaped, so that a change can be read in a
//! review. A line that begins with `#` says why the next one is kept.

use std::fmt::Write as _;

/// How a comment begins.
const COMMENT: char = '#';

/// Reads a corpus file.
///
/// # Errors
/// The number of a line that cannot be read, from 1.
pub fn read(text: &str) -> Result<Vec<Vec<u8>>, usize> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with(COMMENT));
    lines.map(|(index, line)| unescape(line).ok_or(index + 1)).collect()
}

/// One input as a line.
pub fn line(input: &[u8]) -> String {
    let mut line = String::with_capacity(input.len());
    for (place, byte) in input.iter().enumerate() {
        match byte {
            b'\n' => line.push_str("\\n"),
            b'\\' => line.push_str("\\\\"),
            b'#' if place == 0 => line.push_str("\\x23"),
            b' '..=b'~' => line.push(char::from(*byte)),
            other => {
                let _ = write!(line, "\\x{other:02x}");
            }
        }
    }
    line
}

fn unescape(line: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next()? {
            b'n' => bytes.push(b'\n'),
            b'\\' => bytes.push(b'\\'),
            b'x' => bytes.push(digit(rest.next()?)? * 16 + digit(rest.next()?)?),
            _ => return None,
        }
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
