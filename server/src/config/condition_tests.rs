//! What the reader says about conditions, and the shipped example.

use super::read;
use super::references::Surroundings;
use super::tests::{read_text, refused};
use crate::config::load;
use std::path::Path;
use steadfast_flow::{Book, Explained, StepPlan};
use steadfast_lead::{Fields, FlowName, Lead, LeadId, Priority, Timestamp, Value};
use steadfast_retry::policy::RetryPolicy;

fn config(keys: &str, step: &str) -> String {
    format!(
        "[accounts.acme]\ntime_zone = \"America/Chicago\"\n[calendars.office]\nhours = \"Mo-Fr 09:00-17:00\"\n\
         [recipients.bank]\naccount = \"acme\"\nrequest.url = \"https://bank.example/leads\"\n\
         [flows.auto]\nfields = {{ income = \"number\", note = \"text\" }}\n{keys}\n\
         [[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bank\"\n{step}\n"
    )
}

/// Keys of the flow and of the step, and what is said about them.
const REFUSED: [(&str, &str, &str); 23] = [
    (
        "",
        "when = \"lead.incme > 1\"",
        "flows.auto.steps[0].when = \"lead.incme > 1\": names lead.incme, which the flow does not declare at character 5 (allowed: lead.income, lead.note, lead.value, lead.quality)",
    ),
    (
        "",
        "when = \"lead.income\"",
        "comes to a number (allowed: an expression that is true or false, such as lead.value > 100)",
    ),
    ("", "when = 5", "flows.auto.steps[0].when = 5: is a whole number, not a text"),
    ("", "when = \"[1].all(x, x > 0)\"", "repeats over a list (all, exists, map, filter), which is not allowed"),
    ("", "when = \"lead.note > 5\"", "compares a text with a number"),
    ("adjust = [{ retry = { max_retries = 2 } }]", "", "flows.auto.adjust[0].when: is missing"),
    (
        "adjust = [{ when = \"true\" }]",
        "",
        "flows.auto.adjust[0]: changes nothing (allowed: retry = { ... } or priority)",
    ),
    (
        "adjust = [{ when = \"true\", retry = { max_retries = 11 } }]",
        "",
        "flows.auto.adjust[0].retry.max_retries = 11: is out of range (allowed: 1 to 10",
    ),
    (
        "adjust = [{ when = \"true\", retry = { policy = \"outag\" } }]",
        "",
        "flows.auto.adjust[0].retry.policy = \"outag\": is not a policy",
    ),
    (
        "adjust = [{ when = \"in_hours('offce')\", priority = \"high\" }]",
        "",
        "names the calendar \"offce\", which is not there (known: office)",
    ),
    (
        "adjust = [{ when = \"true\", retry = { initial_delay = \"90s\" } }]",
        "",
        "flows.auto.adjust[0].retry.initial_delay = \"90s\": is out of range",
    ),
    ("adjust = { when = \"true\" }", "", "flows.auto.adjust = { when = \"true\" }: is a table, not a list"),
    ("", "contact_hours = { unknown = \"send\" }", "flows.auto.steps[0].contact_hours.hours: is missing"),
    ("", "retry_hours = { after = 1 }", "flows.auto.steps[0].retry_hours.hours: is missing"),
    (
        "",
        "retry_hours = { hours = \"20-6\", time_zone = \"UTC\" }",
        "flows.auto.steps[0].retry_hours.hours = \"20-6\": is not opening hours",
    ),
    (
        "",
        "retry_hours = { hours = \"Mo-Su 20:00-06:00\", time_zone = \"Mars\" }",
        "flows.auto.steps[0].retry_hours.time_zone = \"Mars\": is not a time zone known here",
    ),
    (
        "",
        "retry_hours = { hours = \"2020 Mo-Su 20:00-06:00\", time_zone = \"UTC\" }",
        "flows.auto.steps[0].retry_hours.hours: never opens",
    ),
    (
        "",
        "retry_hours = { hours = \"24/7\", time_zone = \"UTC\", after = 1001 }",
        "flows.auto.steps[0].retry_hours.after = 1001: is out of range",
    ),
    (
        "",
        "contact_hours = { hours = \"8-21\" }",
        "flows.auto.steps[0].contact_hours.hours = \"8-21\": is not opening hours",
    ),
    (
        "",
        "contact_hours = { hours = \"24/7\", unknown = \"guess\" }",
        "contact_hours.unknown = \"guess\": is not a word known here",
    ),
    (
        "",
        "contact_hours = { hours = \"Mo-Su 09:00-10:00\" }",
        "flows.auto.steps[0].contact_hours.hours: never opens in all zones of",
    ),
    (
        "",
        "retry_hours = \"Mo-Su 20:00-06:00\"",
        "flows.auto.steps[0].retry_hours = \"Mo-Su 20:00-06:00\": is a text, not a table (allowed: a table { hours = ..., \
         time_zone = ..., after = ... }; see retry_hours)",
    ),
    (
        "",
        "contact_hours = \"Mo-Su 09:00-21:00\"",
        "flows.auto.steps[0].contact_hours = \"Mo-Su 09:00-21:00\": is a text, not a table",
    ),
];

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    for (flow, step, said) in REFUSED {
        let told = refused(&config(flow, step));
        assert!(told.contains(said), "{flow} {step}\n{told}\nlacks {said}");
    }
    let many = "{ when = \"true\", retry = { max_retries = 2 } }, ".repeat(17);
    let told = refused(&config(&format!("adjust = [{many}]"), ""));
    assert!(told.contains("17 entries: are too many on this step, over all levels (allowed: at most 16)"), "{told}");
}

#[test]
fn explain_names_each_entry_and_what_it_changes() {
    let keys = "adjust = [{ when = \"lead.income > 5000\", retry = { policy = \"outage\" }, priority = \"high\" }]";
    let loaded =
        read_text(&config(keys, "when = \"in_hours('office')\"")).map_err(|problems| problems.plain()).unwrap();
    let explained = Explained::of(&loaded.book.flows["auto"].steps[0]);
    assert_eq!(explained.when.as_deref(), Some("in_hours('office')"));
    let [one] = explained.adjustments.as_slice() else { panic!("one entry") };
    assert_eq!(
        (&*one.place, &*one.when, one.priority),
        ("flows.auto.adjust[0]", "lead.income > 5000", Some(Priority::High))
    );
    let retries = one.values.iter().find(|value| value.key.name() == "max_retries").unwrap();
    assert_eq!((&*retries.value, &*retries.origin), ("100", "flows.auto.adjust[0] (policy outage)"));
    assert_eq!((one.schedule.len(), explained.schedule.len()), (100, 3));
}

#[test]
fn a_table_of_zones_of_ones_own_takes_the_place_of_the_one_compiled_in() {
    let text = format!(
        "{}[contact_zones]\nfile = \"zones.txt\"\n",
        config("", "contact_hours = { hours = \"Mo-Su 08:00-21:00\" }")
    );
    let with = |table: &'static str| {
        let file = move |name: &str| {
            assert_eq!(name, "zones.txt");
            Ok(table.to_owned())
        };
        let now = Timestamp::parse("2026-11-28T12:00:00Z").unwrap();
        read("test.toml", text.clone(), &Surroundings { variable: &|_| None, file: &file, now })
    };
    let loaded = with("as_of 2026-12-01\nzone unknown UTC\n").map_err(|problems| problems.plain()).unwrap();
    let hours = loaded.book.flows["auto"].steps[0].conditions.contact_hours.clone().unwrap();
    assert_eq!(format!("{:?}", hours.table().as_of()), "2026-12-01");
    let told = with("as_of 2026-12-01\nzone unknown Mars/Base\n").unwrap_err().plain();
    let said =
        "names the file \"zones.txt\", which is no table of zones: line 2: \"Mars/Base\" is not a time zone known here";
    assert!(told.contains(said), "{told}");
}

fn example() -> Book {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/conditions.toml");
    load(&path).map_err(|problems| problems.plain()).unwrap().book
}

fn lead(fields: &[(&str, &str)], accepted_at: &str) -> Lead {
    let mut held = Fields::new();
    fields.iter().for_each(|(name, value)| held.insert(name, Value::text(value)).unwrap());
    Lead {
        id: LeadId::first_at(Timestamp::from_millis(0)),
        flow: FlowName::new("loans").unwrap(),
        source: None,
        accepted_at: Timestamp::parse(accepted_at).unwrap(),
        test: false,
        fields: held,
    }
}

/// Retries, seconds of the first delay, and how urgent.
fn in_force(step: &StepPlan, fields: &[(&str, &str)], at: &str) -> (u32, u64, Priority) {
    let lead = lead(fields, at);
    let in_force = step.in_force(&lead, 1, lead.accepted_at).unwrap();
    let policy: &RetryPolicy = &in_force.policy;
    (policy.retries_allowed(), policy.initial_delay.get().as_secs(), in_force.priority)
}

#[test]
fn the_example_does_what_the_specification_lists() {
    const WEDNESDAY_NOON: &str = "2026-12-02T18:00:00Z";
    const WEDNESDAY_NIGHT: &str = "2026-12-03T04:00:00Z";
    let book = example();
    let sell = &book.flows["loans"].steps[0];
    assert_eq!(in_force(sell, &[], WEDNESDAY_NOON), (3, 1, Priority::Normal), "business hours: faster");
    assert_eq!(in_force(sell, &[], WEDNESDAY_NIGHT), (8, 60, Priority::Normal), "off-hours: later and longer");
    let high = [("value", "$1,200")];
    assert_eq!(in_force(sell, &high, WEDNESDAY_NOON), (40, 10, Priority::High), "high value: extended");
    let low = [("quality", "12"), ("value", "20")];
    assert_eq!(in_force(sell, &low, WEDNESDAY_NOON), (1, 1, Priority::Low), "low quality: limited");
    let calendar = book.calendar(&sell.endpoint.recipient).unwrap();
    let maintained = Timestamp::parse("2026-12-06T09:00:00Z").unwrap();
    assert!(!calendar.is_open(maintained), "maintenance suspends");
    let premium = &book.flows["loans"].steps[1];
    let sends = |fields: &[(&str, &str)]| premium.sends(&lead(fields, WEDNESDAY_NOON), maintained).unwrap();
    assert!(sends(&[("value", "500"), ("state", "Texas")]));
    assert!(!sends(&[("value", "500"), ("state", "NY")]) && !sends(&[("state", "TX")]));
}
