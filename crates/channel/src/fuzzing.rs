//! What a token endpoint answers, read without a connection: for the fuzz targets alone, and only there with the feature
//! `fuzzing`.

use crate::token::{TokenShape, read_token};
use std::time::Duration;
use steadfast_retry::Answer;

/// How long the token and its life are (in bytes, and in time); what is wrong with the answer otherwise.
///
/// # Errors
/// What is wrong, continuing "its answer ...".
pub fn token(answer: &Answer, shape: &TokenShape) -> Result<(usize, Duration), &'static str> {
    read_token(answer, shape)
}
