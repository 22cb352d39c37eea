//! Several endpoints of a leg become its candidates: what each is laid over, what bars it, what a step that sends to all becomes,
//! and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set up ends the test")]

use std::fmt::Display;
use std::sync::Arc;
use steadfast_flow::{
    Address, Auth, BalancePlan, BalanceSettings, CANDIDATES_MAX, CandidateSettings, Explained, FlowSettings,
    LegSettings, RecipientSettings, RequestSettings, SaleMode, Secret, Settings, StepSettings,
};
use steadfast_lead::{CandidateName, Fields, FlowName, RecipientName, StepName, Timestamp, Value};
use steadfast_retry::policy::Layer;
use steadfast_retry::{Balance, CapPer, Criterion, Follow, StateName};

fn recipient(name: &str) -> RecipientName {
    RecipientName::new(name).unwrap()
}

fn url(text: &str) -> RequestSettings {
    RequestSettings { url: Some(Address::parse(text).unwrap()), ..RequestSettings::default() }
}

fn candidate(name: &str) -> CandidateSettings {
    CandidateSettings {
        name: CandidateName::new(name).unwrap(),
        way: LegSettings { request: url(&format!("https://{name}.example/leads")), ..LegSettings::default() },
        weight: None,
        cost: None,
        regions: Vec::new(),
        regulations: Vec::new(),
    }
}

fn step(id: &str, candidates: Vec<CandidateSettings>, balance: BalanceSettings) -> StepSettings {
    StepSettings {
        id: StepName::new(id).unwrap(),
        recipient: recipient("bank"),
        retry: Layer { max_retries: Some(5), ..Layer::default() },
        in_doubt: Default::default(),
        priority: None,
        request: RequestSettings::default(),
        auth: Some(Auth::Bearer { token: Secret::new("bank's own") }),
        response: Default::default(),
        rules: Vec::new(),
        duplicates: None,
        test_leads: None,
        sale: Default::default(),
        caps: Default::default(),
        terms: Default::default(),
        shadow: Default::default(),
        candidates,
        balance,
        fallbacks: Vec::new(),
        follow_ups: Default::default(),
    }
}

fn settings(candidates: Vec<CandidateSettings>, balance: BalanceSettings) -> Settings {
    let mut settings = Settings::default();
    settings.recipients.insert(recipient("bank"), RecipientSettings::default());
    let mill = RecipientSettings { request: url("https://mill.example/in"), ..RecipientSettings::default() };
    settings.recipients.insert(recipient("mill"), mill);
    let steps = vec![step("sell", candidates, balance)];
    settings.flows.insert(FlowName::new("auto").unwrap(), FlowSettings { steps, ..FlowSettings::default() });
    settings
}

fn flow(settings: &mut Settings) -> &mut FlowSettings {
    settings.flows.get_mut("auto").unwrap()
}

fn balance(settings: &Settings) -> Arc<BalancePlan> {
    Arc::clone(settings.compile(1).unwrap().flows["auto"].steps[0].balance.as_ref().unwrap())
}

fn said(settings: &Settings) -> Vec<String> {
    settings.compile(1).unwrap_err().iter().map(ToString::to_string).collect()
}

fn by(by: Balance) -> BalanceSettings {
    BalanceSettings { by: Some(by), ..BalanceSettings::default() }
}

fn all() -> BalanceSettings {
    BalanceSettings { all: true, ..BalanceSettings::default() }
}

fn lead(fields: &[(&str, Value)]) -> Fields {
    let mut lead = Fields::new();
    fields.iter().for_each(|(name, value)| lead.insert(name, value.clone()).unwrap());
    lead
}

#[test]
fn candidates_are_plans_of_their_own_and_no_credential_reaches_a_stranger() {
    let mut stranger = candidate("west");
    stranger.way = LegSettings { recipient: Some(recipient("mill")), ..LegSettings::default() };
    let book = settings(vec![candidate("east"), stranger], by(Balance::Weighted)).compile(1).unwrap();
    let step = &book.flows["auto"].steps[0];
    let ways: Vec<String> = step.ways().map(|way| way.endpoint.to_string()).collect();
    assert_eq!(ways, ["bank at https://east.example:443", "mill at https://mill.example:443"]);
    assert_eq!(step.endpoint.to_string(), ways[0], "what stands on the leg is the first's");
    let plan = step.balance.as_ref().unwrap();
    let signed = |index: usize| {
        let lead = steadfast_lead::Lead {
            id: steadfast_lead::LeadId::from_raw(1).unwrap(),
            flow: FlowName::new("auto").unwrap(),
            source: None,
            accepted_at: Timestamp::from_millis(0),
            test: false,
            fields: Fields::new(),
        };
        let rendered = plan.candidates[index].plan.render(&lead).unwrap();
        rendered.headers.iter().any(|(name, _)| name == "authorization")
    };
    assert!(signed(0) && !signed(1), "the bank's token stays with the bank");
    assert!(plan.candidates.iter().all(|one| one.plan.retry.policy.max_retries.get() == 5 && one.weight == 1));
}

#[test]
fn regions_and_regulations_bar_a_candidate() {
    let mut east = candidate("east");
    east.regions = vec!["TX".into(), "OK".into()];
    let mut west = candidate("west");
    west.regulations = vec!["ccpa".into(), "tcpa".into()];
    let fields = (Some("state".into()), Some("law".into()));
    let written = BalanceSettings { region_field: fields.0, regulation_field: fields.1, ..BalanceSettings::default() };
    let plan = balance(&settings(vec![east, west], written));
    let (east, west) = (&plan.candidates[0], &plan.candidates[1]);
    let bars = |fields: &[(&str, Value)]| [east, west].map(|one| plan.barred(one, &lead(fields)));
    let text = Value::text;
    assert_eq!(bars(&[("state", text(" tx "))]), [None, None], "whatever the case");
    assert_eq!(bars(&[("state", text("NY"))]), [Some("region"), None]);
    assert_eq!(bars(&[]), [Some("region"), None], "who takes some regions takes no lead of an unknown one");
    let under = |law: Value| bars(&[("state", text("TX")), ("law", law)]);
    assert_eq!(under(text("CCPA, tcpa")), [Some("regulation"), None]);
    assert_eq!(under(Value::List(vec![text("ccpa"), text("hipaa")])), [Some("regulation"), Some("regulation")]);
    assert_eq!(under(text(" , ")), [None, None]);
}

#[test]
fn a_day_is_one_of_the_steps_zone_else_the_accounts() {
    let mut written = settings(vec![candidate("east"), candidate("west")], BalanceSettings::default());
    let day = |settings: &Settings| {
        let plan = balance(settings);
        plan.day(&plan.candidates[1], Timestamp::from_millis(1_800_000_000_000))
    };
    let utc = day(&written);
    assert_eq!((&*utc.scope, utc.per), ("share auto.sell west", CapPer::Day));
    let name = steadfast_lead::AccountName::new("acme").unwrap();
    let account = steadfast_flow::AccountSettings { time_zone: Some("Asia/Tokyo".into()), ..Default::default() };
    written.accounts.insert(name.clone(), account);
    flow(&mut written).account = Some(name);
    assert_eq!(utc.from.since(day(&written).from).as_secs(), 9 * 3_600);
    flow(&mut written).steps[0].balance.time_zone = Some("America/Los_Angeles".into());
    assert_eq!(day(&written).from, Timestamp::from_millis(1_800_000_000_000));
}

#[test]
fn a_step_that_sends_to_all_is_as_many_steps() {
    let mut written = settings(vec![candidate("east"), candidate("west")], all());
    flow(&mut written).steps.push(step("copy", Vec::new(), BalanceSettings::default()));
    let copy = &mut flow(&mut written).steps[1];
    copy.request = url("https://copy.example/");
    copy.sale.after = Some(Follow { step: StepName::new("sell.east").unwrap(), on: vec![StateName::Delivered] });
    let book = written.compile(1).unwrap();
    let steps: Vec<_> =
        book.flows["auto"].steps.iter().map(|step| (step.step.as_str(), &*step.endpoint.origin)).collect();
    let expected = [
        ("sell.east", "https://east.example:443"),
        ("sell.west", "https://west.example:443"),
        ("copy", "https://copy.example:443"),
    ];
    assert_eq!(steps, expected);
    assert!(book.flows["auto"].steps.iter().all(|step| step.balance.is_none()));
    assert!(written.warnings(&book).iter().all(|warning| !warning.place.as_str().contains("steps[2]")));
    // What is wrong is told where it is written.
    flow(&mut written).steps[0].candidates[1].way.request.format = Some(steadfast_flow::Format::Query);
    flow(&mut written).steps[0].candidates[1].way.recipient = Some(recipient("nobody"));
    flow(&mut written).steps[0].retry.max_retries = Some(99);
    flow(&mut written).steps[1].retry.max_retries = Some(99);
    let places: Vec<_> = written.compile(1).unwrap_err().iter().map(|fault| fault.place.to_string()).collect();
    assert_eq!(
        places,
        [
            "flows.auto.steps[0].retry.max_retries",
            "flows.auto.steps[0].endpoints[1].recipient",
            "flows.auto.steps[1].retry.max_retries",
        ]
    );
}

const AT: &str = "flows.auto.steps[0]";

fn two() -> Vec<CandidateSettings> {
    vec![candidate("east"), candidate("west")]
}

/// Each of these is refused with this, among other things, at the step.
fn refuses<S: Display>(cases: impl IntoIterator<Item = (Settings, S)>) {
    for (settings, expected) in cases {
        let (found, expected) = (said(&settings), format!("{AT}.{expected}"));
        assert!(found.contains(&expected), "{expected}\n{found:#?}");
    }
}

#[test]
fn candidates_that_are_no_choice_are_refused_by_name() {
    refuses([
        (
            settings(
                vec![
                    candidate("east"),
                    CandidateSettings { way: leg_to("https://other.example/"), ..candidate("east") },
                ],
                by(Balance::Weighted),
            ),
            "endpoints[1].name = \"east\": stands twice in this leg (allowed: a name of its own for each endpoint)",
        ),
        (
            settings(
                vec![candidate("east"), CandidateSettings { way: candidate("east").way, ..candidate("west") }],
                by(Balance::Weighted),
            ),
            "endpoints[1].request.url: is where an endpoint before it goes already (allowed: another url or another recipient than the endpoints before it)",
        ),
        (
            settings(
                vec![candidate("east"), CandidateSettings { weight: Some(0), ..candidate("west") }],
                by(Balance::Weighted),
            ),
            "endpoints[1].weight = 0: is out of range (allowed: 1 to 1000; leave the endpoint out to send nothing there)",
        ),
        (
            settings(vec![CandidateSettings { cost: Some("-1".into()), ..candidate("east") }], by(Balance::Weighted)),
            "endpoints[0].cost = \"-1\": is not a cost (allowed: a decimal number such as 0.05, up to 12 digits)",
        ),
        (
            settings((0..=CANDIDATES_MAX).map(|n| candidate(&format!("e{n}"))).collect(), by(Balance::Weighted)),
            "endpoints = 17 entries: are too many (allowed: at most 16)",
        ),
        (
            settings(
                vec![CandidateSettings {
                    way: LegSettings { recipient: Some(recipient("nobody")), ..LegSettings::default() },
                    ..candidate("east")
                }],
                by(Balance::Weighted),
            ),
            "endpoints[0].recipient = \"nobody\": is not a recipient (allowed: bank, mill)",
        ),
    ]);
}

#[test]
fn a_balance_that_nothing_answers_is_refused_by_name() {
    let best = |criteria: &[Criterion]| BalanceSettings { criteria: criteria.to_vec(), ..by(Balance::Best) };
    refuses([
        (
            settings(two(), best(&[])),
            "balance.criteria: is missing: the best is the best in something (allowed: health, speed, cost, region)",
        ),
        (
            settings(two(), best(&[Criterion::Cost])),
            "endpoints[0].cost: is missing: the leg chooses by cost (allowed: a decimal number such as 0.05, up to 12 digits)",
        ),
        (
            settings(two(), best(&[Criterion::Region])),
            "balance.region_field: is missing: regions are compared with a field of the lead (allowed: the name of a field)",
        ),
        (
            settings(two(), best(&[Criterion::Health, Criterion::Health])),
            "balance.criteria[1] = \"health\": stands twice (allowed: each once)",
        ),
        (
            settings(two(), BalanceSettings { criteria: vec![Criterion::Health], ..BalanceSettings::default() }),
            "balance.criteria: is never asked for: the leg chooses by weighted (allowed: by = \"best\")",
        ),
        (
            settings(two(), BalanceSettings { time_zone: Some("Mars/Base".into()), ..BalanceSettings::default() }),
            "balance.time_zone = \"Mars/Base\": is not a time zone known here (allowed: an IANA name, such as America/Chicago)",
        ),
    ]);
}

#[test]
fn what_cannot_be_sent_to_all_is_refused_by_name() {
    refuses([(
        settings(vec![CandidateSettings { weight: Some(2), ..candidate("east") }], all()),
        "endpoints[0].weight: is never asked for: the step sends to all of its endpoints (allowed: another balance)",
    )]);
    let mut nothing = settings(Vec::new(), by(Balance::LeastLoaded));
    flow(&mut nothing).steps[0].request = url("https://one.example/");
    let allowed = "endpoints beside it: see [[flows.NAME.steps.endpoints]]";
    refuses([(nothing, format!("balance: has nothing to choose between (allowed: {allowed})"))]);
    let mut buyers = settings(two(), all());
    flow(&mut buyers).sale.mode = Some(SaleMode::FirstAccepted);
    let problem = "sends to all, but a buyer is one of whom one gets the lead";
    let allowed = "weighted, least_loaded, best; or a step for each buyer";
    refuses([(buyers, format!("balance = \"all\": {problem} (allowed: {allowed})"))]);
    let mut fallback = settings(two(), by(Balance::Weighted));
    flow(&mut fallback).steps[0].fallbacks =
        vec![LegSettings { balance: all(), candidates: vec![candidate("rest")], ..LegSettings::default() }];
    let problem = "sends to all, but a fallback goes to one endpoint";
    let allowed = "weighted, least_loaded, best";
    refuses([(fallback, format!("fallbacks[0].balance = \"all\": {problem} (allowed: {allowed})"))]);
}

fn leg_to(address: &str) -> LegSettings {
    LegSettings { request: url(address), ..LegSettings::default() }
}

#[test]
fn what_a_leg_chooses_between_is_explained() {
    let mut east = candidate("east");
    (east.weight, east.cost) = (Some(60), Some("0.05".into()));
    let written = settings(vec![east, candidate("west")], by(Balance::Weighted));
    let explained = Explained::of(&written.compile(1).unwrap().flows["auto"].steps[0]).balance.unwrap();
    let told: Vec<_> =
        explained.candidates.iter().map(|one| (one.name.as_str(), one.weight, one.cost_millionths)).collect();
    assert_eq!(told, [("east", 60, Some(50_000)), ("west", 1, None)]);
    assert_eq!((explained.by, explained.time_zone.as_str()), (Balance::Weighted, "UTC"));
}
