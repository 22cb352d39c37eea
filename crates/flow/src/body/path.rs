//! Reading the paths of mapped values: dotted for JSON, with slashes for XML.
//!
//! A path that could be read in two ways is refused.

use super::{BODY_DEPTH_MAX, BODY_INDEX_MAX, BodyEntry, Segment};
use crate::place::Fault;

/// One step of a path through JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JsonStep {
    /// A member.
    Member(Box<str>),
    /// A place in a list, from 0.
    Item(usize),
}

/// `applicant.phones[0]`; a dot or bracket of a name is written `\.` and `\[`.
pub(crate) fn json_path(entry: &BodyEntry) -> Result<Vec<JsonStep>, Fault> {
    const ALLOWED: &str = "such as applicant.phones[0].number, at most 32 deep and places 0 to 999";
    let unreadable = || entry.fault("is not a path into JSON", ALLOWED);
    let mut steps = Vec::new();
    for segment in &entry.path {
        match segment {
            Segment::Key(key) => json_steps(key, &mut steps).ok_or_else(unreadable)?,
            Segment::Place(place) => steps.push(JsonStep::Item(*place)),
        }
    }
    let fits = |step: &JsonStep| match step {
        JsonStep::Member(name) => !name.is_empty(),
        JsonStep::Item(place) => *place <= BODY_INDEX_MAX,
    };
    let whole = !steps.is_empty() && steps.len() <= BODY_DEPTH_MAX && steps.iter().all(fits);
    if whole { Ok(steps) } else { Err(unreadable()) }
}

fn json_steps(key: &str, steps: &mut Vec<JsonStep>) -> Option<()> {
    let mut name = String::new();
    let mut open = true;
    let mut chars = key.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                name.push(chars.next()?);
                open = true;
            }
            '.' => {
                end_name(&mut name, open, steps)?;
                open = true;
            }
            '[' => {
                if !name.is_empty() {
                    end_name(&mut name, true, steps)?;
                }
                let (digits, rest) = chars.as_str().split_once(']')?;
                steps.push(JsonStep::Item(place(digits)?));
                chars = rest.chars();
                open = false;
            }
            _ if open => name.push(c),
            _ => return None,
        }
    }
    end_name(&mut name, open, steps)
}

/// After `]` a name is not needed; before a dot it is.
fn end_name(name: &mut String, needed: bool, steps: &mut Vec<JsonStep>) -> Option<()> {
    if name.is_empty() {
        return (!needed).then_some(());
    }
    steps.push(JsonStep::Member(std::mem::take(name).into()));
    Some(())
}

fn place(digits: &str) -> Option<usize> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|place| plain && *place <= BODY_INDEX_MAX)
}

/// Where a value stands in XML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct XmlPath {
    /// Elements from the outermost, each with its place among those of its name.
    pub(crate) elements: Vec<(Box<str>, usize)>,
    /// The attribute; `None` for the element's text.
    pub(crate) attribute: Option<Box<str>>,
}

/// `lead/phone[1]/@type`.
pub(crate) fn xml_path(entry: &BodyEntry) -> Result<XmlPath, Fault> {
    const ALLOWED: &str = "such as lead/phone[0]/@type, with names XML allows, at most 32 deep and places 0 to 999";
    let unreadable = || entry.fault("is not a path into XML", ALLOWED);
    let mut path = XmlPath { elements: Vec::new(), attribute: None };
    for segment in &entry.path {
        match segment {
            Segment::Key(key) => xml_steps(key, &mut path).ok_or_else(unreadable)?,
            Segment::Place(place) if *place <= BODY_INDEX_MAX => {
                path.elements.last_mut().ok_or_else(unreadable)?.1 = *place;
            }
            Segment::Place(_) => return Err(unreadable()),
        }
    }
    let whole = !path.elements.is_empty() && path.elements.len() <= BODY_DEPTH_MAX;
    if whole { Ok(path) } else { Err(unreadable()) }
}

fn xml_steps(key: &str, path: &mut XmlPath) -> Option<()> {
    for step in key.strip_prefix('/').unwrap_or(key).split('/') {
        if path.attribute.is_some() {
            return None;
        }
        if let Some(name) = step.strip_prefix('@') {
            path.attribute = Some(name.into()).filter(|_| is_xml_name(name));
            path.attribute.as_ref()?;
            continue;
        }
        let (name, at) = match step.split_once('[') {
            Some((name, rest)) => (name, place(rest.strip_suffix(']')?)?),
            None => (step, 0),
        };
        path.elements.push(is_xml_name(name).then(|| (name.into(), at))?);
    }
    Some(())
}

/// A name with at most one prefix.
pub(crate) fn is_xml_name(name: &str) -> bool {
    let part = |part: &str| {
        let begins = part.starts_with(|c: char| c.is_alphabetic() || c == '_');
        begins && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    match name.split_once(':') {
        Some((prefix, local)) => part(prefix) && part(local),
        None => part(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(segments: &[&str]) -> BodyEntry {
        let path = segments.iter().map(|text| match text.parse() {
            Ok(place) => Segment::Place(place),
            Err(_) => Segment::Key((*text).into()),
        });
        BodyEntry { path: path.collect(), value: None }
    }

    #[test]
    fn json_paths_read_by_dots_and_brackets() {
        let shown = |segments: &[&str]| {
            json_path(&entry(segments)).ok().map(|steps| {
                let one = |step: &JsonStep| match step {
                    JsonStep::Member(name) => format!("<{name}>"),
                    JsonStep::Item(place) => place.to_string(),
                };
                steps.iter().map(one).collect::<String>()
            })
        };
        for (segments, expected) in [
            (&["a.b[0].c"][..], "<a><b>0<c>"),
            (&["a", "b", "1", "c d"], "<a><b>1<c d>"),
            (&["a\\.b\\[0]"], "<a.b[0]>"),
            (&["[2][0]"], "20"),
            (&["a[0][1]"], "<a>01"),
        ] {
            assert_eq!(shown(segments).as_deref(), Some(expected), "{segments:?}");
        }
        let deep = vec!["a"; BODY_DEPTH_MAX + 1].join(".");
        for bad in ["", "a.", ".a", "a..b", "a[", "a[]", "a[x]", "a[-1]", "a[1000]", "a[0]b", "a\\", &deep] {
            assert_eq!(shown(&[bad]), None, "{bad}");
        }
    }

    #[test]
    fn xml_paths_read_by_slashes() {
        let path = |segments: &[&str]| xml_path(&entry(segments)).ok();
        let expected =
            XmlPath { elements: vec![("l:lead".into(), 0), ("phone".into(), 2)], attribute: Some("type".into()) };
        assert_eq!(path(&["/l:lead/phone[2]/@type"]), Some(expected.clone()));
        assert_eq!(path(&["l:lead", "phone", "2", "@type"]), Some(expected));
        for bad in ["", "a//b", "@x", "a/@b/c", "a/1b", "a b", "a/@", "a[0", "a:b:c", "a/<b>", "a[1000]"] {
            assert_eq!(path(&[bad]), None, "{bad}");
        }
    }
}
