//! What clients ask of the API, and what typed fields make of what people type.

use super::answers::read_is_bounded;
use super::text;
use std::sync::LazyLock;
use steadfast_api::fuzzing;
use steadfast_flow::{
    Address, BodyEntry, BodySettings, ContactKind, FieldSettings, FieldType, Format, Request, RequestSettings, Segment,
};
use steadfast_lead::{Fields, FlowName, JsonLimits, Lead, LeadId, Timestamp, Value, parse_object};

pub(super) const QUERY: &[&str] = &[
    "state=in_review",
    "recipient=",
    "flow=",
    "kind=timeout",
    "since=2026-11-24T10:00:00Z",
    "until=",
    "q=dl_",
    "q=a@b.c",
    "after=",
    "limit=200",
    "wait=10s",
    "&",
    "%2B",
    "+",
];
pub(super) const NORMAL: &[&str] =
    &["@", "+1 ", "(312) 555-0142", "$1,234.50", "60601-1234", "K1A 0B6", "2/29/2024", "1980-02-03T00:00", "yes", "IL"];

pub(super) fn query(input: &[u8]) {
    fuzzing::queries(&text(input));
}

pub(super) fn key(input: &[u8]) {
    let Some(key) = fuzzing::key(input) else { return };
    assert!((1..=255).contains(&key.len()), "a key of {} bytes", key.len());
    assert!(key.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "a key that is not printable");
}

pub(super) fn classify(input: &[u8]) {
    if let Some((reading, evidence)) = fuzzing::classification(input) {
        read_is_bounded(&reading, &evidence);
    }
}

static TYPED: LazyLock<Option<Request>> = LazyLock::new(|| {
    let declared = FieldType::ALL.map(|kind| FieldSettings { name: kind.name().into(), kind, aliases: Vec::new() });
    let entry = |kind: FieldType| BodyEntry {
        path: vec![Segment::Key(kind.name().into())],
        value: Some(Value::text(&format!("{{{{ {} }}}}", kind.name()))),
    };
    let settings = RequestSettings {
        url: Address::parse("https://h/").ok(),
        format: Some(Format::Json),
        body: Some(BodySettings::Mapped(FieldType::ALL.map(entry).to_vec())),
        ..RequestSettings::default()
    };
    Request::build(&settings, None, &declared).ok()
});

/// The same text as a field of each type: sent in its form, and that form is not changed any more. Of a telephone number from
/// elsewhere only the digits are sent, and ten of them read like a number of the United States: that one is not asked.
pub(super) fn normal(input: &[u8]) {
    let text = text(input);
    for kind in [ContactKind::Email, ContactKind::Phone] {
        if let Some(once) = kind.normalise(&text) {
            assert_eq!(kind.normalise(&once).as_deref(), Some(&*once), "{} has no settled form", kind.name());
        }
    }
    let fields = FieldType::ALL.map(|kind| (kind.name().into(), Value::text(&text))).to_vec();
    let Some(once) = sent(Fields::from_unique(fields)) else { return };
    let Some(again) = sent(once.clone()) else { unreachable!("what was sent cannot be sent again") };
    let changed: Vec<&str> = again.iter().zip(once.iter()).filter(|(a, b)| a != b).map(|((name, _), _)| name).collect();
    assert!(changed.iter().all(|name| *name == "phone"), "a form changes when it is read again: {changed:?}");
}

fn sent(fields: Fields) -> Option<Fields> {
    let lead = lead_of(fields)?;
    let rendered = TYPED.as_ref()?.render(&lead).ok()?;
    parse_object(&rendered.body, JsonLimits::LEAD).ok()
}

pub(super) fn lead_of(fields: Fields) -> Option<Lead> {
    let accepted_at = Timestamp::from_millis(1_795_000_000_000);
    let (id, flow) = (LeadId::first_at(accepted_at), FlowName::new("auto").ok()?);
    Some(Lead { id, flow, source: None, accepted_at, test: false, fields })
}
