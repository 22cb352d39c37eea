//! Rust source as a flat run of tokens with their lines: no comments, strings as strings, macro bodies included.
//!
//! Tests (`#[cfg(test)]` items) can be left out, because most rules are about what ships.

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One token: its text, and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// An identifier, a literal, or one character of punctuation; brackets stand alone.
    pub(crate) text: String,
    /// From 1.
    pub(crate) line: usize,
}

/// The tokens of a file.
///
/// # Errors
/// When the text is not Rust.
pub(crate) fn tokens(text: &str, with_tests: bool) -> Result<Vec<Token>> {
    let stream: TokenStream = text.parse().map_err(|error| anyhow::anyhow!("{error}")).context("not Rust")?;
    let mut flat = Vec::new();
    flatten(stream, with_tests, &mut flat);
    Ok(flat)
}

fn flatten(stream: TokenStream, with_tests: bool, flat: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let after_hash = matches!(&tree, TokenTree::Punct(punct) if punct.as_char() == '#');
        let marks_test = matches!(trees.peek(), Some(TokenTree::Group(group)) if is_cfg_test(group));
        if !with_tests && after_hash && marks_test {
            skip_item(&mut trees);
            continue;
        }
        push(tree, with_tests, flat);
    }
}

/// Passes over the item behind a `#[cfg(test)]`: to its body's end, or its semicolon.
fn skip_item(trees: &mut impl Iterator<Item = TokenTree>) {
    for tree in trees {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Ident(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn is_cfg_test(group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket && group.stream().to_string().replace(' ', "") == "cfg(test)"
}

fn push(tree: TokenTree, with_tests: bool, flat: &mut Vec<Token>) {
    let TokenTree::Group(group) = tree else {
        flat.push(Token { line: tree.span().start().line, text: tree.to_string() });
        return;
    };
    let (opens, closes) = match group.delimiter() {
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::None => ("", ""),
    };
    flat.push(Token { line: group.span_open().start().line, text: opens.to_owned() });
    flatten(group.stream(), with_tests, flat);
    flat.push(Token { line: group.span_close().start().line, text: closes.to_owned() });
}

/// Whether `wanted` stands at `place`, token by token.
pub(crate) fn stands_at(tokens: &[Token], place: usize, wanted: &[&str]) -> bool {
    tokens
        .get(place..place + wanted.len())
        .is_some_and(|run| run.iter().zip(wanted).all(|(got, want)| got.text == *want))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "//! async fn\nfn a() { \"async fn\"; }\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n";

    #[test]
    fn comments_are_gone_strings_are_one_token_lines_are_kept() {
        let all = tokens(TEXT, true).unwrap();
        assert!(all.contains(&Token { text: "\"async fn\"".to_owned(), line: 2 }));
        assert!((0..all.len()).all(|place| !stands_at(&all, place, &["async", "fn"])));
        assert!(all.contains(&Token { text: "c".to_owned(), line: 5 }));
    }

    #[test]
    fn tests_can_be_left_out_and_what_follows_them_stays() {
        let shipped = tokens(TEXT, false).unwrap();
        assert!(shipped.iter().all(|token| token.text != "b"));
        assert!(shipped.iter().any(|token| token.text == "c"));
        assert!(tokens("fn (", true).is_err());
    }
}
