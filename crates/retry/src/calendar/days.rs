//! Which days a rule of opening hours names: years, dates, weeks, weekdays and public holidays.

use jiff::civil::Date;

/// A year, or several in a row; `until` is `i16::MAX` for all that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Years {
    pub(crate) from: i16,
    pub(crate) until: i16,
}

/// Days of any year, both ends included; may reach over the turn of the year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dates {
    /// Month and day.
    pub(crate) from: (i8, i8),
    /// Month and day.
    pub(crate) until: (i8, i8),
}

impl Dates {
    /// Whether they reach over the turn of the year.
    pub(crate) fn wrap(self) -> bool {
        self.until < self.from
    }

    fn hold(self, day: (i8, i8)) -> bool {
        if self.wrap() { day >= self.from || day <= self.until } else { (self.from..=self.until).contains(&day) }
    }
}

/// ISO weeks, every `step`th from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weeks {
    pub(crate) from: i8,
    pub(crate) until: i8,
    pub(crate) step: i8,
}

/// Weekdays, Monday 0 to Sunday 6; may reach over the end of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weekdays {
    pub(crate) from: i8,
    pub(crate) until: i8,
    /// Which of its kind in the month, 1 to 5, or -1 to -5 from the end; none is every one.
    pub(crate) nth: Vec<i8>,
}

impl Weekdays {
    fn hold(&self, date: Date) -> bool {
        let day = date.weekday().to_monday_zero_offset();
        let named = if self.until < self.from {
            day >= self.from || day <= self.until
        } else {
            (self.from..=self.until).contains(&day)
        };
        let from_start = (date.day() - 1) / 7 + 1;
        let from_end = (date.days_in_month() - date.day()) / 7 + 1;
        named && (self.nth.is_empty() || self.nth.iter().any(|&nth| nth == from_start || -nth == from_end))
    }
}

/// The days of one rule. What is empty names every day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Days {
    pub(crate) years: Vec<Years>,
    pub(crate) dates: Vec<Dates>,
    pub(crate) weeks: Vec<Weeks>,
    pub(crate) weekdays: Vec<Weekdays>,
    /// Public holidays, beside the weekdays.
    pub(crate) holidays: bool,
}

impl Days {
    /// Whether they name a date.
    pub(crate) fn hold(&self, date: Date, is_holiday: bool) -> bool {
        let year =
            self.years.is_empty() || self.years.iter().any(|years| (years.from..=years.until).contains(&date.year()));
        let day = (date.month(), date.day());
        let dates = self.dates.is_empty() || self.dates.iter().any(|dates| dates.hold(day));
        year && dates && self.hold_week(date) && self.hold_weekday(date, is_holiday)
    }

    fn hold_week(&self, date: Date) -> bool {
        let week = date.iso_week_date().week();
        let one = |weeks: &Weeks| (weeks.from..=weeks.until).contains(&week) && (week - weeks.from) % weeks.step == 0;
        self.weeks.is_empty() || self.weeks.iter().any(one)
    }

    fn hold_weekday(&self, date: Date, is_holiday: bool) -> bool {
        let every = self.weekdays.is_empty() && !self.holidays;
        every || (self.holidays && is_holiday) || self.weekdays.iter().any(|weekdays| weekdays.hold(date))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_nth_of_a_month_is_counted_from_either_end() {
        let nth = |nth: i8| Weekdays { from: 6, until: 6, nth: vec![nth] };
        // November 2026 has five Sundays: 1, 8, 15, 22, 29.
        assert!(nth(1).hold(date(2026, 11, 1)) && nth(-5).hold(date(2026, 11, 1)));
        assert!(nth(5).hold(date(2026, 11, 29)) && nth(-1).hold(date(2026, 11, 29)));
        assert!(!nth(-1).hold(date(2026, 11, 22)) && !nth(1).hold(date(2026, 11, 2)));
    }

    #[test]
    fn dates_and_weekdays_reach_over_their_ends() {
        let turn = Dates { from: (12, 24), until: (1, 2) };
        assert!(turn.hold((12, 31)) && turn.hold((1, 2)) && !turn.hold((1, 3)) && !turn.hold((12, 23)));
        let weekend = Weekdays { from: 4, until: 0, nth: Vec::new() };
        assert!(
            weekend.hold(date(2026, 11, 27)) && weekend.hold(date(2026, 11, 30)) && !weekend.hold(date(2026, 12, 1))
        );
    }
}
