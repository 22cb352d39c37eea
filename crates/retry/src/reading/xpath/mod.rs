//! XPath for answers: the part of XPath 1.0 that mappings of answers are written in.
//!
//! Location paths (absolute, relative, `//`, `.`, `..`, `*`, `@name`, `text()`, `node()`, the axes in [`Axis`]), unions,
//! predicates with positions, comparisons, `and`, `or`, and the functions in [`Function`]. Names are compared as they stand
//! in the document: `Status` is found whatever its default namespace, `s:Body` by that prefix or by the namespace the
//! document gives it. No variables, no arithmetic, nothing that reads another document.

mod eval;
mod parse;

use roxmltree::Document;
use std::borrow::Cow;

/// How long an expression may be, in bytes.
pub(crate) const XPATH_BYTES_MAX: usize = 1_000;

/// An expression as it was checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct XPath {
    expression: Expression,
    /// Whether it asks for an element `html`: it was written for pages.
    names_html: bool,
}

impl XPath {
    /// Reads an expression; `None` where it is none, or beyond what is supported.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let expression = (text.len() <= XPATH_BYTES_MAX).then(|| parse::expression(text)).flatten()?;
        let names = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
        let names_html = names.into_iter().any(|name| name.eq_ignore_ascii_case("html"));
        Some(XPath { expression, names_html })
    }

    /// Whether it asks for an element `html`.
    pub(crate) const fn names_html(&self) -> bool {
        self.names_html
    }

    /// The texts of what it selects; an expression that is no path is one text. `None` beyond the bounds.
    /// Takes what it needs from `left`.
    pub(crate) fn texts<'a>(&self, document: &'a Document<'_>, left: &mut usize) -> Option<Vec<Cow<'a, str>>> {
        eval::texts(&self.expression, document, left)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Compare(Box<Expression>, Comparison, Box<Expression>),
    Union(Vec<Expression>),
    Path(Path),
    /// What an expression in brackets selects, and steps from there.
    From(Box<Expression>, Vec<Step>),
    Text(Box<str>),
    Number(f64),
    Call(Function, Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
struct Path {
    from_root: bool,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    axis: Axis,
    test: Test,
    predicates: Vec<Expression>,
}

/// Which way a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Child,
    Descendant,
    DescendantOrSelf,
    Attribute,
    Itself,
    Parent,
    Ancestor,
    FollowingSibling,
    PrecedingSibling,
}

impl Axis {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "child" => Axis::Child,
            "descendant" => Axis::Descendant,
            "descendant-or-self" => Axis::DescendantOrSelf,
            "attribute" => Axis::Attribute,
            "self" => Axis::Itself,
            "parent" => Axis::Parent,
            "ancestor" => Axis::Ancestor,
            "following-sibling" => Axis::FollowingSibling,
            "preceding-sibling" => Axis::PrecedingSibling,
            _ => return None,
        })
    }
}

/// What a step takes of what lies its way.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    /// Elements or attributes of any name.
    Any,
    /// Of this name, as written in the document.
    Name(Box<str>),
    /// Of this prefix and name; `None` for any name.
    Prefixed(Box<str>, Option<Box<str>>),
    Text,
    Node,
}

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Name,
    LocalName,
    NamespaceUri,
    Text,
    NormalizeSpace,
    StringLength,
    Count,
    Contains,
    StartsWith,
    SubstringBefore,
    SubstringAfter,
    Translate,
    Concat,
    Not,
    Boolean,
    Position,
    Last,
}

impl Function {
    /// A function by its name, with how many arguments it takes.
    fn from_name(name: &str) -> Option<(Self, std::ops::RangeInclusive<usize>)> {
        Some(match name {
            "name" => (Function::Name, 0..=1),
            "local-name" => (Function::LocalName, 0..=1),
            "namespace-uri" => (Function::NamespaceUri, 0..=1),
            "string" => (Function::Text, 0..=1),
            "normalize-space" => (Function::NormalizeSpace, 0..=1),
            "string-length" => (Function::StringLength, 0..=1),
            "count" => (Function::Count, 1..=1),
            "contains" => (Function::Contains, 2..=2),
            "starts-with" => (Function::StartsWith, 2..=2),
            "substring-before" => (Function::SubstringBefore, 2..=2),
            "substring-after" => (Function::SubstringAfter, 2..=2),
            "translate" => (Function::Translate, 3..=3),
            "concat" => (Function::Concat, 2..=20),
            "not" => (Function::Not, 1..=1),
            "boolean" => (Function::Boolean, 1..=1),
            "position" => (Function::Position, 0..=0),
            "last" => (Function::Last, 0..=0),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<Response xmlns="urn:bank" id="7"><Status code="1">Accepted</Status><Price cur="USD">12.50</Price>
<Errors><Error n="1">zip</Error><Error n="2"> state </Error></Errors><b:Ref xmlns:b="urn:b">R-1</b:Ref>
<Note><![CDATA[a <b> c]]></Note></Response></s:Body></s:Envelope>"#;

    fn selected(path: &str) -> Vec<String> {
        let document = Document::parse(TEXT).unwrap();
        let path = XPath::parse(path).unwrap_or_else(|| panic!("{path} is refused"));
        path.texts(&document, &mut 10_000_000).unwrap().into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn paths_lead_to_nodes() {
        let cases: [(&str, &[&str]); 38] = [
            ("//Status", &["Accepted"]),
            ("/s:Envelope/s:Body/Response/Status/text()", &["Accepted"]),
            ("/Envelope", &[]),
            ("//Status/@code", &["1"]),
            ("//Response/@*", &["7"]),
            ("//*[name()='s:Body']/*/@id", &["7"]),
            ("//*[local-name()='Ref']", &["R-1"]),
            ("//b:Ref", &["R-1"]),
            ("//b:*", &["R-1"]),
            ("//Ref", &[]),
            ("//Error[1]", &["zip"]),
            ("//Error[last()]/@n", &["2"]),
            ("//Error[position()=2]", &[" state "]),
            ("//Error[@n='2']", &[" state "]),
            ("//Error[@n=2]", &[" state "]),
            ("//Error[@n>1]/@n", &["2"]),
            ("//Error[contains(.,'zi')]", &["zip"]),
            ("//Error[starts-with(normalize-space(.), 'st')]/@n", &["2"]),
            ("//Error[not(@n='1')]/@n", &["2"]),
            ("//Error[@n='1' or @n='2']/@n", &["1", "2"]),
            ("//Error[@n='1' and .='zip']/@n", &["1"]),
            ("//Errors[Error='zip']/Error[2]/@n", &["2"]),
            ("//Status | //Price", &["Accepted", "12.50"]),
            ("//Price | //Status", &["Accepted", "12.50"]),
            ("//Price[@cur!='EUR']", &["12.50"]),
            ("//Error/../../Status", &["Accepted"]),
            ("//Status/following-sibling::Price", &["12.50"]),
            ("//Price/preceding-sibling::*[1]/@code", &["1"]),
            ("//Error[1]/ancestor::Response/@id", &["7"]),
            ("//Response/child::Status/self::node()", &["Accepted"]),
            ("descendant::Error[2]/@n", &["2"]),
            ("string(//Price)", &["12.50"]),
            ("normalize-space(//Error[2])", &["state"]),
            ("concat(//Price, ' ', //Price/@cur)", &["12.50 USD"]),
            ("count(//Error)", &["2"]),
            ("translate(//Status, 'ACE', 'ace')", &["accepted"]),
            ("substring-after(//b:Ref, '-')", &["1"]),
            ("//Note", &["a <b> c"]),
        ];
        for (path, expected) in cases {
            assert_eq!(selected(path), expected, "{path}");
        }
        assert_eq!(selected("namespace-uri(//b:Ref)"), ["urn:b"]);
        assert_eq!(selected("(//Error)[2]/@n"), ["2"]);
        assert_eq!(selected("boolean(//Nothing)"), ["false"]);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in [
            "",
            "//",
            "a b",
            "//a[",
            "//a[]",
            "//a]",
            "a[@]",
            "//a[foo()]",
            "$x",
            "1+1",
            "//a[contains(.)]",
            "a/",
            "::a",
            "x::a",
            "'open",
            "result[0].x)",
            "a > ",
        ] {
            assert_eq!(XPath::parse(bad), None, "{bad}");
        }
        assert!(XPath::parse(&"(".repeat(900)).is_none());
        assert!(XPath::parse(&format!("//a{}", "[a".repeat(300))).is_none());
    }

    #[test]
    fn work_is_bounded() {
        let deep = format!("{}{}", "<a>".repeat(1_000), "</a>".repeat(1_000));
        let document = Document::parse(&deep).unwrap();
        assert_eq!(XPath::parse("//a//a//a//a//a").unwrap().texts(&document, &mut 10_000_000), None);
        assert_eq!(XPath::parse("//a").unwrap().texts(&document, &mut 10_000_000).unwrap().len(), 1_000);
    }

    #[test]
    fn what_takes_longer_is_charged_more_and_all_paths_share_one_budget() {
        let work = |path: &str, text: &str| {
            let document = crate::reading::xml::parse(text).unwrap();
            let mut left = 10_000_000;
            assert!(XPath::parse(path).unwrap().texts(&document, &mut left).is_some(), "{path}");
            10_000_000 - left
        };
        let prefixed = format!("<r xmlns:p='u'>{}</r>", "<p:x/>".repeat(1_000));
        let (prefix, name) = (work("//p:x", &prefixed), work("//x", &prefixed));
        assert!(prefix > name + 7 * 1_000, "a prefix is looked up for each: {prefix}, {name}");
        let pairs = |text: &str| format!("<r>{}</r>", format!("<a>{text}</a><b>{text}</b>").repeat(50));
        let (short, long) = (work("//r[a != b]", &pairs("7")), work("//r[a != b]", &pairs(&"7".repeat(640))));
        assert!(long - short > 50 * 50 * 9, "long texts are compared longer: {short}, {long}");
        let document = crate::reading::xml::parse(&prefixed).unwrap();
        let (path, mut left) = (XPath::parse("//*").unwrap(), 8_000);
        assert!(path.texts(&document, &mut left).is_some());
        assert!(path.texts(&document, &mut left).is_none(), "{left}");
        assert_eq!(left, 0, "what is over the budget takes all of it");
        assert_eq!(selected("translate('aab', 'aa', 'xy')"), ["xxb"], "the first of two counts");
    }
}
