//! A body and what stands where in it. Parsed once, when first asked.

use super::json::Json;
use super::media::{Media, is_page};
use super::path::Path;
use super::weight::searched_bytes_max;
use super::xpath::XPath;
use super::{page, xml};
use roxmltree::Document;
use scraper::Html;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

/// Nodes looked at and bytes gathered for all paths into one body, at most.
const WORK_MAX: usize = 4_000_000;

/// A body as text, and how it is read.
pub(crate) struct Body<'t> {
    text: &'t str,
    media: Media,
    said_by: SaidBy,
    parsed: OnceCell<Parsed<'t>>,
    /// What paths may still take, all together.
    work: Cell<usize>,
    /// What is longer is not searched.
    searched_bytes_max: usize,
    /// Too long to be searched.
    unread: bool,
}

/// Who says how a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SaidBy {
    Override,
    Header,
    Beginning,
}

enum Parsed<'t> {
    Json(Json<'t>),
    Xml(Document<'t>),
    Html(Box<Html>),
    Text,
    /// Not what it says it is.
    Not,
}

/// What a path selects.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selected<'a> {
    /// The texts of what it selects.
    Texts(Vec<Cow<'a, str>>),
    /// Nothing.
    Nothing,
    /// The body is text, where paths mean nothing.
    Whole,
    /// The body is not what the path needs, or beyond the bounds.
    Unreadable,
}

impl<'t> Body<'t> {
    /// A body with what the table and the answer's header say it is. One longer than may be searched is not read: nothing is
    /// found in it, and nothing can be said of what is not.
    pub(crate) fn new(
        text: &'t str,
        told: Option<Media>,
        content_type: Option<&str>,
        searched_bytes_max: usize,
    ) -> Self {
        let declared = content_type.and_then(Media::of_content_type);
        let sniffed = || Media::sniffed(text);
        let (media, said_by) = match (told, declared) {
            (Some(media), _) => (media, SaidBy::Override),
            // Many frameworks say so of everything; no page begins like JSON.
            (None, Some(Media::Html)) if sniffed() == Media::Json => (Media::Json, SaidBy::Beginning),
            (None, Some(media)) => (media, SaidBy::Header),
            (None, None) => (sniffed(), SaidBy::Beginning),
        };
        let unread = text.len() > searched_bytes_max;
        let (text, parsed) = if unread { ("", OnceCell::from(Parsed::Not)) } else { (text, OnceCell::new()) };
        Body { text, media, said_by, parsed, work: Cell::new(WORK_MAX), searched_bytes_max, unread }
    }

    /// Whether it was too long to be searched.
    pub(crate) const fn is_unread(&self) -> bool {
        self.unread
    }

    /// All of it.
    pub(crate) const fn text(&self) -> &'t str {
        self.text
    }

    /// How it is read.
    pub(crate) const fn media(&self) -> Media {
        self.media
    }

    /// Whether it is JSON or XML, and not only called so.
    pub(crate) fn is_structured(&self) -> bool {
        match self.parsed() {
            Parsed::Json(_) => true,
            Parsed::Xml(document) => !xml::is_page(document),
            Parsed::Html(_) | Parsed::Text | Parsed::Not => false,
        }
    }

    /// Whether what a path selects may be a page where JSON was expected: nobody said that it is a page on purpose.
    pub(crate) fn is_doubtful(&self, path: &Path) -> bool {
        self.media == Media::Html && self.said_by != SaidBy::Override && path.is_one_name()
    }

    /// What a path selects.
    pub(crate) fn select(&self, path: &Path) -> Selected<'_> {
        let texts = match self.parsed() {
            Parsed::Json(json) => path.json.as_ref().and_then(|path| {
                let mut texts = Vec::new();
                path.select(json)?.into_iter().for_each(|at| json.texts(at, &mut texts));
                Some(texts)
            }),
            Parsed::Xml(document) => {
                // One name alone may be a JSON field's.
                let for_pages = path.xpath.as_ref().is_some_and(XPath::names_html) && !path.is_one_name();
                let xpath = path.xpath.as_ref().filter(|_| for_pages || !xml::is_page(document));
                xpath.and_then(|xpath| self.within_work(|left| xpath.texts(document, left)))
            }
            Parsed::Html(html) => {
                let selector = path.selector.as_ref();
                let texts = selector.and_then(|path| self.within_work(|left| page::texts(html, path, left)));
                texts.map(|texts| texts.into_iter().map(Cow::Owned).collect())
            }
            Parsed::Text => return self.text_for_a_path(),
            Parsed::Not => None,
        };
        match texts {
            None => Selected::Unreadable,
            Some(texts) if texts.is_empty() => Selected::Nothing,
            Some(texts) if texts.iter().map(|text| text.len()).sum::<usize>() > self.searched_bytes_max => {
                Selected::Unreadable
            }
            Some(texts) => Selected::Texts(texts),
        }
    }

    /// Does what takes work, as long as there is some left for this body.
    fn within_work<T>(&self, does: impl FnOnce(&mut usize) -> T) -> T {
        let mut left = self.work.get();
        let done = does(&mut left);
        self.work.set(left);
        done
    }

    /// Paths are ignored for text; but a page, or what nobody calls text, is not what a path was written for.
    fn text_for_a_path(&self) -> Selected<'_> {
        let is_text = match self.said_by {
            SaidBy::Override => true,
            SaidBy::Header => !is_page(self.text),
            SaidBy::Beginning => false,
        };
        if is_text { Selected::Whole } else { Selected::Unreadable }
    }

    /// What is kept of a body: what a path selects, or the first group of a pattern.
    pub(crate) fn extract(&self, path: &Path) -> Vec<Cow<'_, str>> {
        if let Selected::Texts(texts) = self.select(path) {
            return texts;
        }
        let pattern = path.group.as_ref().filter(|_| {
            let others = path.json.is_some() || path.xpath.is_some() || path.selector.is_some();
            let in_time = self.text.len() <= searched_bytes_max(path.weight);
            in_time && (self.media == Media::Text || !others)
        });
        let found = pattern.and_then(|pattern| pattern.captures(self.text)).and_then(|groups| groups.get(1));
        found.map(|group| Cow::Borrowed(group.as_str())).into_iter().collect()
    }

    fn parsed(&self) -> &Parsed<'t> {
        self.parsed.get_or_init(|| match self.media {
            Media::Json => Json::parse(self.text).map_or(Parsed::Not, Parsed::Json),
            Media::Xml => xml::parse(self.text).map_or(Parsed::Not, Parsed::Xml),
            Media::Html => page::parse(self.text).map_or(Parsed::Not, |page| Parsed::Html(Box::new(page))),
            Media::Text => Parsed::Text,
        })
    }
}
