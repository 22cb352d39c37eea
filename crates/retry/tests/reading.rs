//! Reading answers, whatever they hold: no panic, no rejection by an outage, the same twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod fixture;

use bytes::Bytes;
use fixture::{answered, at, delivery, policy, secs, sent, terms};
use proptest::prelude::*;
use steadfast_retry::policy::Layer;
use steadfast_retry::reading::{Compat, MatchSettings, OutcomeWord, PathSettings, ResponseSettings, RuleSettings};
use steadfast_retry::{Answer, ErrorKind, Evidence, FailureKind, Outcome, Reading, State, settle};

const PATHS: [&str; 16] = [
    "result.status",
    "status",
    "title",
    "body",
    "html",
    "h1",
    "errors[*].message",
    "*.code",
    "[0].ok",
    "//Status/text()",
    "//title",
    "/Response/Result/@code",
    "//*[name()='s:Body']",
    "//*[local-name()='Code']",
    "//p",
    "a.b",
];
const TYPES: [Option<&str>; 9] = [
    None,
    Some("application/json"),
    Some("text/xml"),
    Some("application/xml; charset=utf-16"),
    Some("text/html"),
    Some("text/plain"),
    Some("application/xhtml+xml"),
    Some("application/octet-stream"),
    Some("text/html; charset=\"x"),
];
const PIECES: [&str; 26] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "\\u12",
    "\\",
    "<",
    ">",
    "</a>",
    "<a b='",
    "<!DOCTYPE html>",
    "<![CDATA[",
    "<!--",
    "&lt;",
    "&x;",
    "<?xml encoding='utf-16'?>",
    "accepted",
    "1e99999",
    "null",
    "\u{feff}",
    "\u{0}",
    "é",
    "<html>",
];

fn text(text: &str) -> Option<Box<str>> {
    Some(text.into())
}

fn answer(status: u16, content_type: Option<&str>, body: &[u8]) -> Evidence {
    let headers = content_type.map(|value| ("content-type".into(), value.into())).into_iter().collect();
    let body_bytes = u64::try_from(body.len()).unwrap();
    Evidence::of_answer(Answer { status, headers, body: Bytes::copy_from_slice(body), body_bytes })
}

fn outage() -> impl Strategy<Value = String> {
    let head = prop::sample::select(vec![
        "<!DOCTYPE html>\n<html>",
        "<html lang=en>",
        "<HTML>",
        "<!-- x --><html>",
        "<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\">",
    ]);
    let inner = prop::sample::select(vec![
        "<head><title>503 Service Unavailable</title></head><body><h1>Sorry</h1><p>Error code: 7</p></body></html>",
        "<body><h1>error</h1><p>rejected</p></body></html>",
        "<title>error</title><p>Bad Gateway",
        "</html>",
    ]);
    (head, inner).prop_map(|(head, inner)| format!("{head}{inner}"))
}

/// Without a path the whole body is searched, and a page without the term would be a no: the status speaks first.
#[test]
fn an_outage_with_its_proper_status_is_an_error_whatever_its_page_says() {
    let table = ResponseSettings { outcome_search_term: text("accepted"), ..ResponseSettings::default() };
    let reading = Reading::build(&table, &[]).unwrap();
    for status in [500, 502, 503, 504] {
        let verdict = reading.read(&answer(status, Some("application/json"), b"{\"error\":\"unavailable\"}"));
        assert!(matches!(verdict.outcome, Outcome::Error(_)), "{status}: {verdict:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// The silent loss this is all about: a page of an outage is not a business no.
    #[test]
    fn a_page_of_an_outage_is_never_a_rejection(
        page in outage(),
        path in prop::sample::select(&PATHS[..]),
        content_type in prop::sample::select(&TYPES[..]),
        over in prop::sample::select(vec![None, Some("json"), Some("xml")]),
        term in prop::sample::select(vec!["accepted", "error", "/./", "rejected"]),
        on_match in prop::sample::select(&OutcomeWord::ALL[..]),
        failure in any::<bool>(),
    ) {
        // What is ordinary CSS for pages is not a path into JSON or XML.
        prop_assume!(!matches!(path, "h1"));
        let table = ResponseSettings {
            content_type: over.and_then(text),
            outcome_search_path: text(path),
            outcome_search_term: text(term),
            outcome_on_match: Some(on_match),
            failure_search_term: failure.then(|| "error".into()),
            ..ResponseSettings::default()
        };
        let Ok(reading) = Reading::build(&table, &[]) else { return Ok(()) };
        let verdict = reading.read(&answer(200, content_type, page.as_bytes()));
        prop_assert!(!matches!(verdict.outcome, Outcome::Failure(_)), "{verdict:?}");
    }

    #[test]
    fn nothing_an_answer_holds_makes_reading_panic_or_waver(
        pieces in proptest::collection::vec(prop::sample::select(&PIECES[..]), 0..60),
        junk in proptest::collection::vec(any::<u8>(), 0..80),
        content_type in prop::sample::select(&TYPES[..]),
        path in prop::sample::select(&PATHS[..]),
        status in prop::sample::select(vec![0_u16, 200, 204, 400, 422, 500, 999]),
        compat in any::<bool>(),
    ) {
        let table = ResponseSettings {
            outcome_search_path: text(path),
            outcome_search_term: text("/acc.*ted|1/"),
            duplicate_search_term: text("dup"),
            reason_path: text(path),
            price_path: text("/(\\d+)/"),
            reference_path: text("//a"),
            compat: compat.then_some(Compat::LeadConduit),
            ..ResponseSettings::default()
        };
        let reading = Reading::build(&table, &[]).unwrap();
        for body in [pieces.concat().into_bytes(), junk.clone(), [pieces.concat().as_bytes(), &junk].concat()] {
            let evidence = answer(status, content_type, &body);
            prop_assert_eq!(reading.read(&evidence), reading.read(&evidence));
        }
    }

    #[test]
    fn no_text_makes_checking_panic(
        path in "[a-z./@*\\[\\]()'=|:$ #>\\\\é-]{0,40}",
        term in "[a-z/.*+(){}\\[\\]|\\\\^$?:0-9]{0,30}",
        content_type in "[a-z/+; -]{0,20}",
    ) {
        let table = ResponseSettings {
            content_type: text(&content_type).filter(|value| value.len() > 12),
            outcome_search_path: text(&path),
            outcome_search_term: text(&term),
            reason_path: text(&path),
            price_path: text(&term),
            ..ResponseSettings::default()
        };
        match Reading::build(&table, &[]) {
            Ok(reading) => drop(reading.read(&answer(200, None, b"{\"a\":[1]}"))),
            Err(misfits) => prop_assert!(misfits.iter().all(|misfit| !misfit.problem.is_empty() && !misfit.allowed.is_empty())),
        }
    }
}

/// An accepted lead that was the last one of the window is delivered, and the endpoint pauses.
#[test]
fn a_success_with_nothing_remaining_pauses_the_endpoint() {
    let policy = policy(&Layer::default());
    let evidence = answered(200, &[("ratelimit", "\"default\";r=0;t=30")]);
    let settlement = settle(&delivery(), sent(evidence, at(0), at(1)), &terms(&policy));
    assert!(matches!(settlement.delivery.state, State::Delivered { .. }));
    assert_eq!(settlement.pause.unwrap().until, at(1).after(secs(30)));
}

/// Hostile bodies take bounded time: this test would not end otherwise.
#[test]
fn hostile_bodies_are_given_up() {
    let table = |path: &str, kind: &str| {
        let table = ResponseSettings {
            content_type: text(kind),
            outcome_search_path: text(path),
            outcome_search_term: text("/(a+)+$/"),
            ..ResponseSettings::default()
        };
        Reading::build(&table, &[]).unwrap()
    };
    let many = |piece: &str, count: usize| piece.repeat(count).into_bytes();
    let cases = [
        (table("a", "json"), many("[", 1_000_000)),
        (table("*.*.*", "json"), many("[[[1],", 200_000)),
        (table("//a//a//a//a", "xml"), [many("<a>", 250), many("</a>", 250)].concat()),
        (table("//a", "xml"), many("<a>", 300_000)),
        (table("div div div div", "html"), many("<div>", 9_000)),
        (table("p", "html"), many("<b><p>", 4_500)),
        (table("a", "text"), [many("a", 1_000_000), b"!".to_vec()].concat()),
    ];
    for (reading, body) in cases {
        assert!(!matches!(reading.read(&answer(200, None, &body)).outcome, Outcome::Success));
    }
}

/// What could be searched for too long is not searched, and then nothing is said of it: neither a sale nor a rejection, whatever
/// it holds. Headers and statuses decide as ever.
#[test]
fn a_body_too_long_for_its_patterns_is_unrecognized() {
    let table = ResponseSettings {
        outcome_search_term: text("/sold[ab]{1000}!?/"),
        failure_search_term: None,
        ..ResponseSettings::default()
    };
    let rule = |matches: MatchSettings| RuleSettings {
        matches,
        outcome: Some(OutcomeWord::Success),
        ..RuleSettings::default()
    };
    let by_body = rule(MatchSettings { body: text("/^$|b/"), ..MatchSettings::default() });
    let by_path =
        rule(MatchSettings { path: Some(PathSettings { path: "a".into(), term: None }), ..MatchSettings::default() });
    let by_status = rule(MatchSettings { status: vec!["418".into()], ..MatchSettings::default() });
    let reading = Reading::build(&table, &[by_body, by_path, by_status]).unwrap();
    let sold = [b"sold".to_vec(), b"ab".repeat(500)].concat();
    assert_eq!(reading.read(&answer(200, None, &sold)).outcome, Outcome::Success);
    let long = [sold, b"ab".repeat(10_000)].concat();
    for status in [200, 400, 409, 422] {
        let said = reading.read(&answer(status, None, &long));
        assert_eq!(said.outcome, Outcome::Error(ErrorKind::Unrecognized), "{status}");
        assert_eq!(&*said.decided_by, "body too long");
    }
    assert_eq!(reading.read(&answer(503, None, &long)).outcome, Outcome::Error(ErrorKind::ServerError));
    assert_eq!(reading.read(&answer(418, None, &long)).outcome, Outcome::Success, "the status is enough");
}

/// A pattern for a reason that could take too long leaves the reason out; the answer is read all the same.
#[test]
fn a_reason_that_would_take_too_long_to_find_is_left_out() {
    let table = ResponseSettings {
        content_type: text("text"),
        outcome_search_term: text("sold"),
        reason_path: text("/because ([^.]{1,300})/"),
        ..ResponseSettings::default()
    };
    let reading = Reading::build(&table, &[]).unwrap();
    let said = |filler: usize| {
        let body = format!("no, because of the area. {}", "x".repeat(filler));
        let said = reading.read(&answer(200, None, body.as_bytes()));
        (said.outcome, said.reason.as_deref() == Some("of the area"))
    };
    let no = Outcome::Failure(FailureKind::Rejected);
    assert_eq!((said(100), said(10_000)), ((no, true), (no, false)));
}
