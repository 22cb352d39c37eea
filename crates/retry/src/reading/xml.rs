//! XML as recipients send it, within bounds: no document types, so no entities of its own and nothing from elsewhere.

use roxmltree::{Document, ParsingOptions};

/// How deep elements may nest.
const DEPTH_MAX: usize = 256;
/// Elements, attributes and texts of one document, at most.
const NODES_MAX: u32 = 200_000;
/// Attributes of one element, at most: the parser compares each with each.
const ATTRIBUTES_MAX: usize = 256;
/// Declarations of namespaces, at most: the parser keeps a list for each.
const NAMESPACES_MAX: usize = 1_000;

/// Reads a whole text; `None` where it is not XML, or beyond the bounds.
pub(crate) fn parse(text: &str) -> Option<Document<'_>> {
    let text = text.trim_start();
    if !Bounds::default().hold(text) || text.matches("xmlns").count() > NAMESPACES_MAX {
        return None;
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).ok()
}

/// Whether a document is a page for people.
pub(crate) fn is_page(document: &Document<'_>) -> bool {
    document.root_element().tag_name().name().eq_ignore_ascii_case("html")
}

/// How long a name may be, in bytes: names are looked at again and again.
const NAME_BYTES_MAX: usize = 1_000;
/// Namespaces that hold in one place, at most: the parser looks through them for each name with a prefix.
const SCOPE_MAX: usize = 64;

/// Counts depth, attributes, namespaces and the length of names before the parser is let loose. Wrong XML may be counted wrongly: the parser refuses it.
#[derive(Default)]
struct Bounds {
    /// Of each element that is open: how many namespaces hold in it.
    open: Vec<usize>,
}

impl Bounds {
    fn hold(&mut self, text: &str) -> bool {
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            rest = &rest[at..];
            let Some(behind) = self.tag(rest) else { return false };
            rest = behind;
        }
        true
    }

    /// What follows the tag, comment, section or instruction that `rest` begins with; `None` beyond the bounds.
    fn tag<'t>(&mut self, rest: &'t str) -> Option<&'t str> {
        for (open, close) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")] {
            if rest.starts_with(open) {
                return Some(rest.split_once(close).map_or("", |(_, behind)| behind));
            }
        }
        let (inside, behind) = tag_end(rest)?;
        if inside.starts_with("</") {
            self.open.pop();
            return Some(behind);
        }
        let around = self.open.last().copied().unwrap_or(0);
        let scope = around + inside.matches("xmlns").count();
        if !inside.ends_with('/') {
            self.open.push(scope);
        }
        (self.open.len() <= DEPTH_MAX && scope <= SCOPE_MAX).then_some(behind)
    }
}

/// The tag up to its `>`, quotes minded, and what follows; `None` where it has too many attributes or too long a name.
fn tag_end(rest: &str) -> Option<(&str, &str)> {
    let (mut quote, mut attributes, mut name) = (None, 0, 0);
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'=') => (attributes, name) = (attributes + 1, 0),
            (None, b'>') => return Some((&rest[..at], &rest[at + 1..])),
            (None, b' ' | b'\t' | b'\n' | b'\r') => name = 0,
            (None, _) => name += 1,
        }
        if attributes > ATTRIBUTES_MAX || name > NAME_BYTES_MAX {
            return None;
        }
    }
    Some((rest, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_and_hostile_ones_refused() {
        for good in
            ["<a/>", "\n <?xml version='1.0' encoding='iso-8859-1'?><a b='>'>x</a>", "<a><!-- < --><![CDATA[<b>]]></a>"]
        {
            assert!(parse(good).is_some(), "{good}");
        }
        let bomb = "<!DOCTYPE a [<!ENTITY x \"ha\"><!ENTITY y \"&x;&x;\">]><a>&y;</a>";
        let outside = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
        let attributes: String = (0..100_000).map(|n| format!(" a{n}='>'")).collect();
        let namespaces: String = (0..2_000).map(|n| format!("<a xmlns:n{n}='u{n}'>")).collect();
        let deep = "<a>".repeat(500_000);
        let attributes = format!("<a{attributes}/>");
        let long = "n".repeat(NAME_BYTES_MAX + 1);
        let (long_name, long_attribute) = (format!("<{long}/>"), format!("<a {long}=''/>"));
        let declared = |from: usize| (from..from + 40).map(|n| format!(" xmlns:n{n}='u'")).collect::<String>();
        let scope = format!("<a{}><b{}/></a>", declared(0), declared(40));
        let beside = format!("<r><a{0}/><a{0}/></r>", declared(0));
        assert!(parse(&beside).is_some(), "what does not hold in one place is not counted together");
        for bad in [
            "",
            "ok",
            "{}",
            "<a>",
            "<a></b>",
            "<",
            "<a b=\"",
            bomb,
            outside,
            &attributes,
            &namespaces,
            &deep,
            &long_name,
            &long_attribute,
            &scope,
        ] {
            assert!(parse(bad).is_none(), "{:.80}", bad);
        }
        let wide = format!("<a>{}</a>", "<b/>".repeat(250_000));
        assert!(parse(&wide).is_none());
        let edge = format!("{}{}", "<a>".repeat(DEPTH_MAX), "</a>".repeat(DEPTH_MAX));
        assert!(parse(&edge).is_some());
    }

    #[test]
    fn pages_are_known() {
        assert!(is_page(&parse("<html xmlns='http://www.w3.org/1999/xhtml'/>").unwrap()));
        assert!(!is_page(&parse("<Response/>").unwrap()));
    }
}
