//! Cutting bytes into lines as they come, for one JSON object a line.
//!
//! A line that is too long is told and left out; the next one is read all the same.

/// One line with its number, or the number of one that was too long.
pub type LineRead = Result<(u64, Vec<u8>), u64>;

/// Cuts bytes into lines. Ends of lines are `\n` or `\r\n`; blank lines are left out.
#[derive(Clone, Debug)]
pub struct LineReader {
    bytes_max: usize,
    line: u64,
    bytes: Vec<u8>,
    lost: bool,
}

impl LineReader {
    /// Before the first byte. Lines have at most `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        LineReader { bytes_max, line: 1, bytes: Vec::new(), lost: false }
    }

    /// At the beginning of a line that is not the first one.
    pub fn resuming(bytes_max: usize, line: u64) -> Self {
        LineReader { line, ..LineReader::new(bytes_max) }
    }

    /// The line it has come to, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next line, once its end is in `input`; what was read is taken off the front. `None` when more input is needed.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<LineRead> {
        while !input.is_empty() {
            let end = input.iter().position(|byte| *byte == b'\n');
            let (piece, rest) = input.split_at(end.unwrap_or(input.len()));
            self.keep(piece);
            *input = rest.get(1..).unwrap_or_default();
            if let Some(read) = end.and_then(|_| self.end()) {
                return Some(read);
            }
        }
        None
    }

    /// What remains when no more comes.
    pub fn finish(&mut self) -> Option<LineRead> {
        self.end()
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.lost || self.bytes.len() + piece.len() > self.bytes_max {
            self.bytes.clear();
            self.lost = true;
        } else {
            self.bytes.extend_from_slice(piece);
        }
    }

    fn end(&mut self) -> Option<LineRead> {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        let line = self.line;
        self.line += 1;
        if std::mem::take(&mut self.lost) {
            return Some(Err(line));
        }
        let bytes = std::mem::take(&mut self.bytes);
        let text = if line == 1 { bytes.strip_prefix(MARK).unwrap_or(&bytes) } else { &bytes };
        let text = text.trim_ascii();
        (!text.is_empty()).then(|| Ok((line, text.to_vec())))
    }
}

#[cfg(test)]
mod tests {
    use super::{LineRead, LineReader};

    fn read(text: &[u8], length: usize) -> Vec<LineRead> {
        let mut reader = LineReader::new(8);
        let mut found = Vec::new();
        for mut piece in text.chunks(length) {
            while let Some(read) = reader.next(&mut piece) {
                found.push(read);
            }
            assert!(piece.is_empty());
        }
        found.extend(reader.finish());
        found
    }

    #[test]
    fn lines_whatever_the_pieces() {
        let text = b"\xEF\xBB\xBF{1}\r\n\n  \n{2} \n12345678\n123456789\n{3}";
        let line = |line, text: &str| Ok((line, text.as_bytes().to_vec()));
        let expected = [line(1, "{1}"), line(4, "{2}"), line(5, "12345678"), Err(6), line(7, "{3}")];
        for length in 1..=text.len() {
            assert_eq!(read(text, length), expected, "in pieces of {length}");
        }
        assert_eq!(read(b"", 1), []);
        assert_eq!(read(b"{1}\n", 1), [line(1, "{1}")]);
    }
}
