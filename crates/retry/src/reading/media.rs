//! What a body is: JSON, XML, a page, or text; by what it declares, else by how it begins.

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Xml,
    Html,
    Text,
}

impl Media {
    /// What an override may say.
    pub(crate) const ALLOWED: &'static str =
        "a content type such as application/json, text/xml, text/html or text/plain; or json, xml, html, text";

    /// Its word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Media::Json => "JSON",
            Media::Xml => "XML",
            Media::Html => "HTML",
            Media::Text => "text",
        }
    }

    /// From a content type; `None` where it does not say.
    pub(crate) fn of_content_type(value: &str) -> Option<Self> {
        let essence = value.split(';').next().unwrap_or_default().trim();
        let is = |known: &str| essence.eq_ignore_ascii_case(known);
        let ends = |suffix: &str| {
            let start = essence.len().checked_sub(suffix.len());
            start.and_then(|start| essence.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        };
        if is("text/html") || is("application/xhtml+xml") || is("html") {
            return Some(Media::Html);
        }
        if ends("/json") || ends("+json") || is("json") {
            return Some(Media::Json);
        }
        if ends("/xml") || ends("+xml") || is("xml") {
            return Some(Media::Xml);
        }
        let text = essence.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"));
        (text || is("text") || is("application/x-www-form-urlencoded")).then_some(Media::Text)
    }

    /// From how a body begins.
    pub(crate) fn sniffed(text: &str) -> Self {
        match text.trim_start().bytes().next() {
            Some(b'{' | b'[') => Media::Json,
            Some(b'<') if is_page(text) => Media::Html,
            Some(b'<') => Media::Xml,
            Some(_) | None => Media::Text,
        }
    }
}

/// Whether a text begins as a page for people does.
pub(crate) fn is_page(text: &str) -> bool {
    let mut rest = text.trim_start();
    // Comments and an XML declaration may stand before it.
    for _ in 0..8 {
        let close = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?") {
            "?>"
        } else {
            break;
        };
        rest = rest.split_once(close).map_or("", |(_, behind)| behind).trim_start();
    }
    let begins = |tag: &str| {
        let end = rest.get(tag.len()..).and_then(|behind| behind.chars().next());
        rest.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
            && end.is_none_or(|c| c.is_whitespace() || c == '>' || c == '/')
    };
    ["<!doctype html", "<html", "<head", "<body", "<title", "<center", "<h1"].into_iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_say_how_to_read() {
        let cases = [
            ("application/json", Some(Media::Json)),
            ("Application/JSON; charset=utf-8", Some(Media::Json)),
            ("application/problem+json", Some(Media::Json)),
            ("text/json", Some(Media::Json)),
            ("text/xml;charset=UTF-8", Some(Media::Xml)),
            ("application/soap+xml", Some(Media::Xml)),
            ("application/xhtml+xml", Some(Media::Html)),
            ("TEXT/HTML", Some(Media::Html)),
            ("text/plain", Some(Media::Text)),
            ("application/x-www-form-urlencoded", Some(Media::Text)),
            ("json", Some(Media::Json)),
            ("application/octet-stream", None),
            ("", None),
            ("é", None),
            ("json5", None),
        ];
        for (value, media) in cases {
            assert_eq!(Media::of_content_type(value), media, "{value}");
        }
    }

    #[test]
    fn beginnings_say_how_to_read() {
        let cases = [
            (" {\"a\":1}", Media::Json),
            ("[1]", Media::Json),
            ("<a/>", Media::Xml),
            ("<?xml version='1.0'?><r/>", Media::Xml),
            ("<!-- x --><!DOCTYPE HTML PUBLIC>", Media::Html),
            ("<HTML>", Media::Html),
            ("<?xml version='1.0'?>\n<html xmlns='x'>", Media::Html),
            ("<htmlx>", Media::Xml),
            ("OK", Media::Text),
            ("", Media::Text),
            ("<", Media::Xml),
        ];
        for (text, media) in cases {
            assert_eq!(Media::sniffed(text), media, "{text}");
        }
    }
}
