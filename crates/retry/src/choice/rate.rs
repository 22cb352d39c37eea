//! What each candidate is rated, and who wins. Whole numbers only: the same state gives the same choice.

use super::{Balance, BalanceRules, Candidate, Criterion, thousandths};
use std::time::Duration;

/// Where a chosen candidate's points come from: all of what there is.
const ALL: i64 = 1_000;

/// What came of rating.
pub(super) struct Rated {
    /// Which of the candidates.
    pub(super) winner: usize,
    /// What those that were rated were rated.
    pub(super) scores: Vec<(usize, i64)>,
    pub(super) because: String,
    /// The places in the turns from now on, of every candidate.
    pub(super) credits: Vec<i64>,
}

/// Rates those that run. `None` where nobody does.
pub(super) fn rate(rules: &BalanceRules, candidates: &[Candidate], running: &[usize], dice: u64) -> Option<Rated> {
    let mut credits: Vec<i64> = candidates.iter().map(|one| one.credit).collect();
    let all: Vec<(usize, &Candidate)> = running.iter().filter_map(|at| Some((*at, candidates.get(*at)?))).collect();
    let weight = |one: &Candidate| i64::from(one.weight) * ALL;
    match rules.by {
        Balance::Weighted => {
            let shares = Shares::of(candidates);
            let counts = |one: &Candidate| shares.counts(rules, one);
            let (winner, scores) = turn(&all, counts, &mut credits)?;
            let because = shares.told(rules, candidates.get(winner)?);
            Some(Rated { winner, scores, because, credits })
        }
        Balance::LeastLoaded => {
            let scores = all.iter().map(|(at, one)| (*at, room(one))).collect::<Vec<_>>();
            let winner = highest(&all, &scores, weight, &mut credits)?;
            let one = candidates.get(winner)?;
            let because = format!("least_loaded: {} has {} on it, of {}", one.name, busy(one), one.load.limit);
            Some(Rated { winner, scores, because, credits })
        }
        Balance::Best => {
            let scores: Vec<(usize, i64)> = all.iter().map(|(at, one)| (*at, mean(rules, &all, one))).collect();
            if let Some(winner) = explorer(rules, &all, &scores, dice) {
                let name = &candidates.get(winner)?.name;
                let because = format!("best: {name} is tried, as {} of 100 leads do", rules.explore_percent);
                return Some(Rated { winner, scores, because, credits });
            }
            let winner = highest(&all, &scores, weight, &mut credits)?;
            let words: Vec<String> = rules.criteria.iter().map(|by| said(*by, &all, candidates.get(winner))).collect();
            let because = format!("best: {} by {}", candidates.get(winner)?.name, words.join(", "));
            Some(Rated { winner, scores, because, credits })
        }
    }
}

/// The next in smooth turns: each gains what it counts, the one with the most is next, and gives back what all gained.
fn turn(
    all: &[(usize, &Candidate)],
    counts: impl Fn(&Candidate) -> i64,
    credits: &mut [i64],
) -> Option<(usize, Vec<(usize, i64)>)> {
    let mut scores = Vec::with_capacity(all.len());
    let mut total = 0_i64;
    for (at, one) in all {
        let credit = credits.get_mut(*at)?;
        *credit = credit.saturating_add(counts(one));
        total = total.saturating_add(counts(one));
        scores.push((*at, *credit));
    }
    // Of those that are alike the first.
    let (winner, _) = scores.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    let credit = credits.get_mut(winner)?;
    *credit = credit.saturating_sub(total);
    Some((winner, scores))
}

/// The highest score; those that are alike take turns.
fn highest(
    all: &[(usize, &Candidate)],
    scores: &[(usize, i64)],
    weight: impl Fn(&Candidate) -> i64,
    credits: &mut [i64],
) -> Option<usize> {
    let most = scores.iter().map(|(_, score)| *score).max()?;
    let alike = |at: usize| scores.contains(&(at, most));
    let alike: Vec<(usize, &Candidate)> = all.iter().copied().filter(|(at, _)| alike(*at)).collect();
    turn(&alike, weight, credits).map(|(winner, _)| winner)
}

/// What the candidates' day comes to, held and barred ones too.
struct Shares {
    weights: i128,
    given: i128,
    candidates: i128,
}

impl Shares {
    fn of(candidates: &[Candidate]) -> Self {
        Shares {
            weights: candidates.iter().map(|one| i128::from(one.weight)).sum(),
            given: candidates.iter().map(|one| i128::from(one.tally.given())).sum(),
            candidates: i128::try_from(candidates.len()).unwrap_or(i128::MAX),
        }
    }

    /// Whether it lacks more of its share than turns alone bring: as many leads as there are candidates.
    fn is_behind(&self, one: &Candidate) -> bool {
        let share = i128::from(one.weight) * self.given;
        share - i128::from(one.tally.given()) * self.weights >= self.candidates * self.weights
    }

    /// What it counts in the turns.
    fn counts(&self, rules: &BalanceRules, one: &Candidate) -> i64 {
        let times = if self.is_behind(one) { i64::from(rules.catch_up_thousandths) } else { ALL };
        i64::from(one.weight) * times
    }

    fn told(&self, rules: &BalanceRules, one: &Candidate) -> String {
        let (given, all) = (one.tally.given(), self.given);
        let share =
            format!("weighted: {} has {given} of {all} of the day, for {} of {}", one.name, one.weight, self.weights);
        if !self.is_behind(one) || rules.catch_up_thousandths <= 1_000 {
            return share;
        }
        let (whole, part) = (rules.catch_up_thousandths / 1_000, rules.catch_up_thousandths % 1_000);
        format!("{share}; behind, so it counts {whole}.{part:03} times")
    }
}

/// What is on a candidate: what dispatch knows there, or what was chosen for it and did not come there yet.
fn busy(one: &Candidate) -> u64 {
    let known = u64::from(one.load.in_flight).saturating_add(u64::from(one.load.waiting));
    known.max(one.tally.on_the_way)
}

/// The thousandths of its limit that are free; below nothing where more waits than may go at once.
fn room(one: &Candidate) -> i64 {
    let limit = i64::from(one.load.limit.max(1));
    let busy = i64::try_from(busy(one)).unwrap_or(i64::MAX).min(i64::MAX / 2_000);
    ALL - busy * ALL / limit
}

/// The mean of a candidate's points: of so many criteria the first counts so many times, the last once.
fn mean(rules: &BalanceRules, all: &[(usize, &Candidate)], one: &Candidate) -> i64 {
    let counts = (1..).take(rules.criteria.len()).collect::<Vec<i64>>();
    let sum: i64 =
        rules.criteria.iter().zip(counts.iter().rev()).map(|(by, times)| points(*by, all, one) * times).sum();
    sum / counts.iter().sum::<i64>().max(1)
}

/// What a candidate gets for one criterion: 0 to 1000, and 1000 is the best there is.
fn points(by: Criterion, all: &[(usize, &Candidate)], one: &Candidate) -> i64 {
    match by {
        Criterion::Health => one.record.answered_thousandths() * i64::from(one.load.share_thousandths) / ALL,
        Criterion::Speed => {
            let soonest = all.iter().filter_map(|(_, other)| other.record.took()).min().unwrap_or(Duration::ZERO);
            // One that nothing is known of is taken for the fastest, so that it is tried.
            one.record.took().map_or(ALL, |took| thousandths(soonest, took))
        }
        Criterion::Cost => {
            let least = all.iter().filter_map(|(_, other)| other.cost_millionths).min().unwrap_or(0);
            match one.cost_millionths {
                None => 0,
                Some(0) => ALL,
                Some(cost) => i64::try_from(u128::from(least) * 1_000 / u128::from(cost)).unwrap_or(ALL),
            }
        }
        Criterion::Region => i64::from(one.near) * ALL,
    }
}

fn said(by: Criterion, all: &[(usize, &Candidate)], one: Option<&Candidate>) -> String {
    format!("{by} {}", one.map_or(0, |one| points(by, all, one)))
}

/// One that is not the best, for a few leads.
fn explorer(rules: &BalanceRules, all: &[(usize, &Candidate)], scores: &[(usize, i64)], dice: u64) -> Option<usize> {
    let most = scores.iter().map(|(_, score)| *score).max()?;
    let others: Vec<usize> = scores.iter().filter(|(_, score)| *score < most).map(|(at, _)| *at).collect();
    let explores = dice % 10_000 < u64::from(rules.explore_percent) * 100;
    if !explores || others.is_empty() || all.len() < 2 {
        return None;
    }
    let which = usize::try_from((dice >> 32) % u64::try_from(others.len()).ok()?).ok()?;
    others.get(which).copied()
}
