//! What operators write: configs, scenarios, templates, addresses.

use super::requests::lead_of;
use super::{parts, text};
use crate::config::read;
use crate::config::references::Surroundings;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use steadfast_api::fuzzing;
use steadfast_channel::{AddressGuard, AllowedNetworks, Target};
use steadfast_flow::{
    Address, BodyEntry, BodySettings, FieldSettings, FieldType, Format, Lookups, Request, RequestSettings, Secret,
    Segment,
};
use steadfast_lead::{Fields, JsonLimits, Value, parse_object};
use steadfast_sim::{ScenarioFile, Scripted, parse_duration, parse_rate};

pub(super) const CONFIG: &[&str] = &[
    "[server]\n",
    "[retry]\n",
    "[recipients.a]\n",
    "[recipients.a.request]\n",
    "url = \"https://h/\"\n",
    "[flows.f]\n",
    "[[flows.f.steps]]\n",
    "recipient = \"a\"\n",
    "[flows.f.fields]\n",
    "[policies.p]\n",
    "extends = \"p\"\n",
    "[[recipients.a.rules]]\n",
    "[recipients.a.response]\n",
    "max_retries = 3\n",
    "initial_delay = \"2s\"\n",
    "${X}",
    "file:x",
    "[recipients.a.auth]\n",
    "[flows.f.sources.s]\n",
    "[tables.t]\n",
    "[secrets]\n",
    "[erasure]\n",
    "= true\n",
    "bearer = \"${TOKEN}\"\n",
    "[recipients.a.request.body]\n",
    "= \"{{ a }}\"\n",
    "\"\"\"",
    "'''",
    "{ a = 1 }",
    "[ 1, 2 ]",
];
pub(super) const SCENARIO: &[&str] = &[
    "name = 'x'\n",
    "[traffic]\n",
    "leads = 1\n",
    "rate = '1/s'\n",
    "for = '1m'\n",
    "[recipient]\n",
    "answer = '200'\n",
    "answers = ['503', '200']\n",
    "[[recipient.phases]]\n",
    "from = '1m'\n",
    "[retry]\n",
    "[[compare]]\n",
    "[[recipients]]\n",
    "timeout",
    "reset",
    "[guard]\n",
    "mix = ",
    "Retry-After",
];
pub(super) const TEMPLATE: &[&str] = &[
    "{{ ",
    " }}",
    "{% if a %}",
    "{% for x in range(9) %}",
    "{% endfor %}",
    "{% endif %}",
    "{% set a = ",
    " %}",
    " | ",
    "date('%Y')",
    "substring(1, 2)",
    "sha256(salt='s')",
    "lookup('t', 'o')",
    "{#",
    "#}",
    " ~ ",
    "lead.id",
    "number",
    "default('x')",
    "split(',')",
    "replace(",
    "* 1000000",
    "\n",
    "xml\n",
    "json\n",
    "{\"a\":\"b\"}",
    "{% macro m() %}",
];
pub(super) const PATHS: &[&str] = &[
    "a.b", "[0]", "[999]", "/@type", "a/b", "soap\n", "xml\n", "form\n", "query\n", "json\n", "\n", "{{ a }}",
    "xmlns:x",
];
pub(super) const ADDRESS: &[&str] = &[
    "https://",
    "http://",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "127.0.0.1",
    "0x7f.1",
    ":443",
    "?a=b",
    "#",
    "@",
    "{{ a }}",
    "/",
    "10.0.0.0/8",
    "64:ff9b::",
    "xn--",
    "%2e",
    "\\",
    "localhost.",
];

/// What must not be shown.
const SECRET: &str = "s3cret";

/// Whether the secret is shown to somebody who did not write it into the input, as the fuzzer learns to.
fn tells(shown: &str, input: &[u8]) -> bool {
    shown.contains(SECRET) && !text(input).contains(SECRET)
}

pub(super) fn config(input: &[u8]) {
    let variable = |name: &str| (name == "TOKEN").then(|| "t0ken".to_owned());
    let file = |name: &str| if name == "x" { Ok(SECRET.to_owned()) } else { Err("cannot be read".to_owned()) };
    match read(
        "fuzzed.toml",
        text(input).into_owned(),
        &Surroundings { variable: &variable, file: &file, now: steadfast_lead::Timestamp::MIN },
    ) {
        Ok(loaded) => {
            let shown = loaded.warnings.plain() + &loaded.warnings.with_source(true);
            assert!(!tells(&shown, input), "a secret is shown");
            assert_eq!(loaded.into_book(7).version, 7);
        }
        Err(problems) => {
            assert!(problems.count() > 0, "refused without a problem");
            let shown = problems.plain() + &problems.with_source(false);
            assert!(!tells(&shown, input), "a secret is shown");
        }
    }
}

pub(super) fn masked(input: &[u8]) {
    let Some(shown) = fuzzing::masked(&text(input)) else { return };
    assert!(fuzzing::masked(&shown).is_some(), "what is shown of a config is not TOML any more");
}

pub(super) fn scenario(input: &[u8]) {
    let text = text(input);
    if let Ok(duration) = parse_duration(&text) {
        assert!(duration.as_secs() <= 366 * 86_400, "a duration of {duration:?}");
    }
    if let Ok(rate) = parse_rate(&text) {
        assert!(rate.count > 0 && !rate.per.is_zero());
    }
    let _answer = Scripted::parse(&text, std::time::Duration::from_millis(50));
    let Ok(file) = toml::from_str::<ScenarioFile>(&text) else { return };
    if let Err(faults) = file.compile() {
        assert!(!faults.is_empty(), "refused without a fault");
        faults.iter().for_each(|fault| drop(fault.to_string()));
    }
}

static LOOKUPS: LazyLock<Arc<Lookups>> = LazyLock::new(|| {
    let table = [("a".into(), "b".into())].into();
    Arc::new(Lookups { tables: [("t".into(), table)].into(), secrets: [("s".into(), Secret::new(SECRET))].into() })
});

const DECLARED: [(&str, FieldType); 3] =
    [("a", FieldType::Text), ("email", FieldType::Email), ("dob", FieldType::Date)];

fn declared() -> Vec<FieldSettings> {
    DECLARED.map(|(name, kind)| FieldSettings { name: name.into(), kind, aliases: Vec::new() }).to_vec()
}

fn settings(format: &[u8], body: BodySettings) -> RequestSettings {
    RequestSettings {
        url: Address::parse("https://h/{{ a | lower }}").ok(),
        format: Some(Format::from_name(&text(format)).unwrap_or(Format::Text)),
        body: Some(body),
        ..RequestSettings::default()
    }
}

/// The format, the lead in JSON, the template.
pub(super) fn template(input: &[u8]) {
    let [format, lead, template] = parts(input);
    let settings = settings(format, BodySettings::Text(text(template).into()));
    rendered(input, &settings, parse_object(lead, JsonLimits::LEAD).unwrap_or_default());
}

/// The format, a path, a value, another path with the same value.
pub(super) fn body_path(input: &[u8]) {
    let [format, path, value, other] = parts(input);
    let entry =
        |path: &[u8]| BodyEntry { path: vec![Segment::Key(text(path).into())], value: Some(Value::text(&text(value))) };
    let settings = settings(format, BodySettings::Mapped(vec![entry(path), entry(other)]));
    let mut fields = Fields::new();
    fields.append("a", Value::text(&text(value)));
    rendered(input, &settings, fields);
}

fn rendered(input: &[u8], settings: &RequestSettings, fields: Fields) {
    const BODY_BYTES_MAX: usize = 16 << 20;
    let request = match Request::build_with(settings, None, &declared(), &LOOKUPS) {
        Ok(request) => request,
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a fault");
            return;
        }
    };
    let Some(lead) = lead_of(fields) else { return };
    match request.render(&lead) {
        Ok(once) => {
            assert!(once.body.len() <= BODY_BYTES_MAX, "a body of {} bytes", once.body.len());
            let again = request.render(&lead).ok();
            assert!(
                again.is_some_and(|again| again.body == once.body && again.url == once.url),
                "two bodies of one lead"
            );
        }
        Err(failed) => assert!(!tells(&failed.to_string(), input), "a secret is told"),
    }
    if let Ok(preview) = request.preview(&lead) {
        assert!(!tells(&text(&preview.body), input), "a secret is shown");
    }
}

/// A URL: what a config takes, a door takes.
pub(super) fn address(input: &[u8]) {
    let text = text(input);
    if let Ok(target) = Target::parse(&text) {
        let origin = target.origin();
        assert_eq!(Target::parse(&format!("{origin}/")).as_ref().map(Target::origin), Ok(origin), "an origin changes");
    }
    if let Ok(address) = Address::parse(&text)
        && !text.contains('{')
    {
        let target = Target::parse(address.as_str());
        let target = target.unwrap_or_else(|refused| panic_of(&text, &refused.to_string()));
        assert_eq!((target.origin(), target.port()), (address.origin(), address.port()), "{text}: two origins");
    }
    if let Ok(networks) = text.parse::<AllowedNetworks>() {
        assert!(AddressGuard::new(networks).check(IpAddr::from([169, 254, 169, 254])).is_some() || text.contains('1'));
    }
}

#[allow(clippy::panic, reason = "a broken promise stops a target")]
fn panic_of(text: &str, why: &str) -> ! {
    panic!("a config takes the address {text:?}, and no door: {why}")
}
