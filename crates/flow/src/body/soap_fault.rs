//! What a SOAP fault means where nothing else was said: an error, retried unless the request itself is to blame.
//!
//! Stands after every rule of the step and its recipient, so that these can decide otherwise. A fault is one by its element,
//! whatever the status: many services send it with 200.

use steadfast_retry::reading::{MatchSettings, OutcomeWord, PathSettings, RuleSettings};

/// The rules of a step whose format is SOAP.
pub(crate) fn rules() -> [RuleSettings; 3] {
    const OURS_11: &str = "//*[local-name()='Fault']/faultcode";
    const OURS_12: &str = "//*[local-name()='Fault']/*[local-name()='Code']/*[local-name()='Value']";
    const ANY: &str = "//*[local-name()='Fault']";
    [
        rule("soap fault of the sender", OURS_11, Some("Client"), "client_error"),
        rule("soap fault of the sender", OURS_12, Some("Sender"), "client_error"),
        rule("soap fault", ANY, None, "server_error"),
    ]
}

fn rule(name: &str, path: &str, term: Option<&str>, kind: &str) -> RuleSettings {
    let path = PathSettings { path: path.into(), term: term.map(Into::into) };
    RuleSettings {
        name: Some(name.into()),
        matches: MatchSettings { path: Some(path), ..MatchSettings::default() },
        outcome: Some(OutcomeWord::Error),
        kind: Some(kind.into()),
        reason: None,
        retryable: None,
        delay: None,
    }
}
