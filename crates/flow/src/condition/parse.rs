//! From text to the crate's tree, within bounds that are looked at before the parser sees a letter: it recurses.

use super::BadCondition;
use cel::IdedExpr;
use cel::common::ast::SourceInfo;
use cel::parser::Parser;

/// How long an expression may be, in bytes.
pub const CONDITION_BYTES_MAX: usize = 1_000;
/// How deep brackets may stand in each other; also how many `?` there may be, which nest like them.
pub const CONDITION_NESTING_MAX: usize = 10;
/// How many signs (operators, dots, commas, brackets) it may have outside of texts.
pub const CONDITION_SIGNS_MAX: usize = 200;
/// How many parts it may have after parsing; each is computed once at most.
pub const CONDITION_PARTS_MAX: usize = 200;

/// How deep the parser may go by its own counting.
const DEPTH_MAX: u16 = 24;

/// A parsed expression, and where its parts stand.
pub(super) struct Parsed {
    pub(super) root: IdedExpr,
    places: SourceInfo,
}

impl Parsed {
    /// ` at character 5`, counted from 1, or nothing where it is not known.
    pub(super) fn at(&self, part: &IdedExpr) -> String {
        self.places.offset_for(part.id).map(|(begin, _)| format!(" at character {}", begin + 1)).unwrap_or_default()
    }
}

/// Parses a text.
///
/// # Errors
/// [`BadCondition`] where it is beyond a bound, or not CEL.
pub(super) fn parse(text: &str) -> Result<Parsed, BadCondition> {
    bounded(text.trim())?;
    let parser = Parser::new().max_recursion_depth(DEPTH_MAX);
    let (root, places) = parser.parse_with_source_info(text.trim()).map_err(|errors| {
        let told = errors.errors.first().map(|error| (error.pos.1, error.msg.replace('\n', " ")));
        let (column, why) = told.unwrap_or_default();
        // The grammar's own words: where it stopped is what helps.
        let problem = format!("is not an expression in CEL, at character {}: {}", column.max(1), first_words(&why));
        BadCondition { problem, allowed: "such as lead.value > 100; see conditions.md".to_owned() }
    })?;
    Ok(Parsed { root, places })
}

fn first_words(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    text.chars().take(CHARACTERS_MAX).collect()
}

fn bounded(text: &str) -> Result<(), BadCondition> {
    let bad = |problem: &str, allowed: String| Err(BadCondition { problem: problem.to_owned(), allowed });
    if text.is_empty() {
        return bad("is empty", "an expression that is true or false".to_owned());
    }
    if text.len() > CONDITION_BYTES_MAX {
        return bad("is too long", format!("at most {CONDITION_BYTES_MAX} bytes"));
    }
    if text.contains(['\n', '\r']) || text.contains("//") {
        return bad("holds a line break or a comment", "an expression on one line".to_owned());
    }
    let shape = Shape::of(text);
    if shape.depth > CONDITION_NESTING_MAX || shape.choices > CONDITION_NESTING_MAX {
        return bad("is nested too deep", format!("brackets within brackets, and ?, at most {CONDITION_NESTING_MAX}"));
    }
    if shape.signs > CONDITION_SIGNS_MAX {
        return bad("has too many operators", format!("at most {CONDITION_SIGNS_MAX} signs outside of texts"));
    }
    Ok(())
}

/// What the bounds look at, outside of texts. A text that does not end is left to the parser.
#[derive(Default)]
struct Shape {
    depth: usize,
    choices: usize,
    signs: usize,
}

impl Shape {
    fn of(text: &str) -> Self {
        let mut shape = Shape::default();
        let (mut open, mut quote, mut escaped) = (0_usize, None, false);
        for letter in text.chars() {
            if let Some(end) = quote {
                (quote, escaped) = match (escaped, letter) {
                    (false, '\\') => (quote, true),
                    (false, letter) if letter == end => (None, false),
                    _ => (quote, false),
                };
                continue;
            }
            match letter {
                '"' | '\'' => quote = Some(letter),
                '(' | '[' | '{' => open += 1,
                ')' | ']' | '}' => open = open.saturating_sub(1),
                '?' => shape.choices += 1,
                _ => {}
            }
            shape.depth = shape.depth.max(open);
            shape.signs += usize::from(letter.is_ascii_punctuation() && !matches!(letter, '_' | '"' | '\''));
        }
        shape
    }
}
