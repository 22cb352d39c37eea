//! Opening hours: rules about weeks, read from OSM's `opening_hours` syntax, and which part of a day they open.
//!
//! Only the wall clock: no zone, no instant. A span belongs to the day it begins on, also where it reaches past midnight.

use super::days::Days;
use super::parse::{BadHours, parse};
use super::spans::{DAY, Spans};
use jiff::civil::Date;
use std::fmt;

/// How long hours may be written, in bytes.
pub const HOURS_BYTES_MAX: usize = 1_000;
/// How many rules hours may have.
pub const HOURS_RULES_MAX: usize = 50;

/// What a rule does to the days it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Its times are open, in place of what rules before it said about spans that begin on these days.
    Opens,
    /// Its times are open besides.
    Adds,
    /// Its times are closed; without times the whole days, and what begins on them.
    Closes,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) days: Days,
    /// In minutes from midnight, the end at most a day after the beginning; none is the whole day.
    pub(crate) times: Vec<(u16, u16)>,
    pub(crate) effect: Effect,
}

impl Rule {
    /// What its times cover of the day they begin on.
    fn head(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        let whole = self.times.is_empty().then_some((0, DAY));
        whole.into_iter().chain(self.times.iter().map(|&(from, until)| (from.min(DAY), until.min(DAY))))
    }

    /// What its times cover of the day after.
    fn tail(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        self.times.iter().map(|&(from, until)| (from.saturating_sub(DAY), until.saturating_sub(DAY)))
    }
}

/// Hours of a week, with exceptions.
#[derive(Clone, PartialEq, Eq)]
pub struct Hours {
    text: Box<str>,
    rules: Vec<Rule>,
}

impl Hours {
    /// Reads OSM's `opening_hours` syntax, as far as it is known here.
    ///
    /// # Errors
    /// [`BadHours`] with the place in the text.
    pub fn new(text: &str) -> Result<Self, BadHours> {
        Ok(Hours { rules: parse(text)?, text: text.into() })
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a rule speaks of public holidays.
    pub fn name_holidays(&self) -> bool {
        self.rules.iter().any(|rule| rule.days.holidays)
    }

    /// The same hours, closed on public holidays unless a rule speaks of them.
    #[must_use]
    pub(crate) fn closed_on_holidays(mut self) -> Self {
        if !self.name_holidays() {
            let days = Days { holidays: true, ..Days::default() };
            self.rules.push(Rule { days, times: Vec::new(), effect: Effect::Closes });
        }
        self
    }

    /// What is open on a date.
    pub(crate) fn on(&self, date: Date, is_holiday: impl Fn(Date) -> bool) -> Spans {
        let eve = date.yesterday().ok().map(|eve| (eve, is_holiday(eve)));
        let is_holiday = is_holiday(date);
        // What began the day before and reaches into this one, and what begins on this one.
        let (mut night, mut own) = (Spans::default(), Spans::default());
        for rule in &self.rules {
            if eve.is_some_and(|(eve, is_holiday)| rule.days.hold(eve, is_holiday)) {
                match rule.effect {
                    Effect::Opens => night = rule.tail().collect(),
                    Effect::Adds => rule.tail().for_each(|span| night.add(span)),
                    Effect::Closes if rule.times.is_empty() => night = Spans::default(),
                    Effect::Closes => rule.tail().for_each(|span| take(&mut night, &mut own, span)),
                }
            }
            if rule.days.hold(date, is_holiday) {
                match rule.effect {
                    Effect::Opens => own = rule.head().collect(),
                    Effect::Adds => rule.head().for_each(|span| own.add(span)),
                    Effect::Closes => rule.head().for_each(|span| take(&mut night, &mut own, span)),
                }
            }
        }
        night.iter().for_each(|span| own.add(span));
        own
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hours({:?})", self.text)
    }
}

fn take(night: &mut Spans, own: &mut Spans, span: (u16, u16)) {
    night.take(span);
    own.take(span);
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    /// 2026-11-23 is a Monday; the holiday is Thursday the 26th.
    fn parts(text: &str, day: i8) -> Vec<(u16, u16)> {
        let holiday = date(2026, 11, 26);
        Hours::new(text).unwrap().closed_on_holidays().on(date(2026, 11, day), |date| date == holiday).iter().collect()
    }

    #[test]
    fn a_later_rule_replaces_adds_or_takes_away() {
        let text = "Mo-Fr 09:00-17:00; We 10:00-12:00, We 14:00-15:00; Fr 12:00-13:00 off";
        assert_eq!(parts(text, 23), [(540, 1_020)]);
        assert_eq!(parts(text, 25), [(600, 720), (840, 900)]);
        assert_eq!(parts(text, 27), [(540, 720), (780, 1_020)]);
        assert_eq!(parts(text, 28), []);
    }

    #[test]
    fn a_night_belongs_to_the_day_it_begins_on() {
        let text = "Mo-Fr 22:00-06:00";
        assert_eq!(parts(text, 23), [(1_320, 1_440)]);
        assert_eq!(parts(text, 24), [(0, 360), (1_320, 1_440)]);
        // A closed day has no evening, the morning after it no rest of the night, and nothing reaches into it.
        assert_eq!(parts(text, 26), []);
        assert_eq!(parts(text, 27), [(1_320, 1_440)]);
        assert_eq!(parts("Mo-Fr 22:00-06:00; Sa off", 28), []);
        assert_eq!(parts("Mo-Fr 22:00-06:00; Sa 10:00-12:00", 28), [(0, 360), (600, 720)]);
        assert_eq!(parts("Mo-Fr 22:00-06:00; Fr 10:00-12:00", 28), []);
    }

    #[test]
    fn holidays_are_closed_unless_a_rule_speaks_of_them() {
        assert_eq!(parts("24/7", 26), []);
        assert_eq!(parts("24/7; PH 10:00-12:00", 26), [(600, 720)]);
        assert_eq!(parts("Mo-We,PH 09:00-10:00", 26), [(540, 600)]);
        assert_eq!(parts("24/7; PH off", 26), []);
    }
}
