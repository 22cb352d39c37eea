//! What recipients and token endpoints answer: bodies in any charset read by tables, rules and paths; headers.

use super::{parts, text};
use bytes::Bytes;
use std::time::Duration;
use steadfast_channel::{TokenAt, TokenShape, fuzzing};
use steadfast_retry::reading::{MatchSettings, OutcomeWord, PathSettings, ResponseSettings, RuleSettings};
use steadfast_retry::{Answer, Evidence, Outcome, Reading, read_hint};

pub(super) const WORDS: &[&str] = &[
    "result.items[0].status",
    "errors[*].message",
    "//a[@b='c']/text()",
    "name()",
    "local-name()",
    "div.error > p",
    "$.",
    "/accepted/i",
    "(a|b)+",
    "(?i)",
    "\\b",
    "{1,9}",
    "text/html; charset=utf-16",
    "application/json",
    "text/xml",
    "charset=shift_jis",
    "{\"a\":[",
    "<a xmlns:b='c'>",
    "<!DOCTYPE html>",
    "<p class=error>",
    "&lt;",
    "\n",
    "[*]",
    "..",
    "contains(",
    "position()",
    "last()",
    " and ",
    " or ",
    "not(",
    "::",
    "ancestor",
    "following-sibling::",
    "*",
];
pub(super) const HINTS: &[&str] = &[
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "RateLimit-Reset",
    "X-RateLimit-Reset",
    "X-RateLimit-Remaining",
    "RateLimit-Remaining",
    "Date",
    ": ",
    "\"default\";r=0;t=30",
    ";w=60",
    ";q=10",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "429\n",
    "99999999999999999999",
    ",",
    "\n",
];
pub(super) const TOKENS: &[&str] =
    &["{\"access_token\":\"", "\"expires_in\":", "\"token_type\":\"Bearer\"", "data.items[0]", "[", "]", "\n", "1e300"];

/// Path, term, reason's path, media type, body.
pub(super) fn answer(input: &[u8]) {
    let [path, term, reason, content_type, body] = parts(input);
    let (path, term) = (text(path), text(term));
    let given = |text: &str| (!text.is_empty()).then(|| Box::from(text));
    let settings = ResponseSettings {
        outcome_search_path: given(&path),
        outcome_search_term: given(&term),
        failure_search_term: given("/no|rejected/"),
        on_unrecognized: Some(OutcomeWord::Error),
        reason_path: given(&text(reason)),
        price_path: given("price"),
        reference_path: given("$.id"),
        ..ResponseSettings::default()
    };
    let found = MatchSettings {
        path: given(&path).map(|path| PathSettings { path, term: given(&term) }),
        header: vec![("content-type".into(), "/xml/".into())],
        ..MatchSettings::default()
    };
    let rule = RuleSettings { matches: found, outcome: Some(OutcomeWord::Failure), ..RuleSettings::default() };
    let content_type = text(content_type);
    // Elsewhere the rule's header decides before its path is looked at, and its path is read as the table's is.
    let is_xml = content_type.to_ascii_lowercase().contains("xml");
    let headers = vec![("content-type".into(), content_type.into())];
    let body_bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let evidence = Evidence::of_answer(Answer { status: 200, headers, body: Bytes::copy_from_slice(body), body_bytes });
    read_is_bounded(&Reading::default(), &evidence);
    if let Ok(reading) = Reading::build(&settings, &[]) {
        read_is_bounded(&reading, &evidence);
    }
    if is_xml && let Ok(reading) = Reading::build(&ResponseSettings::default(), &[rule]) {
        read_is_bounded(&reading, &evidence);
    }
}

/// What is read of an answer is kept with the attempt, so it must stay small.
pub(super) fn read_is_bounded(reading: &Reading, evidence: &Evidence) {
    const KEPT_BYTES_MAX: usize = 8_192;
    let verdict = reading.read(evidence);
    let kept = [&verdict.reason, &verdict.price, &verdict.reference];
    let bytes: usize = kept.into_iter().flatten().map(|text| text.len()).sum();
    assert!(bytes <= KEPT_BYTES_MAX, "{bytes} bytes would be kept of an answer");
    assert_eq!(verdict, reading.read(evidence), "the same answer means two things");
    assert!(!matches!(verdict.outcome, Outcome::Success) || evidence.answer.is_some(), "a success without an answer");
}

/// The status, then headers, one a line.
pub(super) fn hint(input: &[u8]) {
    let text = text(input);
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.parse().ok()).unwrap_or(429);
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase().into(), value.trim().into())).collect();
    let answer = Answer { status, headers, body: Bytes::new(), body_bytes: 0 };
    for now in [0, 784_111_777, 1_795_000_000, u64::MAX] {
        let Some(hint) = read_hint(&answer, now) else { continue };
        let bounds = Duration::from_secs(1)..=Duration::from_secs(3_600);
        assert!(bounds.contains(&hint.pause), "a pause of {:?}", hint.pause);
    }
}

/// The token's path, the expiry's path, the body.
pub(super) fn token(input: &[u8]) {
    const TOKEN_BYTES_MAX: usize = 16_384;
    let [path, expires, body] = parts(input);
    let shape = TokenShape {
        token: TokenAt::Path(text(path).into()),
        expires_in_path: Some(text(expires).into()),
        expires_in: Duration::from_secs(300),
        any_type: path.len() > 12,
    };
    let answer = Answer { status: 200, headers: Vec::new(), body: Bytes::copy_from_slice(body), body_bytes: 0 };
    let Ok((bytes, lifetime)) = fuzzing::token(&answer, &shape) else { return };
    assert!((1..=TOKEN_BYTES_MAX).contains(&bytes), "a token of {bytes} bytes");
    assert!(!lifetime.is_zero() && lifetime <= Duration::from_secs(86_400), "a token good for {lifetime:?}");
}
