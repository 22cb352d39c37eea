//! XML bodies: elements and attributes by their paths, a lead as it came, and the SOAP envelope around either.
//!
//! Every value is escaped, and what XML cannot carry fails that lead. Writes no document type and no entity.

use super::BodyEntry;
use super::path::{XmlPath, is_xml_name, xml_path};
use super::source::{Filling, Made, Source};
use crate::place::{Fault, Place};
use crate::request::RenderFailed;
use crate::template::Builder;
use crate::template::escape::{is_xml, xml_text};
use std::borrow::Cow;
use steadfast_lead::{Fields, Value};

/// Which SOAP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SoapVersion {
    /// 1.1: `text/xml`, and a header SOAPAction.
    #[default]
    V11,
    /// 1.2: `application/soap+xml`, the action being a parameter of it.
    V12,
}

impl SoapVersion {
    /// Both.
    pub const ALL: [SoapVersion; 2] = [SoapVersion::V11, SoapVersion::V12];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            SoapVersion::V11 => "1.1",
            SoapVersion::V12 => "1.2",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        SoapVersion::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The namespace of the envelope, and of a fault.
    pub const fn namespace(self) -> &'static str {
        match self {
            SoapVersion::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            SoapVersion::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }
}

/// What stands around the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct XmlShape {
    /// `<?xml ...?>` first.
    pub(crate) declaration: bool,
    /// An envelope around all.
    pub(crate) soap: Option<SoapVersion>,
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

impl XmlShape {
    /// Puts around the elements what belongs there; `header` is the content of the SOAP header.
    pub(crate) fn around(self, inner: &str, header: Option<&str>) -> String {
        let declaration = if self.declaration { DECLARATION } else { "" };
        let Some(version) = self.soap else {
            return format!("{declaration}{inner}");
        };
        let header = header.map(|header| format!("<soap:Header>{header}</soap:Header>")).unwrap_or_default();
        let namespace = version.namespace();
        format!(
            "{declaration}<soap:Envelope xmlns:soap=\"{namespace}\">{header}<soap:Body>{inner}</soap:Body></soap:Envelope>"
        )
    }
}

/// A mapped XML body.
#[derive(Clone, Debug)]
pub(crate) struct XmlBody {
    sources: Vec<Source>,
    roots: Vec<Element>,
}

#[derive(Clone, Debug)]
struct Element {
    name: Box<str>,
    place: usize,
    attributes: Vec<(Box<str>, usize)>,
    text: Option<usize>,
    children: Vec<Element>,
}

impl XmlBody {
    /// From entries; what does not fit is added to the builder's faults.
    pub(crate) fn new(entries: &[BodyEntry], soap: bool, builder: &mut Builder) -> Self {
        let mut body = XmlBody { sources: Vec::new(), roots: Vec::new() };
        for entry in entries {
            let Some(source) = Source::new(entry, builder) else { continue };
            let leaf = body.sources.len();
            let added = xml_path(entry).and_then(|path| add(&mut body.roots, &path, leaf, entry));
            builder.faults.extend(added.err());
            body.sources.push(source);
        }
        let place = Place::of("request.body");
        if body.roots.len() > 1 && !soap {
            let said = "has several outermost elements, where XML has one";
            builder.faults.push(Fault::unseen(place.clone(), said, "paths that begin with the same element"));
        }
        let known: &[&str] = if soap { &["xml", "soap"] } else { &["xml"] };
        let unknown = body.roots.iter().find_map(|root| unknown_prefix(root, known));
        builder.faults.extend(unknown.map(|prefix| {
            let said = format!("uses the prefix {prefix:?}, which no element around it declares");
            Fault::unseen(place, &said, &format!("a path such as lead/@xmlns:{prefix} with the namespace"))
        }));
        body
    }

    /// The elements for a lead.
    ///
    /// # Errors
    /// [`RenderFailed`] where a template fails, or a value has characters XML cannot carry.
    pub(crate) fn write(&self, filling: &Filling<'_>) -> Result<String, RenderFailed> {
        let made = |source: &Source| Ok(source.make(filling)?.map(|made| Made::into_value(made).into_owned()));
        let made = self.sources.iter().map(made).collect::<Result<Vec<Option<Value>>, RenderFailed>>()?;
        let mut out = String::new();
        self.roots.iter().try_for_each(|root| root.write(&made, true, &mut out))?;
        Ok(out)
    }

    /// What shapes the bytes.
    pub(crate) fn describe(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{:?}", self.roots).as_bytes());
        self.sources.iter().for_each(|source| source.describe(out));
    }
}

fn add(elements: &mut Vec<Element>, path: &XmlPath, leaf: usize, entry: &BodyEntry) -> Result<(), Fault> {
    let clash = || entry.fault("stands twice", "one value to each path");
    let mut level = elements;
    let mut steps = path.elements.iter().peekable();
    while let Some((name, place)) = steps.next() {
        let element = one_of(level, name, *place);
        if steps.peek().is_some() {
            level = &mut element.children;
            continue;
        }
        return match &path.attribute {
            Some(name) if element.attributes.iter().any(|(known, _)| known == name) => Err(clash()),
            Some(name) => {
                element.attributes.push((name.clone(), leaf));
                Ok(())
            }
            None if element.text.is_some() => Err(clash()),
            None => {
                element.text = Some(leaf);
                Ok(())
            }
        };
    }
    Ok(())
}

/// The element of a name and place, made where there is none: elements of one name stand together, by place.
fn one_of<'e>(level: &'e mut Vec<Element>, name: &str, place: usize) -> &'e mut Element {
    let at = level.iter().position(|known| *known.name == *name && known.place == place).unwrap_or_else(|| {
        let after = level.iter().rposition(|known| *known.name == *name && known.place < place);
        let before = level.iter().position(|known| *known.name == *name);
        let at = after.map(|at| at + 1).or(before).unwrap_or(level.len());
        let new = Element { name: name.into(), place, attributes: Vec::new(), text: None, children: Vec::new() };
        level.insert(at, new);
        at
    });
    &mut level[at]
}

fn unknown_prefix(element: &Element, known: &[&str]) -> Option<String> {
    let own = element.attributes.iter().filter_map(|(name, _)| name.strip_prefix("xmlns:"));
    let known: Vec<&str> = known.iter().copied().chain(own).collect();
    let names = std::iter::once(&*element.name).chain(element.attributes.iter().map(|(name, _)| &**name));
    let mut prefixes = names.filter_map(|name| name.split_once(':').map(|(prefix, _)| prefix));
    let unknown = prefixes.find(|prefix| *prefix != "xmlns" && !known.contains(prefix));
    unknown.map(str::to_owned).or_else(|| element.children.iter().find_map(|child| unknown_prefix(child, &known)))
}

impl Element {
    /// Whether a lead has anything of it.
    fn has_any(&self, made: &[Option<Value>]) -> bool {
        let has = |leaf: &usize| made.get(*leaf).is_some_and(Option::is_some);
        let attribute = self.attributes.iter().any(|(_, leaf)| has(leaf));
        attribute || self.text.iter().any(has) || self.children.iter().any(|child| child.has_any(made))
    }

    /// A list makes the element once for each of its values.
    fn write(&self, made: &[Option<Value>], outermost: bool, out: &mut String) -> Result<(), RenderFailed> {
        if !outermost && !self.has_any(made) {
            return Ok(());
        }
        let text = self.text.and_then(|leaf| made.get(leaf)).and_then(Option::as_ref);
        match text {
            Some(Value::List(values)) => values.iter().try_for_each(|value| self.write_one(Some(value), made, out)),
            other => self.write_one(other, made, out),
        }
    }

    fn write_one(&self, text: Option<&Value>, made: &[Option<Value>], out: &mut String) -> Result<(), RenderFailed> {
        out.push('<');
        out.push_str(&self.name);
        for (name, leaf) in &self.attributes {
            let Some(Some(value)) = made.get(*leaf) else { continue };
            let text = value.as_plain().ok_or_else(|| RenderFailed::nested(name))?;
            out.push_str(&format!(" {name}=\"{}\"", escaped(name, text)?));
        }
        out.push('>');
        if let Some(value) = text {
            write_content(&self.name, value, out)?;
        }
        self.children.iter().try_for_each(|child| child.write(made, false, out))?;
        out.push_str(&format!("</{}>", self.name));
        Ok(())
    }
}

fn escaped<'t>(name: &str, text: &'t str) -> Result<Cow<'t, str>, RenderFailed> {
    if !is_xml(text) {
        return Err(RenderFailed::not_xml(name, "has a character XML cannot carry"));
    }
    let plain = !text.contains(['&', '<', '>', '"', '\'', '\r', '\n', '\t']);
    Ok(if plain { Cow::Borrowed(text) } else { Cow::Owned(xml_text(text)) })
}

fn write_content(name: &str, value: &Value, out: &mut String) -> Result<(), RenderFailed> {
    match value {
        Value::Object(fields) => write_fields(fields, out),
        Value::List(_) => Err(RenderFailed::nested(name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
            out.push_str(&escaped(name, value.as_plain().unwrap_or_default())?);
            Ok(())
        }
    }
}

/// Fields as elements: objects nested, lists as repeated elements. Depth is bounded by the reader of leads.
fn write_fields(fields: &Fields, out: &mut String) -> Result<(), RenderFailed> {
    fields.iter().try_for_each(|(name, value)| write_element(name, value, out))
}

fn write_element(name: &str, value: &Value, out: &mut String) -> Result<(), RenderFailed> {
    if name.contains(':') || !is_xml_name(name) {
        return Err(RenderFailed::not_xml(name, "is not a name XML allows; map it with a body"));
    }
    if let Value::List(values) = value {
        let nested = values.iter().any(|value| matches!(value, Value::List(_)));
        if nested {
            return Err(RenderFailed::nested(name));
        }
        return values.iter().try_for_each(|value| write_element(name, value, out));
    }
    out.push_str(&format!("<{name}>"));
    write_content(name, value, out)?;
    out.push_str(&format!("</{name}>"));
    Ok(())
}

/// A lead without a body of its own: its fields inside one element `lead`.
pub(crate) fn write_lead<'f>(fields: impl Iterator<Item = (&'f str, &'f Value)>) -> Result<String, RenderFailed> {
    let mut out = "<lead>".to_owned();
    for (name, value) in fields {
        write_element(name, value, &mut out)?;
    }
    out.push_str("</lead>");
    Ok(out)
}
