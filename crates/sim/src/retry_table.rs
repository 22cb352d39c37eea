//! The retry keys as a scenario file writes them, and the layer of settings they say. Checks only what a layer cannot hold;
//! ranges are checked where layers are laid over each other, by the server's own code.

use crate::quantity::{parse_duration, shown};
use crate::scenario::ScenarioFault;
use serde::Deserialize;
use std::time::Duration;
use steadfast_lead::PolicyName;
use steadfast_retry::policy::{Backoff, Condition, Conditions, Jitter, JitterShare, Layer};

/// Most conditions in one list.
const CONDITIONS_MAX: usize = 200;

/// A table of retry keys; every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are the retry keys of the configuration")]
pub struct RetryFile {
    /// Another policy this one starts from; only under `[policies.X]`.
    pub extends: Option<String>,
    pub policy: Option<String>,
    pub enabled: Option<bool>,
    pub backoff: Option<String>,
    pub max_retries: Option<u32>,
    pub initial_delay: Option<String>,
    pub multiplier: Option<f64>,
    pub max_interval: Option<String>,
    pub total_timeout: Option<String>,
    pub jitter: Option<NumberOrWord>,
    pub retry_on: Option<Vec<CodeOrWord>>,
    pub never_retry_on: Option<Vec<CodeOrWord>>,
    pub max_lead_age: Option<String>,
    pub count_holds: Option<bool>,
    pub extended: Option<bool>,
}

/// `0.2` or `"full"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a number from 0.0 to 1.0, or one of none, equal, full, decorrelated")]
pub enum NumberOrWord {
    /// A share.
    Number(f64),
    /// A shape.
    Word(String),
}

/// `503` or `"5xx"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a status code or a word, such as 503 or \"timeout\"")]
pub enum CodeOrWord {
    /// A status code.
    Code(u16),
    /// A class, a group or a kind.
    Word(String),
}

/// Collects what is wrong while a file is read.
#[derive(Default)]
pub(crate) struct Faults(pub(crate) Vec<ScenarioFault>);

impl Faults {
    pub(crate) fn add(&mut self, place: &str, problem: impl ToString) {
        self.0.push(ScenarioFault { place: place.to_owned(), problem: problem.to_string() });
    }

    pub(crate) fn kept<T, E: ToString>(&mut self, place: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|problem| self.add(place, problem)).ok()
    }

    pub(crate) fn duration(&mut self, place: &str, text: Option<&String>) -> Option<Duration> {
        self.kept(place, parse_duration(text?))
    }
}

impl RetryFile {
    /// The layer it says. Everything that cannot be read goes to `faults` with `place` before it.
    pub(crate) fn layer(&self, place: &str, faults: &mut Faults) -> Layer {
        let at = |key: &str| format!("{place}.{key}");
        let policy = self.policy.as_ref().and_then(|name| faults.kept(&at("policy"), PolicyName::new(name)));
        Layer {
            policy,
            enabled: self.enabled,
            backoff: self.backoff.as_ref().and_then(|word| backoff(word, &at("backoff"), faults)),
            max_retries: self.max_retries,
            initial_delay: faults.duration(&at("initial_delay"), self.initial_delay.as_ref()),
            multiplier_thousandths: self.multiplier.and_then(|number| {
                let thousandths = thousandths(number);
                if thousandths.is_none() {
                    faults.add(&at("multiplier"), format!("{number} is no multiplier: allowed is 1.5 to 3.0"));
                }
                thousandths
            }),
            max_interval: faults.duration(&at("max_interval"), self.max_interval.as_ref()),
            total_timeout: faults.duration(&at("total_timeout"), self.total_timeout.as_ref()),
            jitter: self.jitter.as_ref().and_then(|jitter| read_jitter(jitter, &at("jitter"), faults)),
            retry_on: self.retry_on.as_ref().and_then(|list| conditions(list, &at("retry_on"), faults)),
            never_retry_on: self
                .never_retry_on
                .as_ref()
                .and_then(|list| conditions(list, &at("never_retry_on"), faults)),
            max_lead_age: faults.duration(&at("max_lead_age"), self.max_lead_age.as_ref()),
            count_holds: self.count_holds,
            extended: self.extended,
        }
    }
}

fn backoff(word: &str, place: &str, faults: &mut Faults) -> Option<Backoff> {
    let known = Backoff::from_name(word);
    if known.is_none() {
        faults.add(place, format!("{:?} is no backoff: allowed are exponential, fixed", shown(word)));
    }
    known
}

fn read_jitter(jitter: &NumberOrWord, place: &str, faults: &mut Faults) -> Option<Jitter> {
    let allowed = "allowed are 0.0 to 1.0, or one of none, equal, full, decorrelated";
    let read = match jitter {
        NumberOrWord::Number(share) => {
            thousandths(*share).and_then(|share| JitterShare::new(share).ok()).map(Jitter::Later)
        }
        NumberOrWord::Word(word) => match word.as_str() {
            "none" => Some(Jitter::None),
            "equal" => Some(Jitter::Equal),
            "full" => Some(Jitter::Full),
            "decorrelated" => Some(Jitter::Decorrelated),
            _ => None,
        },
    };
    if read.is_none() {
        let said = match jitter {
            NumberOrWord::Number(share) => share.to_string(),
            NumberOrWord::Word(word) => format!("{:?}", shown(word)),
        };
        faults.add(place, format!("{said} is no jitter: {allowed}"));
    }
    read
}

fn conditions(list: &[CodeOrWord], place: &str, faults: &mut Faults) -> Option<Conditions> {
    if list.len() > CONDITIONS_MAX {
        faults.add(place, format!("{} conditions: at most {CONDITIONS_MAX}", list.len()));
        return None;
    }
    let read = |(number, one): (usize, &CodeOrWord)| {
        let text = match one {
            CodeOrWord::Code(code) => code.to_string(),
            CodeOrWord::Word(word) => word.clone(),
        };
        faults.kept(&format!("{place}[{number}]"), Condition::parse(&text))
    };
    Some(Conditions::new(list.iter().enumerate().filter_map(read).collect()))
}

/// A decimal number of at most three decimals as thousandths; `None` for what is none.
fn thousandths(number: f64) -> Option<u32> {
    const MOST: f64 = 1_000_000.0;
    let thousandths = (number * 1_000.0).round();
    let exact = (thousandths / 1_000.0 - number).abs() < 1e-9;
    if !exact || !(0.0..=MOST).contains(&thousandths) {
        return None;
    }
    // Whole and within bounds by the line above.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some(thousandths as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_are_exact_or_refused() {
        assert_eq!(thousandths(2.0), Some(2_000));
        assert_eq!(thousandths(1.501), Some(1_501));
        for bad in [1.5001, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert_eq!(thousandths(bad), None, "{bad}");
        }
    }
}
