//! Reading OSM's `opening_hours` syntax, as far as it is known here. What is not known is refused with its place in the text.
//!
//! ```text
//! hours    = rule ((";" | ",") rule)*      a comma begins a rule where no time follows it
//! rule     = [days] [times] ["open" | "off" | "closed"]
//! days     = "24/7" | [years] [dates] ["week" weeks] [weekdays]
//! years    = 2026 | 2026-2028 | 2026+                              each also as a list with commas
//! dates    = Jan | Jan-Mar | Dec 24 | Dec 24-26 | Dec 24-Jan 02
//! weeks    = 10 | 10-20 | 01-53/2
//! weekdays = Mo | Mo-Fr | Fr-Mo | Su[1] | Su[-1] | Mo[1-3] | PH
//! times    = 09:00-17:00 | 22:00-06:00 | 22:00-30:00
//! ```

use super::days::{Dates, Days, Weekdays, Weeks, Years};
use super::hours::{Effect, HOURS_BYTES_MAX, HOURS_RULES_MAX, Rule};
use super::spans::DAY;
use std::ops::RangeInclusive;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MONTH_DAYS: [i8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// And after them, what stands among them for public holidays.
const WEEKDAYS: [&str; 8] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su", "PH"];
const HOLIDAY: usize = 7;
const STRANGE: &str =
    "not understood: days are written Mo-Fr, times are written 09:00-17:00, and rules are separated by a semicolon";
/// What the syntax has elsewhere, and what to write in its place.
const UNKNOWN: [(&str, &str); 9] = [
    ("sunrise", "the sun is not known here; write times of the clock"),
    ("sunset", "the sun is not known here; write times of the clock"),
    ("dawn", "the sun is not known here; write times of the clock"),
    ("dusk", "the sun is not known here; write times of the clock"),
    ("easter", "easter is not known here; list the dates as holidays"),
    ("SH", "school holidays are not known here; write their dates"),
    ("unknown", "a time is open or off, never unknown"),
    ("||", "fallback rules are not known here; separate rules by a semicolon"),
    ("\"", "comments are not known here; leave them out"),
];

/// Why a text is not opening hours, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}, at character {at} ({near})")]
pub struct BadHours {
    /// What is wrong there.
    pub problem: String,
    /// The character where reading stopped, from 1.
    pub at: usize,
    /// What stands there: a short piece of the text, in quotes, or "the end".
    pub near: String,
}

type Read<T> = Result<T, BadHours>;

/// Reads the rules.
pub(crate) fn parse(text: &str) -> Read<Vec<Rule>> {
    let mut cursor = Cursor { text, at: 0 };
    if text.len() > HOURS_BYTES_MAX {
        return Err(cursor.bad(&format!("longer than {HOURS_BYTES_MAX} bytes")));
    }
    let mut rules = vec![cursor.rule(Effect::Opens)?];
    while !cursor.is_at_end() {
        let effect = if cursor.take(";") {
            Effect::Opens
        } else if cursor.take(",") {
            Effect::Adds
        } else {
            return Err(cursor.bad(STRANGE));
        };
        if cursor.is_at_end() && effect == Effect::Opens {
            break;
        }
        rules.push(cursor.rule(effect)?);
        if rules.len() > HOURS_RULES_MAX {
            return Err(cursor.bad(&format!("more than {HOURS_RULES_MAX} rules")));
        }
    }
    Ok(rules)
}

#[derive(Debug)]
struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn bad(&self, problem: &str) -> BadHours {
        const SHOWN_MAX: usize = 12;
        let rest = self.rest().trim_start();
        let at = self.text.len() - rest.len();
        let known =
            UNKNOWN.iter().find(|(word, _)| rest.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word)));
        let problem = known.map_or(problem, |(_, says)| says).to_owned();
        let piece: String = rest.chars().take(SHOWN_MAX).collect();
        let near = if piece.is_empty() { "the end".to_owned() } else { format!("{piece:?}") };
        BadHours { problem, at: self.text[..at].chars().count() + 1, near }
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest().is_empty()
    }

    /// Takes a mark, and the blanks before it.
    fn take(&mut self, mark: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(mark);
        self.at += if found { mark.len() } else { 0 };
        found
    }

    /// Takes one of these words, whatever its case, that ends where it ends.
    fn word(&mut self, words: &[&str]) -> Option<usize> {
        self.skip_blanks();
        let letters = self.rest().bytes().take_while(u8::is_ascii_alphabetic).count();
        let given = &self.rest()[..letters];
        let found = words.iter().position(|word| word.eq_ignore_ascii_case(given))?;
        self.at += letters;
        Some(found)
    }

    /// Takes a number of at most `digits` digits.
    fn number(&mut self, digits: usize) -> Option<i16> {
        self.skip_blanks();
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let number = self.rest()[..length].parse().ok().filter(|_| length <= digits)?;
        self.at += length;
        Some(number)
    }

    /// A number that must stand here.
    fn ranged(&mut self, digits: usize, from: i16, until: i16, what: &str) -> Read<i16> {
        self.skip_blanks();
        let before = self.at;
        let number = self.number(digits).filter(|number| (from..=until).contains(number));
        if number.is_none() {
            self.at = before;
        }
        number.ok_or_else(|| self.bad(&format!("{what} is a number from {from} to {until}")))
    }

    /// Whether a time stands next: digits and a colon.
    fn before_time(&mut self) -> Option<()> {
        self.skip_blanks();
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        ((1..=2).contains(&digits) && self.rest()[digits..].starts_with(':')).then_some(())
    }

    /// Takes a number of so many digits that is not the hour of a time.
    fn count(&mut self, digits: RangeInclusive<usize>) -> Option<i16> {
        self.skip_blanks();
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        if !digits.contains(&length) || self.before_time().is_some() {
            return None;
        }
        self.number(*digits.end())
    }

    fn month(&mut self) -> Option<usize> {
        self.word(&MONTHS)
    }

    /// Goes on with a list: takes a comma and what `first` takes, or nothing.
    fn another<T>(&mut self, first: impl Fn(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.at;
        let found = if self.take(",") { first(self) } else { None };
        if found.is_none() {
            self.at = before;
        }
        found
    }

    fn rule(&mut self, effect: Effect) -> Read<Rule> {
        self.skip_blanks();
        let begin = self.at;
        let always = self.take("24/7");
        let days = if always { Days::default() } else { self.days()? };
        let mut times = Vec::new();
        let mut next = if always { None } else { self.before_time() };
        while next.is_some() {
            times.push(self.span()?);
            next = self.another(Self::before_time);
        }
        let word = self.word(&["off", "closed", "open"]);
        if times.is_empty() && word.is_none() && !always && self.at > begin && self.take(",") {
            // Else "Dec 24,PH off" would open all of Dec 24.
            return Err(self.bad("days of another kind are a rule of their own, as in Dec 24 off; PH off"));
        }
        let effect = if word.is_some_and(|word| word < 2) { Effect::Closes } else { effect };
        if self.at == begin {
            return Err(self.bad(STRANGE));
        }
        Ok(Rule { days, times, effect })
    }

    fn days(&mut self) -> Read<Days> {
        const YEAR: RangeInclusive<usize> = 4..=4;
        const WEEK: RangeInclusive<usize> = 1..=2;
        let mut days = Days::default();
        let mut year = self.count(YEAR);
        while let Some(from) = year {
            days.years.push(self.years(from)?);
            year = self.another(|cursor| cursor.count(YEAR));
        }
        let mut month = self.month();
        while let Some(from) = month {
            days.dates.push(self.dates(from, !days.years.is_empty())?);
            month = self.another(Self::month);
        }
        if self.word(&["week"]).is_some() {
            let mut week = Some(self.ranged(2, 1, 53, "a week")?);
            while let Some(from) = week {
                days.weeks.push(self.weeks(from)?);
                week = self.another(|cursor| cursor.count(WEEK));
            }
        }
        let mut weekday = self.word(&WEEKDAYS);
        while let Some(from) = weekday {
            if from == HOLIDAY {
                days.holidays = true;
            } else {
                days.weekdays.push(self.weekdays(from)?);
            }
            weekday = self.another(|cursor| cursor.word(&WEEKDAYS));
        }
        Ok(days)
    }

    fn years(&mut self, from: i16) -> Read<Years> {
        if self.take("+") {
            return Ok(Years { from, until: i16::MAX });
        }
        let until = if self.take("-") { self.ranged(4, from, 9_999, "the last year")? } else { from };
        Ok(Years { from, until })
    }

    /// Dates from a month that was taken.
    fn dates(&mut self, month: usize, in_years: bool) -> Read<Dates> {
        let day = self.month_day(month)?;
        let (mut last_month, mut last_day) = (month, day);
        if self.take("-") {
            match self.month() {
                Some(month) => {
                    last_month = month;
                    last_day = self.month_day(month)?;
                }
                None => last_day = self.month_day(month)?,
            }
            if last_day.is_some() != day.is_some() || (last_month == month && last_day.is_none()) {
                return Err(self.bad("dates are written Dec 24-26 or Dec 24-Jan 02, months Jan-Mar"));
            }
        }
        let last_day = last_day.unwrap_or(MONTH_DAYS[last_month]);
        let dates = Dates { from: (number_of(month), day.unwrap_or(1)), until: (number_of(last_month), last_day) };
        if in_years && dates.wrap() {
            return Err(self.bad("dates of a year end in it; write what is in the next year as a rule of its own"));
        }
        Ok(dates)
    }

    fn month_day(&mut self, month: usize) -> Read<Option<i8>> {
        self.skip_blanks();
        let before = self.at;
        let Some(day) = self.count(1..=2) else { return Ok(None) };
        let fits = i8::try_from(day).ok().filter(|day| (1..=MONTH_DAYS[month]).contains(day));
        if fits.is_none() {
            self.at = before;
            return Err(self.bad(&format!("{} has days 1 to {}", MONTHS[month], MONTH_DAYS[month])));
        }
        Ok(fits)
    }

    fn weeks(&mut self, from: i16) -> Read<Weeks> {
        let ends = self.take("-");
        let until = if ends { self.ranged(2, from, 53, "the last week")? } else { from };
        let step = if ends && self.take("/") { self.ranged(2, 1, 53, "every how many weeks")? } else { 1 };
        let [from, until, step] = [from, until, step].map(|number| i8::try_from(number).unwrap_or(i8::MAX));
        Ok(Weeks { from, until, step })
    }

    /// Weekdays from one that was taken.
    fn weekdays(&mut self, from: usize) -> Read<Weekdays> {
        let mut until = from;
        if self.take("-") {
            let before = self.at;
            let named = self.word(&WEEKDAYS).filter(|day| *day != HOLIDAY);
            if named.is_none() {
                self.at = before;
            }
            until = named.ok_or_else(|| self.bad("weekdays are written Mo Tu We Th Fr Sa Su"))?;
        }
        let mut nth = Vec::new();
        if until == from && self.take("[") {
            self.nth(&mut nth)?;
            while self.take(",") {
                self.nth(&mut nth)?;
            }
            if !self.take("]") {
                return Err(self.bad("a bracket is not closed; write Su[1], Su[-1] or Mo[1-3]"));
            }
        }
        let [from, until] = [from, until].map(|day| i8::try_from(day).unwrap_or(i8::MAX));
        Ok(Weekdays { from, until, nth })
    }

    fn nth(&mut self, nth: &mut Vec<i8>) -> Read<()> {
        let back = self.take("-");
        let first = self.ranged(1, 1, 5, "which of the month")?;
        let last = if !back && self.take("-") { self.ranged(1, first, 5, "which of the month")? } else { first };
        let sign = if back { -1 } else { 1 };
        nth.extend((first..=last).filter_map(|number| i8::try_from(sign * number).ok()));
        Ok(())
    }

    fn span(&mut self) -> Read<(u16, u16)> {
        let begin = self.at;
        let from = self.time(23)?;
        if !self.take("-") {
            return Err(self.bad("a time needs its end, as in 09:00-17:00"));
        }
        let until = self.time(48)?;
        let until = if until < from { until + DAY } else { until };
        if until == from || until > from + DAY {
            self.at = begin;
            let problem = "times last a day at most, and end later than they begin; 00:00-24:00 is a whole day";
            return Err(self.bad(problem));
        }
        Ok((from, until))
    }

    fn time(&mut self, hour_max: i16) -> Read<u16> {
        let begin = self.at;
        let hour = self.ranged(2, 0, hour_max, "an hour")?;
        if !self.take(":") {
            return Err(self.bad("a time is written 09:00"));
        }
        let minute = self.ranged(2, 0, 59, "a minute")?;
        let time = u16::try_from(hour * 60 + minute).unwrap_or(u16::MAX);
        if time > 2 * DAY {
            self.at = begin;
            return Err(self.bad("times end at 48:00 at the latest"));
        }
        Ok(time)
    }
}

/// The number of a month, from 1.
fn number_of(month: usize) -> i8 {
    i8::try_from(month + 1).unwrap_or(i8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_says_where_and_what_to_write() {
        let cases = [
            ("", "not understood", 1),
            ("Mo-Fr 9-17", "times are written 09:00-17:00", 7),
            ("Mo-Fr 09:00", "a time needs its end", 12),
            ("Mo-Fr 09:00-17:60", "a minute is a number from 0 to 59", 16),
            ("Mo-Fr 24:00-25:00", "an hour is a number from 0 to 23", 7),
            ("Mo-Fr 09:00-49:00", "an hour is a number from 0 to 48", 13),
            ("Mo-Fr 09:00-48:30", "48:00 at the latest", 13),
            ("Mo-Fr 09:00-09:00", "end later than they begin", 7),
            ("Mo-Fr 09:00-34:00", "times last a day at most", 7),
            ("Mo-Fr sunrise-sunset", "the sun is not known here", 7),
            ("easter off", "list the dates as holidays", 1),
            ("SH 09:00-12:00", "school holidays are not known here", 1),
            ("Mo-Fr 09:00-17:00 || Sa 10:00-12:00", "fallback rules are not known", 19),
            ("Mo-Fr 09:00-17:00 \"by phone\"", "comments are not known here", 19),
            ("Mo-Fr unknown", "never unknown", 7),
            ("Mo-Fr 09:00-17:00 Sa 10:00-12:00", "rules are separated by a semicolon", 19),
            ("Mon-Fri 09:00-17:00", "not understood", 1),
            ("Mo-Tue 09:00-17:00", "weekdays are written Mo Tu", 4),
            ("Mo-PH 09:00-17:00", "weekdays are written Mo Tu", 4),
            ("Su[6] off", "which of the month is a number from 1 to 5", 4),
            ("Su[1 off", "a bracket is not closed", 6),
            ("Feb 30 off", "Feb has days 1 to 29", 5),
            ("Jan 0 off", "Jan has days 1 to 31", 5),
            ("Dec 24-Jan off", "dates are written", 12),
            ("2026 Dec 24-Jan 02 off", "dates of a year end in it", 20),
            ("2026-2025 off", "the last year is a number from 2026", 6),
            ("week 54 off", "a week is a number from 1 to 53", 6),
            ("week 10-5 off", "the last week is a number from 10", 9),
            ("Dec 24,PH off", "a rule of their own, as in Dec 24 off; PH off", 8),
            ("Mo-Fr 09:00-17:00,", "not understood", 19),
            ("Mo-Fr 09:00-17:00 öffnet", "not understood", 19),
        ];
        for (text, problem, at) in cases {
            let bad = parse(text).unwrap_err();
            assert!(bad.problem.contains(problem), "{text}: {bad}");
            assert_eq!(bad.at, at, "{text}: {bad}");
        }
        assert!(parse(&"Mo off;".repeat(51)).unwrap_err().problem.contains("more than 50 rules"));
        assert!(parse(&" ".repeat(1_001)).unwrap_err().problem.contains("longer than"));
    }

    #[test]
    fn what_means_the_same_reads_the_same() {
        let same = [
            ("Mo-Fr 09:00-17:00", "mo-fr  9:00 - 17:00 open;"),
            ("22:00-06:00", "22:00-30:00"),
            ("24/7", "open"),
            ("Sa,Su off", "Sa, Su closed"),
            ("Mo[1-3]", "Mo[1,2,3]"),
        ];
        for (one, other) in same {
            assert_eq!(parse(one).unwrap(), parse(other).unwrap(), "{one}");
        }
        let rules = parse("Mo-Fr 09:00-12:00,13:00-17:00, Sa 10:00-12:00; Dec 24-Jan 02,Jul 4 off").unwrap();
        assert_eq!(rules.len(), 3, "{rules:?}");
        assert_eq!(rules[0].times, [(540, 720), (780, 1_020)]);
        assert_eq!((rules[1].effect, rules[2].effect), (Effect::Adds, Effect::Closes));
    }
}
