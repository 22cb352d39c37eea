//! `steadfast classify`: what a stored response means, and which rule or term decided. Sends nothing, stores nothing.

use crate::config::{load, load_rules};
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use steadfast_retry::policy::{Conditions, show_duration};
use steadfast_retry::{Answer, Evidence, Fault, FaultKind, LookUpAnswer, Outcome, Phase, Reading, Timings, Verdict};

/// How large a stored response may be, in bytes.
const STORED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What responses are read by: a step of a config, or a file of rules.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReadBy {
    /// The config file.
    #[arg(long, requires = "flow", requires = "step", conflicts_with = "rules", required_unless_present = "rules")]
    config: Option<PathBuf>,
    /// The flow.
    #[arg(long, requires = "config")]
    flow: Option<String>,
    /// The step.
    #[arg(long, requires = "config")]
    step: Option<String>,
    /// By how the step reads the answers to its look-ups (`verify`).
    #[arg(long, requires = "config")]
    look_up: bool,
    /// A file with a `[response]` table and `[[rules]]`, as in a step.
    #[arg(long)]
    rules: Option<PathBuf>,
}

/// The command was used wrongly: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(String);

/// A response as it is stored, or what happened in its place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, HeaderValues>,
    body: Option<String>,
    /// The bytes themselves, for what is not Unicode.
    body_base64: Option<String>,
    error: Option<String>,
    phase: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum HeaderValues {
    One(String),
    Several(Vec<String>),
}

/// What reads responses, and which errors are retried.
struct Reader {
    reading: Reading,
    retry_on: Conditions,
    never_retry_on: Conditions,
    /// They answer a look-up, no lead.
    look_up: bool,
}

/// Reads one stored response and says what it means. True for a success.
///
/// # Errors
/// [`WrongUsage`] for a config, rules or a response that cannot be used; others when nothing can be read or written.
pub(crate) fn classify(by: &ReadBy, stored: &mut impl Read, out: &mut impl Write) -> anyhow::Result<bool> {
    let reader = reader(by)?;
    let mut text = Vec::new();
    stored.take(STORED_BYTES_MAX).read_to_end(&mut text).context("cannot read the response")?;
    let evidence = evidence(&text).map_err(WrongUsage)?;
    let verdict = reader.reading.read(&evidence);
    let mut said = shown(&verdict, reader.is_retryable(&verdict));
    if reader.look_up {
        said["look_up"] = LookUpAnswer::of(&verdict).name().into();
    }
    writeln!(out, "{said}")?;
    Ok(verdict.outcome == Outcome::Success)
}

/// What a stored response means by a reading, as the command shows it.
#[cfg(test)]
pub(crate) fn classified(reading: &Reading, stored: &[u8]) -> Result<Value, String> {
    let reader = Reader {
        reading: reading.clone(),
        retry_on: Conditions::retryable_by_default(),
        never_retry_on: Conditions::default(),
        look_up: false,
    };
    let verdict = reading.read(&evidence(stored)?);
    Ok(shown(&verdict, reader.is_retryable(&verdict)))
}

fn reader(by: &ReadBy) -> Result<Reader, WrongUsage> {
    if let Some(path) = &by.rules {
        let reading = load_rules(path).map_err(|problems| WrongUsage(problems.plain()))?;
        let (retry_on, never_retry_on) = (Conditions::retryable_by_default(), Conditions::default());
        return Ok(Reader { reading, retry_on, never_retry_on, look_up: false });
    }
    let (Some(path), Some(flow), Some(step)) = (&by.config, &by.flow, &by.step) else {
        return Err(WrongUsage("needs --rules, or --config with --flow and --step".to_owned()));
    };
    let book = load(path).map_err(|problems| WrongUsage(problems.plain()))?.book;
    let plan =
        book.flows.get(flow.as_str()).ok_or_else(|| WrongUsage(format!("no flow {flow:?} in {}", path.display())))?;
    let plan = plan.steps.iter().find(|plan| plan.step.as_str() == step);
    let plan = plan.ok_or_else(|| WrongUsage(format!("flow {flow} has no step {step:?}")))?;
    let policy = &plan.retry.policy;
    let (retry_on, never_retry_on) = (policy.retry_on.clone(), policy.never_retry_on.clone());
    let look_up = plan.look_up.as_ref().filter(|_| by.look_up);
    if by.look_up && look_up.is_none() {
        return Err(WrongUsage(format!("step {step} of flow {flow} asks nobody: it has no in_doubt = \"verify\"")));
    }
    let reading = look_up.map_or(&plan.reading, |look_up| &look_up.reading).clone();
    Ok(Reader { reading, retry_on, never_retry_on, look_up: by.look_up })
}

impl Reader {
    fn is_retryable(&self, verdict: &Verdict) -> bool {
        if self.look_up {
            return LookUpAnswer::of(verdict) == LookUpAnswer::Unknown && verdict.retryable != Some(false);
        }
        match verdict.outcome {
            Outcome::Error(kind) => {
                let by_policy = || self.retry_on.meets(kind, verdict.status);
                !self.never_retry_on.meets(kind, verdict.status) && verdict.retryable.unwrap_or_else(by_policy)
            }
            Outcome::Success | Outcome::Failure(_) => false,
        }
    }
}

/// What a stored response was evidence of; or why it is none.
fn evidence(text: &[u8]) -> Result<Evidence, String> {
    let stored: Stored =
        serde_json::from_slice(text).map_err(|error| format!("the response on stdin is unusable: {error}"))?;
    let fault = stored.error.as_deref().map(fault).transpose()?;
    let answer = stored.status.map(|status| answer(status, &stored)).transpose()?;
    let phase = match &stored.phase {
        Some(name) => {
            Some(Phase::from_name(name).ok_or_else(|| unknown("phase", name, Phase::ALL.map(Phase::name).as_slice()))?)
        }
        None => None,
    };
    if fault.is_none() && answer.is_none() {
        return Err("the response on stdin has neither status nor error".to_owned());
    }
    let usual = if fault.is_some() { Phase::Sent } else { Phase::Responded };
    let timings = Timings::default();
    Ok(Evidence { phase: phase.unwrap_or(usual), fault, answer, timings, remote: None, replayed_after: None })
}

fn fault(name: &str) -> Result<Fault, String> {
    let names: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
    let kind = FaultKind::from_name(name).ok_or_else(|| unknown("error", name, &names))?;
    Ok(Fault { kind, detail: name.into() })
}

fn unknown(key: &str, given: &str, names: &[&str]) -> String {
    format!("the response on stdin has {key} = {given:?}; known are {}", names.join(", "))
}

fn answer(status: u16, stored: &Stored) -> Result<Answer, String> {
    let mut headers: Vec<(Box<str>, Box<str>)> = Vec::new();
    for (name, values) in &stored.headers {
        let values = match values {
            HeaderValues::One(value) => std::slice::from_ref(value),
            HeaderValues::Several(values) => values,
        };
        headers.extend(values.iter().map(|value| (name.to_ascii_lowercase().into(), value.as_str().into())));
    }
    let body = match (&stored.body, &stored.body_base64) {
        (Some(_), Some(_)) => return Err("the response on stdin has both body and body_base64".to_owned()),
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(coded)) => STANDARD.decode(coded).map_err(|error| format!("body_base64 is unusable: {error}"))?,
        (None, None) => Vec::new(),
    };
    let body_bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
    Ok(Answer { status, headers, body: body.into(), body_bytes })
}

fn shown(verdict: &Verdict, retryable: bool) -> Value {
    json!({
        "outcome": verdict.outcome.name(),
        "reason": verdict.reason,
        "kind": verdict.outcome.kind_name(),
        "retryable": retryable,
        "delay": verdict.delay.map(show_duration),
        "price": verdict.price,
        "reference": verdict.reference,
        "decided_by": verdict.decided_by,
    })
}
