//! Calendars against an implementation of another kind (`scripts/calendar-cases` wrote the table), and their laws.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::calendar::{
    Calendar, ClosedBy, Day, HORIZON, Hours, Maintenance, RecurringMaintenance, Standing, Zone,
};

const CASES: &str = include_str!("data/calendar-cases.tsv");
const MINUTE: Duration = Duration::from_secs(60);
/// How far the table looks for a change.
const LOOK_AHEAD: Duration = Duration::from_secs(12 * 86_400);

fn time(text: &str) -> Timestamp {
    Timestamp::parse(&text.replace('Z', ":00Z")).unwrap()
}

fn calendar(zone: &str, hours: &str, holidays: &str, recurring: &str, maintenance: &str) -> Calendar {
    let calendar = hours
        .split(" & ")
        .fold(Calendar::new(Zone::new(zone).unwrap()), |calendar, hours| calendar.within(Hours::new(hours).unwrap()));
    let windows = maintenance.split_whitespace().map(|window| {
        let (from, until) = window.split_once('/').unwrap();
        Maintenance { from: time(from), until: time(until), note: "".into() }
    });
    let recurring = recurring.split(" & ").filter(|hours| !hours.is_empty());
    calendar
        .with_holidays(holidays.split_whitespace().map(|day| Day::parse(day).unwrap()))
        .with_recurring(
            recurring.map(|hours| RecurringMaintenance { hours: Hours::new(hours).unwrap(), note: "".into() }),
        )
        .with_maintenance(windows)
}

#[test]
fn every_case_of_the_table() {
    let mut cases = 0;
    for line in CASES.lines().filter(|line| !line.starts_with('#')) {
        let [zone, hours, holidays, recurring, maintenance, at, standing, until] =
            line.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        let calendar = calendar(zone, hours, holidays, recurring, maintenance);
        let now = time(at);
        let (says, changes) = match calendar.at(now) {
            Standing::Open { until } => ("open", until),
            Standing::Closed { until, why } => (why.name(), until),
        };
        let seen = changes.filter(|change| change.since(now) <= LOOK_AHEAD);
        let expected = (until != "-").then(|| time(until));
        assert_eq!((says, seen), (standing, expected), "{line}");
        cases += 1;
    }
    assert!(cases >= 200, "{cases}");
}

#[test]
fn a_lead_that_fails_just_before_closing_waits_for_the_next_business_day() {
    // Friday 16:59:59 in New York, before the clocks go back on Sunday, and Monday is made a holiday.
    let office = calendar("America/New_York", "Mo-Fr 09:00-17:00", "2026-11-02", "", "");
    let failed = Timestamp::parse("2026-10-30T20:59:59.250Z").unwrap();
    assert_eq!(office.next_open(failed), Some(failed));
    let due = failed.after(Duration::from_secs(1));
    assert_eq!(
        office.at(due),
        Standing::Closed { until: Timestamp::parse("2026-11-03T14:00:00Z"), why: ClosedBy::Hours }
    );
    assert!(office.in_hours(failed) && !office.in_hours(due));
}

#[test]
fn what_never_opens_within_the_horizon_has_no_opening() {
    let now = Timestamp::parse("2026-11-28T12:00:00Z").unwrap();
    for hours in ["off", "Mo-Fr 09:00-17:00; Mo-Su off", "2025 Mo-Fr 09:00-17:00", "Feb 29 09:00-10:00"] {
        let never = calendar("Europe/Berlin", hours, "", "", "");
        assert_eq!(never.at(now), Standing::Closed { until: None, why: ClosedBy::Hours }, "{hours}");
        assert_eq!(never.closings(now).collect::<Vec<_>>(), [(now, HORIZON)]);
    }
    let leap = Timestamp::parse("2027-02-01T12:00:00Z").unwrap();
    let leap_day = calendar("Europe/Berlin", "Feb 29 09:00-10:00", "", "", "");
    assert_eq!(leap_day.next_open(leap), Timestamp::parse("2028-02-29T08:00:00Z"));
    let always = calendar("Europe/Berlin", "24/7", "", "", "");
    assert_eq!(always.at(now), Standing::Open { until: None });
    assert_eq!(always.closings(now).next(), None);
    // At the ends of time there is an answer too, and it takes no longer.
    for end in [Timestamp::MIN, Timestamp::MAX] {
        assert!(always.is_open(end));
        let _ = always.at(end);
    }
}

#[test]
fn the_times_it_is_closed_are_known_with_how_long_they_last() {
    let now = Timestamp::parse("2026-11-23T12:00:00Z").unwrap();
    let office = calendar("UTC", "Mo-Fr 09:00-17:00", "2026-12-25 2026-12-28", "", "");
    let closes = Timestamp::parse("2026-12-24T17:00:00Z").unwrap();
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let longest = office.closings(now).max_by_key(|(_, lasts)| *lasts);
    assert_eq!(longest, Some((closes, hours(4 * 24 + 16))));
    let tonight = Timestamp::parse("2026-11-23T17:00:00Z").unwrap();
    assert_eq!(office.closings(now).next(), Some((tonight, hours(16))));
}

#[test]
fn local_times_are_read_in_the_zone() {
    let zone = Zone::new("America/New_York").unwrap();
    let both = |text: &str| zone.read(text).map(|(first, last)| (first.to_string(), last.to_string()));
    let same = |time: &str| Some((time.to_owned(), time.to_owned()));
    assert_eq!(both("2026-12-24T22:00"), same("2026-12-25T03:00:00.000Z"));
    assert_eq!(both("2026-12-24 22:00:30"), same("2026-12-25T03:00:30.000Z"));
    assert_eq!(both("2026-12-24T22:00:00+01:00"), same("2026-12-24T21:00:00.000Z"));
    assert_eq!(both("2026-03-08T02:30"), same("2026-03-08T07:00:00.000Z"));
    let twice = ("2026-11-01T05:30:00.000Z".to_owned(), "2026-11-01T06:30:00.000Z".to_owned());
    assert_eq!(both("2026-11-01T01:30"), Some(twice));
    for text in ["2026-12-24", "tomorrow", "", "2026-13-01T00:00"] {
        assert_eq!(both(text), None, "{text}");
    }
}

#[test]
fn a_year_with_everything_costs_a_bounded_time() {
    // The most a calendar may hold of each; a question about it walks 400 days.
    let rule = "week 01-53/2 Mo[1],Tu[2],We[3] 01:00-02:00,03:00-04:00 off;";
    let hours = format!("24/7 off; {}", rule.repeat(13));
    let recurring = vec![hours.as_str(); 20].join(" & ");
    let busy = calendar("America/New_York", &format!("{hours} & {hours}"), "2026-11-26", &recurring, "");
    let now = Timestamp::parse("2026-11-23T12:00:00Z").unwrap();
    assert_eq!(busy.next_open(now), None);
}

const ZONES: [&str; 8] = [
    "UTC",
    "America/New_York",
    "America/Santiago",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Chatham",
];

fn hours() -> impl Strategy<Value = String> {
    let days = prop_oneof![
        Just(""),
        Just("Mo-Fr "),
        Just("Sa,Su "),
        Just("Fr-Mo "),
        Just("Su[1] "),
        Just("PH "),
        Just("week 01-53/2 "),
        Just("Mar-Apr "),
        Just("Oct 20-Nov 05 "),
    ];
    let times = (0_u16..96, 1_u16..96).prop_map(|(from, lasts)| {
        let (from, until) = (from * 15, from * 15 + lasts * 15);
        format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    });
    let rule = (days, times, prop_oneof![3 => Just(""), 1 => Just(" off")])
        .prop_map(|(days, times, word)| format!("{days}{times}{word}"));
    let rules = proptest::collection::vec((rule, prop_oneof![Just("; "), Just(", ")]), 1..5);
    rules.prop_map(|rules| {
        let text: String = rules.iter().map(|(rule, mark)| format!("{rule}{mark}")).collect();
        text.trim_end_matches([' ', ',', ';']).to_owned()
    })
}

fn calendars() -> impl Strategy<Value = Calendar> {
    let maintenance = proptest::collection::vec((0_i64..20_000, 1_i64..3_000), 0..3);
    let days = proptest::collection::vec(0_u8..14, 0..3);
    let recurring = proptest::option::of(hours());
    (proptest::sample::select(&ZONES[..]), hours(), maintenance, days, recurring, season()).prop_map(
        |(zone, hours, maintenance, days, recurring, season)| {
            let windows = maintenance.into_iter().map(|(after, lasts)| {
                let from = season.after(Duration::from_secs(60 * after.unsigned_abs()));
                let until = from.after(Duration::from_secs(60 * lasts.unsigned_abs()));
                Maintenance { from, until, note: "".into() }
            });
            let days = days.into_iter().map(|day| {
                let date = season.after(Duration::from_secs(86_400 * u64::from(day))).to_string();
                Day::parse(&date[..10]).unwrap()
            });
            let recurring =
                recurring.map(|hours| RecurringMaintenance { hours: Hours::new(&hours).unwrap(), note: "".into() });
            let calendar = Calendar::new(Zone::new(zone).unwrap()).within(Hours::new(&hours).unwrap());
            calendar.with_holidays(days).with_recurring(recurring).with_maintenance(windows)
        },
    )
}

/// Days before clocks change somewhere.
fn season() -> impl Strategy<Value = Timestamp> {
    const DAYS: [&str; 6] = ["2026-03-05", "2026-03-26", "2026-04-02", "2026-09-03", "2026-10-22", "2026-10-29"];
    proptest::sample::select(&DAYS[..]).prop_map(|day| Timestamp::parse(&format!("{day}T00:00:00Z")).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Minute by minute over eight days: where it says it is open, its openings are, and nowhere else.
    #[test]
    fn openings_are_where_it_is_open(calendar in calendars(), begin in season()) {
        let openings: Vec<_> = calendar.openings(begin).take_while(|(from, _)| from.since(begin) < 9 * 1_440 * MINUTE).collect();
        for pair in openings.windows(2) {
            prop_assert!(pair[0].1 < pair[1].0, "{openings:?}");
        }
        for minute in 0..8 * 1_440_u32 {
            let at = begin.after(minute * MINUTE);
            let within = openings.iter().any(|(from, until)| (*from..*until).contains(&at));
            prop_assert_eq!(calendar.is_open(at), within, "{} {:?}", at, calendar);
        }
    }

    /// The next opening is open, nothing before it is, and it is the question's own time where that is open.
    #[test]
    fn the_next_opening_is_the_next(calendar in calendars(), begin in season(), micros in 0_i64..1_000_000_000_000) {
        let at = Timestamp::from_micros(begin.as_micros() + micros);
        let Some(opens) = calendar.next_open(at) else { return Ok(()) };
        prop_assert!(calendar.is_open(opens) && opens >= at);
        prop_assert_eq!(opens == at, calendar.is_open(at));
        let micro = Duration::from_micros(1);
        prop_assert!(opens == at || !calendar.is_open(opens.before(micro)));
        prop_assert_eq!(calendar.next_open(opens), Some(opens));
        if let Some(closes) = calendar.next_closed(opens) {
            prop_assert!(!calendar.is_open(closes) && calendar.is_open(closes.before(micro)));
        }
        match calendar.at(at) {
            Standing::Open { until } => prop_assert_eq!(until, calendar.next_closed(at)),
            Standing::Closed { until, .. } => prop_assert_eq!(until, Some(opens)),
        }
    }

    /// No text makes the reader fall over, and what it takes is shown as it was written.
    #[test]
    fn no_text_breaks_the_reader(text in "[MoFr0-9:;,\\-/\\[\\] +JanPHoff€week]{0,40}") {
        match Hours::new(&text) {
            Ok(hours) => prop_assert_eq!(hours.text(), &text),
            Err(bad) => prop_assert!((1..=text.chars().count() + 1).contains(&bad.at), "{}", bad),
        }
    }
}
