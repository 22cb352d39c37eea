//! What is read beside the outcome: reason, price, and the recipient's own id of the lead.

use super::body::Body;
use super::path::Path;
use std::borrow::Cow;

/// How much of a reason is kept, in characters.
const REASON_CHARS_MAX: usize = 1_000;
/// Reasons joined, at most.
const REASONS_MAX: usize = 50;
/// How much of a reference is kept, in characters.
const REFERENCE_CHARS_MAX: usize = 256;
/// Digits of a price, at most, with its point.
const PRICE_BYTES_MAX: usize = 32;

/// The reasons at a path: trimmed, without the empty ones, sorted, joined.
pub(crate) fn reason(body: &Body<'_>, path: Option<&Path>) -> Option<Box<str>> {
    let texts = body.extract(path?);
    let mut reasons: Vec<&str> = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons.truncate(REASONS_MAX);
    let joined = reasons.join(", ");
    (!joined.is_empty()).then(|| cut(&joined, REASON_CHARS_MAX))
}

/// The first price at a path.
pub(crate) fn price(body: &Body<'_>, path: Option<&Path>) -> Option<Box<str>> {
    body.extract(path?).iter().find_map(|text| plain_price(text)).map(Into::into)
}

/// The first text at a path that is not empty.
pub(crate) fn reference(body: &Body<'_>, path: Option<&Path>) -> Option<Box<str>> {
    let texts = body.extract(path?);
    let first = texts.iter().map(|text| text.trim()).find(|text| !text.is_empty());
    first.map(|text| cut(text, REFERENCE_CHARS_MAX))
}

fn cut(text: &str, chars_max: usize) -> Box<str> {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => text[..end].into(),
        None => text.into(),
    }
}

/// A price as digits with a point: currency signs and marks of thousands are taken away. `None` where it is no price.
pub(crate) fn plain_price(text: &str) -> Option<Cow<'_, str>> {
    let outside = |c: char| !(c.is_ascii_digit() || matches!(c, '-' | '.' | ','));
    let inner = text.trim().trim_matches(outside);
    let beside = text.trim().len() - inner.len();
    if inner.len() > PRICE_BYTES_MAX || beside > 8 || !inner.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let decimal = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, cents) = match (inner.rfind('.'), inner.rfind(',')) {
        (Some(point), Some(comma)) => inner.split_at(point.max(comma)),
        (None, Some(comma)) if inner.len() - comma - 1 != 3 => inner.split_at(comma),
        (Some(point), None) => inner.split_at(point),
        (None, Some(_) | None) => (inner, ""),
    };
    let whole_digits = whole.replace([',', '.'], "");
    let grouped = whole.split([',', '.']).skip(1).all(|group| group.len() == 3);
    let cents = if cents.is_empty() { None } else { cents.get(1..) };
    if !decimal(&whole_digits) || !grouped || cents.is_some_and(|cents| !decimal(cents)) {
        return None;
    }
    if whole_digits.len() + cents.map_or(0, |cents| cents.len() + 1) == inner.len() && !inner.contains(',') {
        return Some(Cow::Owned(inner.to_owned()));
    }
    Some(Cow::Owned(cents.map_or(whole_digits.clone(), |cents| format!("{whole_digits}.{cents}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_come_to_digits_with_a_point() {
        let cases = [
            ("12.50", Some("12.50")),
            (" $12.50 ", Some("12.50")),
            ("USD 1,234.50", Some("1234.50")),
            ("1.234,50 €", Some("1234.50")),
            ("12,5", Some("12.5")),
            ("1,234", Some("1234")),
            ("0", Some("0")),
            ("7", Some("7")),
            ("", None),
            ("free", None),
            ("-5", None),
            ("1.2.3", None),
            ("12 34", None),
            ("1,23,4.5", None),
            ("about twelve dollars 12", None),
        ];
        for (text, price) in cases {
            assert_eq!(plain_price(text).as_deref(), price, "{text}");
        }
    }
}
