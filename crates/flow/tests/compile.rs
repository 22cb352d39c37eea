//! Settings to a book: what is resolved, what is refused, and where each fault is said to stand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set up ends the test")]

use http::HeaderName;
use std::time::Duration;
use steadfast_flow::{
    Address, Book, FlowSettings, Format, Header, InDoubtMode, InDoubtSettings, RecipientSettings, RequestSettings,
    Secret, Settings, StepSettings,
};
use steadfast_lead::{AccountName, FlowName, PolicyName, Priority, RecipientName, StepName};
use steadfast_retry::pace::ConcurrencyLimit;
use steadfast_retry::policy::{CustomPolicy, Key, Layer, Limits, Policies};
use steadfast_retry::reading::{MatchSettings, OutcomeWord, RuleSettings};
use steadfast_retry::{Answer, Evidence, InDoubt, LookUpAnswer};

fn flow_name() -> FlowName {
    FlowName::new("auto").unwrap()
}

fn bank() -> RecipientName {
    RecipientName::new("bank").unwrap()
}

fn account(name: &str) -> AccountName {
    AccountName::new(name).unwrap()
}

fn url(text: &str) -> RequestSettings {
    RequestSettings { url: Some(Address::parse(text).unwrap()), ..RequestSettings::default() }
}

fn step(id: &str) -> StepSettings {
    StepSettings {
        id: StepName::new(id).unwrap(),
        recipient: bank(),
        retry: Layer::default(),
        in_doubt: InDoubtSettings::default(),
        priority: None,
        request: RequestSettings::default(),
        auth: None,
        response: Default::default(),
        rules: Vec::new(),
        duplicates: None,
        test_leads: None,
        shadow: false,
        sale: Default::default(),
        terms: Default::default(),
        fallbacks: Vec::new(),
        candidates: Vec::new(),
        balance: Default::default(),
        follow_ups: Default::default(),
        caps: Default::default(),
    }
}

fn settings() -> Settings {
    let recipient = RecipientSettings { request: url("https://API.bank.example/x"), ..RecipientSettings::default() };
    let flow = FlowSettings { steps: vec![step("sell"), step("copy")], ..FlowSettings::default() };
    let mut settings = Settings::default();
    settings.recipients.insert(bank(), recipient);
    settings.flows.insert(flow_name(), flow);
    settings
}

fn flow(settings: &mut Settings) -> &mut FlowSettings {
    settings.flows.get_mut("auto").unwrap()
}

fn recipient(settings: &mut Settings) -> &mut RecipientSettings {
    settings.recipients.get_mut("bank").unwrap()
}

fn said(settings: &Settings) -> Vec<String> {
    settings.compile(1).unwrap_err().iter().map(ToString::to_string).collect()
}

fn retries(number: u32) -> Layer {
    Layer { max_retries: Some(number), ..Layer::default() }
}

#[test]
fn a_step_is_resolved_with_everything_it_is_laid_over() {
    let mut settings = settings();
    settings.system = retries(2);
    let given =
        |name: &'static str, value: &str| Header { name: HeaderName::from_static(name), value: Secret::new(value) };
    recipient(&mut settings).request.headers = vec![given("x-a", "1"), given("x-b", "2")];
    recipient(&mut settings).request.timeout = Some(Duration::from_secs(3));
    recipient(&mut settings).protection.concurrency = Some(ConcurrencyLimit::Fixed(8));
    recipient(&mut settings).limits = Limits { max_retries: Some(0), max_lead_age: None };
    recipient(&mut settings).in_doubt.delay = Some(Duration::from_secs(60));
    flow(&mut settings).in_doubt =
        InDoubtSettings { mode: Some(InDoubtMode::Hold), delay: Some(Duration::ZERO), ..InDoubtSettings::default() };
    flow(&mut settings).priority = Some(Priority::High);
    flow(&mut settings).steps[1].in_doubt.mode = Some(InDoubtMode::Retry);
    flow(&mut settings).steps[1].priority = Some(Priority::Low);
    flow(&mut settings).steps[1].request =
        RequestSettings { headers: vec![given("x-b", "3")], format: Some(Format::Form), ..RequestSettings::default() };
    let book = settings.compile(9).unwrap();
    assert_eq!(book.version, 9);
    assert_eq!(book.recipients["bank"].pace.concurrency, ConcurrencyLimit::Fixed(8));
    let [sell, copy] = &book.flows["auto"].steps[..] else { panic!("two steps") };
    assert_eq!(sell.endpoint.to_string(), "bank at https://api.bank.example:443");
    assert_eq!((sell.in_doubt, sell.priority), (InDoubt::Hold, Priority::High));
    assert_eq!(copy.in_doubt, InDoubt::Retry { floor: Duration::from_secs(60) });
    assert_eq!((copy.priority, copy.request.format()), (Priority::Low, Format::Form));
    assert_eq!(copy.request.timeouts().total, Duration::from_secs(3));
    // Opening a connection cannot take longer than the whole attempt.
    assert_eq!(copy.request.timeouts().connect, Duration::from_secs(3));
    assert_eq!(sell.retry.policy.retries_allowed(), 0);
    assert_eq!(sell.retry.origins[&Key::Enabled].to_string(), "limits of recipient bank");
}

#[test]
fn every_fault_is_said_once_where_it_stands() {
    let mut settings = settings();
    settings.system = retries(11);
    flow(&mut settings).retry = Layer { initial_delay: Some(Duration::from_secs(61)), ..Layer::default() };
    flow(&mut settings).steps[1].retry = Layer { policy: Some(PolicyName::new("nope").unwrap()), ..Layer::default() };
    flow(&mut settings).steps[0].request.timeout = Some(Duration::from_millis(99));
    recipient(&mut settings).request.response_bytes_max = Some(1);
    let said = said(&settings);
    let starts = [
        "retry.max_retries = 11: is out of range",
        "recipients.bank.request.response_bytes_max = 1: is out of range",
        "flows.auto.retry.initial_delay = 61s: is out of range",
        "flows.auto.steps[0].request.timeout = 99ms: is out of range (allowed: 100ms to 5m)",
        "flows.auto.steps[1].retry.policy = \"nope\": is not a policy (allowed: conservative, standard",
    ];
    assert_eq!(said.len(), starts.len(), "{said:#?}");
    for (line, start) in said.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
}

#[test]
fn a_value_a_policy_brings_is_said_at_the_policy_or_at_its_use() {
    let mut with = settings();
    let name = PolicyName::new("long").unwrap();
    let long = CustomPolicy { extends: None, layer: retries(50) };
    with.policies = Policies::new([(name.clone(), long)].into());
    with.system.policy = Some(name);
    assert_eq!(said(&with).len(), 1);
    assert!(said(&with)[0].starts_with("policies.long.max_retries = 50: is out of range"), "{:?}", said(&with));

    // A built-in policy has no line: the fault stands where it is used.
    let mut with = settings();
    with.system.policy = Some(PolicyName::new("outage").unwrap());
    flow(&mut with).retry.extended = Some(false);
    let said = said(&with);
    assert!(said.iter().all(|line| line.starts_with("retry.policy: brings ")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("max_retries = 100, which is out of range")), "{said:?}");
}

#[test]
fn accounts_keep_to_themselves() {
    let mut settings = settings();
    settings.accounts.insert(account("one"), Default::default());
    settings.accounts.insert(account("two"), Default::default());
    recipient(&mut settings).account = Some(account("one"));
    assert!(settings.compile(1).is_ok(), "a flow of nobody may use anybody's recipient");
    flow(&mut settings).account = Some(account("two"));
    let found = said(&settings);
    assert!(
        found[0].contains("steps[0].recipient = \"bank\": belongs to account one, the flow to account two"),
        "{found:?}"
    );
    flow(&mut settings).account = Some(account("three"));
    assert!(said(&settings)[0].starts_with("flows.auto.account = \"three\": is not an account (allowed: one, two)"));
}

#[test]
fn a_recipients_account_speaks_where_the_flow_has_none() {
    let mut settings = settings();
    settings.accounts.entry(account("one")).or_default().retry = retries(7);
    recipient(&mut settings).account = Some(account("one"));
    let book = settings.compile(1).unwrap();
    let retry = &book.flows["auto"].steps[0].retry;
    assert_eq!(retry.policy.max_retries.get(), 7);
    assert_eq!(retry.origins[&Key::MaxRetries].to_string(), "account one");
}

#[test]
fn two_levels_contradict_only_when_nothing_nearer_settles_it() {
    let mut settings = settings();
    settings.system.max_interval = Some(Duration::from_secs(10));
    flow(&mut settings).retry.initial_delay = Some(Duration::from_secs(30));
    let found = said(&settings);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("retry.max_interval: max_interval = 10s is shorter than initial_delay = 30s"),
        "{found:?}"
    );
    for step in &mut flow(&mut settings).steps {
        step.retry.max_interval = Some(Duration::from_secs(30));
    }
    assert!(settings.compile(1).is_ok());
}

#[test]
fn a_row_of_policies_may_be_long_but_not_endless() {
    let name = |number: usize| PolicyName::new(&format!("p{number}")).unwrap();
    let row = |length: usize| {
        let one = |number| {
            let extends = (number > 0).then(|| name(number - 1));
            (name(number), CustomPolicy { extends, layer: Layer::default() })
        };
        Settings { policies: Policies::new((0..length).map(one).collect()), ..settings() }
    };
    assert!(row(steadfast_flow::EXTENDS_MAX + 1).compile(1).is_ok());
    let found = said(&row(steadfast_flow::EXTENDS_MAX + 2));
    assert_eq!(found, ["policies.p17.extends: has more than 16 policies above it (allowed: at most 16 in a row)"]);
    // Every policy beyond the bound is named, and finding them costs no more than their number.
    assert_eq!(said(&row(20_000)).len(), 20_000 - 17);
}

#[test]
fn verify_asks_with_a_request_of_its_own() {
    let mut settings = settings();
    flow(&mut settings).in_doubt.mode = Some(InDoubtMode::Verify);
    let found = said(&settings);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("flows.auto.steps[0].verify.url"), "{found:?}");
    recipient(&mut settings).in_doubt.look_up.request =
        url("https://api.bank.example/status?of={{ delivery_id }}&mail={{ email }}");
    flow(&mut settings).steps[1].in_doubt.look_up.request = url("https://other.example/status");
    let book = settings.compile(1).unwrap();
    let steps = &book.flows["auto"].steps;
    let mut fields = steadfast_lead::Fields::new();
    fields.insert("email", steadfast_lead::Value::text("ann@x.example")).unwrap();
    fields.insert("delivery_id", steadfast_lead::Value::text("forged")).unwrap();
    let mut ids = steadfast_lead::IdSequence::resuming(steadfast_lead::NodeNumber(0), None);
    let now = steadfast_lead::Timestamp::from_millis(1_800_000_000_000);
    let lead = steadfast_lead::Lead {
        id: ids.next(now),
        flow: flow_name(),
        source: None,
        accepted_at: now,
        test: false,
        fields,
    };
    let deliveries = book.flows["auto"].deliveries(&lead, &mut ids);
    let asked = |step: usize| {
        let look_up = steps[step].look_up.as_ref().unwrap();
        look_up.render(&lead, &deliveries[step]).unwrap()
    };
    let (id, rendered) = (deliveries[0].id, asked(0));
    assert_eq!((rendered.method.as_str(), rendered.body.len()), ("GET", 0));
    assert_eq!(&*rendered.url, format!("https://api.bank.example/status?of={id}&mail=ann%40x.example"));
    let id = deliveries[1].id;
    assert_eq!(&*asked(1).url, format!("https://other.example/status?delivery_id={id}&idempotency_key={id}"));
    assert_eq!(&*steps[1].look_up.as_ref().unwrap().endpoint.origin, "https://other.example:443");
}

fn verifying() -> Settings {
    let mut settings = settings();
    flow(&mut settings).in_doubt.mode = Some(InDoubtMode::Verify);
    recipient(&mut settings).in_doubt.look_up.request = url("https://api.bank.example/status");
    settings
}

fn rule(name: &str, status: &str, outcome: OutcomeWord) -> RuleSettings {
    let matches = MatchSettings { status: vec![status.into()], ..MatchSettings::default() };
    RuleSettings { name: Some(name.into()), matches, outcome: Some(outcome), ..RuleSettings::default() }
}

fn looked_up(book: &Book, status: u16, body: &'static str) -> (LookUpAnswer, String) {
    let headers = vec![("content-type".into(), "application/json".into())];
    let answer = Answer { status, headers, body_bytes: 0, body: body.into() };
    let look_up = book.flows["auto"].steps[0].look_up.as_ref().unwrap();
    let verdict = look_up.reading.read(&Evidence::of_answer(answer));
    (LookUpAnswer::of(&verdict), verdict.decided_by.into())
}

#[test]
fn look_ups_are_read_by_a_table_and_rules_of_their_own() {
    let mut settings = verifying();
    // What a lead's answers mean is not asked.
    recipient(&mut settings).response.outcome_search_term = Some("accepted".into());
    recipient(&mut settings).rules = vec![rule("theirs", "404", OutcomeWord::Error)];
    let book = settings.compile(1).unwrap();
    assert_eq!(looked_up(&book, 200, "{}"), (LookUpAnswer::Found, "status 2xx".into()));
    assert_eq!(looked_up(&book, 404, "{}"), (LookUpAnswer::NotFound, "status 404, 410".into()));
    // Levels lie over each other: the table key by key, the rules in front of each other.
    let look_up = &mut recipient(&mut settings).in_doubt.look_up;
    look_up.response.outcome_search_path = Some("lead.state".into());
    look_up.response.outcome_search_term = Some("stored".into());
    look_up.rules = vec![rule("gone", "410", OutcomeWord::Success), rule("far", "404", OutcomeWord::Success)];
    flow(&mut settings).in_doubt.look_up.rules = vec![rule("farthest", "410", OutcomeWord::Error)];
    let look_up = &mut flow(&mut settings).steps[0].in_doubt.look_up;
    look_up.response.outcome_search_term = Some("known".into());
    look_up.rules = vec![rule("not yet", "404", OutcomeWord::Error)];
    let book = settings.compile(1).unwrap();
    for (status, body, answer, decided_by) in [
        (200, r#"{"lead":{"state":"known"}}"#, LookUpAnswer::Found, "outcome_search_term"),
        (200, r#"{"lead":{"state":"stored"}}"#, LookUpAnswer::NotFound, "outcome_search_term not found"),
        (200, r#"{"error":"try later"}"#, LookUpAnswer::Unknown, "outcome_search_path selects nothing"),
        (404, "{}", LookUpAnswer::Unknown, "not yet"),
        (410, "{}", LookUpAnswer::Found, "gone"),
    ] {
        assert_eq!(looked_up(&book, status, body), (answer, decided_by.into()), "{status} {body}");
    }
}

#[test]
fn what_is_wrong_with_a_look_ups_table_is_said_where_it_was_written() {
    let mut settings = verifying();
    flow(&mut settings).in_doubt.look_up.response.outcome_search_term = Some("/[/".into());
    recipient(&mut settings).in_doubt.look_up.rules = vec![RuleSettings::default()];
    let bad = RuleSettings { kind: Some("lost".into()), ..rule("x", "404", OutcomeWord::Error) };
    flow(&mut settings).steps[1].in_doubt.look_up.rules = vec![rule("fine", "404", OutcomeWord::Error), bad];
    let places: Vec<String> = said(&settings).iter().map(|text| text.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(
        places,
        [
            "flows.auto.verify.response.outcome_search_term = \"/[/\"",
            "recipients.bank.verify.rules[0].match",
            "recipients.bank.verify.rules[0].outcome",
            "flows.auto.steps[1].verify.rules[1].kind = \"lost\"",
        ]
    );
    flow(&mut settings).in_doubt.mode = Some(InDoubtMode::Hold);
    assert!(settings.compile(1).is_ok(), "it may stand ready for another mode");
}

#[test]
fn a_look_up_that_hardly_reads_as_meant_is_warned_of() {
    let warned = |settings: &Settings| -> Vec<String> {
        let all = settings.warnings(&settings.compile(1).unwrap());
        let own = all.iter().filter(|warning| warning.place.to_string().contains("steps[0].verify"));
        own.map(|warning| format!("{}: {}", warning.place, warning.text)).collect()
    };
    let mut settings = verifying();
    let by_status = warned(&settings);
    assert_eq!(by_status.len(), 1, "{by_status:?}");
    assert!(by_status[0].contains("every 2xx answer to a look-up counts as found"), "{by_status:?}");
    let table = &mut recipient(&mut settings).in_doubt.look_up.response;
    table.outcome_search_term = Some("known".into());
    table.on_unrecognized = Some(OutcomeWord::Failure);
    let found = warned(&settings);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("\"not known\", which then counts as found"), "{found:?}");
    assert!(
        found[1].contains("does not hold the term means that the lead is not there and is sent again"),
        "{found:?}"
    );
    assert!(found[2].contains("the page of an outage means that the lead is not there"), "{found:?}");
    let table = &mut recipient(&mut settings).in_doubt.look_up.response;
    table.outcome_search_path = Some("state".into());
    table.outcome_search_term = Some("/^known$/".into());
    table.on_unrecognized = None;
    assert_eq!(warned(&settings), Vec::<String>::new());
}
