//! What leaves for a lead: three formats, declared fields, fixed fields, credentials, and values that try to break out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set up ends the test")]

use http::{HeaderName, Method};
use proptest::prelude::*;
use steadfast_flow::{
    Address, Auth, FieldSettings, FieldType, Format, Header, KeyPlace, RenderFailed, Rendered, Request,
    RequestSettings, Secret, URL_BYTES_MAX,
};
use steadfast_lead::{FlowName, JsonLimits, Lead, LeadId, Timestamp, Value, parse_object};

fn lead(json: &str) -> Lead {
    Lead {
        id: LeadId::from_raw(7).unwrap(),
        flow: FlowName::new("auto").unwrap(),
        source: None,
        accepted_at: Timestamp::default(),
        test: false,
        fields: parse_object(json.as_bytes(), JsonLimits::LEAD).unwrap(),
    }
}

fn settings(url: &str, format: Format) -> RequestSettings {
    RequestSettings { url: Some(Address::parse(url).unwrap()), format: Some(format), ..RequestSettings::default() }
}

fn render(settings: &RequestSettings, declared: &[FieldSettings], json: &str) -> Result<Rendered, RenderFailed> {
    Request::build(settings, None, declared).unwrap().render(&lead(json))
}

fn body(rendered: &Rendered) -> &str {
    std::str::from_utf8(&rendered.body).unwrap()
}

fn field(name: &str, kind: FieldType, aliases: &[&str]) -> FieldSettings {
    FieldSettings { name: name.into(), kind, aliases: aliases.iter().map(|alias| (*alias).into()).collect() }
}

fn header<'a>(rendered: &'a Rendered, name: &str) -> Option<&'a str> {
    let found = rendered.headers.iter().find(|(known, _)| known.as_str() == name);
    found.map(|(_, value)| value.to_str().unwrap())
}

const LEAD: &str = r#"{"zip":"01234","amount":1.10,"ok":true,"note":null,"name":{"first":"Zoë","last":"O'Neil & Söhne"},"tags":["a","b c"],"none":[]}"#;

#[test]
fn json_leaves_as_it_came() {
    let rendered = render(&settings("https://h/leads?v=2", Format::Json), &[], LEAD).unwrap();
    assert_eq!(body(&rendered), LEAD);
    assert_eq!((&rendered.method, &*rendered.url), (&Method::POST, "https://h/leads?v=2"));
    assert_eq!(header(&rendered, "content-type"), Some("application/json"));
}

#[test]
fn forms_and_queries_are_flattened_and_encoded() {
    let pairs =
        "zip=01234&amount=1.10&ok=true&note=&name.first=Zo%C3%AB&name.last=O%27Neil+%26+S%C3%B6hne&tags=a&tags=b+c";
    let form = render(&settings("https://h/leads", Format::Form), &[], LEAD).unwrap();
    assert_eq!(body(&form), pairs);
    assert_eq!(header(&form, "content-type"), Some("application/x-www-form-urlencoded"));

    for (url, expected) in [
        ("https://h", format!("https://h/?{pairs}")),
        ("https://h/a?", format!("https://h/a?{pairs}")),
        ("https://h/a?v=2", format!("https://h/a?v=2&{pairs}")),
        ("https://h/a?v=2&", format!("https://h/a?v=2&{pairs}")),
    ] {
        let query = render(&settings(url, Format::Query), &[], LEAD).unwrap();
        assert_eq!(&*query.url, expected);
        assert!(query.body.is_empty() && header(&query, "content-type").is_none());
    }
    let mut get = settings("https://h/", Format::Json);
    for method in [Method::GET, Method::DELETE] {
        get.method = Some(method);
        let rendered = render(&get, &[], LEAD).unwrap();
        assert_eq!(&*rendered.url, format!("https://h/?{pairs}"));
        assert!(rendered.body.is_empty());
    }
}

#[test]
fn declared_fields_are_the_list_of_what_is_sent() {
    let declared = [
        field("email", FieldType::Email, &["mail", "e_mail"]),
        field("ssn", FieldType::Sensitive, &["social"]),
        field("zip", FieldType::PostalCode, &[]),
    ];
    let cases = [
        (r#"{"zip":"1","mail":"a","extra":1,"ssn":"x","social":"y"}"#, r#"{"zip":"1","email":"a"}"#),
        // Its own name goes before an alias, and the first alias before the second.
        (r#"{"mail":"a","email":"b","e_mail":"c"}"#, r#"{"email":"b"}"#),
        (r#"{"e_mail":"c","mail":"a"}"#, r#"{"email":"c"}"#),
        (r#"{"other":1}"#, "{}"),
    ];
    for (json, expected) in cases {
        let rendered = render(&settings("https://h/", Format::Json), &declared, json).unwrap();
        assert_eq!(body(&rendered), expected);
    }
    let form = render(&settings("https://h/", Format::Form), &declared, r#"{"ssn":"123","mail":"a@b"}"#).unwrap();
    assert_eq!(body(&form), "email=a%40b");
}

#[test]
fn fixed_fields_stand_last_and_in_place_of_the_leads() {
    let mut with = settings("https://h/", Format::Json);
    with.fields = vec![("source".into(), Value::text("acme \"1\"")), ("live".into(), Value::Bool(true))];
    let rendered = render(&with, &[], r#"{"source":"forged","a":1}"#).unwrap();
    assert_eq!(body(&rendered), r#"{"a":1,"source":"acme \"1\"","live":true}"#);
    let rendered = render(&with, &[field("b", FieldType::Text, &[])], r#"{"a":1}"#).unwrap();
    assert_eq!(body(&rendered), r#"{"source":"acme \"1\"","live":true}"#);
}

#[test]
fn what_a_form_cannot_carry_names_the_field_and_not_its_value() {
    for json in [r#"{"a":{"items":[["hidden"]]}}"#, r#"{"a":{"items":[{"x":"hidden"}]}}"#] {
        let said = render(&settings("https://h/", Format::Form), &[], json).unwrap_err().to_string();
        assert!(said.contains("\"a.items\"") && !said.contains("hidden"), "{said}");
        assert!(render(&settings("https://h/", Format::Json), &[], json).is_ok());
    }
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(URL_BYTES_MAX));
    let failed = render(&settings("https://h/", Format::Query), &[], &long).unwrap_err();
    assert!(matches!(failed, RenderFailed::UrlTooLong { bytes } if bytes > URL_BYTES_MAX));
    assert!(render(&settings("https://h/", Format::Form), &[], &long).is_ok());
}

#[test]
fn the_same_lead_and_mapping_make_the_same_bytes_whatever_the_credentials() {
    let plain = settings("https://h/?a=b", Format::Query);
    let key = |key: &str| Auth::ApiKey { place: KeyPlace::Query("key".into()), key: Secret::new(key) };
    let build = |settings: &RequestSettings, auth: Option<&Auth>| Request::build(settings, auth, &[]).unwrap();
    let (one, two) = (build(&plain, Some(&key("k&1"))), build(&plain, Some(&key("k2"))));
    let (first, second) = (one.render(&lead(LEAD)).unwrap(), two.render(&lead(LEAD)).unwrap());
    assert!(first.url.ends_with("&key=k%261") && second.url.ends_with("&key=k2"));
    assert_eq!((first.digest, one.mapping_version()), (second.digest, two.mapping_version()));
    assert_eq!(one.render(&lead(LEAD)).unwrap(), first);

    let mut slower = plain.clone();
    slower.timeout = Some(std::time::Duration::from_secs(5));
    slower.headers = vec![Header { name: HeaderName::from_static("x-a"), value: Secret::new("1") }];
    assert_eq!(build(&slower, None).mapping_version(), one.mapping_version());
    // Kept from version to version of this program: a waiting lead must not change by an upgrade.
    assert_eq!(one.mapping_version(), 1_608_588_971_108_421_247);

    let mut others = vec![settings("https://h/?a=c", Format::Query), settings("https://h/?a=b", Format::Form)];
    others.push(RequestSettings { method: Some(Method::PUT), ..plain.clone() });
    others.push(RequestSettings { fields: vec![("x".into(), Value::Bool(true))], ..plain.clone() });
    let versions: Vec<u64> = others.iter().map(|other| build(other, None).mapping_version()).collect();
    assert!(!versions.contains(&one.mapping_version()), "{versions:?}");
    let declared = [field("a", FieldType::Text, &["b"])];
    let hidden = [field("a", FieldType::Sensitive, &["b"])];
    let version = |declared: &[FieldSettings]| Request::build(&plain, None, declared).unwrap().mapping_version();
    assert_ne!(version(&declared), version(&hidden));
    assert_ne!(version(&declared), version(&[]));
}

#[test]
fn credentials_go_where_they_belong() {
    let plain = settings("https://h/", Format::Json);
    let sent = |auth: &Auth, name: &str| {
        let rendered = Request::build(&plain, Some(auth), &[]).unwrap().render(&lead("{}")).unwrap();
        header(&rendered, name).map(str::to_owned)
    };
    let basic = Auth::Basic { username: Secret::new("Aladdin"), password: Secret::new("open sesame") };
    assert_eq!(sent(&basic, "authorization").unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    let bearer = Auth::Bearer { token: Secret::new("t0ken") };
    assert_eq!(sent(&bearer, "authorization").unwrap(), "Bearer t0ken");
    let place = KeyPlace::Header(HeaderName::from_static("x-api-key"));
    let key = Auth::ApiKey { place, key: Secret::new("k3y") };
    assert_eq!(sent(&key, "x-api-key").unwrap(), "k3y");
    for auth in [basic, bearer, key] {
        let request = Request::build(&plain, Some(&auth), &[]).unwrap();
        let printed = format!("{auth:?} {request:?} {:?}", request.render(&lead("{}")).unwrap().headers);
        for secret in ["Aladdin", "sesame", "t0ken", "k3y", "QWxh"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}

#[test]
fn headers_that_could_break_a_request_are_refused_when_it_is_built() {
    let with = |name: &str, value: &str| {
        let name = HeaderName::try_from(name).unwrap();
        let headers = vec![Header { name, value: Secret::new(value) }];
        let settings = RequestSettings { headers, ..settings("https://h/", Format::Json) };
        Request::build(&settings, None, &[]).map_err(|faults| faults[0].to_string())
    };
    assert!(with("x-good", "fine").is_ok());
    let own =
        ["host", "content-length", "transfer-encoding", "connection", "idempotency-key", "steadfast-attempt", "te"];
    for name in own {
        let said = with(name, "x").unwrap_err();
        assert!(said.starts_with(&format!("request.headers.{name}: is written by the server itself")), "{said}");
    }
    for value in ["a\r\nX: b", "a\nb", "a\0b", "\u{7f}"] {
        let said = with("x-bad", value).unwrap_err();
        assert_eq!(
            said,
            "request.headers.x-bad: has characters a header cannot carry (allowed: visible ASCII and spaces)"
        );
    }
    let twice = |value: &str| Header { name: HeaderName::from_static("x-a"), value: Secret::new(value) };
    let headers = vec![twice("1"), twice("2")];
    let settings_twice = RequestSettings { headers, ..settings("https://h/", Format::Json) };
    let faults = Request::build(&settings_twice, None, &[]).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].to_string().starts_with("request.headers.x-a: stands twice"), "{faults:?}");
    for (auth, place) in [
        (Auth::Bearer { token: Secret::new("a\r\nb") }, "auth.token"),
        (Auth::Bearer { token: Secret::new("") }, "auth.token"),
        (Auth::Basic { username: Secret::new("a:b"), password: Secret::new("") }, "auth.username"),
        (Auth::ApiKey { place: KeyPlace::Query("".into()), key: Secret::new("k") }, "auth.query"),
    ] {
        let faults = Request::build(&settings("https://h/", Format::Json), Some(&auth), &[]).unwrap_err();
        assert_eq!(faults[0].place.as_str(), place, "{faults:?}");
    }
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,20}".prop_map(Into::into),
        Just("\r\nHost: evil\r\n\r\n&x=1#?%00".into()),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::hash_map(".{1,8}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever a lead holds: it reaches body and query only, encoded so that it stays one value, and never a header.
    #[test]
    fn hostile_values_stay_values(fields in proptest::collection::hash_map(".{1,8}", any_value(), 0..6)) {
        let json = serde_json::Value::Object(fields.into_iter().collect()).to_string();
        let heads: Vec<_> = [Format::Json, Format::Form, Format::Query].map(|format| {
            let request = Request::build(&settings("https://h/p?a=b", format), None, &[]).unwrap();
            (request.render(&lead("{}")).unwrap().headers, request)
        }).into();
        for (headers, request) in heads {
            let Ok(rendered) = request.render(&lead(&json)) else { continue };
            prop_assert_eq!(&rendered.headers, &headers);
            prop_assert!(rendered.url.starts_with("https://h/p?a=b"));
            prop_assert!(rendered.url.bytes().all(|b| b.is_ascii_graphic() && b != b'#'));
            prop_assert!(rendered.url.parse::<http::Uri>().is_ok());
            if request.format() == Format::Json {
                let back: serde_json::Value = serde_json::from_slice(&rendered.body).unwrap();
                prop_assert_eq!(back, serde_json::from_str::<serde_json::Value>(&json).unwrap());
            } else {
                let pairs = if request.format() == Format::Form { body(&rendered) } else { &rendered.url[15..] };
                prop_assert!(pairs.bytes().all(|b| b.is_ascii_graphic()));
                // What is decoded is what the lead held, in its order.
                let mut expected = Vec::new();
                flatten("", &lead(&json).fields, &mut expected);
                let decoded: Vec<(String, String)> = form_urlencoded::parse(pairs.trim_start_matches('&').as_bytes())
                    .map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
                prop_assert_eq!(decoded, expected);
            }
        }
    }
}

fn flatten(prefix: &str, fields: &steadfast_lead::Fields, out: &mut Vec<(String, String)>) {
    for (name, value) in fields.iter() {
        let path = format!("{prefix}{name}");
        match value {
            Value::Object(inner) => flatten(&format!("{path}."), inner, out),
            Value::List(values) => {
                out.extend(values.iter().map(|value| (path.clone(), value.as_plain().unwrap().to_owned())));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
                out.push((path, value.as_plain().unwrap().to_owned()));
            }
        }
    }
}
