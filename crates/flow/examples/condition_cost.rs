//! What asking a condition costs, by how it is written: a usual lead of twelve fields, asked over and over, the least of several
//! rounds. The last lines are as costly as what is accepted can be made.
//!
//! `cargo run --release -p steadfast-flow --example condition_cost -- [questions]`
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measuring tool that may stop where it stands"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use steadfast_flow::{CONDITION_BYTES_MAX, CONDITION_PARTS_MAX, Condition, Facts, FieldSettings, FieldType, Ground};
use steadfast_lead::{FlowName, JsonLimits, Lead, LeadId, Priority, RecipientName, Timestamp, parse_object};
use steadfast_retry::calendar::{Calendar, Hours, Zone};

const LEAD: &str = r#"{"first_name":"Ada","last_name":"Lovelace","email":"Ada@EXAMPLE.com","phone":"(312) 555-0142","street":"1 Main St","city":"Chicago","state":"illinois","zip":"60601","value":"1,250.50","quality":"41","homeowner":"yes","note":""}"#;
/// The largest text a lead may hold, near enough.
const NOTE_BYTES: usize = 1_000_000;

fn main() {
    let questions: u32 = std::env::args().nth(1).map_or(100_000, |text| text.parse().unwrap());
    let note = LEAD.replace(r#""note":"""#, &format!(r#""note":"{}""#, "a".repeat(NOTE_BYTES)));
    let usual = [
        "lead.value >= 500",
        "has(lead.state) && lead.state in ['IL', 'TX']",
        "local.hour < 8 || local.hour >= 20",
        "in_hours",
        "has(lead.quality) && quality < 30 && priority != 'critical' && attempt > 1",
    ];
    for text in usual {
        show(text, text, &lead(LEAD), questions);
    }
    let parts = many("lead.phone == 'x'", " || ");
    show("as many phone numbers as may be", &parts, &lead(LEAD), questions.div_ceil(100));
    let searches = many("lead.note.contains('ab')", " || ");
    show("as many searches of 1 MB as may be", &searches, &lead(&note), questions.div_ceil(10_000));
}

/// As often as the bounds allow.
fn many(one: &str, between: &str) -> String {
    let fits = |times: &usize| {
        let text = vec![one; *times].join(between);
        text.len() <= CONDITION_BYTES_MAX && condition(&text).is_some()
    };
    vec![one; (1..CONDITION_PARTS_MAX).take_while(fits).last().unwrap()].join(between)
}

fn lead(json: &str) -> Lead {
    Lead {
        id: LeadId::from_raw(1).unwrap(),
        flow: FlowName::new("auto").unwrap(),
        source: None,
        accepted_at: Timestamp::from_millis(1_795_000_000_000),
        test: false,
        fields: parse_object(json.as_bytes(), JsonLimits::LEAD).unwrap(),
    }
}

fn condition(text: &str) -> Option<Condition> {
    let zone = Zone::new("America/New_York").unwrap();
    let calendar = Arc::new(Calendar::new(zone.clone()).within(Hours::new("Mo-Fr 09:00-17:00").unwrap()));
    let field = |name: &str, kind| FieldSettings { name: name.into(), kind, aliases: Vec::new() };
    let fields = [
        field("value", FieldType::Number),
        field("quality", FieldType::Number),
        field("state", FieldType::State),
        field("phone", FieldType::Phone),
        field("note", FieldType::Text),
    ];
    let ground =
        Ground { fields: &fields, zone: Some(&zone), calendar: Some(&calendar), named: &|_| Err(String::new()) };
    Condition::read(text, &ground).ok()
}

fn show(what: &str, text: &str, lead: &Lead, questions: u32) {
    const ROUNDS: u32 = 5;
    let (condition, recipient) = (condition(text).unwrap(), RecipientName::new("bigbank").unwrap());
    let now = Timestamp::from_millis(1_795_000_600_000);
    let facts = Facts { lead, priority: Priority::High, attempt: 2, recipient: &recipient, moment: now.into() };
    let each = questions.div_ceil(ROUNDS);
    let round = || {
        let begin = Instant::now();
        (0..each).for_each(|_| drop(black_box(condition.holds(black_box(&facts)))));
        begin.elapsed().as_secs_f64() * 1e9 / f64::from(each)
    };
    let least = (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min);
    println!("{what:78} {least:12.0} ns");
}
