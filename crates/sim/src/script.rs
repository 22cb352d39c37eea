//! What a recipient answers when: by the number of a delivery's attempt, or by a time line, with chance from the seed only.

use crate::answer::Scripted;
use std::time::Duration;
use steadfast_lead::DeliveryId;
use steadfast_retry::Seed;

/// Most answers in a list by attempt.
pub const ANSWERS_MAX: usize = 10_000;
/// Most phases of a time line.
pub const PHASES_MAX: usize = 1_000;
/// Most answers in one mix.
pub const MIX_MAX: usize = 32;

/// One attempt, as a script is asked about it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The run's seed.
    pub seed: Seed,
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Its attempt's number, from 1: what chance is thrown with.
    pub attempt: u32,
    /// Which attempt it is at the place that is asked, from 1: what answers by attempt go by.
    pub here: u32,
    /// When it started, counted from the start of the run.
    pub at: Duration,
}

/// A recipient's behaviour.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    answers: Vec<Scripted>,
    plan: Plan,
}

#[derive(Clone, Debug, PartialEq)]
enum Plan {
    /// The n-th answer for a delivery's n-th attempt; the last repeats. Never empty.
    ByAttempt,
    /// Phases in order of time, not overlapping.
    ByTime { phases: Vec<Phase>, otherwise: Choice },
}

#[derive(Clone, Debug, PartialEq)]
struct Phase {
    from: Duration,
    to: Duration,
    choice: Choice,
}

/// Which of the answers: each with the upper end of its part of `0..=u64::MAX`.
type Choice = Vec<(u64, usize)>;

impl Script {
    /// The n-th answer for the n-th attempt of each delivery; the last repeats.
    pub fn by_attempt(answers: Vec<Scripted>) -> Option<Self> {
        let plan = Plan::ByAttempt;
        if answers.is_empty() { None } else { Some(Script { answers, plan }) }
    }

    /// One set of answers at all times, until phases are added. Shares are relative; `None` where they are all zero.
    pub fn always(mix: Vec<(Scripted, f64)>) -> Option<Self> {
        let mut answers = Vec::new();
        let otherwise = choice(&mut answers, mix)?;
        Some(Script { answers, plan: Plan::ByTime { phases: Vec::new(), otherwise } })
    }

    /// Adds a phase with answers of its own from `from` up to, and not including, `to`. Refused (`false`) where it is empty
    /// or overlaps another, or where the script goes by attempts.
    pub fn add_phase(&mut self, from: Duration, to: Duration, mix: Vec<(Scripted, f64)>) -> bool {
        let Plan::ByTime { phases, .. } = &mut self.plan else { return false };
        let overlaps = phases.iter().any(|phase| from < phase.to && phase.from < to);
        if from >= to || overlaps {
            return false;
        }
        let Some(choice) = choice(&mut self.answers, mix) else { return false };
        let place = phases.partition_point(|phase| phase.from < from);
        phases.insert(place, Phase { from, to, choice });
        true
    }

    /// What the recipient does with an attempt.
    pub fn answer(&self, asked: &Asked) -> &Scripted {
        &self.answers[self.place(asked)]
    }

    fn place(&self, asked: &Asked) -> usize {
        match &self.plan {
            Plan::ByAttempt => {
                let number = usize::try_from(asked.here).unwrap_or(usize::MAX);
                number.clamp(1, self.answers.len()) - 1
            }
            Plan::ByTime { phases, otherwise } => {
                let after = phases.partition_point(|phase| phase.from <= asked.at);
                let phase = after.checked_sub(1).map(|place| &phases[place]).filter(|phase| asked.at < phase.to);
                throw(phase.map_or(otherwise, |phase| &phase.choice), asked)
            }
        }
    }
}

fn choice(answers: &mut Vec<Scripted>, mix: Vec<(Scripted, f64)>) -> Option<Choice> {
    let sum: f64 = mix.iter().map(|(_, share)| share).sum();
    if !sum.is_finite() || sum <= 0.0 {
        return None;
    }
    let (mut choice, mut below) = (Choice::new(), 0.0);
    for (answer, share) in mix {
        below += share / sum;
        // Up to one part in 2^53 is lost to the float; a cast to an integer saturates.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        choice.push(((below * u64::MAX as f64) as u64, answers.len()));
        answers.push(answer);
    }
    if let Some(last) = choice.last_mut() {
        last.0 = u64::MAX;
    }
    Some(choice)
}

fn throw(choice: &Choice, asked: &Asked) -> usize {
    let [(_, only)] = choice[..] else {
        let dice = dice(asked);
        return choice.iter().find(|(upper, _)| dice <= *upper).map_or(0, |(_, place)| *place);
    };
    only
}

/// 64 bits that look random and are the same for the same attempt of the same run (`SplitMix64`).
fn dice(asked: &Asked) -> u64 {
    // Apart from the dice of the delays, which are thrown from the same seed and ids.
    const APART: u64 = 0x5ca1_ab1e_0ddb_a115;
    let mixed = scramble(asked.seed.0 ^ APART ^ asked.delivery.raw().unsigned_abs());
    scramble(mixed ^ u64::from(asked.attempt))
}

fn scramble(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_millis(50);

    fn scripted(text: &str) -> Scripted {
        Scripted::parse(text, LATENCY).unwrap()
    }

    fn status(script: &Script, attempt: u32, seconds: u64, delivery: i64) -> u16 {
        let delivery = DeliveryId::from_raw(delivery).unwrap();
        let asked = Asked { seed: Seed(7), delivery, attempt, here: attempt, at: Duration::from_secs(seconds) };
        script.answer(&asked).verdict.status.unwrap()
    }

    #[test]
    fn by_attempt_the_last_answer_repeats() {
        let script = Script::by_attempt(vec![scripted("503"), scripted("500"), scripted("200")]).unwrap();
        let said: Vec<u16> = (1..=5).map(|attempt| status(&script, attempt, 0, 1)).collect();
        assert_eq!(said, [503, 500, 200, 200, 200]);
        assert_eq!(Script::by_attempt(Vec::new()), None);
    }

    #[test]
    fn phases_begin_at_from_and_end_before_to() {
        let mut script = Script::always(vec![(scripted("200"), 1.0)]).unwrap();
        let secs = Duration::from_secs;
        assert!(script.add_phase(secs(20), secs(30), vec![(scripted("429"), 1.0)]));
        assert!(script.add_phase(secs(5), secs(10), vec![(scripted("503"), 1.0)]));
        assert!(!script.add_phase(secs(9), secs(21), vec![(scripted("500"), 1.0)]), "overlaps");
        assert!(!script.add_phase(secs(40), secs(40), vec![(scripted("500"), 1.0)]), "empty");
        let said: Vec<u16> = [4, 5, 9, 10, 19, 20, 29, 30].map(|at| status(&script, 1, at, 1)).into();
        assert_eq!(said, [200, 503, 503, 200, 200, 429, 429, 200]);
    }

    #[test]
    fn a_mix_keeps_its_shares_and_its_dice() {
        let script = Script::always(vec![(scripted("200"), 0.8), (scripted("503"), 0.2)]).unwrap();
        let failed = (0..10_000).filter(|delivery| status(&script, 1, 0, *delivery) == 503).count();
        assert!((1_880..=2_120).contains(&failed), "{failed}: more than three standard deviations off");
        let again = (0..10_000).filter(|delivery| status(&script, 1, 0, *delivery) == 503).count();
        assert_eq!(failed, again);
        assert_eq!(Script::always(vec![(scripted("200"), 0.0)]), None);
    }
}
