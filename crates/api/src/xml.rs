//! XML of sources as fields: elements by name, nested as they nest.
//!
//! Nothing is ever fetched or expanded: a document type is refused before anything of it is read.

use crate::problem::{Problem, ProblemKind};
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use std::collections::{HashMap, HashSet};
use steadfast_lead::{Fields, JsonLimits, Value};

/// The field that holds an element's text beside its attributes or elements.
const TEXT: &str = "_";

/// Reads a document into fields, in one pass. The root's own name does not matter. Repeated elements make a list, attributes
/// are fields of their element, prefixes of names are left out.
///
/// # Errors
/// A [`Problem`] naming what is wrong, and where.
pub(crate) fn xml_fields(body: &[u8], limits: JsonLimits) -> Result<Fields, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        Problem::new(ProblemKind::NotUtf8, format!("the body is not valid UTF-8 (first bad byte at {at})"))
    })?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let mut events = Reader::from_str(text);
    let mut tree = Tree { limits, values: 0, open: Vec::new(), root: None };
    loop {
        let event = events.read_event().map_err(|_| malformed(text, events.buffer_position()))?;
        if matches!(event, Event::Eof) {
            break;
        }
        match tree.take(event) {
            Ok(()) => {}
            Err(Fault::Malformed) => return Err(malformed(text, events.buffer_position())),
            Err(Fault::Refused(problem)) => return Err(*problem),
        }
    }
    match tree.root.filter(|_| tree.open.is_empty()) {
        Some(Value::Object(fields)) => Ok(fields),
        Some(_) => {
            Err(Problem::new(ProblemKind::NotAnObject, "a lead is an element that holds its fields as elements"))
        }
        None => Err(malformed(text, events.buffer_position())),
    }
}

/// The parser's own words can hold what stands in the document.
fn malformed(text: &str, at: u64) -> Problem {
    let before = usize::try_from(at).ok().and_then(|at| text.get(..at)).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Problem::new(
        ProblemKind::MalformedXml,
        format!("the body is not well-formed XML, up to line {line} column {column}"),
    )
}

enum Fault {
    /// Where the reader stands.
    Malformed,
    Refused(Box<Problem>),
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Fault::Refused(Box::new(problem))
    }
}

/// An element that is not closed yet.
#[derive(Default)]
struct Open {
    name: Box<str>,
    named: Named,
    text: String,
}

struct Tree {
    limits: JsonLimits,
    values: usize,
    open: Vec<Open>,
    root: Option<Value>,
}

/// Values by name in the order they came.
#[derive(Default)]
struct Named {
    pairs: Vec<(Box<str>, Vec<Value>)>,
    places: HashMap<Box<str>, usize>,
}

impl Named {
    fn add(&mut self, name: &str, value: Value) {
        if let Some(place) = self.places.get(name).copied()
            && let Some((_, values)) = self.pairs.get_mut(place)
        {
            values.push(value);
            return;
        }
        self.places.insert(name.into(), self.pairs.len());
        self.pairs.push((name.into(), vec![value]));
    }

    fn into_fields(self) -> Fields {
        let one = |(name, mut values): (Box<str>, Vec<Value>)| match values.len() {
            1 => (name, values.pop().unwrap_or(Value::Null)),
            _ => (name, Value::List(values)),
        };
        Fields::from_unique(self.pairs.into_iter().map(one).collect())
    }
}

impl Tree {
    fn take(&mut self, event: Event<'_>) -> Result<(), Fault> {
        match event {
            Event::Start(start) => self.begin(&start),
            Event::Empty(start) => {
                self.begin(&start)?;
                self.end()
            }
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let text = resolved(&reference).ok_or(Fault::Malformed)?;
                self.text(text.encode_utf8(&mut [0; 4]))
            }
            Event::DocType(_) => {
                let detail = "the body has a document type, which is never read: leave it out";
                Err(Problem::new(ProblemKind::MalformedXml, detail).into())
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), Fault> {
        if self.root.is_some() {
            return Err(Fault::Malformed);
        }
        if self.open.len() >= self.limits.depth_max {
            let detail = format!("nested deeper than {} levels", self.limits.depth_max);
            return Err(Problem::new(ProblemKind::TooDeep, detail).into());
        }
        let mut open = Open { name: start.local_name().as_ref().into(), ..Open::default() };
        if !self.open.is_empty() {
            self.count(&open.name)?;
        }
        // The parser's own look for repeated ones compares each with all before it.
        let mut seen = HashSet::new();
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| Fault::Malformed)?;
            if !seen.insert(attribute.key.into_inner()) {
                return Err(Fault::Malformed);
            }
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let name = attribute.key.local_name();
            self.count(name.as_ref())?;
            let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|_| Fault::Malformed)?;
            open.named.add(name.as_ref(), Value::text(&value));
        }
        self.open.push(open);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Fault> {
        match self.open.last_mut() {
            Some(open) => open.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(Fault::Malformed),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Open { name, mut named, text } = self.open.pop().ok_or(Fault::Malformed)?;
        let text = if text.trim().is_empty() { String::new() } else { text };
        let value = if named.pairs.is_empty() {
            Value::Text(text.into())
        } else {
            if !text.is_empty() {
                self.count(TEXT)?;
                named.add(TEXT, Value::Text(text.into()));
            }
            Value::Object(named.into_fields())
        };
        match self.open.last_mut() {
            Some(outer) => outer.named.add(&name, value),
            None => self.root = Some(value),
        }
        Ok(())
    }

    fn count(&mut self, name: &str) -> Result<(), Problem> {
        self.values += 1;
        let (values, max) = (self.limits.values_max, self.limits.name_bytes_max);
        if self.values > values {
            return Err(Problem::new(ProblemKind::TooManyValues, format!("more than {values} values")));
        }
        if name.is_empty() || name.len() > max {
            let detail = format!("a field name must have 1 to {max} bytes, {} found", name.len());
            return Err(Problem::new(ProblemKind::BadFieldName, detail));
        }
        Ok(())
    }
}

/// A numbered character, or one of the five that XML names; there are no others without a document type.
fn resolved(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(numbered)) = reference.resolve_char_ref() {
        return Some(numbered);
    }
    let named = quick_xml::escape::resolve_predefined_entity(reference.as_ref())?;
    named.chars().next()
}

#[cfg(test)]
mod tests {
    use super::xml_fields;
    use steadfast_lead::{JsonLimits, write_object};

    fn json_of(body: &str) -> String {
        let mut out = Vec::new();
        write_object(&xml_fields(body.as_bytes(), JsonLimits::LEAD).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn slug(body: impl AsRef<[u8]>) -> &'static str {
        let limits = JsonLimits { depth_max: 4, values_max: 6, name_bytes_max: 8 };
        xml_fields(body.as_ref(), limits).unwrap_err().kind().slug()
    }

    #[test]
    fn elements_are_fields() {
        let lead = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<lead>\n  <first_name>J&#xf6;e &amp; Co</first_name>\n  <zip>01234</zip>\n  \
                    <empty/>\n  <contact kind=\"home\"><phone><![CDATA[<512>]]></phone></contact>\n  <tag>a</tag><other>x</other><tag>b</tag>\n  \
                    <note lang=\"en\">hello</note>\n</lead>";
        assert_eq!(
            json_of(lead),
            "{\"first_name\":\"Jöe & Co\",\"zip\":\"01234\",\"empty\":\"\",\"contact\":{\"kind\":\"home\",\"phone\":\"<512>\"},\
             \"tag\":[\"a\",\"b\"],\"other\":\"x\",\"note\":{\"lang\":\"en\",\"_\":\"hello\"}}"
        );
        assert_eq!(json_of("<s:lead xmlns:s=\"urn:x\"><s:a> x </s:a></s:lead>"), r#"{"a":" x "}"#);
    }

    #[test]
    fn hostile_documents() {
        let bomb = "<!DOCTYPE l [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><l><x>&b;</x></l>";
        let outside = "<!DOCTYPE l [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><l><x>&a;</x></l>";
        for doctype in [bomb, outside, "<!DOCTYPE l><l><x>1</x></l>"] {
            assert_eq!(slug(doctype), "malformed-xml", "{doctype}");
        }
        for bad in ["", "email=a", "<l><a></l>", "<l><a>1</a>", "<l>&nbsp;</l>", "<l a='1' a='2'/>", "<l/><l/>", "{}"] {
            assert_eq!(slug(bad), "malformed-xml", "{bad}");
        }
        assert_eq!(slug(b"<l><a>\xFF</a></l>"), "not-utf8");
        assert_eq!(slug("<l>text</l>"), "not-an-object");
        assert_eq!(slug("<l><a><b><c><d>1</d></c></b></a></l>"), "too-deep");
        assert_eq!(slug(format!("<l>{}</l>", "<a/>".repeat(7))), "too-many-values");
        assert_eq!(slug(format!("<l>{}</l>", "<a/>".repeat(7_000))), "too-many-values");
        assert_eq!(slug("<l a='1' b='1' c='1' d='1' e='1' f='1' g='1'/>"), "too-many-values");
        assert_eq!(slug("<l><long_name>1</long_name></l>"), "bad-field-name");
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        assert_eq!(xml_fields(deep.as_bytes(), JsonLimits::LEAD).unwrap_err().kind().slug(), "too-deep");
    }

    /// Linear in their length: parsers that compare each attribute or namespace with all before it take seconds here.
    #[test]
    fn many_attributes_and_namespaces_cost_no_more_than_their_length() {
        let many = |write: &dyn Fn(usize) -> String| (0..60_000).map(write).collect::<String>();
        let attributes = format!("<l {}/>", many(&|n| format!("a{n}='' ")));
        assert_eq!(slug(attributes), "too-many-values");
        let namespaces = format!("<l {}><a>1</a></l>", many(&|n| format!("xmlns:a{n}='u' ")));
        assert_eq!(json_of(&namespaces), r#"{"a":"1"}"#);
        let nested = format!("<l>{}</l>", many(&|n| format!("<a xmlns:a{n}='u'><b/></a>")));
        assert_eq!(slug(nested), "too-many-values");
    }
}
