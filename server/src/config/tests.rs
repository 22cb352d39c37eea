//! What the reader says about configs, good and bad.

use super::references::Surroundings;
use super::*;
use std::path::PathBuf;
use std::time::Duration;
use steadfast_lead::Timestamp;

/// Variables and files of a made-up surrounding; everything secret in it says so.
pub(super) fn read_text(text: &str) -> Result<Loaded, Problems> {
    let variable = |name: &str| match name {
        "TOKEN" => Some("s3cret-token".to_owned()),
        "HOST" => Some("bank.example".to_owned()),
        _ => None,
    };
    let file = |path: &str| match path {
        "token" => Ok("s3cret-file\n".to_owned()),
        _ => Err(format!("names the file {path:?}, which cannot be read: not found")),
    };
    let now = Timestamp::parse("2026-11-28T12:00:00Z").unwrap();
    read("test.toml", text.to_owned(), &Surroundings { variable: &variable, file: &file, now })
}

pub(super) fn refused(text: &str) -> String {
    match read_text(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(problems) => problems.plain(),
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Compares with a file of the repository; with `variable` set it writes the file instead.
pub(super) fn same_as_file(path: &str, text: &str, variable: &str) {
    let path = repository(path);
    if std::env::var_os(variable).is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = text.lines().zip(kept.lines().chain(std::iter::repeat(""))).find(|(now, kept)| now != kept);
    assert!(kept == text, "{} is stale; {variable}=1 rewrites it. First difference: {differs:?}", path.display());
}

const ENDPOINT: &str = "
[recipients.bank]
request.url = \"https://bank.example/leads\"
[[flows.auto.steps]]
id = \"sell\"
recipient = \"bank\"
";

#[test]
fn every_mistake_is_found_at_once_and_named() {
    let problems = read_text(include_str!("testdata/bad.toml")).unwrap_err();
    assert!(problems.count() >= 60, "{}", problems.count());
    let said = problems.plain();
    same_as_file("server/src/config/testdata/bad.txt", &said, "UPDATE_EXPECTED");
    for shown in [&said, &problems.with_source(false), &format!("{problems:?}"), &problems.to_string()] {
        let line = shown.lines().find(|line| line.contains("hunter2") || line.contains("12345678"));
        assert_eq!(line, None, "a credential is shown");
    }
}

#[test]
fn values_outside_the_specification_are_refused_by_name_line_and_range() {
    let cases = [
        ("max_retries", "0", "1 to 10"),
        ("max_retries", "11", "1 to 10"),
        ("max_retries", "-1", "1 to 10"),
        ("max_retries", "99999999999999999999", "1 to 10"),
        ("initial_delay", "\"999ms\"", "1s to 1m"),
        ("initial_delay", "\"61s\"", "1s to 1m"),
        ("multiplier", "1.4", "1.5 to 3.0"),
        ("multiplier", "1.499", "1.5 to 3.0"),
        ("multiplier", "3.001", "1.5 to 3.0"),
        ("multiplier", "-2.0", "1.5 to 3.0"),
        ("max_interval", "\"999ms\"", "1s to 5m"),
        ("max_interval", "\"301s\"", "1s to 5m"),
        ("total_timeout", "\"0s\"", "1s to 1h"),
        ("total_timeout", "\"3601s\"", "1s to 1h"),
        ("max_lead_age", "\"91d\"", "1s to 90d"),
        ("jitter", "1.001", "0.0 to 1.0"),
    ];
    for (key, value, allowed) in cases {
        let known = retry_keys::RETRY.keys.iter().find(|known| known.name == key).unwrap();
        assert!(known.allowed.starts_with(allowed), "the page says {} of {key}", known.allowed);
        let tables = [
            ("retry", "[retry]"),
            ("accounts.a.retry", "[accounts.a.retry]"),
            ("flows.auto.retry", "[flows.auto.retry]"),
            ("recipients.bank.retry", "[recipients.bank.retry]"),
            ("flows.auto.steps[0].retry", "[flows.auto.steps.retry]"),
            ("policies.mine", "[policies.mine]"),
        ];
        for (path, header) in tables {
            let said = refused(&format!("{ENDPOINT}{header}\n{key} = {value}\n"));
            let expected =
                format!("test.toml:8:{}: {path}.{key} = {value}: is out of range (allowed: {allowed}", key.len() + 4);
            assert!(said.starts_with(&expected), "{said}\n{expected}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
}

#[test]
fn bounds_themselves_are_allowed_and_extended_reaches_further() {
    let edges = [
        "max_retries = 1\ninitial_delay = \"1s\"\nmultiplier = 1.5\nmax_interval = \"1s\"\ntotal_timeout = \"1s\"",
        "max_retries = 10\ninitial_delay = \"60s\"\nmultiplier = 3\nmax_interval = \"5m\"\ntotal_timeout = \"3600s\"",
        "extended = true\nmax_retries = 1000\ninitial_delay = \"1ms\"\nmultiplier = 10.0\nmax_interval = \"1d\"",
    ];
    for edge in edges {
        assert!(read_text(&format!("{ENDPOINT}[retry]\n{edge}\n")).is_ok(), "{edge}");
    }
    assert!(refused("[retry]\nextended = true\nmax_retries = 1001\n").contains("allowed: 1 to 1000"));
    // A nearer level does not excuse what stands farther out.
    let hidden = "[flows.auto.retry]\nmax_retries = 50\n[flows.auto.steps.retry]\nmax_retries = 5\n";
    assert!(refused(&format!("{ENDPOINT}{hidden}")).contains("flows.auto.retry.max_retries = 50: is out of range"));
}

#[test]
fn the_nearest_of_five_levels_wins_key_by_key() {
    let text = "
[retry]
policy = \"aggressive\"
total_timeout = \"9m\"
[accounts.acme.retry]
max_retries = 6
initial_delay = \"3s\"
[flows.auto]
account = \"acme\"
in_doubt = \"hold\"
retry = { initial_delay = \"4s\", multiplier = 1.5 }
[recipients.bank]
retry = { multiplier = 2.5, max_interval = \"90s\" }
limits = { max_lead_age = \"2h\" }
in_doubt_delay = \"60s\"
request = { url = \"https://bank.example/\", timeout = \"7s\", headers = { X-A = \"1\" } }
[[flows.auto.steps]]
id = \"sell\"
recipient = \"bank\"
in_doubt = \"retry\"
retry = { max_interval = \"80s\", policy = \"mine\" }
request = { format = \"form\", headers = { x-b = \"2\" } }
[policies.mine]
extends = \"conservative\"
jitter = \"none\"
";
    let loaded = read_text(text).map_err(|problems| problems.plain()).unwrap();
    let plan = &loaded.book.flows["auto"].steps[0];
    let explained = steadfast_flow::Explained::of(plan);
    let shown: Vec<String> =
        explained.values.iter().map(|v| format!("{} = {} from {}", v.key, v.value, v.origin)).collect();
    for expected in [
        "policy = mine from step sell",
        "max_retries = 2 from step sell (policy mine)",
        "initial_delay = 5s from step sell (policy mine)",
        "max_interval = 80s from step sell",
        "jitter = none from step sell (policy mine)",
        "max_lead_age = 2h from limits of recipient bank",
        "count_holds = false from built-in default",
    ] {
        assert!(shown.iter().any(|line| line == expected), "{expected}: {shown:#?}");
    }
    let floor = Duration::from_secs(60);
    assert_eq!(plan.in_doubt, steadfast_retry::InDoubt::Retry { floor });
    assert_eq!(plan.request.format(), steadfast_flow::Format::Form);
    assert_eq!(plan.request.timeouts().total, Duration::from_secs(7));

    let plain = text.replace(", policy = \"mine\"", "");
    let loaded = read_text(&plain).map_err(|problems| problems.plain()).unwrap();
    let explained = steadfast_flow::Explained::of(&loaded.book.flows["auto"].steps[0]);
    let origin =
        |key: &str| explained.values.iter().find(|v| v.key.name() == key).map(|v| (v.value.clone(), v.origin.clone()));
    let expected = |value: &str, origin: &str| Some((value.to_owned(), origin.to_owned()));
    assert_eq!(origin("total_timeout"), expected("9m", "system"));
    assert_eq!(origin("backoff"), expected("exponential", "system (policy aggressive)"));
    assert_eq!(origin("max_retries"), expected("6", "account acme"));
    assert_eq!(origin("initial_delay"), expected("4s", "flow auto"));
    assert_eq!(origin("multiplier"), expected("2.5", "recipient bank"));
    assert_eq!(origin("max_interval"), expected("80s", "step sell"));
}

#[test]
fn credentials_are_fetched_and_never_printed() {
    let text = "
[server]
keys = [{ name = \"web\", hash = \"sha256:abababababababababababababababababababababababababababababababab\", scopes = [\"ingest\"] }]
[recipients.bank]
request = { url = \"https://${HOST}/hook/s3cret-path\", headers = { X-Sign = \"${TOKEN}\" } }
auth = { type = \"bearer\", token = \"${TOKEN}\" }
[recipients.file]
request = { url = \"https://b.example/\" }
auth = { type = \"api_key\", query = \"key\", key = \"file:token\" }
[recipients.basic]
request = { url = \"https://c.example/\" }
auth = { type = \"basic\", username = \"me\", password = \"s3cret-word\" }
[[flows.auto.steps]]
id = \"a\"
recipient = \"bank\"
[[flows.auto.steps]]
id = \"b\"
recipient = \"file\"
[[flows.auto.steps]]
id = \"c\"
recipient = \"basic\"
";
    let loaded = read_text(text).map_err(|problems| problems.plain()).unwrap();
    let lead = lead();
    let steps = &loaded.book.flows["auto"].steps;
    let rendered: Vec<_> = steps.iter().map(|step| step.render(&lead).unwrap()).collect();
    let header = |index: usize, name: &str| {
        let headers: &Vec<(http::HeaderName, http::HeaderValue)> = &rendered[index].headers;
        headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_str().unwrap().to_owned())
    };
    assert_eq!(header(0, "authorization").unwrap(), "Bearer s3cret-token");
    assert_eq!(header(0, "x-sign").unwrap(), "s3cret-token");
    assert_eq!(&*rendered[1].url, "https://b.example/?key=s3cret-file");
    assert_eq!(header(2, "authorization").unwrap(), "Basic bWU6czNjcmV0LXdvcmQ=");
    let all = format!("{loaded:?} {:?} {rendered:?} {steps:?}", loaded.book);
    assert!(!all.contains("s3cret") && !all.contains("bWU6") && !all.contains("abab"), "{all}");
}

/// A lead of those fields, accepted at the epoch.
pub(super) fn lead_of(json: &str) -> steadfast_lead::Lead {
    let fields = steadfast_lead::parse_object(json.as_bytes(), steadfast_lead::JsonLimits::LEAD).unwrap();
    steadfast_lead::Lead { fields, ..lead() }
}

fn lead() -> steadfast_lead::Lead {
    let mut fields = steadfast_lead::Fields::new();
    fields.insert("email", steadfast_lead::Value::text("a@b.example")).unwrap();
    steadfast_lead::Lead {
        id: steadfast_lead::LeadId::from_raw(1).unwrap(),
        flow: steadfast_lead::FlowName::new("auto").unwrap(),
        source: None,
        accepted_at: Timestamp::default(),
        test: false,
        fields,
    }
}

#[test]
fn missing_references_name_the_key() {
    let auth = |token: &str| format!("{ENDPOINT}[recipients.bank.auth]\ntype = \"bearer\"\ntoken = \"{token}\"\n");
    let said = refused(&auth("${MISSING}"));
    assert_eq!(
        said,
        "test.toml:9:9: recipients.bank.auth.token: needs the environment variable MISSING, which is not set (allowed: 1 to \
         16384 bytes)\n"
    );
    assert!(refused(&auth("file:nope")).contains("recipients.bank.auth.token: names the file \"nope\""));
    assert!(
        refused("[store]\npath = \"${MISSING}\"")
            .contains("store.path = \"${MISSING}\": needs the environment variable")
    );
    // What came from the environment is not shown: the reference is.
    assert!(
        refused(&format!("{ENDPOINT}[recipients.bank.retry]\npolicy = \"${{TOKEN}}\""))
            .contains("policy = \"${TOKEN}\"")
    );
    assert!(!refused(&format!("{ENDPOINT}[recipients.bank.retry]\npolicy = \"${{TOKEN}}\"")).contains("s3cret"));
}

#[test]
fn warnings_tell_what_is_hardly_meant() {
    let text = ENDPOINT.replace("https", "http")
        + "retry = { max_retries = 10 }\nauth = { type = \"bearer\", token = \"t\" }\nrequest = { method = \"GET\", format = \"form\" }\n";
    let loaded = read_text(&text).map_err(|problems| problems.plain()).unwrap();
    let said = loaded.warnings.plain();
    for expected in [
        "test.toml:7:25: flows.auto.steps[0].retry.max_retries: 10 retries need at least 362s, total_timeout is 5m: at most 8 of them will start",
        "GET carries no body",
        "credentials go to an http:// address",
        "every 2xx answer counts as sold (1 step(s))",
    ] {
        assert!(said.contains(expected), "{expected}:\n{said}");
    }
    assert_eq!(loaded.warnings.count(), 4, "{said}");
}

#[test]
fn listening_beyond_loopback_needs_keys() {
    assert!(
        refused("[server]\nlisten = \"0.0.0.0:80\"\n")
            .contains("server.listen = \"0.0.0.0:80\": listens beyond loopback")
    );
    let keys = "[[server.keys]]\nname = \"a\"\nscopes = [\"read\"]\nhash = \"sha256:";
    let text = format!("[server]\nlisten = \"0.0.0.0:80\"\n{keys}{}\"\n", "0".repeat(64));
    assert!(read_text(&text).is_ok());
}

#[test]
fn a_file_that_is_no_config_is_refused_whole() {
    let syntax = refused("[retry\nx = \"s3cret\n\na = = 1\n");
    assert!(syntax.starts_with("test.toml:1:"), "{syntax}");
    assert!(syntax.lines().count() >= 2 && !syntax.contains("s3cret"), "{syntax}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    assert!(load(&path).unwrap_err().plain().contains("cannot be read"));
    std::fs::write(&path, b"a = \"\xff\"").unwrap();
    assert!(load(&path).unwrap_err().plain().contains("is not UTF-8: the byte at 5"));
    std::fs::write(&path, vec![b'#'; CONFIG_BYTES_MAX + 1]).unwrap();
    assert!(load(&path).unwrap_err().plain().contains("is larger than 1048576 bytes"));
    std::fs::write(&path, vec![b'#'; CONFIG_BYTES_MAX]).unwrap();
    assert!(load(&path).is_ok());
}

/// As many mistakes as fit into the largest file: told within the time of a test, and no more than can be read.
#[test]
fn a_file_full_of_mistakes_is_still_read() {
    let mut text = String::new();
    for number in 0..12_000 {
        text.push_str(&format!("[[flows.f{number}.steps]]\nid = \"s\"\nrecipient = \"r\"\nretry.max_retries = 11\n"));
    }
    text.push_str("[recipients.r]\n");
    assert!(text.len() < CONFIG_BYTES_MAX);
    let problems = read_text(&text).unwrap_err();
    assert_eq!(problems.count(), 24_001, "{}", problems.plain().lines().last().unwrap_or_default());
    assert_eq!(problems.plain().lines().count(), 501);
    assert!(problems.plain().ends_with("... and 23501 more\n"));
}

#[test]
fn the_reference_page_is_up_to_date() {
    same_as_file("docs/config.md", &reference_page(), "UPDATE_DOCS");
}

/// The page's examples of defaults hold: a config that says nothing has them.
#[test]
fn defaults_are_those_of_the_page() {
    let loaded = read_text(ENDPOINT).map_err(|problems| problems.plain()).unwrap();
    let explained = steadfast_flow::Explained::of(&loaded.book.flows["auto"].steps[0]);
    for key in retry_keys::RETRY.keys.iter().filter(|key| !matches!(key.name, "policy" | "retry_on")) {
        let value = explained.values.iter().find(|value| value.key.name() == key.name).unwrap();
        assert_eq!(key.default.trim_matches('"'), value.value, "{}", key.name);
    }
    let timeouts = loaded.book.flows["auto"].steps[0].request.timeouts();
    assert_eq!((timeouts.total, timeouts.connect), (Duration::from_secs(30), Duration::from_secs(10)));
    assert_eq!(loaded.server.listen.to_string(), "127.0.0.1:8080");
}

mod hostile {
    use super::*;
    use proptest::prelude::*;

    /// Pieces that mean something to the reader, so that mutations reach deep.
    const PIECES: [&str; 24] = [
        "[",
        "]",
        "\"",
        "=",
        "\n",
        "{",
        "}",
        ".",
        ",",
        "[[",
        "]]",
        "1",
        "-9",
        "99999999999999999999",
        "\"1d\"",
        "true",
        "${",
        "[retry]",
        "policy = \"x\"",
        "file:",
        "ü",
        "\u{0}",
        "1e999",
        "2026-01-01",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_text_makes_the_reader_panic(
            bad in any::<bool>(),
            edits in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..12, 0_usize..24), 1..12),
        ) {
            let mut text = if bad { include_str!("testdata/bad.toml") } else { include_str!("../command/starter.toml") }.to_owned();
            for (at, cut, piece) in edits {
                let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
                let from = at.index(starts.len());
                let to = (from + cut).min(starts.len() - 1);
                text.replace_range(starts[from]..starts[to], PIECES[piece]);
            }
            if let Err(problems) = read_text(&text) {
                prop_assert!(problems.count() > 0);
                prop_assert!(!problems.plain().is_empty());
                prop_assert!(!problems.with_source(false).is_empty());
            }
        }
    }
}
