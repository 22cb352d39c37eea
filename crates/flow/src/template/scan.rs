//! Looking at the text of a template without running it: whether it is one, which filters it names, and whether a value is
//! nothing but one field.
//!
//! Reads no further than it must; what is wrong with a template's grammar is said by the compiler of templates.

/// Whether a text has anything to fill in.
pub(crate) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|begin| text.contains(begin))
}

/// The expression of a text that is `{{ expression }}` and nothing else.
pub(crate) fn sole_expression(text: &str) -> Option<&str> {
    let mut pieces = Pieces::of(text.trim());
    let (before, piece) = (pieces.rest, pieces.next()?);
    let whole = before.starts_with("{{") && pieces.rest.is_empty() && piece.kind == Kind::Print;
    whole.then(|| piece.inner.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim())
}

/// The names of the filters a template uses, each time with where in the text.
pub(crate) fn filters(text: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    for piece in Pieces::of(text) {
        let base = piece.inner.as_ptr() as usize - text.as_ptr() as usize;
        let inside = filters_of(piece.inner).into_iter().map(|(name, at)| (name, base + at));
        found.extend(inside.filter(|_| piece.kind != Kind::Comment));
    }
    found
}

/// Line and column of a byte, both from 1.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn filters_of(inner: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    let mut chars = inner.char_indices().peekable();
    let begins = inner.trim_start_matches(['-', '+']).trim_start();
    if let Some(rest) = begins.strip_prefix("filter ") {
        let at = inner.len() - rest.len();
        found.extend(name_at(inner, at));
    }
    while let Some((at, c)) = chars.next() {
        match c {
            '"' | '\'' => skip_text(&mut chars, c),
            '|' => found.extend(name_at(inner, at + 1)),
            _ => {}
        }
    }
    found
}

fn name_at(text: &str, at: usize) -> Option<(&str, usize)> {
    let rest = text.get(at..)?;
    let begin = at + (rest.len() - rest.trim_start().len());
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (end > 0).then(|| (&rest[..end], begin))
}

fn skip_text(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>, quote: char) {
    while let Some((_, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            _ if c == quote => return,
            _ => {}
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Print,
    Block,
    Comment,
}

struct Piece<'t> {
    kind: Kind,
    inner: &'t str,
}

/// What stands between delimiters, one after the other; `{% raw %}` is left out.
struct Pieces<'t> {
    rest: &'t str,
}

impl<'t> Pieces<'t> {
    fn of(text: &'t str) -> Self {
        Pieces { rest: text }
    }

    fn leave_raw(&mut self) {
        let mut search = self.rest;
        while let Some(at) = search.find("{%") {
            let tag = search[at + 2..].trim_start_matches(['-', '+']).trim_start();
            search = &search[at + 2..];
            if tag.starts_with("endraw") {
                break;
            }
        }
        self.rest = search.find("%}").map_or("", |end| &search[end + 2..]);
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        const DELIMITERS: [(&str, &str, Kind); 3] =
            [("{{", "}}", Kind::Print), ("{%", "%}", Kind::Block), ("{#", "#}", Kind::Comment)];
        loop {
            let first =
                DELIMITERS.iter().filter_map(|found| Some((self.rest.find(found.0)?, found))).min_by_key(|one| one.0);
            let (at, (_, close, kind)) = first?;
            let after = &self.rest[at + 2..];
            let end = end_of(after, close, *kind)?;
            let inner = &after[..end];
            self.rest = &after[end + 2..];
            let word = inner.trim_start_matches(['-', '+']).trim_start();
            if *kind == Kind::Block && word.trim_end_matches(['-', '+']).trim_end() == "raw" {
                self.leave_raw();
                continue;
            }
            return Some(Piece { kind: *kind, inner });
        }
    }
}

/// Where a piece ends; a delimiter inside a text in quotes, or of a `{...}` inside an expression, is none.
fn end_of(text: &str, close: &str, kind: Kind) -> Option<usize> {
    if kind == Kind::Comment {
        return text.find(close);
    }
    let mut braces = 0_usize;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if braces == 0 && text[at..].starts_with(close) {
            return Some(at);
        }
        match c {
            '"' | '\'' => skip_text(&mut chars, c),
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// One step of a way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stride {
    /// By name.
    Name(Box<str>),
    /// By place in a list, from 0.
    Place(usize),
}

/// What a value may be turned into on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cast {
    /// `number(...)`.
    Number,
    /// `boolean(...)`.
    Boolean,
    /// `text(...)`.
    Text,
}

/// A way to a value: `phone`, `raw.phone`, `fields["first name"]`, `applicant.phones[0]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The steps, from the lead.
    pub(crate) strides: Vec<Stride>,
    /// What it is turned into.
    pub(crate) cast: Option<Cast>,
}

/// An expression that is one field and nothing else, or one field turned into another type.
pub(crate) fn reference(expression: &str) -> Option<Reference> {
    for (name, cast) in [("number", Cast::Number), ("boolean", Cast::Boolean), ("text", Cast::Text)] {
        let inner = expression.strip_prefix(name).map(str::trim_start).and_then(|rest| rest.strip_prefix('('));
        if let Some(inner) = inner.and_then(|inner| inner.trim_end().strip_suffix(')')) {
            return Some(Reference { strides: strides(inner.trim())?, cast: Some(cast) });
        }
    }
    Some(Reference { strides: strides(expression)?, cast: None })
}

fn strides(text: &str) -> Option<Vec<Stride>> {
    /// Words of the template language, which are no fields.
    const WORDS: [&str; 10] = ["true", "false", "none", "True", "False", "None", "not", "in", "is", "loop"];
    let (name, mut rest) = identifier(text)?;
    if WORDS.contains(&name) {
        return None;
    }
    let mut strides = vec![Stride::Name(name.into())];
    while !rest.is_empty() {
        let (stride, after) = if let Some(after) = rest.strip_prefix('.') {
            let (name, after) = identifier(after)?;
            (Stride::Name(name.into()), after)
        } else {
            let (inner, after) = rest.strip_prefix('[')?.split_once(']')?;
            (bracketed(inner.trim())?, after)
        };
        strides.push(stride);
        rest = after;
    }
    Some(strides)
}

fn identifier(text: &str) -> Option<(&str, &str)> {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    begins.then(|| text.split_at(end))
}

fn bracketed(inner: &str) -> Option<Stride> {
    let quoted = |quote: char| inner.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(name) = quoted('"').or_else(|| quoted('\'')) {
        return (!name.contains(['"', '\'', '\\'])).then(|| Stride::Name(name.into()));
    }
    inner.bytes().all(|b| b.is_ascii_digit()).then(|| inner.parse().ok().map(Stride::Place)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sole_expression_is_told_from_text_with_one() {
        let cases = [
            ("{{ a }}", Some("a")),
            (" {{- a | f(\"}}\") -}} ", Some("a | f(\"}}\")")),
            ("{{ {\"x\": {}} }}", Some("{\"x\": {}}")),
            ("{{ a }}{{ b }}", None),
            ("x {{ a }}", None),
            ("{{ a }} x", None),
            ("{% if a %}{% endif %}", None),
            ("{{ a", None),
            ("plain", None),
        ];
        for (text, expected) in cases {
            assert_eq!(sole_expression(text), expected, "{text}");
        }
    }

    #[test]
    fn filters_are_found_outside_texts_comments_and_raw() {
        let text = "{{ a|up }} {# |no #} {% if b | f1('|no') %}{% raw %}{{ x|no }}{% endraw %}{% filter g %}\n{{ 'q' |  h }}|no";
        let names: Vec<&str> = filters(text).iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["up", "f1", "g", "h"]);
        let (_, at) = filters(text)[3];
        assert_eq!(line_and_column(text, at), (2, 11));
    }

    #[test]
    fn references_are_ways_and_nothing_else() {
        let name = |name: &str| Stride::Name(name.into());
        let way = |strides: Vec<Stride>, cast| Some(Reference { strides, cast });
        assert_eq!(reference("email"), way(vec![name("email")], None));
        assert_eq!(reference("a.b[0]['c d']"), way(vec![name("a"), name("b"), Stride::Place(0), name("c d")], None));
        assert_eq!(reference("number( a.b )"), way(vec![name("a"), name("b")], Some(Cast::Number)));
        for none in ["", "a b", "a|f", "a+1", "true", "a[", "a[-1]", "a[b]", "1", "f(a)", "number(a, b)", "\"x\""] {
            assert_eq!(reference(none), None, "{none}");
        }
    }
}
