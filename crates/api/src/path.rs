//! What stands in a path, read.

use crate::problem::{Problem, ProblemKind};
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use std::fmt::Display;
use std::str::FromStr;

/// The only parameter of a path, as text.
pub(crate) type PathText = Result<Path<String>, PathRejection>;

/// Both parameters of a path, as text.
pub(crate) type TwoTexts = Result<Path<(String, String)>, PathRejection>;

/// Its text; refused when it cannot be decoded.
pub(crate) fn text(path: PathText) -> Result<String, Problem> {
    match path {
        Ok(Path(text)) => Ok(text),
        Err(_) => Err(Problem::new(ProblemKind::BadParameter, "the path is not UTF-8 once decoded")),
    }
}

/// Both; refused when they cannot be decoded.
pub(crate) fn two(path: TwoTexts) -> Result<(String, String), Problem> {
    match path {
        Ok(Path(texts)) => Ok(texts),
        Err(_) => Err(Problem::new(ProblemKind::BadParameter, "the path is not UTF-8 once decoded")),
    }
}

/// An id.
pub(crate) fn id<T: FromStr<Err: Display>>(path: PathText) -> Result<T, Problem> {
    let text = text(path)?;
    text.parse().map_err(|error: T::Err| {
        let allowed = error.to_string();
        Problem::bad_parameter("id", &text, allowed.trim_start_matches("expected "))
    })
}
