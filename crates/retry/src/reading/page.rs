//! Pages as recipients send them, of any shape, and CSS selectors into them.

use html5ever::driver::{ParseOpts, parse_document};
use html5ever::tendril::{StrTendril, TendrilSink as _};
use scraper::{Html, HtmlTreeSink, Selector};

/// How much of a page is read, in bytes; a larger one is not read at all.
const PAGE_BYTES_MAX: usize = 131_072;
/// Tags of one page, at most: the parser looks back over those that are open.
const TAGS_MAX: usize = 10_000;
/// Nodes of one page, at most: a tag can make thousands of them where others were left open.
const NODES_MAX: usize = 40_000;
/// Nodes of a page that a selector with `:has()` is used on: it looks at all of them from each.
const NODES_AROUND_MAX: usize = 2_000;
/// How deep elements may nest.
const DEPTH_MAX: usize = 256;
/// What looking at one node takes, among what all paths into a body may take.
const NODE_WORK: usize = 10;
/// Elements one selector may come to.
const SELECTED_MAX: usize = 1_000;
/// How long a selector may be, in bytes.
const SELECTOR_BYTES_MAX: usize = 500;

/// A selector as it was checked.
#[derive(Clone, Debug)]
pub(crate) struct PageSelector {
    selector: Selector,
    /// Whether it looks at other elements from each.
    looks_around: bool,
}

/// Reads a selector; `None` where it is none.
pub(crate) fn selector(text: &str) -> Option<PageSelector> {
    let selector = (text.len() <= SELECTOR_BYTES_MAX).then(|| Selector::parse(text).ok()).flatten()?;
    // Escapes could hide it; a backslash is taken for one.
    let looks_around = text.to_ascii_lowercase().contains(":has") || text.contains('\\');
    Some(PageSelector { selector, looks_around })
}

/// Reads a page; `None` beyond the bounds.
pub(crate) fn parse(text: &str) -> Option<Html> {
    if text.len() > PAGE_BYTES_MAX || text.bytes().filter(|byte| *byte == b'<').count() > TAGS_MAX {
        return None;
    }
    let mut parser = parse_document(HtmlTreeSink::new(Html::new_document()), ParseOpts::default());
    // Piece by piece, so that a page is given up as soon as it grows beyond the bounds, and not after.
    for piece in text.split_inclusive('>') {
        parser.process(StrTendril::from_slice(piece));
        let page = parser.tokenizer.sink.sink.0.borrow();
        let mut nodes = page.tree.nodes();
        if nodes.len() > NODES_MAX || nodes.next_back().is_some_and(|node| node.ancestors().nth(DEPTH_MAX).is_some()) {
            return None;
        }
    }
    let page = parser.finish();
    let deep = page.tree.nodes().any(|node| node.ancestors().nth(DEPTH_MAX).is_some());
    (!deep && page.tree.nodes().len() <= NODES_MAX).then_some(page)
}

/// The texts of the elements selected; `None` beyond the bounds. What it takes is taken from `left`.
pub(crate) fn texts(page: &Html, selector: &PageSelector, left: &mut usize) -> Option<Vec<String>> {
    let nodes = page.tree.nodes().len();
    if selector.looks_around && nodes > NODES_AROUND_MAX {
        return None;
    }
    *left = left.checked_sub(nodes.saturating_mul(NODE_WORK))?;
    let mut texts = Vec::new();
    let mut bytes = 0;
    for element in page.select(&selector.selector) {
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
            assert_eq!(texts(&page, &selector(path).unwrap(), &mut 1_000_000).unwrap(), expected, "{path}");
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
        assert!(texts(&parse(&many).unwrap(), &selector("li").unwrap(), &mut 1_000_000).is_none());
        // Each paragraph opens anew whatever was left open before: a hundred thousand elements from a few kilobytes.
        let open: String = (0..250).map(|n| format!("<b id={n}>")).collect();
        assert!(parse(&format!("<p>{open}{}", "<p>x".repeat(500))).is_none());
        // Looking around is for small pages only, however it is written.
        let wide = parse(&"<i>x</i>".repeat(NODES_AROUND_MAX / 2 + 1)).unwrap();
        for around in ["i:has(b)", "i:HAS(b)", "i:not(:has(b))"] {
            assert_eq!(texts(&wide, &selector(around).unwrap(), &mut 1_000_000), None, "{around}");
        }
        let mut left = 30_000;
        assert!(texts(&wide, &selector("b").unwrap(), &mut left).is_some(), "the first may");
        assert!(texts(&wide, &selector("b").unwrap(), &mut left).is_none(), "nothing is left for the second");
    }
}
