//! From days on the wall clock to instants: stretches of one offset, their days, and what is open of each.

use super::{Calendar, Clock, HORIZON, Zone};
use jiff::Timestamp as Instant;
use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, Offset};
use steadfast_lead::Timestamp;

const SECONDS_OF_DAY: i64 = 86_400;
const MICROS: i64 = 1_000_000;

/// Part of time, in microseconds since the epoch.
type Piece = (i64, i64);

impl Zone {
    /// Date and minute of the day that a clock in the zone shows.
    pub(super) fn shown(&self, at: Timestamp) -> (Date, u16) {
        let second = at.as_micros().div_euclid(MICROS);
        let shown = second + self.offset(second);
        let minute = shown.rem_euclid(SECONDS_OF_DAY) / 60;
        (date_of(shown.div_euclid(SECONDS_OF_DAY)), u16::try_from(minute).unwrap_or(0))
    }

    /// What a clock in the zone shows.
    pub fn clock(&self, at: Timestamp) -> Clock {
        let (date, minute) = self.shown(at);
        let weekday = u8::try_from(date.weekday().to_monday_one_offset()).unwrap_or(1);
        let plain = |number: u16| u8::try_from(number).unwrap_or(0);
        Clock { hour: plain(minute / 60), minute: plain(minute % 60), weekday }
    }

    /// When a clock in the zone shows a local time such as `2026-12-24T22:00`: the first and the last instant, which differ
    /// where the hour comes twice. Where it is left out, both are the end of what is left out. A time with an offset is that
    /// instant. `None` for what is neither.
    pub fn read(&self, text: &str) -> Option<(Timestamp, Timestamp)> {
        if let Some(instant) = Timestamp::parse(text) {
            return Some((instant, instant));
        }
        let local: jiff::civil::DateTime = text.parse().ok().filter(|_| text.contains(['T', ' ']))?;
        let micros = |offset: Offset| offset.to_timestamp(local).ok().map(Instant::as_microsecond);
        let (first, last) = match self.rules().to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => (micros(offset)?, micros(offset)?),
            AmbiguousOffset::Fold { before, after } => (micros(before)?, micros(after)?),
            AmbiguousOffset::Gap { after, .. } => {
                let before_it = offset_instant(micros(after)?.div_euclid(MICROS));
                let end = self.rules().following(before_it).next()?.timestamp().as_microsecond();
                (end, end)
            }
        };
        Some((Timestamp::from_micros(first), Timestamp::from_micros(last)))
    }

    /// Seconds the zone's clocks are ahead of UTC.
    fn offset(&self, second: i64) -> i64 {
        i64::from(self.rules().to_offset(offset_instant(second)).seconds())
    }

    /// When the offset changes next.
    fn next_change(&self, second: i64) -> Option<i64> {
        self.rules().following(offset_instant(second)).next().map(|change| change.timestamp().as_second())
    }
}

/// The nearest instant dates are known for.
fn offset_instant(second: i64) -> Instant {
    Instant::from_second(second).unwrap_or(if second < 0 { Instant::MIN } else { Instant::MAX })
}

/// The date so many days after 1970-01-01.
fn date_of(day: i64) -> Date {
    Offset::UTC.to_datetime(offset_instant(day.saturating_mul(SECONDS_OF_DAY))).date()
}

/// The times a calendar is open.
pub(super) fn openings(calendar: &Calendar, from: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
    let (begin, end) = (from.as_micros(), from.after(HORIZON).as_micros());
    let pieces = stretches(&calendar.zone, begin.div_euclid(MICROS), end.div_euclid(MICROS))
        .flat_map(move |stretch| stretch.days().flat_map(move |day| stretch.open_on(calendar, day)))
        .map(move |(from, until)| (from.saturating_mul(MICROS).max(begin), until.saturating_mul(MICROS).min(end)))
        .flat_map(|piece| outside_maintenance(calendar, piece))
        .filter(|(from, until)| from < until);
    joined(pieces).map(|(from, until)| (Timestamp::from_micros(from), Timestamp::from_micros(until)))
}

/// Seconds within which the offset stays the same.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: i64,
    until: i64,
    offset: i64,
}

fn stretches(zone: &Zone, from: i64, end: i64) -> impl Iterator<Item = Stretch> + '_ {
    let stretch = move |from: i64| {
        let until = zone.next_change(from).map_or(end + 1, |change| change.min(end + 1));
        (from < until).then(|| Stretch { from, until, offset: zone.offset(from) })
    };
    std::iter::successors(stretch(from), move |before| stretch(before.until))
}

impl Stretch {
    /// The days it shows, in days since 1970-01-01.
    fn days(self) -> std::ops::RangeInclusive<i64> {
        let day = |second: i64| (second + self.offset).div_euclid(SECONDS_OF_DAY);
        day(self.from)..=day(self.until - 1)
    }

    /// What is open of a day within it, in seconds.
    fn open_on(self, calendar: &Calendar, day: i64) -> Vec<(i64, i64)> {
        let midnight = day * SECONDS_OF_DAY - self.offset;
        let instant = |minute: u16| (midnight + i64::from(minute) * 60).clamp(self.from, self.until);
        calendar.open_on(date_of(day)).iter().map(|(from, until)| (instant(from), instant(until))).collect()
    }
}

fn outside_maintenance(calendar: &Calendar, piece: Piece) -> Vec<Piece> {
    let mut left = vec![piece];
    for window in &calendar.maintenance {
        let (from, until) = (window.from.as_micros(), window.until.as_micros());
        if until <= piece.0 || from >= piece.1 {
            continue;
        }
        let parts = |&(start, end): &Piece| [(start, end.min(from)), (start.max(until), end)];
        left = left.iter().flat_map(parts).filter(|(start, end)| start < end).collect();
    }
    left
}

/// Pieces that touch, as one.
fn joined(pieces: impl Iterator<Item = Piece>) -> impl Iterator<Item = Piece> {
    let mut pieces = pieces.peekable();
    std::iter::from_fn(move || {
        let (from, mut until) = pieces.next()?;
        while let Some((_, end)) = pieces.next_if(|(start, _)| *start <= until) {
            until = until.max(end);
        }
        Some((from, until))
    })
}
