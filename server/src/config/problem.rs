//! What is wrong with a config file, all of it at once, shown for people and for tools.
//!
//! Never shows a credential: neither its value nor, where source lines are shown, the text it stands in.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt::Write as _;
use std::ops::Range;

/// Problems shown, at most.
const SHOWN_MAX: usize = 500;
/// How much of a value is shown, in characters.
const VALUE_CHARS_MAX: usize = 60;
/// How much of a key's path is shown, in characters.
const KEY_CHARS_MAX: usize = 200;
/// How much source is shown around a problem, in bytes; beyond that its place must do.
const SOURCE_BYTES_MAX: usize = 1_000;

/// One thing wrong, or worth a second look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where in the text, in bytes; `None` where the file itself is meant.
    pub(crate) span: Option<Range<usize>>,
    /// The key's path; empty where no key is meant.
    pub(crate) key: String,
    /// The value as written; `None` where there is none or it must not be shown.
    pub(crate) value: Option<String>,
    /// What is wrong.
    pub(crate) message: String,
    /// What is allowed; empty where the message says it all.
    pub(crate) allowed: String,
}

impl Problem {
    /// Of the file as a whole.
    pub(crate) fn of_file(message: String) -> Self {
        Problem { span: None, key: String::new(), value: None, message, allowed: String::new() }
    }

    fn shown_key(&self) -> String {
        match self.key.char_indices().nth(KEY_CHARS_MAX) {
            Some((end, _)) => format!("{}...", &self.key[..end]),
            None => self.key.clone(),
        }
    }

    fn sentence(&self) -> String {
        let mut text = String::new();
        if !self.key.is_empty() {
            text.push_str(&self.shown_key());
            if let Some(value) = &self.value {
                let _ = write!(text, " = {value}");
            }
            text.push_str(": ");
        }
        text.push_str(&self.message);
        if !self.allowed.is_empty() {
            let _ = write!(text, " (allowed: {})", self.allowed);
        }
        text
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence())
    }
}

/// A file and what was found in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Problems {
    /// The file as it was named.
    pub(crate) file: String,
    /// What was found, in the order of the file.
    pub(crate) list: Vec<Problem>,
    /// The text with every credential made unreadable; as long as the text itself.
    masked: String,
}

impl std::fmt::Debug for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Problems").field("file", &self.file).field("list", &self.list).finish_non_exhaustive()
    }
}

impl Problems {
    /// Problems of a file whose text has credentials at `masks`; shown in the order of the text.
    pub(crate) fn new(file: &str, text: &str, masks: &[Range<usize>], mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        Problems { file: file.to_owned(), list, masked: mask(text, masks) }
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// One by one, each a sentence without its place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// One line each: `file:line:column: key = value: message (allowed: ...)`.
    pub(crate) fn plain(&self) -> String {
        let mut out = String::new();
        for problem in self.list.iter().take(SHOWN_MAX) {
            out.push_str(&self.file);
            if let Some(span) = &problem.span {
                let (line, column) = line_and_column(&self.masked, span.start);
                let _ = write!(out, ":{line}:{column}");
            }
            let _ = writeln!(out, ": {}", problem.sentence());
        }
        out.push_str(&self.rest());
        out
    }

    /// With the lines they stand in, coloured, for a terminal.
    pub(crate) fn with_source(&self, warnings: bool) -> String {
        let level = if warnings { Level::WARNING } else { Level::ERROR };
        let renderer = Renderer::styled();
        let mut out = String::new();
        for problem in self.list.iter().take(SHOWN_MAX) {
            let _ = writeln!(out, "{}\n", renderer.render(&[self.group(problem, level.clone())]));
        }
        out.push_str(&self.rest());
        out
    }

    fn group<'a>(&'a self, problem: &'a Problem, level: Level<'a>) -> Group<'a> {
        let Some((lines, span)) = self.source_of(problem) else {
            let place = problem.span.as_ref().map(|span| line_and_column(&self.masked, span.start));
            let place = place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
            return Group::with_title(level.primary_title(format!("{}{place}: {}", self.file, problem.sentence())));
        };
        let (line, _) = line_and_column(&self.masked, span.start);
        let title = match problem.key.as_str() {
            "" => problem.message.clone(),
            _ => format!("{}: {}", problem.shown_key(), problem.message),
        };
        let label = if problem.allowed.is_empty() { String::new() } else { format!("allowed: {}", problem.allowed) };
        let annotation = AnnotationKind::Primary.span(span.start - lines.start..span.end - lines.start);
        let source = self.masked.get(lines).unwrap_or_default();
        let snippet = Snippet::source(source).line_start(line).path(&self.file);
        level.primary_title(title).element(snippet.annotation(annotation.label(label)))
    }

    /// The lines a problem stands in, and its span; `None` where there is none to show.
    fn source_of(&self, problem: &Problem) -> Option<(Range<usize>, Range<usize>)> {
        let span = problem.span.clone().filter(|span| self.masked.get(span.clone()).is_some())?;
        let lines = line_start(&self.masked, span.start)..line_end(&self.masked, span.end);
        (lines.len() <= SOURCE_BYTES_MAX).then_some((lines, span))
    }

    fn rest(&self) -> String {
        match self.list.len().saturating_sub(SHOWN_MAX) {
            0 => String::new(),
            more => format!("... and {more} more\n"),
        }
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.plain().trim_end())
    }
}

impl std::error::Error for Problems {}

/// Every byte of a mask becomes `*`, but for line breaks; lengths stay, so that places stay.
fn mask(text: &str, masks: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in masks {
        let covered = bytes.get_mut(range.clone()).unwrap_or_default();
        covered.iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b'*');
    }
    // Masks begin and end between characters; where one did not, nothing of the line may be shown.
    String::from_utf8(bytes).unwrap_or_default()
}

/// A piece of the text as a value is shown: on one line, not too long.
pub(crate) fn shown(piece: &str) -> String {
    let line = piece.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(VALUE_CHARS_MAX).collect();
    if cut.len() < piece.trim_end().len() { cut + "..." } else { cut }
}

/// Line and column of a byte, both from 1; the column counts characters.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    // A character is counted by its first byte.
    let column = before[start..].iter().filter(|byte| (**byte & 0xc0) != 0x80).count() + 1;
    (line, column)
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|after| after.find('\n')).map_or(text.len(), |newline| at + newline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_bounded() {
        let text = format!("{} = {}", "k".repeat(9_000), "1".repeat(9_000));
        let problem = Problem { span: Some(0..9_000), key: "k".repeat(9_000), ..Problem::of_file("is odd".to_owned()) };
        let problems = Problems::new("f", &text, &[], vec![problem]);
        for shown in [problems.plain(), problems.with_source(false)] {
            assert!(shown.len() < 400 && shown.contains("f:1:1: kkk") && shown.contains("kkk...: is odd"), "{shown}");
        }
    }

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let text = "a = 1\nü = 22\n";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, text.find("22").unwrap()), (2, 5));
        assert_eq!(line_and_column(text, 999), (3, 1));
    }

    #[test]
    fn masks_keep_places_and_hide_letters() {
        let text = "a = \"ü\nx\"\nb";
        assert_eq!(mask(text, &[4..10, 90..99]), "a = ***\n**\nb");
    }
}
