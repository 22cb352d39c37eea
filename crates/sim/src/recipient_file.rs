//! What a recipient of a scenario answers, from the file to its script.

use crate::answer::Scripted;
use crate::file::{LATENCY, PhaseFile, RecipientFile};
use crate::retry_table::Faults;
use crate::script::{ANSWERS_MAX, MIX_MAX, PHASES_MAX, Script};
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_retry::InDoubt;

impl RecipientFile {
    pub(crate) fn read(&self, faults: &mut Faults) -> Option<Script> {
        let latency = faults.duration("recipient.latency", self.latency.as_ref()).unwrap_or(LATENCY);
        if let Some(answers) = &self.answers {
            return self.by_attempt(answers, latency, faults);
        }
        let answer = self.answer.clone().or_else(|| self.mix.is_none().then(|| "200".to_owned()));
        let otherwise = mix("recipient", answer.as_ref(), self.mix.as_ref(), latency, faults);
        let mut script = Script::always(otherwise?)?;
        if self.phases.len() > PHASES_MAX {
            faults.add("recipient.phases", format!("{} phases: at most {PHASES_MAX}", self.phases.len()));
            return None;
        }
        for (number, phase) in self.phases.iter().enumerate() {
            phase.add(&format!("recipient.phases[{number}]"), latency, &mut script, faults);
        }
        Some(script)
    }

    fn by_attempt(&self, answers: &[String], latency: Duration, faults: &mut Faults) -> Option<Script> {
        if self.answer.is_some() || self.mix.is_some() || !self.phases.is_empty() {
            faults.add("recipient", "answers stand alone: allowed is either answers, or answer or mix with phases");
        }
        if !(1..=ANSWERS_MAX).contains(&answers.len()) {
            faults.add("recipient.answers", format!("{} answers: allowed is 1 to {ANSWERS_MAX}", answers.len()));
            return None;
        }
        let read = |(number, text): (usize, &String)| {
            faults.kept(&format!("recipient.answers[{number}]"), Scripted::parse(text, latency))
        };
        Script::by_attempt(answers.iter().enumerate().filter_map(read).collect())
    }
}

impl PhaseFile {
    fn add(&self, place: &str, latency: Duration, script: &mut Script, faults: &mut Faults) {
        let from = faults.duration(&format!("{place}.from"), Some(&self.from));
        let to = faults.duration(&format!("{place}.to"), Some(&self.to));
        let latency = faults.duration(&format!("{place}.latency"), self.latency.as_ref()).unwrap_or(latency);
        let mix = mix(place, self.answer.as_ref(), self.mix.as_ref(), latency, faults);
        let (Some(from), Some(to), Some(mix)) = (from, to, mix) else { return };
        if !script.add_phase(from, to, mix) {
            faults.add(place, "a phase must end after it begins and may not overlap another");
        }
    }
}

/// One answer or several with shares that add up to 1.
fn mix(
    place: &str,
    answer: Option<&String>,
    mix: Option<&BTreeMap<String, f64>>,
    latency: Duration,
    faults: &mut Faults,
) -> Option<Vec<(Scripted, f64)>> {
    let (answer, mix) = match (answer, mix) {
        (Some(answer), None) => (Some((answer, 1.0)), None),
        (None, Some(mix)) => (None, Some(mix)),
        _ => {
            faults.add(place, "allowed is either answer or mix");
            return None;
        }
    };
    if let Some(mix) = mix {
        check_shares(place, mix, faults)?;
    }
    let parts = answer.into_iter().chain(mix.into_iter().flatten().map(|(text, share)| (text, *share)));
    let mut read = Vec::new();
    for (text, share) in parts {
        let answer = faults.kept(&format!("{place} {text:?}"), Scripted::parse(text, latency));
        read.push((answer?, share));
    }
    Some(read)
}

fn check_shares(place: &str, mix: &BTreeMap<String, f64>, faults: &mut Faults) -> Option<()> {
    let place = format!("{place}.mix");
    let sum: f64 = mix.values().sum();
    let each = mix.values().all(|share| *share > 0.0 && *share <= 1.0);
    if !each || (sum - 1.0).abs() > 0.001 {
        faults.add(&place, "every share must be above 0 and they must add up to 1");
        return None;
    }
    if mix.len() > MIX_MAX {
        faults.add(&place, format!("{} answers: at most {MIX_MAX}", mix.len()));
        return None;
    }
    Some(())
}

impl RecipientFile {
    /// Needed exactly where something is looked up.
    pub(crate) fn look_ups(&self, in_doubt: InDoubt, faults: &mut Faults) -> Option<Script> {
        let place = "recipient.look_ups";
        let verifies = matches!(in_doubt, InDoubt::Verify { .. });
        let texts = match &self.look_ups {
            None if verifies => {
                faults.add(place, "is needed with in_doubt = \"verify\"");
                return None;
            }
            None => return None,
            Some(_) if !verifies => {
                faults.add(place, "belongs to in_doubt = \"verify\"");
                return None;
            }
            Some(texts) => texts,
        };
        if texts.is_empty() || texts.len() > ANSWERS_MAX {
            faults.add(place, format!("{} answers: 1 to {ANSWERS_MAX}", texts.len()));
            return None;
        }
        let each = texts.iter().enumerate();
        let read = each.filter_map(|(number, text)| {
            faults.kept(&format!("{place}[{number}]"), Scripted::parse_look_up(text, LATENCY))
        });
        Script::by_attempt(read.collect())
    }
}
