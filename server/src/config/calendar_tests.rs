//! What the reader says about calendars, good and bad.

use super::tests::{read_text, refused};
use steadfast_lead::Timestamp;
use steadfast_retry::calendar::{ClosedBy, Standing};

/// A recipient with these keys, in an account with a zone, and calendars to stand on.
fn config(keys: &str) -> String {
    format!(
        "[accounts.acme]\ntime_zone = \"America/New_York\"\n[calendars.office]\nhours = \"Mo-Fr 09:00-17:00\"\n\
         holidays = [\"2026-12-25\", 2027-01-01]\n\
         [recipients.bank]\naccount = \"acme\"\nrequest.url = \"https://bank.example/leads\"\n{keys}\n\
         [flows.auto]\nretry = {{ max_lead_age = \"7d\" }}\n[[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bank\"\n"
    )
}

fn at(keys: &str, time: &str) -> Standing {
    let loaded = read_text(&config(keys)).map_err(|problems| problems.plain()).unwrap();
    let calendar = loaded.book.recipients["bank"].calendar.clone().unwrap();
    calendar.at(Timestamp::parse(time).unwrap())
}

fn closed(why: ClosedBy, until: &str) -> Standing {
    Standing::Closed { until: Timestamp::parse(until), why }
}

#[test]
fn a_recipient_is_called_in_its_hours_less_holidays_and_maintenance() {
    let keys = "hours = \"Mo-Fr 08:00-20:00; PH off\"\nholidays = [2026-11-26]\n\
                maintenance = [{ from = 2026-11-30T10:00:00, until = \"2026-11-30T12:00\", note = \"move\" },\n\
                { hours = \"Tu 08:00-08:30\" }]";
    assert_eq!(at(keys, "2026-11-26T15:00:00Z"), closed(ClosedBy::Holiday, "2026-11-27T13:00:00Z"));
    assert_eq!(at(keys, "2026-11-30T15:00:00Z"), closed(ClosedBy::Maintenance, "2026-11-30T17:00:00Z"));
    assert_eq!(at(keys, "2026-12-01T13:10:00Z"), closed(ClosedBy::Maintenance, "2026-12-01T13:30:00Z"));
    let open = Standing::Open { until: Timestamp::parse("2026-12-02T01:00:00Z") };
    assert_eq!(at(keys, "2026-12-01T13:30:00Z"), open);
}

#[test]
fn what_a_recipient_says_lies_over_its_calendar_and_within_its_limits() {
    let office = "calendar = \"office\"";
    assert_eq!(at(office, "2026-12-25T15:00:00Z"), closed(ClosedBy::Holiday, "2026-12-28T14:00:00Z"));
    // Another zone, holidays besides, and a limit that cuts the afternoon.
    let nearer = "calendar = \"office\"\ntime_zone = \"Europe/Berlin\"\nholidays = [\"2026-12-28\"]\nlimits.hours = \"00:00-12:00\"";
    assert_eq!(at(nearer, "2026-12-25T11:00:00Z"), closed(ClosedBy::Holiday, "2026-12-29T08:00:00Z"));
    assert_eq!(at(nearer, "2026-12-29T11:00:00Z"), closed(ClosedBy::Hours, "2026-12-30T08:00:00Z"));
    let loaded = read_text(&config("")).unwrap();
    assert_eq!(loaded.book.recipients["bank"].calendar, None);
}

/// Keys of the recipient, and what is said about them.
const REFUSED: [(&str, &str); 17] = [
    (
        "hours = \"Mon-Fri 09:00-17:00\"",
        "recipients.bank.hours = \"Mon-Fri 09:00-17:00\": is not opening hours: not understood",
    ),
    (
        "hours = \"Mo-Fr 9-17\"",
        "at character 7 (\"9-17\") (allowed: OSM opening_hours, such as Mo-Fr 09:00-17:00; see calendars.md)",
    ),
    (
        "limits.hours = \"sunset-22:00\"",
        "recipients.bank.limits.hours = \"sunset-22:00\": is not opening hours: the sun is not known here",
    ),
    (
        "hours = \"24/7\"\ntime_zone = \"America/New York\"",
        "recipients.bank.time_zone = \"America/New York\": is not a time zone known here; did you mean \"America/New_York\"?",
    ),
    ("time_zone = \"Nowhere\"", "recipients.bank.time_zone = \"Nowhere\": is not a time zone known here (allowed"),
    ("calendar = \"ofice\"", "recipients.bank.calendar = \"ofice\": is not a calendar (allowed: office)"),
    (
        "hours = \"Mo-Fr 09:00-17:00; Mo-Su off\"",
        "recipients.bank.hours: never opens: no time of the next 400 days is open",
    ),
    ("hours = \"2025 Mo-Fr 09:00-17:00\"", "recipients.bank.hours: never opens"),
    ("calendar = \"office\"\nlimits.hours = \"20:00-22:00\"", "recipients.bank.limits.hours: never opens"),
    (
        "hours = \"24/7\"\nholidays = [\"25.12.2026\"]",
        "recipients.bank.holidays[0] = \"25.12.2026\": is not a date (allowed: dates such as 2026-12-25)",
    ),
    (
        "hours = \"24/7\"\nmaintenance = [{ from = 2026-12-01T10:00:00, until = 2026-12-01T10:00:00 }]",
        "recipients.bank.maintenance[0].until = 2026-12-01T10:00:00: is not after from",
    ),
    (
        "hours = \"24/7\"\nmaintenance = [{ from = \"tomorrow\", until = 2026-12-01 }]",
        "recipients.bank.maintenance[0].from = \"tomorrow\": is not a date with a time",
    ),
    (
        "hours = \"24/7\"\nmaintenance = [{ from = \"tomorrow\", until = 2026-12-01 }]",
        "recipients.bank.maintenance[0].until = 2026-12-01: is not a date with a time",
    ),
    (
        "maintenance = [{ from = 2026-12-01T10:00:00 }]",
        "recipients.bank.maintenance[0]: is either from and until, or hours",
    ),
    (
        "maintenance = [{ from = 2026-12-01T10:00:00, until = 2026-12-01T11:00:00, hours = \"Su off\" }]",
        "recipients.bank.maintenance[0]: is either from and until, or hours",
    ),
    (
        "maintenance = [{ from = 2026-12-01T10:00:00, until = 2026-12-01T12:00:00 }, { from = 2026-12-01T11:00:00, until = 2026-12-01T13:00:00 }]",
        "recipients.bank.maintenance[1]: overlaps with recipients.bank.maintenance[0]",
    ),
    (
        "hours = \"24/7\"\nclosed = \"later\"",
        "recipients.bank.closed = \"later\": is not a word known here (allowed: hold, next, skip, reject)",
    ),
];

#[test]
fn what_is_wrong_with_a_calendar_is_told_by_name_and_place() {
    for (keys, expected) in REFUSED {
        let said = refused(&config(keys));
        assert!(said.contains(expected), "{keys}\n{said}");
    }
    let zoneless = config("hours = \"24/7\"").replace("account = \"acme\"\n", "");
    assert!(refused(&zoneless).contains("recipients.bank.time_zone: is missing: hours are read in a zone"));
    let account = config("").replace("America/New_York", "America/NewYork");
    assert!(refused(&account).contains("accounts.acme.time_zone = \"America/NewYork\": is not a time zone known here"));
    let named = config("").replace("Mo-Fr 09:00-17:00", "Mo-Fr 09:00");
    assert!(
        refused(&named)
            .contains("calendars.office.hours = \"Mo-Fr 09:00\": is not opening hours: a time needs its end")
    );
}

#[test]
fn leads_that_grow_too_old_while_it_is_closed_are_warned_of() {
    let warnings = |text: &str| read_text(text).unwrap().warnings.plain();
    let office = config("hours = \"Mo-Fr 09:00-17:00\"");
    assert!(!warnings(&office).contains("too old"), "{}", warnings(&office));
    let short = office.replace("max_lead_age = \"7d\"", "max_lead_age = \"1d\"");
    let expected = "recipients.bank.hours: closed for 50h from 2026-11-28T12:00:00.000Z, and leads of auto/sell keep for \
                    max_lead_age = 1d: some grow too old before the opening";
    assert!(warnings(&short).contains(expected), "{}", warnings(&short));
    let counted = office.replace("max_lead_age = \"7d\"", "max_lead_age = \"7d\", count_holds = true");
    let expected = "with count_holds = true retries of auto/sell end 5m after the first attempt";
    assert!(warnings(&counted).contains(expected), "{}", warnings(&counted));
}
