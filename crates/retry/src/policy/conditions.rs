//! Which errors are retried: kinds (`timeout_read`), codes (`503`), classes (`5xx`) and groups (`timeout`, `dns`, `connect`).

use crate::outcome::ErrorKind;
use std::fmt;

/// One condition of `retry_on` or `never_retry_on`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// An error kind.
    Kind(ErrorKind),
    /// One status code.
    Code(u16),
    /// A class of status codes by its first digit, 1 to 5.
    Class(u8),
    /// Several kinds by a common name.
    Group(&'static str, &'static [ErrorKind]),
}

/// The text is not a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a retry condition: allowed are codes (503), classes (5xx), groups (timeout, dns, connect) and kinds ({kinds})"
)]
pub struct BadCondition {
    /// What was given.
    pub text: String,
    /// Every kind, for the message.
    pub kinds: String,
}

const GROUPS: [(&str, &[ErrorKind]); 3] = [
    ("timeout", &[ErrorKind::DnsTimeout, ErrorKind::ConnectTimeout, ErrorKind::TimeoutRead, ErrorKind::RequestTimeout]),
    ("dns", &[ErrorKind::DnsNotFound, ErrorKind::DnsFailure, ErrorKind::DnsTimeout]),
    ("connect", &[ErrorKind::ConnectRefused, ErrorKind::ConnectTimeout, ErrorKind::Unreachable]),
];

impl Condition {
    /// Reads a condition as users write it.
    ///
    /// # Errors
    /// [`BadCondition`] listing what is allowed.
    pub fn parse(text: &str) -> Result<Self, BadCondition> {
        if let Some(kind) = ErrorKind::from_name(text) {
            return Ok(Condition::Kind(kind));
        }
        if let Some((name, kinds)) = GROUPS.iter().find(|(name, _)| *name == text) {
            return Ok(Condition::Group(name, kinds));
        }
        code(text).or_else(|| class(text)).ok_or_else(|| {
            let kinds: Vec<&str> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
            BadCondition { text: text.to_owned(), kinds: kinds.join(", ") }
        })
    }

    fn meets(self, kind: ErrorKind, status: Option<u16>) -> bool {
        match self {
            Condition::Kind(known) => known == kind,
            Condition::Code(code) => status == Some(code),
            Condition::Class(class) => status.is_some_and(|status| status / 100 == u16::from(class)),
            Condition::Group(_, kinds) => kinds.contains(&kind),
        }
    }
}

fn code(text: &str) -> Option<Condition> {
    let code = text.parse().ok().filter(|code| (100..=599).contains(code) && text.len() == 3)?;
    Some(Condition::Code(code))
}

fn class(text: &str) -> Option<Condition> {
    let class = text.strip_suffix("xx")?.parse().ok().filter(|class| (1..=5).contains(class) && text.len() == 3)?;
    Some(Condition::Class(class))
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Kind(kind) => f.write_str(kind.name()),
            Condition::Code(code) => write!(f, "{code}"),
            Condition::Class(class) => write!(f, "{class}xx"),
            Condition::Group(name, _) => f.write_str(name),
        }
    }
}

/// A list of conditions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions(Vec<Condition>);

impl Conditions {
    /// From its parts.
    pub fn new(conditions: Vec<Condition>) -> Self {
        Conditions(conditions)
    }

    /// What is retried unless a config says otherwise: everything temporary.
    pub fn retryable_by_default() -> Self {
        let kinds = ErrorKind::ALL.iter().copied().filter(|kind| retryable_by_default(*kind));
        Conditions(kinds.map(Condition::Kind).collect())
    }

    /// Whether an error of this kind, with this status if there was an answer, meets any of them.
    pub fn meets(&self, kind: ErrorKind, status: Option<u16>) -> bool {
        self.0.iter().any(|condition| condition.meets(kind, status))
    }

    /// The conditions in order.
    pub fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter()
    }

    /// As users write them.
    pub fn to_texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

/// The built-in answer to "may this pass by itself".
fn retryable_by_default(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::DnsNotFound
        | ErrorKind::DnsFailure
        | ErrorKind::DnsTimeout
        | ErrorKind::ConnectRefused
        | ErrorKind::ConnectTimeout
        | ErrorKind::Unreachable
        | ErrorKind::Tls
        | ErrorKind::Reset
        | ErrorKind::Protocol
        | ErrorKind::TimeoutRead
        | ErrorKind::ResponseTooLarge
        | ErrorKind::Interrupted
        | ErrorKind::ServerError
        | ErrorKind::RateLimited
        | ErrorKind::RequestTimeout
        | ErrorKind::AuthTemporary => true,
        ErrorKind::TlsCertificate
        | ErrorKind::BlockedAddress
        | ErrorKind::RenderFailed
        | ErrorKind::Auth
        | ErrorKind::ClientError
        | ErrorKind::Redirect
        | ErrorKind::Unrecognized => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_and_print_alike() {
        for text in ["503", "5xx", "timeout", "dns", "connect", "server_error", "tls_certificate"] {
            assert_eq!(Condition::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "99", "600", "0503", "6xx", "+5xx", "05xx", "xx", "5XX", "timeouts", "-50"] {
            let said = Condition::parse(text).unwrap_err().to_string();
            assert!(said.contains("5xx") && said.contains("dns_not_found"), "{said}");
        }
    }

    #[test]
    fn groups_classes_and_codes_meet_what_they_name() {
        let list = |texts: &[&str]| Conditions::new(texts.iter().map(|text| Condition::parse(text).unwrap()).collect());
        assert!(list(&["5xx"]).meets(ErrorKind::ServerError, Some(599)));
        assert!(!list(&["5xx"]).meets(ErrorKind::Reset, None));
        assert!(list(&["503"]).meets(ErrorKind::ServerError, Some(503)));
        assert!(!list(&["503"]).meets(ErrorKind::ServerError, Some(500)));
        assert!(list(&["timeout"]).meets(ErrorKind::TimeoutRead, None));
        assert!(list(&["dns"]).meets(ErrorKind::DnsNotFound, None));
        assert!(!list(&["connect"]).meets(ErrorKind::Tls, None));
    }
}
