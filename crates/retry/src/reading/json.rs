//! JSON as recipients send it: read in one pass into a flat list of nodes that borrow the text.
//!
//! More lenient than the standard where recipients are: raw control characters within texts are kept. Never recurses deeper
//! and never holds more than its bounds say.

use std::borrow::Cow;

/// How deep lists and objects may nest.
const DEPTH_MAX: u32 = 128;
/// Values in one document, at most.
const NODES_MAX: usize = 200_000;

/// A document: its nodes in the order of the text, each with where its descendants end.
#[derive(Debug)]
pub(crate) struct Json<'t> {
    nodes: Vec<Node<'t>>,
}

#[derive(Debug)]
struct Node<'t> {
    /// Its name, where it stands in an object.
    key: Option<Cow<'t, str>>,
    value: Content<'t>,
    /// The node after it and everything within it.
    end: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Content<'t> {
    Text(Cow<'t, str>),
    /// A number, true or false, as written.
    Plain(&'t str),
    Null,
    List,
    /// As written.
    Object(&'t str),
}

/// A place in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At(usize);

impl<'t> Json<'t> {
    /// Reads a whole text; `None` where it is not JSON, or beyond the bounds.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let mut parser = Parser { text, at: 0, nodes: Vec::with_capacity(text.len().min(4_096) / 12 + 1) };
        parser.value(None, 0)?;
        parser.blanks();
        // Some frameworks end what they send with a zero byte.
        text[parser.at..].bytes().all(|byte| byte == 0).then_some(Json { nodes: parser.nodes })
    }

    /// The outermost value.
    pub(crate) const fn root(&self) -> At {
        At(0)
    }

    /// The members of a list or an object; nothing else has any.
    pub(crate) fn members(&self, at: At) -> impl Iterator<Item = At> + '_ {
        let end = self.nodes.get(at.0).map_or(0, |node| node.end);
        let mut next = at.0 + 1;
        std::iter::from_fn(move || {
            let node = self.nodes.get(next).filter(|_| next < end)?;
            let here = At(next);
            next = node.end;
            Some(here)
        })
    }

    /// The members of an object that have a name; the last one stands where a name is repeated.
    pub(crate) fn named(&self, at: At, name: &str) -> Option<At> {
        let has_name = |member: &At| self.nodes.get(member.0).and_then(|node| node.key.as_deref()) == Some(name);
        self.members(at).filter(has_name).last()
    }

    /// Whether it is a list.
    pub(crate) fn is_list(&self, at: At) -> bool {
        self.nodes.get(at.0).is_some_and(|node| node.value == Content::List)
    }

    /// The texts of a value: a list has those of its members, an object is as written, null is empty.
    pub(crate) fn texts<'a>(&'a self, at: At, out: &mut Vec<Cow<'a, str>>) {
        let Some(node) = self.nodes.get(at.0) else { return };
        match &node.value {
            Content::Text(text) => out.push(Cow::Borrowed(text)),
            Content::Plain(text) | Content::Object(text) => out.push(Cow::Borrowed(text)),
            Content::Null => out.push(Cow::Borrowed("")),
            Content::List if node.end == at.0 + 1 => out.push(Cow::Borrowed("")),
            Content::List => self.members(at).for_each(|member| self.texts(member, out)),
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    nodes: Vec<Node<'t>>,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.blanks();
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn value(&mut self, key: Option<Cow<'t, str>>, depth: u32) -> Option<()> {
        self.blanks();
        let index = self.nodes.len();
        if index >= NODES_MAX || depth > DEPTH_MAX {
            return None;
        }
        self.nodes.push(Node { key, value: Content::Null, end: index + 1 });
        let start = self.at;
        let content = match self.peek()? {
            b'"' => Content::Text(self.string()?),
            b'[' => {
                self.list(depth)?;
                Content::List
            }
            b'{' => {
                self.object(depth)?;
                Content::Object(self.text.get(start..self.at)?)
            }
            _ => self.word()?,
        };
        let end = self.nodes.len();
        let node = self.nodes.get_mut(index)?;
        (node.value, node.end) = (content, end);
        Some(())
    }

    fn list(&mut self, depth: u32) -> Option<()> {
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            self.value(None, depth + 1)?;
            if self.take(b',').is_none() {
                return self.take(b']');
            }
        }
    }

    fn object(&mut self, depth: u32) -> Option<()> {
        self.take(b'{')?;
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            self.blanks();
            let key = self.string()?;
            self.take(b':')?;
            self.value(Some(key), depth + 1)?;
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    fn word(&mut self) -> Option<Content<'t>> {
        let rest = self.text.get(self.at..)?;
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))).unwrap_or(rest.len());
        let word = rest.get(..end)?;
        self.at += end;
        match word {
            "null" => Some(Content::Null),
            "true" | "false" => Some(Content::Plain(word)),
            _ => is_number(word).then_some(Content::Plain(word)),
        }
    }

    fn string(&mut self) -> Option<Cow<'t, str>> {
        self.take(b'"')?;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut kept = start;
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            self.at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            if self.peek() == Some(b'"') {
                break;
            }
            let into = owned.get_or_insert_default();
            into.push_str(self.text.get(kept..self.at)?);
            self.at += 1;
            into.push(self.escape()?);
            kept = self.at;
        }
        let tail = self.text.get(kept..self.at)?;
        self.at += 1;
        Some(match owned {
            None => Cow::Borrowed(tail),
            Some(text) => Cow::Owned(text + tail),
        })
    }

    /// The character after a backslash.
    fn escape(&mut self) -> Option<char> {
        let byte = self.peek()?;
        if !byte.is_ascii() {
            return None;
        }
        self.at += 1;
        Some(match byte {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => return self.unicode(),
            b'"' | b'\\' | b'/' | b'\'' => char::from(byte),
            _ => return None,
        })
    }

    /// Halves of a pair that stand alone are the replacement character.
    fn unicode(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        let pair_follows = self.text.as_bytes().get(self.at..self.at + 2) == Some(b"\\u");
        if (0xd800..0xdc00).contains(&first) && pair_follows {
            let back = self.at;
            self.at += 2;
            let second = self.four_digits()?;
            if (0xdc00..0xe000).contains(&second) {
                return char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
            self.at = back;
        }
        Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    digits.starts_with(|c: char| c.is_ascii_digit()) && word.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Option<Vec<String>> {
        let json = Json::parse(text)?;
        let mut out = Vec::new();
        json.texts(json.root(), &mut out);
        Some(out.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn values_are_read_as_they_stand() {
        let cases: [(&str, &[&str]); 9] = [
            ("\"a\\n\\u00e9\\ud83d\\ude00\\/\"", &["a\né😀/"]),
            (" 12.50 ", &["12.50"]),
            ("[true, null, [1, []]]", &["true", "", "1", ""]),
            ("{\"a\": {\"b\": 1}}", &["{\"a\": {\"b\": 1}}"]),
            ("\"raw\ttab\nand \u{1}\"", &["raw\ttab\nand \u{1}"]),
            ("\"\\ud800 alone\"", &["\u{fffd} alone"]),
            ("\"\\ud800\\u0041\"", &["\u{fffd}A"]),
            ("[]", &[""]),
            ("1\u{0}\u{0}", &["1"]),
        ];
        for (text, expected) in cases {
            assert_eq!(texts(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_told() {
        for text in [
            "",
            "accepted",
            "{",
            "{\"a\"}",
            "[1,]",
            "{\"a\":1} x",
            "\"open",
            "<html>",
            "nan",
            "inf",
            "- 1",
            "\"\\x\"",
            "\"\\u00g0\"",
        ] {
            assert!(Json::parse(text).is_none(), "{text}");
        }
        let depth = usize::try_from(DEPTH_MAX).unwrap();
        assert!(Json::parse(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).is_some());
        assert!(Json::parse(&"[".repeat(1_000_000)).is_none());
        assert!(Json::parse(&format!("[{}1]", "1,".repeat(NODES_MAX))).is_none());
    }

    #[test]
    fn the_last_of_a_repeated_name_stands() {
        let json = Json::parse("{\"a\":1,\"b\":[2],\"a\":3}").unwrap();
        let mut out = Vec::new();
        json.texts(json.named(json.root(), "a").unwrap(), &mut out);
        assert_eq!(out, ["3"]);
        assert_eq!(json.members(json.root()).count(), 3);
        assert!(json.named(json.root(), "c").is_none() && !json.is_list(json.root()));
    }
}
