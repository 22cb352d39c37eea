//! How much work a pattern can make of each letter of a text, told from the pattern alone.
//!
//! Searching takes time linear in the text whatever the pattern. How much each letter takes is the pattern's: one with many places
//! that take many letters (`.{300}`, `[a-z ]{1,200}`) can be driven, by a text made for it, to look at all of them for each
//! letter. So texts are bounded the sooner, the more such places a pattern has.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Work of all patterns over one body, at most: places times bytes.
const WORK_MAX: usize = 8_000_000;
/// So many places do no harm on any text: what they can come to together is kept by the engine.
const LIGHT_MAX: usize = 8;
/// Beside the work a pattern needs to tell whether it is there, what it takes to tell where its group is.
const GROUP_FACTOR: usize = 3;

/// The places of a pattern that take many letters; 0 for one that is quick on every text.
pub(crate) fn weight(pattern: &str) -> usize {
    // Read as if case counted: a letter in both its cases is one letter. What cannot be read is refused elsewhere.
    let places = regex_syntax::parse(pattern).map_or(0, |hir| places(&hir));
    if places > LIGHT_MAX { places } else { 0 }
}

/// The same for a pattern whose group is wanted.
pub(crate) fn weight_of_group(pattern: &str) -> usize {
    weight(pattern).saturating_mul(GROUP_FACTOR)
}

/// How long a text may be that patterns of this weight together are searched in, in bytes.
pub(crate) fn searched_bytes_max(weight: usize) -> usize {
    WORK_MAX.checked_div(weight).unwrap_or(usize::MAX)
}

/// The parser bounds how deep a pattern nests.
fn places(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Look(_) => 0,
        HirKind::Class(class) => usize::from(letters(class) > 1),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or_else(|| repetition.min.saturating_add(1));
            places(&repetition.sub).saturating_mul(usize::try_from(most).unwrap_or(usize::MAX))
        }
        HirKind::Capture(capture) => places(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(0, |sum, part| sum.saturating_add(places(part)))
        }
    }
}

fn letters(class: &Class) -> usize {
    match class {
        Class::Unicode(class) => class.iter().map(|range| range.len()).sum(),
        Class::Bytes(class) => class.iter().map(|range| range.len()).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_patterns_are_light_and_counted_ones_weigh_what_they_count() {
        for light in [
            "accepted",
            "^ok$",
            "code \\d+",
            "\\bnot (sold|accepted)\\b",
            "a.*b.*c.*d",
            "\\d{3}-\\d{4}",
            "[ab]{8}",
            "k{900}",
        ] {
            assert_eq!(weight(light), 0, "{light}");
        }
        for (heavy, places) in [
            ("[ab]*x[ab]{300}y", 301),
            ("(x.{50}){10}z", 500),
            ("\\w{9}", 9),
            (".........", 9),
            ("([a-z]|[0-9]){100}", 100),
            (".{5,}.{4}", 10),
        ] {
            assert_eq!(weight(heavy), places, "{heavy}");
        }
        assert_eq!(weight_of_group("reason: (.{1,200})"), 600);
        assert_eq!((searched_bytes_max(0), searched_bytes_max(500)), (usize::MAX, 16_000));
    }
}
