//! A path into a body, compiled for every kind of body it can be meant for.

use super::json_path::JsonPath;
use super::media::Media;
use super::page::PageSelector;
use super::weight::weight_of_group;
use super::xpath::XPath;
use super::{page, term};
use regex::Regex;

/// How long a path may be, in bytes.
pub(crate) const PATH_BYTES_MAX: usize = 1_000;

/// A path as it was checked: at least one of its forms is there.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) json: Option<JsonPath>,
    pub(crate) xpath: Option<XPath>,
    pub(crate) selector: Option<PageSelector>,
    /// For text: the first group is what is wanted.
    pub(crate) group: Option<Regex>,
    /// What its pattern can take to search with.
    pub(crate) weight: usize,
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What is found there is searched.
    Search,
    /// What is found there is kept; text has groups in place of paths.
    Extract,
}

impl Path {
    /// Reads a path for bodies of one kind, or, where that is not known, of any.
    pub(crate) fn parse(text: &str, media: Option<Media>, purpose: Purpose) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.len() > PATH_BYTES_MAX {
            return Err(format!("is not a path of 1 to {PATH_BYTES_MAX} bytes"));
        }
        let group = (purpose == Purpose::Extract).then(|| term::capturing(text)).flatten();
        let (json, xpath, selector) = (JsonPath::parse(text), XPath::parse(text), page::selector(text));
        let pattern = term::slashed(text).map_or(text, |(pattern, _)| pattern);
        let weight = group.as_ref().map_or(0, |_| weight_of_group(pattern));
        let path = Path { json, xpath, selector, group, weight };
        let fits = match media {
            Some(Media::Json) => path.json.is_some(),
            Some(Media::Xml) => path.xpath.is_some(),
            Some(Media::Html) => path.selector.is_some(),
            // Ignored there when searching.
            Some(Media::Text) => path.group.is_some() || purpose == Purpose::Search,
            None => path.json.is_some() || path.xpath.is_some() || path.selector.is_some(),
        };
        let fits = fits || path.group.is_some();
        fits.then_some(path).ok_or_else(|| "is not a path".to_owned())
    }

    /// What would be right.
    pub(crate) const fn allowed(media: Option<Media>, purpose: Purpose) -> &'static str {
        match (media, purpose) {
            (Some(Media::Json), _) => "a dot path such as result.items[0].status or errors[*].message",
            (Some(Media::Xml), _) => "an XPath such as //Status/text() or //*[name()='s:Body']/@code",
            (Some(Media::Html), _) => "a CSS selector such as #status or div.result > p",
            (Some(Media::Text), _) => "a pattern with a group, such as /reason=(.*)/",
            (None, Purpose::Search) => {
                "a dot path for JSON (result.items[0].status), an XPath for XML (//Status), a CSS selector for HTML (#status)"
            }
            (None, Purpose::Extract) => {
                "a dot path for JSON (errors[*].message), an XPath for XML (//Reason), a CSS selector for HTML (#reason), a pattern with a group for text (/reason=(.*)/)"
            }
        }
    }

    /// Whether it may be the name of a JSON field as well as of an element of a page.
    pub(crate) fn is_one_name(&self) -> bool {
        self.json.as_ref().is_some_and(JsonPath::is_one_name)
    }
}
