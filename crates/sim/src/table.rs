//! A report as text: the timeline where there are few leads, and the policies beside each other.

use crate::quantity::show;
use crate::report::{ByAge, PolicyReport, ProtectionReport, RecipientReport, Report, WayReport};
use std::fmt::Write;
use std::time::Duration;
use steadfast_retry::breaker::BreakerState;

/// Rows of retries shown one by one; what is beyond goes into one row.
const NUMBERS_SHOWN: usize = 10;
/// Transitions of breakers shown for one policy.
const TRANSITIONS_SHOWN: usize = 40;

impl Report {
    /// For reading and for comparing with an expectation: each policy's timeline where there is one, then the figures.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let several = self.policies.len() > 1;
        for policy in &self.policies {
            let Some(timeline) = &policy.timeline else { continue };
            if several {
                let _ = writeln!(text, "policy {}", policy.policy);
            }
            text.push_str(timeline);
        }
        let few = self.policies.iter().all(|policy| policy.timeline.is_some());
        if few {
            for policy in &self.policies {
                let _ = writeln!(text, "{}", in_short(policy, several));
                policy.ways.iter().for_each(|way| write_way(&mut text, way));
            }
        } else {
            text.push_str(&table(&rows(&self.policies)));
        }
        self.policies.iter().for_each(|policy| write_breakers(&mut text, policy, several));
        text
    }
}

fn in_short(report: &PolicyReport, named: bool) -> String {
    let mut parts = Vec::new();
    let mut part = |count: u64, what: &str| {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    };
    part(report.delivered - report.probable, "delivered");
    part(report.probable, "delivered (probable)");
    part(report.rejected, "rejected");
    report.in_review.iter().for_each(|(cause, count)| part(*count, &format!("in review ({cause})")));
    report.closed.iter().for_each(|(why, count)| part(*count, &format!("closed ({why})")));
    part(report.still_waiting, "still waiting");
    part(report.possibly_twice, "possibly delivered twice");
    let (leads, attempts) = (count_of(report.leads, "lead"), count_of(report.attempts, "attempt"));
    let name = if named { format!("{}: ", report.policy) } else { String::new() };
    format!("{name}{leads}, {attempts}: {}", parts.join(", "))
}

fn write_way(text: &mut String, way: &WayReport) {
    let attempts = count_of(way.attempts, "attempt");
    let rejected = if way.rejected > 0 { format!(", {} rejected", way.rejected) } else { String::new() };
    let _ = writeln!(text, "  {}: {attempts}, {} delivered{rejected}", way.name(), way.delivered);
}

fn count_of(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

type Row = (String, Vec<String>);

fn rows(policies: &[PolicyReport]) -> Vec<Row> {
    let mut rows: Vec<Row> = vec![(String::new(), policies.iter().map(|one| one.policy.clone()).collect())];
    let mut row = |name: &str, value: &dyn Fn(&PolicyReport) -> String| {
        rows.push((name.to_owned(), policies.iter().map(value).collect()));
    };
    row("leads", &|one| one.leads.to_string());
    row("delivered", &|one| one.delivered.to_string());
    row("  at the first attempt", &|one| at(&one.delivered_by_attempt, 0).to_string());
    row("  possibly twice", &|one| one.possibly_twice.to_string());
    row("rejected", &|one| one.rejected.to_string());
    row("in review", &|one| one.in_review_count().to_string());
    let causes: std::collections::BTreeSet<_> = policies.iter().flat_map(|one| one.in_review.keys()).collect();
    for cause in causes {
        row(&format!("  {cause}"), &|one| one.in_review.get(cause).copied().unwrap_or(0).to_string());
    }
    let reasons: std::collections::BTreeSet<_> = policies.iter().flat_map(|one| one.closed.keys()).collect();
    for why in reasons {
        row(&format!("closed ({why})"), &|one| one.closed.get(why).copied().unwrap_or(0).to_string());
    }
    row("still waiting", &|one| one.still_waiting.to_string());
    row("attempts", &|one| one.attempts.to_string());
    row("  for each lead", &|one| ratio(one.attempts, one.leads));
    let most = policies.iter().map(|one| one.retries_by_number.len()).max().unwrap_or(0);
    for number in 0..most.min(NUMBERS_SHOWN) {
        row(&format!("  retry {}", number + 1), &|one| at(&one.retries_by_number, number).to_string());
    }
    if most > NUMBERS_SHOWN {
        let beyond = |one: &PolicyReport| one.retries_by_number.iter().skip(NUMBERS_SHOWN).sum::<u64>().to_string();
        row("  later retries", &beyond);
    }
    row("attempts/s at the busiest", &peak_rate);
    row("largest backlog", &|one| one.series.backlog.iter().max().copied().unwrap_or(0).to_string());
    row("delivered within, 50 %", &|one| one.delivery_time.map_or("-".to_owned(), |time| show(time.p50)));
    row("delivered within, 95 %", &|one| one.delivery_time.map_or("-".to_owned(), |time| show(time.p95)));
    row("delivered within, 99 %", &|one| one.delivery_time.map_or("-".to_owned(), |time| show(time.p99)));
    row("lasted", &|one| show(one.lasted));
    for (place, way) in policies.first().map_or(&[][..], |one| &one.ways).iter().enumerate() {
        row(&format!("attempts on {}", way.name()), &|one| one.ways[place].attempts.to_string());
        row("  delivered there", &|one| one.ways[place].delivered.to_string());
        row("  rejected there", &|one| one.ways[place].rejected.to_string());
    }
    if policies.iter().any(|one| one.protection.is_some()) {
        protected_rows(&mut row);
    }
    rows
}

fn protected_rows(row: &mut impl FnMut(&str, &dyn Fn(&PolicyReport) -> String)) {
    let of = |one: &PolicyReport, figure: fn(&ProtectionReport) -> u64| {
        one.protection.as_ref().map_or("-".to_owned(), |protection| figure(protection).to_string())
    };
    row("held at most", &|one| of(one, |protection| protection.held.iter().max().copied().unwrap_or(0).into()));
    row("beyond capacity", &|one| of(one, |seen| seen.recipients.iter().map(|one| one.beyond_capacity).sum()));
    row("breakers opened", &|one| {
        let opened = |seen: &RecipientReport| seen.told.iter().filter(|told| told.to == BreakerState::Open).count();
        let opened = |seen: &ProtectionReport| seen.recipients.iter().map(opened).sum::<usize>().to_string();
        one.protection.as_ref().map_or("-".to_owned(), opened)
    });
    for (place, (word, _)) in ByAge::BOUNDS.iter().enumerate() {
        row(&format!("delivered at age {word}"), &|one| {
            let count = one.protection.as_ref().and_then(|seen| seen.delivered_by_age.parts().nth(place));
            count.map_or("-".to_owned(), |(_, count)| count.to_string())
        });
    }
}

/// What the breakers did, where there are any.
fn write_breakers(text: &mut String, policy: &PolicyReport, named: bool) {
    let Some(protection) = &policy.protection else { return };
    let all = protection.recipients.iter().flat_map(|one| one.told.iter().map(move |told| (&one.name, told)));
    let more = all.clone().count().saturating_sub(TRANSITIONS_SHOWN);
    let by = if named { format!("{}: ", policy.policy) } else { String::new() };
    for (recipient, told) in all.take(TRANSITIONS_SHOWN) {
        let (seconds, millis) = (told.at.as_secs(), told.at.subsec_millis());
        let _ = writeln!(text, "{seconds:>6}.{millis:03}  {by}{recipient} breaker {}", told.text);
    }
    if more > 0 {
        let _ = writeln!(text, "... and {more} more");
    }
}

fn at(counts: &[u64], place: usize) -> u64 {
    counts.get(place).copied().unwrap_or(0)
}

/// To two places, rounded down.
fn ratio(part: u64, whole: u64) -> String {
    let hundredths = part.saturating_mul(100).checked_div(whole).unwrap_or(0);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// The busiest bucket, as a rate: over a long run an average of that bucket.
fn peak_rate(report: &PolicyReport) -> String {
    let most = report.series.attempts.iter().max().copied().unwrap_or(0);
    ratio(u64::from(most), report.series.width.max(Duration::from_secs(1)).as_secs())
}

fn table(rows: &[Row]) -> String {
    let first = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let columns = rows.first().map_or(0, |(_, values)| values.len());
    let width =
        |column: usize| rows.iter().filter_map(|(_, values)| values.get(column)).map(|v| v.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (name, values) in rows {
        let mut line = format!("{name:<first$}");
        for (value, width) in values.iter().zip(&widths) {
            let _ = write!(line, "  {value:>width$}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
