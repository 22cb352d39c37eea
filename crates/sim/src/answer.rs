//! One scripted answer of a recipient: `503`, `429 retry-after=3`, `timeout_read took=30s`, `reset@sent`, `200 as=duplicate`,
//! `200 as=rate_limited delay=15m`.
//!
//! Becomes the evidence a channel would have reported; what it means is read by the server's own table, unless `as=` and
//! `delay=` stand in for a rule that a step would have.

use crate::quantity::{BadQuantity, parse_duration, shown};
use bytes::Bytes;
use std::time::Duration;
use steadfast_retry::reading::ResponseSettings;
use steadfast_retry::{
    Answer, ErrorKind, Evidence, FailureKind, FaultKind, Outcome, Phase, Reading, Timings, Verdict, classify_status,
    not_found_rule,
};

/// How long a read timeout takes unless said otherwise: the request timeout's default.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The headers a decision can depend on.
const HEADERS: [&str; 2] = ["retry-after", "date"];

/// What decided where `as=` says the outcome.
const THE_SCENARIO: &str = "the scenario";

/// What a recipient does with one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scripted {
    /// What a channel would report.
    pub evidence: Evidence,
    /// What it means.
    pub verdict: Verdict,
    /// From the start of the attempt to its end; its own or the latency in force.
    pub took: Duration,
}

/// The text is not a scripted answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// It begins with neither a status nor a fault.
    #[error("{0:?} is no answer: allowed are a status (100 to 599) or a fault ({faults})", faults = words(FaultKind::ALL, |kind| kind.name()))]
    Unknown(String),
    /// An unknown phase after `@`.
    #[error("{0:?} is not a phase: allowed are {phases}", phases = words(&Phase::ALL, |phase| phase.name()))]
    Phase(String),
    /// An unknown option.
    #[error("{0:?} is no option of an answer: allowed are retry-after=, date=, took=, as= and delay=")]
    Option(String),
    /// An unknown word after `as=`.
    #[error("as={0} is no outcome: allowed are success, {failures}, {errors}", failures = words(FailureKind::ALL, |kind| kind.name()), errors = words(ErrorKind::ALL, |kind| kind.name()))]
    Outcome(String),
    /// A quote that is not closed.
    #[error("{0:?}: a quote is not closed")]
    Quote(String),
    /// A bad `took`.
    #[error("took: {0}")]
    Took(BadQuantity),
    /// A bad `delay`.
    #[error("delay: {0}")]
    Delay(BadQuantity),
    /// A `delay` that no rule says.
    #[error("{0:?}: delay= is a rule's, and stands beside as=")]
    DelayAlone(String),
    /// Headers of an attempt that was not answered.
    #[error("{0:?}: only an answer with a status has headers")]
    HeaderOfFault(String),
}

fn words<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> String {
    all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", ")
}

impl Scripted {
    /// Reads an answer. `latency` is how long it takes unless it says otherwise.
    ///
    /// # Errors
    /// [`BadAnswer`] saying what is allowed.
    pub fn parse(text: &str, latency: Duration) -> Result<Self, BadAnswer> {
        let tokens = tokens(text)?;
        let head = tokens.first().map_or("", String::as_str);
        let mut options = Options::default();
        for token in tokens.iter().skip(1) {
            options.read(token)?;
        }
        let (mut evidence, usual) = match head.parse::<u16>() {
            Ok(status) if (100..=599).contains(&status) => (answered(status, options.headers), latency),
            Ok(_) => return Err(BadAnswer::Unknown(shown(head))),
            Err(_) if !options.headers.is_empty() => return Err(BadAnswer::HeaderOfFault(shown(text))),
            Err(_) => fault(head, latency)?,
        };
        let took = options.took.unwrap_or(usual);
        evidence.timings = Timings { total: took, ..Timings::default() };
        let mut verdict = classify_status(&evidence);
        if options.delay.is_some() && options.outcome.is_none() {
            return Err(BadAnswer::DelayAlone(shown(text)));
        }
        if let Some(outcome) = options.outcome {
            verdict = Verdict { outcome, delay: options.delay, decided_by: THE_SCENARIO.into(), ..verdict };
        }
        Ok(Scripted { evidence, verdict, took })
    }

    /// Reads what a look-up is answered: as [`Scripted::parse`], and 404 and 410 say that the lead is not there.
    ///
    /// # Errors
    /// [`BadAnswer`] saying what is allowed.
    pub fn parse_look_up(text: &str, latency: Duration) -> Result<Self, BadAnswer> {
        let scripted = Scripted::parse(text, latency)?;
        let reading = Reading::build(&ResponseSettings::default(), &[not_found_rule()]);
        let verdict = match reading {
            Ok(reading) if &*scripted.verdict.decided_by != THE_SCENARIO => reading.read(&scripted.evidence),
            Ok(_) | Err(_) => scripted.verdict,
        };
        Ok(Scripted { verdict, ..scripted })
    }

    /// The same attempt given up after `at_most`, as the server does when a lead would become too old meanwhile.
    pub fn cut_after(&self, at_most: Duration) -> Self {
        let evidence = if self.evidence.phase.possibly_sent() {
            Evidence::of_fault(Phase::Sent, FaultKind::TimeoutRead, "given up: the lead became too old")
        } else {
            self.evidence.clone()
        };
        let verdict = classify_status(&evidence);
        Scripted { evidence, verdict, took: at_most }
    }
}

#[derive(Default)]
struct Options {
    headers: Vec<(Box<str>, Box<str>)>,
    took: Option<Duration>,
    outcome: Option<Outcome>,
    delay: Option<Duration>,
}

impl Options {
    fn read(&mut self, token: &str) -> Result<(), BadAnswer> {
        let (key, value) = token.split_once('=').ok_or_else(|| BadAnswer::Option(shown(token)))?;
        match key {
            "took" => self.took = Some(parse_duration(value).map_err(BadAnswer::Took)?),
            "delay" => self.delay = Some(parse_duration(value).map_err(BadAnswer::Delay)?),
            "as" => self.outcome = Some(outcome(value).ok_or_else(|| BadAnswer::Outcome(shown(value)))?),
            header if HEADERS.contains(&header) => self.headers.push((header.into(), value.into())),
            _ => return Err(BadAnswer::Option(shown(token))),
        }
        Ok(())
    }
}

fn outcome(word: &str) -> Option<Outcome> {
    if word == "success" {
        return Some(Outcome::Success);
    }
    let failure = FailureKind::from_name(word).map(Outcome::Failure);
    failure.or_else(|| ErrorKind::from_name(word).map(Outcome::Error))
}

fn answered(status: u16, headers: Vec<(Box<str>, Box<str>)>) -> Evidence {
    Evidence::of_answer(Answer { status, headers, body: Bytes::new(), body_bytes: 0 })
}

fn fault(head: &str, latency: Duration) -> Result<(Evidence, Duration), BadAnswer> {
    let (word, phase) = match head.split_once('@') {
        Some((word, phase)) => (word, Some(phase)),
        None => (head, None),
    };
    let kind = FaultKind::from_name(word).ok_or_else(|| BadAnswer::Unknown(shown(head)))?;
    let phase = match phase {
        Some(name) => Phase::from_name(name).ok_or_else(|| BadAnswer::Phase(shown(name)))?,
        None => usual_phase(kind),
    };
    let usual = if kind == FaultKind::TimeoutRead { READ_TIMEOUT } else { latency };
    Ok((Evidence::of_fault(phase, kind, "scripted"), usual))
}

/// Where a fault is usually met.
fn usual_phase(kind: FaultKind) -> Phase {
    match kind {
        FaultKind::RenderFailed | FaultKind::TokenUnavailable | FaultKind::TokenRefused => Phase::Prepare,
        FaultKind::DnsNotFound | FaultKind::DnsFailure | FaultKind::DnsTimeout | FaultKind::BlockedAddress => {
            Phase::Resolve
        }
        FaultKind::ConnectRefused | FaultKind::ConnectTimeout | FaultKind::Unreachable => Phase::Connect,
        FaultKind::Tls | FaultKind::TlsCertificate => Phase::Secure,
        FaultKind::Reset | FaultKind::TimeoutRead | FaultKind::Interrupted => Phase::Sent,
        FaultKind::Protocol | FaultKind::ResponseTooLarge => Phase::Receiving,
    }
}

/// Parts between blanks; blanks within double quotes belong to their part, the quotes do not.
fn tokens(text: &str) -> Result<Vec<String>, BadAnswer> {
    let (mut tokens, mut token, mut quoted) = (Vec::new(), String::new(), false);
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => tokens.push(std::mem::take(&mut token)),
            _ => token.push(character),
        }
    }
    if quoted {
        return Err(BadAnswer::Quote(shown(text)));
    }
    tokens.push(token);
    tokens.retain(|token| !token.is_empty());
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_millis(50);

    fn parse(text: &str) -> Scripted {
        Scripted::parse(text, LATENCY).unwrap()
    }

    #[test]
    fn answers_become_evidence_and_are_read_by_the_servers_table() {
        let limited = parse(r#"429 retry-after="Sun, 06 Nov 1994 08:50:07 GMT" took=2s"#);
        assert_eq!(limited.verdict.outcome, Outcome::Error(ErrorKind::RateLimited));
        assert_eq!(limited.evidence.answer.unwrap().header("retry-after"), Some("Sun, 06 Nov 1994 08:50:07 GMT"));
        assert_eq!(limited.took, Duration::from_secs(2));
        let reset = parse("reset");
        assert_eq!((reset.evidence.phase, reset.took), (Phase::Sent, LATENCY));
        assert!(reset.evidence.is_ambiguous());
        assert!(!parse("reset@connect").evidence.is_ambiguous());
        assert_eq!(parse("timeout_read").took, READ_TIMEOUT);
        let quota = parse("200 as=rate_limited delay=15m").verdict;
        let limited = Outcome::Error(ErrorKind::RateLimited);
        assert_eq!((quota.outcome, quota.delay), (limited, Some(Duration::from_secs(900))));
        assert_eq!(parse("200 as=duplicate").verdict.outcome, Outcome::Failure(FailureKind::Duplicate));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_is_allowed() {
        let cases = [
            ("", "a status (100 to 599) or a fault (dns_not_found"),
            ("99", "a status"),
            ("600", "a status"),
            ("timeout", "timeout_read"),
            ("reset@later", "prepare, resolve"),
            ("503 retry_after=3", "retry-after=, date=, took=, as= and delay="),
            ("200 delay=15m", "beside as="),
            ("200 as=rate_limited delay=15", "15\" is not a duration"),
            ("503 soon", "retry-after="),
            ("503 took=3", "3\" is not a duration"),
            ("200 as=maybe", "duplicate"),
            ("429 retry-after=\"3", "not closed"),
            ("reset retry-after=3", "headers"),
        ];
        for (text, allowed) in cases {
            let said = Scripted::parse(text, LATENCY).unwrap_err().to_string();
            assert!(said.contains(allowed), "{text}: {said}");
        }
    }

    #[test]
    fn an_attempt_cut_short_is_in_doubt_only_if_it_may_have_been_sent() {
        let at_most = Duration::from_secs(1);
        let cut = parse("200 took=9s").cut_after(at_most);
        assert_eq!((cut.verdict.outcome, cut.took), (Outcome::Error(ErrorKind::TimeoutRead), at_most));
        assert!(cut.evidence.is_ambiguous());
        let cut = parse("connect_timeout took=9s").cut_after(at_most);
        assert_eq!(cut.verdict.outcome, Outcome::Error(ErrorKind::ConnectTimeout));
    }
}
