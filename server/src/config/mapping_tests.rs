//! The example of the mapping page, as an operator would run it, and what the reader says about bodies.

use super::tests::{lead_of, read_text, refused};
use super::*;

fn example() -> Loaded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/mapping.toml");
    load(&path).map_err(|problems| problems.plain()).unwrap()
}

const LEAD: &str = r#"{"first_name":"JO","last_name":"o'neil","mail":"Jo@EXAMPLE.com","phone":"(312) 555-0142","state":"illinois","zip":"60601","dob":"2/3/1980","loan_amount":"$12,500","homeowner":"yes"}"#;

#[test]
fn the_example_sends_what_its_page_says() {
    let loaded = example();
    let lead = lead_of(LEAD);
    let rendered: Vec<_> = loaded.book.flows["loans"].steps.iter().map(|step| step.render(&lead).unwrap()).collect();
    let body = |index: usize| std::str::from_utf8(&rendered[index].body).unwrap();
    assert_eq!(&*rendered[0].url, "https://json-buyer.example/v2/leads/il?source=web");
    let region = rendered[0].headers.iter().find(|(name, _)| name == "x-region").unwrap();
    assert_eq!(region.1, "Midwest");
    let json = r#"{"name":{"first":"Jo","last":"O'neil"},"contact":{"email":"Jo@example.com","phones":[{"type":"primary","number":"+13125550142"}]},"birth_date":"02/03/1980","loan":{"amount":12500,"cents":1250000},"email_sha256":""#;
    assert!(body(0).starts_with(json), "{}", body(0));
    assert!(body(0).ends_with(r#"","received":"1969-12-31 18:00","version":3}"#), "{}", body(0));
    assert_eq!(
        body(1),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><lead xmlns=\"urn:example:lead\"><contact type=\"home\">\
         <name>JO o&apos;neil</name><phone>13125550142</phone></contact><loan><amount>12500</amount></loan></lead>"
    );
    assert!(body(2).contains("<Name>JO o&apos;neil</Name>\n  <Phone>+13125550142</Phone>"), "{}", body(2));
}

/// Every filter and key the page names is known, and none is left out of it.
#[test]
fn the_page_names_every_filter_and_key() {
    let page = include_str!("../../../docs/mapping.md");
    for key in ["body", "content_type", "strict", "soap_version", "soap_action", "soap_header"] {
        assert!(page.contains(key), "{key}");
    }
    for kind in steadfast_flow::FieldType::ALL {
        assert!(page.contains(&format!("`{}`", kind.name())), "{}", kind.name());
    }
    for filter in steadfast_flow::template_filters() {
        let named = [format!("`{filter}`"), format!("`{filter}("), format!("| {filter}`")];
        assert!(named.iter().any(|named| page.contains(named)), "{filter}");
    }
}

const STEP: &str = "
[flows.auto]
fields = { email = \"email\" }
[[flows.auto.steps]]
id = \"sell\"
recipient = \"bank\"
[recipients.bank]
request.url = \"https://bank.example/\"
";

#[test]
fn mistakes_in_bodies_have_their_line_and_key() {
    let cases = [
        (
            "request.body.name.first = \"{{ emial }}\"\n",
            "test.toml:9:27: recipients.bank.request.body.name.first: names \"emial\", which is not a field of this flow (allowed: email)",
        ),
        (
            "request.body.a = 1979-05-27\n",
            "test.toml:9:18: recipients.bank.request.body.a = 1979-05-27: is a date or time, not a text",
        ),
        (
            "request.body.a = inf\n",
            "test.toml:9:18: recipients.bank.request.body.a = inf: is not a number that can be sent",
        ),
        (
            "request.body = \"{{ email }} ${TOKEN}\"\n",
            "test.toml:9:16: recipients.bank.request.body: is a template, which names secrets as",
        ),
        (
            "request.headers.x-a = \"{{ email }} ${TOKEN}\"\n",
            "test.toml:9:23: recipients.bank.request.headers.x-a: is a template",
        ),
        (
            "request.soap_version = \"2\"\n",
            "recipients.bank.request.soap_version = \"2\": is not a word known here (allowed: 1.1, 1.2)",
        ),
        ("request.format = \"soap\"\n", "test.toml:4:1: flows.auto.steps[0].request.body: is missing"),
        ("[tables]\na = 1\n", "tables.a = 1: is a whole number, not a table"),
        ("[secrets]\na = \"${MISSING}\"\n", "secrets.a: needs the environment variable MISSING"),
    ];
    for (mistake, expected) in cases {
        let said = refused(&format!("{STEP}{mistake}"));
        assert!(said.contains(expected), "{expected}\n{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn nested_tables_lists_and_dotted_keys_are_one_body() {
    let nested = "[recipients.bank.request.body]\na.b = 1\nlist = [\"x\", { y = 1.50, z = [] }]\n\"a.c\" = true\n";
    let loaded = read_text(&format!("{STEP}{nested}")).map_err(|problems| problems.plain()).unwrap();
    let rendered = loaded.book.flows["auto"].steps[0].render(&lead_of("{}")).unwrap();
    let expected = r#"{"a":{"b":1,"c":true},"list":["x",{"y":1.50,"z":[]}]}"#;
    assert_eq!(std::str::from_utf8(&rendered.body).unwrap(), expected);
}

#[test]
fn a_soap_fault_is_an_error_whatever_its_status() {
    use steadfast_retry::{Answer, Evidence};
    let soap = "[recipients.bank.request]\nurl = \"https://bank.example/\"\nformat = \"soap\"\nbody = { Submit = \"{{ email }}\" }\n";
    let text = STEP.replace("[recipients.bank]\nrequest.url = \"https://bank.example/\"\n", soap);
    let loaded = read_text(&text).map_err(|problems| problems.plain()).unwrap();
    let reading = &loaded.book.flows["auto"].steps[0].reading;
    let envelope = |namespace: &str, inner: &str| {
        format!("<s:Envelope xmlns:s=\"{namespace}\"><s:Body>{inner}</s:Body></s:Envelope>")
    };
    let [one, two] = steadfast_flow::SoapVersion::ALL.map(steadfast_flow::SoapVersion::namespace);
    let cases = [
        (200, one, "<s:Fault><faultcode>s:Server</faultcode></s:Fault>", Some("server_error")),
        (500, one, "<s:Fault><faultcode>s:Client</faultcode></s:Fault>", Some("client_error")),
        (400, two, "<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code></s:Fault>", Some("client_error")),
        (200, two, "<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code></s:Fault>", Some("server_error")),
        (200, one, "<Faulty>no Fault here</Faulty>", None),
    ];
    for (status, namespace, inner, kind) in cases {
        let body = bytes::Bytes::from(envelope(namespace, inner));
        let headers = vec![("content-type".into(), "text/xml; charset=utf-8".into())];
        let verdict = reading.read(&Evidence::of_answer(Answer { status, headers, body_bytes: 0, body }));
        assert_eq!(verdict.outcome.kind_name(), kind, "{inner}: {verdict:?}");
    }
}
