//! Pages as recipients send them, of any shape, and CSS selectors into them.

use scraper::{Html, Selector};

/// How much of a page is read, in bytes; a larger one is not read at all.
const PAGE_BYTES_MAX: usize = 131_072;
/// Tags of one page, at most: the parser looks back over those that are open.
const TAGS_MAX: usize = 10_000;
/// How deep elements may nest.
const DEPTH_MAX: usize = 256;
/// Elements one selector may come to.
const SELECTED_MAX: usize = 1_000;
/// How long a selector may be, in bytes.
const SELECTOR_BYTES_MAX: usize = 500;

/// Reads a selector; `None` where it is none.
pub(crate) fn selector(text: &str) -> Option<Selector> {
    (text.len() <= SELECTOR_BYTES_MAX).then(|| Selector::parse(text).ok()).flatten()
}

/// Reads a page; `None` beyond the bounds.
pub(crate) fn parse(text: &str) -> Option<Html> {
    if text.len() > PAGE_BYTES_MAX || text.bytes().filter(|byte| *byte == b'<').count() > TAGS_MAX {
        return None;
    }
    let page = Html::parse_document(text);
    let deep = page.tree.nodes().any(|node| node.ancestors().nth(DEPTH_MAX).is_some());
    (!deep).then_some(page)
}

/// The texts of the elements selected; `None` beyond the bounds.
pub(crate) fn texts(page: &Html, selector: &Selector) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    let mut bytes = 0;
    for element in page.select(selector) {
        let text: String = element.text().collect();
        bytes += text.len();
        texts.push(text);
        if texts.len() > SELECTED_MAX || bytes > 8 * PAGE_BYTES_MAX {
            return None;
        }
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_find_texts_in_pages_of_any_shape() {
        let text = "<html><body><div class='result ok'><b>Lead</b> accepted<p id=ref>R-1<p>more</div><table><tr><td>x";
        let page = parse(text).unwrap();
        let cases: [(&str, &[&str]); 6] = [
            ("#ref", &["R-1"]),
            (".result b", &["Lead"]),
            ("div.ok > p:nth-of-type(2)", &["more"]),
            ("td", &["x"]),
            ("h1", &[]),
            ("b, #ref", &["Lead", "R-1"]),
        ];
        for (path, expected) in cases {
            assert_eq!(texts(&page, &selector(path).unwrap()).unwrap(), expected, "{path}");
        }
        for bad in ["", "//a", "a[", "..", "div >", "data[0].x"] {
            assert!(selector(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn hostile_pages_are_given_up() {
        assert!(parse(&"<div>".repeat(TAGS_MAX + 1)).is_none());
        assert!(parse(&"<div>".repeat(1_000)).is_none());
        assert!(parse(&"x".repeat(PAGE_BYTES_MAX + 1)).is_none());
        let many = format!("<ul>{}", "<li>".repeat(SELECTED_MAX + 1));
        assert!(texts(&parse(&many).unwrap(), &selector("li").unwrap()).is_none());
    }
}
