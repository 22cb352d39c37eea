//! Bodies laid out by an operator: one golden render for each format, leads that try to break out, and what is refused when a
//! config is saved.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set up ends the test")]

use http::{HeaderName, Method};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use steadfast_flow::{
    Address, BodyEntry, BodySettings, FieldSettings, FieldType, Format, Header, Lookups, RenderFailed, Rendered,
    Request, RequestSettings, Secret, Segment, SoapVersion,
};
use steadfast_lead::{FlowName, JsonLimits, Lead, LeadId, Number, SourceName, Timestamp, Value, parse_object};

const LEAD: &str = r#"{"First Name":"Zoë","last_name":"O'Neil & Söhne","mail":"Jo@EXAMPLE.com","phone":"(312) 555-0142","work_phone":"+44 20 7946 0958","dob":"2/3/1980","state":"illinois","zip":"606011234","amount":"$1,250.50","income":1.10,"optin":"Yes","tags":["a","b & c"],"ssn":"078-05-1120","loan":{"purpose":"car <new>","term":36}}"#;

fn lead(json: &str) -> Lead {
    Lead {
        id: LeadId::from_raw(7).unwrap(),
        flow: FlowName::new("auto").unwrap(),
        source: Some(SourceName::new("web").unwrap()),
        accepted_at: Timestamp::parse("2026-11-24T02:30:00Z").unwrap(),
        test: false,
        fields: parse_object(json.as_bytes(), JsonLimits::LEAD).unwrap(),
    }
}

fn fields() -> Vec<FieldSettings> {
    let field = |name: &str, kind, aliases: &[&str]| FieldSettings {
        name: name.into(),
        kind,
        aliases: aliases.iter().map(|alias| (*alias).into()).collect(),
    };
    vec![
        field("First Name", FieldType::Text, &[]),
        field("last_name", FieldType::Text, &[]),
        field("email", FieldType::Email, &["mail"]),
        field("phone", FieldType::Phone, &[]),
        field("work_phone", FieldType::Phone, &[]),
        field("dob", FieldType::Date, &[]),
        field("state", FieldType::State, &[]),
        field("zip", FieldType::PostalCode, &[]),
        field("amount", FieldType::Number, &[]),
        field("income", FieldType::Text, &[]),
        field("optin", FieldType::Boolean, &[]),
        field("tags", FieldType::Text, &[]),
        field("ssn", FieldType::Sensitive, &[]),
        field("loan", FieldType::Text, &[]),
        field("missing", FieldType::Text, &[]),
    ]
}

fn lookups() -> Arc<Lookups> {
    let mut lookups = Lookups::default();
    let rows = [("IL", "Midwest"), ("NY", "Northeast")].map(|(key, value)| (key.into(), value.into()));
    lookups.tables.insert("regions".into(), rows.into());
    lookups.secrets.insert("salt".into(), Secret::new("s3cret-salt"));
    lookups.secrets.insert("password".into(), Secret::new("s3cret-<word>"));
    Arc::new(lookups)
}

fn settings(url: &str, format: Format) -> RequestSettings {
    RequestSettings { url: Some(Address::parse(url).unwrap()), format: Some(format), ..RequestSettings::default() }
}

fn mapped(entries: &[(&str, &str)]) -> Option<BodySettings> {
    let one = |(path, value): &(&str, &str)| BodyEntry {
        path: vec![Segment::Key((*path).into())],
        value: Some(Value::text(value)),
    };
    Some(BodySettings::Mapped(entries.iter().map(one).collect()))
}

fn text(body: &str) -> Option<BodySettings> {
    Some(BodySettings::Text(body.into()))
}

fn header(name: &'static str, value: &str) -> Header {
    Header { name: HeaderName::from_static(name), value: Secret::new(value) }
}

fn build(settings: &RequestSettings) -> Result<Request, String> {
    Request::build_with(settings, None, &fields(), &lookups())
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn render(settings: &RequestSettings, json: &str) -> Result<Rendered, RenderFailed> {
    build(settings).unwrap_or_else(|said| panic!("{said}")).render(&lead(json))
}

fn body_of(rendered: &Rendered) -> String {
    String::from_utf8(rendered.body.to_vec()).unwrap()
}

/// As it is kept under `tests/renders`; `UPDATE_RENDERS=1` writes it anew.
fn golden(name: &str, settings: &RequestSettings) {
    let request = build(settings).unwrap_or_else(|said| panic!("{name}: {said}"));
    let rendered = request.render(&lead(LEAD)).unwrap_or_else(|said| panic!("{name}: {said}"));
    let mut shown = format!("{} {}\n", rendered.method, rendered.url);
    for (name, value) in &rendered.headers {
        let _ = writeln!(shown, "{name}: {}", value.to_str().unwrap());
    }
    let _ = write!(shown, "\n{}\n", body_of(&rendered));
    assert_eq!(request.render(&lead(LEAD)).unwrap(), rendered, "{name}: twice the same");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/renders").join(name);
    if std::env::var_os("UPDATE_RENDERS").is_some() {
        std::fs::write(&path, &shown).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shown, kept, "{} differs; UPDATE_RENDERS=1 writes it anew", path.display());
}

const JSON_BODY: [(&str, &str); 18] = [
    ("applicant.name.first", "{{ fields[\"First Name\"] }}"),
    ("applicant.name.full", "{{ fields[\"First Name\"] }} {{ last_name | upper }}"),
    ("applicant.email", "{{ email }}"),
    ("applicant.email_as_it_came", "{{ raw.email }}"),
    ("applicant.phones[1].number", "{{ work_phone }}"),
    ("applicant.phones[0].number", "{{ phone }}"),
    ("applicant.phones[0].type", "home"),
    ("applicant.phones[2].number", "{{ missing }}"),
    ("applicant.born", "{{ dob | date('%d.%m.%Y') }}"),
    ("region", "{{ state | lookup('regions', 'elsewhere') }}"),
    ("amount", "{{ amount }}"),
    ("cents", "{{ (amount | number * 100) | int }}"),
    ("income", "{{ number(income) }}"),
    ("optin", "{{ optin }}"),
    ("tags", "{{ tags }}"),
    ("loan", "{{ loan }}"),
    ("seen", "{{ lead.accepted_at | date('%Y-%m-%d %H:%M %Z', 'America/Chicago') }}"),
    ("key", "{{ email | lower | sha256(salt='salt') }}"),
];

#[test]
fn every_format_renders_as_it_is_kept() {
    let mut json = settings("https://h/leads/{{ zip | substring(0, 5) }}?who={{ email }}", Format::Json);
    json.body = mapped(&JSON_BODY);
    json.headers = vec![header("x-state", "{{ state }}-{{ phone | digits }}"), header("x-fixed", "plain")];
    golden("json-mapped.txt", &json);

    let mut xml = settings("https://h/", Format::Xml);
    xml.body = mapped(&[
        ("l:lead/@xmlns:l", "urn:example:lead"),
        ("l:lead/@id", "{{ lead.id }}"),
        ("l:lead/contact/@type", "home"),
        ("l:lead/contact/name", "{{ fields[\"First Name\"] }} {{ last_name }}"),
        ("l:lead/contact/phone[1]", "{{ work_phone }}"),
        ("l:lead/contact/phone[0]", "{{ phone }}"),
        ("l:lead/contact/phone[0]/@kind", "cell"),
        ("l:lead/contact/fax", "{{ missing }}"),
        ("l:lead/tag", "{{ tags }}"),
        ("l:lead/loan", "{{ loan }}"),
    ]);
    golden("xml-mapped.txt", &xml);
    xml.body = text("<?xml version=\"1.0\"?>\n<lead>{% for tag in tags %}<tag name=\"{{ tag }}\"/>{% endfor %}</lead>");
    golden("xml-template.txt", &xml);
    xml.body = None;
    let plain = Request::build(&xml, None, &[]).unwrap().render(&lead(r#"{"a":"<x>","b":{"c":[1.10,null]}}"#)).unwrap();
    let expected = "<lead><a>&lt;x&gt;</a><b><c>1.10</c><c></c></b></lead>";
    assert!(body_of(&plain).ends_with(expected), "{}", body_of(&plain));

    let mut soap = settings("https://h/service.asmx", Format::Soap);
    soap.soap_action = Some("urn:example/Submit".into());
    soap.soap_header = Some("<Key>{{ secret('password') }}</Key>".into());
    soap.body = mapped(&[
        ("Submit/@xmlns", "urn:example"),
        ("Submit/Lead/Email", "{{ email }}"),
        ("Submit/Lead/Name", "{{ last_name }}"),
    ]);
    golden("soap-1.1.txt", &soap);
    soap.soap_version = Some(SoapVersion::V12);
    soap.body = text("\n<Submit xmlns=\"urn:example\"><Email>{{ email }}</Email></Submit>\n");
    golden("soap-1.2.txt", &soap);

    let mut form = settings("https://h/", Format::Form);
    form.body =
        mapped(&[("phones[]", "{{ phone }}"), ("tag", "{{ tags }}"), ("loan", "{{ loan }}"), ("n", "a&b=c {{ zip }}")]);
    golden("form-mapped.txt", &form);
    form.format = Some(Format::Query);
    form.method = Some(Method::GET);
    golden("query-mapped.txt", &form);

    let mut csv = settings("https://h/", Format::Text);
    csv.content_type = Some("text/csv; charset=utf-8".into());
    csv.body =
        text("{{ email | csv }},{{ last_name | csv }},{{ tags | join(';') | csv }},{{ missing | default('-') }}");
    golden("text-csv.txt", &csv);

    let mut json = settings("https://h/", Format::Json);
    json.body =
        text(r#"{"name": "{{ last_name }}", "tags": {{ tags | json }}, "ok": {{ optin }}, "loan": {{ loan | json }}}"#);
    golden("json-template.txt", &json);
}

#[test]
fn a_step_lies_over_its_recipient_path_by_path() {
    let mut recipient = settings("https://h/", Format::Json);
    recipient.body = mapped(&[("a", "1"), ("b", "{{ email }}"), ("c", "3")]);
    let taken = BodyEntry { path: vec![Segment::Key("c".into())], value: None };
    let mut own = mapped(&[("b", "own"), ("d", "4")]);
    if let Some(BodySettings::Mapped(entries)) = &mut own {
        entries.push(taken);
    }
    let step = RequestSettings { body: own, ..RequestSettings::default() };
    let rendered = render(&step.over(&recipient), LEAD).unwrap();
    assert_eq!(body_of(&rendered), r#"{"a":"1","b":"own","d":"4"}"#);
}

#[test]
fn what_is_missing_is_left_out_or_fails_that_lead() {
    let mut lax = settings("https://h/", Format::Json);
    lax.body = mapped(&[
        ("a.b", "{{ missing }}"),
        ("c", "{{ missing | upper }}"),
        ("d", "x{{ missing }}"),
        ("e", "{{ loan.nope }}"),
    ]);
    assert_eq!(body_of(&render(&lax, "{}").unwrap()), r#"{"d":"x"}"#);
    let mut strict = lax.clone();
    strict.strict = Some(true);
    for (value, template) in [("{{ missing }}", "request.body.a"), ("x{{ missing }}", "request.body.a")] {
        strict.body = mapped(&[("a", value)]);
        let said = render(&strict, "{}").unwrap_err().to_string();
        assert!(said.starts_with(template) && said.contains("field the lead does not have"), "{said}");
        assert!(render(&strict, r#"{"missing":"x"}"#).is_ok());
    }
    strict.body = mapped(&[("a", "{{ missing | default('-') }}"), ("b", "{% if missing %}x{% endif %}")]);
    assert_eq!(body_of(&render(&strict, "{}").unwrap()), r#"{"a":"-","b":""}"#);
    lax.body = mapped(&[("a", "{{ last_name | required }}")]);
    assert!(render(&lax, r#"{"last_name":" "}"#).unwrap_err().to_string().contains("a required value is missing"));
}

#[test]
fn a_failing_template_fails_one_lead_and_tells_no_value() {
    let cases = [
        ("{{ amount | number + 1 }}", r#"{"amount":"s3cret"}"#),
        ("{{ dob | date('%Y') }}", r#"{"dob":"s3cret"}"#),
        ("{{ number(last_name) }}", r#"{"last_name":"s3cret"}"#),
        ("{{ boolean(last_name) }}", r#"{"last_name":"s3cret"}"#),
        ("{{ tags | upper }}", r#"{"tags":["s3cret"]}"#),
        ("x{{ tags }}", r#"{"tags":["s3cret"]}"#),
        ("{% for a in tags %}{% for b in tags %}{% for c in tags %}{{ c }}{% endfor %}{% endfor %}{% endfor %}", MANY),
        ("{{ last_name | int }}", r#"{"last_name":"s3cret"}"#),
        ("{{ last_name | float }}", r#"{"last_name":"s3cret"}"#),
        ("{{ last_name - 1 }}", r#"{"last_name":"s3cret"}"#),
    ];
    for (template, json) in cases {
        let mut settings = settings("https://h/", Format::Json);
        settings.body = mapped(&[("a", template)]);
        let said = render(&settings, json).unwrap_err().to_string();
        assert!(said.starts_with("request.body.a: "), "{template}: {said}");
        assert!(!said.contains("s3cret"), "{template}: {said}");
    }
}

const MANY: &str = concat!(
    r#"{"tags":["#,
    r#"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,"#,
    r#"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,"#,
    r#"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,"s3cret"]}"#
);

#[test]
fn mistakes_are_told_when_a_config_is_saved() {
    let json =
        |entries: &[(&str, &str)]| RequestSettings { body: mapped(entries), ..settings("https://h/", Format::Json) };
    let of = |format, body| RequestSettings { body, ..settings("https://h/", format) };
    let with_header =
        |value: &str| RequestSettings { headers: vec![header("x-a", value)], ..settings("https://h/", Format::Json) };
    let cases = [
        (
            json(&[("a", "{{ emial }}")]),
            "request.body.a: names \"emial\", which is not a field of this flow (allowed: First Name",
        ),
        (json(&[("a", "x{{ raw.emial }}")]), "request.body.a: names \"emial\""),
        (
            json(&[("a", "{{ lead.nope }}")]),
            "names \"nope\", which is not a field of this flow (allowed: id, accepted_at",
        ),
        (json(&[("a", "x\n {{ email | uper }}")]), "line 2, column 13: there is no filter \"uper\" (allowed: abs, "),
        (json(&[("a", "{% if missing %}{{ email | nope }}{% endif %}")]), "there is no filter \"nope\""),
        (json(&[("a", "x\n{{ email")]), "request.body.a: is no template at line 2"),
        (
            json(&[("a", "{{ email | date('%Y', 'Mars/Base') }} {{ dob | date('%Y', 'Mars/Base') }}")]),
            "\"Mars/Base\" is not a time zone's name",
        ),
        (json(&[("a", "{{ state | lookup('nope') }}")]), "there is no table \"nope\" (tables: regions)"),
        (json(&[("a", "{{ email | sha256(salt='nope') }}")]), "there is no secret \"nope\""),
        (json(&[("a", "{{ email | sha256(pepper='salt') }}")]), "too many arguments"),
        (json(&[("a", "{{ email() }}")]), "request.body.a: is no template at line 1"),
        (json(&[("a", "{% include 'x' %}")]), "unknown statement include"),
        (json(&[("a", "{{ range(9999) | join('') * 9999 }}")]), "out of fuel"),
        (
            json(&[("a", "1"), ("a.b", "2")]),
            "request.body.\"a.b\": stands where another path has a value of another shape",
        ),
        (json(&[("a[0]", "1"), ("a.b", "2")]), "another shape"),
        (json(&[("a..b", "1")]), "request.body.\"a..b\": is not a path into JSON"),
        (json(&[]), "request.body: is empty"),
        (of(Format::Xml, mapped(&[("a b", "1")])), "is not a path into XML"),
        (of(Format::Xml, mapped(&[("a/x", "1"), ("b/x", "2")])), "request.body: has several outermost elements"),
        (of(Format::Xml, mapped(&[("p:a", "1")])), "uses the prefix \"p\""),
        (of(Format::Xml, mapped(&[("a/@x", "1"), ("a/@x", "2")])), "stands twice"),
        (of(Format::Xml, text("<a>{{ email }}</b>")), "request.body: makes no well-formed XML of a made-up lead"),
        (of(Format::Soap, text("<a>")), "makes no well-formed XML"),
        (of(Format::Soap, None), "request.body: is missing"),
        (of(Format::Text, None), "request.body: is missing"),
        (of(Format::Text, mapped(&[("a", "1")])), "request.body: is a table"),
        (of(Format::Query, text("x")), "request.body: is a text, and a query has none"),
        (of(Format::Json, text("{\"a\": {{ email }}}")), "request.body: makes no valid request of a made-up lead"),
        (
            RequestSettings { soap_action: Some("x".into()), ..settings("https://h/", Format::Json) },
            "request.soap_action: is only for format",
        ),
        (
            RequestSettings { content_type: Some("a\nb".into()), ..settings("https://h/", Format::Json) },
            "request.content_type = \"a\\nb\": cannot",
        ),
        (with_header("{{ emial }}"), "request.headers.x-a: names \"emial\""),
        (with_header("a\n{{ email }}"), "request.headers.x-a: makes no valid request"),
        (json(&[("a", "{% set a = last_name %}{% set b = a ~ a %}{{ b * 99999999 }}")]), "out of fuel"),
    ];
    for (settings, expected) in cases {
        let said = build(&settings).map(|_| ()).unwrap_err();
        assert!(said.contains(expected), "{expected}\n{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_version_covers_what_shapes_the_bytes_and_no_secret() {
    let version = |body: &[(&str, &str)], lookups: &Arc<Lookups>| {
        let settings = RequestSettings { body: mapped(body), ..settings("https://h/", Format::Json) };
        Request::build_with(&settings, None, &fields(), lookups).unwrap()
    };
    let body = [
        ("a", "{{ email | sha256(salt='salt') }}"),
        ("b", "{{ secret('password') }}"),
        ("c", "{{ state | lookup('regions') }}"),
    ];
    let first = version(&body, &lookups());
    let mut rotated = (*lookups()).clone();
    rotated.secrets.insert("password".into(), Secret::new("another"));
    let second = version(&body, &Arc::new(rotated.clone()));
    assert_eq!(first.mapping_version(), second.mapping_version());
    let (one, two) = (first.render(&lead(LEAD)).unwrap(), second.render(&lead(LEAD)).unwrap());
    assert_ne!(one.body, two.body);
    assert_eq!(one.digest, two.digest, "a changed secret is no changed request");
    rotated.tables.get_mut("regions").unwrap().insert("IL".into(), "Center".into());
    let third = version(&body, &Arc::new(rotated));
    assert_ne!(third.mapping_version(), first.mapping_version());
    assert_ne!(third.render(&lead(LEAD)).unwrap().digest, one.digest);
    let others: [&[(&str, &str)]; 3] = [&body[..2], &[("a", "{{ email }}")], &[("a", "{{ raw.email }}")]];
    let mut versions: Vec<u64> = others.iter().map(|body| version(body, &lookups()).mapping_version()).collect();
    versions.push(first.mapping_version());
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 4);
}

#[test]
fn a_preview_holds_no_secret() {
    let mut settings = settings("https://h/?k={{ secret('password') }}", Format::Json);
    settings.body = mapped(&[("pw", "{{ secret('password') }}"), ("email", "{{ email }}")]);
    settings.headers = vec![header("x-fixed", "k3y"), header("x-made", "{{ secret('password') }}/{{ state }}")];
    let auth = steadfast_flow::Auth::Bearer { token: Secret::new("t0ken") };
    let request = Request::build_with(&settings, Some(&auth), &fields(), &lookups()).unwrap();
    let json = LEAD.replace("(312) 555-0142", "call me");
    let (preview, sent) = (request.preview(&lead(&json)).unwrap(), request.render(&lead(&json)).unwrap());
    assert_eq!(preview.digest, sent.digest);
    let shown = format!("{} {:?} {}", preview.url, preview.headers, String::from_utf8_lossy(&preview.body));
    for secret in ["s3cret", "k3y", "t0ken"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(
        shown.contains("\"x-made\", \"***/IL\"") && shown.contains(r#"{"pw":"***","email":"Jo@example.com"}"#),
        "{shown}"
    );
    assert!(body_of(&sent).contains("s3cret-<word>") && sent.url.ends_with("k=s3cret-%3Cword%3E"));
    assert_eq!(preview.unfit, [("phone".into(), FieldType::Phone)]);
}

#[test]
fn no_value_climbs_out_of_the_path_it_was_put_into() {
    let settings = settings("https://h/leads/{{ last_name }}/x", Format::Json);
    for (value, path) in
        [("a/../b", Some("/leads/a%2F..%2Fb/x")), ("..", None), (".", None), ("...", Some("/leads/.../x"))]
    {
        let json = serde_json::json!({ "last_name": value }).to_string();
        let made = render(&settings, &json);
        let made = made.as_ref().map(|rendered| rendered.url.trim_start_matches("https://h")).ok();
        assert_eq!(made, path, "{value}");
    }
}

/// Values that try to end what they are put into.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,30}",
        Just("\r\nX-Evil: 1".to_owned()),
        Just("\",\"admin\":true,\"x\":\"".to_owned()),
        Just("]]></a><evil/>&xxe;".to_owned()),
        Just("../../admin?x=1#y".to_owned()),
        Just("..".to_owned()),
        Just("{{ secret('password') }}{% for x in range(9) %}".to_owned()),
        Just("&a=b;%00\u{0}\u{b}".to_owned()),
    ]
}

fn hostile_settings() -> Vec<RequestSettings> {
    let paths = mapped(&[
        ("r/a/@x", "{{ last_name }}"),
        ("r/a", "{{ last_name }}"),
        ("r/b", "-{{ last_name | upper }}-"),
        ("r/c", "{{ tags }}"),
    ]);
    let url = "https://h/p/{{ last_name }}/q?x={{ last_name }}";
    let json = mapped(&[
        ("a", "{{ last_name }}"),
        ("b", "-{{ last_name | upper }}-"),
        ("c", "{{ last_name | trim }}"),
        ("d", "{{ tags }}"),
    ]);
    let mut all: Vec<RequestSettings> = vec![
        RequestSettings { body: json, ..settings(url, Format::Json) },
        RequestSettings {
            body: text(r#"{"a": "{{ last_name }}", "b": {{ last_name | json }}}"#),
            ..settings(url, Format::Json)
        },
        RequestSettings { body: paths.clone(), ..settings(url, Format::Xml) },
        RequestSettings { body: text("<r x='{{ last_name }}'>{{ last_name }}</r>"), ..settings(url, Format::Xml) },
        RequestSettings { body: paths, ..settings(url, Format::Soap) },
    ];
    for settings in &mut all {
        settings.headers = vec![header("x-name", "a{{ last_name }}b")];
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Any lead renders or fails by itself; what goes out parses as what it says it is, with one value where one was put.
    #[test]
    fn any_lead_renders_or_fails_cleanly(value in hostile(), tag in hostile()) {
        let json = serde_json::json!({ "last_name": value, "tags": [tag.clone(), value.clone()] }).to_string();
        for settings in hostile_settings() {
            let request = build(&settings).unwrap();
            let rendered = match request.render(&lead(&json)) {
                Ok(rendered) => rendered,
                Err(failed) => {
                    // Nothing but what a header, an address or XML cannot carry.
                    prop_assert!(matches!(failed, RenderFailed::BadHeader { .. } | RenderFailed::BadUrl | RenderFailed::NotXml { .. }), "{failed}");
                    prop_assert!(value.len() < 3 || !failed.to_string().contains(&value));
                    continue;
                }
            };
            prop_assert_eq!(request.render(&lead(&json)).unwrap().digest, rendered.digest);
            let uri: http::Uri = rendered.url.parse().unwrap();
            prop_assert_eq!(uri.path().matches('/').count(), 3);
            prop_assert_eq!(uri.query().unwrap().matches(['&', '=']).count(), 1);
            let made = rendered.headers.iter().find(|(name, _)| name == "x-name").unwrap();
            prop_assert_eq!(made.1.to_str().unwrap(), format!("a{value}b"));
            let sent = body_of(&rendered);
            if settings.format == Some(Format::Json) {
                let back: serde_json::Value = serde_json::from_str(&sent).unwrap();
                prop_assert_eq!(back["a"].as_str(), Some(&*value));
                prop_assert!(back.get("admin").is_none());
            } else {
                let document = roxmltree::Document::parse(&sent).unwrap();
                let root = document.descendants().find(|node| node.has_tag_name("r")).unwrap();
                prop_assert!(!document.descendants().any(|node| node.has_tag_name("evil")));
                let attribute = root.descendants().find_map(|node| node.attribute("x")).unwrap();
                prop_assert_eq!(attribute, &*value);
                let texts: Vec<&str> = root.children().filter(|node| node.has_tag_name("c")).map(|node| node.text().unwrap_or("")).collect();
                prop_assert!(texts.is_empty() || texts == [&*tag, &*value]);
            }
        }
    }

    /// What the mapping makes of any type of value is what the type promises, or the value as it came.
    #[test]
    fn a_single_reference_keeps_type_and_digits(number in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,10})?", text in ".{0,20}") {
        let mut settings = settings("https://h/", Format::Json);
        settings.body = mapped(&[("a", "{{ income }}"), ("b", "{{ last_name }}")]);
        let json = format!("{{\"income\":{number},\"last_name\":{}}}", serde_json::Value::from(text.clone()));
        let sent = body_of(&render(&settings, &json).unwrap());
        prop_assert_eq!(sent, format!("{{\"a\":{number},\"b\":{}}}", serde_json::Value::from(text)));
        prop_assert!(Number::parse(&number).is_some());
    }
}
