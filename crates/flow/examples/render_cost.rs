//! What making one request costs, by how it is laid out, so that a slower hot path is seen: a usual lead of twelve fields, made
//! over and over, the least of several rounds. The first line is the one every lead without a mapping takes; "one pass" is the
//! serialisation alone, for comparison within the same run.
//!
//! `cargo run --release -p steadfast-flow --example render_cost -- [renders]`
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measuring tool that may stop where it stands"
)]

use std::hint::black_box;
use std::time::Instant;
use steadfast_flow::{
    Address, BodyEntry, BodySettings, FieldSettings, FieldType, Format, Request, RequestSettings, Segment,
};
use steadfast_lead::{FlowName, JsonLimits, Lead, LeadId, Timestamp, Value, parse_object, write_object};

const LEAD: &str = r#"{"first_name":"Ada","last_name":"Lovelace","email":"Ada@EXAMPLE.com","phone":"(312) 555-0142","street":"1 Main St","city":"Chicago","state":"illinois","zip":"60601","dob":"12/10/1975","income":"85,000","homeowner":"yes","consent_url":"https://cert.example/4f1b9c"}"#;

fn main() {
    let renders: u32 = std::env::args().nth(1).map_or(100_000, |text| text.parse().unwrap());
    let lead = Lead {
        id: LeadId::from_raw(1).unwrap(),
        flow: FlowName::new("auto").unwrap(),
        source: None,
        accepted_at: Timestamp::from_millis(1_795_000_000_000),
        test: false,
        fields: parse_object(LEAD.as_bytes(), JsonLimits::LEAD).unwrap(),
    };
    let plain = RequestSettings { url: Some(Address::parse("https://h/").unwrap()), ..RequestSettings::default() };
    let of = |format, body| {
        Request::build(&RequestSettings { format: Some(format), body, ..plain.clone() }, None, &fields())
    };
    show("one pass over the fields", renders, || {
        let mut out = Vec::with_capacity(1_024);
        write_object(&lead.fields, &mut out);
        black_box(out);
    });
    let unmapped = Request::build(&plain, None, &[]).unwrap();
    let cases = [
        ("json, nothing mapped", unmapped),
        ("json, twelve fields mapped", of(Format::Json, Some(BodySettings::Mapped(references()))).unwrap()),
        ("json, twelve expressions", of(Format::Json, Some(BodySettings::Mapped(expressions()))).unwrap()),
        ("xml, twelve fields mapped", of(Format::Xml, Some(BodySettings::Mapped(elements()))).unwrap()),
        ("text, one template", of(Format::Text, Some(BodySettings::Text(TEXT.into()))).unwrap()),
    ];
    for (what, request) in &cases {
        show(what, renders, || drop(black_box(request.render(&lead).unwrap())));
    }
}

fn show(what: &str, renders: u32, mut run: impl FnMut()) {
    const ROUNDS: u32 = 5;
    let round = |run: &mut dyn FnMut()| {
        let begin = Instant::now();
        (0..renders / ROUNDS).for_each(|_| run());
        begin.elapsed().as_secs_f64() * 1e9 / f64::from(renders / ROUNDS)
    };
    let least = (0..ROUNDS).map(|_| round(&mut run)).fold(f64::INFINITY, f64::min);
    println!("{what:30} {least:8.0} ns");
}

const TEXT: &str = "{{ first_name }},{{ last_name }},{{ email }},{{ phone }},{{ zip }},{{ state }}";
const NAMES: [(&str, FieldType); 12] = [
    ("first_name", FieldType::Text),
    ("last_name", FieldType::Text),
    ("email", FieldType::Email),
    ("phone", FieldType::Phone),
    ("street", FieldType::Text),
    ("city", FieldType::Text),
    ("state", FieldType::State),
    ("zip", FieldType::PostalCode),
    ("dob", FieldType::Date),
    ("income", FieldType::Number),
    ("homeowner", FieldType::Boolean),
    ("consent_url", FieldType::Text),
];

fn fields() -> Vec<FieldSettings> {
    NAMES.iter().map(|(name, kind)| FieldSettings { name: (*name).into(), kind: *kind, aliases: Vec::new() }).collect()
}

fn entries(path: impl Fn(&str) -> String, value: impl Fn(&str) -> String) -> Vec<BodyEntry> {
    let one = |(name, _): &(&str, FieldType)| BodyEntry {
        path: vec![Segment::Key(path(name).into())],
        value: Some(Value::text(&value(name))),
    };
    NAMES.iter().map(one).collect()
}

fn references() -> Vec<BodyEntry> {
    entries(|name| format!("applicant.{name}"), |name| format!("{{{{ {name} }}}}"))
}

fn expressions() -> Vec<BodyEntry> {
    entries(|name| format!("applicant.{name}"), |name| format!("{{{{ {name} | upper }}}}"))
}

fn elements() -> Vec<BodyEntry> {
    entries(|name| format!("lead/{name}"), |name| format!("{{{{ {name} }}}}"))
}
